// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory page tables are made of: allocation, accounting, release.
 *
 * Tables are accounted as the kernel accounts its own (NR_IOMMU_PAGES and
 * NR_SECONDARY_PAGETABLE), and counted exactly for leak checks, since the
 * kernel's counters are batched per CPU.
 */
#include "include/omniommu.h"

#include <linux/gfp.h>
#include <linux/vmstat.h>

static atomic_long_t omni_live_tables = ATOMIC_LONG_INIT(0);

/* Count pages like @page, of the same node and owner, in or out. */
static void omni_table_account(struct page *page, long nr)
{
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, nr);
	mod_lruvec_page_state(page, NR_SECONDARY_PAGETABLE, nr);
	atomic_long_add(nr, &omni_live_tables);
}

static bool omni_table_alike(const struct page *a, const struct page *b)
{
#ifdef CONFIG_MEMCG
	if (a->memcg_data != b->memcg_data)
		return false;
#endif
	return page_to_nid(a) == page_to_nid(b);
}

static __always_inline void *omni_pages_alloc(const struct omni_pt *pt, gfp_t gfp,
					      unsigned int order)
{
	struct omni_table *table;
	struct page *page;

	if (omni_table_refused())
		return NULL;
	page = alloc_pages_node(pt->nid, gfp, order);
	if (!page)
		return NULL;
	table = (struct omni_table *)page;
	omni_table_account(page, BIT(order));
	INIT_LIST_HEAD(&table->node);
	atomic_set(&table->leaves, 0);
	atomic_set(&table->tables, 0);
	return page_address(page);
}

void *omni_table_alloc(const struct omni_pt *pt, gfp_t gfp)
{
	return omni_pages_alloc(pt, gfp, 0);
}

void *omni_large_table_alloc(const struct omni_pt *pt, gfp_t gfp, unsigned int order)
{
	/* The kernel keeps in the other pages how many there are. */
	return omni_pages_alloc(pt, gfp | __GFP_COMP, order);
}

void omni_table_free(void *entries)
{
	struct page *page = virt_to_page(entries);
	unsigned int order = compound_order(page);

	omni_table_freed(entries);
	omni_table_account(page, -(long)BIT(order));
	__free_pages(page, order);
}

void omni_tables_free(struct list_head *tables)
{
	struct page *first = NULL;
	struct omni_table *table;
	unsigned int order = 0;
	long nr = 0;

	if (!list_empty(tables))
		order = compound_order((struct page *)list_first_entry(tables, struct omni_table,
								       node));
	list_for_each_entry(table, tables, node) {
		struct page *page = (struct page *)table;

		omni_table_freed(omni_table_entries(table));
		if (nr && !omni_table_alike(first, page)) {
			omni_table_account(first, -(nr << order));
			nr = 0;
		}
		if (!nr++)
			first = page;
	}
	if (nr)
		omni_table_account(first, -(nr << order));
	/* struct omni_table has its list where that function wants it. */
	put_pages_list(tables);
}

long omni_tables_live(void)
{
	return atomic_long_read(&omni_live_tables);
}
