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

#ifdef CONFIG_ARM64
#include <asm/arch_timer.h>
#endif

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
 * @ring: commands
 * @synced: by the slot of a CMD_SYNC, the low bits of the position behind it,
 *	which the unit writes when it is complete; NULL where the unit does not
 * @lg2: how many, as a power of two
 * @dozes: a long wait sleeps until the next event
 */
struct smmu_queue {
	struct smmu_cmd *ring;
	u32 *synced;
	unsigned int lg2;
	bool dozes;
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
 * @virqs: the kernel's numbers for them
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
	int virqs[SMMU_NR_MESSAGES];
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
 * @page_lg2: log2 of the largest granule that is of use: the kernel's pages
 * @granule: log2 of the granule of its tables
 * @sid_bits: bits of stream ID its table serves
 * @tables_lock: serialises changes of stream table and CDs
 * @l1: first level of the stream table, NULL if it is linear
 * @l2: tables of the second level; a linear table is l2[0]
 * @nr_l2: how many there may be
 * @cds: context descriptors by ASID, a page of them at a time
 * @queue: commands
 * @events: events and interrupts
 * @model: the hardware model in the unit's place, in the KUnit module
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
	unsigned int page_lg2;
	unsigned int granule;
	unsigned int sid_bits;
	struct mutex tables_lock;	/* see @tables_lock above */
	__le64 *l1;
	struct smmu_ste **l2;
	unsigned int nr_l2;
	struct smmu_cd **cds;
	struct smmu_queue queue;
	struct smmu_events events;
#ifdef OMNI_KUNIT
	struct smmu_model *model;
#endif
};

static inline struct smmu_unit *to_smmu_unit(struct omni_unit *unit)
{
	return container_of(unit, struct smmu_unit, core);
}

/**
 * struct smmu_format - a page-table format, and an instance of the engine
 * @granule: log2 of its granule
 * @ops: hooks of its domains
 * @marked_ops: the same for those that are asked for what was written, of
 *	stage 1 alone
 * @dirty_ops: how they are asked
 * @nc_ops: hooks for the tracker
 * @pt_ops: for omni_pt.ops
 */
struct smmu_format {
	unsigned int granule;
	const struct iommu_domain_ops *ops;
	const struct iommu_domain_ops *marked_ops;
	const struct iommu_dirty_ops *dirty_ops;
	const struct omni_nc_ops *nc_ops;
	const struct omni_pt_ops *pt_ops;
};

/**
 * struct smmu_domain - a paging domain
 * @core: the core's part
 * @format: of its table
 * @stage2: its table is of stage 2, for units without stage 1
 * @dirty: somebody wants to know what was written
 * @oas: bits of physical address it may hold
 */
struct smmu_domain {
	struct omni_domain core;
	const struct smmu_format *format;
	bool stage2;
	bool dirty;
	unsigned int oas;
};

/* It is freed as what the core knows of it. */
static_assert(!offsetof(struct smmu_domain, core));

static inline struct smmu_domain *to_smmu_domain(struct omni_domain *domain)
{
	return container_of(domain, struct smmu_domain, core);
}

/* Stage 1 where there is one: its tags are more, its entries change hitless. */
static inline bool smmu_uses_stage2(const struct smmu_unit *unit)
{
	return !(unit->idr0 & SMMU_IDR0_S1P);
}

/* Marks what is written, in leaves of stage 1: in memory as CPUs see it. */
static inline bool smmu_tracks_dirty(const struct smmu_unit *unit)
{
	return unit->coherent && !smmu_uses_stage2(unit) &&
	       FIELD_GET(SMMU_IDR0_HTTU, unit->idr0) >= SMMU_HTTU_DIRTY;
}

/*
 * Registers. In the KUnit module a unit may be a hardware model, which stands
 * behind the same functions, and behind those of platform.c below.
 */
