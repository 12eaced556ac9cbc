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

/* Is a variant, the @nth of @nr, for units of a vendor, the @whose of all? */
static bool omni_kit_chosen(const struct omni_kit *kit, const struct omni_variant *v,
			    unsigned int whose, unsigned int nth, unsigned int nr,
			    unsigned int turn)
{
	if (v->traits & ~kit->able)
		return false;
	if (!nth)
		return true;
	if (omni_part() == 1)
		return !kit->few || v->ats;
	/* Where less is done, each case has another form of a vendor's units. */
	return (!whose && v->ats) || nth == (turn + whose) % nr;
}

const void *omni_kit_next(const struct omni_variant *variants, unsigned int nr,
			  struct omni_param *params, const void *prev, char *desc)
{
	unsigned int i = prev ? (const struct omni_param *)prev - params + 1 : 0;
	unsigned int turn = omni_turn(!prev);

	BUILD_BUG_ON(ARRAY_SIZE(omni_kits) - 1 > OMNI_KITS_MAX);
	for (; i < nr * (ARRAY_SIZE(omni_kits) - 1); i++) {
		const struct omni_kit *kit = omni_kits[i / nr];
		const struct omni_variant *v = &variants[i % nr];

		if (!omni_kit_chosen(kit, v, i / nr, i % nr, nr, turn))
			continue;
		params[i] = (struct omni_param){ kit, v };
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s%s%s", kit->name, v->name ? "_" : "",
			 v->name ?: "");
		return &params[i];
	}
	return NULL;
}
