/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine, its part that clears leaves and unlinks whole tables, and
 * the short way of a single leaf. Included by pgtable_engine.h.
 */

/*
 * Clear from @iova to @last below @table. Returns the first byte that was not
 * cleared: past @last if all was mapped.
 */
static u64 PT_FN(clear)(struct omni_pt *pt, __le64 *table, unsigned int level,
			u64 iova, u64 last, struct list_head *tables);
static u64 PT_FN(clear_tracked)(struct omni_pt *pt, __le64 *table, unsigned int level,
				u64 iova, u64 last, struct list_head *tables, u32 tag);

/* What an unmap leaves to a flush. */
struct PT_FN(gone) {
	struct list_head tables;	/* those that it unlinked */
#ifdef PT_HINTS
	unsigned int levels;		/* bit n: it cleared leaves at level n */
#endif
};

/* A leaf was cleared. */
static __always_inline void PT_FN(note_level)(struct list_head *tables, unsigned int level)
{
#ifdef PT_HINTS
	container_of(tables, struct PT_FN(gone), tables)->levels |= BIT(level);
#endif
}

/* For a gather's pgsize. */
static __always_inline u64 PT_FN(gone_levels)(const struct PT_FN(gone) *gone)
{
#ifdef PT_HINTS
	return FIELD_PREP(OMNI_GATHER_LEVELS, gone->levels);
#else
	return 0;
#endif
}

/* Clear leaves of an entry each: up to @nr, as many as there are in a row. */
static __always_inline unsigned int PT_FN(clear_row)(__le64 *entries, unsigned int nr,
						     unsigned int level)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		u64 value = PT_FN(read)(entries + i);

		if (!PT_FN(present)(value) || !PT_FN(is_leaf)(value, level) ||
		    PT_FN(set)(value, level))
			break;
		PT_FN(write)(entries + i, 0);
	}
	return i;
}

static __always_inline u64 PT_FN(clear_as)(struct omni_pt *pt, __le64 *table,
					   unsigned int level, u64 iova, u64 last,
					   struct list_head *tables, const bool tracked,
					   u32 tag)
{
	const unsigned int shift = PT_FN(shift)(level);
	const u64 span = BIT_ULL(shift);
	unsigned int i = PT_FN(index)(iova, level);
	unsigned int first = PT_ENTRIES, end = 0;
	unsigned int leaves = 0, unlinked = 0, pending = 0;

	while (i < PT_ENTRIES && iova <= last) {
		u64 value = PT_FN(read)(&table[i]);
		u64 entry_last = iova | (span - 1);
		bool aligned = !(iova & (span - 1));
		struct omni_table *desc;
		unsigned int nr = 1;
		__le64 *below;

		if (unlikely(!PT_FN(present)(value)))
			break;
		if (PT_FN(is_leaf)(value, level)) {
			if (PT_SETS) {
				nr = BIT(PT_FN(set)(value, level));
				aligned = !(iova & (span * nr - 1));
				entry_last = iova | (span * nr - 1);
			}
			if (!aligned)
				break;
			PT_FN(note_level)(tables, level);
			if (!tracked && nr == 1) {
				nr = min_t(u64, PT_ENTRIES - i, ((last - iova) >> shift) + 1);
				nr = PT_FN(clear_row)(table + i, nr, level);
				leaves += nr;
				first = min(first, i);
				i += nr;
				end = i;
				iova += (u64)nr << shift;
				continue;
			}
			leaves += nr;
		} else {
			below = PT_FN(below)(value);
			desc = PT_FN(desc)(below);
			if (!aligned || entry_last > last ||
			    (atomic_read(&desc->leaves) != PT_ENTRIES &&
			     !PT_FN(full)(below, level - 1))) {
				u64 part = min(last, entry_last);

				iova = tracked ?
				       PT_FN(clear_tracked)(pt, below, level - 1, iova,
							    part, tables, tag) :
				       PT_FN(clear)(pt, below, level - 1, iova,
						    part, tables);
				if (iova <= part)
					break;
				i++;
				continue;
			}
			if (tracked)
				PT_FN(stamp)(below, level - 1);
			if (atomic_read(&desc->tables))
				PT_FN(unlink)(below, level - 1, tables);
			else
				list_add_tail(&desc->node, tables);
			unlinked++;
		}
		first = min(first, i);
		for (; tracked && nr; nr--, i++) {
			u64 left = PT_FN(leave)(PT_FN(read)(&table[i]), tag);

			PT_FN(write)(&table[i], left);
			pending += left != 0;
		}
		while (nr--)
			PT_FN(write)(&table[i++], 0);
		end = i;
		iova = entry_last + 1;
	}

	if (leaves)
		atomic_sub(leaves - pending * OMNI_TABLE_PENDING,
			   &PT_FN(desc)(table)->leaves);
	if (unlinked)
		atomic_sub(unlinked, &PT_FN(desc)(table)->tables);
	if (end)
		PT_FN(clean)(pt, &table[first], end - first);
	return iova;
}

