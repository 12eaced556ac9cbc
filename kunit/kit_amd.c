// SPDX-License-Identifier: GPL-2.0-only
/*
 * The AMD-Vi kit: the model's life, and the common suites' wishes in AMD's
 * words.
 */
#include "model_amd.h"

#include <linux/slab.h>

#define AMD_MODEL_BASE		0xfeda0000ULL
#define AMD_MODEL_UNITS		16
/* Device IDs that its device table has entries for. */
#define AMD_MODEL_LAST		0x57ff

static DEFINE_MUTEX(amd_models_lock);	/* protects amd_models */
static struct amd_model *amd_models[AMD_MODEL_UNITS];

bool amd_wants_v2(const struct amd_unit *unit)
{
	return amd_model_of(unit) && amd_model_of(unit)->config.v2;
}

/* On demand */

void amd_model_iotlb(struct amd_model *m, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->base.lock, flags);
	m->iotlb_left = times;
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
}

static void amd_kit_storm(struct omni_model *base, u16 rid, unsigned int nr)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&base->lock, flags);
	/* 2.5.3, bit 53: a write. */
	while (nr--)
		amd_model_fault(to_amd_model(base), rid, 0, (u64)nr << 12,
				nr & 1 ? BIT_ULL(53) : 0);
	raw_spin_unlock_irqrestore(&base->lock, flags);
}

static bool amd_kit_overflow(struct omni_model *base)
{
	return READ_ONCE(to_amd_model(base)->status) & AMD_STATUS_EVENT_OVERFLOW;
}

/* The driver's side */

static int amd_kit_reserve(struct omni_model *base, u16 rid)
{
	set_bit(rid, to_amd_model(base)->known);
	return rid <= AMD_MODEL_LAST ? 0 : -ERANGE;
}

static void amd_kit_device(struct omni_device *od)
{
	struct amd_device *ad = to_amd_device(od);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ad->links); i++) {
		INIT_LIST_HEAD(&ad->links[i].node);
		ad->links[i].ad = ad;
	}
}

static struct omni_domain *amd_kit_domain(struct omni_model *base)
{
	struct amd_unit *unit = to_amd_model(base)->unit;

	return amd_domain_create(unit, unit->v2, NUMA_NO_NODE);
}

static struct omni_domain *amd_v2_kit_other(struct omni_model *base)
{
	return amd_domain_create(to_amd_model(base)->unit, false, NUMA_NO_NODE);
}

static void amd_kit_claim(struct omni_model *base, struct pci_dev *pdev, bool on)
{
	struct amd_ivhd *ivhd = &to_amd_model(base)->ivhd;

	ivhd->segment = on ? pci_domain_nr(pdev->bus) : 0;
	if (on)
		list_add(&ivhd->node, &amd_firmware.ivhds);
	else
		list_del(&ivhd->node);
}

static struct omni_unit *amd_kit_remake(struct omni_model *base)
{
	struct amd_unit *unit = amd_unit_create(&to_amd_model(base)->ivhd);

	return IS_ERR_OR_NULL(unit) ? ERR_CAST(unit) : &unit->core;
}

static void amd_kit_adopt(struct omni_model *base, struct omni_unit *core)
{
	struct amd_model *m = to_amd_model(base);

	m->unit = to_amd_unit(core);
	m->unit->model = m;
	m->ivhd.unit = m->unit;
	base->unit = core;
}

/* A unit that was created has all that it was made for. */
static void amd_kit_whole(struct kunit *test, struct omni_unit *core)
{
	const struct amd_unit *unit = to_amd_unit(core);

	KUNIT_EXPECT_TRUE(test, unit->regs);
	KUNIT_EXPECT_NOT_NULL(test, unit->res);
	KUNIT_EXPECT_NOT_NULL(test, unit->table);
	KUNIT_EXPECT_NOT_NULL(test, unit->nothing);
	KUNIT_EXPECT_NOT_NULL(test, unit->queue.ring);
	KUNIT_EXPECT_NOT_NULL(test, unit->queue.done);
	KUNIT_EXPECT_NOT_NULL(test, unit->log.ring);
}

/* The queue */

static u64 amd_kit_where(const struct omni_command *c)
{
	unsigned int lg2 = fls64(c->first ^ c->last);

	if (c->last == U64_MAX)
		return 1 | GENMASK_ULL(62, 12);
	if (!lg2)
		return c->first << 12;
	/* The lowest clear bit is the highest of the offset. */
	return 1 | (c->first >> lg2 << lg2 | (BIT_ULL(lg2 - 1) - 1)) << 12;
}

