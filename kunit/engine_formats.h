/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table formats the project has, each an instance of the engine for
 * the engine's suite, beside what the format's specification says an entry
 * looks like: literal bits, so that a slip in a wing's definitions shows.
 *
 * A new format adds one block here and one line to engine_formats[].
 */
#ifndef OMNI_KUNIT_ENGINE_FORMATS_H
#define OMNI_KUNIT_ENGINE_FORMATS_H

#include "kunit.h"

/**
 * struct engine_format - one format
 * @name: for names of cases
 * @min_top: highest level of the smallest table
 * @max_top: highest level of the largest table
 * @leaf_levels: bit n set: leaves of one entry may be at level n
 * @leaf_sizes: bit n set: leaves may be of 2^n bytes
 * @own: each entry of a set has the address of its own part
 * @grows: the tree begins with one level and gets more by need
 * @pa_last: last physical byte an entry can hold
 * @perms: permission bits for read, write, both
 * @leaf_bits: bits a domain may ask for in every leaf
 * @pending: the bit of an entry for a table that is not written back yet
 * @leaf: the specification's leaf
 * @table: the specification's entry that points to a table
 * @is_leaf: does the specification take a present entry for a leaf?
 * @set: log2 of the entries that the specification's leaf takes
 * @pa: the specification's address in an entry
 * @present: does the specification take an entry for present?
 * @init: the engine's
 * @fini: the engine's
 * @empty: the engine's
 * @map: the engine's
 * @unmap: the engine's
 * @iova_to_phys: the engine's
 */
struct engine_format {
	const char *name;
	unsigned int min_top;
	unsigned int max_top;
	unsigned int leaf_levels;
	u64 leaf_sizes;
	bool own;
	bool grows;
	u64 pa_last;
	u64 perms[3];
	u64 leaf_bits;
	u64 pending;
	u64 (*leaf)(u64 pa, unsigned int lg2, u64 bits);
	u64 (*table)(u64 pa, unsigned int level);
	bool (*is_leaf)(u64 entry, unsigned int level);
	unsigned int (*set)(u64 entry, unsigned int level);
	u64 (*pa)(u64 entry);
	bool (*present)(u64 entry);
	int (*init)(struct omni_pt *pt);
	void (*fini)(struct omni_pt *pt, struct list_head *tables);
	bool (*empty)(const struct omni_pt *pt);
	int (*map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2, size_t count,
		   u64 bits, gfp_t gfp, size_t *mapped, struct list_head *replaced);
	size_t (*unmap)(struct omni_pt *pt, u64 iova, u64 size, struct list_head *tables);
	phys_addr_t (*iova_to_phys)(const struct omni_pt *pt, u64 iova);
};

#define ENGINE_INSTANCE(fmt)				\
	.init = fmt##_init,				\
	.fini = fmt##_fini,				\
	.empty = fmt##_empty,				\
	.map = fmt##_map,				\
	.unmap = fmt##_unmap,				\
	.iova_to_phys = fmt##_iova_to_phys

#ifdef CONFIG_X86

/* VT-d second stage: r3.1, 9.8, tables 50 to 54 */
#include "../vtd/format.h"

#define PT_NAME		vtd_ss
#include "../include/pgtable_engine.h"
#undef PT_NAME

static u64 vtd_ss_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | (lg2 > 12 ? 0x80 : 0);
}

static u64 vtd_ss_spec_table(u64 pa, unsigned int level)
{
	return pa | 3;
}

static bool vtd_ss_spec_is_leaf(u64 entry, unsigned int level)
{
	return !level || entry & 0x80;
}

static unsigned int vtd_ss_spec_set(u64 entry, unsigned int level)
{
	return 0;
}

static u64 vtd_ss_spec_pa(u64 entry)
{
	return entry & 0x000ffffffffff000;
}

static bool vtd_ss_spec_present(u64 entry)
{
	return entry & 3;
}

static const struct engine_format vtd_ss_format = {
	.name = "vtd_second_stage",
	.min_top = 2,
	.max_top = 4,
	.leaf_levels = BIT(0) | BIT(1) | BIT(2),
	.leaf_sizes = SZ_4K | SZ_2M | SZ_1G,
	.pa_last = 0x000fffffffffffff,
	.perms = { 1, 2, 3 },
	.leaf_bits = 0x800,
	.pending = 0x0010000000000000,
	.leaf = vtd_ss_spec_leaf,
	.table = vtd_ss_spec_table,
	.is_leaf = vtd_ss_spec_is_leaf,
	.set = vtd_ss_spec_set,
	.pa = vtd_ss_spec_pa,
	.present = vtd_ss_spec_present,
	ENGINE_INSTANCE(vtd_ss),
};

/* AMD-Vi host page tables: 48882 r3.08, 2.2.3, figures of PTE and PDE, page sizes */
#include "../amd/format.h"

#define PT_NAME		amd_v1
#include "../include/pgtable_engine.h"
#undef PT_NAME

static u64 amd_v1_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	u64 entry = pa | bits | 1;
	unsigned int bit;

	if (lg2 == 12 || lg2 == 21 || lg2 == 30 || lg2 == 39 || lg2 == 48)
		return entry;
	/* 8K: bit 12 is clear; 16K: 12 set, 13 clear; 32K: 12, 13 set, 14 clear ... */
	for (bit = 12; bit < lg2 - 1; bit++)
		entry |= 1ULL << bit;
	return entry | 0xe00;
}

static u64 amd_v1_spec_table(u64 pa, unsigned int level)
{
	return pa | 0x6000000000000001 | level << 9;
}

static bool amd_v1_spec_is_leaf(u64 entry, unsigned int level)
{
	return !(entry & 0xe00) || (entry & 0xe00) == 0xe00;
}

static unsigned int amd_v1_spec_set(u64 entry, unsigned int level)
{
	unsigned int bit = 12;

	if ((entry & 0xe00) != 0xe00)
		return 0;
	while (entry & (1ULL << bit))
		bit++;
	return bit + 1 - (12 + 9 * level);
}

static u64 amd_v1_spec_pa(u64 entry)
{
	return entry & 0x000ffffffffff000;
}

static bool amd_v1_spec_present(u64 entry)
{
	return entry & 1;
}

static const struct engine_format amd_v1_format = {
	.name = "amd_v1",
	.min_top = 2,
	.max_top = 4,
	.leaf_levels = BIT(0) | BIT(1) | BIT(2),
	.leaf_sizes = GENMASK_ULL(51, 12) & ~BIT_ULL(39),
	.grows = true,
	.pa_last = 0x000fffffffffffff,
	.perms = { 0x2000000000000000, 0x4000000000000000, 0x6000000000000000 },
	.leaf_bits = 0x1000000000000000,
	.pending = 2,
	.leaf = amd_v1_spec_leaf,
	.table = amd_v1_spec_table,
	.is_leaf = amd_v1_spec_is_leaf,
	.set = amd_v1_spec_set,
	.pa = amd_v1_spec_pa,
	.present = amd_v1_spec_present,
	ENGINE_INSTANCE(amd_v1),
};

#endif

static const struct engine_format * const engine_formats[] = {
#ifdef CONFIG_X86
	&vtd_ss_format,
	&amd_v1_format,
#endif
};

#endif
