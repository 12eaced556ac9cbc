// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lowering: one vendor-neutral request to SMMUv3 commands (IHI 0070, 4.4, 4.5).
 *
 * The cost rule (F5): a CMD_SYNC costs a round trip to the unit, an
 * invalidated entry costs one walk of the table if it is used again. A unit
 * with range invalidation gets one command for any range: NUM counts blocks
 * of 2^SCALE pages, so what is covered beyond the range is less than a
 * sixteenth of it. A unit without gets a command a page as long as they are
 * few enough to go out at once, and otherwise everything under the domain's
 * tag.
 *
 * A unit with range invalidation is also told the level of the leaves that
 * changed (TTL), if all were at one and no table was unlinked. Its address is
 * a leaf's of that level then, as the unit wants it.
 */
#include "smmu.h"

#include <linux/module.h>

/* Pages that are invalidated one by one where ranges can't be. */
#define SMMU_PAGES_MAX	16
/* Blocks that one range command can count, as a power of two. */
#define SMMU_NUM_BITS	5

static bool range = true;
module_param(range, bool, 0444);
MODULE_PARM_DESC(range, "SMMUv3: use range invalidation where a unit has it; N: single pages (default: Y)");

struct smmu_cmd smmu_cmd_all_of_tag(const struct smmu_unit *unit, u32 tag)
{
	u64 lo = smmu_uses_stage2(unit) ?
		 FIELD_PREP(SMMU_CMD_OP, SMMU_OP_TLBI_S12_VMALL) |
		 FIELD_PREP(SMMU_TLBI_VMID, tag) :
		 FIELD_PREP(SMMU_CMD_OP, SMMU_OP_TLBI_NH_ASID) |
		 FIELD_PREP(SMMU_TLBI_ASID, tag);

	return (struct smmu_cmd) { .lo = cpu_to_le64(lo) };
}

struct smmu_cmd smmu_cmd_device_tlb(u32 sid, u64 page, unsigned int lg2)
{
	return smmu_cmd(SMMU_OP_ATC_INV, sid, page << OMNI_PAGE_LG2 |
			FIELD_PREP(SMMU_ATC_HI_SIZE, lg2));
}

/*
 * @page is of the unit's granule. @lo may add what makes a range of it; the
 * address is the first page's.
 */
static struct smmu_cmd smmu_cmd_page(const struct smmu_unit *unit, u32 tag, u64 page,
				     bool leaf_only, u64 lo, u64 hi)
{
	lo |= smmu_uses_stage2(unit) ?
	      FIELD_PREP(SMMU_CMD_OP, SMMU_OP_TLBI_S2_IPA) | FIELD_PREP(SMMU_TLBI_VMID, tag) :
	      FIELD_PREP(SMMU_CMD_OP, SMMU_OP_TLBI_NH_VA) | FIELD_PREP(SMMU_TLBI_ASID, tag);
	return (struct smmu_cmd) {
		.lo = cpu_to_le64(lo),
		.hi = cpu_to_le64(hi | page << unit->granule |
				  (leaf_only ? SMMU_TLBI_HI_LEAF : 0)),
	};
}

/* The manual's level of all leaves that changed; 0 for several, tables, or not known. */
static unsigned int smmu_level_hint(const struct omni_inv *inv)
{
	return inv->leaf_only && hweight8(inv->levels) == 1 ? 3 - __ffs(inv->levels) : 0;
}

