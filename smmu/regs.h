/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SMMUv3 registers and in-memory structures, in the order of the "Arm System
 * Memory Management Unit Architecture Specification, SMMU architecture
 * version 3" (IHI 0070). Chapters are that document's; the formats of page
 * tables are the "Arm Architecture Reference Manual"'s (DDI 0487), chapter D8.
 */
#ifndef OMNI_SMMU_REGS_H
#define OMNI_SMMU_REGS_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

/* log2 of the granules there are */
#define SMMU_4K			12
#define SMMU_16K		14
#define SMMU_64K		16

/* DDI 0487 D8.3: descriptors, 48 bits of output address */
#define SMMU_PTE_VALID		BIT_ULL(0)
#define SMMU_PTE_TABLE		BIT_ULL(1)	/* at level 0: a page, not reserved */
#define SMMU_PTE_S1_ATTR	GENMASK_ULL(4, 2)
#define SMMU_PTE_S2_ATTR	GENMASK_ULL(5, 2)
#define  SMMU_S2_DEVICE		0x1
#define  SMMU_S2_UNCACHED	0x5
#define  SMMU_S2_CACHED		0xf
#define SMMU_PTE_S1_USER	BIT_ULL(6)
#define SMMU_PTE_S1_RDONLY	BIT_ULL(7)
#define SMMU_PTE_S2_READ	BIT_ULL(6)
#define SMMU_PTE_S2_WRITE	BIT_ULL(7)
#define SMMU_PTE_SH		GENMASK_ULL(9, 8)
#define SMMU_PTE_AF		BIT_ULL(10)
#define SMMU_PTE_S1_NG		BIT_ULL(11)
#define SMMU_PTE_ADDR		GENMASK_ULL(47, 12)
#define SMMU_PTE_S1_DBM		BIT_ULL(51)	/* read-only: clean, a write makes it writable */
#define SMMU_PTE_CONT		BIT_ULL(52)
#define SMMU_PTE_XN		BIT_ULL(54)
#define SMMU_PTE_IGN		BIT_ULL(55)	/* of 58:55, ignored */
#define SMMU_PTE_IGN2		BIT_ULL(56)	/* likewise */
/* Of an entry that is not valid, all but bit 0 is ignored. */
#define SMMU_PTE_OURS_LO	GENMASK_ULL(11, 2)
#define SMMU_PTE_OURS_HI	GENMASK_ULL(57, 48)

/* Shareability, wherever it is asked for */
#define SMMU_SH_NONE		0
#define SMMU_SH_OUTER		2
#define SMMU_SH_INNER		3
/* Cacheability of walks, in STE, CD and VTCR */
#define SMMU_WALK_UNCACHED	0
#define SMMU_WALK_CACHED	1

/* Chapter 4, commands: 128 bits */
struct smmu_cmd {
	__le64 lo;
	__le64 hi;
};

#define SMMU_CMD_OP		GENMASK_ULL(7, 0)
#define SMMU_CMD_SID		GENMASK_ULL(63, 32)

/* 4.3 Configuration structures */
#define  SMMU_OP_CFGI_STE	0x03
#define  SMMU_OP_CFGI_RANGE	0x04
#define SMMU_CFGI_HI_LEAF	BIT_ULL(0)
#define SMMU_CFGI_HI_RANGE	GENMASK_ULL(4, 0)
#define  SMMU_CFGI_ALL		31

/* 4.4 TLBs */
#define  SMMU_OP_TLBI_NH_ASID	0x11
#define  SMMU_OP_TLBI_NH_VA	0x12
#define  SMMU_OP_TLBI_EL2_ALL	0x20
#define  SMMU_OP_TLBI_S12_VMALL	0x28
#define  SMMU_OP_TLBI_S2_IPA	0x2a
#define  SMMU_OP_TLBI_NSNH_ALL	0x30
#define SMMU_TLBI_NUM		GENMASK_ULL(16, 12)
#define SMMU_TLBI_SCALE		GENMASK_ULL(24, 20)
#define SMMU_TLBI_VMID		GENMASK_ULL(47, 32)
#define SMMU_TLBI_ASID		GENMASK_ULL(63, 48)
#define SMMU_TLBI_HI_LEAF	BIT_ULL(0)
#define SMMU_TLBI_HI_TTL	GENMASK_ULL(9, 8)
#define SMMU_TLBI_HI_TG		GENMASK_ULL(11, 10)
#define  SMMU_TG(granule)	(((granule) - SMMU_4K) / 2 + 1)
#define SMMU_TLBI_HI_ADDR	GENMASK_ULL(63, 12)

