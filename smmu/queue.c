// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command queue (IHI 0070, 3.5, 4.6 and 7.1).
 *
 * Positions count commands since the queue was switched on. The unit consumes
 * in order, and a CMD_SYNC only when what stands before it is complete. So a
 * submission is complete when the unit has consumed the CMD_SYNC that ends it,
 * and maybe others with it (include/queue.h). Any number of submitters wait for that without
 * a lock: each turns the register, which has one bit more than a slot's
 * number, into a position. A unit that can send messages, coherently, writes
 * the position behind the CMD_SYNC to memory instead, to a word of the slot,
 * so that nobody has to go to the register for it but now and then. Whoever
 * has waited for a while sleeps until an event, where that is safe: the write
 * to memory is one, and other units can be told to send one.
 *
 * Errors (7.1): the unit stops at a command it can't carry out. Whoever sees
 * that puts a CMD_SYNC in its place, counts the error and lets the unit go
 * on, and whoever had something in flight then submits again. A wait that
 * meets its deadline ends the queue: what was in flight is not known to be
 * done, and nothing after it would be.
 */
#include "smmu.h"

#include <linux/slab.h>

/* Looks before a wait sleeps: most are over by then. */
#define SMMU_SPINS	64

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

/* Where the unit writes a position. */
static u32 *smmu_synced(const struct smmu_queue *q, u64 pos)
{
	return &q->synced[(pos - 1) & (smmu_slots(q) - 1)];
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
	atomic64_t *known = &unit->core.queue.head;
	u64 head, again;
	u32 ahead;

	again = atomic64_read(known);
	do {
		head = again;
		ahead = smmu_index(q, smmu_read32(unit, SMMU_CMDQ_CONS) - head);
		/* The register is read before the head is looked at again. */
		smp_rmb();
		again = atomic64_read(known);
	} while (again != head);

	/* Whoever is ahead of us has said more than we could. */
	if (ahead)
		atomic64_cmpxchg(known, head, head + ahead);
	return head + ahead;
}

