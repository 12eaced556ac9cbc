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
 *
 * A devicetree that says in no order who is behind which unit is refused
 * whole (L4), as is an IORT (iort.c).
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

/* One entry of iommu-map: first requester ID, unit, first stream ID, how many. */
#define SMMU_MAP_CELLS		4

static __printf(4, 5) int smmu_tree_bad(const struct device_node *np, const char *name,
					unsigned int offset, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	pr_err("devicetree: %pOF: %s at 0x%x: %pV; the tree is refused, report it to the firmware's vendor\n",
	       np, name, offset, &vaf);
	va_end(args);
	return -EINVAL;
}

static int smmu_check_entry(const struct device_node *np, const __be32 *map, unsigned int n)
{
	u64 first = be32_to_cpup(map + n * SMMU_MAP_CELLS);
	u64 stream = be32_to_cpup(map + n * SMMU_MAP_CELLS + 2);
	u64 length = be32_to_cpup(map + n * SMMU_MAP_CELLS + 3);
	unsigned int at = n * SMMU_MAP_CELLS * sizeof(*map), i;
	struct device_node *target;
	u32 phandle = be32_to_cpup(map + n * SMMU_MAP_CELLS + 1), cells = 1;

	if (!length || first + length > BIT_ULL(32) || stream + length > BIT_ULL(32))
		return smmu_tree_bad(np, "iommu-map", at,
				     "its range is empty or goes around the end");
	for (i = 0; i < n; i++) {
		u64 other = be32_to_cpup(map + i * SMMU_MAP_CELLS);

		if (first < other + be32_to_cpup(map + i * SMMU_MAP_CELLS + 3) &&
		    other < first + length)
			return smmu_tree_bad(np, "iommu-map", at,
					     "its range is that of entry %u, too", i);
	}
	target = of_find_node_by_phandle(phandle);
	if (!target)
		return smmu_tree_bad(np, "iommu-map", at, "there is no node 0x%x", phandle);
	if (of_device_is_compatible(target, SMMU_COMPATIBLE) &&
	    of_property_read_u32(target, "#iommu-cells", &cells))
		cells = 0;
	of_node_put(target);
	return cells == 1 ? 0 :
	       smmu_tree_bad(np, "iommu-map", at, "the unit wants %u cells for a stream", cells);
}

static int smmu_check_map(const struct device_node *np)
{
	unsigned int i, nr;
	const __be32 *map;
	int len, ret = 0;

	map = of_get_property(np, "iommu-map", &len);
	if (!map || !len || len % (SMMU_MAP_CELLS * sizeof(*map)))
		return smmu_tree_bad(np, "iommu-map", 0, "its length is %d", map ? len : 0);
	nr = len / (SMMU_MAP_CELLS * sizeof(*map));
	for (i = 0; i < nr && !ret; i++)
		ret = smmu_check_entry(np, map, i);
	return ret;
}

int smmu_firmware_check(void)
{
	struct device_node *np;
	int ret;

	for_each_node_with_property(np, "iommu-map") {
		ret = smmu_check_map(np);
		if (ret)
			goto err_put;
	}
	for_each_node_with_property(np, "iommus") {
		if (of_count_phandle_with_args(np, "iommus", "#iommu-cells") > 0)
			continue;
		ret = smmu_tree_bad(np, "iommus", 0, "it does not lead to units");
		goto err_put;
	}
	return 0;

err_put:
	of_node_put(np);
	return ret;
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

static int smmu_pci_streams(const struct smmu_early *early, struct pci_dev *pdev)
{
	struct device_node *host = smmu_host_node(pdev);
	int i, nr, ret = 0;
	u32 *rids;

	if (!host)
		return 0;
	nr = omni_pci_rids(pdev, &rids);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr && !ret; i++)
		ret = smmu_early_rid(early, host, rids[i]);
	kfree(rids);
	return ret;
}

static int smmu_platform_streams(const struct smmu_early *early, struct device *dev)
{
	struct of_phandle_args args;
	int i, ret = 0;

	if (!dev->of_node)
		return 0;
	for (i = 0; !ret && !of_parse_phandle_with_args(dev->of_node, "iommus", "#iommu-cells",
							i, &args); i++) {
		if (args.np == early->unit->pdev->dev.of_node && args.args_count == 1)
			ret = early->fn(early->unit, args.args[0]);
		of_node_put(args.np);
	}
	return ret;
}

static int smmu_early_platform(struct device *dev, void *arg)
{
	return device_is_bound(dev) ? smmu_platform_streams(arg, dev) : 0;
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

/* Streams of the devices that devicetree's kernel has bound without an IOMMU. */
static int smmu_early_bound(const struct smmu_early *early)
{
	struct pci_dev *pdev = NULL;
	int ret;

	for_each_pci_dev(pdev) {
		ret = device_is_bound(&pdev->dev) ? smmu_pci_streams(early, pdev) : 0;
		if (ret) {
			pci_dev_put(pdev);
			return ret;
		}
	}
	return bus_for_each_dev(&platform_bus_type, NULL, (void *)early, smmu_early_platform);
}

int smmu_firmware_early_streams(struct smmu_unit *unit, smmu_stream_fn fn)
{
	struct smmu_early early = { .unit = unit, .fn = fn };

	return unit->pdev->dev.of_node ? smmu_early_bound(&early) : smmu_early_reserved(&early);
}

/**
 * struct smmu_left - a search for streams that nobody uses any more
 * @early: the search
 * @fn: called for each
 * @sid: the stream at hand
 */
struct smmu_left {
	struct smmu_early early;
	smmu_stream_fn fn;
	u32 sid;
};

/* The search's function has no room for more than a unit and a stream. */
static DEFINE_MUTEX(smmu_left_lock);	/* protects smmu_left */
static struct smmu_left smmu_left;

static int smmu_left_is(struct smmu_unit *unit, u32 sid)
{
	return sid == smmu_left.sid;
}

static int smmu_left_stream(struct smmu_unit *unit, u32 sid)
{
	const struct smmu_early others = { .unit = unit, .fn = smmu_left_is };

	smmu_left.sid = sid;
	return smmu_early_bound(&others) ? 0 : smmu_left.fn(unit, sid);
}

void smmu_firmware_left_streams(struct device *dev, struct smmu_unit *unit, smmu_stream_fn fn)
{
	if (!unit->pdev->dev.of_node)
		return;
	mutex_lock(&smmu_left_lock);
	smmu_left = (struct smmu_left){
		.early = { .unit = unit, .fn = smmu_left_stream },
		.fn = fn,
	};
	if (dev_is_pci(dev))
		smmu_pci_streams(&smmu_left.early, to_pci_dev(dev));
	else
		smmu_platform_streams(&smmu_left.early, dev);
	mutex_unlock(&smmu_left_lock);
}
