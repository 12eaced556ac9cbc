// SPDX-License-Identifier: GPL-2.0-only
/*
 * The invalidation queue (VT-d r3.1, 6.5.2) and the registers in its place:
 * laps, a full ring, many submitters, every error a unit can report, and a
 * unit that stops answering (S2).
 *
 * "Carried out" is never taken on trust: a cached translation is there before
 * a command and must be gone when its wait is over.
 */
#include "model_vtd.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/sizes.h>

#define RID		0x0020
#define PA		0x10000000000ULL
#define IOVA		0x200000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)
#define ECAP_REGISTERS	(VTD_MODEL_ECAP & ~(VTD_ECAP_QI | VTD_ECAP_DT))

#define SUBMITTERS	3

/**
 * struct queue_user - one device and domain, whose translations are flushed
 * @m: the unit
 * @od: the device
 * @domain: its domain, with a page at @IOVA
 * @rounds: flushes to do, 0 for until stopped
 * @done: flushes done
 * @stale: translations found after their flush
 * @failed: flushes that failed
 * @error: what the first failure was
 * @rnd: its choices
 */
struct queue_user {
	struct vtd_model *m;
	struct omni_device *od;
	struct omni_domain *domain;
	unsigned int rounds;
	unsigned int done;
	unsigned int stale;
	unsigned int failed;
	int error;
	struct rnd_state rnd;
};

