// SPDX-License-Identifier: GPL-2.0-only
/* The page-table engine against its oracle: random programs, and threads that share tables. */
#include "engine.h"

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>

#define ENGINE_OPS	100000	/* operations of a random program */
#define ENGINE_MORE	10000	/* of one that has not met every outcome by then */

/* Random programs */

/**
 * struct engine_arena - where a program works
 * @first: first byte
 * @size: bytes
 * @small: pages of the smallest size matter here
 */
struct engine_arena {
	u64 first;
	u64 size;
	bool small;
};

static unsigned int engine_arenas(const struct engine *e, struct engine_arena *arenas)
{
	unsigned int level, small, n = 0;

	for (level = 0; level <= e->pt.top + 1; level++)
		for (small = 0; small < 2; small++) {
			u64 edge = level ? min(engine_step(level), engine_last(e) + 1) : 0;
			u64 half = 4 * engine_step(small ? 1 : 2);
			u64 first = edge > half ? edge - half : 0;
			u64 last = min(edge + half - 1, engine_last(e));

			arenas[n++] = (struct engine_arena){ first, last + 1 - first, small };
		}
	return n;
}

static u64 engine_random_in(struct rnd_state *rnd, const struct engine_arena *a, u64 step)
{
	u64 number = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);

	return a->first + number % max(1ULL, a->size / step) * step;
}

static unsigned int engine_random_count(struct rnd_state *rnd)
{
	switch (omni_below(rnd, 8)) {
	case 0 ... 2:
		return 1;
	case 3 ... 5:
		return 1 + omni_below(rnd, 16);
	case 6:
		return 1 + omni_below(rnd, 1100);
	default:
		return ENGINE_ENTRIES * (1 + omni_below(rnd, 2));
	}
}

static void engine_random_map(struct engine *e, struct rnd_state *rnd,
			      const struct engine_arena *a)
{
	unsigned int level = omni_below(rnd, 10) < 7 ? 0 : 1;
	unsigned int count = engine_random_count(rnd), lg2;
	u64 iova, pa, step;

	if (!a->small)
		level += ENGINE_ORDER || omni_below(rnd, 16);
	while (!engine_has_level(e, level))
		level--;
	lg2 = engine_shift(level);
	/* Where leaves may be of any size, half of them are. */
	if (omni_below(rnd, 2))
		lg2 += omni_below(rnd, ENGINE_BITS);
	while (!engine_has_size(e, lg2))
		lg2--;
	if (level == 2)
		count = 1 + count % 6;
	/* As many entries, whatever the size. */
	count = DIV_ROUND_UP(count, 1 << (lg2 - engine_shift(level)));
	step = BIT_ULL(lg2);
	/* Tables of whole pages are likelier to be full from their start. */
	iova = engine_random_in(rnd, a, count % ENGINE_ENTRIES ? step : engine_step(level + 1));
	iova = ALIGN_DOWN(iova, step);
	pa = ((u64)prandom_u32_state(rnd) << engine_page_lg2) % (e->fmt->pa_last >> 1);
	pa &= ~(step - 1);
	engine_map_lg2(e, iova, pa, lg2, count, e->fmt->perms[omni_below(rnd, 3)]);
}

static void engine_random_unmap(struct engine *e, struct rnd_state *rnd,
				const struct engine_arena *a)
{
	u64 iova = engine_random_in(rnd, a, ENGINE_PAGE), size, first, pages;
	bool found = engine_next(e, iova, a->first + a->size - 1, &first, &pages);

	switch (found ? omni_below(rnd, 8) : 7) {
	case 0 ... 3:	/* all of one run */
		iova = first;
		size = pages * ENGINE_PAGE;
		break;
	case 4:		/* a part of one */
		iova = first;
		size = (1ULL + omni_below(rnd, pages)) * ENGINE_PAGE;
		if (omni_below(rnd, 2))
			iova += (u64)omni_below(rnd, pages) * ENGINE_PAGE;
		break;
	case 5:		/* from one to the end of the arena */
		iova = first;
		size = a->first + a->size - iova;
		break;
	case 6:		/* from a table's start */
		iova = ALIGN_DOWN(first, engine_step(1));
		size = engine_step(1) << omni_below(rnd, 10);
		break;
	default:	/* anything */
		size = ENGINE_PAGE * engine_random_count(rnd);
		break;
	}
	engine_unmap(e, iova, size);
}

