// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d model: caches, walks, accesses, faults and the model's life (VT-d
 * r3.1, chapters 3, 4, 6, 7 and 9, legacy mode). model_vtd_queue.c has what
 * the driver talks to.
 *
 * One raw lock makes each access and each command one step. A wait completes
 * under the same lock, so an access that has begun is over before the driver
 * can learn that its invalidation is done, as draining guarantees.
 */
#include "model_vtd.h"

#include <linux/irq.h>
#include <linux/kthread.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#define VTD_MODEL_BASE		0xfed90000ULL
#define VTD_MODEL_UNITS		16

/* Appendix A: fault reasons. */
#define FAULT_NO_ROOT		0x01
#define FAULT_NO_CONTEXT	0x02
#define FAULT_BAD_CONTEXT	0x03
#define FAULT_WIDTH		0x04
#define FAULT_WRITE		0x05
#define FAULT_READ		0x06
#define FAULT_ROOT_RESERVED	0x0a
#define FAULT_CONTEXT_RESERVED	0x0b
#define FAULT_ENTRY_RESERVED	0x0c
#define FAULT_TRANSLATION	0x0d
#define FAULT_INTERRUPT		0x0e

static DEFINE_MUTEX(vtd_models_lock);	/* protects vtd_models */
static struct vtd_model *vtd_models[VTD_MODEL_UNITS];

static bool vtd_model_coherent(const struct vtd_model *m)
{
	return m->config.ecap & VTD_ECAP_C;
}

/* Not-present entries may be cached (6.1) or linger in a write buffer (6.8). */
static bool vtd_model_absent(const struct vtd_model *m)
{
	return m->config.cap & (VTD_CAP_CM | VTD_CAP_RWBF);
}

/* Caches */

static int vtd_cache_init(struct vtd_cache *cache, unsigned int size)
{
	cache->item = kvcalloc(size, sizeof(*cache->item), GFP_KERNEL);
	cache->size = size;
	return cache->item ? 0 : -ENOMEM;
}

void vtd_cache_drop(struct vtd_cache *cache, struct vtd_cached *item)
{
	item->used = false;
	while (cache->high && !cache->item[cache->high - 1].used)
		cache->high--;
}

static void vtd_cache_add(struct vtd_model *m, struct vtd_cache *cache,
			  struct vtd_cached item)
{
	unsigned int i;

	for (i = 0; i < cache->size; i++)
		if (!cache->item[i].used)
			break;
	if (i == cache->size)
		i = vtd_model_random(m, cache->size);
	item.used = true;
	cache->item[i] = item;
	cache->high = max(cache->high, i + 1);
}

struct vtd_cached *vtd_cache_next(struct vtd_cache *cache, struct vtd_cached *item)
{
	item = item ?: cache->item + cache->high;
	while (item-- > cache->item)
		if (item->used)
			return item;
	return NULL;
}

static void vtd_cache_evict(struct vtd_model *m, struct vtd_cache *cache)
{
	struct vtd_cached *c;

	if (!cache->high)
		return;
	c = &cache->item[vtd_model_random(m, cache->high)];
	if (c->used)
		vtd_cache_drop(cache, c);
}

bool vtd_cached_meets(const struct vtd_cached *c, u64 first, u64 last)
{
	return c->iova <= last && (c->iova | (BIT_ULL(c->lg2) - 1)) >= first;
}

/* Walks */

