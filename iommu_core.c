// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registration with the kernel, device probe and release, the life of
 * domains and attachments.
 *
 * The core decides order, the wing does what its hardware needs. An attach
 * first widens the domain's reach, then lets the wing change the device's
 * entries and flush, then narrows the reach of the domain that was left. So
 * at every moment each domain's reach covers every cache that can hold its
 * translations.
 */
#include "core.h"
#include "include/omni_trace.h"

#include <linux/dma-mapping.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <uapi/linux/iommufd.h>
#include <linux/slab.h>

struct omni_core omni_core = {
	.lock = __MUTEX_INITIALIZER(omni_core.lock),
	.join_lock = __MUTEX_INITIALIZER(omni_core.join_lock),
	.units = LIST_HEAD_INIT(omni_core.units),
	.devices = LIST_HEAD_INIT(omni_core.devices),
};

/* The wings this build has. */
static const struct omni_wing * const omni_wings[] = {
#ifdef CONFIG_X86
	&vtd_wing,
	&amd_wing,
#endif
#ifdef CONFIG_ARM64
	&smmu_wing,
#endif
};

static bool acs = true;
module_param(acs, bool, 0444);
MODULE_PARM_DESC(acs, "enable PCIe ACS isolation on the ports that offer it, for finer groups (default: Y)");

/* Reach */

static struct omni_reach *omni_reach_alloc(unsigned int nr_units,
					   unsigned int nr_ats, gfp_t gfp)
{
	struct omni_reach *reach;
	size_t units = size_mul(nr_units, sizeof(reach->units[0]));
	size_t ats = size_mul(nr_ats, sizeof(reach->ats[0]));

	reach = kzalloc(size_add(sizeof(*reach), size_add(units, ats)), gfp);
	if (!reach)
		return NULL;
	reach->nr_units = nr_units;
	reach->nr_ats = nr_ats;
	reach->ats = (void *)reach + sizeof(*reach) + units;
	return reach;
}

static struct omni_reach *omni_reach_current(struct omni_domain *domain)
{
	return rcu_dereference_protected(domain->reach,
					 lockdep_is_held(&domain->attach_lock));
}

static void omni_reach_publish(struct omni_domain *domain, struct omni_reach *new)
{
	struct omni_reach *old = omni_reach_current(domain);

	rcu_assign_pointer(domain->reach, new);
	/*
	 * Pairs with the barrier in omni_attached(). Whoever cleared an entry
	 * before this sees the new unit, or the unit sees the cleared entry.
	 */
	smp_mb();
	kfree_rcu(old, rcu);
}

