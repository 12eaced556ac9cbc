// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of commands, what all wings' have in common, off the usual way: the
 * line at the lock, a full ring, and waits that take long (include/queue.h).
 */
#include "core.h"
#include "include/queue.h"

#include <linux/iopoll.h>

void omni_queue_init(struct omni_queue *queue, unsigned int slots)
{
	raw_spin_lock_init(&queue->lock);
	init_llist_head(&queue->line);
	queue->slots = slots;
}

void omni_queue_die(struct omni_unit *unit, const char *what)
{
	if (unit->queue.dead)
		return;
	unit->queue.dead = true;
	omni_unit_break(unit, what);
}

int omni_queue_room(struct omni_unit *unit, unsigned int nr)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	struct omni_queue *q = &unit->queue;
	struct omni_deadline deadline = { };
	bool expired = false;

	lockdep_assert_held(&q->lock);
	/* What the unit does not know of would never make room. */
	if (q->ended != q->tail)
		ops->end(unit);
	while (q->tail - ops->consumed(unit) + nr + 1 > q->slots) {
		/* Looked at after the clock: a stalled processor is no deadline missed. */
		if (expired) {
			omni_queue_die(unit, ops->content);
			return -ETIMEDOUT;
		}
		ops->recover(unit);
		expired = omni_expired(&deadline);
		cpu_relax();
	}
	return 0;
}

void omni_queue_serve(struct omni_unit *unit, unsigned int own)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	struct omni_queue *q = &unit->queue;
	struct omni_ticket *ticket, *next;
	struct llist_node *line;

	lockdep_assert_held(&q->lock);
	/* In any order: all end in one wait. */
	line = llist_del_all(&q->line);
	llist_for_each_entry(ticket, line, node) {
		omni_queue_put(unit, ops, ticket);
		own += !ticket->done;
	}
	if (q->ended != q->tail && !q->dead)
		ops->end(unit);
	if (own > 1)
		unit->counts.shared_waits += own - 1;
	llist_for_each_entry_safe(ticket, next, line, node) {
		ticket->pos = q->tail;
		/* From here on it is its owner's again. */
		smp_store_release(&ticket->put, true);
	}
}

void omni_queue_stand(struct omni_unit *unit, struct omni_ticket *ticket)
{
	struct omni_queue *q = &unit->queue;
	unsigned long flags;

	ticket->put = false;
	llist_add(&ticket->node, &q->line);
	/* Pairs with omni_queue_serve(): then the ticket is filled in. */
	while (!smp_load_acquire(&ticket->put)) {
		/* Who had the lock may not have seen us. */
		if (raw_spin_trylock_irqsave(&q->lock, flags)) {
			omni_queue_serve(unit, 0);
			raw_spin_unlock_irqrestore(&q->lock, flags);
		} else {
			cpu_relax();
		}
	}
}

static int omni_queue_look(struct omni_unit *unit, const struct omni_ticket *ticket,
			   struct omni_deadline *deadline)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	const struct omni_queue *q = &unit->queue;

	ops->recover(unit);
	if (q->errors != ticket->errors)
		return -EAGAIN;
	if (q->dead)
		return -EIO;
	/* Looked at after the clock: a stalled processor is no deadline missed. */
	if (!omni_expired(deadline) || ops->completed(unit, ticket->pos))
		return 0;
	omni_queue_die(unit, "an invalidation");
	return -ETIMEDOUT;
}

int omni_queue_check(struct omni_unit *unit, const struct omni_ticket *ticket,
		     struct omni_deadline *deadline)
{
	struct omni_queue *q = &unit->queue;
	unsigned long flags;
	int ret;

	raw_spin_lock_irqsave(&q->lock, flags);
	ret = omni_queue_look(unit, ticket, deadline);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

int omni_queue_try_check(struct omni_unit *unit, const struct omni_ticket *ticket,
			 struct omni_deadline *deadline)
{
	struct omni_queue *q = &unit->queue;
	unsigned long flags;
	int ret;

	if (!raw_spin_trylock_irqsave(&q->lock, flags)) {
		/* Time passes all the same. */
		omni_expired(deadline);
		if (READ_ONCE(q->errors) != ticket->errors)
			return -EAGAIN;
		return READ_ONCE(q->dead) ? -EIO : 0;
	}
	ret = omni_queue_look(unit, ticket, deadline);
	raw_spin_unlock_irqrestore(&q->lock, flags);
	return ret;
}

int omni_queue_wait(struct omni_unit *unit, const struct omni_ticket *ticket)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	struct omni_deadline deadline = { };
	unsigned int spins = 0;
	int ret;

	while (!ops->completed(unit, ticket->pos)) {
		if (!(++spins & 127)) {
			ret = omni_queue_try_check(unit, ticket, &deadline);
			if (ret)
				return ret;
		}
		cpu_relax();
	}
	return 0;
}

void omni_queue_drain(struct omni_unit *unit)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	u64 pos;

	if (read_poll_timeout(ops->consumed, pos, pos == unit->queue.tail, 0, OMNI_DEADLINE_US,
			      false, unit))
		omni_queue_die(unit, ops->content);
}

int omni_submit_wait(struct omni_unit *unit, const void *cmds, unsigned int nr)
{
	const struct omni_queue_ops *ops = unit->wing->queue;
	struct omni_ticket ticket;
	int i, ret;

	for (i = 0; i <= OMNI_RETRIES; i++) {
		omni_queue_submit(unit, ops, cmds, nr, &ticket);
		ret = ops->wait(unit, &ticket);
		if (ret != -EAGAIN)
			return ret;
	}
	return omni_give_up(unit);
}
