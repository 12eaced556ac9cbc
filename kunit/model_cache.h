/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Data memory behind CPU caches, for what the tracker of non-coherent domains
 * promises (N1 to N4).
 *
 * A pool of real pages, so that whatever the driver asks of a physical
 * address holds. What the lines contain is kept beside them: not bytes but
 * the number of the write that made them, in memory and, where a cache holds
 * the line, there. All caches of the machine together are one cache: they are
 * coherent among themselves.
 *
 * The cache does what a CPU's may do at any time: it fetches a line that
 * nobody asked for, and it writes a dirty line back and forgets it. The
 * unluckiest moment for the first is right before a device changes the line in
 * memory, so each such write is preceded by one, every other time.
 *
 * While a page is reachable for a device that does not snoop, the lines with
 * an odd number are the CPU's to write, as are they for devices that snoop,
 * and the even ones the device's: what happens to a line that both write is
 * up to software, not to the driver.
 */
#ifndef OMNI_MODEL_CACHE_H
#define OMNI_MODEL_CACHE_H

#include "kit.h"

#define CACHE_LINE_LG2	6
#define CACHE_LINES	64		/* of a page */
#define CACHE_BLOCK	512		/* pages of a block: a 2M leaf */

/**
 * struct cache_page - a page of the pool
 * @present: a bit a line that the cache holds
 * @dirty: of these, the ones that memory does not know yet
 * @cached: number of the write that a line in the cache is from
 * @memory: the same in memory
 * @latest: number of the last write, whoever made it
 * @floor: a device that does not snoop must not read less
 * @reach: mappings through which a device that does not snoop may reach it
 * @held: its way out is not over: CPUs may still read what is old
 * @shut: the driver must not clean it
 * @lines: lines cleaned
 * @cleans: cleans that covered all of it
 */
struct cache_page {
	u64 present;
	u64 dirty;
	u32 cached[CACHE_LINES];
	u32 memory[CACHE_LINES];
	u32 latest[CACHE_LINES];
	u32 floor[CACHE_LINES];
	unsigned int reach;
	unsigned int held;
	bool shut;
	unsigned int lines;
	unsigned int cleans;
};

/**
 * struct cache_model - the memory
 * @base: where what is wrong is recorded
 * @test: whose it is
 * @lock: protects all that follows; inside of a unit's model's lock
 * @rnd: all its choices
 * @nr: pages, physically contiguous
 * @first: page frame number of the first
 * @page: the pages
 * @clock: number of the last write
 * @calls: times the driver cleaned
 * @bytes: bytes it cleaned, in the pool and elsewhere
 * @elsewhere: of these, the ones outside of the pool
 * @wholes: times it cleaned all caches instead
 * @reads: reads of devices that did not snoop
 * @writes: their writes
 * @poke: called before and after each clean of pages of the pool, or NULL
 * @arg: handed to @poke
 */
struct cache_model {
	struct omni_model base;
	struct kunit *test;
	raw_spinlock_t lock;	/* see @lock above */
	struct rnd_state rnd;
	unsigned int nr;
	unsigned long first;
	struct cache_page *page;
	u32 clock;
	atomic64_t calls;
	atomic64_t bytes;
	atomic64_t elsewhere;
	u64 wholes;
	u64 reads;
	u64 writes;
	void (*poke)(void *arg, unsigned int page, unsigned int nr, bool after);
	void *arg;
};

/**
 * cache_model_create() - make the memory; there is one at a time
 * @test: the test; at its end it is checked and freed
 * @blocks: 1 or 2: how many blocks of CACHE_BLOCK pages, each aligned to its
 *	size, one behind the other
 *
 * Return: the memory; the test ends when there is not enough.
 * Context: may sleep.
 */
struct cache_model *cache_model_create(struct kunit *test, unsigned int blocks);

/**
 * cache_pa() - where a page is
 * @c: the memory
 * @page: the page
 *
 * Return: its physical address.
 * Context: any.
 */
u64 cache_pa(const struct cache_model *c, unsigned int page);

/**
 * cache_struct_page() - the kernel's word for a page
 * @c: the memory
 * @page: the page
 *
 * Return: its struct page.
 * Context: any.
 */
struct page *cache_struct_page(const struct cache_model *c, unsigned int page);

/**
 * cache_enter() - pages become reachable, before the driver is told to make them so
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * A first entry sets the floor: what was written up to now has to be seen.
 *
 * Context: any.
 */
void cache_enter(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_leave() - pages are no longer reachable, as the driver has said
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * Context: any.
 */
void cache_leave(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_hold() - the pages' clean on the way out may be delayed
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * Context: any.
 */
void cache_hold(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_release() - it is over
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * Context: any.
 */
void cache_release(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_cpu() - a CPU writes or reads one line of a page, at random
 * @c: the memory
 * @page: the page
 * @write: which
 *
 * What it reads is judged.
 *
 * Context: any.
 */
void cache_cpu(struct cache_model *c, unsigned int page, bool write);

/**
 * cache_cpu_all() - a CPU writes or reads every line of pages
 * @c: the memory
 * @page: the first page
 * @nr: pages
 * @write: which; the pages are not reachable then
 *
 * Context: any.
 */
void cache_cpu_all(struct cache_model *c, unsigned int page, unsigned int nr, bool write);

/**
 * cache_noise() - what the cache does on its own account
 * @c: the memory
 * @page: the page it does it to
 *
 * One line is fetched, or forgotten and written back if it is dirty.
 *
 * Context: any.
 */
void cache_noise(struct cache_model *c, unsigned int page);

/**
 * cache_fetch() - the cache fetches every line of pages that it does not hold
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * Context: any.
 */
void cache_fetch(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_dma() - a device accesses one line of a page, at random
 * @c: the memory
 * @m: the unit
 * @rid: the device
 * @iova: an address in the page
 * @write: it writes
 * @no_snoop: it asks for no snoop, and gets it unless the unit forces it
 *
 * What it reads is judged, and that it may be there at all.
 *
 * Return: 0, or the reason for which it was refused.
 * Context: any.
 */
int cache_dma(struct cache_model *c, struct omni_model *m, u16 rid, u64 iova, bool write,
	      bool no_snoop);

/**
 * cache_cleans() - how often pages were cleaned
 * @c: the memory
 * @page: the first page
 * @nr: pages
 *
 * Records a violation for each page that is not the first one's equal, or of
 * which lines were cleaned without the others.
 *
 * Return: times the first was.
 * Context: any.
 */
unsigned int cache_cleans(struct cache_model *c, unsigned int page, unsigned int nr);

/**
 * cache_shut() - the driver must not clean pages, or may again
 * @c: the memory
 * @page: the first page
 * @nr: pages
 * @shut: which
 *
 * Context: any.
 */
void cache_shut(struct cache_model *c, unsigned int page, unsigned int nr, bool shut);

/**
 * cache_check() - fail the test for everything recorded
 * @c: the memory
 *
 * Context: may sleep.
 */
void cache_check(struct cache_model *c);

#endif
