// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d model: registers, queue, caches, walks (VT-d r3.1, chapters 3, 6,
 * 7, 9 and 10, legacy mode).
 *
 * One raw lock makes each access and each command one step. A wait completes
 * under the same lock, so an access that has begun is over before the driver
 * can learn that its invalidation is done, as draining guarantees. Commands
 * progress by the thread and with each read of the registers that a waiting
 * driver reads, so a driver that polls on every processor still gets on.
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

static u32 vtd_model_random(struct vtd_model *m, u32 ceil)
{
	return omni_below(&m->rnd, ceil);
}

/* Caches */

static int vtd_cache_init(struct kunit *test, struct vtd_cache *cache, unsigned int size)
{
	cache->item = kvcalloc(size, sizeof(*cache->item), GFP_KERNEL);
	cache->size = size;
	return cache->item ? 0 : -ENOMEM;
}

static void vtd_cache_drop(struct vtd_cache *cache, struct vtd_cached *item)
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

#define for_each_cached(c, cache)						\
	for ((c) = (cache)->item + (cache)->high; (c)-- > (cache)->item;)	\
		if ((c)->used)

static void vtd_cache_evict(struct vtd_model *m, struct vtd_cache *cache)
{
	struct vtd_cached *c;

	if (!cache->high)
		return;
	c = &cache->item[vtd_model_random(m, cache->high)];
	if (c->used)
		vtd_cache_drop(cache, c);
}

static bool vtd_cached_meets(const struct vtd_cached *c, u64 first, u64 last)
{
	return c->iova <= last && (c->iova | (BIT_ULL(c->lg2) - 1)) >= first;
}

/* 6.8: every invalidation flushes the write buffer first. */
static void vtd_model_settle(struct vtd_model *m)
{
	struct vtd_cache *caches[] = { &m->contexts, &m->tlb, &m->tables };
	struct vtd_cached *c;
	unsigned int i;

	if (m->config.cap & VTD_CAP_CM)
		return;
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		for_each_cached(c, caches[i])
			if (c->absent)
				vtd_cache_drop(caches[i], c);
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

static bool vtd_model_any_fault(struct vtd_model *m)
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

#define FECTL_IP	BIT(30)

static void vtd_model_event(struct vtd_model *m)
{
	if (m->fectl & VTD_FECTL_IM)
		m->fectl |= FECTL_IP;
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

/* Commands: 6.5.1, 6.5.2 */

static void vtd_model_do_context(struct vtd_model *m, u64 lo)
{
	u16 mask = ~((BIT(FIELD_GET(VTD_CONTEXT_FM, lo)) - 1) << (3 - FIELD_GET(VTD_CONTEXT_FM, lo)));
	u16 did = FIELD_GET(VTD_DESC_DID, lo), sid = FIELD_GET(VTD_CONTEXT_SID, lo);
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);
	struct vtd_cached *c;

	vtd_model_settle(m);
	for_each_cached(c, &m->contexts)
		if (g == VTD_G_GLOBAL || (c->did == did && (g == VTD_G_DOMAIN ||
							    !((c->rid ^ sid) & mask))))
			vtd_cache_drop(&m->contexts, c);
	if (g == VTD_G_GLOBAL)
		m->context_due = false;
	m->done[VTD_MODEL_CONTEXT]++;
}

static void vtd_model_do_iotlb(struct vtd_model *m, u64 lo, u64 hi)
{
	u64 last, first = hi & VTD_IOTLB_HI_ADDR;
	u64 size = BIT_ULL(12 + FIELD_GET(VTD_IOTLB_HI_AM, hi));
	u16 did = FIELD_GET(VTD_DESC_DID, lo);
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);
	struct vtd_cached *c;

	vtd_model_settle(m);
	first &= ~(size - 1);
	last = first + size - 1;
	for_each_cached(c, &m->tlb)
		if (g == VTD_G_GLOBAL ||
		    (c->did == did && (g == VTD_G_DOMAIN || vtd_cached_meets(c, first, last))))
			vtd_cache_drop(&m->tlb, c);
	for_each_cached(c, &m->tables)
		if (g == VTD_G_GLOBAL ||
		    (c->did == did && (g == VTD_G_DOMAIN || (!(hi & VTD_IOTLB_HI_IH) &&
							     vtd_cached_meets(c, first, last)))))
			vtd_cache_drop(&m->tables, c);
	if (g == VTD_G_GLOBAL)
		m->iotlb_due = false;
	m->done[g == VTD_G_GLOBAL ? VTD_MODEL_GLOBAL :
		g == VTD_G_DOMAIN ? VTD_MODEL_DOMAIN : VTD_MODEL_PAGE]++;
}

