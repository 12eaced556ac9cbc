// SPDX-License-Identifier: GPL-2.0-only
/* The page-table engine against its oracle, for every format: case by case. */
#include "engine.h"

/* Refusing table memory. The hook runs in the middle of an allocation. */

static struct task_struct *engine_hook_task;
static bool (*engine_hook)(void);

bool omni_table_refused(void)
{
	return READ_ONCE(engine_hook_task) == current && engine_hook();
}

static void engine_set_hook(bool (*hook)(void))
{
	engine_hook = hook;
	WRITE_ONCE(engine_hook_task, hook ? current : NULL);
}

/* Cases */

/*
 * Every leaf size with every permission at the first and the last address and
 * on both sides of every boundary between tables.
 */
static void engine_every_level_at_every_edge(struct kunit *test)
{
	struct engine *e = engine_begin(test, 1024);
	unsigned int level, edge, perm, snoop;

	for (snoop = 0; snoop < 2; snoop++) {
		e->pt.leaf_bits = snoop ? e->fmt->leaf_bits : 0;
		for (level = 0; level <= e->pt.top; level++) {
			u64 step = engine_step(level);

			if (!engine_has_level(e, level))
				continue;
			for (edge = level + 1; edge <= e->pt.top + 1; edge++) {
				u64 at[] = { engine_step(edge) - step, engine_step(edge), 0 };
				/* The highest physical address too. */
				u64 pa[] = { e->fmt->pa_last + 1 - step, step, 3 * step };
				unsigned int i;

				for (i = 0; i < ARRAY_SIZE(at); i++) {
					perm = (i + edge) % 3;
					if (at[i] > engine_last(e))
						continue;
					/* Empty tables of smaller leaves may be in the way. */
					KUNIT_ASSERT_GE(test, engine_map(e, at[i], pa[i], level, 1,
									 e->fmt->perms[perm]),
							OMNI_FLUSH_ADDED);
					engine_probe(e, at[i] + step / 2);
					engine_probe(e, at[i] - 1);
					engine_probe(e, at[i] + step);
				}
				engine_check_all(e);
				for (i = 0; i < ARRAY_SIZE(at); i++)
					if (at[i] <= engine_last(e))
						KUNIT_ASSERT_EQ(test, step,
								engine_unmap(e, at[i], step));
			}
		}
	}
	engine_end(e);
}

/* Numbers of pages around the size of a table, from every kind of start. */
static void engine_counts_across_tables(struct kunit *test)
{
	struct engine *e = engine_begin(test, 1024);
	const unsigned int all = ENGINE_ENTRIES;
	const unsigned int counts[] = {
		1, 2, 7, 8, 9, all - 1, all, all + 1, 2 * all - 1, 2 * all, 2 * all + 1, 3 * all + 1
	};
	const unsigned int starts[] = { 0, 1, all / 2 - 1, all - 2, all - 1 };
	unsigned int level, s, c;

	for (level = 0; level <= e->pt.top; level++) {
		u64 step = engine_step(level);

		if (!engine_has_level(e, level))
			continue;
		for (s = 0; s < ARRAY_SIZE(starts); s++) {
			for (c = 0; c < ARRAY_SIZE(counts); c++) {
				u64 iova = starts[s] * step, size = counts[c] * step;

				if (iova + size - 1 > engine_last(e))
					continue;
				e->pt.leaf_bits = (s + c) & 1 ? e->fmt->leaf_bits : 0;
				engine_add(e, iova, 5 * step, level, counts[c]);
				engine_probe(e, iova + size);
				engine_probe(e, iova + size / 2);
				KUNIT_ASSERT_EQ(test, size, engine_unmap(e, iova, size));
				engine_sync(e);
			}
		}
	}
	engine_end(e);
}

/* A whole address space of the largest leaves, and none left (three and four levels). */
static void engine_whole_address_space(struct kunit *test)
{
	struct engine *e = engine_begin(test, 8);
	unsigned int level = engine_leaf_max(e), below = e->pt.top - level;
	u64 size = engine_last(e) + 1;

	if (below > 1) {
		/* One level less is enough of it, at the end of the address space. */
		size = engine_step(level + 2);
		below = 1;
	}
	/* So many pages of tables there may be. */
	if (size >> engine_shift(level + 1) << ENGINE_ORDER > 2048)
		size = engine_step(level + 1) << (11 - ENGINE_ORDER);
	engine_add(e, engine_last(e) + 1 - size, 0, level, size / engine_step(level));
	engine_check_all(e);
	KUNIT_ASSERT_EQ(test, size, engine_unmap(e, engine_last(e) + 1 - size, size));
	/* What hangs from an entry that the unmap covers goes in one piece. */
	KUNIT_EXPECT_EQ(test, e->nr_gone, e->pt.top == level ? 0 :
			(size >> engine_shift(level + 1)) +
			(size < engine_last(e) + 1 && size == engine_step(level + 2)));
	engine_end(e);
}

