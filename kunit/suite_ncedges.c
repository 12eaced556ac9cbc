// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the tracker's numbers end and its states meet: the first moment of a
 * tracked domain, counts and tags that run out, what is left when nobody ends
 * an unmap, the size from which all caches are cleaned at once.
 */
#include "../include/omni_pages.h"
#include "../vtd/regs.h"
#include "nc_world.h"

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>

#define EDGE_TAGS	(BIT(OMNI_NC_TAG_BITS) - 1)
#define EDGE_STALL_MS	300

static const struct omni_variant edge_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS, .speculate = true },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
};

OMNI_KIT_PARAM(edge, edge_shapes)

static struct nc_world *edge_world(struct kunit *test, unsigned int blocks)
{
	return nc_world_create(test, blocks);
}

/* The first moment */

/* Walks are not snooped: each table's lines are written back where it is changed. */
static const struct omni_variant first_shapes[] = {
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS }
};

OMNI_KIT_PARAM(first, first_shapes)

/**
 * struct edge_first - somebody changes a page table that nobody tracks yet
 * @w: the fixture
 * @domain: the domain
 * @map: it maps; or it unmaps
 * @iova: where
 * @nr: pages, over two tables
 * @task: who
 * @inside: he has done one of them, and has not left since he looked
 * @attached: the first device that may not snoop is there
 * @early: that was so while he was inside, or cleaning had begun
 * @done: he has
 */
struct edge_first {
	struct nc_world *w;
	struct omni_domain *domain;
	bool map;
	u64 iova;
	unsigned int nr;
	struct task_struct *task;
	bool inside;
	bool attached;
	bool early;
	struct completion done;
};

static void edge_first_stall(void *arg)
{
	struct edge_first *first = arg;
	ktime_t end = ktime_add_ms(ktime_get(), EDGE_STALL_MS);

	if (current != READ_ONCE(first->task) || first->inside)
		return;
	WRITE_ONCE(first->inside, true);
	while (!first->early && ktime_before(ktime_get(), end)) {
		first->early = READ_ONCE(first->attached) || atomic64_read(&first->w->c->calls);
		cpu_relax();
	}
}

static int edge_first_thread(void *arg)
{
	struct edge_first *first = arg;

	if (first->map)
		nc_map(first->w, first->domain, first->iova, 0, first->nr);
	else
		nc_unmap(first->w, first->domain, first->iova, first->nr);
	complete(&first->done);
	return 0;
}

