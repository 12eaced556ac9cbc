/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rooms of the AMD-Vi wing share. */
#ifndef OMNI_AMD_H
#define OMNI_AMD_H

#include "../include/queue.h"
#include "firmware.h"
#include "regs.h"

#include <linux/io.h>
#include <linux/workqueue.h>

#define AMD_RING_LG2		8
#define AMD_RING_SIZE		BIT(AMD_RING_LG2)

/* Domain 0 is what blocked entries carry. */
#define AMD_TAG_IDENTITY	1
#define AMD_TAG_FIRST		2
#define AMD_NR_TAGS		65536

/**
 * struct amd_queue - command buffer
 * @ring: commands
 * @done: position behind the last completion wait that is over; written by hardware
 * @done_dma: its bus address
 * @heard: errors in the event log that the queue has counted already
 */
struct amd_queue {
	struct amd_cmd *ring;
	__le64 *done;
	phys_addr_t done_dma;
	unsigned int heard;
};

/**
 * struct amd_log - event log
 * @lock: protects @on, @head, @seen, @errors and @lost
 * @reader: one reader at a time
 * @on: the unit logs events
 * @ring: entries
 * @head: position of the next entry to report; positions only grow
 * @seen: position of the next entry to look at for errors of commands
 * @errors: errors of commands seen
 * @lost: times that it overflowed
 * @irq: interrupt, 0 if the log is polled
 * @poll: reads the log where there is no interrupt
 */
struct amd_log {
	raw_spinlock_t lock;	/* see @lock above */
	struct mutex reader;	/* see @reader above */
	bool on;
	struct amd_event *ring;
	u64 head;
	u64 seen;
	unsigned int errors;
	unsigned int lost;
	int irq;
	struct delayed_work poll;
};

/**
 * struct amd_link - a device whose entries may point to a domain's root
 * @node: in &amd_domain.devices, empty while the link is not used
 * @ad: the device
 * @tag: the domain's id on its unit
 * @ticket: of what lets caches follow, while the tree has grown
 */
struct amd_link {
	struct list_head node;
	struct amd_device *ad;
	u32 tag;
	struct omni_ticket ticket;
};

/**
 * struct amd_device - one requester
 * @core: the core's part
 * @links: to the domain it is attached to, and while an attach has not yet
 *	flushed what caches have of it, to the one before
 * @now: which of @links is the former
 */
struct amd_device {
	struct omni_device core;
	struct amd_link links[2];
	unsigned int now;
};

static inline struct amd_device *to_amd_device(struct omni_device *od)
{
	return container_of(od, struct amd_device, core);
}

/**
 * struct amd_domain - one address space
 * @core: the core's part
 * @devices: list of struct amd_link, under amd_growth_lock
 * @shown: omni_pt.word as every entry of @devices has it, caches included
 * @dirty: hardware sets the D bits of leaves
 * @gcr3: of a domain with guest page tables: the table of their roots, of
 *	which the first entry is used; else NULL
 */
struct amd_domain {
	struct omni_domain core;
	struct list_head devices;
	unsigned long shown;
	bool dirty;
	__le64 *gcr3;
};

/* It is freed as what the core knows of it. */
static_assert(!offsetof(struct amd_domain, core));

static inline struct amd_domain *to_amd_domain(struct omni_domain *domain)
{
	return container_of(domain, struct amd_domain, core);
}

/**
 * struct amd_unit - one IOMMU
 * @core: the core's part
 * @ivhd: what the firmware says of it
 * @pdev: its PCI function, NULL if there is none to be found
 * @held: drivers are kept from it until the unit is destroyed
 * @res: its register range
 * @regs: the registers, mapped
 * @cap: header of its capability block
 * @efr: extended features, of table and register
 * @control_lock: serialises changes of the control register
 * @va_bits: width of the addresses it translates
 * @fc: it can be made to snoop every access of a leaf of a host page table
 * @v2: its domains get guest page tables
 * @attach_lock: serialises attaches
 * @table: device table
 * @table_lg2: log2 of its pages
 * @nr_dtes: its entries
 * @nothing: an empty page table, for entries that block and must not say so
 * @queue: commands
 * @log: events
 * @model: the hardware model in the unit's place, in the KUnit module
 */
