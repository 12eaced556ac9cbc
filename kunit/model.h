/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A hardware model, the part that no vendor changes: its caches, its record
 * of what a driver did, and what it does on demand. A vendor's model embeds
 * struct omni_model and fills in struct omni_model_ops.
 *
 * Lock order: the list of models > a model's own lock > the memory's lock.
 * All are raw, since drivers write registers and lines under raw locks.
 */
#ifndef OMNI_KUNIT_MODEL_H
#define OMNI_KUNIT_MODEL_H

#include "kunit.h"
#include "../include/queue.h"

#define OMNI_VIOLATIONS_KEPT	8
#define OMNI_TRACE_KEPT		1024

/* How often a driver may be answered late before that is its fault. */
#define OMNI_PATIENCE_NS	(30 * NSEC_PER_SEC)

/* What an entry permits: the same in every model. */
#define OMNI_PERM_R		BIT(0)
#define OMNI_PERM_W		BIT(1)

/**
 * enum omni_cmd - kinds of commands, whatever a vendor calls them
 * @OMNI_CMD_ENTRY: context, device table or stream table entries
 * @OMNI_CMD_GLOBAL: every translation of the unit
 * @OMNI_CMD_DOMAIN: every translation of one domain
 * @OMNI_CMD_PAGES: translations of a range of pages
 * @OMNI_CMD_DEVICE_TLB: a device TLB
 * @OMNI_CMD_WAIT: a wait for completion
 * @OMNI_CMD_WRITE_BUFFER: a write-buffer flush
 * @OMNI_CMD_OTHER: none of these
 * @OMNI_CMD_KINDS: how many kinds
 */
enum omni_cmd {
	OMNI_CMD_ENTRY,
	OMNI_CMD_GLOBAL,
	OMNI_CMD_DOMAIN,
	OMNI_CMD_PAGES,
	OMNI_CMD_DEVICE_TLB,
	OMNI_CMD_WAIT,
	OMNI_CMD_WRITE_BUFFER,
	OMNI_CMD_OTHER,
	OMNI_CMD_KINDS
};

/**
 * struct omni_command - a command that a unit was given
 * @kind: what it is
 * @fence: a wait for the unit itself, nobody polls for it
 * @leaf_only: tables may stay cached
 * @tag: domain, as the unit knows it
 * @rid: device, of an entry or a device TLB
 * @first: first 4K page number it covers
 * @last: last one, inclusive; U64_MAX for all
 * @od: the device, of a device TLB to be told
 * @raw: the vendor's form
 */
struct omni_command {
	enum omni_cmd kind;
	bool fence;
	bool leaf_only;
	u16 tag;
	u16 rid;
	u64 first;
	u64 last;
	const struct omni_device *od;
	u64 raw[2];
};

/**
 * struct omni_cached - one item of any cache
 * @used: there is one
 * @absent: a not-present entry, cached as such
 * @level: paging-structure caches: of the entry
 * @next: paging-structure caches: of the table it points to
 * @lg2: of the bytes it covers
 * @perm: OMNI_PERM_R, OMNI_PERM_W
 * @snoop: the leaf makes every access snoop the CPU's caches
 * @tag: domain
 * @space: which of the domain's address spaces, in a vendor's own numbers
 * @rid: requester, of entry caches and device TLBs
 * @iova: first byte
 * @pa: where it leads
 * @raw: entry caches: the entry
 */
struct omni_cached {
	bool used;
	bool absent;
	u8 level;
	u8 next;
	u8 lg2;
	u8 perm;
	bool snoop;
	u16 tag;
	u32 space;
	u16 rid;
	u64 iova;
	u64 pa;
	u64 raw[4];
};

struct omni_cache {
	struct omni_cached *item;
	unsigned int size;
	unsigned int high;	/* items from here on are unused */
};

struct omni_model;

struct omni_freed;

/**
 * struct omni_model_ops - what a vendor's model does in its own way
 * @on: it translates, lock held
 * @freed: report every way in which it can still reach a page-table page,
 *	lock held, while it is on
 * @step: one step of the queue, lock held; false if there is nothing to do
 * @end: the unit is off and the thread gone: destroy the driver's side
 * @free: free the model's memory
 * @dma: one access, see omni_model_dma(), lock held, while it is on
 * @reserve: prepare the entry of a requester ID, as the wing's probe does
 * @device: set up the wing's part of a device, as its probe does; or NULL
 * @domain: a domain made for the unit, or ERR_PTR()
 * @claim: from now on, or no longer, the firmware says the PCI device is the unit's
 * @remake: create the driver's side of the unit anew, or ERR_PTR()
 * @whole: fail the test unless such a unit has all it was made for
 * @adopt: the model serves it from now on
 * @storm: record refused accesses as fast as records are free
 * @overflow: the unit says it lost records
 * @lower: the unit's form of commands of these kinds: DOMAIN, PAGES, DEVICE_TLB
 * @submit: give it those commands, as the wing does
 * @empty: the unit has taken all it was given, read as the driver reads it
 * @entry: the entry of a requester ID, as it is in memory; returns 64-bit words
 * @entry_fault: what the unit says to such an entry: 0 translates, 1 blocks,
 *	-1 is against the specification
 */
