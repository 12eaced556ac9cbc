// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine's oracle: a page table beside what it should be, and operations
 * that do both and compare.
 *
 * It keeps runs of leaves in a maple tree and which tables exist in an array a
 * level. It predicts of each operation what is returned, how many bytes it
 * covers, which tables it makes and hands over, and after it how many tables
 * live. Entries are compared with the specification's bits, and where walks
 * are not snooped with what is in memory, as the unit would read it (N7).
 */
#include "engine.h"

#include <linux/vmalloc.h>

unsigned int engine_page_lg2;

/* Which of them a case wants. */
enum engine_want {
	ENGINE_HIGH = BIT(0),		/* all levels from the start */
	ENGINE_LOW = BIT(1),		/* those that grow */
	ENGINE_COHERENT = BIT(2),	/* snooped ones too */
};

static bool engine_wanted(const struct engine_shape *shape, unsigned int want)
{
	return want & (shape->low ? ENGINE_LOW : ENGINE_HIGH) &&
	       (shape->incoherent || want & ENGINE_COHERENT);
}

static const void *engine_next_shape(const void *prev, char *desc, unsigned int want)
{
	static struct engine_shape shapes[ENGINE_FORMATS * ENGINE_LEVELS * 3];
	struct engine_shape *next;
	unsigned int i, top, n = 0, nth = omni_turn(!prev);

	for (i = 0; i < ENGINE_FORMATS; i++)
		for (top = engine_formats[i]->min_top; top <= engine_formats[i]->max_top; top++) {
			shapes[n++] = (struct engine_shape){ engine_formats[i], top };
			shapes[n++] = (struct engine_shape){ engine_formats[i], top, true };
			if (engine_formats[i]->grows)
				shapes[n++] = (struct engine_shape){
					engine_formats[i], top, top & 1, true,
				};
		}

	/* Where less is done, each case has another third of those it wants. */
	for (next = shapes; next < shapes + n; next++)
		if (engine_wanted(next, want) && (omni_part() == 1 || !(nth++ % 3)) &&
		    (!prev || (const void *)next > prev))
			break;
	if (next == shapes + n)
		return NULL;
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s-%s%u-levels-%s", next->fmt->name,
		 next->low ? "to-" : "", next->top + 1,
		 next->incoherent ? "incoherent" : "coherent");
	return next;
}

/* Trees that have all their levels from the start. */
const void *engine_shapes(const void *prev, char *desc)
{
	return engine_next_shape(prev, desc, ENGINE_HIGH | ENGINE_COHERENT);
}

/* And those that get them by need. */
const void *engine_all_shapes(const void *prev, char *desc)
{
	return engine_next_shape(prev, desc, ENGINE_HIGH | ENGINE_LOW | ENGINE_COHERENT);
}

const void *engine_growing_shapes(const void *prev, char *desc)
{
	return engine_next_shape(prev, desc, ENGINE_LOW | ENGINE_COHERENT);
}

const void *engine_incoherent_shapes(const void *prev, char *desc)
{
	return engine_next_shape(prev, desc, ENGINE_HIGH);
}

/* Failure: the operation, and what is wrong with it */

noinline void engine_fail(struct engine *e, const char *fmt, ...)
{
	char why[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, sizeof(why), fmt, args);
	va_end(args);
	KUNIT_FAIL_AND_ABORT(e->test, "operation %lu, %s iova %llx size %llx pa %llx page 2^%u: %s",
			     e->op.nr, e->op.what, e->op.iova, e->op.size, e->op.pa,
			     e->op.lg2, why);
}

/* The oracle */

u64 engine_last(const struct engine *e)
{
	u64 last = engine_span_last(e->pt.top);

	return e->fmt->width ? min(last, BIT_ULL(e->fmt->width) - 1) : last;
}

static u64 engine_run_step(const struct engine_run *run)
{
	return BIT_ULL(run->lg2);
}

/* What the entry for @iova of a run should be. */
static u64 engine_run_entry(const struct engine *e, const struct engine_run *run, u64 iova)
{
	u64 first = ALIGN_DOWN(iova, engine_run_step(run));
	u64 leaf = e->fmt->leaf(run->pa + (first - run->iova), run->lg2,
				run->bits | e->pt.leaf_bits);

	return leaf + (e->fmt->own ?
		       ALIGN_DOWN(iova, engine_step(engine_level(run->lg2))) - first : 0);
}

static const struct engine_run *engine_run_of(struct engine *e, void *entry)
{
	return entry ? &e->run[xa_to_value(entry) - 1] : NULL;
}

