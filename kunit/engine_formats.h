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
 * @leaf_levels: bit n set: leaves may be at level n
 * @pa_last: last physical byte an entry can hold
 * @perms: permission bits for read, write, both
 * @leaf_bits: bits a domain may ask for in every leaf
 * @pending: the bit of an entry for a table that is not written back yet
 * @leaf: the specification's leaf
 * @table: the specification's entry that points to a table
 * @is_leaf: does the specification take a present entry for a leaf?
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
	u64 pa_last;
	u64 perms[3];
	u64 leaf_bits;
	u64 pending;
	u64 (*leaf)(u64 pa, unsigned int level, u64 bits);
	u64 (*table)(u64 pa);
	bool (*is_leaf)(u64 entry, unsigned int level);
	u64 (*pa)(u64 entry);
	bool (*present)(u64 entry);
	int (*init)(struct omni_pt *pt);
	void (*fini)(struct omni_pt *pt, struct list_head *tables);
	bool (*empty)(const struct omni_pt *pt);
	int (*map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int level, size_t count,
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

static u64 vtd_ss_spec_leaf(u64 pa, unsigned int level, u64 bits)
{
	return pa | bits | (level ? 0x80 : 0);
}

static u64 vtd_ss_spec_table(u64 pa)
{
	return pa | 3;
}

static bool vtd_ss_spec_is_leaf(u64 entry, unsigned int level)
{
	return !level || entry & 0x80;
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
	.pa_last = 0x000fffffffffffff,
	.perms = { 1, 2, 3 },
	.leaf_bits = 0x800,
	.pending = 0x0010000000000000,
	.leaf = vtd_ss_spec_leaf,
	.table = vtd_ss_spec_table,
	.is_leaf = vtd_ss_spec_is_leaf,
	.pa = vtd_ss_spec_pa,
	.present = vtd_ss_spec_present,
	ENGINE_INSTANCE(vtd_ss),
};

#endif

static const struct engine_format * const engine_formats[] = {
#ifdef CONFIG_X86
	&vtd_ss_format,
#endif
};

#endif
