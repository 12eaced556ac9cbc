/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine, its part that maps: leaves, tables that one map fills, trees
 * that grow, and the short way of a single leaf. Included by pgtable_engine.h.
 */

/*
 * A leaf goes where some of its @nr entries are in use already: right if they
 * point to tables that map nothing, an error otherwise. In a tracked domain,
 * they may be pending, or what they point to: the caller finds out.
 */
static __always_inline int PT_FN(replace)(__le64 *entries, unsigned int nr,
					  unsigned int level, u64 leaf, u64 iova,
					  struct list_head *replaced)
{
	struct omni_table *desc;
	LIST_HEAD(gone);
	unsigned int i;
	u64 old;

	for (i = 0; i < nr; i++) {
		old = PT_FN(read)(&entries[i]);
		if (!old)
			continue;
		if (PT_FN(is_leaf)(old, level) ||
		    !PT_FN(hollow)(PT_FN(below)(old), level - 1))
			return -EEXIST;
	}
	for (i = 0; i < nr; i++) {
		old = PT_FN(read)(&entries[i]);
		PT_FN(write)(&entries[i], PT_FN(part)(leaf, i, level));
		if (!old)
			continue;
		PT_FN(unlink)(PT_FN(below)(old), level - 1, &gone);
		atomic_dec(&PT_FN(desc)(entries)->tables);
	}
	/* base tells whose sync_map the flush belongs to. */
	list_for_each_entry(desc, &gone, node)
		desc->base = iova;
	list_splice_tail(&gone, replaced);
	return OMNI_FLUSH_MODIFIED;
}

/*
 * Is nothing in @room entries? If nobody has finished anything in the table,
 * there is nothing in a range that is the caller's.
 */
static __always_inline bool PT_FN(vacant)(const __le64 *entries, unsigned int room)
{
	const struct omni_table *desc = PT_FN(desc)(entries);
	unsigned int i;
	u64 any = 0;

	if (!(atomic_read(&desc->leaves) | atomic_read(&desc->tables)))
		return true;
	for (i = 0; i < room; i++)
		any |= PT_FN(read)(entries + i);
	return !any;
}

/* @nr entries, each with the address of its own part. Returns the next value. */
static __always_inline u64 PT_FN(row)(__le64 *entries, unsigned int nr, u64 leaf, u64 step)
{
	__le64 *end = entries + nr;

	for (; end - entries >= 8; entries += 8) {
		PT_FN(write)(entries, leaf);
		PT_FN(write)(entries + 1, leaf += step);
		PT_FN(write)(entries + 2, leaf += step);
		PT_FN(write)(entries + 3, leaf += step);
		PT_FN(write)(entries + 4, leaf += step);
		PT_FN(write)(entries + 5, leaf += step);
		PT_FN(write)(entries + 6, leaf += step);
		PT_FN(write)(entries + 7, leaf += step);
		leaf += step;
	}
	for (; entries < end; entries++, leaf += step)
		PT_FN(write)(entries, leaf);
	return leaf;
}

/*
 * Leaves of 2^@set entries each into @room entries of one table. Returns how
 * many entries that were: all, or those before the first that is mapped already.
 */
static __always_inline unsigned int PT_FN(fill)(__le64 *entries, unsigned int room,
						unsigned int set, unsigned int level,
						u64 iova, u64 *leaf, u64 step, int *kind,
						struct list_head *replaced)
{
	const unsigned int nr = BIT(set);
	unsigned int i, j;

	if ((PT_OWN || !set) && likely(PT_FN(vacant)(entries, room))) {
		*leaf = PT_FN(row)(entries, room, *leaf, step >> set);
		return room;
	}
	for (i = 0; i < room; i += nr) {
		bool busy = PT_FN(read)(entries + i);

		for (j = 1; j < nr && !busy; j++)
			busy = PT_FN(read)(entries + i + j);
		if (unlikely(busy)) {
			u64 at = iova + ((u64)i << PT_FN(shift)(level));

			if (PT_FN(replace)(entries + i, nr, level, *leaf, at, replaced) < 0)
				break;
			*kind = OMNI_FLUSH_MODIFIED;
		} else {
			for (j = 0; j < nr; j++)
				PT_FN(write)(entries + i + j, PT_FN(part)(*leaf, j, level));
		}
		*leaf += step;
	}
	return i;
}

/*
 * A table whose entries are all leaves of one map is filled before it is
 * linked: it is not zeroed, not looked through, and written back once. Returns
 * 0; else, outside of begin() and end(), -ENOMEM or -EAGAIN as descend() does.
 */
