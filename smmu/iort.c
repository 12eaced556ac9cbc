// SPDX-License-Identifier: GPL-2.0-only
/*
 * ACPI's IO Remapping Table (DEN 0049, issue E.f): is it in order, and what
 * does it say that the kernel does not tell?
 *
 * The kernel reads the table itself, long before the module comes: units are
 * platform devices by then. So nothing is made of the table here. But a table
 * that is wrong anywhere is no base for who may reach what memory, and the
 * kernel goes on with what it could read of it. So the module looks at all of
 * it first, and refuses it whole (L4).
 */
#include "smmu.h"
#include "iort.h"

#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#define IORT_HEADER		48
#define IORT_NODE		16
#define IORT_MAPPING		20
#define IORT_RMR_RANGE		20

/* Offsets in the table's header */
#define IORT_NODES		36
#define IORT_FIRST		40
/* In a node */
#define IORT_TYPE		0
#define IORT_LENGTH		1
#define IORT_MAPPINGS		8
#define IORT_MAPPINGS_AT	12
#define IORT_ITS_COUNT		16
#define IORT_NC_NAME		29
#define IORT_RC_MEMORY		16
#define IORT_RC_SEGMENT		28
#define IORT_V3_BASE		16
#define IORT_PMCG_OF		28
#define IORT_RMR_RANGES		20
#define IORT_RMR_RANGES_AT	24
/* In a mapping */
#define IORT_MAP_COUNT		4
#define IORT_MAP_OUTPUT		8
#define IORT_MAP_TO		12

/* Memory access properties: CCA, and CANWBS in the flags */
#define IORT_COHERENT		GENMASK_ULL(31, 0)
#define IORT_CANWBS		BIT_ULL(58)

#define IORT_V3_SIZE		0x20000ULL

/* Table of node types */
enum smmu_iort_type {
	IORT_ITS,
	IORT_NAMED,
	IORT_ROOT,
	IORT_SMMU,
	IORT_SMMU_V3,
	IORT_PMCG,
	IORT_RMR,
	IORT_TYPES
};

static const struct {
	const char *name;
	unsigned int size;	/* at least, in the first revision */
} iort_types[IORT_TYPES] = {
	[IORT_ITS] = { "ITS group", 20 },
	[IORT_NAMED] = { "named component", 30 },
	[IORT_ROOT] = { "root complex", 32 },
	[IORT_SMMU] = { "SMMU", 60 },
	[IORT_SMMU_V3] = { "SMMUv3", 60 },
	[IORT_PMCG] = { "performance monitor", 32 },
	[IORT_RMR] = { "reserved memory", 28 },
};

/**
 * struct iort_look - a look at one table
 * @table: its first byte
 * @length: its length
 * @first: offset of the first node
 * @nr: number of nodes
 */
struct iort_look {
	const u8 *table;
	u32 length;
	u32 first;
	u32 nr;
};

static __printf(3, 4) int smmu_iort_bad(const char *name, u32 offset, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (smmu_iort_heard(name, offset))
		return -EINVAL;
	va_start(args, fmt);
	vaf.va = &args;
	pr_err("IORT: %s at 0x%x: %pV; the table is refused, report it to the firmware's vendor\n",
	       name, offset, &vaf);
	va_end(args);
	return -EINVAL;
}

static u32 iort_u32(const struct iort_look *look, u32 at)
{
	return get_unaligned_le32(look->table + at);
}

static u64 iort_u64(const struct iort_look *look, u32 at)
{
	return get_unaligned_le64(look->table + at);
}

static u16 iort_length(const struct iort_look *look, u32 at)
{
	return get_unaligned_le16(look->table + at + IORT_LENGTH);
}

static u8 iort_type(const struct iort_look *look, u32 at)
{
	return look->table[at + IORT_TYPE];
}

static const char *iort_name(const struct iort_look *look, u32 at)
{
	u8 type = iort_type(look, at);

	return type < IORT_TYPES ? iort_types[type].name : "node";
}

/* The nodes, once their lengths are known to be in order. */
#define for_each_iort_node(look, i, at)				\
	for ((i) = 0, (at) = (look)->first; (i) < (look)->nr;	\
	     (i)++, (at) += iort_length((look), (at)))

static bool iort_is_node(const struct iort_look *look, u32 offset)
{
	u32 i, at;

	for_each_iort_node(look, i, at)
		if (at == offset)
			return true;
	return false;
}

