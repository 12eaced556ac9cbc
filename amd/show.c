// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs shows of AMD-Vi units, device table entries and host page
 * tables (48882 r3.08, 2.2.2, 2.2.3, 3.2, 3.4).
 */
#include "amd.h"

#include <linux/seq_file.h>

static void amd_show_capabilities(struct seq_file *s, const struct amd_unit *unit)
{
	static const struct {
		u64 bit;
		const char *word;
	} words[] = {
		{ AMD_EFR_PREFETCH, "prefetch" },
		{ AMD_EFR_PPR, "page requests" },
		{ AMD_EFR_XT, "x2APIC" },
		{ AMD_EFR_GT, "guest tables" },
		{ AMD_EFR_IA, "invalidate all" },
		{ AMD_EFR_GA, "guest APIC" },
		{ AMD_EFR_HA, "accessed bits" },
		{ AMD_EFR_HD, "dirty bits" },
		{ AMD_EFR_SNP, "SNP" },
	};
	unsigned int i;

	seq_printf(s, "  capabilities: %llu levels of tables at most, %u bits of address",
		   min(FIELD_GET(AMD_EFR_HATS, unit->efr), AMD_HATS_MAX) + 4, unit->va_bits);
	if (unit->cap & AMD_CAP_NPCACHE)
		seq_puts(s, ", caches not-present entries (NpCache)");
	if (unit->cap & AMD_CAP_IOTLB)
		seq_puts(s, ", device TLBs");
	if (unit->fc)
		seq_puts(s, ", forced coherency");
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (unit->efr & words[i].bit)
			seq_printf(s, ", %s", words[i].word);
	seq_putc(s, '\n');
}

static void amd_show_unit(struct seq_file *s, struct omni_unit *core)
{
	static const struct {
		const char *name;
		unsigned int reg;
	} regs[] = {
		{ "device table", AMD_DEVTAB },
		{ "command buffer", AMD_CMDBUF },
		{ "event log", AMD_EVENTLOG },
		{ "control", AMD_CONTROL },
		{ "exclusion base", AMD_EXCLUSION },
		{ "exclusion limit", AMD_EXCLUSION_LIMIT },
		{ "extended feature", AMD_EFR },
		{ "command head", AMD_CMD_HEAD },
		{ "command tail", AMD_CMD_TAIL },
		{ "event head", AMD_EVENT_HEAD },
		{ "event tail", AMD_EVENT_TAIL },
		{ "status", AMD_STATUS },
	};
	struct amd_unit *unit = to_amd_unit(core);
	struct omni_queue *q = &core->queue;
	unsigned int i;

	seq_printf(s, "  kind: AMD-Vi, segment %04x, PCI function %s, registers at 0x%llx\n",
		   unit->ivhd->segment, unit->pdev ? pci_name(unit->pdev) : "none",
		   (u64)(unit->res ? unit->res->start : 0));
	amd_show_capabilities(s, unit);
	seq_printf(s, "  translation: %s\n",
		   amd_read64(unit, AMD_CONTROL) & AMD_CTRL_IOMMU ? "on" : "off");
	seq_printf(s, "  queue: %s, %lu slots, head %llu, tail %llu, %u errors\n",
		   READ_ONCE(q->dead) ? "given up" : READ_ONCE(q->on) ? "on" : "off",
		   AMD_RING_SIZE, FIELD_GET(AMD_RING_INDEX, amd_read64(unit, AMD_CMD_HEAD)),
		   FIELD_GET(AMD_RING_INDEX, amd_read64(unit, AMD_CMD_TAIL)),
		   READ_ONCE(q->errors));
	seq_printf(s, "  fault events: %s\n", unit->log.irq ? "by interrupt" : "by timer");
	seq_printf(s, "  device table entries: %u\n", unit->nr_dtes);
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		seq_printf(s, "  %s: 0x%016llx\n", regs[i].name, amd_read64(unit, regs[i].reg));
}

