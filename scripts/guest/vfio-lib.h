/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the VFIO test programs share: result lines, spaces and mappings, QEMU's
 * edu device as a DMA engine, the kernel log and omniommu's ledger. Spaces
 * come from vfio-type1.h or from iommufd-space.h.
 *
 * Every case runs in a process of its own. A check that does not hold calls
 * fail(), which ends that process; the kernel then takes everything down, so
 * a case needs no unwinding and cannot disturb the next one.
 *
 * Words: a "space" is an IOVA space: a VFIO container or an IOAS. A direction is
 * named from the device: DEV_READ takes from memory, DEV_WRITE puts there.
 */
#ifndef OMNI_GUEST_VFIO_LIB_H
#define OMNI_GUEST_VFIO_LIB_H

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define PG		4096UL
#define SZ_2M		(2UL << 20)
#define SZ_1G		(1UL << 30)
#define RW		(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
/* Where the processor's messages are, or where the kernel maps their doorbell */
#ifdef __aarch64__
#define MSI_START	0x08000000UL
#else
#define MSI_START	0xfee00000UL
#endif
#define MSI_SIZE	0x00100000UL

/* edu: BAR 0 registers and command bits; see QEMU's docs/specs/edu */
#define EDU_LIVENESS	0x04
#define EDU_SRC		0x80
#define EDU_DST		0x88
#define EDU_COUNT	0x90
#define EDU_CMD		0x98
#define EDU_CMD_RUN	0x01
#define EDU_CMD_TO_MEM	0x02
#define EDU_BUF		0x40000UL
/* QEMU aborts when a transfer ends at 0x41000 or later. */
#define EDU_BUF_SIZE	4095U
#define EDU_MAX		2048U
#define EDU_DMA_US	100000
#define NARROW_MASK	0x0fffffffUL

enum dir { DEV_READ, DEV_WRITE };

struct space {
	int fd;
	bool typed;		/* type1: it has its IOMMU */
	uint32_t ioas;		/* iommufd: the object that is it */
	uint8_t *scratch;	/* a page all devices may always reach */
};

struct edu {
	char bdf[16];
	char alias[16];		/* requester id it appears by, where a bridge changes it */
	int group;
	int group_fd, fd;
	uint32_t id;		/* iommufd: the device's object */
	volatile uint8_t *bar;
	size_t bar_size;
	uint64_t bar_off;
	struct space *space;
};

#define MAX_DEVS 8
static struct edu devs[MAX_DEVS];
static int ndevs;
static bool wide;		/* devices reach past 28 bits */
static int result_fd = -1;	/* a case process reports here */
static uint32_t opt_seed;	/* of the random case */
static long opt_steps = 1500;
static long opt_scale = 1;	/* a slow kernel's share: an Nth of the rounds in N times the time */
static long opt_every = 1;	/* of a case's orders of steps: all, every second, ... */
static long opt_replace_ms = 20000;	/* how long a HWPT is replaced under DMA */

#define SCRATCH_IOVA	0x0fff0000UL
/*
 * Where devices reach that far, the tested addresses lie above all of the
 * guest's memory: DMA that escapes translation then hits nothing.
 */
#define BASE		(wide ? 0x4000000000UL : 0x04000000UL)

struct test {
	const char *name;
	void (*run)(void);
	int devices;		/* how many edu devices it needs */
	int limit;		/* seconds until it counts as hung */
};

/* ---- results ---- */

static void put_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
static void skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* One write per line and wait for the console: kernel messages come between. */
static void put_line(const char *fmt, ...)
{
	char line[700];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n)
		_exit(2);
	if (isatty(STDOUT_FILENO))
		tcdrain(STDOUT_FILENO);
}

#define note(fmt, ...) put_line("@@NOTE " fmt, ##__VA_ARGS__)

static void report_and_exit(char kind, const char *fmt, va_list ap)
{
	char msg[512];
	int n;

	msg[0] = kind;
	n = 1 + vsnprintf(msg + 1, sizeof(msg) - 1, fmt, ap);
	if (n > (int)sizeof(msg) - 1)
		n = sizeof(msg) - 1;
	/* Within PIPE_BUF, so a message is never torn. */
	if (result_fd < 0 || write(result_fd, msg, n + 1) < 0)
		put_line("%s", msg);
	_exit(kind == 'F');
}

