// SPDX-License-Identifier: GPL-2.0-only
/*
 * Units side by side (C3): units with different capabilities, and of
 * different vendors, serve different domains, those of one vendor one domain
 * together; a unit that needs more than a domain gives is refused. And what a
 * unit reports of refused accesses.
 */
#include "kit.h"

#include <linux/delay.h>
#include <linux/sizes.h>

#define RID		0x0428
#define PA		0x10000000000ULL
#define IOVA		0x200000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)

/* Any two vendors, or the same one twice. */
struct units_pair {
	const struct omni_kit *kit[2];
};

static const void *pair_gen_params(const void *prev, char *desc)
{
	static struct units_pair pairs[OMNI_KITS_MAX * OMNI_KITS_MAX];
	unsigned int i = prev ? (const struct units_pair *)prev - pairs + 1 : 0, nr = 0;

	while (omni_kits[nr])
		nr++;
	if (i == nr * nr)
		return NULL;
	pairs[i] = (struct units_pair){ { omni_kits[i / nr], omni_kits[i % nr] } };
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s", pairs[i].kit[0]->name,
		 pairs[i].kit[1]->name);
	return &pairs[i];
}

static void c3_units_serve_different_domains(struct kunit *test)
{
	static const struct omni_variant variants[] = {
		{ "caching", OMNI_CACHES_ABSENT },
		{ "small", OMNI_NARROW_WALKS | OMNI_SMALL_LEAVES | OMNI_NO_SNOOP_WALKS |
			   OMNI_NO_QUEUE },
	};
	const struct units_pair *pair = test->param_value;
	struct omni_domain *domain[2];
	struct omni_device *od[2];
	struct omni_model *m[2];
	unsigned int i;
	u64 pa, before;

	for (i = 0; i < 2; i++) {
		struct omni_variant variant = variants[i];

		variant.traits &= pair->kit[i]->able;
		m[i] = pair->kit[i]->create(test, &variant);
		domain[i] = omni_model_domain(m[i]);
		od[i] = omni_model_device(m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain[i]), 0);
		KUNIT_EXPECT_NE(test, omni_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_1G, SZ_4K, 512,
						    BOTH), 0);
	}
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + i * SZ_1G);
	}
	/* What one does is no business of the other. */
	before = m[0]->nr_trace;
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain[1], IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_EQ(test, m[0]->nr_trace, before);
	KUNIT_EXPECT_EQ(test, omni_access(m[0], RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_NE(test, omni_access(m[1], RID, IOVA, true, &pa), 0);
	/* Nobody serves another vendor's domain. */
	if (pair->kit[0]->wing != pair->kit[1]->wing)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain[0]), -EINVAL);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
}

static void c3_units_serve_one_domain_together(struct kunit *test)
{
	struct omni_domain *domain, *other;
	struct omni_device *od[2], *spare;
	struct omni_model *m[2];
	struct omni_command cmd;
	unsigned int i;
	u16 tag = 0;
	u64 pa;

	/* Two units that have little in common. */
	m[0] = omni_model_create_as(test, "queue", 0);
	m[1] = omni_model_create_as(test, "registers", omni_kit(test)->able &
				    (OMNI_NO_PAGE_COMMAND | OMNI_NO_QUEUE | OMNI_NO_ENFORCE));
	/* The tags differ, too. */
	other = omni_model_domain(m[1]);
	spare = omni_model_device(m[1], RID + 1, 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(spare, other), 0);

	domain = omni_model_domain(m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = omni_model_device(m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_2M, 2, BOTH), 0);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(m[i], RID, IOVA + SZ_4K, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + SZ_4K);
		omni_model_trace(m[i]);
	}
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_NE(test, omni_access(m[i], RID, IOVA + SZ_4K, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m[i], RID, IOVA + SZ_2M, true, &pa), 0);
		/* Each in its own words. */
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m[i], 0, &cmd));
		KUNIT_EXPECT_EQ(test, cmd.kind, i && omni_kit(test)->able & OMNI_NO_PAGE_COMMAND ?
				OMNI_CMD_DOMAIN : OMNI_CMD_PAGES);
		if (!i)
			tag = cmd.tag;
		else
			KUNIT_EXPECT_EQ(test, cmd.tag, tag + 1);
	}
	/* One unit goes: the other is served as before. */
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);
	omni_model_trace(m[0]);
	KUNIT_EXPECT_EQ(test, omni_access(m[1], RID, IOVA + SZ_2M, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA + SZ_2M, SZ_2M), SZ_2M);
	KUNIT_EXPECT_NE(test, omni_access(m[1], RID, IOVA + SZ_2M, true, &pa), 0);
	KUNIT_EXPECT_FALSE(test, omni_model_traced(m[0], 0, &cmd));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(spare, NULL), 0);
}

