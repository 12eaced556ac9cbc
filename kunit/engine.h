/* SPDX-License-Identifier: GPL-2.0-only */
/* What the suites of the page-table engine share: formats, oracle, operations. */
#ifndef OMNI_KUNIT_ENGINE_H
#define OMNI_KUNIT_ENGINE_H

#include "kunit.h"

#include <linux/maple_tree.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

#define ENGINE_FORMATS	9
#define ENGINE_LEVELS	6

/* log2 of a page, and of a table, of the format that the running case is about. */
extern unsigned int engine_page_lg2;

#define ENGINE_PAGE	BIT(engine_page_lg2)
#define ENGINE_BITS	(engine_page_lg2 - 3)
#define ENGINE_ENTRIES	BIT(ENGINE_BITS)
/* Pages of the kernel that a table takes, log2. */
#define ENGINE_ORDER	(engine_page_lg2 - PAGE_SHIFT)

static inline unsigned int engine_shift(unsigned int level)
{
	return engine_page_lg2 + ENGINE_BITS * level;
}

static inline u64 engine_step(unsigned int level)
{
	return BIT_ULL(engine_shift(level));
}

/**
 * struct engine_format - one format
 * @name: for names of cases
 * @page_lg2: log2 of its pages and tables, 0 for 4K
 * @width: bits of the address space, where the levels give more
 * @min_top: highest level of the smallest table
 * @max_top: highest level of the largest table
 * @leaf_levels: bit n set: leaves of one entry may be at level n
 * @leaf_sizes: bit n set: leaves may be of 2^n bytes
 * @own: each entry of a set has the address of its own part
 * @grows: the tree begins with one level and gets more by need
 * @pa_last: last physical byte an entry can hold
 * @perms: permission bits for read, write, both
 * @leaf_bits: bits a domain may ask for in every leaf
 * @pending: the bit of an entry for a table that is not written back yet
 * @leaf: the specification's leaf
 * @table: the specification's entry that points to a table
 * @is_leaf: does the specification take a present entry for a leaf?
 * @set: log2 of the entries that the specification's leaf takes
 * @pa: the specification's address in an entry
 * @present: does the specification take an entry for present?
 * @init: the engine's
 * @fini: the engine's
 * @empty: the engine's
 * @map: the engine's
 * @unmap: the engine's
 * @iova_to_phys: the engine's
 */
struct engine_format {
	const char *name;
	unsigned int page_lg2;
	unsigned int width;
	unsigned int min_top;
	unsigned int max_top;
	unsigned int leaf_levels;
	u64 leaf_sizes;
	bool own;
	bool grows;
	u64 pa_last;
	u64 perms[3];
	u64 leaf_bits;
	u64 pending;
	u64 (*leaf)(u64 pa, unsigned int lg2, u64 bits);
	u64 (*table)(u64 pa, unsigned int level);
	bool (*is_leaf)(u64 entry, unsigned int level);
	unsigned int (*set)(u64 entry, unsigned int level);
	u64 (*pa)(u64 entry);
	bool (*present)(u64 entry);
	int (*init)(struct omni_pt *pt);
	void (*fini)(struct omni_pt *pt, struct list_head *tables);
	bool (*empty)(const struct omni_pt *pt);
	int (*map)(struct omni_pt *pt, u64 iova, u64 pa, unsigned int lg2, size_t count,
		   u64 bits, gfp_t gfp, size_t *mapped, struct list_head *replaced);
	size_t (*unmap)(struct omni_pt *pt, u64 iova, u64 size, struct list_head *tables);
	phys_addr_t (*iova_to_phys)(const struct omni_pt *pt, u64 iova);
};

extern const struct engine_format * const engine_formats[ENGINE_FORMATS];

/* One operation, to say which one failed. */
struct engine_op {
	unsigned long nr;
	const char *what;
	u64 iova;
	u64 pa;
	u64 size;
	unsigned int lg2;
};

/* What operations came to, to know that a random program was worth its time. */
enum engine_outcome {
	ENGINE_ADDED,
	ENGINE_MODIFIED,
	ENGINE_EXISTS,
	ENGINE_EXISTS_LATER,
	ENGINE_RANGE,
	ENGINE_UNMAPPED,
	ENGINE_UNMAPPED_SHORT,
	ENGINE_UNMAPPED_MORE,
	ENGINE_UNMAPPED_NOTHING,
	ENGINE_UNLINKED,
	ENGINE_OUTCOMES
};

/* Leaves of one size that one map made, or what is left of them. */
struct engine_run {
	u64 iova;
	u64 pa;
	u64 bits;
	unsigned int lg2;
};

