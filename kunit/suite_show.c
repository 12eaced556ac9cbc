// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading page tables while they are changed: what is shown is what is
 * mapped, no table goes while a reader is inside, all go when he is out; and
 * the ledgers of domains, of those that are gone, too, sum up.
 */
#include "kit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#define RID		0x0018
#define PA		0x10000000000ULL
#define IOVA		0x40000000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

static const struct omni_variant show_variants[] = {
	{ NULL },
	{ "incoherent", OMNI_NO_SNOOP_WALKS },
	{ "absent", OMNI_CACHES_ABSENT },
};

OMNI_KIT_PARAM(show, show_variants)

static struct omni_domain *show_setup(struct kunit *test, struct omni_device **od)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_domain *domain = omni_model_domain(m);

	*od = omni_model_device(m, RID, 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(*od, domain), 0);
	return domain;
}

static void show_leave(struct kunit *test, struct omni_device *od)
{
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* What an entry and those before it in a walk add up to. */
struct show_sum {
	u64 bytes;
	u64 leaves;
	u64 tables;
	u64 bad;
};

/* Walk all of a table; each leaf has to be where @PA + offset puts it. */
static void show_walk(struct omni_domain *domain, bool raw, struct show_sum *sum)
{
	unsigned int below = UINT_MAX;
	struct omni_entry e;
	u64 iova = 0;

	*sum = (struct show_sum) { };
	omni_watch(domain);
	while (iova <= domain->pt.last && domain->pt.ops->next(&domain->pt, iova, below, raw, &e)) {
		if (e.iova < iova || (e.iova == iova && e.level >= below)) {
			sum->bad++;
			break;
		}
		if (e.kind == OMNI_ENTRY_TABLE) {
			sum->tables++;
			iova = e.iova;
			below = e.level;
			continue;
		}
		sum->leaves++;
		sum->bytes += BIT_ULL(e.lg2);
		/* Raw entries of a set have their size in the address. */
		sum->bad += !raw && e.pa - PA != e.iova - IOVA;
		iova = omni_entry_last(&e) + 1;
		below = UINT_MAX;
	}
	omni_unwatch(domain);
}

static void what_is_mapped_is_shown(struct kunit *test)
{
	static const struct {
		u64 offset;
		size_t pgsize;
		size_t count;
	} maps[] = {
		{ 0, SZ_4K, 3 },
		{ SZ_64K, SZ_4K, 512 },		/* over the end of a table */
		{ SZ_8M, SZ_2M, 5 },
		{ SZ_1G, SZ_1G, 1 },
		{ 5ULL * SZ_1G - SZ_4K, SZ_4K, 1 },
	};
	struct show_sum runs, raw;
	struct omni_domain *domain;
	struct omni_usage usage;
	struct omni_device *od;
	u64 bytes = 0, leaves = 0;
	unsigned int i;

	domain = show_setup(test, &od);
	show_walk(domain, false, &runs);
	KUNIT_EXPECT_EQ(test, runs.leaves, 0);
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		if (!(domain->iommu.pgsize_bitmap & maps[i].pgsize))
			continue;
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + maps[i].offset,
						    PA + maps[i].offset, maps[i].pgsize,
						    maps[i].count, BOTH), 0);
		bytes += maps[i].pgsize * maps[i].count;
		leaves += maps[i].count;
	}
	show_walk(domain, false, &runs);
	show_walk(domain, true, &raw);
	omni_watch(domain);
	domain->pt.ops->usage(&domain->pt, &usage);
	omni_unwatch(domain);

	KUNIT_EXPECT_EQ(test, runs.bad, 0);
	KUNIT_EXPECT_EQ(test, runs.bytes, bytes);
	KUNIT_EXPECT_EQ(test, runs.leaves, leaves);
	KUNIT_EXPECT_EQ(test, runs.tables, 0);
	KUNIT_EXPECT_EQ(test, raw.bad, 0);
	KUNIT_EXPECT_EQ(test, raw.bytes, bytes);
	/* The root, and what there is above it, is in no entry of the tree. */
	KUNIT_EXPECT_EQ(test, raw.tables + omni_kit(test)->roots, usage.tables);
	KUNIT_EXPECT_EQ(test, usage.bytes, bytes);
	for (i = 0; i < ARRAY_SIZE(maps); i++)
		omni_test_unmap(domain, IOVA + maps[i].offset, maps[i].pgsize * maps[i].count);
	show_leave(test, od);
}

