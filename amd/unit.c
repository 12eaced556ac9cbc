// SPDX-License-Identifier: GPL-2.0-only
/*
 * One unit up and down (48882 r3.08, 2.3, 3.2, 3.4).
 *
 * A unit is taken only when it is off and nobody else's (L3). It comes up
 * with every device that exists on identity, since that is what their DMA
 * meant a moment before (L1); everything else is blocked (S4).
 */
#include "amd.h"

#include <linux/iopoll.h>
#include <linux/ioport.h>
#include <linux/slab.h>

/* Control bits that follow from the firmware's flags. */
#define AMD_CTRL_FIRMWARE	(AMD_CTRL_HT_TUNNEL | AMD_CTRL_PASS_PW | \
				 AMD_CTRL_RES_PASS_PW | AMD_CTRL_ISOC)
/* What this driver makes no use of and the firmware may have left on. */
#define AMD_CTRL_UNUSED		(AMD_CTRL_PPR_LOG | AMD_CTRL_PPR_INT | AMD_CTRL_PPR | \
				 AMD_CTRL_GA | AMD_CTRL_WAIT_INT)

void amd_unit_control(struct amd_unit *unit, u64 clear, u64 set)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&unit->control_lock, flags);
	amd_write64(unit, AMD_CONTROL, (amd_read64(unit, AMD_CONTROL) & ~clear) | set);
	raw_spin_unlock_irqrestore(&unit->control_lock, flags);
}

/* The PCI function that the unit is; it is nobody's to bind a driver to. */
static void amd_unit_function(struct amd_unit *unit)
{
	const struct amd_ivhd *ivhd = unit->ivhd;

	unit->pdev = pci_get_domain_bus_and_slot(ivhd->segment, PCI_BUS_NUM(ivhd->devid),
						 ivhd->devid & 0xff);
	if (!unit->pdev)
		return;
	device_lock(&unit->pdev->dev);
	if (unit->pdev->dev.driver) {
		pr_info("%s: its PCI function %s is bound to %s, its interrupt stays unused\n",
			unit->core.name, pci_name(unit->pdev),
			dev_driver_string(&unit->pdev->dev));
	} else {
		unit->held = unit->pdev->match_driver;
		unit->pdev->match_driver = false;
	}
	device_unlock(&unit->pdev->dev);
}

static int amd_unit_claim(struct amd_unit *unit)
{
	const struct amd_ivhd *ivhd = unit->ivhd;

	unit->res = request_mem_region(ivhd->base, AMD_REGS_SIZE, unit->core.name);
	unit->regs = ioremap(ivhd->base, AMD_REGS_SIZE);
	if (!unit->regs) {
		pr_err("%s: its registers at %#llx can't be mapped\n", unit->core.name,
		       ivhd->base);
		return -ENOMEM;
	}
	amd_unit_function(unit);
	unit->cap = amd_cap_read32(unit, AMD_CAP_HEADER);

	if (amd_read64(unit, AMD_CONTROL) == U64_MAX) {
		pr_err("%s: nothing answers at %#llx, where IVHD at %#x places it; look for a firmware update\n",
		       unit->core.name, ivhd->base, ivhd->offset);
		return -ENODEV;
	}
	if (amd_read64(unit, AMD_CONTROL) & AMD_CTRL_IOMMU) {
		pr_err("%s: it is on already: the in-tree driver's, for DMA or for interrupt remapping; boot with amd_iommu=off\n",
		       unit->core.name);
		return -EBUSY;
	}
	if (!unit->res) {
		pr_err("%s: its registers at %#llx to %#llx are in somebody else's use (see /proc/iomem); boot with amd_iommu=off\n",
		       unit->core.name, ivhd->base, ivhd->base + AMD_REGS_SIZE - 1);
		return -EBUSY;
	}
	return 0;
}