/**
 * struct engine - a page table, and what it should be
 * @test: the test
 * @fmt: the format
 * @pt: the page table
 * @top: the level its root should be at
 * @live: tables there were before
 * @unwritten: reads of lines never written back there were before
 * @gone: tables handed over, not yet freed
 * @nr_gone: how many
 * @op: what is being done
 * @runs: by page number, index of the run plus one
 * @run: all runs there have been
 * @nr_runs: how many
 * @max_runs: room
 * @tables: which tables exist below the root, a level each
 * @nr_tables: how many
 * @bytes: bytes mapped
 * @outcomes: how often each came
 */
struct engine {
	struct kunit *test;
	const struct engine_format *fmt;
	struct omni_pt pt;
	unsigned int top;
	long live;
	unsigned long unwritten;
	struct list_head gone;
	unsigned long nr_gone;
	struct engine_op op;
	struct maple_tree runs;
	struct engine_run *run;
	unsigned int nr_runs;
	unsigned int max_runs;
	struct xarray tables[ENGINE_LEVELS];
	unsigned long nr_tables;
	u64 bytes;
	unsigned int outcomes[ENGINE_OUTCOMES];
};

/**
 * struct engine_shape - one parameter of every case
 * @fmt: the format
 * @top: highest level
 * @incoherent: table walks are not snooped
 * @low: the tree begins with one level and grows to @top
 */
struct engine_shape {
	const struct engine_format *fmt;
	unsigned int top;
	bool incoherent;
	bool low;
};

/**
 * engine_shapes() - the next parameter of a case: trees that have all their levels from the start
 * @prev: the one before, NULL for the first
 * @desc: its name, KUNIT_PARAM_DESC_SIZE characters
 *
 * Return: a struct engine_shape, NULL after the last.
 */
const void *engine_shapes(const void *prev, char *desc);

/**
 * engine_all_shapes() - as engine_shapes(), and trees that get their levels by need
 * @prev: the one before, NULL for the first
 * @desc: its name
 *
 * Return: a struct engine_shape, NULL after the last.
 */
const void *engine_all_shapes(const void *prev, char *desc);

/**
 * engine_growing_shapes() - as engine_shapes(), only trees that get their levels by need
 * @prev: the one before, NULL for the first
 * @desc: its name
 *
 * Return: a struct engine_shape, NULL after the last.
 */
const void *engine_growing_shapes(const void *prev, char *desc);

/**
 * engine_incoherent_shapes() - as engine_shapes(), only where walks are not snooped
 * @prev: the one before, NULL for the first
 * @desc: its name
 *
 * Return: a struct engine_shape, NULL after the last.
 */
const void *engine_incoherent_shapes(const void *prev, char *desc);

/**
 * engine_fail() - end the case, naming the operation it was at
 * @e: the page table
 * @fmt: what is wrong, as printf() takes it
 */
__printf(2, 3) void engine_fail(struct engine *e, const char *fmt, ...);

