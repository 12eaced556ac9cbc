/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases about time and number: many operations, several devices, several
 * threads, processes that are killed, random programs, and what all of it
 * costs in invalidation commands and table pages.
 */
#ifndef OMNI_GUEST_VFIO_LOAD_H
#define OMNI_GUEST_VFIO_LOAD_H

/* ---- cycles ---- */

#define CYCLES_SAME	(4000 / opt_scale)
#define CYCLES_WALK	(4000 / opt_scale)
#define CYCLES_MANY	(2000 / opt_scale)
#define CONTAINERS	(50 / opt_scale)

static void cycles_round(struct space *s, uint8_t *p)
{
	uint64_t iova = BASE + 64 * SZ_2M;

	for (int i = 0; i < CYCLES_SAME / 2; i++) {
		map(s, p, iova, PG, RW);
		unmap(s, iova, PG);
	}
	/* a new page each time, and every few pages a new table */
	for (int i = 0; i < CYCLES_WALK / 2; i++) {
		uint64_t at = iova + i % 16 * SZ_2M + i / 16 * PG;

		map(s, p, at, PG, RW);
		unmap(s, at, PG);
	}
	/* whole tables, which can be taken out and freed each time */
	for (int i = 0; i < CYCLES_MANY / 2; i++) {
		uint64_t at = iova - PG * (i % 3);

		map(s, p, at, SZ_2M + 2 * PG, RW);
		unmap(s, at, SZ_2M + 2 * PG);
	}
}

static void t_cycles(void)
{
	bool exact, counted;
	long slack, before, first, second, after;
	struct edu *e = &devs[0];
	struct space *s;
	uint8_t *p = pages_at_2m(SZ_2M + 2 * PG, 3 * PG, false);
	uint64_t t0;

	before = table_pages(&exact);
	counted = exact || meminfo_kb("SecPageTables");
	/* The kernel's own count is kept per CPU in batches of up to 125. */
	slack = exact ? 4 : 128 * sysconf(_SC_NPROCESSORS_ONLN);
	s = space_new();
	edu_open(e, s);
	load(e, 130);
	t0 = now_ms();
	cycles_round(s, p);
	first = table_pages(&exact);
	cycles_round(s, p);
	second = table_pages(&exact);
	note("%ld map/unmap cycles in %lu ms; table pages %ld, %ld half-way, %ld at the end (%s)",
	     CYCLES_SAME + CYCLES_WALK + CYCLES_MANY, now_ms() - t0, before, first, second,
	     exact ? "ledger" : "SecPageTables");
	if (second - first > slack)
		fail("table pages grew from %ld to %ld in a second round of the same", first,
		     second);
	map(s, p, BASE, PG, RW);
	write_ok(e, BASE, p, 130, 0, 512);
	edu_close(e);
	space_free(s);
	after = table_pages(&exact);
	if (counted && after - before > slack)
		fail("table pages: %ld before the container, %ld after it", before, after);
}

/* ---- economy ---- */

