/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that goes through all states its entry can have. */
#ifndef OMNI_KUNIT_ENTRIES_H
#define OMNI_KUNIT_ENTRIES_H

#include "kit.h"

#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/sizes.h>

#define RID		0x0310
#define PA_A		0x10000000000ULL
#define PA_B		0x20000000000ULL
#define IOVA		0x7000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

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

/**
 * struct entries - a device that goes through all states
 * @m: the unit
 * @od: the device
 * @a: one domain
 * @b: another, whose @IOVA is another page, with tables of another format if
 *	the unit has several
 * @ats: the device has a device TLB
 */
struct entries {
	struct omni_model *m;
	struct omni_device *od;
	struct omni_domain *a;
	struct omni_domain *b;
	u8 ats;
};

static __maybe_unused void entries_setup(struct kunit *test, struct entries *e)
{
	const struct omni_variant *config = omni_variant(test);

	e->m = omni_model_create(test);
	e->od = omni_model_device(e->m, RID, config->ats);
	e->ats = config->ats;
	e->a = omni_model_domain(e->m);
	e->b = omni_model_other_domain(test, e->m);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->a, IOVA, PA_A, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(e->b, IOVA, PA_B, SZ_4K, 1, BOTH), 0);
}

static __maybe_unused bool entries_has(const struct entries *e, enum entry_state state)
{
	return state < A_ATS || e->ats;
}

static __maybe_unused int entries_go(struct entries *e, enum entry_state state)
{
	struct omni_domain *domain = state == BLOCKED ? NULL :
				     state == IDENTITY ? &omni_identity :
				     state == A || state == A_ATS ? e->a : e->b;

	e->od->ats_depth = state >= A_ATS ? e->ats : 0;
	return omni_test_attach(e->od, domain);
}

/* What an access meets in a state. */
static __maybe_unused void entries_expect(struct kunit *test, struct entries *e,
					  enum entry_state state)
{
	u64 pa = 0;
	int reason = omni_access(e->m, RID, IOVA, true, &pa);

	KUNIT_EXPECT_EQ_MSG(test, !!reason, state == BLOCKED, "%s: reason %d",
			    entry_states[state], reason);
	if (!reason)
		KUNIT_EXPECT_EQ_MSG(test, pa, state == IDENTITY ? IOVA :
				    state == A || state == A_ATS ? PA_A : PA_B, "%s",
				    entry_states[state]);
	KUNIT_EXPECT_EQ(test, test_bit(RID, e->m->ats_on), state >= A_ATS);
}

/* The same domain with and without a device TLB is one state for the core. */
static __maybe_unused bool entries_same(enum entry_state from, enum entry_state to)
{
	return from == to || (from == A && to == A_ATS) || (from == A_ATS && to == A) ||
	       (from == B && to == B_ATS) || (from == B_ATS && to == B);
}

#endif
