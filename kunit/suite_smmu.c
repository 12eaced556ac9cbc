// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only an SMMUv3 does (IHI 0070): stage 2, stream tables of one level,
 * contiguous leaves, commands a page where there are no ranges, the commands
 * that follow an entry, and errors of its queue.
 */
#include "model_smmu.h"
#include "nc_world.h"
#include "queue_user.h"

#include <linux/delay.h>

/* Units of all kinds */

static const struct smmu_model_config smmu_kinds[] = {
	{ "ordinary", .idr3 = SMMU_MODEL_IDR3 },
	{ "no_ranges" },
	{ "linear", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_TWO_LEVEL,
	  .idr1 = (SMMU_MODEL_IDR1 & ~63) | 12 },
	{ "few_streams", .idr1 = (SMMU_MODEL_IDR1 & ~63) | 7 },
	{ "stage_2", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr3 = SMMU_MODEL_IDR3 },
	{ "stage_2_no_ranges", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P },
	{ "stage_2_not_snooped", .idr3 = SMMU_MODEL_IDR3,
	  .idr0 = SMMU_MODEL_IDR0 & ~(SMMU_MODEL_S1P | SMMU_MODEL_COHACC) },
	/* 42 and 44 bits of output: three levels, and the fewest bits for four. */
	{ "stage_2_three_levels", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr5 = 3 | BIT(4) },
	{ "stage_2_44_bits", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr5 = 4 | BIT(4) },
	/* The other granules. With 16K, stage 2 has one table at its first level. */
	{ "16k", .idr5 = 5 | SMMU_MODEL_16K, .page_lg2 = 14, .idr3 = SMMU_MODEL_IDR3 },
	{ "64k", .idr5 = 5 | SMMU_MODEL_64K, .page_lg2 = 16, .idr3 = SMMU_MODEL_IDR3 },
	{ "16k_and_64k", .idr5 = 5 | SMMU_MODEL_16K | SMMU_MODEL_64K, .page_lg2 = 16 },
	{ "64k_no_ranges", .idr5 = 5 | SMMU_MODEL_64K, .page_lg2 = 16 },
	{ "64k_not_snooped", .idr5 = 5 | SMMU_MODEL_64K, .page_lg2 = 16,
	  .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_COHACC },
	{ "stage_2_16k", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr3 = SMMU_MODEL_IDR3,
	  .idr5 = 5 | SMMU_MODEL_16K, .page_lg2 = 14 },
	{ "stage_2_16k_42_bits", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P,
	  .idr5 = 3 | SMMU_MODEL_16K, .page_lg2 = 14 },
	{ "stage_2_16k_40_bits", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P,
	  .idr5 = 2 | SMMU_MODEL_16K, .page_lg2 = 14 },
	{ "stage_2_64k", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr3 = SMMU_MODEL_IDR3,
	  .idr5 = 5 | SMMU_MODEL_64K, .page_lg2 = 16 },
	{ "stage_2_64k_42_bits", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P,
	  .idr5 = 3 | SMMU_MODEL_64K, .page_lg2 = 16 },
	{ "stage_1_alone", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S2P },
	{ "few_tags", .idr0 = SMMU_MODEL_IDR0 & ~(BIT(12) | BIT(18)) },
	{ "no_wire", .no_wire = true },
	{ "speculating", .idr3 = SMMU_MODEL_IDR3, .evict = true, .speculate = true },
	/* Stalls can't be switched off; they can't be had. */
	{ "stalls_forced", .idr0 = SMMU_MODEL_IDR0 | 2 << 24 },
	{ "signals", .idr0 = SMMU_MODEL_IDR0 | SMMU_MODEL_MSI },
	/* Waits sleep: for an event, for a write; or can't, without a timer's. */
	{ "events", .idr0 = SMMU_MODEL_IDR0 | SMMU_MODEL_SEV, .dozes = true },
	{ "writes", .idr0 = SMMU_MODEL_IDR0 | SMMU_MODEL_MSI, .dozes = true },
	{ "no_timer", .idr0 = SMMU_MODEL_IDR0 | SMMU_MODEL_SEV },
	{ "no_stalls", .idr0 = SMMU_MODEL_IDR0 | 1 << 24 },
};

KUNIT_ARRAY_PARAM_DESC(kind, smmu_kinds, name);

