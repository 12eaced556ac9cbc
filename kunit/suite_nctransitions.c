// SPDX-License-Identifier: GPL-2.0-only
/*
 * What changes around the pages of a non-coherent domain: devices come and
 * go, coherency is enforced, unmaps end late or never, memory runs out. Each
 * page is clean when it has to be, and no more often.
 */
#include "inject.h"
#include "nc_world.h"

#include <linux/iommu.h>

static const struct omni_variant change_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS, .speculate = true },
	{ "caching-mode", OMNI_TRACKS | OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
};

OMNI_KIT_PARAM(change, change_shapes)

OMNI_KIT_PARAM(enforce, nc_enforce_shapes)

static struct nc_world *change_world(struct kunit *test, unsigned int blocks)
{
	return nc_world_create(test, blocks);
}

/* Devices come and go */

/* What is mapped already: a large leaf, small ones in two tables. */
static void an_attach_counts_in_what_is_mapped(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	const u64 small = NC_IOVA + SZ_2M + SZ_1M;
	unsigned int nr = 512 + 300, round;

	cache_cpu_all(w->c, 0, nr, true);
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_map(w, domain, small, 512, 300);
	NC_EXPECT_CLEANS(w, 0, nr, 0);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	for (round = 0; round < 2; round++) {
		nc_watch(w, small, 300);
		nc_attach(w, 0, domain);
		KUNIT_EXPECT_EQ_MSG(test, w->reached[0] + w->reached[1], 0,
				    "the device is there before the pages are clean");
		NC_EXPECT_CLEANS(w, 0, nr, 2 * round + 1);
		nc_dma(w, 0, NC_IOVA, 512, 1);
		nc_dma(w, 0, small, 300, 2);
		/* Others change nothing, until the last one goes. */
		nc_attach(w, 1, domain);
		nc_attach(w, 0, NULL);
		NC_EXPECT_CLEANS(w, 0, nr, 2 * round + 1);
		nc_dma(w, 1, NC_IOVA, 512, 1);
		cache_fetch(w->c, 0, nr);
		nc_watch(w, small, 300);
		nc_attach(w, 1, NULL);
		KUNIT_EXPECT_EQ_MSG(test, w->reached[0] + w->reached[1], 0,
				    "the device is there while the pages are cleaned");
		NC_EXPECT_CLEANS(w, 0, nr, 2 * round + 2);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
		cache_leave(w->c, 0, nr);
		cache_cpu_all(w->c, 0, nr, false);
		cache_cpu_all(w->c, 0, nr, true);
		cache_enter(w->c, 0, nr);
	}
	/* With nobody there, nothing needs cleaning. */
	nc_watch(w, 0, 0);
	nc_unmap(w, domain, small, 300);
	cache_leave(w->c, 512, 300);
	nc_map(w, domain, small, 512, 300);
	NC_EXPECT_CLEANS(w, 0, nr, 4);
	nc_attach(w, 2, domain);
	NC_EXPECT_CLEANS(w, 0, nr, 5);
	nc_unmap(w, domain, NC_IOVA, 512);
	nc_unmap(w, domain, small, 300);
	cache_leave(w->c, 0, nr);
	NC_EXPECT_CLEANS(w, 0, nr, 6);
	cache_cpu_all(w->c, 0, nr, false);
}

/* A device that always snoops is there all the time. */
static void one_that_snoops_and_one_that_may_not(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i;

	omni_test_pcie(w->od[0], false);
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 100, true);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0), 100 * SZ_4K,
					   NC_BOTH, GFP_KERNEL));
	for (i = 0; i < 400; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i % 100 * SZ_4K,
						   i & 1, false));
	NC_EXPECT_CLEANS(w, 0, 100, 0);
	cache_enter(w->c, 0, 100);
	nc_attach(w, 1, domain);
	NC_EXPECT_CLEANS(w, 0, 100, 1);
	nc_dma(w, 1, NC_IOVA, 100, 2);
	for (i = 0; i < 400; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i % 100 * SZ_4K,
						   i & 1, false));
	nc_unmap(w, domain, NC_IOVA, 50);
	cache_leave(w->c, 0, 50);
	NC_EXPECT_CLEANS(w, 0, 50, 2);
	nc_attach(w, 1, NULL);
	cache_leave(w->c, 50, 50);
	NC_EXPECT_CLEANS(w, 0, 100, 2);
	for (i = 0; i < 400; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID,
						   NC_IOVA + (50 + i % 50) * SZ_4K, i & 1, false));
	nc_unmap(w, domain, NC_IOVA + 50 * SZ_4K, 50);
	cache_cpu_all(w->c, 0, 100, false);
	NC_EXPECT_CLEANS(w, 0, 100, 2);
}

