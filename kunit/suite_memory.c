// SPDX-License-Identifier: GPL-2.0-only
/*
 * No memory: every allocation of an operation fails in turn. The operation
 * says so, leaves everything as it was, and succeeds when memory is back.
 */
#include "inject.h"
#include "kit.h"

#include <linux/iommu.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#define MEMORY_RID	0x0018
#define MEMORY_IOVA	(SZ_1G - 3 * SZ_4K)
#define MEMORY_PAGES	(SZ_2M / SZ_4K + 9)
#define MEMORY_PA	0x40003000ULL

static const struct omni_variant memory_shapes[] = {
	{ "snooped" },
	{ "not-snooped", OMNI_NO_SNOOP_WALKS },
	{ "absent", OMNI_CACHES_ABSENT },
	{ "absent-not-snooped", OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS },
	{ "no-pass-through", OMNI_NO_PASS_THROUGH },
	{ "registers", OMNI_NO_QUEUE },
	{ "signals", OMNI_SIGNALS },
};

OMNI_KIT_PARAM(memory, memory_shapes)

static struct omni_model *memory_model(struct kunit *test)
{
	inject_need(test);
	return omni_model_create(test);
}

static struct omni_domain *memory_domain(struct omni_model *m)
{
	struct omni_domain *domain = omni_model_domain(m);

	domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
	return domain;
}

/* A domain is made whole or not at all. */
static void memory_domain_create(struct kunit *test)
{
	struct omni_model *m = memory_model(test);
	long live = omni_tables_live();
	struct omni_domain *domain;
	struct inject i;

	inject_each(test, i) {
		inject(i.nth);
		domain = m->ops->domain(m);
		inject_judge(test, &i, PTR_ERR_OR_ZERO(domain));
		if (!IS_ERR(domain)) {
			KUNIT_EXPECT_EQ(test, omni_tables_live(), live + omni_kit(test)->roots);
			KUNIT_EXPECT_NOT_NULL(test, domain->pt.root);
			KUNIT_EXPECT_NOT_NULL(test, rcu_access_pointer(domain->reach));
			omni_domain_free(domain);
		}
		KUNIT_EXPECT_EQ(test, omni_tables_live(), live);
	}
}

static void memory_expect_mapped(struct kunit *test, struct omni_model *m,
				 struct omni_domain *domain, u64 size, bool attached)
{
	u64 at, pa;

	for (at = 0; at < MEMORY_PAGES * SZ_4K; at += SZ_4K) {
		u64 iova = MEMORY_IOVA + at, want = at < size ? MEMORY_PA + at : 0;
		int fault;

		KUNIT_EXPECT_EQ(test, want,
				domain->iommu.ops->iova_to_phys(&domain->iommu, iova));
		if (!attached || at % (64 * SZ_4K))
			continue;
		fault = omni_access(m, MEMORY_RID, iova, true, &pa);
		KUNIT_EXPECT_EQ(test, !fault, !!want);
		if (!fault)
			KUNIT_EXPECT_EQ(test, pa, want);
	}
}

/* The wing's map says how far it came, and what it says is mapped, nothing else. */
static void memory_map_says_how_far(struct kunit *test)
{
	struct omni_model *m = memory_model(test);
	struct inject i;

	inject_each(test, i) {
		struct omni_domain *domain = m->ops->domain(m);
		size_t mapped = 0;
		int ret;

		KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
		inject(i.nth);
		ret = domain->iommu.ops->map_pages(&domain->iommu, MEMORY_IOVA, MEMORY_PA, SZ_4K,
						   MEMORY_PAGES, IOMMU_READ | IOMMU_WRITE,
						   GFP_KERNEL, &mapped);
		inject_judge(test, &i, ret);
		if (!ret)
			KUNIT_EXPECT_EQ(test, mapped, MEMORY_PAGES * SZ_4K);
		memory_expect_mapped(test, m, domain, mapped, false);
		if (mapped)
			KUNIT_EXPECT_EQ(test, mapped,
					omni_test_unmap(domain, MEMORY_IOVA, mapped));
		memory_expect_mapped(test, m, domain, 0, false);
		omni_domain_free(domain);
	}
}

