/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stage 1 and stage 2 for the page-table engine (DDI 0487, D8.3), with
 * granules of 4K, 16K and 64K, and addresses of at most 48 bits.
 *
 * Levels: the manual's level 3 is level 0 here, its level 0 is level 3. A
 * descriptor's bit 1 is set for a table, and also for a page on level 0. The
 * contiguous bit makes several entries, each with its own address, one leaf
 * for TLBs. Leaves, those in parentheses contiguous:
 *
 *	4K	4K (64K), 2M (32M), 1G
 *	16K	16K (2M), 32M (1G)
 *	64K	64K (2M), 512M (16G)
 *
 * What hardware does not look at (D8.3.1): bits 58:55 of pages, blocks and
 * entries that point to tables; of an entry that is not valid, all but bit 0.
 */
#ifndef OMNI_SMMU_FORMAT_H
#define OMNI_SMMU_FORMAT_H

#include "../include/omniommu.h"
#include "regs.h"

/* Indices into the MAIR of every context descriptor. */
#define SMMU_ATTR_UNCACHED	0
#define SMMU_ATTR_CACHED	1
#define SMMU_ATTR_DEVICE	2

/* D8.6.1: log2 of the entries that the contiguous bit makes one leaf. */
static __always_inline unsigned int smmu_cont_lg2(unsigned int granule, unsigned int level)
{
	return granule == SMMU_4K ? 4 : granule == SMMU_16K && !level ? 7 : 5;
}

static __always_inline bool smmu_is_dirty(u64 entry)
{
	return (entry & (SMMU_PTE_S1_DBM | SMMU_PTE_S1_RDONLY)) == SMMU_PTE_S1_DBM;
}

static __always_inline u64 smmu_cleaned(u64 entry)
{
	return entry | SMMU_PTE_S1_RDONLY;
}

static __always_inline u64 smmu_leaf(unsigned int granule, u64 pa, unsigned int lg2, u64 bits)
{
	return pa | bits | SMMU_PTE_VALID |
	       (lg2 < 2 * granule - 3 ? SMMU_PTE_TABLE : 0) |
	       ((lg2 - granule) % (granule - 3) ? SMMU_PTE_CONT : 0);
}

static __always_inline unsigned int smmu_set(unsigned int granule, u64 entry,
					     unsigned int level)
{
	return entry & SMMU_PTE_CONT ? smmu_cont_lg2(granule, level) : 0;
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

/*
 * With the IOMMU_* that callers give: the unit marks what is written. Such a
 * leaf begins clean.
 */
#define SMMU_PROT_MARKED	BIT(30)

/* Stage 1 knows no page that can be written but not read. */
static __always_inline u64 smmu_stage1_bits(int prot)
{
	u64 attr = prot & IOMMU_MMIO ? SMMU_ATTR_DEVICE :
		   prot & IOMMU_CACHE ? SMMU_ATTR_CACHED : SMMU_ATTR_UNCACHED;

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return 0;
	return FIELD_PREP(SMMU_PTE_S1_ATTR, attr) | smmu_share(prot) | SMMU_PTE_S1_NG |
	       (!(prot & IOMMU_WRITE) ? SMMU_PTE_S1_RDONLY :
		prot & SMMU_PROT_MARKED ? SMMU_PTE_S1_RDONLY | SMMU_PTE_S1_DBM : 0) |
	       (prot & IOMMU_PRIV ? 0 : SMMU_PTE_S1_USER);
}

static __always_inline u64 smmu_stage2_bits(int prot)
{
	u64 attr = prot & IOMMU_MMIO ? SMMU_S2_DEVICE :
		   prot & IOMMU_CACHE ? SMMU_S2_CACHED : SMMU_S2_UNCACHED;

	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return 0;
	return FIELD_PREP(SMMU_PTE_S2_ATTR, attr) | smmu_share(prot) |
	       (prot & IOMMU_READ ? SMMU_PTE_S2_READ : 0) |
	       (prot & IOMMU_WRITE ? SMMU_PTE_S2_WRITE : 0);
}

/*
 * What a marked page or block leaves behind until it is synced: its address
 * and a tag. Bit 1 stays clear, as in a block.
 */
static __always_inline u64 smmu_pend(u64 leaf, u32 tag)
{
	return (leaf & SMMU_PTE_ADDR) | FIELD_PREP(SMMU_PTE_OURS_LO, tag & 0x3ff) |
	       FIELD_PREP(SMMU_PTE_OURS_HI, tag >> 10);
}

static __always_inline u32 smmu_pend_tag(u64 entry)
{
	return FIELD_GET(SMMU_PTE_OURS_LO, entry) | FIELD_GET(SMMU_PTE_OURS_HI, entry) << 10;
}

/* Stages and granules differ in nothing else that the engine asks for. */
#define SMMU_FORMAT(name, granule)							\
static __always_inline u64 name##_leaf(u64 pa, unsigned int lg2, u64 bits)		\
{											\
	return smmu_leaf(granule, pa, lg2, bits);					\
}											\
											\
static __always_inline unsigned int name##_set(u64 entry, unsigned int level)		\
{											\
	return smmu_set(granule, entry, level);						\
}											\
											\
static __always_inline u64 name##_table(u64 pa, unsigned int level)			\
{											\
	return smmu_table(pa, level);							\
}											\
											\
static __always_inline bool name##_present(u64 entry)					\
{											\
	return smmu_present(entry);							\
}											\
											\
static __always_inline bool name##_is_leaf(u64 entry, unsigned int level)		\
{											\
	return smmu_is_leaf(entry, level);						\
}											\
											\
static __always_inline u64 name##_pa(u64 entry)						\
{											\
	return smmu_pa(entry);								\
}											\
											\
static __always_inline bool name##_is_dirty(u64 entry)					\
{											\
	return smmu_is_dirty(entry);							\
}											\
											\
static __always_inline u64 name##_cleaned(u64 entry)					\
{											\
	return smmu_cleaned(entry);							\
}											\
											\
static __always_inline u64 name##_pend(u64 leaf, u32 tag)				\
{											\
	return smmu_pend(leaf, tag);							\
}											\
											\
static __always_inline u32 name##_pend_tag(u64 entry)					\
{											\
	return smmu_pend_tag(entry);							\
}											\
											\
static const u64 __maybe_unused name##_PENDING = SMMU_PTE_IGN;				\
static const u64 __maybe_unused name##_TRACKED = SMMU_PTE_IGN2;				\
enum { name##_SETS = SET_OWN, name##_GROWS = 0 }

SMMU_FORMAT(smmu_s1, SMMU_4K);
SMMU_FORMAT(smmu_s1_16k, SMMU_16K);
SMMU_FORMAT(smmu_s1_64k, SMMU_64K);
SMMU_FORMAT(smmu_s2, SMMU_4K);
SMMU_FORMAT(smmu_s2_16k, SMMU_16K);
SMMU_FORMAT(smmu_s2_64k, SMMU_64K);

#endif