static void vtd_model_do_devtlb(struct vtd_model *m, u64 lo, u64 hi)
{
	u16 rid = FIELD_GET(VTD_DEVTLB_SID, lo);
	u64 first = hi & VTD_DEVTLB_HI_ADDR, last, low;
	struct vtd_cached *c;

	if (hi & VTD_DEVTLB_HI_S) {
		/* The lowest clear bit from bit 12 on is the highest of the offset. */
		low = ~first & VTD_DEVTLB_HI_ADDR;
		low &= -low;
		first &= ~((low << 1) - 1);
		last = first + ((low << 1) - 1);
		if (!low || low == BIT_ULL(63)) {
			first = 0;
			last = U64_MAX;
		}
	} else {
		last = first | 0xfff;
	}
	if (!(m->gsts & VTD_G_TE))
		omni_violation(&m->base, "a device TLB is invalidated while translation is off");
	m->done[VTD_MODEL_DEVTLB]++;
	if (!test_bit(rid, m->ats_on)) {
		m->stray++;
		return;
	}
	for_each_cached(c, &m->device_tlb)
		if (c->rid == rid && vtd_cached_meets(c, first, last))
			vtd_cache_drop(&m->device_tlb, c);
}

/* What is wrong with a descriptor, or NULL. */
static const char *vtd_model_desc_fault(struct vtd_model *m, u64 lo, u64 hi)
{
	unsigned int nr = BIT(4 + 2 * FIELD_GET(VTD_CAP_ND, m->config.cap));
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);
	u64 page, drain = 0;

	switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
	case VTD_DESC_CONTEXT:
		if (hi || lo & (GENMASK_ULL(15, 6) | GENMASK_ULL(63, 50)))
			return "reserved bits";
		if (!g)
			return "no granularity";
		if (g != VTD_G_GLOBAL && FIELD_GET(VTD_DESC_DID, lo) >= nr)
			return "domain id out of range";
		return NULL;
	case VTD_DESC_IOTLB:
		if (lo & (GENMASK_ULL(63, 32) | GENMASK_ULL(15, 8)) || hi & GENMASK_ULL(11, 7))
			return "reserved bits";
		if (!g)
			return "no granularity";
		if (g != VTD_G_GLOBAL && FIELD_GET(VTD_DESC_DID, lo) >= nr)
			return "domain id out of range";
		drain |= m->config.cap & VTD_CAP_DWD ? VTD_IOTLB_DW : 0;
		drain |= m->config.cap & VTD_CAP_DRD ? VTD_IOTLB_DR : 0;
		if ((lo & (VTD_IOTLB_DW | VTD_IOTLB_DR)) != drain)
			return "it drains not what the unit can drain";
		if (g != VTD_G_PAGE)
			return NULL;
		if (!(m->config.cap & VTD_CAP_PSI))
			return "the unit knows no pages";
		if (FIELD_GET(VTD_IOTLB_HI_AM, hi) > FIELD_GET(VTD_CAP_MAMV, m->config.cap))
			return "the address mask is beyond MAMV";
		page = hi >> 12;
		if (page & (BIT_ULL(FIELD_GET(VTD_IOTLB_HI_AM, hi)) - 1))
			return "the address is not aligned to its mask";
		return NULL;
	case VTD_DESC_DEVICE_TLB:
		if (lo & (GENMASK_ULL(51, 48) | GENMASK_ULL(31, 21) | GENMASK_ULL(11, 4)) ||
		    hi & GENMASK_ULL(11, 1))
			return "reserved bits";
		if (!(m->config.ecap & VTD_ECAP_DIT) &&
		    lo & (VTD_DEVTLB_PFSID_LO | VTD_DEVTLB_PFSID_HI))
			return "a PFSID for a unit that has none";
		return m->config.ecap & VTD_ECAP_DT ? NULL : "the unit knows no device TLBs";
	case VTD_DESC_WAIT:
		if (lo & (GENMASK_ULL(31, 8) | BIT_ULL(4)) || hi & 3)
			return "reserved bits";
		if (lo & VTD_WAIT_SW && !pfn_valid(hi >> PAGE_SHIFT))
			return "its status is not in memory";
		return NULL;
	}
	return "type not known";
}

