// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue of commands, or the registers in its place: laps, a full ring,
 * many submitters, errors, and a unit that stops answering (S2). Errors that
 * one vendor knows are in suites of their own.
 *
 * "Carried out" is never taken on trust: a cached translation is there before
 * a command and must be gone when its wait is over.
 */
#include "queue_user.h"

#include <linux/delay.h>
#include <linux/kthread.h>

static const struct omni_variant queue_any[] = {
	{ },
	{ "signals", OMNI_SIGNALS },
};

OMNI_KIT_PARAM(queue, queue_any)

static const struct omni_variant queue_or_registers[] = {
	{ },
	{ "registers", OMNI_NO_QUEUE },
};

OMNI_KIT_PARAM(either, queue_or_registers)

static void wraps_for_many_laps(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct queue_user user;
	unsigned int i;
	u64 before;

	queue_user_init(test, &user, m, 0, 0);
	before = m->fetched;
	for (i = 0; i < 2500; i++)
		queue_round(&user);
	queue_expect_good(test, &user);
	KUNIT_EXPECT_GT(test, m->fetched - before, 100 * omni_kit(test)->queue_size);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/* Every size of submission at every place of the ring. */
static void wraps_at_every_place(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	unsigned int max = omni_kit(test)->submit_max;
	struct omni_command cmds[SUBMIT_MAX];
	unsigned int i, nr;
	u64 before;

	for (i = 0; i < max; i++)
		cmds[i] = queue_all_of(2);
	for (nr = 1; nr <= max; nr++) {
		before = omni_model_done(m, OMNI_CMD_DOMAIN);
		for (i = 0; i < omni_kit(test)->queue_size / nr + 2; i++)
			KUNIT_ASSERT_EQ(test, omni_model_submit_wait(m, cmds, nr), 0);
		KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN) - before, i * nr);
	}
}

/* More is submitted than fits; the unit is slow. Nothing is lost or overtaken. */
static void a_full_ring_waits_for_room(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	unsigned int max = omni_kit(test)->submit_max;
	struct omni_command cmds[SUBMIT_MAX];
	struct omni_ticket *tickets;
	const unsigned int nr = 12;
	unsigned int i;
	u64 before;

	tickets = kunit_kcalloc(test, nr, sizeof(*tickets), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tickets);
	for (i = 0; i < max; i++)
		cmds[i] = queue_all_of(2);
	before = omni_model_done(m, OMNI_CMD_DOMAIN);
	omni_model_delay(m, 5);
	for (i = 0; i < nr; i++)
		omni_model_submit(m, cmds, max, &tickets[i]);
	omni_model_delay(m, 0);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &tickets[i]), 0);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN) - before,
			nr * max);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
}

static void several_submitters(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 0, 400, NULL);
	KUNIT_EXPECT_EQ(test, m->unit->counts.queue_errors, 0);
}

static void disturb_error(struct omni_model *m)
{
	if (!READ_ONCE(m->errors_left))
		omni_model_error(m, READ_ONCE(m->fetched) % 7, 1);
}

static void errors_are_recovered_and_lost_commands_come_again(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 0, 600, disturb_error);
	omni_model_error(m, 0, 0);
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
}

/* With and without a device TLB, whose errors are looked for anyway. */
static unsigned int error_of_some(struct omni_model *m, unsigned int round)
{
	omni_model_error(m, round & 1, 1);
	return 1 + (round >> 1 & 1);
}

static void an_error_somebody_else_cleared_is_not_missed(struct kunit *test)
{
	queue_errors_are_told(test, error_of_some);
}

static bool error_of_any(struct omni_model *m, unsigned int round)
{
	omni_model_error(m, 0, 1 + round % 2);
	return true;
}

static void each_error_once(struct kunit *test)
{
	queue_each_error(test, error_of_any);
}

