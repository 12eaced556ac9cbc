// SPDX-License-Identifier: GPL-2.0-only
/*
 * IVRS tables as machines have them (48882 r3.08, 5.2): each kind of block
 * and of entry once, and which of several blocks for one unit counts.
 */
#include "fuzz.h"
#include "../amd/amd.h"

/**
 * struct ivrs - a table being written
 * @f: its bytes
 * @fw: what was parsed
 * @block: where the current block begins
 */
struct ivrs {
	struct fuzz f;
	struct amd_firmware fw;
	unsigned int block;
};

static void ivrs_gone(void *arg)
{
	struct ivrs *t = arg;

	amd_firmware_free(&t->fw);
	kfree(t);
}

static struct ivrs *ivrs_begin(struct kunit *test)
{
	struct ivrs *t = kzalloc(sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->f.test = test;
	t->f.fmt = &fuzz_amd;
	fuzz_acpi(&t->f, "IVRS", 2);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, ivrs_gone, t), 0);
	return t;
}

static int ivrs_parse(struct ivrs *t)
{
	fuzz_end(&t->f);
	amd_firmware_free(&t->fw);
	return amd_firmware_parse(&t->fw, t->f.raw, t->f.len);
}

static void ivrs_block(struct ivrs *t, u8 type, u8 flags)
{
	t->block = t->f.len;
	fuzz_bytes(&t->f, type, 1);
	fuzz_bytes(&t->f, flags, 1);
	fuzz_bytes(&t->f, 0, 2);
}

/* The block is as long as it is now. */
static void ivrs_length(struct ivrs *t)
{
	put_unaligned_le16(t->f.len - t->block, t->f.raw + t->block + 2);
}

static void ivrs_ivhd(struct ivrs *t, u8 type, u16 devid, u16 segment, u64 base, u64 efr)
{
	ivrs_block(t, type, 0xb0);
	fuzz_bytes(&t->f, devid, 2);
	fuzz_bytes(&t->f, 0x40, 2);
	fuzz_bytes(&t->f, base, 8);
	fuzz_bytes(&t->f, segment, 2);
	fuzz_bytes(&t->f, 7, 2);
	fuzz_bytes(&t->f, 0, 4);
	if (type != 0x10) {
		fuzz_bytes(&t->f, efr, 8);
		fuzz_bytes(&t->f, 0, 8);
	}
	ivrs_length(t);
}

static void ivrs_entry4(struct ivrs *t, u8 type, u16 id, u8 settings)
{
	fuzz_bytes(&t->f, type, 1);
	fuzz_bytes(&t->f, id, 2);
	fuzz_bytes(&t->f, settings, 1);
	ivrs_length(t);
}

static void ivrs_entry8(struct ivrs *t, u8 type, u16 id, u8 settings, u32 more)
{
	ivrs_entry4(t, type, id, settings);
	fuzz_bytes(&t->f, more, 4);
	ivrs_length(t);
}

static void ivrs_hid(struct ivrs *t, u16 id, const char *hid, u8 kind, const void *uid, u8 len)
{
	ivrs_entry4(t, 0xf0, id, 0x80);
	memcpy(t->f.raw + t->f.len, hid, 8);
	t->f.len += 8;
	fuzz_bytes(&t->f, 0, 8);
	fuzz_bytes(&t->f, kind, 1);
	fuzz_bytes(&t->f, len, 1);
	if (len)
		memcpy(t->f.raw + t->f.len, uid, len);
	t->f.len += len;
	ivrs_length(t);
}

static void ivrs_ivmd(struct ivrs *t, u8 type, u8 flags, u16 first, u16 last, u16 segment,
		      u64 base, u64 size)
{
	ivrs_block(t, type, flags);
	fuzz_bytes(&t->f, first, 2);
	fuzz_bytes(&t->f, last, 2);
	fuzz_bytes(&t->f, segment, 8);
	fuzz_bytes(&t->f, base, 8);
	fuzz_bytes(&t->f, size, 8);
	ivrs_length(t);
}

