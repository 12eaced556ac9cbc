# SPDX-License-Identifier: GPL-2.0
# L1: the module is loaded while a disk is busy; not one access may be lost.
. /guest/lib-dma.sh
. /guest/lib-life.sh
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"

writer()	# write, read back, compare, for ever; count rounds, keep the first error
{
	local i=0 slot
	while [ ! -e /tmp/enough ]; do
		slot=$((i % 8))
		dd if=/tmp/pat.$((i % 3)) of="/dev/$DISK" bs=256k count=8 seek=$((slot * 8)) oflag=direct 2>/tmp/w.err &&
		dd if="/dev/$DISK" of=/tmp/back bs=256k count=8 skip=$((slot * 8)) iflag=direct 2>/tmp/w.err &&
		cmp /tmp/pat.$((i % 3)) /tmp/back 2>/tmp/w.err ||
			{ echo "round $i: $(tail -n 1 /tmp/w.err)" >> /tmp/lost; }
		i=$((i + 1))
		echo $i > /tmp/rounds.new && mv /tmp/rounds.new /tmp/rounds
	done
}
rounds() { cat /tmp/rounds; }
reached() { [ "$(rounds)" -ge "$1" ]; }

echo 0 > /tmp/rounds
for i in 0 1 2; do dd if=/dev/urandom of=/tmp/pat.$i bs=256k count=8 2>/dev/null; done
writer &
check live/busy-before "the writer does not move" wait_for 60 reached 10
before=$(rounds)
check live/insmod "insmod failed" iommu_up
at_insmod=$(rounds)
check live/busy-after "the writer stopped after insmod at round $at_insmod" wait_for 90 reached $((at_insmod + 30))
note "rounds of 2 MiB: $before before insmod, $((at_insmod - before)) during, $(($(rounds) - at_insmod)) after"
# Where the firmware ties devices to units, the kernel makes a group when a driver binds.
if [ "$(uname -m)" = aarch64 ]; then
	check live/identity "the bound disk got a group" eval '! has_group "$disk"'
else
	check live/identity "the bound disk's group is '$(type_of "$disk")'" [ "$(type_of "$disk")" = identity ]
	unbound=$(find_pci $E1000E)
	check live/unbound-translated "the idle card's group is '$(type_of "$unbound")'" [ "$(type_of "$unbound")" = DMA-FQ ]
fi

# Writes again to a busy disk, this time for the module's second arrival.
if [ "$DRIVER" != ref ]; then
	check live/stop-or-busy "the writer was disturbed" eval '
		before=$(rounds)
		if iommu_stop 2>/dev/null; then rmmod omniommu && iommu_up; else note "stop refused: the disk is in use"; fi
		wait_for 60 reached $((before + 10))'
fi
touch /tmp/enough
wait
check live/no-lost-io "$(head -n 3 /tmp/lost 2>/dev/null)" [ ! -e /tmp/lost ]
dmesg | grep -vF 'deferred probe timeout' | grep -E 'nvme.*(timeout|error|reset|down)|I/O error' > /tmp/complaints
check live/no-complaint "$(head -n 1 /tmp/complaints)" [ ! -s /tmp/complaints ]

# The kernel's own way to move the disk behind translation afterwards.
sum1=$(dd if="/dev/$DISK" bs=1M count=16 iflag=direct 2>/dev/null | sha256sum)
unbind "$disk"
[ "$(uname -m)" = aarch64 ] || set_type "$disk" DMA-FQ
bind nvme "$disk"
check live/switched "type is '$(type_of "$disk")'" eval 'case $(type_of "$disk") in DMA*) true ;; *) false ;; esac'
nvme_ready "$disk"
sum2=$(dd if="/dev/$DISK" bs=1M count=16 iflag=direct 2>/dev/null | sha256sum)
check live/same-after-switch "the disk reads differently translated" [ "$sum1" = "$sum2" ]
