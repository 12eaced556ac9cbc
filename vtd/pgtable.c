// SPDX-License-Identifier: GPL-2.0-only
/*
 * Second-stage page tables (VT-d r3.1, 3.7 and 9.8) and the hooks that
 * change them. The engine is instantiated here, in one file with the hooks,
 * so that the hot path is free of calls it does not need (C2).
 */
#include "vtd.h"
#include "format.h"

#define PT_NAME		vtd_ss
#include "../include/pgtable_engine.h"

/* The negative control of the tests; see Kbuild. */
#ifdef OMNI_TEST_SKIP_UNMAP_FLUSH
#define VTD_SKIP_UNMAP_FLUSH	true
#else
#define VTD_SKIP_UNMAP_FLUSH	false
#endif

static unsigned int vtd_level(size_t pgsize)
{
	return (__ffs(pgsize) - VTD_PAGE_LG2) / 9;
}

static int vtd_map_pages(struct iommu_domain *iommu, unsigned long iova,
			 phys_addr_t paddr, size_t pgsize, size_t pgcount,
			 int prot, gfp_t gfp, size_t *mapped)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	LIST_HEAD(replaced);
	unsigned long flags;
	u64 bits = 0;
	int ret;

	omni_count(OMNI_OPS_MAP);
	if (prot & IOMMU_READ)
		bits |= VTD_SS_R;
	if (prot & IOMMU_WRITE)
		bits |= VTD_SS_W;
	if (!bits)
		return -EINVAL;

	ret = vtd_ss_map(&domain->pt, iova, paddr, vtd_level(pgsize), pgcount, bits,
			 gfp, mapped, &replaced);
	if (unlikely(!list_empty(&replaced))) {
		/* Left for the sync_map or unmap of the same range. */
		spin_lock_irqsave(&domain->free_lock, flags);
		list_splice_tail(&replaced, &domain->replaced);
		spin_unlock_irqrestore(&domain->free_lock, flags);
	}
	return min(ret, 0);
}

static size_t vtd_unmap_pages(struct iommu_domain *iommu, unsigned long iova,
			      size_t pgsize, size_t pgcount,
			      struct iommu_iotlb_gather *gather)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	LIST_HEAD(tables);
	size_t size;

	omni_count(OMNI_OPS_UNMAP);
	size = vtd_ss_unmap(&domain->pt, iova, pgsize * pgcount, &tables);
	if (size)
		omni_gather(domain, gather, iova, size, &tables);
	return size;
}

static void vtd_iotlb_sync(struct iommu_domain *iommu,
			   struct iommu_iotlb_gather *gather)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	struct omni_inv inv;
	int err = 0;

	if (omni_plan_sync(domain, gather, &inv) && !VTD_SKIP_UNMAP_FLUSH)
		err = vtd_invalidate(domain, &inv);
	omni_tables_done(domain, &gather->freelist, err);
}

static int vtd_iotlb_sync_map(struct iommu_domain *iommu, unsigned long iova,
			      size_t size)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	struct omni_inv inv;
	LIST_HEAD(tables);
	int err = 0;

	if (omni_plan_sync_map(domain, iova, size, &inv, &tables))
		err = vtd_invalidate(domain, &inv);
	if (err || !list_empty(&tables))
		omni_tables_done(domain, &tables, err);
	return err;
}

static void vtd_flush_iotlb_all(struct iommu_domain *iommu)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	struct omni_inv inv;
	LIST_HEAD(tables);
	int err = 0;

	if (omni_plan_flush_all(domain, &inv, &tables))
		err = vtd_invalidate(domain, &inv);
	omni_tables_done(domain, &tables, err);
}

static phys_addr_t vtd_iova_to_phys(struct iommu_domain *iommu, dma_addr_t iova)
{
	return vtd_ss_iova_to_phys(&to_omni_domain(iommu)->pt, iova);
}

int vtd_pt_init(struct omni_pt *pt)
{
	return vtd_ss_init(pt);
}

void vtd_pt_fini(struct omni_pt *pt, struct list_head *tables)
{
	vtd_ss_fini(pt, tables);
}

bool vtd_pt_empty(const struct omni_pt *pt)
{
	return vtd_ss_empty(pt);
}

static void vtd_domain_ops_free(struct iommu_domain *iommu)
{
	vtd_domain_free(to_omni_domain(iommu));
}

const struct iommu_domain_ops vtd_domain_ops = {
	.attach_dev = omni_attach_paging,
	.map_pages = vtd_map_pages,
	.unmap_pages = vtd_unmap_pages,
	.flush_iotlb_all = vtd_flush_iotlb_all,
	.iotlb_sync_map = vtd_iotlb_sync_map,
	.iotlb_sync = vtd_iotlb_sync,
	.iova_to_phys = vtd_iova_to_phys,
	.enforce_cache_coherency = vtd_domain_enforce_coherency,
	.free = vtd_domain_ops_free,
};
