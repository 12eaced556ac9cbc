// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a second vendor's units cost the first one's hot path: nothing (C3).
 *
 * A domain of one vendor's unit is measured while that unit is the only one,
 * and again while a unit of another vendor is beside it, with a domain in use
 * that is worked on between the rounds. The model makes the same choices in
 * every round, so what is counted is the same but for what the driver does.
 *
 * Figures are judged where the clock counts instructions: the parameter
 * ``instructions`` says that it does (QEMU's -icount, see scripts/bench.py).
 * Commands are judged everywhere.
 */
#include "kit.h"

#include <linux/sizes.h>
#include <linux/timex.h>

#define RID		0x0018
#define PA		0x10000000000ULL
#define IOVA		0x40000000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)
#define READS		64

static bool instructions;
module_param(instructions, bool, 0444);
MODULE_PARM_DESC(instructions, "the processor's clock counts instructions: judge them");

enum { MIXED_MAP, MIXED_READ, MIXED_UNMAP, MIXED_FIGURES };

static const char * const mixed_names[] = { "map", "iova_to_phys", "unmap" };

/* Two vendors; a variety of one of them is none. */
struct mixed_pair {
	const struct omni_kit *first, *second;
};

static const void *mixed_gen_params(const void *prev, char *desc)
{
	static struct mixed_pair pairs[OMNI_KITS_MAX * OMNI_KITS_MAX];
	unsigned int i = prev ? (const struct mixed_pair *)prev - pairs + 1 : 0, nr = 0;

	while (omni_kits[nr])
		nr++;
	for (; i < nr * nr; i++) {
		pairs[i] = (struct mixed_pair){ omni_kits[i / nr], omni_kits[i % nr] };
		if (pairs[i].first->wing == pairs[i].second->wing || pairs[i].second->few)
			continue;
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_beside_%s", pairs[i].first->name,
			 pairs[i].second->name);
		return &pairs[i];
	}
	return NULL;
}

/* One unit, its domain in use: a page that stays keeps the tables. */
struct mixed {
	struct omni_model *m;
	struct omni_domain *domain;
	struct omni_device *od;
};

static void mixed_begin(struct kunit *test, struct mixed *x, const struct omni_kit *kit)
{
	x->m = kit->create(test, omni_ordinary);
	x->domain = omni_model_domain(x->m);
	x->od = omni_model_device(x->m, RID, 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(x->domain, IOVA + SZ_1M, PA + SZ_1M, SZ_4K, 1, BOTH),
			0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(x->od, x->domain), 0);
	KUNIT_EXPECT_EQ(test, omni_access(x->m, RID, IOVA + SZ_1M, true, NULL), 0);
}

/*
 * The model makes the same choices in every round, and nobody wakes its thread:
 * that would cost more or less, as the thread sleeps or not. It gets on by the
 * driver's looking at it.
 */
static struct task_struct *mixed_quiet(struct omni_model *m, struct task_struct *thread)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	swap(m->thread, thread);
	prandom_seed_state(&m->rnd, 1);
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return thread;
}

/* The least that each call took; no table comes or goes, nothing sleeps. */
static void mixed_measure(struct kunit *test, struct mixed *x, struct mixed *beside,
			  unsigned int pages, u64 *least, u64 *commands)
{
	const size_t size = pages * SZ_4K;
	struct iommu_domain *iommu = &x->domain->iommu;
	unsigned int round, rounds = omni_scaled(test, 200), i;
	struct task_struct *thread;
	unsigned long flags;
	u64 t[4], sum;
	size_t gone;
	int ret;

	for (i = 0; i < MIXED_FIGURES; i++)
		least[i] = U64_MAX;
	*commands = READ_ONCE(x->m->fetched);
	for (round = 0; round < rounds && test->status == KUNIT_SUCCESS; round++) {
		if (beside->m) {
			KUNIT_EXPECT_EQ(test, omni_test_map(beside->domain, IOVA, PA, SZ_4K, 3,
							    BOTH), 0);
			KUNIT_EXPECT_EQ(test, omni_access(beside->m, RID, IOVA, true, NULL), 0);
			KUNIT_EXPECT_EQ(test, omni_test_unmap(beside->domain, IOVA, 3 * SZ_4K),
					3 * SZ_4K);
		}
		thread = mixed_quiet(x->m, NULL);
		local_irq_save(flags);
		t[0] = get_cycles();
		ret = omni_test_map(x->domain, IOVA, PA, SZ_4K, pages, BOTH);
		t[1] = get_cycles();
		for (i = 0, sum = 0; i < READS; i++)
			sum += iommu->ops->iova_to_phys(iommu, IOVA + 0x10);
		t[2] = get_cycles();
		gone = omni_test_unmap(x->domain, IOVA, size);
		t[3] = get_cycles();
		local_irq_restore(flags);
		mixed_quiet(x->m, thread);
		KUNIT_EXPECT_EQ(test, ret, 0);
		KUNIT_EXPECT_EQ(test, sum, READS * (PA + 0x10));
		KUNIT_EXPECT_EQ(test, gone, size);
		for (i = 0; i < MIXED_FIGURES; i++)
			least[i] = min(least[i], t[i + 1] - t[i]);
		cond_resched();
	}
	*commands = READ_ONCE(x->m->fetched) - *commands;
}

static void c3_a_second_vendor_costs_the_first_nothing(struct kunit *test)
{
	static const unsigned int sizes[] = { 1, 64 };
	const struct mixed_pair *pair = test->param_value;
	u64 alone[ARRAY_SIZE(sizes)][MIXED_FIGURES], both[MIXED_FIGURES];
	u64 commands[ARRAY_SIZE(sizes)], now, idle;
	struct mixed x, beside = { };
	unsigned int s, i;

	mixed_begin(test, &x, pair->first);
	/* Once for what is done but once. */
	mixed_measure(test, &x, &beside, 1, both, &now);
	for (s = 0; s < ARRAY_SIZE(sizes); s++)
		mixed_measure(test, &x, &beside, sizes[s], alone[s], &commands[s]);

	mixed_begin(test, &beside, pair->second);
	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		mixed_measure(test, &x, &beside, sizes[s], both, &now);
		KUNIT_EXPECT_EQ(test, now, commands[s]);
		for (i = 0; i < MIXED_FIGURES; i++) {
			kunit_info(test, "@@MIXED %s %s %s %u %llu %llu\n", pair->first->name,
				   pair->second->name, mixed_names[i], sizes[s], alone[s][i],
				   both[i]);
			if (instructions)
				KUNIT_EXPECT_LE_MSG(test, both[i] * 100, alone[s][i] * 101,
						    "%s of %u pages", mixed_names[i], sizes[s]);
		}
	}
	/* Nor does it hear of the first one's work. */
	idle = READ_ONCE(beside.m->fetched);
	KUNIT_EXPECT_EQ(test, omni_test_map(x.domain, IOVA, PA, SZ_4K, 3, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(x.domain, IOVA, 3 * SZ_4K), 3 * SZ_4K);
	KUNIT_EXPECT_EQ(test, READ_ONCE(beside.m->fetched), idle);
	KUNIT_EXPECT_EQ(test, omni_test_attach(beside.od, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(x.od, NULL), 0);
}

static struct kunit_case mixed_cases[] = {
	KUNIT_CASE_PARAM(c3_a_second_vendor_costs_the_first_nothing, mixed_gen_params),
	{ }
};

static struct kunit_suite mixed_suite = {
	.name = "omni_mixed",
	.test_cases = mixed_cases,
};

kunit_test_suites(&mixed_suite);
