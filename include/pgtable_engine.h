/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table engine: a template. A format defines PT_NAME and the
 * functions below, then includes this file, which defines
 *
 *	PT_NAME_init, _fini, _empty, _map, _unmap, _iova_to_phys
 *
 * The format supplies, each static and inline:
 *
 *	u64  PT_NAME_leaf(u64 pa, unsigned int lg2, u64 bits)
 *	u64  PT_NAME_table(u64 pa, unsigned int level)	@level is the entry's
 *	bool PT_NAME_present(u64 entry)
 *	bool PT_NAME_is_leaf(u64 entry, unsigned int level)
 *	u64  PT_NAME_pa(u64 entry)	physical address in an entry
 *	unsigned int PT_NAME_set(u64 entry, unsigned int level)
 *					log2 of the entries a leaf takes
 *	PT_NAME_PENDING			a bit that the hardware ignores in
 *					entries that point to tables
 *	PT_NAME_SETS			0: every leaf is one entry. SET_SAME,
 *					SET_OWN: it may be a set of entries
 *	PT_NAME_GROWS			1: the tree gets levels by need
 *	PT_PAGE_LG2			a macro, where a page and a table are not
 *					of 4K: log2 of their size
 *	PT_HINTS			a macro, where an invalidation is told
 *					of the level of leaves: an unmap's list
 *					of tables is in a struct PT_NAME_gone
 *	PT_DIRTY			a macro, where hardware says of leaves
 *					whether they were written through, then
 *					PT_NAME_read_dirty is there too:
 *	bool PT_NAME_is_dirty(u64 entry)	was it?
 *	u64  PT_NAME_cleaned(u64 entry)		as if it were not
 *	PT_SINGLE			a macro, where one look tells it: the
 *					name of
 *	bool PT_SINGLE(u64 entry)	is it a present leaf of one entry?
 *
 * Sets: at the level of 2^s bytes an entry, a leaf of 2^(s+k) bytes, k up to
 * 8, takes 2^k consecutive entries, either with the same value (SET_SAME) or
 * each with the physical address of its own part (SET_OWN). A set is one leaf
 * to every function here: all of it is mapped, cleared and replaced at once.
 *
 * Growth: omni_pt.word holds the root and its level, so that both are read
 * at once, and omni_pt.top is the level that the root may rise to. A new root
 * is linked above the old one with one cmpxchg. Whoever holds the old one may
 * go on below it: what was the root is a table like others now. The wing
 * makes hardware entries follow before a map is over and before a flush.
 *
 * A format whose domains may be non-coherent defines PT_TRACKS, and what
 * pgtable_track.h asks for. Map and unmap exist twice then: for domains that
 * are tracked, and for all others, which pay for the tracker with one look at
 * omni_pt.tracked (see noncoherent.c), or nothing at all on the short ways.
 *
 * Invariants
 *
 * The caller owns the range it maps or unmaps; ranges that share tables may
 * be worked on at the same time without a lock. A table is installed with
 * one cmpxchg and unlinked only by an unmap that owns its whole range, or by
 * a leaf that takes the place of an empty one. So nobody else can be inside
 * a table that goes, and a leaf is written with a plain store.
 *
 * Where walks are not snooped, a table that was just linked carries PENDING
 * until its entry's line is in memory: whoever meets the bit writes the line
 * back himself before he relies on the unit seeing what he adds below.
 *
 * Nothing here flushes a translation cache. What became necessary is
 * returned as the kind of flush, or as tables on a list.
 *
 * Its parts are files of their own: pgtable_table.h, pgtable_map.h,
 * pgtable_unmap.h, pgtable_read.h, and pgtable_track.h for tracked domains.
 */

#define PT_CAT_(a, b)	a##_##b
#define PT_CAT(a, b)	PT_CAT_(a, b)
#define PT_FN(x)	PT_CAT(PT_NAME, x)

#ifndef PT_PAGE_LG2
#define PT_PAGE_LG2	12
#endif
#define PT_BITS		(PT_PAGE_LG2 - 3)
#define PT_ENTRIES	BIT(PT_BITS)
/* Of kernel pages that a table takes. */
#define PT_ORDER	(max(PT_PAGE_LG2, PAGE_SHIFT) - PAGE_SHIFT)
#define PT_SETS		PT_FN(SETS)
#define PT_OWN		(PT_SETS == SET_OWN)
#define PT_GROWS	PT_FN(GROWS)

#ifdef PT_TRACKS
#define PT_TRACKING	true
#else
#define PT_TRACKING	false
#endif

/* For the templates that are included behind this one. */
enum { PT_FN(ENTRIES) = PT_ENTRIES };

#include "pgtable_table.h"
#include "pgtable_map.h"
#include "pgtable_unmap.h"
#include "pgtable_read.h"
#ifdef PT_TRACKS
#include "pgtable_track.h"
#endif

#undef PT_CAT_
#undef PT_CAT
#undef PT_FN
#undef PT_PAGE_LG2
#undef PT_BITS
#undef PT_ENTRIES
#undef PT_ORDER
#undef PT_SETS
#undef PT_OWN
#undef PT_GROWS
#undef PT_DIRTY
#undef PT_SINGLE
#undef PT_TRACKING
