// SPDX-License-Identifier: GPL-2.0-only
/*
 * Root and context tables (VT-d r3.1, 9.1 and 9.3): entries and transitions.
 *
 * A context entry is read by hardware as one 128-bit value and written here
 * with one 128-bit exchange, so every transition, also from one paging domain
 * to another under running DMA, has just two states: the old entry and the
 * new one (S3). What follows a transition is taken from the old entry itself:
 * the context cache is invalidated under the old domain id, then, behind a
 * fence, what the IOTLB holds under that id, then device TLBs (6.5.3.3).
 */
#include "vtd.h"

#include <linux/gfp.h>

static union vtd_context *vtd_context_at(struct vtd_unit *unit, u16 rid)
{
	return &unit->contexts[rid >> 8][rid & 0xff];
}

int vtd_tables_create(struct vtd_unit *unit)
{
	unit->root = (void *)get_zeroed_page(GFP_KERNEL);
	if (!unit->root)
		return -ENOMEM;
	vtd_clean(unit, unit->root, PAGE_SIZE);
	return 0;
}

void vtd_tables_destroy(struct vtd_unit *unit)
{
	unsigned int bus;

	/* A broken unit may still walk them (S2). */
	if (unit->core.broken)
		return;
	for (bus = 0; bus < ARRAY_SIZE(unit->contexts); bus++)
		free_page((unsigned long)unit->contexts[bus]);
	free_page((unsigned long)unit->root);
}

int vtd_tables_reserve(struct vtd_unit *unit, u16 rid)
{
	struct vtd_root *root = &unit->root[rid >> 8];
	union vtd_context *table;
	int ret = 0;

	mutex_lock(&unit->tables_lock);
	if (unit->contexts[rid >> 8])
		goto out;
	table = (void *)get_zeroed_page(GFP_KERNEL);
	if (!table) {
		ret = -ENOMEM;
		goto out;
	}
	vtd_clean(unit, table, PAGE_SIZE);
	unit->contexts[rid >> 8] = table;
	/* An empty table blocks as the empty root entry did. */
	wmb();
	WRITE_ONCE(root->lo, cpu_to_le64(virt_to_phys(table) | VTD_ROOT_P));
	vtd_clean(unit, root, sizeof(*root));
out:
	mutex_unlock(&unit->tables_lock);
	return ret;
}

static union vtd_context vtd_context_paging(const struct omni_domain *domain,
					    u16 did, bool device_tlb)
{
	unsigned int tt = device_tlb ? VTD_TT_DEVICE_TLB : VTD_TT_TRANSLATE;

	/* AW 1 means 39 bits, that is three levels, of which @top is 2. */
	return (union vtd_context) {
		.lo = cpu_to_le64(VTD_CTX_P | FIELD_PREP(VTD_CTX_TT, tt) |
				  virt_to_phys(domain->pt.root)),
		.hi = cpu_to_le64(FIELD_PREP(VTD_CTX_HI_AW, domain->pt.top - 1) |
				  FIELD_PREP(VTD_CTX_HI_DID, did)),
	};
}

union vtd_context vtd_context_identity(const struct vtd_unit *unit)
{
	unsigned int aw;

	if (!(unit->ecap & VTD_ECAP_PT))
		return vtd_context_paging(unit->identity, VTD_TAG_IDENTITY, false);

	/* Pass-through wants the largest width the unit has. */
	aw = fls(vtd_sagaw(unit)) - 1;
	return (union vtd_context) {
		.lo = cpu_to_le64(VTD_CTX_P | FIELD_PREP(VTD_CTX_TT, VTD_TT_PASS_THROUGH)),
		.hi = cpu_to_le64(FIELD_PREP(VTD_CTX_HI_AW, aw) |
				  FIELD_PREP(VTD_CTX_HI_DID, VTD_TAG_IDENTITY)),
	};
}

static union vtd_context vtd_context_swap(struct vtd_unit *unit, u16 rid,
					  union vtd_context new)
{
	union vtd_context *entry = vtd_context_at(unit, rid);
	union vtd_context old;

	lockdep_assert_held(&unit->tables_lock);
	old.whole = omni_entry_swap(&entry->whole, new.whole);
	vtd_clean(unit, entry, sizeof(*entry));
	return old;
}

