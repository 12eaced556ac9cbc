/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reach (include/omniommu.h): a processor attaches a unit to a domain and
 * detaches it again, while another unmaps a page and the unit walks. Once the
 * unmap is over the unit has no translation of the page, and gets none.
 *
 * Faults, each of which has to be found:
 *	NO_ATTACH_BARRIER	nothing between the list and the entry
 *	NO_UNMAP_BARRIER	nothing between the cleared entry and the list
 *	ENTRY_FIRST		the entry is written before the list says so
 *	NARROW_FIRST		a detach takes the unit off the list before its flush
 */
#define VARS	4
#define REACH	0	/* the domain's list names the unit */
#define CONTEXT	1	/* the unit's entry points to the domain's table */
#define PTE	2	/* the page is mapped */
#define LOCK	3

#include "memory.h"

bit context_cached, iotlb, unmapped;

/* Commands go out by a register: all that was stored before is in memory. */
inline flush_iotlb(cpu)
{
	MB(cpu);
	iotlb = 0
}

inline flush_all(cpu)
{
	MB(cpu);
	atomic { context_cached = 0; iotlb = 0 }
}

/* A walk: an invalidation waits until those which it finds are over. */
proctype unit()
{
end:	do
	:: atomic { mem[CONTEXT] -> context_cached = 1 }
	:: atomic { context_cached && mem[PTE] -> assert(!unmapped); iotlb = 1 }
	od
}

proctype attach(byte cpu)
{
#ifdef ENTRY_FIRST
	store(cpu, CONTEXT, 1);
	MB(cpu);
	store(cpu, REACH, 1);
#else
	store(cpu, REACH, 1);
#ifndef NO_ATTACH_BARRIER
	MB(cpu);	/* omni_reach_publish() */
#endif
	store(cpu, CONTEXT, 1);
#endif
	flush_all(cpu);

	store(cpu, CONTEXT, 0);
#ifdef NARROW_FIRST
	store(cpu, REACH, 0);
	MB(cpu);
	flush_all(cpu)
#else
	flush_all(cpu);
	store(cpu, REACH, 0);
	MB(cpu)
#endif
}

proctype unmap(byte cpu)
{
	bit reached;

	store(cpu, PTE, 0);
#ifndef NO_UNMAP_BARRIER
	MB(cpu);	/* omni_fanout() */
#endif
	load(cpu, REACH, reached);
	if
	:: reached -> flush_iotlb(cpu)
	:: else
	fi;
	atomic { unmapped = 1; assert(!iotlb) }
}

init {
	atomic {
		mem[PTE] = 1;
		run drain(0);
		run drain(1);
		run unit();
		run attach(0);
		run unmap(1)
	}
}
