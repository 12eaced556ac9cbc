// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/omniommu: what there is to see, in words.
 *
 *	units, attachments, domains	what there is, and its state
 *	ledger, tracker			counters, a "name value" a line
 *	faults				the last refused accesses of each unit
 *	latency				whether waits are timed
 *	domain/<id>/table, raw		page tables: runs of equal leaves, entries
 *	domain/<id>/ledger		how that domain's operations ended
 *					(made when attachments or domains is read)
 *
 * Every file may be read at any time, by anybody who may, under any load:
 * include/show.h tells how for page tables; the others go by the lists' locks.
 * Vendors' words come from the wings, by omni_show_ops.
 */
#include "core.h"

#include <linux/debugfs.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>

static struct dentry *omni_debugfs;
static struct dentry *omni_debugfs_domains;

/* Words */

static const char *omni_domain_type(const struct omni_domain *domain)
{
	switch (domain->iommu.type) {
	case IOMMU_DOMAIN_UNMANAGED:
		return "a user's";
	case IOMMU_DOMAIN_DMA:
		return "DMA";
	case IOMMU_DOMAIN_DMA_FQ:
		return "DMA-FQ";
	default:
		return "not in use yet";
	}
}

static const char *omni_state_name(enum omni_state state)
{
	switch (state) {
	case OMNI_BLOCKED:
		return "blocked";
	case OMNI_IDENTITY:
		return "identity";
	default:
		return "translated";
	}
}

static const char *omni_coherency(const struct omni_domain *domain)
{
	if (!domain->nc.ops || domain->iommu.type != IOMMU_DOMAIN_UNMANAGED)
		return "left to drivers and devices";
	if (domain->nc.enforced)
		return "enforced: every access snoops";
	if (domain->pt.leaf_bits & domain->nc.ops->tracked)
		return "tracked: pages are cleaned as they enter and leave";
	return "by nature: no device of it can do without snooping";
}

/* "4K", "2M", "1G" and the like */
static const char *omni_size(char *buf, size_t len, unsigned int lg2)
{
	snprintf(buf, len, "%u%c", 1U << lg2 % 10, "BKMGTPE"[lg2 / 10]);
	return buf;
}

/* Units */