struct omni_model_ops {
	bool (*on)(struct omni_model *m);
	void (*freed)(struct omni_model *m, struct omni_freed *f);
	bool (*step)(struct omni_model *m);
	void (*end)(struct omni_model *m);
	void (*free)(struct omni_model *m);
	int (*dma)(struct omni_model *m, u16 rid, u64 iova, bool write, u64 *pa);
	int (*reserve)(struct omni_model *m, u16 rid);
	void (*device)(struct omni_device *od);
	struct omni_domain *(*domain)(struct omni_model *m);
	void (*claim)(struct omni_model *m, struct pci_dev *pdev, bool on);
	struct omni_unit *(*remake)(struct omni_model *m);
	void (*whole)(struct kunit *test, struct omni_unit *unit);
	void (*adopt)(struct omni_model *m, struct omni_unit *unit);
	void (*storm)(struct omni_model *m, u16 rid, unsigned int nr);
	bool (*overflow)(struct omni_model *m);
	void (*lower)(struct omni_model *m, const struct omni_command *cmds, unsigned int nr,
		      void *lowered);
	void (*submit)(struct omni_model *m, const void *lowered, unsigned int nr,
		       struct omni_ticket *ticket);
	bool (*empty)(struct omni_model *m);
	unsigned int (*entry)(struct omni_model *m, u16 rid, bool coherent, u64 *words);
	int (*entry_fault)(struct omni_model *m, const u64 *words, const char **why);
};

/**
 * struct omni_model - one hardware model
 * @node: in the list of models alive
 * @ops: the vendor's part
 * @name: for messages
 * @nr_violations: times the driver broke the specification
 * @violations: the first of them, in words
 * @test: whose it is
 * @unit: the driver's side
 * @lock: protects all that follows but @thread
 * @thread: works on the queue
 * @rnd: all its choices
 * @evict: caches forget entries at random
 * @speculate: each access translates the page behind it too
 * @hang: it answers no command any more
 * @hung_since: from when on
 * @delay_ns: every step takes that long
 * @not_before: the next step
 * @error_after: commands until queue errors begin, waits not counted
 * @errors_left: queue errors to come
 * @mute: refused accesses are not recorded
 * @doorbells: times the driver moved the queue's tail
 * @fetched: commands fetched
 * @done: commands carried out, by kind
 * @nr_trace: commands fetched since omni_model_trace()
 * @trace: the first of them
 * @stray: device TLB invalidations for a device whose device TLB is off
 * @hits: translations that a cache answered
 * @walks: translations that needed a walk
 * @faults: accesses refused, recorded or not
 * @snooped: the access that is made now snoops, whatever it asks for
 * @entries: cache of context or device table entries
 * @tlb: translations
 * @tables: entries that point to tables
 * @device_tlb: what devices hold
 * @ats_on: requester IDs whose device TLB is on
 */
struct omni_model {
	struct list_head node;
	const struct omni_model_ops *ops;
	const char *name;
	atomic_t nr_violations;
	char violations[OMNI_VIOLATIONS_KEPT][160];
	struct kunit *test;
	struct omni_unit *unit;
	raw_spinlock_t lock;	/* see @lock above */
	struct task_struct *thread;
	struct rnd_state rnd;
	bool evict;
	bool speculate;

	bool hang;
	u64 hung_since;
	u64 delay_ns;
	u64 not_before;
	u64 error_after;
	unsigned int errors_left;
	bool mute;

	u64 doorbells;
	u64 fetched;
	u64 done[OMNI_CMD_KINDS];
	unsigned int nr_trace;
	struct omni_command trace[OMNI_TRACE_KEPT];
	u64 stray;
	u64 hits;
	u64 walks;
	u64 faults;
	bool snooped;

	struct omni_cache entries, tlb, tables, device_tlb;
	DECLARE_BITMAP(ats_on, 65536);
};

/* For the models: all of these want the model's lock held. */

static inline u32 omni_model_random(struct omni_model *m, u32 ceil)
{
	return omni_below(&m->rnd, ceil);
}

