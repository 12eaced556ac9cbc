// SPDX-License-Identifier: GPL-2.0-only
/*
 * Entries of devices through every transition: what a unit that reads at any
 * moment can see (S3), and what a device meets before it has a domain (S4).
 * What is invalidated afterwards, and in which order, each vendor has in a
 * suite of its own.
 */
#include "entries.h"

static const struct omni_variant entry_variants[] = {
	{ "plain" },
	{ "absent", OMNI_CACHES_ABSENT },
	{ "write_buffer", OMNI_WRITE_BUFFER },
	{ "incoherent", OMNI_NO_SNOOP_WALKS },
	{ "no_pass_through", OMNI_NO_PASS_THROUGH },
	{ "ats", .ats = 4 },
	{ "ats_absent", OMNI_CACHES_ABSENT, .ats = 4 },
	{ "ats_absent_incoherent", OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS, .ats = 4 },
	{ "registers", OMNI_NO_QUEUE },
};

OMNI_KIT_PARAM(entry, entry_variants)
OMNI_KIT_PARAM(entry_ordinary, omni_ordinary)

#define RECORDED	8
#define WORDS		4

/**
 * struct recorder - every value of one entry that anybody has seen
 * @lock: protects @seen and @nr
 * @m: whose entry
 * @coherent: seen through the CPU's caches; else as it is in memory
 * @words: that it has
 * @seen: the values
 * @nr: how many differ
 * @looks: how often it was looked at
 */
struct recorder {
	raw_spinlock_t lock;	/* see @lock above */
	struct omni_model *m;
	bool coherent;
	unsigned int words;
	u64 seen[RECORDED][WORDS];
	unsigned int nr;
	unsigned long looks;
};

static void recorder_add(struct recorder *r, bool coherent)
{
	u64 value[WORDS] = { };
	unsigned int i;

	r->words = r->m->ops->entry(r->m, RID, coherent, value);
	for (i = 0; i < r->nr && i < RECORDED; i++)
		if (!memcmp(r->seen[i], value, sizeof(value)))
			return;
	if (i < RECORDED)
		memcpy(r->seen[i], value, sizeof(value));
	r->nr++;
}

/* Called at each step of the driver, and by a thread all the time. */
static void recorder_look(void *arg)
{
	struct recorder *r = arg;
	unsigned long flags;

	raw_spin_lock_irqsave(&r->lock, flags);
	recorder_add(r, r->coherent);
	if (!r->coherent)
		recorder_add(r, true);
	r->looks++;
	raw_spin_unlock_irqrestore(&r->lock, flags);
}

static int recorder_thread(void *arg)
{
	while (!kthread_should_stop()) {
		recorder_look(arg);
		cond_resched();
	}
	return 0;
}

static void recorder_begin(struct recorder *r)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&r->lock, flags);
	r->nr = 0;
	raw_spin_unlock_irqrestore(&r->lock, flags);
	recorder_look(r);
}

/* What was recorded so far; the recorder's thread goes on. */
static void recorder_take(struct recorder *r, struct recorder *taken)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&r->lock, flags);
	taken->m = r->m;
	taken->words = r->words;
	taken->nr = r->nr;
	memcpy(taken->seen, r->seen, sizeof(r->seen));
	raw_spin_unlock_irqrestore(&r->lock, flags);
}

/*
 * S3: is a value that was seen between two others in order? The hardware may
 * read an entry in parts: each is the old one's or the new one's, and only on
 * the way from or to a blocked state the entry may block.
 */
static void s3_judge(struct kunit *test, struct recorder *r, unsigned int i, const u64 *old,
		     const u64 *new, bool may_block, const char *what)
{
	unsigned int parts = omni_kit(test)->entry_parts, size = r->words / parts, p;
	const u64 *seen = r->seen[i];
	const char *why;
	int fault = r->m->ops->entry_fault(r->m, seen, &why);

	if (fault < 0)
		KUNIT_FAIL(test, "%s: %*ph: %s", what, 32, seen, why);
	if (fault == 1 && !may_block)
		KUNIT_FAIL(test, "%s: %*ph blocks the device in between", what, 32, seen);
	if (fault)
		return;
	for (p = 0; p < parts; p++)
		if (memcmp(seen + p * size, old + p * size, size * 8) &&
		    memcmp(seen + p * size, new + p * size, size * 8))
			KUNIT_FAIL(test, "%s: %*ph in between", what, 32, seen);
}

