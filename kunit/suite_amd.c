// SPDX-License-Identifier: GPL-2.0-only
/*
 * What only AMD-Vi does (48882 r3.08): leaves of every power of two, trees
 * that grow under running DMA, forced coherency, guest page tables, requesters
 * of system management messages, the commands that follow a device table entry,
 * and device TLBs that do not answer.
 */
#include "model_amd.h"
#include "queue_user.h"

#include <linux/kthread.h>

static struct amd_model *amd_ordinary(struct kunit *test)
{
	return amd_model_create(test, &(struct amd_model_config) { });
}

/* Leaves */

/* 2.2.3: each size there is, walked and cached as what it is, gone when unmapped. */
static void every_leaf_size(struct kunit *test)
{
	struct omni_model *m = &amd_ordinary(test)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	struct rnd_state rnd;
	unsigned int lg2, i, sizes = 0;

	omni_seed(test, &rnd);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for_each_set_bit(lg2, &domain->iommu.pgsize_bitmap, 64) {
		/* None of these has the interrupt range in it. */
		u64 size = BIT_ULL(lg2), iova = 5 * size, pa = size, met;

		/* What the model has of physical addresses. */
		if (lg2 > AMD_MODEL_PA - 1)
			break;
		KUNIT_ASSERT_EQ_MSG(test, omni_test_map(domain, iova, pa, size, 1, BOTH), 0,
				    "2^%u", lg2);
		for (i = 0; i < 20; i++) {
			u64 at = i < 2 ? i * (size - 8) :
				 ((u64)prandom_u32_state(&rnd) << 32 | prandom_u32_state(&rnd)) &
				 (size - 1);

			KUNIT_EXPECT_EQ_MSG(test, omni_access(m, RID, iova + at, i & 1, &met), 0,
					    "2^%u", lg2);
			KUNIT_EXPECT_EQ_MSG(test, met, pa + at, "2^%u", lg2);
			KUNIT_EXPECT_EQ(test, domain->iommu.ops->iova_to_phys(&domain->iommu,
									      iova + at), pa + at);
		}
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova - 1, false, &met), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, iova + size, false, &met), 0);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, iova, size), size);
		for (i = 0; i < 4; i++)
			KUNIT_EXPECT_NE(test, omni_access(m, RID, iova + i * (size / 4), false,
							  &met), 0);
		sizes++;
	}
	KUNIT_EXPECT_GT(test, sizes, 25);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Growth */

struct growth {
	struct omni_model *m;
	u16 rid;
	unsigned long accesses;
	unsigned long refused;
	unsigned long astray;
};

static int growth_dma(void *arg)
{
	struct growth *g = arg;
	u64 pa;

	while (!kthread_should_stop()) {
		g->accesses++;
		if (omni_access(g->m, g->rid, IOVA, g->accesses & 1, &pa))
			g->refused++;
		else if (pa != PA)
			g->astray++;
		cond_resched();
	}
	return 0;
}

#define GROWTH_DEVICES	2

/*
 * S3: while devices are at work in a small tree it gets levels, one by one
 * or several at once. Nothing is refused, and what was mapped is there.
 */
