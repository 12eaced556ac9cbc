// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d wing's face: start and end, devices, reserved regions, sysfs.
 */
#include "vtd.h"

#include <linux/dmar.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

/* scripts/preflight asks the module which IOMMUs it knows. */
MODULE_INFO(drives, "Intel VT-d");

/* Exported by the kernel, declared in no header of 6.12 that a module sees. */
extern int intel_iommu_enabled;

struct vtd_firmware vtd_firmware = {
	.drhds = LIST_HEAD_INIT(vtd_firmware.drhds),
	.rmrrs = LIST_HEAD_INIT(vtd_firmware.rmrrs),
	.atsrs = LIST_HEAD_INIT(vtd_firmware.atsrs),
	.satcs = LIST_HEAD_INIT(vtd_firmware.satcs),
};

/* Devices */

static struct omni_unit *vtd_find_unit(struct pci_dev *pdev)
{
	struct vtd_drhd *drhd = vtd_firmware_find(&vtd_firmware, pdev);

	return drhd && drhd->unit ? &drhd->unit->core : NULL;
}

static struct omni_device *vtd_probe(struct device *dev)
{
	struct omni_device *od;
	struct omni_unit *core;
	struct pci_dev *pdev;
	struct vtd_unit *unit;
	unsigned int i;
	int ret;

	if (!dev_is_pci(dev))
		return NULL;
	pdev = to_pci_dev(dev);
	core = vtd_find_unit(pdev);
	if (!core)
		return NULL;
	unit = to_vtd_unit(core);

	od = kzalloc(sizeof(*od), GFP_KERNEL);
	if (!od)
		return ERR_PTR(-ENOMEM);
	od->unit = &unit->core;
	ret = omni_pci_rids(pdev, &od->rids);
	if (ret < 0)
		goto err;
	od->nr_rids = ret;
	od->rid = od->rids[0];
	for (i = 0; i < od->nr_rids; i++) {
		ret = vtd_tables_reserve(unit, od->rids[i]);
		if (ret)
			goto err;
	}
	od->state = vtd_context_is_set(unit, od->rid) ? OMNI_IDENTITY : OMNI_BLOCKED;
	if (unit->ecap & VTD_ECAP_DT && pci_ats_supported(pdev) &&
	    vtd_firmware_ats_allowed(&vtd_firmware, pdev))
		od->ats_depth = omni_ats_depth(pdev);
	return od;

err:
	kfree(od->rids);
	kfree(od);
	return ERR_PTR(ret);
}

static void vtd_release_rcu(struct rcu_head *rcu)
{
	struct omni_device *od = container_of(rcu, struct omni_device, rcu);

	kfree(od->rids);
	kfree(od);
}

static void vtd_release(struct omni_device *od)
{
	call_rcu(&od->rcu, vtd_release_rcu);
}

static struct omni_domain *vtd_domain_alloc(struct omni_device *od, bool dirty)
{
	if (dirty)
		return ERR_PTR(-EOPNOTSUPP);
	return vtd_domain_create(to_vtd_unit(od->unit), dev_to_node(od->dev));
}

static bool vtd_capable(struct omni_device *od, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		return to_vtd_unit(od->unit)->ecap & VTD_ECAP_SC;
	case IOMMU_CAP_PRE_BOOT_PROTECTION:
		return vtd_firmware.flags & DMAR_PLATFORM_OPT_IN;
	default:
		return false;
	}
}

/* Reserved regions */

static void vtd_resv_regions(struct omni_device *od, struct list_head *head)
{
	struct pci_dev *pdev = to_pci_dev(od->dev);
	struct vtd_rmrr *rmrr;

	list_for_each_entry(rmrr, &vtd_firmware.rmrrs, node)
		if (vtd_rmrr_applies(rmrr, pdev))
			omni_add_direct(od->dev, head, rmrr->base, rmrr->last,
					IOMMU_READ | IOMMU_WRITE);
	/* ISA DMA, the floppy's that is, addresses the first 16 MiB. */
	if (IS_ENABLED(CONFIG_INTEL_IOMMU_FLOPPY_WA) && pdev->class >> 8 == PCI_CLASS_BRIDGE_ISA)
		omni_add_region(head, 0, SZ_16M - 1, IOMMU_READ | IOMMU_WRITE,
				IOMMU_RESV_DIRECT_RELAXABLE);
	omni_add_region(head, VTD_MSI_FIRST, VTD_MSI_LAST, 0, IOMMU_RESV_MSI);
}

/* sysfs, as the in-tree driver has it */

static struct vtd_unit *vtd_dev_unit(struct device *dev)
{
	return to_vtd_unit(container_of(dev_to_iommu_device(dev), struct omni_unit, iommu));
}

static ssize_t version_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	u32 ver = vtd_read32(vtd_dev_unit(dev), VTD_VER);

	return sysfs_emit(buf, "%lu:%lu\n", FIELD_GET(VTD_VER_MAX, ver),
			  FIELD_GET(VTD_VER_MIN, ver));
}
static DEVICE_ATTR_RO(version);

static ssize_t address_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llx\n", vtd_dev_unit(dev)->drhd->base);
}
static DEVICE_ATTR_RO(address);

