/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Readers of a page table (include/show.h): one walks through a table twice,
 * while another processor unlinks and frees it. It is not freed while the
 * reader is inside, and it is freed in the end.
 *
 * Faults, each of which has to be found:
 *	NO_READER_BARRIER	nothing between "watched" and the walk
 *	NO_FREE_BARRIER		nothing between the unlinking and the look
 *	KEEP_UNLOCKED		who keeps a table doesn't look again under the lock
 */
#define VARS	3
#define WATCHED	0	/* a reader is there */
#define LINK	1	/* the table is linked */
#define LOCK	2	/* omni_domain.free_lock */

#include "memory.h"

bit inside, kept, freed, over;

inline free_table()
{
	atomic { assert(!inside && !freed); freed = 1 }
}

proctype reader(byte cpu)
{
	byte round;
	bit linked, found;

	do
	:: round < 2 ->
		lock(cpu);			/* omni_watch() */
		store(cpu, WATCHED, 1);
		unlock(cpu);
#ifndef NO_READER_BARRIER
		MB(cpu);
#endif
		atomic {
			load(cpu, LINK, linked);
			if
			:: linked -> assert(!freed); inside = 1
			:: else
			fi
		}
		atomic { inside = 0; linked = 0 }
		lock(cpu);			/* omni_unwatch() */
		store(cpu, WATCHED, 0);
		atomic { found = kept; kept = 0 }
		unlock(cpu);
		if
		:: found -> free_table()
		:: else
		fi;
		atomic { found = 0; round++ }
	:: else -> break
	od;
	atomic { assert(!over || freed); over = 1 }
}

proctype unmap(byte cpu)
{
	bit watched, mine = 1;

	store(cpu, LINK, 0);
#ifndef NO_FREE_BARRIER
	MB(cpu);			/* omni_watched() */
#endif
	load(cpu, WATCHED, watched);
	if
	:: watched ->			/* omni_tables_keep() */
		lock(cpu);
#ifndef KEEP_UNLOCKED
		load(cpu, WATCHED, watched);
#endif
		atomic {
			if
			:: watched -> kept = 1; mine = 0
			:: else
			fi
		}
		unlock(cpu)
	:: else
	fi;
	if
	:: mine -> free_table()
	:: else
	fi;
	atomic { assert(!over || freed); over = 1 }
}

init {
	atomic {
		mem[LINK] = 1;
		run drain(0);
		run drain(1);
		run reader(0);
		run unmap(1)
	}
}
