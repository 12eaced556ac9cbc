// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d kit: the model's life, and the common suites' wishes in VT-d's
 * words.
 */
#include "model_vtd.h"

#include <linux/sizes.h>
#include <linux/slab.h>

#define VTD_MODEL_BASE		0xfed90000ULL
#define VTD_MODEL_UNITS		16

static DEFINE_MUTEX(vtd_models_lock);	/* protects vtd_models */
static struct vtd_model *vtd_models[VTD_MODEL_UNITS];

/* On demand */

void vtd_model_ite(struct vtd_model *m, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->base.lock, flags);
	m->ite_left = times;
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
}

void vtd_model_ice(struct vtd_model *m, u16 rid)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->base.lock, flags);
	m->fsts |= VTD_FSTS_ICE;
	m->iqercd &= ~VTD_IQERCD_ICESID;
	m->iqercd |= FIELD_PREP(VTD_IQERCD_ICESID, rid);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
}

static void vtd_kit_storm(struct omni_model *base, u16 rid, unsigned int nr)
{
	struct vtd_model *m = to_vtd_model(base);
	unsigned long flags;

	raw_spin_lock_irqsave(&base->lock, flags);
	/* Reason 5 for a write, 6 for a read (appendix A). */
	while (nr--)
		vtd_model_record(m, rid, (u64)nr << 12, nr & 1, nr & 1 ? 5 : 6);
	raw_spin_unlock_irqrestore(&base->lock, flags);
}

static bool vtd_kit_overflow(struct omni_model *base)
{
	return READ_ONCE(to_vtd_model(base)->fsts) & VTD_FSTS_PFO;
}

/* The driver's side */

static int vtd_kit_reserve(struct omni_model *base, u16 rid)
{
	return vtd_tables_reserve(to_vtd_model(base)->unit, rid);
}

static struct omni_domain *vtd_kit_domain(struct omni_model *base)
{
	return vtd_domain_create(to_vtd_model(base)->unit, NUMA_NO_NODE);
}

static void vtd_kit_claim(struct omni_model *base, struct pci_dev *pdev, bool on)
{
	struct vtd_drhd *drhd = &to_vtd_model(base)->drhd;

	drhd->segment = on ? pci_domain_nr(pdev->bus) : 0;
	drhd->include_all = on;
	if (on)
		list_add(&drhd->node, &vtd_firmware.drhds);
	else
		list_del(&drhd->node);
}

static struct omni_unit *vtd_kit_remake(struct omni_model *base)
{
	struct vtd_unit *unit = vtd_unit_create(&to_vtd_model(base)->drhd);

	return IS_ERR_OR_NULL(unit) ? ERR_CAST(unit) : &unit->core;
}

static void vtd_kit_adopt(struct omni_model *base, struct omni_unit *core)
{
	struct vtd_model *m = to_vtd_model(base);

	m->unit = to_vtd_unit(core);
	m->unit->model = m;
	m->drhd.unit = m->unit;
	base->unit = core;
	vtd_faults_create(m->unit);
}

/* A unit that was created has all that it was made for. */
static void vtd_kit_whole(struct kunit *test, struct omni_unit *core)
{
	static const u64 somewhere[] = { SZ_4K, SZ_1G + SZ_4K, SZ_4G - SZ_4K };
	const struct vtd_unit *unit = to_vtd_unit(core);
	unsigned int n;

	KUNIT_EXPECT_TRUE(test, unit->regs);
	KUNIT_EXPECT_NOT_NULL(test, unit->res);
	KUNIT_EXPECT_NOT_NULL(test, unit->root);
	if (unit->ecap & VTD_ECAP_QI) {
		KUNIT_EXPECT_NOT_NULL(test, unit->queue.ring);
		KUNIT_EXPECT_NOT_NULL(test, unit->queue.status);
	}
	if (unit->ecap & VTD_ECAP_PT)
		return;
	KUNIT_ASSERT_NOT_NULL(test, unit->identity);
	for (n = 0; n < ARRAY_SIZE(somewhere); n++)
		KUNIT_EXPECT_EQ(test, somewhere[n],
				vtd_domain_ops.iova_to_phys(&unit->identity->iommu, somewhere[n]));
}

/* The queue */

static void vtd_kit_lower(struct omni_model *base, const struct omni_command *cmds,
			  unsigned int nr, void *lowered)
{
	struct vtd_model *m = to_vtd_model(base);
	struct vtd_desc *descs = lowered;
	unsigned int i, lg2;

	for (i = 0; i < nr; i++) {
		const struct omni_command *c = &cmds[i];

		lg2 = c->last == U64_MAX ? 64 - VTD_PAGE_LG2 : fls64(c->first ^ c->last);
		switch (c->kind) {
		case OMNI_CMD_PAGES:
			descs[i] = vtd_desc_iotlb(m->unit, VTD_G_PAGE, c->tag, c->first << 12 |
						  FIELD_PREP(VTD_IOTLB_HI_AM, lg2));
			break;
		case OMNI_CMD_DEVICE_TLB:
			descs[i] = vtd_desc_device_tlb(c->od, c->first, lg2);
			break;
		default:
			descs[i] = vtd_desc_iotlb(m->unit, VTD_G_DOMAIN, c->tag, 0);
		}
	}
}