#ifdef OMNI_KUNIT
u32 smmu_read32(const struct smmu_unit *unit, unsigned int reg);
void smmu_write32(const struct smmu_unit *unit, unsigned int reg, u32 value);
void smmu_write64(const struct smmu_unit *unit, unsigned int reg, u64 value);
#else
static inline void __iomem *smmu_reg(const struct smmu_unit *unit, unsigned int reg)
{
	return reg < SMMU_PAGE1 ? unit->regs + reg : unit->page1 + (reg - SMMU_PAGE1);
}

static inline u32 smmu_read32(const struct smmu_unit *unit, unsigned int reg)
{
	return readl(smmu_reg(unit, reg));
}

static inline void smmu_write32(const struct smmu_unit *unit, unsigned int reg, u32 value)
{
	writel(value, smmu_reg(unit, reg));
}

static inline void smmu_write64(const struct smmu_unit *unit, unsigned int reg, u64 value)
{
	writeq(value, smmu_reg(unit, reg));
}
#endif

/*
 * Sleep until an event: @word is no longer @value, or, without a word, the
 * unit has completed a CMD_SYNC that wakes. There are other events, and one
 * may get lost in between. So it is safe, for whoever has a deadline, where a
 * timer sends events all the time (every 100 us), and nowhere else.
 */
#ifdef OMNI_KUNIT
bool smmu_can_doze(const struct smmu_unit *unit);
void smmu_doze(const struct smmu_unit *unit, u32 *word, u32 value);
#elif defined(CONFIG_ARM64)
static inline bool smmu_can_doze(const struct smmu_unit *unit)
{
	return arch_timer_have_evtstrm_feature();
}

static inline void smmu_doze(const struct smmu_unit *unit, u32 *word, u32 value)
{
	if (word)
		__cmpwait_relaxed(word, value);
	else
		wfe();
}
#else
static inline bool smmu_can_doze(const struct smmu_unit *unit)
{
	return false;
}

static inline void smmu_doze(const struct smmu_unit *unit, u32 *word, u32 value)
{
}
#endif

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
 * smmu_firmware_check() - does devicetree say in order who is behind which unit?
 *
 * What is wrong, of which node and where in it, is printed (L4).
 *
 * Return: 0, or -EINVAL.
 * Context: may sleep.
 */
int smmu_firmware_check(void);

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

/**
 * smmu_firmware_left_streams() - stream IDs of a device that its driver has left
 * @dev: a device on the platform's or a PCI bus, not bound
 * @unit: the unit
 * @fn: called for each one behind @unit that no other device which was bound
 *	without an IOMMU uses
 *
 * Context: may sleep.
 */
void smmu_firmware_left_streams(struct device *dev, struct smmu_unit *unit,
				int (*fn)(struct smmu_unit *unit, u32 sid));

/* platform.c */

/**
 * smmu_platform_start() - begin to take units
 * @wing: this wing
 *
 * Return: units found so far, 0 for none, or -errno with none taken.
 * Context: may sleep.
 */
int smmu_platform_start(const struct omni_wing *wing);

/**
 * smmu_platform_finish() - take no more
 *
 * Context: may sleep.
 */
void smmu_platform_finish(void);

/**
 * smmu_platform_find() - the unit that a firmware node stands for
 * @fwnode: the node
 *
 * The kernel knows a unit as soon as it is registered, before it is bound.
 *
 * Return: the unit, or NULL if there is none that is on.
 * Context: may sleep.
 */
struct smmu_unit *smmu_platform_find(const struct fwnode_handle *fwnode);

/**
 * smmu_platform_forget() - a unit that was found goes
 * @unit: the unit
 *
 * Context: may sleep.
 */
void smmu_platform_forget(struct smmu_unit *unit);

/**
 * smmu_platform_claim() - get hold of a unit's registers
 * @unit: a unit with nothing but its platform device
 *
 * Return: 0 with its name, registers, coherency and page size set; -ENODEV, -EBUSY or
 * -ENOMEM.
 * Context: may sleep.
 */
