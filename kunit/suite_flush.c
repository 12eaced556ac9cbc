// SPDX-License-Identifier: GPL-2.0-only
/*
 * What ends a map or an unmap (F1 to F6, S2, N7), through the domain's own
 * hooks and against a unit that caches all it may. Nothing here looks into
 * the driver: commands are taken from the unit's queue, tables are counted,
 * translations are tried.
 */
#include "kit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#define RID		0x0018
#define PA		0x10000000000ULL
#define IOVA		0x40000000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)
static const struct omni_variant flush_either[] = {
	{ },
	{ "registers", OMNI_NO_QUEUE },
};

static const struct omni_variant flush_added[] = {
	{ },
	{ "absent", OMNI_CACHES_ABSENT },
	{ "write_buffer", OMNI_WRITE_BUFFER },
};

static const struct omni_variant flush_counted[] = {
	{ },
	{ "absent", OMNI_CACHES_ABSENT },
};

static const struct omni_variant flush_absent[] = { { NULL, OMNI_CACHES_ABSENT } };
static const struct omni_variant flush_buffer[] = { { NULL, OMNI_WRITE_BUFFER } };
static const struct omni_variant flush_no_snoop[] = { { NULL, OMNI_NO_SNOOP_WALKS } };
static const struct omni_variant flush_no_pages[] = { { NULL, OMNI_NO_PAGE_COMMAND } };

OMNI_KIT_PARAM(flush, omni_ordinary)
OMNI_KIT_PARAM(either, flush_either)
OMNI_KIT_PARAM(added, flush_added)
OMNI_KIT_PARAM(counted, flush_counted)
OMNI_KIT_PARAM(absent, flush_absent)
OMNI_KIT_PARAM(buffer, flush_buffer)
OMNI_KIT_PARAM(no_snoop, flush_no_snoop)
OMNI_KIT_PARAM(no_pages, flush_no_pages)

/* Translation caches invalidated so far, by whatever command. */
static u64 flush_commands(struct omni_model *m)
{
	return omni_model_done(m, OMNI_CMD_GLOBAL) + omni_model_done(m, OMNI_CMD_DOMAIN) +
	       omni_model_done(m, OMNI_CMD_PAGES);
}

static struct omni_domain *flush_setup(struct kunit *test, struct omni_model **m,
				       struct omni_device **od, u8 ats)
{
	struct omni_domain *domain;

	*m = omni_model_create(test);
	*od = omni_model_device(*m, RID, ats);
	domain = omni_model_domain(*m);
	/* A tree that grows does so here: that has a price of its own. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, BIT_ULL(38), PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_unmap(domain, BIT_ULL(38), SZ_4K), SZ_4K);
	KUNIT_ASSERT_EQ(test, omni_test_attach(*od, domain), 0);
	omni_model_trace(*m);
	return domain;
}

static void flush_unmap(struct omni_domain *domain, u64 iova, size_t size,
			struct iommu_iotlb_gather *gather)
{
	domain->iommu.ops->unmap_pages(&domain->iommu, iova, SZ_4K, size / SZ_4K, gather);
}

static void flush_sync(struct omni_domain *domain, struct iommu_iotlb_gather *gather)
{
	domain->iommu.ops->iotlb_sync(&domain->iommu, gather);
}

/* Accumulation */

/* One page takes the place of an empty table, the others only join. */
static void kinds_accumulate_to_the_highest(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	struct omni_command cmd;
	long tables;

	KUNIT_EXPECT_LT(test, OMNI_FLUSH_NONE, OMNI_FLUSH_ADDED);
	KUNIT_EXPECT_LT(test, OMNI_FLUSH_ADDED, OMNI_FLUSH_MODIFIED);

	domain = flush_setup(test, &m, &od, 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + SZ_2M, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + SZ_2M, false, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA + SZ_2M, SZ_4K), SZ_4K);
	/* The empty table is cached on the way to a page that is not there. */
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + SZ_2M, false, NULL), 0);
	tables = omni_tables_live();
	omni_model_trace(m);

	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_2M, 4, BOTH), 0);
	KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 0, &cmd));
	KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_PAGES);
	KUNIT_EXPECT_EQ(test, cmd.first, IOVA >> 12);
	KUNIT_EXPECT_EQ(test, cmd.last, (IOVA >> 12) + 4 * 512 - 1);
	KUNIT_EXPECT_FALSE(test, cmd.leaf_only);
	KUNIT_EXPECT_FALSE(test, omni_model_traced(m, 1, &cmd));
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables - 1);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + SZ_2M, false, NULL), 0);

	/* Only added: nothing. */
	omni_model_trace(m);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + SZ_1G, PA, SZ_2M, 4, BOTH), 0);
	KUNIT_EXPECT_FALSE(test, omni_model_traced(m, 0, &cmd));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* F1 */

