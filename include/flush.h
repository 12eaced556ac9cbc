/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The flush accumulator: kinds of change, the vendor-neutral invalidation
 * request, and the ledger that counts every decision (F6).
 */
#ifndef OMNI_FLUSH_H
#define OMNI_FLUSH_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "ledger.h"

struct omni_domain;
struct omni_unit;

/**
 * enum omni_flush_kind - what a change to a page table makes necessary
 * @OMNI_FLUSH_NONE: nothing changed
 * @OMNI_FLUSH_ADDED: entries went from not present to present
 * @OMNI_FLUSH_MODIFIED: a present entry changed or went
 *
 * Ordered: the kinds of several steps accumulate to the highest.
 */
enum omni_flush_kind {
	OMNI_FLUSH_NONE = 0,
	OMNI_FLUSH_ADDED = 1,
	OMNI_FLUSH_MODIFIED = 2,
};

/**
 * enum omni_added - what "added" costs on the units a domain may meet (F2)
 * @OMNI_ADDED_FREE: nothing
 * @OMNI_ADDED_WRITE_BUFFER: a write-buffer flush
 * @OMNI_ADDED_CACHED: an invalidation, since not-present entries are cached
 */
enum omni_added {
	OMNI_ADDED_FREE,
	OMNI_ADDED_WRITE_BUFFER,
	OMNI_ADDED_CACHED,
};

/**
 * enum omni_inv_scope - granularity of an invalidation
 * @OMNI_INV_DOMAIN: everything tagged with the domain
 * @OMNI_INV_PASID: everything of one address space of the domain
 * @OMNI_INV_RANGE: a range of pages
 * @OMNI_INV_WRITE_BUFFER: no cached translation, only the unit's write buffer
 */
enum omni_inv_scope {
	OMNI_INV_DOMAIN,
	OMNI_INV_PASID,
	OMNI_INV_RANGE,
	OMNI_INV_WRITE_BUFFER,
};

/**
 * struct omni_inv - one vendor-neutral invalidation request
 * @scope: granularity
 * @pasid: address space, for OMNI_INV_PASID and OMNI_INV_RANGE; 0 for none
 * @first: first 4K page number, for OMNI_INV_RANGE
 * @last: last 4K page number, inclusive
 * @leaf_only: no table was unlinked in the range (F3)
 * @levels: bit n: leaves at level n of the table changed; 0 if that is not known
 * @device_tlb: device TLBs may hold the translations too
 */
struct omni_inv {
	enum omni_inv_scope scope;
	u32 pasid;
	u64 first;
	u64 last;
	bool leaf_only;
	bool device_tlb;
	u8 levels;
};

/**
 * enum omni_count - what the ledger counts for all units together
 *
 * Those that operations end in are sums of &enum omni_end.
 *
 * @OMNI_OPS_MAP: map_pages calls
 * @OMNI_OPS_UNMAP: unmap_pages calls
 * @OMNI_OPS_SYNC_MAP: ends of a map
 * @OMNI_OPS_SYNC: ends of an unmap
 * @OMNI_OPS_FLUSH_ALL: ends of a batch of queued unmaps
 * @OMNI_OPS_ATTACH: devices attached to a paging domain
 * @OMNI_OPS_DETACH: devices that left one
 * @OMNI_FLUSH_NEEDED: operations that ended in a flush
 * @OMNI_FLUSH_MERGED: unmapped pieces that joined a flush of others
 * @OMNI_ELIDED_NOT_CACHED: no flush: only added, and nobody caches that
 * @OMNI_ELIDED_UNATTACHED: no flush: no unit serves the domain
 * @OMNI_ELIDED_NOTHING: no flush: nothing had been mapped
 * @OMNI_ELIDED_QUEUED: no flush yet: the kernel's flush queue will ask
 * @OMNI_NC_CLEAN_IN: pages cleaned before they could be reached
 * @OMNI_NC_CLEAN_OUT: pages cleaned after they could
 * @OMNI_NC_BYTES_IN: bytes cleaned line by line, before
 * @OMNI_NC_BYTES_OUT: bytes cleaned line by line, after
 * @OMNI_NC_SHARED_IN: pages not cleaned: reachable already
 * @OMNI_NC_SHARED_OUT: pages not cleaned: still reachable
 * @OMNI_NC_OWED: pages not cleaned yet: whoever holds them will
 * @OMNI_NC_SKIPPED_MMIO: pages not cleaned: not memory
 * @OMNI_NC_SKIPPED_RESERVED: pages not cleaned: reserved
 * @OMNI_NC_SKIPPED_UNMAPPED: pages not cleaned: the kernel does not map them
 * @OMNI_NC_SKIPPED_UNCACHED: pages not cleaned: no cache holds them
 * @OMNI_NC_WHOLE_CACHE: times that all caches were written back instead
 * @OMNI_NR_COUNTS: how many
 */