/* What was unmapped and not synced may be cached for the device that snoops. */
static void one_that_may_not_snoop_comes_before_a_sync(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;
	unsigned int i;

	omni_test_pcie(w->od[0], false);
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 20, true);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0), 20 * SZ_4K,
					   NC_BOTH, GFP_KERNEL));
	for (i = 0; i < 20; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i * SZ_4K, true,
						   false));
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA, 20, &gather);
	nc_attach(w, 1, domain);
	nc_dma(w, 1, NC_IOVA, 20, 1);
	iommu_iotlb_sync(&domain->iommu, &gather);
	NC_EXPECT_CLEANS(w, 0, 20, 0);
	cache_cpu_all(w->c, 0, 20, false);
}

/* What both domains map stays reachable all the time. */
static void a_replace_does_not_clean_what_is_shared(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	unsigned int round;

	cache_cpu_all(w->c, 0, 300, true);
	nc_map(w, a, NC_IOVA, 0, 200);
	nc_attach(w, 0, a);
	/* Not reachable through b yet; the first entry counts. */
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&b->iommu, SZ_2G, cache_pa(w->c, 100), 200 * SZ_4K,
					   NC_BOTH, GFP_KERNEL));
	for (round = 0; round < 3; round++) {
		NC_EXPECT_CLEANS(w, 0, 100, 2 * round + 1);
		NC_EXPECT_CLEANS(w, 100, 100, 1);
		NC_EXPECT_CLEANS(w, 200, 100, 2 * round);
		nc_dma(w, 0, NC_IOVA, 200, 1);
		cache_enter(w->c, 100, 200);
		nc_attach(w, 0, b);
		cache_leave(w->c, 0, 200);
		NC_EXPECT_CLEANS(w, 0, 100, 2 * round + 2);
		NC_EXPECT_CLEANS(w, 100, 100, 1);
		NC_EXPECT_CLEANS(w, 200, 100, 2 * round + 1);
		cache_cpu_all(w->c, 0, 100, false);
		cache_cpu_all(w->c, 0, 100, true);
		KUNIT_EXPECT_GT(test, nc_dma(w, 0, SZ_2G, 200, 1), 0);
		cache_enter(w->c, 0, 200);
		nc_attach(w, 0, a);
		cache_leave(w->c, 100, 200);
		cache_cpu_all(w->c, 200, 100, false);
		cache_cpu_all(w->c, 200, 100, true);
	}
	nc_attach(w, 0, &omni_identity);
	cache_leave(w->c, 0, 200);
	NC_EXPECT_CLEANS(w, 0, 100, 8);
	NC_EXPECT_CLEANS(w, 100, 100, 2);
	NC_EXPECT_CLEANS(w, 200, 100, 6);
	cache_cpu_all(w->c, 0, 300, false);
}

/* The device stays where it was, and so does the count. */
static void an_attach_that_fails_changes_nothing(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	unsigned int cleans;

	w->leaks = true;
	nc_map(w, a, NC_IOVA, 0, 100);
	nc_map(w, b, NC_IOVA, 50, 100);
	nc_attach(w, 0, a);
	omni_model_error(w->m, 0, 1000);
	KUNIT_EXPECT_NE(test, 0, omni_test_attach(w->od[0], b));
	omni_model_error(w->m, 0, 0);
	/* Those of b alone were on their way in, and out again. */
	cleans = cache_cleans(w->c, 100, 50);
	KUNIT_EXPECT_TRUE(test, cleans == 0 || cleans == 2);
	NC_EXPECT_CLEANS(w, 0, 100, 1);
	KUNIT_EXPECT_GT(test, nc_dma(w, 0, NC_IOVA, 100, 1), 0);
	cache_leave(w->c, 50, 100);
	nc_unmap(w, b, NC_IOVA, 100);
	NC_EXPECT_CLEANS(w, 0, 100, 1);
	NC_EXPECT_CLEANS(w, 100, 50, cleans);
	nc_unmap(w, a, NC_IOVA, 100);
	cache_leave(w->c, 0, 100);
	NC_EXPECT_CLEANS(w, 0, 100, 2);
	cache_cpu_all(w->c, 0, 150, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void coherency_is_enforced_later(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;
	struct iommu_domain *iommu = &domain->iommu;
	unsigned int i;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 512, true);
	nc_map(w, domain, NC_IOVA, 0, 64);
	KUNIT_EXPECT_FALSE(test, iommu->ops->enforce_cache_coherency(iommu));
	nc_dma(w, 0, NC_IOVA, 64, 2);
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA, 64, &gather);
	/* Not before the last page is cleaned. */
	KUNIT_EXPECT_FALSE(test, iommu->ops->enforce_cache_coherency(iommu));
	iommu_iotlb_sync(iommu, &gather);
	cache_leave(w->c, 0, 64);
	NC_EXPECT_CLEANS(w, 0, 64, 2);
	KUNIT_EXPECT_TRUE(test, iommu->ops->enforce_cache_coherency(iommu));
	KUNIT_EXPECT_EQ(test, 0, iommu_map(iommu, NC_IOVA, cache_pa(w->c, 0), SZ_2M, NC_BOTH,
					   GFP_KERNEL));
	for (i = 0; i < 512; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i * SZ_4K, i & 1,
						   true));
	nc_attach(w, 1, domain);
	nc_attach(w, 0, NULL);
	nc_unmap(w, domain, NC_IOVA, 512);
	NC_EXPECT_CLEANS(w, 0, 64, 2);
	NC_EXPECT_CLEANS(w, 64, 448, 0);
	cache_cpu_all(w->c, 0, 512, false);
	nc_attach(w, 1, NULL);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* Unmaps that end later */

