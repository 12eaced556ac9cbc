// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changing the entries of a device: all its requester IDs, in batches that the
 * commands of one submission can follow. The wing writes and flushes a batch;
 * which entries, in which order, and what becomes of them when a flush fails,
 * is the same for all wings.
 *
 * An attach that fails leaves the device as it was. A detach can't fail: it
 * goes on over all entries, whatever becomes of the flushes, and needs no
 * memory that may be missing.
 */
#include "include/attach.h"
#include "include/omniommu.h"

#include <linux/slab.h>

/* The IDs whose entries are the device's to change. */
static unsigned int omni_own_rids(struct omni_device *od, struct omni_change *changes)
{
	unsigned int i, n = 0;

	for (i = 0; i < od->nr_rids; i++)
		/* A device that leaves takes no entry away from others. */
		if (!od->leaving || !omni_rid_shared(od, od->rids[i]))
			changes[n++].rid = od->rids[i];
	return n;
}

/* Put entries back as they were; the unit may have cached the new ones. */
static void omni_revert(struct omni_device *od, struct omni_change *changes, unsigned int nr)
{
	unsigned int i, n, batch;

	for (i = 0; i < nr; i += batch) {
		batch = min(nr - i, OMNI_ATTACH_BATCH);
		n = batch;
		od->unit->wing->write(od, NULL, &changes[i], &n);
	}
}

int omni_write_entries(struct omni_device *od, const void *to, bool revert)
{
	struct omni_change few[OMNI_ATTACH_BATCH], *changes = few;
	unsigned int i, n, nr, batch, changed = 0;
	int ret, err = 0;

	if (od->nr_rids > ARRAY_SIZE(few))
		changes = kmalloc_array(od->nr_rids, sizeof(*changes),
					GFP_KERNEL | __GFP_NOFAIL);

	nr = omni_own_rids(od, changes);
	for (i = 0; i < nr && !(err && revert); i += batch) {
		batch = min(nr - i, OMNI_ATTACH_BATCH);
		n = batch;
		/* Those that were the same already leave no gap. */
		memmove(&changes[changed], &changes[i], batch * sizeof(*changes));
		ret = od->unit->wing->write(od, to, &changes[changed], &n);
		err = err ?: ret;
		changed += n;
	}
	if (err && revert)
		omni_revert(od, changes, changed);

	if (changes != few)
		kfree(changes);
	return err;
}

int omni_attach(struct omni_device *od, struct omni_domain *domain, u32 tag)
{
	bool ats = domain && domain != &omni_identity && od->ats_depth;
	int ret;

	/* Translation requests are refused by every other kind of entry. */
	if (!ats)
		omni_ats_off(od);
	/* As omni_ats_on() does: flushes that do not know of the device TLB. */
	else if (od->ats)
		synchronize_rcu_expedited();
	ret = od->unit->wing->attach(od, domain, tag);
	if (ats && !ret)
		omni_ats_on(od);
	return ret;
}
