// SPDX-License-Identifier: GPL-2.0-only
/*
 * Domains whose DMA may not snoop the CPU's caches, rule by rule (N1 to N7).
 *
 * Two things judge every case: the memory, in which a clean that is missing,
 * early or late makes somebody read what is old, and the number of cleans of
 * each page.
 */
#include "inject.h"
#include "mapping.h"
#include "nc_world.h"

#include <linux/delay.h>
#include <linux/iommu.h>
#include <linux/kthread.h>

static const struct omni_variant nc_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS },
	{ "caching-mode", OMNI_TRACKS | OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS },
	{ "speculating", OMNI_TRACKS, .evict = true, .speculate = true },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
	{ "whole-domain", OMNI_TRACKS | OMNI_NO_PAGE_COMMAND | OMNI_NO_SNOOP_WALKS },
};

OMNI_KIT_PARAM(nc, nc_shapes)

OMNI_KIT_PARAM(enforce, nc_enforce_shapes)

/* N1 */

static void nc_n1_in(struct kunit *test, unsigned int nr, u64 iova)
{
	struct nc_world *w = nc_world_create(test, DIV_ROUND_UP(nr, 512));
	struct omni_domain *domain = nc_domain(w);

	nc_attach(w, 0, domain);
	/* Everything is in the cache only; a first look at the tables is cached, too. */
	cache_cpu_all(w->c, 0, nr, true);
	nc_dma(w, 0, iova, 1, 1);
	nc_watch(w, iova, nr);
	nc_map(w, domain, iova, 0, nr);
	KUNIT_EXPECT_EQ(test, w->reached[0], 0);
	KUNIT_EXPECT_EQ(test, nc_dma(w, 0, iova, nr, 2), nr * 4);
	NC_EXPECT_CLEANS(w, 0, nr, 1);
	nc_unmap(w, domain, iova, nr);
	cache_leave(w->c, 0, nr);
	NC_EXPECT_CLEANS(w, 0, nr, 2);
}

static void n1_a_page_is_clean_before_it_is_reachable(struct kunit *test)
{
	nc_n1_in(test, 1, NC_IOVA);
}

/* Leaves of 4K in three tables, the first and the last of them not full. */
static void n1_over_tables(struct kunit *test)
{
	nc_n1_in(test, 1023, NC_IOVA + SZ_2M - 7 * SZ_4K);
}

static void n1_large_leaves(struct kunit *test)
{
	nc_n1_in(test, 2 * 512, NC_IOVA);
}

/* N2 */

struct nc_late {
	struct nc_world *w;
	struct omni_domain *domain;
	u64 iova;
	unsigned int nr;
	struct completion done;
};

static int nc_late_unmap(void *arg)
{
	struct nc_late *late = arg;

	nc_unmap(late->w, late->domain, late->iova, late->nr);
	complete(&late->done);
	return 0;
}

static void nc_n2_out(struct kunit *test, unsigned int nr, u64 iova)
{
	struct nc_world *w = nc_world_create(test, DIV_ROUND_UP(nr, 512));
	struct omni_domain *domain = nc_domain(w);
	unsigned int round;

	nc_attach(w, 0, domain);
	for (round = 0; round < 4; round++) {
		u64 commands;

		cache_cpu_all(w->c, 0, nr, true);
		nc_map(w, domain, iova, 0, nr);
		/* The caches of the unit are full of it; the CPU's hold what is old. */
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, iova, nr, 3), nr * 6);
		cache_fetch(w->c, 0, nr);
		nc_watch(w, iova, nr);
		commands = nc_commands(w);
		nc_unmap(w, domain, iova, nr);
		cache_leave(w->c, 0, nr);
		KUNIT_EXPECT_EQ_MSG(test, w->reached[0] + w->reached[1], 0,
				    "a device can reach what is being cleaned");
		KUNIT_EXPECT_GT(test, w->commands, commands);
		cache_cpu_all(w->c, 0, nr, false);
		NC_EXPECT_CLEANS(w, 0, nr, 2 * round + 2);
		nc_watch(w, 0, 0);
	}
}

