// SPDX-License-Identifier: GPL-2.0
/*
 * The ACPI DMAR table (VT-d chapter 8): parsing, and looking devices up in it.
 *
 * A table is taken whole or refused whole: the first defect is reported with
 * the structure's name and its byte offset in the table, and what was parsed
 * until then is freed. Refused is what would make us program hardware wrongly
 * or leave in doubt which unit translates a device. What the specification
 * reserves for the future is skipped, and what shipping firmware gets wrong
 * without consequence is accepted.
 *
 * Every length is checked before the bytes it covers are read, and the structs
 * of <acpi/actbl1.h> are packed, so a table may be of any size and alignment.
 *
 * Device scopes are kept as the paths that the table gives and compared with
 * the PCI hierarchy at each lookup. Nothing has to be updated when bus numbers
 * change or devices come and go.
 */
#include "../include/compat.h"

#include <linux/acpi.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/overflow.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "firmware.h"
#include "regs.h"

/* Far above any machine's, low enough to compare each unit with all others. */
#define VTD_MAX_UNITS		1024

/* VT-d 8.3: the registers take 2^N 4K pages, N in bits 3:0. */
#define VTD_DRHD_SIZE_LG2	GENMASK(3, 0)

/*
 * struct vtd_record - one remapping structure (VT-d 8.2) that lies in the table
 * @name: what messages call it
 * @scope_name: what messages call an entry of its device scope
 * @data: its first byte
 * @offset: byte offset of @data in the table
 * @length: its length, header included
 */
struct vtd_record {
	const char *name;
	const char *scope_name;
	const u8 *data;
	u32 offset;
	u16 length;
};

/* A PCI device that the structure at @offset names, for finding repeats. */
struct vtd_claim {
	const struct vtd_scope *scope;
	u32 offset;
	u16 segment;
};

/* VT-d 8.2; types above these are reserved and skipped. */
static const struct {
	const char *name;
	const char *scope_name;
	u16 size;
} vtd_types[] = {
	[ACPI_DMAR_TYPE_HARDWARE_UNIT] = {
		"DRHD", "DRHD scope", sizeof(struct acpi_dmar_hardware_unit) },
	[ACPI_DMAR_TYPE_RESERVED_MEMORY] = {
		"RMRR", "RMRR scope", sizeof(struct acpi_dmar_reserved_memory) },
	[ACPI_DMAR_TYPE_ROOT_ATS] = {
		"ATSR", "ATSR scope", sizeof(struct acpi_dmar_atsr) },
	[ACPI_DMAR_TYPE_HARDWARE_AFFINITY] = {
		"RHSA", NULL, sizeof(struct acpi_dmar_rhsa) },
	[ACPI_DMAR_TYPE_NAMESPACE] = {
		"ANDD", NULL, offsetof(struct acpi_dmar_andd, device_name) },
	[ACPI_DMAR_TYPE_SATC] = {
		"SATC", "SATC scope", sizeof(struct acpi_dmar_satc) },
};

/* One message a refused table: what, where, what is wrong, what to do. */
static __printf(2, 3) int vtd_refuse(const struct vtd_record *rec,
				     const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	if (vtd_firmware_heard(rec->name, rec->offset))
		return -EINVAL;
	va_start(args, fmt);
	vaf.va = &args;
	pr_err("DMAR: %s at 0x%x: %pV; the table is refused, report it to the firmware's vendor\n",
	       rec->name, rec->offset, &vaf);
	va_end(args);
	return -EINVAL;
}

static bool vtd_overlap(u64 base, u64 last, u64 other_base, u64 other_last)
{
	return base <= other_last && other_base <= last;
}

static void vtd_scopes_free(struct list_head *scopes)
{
	struct vtd_scope *scope, *next;

	list_for_each_entry_safe(scope, next, scopes, node) {
		list_del(&scope->node);
		kfree(scope);
	}
}

/* Free a list of structures of @type, each with its node and its scopes. */
#define vtd_free_all(list, type)					\
	do {								\
		type *pos, *next;					\
									\
		list_for_each_entry_safe(pos, next, list, node) {	\
			vtd_scopes_free(&pos->scopes);			\
			list_del(&pos->node);				\
			kfree(pos);					\
		}							\
	} while (0)