static void edge_first(struct kunit *test, bool map)
{
	struct nc_world *w = edge_world(test, 2);
	struct edge_first first = {
		.w = w,
		.domain = nc_domain(w),
		.map = map,
		.iova = NC_IOVA + SZ_4K,
		.nr = 700,
		.done = COMPLETION_INITIALIZER_ONSTACK(first.done),
	};

	cache_cpu_all(w->c, 0, first.nr, true);
	/* Both tables are there: nobody allocates, which would be outside. */
	nc_map(w, first.domain, first.iova, 0, first.nr);
	if (map) {
		nc_unmap(w, first.domain, first.iova, first.nr - 1);
		cache_leave(w->c, 0, first.nr - 1);
		first.nr--;
	}
	first.task = omni_thread_elsewhere(test, edge_first_thread, &first);
	omni_sample_with(edge_first_stall, &first);
	wake_up_process(first.task);
	while (!READ_ONCE(first.inside) && !completion_done(&first.done))
		usleep_range(100, 200);
	nc_attach(w, 0, first.domain);
	WRITE_ONCE(first.attached, true);
	wait_for_completion(&first.done);
	omni_sample_with(NULL, NULL);
	migrate_enable();

	KUNIT_EXPECT_TRUE(test, first.inside);
	KUNIT_EXPECT_FALSE_MSG(test, first.early, "the tracker did not wait for who was inside");
	if (map) {
		NC_EXPECT_CLEANS(w, 0, first.nr + 1, 1);
		KUNIT_EXPECT_EQ(test, 2 * first.nr, nc_dma(w, 0, first.iova, first.nr, 1));
		nc_unmap(w, first.domain, first.iova, first.nr + 1);
		NC_EXPECT_CLEANS(w, 0, first.nr + 1, 2);
		cache_leave(w->c, 0, first.nr + 1);
	} else {
		KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, first.iova, first.nr, 1));
		NC_EXPECT_CLEANS(w, 0, first.nr, 0);
		cache_leave(w->c, 0, first.nr);
	}
	cache_cpu_all(w->c, 0, 700, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void a_map_that_began_before_is_waited_for(struct kunit *test)
{
	edge_first(test, true);
}

static void an_unmap_that_began_before_is_waited_for(struct kunit *test)
{
	edge_first(test, false);
}

/* A gather with tables that were unlinked before the domain was tracked, and after. */
static void a_gather_from_before(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather;

	/* Small leaves: no alignment for a large one. */
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 1),
					   512 * SZ_4K, NC_BOTH, GFP_KERNEL));
	nc_map(w, domain, NC_IOVA + SZ_2M, 511, 512);
	iommu_iotlb_gather_init(&gather);
	nc_unmap_fast(w, domain, NC_IOVA, 512, &gather);
	nc_attach(w, 0, domain);
	NC_EXPECT_CLEANS(w, 1, 510, 0);
	NC_EXPECT_CLEANS(w, 511, 512, 1);
	nc_unmap_fast(w, domain, NC_IOVA + SZ_2M, 512, &gather);
	iommu_iotlb_sync(&domain->iommu, &gather);
	cache_leave(w->c, 511, 512);
	NC_EXPECT_CLEANS(w, 1, 510, 0);
	NC_EXPECT_CLEANS(w, 511, 512, 2);
	cache_cpu_all(w->c, 0, 1024, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* One attaches, another enforces, and the first has looked already. */

struct edge_attach {
	struct omni_device *od;
	struct omni_domain *domain;
	int ret;
	struct completion done;
};

static int edge_attach_thread(void *arg)
{
	struct edge_attach *attach = arg;

	attach->ret = omni_test_attach(attach->od, attach->domain);
	complete(&attach->done);
	return 0;
}

static const struct omni_variant unable_shapes[] = {
	{ "no-enforce", OMNI_TRACKS | OMNI_ENFORCES | OMNI_NO_ENFORCE }
};

OMNI_KIT_PARAM(unable, unable_shapes)

static void an_attach_meets_what_is_enforced(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 1);
	struct edge_attach attach = {
		.od = w->od[0],
		.domain = nc_domain(w),
		.done = COMPLETION_INITIALIZER_ONSTACK(attach.done),
	};
	struct task_struct *task;

	mutex_lock(&attach.domain->attach_lock);
	task = kthread_run(edge_attach_thread, &attach, "omni-attach");
	if (!IS_ERR(task))
		msleep(50);
	/* As for a unit that can; this one would take the bit for an error. */
	KUNIT_EXPECT_TRUE(test, omni_nc_enforce(attach.domain, VTD_SS_SNP));
	mutex_unlock(&attach.domain->attach_lock);
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wait_for_completion(&attach.done);
	KUNIT_EXPECT_EQ(test, attach.ret, -EINVAL);
}

/* Counts run out */

