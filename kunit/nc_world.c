// SPDX-License-Identifier: GPL-2.0-only
/* The fixture of the tracker's suites. */
#include "nc_world.h"

#include <linux/iommu.h>

const struct omni_variant nc_enforce_shapes[4] = {
	{ "snooped", OMNI_TRACKS | OMNI_ENFORCES },
	{ "not-snooped", OMNI_TRACKS | OMNI_ENFORCES | OMNI_NO_SNOOP_WALKS },
	{ "caching-mode", OMNI_TRACKS | OMNI_ENFORCES | OMNI_CACHES_ABSENT |
			  OMNI_NO_SNOOP_WALKS },
	{ "device-tlb", OMNI_TRACKS | OMNI_ENFORCES, .ats = 4 },
};

u64 nc_commands(struct nc_world *w)
{
	return omni_model_done(w->m, OMNI_CMD_GLOBAL) + omni_model_done(w->m, OMNI_CMD_DOMAIN) +
	       omni_model_done(w->m, OMNI_CMD_PAGES);
}

unsigned int nc_dma(struct nc_world *w, unsigned int n, u64 iova, unsigned int nr,
		    unsigned int times)
{
	unsigned int i, k, done = 0;

	for (i = 0; i < nr; i++)
		for (k = 0; k < 2 * times; k++)
			done += !cache_dma(w->c, w->m, w->od[n]->rid, iova + i * SZ_4K, k & 1,
					   true);
	return done;
}

static void nc_poke(void *arg, unsigned int page, unsigned int nr, bool after)
{
	struct nc_world *w = arg;
	unsigned int n, i, pages = min(w->pages, 4);

	w->commands = nc_commands(w);
	for (n = 0; n < NC_DEVICES; n++)
		for (i = 0; i < pages; i++)
			w->reached[after] += nc_dma(w, n, w->iova + (w->pages - 1) * i / 3 * SZ_4K,
						    1, w->tries);
}

void nc_watch(struct nc_world *w, u64 iova, unsigned int nr)
{
	w->iova = iova;
	w->pages = nr;
	memset(w->reached, 0, sizeof(w->reached));
}

/* The devices leave before a domain goes. */
static void nc_world_end(void *arg)
{
	struct nc_world *w = arg;
	unsigned int n;

	for (n = 0; n < NC_DEVICES; n++)
		omni_test_attach(w->od[n], NULL);
}

/* After the domains are freed. */
static void nc_world_left(void *arg)
{
	struct nc_world *w = arg;

	WRITE_ONCE(w->c->poke, NULL);
	KUNIT_EXPECT_EQ_MSG(w->test, omni_nc_chunks(), w->chunks,
			    "the tracker still has memory");
	if (!w->leaks)
		KUNIT_EXPECT_EQ_MSG(w->test, omni_tables_live(), w->tables,
				    "page tables are left");
}

struct nc_world *nc_world_create(struct kunit *test, unsigned int blocks)
{
	struct nc_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->test = test;
	w->tries = 2;
	w->c = cache_model_create(test, blocks);
	w->m = omni_model_create(test);
	/* Refusals are part of the game; nobody has to log them. */
	w->m->mute = true;
	w->chunks = omni_nc_chunks();
	w->tables = omni_tables_live();
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, nc_world_left, w), 0);
	for (n = 0; n < NC_DEVICES; n++)
		w->od[n] = omni_model_device(w->m, NC_RID + n, omni_variant(test)->ats);
	w->c->arg = w;
	w->c->poke = nc_poke;
	return w;
}

static void nc_domain_end(void *domain)
{
	omni_domain_free(domain);
}

struct omni_domain *nc_domain_any(struct nc_world *w)
{
	struct omni_domain *domain = w->m->ops->domain(w->m);

	KUNIT_ASSERT_FALSE(w->test, IS_ERR(domain));
	domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
	KUNIT_ASSERT_EQ(w->test, kunit_add_action_or_reset(w->test, nc_domain_end, domain), 0);
	KUNIT_ASSERT_EQ(w->test, kunit_add_action_or_reset(w->test, nc_world_end, w), 0);
	return domain;
}

struct omni_domain *nc_domain(struct nc_world *w)
{
	struct omni_domain *domain = nc_domain_any(w);

	domain->iommu.pgsize_bitmap &= SZ_4K | SZ_2M | SZ_1G;
	return domain;
}

void nc_domain_free(struct nc_world *w, struct omni_domain *domain)
{
	kunit_release_action(w->test, nc_domain_end, domain);
}

void nc_map(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int page,
	    unsigned int nr)
{
	cache_enter(w->c, page, nr);
	KUNIT_EXPECT_EQ(w->test, 0, iommu_map(&domain->iommu, iova, cache_pa(w->c, page),
					      nr * SZ_4K, NC_BOTH, GFP_KERNEL));
}

void nc_unmap(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int nr)
{
	KUNIT_EXPECT_EQ(w->test, nr * SZ_4K, iommu_unmap(&domain->iommu, iova, nr * SZ_4K));
}

void nc_unmap_fast(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int nr,
		   struct iommu_iotlb_gather *gather)
{
	KUNIT_EXPECT_EQ(w->test, nr * SZ_4K,
			iommu_unmap_fast(&domain->iommu, iova, nr * SZ_4K, gather));
}

void nc_attach(struct nc_world *w, unsigned int n, struct omni_domain *domain)
{
	KUNIT_EXPECT_EQ(w->test, 0, omni_test_attach(w->od[n], domain));
}
