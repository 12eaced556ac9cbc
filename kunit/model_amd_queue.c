// SPDX-License-Identifier: GPL-2.0-only
/*
 * The AMD-Vi model's registers, command buffer and event log (48882 r3.08,
 * 2.4, 2.5 and 3.4).
 *
 * Commands progress by the thread and with each read of a register, so a
 * driver that polls on every processor still gets on. They are fetched in
 * order and carried out in any order that waits allow.
 */
#include "model_amd.h"

/* 2.4: opcodes. */
#define OP_WAIT			1
#define OP_DEVTAB		2
#define OP_PAGES		3
#define OP_IOTLB		4
#define OP_INTERRUPTS		5
#define OP_ALL			8

/* 3.4.4 */
#define CONTROL_IOMMU		BIT_ULL(0)
#define CONTROL_EVENT_LOG	BIT_ULL(2)
#define CONTROL_EVENT_INT	BIT_ULL(3)
#define CONTROL_CMDBUF		BIT_ULL(12)
#define CONTROL_GT		BIT_ULL(16)
/* PPR log, guest interrupts, x2APIC: none of the driver's. */
#define CONTROL_OTHERS		(GENMASK_ULL(15, 13) | BIT_ULL(17) | BIT_ULL(28) | \
				 BIT_ULL(50) | BIT_ULL(51))

/* 3.4.14 */
#define STATUS_OVERFLOW		BIT_ULL(0)
#define STATUS_EVENT_INT	BIT_ULL(1)
#define STATUS_WAIT_INT		BIT_ULL(2)
#define STATUS_EVENT_RUN	BIT_ULL(3)
#define STATUS_CMD_RUN		BIT_ULL(4)
#define STATUS_CLEAR		GENMASK_ULL(6, 0)

static unsigned int amd_ring_size(u64 base)
{
	return BIT((base >> 56) & 15);
}

static u64 *amd_ring_at(u64 base, unsigned int index)
{
	return phys_to_virt((base & GENMASK_ULL(51, 12)) + index * 16);
}

/* The event log: 2.5 */

static void amd_model_interrupt(struct amd_model *m, u64 status)
{
	m->status |= status;
	if (m->control & CONTROL_EVENT_INT)
		irq_work_queue(&m->irq_work);
}

void amd_model_log(struct amd_model *m, u64 lo, u64 hi)
{
	unsigned int next = (m->evt_tail + 1) % amd_ring_size(m->evtlog);
	u64 *entry;

	if (!(m->status & STATUS_EVENT_RUN))
		return;
	if (next == m->evt_head) {
		m->status &= ~STATUS_EVENT_RUN;
		amd_model_interrupt(m, STATUS_OVERFLOW);
		return;
	}
	entry = amd_ring_at(m->evtlog, m->evt_tail);
	entry[1] = hi;
	/* The code comes last, as in hardware. */
	smp_wmb();
	WRITE_ONCE(entry[0], lo);
	m->evt_tail = next;
	amd_model_interrupt(m, STATUS_EVENT_INT);
}

/* Commands: 2.4 */

static unsigned int amd_op(u64 lo)
{
	return lo >> 60;
}

/* 2.4.3: the bytes of an invalidation; all if its size says so. */
static bool amd_pages_range(u64 hi, u64 *first, u64 *last)
{
	unsigned int lg2 = 12;

	*first = hi & GENMASK_ULL(63, 12);
	if (hi & 1) {
		/* The lowest clear bit from bit 12 on is the highest of the offset. */
		lg2 = (hi | 0xfff) == U64_MAX ? 64 : ffz(hi | 0xfff) + 1;
		if (lg2 == 64) {
			*first = 0;
			*last = U64_MAX;
			return true;
		}
		*first &= ~(BIT_ULL(lg2) - 1);
	}
	*last = *first + BIT_ULL(lg2) - 1;
	return false;
}

