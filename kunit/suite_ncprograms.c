// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random programs for the tracker of non-coherent domains: map, unmap, unmap
 * that ends later, attach, detach, replace, enforce, pin, unpin, and what
 * CPUs and devices do to the pages, over several domains that share them.
 *
 * The memory judges each access. Beside it there is an account of how often
 * each page has to be cleaned: on its first entry, after its last exit, and
 * where it is pinned when that ends.
 */
#include "../include/omni_pages.h"
#include "nc_world.h"

#include <linux/iommu.h>

#define PROG_STEPS	20000
#define PROG_DOMAINS	4
#define PROG_SNOOPS	3		/* the device that always does */
#define PROG_BLOCKS	2		/* of memory */
#define PROG_PAGES	(PROG_BLOCKS * CACHE_BLOCK)
#define PROG_REGIONS	4		/* of 2M, in each domain */
#define PROG_ROOM	(PROG_REGIONS * 512)
#define PROG_GATHERS	3
#define PROG_GATHERED	2048		/* pages */
#define PROG_OBJECTS	4

static const struct omni_variant prog_shapes[] = {
	{ "snooped", OMNI_TRACKS },
	{ "not-snooped", OMNI_TRACKS | OMNI_NO_SNOOP_WALKS },
	{ "caching-mode", OMNI_TRACKS | OMNI_CACHES_ABSENT | OMNI_NO_SNOOP_WALKS },
	{ "speculating", OMNI_TRACKS, .evict = true, .speculate = true },
	{ "device-tlb", OMNI_TRACKS, .ats = 4 },
};

OMNI_KIT_PARAM(prog, prog_shapes)

/**
 * struct prog_page - what a page's account says
 * @count: mappings that are counted, those that wait for their sync included
 * @pending: of these, the latter
 * @holds: objects that pin it
 * @owed: it has to be cleaned when the last of them goes
 * @maybe: unless it was before: an object's mapping was the last but for pending
 *	ones, and the last of all if the driver had settled those early
 * @cleans: cleans so far, at least
 * @slack: cleans that may have come on top: the driver may settle a pending
 *	entry early, and undo a map that was refused
 */
struct prog_page {
	unsigned int count;
	unsigned int pending;
	unsigned int holds;
	bool owed;
	bool maybe;
	unsigned int cleans;
	unsigned int slack;
};

/* One page of a domain's address space. */
struct prog_slot {
	u16 page;		/* of the memory, plus 1; 0 if nothing is mapped */
	u8 object;		/* it was mapped through this one, plus 1 */
	bool large;		/* of a leaf of 512 */
};

struct prog_domain {
	struct omni_domain *domain;
	bool enforced;
	unsigned int devices;	/* that may not snoop */
	unsigned int mapped;	/* slots */
	struct prog_slot slot[PROG_ROOM];
};

struct prog_pending {
	u16 slot;
	u16 page;
	u8 object;
	bool counted;
};

/* An unmap that has not ended yet. */
struct prog_gather {
	struct iommu_iotlb_gather gather;
	unsigned int d;
	unsigned int nr;
	struct prog_pending page[PROG_GATHERED];
};

struct prog_object {
	struct omni_pages *obj;
	unsigned int first;
	unsigned int nr;
	unsigned int used;	/* mappings */
};

/**
 * struct prog - a program
 * @w: the fixture
 * @rnd: its choices
 * @op: number of the step
 * @what: its name
 * @domain: the domains
 * @at: where each device is, PROG_DOMAINS for nowhere
 * @page: the account of each page
 * @gather: unmaps that have not ended
 * @object: objects
 * @now: domain that the step is about
 * @first: its first slot
 * @nr: slots
 * @maps: maps done
 * @refused: accesses refused
 * @let: accesses let through
 */
