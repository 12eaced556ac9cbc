// SPDX-License-Identifier: GPL-2.0-only
/*
 * PCI requesters as every wing needs them: the requester IDs a device may
 * use, and the ACS controls that decide how fine groups are.
 */
#include "include/omniommu.h"

#include <linux/bitfield.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/slab.h>

#define OMNI_ACS_ISOLATION	(PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

/**
 * struct omni_acs_saved - ACS controls as they were found
 * @node: in omni_acs_list
 * @pdev: the device, referenced
 * @ctrl: its control register before
 */
struct omni_acs_saved {
	struct list_head node;
	struct pci_dev *pdev;
	u16 ctrl;
};

static LIST_HEAD(omni_acs_list);
static DEFINE_MUTEX(omni_acs_lock);	/* protects omni_acs_list */

/**
 * struct omni_rids - requester IDs being collected
 * @ids: the IDs
 * @nr: how many
 * @room: how many fit
 */
struct omni_rids {
	u32 *ids;
	int nr;
	int room;
};

static int omni_rids_add(struct omni_rids *r, u32 rid)
{
	u32 *ids;
	int i;

	for (i = 0; i < r->nr; i++)
		if (r->ids[i] == rid)
			return 0;
	if (r->nr == r->room) {
		ids = krealloc_array(r->ids, r->room + 8, sizeof(*ids), GFP_KERNEL);
		if (!ids)
			return -ENOMEM;
		r->ids = ids;
		r->room += 8;
	}
	r->ids[r->nr++] = rid;
	return 0;
}

/* PCIe 7.5.3.4: phantom functions take over the top bits of unused numbers. */
static int omni_rids_add_phantoms(struct omni_rids *r, struct pci_dev *pdev)
{
	unsigned int bits, fn, low;
	u16 ctl;
	u32 cap;
	int ret;

	if (!pci_is_pcie(pdev))
		return 0;
	pcie_capability_read_word(pdev, PCI_EXP_DEVCTL, &ctl);
	pcie_capability_read_dword(pdev, PCI_EXP_DEVCAP, &cap);
	bits = FIELD_GET(PCI_EXP_DEVCAP_PHANTOM, cap);
	if (!(ctl & PCI_EXP_DEVCTL_PHANTOM) || !bits)
		return 0;

	low = BIT(3 - bits);
	for (fn = PCI_FUNC(pdev->devfn) & (low - 1); fn < 8; fn += low) {
		ret = omni_rids_add(r, PCI_DEVID(pdev->bus->number,
						 PCI_DEVFN(PCI_SLOT(pdev->devfn), fn)));
		if (ret)
			return ret;
	}
	return 0;
}

static int omni_rids_add_quirks(struct omni_rids *r, struct pci_dev *pdev)
{
	unsigned int devfn;
	int ret;

	if (!pdev->dma_alias_mask)
		return 0;
	for_each_set_bit(devfn, pdev->dma_alias_mask, 256) {
		ret = omni_rids_add(r, PCI_DEVID(pdev->bus->number, devfn));
		if (ret)
			return ret;
	}
	return 0;
}

/* What one bridge puts in the place of the IDs that come from below it. */
static int omni_rids_add_bridge(struct omni_rids *r, struct pci_dev *bridge)
{
	u16 own = pci_dev_id(bridge);

	if (bridge->dev_flags & PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT)
		return 0;
	if (!pci_is_pcie(bridge))
		return omni_rids_add(r, bridge->dev_flags & PCI_DEV_FLAG_PCIE_BRIDGE_ALIAS ?
				     PCI_DEVID(bridge->subordinate->number, PCI_DEVFN(0, 0)) : own);

	switch (pci_pcie_type(bridge)) {
	case PCI_EXP_TYPE_ROOT_PORT:
	case PCI_EXP_TYPE_UPSTREAM:
	case PCI_EXP_TYPE_DOWNSTREAM:
		return 0;
	case PCI_EXP_TYPE_PCI_BRIDGE:
		return omni_rids_add(r, PCI_DEVID(bridge->subordinate->number,
						  PCI_DEVFN(0, 0)));
	default:
		return omni_rids_add(r, own);
	}
}

int omni_pci_rids(struct pci_dev *pdev, u32 **rids)
{
	struct omni_rids r = { };
	struct pci_bus *bus;
	int ret;

	pdev = omni_real_dma_dev(pdev);
	ret = omni_rids_add(&r, pci_dev_id(pdev));
	if (!ret)
		ret = omni_rids_add_quirks(&r, pdev);
	if (!ret)
		ret = omni_rids_add_phantoms(&r, pdev);
	for (bus = pdev->bus; !ret && !pci_is_root_bus(bus); bus = bus->parent) {
		if (!bus->self)
			continue;
		if (bus->self->dev_flags & PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT)
			break;
		ret = omni_rids_add_bridge(&r, bus->self);
		if (!ret)
			ret = omni_rids_add_quirks(&r, bus->self);
	}
	if (ret) {
		kfree(r.ids);
		return ret;
	}
	*rids = r.ids;
	return r.nr;
}

