/* SPDX-License-Identifier: GPL-2.0 */
/* S3: a HWPT replaced under running DMA, replacements that are refused, and killed ones. */
#ifndef OMNI_GUEST_IOMMUFD_REPLACE_H
#define OMNI_GUEST_IOMMUFD_REPLACE_H

#define REPLACE_MIN	2000
#define REPLACE_DMAS	20

/*
 * One device's share: at @iova a page to read and at @iova + PG one to write,
 * each of them another in either IOAS.
 */
struct replaced {
	struct edu *e;
	uint64_t iova;
	uint8_t *from[2], *to[2];
	volatile unsigned long dmas;
	unsigned long lost_reads, lost_writes, reads[2], writes[2];
};

static void *replaced_dma(void *arg)
{
	struct replaced *r = arg;

	for (uint32_t round = 1; !stop_threads; round++) {
		uint64_t *from[2] = { (void *)r->from[0], (void *)r->from[1] };
		uint64_t *to[2] = { (void *)r->to[0], (void *)r->to[1] };
		bool no_read = false, no_write = false;

		/* new contents, so that what an earlier round brought is no success */
		for (int i = 0; i < 2; i++) {
			fill(r->from[i], EDU_MAX, 2 * round + i + 1000);
			memset(r->to[i], 0, EDU_MAX);
		}
		dma(r->e, DEV_READ, r->iova, 0, EDU_MAX);
		dma(r->e, DEV_WRITE, r->iova + PG, 0, EDU_MAX);
		r->dmas += 2;

		/* each access by itself is served by the one or the other */
		for (unsigned int k = 0; k < EDU_MAX / 8; k++) {
			int in = to[0][k] ? 0 : to[1][k] ? 1 : -1;

			if (in < 0) {
				no_write = true;
				continue;
			}
			if (to[0][k] && to[1][k])
				fail("%s: one DMA write went to both domains", r->e->bdf);
			if (to[in][k] != from[0][k] && to[in][k] != from[1][k])
				no_read = true;
			else if (!k)
				r->reads[to[in][k] == from[1][k]]++;
			if (!k)
				r->writes[in]++;
		}
		r->lost_reads += no_read;
		r->lost_writes += no_write;
	}
	return NULL;
}

static unsigned long replaced_dmas(const struct replaced *work)
{
	unsigned long sum = 0;

	for (int i = 0; i < ndevs; i++)
		sum += work[i].dmas;
	return sum;
}

/* Lines of the log since the mark that tell of a fault of any of the devices. */
static int klog_count_faults(int fd, char *first, size_t size)
{
	char line[2048];
	int count = 0;
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = 0;
		for (int i = 0; i < ndevs; i++) {
			if (!fault_by(line, devs[i].bdf, DEV_READ) &&
			    !fault_by(line, devs[i].bdf, DEV_WRITE))
				continue;
			if (!count++) {
				const char *text = strchr(line, ';');

				snprintf(first, size, "%.200s", text ? text + 1 : line);
				first[strcspn(first, "\n")] = 0;
			}
			break;
		}
	}
	close(fd);
	return count;
}

