// SPDX-License-Identifier: GPL-2.0-only
/*
 * IVRS tables for the firmware suite: generated, damaged, and read once more
 * (48882 r3.08, 5.2).
 */
#include "fuzz.h"
#include "../amd/amd.h"

/* Sizes of what an IVRS table is made of, from 5.2.1 to 5.2.3. */
#define FUZZ_HEADER	48
#define FUZZ_HID	22
#define FUZZ_IVMD	32
#define FUZZ_REGS	0x4000ULL

/* What was parsed last. */
static char *ivrs_tables;
module_param(ivrs_tables, charp, 0444);
MODULE_PARM_DESC(ivrs_tables, "a file of tables to parse, from scripts/ivrs_tables.py");

static struct amd_firmware fuzz_fw;

bool amd_firmware_heard(const char *name, u32 offset)
{
	return fuzz_heard_of(name, offset);
}

/* The second opinion */

static bool fuzz_is_ivhd(const u8 *rec)
{
	return rec[0] == 0x10 || rec[0] == 0x11 || rec[0] == 0x40;
}

static bool fuzz_is_ivmd(const u8 *rec)
{
	return rec[0] >= 0x20 && rec[0] <= 0x22;
}

static unsigned int fuzz_ivhd_size(const u8 *rec)
{
	return rec[0] == 0x10 ? 24 : 40;
}

/* 5.2.2.3: bytes of an entry; 0 for a type that has none, or none that fits. */
static unsigned int fuzz_entry_size(const u8 *e, unsigned int left)
{
	unsigned int size;

	if (left < 4)
		return 0;
	if (e[0] == 0xf0)
		size = left < FUZZ_HID ? 0 : FUZZ_HID + e[FUZZ_HID - 1];
	else
		size = e[0] < 0x40 ? 4 : e[0] < 0x80 ? 8 : 0;
	return size > left ? 0 : size;
}

static bool fuzz_begins(u8 type)
{
	return type == 3 || type == 67 || type == 71;
}

/* 5.2.2.6 */
static bool fuzz_hid_good(const u8 *e)
{
	return get_unaligned_le64(e + 4) && e[20] <= 2 && (e[20] != 1 || e[21] == 8);
}

/* 5.2.2.4 to 5.2.2.7: are the entries of a unit in order? */
static bool fuzz_entries_good(const u8 *rec)
{
	unsigned int at, size, length = get_unaligned_le16(rec + 2);
	int first = -1;

	for (at = fuzz_ivhd_size(rec); at < length; at += size) {
		const u8 *e = rec + at;
		u16 id = length - at < 4 ? 0 : get_unaligned_le16(e + 1);

		size = fuzz_entry_size(e, length - at);
		if (!size)
			return false;
		if (e[0] == 0 || e[0] == 64)
			continue;
		if (e[0] == 4) {
			if (first < 0 || id < first)
				return false;
			first = -1;
			continue;
		}
		if (first >= 0 || (e[0] == 0xf0 && !fuzz_hid_good(e)))
			return false;
		if (fuzz_begins(e[0]))
			first = id;
	}
	return first < 0;
}

/* A range that begins at an entry: where does it end? */
static u16 fuzz_range_end(const u8 *rec, const u8 *e)
{
	unsigned int at = e - rec, length = get_unaligned_le16(rec + 2);

	if (!fuzz_begins(e[0]))
		return get_unaligned_le16(e + 1);
	while (rec[at] != 4)
		at += fuzz_entry_size(rec + at, length - at);
	return get_unaligned_le16(rec + at + 1);
}

/* Does an entry name devices? Which? */
static bool fuzz_devids(const u8 *rec, const u8 *e, u16 *first, u16 *last)
{
	switch (e[0]) {
	case 1:
		*first = 0;
		*last = 0xffff;
		return true;
	case 2:
	case 3:
	case 66:
	case 67:
	case 70:
	case 71:
		*first = get_unaligned_le16(e + 1);
		*last = fuzz_range_end(rec, e);
		return true;
	}
	return false;
}