/* Every other page: an unmap ends at the first hole. */
static void engine_l5_unmap_ends_at_a_hole(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	unsigned int level, i;

	for (level = 0; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level), base = engine_step(level + 1) - 8 * step;

		if (!engine_has_level(e, level) || base + 16 * step - 1 > engine_last(e))
			continue;
		for (i = 0; i < 16; i += 2)
			engine_add(e, base + i * step, i * step, level, 1);
		engine_check_all(e);
		/* Nothing there, something after it. */
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, base + step, step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, base + step, 4 * step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, base - step, 16 * step));
		/* Something there, then a hole. */
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, base, 16 * step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, base, 16 * step));
		for (i = 0; i < 16; i++)
			KUNIT_EXPECT_EQ(test, i && i % 2 == 0 ? step : 0,
					engine_unmap(e, base + i * step, step));
		KUNIT_EXPECT_TRUE(test, e->fmt->empty(&e->pt));
		engine_check_all(e);
	}
	engine_end(e);
}

/* L5: a map over what is mapped says so, and changes nothing of it. */
static void engine_l5_overlap_changes_nothing(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	unsigned int there, level;

	for (there = 0; there <= engine_leaf_max(e); there++) {
		u64 span = engine_step(engine_leaf_max(e));
		u64 at = 4 * span + (there < engine_leaf_max(e) ? engine_step(there) : 0);

		if (!engine_has_level(e, there) || 8 * span - 1 > engine_last(e))
			continue;
		engine_add(e, at, 0x77 * engine_step(there), there, 1);
		for (level = 0; level <= engine_leaf_max(e); level++) {
			u64 step = engine_step(level), first = ALIGN_DOWN(at, step);
			u64 before = first - 2 * step;

			if (!engine_has_level(e, level))
				continue;
			/* Exactly there; the last byte's page; from before; around it. */
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map(e, first, 0, level, 1, e->fmt->perms[0]));
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map(e, ALIGN_DOWN(at + engine_step(there) - 1, step),
						   0, level, 1, e->fmt->perms[0]));
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map(e, before, 0, level, 3, e->fmt->perms[0]));
			/* The two pages before it were mapped, as `mapped` says. */
			KUNIT_EXPECT_EQ(test, 2 * step, engine_unmap(e, before, 2 * step));
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map(e, before, 0, level, 300, e->fmt->perms[0]));
			KUNIT_EXPECT_EQ(test, 2 * step, engine_unmap(e, before, 2 * step));
			engine_check_all(e);
		}
		KUNIT_EXPECT_EQ(test, engine_step(there), engine_unmap(e, at, engine_step(there)));
		engine_sync(e);
	}
	engine_end(e);
}

/* L5: addresses outside of the table and of what an entry can hold. */
static void engine_l5_out_of_range(struct kunit *test)
{
	struct engine *e = engine_begin(test, 64);
	u64 last = engine_last(e), pa_last = e->fmt->pa_last, bits = e->fmt->perms[2];
	unsigned int level;

	for (level = 0; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level);

		if (!engine_has_level(e, level))
			continue;
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, last + 1, 0, level, 1, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, last + 1 - step, 0, level, 2, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, 1ULL << 63, 0, level, 1, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, -step, 0, level, 1, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, -step, 0, level, 2, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, 0, pa_last + 1, level, 1, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE,
				engine_map(e, 0, pa_last + 1 - step, level, 2, bits));
		KUNIT_EXPECT_EQ(test, -ERANGE, engine_map(e, 0, -step, level, 2, bits));

		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, last + 1, step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, 1ULL << 63, step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, -step, step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, -step, 2 * step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, 0, 0));

		/* An unmap that runs out of the address space takes nothing of it. */
		engine_add(e, last + 1 - step, pa_last + 1 - step, level, 1);
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, last + 1 - step, 2 * step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, last + 1 - step, -1ULL));
		engine_probe(e, last);
		engine_probe(e, last + 1);
		engine_probe(e, -1ULL);
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, last + 1 - step, step));
	}
	engine_end(e);
}