static void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_and_exit('F', fmt, ap);
	__builtin_unreachable();
}

static void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	report_and_exit('S', fmt, ap);
	__builtin_unreachable();
}

/* ---- small things ---- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* Until @end, and where a busy host gave too little time longer, until there is @enough. */
static bool go_on(uint64_t end, bool enough)
{
	uint64_t now = now_ms();

	return now < end || (!enough && now < end + 40000);
}

static bool read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t got = 0;
	ssize_t n;

	if (fd < 0)
		return false;
	while (got < size - 1 && (n = read(fd, buf + got, size - 1 - got)) > 0)
		got += n;
	close(fd);
	buf[got] = 0;
	return true;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static unsigned long meminfo_kb(const char *field)
{
	char buf[8192], *p;

	if (!read_text("/proc/meminfo", buf, sizeof(buf)))
		return 0;
	p = strstr(buf, field);
	if (!p || p[strlen(field)] != ':')
		return 0;
	return strtoul(p + strlen(field) + 1, NULL, 10);
}

static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x7feb352dU;
	x ^= x >> 15;
	x *= 0x846ca68bU;
	return (x ^ (x >> 16)) | 1;
}

static void fill(void *buf, size_t len, uint32_t seed)
{
	uint32_t *w = buf;

	for (size_t i = 0; i < len / 4; i++)
		w[i] = mix(seed * 0x9e3779b9U + i);
}

/* -1 where buf holds the pattern, else the offset of the first difference */
static long differs(const void *buf, size_t len, uint32_t seed)
{
	const uint32_t *w = buf;

	for (size_t i = 0; i < len / 4; i++)
		if (w[i] != mix(seed * 0x9e3779b9U + i))
			return i * 4;
	return -1;
}

/* The pattern's words from offset off on, as edu's buffer has after load(). */
static long differs_from(const void *buf, size_t len, uint32_t seed, size_t off)
{
	const uint32_t *w = buf;

	for (size_t i = 0; i < len / 4; i++)
		if (w[i] != mix(seed * 0x9e3779b9U + off / 4 + i))
			return i * 4;
	return -1;
}

static void *pages(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("no %zu bytes of memory: %s", len, strerror(errno));
	return p;
}

