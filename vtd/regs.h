/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * VT-d registers and in-memory structures, in the order of the "Intel
 * Virtualization Technology for Directed I/O" specification, revision 3.1.
 * Section numbers are that revision's.
 */
#ifndef OMNI_VTD_REGS_H
#define OMNI_VTD_REGS_H

#include <linux/bitfield.h>
#include <linux/bits.h>
#include <linux/types.h>

#define VTD_PAGE_LG2		12

/* 6.5.2 Queued invalidation: descriptors of 128 bits */
struct vtd_desc {
	__le64 lo;
	__le64 hi;
};

#define VTD_DESC_TYPE		GENMASK_ULL(3, 0)
#define  VTD_DESC_CONTEXT	1
#define  VTD_DESC_IOTLB		2
#define  VTD_DESC_DEVICE_TLB	3
#define  VTD_DESC_WAIT		5

/* 6.5.2.1 Context-cache invalidate; 6.5.2.3 IOTLB invalidate */
#define VTD_DESC_G		GENMASK_ULL(5, 4)
#define  VTD_G_GLOBAL		1
#define  VTD_G_DOMAIN		2
#define  VTD_G_DEVICE		3	/* context cache */
#define  VTD_G_PAGE		3	/* IOTLB */
#define VTD_DESC_DID		GENMASK_ULL(31, 16)
#define VTD_CONTEXT_SID		GENMASK_ULL(47, 32)
#define VTD_CONTEXT_FM		GENMASK_ULL(49, 48)
#define VTD_IOTLB_DW		BIT_ULL(6)
#define VTD_IOTLB_DR		BIT_ULL(7)
#define VTD_IOTLB_HI_AM		GENMASK_ULL(5, 0)
#define VTD_IOTLB_HI_IH		BIT_ULL(6)
#define VTD_IOTLB_HI_ADDR	GENMASK_ULL(63, 12)

/* 6.5.2.5 Device-TLB invalidate */
#define VTD_DEVTLB_PFSID_LO	GENMASK_ULL(15, 12)
#define VTD_DEVTLB_QDEP		GENMASK_ULL(20, 16)
#define VTD_DEVTLB_SID		GENMASK_ULL(47, 32)
#define VTD_DEVTLB_PFSID_HI	GENMASK_ULL(63, 52)
#define VTD_DEVTLB_HI_S		BIT_ULL(0)
#define VTD_DEVTLB_HI_ADDR	GENMASK_ULL(63, 12)

/* 6.5.2.8 Invalidation wait */
#define VTD_WAIT_SW		BIT_ULL(5)
#define VTD_WAIT_FN		BIT_ULL(6)
#define VTD_WAIT_DATA		GENMASK_ULL(63, 32)

/* 9.1 Root entry: one context table a bus */
struct vtd_root {
	__le64 lo;
	__le64 hi;
};

#define VTD_ROOT_P		BIT_ULL(0)
#define VTD_ROOT_CTP		GENMASK_ULL(63, 12)

/* 9.3 Context entry: read by hardware as one 128-bit value */
union vtd_context {
	struct {
		__le64 lo;
		__le64 hi;
	};
	u128 whole;
};

#define VTD_CTX_P		BIT_ULL(0)
#define VTD_CTX_FPD		BIT_ULL(1)
#define VTD_CTX_TT		GENMASK_ULL(3, 2)
#define  VTD_TT_TRANSLATE	0
#define  VTD_TT_DEVICE_TLB	1
#define  VTD_TT_PASS_THROUGH	2
#define VTD_CTX_SLPTPTR		GENMASK_ULL(63, 12)
#define VTD_CTX_HI_AW		GENMASK_ULL(2, 0)
#define VTD_CTX_HI_DID		GENMASK_ULL(23, 8)

/* 9.8 Second-level paging entries */
#define VTD_SS_R		BIT_ULL(0)
#define VTD_SS_W		BIT_ULL(1)
#define VTD_SS_PS		BIT_ULL(7)
#define VTD_SS_SNP		BIT_ULL(11)
#define VTD_SS_ADDR		GENMASK_ULL(51, 12)
#define VTD_SS_IGN		BIT_ULL(52)	/* of 61:52, ignored */
#define VTD_SS_IGN2		BIT_ULL(53)
/* Of an entry that is not present, all is ignored: ours, if it is no table's. */
#define VTD_SS_OURS_LO		GENMASK_ULL(6, 3)
#define VTD_SS_OURS_MID		GENMASK_ULL(11, 8)
#define VTD_SS_OURS_HI		GENMASK_ULL(63, 52)

/* 10.4.1 Version (32 bits) */
#define VTD_VER			0x00
#define VTD_VER_MIN		GENMASK(3, 0)
#define VTD_VER_MAX		GENMASK(7, 4)

/* 10.4.2 Capability (64 bits) */
#define VTD_CAP			0x08
#define VTD_CAP_ND		GENMASK_ULL(2, 0)
#define VTD_CAP_RWBF		BIT_ULL(4)
#define VTD_CAP_PLMR		BIT_ULL(5)
#define VTD_CAP_PHMR		BIT_ULL(6)
#define VTD_CAP_CM		BIT_ULL(7)
#define VTD_CAP_SAGAW		GENMASK_ULL(12, 8)
#define  VTD_SAGAW_39		BIT(1)
#define  VTD_SAGAW_48		BIT(2)
#define  VTD_SAGAW_57		BIT(3)
#define VTD_CAP_MGAW		GENMASK_ULL(21, 16)
#define VTD_CAP_FRO		GENMASK_ULL(33, 24)
#define VTD_CAP_SLLPS		GENMASK_ULL(37, 34)
#define  VTD_SLLPS_2M		BIT(0)
#define  VTD_SLLPS_1G		BIT(1)
#define VTD_CAP_PSI		BIT_ULL(39)
#define VTD_CAP_NFR		GENMASK_ULL(47, 40)
#define VTD_CAP_MAMV		GENMASK_ULL(53, 48)
#define VTD_CAP_DWD		BIT_ULL(54)
#define VTD_CAP_DRD		BIT_ULL(55)

