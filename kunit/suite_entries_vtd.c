// SPDX-License-Identifier: GPL-2.0-only
/*
 * Context entries (VT-d r3.1, 9.3): what is invalidated after a transition
 * and in which order, context tables, and what an unassigned device meets.
 */
#include "entries.h"
#include "inject.h"
#include "model_vtd.h"

/* Variants of this vendor only. */
static const struct omni_variant entry_vtd_variants[] = {
	{ "plain" },
	{ "cm", OMNI_CACHES_ABSENT },
	{ "rwbf", OMNI_WRITE_BUFFER },
	{ "incoherent", OMNI_NO_SNOOP_WALKS },
	{ "no_pass_through", OMNI_NO_PASS_THROUGH },
	{ "ats", .ats = 4 },
	{ "ats_cm", OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS, .ats = 4 },
	{ "registers", OMNI_NO_QUEUE },
};

static const void *entry_vtd_gen_params(const void *prev, char *desc)
{
	static struct omni_param params[ARRAY_SIZE(entry_vtd_variants)];
	unsigned int i = prev ? (const struct omni_param *)prev - params + 1 : 0;

	if (i == ARRAY_SIZE(params))
		return NULL;
	params[i] = (struct omni_param){ &vtd_kit, &entry_vtd_variants[i] };
	strscpy(desc, entry_vtd_variants[i].name, KUNIT_PARAM_DESC_SIZE);
	return &params[i];
}

/* Invalidations */

static u16 entries_did(struct entries *e)
{
	u64 words[4];

	e->m->ops->entry(e->m, RID, true, words);
	return FIELD_GET(VTD_CTX_HI_DID, words[1]);
}

static void entries_command(struct kunit *test, struct entries *e, unsigned int *n,
			    const char *what, u64 mask, u64 lo)
{
	struct omni_command cmd = { };

	if (!omni_model_traced(e->m, (*n)++, &cmd)) {
		KUNIT_FAIL(test, "%s: no command %u", what, *n);
		return;
	}
	if ((cmd.raw[0] & mask) != lo)
		KUNIT_FAIL(test, "%s: command %u is %016llx, not %016llx", what, *n,
			   cmd.raw[0], lo);
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
			bool cm = to_vtd_model(e.m)->config.cap & VTD_CAP_CM;
			bool queue = to_vtd_model(e.m)->config.ecap & VTD_ECAP_QI;
			struct omni_command cmd;
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
			omni_model_trace(e.m);
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
			if (omni_model_traced(e.m, n, &cmd))
				KUNIT_FAIL(test, "%s: %016llx is one command too many", what,
					   cmd.raw[0]);
			entries_expect(test, &e, to);
		}
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* Context tables: there or not there. */
static void memory_tables_reserve(struct kunit *test)
{
	struct vtd_model *m;
	u16 rid = PCI_DEVID(0x77, 0);
	struct inject i;

	inject_need(test);
	m = to_vtd_model(omni_model_create(test));
	inject_each(test, i) {
		struct vtd_root *root = &m->unit->root[PCI_BUS_NUM(rid)];
		int ret;

		inject(i.nth);
		ret = vtd_tables_reserve(m->unit, rid);
		inject_judge(test, &i, ret);
		KUNIT_EXPECT_EQ(test, !m->unit->contexts[PCI_BUS_NUM(rid)], !!ret);
		KUNIT_EXPECT_EQ(test, !root->lo, !!ret);
	}
	KUNIT_EXPECT_FALSE(test, vtd_context_is_set(m->unit, rid));
}

static void s4_no_domain_means_blocked(struct kunit *test)
{
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	/* No context table for the bus, then an empty entry. */
	KUNIT_EXPECT_EQ(test, omni_access(e.m, 0x5512, IOVA, true, &pa), 1);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 2);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID + 1, IOVA, false, &pa), 2);
	KUNIT_EXPECT_FALSE(test, vtd_context_is_set(to_vtd_model(e.m)->unit, RID));
	/* A device that goes leaves nothing open. */
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	entries_expect(test, &e, A);
	e.od->leaving = true;
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 2);
	KUNIT_EXPECT_FALSE(test, vtd_context_is_set(to_vtd_model(e.m)->unit, RID));
}