static bool fuzz_meet(u64 first, u64 last, u64 other_first, u64 other_last)
{
	return first <= other_last && other_first <= last;
}

static bool fuzz_base_good(u64 base)
{
	return base && !(base % FUZZ_REGS) && !(base >> 52) &&
	       !fuzz_meet(base, base + FUZZ_REGS - 1, 0xfee00000, 0xfeefffff);
}

/* 5.2.3 */
static bool fuzz_ivmd_good(const u8 *rec)
{
	u64 base = get_unaligned_le64(rec + 16), size = get_unaligned_le64(rec + 24);

	if (get_unaligned_le16(rec + 2) < FUZZ_IVMD)
		return false;
	if (!(rec[1] & 9))
		return true;
	if (!size || base + size - 1 < base || (base + size - 1) >> 52 ||
	    fuzz_meet(base, base + size - 1, 0xfee00000, 0xfeefffff))
		return false;
	return rec[0] != 0x22 || get_unaligned_le16(rec + 6) >= get_unaligned_le16(rec + 4);
}

/* 5.2.2: the blocks that count, in the order of units; NULL at the end. */
static bool fuzz_units(const u8 *t, const u8 **units)
{
	unsigned int at, length = get_unaligned_le32(t + 4), nr = 0, i;

	for (at = FUZZ_HEADER; at < length; at += get_unaligned_le16(t + at + 2)) {
		const u8 *rec = t + at;
		u64 base;

		if (!fuzz_is_ivhd(rec))
			continue;
		base = get_unaligned_le64(rec + 8);
		/* Device, capability, segment. */
		for (i = 0; i < nr; i++)
			if (!memcmp(units[i] + 4, rec + 4, 4) &&
			    get_unaligned_le16(units[i] + 16) == get_unaligned_le16(rec + 16))
				break;
		if (i < nr) {
			if (get_unaligned_le64(units[i] + 8) != base || units[i][0] == rec[0])
				return false;
			if (rec[0] > units[i][0])
				units[i] = rec;
			continue;
		}
		if (!fuzz_base_good(base))
			return false;
		for (i = 0; i < nr; i++)
			if (get_unaligned_le64(units[i] + 8) == base)
				return false;
		units[nr++] = rec;
	}
	units[nr] = NULL;
	return nr;
}

/* Do two units translate a device both? */
static bool fuzz_units_meet(const u8 *a, const u8 *b)
{
	unsigned int i, k, size_a = get_unaligned_le16(a + 2), size_b = get_unaligned_le16(b + 2);
	u16 first, last, other_first, other_last;

	if (get_unaligned_le16(a + 16) != get_unaligned_le16(b + 16))
		return false;
	for (i = fuzz_ivhd_size(a); i < size_a; i += fuzz_entry_size(a + i, size_a - i))
		for (k = fuzz_ivhd_size(b); k < size_b; k += fuzz_entry_size(b + k, size_b - k))
			if (fuzz_devids(a, a + i, &first, &last) &&
			    fuzz_devids(b, b + k, &other_first, &other_last) &&
			    fuzz_meet(first, last, other_first, other_last))
				return true;
	return false;
}

static bool fuzz_good(const u8 *t, unsigned int len)
{
	static const u8 *units[FUZZ_ROOM / 24 + 1];
	unsigned int at, length, i, k;
	u8 sum = 0;

	if (len < FUZZ_HEADER || memcmp(t, "IVRS", 4))
		return false;
	length = get_unaligned_le32(t + 4);
	if (length < FUZZ_HEADER || length > len)
		return false;
	for (i = 0; i < length; i++)
		sum += t[i];
	if (sum)
		return false;

	for (at = FUZZ_HEADER; at < length; at += get_unaligned_le16(t + at + 2)) {
		const u8 *rec = t + at;
		unsigned int size;

		/* Every kind of block there is begins with six bytes. */
		if (length - at < 6)
			return false;
		size = get_unaligned_le16(rec + 2);
		if (size < 6 || size > length - at)
			return false;
		if (fuzz_is_ivhd(rec) && (size < fuzz_ivhd_size(rec) || !fuzz_entries_good(rec)))
			return false;
		if (fuzz_is_ivmd(rec) && !fuzz_ivmd_good(rec))
			return false;
	}
	if (!fuzz_units(t, units))
		return false;
	for (i = 0; units[i]; i++)
		for (k = 0; k < i; k++)
			if (fuzz_units_meet(units[k], units[i]))
				return false;
	return true;
}