struct prog {
	struct nc_world *w;
	struct rnd_state rnd;
	unsigned int op;
	const char *what;
	struct prog_domain domain[PROG_DOMAINS];
	unsigned int at[NC_DEVICES];
	struct prog_page page[PROG_PAGES];
	struct prog_gather gather[PROG_GATHERS];
	struct prog_object object[PROG_OBJECTS];
	unsigned int now, first, nr;
	u64 maps, refused, let;
};

static u32 prog_below(struct prog *p, u32 ceil)
{
	return omni_below(&p->rnd, ceil);
}

static u64 prog_iova(unsigned int slot)
{
	return NC_IOVA + (u64)slot * SZ_4K;
}

static struct cache_model *prog_memory(struct prog *p)
{
	return p->w->c;
}

/* Is the domain's DMA allowed not to snoop? */
static bool prog_counted(const struct prog_domain *d)
{
	return !d->enforced && d->devices;
}

/* The account */

static void prog_in(struct prog *p, unsigned int page)
{
	struct prog_page *a = &p->page[page];

	if (a->pending)
		a->slack += 2;
	a->maybe = false;
	if (!a->count++) {
		a->cleans++;
		a->owed = false;
	}
}

static void prog_out(struct prog *p, unsigned int page, bool lazy)
{
	struct prog_page *a = &p->page[page];

	a->count--;
	if (lazy && a->holds)
		a->maybe = a->count && a->count == a->pending;
	if (a->count)
		return;
	a->maybe &= a->holds > 0;
	a->owed = a->holds && (lazy || a->maybe);
	if (a->maybe)
		a->slack++;
	else if (!a->owed)
		a->cleans++;
}

static void prog_look(struct prog *p, unsigned int first, unsigned int nr)
{
	struct cache_model *c = prog_memory(p);
	unsigned int i, cleans;

	for (i = first; i < first + nr; i++) {
		struct prog_page *a = &p->page[i];

		cleans = cache_cleans(c, i, 1);
		if (cleans < a->cleans || cleans > a->cleans + a->slack)
			omni_violation(&c->base,
				       "page %u was cleaned %u times, not %u to %u: counted %u, pending %u, held %u%s",
				       i, cleans, a->cleans, a->cleans + a->slack, a->count,
				       a->pending, a->holds, a->owed ? ", owed" : "");
		if (!a->count) {
			a->cleans = cleans;
			a->slack = 0;
		}
	}
}

/* Accesses */

static void prog_dma(struct prog *p, unsigned int n, unsigned int slot)
{
	bool no_snoop = n != PROG_SNOOPS && prog_below(p, 8);

	if (cache_dma(prog_memory(p), p->w->m, NC_RID + n, prog_iova(slot), prog_below(p, 2),
		      no_snoop))
		p->refused++;
	else
		p->let++;
}

/* Before and after each clean: everybody tries what is being changed. */
static void prog_poke(void *arg, unsigned int page, unsigned int nr, bool after)
{
	struct prog *p = arg;
	unsigned int n, i;

	/* What is about to be cleaned, or was, may be fetched and written to. */
	cache_noise(prog_memory(p), page + prog_below(p, nr));
	if (p->nr)
		for (n = 0; n < NC_DEVICES; n++)
			for (i = 0; i < 2; i++)
				prog_dma(p, n, p->first + prog_below(p, p->nr));
}

static void prog_touch(struct prog *p)
{
	unsigned int d = prog_below(p, PROG_DOMAINS), i, n, slot = prog_below(p, PROG_ROOM);

	/* Where something is mapped, most often; a whole neighbourhood of it. */
	for (i = 0; i < PROG_ROOM && !p->domain[d].slot[slot].page; i++)
		slot = (slot + 1) % PROG_ROOM;
	for (n = 0; n < NC_DEVICES; n++)
		if (p->at[n] == d)
			for (i = 0; i < 12; i++)
				prog_dma(p, n, (slot + prog_below(p, 16)) % PROG_ROOM);
	for (i = 0; i < 8; i++)
		prog_dma(p, prog_below(p, NC_DEVICES), prog_below(p, PROG_ROOM));
}

