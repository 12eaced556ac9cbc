// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMAR tables for the firmware suite: generated, damaged, and read once more
 * (VT-d r3.1, chapter 8).
 */
#include "fuzz.h"
#include "../vtd/vtd.h"

#include <linux/acpi.h>
#include <linux/moduleparam.h>

/* Sizes of what a DMAR table is made of, from VT-d 8.1 to 8.8. */
#define FUZZ_HEADER	48
#define FUZZ_SCOPE	6

static const unsigned int fuzz_least[] = { 16, 24, 8, 20, 8, 8 };

static char *dmar_tables;
module_param(dmar_tables, charp, 0444);
MODULE_PARM_DESC(dmar_tables, "a file of tables to parse, from scripts/dmar_tables.py");

/* What was parsed last. */
static struct vtd_firmware fuzz_fw;

bool vtd_firmware_heard(const char *name, u32 offset)
{
	return fuzz_heard_of(name, offset);
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
static const char *fuzz_difference(const u8 *t)
{
	const struct vtd_firmware *fw = &fuzz_fw;
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

static bool fuzz_empty(void)
{
	return list_empty(&fuzz_fw.drhds) && list_empty(&fuzz_fw.rmrrs) &&
	       list_empty(&fuzz_fw.atsrs) && list_empty(&fuzz_fw.satcs);
}

static int fuzz_parse(const u8 *table, unsigned int len)
{
	memset(&fuzz_fw, 0xa5, sizeof(fuzz_fw));
	return vtd_firmware_parse(&fuzz_fw, table, len);
}

static void fuzz_free(void)
{
	vtd_firmware_free(&fuzz_fw);
}

/* Making tables */

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
	unsigned int scopes = omni_below(&f->rnd, 4);
	u64 base = 0xfed00000 + ((u64)omni_below(&f->rnd, 200) << 12);

	fuzz_begin_record(f);
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
	fuzz_end_record(f);
}

static void fuzz_header(struct fuzz *f)
{
	fuzz_acpi(f, "DMAR", 1);
	f->raw[36] = 38 + omni_below(&f->rnd, 15);
	f->raw[37] = omni_below(&f->rnd, 8);
}

static void fuzz_generate(struct fuzz *f)
{
	unsigned int n = omni_below(&f->rnd, 8);

	fuzz_header(f);
	fuzz_record(f, 0);
	while (n--)
		fuzz_record(f, omni_below(&f->rnd, 16) ? omni_below(&f->rnd, 6) :
				prandom_u32_state(&f->rnd) & 0xffff);
	fuzz_end(f);
}

/* Where a structure's scope entries begin. */
static unsigned int fuzz_entries(const u8 *rec)
{
	unsigned int type = get_unaligned_le16(rec);

	return type < ARRAY_SIZE(fuzz_least) ? fuzz_least[type] : 4;
}

static void fuzz_damage(struct fuzz *f, unsigned int rec, unsigned int length)
{
	static const u64 odd[] = {
		0, 1, U64_MAX, 0xfee00000, 0xfeeff000, 0xfffffffffffff000, 1ULL << 39, 1ULL << 63,
		0xfffff000, 0xfed00800,
	};
	unsigned int at;

	switch (omni_below(&f->rnd, 4)) {
	case 0:		/* a structure's type */
		put_unaligned_le16(omni_below(&f->rnd, 8), f->raw + rec);
		break;
	case 1:		/* the first entry's length */
		at = min(rec + fuzz_entries(f->raw + rec) + 1, f->len - 1);
		f->raw[at] += omni_below(&f->rnd, 9) - 4;
		break;
	case 2:		/* an entry's bytes */
		at = min(rec + fuzz_entries(f->raw + rec) + omni_below(&f->rnd, 12), f->len - 1);
		f->raw[at] = prandom_u32_state(&f->rnd);
		break;
	default:	/* a number of the structure */
		at = min(rec + 8 + 8 * omni_below(&f->rnd, 2), f->len - 8);
		put_unaligned_le64(odd[omni_below(&f->rnd, ARRAY_SIZE(odd))], f->raw + at);
		break;
	}
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
		fuzz_end(f);
	} while (!fuzz_good(f->raw, f->len) || f->len > 300);
}

const struct fuzz_format fuzz_vtd = {
	.name = "vtd",
	.header = FUZZ_HEADER,
	.length = 2,
	.slack = 8,
	/* After each structure that follows the first unit. */
	.ends = 7,
	/* Two units, one of each of the three that are kept. */
	.least = 5,
	.listed = &dmar_tables,
	.good = fuzz_good,
	.parse = fuzz_parse,
	.difference = fuzz_difference,
	.empty = fuzz_empty,
	.free = fuzz_free,
	.generate = fuzz_generate,
	.damage = fuzz_damage,
	.one_of_everything = fuzz_one_of_everything,
};
