/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading a page table that others change: a template, included behind
 * pgtable_engine.h in one file with it. It defines
 *
 *	PT_NAME_next	the next entry in use
 *	PT_NAME_usage	tables and mapped bytes
 *	PT_NAME_pt_ops	these, and the engine's own, for omni_pt.ops
 *
 * The caller is between omni_watch() and omni_unwatch(), see show.h. What is
 * returned was there at some moment during the call, entry by entry.
 */
#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

/* Nothing to be found below a table: as its own counts say. */
static bool PT_FN(bare)(const __le64 *table)
{
	const struct omni_table *desc = PT_FN(desc)(table);

	return !atomic_read(&desc->leaves) && !atomic_read(&desc->tables);
}

static void PT_FN(show_leaf)(u64 value, unsigned int level, u64 iova, bool raw,
			     struct omni_entry *e)
{
	unsigned int set = PT_FN(set)(value, level);
	u64 offset = BIT_ULL(PT_FN(shift)(level) + set) - 1;

	*e = (struct omni_entry) {
		.kind = PT_FN(present)(value) ? OMNI_ENTRY_LEAF : OMNI_ENTRY_PENDING,
		.level = level,
		.value = value,
		.attr = value & ~PT_FN(pa)(~0ULL),
		.iova = iova,
		.lg2 = PT_FN(shift)(level),
		.pa = PT_FN(pa)(value),
	};
	/* In a set, the address has bits of its size or of the part. */
	if (set && !raw) {
		e->lg2 += set;
		e->iova &= ~offset;
		e->pa &= ~offset;
	}
}

/*
 * Look below a table whose first byte is @base. With @tables, for raw entries
 * and those that point to tables, these before what is below them.
 */
static bool PT_FN(find)(const __le64 *table, unsigned int level, u64 base, u64 iova,
			unsigned int below, bool tables, struct omni_entry *e)
{
	unsigned int i = iova > base ? PT_FN(index)(iova, level) : 0;

	for (; i < PT_FN(ENTRIES); i++) {
		u64 at = base + ((u64)i << PT_FN(shift)(level));
		u64 value = PT_FN(read)(&table[i]);
		const __le64 *next;

		if (!value)
			continue;
		if (!PT_FN(present)(value) || PT_FN(is_leaf)(value, level)) {
			if (at < iova || (at == iova && level >= below))
				continue;
			PT_FN(show_leaf)(value, level, at, tables, e);
			return true;
		}
		next = PT_FN(below)(value);
		if (tables && (at > iova || (at == iova && level < below))) {
			*e = (struct omni_entry) {
				.kind = OMNI_ENTRY_TABLE,
				.level = level,
				.iova = at,
				.lg2 = PT_FN(shift)(level),
				.pa = PT_FN(pa)(value),
				.value = value,
			};
			return true;
		}
		if (PT_FN(bare)(next))
			continue;
		if (PT_FN(find)(next, level - 1, at, max(iova, at),
				at > iova ? UINT_MAX : below, tables, e))
			return true;
		cond_resched();
	}
	return false;
}

/*
 * PT_NAME_next() - omni_pt_ops.next
 */
static bool PT_FN(next)(const struct omni_pt *pt, u64 iova, unsigned int below, bool tables,
			struct omni_entry *e)
{
	unsigned int level;
	const __le64 *root = PT_FN(root)(pt, &level);

	if (iova > PT_FN(span_last)(level))
		return false;
	return PT_FN(find)(root, level, 0, iova, below, tables, e);
}

static void PT_FN(usage_below)(const __le64 *table, unsigned int level,
			       struct omni_usage *usage)
{
	struct omni_table *desc = PT_FN(desc)(table);
	unsigned int leaves = atomic_read(&desc->leaves);
	unsigned int left = atomic_read(&desc->tables);
	unsigned int i;

	usage->tables++;
	usage->bytes += (u64)(leaves & OMNI_TABLE_LEAVES) << PT_FN(shift)(level);
	for (i = 0; level && left && i < PT_FN(ENTRIES); i++) {
		u64 value = PT_FN(read)(&table[i]);

		if (!PT_FN(present)(value) || PT_FN(is_leaf)(value, level))
			continue;
		PT_FN(usage_below)(PT_FN(below)(value), level - 1, usage);
		left--;
	}
	if (level)
		cond_resched();
}

/*
 * PT_NAME_usage() - omni_pt_ops.usage
 */
static void PT_FN(usage)(const struct omni_pt *pt, struct omni_usage *usage)
{
	unsigned int level;
	const __le64 *root = PT_FN(root)(pt, &level);

	*usage = (struct omni_usage) { .tables = !!pt->above };
	PT_FN(usage_below)(root, level, usage);
}

const struct omni_pt_ops PT_FN(pt_ops) = {
	.init = PT_FN(init),
	.fini = PT_FN(fini),
	.next = PT_FN(next),
	.usage = PT_FN(usage),
};

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
