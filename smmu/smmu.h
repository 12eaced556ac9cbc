/* SPDX-License-Identifier: GPL-2.0-only */
/* What the rooms of the SMMUv3 wing share. */
#ifndef OMNI_SMMU_H
#define OMNI_SMMU_H

#include "../include/omniommu.h"
#include "../include/queue.h"
#include "regs.h"

#include <linux/io.h>
#include <linux/msi.h>
#include <linux/platform_device.h>
#include <linux/workqueue.h>

#define SMMU_QUEUE_LG2_MAX	10
#define SMMU_EVENTS_LG2_MAX	7

/* Stream IDs a table of the second level serves: one PCI bus. */
#define SMMU_SPLIT		8
#define SMMU_L2_ENTRIES		BIT(SMMU_SPLIT)

#define SMMU_CDS_A_PAGE		(PAGE_SIZE / sizeof(struct smmu_cd))
/* Tag 0 is the VMID of entries that have no stage 2. */
#define SMMU_TAG_FIRST		1

/**
 * struct smmu_queue - command queue
 * @lock: protects everything but @head
 * @ring: commands
 * @lg2: how many, as a power of two
 * @tail: position of the next command; positions only grow
 * @head: position up to which the unit is known to have consumed
 * @errors: errors met, each of which may have dropped commands in flight
 * @on: the unit reads it
 * @dead: a wait met its deadline: nothing is submitted any more
 */
struct smmu_queue {
	raw_spinlock_t lock;	/* see @lock above */
	struct smmu_cmd *ring;
	unsigned int lg2;
	u64 tail;
	atomic64_t head;
	unsigned int errors;
	bool on;
	bool dead;
};

/* Messages of a unit, by their index in the kernel's table for its device. */
enum {
	SMMU_MESSAGE_EVENTQ,
	SMMU_MESSAGE_GERROR,
	SMMU_NR_MESSAGES
};

/**
 * struct smmu_events - event queue
 * @lock: one reader at a time
 * @ring: records, written by the unit
 * @dma: their bus address
 * @lg2: how many, as a power of two
 * @cons: CONS register as last written
 * @irq: interrupt of the event queue, 0 if it is polled
 * @gerror_irq: interrupt of global errors, 0 if there is none of its own
 * @messages: the interrupts are messages, these, by SMMU_MESSAGE_*
 * @signalled: they are in use
 * @poll: looks for events where there is no interrupt
 */
struct smmu_events {
	struct mutex lock;	/* see @lock above */
	struct smmu_event *ring;
	dma_addr_t dma;
	unsigned int lg2;
	u32 cons;
	int irq;
	int gerror_irq;
	struct msi_msg messages[SMMU_NR_MESSAGES];
	bool signalled;
	struct delayed_work poll;
};

/**
 * struct smmu_unit - one SMMU
 * @core: the core's part
 * @node: in the wing's list of units that are on
 * @pdev: the platform device that stands for it
 * @base: physical address of its registers
 * @regs: page 0 of them, mapped
 * @page1: page 1, where producer and consumer of events are
 * @idr0: capabilities, IDR0
 * @idr1: IDR1
 * @idr3: IDR3
 * @idr5: IDR5
 * @coherent: its accesses to tables and queues are snooped
 * @oas: bits of physical address it can put out
 * @sid_bits: bits of stream ID its table serves
 * @tables_lock: serialises changes of stream table and CDs
 * @l1: first level of the stream table, NULL if it is linear
 * @l2: tables of the second level; a linear table is l2[0]
 * @nr_l2: how many there may be
 * @cds: context descriptors by ASID, a page of them at a time
 * @queue: commands
 * @events: events and interrupts
 */
struct smmu_unit {
	struct omni_unit core;
	struct list_head node;
	struct platform_device *pdev;
	phys_addr_t base;
	void __iomem *regs;
	void __iomem *page1;
	u32 idr0;
	u32 idr1;
	u32 idr3;
	u32 idr5;
	bool coherent;
	unsigned int oas;
	unsigned int sid_bits;
	struct mutex tables_lock;	/* see @tables_lock above */
	__le64 *l1;
	struct smmu_ste **l2;
	unsigned int nr_l2;
	struct smmu_cd **cds;
	struct smmu_queue queue;
	struct smmu_events events;
};

