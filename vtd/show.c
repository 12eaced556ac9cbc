// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs shows of VT-d units, context entries and second-stage tables
 * (VT-d r3.1, 9.1, 9.3, 9.8, 10.4), and the file of the in-tree driver that
 * tools know: iommu/intel/<device>/domain_translation_struct.
 */
#include "vtd.h"

#include <linux/debugfs.h>
#include <linux/seq_file.h>

struct vtd_word {
	u64 bit;
	const char *word;
};

static void vtd_words(struct seq_file *s, u64 value, const struct vtd_word *words,
		      unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (value & words[i].bit)
			seq_printf(s, ", %s", words[i].word);
}

static void vtd_show_capabilities(struct seq_file *s, const struct vtd_unit *unit)
{
	static const struct vtd_word cap_words[] = {
		{ VTD_CAP_CM, "caches not-present entries (CM)" },
		{ VTD_CAP_RWBF, "its write buffer needs flushing (RWBF)" },
		{ VTD_CAP_DWD, "drains writes" },
		{ VTD_CAP_DRD, "drains reads" },
	};
	static const struct vtd_word ecap_words[] = {
		{ VTD_ECAP_C, "snooped table walks" },
		{ VTD_ECAP_QI, "invalidation queue" },
		{ VTD_ECAP_DT, "device TLBs" },
		{ VTD_ECAP_IR, "interrupt remapping" },
		{ VTD_ECAP_PT, "pass-through" },
		{ VTD_ECAP_SC, "snoop control" },
	};
	unsigned int sagaw = vtd_sagaw(unit);
	u64 sllps = FIELD_GET(VTD_CAP_SLLPS, unit->cap);

	seq_puts(s, "  capabilities: tables of");
	if (sagaw & VTD_SAGAW_39)
		seq_puts(s, " 39");
	if (sagaw & VTD_SAGAW_48)
		seq_puts(s, " 48");
	if (sagaw & VTD_SAGAW_57)
		seq_puts(s, " 57");
	seq_printf(s, " bits, %llu bits of address, leaves 4K%s%s, %u fault record(s)",
		   FIELD_GET(VTD_CAP_MGAW, unit->cap) + 1, sllps & VTD_SLLPS_2M ? " 2M" : "",
		   sllps & VTD_SLLPS_1G ? " 1G" : "",
		   (unsigned int)FIELD_GET(VTD_CAP_NFR, unit->cap) + 1);
	vtd_words(s, unit->cap, cap_words, ARRAY_SIZE(cap_words));
	if (unit->cap & VTD_CAP_PSI)
		seq_printf(s, ", invalidates up to 2^%llu pages at once",
			   FIELD_GET(VTD_CAP_MAMV, unit->cap));
	vtd_words(s, unit->ecap, ecap_words, ARRAY_SIZE(ecap_words));
	seq_putc(s, '\n');
}

