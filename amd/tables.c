// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device table (48882 r3.08, 2.2.2): entries and transitions.
 *
 * An entry is 256 bits. All that selects a translation (V, TV, mode, root,
 * domain id, permissions) is in its lower half, which is written with one
 * 128-bit exchange, so that every transition, also from one paging domain to
 * another under running DMA, has just two states: the old entry and the new
 * one (S3). The upper half says how interrupts pass and changes only while
 * the unit is off; a valid entry is made upper half first.
 *
 * V is never 0: such an entry would let everything through. Blocked is an
 * entry that is valid, translates nothing and permits nothing (S4).
 *
 * What follows a transition is taken from the old entry: the unit forgets the
 * entry, then, behind a fence, what it has cached under the old domain id,
 * then what device TLBs have.
 *
 * A page table may grow: then the entries of the domain's devices have to
 * point to the new root before the map is over, and before anything that an
 * unmap unlinked below the old root is freed.
 */
#include "amd.h"

#include <linux/acpi.h>
#include <linux/slab.h>

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

static struct amd_dte amd_dte_paging(const struct amd_unit *unit, u16 rid,
				     const struct amd_domain *domain, u16 tag, bool device_tlb)
{
	u64 had = FIELD_PREP(AMD_DTE0_HAD, domain->dirty ? AMD_HAD_ACCESS_DIRTY : AMD_HAD_NONE);

	return amd_dte_make(amd_dte_root(READ_ONCE(domain->core.pt.word)) | had |
			    AMD_DTE0_IR | AMD_DTE0_IW,
			    amd_dte_own(unit, rid) | FIELD_PREP(AMD_DTE1_DOMAIN, tag) |
			    (device_tlb ? AMD_DTE1_I : 0));
}

/* The same entry with the root and the options its domain has now. */
static struct amd_dte amd_dte_refresh(struct amd_dte entry, const struct amd_domain *domain)
{
	u64 lo = le64_to_cpu(entry.data[0]) & ~(AMD_DTE0_ROOT | AMD_DTE0_MODE | AMD_DTE0_HAD);

	lo |= FIELD_PREP(AMD_DTE0_HAD, domain->dirty ? AMD_HAD_ACCESS_DIRTY : AMD_HAD_NONE);
	entry.data[0] = cpu_to_le64(lo | amd_dte_root(READ_ONCE(domain->core.pt.word)));
	return entry;
}

static u16 amd_dte_domain(struct amd_dte entry)
{
	return FIELD_GET(AMD_DTE1_DOMAIN, le64_to_cpu(entry.data[1]));
}

static bool amd_dte_blocks(struct amd_dte entry)
{
	return !amd_dte_domain(entry);
}

/* Write the lower half; returns what it was. */
static struct amd_dte amd_dte_swap(struct amd_unit *unit, u16 rid, struct amd_dte new)
{
	u128 *entry = &unit->table[rid].half[0];
	struct amd_dte old = { .half = { *entry } };

	lockdep_assert_held(&amd_growth_lock);
	/* Nobody else writes entries: the exchange is for its width. */
	while (!try_cmpxchg128(entry, &old.half[0], new.half[0]))
		cpu_relax();
	return old;
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
	for (i = 0; i < unit->nr_dtes; i++)
		unit->table[i].half[0] = amd_dte_blocked(unit, i).half[0];
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
	entry->data[2] = cpu_to_le64(pass);
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
		amd_tables_identity(unit, hid->devid);
		pr_info("%s: %s (ACPI, device ID %02x:%02x.%x) is not translated\n",
			unit->core.name, hid->hid, PCI_BUS_NUM(hid->devid),
			PCI_SLOT(hid->devid), PCI_FUNC(hid->devid));
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

/**
 * struct amd_change - one entry that an attach changed
 * @rid: whose
 * @old: what it was
 */
struct amd_change {
	u16 rid;
	struct amd_dte old;
};

/* What has to follow some changed entries. */
static int amd_flush_changes(struct omni_device *od, const struct amd_change *changes,
			     unsigned int nr)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_cmd cmds[2 * OMNI_ATTACH_BATCH + 2];
	unsigned int i, j, n = 0;

	for (i = 0; i < nr; i++)
		cmds[n++] = amd_cmd_devtab(changes[i].rid);
	cmds[n++] = amd_cmd_fence();
	for (i = 0; i < nr; i++) {
		u16 domain = amd_dte_domain(changes[i].old);

		for (j = 0; j < i; j++)
			if (amd_dte_domain(changes[j].old) == domain)
				break;
		/* Nothing is cached for an entry that blocks, but that it does. */
		if (j == i && (domain || unit->cap & AMD_CAP_NPCACHE))
			cmds[n++] = amd_cmd_domain(domain);
	}
	if (READ_ONCE(od->ats))
		cmds[n++] = amd_cmd_device_tlb(od, AMD_PAGES_HI_S | AMD_PAGES_HI_EVERYTHING);
	return amd_submit_wait(unit, cmds, n);
}

