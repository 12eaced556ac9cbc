/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * AMD-Vi registers and in-memory structures, in the order of the "AMD I/O
 * Virtualization Technology (IOMMU) Specification", document 48882, revision
 * 3.08. Section numbers are that revision's.
 */
#ifndef OMNI_AMD_REGS_H
#define OMNI_AMD_REGS_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

#define AMD_PAGE_LG2		12

/*
 * 2.2.2.1 Device table entry: 256 bits, of which one processor access can
 * change 128. Quadword n holds bits 64n to 64n+63.
 */
struct amd_dte {
	union {
		__le64 data[4];
		u128 half[2];
	};
};

/* Bits 63:0 */
#define AMD_DTE0_V		BIT_ULL(0)
#define AMD_DTE0_TV		BIT_ULL(1)
#define AMD_DTE0_HAD		GENMASK_ULL(8, 7)
#define  AMD_HAD_NONE		0
#define  AMD_HAD_ACCESS		1
#define  AMD_HAD_ACCESS_DIRTY	3
#define AMD_DTE0_MODE		GENMASK_ULL(11, 9)	/* levels; 0: no translation */
#define AMD_DTE0_ROOT		GENMASK_ULL(51, 12)
#define AMD_DTE0_PPR		BIT_ULL(52)
#define AMD_DTE0_GPRP		BIT_ULL(53)
#define AMD_DTE0_GIOV		BIT_ULL(54)
#define AMD_DTE0_GV		BIT_ULL(55)
#define AMD_DTE0_GLX		GENMASK_ULL(57, 56)	/* levels of the GCR3 table, less one */
#define AMD_DTE0_GCR3_14_12	GENMASK_ULL(60, 58)
#define AMD_DTE0_IR		BIT_ULL(61)
#define AMD_DTE0_IW		BIT_ULL(62)
/* Bits 127:64 */
#define AMD_DTE1_DOMAIN		GENMASK_ULL(15, 0)
#define AMD_DTE1_GCR3_30_15	GENMASK_ULL(31, 16)
#define AMD_DTE1_I		BIT_ULL(32)		/* device TLB */
#define AMD_DTE1_SE		BIT_ULL(33)
#define AMD_DTE1_SA		BIT_ULL(34)
#define AMD_DTE1_IOCTL		GENMASK_ULL(36, 35)
#define AMD_DTE1_CACHE		BIT_ULL(37)
#define AMD_DTE1_SD		BIT_ULL(38)
#define AMD_DTE1_EX		BIT_ULL(39)
#define AMD_DTE1_SYSMGT		GENMASK_ULL(41, 40)
#define  AMD_SYSMGT_MESSAGES	1
#define AMD_DTE1_SATS		BIT_ULL(42)
#define AMD_DTE1_GCR3_51_31	GENMASK_ULL(63, 43)
/* Bits 191:128 */
#define AMD_DTE2_IV		BIT_ULL(0)
#define AMD_DTE2_GUEST_MODE	GENMASK_ULL(55, 54)
#define  AMD_GUEST_4_LEVELS	0
#define  AMD_GUEST_5_LEVELS	1
#define AMD_DTE2_INIT_PASS	BIT_ULL(56)
#define AMD_DTE2_EINT_PASS	BIT_ULL(57)
#define AMD_DTE2_NMI_PASS	BIT_ULL(58)
#define AMD_DTE2_LINT0_PASS	BIT_ULL(62)
#define AMD_DTE2_LINT1_PASS	BIT_ULL(63)
/* Bits 255:192 */
#define AMD_DTE3_ATTRV		BIT_ULL(54)
#define AMD_DTE3_MODE0FC	BIT_ULL(55)

/*
 * 2.2.3 I/O page tables for host translations. NEXT is 0 in a leaf of its
 * level's size, 7 in a leaf whose address tells its size (the lowest clear
 * bit from bit 12 on), else the number of levels below.
 */
