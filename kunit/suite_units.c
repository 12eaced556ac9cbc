// SPDX-License-Identifier: GPL-2.0-only
/*
 * Units side by side (C3, as far as one vendor goes): units with different
 * capabilities serve different domains, and one domain together; a unit that
 * needs more than a domain gives is refused. And what a unit reports of
 * refused accesses.
 */
#include "model_vtd.h"

#include <linux/delay.h>
#include <linux/sizes.h>

#define RID		0x0428
#define PA		0x10000000000ULL
#define IOVA		0x200000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

static struct vtd_model *units_model(struct kunit *test, const char *name, u64 cap, u64 ecap)
{
	return vtd_model_create(test, &(struct vtd_model_config) {
		.name = name,
		.cap = cap,
		.ecap = ecap,
	});
}

/* Two units that have little in common. */
static void units_pair(struct kunit *test, struct vtd_model **m)
{
	m[0] = units_model(test, "queue", 0, 0);
	m[1] = units_model(test, "registers", VTD_MODEL_CAP & ~VTD_CAP_PSI,
			   VTD_MODEL_ECAP & ~(VTD_ECAP_QI | VTD_ECAP_DT | VTD_ECAP_SC));
}

static void c3_units_serve_different_domains(struct kunit *test)
{
	struct omni_domain *domain[2];
	struct omni_device *od[2];
	struct vtd_model *m[2];
	unsigned int i;
	u64 pa, before;

	m[0] = units_model(test, "caching", VTD_MODEL_CAP | VTD_CAP_CM, 0);
	m[1] = units_model(test, "small", (VTD_MODEL_CAP & ~(VTD_CAP_SAGAW | VTD_CAP_SLLPS)) |
			   FIELD_PREP(VTD_CAP_SAGAW, VTD_SAGAW_39),
			   VTD_MODEL_ECAP & ~(VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_DT));
	for (i = 0; i < 2; i++) {
		domain[i] = vtd_model_domain(test, m[i]);
		od[i] = vtd_model_device(test, m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain[i]), 0);
		KUNIT_EXPECT_NE(test, vtd_model_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_1G, SZ_4K, 512,
						    BOTH), 0);
	}
	KUNIT_EXPECT_EQ(test, domain[0]->iommu.pgsize_bitmap, SZ_4K | SZ_2M | SZ_1G);
	KUNIT_EXPECT_EQ(test, domain[1]->iommu.pgsize_bitmap, SZ_4K);
	KUNIT_EXPECT_EQ(test, domain[0]->iommu.geometry.aperture_end, BIT_ULL(48) - 1);
	KUNIT_EXPECT_EQ(test, domain[1]->iommu.geometry.aperture_end, BIT_ULL(39) - 1);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + i * SZ_1G);
	}
	/* What one does is no business of the other. */
	before = m[0]->nr_trace;
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain[1], IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, m[0]->nr_trace, before);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m[0], RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_NE(test, vtd_model_access(m[1], RID, IOVA, true, &pa), 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
}

static void c3_units_serve_one_domain_together(struct kunit *test)
{
	struct omni_domain *domain, *other;
	struct omni_device *od[2], *spare;
	struct vtd_model *m[2];
	struct vtd_desc desc;
	unsigned int i;
	u64 pa;

	units_pair(test, m);
	/* The tags differ, too. */
	other = vtd_model_domain(test, m[1]);
	spare = vtd_model_device(test, m[1], RID + 1, 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(spare, other), 0);

	domain = vtd_model_domain(test, m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = vtd_model_device(test, m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_2M, 2, BOTH), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[i], RID, IOVA + SZ_4K, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + SZ_4K);
		vtd_model_trace(m[i]);
	}
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_NE(test, vtd_model_access(m[i], RID, IOVA + SZ_4K, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[i], RID, IOVA + SZ_2M, true, &pa), 0);
		/* Each in its own words. */
		KUNIT_ASSERT_TRUE(test, vtd_model_traced(m[i], 0, &desc));
		KUNIT_EXPECT_EQ(test, FIELD_GET(VTD_DESC_G, le64_to_cpu(desc.lo)),
				i ? VTD_G_DOMAIN : VTD_G_PAGE);
		KUNIT_EXPECT_EQ(test, FIELD_GET(VTD_DESC_DID, le64_to_cpu(desc.lo)),
				VTD_TAG_FIRST + i);
	}
	/* One unit goes: the other is served as before. */
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);
	vtd_model_trace(m[0]);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m[1], RID, IOVA + SZ_2M, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA + SZ_2M, SZ_2M), SZ_2M);
	KUNIT_EXPECT_NE(test, vtd_model_access(m[1], RID, IOVA + SZ_2M, true, &pa), 0);
	KUNIT_EXPECT_FALSE(test, vtd_model_traced(m[0], 0, &desc));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(spare, NULL), 0);
}