/* What is wrong with a command, or NULL. */
static const char *amd_model_cmd_fault(struct amd_model *m, u64 lo, u64 hi)
{
	switch (amd_op(lo)) {
	case OP_WAIT:
		if (lo & GENMASK_ULL(59, 52))
			return "reserved bits";
		if (!(lo & 1))
			return lo & GENMASK_ULL(51, 3) ? "an address, and nothing to store" : NULL;
		return pfn_valid((lo & GENMASK_ULL(51, 3)) >> PAGE_SHIFT) ? NULL :
		       "it stores to where no memory is";
	case OP_DEVTAB:
	case OP_INTERRUPTS:
		return hi || lo & GENMASK_ULL(59, 16) ? "reserved bits" : NULL;
	case OP_PAGES:
		if (lo & (GENMASK_ULL(59, 48) | GENMASK_ULL(31, 20)) || hi & GENMASK_ULL(11, 3))
			return "reserved bits";
		if (hi & BIT_ULL(2) && !amd_model_guest(m))
			return "guest translations of a driver that has none";
		return lo & GENMASK_ULL(19, 0) ? "a PASID that nobody has" : NULL;
	case OP_IOTLB:
		if (hi & (GENMASK_ULL(11, 3) | BIT_ULL(1)))
			return "reserved bits";
		if (hi & BIT_ULL(2) && !amd_model_guest(m))
			return "guest translations of a driver that has none";
		if (lo & (GENMASK_ULL(59, 48) | GENMASK_ULL(23, 16)))
			return "a PASID that nobody has";
		if (!(lo & GENMASK_ULL(31, 24)))
			return "it may never be pending";
		return m->config.cap & BIT(24) ? NULL : "the unit knows no device TLBs";
	case OP_ALL:
		if (!(m->config.efr & BIT_ULL(6)))
			return "the unit can't forget everything at once";
		return hi || lo & GENMASK_ULL(59, 0) ? "reserved bits" : NULL;
	}
	return "not known";
}

/* In everybody's words. */
static void amd_model_note(struct amd_model *m, u64 lo, u64 hi)
{
	struct omni_command cmd = { .last = U64_MAX, .raw = { lo, hi } };
	bool all;

	switch (amd_op(lo)) {
	case OP_WAIT:
		cmd.kind = OMNI_CMD_WAIT;
		cmd.fence = !(lo & 1);
		break;
	case OP_DEVTAB:
		cmd.kind = OMNI_CMD_ENTRY;
		cmd.rid = lo;
		break;
	case OP_PAGES:
		all = amd_pages_range(hi, &cmd.first, &cmd.last);
		cmd.kind = all ? OMNI_CMD_DOMAIN : OMNI_CMD_PAGES;
		cmd.leaf_only = !(hi & BIT_ULL(1));
		cmd.tag = lo >> 32;
		cmd.first >>= 12;
		cmd.last = all ? U64_MAX : cmd.last >> 12;
		break;
	case OP_IOTLB:
		all = amd_pages_range(hi, &cmd.first, &cmd.last);
		cmd.kind = OMNI_CMD_DEVICE_TLB;
		cmd.rid = lo;
		cmd.first >>= 12;
		cmd.last = all ? U64_MAX : cmd.last >> 12;
		break;
	case OP_ALL:
		cmd.kind = OMNI_CMD_GLOBAL;
		break;
	default:
		cmd.kind = OMNI_CMD_OTHER;
	}
	omni_model_note(&m->base, &cmd);
}

/* GN: translations of guest page tables, and of no others. */
static u32 amd_space(u64 hi)
{
	return hi & BIT_ULL(2) ? AMD_MODEL_PASID_0 : 0;
}

static void amd_model_do_pages(struct amd_model *m, u64 lo, u64 hi)
{
	struct omni_cached *c;
	u64 first, last;
	u16 tag = lo >> 32;
	bool all = amd_pages_range(hi, &first, &last);
	u32 space = amd_space(hi);

	for_each_cached(c, &m->base.tlb)
		if (c->tag == tag && c->space == space && omni_cached_meets(c, first, last))
			omni_cache_drop(&m->base.tlb, c);
	/* PDE: what leads there, too. */
	for_each_cached(c, &m->base.tables)
		if (hi & BIT_ULL(1) && c->tag == tag && c->space == space &&
		    omni_cached_meets(c, first, last))
			omni_cache_drop(&m->base.tables, c);
	m->base.done[all ? OMNI_CMD_DOMAIN : OMNI_CMD_PAGES]++;
}

static void amd_model_forget(struct amd_model *m)
{
	struct omni_cache *caches[] = { &m->base.entries, &m->base.tlb, &m->base.tables };
	struct omni_cached *c;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		for_each_cached(c, caches[i])
			omni_cache_drop(caches[i], c);
	m->due = false;
}

