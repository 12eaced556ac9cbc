// SPDX-License-Identifier: GPL-2.0-only
/*
 * What every wing does with its units, whatever they are: identity for the
 * devices there are before a unit is switched on, hardware tags of domains,
 * reserved regions, refused accesses in words, and units that don't answer.
 */
#include "core.h"
#include "include/queue.h"

#include <linux/moduleparam.h>
#include <linux/pci.h>
#include <linux/printk.h>
#include <linux/sched/clock.h>
#include <linux/slab.h>

bool omni_fault_irq = true;
module_param_named(fault_irq, omni_fault_irq, bool, 0444);
MODULE_PARM_DESC(fault_irq, "VT-d and SMMUv3: report faults by interrupt; N: look for them by timer (default: Y)");

int omni_visit_rids(omni_find_fn find, omni_rid_fn fn)
{
	struct pci_dev *pdev = NULL;
	struct omni_unit *unit;
	int i, nr, ret;
	u32 *rids;

	for_each_pci_dev(pdev) {
		unit = find(pdev);
		if (!unit)
			continue;
		nr = omni_pci_rids(pdev, &rids);
		ret = min(nr, 0);
		for (i = 0; i < nr && !ret; i++)
			ret = fn(unit, rids[i]);
		if (nr > 0)
			kfree(rids);
		if (ret) {
			pci_dev_put(pdev);
			return ret;
		}
	}
	return 0;
}

/* Tags */

void omni_tags_init(struct omni_unit *unit, u32 first, u32 nr)
{
	ida_init(&unit->tags);
	unit->tag_first = first;
	unit->tag_last = nr - 1;
}

int omni_tag_get(struct omni_unit *unit)
{
	int tag = ida_alloc_range(&unit->tags, unit->tag_first, unit->tag_last, GFP_KERNEL);

	if (tag == -ENOSPC)
		pr_err_ratelimited("%s: all %u domain ids are in use\n", unit->name,
				   unit->tag_last + 1);
	if (tag >= 0)
		atomic_inc(&unit->nr_tags);
	return tag;
}

void omni_tag_put(struct omni_unit *unit, u32 tag)
{
	ida_free(&unit->tags, tag);
	atomic_dec(&unit->nr_tags);
}

/* Reserved regions */

void omni_add_region(struct list_head *head, u64 first, u64 last, int prot,
		     enum iommu_resv_type type)
{
	struct iommu_resv_region *region;

	region = iommu_alloc_resv_region(first, last - first + 1, prot, type, GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, head);
}

/* Graphics and USB use their memory during boot only, as far as is known. */
static bool omni_relaxable(const struct device *dev)
{
	const struct pci_dev *pdev;

	if (!dev_is_pci(dev))
		return false;
	pdev = to_pci_dev(dev);
	return pdev->class >> 16 == PCI_BASE_CLASS_DISPLAY ||
	       pdev->class >> 8 == PCI_CLASS_SERIAL_USB;
}

void omni_add_direct(const struct device *dev, struct list_head *head, u64 first, u64 last,
		     int prot)
{
	omni_add_region(head, first, last, prot, omni_relaxable(dev) ?
			IOMMU_RESV_DIRECT_RELAXABLE : IOMMU_RESV_DIRECT);
}

/* Refused accesses */

/**
 * struct omni_fault_said - a refused access while it is looked up
 * @unit: who refused it
 * @fault: the access
 */
struct omni_fault_said {
	struct omni_unit *unit;
	const struct omni_fault *fault;
};

static const struct omni_record *omni_fault_note(struct omni_unit *unit, struct omni_device *od,
						 const struct omni_fault *f)
{
	struct omni_history *h = &unit->history;
	struct omni_record *r = &h->records[h->nr++ % OMNI_HISTORY];

	lockdep_assert_held(&omni_core.lock);
	*r = (struct omni_record) {
		.ns = local_clock(),
		.iova = f->iova,
		.why = f->why,
		.times = 1,
		.reason = f->reason,
		.read = f->read,
		.nowhere = f->nowhere,
	};
	/* An ID below a node of the firmware says nothing by itself. */
	if (!unit->parent)
		snprintf(r->who, sizeof(r->who), "%04x:%02x:%02x.%x", f->segment,
			 PCI_BUS_NUM(f->rid), PCI_SLOT(f->rid), PCI_FUNC(f->rid));
	else if (od)
		strscpy(r->who, dev_name(od->dev));
	else
		snprintf(r->who, sizeof(r->who), "ID %#x", f->rid);
	if (od)
		od->faults++;
	return r;
}

static void omni_fault_found(struct omni_device *od, void *arg)
{
	const struct omni_fault_said *said = arg;
	const struct omni_fault *f = said->fault;
	const struct omni_record *r = omni_fault_note(said->unit, od, f);
	char where[32] = "";

	if (!f->nowhere)
		snprintf(where, sizeof(where), " %s %#llx", f->read ? "from" : "to", f->iova);
	pr_err_ratelimited("%s: DMA %s by %s%s refused: %s (reason 0x%02x)\n",
			   said->unit->name, f->nowhere ? "access" : f->read ? "read" : "write",
			   r->who, where, f->why ?: "reason not known", f->reason);

	if (!od || f->nowhere)
		return;
	spin_lock_irq(&od->lock);
	if (od->domain)
		report_iommu_fault(&od->domain->iommu, od->dev, f->iova,
				   f->read ? IOMMU_FAULT_READ : IOMMU_FAULT_WRITE);
	spin_unlock_irq(&od->lock);
}

void omni_fault_report(struct omni_unit *unit, const struct omni_fault *f)
{
	struct omni_fault_said said = { .unit = unit, .fault = f };

	unit->counts.faults++;
	trace_omni_fault(unit, f);
	omni_find_device(unit, f->rid, omni_fault_found, &said);
}

static void omni_fault_again(struct omni_device *od, void *arg)
{
	struct omni_history *h = &((struct omni_unit *)arg)->history;

	h->records[(h->nr - 1) % OMNI_HISTORY].times++;
	if (od)
		od->faults++;
}

void omni_fault_repeat(struct omni_unit *unit, const struct omni_fault *f)
{
	unit->counts.faults++;
	omni_find_device(unit, f->rid, omni_fault_again, unit);
}

/* Units that don't answer */

void omni_unit_break(struct omni_unit *unit, const char *what)
{
	unit->broken = true;
	unit->counts.timeouts++;
	pr_err("%s: %s was not completed within %u ms: the unit counts as broken, memory it may still use is leaked on purpose; stop the devices behind it and reboot\n",
	       unit->name, what, OMNI_DEADLINE_MS);
}

int omni_give_up(const struct omni_unit *unit)
{
	pr_err_ratelimited("%s: an invalidation failed %d times and was given up\n",
			   unit->name, OMNI_RETRIES + 1);
	return -EIO;
}