static void t_economy(void)
{
	static struct ledger a, b;
	bool cm = caches_absent(), rwbf = buffers_writes();
	unsigned long avail = meminfo_kb("MemAvailable") >> 10;
	size_t size = avail > 1200 ? SZ_1G : avail > 700 ? SZ_1G / 2 : SZ_1G / 4;
	uint64_t iova = BASE + (wide ? 2 * SZ_1G : 0);
	long cmds, syncs, waits, limit;
	struct edu *e;
	uint8_t *p;

	if (!ledger_read(&a))
		skip("no " LEDGER);
	e = edu_alone();
	if (!wide)
		size = SZ_1G / 8;
	if (size != SZ_1G)
		note("economy: %zu MiB instead of 1 GiB (%lu MiB of memory, %s addresses)",
		     size >> 20, avail, wide ? "64-bit" : "28-bit");
	load(e, 140);
	p = pages_at_2m(size, 0, true);

	ledger_read(&a);
	map(e->space, p, iova, size, RW);
	ledger_read(&b);
	cmds = iotlb_commands(&a, &b);
	waits = ledger_diff(&a, &b, ".cmd.wait");
	syncs = ledger_diff(&a, &b, "ops.sync_map");
	note("economy: map of %zu MiB: ops.map %ld, ops.sync_map %ld, IOTLB commands %ld, waits %ld, caching mode %s",
	     size >> 20, ledger_diff(&a, &b, "ops.map"), syncs, cmds, waits, cm ? "on" : "off");
	if (!cm && !rwbf && (cmds || waits))
		fail("map of %zu MiB cost %ld IOTLB commands and %ld waits, expected none",
		     size >> 20, cmds, waits);
	if (cm && (cmds > 2 * syncs || !cmds))
		fail("map of %zu MiB cost %ld IOTLB commands for %ld sync_map calls", size >> 20,
		     cmds, syncs);

	write_ok(e, iova + size / 4, p + size / 4, 140, 0, 512);
	ledger_read(&a);
	unmap(e->space, iova, size);
	ledger_read(&b);
	cmds = iotlb_commands(&a, &b);
	waits = ledger_diff(&a, &b, ".cmd.wait");
	syncs = ledger_diff(&a, &b, "ops.sync");
	/* VFIO syncs after 512 physically contiguous pieces and at the end */
	limit = size / PG / 512 + 1;
	note("economy: unmap of %zu MiB: ops.unmap %ld, ops.sync %ld, IOTLB commands %ld, waits %ld",
	     size >> 20, ledger_diff(&a, &b, "ops.unmap"), syncs, cmds, waits);
	if (syncs < 1 || syncs > limit)
		fail("unmap of %zu MiB made %ld syncs, expected 1 to %ld", size >> 20, syncs, limit);
	if (cmds < 1 || cmds > 2 * syncs || waits > cmds)
		fail("unmap of %zu MiB cost %ld IOTLB commands and %ld waits for %ld syncs",
		     size >> 20, cmds, waits, syncs);
	poke_refused(e, iova + size / 4, p + size / 4, 140);

	/* a page at a time: one command each, and no more */
	ledger_read(&a);
	for (int i = 0; i < 100; i++)
		map(e->space, p + i * PG, iova + i * PG, PG, RW);
	ledger_read(&b);
	if (!cm && !rwbf && iotlb_commands(&a, &b))
		fail("100 maps of a page cost %ld IOTLB commands, expected none",
		     iotlb_commands(&a, &b));
	ledger_read(&a);
	for (int i = 0; i < 100; i++)
		unmap(e->space, iova + i * PG, PG);
	ledger_read(&b);
	cmds = iotlb_commands(&a, &b);
	waits = ledger_diff(&a, &b, ".cmd.wait");
	note("economy: 100 unmaps of a page: IOTLB commands %ld (by page %ld), waits %ld", cmds,
	     ledger_diff(&a, &b, ".cmd.iotlb_page"), waits);
	if (cmds != 100 || waits > 100)
		fail("100 unmaps of a page cost %ld IOTLB commands and %ld waits, expected 100",
		     cmds, waits);

	/* what is refused or does nothing costs nothing */
	map(e->space, p, iova, PG, RW);
	ledger_read(&a);
	expect_error(try_map(e->space, p + PG, iova, PG, RW), EEXIST, "map over a mapping");
	if (!is_empty(e->space, iova + SZ_2M, 8 * SZ_2M))
		fail("unmap of an empty range did not say so");
	ledger_read(&b);
	if (iotlb_commands(&a, &b) || ledger_diff(&a, &b, ".cmd.wait"))
		fail("operations that did nothing cost %ld IOTLB commands",
		     iotlb_commands(&a, &b));

	/* detaching is no reason for page flushes, nor may anything time out */
	ledger_read(&a);
	edu_close(e);
	ledger_read(&b);
	note("economy: leaving the container: context commands %ld, IOTLB commands %ld, waits %ld",
	     ledger_diff(&a, &b, ".cmd.context"), iotlb_commands(&a, &b),
	     ledger_diff(&a, &b, ".cmd.wait"));
	if (ledger_get(&b, ".timeouts") || ledger_get(&b, ".queue_errors"))
		fail("the ledger counts %ld timeouts and %ld queue errors",
		     ledger_get(&b, ".timeouts"), ledger_get(&b, ".queue_errors"));
}

/* ---- two devices ---- */