/* An unmap cuts no leaf: one it begins in stays, one it ends in goes. */
static void engine_unmap_cuts_no_leaf(struct kunit *test)
{
	struct engine *e = engine_begin(test, 256);
	unsigned int level;

	for (level = 1; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level), at = 2 * step;

		if (!engine_has_level(e, level))
			continue;
		engine_add(e, at, 7 * step, level, 2);
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + ENGINE_PAGE, ENGINE_PAGE));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + ENGINE_PAGE, 2 * step));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + step - ENGINE_PAGE, ENGINE_PAGE));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + step / 2, step));
		/* It ends inside of the first, then inside of the second. */
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, at, ENGINE_PAGE));
		engine_add(e, at, 7 * step, level, 1);
		KUNIT_EXPECT_EQ(test, 2 * step, engine_unmap(e, at, step + ENGINE_PAGE));
		KUNIT_EXPECT_TRUE(test, e->fmt->empty(&e->pt));
	}
	engine_end(e);
}

/* At every level: a table is unlinked by the unmap of all of it, and only by that. */
static void engine_unlink_full_and_partial(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	unsigned int level;

	for (level = 0; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level), span = engine_step(level + 1), at = span;

		if (!engine_has_level(e, level) || level == e->pt.top)
			continue;
		/* All but the first, the first; all but the last, the last: it stays. */
		engine_add(e, at, 0, level, ENGINE_ENTRIES);
		engine_unmap(e, at + step, span - step);
		engine_unmap(e, at, step);
		engine_add(e, at, 0, level, ENGINE_ENTRIES);
		engine_unmap(e, at, span - step);
		engine_unmap(e, at + span - step, step);
		KUNIT_EXPECT_EQ(test, 0, e->nr_gone);

		/* A hole at the end, in the middle, at the start. */
		engine_add(e, at, 0, level, ENGINE_ENTRIES - 1);
		KUNIT_EXPECT_EQ(test, span - step, engine_unmap(e, at, span));
		engine_add(e, at, 0, level, 200);
		engine_add(e, at + 201 * step, 0, level, ENGINE_ENTRIES - 201);
		KUNIT_EXPECT_EQ(test, 200 * step, engine_unmap(e, at, span));
		engine_add(e, at, 0, level, 201);
		KUNIT_EXPECT_EQ(test, 0, e->nr_gone);

		/* Full, exactly covered. */
		KUNIT_EXPECT_EQ(test, span, engine_unmap(e, at, span));
		KUNIT_EXPECT_EQ(test, 1, e->nr_gone);
		engine_sync(e);

		/* Covered from before its start to after its end. */
		engine_add(e, at - step, 0, level, ENGINE_ENTRIES + 2);
		KUNIT_EXPECT_EQ(test, span + 2 * step,
				engine_unmap(e, at - step, span + 2 * step));
		KUNIT_EXPECT_EQ(test, 1, e->nr_gone);
		engine_sync(e);

		/* Mixed with a full table of the level below. */
		if (level && engine_has_level(e, level - 1)) {
			engine_add(e, at, 0, level - 1, ENGINE_ENTRIES);
			engine_add(e, at + step, 0, level, ENGINE_ENTRIES - 1);
			KUNIT_EXPECT_EQ(test, span, engine_unmap(e, at, span));
			KUNIT_EXPECT_EQ(test, 2, e->nr_gone);
			engine_sync(e);
			/* The last entry's table has one hole, at its end. */
			engine_add(e, at, 0, level, ENGINE_ENTRIES - 1);
			engine_add(e, at + span - step, 0, level - 1, ENGINE_ENTRIES - 1);
			KUNIT_EXPECT_EQ(test, span - engine_step(level - 1),
					engine_unmap(e, at, span));
			KUNIT_EXPECT_EQ(test, 0, e->nr_gone);
		}
		engine_check_all(e);
	}
	engine_end(e);
}

