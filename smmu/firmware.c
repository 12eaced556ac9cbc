// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the firmware says of SMMUs, beyond what the kernel makes of it.
 *
 * The kernel reads devicetree and ACPI's IORT itself: each SMMUv3 is a
 * platform device, with registers, interrupts and coherency, and a device
 * that is about to be bound gets its unit and stream IDs. What the kernel does
 * not tell is whose DMA goes through a unit before that: devices that
 * devicetree's kernel has bound without an IOMMU when it gave up waiting (L1;
 * under ACPI it waits for ever), and reserved memory regions of the IORT.
 */
#include "smmu.h"

#include <linux/acpi_iort.h>
#include <linux/of.h>
#include <linux/of_platform.h>
#include <linux/slab.h>

#define SMMU_COMPATIBLE		"arm,smmu-v3"
#define SMMU_IORT_NAME		"arm-smmu-v3"

typedef int (*smmu_stream_fn)(struct smmu_unit *unit, u32 sid);

/**
 * struct smmu_early - a search for streams that are in use
 * @unit: behind this unit
 * @fn: called for each
 */
struct smmu_early {
	struct smmu_unit *unit;
	smmu_stream_fn fn;
};

bool smmu_firmware_is_unit(struct device *dev)
{
	return dev->bus == &platform_bus_type &&
	       (of_device_is_compatible(dev->of_node, SMMU_COMPATIBLE) ||
		!strcmp(to_platform_device(dev)->name, SMMU_IORT_NAME));
}

/* The node that maps the requester IDs of a PCI device's root bus. */
static struct device_node *smmu_host_node(struct pci_dev *pdev)
{
	struct pci_bus *bus = pdev->bus;

	while (!pci_is_root_bus(bus))
		bus = bus->parent;
	return bus->bridge->parent ? bus->bridge->parent->of_node : NULL;
}

static int smmu_early_rid(const struct smmu_early *early, struct device_node *host, u32 rid)
{
	struct device_node *target = NULL;
	int ret = 0;
	u32 sid;

	if (of_map_id(host, rid, "iommu-map", "iommu-map-mask", &target, &sid) || !target)
		return 0;
	if (target == early->unit->pdev->dev.of_node)
		ret = early->fn(early->unit, sid);
	of_node_put(target);
	return ret;
}

static int smmu_early_pci(const struct smmu_early *early, struct pci_dev *pdev)
{
	struct device_node *host = smmu_host_node(pdev);
	int i, nr, ret = 0;
	u32 *rids;

	if (!host || !device_is_bound(&pdev->dev))
		return 0;
	nr = omni_pci_rids(pdev, &rids);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr && !ret; i++)
		ret = smmu_early_rid(early, host, rids[i]);
	kfree(rids);
	return ret;
}

static int smmu_early_platform(struct device *dev, void *arg)
{
	const struct smmu_early *early = arg;
	struct of_phandle_args args;
	int i, ret = 0;

	if (!dev->of_node || !device_is_bound(dev))
		return 0;
	for (i = 0; !ret && !of_parse_phandle_with_args(dev->of_node, "iommus", "#iommu-cells",
							i, &args); i++) {
		if (args.np == early->unit->pdev->dev.of_node && args.args_count == 1)
			ret = early->fn(early->unit, args.args[0]);
		of_node_put(args.np);
	}
	return ret;
}

/* Memory that firmware has devices use from before the kernel came. */
static int smmu_early_reserved(const struct smmu_early *early)
{
	struct fwnode_handle *fwnode = dev_fwnode(&early->unit->pdev->dev);
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	int ret = 0;
	u32 i;

	iort_get_rmr_sids(fwnode, &regions);
	list_for_each_entry(region, &regions, list) {
		struct iommu_iort_rmr_data *rmr =
			container_of(region, struct iommu_iort_rmr_data, rr);

		for (i = 0; i < rmr->num_sids && !ret; i++)
			ret = early->fn(early->unit, rmr->sids[i]);
	}
	iort_put_rmr_sids(fwnode, &regions);
	return ret;
}

int smmu_firmware_early_streams(struct smmu_unit *unit, smmu_stream_fn fn)
{
	struct smmu_early early = { .unit = unit, .fn = fn };
	struct pci_dev *pdev = NULL;
	int ret;

	if (!unit->pdev->dev.of_node)
		return smmu_early_reserved(&early);
	for_each_pci_dev(pdev) {
		ret = smmu_early_pci(&early, pdev);
		if (ret) {
			pci_dev_put(pdev);
			return ret;
		}
	}
	return bus_for_each_dev(&platform_bus_type, NULL, &early, smmu_early_platform);
}
