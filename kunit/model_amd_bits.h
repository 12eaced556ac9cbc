/* SPDX-License-Identifier: GPL-2.0-only */
/* What an AMD-Vi unit finds in memory, in the specification's bits (48882 r3.08). */
#ifndef OMNI_MODEL_AMD_BITS_H
#define OMNI_MODEL_AMD_BITS_H

#include "model_amd.h"

/* 2.2.2.1: the first 128 bits of a device table entry. */
#define DTE0_V			BIT_ULL(0)
#define DTE0_TV			BIT_ULL(1)
#define DTE0_RESERVED		(GENMASK_ULL(6, 2) | BIT_ULL(63))
#define DTE0_HAD(x)		(((x) >> 7) & 3)
#define DTE0_MODE(x)		(((x) >> 9) & 7)
#define DTE0_ROOT(x)		((x) & GENMASK_ULL(51, 12))
#define DTE0_GUEST		GENMASK_ULL(60, 52)
#define DTE0_PPR		GENMASK_ULL(53, 52)
#define DTE0_GIOV		BIT_ULL(54)
#define DTE0_GV			BIT_ULL(55)
#define DTE0_GLX(x)		(((x) >> 56) & 3)
#define DTE0_IR			BIT_ULL(61)
#define DTE0_IW			BIT_ULL(62)
#define DTE1_DOMAIN(x)		((x) & 0xffff)
#define DTE1_GUEST		(GENMASK_ULL(31, 16) | GENMASK_ULL(63, 43))
#define DTE1_I			BIT_ULL(32)
#define DTE1_SE			BIT_ULL(33)
#define DTE1_SA			BIT_ULL(34)
#define DTE1_EX			BIT_ULL(39)
#define DTE2_IV			BIT_ULL(0)
#define DTE2_RESERVED		GENMASK_ULL(53, 1)	/* while IV is clear */
#define DTE2_GUEST_MODE(x)	(((x) >> 54) & 3)

/* 2.2.3: an entry of a page table. */
#define PTE_PR			BIT_ULL(0)
#define PTE_A			BIT_ULL(5)
#define PTE_D			BIT_ULL(6)
#define PTE_NEXT(x)		(((x) >> 9) & 7)
#define PTE_ADDR(x)		((x) & GENMASK_ULL(51, 12))
#define PTE_FC			BIT_ULL(60)
#define PTE_IR			BIT_ULL(61)
#define PTE_IW			BIT_ULL(62)
#define PDE_RESERVED		GENMASK_ULL(60, 52)
#define PTE_RESERVED		GENMASK_ULL(58, 52)
#define PTE_SOFTWARE		(GENMASK_ULL(4, 1) | GENMASK_ULL(8, 7) | BIT_ULL(63))

/* 2.2.6: an entry of a guest page table. */
#define GPTE_P			BIT_ULL(0)
#define GPTE_RW			BIT_ULL(1)
#define GPTE_US			BIT_ULL(2)
#define GPTE_A			BIT_ULL(5)
#define GPTE_D			BIT_ULL(6)
#define GPTE_PS			BIT_ULL(7)
#define GPTE_NX			BIT_ULL(63)
#define GCR3_RESERVED		(GENMASK_ULL(63, 52) | GENMASK_ULL(11, 1))

/* 2.2.2.1: the GCR3 table, in three parts. */
static inline u64 amd_dte_gcr3(const u64 *dte)
{
	return (dte[0] >> 58 & 7) << 12 | (dte[1] >> 16 & 0xffff) << 15 | dte[1] >> 43 << 31;
}

/* Does an entry lead to page tables? */
static inline bool amd_dte_translates(const u64 *dte)
{
	return DTE0_MODE(dte[0]) || dte[0] & DTE0_GV;
}

static inline u32 amd_dte_space(const u64 *dte)
{
	return dte[0] & DTE0_GV ? AMD_MODEL_PASID_0 : 0;
}

static inline unsigned int amd_dte_levels(const u64 *dte)
{
	return dte[0] & DTE0_GV ? 4 + DTE2_GUEST_MODE(dte[2]) : DTE0_MODE(dte[0]);
}

/* Where tables begin that an entry leads to. */
static inline u64 amd_dte_tables(const u64 *dte)
{
	return dte[0] & DTE0_GV ? amd_dte_gcr3(dte) : DTE0_ROOT(dte[0]);
}

#endif