/* A set of entries that is one leaf is one leaf to a reader, too. */
static void sets_are_one_leaf(struct kunit *test)
{
	struct omni_domain *domain;
	struct show_sum runs, raw;
	struct omni_device *od;
	size_t size = SZ_64K;

	domain = show_setup(test, &od);
	/* Formats without sets have one entry a leaf. */
	if (!(domain->iommu.pgsize_bitmap & SZ_64K))
		size = SZ_4K;
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, size, 3, BOTH), 0);
	show_walk(domain, false, &runs);
	show_walk(domain, true, &raw);
	KUNIT_EXPECT_EQ(test, runs.bad, 0);
	KUNIT_EXPECT_EQ(test, runs.leaves, 3);
	KUNIT_EXPECT_EQ(test, runs.bytes, 3 * size);
	KUNIT_EXPECT_EQ(test, raw.leaves, 3 * size / SZ_4K);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 3 * size), 3 * size);
	show_leave(test, od);
}

static void tables_stay_for_a_reader(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od;
	long before, with;

	domain = show_setup(test, &od);
	/* Leaves something beside, so that the tables above stay in any case. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + SZ_8M, PA, SZ_4K, 1, BOTH), 0);
	before = omni_tables_live();
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	with = omni_tables_live();
	KUNIT_EXPECT_EQ(test, with, before + 1);

	omni_watch(domain);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), with);
	omni_unwatch(domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), before);

	/* And without a reader they go at once. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), before);
	omni_test_unmap(domain, IOVA + SZ_8M, SZ_4K);
	show_leave(test, od);
}

/* Somebody maps and unmaps whole tables of his own all the time. */
struct show_load {
	struct omni_domain *domain;
	u64 offset;
	unsigned long rounds;
	unsigned long errors;
};

static int show_load(void *arg)
{
	struct show_load *load = arg;

	while (!kthread_should_stop()) {
		u64 iova = IOVA + load->offset;

		load->errors += omni_test_map(load->domain, iova, PA + load->offset, SZ_4K, 1024,
					      BOTH) != 0;
		load->errors += omni_test_unmap(load->domain, iova, SZ_4M) != SZ_4M;
		/* A leaf takes the place of the table that this leaves empty. */
		load->errors += omni_test_map(load->domain, iova, PA + load->offset, SZ_4K, 1,
					      BOTH) != 0;
		load->errors += omni_test_unmap(load->domain, iova, SZ_4K) != SZ_4K;
		if (load->domain->iommu.pgsize_bitmap & SZ_2M) {
			load->errors += omni_test_map(load->domain, iova, PA + load->offset,
						      SZ_2M, 1, BOTH) != 0;
			load->errors += omni_test_unmap(load->domain, iova, SZ_2M) != SZ_2M;
		}
		load->rounds++;
		cond_resched();
	}
	return 0;
}

static bool show_all_ran(const struct show_load *loads, unsigned int nr)
{
	while (nr && READ_ONCE(loads[nr - 1].rounds))
		nr--;
	return !nr;
}

static void readers_and_writers(struct kunit *test)
{
	struct task_struct *tasks[3];
	struct show_load loads[ARRAY_SIZE(tasks)];
	unsigned int i, reads = 0, busy = 0;
	struct omni_domain *domain;
	struct omni_usage usage;
	struct omni_device *od;
	struct show_sum sum;
	u64 bad = 0;
	ktime_t end, limit;

	domain = show_setup(test, &od);
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		loads[i] = (struct show_load) {
			.domain = domain,
			.offset = i * (u64)SZ_4M,
		};
		tasks[i] = kthread_run(show_load, &loads[i], "omni-show-%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(tasks[i]));
	}
	end = ktime_add_ms(ktime_get(), 1500);
	/* A host that is busy may let somebody sleep for long. */
	limit = ktime_add_ms(ktime_get(), 60000);
	while (ktime_before(ktime_get(), end) ||
	       ((!busy || !show_all_ran(loads, ARRAY_SIZE(loads))) &&
		ktime_before(ktime_get(), limit))) {
		show_walk(domain, reads & 1, &sum);
		busy += sum.leaves > 0;
		bad += sum.bad;
		omni_watch(domain);
		domain->pt.ops->usage(&domain->pt, &usage);
		omni_unwatch(domain);
		reads++;
		cond_resched();
	}
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		kthread_stop(tasks[i]);
		KUNIT_EXPECT_EQ(test, loads[i].errors, 0);
		KUNIT_EXPECT_GT(test, loads[i].rounds, 0);
		kunit_info(test, "%lu rounds of a writer", loads[i].rounds);
	}
	kunit_info(test, "%u reads, %u of them met leaves", reads, busy);
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_GT(test, reads, 0);
	KUNIT_EXPECT_GT(test, busy, 0);
	show_walk(domain, false, &sum);
	KUNIT_EXPECT_EQ(test, sum.leaves, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&domain->seen.kept));
	show_leave(test, od);
}

