/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rooms of the VT-d wing share. */
#ifndef OMNI_VTD_H
#define OMNI_VTD_H

#include "../include/queue.h"
#include "firmware.h"
#include "regs.h"

#include <linux/io.h>
#include <linux/workqueue.h>

#define VTD_QUEUE_LG2		8
#define VTD_QUEUE_SIZE		BIT(VTD_QUEUE_LG2)

#define VTD_TAG_IDENTITY	1
#define VTD_TAG_FIRST		2

/**
 * struct vtd_queue - invalidation queue, or the registers in its place
 * @ring: descriptors
 * @status: per slot, the lap whose wait completed in front of it; written by
 *	hardware. One more word behind takes the writes nobody looks at
 * @status_dma: its bus address
 */
struct vtd_queue {
	struct vtd_desc *ring;
	u32 *status;
	phys_addr_t status_dma;
};

/**
 * struct vtd_unit - one remapping unit
 * @core: the core's part
 * @drhd: what the firmware says of it
 * @res: its register range
 * @regs: the registers, mapped
 * @cap: capability register
 * @ecap: extended capability register
 * @rwbf: its write buffer needs flushing
 * @iotlb: what its IOTLB invalidation descriptors have in common
 * @psi_orders: log2 of the pages that one of them may name is less than this
 * @gcmd_lock: serialises global commands
 * @tables_lock: serialises changes of root and context entries
 * @unflushed: entries were changed, and the flush failed
 * @root: root table
 * @contexts: context table of each bus, or NULL
 * @identity: identity by tables, where the unit has no pass-through
 * @queue: invalidation
 * @irq: fault interrupt, 0 if faults are polled
 * @irq_domain: its interrupt domain
 * @fault_lock: one reader of fault records at a time
 * @fault_poll: reads fault records where there is no interrupt
 * @model: the hardware model in the unit's place, in the KUnit module
 */
struct vtd_unit {
	struct omni_unit core;
	struct vtd_drhd *drhd;
	struct resource *res;
	void __iomem *regs;
	u64 cap;
	u64 ecap;
	bool rwbf;
	u64 iotlb;
	unsigned int psi_orders;
	raw_spinlock_t gcmd_lock;	/* see @gcmd_lock above */
	struct mutex tables_lock;	/* see @tables_lock above */
	bool unflushed;
	struct vtd_root *root;
	union vtd_context *contexts[256];
	struct omni_domain *identity;
	struct vtd_queue queue;
	unsigned int irq;
	struct irq_domain *irq_domain;
	struct mutex fault_lock;	/* see @fault_lock above */
	struct delayed_work fault_poll;
#ifdef OMNI_KUNIT
	struct vtd_model *model;
#endif
};

static inline struct vtd_unit *to_vtd_unit(struct omni_unit *unit)
{
	return container_of(unit, struct vtd_unit, core);
}

/*
 * Registers. In the KUnit module a unit may be a hardware model, which stands
 * behind the same four functions.
 */
#ifdef OMNI_KUNIT
u32 vtd_read32(const struct vtd_unit *unit, unsigned int reg);
u64 vtd_read64(const struct vtd_unit *unit, unsigned int reg);
void vtd_write32(const struct vtd_unit *unit, unsigned int reg, u32 value);
void vtd_write64(const struct vtd_unit *unit, unsigned int reg, u64 value);
#else
static inline u32 vtd_read32(const struct vtd_unit *unit, unsigned int reg)
{
	return readl(unit->regs + reg);
}

static inline u64 vtd_read64(const struct vtd_unit *unit, unsigned int reg)
{
	return readq(unit->regs + reg);
}

static inline void vtd_write32(const struct vtd_unit *unit, unsigned int reg, u32 value)
{
	writel(value, unit->regs + reg);
}

static inline void vtd_write64(const struct vtd_unit *unit, unsigned int reg, u64 value)
{
	writeq(value, unit->regs + reg);
}
#endif

/* The address widths a unit walks, of those that are defined: VTD_SAGAW_*. */
static inline unsigned int vtd_sagaw(const struct vtd_unit *unit)
{
	return FIELD_GET(VTD_CAP_SAGAW, unit->cap) &
	       (VTD_SAGAW_39 | VTD_SAGAW_48 | VTD_SAGAW_57);
}

/* Root and context tables are read without snooping where ECAP.C is 0 (N7). */
static inline void vtd_clean(const struct vtd_unit *unit, void *addr, size_t len)
{
	if (!(unit->ecap & VTD_ECAP_C))
		omni_clean_lines(addr, len);
}

extern struct vtd_firmware vtd_firmware;
extern const struct omni_wing vtd_wing;

/* unit.c */

/**
 * vtd_unit_create() - claim a unit that is off, and allocate what it needs
 * @drhd: what the firmware says of it
 *
 * Return: the unit; NULL if it does no DMA translation; ERR_PTR(-EBUSY) if it
 * is somebody else's (L3), ERR_PTR(-ENODEV) if nothing answers, -ENOMEM.
 * Context: may sleep. VT-d 10.4.
 */
