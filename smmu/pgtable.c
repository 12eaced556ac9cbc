// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 1 and stage 2 page tables and the hooks that change them: the core's
 * templates with these formats.
 */
#include "smmu.h"
#include "format.h"

#define PT_INVALIDATE		smmu_invalidate

#define PT_NAME			smmu_s1
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#undef PT_NAME

#define PT_NAME			smmu_s2
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#undef PT_NAME

/*
 * New entries are ordered before whatever the caller does next to start a
 * device's DMA: a doorbell written with relaxed ordering, too.
 */
static int smmu_s1_sync_map(struct iommu_domain *iommu, unsigned long iova, size_t size)
{
	wmb();	/* see above */
	return smmu_s1_iotlb_sync_map(iommu, iova, size);
}

static int smmu_s2_sync_map(struct iommu_domain *iommu, unsigned long iova, size_t size)
{
	wmb();	/* see above */
	return smmu_s2_iotlb_sync_map(iommu, iova, size);
}

int smmu_pt_init(struct smmu_domain *domain)
{
	struct omni_pt *pt = &domain->core.pt;

	return domain->stage2 ? smmu_s2_init(pt) : smmu_s1_init(pt);
}

void smmu_pt_fini(struct smmu_domain *domain, struct list_head *tables)
{
	struct omni_pt *pt = &domain->core.pt;

	if (domain->stage2)
		smmu_s2_fini(pt, tables);
	else
		smmu_s1_fini(pt, tables);
}

bool smmu_pt_empty(const struct smmu_domain *domain)
{
	const struct omni_pt *pt = &domain->core.pt;

	return domain->stage2 ? smmu_s2_empty(pt) : smmu_s1_empty(pt);
}

static void smmu_domain_ops_free(struct iommu_domain *iommu)
{
	smmu_domain_free(to_omni_domain(iommu));
}

const struct iommu_domain_ops smmu_s1_ops = {
	.attach_dev = omni_attach_paging,
	.map_pages = smmu_s1_map_pages,
	.unmap_pages = smmu_s1_unmap_pages,
	.flush_iotlb_all = smmu_s1_flush_iotlb_all,
	.iotlb_sync_map = smmu_s1_sync_map,
	.iotlb_sync = smmu_s1_iotlb_sync,
	.iova_to_phys = smmu_s1_domain_iova_to_phys,
	.free = smmu_domain_ops_free,
};

const struct iommu_domain_ops smmu_s2_ops = {
	.attach_dev = omni_attach_paging,
	.map_pages = smmu_s2_map_pages,
	.unmap_pages = smmu_s2_unmap_pages,
	.flush_iotlb_all = smmu_s2_flush_iotlb_all,
	.iotlb_sync_map = smmu_s2_sync_map,
	.iotlb_sync = smmu_s2_iotlb_sync,
	.iova_to_phys = smmu_s2_domain_iova_to_phys,
	.free = smmu_domain_ops_free,
};