static void n2_a_page_is_cleaned_after_its_invalidation(struct kunit *test)
{
	nc_n2_out(test, 1, NC_IOVA);
}

/* Whole tables go between two that stay. */
static void n2_over_tables(struct kunit *test)
{
	nc_n2_out(test, 1023, NC_IOVA + SZ_2M - 7 * SZ_4K);
}

static void n2_large_leaves(struct kunit *test)
{
	nc_n2_out(test, 2 * 512, NC_IOVA);
}

/* While the unit does not answer, the page is not cleaned and nobody gets on. */
static void n2_nothing_is_cleaned_before_the_unit_has_answered(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct nc_late late = {
		.w = w,
		.domain = nc_domain(w),
		.iova = NC_IOVA,
		.nr = 8,
		.done = COMPLETION_INITIALIZER_ONSTACK(late.done),
	};
	struct task_struct *task;
	unsigned int tries, tail;

	nc_attach(w, 0, late.domain);
	cache_cpu_all(w->c, 0, late.nr, true);
	nc_map(w, late.domain, late.iova, 0, late.nr);
	nc_dma(w, 0, late.iova, late.nr, 2);
	omni_model_hang(w->m, true);
	tail = READ_ONCE(w->m->doorbells);
	task = kthread_run(nc_late_unmap, &late, "omni-late");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (tries = 0; tries < 300 && READ_ONCE(w->m->doorbells) == tail; tries++)
		usleep_range(500, 1000);
	KUNIT_EXPECT_NE(test, READ_ONCE(w->m->doorbells), tail);
	msleep(20);
	NC_EXPECT_CLEANS(w, 0, late.nr, 1);
	/* What is still in the caches may be written to until it answers. */
	nc_dma(w, 0, late.iova, late.nr, 4);
	KUNIT_EXPECT_FALSE(test, completion_done(&late.done));
	omni_model_hang(w->m, false);
	wait_for_completion(&late.done);
	cache_leave(w->c, 0, late.nr);
	NC_EXPECT_CLEANS(w, 0, late.nr, 2);
	cache_cpu_all(w->c, 0, late.nr, false);
}

/* It never answers: the pages are cleaned all the same, the tables are leaked. */
static void n2_a_failed_invalidation_is_followed_by_the_clean(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *domain = nc_domain(w);
	long tables;

	w->leaks = true;
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, domain, NC_IOVA + SZ_4K, 0, 1023);
	nc_dma(w, 0, NC_IOVA + SZ_4K, 1023, 1);
	tables = omni_tables_live();
	omni_model_hang(w->m, true);
	nc_unmap(w, domain, NC_IOVA + SZ_4K, 1023);
	KUNIT_EXPECT_TRUE(test, w->m->unit->broken);
	KUNIT_EXPECT_TRUE(test, domain->tainted);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	NC_EXPECT_CLEANS(w, 0, 1023, 2);
	cache_leave(w->c, 0, 1023);
	cache_cpu_all(w->c, 0, 1023, false);
	/* And those after it, which fail at once; with caching mode the map does. */
	cache_cpu_all(w->c, 0, 8, true);
	cache_enter(w->c, 0, 8);
	KUNIT_EXPECT_EQ(test, iommu_map(&domain->iommu, NC_IOVA + SZ_4K, cache_pa(w->c, 0),
					8 * SZ_4K, NC_BOTH, GFP_KERNEL),
			domain->flush_added == OMNI_ADDED_CACHED ? -EIO : 0);
	if (domain->flush_added != OMNI_ADDED_CACHED)
		nc_unmap(w, domain, NC_IOVA + SZ_4K, 8);
	NC_EXPECT_CLEANS(w, 0, 8, 4);
	cache_leave(w->c, 0, 8);
	cache_enter(w->c, 0, 8);
	iommu_map(&domain->iommu, NC_IOVA + SZ_4K, cache_pa(w->c, 0), 8 * SZ_4K, NC_BOTH,
		  GFP_KERNEL);
	omni_model_hang(w->m, false);
	omni_test_attach(w->od[0], NULL);
	nc_domain_free(w, domain);
	NC_EXPECT_CLEANS(w, 0, 8, 6);
}