bool omni_pci_no_snoop(struct pci_dev *pdev)
{
	u16 ctl, back;

	/* A virtual function obeys the control of its physical one. */
	if (!pci_is_pcie(pdev) || pdev->is_virtfn)
		return true;
	pcie_capability_read_word(pdev, PCI_EXP_DEVCTL, &ctl);
	if (ctl & PCI_EXP_DEVCTL_NOSNOOP_EN)
		return true;
	pcie_capability_write_word(pdev, PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_NOSNOOP_EN);
	pcie_capability_read_word(pdev, PCI_EXP_DEVCTL, &back);
	if (!(back & PCI_EXP_DEVCTL_NOSNOOP_EN))
		return false;
	pcie_capability_write_word(pdev, PCI_EXP_DEVCTL, ctl);
	return true;
}

bool omni_acs_enable(struct pci_dev *pdev)
{
	struct omni_acs_saved *saved;
	u16 cap, ctrl, want;

	if (!pdev->acs_cap)
		return false;
	pci_read_config_word(pdev, pdev->acs_cap + PCI_ACS_CAP, &cap);
	pci_read_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, &ctrl);
	want = cap & OMNI_ACS_ISOLATION;
	if (pdev->external_facing || pdev->untrusted)
		want |= cap & PCI_ACS_TB;
	if ((ctrl & want) == want)
		return false;

	saved = kzalloc(sizeof(*saved), GFP_KERNEL);
	if (!saved)
		return false;
	saved->pdev = pci_dev_get(pdev);
	saved->ctrl = ctrl;
	mutex_lock(&omni_acs_lock);
	list_add_tail(&saved->node, &omni_acs_list);
	mutex_unlock(&omni_acs_lock);

	pci_write_config_word(pdev, pdev->acs_cap + PCI_ACS_CTRL, ctrl | want);
	return true;
}

void omni_acs_enable_all(void)
{
	struct pci_dev *pdev = NULL;
	unsigned int nr = 0;

	for_each_pci_dev(pdev)
		nr += omni_acs_enable(pdev);
	if (nr)
		pr_info("ACS isolation enabled on %u PCIe functions; it is put back when the module stops\n",
			nr);
}

static void omni_acs_free(struct omni_acs_saved *saved)
{
	list_del(&saved->node);
	pci_dev_put(saved->pdev);
	kfree(saved);
}

void omni_acs_restore_all(void)
{
	struct omni_acs_saved *saved, *next;

	mutex_lock(&omni_acs_lock);
	list_for_each_entry_safe(saved, next, &omni_acs_list, node) {
		pci_write_config_word(saved->pdev, saved->pdev->acs_cap + PCI_ACS_CTRL,
				      saved->ctrl);
		omni_acs_free(saved);
	}
	mutex_unlock(&omni_acs_lock);
}

void omni_acs_forget(struct pci_dev *pdev)
{
	struct omni_acs_saved *saved, *next;

	mutex_lock(&omni_acs_lock);
	list_for_each_entry_safe(saved, next, &omni_acs_list, node)
		if (saved->pdev == pdev)
			omni_acs_free(saved);
	mutex_unlock(&omni_acs_lock);
}

void omni_ats_on(struct omni_device *od)
{
	int ret;

	if (od->ats)
		return;
	/*
	 * First the promise to invalidate, then the device TLB. It fills from the
	 * unit's, where what an unmap that has missed the promise has cleared
	 * stays until its flush is over: see omni_fanout().
	 */
	WRITE_ONCE(od->ats, true);
	synchronize_rcu_expedited();
	ret = pci_enable_ats(to_pci_dev(od->dev), OMNI_PAGE_LG2);
	if (ret) {
		WRITE_ONCE(od->ats, false);
		dev_warn_ratelimited(od->dev, "omniommu: its device TLB can't be used (%d)\n", ret);
	}
}

void omni_ats_off(struct omni_device *od)
{
	if (!od->ats)
		return;
	pci_disable_ats(to_pci_dev(od->dev));
	WRITE_ONCE(od->ats, false);
}

u8 omni_ats_depth(struct pci_dev *pdev)
{
	u16 cap;

	pci_read_config_word(pdev, pdev->ats_cap + PCI_ATS_CAP, &cap);
	return PCI_ATS_CAP_QDEP(cap) ?: PCI_ATS_MAX_QDEP;
}
