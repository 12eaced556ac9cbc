/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints, in /sys/kernel/tracing/events/omni. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM omni

#if !defined(OMNI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OMNI_TRACE_H

#include "omniommu.h"

#include <linux/tracepoint.h>

/* What perf and trace-cmd are told of the numbers, too. */
TRACE_DEFINE_ENUM(OMNI_MAP_ASKED);
TRACE_DEFINE_ENUM(OMNI_MAP_NOT_CACHED);
TRACE_DEFINE_ENUM(OMNI_UNMAP_ASKED);
TRACE_DEFINE_ENUM(OMNI_ALL_ASKED);
TRACE_DEFINE_ENUM(OMNI_ASKED_NOBODY);
TRACE_DEFINE_ENUM(OMNI_PIECE_MERGED);
TRACE_DEFINE_ENUM(OMNI_PIECE_QUEUED);
TRACE_DEFINE_ENUM(OMNI_INV_DOMAIN);
TRACE_DEFINE_ENUM(OMNI_INV_PASID);
TRACE_DEFINE_ENUM(OMNI_INV_RANGE);
TRACE_DEFINE_ENUM(OMNI_INV_WRITE_BUFFER);
TRACE_DEFINE_ENUM(OMNI_BLOCKED);
TRACE_DEFINE_ENUM(OMNI_IDENTITY);
TRACE_DEFINE_ENUM(OMNI_PAGING);

#define omni_show_end(end)						\
	__print_symbolic(end,						\
			 { OMNI_MAP_ASKED, "map ask" },			\
			 { OMNI_MAP_NOT_CACHED, "map not-cached" },	\
			 { OMNI_UNMAP_ASKED, "unmap ask" },		\
			 { OMNI_ALL_ASKED, "all ask" },			\
			 { OMNI_ASKED_NOBODY, "unattached" },		\
			 { OMNI_PIECE_MERGED, "piece merged" },		\
			 { OMNI_PIECE_QUEUED, "piece queued" })

#define omni_show_scope(scope)						\
	__print_symbolic(scope,						\
			 { OMNI_INV_DOMAIN, "domain" },			\
			 { OMNI_INV_PASID, "pasid" },			\
			 { OMNI_INV_RANGE, "range" },			\
			 { OMNI_INV_WRITE_BUFFER, "write-buffer" })

#define omni_show_state(state)						\
	__print_symbolic(state,						\
			 { OMNI_BLOCKED, "blocked" },			\
			 { OMNI_IDENTITY, "identity" },			\
			 { OMNI_PAGING, "translated" })

/*
 * How a map, an unmap or a batch of queued unmaps ends: with a request for what
 * is told, or without. "unattached" follows where no unit was there to ask.
 */
TRACE_EVENT(omni_plan,
	TP_PROTO(const struct omni_domain *domain, unsigned int end,
		 const struct omni_inv *inv),
	TP_ARGS(domain, end, inv),
	TP_STRUCT__entry(
		__field(u32, domain)
		__field(u8, end)
		__field(u8, scope)
		__field(bool, leaf_only)
		__field(u64, first)
		__field(u64, last)
	),
	TP_fast_assign(
		__entry->domain = domain->seen.id;
		__entry->end = end;
		__entry->scope = inv->scope;
		__entry->leaf_only = inv->leaf_only;
		__entry->first = inv->first << OMNI_PAGE_LG2;
		__entry->last = (inv->last << OMNI_PAGE_LG2) | (BIT(OMNI_PAGE_LG2) - 1);
	),
	TP_printk("domain=%u %s scope=%s first=0x%llx last=0x%llx%s", __entry->domain,
		  omni_show_end(__entry->end), omni_show_scope(__entry->scope),
		  __entry->first, __entry->last, __entry->leaf_only ? " leaf-only" : "")
);

