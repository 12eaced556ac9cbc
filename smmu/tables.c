// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stream table and context descriptors (IHI 0070, 3.3, 3.21, 5.1 to 5.4):
 * entries and transitions.
 *
 * Stage 1. Everything that tells blocked, identity and one domain from another
 * is in the first 64 bits of an entry: validity, kind, and the address of the
 * domain's context descriptor. The other fields say the same in every state
 * of a stream. So each transition, also from one paging domain to another
 * under running DMA, is one store of a width the unit reads at once (S3). A
 * context descriptor belongs to a domain's tag, never changes while an entry
 * points to it, and goes when no entry does.
 *
 * Stage 2 has its table and VMID in the entry itself. They are written while
 * the entry does not use them: one stage 2 domain gives way to another by way
 * of a blocked entry.
 *
 * After the entries of a device have changed, what the unit caches of them is
 * invalidated, and then what TLBs hold under the tag that was left, taken
 * from the old entries themselves.
 */
#include "smmu.h"

#include <linux/slab.h>

/* A linear table, or a first level, serves no more bits of stream ID. */
#define SMMU_LINEAR_BITS	16
#define SMMU_L1_BITS		(SMMU_SPLIT + 17)

/**
 * struct smmu_image - what transitions change of an entry
 * @config: first 64 bits: validity, kind, context descriptor
 * @vmid: third: VMID and shape of a stage 2 table
 * @root: fourth: its root
 */
struct smmu_image {
	u64 config;
	u64 vmid;
	u64 root;
};

static void *smmu_table_alloc(struct smmu_unit *unit, size_t size)
{
	void *table = alloc_pages_exact(PAGE_ALIGN(size), GFP_KERNEL | __GFP_ZERO);

	if (table)
		smmu_clean(unit, table, size);
	return table;
}

static void smmu_table_free(void *table, size_t size)
{
	if (table)
		free_pages_exact(table, PAGE_ALIGN(size));
}

static size_t smmu_l2_size(const struct smmu_unit *unit)
{
	return (unit->l1 ? SMMU_L2_ENTRIES : BIT(unit->sid_bits)) * sizeof(struct smmu_ste);
}

int smmu_tables_create(struct smmu_unit *unit)
{
	bool two_level = FIELD_GET(SMMU_IDR0_ST_LEVEL, unit->idr0) == SMMU_ST_TWO_LEVEL &&
			 unit->sid_bits > SMMU_SPLIT;

	unit->sid_bits = min(unit->sid_bits, two_level ? SMMU_L1_BITS : SMMU_LINEAR_BITS);
	unit->nr_l2 = two_level ? BIT(unit->sid_bits - SMMU_SPLIT) : 1;
	unit->l2 = kvcalloc(unit->nr_l2, sizeof(*unit->l2), GFP_KERNEL);
	unit->cds = kvcalloc(unit->core.tag_last / SMMU_CDS_A_PAGE + 1, sizeof(*unit->cds),
			     GFP_KERNEL);
	if (!unit->l2 || !unit->cds)
		return -ENOMEM;
	if (two_level) {
		unit->l1 = smmu_table_alloc(unit, unit->nr_l2 * sizeof(*unit->l1));
		return unit->l1 ? 0 : -ENOMEM;
	}
	unit->l2[0] = smmu_table_alloc(unit, smmu_l2_size(unit));
	return unit->l2[0] ? 0 : -ENOMEM;
}

void smmu_tables_destroy(struct smmu_unit *unit)
{
	unsigned int i;

	/* A broken unit may still read them (S2). */
	if (unit->core.broken)
		return;
	for (i = 0; unit->cds && i <= unit->core.tag_last / SMMU_CDS_A_PAGE; i++)
		free_page((unsigned long)unit->cds[i]);
	kvfree(unit->cds);
	for (i = 0; unit->l2 && i < unit->nr_l2; i++)
		smmu_table_free(unit->l2[i], smmu_l2_size(unit));
	smmu_table_free(unit->l1, unit->nr_l2 * sizeof(*unit->l1));
	kvfree(unit->l2);
}

