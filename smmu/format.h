/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage 1 and stage 2 for the page-table engine (DDI 0487, D8.3), with 4K
 * granules.
 *
 * Levels: the manual's level 3 is level 0 here, its level 0 is level 3. A
 * descriptor's bit 1 is set for a table, and also for a page on level 0. The
 * contiguous bit makes 16 entries, each with its own address, one leaf for
 * TLBs: 64K, 32M.
 */
#ifndef OMNI_SMMU_FORMAT_H
#define OMNI_SMMU_FORMAT_H

#include "../include/omniommu.h"
#include "regs.h"

/* Indices into the MAIR of every context descriptor. */
#define SMMU_ATTR_UNCACHED	0
#define SMMU_ATTR_CACHED	1
#define SMMU_ATTR_DEVICE	2

static __always_inline u64 smmu_leaf(u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | SMMU_PTE_VALID |
	       (lg2 < OMNI_PAGE_LG2 + 9 ? SMMU_PTE_TABLE : 0) |
	       ((lg2 - OMNI_PAGE_LG2) % 9 ? SMMU_PTE_CONT : 0);
}

static __always_inline unsigned int smmu_set(u64 entry, unsigned int level)
{
	return entry & SMMU_PTE_CONT ? SMMU_CONT_LG2 : 0;
}

static __always_inline u64 smmu_table(u64 pa, unsigned int level)
{
	return pa | SMMU_PTE_VALID | SMMU_PTE_TABLE;
}

static __always_inline bool smmu_present(u64 entry)
{
	return entry & SMMU_PTE_VALID;
}

static __always_inline bool smmu_is_leaf(u64 entry, unsigned int level)
{
	return !level || !(entry & SMMU_PTE_TABLE);
}

static __always_inline u64 smmu_pa(u64 entry)
{
	return entry & SMMU_PTE_ADDR;
}

/*
 * What does not snoop is shared as far as it goes all the same: the kernel
 * maps such memory so, too.
 */
static __always_inline u64 smmu_share(int prot)
{
	return FIELD_PREP(SMMU_PTE_SH, prot & IOMMU_CACHE ? SMMU_SH_INNER : SMMU_SH_OUTER) |
	       (prot & IOMMU_NOEXEC ? SMMU_PTE_XN : 0) | SMMU_PTE_AF;
}

/* Stage 1 knows no page that can be written but not read. */
static __always_inline u64 smmu_s1_bits(int prot)
{
	u64 attr = prot & IOMMU_MMIO ? SMMU_ATTR_DEVICE :
		   prot & IOMMU_CACHE ? SMMU_ATTR_CACHED : SMMU_ATTR_UNCACHED;

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return 0;
	return FIELD_PREP(SMMU_PTE_S1_ATTR, attr) | smmu_share(prot) | SMMU_PTE_S1_NG |
	       (prot & IOMMU_WRITE ? 0 : SMMU_PTE_S1_RDONLY) |
	       (prot & IOMMU_PRIV ? 0 : SMMU_PTE_S1_USER);
}

static __always_inline u64 smmu_s2_bits(int prot)
{
	u64 attr = prot & IOMMU_MMIO ? SMMU_S2_DEVICE :
		   prot & IOMMU_CACHE ? SMMU_S2_CACHED : SMMU_S2_UNCACHED;

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return 0;
	return FIELD_PREP(SMMU_PTE_S2_ATTR, attr) | smmu_share(prot) |
	       (prot & IOMMU_READ ? SMMU_PTE_S2_READ : 0) |
	       (prot & IOMMU_WRITE ? SMMU_PTE_S2_WRITE : 0);
}

/* The two stages differ in nothing else that the engine asks for. */
#define smmu_s1_PENDING		SMMU_PTE_IGN
#define smmu_s1_SETS		SET_OWN
#define smmu_s1_GROWS		0
#define smmu_s1_set		smmu_set
#define smmu_s1_leaf		smmu_leaf
#define smmu_s1_table		smmu_table
#define smmu_s1_present		smmu_present
#define smmu_s1_is_leaf		smmu_is_leaf
#define smmu_s1_pa		smmu_pa

#define smmu_s2_PENDING		SMMU_PTE_IGN
#define smmu_s2_SETS		SET_OWN
#define smmu_s2_GROWS		0
#define smmu_s2_set		smmu_set
#define smmu_s2_leaf		smmu_leaf
#define smmu_s2_table		smmu_table
#define smmu_s2_present		smmu_present
#define smmu_s2_is_leaf		smmu_is_leaf
#define smmu_s2_pa		smmu_pa

#endif