static void queue_user_init(struct kunit *test, struct queue_user *user,
			    struct vtd_model *m, unsigned int id, u8 ats)
{
	*user = (struct queue_user) { .m = m };
	prandom_seed_state(&user->rnd, id + 1);
	user->od = vtd_model_device(test, m, RID + id, ats);
	user->domain = vtd_model_domain(test, m);
	KUNIT_ASSERT_EQ(test, omni_test_map(user->domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(user->od, user->domain), 0);
}

static u16 queue_did(const struct queue_user *user)
{
	return rcu_dereference_protected(user->domain->reach, 1)->units[0].tag;
}

/* Device TLB entries of a user. */
static unsigned int queue_device_tlb(struct queue_user *user)
{
	struct vtd_model *m = user->m;
	unsigned int i, nr = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	for (i = 0; i < m->device_tlb.high; i++)
		nr += m->device_tlb.item[i].used && m->device_tlb.item[i].rid == user->od->rid;
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

/* One translation comes into the caches and goes with a flush. */
static void queue_round(struct queue_user *user)
{
	struct vtd_unit *unit = user->m->unit;
	unsigned int page = omni_below(&user->rnd, 512), i, n = 0;
	unsigned int nr = 1 + omni_below(&user->rnd, OMNI_SUBMIT_MAX - 1);
	struct vtd_desc descs[OMNI_SUBMIT_MAX];
	u16 did = queue_did(user);
	int ret;

	if (vtd_model_access(user->m, user->od->rid, IOVA + page * SZ_4K, true, NULL)) {
		user->failed++;
		user->error = -EFAULT;
		return;
	}
	/* The one that matters is anywhere among others. */
	for (i = 0; i < nr; i++)
		descs[n++] = vtd_desc_iotlb(unit, VTD_G_PAGE, did, (u64)i << 40);
	descs[omni_below(&user->rnd, nr)] = vtd_desc_iotlb(unit, VTD_G_DOMAIN, did, 0);
	if (user->od->ats)
		descs[n++] = vtd_desc_device_tlb(user->od, 0, 64 - VTD_PAGE_LG2);
	ret = vtd_submit_wait(unit, descs, n);
	if (ret) {
		if (!user->failed++)
			user->error = ret;
	} else if (vtd_model_cached(user->m, did) || queue_device_tlb(user)) {
		user->stale++;
	}
	user->done++;
}

static int queue_thread(void *arg)
{
	struct queue_user *user = arg;

	while (!kthread_should_stop()) {
		if (!user->rounds || user->done < user->rounds)
			queue_round(user);
		else
			schedule_timeout_interruptible(1);
		cond_resched();
	}
	return 0;
}

static void queue_expect_good(struct kunit *test, const struct queue_user *user)
{
	KUNIT_EXPECT_EQ_MSG(test, user->failed, 0, "error %d", user->error);
	KUNIT_EXPECT_EQ(test, user->stale, 0);
	KUNIT_EXPECT_GT(test, user->done, 0);
}

static void wraps_for_many_laps(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_user user;
	unsigned int i;
	u64 before;

	queue_user_init(test, &user, m, 0, 0);
	before = m->fetched;
	for (i = 0; i < 2500; i++)
		queue_round(&user);
	queue_expect_good(test, &user);
	KUNIT_EXPECT_GT(test, m->fetched - before, 100 * VTD_QUEUE_SIZE);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/* Every size of submission at every place of the ring. */
static void wraps_at_every_place(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct vtd_desc descs[OMNI_SUBMIT_MAX];
	unsigned int i, nr;
	u64 before;

	for (i = 0; i < OMNI_SUBMIT_MAX; i++)
		descs[i] = vtd_desc_iotlb(m->unit, VTD_G_DOMAIN, 2, 0);
	for (nr = 1; nr <= OMNI_SUBMIT_MAX; nr++) {
		before = vtd_model_done(m, VTD_MODEL_DOMAIN);
		for (i = 0; i < VTD_QUEUE_SIZE / nr + 2; i++)
			KUNIT_ASSERT_EQ(test, vtd_submit_wait(m->unit, descs, nr), 0);
		KUNIT_EXPECT_EQ(test, vtd_model_done(m, VTD_MODEL_DOMAIN) - before, i * nr);
	}
}

/* More is submitted than fits; the unit is slow. Nothing is lost or overtaken. */
static void a_full_ring_waits_for_room(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct vtd_desc descs[OMNI_SUBMIT_MAX];
	struct omni_ticket tickets[12];
	unsigned int i;
	u64 before;

	for (i = 0; i < OMNI_SUBMIT_MAX; i++)
		descs[i] = vtd_desc_iotlb(m->unit, VTD_G_DOMAIN, 2, 0);
	before = vtd_model_done(m, VTD_MODEL_DOMAIN);
	vtd_model_delay(m, 5);
	for (i = 0; i < ARRAY_SIZE(tickets); i++)
		vtd_submit(m->unit, descs, OMNI_SUBMIT_MAX, &tickets[i]);
	vtd_model_delay(m, 0);
	for (i = 0; i < ARRAY_SIZE(tickets); i++)
		KUNIT_EXPECT_EQ(test, vtd_wait(m->unit, &tickets[i]), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_done(m, VTD_MODEL_DOMAIN) - before,
			ARRAY_SIZE(tickets) * OMNI_SUBMIT_MAX);
	KUNIT_EXPECT_FALSE(test, m->unit->core.broken);
}

/* Several threads flush, while something disturbs. */
static void queue_race(struct kunit *test, struct vtd_model *m, u8 ats, unsigned int ms,
		       void (*disturb)(struct vtd_model *m))
{
	struct queue_user *users;
	struct task_struct *tasks[SUBMITTERS];
	ktime_t end;
	unsigned int i;

	users = kunit_kcalloc(test, SUBMITTERS, sizeof(*users), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, users);
	for (i = 0; i < SUBMITTERS; i++)
		queue_user_init(test, &users[i], m, i, ats);
	for (i = 0; i < SUBMITTERS; i++) {
		tasks[i] = kthread_run(queue_thread, &users[i], "omni-queue%u", i);
		KUNIT_EXPECT_FALSE(test, IS_ERR(tasks[i]));
	}
	end = ktime_add_ms(ktime_get(), ms);
	while (ktime_before(ktime_get(), end)) {
		if (disturb)
			disturb(m);
		msleep(20);
	}
	for (i = 0; i < SUBMITTERS; i++)
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	for (i = 0; i < SUBMITTERS; i++) {
		queue_expect_good(test, &users[i]);
		KUNIT_EXPECT_EQ(test, omni_test_attach(users[i].od, NULL), 0);
	}
	KUNIT_EXPECT_FALSE(test, m->unit->core.broken);
}

static void several_submitters(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });

	queue_race(test, m, 0, 400, NULL);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.queue_errors, 0);
}

static void several_submitters_by_registers(struct kunit *test)
{
	const struct vtd_model_config config = { .ecap = ECAP_REGISTERS };

	queue_race(test, vtd_model_create(test, &config), 0, 200, NULL);
}