static void need_two_groups(void)
{
	if (devs[0].group == devs[1].group)
		skip("%s and %s share group %d", devs[0].bdf, devs[1].bdf, devs[0].group);
}

static void t_two_devices(void)
{
	uint64_t same = BASE + 21 * PG, only[2] = { BASE + 30 * PG, BASE + 40 * PG };
	uint8_t *p = pages(4 * PG);

	need_two_groups();
	fill(p, 4 * PG, 150);
	for (int i = 0; i < 2; i++) {
		edu_open(&devs[i], space_new());
		map(devs[i].space, p + i * PG, same, PG, RW);
		map(devs[i].space, p + (2 + i) * PG, only[i], PG, RW);
		load(&devs[i], 151 + i);
	}
	write_ok(&devs[0], same, p, 151, 0, PG / 4);
	if (differs_from(p + PG, PG, 150, PG) >= 0)
		fail("%s reached memory of %s", devs[0].bdf, devs[1].bdf);
	write_ok(&devs[1], same, p + PG, 152, 0, PG / 4);
	if (differs_from(p, PG / 4, 151, 0) >= 0)
		fail("%s reached memory of %s", devs[1].bdf, devs[0].bdf);
	for (int i = 0; i < 2; i++) {
		struct edu *e = &devs[i];
		uint8_t *other = p + (3 - i) * PG;

		write_ok(e, only[i], p + (2 + i) * PG, 151 + i, 0, 512);
		fill(other, PG, 160 + i);
		attack(e, DEV_WRITE, only[1 - i], other, 160 + i, "the other device's page");
		attack(e, DEV_READ, only[1 - i], other, 160 + i, "the other device's page");
		load(e, 151 + i);
	}
	/* one space goes, the other stays */
	edu_close(&devs[0]);
	write_ok(&devs[1], same, p + PG, 152, 512, 512);
}

static void t_two_groups(void)
{
	struct space *s = space_new();
	uint64_t iova = BASE + 50 * PG;
	struct edu *a = &devs[0], *b = &devs[1];
	uint8_t *p = pages(2 * PG);

	need_two_groups();
	/* mapped before the second group joins, and after */
	edu_open(a, s);
	map(s, p, iova, PG, RW);
	load(a, 170);
	write_ok(a, iova, p, 170, 0, 512);
	edu_open(b, s);
	load(b, 171);
	write_ok(b, iova, p, 171, 0, 512);
	map(s, p + PG, iova + PG, PG, RW);
	write_ok(a, iova + PG, p + PG, 170, 0, 512);
	write_ok(b, iova + PG, p + PG, 171, 512, 512);
	write_ok(a, iova, p, 170, 512, 512);

	unmap(s, iova, PG);
	fill(p, PG, 172);
	attack(a, DEV_WRITE, iova, p, 172, "a page unmapped for two devices");
	attack(b, DEV_WRITE, iova, p, 172, "a page unmapped for two devices");
	write_ok(b, iova + PG, p + PG, 171, 0, 512);

	/* the first group leaves: the second must not notice, in flushes neither */
	edu_close(a);
	write_ok(b, iova + PG, p + PG, 171, 0, 512);
	unmap(s, iova + PG, PG);
	fill(p + PG, PG, 173);
	attack(b, DEV_WRITE, iova + PG, p + PG, 173, "a page unmapped after a group left");
}

/* ---- load ---- */

static volatile bool stop_threads;
static volatile unsigned long dma_rounds, map_rounds;

struct work {
	struct edu *e;
	struct space *s;
	uint64_t iova;
	uint8_t *p;
	uint32_t seed;
};

static void *dma_thread(void *arg)
{
	struct work *w = arg;

	load(w->e, w->seed);
	for (unsigned int i = 0; !stop_threads; i++) {
		write_ok(w->e, w->iova, w->p, w->seed, i % 4 * 256, 256);
		dma_rounds++;
	}
	read_ok(w->e, w->iova + PG, w->seed + 1, 512);
	return NULL;
}

static void *map_thread(void *arg)
{
	struct work *w = arg;

	for (unsigned int i = 0; !stop_threads; i++) {
		size_t size = (1 + i % 5) * PG;
		uint64_t iova = w->iova - i % 3 * PG;

		map(w->s, w->p, iova, size, RW);
		unmap(w->s, iova, size);
		map_rounds++;
	}
	return NULL;
}

