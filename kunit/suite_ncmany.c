// SPDX-License-Identifier: GPL-2.0-only
/*
 * Several threads that share pages over several non-coherent domains, a
 * device that comes and goes, and a CPU that reads and writes meanwhile. The
 * memory judges each access. Pages that stay mapped all the time are cleaned
 * once, whoever else maps them.
 */
#include "../include/omni_pages.h"
#include "nc_world.h"

#include <linux/completion.h>
#include <linux/iommu.h>
#include <linux/kthread.h>

#define MANY_THREADS	3
#define MANY_STEPS	4000
#define MANY_ROOM	200		/* slots of a thread, in each domain */
#define MANY_FIXED	16		/* pages that stay mapped all the time */
#define MANY_DOMAINS	3

static const struct omni_variant many_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS },
	{ "caching-mode", OMNI_TRACKS | OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS },
	{ "speculating", OMNI_TRACKS, .evict = true, .speculate = true },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
};

OMNI_KIT_PARAM(many, many_shapes)

/**
 * struct many - one memory, several domains, several threads
 * @w: the fixture
 * @domain: the first two have a device each that stays, one wanders from the
 *	third to nowhere and back
 * @steps: of each thread
 * @left: threads that map
 * @done: the last one is done
 * @maps: maps done
 * @moves: attaches of the one that wanders
 * @errors: operations that failed
 */
struct many {
	struct nc_world *w;
	struct omni_domain *domain[MANY_DOMAINS];
	unsigned int steps;
	atomic_t left;
	struct completion done;
	atomic_t maps;
	atomic_t moves;
	atomic_t errors;
};

struct many_self {
	struct many *many;
	unsigned int id;
	struct rnd_state rnd;
	u16 slot[MANY_DOMAINS][MANY_ROOM];	/* page, plus 1 */
	u16 gathered[MANY_ROOM];
};

static u64 many_iova(const struct many_self *self, unsigned int slot)
{
	/* Neighbours in the same tables are another thread's. */
	return NC_IOVA + (u64)(slot / 8 * MANY_THREADS * 8 + self->id * 8 + slot % 8) * SZ_4K;
}

static void many_map(struct many_self *self, unsigned int d, unsigned int slot)
{
	unsigned int nr = 1 + omni_below(&self->rnd, 8 - slot % 8), i;
	unsigned int page = omni_below(&self->rnd, 64);
	struct cache_model *c = self->many->w->c;
	struct iommu_domain *iommu = &self->many->domain[d]->iommu;

	for (i = 0; i < nr; i++)
		if (self->slot[d][slot + i])
			return;
	cache_enter(c, page, nr);
	if (iommu_map(iommu, many_iova(self, slot), cache_pa(c, page), nr * SZ_4K, NC_BOTH,
		      GFP_KERNEL)) {
		atomic_inc(&self->many->errors);
		cache_leave(c, page, nr);
		return;
	}
	for (i = 0; i < nr; i++)
		self->slot[d][slot + i] = page + i + 1;
	for (i = 0; i < 4 && d < 2; i++)
		if (cache_dma(c, self->many->w->m, NC_RID + d,
			      many_iova(self, slot + omni_below(&self->rnd, nr)), i & 1, true))
			atomic_inc(&self->many->errors);
	atomic_inc(&self->many->maps);
}

/* From one slot to all, each run with an unmap of its own and one end for all. */
static void many_unmap(struct many_self *self, unsigned int d, unsigned int first,
		       unsigned int last)
{
	struct iommu_domain *iommu = &self->many->domain[d]->iommu;
	struct cache_model *c = self->many->w->c;
	struct iommu_iotlb_gather gather;
	unsigned int slot, nr, n = 0;

	iommu_iotlb_gather_init(&gather);
	for (slot = first; slot <= last; slot += nr) {
		u16 *at = &self->slot[d][slot];

		for (nr = 0; slot + nr <= last && (slot + nr) / 8 == slot / 8 && at[nr]; nr++)
			self->gathered[n++] = at[nr] - 1;
		if (!nr) {
			nr = 1;
			continue;
		}
		if (iommu_unmap_fast(iommu, many_iova(self, slot), nr * SZ_4K, &gather) !=
		    nr * SZ_4K)
			atomic_inc(&self->many->errors);
		memset(at, 0, nr * sizeof(*at));
	}
	iommu_iotlb_sync(iommu, &gather);
	while (n--) {
		cache_leave(c, self->gathered[n], 1);
		cache_cpu(c, self->gathered[n], false);
		cache_cpu(c, self->gathered[n], true);
	}
}

/* A few pages pinned, mapped, and unpinned. */
static void many_pin(struct many_self *self, unsigned int d)
{
	unsigned int page = omni_below(&self->rnd, 64), nr = 1 + omni_below(&self->rnd, 8), i;
	struct iommu_domain *iommu = &self->many->domain[d]->iommu;
	struct cache_model *c = self->many->w->c;
	u64 iova = SZ_2G + self->id * SZ_2M;
	struct page *pages[8];
	struct omni_pages *obj;

	for (i = 0; i < nr; i++)
		pages[i] = cache_struct_page(c, page + i);
	cache_hold(c, page, nr);
	obj = omni_pages_create(pages, nr);
	if (IS_ERR_OR_NULL(obj)) {
		atomic_inc(&self->many->errors);
		return;
	}
	for (i = 0; i < 3; i++) {
		cache_enter(c, page, nr);
		if (omni_pages_map(obj, iommu, iova, 0, nr, NC_BOTH, GFP_KERNEL))
			atomic_inc(&self->many->errors);
		if (d < 2)
			cache_dma(c, self->many->w->m, NC_RID + d, iova, i & 1, true);
		if (omni_pages_unmap(obj, iommu, iova, nr) != nr)
			atomic_inc(&self->many->errors);
		cache_leave(c, page, nr);
	}
	omni_pages_release(obj);
	cache_release(c, page, nr);
	cache_cpu(c, page, false);
}

