// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SMMUv3 kit: the model's life, the platform it lives on, and the common
 * suites' wishes in Arm's words.
 */
#include "model_smmu.h"

#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/slab.h>

#define SMMU_MODEL_BASE		0xfedb0000ULL
#define SMMU_MODEL_SIZE		0x20000ULL
#define SMMU_MODEL_UNITS	16

static DEFINE_MUTEX(smmu_models_lock);	/* protects smmu_models */
static struct smmu_model *smmu_models[SMMU_MODEL_UNITS];

/* On demand */

void smmu_model_atc(struct smmu_model *m, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->base.lock, flags);
	m->atc_left = times;
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
}

void smmu_model_abort(struct smmu_model *m, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->base.lock, flags);
	m->abort_left = times;
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
}

static void smmu_kit_storm(struct omni_model *base, u16 rid, unsigned int nr)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&base->lock, flags);
	/*
	 * 7.3.13: not mapped. Each of another page than all before: repeats, which
	 * a storm with holes in it might have, are counted but not reported.
	 */
	while (nr--) {
		base->faults++;
		smmu_model_record(to_smmu_model(base), 0x10, rid, base->faults << 12, nr & 1);
	}
	raw_spin_unlock_irqrestore(&base->lock, flags);
}

static bool smmu_kit_overflow(struct omni_model *base)
{
	struct smmu_model *m = to_smmu_model(base);

	return (READ_ONCE(m->evt_prod) ^ READ_ONCE(m->evt_cons)) >> 31;
}

/* The platform, in the place of smmu/platform.c */

struct smmu_model *smmu_model_of(const struct smmu_unit *unit)
{
	u64 i = (unit->base - SMMU_MODEL_BASE) / SMMU_MODEL_SIZE;

	return unit->model ?: i < SMMU_MODEL_UNITS ? smmu_models[i] : NULL;
}

static struct smmu_model *smmu_model_at(const struct platform_device *pdev)
{
	unsigned int i;

	for (i = 0; i < SMMU_MODEL_UNITS; i++)
		if (smmu_models[i] && smmu_models[i]->pdev == pdev)
			return smmu_models[i];
	return NULL;
}

int smmu_platform_start(const struct omni_wing *wing)
{
	return 0;
}

void smmu_platform_finish(void)
{
}

struct smmu_unit *smmu_platform_find(const struct fwnode_handle *fwnode)
{
	unsigned int i;

	for (i = 0; i < SMMU_MODEL_UNITS; i++)
		if (smmu_models[i] && fwnode == &smmu_models[i]->fwnode)
			return smmu_models[i]->unit;
	return NULL;
}

void smmu_platform_forget(struct smmu_unit *unit)
{
}

int smmu_platform_claim(struct smmu_unit *unit)
{
	struct smmu_model *m = smmu_model_at(unit->pdev);

	if (!m)
		return -ENODEV;
	unit->base = SMMU_MODEL_BASE + m->index * SMMU_MODEL_SIZE;
	unit->coherent = smmu_model_coherent(m);
	unit->page_lg2 = m->config.page_lg2 ?: PAGE_SHIFT;
	snprintf(unit->core.name, sizeof(unit->core.name), "smmu3.%pa", &unit->base);
	return 0;
}

bool smmu_can_doze(const struct smmu_unit *unit)
{
	const struct smmu_model *m = smmu_model_of(unit);

	return m && m->config.dozes;
}

/* Events are latched, so that one before it is not missed; a timer's end it, too. */
void smmu_doze(const struct smmu_unit *unit, u32 *word, u32 value)
{
	struct smmu_model *m = smmu_model_of(unit);
	unsigned long flags;
	unsigned int us;

	m->dozed++;
	for (us = 0; us < 100; us++) {
		if (word ? READ_ONCE(*word) != value : xchg(&m->event, false)) {
			m->woken++;
			return;
		}
		udelay(1);
		raw_spin_lock_irqsave(&m->base.lock, flags);
		omni_model_steps(&m->base, 1);
		raw_spin_unlock_irqrestore(&m->base.lock, flags);
	}
}

bool smmu_platform_snoops(struct device *dev)
{
	return false;
}

int smmu_platform_irq(struct smmu_unit *unit, const char *name)
{
	struct smmu_model *m = smmu_model_of(unit);

	if (m->config.no_wire)
		return -ENXIO;
	return !strcmp(name, "eventq") ? m->irqs[0] : !strcmp(name, "gerror") ? m->irqs[1] : -ENXIO;
}

bool smmu_platform_messages(struct smmu_unit *unit)
{
	return false;
}

void smmu_platform_messages_end(struct smmu_unit *unit)
{
}

