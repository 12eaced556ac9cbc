// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lowering: one vendor-neutral request to AMD-Vi commands (48882 r3.08, 2.4.3
 * and 2.4.4).
 *
 * The cost rule (F5): a command and its completion wait cost a round trip to
 * the unit, an invalidated entry costs one walk of the table if it is used
 * again. So a contiguous range is always one command: the smallest aligned
 * power of two of pages that covers it, which is also what a unit wants that
 * caches not-present entries. The PDE bit, which drops cached table entries
 * too, is set exactly when a table was unlinked (F3).
 *
 * Translations of guest page tables are named by GN and their PASID, which is
 * always 0 here, in the unit and in device TLBs.
 */
#include "amd.h"

/* Address and size of the smallest aligned power of two that covers a range. */
static u64 amd_lower_range(const struct omni_inv *inv)
{
	unsigned int lg2 = fls64(inv->first ^ inv->last);
	u64 page;

	if (!lg2)
		return inv->first << AMD_PAGE_LG2;
	/* The size is told by the lowest clear bit, which has to be an address bit. */
	if (inv->scope != OMNI_INV_RANGE || lg2 > 51 - AMD_PAGE_LG2)
		return AMD_PAGES_HI_S | AMD_PAGES_HI_EVERYTHING;
	page = (inv->first & ~(BIT_ULL(lg2) - 1)) | (BIT_ULL(lg2 - 1) - 1);
	return page << AMD_PAGE_LG2 | AMD_PAGES_HI_S;
}

static __always_inline struct amd_cmd amd_lower(u16 domain, const struct omni_inv *inv,
						const bool v2)
{
	if (inv->scope != OMNI_INV_RANGE)
		return amd_cmd_domain(domain, v2);
	return amd_cmd_pages(domain, amd_lower_range(inv) | amd_pages_space(v2) |
				     (inv->leaf_only ? 0 : AMD_PAGES_HI_PDE));
}

static __always_inline struct amd_cmd amd_lower_device_tlb(const struct omni_device *od,
							   const struct omni_inv *inv,
							   const bool v2)
{
	if (inv->scope != OMNI_INV_RANGE)
		return amd_cmd_device_tlb_all(od, v2);
	return amd_cmd_device_tlb(od, amd_lower_range(inv) | amd_pages_space(v2));
}

/*
 * Submit what one unit has to do. The IOTLB goes first and is waited for, so
 * that no device refills its TLB from it (2.4.4).
 */
static noinline void amd_invalidate_devices(const struct omni_reach *reach,
					    const struct omni_reach_unit *ru,
					    const struct omni_inv *inv,
					    struct omni_ticket *ticket, bool v2)
{
	struct amd_unit *unit = to_amd_unit(ru->unit);
	struct amd_cmd cmds[OMNI_SUBMIT_MAX];
	unsigned int i, n = 0, parts = 0, errors = 0, lost = 0;
	bool fenced = false;

	cmds[n++] = amd_lower(ru->tag, inv, v2);
	for (i = 0; i < reach->nr_ats; i++) {
		const struct omni_device *od = reach->ats[i];

		if (od->unit != ru->unit || !READ_ONCE(od->ats) || omni_device_gone(od))
			continue;
		if (!fenced)
			cmds[n++] = amd_cmd_fence();
		fenced = true;
		if (n == OMNI_SUBMIT_MAX) {
			/* The last wait covers all that went before. */
			amd_submit(unit, cmds, n, ticket);
			if (!parts++) {
				errors = ticket->errors;
				lost = ticket->lost;
			}
			n = 0;
		}
		cmds[n++] = amd_lower_device_tlb(od, inv, v2);
	}
	amd_submit(unit, cmds, n, ticket);
	if (parts) {
		ticket->errors = errors;
		ticket->lost = lost;
		ticket->device_tlb = true;
	}
}

static __always_inline void amd_invalidate_submit_as(const struct omni_reach *reach,
						     const struct omni_reach_unit *ru,
						     const struct omni_inv *inv,
						     struct omni_ticket *ticket, const bool v2)
{
	struct amd_cmd cmd;

	if (unlikely(inv->device_tlb && reach->nr_ats)) {
		amd_invalidate_devices(reach, ru, inv, ticket, v2);
		return;
	}
	cmd = amd_lower(ru->tag, inv, v2);
	amd_submit(to_amd_unit(ru->unit), &cmd, 1, ticket);
}

static void amd_invalidate_submit(const struct omni_reach *reach,
				  const struct omni_reach_unit *ru,
				  const struct omni_inv *inv, struct omni_ticket *ticket)
{
	amd_invalidate_submit_as(reach, ru, inv, ticket, false);
}

static void amd_invalidate_submit_v2(const struct omni_reach *reach,
				     const struct omni_reach_unit *ru,
				     const struct omni_inv *inv, struct omni_ticket *ticket)
{
	amd_invalidate_submit_as(reach, ru, inv, ticket, true);
}

static int amd_invalidate_wait(struct omni_unit *unit, const struct omni_ticket *ticket)
{
	return amd_wait(to_amd_unit(unit), ticket);
}

static noinline int amd_invalidate_many(const struct omni_reach *reach,
					const struct omni_inv *inv)
{
	return omni_ask_many(reach, inv, amd_invalidate_submit, amd_invalidate_wait);
}

int amd_invalidate(struct omni_domain *domain, const struct omni_inv *inv)
{
	return omni_fanout(domain, inv, amd_invalidate_submit, amd_invalidate_wait,
			   amd_invalidate_many);
}

static noinline int amd_invalidate_many_v2(const struct omni_reach *reach,
					   const struct omni_inv *inv)
{
	return omni_ask_many(reach, inv, amd_invalidate_submit_v2, amd_invalidate_wait);
}

int amd_invalidate_v2(struct omni_domain *domain, const struct omni_inv *inv)
{
	return omni_fanout(domain, inv, amd_invalidate_submit_v2, amd_invalidate_wait,
			   amd_invalidate_many_v2);
}
