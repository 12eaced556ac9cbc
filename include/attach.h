/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a device's entries are changed, the same for every wing: batch by batch,
 * each with the invalidations that follow it, and back again where one fails.
 */
#ifndef OMNI_ATTACH_H
#define OMNI_ATTACH_H

#include <linux/types.h>

struct omni_device;
struct omni_domain;

/* Entries of a device that one batch of commands can follow. */
#define OMNI_ATTACH_BATCH	8

/**
 * struct omni_change - one entry that an attach changes
 * @rid: whose
 * @was: what it was, as far as transitions change it, in the wing's own order
 */
struct omni_change {
	u32 rid;
	u64 was[3];
};

/**
 * omni_attach() - make a device's entries point to a domain
 * @od: the device
 * @domain: the domain, NULL to block, &omni_identity to let through
 * @tag: the domain's tag on the device's unit
 *
 * Return: 0, or a failed invalidation's error: towards a paging domain the old
 * entries are back then.
 * Context: may sleep, the kernel's group mutex is held.
 */
int omni_attach(struct omni_device *od, struct omni_domain *domain, u32 tag);

/**
 * omni_write_entries() - change all entries of a device by omni_wing.write
 * @od: the device
 * @to: what its entries shall be, handed to omni_wing.write
 * @revert: an error ends it, and what was changed is put back; a detach goes on
 *
 * Return: 0 or the first error.
 * Context: may sleep; the caller serialises changes of the unit's entries.
 */
int omni_write_entries(struct omni_device *od, const void *to, bool revert);

#endif