static void vtd_model_note(struct vtd_model *m, u64 lo, u64 hi)
{
	if (m->nr_trace < VTD_MODEL_TRACE)
		m->trace[m->nr_trace] = (struct vtd_desc) {
			.lo = cpu_to_le64(lo),
			.hi = cpu_to_le64(hi),
		};
	m->nr_trace++;
}

static void vtd_model_execute(struct vtd_model *m, u64 lo, u64 hi)
{
	switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
	case VTD_DESC_CONTEXT:
		vtd_model_do_context(m, lo);
		break;
	case VTD_DESC_IOTLB:
		vtd_model_do_iotlb(m, lo, hi);
		break;
	case VTD_DESC_DEVICE_TLB:
		vtd_model_do_devtlb(m, lo, hi);
		break;
	case VTD_DESC_WAIT:
		m->done[VTD_MODEL_WAIT]++;
		if (lo & VTD_WAIT_SW) {
			/* All that was done is visible before the status. */
			smp_wmb();
			WRITE_ONCE(*(u32 *)phys_to_virt(hi), FIELD_GET(VTD_WAIT_DATA, lo));
		}
		break;
	}
}

static unsigned int vtd_pending_type(const struct vtd_pending *p)
{
	return FIELD_GET(VTD_DESC_TYPE, le64_to_cpu(p->desc.lo));
}

/*
 * 6.5.2.8: waits end after all before them; behind a fence nothing begins.
 * 6.5.2.5: device TLBs are asked after the IOTLB is done.
 */
static bool vtd_pending_ready(struct vtd_model *m, const struct vtd_pending *p)
{
	const struct vtd_pending *q;

	for (q = m->pending; q < m->pending + m->nr_pending; q++) {
		if (q->seq >= p->seq)
			continue;
		if (vtd_pending_type(p) == VTD_DESC_WAIT)
			return false;
		if (vtd_pending_type(q) == VTD_DESC_WAIT &&
		    le64_to_cpu(q->desc.lo) & VTD_WAIT_FN)
			return false;
		if (vtd_pending_type(p) == VTD_DESC_DEVICE_TLB &&
		    vtd_pending_type(q) == VTD_DESC_IOTLB)
			return false;
	}
	return true;
}

static void vtd_pending_remove(struct vtd_model *m, unsigned int i)
{
	m->pending[i] = m->pending[--m->nr_pending];
}

/* 6.5.2.10: the device did not answer. Waits in flight are aborted. */
static void vtd_model_time_out(struct vtd_model *m, u64 lo)
{
	unsigned int i;

	m->ite_left--;
	m->fsts |= VTD_FSTS_ITE;
	m->iqercd &= ~VTD_IQERCD_ITESID;
	m->iqercd |= FIELD_PREP(VTD_IQERCD_ITESID, FIELD_GET(VTD_DEVTLB_SID, lo));
	for (i = m->nr_pending; i--;)
		if (vtd_pending_type(&m->pending[i]) == VTD_DESC_WAIT)
			vtd_pending_remove(m, i);
}

static void vtd_model_execute_one(struct vtd_model *m)
{
	unsigned int i = vtd_model_random(m, m->nr_pending);
	u64 lo, hi;

	while (!vtd_pending_ready(m, &m->pending[i]))
		i = (i + 1) % m->nr_pending;
	lo = le64_to_cpu(m->pending[i].desc.lo);
	hi = le64_to_cpu(m->pending[i].desc.hi);
	vtd_pending_remove(m, i);
	if (FIELD_GET(VTD_DESC_TYPE, lo) == VTD_DESC_DEVICE_TLB && m->ite_left)
		vtd_model_time_out(m, lo);
	else
		vtd_model_execute(m, lo, hi);
}