static const struct engine_run *engine_find(struct engine *e, u64 iova)
{
	if (iova > engine_last(e))
		return NULL;
	return engine_run_of(e, mtree_load(&e->runs, iova >> 12));
}

/* The first run that maps something from @iova to @last. */
bool engine_next(struct engine *e, u64 iova, u64 last, u64 *first, u64 *pages)
{
	MA_STATE(mas, &e->runs, iova >> 12, iova >> 12);
	void *entry;

	rcu_read_lock();
	entry = mas_find(&mas, last >> 12);
	rcu_read_unlock();
	*first = (u64)mas.index << 12;
	*pages = mas.last - mas.index + 1;
	return entry;
}

/* The first byte from @iova to @last that is mapped, or @last + 1. */
static u64 engine_first_mapped(struct engine *e, u64 iova, u64 last)
{
	u64 first, pages;

	return engine_next(e, iova, last, &first, &pages) ? max(iova, first) : last + 1;
}

/* Where an unmap from @iova to @last ends: the first byte it leaves. */
static u64 engine_unmap_end(struct engine *e, u64 iova, u64 last)
{
	u64 at = iova;

	while (at <= last) {
		MA_STATE(mas, &e->runs, at >> 12, at >> 12);
		const struct engine_run *run;
		u64 run_last, step;

		rcu_read_lock();
		run = engine_run_of(e, mas_walk(&mas));
		rcu_read_unlock();
		if (!run)
			break;
		step = engine_run_step(run);
		if (!IS_ALIGNED(at, step))
			break;
		run_last = ((u64)mas.last << 12) | 0xfff;
		at = min(run_last, last | (step - 1)) + 1;
	}
	return at;
}

void engine_remember(struct engine *e, u64 iova, u64 size, void *entry)
{
	int ret = mtree_store_range(&e->runs, iova >> 12, (iova + size - 1) >> 12, entry,
				    GFP_KERNEL);

	KUNIT_ASSERT_EQ(e->test, ret, 0);
}

/* Tables at @level that translate something of the range exist from now on. */
void engine_tables_add(struct engine *e, unsigned int level, u64 iova, u64 size)
{
	unsigned int shift = engine_shift(level + 1);
	unsigned long i;

	for (i = iova >> shift; i <= (iova + size - 1) >> shift; i++) {
		if (xa_load(&e->tables[level], i))
			continue;
		KUNIT_ASSERT_FALSE(e->test, xa_err(xa_store(&e->tables[level], i, xa_mk_value(1),
							    GFP_KERNEL)));
		e->nr_tables++;
	}
}

/* Tables below @level that translate nothing but the range are gone. */
static unsigned int engine_tables_drop(struct engine *e, unsigned int level, u64 iova, u64 last)
{
	unsigned int n = 0, l;

	for (l = 0; l < level; l++) {
		u64 span = engine_step(l + 1);
		u64 first = round_up(iova, span);
		unsigned long i;
		void *entry;

		if (first < iova || last < span - 1 || first > last - (span - 1))
			continue;
		xa_for_each_range(&e->tables[l], i, entry, first / span, (last + 1) / span - 1) {
			xa_erase(&e->tables[l], i);
			n++;
		}
	}
	e->nr_tables -= n;
	return n;
}

static void engine_check_live(struct engine *e)
{
	long live = (omni_tables_live() - e->live) >> ENGINE_ORDER;

	ENGINE_CHECK(e, live == (long)(1 + e->nr_tables + e->nr_gone),
		     "%ld tables live, not the root, %lu below it and %lu handed over",
		     live, e->nr_tables, e->nr_gone);
}

/* Looking at the page table as the hardware does */

/* The entry that ends the walk for @iova, and its level. */
u64 engine_walk(struct engine *e, u64 iova, bool memory, unsigned int *level)
{
	const struct engine_format *fmt = e->fmt;
	unsigned int l;
	__le64 *table = engine_root(e, &l);

	for (;; l--) {
		u64 entry = engine_read(e, engine_entry(table, iova, l), memory);

		*level = l;
		if (!fmt->present(entry) || fmt->is_leaf(entry, l))
			return entry;
		/* In memory the bit may stay: the hardware ignores it. */
		if (memory)
			entry &= ~fmt->pending;
		ENGINE_CHECK(e, entry == fmt->table(fmt->pa(entry), l),
			     "the entry at level %u for %llx is %llx", l, iova, entry);
		table = phys_to_virt(fmt->pa(entry));
	}
}

