/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine: a template. A format defines PT_NAME and the
 * functions below, then includes this file, which defines
 *
 *	PT_NAME_init, _fini, _empty, _map, _unmap, _iova_to_phys
 *
 * The format supplies, each static and inline:
 *
 *	u64  PT_NAME_leaf(u64 pa, unsigned int level, u64 bits)
 *	u64  PT_NAME_table(u64 pa)
 *	bool PT_NAME_present(u64 entry)
 *	bool PT_NAME_is_leaf(u64 entry, unsigned int level)
 *	u64  PT_NAME_pa(u64 entry)	physical address in an entry
 *	PT_NAME_PENDING			a bit that the hardware ignores in
 *					entries that point to tables
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

static __always_inline unsigned int PT_FN(shift)(unsigned int level)
{
	return 12 + PT_BITS * level;
}

/* The level whose leaves have a page size. */
static __always_inline unsigned int PT_FN(level)(size_t pgsize)
{
	return (__ffs(pgsize) - 12) / PT_BITS;
}

static __always_inline unsigned int PT_FN(index)(u64 iova, unsigned int level)
{
	return (iova >> PT_FN(shift)(level)) & (PT_ENTRIES - 1);
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

/* Write back the line that links a table, then say that it is done. */
static void PT_FN(settle)(__le64 *entry, u64 value)
{
	omni_clean_lines(entry, sizeof(*entry));
	PT_FN(write)(entry, value & ~PT_FN(PENDING));
}

/* The table that @entry shall point to; installs one if there is none. */
static __le64 *PT_FN(install)(struct omni_pt *pt, __le64 *parent,
			      __le64 *entry, gfp_t gfp)
{
	__le64 *table = omni_table_alloc(pt, gfp);
	u64 value, old;

	if (!table)
		return NULL;

	value = PT_FN(table)(virt_to_phys(table));
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

/*
 * A leaf goes where an entry is in use already: right if the entry points to
 * tables that map nothing, an error otherwise.
 */
static int PT_FN(replace)(__le64 *table, unsigned int index, unsigned int level,
			  u64 leaf, u64 iova, struct list_head *replaced)
{
	__le64 *entry = &table[index];
	u64 old = PT_FN(read)(entry);
	struct omni_table *desc;
	__le64 *below;
	LIST_HEAD(gone);

	if (PT_FN(is_leaf)(old, level))
		return -EEXIST;
	below = PT_FN(below)(old);
	if (!PT_FN(hollow)(below, level - 1))
		return -EEXIST;

	PT_FN(unlink)(below, level - 1, &gone);
	PT_FN(write)(entry, leaf);
	atomic_dec(&omni_table(table)->tables);
	/* base tells whose sync_map the flush belongs to. */
	list_for_each_entry(desc, &gone, node)
		desc->base = iova;
	list_splice_tail(&gone, replaced);
	return OMNI_FLUSH_MODIFIED;
}

/*
 * PT_NAME_init() - make an empty page table
 * @pt: @top, @last, @pa_last, @incoherent and @nid set
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
	if (pt->root)
		PT_FN(unlink)(pt->root, pt->top, tables);
	pt->root = NULL;
}

/*
 * PT_NAME_empty() - does a page table map nothing?
 * @pt: the page table, not being changed
 *
 * Return: true if no leaf is present.
 */
static bool PT_FN(empty)(const struct omni_pt *pt)
{
	return PT_FN(hollow)(pt->root, pt->top);
}

/*
 * PT_NAME_map() - map physically contiguous pages of one size
 * @pt: the page table
 * @iova: first byte, aligned to the page size
 * @pa: first physical byte, aligned to the page size
 * @level: level of the leaves
 * @count: number of pages, more than 0
 * @bits: permission bits of the format
 * @gfp: how to allocate tables
 * @mapped: receives the bytes mapped, also on error
 * @replaced: receives tables that a leaf took the place of
 *
 * Return: <0 for an error, else an &enum omni_flush_kind. -ERANGE outside of
 * the address space or of what an entry can hold, -EEXIST where something is
 * mapped already, -ENOMEM.
 */
static int PT_FN(map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int level,
		      size_t count, u64 bits, gfp_t gfp, size_t *mapped,
		      struct list_head *replaced)
{
	const unsigned int shift = PT_FN(shift)(level);
	const u64 step = BIT_ULL(shift);
	const u64 size = (u64)count << shift;
	int kind = OMNI_FLUSH_NONE;
	u64 leaf;

	*mapped = 0;
	if (iova > pt->last || size - 1 > pt->last - iova ||
	    pa > pt->pa_last || size - 1 > pt->pa_last - pa)
		return -ERANGE;

	leaf = PT_FN(leaf)(pa, level, bits | pt->leaf_bits);
	while (count) {
		__le64 *table = pt->root;
		unsigned int lvl, start, end, i;
		int ret = 0;

		for (lvl = pt->top; lvl > level; lvl--) {
			__le64 *entry = &table[PT_FN(index)(iova, lvl)];
			u64 value = PT_FN(read)(entry);

			if (!value) {
				table = PT_FN(install)(pt, table, entry, gfp);
				if (!table)
					return -ENOMEM;
				continue;
			}
			if (PT_FN(is_leaf)(value, lvl))
				return -EEXIST;
			if (unlikely(value & PT_FN(PENDING)))
				PT_FN(settle)(entry, value);
			table = PT_FN(below)(value);
		}

		start = PT_FN(index)(iova, level);
		end = start + min_t(size_t, count, PT_ENTRIES - start);
		for (i = start; i < end; i++) {
			if (unlikely(PT_FN(read)(table + i))) {
				ret = PT_FN(replace)(table, i, level, leaf,
						     iova + (u64)(i - start) * step,
						     replaced);
				if (ret < 0)
					break;
				kind = OMNI_FLUSH_MODIFIED;
			} else {
				PT_FN(write)(table + i, leaf);
			}
			leaf += step;
		}

		i -= start;
		if (i) {
			atomic_add(i, &omni_table(table)->leaves);
			PT_FN(clean)(pt, &table[start], i);
			*mapped += (size_t)i << shift;
			if (kind < OMNI_FLUSH_ADDED)
				kind = OMNI_FLUSH_ADDED;
		}
		if (ret < 0)
			return ret;
		iova += (u64)i << shift;
		count -= i;
	}
	return kind;
}

/*
 * Clear from @iova to @last below @table. Returns the first byte that was not
 * cleared: past @last if all was mapped.
 */
static u64 PT_FN(clear)(struct omni_pt *pt, __le64 *table, unsigned int level,
			u64 iova, u64 last, struct list_head *tables)
{
	const u64 span = BIT_ULL(PT_FN(shift)(level));
	unsigned int i = PT_FN(index)(iova, level);
	unsigned int first = PT_ENTRIES, end = 0;
	unsigned int leaves = 0, unlinked = 0;

	for (; i < PT_ENTRIES && iova <= last; i++) {
		u64 value = PT_FN(read)(&table[i]);
		u64 entry_last = iova | (span - 1);
		bool aligned = !(iova & (span - 1));
		__le64 *below;

		if (!PT_FN(present)(value))
			break;
		if (PT_FN(is_leaf)(value, level)) {
			if (!aligned)
				break;
			leaves++;
		} else {
			below = PT_FN(below)(value);
			if (!aligned || entry_last > last ||
			    !PT_FN(full)(below, level - 1)) {
				u64 part = min(last, entry_last);

				iova = PT_FN(clear)(pt, below, level - 1, iova,
						    part, tables);
				if (iova <= part)
					break;
				continue;
			}
			PT_FN(unlink)(below, level - 1, tables);
			unlinked++;
		}
		PT_FN(write)(&table[i], 0);
		first = min(first, i);
		end = i + 1;
		iova = entry_last + 1;
	}

	if (leaves)
		atomic_sub(leaves, &omni_table(table)->leaves);
	if (unlinked)
		atomic_sub(unlinked, &omni_table(table)->tables);
	if (end)
		PT_FN(clean)(pt, &table[first], end - first);
	return iova;
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
	if (iova > pt->last || size - 1 > pt->last - iova)
		return 0;
	return PT_FN(clear)(pt, pt->root, pt->top, iova, iova + size - 1, tables) - iova;
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
	const __le64 *table = pt->root;
	unsigned int level = pt->top;

	if (iova > pt->last)
		return 0;
	for (;;) {
		u64 value = PT_FN(read)(&table[PT_FN(index)(iova, level)]);

		if (!PT_FN(present)(value))
			return 0;
		if (PT_FN(is_leaf)(value, level))
			return PT_FN(pa)(value) |
			       (iova & (BIT_ULL(PT_FN(shift)(level)) - 1));
		table = PT_FN(below)(value);
		level--;
	}
}

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
#undef PT_BITS
#undef PT_ENTRIES
