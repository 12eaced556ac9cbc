// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page-table formats the project has, each an instance of the engine for
 * the engine's suites, beside what the format's specification says an entry
 * looks like: literal bits, so that a slip in a wing's definitions shows.
 *
 * A new format adds one block here, one line to engine_formats[], and one to
 * ENGINE_FORMATS.
 */
#include "engine.h"

#define ENGINE_INSTANCE(fmt)				\
	.init = fmt##_init,				\
	.fini = fmt##_fini,				\
	.empty = fmt##_empty,				\
	.map = fmt##_map,				\
	.unmap = fmt##_unmap,				\
	.iova_to_phys = fmt##_iova_to_phys

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
#define PT_SINGLE	amd_v1_single
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

/* AMD-Vi guest page tables: 48882 r3.08, 2.2.6; AMD64 volume 2, 5.3 and 5.4 */
#include "../amd/format_v2.h"

#define PT_NAME		amd_v2
#include "../include/pgtable_engine.h"
#undef PT_NAME

/* P, U/S, A, D; PS where it is large. */
static u64 amd_v2_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | 0x65 | (lg2 > 12 ? 0x80 : 0);
}

/* P, R/W, U/S, A. */
static u64 amd_v2_spec_table(u64 pa, unsigned int level)
{
	return pa | 0x27;
}

static const struct engine_format amd_v2_format = {
	.name = "amd_v2",
	.min_top = 3,
	.max_top = 4,
	.leaf_levels = BIT(0) | BIT(1) | BIT(2),
	.leaf_sizes = SZ_4K | SZ_2M | SZ_1G,
	.pa_last = 0x000fffffffffffff,
	/* Whatever is mapped can be read. */
	.perms = { 1, 3, 3 },
	/* No execution: nobody asks for it, but it is the one bit to ask for. */
	.leaf_bits = 0x8000000000000000,
	.pending = 0x200,
	.leaf = amd_v2_spec_leaf,
	.table = amd_v2_spec_table,
	.is_leaf = vtd_ss_spec_is_leaf,
	.set = vtd_ss_spec_set,
	.pa = vtd_ss_spec_pa,
	.present = amd_v1_spec_present,
	ENGINE_INSTANCE(amd_v2),
};

/* Arm's stage 1 and stage 2, with all granules: DDI 0487 D8.3, D8.6.1 */
#include "../smmu/format.h"

#define PT_NAME		smmu_s1
#include "../include/pgtable_engine.h"
#undef PT_NAME

#define PT_NAME		smmu_s2
#include "../include/pgtable_engine.h"
#undef PT_NAME

#define PT_NAME		smmu_s1_16k
#define PT_PAGE_LG2	14
#include "../include/pgtable_engine.h"
#undef PT_NAME

#define PT_NAME		smmu_s2_16k
#define PT_PAGE_LG2	14
#include "../include/pgtable_engine.h"
#undef PT_NAME

#define PT_NAME		smmu_s1_64k
#define PT_PAGE_LG2	16
#include "../include/pgtable_engine.h"
#undef PT_NAME

#define PT_NAME		smmu_s2_64k
#define PT_PAGE_LG2	16
#include "../include/pgtable_engine.h"
#undef PT_NAME

static u64 smmu_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	/* A page has bit 1 set, a block has not. 16 of either may be contiguous. */
	switch (lg2) {
	case 12:
		return pa | bits | 3;
	case 16:
		return pa | bits | 0x0010000000000003;
	case 25:
		return pa | bits | 0x0010000000000001;
	}
	return pa | bits | 1;
}

/* 128 pages or 32 blocks of 32M may be contiguous. */
static u64 smmu_16k_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	switch (lg2) {
	case 14:
		return pa | bits | 3;
	case 21:
		return pa | bits | 0x0010000000000003;
	case 30:
		return pa | bits | 0x0010000000000001;
	}
	return pa | bits | 1;
}

/* 32 pages or 32 blocks of 512M may be contiguous. */
static u64 smmu_64k_spec_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	switch (lg2) {
	case 16:
		return pa | bits | 3;
	case 21:
		return pa | bits | 0x0010000000000003;
	case 34:
		return pa | bits | 0x0010000000000001;
	}
	return pa | bits | 1;
}

static u64 smmu_spec_table(u64 pa, unsigned int level)
{
	return pa | 3;
}

static bool smmu_spec_is_leaf(u64 entry, unsigned int level)
{
	return !level || !(entry & 2);
}

static unsigned int smmu_spec_set(u64 entry, unsigned int level)
{
	return entry & 0x0010000000000000 ? 4 : 0;
}