static void prog_cpu(struct prog *p)
{
	unsigned int first = prog_below(p, PROG_PAGES - 16), i;

	for (i = 0; i < 16; i++) {
		cache_cpu(prog_memory(p), first + i, prog_below(p, 2));
		cache_noise(prog_memory(p), first + prog_below(p, 16));
	}
}

/* Steps */

static bool prog_free(const struct prog_domain *d, unsigned int slot, unsigned int nr)
{
	while (nr--)
		if (d->slot[slot++].page)
			return false;
	return true;
}

/* A map over entries that wait for their sync settles them. */
static void prog_map_over(struct prog *p, unsigned int n, unsigned int slot, unsigned int nr)
{
	struct prog_gather *g;
	unsigned int i;

	for (g = p->gather; g < p->gather + PROG_GATHERS; g++) {
		bool over = false;

		for (i = 0; i < g->nr && g->d == n; i++)
			over |= g->page[i].slot / 512 >= slot / 512 &&
				g->page[i].slot / 512 <= (slot + nr - 1) / 512;
		for (i = 0; i < g->nr && over; i++)
			p->page[g->page[i].page].slack += 2;
	}
}

static void prog_map_at(struct prog *p, unsigned int n, unsigned int slot, unsigned int page,
			unsigned int nr, unsigned int o)
{
	struct prog_domain *d = &p->domain[n];
	struct cache_model *c = prog_memory(p);
	bool fits = prog_free(d, slot, nr), counted = prog_counted(d), large = nr == 512;
	unsigned int i;
	int ret;

	prog_map_over(p, n, slot, nr);
	p->now = n;
	p->first = slot;
	p->nr = nr;
	if (counted)
		cache_enter(c, page, nr);
	if (o < PROG_OBJECTS)
		ret = omni_pages_map(p->object[o].obj, &d->domain->iommu, prog_iova(slot),
				     page - p->object[o].first, nr, NC_BOTH, GFP_KERNEL);
	else
		ret = iommu_map(&d->domain->iommu, prog_iova(slot), cache_pa(c, page), nr * SZ_4K,
				NC_BOTH, GFP_KERNEL);
	if (ret != (fits ? 0 : -EEXIST))
		omni_violation(&c->base, "a map of %u pages at slot %u returns %d", nr, slot, ret);
	for (i = page; i < page + nr && counted; i++) {
		struct prog_page *a = &p->page[i];

		if (!ret) {
			prog_in(p, i);
			continue;
		}
		a->slack += 2;
		/* In and out again, as far as it came: that pays. */
		if (!a->count && cache_cleans(c, i, 1) != a->cleans)
			a->owed = false;
	}
	if (ret) {
		if (counted)
			cache_leave(c, page, nr);
		prog_look(p, page, nr);
		return;
	}
	for (i = 0; i < nr; i++)
		d->slot[slot + i] = (struct prog_slot) {
			.page = page + i + 1,
			.object = o < PROG_OBJECTS ? o + 1 : 0,
			.large = large,
		};
	d->mapped += nr;
	if (o < PROG_OBJECTS)
		p->object[o].used += nr;
	p->maps++;
	prog_look(p, page, nr);
}

static unsigned int prog_some_pages(struct prog *p, unsigned int nr)
{
	return prog_below(p, PROG_BLOCKS) * CACHE_BLOCK + prog_below(p, CACHE_BLOCK - nr + 1);
}