static int many_mapper(void *arg)
{
	struct many_self *self = arg;
	struct many *many = self->many;
	unsigned int step, d, slot, dice;

	for (step = 0; step < many->steps; step++) {
		d = omni_below(&self->rnd, MANY_DOMAINS);
		slot = omni_below(&self->rnd, MANY_ROOM);
		dice = omni_below(&self->rnd, 16);
		if (dice < 9)
			many_map(self, d, slot);
		else if (dice < 14)
			many_unmap(self, d, slot, min(slot + omni_below(&self->rnd, 40),
						      MANY_ROOM - 1));
		else if (dice < 15)
			many_unmap(self, d, 0, MANY_ROOM - 1);
		else
			many_pin(self, d);
		cond_resched();
	}
	for (d = 0; d < MANY_DOMAINS; d++)
		many_unmap(self, d, 0, MANY_ROOM - 1);
	if (atomic_dec_and_test(&many->left))
		complete(&many->done);
	return 0;
}

/* One wanders, and does DMA; the CPU does what it likes. */
static void many_wander(struct many *many, struct rnd_state *rnd)
{
	struct nc_world *w = many->w;
	unsigned int i;

	if (!omni_below(rnd, 8)) {
		if (omni_test_attach(w->od[2], omni_below(rnd, 2) ? many->domain[2] : NULL))
			atomic_inc(&many->errors);
		atomic_inc(&many->moves);
	}
	for (i = 0; i < 16; i++) {
		unsigned int slot = omni_below(rnd, MANY_ROOM * MANY_THREADS);

		cache_dma(w->c, w->m, NC_RID + omni_below(rnd, 3), NC_IOVA + slot * SZ_4K,
			  omni_below(rnd, 2), true);
		cache_noise(w->c, omni_below(rnd, 80));
		cache_cpu(w->c, omni_below(rnd, 80), omni_below(rnd, 2));
	}
}

static void many_at_once(struct kunit *test)
{
	struct many_self *self = kunit_kcalloc(test, MANY_THREADS, sizeof(*self), GFP_KERNEL);
	struct many *many = kunit_kzalloc(test, sizeof(*many), GFP_KERNEL);
	struct task_struct *task;
	struct rnd_state rnd;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, self);
	KUNIT_ASSERT_NOT_NULL(test, many);
	many->w = nc_world_create(test, 1);
	many->steps = omni_quartered(test, MANY_STEPS);
	init_completion(&many->done);
	omni_seed(test, &rnd);
	/* Accesses go on in the middle of cleans without its help. */
	WRITE_ONCE(many->w->c->poke, NULL);
	for (i = 0; i < MANY_DOMAINS; i++)
		many->domain[i] = nc_domain(many->w);
	for (i = 0; i < 2; i++)
		nc_attach(many->w, i, many->domain[i]);
	cache_cpu_all(many->w->c, 0, 80, true);
	/* Pages that never leave, among those that come and go. */
	nc_map(many->w, many->domain[0], SZ_1G, 24, MANY_FIXED);
	atomic_set(&many->left, MANY_THREADS);
	for (i = 0; i < MANY_THREADS; i++) {
		self[i].many = many;
		self[i].id = i;
		prandom_seed_state(&self[i].rnd, prandom_u32_state(&rnd));
		task = kthread_run(many_mapper, &self[i], "omni-many%u", i);
		if (IS_ERR(task)) {
			KUNIT_FAIL(test, "no thread");
			if (atomic_dec_and_test(&many->left))
				complete(&many->done);
		}
	}
	while (!try_wait_for_completion(&many->done)) {
		many_wander(many, &rnd);
		cond_resched();
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&many->errors), 0);
	NC_EXPECT_CLEANS(many->w, 24, MANY_FIXED, 1);
	nc_unmap(many->w, many->domain[0], SZ_1G, MANY_FIXED);
	cache_leave(many->w->c, 24, MANY_FIXED);
	NC_EXPECT_CLEANS(many->w, 24, MANY_FIXED, 2);
	cache_cpu_all(many->w->c, 0, 80, false);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), many->w->chunks);
	kunit_info(test, "%d maps, %d moves, %llu reads, %llu writes, %lld cleans\n",
		   atomic_read(&many->maps), atomic_read(&many->moves), many->w->c->reads,
		   many->w->c->writes, atomic64_read(&many->w->c->calls));
}

static struct kunit_case many_cases[] = {
	OMNI_CASE_PARAM_SLOW(many_at_once, many_gen_params),
	{ }
};

static struct kunit_suite many_suite = {
	.name = "omni_nc_many",
	.test_cases = many_cases,
};

kunit_test_suites(&many_suite);
