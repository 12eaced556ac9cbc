/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For kernel code that pins memory itself and maps it into domains of its
 * own: one object for a set of pinned pages, mapped into any number of
 * domains, any number of times.
 *
 * Pages that devices reach without snooping the CPU's caches have to be
 * cleaned when that ends. The domains of this driver do so in every unmap,
 * because whoever unmaps may unpin next. Whoever has such an object says when
 * he unpins: pages that leave their last mapping are then cleaned once, at
 * omni_pages_release(), however often they were mapped and unmapped before.
 * The CPU should not touch the pages between the last unmap and the release,
 * any more than between a dma_map and a dma_unmap.
 *
 * Only omni_pages_unmap() puts anything off. Where the last mapping ends in
 * another way (an iommu_unmap(), the domain's last device that leaves), the
 * pages are cleaned at once: whoever ended it may be somebody else, who has
 * the same memory and gets it back. For the same reason a release pays what
 * is owed of its pages even if another object has them, too.
 *
 * Nothing here depends on the domain being non-coherent, or this driver's.
 */
#ifndef OMNI_PAGES_H
#define OMNI_PAGES_H

#include <linux/types.h>

struct iommu_domain;
struct omni_pages;
struct page;

/**
 * omni_pages_create() - an object for pinned pages
 * @pages: the pages, each pinned until after omni_pages_release(); the array
 *	may go when the call returns
 * @nr: how many, more than 0
 *
 * Return: the object, ERR_PTR(-EINVAL), ERR_PTR(-ENOMEM), or
 * ERR_PTR(-EOVERFLOW) for a page that too many objects have.
 * Context: may sleep.
 */
struct omni_pages *omni_pages_create(struct page **pages, size_t nr);

/**
 * omni_pages_map() - map some of an object's pages
 * @obj: the object
 * @domain: the domain, IOMMU_DOMAIN_UNMANAGED
 * @iova: first byte
 * @first: index of the first page
 * @nr: number of pages, more than 0
 * @prot: IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE
 * @gfp: how to allocate
 *
 * Return: 0; -EINVAL for pages the object does not have, or the error of
 * iommu_map(), nothing being mapped.
 * Context: may sleep.
 */
int omni_pages_map(struct omni_pages *obj, struct iommu_domain *domain, unsigned long iova,
		   size_t first, size_t nr, int prot, gfp_t gfp);

/**
 * omni_pages_unmap() - unmap pages again
 * @obj: the object
 * @domain: the domain
 * @iova: first byte
 * @nr: number of pages
 *
 * When it returns, no device can use the mapping. The pages may not be
 * unpinned yet.
 *
 * Return: number of pages that were mapped and are not any more, counted up
 * to the first that was not mapped.
 * Context: may sleep.
 */
size_t omni_pages_unmap(struct omni_pages *obj, struct iommu_domain *domain,
			unsigned long iova, size_t nr);

/**
 * omni_pages_release() - the pages are about to be unpinned: clean and forget
 * @obj: an object that is mapped nowhere
 *
 * Context: may sleep.
 */
void omni_pages_release(struct omni_pages *obj);

#endif