static void prog_map(struct prog *p)
{
	unsigned int n = prog_below(p, PROG_DOMAINS), o = prog_below(p, 4 * PROG_OBJECTS);
	unsigned int slot, page, nr, to;

	if (o < PROG_OBJECTS && p->object[o].obj) {
		nr = 1 + prog_below(p, p->object[o].nr);
		page = p->object[o].first + prog_below(p, p->object[o].nr - nr + 1);
	} else if (prog_below(p, 12)) {
		o = PROG_OBJECTS;
		nr = 1 + prog_below(p, prog_below(p, 8) ? 12 : 150);
		page = prog_some_pages(p, nr);
	} else {
		o = PROG_OBJECTS;
		nr = 512;
		page = prog_some_pages(p, nr);
	}
	slot = nr == 512 ? prog_below(p, PROG_REGIONS) * 512 : prog_below(p, PROG_ROOM - nr);
	if (nr == 512 && prog_below(p, 2)) {
		/* All that is free of it, in small leaves: the table becomes full. */
		for (to = slot + 512; slot < to; slot += nr) {
			for (nr = 0; slot + nr < to && nr < 200; nr++)
				if (p->domain[n].slot[slot + nr].page)
					break;
			if (nr)
				prog_map_at(p, n, slot, prog_some_pages(p, nr), nr, o);
			else
				nr = 1;
		}
		return;
	}
	/* Now and then where something is in the way. */
	if (prog_free(&p->domain[n], slot, nr) || !prog_below(p, 8))
		prog_map_at(p, n, slot, page, nr, o);
}

/* How many slots an unmap of @nr from @slot on clears. */
static unsigned int prog_run(const struct prog_domain *d, unsigned int slot, unsigned int nr)
{
	unsigned int at = slot;

	while (at < slot + nr && at < PROG_ROOM && d->slot[at].page) {
		if (!d->slot[at].large) {
			at++;
			continue;
		}
		if (at % 512)
			break;
		at += 512;
	}
	return at - slot;
}

static void prog_settled(struct prog *p, const struct prog_pending *e, bool lazy)
{
	if (e->counted) {
		p->page[e->page].pending--;
		prog_out(p, e->page, lazy);
		cache_leave(prog_memory(p), e->page, 1);
	}
	if (e->object)
		p->object[e->object - 1].used--;
}

static void prog_sync(struct prog *p, struct prog_gather *g)
{
	struct prog_domain *d = &p->domain[g->d];
	unsigned int i;

	if (!g->nr)
		return;
	p->now = g->d;
	p->first = 0;
	p->nr = PROG_ROOM;
	iommu_iotlb_sync(&d->domain->iommu, &g->gather);
	for (i = 0; i < g->nr; i++) {
		prog_settled(p, &g->page[i], false);
		cache_release(prog_memory(p), g->page[i].page, 1);
	}
	for (i = 0; i < g->nr; i++)
		prog_look(p, g->page[i].page, 1);
	g->nr = 0;
}

static void prog_unmap(struct prog *p, bool fast)
{
	unsigned int n = prog_below(p, PROG_DOMAINS), slot, nr, run, i, o = 0;
	struct prog_gather *g = &p->gather[prog_below(p, PROG_GATHERS)];
	struct cache_model *c = prog_memory(p);
	struct prog_domain *d;
	size_t done;

	if (fast && g->nr)
		n = g->d;
	d = &p->domain[n];
	slot = prog_below(p, PROG_ROOM);
	/* Mostly from where something begins. */
	for (i = 0; prog_below(p, 16) && i < PROG_ROOM && !d->slot[slot].page; i++)
		slot = (slot + 1) % PROG_ROOM;
	nr = 1 + prog_below(p, prog_below(p, 3) ? 40 : PROG_ROOM - slot);
	if (!prog_below(p, 6)) {
		slot = prog_below(p, PROG_REGIONS) * 512;
		nr = 512;
	}
	nr = min(nr, PROG_ROOM - slot);
	run = prog_run(d, slot, nr);
	if (fast && g->nr + run > PROG_GATHERED)
		return prog_sync(p, g);
	p->now = n;
	p->first = slot;
	p->nr = nr;
	if (run && !prog_below(p, 2))
		for (i = 0; i < NC_DEVICES; i++)
			prog_dma(p, i, slot + prog_below(p, run));
	/* What one object has mapped goes as its own, every other time. */
	for (i = 0; i < run && !fast; i++)
		o = i && d->slot[slot + i].object != o ? 0 : d->slot[slot + i].object;
	if (o && prog_below(p, 2))
		o = 0;
	if (o) {
		done = omni_pages_unmap(p->object[o - 1].obj, &d->domain->iommu, prog_iova(slot),
					nr) * SZ_4K;
	} else if (!fast) {
		done = iommu_unmap(&d->domain->iommu, prog_iova(slot), nr * SZ_4K);
	} else {
		if (!g->nr) {
			g->d = n;
			iommu_iotlb_gather_init(&g->gather);
		}
		done = iommu_unmap_fast(&d->domain->iommu, prog_iova(slot), nr * SZ_4K, &g->gather);
	}
	if (done != run * SZ_4K)
		omni_violation(&c->base, "an unmap of %u pages at slot %u returns %zu, not %u", nr,
			       slot, done / SZ_4K, run);
	for (i = slot; i < slot + run; i++) {
		struct prog_pending e = {
			.slot = i,
			.page = d->slot[i].page - 1,
			.object = d->slot[i].object,
			.counted = prog_counted(d),
		};

		d->slot[i] = (struct prog_slot) { };
		d->mapped--;
		if (fast) {
			p->page[e.page].pending += e.counted;
			cache_hold(c, e.page, 1);
			g->page[g->nr++] = e;
			continue;
		}
		if (e.counted)
			p->page[e.page].pending++;
		prog_settled(p, &e, o);
	}
	/* A page may have been there twice. */
	if (!fast)
		prog_look(p, 0, PROG_PAGES);
}

