/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The second-stage format for the page-table engine (VT-d r3.1, 3.7 and 9.8).
 *
 * Levels: the specification's SL-PTE is level 0, SL-PDE 1, SL-PDPE 2, SL-PML4E
 * 3, SL-PML5E 4.
 */
#ifndef OMNI_VTD_FORMAT_H
#define OMNI_VTD_FORMAT_H

#include <linux/bitfield.h>
#include <linux/types.h>

#include "regs.h"

#define vtd_ss_PENDING		VTD_SS_IGN
#define vtd_ss_TRACKED		VTD_SS_IGN2
#define vtd_ss_SETS		0
#define vtd_ss_GROWS		0

static __always_inline u64 vtd_ss_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | (lg2 != VTD_PAGE_LG2 ? VTD_SS_PS : 0);
}

static __always_inline u64 vtd_ss_table(u64 pa, unsigned int level)
{
	return pa | VTD_SS_R | VTD_SS_W;
}

static __always_inline bool vtd_ss_present(u64 entry)
{
	return entry & (VTD_SS_R | VTD_SS_W);
}

static __always_inline bool vtd_ss_is_leaf(u64 entry, unsigned int level)
{
	return !level || entry & VTD_SS_PS;
}

static __always_inline unsigned int vtd_ss_set(u64 entry, unsigned int level)
{
	return 0;
}

static __always_inline u64 vtd_ss_pa(u64 entry)
{
	return entry & VTD_SS_ADDR;
}

/* What a marked leaf leaves behind until it is synced: its address and a tag. */
static __always_inline u64 vtd_ss_pend(u64 leaf, u32 tag)
{
	return (leaf & (VTD_SS_ADDR | VTD_SS_PS)) |
	       FIELD_PREP(VTD_SS_OURS_LO, tag & 0xf) |
	       FIELD_PREP(VTD_SS_OURS_MID, tag >> 4 & 0xf) |
	       FIELD_PREP(VTD_SS_OURS_HI, tag >> 8);
}

static __always_inline u32 vtd_ss_pend_tag(u64 entry)
{
	return FIELD_GET(VTD_SS_OURS_LO, entry) | FIELD_GET(VTD_SS_OURS_MID, entry) << 4 |
	       FIELD_GET(VTD_SS_OURS_HI, entry) << 8;
}

#endif
