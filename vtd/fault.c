// SPDX-License-Identifier: GPL-2.0-only
/*
 * Primary fault recording (VT-d r3.1, chapter 7 and 10.4.9 to 10.4.14):
 * decode and report.
 *
 * The unit raises its event once when the first record becomes pending and
 * again only after all were cleared, so a storm costs one pass over the
 * records at a time. Where the kernel gives the module no interrupt, a timer
 * does the same.
 */
#include "vtd.h"

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/msi.h>

#define VTD_FAULT_POLL_MS	100

/* Appendix A, table 25: reasons of legacy-mode faults. */
static const char * const vtd_reasons[] = {
	[0x01] = "its bus has no context table (root entry not present)",
	[0x02] = "the device is blocked (context entry not present)",
	[0x03] = "its context entry is invalid",
	[0x04] = "the address is beyond the domain's width",
	[0x05] = "the page is not mapped for writing",
	[0x06] = "the page is not mapped for reading",
	[0x07] = "a page table could not be read",
	[0x08] = "the root table could not be read",
	[0x09] = "the context table could not be read",
	[0x0a] = "reserved bits are set in its root entry",
	[0x0b] = "reserved bits are set in its context entry",
	[0x0c] = "reserved bits are set in a page-table entry",
	[0x0d] = "its context entry refuses translated and translation requests",
	[0x0e] = "the address is in the interrupt range",
};

/* Report and clear every pending record. */
static void vtd_faults_read(struct vtd_unit *unit)
{
	unsigned int records = FIELD_GET(VTD_CAP_NFR, unit->cap) + 1;
	unsigned int base = FIELD_GET(VTD_CAP_FRO, unit->cap) * 16;
	unsigned int i, left;
	u32 fsts;

	mutex_lock(&unit->fault_lock);
	fsts = vtd_read32(unit, VTD_FSTS);
	i = FIELD_GET(VTD_FSTS_FRI, fsts);
	for (left = records; fsts & VTD_FSTS_PPF && left; left--, i++) {
		unsigned int reg = base + i % records * 16;
		u64 hi = vtd_read64(unit, reg + 8);
		struct omni_fault f;

		if (!(hi & VTD_FRCD_HI_F))
			break;
		f = (struct omni_fault) {
			.segment = unit->drhd->segment,
			.rid = FIELD_GET(VTD_FRCD_HI_SID, hi),
			.iova = vtd_read64(unit, reg) & VTD_FRCD_LO_FI,
			.read = hi & VTD_FRCD_HI_T1,
			.reason = FIELD_GET(VTD_FRCD_HI_FR, hi),
		};
		if (f.reason < ARRAY_SIZE(vtd_reasons))
			f.why = vtd_reasons[f.reason];
		vtd_write32(unit, reg + 12, VTD_FRCD_F);
		omni_fault_report(&unit->core, &f);
	}
	if (fsts & VTD_FSTS_PFO) {
		vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO);
		pr_err_ratelimited("%s: more faults than the unit can record: some are lost\n",
				   unit->core.name);
	}
	mutex_unlock(&unit->fault_lock);
}

/* Interrupt: a domain of one, below the CPU's vectors */

static void vtd_fault_mask(struct irq_data *data)
{
	vtd_write32(irq_data_get_irq_chip_data(data), VTD_FECTL, VTD_FECTL_IM);
}

static void vtd_fault_unmask(struct irq_data *data)
{
	vtd_write32(irq_data_get_irq_chip_data(data), VTD_FECTL, 0);
}

static void vtd_fault_write_msg(struct irq_data *data)
{
	struct vtd_unit *unit = irq_data_get_irq_chip_data(data);
	struct irq_data *parent = data->parent_data;
	struct msi_msg msg = { };

	parent->chip->irq_compose_msi_msg(parent, &msg);
	vtd_write32(unit, VTD_FEDATA, msg.data);
	vtd_write32(unit, VTD_FEADDR, msg.address_lo);
	vtd_write32(unit, VTD_FEUADDR, msg.address_hi);
}

static int vtd_fault_set_affinity(struct irq_data *data, const struct cpumask *mask,
				  bool force)
{
	int ret = irq_chip_set_affinity_parent(data, mask, force);

	if (ret >= 0 && ret != IRQ_SET_MASK_OK_DONE)
		vtd_fault_write_msg(data);
	return ret;
}

static struct irq_chip vtd_fault_chip = {
	.name = "omniommu-dmar",
	.irq_mask = vtd_fault_mask,
	.irq_unmask = vtd_fault_unmask,
	.irq_ack = irq_chip_ack_parent,
	.irq_set_affinity = vtd_fault_set_affinity,
	.irq_retrigger = irq_chip_retrigger_hierarchy,
	.flags = IRQCHIP_SKIP_SET_WAKE | IRQCHIP_AFFINITY_PRE_STARTUP,
};