static void amd_kit_lower(struct omni_model *base, const struct omni_command *cmds,
			  unsigned int nr, void *lowered)
{
	struct amd_cmd *descs = lowered;
	bool v2 = to_amd_model(base)->unit->v2;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct omni_command *c = &cmds[i];

		switch (c->kind) {
		case OMNI_CMD_PAGES:
			descs[i] = amd_cmd_pages(c->tag, amd_kit_where(c) | (v2 ? 4 : 0));
			break;
		case OMNI_CMD_DEVICE_TLB:
			descs[i] = amd_cmd_device_tlb(c->od, amd_kit_where(c) | (v2 ? 4 : 0));
			break;
		default:
			descs[i] = amd_cmd_domain(c->tag, v2);
		}
	}
}

static void amd_kit_submit(struct omni_model *base, const void *lowered, unsigned int nr,
			   struct omni_ticket *ticket)
{
	amd_submit(to_amd_model(base)->unit, lowered, nr, ticket);
}

static bool amd_kit_empty(struct omni_model *base)
{
	struct amd_unit *unit = to_amd_model(base)->unit;

	return amd_read64(unit, AMD_CMD_HEAD) == amd_read64(unit, AMD_CMD_TAIL);
}

/* Entries */

static unsigned int amd_kit_entry(struct omni_model *base, u16 rid, bool coherent, u64 *words)
{
	struct amd_model *m = to_amd_model(base);

	amd_model_dte_read(virt_to_phys(m->unit->table), rid, coherent, words);
	return 4;
}

static int amd_kit_entry_fault(struct omni_model *base, const u64 *words, const char **why)
{
	return amd_model_dte_fault(to_amd_model(base), words, why);
}

/* Life */

/* What a broken unit makes the driver leak: nobody uses it any more. */
struct amd_model_leak {
	void *ring;
	void *done;
	void *log;
	void *table;
	unsigned int table_lg2;
	void *nothing;
};

static struct amd_model_leak amd_model_leaks(const struct amd_unit *unit)
{
	struct amd_model_leak leak = { };

	if (unit->core.queue.dead) {
		leak.ring = unit->queue.ring;
		leak.done = unit->queue.done;
	}
	if (unit->core.broken) {
		leak.log = unit->log.ring;
		leak.table = unit->table;
		leak.table_lg2 = unit->table_lg2;
		leak.nothing = unit->nothing;
	}
	return leak;
}

static void amd_kit_end(struct omni_model *base)
{
	struct amd_model *m = to_amd_model(base);
	struct amd_model_leak leak;

	irq_work_sync(&m->irq_work);
	leak = amd_model_leaks(m->unit);
	amd_unit_destroy(&m->unit->core);
	free_page((unsigned long)leak.ring);
	kfree(leak.done);
	free_page((unsigned long)leak.log);
	free_pages((unsigned long)leak.table, leak.table_lg2);
	free_page((unsigned long)leak.nothing);
}

static void amd_model_free(struct amd_model *m)
{
	unsigned int i = m->index;

	mutex_lock(&amd_models_lock);
	if (i < AMD_MODEL_UNITS && amd_models[i] == m)
		amd_models[i] = NULL;
	mutex_unlock(&amd_models_lock);
	kvfree(m);
}

static void amd_kit_free(struct omni_model *base)
{
	amd_model_free(to_amd_model(base));
}

static bool amd_kit_on(struct omni_model *base)
{
	return amd_model_on(to_amd_model(base));
}

static const struct omni_model_ops amd_model_ops = {
	.on = amd_kit_on,
	.freed = amd_model_freed,
	.step = amd_model_step,
	.end = amd_kit_end,
	.free = amd_kit_free,
	.dma = amd_model_dma,
	.reserve = amd_kit_reserve,
	.device = amd_kit_device,
	.domain = amd_kit_domain,
	.claim = amd_kit_claim,
	.remake = amd_kit_remake,
	.whole = amd_kit_whole,
	.adopt = amd_kit_adopt,
	.storm = amd_kit_storm,
	.overflow = amd_kit_overflow,
	.lower = amd_kit_lower,
	.submit = amd_kit_submit,
	.empty = amd_kit_empty,
	.entry = amd_kit_entry,
	.entry_fault = amd_kit_entry_fault,
};

struct amd_model *amd_model_of(const struct amd_unit *unit)
{
	u64 i = (unit->ivhd->base - AMD_MODEL_BASE) / AMD_REGS_SIZE;

	return unit->model ?: i < AMD_MODEL_UNITS ? amd_models[i] : NULL;
}

static int amd_model_take_index(struct amd_model *m)
{
	unsigned int i;

	mutex_lock(&amd_models_lock);
	for (i = 0; i < AMD_MODEL_UNITS; i++)
		if (!amd_models[i])
			break;
	if (i < AMD_MODEL_UNITS)
		amd_models[i] = m;
	mutex_unlock(&amd_models_lock);
	m->index = i;
	m->ivhd.index = i;
	m->ivhd.base = AMD_MODEL_BASE + i * AMD_REGS_SIZE;
	return i < AMD_MODEL_UNITS ? 0 : -ENOSPC;
}