int omni_reach_add(struct omni_domain *domain, struct omni_device *od, u32 *tag)
{
	struct omni_reach *old = omni_reach_current(domain), *new;
	unsigned int i, at = old->nr_units;
	int ret;

	for (i = 0; i < old->nr_units; i++)
		if (old->units[i].unit == od->unit)
			at = i;

	new = omni_reach_alloc(max(old->nr_units, at + 1),
			       old->nr_ats + !!od->ats_depth, GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	memcpy(new->units, old->units, old->nr_units * sizeof(old->units[0]));
	memcpy(new->ats, old->ats, old->nr_ats * sizeof(old->ats[0]));
	if (at == old->nr_units) {
		ret = omni_tag_get(od->unit);
		if (ret < 0) {
			kfree(new);
			return ret;
		}
		new->units[at].unit = od->unit;
		new->units[at].tag = ret;
	}
	new->units[at].users++;
	if (od->ats_depth)
		new->ats[old->nr_ats] = od;
	*tag = new->units[at].tag;
	omni_reach_publish(domain, new);
	return 0;
}

void omni_reach_remove(struct omni_domain *domain, struct omni_device *od, int err)
{
	struct omni_reach *old = omni_reach_current(domain), *new;
	unsigned int i, nr_units = 0, nr_ats = 0;
	struct omni_reach_unit gone = { };

	if (err)
		domain->tainted = true;

	/* A detach can't fail, and a reach can't name what is going away. */
	new = omni_reach_alloc(old->nr_units, old->nr_ats,
			       GFP_KERNEL | __GFP_NOFAIL);
	for (i = 0; i < old->nr_units; i++) {
		struct omni_reach_unit u = old->units[i];

		if (u.unit == od->unit && !--u.users) {
			gone = u;
			continue;
		}
		new->units[nr_units++] = u;
	}
	for (i = 0; i < old->nr_ats; i++)
		if (old->ats[i] != od)
			new->ats[nr_ats++] = old->ats[i];
	new->nr_units = nr_units;
	new->nr_ats = nr_ats;
	omni_reach_publish(domain, new);

	if (gone.unit && !err)
		omni_tag_put(gone.unit, gone.tag);
}

/* Attach */

static struct omni_device *omni_device(struct device *dev)
{
	return dev_iommu_priv_get(dev);
}

/*
 * Put a device into a state. Fails only towards OMNI_PAGING, and then the
 * device is as it was.
 */
static int omni_set_state(struct omni_device *od, enum omni_state state,
			  struct omni_domain *domain)
{
	const struct omni_wing *wing = od->unit->wing;
	struct omni_domain *old = od->domain;
	struct omni_domain *target;
	bool counted = false;
	u32 tag = 0;
	int ret;

	if (state == OMNI_PAGING && old == domain)
		return 0;
	if (state == OMNI_PAGING) {
		if (domain->wing != wing)
			return -EINVAL;
		mutex_lock(&domain->attach_lock);
		/* Locked: what is enforced meanwhile may be more than the unit can do. */
		ret = wing->compatible(domain, od->unit) ? 0 : -EINVAL;
		if (!ret)
			ret = omni_nc_enter(domain, od, &counted);
		if (!ret) {
			ret = omni_reach_add(domain, od, &tag);
			if (ret && counted)
				omni_nc_leave(domain);
		}
		mutex_unlock(&domain->attach_lock);
		if (ret)
			return ret;
		omni_count(OMNI_OPS_ATTACH);
	}

	target = state == OMNI_IDENTITY ? &omni_identity : domain;
	ret = omni_attach(od, target, tag);
	trace_omni_attach(od, state, domain, ret);
	if (ret && state == OMNI_PAGING) {
		mutex_lock(&domain->attach_lock);
		omni_reach_remove(domain, od, ret);
		if (counted)
			omni_nc_leave(domain);
		mutex_unlock(&domain->attach_lock);
		return ret;
	}

	spin_lock_irq(&od->lock);
	od->state = state;
	od->domain = state == OMNI_PAGING ? domain : NULL;
	spin_unlock_irq(&od->lock);

	if (old) {
		mutex_lock(&old->attach_lock);
		omni_reach_remove(old, od, ret);
		/* Behind the entry into the new domain: what both map stays as it is. */
		if (od->counted)
			omni_nc_leave(old);
		mutex_unlock(&old->attach_lock);
		omni_count(OMNI_OPS_DETACH);
	}
	od->counted = counted;
	return 0;
}

static int omni_attach_identity(struct iommu_domain *domain, struct device *dev)
{
	return omni_set_state(omni_device(dev), OMNI_IDENTITY, NULL);
}

static int omni_attach_blocked(struct iommu_domain *domain, struct device *dev)
{
	return omni_set_state(omni_device(dev), OMNI_BLOCKED, NULL);
}

int omni_attach_paging(struct iommu_domain *domain, struct device *dev)
{
	return omni_set_state(omni_device(dev), OMNI_PAGING, to_omni_domain(domain));
}

struct omni_domain omni_identity = {
	.iommu = {
		.type = IOMMU_DOMAIN_IDENTITY,
		.ops = &(const struct iommu_domain_ops) {
			.attach_dev = omni_attach_identity,
		},
	},
};

struct iommu_domain omni_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &(const struct iommu_domain_ops) {
		.attach_dev = omni_attach_blocked,
	},
};

/* Domains */

struct omni_domain *omni_domain_new(const struct omni_wing *wing, size_t size)
{
	struct omni_domain *domain = kzalloc(size, GFP_KERNEL_ACCOUNT);
	struct omni_reach *reach = omni_reach_alloc(0, 0, GFP_KERNEL_ACCOUNT);

	if (!domain || !reach) {
		kfree(reach);
		kfree(domain);
		return NULL;
	}
	domain->wing = wing;
	omni_nc_init(&domain->nc);
	RCU_INIT_POINTER(domain->reach, reach);
	mutex_init(&domain->attach_lock);
	spin_lock_init(&domain->free_lock);
	INIT_LIST_HEAD(&domain->lazy);
	INIT_LIST_HEAD(&domain->replaced);
	omni_seen_init(domain);
	return domain;
}