static void f1_steps_issue_nothing(struct kunit *test)
{
	struct iommu_iotlb_gather gather;
	u64 before, doorbells, buffers;
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	unsigned int i;
	size_t mapped;
	int ret;

	domain = flush_setup(test, &m, &od, 4);
	before = flush_commands(m);
	doorbells = m->doorbells;
	buffers = omni_model_done(m, OMNI_CMD_WRITE_BUFFER);
	for (i = 0; i < 8; i++) {
		ret = domain->iommu.ops->map_pages(&domain->iommu, IOVA + i * SZ_2M,
						   PA + i * SZ_2M, SZ_4K, 512, BOTH,
						   GFP_KERNEL, &mapped);
		KUNIT_EXPECT_EQ(test, ret, 0);
	}
	iommu_iotlb_gather_init(&gather);
	for (i = 0; i < 8; i++)
		flush_unmap(domain, IOVA + i * SZ_2M, SZ_2M, &gather);
	KUNIT_EXPECT_EQ(test, flush_commands(m), before);
	KUNIT_EXPECT_EQ(test, m->doorbells, doorbells);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_WRITE_BUFFER), buffers);
	flush_sync(domain, &gather);
	KUNIT_EXPECT_EQ(test, flush_commands(m), before + 1);
	KUNIT_EXPECT_EQ(test, m->doorbells, doorbells + 1);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DEVICE_TLB), 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* A leaf took the place of an empty table: whoever else flushes, the map itself does. */
static void f1_a_map_flushes_what_it_replaced(struct kunit *test)
{
	struct iommu_iotlb_gather gather;
	const struct iommu_domain_ops *ops;
	struct omni_domain *domain;
	struct omni_device *od;
	struct omni_model *m;
	size_t mapped;
	u64 before;

	domain = flush_setup(test, &m, &od, 0);
	ops = domain->iommu.ops;
	/* On both sides of the place, for a gather around it, and an empty table in it. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + SZ_2M, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + SZ_4M, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_unmap(domain, IOVA + SZ_2M, SZ_4K), SZ_4K);
	KUNIT_ASSERT_EQ(test, 0, ops->map_pages(&domain->iommu, IOVA + SZ_2M, PA + SZ_2M, SZ_2M,
						1, BOTH, GFP_KERNEL, &mapped));
	/* Others end what is theirs. */
	ops->flush_iotlb_all(&domain->iommu);
	iommu_iotlb_gather_init(&gather);
	flush_unmap(domain, IOVA, SZ_4K, &gather);
	flush_unmap(domain, IOVA + SZ_4M, SZ_4K, &gather);
	flush_sync(domain, &gather);
	before = flush_commands(m);
	KUNIT_EXPECT_EQ(test, 0, ops->iotlb_sync_map(&domain->iommu, IOVA + SZ_2M, SZ_2M));
	KUNIT_EXPECT_EQ(test, flush_commands(m), before + 1);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA + SZ_2M, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* F2 */

static void f2_added_costs_nothing(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	u64 before, elided;

	domain = flush_setup(test, &m, &od, 4);
	before = m->fetched;
	elided = omni_counted(OMNI_ELIDED_NOT_CACHED);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1000, BOTH), 0);
	KUNIT_EXPECT_EQ(test, m->fetched, before);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_ELIDED_NOT_CACHED), elided + 1);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_WRITE_BUFFER), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f2_added_is_flushed_where_it_is_cached(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	unsigned int i;
	u64 before;

	domain = flush_setup(test, &m, &od, 0);
	for (i = 0; i < 3; i++) {
		/* Not present on each level in turn. */
		u64 iova = IOVA + (i == 2 ? SZ_1G : i * SZ_4K);

		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova, false, NULL), 0);
		before = flush_commands(m);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, iova, PA, SZ_4K, 1, BOTH), 0);
		KUNIT_EXPECT_EQ(test, flush_commands(m), before + 1);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, iova, false, NULL), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DEVICE_TLB), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f2_added_flushes_the_write_buffer(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	u64 before, buffers;

	domain = flush_setup(test, &m, &od, 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, false, NULL), 0);
	before = m->fetched;
	buffers = omni_model_done(m, OMNI_CMD_WRITE_BUFFER);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_EQ(test, m->fetched, before);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_WRITE_BUFFER), buffers + 1);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, false, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f2_a_domain_nobody_uses_costs_nothing(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	u64 before, elided, buffers;

	domain = flush_setup(test, &m, &od, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	before = m->fetched;
	buffers = omni_model_done(m, OMNI_CMD_WRITE_BUFFER);
	elided = omni_counted(OMNI_ELIDED_UNATTACHED);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1000, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 1000 * SZ_4K), 1000 * SZ_4K);
	KUNIT_EXPECT_EQ(test, m->fetched, before);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_WRITE_BUFFER), buffers);
	/* Where adding is free, the map was elided before anybody asked for units. */
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_ELIDED_UNATTACHED),
			elided + 1 + !!omni_variant(test)->traits);
}

