/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Core types: what the core and the vendor wings share.
 *
 * A unit is one hardware IOMMU, a device is one requester the kernel knows,
 * a domain is one address space. Nothing here selects behaviour globally
 * (C1): every function takes a unit, a device or a domain, and the hot path
 * reaches the wing through the kernel's own domain->ops alone (C2).
 *
 * Reach. A domain keeps an immutable snapshot of the units and device TLBs
 * that can hold its translations. Attach publishes the larger snapshot
 * before the hardware entry, detach publishes the smaller one after it. An
 * unmap clears its entries, executes a full barrier and then reads the
 * snapshot: either it sees the new unit and flushes it, or that unit's entry
 * was published after the clearing and so can't have cached what was cleared.
 * A device TLB can: it fills from the unit's, where that is until the flush is
 * over. So it comes into use a grace period after the larger snapshot, when all
 * flushes that have not seen it are over.
 *
 * Lock order: device_lock > the kernel's group mutex > omni_domain.attach_lock,
 * the unit's own mutexes > omni_core.lock > omni_domains.lock >
 * omni_seen.lock, omni_device.lock. The map and
 * unmap path takes none of them; it ends in the unit's queue lock. In tracked
 * domains alone, it takes omni_nc.lock, which comes after attach_lock, and
 * the locks of the count of pages (nc_pages.c), which come last.
 */
#ifndef OMNIOMMU_H
#define OMNIOMMU_H

#include "compat.h"

#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/spinlock.h>

#include "attach.h"
#include "flush.h"
#include "noncoherent.h"
#include "pgtable.h"
#include "show.h"

#define OMNI_PAGE_LG2	12

struct omni_unit;
struct omni_device;
struct omni_domain;

/**
 * struct omni_wing - what the core asks of a vendor
 * @name: the vendor's word for its firmware table, for messages
 * @start: find the units, claim them and switch them on with every device
 *	present left on identity (L1), and hand each one to omni_unit_add(), or
 *	to omni_unit_join() where a driver's probe() finds them; returns the
 *	number of units, 0 if the machine has none, or -errno with the machine
 *	as it was
 * @finish: forget the firmware tables, after the last unit is destroyed
 * @unit_off: switch one unit's hardware off; its memory stays
 * @unit_on: switch it on again with the tables it has, after a suspend
 * @unit_destroy: free a unit that is off
 * @probe: the wing's state for @dev, NULL if no unit of this wing translates
 *	it, or an ERR_PTR
 * @release: free what @probe made; no entry of the device is left by then
 * @domain_alloc: a paging domain that suits the device, and tracks dirty pages
 *	if asked to; -EOPNOTSUPP where it can't
 * @compatible: may @domain be attached on the device's unit as it is?
 * @attach: make the device's entries point to the domain, @tag being the
 *	domain's on this unit, NULL domain for the blocked state and
 *	&omni_identity for identity, by omni_write_entries(); only a failed
 *	invalidation makes it fail, and then the old entries are back
 * @write: change @nr entries, then flush what follows from it: to what
 *	omni_write_entries() was given, or, with NULL, to what the changes say
 *	that they were. Those that differ are left in @changes, with what they
 *	were, and counted in @nr. All change, even where a flush fails; returns 0
 *	or the first error
 * @resv_regions: append the device's reserved regions
 * @capable: answer for capabilities that depend on the unit
 * @unit_groups: the unit's sysfs attributes
 * @show: what there is to see in debugfs
 * @queue: what its queues of commands do in their own way
 */
struct omni_wing {
	const char *name;
	int (*start)(const struct omni_wing *wing);
	void (*finish)(void);
	void (*unit_off)(struct omni_unit *unit);
	int (*unit_on)(struct omni_unit *unit);
	void (*unit_destroy)(struct omni_unit *unit);
	struct omni_device *(*probe)(struct device *dev);
	void (*release)(struct omni_device *od);
	struct omni_domain *(*domain_alloc)(struct omni_device *od, bool dirty);
	bool (*compatible)(struct omni_domain *domain, struct omni_unit *unit);
	int (*attach)(struct omni_device *od, struct omni_domain *domain, u32 tag);
	int (*write)(struct omni_device *od, const void *to, struct omni_change *changes,
		     unsigned int *nr);
	void (*resv_regions)(struct omni_device *od, struct list_head *head);
	bool (*capable)(struct omni_device *od, enum iommu_cap cap);
	const struct attribute_group **unit_groups;
	const struct omni_show_ops *show;
	const struct omni_queue_ops *queue;
};

