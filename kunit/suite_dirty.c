// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty tracking: what devices write is told, once, and nothing else; a write
 * that comes while it is being read and cleared is told then or next time.
 */
#include "kit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#define RID		0x0018
#define PA		0x10000000000ULL
#define IOVA		0x40000000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)
#define PAGES		64

static const struct omni_variant dirty_variants[] = {
	{ NULL, OMNI_DIRTY },
	{ "absent", OMNI_DIRTY | OMNI_CACHES_ABSENT },
	{ "evict", OMNI_DIRTY, .evict = true },
	{ "ats", OMNI_DIRTY, .ats = 4 },
};

OMNI_KIT_PARAM(dirty, dirty_variants)

/* Is anything of a range dirty? And no longer, unless @flags say otherwise. */
static bool dirty_read(struct kunit *test, struct omni_domain *domain, u64 iova, size_t size,
		       unsigned long flags)
{
	struct iommu_iotlb_gather gather;
	struct iommu_dirty_bitmap dirty;
	int ret;

	iommu_dirty_bitmap_init(&dirty, NULL, &gather);
	ret = domain->iommu.dirty_ops->read_and_clear_dirty(&domain->iommu, iova, size, flags,
							    &dirty);
	KUNIT_EXPECT_EQ(test, ret, 0);
	if (gather.end && !(flags & IOMMU_DIRTY_NO_CLEAR))
		domain->iommu.ops->iotlb_sync(&domain->iommu, &gather);
	return gather.end;
}

static int dirty_track(struct omni_domain *domain, bool on)
{
	return domain->iommu.dirty_ops->set_dirty_tracking(&domain->iommu, on);
}

static void dirty_end(void *domain)
{
	omni_domain_free(domain);
}

static struct omni_domain *dirty_setup(struct kunit *test, struct omni_model **m,
				       struct omni_device **od)
{
	const struct omni_wing *wing = omni_kit(test)->wing;
	struct omni_domain *domain;

	*m = omni_model_create(test);
	*od = omni_model_device(*m, RID, omni_variant(test)->ats);
	KUNIT_EXPECT_TRUE(test, wing->capable(*od, IOMMU_CAP_DIRTY_TRACKING));
	domain = wing->domain_alloc(*od, true);
	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, dirty_end, domain), 0);
	KUNIT_ASSERT_NOT_NULL(test, domain->iommu.dirty_ops);
	KUNIT_ASSERT_EQ(test, omni_test_attach(*od, domain), 0);
	return domain;
}