static void amd_model_execute(struct amd_model *m, u64 lo, u64 hi)
{
	struct omni_cached *c;
	u64 first, last;

	switch (amd_op(lo)) {
	case OP_WAIT:
		m->base.done[OMNI_CMD_WAIT]++;
		if (lo & 1) {
			/* All that was done is visible before the store. */
			smp_wmb();
			WRITE_ONCE(*(u64 *)phys_to_virt(lo & GENMASK_ULL(51, 3)), hi);
		}
		if (lo & 2)
			m->status |= STATUS_WAIT_INT;
		break;
	case OP_DEVTAB:
		for_each_cached(c, &m->base.entries)
			if (c->rid == (u16)lo)
				omni_cache_drop(&m->base.entries, c);
		m->base.done[OMNI_CMD_ENTRY]++;
		break;
	case OP_PAGES:
		amd_model_do_pages(m, lo, hi);
		break;
	case OP_IOTLB:
		amd_pages_range(hi, &first, &last);
		m->base.done[OMNI_CMD_DEVICE_TLB]++;
		if (!amd_model_on(m))
			omni_violation(&m->base,
				       "a device TLB is invalidated while translation is off");
		if (m->iotlb_left) {
			/* 2.5.8: the device did not answer; what comes next goes on. */
			m->iotlb_left--;
			amd_model_log(m, 7ULL << 60 | (u16)lo, m->cmdbuf & GENMASK_ULL(51, 12));
			break;
		}
		omni_device_tlb_drop(&m->base, lo, amd_space(hi), first, last);
		break;
	case OP_ALL:
		amd_model_forget(m);
		m->base.done[OMNI_CMD_GLOBAL]++;
		break;
	default:
		m->base.done[OMNI_CMD_OTHER]++;
	}
}

/*
 * 2.4.1: a wait ends after all before it; with F nothing begins before it
 * ends. All else is carried out in any order.
 */
static bool amd_pending_ready(struct amd_model *m, const struct amd_pending *p)
{
	const struct amd_pending *q;

	for (q = m->pending; q < m->pending + m->nr_pending; q++) {
		if (q->seq >= p->seq)
			continue;
		if (amd_op(p->lo) == OP_WAIT)
			return false;
		if (amd_op(q->lo) == OP_WAIT && q->lo & BIT_ULL(2))
			return false;
	}
	return true;
}

static void amd_model_execute_one(struct amd_model *m)
{
	unsigned int i = omni_model_random(&m->base, m->nr_pending);
	struct amd_pending p;

	while (!amd_pending_ready(m, &m->pending[i]))
		i = (i + 1) % m->nr_pending;
	p = m->pending[i];
	m->pending[i] = m->pending[--m->nr_pending];
	amd_model_execute(m, p.lo, p.hi);
}

/* 2.5.6: the unit stops, its head at the command it does not know. */
static void amd_model_illegal(struct amd_model *m)
{
	m->status &= ~STATUS_CMD_RUN;
	amd_model_log(m, 5ULL << 60, (m->cmdbuf & GENMASK_ULL(51, 12)) + m->cmd_head * 16);
}

static void amd_model_fetch(struct amd_model *m)
{
	u64 *cmd = amd_ring_at(m->cmdbuf, m->cmd_head);
	u64 lo = READ_ONCE(cmd[0]), hi = READ_ONCE(cmd[1]);
	const char *why = amd_model_cmd_fault(m, lo, hi);

	if (why) {
		omni_violation(&m->base, "command %016llx %016llx: %s", hi, lo, why);
		amd_model_illegal(m);
		return;
	}
	/* What was bad stays bad until it is replaced. */
	if (m->bad && m->bad_at == m->cmd_head && m->bad_lo == lo && m->bad_hi == hi) {
		amd_model_illegal(m);
		return;
	}
	m->bad = false;
	if (amd_op(lo) != OP_WAIT && m->base.errors_left && !m->base.error_after--) {
		m->base.errors_left--;
		m->base.error_after = 0;
		m->bad = true;
		m->bad_at = m->cmd_head;
		m->bad_lo = lo;
		m->bad_hi = hi;
		amd_model_illegal(m);
		return;
	}
	amd_model_note(m, lo, hi);
	m->base.fetched++;
	m->cmd_head = (m->cmd_head + 1) % amd_ring_size(m->cmdbuf);
	m->pending[m->nr_pending++] = (struct amd_pending){ m->seq++, lo, hi };
}