/* The devices of a domain change: what is mapped enters before, or leaves after. */
static void prog_domain_enters(struct prog *p, struct prog_domain *d)
{
	unsigned int i;

	for (i = 0; i < PROG_ROOM; i++)
		if (d->slot[i].page)
			cache_enter(prog_memory(p), d->slot[i].page - 1, 1);
}

static void prog_domain_counted(struct prog *p, struct prog_domain *d)
{
	unsigned int i;

	for (i = 0; i < PROG_ROOM; i++)
		if (d->slot[i].page)
			prog_in(p, d->slot[i].page - 1);
}

static void prog_domain_leaves(struct prog *p, struct prog_domain *d)
{
	struct prog_gather *g;
	unsigned int i;

	for (i = 0; i < PROG_ROOM; i++) {
		if (!d->slot[i].page)
			continue;
		prog_out(p, d->slot[i].page - 1, false);
		cache_leave(prog_memory(p), d->slot[i].page - 1, 1);
	}
	/* What waits for its sync may be settled, or stay until that. */
	for (g = p->gather; g < p->gather + PROG_GATHERS; g++)
		for (i = 0; i < g->nr && &p->domain[g->d] == d; i++)
			if (g->page[i].counted)
				p->page[g->page[i].page].slack += 2;
}

static void prog_attach(struct prog *p, unsigned int n, unsigned int to)
{
	struct prog_domain *old = p->at[n] < PROG_DOMAINS ? &p->domain[p->at[n]] : NULL;
	struct prog_domain *new = to < PROG_DOMAINS ? &p->domain[to] : NULL;
	bool may = n != PROG_SNOOPS, enters, leaves;
	struct cache_model *c = prog_memory(p);
	int ret;

	if (old == new)
		return;
	enters = new && may && !new->enforced && !new->devices;
	leaves = old && may && !old->enforced && old->devices == 1;
	p->now = to;
	p->first = 0;
	p->nr = PROG_ROOM;
	if (enters)
		prog_domain_enters(p, new);
	ret = omni_test_attach(p->w->od[n], new ? new->domain :
			       to == PROG_DOMAINS ? NULL : &omni_identity);
	if (ret)
		omni_violation(&c->base, "an attach returns %d", ret);
	if (enters)
		prog_domain_counted(p, new);
	if (leaves)
		prog_domain_leaves(p, old);
	if (new && may)
		new->devices++;
	if (old && may)
		old->devices--;
	p->at[n] = min(to, PROG_DOMAINS);
	prog_look(p, 0, PROG_PAGES);
}

