// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page tables of both stages and all granules, and the hooks that change
 * them: the core's templates with these formats.
 */
#include "smmu.h"
#include "format.h"

/*
 * The unit marks what is written to such a domain all the time: a page that
 * was made clean is written through its mark alone. So there is nothing to
 * switch, and whoever switches it on has the pages cleaned before.
 */
static int smmu_set_dirty_tracking(struct iommu_domain *iommu, bool enabled)
{
	WRITE_ONCE(to_smmu_domain(to_omni_domain(iommu))->dirty, enabled);
	return 0;
}

#define PT_INVALIDATE		smmu_invalidate
#define PT_TRACKS
#define PT_HINTS

#define PT_NAME			smmu_s1
#define PT_PAGE_LG2		SMMU_4K
#define SMMU_STAGE		1
#include "instance.h"

#define PT_NAME			smmu_s1_16k
#define PT_PAGE_LG2		SMMU_16K
#define SMMU_STAGE		1
#include "instance.h"

#define PT_NAME			smmu_s1_64k
#define PT_PAGE_LG2		SMMU_64K
#define SMMU_STAGE		1
#include "instance.h"

#define PT_NAME			smmu_s2
#define PT_PAGE_LG2		SMMU_4K
#define SMMU_STAGE		2
#include "instance.h"

#define PT_NAME			smmu_s2_16k
#define PT_PAGE_LG2		SMMU_16K
#define SMMU_STAGE		2
#include "instance.h"

#define PT_NAME			smmu_s2_64k
#define PT_PAGE_LG2		SMMU_64K
#define SMMU_STAGE		2
#include "instance.h"

const struct smmu_format *smmu_format(bool stage2, unsigned int granule)
{
	switch (granule) {
	case SMMU_16K:
		return stage2 ? &smmu_s2_16k_format : &smmu_s1_16k_format;
	case SMMU_64K:
		return stage2 ? &smmu_s2_64k_format : &smmu_s1_64k_format;
	default:
		return stage2 ? &smmu_s2_format : &smmu_s1_format;
	}
}
