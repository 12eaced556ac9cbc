// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices of the ACPI namespace that are not PCI (48882 r3.08, 5.2.2.6).
 *
 * The table names such a device by its hardware ID and, where there are
 * several, by its unique ID, which may be that of the namespace or the
 * device's path there. Firmware is known to get unique IDs wrong: an entry
 * whose hardware ID no other entry has is believed without.
 *
 * Several of them may share one device ID, and so one entry of the device
 * table: the core puts them into one group.
 */
#include "amd.h"

#include <linux/acpi.h>

static bool amd_hid_at_path(const struct amd_hid *hid, acpi_handle handle)
{
	acpi_handle at;

	return hid->uid[0] == '\\' &&
	       ACPI_SUCCESS(acpi_get_handle(NULL, (char *)hid->uid, &at)) && at == handle;
}

/* How well an entry describes a device: 2 by all it says, 1 by its hardware ID. */
static unsigned int amd_hid_match(const struct amd_hid *hid, struct acpi_device *adev)
{
	if (!acpi_dev_hid_match(adev, hid->hid))
		return 0;
	if (!hid->uid[0] || acpi_dev_uid_match(adev, (const char *)hid->uid) ||
	    amd_hid_at_path(hid, acpi_device_handle(adev)))
		return 2;
	return 1;
}

const struct amd_hid *amd_hid_find(struct device *dev, struct amd_ivhd **unit)
{
	struct acpi_device *adev = ACPI_COMPANION(dev);
	const struct amd_hid *hid, *found = NULL;
	unsigned int loose = 0;
	struct amd_ivhd *ivhd;

	if (!adev)
		return NULL;
	list_for_each_entry(ivhd, &amd_firmware.ivhds, node) {
		list_for_each_entry(hid, &ivhd->hids, node) {
			switch (amd_hid_match(hid, adev)) {
			case 2:
				*unit = ivhd;
				return hid;
			case 1:
				*unit = ivhd;
				found = hid;
				loose++;
			}
		}
	}
	return loose == 1 ? found : NULL;
}

/* Is there any device that an entry may be about? */
static bool amd_hid_present(const struct amd_hid *hid)
{
	struct acpi_device *adev;
	bool present = false;

	for_each_acpi_dev_match(adev, hid->hid, NULL, -1)
		present |= !!acpi_get_first_physical_node(adev);
	return present;
}

void amd_hids_report(const struct amd_ivhd *ivhd)
{
	const struct amd_hid *hid;

	list_for_each_entry(hid, &ivhd->hids, node)
		if (!amd_hid_present(hid))
			pr_info("%s: the kernel has no device %s (ACPI%s%s): its device ID %02x:%02x.%x is not translated\n",
				ivhd->unit->core.name, hid->hid, hid->uid[0] ? ", " : "",
				hid->uid, PCI_BUS_NUM(hid->devid), PCI_SLOT(hid->devid),
				PCI_FUNC(hid->devid));
}
