/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine's part of the tracker: included by the engine for a
 * format whose domains may be non-coherent. It defines
 *
 *	PT_NAME_nc_ops				for omni_nc.ops
 *	PT_NAME_map_slowly, _unmap_slowly	map and unmap of a tracked domain
 *	PT_NAME_sync_slowly			the end of a sync after those
 *
 * The format supplies, beside PT_TRACKS and what the engine wants:
 *
 *	PT_NAME_TRACKED			a bit that hardware ignores in leaves,
 *					0 in entries that point to tables
 *	u64  PT_NAME_pend(u64 leaf, u32 tag)	the pending entry in the place
 *					of a leaf, or of one entry of a set: not
 *					present, not 0; _pa() and _is_leaf() say
 *					of it what they say of the leaf
 *	u32  PT_NAME_pend_tag(u64 entry)	its tag of OMNI_NC_TAG_BITS
 *
 * Entries of a set have to have addresses of their own (SET_OWN).
 *
 * The invariants are at the beginning of noncoherent.c. Pages of leaves at
 * level 0 are counted one by one, those of other leaves by 2 MiB.
 */

#include "plan.h"

static_assert(PT_SETS != SET_SAME);

static __always_inline bool PT_FN(pended)(u64 entry)
{
	return entry && !PT_FN(present)(entry);
}

/*
 * How many entries from @i on are leaves of contiguous memory, marked or not
 * as @marked says?
 */
static unsigned int PT_FN(run)(const __le64 *table, unsigned int i, unsigned int level,
			       bool marked)
{
	const u64 span = BIT_ULL(PT_FN(shift)(level));
	u64 pa = PT_FN(pa)(PT_FN(read)(&table[i]));
	unsigned int n;

	for (n = 0; i + n < PT_ENTRIES; n++) {
		u64 value = PT_FN(read)(&table[i + n]);

		if (!PT_FN(present)(value) || !PT_FN(is_leaf)(value, level) ||
		    PT_FN(marked)(value) != marked || PT_FN(pa)(value) != pa + n * span)
			break;
	}
	return n;
}

static void PT_FN(mark)(__le64 *table, unsigned int i, unsigned int n, bool set)
{
	const __le64 bit = cpu_to_le64(PT_FN(TRACKED));

	for (; n; n--, i++) {
		__le64 old = READ_ONCE(table[i]);

		/* Hardware may set bits meanwhile. */
		while (!try_cmpxchg64(&table[i], &old, set ? old | bit : old & ~bit))
			cpu_relax();
	}
}

/*
 * Is nothing in a table that nobody changes meanwhile, pending entries
 * included? What is linked and not counted yet has nothing in it either.
 */
static __always_inline bool PT_FN(blank)(const __le64 *table)
{
	const struct omni_table *desc = PT_FN(desc)(table);

	return !(atomic_read(&desc->leaves) | atomic_read(&desc->tables));
}

static int PT_FN(track_table)(__le64 *table, unsigned int level)
{
	unsigned int i, n;
	int ret;

	if (PT_FN(blank)(table))
		return 0;
	for (i = 0; i < PT_ENTRIES; i += n) {
		u64 value = PT_FN(read)(&table[i]);

		n = 1;
		if (!PT_FN(present)(value))
			continue;
		if (!PT_FN(is_leaf)(value, level)) {
			ret = PT_FN(track_table)(PT_FN(below)(value), level - 1);
		} else {
			n = PT_FN(run)(table, i, level, false);
			ret = omni_nc_in(PT_FN(pa)(value), (u64)n << PT_FN(shift)(level),
					 level, GFP_KERNEL_ACCOUNT);
			if (!ret)
				PT_FN(mark)(table, i, n, true);
		}
		if (ret)
			return ret;
	}
	cond_resched();
	return 0;
}

