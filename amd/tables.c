// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table (48882 r3.08, 2.2.2): entries and transitions.
 *
 * An entry is 256 bits. All that selects a translation (V, TV, mode, root,
 * GV, GCR3 table, domain id, permissions) is in its lower half, which is
 * written with one 128-bit exchange, so that every transition, also from one
 * paging domain to another under running DMA, be their formats the same or
 * not, has just two states: the old entry and the new one (S3). The upper half
 * says how interrupts pass, and how many levels guest page tables have, which
 * counts only with GV. It changes only while the unit is off; a valid entry is
 * made upper half first.
 *
 * V is never 0: such an entry would let everything through. Blocked is an
 * entry that is valid, translates nothing and permits nothing (S4).
 *
 * What follows a transition is taken from the old entry: the unit forgets the
 * entry, then, behind a fence, what it has cached under the old domain id,
 * then, behind another, what device TLBs have. Commands between two fences may
 * be carried out in any order: a device TLB that has forgotten while the unit
 * still answers from the old entry, or from what it cached, fills itself anew.
 *
 * A page table may grow: then the entries of the domain's devices have to
 * point to the new root before the map is over, and before anything that an
 * unmap unlinked below the old root is freed.
 */
#include "amd.h"

#include <linux/acpi.h>
#include <linux/gfp.h>

/*
 * Serialises device table entries and amd_domain.devices with the growth of
 * trees. Both are rare, and neither knows the other's unit beforehand.
 */
DEFINE_RAW_SPINLOCK(amd_growth_lock);

static u64 amd_dte_root(unsigned long word)
{
	return virt_to_phys((void *)(word & PAGE_MASK)) |
	       FIELD_PREP(AMD_DTE0_MODE, (word & ~PAGE_MASK) + 1);
}

/* What of a lower half belongs to the requester, whatever it is attached to. */
static u64 amd_dte_own(const struct amd_unit *unit, u16 rid)
{
	return le64_to_cpu(unit->table[rid].data[1]) & AMD_DTE1_SYSMGT;
}

static struct amd_dte amd_dte_make(u64 lo, u64 hi)
{
	return (struct amd_dte) {
		.data = { cpu_to_le64(lo | AMD_DTE0_V | AMD_DTE0_TV), cpu_to_le64(hi) },
	};
}

static struct amd_dte amd_dte_blocked(const struct amd_unit *unit, u16 rid)
{
	u64 own = amd_dte_own(unit, rid);

	/*
	 * Erratum 63: a requester of system management messages needs IW. An
	 * empty page table makes it worth nothing.
	 */
	if (FIELD_GET(AMD_DTE1_SYSMGT, own) == AMD_SYSMGT_MESSAGES)
		return amd_dte_make(amd_dte_root((unsigned long)unit->nothing) | AMD_DTE0_IW,
				    own);
	return amd_dte_make(0, own);
}

static struct amd_dte amd_dte_identity(const struct amd_unit *unit, u16 rid)
{
	return amd_dte_make(AMD_DTE0_IR | AMD_DTE0_IW,
			    amd_dte_own(unit, rid) |
			    FIELD_PREP(AMD_DTE1_DOMAIN, AMD_TAG_IDENTITY));
}

/* 2.2.2.1: the GCR3 table's address in three parts; one level, no host translation. */
static struct amd_dte amd_dte_guest(u64 gcr3, u64 lo, u64 hi)
{
	return amd_dte_make(lo | AMD_DTE0_GV | AMD_DTE0_GIOV | FIELD_PREP(AMD_DTE0_GLX, 0) |
			    FIELD_PREP(AMD_DTE0_GCR3_14_12, gcr3 >> 12 & 0x7),
			    hi | FIELD_PREP(AMD_DTE1_GCR3_30_15, gcr3 >> 15 & 0xffff) |
			    FIELD_PREP(AMD_DTE1_GCR3_51_31, gcr3 >> 31));
}