/* S2: errors without end are given up, and nothing is freed after that. */
static void s2_errors_without_end_leak_the_tables(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct queue_user user;
	long tables;

	queue_user_init(test, &user, m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	tables = omni_tables_live();
	omni_model_error(m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_2M), SZ_2M);
	omni_model_error(m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	KUNIT_EXPECT_TRUE(test, user.domain->tainted);
	/* The unit itself is well: others go on. */
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
	omni_model_domain_free(test, user.domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/* S1: what may still be cached under an ID is not to be met by the next domain. */
static void s1_a_tag_is_not_used_again_after_a_failed_flush(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_domain *next;
	struct queue_user user;
	u16 tag;
	u64 pa;

	queue_user_init(test, &user, m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	tag = queue_tag(&user);
	omni_model_error(m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
	omni_model_error(m, 0, 0);
	KUNIT_EXPECT_TRUE(test, user.domain->tainted);

	next = omni_model_domain(m);
	KUNIT_ASSERT_EQ(test, omni_test_map(next, IOVA, SZ_1G, SZ_4K, 1,
					    IOMMU_READ | IOMMU_WRITE), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(user.od, next), 0);
	user.domain = next;
	KUNIT_EXPECT_NE(test, queue_tag(&user), tag);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, SZ_1G);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/* Deadlines */

static unsigned int queue_ms_since(ktime_t start)
{
	return ktime_ms_delta(ktime_get(), start);
}

static int queue_late(void *arg)
{
	struct queue_user *user = arg;

	omni_test_unmap(user->domain, IOVA, SZ_2M);
	user->done++;
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static void s2_a_missed_deadline_breaks_the_unit_and_frees_nothing(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct task_struct *tasks[SUBMITTERS];
	struct queue_user *users;
	struct iommu_iotlb_gather gather;
	unsigned int i;
	ktime_t start;
	long tables;

	users = kunit_kcalloc(test, SUBMITTERS, sizeof(*users), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, users);
	for (i = 0; i < SUBMITTERS; i++) {
		queue_user_init(test, &users[i], m, i, 0);
		KUNIT_ASSERT_EQ(test, omni_test_map(users[i].domain, SZ_1G, PA, SZ_4K, 512, BOTH),
				0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID + i, IOVA, true, NULL), 0);
	}
	tables = omni_tables_live();
	omni_model_hang(m, true);
	start = ktime_get();
	for (i = 0; i < SUBMITTERS; i++) {
		tasks[i] = kthread_run(queue_late, &users[i], "omni-late%u", i);
		KUNIT_EXPECT_FALSE(test, IS_ERR(tasks[i]));
	}
	for (i = 0; i < SUBMITTERS; i++) {
		while (!READ_ONCE(users[i].done) && queue_ms_since(start) < 5000)
			msleep(20);
		KUNIT_EXPECT_EQ(test, users[i].done, 1);
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	}
	KUNIT_EXPECT_GE(test, queue_ms_since(start), omni_kit(test)->deadline_ms);
	KUNIT_EXPECT_LT(test, queue_ms_since(start), 4 * omni_kit(test)->deadline_ms);

	/* One message, one broken unit, no page freed. */
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	for (i = 0; i < SUBMITTERS; i++)
		KUNIT_EXPECT_TRUE(test, users[i].domain->tainted);

	/* Later operations fail at once, and free nothing either: synced, queued, replaced. */
	start = ktime_get();
	KUNIT_EXPECT_EQ(test, omni_test_unmap(users[0].domain, SZ_1G, SZ_2M), SZ_2M);
	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	users[1].domain->iommu.ops->unmap_pages(&users[1].domain->iommu, SZ_1G, SZ_4K, 512,
						&gather);
	users[1].domain->iommu.ops->flush_iotlb_all(&users[1].domain->iommu);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(users[2].domain, SZ_1G, SZ_4K), SZ_4K);
	KUNIT_EXPECT_LT(test, queue_ms_since(start), omni_kit(test)->deadline_ms / 2);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);

	/* Nor when the unit comes back to life, nor with the domains. */
	omni_model_hang(m, false);
	msleep(20);
	for (i = 0; i < SUBMITTERS; i++) {
		omni_test_attach(users[i].od, NULL);
		omni_model_domain_free(test, users[i].domain);
	}
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

static void a_failed_attach_leaves_the_device_as_it_was(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct queue_user user;
	u64 before[4] = { }, after[4] = { };
	struct omni_domain *other;

	queue_user_init(test, &user, m, 0, 0);
	other = omni_model_domain(m);
	m->ops->entry(m, RID, true, before);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	omni_model_error(m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, other), -EIO);
	omni_model_error(m, 0, 0);
	m->ops->entry(m, RID, true, after);
	KUNIT_EXPECT_MEMEQ(test, before, after, sizeof(before));
	KUNIT_EXPECT_PTR_EQ(test, user.od->domain, user.domain);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	/* And it can go on from there. */
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

struct queue_busy {
	struct omni_model *m;
	u64 before[4];
	bool changed;
};

/* The device is at work at every step; the errors end when the entry is back. */
static void queue_busy(void *arg)
{
	struct queue_busy *busy = arg;
	u64 now[4] = { };

	omni_access(busy->m, RID, IOVA, true, NULL);
	busy->m->ops->entry(busy->m, RID, true, now);
	if (memcmp(now, busy->before, sizeof(now)))
		busy->changed = true;
	else if (busy->changed)
		omni_model_error(busy->m, 0, 0);
}

/* The new entry was in the unit's hands for a while: nothing of it may stay. */
static void a_failed_attach_leaves_nothing_cached(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct queue_busy busy;
	struct queue_user user;
	struct omni_domain *other;
	u64 pa = 0;

	queue_user_init(test, &user, m, 0, 0);
	other = omni_model_domain(m);
	KUNIT_ASSERT_EQ(test, omni_test_map(other, IOVA, PA + SZ_1G, SZ_4K, 512, BOTH), 0);
	busy = (struct queue_busy) { .m = m };
	m->ops->entry(m, RID, true, busy.before);
	/* The cache of entries is invalidated, what follows fails. */
	omni_model_error(m, 1, 1000);
	omni_sample_with(queue_busy, &busy);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, other), -EIO);
	omni_sample_with(NULL, NULL);
	/* Nothing that still waits in the ring helps. */
	KUNIT_EXPECT_TRUE(test, busy.changed);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, PA);
	omni_model_error(m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

struct queue_stall {
	struct omni_model *m;
	u64 doorbells;		/* before the submission */
	unsigned int ms;
	unsigned int at;
	unsigned int looks;
};

/* Stands still for more than a deadline, once, while the unit goes on working. */
static void queue_stall(void *arg)
{
	struct queue_stall *stall = arg;
	struct omni_model *m = stall->m;
	ktime_t start = ktime_get();

	/* Not the first look at the unit, but one with the clock running. */
	if (m->doorbells == stall->doorbells || ++stall->looks != stall->at)
		return;
	while (ktime_ms_delta(ktime_get(), start) < stall->ms)
		cpu_relax();
	omni_model_hang(m, false);
	while (!m->ops->empty(m))
		cpu_relax();
	mdelay(20);
}

/* A processor that was taken away, by a hypervisor for one, is no deadline missed. */
static void a_stalled_processor_breaks_no_unit(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_command cmd = queue_all_of(2);
	struct queue_stall stall = {
		.m = m,
		.doorbells = m->doorbells,
		.ms = omni_kit(test)->deadline_ms + 200,
		.at = omni_kit(test)->stall_look,
	};

	omni_model_hang(m, true);
	omni_sample_with(queue_stall, &stall);
	KUNIT_EXPECT_EQ(test, omni_model_submit_wait(m, &cmd, 1), 0);
	omni_sample_with(NULL, NULL);
	omni_model_hang(m, false);
	KUNIT_EXPECT_GE(test, stall.looks, stall.at);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
}

static void a_full_ring_meets_its_deadline(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	unsigned int max = omni_kit(test)->submit_max;
	struct omni_command cmds[SUBMIT_MAX];
	struct omni_ticket ticket;
	unsigned int i;
	ktime_t start = ktime_get();

	for (i = 0; i < max; i++)
		cmds[i] = queue_all_of(2);
	omni_model_hang(m, true);
	/* Each with a wait of its own behind it. */
	for (i = 0; i < (omni_kit(test)->queue_size - 1) / (max + 1); i++)
		omni_model_submit(m, cmds, max, &ticket);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
	omni_model_submit(m, cmds, max, &ticket);
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &ticket), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
	omni_model_submit(m, cmds, 1, &ticket);
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &ticket), -EIO);
	KUNIT_EXPECT_LT(test, queue_ms_since(start), 3 * omni_kit(test)->deadline_ms);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	omni_model_hang(m, false);
}

