// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VT-d model's registers and invalidation queue (VT-d r3.1, 6.5 and 10).
 *
 * Commands progress by the thread and with each read of the registers that a
 * waiting driver reads, so a driver that polls on every processor still gets
 * on. They are fetched in order and carried out in any order that fences and
 * waits allow.
 */
#include "model_vtd.h"

#include <linux/kthread.h>

/* 10.4.10: an event is pending. */
#define FECTL_IP		BIT(30)

/* 6.8: every invalidation flushes the write buffer first. */
static void vtd_model_settle(struct vtd_model *m)
{
	struct omni_cache *caches[] = { &m->base.entries, &m->base.tlb, &m->base.tables };
	struct omni_cached *c;
	unsigned int i;

	if (m->config.cap & VTD_CAP_CM)
		return;
	for (i = 0; i < ARRAY_SIZE(caches); i++)
		for_each_cached(c, caches[i])
			if (c->absent)
				omni_cache_drop(caches[i], c);
}

/* Commands: 6.5.1, 6.5.2 */

static void vtd_model_do_context(struct vtd_model *m, u64 lo)
{
	/* 6.5.2.1: function bits that don't count: none, 2, 2:1, 2:0. */
	static const u16 masks[] = { 0xffff, 0xfffb, 0xfff9, 0xfff8 };
	u16 mask = masks[FIELD_GET(VTD_CONTEXT_FM, lo)];
	u16 did = FIELD_GET(VTD_DESC_DID, lo), sid = FIELD_GET(VTD_CONTEXT_SID, lo);
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);
	struct omni_cached *c;

	vtd_model_settle(m);
	for_each_cached(c, &m->base.entries)
		if (g == VTD_G_GLOBAL || (c->tag == did && (g == VTD_G_DOMAIN ||
							    !((c->rid ^ sid) & mask))))
			omni_cache_drop(&m->base.entries, c);
	if (g == VTD_G_GLOBAL)
		m->context_due = false;
	m->base.done[OMNI_CMD_ENTRY]++;
}

static void vtd_model_do_iotlb(struct vtd_model *m, u64 lo, u64 hi)
{
	u64 last, first = hi & VTD_IOTLB_HI_ADDR;
	u64 size = BIT_ULL(12 + FIELD_GET(VTD_IOTLB_HI_AM, hi));
	u16 did = FIELD_GET(VTD_DESC_DID, lo);
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);
	struct omni_cached *c;

	vtd_model_settle(m);
	first &= ~(size - 1);
	last = first + size - 1;
	for_each_cached(c, &m->base.tlb)
		if (g == VTD_G_GLOBAL ||
		    (c->tag == did && (g == VTD_G_DOMAIN || omni_cached_meets(c, first, last))))
			omni_cache_drop(&m->base.tlb, c);
	for_each_cached(c, &m->base.tables)
		if (g == VTD_G_GLOBAL ||
		    (c->tag == did && (g == VTD_G_DOMAIN || (!(hi & VTD_IOTLB_HI_IH) &&
							     omni_cached_meets(c, first, last)))))
			omni_cache_drop(&m->base.tables, c);
	if (g == VTD_G_GLOBAL)
		m->iotlb_due = false;
	m->base.done[g == VTD_G_GLOBAL ? OMNI_CMD_GLOBAL :
		g == VTD_G_DOMAIN ? OMNI_CMD_DOMAIN : OMNI_CMD_PAGES]++;
}

/* 6.5.2.5: the bytes of a device TLB invalidation. */
static void vtd_devtlb_range(u64 hi, u64 *first, u64 *last)
{
	u64 low;

	*first = hi & VTD_DEVTLB_HI_ADDR;
	*last = *first | 0xfff;
	if (!(hi & VTD_DEVTLB_HI_S))
		return;
	/* The lowest clear bit from bit 12 on is the highest of the offset. */
	low = ~*first & VTD_DEVTLB_HI_ADDR;
	low &= -low;
	*first &= ~((low << 1) - 1);
	*last = *first + ((low << 1) - 1);
	if (!low || low == BIT_ULL(63)) {
		*first = 0;
		*last = U64_MAX;
	}
}