void omni_cache_add(struct omni_model *m, struct omni_cache *cache, struct omni_cached item);
struct omni_cached *omni_cache_next(struct omni_cache *cache, struct omni_cached *item);
void omni_cache_drop(struct omni_cache *cache, struct omni_cached *item);
void omni_cache_evict(struct omni_model *m, struct omni_cache *cache);

#define for_each_cached(c, cache) \
	for ((c) = omni_cache_next((cache), NULL); (c); (c) = omni_cache_next((cache), (c)))

static inline bool omni_cached_meets(const struct omni_cached *c, u64 first, u64 last)
{
	return c->iova <= last && (c->iova | (BIT_ULL(c->lg2) - 1)) >= first;
}

/**
 * omni_device_tlb_find() - what a device TLB answers
 * @m: the model, lock held
 * @rid: whose
 * @iova: address
 * @perm: permission needed
 *
 * Return: the item or NULL.
 * Context: any.
 */
struct omni_cached *omni_device_tlb_find(struct omni_model *m, u16 rid, u64 iova, u8 perm);

/**
 * omni_device_tlb_drop() - a device TLB is told to forget
 * @m: the model, lock held
 * @rid: whose
 * @space: of which address space
 * @first: first byte
 * @last: last byte
 *
 * Context: any.
 */
void omni_device_tlb_drop(struct omni_model *m, u16 rid, u32 space, u64 first, u64 last);

/**
 * omni_model_note() - put a command into the trace
 * @m: the model, lock held
 * @cmd: the command
 *
 * Context: any.
 */
void omni_model_note(struct omni_model *m, const struct omni_command *cmd);

/**
 * omni_model_hung() - does it still not answer?
 * @m: the model, lock held
 *
 * No driver waits for an answer for ever: that ends a hang.
 *
 * Return: true while it hangs.
 * Context: any.
 */
bool omni_model_hung(struct omni_model *m);

/**
 * omni_model_rested() - is it time for the next step?
 * @m: the model, lock held
 *
 * Return: false if it was told to be slow, and has just done one.
 * Context: any.
 */
bool omni_model_rested(struct omni_model *m);

/**
 * omni_model_steps() - go on with the queue, since the driver looks
 * @m: the model, lock held
 * @nr: steps at most
 *
 * Context: any.
 */
void omni_model_steps(struct omni_model *m, unsigned int nr);

/**
 * omni_violation() - record that the driver broke the specification
 * @m: the model that noticed
 * @fmt: what it did, in words
 *
 * Context: any.
 */
__printf(2, 3) void omni_violation(struct omni_model *m, const char *fmt, ...);

/**
 * omni_model_init() - the vendor-neutral part of a model comes to life
 * @test: whose it is
 * @m: zeroed but for @evict and @speculate
 * @ops: the vendor's part
 * @name: for messages
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int omni_model_init(struct kunit *test, struct omni_model *m, const struct omni_model_ops *ops,
		    const char *name);

/**
 * omni_model_fini() - undo omni_model_init(), for a model that never started
 * @m: the model
 *
 * Context: may sleep.
 */
void omni_model_fini(struct omni_model *m);

/**
 * omni_model_start() - let it work, and switch the unit on with the driver's own code
 * @m: the model, its unit created
 *
 * At the end of the test, or with omni_model_destroy(), the unit is switched
 * off, checked and freed. The test ends here when it can't be switched on.
 *
 * Context: may sleep.
 */
void omni_model_start(struct omni_model *m);

/* For the suites */

/**
 * omni_model_destroy() - end a model before the test ends
 * @m: the model
 *
 * Context: may sleep.
 */
void omni_model_destroy(struct omni_model *m);

/**
 * omni_model_device() - a device behind a model
 * @m: the unit
 * @rid: its requester ID
 * @ats_depth: 0 for a device without a device TLB
 *
 * Return: the device, blocked; it ends with the test.
 * Context: may sleep.
 */
struct omni_device *omni_model_device(struct omni_model *m, u16 rid, u8 ats_depth);

/**
 * omni_model_domain() - a domain made for a model's unit
 * @m: the unit
 *
 * Return: the domain, freed at the end of the test; the test ends when there is no memory.
 * Context: may sleep.
 */
struct omni_domain *omni_model_domain(struct omni_model *m);

/**
 * omni_domain_free() - free a domain
 * @domain: a domain that is attached nowhere, and not omni_model_domain()'s
 *
 * Context: may sleep.
 */
static inline void omni_domain_free(struct omni_domain *domain)
{
	domain->iommu.ops->free(&domain->iommu);
}