static void a_map_with_too_many_before_it(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_domain *iommu = &domain->iommu;

	nc_attach(w, 0, domain);
	omni_nc_test.limit = 2;
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, SZ_1G, 512, 20);
	nc_map(w, domain, SZ_1G + SZ_4M, 515, 20);
	/* Pages of both blocks; those of the first one can be counted. */
	cache_enter(w->c, 505, 20);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, iommu_map(iommu, NC_IOVA, cache_pa(w->c, 505),
						    20 * SZ_4K, NC_BOTH, GFP_KERNEL));
	cache_leave(w->c, 505, 20);
	KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(iommu, NC_IOVA));
	KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, NC_IOVA, 20, 1));
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks + 1);
	NC_EXPECT_CLEANS(w, 505, 7, 2);
	NC_EXPECT_CLEANS(w, 512, 23, 1);
	/* Two more than there is room for would have shown in these. */
	nc_unmap(w, domain, SZ_1G, 20);
	cache_leave(w->c, 512, 20);
	NC_EXPECT_CLEANS(w, 512, 3, 2);
	NC_EXPECT_CLEANS(w, 515, 20, 1);
	nc_map(w, domain, NC_IOVA, 505, 20);
	nc_unmap(w, domain, NC_IOVA, 20);
	cache_leave(w->c, 505, 20);
	nc_unmap(w, domain, SZ_1G + SZ_4M, 20);
	cache_leave(w->c, 515, 20);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	/* Large leaves have a count of their own. */
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_map(w, domain, NC_IOVA + SZ_2M, 0, 512);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, iommu_map(iommu, NC_IOVA + SZ_4M, cache_pa(w->c, 0),
						    SZ_2M, NC_BOTH, GFP_KERNEL));
	nc_map(w, domain, SZ_1G, 3, 5);
	nc_unmap(w, domain, NC_IOVA, 1024);
	cache_leave(w->c, 0, 512);
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 3, 5, 1);
	NC_EXPECT_CLEANS(w, 8, 497, 2);
	nc_unmap(w, domain, SZ_1G, 5);
	cache_leave(w->c, 3, 5);
	NC_EXPECT_CLEANS(w, 0, 505, 2);
	cache_cpu_all(w->c, 0, 1024, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void an_attach_with_too_many_before_it(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);

	nc_attach(w, 0, a);
	omni_nc_test.limit = 2;
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, a, NC_IOVA, 600, 10);
	nc_map(w, a, SZ_1G, 600, 10);
	/* A large leaf, small ones, and then those that are too many. */
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&b->iommu, NC_IOVA, cache_pa(w->c, 0), SZ_2M, NC_BOTH,
					   GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&b->iommu, NC_IOVA + SZ_2M, cache_pa(w->c, 580),
					   30 * SZ_4K, NC_BOTH, GFP_KERNEL));
	cache_enter(w->c, 0, 512);
	cache_enter(w->c, 580, 30);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW, omni_test_attach(w->od[1], b));
	cache_leave(w->c, 0, 512);
	cache_leave(w->c, 580, 30);
	KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 1, NC_IOVA, 512 + 30, 1));
	KUNIT_EXPECT_EQ(test, 0, b->nc.devices);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks + 1);
	NC_EXPECT_CLEANS(w, 0, 512, 2);
	NC_EXPECT_CLEANS(w, 600, 10, 1);
	/* It is as it was: what it maps and unmaps now is of no concern. */
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&b->iommu, SZ_2G, cache_pa(w->c, 0), SZ_2M, NC_BOTH,
					   GFP_KERNEL));
	nc_unmap(w, b, SZ_2G, 512);
	NC_EXPECT_CLEANS(w, 0, 512, 2);
	/* With room for them, it goes. */
	nc_unmap(w, a, SZ_1G, 10);
	cache_leave(w->c, 600, 10);
	cache_enter(w->c, 0, 512);
	cache_enter(w->c, 580, 30);
	nc_attach(w, 1, b);
	NC_EXPECT_CLEANS(w, 600, 10, 1);
	NC_EXPECT_CLEANS(w, 0, 512, 3);
	KUNIT_EXPECT_EQ(test, 2 * (512 + 30), nc_dma(w, 1, NC_IOVA, 512 + 30, 1));
	nc_unmap(w, a, NC_IOVA, 10);
	cache_leave(w->c, 600, 10);
	nc_attach(w, 1, NULL);
	cache_leave(w->c, 0, 512);
	cache_leave(w->c, 580, 30);
	NC_EXPECT_CLEANS(w, 600, 10, 2);
	NC_EXPECT_CLEANS(w, 0, 512, 4);
	cache_cpu_all(w->c, 0, 1024, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static void a_hold_with_too_many_before_it(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct page **pages = kunit_kcalloc(test, 1024, sizeof(*pages), GFP_KERNEL);
	struct omni_pages *obj[4];
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 1024; i++)
		pages[i] = cache_struct_page(w->c, i);
	omni_nc_test.limit = 2;
	/* A whole block, which has a number of its own, and parts of two. */
	for (i = 0; i < 4; i++)
		obj[i] = omni_pages_create(pages + (i & 1 ? 500 : 0), i & 1 ? 100 : 512);
	for (i = 0; i < 4; i++)
		KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj[i]));
	KUNIT_EXPECT_PTR_EQ(test, omni_pages_create(pages, 512), ERR_PTR(-EOVERFLOW));
	KUNIT_EXPECT_PTR_EQ(test, omni_pages_create(pages + 480, 100), ERR_PTR(-EOVERFLOW));
	/* What is held of the first block when the second one refuses is let go. */
	omni_pages_release(obj[0]);
	KUNIT_EXPECT_PTR_EQ(test, omni_pages_create(pages, 600), ERR_PTR(-EOVERFLOW));
	obj[0] = omni_pages_create(pages, 512);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj[0]));
	for (i = 0; i < 4; i++)
		omni_pages_release(obj[i]);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	KUNIT_EXPECT_EQ(test, 0, atomic64_read(&w->c->calls));
}

