// SPDX-License-Identifier: GPL-2.0-only
/*
 * The count of every page that non-coherent domains map, and its cleaning.
 *
 * The count is one for all domains: what matters is whether a page can be
 * reached by DMA that does not snoop at all. It is kept by chunks of 2 MiB of
 * physical memory, found by their number.
 *
 * Invariants
 *
 * 1. A page's count is chunk.whole + chunk.pages[i]: its mappings by leaves of
 *    2 MiB and more, and by smaller ones. A leaf leaves as it came, so neither
 *    part is ever taken from the other.
 * 2. Whoever brings a page's count from 0 to 1 cleans it before he drops the
 *    chunk's lock, and so does who brings it from 1 to 0. So whoever meets a
 *    count above 0 under the lock knows that the page was cleaned on its way
 *    in, and nobody returns from omni_nc_out() before what he made 0 is clean.
 * 3. The count of a page goes down only after the invalidation of the mapping
 *    that leaves. So at 1 to 0 no mapping, of any domain, can be used.
 * 4. A page that left its last mapping by a lazy unmap of one that holds it is
 *    owed: it is cleaned when a hold of it ends, or when it comes back in,
 *    which pays. Any other way out cleans, whoever holds the page.
 * 5. A chunk is freed by whoever finds it unused and all its counts 0. Only
 *    omni_nc_in() and omni_nc_hold() allocate.
 *
 * Kinds of pages that are not cleaned (N4) are counted all the same: whether
 * there is something to clean is decided at the time it would be.
 */
#include "include/omniommu.h"

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "include/omni_trace.h"

#define NC_PAGES	512U
#define NC_CHUNK	SZ_2M

/**
 * struct omni_nc_chunk - the counts of 2 MiB of physical memory
 * @lock: protects all but @users and @index
 * @users: calls that work on it, under the array's lock
 * @index: its place in the array: physical address / 2 MiB
 * @total: sum of all counts below; it stays while that is not 0
 * @whole: mappings of all its pages, by leaves of 2 MiB and more
 * @held: holds of all its pages
 * @pages: mappings of each page by smaller leaves, NULL until there is one
 * @holds: holds of each page by ranges that do not cover the chunk, or NULL
 * @owed: a bit a page: it left its last mapping by a lazy unmap, held
 */
struct omni_nc_chunk {
	struct mutex lock;	/* see @lock above */
	unsigned int users;
	unsigned long index;
	u64 total;
	u32 whole;
	u32 held;
	u32 *pages;
	u32 *holds;
	DECLARE_BITMAP(owed, NC_PAGES);
};

static DEFINE_XARRAY_FLAGS(omni_nc_array, XA_FLAGS_ACCOUNT);
static atomic_long_t omni_nc_live = ATOMIC_LONG_INIT(0);

/*
 * Read by everybody who cleans lines, written by who will clean all caches at
 * once when he has counted, so that nobody relies on what he has not done yet.
 */
static DECLARE_RWSEM(omni_nc_gate);
static struct task_struct *omni_nc_bulk_owner;
static u64 omni_nc_bulk_pages;

#ifdef OMNI_KUNIT
struct omni_nc_test omni_nc_test;
unsigned int omni_nc_wbinvd_above;
#else
static unsigned int omni_nc_wbinvd_above;
module_param_named(wbinvd_above, omni_nc_wbinvd_above, uint, 0644);
MODULE_PARM_DESC(wbinvd_above, "MiB that one map or unmap of a non-coherent domain has to exceed to write back all caches at once instead of each line; this stalls every CPU (default: 0, never)");
#endif

/* Cleaning */

#ifdef OMNI_KUNIT
static void nc_clean_range(phys_addr_t pa, size_t bytes, bool out)
{
	if (omni_nc_test.clean)
		omni_nc_test.clean(pa, bytes);
}

static void nc_clean_all(void)
{
	if (omni_nc_test.clean_all)
		omni_nc_test.clean_all();
}

#else
static void nc_clean_range(phys_addr_t pa, size_t bytes, bool out)
{
	omni_clean_data(phys_to_virt(pa), bytes);
	trace_omni_nc_clean(out, pa, bytes);
}

