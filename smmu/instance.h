/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One format: the core's templates with it, and what a domain of it needs of
 * them. A template, included with
 *
 *	PT_NAME		the format, of format.h
 *	PT_PAGE_LG2	log2 of its granule
 *	SMMU_STAGE	1 or 2
 *
 * It defines PT_NAME_format. What else the core's templates want has to be
 * defined, too.
 */
#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

enum { PT_FN(GRANULE) = PT_PAGE_LG2 };

extern const struct omni_pt_ops PT_FN(pt_ops);
extern const struct omni_nc_ops PT_FN(nc_ops);

static __always_inline u64 PT_FN(bits)(int prot)
{
	return SMMU_STAGE == 1 ? smmu_stage1_bits(prot) : smmu_stage2_bits(prot);
}

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN

#if SMMU_STAGE == 1
#define PT_DIRTY
#endif
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#include "../include/pgtable_show.h"

#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

/*
 * New entries are ordered before whatever the caller does next to start a
 * device's DMA: a doorbell written with relaxed ordering, too.
 */
static int PT_FN(map_end)(struct iommu_domain *iommu, unsigned long iova, size_t size)
{
	wmb();	/* see above */
	return PT_FN(iotlb_sync_map)(iommu, iova, size);
}

static const struct iommu_domain_ops PT_FN(ops) = {
	PT_HOOKS(PT_NAME),
	.iotlb_sync_map = PT_FN(map_end),
};

#if SMMU_STAGE == 1
static int PT_FN(map_marked)(struct iommu_domain *iommu, unsigned long iova,
			     phys_addr_t paddr, size_t pgsize, size_t pgcount,
			     int prot, gfp_t gfp, size_t *mapped)
{
	return PT_FN(map_pages)(iommu, iova, paddr, pgsize, pgcount, prot | SMMU_PROT_MARKED,
				gfp, mapped);
}

/* Of domains that are asked for what was written. */
static const struct iommu_domain_ops PT_FN(marked_ops) = {
	PT_HOOKS_BUT(PT_NAME, PT_FN(map_marked)),
	.iotlb_sync_map = PT_FN(map_end),
};

static int PT_FN(read_and_clear_dirty)(struct iommu_domain *iommu, unsigned long iova,
				       size_t size, unsigned long flags,
				       struct iommu_dirty_bitmap *dirty)
{
	struct smmu_domain *domain = to_smmu_domain(to_omni_domain(iommu));

	/* Without a bitmap it is the cleaning before tracking begins. */
	if (!READ_ONCE(domain->dirty) && dirty->bitmap)
		return -EINVAL;
	PT_FN(read_dirty)(&domain->core.pt, iova, size, !(flags & IOMMU_DIRTY_NO_CLEAR), dirty);
	return 0;
}

static const struct iommu_dirty_ops PT_FN(dirty_ops) = {
	.set_dirty_tracking = smmu_set_dirty_tracking,
	.read_and_clear_dirty = PT_FN(read_and_clear_dirty),
};
#endif

static const struct smmu_format PT_FN(format) = {
	.granule = PT_FN(GRANULE),
	.ops = &PT_FN(ops),
#if SMMU_STAGE == 1
	.marked_ops = &PT_FN(marked_ops),
	.dirty_ops = &PT_FN(dirty_ops),
#endif
	.nc_ops = &PT_FN(nc_ops),
	.pt_ops = &PT_FN(pt_ops),
};

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
#undef PT_NAME
#undef SMMU_STAGE