static void a_tree_grows_under_running_dma(struct kunit *test)
{
	struct task_struct *task[GROWTH_DEVICES];
	struct omni_device *od[GROWTH_DEVICES];
	struct growth g[GROWTH_DEVICES] = { };
	struct omni_model *m[GROWTH_DEVICES];
	unsigned int round, i, lg2;
	struct rnd_state rnd;
	long tables = omni_tables_live();

	omni_seed(test, &rnd);
	for (i = 0; i < GROWTH_DEVICES; i++) {
		m[i] = &amd_ordinary(test)->base;
		od[i] = omni_model_device(m[i], RID + i, 4 * i);
		g[i] = (struct growth){ .m = m[i], .rid = RID + i };
	}
	for (round = 0; round < 40 && test->status == KUNIT_SUCCESS; round++) {
		struct omni_domain *domain = omni_model_domain(m[0]);
		u64 entry[4], met;

		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
		for (i = 0; i < GROWTH_DEVICES; i++) {
			KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], domain), 0);
			task[i] = kthread_run(growth_dma, &g[i], "omni-growth%u", i);
			KUNIT_EXPECT_FALSE(test, IS_ERR(task[i]));
		}
		for (lg2 = 22 + omni_below(&rnd, 12); lg2 < 64; lg2 += 1 + omni_below(&rnd, 12)) {
			u64 iova = BIT_ULL(lg2) + (u64)omni_below(&rnd, 200) * SZ_4K;

			for (i = 0; i < GROWTH_DEVICES; i++)
				KUNIT_EXPECT_NE(test, omni_access(m[i], RID + i, iova, true, &met),
						0);
			KUNIT_EXPECT_EQ(test, omni_test_map(domain, iova, PA + SZ_1G, SZ_4K, 1,
							    BOTH), 0);
			for (i = 0; i < GROWTH_DEVICES; i++) {
				met = 0;
				KUNIT_EXPECT_EQ_MSG(test, omni_access(m[i], RID + i, iova, true,
								      &met), 0, "2^%u", lg2);
				KUNIT_EXPECT_EQ(test, met, PA + SZ_1G);
			}
			if (omni_below(&rnd, 2)) {
				KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, iova, SZ_4K), SZ_4K);
				for (i = 0; i < GROWTH_DEVICES; i++)
					KUNIT_EXPECT_NE(test, omni_access(m[i], RID + i, iova, true,
									  &met), 0);
			}
		}
		/* Six levels: mode is bits 11:9. */
		m[0]->ops->entry(m[0], RID, true, entry);
		KUNIT_EXPECT_GE(test, entry[0] >> 9 & 7, 5);
		for (i = 0; i < GROWTH_DEVICES; i++) {
			if (!IS_ERR(task[i]))
				kthread_stop(task[i]);
			KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
		}
		omni_model_domain_free(test, domain);
	}
	for (i = 0; i < GROWTH_DEVICES; i++) {
		KUNIT_EXPECT_EQ(test, g[i].refused, 0);
		KUNIT_EXPECT_EQ(test, g[i].astray, 0);
		KUNIT_EXPECT_GT(test, g[i].accesses, 100);
	}
	KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
}

struct grower {
	struct omni_domain *domain;
	struct completion done;
	unsigned int id;
	int error;
};

/* Maps, each from another corner of what the tree may get to. */
static int grower_run(void *arg)
{
	struct grower *g = arg;
	unsigned int lg2;

	for (lg2 = 63; lg2 >= 30 && !g->error; lg2 -= 3)
		g->error = omni_test_map(g->domain, BIT_ULL(lg2) + (g->id + 1) * SZ_32M,
					 PA + g->id * SZ_1M, SZ_4K, 3, BOTH);
	complete(&g->done);
	return 0;
}

/* Several grow one tree at once, while devices come, go, and wander to another. */
static void several_grow_one_tree(struct kunit *test)
{
	struct omni_model *m = &amd_ordinary(test)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct grower growers[3];
	unsigned int round, i, lg2;
	long tables;

	for (round = 0; round < 60 && test->status == KUNIT_SUCCESS; round++) {
		struct omni_domain *domain, *other;
		u64 met;

		tables = omni_tables_live();
		domain = omni_model_domain(m);
		other = omni_model_domain(m);
		for (i = 0; i < ARRAY_SIZE(growers); i++) {
			struct task_struct *task;

			growers[i] = (struct grower){ .domain = domain, .id = i };
			init_completion(&growers[i].done);
			task = kthread_run(grower_run, &growers[i], "omni-grower%u", i);
			if (IS_ERR(task))
				complete(&growers[i].done);
		}
		for (i = 0; i < 1 + round % 7; i++) {
			KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), 0);
			KUNIT_EXPECT_EQ(test, omni_test_attach(od, i & 1 ? other : NULL), 0);
		}
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), 0);
		for (i = 0; i < ARRAY_SIZE(growers); i++) {
			wait_for_completion(&growers[i].done);
			KUNIT_EXPECT_EQ(test, growers[i].error, 0);
		}
		for (i = 0; i < ARRAY_SIZE(growers); i++)
			for (lg2 = 63; lg2 >= 30; lg2 -= 3) {
				u64 iova = BIT_ULL(lg2) + (i + 1) * SZ_32M;

				met = 0;
				KUNIT_EXPECT_EQ_MSG(test, omni_access(m, RID, iova, true, &met), 0,
						    "2^%u", lg2);
				KUNIT_EXPECT_EQ(test, met, PA + i * SZ_1M);
			}
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
		omni_model_domain_free(test, domain);
		omni_model_domain_free(test, other);
		KUNIT_EXPECT_EQ(test, omni_tables_live(), tables);
	}
}