static struct omni_model *smmu_kind(struct kunit *test)
{
	return &smmu_model_create(test, test->param_value)->base;
}

static struct omni_model *smmu_named(struct kunit *test, const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(smmu_kinds); i++)
		if (!strcmp(smmu_kinds[i].name, name))
			return &smmu_model_create(test, &smmu_kinds[i])->base;
	KUNIT_FAIL_AND_ABORT(test, "no such kind");
	return NULL;
}

static u64 smmu_page(const struct omni_domain *domain)
{
	return BIT_ULL(__ffs(domain->iommu.pgsize_bitmap));
}

/* Each size of leaf, walked and cached as what it is, gone when unmapped. */
static void every_leaf_on_every_unit(struct kunit *test)
{
	struct omni_model *m = smmu_kind(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct rnd_state rnd;
	unsigned int lg2, i;
	u64 met;

	omni_seed(test, &rnd);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for_each_set_bit(lg2, &domain->iommu.pgsize_bitmap, 64) {
		u64 size = BIT_ULL(lg2), base = max(size, SZ_1G);
		u64 iova = base + 3 * size, pa = base + size;

		KUNIT_ASSERT_EQ_MSG(test, omni_test_map(domain, iova, pa, size, 2, BOTH), 0,
				    "2^%u", lg2);
		for (i = 0; i < 20; i++) {
			u64 at = i < 2 ? i * (2 * size - 8) : prandom_u32_state(&rnd) & (size - 1);

			KUNIT_EXPECT_EQ_MSG(test, omni_access(m, RID, iova + at, i & 1, &met), 0,
					    "2^%u", lg2);
			KUNIT_EXPECT_EQ_MSG(test, met, pa + at, "2^%u", lg2);
			KUNIT_EXPECT_EQ(test, domain->iommu.ops->iova_to_phys(&domain->iommu,
									      iova + at), pa + at);
		}
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova - 1, false, &met), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova + 2 * size, false, &met), 0);
		/* The second leaf goes, and the first stays. */
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, iova + size, size), size);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova + size, false, &met), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, iova + size - 8, true, &met), 0);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, iova, size), size);
		for (i = 0; i < 4; i++)
			KUNIT_EXPECT_NE(test, omni_access(m, RID, iova + i * (size / 4), false,
							  &met), 0);
	}
	/* Identity and back: what was cached for the domain is not met. */
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, SZ_1G, smmu_page(domain), 1, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, &omni_identity), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
	KUNIT_EXPECT_EQ(test, met, IOVA);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, &met), 0);
}

/* What a device may do with a page is what it was mapped for; stage 1 knows no write alone. */
static void permissions_of_every_unit(struct kunit *test)
{
	struct omni_model *m = smmu_kind(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	bool stage1 = !to_smmu_domain(domain)->stage2;
	u64 page = smmu_page(domain), met;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, SZ_1G, page, 1, IOMMU_READ), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA + page, SZ_1G, page, 1, IOMMU_WRITE), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, false, &met), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, &met), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + page, true, &met), 0);
	KUNIT_EXPECT_EQ(test, !omni_access(m, RID, IOVA + page, false, &met), stage1);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 2 * page), 2 * page);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Faults come by the wire, or are found by looking. */
static void a_fault_is_counted(struct kunit *test)
{
	struct omni_model *m = smmu_kind(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	unsigned int tries;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	for (tries = 0; tries < 100 && !READ_ONCE(m->unit->counts.faults); tries++)
		msleep(20);
	KUNIT_EXPECT_GE(test, m->unit->counts.faults, 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Commands */

/* F5: a page a command, up to what goes out at once; then all of the tag. */
static void without_ranges_pages_go_one_by_one(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "no_ranges");
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct omni_command cmd;
	unsigned int nr, i;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (nr = 1; nr < 20; nr++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, nr, BOTH), 0);
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA + i * SZ_4K, true, NULL), 0);
		omni_model_trace(m);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, nr * SZ_4K), nr * SZ_4K);
		for (i = 0; i < nr; i++)
			KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + i * SZ_4K, true, NULL), 0);
		for (i = 0; i < nr && nr <= 16; i++) {
			KUNIT_ASSERT_TRUE(test, omni_model_traced(m, i, &cmd));
			KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_PAGES);
			KUNIT_EXPECT_EQ(test, cmd.first, (IOVA >> 12) + i);
			KUNIT_EXPECT_EQ(test, cmd.last, cmd.first);
		}
		if (nr > 16) {
			KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 0, &cmd));
			KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_DOMAIN);
			i = 1;
		}
		KUNIT_EXPECT_FALSE(test, omni_model_traced(m, i, &cmd));
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* What the command that ends an unmap says of levels: the manual's, 0 for none. */
static unsigned int smmu_told(struct kunit *test, struct omni_model *m)
{
	struct omni_command cmd;

	KUNIT_EXPECT_TRUE(test, omni_model_traced(m, 0, &cmd));
	KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_PAGES);
	return (cmd.raw[1] >> 8) & 3;
}

