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

#include "kunit.h"
#include "../vtd/vtd.h"

#include <linux/irq_work.h>

/* 256 domains, 39 and 48 bits, 2M and 1G leaves, ranges of 2^18 pages, drains. */
#define VTD_MODEL_FRO		0x22ULL
#define VTD_MODEL_IRO		0x50ULL
#define VTD_MODEL_CAP								\
	(FIELD_PREP_CONST(VTD_CAP_ND, 2) |						\
	 FIELD_PREP_CONST(VTD_CAP_SAGAW, VTD_SAGAW_39 | VTD_SAGAW_48) |		\
	 FIELD_PREP_CONST(VTD_CAP_MGAW, 47) |					\
	 FIELD_PREP_CONST(VTD_CAP_FRO, VTD_MODEL_FRO) |				\
	 FIELD_PREP_CONST(VTD_CAP_SLLPS, VTD_SLLPS_2M | VTD_SLLPS_1G) | VTD_CAP_PSI |	\
	 FIELD_PREP_CONST(VTD_CAP_NFR, 7) | FIELD_PREP_CONST(VTD_CAP_MAMV, 18) |		\
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

/**
 * enum vtd_model_command - what a model counts of the commands it carried out
 * @VTD_MODEL_CONTEXT: context-cache invalidations
 * @VTD_MODEL_GLOBAL: global IOTLB invalidations
 * @VTD_MODEL_DOMAIN: domain-selective ones
 * @VTD_MODEL_PAGE: page-selective ones
 * @VTD_MODEL_DEVTLB: device TLB invalidations
 * @VTD_MODEL_WAIT: waits
 * @VTD_MODEL_WBF: write-buffer flushes
 * @VTD_MODEL_COMMANDS: how many kinds
 */
enum vtd_model_command {
	VTD_MODEL_CONTEXT,
	VTD_MODEL_GLOBAL,
	VTD_MODEL_DOMAIN,
	VTD_MODEL_PAGE,
	VTD_MODEL_DEVTLB,
	VTD_MODEL_WAIT,
	VTD_MODEL_WBF,
	VTD_MODEL_COMMANDS
};

/* One cached item of any cache. */
struct vtd_cached {
	bool used;
	bool absent;		/* a not-present entry, cached as such */
	u8 level;		/* paging-structure caches: of the entry */
	u8 lg2;			/* of the bytes it covers */
	u8 perm;		/* VTD_SS_R, VTD_SS_W */
	u16 did;
	u16 rid;		/* context cache, device TLBs */
	u64 iova;		/* first byte */
	u64 pa;
	u64 lo, hi;		/* context cache */
};

struct vtd_cache {
	struct vtd_cached *item;
	unsigned int size;
	unsigned int high;	/* items from here on are unused */
};

/* The model's two files share these; all want its lock held. */
struct vtd_cached *vtd_cache_next(struct vtd_cache *cache, struct vtd_cached *item);
void vtd_cache_drop(struct vtd_cache *cache, struct vtd_cached *item);
bool vtd_cached_meets(const struct vtd_cached *item, u64 first, u64 last);

#define for_each_cached(c, cache) \
	for ((c) = vtd_cache_next((cache), NULL); (c); (c) = vtd_cache_next((cache), (c)))

#define VTD_MODEL_TRACE		1024
#define VTD_MODEL_PENDING	12

/* A command that was fetched and is not carried out yet. */
struct vtd_pending {
	u64 seq;
	struct vtd_desc desc;
};

/**
 * struct vtd_model - a unit
 * @base: the vendor-neutral part
 * @config: what it is
 * @test: whose it is
 * @drhd: what the firmware says of it
 * @unit: the driver's side
 * @lock: protects all that follows but @thread
 * @thread: works on the queue
 * @rnd: all its choices
 * @hang: it answers no command any more
 * @hung_since: from when on
 * @delay_ns: every step takes that long
 * @iqe_after: commands until invalidation queue errors begin
 * @iqe_left: invalidation queue errors to come
 * @ite_left: device TLB invalidations that time out
 * @mute: faults are not recorded
 * @slow_commands: a global command takes that many reads of the status
 * @done: commands carried out, by enum vtd_model_command
 * @fetched: descriptors fetched
 * @nr_trace: commands fetched since vtd_model_trace(), waits included
 * @trace: the first of them
 * @stray: device TLB invalidations for a device whose device TLB is off
 * @hits: translations that a cache answered
 * @walks: translations that needed a walk
 * @faults: accesses refused, recorded or not
 */
struct vtd_model {
	struct omni_model base;
	struct vtd_model_config config;
	struct kunit *test;
	struct vtd_drhd drhd;
	struct vtd_unit *unit;
	raw_spinlock_t lock;	/* see @lock above */
	struct task_struct *thread;
	struct rnd_state rnd;

	bool hang;
	u64 hung_since;
	u64 delay_ns;
	u64 iqe_after;
	unsigned int iqe_left;
	unsigned int ite_left;
	bool mute;
	unsigned int slow_commands;

	u64 done[VTD_MODEL_COMMANDS];
	u64 fetched;
	unsigned int nr_trace;
	struct vtd_desc trace[VTD_MODEL_TRACE];
	u64 stray;
	u64 hits;
	u64 walks;
	u64 faults;

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
	u64 not_before;

	struct vtd_cache contexts, tlb, tables, device_tlb;
	DECLARE_BITMAP(ats_on, 65536);
};

static inline u32 vtd_model_random(struct vtd_model *m, u32 ceil)
{
	return omni_below(&m->rnd, ceil);
}

bool vtd_model_any_fault(struct vtd_model *m);
void vtd_model_event(struct vtd_model *m);
int vtd_model_thread(void *arg);
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
 * vtd_model_destroy() - end a model before the test ends
 * @test: the test
 * @model: the model
 *
 * Context: may sleep.
 */
void vtd_model_destroy(struct kunit *test, struct vtd_model *model);

/**
 * vtd_model_device() - a device behind the model
 * @test: the test
 * @model: the unit
 * @rid: its requester ID
 * @ats_depth: 0 for a device without a device TLB
 *
 * Return: the device, blocked.
 * Context: may sleep.
 */
struct omni_device *vtd_model_device(struct kunit *test, struct vtd_model *model,
				     u16 rid, u8 ats_depth);

/**
 * vtd_model_domain() - a domain made for the model's unit
 * @test: the test, at whose end it is freed
 * @model: the unit
 *
 * Return: the domain; the test ends when there is no memory.
 * Context: may sleep.
 */
struct omni_domain *vtd_model_domain(struct kunit *test, struct vtd_model *model);

/**
 * vtd_model_domain_free() - free a domain before the test ends
 * @test: the test
 * @domain: the domain, attached nowhere
 *
 * Context: may sleep.
 */
void vtd_model_domain_free(struct kunit *test, struct omni_domain *domain);

/**
 * vtd_model_dma() - one access, and what it meets
 * @model: the unit
 * @rid: who makes it
 * @iova: where
 * @write: it writes
 * @pa: receives the physical address, or NULL
 * @meet: called with the physical address before the access is over, or NULL:
 *	no invalidation can complete meanwhile
 * @arg: handed to @meet
 *
 * Return: 0, or the reason for which it was refused (appendix A).
 * Context: any.
 */
int vtd_model_dma(struct vtd_model *model, u16 rid, u64 iova, bool write, u64 *pa,
		  void (*meet)(void *arg, u64 pa), void *arg);

static inline int vtd_model_access(struct vtd_model *model, u16 rid, u64 iova,
				   bool write, u64 *pa)
{
	return vtd_model_dma(model, rid, iova, write, pa, NULL, NULL);
}

/**
 * vtd_model_check() - fail the test for each violation of the specification
 * @test: the test
 * @model: the unit
 *
 * Context: may sleep.
 */
void vtd_model_check(struct kunit *test, struct vtd_model *model);

/**
 * vtd_model_trace() - begin a new trace
 * @model: the unit
 *
 * Context: any.
 */
void vtd_model_trace(struct vtd_model *model);

/**
 * vtd_model_traced() - a command of the trace, waits skipped
 * @model: the unit
 * @n: which, from 0
 * @desc: receives it; register commands in the form of descriptors
 *
 * Return: false if there is none.
 * Context: any.
 */
bool vtd_model_traced(struct vtd_model *model, unsigned int n, struct vtd_desc *desc);

/**
 * vtd_model_hang() - stop answering, or go on
 * @model: the unit
 * @hang: which
 *
 * Context: any.
 */
void vtd_model_hang(struct vtd_model *model, bool hang);

/**
 * vtd_model_delay() - make every step take its time
 * @model: the unit
 * @us: microseconds
 *
 * Context: any.
 */
void vtd_model_delay(struct vtd_model *model, unsigned int us);

/**
 * vtd_model_iqe() - report invalidation queue errors
 * @model: the unit
 * @after: commands that are still carried out, waits not counted
 * @times: errors after that
 *
 * Context: any.
 */
void vtd_model_iqe(struct vtd_model *model, u64 after, unsigned int times);

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
 * vtd_model_storm() - record faults as fast as records are free
 * @model: the unit
 * @rid: whose
 * @nr: faults
 *
 * Context: any.
 */
void vtd_model_storm(struct vtd_model *model, u16 rid, unsigned int nr);

/**
 * vtd_model_done() - commands carried out so far
 * @model: the unit
 * @what: kind
 *
 * Return: their number.
 * Context: any.
 */
u64 vtd_model_done(struct vtd_model *model, enum vtd_model_command what);

/**
 * vtd_model_cached() - what the caches hold under a domain id
 * @model: the unit
 * @did: the domain id
 *
 * Return: translations and tables, not-present ones included.
 * Context: any.
 */
unsigned int vtd_model_cached(struct vtd_model *model, u16 did);

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