/* N3 */

static void n3_once_in_and_once_out_for_all_domains(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *domain[NC_DEVICES];
	unsigned int i, nr = 40;

	for (i = 0; i < NC_DEVICES; i++) {
		domain[i] = nc_domain(w);
		nc_attach(w, i, domain[i]);
	}
	cache_cpu_all(w->c, 0, 1024, true);
	for (i = 0; i < NC_DEVICES; i++) {
		nc_map(w, domain[i], NC_IOVA + i * SZ_4K, 500, nr);
		/* The same ones again, at another address. */
		nc_map(w, domain[i], SZ_2G, 500, nr);
		nc_dma(w, i, NC_IOVA + i * SZ_4K, nr, 2);
		NC_EXPECT_CLEANS(w, 500, nr, 1);
	}
	/* Out in another order. */
	for (i = 0; i < 2 * NC_DEVICES; i++) {
		NC_EXPECT_CLEANS(w, 500, nr, 1);
		if (i & 1)
			nc_unmap(w, domain[i / 2], SZ_2G, nr);
		else
			nc_unmap(w, domain[i / 2], NC_IOVA + i / 2 * SZ_4K, nr);
		cache_leave(w->c, 500, nr);
	}
	NC_EXPECT_CLEANS(w, 500, nr, 2);
	cache_cpu_all(w->c, 500, nr, false);
	/* Those around have never been there. */
	NC_EXPECT_CLEANS(w, 0, 500, 0);
	NC_EXPECT_CLEANS(w, 500 + nr, 1024 - 500 - nr, 0);
}

/* Ranges overlap, leaves differ in size: each page has its own count. */
static void n3_ranges_that_overlap(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *a = nc_domain(w), *b = nc_domain(w);

	nc_attach(w, 0, a);
	nc_attach(w, 1, b);
	cache_cpu_all(w->c, 0, 1024, true);
	nc_map(w, a, NC_IOVA, 0, 512);			/* one leaf */
	nc_map(w, b, NC_IOVA + SZ_4K, 256, 512);	/* many */
	NC_EXPECT_CLEANS(w, 0, 768, 1);
	NC_EXPECT_CLEANS(w, 768, 256, 0);
	nc_unmap(w, a, NC_IOVA, 512);
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 256, 2);
	NC_EXPECT_CLEANS(w, 256, 512, 1);
	/* The large leaf is back while small ones still hold half of it. */
	nc_map(w, a, NC_IOVA, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 256, 3);
	NC_EXPECT_CLEANS(w, 256, 512, 1);
	nc_unmap(w, b, NC_IOVA + SZ_4K, 512);
	cache_leave(w->c, 256, 512);
	NC_EXPECT_CLEANS(w, 256, 256, 1);
	NC_EXPECT_CLEANS(w, 512, 256, 2);
	nc_unmap(w, a, NC_IOVA, 512);
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 256, 4);
	NC_EXPECT_CLEANS(w, 256, 512, 2);
	NC_EXPECT_CLEANS(w, 768, 256, 0);
	cache_cpu_all(w->c, 0, 1024, false);
}

#define NC_SHARERS	3

struct nc_share {
	struct nc_world *w;
	unsigned int nr;
	unsigned int rounds;
	atomic_t at[2];		/* threads at the barrier, its generation */
	wait_queue_head_t wait;
	atomic_t wrong;
};

struct nc_sharer {
	struct nc_share *share;
	struct omni_domain *domain;
	unsigned int n;
	struct completion done;
};