enum omni_count {
	OMNI_OPS_MAP,
	OMNI_OPS_UNMAP,
	OMNI_OPS_SYNC_MAP,
	OMNI_OPS_SYNC,
	OMNI_OPS_FLUSH_ALL,
	OMNI_OPS_ATTACH,
	OMNI_OPS_DETACH,
	OMNI_FLUSH_NEEDED,
	OMNI_FLUSH_MERGED,
	OMNI_ELIDED_NOT_CACHED,
	OMNI_ELIDED_UNATTACHED,
	OMNI_ELIDED_NOTHING,
	OMNI_ELIDED_QUEUED,
	OMNI_NC_CLEAN_IN,
	OMNI_NC_CLEAN_OUT,
	OMNI_NC_BYTES_IN,
	OMNI_NC_BYTES_OUT,
	OMNI_NC_SHARED_IN,
	OMNI_NC_SHARED_OUT,
	OMNI_NC_OWED,
	OMNI_NC_SKIPPED_MMIO,
	OMNI_NC_SKIPPED_RESERVED,
	OMNI_NC_SKIPPED_UNMAPPED,
	OMNI_NC_SKIPPED_UNCACHED,
	OMNI_NC_WHOLE_CACHE,
	OMNI_NR_COUNTS
};

struct omni_ledger {
	u64 n[OMNI_NR_COUNTS];
};

DECLARE_PER_CPU(struct omni_ledger, omni_ledger);

static inline void omni_count(enum omni_count what)
{
	this_cpu_inc(omni_ledger.n[what]);
}

static inline void omni_count_add(enum omni_count what, u64 n)
{
	if (n)
		this_cpu_add(omni_ledger.n[what], n);
}

/**
 * struct omni_unit_counts - commands a unit was given, under its queue lock
 * @context: context, device table or stream table entries
 * @iotlb_global: every translation of the unit
 * @iotlb_domain: every translation of one domain
 * @iotlb_page: a range of pages
 * @device_tlb: device TLBs
 * @wait: waits for completion
 * @shared_waits: submissions that somebody else's wait was for, too
 * @timeouts: waits that met their deadline
 * @queue_errors: errors the unit reported for a command
 * @faults: refused accesses reported
 */
struct omni_unit_counts {
	u64 context;
	u64 iotlb_global;
	u64 iotlb_domain;
	u64 iotlb_page;
	u64 device_tlb;
	u64 wait;
	u64 shared_waits;
	u64 timeouts;
	u64 queue_errors;
	u64 faults;
};

/**
 * omni_plan_sync_map() - decide what ends a map
 * @domain: the domain
 * @iova: first byte mapped
 * @size: bytes mapped
 * @inv: receives the request
 * @tables: receives the tables that leaves took the place of, to free when
 *	@inv is done
 *
 * Return: true if @inv has to be carried out.
 * Context: any.
 */
bool omni_plan_sync_map(struct omni_domain *domain, unsigned long iova,
			size_t size, struct omni_inv *inv,
			struct list_head *tables);

/**
 * omni_plan_flush_all() - decide what ends a batch of queued unmaps
 * @domain: the domain
 * @inv: receives the request
 * @tables: receives the tables that the unmaps unlinked
 *
 * Return: true if @inv has to be carried out.
 * Context: any.
 */
bool omni_plan_flush_all(struct omni_domain *domain, struct omni_inv *inv,
			 struct list_head *tables);

/**
 * omni_gather_replaced() - put replaced tables of an unmapped piece aside
 * @domain: the domain
 * @gather: the caller's gather
 * @iova: first byte of the piece
 * @size: its length
 *
 * Context: any.
 */
void omni_gather_replaced(struct omni_domain *domain, struct iommu_iotlb_gather *gather,
			  unsigned long iova, size_t size);

/**
 * omni_gather_tables() - put tables that an unmap unlinked aside
 * @domain: the domain
 * @gather: the caller's gather
 * @tables: the tables, emptied
 *
 * Tables of queued unmaps stay with the domain, because the kernel would free
 * them after a flush that it can't know to have failed (S2).
 *
 * Context: any.
 */
void omni_gather_tables(struct omni_domain *domain, struct iommu_iotlb_gather *gather,
			struct list_head *tables);

/**
 * omni_tables_done() - free tables whose flush is over, or leak them
 * @domain: the domain
 * @tables: the tables, emptied
 * @err: 0 if the flush completed
 *
 * Context: any.
 */
void omni_tables_done(struct omni_domain *domain, struct list_head *tables,
		      int err);

/**
 * omni_attached() - can any cache hold translations of a domain?
 * @domain: the domain
 *
 * Orders the caller's changes of entries before the answer, see struct
 * omni_reach.
 *
 * Return: true if a unit serves the domain.
 * Context: any.
 */
bool omni_attached(struct omni_domain *domain);

#endif
