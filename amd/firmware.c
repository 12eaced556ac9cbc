// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ACPI IVRS table (48882 r3.08, 5.2): parsing, and looking devices up.
 *
 * A table is taken whole or refused whole: the first defect is reported with
 * the block's name and its byte offset in the table, and what was parsed until
 * then is freed. Refused is what would make us program hardware wrongly or
 * leave in doubt which unit translates a device. What the specification
 * reserves for the future is skipped where its length is known.
 *
 * Every length is checked before the bytes it covers are read, and the structs
 * of <acpi/actbl2.h> are packed, so a table may be of any size and alignment.
 *
 * Firmware describes each unit up to three times, for drivers of different
 * age: the block of the highest type counts.
 */
#include "../include/compat.h"

#include <linux/acpi.h>
#include <linux/bitfield.h>
#include <linux/bitmap.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "firmware.h"
#include "regs.h"

/* Far above any machine's, low enough to compare each unit with all others. */
#define AMD_MAX_UNITS		256

/* 5.2.1: IVinfo */
#define AMD_IVINFO_REMAPPED	BIT(1)

/* 5.2.2.6: an ACPI HID entry up to its unique ID */
#define AMD_HID_SIZE		sizeof(struct acpi_ivrs_device_hid)

/*
 * struct amd_block - one block (5.2.2, 5.2.3) or entry that lies in the table
 * @name: what messages call it
 * @data: its first byte
 * @offset: byte offset of @data in the table
 * @length: its length, header included
 */
struct amd_block {
	const char *name;
	const u8 *data;
	u32 offset;
	u32 length;
};

/* One message a refused table: what, where, what is wrong, what to do. */
static __printf(2, 3) int amd_refuse(const struct amd_block *block, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (amd_firmware_heard(block->name, block->offset))
		return -EINVAL;
	va_start(args, fmt);
	vaf.va = &args;
	pr_err("IVRS: %s at 0x%x: %pV; the table is refused, report it to the firmware's vendor\n",
	       block->name, block->offset, &vaf);
	va_end(args);
	return -EINVAL;
}

/* Free a list of structures of @type, each with its node. */
#define amd_free_all(list, type)					\
	do {								\
		type *pos, *next;					\
									\
		list_for_each_entry_safe(pos, next, list, node) {	\
			list_del(&pos->node);				\
			kfree(pos);					\
		}							\
	} while (0)

static void amd_ivhd_free(struct amd_ivhd *ivhd)
{
	amd_free_all(&ivhd->devids, struct amd_devids);
	amd_free_all(&ivhd->specials, struct amd_special);
	amd_free_all(&ivhd->hids, struct amd_hid);
	kfree(ivhd);
}

/* Entries of a unit's block */

/**
 * struct amd_range - a range that has begun and not ended
 * @type: type of the entry that began it, 0 for none
 * @devids: what it will be
 * @offset: where it began
 */
struct amd_range {
	u8 type;
	struct amd_devids devids;
	u32 offset;
};

static void amd_ivhd_reaches(struct amd_ivhd *ivhd, u16 devid)
{
	ivhd->last_devid = max(ivhd->last_devid, devid);
}

