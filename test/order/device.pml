/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Device TLBs (omni_ats_on(), omni_attach()): a processor lets a device use its
 * own TLB, which fills from the unit's, while another unmaps a page that the
 * unit may hold already. Once the unmap is over neither has a translation of
 * the page, and neither gets one.
 *
 * Faults, each of which has to be found:
 *	NO_GRACE	the device begins before flushes that missed it are over
 *	GRACE_FIRST	the grace period is over before the promise is made
 *	DEVICE_FIRST	a flush asks the device before the unit
 *	LEFT_EARLY	a flush is waited for outside of its read-side section
 */
#define VARS	3
#define PROMISE	0	/* flushes are to ask the device, too */
#define PTE	1	/* the page is mapped */
#define LOCK	2

#include "memory.h"

bit iotlb, device_tlb, in_use, reading, unmapped;

proctype unit()
{
end:	do
	:: atomic { mem[PTE] -> assert(!unmapped); iotlb = 1 }
	od
}

/* Its requests are answered from the unit's TLB. */
proctype device()
{
end:	do
	:: atomic { in_use && iotlb -> assert(!unmapped); device_tlb = 1 }
	od
}

/* Who reads when it begins has left when it is over: both sides' stores are seen. */
inline grace_period(cpu)
{
	MB(cpu);
	!reading
}

proctype attach(byte cpu)
{
#ifdef GRACE_FIRST
	grace_period(cpu);
#endif
	store(cpu, PROMISE, 1);
#if !defined(NO_GRACE) && !defined(GRACE_FIRST)
	grace_period(cpu);
#endif
	/* A write to configuration space: all that was stored before is in memory. */
	MB(cpu);
	in_use = 1
}

inline flush_unit(cpu)
{
	MB(cpu);
	iotlb = 0
}

proctype unmap(byte cpu)
{
	bit promised;

	store(cpu, PTE, 0);
	MB(cpu);	/* omni_fanout() */
	reading = 1;
	load(cpu, PROMISE, promised);
#ifdef LEFT_EARLY
	reading = 0;
#endif
#ifdef DEVICE_FIRST
	if
	:: promised -> device_tlb = 0
	:: else
	fi;
	flush_unit(cpu);
#else
	flush_unit(cpu);
	if
	:: promised -> device_tlb = 0
	:: else
	fi;
#endif
	atomic { unmapped = 1; assert(!iotlb && !device_tlb) }
#ifndef LEFT_EARLY
	reading = 0
#endif
}

init {
	atomic {
		mem[PTE] = 1;
		run drain(0);
		run drain(1);
		run unit();
		run device();
		run attach(0);
		run unmap(1)
	}
}