/* Pieces with holes between them, a whole table among them: nothing until the sync. */
static void a_sync_cleans_what_its_gather_has(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;
	const u64 iova = NC_IOVA + 20 * SZ_4K;	/* 492 pages, 512, 20 */
	unsigned int i;
	u64 before;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, iova, 0, 1024);
	nc_dma(w, 0, iova, 1024, 1);
	cache_fetch(w->c, 0, 1024);
	before = nc_commands(w);
	iommu_iotlb_gather_init(&gather);
	/* Every third of the first 300, backwards; the whole second table; the last pages. */
	for (i = 300; i; i -= 3)
		nc_unmap_fast(w, domain, iova + (i - 3) * SZ_4K, 1, &gather);
	nc_unmap_fast(w, domain, NC_IOVA + SZ_2M, 512, &gather);
	nc_unmap_fast(w, domain, iova + 1014 * SZ_4K, 10, &gather);
	KUNIT_EXPECT_EQ(test, nc_commands(w), before);
	NC_EXPECT_CLEANS(w, 0, 1024, 1);
	/* Not translated any more, but what is in the caches is in use. */
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu, iova));
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu, NC_IOVA + SZ_2M));
	nc_dma(w, 0, iova, 1024, 1);
	iommu_iotlb_sync(&domain->iommu, &gather);
	KUNIT_EXPECT_EQ(test, nc_commands(w), before + 1);
	for (i = 0; i < 300; i++)
		NC_EXPECT_CLEANS(w, i, 1, i % 3 ? 1 : 2);
	NC_EXPECT_CLEANS(w, 300, 192, 1);
	NC_EXPECT_CLEANS(w, 492, 512, 2);
	NC_EXPECT_CLEANS(w, 1004, 10, 1);
	NC_EXPECT_CLEANS(w, 1014, 10, 2);
	for (i = 0; i < 300; i += 3)
		cache_leave(w->c, i, 1);
	cache_leave(w->c, 492, 512);
	cache_leave(w->c, 1014, 10);
	cache_cpu_all(w->c, 0, 1024, false);
	/* The rest goes with the device, and stays mapped. */
	nc_attach(w, 0, NULL);
	NC_EXPECT_CLEANS(w, 0, 1024, 2);
}

/* Two unmaps whose ranges are one in the other. */
static void gathers_that_interleave(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather[2];
	unsigned int i, nr = 60, order;

	nc_attach(w, 0, domain);
	for (order = 0; order < 2; order++) {
		cache_cpu_all(w->c, 0, nr, true);
		nc_map(w, domain, NC_IOVA, 0, nr);
		nc_dma(w, 0, NC_IOVA, nr, 1);
		for (i = 0; i < 2; i++)
			iommu_iotlb_gather_init(&gather[i]);
		for (i = 0; i < nr; i++)
			nc_unmap_fast(w, domain, NC_IOVA + i * SZ_4K, 1, &gather[i / 5 & 1]);
		cache_fetch(w->c, 0, nr);
		iommu_iotlb_sync(&domain->iommu, &gather[order]);
		for (i = 0; i < nr; i++) {
			NC_EXPECT_CLEANS(w, i, 1, 2 * order + ((i / 5 & 1) == order ? 2 : 1));
			if ((i / 5 & 1) == order)
				cache_leave(w->c, i, 1);
		}
		/* The other's may still be in caches, and are not lost for its sync. */
		nc_dma(w, 0, NC_IOVA, nr, 1);
		cache_fetch(w->c, 0, nr);
		iommu_iotlb_sync(&domain->iommu, &gather[!order]);
		for (i = 0; i < nr; i++)
			if ((i / 5 & 1) != order)
				cache_leave(w->c, i, 1);
		NC_EXPECT_CLEANS(w, 0, nr, 2 * order + 2);
		cache_cpu_all(w->c, 0, nr, false);
	}
}