int vtd_model_context_fault(struct vtd_model *m, u64 lo, u64 hi, const char **why)
{
	unsigned int tt = FIELD_GET(VTD_CTX_TT, lo);
	unsigned int aw = FIELD_GET(VTD_CTX_HI_AW, hi);
	unsigned int did = FIELD_GET(VTD_CTX_HI_DID, hi);
	unsigned int sagaw = FIELD_GET(VTD_CAP_SAGAW, m->config.cap);
	u64 ptr = lo & VTD_CTX_SLPTPTR;

	*why = "not present";
	if (!(lo & VTD_CTX_P))
		return FAULT_NO_CONTEXT;
	*why = "reserved bits are set";
	if (lo & GENMASK_ULL(11, 4) || hi & (GENMASK_ULL(63, 24) | BIT_ULL(7)))
		return FAULT_CONTEXT_RESERVED;
	*why = "the table pointer is beyond the host's address width";
	if (ptr >> VTD_MODEL_HAW)
		return FAULT_CONTEXT_RESERVED;
	*why = "the translation type is not supported";
	if (tt == 3 || (tt == VTD_TT_DEVICE_TLB && !(m->config.ecap & VTD_ECAP_DT)) ||
	    (tt == VTD_TT_PASS_THROUGH && !(m->config.ecap & VTD_ECAP_PT)))
		return FAULT_BAD_CONTEXT;
	*why = "the address width is not supported";
	if (!(sagaw & BIT(aw)) || (tt == VTD_TT_PASS_THROUGH && aw != fls(sagaw) - 1))
		return FAULT_BAD_CONTEXT;
	*why = "there is no table";
	if (tt != VTD_TT_PASS_THROUGH && !ptr)
		return FAULT_BAD_CONTEXT;
	*why = "the domain id is out of range";
	if (did >= BIT(4 + 2 * FIELD_GET(VTD_CAP_ND, m->config.cap)))
		return FAULT_BAD_CONTEXT;
	*why = "domain id 0 is reserved with caching mode";
	if (!did && m->config.cap & VTD_CAP_CM)
		return FAULT_BAD_CONTEXT;
	return 0;
}

/* Tables of one domain id must be the same for all (6.2.1). */
static void vtd_model_check_did(struct vtd_model *m, const struct vtd_cached *new)
{
	const u64 lo = VTD_CTX_SLPTPTR | BIT_ULL(3);
	struct vtd_cached *c;

	for_each_cached(c, &m->contexts)
		if (!c->absent && c->did == new->did && c->rid != new->rid &&
		    ((c->lo ^ new->lo) & lo || (c->hi ^ new->hi) & VTD_CTX_HI_AW))
			omni_violation(&m->base,
				       "domain id %u means %llx for %04x and, still cached, %llx for %04x",
				       new->did, new->lo, new->rid, c->lo, c->rid);
}

static struct vtd_cached *vtd_model_context_cached(struct vtd_model *m, u16 rid)
{
	struct vtd_cached *c;

	for_each_cached(c, &m->contexts)
		if (c->rid == rid)
			return c;
	return NULL;
}

/* The context entry of a requester: 9.1, 9.3. */
static int vtd_model_context(struct vtd_model *m, u16 rid, u64 *lo, u64 *hi)
{
	struct vtd_cached *c = vtd_model_context_cached(m, rid), new = { .rid = rid };
	const char *why;
	u128 entry;
	u64 root;
	int reason;

	if (c) {
		*lo = c->lo;
		*hi = c->hi;
		return c->absent ? FAULT_NO_CONTEXT : 0;
	}

	entry = omni_memory_read128(m->root + (rid >> 8) * 16, vtd_model_coherent(m));
	root = (u64)entry;
	if (root == OMNI_MEMORY_GARBAGE) {
		omni_violation(&m->base, "the root entry of %04x was never written back", rid);
		return FAULT_ROOT_RESERVED;
	}
	if ((u64)(entry >> 64) || (root & VTD_ROOT_P && (root & GENMASK_ULL(11, 1) ||
							 root >> VTD_MODEL_HAW))) {
		omni_violation(&m->base, "root entry of %04x has reserved bits: %llx", rid, root);
		return FAULT_ROOT_RESERVED;
	}
	reason = FAULT_NO_ROOT;
	if (root & VTD_ROOT_P) {
		entry = omni_memory_read128((root & VTD_ROOT_CTP) + (rid & 0xff) * 16,
					    vtd_model_coherent(m));
		new.lo = (u64)entry;
		new.hi = (u64)(entry >> 64);
		new.did = FIELD_GET(VTD_CTX_HI_DID, new.hi);
		if (new.lo == OMNI_MEMORY_GARBAGE) {
			omni_violation(&m->base,
				       "the context entry of %04x was never written back", rid);
			return FAULT_CONTEXT_RESERVED;
		}
		reason = vtd_model_context_fault(m, new.lo, new.hi, &why);
		if (reason && reason != FAULT_NO_CONTEXT) {
			omni_violation(&m->base, "context entry of %04x, %016llx %016llx: %s",
				       rid, new.hi, new.lo, why);
			return reason;
		}
	}
	if (reason) {
		/* 6.1: cached under domain id 0. */
		new.absent = true;
		new.did = 0;
		new.lo = 0;
		if (vtd_model_absent(m))
			vtd_cache_add(m, &m->contexts, new);
		return reason;
	}
	vtd_model_check_did(m, &new);
	vtd_cache_add(m, &m->contexts, new);
	*lo = new.lo;
	*hi = new.hi;
	return 0;
}