static noinline int PT_FN(hang_full)(struct omni_pt *pt, __le64 *parent, __le64 *entry,
				     unsigned int level, u64 leaf, u64 step, gfp_t gfp,
				     bool tracked)
{
	__le64 *table;

	PT_FN(end)(tracked);
	table = PT_FN(alloc)(pt, gfp);
	if (!table)
		return -ENOMEM;
	if (!PT_FN(begin)(pt, tracked)) {
		omni_table_free(table);
		return -EAGAIN;
	}
	PT_FN(row)(table, PT_ENTRIES, leaf | pt->leaf_bits, step);
	PT_FN(clean)(pt, table, PT_ENTRIES);
	atomic_set(&PT_FN(desc)(table)->leaves, PT_ENTRIES);
	if (PT_FN(hang)(pt, parent, entry, level, table))
		return 0;
	PT_FN(end)(tracked);
	return -EEXIST;
}

/*
 * Put roots above the root until @level is reached. What was the root becomes
 * the first table of what is above it.
 */
static int PT_FN(grow)(struct omni_pt *pt, unsigned int level, gfp_t gfp)
{
	unsigned long word = READ_ONCE(pt->word), new;
	__le64 *table, *old;
	unsigned int top;

	while ((top = word & ~PAGE_MASK) < level) {
		table = PT_FN(alloc)(pt, gfp | __GFP_ZERO);
		if (!table)
			return -ENOMEM;
		old = (__le64 *)(word & PAGE_MASK);
		PT_FN(write)(table, PT_FN(table)(virt_to_phys(old), top + 1));
		PT_FN(clean)(pt, table, PT_ENTRIES);
		atomic_set(&PT_FN(desc)(table)->tables, 1);
		/* Whoever sees the new root sees what is in it. */
		new = cmpxchg(&pt->word, word, (unsigned long)table | (top + 1));
		if (new == word) {
			word = (unsigned long)table | (top + 1);
		} else {
			word = new;
			omni_table_free(table);
		}
	}
	return 0;
}

/* The level that the root must have for a leaf at @level and the byte @last. */
static unsigned int PT_FN(needed)(u64 last, unsigned int level)
{
	while (last > PT_FN(span_last)(level))
		level++;
	return level;
}

static __always_inline int PT_FN(map_as)(struct omni_pt *pt, u64 iova, u64 pa,
					 unsigned int lg2, size_t count, u64 bits,
					 gfp_t gfp, size_t *mapped,
					 struct list_head *replaced, const bool tracked)
{
	const unsigned int level = PT_FN(level)(lg2);
	const unsigned int shift = PT_SETS ? PT_FN(shift)(level) : lg2;
	const unsigned int set = PT_SETS ? lg2 - shift : 0;
	const u64 step = BIT_ULL(lg2);
	const u64 size = (u64)count << lg2;
	int kind = OMNI_FLUSH_NONE;
	u64 leaf;

	*mapped = 0;
	if (iova > pt->last || size - 1 > pt->last - iova ||
	    pa > pt->pa_last || size - 1 > pt->pa_last - pa)
		return -ERANGE;

	if (PT_GROWS) {
		unsigned int top = PT_FN(needed)(iova + size - 1, level);

		if (unlikely((READ_ONCE(pt->word) & ~PAGE_MASK) < top) &&
		    PT_FN(grow)(pt, top, gfp))
			return -ENOMEM;
	}

