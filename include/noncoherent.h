/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tracker of non-coherent domains (N1 to N6): which pages can be reached
 * by DMA that does not snoop the CPU's caches, and when they are cleaned.
 * noncoherent.c begins with the rules it keeps; nc_pages.c has the count.
 */
#ifndef OMNI_NONCOHERENT_H
#define OMNI_NONCOHERENT_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/rwsem.h>
#include <linux/types.h>

struct omni_device;
struct omni_domain;
struct omni_pt;
struct iommu_iotlb_gather;

#define OMNI_NC_TAG_BITS	20

/*
 * What the tracker keeps of a gather, in its field pgsize, of which the driver
 * has no other use.
 */
#define OMNI_NC_TAG		GENMASK_ULL(OMNI_NC_TAG_BITS - 1, 0)
#define OMNI_NC_ROUND		GENMASK_ULL(OMNI_NC_TAG_BITS + 31, OMNI_NC_TAG_BITS)
/* At which levels leaves were cleared, bit by bit, in a format that hints */
#define OMNI_GATHER_LEVELS	GENMASK_ULL(55, 52)
#define OMNI_NC_LAZY		BIT_ULL(63)	/* whoever unmaps holds the pages */

/**
 * struct omni_nc_ops - what the tracker asks of a page-table format
 * @tracked: bit of a leaf, ignored by the hardware: its pages are counted
 * @mapped: bytes that the page table maps, those of pending entries included
 * @track: count the pages of every leaf in and mark the leaf; on failure
 *	some are counted and marked
 * @untrack: count the pages of every marked leaf out and clear the mark; with
 *	@all those of pending entries, too, which are cleared
 * @unlinked: count the pages of the marked leaves of unlinked tables out
 *
 * All are called with omni_nc.lock held for writing. include/pgtable_track.h
 * defines them for a format.
 */
struct omni_nc_ops {
	u64 tracked;
	u64 (*mapped)(struct omni_domain *domain);
	int (*track)(struct omni_domain *domain);
	void (*untrack)(struct omni_domain *domain, bool all);
	void (*unlinked)(struct list_head *tables);
};

/**
 * struct omni_nc - the tracker's part of a domain
 * @ops: its format's part, NULL for a format that is always coherent
 * @lock: held for reading by maps and unmaps of a tracked domain, for writing
 *	where leaves are marked, unmarked or settled
 * @devices: devices of the domain that can issue no-snoop, changed with
 *	omni_domain.attach_lock held
 * @enforced: coherency is enforced: nothing is ever tracked
 * @tag: the last tag given to a gather
 * @round: times that the tags ran out; changes with @lock held for writing
 */
struct omni_nc {
	const struct omni_nc_ops *ops;
	struct rw_semaphore lock;	/* see @lock above */
	unsigned int devices;
	bool enforced;
	atomic_t tag;
	u32 round;
};

/**
 * enum omni_snoop - can a device issue DMA that does not snoop?
 * @OMNI_SNOOP_UNKNOWN: nobody has looked yet
 * @OMNI_SNOOP_ALWAYS: it can't
 * @OMNI_SNOOP_MAYBE: it can
 */
enum omni_snoop {
	OMNI_SNOOP_UNKNOWN,
	OMNI_SNOOP_ALWAYS,
	OMNI_SNOOP_MAYBE,
};

/**
 * enum omni_nc_kind - what there is to clean behind a page number
 * @OMNI_NC_MEMORY: memory that caches may hold
 * @OMNI_NC_MMIO: nothing the kernel has a struct page for
 * @OMNI_NC_RESERVED: PageReserved: firmware's, a device's, or the zero page
 * @OMNI_NC_UNMAPPED: taken out of the kernel's direct map
 * @OMNI_NC_UNCACHED: mapped uncached or write-combining
 */
enum omni_nc_kind {
	OMNI_NC_MEMORY,
	OMNI_NC_MMIO,
	OMNI_NC_RESERVED,
	OMNI_NC_UNMAPPED,
	OMNI_NC_UNCACHED,
};

#define OMNI_NC_BATCH	16

/**
 * struct omni_nc_run - physically contiguous pages, counted alike
 * @pa: first byte
 * @bytes: length
 * @whole: counted by 2 MiB: @pa and @bytes are multiples of it
 */