/* Tags run out */

/**
 * struct edge_tags - one that unmaps while another's unmap ends
 * @w: the fixture
 * @domain: the domain
 * @gather: of an unmap that began long ago
 * @begun: the other's end has
 * @now: whoever has @gather may go on
 * @done: he has
 */
struct edge_tags {
	struct nc_world *w;
	struct omni_domain *domain;
	struct iommu_iotlb_gather gather;
	bool begun;
	struct completion now;
	struct completion done;
};

static int edge_tags_thread(void *arg)
{
	struct edge_tags *tags = arg;

	wait_for_completion(&tags->now);
	if (tags->begun)
		nc_unmap_fast(tags->w, tags->domain, NC_IOVA + 150 * SZ_4K, 5, &tags->gather);
	complete_all(&tags->done);
	return 0;
}

/* In the middle of the other's end: its invalidation is over, not all is cleaned. */
static void edge_tags_go_on(void *arg, unsigned int page, unsigned int nr, bool after)
{
	struct edge_tags *tags = arg;

	if (after || tags->begun)
		return;
	tags->begun = true;
	complete(&tags->now);
	wait_for_completion(&tags->done);
}

static void a_tag_that_comes_again(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 1);
	struct edge_tags tags = {
		.w = w,
		.domain = nc_domain(w),
		.now = COMPLETION_INITIALIZER_ONSTACK(tags.now),
		.done = COMPLETION_INITIALIZER_ONSTACK(tags.done),
	};
	struct iommu_iotlb_gather gather;
	struct task_struct *task;
	unsigned int i;

	task = kthread_run(edge_tags_thread, &tags, "omni-tags");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	nc_attach(w, 0, tags.domain);
	cache_cpu_all(w->c, 0, 200, true);
	nc_map(w, tags.domain, NC_IOVA, 0, 200);
	nc_dma(w, 0, NC_IOVA, 200, 1);
	cache_fetch(w->c, 0, 200);
	iommu_iotlb_gather_init(&tags.gather);
	nc_unmap_fast(w, tags.domain, NC_IOVA, 10, &tags.gather);
	/* All others but the last one have come and gone. */
	atomic_set(&tags.domain->nc.tag, EDGE_TAGS);
	iommu_iotlb_gather_init(&gather);
	/* The place of the old one's is between these; more pieces than one batch has. */
	for (i = 20; i < 100; i += 2)
		nc_unmap_fast(w, tags.domain, NC_IOVA + i * SZ_4K, 1, &gather);
	nc_unmap_fast(w, tags.domain, NC_IOVA + 199 * SZ_4K, 1, &gather);
	/* Both are open; nothing of the second one is clean before its end. */
	NC_EXPECT_CLEANS(w, 20, 180, 1);
	KUNIT_EXPECT_GT(test, nc_dma(w, 0, NC_IOVA + 150 * SZ_4K, 5, 1), 0);
	cache_fetch(w->c, 0, 200);
	w->c->arg = &tags;
	WRITE_ONCE(w->c->poke, edge_tags_go_on);
	iommu_iotlb_sync(&tags.domain->iommu, &gather);
	WRITE_ONCE(w->c->poke, NULL);
	KUNIT_EXPECT_TRUE(test, tags.begun);
	complete(&tags.now);
	wait_for_completion(&tags.done);
	for (i = 20; i < 100; i++) {
		NC_EXPECT_CLEANS(w, i, 1, i & 1 ? 1 : 2);
		if (!(i & 1))
			cache_leave(w->c, i, 1);
	}
	cache_leave(w->c, 199, 1);
	NC_EXPECT_CLEANS(w, 199, 1, 2);
	/* The old one's may be in caches still. */
	NC_EXPECT_CLEANS(w, 150, 5, 1);
	nc_dma(w, 0, NC_IOVA + 150 * SZ_4K, 5, 2);
	cache_fetch(w->c, 0, 200);
	iommu_iotlb_sync(&tags.domain->iommu, &tags.gather);
	cache_leave(w->c, 0, 10);
	cache_leave(w->c, 150, 5);
	NC_EXPECT_CLEANS(w, 0, 10, 2);
	NC_EXPECT_CLEANS(w, 150, 5, 2);
	cache_cpu_all(w->c, 0, 20, false);
	cache_cpu_all(w->c, 150, 5, false);
	/* All the others are still there. */
	KUNIT_EXPECT_EQ(test, 2 * 50, nc_dma(w, 0, NC_IOVA + 100 * SZ_4K, 50, 1));
	KUNIT_EXPECT_EQ(test, 2 * 44, nc_dma(w, 0, NC_IOVA + 155 * SZ_4K, 44, 1));
}