/* 4.5 Device TLBs */
#define  SMMU_OP_ATC_INV	0x40
#define SMMU_ATC_HI_SIZE	GENMASK_ULL(5, 0)
#define  SMMU_ATC_ALL		52

/* 4.6 Stalled transactions; synchronization */
#define  SMMU_OP_RESUME		0x44
#define SMMU_RESUME_RESP	GENMASK_ULL(13, 12)
#define  SMMU_RESUME_ABORT	2
#define SMMU_RESUME_HI_STAG	GENMASK_ULL(15, 0)
#define  SMMU_OP_SYNC		0x46
#define SMMU_SYNC_CS		GENMASK_ULL(13, 12)
#define  SMMU_CS_NONE		0
#define  SMMU_CS_IRQ		1	/* with an address: write there */
#define  SMMU_CS_SEV		2	/* wake who waits for an event */
#define SMMU_SYNC_MSH		GENMASK_ULL(23, 22)
#define SMMU_SYNC_MSIATTR	GENMASK_ULL(27, 24)
#define  SMMU_SYNC_CACHED	0xf
#define SMMU_SYNC_MSIDATA	GENMASK_ULL(63, 32)
#define SMMU_SYNC_HI_MSIADDR	GENMASK_ULL(51, 2)

/* 5.1 Level 1 stream table descriptor */
#define SMMU_L1STD_SPAN		GENMASK_ULL(4, 0)
#define SMMU_L1STD_L2PTR	GENMASK_ULL(51, 6)

/* 5.2 Stream table entry */
struct smmu_ste {
	__le64 q[8];
};

#define SMMU_STE0_V		BIT_ULL(0)
#define SMMU_STE0_CONFIG	GENMASK_ULL(3, 1)
#define  SMMU_CONFIG_ABORT	0
#define  SMMU_CONFIG_BYPASS	4
#define  SMMU_CONFIG_S1		5
#define  SMMU_CONFIG_S2		6
#define SMMU_STE0_S1CTX		GENMASK_ULL(51, 6)
#define SMMU_STE0_S1CDMAX	GENMASK_ULL(63, 59)
#define SMMU_STE1_S1CIR		GENMASK_ULL(3, 2)
#define SMMU_STE1_S1COR		GENMASK_ULL(5, 4)
#define SMMU_STE1_S1CSH		GENMASK_ULL(7, 6)
#define SMMU_STE1_S1STALLD	BIT_ULL(27)
#define SMMU_STE1_EATS		GENMASK_ULL(29, 28)
#define  SMMU_EATS_ON		1
#define SMMU_STE1_STRW		GENMASK_ULL(31, 30)
#define SMMU_STE1_SHCFG		GENMASK_ULL(45, 44)
#define  SMMU_SHCFG_INCOMING	1
#define SMMU_STE2_S2VMID	GENMASK_ULL(15, 0)
#define SMMU_STE2_S2T0SZ	GENMASK_ULL(37, 32)
#define SMMU_STE2_S2SL0		GENMASK_ULL(39, 38)
#define SMMU_STE2_S2IR0		GENMASK_ULL(41, 40)
#define SMMU_STE2_S2OR0		GENMASK_ULL(43, 42)
#define SMMU_STE2_S2SH0		GENMASK_ULL(45, 44)
#define SMMU_STE2_S2TG		GENMASK_ULL(47, 46)
#define SMMU_STE2_S2PS		GENMASK_ULL(50, 48)
#define SMMU_STE2_S2AA64	BIT_ULL(51)
#define SMMU_STE2_S2PTW		BIT_ULL(54)
#define SMMU_STE2_S2R		BIT_ULL(58)
#define SMMU_STE3_S2TTB		GENMASK_ULL(51, 4)

/* 5.4 Context descriptor */
struct smmu_cd {
	__le64 q[8];
};

