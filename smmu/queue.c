// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command queue (IHI 0070, 3.5, 4.6 and 7.1).
 *
 * Positions count commands since the queue was switched on and only grow; a
 * position's slot is its low bits. The unit consumes in order, and a CMD_SYNC
 * only when what stands before it is complete. So a submission is complete
 * when the unit has consumed the CMD_SYNC that ends it, and any number of
 * submitters wait for that without a lock: each turns the register, which has
 * one bit more than a slot's number, into a position.
 *
 * Errors (7.1): the unit stops at a command it can't carry out. Whoever sees
 * that puts a CMD_SYNC in its place, counts the error and lets the unit go
 * on, and whoever had something in flight then submits again. A wait that
 * meets its deadline ends the queue: what was in flight is not known to be
 * done, and nothing after it would be.
 */
#include "smmu.h"

static u64 smmu_slots(const struct smmu_queue *q)
{
	return BIT_ULL(q->lg2);
}

static struct smmu_cmd *smmu_slot(const struct smmu_queue *q, u64 pos)
{
	return &q->ring[pos & (smmu_slots(q) - 1)];
}

/* Slot and the lap's lowest bit, as PROD and CONS have them. */
static u32 smmu_index(const struct smmu_queue *q, u64 pos)
{
	return pos & (2 * smmu_slots(q) - 1);
}

static struct smmu_cmd smmu_cmd_sync(void)
{
	return (struct smmu_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(SMMU_CMD_OP, SMMU_OP_SYNC) |
				  FIELD_PREP(SMMU_SYNC_CS, SMMU_CS_NONE)),
	};
}

static void smmu_count(struct smmu_unit *unit, const struct smmu_cmd *cmd)
{
	struct omni_unit_counts *c = &unit->core.counts;

	switch (FIELD_GET(SMMU_CMD_OP, le64_to_cpu(cmd->lo))) {
	case SMMU_OP_CFGI_STE:
	case SMMU_OP_CFGI_RANGE:
		c->context++;
		break;
	case SMMU_OP_TLBI_EL2_ALL:
	case SMMU_OP_TLBI_NSNH_ALL:
		c->iotlb_global++;
		break;
	case SMMU_OP_TLBI_NH_ASID:
	case SMMU_OP_TLBI_S12_VMALL:
		c->iotlb_domain++;
		break;
	case SMMU_OP_TLBI_NH_VA:
	case SMMU_OP_TLBI_S2_IPA:
		c->iotlb_page++;
		break;
	case SMMU_OP_ATC_INV:
		c->device_tlb++;
		break;
	case SMMU_OP_SYNC:
		c->wait++;
		break;
	}
}

/*
 * The position the unit has consumed up to. What the register says is less
 * than a lap ahead of a head that did not move while it was read, since no
 * submitter goes further.
 */
static u64 smmu_consumed(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;
	u64 head, again;
	u32 ahead;

	again = atomic64_read(&q->head);
	do {
		head = again;
		ahead = smmu_index(q, smmu_read32(unit, SMMU_CMDQ_CONS) - head);
		/* The register is read before the head is looked at again. */
		smp_rmb();
		again = atomic64_read(&q->head);
	} while (again != head);

	/* Whoever is ahead of us has said more than we could. */
	if (ahead)
		atomic64_cmpxchg(&q->head, head, head + ahead);
	return head + ahead;
}

static void smmu_queue_die(struct smmu_unit *unit, const char *what)
{
	if (unit->queue.dead)
		return;
	unit->queue.dead = true;
	omni_unit_break(&unit->core, what);
}

/* 7.1: what the unit reports of its queue. Lock held. */
static void smmu_queue_recover(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;
	u32 acked = smmu_read32(unit, SMMU_GERRORN);
	struct smmu_cmd *bad;
	u32 cons, reason;

	lockdep_assert_held(&q->lock);
	/* An error is active while the two registers differ in its bit. */
	if (!((smmu_read32(unit, SMMU_GERROR) ^ acked) & SMMU_GERROR_CMDQ))
		return;

	cons = smmu_read32(unit, SMMU_CMDQ_CONS);
	reason = FIELD_GET(SMMU_CMDQ_CONS_ERR, cons);
	bad = smmu_slot(q, cons);
	unit->core.counts.queue_errors++;
	q->errors++;

	switch (reason) {
	case SMMU_CERROR_ATC_INV:
		pr_err_ratelimited("%s: a device TLB did not answer an invalidation: submitted again\n",
				   unit->core.name);
		break;
	case SMMU_CERROR_ABT:
		pr_err_ratelimited("%s: its command queue could not be read: submitted again\n",
				   unit->core.name);
		break;
	default:
		pr_err_ratelimited("%s: command queue error %u at %#x (%016llx %016llx): replaced and submitted again\n",
				   unit->core.name, reason, cons, le64_to_cpu(bad->hi),
				   le64_to_cpu(bad->lo));
		*bad = smmu_cmd_sync();
		smmu_clean(unit, bad, sizeof(*bad));
		break;
	}
	/* The unit reads the command again when it goes on. */
	smmu_write32(unit, SMMU_GERRORN, acked ^ SMMU_GERROR_CMDQ);
}

void smmu_queue_error(struct smmu_unit *unit)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&unit->queue.lock, flags);
	smmu_queue_recover(unit);
	raw_spin_unlock_irqrestore(&unit->queue.lock, flags);
}