void smmu_tables_setup(struct smmu_unit *unit)
{
	void *base = unit->l1 ?: (void *)unit->l2[0];
	u32 cfg = FIELD_PREP(SMMU_STRTAB_LOG2SIZE, unit->sid_bits);

	if (unit->l1)
		cfg |= FIELD_PREP(SMMU_STRTAB_FMT, SMMU_ST_TWO_LEVEL) |
		       FIELD_PREP(SMMU_STRTAB_SPLIT, SMMU_SPLIT);
	smmu_write64(unit, SMMU_STRTAB_BASE, SMMU_STRTAB_BASE_RA | virt_to_phys(base));
	smmu_write32(unit, SMMU_STRTAB_BASE_CFG, cfg);
}

struct smmu_ste *smmu_ste(struct smmu_unit *unit, u32 sid)
{
	if (!unit->l1)
		return &unit->l2[0][sid];
	return &unit->l2[sid >> SMMU_SPLIT][sid & (SMMU_L2_ENTRIES - 1)];
}

static u64 smmu_config(unsigned int config)
{
	return SMMU_STE0_V | FIELD_PREP(SMMU_STE0_CONFIG, config);
}

static unsigned int smmu_config_of(u64 config)
{
	return FIELD_GET(SMMU_STE0_CONFIG, config);
}

/* What is the same in every state of a stream; ignored where it has no use. */
static u64 smmu_ste_constant(const struct smmu_unit *unit, bool ats)
{
	unsigned int walk = unit->coherent ? SMMU_WALK_CACHED : SMMU_WALK_UNCACHED;
	unsigned int share = unit->coherent ? SMMU_SH_INNER : SMMU_SH_OUTER;
	u64 q = FIELD_PREP(SMMU_STE1_S1CIR, walk) | FIELD_PREP(SMMU_STE1_S1COR, walk) |
		FIELD_PREP(SMMU_STE1_S1CSH, share);

	if (FIELD_GET(SMMU_IDR0_STALL_MODEL, unit->idr0) == SMMU_STALL_OPTIONAL)
		q |= SMMU_STE1_S1STALLD;
	if (unit->idr1 & SMMU_IDR1_ATTR_TYPES_OVR)
		q |= FIELD_PREP(SMMU_STE1_SHCFG, SMMU_SHCFG_INCOMING);
	if (ats)
		q |= FIELD_PREP(SMMU_STE1_EATS, SMMU_EATS_ON);
	return q;
}

static int smmu_sync_entry(struct smmu_unit *unit, u32 sid, bool leaf)
{
	struct smmu_cmd cmd = smmu_cmd(SMMU_OP_CFGI_STE, sid, leaf ? SMMU_CFGI_HI_LEAF : 0);

	return unit->core.queue.on ? omni_submit_wait(&unit->core, &cmd, 1) : 0;
}

static void smmu_store(struct smmu_unit *unit, __le64 *q, u64 value)
{
	WRITE_ONCE(*q, cpu_to_le64(value));
	smmu_clean(unit, q, sizeof(*q));
}

/* A table of the second level comes into being, refusing as its absence did. */
static int smmu_reserve_l2(struct smmu_unit *unit, u32 sid)
{
	unsigned int at = sid >> SMMU_SPLIT;
	struct smmu_ste *table;

	if (!unit->l1 || unit->l2[at])
		return 0;
	table = smmu_table_alloc(unit, smmu_l2_size(unit));
	if (!table)
		return -ENOMEM;
	unit->l2[at] = table;
	/* The unit must not find the table before its zeroes. */
	wmb();
	smmu_store(unit, &unit->l1[at], virt_to_phys(table) |
		   FIELD_PREP(SMMU_L1STD_SPAN, SMMU_SPLIT + 1));
	return smmu_sync_entry(unit, sid, false);
}

static int smmu_reserve(struct smmu_unit *unit, u32 sid, bool ats, unsigned int config)
{
	u64 constant = smmu_ste_constant(unit, ats), was;
	struct smmu_ste *ste;
	int ret;

	lockdep_assert_held(&unit->tables_lock);
	if (sid >> unit->sid_bits) {
		pr_err("%s: stream ID %#x is beyond its %u bits\n", unit->core.name, sid,
		       unit->sid_bits);
		return -ERANGE;
	}
	ret = smmu_reserve_l2(unit, sid);
	if (ret)
		return ret;
	ste = smmu_ste(unit, sid);
	was = le64_to_cpu(ste->q[0]);
	if (smmu_config_of(was) != SMMU_CONFIG_S1 && smmu_config_of(was) != SMMU_CONFIG_S2 &&
	    le64_to_cpu(ste->q[1]) != constant) {
		smmu_store(unit, &ste->q[1], constant);
		ret = smmu_sync_entry(unit, sid, true);
		if (ret)
			return ret;
	}
	if (was & SMMU_STE0_V)
		return 0;
	smmu_store(unit, &ste->q[0], smmu_config(config));
	return smmu_sync_entry(unit, sid, true);
}

