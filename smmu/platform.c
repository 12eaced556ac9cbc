// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a unit is to the platform: a device that a driver of ours binds to,
 * with registers, interrupts and coherency that devicetree or ACPI tell.
 *
 * Units come by a platform driver, since binding one is what makes the kernel
 * try the devices again that wait for it.
 */
#include "smmu.h"
#include "iort.h"

#include <linux/acpi.h>
#include <linux/dma-map-ops.h>
#include <linux/ioport.h>
#include <linux/of.h>

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

/* Written before the first unit is taken, empty without ACPI. */
static struct smmu_iort smmu_iort = {
	.units = LIST_HEAD_INIT(smmu_iort.units),
	.roots = LIST_HEAD_INIT(smmu_iort.roots),
};

/* Registers, interrupts */

int smmu_platform_claim(struct smmu_unit *unit)
{
	struct resource *res = platform_get_resource(unit->pdev, IORESOURCE_MEM, 0);
	struct device *dev = &unit->pdev->dev;
	struct resource page;

	if (!res || resource_size(res) < SMMU_PAGE0_SIZE) {
		dev_err(dev, "omniommu: the firmware tells no registers\n");
		return -ENODEV;
	}
	unit->base = res->start;
	unit->coherent = dev_is_dma_coherent(dev);
	unit->page_lg2 = PAGE_SHIFT;
	snprintf(unit->core.name, sizeof(unit->core.name), "smmu3.%pa", &unit->base);
	/* Between the two pages a performance monitor may be somebody else's. */
	page = DEFINE_RES_MEM_NAMED(res->start, SMMU_PAGE0_SIZE, unit->core.name);
	unit->regs = devm_ioremap_resource(dev, &page);
	if (IS_ERR(unit->regs))
		return PTR_ERR(unit->regs);
	unit->page1 = unit->regs;
	if (resource_size(res) <= SMMU_PAGE1)
		return 0;
	page = DEFINE_RES_MEM_NAMED(res->start + SMMU_PAGE1, SMMU_PAGE0_SIZE, unit->core.name);
	unit->page1 = devm_ioremap_resource(dev, &page);
	return PTR_ERR_OR_ZERO(unit->page1);
}

bool smmu_platform_snoops(struct device *dev)
{
	return dev_is_pci(dev) &&
	       smmu_iort_snoops(&smmu_iort, pci_domain_nr(to_pci_dev(dev)->bus));
}

int smmu_platform_irq(struct smmu_unit *unit, const char *name)
{
	return platform_get_irq_byname_optional(unit->pdev, name);
}

static void smmu_message_write(struct msi_desc *desc, struct msi_msg *msg)
{
	struct smmu_unit *unit = dev_get_drvdata(msi_desc_to_dev(desc));

	unit->events.messages[desc->msi_index] = *msg;
	smmu_message_set(unit, desc->msi_index);
}

bool smmu_platform_messages(struct smmu_unit *unit)
{
	struct smmu_events *e = &unit->events;
	struct device *dev = &unit->pdev->dev;
	unsigned int i;

	if (!(unit->idr0 & SMMU_IDR0_MSI) || !dev->msi.domain)
		return false;
	platform_set_drvdata(unit->pdev, unit);
	if (platform_device_msi_init_and_alloc_irqs(dev, SMMU_NR_MESSAGES, smmu_message_write)) {
		platform_set_drvdata(unit->pdev, NULL);
		return false;
	}
	for (i = 0; i < SMMU_NR_MESSAGES; i++)
		e->virqs[i] = msi_get_virq(dev, i);
	e->signalled = true;
	return true;
}

void smmu_platform_messages_end(struct smmu_unit *unit)
{
	platform_device_msi_free_irqs_all(&unit->pdev->dev);
	platform_set_drvdata(unit->pdev, NULL);
}

void smmu_platform_regions(struct device *dev, struct list_head *head)
{
	iommu_dma_get_resv_regions(dev, head);
}

/* Units */

/* The kernel knows a unit as soon as it is registered, before it is bound. */
struct smmu_unit *smmu_platform_find(const struct fwnode_handle *fwnode)
{
	struct smmu_unit *unit, *found = NULL;

	mutex_lock(&smmu_units.lock);
	list_for_each_entry(unit, &smmu_units.list, node)
		if (dev_fwnode(&unit->pdev->dev) == fwnode)
			found = unit;
	mutex_unlock(&smmu_units.lock);
	return found;
}

