// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flush ledger: every decision and every command, readable in debugfs as
 * one "name value" a line. Counters only grow; readers take differences.
 */
#include "include/omniommu.h"
#include "core.h"

#include <linux/debugfs.h>
#include <linux/seq_file.h>

DEFINE_PER_CPU(struct omni_ledger, omni_ledger);

static struct dentry *omni_debugfs;

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
		{ "timeouts", READ_ONCE(c->timeouts) },
		{ "queue_errors", READ_ONCE(c->queue_errors) },
		{ "faults", READ_ONCE(c->faults) },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		seq_printf(s, "%s.%s %llu\n", unit->name, rows[i].name, rows[i].value);
}

static int omni_ledger_show(struct seq_file *s, void *unused)
{
	struct omni_unit *unit;
	unsigned int i;
	int cpu;

	for (i = 0; i < OMNI_NR_COUNTS; i++) {
		u64 sum = 0;

		for_each_possible_cpu(cpu)
			sum += per_cpu(omni_ledger.n[i], cpu);
		seq_printf(s, "%s %llu\n", omni_count_names[i], sum);
	}
	seq_printf(s, "table_pages %ld\n", omni_tables_live());

	mutex_lock(&omni_core.lock);
	list_for_each_entry(unit, &omni_core.units, node)
		omni_ledger_unit(s, unit);
	mutex_unlock(&omni_core.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_ledger);

void omni_ledger_init(void)
{
	omni_debugfs = debugfs_create_dir("omniommu", NULL);
	debugfs_create_file("ledger", 0444, omni_debugfs, NULL, &omni_ledger_fops);
}

void omni_ledger_exit(void)
{
	debugfs_remove_recursive(omni_debugfs);
	omni_debugfs = NULL;
}