/* The lower half is written as one, read in two: again if it changed. */
static struct amd_dte amd_dte_read(const struct amd_dte *entry)
{
	struct amd_dte seen;

	do {
		seen.data[0] = READ_ONCE(entry->data[0]);
		smp_rmb();	/* the halves in this order, see above */
		seen.data[1] = READ_ONCE(entry->data[1]);
		smp_rmb();	/* and the first once more */
	} while (seen.data[0] != READ_ONCE(entry->data[0]));
	seen.data[2] = READ_ONCE(entry->data[2]);
	seen.data[3] = READ_ONCE(entry->data[3]);
	return seen;
}

static void amd_show_attachment(struct seq_file *s, struct omni_device *od)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	unsigned int i;

	for (i = 0; i < od->nr_rids; i++) {
		u16 rid = od->rids[i];
		struct amd_dte entry;
		u64 q[4];
		unsigned int n;

		if (rid >= unit->nr_dtes)
			continue;
		entry = amd_dte_read(&unit->table[rid]);
		for (n = 0; n < ARRAY_SIZE(q); n++)
			q[n] = le64_to_cpu(entry.data[n]);
		seq_printf(s, "  entry %02x:%02x.%x: 0x%016llx 0x%016llx 0x%016llx 0x%016llx",
			   PCI_BUS_NUM(rid), PCI_SLOT(rid), PCI_FUNC(rid), q[3], q[2], q[1], q[0]);
		if (!(q[0] & (AMD_DTE0_IR | AMD_DTE0_IW)))
			seq_puts(s, " permits nothing: blocked");
		else if (q[0] & AMD_DTE0_GV)
			seq_puts(s, " translated by guest tables");
		else if (!FIELD_GET(AMD_DTE0_MODE, q[0]))
			seq_puts(s, " passed through");
		else
			seq_printf(s, " translated, %llu levels, table 0x%llx",
				   FIELD_GET(AMD_DTE0_MODE, q[0]), q[0] & AMD_DTE0_ROOT);
		seq_printf(s, ", domain id %llu", FIELD_GET(AMD_DTE1_DOMAIN, q[1]));
		if (q[1] & AMD_DTE1_I)
			seq_puts(s, ", its device TLB may ask");
		if (FIELD_GET(AMD_DTE0_HAD, q[0]))
			seq_puts(s, ", dirty bits are set");
		seq_putc(s, '\n');
	}
}

static void amd_show_format(struct seq_file *s, struct omni_domain *domain)
{
	unsigned int top = READ_ONCE(domain->pt.word) & ~PAGE_MASK;

	if (to_amd_domain(domain)->gcr3) {
		seq_printf(s, "AMD-Vi guest table, %u levels, %u bits", domain->pt.top + 1,
			   fls64(domain->pt.last));
		return;
	}
	seq_printf(s, "AMD-Vi host table, %u levels now, %u at most, %u bits", top + 1,
		   domain->pt.top + 1, fls64(domain->pt.last));
}

static void amd_show_attr(struct seq_file *s, struct omni_domain *domain, u64 value)
{
	if (to_amd_domain(domain)->gcr3) {
		seq_printf(s, "r%c%s", value & AMD_GPTE_RW ? 'w' : '-',
			   value & AMD_GPTE_AVL2 ? " tracked" : "");
		return;
	}
	seq_printf(s, "%c%c", value & AMD_PTE_IR ? 'r' : '-', value & AMD_PTE_IW ? 'w' : '-');
	if (value & AMD_PTE_FC)
		seq_puts(s, " snoop");
	if (value & AMD_PTE_D)
		seq_puts(s, " dirty");
}

const struct omni_show_ops amd_show_ops = {
	.unit = amd_show_unit,
	.attachment = amd_show_attachment,
	.format = amd_show_format,
	.attr = amd_show_attr,
};