static void vtd_model_queue_error(struct vtd_model *m, unsigned int info)
{
	m->fsts |= VTD_FSTS_IQE;
	m->iqercd &= ~VTD_IQERCD_IQEI;
	m->iqercd |= FIELD_PREP(VTD_IQERCD_IQEI, info);
}

static void vtd_model_fetch(struct vtd_model *m)
{
	struct vtd_desc *desc = phys_to_virt(m->iqa & ~0xfffULL);
	u64 lo = le64_to_cpu(READ_ONCE(desc[m->iqh].lo));
	u64 hi = le64_to_cpu(READ_ONCE(desc[m->iqh].hi));
	const char *why = vtd_model_desc_fault(m, lo, hi);

	if (why) {
		omni_violation(&m->base, "descriptor %016llx %016llx: %s", hi, lo, why);
		vtd_model_queue_error(m, 3);
		return;
	}
	if (FIELD_GET(VTD_DESC_TYPE, lo) != VTD_DESC_WAIT && m->iqe_left && !m->iqe_after--) {
		m->iqe_left--;
		m->iqe_after = 0;
		vtd_model_queue_error(m, 4);
		return;
	}
	vtd_model_note(m, lo, hi);
	m->fetched++;
	m->iqh = (m->iqh + 1) % VTD_QUEUE_SIZE;
	m->pending[m->nr_pending++] = (struct vtd_pending) {
		.seq = m->seq++,
		.desc = { .lo = cpu_to_le64(lo), .hi = cpu_to_le64(hi) },
	};
}

/* One step of the queue. Lock held. Returns false if there is nothing to do now. */
static bool vtd_model_step(struct vtd_model *m)
{
	bool fetch;

	if (m->hang || !(m->gsts & VTD_G_QIE))
		return false;
	if (m->delay_ns) {
		u64 now = ktime_get_mono_fast_ns();

		if (now < m->not_before)
			return false;
		m->not_before = now + m->delay_ns;
	}
	fetch = m->iqh != m->iqt && !(m->fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE)) &&
		m->nr_pending < VTD_MODEL_PENDING;
	if (fetch && (!m->nr_pending || vtd_model_random(m, 4)))
		vtd_model_fetch(m);
	else if (m->nr_pending)
		vtd_model_execute_one(m);
	else
		return false;
	return true;
}

static void vtd_model_steps(struct vtd_model *m, unsigned int nr)
{
	while (nr-- && vtd_model_step(m))
		;
}

static int vtd_model_thread(void *arg)
{
	struct vtd_model *m = arg;
	unsigned long flags;
	bool more;

	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		raw_spin_lock_irqsave(&m->lock, flags);
		more = vtd_model_step(m);
		raw_spin_unlock_irqrestore(&m->lock, flags);
		if (more) {
			__set_current_state(TASK_RUNNING);
			cond_resched();
		} else {
			schedule_timeout(HZ / 50 + 1);
		}
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* Registers: 10.4 */

#define GSTS_LEVELS	(VTD_G_TE | VTD_G_QIE | VTD_G_IRE | BIT(28) | BIT(23))
#define GCMD_ONE_SHOT	(VTD_G_SRTP | VTD_G_WBF | BIT(29) | BIT(24))

static void vtd_model_queue_command(struct vtd_model *m, bool on)
{
	if (on) {
		if (m->iqt)
			omni_violation(&m->base, "the queue is switched on with its tail at %u",
				       m->iqt);
		if (m->iqa & GENMASK_ULL(11, 0))
			omni_violation(&m->base, "queue address %llx is not one page of 128-bit descriptors",
				       m->iqa);
		m->iqh = 0;
		return;
	}
	if (m->iqh != m->iqt && !m->hang && !(m->fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE)))
		omni_violation(&m->base, "the queue is switched off with %lu descriptors in it",
			       (m->iqt - m->iqh) % VTD_QUEUE_SIZE);
	while (!m->hang && m->nr_pending)
		vtd_model_execute_one(m);
	m->nr_pending = 0;
}

