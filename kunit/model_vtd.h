/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VT-d unit made of memory and a thread, in legacy mode. What it does and
 * what it refuses is taken from the "Intel Virtualization Technology for
 * Directed I/O" specification, revision 3.1; section numbers are that one's.
 *
 * It keeps whatever the specification allows it to keep, drops exactly what
 * an invalidation names, executes commands in any order that fences allow,
 * and records as a violation what a driver must not do.
 */
#ifndef OMNI_MODEL_VTD_H
#define OMNI_MODEL_VTD_H

#include "kit.h"
#include "../vtd/vtd.h"

#include <linux/irq_work.h>

/* 256 domains, 39 and 48 bits, 2M and 1G leaves, ranges of 2^18 pages, drains. */
#define VTD_MODEL_FRO		0x22ULL
#define VTD_MODEL_IRO		0x50ULL
#define VTD_MODEL_MAMV		18
#define VTD_MODEL_CAP								\
	(FIELD_PREP_CONST(VTD_CAP_ND, 2) |						\
	 FIELD_PREP_CONST(VTD_CAP_SAGAW, VTD_SAGAW_39 | VTD_SAGAW_48) |		\
	 FIELD_PREP_CONST(VTD_CAP_MGAW, 47) |					\
	 FIELD_PREP_CONST(VTD_CAP_FRO, VTD_MODEL_FRO) |				\
	 FIELD_PREP_CONST(VTD_CAP_SLLPS, VTD_SLLPS_2M | VTD_SLLPS_1G) | VTD_CAP_PSI |	\
	 FIELD_PREP_CONST(VTD_CAP_NFR, 7) |						\
	 FIELD_PREP_CONST(VTD_CAP_MAMV, VTD_MODEL_MAMV) |				\
	 VTD_CAP_DWD | VTD_CAP_DRD)
#define VTD_MODEL_ECAP								\
	(VTD_ECAP_C | VTD_ECAP_QI | VTD_ECAP_DT | VTD_ECAP_PT | VTD_ECAP_SC |	\
	 FIELD_PREP_CONST(VTD_ECAP_IRO, VTD_MODEL_IRO))
/* Bits of a host address. */
#define VTD_MODEL_HAW		46

/**
 * struct vtd_model_config - what a model is
 * @name: for messages
 * @cap: capability register; 0 for VTD_MODEL_CAP
 * @ecap: extended capability register; 0 for VTD_MODEL_ECAP
 * @evict: caches forget entries at random
 * @speculate: each access translates the page behind it too
 */
struct vtd_model_config {
	const char *name;
	u64 cap;
	u64 ecap;
	bool evict;
	bool speculate;
};

#define VTD_MODEL_PENDING	12

/* A command that was fetched and is not carried out yet. */
struct vtd_pending {
	u64 seq;
	struct vtd_desc desc;
};

/**
 * struct vtd_model - a unit
 * @base: the vendor-neutral part, whose lock protects all that follows
 * @config: what it is
 * @drhd: what the firmware says of it
 * @unit: the driver's side
 * @ite_left: device TLB invalidations that time out
 * @slow_commands: a global command takes that many reads of the status
 */
struct vtd_model {
	struct omni_model base;
	struct vtd_model_config config;
	struct vtd_drhd drhd;
	struct vtd_unit *unit;

	unsigned int ite_left;
	unsigned int slow_commands;

	/* private: registers by their names, what is in flight, what is cached */
	struct irq_work irq_work;
	u32 gsts, gsts_next;
	unsigned int gsts_wait;
	u64 rtaddr, root;
	bool context_due, iotlb_due;
	u64 ccmd, iva, iotlb;
	unsigned int reg_wait;
	u32 fsts, fectl, fedata, feaddr, feuaddr, pmen;
	u64 iqa, iqercd;
	unsigned int iqh, iqt;
	bool bad;
	unsigned int bad_at;
	struct vtd_desc bad_desc;
	struct {
		u64 lo, hi;
	} frcd[8];
	unsigned int next_frcd, fri;

	u64 seq;
	struct vtd_pending pending[VTD_MODEL_PENDING];
	unsigned int nr_pending;
};

static inline struct vtd_model *to_vtd_model(struct omni_model *m)
{
	return container_of(m, struct vtd_model, base);
}

/* The model's files share these; all but the last two want its lock held. */
bool vtd_model_any_fault(struct vtd_model *m);
void vtd_model_event(struct vtd_model *m);
void vtd_model_record(struct vtd_model *m, u16 rid, u64 iova, bool write, int reason);
bool vtd_model_step(struct omni_model *base);
void vtd_model_freed(struct omni_model *base, struct omni_freed *f);
int vtd_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa);
void vtd_model_irq(struct irq_work *work);
struct vtd_model *vtd_model_of(const struct vtd_unit *unit);

/**
 * vtd_model_create() - make a unit and switch it on with the driver's own code
 * @test: the test; at its end the unit is switched off, checked and freed
 * @config: what it is
 *
 * Return: the model; the test ends when it can't be made.
 * Context: may sleep.
 */
struct vtd_model *vtd_model_create(struct kunit *test,
				   const struct vtd_model_config *config);

/**
 * vtd_model_ite() - let device TLB invalidations time out
 * @model: the unit
 * @times: how many
 *
 * Context: any.
 */
void vtd_model_ite(struct vtd_model *model, unsigned int times);

/**
 * vtd_model_ice() - report a completion that nobody asked for
 * @model: the unit
 * @rid: who sent it
 *
 * Context: any.
 */
void vtd_model_ice(struct vtd_model *model, u16 rid);

/**
 * vtd_model_context_fault() - what the unit would say to a context entry
 * @model: the unit
 * @lo: its low half
 * @hi: its high half
 * @why: receives words for it
 *
 * Return: 0 if the entry is good, or the fault reason; 2 for not present.
 * Context: any.
 */
int vtd_model_context_fault(struct vtd_model *model, u64 lo, u64 hi, const char **why);

#endif