static const char *fuzz_hid_difference(const struct amd_hid *hid, const u8 *e)
{
	char uid[32];

	if (hid->devid != get_unaligned_le16(e + 1) || hid->settings != e[3] ||
	    memcmp(hid->hid, e + 4, 8) || hid->hid[8])
		return "HID";
	switch (e[20]) {
	case 0:
		return hid->uid[0] ? "a unique ID of none" : NULL;
	case 1:
		snprintf(uid, sizeof(uid), "%llu", get_unaligned_le64(e + FUZZ_HID));
		return strcmp(hid->uid, uid) ? "unique ID, a number" : NULL;
	default:
		return memcmp(hid->uid, e + FUZZ_HID, e[21]) || hid->uid[e[21]] ?
		       "unique ID, a text" : NULL;
	}
}

/* Is a unit what its block says? */
static const char *fuzz_ivhd_difference(const struct amd_ivhd *ivhd, const u8 *rec)
{
	unsigned int at, length = get_unaligned_le16(rec + 2), size;
	const struct amd_devids *r = list_first_entry(&ivhd->devids, struct amd_devids, node);
	const struct amd_special *s = list_first_entry(&ivhd->specials, struct amd_special, node);
	const struct amd_hid *h = list_first_entry(&ivhd->hids, struct amd_hid, node);
	const char *why;
	u16 highest = 0;

	if (ivhd->type != rec[0] || ivhd->flags != rec[1] ||
	    ivhd->devid != get_unaligned_le16(rec + 4) ||
	    ivhd->cap != get_unaligned_le16(rec + 6) ||
	    ivhd->base != get_unaligned_le64(rec + 8) ||
	    ivhd->segment != get_unaligned_le16(rec + 16) ||
	    ivhd->msi != (get_unaligned_le16(rec + 18) & 31) || ivhd->unit ||
	    ivhd->efr != (rec[0] == 0x10 ? 0 : get_unaligned_le64(rec + 24)))
		return "IVHD";
	for (at = fuzz_ivhd_size(rec); at < length; at += size) {
		const u8 *e = rec + at;
		u16 first, last;

		size = fuzz_entry_size(e, length - at);
		if (fuzz_devids(rec, e, &first, &last)) {
			bool aliased = e[0] == 66 || e[0] == 67;
			bool ext = e[0] == 70 || e[0] == 71;

			if (list_entry_is_head(r, &ivhd->devids, node) || r->first != first ||
			    r->last != last || r->settings != e[3] || r->aliased != aliased ||
			    (aliased && r->alias != get_unaligned_le16(e + 5)) ||
			    r->no_ats != (ext && e[7] & 0x80))
				return "devices";
			highest = max3(highest, last, aliased ? r->alias : 0);
			r = list_next_entry(r, node);
		} else if (e[0] == 72) {
			if (list_entry_is_head(s, &ivhd->specials, node) || s->handle != e[4] ||
			    s->devid != get_unaligned_le16(e + 5) || s->variety != e[7])
				return "special device";
			highest = max(highest, s->devid);
			s = list_next_entry(s, node);
		} else if (e[0] == 0xf0) {
			why = list_entry_is_head(h, &ivhd->hids, node) ? "a HID too few" :
			      fuzz_hid_difference(h, e);
			if (why)
				return why;
			highest = max(highest, h->devid);
			h = list_next_entry(h, node);
		}
	}
	if (!list_entry_is_head(r, &ivhd->devids, node) ||
	    !list_entry_is_head(s, &ivhd->specials, node) ||
	    !list_entry_is_head(h, &ivhd->hids, node))
		return "an entry too many";
	return ivhd->last_devid == highest ? NULL : "highest device ID";
}

