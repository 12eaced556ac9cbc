/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An SMMUv3 made of memory and a thread. What it does and what it refuses is
 * taken from the "Arm System Memory Management Unit Architecture
 * Specification, SMMU architecture version 3" (IHI 0070), page tables from
 * the "Arm Architecture Reference Manual" (DDI 0487), chapter D8. Bits of
 * entries and commands are written down here once more, so that a slip in the
 * wing's definitions shows.
 *
 * It keeps whatever the specification allows it to keep, drops exactly what a
 * command names, carries commands out in any order that CMD_SYNC allows, and
 * records as a violation what a driver must not do.
 */
#ifndef OMNI_MODEL_SMMU_H
#define OMNI_MODEL_SMMU_H

#include "kit.h"
#include "../smmu/smmu.h"

#include <linux/irq_work.h>

/*
 * IDR0: stage 1 and 2, AArch64 tables, coherent, EL2, device TLBs, 16-bit ASID
 * and VMID, little-endian tables, two-level stream table.
 */
#define SMMU_MODEL_IDR0		(3 | 2 << 2 | BIT(4) | BIT(9) | BIT(10) | BIT(12) | BIT(18) | \
				 2 << 21 | BIT(27))
#define SMMU_MODEL_S2P		BIT(0)
#define SMMU_MODEL_S1P		BIT(1)
#define SMMU_MODEL_COHACC	BIT(4)
#define SMMU_MODEL_HTTU		(2 << 6)	/* access flags and dirty state */
#define SMMU_MODEL_ATS		BIT(10)
#define SMMU_MODEL_MSI		BIT(13)
#define SMMU_MODEL_SEV		BIT(14)
#define SMMU_MODEL_TWO_LEVEL	BIT(27)
/* IDR1: 16-bit stream IDs, 128 events, 256 commands */
#define SMMU_MODEL_COMMANDS_LG2	8
#define SMMU_MODEL_EVENTS_LG2	7
#define SMMU_MODEL_IDR1		(16 | SMMU_MODEL_EVENTS_LG2 << 16 | SMMU_MODEL_COMMANDS_LG2 << 21)
/* IDR3: range invalidation */
#define SMMU_MODEL_IDR3		BIT(10)
/* IDR5: 48 bits of output address, 4K granules; the others there are */
#define SMMU_MODEL_IDR5		(5 | BIT(4))
#define SMMU_MODEL_4K		BIT(4)
#define SMMU_MODEL_16K		BIT(5)
#define SMMU_MODEL_64K		BIT(6)

/**
 * struct smmu_model_config - what a model is
 * @name: for messages
 * @idr0: capabilities, IDR0; 0 for SMMU_MODEL_IDR0
 * @idr1: IDR1; 0 for SMMU_MODEL_IDR1
 * @idr3: IDR3
 * @idr5: IDR5; 0 for SMMU_MODEL_IDR5
 * @page_lg2: as if the kernel's pages were of 2^this bytes; 0 for what they are
 * @dozes: processors have a timer that wakes those who wait for an event
 * @no_wire: it has no interrupts
 * @evict: caches forget entries at random
 * @speculate: each access translates the page behind it too
 */
struct smmu_model_config {
	const char *name;
	u32 idr0;
	u32 idr1;
	u32 idr3;
	u32 idr5;
	u8 page_lg2;
	bool dozes;
	bool no_wire;
	bool evict;
	bool speculate;
};

#define SMMU_MODEL_PENDING	12

/* A command that was consumed and is not carried out yet. */
struct smmu_pending {
	u64 lo;
	u64 hi;
};

/**
 * struct smmu_model - a unit
 * @base: the vendor-neutral part, whose lock protects all that follows
 * @config: what it is
 * @unit: the driver's side
 * @atc_left: invalidations of device TLBs that are not answered
 * @abort_left: times that reading the command queue fails
 * @lost_left: writes and events of a CMD_SYNC that get lost
 * @event: one was sent
 * @dozed: times that somebody waited for one
 * @woken: times that it came
 */
