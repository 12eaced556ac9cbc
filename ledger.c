// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flush ledger: every decision and every command, readable in debugfs as
 * one "name value" a line. Counters only grow; readers take differences.
 *
 * What domains count for themselves is summed here: over those there are, and
 * what those that are gone have left in omni_ends.
 */
#include "core.h"

#include <linux/log2.h>
#include <linux/seq_file.h>

DEFINE_PER_CPU(struct omni_ledger, omni_ledger);
DEFINE_PER_CPU(struct omni_ends, omni_ends);

static const char * const omni_count_names[OMNI_NR_COUNTS] = {
	[OMNI_OPS_MAP] = "ops.map",
	[OMNI_OPS_UNMAP] = "ops.unmap",
	[OMNI_OPS_SYNC_MAP] = "ops.sync_map",
	[OMNI_OPS_SYNC] = "ops.sync",
	[OMNI_OPS_FLUSH_ALL] = "ops.flush_all",
	[OMNI_OPS_ATTACH] = "ops.attach",
	[OMNI_OPS_DETACH] = "ops.detach",
	[OMNI_FLUSH_NEEDED] = "flush.needed",
	[OMNI_FLUSH_MERGED] = "flush.merged",
	[OMNI_ELIDED_NOT_CACHED] = "elided.not_cached",
	[OMNI_ELIDED_UNATTACHED] = "elided.unattached",
	[OMNI_ELIDED_NOTHING] = "elided.nothing",
	[OMNI_ELIDED_QUEUED] = "elided.queued",
	[OMNI_NC_CLEAN_IN] = "nc.clean_in",
	[OMNI_NC_CLEAN_OUT] = "nc.clean_out",
	[OMNI_NC_BYTES_IN] = "nc.bytes_in",
	[OMNI_NC_BYTES_OUT] = "nc.bytes_out",
	[OMNI_NC_SHARED_IN] = "nc.shared_in",
	[OMNI_NC_SHARED_OUT] = "nc.shared_out",
	[OMNI_NC_OWED] = "nc.owed",
	[OMNI_NC_SKIPPED_MMIO] = "nc.skipped_mmio",
	[OMNI_NC_SKIPPED_RESERVED] = "nc.skipped_reserved",
	[OMNI_NC_SKIPPED_UNMAPPED] = "nc.skipped_unmapped",
	[OMNI_NC_SKIPPED_UNCACHED] = "nc.skipped_uncached",
	[OMNI_NC_WHOLE_CACHE] = "nc.whole_cache",
};

/* Which ends a counter of the ledger is the sum of. */
static const u16 omni_count_sums[OMNI_NR_COUNTS] = {
	[OMNI_OPS_SYNC_MAP] = BIT(OMNI_MAP_ASKED) | BIT(OMNI_MAP_NOT_CACHED),
	[OMNI_OPS_SYNC] = BIT(OMNI_UNMAP_ASKED) | BIT(OMNI_UNMAP_NOTHING),
	[OMNI_OPS_FLUSH_ALL] = BIT(OMNI_ALL_ASKED),
	/* Less OMNI_ASKED_NOBODY, see omni_ends_of(). */
	[OMNI_FLUSH_NEEDED] = BIT(OMNI_MAP_ASKED) | BIT(OMNI_UNMAP_ASKED) |
			      BIT(OMNI_ALL_ASKED) | BIT(OMNI_OTHER_ASKED),
	[OMNI_FLUSH_MERGED] = BIT(OMNI_PIECE_MERGED),
	[OMNI_ELIDED_NOT_CACHED] = BIT(OMNI_MAP_NOT_CACHED),
	[OMNI_ELIDED_UNATTACHED] = BIT(OMNI_ASKED_NOBODY),
	[OMNI_ELIDED_NOTHING] = BIT(OMNI_UNMAP_NOTHING),
	[OMNI_ELIDED_QUEUED] = BIT(OMNI_PIECE_QUEUED),
};

/* Ends */

static void omni_ends_sum(struct omni_ends *sum, struct omni_ends __percpu *ends)
{
	unsigned int i;
	int cpu;

	for_each_possible_cpu(cpu)
		for (i = 0; i < OMNI_NR_ENDS; i++)
			sum->n[i] += READ_ONCE(per_cpu_ptr(ends, cpu)->n[i]);
}

void omni_ends_add(struct omni_ends __percpu *ends)
{
	struct omni_ends sum = { };
	unsigned int i;

	omni_ends_sum(&sum, ends);
	for (i = 0; i < OMNI_NR_ENDS; i++)
		this_cpu_add(omni_ends.n[i], sum.n[i]);
}

/* Of all domains, and of those that were. */
static void omni_ends_total(struct omni_ends *sum)
{
	struct omni_domain *domain;

	*sum = (struct omni_ends) { };
	mutex_lock(&omni_domains.lock);
	omni_ends_sum(sum, &omni_ends);
	list_for_each_entry(domain, &omni_domains.list, seen.node)
		if (domain->ends != &omni_ends)
			omni_ends_sum(sum, domain->ends);
	mutex_unlock(&omni_domains.lock);
}

