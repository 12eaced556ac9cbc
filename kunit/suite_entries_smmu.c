// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stream table entries and context descriptors (IHI 0070, 3.21, 5.2, 5.4):
 * what is invalidated after a transition and in which order, and that a
 * descriptor, which belongs to a tag, is complete before an entry points to
 * it, stays the same as long as a unit may have it, and becomes another
 * domain's only then.
 */
#include "entries.h"
#include "model_smmu.h"

#define OTHER_RID	0x0328

/* 5.2, 5.4, once more */
#define STE_POINTS(x)	(((x) & GENMASK_ULL(3, 0)) == (1 | 5 << 1))
#define STE_STAGE_2(x)	(((x) & GENMASK_ULL(3, 0)) == (1 | 6 << 1))
#define STE_CD(x)	((x) & GENMASK_ULL(51, 6))
#define CD_VALID	BIT_ULL(31)
#define CD_ASID(x)	((x) >> 48)
#define CD_ROOT(x)	((x) & GENMASK_ULL(51, 4))
#define CD_WORDS	8

static const struct smmu_model_config entry_smmu_kinds[] = {
	{ "plain", .idr3 = SMMU_MODEL_IDR3 },
	{ "incoherent", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_COHACC },
	{ "linear", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_TWO_LEVEL,
	  .idr1 = (SMMU_MODEL_IDR1 & ~63) | 12 },
	{ "stage_2", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr3 = SMMU_MODEL_IDR3 },
	{ "stage_2_incoherent",
	  .idr0 = SMMU_MODEL_IDR0 & ~(SMMU_MODEL_S1P | SMMU_MODEL_COHACC) },
};

KUNIT_ARRAY_PARAM_DESC(entry_smmu, entry_smmu_kinds, name);

static void entries_smmu_setup(struct kunit *test, struct entries *e)
{
	e->m = &smmu_model_create(test, test->param_value)->base;
	e->ats = 4;
	e->od = omni_model_device(e->m, RID, e->ats);
	e->a = omni_model_domain(e->m);
	e->b = omni_model_domain(e->m);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->a, IOVA, PA_A, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->b, IOVA, PA_B, SZ_4K, 1, BOTH), 0);
}

static bool entries_coherent(const struct entries *e)
{
	return smmu_model_coherent(to_smmu_model(e->m));
}

static u16 entries_tag(const struct omni_domain *domain)
{
	return rcu_dereference_protected(domain->reach, 1)->units[0].tag;
}

/* Commands, waits included */

struct expected {
	struct kunit *test;
	struct entries *e;
	const char *what;
	unsigned int n;
};

static void expect_command(struct expected *x, enum omni_cmd kind, u16 rid, u16 tag)
{
	const struct omni_command *c = &x->e->m->trace[x->n++];

	if (x->n > x->e->m->nr_trace)
		KUNIT_FAIL(x->test, "%s: no command %u", x->what, x->n);
	else if (c->kind != kind || (rid && c->rid != rid) || (tag && c->tag != tag))
		KUNIT_FAIL(x->test, "%s: command %u is %016llx %016llx", x->what, x->n,
			   c->raw[0], c->raw[1]);
}

static void expect_entry(struct expected *x, u16 rid)
{
	expect_command(x, OMNI_CMD_ENTRY, rid, 0);
	expect_command(x, OMNI_CMD_WAIT, 0, 0);
}

static void expect_end(struct expected *x)
{
	if (x->e->m->nr_trace > x->n)
		KUNIT_FAIL(x->test, "%s: %016llx is one command too many", x->what,
			   x->e->m->trace[x->n].raw[0]);
}

/*
 * 3.21.1: the entry, and when that is over all that TLBs have under the tag
 * that it used, and the device TLB, if it is still on. These two need no order:
 * by the new entry a device TLB can't be filled with what the old tag had. A
 * stage 2 entry's other words change while it doesn't use them, with an
 * invalidation before and behind.
 */
