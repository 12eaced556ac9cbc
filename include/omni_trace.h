/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints, in /sys/kernel/tracing/events/omni. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM omni

#if !defined(OMNI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OMNI_TRACE_H

#include <linux/tracepoint.h>

/* The lines of some memory were cleaned; adjacent pages make one event. */
TRACE_EVENT(omni_nc_clean,
	TP_PROTO(bool out, phys_addr_t pa, size_t bytes),
	TP_ARGS(out, pa, bytes),
	TP_STRUCT__entry(
		__field(bool, out)
		__field(u64, pa)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->out = out;
		__entry->pa = pa;
		__entry->bytes = bytes;
	),
	TP_printk("%s pa=0x%llx bytes=%llu", __entry->out ? "out" : "in",
		  __entry->pa, __entry->bytes)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE omni_trace
#include <trace/define_trace.h>