/* Only these name PCI devices that do DMA; the others name interrupt sources. */
static bool vtd_scope_is_pci(const struct vtd_scope *scope)
{
	return scope->type == ACPI_DMAR_SCOPE_TYPE_ENDPOINT ||
	       scope->type == ACPI_DMAR_SCOPE_TYPE_BRIDGE;
}

/* Collect the PCI devices of a list; with no array, only count them. */
static size_t vtd_claims_add(struct vtd_claim *claims, size_t n, u16 segment,
			     u32 offset, const struct list_head *scopes)
{
	const struct vtd_scope *scope;

	list_for_each_entry(scope, scopes, node) {
		if (!vtd_scope_is_pci(scope))
			continue;
		if (claims)
			claims[n] = (struct vtd_claim){ scope, offset, segment };
		n++;
	}
	return n;
}

static int vtd_claim_cmp(const void *a, const void *b)
{
	const struct vtd_claim *x = a, *y = b;

	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	if (x->scope->start_bus != y->scope->start_bus)
		return x->scope->start_bus < y->scope->start_bus ? -1 : 1;
	if (x->scope->path_len != y->scope->path_len)
		return x->scope->path_len < y->scope->path_len ? -1 : 1;
	return memcmp(x->scope->path, y->scope->path,
		      x->scope->path_len * sizeof(x->scope->path[0]));
}

/* Refuse when two of the @n claims name the same device. Frees @claims. */
static int vtd_claims_check(const char *name, struct vtd_claim *claims,
			    size_t n)
{
	struct vtd_record rec = { .name = name };
	const struct vtd_scope *scope;
	int ret = 0;
	size_t i;
	u8 hop;

	sort(claims, n, sizeof(*claims), vtd_claim_cmp, NULL);
	for (i = 1; i < n && !ret; i++) {
		if (vtd_claim_cmp(&claims[i - 1], &claims[i]))
			continue;
		scope = claims[i].scope;
		hop = scope->path_len - 1;
		rec.offset = max(claims[i - 1].offset, claims[i].offset);
		ret = vtd_refuse(&rec,
				 "device %02x.%u, %u hops from bus 0x%02x, is listed twice, first by the %s at 0x%x",
				 scope->path[hop].dev, scope->path[hop].fn,
				 scope->path_len, scope->start_bus, name,
				 min(claims[i - 1].offset, claims[i].offset));
	}
	kvfree(claims);
	return ret;
}

static int vtd_scopes_check(const struct vtd_record *rec,
			    const struct list_head *scopes)
{
	struct vtd_claim *claims;
	size_t n;

	n = vtd_claims_add(NULL, 0, 0, rec->offset, scopes);
	if (n < 2)
		return 0;
	claims = kvmalloc_array(n, sizeof(*claims), GFP_KERNEL);
	if (!claims)
		return -ENOMEM;
	vtd_claims_add(claims, 0, 0, rec->offset, scopes);
	return vtd_claims_check(rec->name, claims, n);
}

/* VT-d 8.3.1: one entry, whose length is known to lie in its structure. */
static int vtd_parse_scope(const struct vtd_record *rec,
			   struct list_head *scopes)
{
	const struct acpi_dmar_device_scope *head = (const void *)rec->data;
	const struct acpi_dmar_pci_path *path = (const void *)(head + 1);
	size_t bytes = head->length - sizeof(*head);
	struct vtd_scope *scope;
	u8 len, i;

	if (head->entry_type == ACPI_DMAR_SCOPE_TYPE_NOT_USED ||
	    head->entry_type >= ACPI_DMAR_SCOPE_TYPE_RESERVED)
		return 0;

	if (!bytes)
		return vtd_refuse(rec, "it has no path");
	if (bytes % sizeof(*path))
		return vtd_refuse(rec, "length %u leaves half a hop at the path's end",
				  head->length);
	len = bytes / sizeof(*path);
	for (i = 0; i < len; i++)
		if (path[i].device > 31 || path[i].function > 7)
			return vtd_refuse(rec,
					  "hop %u of the path is device %u function %u, the highest are 31 and 7",
					  i, path[i].device, path[i].function);

	scope = kzalloc(struct_size(scope, path, len), GFP_KERNEL);
	if (!scope)
		return -ENOMEM;
	scope->path_len = len;
	scope->type = head->entry_type;
	scope->enum_id = head->enumeration_id;
	scope->start_bus = head->bus;
	for (i = 0; i < len; i++) {
		scope->path[i].dev = path[i].device;
		scope->path[i].fn = path[i].function;
	}
	list_add_tail(&scope->node, scopes);
	return 0;
}