/* F1: a leaf takes the place of empty tables, is then "modified", and hands them over. */
static void engine_f1_leaf_replaces_empty_tables(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	u64 bits = e->fmt->perms[2];
	unsigned int level, i;

	for (level = 1; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level), at = 4 * step;

		if (!engine_has_level(e, level))
			continue;
		/* A path of empty tables down to level 0, then two of them side by side. */
		engine_add(e, at, 0, 0, 1);
		KUNIT_EXPECT_EQ(test, -EEXIST, engine_map(e, at, 0, level, 1, bits));
		engine_unmap(e, at, ENGINE_PAGE);
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_MODIFIED, engine_map(e, at, 0, level, 1, bits));
		KUNIT_EXPECT_EQ(test, level, e->nr_gone);
		engine_sync(e);
		engine_unmap(e, at, step);

		engine_add(e, at + step - ENGINE_PAGE, 0, 0, 2);
		engine_unmap(e, at + step - ENGINE_PAGE, 2 * ENGINE_PAGE);
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_MODIFIED,
				engine_map(e, at - step, 0, level, 4, bits));
		KUNIT_EXPECT_EQ(test, 2 * level, e->nr_gone);
		engine_sync(e);
		engine_check_all(e);
		/* Nothing replaced: no more than added. */
		engine_unmap(e, at - step, 4 * step);
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_ADDED,
				engine_map(e, at - step, 0, level, 4, bits));
		engine_unmap(e, at - step, 4 * step);

		/* The second of two is in use: the first is replaced all the same. */
		engine_add(e, at, 0, 0, 1);
		engine_add(e, at + 2 * step - ENGINE_PAGE, 0, 0, 1);
		engine_unmap(e, at, ENGINE_PAGE);
		KUNIT_EXPECT_EQ(test, -EEXIST, engine_map(e, at, 0, level, 2, bits));
		KUNIT_EXPECT_EQ(test, level, e->nr_gone);
		engine_sync(e);
		engine_check_all(e);
		engine_unmap(e, at, step);
		engine_unmap(e, at + 2 * step - ENGINE_PAGE, ENGINE_PAGE);

		/* Every entry of a table has an empty one below. */
		if (level > 1) {
			for (i = 0; i < ENGINE_ENTRIES; i++)
				engine_add(e, at + i * engine_step(level - 1), 0, 0, 1);
			for (i = 0; i < ENGINE_ENTRIES; i++)
				engine_unmap(e, at + i * engine_step(level - 1), ENGINE_PAGE);
			KUNIT_EXPECT_EQ(test, 0, e->nr_gone);
			KUNIT_EXPECT_EQ(test, OMNI_FLUSH_MODIFIED,
					engine_map(e, at, 0, level, 1, bits));
			engine_sync(e);
			engine_unmap(e, at, step);
		}
	}
	engine_end(e);
}

/* Changing a permission is an unmap and a map; the new one holds, alone. */
static void engine_permission(struct kunit *test)
{
	struct engine *e = engine_begin(test, 256);
	unsigned int level, old, new, l;

	for (level = 0; level <= engine_leaf_max(e); level++) {
		u64 step = engine_step(level), at = 3 * step;

		if (!engine_has_level(e, level))
			continue;
		for (old = 0; old < 3; old++)
			for (new = 0; new < 3; new++) {
				const u64 *perms = e->fmt->perms;
				const u64 mask = perms[0] | perms[1] | perms[2];
				u64 entry;

				KUNIT_EXPECT_EQ(test, OMNI_FLUSH_ADDED,
						engine_map(e, at, step, level, 2, perms[old]));
				engine_unmap(e, at, step);
				KUNIT_EXPECT_EQ(test, OMNI_FLUSH_ADDED,
						engine_map(e, at, step, level, 1, perms[new]));
				entry = engine_walk(e, at, e->pt.incoherent, &l);
				KUNIT_EXPECT_EQ(test, entry & mask, perms[new]);
				entry = engine_walk(e, at + step, e->pt.incoherent, &l);
				KUNIT_EXPECT_EQ(test, entry & mask, perms[old]);
				engine_unmap(e, at, 2 * step);
			}
	}
	engine_end(e);
}