static int omni_units_show(struct seq_file *s, void *unused)
{
	struct omni_unit *unit;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(unit, &omni_core.units, node) {
		seq_printf(s, "unit %s\n", unit->name);
		seq_printf(s, "  state: %s\n", unit->broken ?
			   "broken: it did not complete an invalidation" : "in order");
		unit->wing->show->unit(s, unit);
		seq_printf(s, "  domains: %d of %u\n", atomic_read(&unit->nr_tags),
			   unit->tag_last - unit->tag_first + 1);
		seq_printf(s, "  faults: %llu\n", READ_ONCE(unit->counts.faults));
	}
	mutex_unlock(&omni_core.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_units);

/* Attachments */

static int omni_attachments_show(struct seq_file *s, void *unused)
{
	enum omni_state state;
	const struct device_driver *driver;
	struct omni_device *od;
	unsigned int i;
	u32 id;

	omni_domains_shown();
	mutex_lock(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node) {
		spin_lock_irq(&od->lock);
		state = od->state;
		id = od->domain ? od->domain->seen.id : 0;
		spin_unlock_irq(&od->lock);

		seq_printf(s, "device %s\n", dev_name(od->dev));
		seq_printf(s, "  unit: %s\n", od->unit->name);
		driver = READ_ONCE(od->dev->driver);
		seq_printf(s, "  driver: %s\n", driver ? driver->name : "none");
		seq_printf(s, "  state: %s\n", omni_state_name(state));
		if (id)
			seq_printf(s, "  domain: %u\n", id);
		seq_printf(s, "  device TLB: %s\n", !od->ats_depth ? "none" :
			   READ_ONCE(od->ats) ? "on" : "off");
		seq_puts(s, "  IDs:");
		for (i = 0; i < od->nr_rids; i++)
			seq_printf(s, " 0x%x", od->rids[i]);
		seq_putc(s, '\n');
		od->unit->wing->show->attachment(s, od);
		seq_printf(s, "  faults: %llu\n", od->faults);
	}
	mutex_unlock(&omni_core.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_attachments);

/* Domains */

static void omni_domain_devices(struct seq_file *s, struct omni_domain *domain)
{
	struct omni_device *od;
	bool member;

	seq_puts(s, "  devices:");
	list_for_each_entry(od, &omni_core.devices, node) {
		spin_lock_irq(&od->lock);
		member = od->domain == domain;
		spin_unlock_irq(&od->lock);
		if (member)
			seq_printf(s, " %s", dev_name(od->dev));
	}
	seq_putc(s, '\n');
}

static void omni_domain_units(struct seq_file *s, struct omni_domain *domain)
{
	const struct omni_reach *reach;
	unsigned int i;

	seq_puts(s, "  units:");
	rcu_read_lock();
	reach = rcu_dereference(domain->reach);
	for (i = 0; i < reach->nr_units; i++)
		seq_printf(s, " %s(as %u)", reach->units[i].unit->name, reach->units[i].tag);
	rcu_read_unlock();
	seq_putc(s, '\n');
}

static void omni_domain_show(struct seq_file *s, struct omni_domain *domain)
{
	const struct omni_show_ops *show = domain->wing->show;
	unsigned long sizes = domain->iommu.pgsize_bitmap;
	struct omni_usage usage;
	unsigned int lg2;
	char size[8];

	omni_watch(domain);
	domain->pt.ops->usage(&domain->pt, &usage);
	omni_unwatch(domain);

	seq_printf(s, "domain %u\n", domain->seen.id);
	seq_printf(s, "  type: %s\n", omni_domain_type(domain));
	seq_puts(s, "  format: ");
	show->format(s, domain);
	seq_puts(s, "\n  leaves:");
	for_each_set_bit(lg2, &sizes, BITS_PER_LONG)
		seq_printf(s, " %s", omni_size(size, sizeof(size), lg2));
	seq_printf(s, "\n  aperture: 0x%llx-0x%llx\n",
		   (u64)domain->iommu.geometry.aperture_start,
		   (u64)domain->iommu.geometry.aperture_end);
	seq_printf(s, "  coherency: %s\n", omni_coherency(domain));
	seq_printf(s, "  walks: %s\n", domain->pt.incoherent ?
		   "not snooped: table lines are written back" : "snooped");
	seq_printf(s, "  added: %s\n",
		   domain->flush_added == OMNI_ADDED_FREE ? "nothing to flush" :
		   domain->flush_added == OMNI_ADDED_CACHED ?
		   "flushed, since not-present entries are cached" :
		   "the write buffer is flushed");
	if (domain->tainted)
		seq_puts(s, "  tainted: an invalidation failed, its tables are leaked\n");
	omni_domain_units(s, domain);
	omni_domain_devices(s, domain);
	seq_printf(s, "  table_pages: %llu\n", usage.tables);
	seq_printf(s, "  mapped: %llu\n", usage.bytes);
}

static int omni_domains_show(struct seq_file *s, void *unused)
{
	struct omni_domain *domain;

	omni_domains_shown();
	mutex_lock(&omni_core.lock);
	mutex_lock(&omni_domains.lock);
	list_for_each_entry(domain, &omni_domains.list, seen.node)
		omni_domain_show(s, domain);
	mutex_unlock(&omni_domains.lock);
	mutex_unlock(&omni_core.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_domains);

/* Page tables */

/**
 * struct omni_dump - one open file
 * @domain: whose table
 * @raw: every entry instead of runs
 * @pos: position in the file of @run
 * @end: there is no @run at @pos
 * @run: what is shown there: a raw entry, or the first leaf of a run
 * @count: leaves of the run
 * @ahead: the entry behind @run, if @has_ahead
 * @has_ahead: it was read already
 * @iova: where to go on reading, unless @over
 * @below: at that address, levels below this one
 * @over: nothing is left to be read
 */
struct omni_dump {
	struct omni_domain *domain;
	bool raw;
	loff_t pos;
	bool end;
	struct omni_entry run;
	u64 count;
	struct omni_entry ahead;
	bool has_ahead;
	u64 iova;
	unsigned int below;
	bool over;
};

static bool omni_dump_read(struct omni_dump *d, struct omni_entry *e)
{
	if (d->has_ahead) {
		d->has_ahead = false;
		*e = d->ahead;
		return true;
	}
	if (d->over ||
	    !d->domain->pt.ops->next(&d->domain->pt, d->iova, d->below, d->raw, e)) {
		d->over = true;
		return false;
	}
	if (e->kind == OMNI_ENTRY_TABLE) {
		d->iova = e->iova;
		d->below = e->level;
	} else {
		d->over = omni_entry_last(e) == U64_MAX;
		d->iova = omni_entry_last(e) + 1;
		d->below = UINT_MAX;
	}
	return true;
}

/* Is an entry the continuation of a run? */
static bool omni_dump_joins(const struct omni_dump *d, const struct omni_entry *e)
{
	u64 size = d->count << d->run.lg2;

	return e->kind == d->run.kind && e->lg2 == d->run.lg2 && e->attr == d->run.attr &&
	       e->iova == d->run.iova + size && e->pa == d->run.pa + size;
}

/* The next thing to show. */
static void omni_dump_step(struct omni_dump *d)
{
	struct omni_entry e;

	omni_watch(d->domain);
	d->end = !omni_dump_read(d, &d->run);
	d->count = 1;
	while (!d->end && !d->raw && omni_dump_read(d, &e)) {
		if (!omni_dump_joins(d, &e)) {
			d->ahead = e;
			d->has_ahead = true;
			break;
		}
		d->count++;
		cond_resched();
	}
	omni_unwatch(d->domain);
}

static void *omni_dump_start(struct seq_file *s, loff_t *pos)
{
	struct omni_dump *d = s->private;

	if (!*pos) {
		*d = (struct omni_dump) {
			.domain = d->domain,
			.raw = d->raw,
			.below = UINT_MAX,
		};
		return SEQ_START_TOKEN;
	}
	/* Otherwise it is what could not be shown before. */
	while (d->pos < *pos && !d->end) {
		d->pos++;
		omni_dump_step(d);
	}
	return d->end ? NULL : d;
}

static void *omni_dump_next(struct seq_file *s, void *v, loff_t *pos)
{
	struct omni_dump *d = s->private;

	d->pos = ++*pos;
	omni_dump_step(d);
	return d->end ? NULL : d;
}

static void omni_dump_stop(struct seq_file *s, void *v)
{
}

static void omni_dump_reserved(struct seq_file *s, struct omni_device *od)
{
	static const char * const types[] = {
		[IOMMU_RESV_DIRECT] = "direct",
		[IOMMU_RESV_DIRECT_RELAXABLE] = "direct-relaxable",
		[IOMMU_RESV_RESERVED] = "reserved",
		[IOMMU_RESV_MSI] = "msi",
		[IOMMU_RESV_SW_MSI] = "msi",
	};
	struct iommu_resv_region *region;
	LIST_HEAD(regions);

	iommu_get_resv_regions(od->dev, &regions);
	list_for_each_entry(region, &regions, list)
		seq_printf(s, "# reserved 0x%llx-0x%llx %s\n", (u64)region->start,
			   (u64)region->start + region->length - 1, types[region->type]);
	iommu_put_resv_regions(od->dev, &regions);
}

static void omni_dump_head(struct seq_file *s, const struct omni_dump *d)
{
	struct omni_domain *domain = d->domain;
	struct omni_device *od;
	bool member;

	seq_printf(s, "# domain %u, %s: ", domain->seen.id, omni_domain_type(domain));
	domain->wing->show->format(s, domain);
	seq_printf(s, "\n# aperture 0x%llx-0x%llx\n", (u64)domain->iommu.geometry.aperture_start,
		   (u64)domain->iommu.geometry.aperture_end);
	if (d->raw) {
		seq_puts(s, "# level first-byte entry kind address attributes\n");
		return;
	}
	mutex_lock(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node) {
		spin_lock_irq(&od->lock);
		member = od->domain == domain;
		spin_unlock_irq(&od->lock);
		if (member)
			omni_dump_reserved(s, od);
	}
	mutex_unlock(&omni_core.lock);
	seq_puts(s, "# first-last address count x size attributes\n");
}

static int omni_dump_show(struct seq_file *s, void *v)
{
	static const char * const kinds[] = {
		[OMNI_ENTRY_TABLE] = "table",
		[OMNI_ENTRY_LEAF] = "leaf",
		[OMNI_ENTRY_PENDING] = "pending",
	};
	const struct omni_dump *d = s->private;
	const struct omni_entry *e = &d->run;
	char size[8];

	if (v == SEQ_START_TOKEN) {
		omni_dump_head(s, d);
		return 0;
	}
	if (d->raw)
		seq_printf(s, "%u 0x%016llx 0x%016llx %s 0x%llx", e->level, e->iova, e->value,
			   kinds[e->kind], e->pa);
	else
		seq_printf(s, "0x%016llx-0x%016llx 0x%012llx %llu x %s", e->iova,
			   e->iova + (d->count << e->lg2) - 1, e->pa, d->count,
			   omni_size(size, sizeof(size), e->lg2));
	if (e->kind != OMNI_ENTRY_TABLE) {
		seq_putc(s, ' ');
		if (e->kind == OMNI_ENTRY_PENDING)
			seq_puts(s, d->raw ? "-" : "pending");
		else
			d->domain->wing->show->attr(s, d->domain, e->value);
	}
	seq_putc(s, '\n');
	return 0;
}

static const struct seq_operations omni_dump_ops = {
	.start = omni_dump_start,
	.next = omni_dump_next,
	.stop = omni_dump_stop,
	.show = omni_dump_show,
};

static int omni_dump_open(struct inode *inode, struct file *file, bool raw)
{
	struct omni_dump *d = __seq_open_private(file, &omni_dump_ops, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->domain = inode->i_private;
	d->raw = raw;
	return 0;
}

static int omni_table_open(struct inode *inode, struct file *file)
{
	return omni_dump_open(inode, file, false);
}

static int omni_raw_open(struct inode *inode, struct file *file)
{
	return omni_dump_open(inode, file, true);
}

static const struct file_operations omni_table_fops = {
	.owner = THIS_MODULE,
	.open = omni_table_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static const struct file_operations omni_raw_fops = {
	.owner = THIS_MODULE,
	.open = omni_raw_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* Ledger */

static int omni_whole_ledger_show(struct seq_file *s, void *unused)
{
	omni_ledger_show(s);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_whole_ledger);

static int omni_domain_ledger_show(struct seq_file *s, void *unused)
{
	omni_ledger_domain(s, s->private);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_domain_ledger);

static int omni_tracker_show(struct seq_file *s, void *unused)
{
	omni_ledger_tracker(s);
	seq_printf(s, "chunks %ld\n", omni_nc_chunks());
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_tracker);

static int omni_latency_get(void *unused, u64 *value)
{
	*value = omni_latency_counted();
	return 0;
}

static int omni_latency_set(void *unused, u64 value)
{
	return value > 1 ? -EINVAL : omni_latency_switch(value);
}
DEFINE_DEBUGFS_ATTRIBUTE(omni_latency_fops, omni_latency_get, omni_latency_set, "%llu\n");

/* Faults */

static void omni_faults_record(struct seq_file *s, const struct omni_record *r)
{
	u64 us = div_u64(r->ns, NSEC_PER_USEC);
	u32 part = do_div(us, USEC_PER_SEC);

	seq_printf(s, "  [%5llu.%06u] DMA %s by %s", us, part,
		   r->nowhere ? "access" : r->read ? "read" : "write", r->who);
	if (!r->nowhere)
		seq_printf(s, " %s 0x%llx", r->read ? "from" : "to", r->iova);
	seq_printf(s, ": %s (reason 0x%02x)", r->why ?: "reason not known", r->reason);
	if (r->times > 1)
		seq_printf(s, ", %u times", r->times);
	seq_putc(s, '\n');
}

static int omni_faults_show(struct seq_file *s, void *unused)
{
	const struct omni_history *h;
	struct omni_unit *unit;
	struct omni_device *od;
	u64 i;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(unit, &omni_core.units, node) {
		h = &unit->history;
		seq_printf(s, "unit %s: %llu refused\n", unit->name,
			   READ_ONCE(unit->counts.faults));
		list_for_each_entry(od, &omni_core.devices, node)
			if (od->unit == unit && od->faults)
				seq_printf(s, "  device %s: %llu\n", dev_name(od->dev), od->faults);
		for (i = h->nr - min_t(u64, h->nr, OMNI_HISTORY); i < h->nr; i++)
			omni_faults_record(s, &h->records[i % OMNI_HISTORY]);
	}
	mutex_unlock(&omni_core.lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(omni_faults);

/* Life */

struct dentry *omni_debugfs_domain(struct omni_domain *domain)
{
	struct dentry *dir;
	char name[16];

	if (!omni_debugfs_domains)
		return NULL;
	snprintf(name, sizeof(name), "%u", domain->seen.id);
	dir = debugfs_create_dir(name, omni_debugfs_domains);
	debugfs_create_file("table", 0400, dir, domain, &omni_table_fops);
	debugfs_create_file("raw", 0400, dir, domain, &omni_raw_fops);
	debugfs_create_file("ledger", 0444, dir, domain, &omni_domain_ledger_fops);
	return dir;
}

void omni_debugfs_init(void)
{
	struct dentry *dir = debugfs_create_dir("omniommu", NULL);

	debugfs_create_file("units", 0400, dir, NULL, &omni_units_fops);
	debugfs_create_file("attachments", 0400, dir, NULL, &omni_attachments_fops);
	debugfs_create_file("domains", 0400, dir, NULL, &omni_domains_fops);
	debugfs_create_file("ledger", 0444, dir, NULL, &omni_whole_ledger_fops);
	debugfs_create_file("tracker", 0444, dir, NULL, &omni_tracker_fops);
	debugfs_create_file("latency", 0644, dir, NULL, &omni_latency_fops);
	debugfs_create_file("faults", 0400, dir, NULL, &omni_faults_fops);
	omni_debugfs_domains = debugfs_create_dir("domain", dir);
	omni_debugfs = dir;
}

void omni_debugfs_exit(void)
{
	debugfs_remove_recursive(omni_debugfs);
	omni_latency_switch(false);
	omni_debugfs = NULL;
	omni_debugfs_domains = NULL;
}
