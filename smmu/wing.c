// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SMMUv3 wing's face: start and end, devices, reserved regions.
 *
 * Units come by a platform driver, since binding one is what makes the kernel
 * try the devices again that wait for it. The kernel tells a device's unit and
 * stream IDs; a device without that is not behind an SMMU.
 */
#include "smmu.h"

#include <linux/of.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

/* scripts/preflight asks the module which IOMMUs it knows. */
MODULE_INFO(drives, "Arm SMMUv3");

/* Where the kernel maps MSI doorbells in domains that users manage. */
#define SMMU_MSI_BASE		0x8000000
#define SMMU_MSI_SIZE		0x100000

/**
 * struct smmu_units - the units that the platform driver has found
 * @lock: protects all of it
 * @list: those that are on, by smmu_unit.node
 * @err: first error of a unit that could not be brought up
 * @nr: how many came up
 */
static struct smmu_units {
	struct mutex lock;	/* see @lock above */
	struct list_head list;
	int err;
	int nr;
} smmu_units = {
	.lock = __MUTEX_INITIALIZER(smmu_units.lock),
	.list = LIST_HEAD_INIT(smmu_units.list),
};

/* Devices */

/* The kernel knows a unit as soon as it is registered, before it is bound. */
static struct smmu_unit *smmu_find(const struct fwnode_handle *fwnode)
{
	struct smmu_unit *unit, *found = NULL;

	mutex_lock(&smmu_units.lock);
	list_for_each_entry(unit, &smmu_units.list, node)
		if (dev_fwnode(&unit->pdev->dev) == fwnode)
			found = unit;
	mutex_unlock(&smmu_units.lock);
	return found;
}

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
	unit = smmu_find(fwspec->iommu_fwnode);
	if (!unit)
		return NULL;

	od = kzalloc(sizeof(*od), GFP_KERNEL);
	if (!od)
		return ERR_PTR(-ENOMEM);
	od->unit = &unit->core;
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
	default:
		return false;
	}
}

static void smmu_resv_regions(struct omni_device *od, struct list_head *head)
{
	omni_add_region(head, SMMU_MSI_BASE, SMMU_MSI_BASE + SMMU_MSI_SIZE - 1,
			IOMMU_WRITE | IOMMU_NOEXEC | IOMMU_MMIO, IOMMU_RESV_SW_MSI);
	/* What the firmware reserves for the device. */
	iommu_dma_get_resv_regions(od->dev, head);
}

/* Start and end */

static void smmu_forget(struct smmu_unit *unit)
{
	mutex_lock(&smmu_units.lock);
	list_del(&unit->node);
	mutex_unlock(&smmu_units.lock);
}

static void smmu_destroy(struct omni_unit *core)
{
	smmu_forget(to_smmu_unit(core));
	smmu_unit_destroy(core);
}

static int smmu_bring_up(struct platform_device *pdev)
{
	struct smmu_unit *unit = smmu_unit_create(pdev);
	int ret;

	if (IS_ERR(unit))
		return PTR_ERR(unit);
	ret = smmu_firmware_early_streams(unit, smmu_tables_open);
	if (!ret)
		ret = smmu_unit_on(&unit->core);
	if (ret)
		goto err_destroy;

	mutex_lock(&smmu_units.lock);
	list_add_tail(&unit->node, &smmu_units.list);
	smmu_units.nr++;
	mutex_unlock(&smmu_units.lock);
	ret = omni_unit_join(&unit->core);
	if (!ret)
		return 0;

	smmu_forget(unit);
	smmu_unit_off(&unit->core);
err_destroy:
	smmu_unit_destroy(&unit->core);
	return ret;
}

static int smmu_platform_probe(struct platform_device *pdev)
{
	int ret = smmu_bring_up(pdev);

	if (!ret)
		return 0;
	dev_err(&pdev->dev, "omniommu: the unit could not be brought up (%d)\n", ret);
	mutex_lock(&smmu_units.lock);
	smmu_units.err = smmu_units.err ?: ret;
	mutex_unlock(&smmu_units.lock);
	return ret;
}

static const struct of_device_id smmu_of_match[] = {
	{ .compatible = "arm,smmu-v3" },
	{ }
};

static const struct platform_device_id smmu_ids[] = {
	{ .name = "arm-smmu-v3" },
	{ }
};

static struct platform_driver smmu_driver = {
	.probe = smmu_platform_probe,
	.id_table = smmu_ids,
	.driver = {
		.name = "omniommu-smmu",
		.of_match_table = smmu_of_match,
		.suppress_bind_attrs = true,
	},
};

static int smmu_check_owner(struct device *dev, void *arg)
{
	if (!smmu_firmware_is_unit(dev) || !READ_ONCE(dev->driver))
		return 0;
	pr_err("%s is driven by %s already, which can't be removed at run time; boot with initcall_blacklist=arm_smmu_driver_init\n",
	       dev_name(dev), dev_driver_string(dev));
	return -EBUSY;
}

static int smmu_start(const struct omni_wing *wing)
{
	int ret = bus_for_each_dev(&platform_bus_type, NULL, NULL, smmu_check_owner);

	if (ret)
		return ret;
	ret = platform_driver_register(&smmu_driver);
	if (ret)
		return ret;
	mutex_lock(&smmu_units.lock);
	ret = smmu_units.err ?: smmu_units.nr;
	mutex_unlock(&smmu_units.lock);
	/* With units on, the core takes them down again and calls finish(). */
	if (!smmu_units.nr)
		platform_driver_unregister(&smmu_driver);
	return ret;
}

static void smmu_finish(void)
{
	platform_driver_unregister(&smmu_driver);
}

const struct omni_wing smmu_wing = {
	.name = "SMMUv3",
	.start = smmu_start,
	.finish = smmu_finish,
	.unit_off = smmu_unit_off,
	.unit_on = smmu_unit_on,
	.unit_destroy = smmu_destroy,
	.probe = smmu_probe,
	.release = smmu_release,
	.domain_alloc = smmu_domain_alloc,
	.compatible = smmu_domain_compatible,
	.attach = smmu_attach,
	.resv_regions = smmu_resv_regions,
	.capable = smmu_capable,
};