/* Pages of 4K, then one leaf of 64K, then one of 2M. */
static void what_is_written_is_told_once(struct kunit *test)
{
	static const struct {
		u64 iova;
		size_t pgsize;
		unsigned int nr;
	} areas[] = {
		{ IOVA, SZ_4K, PAGES },
		{ IOVA + SZ_1M, SZ_64K, 4 },
		{ IOVA + SZ_2M, SZ_2M, 4 },
		{ IOVA + SZ_1G, SZ_32M, 2 },
	};
	struct omni_domain *domain;
	struct omni_device *od;
	struct omni_model *m;
	struct rnd_state rnd;
	unsigned int round, a, i;
	bool written[PAGES];

	domain = dirty_setup(test, &m, &od);
	omni_seed(test, &rnd);
	for (a = 0; a < ARRAY_SIZE(areas); a++)
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, areas[a].iova, PA, areas[a].pgsize,
						    areas[a].nr, BOTH), 0);
	/* Used, but not tracked: the caches have it all. */
	for (i = 0; i < PAGES; i++)
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + i * SZ_4K, i & 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, dirty_track(domain, true), 0);
	for (a = 0; a < ARRAY_SIZE(areas); a++)
		dirty_read(test, domain, areas[a].iova, areas[a].pgsize * areas[a].nr, 0);

	for (round = 0; round < 20; round++) {
		for (a = 0; a < ARRAY_SIZE(areas); a++) {
			memset(written, 0, sizeof(written));
			for (i = 0; i < areas[a].nr; i++) {
				bool write = omni_below(&rnd, 2);
				u64 at = areas[a].iova + i * areas[a].pgsize +
					 omni_below(&rnd, areas[a].pgsize / 8) * 8;

				if (!omni_below(&rnd, 4))
					continue;
				KUNIT_EXPECT_EQ(test, omni_access(m, RID, at, write, NULL), 0);
				written[i] = write;
			}
			for (i = 0; i < areas[a].nr; i++) {
				size_t size = areas[a].pgsize;
				u64 at = areas[a].iova + i * size;

				KUNIT_EXPECT_EQ_MSG(test, written[i],
						    dirty_read(test, domain, at, size,
							       IOMMU_DIRTY_NO_CLEAR),
						    "round %u, area %u, page %u", round, a, i);
				KUNIT_EXPECT_EQ_MSG(test, written[i],
						    dirty_read(test, domain, at, size, 0),
						    "round %u, area %u, page %u", round, a, i);
				KUNIT_EXPECT_FALSE(test, dirty_read(test, domain, at, size, 0));
			}
		}
	}
	KUNIT_EXPECT_EQ(test, dirty_track(domain, false), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Devices that come while it is on are tracked, too; those that come after are not. */
static void devices_that_come_later(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od, *late;
	struct omni_model *m;

	domain = dirty_setup(test, &m, &od);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 4, BOTH), 0);
	KUNIT_ASSERT_EQ(test, dirty_track(domain, true), 0);
	late = omni_model_device(m, RID + 1, 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(late, domain), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID + 1, IOVA + SZ_4K, true, NULL), 0);
	KUNIT_EXPECT_TRUE(test, dirty_read(test, domain, IOVA + SZ_4K, SZ_4K, 0));
	KUNIT_EXPECT_FALSE(test, dirty_read(test, domain, IOVA, SZ_4K, 0));
	KUNIT_EXPECT_EQ(test, omni_test_attach(late, NULL), 0);
	KUNIT_EXPECT_EQ(test, dirty_track(domain, false), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(late, domain), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID + 1, IOVA + 2 * SZ_4K, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_kit(test)->marks,
			dirty_read(test, domain, IOVA + 2 * SZ_4K, SZ_4K, 0));
	KUNIT_EXPECT_EQ(test, omni_test_attach(late, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* A unit that marks nothing serves no domain that is to be asked. */
static void units_that_mark_nothing_are_refused(struct kunit *test)
{
	const struct omni_wing *wing = omni_kit(test)->wing;
	struct omni_domain *domain;
	struct omni_model *m, *other;
	struct omni_device *od, *plain;

	domain = dirty_setup(test, &m, &od);
	other = omni_model_create_as(test, "plain", 0);
	plain = omni_model_device(other, RID, 0);
	KUNIT_EXPECT_FALSE(test, wing->capable(plain, IOMMU_CAP_DIRTY_TRACKING));
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(wing->domain_alloc(plain, true)), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, omni_test_attach(plain, domain), -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

struct dirty_writer {
	struct omni_model *m;
	struct rnd_state rnd;
	unsigned long owed[PAGES];
	unsigned long writes;
	unsigned long refused;
};

/* Before the access is over, so that no flush can end in between. */
static void dirty_owed(void *owed, u64 pa)
{
	WRITE_ONCE(*(unsigned long *)owed, 1);
}

static int dirty_write(void *arg)
{
	struct dirty_writer *w = arg;

	while (!kthread_should_stop()) {
		unsigned int i = omni_below(&w->rnd, PAGES);

		if (omni_model_dma(w->m, RID, IOVA + i * SZ_4K, true, NULL, dirty_owed,
				   &w->owed[i]))
			w->refused++;
		w->writes++;
		cond_resched();
	}
	return 0;
}

/* A device writes all the time: no write is lost, told now or next time. */
static void no_write_is_lost(struct kunit *test)
{
	struct dirty_writer *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	unsigned int round, i, lost = 0, told = 0;
	bool before[PAGES] = { }, last = false;
	struct task_struct *task;
	struct omni_domain *domain;
	struct omni_device *od;

	KUNIT_ASSERT_NOT_NULL(test, w);
	domain = dirty_setup(test, &w->m, &od);
	omni_seed(test, &w->rnd);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, PAGES, BOTH), 0);
	KUNIT_ASSERT_EQ(test, dirty_track(domain, true), 0);
	task = kthread_run(dirty_write, w, "omni-dirty");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	/* A host that is busy may let the device sleep for long. */
	for (round = 0; !last; round++) {
		last = round >= 59 && (told > 100 || round >= 10000);
		if (last)
			kthread_stop(task);
		for (i = 0; i < PAGES; i++) {
			bool owed = xchg(&w->owed[i], 0);
			bool dirty = dirty_read(test, domain, IOVA + i * SZ_4K, SZ_4K, 0);

			/* What was told the last time may have been owed since then. */
			lost += owed && !dirty && !before[i];
			before[i] = dirty;
			told += dirty;
		}
		usleep_range(100, 500);
	}
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, w->refused, 0);
	KUNIT_EXPECT_GT(test, told, 100);
	KUNIT_EXPECT_EQ(test, dirty_track(domain, false), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case dirty_cases[] = {
	KUNIT_CASE_PARAM(what_is_written_is_told_once, dirty_gen_params),
	KUNIT_CASE_PARAM(devices_that_come_later, dirty_gen_params),
	KUNIT_CASE_PARAM(units_that_mark_nothing_are_refused, dirty_gen_params),
	OMNI_CASE_PARAM_SLOW(no_write_is_lost, dirty_gen_params),
	{ }
};

static struct kunit_suite dirty_suite = {
	.name = "omni_dirty",
	.test_cases = dirty_cases,
};

kunit_test_suites(&dirty_suite);