/* The rest of a structure from @at on is its device scope. */
static int vtd_parse_scopes(const struct vtd_record *rec, u32 at,
			    struct list_head *scopes)
{
	const struct acpi_dmar_device_scope *head;
	u32 left;
	int ret;

	for (; at < rec->length; at += head->length) {
		struct vtd_record entry = {
			.name = rec->scope_name,
			.data = rec->data + at,
			.offset = rec->offset + at,
		};

		head = (const void *)entry.data;
		left = rec->length - at;
		if (left < sizeof(*head))
			return vtd_refuse(&entry, "%u bytes are left, too few for an entry",
					  left);
		if (head->length < sizeof(*head))
			return vtd_refuse(&entry, "length %u is shorter than %zu",
					  head->length, sizeof(*head));
		if (head->length > left)
			return vtd_refuse(&entry,
					  "length %u runs past the %s's end, %u bytes are left",
					  head->length, rec->name, left);
		entry.length = head->length;
		ret = vtd_parse_scope(&entry, scopes);
		if (ret)
			return ret;
	}
	return vtd_scopes_check(rec, scopes);
}

/* VT-d 8.3: where the registers may be, given what was parsed before. */
static int vtd_check_drhd(const struct vtd_firmware *fw,
			  const struct vtd_record *rec,
			  const struct vtd_drhd *drhd)
{
	const struct vtd_drhd *other;
	const struct vtd_rmrr *rmrr;
	u64 last;

	if (drhd->index >= VTD_MAX_UNITS)
		return vtd_refuse(rec, "the table has more than %u units",
				  VTD_MAX_UNITS);
	if (!drhd->base)
		return vtd_refuse(rec, "the register base is 0");
	if (!IS_ALIGNED(drhd->base, SZ_4K))
		return vtd_refuse(rec, "register base 0x%llx is not 4K aligned",
				  drhd->base);
	if (check_add_overflow(drhd->base, drhd->size - 1, &last) ||
	    (fw->width < 64 && last >> fw->width))
		return vtd_refuse(rec,
				  "registers at 0x%llx, size 0x%llx, lie beyond the host's %u address bits",
				  drhd->base, drhd->size, fw->width);
	if (vtd_overlap(drhd->base, last, VTD_MSI_FIRST, VTD_MSI_LAST))
		return vtd_refuse(rec,
				  "registers at 0x%llx, size 0x%llx, overlap the interrupt range",
				  drhd->base, drhd->size);

	list_for_each_entry(other, &fw->drhds, node) {
		if (vtd_overlap(drhd->base, last, other->base,
				other->base + other->size - 1))
			return vtd_refuse(rec,
					  "registers at 0x%llx, size 0x%llx, overlap those of the DRHD at 0x%x",
					  drhd->base, drhd->size,
					  other->offset);
		if (drhd->include_all && other->include_all &&
		    drhd->segment == other->segment)
			return vtd_refuse(rec,
					  "segment 0x%04x has an INCLUDE_PCI_ALL unit already, the DRHD at 0x%x",
					  drhd->segment, other->offset);
	}
	list_for_each_entry(rmrr, &fw->rmrrs, node)
		if (vtd_overlap(drhd->base, last, rmrr->base, rmrr->last))
			return vtd_refuse(rec,
					  "registers at 0x%llx, size 0x%llx, overlap the RMRR of 0x%llx-0x%llx",
					  drhd->base, drhd->size, rmrr->base,
					  rmrr->last);
	return 0;
}

static int vtd_parse_drhd(struct vtd_firmware *fw, const struct vtd_record *rec)
{
	const struct acpi_dmar_hardware_unit *raw = (const void *)rec->data;
	struct vtd_drhd *drhd;
	int ret;

	drhd = kzalloc(sizeof(*drhd), GFP_KERNEL);
	if (!drhd)
		return -ENOMEM;
	INIT_LIST_HEAD(&drhd->scopes);
	drhd->segment = raw->segment;
	drhd->include_all = raw->flags & ACPI_DMAR_INCLUDE_ALL;
	drhd->base = raw->address;
	drhd->size = (u64)SZ_4K << (raw->size & VTD_DRHD_SIZE_LG2);
	drhd->numa_node = NUMA_NO_NODE;
	drhd->offset = rec->offset;
	if (!list_empty(&fw->drhds))
		drhd->index = list_last_entry(&fw->drhds, struct vtd_drhd,
					      node)->index + 1;

	ret = vtd_check_drhd(fw, rec, drhd);
	/* On the list at once: whatever fails from here on, one free gets it. */
	list_add_tail(&drhd->node, &fw->drhds);
	if (ret)
		return ret;
	return vtd_parse_scopes(rec, sizeof(*raw), &drhd->scopes);
}

