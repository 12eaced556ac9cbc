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
#include "include/omniommu.h"

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

/* The last word of every plan: is anybody there to be flushed? */
static bool omni_plan(struct omni_domain *domain)
{
	if (!omni_attached(domain)) {
		omni_count(OMNI_ELIDED_UNATTACHED);
		return false;
	}
	omni_count(OMNI_FLUSH_NEEDED);
	return true;
}

/* Take the tables out of domain->replaced whose range is being synced. */
static void omni_take_replaced(struct omni_domain *domain, unsigned long iova,
			       size_t size, struct list_head *tables)
{
	struct omni_table *table, *next;
	unsigned long flags;

	spin_lock_irqsave(&domain->free_lock, flags);
	list_for_each_entry_safe(table, next, &domain->replaced, node)
		if (table->base - iova < size)
			list_move_tail(&table->node, tables);
	spin_unlock_irqrestore(&domain->free_lock, flags);
}

bool omni_plan_sync(struct omni_domain *domain,
		    struct iommu_iotlb_gather *gather, struct omni_inv *inv)
{
	omni_count(OMNI_OPS_SYNC);
	if (!gather->end) {
		omni_count(OMNI_ELIDED_NOTHING);
		return false;
	}
	/* Left by a map that failed half way and is being undone. */
	if (unlikely(!list_empty(&domain->replaced)))
		omni_take_replaced(domain, gather->start,
				   gather->end - gather->start + 1, &gather->freelist);
	*inv = (struct omni_inv) {
		.scope = OMNI_INV_RANGE,
		.first = gather->start >> OMNI_PAGE_LG2,
		.last = gather->end >> OMNI_PAGE_LG2,
		.leaf_only = list_empty(&gather->freelist),
		.device_tlb = true,
	};
	return omni_plan(domain);
}

bool omni_plan_sync_map(struct omni_domain *domain, unsigned long iova,
			size_t size, struct omni_inv *inv,
			struct list_head *tables)
{
	omni_count(OMNI_OPS_SYNC_MAP);

	*inv = (struct omni_inv) {
		.scope = OMNI_INV_RANGE,
		.first = iova >> OMNI_PAGE_LG2,
		.last = (iova + size - 1) >> OMNI_PAGE_LG2,
	};
	if (unlikely(!list_empty(&domain->replaced))) {
		omni_take_replaced(domain, iova, size, tables);
		if (!list_empty(tables)) {
			inv->device_tlb = true;
			return omni_plan(domain);
		}
	}

	switch (domain->flush_added) {
	case OMNI_ADDED_FREE:
		omni_count(OMNI_ELIDED_NOT_CACHED);
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
	return omni_plan(domain);
}

bool omni_plan_flush_all(struct omni_domain *domain, struct omni_inv *inv,
			 struct list_head *tables)
{
	unsigned long flags;

	omni_count(OMNI_OPS_FLUSH_ALL);
	/*
	 * Tables are put on the list after they are unlinked and taken from
	 * it before the flush begins, so the flush covers each one taken.
	 */
	if (!list_empty(&domain->lazy) || !list_empty(&domain->replaced)) {
		spin_lock_irqsave(&domain->free_lock, flags);
		list_splice_tail_init(&domain->lazy, tables);
		list_splice_tail_init(&domain->replaced, tables);
		spin_unlock_irqrestore(&domain->free_lock, flags);
	}
	*inv = (struct omni_inv) {
		.scope = OMNI_INV_DOMAIN,
		.device_tlb = true,
	};
	return omni_plan(domain);
}

void omni_gather(struct omni_domain *domain, struct iommu_iotlb_gather *gather,
		 unsigned long iova, size_t size, struct list_head *tables)
{
	unsigned long flags;

	if (iommu_iotlb_gather_queued(gather)) {
		omni_count(OMNI_ELIDED_QUEUED);
		if (!list_empty(tables)) {
			spin_lock_irqsave(&domain->free_lock, flags);
			list_splice_tail_init(tables, &domain->lazy);
			spin_unlock_irqrestore(&domain->free_lock, flags);
		}
		return;
	}
	if (gather->end)
		omni_count(OMNI_FLUSH_MERGED);
	iommu_iotlb_gather_add_range(gather, iova, size);
	list_splice_tail_init(tables, &gather->freelist);
}

void omni_tables_done(struct omni_domain *domain, struct list_head *tables,
		      int err)
{
	if (err && !domain->tainted) {
		domain->tainted = true;
		pr_err("an invalidation failed (%d): the page-table pages of its domain are leaked on purpose, since a unit may still use them\n",
		       err);
	}
	if (err)
		INIT_LIST_HEAD(tables);
	else
		omni_tables_free(tables);
}