static void ivrs_expect(struct kunit *test, const struct amd_ivhd *ivhd, u16 devid, bool there,
			u8 settings, int alias, bool no_ats)
{
	const struct amd_devids *r = amd_firmware_devids(ivhd, devid);

	KUNIT_EXPECT_EQ_MSG(test, !!r, there, "device %04x", devid);
	if (!r || !there)
		return;
	KUNIT_EXPECT_EQ_MSG(test, r->settings, settings, "device %04x", devid);
	KUNIT_EXPECT_EQ_MSG(test, r->aliased, alias >= 0, "device %04x", devid);
	if (alias >= 0)
		KUNIT_EXPECT_EQ_MSG(test, r->alias, alias, "device %04x", devid);
	KUNIT_EXPECT_EQ_MSG(test, r->no_ats, no_ats, "device %04x", devid);
}

/* 5.2.2.4 to 5.2.2.7 */
static void ivrs_every_kind_of_entry(struct kunit *test)
{
	struct ivrs *t = ivrs_begin(test);
	const struct amd_special *s;
	const struct amd_ivhd *ivhd;
	const struct amd_hid *h;
	u64 number = 123456789012345ULL;

	t->f.raw[36] = 2;
	ivrs_ivhd(t, 0x40, 0x0002, 0, 0xfd000000, 0x1234);
	ivrs_entry4(t, 2, 0x0008, 0x11);
	ivrs_entry4(t, 0, 0, 0);
	ivrs_entry8(t, 64, 0, 0, 0);
	ivrs_entry4(t, 3, 0x0100, 0x22);
	ivrs_entry4(t, 4, 0x01ff, 0);
	ivrs_entry8(t, 66, 0x0210, 0x33, 0x3000 << 8);
	ivrs_entry8(t, 67, 0x0300, 0x44, 0x3100 << 8);
	ivrs_entry4(t, 4, 0x0307, 0);
	/* Bit 31: no ATS. */
	ivrs_entry8(t, 70, 0x0400, 0x55, BIT(31));
	ivrs_entry8(t, 71, 0x0500, 0x66, 0);
	ivrs_entry4(t, 4, 0x0507, 0);
	/* I/O APIC 5 at 0x00a0, HPET 0 at 0x4014. */
	ivrs_entry8(t, 72, 0, 0xd7, 1 << 24 | 0x00a0 << 8 | 5);
	ivrs_entry8(t, 72, 0, 0, 2 << 24 | 0x4014 << 8);
	ivrs_hid(t, 0x0600, "AMDI0020", 2, "\\_SB.FUR0", 9);
	ivrs_hid(t, 0x0601, "AMDI0095", 1, &number, 8);
	ivrs_hid(t, 0x0602, "AMDI0096", 0, NULL, 0);
	/* A later entry counts more. */
	ivrs_entry4(t, 2, 0x0110, 0x77);
	/* Types that mean nothing yet. */
	ivrs_entry4(t, 33, 0x7777, 0);
	ivrs_entry8(t, 100, 0x7777, 0, 0);
	KUNIT_ASSERT_EQ(test, ivrs_parse(t), 0);

	KUNIT_EXPECT_TRUE(test, t->fw.remapped);
	ivhd = amd_firmware_find(&t->fw, 0, 0x0008);
	KUNIT_ASSERT_NOT_NULL(test, ivhd);
	KUNIT_EXPECT_EQ(test, ivhd->type, 0x40);
	KUNIT_EXPECT_EQ(test, ivhd->flags, 0xb0);
	KUNIT_EXPECT_EQ(test, ivhd->devid, 0x0002);
	KUNIT_EXPECT_EQ(test, ivhd->cap, 0x40);
	KUNIT_EXPECT_EQ(test, ivhd->msi, 7);
	KUNIT_EXPECT_EQ(test, ivhd->efr, 0x1234);
	KUNIT_EXPECT_EQ(test, ivhd->last_devid, 0x4014);
	ivrs_expect(test, ivhd, 0x0008, true, 0x11, -1, false);
	ivrs_expect(test, ivhd, 0x0009, false, 0, -1, false);
	ivrs_expect(test, ivhd, 0x00ff, false, 0, -1, false);
	ivrs_expect(test, ivhd, 0x0100, true, 0x22, -1, false);
	ivrs_expect(test, ivhd, 0x010f, true, 0x22, -1, false);
	ivrs_expect(test, ivhd, 0x0110, true, 0x77, -1, false);
	ivrs_expect(test, ivhd, 0x01ff, true, 0x22, -1, false);
	ivrs_expect(test, ivhd, 0x0200, false, 0, -1, false);
	ivrs_expect(test, ivhd, 0x0210, true, 0x33, 0x3000, false);
	ivrs_expect(test, ivhd, 0x0300, true, 0x44, 0x3100, false);
	ivrs_expect(test, ivhd, 0x0307, true, 0x44, 0x3100, false);
	ivrs_expect(test, ivhd, 0x0400, true, 0x55, -1, true);
	ivrs_expect(test, ivhd, 0x0500, true, 0x66, -1, false);
	ivrs_expect(test, ivhd, 0x0508, false, 0, -1, false);
	ivrs_expect(test, ivhd, 0x7777, false, 0, -1, false);
	KUNIT_EXPECT_NULL(test, amd_firmware_find(&t->fw, 0, 0x0200));
	KUNIT_EXPECT_NULL(test, amd_firmware_find(&t->fw, 1, 0x0100));

	s = list_first_entry(&ivhd->specials, struct amd_special, node);
	KUNIT_ASSERT_EQ(test, list_count_nodes((struct list_head *)&ivhd->specials), 2);
	KUNIT_EXPECT_EQ(test, s->variety, 1);
	KUNIT_EXPECT_EQ(test, s->handle, 5);
	KUNIT_EXPECT_EQ(test, s->devid, 0x00a0);
	s = list_next_entry(s, node);
	KUNIT_EXPECT_EQ(test, s->variety, 2);
	KUNIT_EXPECT_EQ(test, s->handle, 0);
	KUNIT_EXPECT_EQ(test, s->devid, 0x4014);

	h = list_first_entry(&ivhd->hids, struct amd_hid, node);
	KUNIT_ASSERT_EQ(test, list_count_nodes((struct list_head *)&ivhd->hids), 3);
	KUNIT_EXPECT_STREQ(test, h->hid, "AMDI0020");
	KUNIT_EXPECT_STREQ(test, h->uid, "\\_SB.FUR0");
	KUNIT_EXPECT_EQ(test, h->devid, 0x0600);
	KUNIT_EXPECT_EQ(test, h->settings, 0x80);
	h = list_next_entry(h, node);
	KUNIT_EXPECT_STREQ(test, h->uid, "123456789012345");
	h = list_next_entry(h, node);
	KUNIT_EXPECT_STREQ(test, h->hid, "AMDI0096");
	KUNIT_EXPECT_STREQ(test, h->uid, "");
}