/* VT-d 8.4: would this identity mapping be possible, and safe to make? */
static int vtd_check_rmrr(const struct vtd_firmware *fw,
			  const struct vtd_record *rec,
			  const struct vtd_rmrr *rmrr)
{
	const struct vtd_drhd *drhd;

	if (rmrr->base > rmrr->last)
		return vtd_refuse(rec, "base 0x%llx is above limit 0x%llx",
				  rmrr->base, rmrr->last);
	if (!IS_ALIGNED(rmrr->base, SZ_4K) || !IS_ALIGNED(rmrr->last + 1, SZ_4K))
		return vtd_refuse(rec, "0x%llx-0x%llx does not begin and end on 4K boundaries",
				  rmrr->base, rmrr->last);
	if (fw->width < 64 && rmrr->last >> fw->width)
		return vtd_refuse(rec, "0x%llx-0x%llx lies beyond the host's %u address bits",
				  rmrr->base, rmrr->last, fw->width);
	if (vtd_overlap(rmrr->base, rmrr->last, VTD_MSI_FIRST, VTD_MSI_LAST))
		return vtd_refuse(rec, "0x%llx-0x%llx overlaps the interrupt range",
				  rmrr->base, rmrr->last);
	list_for_each_entry(drhd, &fw->drhds, node)
		if (vtd_overlap(rmrr->base, rmrr->last, drhd->base,
				drhd->base + drhd->size - 1))
			return vtd_refuse(rec,
					  "0x%llx-0x%llx overlaps the registers of the DRHD at 0x%x",
					  rmrr->base, rmrr->last, drhd->offset);
	return 0;
}

static int vtd_parse_rmrr(struct vtd_firmware *fw, const struct vtd_record *rec)
{
	const struct acpi_dmar_reserved_memory *raw = (const void *)rec->data;
	struct vtd_rmrr *rmrr;
	int ret;

	rmrr = kzalloc(sizeof(*rmrr), GFP_KERNEL);
	if (!rmrr)
		return -ENOMEM;
	INIT_LIST_HEAD(&rmrr->scopes);
	rmrr->segment = raw->segment;
	rmrr->base = raw->base_address;
	rmrr->last = raw->end_address;

	ret = vtd_check_rmrr(fw, rec, rmrr);
	list_add_tail(&rmrr->node, &fw->rmrrs);
	if (ret)
		return ret;
	ret = vtd_parse_scopes(rec, sizeof(*raw), &rmrr->scopes);
	/* The specification wants a device; firmware ships without, harmlessly. */
	if (!ret && list_empty(&rmrr->scopes) && !vtd_firmware_heard(rec->name, rec->offset))
		pr_warn("DMAR: RMRR at 0x%x: 0x%llx-0x%llx names no device and is not used\n",
			rec->offset, rmrr->base, rmrr->last);
	return ret;
}

static int vtd_parse_atsr(struct vtd_firmware *fw, const struct vtd_record *rec)
{
	const struct acpi_dmar_atsr *raw = (const void *)rec->data;
	struct vtd_atsr *atsr;

	atsr = kzalloc(sizeof(*atsr), GFP_KERNEL);
	if (!atsr)
		return -ENOMEM;
	INIT_LIST_HEAD(&atsr->scopes);
	atsr->segment = raw->segment;
	atsr->all_ports = raw->flags & ACPI_DMAR_ALL_PORTS;
	list_add_tail(&atsr->node, &fw->atsrs);
	return vtd_parse_scopes(rec, sizeof(*raw), &atsr->scopes);
}

