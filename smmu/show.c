// SPDX-License-Identifier: GPL-2.0-only
/*
 * What debugfs shows of SMMUv3 units, stream table entries, context
 * descriptors and page tables (IHI 0070, 5.2, 5.4, 6.3; DDI 0487, D8.3).
 */
#include "smmu.h"

#include <linux/seq_file.h>

static void smmu_show_capabilities(struct seq_file *s, const struct smmu_unit *unit)
{
	static const struct {
		u32 bit;
		const char *word;
	} words[] = {
		{ SMMU_IDR0_S1P, "stage 1" },
		{ SMMU_IDR0_S2P, "stage 2" },
		{ SMMU_IDR0_COHACC, "coherent accesses" },
		{ SMMU_IDR0_HYP, "EL2 stage 1" },
		{ SMMU_IDR0_ATS, "device TLBs" },
		{ SMMU_IDR0_ASID16, "16 bits of ASID" },
		{ SMMU_IDR0_VMID16, "16 bits of VMID" },
		{ SMMU_IDR0_MSI, "messages" },
		{ SMMU_IDR0_SEV, "wake-up events" },
	};
	unsigned int i;

	seq_printf(s, "  capabilities: %u bits of physical address, %u of stream ID, %s stream table",
		   unit->oas, unit->sid_bits, unit->l1 ? "two-level" : "linear");
	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (unit->idr0 & words[i].bit)
			seq_printf(s, ", %s", words[i].word);
	if (unit->idr3 & SMMU_IDR3_RIL)
		seq_puts(s, ", range invalidation");
	if (smmu_tracks_dirty(unit))
		seq_puts(s, ", dirty tracking");
	seq_putc(s, '\n');
}

static void smmu_show_unit(struct seq_file *s, struct omni_unit *core)
{
	static const struct {
		const char *name;
		unsigned int reg;
	} regs[] = {
		{ "IDR0", SMMU_IDR0 },
		{ "IDR1", SMMU_IDR1 },
		{ "IDR3", SMMU_IDR3 },
		{ "IDR5", SMMU_IDR5 },
		{ "IIDR", SMMU_IIDR },
		{ "AIDR", SMMU_AIDR },
		{ "CR0", SMMU_CR0 },
		{ "CR0ACK", SMMU_CR0ACK },
		{ "CR1", SMMU_CR1 },
		{ "CR2", SMMU_CR2 },
		{ "GERROR", SMMU_GERROR },
		{ "GERRORN", SMMU_GERRORN },
		{ "STRTAB_BASE_CFG", SMMU_STRTAB_BASE_CFG },
		{ "CMDQ_PROD", SMMU_CMDQ_PROD },
		{ "CMDQ_CONS", SMMU_CMDQ_CONS },
	};
	struct smmu_unit *unit = to_smmu_unit(core);
	struct omni_queue *q = &core->queue;
	unsigned int i;

	seq_printf(s, "  kind: SMMUv3, %s, registers at 0x%llx\n", dev_name(&unit->pdev->dev),
		   (u64)unit->base);
	smmu_show_capabilities(s, unit);
	seq_printf(s, "  translation: %s\n",
		   smmu_read32(unit, SMMU_CR0) & SMMU_CR0_SMMUEN ? "on" : "off");
	seq_printf(s, "  queue: %s, %lu slots, head 0x%x, tail 0x%x, %u errors\n",
		   READ_ONCE(q->dead) ? "given up" : READ_ONCE(q->on) ? "on" : "off",
		   BIT(unit->queue.lg2), smmu_read32(unit, SMMU_CMDQ_CONS),
		   smmu_read32(unit, SMMU_CMDQ_PROD), READ_ONCE(q->errors));
	seq_printf(s, "  fault events: %s\n", unit->events.irq ? "by interrupt" : "by timer");
	for (i = 0; i < ARRAY_SIZE(regs); i++)
		seq_printf(s, "  %s: 0x%08x\n", regs[i].name, smmu_read32(unit, regs[i].reg));
}

