// SPDX-License-Identifier: GPL-2.0-only
/*
 * Context entries (VT-d r3.1, 9.3) through every transition: what a unit
 * that reads at any moment can see (S3), what is invalidated afterwards and
 * in which order, and what a device meets before it has a domain (S4).
 */
#include "model_vtd.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#define RID		0x0310
#define PA_A		0x10000000000ULL
#define PA_B		0x20000000000ULL
#define IOVA		0x7000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

struct entry_config {
	const char *name;
	u64 cap;
	u64 ecap;
	u8 ats;
};

static const struct entry_config entry_configs[] = {
	{ "plain", VTD_MODEL_CAP, VTD_MODEL_ECAP },
	{ "cm", VTD_MODEL_CAP | VTD_CAP_CM, VTD_MODEL_ECAP },
	{ "rwbf", VTD_MODEL_CAP | VTD_CAP_RWBF, VTD_MODEL_ECAP },
	{ "incoherent", VTD_MODEL_CAP, VTD_MODEL_ECAP & ~VTD_ECAP_C },
	{ "no_pass_through", VTD_MODEL_CAP, VTD_MODEL_ECAP & ~VTD_ECAP_PT },
	{ "ats", VTD_MODEL_CAP, VTD_MODEL_ECAP, .ats = 4 },
	{ "ats_cm", VTD_MODEL_CAP | VTD_CAP_CM, VTD_MODEL_ECAP & ~VTD_ECAP_C, .ats = 4 },
	{ "registers", VTD_MODEL_CAP, VTD_MODEL_ECAP & ~(VTD_ECAP_QI | VTD_ECAP_DT) },
};