static void amd_unit_features(struct amd_unit *unit)
{
	unsigned int bits = FIELD_GET(AMD_CAP_MISC_VASIZE, amd_cap_read32(unit, AMD_CAP_MISC));

	/* The register counts; the table is for units whose register is not read. */
	if (unit->cap & AMD_CAP_EFR)
		unit->efr = amd_read64(unit, AMD_EFR);
	unit->efr = unit->efr ?: unit->ivhd->efr;
	unit->va_bits = bits >= 32 && bits < 64 ? bits : 64;
	unit->fc = true;
	unit->v2 = amd_wants_v2(unit);
	if (unit->v2 && !amd_unit_has_v2(unit)) {
		pr_warn("%s: no guest page tables (v2) for requests without a PASID: its domains get host page tables (v1)\n",
			unit->core.name);
		unit->v2 = false;
	}
}

struct amd_unit *amd_unit_create(struct amd_ivhd *ivhd)
{
	struct amd_unit *unit;
	int ret;

	BUILD_BUG_ON(sizeof(struct amd_dte) != 32);
	BUILD_BUG_ON(AMD_RING_SIZE * sizeof(struct amd_cmd) > PAGE_SIZE);

	unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return ERR_PTR(-ENOMEM);
	unit->ivhd = ivhd;
	unit->core.wing = &amd_wing;
	snprintf(unit->core.name, sizeof(unit->core.name), "ivhd%u", ivhd->index);
	raw_spin_lock_init(&unit->control_lock);
	mutex_init(&unit->attach_lock);
	omni_tags_init(&unit->core, AMD_TAG_FIRST, AMD_NR_TAGS);

	ret = amd_unit_claim(unit);
	if (ret)
		goto err;
	amd_unit_features(unit);
	ret = amd_queue_create(unit);
	if (!ret)
		ret = amd_log_create(unit);
	if (!ret)
		ret = amd_tables_create(unit);
	if (ret) {
		pr_err("%s: out of memory\n", unit->core.name);
		goto err;
	}
	amd_tables_apply(unit);

	pr_info("%s: AMD-Vi at %#llx, cap %08x efr %llx%s\n", unit->core.name, ivhd->base,
		unit->cap, unit->efr, unit->v2 ? ", guest page tables" : "");
	return unit;

err:
	amd_unit_destroy(&unit->core);
	return ERR_PTR(ret);
}

/* Set a bit of the second-level cache's registers, which are behind an index. */
static void amd_unit_l2_set(struct amd_unit *unit, u32 index, u32 bit, const char *what)
{
	u32 value;

	pci_write_config_dword(unit->pdev, 0xf0, index);
	pci_read_config_dword(unit->pdev, 0xf4, &value);
	if (value & bit)
		return;
	pci_write_config_dword(unit->pdev, 0xf0, index | BIT(8));
	pci_write_config_dword(unit->pdev, 0xf4, value | bit);
	pci_write_config_dword(unit->pdev, 0xf0, index);
	pr_info("%s: %s worked around\n", unit->core.name, what);
}

/* What is wrong with units of family 15h. Firmware should know, too. */
static void amd_unit_errata(struct amd_unit *unit)
{
	unsigned int model;

	if (!unit->pdev || omni_amd_family(&model) != 0x15)
		return;
	/* With clock gating of its second-level cache the unit may stop. */
	if (model >= 0x10 && model <= 0x1f)
		amd_unit_l2_set(unit, 0x90, BIT(2), "erratum 746");
	/* Device TLBs are told that they may write where they may only read. */
	if (model >= 0x30 && model <= 0x3f)
		amd_unit_l2_set(unit, 0x47, BIT(0), "a missing check of device TLBs' writes");
}

/* Without a command for everything: entry by entry, domain by domain. */
static int amd_unit_flush_each(struct amd_unit *unit)
{
	unsigned int errors = READ_ONCE(unit->core.queue.errors);
	struct amd_cmd fence;
	struct amd_cmd cmds[OMNI_SUBMIT_MAX];
	struct omni_ticket ticket;
	unsigned int id, n;

	for (id = 0; id < unit->nr_dtes; id += n) {
		for (n = 0; n < OMNI_SUBMIT_MAX && id + n < unit->nr_dtes; n++)
			cmds[n] = amd_cmd_devtab(id + n);
		amd_submit(unit, cmds, n, &ticket);
	}
	fence = amd_cmd_fence();
	amd_submit(unit, &fence, 1, &ticket);
	for (id = 0; id < AMD_NR_TAGS; id += OMNI_SUBMIT_MAX) {
		for (n = 0; n < OMNI_SUBMIT_MAX; n++)
			cmds[n] = amd_cmd_domain(id + n, false);
		amd_submit(unit, cmds, n, &ticket);
		for (n = 0; unit->v2 && n < OMNI_SUBMIT_MAX; n++)
			cmds[n] = amd_cmd_domain(id + n, true);
		if (unit->v2)
			amd_submit(unit, cmds, n, &ticket);
	}
	/* The last wait covers all that went before. */
	ticket.errors = errors;
	return amd_wait(unit, &ticket);
}