static void vtd_kit_submit(struct omni_model *base, const void *lowered, unsigned int nr,
			   struct omni_ticket *ticket)
{
	vtd_submit(to_vtd_model(base)->unit, lowered, nr, ticket);
}

static bool vtd_kit_empty(struct omni_model *base)
{
	struct vtd_unit *unit = to_vtd_model(base)->unit;

	return vtd_read64(unit, VTD_IQH) == vtd_read64(unit, VTD_IQT);
}

/* Entries */

static unsigned int vtd_kit_entry(struct omni_model *base, u16 rid, bool coherent, u64 *words)
{
	union vtd_context *table = to_vtd_model(base)->unit->contexts[rid >> 8];
	u128 entry = omni_memory_read128(virt_to_phys(&table[rid & 0xff]), coherent);

	words[0] = entry;
	words[1] = entry >> 64;
	return 2;
}

static int vtd_kit_entry_fault(struct omni_model *base, const u64 *words, const char **why)
{
	int reason = vtd_model_context_fault(to_vtd_model(base), words[0], words[1], why);

	/* Appendix A, 2: not present. */
	return reason == 2 ? 1 : reason ? -1 : 0;
}

/* Life */

/* What a broken unit makes the driver leak: nobody uses it any more. */
struct vtd_model_leak {
	void *ring;
	void *status;
	void *root;
	void *contexts[256];
};

static struct vtd_model_leak *vtd_model_leaks(const struct vtd_unit *unit)
{
	struct vtd_model_leak *leak;

	if (!unit->core.queue.dead && !unit->core.broken)
		return NULL;
	leak = kzalloc(sizeof(*leak), GFP_KERNEL);
	if (!leak)
		return NULL;
	if (unit->core.queue.dead) {
		leak->ring = unit->queue.ring;
		leak->status = unit->queue.status;
	}
	if (unit->core.broken) {
		leak->root = unit->root;
		memcpy(leak->contexts, unit->contexts, sizeof(leak->contexts));
	}
	return leak;
}

static void vtd_model_free_leaks(struct vtd_model_leak *leak)
{
	unsigned int i;

	if (!leak)
		return;
	free_page((unsigned long)leak->ring);
	kfree(leak->status);
	free_page((unsigned long)leak->root);
	for (i = 0; i < ARRAY_SIZE(leak->contexts); i++)
		free_page((unsigned long)leak->contexts[i]);
	kfree(leak);
}

static void vtd_kit_end(struct omni_model *base)
{
	struct vtd_model *m = to_vtd_model(base);
	struct vtd_model_leak *leak;

	irq_work_sync(&m->irq_work);
	leak = vtd_model_leaks(m->unit);
	vtd_unit_destroy(&m->unit->core);
	vtd_model_free_leaks(leak);
}

static void vtd_model_free(struct vtd_model *m)
{
	unsigned int i = m->drhd.index;

	mutex_lock(&vtd_models_lock);
	if (i < VTD_MODEL_UNITS && vtd_models[i] == m)
		vtd_models[i] = NULL;
	mutex_unlock(&vtd_models_lock);
	kvfree(m);
}

static void vtd_kit_free(struct omni_model *base)
{
	vtd_model_free(to_vtd_model(base));
}

static bool vtd_kit_on(struct omni_model *base)
{
	return to_vtd_model(base)->gsts & VTD_G_TE;
}

static const struct omni_model_ops vtd_model_ops = {
	.on = vtd_kit_on,
	.freed = vtd_model_freed,
	.step = vtd_model_step,
	.end = vtd_kit_end,
	.free = vtd_kit_free,
	.dma = vtd_model_dma,
	.reserve = vtd_kit_reserve,
	.domain = vtd_kit_domain,
	.claim = vtd_kit_claim,
	.remake = vtd_kit_remake,
	.whole = vtd_kit_whole,
	.adopt = vtd_kit_adopt,
	.storm = vtd_kit_storm,
	.overflow = vtd_kit_overflow,
	.lower = vtd_kit_lower,
	.submit = vtd_kit_submit,
	.empty = vtd_kit_empty,
	.entry = vtd_kit_entry,
	.entry_fault = vtd_kit_entry_fault,
};

struct vtd_model *vtd_model_of(const struct vtd_unit *unit)
{
	u64 i = (unit->drhd->base - VTD_MODEL_BASE) / SZ_4K;

	return unit->model ?: i < VTD_MODEL_UNITS ? vtd_models[i] : NULL;
}

static int vtd_model_take_index(struct vtd_model *m)
{
	unsigned int i;

	mutex_lock(&vtd_models_lock);
	for (i = 0; i < VTD_MODEL_UNITS; i++)
		if (!vtd_models[i])
			break;
	if (i < VTD_MODEL_UNITS)
		vtd_models[i] = m;
	mutex_unlock(&vtd_models_lock);
	m->drhd.index = i;
	m->drhd.base = VTD_MODEL_BASE + i * SZ_4K;
	return i < VTD_MODEL_UNITS ? 0 : -ENOSPC;
}