static void vtd_model_gcmd(struct vtd_model *m, u32 value)
{
	u32 changed = (value ^ m->gsts) & GSTS_LEVELS, one_shot = value & GCMD_ONE_SHOT;

	if (hweight32(changed) + hweight32(one_shot) > 1)
		omni_violation(&m->base, "global command %08x with status %08x changes more than one thing",
			       value, m->gsts);
	if (m->gsts_wait)
		omni_violation(&m->base, "global command %08x while another is carried out", value);
	if (one_shot & (BIT(29) | BIT(24)) || changed & (VTD_G_IRE | BIT(28) | BIT(23)))
		omni_violation(&m->base, "global command %08x is none of the driver's", value);

	m->gsts_next = (m->gsts & ~GSTS_LEVELS) | (value & GSTS_LEVELS);
	if (one_shot & VTD_G_SRTP) {
		if (m->rtaddr & GENMASK_ULL(11, 0) || m->rtaddr >> VTD_MODEL_HAW)
			omni_violation(&m->base, "root table address %llx", m->rtaddr);
		m->root = m->rtaddr;
		m->context_due = true;
		m->iotlb_due = true;
		m->gsts &= ~VTD_G_SRTP;
		m->gsts_next |= VTD_G_SRTP;
	}
	if (one_shot & VTD_G_WBF) {
		m->gsts |= VTD_G_WBF;
		m->gsts_next &= ~VTD_G_WBF;
		vtd_model_settle(m);
		m->done[VTD_MODEL_WBF]++;
	}
	if (changed & VTD_G_QIE)
		vtd_model_queue_command(m, value & VTD_G_QIE);
	if (changed & value & VTD_G_TE) {
		if (!(m->gsts & VTD_G_SRTP))
			omni_violation(&m->base, "translation goes on without a root table");
		if (m->context_due || m->iotlb_due)
			omni_violation(&m->base, "translation goes on with caches of an earlier root table");
	}
	m->gsts_wait = 1 + vtd_model_random(m, 2) + m->slow_commands;
}

static u32 vtd_model_gsts(struct vtd_model *m)
{
	if (m->gsts_wait && !m->hang && !--m->gsts_wait)
		m->gsts = m->gsts_next;
	return m->gsts;
}

static void vtd_model_fsts_clear(struct vtd_model *m, u32 value)
{
	m->fsts &= ~(value & (VTD_FSTS_PFO | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE));
}

static u32 vtd_model_fsts(struct vtd_model *m)
{
	return m->fsts | (vtd_model_any_fault(m) ? VTD_FSTS_PPF : 0) |
	       FIELD_PREP(VTD_FSTS_FRI, m->fri);
}

static void vtd_model_tail(struct vtd_model *m, u64 value)
{
	unsigned int tail = FIELD_GET(VTD_IQ_INDEX, value), before = m->iqt;

	if (value & ~VTD_IQ_INDEX || tail >= VTD_QUEUE_SIZE) {
		omni_violation(&m->base, "queue tail %llx", value);
		return;
	}
	/* From head to the new tail there must not be less than to the old one. */
	if (m->gsts & VTD_G_QIE && (tail - m->iqh) % VTD_QUEUE_SIZE <
				   (before - m->iqh) % VTD_QUEUE_SIZE)
		omni_violation(&m->base, "the queue's tail went from %u to %u over its head %u",
			       before, tail, m->iqh);
	m->iqt = tail;
	if (m->thread)
		wake_up_process(m->thread);
}

static bool vtd_model_no_queue(struct vtd_model *m, const char *what)
{
	if (m->gsts & VTD_G_QIE)
		omni_violation(&m->base, "the %s register is used while the queue is on", what);
	return !(m->gsts & VTD_G_QIE);
}