/* One of two units breaks: the other is flushed all the same, nothing is freed. */
static void s2_one_unit_of_two_breaks(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od[2];
	struct omni_model *m[2];
	unsigned int i;
	long tables;
	u64 pa;

	m[0] = omni_model_create_as(test, "broken", 0);
	m[1] = omni_model_create_as(test, "well", 0);
	domain = omni_model_domain(m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = omni_model_device(m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, omni_access(m[i], RID, IOVA, true, &pa), 0);
	tables = omni_tables_live();
	omni_model_hang(m[0], true);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	KUNIT_EXPECT_TRUE(test, m[0]->unit->broken);
	KUNIT_EXPECT_FALSE(test, m[1]->unit->broken);
	KUNIT_EXPECT_NE(test, omni_access(m[1], RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	omni_model_hang(m[0], false);
	for (i = 0; i < 2; i++)
		omni_test_attach(od[i], NULL);
	omni_model_domain_free(test, domain);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

/* Who may serve whose domain */

struct units_match {
	const char *name;
	unsigned long traits[2];	/* of the domain's own unit, of the other */
	bool enforce;			/* the domain snoops */
	bool fits;
};

static const struct units_match units_matches[] = {
	{ "same", { }, .fits = true },
	{ "caches_what_the_domain_never_flushes", { 0, OMNI_CACHES_ABSENT } },
	{ "flushes_more_than_needed", { OMNI_CACHES_ABSENT }, .fits = true },
	{ "write_buffer_that_is_never_flushed", { 0, OMNI_WRITE_BUFFER } },
	{ "write_buffer_flushed_for_nothing", { OMNI_WRITE_BUFFER }, .fits = true },
	{ "caching_and_write_buffer", { OMNI_CACHES_ABSENT, OMNI_WRITE_BUFFER } },
	{ "walks_that_do_not_snoop", { 0, OMNI_NO_SNOOP_WALKS } },
	{ "lines_cleaned_for_nothing", { OMNI_NO_SNOOP_WALKS }, .fits = true },
	{ "narrower_walks", { 0, OMNI_NARROW_WALKS } },
	{ "wider_walks_only", { OMNI_NARROW_WALKS, OMNI_WIDE_WALKS } },
	{ "wider_walks_too", { OMNI_NARROW_WALKS }, .fits = true },
	{ "narrower_addresses", { 0, OMNI_NARROW_ADDRESSES } },
	{ "wider_addresses", { OMNI_NARROW_ADDRESSES }, .fits = true },
	{ "smaller_leaves", { 0, OMNI_MIDDLE_LEAVES } },
	{ "smallest_leaves", { 0, OMNI_SMALL_LEAVES } },
	{ "larger_leaves_too", { OMNI_SMALL_LEAVES }, .fits = true },
	{ "no_snoop_control", { 0, OMNI_NO_ENFORCE }, .enforce = true },
	{ "snoop_control_not_used", { 0, OMNI_NO_ENFORCE }, .fits = true },
	{ "snoop_control", { }, .enforce = true, .fits = true },
};

struct units_case {
	struct omni_param param;	/* as everywhere */
	const struct units_match *match;
};

static const void *units_gen_params(const void *prev, char *desc)
{
	static struct units_case cases[ARRAY_SIZE(units_matches) * OMNI_KITS_MAX];
	unsigned int i = prev ? (const struct units_case *)prev - cases + 1 : 0;

	while (omni_kits[i / ARRAY_SIZE(units_matches)]) {
		const struct omni_kit *kit = omni_kits[i / ARRAY_SIZE(units_matches)];
		const struct units_match *match = &units_matches[i % ARRAY_SIZE(units_matches)];

		unsigned long traits = match->traits[0] | match->traits[1] |
				       (match->enforce ? OMNI_ENFORCES : 0);

		if (!(traits & ~kit->able)) {
			cases[i] = (struct units_case){ { kit, omni_ordinary }, match };
			snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s", kit->name, match->name);
			return &cases[i];
		}
		i++;
	}
	return NULL;
}

static const struct omni_variant units_enforce[] = { { NULL, OMNI_NO_ENFORCE } };
static const struct omni_variant units_few_tags[] = { { NULL, OMNI_FEW_TAGS } };

OMNI_KIT_PARAM(ordinary, omni_ordinary)
OMNI_KIT_PARAM(enforce, units_enforce)
OMNI_KIT_PARAM(few_tags, units_few_tags)

static bool units_snoop(struct omni_domain *domain)
{
	return domain->iommu.ops->enforce_cache_coherency(&domain->iommu);
}

static void c3_a_unit_that_needs_more_is_refused(struct kunit *test)
{
	const struct units_match *match =
		((const struct units_case *)test->param_value)->match;
	struct omni_device *od[2];
	struct omni_domain *domain;
	struct omni_model *m[2];
	unsigned int i;
	long tables;
	int blocked;
	u64 pa;

	for (i = 0; i < 2; i++) {
		m[i] = omni_model_create_as(test, i ? "the other" : "its own", match->traits[i]);
		od[i] = omni_model_device(m[i], RID, 0);
	}
	domain = omni_model_domain(m[0]);
	blocked = omni_access(m[1], RID, IOVA, true, &pa);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od[0], domain), 0);
	if (match->enforce)
		KUNIT_ASSERT_TRUE(test, units_snoop(domain));
	tables = omni_tables_live();
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), match->fits ? 0 : -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);

	/* Whoever serves it walks it well; a refused device is as it was. */
	KUNIT_EXPECT_NE(test, omni_access(m[1], RID, IOVA, true, &pa), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 600, BOTH), 0);
	for (i = 0; i < 1 + match->fits; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA);
	}
	if (!match->fits)
		KUNIT_EXPECT_EQ(test, omni_access(m[1], RID, IOVA, true, &pa), blocked);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 600 * SZ_4K), 600 * SZ_4K);
	for (i = 0; i < 2; i++) {
		KUNIT_EXPECT_NE(test, omni_access(m[i], RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
	}
}

/* Coherency can't be enforced behind the back of a unit, nor after the fact. */
static void coherency_is_enforced_by_all_units_or_none(struct kunit *test)
{
	struct omni_domain *domain;
	struct omni_device *od[2];
	struct omni_model *m[2];
	unsigned int i;

	m[0] = omni_model_create_as(test, "snoops", 0);
	m[1] = omni_model_create_as(test, "does not", OMNI_NO_ENFORCE);
	domain = omni_model_domain(m[0]);
	for (i = 0; i < 2; i++) {
		od[i] = omni_model_device(m[i], RID, 0);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od[i], domain), 0);
	}
	KUNIT_EXPECT_FALSE(test, units_snoop(domain));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], NULL), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_FALSE(test, units_snoop(domain));
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	KUNIT_EXPECT_TRUE(test, units_snoop(domain));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);

	/* Asked before any attach, as iommufd does. */
	domain = omni_model_domain(m[0]);
	KUNIT_EXPECT_TRUE(test, units_snoop(domain));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[1], domain), -EINVAL);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], domain), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[0], NULL), 0);
}

