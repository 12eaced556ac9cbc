// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest page tables, v2 (48882 r3.08, 2.2.6), and the hooks that change them:
 * the core's templates with this format.
 */
#include "amd.h"
#include "format_v2.h"

/* What is mapped can be read, see format_v2.h. */
static __always_inline u64 amd_v2_bits(int prot)
{
	if (!(prot & (IOMMU_READ | IOMMU_WRITE)))
		return 0;
	return AMD_GPTE_P | (prot & IOMMU_WRITE ? AMD_GPTE_RW : 0);
}

#define PT_NAME			amd_v2
#define PT_INVALIDATE		amd_invalidate_v2
#define PT_TRACKS
#include "../include/pgtable_engine.h"
#include "../include/pgtable_hooks.h"
#include "../include/pgtable_show.h"

const struct iommu_domain_ops amd_v2_domain_ops = {
	PT_HOOKS(amd_v2),
	.iotlb_sync_map = amd_v2_iotlb_sync_map,
	.enforce_cache_coherency = amd_domain_enforce_coherency,
};
