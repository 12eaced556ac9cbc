// SPDX-License-Identifier: GPL-2.0-only
/*
 * IORT tables for the firmware suite: generated, damaged, and read once more
 * (DEN 0049, issue E.f).
 */
#include "fuzz.h"
#include "../smmu/smmu.h"
#include "../smmu/iort.h"

#include <linux/module.h>

#define FUZZ_HEADER	48
#define FUZZ_COUNT	36

static char *iort_tables;
module_param(iort_tables, charp, 0444);
MODULE_PARM_DESC(iort_tables, "a file of tables to parse, from scripts/iort_tables.py");

/* What was parsed last. */
static struct smmu_iort fuzz_iort;

bool smmu_iort_heard(const char *name, u32 offset)
{
	return fuzz_heard_of(name, offset);
}

/* The second opinion */

/* The shortest that a node of a type may be; 0 for any that the header fits. */
static unsigned int fuzz_least(u8 type)
{
	static const u8 least[] = { 20, 30, 32, 60, 60, 32, 28 };

	return type < sizeof(least) ? least[type] : 0;
}

/* The node at an offset, NULL if none begins there. */
static const u8 *fuzz_node(const u8 *t, u32 offset)
{
	u32 nr = get_unaligned_le32(t + 36), at = get_unaligned_le32(t + 40);

	for (; nr; nr--, at += get_unaligned_le16(t + at + 1))
		if (at == offset)
			return t + at;
	return NULL;
}

static bool fuzz_fits(const u8 *node, u64 at, u64 nr, u64 size)
{
	return at >= 16 && at + nr * size <= get_unaligned_le16(node + 1);
}

/* Who may send IDs to whom: a row each for ITS, NC, RC, SMMU, SMMUv3, PMCG, RMR. */
static bool fuzz_leads(u8 from, u8 to)
{
	static const char * const rows[] = {
		"-------", "x--xx--", "x--xx--", "x------", "x------", "x------", "---xx--",
	};

	if (from > 6 || to > 6)
		return true;
	return rows[from][to] == 'x';
}

static bool fuzz_mappings_good(const u8 *t, const u8 *node)
{
	u32 nr = get_unaligned_le32(node + 8), at = get_unaligned_le32(node + 12);
	const u8 *map, *to;

	if (!nr)
		return true;
	if (!fuzz_fits(node, at, nr, 20))
		return false;
	for (map = node + at; nr; nr--, map += 20) {
		u64 count = get_unaligned_le32(map + 4);

		if (get_unaligned_le32(map) + count > U32_MAX ||
		    get_unaligned_le32(map + 8) + count > U32_MAX)
			return false;
		to = fuzz_node(t, get_unaligned_le32(map + 12));
		if (!to || !fuzz_leads(node[0], to[0]))
			return false;
	}
	return true;
}

static bool fuzz_inside_good(const u8 *t, const u8 *node)
{
	unsigned int length = get_unaligned_le16(node + 1), i;
	u32 nr, at;
	u64 base;

	switch (node[0]) {
	case 0:
		return fuzz_fits(node, 20, get_unaligned_le32(node + 16), 4);
	case 1:
		for (i = 29; i < length; i++)
			if (!node[i])
				return true;
		return false;
	case 4:
		base = get_unaligned_le64(node + 16);
		return base && !(base & 0xffff) && base <= U64_MAX - 0x1ffff;
	case 5:
		return fuzz_node(t, get_unaligned_le32(node + 28));
	case 6:
		nr = get_unaligned_le32(node + 20);
		at = get_unaligned_le32(node + 24);
		if (nr && !fuzz_fits(node, at, nr, 20))
			return false;
		for (i = 0; i < nr; i++) {
			u64 size = get_unaligned_le64(node + at + i * 20 + 8);

			base = get_unaligned_le64(node + at + i * 20);
			if (!size || base > U64_MAX - (size - 1))
				return false;
		}
	}
	return true;
}

/* No two units have the same registers. */
static bool fuzz_alone(const u8 *t, const u8 *unit)
{
	u32 nr = get_unaligned_le32(t + 36), at = get_unaligned_le32(t + 40);
	u64 base = get_unaligned_le64(unit + 16);

	for (; nr && t + at != unit; nr--, at += get_unaligned_le16(t + at + 1)) {
		u64 other = t[at] == 4 ? get_unaligned_le64(t + at + 16) : base + 0x20000;

		if ((base > other ? base - other : other - base) < 0x20000)
			return false;
	}
	return true;
}

