// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event queue and global errors (IHI 0070, 3.5, 7.2, 7.3 and 7.5): decode and
 * report.
 *
 * The unit interrupts when its queue is no longer empty; the reader goes on
 * until it is. Where the platform gives no interrupt, a timer does the same.
 * One refused transfer may be hundreds of events: those of one stream and page
 * that follow each other are counted, but reported once.
 */
#include "smmu.h"

#include <linux/dma-mapping.h>
#include <linux/interrupt.h>

#define SMMU_EVENT_POLL_MS	100

/* 7.3.2 and following */
static const char * const smmu_reasons[] = {
	[SMMU_EVENT_UUT] = "the access is of a kind the unit does not support",
	[SMMU_EVENT_BAD_SID] = "its stream ID is beyond the stream table",
	[SMMU_EVENT_STE_FETCH] = "its stream table entry could not be read",
	[SMMU_EVENT_BAD_STE] = "it has no valid stream table entry",
	[SMMU_EVENT_BAD_ATS] = "its device TLB may not ask for translations",
	[SMMU_EVENT_DISABLED] = "its stream is disabled without a PASID",
	[SMMU_EVENT_FORBIDDEN] = "it may not use translated addresses",
	[SMMU_EVENT_BAD_SSID] = "it has no address space of that PASID",
	[SMMU_EVENT_CD_FETCH] = "its context descriptor could not be read",
	[SMMU_EVENT_BAD_CD] = "its context descriptor is invalid",
	[SMMU_EVENT_WALK] = "a page table could not be read",
	[SMMU_EVENT_TRANSLATION] = "the page is not mapped",
	[SMMU_EVENT_ADDR_SIZE] = "a page table holds an address beyond what the unit can put out",
	[SMMU_EVENT_ACCESS] = "the access flag of the page is not set",
	[SMMU_EVENT_PERMISSION] = "the page is not mapped for such an access",
	[SMMU_EVENT_TLB_CONFLICT] = "TLB entries contradict each other",
	[SMMU_EVENT_CFG_CONFLICT] = "cached configuration contradicts itself",
};

/* Only units that stall without being asked to have such: nobody resolves them. */
static void smmu_fault_resume(struct smmu_unit *unit, u32 sid, u64 q1)
{
	struct smmu_cmd cmd = smmu_cmd(SMMU_OP_RESUME, sid,
				       FIELD_PREP(SMMU_RESUME_HI_STAG,
						  FIELD_GET(SMMU_EVENT1_STAG, q1)));

	cmd.lo |= cpu_to_le64(FIELD_PREP(SMMU_RESUME_RESP, SMMU_RESUME_ABORT));
	omni_submit_wait(&unit->core, &cmd, 1);
}

static bool smmu_fault_repeats(const struct omni_fault *a, const struct omni_fault *b)
{
	return a->reason == b->reason && a->rid == b->rid && a->read == b->read &&
	       a->iova >> OMNI_PAGE_LG2 == b->iova >> OMNI_PAGE_LG2;
}

static void smmu_event(struct smmu_unit *unit, const struct smmu_event *event,
		       struct omni_fault *last)
{
	u64 q0 = le64_to_cpu(event->q[0]), q1 = le64_to_cpu(event->q[1]);
	u8 id = FIELD_GET(SMMU_EVENT0_ID, q0);
	struct omni_fault f = {
		.reason = id,
		.rid = FIELD_GET(SMMU_EVENT0_SID, q0),
		.nowhere = id != SMMU_EVENT_FORBIDDEN && id != SMMU_EVENT_WALK &&
			   (id < SMMU_EVENT_TRANSLATION || id > SMMU_EVENT_PERMISSION),
		.iova = le64_to_cpu(event->q[2]),
		.read = q1 & SMMU_EVENT1_READ,
	};

	if (id < ARRAY_SIZE(smmu_reasons))
		f.why = smmu_reasons[id];
	if (smmu_fault_repeats(last, &f))
		omni_fault_repeat(&unit->core, &f);
	else
		omni_fault_report(&unit->core, &f);
	*last = f;
	if (!f.nowhere && q1 & SMMU_EVENT1_STALL)
		smmu_fault_resume(unit, f.rid, q1);
}