/* Frees or, for a tainted domain, deliberately leaks what unmaps left behind. */
static void omni_domain_drop(struct omni_domain *domain)
{
	struct omni_reach *reach = rcu_dereference_protected(domain->reach, 1);

	if (!domain->tainted) {
		omni_tables_free(&domain->lazy);
		omni_tables_free(&domain->replaced);
	}
	kfree_rcu(reach, rcu);
	kfree(domain);
}

struct omni_domain *omni_domain_made(struct omni_domain *domain, int err)
{
	if (err) {
		omni_domain_drop(domain);
		return ERR_PTR(err);
	}
	domain->iommu.geometry = (struct iommu_domain_geometry) {
		.aperture_start = 0,
		.aperture_end = domain->pt.last,
		.force_aperture = true,
	};
	return domain;
}

void omni_free_paging(struct iommu_domain *iommu)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	LIST_HEAD(tables);

	omni_domain_hide(domain);
	omni_nc_fini(domain);
	domain->pt.ops->fini(&domain->pt, &tables);
	if (domain->pt.above)
		list_add(&omni_table(domain->pt.above)->node, &tables);
	omni_tables_done(domain, &tables, domain->tainted ? -EIO : 0);
	omni_domain_drop(domain);
}

static struct iommu_domain *omni_domain_alloc_paging(struct device *dev)
{
	struct omni_domain *domain;
	struct omni_device *od;

	if (dev) {
		od = omni_device(dev);
		domain = od->unit->wing->domain_alloc(od, false);
	} else {
		/* A caller that names no device gets what suits the first. */
		mutex_lock(&omni_core.lock);
		od = list_first_entry_or_null(&omni_core.devices,
					      struct omni_device, node);
		domain = od ? od->unit->wing->domain_alloc(od, false) : ERR_PTR(-ENODEV);
		mutex_unlock(&omni_core.lock);
	}
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	omni_domain_list(domain);
	return &domain->iommu;
}

/* What iommufd asks for, complete on return. */
static struct iommu_domain *omni_domain_alloc_user(struct device *dev, u32 flags,
						   struct iommu_domain *parent,
						   const struct iommu_user_data *user_data)
{
	struct omni_device *od = omni_device(dev);
	struct omni_domain *domain;

	if (flags & ~IOMMU_HWPT_ALLOC_DIRTY_TRACKING || parent || user_data)
		return ERR_PTR(-EOPNOTSUPP);
	domain = od->unit->wing->domain_alloc(od, flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
	if (IS_ERR(domain))
		return ERR_CAST(domain);
	domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
	omni_domain_list(domain);
	return &domain->iommu;
}

/* Devices */

void omni_unit_add(struct omni_unit *unit)
{
	mutex_lock(&omni_core.lock);
	list_add_tail(&unit->node, &omni_core.units);
	mutex_unlock(&omni_core.lock);
}

void omni_find_device(struct omni_unit *unit, u32 rid,
		      void (*fn)(struct omni_device *od, void *arg), void *arg)
{
	struct omni_device *od, *found = NULL;
	unsigned int i;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(od, &omni_core.devices, node) {
		if (od->unit != unit)
			continue;
		/* An ID of its own counts more than one it shares. */
		for (i = 0; i < od->nr_rids; i++)
			if (od->rids[i] == rid && (!i || !found))
				found = od;
	}
	fn(found, arg);
	mutex_unlock(&omni_core.lock);
}

bool omni_rid_shared(struct omni_device *od, u32 rid)
{
	struct omni_device *other;
	bool shared = false;
	unsigned int i;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(other, &omni_core.devices, node)
		for (i = 0; other != od && other->unit == od->unit && i < other->nr_rids; i++)
			shared |= other->rids[i] == rid;
	mutex_unlock(&omni_core.lock);
	return shared;
}

/*
 * Was a driver bound before the module came? A device whose firmware node
 * names its unit is probed on its way to a driver, which is noted already but
 * has not begun.
 */
static bool omni_bound(struct device *dev)
{
	return dev_iommu_fwspec_get(dev) ? device_is_bound(dev) : !!READ_ONCE(dev->driver);
}

static struct iommu_device *omni_probe_device(struct device *dev)
{
	struct omni_device *od = NULL;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(omni_wings) && !od; i++)
		od = omni_wings[i]->probe(dev);
	if (!od)
		return ERR_PTR(-ENODEV);
	if (IS_ERR(od))
		return ERR_CAST(od);

	if (acs && dev_is_pci(dev) && !omni_core.stopping)
		omni_acs_enable(to_pci_dev(dev));
	spin_lock_init(&od->lock);
	od->dev = dev;
	od->bound_early = omni_bound(dev);
	/* Shut down after its users, resumed before them (L6). */
	od->linked = device_link_add(dev, &omni_anchor->dev, DL_FLAG_STATELESS);
	dev_iommu_priv_set(dev, od);

	mutex_lock(&omni_core.lock);
	list_add_tail(&od->node, &omni_core.devices);
	mutex_unlock(&omni_core.lock);
	if (od->unit->wing->show && od->unit->wing->show->device_add)
		od->unit->wing->show->device_add(od);
	return &od->unit->iommu;
}