struct vtd_unit *vtd_unit_create(struct vtd_drhd *drhd);

/**
 * vtd_unit_on() - switch translation on with the tables the unit has
 * @unit: a unit that is off
 *
 * Return: 0 or -ETIMEDOUT, the unit being off.
 * Context: may sleep. VT-d 6.6, 10.4.4.
 */
int vtd_unit_on(struct omni_unit *unit);

/**
 * vtd_unit_off() - switch translation, queue and fault events off
 * @unit: a unit in any state
 *
 * Context: may sleep.
 */
void vtd_unit_off(struct omni_unit *unit);

/**
 * vtd_unit_destroy() - free a unit that is off, and give its registers back
 * @unit: the unit
 *
 * Context: may sleep.
 */
void vtd_unit_destroy(struct omni_unit *unit);

/**
 * vtd_unit_command() - one global command, waiting for the status to follow
 * @unit: the unit
 * @bits: a VTD_G_* bit
 * @set: switch it on or off
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: any. VT-d 10.4.4.
 */
int vtd_unit_command(struct vtd_unit *unit, u32 bits, bool set);

/**
 * vtd_flush_write_buffer() - make table writes visible where RWBF asks for it
 * @unit: the unit
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: any. VT-d 6.8.
 */
int vtd_flush_write_buffer(struct vtd_unit *unit);

/* queue.c */

/**
 * vtd_queue_create() - allocate a unit's queue
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int vtd_queue_create(struct vtd_unit *unit);

/**
 * vtd_queue_destroy() - free it
 * @unit: a unit whose queue is off
 *
 * Context: may sleep.
 */
void vtd_queue_destroy(struct vtd_unit *unit);

/**
 * vtd_queue_on() - switch queued invalidation on where the unit has it
 * @unit: the unit
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: may sleep. VT-d 6.5.2.
 */
int vtd_queue_on(struct vtd_unit *unit);

/**
 * vtd_queue_off() - switch it off when it has run empty
 * @unit: the unit
 *
 * Context: may sleep.
 */
void vtd_queue_off(struct vtd_unit *unit);

/**
 * vtd_submit() - queue commands and one wait behind them
 * @unit: the unit
 * @descs: the commands
 * @nr: how many, 1 to OMNI_SUBMIT_MAX
 * @ticket: receives what vtd_wait() needs
 *
 * Without a queue the commands are carried out at once through registers.
 *
 * Context: any. VT-d 6.5.2, 6.5.1 without a queue.
 */
void vtd_submit(struct vtd_unit *unit, const struct vtd_desc *descs,
		unsigned int nr, struct omni_ticket *ticket);

/**
 * vtd_wait() - wait until a submission is complete
 * @unit: the unit
 * @ticket: the submission
 *
 * Return: 0; -EAGAIN if an error may have dropped it: submit again;
 * -ETIMEDOUT or -EIO from a unit that does not answer.
 * Context: any; polls for up to OMNI_DEADLINE_MS. VT-d 6.5.2.8, 6.5.2.10.
 */
int vtd_wait(struct vtd_unit *unit, const struct omni_ticket *ticket);

extern const struct omni_queue_ops vtd_queue_ops;

static inline struct vtd_desc vtd_desc_context(unsigned int g, u16 did, u16 sid)
{
	return (struct vtd_desc) {
		.lo = cpu_to_le64(FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_CONTEXT) |
				  FIELD_PREP(VTD_DESC_G, g) |
				  FIELD_PREP(VTD_DESC_DID, did) |
				  FIELD_PREP(VTD_CONTEXT_SID, sid)),
	};
}

static inline struct vtd_desc vtd_desc_iotlb(const struct vtd_unit *unit,
					     unsigned int g, u16 did, u64 hi)
{
	return (struct vtd_desc) {
		.lo = cpu_to_le64(unit->iotlb | FIELD_PREP(VTD_DESC_G, g) |
				  FIELD_PREP(VTD_DESC_DID, did)),
		.hi = cpu_to_le64(hi),
	};
}

/**
 * vtd_desc_device_tlb() - invalidate 2^@lg2 pages in a device TLB
 * @od: the device
 * @page: first page number
 * @lg2: log2 of the number of pages, @page aligned to it, 0 to 52
 *
 * Return: the command.
 * Context: any. VT-d 6.5.2.5.
 */
struct vtd_desc vtd_desc_device_tlb(const struct omni_device *od, u64 page,
				    unsigned int lg2);

/**
 * vtd_desc_fence() - a wait nobody waits for: orders commands around it
 * @unit: the unit
 *
 * Return: the command.
 * Context: any. VT-d 6.5.2.8.
 */
struct vtd_desc vtd_desc_fence(const struct vtd_unit *unit);

/* tables.c */

/**
 * vtd_tables_create() - an empty root table: everything is blocked
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep. VT-d 9.1.
 */
int vtd_tables_create(struct vtd_unit *unit);

