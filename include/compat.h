/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between kernels lives here and nowhere else. Every source
 * file includes this header first, since it also sets the message prefix.
 */
#ifndef OMNI_COMPAT_H
#define OMNI_COMPAT_H

#ifndef pr_fmt
#define pr_fmt(fmt) "omniommu: " fmt
#endif

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "omniommu needs a 6.12 kernel: this one is older"
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "omniommu knows the IOMMU interface of 6.12 only: this kernel is newer"
#endif

#include <linux/pci.h>
#ifdef CONFIG_X86
#include <asm/pci.h>
#include <asm/cacheflush.h>
#else
#include <linux/iommu.h>
#include <linux/libnvdimm.h>

/* Exported by the kernel, declared in no header of 6.12 that a module sees. */
void iommu_dma_get_resv_regions(struct device *dev, struct list_head *list);
#endif

/*
 * Write back the lines of a table that the unit reads without snooping (N7).
 * The KUnit module has a memory of its own, which sees what is written back.
 */
#ifdef OMNI_KUNIT
void omni_clean_lines(void *addr, size_t len);
#else
static inline void omni_clean_lines(void *addr, size_t len)
{
#ifdef CONFIG_X86
	clflush_cache_range(addr, len);
#else
	arch_wb_cache_pmem(addr, len);
#endif
}
#endif

/*
 * pci_real_dma_dev() is not exported. Devices behind a VMD controller issue
 * their DMA with the controller's requester ID.
 */
static inline struct pci_dev *omni_real_dma_dev(struct pci_dev *pdev)
{
#if defined(CONFIG_X86) && IS_ENABLED(CONFIG_VMD)
	if (is_vmd(pdev->bus))
		return to_pci_sysdata(pdev->bus)->vmd_dev;
#endif
	return pdev;
}

#endif
