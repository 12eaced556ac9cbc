// SPDX-License-Identifier: GPL-2.0-only
/*
 * Objects of pinned pages (include/omni_pages.h): what leaves its last
 * mapping is cleaned when it is released, once, and clean again whenever it
 * enters.
 */
#include "../include/omni_pages.h"
#include "inject.h"
#include "nc_world.h"

#include <linux/iommu.h>

#define PAGES_NR	200

static const struct omni_variant pages_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS, .speculate = true },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
};

OMNI_KIT_PARAM(pages, pages_shapes)

static struct page **pages_array(struct nc_world *w, unsigned int first, unsigned int nr)
{
	struct page **pages = kunit_kcalloc(w->test, nr, sizeof(*pages), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(w->test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = cache_struct_page(w->c, first + i);
	return pages;
}

static struct omni_pages *pages_object(struct nc_world *w, unsigned int first, unsigned int nr)
{
	struct page **pages = pages_array(w, first, nr);
	struct omni_pages *obj = omni_pages_create(pages, nr);

	KUNIT_ASSERT_FALSE(w->test, IS_ERR_OR_NULL(obj));
	/* The object has them now. */
	memset(pages, 0, nr * sizeof(*pages));
	cache_hold(w->c, first, nr);
	return obj;
}

static void pages_map(struct nc_world *w, struct omni_pages *obj, struct omni_domain *domain,
		      u64 iova, unsigned int base, unsigned int first, unsigned int nr)
{
	cache_enter(w->c, base + first, nr);
	KUNIT_ASSERT_EQ(w->test, 0, omni_pages_map(obj, &domain->iommu, iova, first, nr, NC_BOTH,
						   GFP_KERNEL));
}

static void pages_unmap(struct nc_world *w, struct omni_pages *obj, struct omni_domain *domain,
			u64 iova, unsigned int page, unsigned int nr)
{
	KUNIT_EXPECT_EQ(w->test, nr, omni_pages_unmap(obj, &domain->iommu, iova, nr));
	cache_leave(w->c, page, nr);
}

/* In once for two domains, out once for all its life; in again each time it returns. */
static void a_page_is_cleaned_out_when_it_is_released(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	struct omni_pages *obj;
	unsigned int round;

	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	obj = pages_object(w, 450, PAGES_NR);
	for (round = 0; round < 5; round++) {
		cache_cpu_all(w->c, 450, PAGES_NR, true);
		pages_map(w, obj, a, NC_IOVA, 450, 0, PAGES_NR);
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, PAGES_NR, 1), 2 * PAGES_NR);
		pages_map(w, obj, b, SZ_2G + SZ_4K, 450, 10, 50);
		KUNIT_EXPECT_EQ(test, nc_dma(w, 1, SZ_2G + SZ_4K, 50, 1), 100);
		cache_fetch(w->c, 450, PAGES_NR);
		NC_EXPECT_CLEANS(w, 450, PAGES_NR, round + 1);
		pages_unmap(w, obj, a, NC_IOVA, 450, PAGES_NR);
		KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, NC_IOVA, PAGES_NR, 1));
		KUNIT_EXPECT_EQ(test, nc_dma(w, 1, SZ_2G + SZ_4K, 50, 1), 100);
		pages_unmap(w, obj, b, SZ_2G + SZ_4K, 460, 50);
		NC_EXPECT_CLEANS(w, 450, PAGES_NR, round + 1);
	}
	cache_fetch(w->c, 450, PAGES_NR);
	omni_pages_release(obj);
	cache_release(w->c, 450, PAGES_NR);
	NC_EXPECT_CLEANS(w, 450, PAGES_NR, round + 1);
	NC_EXPECT_CLEANS(w, 0, 450, 0);
	NC_EXPECT_CLEANS(w, 650, 374, 0);
	cache_cpu_all(w->c, 450, PAGES_NR, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* What was never reachable, or not without snooping, is not cleaned at all. */
static void a_release_cleans_what_is_owed_only(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	struct omni_pages *obj = pages_object(w, 0, PAGES_NR);

	if (omni_kit(test)->able & OMNI_ENFORCES)
		KUNIT_ASSERT_TRUE(test, b->iommu.ops->enforce_cache_coherency(&b->iommu));
	else
		omni_test_pcie(w->od[1], false);
	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	KUNIT_EXPECT_EQ(test, 0, omni_pages_map(obj, &b->iommu, NC_IOVA, 0, PAGES_NR, NC_BOTH,
						GFP_KERNEL));
	pages_map(w, obj, a, NC_IOVA, 0, 20, 30);
	pages_unmap(w, obj, a, NC_IOVA, 20, 30);
	NC_EXPECT_CLEANS(w, 20, 30, 1);
	KUNIT_EXPECT_EQ(test, PAGES_NR, omni_pages_unmap(obj, &b->iommu, NC_IOVA, PAGES_NR));
	omni_pages_release(obj);
	cache_release(w->c, 0, PAGES_NR);
	NC_EXPECT_CLEANS(w, 0, 20, 0);
	NC_EXPECT_CLEANS(w, 20, 30, 2);
	NC_EXPECT_CLEANS(w, 50, 150, 0);
	cache_cpu_all(w->c, 0, PAGES_NR, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* A page that others map is cleaned at the end of that; what others hold is owed to each. */
static void others_have_the_page_too(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);
	struct omni_pages *one = pages_object(w, 0, 100), *two = pages_object(w, 50, 100);

	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	cache_cpu_all(w->c, 0, 150, true);
	pages_map(w, one, a, NC_IOVA, 0, 0, 100);
	nc_map(w, b, NC_IOVA, 90, 40);
	NC_EXPECT_CLEANS(w, 0, 130, 1);
	nc_dma(w, 0, NC_IOVA, 100, 1);
	nc_dma(w, 1, NC_IOVA, 40, 1);
	cache_fetch(w->c, 0, 150);
	pages_unmap(w, one, a, NC_IOVA, 0, 100);
	NC_EXPECT_CLEANS(w, 0, 130, 1);
	/* 0 to 49 are owed, 50 to 89 held by two, 90 to 129 mapped. */
	omni_pages_release(one);
	cache_release(w->c, 0, 100);
	NC_EXPECT_CLEANS(w, 0, 90, 2);
	NC_EXPECT_CLEANS(w, 90, 40, 1);
	cache_cpu_all(w->c, 0, 50, false);
	omni_pages_release(two);
	cache_release(w->c, 50, 100);
	NC_EXPECT_CLEANS(w, 50, 40, 2);
	NC_EXPECT_CLEANS(w, 90, 40, 1);
	cache_cpu_all(w->c, 50, 40, false);
	nc_dma(w, 1, NC_IOVA, 40, 1);
	cache_fetch(w->c, 90, 40);
	nc_unmap(w, b, NC_IOVA, 40);
	cache_leave(w->c, 90, 40);
	NC_EXPECT_CLEANS(w, 90, 40, 2);
	NC_EXPECT_CLEANS(w, 130, 20, 0);
	cache_cpu_all(w->c, 0, 150, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* A page that came back before the release owes nothing: it is cleaned at its end. */
static void a_debt_is_paid_by_coming_back(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct omni_pages *obj = pages_object(w, 500, 40);

	nc_attach(w, 0, domain);
	pages_map(w, obj, domain, SZ_1G, 500, 0, 40);
	pages_unmap(w, obj, domain, SZ_1G, 500, 40);
	NC_EXPECT_CLEANS(w, 500, 40, 1);
	/* By small leaves, and by a large one. */
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_map(w, domain, SZ_1G, 512, 28);
	NC_EXPECT_CLEANS(w, 500, 40, 2);
	nc_dma(w, 0, NC_IOVA, 512, 1);
	nc_dma(w, 0, SZ_1G, 28, 1);
	omni_pages_release(obj);
	cache_release(w->c, 500, 40);
	NC_EXPECT_CLEANS(w, 500, 40, 2);
	nc_unmap(w, domain, NC_IOVA, 512);
	nc_unmap(w, domain, SZ_1G, 28);
	cache_leave(w->c, 0, 540);
	NC_EXPECT_CLEANS(w, 500, 40, 3);
	cache_cpu_all(w->c, 0, 540, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* The domain's own unmap, its last device or its end may be somebody else's: they pay. */
static void no_debt_when_the_mapping_ends_in_another_way(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	unsigned int how;

	for (how = 0; how < 3; how++) {
		struct omni_domain *domain = nc_domain(w);
		struct omni_pages *obj = pages_object(w, 0, 600);

		nc_attach(w, 0, domain);
		cache_cpu_all(w->c, 0, 600, true);
		pages_map(w, obj, domain, NC_IOVA + SZ_4K, 0, 0, 600);
		nc_dma(w, 0, NC_IOVA + SZ_4K, 600, 1);
		cache_fetch(w->c, 0, 600);
		if (!how)
			nc_unmap(w, domain, NC_IOVA + SZ_4K, 600);
		nc_attach(w, 0, NULL);
		if (how == 1)
			KUNIT_EXPECT_EQ(test, 600, omni_pages_unmap(obj, &domain->iommu,
								    NC_IOVA + SZ_4K, 600));
		nc_domain_free(w, domain);
		cache_leave(w->c, 0, 600);
		NC_EXPECT_CLEANS(w, 0, 600, 2 * how + 2);
		omni_pages_release(obj);
		cache_release(w->c, 0, 600);
		NC_EXPECT_CLEANS(w, 0, 600, 2 * how + 2);
		cache_cpu_all(w->c, 0, 600, false);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	}
}

/* Pages in no order, runs in between. */
static void pages_from_all_over(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i, nr = 300;
	struct page **pages = pages_array(w, 0, nr);
	struct omni_pages *obj;

	/* Runs of 4 in reverse order, all over both blocks. */
	for (i = 0; i < nr; i++)
		pages[i] = cache_struct_page(w->c, ((nr - 1 - i) / 4 * 12 + i % 4) % 1024);
	obj = omni_pages_create(pages, nr);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj));
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	cache_hold(w->c, 0, 1024);
	cache_enter(w->c, 0, 1024);
	KUNIT_EXPECT_EQ(test, 0, omni_pages_map(obj, &domain->iommu, NC_IOVA, 5, nr - 5, NC_BOTH,
						GFP_KERNEL));
	for (i = 5; i < nr; i++)
		KUNIT_EXPECT_EQ(test, page_to_phys(pages[i]),
				iommu_iova_to_phys(&domain->iommu, NC_IOVA + (i - 5) * SZ_4K));
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, nr - 5, 2), (nr - 5) * 4);
	cache_fetch(w->c, 0, 1024);
	KUNIT_EXPECT_EQ(test, nr - 5, omni_pages_unmap(obj, &domain->iommu, NC_IOVA, nr - 5));
	omni_pages_release(obj);
	cache_leave(w->c, 0, 1024);
	cache_release(w->c, 0, 1024);
	for (i = 0; i < nr; i++) {
		unsigned int page = ((nr - 1 - i) / 4 * 12 + i % 4) % 1024;

		NC_EXPECT_CLEANS(w, page, 1, i < 5 ? 0 : 2);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), (nr - 5) * 2 * SZ_4K);
	cache_cpu_all(w->c, 0, 1024, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* Something is in the way of a later run: those before it go again. */
static void a_map_that_fails_leaves_nothing(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	struct page **pages = pages_array(w, 0, 40);
	struct omni_pages *obj;
	unsigned int i;

	for (i = 0; i < 40; i++)
		pages[i] = cache_struct_page(w->c, 2 * i);
	obj = omni_pages_create(pages, 40);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj));
	cache_hold(w->c, 0, 80);
	nc_attach(w, 0, domain);
	nc_map(w, domain, NC_IOVA + 20 * SZ_4K, 100, 1);
	cache_enter(w->c, 0, 80);
	KUNIT_EXPECT_EQ(test, -EEXIST, omni_pages_map(obj, &domain->iommu, NC_IOVA, 0, 40, NC_BOTH,
						      GFP_KERNEL));
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_EQ(test, i == 20 ? cache_pa(w->c, 100) : 0,
				iommu_iova_to_phys(&domain->iommu, NC_IOVA + i * SZ_4K));
	cache_leave(w->c, 0, 80);
	omni_pages_release(obj);
	cache_release(w->c, 0, 80);
	cache_cpu_all(w->c, 0, 80, false);
	nc_unmap(w, domain, NC_IOVA + 20 * SZ_4K, 1);
	cache_leave(w->c, 100, 1);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void what_is_refused(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	struct page **pages = pages_array(w, 0, PAGES_NR);
	struct omni_pages *obj;

	KUNIT_EXPECT_PTR_EQ(test, omni_pages_create(pages, 0), ERR_PTR(-EINVAL));
	obj = pages_object(w, 0, PAGES_NR);
	nc_attach(w, 0, domain);
	KUNIT_EXPECT_EQ(test, -EINVAL, omni_pages_map(obj, &domain->iommu, NC_IOVA, 0, 0, NC_BOTH,
						      GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL, omni_pages_map(obj, &domain->iommu, NC_IOVA, 1, PAGES_NR,
						      NC_BOTH, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL, omni_pages_map(obj, &domain->iommu, NC_IOVA, SIZE_MAX, 2,
						      NC_BOTH, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, -EINVAL, omni_pages_map(obj, &domain->iommu, NC_IOVA, PAGES_NR, 1,
						      NC_BOTH, GFP_KERNEL));
	KUNIT_EXPECT_NE(test, 0, omni_pages_map(obj, &domain->iommu, NC_IOVA + 1, 0, 1, NC_BOTH,
						GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&w->c->calls));
	/* Something is in the way: nothing stays, not even a debt that is not paid. */
	nc_map(w, domain, NC_IOVA + 150 * SZ_4K, 300, 1);
	cache_enter(w->c, 0, PAGES_NR);
	KUNIT_EXPECT_EQ(test, -EEXIST, omni_pages_map(obj, &domain->iommu, NC_IOVA, 0, PAGES_NR,
						      NC_BOTH, GFP_KERNEL));
	cache_leave(w->c, 0, PAGES_NR);
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu, NC_IOVA));
	KUNIT_EXPECT_EQ(test, 0, omni_pages_unmap(obj, &domain->iommu, NC_IOVA, 10));
	/* An unmap stops at the first hole. */
	pages_map(w, obj, domain, NC_IOVA, 0, 0, 20);
	KUNIT_EXPECT_EQ(test, 20, omni_pages_unmap(obj, &domain->iommu, NC_IOVA, 100));
	cache_leave(w->c, 0, 20);
	nc_unmap(w, domain, NC_IOVA + 150 * SZ_4K, 1);
	cache_leave(w->c, 300, 1);
	omni_pages_release(obj);
	cache_release(w->c, 0, PAGES_NR);
	cache_cpu_all(w->c, 0, PAGES_NR, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void objects_without_memory(struct kunit *test)
{
	struct nc_world *w;
	struct omni_domain *domain;
	struct omni_pages *obj = NULL;
	struct page **pages;
	unsigned int n;
	struct inject i;

	inject_need(test);
	w = nc_world_create(test, 2);
	domain = nc_domain(w);
	/* Two runs, in two blocks. */
	pages = pages_array(w, 400, PAGES_NR);
	for (n = PAGES_NR / 2; n < PAGES_NR; n++)
		pages[n] = cache_struct_page(w->c, 500 + n);
	nc_attach(w, 0, domain);
	inject_each(test, i) {
		inject(i.nth);
		obj = omni_pages_create(pages, PAGES_NR);
		inject_judge(test, &i, PTR_ERR_OR_ZERO(obj));
		KUNIT_ASSERT_NOT_NULL(test, obj);
		if (!IS_ERR(obj) && i.failed)
			omni_pages_release(obj);
		if (i.failed)
			KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	}
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj));
	cache_hold(w->c, 400, 300);
	cache_cpu_all(w->c, 400, 300, true);
	inject_each(test, i) {
		int ret;

		cache_enter(w->c, 400, 300);
		inject(i.nth);
		ret = omni_pages_map(obj, &domain->iommu, NC_IOVA, 0, PAGES_NR, NC_BOTH,
				     GFP_KERNEL);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu, NC_IOVA));
		} else {
			KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, PAGES_NR, 1), 2 * PAGES_NR);
			inject(1);
			KUNIT_EXPECT_EQ(test, PAGES_NR, omni_pages_unmap(obj, &domain->iommu,
									 NC_IOVA, PAGES_NR));
			KUNIT_EXPECT_FALSE_MSG(test, inject_end(), "unmap allocates");
		}
		cache_leave(w->c, 400, 300);
	}
	cache_fetch(w->c, 400, 300);
	inject(1);
	omni_pages_release(obj);
	KUNIT_EXPECT_FALSE_MSG(test, inject_end(), "a release allocates");
	cache_release(w->c, 400, 300);
	cache_cpu_all(w->c, 400, 300, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static struct kunit_case pages_cases[] = {
	KUNIT_CASE_PARAM(a_page_is_cleaned_out_when_it_is_released, pages_gen_params),
	KUNIT_CASE_PARAM(a_release_cleans_what_is_owed_only, pages_gen_params),
	KUNIT_CASE_PARAM(others_have_the_page_too, pages_gen_params),
	KUNIT_CASE_PARAM(a_debt_is_paid_by_coming_back, pages_gen_params),
	KUNIT_CASE_PARAM(no_debt_when_the_mapping_ends_in_another_way, pages_gen_params),
	KUNIT_CASE_PARAM(pages_from_all_over, pages_gen_params),
	KUNIT_CASE_PARAM(a_map_that_fails_leaves_nothing, pages_gen_params),
	KUNIT_CASE_PARAM(what_is_refused, pages_gen_params),
	KUNIT_CASE_PARAM(objects_without_memory, pages_gen_params),
	{ }
};

static struct kunit_suite pages_suite = {
	.name = "omni_nc_pages",
	.test_cases = pages_cases,
};

kunit_test_suites(&pages_suite);