static void amd_model_firmware(struct amd_model *m)
{
	m->ivhd.type = 0x11;
	m->ivhd.flags = m->config.flags | AMD_IVHD_COHERENT | AMD_IVHD_IOTLB;
	/* No PCI device of this machine has this ID: the capability block is the model's. */
	m->ivhd.devid = 0xfff8;
	m->ivhd.cap = 0x40;
	m->ivhd.efr = m->config.efr;
	m->ivhd.last_devid = AMD_MODEL_LAST;
	INIT_LIST_HEAD(&m->ivhd.devids);
	INIT_LIST_HEAD(&m->ivhd.specials);
	INIT_LIST_HEAD(&m->ivhd.hids);
	m->devids.last = AMD_MODEL_LAST;
	/* 5.2.2.5: bits 5:4, 1 for messages. */
	m->devids.settings = m->config.sysmgt ? 1 << 4 : 0;
	list_add(&m->devids.node, &m->ivhd.devids);
}

struct amd_model *amd_model_create(struct kunit *test, const struct amd_model_config *config)
{
	struct amd_model *m = kvzalloc(sizeof(*m), GFP_KERNEL);
	struct omni_unit *unit;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->config = *config;
	m->config.efr = config->efr ?: AMD_MODEL_EFR;
	m->config.cap = config->cap ?: AMD_MODEL_CAP;
	m->base.evict = config->evict;
	m->base.speculate = config->speculate;
	init_irq_work(&m->irq_work, amd_model_irq);
	/* As earlier users may have left them. */
	m->cmd_head = 5;
	m->cmd_tail = 5;
	m->evt_head = 3;
	m->evt_tail = 7;
	if (amd_model_take_index(m) ||
	    omni_model_init(test, &m->base, &amd_model_ops, config->name ?: "AMD-Vi model")) {
		amd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "no memory for a model");
	}
	amd_model_firmware(m);

	unit = amd_kit_remake(&m->base);
	if (IS_ERR_OR_NULL(unit)) {
		omni_model_fini(&m->base);
		amd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "the model was refused (%ld)", PTR_ERR(unit));
	}
	amd_kit_adopt(&m->base, unit);
	omni_model_start(&m->base);
	return m;
}

static struct omni_model *amd_kit_create_as(struct kunit *test,
					    const struct omni_variant *variant, bool v2)
{
	struct amd_model_config config = {
		.name = variant->name,
		.efr = AMD_MODEL_EFR | (v2 ? AMD_MODEL_EFR_V2 : 0),
		.cap = AMD_MODEL_CAP,
		.v2 = v2,
		.evict = variant->evict,
		.speculate = variant->speculate,
	};

	if (variant->traits & OMNI_CACHES_ABSENT)
		config.cap |= AMD_MODEL_CAP_NP;
	/* HATS: four levels. */
	if (variant->traits & OMNI_NARROW_WALKS)
		config.efr &= ~(3ULL << 10);
	if (variant->traits & OMNI_NARROW_ADDRESSES)
		config.va_bits = 47;
	if (variant->traits & OMNI_DIRTY)
		config.efr |= AMD_MODEL_EFR_HA | AMD_MODEL_EFR_HD;
	return &amd_model_create(test, &config)->base;
}

static struct omni_model *amd_kit_create(struct kunit *test, const struct omni_variant *variant)
{
	return amd_kit_create_as(test, variant, false);
}

static struct omni_model *amd_v2_kit_create(struct kunit *test,
					    const struct omni_variant *variant)
{
	return amd_kit_create_as(test, variant, true);
}

const struct omni_kit amd_kit = {
	.name = "amd",
	.wing = &amd_wing,
	.able = OMNI_CACHES_ABSENT | OMNI_NARROW_WALKS | OMNI_NARROW_ADDRESSES | OMNI_DIRTY |
		OMNI_ENFORCES,
	.submit_max = OMNI_SUBMIT_MAX,
	.queue_size = AMD_RING_SIZE,
	.deadline_ms = OMNI_DEADLINE_MS,
	.stall_look = 6,
	/* Bits 12 to 51 tell addresses and sizes. */
	.cover_max = 51 - 12,
	.roots = 1,
	.entry_parts = 2,
	.create = amd_kit_create,
};

/* The same unit, whose domains get guest page tables. */
const struct omni_kit amd_v2_kit = {
	.name = "amd_v2",
	.wing = &amd_wing,
	.able = OMNI_CACHES_ABSENT | OMNI_TRACKS,
	.few = true,
	.submit_max = OMNI_SUBMIT_MAX,
	.queue_size = AMD_RING_SIZE,
	.deadline_ms = OMNI_DEADLINE_MS,
	.stall_look = 6,
	.cover_max = 51 - 12,
	/* And a GCR3 table. */
	.roots = 2,
	.entry_parts = 2,
	.create = amd_v2_kit_create,
	.other = amd_v2_kit_other,
};