static u64 omni_ends_of(const struct omni_ends *ends, unsigned int what)
{
	unsigned int i;
	u64 sum = 0;

	for (i = 0; i < OMNI_NR_ENDS; i++)
		if (omni_count_sums[what] & BIT(i))
			sum += ends->n[i];
	/* Seen before the request that it is of, it is no less than nothing. */
	if (what == OMNI_FLUSH_NEEDED)
		sum -= min(sum, ends->n[OMNI_ASKED_NOBODY]);
	return sum;
}

static u64 omni_ledger_sum(unsigned int what, const struct omni_ends *ends)
{
	u64 sum = omni_ends_of(ends, what);
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(omni_ledger.n[what], cpu));
	return sum;
}

u64 omni_ledger_read(unsigned int what)
{
	struct omni_ends ends;

	omni_ends_total(&ends);
	return omni_ledger_sum(what, &ends);
}

/* Waits */

void omni_latency_add(struct omni_unit *unit, u64 ns)
{
	unsigned int i = ns ? ilog2(ns) : 0;

	atomic64_inc(&unit->latency.n[min(i, OMNI_LATENCIES - 1)]);
}

static void omni_latency_show(struct seq_file *s, const struct omni_unit *unit)
{
	unsigned int i;
	u64 n;

	for (i = 0; i < OMNI_LATENCIES; i++) {
		n = atomic64_read(&unit->latency.n[i]);
		if (n)
			seq_printf(s, "%s.wait_ns.%llu %llu\n", unit->name, BIT_ULL(i), n);
	}
}

/* Files */

static void omni_ledger_unit(struct seq_file *s, const struct omni_unit *unit)
{
	const struct omni_unit_counts *c = &unit->counts;

	const struct {
		const char *name;
		u64 value;
	} rows[] = {
		{ "cmd.context", READ_ONCE(c->context) },
		{ "cmd.iotlb_global", READ_ONCE(c->iotlb_global) },
		{ "cmd.iotlb_domain", READ_ONCE(c->iotlb_domain) },
		{ "cmd.iotlb_page", READ_ONCE(c->iotlb_page) },
		{ "cmd.device_tlb", READ_ONCE(c->device_tlb) },
		{ "cmd.wait", READ_ONCE(c->wait) },
		{ "shared_waits", READ_ONCE(c->shared_waits) },
		{ "timeouts", READ_ONCE(c->timeouts) },
		{ "queue_errors", READ_ONCE(c->queue_errors) },
		{ "faults", READ_ONCE(c->faults) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		seq_printf(s, "%s.%s %llu\n", unit->name, rows[i].name, rows[i].value);
	omni_latency_show(s, unit);
}

void omni_ledger_show(struct seq_file *s)
{
	struct omni_unit *unit;
	struct omni_ends ends;
	unsigned int i;

	omni_ends_total(&ends);
	for (i = 0; i < OMNI_NR_COUNTS; i++)
		seq_printf(s, "%s %llu\n", omni_count_names[i], omni_ledger_sum(i, &ends));
	seq_printf(s, "table_pages %ld\n", omni_tables_live());
	seq_printf(s, "nc_chunks %ld\n", omni_nc_chunks());

	mutex_lock(&omni_core.lock);
	list_for_each_entry(unit, &omni_core.units, node)
		omni_ledger_unit(s, unit);
	mutex_unlock(&omni_core.lock);
}

void omni_ledger_tracker(struct seq_file *s)
{
	static const struct omni_ends none;
	unsigned int i;

	for (i = OMNI_NC_CLEAN_IN; i < OMNI_NR_COUNTS; i++)
		seq_printf(s, "%s %llu\n", omni_count_names[i] + strlen("nc."),
			   omni_ledger_sum(i, &none));
}

void omni_ledger_domain(struct seq_file *s, struct omni_domain *domain)
{
	static const char * const names[OMNI_NR_ENDS] = {
		[OMNI_MAP_ASKED] = "map.asked",
		[OMNI_MAP_NOT_CACHED] = "map.elided.not_cached",
		[OMNI_UNMAP_ASKED] = "unmap.asked",
		[OMNI_UNMAP_NOTHING] = "unmap.elided.nothing",
		[OMNI_ALL_ASKED] = "flush_all.asked",
		[OMNI_OTHER_ASKED] = "other.asked",
		[OMNI_ASKED_NOBODY] = "asked.elided.unattached",
		[OMNI_PIECE_MERGED] = "pieces.merged",
		[OMNI_PIECE_QUEUED] = "pieces.queued",
	};
	struct omni_ends ends = { };
	unsigned int i;

	/* Common to all domains without one, it says nothing of this one. */
	if (domain->ends != &omni_ends)
		omni_ends_sum(&ends, domain->ends);
	for (i = 0; i < OMNI_NR_ENDS; i++)
		seq_printf(s, "%s %llu\n", names[i], ends.n[i]);
	seq_printf(s, "flushed %llu\n", omni_ends_of(&ends, OMNI_FLUSH_NEEDED));
}
