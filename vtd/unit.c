// SPDX-License-Identifier: GPL-2.0-only
/*
 * One unit up and down (VT-d r3.1, 6.6, 10.4.4 to 10.4.6).
 *
 * A unit is taken only when it is off and nobody else's (L3). It comes up
 * with every device that exists on identity, since that is what their DMA
 * meant a moment before (L1); everything else is blocked (S4).
 */
#include "vtd.h"

#include <linux/iopoll.h>
#include <linux/ioport.h>
#include <linux/slab.h>

static bool queue = true;
module_param(queue, bool, 0444);
MODULE_PARM_DESC(queue, "VT-d: use queued invalidation where a unit has it; N: registers, without device TLBs (default: Y)");

/* Chipsets that need write-buffer flushing but don't say so. */
static const u16 vtd_rwbf_bridges[] = {
	0x2a40, 0x2e00, 0x2e10, 0x2e20, 0x2e30, 0x2e40, 0x2e90,
};

static bool vtd_needs_rwbf(u64 cap)
{
	struct pci_dev *pdev;
	unsigned int i;

	if (cap & VTD_CAP_RWBF)
		return true;
	for (i = 0; i < ARRAY_SIZE(vtd_rwbf_bridges); i++) {
		pdev = pci_get_device(PCI_VENDOR_ID_INTEL, vtd_rwbf_bridges[i], NULL);
		pci_dev_put(pdev);
		if (pdev)
			return true;
	}
	return false;
}

int vtd_unit_command(struct vtd_unit *unit, u32 bits, bool set)
{
	unsigned long flags;
	u32 status;
	bool rest;
	int ret;

	/* WBF and SRTP are one-shot: WBFS falls when it is done, RTPS rises. */
	rest = bits == VTD_G_WBF ? false : set;
	raw_spin_lock_irqsave(&unit->gcmd_lock, flags);
	status = vtd_read32(unit, VTD_GSTS) & VTD_GSTS_KEEP;
	vtd_write32(unit, VTD_GCMD, set ? status | bits : status & ~bits);
	ret = read_poll_timeout_atomic(vtd_read32, status, !!(status & bits) == rest, 1,
				       OMNI_DEADLINE_US, false, unit, VTD_GSTS);
	raw_spin_unlock_irqrestore(&unit->gcmd_lock, flags);
	if (ret)
		pr_err("%s: global command %08x was not carried out within %u ms\n",
		       unit->core.name, bits, OMNI_DEADLINE_MS);
	return ret;
}

int vtd_flush_write_buffer(struct vtd_unit *unit)
{
	return unit->rwbf ? vtd_unit_command(unit, VTD_G_WBF, true) : 0;
}

/* Who has the unit, in words with the way out, or NULL if nobody does. */
static const char *vtd_owner(u32 gsts)
{
	if (gsts & VTD_G_TE)
		return "translation is on already: the in-tree driver's; boot with intel_iommu=off";
	if (gsts & VTD_G_IRE)
		return "interrupt remapping is on and owns its queue; boot with intremap=off";
	if (gsts & VTD_G_QIE)
		return "its queue is on, so it is in use; boot with intel_iommu=off intremap=off";
	return NULL;
}

static int vtd_unit_claim(struct vtd_unit *unit)
{
	struct vtd_drhd *drhd = unit->drhd;
	const char *owner;

	unit->res = request_mem_region(drhd->base, drhd->size, unit->core.name);
	unit->regs = ioremap(drhd->base, drhd->size);
	if (!unit->regs) {
		pr_err("%s: its registers at %#llx can't be mapped\n", unit->core.name,
		       drhd->base);
		return -ENOMEM;
	}

	unit->cap = vtd_read64(unit, VTD_CAP);
	unit->ecap = vtd_read64(unit, VTD_ECAP);
	unit->iotlb = FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_IOTLB) |
		      (unit->cap & VTD_CAP_DRD ? VTD_IOTLB_DR : 0) |
		      (unit->cap & VTD_CAP_DWD ? VTD_IOTLB_DW : 0);
	if (unit->cap & VTD_CAP_PSI)
		unit->psi_orders = FIELD_GET(VTD_CAP_MAMV, unit->cap) + 1;
	if (unit->cap == U64_MAX && unit->ecap == U64_MAX) {
		pr_err("%s: nothing answers at %#llx, where DRHD at %#x places it; look for a firmware update\n",
		       unit->core.name, drhd->base, drhd->offset);
		return -ENODEV;
	}
	owner = vtd_owner(vtd_read32(unit, VTD_GSTS));
	if (owner) {
		pr_err("%s: %s\n", unit->core.name, owner);
		return -EBUSY;
	}
	if (!unit->res) {
		pr_err("%s: its registers at %#llx to %#llx are in somebody else's use (see /proc/iomem); boot with intel_iommu=off intremap=off\n",
		       unit->core.name, drhd->base, drhd->base + drhd->size - 1);
		return -EBUSY;
	}
	return 0;
}

/* Registers whose place the capabilities tell must be inside of the range. */
static int vtd_unit_check(struct vtd_unit *unit)
{
	u64 faults = (FIELD_GET(VTD_CAP_FRO, unit->cap) +
		      FIELD_GET(VTD_CAP_NFR, unit->cap) + 1) * 16;
	u64 iotlb = FIELD_GET(VTD_ECAP_IRO, unit->ecap) * 16 + 16;
	u64 need = max(faults, iotlb);

	if (need <= unit->drhd->size)
		return 0;

	/* Older firmware leaves the size at one page: follow the unit. */
	iounmap(unit->regs);
	release_mem_region(unit->drhd->base, unit->drhd->size);
	unit->drhd->size = round_up(need, SZ_4K);
	unit->res = request_mem_region(unit->drhd->base, unit->drhd->size, unit->core.name);
	unit->regs = unit->res ? ioremap(unit->drhd->base, unit->drhd->size) : NULL;
	if (unit->regs)
		return 0;
	pr_err("%s: its registers need %#llx bytes at %#llx, which are in use\n",
	       unit->core.name, unit->drhd->size, unit->drhd->base);
	return -EBUSY;
}

