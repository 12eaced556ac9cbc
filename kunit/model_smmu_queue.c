// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SMMUv3 model's registers, command queue and event queue (IHI 0070, 3.5,
 * chapters 4, 6 and 7).
 *
 * Commands progress by the thread and with each read of a register, so a
 * driver that polls on every processor still gets on. They are consumed in
 * order and carried out in any order between two CMD_SYNCs.
 */
#include "model_smmu.h"

/* Chapter 4: opcodes. */
#define OP_CFGI_STE		0x03
#define OP_CFGI_RANGE		0x04
#define OP_CFGI_CD		0x05
#define OP_CFGI_CD_ALL		0x06
#define OP_NH_ALL		0x10
#define OP_NH_ASID		0x11
#define OP_NH_VA		0x12
#define OP_NH_VAA		0x13
#define OP_EL2_ALL		0x20
#define OP_S12_VMALL		0x28
#define OP_S2_IPA		0x2a
#define OP_NSNH_ALL		0x30
#define OP_ATC_INV		0x40
#define OP_SYNC			0x46

/* 6.3 */
#define CR0_SMMUEN		BIT(0)
#define CR0_EVENTQEN		BIT(2)
#define CR0_CMDQEN		BIT(3)
#define CR0_ATSCHK		BIT(4)
#define CR2_PTM			BIT(2)
#define CR2_RECINVSID		BIT(1)
#define IRQ_GERROR		BIT(0)
#define IRQ_EVENTQ		BIT(2)
#define GERROR_CMDQ		BIT(0)
#define CERROR_ILL		1
#define CERROR_ABT		2
#define CERROR_ATC		3
#define OVERFLOW		BIT(31)
#define PAGE1			0x10000

static unsigned int smmu_op(u64 lo)
{
	return lo & 0xff;
}

static unsigned int smmu_ring_lg2(u64 base)
{
	return base & 31;
}

/* Slot and lap of a position. */
static u32 smmu_ring_next(u64 base, u32 index)
{
	return (index + 1) & (2 * BIT(smmu_ring_lg2(base)) - 1);
}

static u64 smmu_ring_at(u64 base, u32 index, unsigned int size)
{
	return (base & GENMASK_ULL(51, 5)) + (index & (BIT(smmu_ring_lg2(base)) - 1)) * size;
}

/* The event queue: 3.5, 7.2, 7.3 */

static void smmu_model_interrupt(struct smmu_model *m, unsigned int which)
{
	if (m->irq_ctrlack & (which ? IRQ_GERROR : IRQ_EVENTQ) && !m->config.no_wire)
		irq_work_queue(&m->irq_work[which]);
}

void smmu_model_record(struct smmu_model *m, u8 id, u32 sid, u64 iova, bool write)
{
	u32 index = m->evt_prod & ~OVERFLOW, cons = m->evt_cons & ~OVERFLOW;
	u64 *event;

	if (!(m->cr0ack & CR0_EVENTQEN))
		return;
	/* The same slot on another lap: it is full. */
	if ((index ^ cons) == BIT(smmu_ring_lg2(m->eventq_base))) {
		/* Flagged once, until it is acknowledged. */
		if (!((m->evt_prod ^ m->evt_cons) & OVERFLOW))
			m->evt_prod ^= OVERFLOW;
		return;
	}
	event = phys_to_virt(smmu_ring_at(m->eventq_base, index, 32));
	event[3] = 0;
	event[2] = id >= 0x10 ? iova : 0;
	event[1] = id >= 0x10 ? (write ? 0 : BIT_ULL(35)) | 2ULL << 40 : 0;
	event[0] = id | (u64)sid << 32;
	/* The record comes before the index. */
	smp_wmb();
	m->evt_prod = (m->evt_prod & OVERFLOW) | smmu_ring_next(m->eventq_base, index);
	smmu_model_interrupt(m, 0);
}

/* Commands: chapter 4 */

/* 4.4.1.1: log2 of the granule of a range, 0 for none. */
static unsigned int smmu_tg_lg2(u64 hi)
{
	unsigned int tg = (hi >> 10) & 3;

	return tg ? 10 + 2 * tg : 0;
}