static void disturb_iqe(struct vtd_model *m)
{
	if (!READ_ONCE(m->iqe_left))
		vtd_model_iqe(m, READ_ONCE(m->fetched) % 7, 1);
}

static void iqe_is_recovered_and_lost_commands_come_again(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });

	queue_race(test, m, 0, 600, disturb_iqe);
	vtd_model_iqe(m, 0, 0);
	KUNIT_EXPECT_GT(test, m->unit->core.counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 0);
}

static void disturb_ite(struct vtd_model *m)
{
	vtd_model_ite(m, 1);
}

static void ite_is_recovered_and_lost_commands_come_again(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });

	queue_race(test, m, 4, 600, disturb_ite);
	vtd_model_ite(m, 0);
	KUNIT_EXPECT_GT(test, m->unit->core.counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 0);
}

static void disturb_ice(struct vtd_model *m)
{
	vtd_model_ice(m, RID);
}

static void ice_is_cleared(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });

	queue_race(test, m, 4, 300, disturb_ice);
	KUNIT_EXPECT_GT(test, m->unit->core.counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 0);
}

/* Whoever meets the error clears it: the others must learn of it all the same. */
static void an_error_somebody_else_cleared_is_not_missed(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct vtd_unit *unit = m->unit;
	struct vtd_desc mine[2], other;
	struct queue_user user;
	struct omni_ticket ticket;
	unsigned int i, errors;

	queue_user_init(test, &user, m, 0, 4);
	mine[0] = vtd_desc_iotlb(unit, VTD_G_DOMAIN, queue_did(&user), 0);
	mine[1] = vtd_desc_device_tlb(user.od, 0, 64 - VTD_PAGE_LG2);
	other = vtd_desc_iotlb(unit, VTD_G_DOMAIN, 9, 0);
	for (i = 0; i < 40; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
		errors = unit->queue.errors;
		if (i & 1)
			vtd_model_ite(m, 1);
		else
			vtd_model_iqe(m, i >> 1 & 1, 1);
		vtd_submit(unit, mine, 2, &ticket);
		KUNIT_EXPECT_EQ(test, vtd_submit_wait(unit, &other, 1), 0);
		KUNIT_EXPECT_EQ(test, vtd_wait(unit, &ticket), -EAGAIN);
		KUNIT_EXPECT_EQ(test, unit->queue.errors, errors + 1);
		KUNIT_EXPECT_EQ(test, vtd_submit_wait(unit, mine, 2), 0);
		KUNIT_EXPECT_EQ(test, vtd_model_cached(m, queue_did(&user)), 0);
		KUNIT_EXPECT_EQ(test, queue_device_tlb(&user), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/* One of each in turn, one submitter, so that exactly what was lost is known. */
static void each_error_once(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_user user;
	unsigned int i, errors;

	queue_user_init(test, &user, m, 0, 4);
	for (i = 0; i < 60; i++) {
		errors = m->unit->core.counts.queue_errors;
		switch (i % 3) {
		case 0:
			vtd_model_iqe(m, 0, 1 + i % 2);
			break;
		case 1:
			vtd_model_ite(m, 1 + i % 2);
			break;
		case 2:
			vtd_model_ice(m, RID);
			break;
		}
		queue_round(&user);
		/* A completion nobody asked for may be noticed later. */
		if (i % 3 != 2)
			KUNIT_EXPECT_GT(test, m->unit->core.counts.queue_errors, errors);
	}
	queue_expect_good(test, &user);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/* S2: errors without end are given up, and nothing is freed after that. */
static void s2_errors_without_end_leak_the_tables(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_user user;
	long tables;

	queue_user_init(test, &user, m, 0, 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	tables = omni_tables_live();
	vtd_model_iqe(m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_2M), SZ_2M);
	vtd_model_iqe(m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	KUNIT_EXPECT_TRUE(test, user.domain->tainted);
	/* The unit itself is well: others go on. */
	KUNIT_EXPECT_FALSE(test, m->unit->core.broken);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
	vtd_model_domain_free(test, user.domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
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
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
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
		KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID + i, IOVA, true, NULL), 0);
	}
	tables = omni_tables_live();
	vtd_model_hang(m, true);
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
	KUNIT_EXPECT_GE(test, queue_ms_since(start), OMNI_DEADLINE_MS);
	KUNIT_EXPECT_LT(test, queue_ms_since(start), 4 * OMNI_DEADLINE_MS);

	/* One message, one broken unit, no page freed. */
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 1);
	KUNIT_EXPECT_TRUE(test, m->unit->core.broken);
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
	KUNIT_EXPECT_LT(test, queue_ms_since(start), OMNI_DEADLINE_MS / 2);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 1);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);

	/* Nor when the unit comes back to life, nor with the domains. */
	vtd_model_hang(m, false);
	msleep(20);
	for (i = 0; i < SUBMITTERS; i++) {
		omni_test_attach(users[i].od, NULL);
		vtd_model_domain_free(test, users[i].domain);
	}
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

static void a_failed_attach_leaves_the_device_as_it_was(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_user user;
	struct omni_domain *other;
	u128 before;

	queue_user_init(test, &user, m, 0, 0);
	other = vtd_model_domain(test, m);
	before = m->unit->contexts[0][RID].whole;
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	vtd_model_iqe(m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, other), -EIO);
	vtd_model_iqe(m, 0, 0);
	KUNIT_EXPECT_TRUE(test, m->unit->contexts[0][RID].whole == before);
	KUNIT_EXPECT_PTR_EQ(test, user.od->domain, user.domain);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	/* And it can go on from there. */
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_NE(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

struct queue_busy {
	struct vtd_model *m;
	u128 *entry;
	u128 before;
	bool changed;
};

/* The device is at work at every step; the errors end when the entry is back. */
static void queue_busy(void *arg)
{
	struct queue_busy *busy = arg;

	vtd_model_access(busy->m, RID, IOVA, true, NULL);
	if (*busy->entry != busy->before)
		busy->changed = true;
	else if (busy->changed)
		vtd_model_iqe(busy->m, 0, 0);
}

/* The new entry was in the unit's hands for a while: nothing of it may stay. */
static void a_failed_attach_leaves_nothing_cached(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_busy busy;
	struct queue_user user;
	struct omni_domain *other;
	u64 pa = 0;

	queue_user_init(test, &user, m, 0, 0);
	other = vtd_model_domain(test, m);
	KUNIT_ASSERT_EQ(test, omni_test_map(other, IOVA, PA + SZ_1G, SZ_4K, 512, BOTH), 0);
	busy = (struct queue_busy) {
		.m = m,
		.entry = &m->unit->contexts[0][RID].whole,
		.before = m->unit->contexts[0][RID].whole,
	};
	/* The context cache is invalidated, what follows fails. */
	vtd_model_iqe(m, 1, 1000);
	omni_sample_with(queue_busy, &busy);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, other), -EIO);
	omni_sample_with(NULL, NULL);
	/* Nothing that still waits in the ring helps. */
	KUNIT_EXPECT_TRUE(test, busy.changed);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, PA);
	vtd_model_iqe(m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

struct queue_stall {
	struct vtd_model *m;
	unsigned int tail;	/* before the submission */
	unsigned int looks;
};

/* Stands still for more than a deadline, once, while the unit goes on working. */
static void queue_stall(void *arg)
{
	struct queue_stall *stall = arg;
	struct vtd_model *m = stall->m;
	ktime_t start = ktime_get();

	/* Not the first look at the unit, but one with the clock running. */
	if (m->iqt == stall->tail || ++stall->looks != 6)
		return;
	while (ktime_ms_delta(ktime_get(), start) < OMNI_DEADLINE_MS + 200)
		cpu_relax();
	vtd_model_hang(m, false);
	while (vtd_read64(m->unit, VTD_IQH) != vtd_read64(m->unit, VTD_IQT))
		cpu_relax();
	mdelay(20);
}

/* A processor that was taken away, by a hypervisor for one, is no deadline missed. */
static void a_stalled_processor_breaks_no_unit(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct vtd_desc desc = vtd_desc_iotlb(m->unit, VTD_G_DOMAIN, 2, 0);
	struct queue_stall stall = { .m = m, .tail = m->iqt };

	vtd_model_hang(m, true);
	omni_sample_with(queue_stall, &stall);
	KUNIT_EXPECT_EQ(test, vtd_submit_wait(m->unit, &desc, 1), 0);
	omni_sample_with(NULL, NULL);
	vtd_model_hang(m, false);
	KUNIT_EXPECT_GE(test, stall.looks, 6);
	KUNIT_EXPECT_FALSE(test, m->unit->core.broken);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 0);
}