static const char *vtd_model_entry_fault(struct vtd_model *m, u64 entry, unsigned int level,
					 bool leaf)
{
	u64 sllps = FIELD_GET(VTD_CAP_SLLPS, m->config.cap);

	if ((entry & VTD_SS_ADDR) >> VTD_MODEL_HAW)
		return "its address is beyond the host's address width";
	if (entry & BIT_ULL(62) && !(m->config.ecap & VTD_ECAP_DT))
		return "the transient mapping bit is set";
	if (!leaf)
		return NULL;
	if (level > 2 || (level == 1 && !(sllps & VTD_SLLPS_2M)) ||
	    (level == 2 && !(sllps & VTD_SLLPS_1G)))
		return "there are no leaves of its size";
	if (entry & VTD_SS_ADDR & (BIT_ULL(12 + 9 * level) - 1))
		return "its address is not aligned to its size";
	if (entry & VTD_SS_SNP && !(m->config.ecap & VTD_ECAP_SC))
		return "the snoop bit is set";
	return NULL;
}

/* A translation on its way through caches and tables. */
struct vtd_found {
	u64 pa;
	u8 perm;
	u8 lg2;
};

static int vtd_model_refused(bool write)
{
	return write ? FAULT_WRITE : FAULT_READ;
}

static int vtd_model_walk(struct vtd_model *m, u64 lo, u64 hi, u64 iova, bool write,
			  struct vtd_found *found)
{
	u16 did = FIELD_GET(VTD_CTX_HI_DID, hi);
	unsigned int level = FIELD_GET(VTD_CTX_HI_AW, hi) + 1, shift;
	struct vtd_cached *c, *best = NULL;
	struct vtd_cached item;
	u64 table = lo & VTD_CTX_SLPTPTR;
	const char *why;
	u64 entry;
	bool leaf;

	found->perm = VTD_SS_R | VTD_SS_W;
	for_each_cached(c, &m->tables)
		if (c->did == did && vtd_cached_meets(c, iova, iova) &&
		    (!best || c->level < best->level))
			best = c;
	if (best) {
		if (best->absent)
			return vtd_model_refused(write);
		level = best->level - 1;
		table = best->pa;
		found->perm = best->perm;
	}

	m->walks++;
	for (;;) {
		shift = 12 + 9 * level;
		entry = omni_memory_read(table + ((iova >> shift) & 511) * 8,
					 vtd_model_coherent(m));
		if (entry == OMNI_MEMORY_GARBAGE) {
			omni_violation(&m->base,
				       "the line of %#llx at level %u was never written back",
				       iova, level);
			return FAULT_ENTRY_RESERVED;
		}
		leaf = !level || entry & VTD_SS_PS;
		item = (struct vtd_cached) {
			.did = did,
			.level = level,
			.lg2 = shift,
			.iova = iova >> shift << shift,
			.pa = entry & VTD_SS_ADDR,
		};
		if (!(entry & (VTD_SS_R | VTD_SS_W))) {
			item.absent = true;
			if (vtd_model_absent(m))
				vtd_cache_add(m, level ? &m->tables : &m->tlb, item);
			return vtd_model_refused(write);
		}
		why = vtd_model_entry_fault(m, entry, level, leaf);
		if (why) {
			omni_violation(&m->base, "entry %016llx of %#llx at level %u: %s",
				       entry, iova, level, why);
			return FAULT_ENTRY_RESERVED;
		}
		found->perm &= entry;
		item.perm = found->perm;
		if (leaf)
			break;
		vtd_cache_add(m, &m->tables, item);
		table = item.pa;
		level--;
	}
	/* A large leaf may be cached in smaller pieces. */
	if (level && vtd_model_random(m, 2)) {
		item.lg2 = 12;
		item.pa += (iova & (BIT_ULL(shift) - 1)) & ~0xfffULL;
		item.iova = iova & ~0xfffULL;
	}
	vtd_cache_add(m, &m->tlb, item);
	found->lg2 = item.lg2;
	found->pa = item.pa | (iova & (BIT_ULL(item.lg2) - 1));
	return found->perm & (write ? VTD_SS_W : VTD_SS_R) ? 0 : vtd_model_refused(write);
}