static void t_replace(void)
{
	unsigned long replaced = 0, dmas, reads = 0, writes = 0, by_a = 0, by_b = 0;
	struct replaced work[MAX_DEVS] = { };
	uint32_t hwpt[2][MAX_DEVS];
	static struct ledger a, b;
	char first[256] = "";
	struct space *s[2];
	pthread_t t[MAX_DEVS];
	uint64_t end, start_ms;
	bool counted;
	int fd, faults;

	s[0] = space_new();
	s[1] = space_in(s[0]->fd);
	for (int i = 0; i < ndevs; i++) {
		struct replaced *r = &work[i];

		r->e = &devs[i];
		r->iova = BASE + (i + 1) * SZ_2M - PG;
		for (int k = 0; k < 2; k++) {
			r->from[k] = pages(2 * PG);
			r->to[k] = r->from[k] + PG;
			map(s[k], r->from[k], r->iova, 2 * PG, RW);
		}
		edu_bind(r->e, s[0]->fd);
		/* every device has HWPTs of its own but the first two share */
		for (int k = 0; k < 2; k++)
			hwpt[k][i] = i == 1 ? hwpt[k][0] : hwpt_new(r->e, s[k]);
		attach(r->e, hwpt[0][i]);
		edu_ready(r->e, s[0]);
	}
	share_scratch(s[1], s[0]);

	fd = klog_mark();
	counted = ledger_read(&a);
	for (int i = 0; i < ndevs; i++)
		if (pthread_create(&t[i], NULL, replaced_dma, &work[i]))
			fail("thread: %s", strerror(errno));
	start_ms = now_ms();
	end = start_ms + opt_replace_ms;
	for (unsigned int n = 1;
	     go_on(end, replaced >= REPLACE_MIN && replaced_dmas(work) >= REPLACE_DMAS); n++)
		for (int i = 0; i < ndevs; i++, replaced++)
			attach(&devs[i], hwpt[n % 2][i]);
	end = now_ms();
	stop_threads = true;
	for (int i = 0; i < ndevs; i++) {
		pthread_join(t[i], NULL);
		reads += work[i].lost_reads;
		writes += work[i].lost_writes;
		by_a += work[i].reads[0] + work[i].writes[0];
		by_b += work[i].reads[1] + work[i].writes[1];
	}
	dmas = replaced_dmas(work);
	faults = klog_count_faults(fd, first, sizeof(first));
	note("replace: %lu replacements in %lu ms under %lu DMAs of %d devices: A served %lu, B %lu, lost %lu reads and %lu writes, %d faults in the log",
	     replaced, end - start_ms, dmas, ndevs, by_a, by_b, reads, writes, faults);
	if (!omniommu_loaded() && (reads || writes || faults))
		skip("this IOMMU driver refused %lu reads and %lu writes of %lu DMAs during %lu replacements",
		     reads, writes, dmas, replaced);
	if (reads || writes)
		fail("%lu reads and %lu writes of %lu DMAs were refused during %lu replacements",
		     reads, writes, dmas, replaced);
	if (faults)
		fail("the log tells of %d faults: %s", faults, first);
	if (replaced < REPLACE_MIN || dmas < REPLACE_DMAS || !by_a || !by_b)
		fail("too little load: %lu replacements, %lu DMAs (A %lu, B %lu)", replaced, dmas,
		     by_a, by_b);
	if (counted && ledger_read(&b)) {
		note("replace: context commands %ld, IOTLB commands %ld, waits %ld",
		     ledger_diff(&a, &b, ".cmd.context"), iotlb_commands(&a, &b),
		     ledger_diff(&a, &b, ".cmd.wait"));
		if (ledger_diff(&a, &b, ".faults"))
			fail("the ledger counts %ld faults", ledger_diff(&a, &b, ".faults"));
		if (ledger_get(&b, ".timeouts") || ledger_get(&b, ".queue_errors"))
			fail("the ledger counts %ld timeouts and %ld queue errors",
			     ledger_get(&b, ".timeouts"), ledger_get(&b, ".queue_errors"));
		/* each is followed by one batch: context, fence, IOTLB, wait */
		if (ledger_diff(&a, &b, ".cmd.wait") != 2 * (long)replaced ||
		    ledger_diff(&a, &b, ".cmd.context") != (long)replaced)
			fail("%lu replacements cost %ld context commands and %ld waits", replaced,
			     ledger_diff(&a, &b, ".cmd.context"), ledger_diff(&a, &b, ".cmd.wait"));
	}

	/* what was replaced is gone for good, hot as it is */
	for (int i = 0; i < ndevs && i < 2; i++) {
		struct replaced *r = &work[i];

		attach(r->e, hwpt[0][i]);
		load(r->e, 360);
		write_ok(r->e, r->iova + PG, r->to[0], 360, 0, 512);
		attach(r->e, hwpt[1][i]);
		fill(r->to[0], PG, 361);
		write_ok(r->e, r->iova + PG, r->to[1], 360, 512, 512);
		unchanged(r->to[0], PG, 361, "the page of the domain before");
		unmap(s[1], r->iova, 2 * PG);
		fill(r->to[1], PG, 362);
		attack(r->e, DEV_WRITE, r->iova + PG, r->to[1], 362, "a page unmapped before");
		unchanged(r->to[0], PG, 361, "the page of the domain before");
	}
}