static void s3_every_value_is_the_old_or_the_new(struct kunit *test)
{
	struct recorder *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct recorder *taken = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct task_struct *task;
	unsigned int from, to, i, steps = 0;
	struct entries e;
	char what[64];

	KUNIT_ASSERT_NOT_NULL(test, r);
	KUNIT_ASSERT_NOT_NULL(test, taken);
	entries_setup(test, &e);
	raw_spin_lock_init(&r->lock);
	r->m = e.m;
	r->coherent = !(omni_variant(test)->traits & OMNI_NO_SNOOP_WALKS);
	omni_sample_with(recorder_look, r);
	task = kthread_run(recorder_thread, r, "omni-recorder");

	for (from = BLOCKED; from < STATES; from++) {
		for (to = BLOCKED; to < STATES; to++) {
			bool may_block = from == BLOCKED || to == BLOCKED;
			u64 old[WORDS] = { }, new[WORDS] = { };

			if (!entries_has(&e, from) || !entries_has(&e, to) ||
			    entries_same(from, to))
				continue;
			snprintf(what, sizeof(what), "%s to %s", entry_states[from],
				 entry_states[to]);
			/* By way of blocked, so that the same domain comes anew. */
			KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
			KUNIT_EXPECT_EQ(test, entries_go(&e, from), 0);
			entries_expect(test, &e, from);
			e.m->ops->entry(e.m, RID, r->coherent, old);
			recorder_begin(r);
			KUNIT_EXPECT_EQ(test, entries_go(&e, to), 0);
			e.m->ops->entry(e.m, RID, r->coherent, new);
			entries_expect(test, &e, to);
			recorder_look(r);
			steps++;
			/* A step a part. */
			recorder_take(r, taken);
			KUNIT_EXPECT_LE(test, taken->nr, 1 + omni_kit(test)->entry_parts);
			for (i = 0; i < taken->nr && i < RECORDED; i++)
				s3_judge(test, taken, i, old, new, may_block, what);
		}
	}
	omni_sample_with(NULL, NULL);
	if (!IS_ERR(task))
		kthread_stop(task);
	KUNIT_EXPECT_GT(test, r->looks, 2 * steps);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* Aliases: more than one batch of commands holds. */
static void entries_aliases(struct kunit *test, struct entries *e)
{
	unsigned int i;

	e->od->nr_rids = 11;
	e->od->ats_depth = 0;
	for (i = 0; i < e->od->nr_rids; i++) {
		e->od->rids[i] = RID + i * 0x100;
		KUNIT_ASSERT_EQ(test, e->m->ops->reserve(e->m, e->od->rids[i]), 0);
	}
}

static void every_alias_follows(struct kunit *test)
{
	struct entries e;
	unsigned int i;
	u64 before, pa;

	entries_setup(test, &e);
	entries_aliases(test, &e);
	for (i = 0; i < e.od->nr_rids; i++)
		KUNIT_EXPECT_NE(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.a), 0);
	for (i = 0; i < e.od->nr_rids; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA_A);
	}
	before = omni_model_done(e.m, OMNI_CMD_ENTRY);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.b), 0);
	KUNIT_EXPECT_EQ(test, omni_model_done(e.m, OMNI_CMD_ENTRY), before + 11);
	for (i = 0; i < e.od->nr_rids; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA_B);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
	for (i = 0; i < e.od->nr_rids; i++)
		KUNIT_EXPECT_NE(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
}