/* Is one address what the oracle says, to the engine and to the hardware? */
void engine_probe(struct engine *e, u64 iova)
{
	const struct engine_run *run = engine_find(e, iova);
	phys_addr_t pa = e->fmt->iova_to_phys(&e->pt, iova);
	unsigned int level;
	u64 entry, want = 0;

	ENGINE_CHECK(e, pa == (run ? run->pa + (iova - run->iova) : 0),
		     "%llx translates to %llx", iova, pa);
	if (iova > engine_span_last(e->top))
		return;
	entry = engine_walk(e, iova, e->pt.incoherent, &level);
	if (run) {
		want = engine_run_entry(e, run, iova);
		ENGINE_CHECK(e, level == engine_level(run->lg2),
			     "the leaf for %llx is at level %u", iova, level);
	}
	ENGINE_CHECK(e, entry == want, "the entry for %llx is %llx, not %llx",
		     iova, entry, want);
}

/**
 * struct engine_sum - what a walk over all entries finds
 * @run: the run the last leaf was in
 * @run_first: its first byte
 * @run_last: its last byte
 * @tables: tables below the root
 * @bytes: bytes mapped
 */
struct engine_sum {
	const struct engine_run *run;
	u64 run_first;
	u64 run_last;
	unsigned long tables;
	u64 bytes;
};

static void engine_check_leaf(struct engine *e, struct engine_sum *sum, u64 entry, u64 iova,
			      unsigned int level)
{
	const struct engine_run *run = sum->run;

	if (!run || iova < sum->run_first || iova > sum->run_last) {
		MA_STATE(mas, &e->runs, iova >> 12, iova >> 12);

		rcu_read_lock();
		run = engine_run_of(e, mas_walk(&mas));
		rcu_read_unlock();
		ENGINE_CHECK(e, run, "a leaf %llx for %llx, where nothing is mapped", entry, iova);
		sum->run = run;
		sum->run_first = (u64)mas.index << 12;
		sum->run_last = ((u64)mas.last << 12) | 0xfff;
	}
	ENGINE_CHECK(e, level == engine_level(run->lg2) &&
		     entry == engine_run_entry(e, run, iova),
		     "the leaf for %llx is %llx at level %u", iova, entry, level);
	sum->bytes += engine_step(level);
}

static void engine_check_table(struct engine *e, struct engine_sum *sum, __le64 *table,
			       unsigned int level, u64 iova)
{
	unsigned int i, leaves = 0, tables = 0;

	for (i = 0; i < ENGINE_ENTRIES; i++, iova += engine_step(level)) {
		u64 entry = engine_read(e, &table[i], false);

		if (e->pt.incoherent) {
			u64 memory = engine_read(e, &table[i], true);

			if (e->fmt->present(entry) && !e->fmt->is_leaf(entry, level))
				memory &= ~e->fmt->pending;
			ENGINE_CHECK(e, memory == entry,
				     "memory has %llx, not %llx for %llx at level %u",
				     memory, entry, iova, level);
		}
		if (!entry)
			continue;
		ENGINE_CHECK(e, e->fmt->present(entry), "an odd entry %llx for %llx", entry, iova);
		if (e->fmt->is_leaf(entry, level)) {
			engine_check_leaf(e, sum, entry, iova, level);
			leaves++;
			continue;
		}
		ENGINE_CHECK(e, entry == e->fmt->table(e->fmt->pa(entry), level),
			     "the entry at level %u for %llx is %llx", level, iova, entry);
		ENGINE_CHECK(e, xa_load(&e->tables[level - 1], iova >> engine_shift(level)),
			     "a table at level %u for %llx that should not be",
			     level - 1, iova);
		engine_check_table(e, sum, phys_to_virt(e->fmt->pa(entry)), level - 1, iova);
		tables++;
		sum->tables++;
	}
	ENGINE_CHECK(e, atomic_read(&omni_table(table)->leaves) == leaves &&
		     atomic_read(&omni_table(table)->tables) == tables,
		     "a table at level %u counts %d leaves, %d tables; has %u, %u", level,
		     atomic_read(&omni_table(table)->leaves),
		     atomic_read(&omni_table(table)->tables), leaves, tables);
}

/* Every entry of every table. */
void engine_check_all(struct engine *e)
{
	struct engine_sum sum = { };
	unsigned int top;
	__le64 *root = engine_root(e, &top);

	ENGINE_CHECK(e, top == e->top, "the root is at level %u, not %u", top, e->top);
	engine_check_table(e, &sum, root, top, 0);
	ENGINE_CHECK(e, sum.tables == e->nr_tables, "%lu tables below the root, not %lu",
		     sum.tables, e->nr_tables);
	ENGINE_CHECK(e, sum.bytes == e->bytes, "%llx bytes mapped, not %llx",
		     sum.bytes, e->bytes);
	ENGINE_CHECK(e, e->fmt->empty(&e->pt) == !e->bytes, "empty() is wrong");
	engine_check_live(e);
}