/* F3 */

/* Tables are unlinked exactly when pages of the tree become free by the sync. */
static void f3_leaf_hint_exactly_when_no_table_was_unlinked(struct kunit *test)
{
	struct iommu_iotlb_gather gather;
	unsigned int i, hints = 0, without = 0;
	struct omni_device *od;
	struct omni_domain *domain;
	struct rnd_state rnd;
	struct omni_model *m;
	struct omni_command cmd;

	domain = flush_setup(test, &m, &od, 0);
	omni_seed(test, &rnd);
	for (i = 0; i < 600 && test->status == KUNIT_SUCCESS; i++) {
		bool large = !omni_below(&rnd, 4);
		unsigned int first = omni_below(&rnd, 600);
		unsigned int nr = omni_below(&rnd, 3) ? 1 + omni_below(&rnd, 1200) : 512;
		unsigned int cut = omni_below(&rnd, 3) ? nr : 1 + omni_below(&rnd, nr);
		long tables;
		bool hint;

		if (large || !omni_below(&rnd, 3))
			first &= 512;
		if (large)
			nr = 512 * (1 + omni_below(&rnd, 3));
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + first * SZ_4K, PA,
						    large ? SZ_2M : SZ_4K, large ? nr / 512 : nr,
						    BOTH), 0);
		if (large)
			cut = nr;
		omni_model_trace(m);
		tables = omni_tables_live();
		iommu_iotlb_gather_init(&gather);
		flush_unmap(domain, IOVA + first * SZ_4K, cut * SZ_4K, &gather);
		flush_sync(domain, &gather);
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 0, &cmd));
		KUNIT_ASSERT_EQ(test, cmd.kind, OMNI_CMD_PAGES);
		hint = cmd.leaf_only;
		KUNIT_EXPECT_EQ(test, hint, omni_tables_live() == tables);
		hints += hint;
		without += !hint;
		if (cut < nr)
			omni_test_unmap(domain, IOVA + (first + cut) * SZ_4K,
					(nr - cut) * SZ_4K);
	}
	KUNIT_EXPECT_GT(test, hints, 50);
	KUNIT_EXPECT_GT(test, without, 50);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* F4 */

struct flush_one {
	struct omni_domain *domain;
	struct completion done;
};

static int flush_one(void *arg)
{
	struct flush_one *one = arg;

	omni_test_unmap(one->domain, IOVA, SZ_4K);
	complete(&one->done);
	return 0;
}

