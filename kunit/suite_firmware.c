// SPDX-License-Identifier: GPL-2.0-only
/*
 * Firmware tables that are wrong (L4): the parsers against a second opinion.
 *
 * Tables are generated, damaged, and given to the parser at the end of a page
 * with nothing mapped behind it. What it accepts must be what a plain reading
 * of the same bytes finds, list by list; what it refuses must be wrong by the
 * rules written down once more, and leaves nothing behind.
 */
#include "fuzz.h"

#include <linux/kernel_read_file.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#define FUZZ_TABLES	120000
#define FUZZ_LISTED	SZ_128K		/* the longest table of a list */

static const struct fuzz_format * const fuzz_formats[] = {
	&fuzz_vtd,
	&fuzz_amd,
	&fuzz_smmu,
};

static const void *fuzz_gen_params(const void *prev, char *desc)
{
	const struct fuzz_format * const *fmt = prev ? (typeof(fmt))prev + 1 : fuzz_formats;

	if (fmt == fuzz_formats + ARRAY_SIZE(fuzz_formats))
		return NULL;
	strscpy(desc, (*fmt)->name, KUNIT_PARAM_DESC_SIZE);
	return fmt;
}

/* What the parser says of a table is taken here, while a case listens. */
static struct {
	struct task_struct *listener;
	unsigned int nr;
	const char *name;
	u32 offset;
} fuzz_heard;

bool fuzz_heard_of(const char *name, u32 offset)
{
	if (READ_ONCE(fuzz_heard.listener) != current)
		return false;
	fuzz_heard.nr++;
	fuzz_heard.name = name;
	fuzz_heard.offset = offset;
	return true;
}

/* Print the table, and end the test. */
static noinline void fuzz_fail(struct fuzz *f, const char *why)
{
	WRITE_ONCE(fuzz_heard.listener, NULL);
	print_hex_dump(KERN_ERR, "table: ", DUMP_PREFIX_OFFSET, 16, 1, f->raw, f->len, false);
	KUNIT_FAIL_AND_ABORT(f->test, "table %lu: %s; it said %s at %x", f->nr, why,
			     fuzz_heard.name, fuzz_heard.offset);
}

/* Let the parser have the table; compare. */
static void fuzz_try(struct fuzz *f)
{
	bool good = f->fmt->good(f->raw, f->len);
	u8 *table = f->end - f->len;
	const char *why;
	int ret;

	f->nr++;
	memcpy(table, f->raw, f->len);
	fuzz_heard.nr = 0;
	fuzz_heard.name = "nothing";
	fuzz_heard.offset = 0;
	ret = f->fmt->parse(table, f->len);

	if (ret && ret != -EINVAL)
		fuzz_fail(f, "an odd error");
	if (ret && good)
		fuzz_fail(f, "refused, and nothing is wrong with it");
	if (!ret && !good)
		fuzz_fail(f, "accepted, and it is wrong");
	if (memcmp(table, f->raw, f->len))
		fuzz_fail(f, "changed");
	if (ret) {
		if (!f->fmt->empty())
			fuzz_fail(f, "refused, and not forgotten");
		if (!fuzz_heard.nr || fuzz_heard.offset > f->len)
			fuzz_fail(f, "refused without saying where");
	} else {
		f->accepted++;
		why = f->fmt->difference(f->raw);
		if (why)
			fuzz_fail(f, why);
		f->fmt->free();
		if (!f->fmt->empty())
			fuzz_fail(f, "not freed");
	}
	f->fmt->free();
	if (f->nr % 256 == 0)
		cond_resched();
}

static struct fuzz *fuzz_begin(struct kunit *test)
{
	struct fuzz *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->fmt = *(const struct fuzz_format * const *)test->param_value;
	/* The page behind such an area is never mapped. */
	f->area = vmalloc(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, f->area);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, (kunit_action_t *)vfree, f->area));
	f->end = f->area + PAGE_SIZE;
	omni_seed(test, &f->rnd);
	WRITE_ONCE(fuzz_heard.listener, current);
	return f;
}

static unsigned long fuzz_slab_pages(void)
{
	return global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B);
}

static void fuzz_exit(struct kunit *test)
{
	WRITE_ONCE(fuzz_heard.listener, NULL);
}