/* Operations */

void engine_op(struct engine *e, const char *what, u64 iova, u64 size, u64 pa,
	       unsigned int lg2)
{
	e->op = (struct engine_op){ e->op.nr + 1, what, iova, pa, size, lg2 };
}

static bool engine_in_range(u64 first, u64 size, u64 last)
{
	u64 end;

	return size && !check_add_overflow(first, size - 1, &end) && end <= last;
}

/* A map up to @last of leaves at @level makes a tree as high as that needs. */
void engine_grow(struct engine *e, u64 last, unsigned int level)
{
	while (last > engine_span_last(level))
		level++;
	/* What was the root is the first table of what is above it. */
	for (; e->fmt->grows && e->top < level; e->top++)
		engine_tables_add(e, e->top, 0, 1);
}

/* Map, and compare all that can be with the oracle. Returns what map did. */
int engine_map_lg2(struct engine *e, u64 iova, u64 pa, unsigned int lg2, size_t count,
		   u64 bits)
{
	unsigned int level = engine_level(lg2);
	u64 step = BIT_ULL(lg2), size = count * step, want_mapped = size;
	unsigned int nr_replaced = 0, want_replaced = 0;
	int ret, want = OMNI_FLUSH_ADDED;
	size_t mapped = 0xdead;
	struct omni_table *table;
	LIST_HEAD(replaced);

	engine_op(e, "map", iova, size, pa, lg2);
	if (!engine_in_range(iova, size, engine_last(e)) ||
	    !engine_in_range(pa, size, e->fmt->pa_last)) {
		want = -ERANGE;
		want_mapped = 0;
	} else {
		want_mapped = engine_first_mapped(e, iova, iova + size - 1) - iova;
		if (want_mapped < size)
			want = -EEXIST;
		want_mapped = ALIGN_DOWN(want_mapped, step);
	}

	ret = e->fmt->map(&e->pt, iova, pa, lg2, count, bits, GFP_KERNEL, &mapped, &replaced);

	if (want != -ERANGE)
		engine_grow(e, iova + size - 1, level);
	if (want_mapped) {
		want_replaced = engine_tables_drop(e, level, iova, iova + want_mapped - 1);
		if (want_replaced && want >= 0)
			want = OMNI_FLUSH_MODIFIED;
	}
	ENGINE_CHECK(e, ret == want, "%d returned, not %d", ret, want);
	ENGINE_CHECK(e, mapped == want_mapped, "%zx bytes mapped, not %llx", mapped, want_mapped);
	list_for_each_entry(table, &replaced, node) {
		nr_replaced++;
		ENGINE_CHECK(e, table->base - iova < mapped && IS_ALIGNED(table->base, step),
			     "a replaced table belongs to %lx", table->base);
	}
	ENGINE_CHECK(e, nr_replaced == want_replaced, "%u tables replaced, not %u",
		     nr_replaced, want_replaced);
	list_splice_tail(&replaced, &e->gone);
	e->nr_gone += nr_replaced;
	e->outcomes[ret == -ERANGE ? ENGINE_RANGE :
		    ret < 0 ? mapped ? ENGINE_EXISTS_LATER : ENGINE_EXISTS :
		    ret == OMNI_FLUSH_ADDED ? ENGINE_ADDED : ENGINE_MODIFIED]++;

	if (mapped) {
		unsigned int l;

		KUNIT_ASSERT_LT(e->test, e->nr_runs, e->max_runs);
		e->run[e->nr_runs++] = (struct engine_run){ iova, pa, bits, lg2 };
		engine_remember(e, iova, mapped, xa_mk_value(e->nr_runs));
		for (l = level; l < e->top; l++)
			engine_tables_add(e, l, iova, mapped);
		e->bytes += mapped;
		engine_probe(e, iova);
		engine_probe(e, iova + mapped - 1);
	}
	engine_check_live(e);
	return ret;
}

