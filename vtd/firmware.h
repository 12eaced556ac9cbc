/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the firmware says about VT-d units: the ACPI DMAR table, parsed once
 * into lists, and the questions the rest of the wing asks of it.
 *
 * Section numbers are those of the "Intel Virtualization Technology for
 * Directed I/O" specification, chapter 8, which has kept them since r4.0.
 */
#ifndef OMNI_VTD_FIRMWARE_H
#define OMNI_VTD_FIRMWARE_H

#include <linux/list.h>
#include <linux/types.h>

struct pci_dev;
struct vtd_unit;

/**
 * struct vtd_scope - one device scope entry (VT-d 8.3.1)
 * @node: in the scopes list of the structure that holds the entry
 * @type: an ``ACPI_DMAR_SCOPE_TYPE_*`` from endpoint to namespace
 * @enum_id: I/O APIC id, HPET number or ANDD device number, by @type
 * @start_bus: number of the bus that @path starts on
 * @path_len: hops in @path, at least one
 * @path: the device's way down from @start_bus, the device itself last
 * @path.dev: device number of the hop, at most 31
 * @path.fn: function number of the hop, at most 7
 */
struct vtd_scope {
	struct list_head node;
	u8 type;
	u8 enum_id;
	u8 start_bus;
	u8 path_len;
	struct {
		u8 dev;
		u8 fn;
	} path[] __counted_by(path_len);
};

/**
 * struct vtd_drhd - one remapping unit (VT-d 8.3)
 * @node: in &vtd_firmware.drhds, which is in table order
 * @segment: PCI segment all of the unit's devices are in
 * @include_all: takes every device of @segment that no other unit names
 * @base: physical address of the registers, 4K aligned
 * @size: bytes of registers the table announces, a power of two from 4K on
 * @numa_node: from RHSA (VT-d 8.6), NUMA_NO_NODE when unknown
 * @index: position among the table's units, from 0: the N of dmarN
 * @scopes: list of struct vtd_scope
 * @unit: left for the wing, never touched here
 * @offset: byte offset of the structure in the table, for messages
 */
struct vtd_drhd {
	struct list_head node;
	u16 segment;
	bool include_all;
	u64 base;
	u64 size;
	int numa_node;
	unsigned int index;
	struct list_head scopes;
	struct vtd_unit *unit;
	u32 offset;
};

/**
 * struct vtd_rmrr - memory that devices use behind the kernel's back (VT-d 8.4)
 * @node: in &vtd_firmware.rmrrs
 * @segment: PCI segment of the devices
 * @base: first byte, 4K aligned
 * @last: last byte, the last of a 4K page
 * @scopes: list of struct vtd_scope; empty means that no device needs it
 */
struct vtd_rmrr {
	struct list_head node;
	u16 segment;
	u64 base;
	u64 last;
	struct list_head scopes;
};

/**
 * struct vtd_atsr - root ports that take ATS requests (VT-d 8.5)
 * @node: in &vtd_firmware.atsrs
 * @segment: PCI segment of the root ports
 * @all_ports: every root port of @segment does
 * @scopes: list of struct vtd_scope naming the root ports that do
 */
struct vtd_atsr {
	struct list_head node;
	u16 segment;
	bool all_ports;
	struct list_head scopes;
};

/**
 * struct vtd_satc - integrated devices with a translation cache (VT-d 8.8)
 * @node: in &vtd_firmware.satcs
 * @segment: PCI segment of the devices
 * @atc_required: the devices cannot work without their cache
 * @scopes: list of struct vtd_scope naming the devices
 */
struct vtd_satc {
	struct list_head node;
	u16 segment;
	bool atc_required;
	struct list_head scopes;
};

/**
 * struct vtd_firmware - everything taken from one DMAR table (VT-d 8.1)
 * @width: host address width in bits
 * @flags: ``ACPI_DMAR_INTR_REMAP``, ``ACPI_DMAR_X2APIC_OPT_OUT`` and so on
 * @drhds: list of struct vtd_drhd, never empty after a successful parse
 * @rmrrs: list of struct vtd_rmrr
 * @atsrs: list of struct vtd_atsr
 * @satcs: list of struct vtd_satc
 *
 * Constant once parsed, so it is read without a lock until it is freed.
 */
struct vtd_firmware {
	u8 width;
	u8 flags;
	struct list_head drhds;
	struct list_head rmrrs;
	struct list_head atsrs;
	struct list_head satcs;
};

int vtd_firmware_read(struct vtd_firmware *fw);
int vtd_firmware_parse(struct vtd_firmware *fw, const void *table, size_t len);
void vtd_firmware_free(struct vtd_firmware *fw);

struct vtd_drhd *vtd_firmware_find(const struct vtd_firmware *fw,
				   struct pci_dev *pdev);
bool vtd_firmware_ats_allowed(const struct vtd_firmware *fw,
			      struct pci_dev *pdev);
bool vtd_scope_match(u16 segment, const struct list_head *scopes,
		     struct pci_dev *pdev);
bool vtd_rmrr_applies(const struct vtd_rmrr *rmrr, struct pci_dev *pdev);

/*
 * The KUnit module refuses more tables than a log can hold, and wants to hear
 * of each: true if the message has been taken.
 */
#ifdef OMNI_KUNIT
bool vtd_firmware_heard(const char *name, u32 offset);
#else
static inline bool vtd_firmware_heard(const char *name, u32 offset)
{
	return false;
}
#endif

#endif /* OMNI_VTD_FIRMWARE_H */