#define SMMU_CD0_T0SZ		GENMASK_ULL(5, 0)
#define SMMU_CD0_TG0		GENMASK_ULL(7, 6)	/* also of STE2_S2TG */
#define  SMMU_TG0_4K		0
#define  SMMU_TG0_64K		1
#define  SMMU_TG0_16K		2
#define SMMU_CD0_IR0		GENMASK_ULL(9, 8)
#define SMMU_CD0_OR0		GENMASK_ULL(11, 10)
#define SMMU_CD0_SH0		GENMASK_ULL(13, 12)
#define SMMU_CD0_EPD1		BIT_ULL(30)
#define SMMU_CD0_V		BIT_ULL(31)
#define SMMU_CD0_IPS		GENMASK_ULL(34, 32)
#define SMMU_CD0_AA64		BIT_ULL(41)
#define SMMU_CD0_HD		BIT_ULL(42)
#define SMMU_CD0_HA		BIT_ULL(43)
#define SMMU_CD0_S		BIT_ULL(44)
#define SMMU_CD0_R		BIT_ULL(45)
#define SMMU_CD0_A		BIT_ULL(46)
#define SMMU_CD0_ASET		BIT_ULL(47)
#define SMMU_CD0_ASID		GENMASK_ULL(63, 48)
#define SMMU_CD1_TTB0		GENMASK_ULL(51, 4)
/* q[3] is MAIR: a byte of memory attributes for each SMMU_PTE_S1_ATTR */
#define SMMU_MAIR_UNCACHED	0x44ULL
#define SMMU_MAIR_CACHED	0xffULL
#define SMMU_MAIR_DEVICE	0x04ULL

/* 6.3 Registers, non-secure, 32 bits unless said otherwise */
#define SMMU_IDR0		0x0000
#define SMMU_IDR0_S2P		BIT(0)
#define SMMU_IDR0_S1P		BIT(1)
#define SMMU_IDR0_TTF		GENMASK(3, 2)
#define  SMMU_TTF_AARCH64	2	/* a bit: 3 has AArch32, too */
#define SMMU_IDR0_COHACC	BIT(4)
#define SMMU_IDR0_HTTU		GENMASK(7, 6)
#define  SMMU_HTTU_DIRTY	2
#define SMMU_IDR0_HYP		BIT(9)
#define SMMU_IDR0_ATS		BIT(10)
#define SMMU_IDR0_ASID16	BIT(12)
#define SMMU_IDR0_MSI		BIT(13)
#define SMMU_IDR0_SEV		BIT(14)
#define SMMU_IDR0_VMID16	BIT(18)
#define SMMU_IDR0_TTENDIAN	GENMASK(22, 21)
#define  SMMU_TTENDIAN_BIG	3
#define SMMU_IDR0_STALL_MODEL	GENMASK(25, 24)
#define  SMMU_STALL_OPTIONAL	0
#define  SMMU_STALL_FORCED	2
#define SMMU_IDR0_ST_LEVEL	GENMASK(28, 27)
#define  SMMU_ST_TWO_LEVEL	1

#define SMMU_IDR1		0x0004
#define SMMU_IDR1_SIDSIZE	GENMASK(5, 0)
#define SMMU_IDR1_EVENTQS	GENMASK(20, 16)
#define SMMU_IDR1_CMDQS		GENMASK(25, 21)
#define SMMU_IDR1_ATTR_TYPES_OVR BIT(27)
#define SMMU_IDR1_REL		BIT(28)
#define SMMU_IDR1_QUEUES_PRESET	BIT(29)
#define SMMU_IDR1_TABLES_PRESET	BIT(30)

#define SMMU_IDR3		0x000c
#define SMMU_IDR3_RIL		BIT(10)

#define SMMU_IDR5		0x0014
#define SMMU_IDR5_OAS		GENMASK(2, 0)
#define SMMU_IDR5_GRAN4K	BIT(4)
#define SMMU_IDR5_GRAN16K	BIT(5)
#define SMMU_IDR5_GRAN64K	BIT(6)

#define SMMU_IIDR		0x0018
#define SMMU_AIDR		0x001c

#define SMMU_CR0		0x0020
#define SMMU_CR0ACK		0x0024
#define SMMU_CR0_SMMUEN		BIT(0)
#define SMMU_CR0_PRIQEN		BIT(1)
#define SMMU_CR0_EVENTQEN	BIT(2)
#define SMMU_CR0_CMDQEN		BIT(3)
#define SMMU_CR0_ATSCHK		BIT(4)

#define SMMU_CR1		0x0028
#define SMMU_CR1_QUEUE_IC	GENMASK(1, 0)
#define SMMU_CR1_QUEUE_OC	GENMASK(3, 2)
#define SMMU_CR1_QUEUE_SH	GENMASK(5, 4)
#define SMMU_CR1_TABLE_IC	GENMASK(7, 6)
#define SMMU_CR1_TABLE_OC	GENMASK(9, 8)
#define SMMU_CR1_TABLE_SH	GENMASK(11, 10)

#define SMMU_CR2		0x002c
#define SMMU_CR2_RECINVSID	BIT(1)
#define SMMU_CR2_PTM		BIT(2)

