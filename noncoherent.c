// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which domains are tracked, and since when: their state and its changes.
 *
 * A user's domain is non-coherent while coherency is not enforced for it and
 * a device that can issue no-snoop is attached to it. Its pages are counted
 * (nc_pages.c) exactly as long as that is so and they are mapped.
 *
 * Invariants
 *
 * 1. omni_pt.tracked is set from before the first leaf is counted until the
 *    domain is freed, or coherency is enforced while it maps nothing. It says
 *    who may change the table: while it is clear, maps and unmaps do so in the
 *    RCU read-side critical section in which they looked at it; while it is
 *    set, they hold omni_nc.lock for reading. Whoever holds the lock for
 *    writing, after setting it and a grace period, is alone.
 * 2. The domain is non-coherent exactly if omni_pt.leaf_bits has the format's
 *    mark. That changes only with the lock held for writing, together with
 *    the marks of all leaves. So under the lock, every leaf is marked or none
 *    is, and a leaf is marked exactly if its pages are counted.
 * 3. An unmap turns a marked leaf into a pending entry: not present, keeping
 *    its address and the tag of the unmap's gather. The one who replaces it
 *    by 0 counts its pages out: the sync of that gather, a map that wants its
 *    place, or the end of the domain; with the lock held for writing, since
 *    he visits tables that others may unlink, and after an invalidation that
 *    began when the entry was pending. A table with pending entries is never
 *    unlinked.
 * 4. An unmap that covers a whole table unlinks it with its marked leaves.
 *    The gather has it then, nobody else reaches it, and its sync counts them
 *    out before the table is freed, or leaked.
 * 5. A sync goes by its gather's tag, not by the domain's state, which may
 *    have changed since: what was pending or unlinked stays so.
 * 6. No two gathers have the same tag while an entry does. When the tags are
 *    used up, whoever wants one settles all that is pending, as a map does
 *    with what is in its way, and a new round begins. A gather of an earlier
 *    round has nothing pending then; if it goes on, it gets another tag.
 *
 * So N1: a marked leaf is stored after omni_nc_in() has returned, by a map,
 * or marked before the device is attached. N2: the caller of an unmap gets
 * control when the sync has returned, and no count goes down before the
 * invalidation. N3 is the count's. N5: nothing is allocated, and there is one
 * invalidation.
 *
 * Maps and unmaps of a tracked domain may sleep. All users of such domains
 * that could be non-coherent can: VFIO, iommufd, vhost. The DMA API has none.
 */
#include "include/omniommu.h"

#include <linux/bitfield.h>
#include <linux/dma-map-ops.h>
#include <linux/rcupdate.h>

void omni_nc_init(struct omni_nc *nc)
{
	init_rwsem(&nc->lock);
	atomic_set(&nc->tag, 0);
	nc->round = 0;
}

/* Be alone with a page table: after this, nobody else changes it. */
static void omni_nc_freeze(struct omni_domain *domain)
{
	if (!domain->pt.tracked) {
		WRITE_ONCE(domain->pt.tracked, true);
		WRITE_ONCE(domain->pt.end, 0);
		/* Waits for everybody who found it clear. */
		synchronize_rcu_expedited();
	}
	down_write(&domain->nc.lock);
}

static void omni_nc_thaw(struct omni_domain *domain, bool tracked)
{
	WRITE_ONCE(domain->pt.tracked, tracked);
	WRITE_ONCE(domain->pt.end, tracked ? 0 : domain->pt.last + 1);
	up_write(&domain->nc.lock);
}

static bool omni_can_no_snoop(struct omni_device *od)
{
	/* Some machines have devices whose accesses never snoop. */
	if (od->snoop == OMNI_SNOOP_UNKNOWN)
		od->snoop = !dev_is_pci(od->dev) || !dev_is_dma_coherent(od->dev) ||
			    omni_pci_no_snoop(to_pci_dev(od->dev)) ?
			    OMNI_SNOOP_MAYBE : OMNI_SNOOP_ALWAYS;
	return od->snoop == OMNI_SNOOP_MAYBE;
}

