// SPDX-License-Identifier: GPL-2.0-only
/*
 * Command buffer (48882 r3.08, 2.4).
 *
 * Each submission ends in a completion wait that stores its number to one
 * word. The unit completes waits in order and numbers only grow, so whoever
 * waits compares the word with his number, without a lock, and a wait that is
 * over means that everything queued before it is.
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

static struct amd_cmd amd_cmd_wait(const struct amd_unit *unit, u64 number)
{
	return (struct amd_cmd) {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_WAIT) | AMD_WAIT_S |
				  unit->queue.done_dma),
		.hi = cpu_to_le64(number),
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

static void amd_queue_die(struct amd_unit *unit, const char *what)
{
	if (unit->queue.dead)
		return;
	unit->queue.dead = true;
	omni_unit_break(&unit->core, what);
}

/* An empty buffer: what was in flight is dropped. The buffer is off. */
static void amd_queue_empty(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;
	u64 slot = FIELD_PREP(AMD_RING_INDEX, amd_slot(q->tail));

	q->head = q->tail;
	amd_write64(unit, AMD_CMD_HEAD, slot);
	amd_write64(unit, AMD_CMD_TAIL, slot);
}

/* See what the unit says of its commands, and start it again. Lock held. */
static void amd_queue_recover(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;
	unsigned int errors = amd_log_errors(unit);
	bool runs = amd_read64(unit, AMD_STATUS) & AMD_STATUS_CMD_RUN;

	lockdep_assert_held(&q->lock);
	if (errors == q->heard && runs)
		return;

	q->heard = errors;
	q->errors++;
	unit->core.counts.queue_errors++;
	if (runs)
		return;
	amd_unit_control(unit, AMD_CTRL_CMDBUF, 0);
	amd_queue_empty(unit);
	amd_unit_control(unit, 0, AMD_CTRL_CMDBUF);
}

/* Wait for room for @nr commands. Lock held. */
static int amd_queue_room(struct amd_unit *unit, unsigned int nr)
{
	struct amd_queue *q = &unit->queue;
	bool expired = false;
	u64 start = 0;

	while (q->tail - q->head + nr >= AMD_RING_SIZE) {
		unsigned int head = FIELD_GET(AMD_RING_INDEX, amd_read64(unit, AMD_CMD_HEAD));

		/* As far as the unit has fetched. */
		q->head = q->tail - amd_slot(q->tail - head);
		if (q->tail - q->head + nr < AMD_RING_SIZE)
			break;
		/* The head is read after the clock, as in amd_wait_check(). */
		if (expired) {
			amd_queue_die(unit, "the command buffer's content");
			return -ETIMEDOUT;
		}
		amd_queue_recover(unit);
		expired = omni_expired(&start);
		cpu_relax();
	}
	return 0;
}

void amd_submit(struct amd_unit *unit, const struct amd_cmd *cmds,
		unsigned int nr, struct omni_ticket *ticket)
{
	struct amd_queue *q = &unit->queue;
	unsigned long flags;
	unsigned int i;
	int ret = 0;

	ticket->done = true;
	ticket->device_tlb = false;
	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->dead) {
		ret = -EIO;
		goto out;
	}
	/* A unit that is off has nothing cached. */
	if (!q->on)
		goto out;
	ret = amd_queue_room(unit, nr + 1);
	if (ret)
		goto out;

	for (i = 0; i < nr; i++) {
		q->ring[amd_slot(q->tail++)] = cmds[i];
		ticket->device_tlb |= amd_count(unit, &cmds[i]);
	}
	ticket->pos = ++q->number;
	ticket->errors = q->errors;
	ticket->done = false;
	q->ring[amd_slot(q->tail)] = amd_cmd_wait(unit, q->number);
	amd_count(unit, &q->ring[amd_slot(q->tail)]);
	q->tail++;

	/* Orders the commands before the tail, as any register write does. */
	amd_write64(unit, AMD_CMD_TAIL, FIELD_PREP(AMD_RING_INDEX, amd_slot(q->tail)));
