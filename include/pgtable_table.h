/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine, its part about tables: where they are, how they are linked,
 * settled and unlinked, and what they hold. Included by pgtable_engine.h, which
 * tells the invariants.
 */

/* What is kept of the table that an entry is in. */
static __always_inline struct omni_table *PT_FN(desc)(const __le64 *entry)
{
	/* A table of several pages is aligned to its size, and kept with its first. */
	return omni_table(PT_ORDER ? PTR_ALIGN_DOWN(entry, BIT(PT_PAGE_LG2)) : entry);
}

static __always_inline void *PT_FN(alloc)(const struct omni_pt *pt, gfp_t gfp)
{
	return PT_ORDER ? omni_large_table_alloc(pt, gfp, PT_ORDER) : omni_table_alloc(pt, gfp);
}

static __always_inline unsigned int PT_FN(shift)(unsigned int level)
{
	return PT_PAGE_LG2 + PT_BITS * level;
}

/* The level whose leaves, or sets of them, have a page size. */
static __always_inline unsigned int PT_FN(level)(unsigned int lg2)
{
	return (lg2 - PT_PAGE_LG2) / PT_BITS;
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

/*
 * Does an entry of a level above 0 link a table, and nothing else is to be done
 * before going there? Other links differ from this one in PENDING, or in what
 * the hardware writes; what does not is told by slower means.
 */
static __always_inline bool PT_FN(linked)(u64 value, unsigned int level)
{
	/* Nothing but an address is left, which link() goes on with. */
	return !((value - PT_FN(table)(0, level)) & ~PT_FN(pa)(~0ULL));
}

/* The table that such an entry links. */
static __always_inline __le64 *PT_FN(link)(u64 value, unsigned int level)
{
	return phys_to_virt(value - PT_FN(table)(0, level));
}

/* One level down, if nothing but a link is there. */
static __always_inline bool PT_FN(step)(__le64 **table, unsigned int level, u64 iova)
{
	u64 value = PT_FN(read)(*table + PT_FN(index)(iova, level));

	if (!PT_FN(linked)(value, level))
		return false;
	*table = PT_FN(link)(value, level);
	return true;
}

/*
 * Is the root of level 2? Then @entry is what is on the way to an address
 * there. What a tree that does not grow reaches is the caller's to know.
 */
static __always_inline bool PT_FN(at_root)(const struct omni_pt *pt, u64 iova, __le64 **entry)
{
	unsigned long word;
	u64 i;

	if (!PT_GROWS) {
		*entry = pt->root + PT_FN(index)(iova, 2);
		return pt->top == 2;
	}
	word = READ_ONCE(pt->word) - 2;
	i = iova >> PT_FN(shift)(2);
	/* One shift for both: what is in range needs no mask. */
	OPTIMIZER_HIDE_VAR(i);
	*entry = (__le64 *)word + i;
	return !(word & ~PAGE_MASK) && i < PT_ENTRIES;
}

/* The same entry of a tree that begins above; NULL where it can't be told at once. */
static noinline __le64 *PT_FN(below_root)(const struct omni_pt *pt, u64 iova)
{
	unsigned int level;
	__le64 *table = PT_FN(root)(pt, &level);

	if (level < 3 || (PT_GROWS && iova > PT_FN(span_last)(level)))
		return NULL;
	for (; level > 3; level--)
		if (!PT_FN(step)(&table, level, iova))
			return NULL;
	return PT_FN(step)(&table, 3, iova) ? table + PT_FN(index)(iova, 2) : NULL;
}

/* From an entry at @level to that of the next level, if it links nothing but a table. */
static __always_inline bool PT_FN(down)(__le64 **entry, const unsigned int level, u64 iova)
{
	u64 value = PT_FN(read)(*entry);

	if (!PT_FN(linked)(value, level))
		return false;
	*entry = PT_FN(link)(value, level) + PT_FN(index)(iova, level - 1);
	return true;
}

/*
 * The entry at @level on the way to an address. False if something other than
 * a link is on the way, or the tree is too low or does not reach that far.
 */
static __always_inline bool PT_FN(reach)(const struct omni_pt *pt, u64 iova,
					 const unsigned int level, __le64 **entry)
{
	if (unlikely(!PT_FN(at_root)(pt, iova, entry))) {
		*entry = PT_FN(below_root)(pt, iova);
		if (!*entry)
			return false;
	}
	return (level > 1 || PT_FN(down)(entry, 2, iova)) &&
	       (level > 0 || PT_FN(down)(entry, 1, iova));
}

/* Is it a present leaf that takes one entry? */
static __always_inline bool PT_FN(lone_leaf)(u64 value, unsigned int level)
{
#ifdef PT_SINGLE
	return PT_SINGLE(value);
#else
	return PT_FN(present)(value) && PT_FN(is_leaf)(value, level) &&
	       !PT_FN(set)(value, level);
#endif
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

/*
 * What goes the short ways does so between these two. They are shut while a
 * domain is tracked.
 */
static __always_inline bool PT_FN(enter)(const struct omni_pt *pt, u64 iova)
{
	if (PT_TRACKING)
		rcu_read_lock();
	/* Whoever shuts them waits for a grace period before he relies on it. */
	if (PT_GROWS || likely(iova < data_race(pt->end)))
		return true;
	if (PT_TRACKING)
		rcu_read_unlock();
	return false;
}

static __always_inline void PT_FN(leave_short)(void)
{
	if (PT_TRACKING)
		rcu_read_unlock();
}

/* Write back the line that links a table, then say that it is done. */
static void PT_FN(settle)(__le64 *entry, u64 value)
{
	omni_clean_lines(entry, sizeof(*entry));
	PT_FN(write)(entry, value & ~PT_FN(PENDING));
}

/*
 * Link a table. False if something else was linked meanwhile: then the table
 * is freed.
 */
static __always_inline bool PT_FN(hang)(struct omni_pt *pt, __le64 *parent, __le64 *entry,
					unsigned int level, __le64 *table)
{
	u64 value = PT_FN(table)(virt_to_phys(table), level);

	if (pt->incoherent)
		value |= PT_FN(PENDING);
	/* What is in the table is ordered before the link to it. */
	if (cmpxchg64(entry, 0, cpu_to_le64(value))) {
		omni_table_free(table);
		return false;
	}
	atomic_inc(&PT_FN(desc)(parent)->tables);
	if (pt->incoherent)
		PT_FN(settle)(entry, value);
	return true;
}

/*
 * On from an entry that is not just a link. Returns the table that is linked
 * at the end, or, outside of begin() and end(), an ERR_PTR: -EEXIST for a leaf,
 * -ENOMEM, or -EAGAIN for a domain that is tracked by now.
 */
static noinline __le64 *PT_FN(descend)(struct omni_pt *pt, __le64 *parent, __le64 *entry,
				       unsigned int level, gfp_t gfp, bool tracked)
{
	u64 value = PT_FN(read)(entry);
	__le64 *table;

	if (!value) {
		PT_FN(end)(tracked);
		table = PT_FN(alloc)(pt, gfp | __GFP_ZERO);
		if (!table)
			return ERR_PTR(-ENOMEM);
		PT_FN(clean)(pt, table, PT_ENTRIES);
		PT_FN(hang)(pt, parent, entry, level, table);
		if (!PT_FN(begin)(pt, tracked))
			return ERR_PTR(-EAGAIN);
		/* Ours or not, nobody takes it away from a range that is the caller's. */
		value = PT_FN(read)(entry);
	}
	if (PT_FN(is_leaf)(value, level)) {
		PT_FN(end)(tracked);
		return ERR_PTR(-EEXIST);
	}
	if (value & PT_FN(PENDING))
		PT_FN(settle)(entry, value);
	return PT_FN(below)(value);
}

/* Put a table and all below it on a list. Leaves are not visited. */
static void PT_FN(unlink)(__le64 *table, unsigned int level,
			  struct list_head *list)
{
	struct omni_table *desc = PT_FN(desc)(table);
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
	struct omni_table *desc = PT_FN(desc)(table);
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
	struct omni_table *desc = PT_FN(desc)(table);
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
	struct omni_table *desc = PT_FN(desc)(table);
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
 * PT_NAME_init() - make an empty page table
 * @pt: @top, @last, @pa_last, @incoherent and @nid set
 *
 * A tree that grows begins with one table of the lowest level.
 *
 * Return: 0 or -ENOMEM.
 */
static int PT_FN(init)(struct omni_pt *pt)
{
	pt->root = PT_FN(alloc)(pt, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!pt->root)
		return -ENOMEM;
	pt->end = pt->last + 1;
	PT_FN(clean)(pt, pt->root, PT_ENTRIES);
	return 0;
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