void smmu_platform_regions(struct device *dev, struct list_head *head)
{
}

static void smmu_model_event_irq(struct irq_work *work)
{
	generic_handle_irq(container_of(work, struct smmu_model, irq_work[0])->irqs[0]);
}

static void smmu_model_error_irq(struct irq_work *work)
{
	generic_handle_irq(container_of(work, struct smmu_model, irq_work[1])->irqs[1]);
}

static int smmu_model_platform(struct smmu_model *m)
{
	unsigned int i;
	int irq;

	init_irq_work(&m->irq_work[0], smmu_model_event_irq);
	init_irq_work(&m->irq_work[1], smmu_model_error_irq);
	for (i = 0; i < ARRAY_SIZE(m->irqs); i++) {
		irq = irq_alloc_desc(NUMA_NO_NODE);
		if (irq < 0)
			return irq;
		m->irqs[i] = irq;
		irq_set_chip_and_handler(irq, &dummy_irq_chip, handle_simple_irq);
	}
	/* Known to nobody: a name, and room for DMA masks. */
	m->pdev = platform_device_alloc("omni-model-smmu", m->index);
	if (!m->pdev)
		return -ENOMEM;
	fwnode_init(&m->fwnode, NULL);
	m->pdev->dev.fwnode = &m->fwnode;
	return dev_set_name(&m->pdev->dev, "omni-model-smmu.%u", m->index);
}

/* The driver's side */

static int smmu_kit_reserve(struct omni_model *base, u16 rid)
{
	set_bit(rid, to_smmu_model(base)->known);
	return smmu_tables_reserve(to_smmu_model(base)->unit, rid, false);
}

static void smmu_kit_device(struct omni_device *od)
{
	if (od->ats_depth)
		smmu_tables_reserve(to_smmu_unit(od->unit), od->rid, true);
}

static struct omni_domain *smmu_kit_domain(struct omni_model *base)
{
	struct omni_device od = { .unit = base->unit, .dev = &to_smmu_model(base)->pdev->dev };

	return smmu_domain_alloc(&od, false);
}

static void smmu_kit_claim(struct omni_model *base, struct pci_dev *pdev, bool on)
{
	struct smmu_model *m = to_smmu_model(base);
	struct iommu_fwspec *fwspec;

	if (!on) {
		kfree(m->claimed->fwspec);
		pdev->dev.iommu = NULL;
		kfree(m->claimed);
		m->claimed = NULL;
		return;
	}
	m->claimed = kzalloc(sizeof(*m->claimed), GFP_KERNEL | __GFP_NOFAIL);
	fwspec = kzalloc(struct_size(fwspec, ids, 3), GFP_KERNEL | __GFP_NOFAIL);
	fwspec->iommu_fwnode = &m->fwnode;
	fwspec->num_ids = 3;
	fwspec->ids[0] = pci_dev_id(pdev);
	fwspec->ids[1] = pci_dev_id(pdev) + 0x300;
	fwspec->ids[2] = pci_dev_id(pdev);
	m->claimed->fwspec = fwspec;
	pdev->dev.iommu = m->claimed;
}

static struct omni_unit *smmu_kit_remake(struct omni_model *base)
{
	struct smmu_unit *unit = smmu_unit_create(to_smmu_model(base)->pdev);

	return IS_ERR_OR_NULL(unit) ? ERR_CAST(unit) : &unit->core;
}

static void smmu_kit_adopt(struct omni_model *base, struct omni_unit *core)
{
	struct smmu_model *m = to_smmu_model(base);

	m->unit = to_smmu_unit(core);
	m->unit->model = m;
	base->unit = core;
	omni_memory_aside(m->index, virt_to_phys(m->unit->queue.ring),
			  BIT(m->unit->queue.lg2) * sizeof(struct smmu_cmd));
}

/* A unit that was created has all that it was made for. */
static void smmu_kit_whole(struct kunit *test, struct omni_unit *core)
{
	const struct smmu_unit *unit = to_smmu_unit(core);

	KUNIT_EXPECT_NOT_NULL(test, unit->l2);
	KUNIT_EXPECT_NOT_NULL(test, unit->cds);
	KUNIT_EXPECT_TRUE(test, unit->l1 || unit->l2[0]);
	KUNIT_EXPECT_NOT_NULL(test, unit->queue.ring);
	KUNIT_EXPECT_NOT_NULL(test, unit->events.ring);
}

/* The queue */

