/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine: a template. A format defines PT_NAME and the
 * functions below, then includes this file, which defines
 *
 *	PT_NAME_init, _fini, _empty, _map, _unmap, _iova_to_phys
 *
 * The format supplies, each static and inline:
 *
 *	u64  PT_NAME_leaf(u64 pa, unsigned int lg2, u64 bits)
 *	u64  PT_NAME_table(u64 pa, unsigned int level)	@level is the entry's
 *	bool PT_NAME_present(u64 entry)
 *	bool PT_NAME_is_leaf(u64 entry, unsigned int level)
 *	u64  PT_NAME_pa(u64 entry)	physical address in an entry
 *	unsigned int PT_NAME_set(u64 entry, unsigned int level)
 *					log2 of the entries a leaf takes
 *	PT_NAME_PENDING			a bit that the hardware ignores in
 *					entries that point to tables
 *	PT_NAME_SETS			0: every leaf is one entry. SET_SAME,
 *					SET_OWN: it may be a set of entries
 *	PT_NAME_GROWS			1: the tree gets levels by need
 *	PT_DIRTY			a macro, where hardware sets this bit in
 *					leaves that were written through: then
 *					PT_NAME_read_dirty is there too
 *
 * Sets: at the level of 2^s bytes an entry, a leaf of 2^(s+k) bytes, k up to
 * 8, takes 2^k consecutive entries, either with the same value (SET_SAME) or
 * each with the physical address of its own part (SET_OWN). A set is one leaf
 * to every function here: all of it is mapped, cleared and replaced at once.
 *
 * Growth: omni_pt.word holds the root and its level, so that both are read
 * at once, and omni_pt.top is the level that the root may rise to. A new root
 * is linked above the old one with one cmpxchg. Whoever holds the old one may
 * go on below it: what was the root is a table like others now. The wing
 * makes hardware entries follow before a map is over and before a flush.
 *
 * A format whose domains may be non-coherent defines PT_TRACKS, and what
 * pgtable_track.h asks for. Map and unmap exist twice then: for domains that
 * are tracked, and for all others, which pay for the tracker with one look at
 * omni_pt.tracked (see noncoherent.c).
 *
 * Invariants
 *
 * The caller owns the range it maps or unmaps; ranges that share tables may
 * be worked on at the same time without a lock. A table is installed with
 * one cmpxchg and unlinked only by an unmap that owns its whole range, or by
 * a leaf that takes the place of an empty one. So nobody else can be inside
 * a table that goes, and a leaf is written with a plain store.
 *
 * Where walks are not snooped, a table that was just linked carries PENDING
 * until its entry's line is in memory: whoever meets the bit writes the line
 * back himself before he relies on the unit seeing what he adds below.
 *
 * Nothing here flushes a translation cache. What became necessary is
 * returned as the kind of flush, or as tables on a list.
 */

#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

#define PT_BITS		9
#define PT_ENTRIES	BIT(PT_BITS)
#define PT_SETS		PT_FN(SETS)
#define PT_OWN		(PT_SETS == SET_OWN)
#define PT_GROWS	PT_FN(GROWS)

#ifdef PT_TRACKS
#define PT_TRACKING	true
#else
#define PT_TRACKING	false
#endif

static __always_inline unsigned int PT_FN(shift)(unsigned int level)
{
	return 12 + PT_BITS * level;
}

/* The level whose leaves, or sets of them, have a page size. */
static __always_inline unsigned int PT_FN(level)(unsigned int lg2)
{
	return (lg2 - 12) / PT_BITS;
}

static __always_inline unsigned int PT_FN(index)(u64 iova, unsigned int level)
{
	return (iova >> PT_FN(shift)(level)) & (PT_ENTRIES - 1);
}

/* The root, and its level. */
static __always_inline __le64 *PT_FN(root)(const struct omni_pt *pt, unsigned int *level)
{
	unsigned long word;

	if (!PT_GROWS) {
		*level = pt->top;
		return pt->root;
	}
	word = READ_ONCE(pt->word);
	*level = word & ~PAGE_MASK;
	return (__le64 *)(word & PAGE_MASK);
}

/* The last byte below a root at a level. */
static __always_inline u64 PT_FN(span_last)(unsigned int level)
{
	return PT_FN(shift)(level + 1) < 64 ? BIT_ULL(PT_FN(shift)(level + 1)) - 1 : U64_MAX;
}

