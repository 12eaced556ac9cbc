/* SPDX-License-Identifier: GPL-2.0-only */
/* How the kernel itself maps its memory, to be changed for a moment. */
#ifndef OMNI_KUNIT_MAPPING_H
#define OMNI_KUNIT_MAPPING_H

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/set_memory.h>
#include <asm/tlbflush.h>

/* Make pages of the direct map uncached, or cached again. Not all machines can. */
static inline int mapping_cached(unsigned long addr, int nr, bool cached)
{
#ifdef CONFIG_X86
	return cached ? set_memory_wb(addr, nr) : set_memory_uc(addr, nr);
#else
	return -EOPNOTSUPP;
#endif
}

/* The entry of the direct map for one page, or NULL where a larger leaf maps it. */
static inline pte_t *mapping_entry(unsigned long addr)
{
#ifdef CONFIG_X86
	unsigned int level;
	pte_t *pte;

	/* This makes it an entry of its own. */
	if (mapping_cached(addr, 1, false) || mapping_cached(addr, 1, true))
		return NULL;
	pte = lookup_address(addr, &level);
	return level == PG_LEVEL_4K ? pte : NULL;
#else
	/* The kernel has them with rodata=full. */
	pgd_t *pgd = phys_to_virt(read_sysreg(ttbr1_el1) & GENMASK_ULL(47, PAGE_SHIFT));
	p4d_t *p4d = p4d_offset(pgd_offset_pgd(pgd, addr), addr);
	pud_t *pud = pud_offset(p4d, addr);
	pmd_t *pmd = pud_present(*pud) && !pud_leaf(*pud) ? pmd_offset(pud, addr) : NULL;

	return pmd && pmd_present(*pmd) && !pmd_leaf(*pmd) ? pte_offset_kernel(pmd, addr) : NULL;
#endif
}

/* Take the page away from the kernel; what set_pte() gives it back is returned. */
static inline pte_t mapping_hide(pte_t *pte, unsigned long addr)
{
	pte_t was = *pte;

#ifdef CONFIG_X86
	/* Nobody uses it, and who asks looks at the tables. */
	set_pte(pte, __pte(pte_val(was) & ~(_PAGE_PRESENT | _PAGE_PROTNONE)));
#else
	/* Who asks, reads. */
	set_pte(pte, __pte(0));
	flush_tlb_kernel_range(addr, addr + PAGE_SIZE);
#endif
	return was;
}

#endif
