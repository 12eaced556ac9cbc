// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only a VT-d queue does (r3.1, 6.5.2.10): a descriptor that stays bad
 * until it is replaced, a device that does not answer (ITE), a completion
 * nobody asked for (ICE), and commands through registers that never end.
 */
#include "model_vtd.h"
#include "queue_user.h"

/* The parameter of a case of one vendor. */
static const struct omni_param vtd_ordinary = { &vtd_kit, omni_ordinary };

static int queue_vtd_init(struct kunit *test)
{
	test->param_value = &vtd_ordinary;
	return 0;
}

static void disturb_ite(struct omni_model *m)
{
	vtd_model_ite(to_vtd_model(m), 1);
}

static void ite_is_recovered_and_lost_commands_come_again(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 4, 600, disturb_ite);
	vtd_model_ite(to_vtd_model(m), 0);
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
}

static void disturb_ice(struct omni_model *m)
{
	vtd_model_ice(to_vtd_model(m), RID);
}

static void ice_is_cleared(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);

	queue_race(test, m, 4, 300, disturb_ice);
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
}

static unsigned int ite_or_iqe(struct omni_model *m, unsigned int round)
{
	if (round & 1)
		vtd_model_ite(to_vtd_model(m), 1);
	else
		omni_model_error(m, round >> 1 & 1, 1);
	return 2;
}

static void an_ite_or_iqe_somebody_else_cleared_is_not_missed(struct kunit *test)
{
	queue_errors_are_told(test, ite_or_iqe);
}

/* One of each in turn. */
static bool iqe_ite_or_ice(struct omni_model *m, unsigned int round)
{
	switch (round % 3) {
	case 0:
		omni_model_error(m, 0, 1 + round % 2);
		return true;
	case 1:
		vtd_model_ite(to_vtd_model(m), 1 + round % 2);
		return true;
	default:
		/* A completion nobody asked for may be noticed later. */
		vtd_model_ice(to_vtd_model(m), RID);
		return false;
	}
}

static void each_kind_of_error_once(struct kunit *test)
{
	queue_each_error(test, iqe_ite_or_ice);
}

static void s2_registers_meet_their_deadline(struct kunit *test)
{
	struct omni_model *m = omni_model_create_as(test, "registers", OMNI_NO_QUEUE);
	struct queue_user user;
	long tables;

	queue_user_init(test, &user, m, 0, 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	tables = omni_tables_live();
	omni_model_hang(m, true);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(user.domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	omni_model_hang(m, false);
	omni_test_attach(user.od, NULL);
	omni_model_domain_free(test, user.domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/* A global command that is never carried out ends, too. */
static void a_global_command_meets_its_deadline(struct kunit *test)
{
	struct omni_model *m = omni_model_create_as(test, "write buffer", OMNI_WRITE_BUFFER);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	omni_model_hang(m, true);
	KUNIT_EXPECT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), -ETIMEDOUT);
	omni_model_hang(m, false);
	/* The status follows late; what comes next waits for it. */
	while (READ_ONCE(to_vtd_model(m)->gsts_wait))
		vtd_read32(to_vtd_model(m)->unit, VTD_GSTS);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case queue_vtd_cases[] = {
	KUNIT_CASE(ite_is_recovered_and_lost_commands_come_again),
	KUNIT_CASE(ice_is_cleared),
	KUNIT_CASE(an_ite_or_iqe_somebody_else_cleared_is_not_missed),
	KUNIT_CASE(each_kind_of_error_once),
	KUNIT_CASE_SLOW(s2_registers_meet_their_deadline),
	KUNIT_CASE_SLOW(a_global_command_meets_its_deadline),
	{ }
};

static struct kunit_suite queue_vtd_suite = {
	.name = "omni_vtd_queue",
	.init = queue_vtd_init,
	.test_cases = queue_vtd_cases,
};

kunit_test_suites(&queue_vtd_suite);