static void entry_describe(const struct entry_config *config, char *text)
{
	strscpy(text, config->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(entry, entry_configs, entry_describe);

/* States of a device, as far as its entry differs. */
enum entry_state {
	BLOCKED,
	IDENTITY,
	A,
	B,
	A_ATS,
	B_ATS,
	STATES
};

static const char * const entry_states[] = { "blocked", "identity", "A", "B", "A with ATS",
					     "B with ATS" };

#define RECORDED	8

/**
 * struct recorder - every value of one entry that anybody has seen
 * @lock: protects @seen and @nr
 * @entry: where it is
 * @coherent: seen through the CPU's caches; else as it is in memory
 * @seen: the values
 * @nr: how many differ
 * @looks: how often it was looked at
 */
struct recorder {
	raw_spinlock_t lock;	/* see @lock above */
	phys_addr_t entry;
	bool coherent;
	u128 seen[RECORDED];
	unsigned int nr;
	unsigned long looks;
};

static void recorder_add(struct recorder *r, u128 value)
{
	unsigned int i;

	for (i = 0; i < r->nr && i < RECORDED; i++)
		if (r->seen[i] == value)
			return;
	if (i < RECORDED)
		r->seen[i] = value;
	r->nr++;
}

/* Called at each step of the driver, and by a thread all the time. */
static void recorder_look(void *arg)
{
	struct recorder *r = arg;
	unsigned long flags;

	raw_spin_lock_irqsave(&r->lock, flags);
	recorder_add(r, omni_memory_read128(r->entry, r->coherent));
	if (!r->coherent)
		recorder_add(r, omni_memory_read128(r->entry, true));
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

/**
 * struct entries - a device that goes through all states
 * @m: the unit
 * @od: the device
 * @a: one domain
 * @b: another, whose @IOVA is another page
 * @ats: the device has a device TLB
 */
struct entries {
	struct vtd_model *m;
	struct omni_device *od;
	struct omni_domain *a;
	struct omni_domain *b;
	u8 ats;
};

static void entries_setup(struct kunit *test, struct entries *e)
{
	const struct entry_config *config = test->param_value ?: &entry_configs[0];

	e->m = vtd_model_create(test, &(struct vtd_model_config) {
		.name = config->name,
		.cap = config->cap,
		.ecap = config->ecap,
	});
	e->od = vtd_model_device(test, e->m, RID, config->ats);
	e->ats = config->ats;
	e->a = vtd_model_domain(test, e->m);
	e->b = vtd_model_domain(test, e->m);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->a, IOVA, PA_A, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->b, IOVA, PA_B, SZ_4K, 1, BOTH), 0);
}

static bool entries_has(const struct entries *e, enum entry_state state)
{
	return state < A_ATS || e->ats;
}

static int entries_go(struct entries *e, enum entry_state state)
{
	struct omni_domain *domain = state == BLOCKED ? NULL :
				     state == IDENTITY ? &omni_identity :
				     state == A || state == A_ATS ? e->a : e->b;

	e->od->ats_depth = state >= A_ATS ? e->ats : 0;
	return omni_test_attach(e->od, domain);
}

/* What an access meets in a state. */
static void entries_expect(struct kunit *test, struct entries *e, enum entry_state state)
{
	u64 pa = 0;
	int reason = vtd_model_access(e->m, RID, IOVA, true, &pa);

	KUNIT_EXPECT_EQ_MSG(test, !!reason, state == BLOCKED, "%s: reason %d",
			    entry_states[state], reason);
	if (!reason)
		KUNIT_EXPECT_EQ_MSG(test, pa, state == IDENTITY ? IOVA :
				    state == A || state == A_ATS ? PA_A : PA_B, "%s",
				    entry_states[state]);
	KUNIT_EXPECT_EQ(test, test_bit(RID, e->m->ats_on), state >= A_ATS);
}

static phys_addr_t entries_where(struct entries *e)
{
	return virt_to_phys(&e->m->unit->contexts[RID >> 8][RID & 0xff]);
}

/* The same domain with and without a device TLB is one state for the core. */
static bool entries_same(enum entry_state from, enum entry_state to)
{
	return from == to || (from == A && to == A_ATS) || (from == A_ATS && to == A) ||
	       (from == B && to == B_ATS) || (from == B_ATS && to == B);
}

static void s3_every_value_is_the_old_or_the_new(struct kunit *test)
{
	struct recorder *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);
	struct task_struct *task;
	unsigned int from, to, i, steps = 0;
	struct entries e;

	KUNIT_ASSERT_NOT_NULL(test, r);
	entries_setup(test, &e);
	raw_spin_lock_init(&r->lock);
	r->entry = entries_where(&e);
	r->coherent = e.m->config.ecap & VTD_ECAP_C;
	omni_sample_with(recorder_look, r);
	task = kthread_run(recorder_thread, r, "omni-recorder");

	for (from = BLOCKED; from < STATES; from++) {
		for (to = BLOCKED; to < STATES; to++) {
			u128 old, new;

			if (!entries_has(&e, from) || !entries_has(&e, to) ||
			    entries_same(from, to))
				continue;
			/* By way of blocked, so that the same domain comes anew. */
			KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
			KUNIT_EXPECT_EQ(test, entries_go(&e, from), 0);
			entries_expect(test, &e, from);
			old = omni_memory_read128(r->entry, r->coherent);
			recorder_begin(r);
			KUNIT_EXPECT_EQ(test, entries_go(&e, to), 0);
			new = omni_memory_read128(r->entry, r->coherent);
			entries_expect(test, &e, to);
			recorder_look(r);
			steps++;
			KUNIT_EXPECT_LE(test, r->nr, 2);
			for (i = 0; i < r->nr && i < RECORDED; i++) {
				const char *why;
				int fault = vtd_model_context_fault(e.m, r->seen[i],
								    r->seen[i] >> 64, &why);

				if (r->seen[i] != old && r->seen[i] != new)
					KUNIT_FAIL(test, "%s to %s: %016llx %016llx in between",
						   entry_states[from], entry_states[to],
						   (u64)(r->seen[i] >> 64), (u64)r->seen[i]);
				/* 2: not present. */
				if (fault && fault != 2)
					KUNIT_FAIL(test, "%s to %s: %016llx %016llx: %s",
						   entry_states[from], entry_states[to],
						   (u64)(r->seen[i] >> 64), (u64)r->seen[i], why);
			}
		}
	}
	omni_sample_with(NULL, NULL);
	if (!IS_ERR(task))
		kthread_stop(task);
	KUNIT_EXPECT_GT(test, r->looks, 2 * steps);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* Invalidations */

static u16 entries_did(struct entries *e)
{
	return FIELD_GET(VTD_CTX_HI_DID,
			 (u64)(omni_memory_read128(entries_where(e), true) >> 64));
}

static void entries_command(struct kunit *test, struct entries *e, unsigned int *n,
			    const char *what, u64 mask, u64 lo)
{
	struct vtd_desc desc = { };

	if (!vtd_model_traced(e->m, (*n)++, &desc)) {
		KUNIT_FAIL(test, "%s: no command %u", what, *n);
		return;
	}
	if ((le64_to_cpu(desc.lo) & mask) != lo)
		KUNIT_FAIL(test, "%s: command %u is %016llx, not %016llx", what, *n,
			   le64_to_cpu(desc.lo), lo);
}

/*
 * 6.5.3.3: the context cache, then the IOTLB, then the device TLB, all under
 * the id that the old entry had. From not present: nothing, unless such
 * entries are cached; they are under domain id 0.
 */
static void invalidations_follow_in_order_under_the_old_id(struct kunit *test)
{
	unsigned int from, to;
	struct entries e;
	char what[64];

	entries_setup(test, &e);
	for (from = BLOCKED; from < STATES; from++) {
		for (to = BLOCKED; to < STATES; to++) {
			bool cm = e.m->config.cap & VTD_CAP_CM;
			bool queue = e.m->config.ecap & VTD_ECAP_QI;
			struct vtd_desc desc;
			unsigned int n = 0;
			u16 did;

			if (!entries_has(&e, from) || !entries_has(&e, to) ||
			    entries_same(from, to))
				continue;
			snprintf(what, sizeof(what), "%s to %s", entry_states[from],
				 entry_states[to]);
			KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
			KUNIT_EXPECT_EQ(test, entries_go(&e, from), 0);
			entries_expect(test, &e, from);
			did = entries_did(&e);
			vtd_model_trace(e.m);
			KUNIT_EXPECT_EQ(test, entries_go(&e, to), 0);

			if (from != BLOCKED || cm) {
				entries_command(test, &e, &n, what, U64_MAX,
						VTD_DESC_CONTEXT |
						FIELD_PREP(VTD_DESC_G, VTD_G_DEVICE) |
						FIELD_PREP(VTD_DESC_DID, did) |
						FIELD_PREP(VTD_CONTEXT_SID, RID));
				if (queue)
					entries_command(test, &e, &n, what,
							VTD_DESC_TYPE | VTD_WAIT_FN,
							VTD_DESC_WAIT | VTD_WAIT_FN);
				entries_command(test, &e, &n, what,
						VTD_DESC_TYPE | VTD_DESC_G | VTD_DESC_DID,
						VTD_DESC_IOTLB |
						FIELD_PREP(VTD_DESC_G, VTD_G_DOMAIN) |
						FIELD_PREP(VTD_DESC_DID, from == BLOCKED ?
							   entries_did(&e) : did));
				/* Off, a device TLB forgets by itself. */
				if (from >= A_ATS && to >= A_ATS)
					entries_command(test, &e, &n, what,
							VTD_DESC_TYPE | VTD_DEVTLB_SID,
							VTD_DESC_DEVICE_TLB |
							FIELD_PREP(VTD_DEVTLB_SID, RID));
			}
			if (vtd_model_traced(e.m, n, &desc))
				KUNIT_FAIL(test, "%s: %016llx is one command too many", what,
					   le64_to_cpu(desc.lo));
			entries_expect(test, &e, to);
		}
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* Aliases: more than one batch of commands holds. */
static void every_alias_follows(struct kunit *test)
{
	struct entries e;
	unsigned int i;
	u64 before, pa;

	entries_setup(test, &e);
	e.od->nr_rids = 11;
	for (i = 0; i < e.od->nr_rids; i++) {
		e.od->rids[i] = RID + i * 0x100;
		KUNIT_ASSERT_EQ(test, vtd_tables_reserve(e.m->unit, e.od->rids[i]), 0);
		KUNIT_EXPECT_NE(test, vtd_model_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
	}
	e.od->ats_depth = 0;
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.a), 0);
	for (i = 0; i < e.od->nr_rids; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA_A);
	}
	before = vtd_model_done(e.m, VTD_MODEL_CONTEXT);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.b), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_done(e.m, VTD_MODEL_CONTEXT), before + 11);
	for (i = 0; i < e.od->nr_rids; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA_B);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
	for (i = 0; i < e.od->nr_rids; i++)
		KUNIT_EXPECT_NE(test, vtd_model_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
}

