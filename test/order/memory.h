/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory as two processors see it, for models in Promela: what one has stored
 * waits in a buffer of his own before it is in memory, where others, and the
 * hardware, read it. He himself reads what he has stored last.
 *
 * Stores leave the buffer in their order (x86), or with -DWEAK in any order but
 * for those to one variable (arm64). Loads are carried out in order: that one
 * is early shows as a store that is late. MB waits until the buffer is empty.
 * A lock is taken with what orders later accesses, and with x86's drain; it is
 * let go by a store which only those before it come before.
 *
 * The model says how many variables there are (VARS), of which the last one is
 * the lock (LOCK).
 */
byte mem[VARS];
chan buffer[2] = [6] of { byte, bit };
byte pending[2 * VARS];
bit newest[2 * VARS];

inline store(cpu, var, value)
{
	atomic {
		buffer[cpu]!var, value;
		newest[cpu * VARS + var] = value;
		pending[cpu * VARS + var]++
	}
}

inline load(cpu, var, into)
{
	atomic {
		if
		:: pending[cpu * VARS + var] -> into = newest[cpu * VARS + var]
		:: else -> into = mem[var]
		fi
	}
}

#define MB(cpu)	empty(buffer[cpu])

#ifdef WEAK
#define DRAINED(cpu)	true
#else
#define DRAINED(cpu)	empty(buffer[cpu])
#endif

inline lock(cpu)
{
	atomic {
		DRAINED(cpu) && !pending[cpu * VARS + LOCK] && !mem[LOCK];
		mem[LOCK] = 1
	}
}

#define unlock(cpu)	store(cpu, LOCK, 0)

inline arrive(cpu, var, value)
{
	mem[var] = value;
	pending[cpu * VARS + var]--
}

proctype drain(byte cpu)
{
	byte var;
	bit value;

end:	do
#ifdef WEAK
	:: atomic { buffer[cpu]??0, value -> arrive(cpu, 0, value) }
	:: atomic { buffer[cpu]??1, value -> arrive(cpu, 1, value) }
#if VARS > 3
	:: atomic { buffer[cpu]??2, value -> arrive(cpu, 2, value) }
#endif
#if VARS > 4
	:: atomic { buffer[cpu]??3, value -> arrive(cpu, 3, value) }
#endif
	:: atomic { buffer[cpu]?LOCK, value -> arrive(cpu, LOCK, value) }
#else
	:: atomic { buffer[cpu]?var, value -> arrive(cpu, var, value) }
#endif
	od
}