/* Leaves of every size there is: all of one is mapped, found and unmapped at once. */
static void engine_sets_of_every_size(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	const u64 *perms = e->fmt->perms;
	unsigned int lg2, i;

	for (lg2 = 12; lg2 < 52; lg2++) {
		u64 step = BIT_ULL(lg2), at = 8 * step, pa = 4 * step;

		if (!engine_has_size(e, lg2) || at + 8 * step - 1 > engine_last(e) ||
		    pa + 8 * step - 1 > e->fmt->pa_last)
			continue;
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_ADDED,
				engine_map_lg2(e, at, pa, lg2, 3, perms[2]));
		for (i = 0; i < 3; i++) {
			engine_probe(e, at + i * step);
			engine_probe(e, at + i * step + step / 2);
			engine_probe(e, at + (i + 1) * step - 1);
		}
		engine_probe(e, at - 1);
		engine_probe(e, at + 3 * step);
		engine_check_all(e);
		/* Over it with its own size, and with the smallest, anywhere in it. */
		KUNIT_EXPECT_EQ(test, -EEXIST,
				engine_map_lg2(e, at - step, 0, lg2, 2, perms[0]));
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, at - step, step));
		for (i = 0; i < 3; i++) {
			u64 in = at + step + ALIGN_DOWN(i * (step - 1) / 2, ENGINE_PAGE);

			KUNIT_EXPECT_EQ(test, -EEXIST, engine_map(e, in, 0, 0, 1, perms[0]));
		}
		/* It is not cut: not from its middle, and whole when it is begun. */
		if (lg2 > engine_page_lg2) {
			KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + step / 2, 2 * step));
			KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, at + step - ENGINE_PAGE,
							      ENGINE_PAGE));
		}
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, at + step, ENGINE_PAGE));
		engine_check_all(e);
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_ADDED,
				engine_map_lg2(e, at + step, 0, lg2, 1, perms[1]));
		KUNIT_EXPECT_EQ(test, 3 * step, engine_unmap(e, at, 3 * step));
		KUNIT_EXPECT_TRUE(test, e->fmt->empty(&e->pt));
		engine_sync(e);
	}
	engine_end(e);
}

/* A set goes where each of its entries is free or points to what maps nothing. */
static void engine_set_replaces_empty_tables(struct kunit *test)
{
	struct engine *e = engine_begin(test, 4096);
	unsigned int level, k;

	for (level = 1; level <= 2 && level <= e->pt.top; level++) {
		for (k = 1; k < 9; k++) {
			unsigned int lg2 = engine_shift(level) + k;
			u64 step = BIT_ULL(lg2), at = 4 * step, part = engine_step(level);

			if (!engine_has_size(e, lg2) || 8 * step - 1 > engine_last(e))
				continue;
			/* A page below its last entry is in the way, then an empty table. */
			engine_add(e, at + step - part, 0, 0, 1);
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map_lg2(e, at, 0, lg2, 1, e->fmt->perms[0]));
			engine_check_all(e);
			engine_add(e, at, 0, 0, 1);
			engine_unmap(e, at, ENGINE_PAGE);
			engine_unmap(e, at + step - part, ENGINE_PAGE);
			KUNIT_EXPECT_EQ(test, 0, e->nr_gone);
			KUNIT_EXPECT_EQ(test, OMNI_FLUSH_MODIFIED,
					engine_map_lg2(e, at, step, lg2, 2, e->fmt->perms[2]));
			KUNIT_EXPECT_EQ(test, 2 * level, e->nr_gone);
			engine_check_all(e);
			engine_sync(e);
			/* A leaf of one entry in its middle. */
			engine_unmap(e, at, step);
			engine_add(e, at + ALIGN_DOWN(step / 2, part), 0, level, 1);
			KUNIT_EXPECT_EQ(test, -EEXIST,
					engine_map_lg2(e, at, 0, lg2, 1, e->fmt->perms[0]));
			engine_check_all(e);
			engine_unmap(e, at + ALIGN_DOWN(step / 2, part), part);
			engine_unmap(e, at + step, step);
			engine_sync(e);
		}
	}
	engine_end(e);
}