/* Two unmaps that end in one flush. */
static void smmu_unmap_both(struct kunit *test, struct omni_domain *domain, u64 a, u64 b,
			    u64 size_a, u64 size_b)
{
	const struct iommu_domain_ops *ops = domain->iommu.ops;
	struct iommu_iotlb_gather gather;

	iommu_iotlb_gather_init(&gather);
	KUNIT_EXPECT_EQ(test, ops->unmap_pages(&domain->iommu, a, size_a, 1, &gather), size_a);
	KUNIT_EXPECT_EQ(test, ops->unmap_pages(&domain->iommu, b, size_b, 1, &gather), size_b);
	ops->iotlb_sync(&domain->iommu, &gather);
}

static const struct smmu_model_config smmu_telling[] = {
	{ "4k", .idr3 = SMMU_MODEL_IDR3 },
	{ "16k", .idr5 = 5 | SMMU_MODEL_16K, .page_lg2 = 14, .idr3 = SMMU_MODEL_IDR3 },
	{ "64k", .idr5 = 5 | SMMU_MODEL_64K, .page_lg2 = 16, .idr3 = SMMU_MODEL_IDR3 },
	{ "stage_2", .idr0 = SMMU_MODEL_IDR0 & ~SMMU_MODEL_S1P, .idr3 = SMMU_MODEL_IDR3 },
};

KUNIT_ARRAY_PARAM_DESC(telling, smmu_telling, name);

/* The model drops nothing of another level than it is told. */
static void the_level_of_leaves_is_told(struct kunit *test)
{
	struct omni_model *m = smmu_kind(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	unsigned int page = __ffs(domain->iommu.pgsize_bitmap), lg2, i;
	u64 small = BIT_ULL(page), large = BIT_ULL(2 * page - 3);
	u64 at = 64ULL * SZ_1G, far = at + 4 * large;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for_each_set_bit(lg2, &domain->iommu.pgsize_bitmap, 64) {
		/* One leaf, and three: each of one level. */
		for (i = 1; i <= 3; i += 2) {
			u64 size = (u64)i << lg2, end = at + size - 8;

			KUNIT_ASSERT_EQ(test, omni_test_map(domain, at, at, BIT_ULL(lg2), i, BOTH),
					0);
			KUNIT_EXPECT_EQ(test, omni_access(m, RID, end, true, NULL), 0);
			omni_model_trace(m);
			KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, at, size), size);
			KUNIT_EXPECT_EQ_MSG(test, smmu_told(test, m), 3 - (lg2 - page) / (page - 3),
					    "2^%u", lg2);
			KUNIT_EXPECT_NE(test, omni_access(m, RID, end, true, NULL), 0);
		}
	}
	/* A table goes, which its leaves were in; alone, and with a leaf of the next one. */
	for (i = 0; i < 2; i++) {
		u64 size = large + i * small;

		KUNIT_ASSERT_EQ(test, omni_test_map(domain, at, at, small, size / small, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, at + size - 8, true, NULL), 0);
		omni_model_trace(m);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, at, size), size);
		KUNIT_EXPECT_EQ(test, smmu_told(test, m), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, at + size - 8, true, NULL), 0);
	}
	/* Two of one level in one flush, and two of two levels. */
	for (i = 0; i < 2; i++) {
		u64 size = i ? large : small;

		KUNIT_ASSERT_EQ(test, omni_test_map(domain, at, at, small, 1, BOTH), 0);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, far, far, size, 1, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, at, true, NULL), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, far, true, NULL), 0);
		omni_model_trace(m);
		smmu_unmap_both(test, domain, at, far, small, size);
		KUNIT_EXPECT_EQ(test, !smmu_told(test, m), i);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, at, true, NULL), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, far, true, NULL), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* N1, N2: pages of every leaf are clean before a device can reach them, and after. */