/**
 * struct omni_record - a refused access, remembered
 * @ns: when, as the kernel's log counts
 * @iova: page of the access
 * @why: the reason in words, or NULL
 * @who: who made it, as the message said
 * @times: how often it was repeated at once
 * @reason: the unit's code
 * @read: it was a read
 * @nowhere: neither address nor direction are known
 */
struct omni_record {
	u64 ns;
	u64 iova;
	const char *why;
	char who[32];
	u32 times;
	u8 reason;
	bool read;
	bool nowhere;
};

#define OMNI_HISTORY	256

/**
 * struct omni_history - the last refused accesses of a unit
 * @nr: how many there were; the last is in @records[(@nr - 1) % OMNI_HISTORY]
 * @records: of each
 */
struct omni_history {
	u64 nr;
	struct omni_record records[OMNI_HISTORY];
};

/**
 * struct omni_queue - what the queues of commands of all wings have in common
 * @lock: protects the rest but @line and @head; whoever finds it taken stands
 *	in line, see include/queue.h
 * @on: the unit reads the queue
 * @dead: a wait met its deadline: nothing is submitted any more
 * @slots: commands that the ring can hold
 * @errors: errors met, each of which may have dropped commands in flight
 * @tail: position of the next command; positions only grow
 * @ended: position behind the last wait, up to which the unit was told; it is
 *	@tail whenever the lock is free and the queue not dead
 * @head: lowest position that may still be in use
 * @line: tickets whose commands are to be put, the latest first
 */
struct omni_queue {
	raw_spinlock_t lock;	/* see @lock above */
	bool on;
	bool dead;
	unsigned int slots;
	unsigned int errors;
	u64 tail;
	u64 ended;
	atomic64_t head;
	struct llist_head line;
};

/**
 * struct omni_unit - one hardware IOMMU
 * @iommu: what the kernel's IOMMU core knows of it
 * @wing: whose it is
 * @parent: the kernel's device for it, whose firmware node translated devices
 *	name; NULL if firmware tables alone tell which they are
 * @node: in omni_core.units
 * @name: as in /sys/class/iommu
 * @in_sysfs: iommu_device_sysfs_add() has succeeded
 * @registered: iommu_device_register() has succeeded
 * @broken: an invalidation never completed: tables are leaked from here on
 * @tags: hardware tags (domain ids) in use
 * @tag_first: lowest tag that a domain may have
 * @tag_last: highest one
 * @nr_tags: how many are in use
 * @queue: of commands
 * @counts: commands issued, in the ledger
 * @latency: how long waits took
 * @history: refused accesses, under omni_core.lock
 */
struct omni_unit {
	struct iommu_device iommu;
	const struct omni_wing *wing;
	struct device *parent;
	struct list_head node;
	char name[32];
	bool in_sysfs;
	bool registered;
	bool broken;
	struct ida tags;
	u32 tag_first;
	u32 tag_last;
	atomic_t nr_tags;
	struct omni_queue queue;
	struct omni_unit_counts counts;
	struct omni_latency latency;
	struct omni_history history;
};

/**
 * enum omni_state - what a device's DMA meets
 * @OMNI_BLOCKED: nothing: every access is refused
 * @OMNI_IDENTITY: memory, untranslated
 * @OMNI_PAGING: a domain's page table
 */
enum omni_state {
	OMNI_BLOCKED,
	OMNI_IDENTITY,
	OMNI_PAGING,
};

/**
 * struct omni_device - one requester
 * @dev: the kernel's device
 * @unit: the unit that translates it
 * @node: in omni_core.devices
 * @rcu: snapshots may still name the device while it goes
 * @lock: protects @domain against the fault handler
 * @state: what its entries say
 * @domain: its domain while @state is OMNI_PAGING
 * @bound_early: a driver was bound before the module came (L1)
 * @adopted: the kernel's use count of the group was taken for that driver
 * @leaving: it is being released: entries it shares stay
 * @snoop: whether it can issue DMA that does not snoop caches
 * @counted: omni_nc_enter() has counted it for @domain
 * @linked: a device link orders its shutdown before the units' (L6)
 * @ats: its device TLB is on, or about to be
 * @ats_depth: device TLB invalidations it accepts at once, 1 to 32; 0 if its
 *	device TLB may not be used
 * @rid: the ID its device TLB is invalidated by
 * @nr_rids: requester IDs it may use, aliases included, as its unit sees them
 * @rids: all of them, @rid first
 * @faults: accesses of it that were refused, under omni_core.lock
 * @shown: what its wing keeps of it in debugfs
 */