static void vtd_model_ccmd(struct vtd_model *m, u64 value)
{
	if (m->ccmd & VTD_CCMD_ICC)
		omni_violation(&m->base, "a context command while another is carried out");
	if (value & GENMASK_ULL(58, 34))
		omni_violation(&m->base, "context command %llx has reserved bits", value);
	m->ccmd = value;
	m->reg_wait = vtd_model_random(m, 3);
	vtd_model_no_queue(m, "context command");
}

static u64 vtd_model_ccmd_read(struct vtd_model *m)
{
	u64 lo;

	if (!(m->ccmd & VTD_CCMD_ICC) || m->hang || m->reg_wait--)
		return m->ccmd;
	m->reg_wait = 0;
	lo = FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_CONTEXT) |
	     FIELD_PREP(VTD_DESC_G, FIELD_GET(VTD_CCMD_CIRG, m->ccmd)) |
	     FIELD_PREP(VTD_DESC_DID, FIELD_GET(VTD_CCMD_DID, m->ccmd)) |
	     FIELD_PREP(VTD_CONTEXT_SID, FIELD_GET(VTD_CCMD_SID, m->ccmd)) |
	     FIELD_PREP(VTD_CONTEXT_FM, FIELD_GET(VTD_CCMD_FM, m->ccmd));
	if (vtd_model_desc_fault(m, lo, 0))
		omni_violation(&m->base, "context command %llx: %s", m->ccmd,
			       vtd_model_desc_fault(m, lo, 0));
	vtd_model_note(m, lo, 0);
	vtd_model_execute(m, lo, 0);
	m->ccmd &= ~(VTD_CCMD_ICC | GENMASK_ULL(60, 59));
	m->ccmd |= FIELD_PREP(GENMASK_ULL(60, 59), FIELD_GET(VTD_CCMD_CIRG, m->ccmd));
	return m->ccmd;
}

static void vtd_model_iotlb(struct vtd_model *m, u64 value)
{
	if (m->iotlb & VTD_IOTLB_REG_IVT)
		omni_violation(&m->base, "an IOTLB command while another is carried out");
	if (value & (GENMASK_ULL(31, 0) | GENMASK_ULL(56, 50) | BIT_ULL(62)))
		omni_violation(&m->base, "IOTLB command %llx has reserved bits", value);
	m->iotlb = value;
	m->reg_wait = vtd_model_random(m, 3);
	vtd_model_no_queue(m, "IOTLB");
}

static u64 vtd_model_iotlb_read(struct vtd_model *m)
{
	const char *why;
	u64 lo, hi;

	if (!(m->iotlb & VTD_IOTLB_REG_IVT) || m->hang || m->reg_wait--)
		return m->iotlb;
	m->reg_wait = 0;
	lo = FIELD_PREP(VTD_DESC_TYPE, VTD_DESC_IOTLB) |
	     FIELD_PREP(VTD_DESC_G, FIELD_GET(VTD_IOTLB_REG_IIRG, m->iotlb)) |
	     FIELD_PREP(VTD_DESC_DID, FIELD_GET(VTD_IOTLB_REG_DID, m->iotlb)) |
	     FIELD_PREP(VTD_IOTLB_DW, FIELD_GET(VTD_IOTLB_REG_DW, m->iotlb)) |
	     FIELD_PREP(VTD_IOTLB_DR, FIELD_GET(VTD_IOTLB_REG_DR, m->iotlb));
	hi = FIELD_GET(VTD_DESC_G, lo) == VTD_G_PAGE ? m->iva : 0;
	why = vtd_model_desc_fault(m, lo, hi);
	if (why)
		omni_violation(&m->base, "IOTLB command %llx, address %llx: %s", m->iotlb, hi,
			       why);
	vtd_model_note(m, lo, hi);
	vtd_model_execute(m, lo, hi);
	m->iotlb &= ~(VTD_IOTLB_REG_IVT | VTD_IOTLB_REG_IAIG);
	m->iotlb |= FIELD_PREP(VTD_IOTLB_REG_IAIG, FIELD_GET(VTD_IOTLB_REG_IIRG, m->iotlb));
	return m->iotlb;
}