static void pages_of_every_granule_are_cleaned(struct kunit *test)
{
	struct cache_model *c = cache_model_create(test, 2);
	struct omni_model *m = smmu_kind(test);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = m->ops->domain(m);
	unsigned int lg2, cleans = 0, i;
	long chunks = omni_nc_chunks();

	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), 0);
	/* No more memory than two leaves of 2M. */
	for_each_set_bit(lg2, &domain->iommu.pgsize_bitmap, 22) {
		size_t size = 2UL << lg2;
		unsigned int pages = size / SZ_4K;

		cache_cpu_all(c, 0, pages, true);
		cache_enter(c, 0, pages);
		KUNIT_EXPECT_EQ(test, iommu_map(&domain->iommu, SZ_1G, cache_pa(c, 0), size,
						NC_BOTH, GFP_KERNEL), 0);
		KUNIT_EXPECT_EQ(test, cache_cleans(c, 0, 1), ++cleans);
		/* That one is in no smaller leaf. */
		KUNIT_EXPECT_EQ(test, cache_cleans(c, pages - 1, 1), 1);
		for (i = 0; i < pages; i++)
			KUNIT_EXPECT_EQ(test, cache_dma(c, m, RID, SZ_1G + i * SZ_4K, i & 1, true),
					0);
		cache_fetch(c, 0, pages);
		KUNIT_EXPECT_EQ(test, iommu_unmap(&domain->iommu, SZ_1G, size), size);
		cache_leave(c, 0, pages);
		cache_cpu_all(c, 0, pages, false);
		KUNIT_EXPECT_EQ(test, cache_cleans(c, 0, 1), ++cleans);
		KUNIT_EXPECT_EQ(test, cache_cleans(c, pages - 1, 1), 2);
	}
	KUNIT_EXPECT_GE(test, cleans, 4);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	omni_domain_free(domain);
	KUNIT_EXPECT_EQ(test, omni_nc_chunks(), chunks);
}

/* 3.9: between TLBs and device TLBs there is a CMD_SYNC, and one doorbell for all. */
static void device_tlbs_come_behind_a_sync(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "ordinary");
	struct omni_device *od = omni_model_device(m, RID, 4);
	struct omni_domain *domain = omni_model_domain(m);
	static const enum omni_cmd want[] = {
		OMNI_CMD_PAGES, OMNI_CMD_WAIT, OMNI_CMD_DEVICE_TLB, OMNI_CMD_WAIT,
	};
	unsigned int i;
	u64 doorbells;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 8, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_model_device_cached(m, RID), 1);
	omni_model_trace(m);
	doorbells = m->doorbells;
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_32K), SZ_32K);
	KUNIT_EXPECT_EQ(test, m->doorbells, doorbells + 1);
	KUNIT_EXPECT_EQ(test, m->nr_trace, ARRAY_SIZE(want));
	for (i = 0; i < ARRAY_SIZE(want); i++)
		KUNIT_EXPECT_EQ(test, m->trace[i].kind, want[i]);
	KUNIT_EXPECT_EQ(test, omni_model_device_cached(m, RID), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* 3.21: the entry, then, when nobody finds the old one any more, what its tag has. */
static void what_follows_an_entry(struct kunit *test)
{
	static const struct {
		const char *kind;
		unsigned int entries;	/* CFGI_STE, from one domain to another */
	} cases[] = { { "ordinary", 1 }, { "stage_2", 3 } };
	unsigned int c, i;

	for (c = 0; c < ARRAY_SIZE(cases); c++) {
		struct omni_model *m = smmu_named(test, cases[c].kind);
		struct omni_domain *a = omni_model_domain(m), *b = omni_model_domain(m);
		struct omni_device *od = omni_model_device(m, RID, 0);
		struct omni_command cmd;
		u16 tag;

		KUNIT_ASSERT_EQ(test, omni_test_attach(od, a), 0);
		tag = rcu_dereference_protected(a->reach, 1)->units[0].tag;
		omni_model_trace(m);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od, b), 0);
		for (i = 0; i < cases[c].entries; i++) {
			KUNIT_ASSERT_TRUE(test, omni_model_traced(m, i, &cmd));
			KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_ENTRY);
			KUNIT_EXPECT_EQ(test, cmd.rid, RID);
		}
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m, i, &cmd));
		KUNIT_EXPECT_EQ(test, cmd.kind, OMNI_CMD_DOMAIN);
		KUNIT_EXPECT_EQ(test, cmd.tag, tag);
		KUNIT_EXPECT_FALSE(test, omni_model_traced(m, i + 1, &cmd));
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
		omni_model_domain_free(test, a);
		omni_model_domain_free(test, b);
		omni_model_destroy(m);
	}
}