static int vtd_fault_irq_alloc(struct irq_domain *domain, unsigned int virq,
			       unsigned int nr, void *arg)
{
	int ret = irq_domain_alloc_irqs_parent(domain, virq, nr, arg);

	if (ret)
		return ret;
	irq_domain_set_info(domain, virq, 0, &vtd_fault_chip, domain->host_data,
			    handle_edge_irq, NULL, "edge");
	return 0;
}

static int vtd_fault_irq_activate(struct irq_domain *domain, struct irq_data *data,
				  bool reserve)
{
	vtd_fault_write_msg(data);
	return 0;
}

static const struct irq_domain_ops vtd_fault_irq_ops = {
	.alloc = vtd_fault_irq_alloc,
	.free = irq_domain_free_irqs_common,
	.activate = vtd_fault_irq_activate,
};

static irqreturn_t vtd_fault_interrupt(int irq, void *arg)
{
	return IRQ_WAKE_THREAD;
}

static irqreturn_t vtd_fault_thread(int irq, void *arg)
{
	vtd_faults_read(arg);
	return IRQ_HANDLED;
}

static int vtd_fault_irq_create(struct vtd_unit *unit)
{
	struct fwnode_handle *fwnode;
	int irq, ret;

	fwnode = irq_domain_alloc_named_id_fwnode("omniommu-dmar", unit->drhd->index);
	if (!fwnode)
		return -ENOMEM;
	unit->irq_domain = omni_vector_domain(fwnode, &vtd_fault_irq_ops, unit);
	if (!unit->irq_domain) {
		irq_domain_free_fwnode(fwnode);
		return -ENOMEM;
	}
	irq = omni_vector_alloc(unit->irq_domain, unit->drhd->numa_node, unit->drhd->index);
	if (irq < 0) {
		ret = irq;
		goto err_domain;
	}
	ret = request_threaded_irq(irq, vtd_fault_interrupt, vtd_fault_thread,
				   IRQF_NO_THREAD, unit->core.name, unit);
	if (ret)
		goto err_irq;
	unit->irq = irq;
	return 0;

err_irq:
	irq_dispose_mapping(irq);
err_domain:
	irq_domain_remove(unit->irq_domain);
	irq_domain_free_fwnode(fwnode);
	unit->irq_domain = NULL;
	return ret;
}

static void vtd_fault_poll(struct work_struct *work)
{
	struct vtd_unit *unit = container_of(work, struct vtd_unit, fault_poll.work);

	vtd_faults_read(unit);
	schedule_delayed_work(&unit->fault_poll, msecs_to_jiffies(VTD_FAULT_POLL_MS));
}

void vtd_faults_create(struct vtd_unit *unit)
{
	int ret;

	INIT_DELAYED_WORK(&unit->fault_poll, vtd_fault_poll);
	if (!omni_fault_irq)
		return;
	ret = vtd_fault_irq_create(unit);
	if (ret)
		pr_info("%s: no interrupt for faults (%d): they are looked for every %d ms\n",
			unit->core.name, ret, VTD_FAULT_POLL_MS);
}

void vtd_faults_destroy(struct vtd_unit *unit)
{
	struct fwnode_handle *fwnode;

	if (!unit->irq)
		return;
	fwnode = unit->irq_domain->fwnode;
	free_irq(unit->irq, unit);
	irq_dispose_mapping(unit->irq);
	irq_domain_remove(unit->irq_domain);
	irq_domain_free_fwnode(fwnode);
	unit->irq = 0;
}

void vtd_faults_on(struct vtd_unit *unit)
{
	unsigned int records = FIELD_GET(VTD_CAP_NFR, unit->cap) + 1;
	unsigned int base = FIELD_GET(VTD_CAP_FRO, unit->cap) * 16;
	unsigned int i;

	for (i = 0; i < records; i++)
		vtd_write32(unit, base + i * 16 + 12, VTD_FRCD_F);
	vtd_write32(unit, VTD_FSTS, VTD_FSTS_PFO);
	if (unit->irq) {
		/* A suspend may have lost the message. */
		vtd_fault_write_msg(irq_get_irq_data(unit->irq));
		vtd_write32(unit, VTD_FECTL, 0);
	} else {
		schedule_delayed_work(&unit->fault_poll,
				      msecs_to_jiffies(VTD_FAULT_POLL_MS));
	}
}

void vtd_faults_off(struct vtd_unit *unit)
{
	if (unit->irq)
		vtd_write32(unit, VTD_FECTL, VTD_FECTL_IM);
	else
		cancel_delayed_work_sync(&unit->fault_poll);
	vtd_faults_read(unit);
}
