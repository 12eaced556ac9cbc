/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest page-table format, v2, for the page-table engine (2.2.6): that of
 * a processor in long mode, with four or five levels.
 *
 * Levels: PTE is level 0, PDE 1, PDPE 2, PML4E 3, PML5E 4.
 *
 * What is mapped can be read: the format has no leaf that may be written and
 * not read, so a mapping for writing alone permits both, as in the processor.
 * U/S is set everywhere, since requests without a PASID count as a user's. NX
 * is set nowhere: only requests with a PASID can ask to execute. A and D are
 * set from the start, so that no unit has to write to the tables. There is no
 * bit that forces an access to snoop.
 */
#ifndef OMNI_AMD_FORMAT_V2_H
#define OMNI_AMD_FORMAT_V2_H

#include <linux/types.h>

#include "regs.h"

#define amd_v2_PENDING		AMD_GPTE_AVL
#define amd_v2_TRACKED		AMD_GPTE_AVL2
#define amd_v2_SETS		0
#define amd_v2_GROWS		0

static __always_inline u64 amd_v2_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | AMD_GPTE_P | AMD_GPTE_US | AMD_GPTE_A | AMD_GPTE_D |
	       (lg2 != AMD_PAGE_LG2 ? AMD_GPTE_PS : 0);
}

static __always_inline u64 amd_v2_table(u64 pa, unsigned int level)
{
	return pa | AMD_GPTE_P | AMD_GPTE_RW | AMD_GPTE_US | AMD_GPTE_A;
}

static __always_inline bool amd_v2_present(u64 entry)
{
	return entry & AMD_GPTE_P;
}

static __always_inline bool amd_v2_is_leaf(u64 entry, unsigned int level)
{
	return !level || entry & AMD_GPTE_PS;
}

static __always_inline unsigned int amd_v2_set(u64 entry, unsigned int level)
{
	return 0;
}

static __always_inline u64 amd_v2_pa(u64 entry)
{
	return entry & AMD_GPTE_ADDR;
}

/* What a marked leaf leaves behind until it is synced: its address and a tag. */
static __always_inline u64 amd_v2_pend(u64 leaf, u32 tag)
{
	return (leaf & (AMD_GPTE_ADDR | AMD_GPTE_PS)) |
	       FIELD_PREP(AMD_GPTE_OURS_LO, tag & 0x3f) |
	       FIELD_PREP(AMD_GPTE_OURS_MID, tag >> 6 & 3) |
	       FIELD_PREP(AMD_GPTE_OURS_HI, tag >> 8);
}

static __always_inline u32 amd_v2_pend_tag(u64 entry)
{
	return FIELD_GET(AMD_GPTE_OURS_LO, entry) | FIELD_GET(AMD_GPTE_OURS_MID, entry) << 6 |
	       FIELD_GET(AMD_GPTE_OURS_HI, entry) << 8;
}

#endif