/* 3.6 to 3.8: one request, untranslated or a translation request. */
static int vtd_model_translate(struct vtd_model *m, u16 rid, u64 iova, bool write,
			       bool request, struct vtd_found *found)
{
	struct vtd_cached *c;
	unsigned int width;
	u64 lo, hi;
	int reason;

	if (m->config.evict && !vtd_model_random(m, 4)) {
		vtd_cache_evict(m, &m->tlb);
		vtd_cache_evict(m, &m->tables);
		if (!vtd_model_random(m, 4))
			vtd_cache_evict(m, &m->contexts);
	}
	reason = vtd_model_context(m, rid, &lo, &hi);
	if (reason)
		return reason;
	if (request && FIELD_GET(VTD_CTX_TT, lo) != VTD_TT_DEVICE_TLB)
		return FAULT_TRANSLATION;
	if (FIELD_GET(VTD_CTX_TT, lo) == VTD_TT_PASS_THROUGH) {
		*found = (struct vtd_found) {
			.pa = iova,
			.perm = VTD_SS_R | VTD_SS_W,
			.lg2 = 12,
		};
		return 0;
	}
	width = min(30 + 9 * FIELD_GET(VTD_CTX_HI_AW, hi),
		    FIELD_GET(VTD_CAP_MGAW, m->config.cap) + 1);
	if (iova >> width)
		return FAULT_WIDTH;

	for_each_cached(c, &m->tlb) {
		if (c->did != FIELD_GET(VTD_CTX_HI_DID, hi) || !vtd_cached_meets(c, iova, iova))
			continue;
		m->hits++;
		*found = (struct vtd_found) {
			.pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1)),
			.perm = c->perm,
			.lg2 = c->lg2,
		};
		return c->perm & (write ? VTD_SS_W : VTD_SS_R) ? 0 : vtd_model_refused(write);
	}
	return vtd_model_walk(m, lo, hi, iova, write, found);
}

/* Faults: 7.2, 10.4.14 */

bool vtd_model_any_fault(struct vtd_model *m)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(m->frcd); i++)
		if (m->frcd[i].hi & VTD_FRCD_HI_F)
			return true;
	return false;
}

static void vtd_model_irq(struct irq_work *work)
{
	struct vtd_model *m = container_of(work, struct vtd_model, irq_work);
	unsigned int irq = READ_ONCE(m->unit->irq);

	if (irq)
		generic_handle_irq(irq);
}

void vtd_model_event(struct vtd_model *m)
{
	if (m->fectl & VTD_FECTL_IM)
		m->fectl |= BIT(30);	/* pending until it is unmasked */
	else
		irq_work_queue(&m->irq_work);
}

static void vtd_model_record(struct vtd_model *m, u16 rid, u64 iova, bool write, int reason)
{
	unsigned int at = m->next_frcd;

	m->faults++;
	if (m->mute || m->fsts & VTD_FSTS_PFO)
		return;
	if (m->frcd[at].hi & VTD_FRCD_HI_F) {
		m->fsts |= VTD_FSTS_PFO;
		return;
	}
	if (!vtd_model_any_fault(m)) {
		m->fri = at;
		vtd_model_event(m);
	}
	m->frcd[at].lo = iova & VTD_FRCD_LO_FI;
	m->frcd[at].hi = VTD_FRCD_HI_F | FIELD_PREP(VTD_FRCD_HI_SID, rid) |
			 FIELD_PREP(VTD_FRCD_HI_FR, reason) | (write ? 0 : VTD_FRCD_HI_T1);
	m->next_frcd = (at + 1) % ARRAY_SIZE(m->frcd);
}

/* Accesses */

static struct vtd_cached *vtd_model_device_tlb(struct vtd_model *m, u16 rid, u64 iova,
					       bool write)
{
	struct vtd_cached *c;

	for_each_cached(c, &m->device_tlb)
		if (c->rid == rid && vtd_cached_meets(c, iova, iova) &&
		    c->perm & (write ? VTD_SS_W : VTD_SS_R))
			return c;
	return NULL;
}