/* The caches follow before a map is over, or the map says so. */
static void growth_that_cannot_be_shown_fails(struct kunit *test)
{
	struct omni_model *m = &amd_ordinary(test)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	u64 met;

	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
	omni_model_error(m, 0, 1000);
	KUNIT_EXPECT_NE(test, omni_test_map(domain, BIT_ULL(45), PA, SZ_4K, 1, BOTH), 0);
	omni_model_error(m, 0, 0);
	/* The next map shows it. */
	KUNIT_EXPECT_EQ(test, omni_test_map(domain, BIT_ULL(45) + SZ_4K, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, BIT_ULL(45) + SZ_4K, true, &met), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Entries */

static u16 amd_tag(const struct omni_domain *domain)
{
	return rcu_dereference_protected(domain->reach, 1)->units[0].tag;
}

static void amd_expect(struct kunit *test, struct omni_model *m, unsigned int *n,
		       enum omni_cmd kind, const char *what)
{
	struct omni_command cmd = { .kind = OMNI_CMD_KINDS };

	KUNIT_EXPECT_TRUE_MSG(test, omni_model_traced(m, *n, &cmd), "%s: no command %u", what, *n);
	KUNIT_EXPECT_EQ_MSG(test, cmd.kind, kind, "%s: command %u", what, *n);
	++*n;
}

/* 2.4.2: the entry, behind a fence what was cached under the old domain, device TLBs. */
static void invalidations_follow_an_entry(struct kunit *test)
{
	struct omni_model *m = &amd_ordinary(test)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *a = omni_model_domain(m), *b = omni_model_domain(m);
	struct omni_command cmd;
	unsigned int n = 0;
	u16 tag;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, a), 0);
	tag = amd_tag(a);
	omni_model_trace(m);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, b), 0);
	amd_expect(test, m, &n, OMNI_CMD_ENTRY, "a to b");
	amd_expect(test, m, &n, OMNI_CMD_WAIT, "a to b");
	KUNIT_ASSERT_TRUE(test, omni_model_traced(m, n, &cmd));
	KUNIT_EXPECT_EQ(test, cmd.tag, tag);
	KUNIT_EXPECT_FALSE(test, cmd.leaf_only);
	amd_expect(test, m, &n, OMNI_CMD_DOMAIN, "a to b");
	KUNIT_EXPECT_FALSE(test, omni_model_traced(m, n, &cmd));

	/* The fence holds back: F, bit 2. */
	KUNIT_ASSERT_TRUE(test, omni_model_traced(m, 1, &cmd));
	KUNIT_EXPECT_TRUE(test, cmd.raw[0] & BIT_ULL(2));
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* 5.2.2.5, erratum 63: such a requester needs IW, and may still reach nothing. */
static void requesters_of_system_management(struct kunit *test)
{
	struct amd_model_config config = { .sysmgt = true };
	struct omni_model *m = &amd_model_create(test, &config)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	u64 entry[4], met;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	for (i = 0; i < 3; i++) {
		m->ops->entry(m, RID, true, entry);
		/* SysMgt, bits 105:104; IW, bit 62. */
		KUNIT_EXPECT_EQ(test, entry[1] >> 40 & 3, 1);
		KUNIT_EXPECT_TRUE(test, entry[0] & BIT_ULL(62));
		KUNIT_EXPECT_EQ(test, !omni_access(m, RID, IOVA, true, &met), i == 1);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA + SZ_4K, false, &met), 0);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, BIT_ULL(50), true, &met), 0);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, i ? NULL : domain), 0);
	}
}

