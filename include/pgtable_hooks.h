/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The hooks of a paging domain that change or read its page table: a
 * template, included behind pgtable_engine.h in one file with it, so that the
 * hot path is free of calls it does not need (C2). It defines
 *
 *	PT_NAME_map_pages, _unmap_pages, _iotlb_sync, _iotlb_sync_map,
 *	_flush_iotlb_all, _domain_iova_to_phys
 *
 * for a struct iommu_domain_ops, and PT_HOOKS() to put them there. The wing
 * supplies
 *
 *	u64 PT_NAME_bits(int prot)	permission bits of a leaf, 0 to refuse
 *	PT_INVALIDATE(domain, inv)	carry a request out: 0 or an error
 *	PT_FOLLOW(domain)		for a format that grows: make what
 *					points to the root point to the root
 *					there is now: 0 or an error
 *	PT_FOLLOWS(domain)		is there nothing to be done for that?
 *
 * No step of a map or an unmap invalidates anything; the ends of operations
 * do, after flush.c has decided what (F1).
 */
#include "plan.h"

#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

#ifndef PT_FOLLOW
#define PT_FOLLOW(domain)	((void)(domain), 0)
#define PT_FOLLOWS(domain)	((void)(domain), true)
#endif

/* The negative control of the tests; see Kbuild. */
#ifdef OMNI_TEST_SKIP_UNMAP_FLUSH
#define PT_SKIP_UNMAP_FLUSH	READ_ONCE(omni_test_skip)
#else
#define PT_SKIP_UNMAP_FLUSH	false
#endif

#ifdef PT_HINTS
#define PT_HINTING	true
#else
#define PT_HINTING	false
#endif

/* What a gather's pgsize is for, beside the levels of leaves. */
#define PT_SLOWLY(gather)	((gather)->pgsize & (PT_HINTING ? ~OMNI_GATHER_LEVELS : ~0ULL))

/* A format that is never tracked: pgtable_track.h has these for others. */
#ifndef PT_TRACKS
static __always_inline size_t PT_FN(unmap_slowly)(struct omni_domain *domain, u64 iova,
						  u64 size, struct iommu_iotlb_gather *gather)
{
	return 0;
}

static __always_inline void PT_FN(sync_slowly)(struct omni_domain *domain,
					       struct iommu_iotlb_gather *gather)
{
}

static __always_inline void PT_FN(flush_slowly)(struct omni_domain *domain,
						struct list_head *tables)
{
}
#endif

static noinline int PT_FN(map_rest)(struct omni_domain *domain, unsigned long iova,
				    phys_addr_t paddr, size_t pgsize, size_t pgcount,
				    u64 bits, gfp_t gfp, size_t *mapped)
{
	LIST_HEAD(replaced);
	unsigned long flags;
	int ret;

	ret = PT_FN(map_many)(&domain->pt, iova, paddr, __ffs(pgsize), pgcount, bits, gfp,
			      mapped, &replaced);
	if (unlikely(!list_empty(&replaced))) {
		/* Left for the sync_map or unmap of the same range. */
		spin_lock_irqsave(&domain->free_lock, flags);
		list_splice_tail(&replaced, &domain->replaced);
		spin_unlock_irqrestore(&domain->free_lock, flags);
	}
	return min(ret, 0);
}

static int PT_FN(map_pages)(struct iommu_domain *iommu, unsigned long iova,
			    phys_addr_t paddr, size_t pgsize, size_t pgcount,
			    int prot, gfp_t gfp, size_t *mapped)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	const u64 bits = PT_FN(bits)(prot);

	omni_count(OMNI_OPS_MAP);
	if (unlikely(!bits))
		return -EINVAL;
	if (likely(pgcount == 1 && PT_FN(map_one)(&domain->pt, iova, paddr, pgsize, bits))) {
		*mapped = pgsize;
		return 0;
	}
	return PT_FN(map_rest)(domain, iova, paddr, pgsize, pgcount, bits, gfp, mapped);
}

static noinline size_t PT_FN(unmap_rest)(struct omni_domain *domain, unsigned long iova,
					 size_t size, struct iommu_iotlb_gather *gather)
{
	struct PT_FN(gone) gone = { .tables = LIST_HEAD_INIT(gone.tables) };

	if (!PT_FN(begin)(&domain->pt, false))
		return PT_FN(unmap_slowly)(domain, iova, size, gather);
	size = PT_FN(unmap_many)(&domain->pt, iova, size, &gone.tables);
	PT_FN(end)(false);
	if (size)
		omni_gather(domain, gather, iova, size);
	gather->pgsize |= PT_FN(gone_levels)(&gone);
	if (!list_empty(&gone.tables))
		omni_gather_tables(domain, gather, &gone.tables);
	return size;
}

