// SPDX-License-Identifier: GPL-2.0-only
/*
 * Event log (48882 r3.08, 2.5): decode and report, and the errors of commands
 * for the queue.
 *
 * Positions count entries since the log was made and only grow. The queue
 * looks at entries before they are reported, since a command's error has to
 * be known before a completion is believed; what is looked at is remembered,
 * so each error counts once. The log is read by interrupt, or by timer where
 * the unit's PCI function gives none.
 */
#include "amd.h"

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>

#define AMD_LOG_POLL_MS		100
/* How long an entry may come after the tail that announces it. */
#define AMD_ENTRY_US		100

static bool event_irq = true;
module_param(event_irq, bool, 0444);
MODULE_PARM_DESC(event_irq, "AMD-Vi: read event logs by interrupt; N: by timer (default: Y)");

static unsigned int amd_slot(u64 pos)
{
	return pos & (AMD_RING_SIZE - 1);
}

static u64 amd_event_code(const struct amd_event *event)
{
	return FIELD_GET(AMD_EVENT_CODE, le64_to_cpu(READ_ONCE(event->lo)));
}

/* Look at what is new; returns the position behind it. Lock held. */
static u64 amd_log_look(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	unsigned int tail, us;
	u64 end;

	lockdep_assert_held(&log->lock);
	tail = FIELD_GET(AMD_RING_INDEX, amd_read64(unit, AMD_EVENT_TAIL));
	end = log->seen + amd_slot(tail - log->seen);
	/* The tail is read before what it announces. */
	dma_rmb();
	for (; log->seen != end; log->seen++) {
		const struct amd_event *event = &log->ring[amd_slot(log->seen)];

		/* Erratum 732: the tail may move before the entry is written. */
		for (us = 0; !amd_event_code(event) && us < AMD_ENTRY_US; us++)
			udelay(1);
		switch (amd_event_code(event)) {
		case AMD_EVENT_ILLEGAL_CMD:
		case AMD_EVENT_CMD_ERROR:
		case AMD_EVENT_IOTLB_TIMEOUT:
			log->errors++;
		}
	}
	return end;
}

unsigned int amd_log_errors(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	unsigned long flags;
	unsigned int errors;

	raw_spin_lock_irqsave(&log->lock, flags);
	if (log->on)
		amd_log_look(unit);
	errors = log->errors;
	raw_spin_unlock_irqrestore(&log->lock, flags);
	return errors;
}

/* 2.5: after an overflow the unit logs nothing until it is told to. Lock held. */
static void amd_log_restart(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	u64 status;

	lockdep_assert_held(&log->lock);
	if (!log->on || !(amd_read64(unit, AMD_STATUS) & AMD_STATUS_EVENT_OVERFLOW))
		return;
	pr_err_ratelimited("%s: more events than the log can hold: some are lost\n",
			   unit->core.name);
	amd_unit_control(unit, AMD_CTRL_EVENT_LOG | AMD_CTRL_EVENT_INT, 0);
	if (read_poll_timeout_atomic(amd_read64, status, !(status & AMD_STATUS_EVENT_RUN), 1,
				     AMD_ENTRY_US, false, unit, AMD_STATUS))
		pr_err_ratelimited("%s: its event log did not stop within %u us: events may be lost\n",
				   unit->core.name, AMD_ENTRY_US);
	/* What is there still would fill it again at once. */
	for (amd_log_look(unit); log->head != log->seen; log->head++)
		log->ring[amd_slot(log->head)] = (struct amd_event){ };
	dma_wmb();
	amd_write64(unit, AMD_EVENT_HEAD, FIELD_PREP(AMD_RING_INDEX, amd_slot(log->head)));
	amd_write64(unit, AMD_STATUS, AMD_STATUS_EVENT_OVERFLOW | AMD_STATUS_EVENT_INT);
	amd_unit_control(unit, 0, AMD_CTRL_EVENT_LOG | AMD_CTRL_EVENT_INT);
	log->lost++;
}

unsigned int amd_log_lost(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	unsigned long flags;
	unsigned int lost;

	raw_spin_lock_irqsave(&log->lock, flags);
	amd_log_restart(unit);
	lost = log->lost;
	raw_spin_unlock_irqrestore(&log->lock, flags);
	return lost;
}

