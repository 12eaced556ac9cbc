// SPDX-License-Identifier: GPL-2.0-only
/*
 * The AMD-Vi wing's face: start and end, devices, reserved regions, sysfs.
 */
#include "amd.h"

#include <linux/acpi.h>
#include <linux/module.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

/* scripts/preflight asks the module which IOMMUs it knows. */
MODULE_INFO(drives, "AMD-Vi");

/* Asked for once, when units are created; after that each unit knows. */
static char *amd_pgtable = "v1";
module_param(amd_pgtable, charp, 0444);
MODULE_PARM_DESC(amd_pgtable, "AMD-Vi: page tables of new domains: v1 (host) or, on units that have it, v2 (guest) (default: v1)");

#ifndef OMNI_KUNIT
bool amd_want_v2;

static int amd_choose_pgtable(void)
{
	amd_want_v2 = !strcmp(amd_pgtable, "v2");
	if (amd_want_v2 || !strcmp(amd_pgtable, "v1"))
		return 0;
	pr_err("amd_pgtable=%s: there are v1 and v2\n", amd_pgtable);
	return -EINVAL;
}
#else
static int amd_choose_pgtable(void)
{
	return 0;
}
#endif

struct amd_firmware amd_firmware = {
	.ivhds = LIST_HEAD_INIT(amd_firmware.ivhds),
	.ivmds = LIST_HEAD_INIT(amd_firmware.ivmds),
};

/* Devices */

static struct omni_unit *amd_find_unit(struct pci_dev *pdev)
{
	struct amd_ivhd *ivhd;

	pdev = omni_real_dma_dev(pdev);
	ivhd = amd_firmware_find(&amd_firmware, pci_domain_nr(pdev->bus), pci_dev_id(pdev));
	/* A unit translates nothing of its own. */
	if (!ivhd || !ivhd->unit || pdev == ivhd->unit->pdev)
		return NULL;
	return &ivhd->unit->core;
}

/* The ID that the firmware says a device's DMA carries joins those known. */
static int amd_add_alias(const struct amd_unit *unit, struct omni_device *od)
{
	const struct amd_devids *range = amd_firmware_devids(unit->ivhd, od->rids[0]);
	unsigned int i;
	u32 *rids;

	if (!range || !range->aliased)
		return 0;
	for (i = 0; i < od->nr_rids; i++)
		if (od->rids[i] == range->alias)
			return 0;
	rids = krealloc_array(od->rids, od->nr_rids + 1, sizeof(*rids), GFP_KERNEL);
	if (!rids)
		return -ENOMEM;
	rids[od->nr_rids++] = range->alias;
	od->rids = rids;
	return 0;
}

static bool amd_ats_allowed(const struct amd_unit *unit, struct pci_dev *pdev)
{
	const struct amd_devids *range = amd_firmware_devids(unit->ivhd, pci_dev_id(pdev));

	return unit->cap & AMD_CAP_IOTLB && !(range && range->no_ats) && pci_ats_supported(pdev);
}

/* The IDs of a device that its unit may see. */
static int amd_rids(struct device *dev, const struct amd_hid *hid, u32 **rids)
{
	if (!hid)
		return omni_pci_rids(to_pci_dev(dev), rids);
	*rids = kmalloc(sizeof(**rids), GFP_KERNEL);
	if (!*rids)
		return -ENOMEM;
	(*rids)[0] = hid->devid;
	return 1;
}

static struct omni_device *amd_probe(struct device *dev)
{
	const struct amd_hid *hid = NULL;
	struct amd_device *ad;
	struct omni_device *od;
	struct omni_unit *core;
	struct amd_unit *unit;
	struct amd_ivhd *ivhd;
	unsigned int i;
	int ret;

	if (dev_is_pci(dev)) {
		core = amd_find_unit(to_pci_dev(dev));
	} else {
		hid = amd_hid_find(dev, &ivhd);
		core = hid && ivhd->unit ? &ivhd->unit->core : NULL;
	}
	if (!core)
		return NULL;
	unit = to_amd_unit(core);