int smmu_platform_claim(struct smmu_unit *unit);

/**
 * smmu_platform_snoops() - do a device's accesses snoop, whatever they ask for?
 * @dev: any device
 *
 * Return: true if the firmware says so.
 * Context: any, units being there.
 */
bool smmu_platform_snoops(struct device *dev);

/**
 * smmu_platform_irq() - one of a unit's wires
 * @unit: the unit
 * @name: the wire's name
 *
 * Return: the kernel's number for it, or -errno.
 * Context: may sleep.
 */
int smmu_platform_irq(struct smmu_unit *unit, const char *name);

/**
 * smmu_platform_messages() - let a unit that has no wires send messages
 * @unit: the unit
 *
 * Return: true with @unit->events.virqs set; false if it or the platform can't.
 * Context: may sleep.
 */
bool smmu_platform_messages(struct smmu_unit *unit);

/**
 * smmu_platform_messages_end() - undo that
 * @unit: the unit
 *
 * Context: may sleep.
 */
void smmu_platform_messages_end(struct smmu_unit *unit);

/**
 * smmu_platform_regions() - append what the firmware reserves for a device
 * @dev: the device
 * @head: the list that get_resv_regions fills
 *
 * Context: may sleep.
 */
void smmu_platform_regions(struct device *dev, struct list_head *head);

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

extern const struct omni_queue_ops smmu_queue_ops;

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

/* 4.6: nothing behind it begins before what stands before it is complete. */
static inline struct smmu_cmd smmu_cmd_sync(void)
{
	return (struct smmu_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(SMMU_CMD_OP, SMMU_OP_SYNC) |
				  FIELD_PREP(SMMU_SYNC_CS, SMMU_CS_NONE)),
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
 * smmu_tables_close() - refuse a stream that smmu_tables_open() has let through
 * @unit: the unit
 * @sid: stream ID
 *
 * A stream that was attached since, or belongs to a device that the core
 * knows, is left as it is.
 *
 * Return: 0 or a failed invalidation's error.
 * Context: may sleep.
 */
int smmu_tables_close(struct smmu_unit *unit, u32 sid);

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

/**
 * smmu_write() - omni_wing.write
 * @od: the device
 * @to: a struct smmu_image, or NULL to put back
 * @changes: the entries
 * @nr: how many, and how many differed
 *
 * Return: 0 or the first error of the invalidations.
 * Context: may sleep, smmu_unit.tables_lock held. 3.21, 5.2.
 */
int smmu_write(struct omni_device *od, const void *to, struct omni_change *changes,
	       unsigned int *nr);

/* pgtable.c */

/**
 * smmu_format() - a page-table format
 * @stage2: of stage 2
 * @granule: log2 of its granule
 *
 * Return: the format.
 * Context: any.
 */
const struct smmu_format *smmu_format(bool stage2, unsigned int granule);

/* domain.c */

/**
 * smmu_domain_alloc() - a paging domain in the shape of a device's unit
 * @od: the device
 * @dirty: it shall track dirty pages
 *
 * Return: the domain, ERR_PTR(-EOPNOTSUPP) if the unit can't do @dirty, or
 * ERR_PTR(-ENOMEM).
 * Context: may sleep.
 */
struct omni_domain *smmu_domain_alloc(struct omni_device *od, bool dirty);

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
 * smmu_message_set() - tell the unit one of its messages
 * @unit: the unit
 * @index: which
 *
 * Context: any. 3.18.
 */
void smmu_message_set(struct smmu_unit *unit, unsigned int index);

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

/* show.c */

extern const struct omni_show_ops smmu_show_ops;

/**
 * smmu_ste() - the entry of a stream
 * @unit: the unit
 * @sid: a stream ID that smmu_tables_reserve() has seen
 *
 * Return: the entry.
 * Context: any.
 */
struct smmu_ste *smmu_ste(struct smmu_unit *unit, u32 sid);

#endif
