// SPDX-License-Identifier: GPL-2.0-only
/*
 * Data memory behind CPU caches. model_cache.h says what it does.
 *
 * Numbers of writes stand for contents: a line never holds half of a write.
 * A device's write that snoops leaves the line in memory alone or, every
 * other time, in the cache alone, as hardware does that allocates there.
 */
#include "model_cache.h"

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>

/* The one there is: the driver cleans without saying for whom. */
static struct cache_model *cache_model;

u64 cache_pa(const struct cache_model *c, unsigned int page)
{
	return PFN_PHYS(c->first + page);
}

struct page *cache_struct_page(const struct cache_model *c, unsigned int page)
{
	return pfn_to_page(c->first + page);
}

/* The page at a physical address, c->nr if it is not in the pool. */
static unsigned int cache_find(const struct cache_model *c, u64 pa)
{
	return min_t(u64, PHYS_PFN(pa) - c->first, c->nr);
}

/* The cache. All want the lock held. */

static void cache_line_fetch(struct cache_page *p, unsigned int line)
{
	if (p->present & BIT_ULL(line))
		return;
	p->present |= BIT_ULL(line);
	p->cached[line] = p->memory[line];
}

static void cache_line_forget(struct cache_page *p, unsigned int line)
{
	if (p->dirty & BIT_ULL(line))
		p->memory[line] = p->cached[line];
	p->present &= ~BIT_ULL(line);
	p->dirty &= ~BIT_ULL(line);
}

static void cache_line_write(struct cache_model *c, struct cache_page *p, unsigned int line)
{
	p->present |= BIT_ULL(line);
	p->dirty |= BIT_ULL(line);
	p->cached[line] = ++c->clock;
	p->latest[line] = c->clock;
}

/* A read that goes through the cache: a CPU's, or a device's that snoops. */
static void cache_line_read(struct cache_model *c, unsigned int page, unsigned int line,
			    const char *who)
{
	struct cache_page *p = &c->page[page];

	cache_line_fetch(p, line);
	if (!(line & 1) && (p->reach || p->held))
		return;
	if (p->cached[line] != p->latest[line])
		omni_violation(&c->base,
			       "%s reads write %u of page %u, line %u, where %u was the last, %s",
			       who, p->cached[line], page, line, p->latest[line],
			       p->memory[line] == p->latest[line] ? "in memory" : "lost");
}

/* A line that CPUs and devices that snoop may write now. */
static unsigned int cache_line_for_cpu(struct cache_model *c, const struct cache_page *p)
{
	unsigned int line = omni_below(&c->rnd, CACHE_LINES);

	return p->reach ? line | 1 : line;
}

/* What CPUs and the cache itself do */

