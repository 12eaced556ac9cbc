// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidation queue (VT-d r3.1, 6.5.2), and the registers in its place for
 * units that have none (6.5.1).
 *
 * Positions count descriptors since the queue was switched on and only grow;
 * a position's slot is its low bits, its lap the rest. Each wait descriptor
 * writes its lap plus one to its slot's status word, so nobody resets status
 * words, and any number of submitters wait without a lock. Commands of one
 * submission and its wait are queued together, so a wait that is complete
 * means that everything queued before it is.
 *
 * Errors (6.5.2.10): the unit stops at a bad descriptor (IQE), drops the
 * waits in flight when a device TLB does not answer (ITE). Whoever sees the
 * error clears it and counts it, and whoever had something in flight then
 * submits again. A wait that meets its deadline ends the queue: what was in
 * flight is not known to be done, and nothing after it would be.
 */
#include "vtd.h"

#include <linux/delay.h>
#include <linux/iopoll.h>

static u32 vtd_lap(u64 pos)
{
	return (u32)(pos >> VTD_QUEUE_LG2) + 1;
}

static unsigned int vtd_slot(u64 pos)
{
	return pos & (VTD_QUEUE_SIZE - 1);
}

static struct vtd_desc vtd_desc_wait(const struct vtd_unit *unit, u64 pos)
{
	return (struct vtd_desc) {
		.lo = cpu_to_le64(FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_WAIT) | VTD_WAIT_SW |
				  FIELD_PREP(VTD_WAIT_DATA, vtd_lap(pos))),
		.hi = cpu_to_le64(unit->queue.status_dma + vtd_slot(pos) * sizeof(u32)),
	};
}

struct vtd_desc vtd_desc_fence(const struct vtd_unit *unit)
{
	return (struct vtd_desc) {
		.lo = cpu_to_le64(FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_WAIT) |
				  VTD_WAIT_SW | VTD_WAIT_FN),
		.hi = cpu_to_le64(unit->queue.status_dma + VTD_QUEUE_SIZE * sizeof(u32)),
	};
}

struct vtd_desc vtd_desc_device_tlb(const struct omni_device *od, u64 page,
				    unsigned int lg2)
{
	const struct vtd_unit *unit = to_vtd_unit(od->unit);
	struct pci_dev *pdev = to_pci_dev(od->dev);
	u64 addr = page << VTD_PAGE_LG2;
	u64 lo = FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_DEVICE_TLB) |
		 FIELD_PREP(VTD_DEVTLB_QDEP, od->ats_depth & 31) |
		 FIELD_PREP(VTD_DEVTLB_SID, od->rid);

	if (unit->ecap & VTD_ECAP_DIT) {
		u16 pf = pci_dev_id(pci_physfn(pdev));

		lo |= FIELD_PREP(VTD_DEVTLB_PFSID_LO, pf & 15) |
		      FIELD_PREP(VTD_DEVTLB_PFSID_HI, pf >> 4);
	}
	/* The lowest clear address bit from bit 12 on tells the size. */
	if (lg2)
		addr |= ((BIT_ULL(lg2 - 1) - 1) << VTD_PAGE_LG2) | VTD_DEVTLB_HI_S;
	return (struct vtd_desc) {
		.lo = cpu_to_le64(lo),
		.hi = cpu_to_le64(addr),
	};
}

static void vtd_count(struct vtd_unit *unit, const struct vtd_desc *desc)
{
	struct omni_unit_counts *c = &unit->core.counts;
	u64 lo = le64_to_cpu(desc->lo);

	switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
	case VTD_DESC_CONTEXT:
		c->context++;
		break;
	case VTD_DESC_IOTLB:
		switch (FIELD_GET(VTD_DESC_G, lo)) {
		case VTD_G_GLOBAL:
			c->iotlb_global++;
			break;
		case VTD_G_DOMAIN:
			c->iotlb_domain++;
			break;
		default:
			c->iotlb_page++;
		}
		break;
	case VTD_DESC_DEVICE_TLB:
		c->device_tlb++;
		break;
	case VTD_DESC_WAIT:
		c->wait++;
		break;
	}
}

static void vtd_queue_die(struct vtd_unit *unit, const char *what)
{
	if (unit->queue.dead)
		return;
	unit->queue.dead = true;
	omni_unit_break(&unit->core, what);
}

static void vtd_device_error(const struct vtd_unit *unit, u16 rid, const char *what)
{
	pr_err_ratelimited("%s: the device TLB of %04x:%02x:%02x.%x %s\n", unit->core.name,
			   unit->drhd->segment, PCI_BUS_NUM(rid), PCI_SLOT(rid),
			   PCI_FUNC(rid), what);
}