/* Domain ids: each is used again, never while anything is cached under it. */
static void tags_run_out_and_come_back(struct kunit *test)
{
	/* 14 are enough for all but one. */
	struct omni_model *m = omni_model_create(test);
	struct omni_domain *domain[15];
	struct omni_device *od[15];
	unsigned int i, round;
	u64 pa;

	for (i = 0; i < ARRAY_SIZE(od); i++) {
		od[i] = omni_model_device(m, RID + i, 0);
		domain[i] = omni_model_domain(m);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_4K, SZ_4K, 1,
						    BOTH), 0);
	}
	for (i = 0; i < 14; i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], domain[i]), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od[14], domain[14]), -ENOSPC);
	KUNIT_EXPECT_NE(test, omni_access(m, RID + 14, IOVA, true, &pa), 0);
	for (round = 0; round < 50; round++) {
		unsigned int in = (14 + round) % 15, out = (in + 1) % 15;

		/* The one that leaves has filled the caches. */
		KUNIT_EXPECT_EQ(test, omni_access(m, RID + out, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + out * SZ_4K);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[out], NULL), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[in], domain[in]), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID + in, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + in * SZ_4K);
	}
	for (i = 0; i < ARRAY_SIZE(od); i++)
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->nr_tags), 0);
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