/* 10.4.3 Extended capability (64 bits) */
#define VTD_ECAP		0x10
#define VTD_ECAP_C		BIT_ULL(0)
#define VTD_ECAP_QI		BIT_ULL(1)
#define VTD_ECAP_DT		BIT_ULL(2)
#define VTD_ECAP_IR		BIT_ULL(3)
#define VTD_ECAP_PT		BIT_ULL(6)
#define VTD_ECAP_SC		BIT_ULL(7)
#define VTD_ECAP_IRO		GENMASK_ULL(17, 8)
#define VTD_ECAP_DIT		BIT_ULL(41)

/* 10.4.4 Global command and 10.4.5 global status (32 bits): same bits */
#define VTD_GCMD		0x18
#define VTD_GSTS		0x1c
#define VTD_G_IRE		BIT(25)
#define VTD_G_QIE		BIT(26)
#define VTD_G_WBF		BIT(27)
#define VTD_G_SRTP		BIT(30)
#define VTD_G_TE		BIT(31)
/* What a write must repeat from the status: all but the one-shot bits. */
#define VTD_GSTS_KEEP		0x96ffffff

/* 10.4.6 Root table address (64 bits) */
#define VTD_RTADDR		0x20

/* 10.4.7 Context command (64 bits) */
#define VTD_CCMD		0x28
#define VTD_CCMD_DID		GENMASK_ULL(15, 0)
#define VTD_CCMD_SID		GENMASK_ULL(31, 16)
#define VTD_CCMD_FM		GENMASK_ULL(33, 32)
#define VTD_CCMD_CIRG		GENMASK_ULL(62, 61)
#define VTD_CCMD_ICC		BIT_ULL(63)

/* 10.4.8.1 IOTLB invalidate, at ECAP.IRO + 8 (64 bits) */
#define VTD_IOTLB_REG		0x08
#define VTD_IOTLB_REG_DID	GENMASK_ULL(47, 32)
#define VTD_IOTLB_REG_DW	BIT_ULL(48)
#define VTD_IOTLB_REG_DR	BIT_ULL(49)
#define VTD_IOTLB_REG_IAIG	GENMASK_ULL(58, 57)
#define VTD_IOTLB_REG_IIRG	GENMASK_ULL(61, 60)
#define VTD_IOTLB_REG_IVT	BIT_ULL(63)

/* 10.4.8.2 Invalidate address, at ECAP.IRO (64 bits): as VTD_IOTLB_HI_* */
#define VTD_IVA_REG		0x00

/* 10.4.9 Fault status (32 bits) */
#define VTD_FSTS		0x34
#define VTD_FSTS_PFO		BIT(0)
#define VTD_FSTS_PPF		BIT(1)
#define VTD_FSTS_IQE		BIT(4)
#define VTD_FSTS_ICE		BIT(5)
#define VTD_FSTS_ITE		BIT(6)
#define VTD_FSTS_FRI		GENMASK(15, 8)

/* 10.4.10 Fault event control (32 bits) */
#define VTD_FECTL		0x38
#define VTD_FECTL_IM		BIT(31)

/* 10.4.11 to 10.4.13 Fault event data, address, upper address (32 bits) */
#define VTD_FEDATA		0x3c
#define VTD_FEADDR		0x40
#define VTD_FEUADDR		0x44

/* 10.4.14 Fault recording, 128 bits each from CAP.FRO on */
#define VTD_FRCD_LO_FI		GENMASK_ULL(63, 12)
#define VTD_FRCD_HI_SID		GENMASK_ULL(15, 0)
#define VTD_FRCD_HI_T2		BIT_ULL(28)
#define VTD_FRCD_HI_FR		GENMASK_ULL(39, 32)
#define VTD_FRCD_HI_T1		BIT_ULL(62)
#define VTD_FRCD_HI_F		BIT_ULL(63)
#define VTD_FRCD_F		BIT(31)		/* of the fourth 32-bit word */

/* 10.4.16 Protected memory enable (32 bits) */
#define VTD_PMEN		0x64
#define VTD_PMEN_PRS		BIT(0)
#define VTD_PMEN_EPM		BIT(31)

/* 10.4.21 to 10.4.23 Invalidation queue head, tail, address (64 bits) */
#define VTD_IQH			0x80
#define VTD_IQT			0x88
#define VTD_IQ_INDEX		GENMASK_ULL(18, 4)	/* 128-bit descriptors */
#define VTD_IQA			0x90

/* 10.4.27 Invalidation queue error record (64 bits) */
#define VTD_IQERCD		0xb0
#define VTD_IQERCD_IQEI		GENMASK_ULL(3, 0)
#define VTD_IQERCD_ITESID	GENMASK_ULL(47, 32)
#define VTD_IQERCD_ICESID	GENMASK_ULL(63, 48)

/* 3.14 Interrupt address range: never translated */
#define VTD_MSI_FIRST		0xfee00000ULL
#define VTD_MSI_LAST		0xfeefffffULL

#endif