/* No unit answers until all of them have been asked. */
static void f4_all_units_are_asked_before_one_is_waited_for(struct kunit *test)
{
	struct flush_one one = { .done = COMPLETION_INITIALIZER_ONSTACK(one.done) };
	struct omni_model *m[10];
	struct omni_device *od[10];
	u64 doorbells[10];
	unsigned int i, tries, asked = 0;
	struct task_struct *task;

	for (i = 0; i < ARRAY_SIZE(m); i++) {
		m[i] = omni_model_create(test);
		od[i] = omni_model_device(m[i], RID + i, 0);
	}
	one.domain = omni_model_domain(m[0]);
	for (i = 0; i < ARRAY_SIZE(m); i++)
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], one.domain), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(one.domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		omni_model_hang(m[i], true);
		doorbells[i] = READ_ONCE(m[i]->doorbells);
	}
	task = kthread_run(flush_one, &one, "omni-flush");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));

	/* As many as one round asks, 8 here, come before the first wait. */
	for (tries = 0; tries < 300 && asked < 8; tries++) {
		for (i = 0, asked = 0; i < ARRAY_SIZE(m); i++)
			asked += READ_ONCE(m[i]->doorbells) != doorbells[i];
		usleep_range(500, 1000);
	}
	for (i = 0; i < ARRAY_SIZE(m); i++)
		omni_model_hang(m[i], false);
	wait_for_completion(&one.done);
	KUNIT_EXPECT_GE(test, asked, 8);
	for (i = 0; i < ARRAY_SIZE(m); i++) {
		KUNIT_EXPECT_EQ(test, omni_model_done(m[i], OMNI_CMD_PAGES), 1);
		KUNIT_EXPECT_FALSE(test, m[i]->unit->broken);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
	}
}

/* F5 */

/* The definition: of all aligned powers of two that hold both pages, the smallest. */
static unsigned int flush_cover(u64 first, u64 last)
{
	unsigned int am;

	for (am = 0; am < 52; am++)
		if (first >> am == last >> am)
			break;
	return am;
}

static void flush_gathered(struct omni_domain *domain, u64 first, u64 last)
{
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	gather.start = first << 12;
	gather.end = (last << 12) + 4095;
	flush_sync(domain, &gather);
}

static void flush_check_cover(struct kunit *test, struct omni_model *m, u64 first, u64 last)
{
	unsigned int lg2 = flush_cover(first, last);
	u64 want_first = first >> lg2 << lg2, want_last = first | (BIT_ULL(lg2) - 1);
	struct omni_command cmd = { };

	KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 0, &cmd));
	if (omni_kit(test)->cover) {
		want_first = first;
		want_last = last;
		omni_kit(test)->cover(&want_first, &want_last);
	} else if (lg2 > omni_kit(test)->cover_max) {
		KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_DOMAIN);
		return;
	}
	KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_PAGES);
	if (cmd.first != want_first || cmd.last != want_last)
		KUNIT_FAIL(test, "pages %llx to %llx: %llx to %llx is not the cover %llx to %llx",
			   first, last, cmd.first, cmd.last, want_first, want_last);
	KUNIT_EXPECT_FALSE(test, omni_model_traced(m, 1, &cmd));
}