/**
 * vtd_tables_destroy() - free root and context tables
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void vtd_tables_destroy(struct vtd_unit *unit);

/**
 * vtd_tables_reserve() - make sure that a requester ID has a context entry
 * @unit: the unit
 * @rid: the requester ID
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep. VT-d 9.1.
 */
int vtd_tables_reserve(struct vtd_unit *unit, u16 rid);

/**
 * vtd_context_identity() - a context entry that does not translate
 * @unit: the unit
 *
 * Return: the entry.
 * Context: any. VT-d 9.3.
 */
union vtd_context vtd_context_identity(const struct vtd_unit *unit);

/**
 * vtd_context_set() - write a context entry that no cache can hold yet
 * @unit: a unit that is off
 * @rid: a requester ID that vtd_tables_reserve() has seen
 * @entry: the entry
 *
 * Context: may sleep. VT-d 9.3.
 */
void vtd_context_set(struct vtd_unit *unit, u16 rid, union vtd_context entry);

/**
 * vtd_context_is_set() - does a requester ID's entry let anything through?
 * @unit: the unit
 * @rid: a requester ID that vtd_tables_reserve() has seen
 *
 * Return: true if the entry is present.
 * Context: may sleep.
 */
bool vtd_context_is_set(struct vtd_unit *unit, u16 rid);

/**
 * vtd_attach() - omni_wing.attach
 * @od: the device
 * @domain: the domain, &omni_identity, or NULL for blocked
 * @tag: the domain's id on the unit
 *
 * Return: 0 or the error of the invalidation.
 * Context: may sleep. VT-d 6.5.3.3, 9.3.
 */
int vtd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag);

/**
 * vtd_write() - omni_wing.write
 * @od: the device
 * @to: a union vtd_context, or NULL to put back
 * @changes: the entries
 * @nr: how many, and how many differed
 *
 * Return: 0 or the first error of the invalidations.
 * Context: may sleep, vtd_unit.tables_lock held. VT-d 6.5.3.3, 9.3.
 */
int vtd_write(struct omni_device *od, const void *to, struct omni_change *changes,
	      unsigned int *nr);

/* pgtable.c */

extern const struct omni_pt_ops vtd_ss_pt_ops;
extern const struct omni_nc_ops vtd_ss_nc_ops;
extern const struct iommu_domain_ops vtd_domain_ops;

/* domain.c */

/**
 * vtd_domain_create() - a paging domain for a unit
 * @unit: the unit
 * @nid: NUMA node for its tables
 *
 * Return: the domain or ERR_PTR(-ENOMEM).
 * Context: may sleep.
 */
struct omni_domain *vtd_domain_create(struct vtd_unit *unit, int nid);

/**
 * vtd_domain_compatible() - can a unit walk a domain's table as it is?
 * @domain: the domain
 * @unit: the unit
 *
 * Return: true if it can.
 * Context: any.
 */
bool vtd_domain_compatible(struct omni_domain *domain, struct omni_unit *unit);

/**
 * vtd_domain_map_identity() - map all memory and MMIO one to one
 * @domain: an empty domain
 *
 * Return: 0, -ENOMEM or -ERANGE.
 * Context: may sleep.
 */
int vtd_domain_map_identity(struct omni_domain *domain);

/**
 * vtd_domain_enforce_coherency() - the enforce_cache_coherency hook
 * @domain: a domain that maps nothing yet
 *
 * Return: true if every access through @domain snoops from now on.
 * Context: may sleep. VT-d 3.8.3, 9.8.
 */
bool vtd_domain_enforce_coherency(struct iommu_domain *domain);

/* invalidate.c */

/**
 * vtd_invalidate() - carry a request out on every unit a domain reaches
 * @domain: the domain
 * @inv: the request
 *
 * Submits to all units, then waits for all (F4).
 *
 * Return: 0 or the first error: then caches may still hold translations.
 * Context: any. VT-d 6.5.
 */
int vtd_invalidate(struct omni_domain *domain, const struct omni_inv *inv);

/* fault.c */

/**
 * vtd_faults_create() - get an interrupt for faults, or decide to poll
 * @unit: the unit
 *
 * Context: may sleep. VT-d 7.
 */
void vtd_faults_create(struct vtd_unit *unit);

/**
 * vtd_faults_destroy() - give the interrupt back
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void vtd_faults_destroy(struct vtd_unit *unit);

/**
 * vtd_faults_on() - drop what was recorded before, begin to report
 * @unit: the unit
 *
 * Context: may sleep. VT-d 10.4.9, 10.4.10.
 */
void vtd_faults_on(struct vtd_unit *unit);

/**
 * vtd_faults_off() - report what is recorded and stop
 * @unit: the unit
 *
 * Context: may sleep.
 */
void vtd_faults_off(struct vtd_unit *unit);

/* show.c */

/**
 * vtd_show_exit() - take the in-tree driver's files away
 *
 * Context: may sleep; no device is left.
 */
void vtd_show_exit(void);

extern const struct omni_show_ops vtd_show_ops;

#endif