void vtd_context_set(struct vtd_unit *unit, u16 rid, union vtd_context entry)
{
	mutex_lock(&unit->tables_lock);
	vtd_context_swap(unit, rid, entry);
	mutex_unlock(&unit->tables_lock);
}

static u16 vtd_context_did(union vtd_context entry)
{
	return FIELD_GET(VTD_CTX_HI_DID, le64_to_cpu(entry.hi));
}

static bool vtd_context_present(union vtd_context entry)
{
	return le64_to_cpu(entry.lo) & VTD_CTX_P;
}

bool vtd_context_is_set(struct vtd_unit *unit, u16 rid)
{
	return vtd_context_present(*vtd_context_at(unit, rid));
}

static union vtd_context vtd_change_was(const struct omni_change *change)
{
	return (union vtd_context) {
		.lo = cpu_to_le64(change->was[0]),
		.hi = cpu_to_le64(change->was[1]),
	};
}

/* What has to follow a set of changed entries. */
static int vtd_flush_changes(struct omni_device *od, const struct omni_change *changes,
			     unsigned int nr, u16 new_did)
{
	struct vtd_unit *unit = to_vtd_unit(od->unit);
	bool cached = unit->cap & VTD_CAP_CM;
	struct vtd_desc descs[2 * OMNI_ATTACH_BATCH + 2];
	u16 dids[OMNI_ATTACH_BATCH];
	unsigned int i, j, n = 0, nr_dids = 0;
	int ret;

	if (unit->unflushed) {
		/* What entries said before these may still be cached, too. */
		descs[n++] = vtd_desc_context(VTD_G_GLOBAL, 0, 0);
		descs[n++] = vtd_desc_fence(unit);
		descs[n++] = vtd_desc_iotlb(unit, VTD_G_GLOBAL, 0, 0);
		goto devices;
	}
	for (i = 0; i < nr; i++) {
		union vtd_context old = vtd_change_was(&changes[i]);
		bool present = vtd_context_present(old);
		u16 did = vtd_context_did(old);

		if (!present && !cached)
			continue;
		/* With CM, not-present entries are cached under domain id 0. */
		descs[n++] = vtd_desc_context(VTD_G_DEVICE, present ? did : 0, changes[i].rid);
		if (!present)
			did = new_did;
		for (j = 0; j < nr_dids && dids[j] != did; j++)
			;
		if (j == nr_dids)
			dids[nr_dids++] = did;
	}
	if (!n)
		return vtd_flush_write_buffer(unit);

	descs[n++] = vtd_desc_fence(unit);
	for (i = 0; i < nr_dids; i++)
		descs[n++] = vtd_desc_iotlb(unit, VTD_G_DOMAIN, dids[i], 0);
devices:
	if (READ_ONCE(od->ats))
		descs[n++] = vtd_desc_device_tlb(od, 0, 64 - VTD_PAGE_LG2);
	ret = omni_submit_wait(&unit->core, descs, n);
	unit->unflushed = ret;
	return ret;
}

int vtd_write(struct omni_device *od, const void *to, struct omni_change *changes,
	      unsigned int *nr)
{
	struct vtd_unit *unit = to_vtd_unit(od->unit);
	union vtd_context new = { }, old;
	unsigned int i, n = 0;

	for (i = 0; i < *nr; i++) {
		u32 rid = changes[i].rid;

		new = to ? *(const union vtd_context *)to : vtd_change_was(&changes[i]);
		old = vtd_context_swap(unit, rid, new);
		if (old.whole != new.whole)
			changes[n++] = (struct omni_change) {
				.rid = rid,
				.was = { le64_to_cpu(old.lo), le64_to_cpu(old.hi) },
			};
	}
	*nr = n;
	return n ? vtd_flush_changes(od, changes, n, vtd_context_did(new)) : 0;
}

int vtd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag)
{
	struct vtd_unit *unit = to_vtd_unit(od->unit);
	bool paging = domain && domain != &omni_identity;
	union vtd_context new = { };
	int ret;

	if (paging)
		new = vtd_context_paging(domain, tag, od->ats_depth);
	else if (domain)
		new = vtd_context_identity(unit);

	mutex_lock(&unit->tables_lock);
	ret = omni_write_entries(od, &new, paging);
	mutex_unlock(&unit->tables_lock);
	return ret;
}