int smmu_tables_reserve(struct smmu_unit *unit, u32 sid, bool ats)
{
	int ret;

	mutex_lock(&unit->tables_lock);
	ret = smmu_reserve(unit, sid, ats, SMMU_CONFIG_ABORT);
	mutex_unlock(&unit->tables_lock);
	return ret;
}

int smmu_tables_open(struct smmu_unit *unit, u32 sid)
{
	int ret;

	mutex_lock(&unit->tables_lock);
	ret = smmu_reserve(unit, sid, false, SMMU_CONFIG_BYPASS);
	mutex_unlock(&unit->tables_lock);
	return ret;
}

static void smmu_note_user(struct omni_device *od, void *arg)
{
	*(bool *)arg = od;
}

int smmu_tables_close(struct smmu_unit *unit, u32 sid)
{
	bool used = false;
	int ret = 0;

	omni_find_device(&unit->core, sid, smmu_note_user, &used);
	mutex_lock(&unit->tables_lock);
	if (!used && !(sid >> unit->sid_bits) && (!unit->l1 || unit->l2[sid >> SMMU_SPLIT]) &&
	    smmu_stream_is_open(unit, sid)) {
		smmu_store(unit, &smmu_ste(unit, sid)->q[0], smmu_config(SMMU_CONFIG_ABORT));
		ret = smmu_sync_entry(unit, sid, true);
		pr_info("%s: stream %#x is refused: its driver, which came before the module, has gone\n",
			unit->core.name, sid);
	}
	mutex_unlock(&unit->tables_lock);
	return ret;
}

bool smmu_stream_is_open(struct smmu_unit *unit, u32 sid)
{
	return smmu_config_of(le64_to_cpu(smmu_ste(unit, sid)->q[0])) == SMMU_CONFIG_BYPASS;
}

/* 5.2, 5.4: a granule in an entry or a context descriptor */
static unsigned int smmu_tg0(unsigned int granule)
{
	return granule == SMMU_16K ? SMMU_TG0_16K :
	       granule == SMMU_64K ? SMMU_TG0_64K : SMMU_TG0_4K;
}

/* The place of a tag's context descriptor; an attach does not fail for it. */
static struct smmu_cd *smmu_cd_at(struct smmu_unit *unit, u32 tag)
{
	struct smmu_cd **page = &unit->cds[tag / SMMU_CDS_A_PAGE];

	lockdep_assert_held(&unit->tables_lock);
	if (!*page)
		*page = (void *)get_zeroed_page(GFP_KERNEL | __GFP_NOFAIL);
	return &(*page)[tag % SMMU_CDS_A_PAGE];
}

/*
 * 5.4: the context descriptor of a domain's tag. One that differs is what a
 * former owner of the tag left: no entry points to it any more.
 */
static struct smmu_cd *smmu_cd_of(struct smmu_unit *unit, struct smmu_domain *domain, u32 tag)
{
	const struct omni_pt *pt = &domain->core.pt;
	unsigned int walk = pt->incoherent ? SMMU_WALK_UNCACHED : SMMU_WALK_CACHED;
	unsigned int share = pt->incoherent ? SMMU_SH_OUTER : SMMU_SH_INNER;
	struct smmu_cd *cd = smmu_cd_at(unit, tag), new = { };
	u64 q0;

