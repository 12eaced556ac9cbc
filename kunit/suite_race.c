// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once (S1, S2): threads that map and unmap, one that moves a
 * device between domains, blocked and identity, and one that does DMA, on a
 * unit that caches all it may.
 *
 * Every physical page is mapped once in its life. What an access meets is
 * looked up before the access is over: a page that its unmap has given back,
 * or another domain's, is a stale hit. Whoever maps tries the mapping at
 * once, so that what was not flushed though it had to be is found, too.
 */
#include "kit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>
#include <linux/vmalloc.h>

#define PA		0x10000000000ULL
#define IOVA		0x40000000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

#define RACE_REGIONS	12		/* of 2M; the last three shared in blocks */
#define RACE_WHOLE	9
#define RACE_BLOCK	64		/* pages */
#define RACE_MAPPERS	3
#define RACE_JOBS	(RACE_MAPPERS + 2)
#define RACE_PAGES	SZ_4M		/* physical pages, each used once */
#define RACE_MS		500
#define RACE_FIXED	0x0100		/* requester IDs */
#define RACE_ROAMER	0x0208
#define RACE_IDENTITY	2		/* bit of race.may, besides those of the domains */

/* In struct omni_variant.more: the second domain has the wandering device only. */
#define RACE_ALONE	1

static const struct omni_variant race_variants[] = {
	{ "plain" },
	{ "alone", .more = RACE_ALONE },
	{ "alone_ats", .ats = 1, .more = RACE_ALONE },
	{ "alone_incoherent", OMNI_NO_SNOOP_WALKS, .more = RACE_ALONE },
	{ "evict", .evict = true, .speculate = true },
	{ "absent", OMNI_CACHES_ABSENT, .speculate = true },
	{ "write_buffer", OMNI_WRITE_BUFFER },
	{ "incoherent", OMNI_NO_SNOOP_WALKS },
	{ "incoherent_absent", OMNI_NO_SNOOP_WALKS | OMNI_CACHES_ABSENT, .evict = true },
	{ "ats", .ats = 4 },
	{ "ats_absent", OMNI_CACHES_ABSENT, .ats = 32, .evict = true },
	{ "no_pages", OMNI_NO_PAGE_COMMAND, .ats = 1 },
	{ "registers", OMNI_NO_QUEUE, .speculate = true },
	{ "signals", OMNI_SIGNALS, .evict = true },
};

OMNI_KIT_PARAM(race, race_variants)

struct race;

struct race_mapper {
	struct race *race;
	unsigned int id;
	struct rnd_state rnd;
};

/**
 * struct race - many at once on one unit
 * @m: the unit
 * @domain: two domains
 * @fixed: a device that stays in each
 * @alone: the second domain's stays blocked instead
 * @roamer: one that wanders between both, blocked and identity
 * @may: what the roamer may see: bits of the domains, RACE_IDENTITY
 * @allowed: a byte a physical page: the domain that maps it, plus 1, or 0
 * @where: the first IOVA page of each block of physical pages
 * @next: next block of physical pages
 * @stale: accesses that met a page they must not
 * @lost: accesses to mapped pages that were refused, or met another page
 * @first: what the first stale access met
 * @missed: address of the first lost access, what it met, what it should have
 * @maps: maps done
 * @dmas: accesses
 * @moves: attaches of the roamer
 * @errors: operations that failed
 * @tasks: those who do all that
 * @self: what they know
 */
struct race {
	struct omni_model *m;
	struct omni_domain *domain[2];
	struct omni_device *fixed[2];
	bool alone;
	struct omni_device *roamer;
	unsigned long may;
	u8 *allowed;
	u32 *where;
	atomic_t next;
	atomic_t stale;
	atomic_t lost;
	u64 first[3];
	u64 missed[3];
	atomic_t maps;
	atomic_t dmas;
	atomic_t moves;
	atomic_t errors;
	struct task_struct *tasks[RACE_JOBS];
	struct race_mapper self[RACE_JOBS];
};

/* Something mapped, or not: a region or a block of one domain. */
struct race_area {
	u64 page;		/* first IOVA page */
	unsigned int room;	/* pages */
	unsigned int nr;	/* pages mapped now */
	u32 index;		/* first physical page */
};