out:
	ticket->err = ret;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

static bool amd_completed(const struct amd_queue *q, u64 number)
{
	return (s64)(le64_to_cpu(READ_ONCE(*q->done)) - number) >= 0;
}

/* The slow side of a wait: look for errors and at the clock. */
static int amd_wait_check(struct amd_unit *unit, const struct omni_ticket *ticket,
			  u64 *start)
{
	struct amd_queue *q = &unit->queue;
	unsigned long flags;
	int ret = 0;

	raw_spin_lock_irqsave(&q->lock, flags);
	if (q->on)
		amd_queue_recover(unit);
	if (q->errors != ticket->errors) {
		ret = -EAGAIN;
	} else if (q->dead) {
		ret = -EIO;
	} else if (omni_expired(start) && !amd_completed(q, ticket->pos)) {
		/* Looked at after the clock: a stalled processor is no deadline missed. */
		amd_queue_die(unit, "an invalidation");
		ret = -ETIMEDOUT;
	}
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

int amd_wait(struct amd_unit *unit, const struct omni_ticket *ticket)
{
	struct amd_queue *q = &unit->queue;
	unsigned int spins = 0;
	u64 start = 0;
	int ret;

	if (ticket->done)
		return ticket->err;

	while (!amd_completed(q, ticket->pos)) {
		if (!(++spins & 127)) {
			ret = amd_wait_check(unit, ticket, &start);
			if (ret)
				return ret;
		}
		cpu_relax();
	}
	/* What the unit did is ordered before the number it stored. */
	dma_rmb();
	/* A device TLB that did not answer shows in the log alone. */
	if (ticket->device_tlb) {
		ret = amd_wait_check(unit, ticket, &start);
		if (ret)
			return ret;
	}
	return READ_ONCE(q->errors) == ticket->errors ? 0 : -EAGAIN;
}

int amd_submit_wait(struct amd_unit *unit, const struct amd_cmd *cmds,
		    unsigned int nr)
{
	struct omni_ticket ticket;
	int i, ret;

	for (i = 0; i <= OMNI_RETRIES; i++) {
		amd_submit(unit, cmds, nr, &ticket);
		ret = amd_wait(unit, &ticket);
		if (ret != -EAGAIN)
			return ret;
	}
	return omni_give_up(&unit->core);
}

int amd_queue_create(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;

	raw_spin_lock_init(&q->lock);
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
	if (q->dead)
		return;
	free_page((unsigned long)q->ring);
	kfree(q->done);
}

int amd_queue_on(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;
	u64 status;
	int ret;

	q->tail = round_up(q->tail, AMD_RING_SIZE);
	amd_write64(unit, AMD_CMDBUF, virt_to_phys(q->ring) |
		    FIELD_PREP(AMD_RING_LEN, AMD_RING_LG2));
	amd_queue_empty(unit);
	q->heard = amd_log_errors(unit);
	amd_unit_control(unit, 0, AMD_CTRL_CMDBUF);
	ret = read_poll_timeout(amd_read64, status, status & AMD_STATUS_CMD_RUN, 0,
				OMNI_DEADLINE_US, false, unit, AMD_STATUS);
	if (ret)
		pr_err("%s: its command buffer does not start\n", unit->core.name);
	q->on = !ret;
	return ret;
}

void amd_queue_off(struct amd_unit *unit)
{
	struct amd_queue *q = &unit->queue;
	u64 head, tail;

	if (!q->on)
		return;
	tail = amd_slot(q->tail);
	if (read_poll_timeout(amd_read64, head,
			      amd_slot(FIELD_GET(AMD_RING_INDEX, head)) == tail, 0,
			      OMNI_DEADLINE_US, false, unit, AMD_CMD_HEAD))
		amd_queue_die(unit, "the command buffer's content");
	amd_unit_control(unit, AMD_CTRL_CMDBUF, 0);
	q->on = false;
}
