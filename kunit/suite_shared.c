// SPDX-License-Identifier: GPL-2.0-only
/*
 * The line at a queue's lock (include/queue.h): who comes while another submits
 * has his commands put by that one, and ends in the same wait, and each is told
 * the truth about his own commands all the same (S1). Nobody can be made to come
 * at the right moment, but his ticket can be laid into the line beforehand.
 */
#include "queue_user.h"

#include <linux/kthread.h>

#define SHARED_LINE	3
#define SHARED_PAGES	16
#define SHARED_PATIENCE	5000	/* ms */

static const struct omni_variant shared_any[] = {
	{ },
	{ "signals", OMNI_SIGNALS },
};

OMNI_KIT_PARAM(shared, shared_any)

static const struct omni_variant shared_registers[] = {
	{ "registers", OMNI_NO_QUEUE },
};

OMNI_KIT_PARAM(direct, shared_registers)

/**
 * struct shared_one - somebody in the line
 * @ticket: his ticket
 * @lowered: his commands
 */
struct shared_one {
	struct omni_ticket ticket;
	struct omni_lowered lowered;
};

static struct shared_one *shared_some(struct kunit *test, unsigned int nr)
{
	struct shared_one *line = kunit_kcalloc(test, nr, sizeof(*line), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, line);
	return line;
}

static void shared_stand(struct omni_model *m, struct shared_one *one,
			 const struct omni_command *cmds, unsigned int nr)
{
	m->ops->lower(m, cmds, nr, &one->lowered);
	one->ticket = (struct omni_ticket) { .cmds = &one->lowered, .nr = nr };
	llist_add(&one->ticket.node, &m->unit->queue.line);
}

/* More than the ring holds, each with as many commands as he may have, and the caller behind. */
static struct shared_one *shared_many(struct kunit *test, struct omni_model *m, unsigned int *nr,
				      struct omni_ticket *own)
{
	unsigned int i, max = omni_kit(test)->submit_max;
	struct omni_command cmds[SUBMIT_MAX];
	struct shared_one *line;

	*nr = 2 * omni_kit(test)->queue_size / max;
	line = shared_some(test, *nr);
	for (i = 0; i < max; i++)
		cmds[i] = queue_all_of(2);
	for (i = 0; i < *nr; i++)
		shared_stand(m, &line[i], cmds, max);
	omni_model_submit(m, cmds, max, own);
	return line;
}

/* What is cached for the next submission to flush. */
static void shared_fill(struct kunit *test, struct omni_model *m)
{
	unsigned int i;

	for (i = 0; i < SHARED_PAGES; i++)
		KUNIT_ASSERT_EQ(test, omni_access(m, RID, IOVA + i * SZ_4K, true, NULL), 0);
}

/* One wait for all, and every one's commands are carried out when it is over. */
static void s1_who_stands_in_line_shares_a_wait(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_unit_counts *c = &m->unit->counts;
	struct shared_one *line = shared_some(test, SHARED_LINE);
	struct omni_command cmd, none = queue_all_of(9);
	struct queue_user user;
	struct omni_ticket own;
	unsigned int i, whose;
	u64 waits, shared, before;

	queue_user_init(test, &user, m, 0, 0);
	cmd = queue_all_of(queue_tag(&user));
	/* The unit carries out in any order what no wait stands behind. */
	omni_model_delay(m, 5);
	for (whose = 0; whose <= SHARED_LINE; whose++) {
		shared_fill(test, m);
		waits = c->wait;
		shared = c->shared_waits;
		before = omni_model_done(m, OMNI_CMD_DOMAIN);
		for (i = 0; i < SHARED_LINE; i++)
			shared_stand(m, &line[i], i == whose ? &cmd : &none, 1);
		omni_model_submit(m, i == whose ? &cmd : &none, 1, &own);
		KUNIT_EXPECT_EQ(test, c->wait - waits, 1);
		KUNIT_EXPECT_EQ(test, c->shared_waits - shared, SHARED_LINE);
		for (i = 0; i < SHARED_LINE; i++)
			KUNIT_EXPECT_TRUE(test, line[i].ticket.put);
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, i == whose ? &own : &line[whose].ticket),
				0);
		KUNIT_EXPECT_EQ(test, omni_model_cached(m, queue_tag(&user)), 0);
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), 0);
		for (i = 0; i < SHARED_LINE; i++)
			KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[i].ticket), 0);
		KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN) - before,
				SHARED_LINE + 1);
	}
	omni_model_delay(m, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
}