struct omni_nc_run {
	phys_addr_t pa;
	u64 bytes;
	bool whole;
};

/**
 * struct omni_nc_batch - runs that a sync has taken out of a page table
 * @nr: how many
 * @runs: the runs
 */
struct omni_nc_batch {
	unsigned int nr;
	struct omni_nc_run runs[OMNI_NC_BATCH];
};

/* noncoherent.c: a domain's state */

/**
 * omni_nc_init() - set up a new domain: not tracked
 * @nc: the tracker's part of it; the wing sets @ops later
 *
 * Context: any.
 */
void omni_nc_init(struct omni_nc *nc);

/**
 * omni_nc_fini() - a domain that is attached nowhere is about to be freed
 * @domain: the domain, its page table still whole
 *
 * Settles what unmaps left that nobody synced.
 *
 * Context: may sleep.
 */
void omni_nc_fini(struct omni_domain *domain);

/**
 * omni_nc_enter() - a device is about to be attached to a domain
 * @domain: the domain, attach_lock held
 * @od: the device; no entry of it points to the domain yet
 * @counted: receives whether omni_nc_leave() has to be told later
 *
 * When the first device that can issue no-snoop enters a user's domain
 * without enforced coherency, all that is mapped is counted in and cleaned,
 * and so is what will be mapped from then on.
 *
 * Return: 0 or -ENOMEM or -EOVERFLOW, the domain being as it was.
 * Context: may sleep, for as long as cleaning all of the domain takes.
 */
int omni_nc_enter(struct omni_domain *domain, struct omni_device *od, bool *counted);

/**
 * omni_nc_leave() - a device that omni_nc_enter() counted has left a domain
 * @domain: the domain, attach_lock held, the device's entries changed and its
 *	caches flushed
 *
 * With the last one, all that is mapped is counted out.
 *
 * Context: may sleep, for as long as cleaning all of the domain takes.
 */
void omni_nc_leave(struct omni_domain *domain);

/**
 * omni_nc_enforce() - every access through a domain snoops from now on
 * @domain: the domain, attach_lock held
 * @bits: what makes new leaves so, added to omni_pt.leaf_bits
 *
 * Possible only while the domain maps nothing, since leaves that exist
 * already would go on as they are.
 *
 * Return: true if that is so now; false if something is mapped.
 * Context: may sleep.
 */
bool omni_nc_enforce(struct omni_domain *domain, u64 bits);

/**
 * omni_nc_tag() - the tag of a gather's pending entries, a new one if need be
 * @nc: the tracker's part of the domain, its lock held
 * @gather: the gather
 *
 * A tag comes again in the next round only, when no entry has it any more.
 *
 * Return: 1 to 2^20 - 1, or 0 when the tags of this round are used up: then
 * omni_nc_new_round() is due.
 * Context: any.
 */
u32 omni_nc_tag(struct omni_nc *nc, struct iommu_iotlb_gather *gather);

/**
 * omni_nc_tag_of() - the tag of a gather's pending entries
 * @nc: the tracker's part of the domain, its lock held
 * @gather: the gather
 *
 * Return: the tag; 0 if it has none, or no pending entries any more since a
 * round has ended.
 * Context: any.
 */
u32 omni_nc_tag_of(const struct omni_nc *nc, const struct iommu_iotlb_gather *gather);

/**
 * omni_nc_new_round() - begin with the tags again, if they are used up
 * @nc: the tracker's part of the domain, its lock held for writing since
 *	every pending entry was settled
 *
 * Context: any.
 */
void omni_nc_new_round(struct omni_nc *nc);

/* nc_pages.c: the count of every page */

/**
 * omni_nc_in() - pages are about to become reachable through one mapping more
 * @pa: first byte, a multiple of 4K; of 2 MiB with @whole
 * @bytes: length, likewise
 * @whole: count by 2 MiB; omni_nc_out() has to be told the same
 * @gfp: how to allocate
 *
 * When it returns, all lines of the pages that were in no mapping before are
 * clean in memory (N1), also where another call at the same time is the one
 * that cleans (N3).
 *
 * Return: 0; -ENOMEM or -EOVERFLOW, nothing being counted.
 * Context: may sleep.
 */
int omni_nc_in(phys_addr_t pa, u64 bytes, bool whole, gfp_t gfp);