/* 4.1: a device with a device TLB, which asks before it accesses. */
static int vtd_model_ats_dma(struct vtd_model *m, u16 rid, u64 iova, bool write, u64 *pa)
{
	struct vtd_cached *c = vtd_model_device_tlb(m, rid, iova, write);
	struct vtd_found found;
	u64 lo, hi;
	int reason;

	if (!c) {
		reason = vtd_model_translate(m, rid, iova, write, true, &found);
		if (reason == FAULT_READ || reason == FAULT_WRITE)
			return reason;	/* an answer without permission is no fault */
		if (reason)
			goto fault;
		vtd_cache_add(m, &m->device_tlb, (struct vtd_cached) {
			.rid = rid,
			.lg2 = found.lg2,
			.perm = found.perm,
			.iova = iova >> found.lg2 << found.lg2,
			.pa = found.pa >> found.lg2 << found.lg2,
		});
		*pa = found.pa;
	} else {
		*pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1));
	}
	/* The translated request. */
	reason = vtd_model_context(m, rid, &lo, &hi);
	if (!reason && FIELD_GET(VTD_CTX_TT, lo) != VTD_TT_DEVICE_TLB)
		reason = FAULT_TRANSLATION;
	if (!reason)
		return 0;
fault:
	if (reason == FAULT_TRANSLATION)
		omni_violation(&m->base,
			       "%04x uses its device TLB on an entry that refuses it", rid);
	vtd_model_record(m, rid, iova, write, reason);
	return reason;
}

int vtd_model_dma(struct vtd_model *m, u16 rid, u64 iova, bool write, u64 *pa,
		  void (*meet)(void *arg, u64 pa), void *arg)
{
	struct vtd_found found = { .pa = iova }, next;
	unsigned long flags;
	int reason = 0;

	raw_spin_lock_irqsave(&m->lock, flags);
	if (!(m->gsts & VTD_G_TE))
		goto out;
	if (iova >= VTD_MSI_FIRST && iova <= VTD_MSI_LAST) {
		reason = write ? 0 : FAULT_INTERRUPT;
		if (reason)
			vtd_model_record(m, rid, iova, write, reason);
		goto out;
	}
	if (test_bit(rid, m->ats_on)) {
		reason = vtd_model_ats_dma(m, rid, iova, write, &found.pa);
		goto out;
	}
	reason = vtd_model_translate(m, rid, iova, write, false, &found);
	if (reason)
		vtd_model_record(m, rid, iova, write, reason);
	if (m->config.speculate)
		vtd_model_translate(m, rid, iova + SZ_4K, false, false, &next);
out:
	if (!reason && pa)
		*pa = found.pa;
	if (!reason && meet)
		meet(arg, found.pa);
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return reason;
}

/* Freed tables */

/* Does a walk from @table, at @level, reach the table at @pa? */
static bool vtd_model_reaches(struct vtd_model *m, u64 table, unsigned int level, u64 pa,
			      unsigned int *budget)
{
	unsigned int i;

	if (table == pa)
		return true;
	for (i = 0; level && i < 512 && *budget; i++) {
		u64 entry = omni_memory_read(table + i * 8, vtd_model_coherent(m));

		(*budget)--;
		if (!(entry & (VTD_SS_R | VTD_SS_W)) || entry & VTD_SS_PS ||
		    entry == OMNI_MEMORY_GARBAGE)
			continue;
		/* Of the lowest tables only the address counts. */
		if ((entry & VTD_SS_ADDR) == pa)
			return true;
		if (level > 1 && vtd_model_reaches(m, entry & VTD_SS_ADDR, level - 1, pa, budget))
			return true;
	}
	return false;
}

static void vtd_model_reached(struct vtd_model *m, u64 pa)
{
	unsigned int bus, fn, nr = 0, budget = 65536, i;
	u64 seen[16];

	for (bus = 0; bus < 256; bus++) {
		u64 root = omni_memory_read(m->root + bus * 16, vtd_model_coherent(m));

		if (!(root & VTD_ROOT_P) || root == OMNI_MEMORY_GARBAGE)
			continue;
		for (fn = 0; fn < 256; fn++) {
			u128 entry = omni_memory_read128((root & VTD_ROOT_CTP) + fn * 16,
							 vtd_model_coherent(m));
			u64 lo = (u64)entry, hi = (u64)(entry >> 64);
			const char *why;

			if (vtd_model_context_fault(m, lo, hi, &why) ||
			    FIELD_GET(VTD_CTX_TT, lo) == VTD_TT_PASS_THROUGH)
				continue;
			for (i = 0; i < nr && seen[i] != (lo & VTD_CTX_SLPTPTR); i++)
				;
			if (i < nr)
				continue;
			if (nr < ARRAY_SIZE(seen))
				seen[nr++] = lo & VTD_CTX_SLPTPTR;
			if (vtd_model_reaches(m, lo & VTD_CTX_SLPTPTR,
					      FIELD_GET(VTD_CTX_HI_AW, hi) + 1, pa, &budget))
				omni_violation(&m->base,
					       "a freed table, %llx, is reached from the entry of %02x:%02x",
					       pa, bus, fn);
		}
	}
}