static struct amd_dte amd_dte_paging(const struct amd_unit *unit, u16 rid,
				     const struct amd_domain *domain, u16 tag, bool device_tlb)
{
	u64 had = FIELD_PREP(AMD_DTE0_HAD, domain->dirty ? AMD_HAD_ACCESS_DIRTY : AMD_HAD_NONE);
	u64 lo = AMD_DTE0_IR | AMD_DTE0_IW;
	u64 hi = amd_dte_own(unit, rid) | FIELD_PREP(AMD_DTE1_DOMAIN, tag) |
		 (device_tlb ? AMD_DTE1_I : 0);

	if (domain->gcr3)
		return amd_dte_guest(virt_to_phys(domain->gcr3), lo, hi);
	return amd_dte_make(lo | had | amd_dte_root(READ_ONCE(domain->core.pt.word)), hi);
}

/* The same entry with the root and the options its domain has now. */
static struct amd_dte amd_dte_refresh(struct amd_dte entry, const struct amd_domain *domain)
{
	u64 lo = le64_to_cpu(entry.data[0]) & ~(AMD_DTE0_ROOT | AMD_DTE0_MODE | AMD_DTE0_HAD);

	/* A GCR3 table stays where it is. */
	if (domain->gcr3)
		return entry;
	lo |= FIELD_PREP(AMD_DTE0_HAD, domain->dirty ? AMD_HAD_ACCESS_DIRTY : AMD_HAD_NONE);
	entry.data[0] = cpu_to_le64(lo | amd_dte_root(READ_ONCE(domain->core.pt.word)));
	return entry;
}

static u16 amd_dte_domain(struct amd_dte entry)
{
	return FIELD_GET(AMD_DTE1_DOMAIN, le64_to_cpu(entry.data[1]));
}

/* Is what is cached by way of an entry that of a guest page table? */
static bool amd_dte_is_v2(struct amd_dte entry)
{
	return le64_to_cpu(entry.data[0]) & AMD_DTE0_GV;
}

static bool amd_dte_blocks(struct amd_dte entry)
{
	return !amd_dte_domain(entry);
}

/* Write the lower half; returns what it was. */
static struct amd_dte amd_dte_swap(struct amd_unit *unit, u16 rid, struct amd_dte new)
{
	struct amd_dte old = { };

	lockdep_assert_held(&amd_growth_lock);
	old.half[0] = omni_entry_swap(&unit->table[rid].half[0], new.half[0]);
	return old;
}

/* What every upper half has of guest page tables. */
static __le64 amd_dte_guest_mode(const struct amd_unit *unit)
{
	return unit->v2 ? cpu_to_le64(FIELD_PREP(AMD_DTE2_GUEST_MODE,
						 amd_unit_guest_mode(unit))) : 0;
}

int amd_tables_create(struct amd_unit *unit)
{
	size_t size = PAGE_ALIGN((unit->ivhd->last_devid + 1) * sizeof(struct amd_dte));
	unsigned int i;

	unit->table_lg2 = get_order(size);
	unit->table = (void *)__get_free_pages(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN,
					       unit->table_lg2);
	unit->nothing = (void *)get_zeroed_page(GFP_KERNEL);
	if (!unit->table || !unit->nothing)
		return -ENOMEM;
	unit->nr_dtes = size / sizeof(struct amd_dte);
	for (i = 0; i < unit->nr_dtes; i++) {
		unit->table[i].data[2] = amd_dte_guest_mode(unit);
		unit->table[i].half[0] = amd_dte_blocked(unit, i).half[0];
	}
	return 0;
}

void amd_tables_destroy(struct amd_unit *unit)
{
	/* A broken unit may still walk them (S2). */
	if (unit->core.broken)
		return;
	free_pages((unsigned long)unit->table, unit->table_lg2);
	free_page((unsigned long)unit->nothing);
}

/* 5.2.2.5: which interrupts and messages pass, in an entry that blocks. */
static void amd_tables_settings(struct amd_unit *unit, u16 rid, u8 settings)
{
	struct amd_dte *entry = &unit->table[rid];
	u64 pass = 0;

	if (settings & ACPI_IVHD_INIT_PASS)
		pass |= AMD_DTE2_INIT_PASS;
	if (settings & ACPI_IVHD_EINT_PASS)
		pass |= AMD_DTE2_EINT_PASS;
	if (settings & ACPI_IVHD_NMI_PASS)
		pass |= AMD_DTE2_NMI_PASS;
	if (settings & ACPI_IVHD_LINT0_PASS)
		pass |= AMD_DTE2_LINT0_PASS;
	if (settings & ACPI_IVHD_LINT1_PASS)
		pass |= AMD_DTE2_LINT1_PASS;
	entry->data[2] = cpu_to_le64(pass) | amd_dte_guest_mode(unit);
	entry->data[1] = cpu_to_le64(FIELD_PREP(AMD_DTE1_SYSMGT,
						FIELD_GET(ACPI_IVHD_SYSTEM_MGMT, settings)));
	entry->half[0] = amd_dte_blocked(unit, rid).half[0];
}