/**
 * omni_nc_out() - pages are reachable through one mapping less
 * @pa: as it was for omni_nc_in()
 * @bytes: length; parts of what was counted in may go one by one
 * @whole: as it was for omni_nc_in()
 *
 * The mapping's invalidation is complete. When it returns, all lines of the
 * pages that are in no mapping any more are clean (N2). Allocates nothing.
 *
 * Context: may sleep.
 */
void omni_nc_out(phys_addr_t pa, u64 bytes, bool whole);

/**
 * omni_nc_hold() - be able to put off the cleaning of pages
 * @pa: first byte, a multiple of 4K
 * @bytes: length, likewise
 * @gfp: how to allocate
 *
 * Whoever holds pages may unmap them lazily (OMNI_NC_LAZY): those that leave
 * their last mapping by that are owed, not cleaned. All other ways out are as
 * ever, since who takes them knows nothing of the hold and gets the pages back.
 *
 * Return: 0; -ENOMEM or -EOVERFLOW, nothing being held.
 * Context: may sleep.
 */
int omni_nc_hold(phys_addr_t pa, u64 bytes, gfp_t gfp);

/**
 * omni_nc_release() - end a hold, and clean what is owed
 * @pa: as it was for omni_nc_hold()
 * @bytes: likewise
 *
 * Whoever owes it: one that holds it, too, finds it clean then. What is still
 * mapped is cleaned when that ends.
 *
 * Context: may sleep.
 */
void omni_nc_release(phys_addr_t pa, u64 bytes);

/**
 * omni_nc_bulk_begin() - one operation on many pages begins
 * @bytes: its size
 *
 * Above the parameter wbinvd_above, the calls of omni_nc_in() and
 * omni_nc_out() that follow only count, and all caches are cleaned when it
 * ends. Everybody else's calls wait meanwhile. It is 0, never, unless somebody
 * says otherwise: lines cost the same at any size, while this stops every CPU
 * of the machine and empties caches of others (docs/noncoherent.md has figures).
 *
 * Return: what omni_nc_bulk_end() has to be told.
 * Context: may sleep.
 */
bool omni_nc_bulk_begin(u64 bytes);

/**
 * omni_nc_bulk_end() - the operation ends
 * @begun: what omni_nc_bulk_begin() said
 *
 * What was counted in or out is clean when it returns.
 *
 * Context: may sleep.
 */
void omni_nc_bulk_end(bool begun);

/**
 * omni_nc_batch_add() - note a run
 * @batch: the batch
 * @pa: first byte
 * @bytes: length
 * @whole: how it is counted
 *
 * Return: false if the batch is full and does not have the run.
 * Context: any.
 */
bool omni_nc_batch_add(struct omni_nc_batch *batch, phys_addr_t pa, u64 bytes, bool whole);

/**
 * omni_nc_batch_out() - omni_nc_out() for every run noted
 * @batch: the batch, emptied
 * @lazy: what is held is owed instead of cleaned
 *
 * Context: may sleep.
 */
void omni_nc_batch_out(struct omni_nc_batch *batch, bool lazy);

/**
 * omni_nc_chunks() - 2 MiB chunks of memory that the count knows of
 *
 * Return: their number, 0 when nothing is mapped or held.
 * Context: any.
 */
long omni_nc_chunks(void);

/*
 * The suites have a memory of their own and are told what is cleaned; where
 * its page numbers mean nothing to the kernel, they tell what a page is. As
 * long as they set nothing, nothing is cleaned.
 */
#ifdef OMNI_KUNIT
/**
 * struct omni_nc_test - what a suite puts in the place of the machine
 * @clean: called in the place of cleaning a physical range
 * @clean_all: called in the place of cleaning every cache
 * @kind: what is behind a page number; NULL for what the kernel says of it
 * @limit: how often a page can be counted; 0 for as often as it is
 */
struct omni_nc_test {
	void (*clean)(phys_addr_t pa, size_t bytes);
	void (*clean_all)(void);
	enum omni_nc_kind (*kind)(unsigned long pfn);
	u32 limit;
};

extern struct omni_nc_test omni_nc_test;
/* The parameter wbinvd_above, in MiB. */
extern unsigned int omni_nc_wbinvd_above;
#endif

#endif