static u64 PT_FN(clear)(struct omni_pt *pt, __le64 *table, unsigned int level,
			u64 iova, u64 last, struct list_head *tables)
{
	return PT_FN(clear_as)(pt, table, level, iova, last, tables, false, 0);
}

static u64 __maybe_unused PT_FN(clear_tracked)(struct omni_pt *pt, __le64 *table,
					       unsigned int level, u64 iova, u64 last,
					       struct list_head *tables, u32 tag)
{
	return PT_FN(clear_as)(pt, table, level, iova, last, tables, true, tag);
}

/* Clear a range that may be anything. */
static noinline size_t PT_FN(unmap_many)(struct omni_pt *pt, u64 iova, u64 size,
					 struct list_head *tables)
{
	const u64 last = iova + size - 1;
	unsigned int level;
	__le64 *table;
	u64 value;

	table = PT_FN(root)(pt, &level);
	if (iova > pt->last || size - 1 > pt->last - iova)
		return 0;
	/* What the root does not reach is not mapped. */
	if (PT_GROWS && iova > PT_FN(span_last)(level))
		return 0;
	/* Down to the table in which the range begins and ends. */
	for (; level && !(((iova ^ last) | size) >> PT_FN(shift)(level)); level--) {
		value = PT_FN(read)(table + PT_FN(index)(iova, level));
		if (!PT_FN(linked)(value, level))
			break;
		table = PT_FN(link)(value, level);
	}
	return PT_FN(clear)(pt, table, level, iova, last, tables) - iova;
}

/*
 * One leaf, and no table goes: what most unmaps are. Returns false, nothing
 * being changed, if it is not that simple.
 */
static __always_inline bool PT_FN(clear_leaf)(struct omni_pt *pt, u64 iova,
					      const unsigned int level)
{
	bool done = false;
	__le64 *entry;
	u64 value;

	if (!PT_FN(enter)(pt, iova))
		return false;
	if (unlikely(!PT_FN(reach)(pt, iova, level, &entry)))
		goto out;
	value = PT_FN(read)(entry);
	if (!PT_FN(lone_leaf)(value, level))
		goto out;
	PT_FN(write)(entry, 0);
	atomic_dec(&PT_FN(desc)(entry)->leaves);
	PT_FN(clean)(pt, entry, 1);
	done = true;
out:
	PT_FN(leave_short)();
	return done;
}

static __always_inline bool PT_FN(unmap_one)(struct omni_pt *pt, u64 iova, u64 size)
{
	switch (size) {
	case BIT(PT_PAGE_LG2):
		return PT_FN(clear_leaf)(pt, iova, 0);
	case BIT(PT_PAGE_LG2 + PT_BITS):
		return !(iova & (size - 1)) && PT_FN(clear_leaf)(pt, iova, 1);
	case BIT(PT_PAGE_LG2 + 2 * PT_BITS):
		return !(iova & (size - 1)) && PT_FN(clear_leaf)(pt, iova, 2);
	}
	return false;
}

/*
 * PT_NAME_unmap() - clear a range
 * @pt: the page table
 * @iova: first byte
 * @size: bytes, more than 0
 * @tables: receives the tables that were unlinked
 *
 * Stops at the first byte that is not mapped, and before a leaf that begins
 * before @iova. A leaf that ends after the range goes as a whole.
 *
 * Return: bytes cleared from @iova on.
 */
static __always_inline size_t PT_FN(unmap)(struct omni_pt *pt, u64 iova, u64 size,
					   struct list_head *tables)
{
	if (likely(PT_FN(unmap_one)(pt, iova, size)))
		return size;
	return PT_FN(unmap_many)(pt, iova, size, tables);
}
