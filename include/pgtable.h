/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page tables, the part that no format changes: the state of one table tree
 * and the memory it is made of. pgtable_engine.h is the part a wing
 * instantiates for each of its formats.
 */
#ifndef OMNI_PGTABLE_H
#define OMNI_PGTABLE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/types.h>

/* What a format may say of leaves that take several entries. */
#define SET_SAME	1
#define SET_OWN		2

/**
 * struct omni_pt - one page table
 * @root: the table at the highest level
 * @word: in a format that grows: the root, and its level in the low bits
 * @top: the root's level, or the highest one that it may rise to; level 0
 *	holds 4K leaves
 * @last: last byte of the address space, inclusive
 * @end: end of what may be mapped and unmapped by the engine's short ways:
 *	behind @last, or 0 while @tracked
 * @pa_last: last physical byte an entry can hold
 * @leaf_bits: format bits that every new leaf gets
 * @incoherent: the unit does not snoop its table walks (N7)
 * @tracked: maps and unmaps go by the tracker, see noncoherent.c
 * @nid: NUMA node for new tables
 * @above: a table of one page that points to the root and goes with it, in
 *	formats that have one
 * @ops: its format's functions that no hot path needs
 */
struct omni_pt {
	union {
		__le64 *root;
		unsigned long word;
	};
	unsigned int top;
	u64 last;
	u64 end;
	u64 pa_last;
	u64 leaf_bits;
	bool incoherent;
	bool tracked;
	int nid;
	__le64 *above;
	const struct omni_pt_ops *ops;
};

struct omni_entry;
struct omni_usage;

/**
 * struct omni_pt_ops - what the core does with a page table of any format
 * @init: make it empty, @top, @last, @pa_last, @incoherent and @nid being set;
 *	0 or -ENOMEM
 * @fini: take one that nobody uses apart, and hand over its tables
 * @next: the first entry at @iova or later: of those that begin at @iova, one
 *	whose level is below @below; those that point to tables with @tables
 *	alone. False if there is none
 * @usage: count
 *
 * @next and @usage are called between omni_watch() and omni_unwatch().
 * include/pgtable_show.h defines them for a format, as PT_NAME_pt_ops.
 */
struct omni_pt_ops {
	int (*init)(struct omni_pt *pt);
	void (*fini)(struct omni_pt *pt, struct list_head *tables);
	bool (*next)(const struct omni_pt *pt, u64 iova, unsigned int below, bool tables,
		     struct omni_entry *e);
	void (*usage)(const struct omni_pt *pt, struct omni_usage *usage);
};

/**
 * struct omni_table - what the engine keeps in the struct page of a table
 * @flags: the page's
 * @node: while unlinked, in a list of tables to free
 * @mapping: the page's
 * @base: first byte the table translates, while in omni_domain.replaced; its
 *	level, once unlinked from a tracked domain
 * @leaves: present leaves in the table; in the upper half, pending entries:
 *	cleared ones of a tracked domain that keep their address until the sync
 * @tables: present tables below it
 */
struct omni_table {
	unsigned long flags;
	struct list_head node;
	unsigned long mapping;
	unsigned long base;
	atomic_t leaves;
	atomic_t tables;
};

/* A pending entry, in omni_table.leaves. */
#define OMNI_TABLE_PENDING	0x10000
#define OMNI_TABLE_LEAVES	(OMNI_TABLE_PENDING - 1)

static_assert(offsetof(struct omni_table, node) == offsetof(struct page, lru));
static_assert(offsetof(struct omni_table, base) == offsetof(struct page, index));
static_assert(offsetof(struct omni_table, leaves) == offsetof(struct page, private));
static_assert(sizeof(struct omni_table) <= offsetof(struct page, private) + sizeof(unsigned long));

static inline struct omni_table *omni_table(const void *entries)
{
	return (struct omni_table *)omni_direct_page(entries);
}

static inline void *omni_table_entries(struct omni_table *table)
{
	return page_address((struct page *)table);
}

/*
 * The models of the KUnit module look whether anybody still uses a table, and
 * its suites refuse memory, or do something in the middle of an allocation.
 */
#ifdef OMNI_KUNIT
void omni_table_freed(const void *entries);
bool omni_table_refused(void);
#else
static inline void omni_table_freed(const void *entries)
{
}

static inline bool omni_table_refused(void)
{
	return false;
}
#endif

/**
 * omni_table_alloc() - memory for a table
 * @pt: the page table it is for
 * @gfp: how to allocate; with __GFP_ZERO where the caller does not write every
 *	entry himself
 *
 * Where walks are not snooped, all of it has to be written back before it is
 * linked.
 *
 * Return: its entries, or NULL.
 * Context: as @gfp says.
 */
void *omni_table_alloc(const struct omni_pt *pt, gfp_t gfp);

/**
 * omni_large_table_alloc() - the same for a table of several pages
 * @pt: the page table it is for
 * @gfp: how to allocate
 * @order: how many, as a power of two
 *
 * Return: its entries, aligned to its size, or NULL.
 * Context: as @gfp says.
 */
void *omni_large_table_alloc(const struct omni_pt *pt, gfp_t gfp, unsigned int order);

/**
 * omni_table_free() - free one table that no unit can reach any more
 * @entries: what omni_table_alloc() returned
 *
 * Context: any.
 */
void omni_table_free(void *entries);

/**
 * omni_tables_free() - free a list of them
 * @tables: linked by omni_table.node, all of one size, emptied
 *
 * Context: any.
 */
void omni_tables_free(struct list_head *tables);

/**
 * omni_tables_live() - page-table pages in use
 *
 * Return: their number over all domains, those waiting for a flush and those
 * leaked after a failed one included.
 * Context: any.
 */
long omni_tables_live(void);

#endif
