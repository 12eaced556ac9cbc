// SPDX-License-Identifier: GPL-2.0-only
/*
 * One unit up and down (IHI 0070, 3.11 and 6.3).
 *
 * A unit is taken only when it is off and nobody else's (L3). It comes up
 * with the streams open whose DMA goes on already (L1); all others are
 * refused until the kernel has attached a domain (S4).
 */
#include "smmu.h"

#include <linux/dma-mapping.h>
#include <linux/iopoll.h>
#include <linux/ioport.h>
#include <linux/slab.h>

int smmu_unit_control(struct smmu_unit *unit, unsigned int reg, u32 value)
{
	u32 ack;
	int ret;

	smmu_write32(unit, reg, value);
	ret = read_poll_timeout(smmu_read32, ack, ack == value, 1, OMNI_DEADLINE_US, false,
				unit, reg + 4);
	if (ret)
		pr_err("%s: register %#x was not changed to %08x within %u ms\n",
		       unit->core.name, reg, value, OMNI_DEADLINE_MS);
	return ret;
}

/* 6.3, IDR5.OAS: codes beyond the last are wider ones that the tables don't hold. */
static unsigned int smmu_oas(u32 idr5)
{
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48 };
	unsigned int code = FIELD_GET(SMMU_IDR5_OAS, idr5);

	return bits[min(code, ARRAY_SIZE(bits) - 1)];
}

/* 6.3, IDR5: the smallest granule, 0 if there is none. */
static unsigned int smmu_granule(u32 idr5)
{
	return idr5 & SMMU_IDR5_GRAN4K ? SMMU_4K : idr5 & SMMU_IDR5_GRAN16K ? SMMU_16K :
	       idr5 & SMMU_IDR5_GRAN64K ? SMMU_64K : 0;
}

static bool smmu_reaches_memory(const struct smmu_unit *unit)
{
	struct resource *res;

	for (res = iomem_resource.child; res; res = res->sibling)
		if ((res->flags & IORESOURCE_SYSTEM_RAM) == IORESOURCE_SYSTEM_RAM &&
		    res->end >> unit->oas)
			return false;
	return true;
}

/* Why the wing can't drive a unit, or NULL. */
static const char *smmu_unfit(const struct smmu_unit *unit)
{
	if (unit->idr0 == U32_MAX && unit->idr1 == U32_MAX)
		return "nothing answers there";
	if (!(unit->idr0 & (SMMU_IDR0_S1P | SMMU_IDR0_S2P)))
		return "it offers no translation";
	if (!(FIELD_GET(SMMU_IDR0_TTF, unit->idr0) & SMMU_TTF_AARCH64))
		return "it reads no AArch64 page tables";
	if (FIELD_GET(SMMU_IDR0_TTENDIAN, unit->idr0) == SMMU_TTENDIAN_BIG)
		return "it reads big-endian page tables only";
	if (!unit->granule)
		return "it has no granules";
	/* The kernel's own pages could not be mapped one by one. */
	if (unit->granule > unit->page_lg2)
		return "its smallest granule is larger than the kernel's pages";
	if (unit->idr1 & (SMMU_IDR1_TABLES_PRESET | SMMU_IDR1_QUEUES_PRESET | SMMU_IDR1_REL))
		return "its tables or queues are at a fixed place";
	if (BIT(FIELD_GET(SMMU_IDR1_CMDQS, unit->idr1)) <= OMNI_SUBMIT_MAX)
		return "its command queue is too small";
	if (!smmu_reaches_memory(unit))
		return "memory reaches beyond the addresses it can put out";
	return NULL;
}

static int smmu_unit_look(struct smmu_unit *unit)
{
	const char *unfit;

	unit->idr0 = smmu_read32(unit, SMMU_IDR0);
	unit->idr1 = smmu_read32(unit, SMMU_IDR1);
	unit->idr3 = smmu_read32(unit, SMMU_IDR3);
	unit->idr5 = smmu_read32(unit, SMMU_IDR5);
	unit->oas = smmu_oas(unit->idr5);
	unit->granule = smmu_granule(unit->idr5);
	unit->sid_bits = FIELD_GET(SMMU_IDR1_SIDSIZE, unit->idr1);

	unfit = smmu_unfit(unit);
	if (unfit) {
		pr_err("%s: %s, so it can't be driven\n", unit->core.name, unfit);
		return -ENODEV;
	}
	if (smmu_read32(unit, SMMU_CR0) & (SMMU_CR0_SMMUEN | SMMU_CR0_CMDQEN)) {
		pr_err("%s: it is on already, and whoever switched it on still has it; boot with initcall_blacklist=arm_smmu_driver_init, and not by kexec from a kernel that left it on\n",
		       unit->core.name);
		return -EBUSY;
	}
	if (unit->coherent != !!(unit->idr0 & SMMU_IDR0_COHACC))
		pr_info("%s: the firmware says it is %scoherent, against its own word\n",
			unit->core.name, unit->coherent ? "" : "not ");
	if (dma_set_mask_and_coherent(&unit->pdev->dev, DMA_BIT_MASK(unit->oas)))
		return -ENODEV;
	return 0;
}

static unsigned int smmu_tags(const struct smmu_unit *unit)
{
	u32 wide = smmu_uses_stage2(unit) ? SMMU_IDR0_VMID16 : SMMU_IDR0_ASID16;

	return unit->idr0 & wide ? BIT(16) : BIT(8);
}

struct smmu_unit *smmu_unit_create(struct platform_device *pdev)
{
	struct smmu_unit *unit;
	int ret;