/* A map where an unmap has not ended yet: of the same size, and one size up. */
static void a_map_over_what_is_pending(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA + 4 * SZ_4K, 4, 20);
	nc_dma(w, 0, NC_IOVA + 4 * SZ_4K, 20, 2);
	cache_fetch(w->c, 0, 24);
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA + 4 * SZ_4K, 20, &gather);
	nc_map(w, domain, NC_IOVA, 512, 512);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, 512, 1), 1024);
	NC_EXPECT_CLEANS(w, 4, 20, 2);
	NC_EXPECT_CLEANS(w, 512, 512, 1);
	iommu_iotlb_sync(&domain->iommu, &gather);
	cache_leave(w->c, 4, 20);
	NC_EXPECT_CLEANS(w, 4, 20, 2);
	cache_cpu_all(w->c, 0, 24, false);

	/* The large leaf is pending, and small ones come. */
	nc_dma(w, 0, NC_IOVA, 512, 1);
	cache_fetch(w->c, 512, 512);
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA, 512, &gather);
	nc_map(w, domain, NC_IOVA + 9 * SZ_4K, 4, 1);
	NC_EXPECT_CLEANS(w, 512, 512, 2);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA + 9 * SZ_4K, 1, 2), 4);
	iommu_iotlb_sync(&domain->iommu, &gather);
	cache_leave(w->c, 512, 512);
	cache_cpu_all(w->c, 512, 512, false);

	/* The same pages at the same place. */
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA + 9 * SZ_4K, 1, &gather);
	nc_map(w, domain, NC_IOVA + 9 * SZ_4K, 4, 1);
	iommu_iotlb_sync(&domain->iommu, &gather);
	cache_leave(w->c, 4, 1);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA + 9 * SZ_4K, 1, 2), 4);
	nc_unmap(w, domain, NC_IOVA + 9 * SZ_4K, 1);
	cache_leave(w->c, 4, 1);
	cache_cpu_all(w->c, 4, 1, false);
	NC_EXPECT_CLEANS(w, 512, 512, 2);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* The last device goes, comes back, or comes first, between an unmap and its end. */
static void devices_change_before_the_sync(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;
	unsigned int round;

	for (round = 0; round < 3; round++) {
		unsigned int cleans = cache_cleans(w->c, 0, 1);

		cache_cpu_all(w->c, 0, 1000, true);
		if (round < 2)
			nc_attach(w, 0, domain);
		nc_map(w, domain, NC_IOVA + SZ_4K, 0, 1000);
		nc_dma(w, 0, NC_IOVA + SZ_4K, 1000, 1);
		cache_fetch(w->c, 0, 1000);
		iommu_iotlb_gather_init(&gather);
		/* Some entries, a table and some entries. */
		nc_unmap_fast(w, domain, NC_IOVA + SZ_4K, 1000, &gather);
		if (round < 2)
			nc_attach(w, 0, NULL);
		if (round)
			nc_attach(w, 1, domain);
		iommu_iotlb_sync(&domain->iommu, &gather);
		cache_leave(w->c, 0, 1000);
		NC_EXPECT_CLEANS(w, 0, 1000, cleans + (round < 2 ? 2 : 0));
		cache_cpu_all(w->c, 0, 1000, false);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
		nc_attach(w, 1, NULL);
	}
}