void cache_cpu(struct cache_model *c, unsigned int page, bool write)
{
	struct cache_page *p = &c->page[page];
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	if (write)
		cache_line_write(c, p, cache_line_for_cpu(c, p));
	else
		cache_line_read(c, page, omni_below(&c->rnd, CACHE_LINES), "a CPU");
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_cpu_all(struct cache_model *c, unsigned int page, unsigned int nr, bool write)
{
	unsigned int i, line;
	unsigned long flags;

	for (i = page; i < page + nr; i++) {
		raw_spin_lock_irqsave(&c->lock, flags);
		for (line = 0; line < CACHE_LINES; line++) {
			if (write)
				cache_line_write(c, &c->page[i], line);
			else
				cache_line_read(c, i, line, "a CPU");
		}
		raw_spin_unlock_irqrestore(&c->lock, flags);
	}
}

void cache_noise(struct cache_model *c, unsigned int page)
{
	struct cache_page *p = &c->page[page];
	unsigned long flags;
	unsigned int line;

	raw_spin_lock_irqsave(&c->lock, flags);
	line = omni_below(&c->rnd, CACHE_LINES);
	if (omni_below(&c->rnd, 2))
		cache_line_fetch(p, line);
	else
		cache_line_forget(p, line);
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_fetch(struct cache_model *c, unsigned int page, unsigned int nr)
{
	unsigned int i, line;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (i = page; i < page + nr; i++)
		for (line = 0; line < CACHE_LINES; line++)
			cache_line_fetch(&c->page[i], line);
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

/* What devices do */

struct cache_access {
	struct cache_model *c;
	struct omni_model *m;
	u16 rid;
	u64 iova;
	bool write;
	bool no_snoop;
};

static void cache_snooping(struct cache_model *c, unsigned int page, bool write)
{
	struct cache_page *p = &c->page[page];
	unsigned int line;

	if (!write) {
		cache_line_read(c, page, omni_below(&c->rnd, CACHE_LINES),
				"a device that snoops");
		return;
	}
	line = cache_line_for_cpu(c, p);
	cache_line_write(c, p, line);
	if (omni_below(&c->rnd, 2))
		cache_line_forget(p, line);
}

static void cache_not_snooping(struct cache_model *c, unsigned int page,
			       const struct cache_access *access)
{
	struct cache_page *p = &c->page[page];
	unsigned int line = omni_below(&c->rnd, CACHE_LINES);

	if (!p->reach) {
		omni_violation(&c->base, "%04x reaches page %u at %#llx, which was unmapped",
			       access->rid, page, access->iova);
		return;
	}
	if (!access->write) {
		c->reads++;
		if (p->memory[line] < p->floor[line])
			omni_violation(&c->base,
				       "%04x reads write %u of page %u, line %u, at %#llx, but %u came before it was mapped",
				       access->rid, p->memory[line], page, line, access->iova,
				       p->floor[line]);
		return;
	}
	c->writes++;
	line &= ~1;
	/* Every other time the line is cached right before. */
	if (omni_below(&c->rnd, 2))
		cache_line_fetch(p, line);
	p->memory[line] = ++c->clock;
	p->latest[line] = c->clock;
	p->floor[line] = c->clock;
}

static void cache_meet(void *arg, u64 pa)
{
	const struct cache_access *access = arg;
	struct cache_model *c = access->c;
	unsigned int page = cache_find(c, pa);
	unsigned long flags;

	if (page == c->nr)
		return;
	raw_spin_lock_irqsave(&c->lock, flags);
	if (access->m->snooped || !access->no_snoop)
		cache_snooping(c, page, access->write);
	else
		cache_not_snooping(c, page, access);
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

int cache_dma(struct cache_model *c, struct omni_model *m, u16 rid, u64 iova, bool write,
	      bool no_snoop)
{
	struct cache_access access = {
		.c = c,
		.m = m,
		.rid = rid,
		.iova = iova,
		.write = write,
		.no_snoop = no_snoop,
	};

	return omni_model_dma(m, rid, iova, write, NULL, cache_meet, &access);
}

/* What the driver does */

static void cache_clean_page(struct cache_model *c, unsigned int page, unsigned int first,
			     unsigned int nr)
{
	u64 mask = GENMASK_ULL(first + nr - 1, first), dirty;
	struct cache_page *p = &c->page[page];
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	if (p->shut)
		omni_violation(&c->base, "page %u is cleaned, which must not be", page);
	for (dirty = p->dirty & mask; dirty; dirty &= dirty - 1) {
		unsigned int line = __ffs64(dirty);

		p->memory[line] = p->cached[line];
	}
	p->present &= ~mask;
	p->dirty &= ~mask;
	p->lines += nr;
	p->cleans += nr == CACHE_LINES;
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

/* Whatever is cleaned has to be memory that may be (N4). */
static void cache_check_elsewhere(struct cache_model *c, u64 pa)
{
	atomic64_add(PAGE_SIZE, &c->elsewhere);
	if (!pfn_valid(PHYS_PFN(pa)))
		omni_violation(&c->base, "%#llx is cleaned, which is not memory", pa);
	else if (PageReserved(pfn_to_page(PHYS_PFN(pa))))
		omni_violation(&c->base, "%#llx is cleaned, which is reserved", pa);
}

static void cache_clean(phys_addr_t pa, size_t len)
{
	void (*poke)(void *arg, unsigned int page, unsigned int nr, bool after);
	struct cache_model *c = cache_model;
	phys_addr_t at, end = pa + len;
	unsigned int first, nr = 0, page;

	if (offset_in_page(pa) % BIT(CACHE_LINE_LG2) || !len || len % BIT(CACHE_LINE_LG2))
		omni_violation(&c->base, "%zu bytes at %#llx are cleaned: no whole lines", len,
			       (u64)pa);
	first = cache_find(c, pa);
	if (first < c->nr)
		nr = min_t(u64, DIV_ROUND_UP(len, PAGE_SIZE), c->nr - first);
	poke = READ_ONCE(c->poke);
	if (poke && nr)
		poke(c->arg, first, nr, false);

	atomic64_inc(&c->calls);
	atomic64_add(len, &c->bytes);
	for (at = pa; at < end; at = (at | ~PAGE_MASK) + 1) {
		unsigned int line = offset_in_page(at) >> CACHE_LINE_LG2;
		u64 last = min_t(u64, end - 1, at | ~PAGE_MASK);

		page = cache_find(c, at);
		if (page < c->nr)
			cache_clean_page(c, page, line,
					 (offset_in_page(last) >> CACHE_LINE_LG2) - line + 1);
		else
			cache_check_elsewhere(c, at);
	}
	if (poke && nr)
		poke(c->arg, first, nr, true);
}

static void cache_clean_all(void)
{
	void (*poke)(void *arg, unsigned int page, unsigned int nr, bool after);
	struct cache_model *c = cache_model;
	unsigned int i, line;
	unsigned long flags;

	poke = READ_ONCE(c->poke);
	if (poke)
		poke(c->arg, 0, c->nr, false);
	raw_spin_lock_irqsave(&c->lock, flags);
	c->wholes++;
	for (i = 0; i < c->nr; i++)
		for (line = 0; line < CACHE_LINES; line++)
			cache_line_forget(&c->page[i], line);
	raw_spin_unlock_irqrestore(&c->lock, flags);
	if (poke)
		poke(c->arg, 0, c->nr, true);
}

/* What the tests say and ask */

void cache_enter(struct cache_model *c, unsigned int page, unsigned int nr)
{
	struct cache_page *p;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (p = &c->page[page]; p < &c->page[page + nr]; p++)
		if (!p->reach++)
			memcpy(p->floor, p->latest, sizeof(p->floor));
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_leave(struct cache_model *c, unsigned int page, unsigned int nr)
{
	struct cache_page *p;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (p = &c->page[page]; p < &c->page[page + nr]; p++)
		p->reach--;
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_hold(struct cache_model *c, unsigned int page, unsigned int nr)
{
	struct cache_page *p;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (p = &c->page[page]; p < &c->page[page + nr]; p++)
		p->held++;
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_release(struct cache_model *c, unsigned int page, unsigned int nr)
{
	struct cache_page *p;
	unsigned long flags;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (p = &c->page[page]; p < &c->page[page + nr]; p++)
		p->held--;
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

unsigned int cache_cleans(struct cache_model *c, unsigned int page, unsigned int nr)
{
	const struct cache_page *first = &c->page[page], *p;
	unsigned long flags;
	unsigned int cleans;

	raw_spin_lock_irqsave(&c->lock, flags);
	cleans = first->cleans;
	for (p = first; p < first + nr; p++) {
		if (p->lines != p->cleans * CACHE_LINES)
			omni_violation(&c->base, "of page %u, %u lines were cleaned",
				       (unsigned int)(p - c->page), p->lines);
		if (p->cleans != cleans)
			omni_violation(&c->base, "page %u was cleaned %u times, page %u %u times",
				       page, cleans, (unsigned int)(p - c->page), p->cleans);
	}
	raw_spin_unlock_irqrestore(&c->lock, flags);
	return cleans;
}

void cache_shut(struct cache_model *c, unsigned int page, unsigned int nr, bool shut)
{
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&c->lock, flags);
	for (i = page; i < page + nr; i++)
		c->page[i].shut = shut;
	raw_spin_unlock_irqrestore(&c->lock, flags);
}

void cache_check(struct cache_model *c)
{
	omni_model_check(c->test, &c->base);
}

/* Life */

static void cache_model_end(void *arg)
{
	struct cache_model *c = arg;

	omni_nc_test = (struct omni_nc_test) { };
	cache_model = NULL;
	cache_check(c);
	if (c->first)
		__free_pages(pfn_to_page(c->first), ilog2(c->nr));
	vfree(c->page);
	kvfree(c);
}

struct cache_model *cache_model_create(struct kunit *test, unsigned int blocks)
{
	struct cache_model *c = kvzalloc(sizeof(*c), GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, c);
	c->base.name = "memory";
	c->test = test;
	c->nr = blocks * CACHE_BLOCK;
	raw_spin_lock_init(&c->lock);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, cache_model_end, c), 0);
	c->page = vzalloc(array_size(c->nr, sizeof(*c->page)));
	KUNIT_ASSERT_NOT_NULL(test, c->page);
	/* The pages of an allocation are aligned to its size. */
	page = alloc_pages(GFP_KERNEL, ilog2(c->nr));
	KUNIT_ASSERT_NOT_NULL(test, page);
	c->first = page_to_pfn(page);
	omni_seed(test, &c->rnd);
	KUNIT_ASSERT_NULL(test, cache_model);
	cache_model = c;
	omni_nc_test = (struct omni_nc_test) {
		.clean = cache_clean,
		.clean_all = cache_clean_all,
	};
	return c;
}