struct amd_unit {
	struct omni_unit core;
	struct amd_ivhd *ivhd;
	struct pci_dev *pdev;
	bool held;
	struct resource *res;
	void __iomem *regs;
	u32 cap;
	u64 efr;
	raw_spinlock_t control_lock;	/* see @control_lock above */
	unsigned int va_bits;
	bool fc;
	bool v2;
	struct mutex attach_lock;	/* see @attach_lock above */
	struct amd_dte *table;
	unsigned int table_lg2;
	unsigned int nr_dtes;
	__le64 *nothing;
	struct amd_queue queue;
	struct amd_log log;
#ifdef OMNI_KUNIT
	struct amd_model *model;
#endif
};

static inline struct amd_unit *to_amd_unit(struct omni_unit *unit)
{
	return container_of(unit, struct amd_unit, core);
}

/*
 * Registers, and the capability block of the PCI function. In the KUnit module
 * a unit may be a hardware model, which stands behind the same functions.
 */
#ifdef OMNI_KUNIT
u64 amd_read64(const struct amd_unit *unit, unsigned int reg);
void amd_write64(const struct amd_unit *unit, unsigned int reg, u64 value);
u32 amd_cap_read32(const struct amd_unit *unit, unsigned int reg);
#else
static inline u64 amd_read64(const struct amd_unit *unit, unsigned int reg)
{
	return readq(unit->regs + reg);
}

static inline void amd_write64(const struct amd_unit *unit, unsigned int reg, u64 value)
{
	writeq(value, unit->regs + reg);
}

static inline u32 amd_cap_read32(const struct amd_unit *unit, unsigned int reg)
{
	u32 value = 0;

	if (unit->pdev)
		pci_read_config_dword(unit->pdev, unit->ivhd->cap + reg, &value);
	return value;
}
#endif

/*
 * Is a unit that has guest page tables to use them? The KUnit module asks the
 * model in the unit's place instead of the administrator.
 */
#ifdef OMNI_KUNIT
bool amd_wants_v2(const struct amd_unit *unit);
#else
extern bool amd_want_v2;

static inline bool amd_wants_v2(const struct amd_unit *unit)
{
	return amd_want_v2;
}
#endif

extern struct amd_firmware amd_firmware;
extern const struct omni_wing amd_wing;

/* unit.c */

/**
 * amd_unit_create() - claim a unit that is off, and allocate what it needs
 * @ivhd: what the firmware says of it
 *
 * Every device table entry blocks (S4).
 *
 * Return: the unit; ERR_PTR(-EBUSY) if it is somebody else's (L3),
 * ERR_PTR(-ENODEV) if nothing answers, -ENOMEM.
 * Context: may sleep. 2.3, 3.2.
 */
struct amd_unit *amd_unit_create(struct amd_ivhd *ivhd);

/**
 * amd_unit_on() - switch translation on with the table the unit has
 * @unit: a unit that is off
 *
 * Return: 0 or -ETIMEDOUT, the unit being off.
 * Context: may sleep. 2.3.
 */
int amd_unit_on(struct omni_unit *unit);

/**
 * amd_unit_off() - switch translation, command buffer and event log off
 * @unit: a unit in any state
 *
 * Context: may sleep.
 */
void amd_unit_off(struct omni_unit *unit);

/**
 * amd_unit_destroy() - free a unit that is off, and give its registers back
 * @unit: the unit
 *
 * Context: may sleep.
 */
void amd_unit_destroy(struct omni_unit *unit);

/**
 * amd_unit_control() - change the control register
 * @unit: the unit
 * @clear: bits to clear
 * @set: bits to set
 *
 * Context: any. 3.4.4.
 */