/* Everybody waits for everybody; the last one looks at the counts. */
static void nc_share_barrier(struct nc_share *share, unsigned int cleans)
{
	int generation = atomic_read(&share->at[1]);
	unsigned int i;

	if (atomic_inc_return(&share->at[0]) == NC_SHARERS) {
		for (i = 0; i < share->nr; i++)
			if (share->w->c->page[i].cleans != cleans)
				atomic_inc(&share->wrong);
		atomic_set(&share->at[0], 0);
		atomic_inc(&share->at[1]);
		wake_up_all(&share->wait);
	}
	wait_event(share->wait, atomic_read(&share->at[1]) != generation);
}

static int nc_share_thread(void *arg)
{
	struct nc_sharer *self = arg;
	struct nc_share *share = self->share;
	struct nc_world *w = share->w;
	u64 iova = NC_IOVA + self->n * SZ_4K;
	unsigned int round, i, from;

	for (round = 0; round < share->rounds; round++) {
		nc_share_barrier(share, 2 * round);
		if (!self->n)
			cache_cpu_all(w->c, 0, share->nr, true);
		nc_share_barrier(share, 2 * round);
		/* In pieces, each thread from another one on. */
		for (i = 0; i < share->nr; i += 16) {
			from = (i + self->n * 16) % share->nr;
			nc_map(w, self->domain, iova + from * SZ_4K, from, 16);
			/* Another's clean has to be over before this map is. */
			nc_dma(w, self->n, iova + from * SZ_4K, 16, 1);
		}
		nc_share_barrier(share, 2 * round + 1);
		for (i = 0; i < share->nr; i += 16) {
			from = (i + self->n * 32) % share->nr;
			nc_dma(w, self->n, iova + from * SZ_4K, 16, 1);
			nc_unmap(w, self->domain, iova + from * SZ_4K, 16);
			cache_leave(w->c, from, 16);
		}
		nc_share_barrier(share, 2 * round + 2);
		if (!self->n)
			cache_cpu_all(w->c, 0, share->nr, false);
	}
	complete(&self->done);
	return 0;
}

static void n3_once_under_concurrency(struct kunit *test)
{
	struct nc_sharer sharers[NC_SHARERS];
	struct nc_share *share = kunit_kzalloc(test, sizeof(*share), GFP_KERNEL);
	struct task_struct *task;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, share);
	share->w = nc_world_create(test, 1);
	share->nr = 64;
	share->rounds = 12;
	init_waitqueue_head(&share->wait);
	for (i = 0; i < NC_SHARERS; i++) {
		sharers[i] = (struct nc_sharer) {
			.share = share,
			.domain = nc_domain(share->w),
			.n = i,
		};
		init_completion(&sharers[i].done);
		nc_attach(share->w, i, sharers[i].domain);
	}
	for (i = 0; i < NC_SHARERS; i++) {
		task = kthread_run(nc_share_thread, &sharers[i], "omni-share%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	}
	for (i = 0; i < NC_SHARERS; i++)
		wait_for_completion(&sharers[i].done);
	KUNIT_EXPECT_EQ(test, atomic_read(&share->wrong), 0);
	NC_EXPECT_CLEANS(share->w, 0, share->nr, 2 * share->rounds);
}

/* N4 */

static void n4_what_is_not_memory_is_not_cleaned(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	const u64 mmio = BIT_ULL(40);
	u64 pa;

	KUNIT_ASSERT_FALSE(test, pfn_valid(PHYS_PFN(mmio)));
	nc_attach(w, 0, domain);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, mmio + SZ_4K, 700 * SZ_4K,
					   NC_BOTH, GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, SZ_1G, mmio, SZ_1G, NC_BOTH,
					   GFP_KERNEL));
	KUNIT_EXPECT_EQ(test, 0, omni_access(w->m, NC_RID, SZ_1G + SZ_4K, true, &pa));
	KUNIT_EXPECT_EQ(test, pa, mmio + SZ_4K);
	nc_unmap(w, domain, NC_IOVA, 700);
	nc_unmap(w, domain, SZ_1G, SZ_1G / SZ_4K);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->calls), 0);
}