static void PT_FN(untrack_table)(__le64 *table, unsigned int level, bool all)
{
	unsigned int i, n;

	if (PT_FN(blank)(table))
		return;
	for (i = 0; i < PT_ENTRIES; i += n) {
		u64 value = PT_FN(read)(&table[i]);

		n = 1;
		if (PT_FN(pended)(value)) {
			if (!all)
				continue;
			PT_FN(write)(&table[i], 0);
			atomic_sub(OMNI_TABLE_PENDING, &PT_FN(desc)(table)->leaves);
		} else if (!value) {
			continue;
		} else if (!PT_FN(is_leaf)(value, level)) {
			PT_FN(untrack_table)(PT_FN(below)(value), level - 1, all);
			continue;
		} else if (PT_FN(marked)(value)) {
			n = PT_FN(run)(table, i, level, true);
			PT_FN(mark)(table, i, n, false);
		} else {
			continue;
		}
		omni_nc_out(PT_FN(pa)(value), (u64)n << PT_FN(shift)(level), level);
	}
	cond_resched();
}

static u64 PT_FN(mapped_table)(const __le64 *table, unsigned int level)
{
	struct omni_table *desc = PT_FN(desc)(table);
	unsigned int tables = atomic_read(&desc->tables);
	unsigned int leaves = atomic_read(&desc->leaves);
	unsigned int i;
	u64 bytes;

	bytes = (u64)(leaves % OMNI_TABLE_PENDING + leaves / OMNI_TABLE_PENDING) <<
		PT_FN(shift)(level);
	for (i = 0; tables && i < PT_ENTRIES; i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (!PT_FN(present)(value) || PT_FN(is_leaf)(value, level))
			continue;
		bytes += PT_FN(mapped_table)(PT_FN(below)(value), level - 1);
		tables--;
	}
	return bytes;
}

static int PT_FN(track)(struct omni_domain *domain)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(&domain->pt, &level);

	return PT_FN(track_table)(root, level);
}

static void PT_FN(untrack)(struct omni_domain *domain, bool all)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(&domain->pt, &level);

	PT_FN(untrack_table)(root, level, all);
}

static u64 PT_FN(mapped)(struct omni_domain *domain)
{
	unsigned int level;
	const __le64 *root = PT_FN(root)(&domain->pt, &level);

	return PT_FN(mapped_table)(root, level);
}

/*
 * Take pending entries with a tag, or of any tag for 0, out of a range, and
 * note their pages. Returns the first byte that was not looked at: past @last
 * at the end, earlier when the batch is full or others want the CPU.
 */
static u64 PT_FN(collect)(__le64 *table, unsigned int level, u64 iova, u64 last,
			  u32 tag, struct omni_nc_batch *batch)
{
	struct omni_table *desc = PT_FN(desc)(table);
	const u64 span = BIT_ULL(PT_FN(shift)(level));
	unsigned int i = PT_FN(index)(iova, level);
	unsigned int taken = 0;

	if (!level && atomic_read(&desc->leaves) < OMNI_TABLE_PENDING)
		return last + 1;
	for (; i < PT_ENTRIES && iova <= last; i++) {
		u64 value = PT_FN(read)(&table[i]);
		u64 entry_last = iova | (span - 1);
		u64 part = min(last, entry_last);

		if (PT_FN(present)(value) && !PT_FN(is_leaf)(value, level)) {
			iova = PT_FN(collect)(PT_FN(below)(value), level - 1, iova, part,
					      tag, batch);
			if (iova <= part || (level == 1 && need_resched()))
				break;
			continue;
		}
		if (PT_FN(pended)(value) && (!tag || PT_FN(pend_tag)(value) == tag)) {
			if (!omni_nc_batch_add(batch, PT_FN(pa)(value), span, level))
				break;
			PT_FN(write)(&table[i], 0);
			taken++;
		}
		iova = part + 1;
	}
	if (taken)
		atomic_sub(taken * OMNI_TABLE_PENDING, &desc->leaves);
	return iova;
}

/*
 * Count the pages of the marked leaves of unlinked tables out. Those that were
 * unlinked before the domain was tracked are here, too, and those that were
 * replaced: they have no marked leaves, nor the level in @base.
 */
