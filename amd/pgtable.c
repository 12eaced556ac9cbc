// SPDX-License-Identifier: GPL-2.0-only
/*
 * Host page tables, v1 (48882 r3.08, 2.2.3), and the hooks that change them:
 * the core's templates with this format.
 */
#include "amd.h"
#include "format.h"

static __always_inline u64 amd_v1_bits(int prot)
{
	return (prot & IOMMU_READ ? AMD_PTE_IR : 0) | (prot & IOMMU_WRITE ? AMD_PTE_IW : 0);
}

/* Do the entries of its devices know the root that a domain has now? */
static __always_inline int amd_v1_follow(struct omni_domain *domain)
{
	if (likely(READ_ONCE(to_amd_domain(domain)->shown) == READ_ONCE(domain->pt.word)))
		return 0;
	return amd_follow(domain);
}

#define PT_NAME			amd_v1
#define PT_INVALIDATE		amd_invalidate
#define PT_FOLLOW		amd_v1_follow
#define PT_DIRTY		AMD_PTE_D
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"

int amd_pt_init(struct omni_pt *pt)
{
	return amd_v1_init(pt);
}

void amd_pt_fini(struct omni_pt *pt, struct list_head *tables)
{
	amd_v1_fini(pt, tables);
}

bool amd_pt_empty(const struct omni_pt *pt)
{
	return amd_v1_empty(pt);
}

/* The entries of the domain's devices say whether D bits are set (HAD). */
static int amd_set_dirty_tracking(struct iommu_domain *iommu, bool enabled)
{
	struct amd_domain *domain = to_amd_domain(to_omni_domain(iommu));
	const struct omni_inv all = { .scope = OMNI_INV_DOMAIN, .device_tlb = true };
	int ret;

	if (READ_ONCE(domain->dirty) == enabled)
		return 0;
	WRITE_ONCE(domain->dirty, enabled);
	ret = amd_follow(&domain->core);
	/* What device TLBs have, too, was cached without its D bit. */
	if (!ret)
		ret = amd_invalidate(&domain->core, &all);
	if (ret && enabled)
		WRITE_ONCE(domain->dirty, false);
	return ret;
}

static int amd_read_and_clear_dirty(struct iommu_domain *iommu, unsigned long iova,
				    size_t size, unsigned long flags,
				    struct iommu_dirty_bitmap *dirty)
{
	struct amd_domain *domain = to_amd_domain(to_omni_domain(iommu));

	/* Without a bitmap it is the cleaning before tracking begins. */
	if (!READ_ONCE(domain->dirty) && dirty->bitmap)
		return -EINVAL;
	amd_v1_read_dirty(&domain->core.pt, iova, size, !(flags & IOMMU_DIRTY_NO_CLEAR), dirty);
	return 0;
}

const struct iommu_dirty_ops amd_dirty_ops = {
	.set_dirty_tracking = amd_set_dirty_tracking,
	.read_and_clear_dirty = amd_read_and_clear_dirty,
};

static void amd_domain_ops_free(struct iommu_domain *iommu)
{
	amd_domain_free(to_omni_domain(iommu));
}

const struct iommu_domain_ops amd_domain_ops = {
	.attach_dev = omni_attach_paging,
	.map_pages = amd_v1_map_pages,
	.unmap_pages = amd_v1_unmap_pages,
	.flush_iotlb_all = amd_v1_flush_iotlb_all,
	.iotlb_sync_map = amd_v1_iotlb_sync_map,
	.iotlb_sync = amd_v1_iotlb_sync,
	.iova_to_phys = amd_v1_domain_iova_to_phys,
	.enforce_cache_coherency = amd_domain_enforce_coherency,
	.free = amd_domain_ops_free,
};