static void n4_reserved_pages_are_not_cleaned(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i;

	nc_attach(w, 0, domain);
	for (i = 5; i < 9; i++)
		SetPageReserved(cache_struct_page(w->c, i));
	cache_shut(w->c, 5, 4, true);
	nc_map(w, domain, NC_IOVA, 0, 16);
	NC_EXPECT_CLEANS(w, 0, 5, 1);
	NC_EXPECT_CLEANS(w, 5, 4, 0);
	NC_EXPECT_CLEANS(w, 9, 7, 1);
	nc_unmap(w, domain, NC_IOVA, 16);
	cache_leave(w->c, 0, 16);
	/* In the middle of a large leaf, too. */
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_unmap(w, domain, NC_IOVA, 512);
	cache_leave(w->c, 0, 512);
	NC_EXPECT_CLEANS(w, 0, 5, 4);
	NC_EXPECT_CLEANS(w, 5, 4, 0);
	NC_EXPECT_CLEANS(w, 9, 7, 4);
	NC_EXPECT_CLEANS(w, 16, 496, 2);
	for (i = 5; i < 9; i++)
		ClearPageReserved(cache_struct_page(w->c, i));
	/* The zero page, which VFIO maps for a caller that never wrote. */
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, page_to_phys(ZERO_PAGE(0)),
					   SZ_4K, IOMMU_READ, GFP_KERNEL));
	nc_unmap(w, domain, NC_IOVA, 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->elsewhere), 0);
}

/* As those of a process that hides its memory from the kernel. */
static void n4_pages_without_a_mapping_are_not_cleaned(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned long addr = (unsigned long)page_address(cache_struct_page(w->c, 6));
	u64 before = omni_counted(OMNI_NC_SKIPPED_UNMAPPED);
	pte_t *pte = mapping_entry(addr), was;

	if (!pte)
		kunit_skip(test, "the kernel maps its memory in larger pieces");
	was = mapping_hide(pte, addr);
	nc_attach(w, 0, domain);
	cache_shut(w->c, 6, 1, true);
	nc_map(w, domain, NC_IOVA, 0, 8);
	nc_unmap(w, domain, NC_IOVA, 8);
	set_pte(pte, was);
	cache_leave(w->c, 0, 8);
	NC_EXPECT_CLEANS(w, 0, 6, 2);
	NC_EXPECT_CLEANS(w, 6, 1, 0);
	NC_EXPECT_CLEANS(w, 7, 1, 2);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_NC_SKIPPED_UNMAPPED) - before, 2);
}

static void n4_uncached_pages_are_not_cleaned(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned long addr = (unsigned long)page_address(cache_struct_page(w->c, 3));

	if (mapping_cached(addr, 2, false))
		kunit_skip(test, "memory can't be made uncached here");
	nc_attach(w, 0, domain);
	cache_shut(w->c, 3, 2, true);
	nc_map(w, domain, NC_IOVA, 0, 8);
	nc_unmap(w, domain, NC_IOVA, 8);
	cache_leave(w->c, 0, 8);
	NC_EXPECT_CLEANS(w, 0, 3, 2);
	NC_EXPECT_CLEANS(w, 3, 2, 0);
	NC_EXPECT_CLEANS(w, 5, 3, 2);
	KUNIT_EXPECT_EQ(test, 0, mapping_cached(addr, 2, true));
}

/* N5 */

/* Pages from all over the place, in one unmap: one invalidation, one clean each. */
static void n5_one_unmap_is_one_flush(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 2);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i, nr = 900, page;
	u64 before;

	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, nr, true);
	for (i = 0; i < nr; i++) {
		page = i * 7 % nr;
		nc_map(w, domain, NC_IOVA + (u64)(i + 3) * SZ_4K, page, 1);
	}
	nc_dma(w, 0, NC_IOVA + 3 * SZ_4K, nr, 1);
	before = nc_commands(w);
	inject(1);
	nc_unmap(w, domain, NC_IOVA + 3 * SZ_4K, nr);
	if (inject_end())
		KUNIT_FAIL(test, "an unmap allocates");
	KUNIT_EXPECT_EQ(test, nc_commands(w), before + 1);
	cache_leave(w->c, 0, nr);
	NC_EXPECT_CLEANS(w, 0, nr, 2);
	cache_cpu_all(w->c, 0, nr, false);
}