static void f5_cover_is_minimal_and_always_covers(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct rnd_state rnd;
	struct omni_model *m;
	u64 first, last;
	unsigned int i, ranges = omni_scaled(test, 10000);

	domain = flush_setup(test, &m, &od, 0);
	for (first = 0; first < 128 && test->status == KUNIT_SUCCESS; first++) {
		for (last = first; last < 128; last++) {
			omni_model_trace(m);
			flush_gathered(domain, first, last);
			flush_check_cover(test, m, first, last);
		}
	}
	omni_seed(test, &rnd);
	for (i = 0; i < ranges && test->status == KUNIT_SUCCESS; i++) {
		unsigned int lg2 = omni_below(&rnd, 37);

		first = ((u64)prandom_u32_state(&rnd) << 8 ^ prandom_u32_state(&rnd)) &
			(BIT_ULL(36) - 1);
		last = first + (prandom_u32_state(&rnd) & (BIT_ULL(lg2) - 1));
		last = min(last, BIT_ULL(36) - 1);
		omni_model_trace(m);
		flush_gathered(domain, first, last);
		flush_check_cover(test, m, first, last);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f5_device_tlb_cover_is_minimal(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct rnd_state rnd;
	struct omni_model *m;
	struct omni_command cmd;
	unsigned int i;

	domain = flush_setup(test, &m, &od, 32);
	omni_seed(test, &rnd);
	for (i = 0; i < 3000 && test->status == KUNIT_SUCCESS; i++) {
		u64 first = i < 1000 ? i / 32 : prandom_u32_state(&rnd);
		u64 last = i < 1000 ? first + i % 32 :
			   first + (prandom_u32_state(&rnd) >> omni_below(&rnd, 32));
		unsigned int lg2 = flush_cover(first, last);

		omni_model_trace(m);
		flush_gathered(domain, first, last);
		/* Behind the unit's own cache, with or without a fence. */
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 1, &cmd));
		if (cmd.fence)
			KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 2, &cmd));
		KUNIT_ASSERT_EQ(test, cmd.kind, OMNI_CMD_DEVICE_TLB);
		KUNIT_ASSERT_EQ(test, cmd.rid, RID);
		if (cmd.first != first >> lg2 << lg2 || cmd.last != (first | (BIT_ULL(lg2) - 1)))
			KUNIT_FAIL(test, "pages %llx to %llx: %llx to %llx is not the cover of 2^%u",
				   first, last, cmd.first, cmd.last, lg2);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f5_no_page_command_goes_domain_wide(struct kunit *test)
{
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	struct omni_command cmd;

	domain = flush_setup(test, &m, &od, 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, false, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 0, &cmd));
	KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_DOMAIN);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, false, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void f5_disjoint_pieces_are_one_flush(struct kunit *test)
{
	struct iommu_iotlb_gather gather;
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	u64 before, merged;
	unsigned int i;

	domain = flush_setup(test, &m, &od, 0);
	for (i = 0; i < 40; i++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + i * 3 * SZ_2M, PA, SZ_4K,
						    1 + i, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + i * 3 * SZ_2M, true, NULL),
				0);
	}
	before = flush_commands(m);
	merged = omni_counted(OMNI_FLUSH_MERGED);
	iommu_iotlb_gather_init(&gather);
	for (i = 40; i--;)
		flush_unmap(domain, IOVA + i * 3 * SZ_2M, (1 + i) * SZ_4K, &gather);
	KUNIT_EXPECT_EQ(test, flush_commands(m), before);
	flush_sync(domain, &gather);
	KUNIT_EXPECT_EQ(test, flush_commands(m), before + 1);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_FLUSH_MERGED), merged + 39);
	for (i = 0; i < 40; i++)
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + i * 3 * SZ_2M, true, NULL),
				0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* F6 */

static void flush_read_counts(struct omni_model *m, u64 *counts)
{
	const struct omni_unit_counts *c = &m->unit->counts;

	counts[OMNI_CMD_ENTRY] = c->context;
	counts[OMNI_CMD_GLOBAL] = c->iotlb_global;
	counts[OMNI_CMD_DOMAIN] = c->iotlb_domain;
	counts[OMNI_CMD_PAGES] = c->iotlb_page;
	counts[OMNI_CMD_DEVICE_TLB] = c->device_tlb;
	counts[OMNI_CMD_WAIT] = c->wait;
}