struct smmu_model {
	struct omni_model base;
	struct smmu_model_config config;
	struct smmu_unit *unit;

	unsigned int atc_left;
	unsigned int abort_left;
	unsigned int lost_left;
	bool event;
	unsigned long dozed;
	unsigned long woken;

	/* private: its place, registers by their names, what is in flight */
	unsigned int index;
	struct platform_device *pdev;
	struct fwnode_handle fwnode;
	int irqs[2];
	struct irq_work irq_work[2];
	struct dev_iommu *claimed;

	u32 cr0, cr0ack, cr1, cr2, irq_ctrl, irq_ctrlack;
	unsigned int ack_wait;
	u32 gerror, gerrorn;
	u64 strtab_base;
	u32 strtab_cfg;
	u64 cmdq_base, eventq_base;
	u32 cmdq_prod, cmdq_cons, evt_prod, evt_cons;
	bool entries_due, tlb_due;

	bool bad;
	u32 bad_at;
	u64 bad_lo, bad_hi;
	bool atc_failed;
	struct smmu_pending pending[SMMU_MODEL_PENDING];
	unsigned int nr_pending;

	DECLARE_BITMAP(known, 65536);	/* stream IDs that were ever used */
};

static inline struct smmu_model *to_smmu_model(struct omni_model *m)
{
	return container_of(m, struct smmu_model, base);
}

static inline bool smmu_model_coherent(const struct smmu_model *m)
{
	return m->config.idr0 & SMMU_MODEL_COHACC;
}

/* 6.3, IDR5.OAS */
static inline unsigned int smmu_model_oas(const struct smmu_model *m)
{
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48 };

	return bits[m->config.idr5 & 7];
}

/* 6.3, IDR5: does it read tables of a granule, as its log2? */
static inline bool smmu_model_has_granule(const struct smmu_model *m, unsigned int lg2)
{
	return m->config.idr5 & (lg2 == 12 ? SMMU_MODEL_4K : lg2 == 14 ? SMMU_MODEL_16K :
				 lg2 == 16 ? SMMU_MODEL_64K : 0);
}

/* In omni_cached.raw of the TLB and of walk caches */
#define RAW_STAGE2		0
#define RAW_VMID		1
#define RAW_GRANULE		2
#define RAW_CLEAN		3	/* a write has to mark the leaf first */

/* CR0.SMMUEN: it translates. */
static inline bool smmu_model_on(const struct smmu_model *m)
{
	return m->cr0ack & 1;
}

/* The model's files share these; all but the last want its lock held. */
int smmu_model_ste_fault(struct smmu_model *m, const u64 *ste, const char **why);
u64 smmu_model_ste_at(struct smmu_model *m, u32 sid);
void smmu_model_forget_entries(struct smmu_model *m);
void smmu_model_record(struct smmu_model *m, u8 id, u32 sid, u64 iova, bool write);
bool smmu_model_step(struct omni_model *base);
void smmu_model_freed(struct omni_model *base, struct omni_freed *f);
int smmu_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa);
struct smmu_model *smmu_model_of(const struct smmu_unit *unit);

/**
 * smmu_model_create() - make a unit and switch it on with the driver's own code
 * @test: the test; at its end the unit is switched off, checked and freed
 * @config: what it is
 *
 * Return: the model; the test ends when it can't be made.
 * Context: may sleep.
 */
struct smmu_model *smmu_model_create(struct kunit *test, const struct smmu_model_config *config);

/**
 * smmu_model_atc() - let device TLB invalidations go unanswered
 * @m: the unit
 * @times: how many
 *
 * Context: any. 7.1, CERROR_ATC_INV_SYNC.
 */
void smmu_model_atc(struct smmu_model *m, unsigned int times);

/**
 * smmu_model_abort() - let reads of the command queue fail
 * @m: the unit
 * @times: how many
 *
 * Context: any. 7.1, CERROR_ABT.
 */
void smmu_model_abort(struct smmu_model *m, unsigned int times);

#endif