/* Words */

/* Why an access was refused. */
static const char *amd_fault_why(u64 lo)
{
	if (lo & AMD_EVENT_RZ)
		return lo & AMD_EVENT_PR ? "reserved bits are set in a page-table entry" :
					   "reserved bits are set in its device table entry";
	if (!(lo & AMD_EVENT_PR))
		return "nothing is mapped there";
	if (!FIELD_GET(AMD_EVENT_DOMAIN, lo))
		return "the device is blocked";
	return lo & AMD_EVENT_RW ? "the page is not mapped for writing" :
				   "the page is not mapped for reading";
}

static void amd_report_fault(struct amd_unit *unit, u64 lo, u64 hi)
{
	struct omni_fault fault = {
		.segment = unit->ivhd->segment,
		.rid = FIELD_GET(AMD_EVENT_DEVID, lo),
		.iova = hi & PAGE_MASK,
		.read = !(lo & AMD_EVENT_RW),
		.reason = FIELD_GET(AMD_EVENT_CODE, lo),
	};

	if (fault.reason == AMD_EVENT_PAGE_FAULT)
		fault.why = amd_fault_why(lo);
	else if (fault.reason == AMD_EVENT_ILLEGAL_DTE)
		fault.why = "its device table entry is invalid, or it has none";
	else
		fault.why = lo & AMD_EVENT_TR ? "it asked for a translation and may not" :
						"the address is not for DMA";
	omni_fault_report(&unit->core, &fault);
}

static void amd_report(struct amd_unit *unit, const struct amd_event *event)
{
	u64 lo = le64_to_cpu(event->lo), hi = le64_to_cpu(event->hi);
	u16 rid = FIELD_GET(AMD_EVENT_DEVID, lo);
	const char *name = unit->core.name;

	switch (FIELD_GET(AMD_EVENT_CODE, lo)) {
	case AMD_EVENT_ILLEGAL_DTE:
	case AMD_EVENT_PAGE_FAULT:
	case AMD_EVENT_BAD_REQUEST:
		amd_report_fault(unit, lo, hi);
		break;
	case AMD_EVENT_DTE_ERROR:
		pr_err_ratelimited("%s: the device table entry at %#llx could not be read\n",
				   name, hi);
		break;
	case AMD_EVENT_PTE_ERROR:
		pr_err_ratelimited("%s: a page-table entry at %#llx could not be read\n", name, hi);
		break;
	case AMD_EVENT_ILLEGAL_CMD:
		pr_err_ratelimited("%s: illegal command at %#llx: the command buffer was started again\n",
				   name, hi);
		break;
	case AMD_EVENT_CMD_ERROR:
		pr_err_ratelimited("%s: the command at %#llx could not be read: the command buffer was started again\n",
				   name, hi);
		break;
	case AMD_EVENT_IOTLB_TIMEOUT:
		pr_err_ratelimited("%s: the device TLB of %04x:%02x:%02x.%x did not answer an invalidation: submitted again\n",
				   name, unit->ivhd->segment, PCI_BUS_NUM(rid), PCI_SLOT(rid),
				   PCI_FUNC(rid));
		break;
	default:
		pr_err_ratelimited("%s: event not known: %016llx %016llx\n", name, hi, lo);
	}
}

/* Reading */

/* Take the oldest entry that is not reported out of the log. */
static bool amd_log_take(struct amd_unit *unit, struct amd_event *event)
{
	struct amd_log *log = &unit->log;
	unsigned long flags;
	bool found;

	raw_spin_lock_irqsave(&log->lock, flags);
	found = log->on && log->head != amd_log_look(unit);
	if (found) {
		struct amd_event *entry = &log->ring[amd_slot(log->head++)];

		*event = *entry;
		/* What is there later is new. */
		*entry = (struct amd_event){ };
		dma_wmb();
		amd_write64(unit, AMD_EVENT_HEAD,
			    FIELD_PREP(AMD_RING_INDEX, amd_slot(log->head)));
	}
	raw_spin_unlock_irqrestore(&log->lock, flags);
	return found;
}