	ad = kzalloc(sizeof(*ad), GFP_KERNEL);
	if (!ad)
		return ERR_PTR(-ENOMEM);
	for (i = 0; i < ARRAY_SIZE(ad->links); i++) {
		INIT_LIST_HEAD(&ad->links[i].node);
		ad->links[i].ad = ad;
	}
	od = &ad->core;
	od->unit = core;
	ret = amd_rids(dev, hid, &od->rids);
	if (ret < 0)
		goto err;
	od->nr_rids = ret;
	ret = amd_add_alias(unit, od);
	if (ret)
		goto err;
	od->rid = od->rids[0];
	for (i = 0; i < od->nr_rids; i++) {
		if (od->rids[i] < unit->nr_dtes)
			continue;
		dev_err(dev, "omniommu: %s has no device table entry for its ID %02x:%02x.%x\n",
			core->name, PCI_BUS_NUM(od->rids[i]), PCI_SLOT(od->rids[i]),
			PCI_FUNC(od->rids[i]));
		ret = -ENODEV;
		goto err;
	}
	od->state = amd_tables_blocked(unit, od->rid) ? OMNI_BLOCKED : OMNI_IDENTITY;
	if (!hid && amd_ats_allowed(unit, to_pci_dev(dev)))
		od->ats_depth = omni_ats_depth(to_pci_dev(dev));
	return od;

err:
	kfree(od->rids);
	kfree(ad);
	return ERR_PTR(ret);
}

static void amd_release_rcu(struct rcu_head *rcu)
{
	struct omni_device *od = container_of(rcu, struct omni_device, rcu);

	kfree(od->rids);
	kfree(to_amd_device(od));
}

static void amd_release(struct omni_device *od)
{
	call_rcu(&od->rcu, amd_release_rcu);
}

static struct omni_domain *amd_domain_alloc(struct omni_device *od, bool dirty)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct omni_domain *domain;

	if (dirty && !amd_unit_tracks_dirty(unit))
		return ERR_PTR(-EOPNOTSUPP);
	domain = amd_domain_create(unit, unit->v2 && !dirty, dev_to_node(od->dev));
	if (dirty && !IS_ERR(domain))
		domain->iommu.dirty_ops = &amd_dirty_ops;
	return domain;
}

static bool amd_capable(struct omni_device *od, enum iommu_cap cap)
{
	switch (cap) {
	case IOMMU_CAP_CACHE_COHERENCY:
		return true;
	case IOMMU_CAP_ENFORCE_CACHE_COHERENCY:
		/* What a device's domain will be like has to be known before. */
		return to_amd_unit(od->unit)->fc && !to_amd_unit(od->unit)->v2;
	case IOMMU_CAP_DIRTY_TRACKING:
		return amd_unit_tracks_dirty(to_amd_unit(od->unit));
	case IOMMU_CAP_PRE_BOOT_PROTECTION:
		return amd_firmware.remapped;
	default:
		return false;
	}
}

static void amd_resv_regions(struct omni_device *od, struct list_head *head)
{
	const struct amd_unit *unit = to_amd_unit(od->unit);
	const struct amd_ivmd *ivmd;
	unsigned int i;

	list_for_each_entry(ivmd, &amd_firmware.ivmds, node) {
		if (ivmd->segment != unit->ivhd->segment)
			continue;
		for (i = 0; i < od->nr_rids; i++) {
			if (od->rids[i] < ivmd->first || od->rids[i] > ivmd->last)
				continue;
			omni_add_direct(od->dev, head, ivmd->base, ivmd->end,
					(ivmd->read ? IOMMU_READ : 0) |
					(ivmd->write ? IOMMU_WRITE : 0));
			break;
		}
	}
	omni_add_region(head, AMD_MSI_FIRST, AMD_MSI_LAST, 0, IOMMU_RESV_MSI);
	omni_add_region(head, AMD_HT_FIRST, AMD_HT_LAST, 0, IOMMU_RESV_RESERVED);
}

/* sysfs, as the in-tree driver has it */

static struct amd_unit *amd_dev_unit(struct device *dev)
{
	return to_amd_unit(container_of(dev_to_iommu_device(dev), struct omni_unit, iommu));
}

static ssize_t cap_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%x\n", amd_dev_unit(dev)->cap);
}
static DEVICE_ATTR_RO(cap);