static void vtd_model_do_devtlb(struct vtd_model *m, u64 lo, u64 hi)
{
	u64 first, last;

	vtd_devtlb_range(hi, &first, &last);
	if (!(m->gsts & VTD_G_TE))
		omni_violation(&m->base, "a device TLB is invalidated while translation is off");
	m->base.done[OMNI_CMD_DEVICE_TLB]++;
	omni_device_tlb_drop(&m->base, FIELD_GET(VTD_DEVTLB_SID, lo), 0, first, last);
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

/* In everybody's words. */
static void vtd_model_note(struct vtd_model *m, u64 lo, u64 hi)
{
	struct omni_command cmd = { .last = U64_MAX, .raw = { lo, hi } };
	unsigned int g = FIELD_GET(VTD_DESC_G, lo);

	switch (FIELD_GET(VTD_DESC_TYPE, lo)) {
	case VTD_DESC_CONTEXT:
		cmd.kind = OMNI_CMD_ENTRY;
		cmd.tag = FIELD_GET(VTD_DESC_DID, lo);
		cmd.rid = FIELD_GET(VTD_CONTEXT_SID, lo);
		break;
	case VTD_DESC_IOTLB:
		cmd.kind = g == VTD_G_GLOBAL ? OMNI_CMD_GLOBAL :
			   g == VTD_G_DOMAIN ? OMNI_CMD_DOMAIN : OMNI_CMD_PAGES;
		cmd.tag = FIELD_GET(VTD_DESC_DID, lo);
		if (g != VTD_G_PAGE)
			break;
		cmd.leaf_only = hi & VTD_IOTLB_HI_IH;
		cmd.first = hi >> 12;
		cmd.last = cmd.first + BIT_ULL(FIELD_GET(VTD_IOTLB_HI_AM, hi)) - 1;
		break;
	case VTD_DESC_DEVICE_TLB:
		cmd.kind = OMNI_CMD_DEVICE_TLB;
		cmd.rid = FIELD_GET(VTD_DEVTLB_SID, lo);
		vtd_devtlb_range(hi, &cmd.first, &cmd.last);
		cmd.first >>= 12;
		if (cmd.last != U64_MAX)
			cmd.last >>= 12;
		break;
	default:
		cmd.kind = OMNI_CMD_WAIT;
		cmd.fence = lo & VTD_WAIT_FN;
		break;
	}
	omni_model_note(&m->base, &cmd);
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
		m->base.done[OMNI_CMD_WAIT]++;
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
	unsigned int i = omni_model_random(&m->base, m->nr_pending);
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
	/* What was bad stays bad until it is replaced. */
	if (m->bad && m->bad_at == m->iqh && le64_to_cpu(m->bad_desc.lo) == lo &&
	    le64_to_cpu(m->bad_desc.hi) == hi) {
		vtd_model_queue_error(m, 4);
		return;
	}
	m->bad = false;
	if (FIELD_GET(VTD_DESC_TYPE, lo) != VTD_DESC_WAIT && m->base.errors_left &&
	    !m->base.error_after--) {
		m->base.errors_left--;
		m->base.error_after = 0;
		m->bad = true;
		m->bad_at = m->iqh;
		m->bad_desc = desc[m->iqh];
		vtd_model_queue_error(m, 4);
		return;
	}
	vtd_model_note(m, lo, hi);
	m->base.fetched++;
	m->iqh = (m->iqh + 1) % VTD_QUEUE_SIZE;
	m->pending[m->nr_pending++] = (struct vtd_pending) {
		.seq = m->seq++,
		.desc = { .lo = cpu_to_le64(lo), .hi = cpu_to_le64(hi) },
	};
}

/* One step of the queue. Lock held. Returns false if there is nothing to do now. */
bool vtd_model_step(struct omni_model *base)
{
	struct vtd_model *m = to_vtd_model(base);
	bool fetch;

	if (base->hang || !(m->gsts & VTD_G_QIE) || !omni_model_rested(base))
		return false;
	fetch = m->iqh != m->iqt && !(m->fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE)) &&
		m->nr_pending < VTD_MODEL_PENDING;
	if (fetch && (!m->nr_pending || omni_model_random(&m->base, 4)))
		vtd_model_fetch(m);
	else if (m->nr_pending)
		vtd_model_execute_one(m);
	else
		return false;
	return true;
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
			omni_violation(&m->base,
				       "queue address %llx is not one page of 128-bit descriptors",
				       m->iqa);
		m->iqh = 0;
		return;
	}
	if (m->iqh != m->iqt && !m->base.hang && !(m->fsts & (VTD_FSTS_IQE | VTD_FSTS_ITE)))
		omni_violation(&m->base, "the queue is switched off with %lu descriptors in it",
			       (m->iqt - m->iqh) % VTD_QUEUE_SIZE);
	while (!m->base.hang && m->nr_pending)
		vtd_model_execute_one(m);
	m->nr_pending = 0;
}

static void vtd_model_gcmd(struct vtd_model *m, u32 value)
{
	u32 changed = (value ^ m->gsts) & GSTS_LEVELS, one_shot = value & GCMD_ONE_SHOT;

	if (hweight32(changed) + hweight32(one_shot) > 1)
		omni_violation(&m->base,
			       "global command %08x with status %08x changes more than one thing",
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
		m->base.done[OMNI_CMD_WRITE_BUFFER]++;
	}
	if (changed & VTD_G_QIE)
		vtd_model_queue_command(m, value & VTD_G_QIE);
	if (changed & value & VTD_G_TE) {
		if (!(m->gsts & VTD_G_SRTP))
			omni_violation(&m->base, "translation goes on without a root table");
		if (m->context_due || m->iotlb_due)
			omni_violation(&m->base,
				       "translation goes on with caches of an earlier root table");
	}
	m->gsts_wait = 1 + omni_model_random(&m->base, 2) + m->slow_commands;
}

static u32 vtd_model_gsts(struct vtd_model *m)
{
	if (m->gsts_wait && !omni_model_hung(&m->base) && !--m->gsts_wait)
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
	m->base.doorbells++;
	if (m->base.thread)
		wake_up_process(m->base.thread);
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
	m->reg_wait = omni_model_random(&m->base, 3);
	vtd_model_no_queue(m, "context command");
}

static u64 vtd_model_ccmd_read(struct vtd_model *m)
{
	u64 lo;

	if (!(m->ccmd & VTD_CCMD_ICC) || omni_model_hung(&m->base) || m->reg_wait--)
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
	m->reg_wait = omni_model_random(&m->base, 3);
	vtd_model_no_queue(m, "IOTLB");
}

static u64 vtd_model_iotlb_read(struct vtd_model *m)
{
	const char *why;
	u64 lo, hi;

	if (!(m->iotlb & VTD_IOTLB_REG_IVT) || omni_model_hung(&m->base) || m->reg_wait--)
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
			omni_model_steps(&m->base, 4);
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
			omni_model_steps(&m->base, 4);
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
	raw_spin_lock_irqsave(&m->base.lock, flags);
	value = vtd_model_read(m, reg, wide);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
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
	raw_spin_lock_irqsave(&m->base.lock, flags);
	vtd_model_write(m, reg, value, wide);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
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