/* One of two units breaks: the other is flushed all the same, nothing is freed. */
static void s2_one_unit_of_two_breaks(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od[2];
	struct vtd_model *m[2];
	unsigned int i;
	long tables;
	u64 pa;

	m[0] = units_model(test, "broken", 0, 0);
	m[1] = units_model(test, "well", 0, 0);
	domain = vtd_model_domain(test, m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = vtd_model_device(test, m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[i], RID, IOVA, true, &pa), 0);
	tables = omni_tables_live();
	vtd_model_hang(m[0], true);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_TRUE(test, m[0]->unit->core.broken);
	KUNIT_EXPECT_FALSE(test, m[1]->unit->core.broken);
	KUNIT_EXPECT_NE(test, vtd_model_access(m[1], RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	vtd_model_hang(m[0], false);
	for (i = 0; i < 2; i++)
		omni_test_attach(od[i], NULL);
	vtd_model_domain_free(test, domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/* Who may serve whose domain */

#define CAP_LEAVES(x)	((VTD_MODEL_CAP & ~VTD_CAP_SLLPS) | FIELD_PREP_CONST(VTD_CAP_SLLPS, x))
#define CAP_SAGAW(x)	((VTD_MODEL_CAP & ~VTD_CAP_SAGAW) | FIELD_PREP_CONST(VTD_CAP_SAGAW, x))
#define CAP_MGAW(x)	((VTD_MODEL_CAP & ~VTD_CAP_MGAW) | FIELD_PREP_CONST(VTD_CAP_MGAW, x))

struct units_match {
	const char *name;
	u64 cap[2];	/* of the unit the domain is made for, of the other */
	u64 ecap[2];
	bool enforce;	/* the domain snoops */
	bool fits;
};

static const struct units_match units_matches[] = {
	{ "same", { }, { }, .fits = true },
	{ "caches_what_the_domain_never_flushes", { 0, VTD_MODEL_CAP | VTD_CAP_CM } },
	{ "flushes_more_than_needed", { VTD_MODEL_CAP | VTD_CAP_CM }, .fits = true },
	{ "write_buffer_that_is_never_flushed", { 0, VTD_MODEL_CAP | VTD_CAP_RWBF } },
	{ "write_buffer_flushed_for_nothing", { VTD_MODEL_CAP | VTD_CAP_RWBF }, .fits = true },
	{ "caching_and_write_buffer", { VTD_MODEL_CAP | VTD_CAP_CM,
					VTD_MODEL_CAP | VTD_CAP_RWBF } },
	{ "walks_that_do_not_snoop", { }, { 0, VTD_MODEL_ECAP & ~VTD_ECAP_C } },
	{ "lines_cleaned_for_nothing", { }, { VTD_MODEL_ECAP & ~VTD_ECAP_C }, .fits = true },
	{ "narrower_walks", { 0, CAP_SAGAW(VTD_SAGAW_39) } },
	{ "wider_walks_only", { CAP_SAGAW(VTD_SAGAW_39), CAP_SAGAW(VTD_SAGAW_48) } },
	{ "wider_walks_too", { CAP_SAGAW(VTD_SAGAW_39) }, .fits = true },
	{ "narrower_addresses", { 0, CAP_MGAW(46) } },
	{ "wider_addresses", { CAP_MGAW(46) }, .fits = true },
	{ "smaller_leaves", { 0, CAP_LEAVES(VTD_SLLPS_2M) } },
	{ "smallest_leaves", { 0, CAP_LEAVES(0) } },
	{ "larger_leaves_too", { CAP_LEAVES(0) }, .fits = true },
	{ "no_snoop_control", { }, { 0, VTD_MODEL_ECAP & ~VTD_ECAP_SC }, .enforce = true },
	{ "snoop_control_not_used", { }, { 0, VTD_MODEL_ECAP & ~VTD_ECAP_SC }, .fits = true },
	{ "snoop_control", { }, { }, .enforce = true, .fits = true },
};

static void units_describe(const struct units_match *match, char *text)
{
	strscpy(text, match->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(units, units_matches, units_describe);

static void c3_a_unit_that_needs_more_is_refused(struct kunit *test)
{
	const struct units_match *match = test->param_value;
	struct omni_device *od[2];
	struct omni_domain *domain;
	struct vtd_model *m[2];
	unsigned int i;
	long tables;
	u64 pa;

	for (i = 0; i < 2; i++) {
		m[i] = units_model(test, i ? "the other" : "its own", match->cap[i],
				   match->ecap[i]);
		od[i] = vtd_model_device(test, m[i], RID, 0);
	}
	domain = vtd_model_domain(test, m[0]);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od[0], domain), 0);
	if (match->enforce)
		KUNIT_ASSERT_TRUE(test, vtd_domain_enforce_coherency(&domain->iommu));
	tables = omni_tables_live();
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), match->fits ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);

	/* Whoever serves it walks it well; a refused device is as it was. */
	KUNIT_EXPECT_NE(test, vtd_model_access(m[1], RID, IOVA, true, &pa), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 600, BOTH), 0);
	for (i = 0; i < 1 + match->fits; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA);
	}
	if (!match->fits)
		KUNIT_EXPECT_EQ(test, vtd_model_access(m[1], RID, IOVA, true, &pa), 2);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 600 * SZ_4K), 600 * SZ_4K);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_NE(test, vtd_model_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
	}
}

