/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module takes from ACPI's IO Remapping Table (DEN 0049, E.f). */
#ifndef OMNI_SMMU_IORT_H
#define OMNI_SMMU_IORT_H

#include <linux/list.h>
#include <linux/types.h>

/**
 * struct smmu_iort_unit - an SMMUv3 node
 * @node: in smmu_iort.units
 * @offset: of the node in the table
 * @base: physical address of the registers
 */
struct smmu_iort_unit {
	struct list_head node;
	u32 offset;
	u64 base;
};

/**
 * struct smmu_iort_root - a PCI root complex node
 * @node: in smmu_iort.roots
 * @offset: of the node in the table
 * @segment: PCI segment
 * @snoops: its accesses are coherent, whatever attributes they have
 */
struct smmu_iort_root {
	struct list_head node;
	u32 offset;
	u32 segment;
	bool snoops;
};

/**
 * struct smmu_iort - a table
 * @units: SMMUv3 nodes, in the table's order
 * @roots: root complexes, in the table's order
 */
struct smmu_iort {
	struct list_head units;
	struct list_head roots;
};

/**
 * smmu_iort_parse() - check a table, and take what is of use
 * @iort: receives it
 * @table: the table
 * @len: bytes that may be read
 *
 * A table that is wrong anywhere is refused whole (L4): what is wrong and
 * where is printed.
 *
 * Return: 0; -EINVAL or -ENOMEM, with @iort empty.
 * Context: may sleep.
 */
int smmu_iort_parse(struct smmu_iort *iort, const void *table, size_t len);

/**
 * smmu_iort_free() - forget a table
 * @iort: the table, which may be forgotten already
 *
 * Context: any.
 */
void smmu_iort_free(struct smmu_iort *iort);

/**
 * smmu_iort_snoops() - are a segment's accesses coherent, whatever they ask for?
 * @iort: the table
 * @segment: PCI segment
 *
 * Return: true if all its root complexes say so.
 * Context: any.
 */
bool smmu_iort_snoops(const struct smmu_iort *iort, u32 segment);

/*
 * The KUnit module refuses more tables than a log can hold, and wants to hear
 * of each: true if the message has been taken.
 */
#ifdef OMNI_KUNIT
bool smmu_iort_heard(const char *name, u32 offset);
#else
static inline bool smmu_iort_heard(const char *name, u32 offset)
{
	return false;
}
#endif

#endif
