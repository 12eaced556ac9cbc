// SPDX-License-Identifier: GPL-2.0-only
/* The vendors whose models the common suites run with. */
#include "kit.h"

const struct omni_kit * const omni_kits[] = {
	&vtd_kit,
	&amd_kit,
	&amd_v2_kit,
	&smmu_kit,
	NULL
};

const struct omni_variant omni_ordinary[1];

const void *omni_kit_next(const struct omni_variant *variants, unsigned int nr,
			  struct omni_param *params, const void *prev, char *desc)
{
	unsigned int i = prev ? (const struct omni_param *)prev - params + 1 : 0;

	BUILD_BUG_ON(ARRAY_SIZE(omni_kits) - 1 > OMNI_KITS_MAX);
	for (; i < nr * (ARRAY_SIZE(omni_kits) - 1); i++) {
		const struct omni_kit *kit = omni_kits[i / nr];
		const struct omni_variant *v = &variants[i % nr];
		/* Where less is done, one vendor's units in all their forms will do. */
		bool few = kit->few || (i >= nr && omni_part() > 1);

		if (v->traits & ~kit->able || (few && i % nr && !v->ats))
			continue;
		params[i] = (struct omni_param){ kit, v };
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s%s", kit->name, v->name ? "_" : "",
			 v->name ?: "");
		return &params[i];
	}
	return NULL;
}