static void vtd_show_unit(struct seq_file *s, struct omni_unit *core)
{
	static const struct {
		const char *name;
		unsigned int reg;
		bool wide;
	} regs[] = {
		{ "VER_REG", VTD_VER },
		{ "CAP_REG", VTD_CAP, true },
		{ "ECAP_REG", VTD_ECAP, true },
		{ "GSTS_REG", VTD_GSTS },
		{ "RTADDR_REG", VTD_RTADDR, true },
		{ "FSTS_REG", VTD_FSTS },
		{ "FECTL_REG", VTD_FECTL },
		{ "FEDATA_REG", VTD_FEDATA },
		{ "FEADDR_REG", VTD_FEADDR },
		{ "PMEN_REG", VTD_PMEN },
		{ "IQH_REG", VTD_IQH, true },
		{ "IQT_REG", VTD_IQT, true },
		{ "IQA_REG", VTD_IQA, true },
	};
	struct vtd_unit *unit = to_vtd_unit(core);
	struct omni_queue *q = &core->queue;
	u32 gsts = vtd_read32(unit, VTD_GSTS);
	unsigned int i;

	seq_printf(s, "  kind: VT-d %u.%u, segment %04x, registers at 0x%llx\n",
		   (unsigned int)FIELD_GET(VTD_VER_MAX, vtd_read32(unit, VTD_VER)),
		   (unsigned int)FIELD_GET(VTD_VER_MIN, vtd_read32(unit, VTD_VER)),
		   unit->drhd->segment, unit->drhd->base);
	vtd_show_capabilities(s, unit);
	seq_printf(s, "  translation: %s\n", gsts & VTD_G_TE ? "on" : "off");
	if (unit->ecap & VTD_ECAP_QI)
		seq_printf(s, "  queue: %s, %lu slots, head %llu, tail %llu, %u errors\n",
			   READ_ONCE(q->dead) ? "given up" : READ_ONCE(q->on) ? "on" : "off",
			   VTD_QUEUE_SIZE, FIELD_GET(VTD_IQ_INDEX, vtd_read64(unit, VTD_IQH)),
			   FIELD_GET(VTD_IQ_INDEX, vtd_read64(unit, VTD_IQT)),
			   READ_ONCE(q->errors));
	else
		seq_printf(s, "  queue: none, registers in its place%s\n",
			   READ_ONCE(q->dead) ? ", given up" : "");
	seq_printf(s, "  fault events: %s\n", unit->irq ? "by interrupt" : "by timer");
	for (i = 0; i < ARRAY_SIZE(regs); i++) {
		/* Without a queue, its registers do not exist. */
		if (regs[i].reg >= VTD_IQH && !(unit->ecap & VTD_ECAP_QI))
			continue;
		if (regs[i].wide)
			seq_printf(s, "  %s: 0x%016llx\n", regs[i].name,
				   vtd_read64(unit, regs[i].reg));
		else
			seq_printf(s, "  %s: 0x%08x\n", regs[i].name,
				   vtd_read32(unit, regs[i].reg));
	}
}

/* Written as one, read in two: again if it changed in between. */
static union vtd_context vtd_context_read(const union vtd_context *entry)
{
	union vtd_context seen;

	do {
		seen.lo = READ_ONCE(entry->lo);
		smp_rmb();	/* the halves in this order, see above */
		seen.hi = READ_ONCE(entry->hi);
		smp_rmb();	/* and the first once more */
	} while (seen.lo != READ_ONCE(entry->lo));
	return seen;
}

static void vtd_show_attachment(struct seq_file *s, struct omni_device *od)
{
	static const char * const types[] = {
		[VTD_TT_TRANSLATE] = "translated",
		[VTD_TT_DEVICE_TLB] = "translated, its device TLB may ask",
		[VTD_TT_PASS_THROUGH] = "passed through",
		[3] = "reserved type",
	};
	struct vtd_unit *unit = to_vtd_unit(od->unit);
	unsigned int i;

	for (i = 0; i < od->nr_rids; i++) {
		u16 rid = od->rids[i];
		union vtd_context *table = unit->contexts[rid >> 8];
		union vtd_context entry = { };
		u64 lo, hi;

		if (table)
			entry = vtd_context_read(&table[rid & 0xff]);
		lo = le64_to_cpu(entry.lo);
		hi = le64_to_cpu(entry.hi);
		seq_printf(s, "  context %02x:%02x.%x: 0x%016llx 0x%016llx", PCI_BUS_NUM(rid),
			   PCI_SLOT(rid), PCI_FUNC(rid), hi, lo);
		if (!(lo & VTD_CTX_P)) {
			seq_puts(s, " not present: blocked\n");
			continue;
		}
		seq_printf(s, " %s, domain id %llu, %llu bits", types[FIELD_GET(VTD_CTX_TT, lo)],
			   FIELD_GET(VTD_CTX_HI_DID, hi), 30 + 9 * FIELD_GET(VTD_CTX_HI_AW, hi));
		if (FIELD_GET(VTD_CTX_TT, lo) != VTD_TT_PASS_THROUGH)
			seq_printf(s, ", table 0x%llx", lo & VTD_CTX_SLPTPTR);
		seq_puts(s, lo & VTD_CTX_FPD ? ", faults are not reported\n" : "\n");
	}
}