/* Everything that may be cached, from before the unit was switched on too. */
static int amd_unit_flush(struct amd_unit *unit)
{
	const struct amd_cmd all = {
		.lo = cpu_to_le64(FIELD_PREP(AMD_CMD_OP, AMD_CMD_ALL)),
	};
	int ret, tries;

	if (unit->efr & AMD_EFR_IA)
		return omni_submit_wait(&unit->core, &all, 1);
	for (tries = 0; tries <= OMNI_RETRIES; tries++) {
		ret = amd_unit_flush_each(unit);
		if (ret != -EAGAIN)
			return ret;
	}
	return omni_give_up(&unit->core);
}

int amd_unit_on(struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);
	const struct amd_ivhd *ivhd = unit->ivhd;
	unsigned int pages;
	u64 set = AMD_CTRL_COHERENT | FIELD_PREP(AMD_CTRL_INV_TIMEOUT, AMD_INV_TIMEOUT_100MS);
	int ret;

	if (ivhd->flags & AMD_IVHD_HT_TUNNEL)
		set |= AMD_CTRL_HT_TUNNEL;
	if (ivhd->flags & AMD_IVHD_PASS_PW)
		set |= AMD_CTRL_PASS_PW;
	if (ivhd->flags & AMD_IVHD_RES_PASS_PW)
		set |= AMD_CTRL_RES_PASS_PW;
	if (ivhd->flags & AMD_IVHD_ISOC)
		set |= AMD_CTRL_ISOC;
	if (unit->v2)
		set |= AMD_CTRL_GT;

	amd_unit_errata(unit);
	pages = unit->nr_dtes * sizeof(struct amd_dte) / SZ_4K;
	amd_write64(unit, AMD_DEVTAB, virt_to_phys(unit->table) |
		    FIELD_PREP(AMD_DEVTAB_SIZE, pages - 1));
	/* The ranges that the table excludes are mapped one to one instead. */
	amd_write64(unit, AMD_EXCLUSION, 0);
	amd_write64(unit, AMD_EXCLUSION_LIMIT, 0);
	amd_unit_control(unit, AMD_CTRL_FIRMWARE | AMD_CTRL_UNUSED | AMD_CTRL_INV_TIMEOUT |
			 AMD_CTRL_GT | AMD_CTRL_CMDBUF | AMD_CTRL_EVENT_LOG |
			 AMD_CTRL_EVENT_INT, set);

	/* 2.3: neither commands nor events are handled by a unit that is off. */
	amd_unit_control(unit, 0, AMD_CTRL_IOMMU);
	amd_log_on(unit);
	ret = amd_queue_on(unit);
	if (!ret)
		ret = amd_unit_flush(unit);
	if (ret)
		amd_unit_off(core);
	return ret;
}

void amd_unit_off(struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);

	/* Nothing that is cached may be found by whoever has the unit next. */
	if (unit->core.queue.on && !unit->core.queue.dead)
		amd_unit_flush(unit);
	amd_queue_off(unit);
	amd_log_off(unit);
	amd_unit_control(unit, AMD_CTRL_IOMMU, 0);
}

void amd_unit_destroy(struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);

	amd_log_destroy(unit);
	amd_tables_destroy(unit);
	amd_queue_destroy(unit);
	if (unit->regs)
		iounmap(unit->regs);
	if (unit->res)
		release_mem_region(unit->ivhd->base, AMD_REGS_SIZE);
	if (unit->held)
		unit->pdev->match_driver = true;
	pci_dev_put(unit->pdev);
	ida_destroy(&unit->core.tags);
	unit->ivhd->unit = NULL;
	kfree(unit);
}
