// SPDX-License-Identifier: GPL-2.0-only
/* Units. */
#include "model_vtd.h"

static void smoke(struct kunit *test)
{
	struct vtd_model *m = vtd_model_create(test, &(struct vtd_model_config) { });
	struct omni_device *od = vtd_model_device(test, m, 0x18, 0);
	struct omni_domain *d = vtd_domain_create(m->unit, NUMA_NO_NODE);
	u64 pa;

	KUNIT_ASSERT_FALSE(test, IS_ERR(d));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, d), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, 0x18, 0x1000, false, &pa), 6);
	KUNIT_EXPECT_EQ(test, omni_test_map(d, 0x1000, 0x5000, SZ_4K, 4, IOMMU_READ), 0);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, 0x18, 0x2008, false, &pa), 0);
	KUNIT_EXPECT_EQ(test, pa, 0x6008);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(d, 0x1000, 0x4000), 0x4000);
	KUNIT_EXPECT_EQ(test, vtd_model_access(m, 0x18, 0x2008, false, &pa), 6);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	vtd_domain_free(d);
}

static struct kunit_case cases[] = { KUNIT_CASE(smoke), {} };
static struct kunit_suite suite = { .name = "omni_units", .test_cases = cases };
kunit_test_suites(&suite);