/* Coherency can't be enforced behind the back of a unit, nor after the fact. */
static void coherency_is_enforced_by_all_units_or_none(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od[2];
	struct vtd_model *m[2];
	unsigned int i;

	m[0] = units_model(test, "snoops", 0, 0);
	m[1] = units_model(test, "does not", 0, VTD_MODEL_ECAP & ~VTD_ECAP_SC);
	domain = vtd_model_domain(test, m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = vtd_model_device(test, m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_EXPECT_FALSE(test, vtd_domain_enforce_coherency(&domain->iommu));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], NULL), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_FALSE(test, vtd_domain_enforce_coherency(&domain->iommu));
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_TRUE(test, vtd_domain_enforce_coherency(&domain->iommu));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);

	/* Asked before any attach, as iommufd does. */
	domain = vtd_model_domain(test, m[0]);
	KUNIT_EXPECT_TRUE(test, vtd_domain_enforce_coherency(&domain->iommu));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], domain), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);
}

/* Domain ids: each is used again, never while anything is cached under it. */
static void tags_run_out_and_come_back(struct kunit *test)
{
	/* 16 ids, of which 0 and 1 are taken. */
	struct vtd_model *m = units_model(test, "16 domains", VTD_MODEL_CAP & ~VTD_CAP_ND, 0);
	struct omni_domain *domain[15];
	struct omni_device *od[15];
	unsigned int i, round;
	u64 pa;

	for (i = 0; i < ARRAY_SIZE(od); i++) {
		od[i] = vtd_model_device(test, m, RID + i, 0);
		domain[i] = vtd_model_domain(test, m);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_4K, SZ_4K, 1,
						    BOTH), 0);
	}
	for (i = 0; i < 14; i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], domain[i]), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[14], domain[14]), -ENOSPC);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID + 14, IOVA, true, &pa), 2);
	for (round = 0; round < 50; round++) {
		unsigned int in = (14 + round) % 15, out = (in + 1) % 15;

		/* The one that leaves has filled the caches. */
		KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID + out, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + out * SZ_4K);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[out], NULL), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[in], domain[in]), 0);
		KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID + in, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + in * SZ_4K);
	}
	for (i = 0; i < ARRAY_SIZE(od); i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->core.nr_tags), 0);
}

/* Faults */

struct units_faults {
	unsigned int nr;
	unsigned long iova;
	int flags;
};