/* len bytes at an address that is off past a 2M boundary, huge pages or not */
static void *pages_at_2m(size_t len, size_t off, bool huge)
{
	uintptr_t a;
	void *p = mmap(NULL, len + off + SZ_2M, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail("no %zu bytes of memory: %s", len, strerror(errno));
	a = (((uintptr_t)p + SZ_2M - 1) & ~(SZ_2M - 1)) + off;
	madvise((void *)(a - off), len + off, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	for (size_t i = 0; i < len; i += PG)
		((volatile char *)a)[i] = 0;
	return (void *)a;
}

/* Memory of hugetlb pages of that size, or NULL where the guest has none. */
static void *huge_pages(size_t page, int count)
{
	char path[128], num[32];
	int fd, need = count;
	void *p;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%lukB/free_hugepages", page >> 10);
	if (!read_text(path, num, sizeof(num)))
		return NULL;
	need -= atoi(num);
	if (need > 0) {
		int total;

		snprintf(path, sizeof(path),
			 "/sys/kernel/mm/hugepages/hugepages-%lukB/nr_hugepages", page >> 10);
		if (!read_text(path, num, sizeof(num)))
			return NULL;
		total = atoi(num) + need;
		snprintf(num, sizeof(num), "%d", total);
		write_text(path, num);
	}
	fd = memfd_create("huge", MFD_HUGETLB | (__builtin_ctzl(page) << MAP_HUGE_SHIFT));
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, page * count)) {
		close(fd);
		return NULL;
	}
	p = mmap(NULL, page * count, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- spaces: what each interface does in its own way ---- */

/* 0 or errno */
static int try_map(struct space *s, void *va, uint64_t iova, uint64_t size, uint32_t flags);
static int try_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *done,
		     uint32_t flags);
/* Whether nothing is mapped there; takes it away if there is. */
static bool is_empty(struct space *s, uint64_t iova, uint64_t size);
static struct space *space_new(void);
static void edu_open(struct edu *e, struct space *s);
static void edu_close(struct edu *e);
/* The usable IOVA ranges, or 0 where the interface does not tell. */
static int iova_ranges(struct space *s, struct vfio_iova_range *out, int max);

static void map(struct space *s, void *va, uint64_t iova, uint64_t size, uint32_t flags)
{
	int err = try_map(s, va, iova, size, flags);

	if (err)
		fail("map of 0x%lx bytes at IOVA 0x%lx: %s", size, iova, strerror(err));
}

static void unmap(struct space *s, uint64_t iova, uint64_t size)
{
	uint64_t done;
	int err = try_unmap(s, iova, size, &done, 0);

	if (err)
		fail("unmap of 0x%lx bytes at IOVA 0x%lx: %s", size, iova, strerror(err));
	if (done != size)
		fail("unmap of 0x%lx bytes at IOVA 0x%lx took away 0x%lx", size, iova, done);
}

static void space_free(struct space *s)
{
	close(s->fd);
	if (s->scratch)
		munmap(s->scratch, PG);
	free(s);
}

/* ---- devices ---- */

static uint64_t edu_get(struct edu *e, unsigned int reg)
{
	return *(volatile uint64_t *)(e->bar + reg);
}

static void edu_set(struct edu *e, unsigned int reg, uint64_t v)
{
	*(volatile uint64_t *)(e->bar + reg) = v;
}

static void dma_wait(struct edu *e)
{
	uint64_t end = now_ms() + 10000;

	while (edu_get(e, EDU_CMD) & EDU_CMD_RUN) {
		if (now_ms() > end)
			fail("%s: DMA not finished after 10 s", e->bdf);
		usleep(1000);
	}
}

static void dma_start(struct edu *e, enum dir dir, uint64_t iova, unsigned int off,
		      unsigned int len)
{
	if (len > EDU_MAX || off + len > EDU_BUF_SIZE)
		fail("test error: transfer of %u at %u does not fit edu", len, off);
	if (!wide && iova + len - 1 > NARROW_MASK)
		fail("test error: IOVA 0x%lx is past edu's 28 bits", iova);
	edu_set(e, EDU_SRC, dir == DEV_READ ? iova : EDU_BUF + off);
	edu_set(e, EDU_DST, dir == DEV_READ ? EDU_BUF + off : iova);
	edu_set(e, EDU_COUNT, len);
	edu_set(e, EDU_CMD, EDU_CMD_RUN | (dir == DEV_WRITE ? EDU_CMD_TO_MEM : 0));
}

static void dma(struct edu *e, enum dir dir, uint64_t iova, unsigned int off, unsigned int len)
{
	dma_start(e, dir, iova, off, len);
	usleep(EDU_DMA_US - 2000);
	dma_wait(e);
}

/* Put the pattern into edu's buffer, by the scratch page. */
static void load(struct edu *e, uint32_t seed)
{
	fill(e->space->scratch, EDU_MAX, seed);
	dma(e, DEV_READ, SCRATCH_IOVA, 0, EDU_MAX);
}

/* Fetch edu's buffer; what came is valid until the next save(). */
static const void *save(struct edu *e, unsigned int len)
{
	memset(e->space->scratch + EDU_MAX, 0, EDU_MAX);
	dma(e, DEV_WRITE, SCRATCH_IOVA + EDU_MAX, 0, len);
	return e->space->scratch + EDU_MAX;
}

/* len bytes of edu's buffer from off, which load(seed) filled, to memory */
static void write_ok(struct edu *e, uint64_t iova, const void *va, uint32_t seed,
		     unsigned int off, unsigned int len)
{
	long at;

	dma(e, DEV_WRITE, iova, off, len);
	at = differs_from(va, len, seed, off);
	if (at >= 0)
		fail("%s: DMA write to IOVA 0x%lx did not arrive (offset %ld)", e->bdf, iova, at);
}

/* Read memory that holds the pattern by DMA, and have it back. */
static void read_ok(struct edu *e, uint64_t iova, uint32_t seed, unsigned int len)
{
	long at;

	dma(e, DEV_READ, iova, 0, len);
	at = differs(save(e, len), len, seed);
	if (at >= 0)
		fail("%s: DMA read from IOVA 0x%lx brought other data (offset %ld)",
		     e->bdf, iova, at);
}

static void edu_config(struct edu *e)
{
	struct vfio_region_info r = { .argsz = sizeof(r), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	uint16_t cmd;

	if (ioctl(e->fd, VFIO_DEVICE_GET_REGION_INFO, &r))
		fail("%s: config region: %s", e->bdf, strerror(errno));
	if (pread(e->fd, &cmd, 2, r.offset + 4) != 2)
		fail("%s: config read: %s", e->bdf, strerror(errno));
	cmd |= 0x2 | 0x4;	/* memory space, bus master */
	if (pwrite(e->fd, &cmd, 2, r.offset + 4) != 2)
		fail("%s: config write: %s", e->bdf, strerror(errno));
}

/* Once the device answers and is in its space: its registers, and a scratch page. */
static void edu_ready(struct edu *e, struct space *s)
{
	struct vfio_region_info r = { .argsz = sizeof(r), .index = VFIO_PCI_BAR0_REGION_INDEX };

	if (ioctl(e->fd, VFIO_DEVICE_GET_REGION_INFO, &r))
		fail("%s: BAR 0: %s", e->bdf, strerror(errno));
	e->bar_size = r.size;
	e->bar_off = r.offset;
	e->bar = mmap(NULL, r.size, PROT_READ | PROT_WRITE, MAP_SHARED, e->fd, r.offset);
	if (e->bar == MAP_FAILED)
		fail("%s: mmap of BAR 0: %s", e->bdf, strerror(errno));
	/* A killed owner's transfer runs on without bus mastering: let it end. */
	edu_config(e);
	dma_wait(e);
	e->space = s;
	if (!s->scratch) {
		s->scratch = pages(PG);
		map(s, s->scratch, SCRATCH_IOVA, PG, RW);
	}
}

/* The first device in a space of its own: what most cases start with. */
static struct edu *edu_alone(void)
{
	edu_open(&devs[0], space_new());
	return &devs[0];
}

/* ---- the kernel log ---- */

static int klog_mark(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static bool has_addr(const char *line, uint64_t addr)
{
	char want[32];
	size_t n = snprintf(want, sizeof(want), "0x%lx", addr);

	for (const char *p = line; (p = strstr(p, want)); p++)
		if (!isxdigit((unsigned char)p[n]))
			return true;
	return false;
}

static bool fault_by(const char *line, const char *bdf, enum dir dir)
{
	char ours[48], intree[32];

	snprintf(ours, sizeof(ours), "DMA %s by %s ", dir == DEV_READ ? "read" : "write", bdf);
	if (strstr(line, "omniommu: ") && strstr(line, ours))
		return true;
	snprintf(intree, sizeof(intree), "device [%s]", bdf + 5);
	return strstr(line, dir == DEV_READ ? "[DMA Read" : "[DMA Write") && strstr(line, intree);
}

/* Wait until the log has a decoded fault of that device; closes fd. */
static bool klog_fault(int fd, const struct edu *e, enum dir dir, uint64_t iova, int ms)
{
	uint64_t end = now_ms() + ms;
	char line[2048];
	bool found = false;

	while (!found && now_ms() < end) {
		ssize_t n = read(fd, line, sizeof(line) - 1);

		if (n < 0) {
			if (errno == EAGAIN)
				usleep(5000);
			else if (errno != EPIPE)
				break;
			continue;
		}
		line[n] = 0;
		found = has_addr(line, iova & ~(PG - 1)) &&
			(fault_by(line, e->bdf, dir) ||
			 (e->alias[0] && fault_by(line, e->alias, dir)));
	}
	close(fd);
	return found;
}

static void unchanged(const void *va, size_t len, uint32_t seed, const char *what)
{
	long at = differs(va, len, seed);

	if (at >= 0)
		fail("memory changed at offset %ld of %s", at, what);
}

/* A refused DMA read must not have brought the page's pattern. */
static void no_leak(struct edu *e, uint32_t secret, unsigned int len, const char *what)
{
	const uint32_t *got = save(e, len);
	unsigned int same = 0;

	for (unsigned int i = 0; i < len / 4; i++)
		same += got[i] == mix(secret * 0x9e3779b9U + i);
	if (same > 1)
		fail("%s: DMA read brought %u words of %s", e->bdf, same, what);
}

/*
 * QEMU 7.2's AMD-Vi unit writes no event for an entry that is empty or lacks the permission; what
 * it rejected it says on the host's side. Announce what has to be found there.
 */
static bool host_judges(enum dir dir, uint64_t iova)
{
	if (access("/sys/class/iommu/ivhd0", F_OK))
		return false;
	put_line("@@DATA blocked %s 0x%lx", dir == DEV_READ ? "read" : "write", iova);
	return true;
}

/*
 * A page full of fill(seed)'s pattern is attacked by DMA at an IOVA that must
 * not lead there. The memory must be as it was, or stay secret, and the
 * kernel must have said who tried what where. Fault messages are rate
 * limited, by 5 s windows: a missing one gets a second chance in a fresh one.
 */
static void attack(struct edu *e, enum dir dir, uint64_t iova, const void *page, uint32_t seed,
		   const char *what)
{
	for (int round = 0; round < 2; round++) {
		int fd = klog_mark();

		dma(e, dir, iova, dir == DEV_READ ? 0 : 1024, 512);
		if (dir == DEV_READ)
			no_leak(e, seed, 512, what);
		unchanged(page, PG, seed, what);
		if (host_judges(dir, iova)) {
			close(fd);
			return;
		}
		if (fd < 0 || klog_fault(fd, e, dir, iova, round ? 3000 : 1500))
			return;
		if (!round)
			usleep(5100000);
	}
	fail("%s: the kernel log has no decoded fault of a DMA %s at 0x%lx", e->bdf,
	     dir == DEV_READ ? "read" : "write", iova & ~(PG - 1));
}

/* ---- omniommu's ledger ---- */

static bool omniommu_loaded(void)
{
	return !access("/sys/module/omniommu", F_OK);
}

#define LEDGER "/sys/kernel/debug/omniommu/ledger"

struct ledger {
	int n;
	struct {
		char name[48];
		long value;
	} row[256];
};

static bool ledger_read(struct ledger *l)
{
	static char text[32768];
	char *save_ptr, *line;

	l->n = 0;
	if (!read_text(LEDGER, text, sizeof(text)))
		return false;
	for (line = strtok_r(text, "\n", &save_ptr); line && l->n < (int)ARRAY_SIZE(l->row);
	     line = strtok_r(NULL, "\n", &save_ptr))
		if (sscanf(line, "%47s %ld", l->row[l->n].name, &l->row[l->n].value) == 2)
			l->n++;
	return true;
}

/* Sum of the rows of that name; a name ".x" stands for every unit's x. */
static long ledger_get(const struct ledger *l, const char *name)
{
	bool found = false;
	long sum = 0;

	for (int i = 0; i < l->n; i++) {
		const char *row = l->row[i].name;
		size_t whole = strlen(row), part = strlen(name);

		if (!strcmp(row, name) ||
		    (name[0] == '.' && whole > part && !strcmp(row + whole - part, name))) {
			sum += l->row[i].value;
			found = true;
		}
	}
	if (!found)
		fail("the ledger has no row %s", name);
	return sum;
}

static long ledger_diff(const struct ledger *a, const struct ledger *b, const char *name)
{
	return ledger_get(b, name) - ledger_get(a, name);
}

static long iotlb_commands(const struct ledger *a, const struct ledger *b)
{
	return ledger_diff(a, b, ".cmd.iotlb_global") + ledger_diff(a, b, ".cmd.iotlb_domain") +
	       ledger_diff(a, b, ".cmd.iotlb_page");
}

/* Capability bit of any unit, by the attribute both drivers have: %d is the unit's number */
static bool any_cap_bit(const char *attribute, int bit)
{
	char path[96], text[64];
	bool set = false;

	for (int i = 0; i < 16; i++) {
		snprintf(path, sizeof(path), attribute, i);
		if (read_text(path, text, sizeof(text)))
			set |= strtoull(text, NULL, 16) >> bit & 1;
	}
	return set;
}

#define VTD_CAP	"/sys/class/iommu/dmar%d/intel-iommu/cap"
#define AMD_CAP	"/sys/class/iommu/ivhd%d/amd-iommu/cap"

/* Does a unit cache entries that are not present: VT-d's CM, AMD-Vi's NpCache? */
static bool caches_absent(void)
{
	return any_cap_bit(VTD_CAP, 7) || any_cap_bit(AMD_CAP, 26);
}

/* Has a unit a write buffer to be flushed: VT-d's RWBF? */
static bool buffers_writes(void)
{
	return any_cap_bit(VTD_CAP, 4);
}

#endif