/* The bytes that an invalidation by address covers. */
static void smmu_pages_range(u64 lo, u64 hi, u64 *first, u64 *last)
{
	unsigned int granule = smmu_tg_lg2(hi);
	u64 pages = 1;

	if (granule)
		pages = (((lo >> 12) & 31) + 1) << ((lo >> 20) & 31);
	*first = hi & GENMASK_ULL(63, 12);
	*last = *first + (pages << (granule ?: 12)) - 1;
}

/* 4.5.1: the same for a device TLB; all if its size says so. */
static bool smmu_atc_range(u64 hi, u64 *first, u64 *last)
{
	unsigned int lg2 = 12 + (hi & 63);

	*first = 0;
	*last = U64_MAX;
	if (lg2 >= 64)
		return true;
	*first = hi >> lg2 << lg2;
	*last = *first | (BIT_ULL(lg2) - 1);
	return false;
}

static const char *smmu_model_pages_fault(struct smmu_model *m, u64 lo, u64 hi)
{
	unsigned int tg = (hi >> 10) & 3, ttl = (hi >> 8) & 3;
	bool range = lo & (GENMASK_ULL(16, 12) | GENMASK_ULL(24, 20));
	u64 first, last;

	if (smmu_op(lo) == OP_S2_IPA && lo >> 48)
		return "reserved bits";
	if (lo & (GENMASK_ULL(11, 8) | GENMASK_ULL(19, 17) | GENMASK_ULL(31, 25)) ||
	    hi & GENMASK_ULL(7, 1))
		return "reserved bits";
	if (smmu_op(lo) == OP_S2_IPA && hi >> 52)
		return "an address beyond any input";
	if (!(m->config.idr3 & BIT(10)))
		return tg || ttl || range ? "the unit knows no ranges" : NULL;
	if (!tg)
		return ttl || range ? "a range of no granule" : NULL;
	if (!smmu_model_has_granule(m, smmu_tg_lg2(hi)))
		return "the unit has no such granules";
	if (hi & GENMASK_ULL(63, 12) & (BIT_ULL(smmu_tg_lg2(hi)) - 1))
		return "a range that is not aligned to the granule";
	if (!range && !ttl)
		return "a range of one page and no level is reserved";
	/* 4.4.1.1: a level is one that leaves may be at, and the address one of theirs. */
	if (ttl && !(hi & 1))
		return "a level, and not for leaves alone";
	if (ttl && ttl < (smmu_tg_lg2(hi) == 12 ? 1 : 2))
		return "a level that has no leaves";
	if (ttl && hi & GENMASK_ULL(63, 12) &
	    (BIT_ULL(smmu_tg_lg2(hi) + (smmu_tg_lg2(hi) - 3) * (3 - ttl)) - 1))
		return "an address that is no leaf's of that level";
	smmu_pages_range(lo, hi, &first, &last);
	return last < first ? "it goes around the end" : NULL;
}

/* 4.6.3: one that writes to memory when it is complete, or sends an event. */
static const char *smmu_model_sync_fault(struct smmu_model *m, u64 lo, u64 hi)
{
	if (((lo >> 12) & 3) == 2) {
		if (!(m->config.idr0 & SMMU_MODEL_SEV))
			return "the unit sends no events";
		return lo & ~(0xffULL | 2 << 12) || hi ? "reserved bits" : NULL;
	}
	if (!(m->config.idr0 & SMMU_MODEL_MSI))
		return "the unit sends no messages";
	/* CS 1; inner shareable, write-back: as the CPU that looks for it. */
	if ((lo & GENMASK_ULL(31, 8)) != (1 << 12 | 3 << 22 | 15 << 24))
		return "a signal nobody takes";
	if (!smmu_model_coherent(m))
		return "a write past the caches that nobody sees";
	return hi & ~GENMASK_ULL(51, 2) || !pfn_valid(hi >> PAGE_SHIFT) ?
	       "it writes to where no memory is" : NULL;
}