static void prog_enforce(struct prog *p)
{
	unsigned int n = prog_below(p, PROG_DOMAINS), i;
	struct prog_domain *d = &p->domain[n];
	struct iommu_domain *iommu = &d->domain->iommu;
	bool pending = false, able;

	for (i = 0; i < PROG_GATHERS; i++)
		pending |= p->gather[i].nr && p->gather[i].d == n;
	able = iommu->ops->enforce_cache_coherency(iommu);
	if (able != (d->enforced || !d->mapped) && !(pending && !able))
		omni_violation(&prog_memory(p)->base,
			       "enforced coherency: %d, with %u pages mapped, before %d", able,
			       d->mapped, d->enforced);
	d->enforced = able;
}

/* A domain goes, with all it maps, and another one comes in its place. */
static void prog_renew(struct prog *p)
{
	unsigned int n = prog_below(p, PROG_DOMAINS), i;
	struct prog_domain *d = &p->domain[n];

	for (i = 0; i < NC_DEVICES; i++)
		if (p->at[i] == n)
			prog_attach(p, i, PROG_DOMAINS);
	for (i = 0; i < PROG_GATHERS; i++)
		if (p->gather[i].d == n)
			prog_sync(p, &p->gather[i]);
	for (i = 0; i < PROG_ROOM; i++)
		if (d->slot[i].object)
			p->object[d->slot[i].object - 1].used--;
	memset(d->slot, 0, sizeof(d->slot));
	d->mapped = 0;
	d->enforced = false;
	nc_domain_free(p->w, d->domain);
	d->domain = nc_domain(p->w);
}

static void prog_pin(struct prog *p)
{
	struct prog_object *o = &p->object[prog_below(p, PROG_OBJECTS)];
	struct cache_model *c = prog_memory(p);
	struct page *pages[64];
	unsigned int i;

	if (!o->obj) {
		o->nr = 1 + prog_below(p, ARRAY_SIZE(pages));
		o->first = prog_below(p, PROG_PAGES - o->nr);
		for (i = 0; i < o->nr; i++)
			pages[i] = cache_struct_page(c, o->first + i);
		cache_hold(c, o->first, o->nr);
		o->obj = omni_pages_create(pages, o->nr);
		if (IS_ERR_OR_NULL(o->obj)) {
			omni_violation(&c->base, "no object: %ld", PTR_ERR(o->obj));
			cache_release(c, o->first, o->nr);
			o->obj = NULL;
			return;
		}
		for (i = 0; i < o->nr; i++)
			p->page[o->first + i].holds++;
		return;
	}
	if (o->used)
		return;
	p->nr = 0;
	omni_pages_release(o->obj);
	o->obj = NULL;
	for (i = o->first; i < o->first + o->nr; i++) {
		struct prog_page *a = &p->page[i];

		a->holds--;
		if (!a->owed || a->count)
			continue;
		a->owed = false;
		if (a->maybe)
			a->slack++;
		else
			a->cleans++;
		a->maybe = false;
	}
	cache_release(c, o->first, o->nr);
	prog_look(p, o->first, o->nr);
}

static void prog_step(struct prog *p)
{
	unsigned int dice = prog_below(p, 100), i;

	p->nr = 0;
	if (dice < 25) {
		p->what = "map";
		prog_map(p);
	} else if (dice < 42) {
		p->what = "unmap";
		prog_unmap(p, false);
	} else if (dice < 54) {
		p->what = "unmap_fast";
		prog_unmap(p, true);
	} else if (dice < 60) {
		p->what = "sync";
		prog_sync(p, &p->gather[prog_below(p, PROG_GATHERS)]);
	} else if (dice < 68) {
		p->what = "attach";
		prog_attach(p, prog_below(p, NC_DEVICES), prog_below(p, PROG_DOMAINS + 2));
	} else if (dice < 69) {
		p->what = "enforce";
		if (!prog_below(p, 4) && omni_kit(p->w->test)->able & OMNI_ENFORCES)
			prog_enforce(p);
	} else if (dice < 70) {
		p->what = "renew";
		if (!prog_below(p, 4))
			prog_renew(p);
	} else if (dice < 75) {
		p->what = "pin";
		prog_pin(p);
	} else if (dice < 88) {
		p->what = "dma";
		prog_touch(p);
	} else {
		p->what = "cpu";
		prog_cpu(p);
	}
	for (i = 0; i < 4; i++)
		cache_noise(prog_memory(p), prog_below(p, PROG_PAGES));
}

