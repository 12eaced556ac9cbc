// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA by QEMU's edu device, without VFIO: through the device's resource0 file,
 * in whatever domain the kernel has given to its group.
 *
 *	edu-raw BDF copy FROM TO	DMA 2 KiB from one address to another
 *	edu-raw BDF read FROM		DMA 2 KiB from an address into the device
 *	edu-raw mem fill PA SEED	write a pattern to 2 KiB of physical memory
 *	edu-raw mem check PA SEED	is it there? exit code 0 or 1
 *
 * Addresses are in hexadecimal. No driver may make use of the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIZE		2048
#define EDU_BUFFER	0x40000
#define EDU_START	1
#define EDU_TO_MEMORY	2

static volatile uint8_t *regs;

static void die(const char *what)
{
	perror(what);
	exit(2);
}

static void *map_file(const char *path, off_t offset, size_t size)
{
	int fd = open(path, O_RDWR | O_SYNC);
	void *p;

	if (fd < 0)
		die(path);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (p == MAP_FAILED)
		die(path);
	close(fd);
	return p;
}

static void open_device(const char *bdf)
{
	const uint8_t on[2] = { 0x06, 0x00 };	/* memory and bus mastering */
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/enable", bdf);
	fd = open(path, O_WRONLY);
	/* A driver that only sits on the device is in the way of this, and of nothing else. */
	if (fd < 0 || (write(fd, "1", 1) != 1 && errno != EBUSY))
		die(path);
	close(fd);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	fd = open(path, O_RDWR);
	if (fd < 0 || pwrite(fd, on, 2, 4) != 2)
		die(path);
	close(fd);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", bdf);
	regs = map_file(path, 0, 1 << 20);
}

static void dma(uint64_t from, uint64_t to, uint64_t cmd)
{
	int i;

	*(volatile uint64_t *)(regs + 0x80) = from;
	*(volatile uint64_t *)(regs + 0x88) = to;
	*(volatile uint64_t *)(regs + 0x90) = SIZE;
	*(volatile uint64_t *)(regs + 0x98) = cmd | EDU_START;
	for (i = 0; i < 300; i++) {
		usleep(10000);
		if (!(*(volatile uint64_t *)(regs + 0x98) & EDU_START))
			return;
	}
	fprintf(stderr, "the device does not finish its DMA\n");
	exit(2);
}

static void pattern(uint8_t *out, unsigned int seed)
{
	uint32_t x = seed * 2654435761u + 1;
	int i;

	for (i = 0; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		out[i] = x >> 24;
	}
}

int main(int argc, char **argv)
{
	uint8_t want[SIZE], have[SIZE];
	uint64_t a, b;
	void *mem;

	if (argc < 4)
		goto usage;
	a = strtoull(argv[3], NULL, 16);
	b = argc > 4 ? strtoull(argv[4], NULL, 16) : 0;
	if (!strcmp(argv[1], "mem") && argc == 5) {
		mem = map_file("/dev/mem", a, 4096);
		pattern(want, b);
		if (!strcmp(argv[2], "fill")) {
			memcpy(mem, want, SIZE);
			return 0;
		}
		memcpy(have, mem, SIZE);
		return memcmp(have, want, SIZE) ? 1 : 0;
	}
	if (!strcmp(argv[2], "read") || (!strcmp(argv[2], "copy") && argc == 5)) {
		open_device(argv[1]);
		dma(a, EDU_BUFFER, 0);
		if (argc == 5)
			dma(EDU_BUFFER, b, EDU_TO_MEMORY);
		return 0;
	}
usage:
	fprintf(stderr, "usage: edu-raw BDF copy FROM TO | BDF read FROM | mem fill|check PA SEED\n");
	return 2;
}