/* Which fault record a register belongs to, or NULL. */
static u64 *vtd_model_frcd(struct vtd_model *m, unsigned int reg)
{
	unsigned int at = reg - FIELD_GET(VTD_CAP_FRO, m->config.cap) * 16;

	if (at >= sizeof(m->frcd) || at & 7)
		return NULL;
	return at & 8 ? &m->frcd[at / 16].hi : &m->frcd[at / 16].lo;
}

static struct vtd_model *vtd_model_of(const struct vtd_unit *unit)
{
	u64 i = (unit->drhd->base - VTD_MODEL_BASE) / SZ_4K;

	return unit->model ?: i < VTD_MODEL_UNITS ? vtd_models[i] : NULL;
}

static u64 vtd_model_read(struct vtd_model *m, unsigned int reg, bool wide)
{
	unsigned int iro = FIELD_GET(VTD_ECAP_IRO, m->config.ecap) * 16;
	bool known = true;
	u64 *frcd;

	if (wide) {
		switch (reg) {
		case VTD_CAP:
			return m->config.cap;
		case VTD_ECAP:
			return m->config.ecap;
		case VTD_RTADDR:
			return m->rtaddr;
		case VTD_CCMD:
			return vtd_model_ccmd_read(m);
		case VTD_IQH:
			vtd_model_steps(m, 4);
			return FIELD_PREP(VTD_IQ_INDEX, m->iqh);
		case VTD_IQT:
			return FIELD_PREP(VTD_IQ_INDEX, m->iqt);
		case VTD_IQA:
			return m->iqa;
		case VTD_IQERCD:
			return m->iqercd;
		}
		if (reg == iro + VTD_IOTLB_REG)
			return vtd_model_iotlb_read(m);
		frcd = vtd_model_frcd(m, reg);
		if (frcd)
			return *frcd;
		known = false;
	} else {
		switch (reg) {
		case VTD_VER:
			return 0x10;
		case VTD_GSTS:
			return vtd_model_gsts(m);
		case VTD_FSTS:
			vtd_model_steps(m, 4);
			return vtd_model_fsts(m);
		case VTD_FECTL:
			return m->fectl;
		case VTD_PMEN:
			return m->pmen;
		default:
			known = false;
		}
	}
	if (!known)
		omni_violation(&m->base, "a read of %u bits at register %#x", wide ? 64 : 32, reg);
	return 0;
}

static void vtd_model_write(struct vtd_model *m, unsigned int reg, u64 value, bool wide)
{
	unsigned int iro = FIELD_GET(VTD_ECAP_IRO, m->config.ecap) * 16;
	u64 *frcd = wide ? NULL : vtd_model_frcd(m, reg - 4);

	if (wide && reg == VTD_RTADDR) {
		m->rtaddr = value;
	} else if (wide && reg == VTD_CCMD) {
		vtd_model_ccmd(m, value);
	} else if (wide && reg == VTD_IQT) {
		vtd_model_tail(m, value);
	} else if (wide && reg == VTD_IQA) {
		if (m->gsts & VTD_G_QIE)
			omni_violation(&m->base, "the queue's address changes while it is on");
		m->iqa = value;
	} else if (wide && reg == iro + VTD_IOTLB_REG) {
		vtd_model_iotlb(m, value);
	} else if (wide && reg == iro + VTD_IVA_REG) {
		if (m->iotlb & VTD_IOTLB_REG_IVT)
			omni_violation(&m->base, "the address changes while it is invalidated");
		m->iva = value;
	} else if (!wide && reg == VTD_GCMD) {
		vtd_model_gcmd(m, value);
	} else if (!wide && reg == VTD_FSTS) {
		vtd_model_fsts_clear(m, value);
	} else if (!wide && reg == VTD_FECTL) {
		m->fectl = (m->fectl & FECTL_IP) | (value & VTD_FECTL_IM);
		if (m->fectl == FECTL_IP) {
			m->fectl = 0;
			vtd_model_event(m);
		}
	} else if (!wide && reg == VTD_FEDATA) {
		m->fedata = value;
	} else if (!wide && reg == VTD_FEADDR) {
		m->feaddr = value;
	} else if (!wide && reg == VTD_FEUADDR) {
		m->feuaddr = value;
	} else if (!wide && reg == VTD_PMEN) {
		m->pmen = value & VTD_PMEN_EPM ? VTD_PMEN_EPM | VTD_PMEN_PRS : 0;
	} else if (frcd && (reg & 15) == 12) {
		if (value & VTD_FRCD_F)
			*frcd &= ~VTD_FRCD_HI_F;
	} else {
		omni_violation(&m->base, "a write of %u bits at register %#x", wide ? 64 : 32,
			       reg);
	}
}

