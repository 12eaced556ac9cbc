// SPDX-License-Identifier: GPL-2.0
/*
 * iommufd-edu: an IOMMU tested through iommufd and VFIO cdevs, with QEMU's
 * edu device (1234:11e8) doing the DMA.
 *
 *   iommufd-edu CASE[,CASE...]|all [--dev BDF]... [--wide|--narrow] [--seed N] [--steps N]
 *   iommufd-edu --list
 *
 *   --replace-ms   how long a HWPT is replaced under DMA (20000)
 *   --every        destroy-orders: try every n-th order only (1)
 *
 * Other words, output and exit code are vfio-edu's; names begin with "iommufd/".
 *
 * Build: gcc -static -O2 -Wall -Wextra -o iommufd-edu iommufd-edu.c
 *
 * It needs a kernel with IOMMUFD and VFIO_DEVICE_CDEV, and the parameter
 * iommufd.allow_unsafe_interrupts=1 where no interrupt remapping is on.
 */
#define _GNU_SOURCE
#include "vfio-lib.h"
#include "iommufd-space.h"

/* Some of the common cases are type1's alone. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "vfio-map.h"
#include "vfio-load.h"
#include "iommufd-cases.h"
#include "iommufd-replace.h"
#include "iommufd-random.h"
#include "vfio-clean.h"
#include "iommufd-clean.h"

static const struct test tests[] = {
	/* as through type1 */
	{ "dma-both-ways", t_dma_both_ways, 1, 30 },
	{ "unmap-then-dma", t_unmap_then_dma, 1, 40 },
	{ "read-only", t_read_only, 1, 40 },
	{ "never-mapped", t_never_mapped, 1, 40 },
	{ "unaligned-iova", t_unaligned_iova, 1, 60 },
	{ "remap", t_remap, 1, 60 },
	{ "remap-leaf-size", t_remap_leaf_size, 1, 60 },
	{ "leaves-2m", t_leaves_2m, 1, 60 },
	{ "leaves-1g", t_leaves_1g, 1, 60 },
	{ "aperture-ends", t_aperture_ends, 1, 60 },
	{ "map-refused", t_map_refused, 1, 60 },
	{ "cycles", t_cycles, 1, 120 },
	{ "two-devices", t_two_devices, 2, 60 },
	{ "two-groups", t_two_groups, 2, 60 },
	{ "attach-detach-under-load", t_attach_detach_under_load, 2, 90 },
	{ "parallel-spaces", t_parallel_spaces, 2, 60 },
	{ "killed", t_killed, 1, 90 },
	/* iommufd's own */
	{ "map-anywhere", t_map_anywhere, 1, 60 },
	{ "partial-unmap", t_partial_unmap_iommufd, 1, 60 },
	{ "copy", t_copy, 1, 90 },
	{ "two-hwpts", t_two_hwpts, 2, 90 },
	{ "detach", t_detach, 1, 120 },
	{ "replace-refused", t_replace_refused, 1, 60 },
	{ "replace", t_replace, 1, 120 },
	{ "destroy-orders", t_destroy_orders, 1, 120 },
	{ "iommufd-closed", t_iommufd_closed, 1, 60 },
	{ "killed-replacing", t_killed_replacing, 1, 90 },
	{ "economy", t_economy_iommufd, 1, 60 },
	{ "clean-4k", t_clean_4k, 1, 60 },
	{ "clean-2m", t_clean_2m, 1, 60 },
	{ "clean-1g", t_clean_1g, 1, 60 },
	{ "clean-shared", t_clean_shared, 2, 60 },
	{ "clean-two-groups", t_clean_two_groups, 2, 60 },
	{ "clean-two-hwpts", t_clean_two_hwpts, 2, 60 },
	{ "clean-replace", t_clean_replace, 1, 60 },
	{ "clean-detach", t_clean_detach, 1, 60 },
	{ "clean-killed", t_clean_killed, 1, 60 },
	{ "clean-unplugged", t_clean_unplugged, 1, 90 },
	{ "clean-unplugged-open", t_clean_unplugged_open, 1, 90 },
	{ "random", t_random_iommufd, 1, 120 },
};

#define PREFIX "iommufd"
#include "vfio-run.h"