static inline struct smmu_unit *to_smmu_unit(struct omni_unit *unit)
{
	return container_of(unit, struct smmu_unit, core);
}

/**
 * struct smmu_domain - a paging domain
 * @core: the core's part
 * @stage2: its table is of stage 2, for units without stage 1
 * @oas: bits of physical address it may hold
 */
struct smmu_domain {
	struct omni_domain core;
	bool stage2;
	unsigned int oas;
};

static inline struct smmu_domain *to_smmu_domain(struct omni_domain *domain)
{
	return container_of(domain, struct smmu_domain, core);
}

/* Stage 1 where there is one: its tags are more, its entries change hitless. */
static inline bool smmu_uses_stage2(const struct smmu_unit *unit)
{
	return !(unit->idr0 & SMMU_IDR0_S1P);
}

static inline u32 smmu_read32(const struct smmu_unit *unit, unsigned int reg)
{
	return readl(unit->regs + reg);
}

static inline void smmu_write32(const struct smmu_unit *unit, unsigned int reg, u32 value)
{
	writel(value, unit->regs + reg);
}

static inline void smmu_write64(const struct smmu_unit *unit, unsigned int reg, u64 value)
{
	writeq(value, unit->regs + reg);
}

/* Tables and queues are read without snooping by a unit that is not coherent (N7). */
static inline void smmu_clean(const struct smmu_unit *unit, void *addr, size_t len)
{
	if (!unit->coherent)
		omni_clean_lines(addr, len);
}

extern const struct omni_wing smmu_wing;

/* firmware.c */

/**
 * smmu_firmware_is_unit() - does a platform device stand for an SMMUv3?
 * @dev: any device
 *
 * Return: true for devicetree's arm,smmu-v3 and for those made from IORT.
 * Context: any.
 */
bool smmu_firmware_is_unit(struct device *dev);

/**
 * smmu_firmware_early_streams() - stream IDs whose DMA goes on already
 * @unit: the unit
 * @fn: called for each, an ID may come more than once; stops at an error
 *
 * Devices that were bound without an IOMMU (L1), and those whose firmware
 * asks for memory that stays reachable.
 *
 * Return: 0 or the first error of @fn.
 * Context: may sleep.
 */
int smmu_firmware_early_streams(struct smmu_unit *unit,
				int (*fn)(struct smmu_unit *unit, u32 sid));

/* unit.c */

/**
 * smmu_unit_create() - claim a unit that is off, and allocate what it needs
 * @pdev: its platform device
 *
 * Return: the unit; ERR_PTR(-EBUSY) if it is on already (L3), ERR_PTR(-ENODEV)
 * if the wing can't drive it, -ENOMEM.
 * Context: may sleep. 6.3.
 */
struct smmu_unit *smmu_unit_create(struct platform_device *pdev);

/**
 * smmu_unit_on() - switch translation on with the tables the unit has
 * @unit: a unit that is off
 *
 * Return: 0 or -ETIMEDOUT, the unit being off.
 * Context: may sleep. 3.11.
 */
int smmu_unit_on(struct omni_unit *unit);

/**
 * smmu_unit_off() - switch translation, queues and interrupts off
 * @unit: a unit in any state
 *
 * Context: may sleep.
 */
void smmu_unit_off(struct omni_unit *unit);

/**
 * smmu_unit_destroy() - free a unit that is off
 * @unit: the unit
 *
 * Context: may sleep.
 */
void smmu_unit_destroy(struct omni_unit *unit);

/**
 * smmu_unit_control() - write a control register, wait until it is obeyed
 * @unit: the unit
 * @reg: SMMU_CR0 or SMMU_IRQ_CTRL: the acknowledgment is the next register
 * @value: for it
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: may sleep. 6.3.
 */
int smmu_unit_control(struct smmu_unit *unit, unsigned int reg, u32 value);

/* queue.c */

