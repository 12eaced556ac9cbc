/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host page-table format, v1, for the page-table engine (2.2.3).
 *
 * Levels: the specification's level 1 is level 0 here, so that the NEXT of an
 * entry that points to a table is the entry's own level. A leaf larger than
 * what one entry of its level stands for takes all the entries it covers, each
 * with the same value.
 */
#ifndef OMNI_AMD_FORMAT_H
#define OMNI_AMD_FORMAT_H

#include <linux/types.h>

#include "regs.h"

#define amd_v1_PENDING		AMD_PTE_AVL
#define amd_v1_SETS		SET_SAME
#define amd_v1_GROWS		1

static __always_inline u64 amd_v1_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	u64 entry = pa | bits | AMD_PTE_PR;

	if ((lg2 - AMD_PAGE_LG2) % 9 == 0)
		return entry;
	/* Address bits below the page's are set, but for the highest. */
	return entry | FIELD_PREP(AMD_PTE_NEXT, AMD_NEXT_SIZED) |
	       ((BIT_ULL(lg2 - 1) - 1) & AMD_PTE_ADDR);
}

static __always_inline u64 amd_v1_table(u64 pa, unsigned int level)
{
	return pa | AMD_PTE_PR | AMD_PTE_IR | AMD_PTE_IW | FIELD_PREP(AMD_PTE_NEXT, level);
}

static __always_inline bool amd_v1_present(u64 entry)
{
	return entry & AMD_PTE_PR;
}

static __always_inline bool amd_v1_is_leaf(u64 entry, unsigned int level)
{
	u64 next = FIELD_GET(AMD_PTE_NEXT, entry);

	return next == AMD_NEXT_LEAF || next == AMD_NEXT_SIZED;
}

/* A present leaf that takes one entry. */
static __always_inline bool amd_v1_single(u64 entry)
{
	BUILD_BUG_ON(AMD_NEXT_LEAF);
	return !((entry - AMD_PTE_PR) & (AMD_PTE_PR | AMD_PTE_NEXT));
}

static __always_inline unsigned int amd_v1_set(u64 entry, unsigned int level)
{
	if (FIELD_GET(AMD_PTE_NEXT, entry) != AMD_NEXT_SIZED)
		return 0;
	/* The lowest clear address bit is the page's highest offset bit. */
	return ffz(entry | (SZ_4K - 1)) + 1 - (AMD_PAGE_LG2 + 9 * level);
}

static __always_inline u64 amd_v1_pa(u64 entry)
{
	return entry & AMD_PTE_ADDR;
}

static __always_inline bool amd_v1_is_dirty(u64 entry)
{
	return entry & AMD_PTE_D;
}

static __always_inline u64 amd_v1_cleaned(u64 entry)
{
	return entry & ~AMD_PTE_D;
}

#endif