/* S3 on stage 2, whose entries are not one word: refused for a moment, astray never. */
struct smmu_steps {
	struct omni_model *m;
	unsigned int met[2];
	unsigned int refused;
	unsigned int astray;
};

static void smmu_step_look(void *arg)
{
	struct smmu_steps *s = arg;
	u64 pa = 0;

	if (omni_access(s->m, RID, IOVA, true, &pa))
		s->refused++;
	else if (pa == PA || pa == PA + SZ_1G)
		s->met[pa != PA]++;
	else
		s->astray++;
}

static void s3_stage_2_is_replaced_by_way_of_blocked(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "stage_2");
	struct omni_domain *domain[2] = { omni_model_domain(m), omni_model_domain(m) };
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct smmu_steps steps = { .m = m };
	unsigned int i;
	u64 pa;

	m->mute = true;
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_1G, SZ_4K, 1,
						    BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain[0]), 0);
	omni_sample_with(smmu_step_look, &steps);
	for (i = 1; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain[i & 1]), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA + (i & 1) * SZ_1G);
	}
	omni_sample_with(NULL, NULL);
	KUNIT_EXPECT_EQ(test, steps.astray, 0);
	KUNIT_EXPECT_GT(test, steps.met[0], 0);
	KUNIT_EXPECT_GT(test, steps.met[1], 0);
	KUNIT_EXPECT_GT(test, steps.refused, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Errors: 7.1 */

/* Commands that fail some times are given again until they do not. */
static void smmu_given_again(struct kunit *test, struct omni_domain *domain,
			     struct omni_model *m, unsigned int pages,
			     void (*fail)(struct smmu_model *m, unsigned int times))
{
	unsigned int times;
	u64 errors;

	for (times = 1; times <= OMNI_RETRIES; times++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, pages, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
		errors = m->unit->counts.queue_errors;
		fail(to_smmu_model(m), times);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, pages * SZ_4K),
				pages * SZ_4K);
		KUNIT_EXPECT_EQ(test, m->unit->counts.queue_errors, errors + times);
		KUNIT_EXPECT_EQ(test, omni_model_device_cached(m, RID), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
		KUNIT_EXPECT_FALSE(test, domain->tainted);
	}
}

/* A device TLB that does not answer is asked again, and in the end given up. */
static void device_tlbs_that_do_not_answer(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "ordinary");
	struct omni_device *od = omni_model_device(m, RID, 4);
	struct omni_domain *domain = omni_model_domain(m);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	smmu_given_again(test, domain, m, 512, smmu_model_atc);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 512, BOTH), 0);
	smmu_model_atc(to_smmu_model(m), 1000);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_2M), SZ_2M);
	smmu_model_atc(to_smmu_model(m), 0);
	KUNIT_EXPECT_TRUE(test, domain->tainted);
	KUNIT_EXPECT_FALSE(test, m->unit->broken);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Commands that could not be read are read again. */
static void a_queue_that_can_not_be_read(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "ordinary");
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	smmu_given_again(test, domain, m, 1, smmu_model_abort);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* A CMD_SYNC whose write to memory gets lost is found complete all the same. */
static void a_signal_that_gets_lost(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "signals");
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 20; i++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
		to_smmu_model(m)->lost_left = 1;
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
		KUNIT_EXPECT_EQ(test, to_smmu_model(m)->lost_left, 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	}
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static const char * const smmu_sleepers[] = { "events", "writes" };