/* Counters don't go back when a domain goes, and a domain has its own. */
static void ledgers_sum_up(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	u64 needed, ends, unattached;

	omni_domain_list(domain);
	needed = omni_counted(OMNI_FLUSH_NEEDED);
	ends = omni_counted(OMNI_OPS_SYNC);
	unattached = omni_counted(OMNI_ELIDED_UNATTACHED);
	/* Until somebody asks, it counts with all others. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 2, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_TRUE(test, domain->ends == &omni_ends);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_OPS_SYNC), ends + 1);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_EXPECT_TRUE(test, domain->ends == &omni_ends);
	omni_domains_shown();
	KUNIT_EXPECT_TRUE(test, domain->ends != &omni_ends);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA + SZ_4K, SZ_4K), SZ_4K);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_OPS_SYNC), ends + 2);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_FLUSH_NEEDED), needed + 1);
	KUNIT_EXPECT_GE(test, omni_counted(OMNI_ELIDED_UNATTACHED), unattached + 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);

	omni_model_domain_free(test, domain);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_OPS_SYNC), ends + 2);
	KUNIT_EXPECT_EQ(test, omni_counted(OMNI_FLUSH_NEEDED), needed + 1);
}

/* The end of a domain waits for whoever looks at it by its device. */
static int show_free(void *domain)
{
	omni_domain_hide(domain);
	return 0;
}

static void the_end_waits_for_viewers(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m), *seen;
	struct task_struct *task;

	KUNIT_EXPECT_NULL(test, omni_domain_view(od));
	omni_domain_list(domain);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	seen = omni_domain_view(od);
	KUNIT_EXPECT_PTR_EQ(test, seen, domain);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	KUNIT_EXPECT_NULL(test, omni_domain_view(od));

	task = kthread_create(show_free, domain, "omni-show-free");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	get_task_struct(task);
	wake_up_process(task);
	msleep(50);
	KUNIT_EXPECT_EQ(test, READ_ONCE(domain->seen.viewers), 1);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(task->exit_state));
	omni_domain_unview(seen);
	/* Waits for its end. */
	KUNIT_EXPECT_EQ(test, kthread_stop(task), 0);
	put_task_struct(task);
	KUNIT_EXPECT_FALSE(test, domain->seen.listed);
}

static struct kunit_case show_cases[] = {
	KUNIT_CASE_PARAM(what_is_mapped_is_shown, show_gen_params),
	KUNIT_CASE_PARAM(sets_are_one_leaf, show_gen_params),
	KUNIT_CASE_PARAM(tables_stay_for_a_reader, show_gen_params),
	KUNIT_CASE_PARAM(ledgers_sum_up, show_gen_params),
	KUNIT_CASE_PARAM(the_end_waits_for_viewers, show_gen_params),
	OMNI_CASE_PARAM_SLOW(readers_and_writers, show_gen_params),
	{ }
};

static struct kunit_suite show_suite = {
	.name = "omni_show",
	.test_cases = show_cases,
};

kunit_test_suites(&show_suite);
