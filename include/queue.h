/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the wings' queues have in common: tickets, deadlines, retries, the line
 * at the lock, and the fan-out of one request over all the units of a domain (F4).
 *
 * Positions count commands and only grow; a position's slot in the ring is its
 * low bits. A submission ends in a wait for completion, and a unit completes
 * waits in order, so that one serves everybody whose commands are before it.
 *
 * The line. Nobody waits for the queue's lock to submit. Who finds it taken
 * leaves his ticket in the line and looks at the lock now and then; who has it
 * puts the commands of all who stand there behind his own, and one wait, and
 * tells the unit once. So of many who come at once one does the work of all, and
 * a processor that is taken away from a virtual machine while it stands there
 * holds up nobody, as it would a lock that is handed on in order.
 */
#ifndef OMNI_QUEUE_H
#define OMNI_QUEUE_H

#include "omni_trace.h"

#include <linux/timekeeping.h>

/* Commands one submission may hold, so that it always fits a queue. */
#define OMNI_SUBMIT_MAX		32
#define OMNI_DEADLINE_MS	1000
#define OMNI_DEADLINE_US	(OMNI_DEADLINE_MS * USEC_PER_MSEC)
#define OMNI_DEADLINE_LOOKS	1000
/* How often a submission that an error may have dropped is made again. */
#define OMNI_RETRIES		3
/* Units that are submitted to before any of them is waited for (F4). */
#define OMNI_FANOUT		8

/**
 * struct omni_ticket - a submission to wait for
 * @pos: its wait, or a later one, ends there
 * @errors: errors the queue had met when it was submitted
 * @lost: times that the unit could not tell of any more errors, by then
 * @device_tlb: it has commands for device TLBs
 * @err: it was over at once: with this error, or 0 with @done
 * @done: nothing to wait for
 * @put: it is no longer in the line
 * @nr: its commands, 0 to OMNI_SUBMIT_MAX
 * @cmds: they, as the wing's queue has them, until the submission returns
 * @node: in omni_queue.line
 */
struct omni_ticket {
	u64 pos;
	unsigned int errors;
	unsigned int lost;
	bool device_tlb;
	int err;
	bool done;
	bool put;
	unsigned int nr;
	const void *cmds;
	struct llist_node node;
};

/**
 * struct omni_queue_ops - what a wing's queue does in its own way
 * @put: put a ticket's commands at the queue's tail, where there is room
 * @end: put a wait, for which there always is room, and tell the unit
 * @consumed: the position up to which the unit has fetched commands, which
 *	omni_queue.head then is, or beyond
 * @recover: clear what the unit reports of its queue, and count it
 * @direct: carry a ticket's commands out without the queue, which is off; NULL
 *	where a unit that is off has nothing cached
 * @completed: is everything in front of a position complete?
 * @wait: wait for a ticket: 0, -EAGAIN when an error may have dropped it, or
 *	another error
 * @content: what the queue holds, for messages
 *
 * All but @completed and @wait are called with the queue's lock held.
 */
struct omni_queue_ops {
	void (*put)(struct omni_unit *unit, struct omni_ticket *ticket);
	void (*end)(struct omni_unit *unit);
	u64 (*consumed)(struct omni_unit *unit);
	void (*recover)(struct omni_unit *unit);
	int (*direct)(struct omni_unit *unit, const struct omni_ticket *ticket);
	bool (*completed)(struct omni_unit *unit, u64 pos);
	int (*wait)(struct omni_unit *unit, const struct omni_ticket *ticket);
	const char *content;
};

/**
 * struct omni_deadline - how long a unit has been waited for, zeroed at first
 * @start: when it was looked at for the first time, in ns
 * @looks: how often it was
 */
struct omni_deadline {
	u64 start;
	unsigned int looks;
};

/*
 * Is the time over? A processor, or all of a virtual machine, that stood still
 * finds that it is, and has not looked often.
 */
static inline bool omni_expired(struct omni_deadline *deadline)
{
	u64 now = ktime_get_mono_fast_ns();

	if (!deadline->looks++)
		deadline->start = now;
	return deadline->looks > OMNI_DEADLINE_LOOKS &&
	       now - deadline->start > OMNI_DEADLINE_MS * NSEC_PER_MSEC;
}

/**
 * omni_queue_init() - a new queue, that is off
 * @queue: the queue, zeroed
 * @slots: commands that its ring can hold
 *
 * Context: any.
 */
void omni_queue_init(struct omni_queue *queue, unsigned int slots);