int omni_nc_enter(struct omni_domain *domain, struct omni_device *od, bool *counted)
{
	struct omni_nc *nc = &domain->nc;
	bool bulk;
	int ret = 0;

	lockdep_assert_held(&domain->attach_lock);
	*counted = false;
	if (!nc->ops || domain->iommu.type != IOMMU_DOMAIN_UNMANAGED || !omni_can_no_snoop(od))
		return 0;

	if (!nc->devices && !nc->enforced) {
		omni_nc_freeze(domain);
		bulk = omni_nc_bulk_begin(nc->ops->mapped(domain));
		domain->pt.leaf_bits |= nc->ops->tracked;
		ret = nc->ops->track(domain);
		if (ret) {
			nc->ops->untrack(domain, false);
			domain->pt.leaf_bits &= ~nc->ops->tracked;
		}
		omni_nc_bulk_end(bulk);
		omni_nc_thaw(domain, true);
	}
	if (ret)
		return ret;
	/*
	 * What was unmapped and not synced yet is not counted, and may still be
	 * cached under the domain's tag for devices that snoop.
	 */
	if (!nc->devices && !nc->enforced && omni_attached(domain))
		domain->iommu.ops->flush_iotlb_all(&domain->iommu);
	nc->devices++;
	*counted = true;
	return 0;
}

void omni_nc_leave(struct omni_domain *domain)
{
	struct omni_nc *nc = &domain->nc;
	bool bulk;

	lockdep_assert_held(&domain->attach_lock);
	if (--nc->devices || nc->enforced)
		return;
	omni_nc_freeze(domain);
	bulk = omni_nc_bulk_begin(nc->ops->mapped(domain));
	nc->ops->untrack(domain, false);
	domain->pt.leaf_bits &= ~nc->ops->tracked;
	omni_nc_bulk_end(bulk);
	omni_nc_thaw(domain, true);
}

bool omni_nc_enforce(struct omni_domain *domain, u64 bits)
{
	struct omni_nc *nc = &domain->nc;
	bool tracked = domain->pt.tracked;

	lockdep_assert_held(&domain->attach_lock);
	if (nc->enforced)
		return true;
	omni_nc_freeze(domain);
	/* Tables of queued unmaps are counted still. */
	if (!nc->ops->mapped(domain) && list_empty(&domain->lazy)) {
		domain->pt.leaf_bits &= ~nc->ops->tracked;
		domain->pt.leaf_bits |= bits;
		nc->enforced = true;
		tracked = false;
	}
	omni_nc_thaw(domain, tracked);
	return nc->enforced;
}

void omni_nc_fini(struct omni_domain *domain)
{
	if (!domain->pt.tracked)
		return;
	down_write(&domain->nc.lock);
	domain->nc.ops->untrack(domain, true);
	/* Their flush never came; they are freed, or leaked, with the domain. */
	domain->nc.ops->unlinked(&domain->lazy);
	up_write(&domain->nc.lock);
}

u32 omni_nc_tag_of(const struct omni_nc *nc, const struct iommu_iotlb_gather *gather)
{
	lockdep_assert_held(&nc->lock);
	return FIELD_GET(OMNI_NC_ROUND, gather->pgsize) == nc->round ?
	       FIELD_GET(OMNI_NC_TAG, gather->pgsize) : 0;
}

u32 omni_nc_tag(struct omni_nc *nc, struct iommu_iotlb_gather *gather)
{
	u32 tag = omni_nc_tag_of(nc, gather);

	if (tag)
		return tag;
	tag = atomic_inc_return(&nc->tag);
	if (tag > OMNI_NC_TAG)
		return 0;
	gather->pgsize &= OMNI_NC_LAZY | OMNI_GATHER_LEVELS;
	gather->pgsize |= FIELD_PREP(OMNI_NC_ROUND, nc->round) | tag;
	return tag;
}

void omni_nc_new_round(struct omni_nc *nc)
{
	lockdep_assert_held_write(&nc->lock);
	/* Others may have wanted it, too. */
	if (atomic_read(&nc->tag) <= OMNI_NC_TAG)
		return;
	atomic_set(&nc->tag, 0);
	nc->round++;
}
