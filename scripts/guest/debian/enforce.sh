# SPDX-License-Identifier: GPL-2.0
# The right parameters, the module in the initramfs, but a kernel that wants signatures by keys
# it knows, as under Secure Boot: it boots without the module and preflight says why.

check enforce/not-loaded "the module was loaded" [ ! -e /sys/module/omniommu ]
check enforce/said-so "the log does not say that it was not loaded" \
	sh -c "dmesg | grep -q 'omniommu: could not be loaded in the initramfs'"
check enforce/root-works "the root is not on NVMe" [ -b /dev/nvme0n1 ]
PREFLIGHT=omniommu-preflight
preflight_says preflight/key-not-enrolled 3 CHANGE/key-not-enrolled ok/in-tree-driver \
	ok/interrupt-remapping
preflight_names preflight/says-how-to-enroll "mokutil --import /var/lib/dkms/mok.pub"