#define SMMU_IRQ_CTRL		0x0050
#define SMMU_IRQ_CTRLACK	0x0054
#define SMMU_IRQ_GERROR		BIT(0)
#define SMMU_IRQ_EVENTQ		BIT(2)

#define SMMU_GERROR		0x0060
#define SMMU_GERRORN		0x0064
#define SMMU_GERROR_CMDQ	BIT(0)
#define SMMU_GERROR_EVENTQ	BIT(2)
#define SMMU_GERROR_PRIQ	BIT(3)
#define SMMU_GERROR_MSI_CMDQ	BIT(4)
#define SMMU_GERROR_MSI_EVENTQ	BIT(5)
#define SMMU_GERROR_MSI_PRIQ	BIT(6)
#define SMMU_GERROR_MSI_GERROR	BIT(7)
#define SMMU_GERROR_SFM		BIT(8)

#define SMMU_GERROR_IRQ_CFG	0x0068
/* Of each interrupt: address (64 bits), data, attributes */
#define SMMU_IRQ_CFG_ADDR	GENMASK_ULL(51, 2)
#define SMMU_IRQ_CFG_DATA	0x8
#define SMMU_IRQ_CFG_ATTR	0xc
#define  SMMU_ATTR_DEVICE_NGNRE	0x1

#define SMMU_STRTAB_BASE	0x0080	/* 64 bits */
#define SMMU_STRTAB_BASE_RA	BIT_ULL(62)
#define SMMU_STRTAB_BASE_CFG	0x0088
#define SMMU_STRTAB_LOG2SIZE	GENMASK(5, 0)
#define SMMU_STRTAB_SPLIT	GENMASK(10, 6)
#define SMMU_STRTAB_FMT		GENMASK(17, 16)

#define SMMU_CMDQ_BASE		0x0090	/* 64 bits */
#define SMMU_CMDQ_PROD		0x0098
#define SMMU_CMDQ_CONS		0x009c
#define SMMU_CMDQ_CONS_ERR	GENMASK(30, 24)
#define  SMMU_CERROR_ILL	1
#define  SMMU_CERROR_ABT	2
#define  SMMU_CERROR_ATC_INV	3

#define SMMU_EVENTQ_BASE	0x00a0	/* 64 bits */
#define SMMU_EVENTQ_IRQ_CFG	0x00b0
#define SMMU_QUEUE_BASE_RWA	BIT_ULL(62)
#define SMMU_QUEUE_BASE_LOG2	GENMASK_ULL(4, 0)

#define SMMU_PAGE0_SIZE		0x0e00
/* Page 1 is 64K behind page 0 */
#define SMMU_PAGE1		0x10000
#define SMMU_EVENTQ_PROD	(SMMU_PAGE1 + 0x00a8)
#define SMMU_EVENTQ_CONS	(SMMU_PAGE1 + 0x00ac)
#define SMMU_QUEUE_OVERFLOW	BIT(31)

/* 7.3 Events: 256 bits */
struct smmu_event {
	__le64 q[4];
};

#define SMMU_EVENT0_ID		GENMASK_ULL(7, 0)
#define  SMMU_EVENT_UUT		0x01
#define  SMMU_EVENT_BAD_SID	0x02
#define  SMMU_EVENT_STE_FETCH	0x03
#define  SMMU_EVENT_BAD_STE	0x04
#define  SMMU_EVENT_BAD_ATS	0x05
#define  SMMU_EVENT_DISABLED	0x06
#define  SMMU_EVENT_FORBIDDEN	0x07
#define  SMMU_EVENT_BAD_SSID	0x08
#define  SMMU_EVENT_CD_FETCH	0x09
#define  SMMU_EVENT_BAD_CD	0x0a
#define  SMMU_EVENT_WALK	0x0b
#define  SMMU_EVENT_TRANSLATION	0x10
#define  SMMU_EVENT_ADDR_SIZE	0x11
#define  SMMU_EVENT_ACCESS	0x12
#define  SMMU_EVENT_PERMISSION	0x13
#define  SMMU_EVENT_TLB_CONFLICT 0x20
#define  SMMU_EVENT_CFG_CONFLICT 0x21
#define SMMU_EVENT0_SID		GENMASK_ULL(63, 32)
#define SMMU_EVENT1_STAG	GENMASK_ULL(15, 0)
#define SMMU_EVENT1_STALL	BIT_ULL(31)
#define SMMU_EVENT1_READ	BIT_ULL(35)
#define SMMU_EVENT1_CLASS	GENMASK_ULL(41, 40)
#define  SMMU_CLASS_INPUT	2

#endif