static void vtd_show_format(struct seq_file *s, struct omni_domain *domain)
{
	seq_printf(s, "VT-d second stage, %u levels, %u bits", domain->pt.top + 1,
		   fls64(domain->pt.last));
}

static void vtd_show_attr(struct seq_file *s, struct omni_domain *domain, u64 value)
{
	seq_printf(s, "%c%c", value & VTD_SS_R ? 'r' : '-', value & VTD_SS_W ? 'w' : '-');
	if (value & VTD_SS_SNP)
		seq_puts(s, " snoop");
	if (value & VTD_SS_IGN2)
		seq_puts(s, " tracked");
}

/* The in-tree driver's file */

#define VTD_SHOW_LEVELS	5

/**
 * struct vtd_show - one open file
 * @od: the device
 * @id: number of the domain that is shown
 * @root: its table
 * @pos: position in the file of @path
 * @end: nothing is left
 * @iova: first byte of the leaf shown
 * @path: entries on the way to it, the leaf's table being level 1
 * @next: where to go on
 * @below: at that address, levels below this one
 */
struct vtd_show {
	struct omni_device *od;
	u32 id;
	u64 root;
	loff_t pos;
	bool end;
	u64 iova;
	u64 path[VTD_SHOW_LEVELS + 1];
	u64 next;
	unsigned int below;
};

/* The domain is what start() has got and stop() gives back. */
struct vtd_show_file {
	struct vtd_show show;
	struct omni_domain *domain;
};

static void vtd_show_step(struct vtd_show_file *f)
{
	struct vtd_show *v = &f->show;
	struct omni_entry e;
	unsigned int i;

	omni_watch(f->domain);
	for (;;) {
		v->end = v->next > f->domain->pt.last ||
			 !f->domain->pt.ops->next(&f->domain->pt, v->next, v->below, true, &e);
		if (v->end)
			break;
		/* Below what is met now, everything is another's. */
		for (i = 1; i <= e.level; i++)
			v->path[i] = 0;
		v->path[e.level + 1] = e.value;
		v->iova = e.iova;
		v->next = e.kind == OMNI_ENTRY_TABLE ? e.iova : omni_entry_last(&e) + 1;
		v->below = e.kind == OMNI_ENTRY_TABLE ? e.level : UINT_MAX;
		if (e.kind == OMNI_ENTRY_LEAF)
			break;
	}
	omni_unwatch(f->domain);
}

static void *vtd_show_start(struct seq_file *s, loff_t *pos)
{
	struct vtd_show_file *f = s->private;
	struct vtd_show *v = &f->show;

	f->domain = omni_domain_view(v->od);
	if (!f->domain)
		return NULL;
	if (!*pos) {
		*v = (struct vtd_show) {
			.od = v->od,
			.id = f->domain->seen.id,
			.root = virt_to_phys(f->domain->pt.root),
			.below = UINT_MAX,
		};
		return SEQ_START_TOKEN;
	}
	/* The device has moved on meanwhile. */
	if (v->id != f->domain->seen.id)
		return NULL;
	while (v->pos < *pos && !v->end) {
		v->pos++;
		vtd_show_step(f);
	}
	return v->end ? NULL : v;
}

static void *vtd_show_next(struct seq_file *s, void *p, loff_t *pos)
{
	struct vtd_show_file *f = s->private;

	f->show.pos = ++*pos;
	vtd_show_step(f);
	return f->show.end ? NULL : &f->show;
}

static void vtd_show_stop(struct seq_file *s, void *p)
{
	struct vtd_show_file *f = s->private;

	if (!f->domain)
		return;
	omni_domain_unview(f->domain);
	f->domain = NULL;
}

