/* SPDX-License-Identifier: GPL-2.0-only */
/* What the core's own files share and no wing needs. */
#ifndef OMNI_CORE_H
#define OMNI_CORE_H

#include "include/omniommu.h"

/**
 * struct omni_core - the module's state; selects no behaviour (C1)
 * @lock: protects the lists
 * @join_lock: held while a unit joins, and to set @stopping
 * @units: every unit that is on, by omni_unit.node
 * @devices: every device probed, by omni_device.node
 * @stopping: a stop is past the point of return: released devices keep
 *	identity, since no IOMMU follows
 */
struct omni_core {
	struct mutex lock;	/* see @lock above */
	struct mutex join_lock;	/* see @join_lock above */
	struct list_head units;
	struct list_head devices;
	bool stopping;
};

/**
 * struct omni_domains - the domains there are
 * @lock: protects @list and of omni_seen: listed, leaving, dir and viewers
 * @list: by omni_seen.node
 */
struct omni_domains {
	struct mutex lock;	/* see @lock above */
	struct list_head list;
};

extern struct omni_core omni_core;
extern struct omni_domains omni_domains;
extern struct iommu_domain omni_blocked;
extern const struct omni_wing vtd_wing;
extern const struct omni_wing amd_wing;
extern const struct omni_wing smmu_wing;
extern struct platform_device *omni_anchor;

/**
 * omni_reach_add() - a domain begins to reach a device
 * @domain: the domain, attach_lock held
 * @od: the device
 * @tag: receives the domain's tag on the device's unit
 *
 * Return: 0, -ENOMEM, or -ENOSPC without a free tag.
 * Context: may sleep.
 */
int omni_reach_add(struct omni_domain *domain, struct omni_device *od, u32 *tag);

/**
 * omni_reach_remove() - a domain no longer reaches a device
 * @domain: the domain, attach_lock held
 * @od: the device, its entries changed and its caches flushed
 * @err: 0, or that flush's error: the tag is then never used again
 *
 * Context: may sleep.
 */
void omni_reach_remove(struct omni_domain *domain, struct omni_device *od, int err);

/**
 * omni_domains_shown() - somebody asks for domains: give them directories and
 *	their own parts of the ledger
 *
 * Context: may sleep.
 */
void omni_domains_shown(void);

/**
 * omni_life_init() - prepare orderly shutdown, suspend and stop
 *
 * Return: 0 or -errno.
 * Context: may sleep.
 */
int omni_life_init(void);

/**
 * omni_life_exit() - undo omni_life_init()
 *
 * Context: may sleep.
 */
void omni_life_exit(void);

/**
 * omni_stop() - detach everything and unregister (L2)
 *
 * Return: 0, or -EBUSY with the device named while one is in use.
 * Context: may sleep.
 */
int omni_stop(void);

/**
 * omni_unregister() - take every unit away from the kernel
 *
 * Devices are left on identity. Works on partly registered units.
 *
 * Context: may sleep.
 */
void omni_unregister(void);

/**
 * omni_units_destroy() - switch off and free every unit
 *
 * Context: may sleep; no unit is registered.
 */
void omni_units_destroy(void);

#endif