void amd_unit_control(struct amd_unit *unit, u64 clear, u64 set);

/* queue.c */

/**
 * amd_queue_create() - allocate a unit's command buffer
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int amd_queue_create(struct amd_unit *unit);

/**
 * amd_queue_destroy() - free it
 * @unit: a unit whose command buffer is off
 *
 * Context: may sleep.
 */
void amd_queue_destroy(struct amd_unit *unit);

/**
 * amd_queue_on() - switch the command buffer on
 * @unit: a unit that is on
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: may sleep. 3.4.2.
 */
int amd_queue_on(struct amd_unit *unit);

/**
 * amd_queue_off() - switch it off when it has run empty
 * @unit: the unit
 *
 * Context: may sleep.
 */
void amd_queue_off(struct amd_unit *unit);

/**
 * amd_submit() - queue commands and one completion wait behind them
 * @unit: the unit
 * @cmds: the commands
 * @nr: how many, 1 to OMNI_SUBMIT_MAX
 * @ticket: receives what amd_wait() needs
 *
 * Context: any. 2.4.
 */
void amd_submit(struct amd_unit *unit, const struct amd_cmd *cmds,
		unsigned int nr, struct omni_ticket *ticket);

/**
 * amd_wait() - wait until a submission is complete
 * @unit: the unit
 * @ticket: the submission
 *
 * Return: 0; -EAGAIN if an error may have dropped it: submit again;
 * -ETIMEDOUT or -EIO from a unit that does not answer.
 * Context: any; polls for up to OMNI_DEADLINE_MS. 2.4.1, 2.5.6 to 2.5.8.
 */
int amd_wait(struct amd_unit *unit, const struct omni_ticket *ticket);

extern const struct omni_queue_ops amd_queue_ops;

/**
 * amd_cmd_devtab() - forget a device table entry
 * @rid: whose
 *
 * Return: the command.
 * Context: any. 2.4.2.
 */
static inline struct amd_cmd amd_cmd_devtab(u16 rid)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_DEVTAB) |
				  FIELD_PREP(AMD_CMD_DEVID, rid)),
	};
}

/**
 * amd_cmd_pages() - forget translations of a domain
 * @domain: domain id
 * @where: address, size and address space, as AMD_PAGES_HI_* have it
 *
 * Return: the command.
 * Context: any. 2.4.3.
 */
static inline struct amd_cmd amd_cmd_pages(u16 domain, u64 where)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_PAGES) |
				  FIELD_PREP(AMD_PAGES_DOMAIN, domain)),
		.hi = cpu_to_le64(where),
	};
}

/* Where a domain's translations are: of PASID 0 if they are a guest's. */
static inline u64 amd_pages_space(bool v2)
{
	return v2 ? AMD_PAGES_HI_GN : 0;
}

/* All of a domain: leaves and tables. */
static inline struct amd_cmd amd_cmd_domain(u16 domain, bool v2)
{
	return amd_cmd_pages(domain, AMD_PAGES_HI_S | AMD_PAGES_HI_PDE |
				     AMD_PAGES_HI_EVERYTHING | amd_pages_space(v2));
}

/**
 * amd_cmd_device_tlb() - forget translations in a device TLB
 * @od: the device
 * @where: address, size and address space, as AMD_PAGES_HI_* have it
 *
 * Return: the command.
 * Context: any. 2.4.4.
 */
static inline struct amd_cmd amd_cmd_device_tlb(const struct omni_device *od, u64 where)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_IOTLB) |
				  FIELD_PREP(AMD_CMD_DEVID, od->rid) |
				  FIELD_PREP(AMD_IOTLB_MAXPEND, od->ats_depth) |
				  FIELD_PREP(AMD_IOTLB_QUEUE, od->rid)),
		.hi = cpu_to_le64(where),
	};
}