static int units_fault(struct iommu_domain *domain, struct device *dev, unsigned long iova,
		       int flags, void *arg)
{
	struct units_faults *f = arg;

	f->nr++;
	f->iova = iova;
	f->flags = flags;
	return 0;
}

static void units_wait_faults(struct vtd_model *m, u64 nr)
{
	unsigned int tries;

	for (tries = 0; tries < 50 && READ_ONCE(m->unit->core.counts.faults) < nr; tries++)
		msleep(20);
}

static void a_fault_is_reported_to_its_domain(struct kunit *test)
{
	struct vtd_model *m = units_model(test, NULL, 0, 0);
	struct omni_device *od = vtd_model_device(test, m, RID, 0);
	struct omni_domain *domain = vtd_model_domain(test, m);
	struct units_faults f = { };
	unsigned int i;

	iommu_set_fault_handler(&domain->iommu, units_fault, &f);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, vtd_model_access(m, RID, IOVA + i * SZ_4K, i & 1, NULL),
				i & 1 ? 5 : 6);
		units_wait_faults(m, i + 1);
		KUNIT_EXPECT_EQ(test, f.nr, i + 1);
		KUNIT_EXPECT_EQ(test, f.iova, IOVA + i * SZ_4K);
		KUNIT_EXPECT_EQ(test, f.flags, i & 1 ? IOMMU_FAULT_WRITE : IOMMU_FAULT_READ);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* More faults than records: some are lost, none is made up, and it goes on. */
static void a_fault_storm_is_survived(struct kunit *test)
{
	struct vtd_model *m = units_model(test, NULL, 0, 0);
	struct omni_device *od = vtd_model_device(test, m, RID, 0);
	struct omni_domain *domain = vtd_model_domain(test, m);
	struct units_faults f = { };
	unsigned int i;
	u64 before;

	iommu_set_fault_handler(&domain->iommu, units_fault, &f);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 50; i++) {
		vtd_model_storm(m, RID, 100);
		if (i & 1)
			usleep_range(100, 2000);
	}
	/* What comes after the storm is reported as before it. */
	msleep(250);
	before = m->unit->core.counts.faults;
	KUNIT_EXPECT_GE(test, before, ARRAY_SIZE(m->frcd));
	KUNIT_EXPECT_LE(test, before, m->faults);
	KUNIT_EXPECT_EQ(test, before, f.nr);
	KUNIT_EXPECT_EQ(test, m->fsts & VTD_FSTS_PFO, 0);
	KUNIT_EXPECT_NE(test, vtd_model_access(m, RID, IOVA, true, NULL), 0);
	units_wait_faults(m, before + 1);
	KUNIT_EXPECT_EQ(test, m->unit->core.counts.faults, before + 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* A global command that is never carried out ends, too. */
static void a_global_command_meets_its_deadline(struct kunit *test)
{
	struct vtd_model *m = units_model(test, NULL, VTD_MODEL_CAP | VTD_CAP_RWBF, 0);
	struct omni_device *od = vtd_model_device(test, m, RID, 0);
	struct omni_domain *domain = vtd_model_domain(test, m);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	vtd_model_hang(m, true);
	KUNIT_EXPECT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), -ETIMEDOUT);
	vtd_model_hang(m, false);
	/* The status follows late; what comes next waits for it. */
	while (READ_ONCE(m->gsts_wait))
		vtd_read32(m->unit, VTD_GSTS);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case units_cases[] = {
	KUNIT_CASE(c3_units_serve_different_domains),
	KUNIT_CASE(c3_units_serve_one_domain_together),
	KUNIT_CASE_PARAM(c3_a_unit_that_needs_more_is_refused, units_gen_params),
	KUNIT_CASE(coherency_is_enforced_by_all_units_or_none),
	KUNIT_CASE(tags_run_out_and_come_back),
	KUNIT_CASE(a_fault_is_reported_to_its_domain),
	KUNIT_CASE(a_fault_storm_is_survived),
	KUNIT_CASE_SLOW(s2_one_unit_of_two_breaks),
	KUNIT_CASE_SLOW(a_global_command_meets_its_deadline),
	{ }
};

static struct kunit_suite units_suite = {
	.name = "omni_units",
	.test_cases = units_cases,
};

kunit_test_suites(&units_suite);