void amd_tables_apply(struct amd_unit *unit)
{
	const struct amd_devids *range;
	const struct amd_hid *hid;
	unsigned int rid;

	list_for_each_entry(range, &unit->ivhd->devids, node)
		for (rid = range->first; rid <= range->last; rid++)
			amd_tables_settings(unit, rid, range->settings);
	list_for_each_entry(hid, &unit->ivhd->hids, node) {
		amd_tables_settings(unit, hid->devid, hid->settings);
		/* As with PCI devices that are there already (L1). */
		amd_tables_identity(unit, hid->devid);
	}
}

int amd_tables_identity(struct amd_unit *unit, u32 rid)
{
	unsigned long flags;

	if (rid >= unit->nr_dtes)
		return -ERANGE;
	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	amd_dte_swap(unit, rid, amd_dte_identity(unit, rid));
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
	return 0;
}

bool amd_tables_blocked(const struct amd_unit *unit, u16 rid)
{
	return amd_dte_blocks(unit->table[rid]);
}

/* The lower half that an entry had. */
static struct amd_dte amd_change_was(const struct omni_change *change)
{
	return (struct amd_dte) {
		.data = { cpu_to_le64(change->was[0]), cpu_to_le64(change->was[1]) },
	};
}

/* What has to follow some changed entries. */
static int amd_flush_changes(struct omni_device *od, const struct omni_change *changes,
			     unsigned int nr)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_cmd cmds[2 * OMNI_ATTACH_BATCH + 3];
	unsigned int i, j, n = 0;
	bool v2 = false;

	for (i = 0; i < nr; i++)
		cmds[n++] = amd_cmd_devtab(changes[i].rid);
	cmds[n++] = amd_cmd_fence();
	for (i = 0; i < nr; i++) {
		struct amd_dte old = amd_change_was(&changes[i]);
		u16 domain = amd_dte_domain(old);

		v2 |= amd_dte_is_v2(old);
		for (j = 0; j < i; j++)
			if (amd_dte_domain(amd_change_was(&changes[j])) == domain)
				break;
		/* Nothing is cached for an entry that blocks, but that it does. */
		if (j == i && (domain || unit->cap & AMD_CAP_NPCACHE))
			cmds[n++] = amd_cmd_domain(domain, amd_dte_is_v2(old));
	}
	if (READ_ONCE(od->ats)) {
		cmds[n++] = amd_cmd_fence();
		cmds[n++] = amd_cmd_device_tlb_all(od, v2);
	}
	return omni_submit_wait(&unit->core, cmds, n);
}

/* Growth: all entries that a link stands for, and what caches have of them. */

static void amd_link_set(struct amd_link *link, struct amd_domain *domain, u32 tag)
{
	lockdep_assert_held(&amd_growth_lock);
	list_del_init(&link->node);
	link->tag = tag;
	if (domain)
		list_add_tail(&link->node, &domain->devices);
}

static void amd_link_refresh(struct amd_link *link, const struct amd_domain *domain)
{
	struct omni_device *od = &link->ad->core;
	struct amd_unit *unit = to_amd_unit(od->unit);
	unsigned int i;

	for (i = 0; i < od->nr_rids; i++) {
		struct amd_dte entry = unit->table[od->rids[i]];

		/* Not yet, or no longer, the domain's. */
		if (amd_dte_domain(entry) == link->tag)
			amd_dte_swap(unit, od->rids[i], amd_dte_refresh(entry, domain));
	}
}

