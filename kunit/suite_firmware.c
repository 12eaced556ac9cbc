// SPDX-License-Identifier: GPL-2.0-only
/*
 * Firmware tables that are wrong (L4): the parser against a second opinion.
 *
 * Tables are generated, damaged, and given to the parser at the end of a page
 * with nothing mapped behind it. What it accepts must be what a plain reading
 * of the same bytes finds, list by list; what it refuses must be wrong by the
 * rules written down here once more, and leaves nothing behind.
 */
#include "inject.h"

#ifdef CONFIG_X86

#include "../vtd/vtd.h"

#include <linux/acpi.h>
#include <linux/kernel_read_file.h>
#include <linux/moduleparam.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#define FUZZ_TABLES	120000
#define FUZZ_ROOM	2048
#define FUZZ_RECORDS	16
#define FUZZ_LISTED	SZ_128K		/* the longest table of a list */
/* Sizes of what a DMAR table is made of, from VT-d 8.1 to 8.8. */
#define FUZZ_HEADER	48
#define FUZZ_SCOPE	6

static char *dmar_tables;
module_param(dmar_tables, charp, 0444);
MODULE_PARM_DESC(dmar_tables, "a file of tables to parse, from scripts/dmar_tables.py");

static const unsigned int fuzz_least[] = { 16, 24, 8, 20, 8, 8 };

/**
 * struct fuzz - one table, and what became of it
 * @test: the test
 * @rnd: randomness
 * @area: memory with a hole behind it
 * @end: the hole
 * @raw: the table
 * @len: its bytes
 * @nr_records: structures generated
 * @record: where they begin
 * @nr: tables so far
 * @accepted: of them
 */
struct fuzz {
	struct kunit *test;
	struct rnd_state rnd;
	u8 *area;
	u8 *end;
	u8 raw[FUZZ_ROOM];
	unsigned int len;
	unsigned int nr_records;
	unsigned int record[FUZZ_RECORDS];
	unsigned long nr;
	unsigned long accepted;
};

/* What the parser says of a table is taken here, while a case listens. */
static struct {
	struct task_struct *listener;
	unsigned int nr;
	const char *name;
	u32 offset;
} fuzz_heard;

bool vtd_firmware_heard(const char *name, u32 offset)
{
	if (READ_ONCE(fuzz_heard.listener) != current)
		return false;
	fuzz_heard.nr++;
	fuzz_heard.name = name;
	fuzz_heard.offset = offset;
	return true;
}

/* The second opinion: a device path that was seen, for repeats. */
struct fuzz_path {
	u16 segment;
	const u8 *entry;
};

static bool fuzz_same_path(const struct fuzz_path *a, const struct fuzz_path *b)
{
	return a->segment == b->segment && a->entry[5] == b->entry[5] &&
	       a->entry[1] == b->entry[1] &&
	       !memcmp(a->entry + FUZZ_SCOPE, b->entry + FUZZ_SCOPE, a->entry[1] - FUZZ_SCOPE);
}

static bool fuzz_is_pci(const u8 *entry)
{
	return entry[0] == 1 || entry[0] == 2;
}

/* 8.3.1: are the entries of a structure in order, from @at on? */
static bool fuzz_scopes_good(const u8 *rec, unsigned int at, u16 segment,
			     struct fuzz_path *all, unsigned int *nr_all)
{
	unsigned int length = get_unaligned_le16(rec + 2), own = *nr_all, i;

	for (; at < length; at += rec[at + 1]) {
		const u8 *e = rec + at;

		if (length - at < FUZZ_SCOPE || e[1] < FUZZ_SCOPE || e[1] > length - at)
			return false;
		if (e[0] == 0 || e[0] > 5)
			continue;
		if (e[1] == FUZZ_SCOPE || e[1] % 2)
			return false;
		for (i = FUZZ_SCOPE; i < e[1]; i += 2)
			if (e[i] > 31 || e[i + 1] > 7)
				return false;
		if (!fuzz_is_pci(e))
			continue;
		all[*nr_all] = (struct fuzz_path){ segment, e };
		for (i = own; i < *nr_all; i++)
			if (fuzz_same_path(&all[i], &all[*nr_all]))
				return false;
		++*nr_all;
	}
	return true;
}

struct fuzz_range {
	u64 first;
	u64 last;
	u16 segment;
	bool unit;
	bool all;
};