/* Forced coherency: every leaf from the start, or not at all; nothing is ever cleaned (N6). */
static void coherency_is_forced(struct kunit *test)
{
	struct amd_model *m = amd_ordinary(test);
	struct omni_device *od = omni_model_device(&m->base, RID, 0);
	struct omni_domain *domain;
	unsigned long cleaned = omni_memory_cleaned();
	unsigned int i;

	for (i = 0; i < 2; i++) {
		/* A unit that could not: there is none, but for this one. */
		m->unit->fc = !i;
		domain = omni_model_domain(&m->base);
		KUNIT_EXPECT_EQ(test, domain->iommu.ops->enforce_cache_coherency(&domain->iommu),
				!i);
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 700, BOTH), 0);
		KUNIT_EXPECT_EQ(test, domain->iommu.ops->enforce_cache_coherency(&domain->iommu),
				!i);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
		KUNIT_EXPECT_EQ(test, omni_access(&m->base, RID, IOVA + 5 * SZ_4K, true, NULL), 0);
		KUNIT_EXPECT_EQ(test, m->forced, !i);
		KUNIT_EXPECT_EQ(test, omni_access(&m->base, RID, IOVA + 5 * SZ_4K, true, NULL), 0);
		KUNIT_EXPECT_EQ(test, m->forced, !i);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, 700 * SZ_4K), 700 * SZ_4K);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
		if (i)
			continue;
		/* A domain that forces it is not for a unit that can't. */
		m->unit->fc = false;
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), -EINVAL);
	}
	m->unit->fc = true;
	KUNIT_EXPECT_EQ(test, omni_memory_cleaned(), cleaned);
}

/* The model itself: what it would see of a driver that does not write back. */
static void the_model_sees_what_is_not_written_back(struct kunit *test)
{
	struct amd_model_config config = { .no_snoop = true };
	struct omni_model *m = &amd_model_create(test, &config)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
	KUNIT_EXPECT_EQ(test, omni_model_violations(m), 1);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* A unit without a command for everything is brought up entry by entry. */
static void units_without_invalidate_all(struct kunit *test)
{
	struct amd_model_config config = { .efr = 2ULL << 10 };
	struct omni_model *m = &amd_model_create(test, &config)->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	u64 pa;

	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &pa), 0);
	KUNIT_EXPECT_GE(test, omni_model_done(m, OMNI_CMD_ENTRY), 0x5800);
	KUNIT_EXPECT_GE(test, omni_model_done(m, OMNI_CMD_DOMAIN), 65536);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Guest page tables (2.2.6), beside what common suites do with them */

static struct amd_model *amd_guest(struct kunit *test, const char *name, unsigned int gats)
{
	const struct amd_model_config config = {
		.name = name,
		.efr = AMD_MODEL_EFR | AMD_MODEL_EFR_V2 | AMD_MODEL_EFR_GATS(gats),
		.v2 = true,
	};

	return amd_model_create(test, &config);
}

static struct omni_domain *amd_domain_v1(struct kunit *test, struct amd_model *m)
{
	struct omni_domain *domain = amd_domain_create(m->unit, false, NUMA_NO_NODE);

	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	return domain;
}

/* The entry in figures: mode, GV, GIOV, GLX; and where the parts of GCR3 lead to. */
static void guest_expect_entry(struct kunit *test, struct omni_model *m, bool guest,
			       unsigned int levels)
{
	u64 entry[4], gcr3, first;

	m->ops->entry(m, RID, true, entry);
	KUNIT_EXPECT_EQ(test, entry[2] >> 52, levels == 5 ? 4 : 0);
	KUNIT_EXPECT_EQ(test, !(entry[0] & 0xe00), guest);
	KUNIT_EXPECT_EQ(test, entry[0] >> 52 & 0x1ff, guest ? (entry[0] >> 52 & 0x1c0) | 0xc : 0);
	gcr3 = (entry[0] >> 58 & 7) << 12 | (entry[1] >> 16 & 0xffff) << 15 | entry[1] >> 43 << 31;
	KUNIT_EXPECT_EQ(test, !gcr3, !guest);
	if (!guest)
		return;
	first = *(u64 *)phys_to_virt(gcr3);
	KUNIT_EXPECT_EQ(test, first & 0xfff0000000000fff, 1);
	KUNIT_EXPECT_FALSE(test, memchr_inv(phys_to_virt(gcr3) + 8, 0, SZ_4K - 8));
}