/* A domain is freed with mappings, and with what nobody synced. */
static void a_domain_is_freed_as_it_is(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain;
	struct iommu_iotlb_gather gather;
	unsigned int round;

	for (round = 0; round < 4; round++) {
		domain = nc_domain(w);
		nc_attach(w, 0, domain);
		cache_cpu_all(w->c, 0, 1024, true);
		nc_map(w, domain, NC_IOVA, 0, 512);
		nc_map(w, domain, NC_IOVA + SZ_2M, 512, 300);
		nc_dma(w, 0, NC_IOVA, 812, 1);
		cache_fetch(w->c, 0, 1024);
		iommu_iotlb_gather_init(&gather);
		if (round & 1)
			nc_unmap_fast(w, domain, NC_IOVA + SZ_2M, 200, &gather);
		if (round & 2)
			nc_attach(w, 1, domain);
		nc_attach(w, 0, NULL);
		nc_attach(w, 1, NULL);
		/* More of it, of no concern now. */
		KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, SZ_2G, cache_pa(w->c, 0),
						   SZ_4M, NC_BOTH, GFP_KERNEL));
		nc_domain_free(w, domain);
		cache_leave(w->c, 0, 812);
		NC_EXPECT_CLEANS(w, 0, 812, 2 * round + 2);
		NC_EXPECT_CLEANS(w, 812, 212, 0);
		cache_cpu_all(w->c, 0, 1024, false);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	}
}

/* The kernel's flush queue ends unmaps with a flush of all. */
static void a_flush_of_all_ends_every_unmap(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1000, true);
	nc_map(w, domain, NC_IOVA + SZ_4K, 0, 1000);
	nc_dma(w, 0, NC_IOVA + SZ_4K, 1000, 1);
	cache_fetch(w->c, 0, 1000);
	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	nc_unmap_fast(w, domain, NC_IOVA + SZ_4K, 1000, &gather);
	NC_EXPECT_CLEANS(w, 0, 1000, 1);
	iommu_flush_iotlb_all(&domain->iommu);
	cache_leave(w->c, 0, 1000);
	NC_EXPECT_CLEANS(w, 0, 1000, 2);
	cache_cpu_all(w->c, 0, 1000, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* Ranges that are not what they seem (L5) */

static void maps_and_unmaps_that_fall_short(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_domain *iommu = &domain->iommu;
	unsigned int cleans;
	size_t mapped = 0;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	/* A map over what is mapped: what it did is undone. */
	nc_map(w, domain, NC_IOVA + 600 * SZ_4K, 1000, 1);
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_map(iommu, NC_IOVA + SZ_4K, cache_pa(w->c, 0),
						 800 * SZ_4K, NC_BOTH, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(iommu, NC_IOVA + SZ_4K));
	cleans = cache_cleans(w->c, 0, 599);
	KUNIT_EXPECT_TRUE(test, cleans == 0 || cleans == 2);
	KUNIT_EXPECT_LE(test, cache_cleans(w->c, 599, 201), 2);
	NC_EXPECT_CLEANS(w, 1000, 1, 1);
	/* One leaf over small ones. */
	KUNIT_EXPECT_EQ(test, -EEXIST, iommu_map(iommu, NC_IOVA + SZ_2M, cache_pa(w->c, 512),
						 SZ_2M, NC_BOTH, GFP_KERNEL));
	nc_dma(w, 0, NC_IOVA + 600 * SZ_4K, 1, 4);
	/* The hook itself says how far it came, and that much is counted. */
	cache_enter(w->c, 900, 5);
	cleans = cache_cleans(w->c, 900, 9);
	KUNIT_EXPECT_EQ(test, -EEXIST,
			iommu->ops->map_pages(iommu, NC_IOVA + 595 * SZ_4K, cache_pa(w->c, 900),
					      SZ_4K, 9, NC_BOTH, GFP_KERNEL, &mapped));
	KUNIT_EXPECT_EQ(test, mapped, 5 * SZ_4K);
	NC_EXPECT_CLEANS(w, 900, 5, cleans + 1);
	KUNIT_EXPECT_NE(test, cleans + 1, cache_cleans(w->c, 905, 4));
	/* An unmap over holes stops at the first. */
	KUNIT_EXPECT_EQ(test, 6 * SZ_4K, iommu_unmap(iommu, NC_IOVA + 595 * SZ_4K, 100 * SZ_4K));
	cache_leave(w->c, 900, 5);
	cache_leave(w->c, 1000, 1);
	NC_EXPECT_CLEANS(w, 900, 5, cleans + 2);
	NC_EXPECT_CLEANS(w, 1000, 1, 2);
	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(iommu, NC_IOVA + 595 * SZ_4K, SZ_4K));
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	/* A large leaf goes as a whole, from its beginning only. */
	nc_map(w, domain, NC_IOVA, 0, 512);
	cleans = cache_cleans(w->c, 0, 512);
	nc_dma(w, 0, NC_IOVA, 512, 1);
	KUNIT_EXPECT_EQ(test, 0, iommu_unmap(iommu, NC_IOVA + SZ_4K, SZ_4K));
	NC_EXPECT_CLEANS(w, 0, 512, cleans);
	KUNIT_EXPECT_EQ(test, SZ_2M, iommu_unmap(iommu, NC_IOVA, SZ_4K));
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 512, cleans + 1);
	cache_cpu_all(w->c, 0, 1024, false);
}

