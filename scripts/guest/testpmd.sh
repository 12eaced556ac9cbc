# SPDX-License-Identifier: GPL-2.0
# DPDK's testpmd, of the host, forwards between two e1000e ports that it has by vfio-pci. The host
# sends the frames and takes them back. FRAMES: how many in each direction.
. /guest/lib-dma.sh
. /guest/lib-host.sh
SEE=/sys/kernel/debug/omniommu

block() { sed -n "/^$2 $3\$/,/^[a-z]/{/^  /p}" "$SEE/$1"; }
domain_of() { block attachments device "$1" | sed -n 's/^  domain: //p'; }
tell() { echo "$*" >&3; }

check iommu/up "the driver did not come up" iommu_up
check testpmd/host-root "the host's root is not there" host_root
port0=$(find_pci $E1000E 1)
port1=$(find_pci $E1000E 2)
check testpmd/handed-over "vfio-pci did not take them" eval 'to_vfio "$port0" && to_vfio "$port1"'
mkdir -p /dev/hugepages && mount -t hugetlbfs -o pagesize=2M hugetlbfs /host/dev/hugepages
check testpmd/hugepages "$(grep HugePages_Free /proc/meminfo)" eval '
	[ "$(sed -n "s/^HugePages_Free: *//p" /proc/meminfo)" -ge 64 ]'

# Of the hundred drivers that it would look at, those that it is linked with and the two it needs.
pmds=$(echo /host/usr/lib/*/dpdk/pmds-*)
mkdir -p /tmp/pmds
for lib in $(host ldd /usr/bin/dpdk-testpmd | sed -n 's|.*/pmds-[^/]*/\([^ ]*\) .*|\1|p') \
	librte_net_e1000.so librte_mempool_ring.so; do
	cp -L "$pmds/$lib" /tmp/pmds/
done
mount --bind /tmp/pmds "$pmds"
mkfifo /tmp/tell
host timeout 240 stdbuf -oL dpdk-testpmd -l 0,1 --file-prefix client -m 96 --single-file-segments \
	-a "$port0" -a "$port1" -- -i --forward-mode=io --total-num-mbufs=4096 --rxd=256 --txd=256 \
	--no-lsc-interrupt </tmp/tell >> /tmp/testpmd 2>&1 &
pid=$!
exec 3>/tmp/tell
check testpmd/started "$(tail -n 3 /tmp/testpmd | tr '\n' ';')" wait_for 150 grep -q 'testpmd> ' /tmp/testpmd
tell start
up() { : > /tmp/testpmd; tell show port summary all; sleep 1; [ "$(grep -c '  *up  *' /tmp/testpmd)" = 2 ]; }
check testpmd/link-up "$(tail -n 3 /tmp/testpmd | tr '\n' ';')" wait_for 6 up

id=$(domain_of "$port0")
block domains domain "$id" | relay
head -n 24 "$SEE/domain/$id/table" | relay
check testpmd/one-domain "domains '$id' and '$(domain_of "$port1")'" eval '
	[ -n "$id" ] && [ "$id" = "$(domain_of "$port1")" ] && block domains domain "$id" | grep -q "type: a user.s"'
check testpmd/large-leaves "$(tail -n 1 "$SEE/domain/$id/table")" grep -q ' x 2M' "$SEE/domain/$id/table"

kmsg "@@HOST traffic $FRAMES"
# Both directions are through when a port has received and sent as much as comes in.
through()
{
	: > /tmp/testpmd
	tell show port stats all
	sleep 1
	[ "$(grep -c "RX-packets: $FRAMES " /tmp/testpmd)" = 2 ] && [ "$(grep -c "TX-packets: $FRAMES " /tmp/testpmd)" = 2 ]
}
if wait_for 6 through; then
	pass testpmd/forwarded
else
	fail testpmd/forwarded "$(grep X-packets /tmp/testpmd | tr -s ' \n' ' ')"
fi
relay < /tmp/testpmd
: > /tmp/testpmd
tell stop
tell quit
wait $pid
status=$?
exec 3>&-
relay < /tmp/testpmd
check testpmd/ended "status $status" [ $status = 0 ]
check testpmd/none-lost "$(grep -A 4 'Accumulated' /tmp/testpmd | tr -s ' \n' ' ')" eval '
	[ "$(grep -c "RX-dropped: 0 " /tmp/testpmd)" -ge 3 ] && [ "$(grep -c "TX-dropped: 0 " /tmp/testpmd)" -ge 3 ]'
sed -n 's/.*RX-packets: \([0-9]*\) .*/\1/p' /tmp/testpmd | tail -n 1 | while read -r n; do data rx-all "$n"; done
sed -n 's/.*TX-packets: \([0-9]*\) .*/\1/p' /tmp/testpmd | tail -n 1 | while read -r n; do data tx-all "$n"; done
check testpmd/domain-gone "domain $id is still there" [ ! -e "$SEE/domain/$id" ]
faults=$(ledger | awk '/\.faults / { n += $2 } END { print n + 0 }')
check testpmd/no-faults "faults: $faults, $(dmesg | grep -m 1 "omniommu:.*refused")" eval '
	[ "$faults" = 0 ] && ! dmesg | grep -q "omniommu:.*refused"'
unbind "$port0"
unbind "$port1"
check testpmd/stop "$( { iommu_stop; } 2>&1 )" eval '! units_on'
