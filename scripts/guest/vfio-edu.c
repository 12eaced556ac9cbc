// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-edu: an IOMMU tested through VFIO type1 v2, with QEMU's edu device
 * (1234:11e8) doing the DMA.
 *
 *   vfio-edu CASE[,CASE...]|all [--dev BDF]... [--wide|--narrow] [--seed N] [--steps N]
 *   vfio-edu --list
 *
 *   CASE       a name from --list, with or without "vfio/"
 *   --dev      use this device; default: every edu in the machine
 *   --wide     insist that the devices reach past 28 bits (-device
 *              edu,dma_mask=0xffffffffffffffff); default: find out by trying
 *   --narrow   stay below 256 MiB whatever the devices can
 *   --seed     of the random case (default: from the clock; it is printed)
 *   --steps    of the random case
 *
 * Build: gcc -static -O2 -Wall -Wextra -o vfio-edu vfio-edu.c
 *
 * It needs root, /dev, /proc, /sys, the modules vfio-pci and vfio_iommu_type1
 * with allow_unsafe_interrupts=1 where no interrupt remapping is on, and
 * works on any IOMMU driver. Devices are bound to vfio-pci and stay bound.
 * With debugfs at /sys/kernel/debug omniommu's ledger is used where present.
 *
 * One line a case, "@@PASS vfio/NAME", "@@FAIL vfio/NAME: why" or "@@SKIP
 * vfio/NAME: why"; remarks are "@@NOTE ..." lines. The exit code is the
 * number of failures, 125 for wrong usage.
 */
#define _GNU_SOURCE
#include "vfio-lib.h"
#include "vfio-type1.h"

#include "vfio-map.h"
#include "vfio-load.h"
#include "vfio-clean.h"

static const struct test tests[] = {
	{ "dma-both-ways", t_dma_both_ways, 1, 30 },
	{ "unmap-then-dma", t_unmap_then_dma, 1, 40 },
	{ "read-only", t_read_only, 1, 40 },
	{ "write-only", t_write_only, 1, 40 },
	{ "never-mapped", t_never_mapped, 1, 40 },
	{ "unaligned-iova", t_unaligned_iova, 1, 60 },
	{ "partial-unmap", t_partial_unmap, 1, 60 },
	{ "remap", t_remap, 1, 60 },
	{ "remap-leaf-size", t_remap_leaf_size, 1, 60 },
	{ "leaves-2m", t_leaves_2m, 1, 60 },
	{ "leaves-1g", t_leaves_1g, 1, 60 },
	{ "aperture-ends", t_aperture_ends, 1, 60 },
	{ "map-refused", t_map_refused, 1, 60 },
	{ "peer-bar", t_peer_bar, 2, 30 },
	{ "cycles", t_cycles, 1, 120 },
	{ "economy", t_economy, 1, 120 },
	{ "two-devices", t_two_devices, 2, 60 },
	{ "two-groups", t_two_groups, 2, 60 },
	{ "attach-detach-under-load", t_attach_detach_under_load, 2, 90 },
	{ "parallel-spaces", t_parallel_spaces, 2, 60 },
	{ "killed", t_killed, 1, 90 },
	{ "clean-4k", t_clean_4k, 1, 60 },
	{ "clean-2m", t_clean_2m, 1, 60 },
	{ "clean-1g", t_clean_1g, 1, 60 },
	{ "clean-mixed", t_clean_mixed, 1, 60 },
	{ "clean-mmio", t_clean_mmio, 2, 60 },
	{ "clean-shared", t_clean_shared, 2, 60 },
	{ "clean-two-groups", t_clean_two_groups, 2, 60 },
	{ "clean-killed", t_clean_killed, 1, 60 },
	{ "random", t_random, 1, 120 },
	{ "clean-removed", t_clean_removed, 1, 60 },
	{ "clean-unplugged", t_clean_unplugged, 1, 90 },
	{ "clean-unplugged-open", t_clean_unplugged_open, 1, 90 },
};

#define PREFIX "vfio"
#include "vfio-run.h"