static void nc_clean_all(void)
{
	omni_clean_all();
}
#endif

static __always_inline enum omni_nc_kind nc_kind(unsigned long pfn, struct omni_direct_map *map)
{
#ifdef OMNI_KUNIT
	if (omni_nc_test.kind)
		return omni_nc_test.kind(pfn);
#endif
	if (!pfn_valid(pfn))
		return OMNI_NC_MMIO;
	if (PageReserved(pfn_to_page(pfn)))
		return OMNI_NC_RESERVED;
	if (pfn >= map->end)
		omni_direct_map_at(map, pfn);
	if (!map->present)
		return OMNI_NC_UNMAPPED;
	return map->cached ? OMNI_NC_MEMORY : OMNI_NC_UNCACHED;
}

static void nc_skip(enum omni_nc_kind kind)
{
	static const enum omni_count counts[] = {
		[OMNI_NC_MMIO] = OMNI_NC_SKIPPED_MMIO,
		[OMNI_NC_RESERVED] = OMNI_NC_SKIPPED_RESERVED,
		[OMNI_NC_UNMAPPED] = OMNI_NC_SKIPPED_UNMAPPED,
		[OMNI_NC_UNCACHED] = OMNI_NC_SKIPPED_UNCACHED,
	};

	omni_count(counts[kind]);
}

/* Clean memory, all of it, or leave that to the end of a bulk operation. */
static void nc_clean_memory(unsigned long pfn, unsigned int nr, bool out)
{
	u64 bytes = (u64)nr << PAGE_SHIFT;

	if (!nr)
		return;
	omni_count_add(out ? OMNI_NC_CLEAN_OUT : OMNI_NC_CLEAN_IN, nr);
	if (omni_nc_bulk_owner == current) {
		omni_nc_bulk_pages += nr;
		return;
	}
	omni_count_add(out ? OMNI_NC_BYTES_OUT : OMNI_NC_BYTES_IN, bytes);
	nc_clean_range(PFN_PHYS(pfn), bytes, out);
}

/* Clean pages @first to @end of a chunk as far as there is something to clean. */
static void nc_clean(const struct omni_nc_chunk *chunk, unsigned int first,
		     unsigned int end, bool out)
{
	unsigned long base = chunk->index * NC_PAGES;
	struct omni_direct_map map = { };
	unsigned int i, run = first;

	lockdep_assert_held(&chunk->lock);
	for (i = first; i < end; i++) {
		enum omni_nc_kind kind = nc_kind(base + i, &map);

		if (likely(kind == OMNI_NC_MEMORY))
			continue;
		nc_skip(kind);
		nc_clean_memory(base + run, i - run, out);
		run = i + 1;
	}
	nc_clean_memory(base + run, end - run, out);
}

/* Chunks */

static struct omni_nc_chunk *nc_new(unsigned long index, gfp_t gfp)
{
	struct omni_nc_chunk *chunk = kzalloc(sizeof(*chunk), gfp);

	if (!chunk)
		return NULL;
	mutex_init(&chunk->lock);
	chunk->index = index;
	return chunk;
}

static void nc_free(struct omni_nc_chunk *chunk)
{
	kfree(chunk->pages);
	kfree(chunk->holds);
	kfree(chunk);
}

/* The chunk of an index, locked; a new one if @gfp is not 0. NULL without. */
static struct omni_nc_chunk *nc_get(unsigned long index, gfp_t gfp)
{
	struct omni_nc_chunk *chunk, *new;

	xa_lock(&omni_nc_array);
	chunk = xa_load(&omni_nc_array, index);
	if (!chunk && gfp) {
		xa_unlock(&omni_nc_array);
		new = nc_new(index, gfp);
		if (!new)
			return NULL;
		xa_lock(&omni_nc_array);
		chunk = __xa_cmpxchg(&omni_nc_array, index, NULL, new, gfp);
		if (!chunk) {
			chunk = new;
			atomic_long_inc(&omni_nc_live);
		} else {
			nc_free(new);
			if (xa_is_err(chunk))
				chunk = NULL;
		}
	}
	if (chunk)
		chunk->users++;
	xa_unlock(&omni_nc_array);
	if (chunk)
		mutex_lock(&chunk->lock);
	return chunk;
}