bool amd_model_step(struct omni_model *base)
{
	struct amd_model *m = to_amd_model(base);
	bool fetch;

	if (base->hang || !amd_model_on(m) || !omni_model_rested(base))
		return false;
	fetch = m->status & STATUS_CMD_RUN && m->cmd_head != m->cmd_tail &&
		m->nr_pending < AMD_MODEL_PENDING;
	if (fetch && (!m->nr_pending || omni_model_random(base, 4)))
		amd_model_fetch(m);
	else if (m->nr_pending)
		amd_model_execute_one(m);
	else
		return false;
	return true;
}

/* Registers: 3.4 */

static void amd_model_ring(struct amd_model *m, u64 *reg, u64 value, u64 on, const char *what)
{
	if (m->control & on)
		omni_violation(&m->base, "the %s moves while it is on", what);
	if (value & ~(GENMASK_ULL(51, 12) | GENMASK_ULL(59, 56)) || (value >> 56) < 8)
		omni_violation(&m->base, "%s base %llx", what, value);
	*reg = value;
}

static unsigned int amd_model_index(struct amd_model *m, u64 base, u64 value, const char *what)
{
	unsigned int index = (value & GENMASK_ULL(18, 4)) >> 4;

	if (value & ~GENMASK_ULL(18, 4) || index >= amd_ring_size(base)) {
		omni_violation(&m->base, "%s %llx", what, value);
		return 0;
	}
	return index;
}

static void amd_model_control_commands(struct amd_model *m, bool on)
{
	unsigned int left = (m->cmd_tail - m->cmd_head) % amd_ring_size(m->cmdbuf);

	if (on) {
		if (left)
			omni_violation(&m->base,
				       "the command buffer is switched on with %u commands in it",
				       left);
		m->status |= STATUS_CMD_RUN;
		return;
	}
	/* Halted by an error, or dead, there is no other way. */
	if (left && m->status & STATUS_CMD_RUN && !m->base.hang)
		omni_violation(&m->base,
			       "the command buffer is switched off with %u commands in it", left);
	while (!m->base.hang && m->nr_pending)
		amd_model_execute_one(m);
	m->nr_pending = 0;
	m->status &= ~STATUS_CMD_RUN;
}

static void amd_model_control(struct amd_model *m, u64 value)
{
	u64 changed = value ^ m->control;

	if (value & CONTROL_OTHERS || (value & CONTROL_GT && !amd_model_guest(m)))
		omni_violation(&m->base, "control %llx: none of the driver's", value);
	if (changed & CONTROL_GT && value & m->control & CONTROL_IOMMU)
		omni_violation(&m->base, "guest translation changes while the unit is on");
	m->control = value;
	if (changed & CONTROL_IOMMU && value & CONTROL_IOMMU) {
		if ((m->devtab & GENMASK_ULL(51, 12)) >> AMD_MODEL_PA || m->devtab >> 52 ||
		    m->devtab & GENMASK_ULL(11, 9))
			omni_violation(&m->base, "device table base %llx", m->devtab);
		m->due = m->config.efr & BIT_ULL(6);
	}
	if (changed & CONTROL_CMDBUF)
		amd_model_control_commands(m, value & CONTROL_CMDBUF);
	if (changed & CONTROL_EVENT_LOG) {
		m->status &= ~STATUS_EVENT_RUN;
		if (value & CONTROL_EVENT_LOG && !(m->status & STATUS_OVERFLOW))
			m->status |= STATUS_EVENT_RUN;
	}
}

static void amd_model_tail(struct amd_model *m, u64 value)
{
	unsigned int size = amd_ring_size(m->cmdbuf), before = m->cmd_tail, tail;

	tail = amd_model_index(m, m->cmdbuf, value, "command tail");
	/* From head to the new tail there must not be less than to the old one. */
	if (m->control & CONTROL_CMDBUF &&
	    (tail - m->cmd_head) % size < (before - m->cmd_head) % size)
		omni_violation(&m->base, "the commands' tail went from %u to %u over the head %u",
			       before, tail, m->cmd_head);
	m->cmd_tail = tail;
	m->base.doorbells++;
	/* At once, later, or begun at once and ended later. */
	if (omni_model_random(&m->base, 4))
		omni_model_steps(&m->base, omni_model_random(&m->base, 128));
	if (m->base.thread)
		wake_up_process(m->base.thread);
}