static bool fuzz_good(const u8 *t, unsigned int len)
{
	unsigned int length, at, i, nr;
	u8 sum = 0;

	if (len < FUZZ_HEADER || memcmp(t, "IORT", 4))
		return false;
	length = get_unaligned_le32(t + 4);
	if (length < FUZZ_HEADER || length > len)
		return false;
	for (i = 0; i < length; i++)
		sum += t[i];
	at = get_unaligned_le32(t + 40);
	if (sum || at < FUZZ_HEADER || at > length)
		return false;
	nr = get_unaligned_le32(t + 36);
	for (i = 0; i < nr; i++, at += get_unaligned_le16(t + at + 1)) {
		unsigned int size;

		if (length - at < 16)
			return false;
		size = get_unaligned_le16(t + at + 1);
		if (size < 16 || size > length - at || size < fuzz_least(t[at]))
			return false;
	}
	at = get_unaligned_le32(t + 40);
	for (i = 0; i < nr; i++, at += get_unaligned_le16(t + at + 1))
		if (!fuzz_mappings_good(t, t + at) || !fuzz_inside_good(t, t + at) ||
		    (t[at] == 4 && !fuzz_alone(t, t + at)))
			return false;
	return true;
}

/* Is what was parsed what a good table says, and nothing else? */
static const char *fuzz_difference(const u8 *t)
{
	const struct smmu_iort_unit *u = list_first_entry(&fuzz_iort.units, typeof(*u), node);
	const struct smmu_iort_root *r = list_first_entry(&fuzz_iort.roots, typeof(*r), node);
	u32 nr = get_unaligned_le32(t + 36), at = get_unaligned_le32(t + 40);

	for (; nr; nr--, at += get_unaligned_le16(t + at + 1)) {
		if (t[at] == 4) {
			if (list_entry_is_head(u, &fuzz_iort.units, node) || u->offset != at ||
			    u->base != get_unaligned_le64(t + at + 16))
				return "SMMUv3";
			u = list_next_entry(u, node);
		} else if (t[at] == 2) {
			/* CCA is 1; flags in the last byte: CPM, DACS, CANWBS. */
			bool snoops = get_unaligned_le32(t + at + 16) == 1 && t[at + 23] & 4;

			if (list_entry_is_head(r, &fuzz_iort.roots, node) || r->offset != at ||
			    r->segment != get_unaligned_le32(t + at + 28) || r->snoops != snoops)
				return "root complex";
			r = list_next_entry(r, node);
		}
	}
	if (!list_entry_is_head(u, &fuzz_iort.units, node) ||
	    !list_entry_is_head(r, &fuzz_iort.roots, node))
		return "a node too many";
	return NULL;
}

static bool fuzz_empty(void)
{
	return list_empty(&fuzz_iort.units) && list_empty(&fuzz_iort.roots);
}

static int fuzz_parse(const u8 *table, unsigned int len)
{
	memset(&fuzz_iort, 0xa5, sizeof(fuzz_iort));
	return smmu_iort_parse(&fuzz_iort, table, len);
}

static void fuzz_free(void)
{
	smmu_iort_free(&fuzz_iort);
}

/* Making tables */

/* A node's header; its mappings come last, @nr of them. */
static void fuzz_begin_node(struct fuzz *f, u8 type, unsigned int nr)
{
	fuzz_begin_record(f);
	fuzz_bytes(f, type, 1);
	fuzz_bytes(f, 0, 2);
	fuzz_bytes(f, omni_below(&f->rnd, 6), 1);
	fuzz_bytes(f, f->nr_records - 1, 4);
	fuzz_bytes(f, nr, 4);
	fuzz_bytes(f, 0, 4);
}

static void fuzz_end_node(struct fuzz *f, unsigned int nr, u32 to)
{
	unsigned int start = f->record[f->nr_records - 1];

	put_unaligned_le32(nr ? f->len - start : 0, f->raw + start + 12);
	while (nr--) {
		fuzz_bytes(f, omni_below(&f->rnd, 0x10000), 4);
		fuzz_bytes(f, omni_below(&f->rnd, 0x10000), 4);
		fuzz_bytes(f, omni_below(&f->rnd, 0x10000), 4);
		fuzz_bytes(f, to, 4);
		fuzz_bytes(f, omni_below(&f->rnd, 2), 4);
	}
	fuzz_end_record(f);
	put_unaligned_le32(f->nr_records, f->raw + FUZZ_COUNT);
}

static void fuzz_its(struct fuzz *f)
{
	fuzz_begin_node(f, 0, 0);
	fuzz_bytes(f, 1, 4);
	fuzz_bytes(f, prandom_u32_state(&f->rnd), 4);
	fuzz_end_node(f, 0, 0);
}

/* SMMU or SMMUv3, number @n, in front of the ITS. */
static void fuzz_unit(struct fuzz *f, u8 type, unsigned int n)
{
	unsigned int nr = omni_below(&f->rnd, 2), i;

	fuzz_begin_node(f, type, nr);
	fuzz_bytes(f, 0x9050000ULL - 0x50000 + n * 0x20000, 8);
	for (i = 0; i < 9 + 2 * omni_below(&f->rnd, 2); i++)
		fuzz_bytes(f, prandom_u32_state(&f->rnd), 4);
	fuzz_end_node(f, nr, FUZZ_HEADER);
}

