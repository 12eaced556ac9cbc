// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMMUv3 domains: what a unit's capabilities make of one (IHI 0070, 3.4, 6.3).
 *
 * A domain takes its shape (stage, granule, width, walk coherency) from the unit it is
 * made for, once. Another unit serves it only if it can walk the same table;
 * otherwise the attach is refused and callers, as VFIO does, make another
 * domain. No unit caches entries that are not valid, so a map flushes nothing.
 *
 * Coherency can't be enforced. What a page's attributes say is what a request
 * that snoops gets; PCIe's no-snoop turns it into non-cacheable behind both
 * stages (13.6), and no field of an entry or a descriptor takes that back:
 * overrides of a stream's attributes come before translation, and stage 2
 * forcing write-back (S2FWB) overrides stage 1, not the request: it is for
 * guests that own a stage 1, and left off where there is none. So a user's
 * domain is tracked as long as a device is attached that can issue no-snoop.
 */
#include "smmu.h"

#include <linux/sizes.h>

#define SMMU_WIDTH		48

/*
 * The highest level that a stage 2 walk may begin at (DDI 0487, D8.2): what
 * SL0 2 means, if the unit's addresses are wide enough for it.
 */
static unsigned int smmu_s2_top(const struct smmu_unit *unit)
{
	unsigned int bits = unit->granule == SMMU_16K ? 42 : 44;

	return (unit->granule == SMMU_4K ? 3 : 2) - (unit->oas < bits);
}

/*
 * A stage 2 address can't be wider than what the unit puts out. Where that is
 * a bit more than the levels give it would begin with several tables side by
 * side: not worth more than the few bits that cost nothing to leave out.
 */
static void smmu_shape(const struct smmu_unit *unit, struct omni_pt *pt)
{
	unsigned int granule = unit->granule, width = SMMU_WIDTH;

	if (smmu_uses_stage2(unit))
		width = min3(unit->oas, width,
			     granule + (granule - 3) * (smmu_s2_top(unit) + 1));
	pt->top = DIV_ROUND_UP(width - granule, granule - 3) - 1;
	pt->last = BIT_ULL(width) - 1;
}

/* Of leaves: pages, blocks, and what is contiguous of either. */
static unsigned long smmu_sizes(unsigned int granule)
{
	switch (granule) {
	case SMMU_16K:
		return SZ_16K | SZ_2M | SZ_32M | SZ_1G;
	case SMMU_64K:
		return SZ_64K | SZ_2M | SZ_512M | SZ_16G;
	default:
		return SZ_4K | SZ_64K | SZ_2M | SZ_32M | SZ_1G;
	}
}

struct omni_domain *smmu_domain_alloc(struct omni_device *od, bool dirty)
{
	const struct smmu_unit *unit = to_smmu_unit(od->unit);
	struct smmu_domain *domain;
	struct omni_domain *core;

	if (dirty && !smmu_tracks_dirty(unit))
		return ERR_PTR(-EOPNOTSUPP);
	core = omni_domain_new(&smmu_wing, sizeof(*domain));
	if (!core)
		return ERR_PTR(-ENOMEM);
	domain = to_smmu_domain(core);
	domain->stage2 = smmu_uses_stage2(unit);
	domain->format = smmu_format(domain->stage2, unit->granule);
	domain->oas = unit->oas;
	core->pt = (struct omni_pt) {
		.pa_last = BIT_ULL(unit->oas) - 1,
		.incoherent = !unit->coherent,
		.nid = dev_to_node(od->dev),
		.ops = domain->format->pt_ops,
	};
	smmu_shape(unit, &core->pt);
	core->flush_added = OMNI_ADDED_FREE;
	core->nc.ops = domain->format->nc_ops;
	core->iommu.ops = dirty ? domain->format->marked_ops : domain->format->ops;
	core->iommu.dirty_ops = dirty ? domain->format->dirty_ops : NULL;
	core->iommu.pgsize_bitmap = smmu_sizes(unit->granule);
	return omni_domain_made(core, core->pt.ops->init(&core->pt));
}

bool smmu_domain_compatible(struct omni_domain *core, struct omni_unit *core_unit)
{
	const struct smmu_unit *unit = to_smmu_unit(core_unit);
	const struct smmu_domain *domain = to_smmu_domain(core);
	struct omni_pt pt = { };

	if (domain->format != smmu_format(smmu_uses_stage2(unit), unit->granule) ||
	    domain->oas > unit->oas || (core->iommu.dirty_ops && !smmu_tracks_dirty(unit)))
		return false;
	smmu_shape(unit, &pt);
	if (core->pt.top != pt.top || core->pt.last > pt.last)
		return false;
	return core->pt.incoherent || unit->coherent;
}