static void vtd_model_table_freed(struct omni_model *base, phys_addr_t pa)
{
	struct vtd_model *m = container_of(base, struct vtd_model, base);
	struct vtd_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	if (!(m->gsts & VTD_G_TE))
		goto out;
	for_each_cached(c, &m->tables)
		if (!c->absent && c->pa == pa)
			omni_violation(&m->base,
				       "a freed table, %llx, is still cached for %#llx of domain id %u",
				       (u64)pa, c->iova, c->did);
	for_each_cached(c, &m->contexts)
		if (!c->absent && FIELD_GET(VTD_CTX_TT, c->lo) != VTD_TT_PASS_THROUGH &&
		    (c->lo & VTD_CTX_SLPTPTR) == pa)
			omni_violation(&m->base,
				       "a freed table, %llx, is the root of the cached entry of %04x",
				       (u64)pa, c->rid);
	vtd_model_reached(m, pa);
out:
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

static const struct omni_model_ops vtd_model_ops = {
	.table_freed = vtd_model_table_freed,
};

/* Control */

void vtd_model_trace(struct vtd_model *m)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->nr_trace = 0;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

bool vtd_model_traced(struct vtd_model *m, unsigned int n, struct vtd_desc *desc)
{
	unsigned long flags;
	bool found = false;
	unsigned int i;

	raw_spin_lock_irqsave(&m->lock, flags);
	for (i = 0; i < m->nr_trace && i < VTD_MODEL_TRACE && !found; i++) {
		u64 lo = le64_to_cpu(m->trace[i].lo);

		/* A fence counts, a wait for somebody does not. */
		if (FIELD_GET(VTD_DESC_TYPE, lo) == VTD_DESC_WAIT && !(lo & VTD_WAIT_FN))
			continue;
		if (n--)
			continue;
		*desc = m->trace[i];
		found = true;
	}
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return found;
}

void vtd_model_hang(struct vtd_model *m, bool hang)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->hang = hang;
	m->hung_since = ktime_get_mono_fast_ns();
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

void vtd_model_delay(struct vtd_model *m, unsigned int us)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->delay_ns = us * NSEC_PER_USEC;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

void vtd_model_iqe(struct vtd_model *m, u64 after, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->iqe_after = after;
	m->iqe_left = times;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

void vtd_model_ite(struct vtd_model *m, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->ite_left = times;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

void vtd_model_ice(struct vtd_model *m, u16 rid)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->fsts |= VTD_FSTS_ICE;
	m->iqercd &= ~VTD_IQERCD_ICESID;
	m->iqercd |= FIELD_PREP(VTD_IQERCD_ICESID, rid);
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

void vtd_model_storm(struct vtd_model *m, u16 rid, unsigned int nr)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	while (nr--)
		vtd_model_record(m, rid, (u64)nr << 12, nr & 1, nr & 1 ? FAULT_WRITE : FAULT_READ);
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

u64 vtd_model_done(struct vtd_model *m, enum vtd_model_command what)
{
	unsigned long flags;
	u64 nr;

	raw_spin_lock_irqsave(&m->lock, flags);
	nr = m->done[what];
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

unsigned int vtd_model_cached(struct vtd_model *m, u16 did)
{
	unsigned int nr = 0;
	struct vtd_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	for_each_cached(c, &m->tlb)
		nr += c->did == did;
	for_each_cached(c, &m->tables)
		nr += c->did == did;
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

static void vtd_model_ats(void *arg, u16 rid, bool on)
{
	struct vtd_model *m = arg;
	struct vtd_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	if (on) {
		/* PCIe 10.5.1.3: enabling begins with an empty cache. */
		for_each_cached(c, &m->device_tlb)
			if (c->rid == rid)
				vtd_cache_drop(&m->device_tlb, c);
		set_bit(rid, m->ats_on);
	} else {
		clear_bit(rid, m->ats_on);
	}
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

struct omni_device *vtd_model_device(struct kunit *test, struct vtd_model *m, u16 rid,
				     u8 ats_depth)
{
	KUNIT_ASSERT_EQ(test, vtd_tables_reserve(m->unit, rid), 0);
	return omni_test_device(test, &m->unit->core, rid, ats_depth, vtd_model_ats, m);
}

static void vtd_model_domain_end(void *arg)
{
	vtd_domain_free(arg);
}

struct omni_domain *vtd_model_domain(struct kunit *test, struct vtd_model *m)
{
	struct omni_domain *domain = vtd_domain_create(m->unit, NUMA_NO_NODE);

	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, vtd_model_domain_end, domain), 0);
	return domain;
}

void vtd_model_domain_free(struct kunit *test, struct omni_domain *domain)
{
	kunit_release_action(test, vtd_model_domain_end, domain);
}

void vtd_model_check(struct kunit *test, struct vtd_model *m)
{
	omni_model_check(test, &m->base);
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

	if (!unit->queue.dead && !unit->core.broken)
		return NULL;
	leak = kzalloc(sizeof(*leak), GFP_KERNEL);
	if (!leak)
		return NULL;
	if (unit->queue.dead) {
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

static void vtd_model_free(struct vtd_model *m)
{
	unsigned int i = m->drhd.index;

	mutex_lock(&vtd_models_lock);
	if (i < VTD_MODEL_UNITS && vtd_models[i] == m)
		vtd_models[i] = NULL;
	mutex_unlock(&vtd_models_lock);
	kvfree(m->contexts.item);
	kvfree(m->tlb.item);
	kvfree(m->tables.item);
	kvfree(m->device_tlb.item);
	kvfree(m);
}

static void vtd_model_end(void *arg)
{
	struct vtd_model *m = arg;
	struct vtd_model_leak *leak;

	vtd_model_delay(m, 0);
	vtd_unit_off(&m->unit->core);
	omni_model_remove(&m->base);
	if (m->thread)
		kthread_stop(m->thread);
	irq_work_sync(&m->irq_work);
	leak = vtd_model_leaks(m->unit);
	vtd_unit_destroy(&m->unit->core);
	vtd_model_free_leaks(leak);
	omni_model_check(m->test, &m->base);
	vtd_model_free(m);
}

void vtd_model_destroy(struct kunit *test, struct vtd_model *m)
{
	kunit_release_action(test, vtd_model_end, m);
}

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
	struct vtd_unit *unit;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->config = *config;
	m->config.cap = config->cap ?: VTD_MODEL_CAP;
	m->config.ecap = config->ecap ?: VTD_MODEL_ECAP;
	m->test = test;
	m->base.ops = &vtd_model_ops;
	m->base.name = config->name ?: "VT-d model";
	raw_spin_lock_init(&m->lock);
	init_irq_work(&m->irq_work, vtd_model_irq);
	omni_seed(test, &m->rnd);
	m->fectl = VTD_FECTL_IM;
	m->drhd.size = SZ_4K;
	m->drhd.numa_node = NUMA_NO_NODE;
	INIT_LIST_HEAD(&m->drhd.scopes);
	if (vtd_cache_init(&m->contexts, 64) || vtd_cache_init(&m->tlb, 512) ||
	    vtd_cache_init(&m->tables, 128) || vtd_cache_init(&m->device_tlb, 128) ||
	    vtd_model_take_index(m)) {
		vtd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "no memory for a model");
	}

	omni_model_add(&m->base);
	unit = vtd_unit_create(&m->drhd);
	if (IS_ERR_OR_NULL(unit)) {
		omni_model_remove(&m->base);
		vtd_model_free(m);
		KUNIT_FAIL_AND_ABORT(test, "the model was refused (%ld)", PTR_ERR(unit));
	}
	m->unit = unit;
	unit->model = m;
	m->drhd.unit = unit;
	vtd_faults_create(unit);
	m->thread = kthread_run(vtd_model_thread, m, "vtd-model%u", m->drhd.index);
	if (IS_ERR(m->thread))
		m->thread = NULL;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, vtd_model_end, m), 0);
	KUNIT_ASSERT_NOT_NULL(test, m->thread);
	KUNIT_ASSERT_EQ(test, vtd_unit_on(&unit->core), 0);
	return m;
}