static pthread_t start(void *(*fn)(void *), struct work *w)
{
	pthread_t t;
	int err = pthread_create(&t, NULL, fn, w);

	if (err)
		fail("thread: %s", strerror(err));
	return t;
}

static void t_attach_detach_under_load(void)
{
	struct edu *a = &devs[0], *b = &devs[1];
	uint64_t iova = BASE + 9 * SZ_2M;
	uint8_t *p = pages(2 * PG), *q = pages(16 * PG), *r = pages(2 * PG);
	struct work dma_work = { a, NULL, iova, p, 180 };
	struct work map_work[2];
	pthread_t t[3];
	uint64_t end;

	need_two_groups();
	edu_open(a, space_new());
	dma_work.s = a->space;
	map(a->space, p, iova, 2 * PG, RW);
	fill(p + PG, PG, 181);
	fill(r, 2 * PG, 182);
	/* one thread works in the table of the DMA, one across its boundary */
	for (int i = 0; i < 2; i++)
		map_work[i] = (struct work){ a, a->space, iova + (i ? SZ_2M : 16 * PG),
					     q + i * 8 * PG, 0 };
	t[0] = start(dma_thread, &dma_work);
	t[1] = start(map_thread, &map_work[0]);
	t[2] = start(map_thread, &map_work[1]);

	for (int i = 0; i < CONTAINERS; i++) {
		struct space *s = space_new();

		edu_open(b, s);
		map(s, r, iova, PG, RW);
		map(s, r + PG, iova + 513 * PG, PG, RW);
		if (i % 10 == 0) {
			load(b, 183 + i);
			write_ok(b, iova, r, 183 + i, 0, 512);
			unmap(s, iova, PG);
			poke_refused(b, iova, r, 184);
		}
		edu_close(b);
		space_free(s);
	}
	end = now_ms();
	while (go_on(end, dma_rounds >= 5 && map_rounds >= 50))
		usleep(20000);
	stop_threads = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	note("attach-detach: %ld containers beside %lu DMA and %lu map/unmap rounds", CONTAINERS,
	     dma_rounds, map_rounds);
	if (dma_rounds < 5 || map_rounds < 50)
		fail("too little load: %lu DMA, %lu map/unmap rounds", dma_rounds, map_rounds);
}

/*
 * Two spaces at the same addresses, each with DMA and a thread that maps and
 * unmaps: their invalidations meet in one unit's queue.
 */
static void t_parallel_spaces(void)
{
	uint64_t iova = BASE + 14 * SZ_2M;
	struct work dma_work[2], map_work[2];
	uint64_t end = now_ms() + 4000;
	struct ledger l;
	pthread_t t[4];

	need_two_groups();
	for (int i = 0; i < 2; i++) {
		struct space *s = space_new();
		uint8_t *p = pages(2 * PG), *q = pages(16 * PG);

		edu_open(&devs[i], s);
		map(s, p, iova, 2 * PG, RW);
		fill(p + PG, PG, 141 + 2 * i);
		dma_work[i] = (struct work){ &devs[i], s, iova, p, 140 + 2 * i };
		map_work[i] = (struct work){ &devs[i], s, iova + 8 * PG, q, 0 };
	}
	for (int i = 0; i < 2; i++) {
		t[i] = start(dma_thread, &dma_work[i]);
		t[2 + i] = start(map_thread, &map_work[i]);
	}
	while (go_on(end, dma_rounds >= 10 && map_rounds >= 50))
		usleep(20000);
	stop_threads = true;
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 2; i++) {
		for (int k = 4; k < 14; k++)
			if (!is_empty(devs[i].space, iova + k * PG, PG))
				fail("a mapping was left at IOVA 0x%lx", iova + k * PG);
		poke_refused(&devs[i], iova + 8 * PG, map_work[i].p, 145);
		poke_refused(&devs[i], iova + 6 * PG, map_work[i].p, 146);
	}
	note("parallel-spaces: %lu DMA and %lu map/unmap rounds", dma_rounds, map_rounds);
	if (dma_rounds < 10 || map_rounds < 50)
		fail("too little load: %lu DMA, %lu map/unmap rounds", dma_rounds, map_rounds);
	if (ledger_read(&l) && (ledger_get(&l, ".timeouts") || ledger_get(&l, ".queue_errors")))
		fail("the ledger counts %ld timeouts and %ld queue errors",
		     ledger_get(&l, ".timeouts"), ledger_get(&l, ".queue_errors"));
}

