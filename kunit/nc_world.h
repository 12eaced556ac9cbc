/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites of the tracker share: a unit, devices that may issue
 * no-snoop requests, domains a user controls, and the memory of
 * model_cache.h.
 */
#ifndef OMNI_NC_WORLD_H
#define OMNI_NC_WORLD_H

#include "model_cache.h"

#include <linux/sizes.h>

#define NC_DEVICES	4
#define NC_RID		0x0100		/* the first one's */
#define NC_IOVA		(3ULL * SZ_1G - SZ_2M)	/* behind it, two tables of the level above meet */
/* Whoever lends memory to users maps it for accesses that snoop, unless they ask not to. */
#define NC_BOTH		(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)

/* Units that can make accesses snoop, if they are asked to. */
extern const struct omni_variant nc_enforce_shapes[4];

/**
 * struct nc_world - the fixture
 * @test: the test
 * @m: the unit
 * @c: the memory
 * @od: devices, blocked at first, conventional ones: they may not snoop
 * @chunks: memory that the tracker had before
 * @tables: page tables that lived before
 * @leaks: an invalidation fails in this test: page tables are left
 * @iova: where accesses are tried whenever the driver cleans
 * @pages: how many pages, 0 for no such accesses
 * @tries: accesses at each occasion
 * @reached: of these, the ones that were not refused: before, after a clean
 * @commands: IOTLB commands carried out when it last cleaned
 */
struct nc_world {
	struct kunit *test;
	struct omni_model *m;
	struct cache_model *c;
	struct omni_device *od[NC_DEVICES];
	long chunks;
	long tables;
	bool leaks;
	u64 iova;
	unsigned int pages;
	unsigned int tries;
	unsigned int reached[2];
	u64 commands;
};

/**
 * nc_world_create() - make one
 * @test: the test, whose parameter is of OMNI_KIT_PARAM(); at its end it is
 *	checked that nothing is left of the fixture
 * @blocks: memory, in blocks of 2M: 1 or 2
 *
 * Return: the fixture; the test ends when there is no memory.
 * Context: may sleep.
 */
struct nc_world *nc_world_create(struct kunit *test, unsigned int blocks);

/**
 * nc_domain_any() - a domain a user controls
 * @w: the fixture
 *
 * Return: the domain, freed at the end; the test ends when there is no memory.
 * Context: may sleep.
 */
struct omni_domain *nc_domain_any(struct nc_world *w);

/**
 * nc_domain() - the same with leaves of 4K, 2M and 1G only
 * @w: the fixture
 *
 * Where its pages may be unmapped one by one, since no leaf takes several entries.
 *
 * Return: the domain, freed at the end; the test ends when there is no memory.
 * Context: may sleep.
 */
struct omni_domain *nc_domain(struct nc_world *w);

/**
 * nc_domain_free() - free it before
 * @w: the fixture
 * @domain: a domain of nc_domain(), attached nowhere
 *
 * Context: may sleep.
 */
void nc_domain_free(struct nc_world *w, struct omni_domain *domain);

/**
 * nc_map() - map pages as a caller outside does; has to succeed
 * @w: the fixture
 * @domain: the domain
 * @iova: where
 * @page: the first page
 * @nr: pages
 *
 * Context: may sleep.
 */
void nc_map(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int page,
	    unsigned int nr);

/**
 * nc_unmap() - unmap pages as a caller outside does; has to succeed
 * @w: the fixture
 * @domain: the domain
 * @iova: where
 * @nr: pages
 *
 * Context: may sleep.
 */
void nc_unmap(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int nr);

/**
 * nc_unmap_fast() - the same without the end
 * @w: the fixture
 * @domain: the domain
 * @iova: where
 * @nr: pages
 * @gather: what is to be synced
 *
 * Context: may sleep.
 */
void nc_unmap_fast(struct nc_world *w, struct omni_domain *domain, u64 iova, unsigned int nr,
		   struct iommu_iotlb_gather *gather);

/**
 * nc_attach() - attach; has to succeed
 * @w: the fixture
 * @n: which device
 * @domain: NULL for blocked
 *
 * Context: may sleep.
 */
void nc_attach(struct nc_world *w, unsigned int n, struct omni_domain *domain);

/**
 * nc_dma() - a device reads and writes pages, without snooping
 * @w: the fixture
 * @n: which device
 * @iova: where
 * @nr: pages
 * @times: pairs of a read and a write, a page
 *
 * Return: accesses that were not refused.
 * Context: any.
 */
unsigned int nc_dma(struct nc_world *w, unsigned int n, u64 iova, unsigned int nr,
		    unsigned int times);

/**
 * nc_watch() - try accesses of all devices whenever the driver cleans
 * @w: the fixture
 * @iova: where
 * @nr: pages, 0 to end it
 *
 * Context: any, the driver not cleaning.
 */
void nc_watch(struct nc_world *w, u64 iova, unsigned int nr);

/**
 * nc_commands() - IOTLB commands so far
 * @w: the fixture
 *
 * Return: the unit's number of those carried out.
 * Context: any.
 */
u64 nc_commands(struct nc_world *w);

/* The pages were cleaned that often since the memory was made. */
#define NC_EXPECT_CLEANS(w, page, nr, times) do {				\
	struct nc_world *__w = (w);						\
										\
	KUNIT_EXPECT_EQ(__w->test, cache_cleans(__w->c, page, nr), times);	\
} while (0)

#endif
