// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command buffer (48882 r3.08, 2.4).
 *
 * A completion wait stores the position behind it to one word. The unit completes
 * waits in order and positions only grow, so whoever waits compares the word with
 * a position, without a lock, and a wait that is over means that everything
 * queued before it is (include/queue.h).
 *
 * Errors come through the event log: the unit stops at an illegal command
 * (2.5.6) and forgets a device that does not answer an invalidation (2.5.8).
 * Whoever sees that starts the buffer again, empty, and counts it, and
 * whoever had something in flight then submits again. A wait that meets its
 * deadline ends the queue: what was in flight is not known to be done, and
 * nothing after it would be.
 */
#include "amd.h"

#include <linux/iopoll.h>
#include <linux/slab.h>

static unsigned int amd_slot(u64 pos)
{
	return pos & (AMD_RING_SIZE - 1);
}

static struct amd_cmd amd_cmd_wait(const struct amd_unit *unit, u64 pos)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_WAIT) | AMD_WAIT_S |
				  unit->queue.done_dma),
		.hi = cpu_to_le64(pos),
	};
}

/* Counts, and tells whether the command is for a device TLB. */
static bool amd_count(struct amd_unit *unit, const struct amd_cmd *cmd)
{
	struct omni_unit_counts *c = &unit->core.counts;
	u64 hi = le64_to_cpu(cmd->hi);

	switch (FIELD_GET(AMD_CMD_OP, le64_to_cpu(cmd->lo))) {
	case AMD_CMD_DEVTAB:
		c->context++;
		break;
	case AMD_CMD_PAGES:
		if ((hi & AMD_PAGES_HI_ADDR) == AMD_PAGES_HI_EVERYTHING)
			c->iotlb_domain++;
		else
			c->iotlb_page++;
		break;
	case AMD_CMD_ALL:
		c->iotlb_global++;
		break;
	case AMD_CMD_IOTLB:
		c->device_tlb++;
		return true;
	case AMD_CMD_WAIT:
		c->wait++;
		break;
	}
	return false;
}

/* An empty buffer: what was in flight is dropped. The buffer is off. */
static void amd_queue_empty(struct amd_unit *unit)
{
	struct omni_queue *q = &unit->core.queue;
	u64 slot = FIELD_PREP(AMD_RING_INDEX, amd_slot(q->tail));

	atomic64_set(&q->head, q->tail);
	q->ended = q->tail;
	amd_write64(unit, AMD_CMD_HEAD, slot);
	amd_write64(unit, AMD_CMD_TAIL, slot);
}

/* See what the unit says of its commands, and start it again. Lock held. */
static void amd_queue_recover(struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);
	unsigned int errors;
	bool runs;

	lockdep_assert_held(&core->queue.lock);
	if (!core->queue.on)
		return;
	errors = amd_log_errors(unit);
	runs = amd_read64(unit, AMD_STATUS) & AMD_STATUS_CMD_RUN;
	if (errors == unit->queue.heard && runs)
		return;

	unit->queue.heard = errors;
	core->queue.errors++;
	core->counts.queue_errors++;
	if (runs)
		return;
	amd_unit_control(unit, AMD_CTRL_CMDBUF, 0);
	amd_queue_empty(unit);
	amd_unit_control(unit, 0, AMD_CTRL_CMDBUF);
}

static __always_inline void amd_queue_end(struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);
	struct omni_queue *q = &core->queue;
	u64 pos = q->tail;

	unit->queue.ring[amd_slot(pos)] = amd_cmd_wait(unit, pos + 1);
	core->counts.wait++;
	q->tail = ++pos;
	q->ended = pos;
	/* Orders the commands before the tail, as any register write does. */
	amd_write64(unit, AMD_CMD_TAIL, FIELD_PREP(AMD_RING_INDEX, amd_slot(pos)));
}

static u64 amd_queue_consumed(struct omni_unit *core)
{
	struct omni_queue *q = &core->queue;
	unsigned int head = FIELD_GET(AMD_RING_INDEX,
				      amd_read64(to_amd_unit(core), AMD_CMD_HEAD));
	u64 pos = q->tail - amd_slot(q->tail - head);

	atomic64_set(&q->head, pos);
	return pos;
}