static void PT_FN(out_tables)(struct list_head *tables, bool lazy)
{
	struct omni_nc_batch batch = { };
	struct omni_table *desc;

	list_for_each_entry(desc, tables, node) {
		const __le64 *table = omni_table_entries(desc);
		const unsigned int level = desc->base;
		unsigned int left = atomic_read(&desc->leaves);
		unsigned int i;

		for (i = 0; left && i < PT_ENTRIES; i++) {
			u64 value = PT_FN(read)(&table[i]), span;

			if (!PT_FN(present)(value) || !PT_FN(is_leaf)(value, level))
				continue;
			left--;
			if (!PT_FN(marked)(value))
				continue;
			span = BIT_ULL(PT_FN(shift)(level));
			if (omni_nc_batch_add(&batch, PT_FN(pa)(value), span, level))
				continue;
			omni_nc_batch_out(&batch, lazy);
			omni_nc_batch_add(&batch, PT_FN(pa)(value), span, level);
		}
		atomic_set(&desc->leaves, 0);
		cond_resched();
	}
	omni_nc_batch_out(&batch, lazy);
}

static void PT_FN(unlinked)(struct list_head *tables)
{
	PT_FN(out_tables)(tables, false);
}

/* The wing declares it. */
const struct omni_nc_ops PT_FN(nc_ops) = {
	.tracked = PT_FN(TRACKED),
	.mapped = PT_FN(mapped),
	.track = PT_FN(track),
	.untrack = PT_FN(untrack),
	.unlinked = PT_FN(unlinked),
};

static u64 PT_FN(collect_domain)(struct omni_domain *domain, u64 iova, u64 last, u32 tag,
				 struct omni_nc_batch *batch)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(&domain->pt, &level);

	/*
	 * Coherency was enforced since: nothing is pending, and whoever changes
	 * the table now does not take the lock.
	 */
	if (!domain->pt.tracked)
		return last + 1;
	if (PT_GROWS)
		last = min(last, PT_FN(span_last)(level));
	return iova > last ? iova : PT_FN(collect)(root, level, iova, last, tag, batch);
}

/*
 * A map wants a place where something is, or an unmap a tag and there is none:
 * if that was unmapped and is not synced yet, do what the sync would, since it
 * is not the caller's to wait for. Says whether there was anything.
 */
static bool PT_FN(settle_now)(struct omni_domain *domain, u64 iova, u64 last)
{
	const bool all = !iova && last == domain->pt.last;
	/* A pending leaf may be larger than the range. */
	const struct omni_inv inv = {
		.scope = OMNI_INV_DOMAIN,
		.device_tlb = true,
	};
	struct omni_nc_batch batch = { };
	bool any = false;
	LIST_HEAD(none);
	int err = 0;
	u64 next;

	/*
	 * Held to the end: the sync that has lost its entries has to wait for
	 * the cleaning.
	 */
	down_write(&domain->nc.lock);
	do {
		next = PT_FN(collect_domain)(domain, iova, last, 0, &batch);
		if (batch.nr && !any) {
			omni_count_end(domain, OMNI_OTHER_ASKED);
			err = PT_INVALIDATE(domain, &inv);
		}
		any |= batch.nr;
		omni_nc_batch_out(&batch, false);
		cond_resched();
		swap(iova, next);
	} while (iova <= last && iova != next);
	if (all)
		omni_nc_new_round(&domain->nc);
	up_write(&domain->nc.lock);
	omni_tables_done(domain, &none, err);
	return any;
}

/*
 * PT_NAME_map_slowly() - PT_NAME_map() in a tracked domain
 *
 * What is mapped is added to @mapped. @bits may have those of leaves already.
 */
static noinline __cold int PT_FN(map_slowly)(struct omni_pt *pt, u64 iova, u64 pa,
					     unsigned int lg2, size_t count, u64 bits,
					     gfp_t gfp, size_t *mapped,
					     struct list_head *replaced)
{
	struct omni_domain *domain = container_of(pt, struct omni_domain, pt);
	const bool whole = PT_FN(level)(lg2);
	u64 size = (u64)count << lg2;
	bool counts, counted = false, bulk;
	size_t done = 0;
	int ret;