struct omni_device {
	struct device *dev;
	struct omni_unit *unit;
	struct list_head node;
	struct rcu_head rcu;
	spinlock_t lock;	/* see @lock above */
	enum omni_state state;
	struct omni_domain *domain;
	bool bound_early;
	bool adopted;
	bool leaving;
	enum omni_snoop snoop;
	bool counted;
	bool linked;
	bool ats;
	u8 ats_depth;
	u32 rid;
	unsigned int nr_rids;
	u32 *rids;
	u64 faults;
	struct dentry *shown;
};

/**
 * struct omni_reach_unit - a unit in a snapshot
 * @unit: the unit
 * @tag: the domain's hardware tag there
 * @users: devices of the domain on this unit
 */
struct omni_reach_unit {
	struct omni_unit *unit;
	u32 tag;
	unsigned int users;
};

/**
 * struct omni_reach - which caches can hold a domain's translations
 * @rcu: readers hold rcu_read_lock()
 * @nr_units: units in @units
 * @nr_ats: device TLBs in @ats
 * @ats: behind @units
 * @units: immutable once published
 */
struct omni_reach {
	struct rcu_head rcu;
	unsigned int nr_units;
	unsigned int nr_ats;
	struct omni_device **ats;
	struct omni_reach_unit units[] __counted_by(nr_units);
};

/**
 * struct omni_domain - one address space
 * @iommu: the kernel's part
 * @wing: whose format and units
 * @pt: the page table
 * @flush_added: what a map must flush, fixed when the domain is made (F2)
 * @nc: which of its pages caches have to be cleaned for
 * @tainted: an invalidation for it failed: its tables are never freed (S2)
 * @reach: see struct omni_reach
 * @attach_lock: serialises changes of @reach
 * @free_lock: protects @lazy and @replaced
 * @lazy: tables unlinked by queued unmaps, until flush_iotlb_all
 * @replaced: empty tables that a leaf took the place of, until sync_map
 * @ends: its part of the ledger: its own once somebody has asked for domains,
 *	until then what is common to all
 * @seen: what debugfs keeps of it
 */
struct omni_domain {
	struct iommu_domain iommu;
	const struct omni_wing *wing;
	struct omni_pt pt;
	enum omni_added flush_added;
	struct omni_nc nc;
	bool tainted;
	struct omni_reach __rcu *reach;
	struct mutex attach_lock;	/* see @attach_lock above */
	spinlock_t free_lock;		/* see @free_lock above */
	struct list_head lazy;
	struct list_head replaced;
	struct omni_ends __percpu *ends;
	struct omni_seen seen;
};

static inline struct omni_domain *to_omni_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct omni_domain, iommu);
}

/*
 * Write 128 bits of a hardware entry at once (S3); returns what they were.
 * The caller is the only one who writes it: the exchange is for its width.
 */
static inline u128 omni_entry_swap(u128 *entry, u128 new)
{
	/* A torn read costs a second round. */
	u128 old = data_race(*entry);

	while (!try_cmpxchg128(entry, &old, new))
		cpu_relax();
	return old;
}

/*
 * May a reader be inside tables that were unlinked? Pairs with the barrier in
 * omni_watch(): a reader that is not seen here does not meet them.
 */
static inline bool omni_watched(const struct omni_domain *domain)
{
	smp_mb();	/* see above */
	return READ_ONCE(domain->seen.watched);
}

/* Pulled out: nothing it caches can be used any more, and it answers nobody. */
static inline bool omni_device_gone(const struct omni_device *od)
{
	return dev_is_pci(od->dev) &&
	       READ_ONCE(to_pci_dev(od->dev)->error_state) == pci_channel_io_perm_failure;
}

extern struct omni_domain omni_identity;

/**
 * omni_unit_add() - hand a unit that is on to the core
 * @unit: the unit, @unit->name and @unit->wing set
 *
 * Context: from the wing's start(), may sleep.
 */
void omni_unit_add(struct omni_unit *unit);

/**
 * omni_unit_join() - hand over a unit that is on, and register it at once
 * @unit: the unit, @unit->name, @unit->wing and @unit->parent set
 *
 * For units that a driver's probe() finds one by one. Devices that wait for
 * this unit are probed by the kernel when that probe() has returned.
 *
 * Return: 0 or -errno, the core knowing nothing of the unit.
 * Context: from @unit->parent's probe(), may sleep.
 */