/* 5.2.2: blocks of several types for one unit, whatever their order. */
static void ivrs_the_highest_type_counts(struct kunit *test)
{
	static const u8 orders[][3] = {
		{ 0x10, 0x11, 0x40 }, { 0x40, 0x11, 0x10 }, { 0x11, 0x40, 0x10 },
		{ 0x10, 0x40, 0x11 },
	};
	unsigned int i, k;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		struct ivrs *t = ivrs_begin(test);
		const struct amd_ivhd *ivhd;

		ivrs_ivhd(t, 0x10, 0x0010, 0, 0xfc000000, 0);
		ivrs_entry4(t, 2, 0x2000, 0);
		for (k = 0; k < 3; k++) {
			ivrs_ivhd(t, orders[i][k], 0x0002, 0, 0xfd000000, orders[i][k]);
			ivrs_entry4(t, 2, orders[i][k], 0);
		}
		KUNIT_ASSERT_EQ(test, ivrs_parse(t), 0);
		KUNIT_EXPECT_EQ(test, list_count_nodes(&t->fw.ivhds), 2);
		ivhd = amd_firmware_find(&t->fw, 0, 0x40);
		KUNIT_ASSERT_NOT_NULL(test, ivhd);
		KUNIT_EXPECT_EQ(test, ivhd->type, 0x40);
		KUNIT_EXPECT_EQ(test, ivhd->efr, 0x40);
		KUNIT_EXPECT_EQ(test, ivhd->index, 1);
		KUNIT_EXPECT_NULL(test, amd_firmware_find(&t->fw, 0, 0x10));
		KUNIT_EXPECT_NULL(test, amd_firmware_find(&t->fw, 0, 0x11));
		KUNIT_ASSERT_NOT_NULL(test, amd_firmware_find(&t->fw, 0, 0x2000));
		KUNIT_EXPECT_EQ(test, amd_firmware_find(&t->fw, 0, 0x2000)->index, 0);
	}
}

