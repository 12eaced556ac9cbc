// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidation queue (VT-d r3.1, 6.5.2), and the registers in its place for
 * units that have none (6.5.1).
 *
 * Positions count descriptors since the queue was switched on; a position's slot
 * is its low bits, its lap the rest. A wait is known by the position behind it,
 * and writes that one's lap plus one to its slot's status word, so nobody resets
 * status words, and any number of submitters wait without a lock. A wait that is
 * complete means that everything queued before it is (include/queue.h).
 *
 * Errors (6.5.2.10): the unit stops at a bad descriptor (IQE), drops the
 * waits in flight when a device TLB does not answer (ITE). Whoever sees the
 * error clears it and counts it, and whoever had something in flight then
 * submits again. A wait that meets its deadline ends the queue: what was in
 * flight is not known to be done, and nothing after it would be.
 */
#include "vtd.h"

#include <linux/iopoll.h>

static u32 vtd_lap(u64 pos)
{
	return (u32)(pos >> VTD_QUEUE_LG2) + 1;
}

static unsigned int vtd_slot(u64 pos)
{
	return pos & (VTD_QUEUE_SIZE - 1);
}

/* The wait in front of a position. */
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

static __always_inline void vtd_count(struct vtd_unit *unit, u64 lo)
{
	struct omni_unit_counts *c = &unit->core.counts;

	switch (lo & (VTD_DESC_TYPE | VTD_DESC_G)) {
	case FIELD_PREP_CONST(VTD_DESC_TYPE, VTD_DESC_IOTLB) |
	     FIELD_PREP_CONST(VTD_DESC_G, VTD_G_PAGE):
		c->iotlb_page++;
		return;
	case FIELD_PREP_CONST(VTD_DESC_TYPE, VTD_DESC_IOTLB) |
	     FIELD_PREP_CONST(VTD_DESC_G, VTD_G_DOMAIN):
		c->iotlb_domain++;
		return;
	case FIELD_PREP_CONST(VTD_DESC_TYPE, VTD_DESC_IOTLB) |
	     FIELD_PREP_CONST(VTD_DESC_G, VTD_G_GLOBAL):
		c->iotlb_global++;
		return;
	}
	switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
	case VTD_DESC_CONTEXT:
		c->context++;
		break;
	case VTD_DESC_DEVICE_TLB:
		c->device_tlb++;
		break;
	case VTD_DESC_WAIT:
		c->wait++;
		break;
	}
}

static void vtd_device_error(const struct vtd_unit *unit, u16 rid, const char *what)
{
	pr_err_ratelimited("%s: the device TLB of %04x:%02x:%02x.%x %s\n", unit->core.name,
			   unit->drhd->segment, PCI_BUS_NUM(rid), PCI_SLOT(rid),
			   PCI_FUNC(rid), what);
}

/* 6.5.2.10: clear what the unit reports of its queue. Lock held. */
static void vtd_queue_recover(struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	u32 fsts = vtd_read32(unit, VTD_FSTS);
	u64 record;

	lockdep_assert_held(&core->queue.lock);
	if (!(fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE | VTD_FSTS_ICE)))
		return;

	record = vtd_read64(unit, VTD_IQERCD);
	core->counts.queue_errors++;
	core->queue.errors++;

	if (fsts & VTD_FSTS_IQE) {
		unsigned int head = FIELD_GET(VTD_IQ_INDEX, vtd_read64(unit, VTD_IQH));
		struct vtd_desc *bad = &unit->queue.ring[head & (VTD_QUEUE_SIZE - 1)];

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

static __always_inline void vtd_queue_end(struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	struct omni_queue *q = &core->queue;
	u64 pos = q->tail;

	unit->queue.ring[vtd_slot(pos)] = vtd_desc_wait(unit, pos + 1);
	core->counts.wait++;
	q->tail = ++pos;
	q->ended = pos;
	/* Orders the descriptors before the tail, as any register write does. */
	vtd_write64(unit, VTD_IQT, FIELD_PREP(VTD_IQ_INDEX, vtd_slot(pos)));
}

static u64 vtd_queue_consumed(struct omni_unit *core)
{
	struct omni_queue *q = &core->queue;
	unsigned int head = FIELD_GET(VTD_IQ_INDEX, vtd_read64(to_vtd_unit(core), VTD_IQH));
	u64 pos = q->tail - vtd_slot(q->tail - head);

	atomic64_set(&q->head, pos);
	return pos;
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
static int vtd_register_commands(struct omni_unit *core, const struct omni_ticket *ticket)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	const struct vtd_desc *descs = ticket->cmds;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ticket->nr && !ret; i++) {
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
		vtd_count(unit, le64_to_cpu(descs[i].lo));
	}
	if (ret)
		omni_queue_die(core, "a register-based invalidation");
	return ret;
}