/* A tree has the levels that what was mapped in it needs, and keeps them. */
static void engine_grows_by_need(struct kunit *test)
{
	struct engine *e = engine_begin(test, 64);
	unsigned int level, top;

	for (level = 0; level <= e->pt.top; level++) {
		u64 page = engine_span_last(level) & -(u64)ENGINE_PAGE;

		/* Not needed: what is not mapped is not mapped. */
		engine_probe(e, engine_span_last(level));
		KUNIT_EXPECT_EQ(test, 0, engine_unmap(e, page, ENGINE_PAGE));
		KUNIT_EXPECT_EQ(test, 0, e->fmt->iova_to_phys(&e->pt, page));
		engine_root(e, &top);
		KUNIT_EXPECT_EQ(test, top, level ? level - 1 : 0);
		/* The last page of what a root at this level reaches. */
		engine_add(e, page, level * ENGINE_PAGE, 0, 1);
		engine_root(e, &top);
		KUNIT_EXPECT_EQ(test, top, level);
		engine_check_all(e);
		engine_probe(e, engine_span_last(0));
	}
	/* What was a root goes with what is below it, when an unmap covers it. */
	if (engine_has_level(e, 1)) {
		engine_unmap(e, SZ_2M - ENGINE_PAGE, ENGINE_PAGE);
		engine_unmap(e, SZ_1G - ENGINE_PAGE, ENGINE_PAGE);
		KUNIT_EXPECT_EQ(test, 0, e->nr_gone);
		KUNIT_EXPECT_EQ(test, OMNI_FLUSH_MODIFIED,
				engine_map(e, 0, 0, 1, ENGINE_ENTRIES, e->fmt->perms[2]));
		/* The first table of all, and the one for the last page of 1G. */
		KUNIT_EXPECT_EQ(test, 2, e->nr_gone);
		KUNIT_EXPECT_EQ(test, SZ_1G, engine_unmap(e, 0, SZ_1G));
		KUNIT_EXPECT_EQ(test, 3, e->nr_gone);
	}
	engine_end(e);
}

/* N7: each changed line is written back once, and none where walks are snooped. */
static void engine_n7_lines_written_back(struct kunit *test)
{
	struct engine *e = engine_begin(test, 64);
	unsigned int page = ENGINE_PAGE / 64, top = e->pt.top, once = e->pt.incoherent;
	unsigned long seen;

#define EXPECT_CLEANED(n, what)						\
	do {								\
		seen = omni_memory_cleaned();				\
		what;							\
		seen = omni_memory_cleaned() - seen;			\
		KUNIT_EXPECT_EQ_MSG(test, seen, (n) * once, #what);	\
	} while (0)

	/* New tables whole, the lines that link them, the leaf's. */
	EXPECT_CLEANED(top * (page + 1) + 1, engine_add(e, 0, 0, 0, 1));
	EXPECT_CLEANED(1, engine_add(e, 1 * ENGINE_PAGE, 0, 0, 7));
	EXPECT_CLEANED(2, engine_add(e, 12 * ENGINE_PAGE, 0, 0, 8));
	EXPECT_CLEANED(1, engine_unmap(e, 0, ENGINE_PAGE));
	EXPECT_CLEANED(1, engine_unmap(e, 1 * ENGINE_PAGE, 7 * ENGINE_PAGE));
	EXPECT_CLEANED(2, engine_unmap(e, 12 * ENGINE_PAGE, 8 * ENGINE_PAGE));
	EXPECT_CLEANED(0, engine_unmap(e, 0, ENGINE_PAGE));
	EXPECT_CLEANED(page, engine_add(e, 0, 0, 0, ENGINE_ENTRIES));
	/* A table that is unlinked is left as it is. */
	EXPECT_CLEANED(1, engine_unmap(e, 0, ENGINE_ENTRIES * ENGINE_PAGE));
	if (engine_has_level(e, 1)) {
		EXPECT_CLEANED(page + 1 + 1, engine_add(e, 0, 0, 0, 1));
		EXPECT_CLEANED(1, engine_unmap(e, 0, ENGINE_PAGE));
		/* So is one that is replaced. */
		EXPECT_CLEANED(2, engine_map(e, 0, 0, 1, 16, e->fmt->perms[2]));
		EXPECT_CLEANED(2, engine_unmap(e, 0, 16 * engine_step(1)));
	}
#undef EXPECT_CLEANED
	engine_end(e);
}

/* Races, played out in one thread. */

static struct engine *engine_raced;
static u64 engine_raced_iova;

/* Somebody else maps the neighbour while a table is being allocated. */
static bool engine_race(void)
{
	struct engine *e = engine_raced;
	struct engine_op op = e->op;

	engine_set_hook(NULL);
	engine_add(e, engine_raced_iova, 9 * ENGINE_PAGE, 0, 1);
	e->op = op;
	return false;
}

/* The table is installed by somebody else in the moment it is allocated. */
static void engine_lost_race_for_a_table(struct kunit *test)
{
	struct engine *e = engine_begin(test, 256);
	unsigned int level;

	engine_raced = e;
	for (level = 1; level <= e->pt.top; level++) {
		u64 at = engine_step(level);

		/* A root may have few entries that are in use. */
		if (3 * at - 1 > engine_last(e))
			continue;
		/* What is won or lost is the table below the entry at @level. */
		if (level < e->pt.top) {
			engine_add(e, at - ENGINE_PAGE, 0, 0, 1);
			engine_add(e, at + engine_step(level) - ENGINE_PAGE, 0, 0, 1);
			engine_unmap(e, at + engine_step(level) - ENGINE_PAGE, ENGINE_PAGE);
		}
		engine_raced_iova = 2 * at + ENGINE_PAGE;
		engine_set_hook(engine_race);
		engine_add(e, 2 * at, 0, 0, 1);
		KUNIT_EXPECT_PTR_EQ(test, engine_hook_task, NULL);
		engine_probe(e, 2 * at);
		engine_probe(e, 2 * at + ENGINE_PAGE);
		engine_check_all(e);
	}
	engine_end(e);
}

/* Somebody else puts a root above the root while one is being allocated. */
static void engine_lost_race_for_a_root(struct kunit *test)
{
	struct engine *e = engine_begin(test, 256);
	unsigned int level;

	engine_raced = e;
	while (e->top < e->pt.top) {
		/* The other one needs a level more; so do we, or two. */
		level = e->top + 1;
		engine_raced_iova = engine_step(level);
		if (level % 2 && level < e->pt.top)
			level++;
		engine_set_hook(engine_race);
		engine_add(e, 2 * engine_step(level), 0, 0, 1);
		KUNIT_EXPECT_PTR_EQ(test, engine_hook_task, NULL);
		engine_probe(e, engine_raced_iova);
		engine_check_all(e);
	}
	engine_end(e);
}

/* The highest tree: an address space of all 64 bits, which ends where it begins. */
static void engine_64_bits(struct kunit *test)
{
	struct engine *e = engine_begin(test, 64);
	unsigned int lg2;

	e->pt.top = 5;
	e->pt.last = U64_MAX;
	for (lg2 = 12; lg2 < 52; lg2++) {
		u64 step = BIT_ULL(lg2);

		if (!engine_has_size(e, lg2))
			continue;
		engine_add_lg2(e, -2 * step, 0, lg2, 2);
		engine_probe(e, U64_MAX);
		engine_probe(e, -step);
		engine_probe(e, 0);
		KUNIT_EXPECT_EQ(test, -ERANGE,
				engine_map_lg2(e, -step, 0, lg2, 2, e->fmt->perms[2]));
		engine_check_all(e);
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, -step, step));
		KUNIT_EXPECT_EQ(test, step, engine_unmap(e, -2 * step, 2 * step));
		engine_sync(e);
	}
	engine_end(e);
}