struct race_access {
	struct race *race;
	u16 rid;
	u64 iova;
};

static void race_meet(void *arg, u64 pa)
{
	struct race_access *access = arg;
	struct race *race = access->race;
	unsigned long may = access->rid == RACE_ROAMER ? READ_ONCE(race->may) :
			    BIT(access->rid - RACE_FIXED);
	u64 index = (pa - PA) >> 12;
	u8 domain;

	if (pa < PA) {
		if (may & BIT(RACE_IDENTITY) && pa == access->iova)
			return;
	} else if (index < RACE_PAGES) {
		domain = READ_ONCE(race->allowed[index]);
		if (domain && may & BIT(domain - 1) &&
		    race->where[index / RACE_BLOCK] + index % RACE_BLOCK == access->iova >> 12)
			return;
	}
	if (atomic_inc_return(&race->stale) == 1) {
		race->first[0] = access->rid;
		race->first[1] = access->iova;
		race->first[2] = pa;
	}
}

static int race_touch(struct race *race, u16 rid, u64 iova, bool write, u64 *pa)
{
	struct race_access access = { .race = race, .rid = rid, .iova = iova };

	return omni_model_dma(race->m, rid, iova, write, pa, race_meet, &access);
}

static int race_dma(void *arg)
{
	struct race_mapper *self = arg;
	struct race *race = self->race;
	static const u16 rids[] = { RACE_FIXED, RACE_FIXED + 1, RACE_ROAMER };

	while (!kthread_should_stop()) {
		u64 page = omni_below(&self->rnd, RACE_REGIONS) * 512;

		page += omni_below(&self->rnd, omni_below(&self->rnd, 4) ? 4 : 512);
		race_touch(race, rids[omni_below(&self->rnd, 3)], IOVA + (page << 12),
			   prandom_u32_state(&self->rnd) & 1, NULL);
		atomic_inc(&race->dmas);
		cond_resched();
	}
	return 0;
}

static int race_roam(void *arg)
{
	struct race_mapper *self = arg;
	struct race *race = self->race;

	while (!kthread_should_stop()) {
		unsigned int to = omni_below(&self->rnd, 4);
		struct omni_domain *domain = to < 2 ? race->domain[to] :
					     to == RACE_IDENTITY ? &omni_identity : NULL;
		unsigned long bit = to < 3 ? BIT(to) : 0;

		WRITE_ONCE(race->may, race->may | bit);
		/* The new may be seen from here on, the old until the attach is over. */
		smp_mb();
		if (omni_test_attach(race->roamer, domain))
			atomic_inc(&race->errors);
		WRITE_ONCE(race->may, bit);
		atomic_inc(&race->moves);
		cond_resched();
	}
	return 0;
}

static bool race_map(struct race_mapper *self, unsigned int d, struct race_area *area)
{
	struct race *race = self->race;
	bool large = area->room == 512 && !omni_below(&self->rnd, 3);
	unsigned int blocks = area->room / RACE_BLOCK, i, at;
	int chunk;
	u64 iova, pa;

	/* A large leaf wants its 512 pages aligned: regions take twice the room. */
	chunk = blocks > 1 ? 2 * blocks : 1;
	chunk = atomic_add_return(chunk, &race->next) - chunk;
	chunk = round_up(chunk, blocks);
	if ((chunk + 8) * RACE_BLOCK >= RACE_PAGES)
		return false;
	area->index = chunk * RACE_BLOCK;
	area->nr = large || omni_below(&self->rnd, 2) ? area->room :
		   1 + omni_below(&self->rnd, area->room);
	for (i = 0; i < blocks; i++)
		race->where[chunk + i] = (IOVA >> 12) + area->page + i * RACE_BLOCK;
	memset(&race->allowed[area->index], d + 1, area->nr);
	/* Whoever meets the mapping finds it allowed: the model walks under its lock. */
	smp_wmb();
	iova = IOVA + (area->page << 12);
	pa = PA + ((u64)area->index << 12);
	if (omni_test_map(race->domain[d], iova, pa, large ? SZ_2M : SZ_4K,
			  large ? 1 : area->nr, BOTH)) {
		atomic_inc(&race->errors);
		return false;
	}
	atomic_inc(&race->maps);
	for (i = 0; i < 2 && !(race->alone && d); i++) {
		u64 met = 0;

		at = i ? omni_below(&self->rnd, area->nr) : 0;
		if (race_touch(race, RACE_FIXED + d, iova + (u64)at * SZ_4K, at & 1, &met) ||
		    met != pa + (u64)at * SZ_4K) {
			if (atomic_inc_return(&race->lost) == 1) {
				race->missed[0] = iova + (u64)at * SZ_4K;
				race->missed[1] = met;
				race->missed[2] = pa + (u64)at * SZ_4K;
			}
		}
	}
	return true;
}

