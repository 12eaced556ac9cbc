# SPDX-License-Identifier: GPL-2.0
# The tools, and other people's: in the guest, with programs of the host's Debian, whose root is
# mounted read-only. What they show is left in the shared folder.
# UNITS: names of the units.
. /guest/lib-dma.sh
. /guest/lib-host.sh
SEE=/sys/kernel/debug/omniommu

check iommu/up "the driver did not come up" iommu_up
disk=$(find_pci $NVME)
check nvme/bound "no disk appeared" nvme_ready "$disk"

read_disk() { dd if="/dev/$DISK" of=/dev/null bs=64k count="${1:-64}" iflag=direct 2>/dev/null; }

check tools/host-root "the host's root is not there" eval 'host_root && host_folder shared /shared'
mkdir -p /tmp/tools && cp /guest/omnistat /guest/iovamap /tmp/tools/

# sysfs as users' tools expect it.
attributes()
{
	local u a
	for u in $UNITS; do
		for a in cap ecap version address domains_supported domains_used; do
			grep -Eq '^[0-9a-f:]+$' "/sys/class/iommu/$u/intel-iommu/$a" || { kmsg "$u: no $a"; return 1; }
		done
		[ "$(cat "/sys/class/iommu/$u/intel-iommu/domains_used")" -gt 0 ] || return 1
	done
}
links()
{
	local d dev unit
	for d in /sys/kernel/iommu_groups/*/devices/*; do
		dev=$(basename "$d")
		unit=$(basename "$(readlink -f "/sys/bus/pci/devices/$dev/iommu")")
		[ -e "/sys/class/iommu/$unit/devices/$dev" ] || { kmsg "$dev: not below $unit"; return 1; }
	done
}
check sysfs/attributes "see the line before" attributes
check sysfs/links "see the line before" links
host lspci -vv -s "$disk" > /tmp/lspci 2>&1
check sysfs/lspci "$(grep -i iommu /tmp/lspci)" grep -q "IOMMU group: $(group_of "$disk")\$" /tmp/lspci
# It asks the processor first whether it can run guests, which QEMU's here can't say.
sed 's/^flags.*/& vmx/' /proc/cpuinfo > /tmp/cpuinfo
mount --bind /tmp/cpuinfo /host/proc/cpuinfo
host virt-host-validate qemu > /tmp/validate 2>&1
umount /host/proc/cpuinfo
look /tmp/validate
check sysfs/libvirt "$(grep -i iommu /tmp/validate | grep -v PASS)" eval '
	[ "$(grep -ic "iommu.*PASS" /tmp/validate)" -ge 2 ] && ! grep -i iommu /tmp/validate | grep -qv PASS'
# What scripts on the web do: every device of every group by lspci's words.
check sysfs/groups "a group without a device, or none" eval '
	for g in /sys/kernel/iommu_groups/*/devices/*; do
		n=${g#/sys/kernel/iommu_groups/}; echo "IOMMU Group ${n%%/*}: $(host lspci -nns "${g##*/}")"
	done > /tmp/groups
	[ "$(wc -l < /tmp/groups)" -ge 5 ] && ! grep -qv "^IOMMU Group [0-9]*: [0-9a-f]" /tmp/groups'
look /tmp/groups

# omnistat, while a disk is read.
while [ ! -e /tmp/enough ]; do read_disk; done &
host /tmp/tools/omnistat -1 -i 1 > /tmp/once 2>&1
status=$?
look /tmp/once
check omnistat/once "status $status, $(head -n 1 /tmp/once)" eval '
	[ $status = 0 ] && grep -q "^dmar0 .*in order" /tmp/once && grep "DMA-FQ" /tmp/once | grep -q "$disk"'
host /tmp/tools/omnistat --json -i 1 > /tmp/json 2>/tmp/json.err
cat > /tmp/judge.py <<END
import json
p = json.load(open("/tmp/json"))
d = [d for d in p["domains"] if "$disk" in d["devices"]]
assert len(d) == 1 and d[0]["maps"] > 0 and d[0]["queued"] > 0 and d[0]["mapped"] > 0, d
assert abs(p["total"]["elided_share"]) <= 100 and p["total"]["maps"] > d[0]["maps"] / 2, p["total"]
assert [u["name"] for u in p["units"]] == "$UNITS".split(), p["units"]
END
check omnistat/json "$(tail -n 1 /tmp/json.err)" host python3 /tmp/judge.py 2>/tmp/json.err
echo 1 > $SEE/latency
# Not before it is there: Python takes its time here.
(wait_for 40 grep -q dmar0 /tmp/live; for key in s r p h q; do sleep 2; printf $key; done) |
	host script -qec "/tmp/tools/omnistat -i 0.5" /dev/null > /tmp/live 2>&1
status=$?
echo 0 > $SEE/latency
check omnistat/live "status $status: $(tail -c 200 /tmp/live | tr -cd ' -~')" eval '
	[ $status = 0 ] && grep -q PAUSED /tmp/live && grep -q "dmar0" /tmp/live && ! grep -q Traceback /tmp/live'

