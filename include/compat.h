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

#include <linux/irqdomain.h>
#include <linux/pci.h>
#ifdef CONFIG_X86
#include <asm/pci.h>
#include <asm/cacheflush.h>
#include <asm/hw_irq.h>
#include <asm/irqdomain.h>
#include <asm/pgtable.h>
#include <asm/processor.h>
#include <asm/smp.h>
#else
#include <linux/iommu.h>
#include <linux/uaccess.h>
#include <asm/barrier.h>
#include <asm/sysreg.h>

/* Exported by the kernel, declared in no header of 6.12 that a module sees. */
void iommu_dma_get_resv_regions(struct device *dev, struct list_head *list);

/* Write back the lines of a range as far as devices look, and @drop them or keep them. */
static __always_inline void omni_each_line(void *addr, size_t len, bool drop)
{
	/* Arm ARM D24.2.36: DminLine is the log2 of the words in a line. */
	unsigned long line = 4UL << (read_sysreg(ctr_el0) >> 16 & 15);
	unsigned long at = (unsigned long)addr & ~(line - 1);

	for (; at < (unsigned long)addr + len; at += line) {
		if (drop)
			asm volatile("dc civac, %0" : : "r" (at) : "memory");
		else
			asm volatile("dc cvac, %0" : : "r" (at) : "memory");
	}
	dsb(sy);
}
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
	if (__builtin_constant_p(len) && len == sizeof(u64)) {
		/* One line, which it can't be reordered with stores to. */
		clflushopt(addr);
		mb();	/* written back before whatever follows */
		return;
	}
	clflush_cache_range(addr, len);
#else
	omni_each_line(addr, len, false);
#endif
}
#endif

/* The page of an address in the direct map, which nothing else can be. */
static inline struct page *omni_direct_page(const void *addr)
{
#ifdef CONFIG_X86
	return pfn_to_page(PHYS_PFN((unsigned long)addr - PAGE_OFFSET));
#else
	return virt_to_page(addr);
#endif
}

/*
 * Write back and invalidate the lines of memory that a device reaches without
 * snooping. Not invalidated alone, ever: others may write to it meanwhile.
 */
static inline void omni_clean_data(void *addr, size_t len)
{
#ifdef CONFIG_X86
	clflush_cache_range(addr, len);
#else
	dsb(ish);
	omni_each_line(addr, len, true);
#endif
}

/* Is there a way to clean all caches at once? Those of the suites have it on every machine. */
#define OMNI_CLEANS_ALL		(IS_ENABLED(CONFIG_X86) || IS_ENABLED(OMNI_KUNIT))

/* The same for everything that any CPU's cache holds. */
static inline void omni_clean_all(void)
{
#ifdef CONFIG_X86
	wbinvd_on_all_cpus();
#endif
}

/**
 * struct omni_direct_map - how the kernel itself maps some of the memory
 * @end: first page number that nothing below is said of
 * @present: it does
 * @cached: by an ordinary, cached mapping
 */
struct omni_direct_map {
	unsigned long end;
	bool present;
	bool cached;
};

/* Look up the mapping that holds a page, of 4K or larger. */
static inline void omni_direct_map_at(struct omni_direct_map *map, unsigned long pfn)
{
#ifdef CONFIG_X86
	unsigned int level;
	pte_t *pte = lookup_address((unsigned long)pfn_to_kaddr(pfn), &level);
	unsigned long pages = 1;
	pteval_t value;

	map->present = pte && pte_present(*pte);
	map->cached = false;
	if (map->present) {
		value = pte_val(*pte);
		pages = page_level_size(level) >> PAGE_SHIFT;
		/* All zero is write-back, in every layout the kernel gives the PAT. */
		map->cached = !(value & (_PAGE_PWT | _PAGE_PCD)) &&
			      !(value & (level > PG_LEVEL_4K ? _PAGE_PAT_LARGE : _PAGE_PAT));
	}
	map->end = (pfn & ~(pages - 1)) + pages;
#else
	u8 byte;

	map->present = !get_kernel_nofault(byte, (u8 *)pfn_to_kaddr(pfn));
	map->cached = map->present;
	map->end = pfn + 1;
#endif
}

/*
 * Interrupts that a unit sends by itself: a domain of one below that of the
 * processors' vectors. No other machine has units that do.
 */
static inline struct irq_domain *omni_vector_domain(struct fwnode_handle *fwnode,
						    const struct irq_domain_ops *ops, void *data)
{
#ifdef CONFIG_X86
	return irq_domain_create_hierarchy(x86_vector_domain, 0, 1, fwnode, ops, data);
#else
	return NULL;
#endif
}

static inline int omni_vector_alloc(struct irq_domain *domain, int node, u32 index)
{
#ifdef CONFIG_X86
	struct irq_alloc_info info = { .type = X86_IRQ_ALLOC_TYPE_DMAR, .devid = index };

	return irq_domain_alloc_irqs(domain, 1, node, &info);
#else
	return -ENODEV;
#endif
}

/* The family of an AMD processor, and its model; 0 on any other. */
static inline unsigned int omni_amd_family(unsigned int *model)
{
#ifdef CONFIG_X86
	*model = boot_cpu_data.x86_model;
	return boot_cpu_data.x86_vendor == X86_VENDOR_AMD ? boot_cpu_data.x86 : 0;
#else
	*model = 0;
	return 0;
#endif
}

/* Say that a device's accesses snoop the CPU's caches, or not: on x86 all do. */
static inline bool omni_set_coherent(struct device *dev, bool coherent)
{
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
	dev->dma_coherent = coherent;
	return true;
#else
	return coherent;
#endif
}

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