static unsigned int smmu_16k_spec_set(u64 entry, unsigned int level)
{
	return entry & 0x0010000000000000 ? (level ? 5 : 7) : 0;
}

static unsigned int smmu_64k_spec_set(u64 entry, unsigned int level)
{
	return entry & 0x0010000000000000 ? 5 : 0;
}

static u64 smmu_spec_pa(u64 entry)
{
	return entry & 0x0000fffffffff000;
}

static bool smmu_spec_present(u64 entry)
{
	return entry & 1;
}

#define SMMU_SPEC_FORMAT						\
	.own = true,							\
	.pa_last = 0x0000ffffffffffff,					\
	.leaf_bits = 0x0040000000000000,				\
	.pending = 0x0080000000000000,					\
	.table = smmu_spec_table,					\
	.is_leaf = smmu_spec_is_leaf,					\
	.pa = smmu_spec_pa,						\
	.present = smmu_spec_present

#define SMMU_SPEC_4K							\
	.leaf_levels = BIT(0) | BIT(1) | BIT(2),			\
	.leaf_sizes = SZ_4K | SZ_64K | SZ_2M | SZ_32M | SZ_1G,		\
	.leaf = smmu_spec_leaf,						\
	.set = smmu_spec_set,						\
	SMMU_SPEC_FORMAT

#define SMMU_SPEC_16K							\
	.page_lg2 = 14,							\
	.width = 48,							\
	.leaf_levels = BIT(0) | BIT(1),					\
	.leaf_sizes = SZ_16K | SZ_2M | SZ_32M | SZ_1G,			\
	.leaf = smmu_16k_spec_leaf,					\
	.set = smmu_16k_spec_set,					\
	SMMU_SPEC_FORMAT

#define SMMU_SPEC_64K							\
	.page_lg2 = 16,							\
	.width = 48,							\
	.leaf_levels = BIT(0) | BIT(1),					\
	.leaf_sizes = SZ_64K | SZ_2M | SZ_512M | SZ_16G,		\
	.leaf = smmu_64k_spec_leaf,					\
	.set = smmu_64k_spec_set,					\
	SMMU_SPEC_FORMAT

/* AF, nG, unprivileged; cached and read-only, cached, uncached */
#define SMMU_SPEC_S1	.perms = { 0xfc4, 0xf44, 0xe40 }
/* AF, cached; readable, writable, both */
#define SMMU_SPEC_S2	.perms = { 0x77c, 0x7bc, 0x7fc }

static const struct engine_format smmu_s1_format = {
	.name = "smmu_stage_1",
	.min_top = 2,
	.max_top = 3,
	SMMU_SPEC_S1,
	SMMU_SPEC_4K,
	ENGINE_INSTANCE(smmu_s1),
};

static const struct engine_format smmu_s2_format = {
	.name = "smmu_stage_2",
	.min_top = 2,
	.max_top = 3,
	SMMU_SPEC_S2,
	SMMU_SPEC_4K,
	ENGINE_INSTANCE(smmu_s2),
};

/* Stage 1 has a fourth level with two entries; stage 2 may not begin with one. */
static const struct engine_format smmu_s1_16k_format = {
	.name = "smmu_stage_1_16k",
	.min_top = 3,
	.max_top = 3,
	SMMU_SPEC_S1,
	SMMU_SPEC_16K,
	ENGINE_INSTANCE(smmu_s1_16k),
};

static const struct engine_format smmu_s2_16k_format = {
	.name = "smmu_stage_2_16k",
	.min_top = 1,
	.max_top = 2,
	SMMU_SPEC_S2,
	SMMU_SPEC_16K,
	ENGINE_INSTANCE(smmu_s2_16k),
};

static const struct engine_format smmu_s1_64k_format = {
	.name = "smmu_stage_1_64k",
	.min_top = 2,
	.max_top = 2,
	SMMU_SPEC_S1,
	SMMU_SPEC_64K,
	ENGINE_INSTANCE(smmu_s1_64k),
};

static const struct engine_format smmu_s2_64k_format = {
	.name = "smmu_stage_2_64k",
	.min_top = 1,
	.max_top = 1,
	SMMU_SPEC_S2,
	SMMU_SPEC_64K,
	ENGINE_INSTANCE(smmu_s2_64k),
};

const struct engine_format * const engine_formats[ENGINE_FORMATS] = {
	&vtd_ss_format,
	&amd_v1_format,
	&amd_v2_format,
	&smmu_s1_format,
	&smmu_s2_format,
	&smmu_s1_16k_format,
	&smmu_s2_16k_format,
	&smmu_s1_64k_format,
	&smmu_s2_64k_format,
};