static bool fuzz_meet(u64 first, u64 last, u64 other_first, u64 other_last)
{
	return first <= other_last && other_first <= last;
}

/* 8.3, 8.4: is a range where it may be, given those before it? */
static bool fuzz_range_good(const struct fuzz_range *r, const struct fuzz_range *before,
			    unsigned int nr, unsigned int width)
{
	unsigned int i;

	if (r->first > r->last || r->first & 0xfff || (r->last & 0xfff) != 0xfff ||
	    (width < 64 && r->last >> width))
		return false;
	if (fuzz_meet(r->first, r->last, 0xfee00000, 0xfeefffff) || (r->unit && !r->first))
		return false;
	for (i = 0; i < nr; i++) {
		/* Reserved memory may be named twice. */
		if ((r->unit || before[i].unit) &&
		    fuzz_meet(r->first, r->last, before[i].first, before[i].last))
			return false;
		if (r->unit && before[i].unit && r->all && before[i].all &&
		    r->segment == before[i].segment)
			return false;
	}
	return true;
}

/* 8.1 to 8.8: may a table be accepted? */
static bool fuzz_good(const u8 *t, unsigned int len)
{
	static struct fuzz_path drhd_paths[FUZZ_ROOM / 8], other[FUZZ_ROOM / 8];
	static struct fuzz_range ranges[FUZZ_ROOM / 16];
	unsigned int at, length, width, i, k, nr_ranges = 0, nr_paths = 0, units = 0;
	u8 sum = 0;

	if (len < FUZZ_HEADER || memcmp(t, "DMAR", 4))
		return false;
	length = get_unaligned_le32(t + 4);
	width = t[36] + 1;
	if (length < FUZZ_HEADER || length > len || width < 12 || width > 64)
		return false;
	for (i = 0; i < length; i++)
		sum += t[i];
	if (sum)
		return false;

	for (at = FUZZ_HEADER; at < length; at += get_unaligned_le16(t + at + 2)) {
		const u8 *rec = t + at;
		struct fuzz_range r = { };
		unsigned int type, size, n = 0;

		if (length - at < 4)
			return false;
		type = get_unaligned_le16(rec);
		size = get_unaligned_le16(rec + 2);
		if (size < 4 || size > length - at)
			return false;
		if (type < ARRAY_SIZE(fuzz_least) && size < fuzz_least[type])
			return false;
		switch (type) {
		case 0:
			r.unit = true;
			r.all = rec[4] & 1;
			r.segment = get_unaligned_le16(rec + 6);
			r.first = get_unaligned_le64(rec + 8);
			r.last = r.first + (4096ULL << (rec[5] & 15)) - 1;
			units++;
			if (!fuzz_range_good(&r, ranges, nr_ranges, width))
				return false;
			ranges[nr_ranges++] = r;
			if (!fuzz_scopes_good(rec, 16, r.segment, drhd_paths, &nr_paths))
				return false;
			break;
		case 1:
			r.first = get_unaligned_le64(rec + 8);
			r.last = get_unaligned_le64(rec + 16);
			if (!fuzz_range_good(&r, ranges, nr_ranges, width))
				return false;
			ranges[nr_ranges++] = r;
			if (!fuzz_scopes_good(rec, 24, 0, other, &n))
				return false;
			break;
		case 2:
		case 5:
			if (!fuzz_scopes_good(rec, 8, 0, other, &n))
				return false;
			break;
		case 4:
			for (i = 8; i < size && rec[i]; i++)
				;
			if (i == size)
				return false;
			break;
		}
	}
	for (i = 0; i < nr_paths; i++)
		for (k = 0; k < i; k++)
			if (fuzz_same_path(&drhd_paths[i], &drhd_paths[k]))
				return false;
	return units;
}

/* Is a list of scopes what the entries say? */
static bool fuzz_scopes_same(const u8 *rec, unsigned int at, const struct list_head *scopes)
{
	unsigned int length = get_unaligned_le16(rec + 2), i;
	const struct vtd_scope *s = list_first_entry(scopes, struct vtd_scope, node);

	for (; at < length; at += rec[at + 1]) {
		const u8 *e = rec + at;

		if (e[0] == 0 || e[0] > 5)
			continue;
		if (list_entry_is_head(s, scopes, node) || s->type != e[0] ||
		    s->enum_id != e[4] || s->start_bus != e[5] ||
		    s->path_len != (e[1] - FUZZ_SCOPE) / 2)
			return false;
		for (i = 0; i < s->path_len; i++)
			if (s->path[i].dev != e[FUZZ_SCOPE + 2 * i] ||
			    s->path[i].fn != e[FUZZ_SCOPE + 2 * i + 1])
				return false;
		s = list_next_entry(s, node);
	}
	return list_entry_is_head(s, scopes, node);
}

