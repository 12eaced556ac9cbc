// SPDX-License-Identifier: GPL-2.0-only
/*
 * SMMUv3 domains: what a unit's capabilities make of one (IHI 0070, 3.4, 6.3).
 *
 * A domain takes its shape (stage, width, walk coherency) from the unit it is
 * made for, once. Another unit serves it only if it can walk the same table;
 * otherwise the attach is refused and callers, as VFIO does, make another
 * domain. No unit caches entries that are not valid, so a map flushes nothing.
 */
#include "smmu.h"

#include <linux/sizes.h>
#include <linux/slab.h>

/* Widths that fit whole tables of 9 bits a level, with 4K granules. */
#define SMMU_WIDTH_4		48
#define SMMU_WIDTH_3		39
/* From here on a stage 2 walk may begin with a fourth level (DDI 0487, D8.2). */
#define SMMU_S2_FOUR_LEVELS	44

/*
 * A stage 2 address can't be wider than what the unit puts out. Between three
 * levels and four it would begin with several tables side by side: not worth
 * more than the few bits that cost nothing to leave out.
 */
static void smmu_shape(const struct smmu_unit *unit, struct omni_pt *pt)
{
	unsigned int width = SMMU_WIDTH_4;

	pt->top = 3;
	if (smmu_uses_stage2(unit)) {
		width = min(unit->oas, SMMU_WIDTH_4);
		if (width < SMMU_S2_FOUR_LEVELS) {
			width = min(width, SMMU_WIDTH_3);
			pt->top = 2;
		}
	}
	pt->last = BIT_ULL(width) - 1;
}

struct omni_domain *smmu_domain_alloc(struct omni_device *od, bool dirty)
{
	const struct smmu_unit *unit = to_smmu_unit(od->unit);
	struct smmu_domain *domain;
	struct omni_domain *core;

	if (dirty)
		return ERR_PTR(-EOPNOTSUPP);
	domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);
	if (!domain)
		return ERR_PTR(-ENOMEM);
	core = &domain->core;
	if (omni_domain_init(core, &smmu_wing))
		goto err_free;

	domain->stage2 = smmu_uses_stage2(unit);
	domain->oas = unit->oas;
	core->pt = (struct omni_pt) {
		.pa_last = BIT_ULL(unit->oas) - 1,
		.incoherent = !unit->coherent,
		.nid = dev_to_node(od->dev),
	};
	smmu_shape(unit, &core->pt);
	if (smmu_pt_init(domain))
		goto err_fini;

	core->flush_added = OMNI_ADDED_FREE;
	core->iommu.ops = domain->stage2 ? &smmu_s2_ops : &smmu_s1_ops;
	core->iommu.pgsize_bitmap = SZ_4K | SZ_64K | SZ_2M | SZ_32M | SZ_1G;
	core->iommu.geometry = (struct iommu_domain_geometry) {
		.aperture_start = 0,
		.aperture_end = core->pt.last,
		.force_aperture = true,
	};
	return core;

err_fini:
	omni_domain_fini(core);
err_free:
	kfree(domain);
	return ERR_PTR(-ENOMEM);
}

void smmu_domain_free(struct omni_domain *core)
{
	struct smmu_domain *domain = to_smmu_domain(core);
	LIST_HEAD(tables);

	smmu_pt_fini(domain, &tables);
	omni_tables_done(core, &tables, core->tainted ? -EIO : 0);
	omni_domain_fini(core);
	kfree(domain);
}

bool smmu_domain_compatible(struct omni_domain *core, struct omni_unit *core_unit)
{
	const struct smmu_unit *unit = to_smmu_unit(core_unit);
	const struct smmu_domain *domain = to_smmu_domain(core);
	struct omni_pt pt = { };

	if (domain->stage2 != smmu_uses_stage2(unit) || domain->oas > unit->oas)
		return false;
	smmu_shape(unit, &pt);
	if (core->pt.top != pt.top || core->pt.last > pt.last)
		return false;
	return core->pt.incoherent || unit->coherent;
}