static __always_inline __le64 *PT_FN(below)(u64 entry)
{
	return phys_to_virt(PT_FN(pa)(entry));
}

static __always_inline u64 PT_FN(read)(const __le64 *entry)
{
	return le64_to_cpu(READ_ONCE(*entry));
}

static __always_inline void PT_FN(write)(__le64 *entry, u64 value)
{
	WRITE_ONCE(*entry, cpu_to_le64(value));
}

static __always_inline void PT_FN(clean)(const struct omni_pt *pt,
					 __le64 *entries, unsigned int nr)
{
	if (pt->incoherent)
		omni_clean_lines(entries, nr * sizeof(*entries));
}

/*
 * Whoever changes the table of a domain that is not tracked does so between
 * these two. The first says no when it is tracked by now.
 */
static __always_inline bool PT_FN(begin)(const struct omni_pt *pt, bool tracked)
{
	if (!PT_TRACKING || tracked)
		return true;
	rcu_read_lock();
	__release(RCU);		/* what is conditional is not sparse's to follow */
	/* Whoever sets it waits for a grace period before he relies on it. */
	if (likely(!data_race(pt->tracked)))
		return true;
	__acquire(RCU);
	rcu_read_unlock();
	return false;
}

static __always_inline void PT_FN(end)(bool tracked)
{
	if (PT_TRACKING && !tracked) {
		__acquire(RCU);
		rcu_read_unlock();
	}
}

/* Write back the line that links a table, then say that it is done. */
static void PT_FN(settle)(__le64 *entry, u64 value)
{
	omni_clean_lines(entry, sizeof(*entry));
	PT_FN(write)(entry, value & ~PT_FN(PENDING));
}

/* The table that @entry shall point to; installs one if there is none. */
static __always_inline __le64 *PT_FN(install)(struct omni_pt *pt, __le64 *parent,
					      __le64 *entry, unsigned int level, gfp_t gfp)
{
	__le64 *table = omni_table_alloc(pt, gfp);
	u64 value, old;

	if (!table)
		return NULL;

	value = PT_FN(table)(virt_to_phys(table), level);
	if (pt->incoherent)
		value |= PT_FN(PENDING);

	/* The zeroes in the table are ordered before the link to it. */
	old = le64_to_cpu(cmpxchg64(entry, 0, cpu_to_le64(value)));
	if (old) {
		omni_table_free(table);
		if (old & PT_FN(PENDING))
			PT_FN(settle)(entry, old);
		return PT_FN(below)(old);
	}
	atomic_inc(&omni_table(parent)->tables);
	if (pt->incoherent)
		PT_FN(settle)(entry, value);
	return table;
}

/* Put a table and all below it on a list. Leaves are not visited. */
static void PT_FN(unlink)(__le64 *table, unsigned int level,
			  struct list_head *list)
{
	struct omni_table *desc = omni_table(table);
	unsigned int left = atomic_read(&desc->tables);
	unsigned int i;

	for (i = 0; level && left && i < PT_ENTRIES; i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (PT_FN(present)(value) && !PT_FN(is_leaf)(value, level)) {
			PT_FN(unlink)(PT_FN(below)(value), level - 1, list);
			left--;
		}
	}
	list_add_tail(&desc->node, list);
}

#ifdef PT_TRACKS
static __always_inline bool PT_FN(marked)(u64 leaf)
{
	return leaf & PT_FN(TRACKED);
}

static int PT_FN(map_slowly)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2,
			     size_t count, u64 bits, gfp_t gfp, size_t *mapped,
			     struct list_head *replaced);

/* What an unmap puts in the place of a leaf of a tracked domain. */
static __always_inline u64 PT_FN(leave)(u64 leaf, u32 tag)
{
	return PT_FN(marked)(leaf) ? PT_FN(pend)(leaf, tag) : 0;
}

/* Note the level of a table and of all below, before they are unlinked. */
static void PT_FN(stamp)(__le64 *table, unsigned int level)
{
	struct omni_table *desc = omni_table(table);
	unsigned int left = atomic_read(&desc->tables);
	unsigned int i;

	desc->base = level;
	for (i = 0; level && left && i < PT_ENTRIES; i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (PT_FN(present)(value) && !PT_FN(is_leaf)(value, level)) {
			PT_FN(stamp)(PT_FN(below)(value), level - 1);
			left--;
		}
	}
}
#else
static __always_inline int PT_FN(map_slowly)(struct omni_pt *pt, u64 iova, u64 pa,
					     unsigned int lg2, size_t count, u64 bits,
					     gfp_t gfp, size_t *mapped,
					     struct list_head *replaced)
{
	return -EAGAIN;
}