static void amd_log_read(struct amd_unit *unit)
{
	struct amd_event event;
	u64 status;

	mutex_lock(&unit->log.reader);
	status = amd_read64(unit, AMD_STATUS);
	/* First, so that an event that comes meanwhile raises it again. */
	amd_write64(unit, AMD_STATUS, AMD_STATUS_EVENT_INT);
	while (amd_log_take(unit, &event))
		amd_report(unit, &event);
	if (status & AMD_STATUS_EVENT_OVERFLOW)
		amd_log_lost(unit);
	mutex_unlock(&unit->log.reader);
}

static irqreturn_t amd_log_thread(int irq, void *arg)
{
	amd_log_read(arg);
	return IRQ_HANDLED;
}

static void amd_log_poll(struct work_struct *work)
{
	struct amd_unit *unit = container_of(work, struct amd_unit, log.poll.work);

	amd_log_read(unit);
	schedule_delayed_work(&unit->log.poll, msecs_to_jiffies(AMD_LOG_POLL_MS));
}

/* An interrupt of the unit's PCI function, which no driver is bound to. */
static int amd_log_irq_create(struct amd_unit *unit)
{
	struct pci_dev *pdev = unit->pdev;
	int ret;

	if (!pdev || !unit->held)
		return -ENODEV;
	ret = pci_enable_device(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (ret < 0)
		goto err_disable;
	ret = request_threaded_irq(pci_irq_vector(pdev, 0), NULL, amd_log_thread, IRQF_ONESHOT,
				   unit->core.name, unit);
	if (ret)
		goto err_vectors;
	unit->log.irq = pci_irq_vector(pdev, 0);
	return 0;

err_vectors:
	pci_free_irq_vectors(pdev);
err_disable:
	pci_disable_device(pdev);
	return ret;
}

int amd_log_create(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	int ret;

	raw_spin_lock_init(&log->lock);
	mutex_init(&log->reader);
	INIT_DELAYED_WORK(&log->poll, amd_log_poll);
	log->ring = (void *)get_zeroed_page(GFP_KERNEL);
	if (!log->ring)
		return -ENOMEM;
	if (!event_irq)
		return 0;
	ret = amd_log_irq_create(unit);
	if (ret)
		pr_info("%s: no interrupt for events (%d): they are looked for every %d ms\n",
			unit->core.name, ret, AMD_LOG_POLL_MS);
	return 0;
}

void amd_log_destroy(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;

	if (log->irq) {
		free_irq(log->irq, unit);
		pci_free_irq_vectors(unit->pdev);
		pci_disable_device(unit->pdev);
	}
	/* A unit that does not stop may still write to it (S2). */
	if (!unit->core.broken)
		free_page((unsigned long)log->ring);
}

void amd_log_on(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;

	memset(log->ring, 0, PAGE_SIZE);
	log->head = round_up(log->head, AMD_RING_SIZE);
	log->seen = log->head;
	amd_write64(unit, AMD_EVENTLOG, virt_to_phys(log->ring) |
		    FIELD_PREP(AMD_RING_LEN, AMD_RING_LG2));
	amd_write64(unit, AMD_EVENT_HEAD, 0);
	amd_write64(unit, AMD_EVENT_TAIL, 0);
	amd_write64(unit, AMD_STATUS, AMD_STATUS_EVENT_OVERFLOW | AMD_STATUS_EVENT_INT);
	log->on = true;
	amd_unit_control(unit, 0, AMD_CTRL_EVENT_LOG | AMD_CTRL_EVENT_INT);
	if (!log->irq)
		schedule_delayed_work(&log->poll, msecs_to_jiffies(AMD_LOG_POLL_MS));
}

void amd_log_off(struct amd_unit *unit)
{
	struct amd_log *log = &unit->log;
	unsigned long flags;

	if (!log->on)
		return;
	cancel_delayed_work_sync(&log->poll);
	amd_unit_control(unit, AMD_CTRL_EVENT_LOG | AMD_CTRL_EVENT_INT, 0);
	amd_log_read(unit);
	raw_spin_lock_irqsave(&log->lock, flags);
	log->on = false;
	raw_spin_unlock_irqrestore(&log->lock, flags);
}