/* S3: from host to guest page tables and back; what follows is of the old kind. */
static void entries_change_their_format(struct kunit *test)
{
	struct amd_model *amd = amd_guest(test, "guest", 0);
	struct omni_model *m = &amd->base;
	struct omni_device *od = omni_model_device(m, RID, 4);
	struct omni_domain *domain[2];
	unsigned int i, n;
	u64 met;

	domain[0] = amd_domain_v1(test, amd);
	domain[1] = omni_model_domain(m);
	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, omni_test_map(domain[i], IOVA, PA + i * SZ_4K, SZ_4K, 1,
						    BOTH), 0);
	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain[0]), 0);
	guest_expect_entry(test, m, false, 4);
	for (i = 1; i < 5; i++) {
		struct omni_command cmd;
		u16 tag = amd_tag(domain[!(i & 1)]);

		/* It fills unit and device TLB. */
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
		KUNIT_EXPECT_EQ(test, met, PA + !(i & 1) * SZ_4K);
		omni_model_trace(m);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain[i & 1]), 0);
		guest_expect_entry(test, m, i & 1, 4);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, &met), 0);
		KUNIT_EXPECT_EQ(test, met, PA + (i & 1) * SZ_4K);
		n = 0;
		amd_expect(test, m, &n, OMNI_CMD_ENTRY, "change");
		amd_expect(test, m, &n, OMNI_CMD_WAIT, "change");
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m, n, &cmd));
		KUNIT_EXPECT_EQ(test, cmd.tag, tag);
		/* GN, bit 2; PASID 0. */
		KUNIT_EXPECT_EQ(test, cmd.raw[1] >> 2 & 1, !(i & 1));
		KUNIT_EXPECT_EQ(test, cmd.raw[0] & GENMASK_ULL(19, 0), 0);
		amd_expect(test, m, &n, OMNI_CMD_DOMAIN, "change");
		amd_expect(test, m, &n, OMNI_CMD_WAIT, "change");
		KUNIT_ASSERT_TRUE(test, omni_model_traced(m, n, &cmd));
		KUNIT_EXPECT_EQ(test, cmd.raw[1] >> 2 & 1, !(i & 1));
		amd_expect(test, m, &n, OMNI_CMD_DEVICE_TLB, "change");
		KUNIT_EXPECT_FALSE(test, omni_model_traced(m, n, &cmd));
	}
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	omni_domain_free(domain[0]);
}

/* What is mapped can be read; what was not mapped for writing is not written. */
static void guest_permissions(struct kunit *test)
{
	static const int prots[] = { IOMMU_READ, IOMMU_WRITE, BOTH };
	struct amd_model *amd = amd_guest(test, "guest", 0);
	struct omni_model *m = &amd->base;
	struct omni_device *od = omni_model_device(m, RID, 0);
	struct omni_domain *domain = omni_model_domain(m);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		u64 iova = IOVA + i * SZ_4K;

		KUNIT_ASSERT_EQ(test, omni_test_map(domain, iova, PA, SZ_4K, 1, prots[i]), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, iova, false, NULL), 0);
		KUNIT_EXPECT_EQ(test, !omni_access(m, RID, iova, true, NULL), i > 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, iova, false, NULL), 0);
	}
	KUNIT_EXPECT_EQ(test, omni_test_map(domain, IOVA + SZ_1M, PA, SZ_4K, 1, 0), -EINVAL);
	/* A and D are there already: the unit has nothing to write. */
	KUNIT_EXPECT_EQ(test, amd->touched, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

/* Four and five levels: every leaf, from the first address to the last. */
static void guest_levels_and_leaves(struct kunit *test)
{
	static const u64 sizes[] = { SZ_4K, SZ_2M, SZ_1G };
	unsigned int gats, i;

	for (gats = 0; gats < 2; gats++) {
		struct omni_model *m = &amd_guest(test, gats ? "five" : "four", gats)->base;
		struct omni_device *od = omni_model_device(m, RID, 0);
		struct omni_domain *domain = omni_model_domain(m);
		/* The highest bit stays free: the sign of what others extend. */
		u64 end = BIT_ULL(gats ? 56 : 47), met;

		KUNIT_EXPECT_EQ(test, domain->iommu.geometry.aperture_end, end - 1);
		KUNIT_EXPECT_EQ(test, domain->iommu.pgsize_bitmap, SZ_4K | SZ_2M | SZ_1G);
		KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
		guest_expect_entry(test, m, true, 4 + gats);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			u64 at[] = { 0, BIT_ULL(30) * 5, BIT_ULL(39) + SZ_1G, end - sizes[i] };
			unsigned int k;

			for (k = 0; k < ARRAY_SIZE(at); k++) {
				KUNIT_ASSERT_EQ(test, omni_test_map(domain, at[k], PA, sizes[i],
								    1, BOTH), 0);
				KUNIT_EXPECT_EQ(test, omni_access(m, RID, at[k], true, &met), 0);
				KUNIT_EXPECT_EQ(test, met, PA);
				KUNIT_EXPECT_EQ(test, omni_access(m, RID, at[k] + sizes[i] - 8,
								  false, &met), 0);
				KUNIT_EXPECT_EQ(test, met, PA + sizes[i] - 8);
				KUNIT_EXPECT_NE(test, omni_access(m, RID, at[k] + sizes[i], false,
								  &met), 0);
				KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, at[k], sizes[i]),
						sizes[i]);
				KUNIT_EXPECT_NE(test, omni_access(m, RID, at[k], true, &met), 0);
			}
		}
		KUNIT_EXPECT_EQ(test, omni_test_map(domain, end, PA, SZ_4K, 1, BOTH), -ERANGE);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	}
}