static void smmu_sleeper_name(const char * const *name, char *desc)
{
	strscpy(desc, *name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(sleeper, smmu_sleepers, smmu_sleeper_name);

/* A wait that sleeps ends by what it waits for, by a timer's event, or by its deadline. */
static void a_wait_sleeps_until_an_event(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, *(const char * const *)test->param_value);
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct smmu_model *sm = to_smmu_model(m);
	unsigned long woken = 0;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	/* Slow enough for a wait to fall asleep. */
	omni_model_delay(m, 5000);
	for (i = 0; i < 20; i++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
		sm->lost_left = i & 1;
		sm->event = false;
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
		KUNIT_EXPECT_EQ(test, sm->lost_left, 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
		/* What got lost wakes nobody. */
		if (i & 1)
			KUNIT_EXPECT_EQ(test, sm->woken, woken);
		woken = sm->woken;
	}
	KUNIT_EXPECT_GT(test, woken, 0);
	KUNIT_EXPECT_GT(test, sm->dozed, woken);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
	omni_model_delay(m, 0);

	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	omni_model_hang(m, true);
	KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
	omni_model_hang(m, false);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 1);
	KUNIT_EXPECT_TRUE(test, m->unit->broken);
}

/* The smallest granule counts, and the kernel's pages have to be as large. */
static void granules_larger_than_pages_are_refused(struct kunit *test)
{
	static const struct {
		u32 idr5;
		u8 page_lg2;
		int want;	/* the one that fits is on already */
	} cases[] = {
		{ SMMU_MODEL_16K, 12, -ENODEV },
		{ SMMU_MODEL_16K, 14, -EBUSY },
		{ SMMU_MODEL_64K | SMMU_MODEL_16K, 12, -ENODEV },
		{ SMMU_MODEL_64K, 14, -ENODEV },
		{ SMMU_MODEL_64K | SMMU_MODEL_4K, 12, -EBUSY },
		{ 0, 16, -ENODEV },
	};
	struct smmu_model *m = to_smmu_model(smmu_named(test, "ordinary"));
	struct smmu_unit *unit;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		m->config.idr5 = 5 | cases[i].idr5;
		m->config.page_lg2 = cases[i].page_lg2;
		unit = smmu_unit_create(m->pdev);
		KUNIT_EXPECT_EQ_MSG(test, PTR_ERR_OR_ZERO(unit), cases[i].want, "case %u", i);
	}
	m->config.idr5 = SMMU_MODEL_IDR5;
	m->config.page_lg2 = 0;
}

/* L1: a stream that was open closes, unless somebody has it. */
static void an_open_stream_closes(struct kunit *test)
{
	struct omni_model *m = smmu_named(test, "ordinary");
	struct smmu_unit *unit = to_smmu_model(m)->unit;
	struct omni_device *od;

	KUNIT_EXPECT_EQ(test, smmu_tables_open(unit, RID), 0);
	KUNIT_EXPECT_EQ(test, smmu_tables_open(unit, RID + 1), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, smmu_tables_close(unit, RID), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID + 1, IOVA, true, NULL), 0);
	od = omni_model_device(m, RID + 1, 0);
	KUNIT_EXPECT_EQ(test, smmu_tables_close(unit, RID + 1), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID + 1, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	/* One that there never was. */
	KUNIT_EXPECT_EQ(test, smmu_tables_close(unit, 0x7700), 0);
}

static struct kunit_case smmu_cases[] = {
	KUNIT_CASE_PARAM(every_leaf_on_every_unit, kind_gen_params),
	KUNIT_CASE_PARAM(permissions_of_every_unit, kind_gen_params),
	KUNIT_CASE_PARAM(a_fault_is_counted, kind_gen_params),
	KUNIT_CASE(without_ranges_pages_go_one_by_one),
	KUNIT_CASE_PARAM(the_level_of_leaves_is_told, telling_gen_params),
	KUNIT_CASE_PARAM(pages_of_every_granule_are_cleaned, telling_gen_params),
	KUNIT_CASE(device_tlbs_come_behind_a_sync),
	KUNIT_CASE(what_follows_an_entry),
	KUNIT_CASE(s3_stage_2_is_replaced_by_way_of_blocked),
	KUNIT_CASE(device_tlbs_that_do_not_answer),
	KUNIT_CASE(a_queue_that_can_not_be_read),
	KUNIT_CASE(a_signal_that_gets_lost),
	KUNIT_CASE_PARAM(a_wait_sleeps_until_an_event, sleeper_gen_params),
	KUNIT_CASE(granules_larger_than_pages_are_refused),
	KUNIT_CASE(an_open_stream_closes),
	{ }
};

static struct kunit_suite smmu_suite = {
	.name = "omni_smmu",
	.test_cases = smmu_cases,
};

kunit_test_suites(&smmu_suite);