/* Report every event there is. */
static void smmu_events_read(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;
	u32 wrap = 2 * BIT(e->lg2) - 1;
	struct omni_fault last = { };
	struct smmu_event event;
	u32 prod, cons;

	mutex_lock(&e->lock);
	prod = smmu_read32(unit, SMMU_EVENTQ_PROD);
	cons = e->cons;
	while ((prod ^ cons) & wrap) {
		event = e->ring[cons & (BIT(e->lg2) - 1)];
		cons = (cons & SMMU_QUEUE_OVERFLOW) | ((cons + 1) & wrap);
		e->cons = cons;
		/* Read before the slot is given back, as any register write orders. */
		smmu_write32(unit, SMMU_EVENTQ_CONS, cons);
		smmu_event(unit, &event, &last);
		prod = smmu_read32(unit, SMMU_EVENTQ_PROD);
	}
	if ((prod ^ cons) & SMMU_QUEUE_OVERFLOW) {
		e->cons = cons ^ SMMU_QUEUE_OVERFLOW;
		smmu_write32(unit, SMMU_EVENTQ_CONS, e->cons);
		pr_err_ratelimited("%s: more faults than its queue can hold: some are lost\n",
				   unit->core.name);
	}
	mutex_unlock(&e->lock);
}

/* 7.5: errors that are not of one stream. */
static void smmu_gerror_read(struct smmu_unit *unit)
{
	u32 acked, active;

	smmu_queue_error(unit);
	acked = smmu_read32(unit, SMMU_GERRORN);
	active = (smmu_read32(unit, SMMU_GERROR) ^ acked) & ~SMMU_GERROR_CMDQ;
	if (!active)
		return;
	if (active & SMMU_GERROR_SFM)
		pr_err("%s: it is in service failure mode: its devices' DMA is refused until the machine is reset\n",
		       unit->core.name);
	if (active & SMMU_GERROR_EVENTQ)
		pr_err_ratelimited("%s: its event queue could not be written: faults are lost\n",
				   unit->core.name);
	if (active & ~(SMMU_GERROR_SFM | SMMU_GERROR_EVENTQ))
		pr_err_ratelimited("%s: global error %#x\n", unit->core.name, active);
	smmu_write32(unit, SMMU_GERRORN, acked ^ active);
}

static irqreturn_t smmu_events_interrupt(int irq, void *arg)
{
	smmu_events_read(arg);
	return IRQ_HANDLED;
}

static irqreturn_t smmu_gerror_interrupt(int irq, void *arg)
{
	smmu_gerror_read(arg);
	return IRQ_HANDLED;
}

static irqreturn_t smmu_combined_interrupt(int irq, void *arg)
{
	smmu_gerror_read(arg);
	smmu_events_read(arg);
	return IRQ_HANDLED;
}

static void smmu_events_poll(struct work_struct *work)
{
	struct smmu_unit *unit = container_of(work, struct smmu_unit, events.poll.work);

	smmu_gerror_read(unit);
	smmu_events_read(unit);
	schedule_delayed_work(&unit->events.poll, msecs_to_jiffies(SMMU_EVENT_POLL_MS));
}

static int smmu_irq(struct smmu_unit *unit, int irq, irq_handler_t thread)
{
	if (irq <= 0)
		return 0;
	return request_threaded_irq(irq, NULL, thread, IRQF_ONESHOT, unit->core.name, unit) ?
	       0 : irq;
}

static int smmu_wired(struct smmu_unit *unit, const char *name, irq_handler_t thread)
{
	return smmu_irq(unit, smmu_platform_irq(unit, name), thread);
}