/* The second batch of entries fails: the first one goes back as well. */
static void a_failed_attach_puts_every_alias_back(struct kunit *test)
{
	struct entries e;
	unsigned int i;
	u64 pa;

	entries_setup(test, &e);
	e.od->nr_rids = 11;
	for (i = 0; i < e.od->nr_rids; i++) {
		e.od->rids[i] = RID + i * 0x100;
		KUNIT_ASSERT_EQ(test, vtd_tables_reserve(e.m->unit, e.od->rids[i]), 0);
	}
	e.od->ats_depth = 0;
	KUNIT_ASSERT_EQ(test, omni_test_attach(e.od, e.a), 0);
	/* Eight entries and their domain are flushed, then nothing is. */
	vtd_model_iqe(e.m, 9, 1000);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.b), -EIO);
	vtd_model_iqe(e.m, 0, 0);
	for (i = 0; i < e.od->nr_rids; i++) {
		pa = 0;
		KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, e.od->rids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ_MSG(test, pa, PA_A, "alias %u", i);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
}

/* A shared requester ID keeps its entry when one of its devices goes. */
static void a_shared_alias_stays(struct kunit *test)
{
	struct omni_device *other;
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	other = vtd_model_device(test, e.m, RID + 1, 0);
	other->nr_rids = 2;
	other->rids[1] = RID;
	e.od->ats_depth = 0;
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, e.a), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, e.a), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID + 1, IOVA, true, &pa), 0);
	other->leaving = true;
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, NULL), 0);
	KUNIT_EXPECT_NE(test, vtd_model_access(e.m, RID + 1, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
}

/* Hitless replacement */

struct hitless {
	struct vtd_model *m;
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
		if (vtd_model_access(h->m, RID, IOVA, write, &pa))
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
	for (i = 0; (i < 1000 || (i < 20000 && (!READ_ONCE(h.met[0]) || !READ_ONCE(h.met[1])))) &&
	     test->status == KUNIT_SUCCESS; i++) {
		bool b = !(i & 1);
		u64 pa = 0;

		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, b ? e.b : e.a), 0);
		/* The old domain is out of sight when the attach is over. */
		if (vtd_model_access(e.m, RID, IOVA, true, &pa) || pa != (b ? PA_B : PA_A))
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
	/* No context table for the bus, then an empty entry. */
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, 0x5512, IOVA, true, &pa), 1);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID, IOVA, true, &pa), 2);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID + 1, IOVA, false, &pa), 2);
	KUNIT_EXPECT_FALSE(test, vtd_context_is_set(e.m->unit, RID));
	/* A device that goes leaves nothing open. */
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	entries_expect(test, &e, A);
	e.od->leaving = true;
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID, IOVA, true, &pa), 2);
	KUNIT_EXPECT_FALSE(test, vtd_context_is_set(e.m->unit, RID));
}