static const char *fuzz_ivmd_difference(const struct amd_ivmd *ivmd, const u8 *rec)
{
	u64 base = get_unaligned_le64(rec + 16), end = base + get_unaligned_le64(rec + 24) - 1;
	u16 first = rec[0] == 0x20 ? 0 : get_unaligned_le16(rec + 4);
	u16 last = rec[0] == 0x20 ? 0xffff : get_unaligned_le16(rec + (rec[0] == 0x21 ? 4 : 6));

	if (ivmd->segment != get_unaligned_le16(rec + 8) || ivmd->first != first ||
	    ivmd->last != last || ivmd->base != (base & ~0xfffULL) || ivmd->end != (end | 0xfff) ||
	    ivmd->read != !!(rec[1] & 10) || ivmd->write != !!(rec[1] & 12))
		return "IVMD";
	return NULL;
}

/* Is what was parsed what a good table says, and nothing else? */
static const char *fuzz_difference(const u8 *t)
{
	static const u8 *units[FUZZ_ROOM / 24 + 1];
	unsigned int at, length = get_unaligned_le32(t + 4), i = 0;
	const struct amd_ivmd *ivmd = list_first_entry(&fuzz_fw.ivmds, struct amd_ivmd, node);
	const struct amd_ivhd *ivhd;
	const char *why;

	/* IVinfo, bit 1. */
	if (fuzz_fw.remapped != !!(t[36] & 2))
		return "header";
	fuzz_units(t, units);
	list_for_each_entry(ivhd, &fuzz_fw.ivhds, node) {
		if (!units[i])
			return "a unit too many";
		why = fuzz_ivhd_difference(ivhd, units[i]);
		if (why)
			return why;
		if (ivhd->index != i || ivhd->offset != units[i] - t)
			return "a unit's place";
		i++;
	}
	if (units[i])
		return "a unit too few";
	for (at = FUZZ_HEADER; at < length; at += get_unaligned_le16(t + at + 2)) {
		if (!fuzz_is_ivmd(t + at) || !(t[at + 1] & 9))
			continue;
		why = list_entry_is_head(ivmd, &fuzz_fw.ivmds, node) ? "an IVMD too few" :
		      fuzz_ivmd_difference(ivmd, t + at);
		if (why)
			return why;
		ivmd = list_next_entry(ivmd, node);
	}
	return list_entry_is_head(ivmd, &fuzz_fw.ivmds, node) ? NULL : "an IVMD too many";
}

static bool fuzz_empty(void)
{
	return list_empty(&fuzz_fw.ivhds) && list_empty(&fuzz_fw.ivmds);
}

static int fuzz_parse(const u8 *table, unsigned int len)
{
	memset(&fuzz_fw, 0xa5, sizeof(fuzz_fw));
	return amd_firmware_parse(&fuzz_fw, table, len);
}

static void fuzz_free(void)
{
	amd_firmware_free(&fuzz_fw);
}

/* Making tables */

static void fuzz_entry(struct fuzz *f, unsigned int type, u16 id)
{
	fuzz_bytes(f, type, 1);
	fuzz_bytes(f, id, 2);
	fuzz_bytes(f, prandom_u32_state(&f->rnd), 1);
	switch (type) {
	case 66:
	case 67:
		fuzz_bytes(f, 0, 1);
		fuzz_bytes(f, omni_below(&f->rnd, 0x10000), 2);
		fuzz_bytes(f, 0, 1);
		break;
	case 70:
	case 71:
		fuzz_bytes(f, prandom_u32_state(&f->rnd), 4);
		break;
	case 72:
		fuzz_bytes(f, omni_below(&f->rnd, 8), 1);
		fuzz_bytes(f, omni_below(&f->rnd, 0x10000), 2);
		fuzz_bytes(f, 1 + omni_below(&f->rnd, 2), 1);
		break;
	case 64 ... 65:
	case 73 ... 127:
		fuzz_bytes(f, 0, 4);
		break;
	}
}