/* Runs of physical addresses are cleaned in one piece, also when leaves are small. */
static void n5_runs_are_cleaned_in_one_piece(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);

	nc_attach(w, 0, domain);
	nc_map(w, domain, NC_IOVA + SZ_4K, 0, 512);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->calls), 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), SZ_2M);
	/* Two tables, one of which stays. */
	nc_unmap(w, domain, NC_IOVA + SZ_4K, 512);
	KUNIT_EXPECT_LE(test, atomic64_read(&w->c->calls), 3);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), 2 * SZ_2M);
	cache_leave(w->c, 0, 512);
	nc_map(w, domain, NC_IOVA, 0, 512);
	nc_unmap(w, domain, NC_IOVA, 512);
	cache_leave(w->c, 0, 512);
	KUNIT_EXPECT_LE(test, atomic64_read(&w->c->calls), 5);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->bytes), 4 * SZ_2M);
}

/* N6 */

static void n6_enforced_coherency_costs_nothing(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i;

	KUNIT_ASSERT_TRUE(test, domain->iommu.ops->enforce_cache_coherency(&domain->iommu));
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 512, true);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0), SZ_2M,
					   NC_BOTH, GFP_KERNEL));
	/* No-snoop is asked for and not had: what it reads and writes is judged as cached. */
	for (i = 0; i < 2000; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i % 512 * SZ_4K,
						   i & 1, true));
	nc_unmap(w, domain, NC_IOVA, 512);
	cache_cpu_all(w->c, 0, 512, false);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->calls), 0);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* Who can't enforce must not say that he did: the tracker would go. */
static void n6_nobody_enforces_who_can_not(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	bool (*enforce)(struct iommu_domain *domain) = domain->iommu.ops->enforce_cache_coherency;

	KUNIT_EXPECT_EQ(test, enforce && enforce(&domain->iommu),
			!!(omni_kit(test)->able & OMNI_ENFORCES));
}

static void n6_a_device_that_always_snoops_costs_nothing(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned int i;

	omni_test_pcie(w->od[0], false);
	nc_attach(w, 0, domain);
	KUNIT_EXPECT_EQ(test, omni_test_devctl(w->od[0]), 0);
	cache_cpu_all(w->c, 0, 64, true);
	KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0), 64 * SZ_4K,
					   NC_BOTH, GFP_KERNEL));
	for (i = 0; i < 400; i++)
		KUNIT_EXPECT_EQ(test, 0, cache_dma(w->c, w->m, NC_RID, NC_IOVA + i % 64 * SZ_4K,
						   i & 1, false));
	nc_unmap(w, domain, NC_IOVA, 64);
	cache_cpu_all(w->c, 0, 64, false);
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->calls), 0);
	nc_attach(w, 0, NULL);

	/* One whose bit can be set, though it is not: whoever has the device may set it. */
	omni_test_pcie(w->od[1], true);
	nc_attach(w, 1, domain);
	KUNIT_EXPECT_EQ_MSG(test, omni_test_devctl(w->od[1]), 0, "the bit is not put back");
	nc_map(w, domain, NC_IOVA, 0, 64);
	NC_EXPECT_CLEANS(w, 0, 64, 1);
	nc_dma(w, 1, NC_IOVA, 64, 1);
	nc_unmap(w, domain, NC_IOVA, 64);
	cache_leave(w->c, 0, 64);
	NC_EXPECT_CLEANS(w, 0, 64, 2);
}