static int iort_check_header(struct iort_look *look, size_t len)
{
	u8 sum = 0;
	u32 i;

	if (len < IORT_HEADER || memcmp(look->table, "IORT", 4))
		return smmu_iort_bad("table", 0, "its header is not that of an IORT");
	look->length = iort_u32(look, 4);
	if (look->length < IORT_HEADER || look->length > len)
		return smmu_iort_bad("table", 0, "its length is %u", look->length);
	for (i = 0; i < look->length; i++)
		sum += look->table[i];
	if (sum)
		return smmu_iort_bad("table", 0, "its checksum is wrong");
	look->nr = iort_u32(look, IORT_NODES);
	look->first = iort_u32(look, IORT_FIRST);
	if (look->first < IORT_HEADER || look->first > look->length)
		return smmu_iort_bad("table", 0, "its nodes begin at 0x%x", look->first);
	return 0;
}

/* Each node lies in the table, and has what its type has. */
static int iort_check_lengths(const struct iort_look *look)
{
	u32 i, at = look->first;

	for (i = 0; i < look->nr; i++, at += iort_length(look, at)) {
		u32 left = look->length - at, length;

		if (left < IORT_NODE)
			return smmu_iort_bad("node", at, "it ends behind the table");
		length = iort_length(look, at);
		if (length < IORT_NODE || length > left)
			return smmu_iort_bad(iort_name(look, at), at, "its length is %u", length);
		if (iort_type(look, at) < IORT_TYPES &&
		    length < iort_types[iort_type(look, at)].size)
			return smmu_iort_bad(iort_name(look, at), at,
					     "it is too short for its type");
	}
	return 0;
}

/* May a node of one type send IDs to one of another? */
static bool iort_may_map(u8 from, u8 to)
{
	if (to == IORT_ITS)
		return from != IORT_ITS && from != IORT_RMR;
	return (to == IORT_SMMU || to == IORT_SMMU_V3) &&
	       from != IORT_ITS && from != IORT_SMMU && from != IORT_SMMU_V3 && from != IORT_PMCG;
}

static int iort_check_mapping(const struct iort_look *look, u32 node, u32 at)
{
	u32 count = iort_u32(look, at + IORT_MAP_COUNT), to = iort_u32(look, at + IORT_MAP_TO);
	const char *name = iort_name(look, node);

	if (iort_u32(look, at) + count < count ||
	    iort_u32(look, at + IORT_MAP_OUTPUT) + count < count)
		return smmu_iort_bad(name, node, "its mapping at 0x%x goes around the end of IDs",
				     at);
	if (!iort_is_node(look, to))
		return smmu_iort_bad(name, node,
				     "its mapping at 0x%x leads to 0x%x, which is no node", at, to);
	if (iort_type(look, node) < IORT_TYPES && iort_type(look, to) < IORT_TYPES &&
	    !iort_may_map(iort_type(look, node), iort_type(look, to)))
		return smmu_iort_bad(name, node, "its mapping at 0x%x leads to the %s at 0x%x", at,
				     iort_name(look, to), to);
	return 0;
}

/* A part of a node: @nr items of a size, from an offset in the node on. */
static bool iort_has(const struct iort_look *look, u32 node, u32 offset, u32 nr, u32 size)
{
	u32 length = iort_length(look, node);

	return offset >= IORT_NODE && offset <= length && nr <= (length - offset) / size;
}

static int iort_check_mappings(const struct iort_look *look, u32 node)
{
	u32 nr = iort_u32(look, node + IORT_MAPPINGS);
	u32 offset = iort_u32(look, node + IORT_MAPPINGS_AT), i;
	int ret = 0;

	if (nr && !iort_has(look, node, offset, nr, IORT_MAPPING))
		return smmu_iort_bad(iort_name(look, node), node, "it has no room for %u mappings",
				     nr);
	for (i = 0; i < nr && !ret; i++)
		ret = iort_check_mapping(look, node, node + offset + i * IORT_MAPPING);
	return ret;
}

static int iort_check_reserved(const struct iort_look *look, u32 node)
{
	u32 nr = iort_u32(look, node + IORT_RMR_RANGES);
	u32 offset = iort_u32(look, node + IORT_RMR_RANGES_AT), i;
	const char *name = iort_name(look, node);

	if (nr && !iort_has(look, node, offset, nr, IORT_RMR_RANGE))
		return smmu_iort_bad(name, node, "it has no room for %u ranges", nr);
	for (i = 0; i < nr; i++) {
		u32 at = node + offset + i * IORT_RMR_RANGE;
		u64 base = iort_u64(look, at), size = iort_u64(look, at + 8);

		if (!size || base + size - 1 < base)
			return smmu_iort_bad(name, node, "its range at 0x%x is empty or goes around",
					     at);
	}
	return 0;
}