/* 7.1: what the unit reports of its queue. Lock held. */
static void smmu_queue_recover(struct omni_unit *core)
{
	struct smmu_unit *unit = to_smmu_unit(core);
	u32 acked = smmu_read32(unit, SMMU_GERRORN);
	struct smmu_cmd *bad;
	u32 cons, reason;

	lockdep_assert_held(&core->queue.lock);
	/* An error is active while the two registers differ in its bit. */
	if (!((smmu_read32(unit, SMMU_GERROR) ^ acked) & SMMU_GERROR_CMDQ))
		return;

	cons = smmu_read32(unit, SMMU_CMDQ_CONS);
	reason = FIELD_GET(SMMU_CMDQ_CONS_ERR, cons);
	bad = smmu_slot(&unit->queue, cons);
	core->counts.queue_errors++;
	core->queue.errors++;

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
	struct omni_queue *q = &unit->core.queue;
	unsigned long flags;

	raw_spin_lock_irqsave(&q->lock, flags);
	smmu_queue_recover(&unit->core);
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

/* 4.6.3: the CMD_SYNC in front of a position. */
static struct smmu_cmd smmu_cmd_end(const struct smmu_queue *q, u64 pos)
{
	struct smmu_cmd cmd = smmu_cmd_sync();

	if (!q->synced) {
		if (q->dozes)
			cmd.lo |= cpu_to_le64(FIELD_PREP(SMMU_SYNC_CS, SMMU_CS_SEV));
		return cmd;
	}
	cmd.lo = cpu_to_le64(FIELD_PREP(SMMU_CMD_OP, SMMU_OP_SYNC) |
			     FIELD_PREP(SMMU_SYNC_CS, SMMU_CS_IRQ) |
			     FIELD_PREP(SMMU_SYNC_MSH, SMMU_SH_INNER) |
			     FIELD_PREP(SMMU_SYNC_MSIATTR, SMMU_SYNC_CACHED) |
			     FIELD_PREP(SMMU_SYNC_MSIDATA, lower_32_bits(pos)));
	cmd.hi = cpu_to_le64(virt_to_phys(smmu_synced(q, pos)) & SMMU_SYNC_HI_MSIADDR);
	return cmd;
}

/* Write back what was put from a position on, each line once. */
static void smmu_put_clean(struct smmu_unit *unit, u64 first, u64 last)
{
	struct smmu_queue *q = &unit->queue;
	u64 end;

	for (; first < last; first = end) {
		/* A ring may end between. */
		end = min(last, (first | (smmu_slots(q) - 1)) + 1);
		smmu_clean(unit, smmu_slot(q, first), (end - first) * sizeof(*q->ring));
	}
}

static __always_inline void smmu_queue_end(struct omni_unit *core)
{
	struct smmu_unit *unit = to_smmu_unit(core);
	struct omni_queue *q = &core->queue;
	u64 pos = q->tail;

	*smmu_slot(&unit->queue, pos) = smmu_cmd_end(&unit->queue, pos + 1);
	core->counts.wait++;
	q->tail = ++pos;
	smmu_put_clean(unit, q->ended, pos);
	q->ended = pos;
	/* Orders the commands before the index, as any register write does. */
	smmu_write32(unit, SMMU_CMDQ_PROD, smmu_index(&unit->queue, pos));
}

static u64 smmu_queue_consumed(struct omni_unit *core)
{
	return smmu_consumed(to_smmu_unit(core));
}

static __always_inline void smmu_queue_put(struct omni_unit *core, struct omni_ticket *ticket)
{
	struct smmu_unit *unit = to_smmu_unit(core);
	const struct smmu_cmd *cmds = ticket->cmds;
	u64 pos = core->queue.tail;
	unsigned int i;

	for (i = 0; i < ticket->nr; i++) {
		*smmu_slot(&unit->queue, pos++) = cmds[i];
		smmu_count(unit, &cmds[i]);
	}
	core->queue.tail = pos;
}

static bool smmu_completed(struct omni_unit *core, u64 pos)
{
	return (u64)atomic64_read(&core->queue.head) >= pos ||
	       smmu_consumed(to_smmu_unit(core)) >= pos;
}

static int smmu_queue_wait(struct omni_unit *core, const struct omni_ticket *ticket)
{
	return smmu_wait(to_smmu_unit(core), ticket);
}

const struct omni_queue_ops smmu_queue_ops = {
	.put = smmu_queue_put,
	.end = smmu_queue_end,
	.consumed = smmu_queue_consumed,
	.recover = smmu_queue_recover,
	.completed = smmu_completed,
	.wait = smmu_queue_wait,
	.content = "the command queue's content",
};

void smmu_submit(struct smmu_unit *unit, const struct smmu_cmd *cmds, unsigned int nr,
		 struct omni_ticket *ticket)
{
	omni_queue_submit(&unit->core, &smmu_queue_ops, cmds, nr, ticket);
}

/* Is a position written? It may be one of a later lap. */
static bool smmu_reached(u32 value, u64 pos)
{
	return (s32)(value - (u32)pos) >= 0;
}

/* The quick look of a wait. */
static bool smmu_signalled(struct smmu_unit *unit, u64 pos)
{
	const struct smmu_queue *q = &unit->queue;

	return q->synced ? smmu_reached(READ_ONCE(*smmu_synced(q, pos)), pos) :
			   smmu_completed(&unit->core, pos);
}

/*
 * Let some time pass after a look that found nothing. An event that came since
 * then ends a doze at once: nothing in between may wait for any.
 */
static void smmu_pause(struct smmu_unit *unit, u64 pos, bool doze)
{
	struct smmu_queue *q = &unit->queue;
	u32 value;

	if (!doze) {
		cpu_relax();
	} else if (!q->synced) {
		smmu_doze(unit, NULL, 0);
	} else {
		value = READ_ONCE(*smmu_synced(q, pos));
		if (!smmu_reached(value, pos))
			smmu_doze(unit, smmu_synced(q, pos), value);
	}
}

int smmu_wait(struct smmu_unit *unit, const struct omni_ticket *ticket)
{
	const struct smmu_queue *q = &unit->queue;
	struct omni_deadline deadline = { };
	unsigned int spins = 0;
	int ret;

	if (ticket->done)
		return ticket->err;

	while (!smmu_signalled(unit, ticket->pos)) {
		bool doze = q->dozes && spins >= SMMU_SPINS;

		smmu_pause(unit, ticket->pos, doze);
		if (!(++spins & 127) || doze) {
			/* A write that got lost is no command that was not carried out. */
			if (q->synced && smmu_completed(&unit->core, ticket->pos))
				break;
			ret = omni_queue_try_check(&unit->core, ticket, &deadline);
			if (ret)
				return ret;
		}
	}
	/* What the unit did is ordered before the index that says so. */
	dma_rmb();
	return READ_ONCE(unit->core.queue.errors) == ticket->errors ? 0 : -EAGAIN;
}

int smmu_queue_create(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	q->lg2 = min(FIELD_GET(SMMU_IDR1_CMDQS, unit->idr1), SMMU_QUEUE_LG2_MAX);
	omni_queue_init(&unit->core.queue, smmu_slots(q));
	/* Naturally aligned, as the unit wants it. */
	q->ring = alloc_pages_exact(PAGE_ALIGN(smmu_slots(q) * sizeof(*q->ring)),
				    GFP_KERNEL | __GFP_ZERO);
	if (!q->ring)
		return -ENOMEM;
	q->dozes = unit->idr0 & SMMU_IDR0_SEV && smmu_can_doze(unit);
	/* What it writes has to be seen without looking past the caches. */
	if (!(unit->idr0 & SMMU_IDR0_MSI) || !unit->coherent)
		return 0;
	q->dozes = smmu_can_doze(unit);
	q->synced = kcalloc(smmu_slots(q), sizeof(*q->synced), GFP_KERNEL);
	return q->synced ? 0 : -ENOMEM;
}

void smmu_queue_destroy(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	/* A queue that died may still be read by the unit. */
	if (unit->core.queue.dead || !q->ring)
		return;
	free_pages_exact(q->ring, PAGE_ALIGN(smmu_slots(q) * sizeof(*q->ring)));
	kfree(q->synced);
}

void smmu_queue_setup(struct smmu_unit *unit)
{
	struct smmu_queue *q = &unit->queue;

	unit->core.queue.tail = 0;
	unit->core.queue.ended = 0;
	atomic64_set(&unit->core.queue.head, 0);
	if (q->synced)
		memset(q->synced, 0, smmu_slots(q) * sizeof(*q->synced));
	smmu_write64(unit, SMMU_CMDQ_BASE, SMMU_QUEUE_BASE_RWA | virt_to_phys(q->ring) |
		     FIELD_PREP(SMMU_QUEUE_BASE_LOG2, q->lg2));
	smmu_write32(unit, SMMU_CMDQ_PROD, 0);
	smmu_write32(unit, SMMU_CMDQ_CONS, 0);
}

void smmu_queue_stop(struct smmu_unit *unit)
{
	if (!unit->core.queue.on)
		return;
	/* A CMD_SYNC alone: whatever stands before it is complete with it. */
	omni_submit_wait(&unit->core, NULL, 0);
	unit->core.queue.on = false;
}