/**
 * omni_queue_room() - wait for room in the ring
 * @unit: the unit
 * @nr: for so many commands, and a wait behind them
 *
 * Return: 0, or -ETIMEDOUT: the unit did not fetch anything, the queue is dead.
 * Context: any, the queue's lock held.
 */
int omni_queue_room(struct omni_unit *unit, unsigned int nr);

/**
 * omni_queue_serve() - put what is asked for in the line, and one wait for all
 * @unit: the unit
 * @own: submissions that the caller has put before
 *
 * Context: any, the queue's lock held.
 */
void omni_queue_serve(struct omni_unit *unit, unsigned int own);

/**
 * omni_queue_stand() - stand in line until a ticket is put
 * @unit: the unit
 * @ticket: the ticket, with its commands
 *
 * Context: any.
 */
void omni_queue_stand(struct omni_unit *unit, struct omni_ticket *ticket);

/**
 * omni_queue_check() - the slow side of a wait: look for errors, and at the clock
 * @unit: the unit
 * @ticket: what is waited for
 * @deadline: since when
 *
 * Return: 0; -EAGAIN: submit again; -EIO: the queue is dead; -ETIMEDOUT: it is
 * from now on.
 * Context: any.
 */
int omni_queue_check(struct omni_unit *unit, const struct omni_ticket *ticket,
		     struct omni_deadline *deadline);

/**
 * omni_queue_try_check() - the same, unless somebody else has the queue's lock
 * @unit: the unit
 * @ticket: what is waited for
 * @deadline: since when
 *
 * Who waits looks again anyway, and would hold up those who submit.
 *
 * Return: as omni_queue_check(), but for what nobody has noticed yet.
 * Context: any.
 */
int omni_queue_try_check(struct omni_unit *unit, const struct omni_ticket *ticket,
			 struct omni_deadline *deadline);

/**
 * omni_queue_wait() - wait until a position is complete
 * @unit: the unit
 * @ticket: whose position it is
 *
 * Return: as omni_queue_check().
 * Context: any.
 */
int omni_queue_wait(struct omni_unit *unit, const struct omni_ticket *ticket);

/**
 * omni_queue_die() - a queue that does not get on: nothing is submitted any more
 * @unit: the unit
 * @what: what was not completed, in words
 *
 * Context: any, the queue's lock held, or nobody else there.
 */
void omni_queue_die(struct omni_unit *unit, const char *what);

/**
 * omni_queue_drain() - wait until the unit has fetched all there is, before it
 * is switched off
 * @unit: the unit, to which nobody submits any more
 *
 * Context: may sleep.
 */
void omni_queue_drain(struct omni_unit *unit);

/**
 * omni_submit_wait() - submit and wait, again and again where errors ask for it
 * @unit: the unit
 * @cmds: commands, as its wing's queue has them
 * @nr: how many, 0 to OMNI_SUBMIT_MAX
 *
 * Return: 0, -EIO or -ETIMEDOUT: the commands may not have been carried out.
 * Context: any.
 */
int omni_submit_wait(struct omni_unit *unit, const void *cmds, unsigned int nr);

/* Put a ticket's commands, or end it at once. Lock held. */
static __always_inline void omni_queue_put(struct omni_unit *unit,
					   const struct omni_queue_ops *ops,
					   struct omni_ticket *ticket)
{
	struct omni_queue *q = &unit->queue;
	int ret = 0;

	if (unlikely(q->dead))
		ret = -EIO;
	else if (unlikely(!q->on))
		ret = ops->direct ? ops->direct(unit, ticket) : 0;
	else if (unlikely(q->tail - (u64)atomic64_read(&q->head) + ticket->nr + 1 > q->slots))
		ret = omni_queue_room(unit, ticket->nr);
	ticket->err = ret;
	ticket->done = ret || !q->on;
	if (unlikely(ticket->done))
		return;
	ticket->errors = q->errors;
	ops->put(unit, ticket);
}

/*
 * Submit commands, and a wait behind them: without the lock there is the line.
 * A wing calls this with its own operations, which are inlined (C2).
 */
static __always_inline void omni_queue_submit(struct omni_unit *unit,
					      const struct omni_queue_ops *ops, const void *cmds,
					      unsigned int nr, struct omni_ticket *ticket)
{
	struct omni_queue *q = &unit->queue;
	unsigned long flags;

	trace_omni_submit(unit, cmds, nr);
	ticket->cmds = cmds;
	ticket->nr = nr;
	if (unlikely(!raw_spin_trylock_irqsave(&q->lock, flags))) {
		omni_queue_stand(unit, ticket);
		return;
	}
	omni_queue_put(unit, ops, ticket);
	if (unlikely(!llist_empty(&q->line)))
		omni_queue_serve(unit, !ticket->done);
	else if (likely(!ticket->done))
		ops->end(unit);
	/* Of a queue that died meanwhile, too: no wait ever ends there. */
	ticket->pos = q->tail;
	raw_spin_unlock_irqrestore(&q->lock, flags);
}