/* What a node has beside its mappings. */
static int iort_check_node(const struct iort_look *look, u32 node)
{
	const char *name = iort_name(look, node);
	u32 length = iort_length(look, node);

	switch (iort_type(look, node)) {
	case IORT_ITS:
		if (!iort_has(look, node, IORT_ITS_COUNT + 4, iort_u32(look, node + IORT_ITS_COUNT),
			      4))
			return smmu_iort_bad(name, node, "it has no room for its identifiers");
		return 0;
	case IORT_NAMED:
		if (!memchr(look->table + node + IORT_NC_NAME, 0, length - IORT_NC_NAME))
			return smmu_iort_bad(name, node, "its name has no end");
		return 0;
	case IORT_PMCG:
		if (!iort_is_node(look, iort_u32(look, node + IORT_PMCG_OF)))
			return smmu_iort_bad(name, node, "it belongs to 0x%x, which is no node",
					     iort_u32(look, node + IORT_PMCG_OF));
		return 0;
	case IORT_RMR:
		return iort_check_reserved(look, node);
	}
	return 0;
}

static int iort_take_unit(struct smmu_iort *iort, const struct iort_look *look, u32 node)
{
	const char *name = iort_types[IORT_SMMU_V3].name;
	u64 base = iort_u64(look, node + IORT_V3_BASE);
	struct smmu_iort_unit *unit;

	if (!base || base % SZ_64K || base + IORT_V3_SIZE - 1 < base)
		return smmu_iort_bad(name, node, "its registers are at 0x%llx", base);
	list_for_each_entry(unit, &iort->units, node)
		if (base < unit->base + IORT_V3_SIZE && unit->base < base + IORT_V3_SIZE)
			return smmu_iort_bad(name, node,
					     "its registers are those of the one at 0x%x, too",
					     unit->offset);
	unit = kzalloc(sizeof(*unit), GFP_KERNEL);
	if (!unit)
		return -ENOMEM;
	unit->offset = node;
	unit->base = base;
	list_add_tail(&unit->node, &iort->units);
	return 0;
}

static int iort_take_root(struct smmu_iort *iort, const struct iort_look *look, u32 node)
{
	u64 memory = iort_u64(look, node + IORT_RC_MEMORY);
	struct smmu_iort_root *root = kzalloc(sizeof(*root), GFP_KERNEL);

	if (!root)
		return -ENOMEM;
	root->offset = node;
	root->segment = iort_u32(look, node + IORT_RC_SEGMENT);
	root->snoops = memory & IORT_CANWBS && FIELD_GET(IORT_COHERENT, memory) == 1;
	list_add_tail(&root->node, &iort->roots);
	return 0;
}

static int iort_take(struct smmu_iort *iort, const struct iort_look *look, u32 node)
{
	switch (iort_type(look, node)) {
	case IORT_SMMU_V3:
		return iort_take_unit(iort, look, node);
	case IORT_ROOT:
		return iort_take_root(iort, look, node);
	}
	return 0;
}

int smmu_iort_parse(struct smmu_iort *iort, const void *table, size_t len)
{
	struct iort_look look = { .table = table };
	u32 i, at;
	int ret;

	INIT_LIST_HEAD(&iort->units);
	INIT_LIST_HEAD(&iort->roots);
	ret = iort_check_header(&look, len) ?: iort_check_lengths(&look);
	if (ret)
		return ret;
	for_each_iort_node(&look, i, at) {
		ret = iort_check_mappings(&look, at) ?: iort_check_node(&look, at) ?:
		      iort_take(iort, &look, at);
		if (ret)
			break;
	}
	if (ret)
		smmu_iort_free(iort);
	return ret;
}

void smmu_iort_free(struct smmu_iort *iort)
{
	struct smmu_iort_unit *unit, *next_unit;
	struct smmu_iort_root *root, *next_root;

	list_for_each_entry_safe(unit, next_unit, &iort->units, node)
		kfree(unit);
	list_for_each_entry_safe(root, next_root, &iort->roots, node)
		kfree(root);
	INIT_LIST_HEAD(&iort->units);
	INIT_LIST_HEAD(&iort->roots);
}

bool smmu_iort_snoops(const struct smmu_iort *iort, u32 segment)
{
	const struct smmu_iort_root *root;
	bool any = false;

	list_for_each_entry(root, &iort->roots, node) {
		if (root->segment != segment)
			continue;
		if (!root->snoops)
			return false;
		any = true;
	}
	return any;
}