/* Unmap, and compare all that can be with the oracle. Returns the bytes. */
u64 engine_unmap(struct engine *e, u64 iova, u64 size)
{
	unsigned int nr_tables = 0, want_tables = 0;
	u64 got, want = 0, last = iova + size - 1;
	struct omni_table *table;
	LIST_HEAD(tables);

	engine_op(e, "unmap", iova, size, 0, 0);
	if (engine_in_range(iova, size, engine_last(e)))
		want = engine_unmap_end(e, iova, last) - iova;

	got = e->fmt->unmap(&e->pt, iova, size, &tables);

	ENGINE_CHECK(e, got == want, "%llx bytes unmapped, not %llx", got, want);
	list_for_each_entry(table, &tables, node)
		nr_tables++;
	if (got) {
		/* A table goes only when the unmap owns all of its range. */
		want_tables = engine_tables_drop(e, e->top, iova, min(last, iova + got - 1));
		engine_remember(e, iova, got, NULL);
		e->bytes -= got;
		engine_probe(e, iova);
		engine_probe(e, iova + got - 1);
	}
	ENGINE_CHECK(e, nr_tables == want_tables, "%u tables handed over, not %u",
		     nr_tables, want_tables);
	list_splice_tail(&tables, &e->gone);
	e->nr_gone += nr_tables;
	e->outcomes[!got ? ENGINE_UNMAPPED_NOTHING : got == size ? ENGINE_UNMAPPED :
		    got < size ? ENGINE_UNMAPPED_SHORT : ENGINE_UNMAPPED_MORE]++;
	e->outcomes[ENGINE_UNLINKED] += nr_tables;
	engine_check_live(e);
	return got;
}

/* The flush is over: tables handed over are freed. */
void engine_sync(struct engine *e)
{
	omni_tables_free(&e->gone);
	e->nr_gone = 0;
}

void engine_drop(void *data)
{
	struct engine *e = data;
	unsigned int l;

	mtree_destroy(&e->runs);
	for (l = 0; l < ENGINE_LEVELS; l++)
		xa_destroy(&e->tables[l]);
	vfree(e->run);
}

struct engine *engine_begin(struct kunit *test, unsigned int max_runs)
{
	const struct engine_shape *shape = test->param_value;
	struct engine *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	unsigned int l;

	KUNIT_ASSERT_NOT_NULL(test, e);
	omni_memory_forget();
	e->test = test;
	e->fmt = shape->fmt;
	engine_page_lg2 = e->fmt->page_lg2 ?: 12;
	e->live = omni_tables_live();
	e->unwritten = omni_memory_unwritten();
	e->op.what = "init";
	INIT_LIST_HEAD(&e->gone);
	mt_init(&e->runs);
	for (l = 0; l < ENGINE_LEVELS; l++)
		xa_init(&e->tables[l]);
	e->max_runs = max_runs;
	e->run = vmalloc_array(max_runs, sizeof(*e->run));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, engine_drop, e));
	KUNIT_ASSERT_NOT_NULL(test, e->run);

	e->pt = (struct omni_pt) {
		.top = shape->top,
		.pa_last = shape->fmt->pa_last,
		.incoherent = shape->incoherent,
		.nid = NUMA_NO_NODE,
	};
	e->pt.last = engine_last(e);
	KUNIT_ASSERT_EQ(test, 0, e->fmt->init(&e->pt));
	e->top = e->fmt->grows ? 0 : e->pt.top;
	if (e->fmt->grows && !shape->low) {
		/* An empty table may be at any level. */
		e->top = e->pt.top;
		e->pt.word |= e->top;
	}
	engine_check_all(e);
	return e;
}

/* Take all apart; the leak counter is where it was. */
void engine_end(struct engine *e)
{
	struct omni_table *table;
	unsigned long n = 0;
	LIST_HEAD(tables);

	engine_check_all(e);
	engine_op(e, "fini", 0, 0, 0, 0);
	engine_sync(e);
	e->fmt->fini(&e->pt, &tables);
	list_for_each_entry(table, &tables, node)
		n++;
	ENGINE_CHECK(e, n == e->nr_tables + 1, "%lu tables taken apart, not %lu",
		     n, e->nr_tables + 1);
	omni_tables_free(&tables);
	ENGINE_CHECK(e, omni_tables_live() == e->live, "%ld tables leaked",
		     omni_tables_live() - e->live);
	ENGINE_CHECK(e, omni_memory_unwritten() == e->unwritten,
		     "%lu reads of lines that were never written back",
		     omni_memory_unwritten() - e->unwritten);
}

/* Map where nothing is in the way. */
void engine_add_lg2(struct engine *e, u64 iova, u64 pa, unsigned int lg2, size_t count)
{
	int ret = engine_map_lg2(e, iova, pa, lg2, count, e->fmt->perms[2]);

	ENGINE_CHECK(e, ret > 0, "refused with %d", ret);
}

