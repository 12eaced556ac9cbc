// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware models, the part that no vendor changes: caches, traces, what a
 * model does on demand, its record of violations, and its life.
 */
#include "kit.h"
#include "model_freed.h"

#include <linux/kthread.h>
#include <linux/slab.h>

static DEFINE_RAW_SPINLOCK(models_lock);	/* protects models */
static LIST_HEAD(models);

/* Caches */

static int omni_cache_init(struct omni_cache *cache, unsigned int size)
{
	cache->item = kvcalloc(size, sizeof(*cache->item), GFP_KERNEL);
	cache->size = size;
	return cache->item ? 0 : -ENOMEM;
}

void omni_cache_drop(struct omni_cache *cache, struct omni_cached *item)
{
	item->used = false;
	while (cache->high && !cache->item[cache->high - 1].used)
		cache->high--;
}

void omni_cache_add(struct omni_model *m, struct omni_cache *cache, struct omni_cached item)
{
	unsigned int i;

	for (i = 0; i < cache->size; i++)
		if (!cache->item[i].used)
			break;
	if (i == cache->size)
		i = omni_model_random(m, cache->size);
	item.used = true;
	cache->item[i] = item;
	cache->high = max(cache->high, i + 1);
}

struct omni_cached *omni_cache_next(struct omni_cache *cache, struct omni_cached *item)
{
	item = item ?: cache->item + cache->high;
	while (item-- > cache->item)
		if (item->used)
			return item;
	return NULL;
}

void omni_cache_evict(struct omni_model *m, struct omni_cache *cache)
{
	struct omni_cached *c;

	if (!cache->high)
		return;
	c = &cache->item[omni_model_random(m, cache->high)];
	if (c->used)
		omni_cache_drop(cache, c);
}

struct omni_cached *omni_device_tlb_find(struct omni_model *m, u16 rid, u64 iova, u8 perm)
{
	struct omni_cached *c;

	for_each_cached(c, &m->device_tlb)
		if (c->rid == rid && omni_cached_meets(c, iova, iova) && c->perm & perm) {
			m->hits++;
			return c;
		}
	return NULL;
}

void omni_device_tlb_drop(struct omni_model *m, u16 rid, u32 space, u64 first, u64 last)
{
	struct omni_cached *c;

	if (!test_bit(rid, m->ats_on)) {
		m->stray++;
		return;
	}
	for_each_cached(c, &m->device_tlb)
		if (c->rid == rid && c->space == space && omni_cached_meets(c, first, last))
			omni_cache_drop(&m->device_tlb, c);
}