static void nc_put(struct omni_nc_chunk *chunk)
{
	bool gone;

	mutex_unlock(&chunk->lock);
	xa_lock(&omni_nc_array);
	/* Without users @total can't change. */
	gone = !--chunk->users && !chunk->total;
	if (gone)
		__xa_erase(&omni_nc_array, chunk->index);
	xa_unlock(&omni_nc_array);
	if (gone) {
		atomic_long_dec(&omni_nc_live);
		nc_free(chunk);
	}
}

static bool nc_counts(u32 **counts, gfp_t gfp)
{
	if (!*counts)
		*counts = kcalloc(NC_PAGES, sizeof(**counts), gfp);
	return *counts;
}

static bool nc_held(const struct omni_nc_chunk *chunk, unsigned int i)
{
	return chunk->held || (chunk->holds && chunk->holds[i]);
}

/* One mapping more of pages @first to @end, none of which is in @pages yet. */
static void nc_in_whole(struct omni_nc_chunk *chunk)
{
	unsigned int i, run = 0, shared = 0;

	chunk->total++;
	if (chunk->whole++) {
		omni_count_add(OMNI_NC_SHARED_IN, NC_PAGES);
		return;
	}
	bitmap_zero(chunk->owed, NC_PAGES);
	for (i = 0; chunk->pages && i < NC_PAGES; i++) {
		if (!chunk->pages[i])
			continue;
		shared++;
		nc_clean(chunk, run, i, false);
		run = i + 1;
	}
	nc_clean(chunk, run, NC_PAGES, false);
	omni_count_add(OMNI_NC_SHARED_IN, shared);
}

static void nc_in_pages(struct omni_nc_chunk *chunk, unsigned int first, unsigned int end)
{
	unsigned int i, run = first, shared = 0;

	chunk->total += end - first;
	for (i = first; i < end; i++) {
		__clear_bit(i, chunk->owed);
		if (!(chunk->pages[i]++ | chunk->whole))
			continue;
		shared++;
		nc_clean(chunk, run, i, false);
		run = i + 1;
	}
	nc_clean(chunk, run, end, false);
	omni_count_add(OMNI_NC_SHARED_IN, shared);
}

/* Pages @first to @end have left their last mapping. */
static void nc_left(struct omni_nc_chunk *chunk, unsigned int first, unsigned int end,
		    bool lazy)
{
	unsigned int i, run = first, owed = 0;

	for (i = first; lazy && i < end; i++) {
		if (!nc_held(chunk, i))
			continue;
		__set_bit(i, chunk->owed);
		owed++;
		nc_clean(chunk, run, i, true);
		run = i + 1;
	}
	nc_clean(chunk, run, end, true);
	omni_count_add(OMNI_NC_OWED, owed);
}

static void nc_out_whole(struct omni_nc_chunk *chunk, bool lazy)
{
	unsigned int i, run = 0, shared = 0;

	if (WARN_ON_ONCE(!chunk->whole))
		return;
	chunk->total--;
	if (--chunk->whole) {
		omni_count_add(OMNI_NC_SHARED_OUT, NC_PAGES);
		return;
	}
	for (i = 0; chunk->pages && i < NC_PAGES; i++) {
		if (!chunk->pages[i])
			continue;
		shared++;
		nc_left(chunk, run, i, lazy);
		run = i + 1;
	}
	nc_left(chunk, run, NC_PAGES, lazy);
	omni_count_add(OMNI_NC_SHARED_OUT, shared);
}

static void nc_out_pages(struct omni_nc_chunk *chunk, unsigned int first, unsigned int end,
			 bool lazy)
{
	unsigned int i, run = first, shared = 0;

	if (WARN_ON_ONCE(!chunk->pages))
		return;
	for (i = first; i < end; i++) {
		if (WARN_ON_ONCE(!chunk->pages[i]))
			break;
		chunk->total--;
		if (!(--chunk->pages[i] | chunk->whole))
			continue;
		shared++;
		nc_left(chunk, run, i, lazy);
		run = i + 1;
	}
	nc_left(chunk, run, i, lazy);
	omni_count_add(OMNI_NC_SHARED_OUT, shared);
}