/* ---- killed ---- */

static uint8_t *shared_pages(size_t len)
{
	uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		fail("no %zu bytes of shared memory: %s", len, strerror(errno));
	return p;
}

/* In the child: DMA without end, a byte through the pipe at each start. */
static void victim(uint8_t *target, uint64_t iova, int started, bool mapping)
{
	struct edu *e = edu_alone();
	struct work w = { e, e->space, iova + SZ_2M, NULL, 0 };

	map(e->space, target, iova, PG, RW);
	w.p = pages(8 * PG);
	load(e, 190);
	if (mapping)
		start(map_thread, &w);
	for (;;) {
		dma_start(e, DEV_WRITE, iova, 0, EDU_MAX);
		if (write(started, "", 1) != 1)
			_exit(1);
		dma_wait(e);
	}
}

/*
 * Of three pages @p the middle one is mapped at @iova by a child that does DMA
 * of @seed to it, and is killed some time after it said that it runs: all or
 * nothing arrives before its death, and nothing after it.
 */
static void kill_one(void (*victim)(uint8_t *target, uint64_t iova, int started, bool odd),
		     bool odd, uint8_t *p, uint64_t iova, uint32_t seed, unsigned int after_ms)
{
	int fds[2], status;
	pid_t pid;
	char c;

	for (int k = 0; k < 3; k++)
		fill(p + k * PG, PG, seed + 1 + k);
	if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0)
		fail("cannot start a victim: %s", strerror(errno));
	if (!pid)
		victim(p + PG, iova, fds[1], odd);
	close(fds[1]);
	if (read(fds[0], &c, 1) != 1)
		fail("the victim ended before it was to be killed");
	usleep(after_ms * 1000);
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		fail("the victim was not killed");
	close(fds[0]);

	if (differs(p + PG, PG, seed + 2) >= 0 && differs(p + PG, EDU_MAX, seed) >= 0)
		fail("the victim's page holds neither the old nor the new data");
	fill(p + PG, PG, seed + 4);
	usleep(2 * EDU_DMA_US);
	unchanged(p + PG, PG, seed + 4, "the page of a process that was killed");
	unchanged(p, PG, seed + 1, "the page before the victim's");
	unchanged(p + 2 * PG, PG, seed + 3, "the page after the victim's");
}

static void t_killed(void)
{
	static const unsigned int after_ms[] = { 0, 40, 90, 150, 20, 70 };
	uint64_t iova = BASE + 12 * SZ_2M;
	/* guard, target, guard: one piece of memory, only the middle is for DMA */
	uint8_t *p = shared_pages(3 * PG), *q;
	struct edu *e = &devs[0];

	for (size_t i = 0; i < ARRAY_SIZE(after_ms); i++) {
		struct space *s;

		kill_one(victim, i % 2, p, iova, 190, after_ms[i]);

		/* the device is free, works, and its old mapping is gone */
		s = space_new();
		edu_open(e, s);
		load(e, 195);
		dma(e, DEV_WRITE, iova, 0, 512);
		unchanged(p + PG, PG, 194, "a page only a killed process had mapped");
		q = pages(PG);
		map(s, q, iova, PG, RW);
		write_ok(e, iova, q, 195, 0, 512);
		edu_close(e);
		space_free(s);
	}
}

/* ---- random ---- */

#define WIN_PAGES	4096
#define POOL_PAGES	192
#define MAX_MAPS	64

/* The model: which pool page each IOVA page shows, and what the pool holds. */
static struct {
	struct { int iova, pool, n; uint32_t flags; } m[MAX_MAPS];
	int n;
	short page[WIN_PAGES];		/* pool page, -1 for none */
	uint8_t flags[WIN_PAGES];
	uint8_t content[POOL_PAGES * PG];
	uint8_t buf[EDU_MAX];		/* edu's buffer, as far as it is known */
	bool buf_known;
} model;

