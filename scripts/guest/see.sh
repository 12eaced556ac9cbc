# SPDX-License-Identifier: GPL-2.0
# What there is to see in debugfs: right while nothing happens, readable while a lot does.
# ROUNDS: rounds of readers beside the load; LOAD: cases of vfio-edu that make it.
. /guest/lib-dma.sh
. /guest/lib-life.sh
SEE=/sys/kernel/debug/omniommu

# show <file>: a file of debugfs into the log
show() { sed "s|^|$1: |" "$SEE/$1" | while IFS= read -r line; do kmsg "  | $line"; done; }
# block <file> <word> <name>: the lines of one unit, device or domain
block() { sed -n "/^$2 $3\$/,/^[a-z]/{/^  /p}" "$SEE/$1"; }
value() { sed -n "s/^  $1: //p"; }
domain_of() { block attachments device "$1" | value domain; }
every_file() { find $SEE /sys/kernel/debug/iommu -type f 2>/dev/null; }

check iommu/up "the driver did not come up" iommu_up
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"
check nvme/data "data read back differ" disk_round_trip "$DISK" 4
unit=$(basename "$(ls -d /sys/class/iommu/*/devices/"$disk" | head -n 1 | sed 's|/devices/.*||')")

before=$(ls "$SEE/domain" | wc -l)
for f in units attachments domains ledger tracker faults; do show $f; done
check see/made-when-asked "$before directories before anybody asked, then: $(ls "$SEE/domain" | tr "\n" " ")" eval '
	[ "$before" = 0 ] && [ -n "$(ls "$SEE/domain")" ] &&
	[ "$(sed -n "s/^domain //p" "$SEE/domains" | sort)" = "$(ls "$SEE/domain" | sort)" ]'
check see/units "no unit $unit, or it is not on" eval '
	[ "$(block units unit "$unit" | value translation)" = on ] &&
	block units unit "$unit" | grep -q "^  capabilities: ." &&
	block units unit "$unit" | grep -q "^  queue: on, [0-9]* slots"'
id=$(domain_of "$disk")
check see/attachments "the disk is not translated by a domain with a number" eval '
	[ "$(block attachments device "$disk" | value state)" = translated ] && [ "$id" -gt 0 ] &&
	block attachments device "$disk" | grep -E "^  (context|entry) .* table 0x"'
check see/domains "domain $id: $(block domains domain "$id" | tr "\n" ";")" eval '
	[ "$(block domains domain "$id" | value type)" = "$(type_of "$disk")" ] &&
	block domains domain "$id" | value devices | grep -q "$disk" &&
	[ "$(block domains domain "$id" | value table_pages)" -gt 3 ] &&
	[ "$(block domains domain "$id" | value mapped)" -ge 4096 ]'
# The sum of the runs, of the entries, and what the tables count are the same.
sizes() { awk '!/^#/ { n = $3; u = substr($5, length($5)); m = u == "G" ? 1073741824 : u == "M" ? 1048576 : 1024; s += n * int($5) * m } END { printf "%.0f\n", s }' "$SEE/domain/$id/table"; }
entries() { awk '$4 == "leaf" { n = 4096; for (i = 0; i < $1; i++) n *= 512; s += n } $4 == "table" { t++ } END { printf "%.0f %d\n", s, t + 1 }' "$SEE/domain/$id/raw"; }
quiet() { a=$(block domains domain "$id"; cat "$SEE/domain/$id/raw" "$SEE/domain/$id/table"); sleep 1; [ "$a" = "$(block domains domain "$id"; cat "$SEE/domain/$id/raw" "$SEE/domain/$id/table")" ]; }
wait_for 20 quiet
check see/table "runs $(sizes), entries $(entries), domains: $(block domains domain "$id" | tr "\n" ";")" eval '
	set -- $(entries)
	[ "$(sizes)" = "$1" ] && [ "$(block domains domain "$id" | value mapped)" = "$1" ] &&
	[ "$(block domains domain "$id" | value table_pages)" = "$2" ]'
sed -n 1,12p "$SEE/domain/$id/table" | relay
sed -n 1,12p "$SEE/domain/$id/raw" | relay
# What a translation says is what the kernel's own words for it are.
check see/reserved "$(grep '^# reserved' "$SEE/domain/$id/table")" eval '
	sort -u /sys/kernel/iommu_groups/$(group_of "$disk")/reserved_regions | while read -r a b c; do
		printf "# reserved 0x%x-0x%x %s\n" $a $b $c; done > /tmp/want
	grep "^# reserved" "$SEE/domain/$id/table" | sort -u > /tmp/have
	sort -u /tmp/want | cmp - /tmp/have'
if [ -n "$INTREE_FILE" ]; then
	f=/sys/kernel/debug/iommu/intel/$disk/domain_translation_struct
	sed -n 1,6p "$f" | relay
	check see/in-tree-file "leaves there: $(grep -c ' |' "$f"), here: $(grep -c ' leaf ' "$SEE/domain/$id/raw")" eval '
		grep -q "^Device $disk @0x" "$f" &&
		[ "$(grep -c " |" "$f")" = "$(grep -c " leaf " "$SEE/domain/$id/raw")" ] &&
		[ "$(sed -n "s/.*\t//p" "$f" | tail -n +2 | sort)" = "$(sed -n "s/.* \(0x[0-9a-f]*\) leaf .*/\1/p" "$SEE/domain/$id/raw" | sort)" ]'
fi
dd if="/dev/$DISK" of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null
check see/domain-ledger "$(cat "$SEE/domain/$id/ledger" | tr "\n" ";")" eval '
	[ "$(sed -n "s/^map.asked //p; s/^map.elided.not_cached //p" "$SEE/domain/$id/ledger" | awk "{ s += \$1 } END { print s }")" -gt 0 ]'
show "domain/$id/ledger"

# Tracepoints, and the histogram of waits.
TRACE=/sys/kernel/debug/tracing
to_vfio_ready() { load vfio-pci vfio_iommu_type1 && echo 1 > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts; }
to_vfio_ready
echo 1 > $SEE/latency
echo 1 > $TRACE/events/omni/enable
vfio-edu unmap-then-dma > /tmp/traced 2>&1
dd if="/dev/$DISK" of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null
echo 0 > $TRACE/events/omni/enable
echo 0 > $SEE/latency
missing=
for e in $EVENTS; do
	grep -m 1 " omni_$e: " $TRACE/trace | relay
	grep -q " omni_$e: " $TRACE/trace || missing="$missing omni_$e"
done
check see/tracepoints "never seen:$missing; $(tail -n 1 /tmp/traced)" [ -z "$missing" ]
timed() { ledger | sed -n "s/^$unit.wait_ns.[0-9]* //p" | awk '{ s += $1 } END { print s + 0 }'; }
traced=$(grep -c " omni_wait: " $TRACE/trace)
before=$(timed)
dd if="/dev/$DISK" of=/dev/null bs=64k count=4 iflag=direct 2>/dev/null
check see/latency "$before waits in the histogram, $traced traced, $(timed) after it was switched off" \
	[ "$before" -ge "$traced" -a "$traced" -gt 0 -a "$(timed)" = "$before" ]
echo > $TRACE/trace

# Load, and readers of everything beside it.
reader()
{
	local f
	while [ ! -e /tmp/enough ]; do
		for f in $(every_file); do cat "$f" > /tmp/read.$1 2>/dev/null; done
		echo . >> /tmp/rounds.$1
	done
}
if [ -n "$LOAD" ]; then
	reader 1 & reader 2 &
	# shellcheck disable=SC2086
	vfio-edu "$LOAD" $VFIO_ARGS 2>&1 | relay
	dd if="/dev/$DISK" of=/dev/null bs=64k count=64 iflag=direct 2>/dev/null
	touch /tmp/enough
	wait
	note "rounds of reading everything: $(wc -c < /tmp/rounds.1), $(wc -c < /tmp/rounds.2)"
	check see/under-load "no reader got through" [ -s /tmp/rounds.1 -a -s /tmp/rounds.2 ]
	show faults
	culprit=$(sed -n 's/^  device \(.*\): [0-9]*$/\1/p' $SEE/faults | head -n 1)
	check see/faults "no refused access of ${culprit:-any device} is remembered" eval '
		grep -q "^  \[.*\] DMA \(read\|write\|access\) by ${culprit:-none}[: ]" $SEE/faults || [ -z "$TELLS" ]'
fi
drivers_off
check life/leave-and-return "see the lines before" leave_and_return
check see/gone "something is left: $(ls $SEE/domain)" eval '[ ! -e /sys/module/omniommu ] || [ -d $SEE/domain ]'