int omni_unit_join(struct omni_unit *unit);

/**
 * omni_attach_paging() - the attach_dev hook of every wing's paging domains
 * @domain: the domain
 * @dev: the device
 *
 * Return: 0; -EINVAL if the device's unit can't use the domain as it is;
 * -ENOMEM, -ENOSPC, or -EIO after a failed invalidation, the device being as
 * it was.
 * Context: may sleep, the kernel's group mutex is held.
 */
int omni_attach_paging(struct iommu_domain *domain, struct device *dev);

/**
 * omni_free_paging() - the free hook of every wing's paging domains
 * @domain: a domain that is attached nowhere
 *
 * Frees its tables or, for a tainted domain, deliberately leaks them.
 *
 * Context: may sleep.
 */
void omni_free_paging(struct iommu_domain *domain);

/**
 * omni_domain_new() - memory for a paging domain, the core's part set up
 * @wing: the wing it belongs to
 * @size: of the wing's structure, which begins with struct omni_domain
 *
 * The wing gives it its shape: @pt, @flush_added, @nc.ops, and of @iommu @ops
 * and @pgsize_bitmap. Then it calls omni_domain_made().
 *
 * Return: the domain or NULL.
 * Context: may sleep.
 */
struct omni_domain *omni_domain_new(const struct omni_wing *wing, size_t size);

/**
 * omni_domain_made() - the end of making a paging domain
 * @domain: from omni_domain_new()
 * @err: 0, its page table being there, or why there is none
 *
 * Return: the domain, or ERR_PTR(@err) with the domain freed.
 * Context: may sleep.
 */
struct omni_domain *omni_domain_made(struct omni_domain *domain, int err);

/**
 * omni_find_device() - the device that uses a requester ID
 * @unit: the unit that reported it
 * @rid: the requester ID
 * @fn: called with the device found, NULL for none
 * @arg: handed to @fn
 *
 * Context: may sleep; @fn runs under omni_core.lock.
 */
void omni_find_device(struct omni_unit *unit, u32 rid,
		      void (*fn)(struct omni_device *od, void *arg), void *arg);

/**
 * omni_rid_shared() - does another device use a requester ID?
 * @od: the device that asks
 * @rid: one of its requester IDs
 *
 * Devices behind a bridge to conventional PCI share the bridge's ID: the
 * entry may be cleared with the last of them only.
 *
 * Return: true if another device of the same unit uses @rid.
 * Context: may sleep.
 */
bool omni_rid_shared(struct omni_device *od, u32 rid);

/* units.c: what every wing does with its units */

/**
 * struct omni_fault - a refused access, decoded
 * @segment: PCI segment of who made it, on units that firmware nodes don't name
 * @rid: who made it
 * @nowhere: the unit tells neither address nor direction
 * @iova: page of the access
 * @read: it was a read
 * @reason: the unit's code
 * @why: that in words, or NULL
 */
struct omni_fault {
	u16 segment;
	u32 rid;
	bool nowhere;
	u64 iova;
	bool read;
	u8 reason;
	const char *why;
};

/* The parameter fault_irq: report faults by interrupt, where the wing can. */
extern bool omni_fault_irq;

/**
 * omni_fault_report() - say it, count it, tell the domain's fault handler
 * @unit: the unit that refused it
 * @fault: the access
 *
 * Context: may sleep.
 */
void omni_fault_report(struct omni_unit *unit, const struct omni_fault *fault);

/**
 * omni_fault_repeat() - the access that was reported last came again
 * @unit: the unit that refused it
 * @fault: the access
 *
 * Context: may sleep.
 */
void omni_fault_repeat(struct omni_unit *unit, const struct omni_fault *fault);

typedef struct omni_unit *(*omni_find_fn)(struct pci_dev *pdev);
typedef int (*omni_rid_fn)(struct omni_unit *unit, u32 rid);

/**
 * omni_visit_rids() - call a function for every requester there is
 * @find: the unit of a PCI device, or NULL
 * @fn: called with the unit and each of the device's requester IDs
 *
 * For identity before translation comes on. Devices that come later are
 * blocked until the kernel has attached a domain (S4).
 *
 * Return: 0, -ENOMEM or the first error of @fn.
 * Context: may sleep.
 */
int omni_visit_rids(omni_find_fn find, omni_rid_fn fn);