/**
 * omni_model_domain_free() - free one of omni_model_domain() before the test ends
 * @test: the test
 * @domain: the domain, attached nowhere
 *
 * Context: may sleep.
 */
void omni_model_domain_free(struct kunit *test, struct omni_domain *domain);

/**
 * omni_model_dma() - one access, and what it meets
 * @m: the unit
 * @rid: who makes it
 * @iova: where
 * @write: it writes
 * @pa: receives the physical address, or NULL
 * @meet: called with the physical address before the access is over, or NULL:
 *	no invalidation can complete meanwhile
 * @arg: handed to @meet
 *
 * Return: 0, or the vendor's reason for which it was refused.
 * Context: any.
 */
int omni_model_dma(struct omni_model *m, u16 rid, u64 iova, bool write, u64 *pa,
		   void (*meet)(void *arg, u64 pa), void *arg);

static inline int omni_access(struct omni_model *m, u16 rid, u64 iova, bool write, u64 *pa)
{
	return omni_model_dma(m, rid, iova, write, pa, NULL, NULL);
}

/**
 * omni_model_check() - fail the test for every violation recorded
 * @test: the test
 * @m: the model, whose record is emptied
 *
 * Context: may sleep.
 */
void omni_model_check(struct kunit *test, struct omni_model *m);

/**
 * omni_model_violations() - take the record, for tests that expect entries
 * @m: the model, whose record is emptied
 *
 * Return: how many there were.
 * Context: any.
 */
unsigned int omni_model_violations(struct omni_model *m);

/**
 * omni_model_trace() - begin a new trace
 * @m: the unit
 *
 * Context: any.
 */
void omni_model_trace(struct omni_model *m);

/**
 * omni_model_traced() - a command of the trace, waits skipped, fences not
 * @m: the unit
 * @n: which, from 0
 * @cmd: receives it
 *
 * Return: false if there is none.
 * Context: any.
 */
bool omni_model_traced(struct omni_model *m, unsigned int n, struct omni_command *cmd);

/**
 * omni_model_hang() - stop answering, or go on
 * @m: the unit
 * @hang: which
 *
 * Context: any.
 */
void omni_model_hang(struct omni_model *m, bool hang);

/**
 * omni_model_delay() - make every step take its time
 * @m: the unit
 * @us: microseconds
 *
 * Context: any.
 */
void omni_model_delay(struct omni_model *m, unsigned int us);

/**
 * omni_model_error() - report errors for commands that are in order
 * @m: the unit
 * @after: commands that are still carried out, waits not counted
 * @times: errors after that
 *
 * Context: any.
 */
void omni_model_error(struct omni_model *m, u64 after, unsigned int times);

/* Commands as any unit has them. */
struct omni_lowered {
	u64 words[OMNI_SUBMIT_MAX][2];
};

/**
 * omni_model_submit() - give a unit commands
 * @m: the unit
 * @cmds: DOMAIN, PAGES or DEVICE_TLB
 * @nr: how many, up to OMNI_SUBMIT_MAX
 * @ticket: receives what omni_model_wait() needs
 *
 * Context: any.
 */
void omni_model_submit(struct omni_model *m, const struct omni_command *cmds, unsigned int nr,
		       struct omni_ticket *ticket);

/**
 * omni_model_wait() - wait for a submission
 * @m: the unit
 * @ticket: the submission
 *
 * Return: 0; -EAGAIN if it may have got lost; or another -errno.
 * Context: any.
 */
int omni_model_wait(struct omni_model *m, const struct omni_ticket *ticket);

/**
 * omni_model_submit_wait() - both, again and again where errors ask for it
 * @m: the unit
 * @cmds: as above
 * @nr: as above
 *
 * Return: 0 or -errno.
 * Context: any.
 */
int omni_model_submit_wait(struct omni_model *m, const struct omni_command *cmds,
			   unsigned int nr);

/**
 * omni_model_done() - commands carried out so far
 * @m: the unit
 * @what: kind
 *
 * Return: their number.
 * Context: any.
 */
u64 omni_model_done(struct omni_model *m, enum omni_cmd what);

/**
 * omni_model_cached() - what the caches hold for a tag
 * @m: the unit
 * @tag: the domain
 *
 * Return: translations and tables, not-present ones included.
 * Context: any.
 */
unsigned int omni_model_cached(struct omni_model *m, u16 tag);

/**
 * omni_model_device_cached() - what a device TLB holds
 * @m: the unit
 * @rid: whose
 *
 * Return: translations.
 * Context: any.
 */
unsigned int omni_model_device_cached(struct omni_model *m, u16 rid);

#endif