/* What is wrong with a command, or NULL. */
static const char *smmu_model_cmd_fault(struct smmu_model *m, u64 lo, u64 hi)
{
	switch (smmu_op(lo)) {
	case OP_SYNC:
		if (!(lo & ~0xffULL) && !hi)
			return NULL;
		return smmu_model_sync_fault(m, lo, hi);
	case OP_CFGI_STE:
		return lo & GENMASK_ULL(31, 8) || hi & ~1ULL ? "reserved bits" : NULL;
	case OP_CFGI_RANGE:
		return lo & GENMASK_ULL(31, 8) || hi & ~31ULL ? "reserved bits" : NULL;
	case OP_CFGI_CD:
	case OP_CFGI_CD_ALL:
		return lo & GENMASK_ULL(11, 8) || hi & ~1ULL ? "reserved bits" : NULL;
	case OP_NH_ASID:
		if (!(m->config.idr0 & SMMU_MODEL_S1P))
			return "the unit has no stage 1";
		return lo & GENMASK_ULL(31, 8) || hi ? "reserved bits" : NULL;
	case OP_S12_VMALL:
		if (!(m->config.idr0 & SMMU_MODEL_S2P))
			return "the unit has no stage 2";
		return lo & (GENMASK_ULL(31, 8) | GENMASK_ULL(63, 48)) || hi ? "reserved bits" :
		       NULL;
	case OP_NH_VA:
		return m->config.idr0 & SMMU_MODEL_S1P ? smmu_model_pages_fault(m, lo, hi) :
		       "the unit has no stage 1";
	case OP_S2_IPA:
		return m->config.idr0 & SMMU_MODEL_S2P ? smmu_model_pages_fault(m, lo, hi) :
		       "the unit has no stage 2";
	case OP_EL2_ALL:
		if (!(m->config.idr0 & BIT(9)))
			return "the unit has no EL2";
		fallthrough;
	case OP_NSNH_ALL:
		return lo & ~0xffULL || hi ? "reserved bits" : NULL;
	case OP_ATC_INV:
		if (!(m->config.idr0 & SMMU_MODEL_ATS))
			return "the unit knows no device TLBs";
		if (lo & GENMASK_ULL(31, 8) || hi & GENMASK_ULL(11, 6) || (hi & 63) > 52)
			return "reserved bits, or substreams of a driver that has none";
		return hi & GENMASK_ULL(63, 12) & (BIT_ULL(min(12 + (hi & 63), 63)) - 1) ?
		       "an address that is not aligned to the size" : NULL;
	}
	return "none of the driver's";
}

/* In everybody's words. */
static void smmu_model_note(struct smmu_model *m, u64 lo, u64 hi)
{
	struct omni_command cmd = { .last = U64_MAX, .raw = { lo, hi } };
	bool all;

	switch (smmu_op(lo)) {
	case OP_SYNC:
		cmd.kind = OMNI_CMD_WAIT;
		break;
	case OP_CFGI_STE:
	case OP_CFGI_RANGE:
		cmd.kind = OMNI_CMD_ENTRY;
		cmd.rid = lo >> 32;
		break;
	case OP_NH_ASID:
		cmd.kind = OMNI_CMD_DOMAIN;
		cmd.tag = lo >> 48;
		break;
	case OP_S12_VMALL:
		cmd.kind = OMNI_CMD_DOMAIN;
		cmd.tag = lo >> 32;
		break;
	case OP_NH_VA:
	case OP_S2_IPA:
		cmd.kind = OMNI_CMD_PAGES;
		cmd.leaf_only = hi & 1;
		cmd.tag = smmu_op(lo) == OP_NH_VA ? lo >> 48 : lo >> 32;
		smmu_pages_range(lo, hi, &cmd.first, &cmd.last);
		cmd.first >>= 12;
		cmd.last >>= 12;
		break;
	case OP_ATC_INV:
		cmd.kind = OMNI_CMD_DEVICE_TLB;
		cmd.rid = lo >> 32;
		all = smmu_atc_range(hi, &cmd.first, &cmd.last);
		cmd.first >>= 12;
		cmd.last = all ? U64_MAX : cmd.last >> 12;
		break;
	case OP_EL2_ALL:
	case OP_NSNH_ALL:
		cmd.kind = OMNI_CMD_GLOBAL;
		break;
	default:
		cmd.kind = OMNI_CMD_OTHER;
	}
	omni_model_note(&m->base, &cmd);
}

/* What a command names in a cache: nothing of another granule, nor of another level. */
static void smmu_model_drop(struct smmu_model *m, struct omni_cache *cache, u64 lo, u64 hi)
{
	bool stage2 = smmu_op(lo) == OP_S2_IPA;
	u16 vmid = lo >> 32, tag = stage2 ? vmid : lo >> 48;
	unsigned int granule = smmu_tg_lg2(hi), ttl = (hi >> 8) & 3;
	struct omni_cached *c;
	u64 first, last;

	smmu_pages_range(lo, hi, &first, &last);
	for_each_cached(c, cache) {
		if (c->raw[RAW_STAGE2] != stage2 || c->tag != tag || c->raw[RAW_VMID] != vmid ||
		    !omni_cached_meets(c, first, last))
			continue;
		if (granule && c->raw[RAW_GRANULE] != granule)
			continue;
		if (ttl && c->level != 3 - ttl)
			continue;
		omni_cache_drop(cache, c);
	}
}