/* All that a device TLB has. */
static inline struct amd_cmd amd_cmd_device_tlb_all(const struct omni_device *od, bool v2)
{
	return amd_cmd_device_tlb(od, AMD_PAGES_HI_S | AMD_PAGES_HI_EVERYTHING |
				      amd_pages_space(v2));
}

/**
 * amd_cmd_fence() - nothing behind it begins until all ahead of it is done
 *
 * Return: the command.
 * Context: any. 2.4.1.
 */
static inline struct amd_cmd amd_cmd_fence(void)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_WAIT) | AMD_WAIT_F),
	};
}

/* tables.c */

extern raw_spinlock_t amd_growth_lock;

/**
 * amd_tables_create() - a device table whose entries all block
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep. 2.2.2.
 */
int amd_tables_create(struct amd_unit *unit);

/**
 * amd_tables_destroy() - free the device table
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void amd_tables_destroy(struct amd_unit *unit);

/**
 * amd_tables_apply() - give device table entries what the firmware asks for
 * @unit: a unit that is off
 *
 * Context: may sleep. 2.2.2.1, 5.2.2.5.
 */
void amd_tables_apply(struct amd_unit *unit);

/**
 * amd_tables_identity() - let a requester through untranslated
 * @unit: a unit that is off
 * @rid: the requester ID
 *
 * Return: 0, or -ERANGE if the device table is too short for @rid.
 * Context: may sleep. 2.2.2.1.
 */
int amd_tables_identity(struct amd_unit *unit, u32 rid);

/**
 * amd_tables_blocked() - does a requester's entry refuse every access?
 * @unit: the unit
 * @rid: the requester ID
 *
 * Return: true if it does.
 * Context: may sleep.
 */
bool amd_tables_blocked(const struct amd_unit *unit, u16 rid);

/**
 * amd_follow() - let the entries of a domain's devices follow its root
 * @domain: a domain whose tree may have grown
 *
 * Return: 0 or the error of the invalidation.
 * Context: any. 2.2.2.1, 2.4.2.
 */
int amd_follow(struct omni_domain *domain);

/**
 * amd_attach() - omni_wing.attach
 * @od: the device
 * @domain: the domain, &omni_identity, or NULL for blocked
 * @tag: the domain's id on the unit
 *
 * Return: 0 or the error of the invalidation.
 * Context: may sleep. 2.2.2.1, 2.4.2.
 */
int amd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag);

/**
 * amd_write() - omni_wing.write
 * @od: the device
 * @to: a struct amd_target, or NULL to put back
 * @changes: the entries
 * @nr: how many, and how many differed
 *
 * Return: 0 or the first error of the invalidations.
 * Context: may sleep, amd_unit.attach_lock held.
 */
int amd_write(struct omni_device *od, const void *to, struct omni_change *changes,
	      unsigned int *nr);

/* pgtable.c, pgtable_v2.c */

extern const struct omni_pt_ops amd_v1_pt_ops;
extern const struct omni_pt_ops amd_v2_pt_ops;
extern const struct iommu_domain_ops amd_domain_ops;
extern const struct iommu_domain_ops amd_v2_domain_ops;
extern const struct iommu_dirty_ops amd_dirty_ops;
extern const struct omni_nc_ops amd_v2_nc_ops;

/* domain.c */

/**
 * amd_unit_has_v2() - can a unit translate requests by guest page tables alone?
 * @unit: the unit
 *
 * Return: true if it can, for requests without a PASID too.
 * Context: any. 3.4.7, GTSup and GIOSup.
 */
bool amd_unit_has_v2(const struct amd_unit *unit);

/**
 * amd_unit_guest_mode() - levels of the guest page tables that a unit walks
 * @unit: the unit
 *
 * Return: AMD_GUEST_4_LEVELS or AMD_GUEST_5_LEVELS.
 * Context: any. 3.4.7, GATS.
 */
unsigned int amd_unit_guest_mode(const struct amd_unit *unit);