/* Who gets which tables, what is said of them, and who serves whom. */
static void guest_tables_where_the_unit_has_them(struct kunit *test)
{
	static const struct {
		const char *name;
		u64 efr;
		bool v2;
	} units[] = {
		{ "four", AMD_MODEL_EFR_V2, true },
		{ "five", AMD_MODEL_EFR_V2 | AMD_MODEL_EFR_GATS(1), true },
		{ "no guest tables", BIT_ULL(48) },
		{ "PASIDs only", BIT_ULL(4) },
	};
	struct omni_domain *domain[ARRAY_SIZE(units)], *v1;
	struct amd_model *m[ARRAY_SIZE(units)];
	struct omni_device *od[ARRAY_SIZE(units)];
	unsigned int i, k;
	u64 entry[4];

	for (i = 0; i < ARRAY_SIZE(units); i++) {
		const struct amd_model_config config = {
			.name = units[i].name,
			.efr = AMD_MODEL_EFR | AMD_MODEL_EFR_HA | AMD_MODEL_EFR_HD | units[i].efr,
			.v2 = true,
		};

		m[i] = amd_model_create(test, &config);
		od[i] = omni_model_device(&m[i]->base, RID, 0);
		KUNIT_EXPECT_EQ(test, m[i]->unit->v2, units[i].v2);
		domain[i] = amd_wing.domain_alloc(od[i], false);
		KUNIT_ASSERT_FALSE(test, IS_ERR(domain[i]));
		KUNIT_EXPECT_EQ(test, amd_domain_enforce_coherency(&domain[i]->iommu),
				!units[i].v2);
		KUNIT_EXPECT_EQ(test, amd_wing.capable(od[i], IOMMU_CAP_ENFORCE_CACHE_COHERENCY),
				!units[i].v2);
		/* What is asked for dirty pages has host page tables. */
		v1 = amd_wing.domain_alloc(od[i], true);
		KUNIT_ASSERT_FALSE(test, IS_ERR(v1));
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], v1), 0);
		m[i]->base.ops->entry(&m[i]->base, RID, true, entry);
		KUNIT_EXPECT_EQ(test, entry[0] >> 9 & 7, 3);
		KUNIT_EXPECT_EQ(test, omni_test_attach(od[i], NULL), 0);
		omni_domain_free(v1);
	}
	for (i = 0; i < ARRAY_SIZE(units); i++)
		for (k = 0; k < ARRAY_SIZE(units); k++) {
			/* Host page tables are for every unit. */
			bool fits = i == k || !units[i].v2;

			KUNIT_EXPECT_EQ_MSG(test, omni_test_attach(od[k], domain[i]),
					    fits ? 0 : -EINVAL, "%s by %s", units[i].name,
					    units[k].name);
			KUNIT_EXPECT_EQ(test, omni_test_attach(od[k], NULL), 0);
		}
	for (i = 0; i < ARRAY_SIZE(units); i++)
		omni_domain_free(domain[i]);
}