static size_t PT_FN(unmap_pages)(struct iommu_domain *iommu, unsigned long iova,
				 size_t pgsize, size_t pgcount,
				 struct iommu_iotlb_gather *gather)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	const size_t size = pgsize * pgcount;

	omni_count(OMNI_OPS_UNMAP);
	if (unlikely(!PT_FN(unmap_one)(&domain->pt, iova, size)))
		return PT_FN(unmap_rest)(domain, iova, size, gather);
	omni_gather(domain, gather, iova, size);
	if (PT_HINTING)
		gather->pgsize |= FIELD_PREP(OMNI_GATHER_LEVELS,
					     BIT(PT_FN(level)(__ffs(size))));
	return size;
}

static void PT_FN(iotlb_sync)(struct iommu_domain *iommu,
			      struct iommu_iotlb_gather *gather)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	int ret, err = PT_FOLLOW(domain);
	struct omni_inv inv;

	if (omni_plan_sync(domain, gather, &inv) && !PT_SKIP_UNMAP_FLUSH) {
		if (PT_HINTING)
			inv.levels = FIELD_GET(OMNI_GATHER_LEVELS, gather->pgsize);
		ret = PT_INVALIDATE(domain, &inv);
		err = err ?: ret;
	}
	if (unlikely(PT_SLOWLY(gather)))
		PT_FN(sync_slowly)(domain, gather);
	if (unlikely(err || !list_empty(&gather->freelist)))
		omni_tables_done(domain, &gather->freelist, err);
}

static noinline int PT_FN(sync_map)(struct omni_domain *domain, unsigned long iova,
				    size_t size)
{
	int ret, err = PT_FOLLOW(domain);
	struct omni_inv inv;
	LIST_HEAD(tables);

	if (omni_plan_sync_map(domain, iova, size, &inv, &tables)) {
		ret = PT_INVALIDATE(domain, &inv);
		err = err ?: ret;
	}
	if (err || !list_empty(&tables))
		omni_tables_done(domain, &tables, err);
	return err;
}

static int PT_FN(iotlb_sync_map)(struct iommu_domain *iommu, unsigned long iova,
				 size_t size)
{
	struct omni_domain *domain = to_omni_domain(iommu);

	if (likely(PT_FOLLOWS(domain) && omni_map_is_free(domain)))
		return 0;
	return PT_FN(sync_map)(domain, iova, size);
}

static void PT_FN(flush_iotlb_all)(struct iommu_domain *iommu)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	int ret, err = PT_FOLLOW(domain);
	struct omni_inv inv;
	LIST_HEAD(tables);

	if (omni_plan_flush_all(domain, &inv, &tables)) {
		ret = PT_INVALIDATE(domain, &inv);
		err = err ?: ret;
	}
	if (unlikely(domain->pt.tracked))
		PT_FN(flush_slowly)(domain, &tables);
	omni_tables_done(domain, &tables, err);
}

static phys_addr_t PT_FN(domain_iova_to_phys)(struct iommu_domain *iommu, dma_addr_t iova)
{
	return PT_FN(iova_to_phys)(&to_omni_domain(iommu)->pt, iova);
}

/*
 * All hooks that are the same for every format of that name. What a map ends
 * with, and coherency, are for the wing to name; PT_HOOKS_BUT() has another
 * map.
 */
#define PT_HOOKS(name)		PT_HOOKS_(name)
#define PT_HOOKS_(name)		PT_HOOKS_BUT_(name, name##_map_pages)
#define PT_HOOKS_BUT(name, map)	PT_HOOKS_BUT_(name, map)
#define PT_HOOKS_BUT_(name, map)				\
	.attach_dev = omni_attach_paging,			\
	.map_pages = map,					\
	.unmap_pages = name##_unmap_pages,			\
	.flush_iotlb_all = name##_flush_iotlb_all,		\
	.iotlb_sync = name##_iotlb_sync,			\
	.iova_to_phys = name##_domain_iova_to_phys,		\
	.free = omni_free_paging

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
#undef PT_SKIP_UNMAP_FLUSH
#undef PT_HINTING
#undef PT_SLOWLY
#undef PT_FOLLOW
#undef PT_FOLLOWS