unsigned int omni_model_cached(struct omni_model *m, u16 tag)
{
	unsigned int nr = 0;
	struct omni_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	for_each_cached(c, &m->tlb)
		nr += c->tag == tag;
	for_each_cached(c, &m->tables)
		nr += c->tag == tag;
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

unsigned int omni_model_device_cached(struct omni_model *m, u16 rid)
{
	unsigned int nr = 0;
	struct omni_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	for_each_cached(c, &m->device_tlb)
		nr += c->rid == rid;
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

static void omni_model_ats(void *arg, u16 rid, bool on)
{
	struct omni_model *m = arg;
	struct omni_cached *c;
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	if (on) {
		/* PCIe 10.5.1.3: enabling begins with an empty cache. */
		for_each_cached(c, &m->device_tlb)
			if (c->rid == rid)
				omni_cache_drop(&m->device_tlb, c);
		set_bit(rid, m->ats_on);
	} else {
		clear_bit(rid, m->ats_on);
	}
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

/* Commands */

void omni_model_note(struct omni_model *m, const struct omni_command *cmd)
{
	if (m->nr_trace < OMNI_TRACE_KEPT)
		m->trace[m->nr_trace] = *cmd;
	m->nr_trace++;
}

void omni_model_trace(struct omni_model *m)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->nr_trace = 0;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

bool omni_model_traced(struct omni_model *m, unsigned int n, struct omni_command *cmd)
{
	unsigned long flags;
	bool found = false;
	unsigned int i;

	raw_spin_lock_irqsave(&m->lock, flags);
	for (i = 0; i < m->nr_trace && i < OMNI_TRACE_KEPT && !found; i++) {
		if (m->trace[i].kind == OMNI_CMD_WAIT && !m->trace[i].fence)
			continue;
		if (n--)
			continue;
		*cmd = m->trace[i];
		found = true;
	}
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return found;
}

u64 omni_model_done(struct omni_model *m, enum omni_cmd what)
{
	unsigned long flags;
	u64 nr;

	raw_spin_lock_irqsave(&m->lock, flags);
	nr = m->done[what];
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return nr;
}

/* On demand */

void omni_model_hang(struct omni_model *m, bool hang)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->hang = hang;
	m->hung_since = ktime_get_mono_fast_ns();
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

bool omni_model_hung(struct omni_model *m)
{
	if (m->hang && ktime_get_mono_fast_ns() - m->hung_since > OMNI_PATIENCE_NS) {
		omni_violation(m, "the driver still waits for an answer after 30 s");
		m->hang = false;
	}
	return m->hang;
}

void omni_model_delay(struct omni_model *m, unsigned int us)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->delay_ns = us * NSEC_PER_USEC;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

bool omni_model_rested(struct omni_model *m)
{
	u64 now;

	if (!m->delay_ns)
		return true;
	now = ktime_get_mono_fast_ns();
	if (now < m->not_before)
		return false;
	m->not_before = now + m->delay_ns;
	return true;
}

void omni_model_error(struct omni_model *m, u64 after, unsigned int times)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->error_after = after;
	m->errors_left = times;
	raw_spin_unlock_irqrestore(&m->lock, flags);
}

/* What a suite gives the driver's side */

void omni_model_submit(struct omni_model *m, const struct omni_command *cmds, unsigned int nr,
		       struct omni_ticket *ticket)
{
	struct omni_lowered lowered;

	m->ops->lower(m, cmds, nr, &lowered);
	m->ops->submit(m, &lowered, nr, ticket);
}

int omni_model_wait(struct omni_model *m, const struct omni_ticket *ticket)
{
	return m->unit->wing->queue->wait(m->unit, ticket);
}

int omni_model_submit_wait(struct omni_model *m, const struct omni_command *cmds,
			   unsigned int nr)
{
	struct omni_lowered lowered;

	m->ops->lower(m, cmds, nr, &lowered);
	return omni_submit_wait(m->unit, &lowered, nr);
}

/* The queue goes on by a thread, and with each look of a waiting driver. */

void omni_model_steps(struct omni_model *m, unsigned int nr)
{
	omni_model_hung(m);
	while (nr-- && m->ops->step(m))
		;
}

static int omni_model_thread(void *arg)
{
	struct omni_model *m = arg;
	unsigned long flags;
	bool more;

	while (!kthread_should_stop()) {
		set_current_state(TASK_INTERRUPTIBLE);
		raw_spin_lock_irqsave(&m->lock, flags);
		more = m->ops->step(m);
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

/* Violations */

void omni_violation(struct omni_model *m, const char *fmt, ...)
{
	int nr = atomic_inc_return(&m->nr_violations) - 1;
	va_list args;

	if (nr >= OMNI_VIOLATIONS_KEPT)
		return;
	va_start(args, fmt);
	vsnprintf(m->violations[nr], sizeof(m->violations[nr]), fmt, args);
	va_end(args);
}

unsigned int omni_model_violations(struct omni_model *m)
{
	return atomic_xchg(&m->nr_violations, 0);
}

void omni_model_check(struct kunit *test, struct omni_model *m)
{
	unsigned int i, nr = omni_model_violations(m);

	for (i = 0; i < nr && i < OMNI_VIOLATIONS_KEPT; i++)
		KUNIT_FAIL(test, "%s: %s", m->name, m->violations[i]);
	if (nr > i)
		KUNIT_FAIL(test, "%s: and %u more", m->name, nr - i);
}

void omni_table_freed(const void *entries)
{
	phys_addr_t pa = virt_to_phys((void *)entries);
	struct omni_model *m;
	unsigned long flags, i;

	raw_spin_lock_irqsave(&models_lock, flags);
	list_for_each_entry(m, &models, node) {
		struct omni_freed f = { .m = m, .pa = pa, .entries = 512, .budget = 65536 };

		raw_spin_lock(&m->lock);
		if (m->ops->on(m))
			m->ops->freed(m, &f);
		raw_spin_unlock(&m->lock);
	}
	raw_spin_unlock_irqrestore(&models_lock, flags);
	for (i = 0; i < compound_nr(virt_to_page(entries)); i++)
		omni_memory_drop(pa + i * PAGE_SIZE);
}

int omni_model_dma(struct omni_model *m, u16 rid, u64 iova, bool write, u64 *pa,
		   void (*meet)(void *arg, u64 pa), void *arg)
{
	unsigned long flags;
	u64 at = iova;
	int reason = 0;

	raw_spin_lock_irqsave(&m->lock, flags);
	m->snooped = false;
	if (m->ops->on(m))
		reason = m->ops->dma(m, rid, iova, write, &at);
	if (!reason && pa)
		*pa = at;
	if (!reason && meet)
		meet(arg, at);
	raw_spin_unlock_irqrestore(&m->lock, flags);
	return reason;
}

/* Life */

static void omni_model_remove(struct omni_model *m)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&models_lock, flags);
	list_del(&m->node);
	raw_spin_unlock_irqrestore(&models_lock, flags);
}

static void omni_model_caches_free(struct omni_model *m)
{
	kvfree(m->entries.item);
	kvfree(m->tlb.item);
	kvfree(m->tables.item);
	kvfree(m->device_tlb.item);
}

int omni_model_init(struct kunit *test, struct omni_model *m, const struct omni_model_ops *ops,
		    const char *name)
{
	unsigned long flags;

	m->test = test;
	m->ops = ops;
	m->name = name;
	raw_spin_lock_init(&m->lock);
	omni_seed(test, &m->rnd);
	if (omni_cache_init(&m->entries, 64) || omni_cache_init(&m->tlb, 512) ||
	    omni_cache_init(&m->tables, 128) || omni_cache_init(&m->device_tlb, 128)) {
		omni_model_caches_free(m);
		return -ENOMEM;
	}
	/* The memory begins anew with the first of several. */
	if (list_empty(&models))
		omni_memory_forget();
	raw_spin_lock_irqsave(&models_lock, flags);
	list_add_tail(&m->node, &models);
	raw_spin_unlock_irqrestore(&models_lock, flags);
	return 0;
}

void omni_model_fini(struct omni_model *m)
{
	omni_model_remove(m);
	omni_model_caches_free(m);
}

static void omni_model_end(void *arg)
{
	struct omni_model *m = arg;

	omni_model_delay(m, 0);
	m->unit->wing->unit_off(m->unit);
	omni_model_remove(m);
	if (m->thread)
		kthread_stop(m->thread);
	m->ops->end(m);
	omni_model_check(m->test, m);
	omni_model_caches_free(m);
	m->ops->free(m);
}

void omni_model_start(struct omni_model *m)
{
	struct kunit *test = m->test;

	m->thread = kthread_run(omni_model_thread, m, "omni-%s", m->unit->name);
	if (IS_ERR(m->thread))
		m->thread = NULL;
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, omni_model_end, m), 0);
	KUNIT_ASSERT_NOT_NULL(test, m->thread);
	KUNIT_ASSERT_EQ(test, m->unit->wing->unit_on(m->unit), 0);
}