/* A table that emptied piece by piece gives way to a leaf. */
static void a_leaf_takes_the_place_of_an_empty_table(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	unsigned int round;

	nc_attach(w, 0, domain);
	for (round = 0; round < 2; round++) {
		cache_cpu_all(w->c, 0, 1024, true);
		nc_map(w, domain, NC_IOVA, 1, 511);
		nc_dma(w, 0, NC_IOVA, 511, 1);
		cache_fetch(w->c, 0, 512);
		nc_unmap(w, domain, NC_IOVA, 100);
		nc_unmap(w, domain, NC_IOVA + 100 * SZ_4K, 411);
		cache_leave(w->c, 1, 511);
		NC_EXPECT_CLEANS(w, 1, 511, 2 * round + 2);
		nc_map(w, domain, NC_IOVA, 512, 512);
		NC_EXPECT_CLEANS(w, 512, 512, 2 * round + 1);
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, 512, 1), 1024);
		nc_unmap(w, domain, NC_IOVA, 512);
		cache_leave(w->c, 512, 512);
		NC_EXPECT_CLEANS(w, 512, 512, 2 * round + 2);
		cache_cpu_all(w->c, 0, 1024, false);
	}
}

static void pages_only_to_be_read(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 20, true);
	cache_enter(w->c, 0, 20);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0), 20 * SZ_4K,
					   IOMMU_READ, GFP_KERNEL));
	NC_EXPECT_CLEANS(w, 0, 20, 1);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i * SZ_4K, false,
						   true));
		KUNIT_EXPECT_NE(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i * SZ_4K, true,
						   true));
	}
	nc_unmap(w, domain, NC_IOVA, 20);
	cache_leave(w->c, 0, 20);
	NC_EXPECT_CLEANS(w, 0, 20, 2);
	cache_cpu_all(w->c, 0, 20, false);
}

/* Large and all */

/* One leaf over all memory of the guest: firmware's holes, the kernel, the pool. */
static void a_leaf_of_1g(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	const u64 base = round_down(cache_pa(w->c, 0), SZ_1G);
	u64 in = omni_counted(OMNI_NC_CLEAN_IN), out = omni_counted(OMNI_NC_CLEAN_OUT);
	u64 skipped = omni_counted(OMNI_NC_SKIPPED_MMIO) + omni_counted(OMNI_NC_SKIPPED_RESERVED) +
		      omni_counted(OMNI_NC_SKIPPED_UNMAPPED) +
		      omni_counted(OMNI_NC_SKIPPED_UNCACHED);
	u64 before;

	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	cache_cpu_all(w->c, 0, 512, true);
	cache_enter(w->c, 0, 512);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&a->iommu, 4ULL * SZ_1G, base, SZ_1G, NC_BOTH,
					   GFP_KERNEL));
	NC_EXPECT_CLEANS(w, 0, 512, 1);
	in = omni_counted(OMNI_NC_CLEAN_IN) - in;
	skipped = omni_counted(OMNI_NC_SKIPPED_MMIO) + omni_counted(OMNI_NC_SKIPPED_RESERVED) +
		  omni_counted(OMNI_NC_SKIPPED_UNMAPPED) +
		  omni_counted(OMNI_NC_SKIPPED_UNCACHED) - skipped;
	KUNIT_EXPECT_EQ(test, in + skipped, SZ_1G / SZ_4K);
	KUNIT_EXPECT_GT(test, skipped, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), in * SZ_4K);
	nc_dma(w, 0, 4ULL * SZ_1G + cache_pa(w->c, 0) - base, 512, 1);
	/* Small ones share it. */
	nc_map(w, b, NC_IOVA, 30, 300);
	NC_EXPECT_CLEANS(w, 0, 512, 1);
	before = nc_commands(w);
	KUNIT_EXPECT_EQ(test, SZ_1G, iommu_unmap(&a->iommu, 4ULL * SZ_1G, SZ_1G));
	KUNIT_EXPECT_EQ(test, nc_commands(w), before + 1);
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 30, 2);
	NC_EXPECT_CLEANS(w, 30, 300, 1);
	NC_EXPECT_CLEANS(w, 330, 182, 2);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_CLEAN_OUT) - out, in - 300);
	nc_unmap(w, b, NC_IOVA, 300);
	cache_leave(w->c, 30, 300);
	NC_EXPECT_CLEANS(w, 0, 512, 2);
	cache_cpu_all(w->c, 0, 512, false);
}