/* A piece of an unmap that joins the flush of others, or waits for one. */
TRACE_EVENT(omni_piece,
	TP_PROTO(const struct omni_domain *domain, unsigned int end, u64 iova, u64 size),
	TP_ARGS(domain, end, iova, size),
	TP_STRUCT__entry(
		__field(u32, domain)
		__field(u8, end)
		__field(u64, iova)
		__field(u64, size)
	),
	TP_fast_assign(
		__entry->domain = domain->seen.id;
		__entry->end = end;
		__entry->iova = iova;
		__entry->size = size;
	),
	TP_printk("domain=%u %s iova=0x%llx size=%llu", __entry->domain,
		  omni_show_end(__entry->end), __entry->iova, __entry->size)
);

/* Commands are given to a unit, as the unit's specification has them. */
TRACE_EVENT(omni_submit,
	TP_PROTO(const struct omni_unit *unit, const void *commands, unsigned int nr),
	TP_ARGS(unit, commands, nr),
	TP_STRUCT__entry(
		__string(unit, unit->name)
		__field(u32, nr)
		__field(u32, nr_words)
		__dynamic_array(u64, words, 2 * nr)
	),
	TP_fast_assign(
		__assign_str(unit);
		__entry->nr = nr;
		__entry->nr_words = 2 * nr;
		if (nr)
			memcpy(__get_dynamic_array(words), commands, 2 * nr * sizeof(u64));
	),
	TP_printk("unit=%s commands=%u %s", __get_str(unit), __entry->nr,
		  __print_array(__get_dynamic_array(words), __entry->nr_words, 8))
);

/* A unit has carried out a request, or has not. */
TRACE_EVENT(omni_wait,
	TP_PROTO(struct omni_unit *unit, u64 ns, int err),
	TP_ARGS(unit, ns, err),
	TP_STRUCT__entry(
		__string(unit, unit->name)
		__field(u64, ns)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(unit);
		__entry->ns = ns;
		__entry->err = err;
	),
	TP_printk("unit=%s ns=%llu err=%d", __get_str(unit), __entry->ns, __entry->err)
);

/* A device's entries were changed; domain 0 is none. */
TRACE_EVENT(omni_attach,
	TP_PROTO(const struct omni_device *od, unsigned int to, const struct omni_domain *domain,
		 int err),
	TP_ARGS(od, to, domain, err),
	TP_STRUCT__entry(
		__string(device, dev_name(od->dev))
		__string(unit, od->unit->name)
		__field(u8, from)
		__field(u8, to)
		__field(u32, from_domain)
		__field(u32, to_domain)
		__field(int, err)
	),
	TP_fast_assign(
		__assign_str(device);
		__assign_str(unit);
		__entry->from = od->state;
		__entry->to = to;
		__entry->from_domain = od->domain ? od->domain->seen.id : 0;
		__entry->to_domain = to == OMNI_PAGING ? domain->seen.id : 0;
		__entry->err = err;
	),
	TP_printk("device=%s unit=%s from=%s domain=%u to=%s domain=%u err=%d",
		  __get_str(device), __get_str(unit), omni_show_state(__entry->from),
		  __entry->from_domain, omni_show_state(__entry->to), __entry->to_domain,
		  __entry->err)
);

/* An access was refused. */
TRACE_EVENT(omni_fault,
	TP_PROTO(const struct omni_unit *unit, const struct omni_fault *fault),
	TP_ARGS(unit, fault),
	TP_STRUCT__entry(
		__string(unit, unit->name)
		__string(why, fault->why ?: "reason not known")
		__field(u32, rid)
		__field(u16, segment)
		__field(u8, reason)
		__field(bool, read)
		__field(u64, iova)
	),
	TP_fast_assign(
		__assign_str(unit);
		__assign_str(why);
		__entry->rid = fault->rid;
		__entry->segment = fault->segment;
		__entry->reason = fault->reason;
		__entry->read = fault->read;
		__entry->iova = fault->iova;
	),
	TP_printk("unit=%s segment=%04x id=0x%x %s iova=0x%llx reason=0x%02x: %s",
		  __get_str(unit), __entry->segment, __entry->rid,
		  __entry->read ? "read" : "write", __entry->iova, __entry->reason,
		  __get_str(why))
);

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
