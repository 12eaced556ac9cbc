/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the firmware says about AMD-Vi units: the ACPI IVRS table, parsed once
 * into lists, and the questions the rest of the wing asks of it.
 *
 * Section numbers are those of the "AMD I/O Virtualization Technology (IOMMU)
 * Specification", document 48882, revision 3.08, chapter 5.
 */
#ifndef OMNI_AMD_FIRMWARE_H
#define OMNI_AMD_FIRMWARE_H

#include <linux/bits.h>
#include <linux/list.h>
#include <linux/types.h>

struct amd_unit;
struct pci_dev;

/**
 * struct amd_devids - a range of device IDs that a unit translates (5.2.2.4)
 * @node: in &amd_ivhd.devids, in table order: a later one counts more
 * @first: first device ID
 * @last: last device ID, inclusive
 * @aliased: DMA carries @alias instead
 * @no_ats: the firmware forbids ATS
 * @settings: ``ACPI_IVHD_*`` data setting bits for the device table entry
 * @alias: the device ID that DMA carries
 */
struct amd_devids {
	struct list_head node;
	u16 first;
	u16 last;
	bool aliased;
	bool no_ats;
	u8 settings;
	u16 alias;
};

/**
 * struct amd_special - an I/O APIC or HPET, which raises interrupts only
 * @node: in &amd_ivhd.specials
 * @variety: ``ACPI_IVHD_IOAPIC`` or ``ACPI_IVHD_HPET``
 * @handle: I/O APIC id or HPET number
 * @devid: device ID its interrupts carry
 */
struct amd_special {
	struct list_head node;
	u8 variety;
	u8 handle;
	u16 devid;
};

/**
 * struct amd_hid - a device of the ACPI namespace that is not PCI (5.2.2.6)
 * @node: in &amd_ivhd.hids
 * @devid: device ID its DMA carries
 * @settings: as in &struct amd_devids
 * @hid: ACPI hardware ID, terminated
 * @uid: unique ID in text, empty when the table gives none
 */
struct amd_hid {
	struct list_head node;
	u16 devid;
	u8 settings;
	char hid[9];
	char uid[256];
};

/**
 * struct amd_ivhd - one unit (5.2.2)
 * @node: in &amd_firmware.ivhds, which is in table order
 * @type: ``ACPI_IVRS_TYPE_HARDWARE*`` of the block it was taken from
 * @flags: HtTunEn, PassPW, ResPassPW, Isoc, IotlbSup and Coherent
 * @segment: PCI segment of the unit and of all its devices
 * @devid: device ID of the unit's PCI function
 * @cap: offset of the capability block in that function's configuration space
 * @base: physical address of the registers
 * @msi: which of the function's messages the unit sends
 * @efr: the extended feature register's image; 0 where the block has none
 * @last_devid: highest device ID that its entries name
 * @index: position among the table's units, from 0: the N of ivhdN
 * @devids: list of struct amd_devids
 * @specials: list of struct amd_special
 * @hids: list of struct amd_hid
 * @unit: left for the wing, never touched here
 * @offset: byte offset of the block in the table, for messages
 */
struct amd_ivhd {
	struct list_head node;
	u8 type;
	u8 flags;
	u16 segment;
	u16 devid;
	u16 cap;
	u64 base;
	u8 msi;
	u64 efr;
	u16 last_devid;
	unsigned int index;
	struct list_head devids;
	struct list_head specials;
	struct list_head hids;
	struct amd_unit *unit;
	u32 offset;
};

/* 5.2.2.1: IVHD flags */
#define AMD_IVHD_HT_TUNNEL	BIT(0)
#define AMD_IVHD_PASS_PW	BIT(1)
#define AMD_IVHD_RES_PASS_PW	BIT(2)
#define AMD_IVHD_ISOC		BIT(3)
#define AMD_IVHD_IOTLB		BIT(4)
#define AMD_IVHD_COHERENT	BIT(5)

/**
 * struct amd_ivmd - memory that devices use behind the kernel's back (5.2.3)
 * @node: in &amd_firmware.ivmds
 * @segment: PCI segment of the devices
 * @first: first device ID
 * @last: last device ID, inclusive
 * @base: first byte, 4K aligned
 * @end: last byte, the last of a 4K page
 * @read: the devices read it
 * @write: the devices write it
 */
struct amd_ivmd {
	struct list_head node;
	u16 segment;
	u16 first;
	u16 last;
	u64 base;
	u64 end;
	bool read;
	bool write;
};

/**
 * struct amd_firmware - everything taken from one IVRS table (5.2)
 * @ivhds: list of struct amd_ivhd, never empty after a successful parse
 * @ivmds: list of struct amd_ivmd
 * @remapped: the firmware asks for DMA remapping from the start (IVinfo)
 *
 * Constant once parsed, so it is read without a lock until it is freed.
 */
struct amd_firmware {
	struct list_head ivhds;
	struct list_head ivmds;
	bool remapped;
};

/**
 * amd_firmware_read() - parse the machine's table
 * @fw: receives the lists
 *
 * Return: 0; -ENODEV if the machine has no table; -EINVAL for a malformed
 * one, with @fw empty and a message (L4); -ENOMEM.
 * Context: may sleep. 5.2.
 */
int amd_firmware_read(struct amd_firmware *fw);

/**
 * amd_firmware_parse() - parse a table in memory
 * @fw: receives the lists, set up before by this function
 * @table: the table, at any alignment
 * @len: its bytes
 *
 * Return: as amd_firmware_read().
 * Context: may sleep. 5.2.
 */
int amd_firmware_parse(struct amd_firmware *fw, const void *table, size_t len);

/**
 * amd_firmware_free() - forget a table
 * @fw: what was parsed, or an empty one
 *
 * Context: may sleep.
 */
void amd_firmware_free(struct amd_firmware *fw);

/**
 * amd_firmware_find() - the unit that translates a device ID
 * @fw: the table
 * @segment: PCI segment
 * @devid: device ID
 *
 * Return: the unit's block or NULL.
 * Context: any. 5.2.2.4.
 */
struct amd_ivhd *amd_firmware_find(const struct amd_firmware *fw, u16 segment, u16 devid);

/**
 * amd_firmware_devids() - what a unit's block says of a device ID
 * @ivhd: the block
 * @devid: device ID
 *
 * Return: the last range that holds @devid, or NULL.
 * Context: any. 5.2.2.4.
 */
const struct amd_devids *amd_firmware_devids(const struct amd_ivhd *ivhd, u16 devid);

/*
 * The KUnit module refuses more tables than a log can hold, and wants to hear
 * of each: true if the message has been taken.
 */
#ifdef OMNI_KUNIT
bool amd_firmware_heard(const char *name, u32 offset);
#else
static inline bool amd_firmware_heard(const char *name, u32 offset)
{
	return false;
}
#endif

#endif