static uint64_t rnd_state;

static unsigned int rnd(unsigned int n)
{
	rnd_state = rnd_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(rnd_state >> 33) % n;
}

/* A place that likes table boundaries and what is mapped already. */
static int rnd_place(void)
{
	int at;

	switch (rnd(4)) {
	case 0:
		at = 512 * rnd(WIN_PAGES / 512) + (int)rnd(8) - 4;
		break;
	case 1:
		at = model.n ? model.m[rnd(model.n)].iova + (int)rnd(20) - 4 : 7;
		break;
	default:
		at = rnd(WIN_PAGES);
	}
	return at < 0 ? 0 : at >= WIN_PAGES ? WIN_PAGES - 1 : at;
}

static int rnd_count(int max)
{
	int n = rnd(3) ? 1 + rnd(8) : 1 + rnd(POOL_PAGES);

	return n > max ? max : n;
}

static void model_set(int iova, int pool, int n, uint32_t flags)
{
	for (int i = 0; i < n; i++) {
		model.page[iova + i] = pool < 0 ? -1 : pool + i;
		model.flags[iova + i] = flags;
	}
}

static void random_map(struct space *s, uint8_t *pool, uint64_t base)
{
	static const uint32_t kinds[] = { RW, RW, RW, VFIO_DMA_MAP_FLAG_READ,
					  VFIO_DMA_MAP_FLAG_WRITE };
	int iova = rnd_place(), from = rnd(POOL_PAGES), n, want = 0, got;
	uint32_t flags = kinds[rnd(ARRAY_SIZE(kinds))];

	n = rnd_count(POOL_PAGES - from);
	if (n > WIN_PAGES - iova)
		n = WIN_PAGES - iova;
	for (int i = 0; i < n; i++)
		if (model.page[iova + i] >= 0)
			want = EEXIST;
	if (model.n == MAX_MAPS && !want)
		return;
	got = try_map(s, pool + from * PG, base + iova * PG, n * PG, flags);
	if (got != want)
		fail("map of %d pages at page %d: %s, expected %s", n, iova, strerror(got),
		     strerror(want));
	if (want)
		return;
	model_set(iova, from, n, flags);
	model.m[model.n].iova = iova;
	model.m[model.n].pool = from;
	model.m[model.n].n = n;
	model.m[model.n++].flags = flags;
}

static void random_unmap(struct space *s, uint64_t base)
{
	int iova, n, want = 0, got;
	uint64_t done = 0, sum = 0;

	if (model.n && rnd(3)) {
		int k = rnd(model.n);

		iova = model.m[k].iova;
		n = model.m[k].n;
	} else {
		iova = rnd_place();
		n = rnd_count(WIN_PAGES - iova) * (1 + rnd(4));
		if (n > WIN_PAGES - iova)
			n = WIN_PAGES - iova;
	}
	for (int i = 0; i < model.n; i++) {
		int a = model.m[i].iova, z = a + model.m[i].n;

		if ((a < iova && z > iova) || (a < iova + n && z > iova + n))
			want = EINVAL;
		else if (a >= iova && z <= iova + n)
			sum += model.m[i].n;
	}
	got = try_unmap(s, base + iova * PG, n * PG, &done, 0);
	if (got != want)
		fail("unmap of %d pages at page %d: %s, expected %s", n, iova, strerror(got),
		     strerror(want));
	if (want)
		return;
	if (done != sum * PG)
		fail("unmap of %d pages at page %d took away 0x%lx, expected 0x%lx", n, iova,
		     done, sum * PG);
	model_set(iova, -1, n, 0);
	for (int i = 0; i < model.n; )
		if (model.m[i].iova >= iova && model.m[i].iova < iova + n)
			model.m[i] = model.m[--model.n];
		else
			i++;
}