/* What was unmapped before is cleaned behind an invalidation of its own. */
static void tags_begin_again(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct iommu_iotlb_gather gather[3];
	unsigned int i;
	u64 before;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA + SZ_4K, 0, 1000);
	nc_dma(w, 0, NC_IOVA + SZ_4K, 1000, 1);
	cache_fetch(w->c, 0, 1024);
	for (i = 0; i < 3; i++)
		iommu_iotlb_gather_init(&gather[i]);
	/* Some entries, others, a table. */
	for (i = 0; i < 50; i++)
		nc_unmap_fast(w, domain, NC_IOVA + (1 + i) * SZ_4K, 1, &gather[i & 1]);
	nc_unmap_fast(w, domain, NC_IOVA + 70 * SZ_4K, 1, &gather[1]);
	atomic_set(&domain->nc.tag, EDGE_TAGS);
	before = nc_commands(w);
	nc_watch(w, NC_IOVA + SZ_4K, 50);
	nc_unmap_fast(w, domain, NC_IOVA + 100 * SZ_4K, 10, &gather[2]);
	KUNIT_EXPECT_EQ_MSG(test, w->reached[0] + w->reached[1], 0,
			    "a device can reach what is being cleaned");
	KUNIT_EXPECT_EQ(test, nc_commands(w), before + 1);
	nc_watch(w, 0, 0);
	NC_EXPECT_CLEANS(w, 0, 50, 2);
	NC_EXPECT_CLEANS(w, 69, 1, 2);
	NC_EXPECT_CLEANS(w, 50, 19, 1);
	NC_EXPECT_CLEANS(w, 70, 930, 1);
	/* One goes on, and has the tag now that another one had. */
	nc_unmap_fast(w, domain, NC_IOVA + 60 * SZ_4K, 5, &gather[0]);
	iommu_iotlb_sync(&domain->iommu, &gather[1]);
	NC_EXPECT_CLEANS(w, 59, 5, 1);
	nc_dma(w, 0, NC_IOVA, 120, 1);
	cache_fetch(w->c, 50, 970);
	iommu_iotlb_sync(&domain->iommu, &gather[2]);
	iommu_iotlb_sync(&domain->iommu, &gather[0]);
	cache_leave(w->c, 69, 1);
	cache_leave(w->c, 0, 50);
	cache_leave(w->c, 59, 5);
	cache_leave(w->c, 99, 10);
	NC_EXPECT_CLEANS(w, 0, 50, 2);
	NC_EXPECT_CLEANS(w, 50, 9, 1);
	NC_EXPECT_CLEANS(w, 59, 5, 2);
	NC_EXPECT_CLEANS(w, 64, 5, 1);
	NC_EXPECT_CLEANS(w, 69, 1, 2);
	NC_EXPECT_CLEANS(w, 70, 29, 1);
	NC_EXPECT_CLEANS(w, 99, 10, 2);
	NC_EXPECT_CLEANS(w, 109, 891, 1);
	/* With nothing pending, it costs nothing: one flush for the end as ever. */
	atomic_set(&domain->nc.tag, EDGE_TAGS);
	before = nc_commands(w);
	nc_unmap(w, domain, NC_IOVA + 200 * SZ_4K, 801);
	KUNIT_EXPECT_EQ(test, nc_commands(w), before + 1);
	cache_leave(w->c, 199, 801);
	NC_EXPECT_CLEANS(w, 199, 801, 2);
	cache_cpu_all(w->c, 199, 801, false);
}