static void amd_link_submit(struct amd_link *link)
{
	struct omni_device *od = &link->ad->core;
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_cmd cmds[OMNI_SUBMIT_MAX];
	unsigned int i, n = 0, parts = 0, errors = 0;

	for (i = 0; i < od->nr_rids; i++) {
		if (n == OMNI_SUBMIT_MAX - 4) {
			amd_submit(unit, cmds, n, &link->ticket);
			if (!parts++)
				errors = link->ticket.errors;
			n = 0;
		}
		cmds[n++] = amd_cmd_devtab(od->rids[i]);
	}
	cmds[n++] = amd_cmd_fence();
	/* Only host page tables grow, or are asked for what is dirty. */
	cmds[n++] = amd_cmd_domain(link->tag, false);
	/* With D bits from now on, its writes must be seen anew. */
	if (READ_ONCE(od->ats)) {
		cmds[n++] = amd_cmd_fence();
		cmds[n++] = amd_cmd_device_tlb_all(od, false);
	}
	amd_submit(unit, cmds, n, &link->ticket);
	if (parts)
		link->ticket.errors = errors;
}

static int amd_link_wait(struct amd_link *link)
{
	struct amd_unit *unit = to_amd_unit(link->ad->core.unit);
	int tries, ret = amd_wait(unit, &link->ticket);

	for (tries = 0; ret == -EAGAIN && tries < OMNI_RETRIES; tries++) {
		amd_link_submit(link);
		ret = amd_wait(unit, &link->ticket);
	}
	return ret == -EAGAIN ? omni_give_up(&unit->core) : ret;
}

int amd_follow(struct omni_domain *core)
{
	struct amd_domain *domain = to_amd_domain(core);
	struct amd_link *link;
	unsigned long flags, word;
	int ret, err = 0;

	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	word = READ_ONCE(core->pt.word);
	list_for_each_entry(link, &domain->devices, node) {
		amd_link_refresh(link, domain);
		amd_link_submit(link);
	}
	list_for_each_entry(link, &domain->devices, node) {
		ret = amd_link_wait(link);
		err = err ?: ret;
	}
	/* Whoever has grown the tree since then sees that it is not shown. */
	if (!err)
		WRITE_ONCE(domain->shown, word);
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
	return err;
}

/* Attach */

/**
 * struct amd_target - what an attach makes of entries
 * @domain: the domain, &omni_identity, or NULL for blocked
 * @tag: its id on the unit
 */
struct amd_target {
	struct omni_domain *domain;
	u32 tag;
};

static struct amd_dte amd_target_entry(const struct omni_device *od, u16 rid,
				       const struct amd_target *to)
{
	struct amd_unit *unit = to_amd_unit(od->unit);

	if (!to->domain)
		return amd_dte_blocked(unit, rid);
	if (to->domain == &omni_identity)
		return amd_dte_identity(unit, rid);
	return amd_dte_paging(unit, rid, to_amd_domain(to->domain), to->tag, od->ats_depth);
}

/* An entry as it was before, but that the domain may have grown since then. */
static struct amd_dte amd_entry_before(const struct omni_device *od,
				       const struct omni_change *change)
{
	struct amd_dte old = amd_change_was(change);

	return od->domain ? amd_dte_refresh(old, to_amd_domain(od->domain)) : old;
}

int amd_write(struct omni_device *od, const void *to, struct omni_change *changes,
	      unsigned int *nr)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	unsigned long flags;
	unsigned int i, n = 0;

	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	for (i = 0; i < *nr; i++) {
		u16 rid = changes[i].rid;
		struct amd_dte new, old;

		new = to ? amd_target_entry(od, rid, to) : amd_entry_before(od, &changes[i]);
		old = amd_dte_swap(unit, rid, new);
		if (old.half[0] != new.half[0])
			changes[n++] = (struct omni_change) {
				.rid = rid,
				.was = { le64_to_cpu(old.data[0]), le64_to_cpu(old.data[1]) },
			};
	}
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
	*nr = n;
	return n ? amd_flush_changes(od, changes, n) : 0;
}

int amd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag)
{
	const struct amd_target to = { domain, tag };
	bool paging = domain && domain != &omni_identity;
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_device *ad = to_amd_device(od);
	unsigned long flags;
	int err;

	mutex_lock(&unit->attach_lock);
	/* Until caches have forgotten the old root, it has to be followed too. */
	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	ad->now = !ad->now;
	amd_link_set(&ad->links[ad->now], paging ? to_amd_domain(domain) : NULL, tag);
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);

	err = omni_write_entries(od, &to, paging);

	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	if (err && paging)
		ad->now = !ad->now;
	amd_link_set(&ad->links[!ad->now], NULL, 0);
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
	mutex_unlock(&unit->attach_lock);
	return err;
}