/* One unit's TLB commands for a request. Returns their number. */
static unsigned int smmu_lower(const struct smmu_unit *unit, u32 tag,
			       const struct omni_inv *inv, struct smmu_cmd *cmds)
{
	/* A page of the request is part of one of the unit. */
	const unsigned int smaller = unit->granule - OMNI_PAGE_LG2;
	u64 first = inv->first >> smaller, nr = (inv->last >> smaller) - first + 1;
	const bool ranges = range && unit->idr3 & SMMU_IDR3_RIL;
	const unsigned int hint = ranges ? smmu_level_hint(inv) : 0;
	unsigned int i, scale;
	u64 blocks;

	if (inv->scope != OMNI_INV_RANGE)
		goto all;
	/* A range of one page has to have a level. */
	if ((nr == 1 && !hint) || (nr <= SMMU_PAGES_MAX && !ranges)) {
		for (i = 0; i < nr; i++)
			cmds[i] = smmu_cmd_page(unit, tag, first + i, inv->leaf_only, 0, 0);
		return nr;
	}
	if (!ranges)
		goto all;

	scale = max(fls64(nr - 1), SMMU_NUM_BITS) - SMMU_NUM_BITS;
	blocks = ((nr - 1) >> scale) + 1;
	/* Not around the end of what an address can be. */
	if (first + (blocks << scale) > BIT_ULL(64 - unit->granule))
		goto all;
	cmds[0] = smmu_cmd_page(unit, tag, first, inv->leaf_only,
				FIELD_PREP(SMMU_TLBI_NUM, blocks - 1) |
				FIELD_PREP(SMMU_TLBI_SCALE, scale),
				FIELD_PREP(SMMU_TLBI_HI_TTL, hint) |
				FIELD_PREP(SMMU_TLBI_HI_TG, SMMU_TG(unit->granule)));
	return 1;
all:
	cmds[0] = smmu_cmd_all_of_tag(unit, tag);
	return 1;
}

/* A device TLB takes a power of two of pages, aligned. */
static struct smmu_cmd smmu_lower_device_tlb(u32 sid, const struct omni_inv *inv)
{
	unsigned int lg2 = fls64(inv->first ^ inv->last);

	if (inv->scope != OMNI_INV_RANGE)
		return smmu_cmd_device_tlb(sid, 0, SMMU_ATC_ALL);
	return smmu_cmd_device_tlb(sid, inv->first & ~(BIT_ULL(lg2) - 1), lg2);
}

/*
 * Submit what one unit has to do. TLBs go first, behind a CMD_SYNC, so that
 * no device refills its own from them (3.9).
 */
static void smmu_invalidate_submit(const struct omni_reach *reach,
				   const struct omni_reach_unit *ru,
				   const struct omni_inv *inv,
				   struct omni_ticket *ticket)
{
	struct smmu_unit *unit = to_smmu_unit(ru->unit);
	struct smmu_cmd cmds[OMNI_SUBMIT_MAX];
	unsigned int i, j, n, errors = 0;
	bool synced = false, begun = false;

	BUILD_BUG_ON(SMMU_PAGES_MAX >= OMNI_SUBMIT_MAX);

	n = smmu_lower(unit, ru->tag, inv, cmds);
	for (i = 0; inv->device_tlb && i < reach->nr_ats; i++) {
		const struct omni_device *od = reach->ats[i];

		if (od->unit != ru->unit || !READ_ONCE(od->ats) || omni_device_gone(od))
			continue;
		for (j = 0; j < od->nr_rids; j++) {
			if (!synced)
				cmds[n++] = smmu_cmd_sync();
			synced = true;
			if (n == OMNI_SUBMIT_MAX) {
				/* The last CMD_SYNC covers all that went before. */
				smmu_submit(unit, cmds, n, ticket);
				errors = begun ? errors : ticket->errors;
				begun = true;
				n = 0;
			}
			cmds[n++] = smmu_lower_device_tlb(od->rids[j], inv);
		}
	}
	smmu_submit(unit, cmds, n, ticket);
	if (begun)
		ticket->errors = errors;
}

static int smmu_invalidate_wait(struct omni_unit *unit, const struct omni_ticket *ticket)
{
	return smmu_wait(to_smmu_unit(unit), ticket);
}

static noinline int smmu_invalidate_many(const struct omni_reach *reach,
					 const struct omni_inv *inv)
{
	return omni_ask_many(reach, inv, smmu_invalidate_submit, smmu_invalidate_wait);
}

int smmu_invalidate(struct omni_domain *domain, const struct omni_inv *inv)
{
	return omni_fanout(domain, inv, smmu_invalidate_submit, smmu_invalidate_wait,
			   smmu_invalidate_many);
}