/* Above a size, all caches at once. */
static void whole_caches(struct kunit *test)
{
	struct nc_world *w = change_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	unsigned int was = omni_nc_wbinvd_above;

	nc_attach(w, 0, domain);
	omni_nc_wbinvd_above = 1;
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA, 0, 1024);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, 1024, 1), 2048);
	KUNIT_EXPECT_GE(test, w->c->wholes, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), 0);
	cache_fetch(w->c, 0, 1024);
	nc_unmap(w, domain, NC_IOVA, 1024);
	cache_leave(w->c, 0, 1024);
	KUNIT_EXPECT_LE(test, w->c->wholes, 4);
	cache_cpu_all(w->c, 0, 1024, false);
	/* Below it, lines. */
	nc_map(w, domain, NC_IOVA, 0, 8);
	nc_unmap(w, domain, NC_IOVA, 8);
	cache_leave(w->c, 0, 8);
	NC_EXPECT_CLEANS(w, 0, 8, 2);
	omni_nc_wbinvd_above = was;
}

static void every_decision_is_counted(struct kunit *test)
{
	struct nc_world *w = change_world(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	static const enum omni_count what[] = {
		OMNI_NC_CLEAN_IN, OMNI_NC_CLEAN_OUT, OMNI_NC_BYTES_IN, OMNI_NC_BYTES_OUT,
		OMNI_NC_SHARED_IN, OMNI_NC_SHARED_OUT, OMNI_NC_OWED, OMNI_NC_SKIPPED_MMIO,
		OMNI_NC_SKIPPED_RESERVED,
	};
	static const u64 want[] = {
		20, 20, 20 * SZ_4K, 20 * SZ_4K, 8, 8, 0, 3 + 3, 1 + 1,
	};
	u64 before[ARRAY_SIZE(what)];
	unsigned int i;

	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	for (i = 0; i < ARRAY_SIZE(what); i++)
		before[i] = omni_counted(what[i]);
	nc_map(w, a, NC_IOVA, 0, 20);
	nc_map(w, b, NC_IOVA, 12, 8);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&a->iommu, SZ_2G, BIT_ULL(40), 3 * SZ_4K, NC_BOTH,
					   GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&a->iommu, SZ_2G + SZ_1M, page_to_phys(ZERO_PAGE(0)),
					   SZ_4K, IOMMU_READ, GFP_KERNEL));
	nc_unmap(w, a, NC_IOVA, 20);
	cache_leave(w->c, 0, 20);
	nc_unmap(w, b, NC_IOVA, 8);
	cache_leave(w->c, 12, 8);
	nc_unmap(w, a, SZ_2G, 3);
	nc_unmap(w, a, SZ_2G + SZ_1M, 1);
	for (i = 0; i < ARRAY_SIZE(what); i++)
		KUNIT_EXPECT_EQ_MSG(test, omni_counted(what[i]) - before[i], want[i], "count %d",
				    what[i]);
}

/* No memory */