	q0 = FIELD_PREP(SMMU_CD0_T0SZ, 64 - fls64(pt->last)) |
	     FIELD_PREP(SMMU_CD0_TG0, smmu_tg0(unit->granule)) |
	     FIELD_PREP(SMMU_CD0_IR0, walk) | FIELD_PREP(SMMU_CD0_OR0, walk) |
	     FIELD_PREP(SMMU_CD0_SH0, share) | SMMU_CD0_EPD1 | SMMU_CD0_V |
	     FIELD_PREP(SMMU_CD0_IPS, FIELD_GET(SMMU_IDR5_OAS, unit->idr5)) |
	     SMMU_CD0_AA64 | SMMU_CD0_R | SMMU_CD0_A | SMMU_CD0_ASET |
	     FIELD_PREP(SMMU_CD0_ASID, tag);
	if (FIELD_GET(SMMU_IDR0_STALL_MODEL, unit->idr0) == SMMU_STALL_FORCED)
		q0 |= SMMU_CD0_S;
	if (domain->core.iommu.dirty_ops)
		q0 |= SMMU_CD0_HA | SMMU_CD0_HD;
	new.q[0] = cpu_to_le64(q0);
	new.q[1] = cpu_to_le64(virt_to_phys(pt->root));
	/* In the order of SMMU_ATTR_UNCACHED, _CACHED, _DEVICE. */
	new.q[3] = cpu_to_le64(SMMU_MAIR_UNCACHED | SMMU_MAIR_CACHED << 8 |
			       SMMU_MAIR_DEVICE << 16);
	if (memcmp(cd, &new, sizeof(new))) {
		*cd = new;
		smmu_clean(unit, cd, sizeof(*cd));
	}
	return cd;
}

/* 5.2: the stage 2 part of an entry. SL0 tells the level a walk begins at. */
static void smmu_image_stage2(struct smmu_unit *unit, const struct smmu_domain *domain,
			      u32 tag, struct smmu_image *image)
{
	const struct omni_pt *pt = &domain->core.pt;
	unsigned int walk = pt->incoherent ? SMMU_WALK_UNCACHED : SMMU_WALK_CACHED;
	unsigned int share = pt->incoherent ? SMMU_SH_OUTER : SMMU_SH_INNER;

	image->config = smmu_config(SMMU_CONFIG_S2);
	image->vmid = FIELD_PREP(SMMU_STE2_S2VMID, tag) |
		      FIELD_PREP(SMMU_STE2_S2T0SZ, 64 - fls64(pt->last)) |
		      FIELD_PREP(SMMU_STE2_S2SL0, pt->top - (unit->granule == SMMU_4K)) |
		      FIELD_PREP(SMMU_STE2_S2TG, smmu_tg0(unit->granule)) |
		      FIELD_PREP(SMMU_STE2_S2IR0, walk) | FIELD_PREP(SMMU_STE2_S2OR0, walk) |
		      FIELD_PREP(SMMU_STE2_S2SH0, share) |
		      FIELD_PREP(SMMU_STE2_S2PS, FIELD_GET(SMMU_IDR5_OAS, unit->idr5)) |
		      SMMU_STE2_S2AA64 | SMMU_STE2_S2PTW | SMMU_STE2_S2R;
	image->root = virt_to_phys(pt->root);
}

/*
 * Change one entry. What a stage 2 entry uses beside its first 64 bits is
 * written while it is not in use, with an invalidation before and behind, so
 * that no read of the entry in progress can mix the two.
 */
static int smmu_entry_change(struct smmu_unit *unit, u32 sid, const struct smmu_image *new,
			     struct smmu_image *old)
{
	struct smmu_ste *ste = smmu_ste(unit, sid);
	int ret, err = 0;

	lockdep_assert_held(&unit->tables_lock);
	*old = (struct smmu_image) {
		.config = le64_to_cpu(ste->q[0]),
		.vmid = le64_to_cpu(ste->q[2]),
		.root = le64_to_cpu(ste->q[3]),
	};
	if (smmu_config_of(new->config) == SMMU_CONFIG_S2 &&
	    (new->vmid != old->vmid || new->root != old->root)) {
		if (smmu_config_of(old->config) == SMMU_CONFIG_S2) {
			smmu_store(unit, &ste->q[0], smmu_config(SMMU_CONFIG_ABORT));
			err = smmu_sync_entry(unit, sid, true);
		}
		smmu_store(unit, &ste->q[2], new->vmid);
		smmu_store(unit, &ste->q[3], new->root);
		ret = smmu_sync_entry(unit, sid, true);
		err = err ?: ret;
	}
	/* A context descriptor or a table is complete before it can be found. */
	wmb();
	smmu_store(unit, &ste->q[0], new->config);
	return err;
}