/* May a count be one higher? */
static bool nc_may_grow(u32 count)
{
#ifdef OMNI_KUNIT
	if (omni_nc_test.limit)
		return count < omni_nc_test.limit;
#endif
	return count < U32_MAX;
}

/* May every count of the range? */
static bool nc_room(const u32 *counts, unsigned int first, unsigned int end)
{
	for (; first < end; first++)
		if (!nc_may_grow(counts[first]))
			return false;
	return true;
}

static int nc_in_chunk(unsigned long index, unsigned int first, unsigned int end,
		       bool whole, gfp_t gfp)
{
	struct omni_nc_chunk *chunk = nc_get(index, gfp);
	int ret = 0;

	if (!chunk)
		return -ENOMEM;
	if (whole) {
		if (!nc_may_grow(chunk->whole))
			ret = -EOVERFLOW;
		else
			nc_in_whole(chunk);
	} else if (!nc_counts(&chunk->pages, gfp)) {
		ret = -ENOMEM;
	} else if (!nc_room(chunk->pages, first, end)) {
		ret = -EOVERFLOW;
	} else {
		nc_in_pages(chunk, first, end);
	}
	nc_put(chunk);
	return ret;
}

static void nc_out_chunk(unsigned long index, unsigned int first, unsigned int end,
			 bool whole, bool lazy)
{
	struct omni_nc_chunk *chunk = nc_get(index, 0);

	if (WARN_ON_ONCE(!chunk))
		return;
	if (whole)
		nc_out_whole(chunk, lazy);
	else
		nc_out_pages(chunk, first, end, lazy);
	nc_put(chunk);
}

static int nc_hold_chunk(unsigned long index, unsigned int first, unsigned int end, gfp_t gfp)
{
	struct omni_nc_chunk *chunk = nc_get(index, gfp);
	int ret = 0;

	if (!chunk)
		return -ENOMEM;
	if (end - first == NC_PAGES) {
		if (!nc_may_grow(chunk->held)) {
			ret = -EOVERFLOW;
		} else {
			chunk->held++;
			chunk->total++;
		}
	} else if (!nc_counts(&chunk->holds, gfp)) {
		ret = -ENOMEM;
	} else if (!nc_room(chunk->holds, first, end)) {
		ret = -EOVERFLOW;
	} else {
		chunk->total += end - first;
		for (; first < end; first++)
			chunk->holds[first]++;
	}
	nc_put(chunk);
	return ret;
}

static void nc_release_chunk(unsigned long index, unsigned int first, unsigned int end)
{
	struct omni_nc_chunk *chunk = nc_get(index, 0);
	unsigned int i, run = first;

	if (WARN_ON_ONCE(!chunk))
		return;
	if (end - first == NC_PAGES) {
		chunk->held--;
		chunk->total--;
	} else {
		chunk->total -= end - first;
		for (i = first; i < end; i++)
			chunk->holds[i]--;
	}
	for (i = first; i < end; i++) {
		/* Also if others hold it: this one gets it back now. */
		if (__test_and_clear_bit(i, chunk->owed))
			continue;
		nc_clean(chunk, run, i, true);
		run = i + 1;
	}
	nc_clean(chunk, run, end, true);
	nc_put(chunk);
}

/* Ranges */

/* The part of a range that lies in one chunk. */
struct nc_part {
	unsigned long index;
	unsigned int first;
	unsigned int end;
	u64 bytes;
};

static struct nc_part nc_part(phys_addr_t pa, u64 left)
{
	struct nc_part p = {
		.index = pa / NC_CHUNK,
		.first = pa % NC_CHUNK >> PAGE_SHIFT,
		.bytes = min_t(u64, left, NC_CHUNK - pa % NC_CHUNK),
	};

	p.end = p.first + (p.bytes >> PAGE_SHIFT);
	return p;
}