/**
 * smmu_queue_create() - allocate a unit's command queue
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int smmu_queue_create(struct smmu_unit *unit);

/**
 * smmu_queue_destroy() - free it
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void smmu_queue_destroy(struct smmu_unit *unit);

/**
 * smmu_queue_setup() - tell the unit where its queue is, empty
 * @unit: a unit whose queue is off
 *
 * Context: any. 3.5.1.
 */
void smmu_queue_setup(struct smmu_unit *unit);

/**
 * smmu_queue_stop() - nothing is submitted any more; wait until it is empty
 * @unit: the unit
 *
 * Context: may sleep.
 */
void smmu_queue_stop(struct smmu_unit *unit);

/**
 * smmu_submit() - queue commands and a CMD_SYNC behind them
 * @unit: the unit
 * @cmds: the commands
 * @nr: how many, at most OMNI_SUBMIT_MAX
 * @ticket: receives what smmu_wait() needs
 *
 * Context: any.
 */
void smmu_submit(struct smmu_unit *unit, const struct smmu_cmd *cmds, unsigned int nr,
		 struct omni_ticket *ticket);

/**
 * smmu_wait() - wait for a submission
 * @unit: the unit
 * @ticket: from smmu_submit()
 *
 * Return: 0; -EAGAIN if an error may have dropped it: submit again;
 * -ETIMEDOUT or -EIO if the unit is broken.
 * Context: any. 4.6.
 */
int smmu_wait(struct smmu_unit *unit, const struct omni_ticket *ticket);

/**
 * smmu_submit_wait() - submit, wait, and submit again after errors
 * @unit: the unit
 * @cmds: the commands
 * @nr: how many, at most OMNI_SUBMIT_MAX
 *
 * Return: 0, -ETIMEDOUT or -EIO.
 * Context: any.
 */
int smmu_submit_wait(struct smmu_unit *unit, const struct smmu_cmd *cmds, unsigned int nr);

/**
 * smmu_queue_error() - look for an error of the queue and recover
 * @unit: the unit
 *
 * Context: any.
 */
void smmu_queue_error(struct smmu_unit *unit);

/* A command with an opcode and 32 bits at the top: most are no more. */
static inline struct smmu_cmd smmu_cmd(u8 op, u32 top, u64 hi)
{
	return (struct smmu_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(SMMU_CMD_OP, op) |
				  FIELD_PREP(SMMU_CMD_SID, top)),
		.hi = cpu_to_le64(hi),
	};
}

/* tables.c */

/**
 * smmu_tables_create() - allocate an empty stream table
 * @unit: the unit, @unit->sid_bits set
 *
 * Every stream is refused by an empty table (S4).
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep. 3.3.1.
 */
int smmu_tables_create(struct smmu_unit *unit);

/**
 * smmu_tables_destroy() - free stream table and CDs
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void smmu_tables_destroy(struct smmu_unit *unit);

/**
 * smmu_tables_setup() - tell the unit where its stream table is
 * @unit: a unit that is off
 *
 * Context: any. 6.3.
 */
void smmu_tables_setup(struct smmu_unit *unit);

/**
 * smmu_tables_reserve() - make an entry ready for a stream
 * @unit: the unit
 * @sid: stream ID
 * @ats: its device TLB may be used
 *
 * An entry that is new refuses every access.
 *
 * Return: 0, -ENOMEM, -ERANGE beyond the table, or a failed invalidation's.
 * Context: may sleep.
 */
int smmu_tables_reserve(struct smmu_unit *unit, u32 sid, bool ats);

/**
 * smmu_tables_open() - let a stream through while the unit is still off (L1)
 * @unit: a unit that is off
 * @sid: stream ID
 *
 * Return: 0, -ENOMEM or -ERANGE.
 * Context: may sleep.
 */
int smmu_tables_open(struct smmu_unit *unit, u32 sid);

/**
 * smmu_stream_is_open() - does a stream reach memory untranslated?
 * @unit: the unit
 * @sid: a stream ID that smmu_tables_reserve() has seen
 *
 * Return: true if its entry says bypass.
 * Context: may sleep.
 */
bool smmu_stream_is_open(struct smmu_unit *unit, u32 sid);