static void smmu_kit_lower(struct omni_model *base, const struct omni_command *cmds,
			   unsigned int nr, void *lowered)
{
	struct smmu_model *m = to_smmu_model(base);
	struct smmu_cmd *descs = lowered;
	bool stage2 = !(m->config.idr0 & SMMU_MODEL_S1P);
	unsigned int i, lg2;

	for (i = 0; i < nr; i++) {
		const struct omni_command *c = &cmds[i];

		lg2 = c->last == U64_MAX ? 52 : fls64(c->first ^ c->last);
		switch (c->kind) {
		case OMNI_CMD_PAGES:
			descs[i] = (struct smmu_cmd){
				.lo = cpu_to_le64(stage2 ? 0x2a | (u64)c->tag << 32 :
						  0x12 | (u64)c->tag << 48),
				.hi = cpu_to_le64(c->first << 12),
			};
			break;
		case OMNI_CMD_DEVICE_TLB:
			descs[i] = smmu_cmd_device_tlb(c->od->rid, c->first >> lg2 << lg2, lg2);
			break;
		default:
			descs[i] = smmu_cmd_all_of_tag(m->unit, c->tag);
		}
	}
}

static void smmu_kit_submit(struct omni_model *base, const void *lowered, unsigned int nr,
			    struct omni_ticket *ticket)
{
	smmu_submit(to_smmu_model(base)->unit, lowered, nr, ticket);
}

static bool smmu_kit_empty(struct omni_model *base)
{
	struct smmu_unit *unit = to_smmu_model(base)->unit;

	return smmu_read32(unit, SMMU_CMDQ_PROD) == smmu_read32(unit, SMMU_CMDQ_CONS);
}

/* Entries: the first four words, of eight that are read one by one */

static unsigned int smmu_kit_entry(struct omni_model *base, u16 rid, bool coherent, u64 *words)
{
	struct smmu_model *m = to_smmu_model(base);
	u64 at = smmu_model_ste_at(m, rid);
	unsigned int i;

	for (i = 0; i < 4; i++)
		words[i] = at ? omni_memory_read(at + i * 8, coherent) : 0;
	return 4;
}

static int smmu_kit_entry_fault(struct omni_model *base, const u64 *words, const char **why)
{
	return smmu_model_ste_fault(to_smmu_model(base), words, why);
}

/* Life */

/* What a broken unit makes the driver leak: nobody uses it any more. */
struct smmu_model_leak {
	struct smmu_unit unit;
	bool dead;
	bool broken;
};

static void smmu_model_free_leaks(struct smmu_model_leak *leak)
{
	struct smmu_unit *unit = &leak->unit;

	if (leak->dead) {
		unit->core.queue.dead = false;
		smmu_queue_destroy(unit);
	}
	if (leak->broken) {
		unit->core.broken = false;
		smmu_tables_destroy(unit);
		dma_free_coherent(&unit->pdev->dev,
				  BIT(unit->events.lg2) * sizeof(*unit->events.ring),
				  unit->events.ring, unit->events.dma);
	}
}

static void smmu_kit_end(struct omni_model *base)
{
	struct smmu_model *m = to_smmu_model(base);
	struct smmu_model_leak *leak = kvzalloc(sizeof(*leak), GFP_KERNEL | __GFP_NOFAIL);

	irq_work_sync(&m->irq_work[0]);
	irq_work_sync(&m->irq_work[1]);
	leak->dead = m->unit->core.queue.dead;
	leak->broken = m->unit->core.broken;
	memcpy(&leak->unit, m->unit, sizeof(leak->unit));
	smmu_unit_destroy(&m->unit->core);
	smmu_model_free_leaks(leak);
	kvfree(leak);
}

static void smmu_model_free(struct smmu_model *m)
{
	unsigned int i;

	mutex_lock(&smmu_models_lock);
	if (m->index < SMMU_MODEL_UNITS && smmu_models[m->index] == m) {
		smmu_models[m->index] = NULL;
		omni_memory_aside(m->index, 0, 0);
	}
	mutex_unlock(&smmu_models_lock);
	for (i = 0; i < ARRAY_SIZE(m->irqs); i++)
		if (m->irqs[i])
			irq_free_desc(m->irqs[i]);
	platform_device_put(m->pdev);
	kvfree(m);
}

static void smmu_kit_free(struct omni_model *base)
{
	smmu_model_free(to_smmu_model(base));
}

static bool smmu_kit_on(struct omni_model *base)
{
	return smmu_model_on(to_smmu_model(base));
}

