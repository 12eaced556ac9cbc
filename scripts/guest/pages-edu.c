// SPDX-License-Identifier: GPL-2.0
/*
 * pages-edu: include/omni_pages.h in use, through omniommu_pages_test.ko,
 * which has an edu device (1234:11e8) for itself.
 *
 *   pages-edu BDF
 *   pages-edu --list
 *
 * Lines are vfio-edu's; names begin with "pages/".
 */
#define _GNU_SOURCE
#include "vfio-lib.h"
#include "vfio-type1.h"

/* Some of what is included is for spaces. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include "vfio-map.h"
#include "vfio-load.h"
#include "vfio-clean.h"

#define PAGES	300
#define IOVA	0x04000000UL

static int ctl;
static struct edu *const edu = &devs[0];

static void command(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void command(const char *fmt, ...)
{
	char line[200];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (write(ctl, line, n) != n)
		fail("'%s': %s", line, strerror(errno));
}

static void open_all(void)
{
	char path[160];
	int fd;

	ctl = open("/dev/omniommu-pages-test", O_WRONLY | O_CLOEXEC);
	if (ctl < 0)
		fail("/dev/omniommu-pages-test: %s", strerror(errno));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/resource0", edu->bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %s", path, strerror(errno));
	edu->bar = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (edu->bar == MAP_FAILED)
		fail("%s: %s", path, strerror(errno));
	close(fd);
}

/* The device copies half a page of one mapped page to another. */
static void copy_ok(uint8_t *p, uint64_t iova, unsigned int from, unsigned int to, uint32_t seed)
{
	fill(p + from * PG, EDU_MAX, seed);
	dma(edu, DEV_READ, iova + from * PG, 0, EDU_MAX);
	dma(edu, DEV_WRITE, iova + to * PG, 0, EDU_MAX);
	if (differs(p + to * PG, EDU_MAX, seed) >= 0)
		fail("page %u did not arrive in page %u", from, to);
}

/* However often it is mapped and unmapped: one cleaning at the end. */
static void t_lazy(void)
{
	uint8_t *p = pages_at_2m(PAGES * PG, 0, false);
	uint64_t *frames;

	open_all();
	command("pin %#lx %d", (unsigned long)p, PAGES);
	frames = frames_of(p, PAGES * PG);
	command("attach 0");
	clean_begin();
	command("map 0 %#lx 0 %d", IOVA, PAGES);
	clean_frames(frames, PAGES, 1, 0, 0, "mapped");
	copy_ok(p, IOVA, 0, PAGES - 1, 500);
	command("unmap 0 %#lx %d", IOVA, PAGES);
	clean_frames(frames, PAGES, 0, 0, 0, "unmapped, and still pinned");
	command("map 0 %#lx 0 %d", IOVA + 64 * PG, PAGES);
	clean_frames(frames, PAGES, 1, 0, 0, "mapped elsewhere");
	copy_ok(p, IOVA + 64 * PG, 1, PAGES - 2, 501);
	command("unmap 0 %#lx %d", IOVA + 64 * PG, PAGES);
	command("unpin");
	clean_frames(frames, PAGES, 0, 1, 0, "unpinned");
	if (differs(p + (PAGES - 2) * PG, EDU_MAX, 501) >= 0)
		fail("the data is gone");
	command("pin %#lx %d", (unsigned long)p, PAGES);
	command("unpin");
	clean_frames(frames, PAGES, 0, 0, 0, "pinned and never mapped");
}

/* Two domains, parts of the pages in each, the device going from one to the other. */
static void t_two_domains(void)
{
	uint8_t *p = pages_at_2m(16 * PG, 0, false);
	uint64_t *frames;

	open_all();
	command("pin %#lx 16", (unsigned long)p);
	frames = frames_of(p, 16 * PG);
	command("attach 0");
	clean_begin();
	command("map 0 %#lx 0 16", IOVA);
	clean_frames(frames, 16, 1, 0, 0, "mapped in the first domain");
	command("map 1 %#lx 0 16", IOVA);
	command("map 1 %#lx 4 8", IOVA + 64 * PG);
	clean_frames(frames, 16, 0, 0, 0, "mapped in the second, attached nowhere");
	command("attach 1");
	/* Who leaves a domain does not know whose its mappings are: that cleans. */
	clean_frames(frames, 16, 1, 1, 0, "the device is in the second domain");
	copy_ok(p, IOVA + 60 * PG, 4, 5, 510);
	command("unmap 0 %#lx 16", IOVA);
	command("unmap 1 %#lx 16", IOVA);
	command("unmap 1 %#lx 8", IOVA + 64 * PG);
	command("detach");
	clean_frames(frames, 16, 0, 0, 0, "all unmapped");
	command("unpin");
	clean_frames(frames, 16, 0, 1, 0, "unpinned");
}

/* The process goes, with everything mapped. */
static void t_closed(void)
{
	uint8_t *p = pages_at_2m(16 * PG, 0, false);
	uint64_t *frames;

	open_all();
	command("pin %#lx 16", (unsigned long)p);
	frames = frames_of(p, 16 * PG);
	command("attach 0");
	command("map 0 %#lx 0 16", IOVA);
	copy_ok(p, IOVA, 0, 15, 520);
	clean_begin();
	close(ctl);
	clean_frames(frames, 16, 0, 1, 0, "closed");
}

static void t_refused(void)
{
	uint8_t *p = pages_at_2m(4 * PG, 0, false);
	char *bad[] = { "map 0 0x4000000 4 1", "map 0 0x4000000 0 5", "map 0 0x4000000 3 2",
			"map 0 0x4000000 0 0", "map 4 0x4000000 0 1", "unmap 0 0x4000000 1",
			"pin 0x1000 1" };

	open_all();
	command("pin %#lx 4", (unsigned long)p);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (write(ctl, bad[i], strlen(bad[i])) >= 0)
			fail("'%s' was not refused", bad[i]);
	command("map 0 %#lx 2 2", IOVA);
	command("unmap 0 %#lx 2", IOVA);
	command("unpin");
}

static const struct test tests[] = {
	{ "lazy", t_lazy, 1, 60 },
	{ "two-domains", t_two_domains, 1, 60 },
	{ "closed", t_closed, 1, 60 },
	{ "refused", t_refused, 1, 60 },
};

#define PREFIX "pages"
#define main vfio_run_main
static int vfio_run_main(int argc, char **argv);
#include "vfio-run.h"
#undef main

int main(int argc, char **argv)
{
	int failures = 0;

	if (argc == 2 && strcmp(argv[1], "--list")) {
		snprintf(edu->bdf, sizeof(edu->bdf), "%s", argv[1]);
		ndevs = 1;
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
			failures += !run_test(&tests[k]);
		return failures;
	}
	return vfio_run_main(argc, argv);
}