static bool nc_gate_enter(void)
{
	if (READ_ONCE(omni_nc_bulk_owner) == current)
		return false;
	down_read(&omni_nc_gate);
	return true;
}

static void nc_gate_leave(bool entered)
{
	if (entered)
		up_read(&omni_nc_gate);
}

bool omni_nc_bulk_begin(u64 bytes)
{
	unsigned int above = READ_ONCE(omni_nc_wbinvd_above);

	if (!OMNI_CLEANS_ALL || likely(!above) || bytes >> 20 <= above)
		return false;
	down_write(&omni_nc_gate);
	WRITE_ONCE(omni_nc_bulk_owner, current);
	omni_nc_bulk_pages = 0;
	return true;
}

void omni_nc_bulk_end(bool begun)
{
	if (!begun)
		return;
	if (omni_nc_bulk_pages) {
		omni_count(OMNI_NC_WHOLE_CACHE);
		nc_clean_all();
	}
	WRITE_ONCE(omni_nc_bulk_owner, NULL);
	up_write(&omni_nc_gate);
}

static void nc_out(phys_addr_t pa, u64 bytes, bool whole, bool lazy)
{
	bool entered = nc_gate_enter();

	while (bytes) {
		struct nc_part p = nc_part(pa, bytes);

		nc_out_chunk(p.index, p.first, p.end, whole, lazy);
		pa += p.bytes;
		bytes -= p.bytes;
		cond_resched();
	}
	nc_gate_leave(entered);
}

void omni_nc_out(phys_addr_t pa, u64 bytes, bool whole)
{
	nc_out(pa, bytes, whole, false);
}

int omni_nc_in(phys_addr_t pa, u64 bytes, bool whole, gfp_t gfp)
{
	bool entered = nc_gate_enter();
	phys_addr_t at = pa;
	int ret = 0;

	while (bytes && !ret) {
		struct nc_part p = nc_part(at, bytes);

		ret = nc_in_chunk(p.index, p.first, p.end, whole, gfp);
		if (ret)
			break;
		at += p.bytes;
		bytes -= p.bytes;
		cond_resched();
	}
	nc_gate_leave(entered);
	if (ret)
		omni_nc_out(pa, at - pa, whole);
	return ret;
}

void omni_nc_release(phys_addr_t pa, u64 bytes)
{
	bool entered = nc_gate_enter();

	while (bytes) {
		struct nc_part p = nc_part(pa, bytes);

		nc_release_chunk(p.index, p.first, p.end);
		pa += p.bytes;
		bytes -= p.bytes;
		cond_resched();
	}
	nc_gate_leave(entered);
}

int omni_nc_hold(phys_addr_t pa, u64 bytes, gfp_t gfp)
{
	phys_addr_t at = pa;
	int ret;

	while (bytes) {
		struct nc_part p = nc_part(at, bytes);

		ret = nc_hold_chunk(p.index, p.first, p.end, gfp);
		if (ret) {
			omni_nc_release(pa, at - pa);
			return ret;
		}
		at += p.bytes;
		bytes -= p.bytes;
		cond_resched();
	}
	return 0;
}

bool omni_nc_batch_add(struct omni_nc_batch *batch, phys_addr_t pa, u64 bytes, bool whole)
{
	struct omni_nc_run *last = batch->nr ? &batch->runs[batch->nr - 1] : NULL;

	if (last && last->whole == whole && last->pa + last->bytes == pa) {
		last->bytes += bytes;
		return true;
	}
	if (batch->nr == OMNI_NC_BATCH)
		return false;
	batch->runs[batch->nr++] = (struct omni_nc_run) {
		.pa = pa,
		.bytes = bytes,
		.whole = whole,
	};
	return true;
}

void omni_nc_batch_out(struct omni_nc_batch *batch, bool lazy)
{
	unsigned int i;

	for (i = 0; i < batch->nr; i++)
		nc_out(batch->runs[i].pa, batch->runs[i].bytes, batch->runs[i].whole, lazy);
	batch->nr = 0;
}

long omni_nc_chunks(void)
{
	return atomic_long_read(&omni_nc_live);
}