static void fuzz_hid(struct fuzz *f, u16 id, unsigned int kind)
{
	fuzz_entry(f, 0xf0, id);
	fuzz_bytes(f, 0x30323030444d41, 8);	/* "AMD0020" */
	fuzz_bytes(f, 0, 8);
	fuzz_bytes(f, kind, 1);
	switch (kind) {
	case 0:
		fuzz_bytes(f, 0, 1);
		break;
	case 1:
		fuzz_bytes(f, 8, 1);
		fuzz_bytes(f, (u64)prandom_u32_state(&f->rnd) << 8, 8);
		break;
	default:
		fuzz_bytes(f, 9, 1);
		fuzz_bytes(f, 0x30415546425f5c, 8);	/* "\_BFUA0" */
		fuzz_bytes(f, 0, 1);
	}
}

/* Some entries for devices from @id on; returns the first ID that is left. */
static u16 fuzz_some_entry(struct fuzz *f, u16 id)
{
	static const u8 single[] = { 2, 66, 70, 72, 0, 64, 5, 75 };
	static const u8 begin[] = { 3, 67, 71 };
	u16 more = omni_below(&f->rnd, 0x200);

	switch (omni_below(&f->rnd, 6)) {
	case 0 ... 2:
		fuzz_entry(f, single[omni_below(&f->rnd, ARRAY_SIZE(single))], id);
		return id + 1;
	case 3 ... 4:
		fuzz_entry(f, begin[omni_below(&f->rnd, ARRAY_SIZE(begin))], id);
		if (!omni_below(&f->rnd, 8))
			fuzz_entry(f, 0, 0);
		fuzz_entry(f, 4, id + more);
		return id + more + 1;
	default:
		fuzz_hid(f, id, omni_below(&f->rnd, 3));
		return id + 1;
	}
}

static void fuzz_block(struct fuzz *f, unsigned int type, unsigned int flags)
{
	fuzz_begin_record(f);
	fuzz_bytes(f, type, 1);
	fuzz_bytes(f, flags, 1);
	fuzz_bytes(f, 0, 2);
}

/* The header of unit @n; its devices are 0x1000 of its own. */
static void fuzz_ivhd(struct fuzz *f, unsigned int type, unsigned int n)
{
	fuzz_block(f, type, prandom_u32_state(&f->rnd) & 0xff);
	fuzz_bytes(f, n, 2);
	fuzz_bytes(f, 0x40, 2);
	fuzz_bytes(f, 0xfd000000 + n * FUZZ_REGS, 8);
	fuzz_bytes(f, n / 8, 2);
	fuzz_bytes(f, prandom_u32_state(&f->rnd), 2);
	fuzz_bytes(f, prandom_u32_state(&f->rnd), 4);
	if (type == 0x10)
		return;
	fuzz_bytes(f, (u64)prandom_u32_state(&f->rnd) << 20, 8);
	fuzz_bytes(f, 0, 8);
}

static void fuzz_unit(struct fuzz *f, unsigned int n)
{
	static const u8 types[] = { 0x10, 0x11, 0x40 };
	unsigned int type = omni_below(&f->rnd, 3), entries = omni_below(&f->rnd, 6);
	u16 id = n * 0x1000 + omni_below(&f->rnd, 0x100);

	fuzz_ivhd(f, types[type], n);
	if (!omni_below(&f->rnd, 16))
		fuzz_entry(f, 1, 0);
	while (entries--)
		id = fuzz_some_entry(f, id);
	fuzz_end_record(f);
}

static void fuzz_memory(struct fuzz *f)
{
	u64 base = 0x70000000 + ((u64)omni_below(&f->rnd, 0x10000) << 12);
	u16 first = omni_below(&f->rnd, 0x8000);

	fuzz_block(f, 0x20 + omni_below(&f->rnd, 3), omni_below(&f->rnd, 16));
	fuzz_bytes(f, first, 2);
	fuzz_bytes(f, first + omni_below(&f->rnd, 0x1000), 2);
	fuzz_bytes(f, omni_below(&f->rnd, 2), 8);
	fuzz_bytes(f, base + omni_below(&f->rnd, 2) * 8, 8);
	fuzz_bytes(f, 1 + omni_below(&f->rnd, 0x10000), 8);
	fuzz_end_record(f);
}

