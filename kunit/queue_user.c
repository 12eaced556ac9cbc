// SPDX-License-Identifier: GPL-2.0-only
/* Users of a queue of commands. */
#include "queue_user.h"

#include <linux/delay.h>
#include <linux/kthread.h>

void queue_user_init(struct kunit *test, struct queue_user *user, struct omni_model *m,
		     unsigned int id, u8 ats)
{
	*user = (struct queue_user) { .m = m, .max = omni_kit(test)->submit_max };
	prandom_seed_state(&user->rnd, id + 1);
	user->od = omni_model_device(m, RID + id, ats);
	user->domain = omni_model_domain(m);
	KUNIT_ASSERT_EQ(test, omni_test_map(user->domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(user->od, user->domain), 0);
}

u16 queue_tag(const struct queue_user *user)
{
	return rcu_dereference_protected(user->domain->reach, 1)->units[0].tag;
}

struct omni_command queue_all_of(u16 tag)
{
	return (struct omni_command){ .kind = OMNI_CMD_DOMAIN, .tag = tag, .last = U64_MAX };
}

struct omni_command queue_device_tlb(const struct omni_device *od)
{
	return (struct omni_command){ .kind = OMNI_CMD_DEVICE_TLB, .od = od, .last = U64_MAX };
}

void queue_round(struct queue_user *user)
{
	unsigned int page = omni_below(&user->rnd, 512), i, n = 0;
	unsigned int nr = 1 + omni_below(&user->rnd, user->max - 1);
	struct omni_command cmds[SUBMIT_MAX];
	u16 tag = queue_tag(user);
	int ret;

	if (omni_access(user->m, user->od->rid, IOVA + page * SZ_4K, true, NULL)) {
		user->failed++;
		user->error = -EFAULT;
		return;
	}
	/* The one that matters is anywhere among others. */
	for (i = 0; i < nr; i++) {
		cmds[n++] = (struct omni_command){
			.kind = OMNI_CMD_PAGES,
			.tag = tag,
			.first = (u64)i << 28,
			.last = (u64)i << 28,
		};
	}
	cmds[omni_below(&user->rnd, nr)] = queue_all_of(tag);
	if (user->od->ats)
		cmds[n++] = queue_device_tlb(user->od);
	ret = omni_model_submit_wait(user->m, cmds, n);
	if (ret) {
		if (!user->failed++)
			user->error = ret;
	} else if (omni_model_cached(user->m, tag) ||
		   omni_model_device_cached(user->m, user->od->rid)) {
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

void queue_expect_good(struct kunit *test, const struct queue_user *user)
{
	KUNIT_EXPECT_EQ_MSG(test, user->failed, 0, "error %d", user->error);
	KUNIT_EXPECT_EQ(test, user->stale, 0);
	KUNIT_EXPECT_GT(test, user->done, 0);
}

void queue_each_error(struct kunit *test, bool (*disturb)(struct omni_model *m, unsigned int round))
{
	struct omni_model *m = omni_model_create(test);
	struct queue_user user;
	unsigned int i;
	u64 errors;
	bool noticed;

	queue_user_init(test, &user, m, 0, 4);
	for (i = 0; i < 60; i++) {
		errors = m->unit->counts.queue_errors;
		noticed = disturb(m, i);
		queue_round(&user);
		if (noticed)
			KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, errors);
	}
	queue_expect_good(test, &user);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

void queue_errors_are_told(struct kunit *test,
			   unsigned int (*disturb)(struct omni_model *m, unsigned int round))
{
	struct omni_model *m = omni_model_create(test);
	struct omni_command mine[2], other = queue_all_of(9);
	struct omni_ticket ticket;
	struct queue_user user;
	unsigned int i, nr;
	u64 errors;

	queue_user_init(test, &user, m, 0, 4);
	mine[0] = queue_all_of(queue_tag(&user));
	mine[1] = queue_device_tlb(user.od);
	for (i = 0; i < 40; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
		errors = m->unit->counts.queue_errors;
		nr = disturb(m, i);
		omni_model_submit(m, mine, nr, &ticket);
		KUNIT_EXPECT_EQ(test, omni_model_submit_wait(m, &other, 1), 0);
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &ticket), -EAGAIN);
		KUNIT_EXPECT_EQ(test, m->unit->counts.queue_errors, errors + 1);
		KUNIT_EXPECT_EQ(test, omni_model_submit_wait(m, mine, 2), 0);
		KUNIT_EXPECT_EQ(test, omni_model_cached(m, queue_tag(&user)), 0);
		KUNIT_EXPECT_EQ(test, omni_model_device_cached(m, RID), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

void queue_race(struct kunit *test, struct omni_model *m, u8 ats, unsigned int ms,
		void (*disturb)(struct omni_model *m))
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
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
}