/* Out of the address space, or out of it from somewhere near its end. */
static void engine_random_outside(struct engine *e, struct rnd_state *rnd)
{
	unsigned int level = omni_below(rnd, engine_leaf_max(e) + 1);
	u64 step, iova, pa = 0;

	while (!engine_has_level(e, level))
		level--;
	step = engine_step(level);
	iova = engine_last(e) + 1 - omni_below(rnd, 4) * step;
	if (omni_below(rnd, 2)) {
		iova = 0;
		pa = e->fmt->pa_last + 1 - omni_below(rnd, 4) * step;
	}
	engine_map(e, iova, pa, level, 4, e->fmt->perms[0]);
	if (iova)
		engine_unmap(e, iova, 4 * step);
}

/* The outcome that came least often. */
static unsigned int engine_rarest(const struct engine *e)
{
	unsigned int i, rarest = 0;

	for (i = 1; i < ENGINE_OUTCOMES; i++)
		if (e->outcomes[i] < e->outcomes[rarest])
			rarest = i;
	return rarest;
}

static void engine_random_program(struct kunit *test)
{
	unsigned int ops = omni_scaled(test, ENGINE_OPS), share = ops / 2000;
	struct engine *e = engine_begin(test, ops + ENGINE_MORE + 1);
	struct engine_arena arenas[2 * (ENGINE_LEVELS + 2)];
	unsigned int nr_arenas = engine_arenas(e, arenas);
	struct rnd_state rnd;
	unsigned int i, k;

	omni_seed(test, &rnd);
	e->op.nr = 0;
	for (i = 0; i < ops ||
	     (i < ops + ENGINE_MORE && e->outcomes[engine_rarest(e)] <= share); i++) {
		const struct engine_arena *a = &arenas[omni_below(&rnd, nr_arenas)];

		switch (omni_below(&rnd, 32)) {
		case 0 ... 14:
			engine_random_map(e, &rnd, a);
			break;
		case 15 ... 28:
			engine_random_unmap(e, &rnd, a);
			break;
		case 29:
			engine_sync(e);
			break;
		case 30:
			engine_random_outside(e, &rnd);
			break;
		default:
			for (k = 0; k < 4; k++)
				engine_probe(e, engine_random_in(&rnd, a, 1 + k * 1021));
		}
		if (i % 8192 == 8191)
			engine_check_all(e);
		if (i % 256 == 255)
			cond_resched();
	}
	KUNIT_EXPECT_GT_MSG(test, e->outcomes[engine_rarest(e)], share, "outcome %u",
			    engine_rarest(e));
	engine_end(e);
}

/* Concurrency */

#define ENGINE_THREADS	4
#define ENGINE_ROUNDS	60
#define ENGINE_STEPS	150
/* Regions, all of whose tables the threads share, and their pieces. */
#define ENGINE_REGIONS	3
#define ENGINE_PIECES	32

/* Of 4K pages: 32 of them, 2M, 1G. Of large tables there may not be as many. */
static u64 engine_piece(unsigned int region)
{
	switch (region) {
	case 0:
		return 32 * ENGINE_PAGE;
	case 1:
		return engine_step(1);
	default:
		return ENGINE_ORDER ? 4 * engine_step(1) : engine_step(2);
	}
}

/**
 * struct engine_thread - one of several that change one page table
 * @e: the page table
 * @task: the thread
 * @go: begin
 * @rnd: its own randomness
 * @id: which pieces are its own
 * @lg2: of the leaves of a piece, or -1 while it is not mapped
 * @first: first byte mapped of each piece
 * @size: bytes mapped of it
 * @error: what went wrong first
 */
struct engine_thread {
	struct engine *e;
	struct task_struct *task;
	struct completion *go;
	struct rnd_state rnd;
	unsigned int id;
	int lg2[ENGINE_REGIONS][ENGINE_PIECES];
	u64 first[ENGINE_REGIONS][ENGINE_PIECES];
	u64 size[ENGINE_REGIONS][ENGINE_PIECES];
	char error[128];
};

static u64 engine_piece_iova(unsigned int region, unsigned int piece)
{
	return region * 64 * engine_piece(ENGINE_REGIONS - 1) + piece * engine_piece(region);
}

static u64 engine_thread_pa(u64 iova)
{
	return iova ^ (0x155ULL << 39);
}

