// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the module ends: stop, shutdown, suspend.
 *
 * A platform device stands for all units. Every translated device is linked
 * to it as a consumer, so the kernel shuts devices down and suspends them
 * before the units, and resumes them after (L6).
 *
 * Stop (L2) checks and holds each device in turn: one that uses translation
 * makes it fail, one without a driver can't get one until the stop is over.
 * From then on nothing new can begin to rely on a unit.
 */
#include "core.h"

#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

struct platform_device *omni_anchor;

static DEFINE_MUTEX(omni_stop_lock);	/* one stop at a time */
static bool omni_stopped = true;

/**
 * struct omni_held - a device while a stop is in progress
 * @node: in the list of the stop
 * @dev: the device, referenced
 * @matching: driver matching was switched off
 * @counted: its driver was taken out of the group's use count
 */
struct omni_held {
	struct list_head node;
	struct device *dev;
	bool matching;
	bool counted;
};

static struct omni_device *omni_lookup(struct device *dev)
{
	struct omni_device *od;

	lockdep_assert_held(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node)
		if (od->dev == dev)
			return od;
	return NULL;
}

static bool omni_manages_dma(struct device *dev)
{
	return dev_is_pci(dev) && dev->driver &&
	       to_pci_driver(dev->driver)->driver_managed_dma;
}

static bool omni_is_bridge(struct device *dev)
{
	return dev_is_pci(dev) && pci_is_bridge(to_pci_dev(dev));
}

/* What keeps a device in use, in words, or NULL. */
static const char *omni_in_use(const struct omni_device *od)
{
	struct device *dev = od->dev;

	if (od->state == OMNI_PAGING &&
	    od->domain->iommu.type == IOMMU_DOMAIN_UNMANAGED)
		return "is attached to a user's domain";
	if (!dev->driver || omni_is_bridge(dev))
		return NULL;
	if (omni_manages_dma(dev))
		return "is bound to a driver that lends it to users";
	if (od->state != OMNI_IDENTITY)
		return "has a driver whose DMA is translated";
	return NULL;
}

static int omni_hold(struct omni_held *held)
{
	struct device *dev = held->dev;
	struct omni_device *od;
	const char *why = NULL;

	device_lock(dev);
	mutex_lock(&omni_core.lock);
	od = omni_lookup(dev);
	if (od)
		why = omni_in_use(od);
	mutex_unlock(&omni_core.lock);
	if (why) {
		pr_err("stop: %s (%s) %s; unbind it first\n", dev_name(dev),
		       dev_driver_string(dev), why);
	} else if (od && dev->driver && !omni_manages_dma(dev)) {
		dev->bus->dma_cleanup(dev);
		od->adopted = false;
		held->counted = true;
	} else if (od && !dev->driver && dev_is_pci(dev) &&
		   to_pci_dev(dev)->match_driver) {
		to_pci_dev(dev)->match_driver = false;
		held->matching = true;
	}
	device_unlock(dev);
	return why ? -EBUSY : 0;
}

static void omni_unhold(struct omni_held *held, bool stopped)
{
	struct device *dev = held->dev;

	device_lock(dev);
	if (held->matching)
		to_pci_dev(dev)->match_driver = true;
	if (held->counted && !stopped && dev->driver)
		dev->bus->dma_configure(dev);
	device_unlock(dev);
	list_del(&held->node);
	put_device(dev);
	kfree(held);
}

static int omni_list_devices(struct list_head *list)
{
	struct omni_device *od;
	struct omni_held *held;
	int ret = 0;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node) {
		held = kzalloc(sizeof(*held), GFP_KERNEL);
		if (!held) {
			ret = -ENOMEM;
			break;
		}
		held->dev = get_device(od->dev);
		list_add_tail(&held->node, list);
	}
	mutex_unlock(&omni_core.lock);
	return ret;
}

void omni_unregister(void)
{
	struct omni_device *od;
	struct omni_unit *unit;

	mutex_lock(&omni_core.join_lock);
	omni_core.stopping = true;
	mutex_unlock(&omni_core.join_lock);

	list_for_each_entry(od, &omni_core.devices, node) {
		if (!od->adopted)
			continue;
		device_lock(od->dev);
		if (od->dev->driver)
			od->dev->bus->dma_cleanup(od->dev);
		od->adopted = false;
		device_unlock(od->dev);
	}
	list_for_each_entry(unit, &omni_core.units, node) {
		if (unit->registered)
			iommu_device_unregister(&unit->iommu);
		unit->registered = false;
	}
	list_for_each_entry(unit, &omni_core.units, node) {
		if (unit->in_sysfs)
			iommu_device_sysfs_remove(&unit->iommu);
		unit->in_sysfs = false;
	}
}

