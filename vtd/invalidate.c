// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lowering: one vendor-neutral request to VT-d commands (r3.1, 6.5.2).
 *
 * The cost rule (F5): a command and its wait cost a round trip to the unit,
 * an invalidated entry costs one walk of the table if it is used again. So a
 * contiguous range is always one IOTLB command: the smallest aligned power
 * of two of pages that covers it, found from the highest bit in which first
 * and last page differ, or the whole domain when that is more than the unit
 * takes (MAMV) or the unit has no page-selective command.
 */
#include "vtd.h"

static __always_inline struct vtd_desc vtd_lower(const struct vtd_unit *unit, u16 did,
						 const struct omni_inv *inv)
{
	unsigned int am = fls64(inv->first ^ inv->last);

	if (inv->scope != OMNI_INV_RANGE || am >= unit->psi_orders)
		return vtd_desc_iotlb(unit, VTD_G_DOMAIN, did, 0);
	return vtd_desc_iotlb(unit, VTD_G_PAGE, did,
			      inv->first >> am << (am + VTD_PAGE_LG2) |
			      FIELD_PREP(VTD_IOTLB_HI_IH, inv->leaf_only) |
			      FIELD_PREP(VTD_IOTLB_HI_AM, am));
}

static struct vtd_desc vtd_lower_device_tlb(const struct omni_device *od,
					    const struct omni_inv *inv)
{
	unsigned int lg2 = fls64(inv->first ^ inv->last);

	if (inv->scope != OMNI_INV_RANGE)
		return vtd_desc_device_tlb(od, 0, 64 - VTD_PAGE_LG2);
	return vtd_desc_device_tlb(od, inv->first & ~(BIT_ULL(lg2) - 1), lg2);
}

/*
 * Submit what one unit has to do. The IOTLB goes first, so that no device
 * refills its TLB from it (6.5.2.5).
 */
static noinline void vtd_invalidate_devices(const struct omni_reach *reach,
					    const struct omni_reach_unit *ru,
					    const struct omni_inv *inv,
					    struct omni_ticket *ticket)
{
	struct vtd_unit *unit = to_vtd_unit(ru->unit);
	struct vtd_desc descs[OMNI_SUBMIT_MAX];
	unsigned int i, n = 0, parts = 0, errors = 0;

	descs[n++] = vtd_lower(unit, ru->tag, inv);
	for (i = 0; i < reach->nr_ats; i++) {
		const struct omni_device *od = reach->ats[i];

		if (od->unit != ru->unit || !READ_ONCE(od->ats) || omni_device_gone(od))
			continue;
		if (n == OMNI_SUBMIT_MAX) {
			/* The last wait covers all that went before. */
			vtd_submit(unit, descs, n, ticket);
			if (!parts++)
				errors = ticket->errors;
			n = 0;
		}
		descs[n++] = vtd_lower_device_tlb(od, inv);
	}
	vtd_submit(unit, descs, n, ticket);
	if (parts)
		ticket->errors = errors;
}

static __always_inline void vtd_invalidate_submit(const struct omni_reach *reach,
						  const struct omni_reach_unit *ru,
						  const struct omni_inv *inv,
						  struct omni_ticket *ticket)
{
	struct vtd_unit *unit = to_vtd_unit(ru->unit);
	struct vtd_desc desc;

	if (unlikely(inv->scope == OMNI_INV_WRITE_BUFFER)) {
		ticket->done = true;
		ticket->err = vtd_flush_write_buffer(unit);
	} else if (unlikely(inv->device_tlb && reach->nr_ats)) {
		vtd_invalidate_devices(reach, ru, inv, ticket);
	} else {
		desc = vtd_lower(unit, ru->tag, inv);
		vtd_submit(unit, &desc, 1, ticket);
	}
}

static int vtd_invalidate_wait(struct omni_unit *unit, const struct omni_ticket *ticket)
{
	return vtd_wait(to_vtd_unit(unit), ticket);
}

static noinline int vtd_invalidate_many(const struct omni_reach *reach,
					const struct omni_inv *inv)
{
	return omni_ask_many(reach, inv, vtd_invalidate_submit, vtd_invalidate_wait);
}

int vtd_invalidate(struct omni_domain *domain, const struct omni_inv *inv)
{
	return omni_fanout(domain, inv, vtd_invalidate_submit, vtd_invalidate_wait,
			   vtd_invalidate_many);
}