/* The tag an entry used, 0 for none. */
static u32 smmu_image_tag(const struct smmu_image *image)
{
	const struct smmu_cd *cd;

	switch (smmu_config_of(image->config)) {
	case SMMU_CONFIG_S1:
		cd = phys_to_virt(image->config & SMMU_STE0_S1CTX);
		return FIELD_GET(SMMU_CD0_ASID, le64_to_cpu(cd->q[0]));
	case SMMU_CONFIG_S2:
		return FIELD_GET(SMMU_STE2_S2VMID, image->vmid);
	default:
		return 0;
	}
}

static struct smmu_image smmu_change_was(const struct omni_change *change)
{
	return (struct smmu_image) {
		.config = change->was[0],
		.vmid = change->was[1],
		.root = change->was[2],
	};
}

/* The tag that a changed entry used. */
static u32 smmu_change_tag(const struct omni_change *change)
{
	const struct smmu_image was = smmu_change_was(change);

	return smmu_image_tag(&was);
}

/* What has to follow a set of changed entries. */
static int smmu_flush_changes(struct omni_device *od, const struct omni_change *changes,
			      unsigned int nr)
{
	struct smmu_unit *unit = to_smmu_unit(od->unit);
	struct smmu_cmd cmds[2 * OMNI_ATTACH_BATCH + 1];
	unsigned int i, j, n = 0;
	int ret;

	for (i = 0; i < nr; i++)
		cmds[n++] = smmu_cmd(SMMU_OP_CFGI_STE, changes[i].rid, SMMU_CFGI_HI_LEAF);
	ret = omni_submit_wait(&unit->core, cmds, n);
	if (ret)
		return ret;

	/* Only now can nothing come to the TLBs any more by the old entries. */
	for (i = 0, n = 0; i < nr; i++) {
		u32 tag = smmu_change_tag(&changes[i]);

		for (j = 0; j < i && tag; j++)
			if (smmu_change_tag(&changes[j]) == tag)
				tag = 0;
		if (tag)
			cmds[n++] = smmu_cmd_all_of_tag(unit, tag);
	}
	for (i = 0; READ_ONCE(od->ats) && i < nr; i++)
		cmds[n++] = smmu_cmd_device_tlb(changes[i].rid, 0, SMMU_ATC_ALL);
	return n ? omni_submit_wait(&unit->core, cmds, n) : 0;
}

static bool smmu_same(const struct smmu_image *a, const struct smmu_image *b)
{
	if (a->config != b->config)
		return false;
	return smmu_config_of(a->config) != SMMU_CONFIG_S2 ||
	       (a->vmid == b->vmid && a->root == b->root);
}

int smmu_write(struct omni_device *od, const void *to, struct omni_change *changes,
	       unsigned int *nr)
{
	struct smmu_unit *unit = to_smmu_unit(od->unit);
	struct smmu_image new, old;
	unsigned int i, n = 0;
	int ret, err = 0;

	for (i = 0; i < *nr; i++) {
		u32 sid = changes[i].rid;

		new = to ? *(const struct smmu_image *)to : smmu_change_was(&changes[i]);
		ret = smmu_entry_change(unit, sid, &new, &old);
		err = err ?: ret;
		if (!smmu_same(&old, &new))
			changes[n++] = (struct omni_change) {
				.rid = sid,
				.was = { old.config, old.vmid, old.root },
			};
	}
	*nr = n;
	ret = n ? smmu_flush_changes(od, changes, n) : 0;
	return err ?: ret;
}

int smmu_attach(struct omni_device *od, struct omni_domain *core, u32 tag)
{
	struct smmu_unit *unit = to_smmu_unit(od->unit);
	bool paging = core && core != &omni_identity;
	struct smmu_image new = { .config = smmu_config(SMMU_CONFIG_ABORT) };
	struct smmu_domain *domain;
	int ret;

	mutex_lock(&unit->tables_lock);
	if (paging) {
		domain = to_smmu_domain(core);
		if (domain->stage2)
			smmu_image_stage2(unit, domain, tag, &new);
		else
			new.config = smmu_config(SMMU_CONFIG_S1) |
				     virt_to_phys(smmu_cd_of(unit, domain, tag));
	} else if (core) {
		new.config = smmu_config(SMMU_CONFIG_BYPASS);
	}
	ret = omni_write_entries(od, &new, paging);
	mutex_unlock(&unit->tables_lock);
	return ret;
}
