// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMD-Vi domains: what a unit's capabilities make of one (48882 r3.08, 2.2.3,
 * 3.4.7).
 *
 * A domain takes its shape (the most levels it may get, forced coherency, the
 * cost of added entries) from the unit it is made for, once. It begins with
 * three levels of tables and gets more when an address asks for them. Another
 * unit serves it only if it can walk the same tables and needs no flush that
 * the domain would not issue; otherwise the attach is refused and callers, as
 * VFIO does, make another domain.
 */
#include "amd.h"

#include <linux/sizes.h>
#include <linux/slab.h>

/*
 * The level a root begins at: three levels reach 512G, which spares most
 * domains growing while devices use them.
 */
#define AMD_FIRST_TOP		2

/* The highest level a root may get to: 4, 5 or 6 levels. */
static unsigned int amd_top(const struct amd_unit *unit)
{
	return min(FIELD_GET(AMD_EFR_HATS, unit->efr), AMD_HATS_MAX) + 3;
}

static u64 amd_last(const struct amd_unit *unit)
{
	unsigned int bits = min(AMD_PAGE_LG2 + 9 * (amd_top(unit) + 1), unit->va_bits);

	return bits < 64 ? BIT_ULL(bits) - 1 : U64_MAX;
}

/* Every power of two, but for one that hardware gets wrong: 512G. */
static unsigned long amd_page_sizes(u64 last)
{
	return GENMASK_ULL(51, AMD_PAGE_LG2) & ~BIT_ULL(39) & last;
}

static enum omni_added amd_added(const struct amd_unit *unit)
{
	return unit->cap & AMD_CAP_NPCACHE ? OMNI_ADDED_CACHED : OMNI_ADDED_FREE;
}

bool amd_unit_tracks_dirty(const struct amd_unit *unit)
{
	return unit->efr & AMD_EFR_HA && unit->efr & AMD_EFR_HD;
}

struct omni_domain *amd_domain_create(struct amd_unit *unit, int nid)
{
	struct amd_domain *ad = kzalloc(sizeof(*ad), GFP_KERNEL_ACCOUNT);
	struct omni_domain *domain;

	if (!ad)
		return ERR_PTR(-ENOMEM);
	domain = &ad->core;
	if (omni_domain_init(domain, &amd_wing))
		goto err_free;

	domain->pt = (struct omni_pt) {
		.top = amd_top(unit),
		.last = amd_last(unit),
		.pa_last = AMD_PTE_ADDR | (SZ_4K - 1),
		.leaf_bits = unit->fc ? AMD_PTE_FC : 0,
		.nid = nid,
	};
	if (amd_pt_init(&domain->pt))
		goto err_fini;

	/* An empty table may be at any level. */
	domain->pt.word |= AMD_FIRST_TOP;
	INIT_LIST_HEAD(&ad->devices);
	ad->shown = domain->pt.word;
	domain->flush_added = amd_added(unit);
	domain->iommu.ops = &amd_domain_ops;
	domain->iommu.pgsize_bitmap = amd_page_sizes(domain->pt.last);
	domain->iommu.geometry = (struct iommu_domain_geometry) {
		.aperture_start = 0,
		.aperture_end = domain->pt.last,
		.force_aperture = true,
	};
	return domain;

err_fini:
	omni_domain_fini(domain);
err_free:
	kfree(ad);
	return ERR_PTR(-ENOMEM);
}

void amd_domain_free(struct omni_domain *domain)
{
	LIST_HEAD(tables);

	amd_pt_fini(&domain->pt, &tables);
	omni_tables_done(domain, &tables, domain->tainted ? -EIO : 0);
	omni_domain_fini(domain);
	kfree(to_amd_domain(domain));
}

bool amd_domain_compatible(struct omni_domain *domain, struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);

	if (domain->pt.top > amd_top(unit) || domain->pt.last > amd_last(unit))
		return false;
	if (domain->pt.leaf_bits & AMD_PTE_FC && !unit->fc)
		return false;
	if (domain->iommu.dirty_ops && !amd_unit_tracks_dirty(unit))
		return false;
	return amd_added(unit) == OMNI_ADDED_FREE || domain->flush_added == amd_added(unit);
}

bool amd_domain_enforce_coherency(struct iommu_domain *iommu)
{
	/* Every leaf has been made so from the start, where that is possible. */
	return to_omni_domain(iommu)->pt.leaf_bits & AMD_PTE_FC;
}