/*
 * A driver that was bound before there was a group is not in the group's use
 * count. The kernel would notice, loudly, when the driver unbinds. Go through
 * the bus as if it was being bound now.
 */
static void omni_probe_finalize(struct device *dev)
{
	struct omni_device *od = omni_device(dev);

	if (!od->bound_early)
		return;
	device_lock(dev);
	if (dev->driver && dev->bus->dma_configure && !dev->bus->dma_configure(dev))
		od->adopted = true;
	device_unlock(dev);
}

static void omni_release_device(struct device *dev)
{
	struct omni_device *od = omni_device(dev);

	od->leaving = true;
	/* When the module stops, what follows is no IOMMU at all. */
	omni_set_state(od, omni_core.stopping ? OMNI_IDENTITY : OMNI_BLOCKED, NULL);

	if (od->unit->wing->show && od->unit->wing->show->device_remove)
		od->unit->wing->show->device_remove(od);
	mutex_lock(&omni_core.lock);
	list_del(&od->node);
	mutex_unlock(&omni_core.lock);

	if (od->linked)
		device_link_remove(dev, &omni_anchor->dev);
	if (dev_is_pci(dev) && !omni_core.stopping)
		omni_acs_forget(to_pci_dev(dev));
	od->unit->wing->release(od);
}

/* Devices that share an entry of a unit's tables can't be told apart by it. */
static struct iommu_group *omni_shared_group(struct omni_device *od)
{
	struct iommu_group *group = NULL;
	struct omni_device *other;

	mutex_lock(&omni_core.lock);
	list_for_each_entry(other, &omni_core.devices, node)
		if (!group && other != od && other->unit == od->unit && other->rid == od->rid)
			group = iommu_group_get(other->dev);
	mutex_unlock(&omni_core.lock);
	return group;
}

static struct iommu_group *omni_device_group(struct device *dev)
{
	if (dev_is_pci(dev))
		return pci_device_group(dev);
	return omni_shared_group(omni_device(dev)) ?: generic_device_group(dev);
}

/* L1: whoever does DMA already goes on with the addresses it has. */
static int omni_def_domain_type(struct device *dev)
{
	return omni_bound(dev) ? IOMMU_DOMAIN_IDENTITY : 0;
}

static void omni_get_resv_regions(struct device *dev, struct list_head *head)
{
	struct omni_device *od = omni_device(dev);

	od->unit->wing->resv_regions(od, head);
}

static bool omni_capable(struct device *dev, enum iommu_cap cap)
{
	struct omni_device *od = omni_device(dev);

	switch (cap) {
	case IOMMU_CAP_DEFERRED_FLUSH:
		return true;
	default:
		return od->unit->wing->capable(od, cap);
	}
}

/* Devicetree names a device's unit and, in one cell, one of its IDs there. */
static int omni_of_xlate(struct device *dev, const struct of_phandle_args *args)
{
	return args->args_count == 1 ? iommu_fwspec_add_ids(dev, args->args, 1) : -EINVAL;
}

/* The suites register nothing. */
static const struct iommu_ops __maybe_unused omni_ops = {
	.capable = omni_capable,
	.domain_alloc_paging = omni_domain_alloc_paging,
	.domain_alloc_user = omni_domain_alloc_user,
	.probe_device = omni_probe_device,
	.probe_finalize = omni_probe_finalize,
	.release_device = omni_release_device,
	.device_group = omni_device_group,
	.of_xlate = omni_of_xlate,
	.get_resv_regions = omni_get_resv_regions,
	.def_domain_type = omni_def_domain_type,
	.identity_domain = &omni_identity.iommu,
	.blocked_domain = &omni_blocked,
	.pgsize_bitmap = SZ_4K,
	.owner = THIS_MODULE,
};

/* Life */