/* Slow is not dead: a unit may take its time, up to the deadline. */
static void a_slow_unit_is_waited_for(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct queue_user user;
	unsigned int i;

	queue_user_init(test, &user, m, 0, 4);
	omni_model_delay(m, 2000);
	for (i = 0; i < 4; i++)
		queue_round(&user);
	omni_model_delay(m, 0);
	queue_expect_good(test, &user);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE_PARAM(wraps_for_many_laps, queue_gen_params),
	KUNIT_CASE_PARAM(wraps_at_every_place, queue_gen_params),
	KUNIT_CASE_PARAM(a_full_ring_waits_for_room, queue_gen_params),
	KUNIT_CASE_PARAM(several_submitters, either_gen_params),
	KUNIT_CASE_PARAM(errors_are_recovered_and_lost_commands_come_again, queue_gen_params),
	KUNIT_CASE_PARAM(an_error_somebody_else_cleared_is_not_missed, queue_gen_params),
	KUNIT_CASE_PARAM(each_error_once, queue_gen_params),
	KUNIT_CASE_PARAM(a_slow_unit_is_waited_for, queue_gen_params),
	KUNIT_CASE_PARAM(a_failed_attach_leaves_the_device_as_it_was, queue_gen_params),
	KUNIT_CASE_PARAM(a_failed_attach_leaves_nothing_cached, queue_gen_params),
	KUNIT_CASE_PARAM(s2_errors_without_end_leak_the_tables, queue_gen_params),
	KUNIT_CASE_PARAM(s1_a_tag_is_not_used_again_after_a_failed_flush, queue_gen_params),
	OMNI_CASE_PARAM_SLOW(s2_a_missed_deadline_breaks_the_unit_and_frees_nothing,
			     queue_gen_params),
	OMNI_CASE_PARAM_SLOW(a_stalled_processor_breaks_no_unit, queue_gen_params),
	OMNI_CASE_PARAM_SLOW(a_full_ring_meets_its_deadline, queue_gen_params),
	{ }
};

static struct kunit_suite queue_suite = {
	.name = "omni_queue",
	.test_cases = queue_cases,
};

kunit_test_suites(&queue_suite);