/* All goes away; what is left then is wrong. */
static void prog_end(struct prog *p)
{
	struct cache_model *c = prog_memory(p);
	unsigned int n, i;

	p->what = "end";
	for (n = 0; n < NC_DEVICES; n++)
		prog_attach(p, n, PROG_DOMAINS);
	for (i = 0; i < PROG_GATHERS; i++)
		prog_sync(p, &p->gather[i]);
	for (n = 0; n < PROG_DOMAINS; n++) {
		for (i = 0; i < PROG_ROOM; i++)
			if (p->domain[n].slot[i].object)
				p->object[p->domain[n].slot[i].object - 1].used--;
		nc_domain_free(p->w, p->domain[n].domain);
	}
	for (i = 0; i < PROG_OBJECTS; i++) {
		struct prog_object *o = &p->object[i];

		if (!o->obj)
			continue;
		omni_pages_release(o->obj);
		cache_release(c, o->first, o->nr);
	}
	cache_cpu_all(c, 0, PROG_PAGES, false);
	KUNIT_EXPECT_EQ(p->w->test, omni_nc_chunks(), p->w->chunks);
}

static void a_random_program(struct kunit *test)
{
	struct prog *p = kvzalloc(sizeof(*p), GFP_KERNEL);
	unsigned int i, steps = omni_quartered(test, PROG_STEPS);
	bool bad = false;

	KUNIT_ASSERT_NOT_NULL(test, p);
	p->w = nc_world_create(test, PROG_BLOCKS);
	omni_seed(test, &p->rnd);
	prandom_seed_state(&p->w->c->rnd, prandom_u32_state(&p->rnd));
	prandom_seed_state(&p->w->m->rnd, prandom_u32_state(&p->rnd));
	omni_test_pcie(p->w->od[PROG_SNOOPS], false);
	p->w->c->poke = prog_poke;
	p->w->c->arg = p;
	for (i = 0; i < PROG_DOMAINS; i++)
		p->domain[i].domain = nc_domain(p->w);
	for (i = 0; i < NC_DEVICES; i++)
		p->at[i] = PROG_DOMAINS;
	for (p->op = 0; p->op < steps && !bad; p->op++) {
		prog_step(p);
		if (!(p->op & 63))
			prog_look(p, 0, PROG_PAGES);
		bad = atomic_read(&p->w->c->base.nr_violations);
		cond_resched();
	}
	if (bad)
		KUNIT_FAIL(test, "step %u, %s, domain %u, slots %u to %u, devices %u %u %u %u",
			   p->op - 1, p->what, p->now, p->first, p->first + p->nr, p->at[0],
			   p->at[1], p->at[2], p->at[3]);
	prog_end(p);
	kunit_info(test, "%llu maps, %llu accesses, %llu refused, %lld cleans, pages %llu in, %llu out\n",
		   p->maps, p->let, p->refused, atomic64_read(&p->w->c->calls),
		   omni_counted(OMNI_NC_CLEAN_IN), omni_counted(OMNI_NC_CLEAN_OUT));
	WRITE_ONCE(p->w->c->poke, NULL);
	cache_check(p->w->c);
	kvfree(p);
}

static struct kunit_case prog_cases[] = {
	OMNI_CASE_PARAM_SLOW(a_random_program, prog_gen_params),
	{ }
};

static struct kunit_suite prog_suite = {
	.name = "omni_nc_programs",
	.test_cases = prog_cases,
};

kunit_test_suites(&prog_suite);
