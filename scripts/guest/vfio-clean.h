/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which pages omniommu cleans CPU caches for, and how often: its tracepoint
 * compared, page by page, with what was mapped. Where the machine enforces
 * coherency, none may be.
 */
#ifndef OMNI_GUEST_VFIO_CLEAN_H
#define OMNI_GUEST_VFIO_CLEAN_H

#define TRACING "/sys/kernel/debug/tracing"

/*
 * AMD-Vi forces coherency in every entry. VT-d has the extended capability SC:
 * VFIO and iommufd enforce coherency then.
 */
static bool enforces_coherency(void)
{
	char text[64];

	if (!access("/sys/class/iommu/ivhd0", F_OK))
		return true;
	return read_text("/sys/class/iommu/dmar0/intel-iommu/ecap", text, sizeof(text)) &&
	       strtoull(text, NULL, 16) >> 7 & 1;
}

/* From here on count what is cleaned. */
static void clean_begin(void)
{
	if (!omniommu_loaded())
		skip("not omniommu");
	/* Mounts itself at the first look. */
	if (access(TRACING "/trace", F_OK))
		skip("no tracing in this kernel");
	/* Names of tasks come by tracepoints of the scheduler: see Run.accelerator(). */
	if (!write_text(TRACING "/options/record-cmd", "0"))
		fail("tracing can't be told to leave the scheduler alone");
	if (!write_text(TRACING "/events/omni/omni_nc_clean/enable", "1"))
		fail("the tracepoint omni:omni_nc_clean can't be switched on");
	close(open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

static int u64_order(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/*
 * Physical addresses of memory that is mapped by a space, or locked, sorted.
 * NULL where the kernel does not tell.
 */
static uint64_t *frames_of(const void *va, size_t len)
{
	uint64_t *frames = malloc(len / PG * sizeof(*frames));
	size_t size = len / PG * sizeof(*frames), got = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		free(frames);
		return NULL;
	}
	while (got < size && (n = pread(fd, (char *)frames + got, size - got,
					(uintptr_t)va / PG * 8 + got)) > 0)
		got += n;
	if (got != size)
		fail("/proc/self/pagemap: %s", strerror(errno));
	close(fd);
	for (size_t i = 0; i < len / PG; i++) {
		if (!(frames[i] >> 63))
			fail("page %zu is not present", i);
		frames[i] = (frames[i] & ((1UL << 55) - 1)) * PG;
	}
	qsort(frames, len / PG, sizeof(*frames), u64_order);
	return frames;
}

struct cleaned {
	unsigned long in, out;			/* pages, by the trace */
	unsigned long other_in, other_out;	/* of them, none of the memory asked for */
};

/* Every page cleaned, with 1 added for its way out, where frames aren't known. */
static uint64_t seen[1 << 20];
static size_t nr_seen;

/* Read the trace; counts[0] and [1] receive the times that each page was cleaned. */
static struct cleaned clean_read(const uint64_t *frames, size_t nr, uint8_t *counts[2])
{
	FILE *f = fopen(TRACING "/trace", "r");
	struct cleaned c = { };
	char line[512];

	if (!f)
		fail(TRACING "/trace: %s", strerror(errno));
	nr_seen = 0;
	while (fgets(line, sizeof(line), f)) {
		const char *event = strstr(line, "omni_nc_clean: ");
		unsigned long long pa, bytes;
		char dir[4];

		if (strstr(line, "LOST"))
			fail("the trace lost events");
		if (!event || sscanf(event, "omni_nc_clean: %3s pa=%llx bytes=%llu", dir, &pa,
				     &bytes) != 3)
			continue;
		for (uint64_t at = pa; at < pa + bytes; at += PG) {
			bool out = dir[0] == 'o';
			uint64_t *hit = NULL;

			*(out ? &c.out : &c.in) += 1;
			if (nr_seen == ARRAY_SIZE(seen))
				fail("more pages were cleaned than there are");
			seen[nr_seen++] = at + out;
			if (frames)
				hit = bsearch(&at, frames, nr, sizeof(at), u64_order);
			if (hit)
				counts[out][hit - frames]++;
			else
				*(out ? &c.other_out : &c.other_in) += 1;
		}
	}
	fclose(f);
	return c;
}

/* The same without knowing the pages: so many, each cleaned so often, and others out. */
static void clean_any(size_t nr, int in, int out, unsigned long other, const char *what)
{
	unsigned long matched = 0, others = 0;
	size_t i, n;

	clean_read(NULL, 0, NULL);
	qsort(seen, nr_seen, sizeof(seen[0]), u64_order);
	for (i = 0; i < nr_seen; i += n) {
		int counts[2] = { };

		for (n = 0; i + n < nr_seen && (seen[i] ^ seen[i + n]) < 2; n++)
			counts[seen[i + n] & 1]++;
		if (counts[0] == in && counts[1] == out)
			matched++;
		else if (!counts[0] && counts[1] == 1)
			others++;
		else
			fail("%s: a page was cleaned %d times in and %d times out, expected %d and %d",
			     what, counts[0], counts[1], in, out);
	}
	if (matched != (in || out ? nr : 0) || others != other)
		fail("%s: %lu pages of %zu were cleaned as expected, and %lu others", what,
		     matched, nr, others);
}

/*
 * Since the last look, each page of the memory was cleaned @in times on its
 * way in and @out times on its way out, and @other more pages on theirs out.
 */
static void clean_frames(const uint64_t *frames, size_t nr, int in, int out,
			 unsigned long other, const char *what)
{
	uint8_t *counts[2] = { calloc(1, nr), calloc(1, nr) };
	struct cleaned c = { };

	if (enforces_coherency())
		in = out = other = 0;
	if (frames)
		c = clean_read(frames, nr, counts);
	else
		clean_any(nr, in, out, other, what);
	for (size_t i = 0; frames && i < nr; i++)
		if (counts[0][i] != in || counts[1][i] != out)
			fail("%s: page %zu of %zu was cleaned %d times in and %d times out, expected %d and %d",
			     what, i, nr, counts[0][i], counts[1][i], in, out);
	if (frames && (c.other_in || c.other_out != other))
		fail("%s: %lu other pages were cleaned in and %lu out, expected 0 and %lu", what,
		     c.other_in, c.other_out, other);
	note("%s: %zu pages, cleaned %d times in and %d times out", what, nr, in, out);
	free(counts[0]);
	free(counts[1]);
	clean_begin();
}

static void clean_is(const void *va, size_t len, int in, int out, const char *what)
{
	uint64_t *frames = frames_of(va, len);

	clean_frames(frames, len / PG, in, out, 0, what);
	free(frames);
}

/* Map, do DMA both ways, unmap: once in, once out; the ledger says the same. */
static void clean_round(struct edu *e, uint8_t *p, size_t len, uint64_t iova, const char *what)
{
	static struct ledger a, b;
	long pages = enforces_coherency() ? 0 : len / PG;

	load(e, 400);
	clean_begin();
	ledger_read(&a);
	map(e->space, p, iova, len, RW);
	clean_is(p, len, 1, 0, what);
	write_ok(e, iova + len / 2, p + len / 2, 400, 0, 512);
	fill(p, EDU_MAX, 401);
	read_ok(e, iova, 401, 512);
	clean_begin();
	unmap(e->space, iova, len);
	clean_is(p, len, 0, 1, what);
	ledger_read(&b);
	if (ledger_diff(&a, &b, "nc.clean_in") != pages ||
	    ledger_diff(&a, &b, "nc.clean_out") != pages ||
	    ledger_diff(&a, &b, "nc.bytes_in") != pages * (long)PG ||
	    ledger_diff(&a, &b, "nc.bytes_out") != pages * (long)PG)
		fail("%s: the ledger has %ld pages in and %ld out, expected %ld", what,
		     ledger_diff(&a, &b, "nc.clean_in"), ledger_diff(&a, &b, "nc.clean_out"),
		     pages);
}

static void t_clean_4k(void)
{
	struct edu *e = edu_alone();
	size_t len = 300 * PG;

	/* two tables' worth of neighbours, and none of it on a boundary */
	clean_round(e, pages_at_2m(len, PG, false), len, BASE + 6 * SZ_2M - 100 * PG, "4K leaves");
}

static void t_clean_2m(void)
{
	struct edu *e = edu_alone();
	uint8_t *p = huge_pages(SZ_2M, 3);

	if (!p)
		skip("no 2M pages");
	fill(p, PG, 1);
	fill(p + SZ_2M, PG, 1);
	fill(p + 2 * SZ_2M, PG, 1);
	clean_round(e, p, 3 * SZ_2M, BASE + 10 * SZ_2M, "2M leaves");
	/* the same memory by small pages, then by both kinds at once */
	clean_round(e, p, 3 * SZ_2M, BASE + 20 * SZ_2M + PG, "2M pages by 4K leaves");
}

static void t_clean_1g(void)
{
	struct edu *e = edu_alone();
	uint8_t *p = huge_pages(SZ_1G, 1);

	if (!p)
		skip("no 1G page");
	if (!wide)
		skip("the devices don't reach that far");
	fill(p, PG, 1);
	clean_round(e, p, SZ_1G, BASE + SZ_1G, "1G leaf");
}

/* Pages that are mapped more than once, or by two spaces, go in and out once. */
static void t_clean_shared(void)
{
	uint64_t iova = BASE + 50 * PG;
	struct space *s[2] = { space_new(), space_new() };
	uint8_t *p = pages(8 * PG);

	need_two_groups();
	for (int i = 0; i < 2; i++) {
		edu_open(&devs[i], s[i]);
		load(&devs[i], 410 + i);
	}
	clean_begin();
	map(s[0], p, iova, 8 * PG, RW);
	clean_is(p, 8 * PG, 1, 0, "the first of two spaces maps");
	map(s[1], p, iova, 8 * PG, RW);
	map(s[1], p, iova + 64 * PG, 8 * PG, RW);
	clean_is(p, 8 * PG, 0, 0, "the second space maps, twice");
	unmap(s[0], iova, 8 * PG);
	unmap(s[1], iova + 64 * PG, 8 * PG);
	clean_is(p, 8 * PG, 0, 0, "all but the last mapping go");
	write_ok(&devs[1], iova, p, 411, 0, 512);
	unmap(s[1], iova, 8 * PG);
	clean_is(p, 8 * PG, 0, 1, "the last mapping goes");
}

/* Two groups in one space, of which one leaves and comes back. */
static void t_clean_two_groups(void)
{
	uint64_t iova = BASE + 50 * PG;
	struct edu *a = &devs[0], *b = &devs[1];
	struct space *s = space_new();
	uint8_t *p = pages(16 * PG);

	need_two_groups();
	edu_open(a, s);
	clean_begin();
	map(s, p, iova, 16 * PG, RW);
	clean_is(p, 16 * PG, 1, 0, "one group in the space");
	edu_open(b, s);
	clean_is(p, 16 * PG, 0, 0, "another joins");
	load(b, 420);
	write_ok(b, iova, p, 420, 0, 512);
	edu_close(a);
	clean_is(p, 16 * PG, 0, 0, "the first leaves");
	unmap(s, iova, 16 * PG);
	clean_is(p, 16 * PG, 0, 1, "unmapped");
}

/* A process dies with mappings: everything it had is cleaned. */
static void t_clean_killed(void)
{
	uint64_t iova = BASE + 12 * SZ_2M, end = now_ms() + 5000;
	size_t len = 600 * PG;
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t *frames = frames_of(p, len);
	static struct ledger a, b;
	int fds[2], status;
	pid_t pid;
	char c;

	if (p == MAP_FAILED || pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0)
		fail("cannot start a victim: %s", strerror(errno));
	if (!pid) {
		struct edu *e = edu_alone();

		load(e, 430);
		clean_begin();
		map(e->space, p, iova, len, RW);
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			dma(e, DEV_WRITE, iova, 0, 512);
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		skip("the victim ended before it mapped anything");
	ledger_read(&a);
	usleep(150000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		fail("the victim was not killed");
	/* Its last references may go a little later. */
	do {
		usleep(20000);
		ledger_read(&b);
	} while (!enforces_coherency() && now_ms() < end &&
		 ledger_diff(&a, &b, "nc.clean_out") < (long)(len / PG + 1));
	/* the space's scratch page is the other one */
	clean_frames(frames, len / PG, 1, 1, 1, "a victim's pages");
}

/*
 * The device is pulled while a process has it, which is killed then. What comes
 * back may be in another group: the last case of a run.
 */
static void t_clean_removed(void)
{
	uint64_t iova = BASE + 12 * SZ_2M;
	uint8_t *p = mmap(NULL, 40 * PG, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t *frames = frames_of(p, 40 * PG);
	pid_t pid, remover;
	char path[160], c;
	int fds[2], status;

	if (p == MAP_FAILED || pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0)
		fail("cannot start a user: %s", strerror(errno));
	if (!pid) {
		struct edu *e = edu_alone();

		clean_begin();
		map(e->space, p, iova, 40 * PG, RW);
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		skip("the user ended before it mapped anything");
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/remove", devs[0].bdf);
	remover = fork();
	if (!remover)
		_exit(!write_text(path, "1"));
	/* The kernel waits for the user to let go. */
	usleep(500000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	if (waitpid(remover, &status, 0) != remover || status)
		fail("%s: %s", path, strerror(errno));
	if (!access(path, F_OK))
		fail("the device is still there");
	clean_frames(frames, 40, 1, 1, 1, "a removed device's pages");
	if (!write_text("/sys/bus/pci/rescan", "1") || access(path, F_OK))
		fail("the device does not come back");
}

static bool bind_vfio(struct edu *e);

static bool wait_path(const char *path, bool there, int ms)
{
	uint64_t end = now_ms() + ms;

	while (!access(path, F_OK) != there && now_ms() < end)
		usleep(20000);
	return !access(path, F_OK) == there;
}

/* A user of the first device, who is told when the kernel wants it back. */
static void unplug_user(int fd, uint8_t *small, size_t len, uint8_t *large, bool ends)
{
	struct {
		struct vfio_irq_set set;
		int32_t fd;
	} request = {
		.set = {
			.argsz = sizeof(request),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_REQ_IRQ_INDEX,
			.count = 1,
		},
		.fd = eventfd(0, EFD_CLOEXEC),
	};
	struct edu *e = edu_alone();
	uint64_t wants;

	if (ioctl(e->fd, VFIO_DEVICE_SET_IRQS, &request))
		fail("%s: no eventfd for requests: %s", e->bdf, strerror(errno));
	load(e, 440);
	clean_begin();
	map(e->space, small, BASE + 12 * SZ_2M + PG, len, RW);
	if (large)
		map(e->space, large, BASE + 20 * SZ_2M, SZ_2M, RW);
	write_ok(e, BASE + 12 * SZ_2M + PG, small, 440, 0, 512);
	if (write(fd, "m", 1) != 1 || read(request.fd, &wants, sizeof(wants)) != sizeof(wants))
		_exit(1);
	if (ends)
		_exit(write(fd, "r", 1) != 1);
	/* Only the device: the container and all it maps stay open. */
	munmap((void *)e->bar, e->bar_size);
	close(e->fd);
	if (write(fd, "r", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/*
 * QEMU pulls the device out of its slot, the kernel asks the user for it, and
 * he lets go: of everything, or of the device alone. Each page was cleaned
 * once on its way out then, and nothing is counted any more.
 */
static void clean_unplugged(int n, bool ends)
{
	size_t len = 600 * PG, nr = len / PG, i;
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint8_t *h = huge_pages(SZ_2M, 1);
	uint64_t *frames, *more = NULL, end;
	static struct ledger a, b;
	char path[160], c;
	int fds[2], status;
	pid_t pid;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", devs[0].bdf);
	if (n > 1) {
		put_line("@@HOST plug %d", n);
		if (!wait_path(path, true, 30000))
			fail("the device does not come back");
		/* Seen before the kernel is through with it: no driver may have it yet. */
		for (end = now_ms() + 10000; !bind_vfio(&devs[0]); usleep(200000))
			if (now_ms() > end)
				fail("vfio-pci does not take what came back");
	}
	if (p == MAP_FAILED)
		fail("no memory: %s", strerror(errno));
	frames = frames_of(p, len);
	if (h) {
		fill(h, PG, 1);
		more = frames_of(h, SZ_2M);
		nr += SZ_2M / PG;
	}
	if (frames && more) {
		frames = realloc(frames, nr * sizeof(*frames));
		for (i = 0; i < SZ_2M / PG; i++)
			frames[len / PG + i] = more[i];
		qsort(frames, nr, sizeof(*frames), u64_order);
	}
	ledger_read(&a);
	if (ledger_get(&a, "nc_chunks"))
		fail("%ld chunks of memory are counted before", ledger_get(&a, "nc_chunks"));
	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0)
		fail("cannot start a user: %s", strerror(errno));
	if (!pid)
		unplug_user(fds[1], p, len, h, ends);
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		fail("the user ended before it mapped anything");
	ledger_read(&b);
	/* With the space's scratch page; VFIO has tried something before, and undone it. */
	if (ledger_diff(&a, &b, "nc.clean_in") - ledger_diff(&a, &b, "nc.clean_out") !=
	    (enforces_coherency() ? 0 : (long)nr + 1))
		fail("mapped: %ld pages in and %ld out by the ledger, expected %zu more",
		     ledger_diff(&a, &b, "nc.clean_in"), ledger_diff(&a, &b, "nc.clean_out"),
		     nr + 1);
	put_line("@@HOST unplug %d", n);
	if (read(fds[0], &c, 1) != 1)
		fail("the kernel did not ask the user for the device");
	if (!wait_path(path, false, 30000))
		fail("the device is still there");
	if (ends && (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status)))
		fail("the user did not end as he should");
	/* The last references may go a little later. */
	end = now_ms() + 5000;
	do {
		usleep(20000);
		ledger_read(&b);
	} while (ledger_get(&b, "nc_chunks") && now_ms() < end);
	if (ledger_get(&b, "nc_chunks"))
		fail("%ld chunks of memory are still counted", ledger_get(&b, "nc_chunks"));
	if (ledger_diff(&a, &b, "nc.clean_out") != ledger_diff(&a, &b, "nc.clean_in"))
		fail("%ld pages in and %ld out by the ledger", ledger_diff(&a, &b, "nc.clean_in"),
		     ledger_diff(&a, &b, "nc.clean_out"));
	clean_frames(frames, nr, 1, 1, 1, ends ? "unplugged, the user ended" :
		     "unplugged, the user closed the device");
	if (!ends) {
		if (waitpid(pid, &status, WNOHANG))
			fail("the user did not stay");
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		/* He has nothing left to clean. */
		clean_frames(NULL, 0, 0, 0, 0, "his end");
	}
	if (ledger_get(&a, "table_pages") < ledger_get(&b, "table_pages"))
		fail("%ld page-table pages more than before",
		     ledger_diff(&a, &b, "table_pages"));
}

static void t_clean_unplugged(void)
{
	clean_unplugged(1, true);
}

static void t_clean_unplugged_open(void)
{
	clean_unplugged(2, false);
}

/* The kind of leaf does not matter: a page counts once by whatever it is mapped. */
static void t_clean_mixed(void)
{
	struct edu *e = edu_alone();
	uint8_t *p = huge_pages(SZ_2M, 1);

	if (!p)
		skip("no 2M pages");
	fill(p, PG, 1);
	clean_begin();
	map(e->space, p + 5 * PG, BASE + 30 * SZ_2M, 7 * PG, RW);
	clean_is(p + 5 * PG, 7 * PG, 1, 0, "7 pages of 512, by 4K leaves");
	map(e->space, p, BASE + 40 * SZ_2M, SZ_2M, RW);
	unmap(e->space, BASE + 30 * SZ_2M, 7 * PG);
	if (!enforces_coherency()) {
		uint64_t *frames = frames_of(p, SZ_2M);
		uint8_t *counts[2] = { calloc(1, 512), calloc(1, 512) };
		struct cleaned c = clean_read(frames, 512, counts);

		if (c.in != 505 || c.out || (frames && c.other_in))
			fail("the 2M leaf around them cleaned %lu pages in, expected 505, and %lu out",
			     c.in, c.out);
	}
	clean_begin();
	unmap(e->space, BASE + 40 * SZ_2M, SZ_2M);
	clean_is(p, SZ_2M, 0, 1, "all 512 pages leave with the 2M leaf");
}

/* A device's registers, mapped for its neighbour, are no memory to clean. */
static void t_clean_mmio(void)
{
	struct space *s = space_new();
	static struct ledger a, b;
	int err;

	edu_open(&devs[0], s);
	edu_open(&devs[1], s);
	clean_begin();
	ledger_read(&a);
	err = try_map(s, (void *)devs[1].bar, BASE + 3 * SZ_2M, 16 * PG, RW);
	if (err)
		skip("the kernel maps no registers: %s", strerror(err));
	unmap(s, BASE + 3 * SZ_2M, 16 * PG);
	ledger_read(&b);
	clean_frames(NULL, 0, 0, 0, 0, "16 pages of registers");
	if (ledger_diff(&a, &b, "nc.skipped_mmio") != (enforces_coherency() ? 0 : 32))
		fail("16 pages of registers were skipped %ld times, expected 32",
		     ledger_diff(&a, &b, "nc.skipped_mmio"));
}

#endif