static __printf(3, 4) void engine_thread_check(struct engine_thread *t, bool good,
					       const char *fmt, ...)
{
	va_list args;

	if (likely(good) || t->error[0])
		return;
	va_start(args, fmt);
	vsnprintf(t->error, sizeof(t->error), fmt, args);
	va_end(args);
}

/* Whether mapped or not, to the engine and to the hardware. */
static void engine_thread_look(struct engine_thread *t, u64 iova, bool mapped)
{
	struct engine *e = t->e;
	u64 want = mapped ? engine_thread_pa(iova) : 0, got, entry, offset;
	unsigned int level;
	__le64 *table = engine_root(e, &level);

	got = e->fmt->iova_to_phys(&e->pt, iova);
	engine_thread_check(t, got == want, "%llx translates to %llx", iova, got);
	/* The root need not reach what is not mapped. */
	if (!mapped && iova > engine_span_last(level))
		return;
	for (;; level--) {
		entry = engine_read(e, engine_entry(table, iova, level), e->pt.incoherent);
		if (!e->fmt->present(entry) || e->fmt->is_leaf(entry, level))
			break;
		table = phys_to_virt(e->fmt->pa(entry));
	}
	got = 0;
	if (e->fmt->present(entry)) {
		offset = (engine_step(level) << e->fmt->set(entry, level)) - 1;
		got = (e->fmt->pa(entry) & ~offset) | (iova & offset);
	}
	engine_thread_check(t, got == want, "the hardware takes %llx to %llx", iova, got);
}

static void engine_thread_map(struct engine_thread *t, unsigned int region, unsigned int piece)
{
	struct engine *e = t->e;
	unsigned int lg2 = engine_shift(omni_below(&t->rnd, region + 1)) +
			   omni_below(&t->rnd, ENGINE_BITS);
	u64 iova = engine_piece_iova(region, piece), size = engine_piece(region), step, most;
	struct omni_table *table, *next;
	size_t mapped;
	LIST_HEAD(replaced);
	int ret;

	while (!engine_has_size(e, lg2) || BIT_ULL(lg2) > size)
		lg2--;
	step = BIT_ULL(lg2);
	most = max(1024 * engine_step(engine_level(lg2)) / step, 1);
	if (omni_below(&t->rnd, 2)) {
		/* A part of the piece, from anywhere in it. */
		u64 pages = min(size / step, most);

		size = (1 + omni_below(&t->rnd, pages)) * step;
		iova += omni_below(&t->rnd, (engine_piece(region) - size) / step + 1) * step;
	} else if (size / step > most) {
		size = most * step;
	}
	ret = e->fmt->map(&e->pt, iova, engine_thread_pa(iova), lg2, size / step,
			  e->fmt->perms[2], GFP_KERNEL, &mapped, &replaced);
	engine_thread_check(t, ret > 0 && mapped == size, "map of %llx, %llx bytes: %d, %zx",
			    iova, size, ret, mapped);
	list_for_each_entry_safe(table, next, &replaced, node) {
		list_del(&table->node);
		omni_table_free(omni_table_entries(table));
	}
	t->lg2[region][piece] = lg2;
	t->first[region][piece] = iova;
	t->size[region][piece] = size;
	engine_thread_look(t, iova, true);
	engine_thread_look(t, iova + size - 1, true);
}

static void engine_thread_unmap(struct engine_thread *t, unsigned int region, unsigned int piece)
{
	u64 iova = t->first[region][piece], size = t->size[region][piece], got;
	LIST_HEAD(tables);

	got = t->e->fmt->unmap(&t->e->pt, iova, size, &tables);
	engine_thread_check(t, got == size, "unmap of %llx, %llx bytes: %llx", iova, size, got);
	omni_tables_free(&tables);
	t->lg2[region][piece] = -1;
	engine_thread_look(t, iova, false);
	engine_thread_look(t, iova + size - 1, false);
}

static int engine_thread_run(void *data)
{
	struct engine_thread *t = data;
	unsigned int i;

	wait_for_completion(t->go);
	for (i = 0; i < ENGINE_STEPS && !t->error[0]; i++) {
		unsigned int region = omni_below(&t->rnd, ENGINE_REGIONS);
		unsigned int piece = omni_below(&t->rnd, ENGINE_PIECES / ENGINE_THREADS) *
				     ENGINE_THREADS + t->id;

		if (t->lg2[region][piece] < 0)
			engine_thread_map(t, region, piece);
		else
			engine_thread_unmap(t, region, piece);
		if (!omni_below(&t->rnd, 8))
			cond_resched();
	}
	while (!kthread_should_stop())
		usleep_range(50, 100);
	return 0;
}

