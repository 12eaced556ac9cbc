// SPDX-License-Identifier: GPL-2.0-only
/*
 * The AMD-Vi model looks whether it could still reach a table that the driver
 * frees: by an entry of the device table, in memory or cached, or by what it
 * has cached of tables.
 */
#include "model_amd_bits.h"
#include "model_freed.h"

/* The lowest tables are at level 1 in the manual, and at 0 here. */
static u64 amd_freed_below(u64 entry, unsigned int *level)
{
	unsigned int next = PTE_NEXT(entry);

	if (!(entry & PTE_PR) || !next || next > *level)
		return 0;
	*level = next - 1;
	return PTE_ADDR(entry);
}

static u64 amd_freed_below_guest(u64 entry, unsigned int *level)
{
	--*level;
	return entry & GPTE_P && !(entry & GPTE_PS) ? PTE_ADDR(entry) : 0;
}

/* Does an entry that is valid lead to the table? */
static bool amd_freed_leads(struct omni_freed *f, const u64 *dte)
{
	u64 gcr3 = amd_dte_gcr3(dte), entry;

	if (!(dte[0] & DTE0_GV))
		return omni_freed_reaches(f, DTE0_ROOT(dte[0]), DTE0_MODE(dte[0]) - 1,
					  amd_freed_below);
	entry = omni_memory_read(gcr3, f->coherent);
	return gcr3 == f->pa ||
	       (entry & GPTE_P && entry != OMNI_MEMORY_GARBAGE &&
		omni_freed_reaches(f, PTE_ADDR(entry), amd_dte_levels(dte) - 1,
				   amd_freed_below_guest));
}

static u64 amd_freed_root(const struct omni_cached *c)
{
	return c->raw[0] & DTE0_TV && amd_dte_translates(c->raw) ? amd_dte_tables(c->raw) : 0;
}

void amd_model_freed(struct omni_model *base, struct omni_freed *f)
{
	struct amd_model *m = to_amd_model(base);
	unsigned int devid;
	const char *why;
	u64 dte[4];

	f->coherent = amd_model_coherent(m);
	omni_freed_cached(f, amd_freed_root);
	for_each_set_bit(devid, m->known, 65536) {
		amd_model_dte_read(m->devtab & GENMASK_ULL(51, 12), devid, f->coherent, dte);
		if (dte[0] == OMNI_MEMORY_GARBAGE || amd_model_dte_fault(m, dte, &why) ||
		    !amd_dte_translates(dte))
			continue;
		if (omni_freed_new(f, amd_dte_tables(dte)) && amd_freed_leads(f, dte))
			omni_freed_report(f, devid);
	}
}