/* A replacement that can't be leaves the device where it was. */
static void t_replace_refused(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 2 * SZ_2M;
	uint8_t *p = pages(2 * PG);
	struct space *other = space_in(e->space->fd);
	uint32_t hwpt;

	load(e, 370);
	map(e->space, p, iova, PG, RW);
	write_ok(e, iova, p, 370, 0, 512);
	expect_error(try_attach(e, 12345), ENOENT, "attach to no object");
	expect_error(try_attach(e, e->id), EINVAL, "attach to a device");
	/* a mapping where the device has its MSI window keeps it out of that IOAS */
	map(other, p + PG, MSI_START, PG, RW);
	expect_error(try_attach(e, other->ioas), EADDRINUSE,
		     "attach to an IOAS with a mapping in the MSI window");
	write_ok(e, iova, p, 370, 512, 512);
	expect_error(try_hwpt(e, e->space, ~0U, &hwpt), EOPNOTSUPP, "a HWPT with unknown flags");
	if (omniommu_loaded())
		expect_error(try_hwpt(e, e->space, IOMMU_HWPT_ALLOC_NEST_PARENT, &hwpt),
			     EOPNOTSUPP, "a HWPT as parent of nested ones");
	expect_error(try_destroy(e->space->fd, 12345), ENOENT, "destruction of no object");
	expect_error(try_destroy(e->space->fd, e->id), EBUSY, "destruction of a device in use");
	expect_error(try_destroy(e->space->fd, e->space->ioas), EBUSY,
		     "destruction of an IOAS in use");
	write_ok(e, iova, p, 370, 1024, 512);

	/* away from its IOAS, which then can go */
	unmap(other, MSI_START, PG);
	share_scratch(other, e->space);
	map(other, p + PG, iova, PG, RW);
	attach(e, other->ioas);
	write_ok(e, iova, p + PG, 370, 0, 512);
	expect_error(try_destroy(e->space->fd, e->space->ioas), 0,
		     "destruction of an IOAS that was left");
	fill(p, PG, 371);
	load(e, 372);
	write_ok(e, iova, p + PG, 372, 0, 512);
	unchanged(p, PG, 371, "the page of the IOAS before");
}

/* ---- killed while it replaces ---- */

static void replacing_victim(uint8_t *target, uint64_t iova, int started, bool odd)
{
	struct edu *e = &devs[0];
	struct space *s = space_new(), *other = space_in(s->fd);
	uint32_t hwpt[2];

	edu_bind(e, s->fd);
	map(s, target, iova, PG, RW);
	map(other, target, iova, PG, RW);
	hwpt[0] = hwpt_new(e, s);
	hwpt[1] = hwpt_new(e, other);
	attach(e, hwpt[odd]);
	edu_ready(e, s);
	share_scratch(other, s);
	load(e, 400);
	dma_start(e, DEV_WRITE, iova, 0, EDU_MAX);
	for (unsigned int i = 1; ; i++) {
		attach(e, hwpt[(i + odd) % 2]);
		if (i == 3 && write(started, "", 1) != 1)
			_exit(1);
		if (!(edu_get(e, EDU_CMD) & EDU_CMD_RUN))
			dma_start(e, DEV_WRITE, iova, 0, EDU_MAX);
	}
}

static void t_killed_replacing(void)
{
	static const unsigned int after_ms[] = { 0, 40, 95, 150, 20, 70 };
	uint64_t iova = BASE + 12 * SZ_2M;
	uint8_t *p = shared_pages(3 * PG);
	struct edu *e = &devs[0];
	long before, after;
	bool exact;

	before = table_pages(&exact);
	for (size_t i = 0; i < ARRAY_SIZE(after_ms); i++) {
		struct space *s;

		kill_one(replacing_victim, i % 2, p, iova, 400, after_ms[i]);

		s = space_new();
		edu_open(e, s);
		load(e, 405);
		dma(e, DEV_WRITE, iova, 0, 512);
		unchanged(p + PG, PG, 404, "a page only a killed process had mapped");
		edu_close(e);
		space_free(s);
		after = table_pages(&exact);
		if (exact && after != before)
			fail("%ld table pages before the victims, %ld after %zu", before, after,
			     i + 1);
	}
}

#endif