static void smmu_model_do_pages(struct smmu_model *m, u64 lo, u64 hi)
{
	smmu_model_drop(m, &m->base.tlb, lo, hi);
	/* Without Leaf, what leads there, too. */
	if (!(hi & 1))
		smmu_model_drop(m, &m->base.tables, lo, hi);
	m->base.done[OMNI_CMD_PAGES]++;
}

static void smmu_model_do_tag(struct smmu_model *m, u64 lo)
{
	bool all = smmu_op(lo) == OP_S12_VMALL;
	struct omni_cache *caches[] = { &m->base.tlb, &m->base.tables };
	u16 vmid = lo >> 32, asid = lo >> 48;
	struct omni_cached *c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		for_each_cached(c, caches[i])
			if (c->raw[RAW_VMID] == vmid &&
			    (all || (!c->raw[RAW_STAGE2] && c->tag == asid)))
				omni_cache_drop(caches[i], c);
	m->base.done[OMNI_CMD_DOMAIN]++;
}

static void smmu_model_do_all(struct smmu_model *m)
{
	struct omni_cache *caches[] = { &m->base.tlb, &m->base.tables };
	struct omni_cached *c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		for_each_cached(c, caches[i])
			omni_cache_drop(caches[i], c);
	m->tlb_due = false;
}

/* 4.3: of 2^(Range + 1) streams; 31 for all. */
static void smmu_model_do_entries(struct smmu_model *m, u64 lo, u64 hi)
{
	unsigned int lg2 = smmu_op(lo) == OP_CFGI_RANGE ? (hi & 31) + 1 : 0;
	u32 sid = lo >> 32;
	struct omni_cached *c;

	for_each_cached(c, &m->base.entries)
		if (lg2 >= 32 || c->rid >> lg2 == sid >> lg2)
			omni_cache_drop(&m->base.entries, c);
	if (lg2 >= 32)
		m->entries_due = false;
	m->base.done[OMNI_CMD_ENTRY]++;
}

static void smmu_model_execute(struct smmu_model *m, u64 lo, u64 hi)
{
	u64 first, last;

	switch (smmu_op(lo)) {
	case OP_CFGI_STE:
	case OP_CFGI_RANGE:
		smmu_model_do_entries(m, lo, hi);
		break;
	case OP_NH_VA:
	case OP_S2_IPA:
		smmu_model_do_pages(m, lo, hi);
		break;
	case OP_NH_ASID:
	case OP_S12_VMALL:
		smmu_model_do_tag(m, lo);
		break;
	case OP_NSNH_ALL:
		smmu_model_do_all(m);
		fallthrough;
	case OP_EL2_ALL:
		m->base.done[OMNI_CMD_GLOBAL]++;
		break;
	case OP_ATC_INV:
		smmu_atc_range(hi, &first, &last);
		m->base.done[OMNI_CMD_DEVICE_TLB]++;
		if (!smmu_model_on(m))
			omni_violation(&m->base,
				       "a device TLB is invalidated while translation is off");
		if (m->atc_left) {
			m->atc_left--;
			m->atc_failed = true;
			break;
		}
		omni_device_tlb_drop(&m->base, lo >> 32, 0, first, last);
		break;
	default:
		m->base.done[OMNI_CMD_OTHER]++;
	}
}

static void smmu_model_execute_one(struct smmu_model *m)
{
	unsigned int i = omni_model_random(&m->base, m->nr_pending);
	struct smmu_pending p = m->pending[i];

	m->pending[i] = m->pending[--m->nr_pending];
	smmu_model_execute(m, p.lo, p.hi);
}

static u32 smmu_model_cons(const struct smmu_model *m)
{
	return m->cmdq_cons & (2 * BIT(smmu_ring_lg2(m->cmdq_base)) - 1);
}