void smmu_platform_forget(struct smmu_unit *unit)
{
	mutex_lock(&smmu_units.lock);
	list_del(&unit->node);
	mutex_unlock(&smmu_units.lock);
}

static int smmu_bring_up(struct platform_device *pdev)
{
	struct smmu_unit *unit = smmu_unit_create(pdev);
	int ret;

	if (IS_ERR(unit))
		return PTR_ERR(unit);
	/* In the list from now on, since drivers may leave. */
	mutex_lock(&smmu_units.lock);
	list_add_tail(&unit->node, &smmu_units.list);
	mutex_unlock(&smmu_units.lock);
	ret = smmu_firmware_early_streams(unit, smmu_tables_open);
	if (!ret)
		ret = smmu_unit_on(&unit->core);
	if (ret)
		goto err_forget;
	ret = omni_unit_join(&unit->core);
	if (ret)
		goto err_off;
	mutex_lock(&smmu_units.lock);
	smmu_units.nr++;
	mutex_unlock(&smmu_units.lock);
	return 0;

err_off:
	smmu_unit_off(&unit->core);
err_forget:
	smmu_platform_forget(unit);
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

/*
 * A device that was bound without an IOMMU is open (L1) until its driver
 * leaves. The kernel makes no group of it then, so nobody else would close it.
 */
static int smmu_unbound(struct notifier_block *nb, unsigned long action, void *data)
{
	struct smmu_unit *unit;
	struct device *dev = data;

	if (action != BUS_NOTIFY_UNBOUND_DRIVER || device_iommu_mapped(dev))
		return NOTIFY_DONE;
	mutex_lock(&smmu_units.lock);
	list_for_each_entry(unit, &smmu_units.list, node)
		smmu_firmware_left_streams(dev, unit, smmu_tables_close);
	mutex_unlock(&smmu_units.lock);
	return NOTIFY_DONE;
}

static struct notifier_block smmu_pci_unbound = { .notifier_call = smmu_unbound };
static struct notifier_block smmu_platform_unbound = { .notifier_call = smmu_unbound };

static void smmu_platform_leave(void)
{
	platform_driver_unregister(&smmu_driver);
	bus_unregister_notifier(&platform_bus_type, &smmu_platform_unbound);
	bus_unregister_notifier(&pci_bus_type, &smmu_pci_unbound);
	smmu_iort_free(&smmu_iort);
}

static int smmu_check_owner(struct device *dev, void *arg)
{
	if (!smmu_firmware_is_unit(dev) || !READ_ONCE(dev->driver))
		return 0;
	pr_err("%s is driven by %s already, which can't be removed at run time; boot with initcall_blacklist=arm_smmu_driver_init\n",
	       dev_name(dev), dev_driver_string(dev));
	return -EBUSY;
}

/* L4: before anything is taken. */
static int smmu_check_firmware(void)
{
	struct acpi_table_header *table;
	int ret;

	if (acpi_disabled)
		return smmu_firmware_check();
	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_IORT, 0, &table)))
		return 0;
	ret = smmu_iort_parse(&smmu_iort, table, table->length);
	acpi_put_table(table);
	return ret;
}

int smmu_platform_start(const struct omni_wing *wing)
{
	int ret = bus_for_each_dev(&platform_bus_type, NULL, NULL, smmu_check_owner);

	ret = ret ?: smmu_check_firmware();
	if (ret)
		return ret;
	/* Before the first look at what is bound. */
	bus_register_notifier(&pci_bus_type, &smmu_pci_unbound);
	bus_register_notifier(&platform_bus_type, &smmu_platform_unbound);
	ret = platform_driver_register(&smmu_driver);
	if (ret) {
		bus_unregister_notifier(&platform_bus_type, &smmu_platform_unbound);
		bus_unregister_notifier(&pci_bus_type, &smmu_pci_unbound);
		smmu_iort_free(&smmu_iort);
		return ret;
	}
	mutex_lock(&smmu_units.lock);
	ret = smmu_units.err ?: smmu_units.nr;
	mutex_unlock(&smmu_units.lock);
	/* With units on, the core takes them down again and calls finish(). */
	if (!smmu_units.nr)
		smmu_platform_leave();
	return ret;
}

void smmu_platform_finish(void)
{
	smmu_platform_leave();
}