static void race_piece(struct omni_domain *domain, u64 iova, size_t size,
		       struct iommu_iotlb_gather *gather)
{
	domain->iommu.ops->unmap_pages(&domain->iommu, iova, SZ_4K, size / SZ_4K, gather);
}

static void race_unmap(struct race_mapper *self, unsigned int d, struct race_area *area)
{
	struct race *race = self->race;
	struct omni_domain *domain = race->domain[d];
	u64 iova = IOVA + (area->page << 12);
	unsigned int nr = area->nr, first = 0;
	struct iommu_iotlb_gather gather;
	bool queued = !omni_below(&self->rnd, 4);

	/* Now and then in pieces, the last one first. */
	iommu_iotlb_gather_init(&gather);
	gather.queued = queued;
	if (nr < 512 && nr > 2 && !omni_below(&self->rnd, 3))
		first = 1 + omni_below(&self->rnd, nr - 1);
	if (first)
		race_piece(domain, iova + first * SZ_4K, (nr - first) * SZ_4K, &gather);
	race_piece(domain, iova, (first ?: nr) * SZ_4K, &gather);
	if (queued)
		domain->iommu.ops->flush_iotlb_all(&domain->iommu);
	else
		domain->iommu.ops->iotlb_sync(&domain->iommu, &gather);
	memset(&race->allowed[area->index], 0, nr);
	if (!race_touch(race, RACE_FIXED + d, iova, false, NULL) ||
	    !race_touch(race, RACE_FIXED + d, iova + (nr - 1) * SZ_4K, true, NULL))
		atomic_inc(&race->lost);
	area->nr = 0;
}

#define RACE_AREAS	(RACE_WHOLE / RACE_MAPPERS + \
			 (RACE_REGIONS - RACE_WHOLE) * 512 / RACE_BLOCK / RACE_MAPPERS)