static __always_inline u64 PT_FN(leave)(u64 leaf, u32 tag)
{
	return 0;
}

static __always_inline void PT_FN(stamp)(__le64 *table, unsigned int level)
{
}
#endif

/* Is every byte below a table mapped? */
static bool PT_FN(full)(const __le64 *table, unsigned int level)
{
	struct omni_table *desc = omni_table(table);
	unsigned int tables = atomic_read(&desc->tables);
	unsigned int i;

	if (atomic_read(&desc->leaves) + tables != PT_ENTRIES)
		return false;
	for (i = 0; tables && i < PT_ENTRIES; i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (PT_FN(is_leaf)(value, level))
			continue;
		if (!PT_FN(full)(PT_FN(below)(value), level - 1))
			return false;
		tables--;
	}
	return true;
}

/* Is no byte below a table mapped? */
static bool PT_FN(hollow)(const __le64 *table, unsigned int level)
{
	struct omni_table *desc = omni_table(table);
	unsigned int tables = atomic_read(&desc->tables);
	unsigned int i;

	if (atomic_read(&desc->leaves))
		return false;
	for (i = 0; tables && i < PT_ENTRIES; i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (!PT_FN(present)(value))
			continue;
		if (!PT_FN(hollow)(PT_FN(below)(value), level - 1))
			return false;
		tables--;
	}
	return true;
}

/* The value of the nth entry of a leaf. */
static __always_inline u64 PT_FN(part)(u64 leaf, unsigned int n, unsigned int level)
{
	return PT_OWN ? leaf + ((u64)n << PT_FN(shift)(level)) : leaf;
}

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
		atomic_dec(&omni_table(entries)->tables);
	}
	/* base tells whose sync_map the flush belongs to. */
	list_for_each_entry(desc, &gone, node)
		desc->base = iova;
	list_splice_tail(&gone, replaced);
	return OMNI_FLUSH_MODIFIED;
}

/*
 * Leaves of @nr entries each into @room entries of one table. Returns how many
 * entries that were: all, or those before the first that is mapped already.
 */