/* 7.1: the unit stops at a command until the error is acknowledged. */
static void smmu_model_error(struct smmu_model *m, unsigned int reason)
{
	m->cmdq_cons = smmu_model_cons(m) | reason << 24;
	m->gerror ^= GERROR_CMDQ;
	smmu_model_interrupt(m, 1);
}

static bool smmu_model_halted(const struct smmu_model *m)
{
	return (m->gerror ^ m->gerrorn) & GERROR_CMDQ;
}

static void smmu_model_fetch(struct smmu_model *m)
{
	u64 at = smmu_ring_at(m->cmdq_base, m->cmdq_cons, 16), lo, hi;
	u32 index = smmu_model_cons(m);
	const char *why;

	if (m->abort_left) {
		m->abort_left--;
		smmu_model_error(m, CERROR_ABT);
		return;
	}
	lo = omni_memory_read(at, smmu_model_coherent(m));
	hi = omni_memory_read(at + 8, smmu_model_coherent(m));
	why = lo == OMNI_MEMORY_GARBAGE ? "it was never written back" :
	      smmu_model_cmd_fault(m, lo, hi);
	if (why) {
		omni_violation(&m->base, "command %016llx %016llx: %s", hi, lo, why);
		smmu_model_error(m, CERROR_ILL);
		return;
	}
	/* What was bad stays bad until it is replaced. */
	if (m->bad && m->bad_at == index && m->bad_lo == lo && m->bad_hi == hi) {
		smmu_model_error(m, CERROR_ILL);
		return;
	}
	m->bad = false;
	if (smmu_op(lo) == OP_SYNC) {
		/* Consumed when all before it is done. */
		if (m->atc_failed) {
			m->atc_failed = false;
			smmu_model_error(m, CERROR_ATC);
			return;
		}
		m->base.done[OMNI_CMD_WAIT]++;
		if (((lo >> 12) & 3) && m->lost_left) {
			m->lost_left--;
		} else if (((lo >> 12) & 3) == 2) {
			WRITE_ONCE(m->event, true);
		} else if (hi) {
			/* What was done is visible before the write. */
			smp_wmb();
			WRITE_ONCE(*(u32 *)phys_to_virt(hi), lo >> 32);
		}
	} else if (m->base.errors_left && !m->base.error_after--) {
		m->base.errors_left--;
		m->base.error_after = 0;
		m->bad = true;
		m->bad_at = index;
		m->bad_lo = lo;
		m->bad_hi = hi;
		smmu_model_error(m, CERROR_ILL);
		return;
	}
	if (smmu_op(lo) != OP_SYNC)
		m->pending[m->nr_pending++] = (struct smmu_pending){ lo, hi };
	smmu_model_note(m, lo, hi);
	m->base.fetched++;
	/* What was done is visible before the index that says so. */
	smp_wmb();
	m->cmdq_cons = smmu_ring_next(m->cmdq_base, index);
}

/* Is a CMD_SYNC next? It waits for what is in flight. */
static bool smmu_model_at_sync(struct smmu_model *m)
{
	u64 at = smmu_ring_at(m->cmdq_base, m->cmdq_cons, 16);

	return smmu_op(omni_memory_read(at, smmu_model_coherent(m))) == OP_SYNC;
}

bool smmu_model_step(struct omni_model *base)
{
	struct smmu_model *m = to_smmu_model(base);
	bool fetch;

	if (base->hang || !(m->cr0ack & CR0_CMDQEN) || !omni_model_rested(base))
		return false;
	fetch = !smmu_model_halted(m) && smmu_model_cons(m) != m->cmdq_prod &&
		m->nr_pending < SMMU_MODEL_PENDING && !(m->nr_pending && smmu_model_at_sync(m));
	if (fetch && (!m->nr_pending || omni_model_random(base, 4)))
		smmu_model_fetch(m);
	else if (m->nr_pending)
		smmu_model_execute_one(m);
	else
		return false;
	return true;
}

/* Registers: 6.3 */

static void smmu_model_commands(struct smmu_model *m, bool on)
{
	unsigned int left = m->cmdq_prod - smmu_model_cons(m);

	if (on) {
		if (left)
			omni_violation(&m->base, "the command queue is switched on, not empty");
		return;
	}
	/* Halted by an error, or given up for dead, there is no other way. */
	if (left && !smmu_model_halted(m) && !m->base.hang && !m->unit->core.broken)
		omni_violation(&m->base, "the command queue is switched off, not empty");
	while (!m->base.hang && m->nr_pending)
		smmu_model_execute_one(m);
	m->nr_pending = 0;
	m->bad = false;
}