/* Unmaps that the flush queue would end, and nobody does */

static void what_waits_for_a_flush_of_all(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct iommu_iotlb_gather gather;
	struct iommu_domain *iommu;
	struct omni_domain *domain;
	unsigned int round;

	for (round = 0; round < 3; round++) {
		domain = nc_domain(w);
		iommu = &domain->iommu;
		nc_attach(w, 0, domain);
		cache_cpu_all(w->c, 0, 1024, true);
		nc_map(w, domain, NC_IOVA, 1, 512);
		nc_dma(w, 0, NC_IOVA, 512, 1);
		cache_fetch(w->c, 0, 1024);
		iommu_iotlb_gather_init(&gather);
		gather.queued = true;
		nc_unmap_fast(w, domain, NC_IOVA, 512, &gather);
		NC_EXPECT_CLEANS(w, 1, 512, 2 * round + 1);
		/* It maps nothing, but is not through with what it did. */
		if (round && iommu->ops->enforce_cache_coherency)
			KUNIT_EXPECT_FALSE(test, iommu->ops->enforce_cache_coherency(iommu));
		if (round == 2) {
			iommu_flush_iotlb_all(iommu);
			NC_EXPECT_CLEANS(w, 1, 512, 2 * round + 2);
		}
		nc_attach(w, 0, NULL);
		nc_domain_free(w, domain);
		cache_leave(w->c, 1, 512);
		NC_EXPECT_CLEANS(w, 1, 512, 2 * round + 2);
		cache_cpu_all(w->c, 0, 1024, false);
		KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
	}
}

/* All caches at once */

static void edge_wholes(struct nc_world *w, const char *what, u64 wholes, u64 bytes)
{
	KUNIT_EXPECT_EQ_MSG(w->test, w->c->wholes, wholes, "%s", what);
	KUNIT_EXPECT_EQ_MSG(w->test, atomic64_read(&w->c->bytes), bytes, "%s", what);
}

