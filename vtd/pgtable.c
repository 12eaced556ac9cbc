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

int vtd_pt_init(struct omni_pt *pt)
{
	return vtd_ss_init(pt);
}

void vtd_pt_fini(struct omni_pt *pt, struct list_head *tables)
{
	vtd_ss_fini(pt, tables);
}

static void vtd_domain_ops_free(struct iommu_domain *iommu)
{
	vtd_domain_free(to_omni_domain(iommu));
}

const struct iommu_domain_ops vtd_domain_ops = {
	.attach_dev = omni_attach_paging,
	.map_pages = vtd_ss_map_pages,
	.unmap_pages = vtd_ss_unmap_pages,
	.flush_iotlb_all = vtd_ss_flush_iotlb_all,
	.iotlb_sync_map = vtd_ss_iotlb_sync_map,
	.iotlb_sync = vtd_ss_iotlb_sync,
	.iova_to_phys = vtd_ss_domain_iova_to_phys,
	.enforce_cache_coherency = vtd_domain_enforce_coherency,
	.free = vtd_domain_ops_free,
};