static void f6_every_decision_is_counted(struct kunit *test)
{
	u64 counts[OMNI_CMD_KINDS], before[OMNI_NR_COUNTS], ends, decided;
	struct iommu_iotlb_gather gather;
	struct omni_device *od;
	struct omni_domain *domain;
	struct rnd_state rnd;
	struct omni_model *m;
	unsigned int i;

	domain = flush_setup(test, &m, &od, 8);
	omni_seed(test, &rnd);
	for (i = 0; i < OMNI_NR_COUNTS; i++)
		before[i] = omni_counted(i);
	for (i = 0; i < 300; i++) {
		u64 iova = IOVA + omni_below(&rnd, 2048) * SZ_4K;
		unsigned int nr = 1 + omni_below(&rnd, 700);

		KUNIT_ASSERT_EQ(test, omni_test_map(domain, iova, PA, SZ_4K, nr, BOTH), 0);
		switch (omni_below(&rnd, 4)) {
		case 0:
			omni_test_unmap(domain, iova + SZ_1G, SZ_4K);
			fallthrough;
		case 1:
			iommu_iotlb_gather_init(&gather);
			gather.queued = true;
			flush_unmap(domain, iova, nr * SZ_4K, &gather);
			domain->iommu.ops->flush_iotlb_all(&domain->iommu);
			break;
		default:
			omni_test_unmap(domain, iova, nr * SZ_4K);
		}
		if (!omni_below(&rnd, 10)) {
			KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
			omni_test_map(domain, iova, PA, SZ_4K, nr, BOTH);
			omni_test_unmap(domain, iova, nr * SZ_4K);
			KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), 0);
		}
	}
	ends = omni_counted(OMNI_OPS_SYNC_MAP) - before[OMNI_OPS_SYNC_MAP] +
	       omni_counted(OMNI_OPS_SYNC) - before[OMNI_OPS_SYNC] +
	       omni_counted(OMNI_OPS_FLUSH_ALL) - before[OMNI_OPS_FLUSH_ALL];
	decided = omni_counted(OMNI_FLUSH_NEEDED) - before[OMNI_FLUSH_NEEDED] +
		  omni_counted(OMNI_ELIDED_NOT_CACHED) - before[OMNI_ELIDED_NOT_CACHED] +
		  omni_counted(OMNI_ELIDED_UNATTACHED) - before[OMNI_ELIDED_UNATTACHED] +
		  omni_counted(OMNI_ELIDED_NOTHING) - before[OMNI_ELIDED_NOTHING];
	KUNIT_EXPECT_GT(test, ends, 600);
	KUNIT_EXPECT_EQ(test, ends, decided);
	KUNIT_EXPECT_GT(test, omni_counted(OMNI_ELIDED_QUEUED), before[OMNI_ELIDED_QUEUED]);
	KUNIT_EXPECT_GT(test, omni_counted(OMNI_ELIDED_NOTHING), before[OMNI_ELIDED_NOTHING]);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);

	flush_read_counts(m, counts);
	for (i = 0; i <= OMNI_CMD_WAIT; i++)
		KUNIT_EXPECT_EQ_MSG(test, counts[i], omni_model_done(m, i), "command %u", i);
}

/* S2 */

static int flush_table(void *arg)
{
	struct flush_one *one = arg;

	omni_test_unmap(one->domain, IOVA, SZ_2M);
	complete(&one->done);
	return 0;
}

static void s2_tables_are_freed_after_the_flush(struct kunit *test)
{
	struct flush_one one = { .done = COMPLETION_INITIALIZER_ONSTACK(one.done) };
	struct task_struct *task;
	struct omni_device *od;
	struct omni_model *m;
	unsigned int tries;
	u64 doorbells;
	long tables;

	one.domain = flush_setup(test, &m, &od, 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(one.domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	tables = omni_tables_live();
	omni_model_hang(m, true);
	doorbells = READ_ONCE(m->doorbells);
	task = kthread_run(flush_table, &one, "omni-flush");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	for (tries = 0; tries < 300 && READ_ONCE(m->doorbells) == doorbells; tries++)
		usleep_range(500, 1000);
	KUNIT_EXPECT_NE(test, READ_ONCE(m->doorbells), doorbells);
	msleep(20);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	omni_model_hang(m, false);
	wait_for_completion(&one.done);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables - 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static void s2_queued_tables_wait_for_flush_iotlb_all(struct kunit *test)
{
	struct iommu_iotlb_gather gather;
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	long tables;
	u64 before;
	unsigned int i;

	domain = flush_setup(test, &m, &od, 4);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 4 * 512, BOTH), 0);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + i * SZ_2M, true, NULL), 0);
	tables = omni_tables_live();
	before = flush_commands(m);
	for (i = 0; i < 4; i++) {
		iommu_iotlb_gather_init(&gather);
		gather.queued = true;
		flush_unmap(domain, IOVA + i * SZ_2M, SZ_2M, &gather);
		KUNIT_EXPECT_TRUE(test, list_empty(&gather.freelist));
	}
	KUNIT_EXPECT_EQ(test, flush_commands(m), before);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	domain->iommu.ops->flush_iotlb_all(&domain->iommu);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN), 1);
	KUNIT_EXPECT_EQ(test, flush_commands(m), before + 1);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DEVICE_TLB), 1);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables - 4);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + i * SZ_2M, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* N7 */