static int amd_add_devids(struct amd_ivhd *ivhd, const struct amd_devids *devids)
{
	struct amd_devids *copy = kmemdup(devids, sizeof(*devids), GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	list_add_tail(&copy->node, &ivhd->devids);
	amd_ivhd_reaches(ivhd, copy->last);
	if (copy->aliased)
		amd_ivhd_reaches(ivhd, copy->alias);
	return 0;
}

/* 5.2.2.7: what raises interrupts and is no PCI device. */
static int amd_parse_special(struct amd_ivhd *ivhd, const struct amd_block *entry)
{
	const struct acpi_ivrs_device8c *e = (const void *)entry->data;
	struct amd_special *special = kzalloc(sizeof(*special), GFP_KERNEL);

	if (!special)
		return -ENOMEM;
	special->variety = e->variety;
	special->handle = e->handle;
	special->devid = e->used_id;
	list_add_tail(&special->node, &ivhd->specials);
	amd_ivhd_reaches(ivhd, special->devid);
	return 0;
}

/* 5.2.2.6 */
static int amd_parse_hid(struct amd_ivhd *ivhd, const struct amd_block *entry)
{
	const struct acpi_ivrs_device_hid *e = (const void *)entry->data;
	const u8 *uid = entry->data + AMD_HID_SIZE;
	struct amd_hid *hid;
	u64 number;

	if (e->uid_type > ACPI_IVRS_UID_IS_STRING)
		return amd_refuse(entry, "unique ID of type %u, the highest is 2", e->uid_type);
	if (e->uid_type == ACPI_IVRS_UID_IS_INTEGER && e->uid_length != sizeof(number))
		return amd_refuse(entry, "an integer unique ID of %u bytes instead of 8",
				  e->uid_length);
	if (!e->acpi_hid)
		return amd_refuse(entry, "its hardware ID is empty");

	hid = kzalloc(sizeof(*hid), GFP_KERNEL);
	if (!hid)
		return -ENOMEM;
	hid->devid = e->header.id;
	hid->settings = e->header.data_setting;
	memcpy(hid->hid, &e->acpi_hid, sizeof(e->acpi_hid));
	if (e->uid_type == ACPI_IVRS_UID_IS_INTEGER) {
		memcpy(&number, uid, sizeof(number));
		snprintf(hid->uid, sizeof(hid->uid), "%llu", number);
	} else if (e->uid_type == ACPI_IVRS_UID_IS_STRING) {
		memcpy(hid->uid, uid, e->uid_length);
	}
	list_add_tail(&hid->node, &ivhd->hids);
	amd_ivhd_reaches(ivhd, hid->devid);
	return 0;
}

/* The end of a range: 5.2.2.4, start and end are of the range. */
static int amd_end_range(struct amd_ivhd *ivhd, const struct amd_block *entry,
			 struct amd_range *range, u16 last)
{
	if (!range->type)
		return amd_refuse(entry, "it ends a range that nothing began");
	range->type = 0;
	range->devids.last = last;
	if (last < range->devids.first)
		return amd_refuse(entry, "it ends at 0x%04x the range that began at 0x%04x",
				  last, range->devids.first);
	return amd_add_devids(ivhd, &range->devids);
}

/* 5.2.2.4 to 5.2.2.7: one entry, whose length is known to lie in its block. */
static int amd_parse_entry(struct amd_ivhd *ivhd, const struct amd_block *entry,
			   struct amd_range *range)
{
	const struct acpi_ivrs_de_header *e = (const void *)entry->data;
	const struct acpi_ivrs_device8a *alias = (const void *)e;
	const struct acpi_ivrs_device8b *ext = (const void *)e;
	struct amd_devids devids = {
		.first = e->id,
		.last = e->id,
		.settings = e->data_setting,
	};

	if (e->type == ACPI_IVRS_TYPE_PAD4 || e->type == ACPI_IVRS_TYPE_PAD8)
		return 0;
	if (e->type == ACPI_IVRS_TYPE_END)
		return amd_end_range(ivhd, entry, range, e->id);
	if (range->type)
		return amd_refuse(entry, "the range that began at 0x%x has not ended",
				  range->offset);

	switch (e->type) {
	case ACPI_IVRS_TYPE_ALL:
		devids.first = 0;
		devids.last = U16_MAX;
		return amd_add_devids(ivhd, &devids);
	case ACPI_IVRS_TYPE_ALIAS_SELECT:
	case ACPI_IVRS_TYPE_ALIAS_START:
		devids.aliased = true;
		devids.alias = alias->used_id;
		break;
	case ACPI_IVRS_TYPE_EXT_SELECT:
	case ACPI_IVRS_TYPE_EXT_START:
		devids.no_ats = ext->extended_data & ACPI_IVHD_ATS_DISABLED;
		break;
	case ACPI_IVRS_TYPE_SELECT:
	case ACPI_IVRS_TYPE_START:
		break;
	case ACPI_IVRS_TYPE_SPECIAL:
		return amd_parse_special(ivhd, entry);
	case ACPI_IVRS_TYPE_HID:
		return amd_parse_hid(ivhd, entry);
	default:
		/* Reserved. */
		return 0;
	}

	switch (e->type) {
	case ACPI_IVRS_TYPE_START:
	case ACPI_IVRS_TYPE_ALIAS_START:
	case ACPI_IVRS_TYPE_EXT_START:
		*range = (struct amd_range){ e->type, devids, entry->offset };
		return 0;
	default:
		return amd_add_devids(ivhd, &devids);
	}
}

/* The length of an entry of which at least the header is there, or 0. */
static u32 amd_entry_length(const u8 *data, u32 left)
{
	if (data[0] == ACPI_IVRS_TYPE_HID)
		return left < AMD_HID_SIZE ? 0 : AMD_HID_SIZE + data[AMD_HID_SIZE - 1];
	/* 5.2.2.3: the type's two highest bits; the two lengths that are defined. */
	switch (FIELD_GET(ACPI_IVHD_ENTRY_LENGTH, data[0])) {
	case 0:
		return 4;
	case 1:
		return 8;
	default:
		return 0;
	}
}

static int amd_parse_entries(struct amd_ivhd *ivhd, const struct amd_block *block, u32 at)
{
	struct amd_block entry = { .name = "IVHD entry" };
	struct amd_range range = { };
	u32 left;
	int ret;

	for (; at < block->length; at += entry.length) {
		entry.data = block->data + at;
		entry.offset = block->offset + at;
		left = block->length - at;
		if (left < sizeof(struct acpi_ivrs_de_header))
			return amd_refuse(&entry, "%u bytes are left, too few for an entry", left);
		entry.length = amd_entry_length(entry.data, left);
		if (!entry.length)
			return amd_refuse(&entry, "type 0x%02x, whose length is not known",
					  entry.data[0]);
		if (entry.length > left)
			return amd_refuse(&entry,
					  "length %u runs past the block's end, %u bytes are left",
					  entry.length, left);
		ret = amd_parse_entry(ivhd, &entry, &range);
		if (ret)
			return ret;
	}
	entry.offset = range.offset;
	return range.type ? amd_refuse(&entry, "the range that it begins is never ended") : 0;
}

/* 5.2.2: a unit */

static bool amd_overlap(u64 base, u64 last, u64 other_base, u64 other_last)
{
	return base <= other_last && other_base <= last;
}

static int amd_check_base(const struct amd_firmware *fw, const struct amd_block *block,
			  const struct amd_ivhd *ivhd)
{
	const struct amd_ivhd *other;
	u64 last;

	if (!ivhd->base)
		return amd_refuse(block, "the register base is 0");
	if (!IS_ALIGNED(ivhd->base, AMD_REGS_SIZE))
		return amd_refuse(block, "register base 0x%llx is not 16K aligned", ivhd->base);
	if (check_add_overflow(ivhd->base, AMD_REGS_SIZE - 1, &last) || last >> 52)
		return amd_refuse(block, "registers at 0x%llx lie beyond 52 address bits",
				  ivhd->base);
	if (amd_overlap(ivhd->base, last, AMD_MSI_FIRST, AMD_MSI_LAST))
		return amd_refuse(block, "registers at 0x%llx overlap the interrupt range",
				  ivhd->base);
	list_for_each_entry(other, &fw->ivhds, node)
		if (amd_overlap(ivhd->base, last, other->base, other->base + AMD_REGS_SIZE - 1))
			return amd_refuse(block,
					  "registers at 0x%llx overlap those of the IVHD at 0x%x",
					  ivhd->base, other->offset);
	return 0;
}

/* The block that describes the same unit already, if any. */
static struct amd_ivhd *amd_same_unit(const struct amd_firmware *fw, const struct amd_ivhd *ivhd)
{
	struct amd_ivhd *other;

	list_for_each_entry(other, &fw->ivhds, node)
		if (other->segment == ivhd->segment && other->devid == ivhd->devid &&
		    other->cap == ivhd->cap)
			return other;
	return NULL;
}

/* Put a block in its place: in another's, at the end, or nowhere. */
static int amd_place(struct amd_firmware *fw, const struct amd_block *block,
		     struct amd_ivhd *ivhd)
{
	struct amd_ivhd *other = amd_same_unit(fw, ivhd), *last;
	int ret;

	if (!other) {
		ret = amd_check_base(fw, block, ivhd);
		if (ret)
			return ret;
		if (!list_empty(&fw->ivhds)) {
			last = list_last_entry(&fw->ivhds, struct amd_ivhd, node);
			ivhd->index = last->index + 1;
		}
		if (ivhd->index >= AMD_MAX_UNITS)
			return amd_refuse(block, "the table has more than %u units",
					  AMD_MAX_UNITS);
		list_add_tail(&ivhd->node, &fw->ivhds);
		return 0;
	}
	if (other->base != ivhd->base)
		return amd_refuse(block,
				  "registers at 0x%llx, but the IVHD at 0x%x has them at 0x%llx",
				  ivhd->base, other->offset, other->base);
	if (other->type == ivhd->type)
		return amd_refuse(block, "the unit is listed twice, first by the IVHD at 0x%x",
				  other->offset);
	if (other->type > ivhd->type) {
		amd_ivhd_free(ivhd);
		return 0;
	}
	ivhd->index = other->index;
	list_replace(&other->node, &ivhd->node);
	amd_ivhd_free(other);
	return 0;
}

static int amd_parse_ivhd(struct amd_firmware *fw, const struct amd_block *block)
{
	const struct acpi_ivrs_hardware_10 *h10 = (const void *)block->data;
	const struct acpi_ivrs_hardware_11 *h11 = (const void *)block->data;
	u8 type = h10->header.type;
	u32 size = type == ACPI_IVRS_TYPE_HARDWARE1 ? sizeof(*h10) : sizeof(*h11);
	struct amd_ivhd *ivhd;
	int ret;

	if (block->length < size)
		return amd_refuse(block, "length %u is shorter than %u", block->length, size);

	ivhd = kzalloc(sizeof(*ivhd), GFP_KERNEL);
	if (!ivhd)
		return -ENOMEM;
	INIT_LIST_HEAD(&ivhd->devids);
	INIT_LIST_HEAD(&ivhd->specials);
	INIT_LIST_HEAD(&ivhd->hids);
	ivhd->type = type;
	ivhd->flags = h10->header.flags;
	ivhd->segment = h10->pci_segment_group;
	ivhd->devid = h10->header.device_id;
	ivhd->cap = h10->capability_offset;
	ivhd->base = h10->base_address;
	ivhd->msi = FIELD_GET(ACPI_IVHD_MSI_NUMBER_MASK, h10->info);
	if (type != ACPI_IVRS_TYPE_HARDWARE1)
		ivhd->efr = h11->efr_register_image;
	ivhd->offset = block->offset;

	ret = amd_parse_entries(ivhd, block, size);
	if (!ret)
		ret = amd_place(fw, block, ivhd);
	if (ret)
		amd_ivhd_free(ivhd);
	return ret;
}

/* 5.2.3: memory that devices use behind the kernel's back. */
static int amd_parse_ivmd(struct amd_firmware *fw, const struct amd_block *block)
{
	const struct acpi_ivrs_memory *m = (const void *)block->data;
	struct amd_ivmd *ivmd;
	u8 flags;
	u64 end;

	if (block->length < sizeof(*m))
		return amd_refuse(block, "length %u is shorter than %zu", block->length,
				  sizeof(*m));
	flags = m->header.flags;
	/* Neither mapped one to one nor excluded from translation. */
	if (!(flags & (ACPI_IVMD_UNITY | ACPI_IVMD_EXCLUSION_RANGE)))
		return 0;
	if (!m->memory_length)
		return amd_refuse(block, "its memory at 0x%llx has no length", m->start_address);
	if (check_add_overflow(m->start_address, m->memory_length - 1, &end) || end >> 52)
		return amd_refuse(block,
				  "memory at 0x%llx, length 0x%llx, lies beyond 52 address bits",
				  m->start_address, m->memory_length);
	if (amd_overlap(m->start_address, end, AMD_MSI_FIRST, AMD_MSI_LAST))
		return amd_refuse(block,
				  "memory at 0x%llx, length 0x%llx, overlaps the interrupt range",
				  m->start_address, m->memory_length);
	if (m->header.type == ACPI_IVRS_TYPE_MEMORY3 && m->aux_data < m->header.device_id)
		return amd_refuse(block, "its devices end at 0x%04x and begin at 0x%04x",
				  m->aux_data, m->header.device_id);

	ivmd = kzalloc(sizeof(*ivmd), GFP_KERNEL);
	if (!ivmd)
		return -ENOMEM;
	/* 5.2.3: the segment is in the first of the bytes that were reserved. */
	ivmd->segment = m->reserved & U16_MAX;
	ivmd->base = m->start_address & PAGE_MASK;
	ivmd->end = end | (SZ_4K - 1);
	/* What is not translated may be read and written. */
	ivmd->read = flags & (ACPI_IVMD_READ | ACPI_IVMD_EXCLUSION_RANGE);
	ivmd->write = flags & (ACPI_IVMD_WRITE | ACPI_IVMD_EXCLUSION_RANGE);
	switch (m->header.type) {
	case ACPI_IVRS_TYPE_MEMORY1:
		ivmd->last = U16_MAX;
		break;
	case ACPI_IVRS_TYPE_MEMORY2:
		ivmd->first = m->header.device_id;
		ivmd->last = m->header.device_id;
		break;
	default:
		ivmd->first = m->header.device_id;
		ivmd->last = m->aux_data;
	}
	list_add_tail(&ivmd->node, &fw->ivmds);
	return 0;
}

/* The table */

/* Refuse when two units of a segment translate the same device ID. */
static int amd_check_owners(const struct amd_firmware *fw)
{
	struct amd_block block = { .name = "IVHD" };
	const struct amd_ivhd *a, *b;
	const struct amd_devids *r;
	unsigned long *theirs, *own;
	int ret = 0;

	theirs = bitmap_zalloc(U16_MAX + 1, GFP_KERNEL);
	own = bitmap_zalloc(U16_MAX + 1, GFP_KERNEL);
	if (!theirs || !own)
		ret = -ENOMEM;
	list_for_each_entry(a, &fw->ivhds, node) {
		if (ret)
			break;
		bitmap_zero(theirs, U16_MAX + 1);
		bitmap_zero(own, U16_MAX + 1);
		list_for_each_entry(b, &fw->ivhds, node) {
			if (b == a)
				break;
			if (b->segment == a->segment)
				list_for_each_entry(r, &b->devids, node)
					bitmap_set(theirs, r->first, r->last - r->first + 1);
		}
		list_for_each_entry(r, &a->devids, node)
			bitmap_set(own, r->first, r->last - r->first + 1);
		bitmap_and(own, own, theirs, U16_MAX + 1);
		block.offset = a->offset;
		if (!bitmap_empty(own, U16_MAX + 1))
			ret = amd_refuse(&block,
					 "device ID 0x%04lx belongs to another unit already",
					 find_first_bit(own, U16_MAX + 1));
	}
	bitmap_free(theirs);
	bitmap_free(own);
	return ret;
}

static int amd_parse_block(struct amd_firmware *fw, struct amd_block *block)
{
	switch (block->data[0]) {
	case ACPI_IVRS_TYPE_HARDWARE1:
	case ACPI_IVRS_TYPE_HARDWARE2:
	case ACPI_IVRS_TYPE_HARDWARE3:
		block->name = "IVHD";
		return amd_parse_ivhd(fw, block);
	case ACPI_IVRS_TYPE_MEMORY1:
	case ACPI_IVRS_TYPE_MEMORY2:
	case ACPI_IVRS_TYPE_MEMORY3:
		block->name = "IVMD";
		return amd_parse_ivmd(fw, block);
	default:
		/* Reserved. */
		return 0;
	}
}

static int amd_parse_table(struct amd_firmware *fw, const u8 *table, size_t len)
{
	const struct acpi_table_ivrs *ivrs = (const void *)table;
	struct amd_block block = { .name = "table" };
	u32 at, length;
	u8 sum = 0;
	int ret = 0;

	if (len < sizeof(*ivrs))
		return amd_refuse(&block, "%zu bytes are too few for a header", len);
	length = ivrs->header.length;
	if (memcmp(ivrs->header.signature, ACPI_SIG_IVRS, 4))
		return amd_refuse(&block, "the signature is not IVRS");
	if (length < sizeof(*ivrs) || length > len)
		return amd_refuse(&block, "length %u, of %zu bytes that there are", length, len);
	for (at = 0; at < length; at++)
		sum += table[at];
	if (sum)
		return amd_refuse(&block, "the bytes add up to 0x%02x, not to 0: bad checksum",
				  sum);
	fw->remapped = ivrs->info & AMD_IVINFO_REMAPPED;

	for (at = sizeof(*ivrs); at < length && !ret; at += block.length) {
		const struct acpi_ivrs_header *head = (const void *)(table + at);

		block = (struct amd_block){ "block", table + at, at, 0 };
		if (length - at < sizeof(*head))
			return amd_refuse(&block, "%u bytes are left, too few for a block",
					  length - at);
		block.length = head->length;
		if (block.length < sizeof(*head))
			return amd_refuse(&block, "length %u is shorter than %zu", block.length,
					  sizeof(*head));
		if (block.length > length - at)
			return amd_refuse(&block,
					  "length %u runs past the table's end, %u bytes are left",
					  block.length, length - at);
		ret = amd_parse_block(fw, &block);
	}
	if (ret)
		return ret;
	block = (struct amd_block){ "table", table, 0, length };
	if (list_empty(&fw->ivhds))
		return amd_refuse(&block, "it has no IVHD, so no unit");
	return amd_check_owners(fw);
}

int amd_firmware_parse(struct amd_firmware *fw, const void *table, size_t len)
{
	int ret;

	memset(fw, 0, sizeof(*fw));
	INIT_LIST_HEAD(&fw->ivhds);
	INIT_LIST_HEAD(&fw->ivmds);
	ret = amd_parse_table(fw, table, len);
	if (ret)
		amd_firmware_free(fw);
	return ret;
}

static bool amd_in_ram(u64 base, u64 size)
{
	return region_intersects(base, size, IORESOURCE_SYSTEM_RAM,
				 IORES_DESC_NONE) != REGION_DISJOINT;
}

/* What only the running kernel knows: which addresses are its memory. */
static int amd_check_memory(const struct amd_firmware *fw)
{
	struct amd_block block = { .name = "IVHD" };
	const struct amd_ivhd *ivhd;
	const struct amd_ivmd *ivmd;

	list_for_each_entry(ivhd, &fw->ivhds, node) {
		block.offset = ivhd->offset;
		if (amd_in_ram(ivhd->base, AMD_REGS_SIZE))
			return amd_refuse(&block, "registers at 0x%llx lie in RAM", ivhd->base);
	}
	/* Works all the same: so no more than a warning. */
	list_for_each_entry(ivmd, &fw->ivmds, node)
		if (amd_in_ram(ivmd->base, ivmd->end - ivmd->base + 1))
			pr_warn("IVRS: IVMD of 0x%llx-0x%llx lies in RAM that the firmware left to the kernel, report it to the firmware's vendor\n",
				ivmd->base, ivmd->end);
	return 0;
}

int amd_firmware_read(struct amd_firmware *fw)
{
	struct acpi_table_header *table = NULL;
	int ret;

	memset(fw, 0, sizeof(*fw));
	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_IVRS, 0, &table)) || !table) {
		amd_firmware_free(fw);
		return -ENODEV;
	}
	ret = amd_firmware_parse(fw, table, table->length);
	acpi_put_table(table);
	if (ret)
		return ret;
	ret = amd_check_memory(fw);
	if (ret)
		amd_firmware_free(fw);
	return ret;
}

void amd_firmware_free(struct amd_firmware *fw)
{
	struct amd_ivhd *ivhd, *next;

	if (!fw->ivhds.next)
		INIT_LIST_HEAD(&fw->ivhds);
	if (!fw->ivmds.next)
		INIT_LIST_HEAD(&fw->ivmds);
	list_for_each_entry_safe(ivhd, next, &fw->ivhds, node) {
		list_del(&ivhd->node);
		amd_ivhd_free(ivhd);
	}
	amd_free_all(&fw->ivmds, struct amd_ivmd);
}

/* Looking up */

const struct amd_devids *amd_firmware_devids(const struct amd_ivhd *ivhd, u16 devid)
{
	const struct amd_devids *range;

	list_for_each_entry_reverse(range, &ivhd->devids, node)
		if (devid >= range->first && devid <= range->last)
			return range;
	return NULL;
}

struct amd_ivhd *amd_firmware_find(const struct amd_firmware *fw, u16 segment, u16 devid)
{
	struct amd_ivhd *ivhd;

	list_for_each_entry(ivhd, &fw->ivhds, node)
		if (ivhd->segment == segment && amd_firmware_devids(ivhd, devid))
			return ivhd;
	return NULL;
}