/**
 * omni_unit_break() - a unit that does not answer: say so, leak from here on
 * @unit: the unit
 * @what: what was not completed, in words
 *
 * Context: any, the unit's queue lock held.
 */
void omni_unit_break(struct omni_unit *unit, const char *what);

/**
 * omni_give_up() - end of the retries: say so
 * @unit: the unit
 *
 * Return: -EIO.
 * Context: any.
 */
int omni_give_up(const struct omni_unit *unit);

typedef void (*omni_submit_fn)(const struct omni_reach *reach,
			       const struct omni_reach_unit *ru,
			       const struct omni_inv *inv, struct omni_ticket *ticket);
typedef int (*omni_wait_fn)(struct omni_unit *unit, const struct omni_ticket *ticket);

/**
 * omni_wait_traced() - wait by the clock, and tell the tracepoint
 * @unit: the unit
 * @ticket: the submission
 * @wait: how to wait
 *
 * Out of line, so that the usual way keeps nothing for its sake.
 *
 * Return: what @wait returns.
 * Context: as @wait.
 */
int __cold omni_wait_traced(struct omni_unit *unit, const struct omni_ticket *ticket,
			    omni_wait_fn wait);

/* Wait, by the clock if somebody traces it. */
static __always_inline int omni_wait(struct omni_unit *unit, const struct omni_ticket *ticket,
				     omni_wait_fn wait)
{
	return trace_omni_wait_enabled() ? omni_wait_traced(unit, ticket, wait) :
					   wait(unit, ticket);
}

/* The end of one submission: again where an error may have dropped it. */
static __always_inline int
omni_ask_wait(const struct omni_reach *reach, const struct omni_reach_unit *ru,
	      const struct omni_inv *inv, struct omni_ticket *ticket,
	      omni_submit_fn submit, omni_wait_fn wait)
{
	int ret = omni_wait(ru->unit, ticket, wait);
	unsigned int tries;

	if (likely(ret != -EAGAIN))
		return ret;
	for (tries = 0; ret == -EAGAIN && tries < OMNI_RETRIES; tries++) {
		submit(reach, ru, inv, ticket);
		ret = wait(ru->unit, ticket);
	}
	return ret == -EAGAIN ? omni_give_up(ru->unit) : ret;
}

static __always_inline int
omni_ask_many(const struct omni_reach *reach, const struct omni_inv *inv,
	      omni_submit_fn submit, omni_wait_fn wait)
{
	struct omni_ticket tickets[OMNI_FANOUT];
	unsigned int i, first, nr;
	int ret, err = 0;

	for (first = 0; first < reach->nr_units; first += nr) {
		nr = min(reach->nr_units - first, OMNI_FANOUT);
		for (i = 0; i < nr; i++)
			submit(reach, &reach->units[first + i], inv, &tickets[i]);
		for (i = 0; i < nr; i++) {
			ret = omni_ask_wait(reach, &reach->units[first + i], inv, &tickets[i],
					    submit, wait);
			err = err ?: ret;
		}
	}
	return err;
}

/*
 * Carry a request out on every unit that a domain reaches: submit to all,
 * then wait for all, again where an error may have dropped it. A wing calls
 * this with functions of its own, which are inlined (C2); @many is its
 * omni_ask_many() with them, kept out of the way of the one unit that most
 * domains have.
 *
 * Returns 0 or the first error: then caches may still hold translations.
 */
static __always_inline int
omni_fanout(struct omni_domain *domain, const struct omni_inv *inv,
	    omni_submit_fn submit, omni_wait_fn wait,
	    int (*many)(const struct omni_reach *reach, const struct omni_inv *inv))
{
	const struct omni_reach *reach;
	struct omni_ticket ticket;
	int err = 0;

	/* Pairs with the barrier in omni_reach_publish(). */
	smp_mb();
	rcu_read_lock();
	reach = rcu_dereference(domain->reach);
	if (likely(reach->nr_units == 1)) {
		submit(reach, &reach->units[0], inv, &ticket);
		err = omni_ask_wait(reach, &reach->units[0], inv, &ticket, submit, wait);
	} else if (reach->nr_units) {
		err = many(reach, inv);
	} else {
		omni_count_end(domain, OMNI_ASKED_NOBODY);
		trace_omni_plan(domain, OMNI_ASKED_NOBODY, inv);
	}
	rcu_read_unlock();
	return err;
}

#endif