static int vtd_parse_satc(struct vtd_firmware *fw, const struct vtd_record *rec)
{
	const struct acpi_dmar_satc *raw = (const void *)rec->data;
	struct vtd_satc *satc;

	satc = kzalloc(sizeof(*satc), GFP_KERNEL);
	if (!satc)
		return -ENOMEM;
	INIT_LIST_HEAD(&satc->scopes);
	satc->segment = raw->segment;
	/* VT-d 8.8, flags bit 0: ATC_REQUIRED. */
	satc->atc_required = raw->flags & BIT(0);
	list_add_tail(&satc->node, &fw->satcs);
	return vtd_parse_scopes(rec, sizeof(*raw), &satc->scopes);
}

/*
 * VT-d 8.7: a name that runs out of its structure is refused, as whoever reads
 * it next would. Namespace devices are not translated by this wing.
 */
static int vtd_parse_andd(const struct vtd_record *rec)
{
	size_t at = offsetof(struct acpi_dmar_andd, device_name);

	if (!memchr(rec->data + at, 0, rec->length - at))
		return vtd_refuse(rec, "the device's name has no terminating zero");
	return 0;
}

/* VT-d 8.6, once all units are known: firmware does not keep to the order. */
static void vtd_apply_rhsa(struct vtd_firmware *fw,
			   const struct vtd_record *rec)
{
	const struct acpi_dmar_rhsa *raw = (const void *)rec->data;
	struct vtd_drhd *drhd;
	int nid;

	list_for_each_entry(drhd, &fw->drhds, node) {
		if (drhd->base != raw->base_address)
			continue;
		nid = pxm_to_node(raw->proximity_domain);
		if (nid >= 0 && node_online(nid))
			drhd->numa_node = nid;
		return;
	}
	if (!vtd_firmware_heard(rec->name, rec->offset))
		pr_warn("DMAR: RHSA at 0x%x: no unit has its registers at 0x%llx, it is not used\n",
			rec->offset, raw->base_address);
}

static int vtd_parse_record(struct vtd_firmware *fw,
			    const struct vtd_record *rec, u16 type)
{
	switch (type) {
	case ACPI_DMAR_TYPE_HARDWARE_UNIT:
		return vtd_parse_drhd(fw, rec);
	case ACPI_DMAR_TYPE_RESERVED_MEMORY:
		return vtd_parse_rmrr(fw, rec);
	case ACPI_DMAR_TYPE_ROOT_ATS:
		return vtd_parse_atsr(fw, rec);
	case ACPI_DMAR_TYPE_NAMESPACE:
		return vtd_parse_andd(rec);
	case ACPI_DMAR_TYPE_SATC:
		return vtd_parse_satc(fw, rec);
	default:
		return 0;
	}
}

/* VT-d 8.2: frame the structure at @at and check that it lies in the table. */
static int vtd_frame(struct vtd_record *rec, u16 *type, const u8 *table,
		     u32 at, u32 length)
{
	const struct acpi_dmar_header *head = (const void *)(table + at);
	u32 left = length - at;
	u16 least = sizeof(*head);

	*rec = (struct vtd_record){
		.name = "structure",
		.data = table + at,
		.offset = at,
	};
	if (left < sizeof(*head))
		return vtd_refuse(rec, "%u bytes are left, too few for a structure",
				  left);
	*type = head->type;
	rec->length = head->length;
	if (*type < ARRAY_SIZE(vtd_types)) {
		rec->name = vtd_types[*type].name;
		rec->scope_name = vtd_types[*type].scope_name;
		least = vtd_types[*type].size;
	}

	if (rec->length < least)
		return vtd_refuse(rec, "length %u is shorter than %u",
				  rec->length, least);
	if (rec->length > left)
		return vtd_refuse(rec, "length %u runs past the table's end, %u bytes are left",
				  rec->length, left);
	return 0;
}

/* What concerns the table itself is reported for its first byte. */
static const struct vtd_record vtd_table = { .name = "table" };