static void random_dma(struct edu *e, uint8_t *pool, uint64_t base)
{
	static int recent[12], recent_n;
	int page = rnd_place(), off = rnd(PG / 8) * 8, len = 8 + rnd(EDU_MAX / 8) * 8, at = 0;
	enum dir dir = model.buf_known ? DEV_WRITE : DEV_READ;

	if (model.n && rnd(4)) {	/* rather something mapped */
		int k = rnd(model.n);

		page = model.m[k].iova + rnd(model.m[k].n);
	}
	if (recent_n && rnd(3) == 0)	/* or one that is hot, mapped or not */
		page = recent[rnd(recent_n)];
	recent[recent_n < (int)ARRAY_SIZE(recent) ? recent_n++ : (int)rnd(ARRAY_SIZE(recent))] = page;
	if (rnd(4) == 0)
		dir = !dir;
	if (len > (int)EDU_MAX)
		len = EDU_MAX;
	if ((uint64_t)page * PG + off + len > WIN_PAGES * PG)
		len = WIN_PAGES * PG - page * PG - off;
	dma(e, dir, base + page * PG + off, 0, len);

	/* each page of the transfer is allowed or refused by itself */
	while (at < len) {
		int in = (off + at) % PG, n = (int)PG - in, q = page + (off + at) / PG;
		bool reach;

		if (n > len - at)
			n = len - at;
		reach = model.page[q] >= 0 &&
			model.flags[q] & (dir == DEV_READ ? VFIO_DMA_MAP_FLAG_READ :
							    VFIO_DMA_MAP_FLAG_WRITE);
		if (dir == DEV_READ && reach)
			memcpy(model.buf + at, model.content + model.page[q] * PG + in, n);
		else if (dir == DEV_READ)
			model.buf_known = false;
		else if (reach)
			memcpy(model.content + model.page[q] * PG + in, model.buf + at, n);
		at += n;
	}
	if (dir == DEV_READ || memcmp(pool, model.content, POOL_PAGES * PG)) {
		for (int i = 0; dir == DEV_WRITE && i < (int)(POOL_PAGES * PG); i++)
			if (pool[i] != model.content[i])
				fail("DMA write to page %d+0x%x, %d bytes: pool page %d differs at 0x%x (pool page there: %d)",
				     page, off, len, i / (int)PG, i % (int)PG, model.page[page]);
	}
	/* what a refused read left in the buffer is not known: fetch it anew */
	if (dir == DEV_READ) {
		uint8_t was[EDU_MAX];

		memcpy(was, save(e, EDU_MAX), EDU_MAX);
		for (at = 0; at < len; ) {
			int in = (off + at) % PG, n = (int)PG - in, q = page + (off + at) / PG;

			if (n > len - at)
				n = len - at;
			if (model.page[q] >= 0 && model.flags[q] & VFIO_DMA_MAP_FLAG_READ &&
			    memcmp(was + at, model.buf + at, n))
				fail("DMA read from page %d+0x%x, %d bytes: other data than pool page %d holds",
				     page, off, len, model.page[q]);
			at += n;
		}
		memcpy(model.buf, was, EDU_MAX);
		model.buf_known = true;
	}
}

static void t_random(void)
{
	struct edu *e = edu_alone();
	uint64_t base = BASE + 100 * PG, end = now_ms() + 60000;
	uint8_t *pool = pages(POOL_PAGES * PG);
	unsigned int maps = 0, unmaps = 0, dmas = 0;
	long step;

	note("random: --seed %u --steps %ld (%s addresses)", opt_seed, opt_steps,
	     wide ? "64-bit" : "28-bit");
	rnd_state = opt_seed;
	fill(pool, POOL_PAGES * PG, 200);
	fill(model.content, POOL_PAGES * PG, 200);
	fill(model.buf, EDU_MAX, 201);
	model.buf_known = true;
	model_set(0, -1, WIN_PAGES, 0);
	load(e, 201);
	for (step = 0; step < opt_steps && now_ms() < end; step++) {
		unsigned int what = rnd(16);

		if (what < 7) {
			random_map(e->space, pool, base);
			maps++;
		} else if (what < 14) {
			random_unmap(e->space, base);
			unmaps++;
		} else {
			random_dma(e, pool, base);
			dmas++;
		}
	}
	note("random: %ld steps: %u maps, %u unmaps, %u DMAs; %d mappings at the end", step, maps,
	     unmaps, dmas, model.n);
	if (step < opt_steps)
		note("random: stopped by time after %ld of %ld steps", step, opt_steps);
}

#endif