/*
 * N7: somebody else has linked a table and not yet written the link back. Who
 * maps below it must not return before the unit can see the way there.
 */
static void engine_n7_link_of_another(struct kunit *test)
{
	struct engine *e = engine_begin(test, 64);
	unsigned int level;

	for (level = 1; level <= e->pt.top; level++) {
		u64 at = engine_step(level) * 3;
		__le64 *entry, *new;
		unsigned int l;
		__le64 *table = engine_root(e, &l);

		/* A root may have few entries that are in use. */
		if (at + engine_step(level) - 1 > engine_last(e))
			continue;
		/* The neighbour brings what is above. */
		if (level < e->pt.top) {
			engine_add(e, at + engine_step(level), 0, 0, 1);
			for (; l > level; l--) {
				entry = engine_entry(table, at, l);
				table = phys_to_virt(e->fmt->pa(engine_read(e, entry, false)));
			}
		}
		/* The other one's steps, up to the point where it is overtaken. */
		entry = engine_entry(table, at, level);
		new = ENGINE_ORDER ? omni_large_table_alloc(&e->pt, GFP_KERNEL | __GFP_ZERO,
							    ENGINE_ORDER) :
				     omni_table_alloc(&e->pt, GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, new);
		omni_clean_lines(new, ENGINE_PAGE);
		WRITE_ONCE(*entry, cpu_to_le64(e->fmt->table(virt_to_phys(new), level) |
					       e->fmt->pending));
		atomic_inc(&omni_table(table)->tables);
		engine_tables_add(e, level - 1, at, ENGINE_PAGE);

		engine_add(e, at, 0, 0, 1);
		KUNIT_EXPECT_EQ(test, 0, engine_read(e, entry, false) & e->fmt->pending);
		engine_check_all(e);
	}
	engine_end(e);
}