#define ENGINE_CHECK(e, cond, fmt, ...)				\
	do {							\
		if (unlikely(!(cond)))				\
			engine_fail(e, fmt, ##__VA_ARGS__);	\
	} while (0)

/* The last byte that a table at @level translates. */
static inline u64 engine_span_last(unsigned int level)
{
	return engine_shift(level + 1) < 64 ? engine_step(level + 1) - 1 : U64_MAX;
}

static inline unsigned int engine_level(unsigned int lg2)
{
	return (lg2 - engine_page_lg2) / ENGINE_BITS;
}

/* The root as hardware would be told of it, and its level. */
static inline __le64 *engine_root(const struct engine *e, unsigned int *level)
{
	unsigned long word = READ_ONCE(e->pt.word);

	*level = e->fmt->grows ? word & ~PAGE_MASK : e->pt.top;
	return (__le64 *)(word & PAGE_MASK);
}

static inline u64 engine_read(const struct engine *e, const __le64 *entry, bool memory)
{
	return memory ? omni_memory_read(virt_to_phys((void *)entry), false) :
			le64_to_cpu(READ_ONCE(*entry));
}

static inline __le64 *engine_entry(__le64 *table, u64 iova, unsigned int level)
{
	return &table[(iova >> engine_shift(level)) % ENGINE_ENTRIES];
}

/**
 * engine_last() - the last byte of the address space
 * @e: the page table
 *
 * Return: an IOVA.
 */
u64 engine_last(const struct engine *e);

/**
 * engine_next() - find the first run that maps something of a range
 * @e: the page table
 * @iova: first byte of the range
 * @last: last byte
 * @first: set to the first byte of what is left of the run
 * @pages: set to its size, in pages
 *
 * Return: is there one?
 */
bool engine_next(struct engine *e, u64 iova, u64 last, u64 *first, u64 *pages);

/**
 * engine_remember() - tell the oracle what maps a range from now on
 * @e: the page table
 * @iova: first byte
 * @size: bytes
 * @entry: index of the run plus one as an XArray value, NULL for nothing
 */
void engine_remember(struct engine *e, u64 iova, u64 size, void *entry);

/**
 * engine_tables_add() - tell the oracle that the tables of a range exist from now on
 * @e: the page table
 * @level: whose tables
 * @iova: first byte
 * @size: bytes
 */
void engine_tables_add(struct engine *e, unsigned int level, u64 iova, u64 size);

/**
 * engine_walk() - the entry that ends the walk for an address
 * @e: the page table
 * @iova: the address
 * @memory: read what is in memory, not what the CPU sees
 * @level: set to the entry's level
 *
 * Return: the entry.
 */
u64 engine_walk(struct engine *e, u64 iova, bool memory, unsigned int *level);

/**
 * engine_probe() - is one address what the oracle says, to the engine and to the hardware?
 * @e: the page table
 * @iova: the address
 */
void engine_probe(struct engine *e, u64 iova);

/**
 * engine_check_all() - compare every entry of every table with the oracle
 * @e: the page table
 */
void engine_check_all(struct engine *e);

/**
 * engine_op() - note what is being done, to say so if it fails
 * @e: the page table
 * @what: its name
 * @iova: first byte
 * @size: bytes
 * @pa: first physical byte
 * @lg2: log2 of the leaves
 */
void engine_op(struct engine *e, const char *what, u64 iova, u64 size, u64 pa,
	       unsigned int lg2);

/**
 * engine_grow() - tell the oracle that the tree is as high as a map needs it
 * @e: the page table
 * @last: last byte mapped
 * @level: level of the leaves
 */
void engine_grow(struct engine *e, u64 last, unsigned int level);

/**
 * engine_map_lg2() - map, and compare all that can be with the oracle
 * @e: the page table
 * @iova: first byte
 * @pa: first physical byte
 * @lg2: log2 of the leaves
 * @count: how many
 * @bits: permission and other bits of each
 *
 * Return: what the engine returned.
 */
int engine_map_lg2(struct engine *e, u64 iova, u64 pa, unsigned int lg2, size_t count,
		   u64 bits);

/**
 * engine_add_lg2() - map where nothing is in the way, readable and writable
 * @e: the page table
 * @iova: first byte
 * @pa: first physical byte
 * @lg2: log2 of the leaves
 * @count: how many
 */
void engine_add_lg2(struct engine *e, u64 iova, u64 pa, unsigned int lg2, size_t count);

/**
 * engine_unmap() - unmap, and compare all that can be with the oracle
 * @e: the page table
 * @iova: first byte
 * @size: bytes
 *
 * Return: the bytes unmapped.
 */
u64 engine_unmap(struct engine *e, u64 iova, u64 size);

/**
 * engine_sync() - the flush is over: free the tables that were handed over
 * @e: the page table
 */
void engine_sync(struct engine *e);

/**
 * engine_begin() - make a page table of the shape that is the case's parameter
 * @test: the test
 * @max_runs: maps there will be at most
 *
 * Return: the page table, empty.
 */
struct engine *engine_begin(struct kunit *test, unsigned int max_runs);

/**
 * engine_end() - compare all, take all apart, and look for leaks
 * @e: the page table
 */
void engine_end(struct engine *e);

/**
 * engine_drop() - forget the oracle before the case ends: kunit_release_action() calls it
 * @data: the page table
 */
void engine_drop(void *data);

static inline int engine_map(struct engine *e, u64 iova, u64 pa, unsigned int level,
			     size_t count, u64 bits)
{
	return engine_map_lg2(e, iova, pa, engine_shift(level), count, bits);
}

static inline void engine_add(struct engine *e, u64 iova, u64 pa, unsigned int level,
			      size_t count)
{
	engine_add_lg2(e, iova, pa, engine_shift(level), count);
}

static inline bool engine_has_size(const struct engine *e, unsigned int lg2)
{
	return e->fmt->leaf_sizes & BIT_ULL(lg2) && BIT_ULL(lg2) - 1 <= engine_last(e);
}

static inline bool engine_has_level(const struct engine *e, unsigned int level)
{
	return level <= e->pt.top && e->fmt->leaf_levels & BIT(level);
}

/* The largest level that leaves may be at. */
static inline unsigned int engine_leaf_max(const struct engine *e)
{
	return min_t(unsigned int, fls(e->fmt->leaf_levels) - 1, e->pt.top);
}

#endif
