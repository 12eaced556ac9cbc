// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints' own code, and the histogram of waits, which is one more
 * reader of theirs: nobody reads a clock unless it, or somebody else, asks.
 */
#include "core.h"
#include "include/plan.h"
#include "include/queue.h"

#ifndef OMNI_KUNIT
#define CREATE_TRACE_POINTS
#endif
#include "include/omni_trace.h"

void omni_plan_traced(const struct omni_domain *domain, enum omni_end end,
		      const struct omni_inv *inv)
{
	trace_omni_plan(domain, end, inv);
}

int omni_wait_traced(struct omni_unit *unit, const struct omni_ticket *ticket,
		     omni_wait_fn wait)
{
	u64 start = ktime_get_mono_fast_ns();
	int ret = wait(unit, ticket);

	trace_omni_wait(unit, ktime_get_mono_fast_ns() - start, ret);
	return ret;
}

static DEFINE_MUTEX(omni_latency_lock);	/* protects what follows */
static bool omni_latency_on;

static void omni_latency_probe(void *unused, struct omni_unit *unit, u64 ns, int err)
{
	omni_latency_add(unit, ns);
}

int omni_latency_switch(bool on)
{
	int ret = 0;

	mutex_lock(&omni_latency_lock);
	if (on != omni_latency_on)
		ret = on ? register_trace_omni_wait(omni_latency_probe, NULL) :
			   unregister_trace_omni_wait(omni_latency_probe, NULL);
	if (!ret)
		omni_latency_on = on;
	mutex_unlock(&omni_latency_lock);
	/* Whoever is inside the probe still uses it. */
	if (!on)
		tracepoint_synchronize_unregister();
	return ret;
}

bool omni_latency_counted(void)
{
	return READ_ONCE(omni_latency_on);
}