/* 6.5.2.10: clear what the unit reports of its queue. Lock held. */
static void vtd_queue_recover(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;
	u32 fsts = vtd_read32(unit, VTD_FSTS);
	u64 record;

	lockdep_assert_held(&q->lock);
	if (!(fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE)))
		return;

	record = vtd_read64(unit, VTD_IQERCD);
	unit->core.counts.queue_errors++;
	q->errors++;

	if (fsts & VTD_FSTS_IQE) {
		unsigned int head = FIELD_GET(VTD_IQ_INDEX, vtd_read64(unit, VTD_IQH));
		struct vtd_desc *bad = &q->ring[head & (VTD_QUEUE_SIZE - 1)];

		pr_err_ratelimited("%s: invalidation queue error %llu at descriptor %u (%016llx %016llx): replaced and submitted again\n",
				   unit->core.name, FIELD_GET(VTD_IQERCD_IQEI, record), head,
				   le64_to_cpu(bad->hi), le64_to_cpu(bad->lo));
		*bad = vtd_desc_fence(unit);
		/* The unit reads the descriptor again when the error is cleared. */
		wmb();
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_IQE);
	}
	if (fsts & VTD_FSTS_ITE) {
		vtd_device_error(unit, FIELD_GET(VTD_IQERCD_ITESID, record),
				 "did not answer an invalidation: submitted again");
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_ITE);
	}
	if (fsts & VTD_FSTS_ICE) {
		vtd_device_error(unit, FIELD_GET(VTD_IQERCD_ICESID, record),
				 "completed an invalidation that nobody sent");
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_ICE);
	}
}

/* Wait for room for @nr descriptors. Lock held. */
static int vtd_queue_room(struct vtd_unit *unit, unsigned int nr)
{
	struct vtd_queue *q = &unit->queue;
	bool expired = false;
	u64 start = 0;

	while (q->tail - q->head + nr >= VTD_QUEUE_SIZE) {
		unsigned int head = FIELD_GET(VTD_IQ_INDEX, vtd_read64(unit, VTD_IQH));

		/* As far as the unit has fetched. */
		q->head = q->tail - vtd_slot(q->tail - head);
		if (q->tail - q->head + nr < VTD_QUEUE_SIZE)
			break;
		/* The head is read after the clock, as in vtd_wait_check(). */
		if (expired) {
			vtd_queue_die(unit, "the invalidation queue's content");
			return -ETIMEDOUT;
		}
		vtd_queue_recover(unit);
		expired = omni_expired(&start);
		cpu_relax();
	}
	return 0;
}

/* 10.4.7: the register's form of a context-cache invalidation. */
static int vtd_register_context(struct vtd_unit *unit, u64 lo)
{
	u64 value;

	vtd_write64(unit, VTD_CCMD, VTD_CCMD_ICC |
		    FIELD_PREP(VTD_CCMD_CIRG, FIELD_GET(VTD_DESC_G, lo)) |
		    FIELD_PREP(VTD_CCMD_FM, FIELD_GET(VTD_CONTEXT_FM, lo)) |
		    FIELD_PREP(VTD_CCMD_SID, FIELD_GET(VTD_CONTEXT_SID, lo)) |
		    FIELD_PREP(VTD_CCMD_DID, FIELD_GET(VTD_DESC_DID, lo)));
	return read_poll_timeout_atomic(vtd_read64, value, !(value & VTD_CCMD_ICC), 1,
					OMNI_DEADLINE_US, false, unit, VTD_CCMD);
}

/* 10.4.8: the registers' form of an IOTLB invalidation. */
static int vtd_register_iotlb(struct vtd_unit *unit, u64 lo, u64 hi)
{
	unsigned int regs = FIELD_GET(VTD_ECAP_IRO, unit->ecap) * 16;
	u64 value;

	if (FIELD_GET(VTD_DESC_G, lo) == VTD_G_PAGE)
		vtd_write64(unit, regs + VTD_IVA_REG, hi);
	value = VTD_IOTLB_REG_IVT |
		FIELD_PREP(VTD_IOTLB_REG_IIRG, FIELD_GET(VTD_DESC_G, lo)) |
		FIELD_PREP(VTD_IOTLB_REG_DID, FIELD_GET(VTD_DESC_DID, lo)) |
		FIELD_PREP(VTD_IOTLB_REG_DW, FIELD_GET(VTD_IOTLB_DW, lo)) |
		FIELD_PREP(VTD_IOTLB_REG_DR, FIELD_GET(VTD_IOTLB_DR, lo));
	vtd_write64(unit, regs + VTD_IOTLB_REG, value);
	return read_poll_timeout_atomic(vtd_read64, value, !(value & VTD_IOTLB_REG_IVT), 1,
					OMNI_DEADLINE_US, false, unit, regs + VTD_IOTLB_REG);
}

/* Lock held. Waits are no-ops here: each command completes before the next. */
static int vtd_register_commands(struct vtd_unit *unit,
				 const struct vtd_desc *descs, unsigned int nr)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < nr && !ret; i++) {
		u64 lo = le64_to_cpu(descs[i].lo);

		switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
		case VTD_DESC_CONTEXT:
			ret = vtd_register_context(unit, lo);
			break;
		case VTD_DESC_IOTLB:
			ret = vtd_register_iotlb(unit, lo, le64_to_cpu(descs[i].hi));
			break;
		case VTD_DESC_WAIT:
			continue;
		}
		vtd_count(unit, &descs[i]);
	}
	if (ret)
		vtd_queue_die(unit, "a register-based invalidation");
	return ret;
}