static u64 amd_model_read(struct amd_model *m, unsigned int reg)
{
	omni_model_steps(&m->base, 4);
	switch (reg) {
	case 0x0000:
		return m->devtab;
	case 0x0008:
		return m->cmdbuf;
	case 0x0010:
		return m->evtlog;
	case 0x0018:
		return m->control;
	case 0x0020:
		return m->excl_base;
	case 0x0028:
		return m->excl_limit;
	case 0x0030:
		return m->config.efr;
	case 0x01a0:
		return 0;
	case 0x2000:
		return m->cmd_head * 16;
	case 0x2008:
		return m->cmd_tail * 16;
	case 0x2010:
		return m->evt_head * 16;
	case 0x2018:
		return m->evt_tail * 16;
	case 0x2020:
		return m->status;
	}
	omni_violation(&m->base, "a read of register %#x", reg);
	return 0;
}

static void amd_model_write(struct amd_model *m, unsigned int reg, u64 value)
{
	switch (reg) {
	case 0x0000:
		if (amd_model_on(m))
			omni_violation(&m->base, "the device table moves while it is in use");
		m->devtab = value;
		break;
	case 0x0008:
		amd_model_ring(m, &m->cmdbuf, value, CONTROL_CMDBUF, "command buffer");
		break;
	case 0x0010:
		amd_model_ring(m, &m->evtlog, value, CONTROL_EVENT_LOG, "event log");
		break;
	case 0x0018:
		amd_model_control(m, value);
		break;
	case 0x0020:
		m->excl_base = value;
		break;
	case 0x0028:
		m->excl_limit = value;
		break;
	case 0x2000:
		if (m->control & CONTROL_CMDBUF)
			omni_violation(&m->base, "the commands' head moves while they run");
		m->cmd_head = amd_model_index(m, m->cmdbuf, value, "command head");
		/* A buffer that begins anew has nothing bad in it. */
		m->bad = false;
		break;
	case 0x2008:
		amd_model_tail(m, value);
		break;
	case 0x2010:
		m->evt_head = amd_model_index(m, m->evtlog, value, "event head");
		break;
	case 0x2018:
		if (m->control & CONTROL_EVENT_LOG)
			omni_violation(&m->base, "the events' tail moves while they are logged");
		m->evt_tail = amd_model_index(m, m->evtlog, value, "event tail");
		break;
	case 0x2020:
		m->status &= ~(value & STATUS_CLEAR & ~(STATUS_EVENT_RUN | STATUS_CMD_RUN));
		break;
	default:
		omni_violation(&m->base, "a write to register %#x", reg);
	}
}

u64 amd_read64(const struct amd_unit *unit, unsigned int reg)
{
	struct amd_model *m = amd_model_of(unit);
	unsigned long flags;
	u64 value;

	if (!m)
		return U64_MAX;
	raw_spin_lock_irqsave(&m->base.lock, flags);
	value = amd_model_read(m, reg);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
	omni_sample();
	return value;
}

void amd_write64(const struct amd_unit *unit, unsigned int reg, u64 value)
{
	struct amd_model *m = amd_model_of(unit);
	unsigned long flags;

	if (!m)
		return;
	omni_sample();
	raw_spin_lock_irqsave(&m->base.lock, flags);
	amd_model_write(m, reg, value);
	raw_spin_unlock_irqrestore(&m->base.lock, flags);
	omni_sample();
}

/* 3.2: the capability block of the unit's PCI function. */
u32 amd_cap_read32(const struct amd_unit *unit, unsigned int reg)
{
	struct amd_model *m = amd_model_of(unit);

	if (!m)
		return U32_MAX;
	switch (reg) {
	case 0x00:
		return m->config.cap;
	case 0x04:
		return lower_32_bits(m->ivhd.base) | 1;
	case 0x08:
		return upper_32_bits(m->ivhd.base);
	case 0x10:
		/* Interrupt message 0, 48 bits of physical, and the width of virtual addresses. */
		return 48 << 8 | (u32)(m->config.va_bits ?: 64) << 15;
	}
	return 0;
}