void smmu_message_set(struct smmu_unit *unit, unsigned int index)
{
	static const unsigned int cfg[SMMU_NR_MESSAGES] = {
		[SMMU_MESSAGE_EVENTQ] = SMMU_EVENTQ_IRQ_CFG,
		[SMMU_MESSAGE_GERROR] = SMMU_GERROR_IRQ_CFG,
	};
	const struct msi_msg *msg = &unit->events.messages[index];
	u64 addr = (u64)msg->address_hi << 32 | msg->address_lo;

	smmu_write64(unit, cfg[index], addr & SMMU_IRQ_CFG_ADDR);
	smmu_write32(unit, cfg[index] + SMMU_IRQ_CFG_DATA, msg->data);
	smmu_write32(unit, cfg[index] + SMMU_IRQ_CFG_ATTR, SMMU_ATTR_DEVICE_NGNRE);
}

int smmu_events_create(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;

	mutex_init(&e->lock);
	INIT_DELAYED_WORK(&e->poll, smmu_events_poll);
	e->lg2 = min(FIELD_GET(SMMU_IDR1_EVENTQS, unit->idr1), SMMU_EVENTS_LG2_MAX);
	/* The unit writes it, and is not snooped where it is not coherent. */
	e->ring = dma_alloc_coherent(&unit->pdev->dev, BIT(e->lg2) * sizeof(*e->ring), &e->dma,
				     GFP_KERNEL);
	if (!e->ring)
		return -ENOMEM;
	if (!omni_fault_irq)
		return 0;
	e->irq = smmu_wired(unit, "combined", smmu_combined_interrupt);
	if (e->irq)
		return 0;
	e->irq = smmu_wired(unit, "eventq", smmu_events_interrupt);
	e->gerror_irq = smmu_wired(unit, "gerror", smmu_gerror_interrupt);
	if (!e->irq && !e->gerror_irq && smmu_platform_messages(unit)) {
		e->irq = smmu_irq(unit, e->virqs[SMMU_MESSAGE_EVENTQ], smmu_events_interrupt);
		e->gerror_irq = smmu_irq(unit, e->virqs[SMMU_MESSAGE_GERROR],
					 smmu_gerror_interrupt);
	}
	if (!e->irq)
		pr_info("%s: no interrupt for faults: they are looked for every %d ms\n",
			unit->core.name, SMMU_EVENT_POLL_MS);
	return 0;
}

void smmu_events_destroy(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;

	if (e->irq)
		free_irq(e->irq, unit);
	if (e->gerror_irq)
		free_irq(e->gerror_irq, unit);
	if (e->signalled)
		smmu_platform_messages_end(unit);
	/* A broken unit may still write there. */
	if (e->ring && !unit->core.broken)
		dma_free_coherent(&unit->pdev->dev, BIT(e->lg2) * sizeof(*e->ring), e->ring,
				  e->dma);
}

void smmu_events_setup(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;

	e->cons = 0;
	smmu_write64(unit, SMMU_EVENTQ_BASE, SMMU_QUEUE_BASE_RWA | e->dma |
		     FIELD_PREP(SMMU_QUEUE_BASE_LOG2, e->lg2));
	smmu_write32(unit, SMMU_EVENTQ_PROD, 0);
	smmu_write32(unit, SMMU_EVENTQ_CONS, 0);
}

int smmu_events_on(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;
	unsigned int i;

	if (!e->irq) {
		schedule_delayed_work(&e->poll, msecs_to_jiffies(SMMU_EVENT_POLL_MS));
		return 0;
	}
	/* Address 0: by wire. A suspend may have lost the messages. */
	for (i = 0; unit->idr0 & SMMU_IDR0_MSI && i < SMMU_NR_MESSAGES; i++)
		smmu_message_set(unit, i);
	return smmu_unit_control(unit, SMMU_IRQ_CTRL, SMMU_IRQ_EVENTQ | SMMU_IRQ_GERROR);
}

void smmu_events_off(struct smmu_unit *unit)
{
	if (unit->events.irq)
		smmu_unit_control(unit, SMMU_IRQ_CTRL, 0);
	else
		cancel_delayed_work_sync(&unit->events.poll);
	if (smmu_read32(unit, SMMU_CR0) & SMMU_CR0_EVENTQEN)
		smmu_events_read(unit);
}