static void map_without_memory(struct kunit *test, u64 iova, unsigned int first,
			       unsigned int nr)
{
	struct nc_world *w;
	struct omni_domain *domain, *other;
	struct inject i;

	inject_need(test);
	w = change_world(test, 2);
	domain = nc_domain(w);
	other = nc_domain(w);
	nc_attach(w, 0, domain);
	nc_attach(w, 1, other);
	/* What somebody else counts stays. */
	nc_map(w, other, NC_IOVA, 0, 2);
	inject_each(test, i) {
		int ret;

		cache_cpu_all(w->c, 2, 900, true);
		cache_enter(w->c, first, nr);
		inject(i.nth);
		ret = iommu_map(&domain->iommu, iova, cache_pa(w->c, first), nr * SZ_4K,
				NC_BOTH, GFP_KERNEL);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, iova, nr, 1));
			KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu,
								    iova + 3 * SZ_4K));
		} else {
			KUNIT_EXPECT_EQ(test, nc_dma(w, 0, iova, nr, 1), nr * 2);
			inject(1);
			nc_unmap(w, domain, iova, nr);
			KUNIT_EXPECT_FALSE_MSG(test, inject_end(), "unmap allocates");
		}
		cache_leave(w->c, first, nr);
		cache_cpu_all(w->c, 2, 900, false);
		/* One block has the other's. */
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks + 1);
		NC_EXPECT_CLEANS(w, 0, 2, 1);
		NC_EXPECT_CLEANS(w, 2, first - 2, 0);
	}
	nc_unmap(w, other, NC_IOVA, 2);
	cache_leave(w->c, 0, 2);
	NC_EXPECT_CLEANS(w, 0, 2, 2);
	cache_cpu_all(w->c, 0, 1024, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void a_map_without_memory(struct kunit *test)
{
	/* Small leaves and a large one, in two blocks: counted one after the other. */
	map_without_memory(test, NC_IOVA - 3 * SZ_4K, 509, 515);
}

/* Small leaves only: one call counts in both blocks. */
static void a_map_over_two_blocks_without_memory(struct kunit *test)
{
	map_without_memory(test, NC_IOVA, 500, 30);
}

static void an_attach_without_memory(struct kunit *test)
{
	struct nc_world *w;
	struct omni_domain *domain;
	struct inject i;

	inject_need(test);
	w = change_world(test, 2);
	domain = nc_domain(w);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_map(w, domain, NC_IOVA + SZ_2M + SZ_1M, 600, 400);
	inject_each(test, i) {
		int ret;

		inject(i.nth);
		ret = omni_test_attach(w->od[0], domain);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, NC_IOVA, 3, 1));
			KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
			/* As if nothing had been tried. */
			cache_leave(w->c, 0, 512);
			cache_leave(w->c, 600, 400);
			cache_cpu_all(w->c, 0, 1024, false);
			cache_cpu_all(w->c, 0, 1024, true);
			cache_enter(w->c, 0, 512);
			cache_enter(w->c, 600, 400);
			continue;
		}
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, 512, 1), 1024);
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA + SZ_2M + SZ_1M, 400, 1), 800);
		nc_attach(w, 0, NULL);
		cache_leave(w->c, 0, 512);
		cache_leave(w->c, 600, 400);
		cache_cpu_all(w->c, 0, 1024, false);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
		cache_cpu_all(w->c, 0, 1024, true);
		cache_enter(w->c, 0, 512);
		cache_enter(w->c, 600, 400);
	}
	/* A device that leaves needs no memory: the count does not, at least. */
	nc_attach(w, 0, domain);
	nc_attach(w, 0, NULL);
	NC_EXPECT_CLEANS(w, 512, 88, 0);
}

static struct kunit_case change_cases[] = {
	KUNIT_CASE_PARAM(an_attach_counts_in_what_is_mapped, change_gen_params),
	KUNIT_CASE_PARAM(one_that_snoops_and_one_that_may_not, change_gen_params),
	KUNIT_CASE_PARAM(one_that_may_not_snoop_comes_before_a_sync, change_gen_params),
	KUNIT_CASE_PARAM(a_replace_does_not_clean_what_is_shared, change_gen_params),
	KUNIT_CASE_PARAM(an_attach_that_fails_changes_nothing, change_gen_params),
	KUNIT_CASE_PARAM(coherency_is_enforced_later, enforce_gen_params),
	KUNIT_CASE_PARAM(a_sync_cleans_what_its_gather_has, change_gen_params),
	KUNIT_CASE_PARAM(gathers_that_interleave, change_gen_params),
	KUNIT_CASE_PARAM(a_map_over_what_is_pending, change_gen_params),
	KUNIT_CASE_PARAM(devices_change_before_the_sync, change_gen_params),
	KUNIT_CASE_PARAM(a_domain_is_freed_as_it_is, change_gen_params),
	KUNIT_CASE_PARAM(a_flush_of_all_ends_every_unmap, change_gen_params),
	KUNIT_CASE_PARAM(maps_and_unmaps_that_fall_short, change_gen_params),
	KUNIT_CASE_PARAM(a_leaf_takes_the_place_of_an_empty_table, change_gen_params),
	KUNIT_CASE_PARAM(pages_only_to_be_read, change_gen_params),
	KUNIT_CASE_PARAM(a_leaf_of_1g, change_gen_params),
	KUNIT_CASE_PARAM(whole_caches, change_gen_params),
	KUNIT_CASE_PARAM(every_decision_is_counted, change_gen_params),
	KUNIT_CASE_PARAM(a_map_without_memory, change_gen_params),
	KUNIT_CASE_PARAM(a_map_over_two_blocks_without_memory, change_gen_params),
	KUNIT_CASE_PARAM(an_attach_without_memory, change_gen_params),
	{ }
};

static struct kunit_suite change_suite = {
	.name = "omni_nc_changes",
	.test_cases = change_cases,
};

kunit_test_suites(&change_suite);