/* VT-d 8.1: the table as a whole, before any structure is looked at. */
static int vtd_check_header(const struct acpi_table_dmar *dmar, size_t len)
{
	const u8 *bytes = (const u8 *)dmar;
	u32 length, i;
	u8 sum = 0;

	if (len < sizeof(*dmar))
		return vtd_refuse(&vtd_table, "%zu bytes are shorter than its header, %zu",
				  len, sizeof(*dmar));
	length = dmar->header.length;
	if (memcmp(dmar->header.signature, ACPI_SIG_DMAR, ACPI_NAMESEG_SIZE))
		return vtd_refuse(&vtd_table, "the signature is not " ACPI_SIG_DMAR);
	if (length < sizeof(*dmar))
		return vtd_refuse(&vtd_table, "length %u is shorter than its header, %zu",
				  length, sizeof(*dmar));
	if (length > len)
		return vtd_refuse(&vtd_table, "length %u, but there are only %zu bytes",
				  length, len);
	for (i = 0; i < length; i++)
		sum += bytes[i];
	if (sum)
		return vtd_refuse(&vtd_table, "the bytes add up to 0x%02x, not to 0: bad checksum",
				  sum);
	if (dmar->width + 1 < PAGE_SHIFT || dmar->width + 1 > 64)
		return vtd_refuse(&vtd_table, "a host address width of %u bits is impossible",
				  dmar->width + 1);
	return 0;
}

/* No device may have two explicit units (VT-d 8.3). */
static int vtd_check_owners(const struct vtd_firmware *fw)
{
	const struct vtd_drhd *drhd;
	struct vtd_claim *claims;
	size_t n = 0;

	list_for_each_entry(drhd, &fw->drhds, node)
		n = vtd_claims_add(NULL, n, 0, 0, &drhd->scopes);
	if (n < 2)
		return 0;
	claims = kvmalloc_array(n, sizeof(*claims), GFP_KERNEL);
	if (!claims)
		return -ENOMEM;
	n = 0;
	list_for_each_entry(drhd, &fw->drhds, node)
		n = vtd_claims_add(claims, n, drhd->segment, drhd->offset,
				   &drhd->scopes);
	return vtd_claims_check("DRHD", claims, n);
}

static int vtd_parse_table(struct vtd_firmware *fw, const u8 *table, size_t len)
{
	const struct acpi_table_dmar *dmar = (const void *)table;
	struct vtd_record rec;
	u32 at, length;
	u16 type;
	int ret;

	ret = vtd_check_header(dmar, len);
	if (ret)
		return ret;
	length = dmar->header.length;
	fw->width = dmar->width + 1;
	fw->flags = dmar->flags;

	for (at = sizeof(*dmar); at < length && !ret; at += rec.length) {
		ret = vtd_frame(&rec, &type, table, at, length);
		if (!ret)
			ret = vtd_parse_record(fw, &rec, type);
	}
	if (!ret && list_empty(&fw->drhds))
		ret = vtd_refuse(&vtd_table, "it has no DRHD, so no unit");
	if (!ret)
		ret = vtd_check_owners(fw);

	for (at = sizeof(*dmar); at < length && !ret; at += rec.length) {
		ret = vtd_frame(&rec, &type, table, at, length);
		if (!ret && type == ACPI_DMAR_TYPE_HARDWARE_AFFINITY)
			vtd_apply_rhsa(fw, &rec);
	}
	return ret;
}

/**
 * vtd_firmware_parse - parse the bytes of a DMAR table (VT-d 8.1 to 8.9)
 * @fw: filled in; what it held before is overwritten, not freed
 * @table: first byte of the table, of any alignment
 * @len: bytes that may be read from @table
 *
 * A function of the bytes alone, but for the NUMA node that the kernel gives an
 * RHSA's proximity domain. One message is printed when the table is refused.
 *
 * Context: Process context, may sleep for memory. Takes no lock.
 * Return: 0; -EINVAL when the table is malformed, or -ENOMEM, and then the lists
 * of @fw are empty.
 */
int vtd_firmware_parse(struct vtd_firmware *fw, const void *table, size_t len)
{
	int ret;

	memset(fw, 0, sizeof(*fw));
	INIT_LIST_HEAD(&fw->drhds);
	INIT_LIST_HEAD(&fw->rmrrs);
	INIT_LIST_HEAD(&fw->atsrs);
	INIT_LIST_HEAD(&fw->satcs);

	ret = vtd_parse_table(fw, table, len);
	if (ret)
		vtd_firmware_free(fw);
	return ret;
}

static bool vtd_in_ram(u64 base, u64 size)
{
	return region_intersects(base, size, IORESOURCE_SYSTEM_RAM,
				 IORES_DESC_NONE) != REGION_DISJOINT;
}