/* Whatever its bit says: what it is connected by does not snoop. */
static void n1_a_device_that_never_snoops_is_tracked(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);

	if (!omni_set_coherent(w->od[0]->dev, false))
		kunit_skip(test, "every device of this machine snoops");
	omni_test_pcie(w->od[0], false);
	nc_attach(w, 0, domain);
	cache_cpu_all(w->c, 0, 64, true);
	nc_map(w, domain, NC_IOVA, 0, 64);
	NC_EXPECT_CLEANS(w, 0, 64, 1);
	nc_dma(w, 0, NC_IOVA, 64, 1);
	nc_unmap(w, domain, NC_IOVA, 64);
	cache_leave(w->c, 0, 64);
	NC_EXPECT_CLEANS(w, 0, 64, 2);
}

/* The kernel's own domains: drivers see to their buffers themselves. */
static void n6_domains_of_the_kernel_cost_nothing(struct kunit *test)
{
	static const unsigned int types[] = { IOMMU_DOMAIN_DMA, IOMMU_DOMAIN_DMA_FQ };
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		domain = nc_domain(w);
		domain->iommu.type = types[i];
		nc_attach(w, 0, domain);
		KUNIT_EXPECT_EQ(test, 0, iommu_map(&domain->iommu, NC_IOVA, cache_pa(w->c, 0),
						   SZ_2M, NC_BOTH, GFP_KERNEL));
		nc_unmap(w, domain, NC_IOVA, 512);
		nc_attach(w, 0, NULL);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&w->c->calls), 0);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

/* N7 */

/* Entries that wait for their clean are changes as any other: one write-back a line. */
static void n7_lines_of_tables_are_written_back_once(struct kunit *test)
{
	const struct omni_variant *shape = omni_variant(test);
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain(w);
	unsigned long before, lines = shape->traits & OMNI_NO_SNOOP_WALKS ? 10 : 0;
	unsigned int round;

	nc_attach(w, 0, domain);
	nc_map(w, domain, NC_IOVA, 0, 1);
	for (round = 0; round < 3; round++) {
		before = omni_memory_cleaned();
		nc_map(w, domain, NC_IOVA + 7 * SZ_4K, 7, 66);
		KUNIT_EXPECT_EQ(test, omni_memory_cleaned() - before, lines);
		nc_dma(w, 0, NC_IOVA + 7 * SZ_4K, 66, 1);
		before = omni_memory_cleaned();
		nc_unmap(w, domain, NC_IOVA + 7 * SZ_4K, 66);
		KUNIT_EXPECT_EQ(test, omni_memory_cleaned() - before, lines);
		KUNIT_EXPECT_EQ(test, 0, nc_dma(w, 0, NC_IOVA + 7 * SZ_4K, 66, 1));
		cache_leave(w->c, 7, 66);
	}
	NC_EXPECT_CLEANS(w, 7, 66, 6);
}

/* Leaves of several entries, where there are such: 64K of 4K entries. */
static void leaves_of_several_entries(struct kunit *test)
{
	struct nc_world *w = nc_world_create(test, 1);
	struct omni_domain *domain = nc_domain_any(w);
	const u64 iova = NC_IOVA + SZ_64K;
	struct iommu_iotlb_gather gather;
	unsigned int round, i;

	for (round = 0; round < 4; round++) {
		cache_cpu_all(w->c, 16, 480, true);
		/* Attached before and behind the map, in turn. */
		if (!(round & 1))
			nc_attach(w, 0, domain);
		nc_map(w, domain, iova, 16, 480);
		if (round & 1)
			nc_attach(w, 0, domain);
		NC_EXPECT_CLEANS(w, 16, 480, 2 * round + 1);
		KUNIT_EXPECT_EQ(test, nc_dma(w, 0, iova, 480, 1), 960);
		cache_fetch(w->c, 16, 480);
		iommu_iotlb_gather_init(&gather);
		/* Every second one, the rest by another gather or with the device. */
		for (i = 0; i < 480; i += 32)
			nc_unmap_fast(w, domain, iova + i * SZ_4K, 16, &gather);
		NC_EXPECT_CLEANS(w, 16, 480, 2 * round + 1);
		KUNIT_EXPECT_EQ(test, 0, iommu_iova_to_phys(&domain->iommu, iova + SZ_4K));
		iommu_iotlb_sync(&domain->iommu, &gather);
		for (i = 0; i < 480; i += 32) {
			cache_leave(w->c, 16 + i, 16);
			NC_EXPECT_CLEANS(w, 16 + i, 16, 2 * round + 2);
			NC_EXPECT_CLEANS(w, 32 + i, 16, 2 * round + 1);
		}
		if (round & 2)
			nc_attach(w, 0, NULL);
		for (i = 16; i < 480; i += 32) {
			nc_unmap(w, domain, iova + i * SZ_4K, 16);
			cache_leave(w->c, 16 + i, 16);
		}
		NC_EXPECT_CLEANS(w, 16, 480, 2 * round + 2);
		cache_cpu_all(w->c, 16, 480, false);
		nc_attach(w, 0, NULL);
	}
	NC_EXPECT_CLEANS(w, 0, 16, 0);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), w->chunks);
}