static void a_full_ring_meets_its_deadline(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct vtd_desc descs[OMNI_SUBMIT_MAX];
	struct omni_ticket ticket;
	unsigned int i;
	ktime_t start = ktime_get();

	for (i = 0; i < OMNI_SUBMIT_MAX; i++)
		descs[i] = vtd_desc_iotlb(m->unit, VTD_G_DOMAIN, 2, 0);
	vtd_model_hang(m, true);
	for (i = 0; i < 7; i++) {
		vtd_submit(m->unit, descs, OMNI_SUBMIT_MAX, &ticket);
		KUNIT_EXPECT_FALSE(test, ticket.done);
	}
	vtd_submit(m->unit, descs, OMNI_SUBMIT_MAX, &ticket);
	KUNIT_EXPECT_EQ(test, vtd_wait(m->unit, &ticket), -ETIMEDOUT);
	KUNIT_EXPECT_TRUE(test, m->unit->core.broken);
	vtd_submit(m->unit, descs, 1, &ticket);
	KUNIT_EXPECT_EQ(test, vtd_wait(m->unit, &ticket), -EIO);
	KUNIT_EXPECT_LT(test, queue_ms_since(start), 3 * OMNI_DEADLINE_MS);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 1);
	vtd_model_hang(m, false);
}