/* The kernel's map undoes what it began; memory back, the same map succeeds. */
static void memory_map_all_or_nothing(struct kunit *test)
{
	struct omni_model *m = memory_model(test);
	struct omni_device *od = omni_model_device(m, MEMORY_RID, 0);
	long live = omni_tables_live();
	struct inject i;

	inject_each(test, i) {
		struct omni_domain *domain = m->ops->domain(m);
		int ret;

		KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
		domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
		KUNIT_ASSERT_EQ(test, 0, omni_test_attach(od, domain));
		/* Not-present entries are cached where the unit does that. */
		memory_expect_mapped(test, m, domain, 0, true);
		inject(i.nth);
		ret = iommu_map(&domain->iommu, MEMORY_IOVA, MEMORY_PA, MEMORY_PAGES * SZ_4K,
				IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
		inject_judge(test, &i, ret);
		if (ret) {
			memory_expect_mapped(test, m, domain, 0, true);
			KUNIT_EXPECT_EQ(test, 0,
					iommu_map(&domain->iommu, MEMORY_IOVA, MEMORY_PA,
						  MEMORY_PAGES * SZ_4K, IOMMU_READ | IOMMU_WRITE,
						  GFP_KERNEL));
		}
		memory_expect_mapped(test, m, domain, MEMORY_PAGES * SZ_4K, true);
		/* An unmap never needs memory. */
		inject(1);
		KUNIT_EXPECT_EQ(test, MEMORY_PAGES * SZ_4K,
				iommu_unmap(&domain->iommu, MEMORY_IOVA, MEMORY_PAGES * SZ_4K));
		KUNIT_EXPECT_FALSE_MSG(test, inject_end(), "unmap allocates");
		memory_expect_mapped(test, m, domain, 0, true);
		KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, NULL));
		omni_domain_free(domain);
		KUNIT_EXPECT_EQ(test, omni_tables_live(), live);
	}
	omni_model_check(test, m);
}

/* An attach that fails leaves the device where it was. */
static void memory_attach(struct kunit *test)
{
	struct omni_model *m = memory_model(test);
	struct omni_device *od = omni_model_device(m, MEMORY_RID, 0);
	struct omni_domain *first = memory_domain(m), *second = memory_domain(m);
	int tags = atomic_read(&m->unit->nr_tags);
	struct inject i;
	unsigned int n;
	u64 pa;

	KUNIT_ASSERT_EQ(test, 0, omni_test_map(first, SZ_1M, SZ_16M, SZ_4K, 1, IOMMU_READ));
	KUNIT_ASSERT_EQ(test, 0, omni_test_map(second, SZ_1M, SZ_32M, SZ_4K, 1, IOMMU_READ));

	/* From blocked, then from one domain to the other. */
	inject_each(test, i) {
		int ret;

		inject(i.nth);
		ret = omni_test_attach(od, first);
		inject_judge(test, &i, ret);
		if (ret) {
			KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->nr_tags), tags);
			KUNIT_EXPECT_NE(test, 0,
					omni_access(m, MEMORY_RID, SZ_1M, false, &pa));
			continue;
		}
		KUNIT_EXPECT_EQ(test, 0, omni_access(m, MEMORY_RID, SZ_1M, false, &pa));
		KUNIT_EXPECT_EQ(test, pa, SZ_16M);
		KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, NULL));
		KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->nr_tags), tags);
	}

	KUNIT_ASSERT_EQ(test, 0, omni_test_attach(od, first));
	inject_each(test, i) {
		int ret;

		inject(i.nth);
		ret = omni_test_attach(od, second);
		inject_judge(test, &i, ret);
		KUNIT_EXPECT_EQ(test, 0, omni_access(m, MEMORY_RID, SZ_1M, false, &pa));
		if (ret) {
			KUNIT_EXPECT_EQ(test, pa, SZ_16M);
		} else {
			KUNIT_EXPECT_EQ(test, pa, SZ_32M);
			KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, first));
		}
		KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->nr_tags), tags + 1);
	}

	/* Leaving can't fail. */
	for (n = 1; n < 8; n++) {
		inject(n);
		KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, n % 2 ? NULL : &omni_identity));
		inject_end();
		KUNIT_EXPECT_EQ(test, atomic_read(&m->unit->nr_tags), tags);
		KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, first));
	}
	KUNIT_EXPECT_EQ(test, 0, omni_test_attach(od, NULL));
	omni_model_check(test, m);
}