static int race_mapper(void *arg)
{
	struct race_mapper *self = arg;
	struct race_area *area, *areas;
	unsigned int d, i;

	areas = kcalloc(2 * RACE_AREAS, sizeof(*areas), GFP_KERNEL);
	if (!areas) {
		atomic_inc(&self->race->errors);
		goto out;
	}
	for (d = 0; d < 2; d++) {
		area = areas + d * RACE_AREAS;
		for (i = 0; i < RACE_WHOLE / RACE_MAPPERS; i++, area++) {
			area->page = (i * RACE_MAPPERS + self->id) * 512;
			area->room = 512;
		}
		for (i = 0; area < areas + (d + 1) * RACE_AREAS; i++, area++) {
			area->page = RACE_WHOLE * 512 + (i * RACE_MAPPERS + self->id) * RACE_BLOCK;
			area->room = RACE_BLOCK;
		}
	}
	while (!kthread_should_stop()) {
		i = omni_below(&self->rnd, 2 * RACE_AREAS);
		area = &areas[i];
		if (area->nr)
			race_unmap(self, i / RACE_AREAS, area);
		else if (!race_map(self, i / RACE_AREAS, area))
			break;
		cond_resched();
	}
	for (i = 0; i < 2 * RACE_AREAS; i++)
		if (areas[i].nr)
			race_unmap(self, i / RACE_AREAS, &areas[i]);
	kfree(areas);
out:
	/* kthread_stop() wants to find the thread. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void race_free(void *arg)
{
	vfree(arg);
}

static void *race_alloc(struct kunit *test, size_t size)
{
	void *p = vzalloc(size);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, race_free, p), 0);
	return p;
}

static int (*const race_jobs[RACE_JOBS])(void *) = {
	race_mapper, race_mapper, race_mapper, race_roam, race_dma,
};

static struct race *race_setup(struct kunit *test, const struct omni_param *param)
{
	const struct omni_variant *config = param->variant;
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, race);
	race->allowed = race_alloc(test, RACE_PAGES);
	race->where = race_alloc(test, RACE_PAGES / RACE_BLOCK * sizeof(*race->where));
	race->m = param->kit->create(test, config);
	race->m->mute = true;
	race->alone = config->more & RACE_ALONE;
	for (i = 0; i < 2; i++) {
		race->domain[i] = omni_model_domain(race->m);
		race->fixed[i] = omni_model_device(race->m, RACE_FIXED + i, config->ats);
		if (!i || !race->alone)
			KUNIT_ASSERT_EQ(test, omni_test_attach(race->fixed[i], race->domain[i]),
					0);
	}
	race->roamer = omni_model_device(race->m, RACE_ROAMER, config->ats);
	return race;
}

static void race_begin(struct kunit *test, struct race *race)
{
	struct rnd_state rnd;
	unsigned int i;

	omni_seed(test, &rnd);
	for (i = 0; i < RACE_JOBS; i++) {
		race->self[i] = (struct race_mapper) { .race = race, .id = i };
		prandom_seed_state(&race->self[i].rnd, prandom_u32_state(&rnd));
		race->tasks[i] = kthread_run(race_jobs[i], &race->self[i], "omni-race%u", i);
		KUNIT_EXPECT_FALSE(test, IS_ERR(race->tasks[i]));
	}
}

/* A busy machine gets more time, not less to do. */
static void race_wait(const struct race *race)
{
	unsigned int i;

	for (i = 0; i < 50; i++) {
		if (atomic_read(&race->moves) > 20 && atomic_read(&race->maps) > 40)
			break;
		msleep(100);
	}
}

static void race_end(struct kunit *test, struct race *race)
{
	unsigned int i;

	for (i = 0; i < RACE_JOBS; i++)
		if (!IS_ERR(race->tasks[i]))
			kthread_stop(race->tasks[i]);

	kunit_info(test, "%s: %d maps, %d accesses, %d attaches, %llu hits, %llu walks\n",
		   race->m->name, atomic_read(&race->maps), atomic_read(&race->dmas),
		   atomic_read(&race->moves), race->m->hits, race->m->walks);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&race->stale), 0,
			    "the first: %04llx at %#llx met %#llx", race->first[0],
			    race->first[1], race->first[2]);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&race->lost), 0, "%llx met %llx, not %llx",
			    race->missed[0], race->missed[1], race->missed[2]);
	KUNIT_EXPECT_EQ(test, atomic_read(&race->errors), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&race->maps), 20);
	KUNIT_EXPECT_GT(test, atomic_read(&race->moves), 10);
	KUNIT_EXPECT_GT(test, race->m->hits, 0);

	KUNIT_EXPECT_EQ(test, omni_test_attach(race->roamer, NULL), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, omni_test_attach(race->fixed[i], NULL), 0);
		omni_model_domain_free(test, race->domain[i]);
	}
	omni_model_destroy(race->m);
}