/* What only the running kernel knows: which addresses are its memory. */
static int vtd_check_memory(const struct vtd_firmware *fw)
{
	struct vtd_record rec = { .name = "DRHD" };
	const struct vtd_drhd *drhd;
	const struct vtd_rmrr *rmrr;

	list_for_each_entry(drhd, &fw->drhds, node) {
		rec.offset = drhd->offset;
		if (vtd_in_ram(drhd->base, drhd->size))
			return vtd_refuse(&rec, "registers at 0x%llx, size 0x%llx, lie in RAM",
					  drhd->base, drhd->size);
	}
	/* Shipped by several vendors, and works: so no more than a warning. */
	list_for_each_entry(rmrr, &fw->rmrrs, node)
		if (vtd_in_ram(rmrr->base, rmrr->last - rmrr->base + 1))
			pr_warn("DMAR: RMRR of 0x%llx-0x%llx lies in RAM that the firmware left to the kernel, report it to the firmware's vendor\n",
				rmrr->base, rmrr->last);
	return 0;
}

/**
 * vtd_firmware_read - find and parse this machine's DMAR table (VT-d 8.1)
 * @fw: filled in; what it held before is overwritten, not freed
 *
 * Nothing of the table is referred to afterwards.
 *
 * Context: Process context, may sleep for memory.
 * Return: 0; -ENODEV when the machine has no such table, -EINVAL when the table
 * is malformed, -ENOMEM. On error the lists of @fw are empty.
 */
int vtd_firmware_read(struct vtd_firmware *fw)
{
	struct acpi_table_header *table = NULL;
	int ret;

	memset(fw, 0, sizeof(*fw));
	if (ACPI_FAILURE(acpi_get_table(ACPI_SIG_DMAR, 0, &table)) || !table) {
		vtd_firmware_free(fw);
		return -ENODEV;
	}

	ret = vtd_firmware_parse(fw, table, table->length);
	acpi_put_table(table);
	if (ret)
		return ret;

	ret = vtd_check_memory(fw);
	if (ret)
		vtd_firmware_free(fw);
	return ret;
}

/**
 * vtd_firmware_free - free what a parse allocated (VT-d 8.1)
 * @fw: parsed, partly parsed, freed already or all zeroes
 *
 * The &vtd_drhd.unit pointers must not be needed any more. Leaves empty lists.
 *
 * Context: Any that may call kfree(). Nobody may be looking @fw up.
 */
void vtd_firmware_free(struct vtd_firmware *fw)
{
	struct list_head *lists[] = {
		&fw->drhds, &fw->rmrrs, &fw->atsrs, &fw->satcs
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lists); i++)
		if (!lists[i]->next)
			INIT_LIST_HEAD(lists[i]);

	vtd_free_all(&fw->drhds, struct vtd_drhd);
	vtd_free_all(&fw->rmrrs, struct vtd_rmrr);
	vtd_free_all(&fw->atsrs, struct vtd_atsr);
	vtd_free_all(&fw->satcs, struct vtd_satc);
}

/*
 * Is @pdev what the path leads to? Followed from the device up, by the bridges
 * there are now. The start bus should be a host bridge's, but firmware also
 * gives the device's own secondary bus and a single hop: both come out right.
 */
static bool vtd_path_leads_to(const struct vtd_scope *scope,
			      struct pci_dev *pdev)
{
	u8 i = scope->path_len;

	while (i--) {
		if (!pdev ||
		    PCI_SLOT(pdev->devfn) != scope->path[i].dev ||
		    PCI_FUNC(pdev->devfn) != scope->path[i].fn)
			return false;
		if (!i)
			return pdev->bus->number == scope->start_bus;
		pdev = pci_upstream_bridge(pdev);
	}
	return false;
}

/*
 * Does a scope name @pdev itself? @below: it is asked for a device below @pdev,
 * so only scopes that take a bridge with all that is under it count.
 */
static bool vtd_scopes_name(const struct list_head *scopes,
			    struct pci_dev *pdev, bool below)
{
	const struct vtd_scope *scope;

	list_for_each_entry(scope, scopes, node) {
		if (!vtd_scope_is_pci(scope))
			continue;
		if (below && scope->type != ACPI_DMAR_SCOPE_TYPE_BRIDGE)
			continue;
		if (vtd_path_leads_to(scope, pdev))
			return true;
	}
	return false;
}

/**
 * vtd_scope_match - is a device in a device scope? (VT-d 8.3.1)
 * @segment: PCI segment of the structure that holds @scopes
 * @scopes: list of struct vtd_scope
 * @pdev: the device
 *
 * An endpoint scope takes exactly that device, a bridge scope the bridge and
 * everything below it. Virtual functions are in no table, so a VF is only ever
 * matched by a bridge above it; who wants its PF's scope asks with the PF.
 *
 * Context: Any. The caller holds a reference to @pdev.
 * Return: true when it is.
 */