static void the_size_from_which_all_caches_are_cleaned(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	u64 counted = omni_counted(OMNI_NC_WHOLE_CACHE);
	u64 in = omni_counted(OMNI_NC_CLEAN_IN), out = omni_counted(OMNI_NC_CLEAN_OUT);
	u64 lines = omni_counted(OMNI_NC_BYTES_IN) + omni_counted(OMNI_NC_BYTES_OUT);
	struct page **pages = kunit_kcalloc(test, 1024, sizeof(*pages), GFP_KERNEL);
	unsigned int was = omni_nc_wbinvd_above, i;
	struct omni_pages *obj;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	for (i = 0; i < 1024; i++)
		pages[i] = cache_struct_page(w->c, i);
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	/* Off: lines, whatever the size. */
	omni_nc_wbinvd_above = 0;
	nc_map(w, domain, NC_IOVA, 0, 1024);
	nc_unmap(w, domain, NC_IOVA, 1024);
	cache_leave(w->c, 0, 1024);
	edge_wholes(w, "off", 0, 2 * SZ_4M);
	/* As much as it says is not above it. */
	omni_nc_wbinvd_above = 2;
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_unmap(w, domain, NC_IOVA, 512);
	cache_leave(w->c, 0, 512);
	edge_wholes(w, "2 MiB", 0, 2 * SZ_4M + 2 * SZ_2M);
	/* Twice as much is: once for all of a map, once for all of an unmap. */
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA, 0, 1024);
	edge_wholes(w, "4 MiB in", 1, 2 * SZ_4M + 2 * SZ_2M);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, NC_IOVA, 1024, 1), 2048);
	cache_fetch(w->c, 0, 1024);
	nc_unmap(w, domain, NC_IOVA, 1024);
	cache_leave(w->c, 0, 1024);
	edge_wholes(w, "4 MiB out", 2, 2 * SZ_4M + 2 * SZ_2M);
	cache_cpu_all(w->c, 0, 1024, false);
	/* What is reachable already, or still, gives no reason. */
	nc_map(w, domain, NC_IOVA, 0, 1024);
	nc_map(w, domain, SZ_1G, 0, 1024);
	nc_unmap(w, domain, NC_IOVA, 1024);
	edge_wholes(w, "shared", 3, 2 * SZ_4M + 2 * SZ_2M);
	/* The last device goes, and the first one comes. */
	nc_dma(w, 0, SZ_1G, 1024, 1);
	cache_fetch(w->c, 0, 1024);
	nc_attach(w, 0, NULL);
	cache_leave(w->c, 0, 1024);
	cache_leave(w->c, 0, 1024);
	cache_cpu_all(w->c, 0, 1024, false);
	cache_cpu_all(w->c, 0, 1024, true);
	cache_enter(w->c, 0, 1024);
	nc_attach(w, 1, domain);
	edge_wholes(w, "devices", 5, 2 * SZ_4M + 2 * SZ_2M);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 1, SZ_1G, 1024, 1), 2048);
	nc_unmap(w, domain, SZ_1G, 1024);
	cache_leave(w->c, 0, 1024);
	edge_wholes(w, "unmapped", 6, 2 * SZ_4M + 2 * SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_WHOLE_CACHE) - counted, 6);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_CLEAN_IN) - in, 4 * 1024 + 512);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_CLEAN_OUT) - out, 4 * 1024 + 512);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_BYTES_IN) + omni_counted(OMNI_NC_BYTES_OUT) -
			lines, 2 * SZ_4M + 2 * SZ_2M);
	/* An object pays at once, too. */
	obj = omni_pages_create(pages, 1024);
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(obj));
	KUNIT_EXPECT_EQ(test, 0, omni_pages_map(obj, &domain->iommu, NC_IOVA, 0, 1024, NC_BOTH,
						GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 1024, omni_pages_unmap(obj, &domain->iommu, NC_IOVA, 1024));
	edge_wholes(w, "held", 7, 2 * SZ_4M + 2 * SZ_2M);
	omni_pages_release(obj);
	edge_wholes(w, "released", 8, 2 * SZ_4M + 2 * SZ_2M);
	cache_cpu_all(w->c, 0, 1024, false);
	omni_nc_wbinvd_above = was;
}

/* Who holds a page, and who gets it back */

static struct omni_pages *edge_object(struct nc_world *w, unsigned int first, unsigned int nr)
{
	struct page **pages = kunit_kcalloc(w->test, nr, sizeof(*pages), GFP_KERNEL);
	struct omni_pages *obj;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(w->test, pages);
	for (i = 0; i < nr; i++)
		pages[i] = cache_struct_page(w->c, first + i);
	obj = omni_pages_create(pages, nr);
	KUNIT_ASSERT_FALSE(w->test, IS_ERR_OR_NULL(obj));
	return obj;
}