static __always_inline void amd_queue_put(struct omni_unit *core, struct omni_ticket *ticket)
{
	struct amd_unit *unit = to_amd_unit(core);
	const struct amd_cmd *cmds = ticket->cmds;
	struct amd_cmd *ring = unit->queue.ring;
	u64 pos = core->queue.tail;
	bool device_tlb = false;
	unsigned int i;

	for (i = 0; i < ticket->nr; i++) {
		ring[amd_slot(pos++)] = cmds[i];
		device_tlb |= amd_count(unit, &cmds[i]);
	}
	core->queue.tail = pos;
	ticket->device_tlb = device_tlb;
	ticket->lost = READ_ONCE(unit->log.lost);
}

static __always_inline bool amd_completed(const struct amd_queue *q, u64 pos)
{
	return (s64)(le64_to_cpu(READ_ONCE(*q->done)) - pos) >= 0;
}

static bool amd_queue_completed(struct omni_unit *core, u64 pos)
{
	return amd_completed(&to_amd_unit(core)->queue, pos);
}

static int amd_queue_wait(struct omni_unit *core, const struct omni_ticket *ticket)
{
	return amd_wait(to_amd_unit(core), ticket);
}

const struct omni_queue_ops amd_queue_ops = {
	.put = amd_queue_put,
	.end = amd_queue_end,
	.consumed = amd_queue_consumed,
	.recover = amd_queue_recover,
	.completed = amd_queue_completed,
	.wait = amd_queue_wait,
	.content = "the command buffer's content",
};

void amd_submit(struct amd_unit *unit, const struct amd_cmd *cmds,
		unsigned int nr, struct omni_ticket *ticket)
{
	omni_queue_submit(&unit->core, &amd_queue_ops, cmds, nr, ticket);
}

int amd_wait(struct amd_unit *unit, const struct omni_ticket *ticket)
{
	struct omni_deadline deadline = { };
	int ret;

	if (unlikely(ticket->done))
		return ticket->err;
	if (!amd_completed(&unit->queue, ticket->pos)) {
		ret = omni_queue_wait(&unit->core, ticket);
		if (ret)
			return ret;
	}
	/* What the unit did is ordered before the position it stored. */
	dma_rmb();
	/* A device TLB that did not answer shows in the log alone. */
	if (unlikely(ticket->device_tlb)) {
		ret = omni_queue_check(&unit->core, ticket, &deadline);
		if (ret)
			return ret;
		/* Or does not, since the log was full. */
		if (amd_log_lost(unit) != ticket->lost)
			return -EAGAIN;
	}
	return likely(READ_ONCE(unit->core.queue.errors) == ticket->errors) ? 0 : -EAGAIN;
}

int amd_queue_create(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;

	/* A buffer whose tail is its head is empty. */
	omni_queue_init(&unit->core.queue, AMD_RING_SIZE - 1);
	q->ring = (void *)get_zeroed_page(GFP_KERNEL);
	q->done = kzalloc(sizeof(*q->done), GFP_KERNEL);
	if (!q->ring || !q->done)
		return -ENOMEM;
	q->done_dma = virt_to_phys(q->done);
	return 0;
}

void amd_queue_destroy(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;

	/* A queue that died may still be read by the unit. */
	if (unit->core.queue.dead)
		return;
	free_page((unsigned long)q->ring);
	kfree(q->done);
}

int amd_queue_on(struct amd_unit *unit)
{
	struct omni_queue *q = &unit->core.queue;
	u64 status;
	int ret;

	q->tail = round_up(q->tail, AMD_RING_SIZE);
	amd_write64(unit, AMD_CMDBUF, virt_to_phys(unit->queue.ring) |
		    FIELD_PREP(AMD_RING_LEN, AMD_RING_LG2));
	amd_queue_empty(unit);
	unit->queue.heard = amd_log_errors(unit);
	amd_unit_control(unit, 0, AMD_CTRL_CMDBUF);
	ret = read_poll_timeout(amd_read64, status, status & AMD_STATUS_CMD_RUN, 0,
				OMNI_DEADLINE_US, false, unit, AMD_STATUS);
	if (ret)
		pr_err("%s: its command buffer did not start within %u ms\n", unit->core.name,
		       OMNI_DEADLINE_MS);
	q->on = !ret;
	return ret;
}

void amd_queue_off(struct amd_unit *unit)
{
	if (!unit->core.queue.on)
		return;
	omni_queue_drain(&unit->core);
	amd_unit_control(unit, AMD_CTRL_CMDBUF, 0);
	unit->core.queue.on = false;
}