static const struct omni_model_ops smmu_model_ops = {
	.on = smmu_kit_on,
	.freed = smmu_model_freed,
	.step = smmu_model_step,
	.end = smmu_kit_end,
	.free = smmu_kit_free,
	.dma = smmu_model_dma,
	.reserve = smmu_kit_reserve,
	.device = smmu_kit_device,
	.domain = smmu_kit_domain,
	.claim = smmu_kit_claim,
	.remake = smmu_kit_remake,
	.whole = smmu_kit_whole,
	.adopt = smmu_kit_adopt,
	.storm = smmu_kit_storm,
	.overflow = smmu_kit_overflow,
	.lower = smmu_kit_lower,
	.submit = smmu_kit_submit,
	.empty = smmu_kit_empty,
	.entry = smmu_kit_entry,
	.entry_fault = smmu_kit_entry_fault,
};

static int smmu_model_take_index(struct smmu_model *m)
{
	unsigned int i;

	mutex_lock(&smmu_models_lock);
	for (i = 0; i < SMMU_MODEL_UNITS; i++)
		if (!smmu_models[i])
			break;
	if (i < SMMU_MODEL_UNITS)
		smmu_models[i] = m;
	mutex_unlock(&smmu_models_lock);
	m->index = i;
	return i < SMMU_MODEL_UNITS ? 0 : -ENOSPC;
}

struct smmu_model *smmu_model_create(struct kunit *test, const struct smmu_model_config *config)
{
	struct smmu_model *m = kvzalloc(sizeof(*m), GFP_KERNEL);
	struct omni_unit *unit;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->config = *config;
	m->config.idr0 = config->idr0 ?: SMMU_MODEL_IDR0;
	m->config.idr1 = config->idr1 ?: SMMU_MODEL_IDR1;
	m->config.idr5 = config->idr5 ?: SMMU_MODEL_IDR5;
	m->base.evict = config->evict;
	m->base.speculate = config->speculate;
	/* As earlier users may have left it: an error that nobody acknowledged. */
	m->gerror = BIT(2);
	m->cmdq_cons = 7;
	m->cmdq_prod = 7;
	if (smmu_model_take_index(m) || smmu_model_platform(m) ||
	    omni_model_init(test, &m->base, &smmu_model_ops, config->name ?: "SMMUv3 model")) {
		smmu_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "no memory for a model");
	}

	unit = smmu_kit_remake(&m->base);
	if (IS_ERR_OR_NULL(unit)) {
		omni_model_fini(&m->base);
		smmu_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "the model was refused (%ld)", PTR_ERR(unit));
	}
	smmu_kit_adopt(&m->base, unit);
	omni_model_start(&m->base);
	return m;
}

static struct omni_model *smmu_kit_create(struct kunit *test, const struct omni_variant *variant)
{
	struct smmu_model_config config = {
		.name = variant->name,
		.idr0 = SMMU_MODEL_IDR0,
		.idr1 = SMMU_MODEL_IDR1,
		.idr3 = SMMU_MODEL_IDR3,
		.idr5 = SMMU_MODEL_IDR5,
		.evict = variant->evict,
		.speculate = variant->speculate,
	};

	if (variant->traits & OMNI_NO_SNOOP_WALKS)
		config.idr0 &= ~SMMU_MODEL_COHACC;
	if (variant->traits & OMNI_DIRTY)
		config.idr0 |= SMMU_MODEL_HTTU;
	if (variant->traits & OMNI_SIGNALS)
		config.idr0 |= SMMU_MODEL_MSI;
	/* 44 bits of output address. */
	if (variant->traits & OMNI_NARROW_ADDRESSES)
		config.idr5 = 4 | BIT(4);
	return &smmu_model_create(test, &config)->base;
}

/* 4.4.1.1: of all scales with no more than 32 blocks the smallest. */
static void smmu_kit_cover(u64 *first, u64 *last)
{
	u64 nr = *last - *first + 1;
	unsigned int scale = 0;

	while (DIV_ROUND_UP(nr, BIT_ULL(scale)) > 32)
		scale++;
	*last = *first + round_up(nr, BIT_ULL(scale)) - 1;
}

const struct omni_kit smmu_kit = {
	.name = "smmu",
	.wing = &smmu_wing,
	.able = OMNI_NO_SNOOP_WALKS | OMNI_NARROW_ADDRESSES | OMNI_TRACKS | OMNI_SIGNALS |
		OMNI_DIRTY,
	.marks = true,
	.submit_max = OMNI_SUBMIT_MAX,
	.queue_size = BIT(SMMU_MODEL_COMMANDS_LG2),
	.deadline_ms = OMNI_DEADLINE_MS,
	/* 128 looks at the index, two at errors, the same again: the last before the clock. */
	.stall_look = 1 + 2 * (128 + 2),
	.cover_max = 51 - 12,
	.cover = smmu_kit_cover,
	.roots = 1,
	.entry_parts = 4,
	.create = smmu_kit_create,
};
