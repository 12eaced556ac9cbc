// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which domains there are, each with its number and its part of the ledger,
 * and who looks at them: see include/show.h for how a page table is read
 * while it is changed.
 *
 * A domain is listed from when it is complete until it is about to be freed.
 * Whoever finds it in the list counts himself in before he leaves the list's
 * lock; the end of the domain takes it off the list and waits for them.
 *
 * Its directory and its counters cost more than all the rest of an attach, and
 * most domains are never looked at. So they are made when somebody asks which
 * domains there are: who knows a domain's number has asked.
 */
#include "core.h"

#include <linux/debugfs.h>
#include <linux/idr.h>
#include <linux/wait.h>

struct omni_domains omni_domains = {
	.lock = __MUTEX_INITIALIZER(omni_domains.lock),
	.list = LIST_HEAD_INIT(omni_domains.list),
};

static DEFINE_IDA(omni_domain_ids);
static DECLARE_WAIT_QUEUE_HEAD(omni_viewers);

void omni_seen_init(struct omni_domain *domain)
{
	struct omni_seen *seen = &domain->seen;

	INIT_LIST_HEAD(&seen->node);
	INIT_LIST_HEAD(&seen->kept);
	mutex_init(&seen->lock);
	domain->ends = &omni_ends;
}

void omni_domain_list(struct omni_domain *domain)
{
	int id = ida_alloc_min(&omni_domain_ids, 1, GFP_KERNEL);

	/* Without a number it works as well, unseen. */
	if (id < 0)
		return;
	domain->seen.id = id;
	mutex_lock(&omni_domains.lock);
	domain->seen.listed = true;
	list_add_tail(&domain->seen.node, &omni_domains.list);
	mutex_unlock(&omni_domains.lock);
}

/* Under the lock: a domain that is looked at from now on. */
static void omni_domain_shown(struct omni_domain *domain)
{
	struct omni_ends __percpu *ends;

	if (domain->ends == &omni_ends) {
		ends = alloc_percpu(struct omni_ends);
		/* Without its own it goes on counting into what is common to all. */
		if (ends)
			WRITE_ONCE(domain->ends, ends);
	}
	if (!domain->seen.dir)
		domain->seen.dir = omni_debugfs_domain(domain);
}

void omni_domains_shown(void)
{
	struct omni_domain *domain;

	mutex_lock(&omni_domains.lock);
	list_for_each_entry(domain, &omni_domains.list, seen.node)
		if (!domain->seen.leaving)
			omni_domain_shown(domain);
	mutex_unlock(&omni_domains.lock);
}

void omni_domain_hide(struct omni_domain *domain)
{
	struct omni_seen *seen = &domain->seen;
	struct omni_ends __percpu *ends;
	struct dentry *dir;

	if (!seen->listed)
		return;
	mutex_lock(&omni_domains.lock);
	seen->leaving = true;
	ends = domain->ends;
	dir = seen->dir;
	mutex_unlock(&omni_domains.lock);
	/* Waits for who is inside one of its files. */
	debugfs_remove(dir);

	mutex_lock(&omni_domains.lock);
	list_del(&seen->node);
	seen->listed = false;
	if (ends != &omni_ends) {
		domain->ends = &omni_ends;
		omni_ends_add(ends);
	}
	mutex_unlock(&omni_domains.lock);
	wait_event(omni_viewers, !READ_ONCE(seen->viewers));
	/* Whoever was the last has let go of the domain with the lock. */
	mutex_lock(&omni_domains.lock);
	mutex_unlock(&omni_domains.lock);
	if (ends != &omni_ends)
		free_percpu(ends);
	ida_free(&omni_domain_ids, seen->id);
}

struct omni_domain *omni_domain_view(struct omni_device *od)
{
	struct omni_domain *domain;

	mutex_lock(&omni_domains.lock);
	/* A domain that has a device still is listed, if it ever was. */
	spin_lock_irq(&od->lock);
	domain = od->domain;
	spin_unlock_irq(&od->lock);
	if (domain && domain->seen.listed)
		WRITE_ONCE(domain->seen.viewers, domain->seen.viewers + 1);
	else
		domain = NULL;
	mutex_unlock(&omni_domains.lock);
	return domain;
}

void omni_domain_unview(struct omni_domain *domain)
{
	mutex_lock(&omni_domains.lock);
	WRITE_ONCE(domain->seen.viewers, domain->seen.viewers - 1);
	if (!domain->seen.viewers)
		wake_up_all(&omni_viewers);
	mutex_unlock(&omni_domains.lock);
}

void omni_watch(struct omni_domain *domain)
{
	struct omni_seen *seen = &domain->seen;
	unsigned long flags;

	mutex_lock(&seen->lock);
	spin_lock_irqsave(&domain->free_lock, flags);
	WRITE_ONCE(seen->watched, true);
	spin_unlock_irqrestore(&domain->free_lock, flags);
	/* Pairs with the barrier in omni_watched(). */
	smp_mb();
}

void omni_unwatch(struct omni_domain *domain)
{
	struct omni_seen *seen = &domain->seen;
	unsigned long flags;
	LIST_HEAD(kept);

	spin_lock_irqsave(&domain->free_lock, flags);
	WRITE_ONCE(seen->watched, false);
	list_splice_init(&seen->kept, &kept);
	spin_unlock_irqrestore(&domain->free_lock, flags);
	omni_tables_free(&kept);
	mutex_unlock(&seen->lock);
}

void omni_tables_keep(struct omni_domain *domain, struct list_head *tables)
{
	unsigned long flags;

	spin_lock_irqsave(&domain->free_lock, flags);
	if (domain->seen.watched)
		list_splice_tail_init(tables, &domain->seen.kept);
	spin_unlock_irqrestore(&domain->free_lock, flags);
}
