/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the wings' queues have in common: tickets, deadlines, retries, and the
 * fan-out of one request over all the units of a domain (F4).
 */
#ifndef OMNI_QUEUE_H
#define OMNI_QUEUE_H

#include "omniommu.h"

#include <linux/timekeeping.h>

/* Commands one submission may hold, so that it always fits a queue. */
#define OMNI_SUBMIT_MAX		32
#define OMNI_DEADLINE_MS	1000
#define OMNI_DEADLINE_US	(OMNI_DEADLINE_MS * USEC_PER_MSEC)
/* How often a submission that an error may have dropped is made again. */
#define OMNI_RETRIES		3
/* Units that are submitted to before any of them is waited for (F4). */
#define OMNI_FANOUT		8
/* Entries of a device that one batch of commands can follow. */
#define OMNI_ATTACH_BATCH	8

/**
 * struct omni_ticket - a submission to wait for
 * @pos: what the wing knows its completion by
 * @errors: errors the queue had met when it was submitted
 * @device_tlb: it has commands for device TLBs
 * @err: it was over at once: with this error, or 0 with @done
 * @done: nothing to wait for
 */
struct omni_ticket {
	u64 pos;
	unsigned int errors;
	bool device_tlb;
	int err;
	bool done;
};

/* Is the time over that began at *@start? Starts the clock on the first call. */
static inline bool omni_expired(u64 *start)
{
	u64 now = ktime_get_mono_fast_ns();

	if (!*start)
		*start = now;
	return now - *start > OMNI_DEADLINE_MS * NSEC_PER_MSEC;
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

/*
 * Carry a request out on every unit that a domain reaches: submit to all,
 * then wait for all, again where an error may have dropped it. A wing calls
 * this with functions of its own, which are inlined (C2).
 *
 * Returns 0 or the first error: then caches may still hold translations.
 */
static __always_inline int
omni_fanout(struct omni_domain *domain, const struct omni_inv *inv,
	    void (*submit)(const struct omni_reach *reach, const struct omni_reach_unit *ru,
			   const struct omni_inv *inv, struct omni_ticket *ticket),
	    int (*wait)(struct omni_unit *unit, const struct omni_ticket *ticket))
{
	struct omni_ticket tickets[OMNI_FANOUT];
	const struct omni_reach *reach;
	unsigned int i, first, nr, tries;
	int ret, err = 0;

	rcu_read_lock();
	reach = rcu_dereference(domain->reach);
	for (first = 0; first < reach->nr_units; first += nr) {
		nr = min(reach->nr_units - first, OMNI_FANOUT);
		for (i = 0; i < nr; i++)
			submit(reach, &reach->units[first + i], inv, &tickets[i]);
		for (i = 0; i < nr; i++) {
			const struct omni_reach_unit *ru = &reach->units[first + i];

			ret = wait(ru->unit, &tickets[i]);
			for (tries = 0; ret == -EAGAIN && tries < OMNI_RETRIES; tries++) {
				submit(reach, ru, inv, &tickets[i]);
				ret = wait(ru->unit, &tickets[i]);
			}
			if (ret == -EAGAIN)
				ret = omni_give_up(ru->unit);
			err = err ?: ret;
		}
	}
	rcu_read_unlock();
	return err;
}

#endif