static ssize_t cap_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llx\n", vtd_read64(vtd_dev_unit(dev), VTD_CAP));
}
static DEVICE_ATTR_RO(cap);

static ssize_t ecap_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llx\n", vtd_read64(vtd_dev_unit(dev), VTD_ECAP));
}
static DEVICE_ATTR_RO(ecap);

static ssize_t domains_supported_show(struct device *dev, struct device_attribute *attr,
				      char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  BIT(4 + 2 * FIELD_GET(VTD_CAP_ND, vtd_dev_unit(dev)->cap)));
}
static DEVICE_ATTR_RO(domains_supported);

static ssize_t domains_used_show(struct device *dev, struct device_attribute *attr,
				 char *buf)
{
	/* The reserved ids below the first count as used. */
	return sysfs_emit(buf, "%d\n", atomic_read(&vtd_dev_unit(dev)->core.nr_tags) +
			  VTD_TAG_FIRST);
}
static DEVICE_ATTR_RO(domains_used);

static struct attribute *vtd_attrs[] = {
	&dev_attr_version.attr,
	&dev_attr_address.attr,
	&dev_attr_cap.attr,
	&dev_attr_ecap.attr,
	&dev_attr_domains_supported.attr,
	&dev_attr_domains_used.attr,
	NULL,
};

static const struct attribute_group vtd_group = {
	.name = "intel-iommu",
	.attrs = vtd_attrs,
};

static const struct attribute_group *vtd_groups[] = {
	&vtd_group,
	NULL,
};

/* Start */

/* Identity for every device there is, before translation comes on (L1). */

static int vtd_prepare_rid(struct omni_unit *core, u32 rid)
{
	struct vtd_unit *unit = to_vtd_unit(core);
	int ret = vtd_tables_reserve(unit, rid);

	if (ret)
		pr_err("%s: out of memory for the context tables\n", core->name);
	else
		vtd_context_set(unit, rid, vtd_context_identity(unit));
	return ret;
}

static void vtd_undo_start(void)
{
	struct vtd_drhd *drhd;

	list_for_each_entry(drhd, &vtd_firmware.drhds, node)
		if (drhd->unit)
			vtd_unit_off(&drhd->unit->core);
	list_for_each_entry(drhd, &vtd_firmware.drhds, node)
		if (drhd->unit)
			vtd_unit_destroy(&drhd->unit->core);
	vtd_firmware_free(&vtd_firmware);
}

static int vtd_create_units(void)
{
	struct vtd_drhd *drhd;
	struct vtd_unit *unit;
	int nr = 0;

	list_for_each_entry(drhd, &vtd_firmware.drhds, node) {
		unit = vtd_unit_create(drhd);
		if (IS_ERR(unit))
			return PTR_ERR(unit);
		if (!unit)
			continue;
		drhd->unit = unit;
		vtd_faults_create(unit);
		nr++;
	}
	return nr;
}

static int vtd_start(const struct omni_wing *wing)
{
	struct vtd_drhd *drhd;
	int ret, nr;

	if (IS_ENABLED(CONFIG_INTEL_IOMMU) && intel_iommu_enabled) {
		pr_err("the in-tree VT-d driver is active and can't be removed at run time; boot with intel_iommu=off\n");
		return -EBUSY;
	}
	if (!system_has_cmpxchg128()) {
		pr_err("the processor has no CMPXCHG16B, which context entries need\n");
		return -ENODEV;
	}
	ret = vtd_firmware_read(&vtd_firmware);
	if (ret)
		return ret == -ENODEV ? 0 : ret;

	nr = vtd_create_units();
	if (!nr) {
		pr_err("no VT-d unit of this machine offers DMA translation\n");
		nr = -ENODEV;
	}
	ret = nr < 0 ? nr : omni_visit_rids(vtd_find_unit, vtd_prepare_rid);
	if (ret)
		goto err;

	list_for_each_entry(drhd, &vtd_firmware.drhds, node) {
		ret = drhd->unit ? vtd_unit_on(&drhd->unit->core) : 0;
		if (ret)
			goto err;
	}
	list_for_each_entry(drhd, &vtd_firmware.drhds, node)
		if (drhd->unit)
			omni_unit_add(&drhd->unit->core);
	return nr;

err:
	vtd_undo_start();
	return ret;
}

static void vtd_finish(void)
{
	vtd_show_exit();
	vtd_firmware_free(&vtd_firmware);
}

const struct omni_wing vtd_wing = {
	.name = "DMAR",
	.start = vtd_start,
	.finish = vtd_finish,
	.unit_off = vtd_unit_off,
	.unit_on = vtd_unit_on,
	.unit_destroy = vtd_unit_destroy,
	.probe = vtd_probe,
	.release = vtd_release,
	.domain_alloc = vtd_domain_alloc,
	.compatible = vtd_domain_compatible,
	.attach = vtd_attach,
	.write = vtd_write,
	.resv_regions = vtd_resv_regions,
	.capable = vtd_capable,
	.unit_groups = vtd_groups,
	.show = &vtd_show_ops,
	.queue = &vtd_queue_ops,
};