/* Segments are worlds of their own: the same IDs in each. */
static void ivrs_segments(struct kunit *test)
{
	struct ivrs *t = ivrs_begin(test);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ivrs_ivhd(t, 0x11, 0x0002, i, 0xfd000000 + i * 0x4000, i);
		ivrs_entry4(t, 1, 0, i);
	}
	KUNIT_ASSERT_EQ(test, ivrs_parse(t), 0);
	for (i = 0; i < 3; i++) {
		const struct amd_ivhd *ivhd = amd_firmware_find(&t->fw, i, 0x1234);

		KUNIT_ASSERT_NOT_NULL(test, ivhd);
		KUNIT_EXPECT_EQ(test, ivhd->efr, i);
		KUNIT_EXPECT_EQ(test, ivhd->last_devid, 0xffff);
		ivrs_expect(test, ivhd, 0xffff, true, i, -1, false);
	}
	/* In one world a device has one unit. */
	ivrs_ivhd(t, 0x11, 0x0102, 2, 0xfd100000, 0);
	ivrs_entry4(t, 2, 0x0008, 0);
	KUNIT_EXPECT_EQ(test, ivrs_parse(t), -EINVAL);
}

/* 5.2.3 */
static void ivrs_every_kind_of_memory(struct kunit *test)
{
	static const struct {
		u8 type, flags;
		u16 first, last, segment;
		u64 base, size;
		struct {
			u16 first, last;
			u64 base, end;
			bool read, write;
		} is;
		bool kept;
	} cases[] = {
		/* Flags: 1 unity, 2 read, 4 write, 8 excluded. */
		{ 0x20, 7, 5, 6, 0, 0x70000000, 0x2000,
		  { 0, 0xffff, 0x70000000, 0x70001fff, true, true }, true },
		{ 0x21, 3, 0x0018, 0, 0, 0x71000000, 0x1000,
		  { 0x0018, 0x0018, 0x71000000, 0x71000fff, true, false }, true },
		{ 0x22, 5, 0x0018, 0x0020, 3, 0x72000800, 0x1000,
		  { 0x0018, 0x0020, 0x72000000, 0x72001fff, false, true }, true },
		{ 0x21, 8, 0x0019, 0, 0, 0x73000000, 0x1000,
		  { 0x0019, 0x0019, 0x73000000, 0x73000fff, true, true }, true },
		{ 0x21, 6, 0x0019, 0, 0, 0x74000000, 0x1000, { }, false },
	};
	struct ivrs *t = ivrs_begin(test);
	const struct amd_ivmd *m;
	unsigned int i;

	ivrs_ivhd(t, 0x10, 0x0002, 0, 0xfd000000, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ivrs_ivmd(t, cases[i].type, cases[i].flags, cases[i].first, cases[i].last,
			  cases[i].segment, cases[i].base, cases[i].size);
	KUNIT_ASSERT_EQ(test, ivrs_parse(t), 0);
	m = list_first_entry(&t->fw.ivmds, struct amd_ivmd, node);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		if (!cases[i].kept)
			continue;
		KUNIT_ASSERT_FALSE(test, list_entry_is_head(m, &t->fw.ivmds, node));
		KUNIT_EXPECT_EQ_MSG(test, m->first, cases[i].is.first, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->last, cases[i].is.last, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->segment, cases[i].segment, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->base, cases[i].is.base, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->end, cases[i].is.end, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->read, cases[i].is.read, "memory %u", i);
		KUNIT_EXPECT_EQ_MSG(test, m->write, cases[i].is.write, "memory %u", i);
		m = list_next_entry(m, node);
	}
	KUNIT_EXPECT_TRUE(test, list_entry_is_head(m, &t->fw.ivmds, node));
}

static struct kunit_case ivrs_cases[] = {
	KUNIT_CASE(ivrs_every_kind_of_entry),
	KUNIT_CASE(ivrs_the_highest_type_counts),
	KUNIT_CASE(ivrs_segments),
	KUNIT_CASE(ivrs_every_kind_of_memory),
	{ }
};

static struct kunit_suite ivrs_suite = {
	.name = "omni_amd_firmware",
	.test_cases = ivrs_cases,
};

kunit_test_suites(&ivrs_suite);
