// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SMMUv3 wing's face: devices, reserved regions.
 *
 * The kernel tells a device's unit and stream IDs; a device without that is
 * not behind an SMMU.
 */
#include "smmu.h"

#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

/* scripts/preflight asks the module which IOMMUs it knows. */
MODULE_INFO(drives, "Arm SMMUv3");

/* Where the kernel maps MSI doorbells in domains that users manage. */
#define SMMU_MSI_BASE		0x8000000
#define SMMU_MSI_SIZE		0x100000

/* Devices */

static int smmu_copy_ids(struct omni_device *od, const struct iommu_fwspec *fwspec)
{
	unsigned int i, j;

	od->rids = kcalloc(fwspec->num_ids, sizeof(*od->rids), GFP_KERNEL);
	if (!od->rids)
		return -ENOMEM;
	for (i = 0; i < fwspec->num_ids; i++) {
		for (j = 0; j < od->nr_rids; j++)
			if (od->rids[j] == fwspec->ids[i])
				break;
		if (j == od->nr_rids)
			od->rids[od->nr_rids++] = fwspec->ids[i];
	}
	od->rid = od->rids[0];
	return 0;
}

static bool smmu_ats_allowed(const struct smmu_unit *unit, struct device *dev,
			     const struct iommu_fwspec *fwspec)
{
	return unit->idr0 & SMMU_IDR0_ATS && dev_is_pci(dev) &&
	       fwspec->flags & IOMMU_FWSPEC_PCI_RC_ATS && pci_ats_supported(to_pci_dev(dev));
}

static struct omni_device *smmu_probe(struct device *dev)
{
	const struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(dev);
	struct smmu_unit *unit;
	struct omni_device *od;
	unsigned int i;
	int ret;

	if (!fwspec || !fwspec->num_ids)
		return NULL;
	unit = smmu_platform_find(fwspec->iommu_fwnode);
	if (!unit)
		return NULL;

	od = kzalloc(sizeof(*od), GFP_KERNEL);
	if (!od)
		return ERR_PTR(-ENOMEM);
	od->unit = &unit->core;
	if (smmu_platform_snoops(dev))
		od->snoop = OMNI_SNOOP_ALWAYS;
	if (smmu_ats_allowed(unit, dev, fwspec))
		od->ats_depth = omni_ats_depth(to_pci_dev(dev));
	ret = smmu_copy_ids(od, fwspec);
	for (i = 0; i < od->nr_rids && !ret; i++)
		ret = smmu_tables_reserve(unit, od->rids[i], od->ats_depth);
	if (ret) {
		kfree(od->rids);
		kfree(od);
		return ERR_PTR(ret);
	}
	od->state = smmu_stream_is_open(unit, od->rid) ? OMNI_IDENTITY : OMNI_BLOCKED;
	return od;
}

static void smmu_release_rcu(struct rcu_head *rcu)
{
	struct omni_device *od = container_of(rcu, struct omni_device, rcu);

	kfree(od->rids);
	kfree(od);
}

static void smmu_release(struct omni_device *od)
{
	call_rcu(&od->rcu, smmu_release_rcu);
}

static bool smmu_capable(struct omni_device *od, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return to_smmu_unit(od->unit)->coherent;
	case IOMMU_CAP_NOEXEC:
		return true;
	case IOMMU_CAP_DIRTY_TRACKING:
		return smmu_tracks_dirty(to_smmu_unit(od->unit));
	default:
		return false;
	}
}

static void smmu_resv_regions(struct omni_device *od, struct list_head *head)
{
	omni_add_region(head, SMMU_MSI_BASE, SMMU_MSI_BASE + SMMU_MSI_SIZE - 1,
			IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, IOMMU_RESV_SW_MSI);
	/* What the firmware reserves for the device. */
	smmu_platform_regions(od->dev, head);
}

static void smmu_destroy(struct omni_unit *core)
{
	smmu_platform_forget(to_smmu_unit(core));
	smmu_unit_destroy(core);
}

const struct omni_wing smmu_wing = {
	.name = "SMMUv3",
	.start = smmu_platform_start,
	.finish = smmu_platform_finish,
	.unit_off = smmu_unit_off,
	.unit_on = smmu_unit_on,
	.unit_destroy = smmu_destroy,
	.probe = smmu_probe,
	.release = smmu_release,
	.domain_alloc = smmu_domain_alloc,
	.compatible = smmu_domain_compatible,
	.attach = smmu_attach,
	.write = smmu_write,
	.resv_regions = smmu_resv_regions,
	.capable = smmu_capable,
	.show = &smmu_show_ops,
	.queue = &smmu_queue_ops,
};