#define AMD_PTE_PR		BIT_ULL(0)
#define AMD_PTE_AVL		BIT_ULL(1)	/* of 4:1, ignored */
#define AMD_PTE_A		BIT_ULL(5)
#define AMD_PTE_D		BIT_ULL(6)
#define AMD_PTE_NEXT		GENMASK_ULL(11, 9)
#define  AMD_NEXT_LEAF		0
#define  AMD_NEXT_SIZED		7
#define AMD_PTE_ADDR		GENMASK_ULL(51, 12)
#define AMD_PTE_U		BIT_ULL(59)
#define AMD_PTE_FC		BIT_ULL(60)
#define AMD_PTE_IR		BIT_ULL(61)
#define AMD_PTE_IW		BIT_ULL(62)

/* 2.2.6 The GCR3 table: an entry a PASID, the root of its guest page table. */
#define AMD_GCR3_P		BIT_ULL(0)
#define AMD_GCR3_ROOT		GENMASK_ULL(51, 12)

/* 2.2.6 Guest page tables: what a processor in long mode has. */
#define AMD_GPTE_P		BIT_ULL(0)
#define AMD_GPTE_RW		BIT_ULL(1)
#define AMD_GPTE_US		BIT_ULL(2)
#define AMD_GPTE_A		BIT_ULL(5)
#define AMD_GPTE_D		BIT_ULL(6)
#define AMD_GPTE_PS		BIT_ULL(7)	/* leaves of 2M and 1G */
#define AMD_GPTE_AVL		BIT_ULL(9)	/* of 11:9, ignored */
#define AMD_GPTE_AVL2		BIT_ULL(10)
#define AMD_GPTE_ADDR		GENMASK_ULL(51, 12)
#define AMD_GPTE_NX		BIT_ULL(63)
/* Of an entry that is not present, all else is software's; this part we use. */
#define AMD_GPTE_OURS_LO	GENMASK_ULL(6, 1)
#define AMD_GPTE_OURS_MID	GENMASK_ULL(9, 8)
#define AMD_GPTE_OURS_HI	GENMASK_ULL(63, 52)

/* 2.4 Commands: 128 bits */
struct amd_cmd {
	__le64 lo;
	__le64 hi;
};

#define AMD_CMD_OP		GENMASK_ULL(63, 60)
#define  AMD_CMD_WAIT		1	/* 2.4.1 COMPLETION_WAIT */
#define  AMD_CMD_DEVTAB		2	/* 2.4.2 INVALIDATE_DEVTAB_ENTRY */
#define  AMD_CMD_PAGES		3	/* 2.4.3 INVALIDATE_IOMMU_PAGES */
#define  AMD_CMD_IOTLB		4	/* 2.4.4 INVALIDATE_IOTLB_PAGES */
#define  AMD_CMD_INTERRUPTS	5	/* 2.4.5 INVALIDATE_INTERRUPT_TABLE */
#define  AMD_CMD_ALL		8	/* 2.4.8 INVALIDATE_IOMMU_ALL */

/* 2.4.1; the high word is the data stored */
#define AMD_WAIT_S		BIT_ULL(0)
#define AMD_WAIT_I		BIT_ULL(1)
#define AMD_WAIT_F		BIT_ULL(2)
#define AMD_WAIT_ADDR		GENMASK_ULL(51, 3)
/* 2.4.2, 2.4.4 */
#define AMD_CMD_DEVID		GENMASK_ULL(15, 0)
/* 2.4.3 */
#define AMD_PAGES_PASID		GENMASK_ULL(19, 0)	/* with GN */
#define AMD_PAGES_DOMAIN	GENMASK_ULL(47, 32)
/* 2.4.4 */
#define AMD_IOTLB_MAXPEND	GENMASK_ULL(31, 24)
#define AMD_IOTLB_QUEUE		GENMASK_ULL(47, 32)
/* 2.4.3, 2.4.4 high word */
#define AMD_PAGES_HI_S		BIT_ULL(0)
#define AMD_PAGES_HI_PDE	BIT_ULL(1)	/* INVALIDATE_IOMMU_PAGES only */
#define AMD_PAGES_HI_GN		BIT_ULL(2)	/* translations of a guest page table */
#define AMD_PAGES_HI_ADDR	GENMASK_ULL(63, 12)
/* With S: everything there is. */
#define AMD_PAGES_HI_EVERYTHING	GENMASK_ULL(62, 12)

