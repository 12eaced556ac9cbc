// SPDX-License-Identifier: GPL-2.0
/*
 * What VFIO's map and unmap of 512 MiB cost: of 4K pages none of which lies
 * beside its neighbour, and of huge pages. Reports like the benchmark module,
 * see bench/main.c; that module has to be loaded with run=idle to count lines.
 *
 * Usage: vfio-bench <device address> <its group>
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __x86_64__
#include <x86intrin.h>
#else
#include <time.h>
#endif

#define SIZE		(512UL << 20)
#define IOVA		(4UL << 30)
#define ROUNDS		3
#define MARK_OFFSET	0x2c	/* subsystem ids: read-only */
#define FIRST_MARK	1000000	/* above the module's */

static const char *device;
static int container;
static unsigned int marks = FIRST_MARK;

static void die(const char *what)
{
	printf("@@FAIL vfio: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
#endif
}

static void mark(unsigned int id, int begin)
{
	uint32_t value = id << 1 | begin;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", device);
	fd = open(path, O_WRONLY);
	if (fd < 0 || pwrite(fd, &value, 4, MARK_OFFSET) != 4)
		die("marking the trace");
	close(fd);
}

/* A number behind a word in a file, or alone in it. */
static long number(const char *path, const char *word)
{
	char line[128], key[128];
	long value = -1, v;
	FILE *f = fopen(path, "r");

	if (!f)
		die(path);
	while (value < 0 && fgets(line, sizeof(line), f)) {
		if (!word)
			value = atol(line);
		else if (sscanf(line, "%127s %ld", key, &v) == 2 && !strcmp(key, word))
			value = v;
	}
	fclose(f);
	if (value < 0)
		die(word ? word : path);
	return value;
}

static long lines(void)
{
	return number("/sys/module/omni_bench/parameters/lines", NULL);
}

static long tables(void)
{
	int fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		die("stat_refresh");
	close(fd);
	return number("/proc/vmstat", "nr_iommu_pages");
}

static void map(void *va)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)va, .iova = IOVA, .size = SIZE,
	};

	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &m))
		die("VFIO_IOMMU_MAP_DMA");
}

static void unmap(void *va)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = IOVA, .size = SIZE,
	};

	(void)va;
	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u))
		die("VFIO_IOMMU_UNMAP_DMA");
	if (u.size != SIZE) {
		errno = ERANGE;
		die("VFIO_IOMMU_UNMAP_DMA: bytes unmapped");
	}
}

static uint64_t timed(void (*fn)(void *va), void *va)
{
	uint64_t t = now();

	fn(va);
	return now() - t;
}

static void counted(const char *name, const char *step, void (*fn)(void *va), void *va,
		    uint64_t cost)
{
	long l = lines(), t = tables();
	unsigned int id = marks++;

	mark(id, 1);
	fn(va);
	mark(id, 0);
	l = lines() - l;
	printf("@@ROW %s %s %llu %ld %ld %u\n", name, step, (unsigned long long)cost * 100, l,
	       tables() - t, id);
	fflush(stdout);
}

static void bench(const char *name, size_t page, int flags)
{
	uint64_t mapping = UINT64_MAX, unmapping = UINT64_MAX, t;
	char *va = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
	size_t at;
	int i;

	if (va == MAP_FAILED)
		die(name);
	if (!flags)
		madvise(va, SIZE, MADV_NOHUGEPAGE);
	/* Every second page first: then no two neighbours come from one place. */
	for (i = 0; i < 2; i++)
		for (at = i * page; at < SIZE; at += 2 * page)
			va[at] = 1;
	for (i = 0; i < ROUNDS; i++) {
		t = timed(map, va);
		mapping = t < mapping ? t : mapping;
		t = timed(unmap, va);
		unmapping = t < unmapping ? t : unmapping;
	}
	counted(name, "map", map, va, mapping);
	counted(name, "unmap", unmap, va, unmapping);
	munmap(va, SIZE);
}

int main(int argc, char **argv)
{
	char path[64];
	int group;

	if (argc != 3)
		return 2;
	device = argv[1];
	snprintf(path, sizeof(path), "/dev/vfio/%s", argv[2]);
	container = open("/dev/vfio/vfio", O_RDWR);
	group = open(path, O_RDWR);
	if (container < 0 || group < 0)
		die(path);
	if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
	    ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("setting up the container");
	bench("vfio-512M-of-4K", 4096, 0);
	bench("vfio-512M-of-2M", 2UL << 20, MAP_HUGETLB);
	return 0;
}
