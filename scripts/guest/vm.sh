# SPDX-License-Identifier: GPL-2.0
# A virtual machine in the guest has the guest's disk by vfio-pci, by the host's QEMU; then the
# disk comes back. MIB: how much is written by each; KERNEL: the kernel of that machine, on the
# host.
. /guest/lib-dma.sh
. /guest/lib-host.sh
SEE=/sys/kernel/debug/omniommu

# block <file> <word> <name>: the lines of one unit, device or domain
block() { sed -n "/^$2 $3\$/,/^[a-z]/{/^  /p}" "$SEE/$1"; }
sum_at() { dd if="/dev/$DISK" bs=1M skip=$1 count=$MIB iflag=direct 2>/dev/null | sha256sum | cut -d' ' -f1; }
all_faults() { ledger | awk '/\.faults / { n += $2 } END { print n + 0 }'; }

check iommu/up "the driver did not come up" iommu_up
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"
check vm/pattern-written "data read back differ" disk_round_trip "$DISK" "$MIB"
first=$SUM
data sum-first "$first"
check vm/host-root "the host's root is not there" eval 'host_root && host_folder share /host/tmp/share'

check vm/handed-over "vfio-pci did not take it" to_vfio "$disk"
note "show: $disk ($(driver_of "$disk")) is in group $(group_of "$disk"), opened as /dev/vfio/$(group_of "$disk")"
ledger > /tmp/ledger.before
: > /tmp/domain; : > /tmp/domain.ledger; : > /tmp/domain.id

# What is known of the machine's domain, while it has one.
look_at_domain()
{
	local id
	id=$(block attachments device "$disk" | sed -n 's/^  domain: //p')
	[ -n "$id" ] || return 1
	block domains domain "$id" > /tmp/domain
	cp "$SEE/domain/$id/ledger" /tmp/domain.ledger
	echo "$id" > /tmp/domain.id
}
# relay_second: its console, with its verdicts as they are
relay_second()
{
	local line
	# A domain counts for itself from when somebody asks which domains there are.
	IFS= read -r line && look_at_domain
	while IFS= read -r line; do
		case $line in
		*@@DONE*) ;;
		*"@@PASS second/writes"*) look_at_domain; kmsg "@@${line#*@@}" ;;
		*"@@DATA sum-second "*) echo "${line##* }" > /tmp/sum-second; kmsg "@@${line#*@@}" ;;
		*@@*) kmsg "@@${line#*@@}" ;;
		?*) kmsg "  | $line" ;;
		esac
	done
}
{
	host timeout 780 qemu-system-x86_64 -accel tcg -cpu Nehalem -M q35,sata=off,smbus=off,usb=off \
		-m 256 -nodefaults -no-user-config -display none -serial stdio -no-reboot $QEMU_ARGS \
		-kernel "$KERNEL" -initrd /tmp/share/initrd -append "$(cat /host/tmp/share/cmdline) sum=$first" \
		-device "vfio-pci,host=$disk" </dev/null 2>&1
	echo $? > /tmp/status
} | tr -d '\r' | relay_second
ledger > /tmp/ledger.after

relay < /tmp/domain
while read -r key value; do data "domain/$key $value"; done < /tmp/domain.ledger
check vm/domain "no domain of a user with all of its memory in it: $(tr "\n" ";" < /tmp/domain)" eval '
	[ -s /tmp/domain.ledger ] && grep -q "^  devices: $disk" /tmp/domain &&
	[ "$(sed -n "s/^  mapped: //p" /tmp/domain)" -ge $((256 << 20)) ]'
awk 'NR == FNR { old[$1] = $2; next } /^(table_pages|nc_chunks) / { next }
     $2 != old[$1] { print $1, $2 - old[$1] }' /tmp/ledger.before /tmp/ledger.after |
	while read -r key value; do data "vm/$key $value"; done
check vm/ended "QEMU ended with status $(cat /tmp/status)" [ "$(cat /tmp/status)" = 0 ]
check vm/domain-gone "domain '$(cat /tmp/domain.id)' is still there, or was not seen" \
	[ -s /tmp/domain.id -a ! -e "$SEE/domain/$(cat /tmp/domain.id)" ]
unbind "$disk"
echo > "/sys/bus/pci/devices/$disk/driver_override"
bind nvme "$disk"
check vm/returned "no disk appeared" nvme_ready "$disk"
check vm/translated "type is '$(type_of "$disk")'" [ "$(type_of "$disk")" = DMA-FQ ]
check vm/reads-both "the disk reads differently" eval '
	[ "$(sum_at 0)" = "$first" ] && [ "$(sum_at "$MIB")" = "$(cat /tmp/sum-second)" ]'
check vm/no-faults "faults: $(all_faults), $(dmesg | grep -m 1 "omniommu:.*refused")" eval '
	[ "$(all_faults)" = 0 ] && ! dmesg | grep -q "omniommu:.*refused"'