static void invalidations_follow_in_order(struct kunit *test)
{
	unsigned int from, to;
	struct entries e;
	char what[64];

	entries_smmu_setup(test, &e);
	for (from = BLOCKED; from < STATES; from++) {
		for (to = BLOCKED; to < STATES; to++) {
			struct expected x = { test, &e, what };
			u64 old[8] = { }, new[8] = { };
			u16 tag = 0;

			if (entries_same(from, to))
				continue;
			snprintf(what, sizeof(what), "%s to %s", entry_states[from],
				 entry_states[to]);
			KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
			KUNIT_EXPECT_EQ(test, entries_go(&e, from), 0);
			entries_expect(test, &e, from);
			if (from >= A)
				tag = entries_tag(from == A || from == A_ATS ? e.a : e.b);
			e.m->ops->entry(e.m, RID, true, old);
			omni_model_trace(e.m);
			KUNIT_EXPECT_EQ(test, entries_go(&e, to), 0);
			e.m->ops->entry(e.m, RID, true, new);

			if (STE_STAGE_2(new[0]) && (old[2] != new[2] || old[3] != new[3])) {
				if (STE_STAGE_2(old[0]))
					expect_entry(&x, RID);
				expect_entry(&x, RID);
			}
			expect_entry(&x, RID);
			if (tag)
				expect_command(&x, OMNI_CMD_DOMAIN, 0, tag);
			/* Off, a device TLB forgets by itself. */
			if (from >= A_ATS && to >= A_ATS)
				expect_command(&x, OMNI_CMD_DEVICE_TLB, RID, 0);
			if (tag)
				expect_command(&x, OMNI_CMD_WAIT, 0, 0);
			expect_end(&x);
			entries_expect(test, &e, to);
		}
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* Descriptors */

#define HELD	4

/**
 * struct descriptors - all descriptors that a unit may have
 * @lock: protects what follows
 * @m: the unit
 * @coherent: it reads through the CPU's caches
 * @nr: how many there are
 * @at: where each is
 * @was: what it was when an entry was first seen to point to it
 * @ste: entries when they were looked at last
 * @looks: how often all were looked at
 * @met: entries that were seen to point to one
 * @changed: one was another, or a stage 2 entry while it was in use
 * @incomplete: one was not complete when it was met
 */
struct descriptors {
	raw_spinlock_t lock;	/* see @lock above */
	struct omni_model *m;
	bool coherent;
	unsigned int nr;
	u64 at[HELD];
	u64 was[HELD][CD_WORDS];
	u64 ste[2][8];
	unsigned long looks;
	unsigned long met;
	unsigned long changed;
	unsigned long incomplete;
};

static void descriptor_read(const struct descriptors *d, u64 at, u64 *cd)
{
	unsigned int i;

	for (i = 0; i < CD_WORDS; i++)
		cd[i] = omni_memory_read(at + 8 * i, d->coherent);
}

static void descriptor_met(struct descriptors *d, u64 at)
{
	unsigned int i;
	u64 *cd;

	d->met++;
	for (i = 0; i < d->nr; i++)
		if (d->at[i] == at)
			return;
	if (WARN_ON(i == HELD))
		return;
	cd = d->was[i];
	d->at[i] = at;
	d->nr++;
	descriptor_read(d, at, cd);
	/* Substreams are off: only the first 32 bytes say anything. */
	if (!(cd[0] & CD_VALID) || !CD_ASID(cd[0]) || !CD_ROOT(cd[1]) || !cd[3] ||
	    cd[2] | cd[4] | cd[5] | cd[6] | cd[7])
		d->incomplete++;
}

/* Called at each step of the driver and of the unit. */
static void descriptors_look(void *arg)
{
	static const u16 rids[] = { RID, OTHER_RID };
	struct descriptors *d = arg;
	u64 ste[8], cd[CD_WORDS];
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&d->lock, flags);
	for (i = 0; i < ARRAY_SIZE(rids); i++) {
		memset(ste, 0, sizeof(ste));
		d->m->ops->entry(d->m, rids[i], d->coherent, ste);
		if (STE_POINTS(ste[0]))
			descriptor_met(d, STE_CD(ste[0]));
		/* From one to another by way of blocked, which is seen. */
		if (STE_STAGE_2(ste[0]) && STE_STAGE_2(d->ste[i][0]))
			d->changed += memcmp(ste, d->ste[i], sizeof(ste)) != 0;
		memcpy(d->ste[i], ste, sizeof(ste));
	}
	for (i = 0; i < d->nr; i++) {
		descriptor_read(d, d->at[i], cd);
		d->changed += memcmp(cd, d->was[i], sizeof(cd)) != 0;
	}
	d->looks++;
	raw_spin_unlock_irqrestore(&d->lock, flags);
}

/* What a transition that is over has left has been forgotten. */
static void descriptors_settle(struct descriptors *d)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&d->lock, flags);
	d->nr = 0;
	raw_spin_unlock_irqrestore(&d->lock, flags);
	descriptors_look(d);
}

static void descriptors_begin(struct kunit *test, struct descriptors *d, struct entries *e)
{
	*d = (struct descriptors) { .m = e->m, .coherent = entries_coherent(e) };
	raw_spin_lock_init(&d->lock);
	omni_sample_with(descriptors_look, d);
}

static void descriptors_end(struct kunit *test, struct descriptors *d, struct entries *e)
{
	omni_sample_with(NULL, NULL);
	KUNIT_EXPECT_EQ(test, d->changed, 0);
	KUNIT_EXPECT_EQ(test, d->incomplete, 0);
	KUNIT_EXPECT_GT(test, d->looks, 0);
	/* Stage 2 has none. */
	KUNIT_EXPECT_EQ(test, !d->met, to_smmu_domain(e->a)->stage2);
}