	if (!PT_FN(begin)(pt, tracked))
		return PT_FN(map_slowly)(pt, iova, pa, lg2, count, bits, gfp, mapped,
					 replaced);
	leaf = PT_FN(leaf)(pa, lg2, bits);
	while (count) {
		unsigned int lvl, room, i;
		__le64 *table;
		int ret = 0;

		for (table = PT_FN(root)(pt, &lvl); lvl > level; lvl--) {
			__le64 *entry = &table[PT_FN(index)(iova, lvl)];
			u64 value = PT_FN(read)(entry);

			if (likely(PT_FN(linked)(value, lvl))) {
				table = PT_FN(link)(value, lvl);
				continue;
			}
			if (!value && lvl == level + 1 && (PT_OWN || !set) &&
			    !(iova & (BIT_ULL(PT_FN(shift)(lvl)) - 1)) &&
			    count >= PT_ENTRIES >> set) {
				ret = PT_FN(hang_full)(pt, table, entry, lvl, leaf, step >> set,
						       gfp, tracked);
				break;
			}
			table = PT_FN(descend)(pt, table, entry, lvl, gfp, tracked);
			if (IS_ERR(table)) {
				ret = PTR_ERR(table);
				break;
			}
		}
		/* The rest is all in these variables. */
		if (unlikely(ret == -EAGAIN))
			return PT_FN(map_slowly)(pt, iova, PT_FN(pa)(leaf), lg2, count,
						 leaf & ~PT_FN(pa)(~0ULL), gfp, mapped,
						 replaced);
		if (unlikely(ret))
			return ret;

		if (lvl > level) {
			i = PT_ENTRIES;
			room = i;
			leaf += step * (PT_ENTRIES >> set);
		} else {
			/* More than before, if coherency was enforced in the meantime. */
			leaf |= pt->leaf_bits;
			i = PT_FN(index)(iova, level);
			table += i;
			room = min_t(size_t, count, (PT_ENTRIES - i) >> set) << set;
			i = PT_FN(fill)(table, room, set, level, iova, &leaf, step, &kind,
					replaced);
			if (i) {
				atomic_add(i, &PT_FN(desc)(table)->leaves);
				PT_FN(clean)(pt, table, i);
			}
		}
		if (i && kind < OMNI_FLUSH_ADDED)
			kind = OMNI_FLUSH_ADDED;
		*mapped += (size_t)i << shift;
		if (unlikely(i < room)) {
			PT_FN(end)(tracked);
			return -EEXIST;
		}
		iova += (u64)i << shift;
		count -= i >> set;
	}
	PT_FN(end)(tracked);
	return kind;
}

/* Any number of pages, and whatever has to be done for them. */
static noinline int PT_FN(map_many)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2,
				    size_t count, u64 bits, gfp_t gfp, size_t *mapped,
				    struct list_head *replaced)
{
	return PT_FN(map_as)(pt, iova, pa, lg2, count, bits, gfp, mapped, replaced, false);
}

/*
 * One leaf into a table that is there, over nothing: what most maps are.
 * Returns false, nothing being changed, if it is not that simple.
 */
static __always_inline bool PT_FN(map_leaf)(struct omni_pt *pt, u64 iova, u64 pa,
					    const unsigned int level, u64 bits)
{
	bool done = false;
	__le64 *entry;

	/* A multiple of the leaf's size in range has the whole leaf in range. */
	if (pa > pt->pa_last || !PT_FN(enter)(pt, iova))
		return false;
	if (unlikely(!PT_FN(reach)(pt, iova, level, &entry)))
		goto out;
	if (PT_FN(read)(entry))
		goto out;
	PT_FN(write)(entry, PT_FN(leaf)(pa, PT_FN(shift)(level), bits) | pt->leaf_bits);
	atomic_inc(&PT_FN(desc)(entry)->leaves);
	PT_FN(clean)(pt, entry, 1);
	done = true;
out:
	PT_FN(leave_short)();
	return done;
}

static __always_inline bool PT_FN(map_one)(struct omni_pt *pt, u64 iova, u64 pa,
					   unsigned long pgsize, u64 bits)
{
	switch (pgsize) {
	case BIT(PT_PAGE_LG2):
		return PT_FN(map_leaf)(pt, iova, pa, 0, bits);
	case BIT(PT_PAGE_LG2 + PT_BITS):
		return PT_FN(map_leaf)(pt, iova, pa, 1, bits);
	case BIT(PT_PAGE_LG2 + 2 * PT_BITS):
		return PT_FN(map_leaf)(pt, iova, pa, 2, bits);
	}
	return false;
}

/*
 * PT_NAME_map() - map physically contiguous pages of one size
 * @pt: the page table
 * @iova: first byte, aligned to the page size
 * @pa: first physical byte, aligned to the page size
 * @lg2: log2 of the page size
 * @count: number of pages, more than 0
 * @bits: permission bits of the format
 * @gfp: how to allocate tables
 * @mapped: receives the bytes mapped, also on error
 * @replaced: receives tables that a leaf took the place of
 *
 * Return: <0 for an error, else an &enum omni_flush_kind. -ERANGE outside of
 * the address space or of what an entry can hold, -EEXIST where something is
 * mapped already, -ENOMEM. In a tracked domain also -EBUSY where @gfp does not
 * allow to sleep.
 */
static int __maybe_unused PT_FN(map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2,
				     size_t count, u64 bits, gfp_t gfp, size_t *mapped,
				     struct list_head *replaced)
{
	if (count == 1 && PT_FN(map_one)(pt, iova, pa, BIT(lg2), bits)) {
		*mapped = BIT(lg2);
		return OMNI_FLUSH_ADDED;
	}
	return PT_FN(map_many)(pt, iova, pa, lg2, count, bits, gfp, mapped, replaced);
}
