/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An AMD-Vi unit made of memory and a thread. What it does and what it
 * refuses is taken from the "AMD I/O Virtualization Technology (IOMMU)
 * Specification", document 48882, revision 3.08; section numbers are that
 * one's. Bits of entries and commands are written down here once more, so
 * that a slip in the wing's definitions shows.
 *
 * It keeps whatever the specification allows it to keep, drops exactly what a
 * command names, executes commands in any order that waits allow, and records
 * as a violation what a driver must not do.
 */
#ifndef OMNI_MODEL_AMD_H
#define OMNI_MODEL_AMD_H

#include "kit.h"
#include "../amd/amd.h"

#include <linux/irq_work.h>

/* Six levels, INVALIDATE_IOMMU_ALL. */
#define AMD_MODEL_EFR		(BIT_ULL(6) | 2ULL << 10)
/* Guest page tables, also for requests without a PASID; how many levels they have. */
#define AMD_MODEL_EFR_V2	(BIT_ULL(4) | BIT_ULL(48))
#define AMD_MODEL_EFR_GATS(x)	((u64)(x) << 12)
/* Access and dirty bits set by the unit. */
#define AMD_MODEL_EFR_HA	BIT_ULL(49)
#define AMD_MODEL_EFR_HD	BIT_ULL(52)
/* Device TLBs, the extended feature register, type 3 of a secure device's capability. */
#define AMD_MODEL_CAP		(BIT(24) | BIT(27) | 3 << 16 | 0xf)
#define AMD_MODEL_CAP_NP	BIT(26)
/* Bits of a physical address. */
#define AMD_MODEL_PA		46

/**
 * struct amd_model_config - what a model is
 * @name: for messages
 * @efr: extended feature register; 0 for AMD_MODEL_EFR
 * @cap: header of the capability block; 0 for AMD_MODEL_CAP
 * @flags: of the firmware's IVHD, besides Coherent
 * @va_bits: addresses it translates; 0 for 64
 * @evict: caches forget entries at random
 * @speculate: each access translates the page behind it too
 * @sysmgt: the firmware says that devices send system management messages
 * @no_snoop: its walks and its reads of the device table don't snoop
 * @v2: guest page tables are asked for
 */
struct amd_model_config {
	const char *name;
	u64 efr;
	u32 cap;
	u8 flags;
	u8 va_bits;
	bool evict;
	bool speculate;
	bool sysmgt;
	bool no_snoop;
	bool v2;
};

#define AMD_MODEL_PENDING	12

/* A command that was fetched and is not carried out yet. */
struct amd_pending {
	u64 seq;
	u64 lo;
	u64 hi;
};

/**
 * struct amd_model - a unit
 * @base: the vendor-neutral part, whose lock protects all that follows
 * @config: what it is
 * @ivhd: what the firmware says of it
 * @devids: every device ID is the unit's
 * @unit: the driver's side
 * @iotlb_left: invalidations of device TLBs that time out
 * @forced: the last translation forces accesses to be coherent
 * @touched: leaves in which it set a bit
 */
struct amd_model {
	struct omni_model base;
	struct amd_model_config config;
	struct amd_ivhd ivhd;
	struct amd_devids devids;
	struct amd_unit *unit;

	unsigned int iotlb_left;
	bool forced;
	u64 touched;

	/* private: registers by their names, what is in flight */
	unsigned int index;
	struct irq_work irq_work;
	u64 devtab, cmdbuf, evtlog, control, status, excl_base, excl_limit;
	unsigned int cmd_head, cmd_tail, evt_head, evt_tail;
	bool due;
	bool bad;
	unsigned int bad_at;
	u64 bad_lo, bad_hi;

	u64 seq;
	struct amd_pending pending[AMD_MODEL_PENDING];
	unsigned int nr_pending;

	DECLARE_BITMAP(known, 65536);	/* device IDs that were ever used */
};

static inline struct amd_model *to_amd_model(struct omni_model *m)
{
	return container_of(m, struct amd_model, base);
}

static inline bool amd_model_coherent(const struct amd_model *m)
{
	return !m->config.no_snoop;
}

/* 3.4.4: what is on. */
static inline bool amd_model_on(const struct amd_model *m)
{
	return m->control & 1;
}

/* 3.4.4, 3.4.7: guest page tables are in use. */
static inline bool amd_model_guest(const struct amd_model *m)
{
	return m->config.v2 && (m->config.efr & AMD_MODEL_EFR_V2) == AMD_MODEL_EFR_V2;
}

/* omni_cached.space: 0 for host page tables, else the PASID plus 1. */
#define AMD_MODEL_PASID_0	1

/* The model's files share these; all but the last two want its lock held. */
int amd_model_dte_fault(struct amd_model *m, const u64 *dte, const char **why);
void amd_model_dte_read(u64 table, u16 devid, bool coherent, u64 *dte);
void amd_model_log(struct amd_model *m, u64 lo, u64 hi);
void amd_model_fault(struct amd_model *m, u16 devid, u16 domain, u64 iova, u64 flags);
bool amd_model_step(struct omni_model *base);
void amd_model_freed(struct omni_model *base, struct omni_freed *f);
int amd_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa);
void amd_model_irq(struct irq_work *work);
struct amd_model *amd_model_of(const struct amd_unit *unit);

/**
 * amd_model_create() - make a unit and switch it on with the driver's own code
 * @test: the test; at its end the unit is switched off, checked and freed
 * @config: what it is
 *
 * Return: the model; the test ends when it can't be made.
 * Context: may sleep.
 */
struct amd_model *amd_model_create(struct kunit *test, const struct amd_model_config *config);

/**
 * amd_model_iotlb() - let device TLB invalidations time out
 * @m: the unit
 * @times: how many
 *
 * Context: any. 2.5.8.
 */
void amd_model_iotlb(struct amd_model *m, unsigned int times);

#endif
