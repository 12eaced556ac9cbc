// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pinned pages as one object, for code that maps them into domains of its own
 * (include/omni_pages.h). The object holds its pages in the count of
 * nc_pages.c, and its unmaps say so; everything else is what any user of a
 * domain does.
 */
#include "include/omniommu.h"

#include <linux/mm.h>
#include <linux/slab.h>

#include "include/omni_pages.h"

/* The suites have it in the module that they are. */
#ifdef OMNI_KUNIT
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(symbol)
#endif

/**
 * struct omni_pages_run - physically contiguous pages of an object
 * @pfn: number of the first page
 * @first: its index in the object
 * @nr: how many
 */
struct omni_pages_run {
	unsigned long pfn;
	size_t first;
	size_t nr;
};

/**
 * struct omni_pages - pinned pages
 * @nr: pages in all
 * @nr_runs: runs
 * @runs: the pages, by index
 */
struct omni_pages {
	size_t nr;
	size_t nr_runs;
	struct omni_pages_run runs[] __counted_by(nr_runs);
};

static size_t omni_pages_runs(struct page **pages, size_t nr)
{
	size_t i, runs = 1;

	for (i = 1; i < nr; i++)
		runs += page_to_pfn(pages[i]) != page_to_pfn(pages[i - 1]) + 1;
	return runs;
}

static void omni_pages_let_go(struct omni_pages *obj, size_t runs)
{
	bool bulk = omni_nc_bulk_begin((u64)obj->nr << PAGE_SHIFT);
	size_t i;

	for (i = 0; i < runs; i++)
		omni_nc_release(PFN_PHYS(obj->runs[i].pfn), (u64)obj->runs[i].nr << PAGE_SHIFT);
	omni_nc_bulk_end(bulk);
}

struct omni_pages *omni_pages_create(struct page **pages, size_t nr)
{
	struct omni_pages_run *run = NULL;
	struct omni_pages *obj;
	size_t i, runs;

	if (!nr)
		return ERR_PTR(-EINVAL);
	runs = omni_pages_runs(pages, nr);
	obj = kvzalloc(struct_size(obj, runs, runs), GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->nr = nr;
	obj->nr_runs = runs;
	for (i = 0; i < nr; i++) {
		unsigned long pfn = page_to_pfn(pages[i]);

		if (run && run->pfn + run->nr == pfn) {
			run->nr++;
			continue;
		}
		run = run ? run + 1 : obj->runs;
		*run = (struct omni_pages_run) { .pfn = pfn, .first = i, .nr = 1 };
	}
	for (i = 0; i < runs; i++) {
		int ret = omni_nc_hold(PFN_PHYS(obj->runs[i].pfn),
				       (u64)obj->runs[i].nr << PAGE_SHIFT, GFP_KERNEL_ACCOUNT);

		if (ret) {
			omni_pages_let_go(obj, i);
			kvfree(obj);
			return ERR_PTR(ret);
		}
	}
	return obj;
}
EXPORT_SYMBOL_GPL(omni_pages_create);

/* The run that has a page, by its index. */
static struct omni_pages_run *omni_pages_find(struct omni_pages *obj, size_t index)
{
	size_t low = 0, high = obj->nr_runs - 1;

	while (low < high) {
		size_t mid = (low + high + 1) / 2;

		if (obj->runs[mid].first <= index)
			low = mid;
		else
			high = mid - 1;
	}
	return &obj->runs[low];
}

int omni_pages_map(struct omni_pages *obj, struct iommu_domain *domain, unsigned long iova,
		   size_t first, size_t nr, int prot, gfp_t gfp)
{
	struct omni_pages_run *run;
	size_t done = 0;
	int ret;

	if (!nr || first >= obj->nr || nr > obj->nr - first)
		return -EINVAL;
	for (run = omni_pages_find(obj, first); done < nr; run++) {
		size_t skip = first + done - run->first;
		size_t n = min(nr - done, run->nr - skip);

		ret = iommu_map(domain, iova + done * PAGE_SIZE, PFN_PHYS(run->pfn + skip),
				n * PAGE_SIZE, prot, gfp);
		if (ret) {
			if (done)
				iommu_unmap(domain, iova, done * PAGE_SIZE);
			return ret;
		}
		done += n;
	}
	return 0;
}
EXPORT_SYMBOL_GPL(omni_pages_map);

size_t omni_pages_unmap(struct omni_pages *obj, struct iommu_domain *domain,
			unsigned long iova, size_t nr)
{
	struct iommu_iotlb_gather gather;
	size_t done;

	iommu_iotlb_gather_init(&gather);
	/* Another driver has other uses for the field. */
	if (domain->ops->attach_dev == omni_attach_paging &&
	    READ_ONCE(to_omni_domain(domain)->pt.tracked))
		gather.pgsize = OMNI_NC_LAZY;
	done = iommu_unmap_fast(domain, iova, nr * PAGE_SIZE, &gather);
	iommu_iotlb_sync(domain, &gather);
	return done / PAGE_SIZE;
}
EXPORT_SYMBOL_GPL(omni_pages_unmap);

void omni_pages_release(struct omni_pages *obj)
{
	omni_pages_let_go(obj, obj->nr_runs);
	kvfree(obj);
}
EXPORT_SYMBOL_GPL(omni_pages_release);
