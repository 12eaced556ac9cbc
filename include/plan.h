/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decisions of the flush accumulator that every map and unmap takes, for
 * pgtable_hooks.h; flush.c has the others and tells what it is about.
 */
#ifndef OMNI_PLAN_H
#define OMNI_PLAN_H

#include "omni_trace.h"

/**
 * omni_gather() - put one unmapped piece into a gather, or leave it for later
 * @domain: the domain
 * @gather: the caller's gather
 * @iova: first byte
 * @size: bytes, more than 0
 *
 * Pieces never force a flush in the middle (F5): the range grows to cover
 * them all. Tables that leaves of just this piece took the place of, in a map
 * that failed half way and is being undone, go with it. Those of others stay:
 * their maps have to wait for a flush of their own.
 *
 * Context: any.
 */
static __always_inline void omni_gather(struct omni_domain *domain,
					struct iommu_iotlb_gather *gather,
					unsigned long iova, size_t size)
{
	if (unlikely(!list_empty(&domain->replaced)))
		omni_gather_replaced(domain, gather, iova, size);
	if (iommu_iotlb_gather_queued(gather)) {
		omni_count_end(domain, OMNI_PIECE_QUEUED);
		trace_omni_piece(domain, OMNI_PIECE_QUEUED, iova, size);
		return;
	}
	if (gather->end) {
		omni_count_end(domain, OMNI_PIECE_MERGED);
		trace_omni_piece(domain, OMNI_PIECE_MERGED, iova, size);
	}
	iommu_iotlb_gather_add_range(gather, iova, size);
}

/**
 * omni_plan_traced() - tell the tracepoint, out of line
 * @domain: the domain
 * @end: what ended, and how
 * @inv: the request
 *
 * Context: any.
 */
void __cold omni_plan_traced(const struct omni_domain *domain, enum omni_end end,
			     const struct omni_inv *inv);

/**
 * omni_plan_sync() - decide what ends an unmap
 * @domain: the domain
 * @gather: what the unmaps gathered; tables to free may join its freelist
 * @inv: receives the request
 *
 * Return: true if @inv has to be carried out where units serve the domain;
 * false if nothing needs flushing, with the reason counted.
 * Context: any.
 */
static __always_inline bool omni_plan_sync(struct omni_domain *domain,
					   struct iommu_iotlb_gather *gather,
					   struct omni_inv *inv)
{
	if (unlikely(!gather->end)) {
		omni_count_end(domain, OMNI_UNMAP_NOTHING);
		return false;
	}
	omni_count_end(domain, OMNI_UNMAP_ASKED);
	*inv = (struct omni_inv) {
		.scope = OMNI_INV_RANGE,
		.first = gather->start >> OMNI_PAGE_LG2,
		.last = gather->end >> OMNI_PAGE_LG2,
		.leaf_only = list_empty(&gather->freelist),
		.device_tlb = true,
	};
	if (trace_omni_plan_enabled())
		omni_plan_traced(domain, OMNI_UNMAP_ASKED, inv);
	return true;
}

/**
 * omni_map_is_free() - does nothing have to be done at the end of a map?
 * @domain: the domain
 *
 * The usual case of omni_plan_sync_map(), and counts what that would. It is
 * left to that one while somebody traces plans.
 *
 * Return: true if so.
 * Context: any.
 */
static __always_inline bool omni_map_is_free(struct omni_domain *domain)
{
	if (domain->flush_added != OMNI_ADDED_FREE || !list_empty(&domain->replaced) ||
	    trace_omni_plan_enabled())
		return false;
	omni_count_end(domain, OMNI_MAP_NOT_CACHED);
	return true;
}

#endif
