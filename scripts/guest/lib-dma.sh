# SPDX-License-Identifier: GPL-2.0
# Real traffic: an NVMe disk, a network card talking to an echo inside QEMU.

NVME=1b36:0010
E1000E=8086:10d3
E1000=8086:100e
EDU=1234:11e8
ECHO_HOST=10.0.2.100
ECHO_PORT=1234

# find_net <address>: name of the network interface of a PCI device
find_net() { local n; for n in /sys/bus/pci/devices/$1/net/* /sys/bus/pci/devices/$1/virtio*/net/*; do [ -e "$n" ] && { basename "$n"; return 0; }; done; return 1; }
carrier() { [ "$(cat "/sys/class/net/$1/carrier" 2>/dev/null)" = 1 ]; }

# net_up <address>: give the card an address and wait for its link
net_up()
{
	local n
	wait_for 10 find_net "$1" || return 1
	n=$(find_net "$1")
	ifconfig "$n" 10.0.2.15 netmask 255.255.255.0 up || return 1
	wait_for 20 carrier "$n"
}

# echo_round_trip <KiB>: send generated data to the echo, compare what comes back
echo_round_trip()
{
	local size=$(($1 * 1024)) pid
	dd if=/dev/urandom of=/tmp/sent bs=1k count=$1 2>/dev/null
	rm -f /tmp/received
	# The echo does not close when we stop sending: wait for the bytes, then hang up.
	nc "$ECHO_HOST" "$ECHO_PORT" < /tmp/sent > /tmp/received &
	pid=$!
	wait_for 60 eval "[ \$(file_size /tmp/received) -ge $size ] || ! kill -0 $pid"
	kill $pid 2>/dev/null
	wait $pid 2>/dev/null
	cmp /tmp/sent /tmp/received 2>/tmp/cmp.err || { kmsg "echo: $(cat /tmp/cmp.err), $(file_size /tmp/received) of $size bytes"; return 1; }
}

# nvme_ready <address>: load the driver and wait for the disk; DISK is its name
nvme_ready()
{
	load nvme
	wait_for 20 nvme_disk "$1" || return 1
	DISK=$(nvme_disk "$1")
}

# ats_state <address>: the control word of the ATS capability, by walking extended capabilities
ats_state()
{
	local at=256 head cfg=/sys/bus/pci/devices/$1/config
	while [ $at -ge 256 ]; do
		head=$(od -An -tx4 -j $at -N 4 "$cfg" | tr -d ' ')
		[ -n "$head" ] || return 1
		if [ $((0x$head & 0xffff)) = 15 ]; then
			od -An -tx2 -j $((at + 6)) -N 2 "$cfg" | tr -d ' '
			return 0
		fi
		at=$(((0x$head >> 20) & 0xffc))
	done
	return 1
}
ats_on() { local w; w=$(ats_state "$1") && [ $((0x$w & 0x8000)) != 0 ]; }

# The stock kernel binds virtio devices at boot, and what is bound stays on identity: a script
# that wants them translated lets go of them before the module comes and takes them up after.
virtio_release()
{
	local d
	VIRTIO=
	for d in /sys/bus/pci/drivers/virtio-pci/0*; do
		[ -e "$d" ] && VIRTIO="$VIRTIO $(basename "$d")"
	done
	for d in $VIRTIO; do unbind "$d"; done
}
virtio_return() { local d; for d in $VIRTIO; do bind virtio-pci "$d"; done; }