/* Whichever of the commands that follow fails: all entries go back. */
static void a_failed_attach_puts_every_alias_back(struct kunit *test)
{
	const struct omni_command drain = { .kind = OMNI_CMD_DOMAIN, .tag = 200 };
	unsigned int i, after, failed = 0;
	struct entries e;
	int ret = -EIO;
	u64 pa;

	entries_setup(test, &e);
	entries_aliases(test, &e);
	KUNIT_ASSERT_EQ(test, omni_test_attach(e.od, e.a), 0);
	for (after = 0; ret && after < 50; after++) {
		omni_model_error(e.m, after, 1000);
		ret = omni_test_attach(e.od, e.b);
		omni_model_error(e.m, 0, 0);
		if (ret) {
			KUNIT_EXPECT_EQ(test, ret, -EIO);
			failed++;
		}
		/* What was given up goes through before anything is counted again. */
		KUNIT_EXPECT_EQ(test, omni_model_submit_wait(e.m, &drain, 1), 0);
		for (i = 0; i < e.od->nr_rids; i++) {
			pa = 0;
			KUNIT_EXPECT_EQ(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
			KUNIT_EXPECT_EQ_MSG(test, pa, ret ? PA_A : PA_B, "alias %u", i);
		}
		/* A unit may flush more than usual after a failure, until that is done. */
		if (ret) {
			KUNIT_ASSERT_EQ(test, omni_test_attach(e.od, NULL), 0);
			KUNIT_ASSERT_EQ(test, omni_test_attach(e.od, e.a), 0);
		}
	}
	/* Eleven entries, their domain, and what separates both. */
	KUNIT_EXPECT_GE(test, failed, 12);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
}

/* Some entries have been made the same already, by a device that shares them. */
static void aliases_that_are_there_already_leave_no_gap(struct kunit *test)
{
	struct omni_device *other;
	struct entries e;
	unsigned int i;
	u64 pa;

	entries_setup(test, &e);
	entries_aliases(test, &e);
	other = omni_model_device(e.m, RID + 1, 0);
	other->nr_rids = 3;
	other->rids[1] = e.od->rids[2];
	other->rids[2] = e.od->rids[5];
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.a), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, e.b), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.b), 0);
	for (i = 0; i < e.od->nr_rids; i++) {
		pa = 0;
		KUNIT_EXPECT_EQ(test, omni_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ_MSG(test, pa, PA_B, "alias %u", i);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
}

static bool entries_set(struct omni_model *m, u16 rid)
{
	u64 words[WORDS] = { };
	const char *why;

	m->ops->entry(m, rid, true, words);
	return m->ops->entry_fault(m, words, &why) != 1;
}

/* A detach can't fail: every entry blocks, also those behind a failed flush. */
static void a_failed_detach_blocks_every_alias(struct kunit *test)
{
	struct entries e;
	unsigned int i;

	entries_setup(test, &e);
	entries_aliases(test, &e);
	KUNIT_ASSERT_EQ(test, omni_test_attach(e.od, e.a), 0);
	omni_model_error(e.m, 0, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
	omni_model_error(e.m, 0, 0);
	for (i = 0; i < e.od->nr_rids; i++)
		KUNIT_EXPECT_FALSE_MSG(test, entries_set(e.m, e.od->rids[i]), "alias %u", i);
}

/* A shared requester ID keeps its entry when one of its devices goes. */
static void a_shared_alias_stays(struct kunit *test)
{
	struct omni_device *other;
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	other = omni_model_device(e.m, RID + 1, 0);
	other->nr_rids = 2;
	other->rids[1] = RID;
	e.od->ats_depth = 0;
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.a), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, e.a), 0);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID + 1, IOVA, true, &pa), 0);
	other->leaving = true;
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, NULL), 0);
	KUNIT_EXPECT_NE(test, omni_access(e.m, RID + 1, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
}

/* Hitless replacement */

struct hitless {
	struct omni_model *m;
	unsigned long accesses;
	unsigned long refused;
	unsigned long astray;
	unsigned long met[2];
};

static int hitless_dma(void *arg)
{
	struct hitless *h = arg;
	bool write = false;
	u64 pa;

	while (!kthread_should_stop()) {
		write = !write;
		h->accesses++;
		if (omni_access(h->m, RID, IOVA, write, &pa))
			h->refused++;
		else if (pa == PA_A)
			h->met[0]++;
		else if (pa == PA_B)
			h->met[1]++;
		else
			h->astray++;
		cond_resched();
	}
	return 0;
}

static void s3_replacing_a_domain_is_hitless(struct kunit *test)
{
	struct task_struct *task;
	struct hitless h = { };
	struct entries e;
	unsigned int i;

	entries_setup(test, &e);
	h.m = e.m;
	KUNIT_ASSERT_EQ(test, entries_go(&e, e.ats ? A_ATS : A), 0);
	task = kthread_run(hitless_dma, &h, "omni-dma");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	/* A host that is busy may let the device sleep for long: go on until it met both. */
	for (i = 0; (i < 400 || (i < 20000 && (!READ_ONCE(h.met[0]) || !READ_ONCE(h.met[1])))) &&
	     test->status == KUNIT_SUCCESS; i++) {
		bool b = !(i & 1);
		u64 pa = 0;

		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, b ? e.b : e.a), 0);
		/* The old domain is out of sight when the attach is over. */
		if (omni_access(e.m, RID, IOVA, true, &pa) || pa != (b ? PA_B : PA_A))
			KUNIT_FAIL(test, "after attach %u: %llx", i, pa);
		/* With A and with B in turn, on one processor too. */
		if (!(i % 15))
			usleep_range(50, 100);
	}
	kthread_stop(task);
	KUNIT_EXPECT_EQ(test, h.refused, 0);
	KUNIT_EXPECT_EQ(test, h.astray, 0);
	KUNIT_EXPECT_GT(test, h.met[0], 0);
	KUNIT_EXPECT_GT(test, h.met[1], 0);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* S4 */