/* As when the module comes to devices at work: identity from the first moment. */
static void s4_identity_before_translation_is_on(struct kunit *test)
{
	struct vtd_unit *unit;
	struct entries e;
	u64 pa;

	entries_setup(test, &e);
	unit = to_vtd_model(e.m)->unit;
	vtd_unit_off(&unit->core);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, IOVA);
	vtd_context_set(unit, RID, vtd_context_identity(unit));
	KUNIT_EXPECT_EQ(test, vtd_unit_on(&unit->core), 0);
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, IOVA);
	KUNIT_EXPECT_TRUE(test, vtd_context_is_set(unit, RID));
	KUNIT_EXPECT_EQ(test, omni_access(e.m, RID + 1, IOVA, true, &pa), 2);
	KUNIT_EXPECT_EQ(test, entries_go(&e, A), 0);
	entries_expect(test, &e, A);
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* PCIe 10.3.6: a depth of 32 is said with 0. */
static void device_tlb_queue_depth(struct kunit *test)
{
	struct omni_command cmd;
	struct entries e;

	entries_setup(test, &e);
	KUNIT_EXPECT_EQ(test, entries_go(&e, e.ats ? A_ATS : A), 0);
	omni_model_trace(e.m);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(e.a, IOVA, SZ_4K), SZ_4K);
	if (e.ats) {
		KUNIT_ASSERT_TRUE(test, omni_model_traced(e.m, 1, &cmd));
		KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_DEVICE_TLB);
		KUNIT_EXPECT_EQ(test, FIELD_GET(VTD_DEVTLB_QDEP, cmd.raw[0]), e.ats % 32);
	} else {
		KUNIT_EXPECT_FALSE(test, omni_model_traced(e.m, 1, &cmd));
	}
	KUNIT_EXPECT_EQ(test, entries_go(&e, BLOCKED), 0);
}

/* What the unit has, its domains have. */
static void domains_are_what_their_unit_is(struct kunit *test)
{
	struct omni_model *m[2];
	struct omni_domain *domain[2];

	m[0] = omni_model_create(test);
	m[1] = omni_model_create_as(test, "small", OMNI_NARROW_WALKS | OMNI_SMALL_LEAVES);
	domain[0] = omni_model_domain(m[0]);
	domain[1] = omni_model_domain(m[1]);
	KUNIT_EXPECT_EQ(test, domain[0]->iommu.pgsize_bitmap, SZ_4K | SZ_2M | SZ_1G);
	KUNIT_EXPECT_EQ(test, domain[1]->iommu.pgsize_bitmap, SZ_4K);
	KUNIT_EXPECT_EQ(test, domain[0]->iommu.geometry.aperture_end, BIT_ULL(48) - 1);
	KUNIT_EXPECT_EQ(test, domain[1]->iommu.geometry.aperture_end, BIT_ULL(39) - 1);
}

static struct kunit_case entries_vtd_cases[] = {
	KUNIT_CASE_PARAM(invalidations_follow_in_order_under_the_old_id, entry_vtd_gen_params),
	KUNIT_CASE_PARAM(s4_no_domain_means_blocked, entry_vtd_gen_params),
	KUNIT_CASE_PARAM(s4_identity_before_translation_is_on, entry_vtd_gen_params),
	KUNIT_CASE_PARAM(memory_tables_reserve, entry_vtd_gen_params),
	KUNIT_CASE_PARAM(device_tlb_queue_depth, entry_vtd_gen_params),
	KUNIT_CASE_PARAM(domains_are_what_their_unit_is, entry_vtd_gen_params),
	{ }
};

static struct kunit_suite entries_vtd_suite = {
	.name = "omni_vtd_entries",
	.test_cases = entries_vtd_cases,
};

kunit_test_suites(&entries_vtd_suite);