static void units_wait_faults(const struct units_faults *f, unsigned int nr)
{
	unsigned int tries;

	for (tries = 0; tries < 50 && READ_ONCE(f->nr) < nr; tries++)
		msleep(20);
}

static void a_fault_is_reported_to_its_domain(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct units_faults f = { };
	unsigned int i;

	iommu_set_fault_handler(&domain->iommu, units_fault, &f);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + i * SZ_4K, i & 1, NULL), 0);
		units_wait_faults(&f, i + 1);
		KUNIT_EXPECT_EQ(test, f.nr, i + 1);
		KUNIT_EXPECT_EQ(test, f.iova, IOVA + i * SZ_4K);
		KUNIT_EXPECT_EQ(test, f.flags, i & 1 ? IOMMU_FAULT_WRITE : IOMMU_FAULT_READ);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* More faults than records: some are lost, none is made up, and it goes on. */
static void a_fault_storm_is_survived(struct kunit *test)
{
	struct omni_model *m = omni_model_create(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct units_faults f = { };
	unsigned int i;
	u64 before;

	iommu_set_fault_handler(&domain->iommu, units_fault, &f);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 50; i++) {
		m->ops->storm(m, RID, 100);
		if (i & 1)
			usleep_range(100, 2000);
	}
	/* What comes after the storm is reported as before it. */
	for (i = 0; i < 40; i++) {
		before = READ_ONCE(m->unit->counts.faults);
		msleep(250);
		if (before == READ_ONCE(m->unit->counts.faults))
			break;
	}
	KUNIT_EXPECT_GE(test, before, 8);	/* records there are at least */
	KUNIT_EXPECT_LE(test, before, m->faults);
	KUNIT_EXPECT_EQ(test, before, f.nr);
	KUNIT_EXPECT_FALSE(test, m->ops->overflow(m));
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	units_wait_faults(&f, before + 1);
	KUNIT_EXPECT_EQ(test, m->unit->counts.faults, before + 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case units_cases[] = {
	KUNIT_CASE_PARAM(c3_units_serve_different_domains, pair_gen_params),
	KUNIT_CASE_PARAM(c3_units_serve_one_domain_together, ordinary_gen_params),
	KUNIT_CASE_PARAM(c3_a_unit_that_needs_more_is_refused, units_gen_params),
	KUNIT_CASE_PARAM(coherency_is_enforced_by_all_units_or_none, enforce_gen_params),
	KUNIT_CASE_PARAM(tags_run_out_and_come_back, few_tags_gen_params),
	KUNIT_CASE_PARAM(a_fault_is_reported_to_its_domain, ordinary_gen_params),
	KUNIT_CASE_PARAM(a_fault_storm_is_survived, ordinary_gen_params),
	OMNI_CASE_PARAM_SLOW(s2_one_unit_of_two_breaks, ordinary_gen_params),
	{ }
};

static struct kunit_suite units_suite = {
	.name = "omni_units",
	.test_cases = units_cases,
};

kunit_test_suites(&units_suite);