static void s4_no_domain_means_blocked(struct kunit *test)
{
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	/* A bus nobody knows, then an empty entry. */
	KUNIT_EXPECT_NE(test, omni_access(e.m, 0x5512, IOVA, true, &pa), 0);
	KUNIT_EXPECT_NE(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_NE(test, omni_access(e.m, RID + 1, IOVA, false, &pa), 0);
	KUNIT_EXPECT_FALSE(test, entries_set(e.m, RID));
	/* A device that goes leaves nothing open. */
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	entries_expect(test, &e, A);
	e.od->leaving = true;
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	KUNIT_EXPECT_NE(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_FALSE(test, entries_set(e.m, RID));
}

/* A unit that was off and on again serves its domains as before. */
static void entries_survive_off_and_on(struct kunit *test)
{
	struct entries e;
	unsigned int i;

	entries_setup(test, &e);
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	for (i = 0; i < 20; i++) {
		entries_expect(test, &e, A);
		e.m->unit->wing->unit_off(e.m->unit);
		KUNIT_EXPECT_EQ(test, e.m->unit->wing->unit_on(e.m->unit), 0);
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	entries_expect(test, &e, BLOCKED);
}

static struct kunit_case entries_cases[] = {
	KUNIT_CASE_PARAM(s3_every_value_is_the_old_or_the_new, entry_gen_params),
	KUNIT_CASE_PARAM(s3_replacing_a_domain_is_hitless, entry_gen_params),
	KUNIT_CASE_PARAM(s4_no_domain_means_blocked, entry_gen_params),
	KUNIT_CASE_PARAM(every_alias_follows, entry_gen_params),
	KUNIT_CASE_PARAM(aliases_that_are_there_already_leave_no_gap, entry_gen_params),
	KUNIT_CASE_PARAM(a_failed_attach_puts_every_alias_back, entry_ordinary_gen_params),
	KUNIT_CASE_PARAM(a_failed_detach_blocks_every_alias, entry_ordinary_gen_params),
	KUNIT_CASE_PARAM(a_shared_alias_stays, entry_gen_params),
	KUNIT_CASE_PARAM(entries_survive_off_and_on, entry_gen_params),
	{ }
};

static struct kunit_suite entries_suite = {
	.name = "omni_entries",
	.test_cases = entries_cases,
};

kunit_test_suites(&entries_suite);