/* 2.5 Event log entries: 128 bits; the high word is an address if anything */
struct amd_event {
	__le64 lo;
	__le64 hi;
};

#define AMD_EVENT_DEVID		GENMASK_ULL(15, 0)
#define AMD_EVENT_DOMAIN	GENMASK_ULL(47, 32)
#define AMD_EVENT_GN		BIT_ULL(48)
#define AMD_EVENT_NX		BIT_ULL(49)
#define AMD_EVENT_US		BIT_ULL(50)
#define AMD_EVENT_I		BIT_ULL(51)
#define AMD_EVENT_PR		BIT_ULL(52)
#define AMD_EVENT_RW		BIT_ULL(53)
#define AMD_EVENT_PE		BIT_ULL(54)
#define AMD_EVENT_RZ		BIT_ULL(55)
#define AMD_EVENT_TR		BIT_ULL(56)
#define AMD_EVENT_CODE		GENMASK_ULL(63, 60)
#define  AMD_EVENT_ILLEGAL_DTE	1	/* 2.5.2 ILLEGAL_DEV_TABLE_ENTRY */
#define  AMD_EVENT_PAGE_FAULT	2	/* 2.5.3 IO_PAGE_FAULT */
#define  AMD_EVENT_DTE_ERROR	3	/* 2.5.4 DEV_TAB_HARDWARE_ERROR */
#define  AMD_EVENT_PTE_ERROR	4	/* 2.5.5 PAGE_TAB_HARDWARE_ERROR */
#define  AMD_EVENT_ILLEGAL_CMD	5	/* 2.5.6 ILLEGAL_COMMAND_ERROR */
#define  AMD_EVENT_CMD_ERROR	6	/* 2.5.7 COMMAND_HARDWARE_ERROR */
#define  AMD_EVENT_IOTLB_TIMEOUT 7	/* 2.5.8 IOTLB_INV_TIMEOUT */
#define  AMD_EVENT_BAD_REQUEST	8	/* 2.5.9 INVALID_DEVICE_REQUEST */

/* 3.2 Capability block of the unit's PCI function (32 bits each) */
#define AMD_CAP_HEADER		0x00
#define AMD_CAP_IOTLB		BIT(24)
#define AMD_CAP_NPCACHE		BIT(26)
#define AMD_CAP_EFR		BIT(27)
#define AMD_CAP_BASE_LO		0x04
#define AMD_CAP_BASE_ENABLE	BIT(0)
#define AMD_CAP_BASE_HI		0x08
#define AMD_CAP_MISC		0x10
#define AMD_CAP_MISC_MSI	GENMASK(4, 0)
#define AMD_CAP_MISC_VASIZE	GENMASK(21, 15)

/* 3.4 Registers (64 bits each) */

#define AMD_REGS_SIZE		0x4000

/* 3.4.1 Device table base; SIZE is in 4K pages, less one */
#define AMD_DEVTAB		0x0000
#define AMD_DEVTAB_BASE		GENMASK_ULL(51, 12)
#define AMD_DEVTAB_SIZE		GENMASK_ULL(8, 0)

/* 3.4.2 Command buffer base, event log base: LEN is the log2 of entries */
#define AMD_CMDBUF		0x0008
#define AMD_EVENTLOG		0x0010
#define AMD_RING_BASE		GENMASK_ULL(51, 12)
#define AMD_RING_LEN		GENMASK_ULL(59, 56)

