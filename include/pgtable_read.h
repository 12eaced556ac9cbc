/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine, its part that reads: translation by table, and what hardware
 * has written of dirty leaves. Included by pgtable_engine.h.
 */

/* The address that a leaf gives, if it is one. */
static __always_inline phys_addr_t PT_FN(leaf_to_phys)(u64 value, unsigned int level, u64 iova)
{
	u64 offset;

	if (!PT_FN(present)(value) || !PT_FN(is_leaf)(value, level))
		return 0;
	offset = BIT_ULL(PT_FN(shift)(level) + PT_FN(set)(value, level)) - 1;
	/* In a set, the address has bits of its size or of the part. */
	return (PT_FN(pa)(value) & ~(PT_SETS ? offset : 0)) | (iova & offset);
}

/* By whatever there is on the way. */
static noinline phys_addr_t PT_FN(to_phys_any)(const struct omni_pt *pt, u64 iova)
{
	unsigned int level;
	__le64 *table;
	u64 value;

	table = PT_FN(root)(pt, &level);
	if (iova > (PT_GROWS ? PT_FN(span_last)(level) : pt->last))
		return 0;
	value = PT_FN(read)(table + PT_FN(index)(iova, level));
	while (level && PT_FN(present)(value) && !PT_FN(is_leaf)(value, level)) {
		level--;
		value = PT_FN(read)(PT_FN(below)(value) + PT_FN(index)(iova, level));
	}
	return PT_FN(leaf_to_phys)(value, level, iova);
}

/* The end of the short way: at a leaf of one entry, or somewhere else. */
static __always_inline phys_addr_t PT_FN(to_phys_end)(const struct omni_pt *pt, u64 value,
						      const unsigned int level, u64 iova)
{
	if (likely(PT_FN(lone_leaf)(value, level)))
		return PT_FN(pa)(value) | (iova & (BIT_ULL(PT_FN(shift)(level)) - 1));
	return PT_FN(to_phys_any)(pt, iova);
}

/* The short way from an entry of level 2 on. */
static __always_inline phys_addr_t PT_FN(to_phys_short)(const struct omni_pt *pt,
							const __le64 *entry, u64 iova)
{
	u64 value = PT_FN(read)(entry);

	if (unlikely(!PT_FN(linked)(value, 2)))
		return PT_FN(to_phys_end)(pt, value, 2, iova);
	value = PT_FN(read)(PT_FN(link)(value, 2) + PT_FN(index)(iova, 1));
	if (unlikely(!PT_FN(linked)(value, 1)))
		return PT_FN(to_phys_end)(pt, value, 1, iova);
	value = PT_FN(read)(PT_FN(link)(value, 1) + PT_FN(index)(iova, 0));
	return PT_FN(to_phys_end)(pt, value, 0, iova);
}

static noinline phys_addr_t PT_FN(to_phys_high)(const struct omni_pt *pt, u64 iova)
{
	const __le64 *entry = PT_FN(below_root)(pt, iova);

	return entry ? PT_FN(to_phys_short)(pt, entry, iova) : PT_FN(to_phys_any)(pt, iova);
}

/*
 * PT_NAME_iova_to_phys() - translate
 * @pt: the page table
 * @iova: any address
 *
 * Return: the physical address, 0 if @iova is not mapped.
 */
static __always_inline phys_addr_t PT_FN(iova_to_phys)(const struct omni_pt *pt, u64 iova)
{
	__le64 *entry;

	if (!PT_GROWS && unlikely(iova > pt->last))
		return 0;
	/* Other functions only at the very end: nothing is kept for a call. */
	return likely(PT_FN(at_root)(pt, iova, &entry)) ? PT_FN(to_phys_short)(pt, entry, iova) :
							  PT_FN(to_phys_high)(pt, iova);
}

#ifdef PT_DIRTY
/* Is one of the entries of a leaf dirty? Makes all of them clean if asked to. */
static bool PT_FN(leaf_dirty)(__le64 *entries, unsigned int nr, bool clear)
{
	bool dirty = false;
	unsigned int i;

	for (i = 0; i < nr && !(dirty && !clear); i++) {
		__le64 old = READ_ONCE(entries[i]);

		if (!PT_FN(is_dirty)(le64_to_cpu(old)))
			continue;
		dirty = true;
		/* Hardware sets bits meanwhile. */
		while (clear &&
		       !try_cmpxchg64(&entries[i], &old,
				      cpu_to_le64(PT_FN(cleaned)(le64_to_cpu(old)))))
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