static void s1_no_stale_hit_under_interleaving(struct kunit *test)
{
	struct race *race;
	long tables = omni_tables_live();

	race = race_setup(test, test->param_value);
	race_begin(test, race);
	msleep(RACE_MS);
	race_wait(race);
	race_end(test, race);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/* C3: units of every vendor, domains of each, all at work at once. */
static void c3_all_vendors_at_once(struct kunit *test)
{
	static const struct omni_variant variants[] = {
		{ "ats", .ats = 4, .evict = true },
		{ "absent", OMNI_CACHES_ABSENT, .speculate = true },
	};
	struct race *races[OMNI_KITS_MAX];
	struct omni_param param;
	long tables = omni_tables_live();
	unsigned int i, nr, v;

	for (v = 0; v < ARRAY_SIZE(variants); v++) {
		for (nr = 0; omni_kits[nr]; nr++) {
			param = (struct omni_param){ omni_kits[nr], &variants[v] };
			races[nr] = race_setup(test, &param);
		}
		if (nr < 2)
			kunit_skip(test, "there is one vendor only");
		for (i = 0; i < nr; i++)
			race_begin(test, races[i]);
		msleep(2 * RACE_MS);
		for (i = 0; i < nr; i++)
			race_wait(races[i]);
		for (i = 0; i < nr; i++)
			race_end(test, races[i]);
	}
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/**
 * struct race_move - an attach on another processor
 * @od: the device
 * @domain: where to
 * @ret: what came of it
 * @over: it is over
 */
struct race_move {
	struct omni_device *od;
	struct omni_domain *domain;
	int ret;
	bool over;
};

static int race_move(void *arg)
{
	struct race_move *move = arg;

	move->ret = omni_test_attach(move->od, move->domain);
	WRITE_ONCE(move->over, true);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

/* Where an access goes, 0 if nowhere. */
static u64 race_where(struct omni_model *m, u16 rid, u64 iova)
{
	u64 pa;

	return omni_access(m, rid, iova, false, &pa) ? 0 : pa;
}

/*
 * S1: a device TLB fills from the unit's. So it does not come to a domain while
 * a flush of that domain goes on that does not know of it: here somebody who has
 * looked at the domain's reach, and has not yet submitted anything.
 */
static void s1_a_device_tlb_waits_for_flushes_that_miss_it(struct kunit *test)
{
	const struct omni_param *param = test->param_value;
	struct omni_model *m = param->kit->create(test, param->variant);
	struct race_move move = { };
	const struct omni_reach *reach;
	struct omni_domain *domain[2];
	struct task_struct *task;
	unsigned int i;
	ktime_t end;
	u64 pa;

	move.od = omni_model_device(m, RACE_ROAMER, 4);
	/* From nowhere, when it is switched on; then from another domain, when it is on. */
	for (i = 0; i < 2; i++) {
		domain[i] = omni_model_domain(m);
		pa = PA + i * SZ_4K;
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, pa, SZ_4K, 1, BOTH), 0);
		move.domain = domain[i];
		WRITE_ONCE(move.over, false);
		task = omni_thread_elsewhere(test, race_move, &move);
		rcu_read_lock();
		reach = rcu_dereference(domain[i]->reach);
		wake_up_process(task);
		end = ktime_add_ms(ktime_get(), 5000);
		while (rcu_access_pointer(domain[i]->reach) == reach &&
		       ktime_before(ktime_get(), end))
			cpu_relax();
		KUNIT_EXPECT_PTR_NE(test, rcu_access_pointer(domain[i]->reach), reach);
		end = ktime_add_ms(ktime_get(), 50);
		while (!READ_ONCE(move.over) && ktime_before(ktime_get(), end))
			cpu_relax();
		KUNIT_EXPECT_FALSE(test, READ_ONCE(move.over));
		if (!i)
			KUNIT_EXPECT_FALSE(test, test_bit(RACE_ROAMER, m->ats_on));
		else
			KUNIT_EXPECT_EQ(test, race_where(m, RACE_ROAMER, IOVA), PA);
		rcu_read_unlock();
		end = ktime_add_ms(ktime_get(), 5000);
		while (!READ_ONCE(move.over) && ktime_before(ktime_get(), end))
			cond_resched();
		migrate_enable();
		KUNIT_EXPECT_TRUE(test, move.over);
		kthread_stop(task);
		KUNIT_EXPECT_EQ(test, move.ret, 0);
		KUNIT_EXPECT_TRUE(test, test_bit(RACE_ROAMER, m->ats_on));
		KUNIT_EXPECT_EQ(test, race_where(m, RACE_ROAMER, IOVA), pa);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(move.od, NULL), 0);
	while (i--)
		omni_model_domain_free(test, domain[i]);
}

static const struct omni_variant race_device_tlb[] = {
	{ "device-tlb", .ats = 4 },
};

OMNI_KIT_PARAM(moved, race_device_tlb)

static struct kunit_case race_cases[] = {
	KUNIT_CASE_PARAM(s1_a_device_tlb_waits_for_flushes_that_miss_it, moved_gen_params),
	KUNIT_CASE_PARAM(s1_no_stale_hit_under_interleaving, race_gen_params),
	KUNIT_CASE(c3_all_vendors_at_once),
	{ }
};

static struct kunit_suite race_suite = {
	.name = "omni_race",
	.test_cases = race_cases,
};

kunit_test_suites(&race_suite);