/* 3.4.4 Control */
#define AMD_CONTROL		0x0018
#define AMD_CTRL_IOMMU		BIT_ULL(0)
#define AMD_CTRL_HT_TUNNEL	BIT_ULL(1)
#define AMD_CTRL_EVENT_LOG	BIT_ULL(2)
#define AMD_CTRL_EVENT_INT	BIT_ULL(3)
#define AMD_CTRL_WAIT_INT	BIT_ULL(4)
#define AMD_CTRL_INV_TIMEOUT	GENMASK_ULL(7, 5)
#define  AMD_INV_TIMEOUT_100MS	3
#define AMD_CTRL_PASS_PW	BIT_ULL(8)
#define AMD_CTRL_RES_PASS_PW	BIT_ULL(9)
#define AMD_CTRL_COHERENT	BIT_ULL(10)
#define AMD_CTRL_ISOC		BIT_ULL(11)
#define AMD_CTRL_CMDBUF		BIT_ULL(12)
#define AMD_CTRL_PPR_LOG	BIT_ULL(13)
#define AMD_CTRL_PPR_INT	BIT_ULL(14)
#define AMD_CTRL_PPR		BIT_ULL(15)
#define AMD_CTRL_GT		BIT_ULL(16)
#define AMD_CTRL_GA		BIT_ULL(17)
#define AMD_CTRL_XT		BIT_ULL(50)

/* 3.4.5 Exclusion range base and limit */
#define AMD_EXCLUSION		0x0020
#define AMD_EXCLUSION_EN	BIT_ULL(0)
#define AMD_EXCLUSION_ALLOW	BIT_ULL(1)
#define AMD_EXCLUSION_BASE	GENMASK_ULL(51, 12)
#define AMD_EXCLUSION_LIMIT	0x0028

/* 3.4.7 Extended feature */
#define AMD_EFR			0x0030
#define AMD_EFR_PREFETCH	BIT_ULL(0)
#define AMD_EFR_PPR		BIT_ULL(1)
#define AMD_EFR_XT		BIT_ULL(2)
#define AMD_EFR_NX		BIT_ULL(3)
#define AMD_EFR_GT		BIT_ULL(4)
#define AMD_EFR_IA		BIT_ULL(6)	/* INVALIDATE_IOMMU_ALL */
#define AMD_EFR_GA		BIT_ULL(7)
#define AMD_EFR_HATS		GENMASK_ULL(11, 10)
#define  AMD_HATS_MAX		2
#define AMD_EFR_GATS		GENMASK_ULL(13, 12)	/* AMD_GUEST_*_LEVELS */
#define AMD_EFR_GLX		GENMASK_ULL(15, 14)
#define AMD_EFR_GIO		BIT_ULL(48)
#define AMD_EFR_HA		BIT_ULL(49)
#define AMD_EFR_HD		BIT_ULL(52)
#define AMD_EFR_SNP		BIT_ULL(63)

/* 3.4.20 Extended feature 2 */
#define AMD_EFR2		0x01a0

/* 3.4.13 Command buffer and event log pointers */
#define AMD_CMD_HEAD		0x2000
#define AMD_CMD_TAIL		0x2008
#define AMD_EVENT_HEAD		0x2010
#define AMD_EVENT_TAIL		0x2018
#define AMD_RING_INDEX		GENMASK_ULL(18, 4)	/* 128-bit entries */

/* 3.4.13 Status; the first three are cleared by writing 1 */
#define AMD_STATUS		0x2020
#define AMD_STATUS_EVENT_OVERFLOW BIT_ULL(0)
#define AMD_STATUS_EVENT_INT	BIT_ULL(1)
#define AMD_STATUS_WAIT_INT	BIT_ULL(2)
#define AMD_STATUS_EVENT_RUN	BIT_ULL(3)
#define AMD_STATUS_CMD_RUN	BIT_ULL(4)

/* 2.1.4.1 Interrupt address range: never translated */
#define AMD_MSI_FIRST		0xfee00000ULL
#define AMD_MSI_LAST		0xfeefffffULL
/* 2.1.2 HyperTransport's special address range */
#define AMD_HT_FIRST		0xfd00000000ULL
#define AMD_HT_LAST		0xffffffffffULL

#endif