/* The unit is told before all of a long line is put. */
static void a_line_longer_than_the_ring(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	unsigned int i, nr, max = omni_kit(test)->submit_max;
	u64 before = omni_model_done(m, OMNI_CMD_DOMAIN), waits = m->unit->counts.wait;
	struct omni_ticket own;
	struct shared_one *line = shared_many(test, m, &nr, &own);

	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), 0);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[i].ticket), 0);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN) - before, (nr + 1) * max);
	KUNIT_EXPECT_GT(test, m->unit->counts.wait, waits + 1);
	KUNIT_EXPECT_LT(test, m->unit->counts.wait, waits + nr);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
}

/* The error of one, met by another who shares his wait, is told to all. */
static void errors_reach_who_stands_in_line(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_command mine = queue_all_of(2), other = queue_all_of(9);
	struct shared_one *line = shared_some(test, SHARED_LINE);
	struct omni_ticket own;
	unsigned int i, k;

	for (i = 0; i < 20; i++) {
		omni_model_error(m, i % (SHARED_LINE + 1), 1);
		for (k = 0; k < SHARED_LINE; k++)
			shared_stand(m, &line[k], &other, 1);
		omni_model_submit(m, &mine, 1, &own);
		for (k = 0; k < SHARED_LINE; k++)
			KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[k].ticket), -EAGAIN);
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), -EAGAIN);
		KUNIT_EXPECT_EQ(test, omni_model_submit_wait(m, &mine, 1), 0);
	}
}

/* S2: a deadline is missed once, for all of them. */
static void s2_a_deadline_is_one_for_all_in_line(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_command cmd = queue_all_of(2);
	struct shared_one *line = shared_some(test, SHARED_LINE);
	struct omni_ticket own;
	unsigned int i;

	omni_model_hang(m, true);
	for (i = 0; i < SHARED_LINE; i++)
		shared_stand(m, &line[i], &cmd, 1);
	omni_model_submit(m, &cmd, 1, &own);
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[0].ticket), -ETIMEDOUT);
	for (i = 1; i < SHARED_LINE; i++)
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[i].ticket), -EIO);
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), -EIO);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	omni_model_hang(m, false);
}

/*
 * S2: a queue that dies while a line is served, since the ring does not empty.
 * Those before have commands in a ring that nobody was told of, and no wait.
 */
static void s2_a_line_in_which_the_queue_dies(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct shared_one *line;
	struct omni_ticket own;
	int ret, missed = 0;
	unsigned int i, nr;

	omni_model_hang(m, true);
	line = shared_many(test, m, &nr, &own);
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), -EIO);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE(test, line[i].ticket.put);
		ret = omni_model_wait(m, &line[i].ticket);
		KUNIT_EXPECT_TRUE_MSG(test, ret == -EIO || ret == -ETIMEDOUT, "%u: %d", i, ret);
		missed += ret == -ETIMEDOUT;
	}
	KUNIT_EXPECT_EQ(test, missed, 1);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	omni_model_hang(m, false);
}