/**
 * amd_unit_tracks_dirty() - does hardware tell which pages it wrote to?
 * @unit: the unit
 *
 * Return: true if it does.
 * Context: any. 3.4.7.
 */
bool amd_unit_tracks_dirty(const struct amd_unit *unit);

/**
 * amd_domain_create() - a paging domain for a unit
 * @unit: the unit
 * @v2: with guest page tables, which the unit has to use
 * @nid: NUMA node for its tables
 *
 * Return: the domain or ERR_PTR(-ENOMEM).
 * Context: may sleep.
 */
struct omni_domain *amd_domain_create(struct amd_unit *unit, bool v2, int nid);

/**
 * amd_domain_compatible() - can a unit walk a domain's table as it is?
 * @domain: the domain
 * @unit: the unit
 *
 * Return: true if it can.
 * Context: any.
 */
bool amd_domain_compatible(struct omni_domain *domain, struct omni_unit *unit);

/**
 * amd_domain_enforce_coherency() - the enforce_cache_coherency hook
 * @domain: the domain
 *
 * Return: true if every access through @domain snoops.
 * Context: may sleep. 2.2.3, FC.
 */
bool amd_domain_enforce_coherency(struct iommu_domain *domain);

/* hid.c */

/**
 * amd_hid_find() - what the firmware says of a device that is not PCI
 * @dev: the device
 * @unit: receives the unit's block
 *
 * Return: its entry, or NULL if the firmware names none.
 * Context: may sleep. 5.2.2.6.
 */
const struct amd_hid *amd_hid_find(struct device *dev, struct amd_ivhd **unit);

/**
 * amd_hids_report() - name the entries about devices that the kernel has not
 * @ivhd: the unit's block
 *
 * Whoever they are, they go on as they are (L1).
 *
 * Context: may sleep.
 */
void amd_hids_report(const struct amd_ivhd *ivhd);

/* invalidate.c */

/**
 * amd_invalidate() - carry a request out on every unit a domain reaches
 * @domain: the domain
 * @inv: the request
 *
 * Submits to all units, then waits for all (F4).
 *
 * Return: 0 or the first error: then caches may still hold translations.
 * Context: any. 2.4.3, 2.4.4.
 */
int amd_invalidate(struct omni_domain *domain, const struct omni_inv *inv);

/**
 * amd_invalidate_v2() - the same for a domain with guest page tables
 * @domain: the domain
 * @inv: the request
 *
 * Return: as amd_invalidate().
 * Context: any. 2.4.3, 2.4.4, GN.
 */
int amd_invalidate_v2(struct omni_domain *domain, const struct omni_inv *inv);

/* fault.c */

/**
 * amd_log_errors() - errors of commands that the event log has told
 * @unit: the unit
 *
 * Return: their number since the log was made.
 * Context: any. 2.5.6 to 2.5.8.
 */
unsigned int amd_log_errors(struct amd_unit *unit);

/**
 * amd_log_lost() - times that the event log could not tell of an error
 * @unit: the unit
 *
 * A log that has overflowed is started again, what it holds is forgotten:
 * whoever waits for a device TLB can't go on without it.
 *
 * Return: their number since the log was made.
 * Context: any. 2.5.
 */
unsigned int amd_log_lost(struct amd_unit *unit);

/**
 * amd_log_create() - allocate the event log, get an interrupt or decide to poll
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep. 2.5.
 */
int amd_log_create(struct amd_unit *unit);

/**
 * amd_log_destroy() - give log and interrupt back
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void amd_log_destroy(struct amd_unit *unit);

/**
 * amd_log_on() - begin to log events
 * @unit: a unit that is on
 *
 * Context: may sleep. 2.5, 3.4.2.
 */
void amd_log_on(struct amd_unit *unit);

/**
 * amd_log_off() - report what is logged and stop
 * @unit: the unit
 *
 * Context: may sleep.
 */
void amd_log_off(struct amd_unit *unit);

/* show.c */

extern const struct omni_show_ops amd_show_ops;

#endif