/* Slow is not dead: a unit may take its time, up to the deadline. */
static void a_slow_unit_is_waited_for(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct queue_user user;
	unsigned int i;

	queue_user_init(test, &user, m, 0, 4);
	vtd_model_delay(m, 2000);
	for (i = 0; i < 4; i++)
		queue_round(&user);
	vtd_model_delay(m, 0);
	queue_expect_good(test, &user);
	KUNIT_EXPECT_FALSE(test, m->unit->core.broken);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

static void s2_registers_meet_their_deadline(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) {
		.ecap = ECAP_REGISTERS,
	});
	struct queue_user user;
	long tables;

	queue_user_init(test, &user, m, 0, 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	tables = omni_tables_live();
	vtd_model_hang(m, true);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	KUNIT_EXPECT_TRUE(test, m->unit->core.broken);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.timeouts, 1);
	vtd_model_hang(m, false);
	omni_test_attach(user.od, NULL);
	vtd_model_domain_free(test, user.domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE(wraps_for_many_laps),
	KUNIT_CASE(wraps_at_every_place),
	KUNIT_CASE(a_full_ring_waits_for_room),
	KUNIT_CASE(several_submitters),
	KUNIT_CASE(several_submitters_by_registers),
	KUNIT_CASE(iqe_is_recovered_and_lost_commands_come_again),
	KUNIT_CASE(ite_is_recovered_and_lost_commands_come_again),
	KUNIT_CASE(ice_is_cleared),
	KUNIT_CASE(an_error_somebody_else_cleared_is_not_missed),
	KUNIT_CASE(each_error_once),
	KUNIT_CASE(a_slow_unit_is_waited_for),
	KUNIT_CASE(a_failed_attach_leaves_the_device_as_it_was),
	KUNIT_CASE(a_failed_attach_leaves_nothing_cached),
	KUNIT_CASE(s2_errors_without_end_leak_the_tables),
	KUNIT_CASE_SLOW(s2_a_missed_deadline_breaks_the_unit_and_frees_nothing),
	KUNIT_CASE_SLOW(a_stalled_processor_breaks_no_unit),
	KUNIT_CASE_SLOW(a_full_ring_meets_its_deadline),
	KUNIT_CASE_SLOW(s2_registers_meet_their_deadline),
	{ }
};

static struct kunit_suite queue_suite = {
	.name = "omni_queue",
	.test_cases = queue_cases,
};

kunit_test_suites(&queue_suite);
