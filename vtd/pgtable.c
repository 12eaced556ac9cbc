// SPDX-License-Identifier: GPL-2.0-only
/*
 * Second-stage page tables (VT-d r3.1, 3.7 and 9.8) and the hooks that
 * change them: the core's templates with this format.
 */
#include "vtd.h"
#include "format.h"

static __always_inline u64 vtd_ss_bits(int prot)
{
	return (prot & IOMMU_READ ? VTD_SS_R : 0) | (prot & IOMMU_WRITE ? VTD_SS_W : 0);
}

#define PT_NAME			vtd_ss
#define PT_INVALIDATE		vtd_invalidate
#define PT_TRACKS
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#include "../include/pgtable_show.h"

const struct iommu_domain_ops vtd_domain_ops = {
	PT_HOOKS(vtd_ss),
	.iotlb_sync_map = vtd_ss_iotlb_sync_map,
	.enforce_cache_coherency = vtd_domain_enforce_coherency,
};
