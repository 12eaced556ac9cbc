// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d model: walks, accesses and faults (VT-d r3.1, chapters 3, 4, 6, 7
 * and 9, legacy mode). model_vtd_queue.c has what the driver talks to,
 * kit_vtd.c the model's life.
 *
 * One raw lock makes each access and each command one step. A wait completes
 * under the same lock, so an access that has begun is over before the driver
 * can learn that its invalidation is done, as draining guarantees.
 */
#include "model_freed.h"
#include "model_vtd.h"

#include <linux/irq.h>
#include <linux/sizes.h>

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

static bool vtd_model_coherent(const struct vtd_model *m)
{
	return m->config.ecap & VTD_ECAP_C;
}

/* Not-present entries may be cached (6.1) or linger in a write buffer (6.8). */
static bool vtd_model_absent(const struct vtd_model *m)
{
	return m->config.cap & (VTD_CAP_CM | VTD_CAP_RWBF);
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
static void vtd_model_check_did(struct vtd_model *m, const struct omni_cached *new)
{
	const u64 lo = VTD_CTX_SLPTPTR | BIT_ULL(3);
	struct omni_cached *c;

	for_each_cached(c, &m->base.entries)
		if (!c->absent && c->tag == new->tag && c->rid != new->rid &&
		    ((c->raw[0] ^ new->raw[0]) & lo || (c->raw[1] ^ new->raw[1]) & VTD_CTX_HI_AW))
			omni_violation(&m->base,
				       "domain id %u means %llx for %04x and, still cached, %llx for %04x",
				       new->tag, new->raw[0], new->rid, c->raw[0], c->rid);
}

static struct omni_cached *vtd_model_context_cached(struct vtd_model *m, u16 rid)
{
	struct omni_cached *c;

	for_each_cached(c, &m->base.entries)
		if (c->rid == rid)
			return c;
	return NULL;
}

/* The context entry of a requester: 9.1, 9.3. */
static int vtd_model_context(struct vtd_model *m, u16 rid, u64 *lo, u64 *hi)
{
	struct omni_cached *c = vtd_model_context_cached(m, rid), new = { .rid = rid };
	const char *why;
	u128 entry;
	u64 root;
	int reason;

	if (c) {
		*lo = c->raw[0];
		*hi = c->raw[1];
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
		new.raw[0] = (u64)entry;
		new.raw[1] = (u64)(entry >> 64);
		new.tag = FIELD_GET(VTD_CTX_HI_DID, new.raw[1]);
		if (new.raw[0] == OMNI_MEMORY_GARBAGE) {
			omni_violation(&m->base,
				       "the context entry of %04x was never written back", rid);
			return FAULT_CONTEXT_RESERVED;
		}
		reason = vtd_model_context_fault(m, new.raw[0], new.raw[1], &why);
		if (reason && reason != FAULT_NO_CONTEXT) {
			omni_violation(&m->base, "context entry of %04x, %016llx %016llx: %s",
				       rid, new.raw[1], new.raw[0], why);
			return reason;
		}
	}
	if (reason) {
		/* 6.1: cached under domain id 0. */
		new.absent = true;
		new.tag = 0;
		new.raw[0] = 0;
		if (vtd_model_absent(m))
			omni_cache_add(&m->base, &m->base.entries, new);
		return reason;
	}
	vtd_model_check_did(m, &new);
	omni_cache_add(&m->base, &m->base.entries, new);
	*lo = new.raw[0];
	*hi = new.raw[1];
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
	bool snoop;
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
	struct omni_cached *c, *best = NULL;
	struct omni_cached item;
	u64 table = lo & VTD_CTX_SLPTPTR;
	const char *why;
	u64 entry;
	bool leaf;

	found->perm = VTD_SS_R | VTD_SS_W;
	for_each_cached(c, &m->base.tables)
		if (c->tag == did && omni_cached_meets(c, iova, iova) &&
		    (!best || c->level < best->level))
			best = c;
	if (best) {
		if (best->absent)
			return vtd_model_refused(write);
		level = best->level - 1;
		table = best->pa;
		found->perm = best->perm;
	}

	m->base.walks++;
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
		item = (struct omni_cached) {
			.tag = did,
			.level = level,
			.lg2 = shift,
			.iova = iova >> shift << shift,
			.pa = entry & VTD_SS_ADDR,
		};
		if (!(entry & (VTD_SS_R | VTD_SS_W))) {
			item.absent = true;
			if (vtd_model_absent(m))
				omni_cache_add(&m->base, level ? &m->base.tables : &m->base.tlb,
					       item);
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
		omni_cache_add(&m->base, &m->base.tables, item);
		table = item.pa;
		level--;
	}
	item.snoop = entry & VTD_SS_SNP;
	/* A large leaf may be cached in smaller pieces. */
	if (level && omni_model_random(&m->base, 2)) {
		item.lg2 = 12;
		item.pa += (iova & (BIT_ULL(shift) - 1)) & ~0xfffULL;
		item.iova = iova & ~0xfffULL;
	}
	omni_cache_add(&m->base, &m->base.tlb, item);
	found->lg2 = item.lg2;
	found->snoop = item.snoop;
	found->pa = item.pa | (iova & (BIT_ULL(item.lg2) - 1));
	return found->perm & (write ? VTD_SS_W : VTD_SS_R) ? 0 : vtd_model_refused(write);
}

/* 3.6 to 3.8: one request, untranslated or a translation request. */
static int vtd_model_translate(struct vtd_model *m, u16 rid, u64 iova, bool write,
			       bool request, struct vtd_found *found)
{
	struct omni_cached *c;
	unsigned int width;
	u64 lo, hi;
	int reason;

	if (m->base.evict && !omni_model_random(&m->base, 4)) {
		omni_cache_evict(&m->base, &m->base.tlb);
		omni_cache_evict(&m->base, &m->base.tables);
		if (!omni_model_random(&m->base, 4))
			omni_cache_evict(&m->base, &m->base.entries);
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

	for_each_cached(c, &m->base.tlb) {
		if (c->tag != FIELD_GET(VTD_CTX_HI_DID, hi) || !omni_cached_meets(c, iova, iova))
			continue;
		m->base.hits++;
		*found = (struct vtd_found) {
			.pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1)),
			.perm = c->perm,
			.snoop = c->snoop,
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

void vtd_model_irq(struct irq_work *work)
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

void vtd_model_record(struct vtd_model *m, u16 rid, u64 iova, bool write, int reason)
{
	unsigned int at = m->next_frcd;

	m->base.faults++;
	if (m->base.mute || m->fsts & VTD_FSTS_PFO)
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

/* 4.1: a device with a device TLB, which asks before it accesses. */
static int vtd_model_ats_dma(struct vtd_model *m, u16 rid, u64 iova, bool write,
			     struct vtd_found *to)
{
	struct omni_cached *c = omni_device_tlb_find(&m->base, rid, iova,
						     write ? VTD_SS_W : VTD_SS_R);
	struct vtd_found found;
	u64 lo, hi;
	int reason;

	if (!c) {
		reason = vtd_model_translate(m, rid, iova, write, true, &found);
		if (reason == FAULT_READ || reason == FAULT_WRITE)
			return reason;	/* an answer without permission is no fault */
		if (reason)
			goto fault;
		omni_cache_add(&m->base, &m->base.device_tlb, (struct omni_cached) {
			.rid = rid,
			.lg2 = found.lg2,
			.perm = found.perm,
			.snoop = found.snoop,
			.iova = iova >> found.lg2 << found.lg2,
			.pa = found.pa >> found.lg2 << found.lg2,
		});
		*to = found;
	} else {
		to->pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1));
		to->snoop = c->snoop;
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

int vtd_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa)
{
	struct vtd_model *m = to_vtd_model(base);
	struct vtd_found found = { .pa = iova }, next;
	int reason;

	if (iova >= VTD_MSI_FIRST && iova <= VTD_MSI_LAST) {
		reason = write ? 0 : FAULT_INTERRUPT;
		if (reason)
			vtd_model_record(m, rid, iova, write, reason);
		return reason;
	}
	if (test_bit(rid, base->ats_on)) {
		reason = vtd_model_ats_dma(m, rid, iova, write, &found);
	} else {
		reason = vtd_model_translate(m, rid, iova, write, false, &found);
		if (reason)
			vtd_model_record(m, rid, iova, write, reason);
		if (base->speculate)
			vtd_model_translate(m, rid, iova + SZ_4K, false, false, &next);
	}
	*pa = found.pa;
	base->snooped = found.snoop;
	return reason;
}

/* Freed tables */

static u64 vtd_freed_below(u64 entry, unsigned int *level)
{
	--*level;
	return entry & (VTD_SS_R | VTD_SS_W) && !(entry & VTD_SS_PS) ? entry & VTD_SS_ADDR : 0;
}

static u64 vtd_freed_root(const struct omni_cached *c)
{
	return FIELD_GET(VTD_CTX_TT, c->raw[0]) != VTD_TT_PASS_THROUGH ?
	       c->raw[0] & VTD_CTX_SLPTPTR : 0;
}

void vtd_model_freed(struct omni_model *base, struct omni_freed *f)
{
	struct vtd_model *m = to_vtd_model(base);
	unsigned int bus, fn;

	f->coherent = vtd_model_coherent(m);
	omni_freed_cached(f, vtd_freed_root);
	for (bus = 0; bus < 256; bus++) {
		u64 root = omni_memory_read(m->root + bus * 16, f->coherent);

		if (!(root & VTD_ROOT_P) || root == OMNI_MEMORY_GARBAGE)
			continue;
		for (fn = 0; fn < 256; fn++) {
			u128 entry = omni_memory_read128((root & VTD_ROOT_CTP) + fn * 16,
							 f->coherent);
			u64 lo = (u64)entry, hi = (u64)(entry >> 64);
			const char *why;

			if (vtd_model_context_fault(m, lo, hi, &why) ||
			    FIELD_GET(VTD_CTX_TT, lo) == VTD_TT_PASS_THROUGH)
				continue;
			if (omni_freed_new(f, lo & VTD_CTX_SLPTPTR) &&
			    omni_freed_reaches(f, lo & VTD_CTX_SLPTPTR,
					       FIELD_GET(VTD_CTX_HI_AW, hi) + 1, vtd_freed_below))
				omni_freed_report(f, bus << 8 | fn);
		}
	}
}
