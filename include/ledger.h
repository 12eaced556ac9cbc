/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger's part that each domain has for itself: how its operations
 * ended. One counter says both what ended and how, so that an operation pays
 * for one; flush.h names the sums that the ledger shows of them.
 */
#ifndef OMNI_LEDGER_H
#define OMNI_LEDGER_H

#include <linux/percpu.h>
#include <linux/types.h>

struct omni_domain;
struct omni_unit;
struct seq_file;

/**
 * enum omni_end - what ended, and how
 * @OMNI_MAP_ASKED: a map, in a request to invalidate
 * @OMNI_MAP_NOT_CACHED: a map: only added, and nobody caches that
 * @OMNI_UNMAP_ASKED: an unmap, in a request
 * @OMNI_UNMAP_NOTHING: an unmap: nothing had been mapped
 * @OMNI_ALL_ASKED: a batch of queued unmaps, in a request
 * @OMNI_OTHER_ASKED: a request that none of these ended in
 * @OMNI_ASKED_NOBODY: not an end: a request had no unit to go to
 * @OMNI_PIECE_MERGED: not an end: an unmapped piece joined a flush of others
 * @OMNI_PIECE_QUEUED: not an end: the kernel's flush queue will ask
 * @OMNI_NR_ENDS: how many
 */
enum omni_end {
	OMNI_MAP_ASKED,
	OMNI_MAP_NOT_CACHED,
	OMNI_UNMAP_ASKED,
	OMNI_UNMAP_NOTHING,
	OMNI_ALL_ASKED,
	OMNI_OTHER_ASKED,
	OMNI_ASKED_NOBODY,
	OMNI_PIECE_MERGED,
	OMNI_PIECE_QUEUED,
	OMNI_NR_ENDS
};

struct omni_ends {
	u64 n[OMNI_NR_ENDS];
};

/* Of domains that have none of their own yet, and of those that are gone. */
DECLARE_PER_CPU(struct omni_ends, omni_ends);

/* Count for a domain. */
#define omni_count_end(domain, what)	this_cpu_inc(READ_ONCE((domain)->ends)->n[what])

#define OMNI_LATENCIES	24

/**
 * struct omni_latency - how long the waits of a unit took
 * @n: waits that took from 2^i to 2^(i+1) - 1 ns, the last one with all above
 *
 * Counted while somebody asked for it.
 */
struct omni_latency {
	atomic64_t n[OMNI_LATENCIES];
};

/**
 * omni_ends_add() - keep the counts of a domain that goes
 * @ends: its counts
 *
 * Context: any; preemptible.
 */
void omni_ends_add(struct omni_ends __percpu *ends);

/**
 * omni_ledger_show() - the whole ledger, a "name value" a line
 * @s: where to
 *
 * Context: may sleep.
 */
void omni_ledger_show(struct seq_file *s);

/**
 * omni_ledger_domain() - a domain's part of it
 * @s: where to
 * @domain: the domain
 *
 * Context: may sleep.
 */
void omni_ledger_domain(struct seq_file *s, struct omni_domain *domain);

/**
 * omni_ledger_tracker() - the tracker's part of it
 * @s: where to
 *
 * Context: may sleep.
 */
void omni_ledger_tracker(struct seq_file *s);

/**
 * omni_ledger_read() - one of the ledger's counters
 * @what: an &enum omni_count
 *
 * Return: its sum over all CPUs and domains.
 * Context: may sleep.
 */
u64 omni_ledger_read(unsigned int what);

/**
 * omni_latency_add() - note how long a wait took
 * @unit: the unit
 * @ns: nanoseconds
 *
 * Context: any.
 */
void omni_latency_add(struct omni_unit *unit, u64 ns);

/**
 * omni_latency_switch() - begin or end to time waits
 * @on: begin
 *
 * Return: 0 or -errno.
 * Context: may sleep.
 */
int omni_latency_switch(bool on);

/**
 * omni_latency_counted() - are waits timed?
 *
 * Return: true if they are.
 * Context: any.
 */
bool omni_latency_counted(void);

#endif