/* Is what was parsed what a good table says, and nothing else? */
static const char *fuzz_difference(const struct vtd_firmware *fw, const u8 *t)
{
	unsigned int at, length = get_unaligned_le32(t + 4), index = 0;
	const struct vtd_drhd *drhd = list_first_entry(&fw->drhds, struct vtd_drhd, node);
	const struct vtd_rmrr *rmrr = list_first_entry(&fw->rmrrs, struct vtd_rmrr, node);
	const struct vtd_atsr *atsr = list_first_entry(&fw->atsrs, struct vtd_atsr, node);
	const struct vtd_satc *satc = list_first_entry(&fw->satcs, struct vtd_satc, node);

	if (fw->width != t[36] + 1 || fw->flags != t[37])
		return "header";
	for (at = FUZZ_HEADER; at < length; at += get_unaligned_le16(t + at + 2)) {
		const u8 *rec = t + at;

		switch (get_unaligned_le16(rec)) {
		case 0:
			if (list_entry_is_head(drhd, &fw->drhds, node) ||
			    drhd->segment != get_unaligned_le16(rec + 6) ||
			    drhd->include_all != (rec[4] & 1) ||
			    drhd->base != get_unaligned_le64(rec + 8) ||
			    drhd->size != 4096ULL << (rec[5] & 15) || drhd->index != index++ ||
			    drhd->offset != at || drhd->unit ||
			    !fuzz_scopes_same(rec, 16, &drhd->scopes))
				return "DRHD";
			if (drhd->numa_node != NUMA_NO_NODE && !node_online(drhd->numa_node))
				return "node";
			drhd = list_next_entry(drhd, node);
			break;
		case 1:
			if (list_entry_is_head(rmrr, &fw->rmrrs, node) ||
			    rmrr->segment != get_unaligned_le16(rec + 6) ||
			    rmrr->base != get_unaligned_le64(rec + 8) ||
			    rmrr->last != get_unaligned_le64(rec + 16) ||
			    !fuzz_scopes_same(rec, 24, &rmrr->scopes))
				return "RMRR";
			rmrr = list_next_entry(rmrr, node);
			break;
		case 2:
			if (list_entry_is_head(atsr, &fw->atsrs, node) ||
			    atsr->segment != get_unaligned_le16(rec + 6) ||
			    atsr->all_ports != (rec[4] & 1) ||
			    !fuzz_scopes_same(rec, 8, &atsr->scopes))
				return "ATSR";
			atsr = list_next_entry(atsr, node);
			break;
		case 5:
			if (list_entry_is_head(satc, &fw->satcs, node) ||
			    satc->segment != get_unaligned_le16(rec + 6) ||
			    satc->atc_required != (rec[4] & 1) ||
			    !fuzz_scopes_same(rec, 8, &satc->scopes))
				return "SATC";
			satc = list_next_entry(satc, node);
			break;
		}
	}
	if (!list_entry_is_head(drhd, &fw->drhds, node) ||
	    !list_entry_is_head(rmrr, &fw->rmrrs, node) ||
	    !list_entry_is_head(atsr, &fw->atsrs, node) ||
	    !list_entry_is_head(satc, &fw->satcs, node))
		return "something too many";
	return NULL;
}

