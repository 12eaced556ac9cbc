/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The line at a queue's lock (include/queue.h): two processors submit at the
 * same time, again and again. Nobody is forgotten, a wait stands behind
 * everybody's commands before he waits, and he waits for that one; nobody looks
 * at a ticket whose owner has gone on.
 *
 * Faults, each of which has to be found:
 *	NOBODY_HELPS	who stands in line doesn't try the lock himself
 *	SERVE_FIRST	the wait is put before the commands of those in line
 *	LOOK_LATE	the next in line is asked for after a ticket was let go
 *	NO_RELEASE	nothing between a ticket's position and its release
 */
#define VARS	5
#define POS(t)	(t)		/* omni_ticket.pos */
#define PUT(t)	(2 + (t))	/* omni_ticket.put */
#define LOCK	4		/* omni_queue.lock */

#include "memory.h"

bit line[2], alive[2], ring[2], told[2];
byte over;

/* An operation on memory that is whole and a full barrier. */
#define WHOLE(cpu)	empty(buffer[cpu])

inline end_all()
{
	atomic {
		told[0] = told[0] || ring[0];
		told[1] = told[1] || ring[1]
	}
}

inline let_go(cpu, t)
{
	atomic { assert(alive[t]); store(cpu, POS(t), 1) }
#ifndef NO_RELEASE
	MB(cpu);
#endif
	store(cpu, PUT(t), 1);
#ifdef LOOK_LATE
	assert(alive[t])
#endif
}

inline serve(cpu)
{
	atomic {
		WHOLE(cpu);
		took[0] = line[0];
		took[1] = line[1];
		line[0] = 0;
		line[1] = 0
	}
#ifdef SERVE_FIRST
	end_all();
#endif
	atomic {
		ring[0] = ring[0] || took[0];
		ring[1] = ring[1] || took[1]
	}
#ifndef SERVE_FIRST
	end_all();
#endif
	if
	:: took[0] -> let_go(cpu, 0)
	:: else
	fi;
	if
	:: took[1] -> let_go(cpu, 1)
	:: else
	fi;
	atomic { took[0] = 0; took[1] = 0 }
}

#define FREE(cpu)	(DRAINED(cpu) && !pending[cpu * VARS + LOCK] && !mem[LOCK])
#define TAKEN(cpu)	(!pending[cpu * VARS + LOCK] && mem[LOCK])

proctype submitter(byte cpu)
{
	byte round;
	bit pos, took[2];

	do
	:: round < 2 ->
		atomic { ring[cpu] = 0; told[cpu] = 0 }
		if
		:: atomic { FREE(cpu) -> mem[LOCK] = 1 }
			ring[cpu] = 1;
			if
			:: line[0] || line[1] -> serve(cpu)
			:: else -> end_all()
			fi;
			unlock(cpu)
		:: atomic { TAKEN(cpu) -> alive[cpu] = 1 }
			store(cpu, POS(cpu), 0);
			store(cpu, PUT(cpu), 0);
			atomic { WHOLE(cpu) -> line[cpu] = 1 }
			do
			:: atomic { !pending[cpu * VARS + PUT(cpu)] && mem[PUT(cpu)] -> break }
#ifndef NOBODY_HELPS
			:: atomic { FREE(cpu) && line[cpu] -> mem[LOCK] = 1 }
				serve(cpu);
				unlock(cpu)
#endif
			od;
			atomic {
				load(cpu, POS(cpu), pos);
				assert(pos);
				pos = 0;
				alive[cpu] = 0
			}
		fi;
		assert(told[cpu]);
		round++
	:: else -> break
	od;
	over++
}

proctype watch()
{
	timeout -> assert(over == 2)
}

init {
	atomic {
		run drain(0);
		run drain(1);
		run submitter(0);
		run submitter(1);
		run watch()
	}
}
