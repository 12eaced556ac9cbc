// SPDX-License-Identifier: GPL-2.0-only
/*
 * AMD-Vi domains: what a unit's capabilities make of one (48882 r3.08, 2.2.3,
 * 2.2.6, 3.4.7).
 *
 * A domain takes its shape (the most levels it may get, forced coherency, the
 * cost of added entries) from the unit it is made for, once. It begins with
 * three levels of tables and gets more when an address asks for them. Another
 * unit serves it only if it can walk the same tables and needs no flush that
 * the domain would not issue; otherwise the attach is refused and callers, as
 * VFIO does, make another domain.
 *
 * Where the administrator asks for it, and the unit has it, a domain gets
 * guest page tables (v2) instead. Such a domain is one address space as well:
 * it has a GCR3 table of one page, whose first entry is for PASID 0, and GIOV
 * makes requests without a PASID use that one. Nothing in it forces accesses
 * to snoop, so that the core's tracker has to clean caches for it. Dirty
 * tracking is for host page tables alone.
 */
#include "amd.h"

#include <linux/sizes.h>

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

bool amd_unit_has_v2(const struct amd_unit *unit)
{
	return unit->efr & AMD_EFR_GT && unit->efr & AMD_EFR_GIO;
}

unsigned int amd_unit_guest_mode(const struct amd_unit *unit)
{
	return FIELD_GET(AMD_EFR_GATS, unit->efr) == AMD_GUEST_5_LEVELS ?
	       AMD_GUEST_5_LEVELS : AMD_GUEST_4_LEVELS;
}

/* The level of a guest page table's root: of four or five levels. */
static unsigned int amd_v2_top(const struct amd_unit *unit)
{
	return amd_unit_guest_mode(unit) == AMD_GUEST_5_LEVELS ? 4 : 3;
}

/*
 * The highest bit of an address is extended to those above it for some
 * requests and not for others, so it stays 0.
 */
static u64 amd_v2_last(const struct amd_unit *unit)
{
	return BIT_ULL(AMD_PAGE_LG2 + 9 * (amd_v2_top(unit) + 1) - 1) - 1;
}

bool amd_unit_tracks_dirty(const struct amd_unit *unit)
{
	return unit->efr & AMD_EFR_HA && unit->efr & AMD_EFR_HD;
}

static int amd_v1_create(struct omni_domain *domain, const struct amd_unit *unit, int nid)
{
	domain->pt = (struct omni_pt) {
		.top = amd_top(unit),
		.last = amd_last(unit),
		.pa_last = AMD_PTE_ADDR | (SZ_4K - 1),
		.leaf_bits = unit->fc ? AMD_PTE_FC : 0,
		.nid = nid,
		.ops = &amd_v1_pt_ops,
	};
	if (domain->pt.ops->init(&domain->pt))
		return -ENOMEM;

	/* An empty table may be at any level. */
	domain->pt.word |= AMD_FIRST_TOP;
	to_amd_domain(domain)->shown = domain->pt.word;
	domain->iommu.ops = &amd_domain_ops;
	domain->iommu.pgsize_bitmap = amd_page_sizes(domain->pt.last);
	return 0;
}

static int amd_v2_create(struct omni_domain *domain, const struct amd_unit *unit, int nid)
{
	struct amd_domain *ad = to_amd_domain(domain);

	domain->pt = (struct omni_pt) {
		.top = amd_v2_top(unit),
		.last = amd_v2_last(unit),
		.pa_last = AMD_GPTE_ADDR | (SZ_4K - 1),
		.nid = nid,
		.ops = &amd_v2_pt_ops,
	};
	if (domain->pt.ops->init(&domain->pt))
		return -ENOMEM;
	ad->gcr3 = omni_table_alloc(&domain->pt, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!ad->gcr3) {
		omni_table_free(domain->pt.root);
		return -ENOMEM;
	}
	domain->pt.above = ad->gcr3;
	ad->gcr3[0] = cpu_to_le64(virt_to_phys(domain->pt.root) | AMD_GCR3_P);
	domain->nc.ops = &amd_v2_nc_ops;
	domain->iommu.ops = &amd_v2_domain_ops;
	domain->iommu.pgsize_bitmap = SZ_4K | SZ_2M | SZ_1G;
	return 0;
}

struct omni_domain *amd_domain_create(struct amd_unit *unit, bool v2, int nid)
{
	struct omni_domain *domain = omni_domain_new(&amd_wing, sizeof(struct amd_domain));

	if (!domain)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&to_amd_domain(domain)->devices);
	domain->flush_added = amd_added(unit);
	return omni_domain_made(domain, v2 ? amd_v2_create(domain, unit, nid) :
					amd_v1_create(domain, unit, nid));
}

bool amd_domain_compatible(struct omni_domain *domain, struct omni_unit *core)
{
	struct amd_unit *unit = to_amd_unit(core);

	if (to_amd_domain(domain)->gcr3) {
		if (!unit->v2 || domain->pt.top != amd_v2_top(unit))
			return false;
	} else if (domain->pt.top > amd_top(unit) || domain->pt.last > amd_last(unit) ||
		   (domain->pt.leaf_bits & AMD_PTE_FC && !unit->fc)) {
		return false;
	}
	if (domain->iommu.dirty_ops && !amd_unit_tracks_dirty(unit))
		return false;
	return amd_added(unit) == OMNI_ADDED_FREE || domain->flush_added == amd_added(unit);
}

bool amd_domain_enforce_coherency(struct iommu_domain *iommu)
{
	struct omni_domain *domain = to_omni_domain(iommu);

	/*
	 * Every leaf of a host page table has been made so from the start, where
	 * that is possible; of a guest page table none can be.
	 */
	return !to_amd_domain(domain)->gcr3 && domain->pt.leaf_bits & AMD_PTE_FC;
}