bool vtd_scope_match(u16 segment, const struct list_head *scopes,
		     struct pci_dev *pdev)
{
	struct pci_dev *hop;

	if (pci_domain_nr(pdev->bus) != segment)
		return false;
	for (hop = pdev; hop; hop = pci_upstream_bridge(hop))
		if (!hop->is_virtfn &&
		    vtd_scopes_name(scopes, hop, hop != pdev))
			return true;
	return false;
}

/**
 * vtd_firmware_find - find the unit that translates a device (VT-d 8.3)
 * @fw: the parsed table
 * @pdev: the device; for a virtual function its PF is looked up
 *
 * The scope nearest to the device decides: the device itself, then the bridges
 * above it from the nearest to the farthest, then the segment's INCLUDE_PCI_ALL
 * unit.
 *
 * Context: Any. The caller holds a reference to @pdev.
 * Return: the unit, or NULL when no unit translates the device.
 */
struct vtd_drhd *vtd_firmware_find(const struct vtd_firmware *fw,
				   struct pci_dev *pdev)
{
	struct vtd_drhd *drhd;
	struct pci_dev *hop;
	int segment;

	pdev = pci_physfn(omni_real_dma_dev(pdev));
	segment = pci_domain_nr(pdev->bus);

	for (hop = pdev; hop; hop = pci_upstream_bridge(hop))
		list_for_each_entry(drhd, &fw->drhds, node)
			if (drhd->segment == segment &&
			    vtd_scopes_name(&drhd->scopes, hop, hop != pdev))
				return drhd;

	list_for_each_entry(drhd, &fw->drhds, node)
		if (drhd->segment == segment && drhd->include_all)
			return drhd;
	return NULL;
}

/**
 * vtd_firmware_ats_allowed - may a device use ATS? (VT-d 8.5, 8.8)
 * @fw: the parsed table
 * @pdev: the device; for a virtual function its PF decides
 *
 * Yes for a device of an SATC, and for one below a root port that an ATSR of
 * its segment names or takes with all others. Integrated devices have no root
 * port to be named: yes for them too. No below anything that is not PCIe.
 *
 * A device whose SATC says that it requires its cache is the exception: in
 * legacy mode, the mode of this wing, hardware enables ATS for it by itself and
 * software must not.
 *
 * Context: Any. The caller holds a reference to @pdev.
 * Return: true when the firmware lets software enable ATS.
 */
bool vtd_firmware_ats_allowed(const struct vtd_firmware *fw,
			      struct pci_dev *pdev)
{
	const struct vtd_atsr *atsr;
	const struct vtd_satc *satc;
	struct pci_dev *port;
	int segment;

	pdev = pci_physfn(pdev);
	segment = pci_domain_nr(pdev->bus);

	list_for_each_entry(satc, &fw->satcs, node)
		if (vtd_scope_match(satc->segment, &satc->scopes, pdev))
			return !satc->atc_required;

	for (port = pci_upstream_bridge(pdev); port;
	     port = pci_upstream_bridge(port)) {
		if (!pci_is_pcie(port) ||
		    pci_pcie_type(port) == PCI_EXP_TYPE_PCI_BRIDGE)
			return false;
		if (pci_pcie_type(port) == PCI_EXP_TYPE_ROOT_PORT)
			break;
	}
	if (!port)
		return true;

	list_for_each_entry(atsr, &fw->atsrs, node) {
		if (atsr->segment != segment)
			continue;
		if (atsr->all_ports ||
		    vtd_scopes_name(&atsr->scopes, port, false))
			return true;
	}
	return false;
}

/**
 * vtd_rmrr_applies - does a device need this reserved memory? (VT-d 8.4)
 * @rmrr: the reserved memory
 * @pdev: the device; a virtual function does not inherit its PF's
 *
 * Context: Any. The caller holds a reference to @pdev.
 * Return: true when it must stay mapped for the device.
 */
bool vtd_rmrr_applies(const struct vtd_rmrr *rmrr, struct pci_dev *pdev)
{
	return vtd_scope_match(rmrr->segment, &rmrr->scopes, pdev);
}