static __always_inline unsigned int PT_FN(fill)(__le64 *entries, unsigned int room,
						unsigned int nr, unsigned int level,
						u64 iova, u64 *leaf, u64 step, int *kind,
						struct list_head *replaced)
{
	unsigned int i, j;

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
 * Put roots above the root until @level is reached. What was the root becomes
 * the first table of what is above it.
 */
static int PT_FN(grow)(struct omni_pt *pt, unsigned int level, gfp_t gfp)
{
	unsigned long word = READ_ONCE(pt->word), new;
	__le64 *table, *old;
	unsigned int top;

	while ((top = word & ~PAGE_MASK) < level) {
		table = omni_table_alloc(pt, gfp);
		if (!table)
			return -ENOMEM;
		old = (__le64 *)(word & PAGE_MASK);
		PT_FN(write)(table, PT_FN(table)(virt_to_phys(old), top + 1));
		PT_FN(clean)(pt, table, 1);
		atomic_set(&omni_table(table)->tables, 1);
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

/*
 * PT_NAME_init() - make an empty page table
 * @pt: @top, @last, @pa_last, @incoherent and @nid set
 *
 * A tree that grows begins with one table of the lowest level.
 *
 * Return: 0 or -ENOMEM.
 */
static int PT_FN(init)(struct omni_pt *pt)
{
	pt->root = omni_table_alloc(pt, GFP_KERNEL_ACCOUNT);
	return pt->root ? 0 : -ENOMEM;
}

/*
 * PT_NAME_fini() - take a page table apart
 * @pt: the page table, in nobody's use
 * @tables: receives all its tables
 */
static void PT_FN(fini)(struct omni_pt *pt, struct list_head *tables)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(pt, &level);

	if (root)
		PT_FN(unlink)(root, level, tables);
	pt->root = NULL;
}

/*
 * PT_NAME_empty() - does a page table map nothing?
 * @pt: the page table, not being changed
 *
 * Return: true if no leaf is present.
 */
static bool __maybe_unused PT_FN(empty)(const struct omni_pt *pt)
{
	unsigned int level;
	const __le64 *root = PT_FN(root)(pt, &level);

	return PT_FN(hollow)(root, level);
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

		for (table = PT_FN(root)(pt, &lvl); lvl > level; lvl--) {
			__le64 *entry = &table[PT_FN(index)(iova, lvl)];
			u64 value = PT_FN(read)(entry);

			if (unlikely(!value)) {
				PT_FN(end)(tracked);
				table = PT_FN(install)(pt, table, entry, lvl, gfp);
				if (!table)
					return -ENOMEM;
				/*
				 * The rest is all in these variables, so that
				 * nothing is kept for the sake of this alone.
				 */
				if (!PT_FN(begin)(pt, tracked))
					return PT_FN(map_slowly)(pt, iova, PT_FN(pa)(leaf),
								 __ffs(step), count,
								 leaf & ~PT_FN(pa)(~0ULL),
								 gfp, mapped, replaced);
				continue;
			}
			if (unlikely(PT_FN(is_leaf)(value, lvl))) {
				PT_FN(end)(tracked);
				return -EEXIST;
			}
			if (unlikely(value & PT_FN(PENDING)))
				PT_FN(settle)(entry, value);
			table = PT_FN(below)(value);
		}

		/* More than before, if coherency was enforced in the meantime. */
		leaf |= pt->leaf_bits;
		i = PT_FN(index)(iova, level);
		table += i;
		room = min_t(size_t, count, (PT_ENTRIES - i) >> set) << set;
		if (set)
			i = PT_FN(fill)(table, room, BIT(set), level, iova, &leaf, step, &kind,
					replaced);
		else
			i = PT_FN(fill)(table, room, 1, level, iova, &leaf, step, &kind,
					replaced);
		if (i) {
			atomic_add(i, &omni_table(table)->leaves);
			PT_FN(clean)(pt, table, i);
			*mapped += (size_t)i << shift;
			if (kind < OMNI_FLUSH_ADDED)
				kind = OMNI_FLUSH_ADDED;
		}
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
static int PT_FN(map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2,
		      size_t count, u64 bits, gfp_t gfp, size_t *mapped,
		      struct list_head *replaced)
{
	return PT_FN(map_as)(pt, iova, pa, lg2, count, bits, gfp, mapped, replaced, false);
}

/*
 * Clear from @iova to @last below @table. Returns the first byte that was not
 * cleared: past @last if all was mapped.
 */
static u64 PT_FN(clear)(struct omni_pt *pt, __le64 *table, unsigned int level,
			u64 iova, u64 last, struct list_head *tables);
static u64 PT_FN(clear_tracked)(struct omni_pt *pt, __le64 *table, unsigned int level,
				u64 iova, u64 last, struct list_head *tables, u32 tag);

static __always_inline u64 PT_FN(clear_as)(struct omni_pt *pt, __le64 *table,
					   unsigned int level, u64 iova, u64 last,
					   struct list_head *tables, const bool tracked,
					   u32 tag)
{
	const u64 span = BIT_ULL(PT_FN(shift)(level));
	unsigned int i = PT_FN(index)(iova, level);
	unsigned int first = PT_ENTRIES, end = 0;
	unsigned int leaves = 0, unlinked = 0, pending = 0;

	while (i < PT_ENTRIES && iova <= last) {
		u64 value = PT_FN(read)(&table[i]);
		u64 entry_last = iova | (span - 1);
		bool aligned = !(iova & (span - 1));
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
			leaves += nr;
		} else {
			below = PT_FN(below)(value);
			if (!aligned || entry_last > last ||
			    !PT_FN(full)(below, level - 1)) {
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
			PT_FN(unlink)(below, level - 1, tables);
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
			   &omni_table(table)->leaves);
	if (unlinked)
		atomic_sub(unlinked, &omni_table(table)->tables);
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
static size_t PT_FN(unmap)(struct omni_pt *pt, u64 iova, u64 size,
			   struct list_head *tables)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(pt, &level);

	if (iova > pt->last || size - 1 > pt->last - iova)
		return 0;
	/* What the root does not reach is not mapped. */
	if (PT_GROWS && iova > PT_FN(span_last)(level))
		return 0;
	return PT_FN(clear)(pt, root, level, iova, iova + size - 1, tables) - iova;
}

/*
 * PT_NAME_iova_to_phys() - translate
 * @pt: the page table
 * @iova: any address
 *
 * Return: the physical address, 0 if @iova is not mapped.
 */
static phys_addr_t PT_FN(iova_to_phys)(const struct omni_pt *pt, u64 iova)
{
	unsigned int level;
	const __le64 *table = PT_FN(root)(pt, &level);

	if (iova > (PT_GROWS ? PT_FN(span_last)(level) : pt->last))
		return 0;
	for (;;) {
		u64 value = PT_FN(read)(&table[PT_FN(index)(iova, level)]);

		if (!PT_FN(present)(value))
			return 0;
		if (PT_FN(is_leaf)(value, level)) {
			unsigned int set = PT_FN(set)(value, level);
			u64 offset = BIT_ULL(PT_FN(shift)(level) + set) - 1;

			/* In a set, the address has bits of its size or of the part. */
			return (PT_FN(pa)(value) & ~(PT_SETS ? offset : 0)) | (iova & offset);
		}
		table = PT_FN(below)(value);
		level--;
	}
}

#ifdef PT_DIRTY
/* Is one of the entries of a leaf dirty? Makes all of them clean if asked to. */
static bool PT_FN(leaf_dirty)(__le64 *entries, unsigned int nr, bool clear)
{
	bool dirty = false;
	unsigned int i;

	for (i = 0; i < nr && !(dirty && !clear); i++) {
		__le64 old = READ_ONCE(entries[i]);

		if (!(old & cpu_to_le64(PT_DIRTY)))
			continue;
		dirty = true;
		/* Hardware sets bits meanwhile. */
		while (clear && !try_cmpxchg64(&entries[i], &old, old & ~cpu_to_le64(PT_DIRTY)))
			cpu_relax();
	}
	return dirty;
}

static void PT_FN(dirty_below)(const struct omni_pt *pt, __le64 *table, unsigned int level,
			       u64 iova, u64 last, bool clear,
			       struct iommu_dirty_bitmap *dirty)
{
	const u64 span = BIT_ULL(PT_FN(shift)(level));
	unsigned int i = PT_FN(index)(iova, level);

	while (i < PT_ENTRIES) {
		u64 value = PT_FN(read)(&table[i]);
		u64 entry_last = iova | (span - 1);
		unsigned int nr = 1;

		if (!PT_FN(present)(value)) {
			/* Nothing there. */
		} else if (PT_FN(is_leaf)(value, level)) {
			nr = BIT(PT_FN(set)(value, level));
			entry_last = iova | (span * nr - 1);
			i &= ~(nr - 1);
			if (PT_FN(leaf_dirty)(&table[i], nr, clear)) {
				PT_FN(clean)(pt, &table[i], clear ? nr : 0);
				iommu_dirty_bitmap_record(dirty, iova,
							  min(entry_last, last) - iova + 1);
			}
		} else {
			PT_FN(dirty_below)(pt, PT_FN(below)(value), level - 1, iova,
					   min(entry_last, last), clear, dirty);
		}
		if (entry_last >= last)
			break;
		i += nr;
		iova = entry_last + 1;
	}
}

/*
 * PT_NAME_read_dirty() - which pages of a range were written through?
 * @pt: the page table, the range not being changed
 * @iova: first byte
 * @size: bytes, more than 0
 * @clear: make them clean
 * @dirty: receives them
 *
 * A leaf that was written to anywhere is dirty as a whole. What was made clean
 * is cached as dirty until it is flushed.
 */
static void PT_FN(read_dirty)(const struct omni_pt *pt, u64 iova, u64 size, bool clear,
			      struct iommu_dirty_bitmap *dirty)
{
	unsigned int level;
	__le64 *root = PT_FN(root)(pt, &level);
	u64 last = min(iova + size - 1, PT_FN(span_last)(level));

	if (iova <= last)
		PT_FN(dirty_below)(pt, root, level, iova, last, clear, dirty);
}
#endif

#ifdef PT_TRACKS
#include "pgtable_track.h"
#endif

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
#undef PT_BITS
#undef PT_ENTRIES
#undef PT_SETS
#undef PT_OWN
#undef PT_GROWS
#undef PT_DIRTY
#undef PT_TRACKING
