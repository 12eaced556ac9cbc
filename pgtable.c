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

static void omni_table_account(struct page *page, int nr)
{
	mod_node_page_state(page_pgdat(page), NR_IOMMU_PAGES, nr);
	mod_lruvec_page_state(page, NR_SECONDARY_PAGETABLE, nr);
	atomic_long_add(nr, &omni_live_tables);
}

void *omni_table_alloc(const struct omni_pt *pt, gfp_t gfp)
{
	struct omni_table *table;
	struct page *page;

	if (omni_table_refused())
		return NULL;
	page = alloc_pages_node(pt->nid, gfp | __GFP_ZERO, 0);
	if (!page)
		return NULL;
	table = (struct omni_table *)page;
	omni_table_account(page, 1);
	INIT_LIST_HEAD(&table->node);
	atomic_set(&table->leaves, 0);
	atomic_set(&table->tables, 0);
	if (pt->incoherent)
		omni_clean_lines(page_address(page), PAGE_SIZE);
	return page_address(page);
}

void omni_table_free(void *entries)
{
	struct page *page = virt_to_page(entries);

	omni_table_freed(entries);
	omni_table_account(page, -1);
	set_page_private(page, 0);
	__free_page(page);
}

void omni_tables_free(struct list_head *tables)
{
	struct omni_table *table, *next;

	list_for_each_entry_safe(table, next, tables, node) {
		list_del(&table->node);
		omni_table_free(omni_table_entries(table));
	}
}

long omni_tables_live(void)
{
	return atomic_long_read(&omni_live_tables);
}