/* As when the module comes to devices at work: identity from the first moment. */
static void s4_identity_before_translation_is_on(struct kunit *test)
{
	struct vtd_unit *unit;
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	unit = e.m->unit;
	vtd_unit_off(&unit->core);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, IOVA);
	vtd_context_set(unit, RID, vtd_context_identity(unit));
	KUNIT_EXPECT_EQ(test, vtd_unit_on(&unit->core), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, IOVA);
	KUNIT_EXPECT_TRUE(test, vtd_context_is_set(unit, RID));
	KUNIT_EXPECT_EQ(test, vtd_model_access(e.m, RID + 1, IOVA, true, &pa), 2);
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	entries_expect(test, &e, A);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
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
		vtd_unit_off(&e.m->unit->core);
		KUNIT_EXPECT_EQ(test, vtd_unit_on(&e.m->unit->core), 0);
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	entries_expect(test, &e, BLOCKED);
}

static struct kunit_case entries_cases[] = {
	KUNIT_CASE_PARAM(s3_every_value_is_the_old_or_the_new, entry_gen_params),
	KUNIT_CASE_PARAM(invalidations_follow_in_order_under_the_old_id, entry_gen_params),
	KUNIT_CASE_PARAM(s3_replacing_a_domain_is_hitless, entry_gen_params),
	KUNIT_CASE_PARAM(s4_no_domain_means_blocked, entry_gen_params),
	KUNIT_CASE_PARAM(s4_identity_before_translation_is_on, entry_gen_params),
	KUNIT_CASE_PARAM(every_alias_follows, entry_gen_params),
	KUNIT_CASE(a_failed_attach_puts_every_alias_back),
	KUNIT_CASE_PARAM(a_shared_alias_stays, entry_gen_params),
	KUNIT_CASE_PARAM(entries_survive_off_and_on, entry_gen_params),
	{ }
};

static struct kunit_suite entries_suite = {
	.name = "omni_entries",
	.test_cases = entries_cases,
};

kunit_test_suites(&entries_suite);