struct vtd_model *vtd_model_create(struct kunit *test,
				   const struct vtd_model_config *config)
{
	struct vtd_model *m = kvzalloc(sizeof(*m), GFP_KERNEL);
	struct omni_unit *unit;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->config = *config;
	m->config.cap = config->cap ?: VTD_MODEL_CAP;
	m->config.ecap = config->ecap ?: VTD_MODEL_ECAP;
	m->base.evict = config->evict;
	m->base.speculate = config->speculate;
	init_irq_work(&m->irq_work, vtd_model_irq);
	m->fectl = VTD_FECTL_IM;
	m->drhd.size = SZ_4K;
	m->drhd.numa_node = NUMA_NO_NODE;
	INIT_LIST_HEAD(&m->drhd.scopes);
	if (vtd_model_take_index(m) ||
	    omni_model_init(test, &m->base, &vtd_model_ops, config->name ?: "VT-d model")) {
		vtd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "no memory for a model");
	}

	unit = vtd_kit_remake(&m->base);
	if (IS_ERR_OR_NULL(unit)) {
		omni_model_fini(&m->base);
		vtd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "the model was refused (%ld)", PTR_ERR(unit));
	}
	vtd_kit_adopt(&m->base, unit);
	omni_model_start(&m->base);
	return m;
}

/* What a trait takes away from an ordinary unit, and what it adds. */
static const struct {
	u64 cap_off, cap_on, ecap_off;
} vtd_traits[] = {
	[ilog2(OMNI_CACHES_ABSENT)] = { .cap_on = VTD_CAP_CM },
	[ilog2(OMNI_WRITE_BUFFER)] = { .cap_on = VTD_CAP_RWBF },
	[ilog2(OMNI_NO_SNOOP_WALKS)] = { .ecap_off = VTD_ECAP_C },
	[ilog2(OMNI_NO_PAGE_COMMAND)] = { .cap_off = VTD_CAP_PSI },
	[ilog2(OMNI_NO_QUEUE)] = { .ecap_off = VTD_ECAP_QI | VTD_ECAP_DT },
	[ilog2(OMNI_NO_PASS_THROUGH)] = { .ecap_off = VTD_ECAP_PT },
	[ilog2(OMNI_NO_ENFORCE)] = { .ecap_off = VTD_ECAP_SC },
	[ilog2(OMNI_NARROW_WALKS)] = {
		.cap_off = VTD_CAP_SAGAW,
		.cap_on = FIELD_PREP_CONST(VTD_CAP_SAGAW, VTD_SAGAW_39),
	},
	[ilog2(OMNI_WIDE_WALKS)] = {
		.cap_off = VTD_CAP_SAGAW,
		.cap_on = FIELD_PREP_CONST(VTD_CAP_SAGAW, VTD_SAGAW_48),
	},
	[ilog2(OMNI_NARROW_ADDRESSES)] = {
		.cap_off = VTD_CAP_MGAW,
		.cap_on = FIELD_PREP_CONST(VTD_CAP_MGAW, 46),
	},
	[ilog2(OMNI_MIDDLE_LEAVES)] = {
		.cap_off = VTD_CAP_SLLPS,
		.cap_on = FIELD_PREP_CONST(VTD_CAP_SLLPS, VTD_SLLPS_2M),
	},
	[ilog2(OMNI_SMALL_LEAVES)] = { .cap_off = VTD_CAP_SLLPS },
	[ilog2(OMNI_FEW_TAGS)] = { .cap_off = VTD_CAP_ND },
};

static struct omni_model *vtd_kit_create(struct kunit *test, const struct omni_variant *variant)
{
	struct vtd_model_config config = {
		.name = variant->name,
		.cap = VTD_MODEL_CAP,
		.ecap = VTD_MODEL_ECAP,
		.evict = variant->evict,
		.speculate = variant->speculate,
	};
	unsigned int i;

	for_each_set_bit(i, &variant->traits, ARRAY_SIZE(vtd_traits)) {
		config.cap &= ~vtd_traits[i].cap_off;
		config.cap |= vtd_traits[i].cap_on;
		config.ecap &= ~vtd_traits[i].ecap_off;
	}
	return &vtd_model_create(test, &config)->base;
}

const struct omni_kit vtd_kit = {
	.name = "vtd",
	.wing = &vtd_wing,
	.able = (BIT(ARRAY_SIZE(vtd_traits)) - 1) | OMNI_ENFORCES | OMNI_TRACKS,
	.submit_max = OMNI_SUBMIT_MAX,
	.queue_size = VTD_QUEUE_SIZE,
	.deadline_ms = OMNI_DEADLINE_MS,
	.stall_look = 6,
	.cover_max = VTD_MODEL_MAMV,
	.roots = 1,
	.entry_parts = 1,
	.create = vtd_kit_create,
};
