// SPDX-License-Identifier: GPL-2.0-only
/*
 * VT-d domains: what a unit's capabilities make of one (r3.1, 3.7, 10.4.2).
 *
 * A domain takes its shape (width, leaf sizes, walk coherency, the cost of
 * added entries) from the unit it is made for, once. Another unit serves it
 * only if it can walk the same tables and needs no flush that the domain
 * would not issue; otherwise the attach is refused and callers, as VFIO
 * does, make another domain.
 */
#include "vtd.h"

#include <linux/ioport.h>
#include <linux/sizes.h>

static unsigned int vtd_width(const struct vtd_unit *unit)
{
	unsigned int mgaw = FIELD_GET(VTD_CAP_MGAW, unit->cap) + 1;
	/* Bit n of SAGAW stands for 30 + 9 * n bits of address. */
	unsigned int agaw = 30 + 9 * (fls(vtd_sagaw(unit)) - 1);

	return min(mgaw, agaw);
}

/* Table levels: 2 for 39 bits, 3 for 48, 4 for 57. */
static unsigned int vtd_top(const struct vtd_unit *unit)
{
	return fls(vtd_sagaw(unit));
}

static unsigned long vtd_page_sizes(const struct vtd_unit *unit)
{
	u64 sllps = FIELD_GET(VTD_CAP_SLLPS, unit->cap);

	return SZ_4K | (sllps & VTD_SLLPS_2M ? SZ_2M : 0) |
	       (sllps & VTD_SLLPS_1G ? SZ_1G : 0);
}

static enum omni_added vtd_added(const struct vtd_unit *unit)
{
	if (unit->cap & VTD_CAP_CM)
		return OMNI_ADDED_CACHED;
	return unit->rwbf ? OMNI_ADDED_WRITE_BUFFER : OMNI_ADDED_FREE;
}

struct omni_domain *vtd_domain_create(struct vtd_unit *unit, int nid)
{
	struct omni_domain *domain = omni_domain_new(&vtd_wing, sizeof(*domain));

	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->pt = (struct omni_pt) {
		.top = vtd_top(unit),
		.last = BIT_ULL(vtd_width(unit)) - 1,
		.pa_last = VTD_SS_ADDR | (SZ_4K - 1),
		.incoherent = !(unit->ecap & VTD_ECAP_C),
		.nid = nid,
		.ops = &vtd_ss_pt_ops,
	};
	domain->flush_added = vtd_added(unit);
	domain->nc.ops = &vtd_ss_nc_ops;
	domain->iommu.ops = &vtd_domain_ops;
	domain->iommu.pgsize_bitmap = vtd_page_sizes(unit);
	return omni_domain_made(domain, domain->pt.ops->init(&domain->pt));
}

bool vtd_domain_compatible(struct omni_domain *domain, struct omni_unit *core)
{
	struct vtd_unit *unit = to_vtd_unit(core);

	if (!(vtd_sagaw(unit) & BIT(domain->pt.top - 1)))
		return false;
	if (fls64(domain->pt.last) > FIELD_GET(VTD_CAP_MGAW, unit->cap) + 1)
		return false;
	if (domain->iommu.pgsize_bitmap & ~vtd_page_sizes(unit))
		return false;
	if (!domain->pt.incoherent && !(unit->ecap & VTD_ECAP_C))
		return false;
	if (domain->pt.leaf_bits & VTD_SS_SNP && !(unit->ecap & VTD_ECAP_SC))
		return false;
	return vtd_added(unit) == OMNI_ADDED_FREE ||
	       domain->flush_added == vtd_added(unit);
}

bool vtd_domain_enforce_coherency(struct iommu_domain *iommu)
{
	struct omni_domain *domain = to_omni_domain(iommu);
	const struct omni_reach *reach;
	bool able = true;
	unsigned int i;

	if (domain->pt.leaf_bits & VTD_SS_SNP)
		return true;
	mutex_lock(&domain->attach_lock);
	reach = rcu_dereference_protected(domain->reach,
					  lockdep_is_held(&domain->attach_lock));
	for (i = 0; i < reach->nr_units; i++)
		able &= !!(to_vtd_unit(reach->units[i].unit)->ecap & VTD_ECAP_SC);
	/*
	 * A domain that is attached nowhere yet may be asked first: from then on
	 * units that can't snoop are refused.
	 */
	able = able && omni_nc_enforce(domain, VTD_SS_SNP);
	mutex_unlock(&domain->attach_lock);
	return able;
}

int vtd_domain_map_identity(struct omni_domain *domain)
{
	struct resource *res;
	u64 last = SZ_4G - 1;
	size_t step = BIT(__fls(domain->iommu.pgsize_bitmap));
	u64 pa;
	int ret;

	for (res = iomem_resource.child; res; res = res->sibling)
		last = max_t(u64, last, res->end);
	last = min(last | (step - 1), domain->pt.last);

	domain->iommu.type = IOMMU_DOMAIN_UNMANAGED;
	for (pa = 0; pa < last; pa += step) {
		size_t mapped;

		ret = domain->iommu.ops->map_pages(&domain->iommu, pa, pa, step, 1,
						   IOMMU_READ | IOMMU_WRITE,
						   GFP_KERNEL, &mapped);
		if (ret)
			return ret;
		cond_resched();
	}
	return 0;
}