static void n7_each_changed_line_is_written_back_once(struct kunit *test)
{
	static const struct {
		unsigned int first, nr, lines;
	} cases[] = {
		{ 0, 1, 1 }, { 0, 8, 1 }, { 7, 2, 2 }, { 8, 9, 2 }, { 3, 500, 63 }, { 0, 511, 64 },
	};
	struct omni_device *od;
	struct omni_domain *domain;
	struct omni_model *m;
	unsigned long lines;
	unsigned int i;

	domain = flush_setup(test, &m, &od, 0);
	/* A page that stays keeps the table. Lines of it that nobody used are clean, too. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + 511 * SZ_4K, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + 100 * SZ_4K, false, NULL), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + 5 * SZ_2M, false, NULL), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, 9ULL * SZ_1G, false, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 iova = IOVA + cases[i].first * SZ_4K;

		lines = omni_memory_cleaned();
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, iova, PA, SZ_4K, cases[i].nr, BOTH),
				0);
		KUNIT_EXPECT_EQ(test, omni_memory_cleaned() - lines, cases[i].lines);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, iova, true, NULL), 0);
		lines = omni_memory_cleaned();
		omni_test_unmap(domain, iova, cases[i].nr * SZ_4K);
		KUNIT_EXPECT_EQ(test, omni_memory_cleaned() - lines, cases[i].lines);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova, true, NULL), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case flush_cases[] = {
	KUNIT_CASE_PARAM(kinds_accumulate_to_the_highest, flush_gen_params),
	KUNIT_CASE_PARAM(f1_steps_issue_nothing, added_gen_params),
	KUNIT_CASE_PARAM(f1_a_map_flushes_what_it_replaced, added_gen_params),
	KUNIT_CASE_PARAM(f2_added_costs_nothing, flush_gen_params),
	KUNIT_CASE_PARAM(f2_added_is_flushed_where_it_is_cached, absent_gen_params),
	KUNIT_CASE_PARAM(f2_added_flushes_the_write_buffer, buffer_gen_params),
	KUNIT_CASE_PARAM(f2_a_domain_nobody_uses_costs_nothing, added_gen_params),
	KUNIT_CASE_PARAM(f3_leaf_hint_exactly_when_no_table_was_unlinked, either_gen_params),
	KUNIT_CASE_PARAM(f4_all_units_are_asked_before_one_is_waited_for, flush_gen_params),
	KUNIT_CASE_PARAM(f5_cover_is_minimal_and_always_covers, either_gen_params),
	KUNIT_CASE_PARAM(f5_device_tlb_cover_is_minimal, flush_gen_params),
	KUNIT_CASE_PARAM(f5_no_page_command_goes_domain_wide, no_pages_gen_params),
	KUNIT_CASE_PARAM(f5_disjoint_pieces_are_one_flush, flush_gen_params),
	KUNIT_CASE_PARAM(f6_every_decision_is_counted, counted_gen_params),
	KUNIT_CASE_PARAM(s2_tables_are_freed_after_the_flush, flush_gen_params),
	KUNIT_CASE_PARAM(s2_queued_tables_wait_for_flush_iotlb_all, flush_gen_params),
	KUNIT_CASE_PARAM(n7_each_changed_line_is_written_back_once, no_snoop_gen_params),
	{ }
};

static struct kunit_suite flush_suite = {
	.name = "omni_flush",
	.test_cases = flush_cases,
};

kunit_test_suites(&flush_suite);