static __always_inline void vtd_queue_put(struct omni_unit *core, struct omni_ticket *ticket)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	const struct vtd_desc *descs = ticket->cmds;
	struct vtd_desc *ring = unit->queue.ring;
	u64 pos = core->queue.tail;
	unsigned int i;

	for (i = 0; i < ticket->nr; i++) {
		ring[vtd_slot(pos++)] = descs[i];
		vtd_count(unit, le64_to_cpu(descs[i].lo));
	}
	core->queue.tail = pos;
}

static __always_inline bool vtd_completed(const struct vtd_queue *q, u64 pos)
{
	return (s32)(READ_ONCE(q->status[vtd_slot(pos)]) - vtd_lap(pos)) >= 0;
}

/* No word has that lap before that wait, or a later one, is over. */
static __always_inline bool vtd_queue_completed(struct omni_unit *core, u64 pos)
{
	return vtd_completed(&to_vtd_unit(core)->queue, pos);
}

static int vtd_queue_wait(struct omni_unit *core, const struct omni_ticket *ticket)
{
	return vtd_wait(to_vtd_unit(core), ticket);
}

const struct omni_queue_ops vtd_queue_ops = {
	.put = vtd_queue_put,
	.end = vtd_queue_end,
	.consumed = vtd_queue_consumed,
	.recover = vtd_queue_recover,
	.direct = vtd_register_commands,
	.completed = vtd_queue_completed,
	.wait = vtd_queue_wait,
	.content = "the invalidation queue's content",
};

void vtd_submit(struct vtd_unit *unit, const struct vtd_desc *descs,
		unsigned int nr, struct omni_ticket *ticket)
{
	omni_queue_submit(&unit->core, &vtd_queue_ops, descs, nr, ticket);
}

int vtd_wait(struct vtd_unit *unit, const struct omni_ticket *ticket)
{
	int ret;

	if (unlikely(ticket->done))
		return ticket->err;
	if (!vtd_completed(&unit->queue, ticket->pos)) {
		ret = omni_queue_wait(&unit->core, ticket);
		if (ret)
			return ret;
	}
	/* What the unit did is ordered before the status it wrote. */
	dma_rmb();
	return likely(READ_ONCE(unit->core.queue.errors) == ticket->errors) ? 0 : -EAGAIN;
}

int vtd_queue_create(struct vtd_unit *unit)
{
	struct vtd_queue *q = &unit->queue;
	size_t status = (VTD_QUEUE_SIZE + 1) * sizeof(*q->status);

	/* A queue whose tail is its head is empty. */
	omni_queue_init(&unit->core.queue, VTD_QUEUE_SIZE - 1);
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
	if (unit->core.queue.dead)
		return;
	free_page((unsigned long)q->ring);
	kfree(q->status);
}

int vtd_queue_on(struct vtd_unit *unit)
{
	struct omni_queue *q = &unit->core.queue;
	int ret;

	if (!(unit->ecap & VTD_ECAP_QI))
		return 0;
	q->tail = 0;
	q->ended = 0;
	atomic64_set(&q->head, 0);
	memset(unit->queue.status, 0, (VTD_QUEUE_SIZE + 1) * sizeof(*unit->queue.status));
	vtd_write64(unit, VTD_IQT, 0);
	/* QS = 0: one page of 256 descriptors of 128 bits. */
	vtd_write64(unit, VTD_IQA, virt_to_phys(unit->queue.ring));
	ret = vtd_unit_command(unit, VTD_G_QIE, true);
	q->on = !ret;
	return ret;
}

void vtd_queue_off(struct vtd_unit *unit)
{
	if (!unit->core.queue.on)
		return;
	omni_queue_drain(&unit->core);
	vtd_unit_command(unit, VTD_G_QIE, false);
	unit->core.queue.on = false;
}