static int vtd_unit_alloc(struct vtd_unit *unit)
{
	int ret;

	ret = vtd_queue_create(unit);
	if (!ret)
		ret = vtd_tables_create(unit);
	if (ret || unit->ecap & VTD_ECAP_PT)
		return ret;

	unit->identity = vtd_domain_create(unit, unit->drhd->numa_node);
	if (IS_ERR(unit->identity)) {
		ret = PTR_ERR(unit->identity);
		unit->identity = NULL;
		return ret;
	}
	return vtd_domain_map_identity(unit->identity);
}

struct vtd_unit *vtd_unit_create(struct vtd_drhd *drhd)
{
	struct vtd_unit *unit;
	u32 ver;
	int ret;

	BUILD_BUG_ON(sizeof(union vtd_context) != 16);
	BUILD_BUG_ON(VTD_QUEUE_SIZE * sizeof(struct vtd_desc) > PAGE_SIZE);

	unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return ERR_PTR(-ENOMEM);
	unit->drhd = drhd;
	unit->core.wing = &vtd_wing;
	snprintf(unit->core.name, sizeof(unit->core.name), "dmar%u", drhd->index);
	raw_spin_lock_init(&unit->gcmd_lock);
	mutex_init(&unit->tables_lock);
	mutex_init(&unit->fault_lock);
	ida_init(&unit->core.tags);

	ret = vtd_unit_claim(unit);
	if (ret)
		goto err;
	if (!vtd_sagaw(unit)) {
		pr_info("%s: offers no DMA translation, left alone\n", unit->core.name);
		vtd_unit_destroy(&unit->core);
		return NULL;
	}
	ret = vtd_unit_check(unit);
	if (ret)
		goto err;
	if (!queue)
		unit->ecap &= ~(VTD_ECAP_QI | VTD_ECAP_DT);
	omni_tags_init(&unit->core, VTD_TAG_FIRST,
		       min(BIT(4 + 2 * FIELD_GET(VTD_CAP_ND, unit->cap)), 65536));
	unit->rwbf = vtd_needs_rwbf(unit->cap);
	ret = vtd_unit_alloc(unit);
	if (ret) {
		pr_err("%s: out of memory\n", unit->core.name);
		goto err;
	}

	ver = vtd_read32(unit, VTD_VER);
	pr_info("%s: VT-d %lu.%lu at %#llx, cap %llx ecap %llx\n", unit->core.name,
		FIELD_GET(VTD_VER_MAX, ver), FIELD_GET(VTD_VER_MIN, ver),
		drhd->base, unit->cap, unit->ecap);
	return unit;

err:
	vtd_unit_destroy(&unit->core);
	return ERR_PTR(ret);
}

/* 10.4.16: regions that the firmware protected until an IOMMU driver comes. */
static void vtd_protected_memory_off(struct vtd_unit *unit)
{
	u32 pmen;

	if (!(unit->cap & (VTD_CAP_PLMR | VTD_CAP_PHMR)))
		return;
	pmen = vtd_read32(unit, VTD_PMEN);
	vtd_write32(unit, VTD_PMEN, pmen & ~VTD_PMEN_EPM);
	if (read_poll_timeout(vtd_read32, pmen, !(pmen & VTD_PMEN_PRS), 0, OMNI_DEADLINE_US,
			      false, unit, VTD_PMEN))
		pr_warn("%s: the firmware's protected memory regions stay on: DMA to them is refused\n",
			unit->core.name);
}

int vtd_unit_on(struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	struct vtd_desc descs[3];
	int ret;

	ret = vtd_flush_write_buffer(unit);
	if (ret)
		return ret;
	vtd_write64(unit, VTD_RTADDR, virt_to_phys(unit->root));
	ret = vtd_unit_command(unit, VTD_G_SRTP, true);
	if (!ret)
		ret = vtd_queue_on(unit);
	if (ret)
		goto err;

	/* 6.6: caches may hold what earlier root tables said. */
	descs[0] = vtd_desc_context(VTD_G_GLOBAL, 0, 0);
	descs[1] = vtd_desc_fence(unit);
	descs[2] = vtd_desc_iotlb(unit, VTD_G_GLOBAL, 0, 0);
	ret = omni_submit_wait(&unit->core, descs, ARRAY_SIZE(descs));
	if (ret)
		goto err;

	vtd_faults_on(unit);
	ret = vtd_unit_command(unit, VTD_G_TE, true);
	if (ret)
		goto err;
	vtd_protected_memory_off(unit);
	return 0;
err:
	vtd_unit_off(core);
	return ret;
}

void vtd_unit_off(struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);

	if (vtd_read32(unit, VTD_GSTS) & VTD_G_TE)
		vtd_unit_command(unit, VTD_G_TE, false);
	vtd_faults_off(unit);
	vtd_queue_off(unit);
}

void vtd_unit_destroy(struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);

	vtd_faults_destroy(unit);
	if (unit->identity)
		omni_free_paging(&unit->identity->iommu);
	vtd_tables_destroy(unit);
	vtd_queue_destroy(unit);
	if (unit->regs)
		iounmap(unit->regs);
	if (unit->res)
		release_mem_region(unit->drhd->base, unit->drhd->size);
	ida_destroy(&unit->core.tags);
	unit->drhd->unit = NULL;
	kfree(unit);
}