/* Whoever makes accesses or serves others, by type, in front of the node at @to. */
static void fuzz_other(struct fuzz *f, u8 type, unsigned int nr, u32 to)
{
	fuzz_begin_node(f, type, nr);
	switch (type) {
	case 1:
		fuzz_bytes(f, prandom_u32_state(&f->rnd), 4);
		fuzz_bytes(f, 1, 8);
		fuzz_bytes(f, 40, 1);
		fuzz_bytes(f, 0x3042535f5c, 6);		/* "\_SB0" */
		break;
	case 2:
		fuzz_bytes(f, omni_below(&f->rnd, 2), 7);
		fuzz_bytes(f, omni_below(&f->rnd, 8), 1);
		fuzz_bytes(f, omni_below(&f->rnd, 2), 4);
		fuzz_bytes(f, omni_below(&f->rnd, 3), 4);
		fuzz_bytes(f, 48, 4);
		break;
	case 5:
		fuzz_bytes(f, 0x9100000, 8);
		fuzz_bytes(f, 74, 4);
		fuzz_bytes(f, to, 4);
		break;
	case 6:
		fuzz_bytes(f, 1, 4);
		fuzz_bytes(f, 1, 4);
		fuzz_bytes(f, 28, 4);
		fuzz_bytes(f, 0x70000000, 8);
		fuzz_bytes(f, 0x1000 * (1 + omni_below(&f->rnd, 16)), 8);
		fuzz_bytes(f, 0, 4);
		break;
	default:
		fuzz_bytes(f, prandom_u32_state(&f->rnd), 8);
	}
	/* A performance monitor has its interrupts behind an ITS. */
	fuzz_end_node(f, nr, type == 5 ? FUZZ_HEADER : to);
}

static void fuzz_header(struct fuzz *f)
{
	fuzz_acpi(f, "IORT", 6);
	put_unaligned_le32(FUZZ_HEADER, f->raw + 40);
	fuzz_its(f);
}

static void fuzz_generate(struct fuzz *f)
{
	static const u8 others[] = { 1, 2, 2, 5, 6, 7 };
	unsigned int units = 1 + omni_below(&f->rnd, 3), n = omni_below(&f->rnd, 5), i;
	u32 to;

	fuzz_header(f);
	for (i = 0; i < units; i++)
		fuzz_unit(f, omni_below(&f->rnd, 8) ? 4 : 3, i);
	while (n--) {
		to = f->record[1 + omni_below(&f->rnd, units)];
		fuzz_other(f, others[omni_below(&f->rnd, ARRAY_SIZE(others))],
			   omni_below(&f->rnd, 3), to);
	}
	fuzz_end(f);
}

static void fuzz_damage(struct fuzz *f, unsigned int rec, unsigned int length)
{
	static const u32 odd[] = { 0, 1, 15, 16, 20, U32_MAX, 0x7fffffff, 0x10000, FUZZ_HEADER };
	unsigned int at, n;

	switch (omni_below(&f->rnd, 4)) {
	case 0:		/* a node's type */
		f->raw[rec] = omni_below(&f->rnd, 9);
		break;
	case 1:		/* a reference to another node, or near to one */
		n = f->record[omni_below(&f->rnd, f->nr_records)];
		n += omni_below(&f->rnd, 3) ? 0 : 4;
		at = min(rec + length - 8, f->len - 4);
		put_unaligned_le32(n, f->raw + at);
		break;
	default:	/* a number of the node, mappings included */
		n = omni_below(&f->rnd, max(length / 4, 5U));
		at = min(rec + 4 * n, f->len - 4);
		put_unaligned_le32(odd[omni_below(&f->rnd, ARRAY_SIZE(odd))], f->raw + at);
		break;
	}
}

/* An ITS, a unit, and one of every kind that there is besides. */
static void fuzz_one_of_everything(struct fuzz *f)
{
	u32 to;

	do {
		fuzz_header(f);
		fuzz_unit(f, 4, 0);
		to = f->record[1];
		fuzz_other(f, 1, 0, to);
		fuzz_other(f, 2, 1, to);
		fuzz_other(f, 5, 0, to);
		fuzz_other(f, 6, 1, to);
		fuzz_end(f);
	} while (f->len > 340);
}

const struct fuzz_format fuzz_smmu = {
	.name = "smmu",
	.header = FUZZ_HEADER,
	.length = 1,
	.slack = 20,
	.count = FUZZ_COUNT,
	/* The header says how many nodes there are. */
	.ends = 0,
	/* A unit, a root complex. */
	.least = 2,
	.good = fuzz_good,
	.parse = fuzz_parse,
	.difference = fuzz_difference,
	.empty = fuzz_empty,
	.free = fuzz_free,
	.generate = fuzz_generate,
	.damage = fuzz_damage,
	.one_of_everything = fuzz_one_of_everything,
	.listed = &iort_tables,
};