static int amd_flush_all_changes(struct omni_device *od, const struct amd_change *changes,
				 unsigned int nr, bool go_on)
{
	unsigned int i, n;
	int ret, err = 0;

	for (i = 0; i < nr && !(err && !go_on); i += n) {
		n = min(nr - i, OMNI_ATTACH_BATCH);
		ret = amd_flush_changes(od, &changes[i], n);
		err = err ?: ret;
	}
	return err;
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
		if (n == OMNI_SUBMIT_MAX - 3) {
			amd_submit(unit, cmds, n, &link->ticket);
			if (!parts++)
				errors = link->ticket.errors;
			n = 0;
		}
		cmds[n++] = amd_cmd_devtab(od->rids[i]);
	}
	cmds[n++] = amd_cmd_fence();
	cmds[n++] = amd_cmd_domain(link->tag);
	/* With D bits from now on, its writes must be seen anew. */
	if (READ_ONCE(od->ats))
		cmds[n++] = amd_cmd_device_tlb(od, AMD_PAGES_HI_S | AMD_PAGES_HI_EVERYTHING);
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

/* Write the entries of @nr IDs in @changes; returns how many there changed. */
static unsigned int amd_write_entries(struct omni_device *od, struct omni_domain *domain,
				      u32 tag, struct amd_change *changes, unsigned int nr)
{
	struct amd_unit *unit = to_amd_unit(od->unit);
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++) {
		u16 rid = changes[i].rid;
		struct amd_dte new, old;

		if (!domain)
			new = amd_dte_blocked(unit, rid);
		else if (domain == &omni_identity)
			new = amd_dte_identity(unit, rid);
		else
			new = amd_dte_paging(unit, rid, to_amd_domain(domain), tag,
					     od->ats_depth);
		old = amd_dte_swap(unit, rid, new);
		if (old.half[0] != new.half[0])
			changes[n++] = (struct amd_change){ rid, old };
	}
	return n;
}

/* Put entries back as they were, and forget what is cached of the new ones. */
static void amd_revert(struct omni_device *od, struct amd_change *changes, unsigned int nr)
{
	struct amd_device *ad = to_amd_device(od);
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_domain *before = NULL;
	unsigned long flags;
	unsigned int i;

	if (od->domain)
		before = to_amd_domain(od->domain);
	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	for (i = 0; i < nr; i++) {
		/* The domain that was left may have grown since then. */
		if (before)
			changes[i].old = amd_dte_refresh(changes[i].old, before);
		changes[i].old = amd_dte_swap(unit, changes[i].rid, changes[i].old);
	}
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);

	amd_flush_all_changes(od, changes, nr, true);

	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	amd_link_set(&ad->links[ad->now], NULL, 0);
	ad->now = !ad->now;
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
}

/* The IDs whose entries are the device's to change. */
static unsigned int amd_own_rids(struct omni_device *od, struct amd_change *changes)
{
	unsigned int i, n = 0;

	for (i = 0; i < od->nr_rids; i++)
		/* A device that leaves takes no entry away from others. */
		if (!od->leaving || !omni_rid_shared(od, od->rids[i]))
			changes[n++].rid = od->rids[i];
	return n;
}

int amd_attach(struct omni_device *od, struct omni_domain *domain, u32 tag)
{
	bool paging = domain && domain != &omni_identity;
	struct amd_unit *unit = to_amd_unit(od->unit);
	struct amd_device *ad = to_amd_device(od);
	struct amd_change *changes;
	unsigned long flags;
	unsigned int n;
	int err;

	/* A detach can't fail. */
	changes = kmalloc_array(od->nr_rids, sizeof(*changes), GFP_KERNEL | __GFP_NOFAIL);
	/* Translation requests are refused by every other kind of entry. */
	if (!paging || !od->ats_depth)
		omni_ats_off(od);

	mutex_lock(&unit->attach_lock);
	n = amd_own_rids(od, changes);
	raw_spin_lock_irqsave(&amd_growth_lock, flags);
	/* Until caches have forgotten the old root, it has to be followed too. */
	ad->now = !ad->now;
	amd_link_set(&ad->links[ad->now], paging ? to_amd_domain(domain) : NULL, tag);
	n = amd_write_entries(od, domain, tag, changes, n);
	raw_spin_unlock_irqrestore(&amd_growth_lock, flags);

	err = amd_flush_all_changes(od, changes, n, !paging);
	if (err && paging) {
		amd_revert(od, changes, n);
	} else {
		raw_spin_lock_irqsave(&amd_growth_lock, flags);
		amd_link_set(&ad->links[!ad->now], NULL, 0);
		raw_spin_unlock_irqrestore(&amd_growth_lock, flags);
	}
	mutex_unlock(&unit->attach_lock);
	kfree(changes);

	if (paging && od->ats_depth && !err)
		omni_ats_on(od);
	return err;
}