/* Queue */

static const struct omni_param amd_param = { &amd_kit, omni_ordinary };

static void disturb_iotlb(struct omni_model *m)
{
	amd_model_iotlb(to_amd_model(m), 1);
}

/* 2.5.8 */
static void silent_device_tlbs_are_asked_again(struct kunit *test)
{
	struct omni_model *m;

	test->param_value = &amd_param;
	m = omni_model_create(test);
	queue_race(test, m, 4, 600, disturb_iotlb);
	amd_model_iotlb(to_amd_model(m), 0);
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 0);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
}

static void a_silent_device_tlb_once(struct kunit *test)
{
	struct queue_user user;
	struct omni_model *m;
	unsigned int i;
	u64 errors;

	test->param_value = &amd_param;
	m = omni_model_create(test);
	queue_user_init(test, &user, m, 0, 4);
	for (i = 0; i < 60; i++) {
		errors = m->unit->counts.queue_errors;
		if (i & 1)
			amd_model_iotlb(to_amd_model(m), 1 + i / 2 % 2);
		else
			omni_model_error(m, 0, 1 + i / 2 % 2);
		queue_round(&user);
		KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, errors);
	}
	queue_expect_good(test, &user);
	KUNIT_EXPECT_EQ(test, omni_test_attach(user.od, NULL), 0);
}

/*
 * S1, 2.5: a device TLB does not answer, and the log that should tell is full of
 * other things.
 */
static void a_full_log_hides_no_silent_device_tlb(struct kunit *test)
{
	struct omni_model *m = &amd_ordinary(test)->base;
	struct omni_device *od = omni_model_device(m, RID, 4);
	struct omni_domain *domain = omni_model_domain(m);
	unsigned int i, full = 0;

	KUNIT_ASSERT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < 60; i++) {
		KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, BOTH), 0);
		KUNIT_EXPECT_EQ(test, omni_access(m, RID, IOVA, true, NULL), 0);
		if (i & 1)
			m->ops->storm(m, RID, 300);
		full += m->ops->overflow(m);
		amd_model_iotlb(to_amd_model(m), 1);
		KUNIT_EXPECT_EQ(test, omni_test_unmap(domain, IOVA, SZ_4K), SZ_4K);
		KUNIT_EXPECT_NE(test, omni_access(m, RID, IOVA, true, NULL), 0);
		KUNIT_EXPECT_EQ(test, to_amd_model(m)->iotlb_left, 0);
	}
	KUNIT_EXPECT_GT(test, full, 5);
	/* Half of the time it could tell. */
	KUNIT_EXPECT_GT(test, m->unit->counts.queue_errors, 5);
	KUNIT_EXPECT_EQ(test, m->unit->counts.timeouts, 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
}

static struct kunit_case amd_cases[] = {
	KUNIT_CASE(every_leaf_size),
	KUNIT_CASE(a_tree_grows_under_running_dma),
	KUNIT_CASE(several_grow_one_tree),
	KUNIT_CASE(growth_that_cannot_be_shown_fails),
	KUNIT_CASE(invalidations_follow_an_entry),
	KUNIT_CASE(requesters_of_system_management),
	KUNIT_CASE(coherency_is_forced),
	KUNIT_CASE(entries_change_their_format),
	KUNIT_CASE(guest_permissions),
	KUNIT_CASE(guest_levels_and_leaves),
	KUNIT_CASE(guest_tables_where_the_unit_has_them),
	KUNIT_CASE(the_model_sees_what_is_not_written_back),
	KUNIT_CASE_SLOW(units_without_invalidate_all),
	KUNIT_CASE(silent_device_tlbs_are_asked_again),
	KUNIT_CASE(a_silent_device_tlb_once),
	KUNIT_CASE(a_full_log_hides_no_silent_device_tlb),
	{ }
};

static struct kunit_suite amd_suite = {
	.name = "omni_amd",
	.test_cases = amd_cases,
};

kunit_test_suites(&amd_suite);