# iovamap, by device and by number.
svg()
{
	host /tmp/tools/iovamap "$1" -o /tmp/map.svg 2>/tmp/map.err || { kmsg "$(tail -n 1 /tmp/map.err)"; return 1; }
	cp /tmp/map.svg "/shared/$2.svg"
	host python3 -c 'import xml.dom.minidom as m; assert len(m.parse("/tmp/map.svg").getElementsByTagName("rect")) > 3'
}
id=$(sed -n "/^device $disk\$/,/^[a-z]/s/^  domain: //p" $SEE/attachments)
check iovamap/device "no picture" svg "$disk" device
check iovamap/domain "no picture" svg "$id" domain

# What the pages say, as they say it: the block of commands after a mark.
page() { sed -n "/^<!-- tried by see.tools: $1 -->/,/^[^ <]/s/^    //p" "/shared/$2" | sed "s/^dev=.*/dev=$disk/"; }
modprobe()
{
	local m=$1 p
	shift
	load "$m" || return 1
	m=$(echo "$m" | tr - _)
	for p; do echo "${p#*=}" > "/sys/module/$m/parameters/${p%%=*}" || return 1; done
}
try()	# try <mark> <page>: every command of the block has to succeed
{
	local line
	page "$1" "$2" > /tmp/block
	look /tmp/block
	[ "$(wc -l < /tmp/block)" -ge 2 ] || return 1
	while IFS= read -r line; do eval "$line" || { kmsg "failed: $line"; return 1; }; done < /tmp/block
}
touch /tmp/enough
wait
unbind "$disk"
set_type "$disk" identity
bind nvme "$disk"
check readme/translate "type '$(type_of "$disk")', see the lines before" eval '
	nvme_ready "$disk" && [ "$(type_of "$disk")" = identity ] && try translate README.md &&
	[ "$(type_of "$disk")" = DMA-FQ ] && nvme_ready "$disk" && read_disk 16'
check readme/vfio "driver '$(driver_of "$disk")', see the lines before" eval '
	try vfio README.md && [ "$(driver_of "$disk")" = vfio-pci ] && [ -e "/dev/vfio/$(group_of "$disk")" ]'
unbind "$disk"
echo > "/sys/bus/pci/devices/$disk/driver_override"
bind nvme "$disk"
check readme/back "no disk appeared" nvme_ready "$disk"
rm /tmp/enough
while [ ! -e /tmp/enough ]; do read_disk; done &

# One-liners.
host sh -c "cd /tmp; $(page record faults.md | sed -n 's/^trace-cmd record/& -q/; s/sleep 10/sleep 1/p') 2> /tmp/rec.err; trace-cmd report" > /tmp/rec 2>> /tmp/rec.err
look /tmp/rec 6
check trace/faults-page "$(tail -n 1 /tmp/rec.err)" eval '
	grep -q "omni_plan: *domain=" /tmp/rec && grep -q "omni_piece: *domain=" /tmp/rec'
host perf stat -a -e 'omni:*' -- sleep 1 > /tmp/perf 2>&1
look /tmp/perf
check trace/perf "$(tail -n 1 /tmp/perf)" grep -Eq '^ +[1-9][0-9,]* +omni:omni_plan' /tmp/perf
host sh -c 'cd /tmp; trace-cmd record -q -e omni:omni_plan -e omni:omni_wait sleep 1 > /tmp/tc.err 2>&1; trace-cmd report > /tmp/tc 2>> /tmp/tc.err'
look /tmp/tc.err
look /tmp/tc 12
check trace/trace-cmd "$(tail -n 1 /tmp/tc.err)" eval '
	grep -q "omni_wait: *unit=dmar0 ns=" /tmp/tc && grep -q "omni_plan: *domain=.* all ask scope=domain" /tmp/tc'
host bpftrace -e 'tracepoint:omni:omni_wait { @ns[str(args->unit)] = hist(args->ns); } interval:s:2 { exit(); }' > /tmp/bpf 2>&1
look /tmp/bpf 30
check trace/bpftrace "$(tail -n 1 /tmp/bpf)" grep -q '^\[.*|@' /tmp/bpf

# A copy of what there is to see, for whoever wants to look at it.
touch /tmp/enough
wait
for f in $(cd $SEE && find . -type f); do
	mkdir -p "/shared/debugfs/$(dirname "$f")" && cat "$SEE/$f" > "/shared/debugfs/$f"
done
cp /tmp/once /tmp/live /tmp/perf /tmp/tc /tmp/bpf /shared/
unbind "$disk"
check readme/leave "see the lines before" eval 'try leave README.md && ! grep -q ^omniommu /proc/modules'
host /tmp/tools/omnistat -1 > /tmp/none 2>&1
status=$?
check omnistat/no-module "status $status: $(tail -n 1 /tmp/none)" eval '[ $status = 1 ] && grep -q "is omniommu loaded" /tmp/none'