/* No memory for the nth table: what was mapped is told, and can be gone on from. */

static unsigned int engine_refuse_after;

static bool engine_refuse(void)
{
	return !engine_refuse_after--;
}

static void engine_out_of_memory(struct kunit *test)
{
	unsigned int nth, level, pages;
	bool refused = true;

	for (nth = 0; refused; nth++) {
		struct engine *e = engine_begin(test, 8);
		u64 iova = max(engine_step(e->pt.top), 2 * engine_step(1)) -
			   (ENGINE_ENTRIES + 8) * ENGINE_PAGE;
		u64 bits = e->fmt->perms[2];
		size_t mapped, first;
		LIST_HEAD(replaced);
		int ret;

		pages = 3 * ENGINE_ENTRIES + 7;
		engine_op(e, "map", iova, pages * ENGINE_PAGE, SZ_16M, engine_page_lg2);
		engine_refuse_after = nth;
		engine_set_hook(engine_refuse);
		ret = e->fmt->map(&e->pt, iova, SZ_16M, engine_page_lg2, pages, bits, GFP_KERNEL,
				  &first, &replaced);
		engine_set_hook(NULL);
		refused = ret < 0;
		ENGINE_CHECK(e, ret == (refused ? -ENOMEM : OMNI_FLUSH_ADDED), "%d returned", ret);
		/* What is left needs no more memory than there was. */
		if (refused) {
			ENGINE_CHECK(e, first < pages * ENGINE_PAGE &&
				     IS_ALIGNED(first, ENGINE_PAGE),
				     "%zx bytes mapped", first);
			ENGINE_CHECK(e, !e->fmt->iova_to_phys(&e->pt, iova + first),
				     "more is mapped than is said");
			ret = e->fmt->map(&e->pt, iova + first, SZ_16M + first,
					  engine_page_lg2, pages - first / ENGINE_PAGE, bits,
					  GFP_KERNEL, &mapped, &replaced);
			ENGINE_CHECK(e, ret == OMNI_FLUSH_ADDED, "%d returned then", ret);
		}
		ENGINE_CHECK(e, list_empty(&replaced), "tables were replaced");
		e->run[e->nr_runs++] = (struct engine_run){ iova, SZ_16M, bits,
							engine_page_lg2 };
		engine_remember(e, iova, pages * ENGINE_PAGE, xa_mk_value(e->nr_runs));
		e->bytes += pages * ENGINE_PAGE;
		engine_grow(e, iova + pages * ENGINE_PAGE - 1, 0);
		for (level = 0; level < e->top; level++)
			engine_tables_add(e, level, iova, pages * ENGINE_PAGE);
		engine_end(e);
		kunit_release_action(test, engine_drop, e);
	}
	KUNIT_EXPECT_GE(test, nth, 5);
}

static struct kunit_case engine_cases[] = {
	KUNIT_CASE_PARAM(engine_every_level_at_every_edge, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_counts_across_tables, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_whole_address_space, engine_shapes),
	KUNIT_CASE_PARAM(engine_l5_unmap_ends_at_a_hole, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_l5_overlap_changes_nothing, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_l5_out_of_range, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_unmap_cuts_no_leaf, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_unlink_full_and_partial, engine_shapes),
	KUNIT_CASE_PARAM(engine_f1_leaf_replaces_empty_tables, engine_shapes),
	KUNIT_CASE_PARAM(engine_permission, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_sets_of_every_size, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_set_replaces_empty_tables, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_grows_by_need, engine_growing_shapes),
	KUNIT_CASE_PARAM(engine_lost_race_for_a_root, engine_growing_shapes),
	KUNIT_CASE_PARAM(engine_64_bits, engine_growing_shapes),
	KUNIT_CASE_PARAM(engine_n7_lines_written_back, engine_shapes),
	KUNIT_CASE_PARAM(engine_lost_race_for_a_table, engine_shapes),
	KUNIT_CASE_PARAM(engine_n7_link_of_another, engine_incoherent_shapes),
	KUNIT_CASE_PARAM(engine_out_of_memory, engine_all_shapes),
	{}
};

/* A case that failed may have left its hook. */
static void engine_exit(struct kunit *test)
{
	engine_set_hook(NULL);
}

static struct kunit_suite engine_suite = {
	.name = "omni_engine",
	.test_cases = engine_cases,
	.exit = engine_exit,
};

kunit_test_suites(&engine_suite);