/* Any structure, or the table, is damaged: as any format can be, or as this one can. */
static void fuzz_damage(struct fuzz *f)
{
	const struct fuzz_format *fmt = f->fmt;
	unsigned int rec = f->record[omni_below(&f->rnd, f->nr_records)];
	unsigned int length = get_unaligned_le16(f->raw + rec + fmt->length);
	unsigned int at = omni_below(&f->rnd, f->len), n;

	switch (omni_below(&f->rnd, 12)) {
	case 0:
		f->raw[at] = prandom_u32_state(&f->rnd);
		break;
	case 1:
		f->raw[at] ^= BIT(omni_below(&f->rnd, 8));
		break;
	case 2:		/* a structure's length, a little or altogether */
		put_unaligned_le16(omni_below(&f->rnd, 2) ?
				   length + omni_below(&f->rnd, 2 * fmt->slack + 1) - fmt->slack :
				   prandom_u32_state(&f->rnd), f->raw + rec + fmt->length);
		break;
	case 3:		/* the table ends early, and knows it */
		f->len = 1 + at;
		if (f->len >= 8)
			put_unaligned_le32(f->len, f->raw + 4);
		break;
	case 4:		/* it ends early, and doesn't */
		f->len = 1 + at;
		break;
	case 5:		/* it says another length, or number of structures */
		if (fmt->count && omni_below(&f->rnd, 2))
			put_unaligned_le32(omni_below(&f->rnd, 12), f->raw + fmt->count);
		else
			put_unaligned_le32(f->len + omni_below(&f->rnd, 33) - 16, f->raw + 4);
		break;
	case 6:		/* a structure twice */
		n = min(length, f->len - rec);
		if (f->len + n > FUZZ_ROOM)
			break;
		memcpy(f->raw + f->len, f->raw + rec, n);
		f->len += n;
		put_unaligned_le32(f->len, f->raw + 4);
		if (fmt->count)
			put_unaligned_le32(get_unaligned_le32(f->raw + fmt->count) + 1,
					   f->raw + fmt->count);
		break;
	case 7:		/* the header */
		f->raw[omni_below(&f->rnd, min(f->len, fmt->header))] =
			prandom_u32_state(&f->rnd);
		break;
	default:
		fmt->damage(f, rec, length);
		break;
	}
}

/* L4: generated tables, whole and damaged. */
static void firmware_l4_mutated_tables(struct kunit *test)
{
	struct fuzz *f = fuzz_begin(test);
	unsigned int damage, tables = omni_scaled(test, FUZZ_TABLES);
	unsigned long slab = fuzz_slab_pages();

	while (f->nr < tables) {
		f->fmt->generate(f);
		damage = omni_below(&f->rnd, 4);
		for (; damage && f->len > f->fmt->header + 24; damage--)
			fuzz_damage(f);
		if (f->len > 9 && omni_below(&f->rnd, 32))
			fuzz_checksum(f);
		fuzz_try(f);
		if (f->nr % (tables / 4) == 0)
			kunit_info(test, "%lu of %u tables", f->nr, tables);
	}
	kunit_info(test, "%lu of %lu tables accepted", f->accepted, f->nr);
	/* Both answers are worth having. */
	KUNIT_EXPECT_GT(test, f->accepted, tables / 20);
	KUNIT_EXPECT_LT(test, f->accepted, tables / 2);
	/*
	 * A leak in one table out of ten would be 12,000 objects of 64 bytes.
	 * KASAN keeps what was freed for a while; kmemleak looks there.
	 */
	if (!IS_ENABLED(CONFIG_KASAN))
		KUNIT_EXPECT_LT(test, fuzz_slab_pages(), slab + 128);
}

/* L4: every value of every byte of a table that has one of everything. */
static void firmware_l4_every_byte(struct kunit *test)
{
	struct fuzz *f = fuzz_begin(test);
	unsigned int at, value, old, step;

	f->fmt->one_of_everything(f);
	/* With a step every byte has its own share of the values. */
	step = f->len * 256 / omni_scaled(test, f->len * 256);
	fuzz_try(f);
	KUNIT_EXPECT_EQ(test, 1, f->accepted);
	for (at = 0; at < f->len; at++) {
		old = f->raw[at];
		for (value = at % step; value < 256; value += step) {
			f->raw[at] = value;
			if (at != 9)
				fuzz_checksum(f);
			fuzz_try(f);
		}
		f->raw[at] = old;
		fuzz_checksum(f);
	}
}