#ifndef OMNI_KUNIT
static int omni_unit_sysfs_add(struct omni_unit *unit)
{
	int ret = iommu_device_sysfs_add(&unit->iommu, unit->parent,
					 unit->wing->unit_groups, "%s", unit->name);

	if (ret)
		pr_err("%s: sysfs entries failed (%d)\n", unit->name, ret);
	unit->in_sysfs = !ret;
	return ret;
}

static int omni_unit_register(struct omni_unit *unit)
{
	int ret = iommu_device_register(&unit->iommu, &omni_ops, unit->parent);

	if (ret)
		pr_err("%s: the kernel refused to register the unit (%d)\n", unit->name, ret);
	unit->registered = !ret;
	return ret;
}

int omni_unit_join(struct omni_unit *unit)
{
	int ret = -ESHUTDOWN;

	mutex_lock(&omni_core.join_lock);
	if (omni_core.stopping)
		goto out;
	if (acs)
		omni_acs_enable_all();
	ret = omni_unit_sysfs_add(unit);
	if (ret)
		goto out;
	omni_unit_add(unit);
	ret = omni_unit_register(unit);
	if (!ret)
		goto out;

	mutex_lock(&omni_core.lock);
	list_del(&unit->node);
	mutex_unlock(&omni_core.lock);
	iommu_device_sysfs_remove(&unit->iommu);
out:
	mutex_unlock(&omni_core.join_lock);
	return ret;
}

static int omni_register(void)
{
	struct omni_unit *unit;
	int ret;

	/*
	 * All sysfs devices first: probing begins with the first unit that is
	 * registered and links devices to whichever unit is theirs.
	 */
	list_for_each_entry(unit, &omni_core.units, node) {
		ret = unit->in_sysfs ? 0 : omni_unit_sysfs_add(unit);
		if (ret)
			return ret;
	}
	list_for_each_entry(unit, &omni_core.units, node) {
		ret = unit->registered ? 0 : omni_unit_register(unit);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * The kernel would force a domain of its own on a device it does not trust,
 * whoever drives it: that would break the driver's DMA, so ask for order.
 */
static int omni_check_untrusted(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		if (!pdev->untrusted || !READ_ONCE(pdev->dev.driver) ||
		    pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
			continue;
		pr_err("%s is an untrusted device bound to %s: unbind it, load the module, bind it again\n",
		       pci_name(pdev), dev_driver_string(&pdev->dev));
		pci_dev_put(pdev);
		return -EBUSY;
	}
	return 0;
}

#ifdef OMNI_TEST_SKIP_UNMAP_FLUSH
bool omni_test_skip = true;
module_param_named(skip, omni_test_skip, bool, 0600);
MODULE_PARM_DESC(skip, "do not invalidate on unmap: for tests only, protects nothing");
#endif

static int __init omni_init(void)
{
	int i, ret, nr = 0;

#ifdef OMNI_TEST_SKIP_UNMAP_FLUSH
	pr_warn("this build does not invalidate on unmap: it is for tests only and protects nothing\n");
#endif
	ret = omni_check_untrusted();
	if (ret)
		return ret;
	ret = omni_life_init();
	if (ret)
		return ret;
	omni_debugfs_init();

	for (i = 0; i < ARRAY_SIZE(omni_wings); i++) {
		ret = omni_wings[i]->start(omni_wings[i]);
		if (ret < 0)
			goto err;
		nr += ret;
	}
	if (!nr) {
		pr_err("no IOMMU found: the firmware has no table that describes one (is it enabled in the firmware's setup?)\n");
		ret = -ENODEV;
		goto err;
	}

	if (acs)
		omni_acs_enable_all();
	ret = omni_register();
	if (ret)
		goto err;
	pr_info("%d unit%s on\n", nr, nr == 1 ? "" : "s");
	return 0;

err:
	omni_unregister();
	omni_acs_restore_all();
	omni_units_destroy();
	omni_debugfs_exit();
	omni_life_exit();
	rcu_barrier();
	return ret;
}
module_init(omni_init);

static void __exit omni_exit(void)
{
	/* Devices hold the module, so whoever gets here has stopped it. */
	omni_stop();
	omni_debugfs_exit();
	omni_life_exit();
	/* Snapshots and devices are freed by RCU. */
	rcu_barrier();
}
module_exit(omni_exit);
#endif

MODULE_DESCRIPTION("IOMMU driver outside the kernel tree");
MODULE_AUTHOR("The omniommu authors");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(IOMMUFD);
MODULE_VERSION("0.1");