static int vtd_show_line(struct seq_file *s, void *p)
{
	const struct vtd_show *v = &((struct vtd_show_file *)s->private)->show;
	u16 rid = v->od->rid;
	unsigned int i;

	if (p == SEQ_START_TOKEN) {
		seq_printf(s, "Device %04x:%02x:%02x.%x @0x%llx\n",
			   to_vtd_unit(v->od->unit)->drhd->segment, PCI_BUS_NUM(rid),
			   PCI_SLOT(rid), PCI_FUNC(rid), v->root);
		seq_printf(s, "%-17s\t%-18s\t%-18s\t%-18s\t%-18s\t%-s\n", "IOVA_PFN", "PML5E",
			   "PML4E", "PDPE", "PDE", "PTE");
		return 0;
	}
	seq_printf(s, "0x%013llx |", v->iova >> VTD_PAGE_LG2);
	for (i = VTD_SHOW_LEVELS; i >= 1 && (i > 2 || v->path[i]); i--)
		seq_printf(s, "\t0x%016llx", v->path[i]);
	seq_putc(s, '\n');
	return 0;
}

static const struct seq_operations vtd_show_seq = {
	.start = vtd_show_start,
	.next = vtd_show_next,
	.stop = vtd_show_stop,
	.show = vtd_show_line,
};

static int vtd_show_open(struct inode *inode, struct file *file)
{
	struct vtd_show_file *f = __seq_open_private(file, &vtd_show_seq, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->show.od = inode->i_private;
	return 0;
}

static const struct file_operations vtd_show_fops = {
	.owner = THIS_MODULE,
	.open = vtd_show_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/* Where that file is, for all devices. */
static struct {
	struct mutex lock;	/* protects the rest */
	bool tried;		/* made, or somebody else's */
	struct dentry *iommu;	/* iommu/, if it is ours */
	struct dentry *intel;	/* iommu/intel/ */
} vtd_show_dirs = {
	.lock = __MUTEX_INITIALIZER(vtd_show_dirs.lock),
};

static void vtd_show_make_dirs(void)
{
	struct dentry *iommu, *intel;

	lockdep_assert_held(&vtd_show_dirs.lock);
	if (vtd_show_dirs.tried)
		return;
	vtd_show_dirs.tried = true;
	iommu = debugfs_lookup("iommu", NULL);
	if (!iommu) {
		vtd_show_dirs.iommu = debugfs_create_dir("iommu", NULL);
		vtd_show_dirs.intel = debugfs_create_dir("intel", vtd_show_dirs.iommu);
		return;
	}
	intel = debugfs_lookup("intel", iommu);
	if (intel)
		dput(intel);
	else
		vtd_show_dirs.intel = debugfs_create_dir("intel", iommu);
	dput(iommu);
}

static void vtd_show_device_add(struct omni_device *od)
{
	mutex_lock(&vtd_show_dirs.lock);
	vtd_show_make_dirs();
	if (vtd_show_dirs.intel) {
		od->shown = debugfs_create_dir(dev_name(od->dev), vtd_show_dirs.intel);
		debugfs_create_file("domain_translation_struct", 0444, od->shown, od,
				    &vtd_show_fops);
	}
	mutex_unlock(&vtd_show_dirs.lock);
}

static void vtd_show_device_remove(struct omni_device *od)
{
	debugfs_remove(od->shown);
	od->shown = NULL;
}

void vtd_show_exit(void)
{
	mutex_lock(&vtd_show_dirs.lock);
	debugfs_remove(vtd_show_dirs.intel);
	debugfs_remove(vtd_show_dirs.iommu);
	vtd_show_dirs.intel = NULL;
	vtd_show_dirs.iommu = NULL;
	vtd_show_dirs.tried = false;
	mutex_unlock(&vtd_show_dirs.lock);
}

const struct omni_show_ops vtd_show_ops = {
	.unit = vtd_show_unit,
	.attachment = vtd_show_attachment,
	.format = vtd_show_format,
	.attr = vtd_show_attr,
	.device_add = vtd_show_device_add,
	.device_remove = vtd_show_device_remove,
};