/* A unit without a queue serves its line by registers. */
static void a_line_for_registers(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct shared_one *line = shared_some(test, SHARED_LINE);
	struct omni_command cmd = queue_all_of(2);
	u64 before = omni_model_done(m, OMNI_CMD_DOMAIN);
	struct omni_ticket own;
	unsigned int i;

	for (i = 0; i < SHARED_LINE; i++)
		shared_stand(m, &line[i], &cmd, 1);
	omni_model_submit(m, &cmd, 1, &own);
	for (i = 0; i < SHARED_LINE; i++) {
		KUNIT_EXPECT_TRUE(test, line[i].ticket.put);
		KUNIT_EXPECT_EQ(test, omni_model_wait(m, &line[i].ticket), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_model_wait(m, &own), 0);
	KUNIT_EXPECT_EQ(test, omni_model_done(m, OMNI_CMD_DOMAIN) - before, SHARED_LINE + 1);
	KUNIT_EXPECT_EQ(test, m->unit->counts.shared_waits, 0);
}

/* Hold the lock until somebody stands in line, so that he has to serve himself. */
static void shared_hold(struct omni_model *m)
{
	struct omni_queue *q = &m->unit->queue;
	ktime_t end = ktime_add_ms(ktime_get(), 10);
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	while (llist_empty(&q->line) && ktime_before(ktime_get(), end))
		cpu_relax();
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

static void shared_hold_with_errors(struct omni_model *m)
{
	if (!READ_ONCE(m->errors_left))
		omni_model_error(m, READ_ONCE(m->fetched) % 7, 1);
	shared_hold(m);
}

/* Several at once, who find the lock taken again and again. */
static void s1_whoever_has_the_lock(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 4, 400, shared_hold);
	KUNIT_EXPECT_EQ(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_TRUE(test, llist_empty(&m->unit->queue.line));
}

static void s1_whoever_has_the_lock_and_errors(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 4, 600, shared_hold_with_errors);
	omni_model_error(m, 0, 0);
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
	KUNIT_EXPECT_TRUE(test, llist_empty(&m->unit->queue.line));
}

/**
 * struct shared_other - somebody who submits on another processor
 * @m: the unit
 * @over: he got through
 */
struct shared_other {
	struct omni_model *m;
	bool over;
};

static int shared_other(void *arg)
{
	struct shared_other *other = arg;
	struct omni_command cmd = queue_all_of(2);
	struct omni_ticket ticket;

	omni_model_submit(other->m, &cmd, 1, &ticket);
	WRITE_ONCE(other->over, true);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);
	return 0;
}

static bool shared_until(const struct omni_queue *q, const bool *over)
{
	ktime_t end = ktime_add_ms(ktime_get(), SHARED_PATIENCE);

	while (over ? !READ_ONCE(*over) : llist_empty(&q->line)) {
		if (ktime_after(ktime_get(), end))
			return false;
		cpu_relax();
	}
	return true;
}

/* Who has the lock and does not submit serves nobody: who stands in line helps himself. */
static void who_is_served_by_nobody_helps_himself(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct shared_other other = { .m = m };
	struct omni_queue *q = &m->unit->queue;
	struct task_struct *task;
	unsigned long flags;
	bool stood, got;

	task = omni_thread_elsewhere(test, shared_other, &other);
	wake_up_process(task);
	raw_spin_lock_irqsave(&q->lock, flags);
	stood = shared_until(q, NULL);
	got = other.over;
	raw_spin_unlock_irqrestore(&q->lock, flags);
	KUNIT_EXPECT_TRUE(test, stood || other.over);
	KUNIT_EXPECT_FALSE(test, stood && got);
	KUNIT_EXPECT_TRUE(test, shared_until(q, &other.over));
	migrate_enable();
	kthread_stop(task);
}

static struct kunit_case shared_cases[] = {
	KUNIT_CASE_PARAM(s1_who_stands_in_line_shares_a_wait, shared_gen_params),
	KUNIT_CASE_PARAM(a_line_longer_than_the_ring, shared_gen_params),
	KUNIT_CASE_PARAM(errors_reach_who_stands_in_line, shared_gen_params),
	KUNIT_CASE_PARAM(a_line_for_registers, direct_gen_params),
	KUNIT_CASE_PARAM(s1_whoever_has_the_lock, shared_gen_params),
	KUNIT_CASE_PARAM(s1_whoever_has_the_lock_and_errors, shared_gen_params),
	KUNIT_CASE_PARAM(who_is_served_by_nobody_helps_himself, shared_gen_params),
	OMNI_CASE_PARAM_SLOW(s2_a_deadline_is_one_for_all_in_line, shared_gen_params),
	OMNI_CASE_PARAM_SLOW(s2_a_line_in_which_the_queue_dies, shared_gen_params),
	{ }
};

static struct kunit_suite shared_suite = {
	.name = "omni_shared",
	.test_cases = shared_cases,
};

kunit_test_suites(&shared_suite);