/* S3: through every transition, and while another stream has the same domain. */
static void s3_descriptors_stay_as_they_are(struct kunit *test)
{
	unsigned int from, to, others;
	struct omni_device *other;
	struct descriptors d;
	struct entries e;

	entries_smmu_setup(test, &e);
	other = omni_model_device(e.m, OTHER_RID, 0);
	descriptors_begin(test, &d, &e);
	for (others = 0; others < 2; others++) {
		if (others)
			KUNIT_EXPECT_EQ(test, omni_test_attach(other, e.a), 0);
		for (from = BLOCKED; from < STATES; from++) {
			for (to = BLOCKED; to < STATES; to++) {
				if (entries_same(from, to))
					continue;
				KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
				descriptors_settle(&d);
				KUNIT_EXPECT_EQ(test, entries_go(&e, from), 0);
				descriptors_settle(&d);
				entries_expect(test, &e, from);
				KUNIT_EXPECT_EQ(test, entries_go(&e, to), 0);
				descriptors_settle(&d);
				entries_expect(test, &e, to);
			}
		}
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(other, NULL), 0);
	descriptors_end(test, &d, &e);
}

/*
 * A tag goes to another domain, and its descriptor with it: not before the
 * last entry that pointed there and what TLBs had under the tag are gone.
 */
static void a_tag_that_is_used_again(struct kunit *test)
{
	struct omni_device *other;
	struct descriptors d;
	struct expected x = { test };
	struct entries e;
	unsigned int i;
	u16 tag;

	entries_smmu_setup(test, &e);
	other = omni_model_device(e.m, OTHER_RID, 0);
	descriptors_begin(test, &d, &e);
	x.e = &e;
	for (i = 0; i < 8; i++) {
		struct omni_domain *first = i & 1 ? e.b : e.a, *then = i & 1 ? e.a : e.b;
		u64 want = i & 1 ? PA_A : PA_B, pa = 0;

		e.od->ats_depth = 0;
		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, first), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(other, first), 0);
		tag = entries_tag(first);
		descriptors_settle(&d);
		/* What the unit now has: translations and, of each stream, the descriptor. */
		KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, NULL), 0);
		KUNIT_EXPECT_EQ(test, omni_access(e.m, OTHER_RID, IOVA, true, NULL), 0);

		omni_model_trace(e.m);
		KUNIT_EXPECT_EQ(test, omni_test_attach(other, NULL), 0);
		descriptors_settle(&d);
		x.n = 0;
		x.what = "the first leaves";
		expect_entry(&x, OTHER_RID);
		expect_command(&x, OMNI_CMD_DOMAIN, 0, tag);
		expect_command(&x, OMNI_CMD_WAIT, 0, 0);
		KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, NULL), 0);

		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
		x.what = "the last leaves";
		expect_entry(&x, RID);
		expect_command(&x, OMNI_CMD_DOMAIN, 0, tag);
		expect_command(&x, OMNI_CMD_WAIT, 0, 0);
		expect_end(&x);
		descriptors_settle(&d);
		KUNIT_EXPECT_EQ(test, d.nr, 0);

		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, then), 0);
		KUNIT_EXPECT_EQ(test, entries_tag(then), tag);
		descriptors_settle(&d);
		KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, want);
		KUNIT_EXPECT_EQ(test, omni_test_attach(e.od, NULL), 0);
		descriptors_settle(&d);
	}
	descriptors_end(test, &d, &e);
}

/* Tags beyond those whose descriptors share the first page. */
static void descriptors_of_two_pages(struct kunit *test)
{
	struct descriptors d;
	struct entries e;
	unsigned int i;
	u64 ste[2][8];
	int tags[SMMU_CDS_A_PAGE];
	u64 pa;

	entries_smmu_setup(test, &e);
	descriptors_begin(test, &d, &e);
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	descriptors_settle(&d);
	e.m->ops->entry(e.m, RID, d.coherent, ste[0]);
	for (i = 0; i < ARRAY_SIZE(tags); i++) {
		tags[i] = omni_tag_get(e.m->unit);
		KUNIT_ASSERT_GE(test, tags[i], 0);
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, B), 0);
	descriptors_settle(&d);
	KUNIT_EXPECT_GE(test, entries_tag(e.b), SMMU_CDS_A_PAGE);
	e.m->ops->entry(e.m, RID, d.coherent, ste[1]);
	if (!to_smmu_domain(e.a)->stage2)
		KUNIT_EXPECT_NE(test, STE_CD(ste[0][0]) >> PAGE_SHIFT,
				STE_CD(ste[1][0]) >> PAGE_SHIFT);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, PA_B);
	for (i = 0; i < ARRAY_SIZE(tags); i++)
		omni_tag_put(e.m->unit, tags[i]);
	KUNIT_EXPECT_EQ(test, entries_go(&e, A_ATS), 0);
	descriptors_settle(&d);
	entries_expect(test, &e, A_ATS);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	descriptors_end(test, &d, &e);
}

static struct kunit_case entries_smmu_cases[] = {
	KUNIT_CASE_PARAM(invalidations_follow_in_order, entry_smmu_gen_params),
	KUNIT_CASE_PARAM(s3_descriptors_stay_as_they_are, entry_smmu_gen_params),
	KUNIT_CASE_PARAM(a_tag_that_is_used_again, entry_smmu_gen_params),
	KUNIT_CASE_PARAM(descriptors_of_two_pages, entry_smmu_gen_params),
	{ }
};

static struct kunit_suite entries_smmu_suite = {
	.name = "omni_smmu_entries",
	.test_cases = entries_smmu_cases,
};

kunit_test_suites(&entries_smmu_suite);