static void smmu_model_cr0(struct smmu_model *m, u32 value)
{
	u32 changed = value ^ m->cr0;

	if (m->cr0 != m->cr0ack && !m->base.hang)
		omni_violation(&m->base, "control %#x before %#x is acknowledged", value, m->cr0);
	if (value & ~(CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN | CR0_ATSCHK))
		omni_violation(&m->base, "control %#x: none of the driver's", value);
	if (changed & value & CR0_SMMUEN) {
		if (m->entries_due || m->tlb_due)
			omni_violation(&m->base,
				       "translation goes on with caches of an earlier table");
		if (m->cr2 != (CR2_PTM | CR2_RECINVSID))
			omni_violation(&m->base, "control 2 is %#x", m->cr2);
		if (!(value & CR0_CMDQEN))
			omni_violation(&m->base, "translation goes on without commands");
	}
	if (changed & CR0_CMDQEN)
		smmu_model_commands(m, value & CR0_CMDQEN);
	m->cr0 = value;
	m->ack_wait = omni_model_random(&m->base, 3);
}

static void smmu_model_ack(struct smmu_model *m)
{
	if (m->ack_wait) {
		m->ack_wait--;
		return;
	}
	m->cr0ack = m->cr0;
	m->irq_ctrlack = m->irq_ctrl;
}

static void smmu_model_ring(struct smmu_model *m, u64 *reg, u64 value, u32 on, unsigned int lg2,
			    const char *what)
{
	u64 base = value & GENMASK_ULL(51, 5);

	if ((m->cr0 | m->cr0ack) & on)
		omni_violation(&m->base, "the %s queue moves while it is on", what);
	if (value & (GENMASK_ULL(61, 52) | BIT_ULL(63)) || smmu_ring_lg2(value) > lg2)
		omni_violation(&m->base, "%s queue base %llx", what, value);
	if (base & (((what[0] == 'c' ? 16ULL : 32ULL) << smmu_ring_lg2(value)) - 1))
		omni_violation(&m->base, "the %s queue is not aligned to its size", what);
	*reg = value;
}

static u32 smmu_model_index(struct smmu_model *m, u64 base, u32 value, const char *what)
{
	if (value & ~(2 * BIT(smmu_ring_lg2(base)) - 1)) {
		omni_violation(&m->base, "%s %#x", what, value);
		return 0;
	}
	return value;
}

static void smmu_model_prod(struct smmu_model *m, u32 value)
{
	unsigned int lap = 2 * BIT(smmu_ring_lg2(m->cmdq_base));
	u32 before = m->cmdq_prod, cons = smmu_model_cons(m);

	value = smmu_model_index(m, m->cmdq_base, value, "command index");
	if (m->cr0 & CR0_CMDQEN) {
		if (((value - cons) & (lap - 1)) > lap / 2)
			omni_violation(&m->base, "more commands than the queue holds");
		if (((value - cons) & (lap - 1)) < ((before - cons) & (lap - 1)))
			omni_violation(&m->base, "the commands' index went back from %#x to %#x",
				       before, value);
		m->base.doorbells++;
	}
	m->cmdq_prod = value;
	/* At once, later, or begun at once and ended later. */
	if (omni_model_random(&m->base, 4))
		omni_model_steps(&m->base, omni_model_random(&m->base, 128));
	if (m->base.thread)
		wake_up_process(m->base.thread);
}

static u32 smmu_model_reg(struct smmu_model *m, unsigned int reg)
{
	omni_model_steps(&m->base, 4);
	switch (reg) {
	case 0x00:
		return m->config.idr0;
	case 0x04:
		return m->config.idr1;
	case 0x0c:
		return m->config.idr3;
	case 0x14:
		return m->config.idr5;
	case 0x20:
		return m->cr0;
	case 0x24:
		smmu_model_ack(m);
		return m->cr0ack;
	case 0x54:
		smmu_model_ack(m);
		return m->irq_ctrlack;
	case 0x60:
		return m->gerror;
	case 0x64:
		return m->gerrorn;
	case 0x98:
		return m->cmdq_prod;
	case 0x9c:
		return m->cmdq_cons;
	case PAGE1 + 0xa8:
		return m->evt_prod;
	case PAGE1 + 0xac:
		return m->evt_cons;
	}
	omni_violation(&m->base, "a read of register %#x", reg);
	return 0;
}

