// SPDX-License-Identifier: GPL-2.0-only
/*
 * A model looks whether it could still reach a table that the driver frees: by
 * an entry of a device, in memory or cached, or by what it has cached of
 * tables. What an entry says is the vendor's.
 */
#include "model_freed.h"

void omni_freed_cached(const struct omni_freed *f, u64 (*root)(const struct omni_cached *c))
{
	struct omni_cached *c;

	for_each_cached(c, &f->m->tables)
		if (!c->absent && c->pa == f->pa)
			omni_violation(f->m,
				       "a freed table, %llx, is still cached for %#llx of domain %u",
				       f->pa, c->iova, c->tag);
	for_each_cached(c, &f->m->entries)
		if (!c->absent && root(c) == f->pa)
			omni_violation(f->m,
				       "a freed table, %llx, is the root of the cached entry of %04x",
				       f->pa, c->rid);
}

bool omni_freed_reaches(struct omni_freed *f, u64 table, unsigned int level,
			omni_freed_below_fn below)
{
	unsigned int i, lower;

	if (table == f->pa)
		return true;
	for (i = 0; level && i < f->entries && f->budget; i++) {
		u64 entry = omni_memory_read(table + i * 8, f->coherent), next;

		f->budget--;
		if (entry == OMNI_MEMORY_GARBAGE)
			continue;
		lower = level;
		next = below(entry, &lower);
		if (!next)
			continue;
		/* Of the lowest tables only the address counts. */
		if (next == f->pa || (lower && omni_freed_reaches(f, next, lower, below)))
			return true;
	}
	return false;
}

bool omni_freed_new(struct omni_freed *f, u64 root)
{
	unsigned int i;

	for (i = 0; i < f->nr; i++)
		if (f->seen[i] == root)
			return false;
	if (f->nr < ARRAY_SIZE(f->seen))
		f->seen[f->nr++] = root;
	return true;
}

void omni_freed_report(const struct omni_freed *f, u32 rid)
{
	omni_violation(f->m, "a freed table, %llx, is reached from the entry of %04x", f->pa, rid);
}