	if (!gfpflags_allow_blocking(gfp))
		return -EBUSY;
	do {
		iova += done;
		pa += done;
		size -= done;
		down_read(&domain->nc.lock);
		counts = pt->leaf_bits & PT_FN(TRACKED);
		/* What was counted for the attempt before stays so, and clean (N3). */
		if (!counts && counted) {
			omni_nc_out(pa, size, whole);
		} else if (counts && !counted) {
			bulk = omni_nc_bulk_begin(size);
			ret = omni_nc_in(pa, size, whole, gfp);
			omni_nc_bulk_end(bulk);
			if (ret) {
				up_read(&domain->nc.lock);
				return ret;
			}
		}
		counted = counts;
		ret = PT_FN(map_as)(pt, iova, pa, lg2, size >> lg2, bits, gfp, &done, replaced,
				    true);
		up_read(&domain->nc.lock);
		*mapped += done;
	} while (ret == -EEXIST &&
		 PT_FN(settle_now)(domain, iova + done, iova + size - 1));
	if (counted && done < size)
		omni_nc_out(pa + done, size - done, whole);
	return ret;
}

/*
 * PT_NAME_unmap_slowly() - the unmap_pages hook in a tracked domain
 *
 * Return: bytes cleared from @iova on.
 */
static noinline __cold size_t PT_FN(unmap_slowly)(struct omni_domain *domain, u64 iova,
						  u64 size, struct iommu_iotlb_gather *gather)
{
	struct omni_pt *pt = &domain->pt;
	struct PT_FN(gone) gone = { .tables = LIST_HEAD_INIT(gone.tables) };
	unsigned int level;
	u64 end = iova;
	__le64 *root;
	u32 tag;

	might_sleep();
	if (iova > pt->last || size - 1 > pt->last - iova)
		return 0;
	down_read(&domain->nc.lock);
	/* The one flush of a step (F1), if anything is pending: once in 2^20 gathers. */
	while (!(tag = omni_nc_tag(&domain->nc, gather))) {
		up_read(&domain->nc.lock);
		PT_FN(settle_now)(domain, 0, pt->last);
		down_read(&domain->nc.lock);
	}
	root = PT_FN(root)(pt, &level);
	if (!PT_GROWS || iova <= PT_FN(span_last)(level))
		end = PT_FN(clear_tracked)(pt, root, level, iova, iova + size - 1,
					   &gone.tables, tag);
	up_read(&domain->nc.lock);
	if (end > iova)
		omni_gather(domain, gather, iova, end - iova);
	gather->pgsize |= PT_FN(gone_levels)(&gone);
	if (!list_empty(&gone.tables))
		omni_gather_tables(domain, gather, &gone.tables);
	return end - iova;
}

/*
 * PT_NAME_sync_slowly() - after the invalidation, before tables are freed:
 * what left with a gather
 */
static noinline __cold void PT_FN(sync_slowly)(struct omni_domain *domain,
					       struct iommu_iotlb_gather *gather)
{
	const u64 last = gather->end;
	const bool lazy = gather->pgsize & OMNI_NC_LAZY;
	struct omni_nc_batch batch = { };
	u64 iova = gather->start;
	bool bulk;

	if (!last)
		return;
	/*
	 * The lock is not needed to clean, what was collected is nobody else's.
	 * But who will clean everything may not wait for it meanwhile.
	 */
	down_write(&domain->nc.lock);
	bulk = omni_nc_bulk_begin(last - iova + 1);
	for (;;) {
		u32 tag = omni_nc_tag_of(&domain->nc, gather);
		u64 next = tag ? PT_FN(collect_domain)(domain, iova, last, tag, &batch) :
			   last + 1;
		bool end = next > last || next == iova;

		if (!bulk)
			up_write(&domain->nc.lock);
		omni_nc_batch_out(&batch, lazy);
		cond_resched();
		if (end)
			break;
		iova = next;
		if (!bulk)
			down_write(&domain->nc.lock);
	}
	PT_FN(out_tables)(&gather->freelist, lazy);
	omni_nc_bulk_end(bulk);
	if (bulk)
		up_write(&domain->nc.lock);
	gather->pgsize = 0;
}

/*
 * PT_NAME_flush_slowly() - after the invalidation of a flush of all, before
 * tables are freed: what left with queued gathers
 *
 * What is pending may have become so after that invalidation.
 */
static noinline __cold void PT_FN(flush_slowly)(struct omni_domain *domain,
						struct list_head *tables)
{
	PT_FN(settle_now)(domain, 0, domain->pt.last);
	PT_FN(out_tables)(tables, false);
}