/* L4: every length of it, with and without a header that knows. */
static void firmware_l4_every_length(struct kunit *test)
{
	struct fuzz *f = fuzz_begin(test);
	unsigned int full, len;
	u8 whole[FUZZ_ROOM / 4];

	f->fmt->one_of_everything(f);
	full = f->len;
	memcpy(whole, f->raw, full);
	for (len = 0; len <= full; len++) {
		memcpy(f->raw, whole, full);
		f->len = len;
		fuzz_try(f);
		if (len < 10)
			continue;
		put_unaligned_le32(len, f->raw + 4);
		fuzz_checksum(f);
		fuzz_try(f);
	}
	/* As many times with the header that knows, and whole without. */
	KUNIT_EXPECT_EQ(test, f->accepted, f->fmt->ends + 2);
}

/* Each allocation of a parse fails in turn: nothing half parsed is left. */
static void firmware_out_of_memory(struct kunit *test)
{
	struct inject i;
	struct fuzz *f;
	const char *why;
	int ret;

	inject_need(test);
	f = fuzz_begin(test);
	f->fmt->one_of_everything(f);
	inject_each(test, i) {
		inject(i.nth);
		ret = f->fmt->parse(f->raw, f->len);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_TRUE(test, f->fmt->empty());
			continue;
		}
		why = f->fmt->difference(f->raw);
		KUNIT_EXPECT_NULL_MSG(test, why, "%s", why);
		f->fmt->free();
	}
	KUNIT_EXPECT_GT(test, i.nth, f->fmt->least);
}

/* A table in such a file: this, the name, the table. */
struct listed_table {
	__le32 len;
	u8 good;
	u8 name_len;
	u8 name[];
} __packed;

/* L4: tables with one defect each, and odd ones in order. The host reads what is said of them. */
static void firmware_l4_listed_tables(struct kunit *test)
{
	const struct fuzz_format *fmt = *(const struct fuzz_format * const *)test->param_value;
	const struct listed_table *listed;
	u8 *area, *table;
	void *list = NULL;
	ssize_t size;
	u32 at, len;
	int ret;

	if (!fmt->listed || !*fmt->listed)
		kunit_skip(test, "no file of tables was given");
	/* As in fuzz_begin(), nothing is mapped behind it. */
	area = vmalloc(FUZZ_LISTED);
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, (kunit_action_t *)vfree, area));
	size = kernel_read_file_from_path(*fmt->listed, 0, &list, SZ_1M, NULL, READING_UNKNOWN);
	KUNIT_ASSERT_GT(test, size, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, (kunit_action_t *)vfree, list));
	for (at = 0; at < size; at += sizeof(*listed) + listed->name_len + len) {
		listed = list + at;
		len = le32_to_cpu(listed->len);
		KUNIT_ASSERT_LE(test, len, FUZZ_LISTED);
		kunit_info(test, "table %.*s", listed->name_len, listed->name);
		table = area + FUZZ_LISTED - len;
		memcpy(table, listed->name + listed->name_len, len);
		ret = fmt->parse(table, len);
		KUNIT_EXPECT_EQ_MSG(test, ret, listed->good ? 0 : -EINVAL, "table %.*s",
				    listed->name_len, listed->name);
		if (ret)
			KUNIT_EXPECT_TRUE(test, fmt->empty());
		fmt->free();
	}
	kunit_info(test, "end of tables");
}

static struct kunit_case firmware_cases[] = {
	KUNIT_CASE_PARAM(firmware_l4_mutated_tables, fuzz_gen_params),
	KUNIT_CASE_PARAM(firmware_l4_every_byte, fuzz_gen_params),
	KUNIT_CASE_PARAM(firmware_l4_every_length, fuzz_gen_params),
	KUNIT_CASE_PARAM(firmware_out_of_memory, fuzz_gen_params),
	KUNIT_CASE_PARAM(firmware_l4_listed_tables, fuzz_gen_params),
	{}
};

static struct kunit_suite firmware_suite = {
	.name = "omni_firmware",
	.test_cases = firmware_cases,
	.exit = fuzz_exit,
};

kunit_test_suites(&firmware_suite);