static bool fuzz_empty(const struct vtd_firmware *fw)
{
	return list_empty(&fw->drhds) && list_empty(&fw->rmrrs) && list_empty(&fw->atsrs) &&
	       list_empty(&fw->satcs);
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
	bool good = fuzz_good(f->raw, f->len);
	u8 *table = f->end - f->len;
	struct vtd_firmware fw;
	const char *why;
	int ret;

	f->nr++;
	memset(&fw, 0xa5, sizeof(fw));
	memcpy(table, f->raw, f->len);
	fuzz_heard.nr = 0;
	fuzz_heard.name = "nothing";
	fuzz_heard.offset = 0;
	ret = vtd_firmware_parse(&fw, table, f->len);

	if (ret && ret != -EINVAL)
		fuzz_fail(f, "an odd error");
	if (ret && good)
		fuzz_fail(f, "refused, and nothing is wrong with it");
	if (!ret && !good)
		fuzz_fail(f, "accepted, and it is wrong");
	if (memcmp(table, f->raw, f->len))
		fuzz_fail(f, "changed");
	if (ret) {
		if (!fuzz_empty(&fw))
			fuzz_fail(f, "refused, and not forgotten");
		if (!fuzz_heard.nr || fuzz_heard.offset > f->len)
			fuzz_fail(f, "refused without saying where");
	} else {
		f->accepted++;
		why = fuzz_difference(&fw, f->raw);
		if (why)
			fuzz_fail(f, why);
		vtd_firmware_free(&fw);
		if (!fuzz_empty(&fw))
			fuzz_fail(f, "not freed");
	}
	vtd_firmware_free(&fw);
	if (f->nr % 256 == 0)
		cond_resched();
}

/* Making tables */

static void fuzz_checksum(struct fuzz *f)
{
	unsigned int i, length = min(get_unaligned_le32(f->raw + 4), f->len);
	u8 sum = 0;

	f->raw[9] = 0;
	for (i = 0; i < length; i++)
		sum += f->raw[i];
	f->raw[9] = -sum;
}

static void fuzz_bytes(struct fuzz *f, u64 value, unsigned int nr)
{
	for (; nr; nr--, value >>= 8)
		f->raw[f->len++] = value;
}

static void fuzz_scope(struct fuzz *f)
{
	unsigned int hops = 1 + omni_below(&f->rnd, 3);

	fuzz_bytes(f, 1 + omni_below(&f->rnd, 5), 1);
	fuzz_bytes(f, FUZZ_SCOPE + 2 * hops, 1);
	fuzz_bytes(f, 0, 2);
	fuzz_bytes(f, omni_below(&f->rnd, 4), 1);
	fuzz_bytes(f, omni_below(&f->rnd, 8), 1);
	while (hops--) {
		fuzz_bytes(f, omni_below(&f->rnd, 32), 1);
		fuzz_bytes(f, omni_below(&f->rnd, 8), 1);
	}
}

static void fuzz_record(struct fuzz *f, unsigned int type)
{
	unsigned int start = f->len, scopes = omni_below(&f->rnd, 4);
	u64 base = 0xfed00000 + ((u64)omni_below(&f->rnd, 200) << 12);

	f->record[f->nr_records++] = start;
	fuzz_bytes(f, type, 2);
	fuzz_bytes(f, 0, 2);
	switch (type) {
	case 0:
		fuzz_bytes(f, !omni_below(&f->rnd, 8), 1);
		fuzz_bytes(f, omni_below(&f->rnd, 8) ? 0 : omni_below(&f->rnd, 256), 1);
		fuzz_bytes(f, omni_below(&f->rnd, 2), 2);
		fuzz_bytes(f, base, 8);
		break;
	case 1:
		/* Seldom among the units' registers. */
		if (omni_below(&f->rnd, 8))
			base -= 0x10000000;
		fuzz_bytes(f, 0, 2);
		fuzz_bytes(f, omni_below(&f->rnd, 2), 2);
		fuzz_bytes(f, base, 8);
		fuzz_bytes(f, base + (omni_below(&f->rnd, 64) << 12) + 0xfff, 8);
		break;
	case 2:
	case 5:
		fuzz_bytes(f, omni_below(&f->rnd, 2), 2);
		fuzz_bytes(f, omni_below(&f->rnd, 2), 2);
		break;
	case 3:
		scopes = 0;
		fuzz_bytes(f, 0, 4);
		fuzz_bytes(f, base, 8);
		fuzz_bytes(f, omni_below(&f->rnd, 3), 4);
		break;
	case 4:
		scopes = 0;
		fuzz_bytes(f, 0, 3);
		fuzz_bytes(f, omni_below(&f->rnd, 4), 1);
		fuzz_bytes(f, 0x30565344425f5c, 7);	/* "\_BDSV0" */
		fuzz_bytes(f, 0, 1);
		break;
	default:
		scopes = 0;
		fuzz_bytes(f, prandom_u32_state(&f->rnd), omni_below(&f->rnd, 8));
		break;
	}
	while (scopes--)
		fuzz_scope(f);
	put_unaligned_le16(f->len - start, f->raw + start + 2);
}