static void smmu_show_cd(struct seq_file *s, u64 q0)
{
	/* The pages of context descriptors stay as long as the unit. */
	const struct smmu_cd *cd = phys_to_virt(q0 & SMMU_STE0_S1CTX);
	u64 c0 = le64_to_cpu(READ_ONCE(cd->q[0]));

	seq_printf(s, " stage 1, context descriptor 0x%llx: ASID %llu, %llu bits, table 0x%llx",
		   q0 & SMMU_STE0_S1CTX, FIELD_GET(SMMU_CD0_ASID, c0),
		   64 - FIELD_GET(SMMU_CD0_T0SZ, c0),
		   le64_to_cpu(READ_ONCE(cd->q[1])) & SMMU_CD1_TTB0);
}

static void smmu_show_attachment(struct seq_file *s, struct omni_device *od)
{
	struct smmu_unit *unit = to_smmu_unit(od->unit);
	unsigned int i, n;

	for (i = 0; i < od->nr_rids; i++) {
		const struct smmu_ste *ste = smmu_ste(unit, od->rids[i]);
		u64 q[4];

		for (n = 0; n < ARRAY_SIZE(q); n++)
			q[n] = le64_to_cpu(READ_ONCE(ste->q[n]));
		seq_printf(s, "  entry 0x%x: 0x%016llx 0x%016llx 0x%016llx 0x%016llx", od->rids[i],
			   q[3], q[2], q[1], q[0]);
		switch (FIELD_GET(SMMU_STE0_CONFIG, q[0])) {
		case SMMU_CONFIG_BYPASS:
			seq_puts(s, " passed through");
			break;
		case SMMU_CONFIG_S1:
			smmu_show_cd(s, q[0]);
			break;
		case SMMU_CONFIG_S2:
			seq_printf(s, " stage 2, VMID %llu, %llu bits, table 0x%llx",
				   FIELD_GET(SMMU_STE2_S2VMID, q[2]),
				   64 - FIELD_GET(SMMU_STE2_S2T0SZ, q[2]),
				   q[3] & SMMU_STE3_S2TTB);
			break;
		default:
			seq_puts(s, " aborts: blocked");
		}
		if (FIELD_GET(SMMU_STE1_EATS, q[1]) == SMMU_EATS_ON)
			seq_puts(s, ", its device TLB may ask");
		seq_putc(s, '\n');
	}
}

static void smmu_show_format(struct seq_file *s, struct omni_domain *core)
{
	const struct smmu_domain *domain = to_smmu_domain(core);

	seq_printf(s, "SMMUv3 stage %d, %luK granules, %u levels, %u bits",
		   domain->stage2 ? 2 : 1, BIT(domain->format->granule - 10), core->pt.top + 1,
		   fls64(core->pt.last));
}

static void smmu_show_attr(struct seq_file *s, struct omni_domain *core, u64 value)
{
	static const char * const shares[] = { "", "", " outer", " inner" };
	static const char * const s1[] = { " uncached", " cached", " device", "" };
	const char *kind, *marked = "";
	unsigned int attr;
	bool read, write;

	if (to_smmu_domain(core)->stage2) {
		read = value & SMMU_PTE_S2_READ;
		write = value & SMMU_PTE_S2_WRITE;
		attr = FIELD_GET(SMMU_PTE_S2_ATTR, value);
		kind = attr == SMMU_S2_CACHED ? " cached" : attr == SMMU_S2_DEVICE ? " device" :
		       " uncached";
	} else {
		read = true;
		write = !(value & SMMU_PTE_S1_RDONLY);
		if (value & SMMU_PTE_S1_DBM) {
			marked = write ? " dirty" : " clean";
			write = true;
		}
		kind = s1[FIELD_GET(SMMU_PTE_S1_ATTR, value) & 3];
	}
	seq_printf(s, "%c%c%s%s%s%s", read ? 'r' : '-', write ? 'w' : '-', kind,
		   shares[FIELD_GET(SMMU_PTE_SH, value)], value & SMMU_PTE_XN ? " noexec" : "",
		   marked);
}

const struct omni_show_ops smmu_show_ops = {
	.unit = smmu_show_unit,
	.attachment = smmu_show_attachment,
	.format = smmu_show_format,
	.attr = smmu_show_attr,
};