/**
 * smmu_attach() - make a device's entries point to a domain
 * @od: the device
 * @domain: the domain; NULL to block, &omni_identity to let through
 * @tag: the domain's tag
 *
 * Return: 0, or a failed invalidation's error; towards a paging domain the
 * old entries are back then.
 * Context: may sleep. 3.21, 5.2.
 */
int smmu_attach(struct omni_device *od, struct omni_domain *domain, u32 tag);

/* pgtable.c */

extern const struct iommu_domain_ops smmu_s1_ops;
extern const struct iommu_domain_ops smmu_s2_ops;

/**
 * smmu_pt_init() - make a domain's empty page table
 * @domain: the domain, its stage and the shape of its table set
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int smmu_pt_init(struct smmu_domain *domain);

/**
 * smmu_pt_fini() - take it apart
 * @domain: the domain, in nobody's use
 * @tables: receives all its tables
 *
 * Context: any.
 */
void smmu_pt_fini(struct smmu_domain *domain, struct list_head *tables);

/**
 * smmu_pt_empty() - does a domain map nothing?
 * @domain: the domain, not being changed
 *
 * Return: true if no leaf is present.
 * Context: any.
 */
bool smmu_pt_empty(const struct smmu_domain *domain);

/* domain.c */

/**
 * smmu_domain_alloc() - a paging domain in the shape of a device's unit
 * @od: the device
 * @dirty: it shall track dirty pages
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if @dirty, or ERR_PTR(-ENOMEM).
 * Context: may sleep.
 */
struct omni_domain *smmu_domain_alloc(struct omni_device *od, bool dirty);

/**
 * smmu_domain_free() - free a domain that is attached nowhere
 * @domain: the domain
 *
 * Context: may sleep.
 */
void smmu_domain_free(struct omni_domain *domain);

/**
 * smmu_domain_compatible() - can a unit walk a domain's table as it is?
 * @domain: the domain
 * @unit: the unit
 *
 * Return: true if it can.
 * Context: any.
 */
bool smmu_domain_compatible(struct omni_domain *domain, struct omni_unit *unit);

/* invalidate.c */

/**
 * smmu_invalidate() - carry a request out on every unit a domain reaches
 * @domain: the domain
 * @inv: the request
 *
 * Submits to all units, then waits for all (F4).
 *
 * Return: 0 or the first error: then caches may still hold translations.
 * Context: any. 4.4, 4.5.
 */
int smmu_invalidate(struct omni_domain *domain, const struct omni_inv *inv);

/**
 * smmu_cmd_all_of_tag() - everything TLBs hold under an ASID or VMID
 * @unit: the unit
 * @tag: which
 *
 * Return: the command.
 * Context: any. 4.4.
 */
struct smmu_cmd smmu_cmd_all_of_tag(const struct smmu_unit *unit, u32 tag);

/**
 * smmu_cmd_device_tlb() - a range of a device TLB
 * @sid: whose
 * @page: first 4K page, aligned to the size
 * @lg2: pages, as a power of two; SMMU_ATC_ALL for everything
 *
 * Return: the command.
 * Context: any. 4.5.
 */
struct smmu_cmd smmu_cmd_device_tlb(u32 sid, u64 page, unsigned int lg2);

/* fault.c */

/**
 * smmu_events_create() - allocate the event queue, get interrupts or a timer
 * @unit: the unit
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int smmu_events_create(struct smmu_unit *unit);

/**
 * smmu_events_destroy() - free them
 * @unit: a unit that is off
 *
 * Context: may sleep.
 */
void smmu_events_destroy(struct smmu_unit *unit);

/**
 * smmu_events_setup() - tell the unit where its event queue is, empty
 * @unit: a unit whose event queue is off
 *
 * Context: any. 3.5.
 */
void smmu_events_setup(struct smmu_unit *unit);

/**
 * smmu_events_on() - begin to report
 * @unit: a unit whose event queue is on
 *
 * Return: 0 or -ETIMEDOUT.
 * Context: may sleep.
 */
int smmu_events_on(struct smmu_unit *unit);

/**
 * smmu_events_off() - report what is recorded and stop
 * @unit: the unit
 *
 * Context: may sleep.
 */
void smmu_events_off(struct smmu_unit *unit);

#endif