/* Whoever unmaps without an object gets the pages back when he is told so. */
static void a_hold_of_others_puts_nothing_off(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct omni_pages *obj = edge_object(w, 0, 700);
	unsigned int how;

	for (how = 0; how < 3; how++) {
		nc_attach(w, 0, domain);
		cache_cpu_all(w->c, 0, 1024, true);
		nc_map(w, domain, NC_IOVA, 0, 1000);
		nc_dma(w, 0, NC_IOVA, 1000, 1);
		cache_fetch(w->c, 0, 1000);
		if (how == 1)
			nc_attach(w, 0, NULL);
		nc_unmap(w, domain, NC_IOVA, 1000);
		cache_leave(w->c, 0, 1000);
		NC_EXPECT_CLEANS(w, 0, 1000, 2 * how + 2);
		cache_cpu_all(w->c, 0, 1000, false);
	}
	omni_pages_release(obj);
	NC_EXPECT_CLEANS(w, 0, 1000, 2 * how);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* Whoever says that he unpins gets the pages back, whoever else holds them. */
static void a_release_pays_whoever_else_holds(struct kunit *test)
{
	struct nc_world *w = edge_world(test, 2);
	struct omni_domain *domain = nc_domain(w);
	struct omni_pages *one = edge_object(w, 0, 600), *two = edge_object(w, 100, 700);

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	cache_enter(w->c, 0, 600);
	KUNIT_EXPECT_EQ(test, 0, omni_pages_map(one, &domain->iommu, NC_IOVA, 0, 600, NC_BOTH,
						GFP_KERNEL));
	nc_dma(w, 0, NC_IOVA, 600, 1);
	cache_fetch(w->c, 0, 600);
	KUNIT_EXPECT_EQ(test, 600, omni_pages_unmap(one, &domain->iommu, NC_IOVA, 600));
	cache_leave(w->c, 0, 600);
	NC_EXPECT_CLEANS(w, 0, 600, 1);
	omni_pages_release(one);
	NC_EXPECT_CLEANS(w, 0, 600, 2);
	cache_cpu_all(w->c, 0, 600, false);
	omni_pages_release(two);
	NC_EXPECT_CLEANS(w, 0, 600, 2);
	NC_EXPECT_CLEANS(w, 600, 200, 0);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static struct kunit_case edge_cases[] = {
	KUNIT_CASE_PARAM(a_map_that_began_before_is_waited_for, first_gen_params),
	KUNIT_CASE_PARAM(an_unmap_that_began_before_is_waited_for, first_gen_params),
	KUNIT_CASE_PARAM(a_gather_from_before, edge_gen_params),
	KUNIT_CASE_PARAM(an_attach_meets_what_is_enforced, unable_gen_params),
	KUNIT_CASE_PARAM(a_map_with_too_many_before_it, edge_gen_params),
	KUNIT_CASE_PARAM(an_attach_with_too_many_before_it, edge_gen_params),
	KUNIT_CASE_PARAM(a_hold_with_too_many_before_it, edge_gen_params),
	KUNIT_CASE_PARAM(a_tag_that_comes_again, edge_gen_params),
	KUNIT_CASE_PARAM(tags_begin_again, edge_gen_params),
	KUNIT_CASE_PARAM(what_waits_for_a_flush_of_all, edge_gen_params),
	KUNIT_CASE_PARAM(the_size_from_which_all_caches_are_cleaned, edge_gen_params),
	KUNIT_CASE_PARAM(a_hold_of_others_puts_nothing_off, edge_gen_params),
	KUNIT_CASE_PARAM(a_release_pays_whoever_else_holds, edge_gen_params),
	{ }
};

static struct kunit_suite edge_suite = {
	.name = "omni_nc_edges",
	.test_cases = edge_cases,
};

kunit_test_suites(&edge_suite);