static struct kunit_case nc_cases[] = {
	KUNIT_CASE_PARAM(leaves_of_several_entries, nc_gen_params),
	KUNIT_CASE_PARAM(n1_a_page_is_clean_before_it_is_reachable, nc_gen_params),
	KUNIT_CASE_PARAM(n1_over_tables, nc_gen_params),
	KUNIT_CASE_PARAM(n1_large_leaves, nc_gen_params),
	KUNIT_CASE_PARAM(n2_a_page_is_cleaned_after_its_invalidation, nc_gen_params),
	KUNIT_CASE_PARAM(n2_over_tables, nc_gen_params),
	KUNIT_CASE_PARAM(n2_large_leaves, nc_gen_params),
	KUNIT_CASE_PARAM(n2_nothing_is_cleaned_before_the_unit_has_answered, nc_gen_params),
	OMNI_CASE_PARAM_SLOW(n2_a_failed_invalidation_is_followed_by_the_clean, nc_gen_params),
	KUNIT_CASE_PARAM(n3_once_in_and_once_out_for_all_domains, nc_gen_params),
	KUNIT_CASE_PARAM(n3_ranges_that_overlap, nc_gen_params),
	KUNIT_CASE_PARAM(n3_once_under_concurrency, nc_gen_params),
	KUNIT_CASE_PARAM(n4_what_is_not_memory_is_not_cleaned, nc_gen_params),
	KUNIT_CASE_PARAM(n4_reserved_pages_are_not_cleaned, nc_gen_params),
	KUNIT_CASE_PARAM(n4_pages_without_a_mapping_are_not_cleaned, nc_gen_params),
	KUNIT_CASE_PARAM(n4_uncached_pages_are_not_cleaned, nc_gen_params),
	KUNIT_CASE_PARAM(n5_one_unmap_is_one_flush, nc_gen_params),
	KUNIT_CASE_PARAM(n5_runs_are_cleaned_in_one_piece, nc_gen_params),
	KUNIT_CASE_PARAM(n6_enforced_coherency_costs_nothing, enforce_gen_params),
	KUNIT_CASE_PARAM(n6_nobody_enforces_who_can_not, nc_gen_params),
	KUNIT_CASE_PARAM(n6_a_device_that_always_snoops_costs_nothing, nc_gen_params),
	KUNIT_CASE_PARAM(n1_a_device_that_never_snoops_is_tracked, nc_gen_params),
	KUNIT_CASE_PARAM(n6_domains_of_the_kernel_cost_nothing, nc_gen_params),
	KUNIT_CASE_PARAM(n7_lines_of_tables_are_written_back_once, nc_gen_params),
	{ }
};

static struct kunit_suite nc_suite = {
	.name = "omni_noncoherent",
	.test_cases = nc_cases,
};

kunit_test_suites(&nc_suite);