static void fuzz_header(struct fuzz *f)
{
	fuzz_acpi(f, "IVRS", 2);
	f->raw[36] = prandom_u32_state(&f->rnd);
}

static void fuzz_generate(struct fuzz *f)
{
	unsigned int n = omni_below(&f->rnd, 7);

	fuzz_header(f);
	fuzz_unit(f, omni_below(&f->rnd, 4));
	while (n--) {
		switch (omni_below(&f->rnd, 8)) {
		case 0 ... 3:
			fuzz_unit(f, omni_below(&f->rnd, 12));
			break;
		case 4 ... 6:
			fuzz_memory(f);
			break;
		default:
			fuzz_block(f, prandom_u32_state(&f->rnd) & 0xff, 0);
			fuzz_bytes(f, 0, omni_below(&f->rnd, 50));
			fuzz_end_record(f);
		}
	}
	fuzz_end(f);
}

static void fuzz_damage(struct fuzz *f, unsigned int rec, unsigned int length)
{
	static const u64 odd[] = {
		0, 1, U64_MAX, 0xfee00000, 0xfeefc000, 0xfffffffffffff000, 1ULL << 51, 1ULL << 52,
		0xfd000000, 0xfd002000,
	};
	unsigned int at;

	switch (omni_below(&f->rnd, 4)) {
	case 0:		/* a block's type */
		f->raw[rec] = omni_below(&f->rnd, 2) ? 0x10 + omni_below(&f->rnd, 2) :
			      0x20 + omni_below(&f->rnd, 4);
		break;
	case 1:		/* a number of the block */
		at = min(rec + 8 + 8 * omni_below(&f->rnd, 3), f->len - 8);
		put_unaligned_le64(odd[omni_below(&f->rnd, ARRAY_SIZE(odd))], f->raw + at);
		break;
	default:	/* an entry's type */
		at = min(rec + 24 + 4 * omni_below(&f->rnd, 12), f->len - 1);
		f->raw[at] = omni_below(&f->rnd, 2) ? omni_below(&f->rnd, 6) :
			     64 + omni_below(&f->rnd, 10);
		break;
	}
}

/* Two units, one of them twice, every kind of entry and of memory. */
static void fuzz_one_of_everything(struct fuzz *f)
{
	static const u8 types[] = { 0x10, 0x11 };
	unsigned int i;

	do {
		fuzz_header(f);
		for (i = 0; i < 2; i++) {
			fuzz_ivhd(f, types[i], 1);
			fuzz_entry(f, 2, 0x1008);
			fuzz_entry(f, 3, 0x1010);
			fuzz_entry(f, 4, 0x1017);
			if (i) {
				fuzz_entry(f, 66, 0x1020);
				fuzz_entry(f, 70, 0x1028);
				fuzz_entry(f, 72, 0);
				fuzz_hid(f, 0x1030, 1);
			}
			fuzz_end_record(f);
		}
		fuzz_ivhd(f, 0x10, 9);
		fuzz_entry(f, 1, 0);
		fuzz_end_record(f);
		fuzz_memory(f);
		fuzz_end(f);
	} while (!fuzz_good(f->raw, f->len) || f->len > 300 ||
		 !(f->raw[f->record[3] + 1] & 9));
}

const struct fuzz_format fuzz_amd = {
	.name = "amd",
	.header = FUZZ_HEADER,
	.length = 2,
	.slack = 8,
	/* After each block that follows the first unit. */
	.ends = 3,
	/* Three units, seven entries, one memory. */
	.least = 11,
	.good = fuzz_good,
	.parse = fuzz_parse,
	.difference = fuzz_difference,
	.empty = fuzz_empty,
	.free = fuzz_free,
	.generate = fuzz_generate,
	.damage = fuzz_damage,
	.one_of_everything = fuzz_one_of_everything,
	.listed = &ivrs_tables,
};