/* Wait for room for @nr commands. Lock held. */
static int smmu_queue_room(struct smmu_unit *unit, unsigned int nr)
{
	struct smmu_queue *q = &unit->queue;
	bool expired = false;
	u64 start = 0;

	if (q->tail - atomic64_read(&q->head) + nr <= smmu_slots(q))
		return 0;
	while (q->tail - smmu_consumed(unit) + nr > smmu_slots(q)) {
		/* The head is read after the clock, as in smmu_wait_check(). */
		if (expired) {
			smmu_queue_die(unit, "the command queue's content");
			return -ETIMEDOUT;
		}
		smmu_queue_recover(unit);
		expired = omni_expired(&start);
		cpu_relax();
	}
	return 0;
}

static void smmu_put(struct smmu_unit *unit, struct smmu_cmd cmd)
{
	struct smmu_queue *q = &unit->queue;
	struct smmu_cmd *slot = smmu_slot(q, q->tail++);

	*slot = cmd;
	smmu_clean(unit, slot, sizeof(*slot));
	smmu_count(unit, &cmd);
}

void smmu_submit(struct smmu_unit *unit, const struct smmu_cmd *cmds, unsigned int nr,
		 struct omni_ticket *ticket)
{
	struct smmu_queue *q = &unit->queue;
	unsigned long flags;
	unsigned int i;

	*ticket = (struct omni_ticket) { .done = true };
	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->dead)
		ticket->err = -EIO;
	/* Off, over a suspend: it forgets everything before it goes on again. */
	else if (q->on)
		ticket->err = smmu_queue_room(unit, nr + 1);
	if (ticket->err || !q->on)
		goto out;
	for (i = 0; i < nr; i++)
		smmu_put(unit, cmds[i]);
	smmu_put(unit, smmu_cmd_sync());
	ticket->pos = q->tail;
	ticket->errors = q->errors;
	ticket->done = false;

	/* Orders the commands before the index, as any register write does. */
	smmu_write32(unit, SMMU_CMDQ_PROD, smmu_index(q, q->tail));
out:
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

static bool smmu_completed(struct smmu_unit *unit, u64 pos)
{
	return (u64)atomic64_read(&unit->queue.head) >= pos || smmu_consumed(unit) >= pos;
}

/* The slow side of a wait: look for errors and at the clock. */
static int smmu_wait_check(struct smmu_unit *unit, const struct omni_ticket *ticket,
			   u64 *start)
{
	struct smmu_queue *q = &unit->queue;
	unsigned long flags;
	int ret = 0;

	raw_spin_lock_irqsave(&q->lock, flags);
	smmu_queue_recover(unit);
	if (q->errors != ticket->errors) {
		ret = -EAGAIN;
	} else if (q->dead) {
		ret = -EIO;
	} else if (omni_expired(start) && !smmu_completed(unit, ticket->pos)) {
		/* Looked at after the clock: a stalled processor is no deadline missed. */
		smmu_queue_die(unit, "an invalidation");
		ret = -ETIMEDOUT;
	}
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

int smmu_wait(struct smmu_unit *unit, const struct omni_ticket *ticket)
{
	unsigned int spins = 0;
	u64 start = 0;
	int ret;

	if (ticket->done)
		return ticket->err;

	while (!smmu_completed(unit, ticket->pos)) {
		if (!(++spins & 127)) {
			ret = smmu_wait_check(unit, ticket, &start);
			if (ret)
				return ret;
		}
		cpu_relax();
	}
	/* What the unit did is ordered before the index that says so. */
	dma_rmb();
	return READ_ONCE(unit->queue.errors) == ticket->errors ? 0 : -EAGAIN;
}

int smmu_submit_wait(struct smmu_unit *unit, const struct smmu_cmd *cmds, unsigned int nr)
{
	struct omni_ticket ticket;
	int i, ret;

	for (i = 0; i <= OMNI_RETRIES; i++) {
		smmu_submit(unit, cmds, nr, &ticket);
		ret = smmu_wait(unit, &ticket);
		if (ret != -EAGAIN)
			return ret;
	}
	return omni_give_up(&unit->core);
}

int smmu_queue_create(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	raw_spin_lock_init(&q->lock);
	q->lg2 = min(FIELD_GET(SMMU_IDR1_CMDQS, unit->idr1), SMMU_QUEUE_LG2_MAX);
	/* Naturally aligned, as the unit wants it. */
	q->ring = alloc_pages_exact(PAGE_ALIGN(smmu_slots(q) * sizeof(*q->ring)),
				    GFP_KERNEL | __GFP_ZERO);
	return q->ring ? 0 : -ENOMEM;
}

void smmu_queue_destroy(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	/* A queue that died may still be read by the unit. */
	if (q->dead || !q->ring)
		return;
	free_pages_exact(q->ring, PAGE_ALIGN(smmu_slots(q) * sizeof(*q->ring)));
}

void smmu_queue_setup(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	q->tail = 0;
	atomic64_set(&q->head, 0);
	smmu_write64(unit, SMMU_CMDQ_BASE, SMMU_QUEUE_BASE_RWA | virt_to_phys(q->ring) |
		     FIELD_PREP(SMMU_QUEUE_BASE_LOG2, q->lg2));
	smmu_write32(unit, SMMU_CMDQ_PROD, 0);
	smmu_write32(unit, SMMU_CMDQ_CONS, 0);
}

void smmu_queue_stop(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	if (!q->on)
		return;
	/* A CMD_SYNC alone: whatever stands before it is complete with it. */
	smmu_submit_wait(unit, NULL, 0);
	q->on = false;
}