/* Requester IDs of a device with many, and of every device there is. */
static void memory_pci_rids(struct kunit *test)
{
	struct omni_model *m = memory_model(test);
	struct omni_device *od = omni_model_device(m, MEMORY_RID, 0);
	struct pci_dev *fake = to_pci_dev(od->dev), *pdev = NULL;
	struct inject i;
	unsigned int n;
	u32 *rids;

	fake->dma_alias_mask = bitmap_zalloc(256, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, fake->dma_alias_mask);
	for (n = 0; n < 20; n++)
		set_bit(n * 7, fake->dma_alias_mask);

	inject_each(test, i) {
		int ret;

		rids = NULL;
		inject(i.nth);
		ret = omni_pci_rids(fake, &rids);
		inject_judge(test, &i, min(ret, 0));
		if (ret < 0) {
			KUNIT_EXPECT_NULL(test, rids);
			continue;
		}
		/* Its own, and those of the aliases that are not its own. */
		KUNIT_ASSERT_EQ(test, ret, 20 + !test_bit(MEMORY_RID & 0xff, fake->dma_alias_mask));
		KUNIT_EXPECT_EQ(test, rids[0], MEMORY_RID);
		kfree(rids);
	}
	/* The list grew twice. */
	KUNIT_EXPECT_GT(test, i.nth, 3);
	bitmap_free(fake->dma_alias_mask);
	fake->dma_alias_mask = NULL;

	for_each_pci_dev(pdev) {
		int ret;

		inject(1);
		ret = omni_pci_rids(pdev, &rids);
		KUNIT_EXPECT_TRUE(test, inject_end());
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		ret = omni_pci_rids(pdev, &rids);
		KUNIT_ASSERT_GT(test, ret, 0);
		KUNIT_EXPECT_EQ(test, rids[0], pci_dev_id(pdev));
		kfree(rids);
	}
}

/* A device of this machine is probed as if the model was its unit. */
static void memory_probe(struct kunit *test)
{
	const struct omni_wing *wing = omni_kit(test)->wing;
	struct omni_model *m = memory_model(test);
	struct pci_dev *pdev = pci_get_device(PCI_ANY_ID, PCI_ANY_ID, NULL);
	struct inject i;

	if (!pdev)
		kunit_skip(test, "the machine has no PCI device");
	m->ops->claim(m, pdev, true);

	inject_each(test, i) {
		struct omni_device *od;

		inject(i.nth);
		od = wing->probe(&pdev->dev);
		inject_judge(test, &i, PTR_ERR_OR_ZERO(od));
		KUNIT_EXPECT_NOT_NULL(test, od);
		if (IS_ERR_OR_NULL(od))
			continue;
		KUNIT_EXPECT_PTR_EQ(test, od->unit, m->unit);
		KUNIT_EXPECT_EQ(test, od->state, OMNI_BLOCKED);
		wing->release(od);
		rcu_barrier();
	}
	m->ops->claim(m, pdev, false);
	pci_dev_put(pdev);
}

/* A unit is claimed whole, or given back whole. */
static void memory_unit_create(struct kunit *test)
{
	const struct omni_wing *wing = omni_kit(test)->wing;
	struct omni_model *m = memory_model(test);
	struct omni_unit *unit = NULL;
	struct inject i;
	long live;

	wing->unit_off(m->unit);
	wing->unit_destroy(m->unit);
	live = omni_tables_live();

	inject_each(test, i) {
		inject(i.nth);
		unit = m->ops->remake(m);
		/* The kernel's request_mem_region() says no more than NULL. */
		inject_judge(test, &i, unit == ERR_PTR(-EBUSY) ? -ENOMEM : PTR_ERR_OR_ZERO(unit));
		KUNIT_EXPECT_NOT_NULL(test, unit);
		if (!IS_ERR_OR_NULL(unit))
			m->ops->whole(test, unit);
		if (!IS_ERR_OR_NULL(unit) && i.failed)
			wing->unit_destroy(unit);
		if (i.failed)
			KUNIT_EXPECT_EQ(test, omni_tables_live(), live);
	}
	/* Unit, register range, queue, tables at least. */
	KUNIT_EXPECT_GT(test, i.nth, 5);

	/* The last one is the model's now. */
	KUNIT_ASSERT_FALSE(test, IS_ERR_OR_NULL(unit));
	/* A fault interrupt that can't be had is done without. */
	inject(1);
	m->ops->adopt(m, unit);
	inject_end();
	KUNIT_EXPECT_EQ(test, 0, wing->unit_on(unit));
}

static struct kunit_case memory_cases[] = {
	KUNIT_CASE_PARAM(memory_domain_create, memory_gen_params),
	KUNIT_CASE_PARAM(memory_map_says_how_far, memory_gen_params),
	KUNIT_CASE_PARAM(memory_map_all_or_nothing, memory_gen_params),
	KUNIT_CASE_PARAM(memory_attach, memory_gen_params),
	KUNIT_CASE_PARAM(memory_pci_rids, memory_gen_params),
	KUNIT_CASE_PARAM(memory_probe, memory_gen_params),
	KUNIT_CASE_PARAM(memory_unit_create, memory_gen_params),
	{}
};

static struct kunit_suite memory_suite = {
	.name = "omni_memory",
	.test_cases = memory_cases,
};

kunit_test_suites(&memory_suite);