static u64 vtd_model_reg(const struct vtd_unit *unit, unsigned int reg, bool wide)
{
	struct vtd_model *m = vtd_model_of(unit);
	unsigned long flags;
	u64 value;

	if (!m)
		return U64_MAX;
	raw_spin_lock_irqsave(&m->lock, flags);
	value = vtd_model_read(m, reg, wide);
	raw_spin_unlock_irqrestore(&m->lock, flags);
	omni_sample();
	return value;
}

static void vtd_model_set_reg(const struct vtd_unit *unit, unsigned int reg, u64 value,
			      bool wide)
{
	struct vtd_model *m = vtd_model_of(unit);
	unsigned long flags;

	if (!m)
		return;
	omni_sample();
	raw_spin_lock_irqsave(&m->lock, flags);
	vtd_model_write(m, reg, value, wide);
	raw_spin_unlock_irqrestore(&m->lock, flags);
	omni_sample();
}

u32 vtd_read32(const struct vtd_unit *unit, unsigned int reg)
{
	return vtd_model_reg(unit, reg, false);
}

u64 vtd_read64(const struct vtd_unit *unit, unsigned int reg)
{
	return vtd_model_reg(unit, reg, true);
}

void vtd_write32(const struct vtd_unit *unit, unsigned int reg, u32 value)
{
	vtd_model_set_reg(unit, reg, value, false);
}

void vtd_write64(const struct vtd_unit *unit, unsigned int reg, u64 value)
{
	vtd_model_set_reg(unit, reg, value, true);
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

#define VTD_MODEL_SET(m, ...)						\
do {									\
	unsigned long flags_;						\
									\
	raw_spin_lock_irqsave(&(m)->lock, flags_);			\
	__VA_ARGS__;							\
	raw_spin_unlock_irqrestore(&(m)->lock, flags_);			\
} while (0)

void vtd_model_hang(struct vtd_model *m, bool hang)
{
	VTD_MODEL_SET(m, m->hang = hang);
	if (!hang)
		wake_up_process(m->thread);
}

void vtd_model_delay(struct vtd_model *m, unsigned int us)
{
	VTD_MODEL_SET(m, m->delay_ns = us * NSEC_PER_USEC);
}

void vtd_model_iqe(struct vtd_model *m, u64 after, unsigned int times)
{
	VTD_MODEL_SET(m, m->iqe_after = after; m->iqe_left = times);
}

void vtd_model_ite(struct vtd_model *m, unsigned int times)
{
	VTD_MODEL_SET(m, m->ite_left = times);
}

void vtd_model_ice(struct vtd_model *m, u16 rid)
{
	VTD_MODEL_SET(m, m->fsts |= VTD_FSTS_ICE;
		      m->iqercd &= ~VTD_IQERCD_ICESID;
		      m->iqercd |= FIELD_PREP(VTD_IQERCD_ICESID, rid));
}

void vtd_model_storm(struct vtd_model *m, u16 rid, unsigned int nr)
{
	VTD_MODEL_SET(m, while (nr--)
		      vtd_model_record(m, rid, (u64)nr << 12, nr & 1, FAULT_READ - (nr & 1)));
}

u64 vtd_model_done(struct vtd_model *m, enum vtd_model_command what)
{
	u64 nr;

	VTD_MODEL_SET(m, nr = m->done[what]);
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
	if (vtd_cache_init(test, &m->contexts, 64) || vtd_cache_init(test, &m->tlb, 512) ||
	    vtd_cache_init(test, &m->tables, 128) || vtd_cache_init(test, &m->device_tlb, 128) ||
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