void vtd_submit(struct vtd_unit *unit, const struct vtd_desc *descs,
		unsigned int nr, struct omni_ticket *ticket)
{
	struct vtd_queue *q = &unit->queue;
	unsigned long flags;
	unsigned int i;
	int ret;

	ticket->done = true;
	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->dead) {
		ret = -EIO;
		goto out;
	}
	if (!q->on) {
		ret = vtd_register_commands(unit, descs, nr);
		goto out;
	}
	ret = vtd_queue_room(unit, nr + 1);
	if (ret)
		goto out;

	for (i = 0; i < nr; i++) {
		q->ring[vtd_slot(q->tail++)] = descs[i];
		vtd_count(unit, &descs[i]);
	}
	ticket->pos = q->tail;
	ticket->errors = q->errors;
	ticket->done = false;
	q->ring[vtd_slot(q->tail)] = vtd_desc_wait(unit, q->tail);
	vtd_count(unit, &q->ring[vtd_slot(q->tail)]);
	q->tail++;

	/* Orders the descriptors before the tail, as any register write does. */
	vtd_write64(unit, VTD_IQT, FIELD_PREP(VTD_IQ_INDEX, vtd_slot(q->tail)));
out:
	ticket->err = ret;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

static bool vtd_completed(const struct vtd_queue *q, u64 pos)
{
	return (s32)(READ_ONCE(q->status[vtd_slot(pos)]) - vtd_lap(pos)) >= 0;
}

/* The slow side of a wait: look for errors and at the clock. */
static int vtd_wait_check(struct vtd_unit *unit, const struct omni_ticket *ticket,
			  u64 *start)
{
	struct vtd_queue *q = &unit->queue;
	unsigned long flags;
	int ret = 0;

	raw_spin_lock_irqsave(&q->lock, flags);
	vtd_queue_recover(unit);
	if (q->errors != ticket->errors) {
		ret = -EAGAIN;
	} else if (q->dead) {
		ret = -EIO;
	} else if (omni_expired(start) && !vtd_completed(q, ticket->pos)) {
		/* Looked at after the clock: a stalled processor is no deadline missed. */
		vtd_queue_die(unit, "an invalidation");
		ret = -ETIMEDOUT;
	}
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

int vtd_wait(struct vtd_unit *unit, const struct omni_ticket *ticket)
{
	struct vtd_queue *q = &unit->queue;
	unsigned int spins = 0;
	u64 start = 0;
	int ret;

	if (ticket->done)
		return ticket->err;

	while (!vtd_completed(q, ticket->pos)) {
		if (!(++spins & 127)) {
			ret = vtd_wait_check(unit, ticket, &start);
			if (ret)
				return ret;
		}
		cpu_relax();
	}
	/* What the unit did is ordered before the status it wrote. */
	dma_rmb();
	return READ_ONCE(q->errors) == ticket->errors ? 0 : -EAGAIN;
}

int vtd_submit_wait(struct vtd_unit *unit, const struct vtd_desc *descs,
		    unsigned int nr)
{
	struct omni_ticket ticket;
	int i, ret = -EIO;

	for (i = 0; i <= OMNI_RETRIES; i++) {
		vtd_submit(unit, descs, nr, &ticket);
		ret = vtd_wait(unit, &ticket);
		if (ret != -EAGAIN)
			return ret;
	}
	return omni_give_up(&unit->core);
}

int vtd_queue_create(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;
	size_t status = (VTD_QUEUE_SIZE + 1) * sizeof(*q->status);

	raw_spin_lock_init(&q->lock);
	q->ring = (void *)get_zeroed_page(GFP_KERNEL);
	q->status = kzalloc(status, GFP_KERNEL);
	if (!q->ring || !q->status)
		return -ENOMEM;
	q->status_dma = virt_to_phys(q->status);
	return 0;
}

void vtd_queue_destroy(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;

	/* A queue that died may still be read by the unit. */
	if (q->dead)
		return;
	free_page((unsigned long)q->ring);
	kfree(q->status);
}

int vtd_queue_on(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;
	int ret;

	if (!(unit->ecap & VTD_ECAP_QI))
		return 0;
	q->tail = 0;
	q->head = 0;
	memset(q->status, 0, (VTD_QUEUE_SIZE + 1) * sizeof(*q->status));
	vtd_write64(unit, VTD_IQT, 0);
	/* QS = 0: one page of 256 descriptors of 128 bits. */
	vtd_write64(unit, VTD_IQA, virt_to_phys(q->ring));
	ret = vtd_unit_command(unit, VTD_G_QIE, true);
	q->on = !ret;
	return ret;
}

void vtd_queue_off(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;
	u64 head, tail;

	if (!q->on)
		return;
	tail = vtd_read64(unit, VTD_IQT);
	if (read_poll_timeout(vtd_read64, head, head == tail, 0, OMNI_DEADLINE_US, false,
			      unit, VTD_IQH))
		vtd_queue_die(unit, "the invalidation queue's content");
	vtd_unit_command(unit, VTD_G_QIE, false);
	q->on = false;
}