static ssize_t features_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct amd_unit *unit = amd_dev_unit(dev);

	/* The second register exists where the table may have its image. */
	return sysfs_emit(buf, "%llx:%llx\n", unit->efr,
			  unit->ivhd->type == ACPI_IVRS_TYPE_HARDWARE1 ? 0 :
			  amd_read64(unit, AMD_EFR2));
}
static DEVICE_ATTR_RO(features);

static struct attribute *amd_attrs[] = {
	&dev_attr_cap.attr,
	&dev_attr_features.attr,
	NULL,
};

static const struct attribute_group amd_group = {
	.name = "amd-iommu",
	.attrs = amd_attrs,
};

static const struct attribute_group *amd_groups[] = {
	&amd_group,
	NULL,
};

/* Start */

static int amd_prepare_rid(struct omni_unit *core, u32 rid)
{
	if (amd_tables_identity(to_amd_unit(core), rid))
		pr_warn("%s: its device table ends before %02x:%02x.%x, which will be blocked\n",
			core->name, PCI_BUS_NUM(rid), PCI_SLOT(rid), PCI_FUNC(rid));
	return 0;
}

/* IDs that the firmware puts in the place of others. */
static void amd_prepare_aliases(struct amd_ivhd *ivhd)
{
	const struct amd_devids *range;

	list_for_each_entry(range, &ivhd->devids, node)
		if (range->aliased)
			amd_tables_identity(ivhd->unit, range->alias);
}

static void amd_undo_start(void)
{
	struct amd_ivhd *ivhd;

	list_for_each_entry(ivhd, &amd_firmware.ivhds, node)
		if (ivhd->unit)
			amd_unit_off(&ivhd->unit->core);
	list_for_each_entry(ivhd, &amd_firmware.ivhds, node)
		if (ivhd->unit)
			amd_unit_destroy(&ivhd->unit->core);
	amd_firmware_free(&amd_firmware);
}

static int amd_create_units(void)
{
	struct amd_ivhd *ivhd;
	struct amd_unit *unit;
	int nr = 0;

	list_for_each_entry(ivhd, &amd_firmware.ivhds, node) {
		unit = amd_unit_create(ivhd);
		if (IS_ERR(unit))
			return PTR_ERR(unit);
		ivhd->unit = unit;
		nr++;
	}
	return nr;
}

static int amd_start(const struct omni_wing *wing)
{
	struct amd_ivhd *ivhd;
	int ret, nr;

	ret = amd_firmware_read(&amd_firmware);
	if (ret)
		return ret == -ENODEV ? 0 : ret;
	if (!system_has_cmpxchg128()) {
		pr_err("the processor has no CMPXCHG16B, which device table entries need\n");
		amd_firmware_free(&amd_firmware);
		return -ENODEV;
	}

	ret = amd_choose_pgtable();
	if (ret) {
		amd_firmware_free(&amd_firmware);
		return ret;
	}

	nr = amd_create_units();
	ret = nr < 0 ? nr : omni_visit_rids(amd_find_unit, amd_prepare_rid);
	if (ret)
		goto err;

	list_for_each_entry(ivhd, &amd_firmware.ivhds, node) {
		amd_prepare_aliases(ivhd);
		amd_hids_report(ivhd);
		ret = amd_unit_on(&ivhd->unit->core);
		if (ret)
			goto err;
	}
	list_for_each_entry(ivhd, &amd_firmware.ivhds, node)
		omni_unit_add(&ivhd->unit->core);
	return nr;

err:
	amd_undo_start();
	return ret;
}

static void amd_finish(void)
{
	amd_firmware_free(&amd_firmware);
}

const struct omni_wing amd_wing = {
	.name = "IVRS",
	.start = amd_start,
	.finish = amd_finish,
	.unit_off = amd_unit_off,
	.unit_on = amd_unit_on,
	.unit_destroy = amd_unit_destroy,
	.probe = amd_probe,
	.release = amd_release,
	.domain_alloc = amd_domain_alloc,
	.compatible = amd_domain_compatible,
	.attach = amd_attach,
	.write = amd_write,
	.resv_regions = amd_resv_regions,
	.capable = amd_capable,
	.unit_groups = amd_groups,
	.show = &amd_show_ops,
	.queue = &amd_queue_ops,
};
