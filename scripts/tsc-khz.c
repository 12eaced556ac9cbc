// SPDX-License-Identifier: GPL-2.0
/*
 * The frequency of this machine's time stamp counter in kHz, which is what
 * QEMU's TCG shows to its guests. A guest that has to find it out for itself
 * is wrong by any factor when the host is busy meanwhile.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Both clocks at once: the closest of many readings. */
static void both(int64_t *ns, uint64_t *ticks)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < 200; i++) {
		int64_t before = now_ns();
		uint64_t t = __rdtsc();
		int64_t took = now_ns() - before;

		if (took < best) {
			best = took;
			*ns = before + took / 2;
			*ticks = t;
		}
	}
}

int main(void)
{
	uint64_t first, last;
	int64_t from, to;

	both(&from, &first);
	usleep(100000);
	both(&to, &last);
	printf("%llu\n", (unsigned long long)((last - first) * 1000000.0 / (to - from)));
	return 0;
}