static void smmu_model_set_reg(struct smmu_model *m, unsigned int reg, u64 value)
{
	switch (reg) {
	case 0x20:
		smmu_model_cr0(m, value);
		break;
	case 0x28:
		if (m->cr0 & (CR0_SMMUEN | CR0_EVENTQEN | CR0_CMDQEN))
			omni_violation(&m->base, "attributes change while they are in use");
		m->cr1 = value;
		break;
	case 0x2c:
		if (m->cr0 & CR0_SMMUEN)
			omni_violation(&m->base, "control 2 changes while translation is on");
		m->cr2 = value;
		break;
	case 0x50:
		if (value & ~(u64)(IRQ_GERROR | IRQ_EVENTQ))
			omni_violation(&m->base, "interrupts %#llx: none of the driver's", value);
		m->irq_ctrl = value;
		m->ack_wait = omni_model_random(&m->base, 3);
		break;
	case 0x64:
		if ((value ^ m->gerrorn) & ~(u64)(m->gerror ^ m->gerrorn))
			omni_violation(&m->base, "an error is acknowledged that there is not");
		m->gerrorn = value;
		break;
	case 0x68:
	case 0xb0:
		if (value)
			omni_violation(&m->base, "a message of a unit that has wires");
		fallthrough;
	case 0x70:
	case 0x74:
	case 0xb8:
	case 0xbc:
		/* 3.18: while they are off, and only where there are such. */
		if (m->irq_ctrl || m->irq_ctrlack || !(m->config.idr0 & SMMU_MODEL_MSI))
			omni_violation(&m->base, "register %#x of messages is written", reg);
		break;
	case 0x80:
	case 0x88:
		if ((m->cr0 | m->cr0ack) & CR0_SMMUEN)
			omni_violation(&m->base, "the stream table moves while it is in use");
		if (reg == 0x80)
			m->strtab_base = value;
		else
			m->strtab_cfg = value;
		m->entries_due = true;
		m->tlb_due = true;
		break;
	case 0x90:
		smmu_model_ring(m, &m->cmdq_base, value, CR0_CMDQEN, SMMU_MODEL_COMMANDS_LG2,
				"command");
		break;
	case 0x98:
		smmu_model_prod(m, value);
		break;
	case 0x9c:
		if ((m->cr0 | m->cr0ack) & CR0_CMDQEN)
			omni_violation(&m->base, "the commands' end moves while they run");
		m->cmdq_cons = smmu_model_index(m, m->cmdq_base, value, "command index");
		break;
	case 0xa0:
		smmu_model_ring(m, &m->eventq_base, value, CR0_EVENTQEN, SMMU_MODEL_EVENTS_LG2,
				"event");
		break;
	case PAGE1 + 0xa8:
		if ((m->cr0 | m->cr0ack) & CR0_EVENTQEN)
			omni_violation(&m->base, "the events' index moves while they are recorded");
		m->evt_prod = value;
		break;
	case PAGE1 + 0xac:
		smmu_model_index(m, m->eventq_base, value & ~OVERFLOW, "event index");
		m->evt_cons = value;
		break;
	default:
		omni_violation(&m->base, "a write to register %#x", reg);
	}
}

u32 smmu_read32(const struct smmu_unit *unit, unsigned int reg)
{
	struct smmu_model *m = smmu_model_of(unit);
	unsigned long flags;
	u32 value;

	if (!m)
		return U32_MAX;
	raw_spin_lock_irqsave(&m->base.lock, flags);
	value = smmu_model_reg(m, reg);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
	omni_sample();
	return value;
}

static void smmu_model_set(const struct smmu_unit *unit, unsigned int reg, u64 value)
{
	struct smmu_model *m = smmu_model_of(unit);
	unsigned long flags;

	if (!m)
		return;
	omni_sample();
	raw_spin_lock_irqsave(&m->base.lock, flags);
	smmu_model_set_reg(m, reg, value);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
	omni_sample();
}

void smmu_write32(const struct smmu_unit *unit, unsigned int reg, u32 value)
{
	smmu_model_set(unit, reg, value);
}

void smmu_write64(const struct smmu_unit *unit, unsigned int reg, u64 value)
{
	smmu_model_set(unit, reg, value);
}