	BUILD_BUG_ON(sizeof(struct smmu_ste) != 64);
	BUILD_BUG_ON(sizeof(struct smmu_cd) != 64);

	unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return ERR_PTR(-ENOMEM);
	unit->pdev = pdev;
	unit->core.wing = &smmu_wing;
	unit->core.parent = &pdev->dev;
	mutex_init(&unit->tables_lock);

	ret = smmu_platform_claim(unit);
	if (!ret)
		ret = smmu_unit_look(unit);
	if (ret) {
		kfree(unit);
		return ERR_PTR(ret);
	}
	omni_tags_init(&unit->core, SMMU_TAG_FIRST, smmu_tags(unit));
	ret = smmu_queue_create(unit);
	if (!ret)
		ret = smmu_events_create(unit);
	if (!ret)
		ret = smmu_tables_create(unit);
	if (ret) {
		smmu_unit_destroy(&unit->core);
		return ERR_PTR(ret);
	}
	pr_info("%s: SMMUv3 with stage %u, %u-bit output, %luK granules, %u-bit stream IDs, %s%s\n",
		unit->core.name, smmu_uses_stage2(unit) ? 2 : 1, unit->oas,
		BIT(unit->granule - 10), unit->sid_bits,
		unit->coherent ? "coherent" : "not coherent",
		unit->idr3 & SMMU_IDR3_RIL ? ", range invalidation" : "");
	return unit;
}

/* 6.3, CR1 and CR2: how the unit reads memory, and that CPUs don't flush it. */
static void smmu_unit_attributes(struct smmu_unit *unit)
{
	u32 cache = unit->coherent ? SMMU_WALK_CACHED : SMMU_WALK_UNCACHED;
	u32 share = unit->coherent ? SMMU_SH_INNER : SMMU_SH_OUTER;

	smmu_write32(unit, SMMU_CR1,
		     FIELD_PREP(SMMU_CR1_TABLE_SH, share) |
		     FIELD_PREP(SMMU_CR1_TABLE_OC, cache) |
		     FIELD_PREP(SMMU_CR1_TABLE_IC, cache) |
		     FIELD_PREP(SMMU_CR1_QUEUE_SH, share) |
		     FIELD_PREP(SMMU_CR1_QUEUE_OC, cache) |
		     FIELD_PREP(SMMU_CR1_QUEUE_IC, cache));
	smmu_write32(unit, SMMU_CR2, SMMU_CR2_PTM | SMMU_CR2_RECINVSID);
}

/* Caches may hold what earlier tables said. */
static int smmu_unit_forget(struct smmu_unit *unit)
{
	struct smmu_cmd cmds[3];
	unsigned int n = 0;

	cmds[n++] = smmu_cmd(SMMU_OP_CFGI_RANGE, 0,
			     FIELD_PREP(SMMU_CFGI_HI_RANGE, SMMU_CFGI_ALL));
	if (unit->idr0 & SMMU_IDR0_HYP)
		cmds[n++] = smmu_cmd(SMMU_OP_TLBI_EL2_ALL, 0, 0);
	cmds[n++] = smmu_cmd(SMMU_OP_TLBI_NSNH_ALL, 0, 0);
	return omni_submit_wait(&unit->core, cmds, n);
}

int smmu_unit_on(struct omni_unit *core)
{
	struct smmu_unit *unit = to_smmu_unit(core);
	u32 cr0 = SMMU_CR0_CMDQEN;
	int ret;

	ret = smmu_unit_control(unit, SMMU_CR0, 0);
	if (ret)
		return ret;
	/* What an earlier owner left unacknowledged is nobody's now. */
	smmu_write32(unit, SMMU_GERRORN, smmu_read32(unit, SMMU_GERROR));
	smmu_unit_attributes(unit);
	smmu_tables_setup(unit);
	smmu_queue_setup(unit);
	ret = smmu_unit_control(unit, SMMU_CR0, cr0);
	if (ret)
		goto err;
	unit->core.queue.on = true;
	ret = smmu_unit_forget(unit);
	if (ret)
		goto err;

	smmu_events_setup(unit);
	cr0 |= SMMU_CR0_EVENTQEN;
	ret = smmu_unit_control(unit, SMMU_CR0, cr0);
	if (!ret)
		ret = smmu_events_on(unit);
	if (ret)
		goto err;

	if (unit->idr0 & SMMU_IDR0_ATS)
		cr0 |= SMMU_CR0_ATSCHK;
	ret = smmu_unit_control(unit, SMMU_CR0, cr0 | SMMU_CR0_SMMUEN);
	if (ret)
		goto err;
	return 0;
err:
	smmu_unit_off(core);
	return ret;
}

void smmu_unit_off(struct omni_unit *core)
{
	struct smmu_unit *unit = to_smmu_unit(core);
	u32 cr0 = smmu_read32(unit, SMMU_CR0);

	if (cr0 & SMMU_CR0_SMMUEN)
		smmu_unit_control(unit, SMMU_CR0, cr0 & ~SMMU_CR0_SMMUEN);
	smmu_events_off(unit);
	smmu_queue_stop(unit);
	smmu_unit_control(unit, SMMU_CR0, 0);
}

void smmu_unit_destroy(struct omni_unit *core)
{
	struct smmu_unit *unit = to_smmu_unit(core);

	smmu_events_destroy(unit);
	smmu_tables_destroy(unit);
	smmu_queue_destroy(unit);
	ida_destroy(&unit->core.tags);
	kfree(unit);
}