void omni_units_destroy(void)
{
	const struct omni_wing *wing = NULL;
	struct omni_unit *unit, *next;
	LIST_HEAD(units);

	mutex_lock(&omni_core.lock);
	list_splice_init(&omni_core.units, &units);
	mutex_unlock(&omni_core.lock);

	list_for_each_entry(unit, &units, node)
		unit->wing->unit_off(unit);
	list_for_each_entry_safe(unit, next, &units, node) {
		list_del(&unit->node);
		if (wing && wing != unit->wing)
			wing->finish();
		wing = unit->wing;
		unit->wing->unit_destroy(unit);
	}
	if (wing)
		wing->finish();
}

int omni_stop(void)
{
	struct omni_held *held, *next;
	LIST_HEAD(list);
	int ret;

	mutex_lock(&omni_stop_lock);
	if (omni_stopped) {
		mutex_unlock(&omni_stop_lock);
		return 0;
	}
	ret = omni_list_devices(&list);
	list_for_each_entry(held, &list, node) {
		if (ret)
			break;
		ret = omni_hold(held);
	}
	if (!ret) {
		omni_unregister();
		omni_units_destroy();
		omni_acs_restore_all();
		omni_stopped = true;
		pr_info("stopped: every unit is off, the module can be removed\n");
	}
	list_for_each_entry_safe(held, next, &list, node)
		omni_unhold(held, !ret);
	mutex_unlock(&omni_stop_lock);
	return ret;
}

static int omni_stop_set(const char *val, const struct kernel_param *kp)
{
	bool stop;
	int ret = kstrtobool(val, &stop);

	if (ret)
		return ret;
	return stop ? omni_stop() : 0;
}

static int omni_stop_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%c\n", omni_stopped ? 'Y' : 'N');
}

static const struct kernel_param_ops omni_stop_ops = {
	.set = omni_stop_set,
	.get = omni_stop_get,
};
module_param_cb(stop, &omni_stop_ops, NULL, 0644);
MODULE_PARM_DESC(stop, "write 1 to detach every device and switch the units off, so that the module can be removed; EBUSY while a device is in use");

/* A device that may still do DMA with translated addresses, or NULL. */
static struct omni_device *omni_still_busy(const struct omni_unit *unit)
{
	struct omni_device *od, *busy = NULL;
	u16 cmd;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node) {
		if (od->unit != unit || od->state != OMNI_PAGING ||
		    !dev_is_pci(od->dev) || omni_is_bridge(od->dev) || !od->dev->driver)
			continue;
		pci_read_config_word(to_pci_dev(od->dev), PCI_COMMAND, &cmd);
		if (cmd != U16_MAX && cmd & PCI_COMMAND_MASTER)
			busy = od;
	}
	mutex_unlock(&omni_core.lock);
	return busy;
}

static void omni_shutdown(struct platform_device *pdev)
{
	/* Without power nothing is left to do DMA. */
	bool goes_on = system_state != SYSTEM_HALT && system_state != SYSTEM_POWER_OFF;
	struct omni_device *busy;
	struct omni_unit *unit;

	list_for_each_entry(unit, &omni_core.units, node) {
		busy = goes_on ? omni_still_busy(unit) : NULL;
		if (busy)
			pr_warn("%s stays on over the shutdown: %s may still do DMA through it\n",
				unit->name, dev_name(busy->dev));
		else
			unit->wing->unit_off(unit);
	}
}

static int omni_suspend_noirq(struct device *dev)
{
	struct omni_unit *unit;

	list_for_each_entry(unit, &omni_core.units, node)
		unit->wing->unit_off(unit);
	return 0;
}

static int omni_resume_noirq(struct device *dev)
{
	struct omni_unit *unit;
	int ret, err = 0;

	list_for_each_entry(unit, &omni_core.units, node) {
		ret = unit->wing->unit_on(unit);
		if (ret)
			pr_err("%s did not come back after the suspend (%d): its devices' DMA is untranslated\n",
			       unit->name, ret);
		err = err ?: ret;
	}
	return err;
}

static const struct dev_pm_ops omni_pm_ops = {
	NOIRQ_SYSTEM_SLEEP_PM_OPS(omni_suspend_noirq, omni_resume_noirq)
};

static struct platform_driver omni_driver = {
	.driver = {
		.name = "omniommu",
		.pm = pm_sleep_ptr(&omni_pm_ops),
		.suppress_bind_attrs = true,
	},
	.shutdown = omni_shutdown,
};

int omni_life_init(void)
{
	int ret = platform_driver_register(&omni_driver);

	if (ret)
		return ret;
	omni_anchor = platform_device_register_simple("omniommu", PLATFORM_DEVID_NONE,
						      NULL, 0);
	if (IS_ERR(omni_anchor)) {
		platform_driver_unregister(&omni_driver);
		return PTR_ERR(omni_anchor);
	}
	omni_stopped = false;
	return 0;
}

void omni_life_exit(void)
{
	omni_stopped = true;
	platform_device_unregister(omni_anchor);
	platform_driver_unregister(&omni_driver);
}
