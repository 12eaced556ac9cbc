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
static __always_inline bool amd_v1_follows(struct omni_domain *domain)
{
	return READ_ONCE(to_amd_domain(domain)->shown) == READ_ONCE(domain->pt.word);
}

static __always_inline int amd_v1_follow(struct omni_domain *domain)
{
	return likely(amd_v1_follows(domain)) ? 0 : amd_follow(domain);
}

#define PT_NAME			amd_v1
#define PT_INVALIDATE		amd_invalidate
#define PT_FOLLOW		amd_v1_follow
#define PT_FOLLOWS		amd_v1_follows
#define PT_DIRTY
#define PT_SINGLE		amd_v1_single
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#include "../include/pgtable_show.h"

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
	if (!ret) {
		omni_count_end(&domain->core, OMNI_OTHER_ASKED);
		ret = amd_invalidate(&domain->core, &all);
	}
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

const struct iommu_domain_ops amd_domain_ops = {
	PT_HOOKS(amd_v1),
	.iotlb_sync_map = amd_v1_iotlb_sync_map,
	.enforce_cache_coherency = amd_domain_enforce_coherency,
};
