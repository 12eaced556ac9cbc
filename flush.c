// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flush accumulator: what a finished operation must invalidate.
 *
 * Map and unmap steps only change tables and say what that made necessary.
 * The decisions are taken here, once an operation, and each is counted:
 * whether anything is needed at all, over which range, and whether the
 * leaf-only hint holds. How a unit carries a request out is the wing's
 * business. Rules: F1 to F3, F5, F6, S2.
 */
#include "include/omni_trace.h"

#include <linux/printk.h>

bool omni_attached(struct omni_domain *domain)
{
	bool attached;

	/* Pairs with the barrier in omni_reach_publish(). */
	smp_mb();
	rcu_read_lock();
	attached = rcu_dereference(domain->reach)->nr_units;
	rcu_read_unlock();
	return attached;
}

/* Take the tables out of domain->replaced that translated a part of a range. */
static void omni_take_replaced(struct omni_domain *domain, unsigned long iova, size_t size,
			       struct list_head *tables)
{
	struct omni_table *table, *next;
	unsigned long flags;

	spin_lock_irqsave(&domain->free_lock, flags);
	list_for_each_entry_safe(table, next, &domain->replaced, node)
		if (table->base - iova < size)
			list_move_tail(&table->node, tables);
	spin_unlock_irqrestore(&domain->free_lock, flags);
}

bool omni_plan_sync_map(struct omni_domain *domain, unsigned long iova,
			size_t size, struct omni_inv *inv,
			struct list_head *tables)
{
	*inv = (struct omni_inv) {
		.scope = OMNI_INV_RANGE,
		.first = iova >> OMNI_PAGE_LG2,
		.last = (iova + size - 1) >> OMNI_PAGE_LG2,
	};
	if (unlikely(!list_empty(&domain->replaced))) {
		omni_take_replaced(domain, iova, size, tables);
		if (!list_empty(tables)) {
			inv->device_tlb = true;
			omni_count_end(domain, OMNI_MAP_ASKED);
			trace_omni_plan(domain, OMNI_MAP_ASKED, inv);
			return true;
		}
	}

	switch (domain->flush_added) {
	case OMNI_ADDED_FREE:
		omni_count_end(domain, OMNI_MAP_NOT_CACHED);
		trace_omni_plan(domain, OMNI_MAP_NOT_CACHED, inv);
		return false;
	case OMNI_ADDED_WRITE_BUFFER:
		inv->scope = OMNI_INV_WRITE_BUFFER;
		break;
	case OMNI_ADDED_CACHED:
		/*
		 * Not-present entries of every level may be cached, so the
		 * leaf-only hint is wrong here: tables may have been linked.
		 */
		break;
	}
	omni_count_end(domain, OMNI_MAP_ASKED);
	trace_omni_plan(domain, OMNI_MAP_ASKED, inv);
	return true;
}

bool omni_plan_flush_all(struct omni_domain *domain, struct omni_inv *inv,
			 struct list_head *tables)
{
	unsigned long flags;

	omni_count_end(domain, OMNI_ALL_ASKED);
	/*
	 * Tables are put on the list after they are unlinked and taken from
	 * it before the flush begins, so the flush covers each one taken.
	 */
	if (!list_empty(&domain->lazy)) {
		spin_lock_irqsave(&domain->free_lock, flags);
		list_splice_tail_init(&domain->lazy, tables);
		spin_unlock_irqrestore(&domain->free_lock, flags);
	}
	*inv = (struct omni_inv) {
		.scope = OMNI_INV_DOMAIN,
		.device_tlb = true,
	};
	trace_omni_plan(domain, OMNI_ALL_ASKED, inv);
	return true;
}

void omni_gather_tables(struct omni_domain *domain, struct iommu_iotlb_gather *gather,
			struct list_head *tables)
{
	unsigned long flags;

	if (!iommu_iotlb_gather_queued(gather)) {
		list_splice_tail_init(tables, &gather->freelist);
		return;
	}
	spin_lock_irqsave(&domain->free_lock, flags);
	list_splice_tail_init(tables, &domain->lazy);
	spin_unlock_irqrestore(&domain->free_lock, flags);
}

void omni_gather_replaced(struct omni_domain *domain, struct iommu_iotlb_gather *gather,
			  unsigned long iova, size_t size)
{
	LIST_HEAD(tables);

	omni_take_replaced(domain, iova, size, &tables);
	if (!list_empty(&tables))
		omni_gather_tables(domain, gather, &tables);
}

void omni_tables_done(struct omni_domain *domain, struct list_head *tables,
		      int err)
{
	if (err && !domain->tainted) {
		domain->tainted = true;
		pr_err_ratelimited("domain %u: an invalidation failed (%d): its page-table pages are leaked on purpose, since a unit may still use them\n",
				   domain->seen.id, err);
	}
	if (err) {
		INIT_LIST_HEAD(tables);
	} else if (!list_empty(tables)) {
		if (unlikely(omni_watched(domain)))
			omni_tables_keep(domain, tables);
		omni_tables_free(tables);
	}
}