static void fuzz_header(struct fuzz *f)
{
	memset(f->raw, 0, FUZZ_HEADER);
	memcpy(f->raw, "DMAR", 4);
	f->raw[8] = 1;
	memcpy(f->raw + 10, "OMNI  KUNIT   ", 14);
	f->raw[36] = 38 + omni_below(&f->rnd, 15);
	f->raw[37] = omni_below(&f->rnd, 8);
	f->len = FUZZ_HEADER;
	f->nr_records = 0;
}

static void fuzz_generate(struct fuzz *f)
{
	unsigned int n = omni_below(&f->rnd, 8);

	fuzz_header(f);
	fuzz_record(f, 0);
	while (n--)
		fuzz_record(f, omni_below(&f->rnd, 16) ? omni_below(&f->rnd, 6) :
				prandom_u32_state(&f->rnd) & 0xffff);
	put_unaligned_le32(f->len, f->raw + 4);
	fuzz_checksum(f);
}

/* Where a structure's scope entries begin. */
static unsigned int fuzz_entries(const u8 *rec)
{
	unsigned int type = get_unaligned_le16(rec);

	return type < ARRAY_SIZE(fuzz_least) ? fuzz_least[type] : 4;
}

static void fuzz_damage(struct fuzz *f)
{
	static const u64 odd[] = {
		0, 1, U64_MAX, 0xfee00000, 0xfeeff000, 0xfffffffffffff000, 1ULL << 39, 1ULL << 63,
		0xfffff000, 0xfed00800,
	};
	unsigned int rec = f->record[omni_below(&f->rnd, f->nr_records)];
	unsigned int length = get_unaligned_le16(f->raw + rec + 2);
	unsigned int at = omni_below(&f->rnd, f->len), n;

	switch (omni_below(&f->rnd, 12)) {
	case 0:
		f->raw[at] = prandom_u32_state(&f->rnd);
		break;
	case 1:
		f->raw[at] ^= BIT(omni_below(&f->rnd, 8));
		break;
	case 2:		/* a structure's length, a little or altogether */
		put_unaligned_le16(omni_below(&f->rnd, 2) ? length + omni_below(&f->rnd, 17) - 8 :
				   prandom_u32_state(&f->rnd), f->raw + rec + 2);
		break;
	case 3:		/* its type */
		put_unaligned_le16(omni_below(&f->rnd, 8), f->raw + rec);
		break;
	case 4:		/* the first entry's length */
		at = min(rec + fuzz_entries(f->raw + rec) + 1, f->len - 1);
		f->raw[at] += omni_below(&f->rnd, 9) - 4;
		break;
	case 5:		/* a number of the structure */
		at = min(rec + 8 + 8 * omni_below(&f->rnd, 2), f->len - 8);
		put_unaligned_le64(odd[omni_below(&f->rnd, ARRAY_SIZE(odd))], f->raw + at);
		break;
	case 6:		/* the table ends early, and knows it */
		f->len = 1 + at;
		if (f->len >= 8)
			put_unaligned_le32(f->len, f->raw + 4);
		break;
	case 7:		/* it ends early, and doesn't */
		f->len = 1 + at;
		break;
	case 8:		/* it says another length */
		put_unaligned_le32(f->len + omni_below(&f->rnd, 33) - 16, f->raw + 4);
		break;
	case 9:		/* a structure twice */
		n = min(length, f->len - rec);
		if (f->len + n > FUZZ_ROOM)
			break;
		memcpy(f->raw + f->len, f->raw + rec, n);
		f->len += n;
		put_unaligned_le32(f->len, f->raw + 4);
		break;
	case 10:	/* an entry's bytes */
		at = min(rec + fuzz_entries(f->raw + rec) + omni_below(&f->rnd, 12), f->len - 1);
		f->raw[at] = prandom_u32_state(&f->rnd);
		break;
	default:	/* the header */
		f->raw[omni_below(&f->rnd, min(f->len, 40U))] = prandom_u32_state(&f->rnd);
		break;
	}
}

