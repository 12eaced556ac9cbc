/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rooms of the AMD-Vi wing share. */
#ifndef OMNI_AMD_H
#define OMNI_AMD_H

#include "../include/omniommu.h"
#include "firmware.h"
#include "regs.h"

#include <linux/idr.h>
#include <linux/io.h>
#include <linux/workqueue.h>

#define AMD_RING_LG2		8
#define AMD_RING_SIZE		BIT(AMD_RING_LG2)
/* Commands one submission may hold, so that it always fits the ring. */
#define AMD_SUBMIT_MAX		32
#define AMD_DEADLINE_MS		1000
#define AMD_DEADLINE_US		(AMD_DEADLINE_MS * USEC_PER_MSEC)
/* How often a submission that an error may have dropped is made again. */
#define AMD_RETRIES		3

/* Domain 0 is what blocked entries carry. */
#define AMD_TAG_IDENTITY	1
#define AMD_TAG_FIRST		2

/**
 * struct amd_queue - command buffer
 * @lock: protects everything but @done
 * @on: the command buffer is on
 * @ring: commands
 * @done: number of the last completion wait that is over; written by hardware
 * @done_dma: its bus address
 * @number: number of the last completion wait submitted; numbers only grow
 * @tail: position of the next command; positions only grow
 * @head: lowest position that may still be in use
 * @errors: errors met, each of which may have dropped commands in flight
 * @heard: errors in the event log that @errors contains already
 * @dead: a wait met its deadline: nothing is submitted any more
 */
struct amd_queue {
	raw_spinlock_t lock;	/* see @lock above */
	bool on;
	struct amd_cmd *ring;
	u64 *done;
	phys_addr_t done_dma;
	u64 number;
	u64 tail;
	u64 head;
	unsigned int errors;
	unsigned int heard;
	bool dead;
};

/**
 * struct amd_ticket - a submission to wait for
 * @number: number of its completion wait
 * @errors: amd_queue.errors when it was submitted
 * @device_tlb: it has commands for device TLBs, whose errors show in the log
 * @err: it was over at once: with this error, or 0 with @done
 * @done: nothing to wait for
 */
struct amd_ticket {
	u64 number;
	unsigned int errors;
	bool device_tlb;
	int err;
	bool done;
};

/**
 * struct amd_log - event log
 * @lock: protects @head, @seen and @errors
 * @reader: one reader at a time
 * @ring: entries
 * @head: position of the next entry to report; positions only grow
 * @seen: position of the next entry to look at for errors of commands
 * @errors: errors of commands seen
 * @irq: interrupt, 0 if the log is polled
 * @poll: reads the log where there is no interrupt
 */
struct amd_log {
	raw_spinlock_t lock;	/* see @lock above */
	struct mutex reader;	/* see @reader above */
	struct amd_event *ring;
	u64 head;
	u64 seen;
	unsigned int errors;
	int irq;
	struct delayed_work poll;
};

/**
 * struct amd_unit - one IOMMU
 * @core: the core's part
 * @ivhd: what the firmware says of it
 * @pdev: its PCI function, NULL if there is none to be found
 * @res: its register range
 * @regs: the registers, mapped
 * @cap: header of its capability block
 * @efr: extended features, of table and register
 * @control: what it is switched on with
 * @va_bits: width of the addresses it translates
 * @fc: it can be made to snoop every access of a leaf
 * @attach_lock: serialises attaches
 * @table: device table
 * @table_lg2: log2 of its pages
 * @nr_dtes: its entries
 * @tags: domain ids in use
 * @queue: commands
 * @log: events
 * @model: the hardware model in the unit's place, in the KUnit module
 */
struct amd_unit {
	struct omni_unit core;
	struct amd_ivhd *ivhd;
	struct pci_dev *pdev;
	struct resource *res;
	void __iomem *regs;
	u32 cap;
	u64 efr;
	u64 control;
	unsigned int va_bits;
	bool fc;
	struct mutex attach_lock;	/* see @attach_lock above */
	struct amd_dte *table;
	unsigned int table_lg2;
	unsigned int nr_dtes;
	struct ida tags;
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
 * Context: may sleep. 3.4.2.
 */
void amd_queue_on(struct amd_unit *unit);

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
 * @nr: how many, 1 to AMD_SUBMIT_MAX
 * @ticket: receives what amd_wait() needs
 *
 * Context: any. 2.4.
 */
void amd_submit(struct amd_unit *unit, const struct amd_cmd *cmds,
		unsigned int nr, struct amd_ticket *ticket);

/**
 * amd_wait() - wait until a submission is complete
 * @unit: the unit
 * @ticket: the submission
 *
 * Return: 0; -EAGAIN if an error may have dropped it: submit again;
 * -ETIMEDOUT or -EIO from a unit that does not answer.
 * Context: any; polls for up to AMD_DEADLINE_MS. 2.4.1, 2.5.6 to 2.5.8.
 */
int amd_wait(struct amd_unit *unit, const struct amd_ticket *ticket);

/**
 * amd_submit_wait() - both, again and again where errors ask for it
 * @unit: the unit
 * @cmds: the commands
 * @nr: how many, 1 to AMD_SUBMIT_MAX
 *
 * Return: 0, -ETIMEDOUT or -EIO.
 * Context: any.
 */
int amd_submit_wait(struct amd_unit *unit, const struct amd_cmd *cmds,
		    unsigned int nr);

/* tables.c */

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
 * amd_attach() - omni_wing.attach
 * @od: the device
 * @domain: the domain, &omni_identity, or NULL for blocked
 * @tag: the domain's id on the unit
 *
 * Return: 0 or the error of the invalidation.
 * Context: may sleep. 2.2.2.1, 2.4.2.
 */
int amd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag);

/* domain.c */

/**
 * amd_domain_create() - a paging domain for a unit
 * @unit: the unit
 * @nid: NUMA node for its tables
 *
 * Return: the domain or ERR_PTR(-ENOMEM).
 * Context: may sleep.
 */
struct omni_domain *amd_domain_create(struct amd_unit *unit, int nid);

/**
 * amd_domain_free() - free a domain that is attached nowhere
 * @domain: the domain
 *
 * Context: may sleep.
 */
void amd_domain_free(struct omni_domain *domain);

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

/* fault.c */

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

#endif