/**
 * omni_tags_init() - begin to give hardware tags to domains
 * @unit: the unit; the wing ends it with ida_destroy()
 * @first: lowest tag for a domain, those below being the wing's own
 * @nr: tags the unit has
 *
 * Context: any.
 */
void omni_tags_init(struct omni_unit *unit, u32 first, u32 nr);

/**
 * omni_tag_get() - a hardware tag for a domain new on a unit
 * @unit: the unit
 *
 * Return: the tag, -ENOSPC or -ENOMEM.
 * Context: may sleep.
 */
int omni_tag_get(struct omni_unit *unit);

/**
 * omni_tag_put() - give a tag back, after its translations are flushed
 * @unit: the unit
 * @tag: the tag
 *
 * Context: any.
 */
void omni_tag_put(struct omni_unit *unit, u32 tag);

/**
 * omni_add_region() - append a reserved region
 * @head: the list that get_resv_regions fills
 * @first: first byte
 * @last: last byte
 * @prot: ``IOMMU_READ`` and ``IOMMU_WRITE``
 * @type: what it is reserved for
 *
 * Context: may sleep.
 */
void omni_add_region(struct list_head *head, u64 first, u64 last, int prot,
		     enum iommu_resv_type type);

/**
 * omni_add_direct() - append memory that a device uses behind the kernel's back
 * @dev: the device
 * @head: the list that get_resv_regions fills
 * @first: first byte
 * @last: last byte
 * @prot: ``IOMMU_READ`` and ``IOMMU_WRITE``
 *
 * Graphics and USB devices are let go of it, as the kernel does.
 *
 * Context: may sleep.
 */
void omni_add_direct(const struct device *dev, struct list_head *head, u64 first, u64 last,
		     int prot);

/* pci.c: what every wing needs to know of a PCI requester */

/**
 * omni_pci_rids() - every requester ID a PCI device's DMA may carry
 * @pdev: the device
 * @rids: receives kmalloc'ed IDs, the device's own first
 *
 * Own ID, quirks in dma_alias_mask, phantom functions while they are
 * enabled, and the IDs that bridges put in the place of a device behind them.
 *
 * Return: the number of IDs or -ENOMEM.
 * Context: may sleep.
 */
int omni_pci_rids(struct pci_dev *pdev, u32 **rids);

/**
 * omni_pci_no_snoop() - can a device issue DMA that does not snoop caches?
 * @pdev: a device that no driver uses, or one that lends it to users
 *
 * Only a PCIe function can say that it can't: its Enable No Snoop control
 * (PCIe 7.5.3.4) is hardwired to 0. Whether the bit is set now says nothing,
 * since users can set it.
 *
 * Return: false if it never can.
 * Context: may sleep.
 */
bool omni_pci_no_snoop(struct pci_dev *pdev);

/**
 * omni_acs_enable_all() - turn on the ACS controls that isolation needs
 *
 * The kernel does so before enumeration when an IOMMU driver asks in time.
 * A module comes too late for that.
 *
 * Context: may sleep.
 */
void omni_acs_enable_all(void);

/**
 * omni_acs_enable() - the same for one device, added later
 * @pdev: the device
 *
 * Return: true if it changed anything.
 * Context: may sleep.
 */
bool omni_acs_enable(struct pci_dev *pdev);

/**
 * omni_acs_restore_all() - put the ACS controls back as they were found
 *
 * Context: may sleep.
 */
void omni_acs_restore_all(void);

/**
 * omni_acs_forget() - drop the memory of a device's ACS controls
 * @pdev: a device that goes away
 *
 * Context: may sleep.
 */
void omni_acs_forget(struct pci_dev *pdev);

/**
 * omni_ats_on() - switch a device's TLB on, its entries allowing it already
 * @od: a device whose device TLB may be used
 *
 * Context: may sleep.
 */
void omni_ats_on(struct omni_device *od);

/**
 * omni_ats_off() - switch it off, before its entries forbid it
 * @od: the device
 *
 * Context: may sleep.
 */
void omni_ats_off(struct omni_device *od);

/**
 * omni_ats_depth() - device TLB invalidations a device accepts at once
 * @pdev: a device with the ATS capability
 *
 * Return: 1 to 32.
 */
u8 omni_ats_depth(struct pci_dev *pdev);

#ifdef OMNI_TEST_SKIP_UNMAP_FLUSH
/* The negative control of the tests: whether it forgets to invalidate now. */
extern bool omni_test_skip;
#endif

#endif