static struct fuzz *fuzz_begin(struct kunit *test)
{
	struct fuzz *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
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

/* L4: generated tables, whole and damaged. */
static void firmware_l4_mutated_tables(struct kunit *test)
{
	struct fuzz *f = fuzz_begin(test);
	unsigned int damage, tables = omni_scaled(test, FUZZ_TABLES);
	unsigned long slab = fuzz_slab_pages();

	while (f->nr < tables) {
		fuzz_generate(f);
		for (damage = omni_below(&f->rnd, 4); damage && f->len > FUZZ_HEADER + 24; damage--)
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

/* One of everything. */
static void fuzz_one_of_everything(struct fuzz *f)
{
	unsigned int type;

	do {
		fuzz_header(f);
		for (type = 0; type < 7; type++)
			fuzz_record(f, type);
		fuzz_record(f, 0);
		put_unaligned_le32(f->len, f->raw + 4);
		fuzz_checksum(f);
	} while (!fuzz_good(f->raw, f->len) || f->len > 300);
}

/* L4: every value of every byte of a table that has one of everything. */
static void firmware_l4_every_byte(struct kunit *test)
{
	struct fuzz *f = fuzz_begin(test);
	unsigned int at, value, old, step;

	fuzz_one_of_everything(f);
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

	fuzz_one_of_everything(f);
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
	/* It may end after each structure that follows the first unit. */
	KUNIT_EXPECT_EQ(test, f->accepted, f->nr_records + 1);
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
	const struct listed_table *listed;
	struct vtd_firmware fw;
	u8 *area, *table;
	void *list = NULL;
	ssize_t size;
	u32 at, len;
	int ret;

	if (!dmar_tables)
		kunit_skip(test, "no dmar_tables= was given");
	/* As in fuzz_begin(), nothing is mapped behind it. */
	area = vmalloc(FUZZ_LISTED);
	KUNIT_ASSERT_NOT_NULL(test, area);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, (kunit_action_t *)vfree, area));
	size = kernel_read_file_from_path(dmar_tables, 0, &list, SZ_1M, NULL, READING_UNKNOWN);
	KUNIT_ASSERT_GT(test, size, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, (kunit_action_t *)vfree, list));
	for (at = 0; at < size; at += sizeof(*listed) + listed->name_len + len) {
		listed = list + at;
		len = le32_to_cpu(listed->len);
		KUNIT_ASSERT_LE(test, len, FUZZ_LISTED);
		kunit_info(test, "table %.*s", listed->name_len, listed->name);
		table = area + FUZZ_LISTED - len;
		memcpy(table, listed->name + listed->name_len, len);
		ret = vtd_firmware_parse(&fw, table, len);
		KUNIT_EXPECT_EQ_MSG(test, ret, listed->good ? 0 : -EINVAL, "table %.*s",
				    listed->name_len, listed->name);
		if (ret)
			KUNIT_EXPECT_TRUE(test, fuzz_empty(&fw));
		vtd_firmware_free(&fw);
	}
	kunit_info(test, "end of tables");
}

/* Each allocation of a parse fails in turn: nothing half parsed is left. */
static void firmware_out_of_memory(struct kunit *test)
{
	struct vtd_firmware fw;
	struct inject i;
	struct fuzz *f;
	const char *why;
	int ret;

	inject_need(test);
	f = fuzz_begin(test);
	fuzz_one_of_everything(f);
	inject_each(test, i) {
		inject(i.nth);
		ret = vtd_firmware_parse(&fw, f->raw, f->len);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_TRUE(test, fuzz_empty(&fw));
			continue;
		}
		why = fuzz_difference(&fw, f->raw);
		KUNIT_EXPECT_NULL_MSG(test, why, "%s", why);
		vtd_firmware_free(&fw);
	}
	/* Two units, one of each of the three that are kept. */
	KUNIT_EXPECT_GT(test, i.nth, 5);
}

static struct kunit_case firmware_cases[] = {
	KUNIT_CASE(firmware_l4_mutated_tables),
	KUNIT_CASE(firmware_l4_every_byte),
	KUNIT_CASE(firmware_l4_every_length),
	KUNIT_CASE(firmware_l4_listed_tables),
	KUNIT_CASE(firmware_out_of_memory),
	{}
};

static struct kunit_suite firmware_suite = {
	.name = "omni_vtd_firmware",
	.test_cases = firmware_cases,
	.exit = fuzz_exit,
};

kunit_test_suites(&firmware_suite);

#endif
