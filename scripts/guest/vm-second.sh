# SPDX-License-Identifier: GPL-2.0
# The machine in the guest: its only disk is the real thing, as far as it can tell.
. /guest/lib-dma.sh
pass second/boots
disk=$(find_pci $NVME)
check second/disk "no disk appeared" nvme_ready "$disk"
have=$(dd if="/dev/$DISK" bs=1M count="$MIB" iflag=direct 2>/dev/null | sha256sum)
want=$(sed 's/.*sum=\([0-9a-f]*\).*/\1/' /proc/cmdline)
check second/reads-pattern "read ${have%% *}, want $want" [ "${have%% *}" = "$want" ]
dd if=/dev/urandom of=/tmp/data bs=1M count="$MIB" 2>/dev/null
sum=$(sha256sum < /tmp/data); sum=${sum%% *}
check second/writes "dd failed" dd if=/tmp/data of="/dev/$DISK" bs=1M seek="$MIB" oflag=direct
data sum-second "$sum"