void omni_model_destroy(struct omni_model *m)
{
	kunit_release_action(m->test, omni_model_end, m);
}

/* Devices and domains */

struct omni_device *omni_model_device(struct omni_model *m, u16 rid, u8 ats_depth)
{
	struct omni_device *od;

	KUNIT_ASSERT_EQ(m->test, m->ops->reserve(m, rid), 0);
	od = omni_test_device(m->test, m->unit, rid, ats_depth, omni_model_ats, m);
	if (m->ops->device)
		m->ops->device(od);
	return od;
}

static void omni_model_domain_end(void *arg)
{
	omni_domain_free(arg);
}

static struct omni_domain *omni_model_keep(struct kunit *test, struct omni_domain *domain)
{
	KUNIT_ASSERT_FALSE(test, IS_ERR(domain));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, omni_model_domain_end, domain), 0);
	return domain;
}

struct omni_domain *omni_model_domain(struct omni_model *m)
{
	return omni_model_keep(m->test, m->ops->domain(m));
}

struct omni_domain *omni_model_other_domain(struct kunit *test, struct omni_model *m)
{
	const struct omni_kit *kit = omni_kit(test);

	return omni_model_keep(test, kit->other ? kit->other(m) : m->ops->domain(m));
}

void omni_model_domain_free(struct kunit *test, struct omni_domain *domain)
{
	kunit_release_action(test, omni_model_domain_end, domain);
}