/* What the threads left is told to the oracle, which then looks at every entry. */
static void engine_threads_settle(struct engine *e, struct engine_thread *threads)
{
	unsigned int i, region, piece, l;

	/* How high the tree grew depends on what was mapped, some of it gone by now. */
	engine_root(e, &e->top);
	for (i = 0; i < ENGINE_THREADS; i++)
		for (region = 0; region < ENGINE_REGIONS; region++)
			for (piece = i; piece < ENGINE_PIECES; piece += ENGINE_THREADS) {
				struct engine_thread *t = &threads[i];
				u64 first = t->first[region][piece], size = t->size[region][piece];

				if (t->lg2[region][piece] < 0)
					continue;
				e->run[e->nr_runs++] = (struct engine_run){
					first, engine_thread_pa(first), e->fmt->perms[2],
					t->lg2[region][piece],
				};
				engine_remember(e, first, size, xa_mk_value(e->nr_runs));
				for (l = engine_level(t->lg2[region][piece]); l < e->top; l++)
					engine_tables_add(e, l, first, size);
				e->bytes += size;
			}
}

static void engine_tables_found(struct engine *e, __le64 *table, unsigned int level, u64 iova)
{
	unsigned int i;

	for (i = 0; level && i < ENGINE_ENTRIES; i++, iova += engine_step(level)) {
		u64 entry = engine_read(e, &table[i], false);

		if (!e->fmt->present(entry) || e->fmt->is_leaf(entry, level))
			continue;
		engine_tables_add(e, level - 1, iova, ENGINE_PAGE);
		engine_tables_found(e, phys_to_virt(e->fmt->pa(entry)), level - 1, iova);
	}
}

/* Threads map and unmap ranges of their own below the same tables. */
static void engine_concurrent(struct kunit *test)
{
	const struct engine_shape *shape = test->param_value;
	unsigned int rounds = omni_quartered(test, ENGINE_ROUNDS), round, i;
	struct engine_thread *threads;
	struct rnd_state rnd;
	__le64 *root;
	unsigned int top;

	/* All entries are looked at after each, and of large tables there are more. */
	if (shape->fmt->page_lg2)
		rounds = DIV_ROUND_UP(rounds, BIT(shape->fmt->page_lg2 - 11));
	omni_seed(test, &rnd);
	threads = kunit_kcalloc(test, ENGINE_THREADS, sizeof(*threads), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, threads);

	for (round = 0; round < rounds; round++) {
		DECLARE_COMPLETION_ONSTACK(go);
		struct engine *e = engine_begin(test, ENGINE_REGIONS * ENGINE_PIECES);

		engine_op(e, "concurrent", round, 0, 0, 0);
		memset(threads, 0, ENGINE_THREADS * sizeof(*threads));
		for (i = 0; i < ENGINE_THREADS; i++) {
			struct engine_thread *t = &threads[i];

			t->e = e;
			t->go = &go;
			t->id = i;
			memset(t->lg2, -1, sizeof(t->lg2));
			prandom_seed_state(&t->rnd, prandom_u32_state(&rnd));
			t->task = kthread_run(engine_thread_run, t, "engine/%u", i);
			KUNIT_ASSERT_FALSE(test, IS_ERR(t->task));
		}
		complete_all(&go);
		for (i = 0; i < ENGINE_THREADS; i++)
			kthread_stop(threads[i].task);
		for (i = 0; i < ENGINE_THREADS; i++)
			ENGINE_CHECK(e, !threads[i].error[0], "thread %u: %s", i,
				     threads[i].error);
		engine_threads_settle(e, threads);
		/* Empty tables depend on the order, all else does not. */
		root = engine_root(e, &top);
		engine_tables_found(e, root, top, 0);
		engine_end(e);
		kunit_release_action(test, engine_drop, e);
	}
}

static struct kunit_case engine_program_cases[] = {
	KUNIT_CASE_PARAM(engine_concurrent, engine_all_shapes),
	KUNIT_CASE_PARAM(engine_random_program, engine_all_shapes),
	{}
};

static struct kunit_suite engine_program_suite = {
	.name = "omni_engine_programs",
	.test_cases = engine_program_cases,
};

kunit_test_suites(&engine_program_suite);
