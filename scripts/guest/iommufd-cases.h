/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases about what iommufd has and type1 has not: mappings copied between
 * IOASes, several HWPTs on one IOAS, a HWPT replaced under running DMA,
 * detaching, and objects destroyed in every order.
 */
#ifndef OMNI_GUEST_IOMMUFD_CASES_H
#define OMNI_GUEST_IOMMUFD_CASES_H

/* The scratch page of one space in another one of the same iommufd, too. */
static void share_scratch(struct space *to, struct space *from)
{
	map(to, from->scratch, SCRATCH_IOVA, PG, RW);
}

/* A refused transfer of either direction by a device that can't use its scratch page. */
static void write_blocked(struct edu *e, uint64_t iova, const uint8_t *page, uint32_t seed,
			  const char *what)
{
	int fd = klog_mark();

	dma(e, DEV_WRITE, iova, 0, 512);
	unchanged(page, PG, seed, what);
	if (host_judges(DEV_WRITE, iova)) {
		close(fd);
		return;
	}
	if (fd >= 0 && !klog_fault(fd, e, DEV_WRITE, iova, 1500)) {
		/* messages are rate limited, by windows of 5 s */
		usleep(5100000);
		fd = klog_mark();
		dma(e, DEV_WRITE, iova, 0, 512);
		unchanged(page, PG, seed, what);
		if (!klog_fault(fd, e, DEV_WRITE, iova, 3000))
			fail("%s: the kernel log has no decoded fault of a DMA write at 0x%lx",
			     e->bdf, iova);
	}
}

/* ---- copy ---- */

static void t_copy(void)
{
	struct edu *e = edu_alone();
	struct space *dst = e->space, *src = space_in(dst->fd), *none = space_in(dst->fd);
	uint64_t from = BASE + 3 * SZ_2M - 2 * PG, to = BASE + 9 * SZ_2M - PG;
	uint8_t *p = pages(4 * PG);

	load(e, 300);
	map(src, p, from, 4 * PG, RW);
	/* the middle, across a table boundary on both sides */
	expect_error(try_copy(dst, to, src, from + PG, 2 * PG, RW), 0, "copy of two pages");
	write_ok(e, to, p + PG, 300, 0, 512);
	write_ok(e, to + PG, p + 2 * PG, 300, 512, 512);
	fill(p, PG, 301);
	fill(p + 3 * PG, PG, 302);
	attack(e, DEV_WRITE, to - PG, p, 301, "the page before the copied ones");
	attack(e, DEV_WRITE, to + 2 * PG, p + 3 * PG, 302, "the page after the copied ones");

	expect_error(try_copy(dst, to, src, from, PG, RW), EEXIST, "copy over a mapping");
	expect_error(try_copy(dst, to + PG, src, from, 2 * PG, RW), EEXIST,
		     "copy over a mapping's end");
	expect_error(try_copy(dst, to + 64 * PG, src, from - PG, 2 * PG, RW), ENOENT,
		     "copy from before a mapping");
	expect_error(try_copy(dst, to + 64 * PG, src, from + 3 * PG, 2 * PG, RW), ENOENT,
		     "copy past a mapping's end");
	expect_error(try_copy(dst, to + 64 * PG, none, from, PG, RW), ENOENT,
		     "copy from an empty IOAS");
	expect_error(try_copy(dst, to + 64 * PG, src, from, PG, 0), EINVAL,
		     "copy without permission");

	/* the source goes, the copy stays, and is a source itself */
	unmap(src, from, 4 * PG);
	load(e, 303);
	write_ok(e, to, p + PG, 303, 0, 512);
	expect_error(try_copy(dst, to + 64 * PG, src, from, PG, RW), ENOENT,
		     "copy of what is unmapped");
	expect_error(try_copy(dst, to + 64 * PG, dst, to, PG, RW), 0, "copy of a copy");
	expect_error(try_copy(dst, to + 65 * PG, dst, to, PG, VFIO_DMA_MAP_FLAG_READ), 0,
		     "copy for reading only");
	write_ok(e, to + 64 * PG, p + PG, 303, 256, 512);
	fill(p + PG, PG, 304);
	attack(e, DEV_WRITE, to + 65 * PG, p + PG, 304, "a page copied for reading only");
	read_ok(e, to + 65 * PG, 304, 512);

	/* one of the copies goes, hot: the others stay */
	load(e, 305);
	write_ok(e, to, p + PG, 305, 0, 512);
	unmap(dst, to, 2 * PG);
	fill(p + PG, PG, 306);
	attack(e, DEV_WRITE, to, p + PG, 306, "a copied page unmapped before");
	load(e, 307);
	write_ok(e, to + 64 * PG, p + PG, 307, 0, 512);
	unmap(dst, to + 64 * PG, 2 * PG);
	fill(p + PG, PG, 308);
	attack(e, DEV_WRITE, to + 64 * PG, p + PG, 308, "the last copy of a page unmapped");
	attack(e, DEV_READ, to + 65 * PG, p + PG, 308, "the last copy of a page unmapped");
}

/* ---- where the kernel chooses the address ---- */

static void t_map_anywhere(void)
{
	static const unsigned long size[] = { 1, 3, 512, 513, 1 };
	struct edu *e = edu_alone();
	struct vfio_iova_range r[16];
	int n = iova_ranges(e->space, r, ARRAY_SIZE(r));
	uint64_t at[ARRAY_SIZE(size)];
	uint8_t *p[ARRAY_SIZE(size)];

	load(e, 310);
	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		uint64_t len = size[i] * PG;
		bool inside = false;

		p[i] = pages_at_2m(len, i == 4 ? 5 * PG : 0, false);
		at[i] = map_anywhere(e->space, p[i], len, RW);
		for (int k = 0; k < n; k++)
			inside |= at[i] >= r[k].start && at[i] + len - 1 <= r[k].end;
		if (!inside)
			fail("%lu pages were put at 0x%lx, outside of the usable ranges",
			     size[i], at[i]);
		for (size_t k = 0; k < i; k++)
			if (at[i] < at[k] + size[k] * PG && at[k] < at[i] + len)
				fail("two mappings were put at 0x%lx", at[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(size); i++) {
		uint64_t last = (size[i] - 1) * PG;

		if (!wide && at[i] + last > NARROW_MASK)
			continue;
		write_ok(e, at[i], p[i], 310, i * 64, 64);
		write_ok(e, at[i] + last, p[i] + last, 310, i * 64 + 512, 64);
	}
	for (size_t i = 0; i < ARRAY_SIZE(size); i += 2) {
		unmap(e->space, at[i], size[i] * PG);
		if (wide || at[i] <= NARROW_MASK)
			poke_refused(e, at[i], p[i], 310);
	}
	if (wide || at[1] <= NARROW_MASK)
		write_ok(e, at[1], p[1], 310, 1024, 64);
}

/* ---- ranges ---- */

/* iommufd takes whole mappings in the order of addresses, up to one that would be cut. */
static void t_partial_unmap_iommufd(void)
{
	struct edu *e = edu_alone();
	struct space *s = e->space;
	uint64_t iova = BASE + 3 * SZ_2M - 2 * PG, done;
	uint8_t *p = pages(16 * PG);

	load(e, 320);
	map(s, p, iova, 4 * PG, RW);
	for (int i = 0; i < 4; i++)
		poke_ok(e, iova + i * PG, p + i * PG, 320, i);
	expect_error(try_unmap(s, iova, PG, &done, 0), ENOENT, "unmap of the first page of four");
	expect_error(try_unmap(s, iova + 3 * PG, PG, &done, 0), ENOENT,
		     "unmap of the last page of four");
	expect_error(try_unmap(s, iova + PG, 2 * PG, &done, 0), ENOENT,
		     "unmap of the middle of a mapping");
	expect_error(try_unmap(s, iova - PG, 2 * PG, &done, 0), ENOENT,
		     "unmap from before a mapping into it");
	expect_error(try_unmap(s, iova, 0, &done, 0), EINVAL, "unmap of no bytes");
	expect_error(try_unmap(s, iova, -PG, &done, 0), EINVAL, "unmap that wraps");
	for (int i = 0; i < 4; i++)
		poke_ok(e, iova + i * PG, p + i * PG, 320, i + 5);

	/* several mappings, with holes, by one range */
	map(s, p + 4 * PG, iova + 4 * PG, PG, RW);
	map(s, p + 5 * PG, iova + 600 * PG, 3 * PG, RW);
	map(s, p + 8 * PG, iova + 5000 * PG, PG, RW);
	poke_ok(e, iova + 4 * PG, p + 4 * PG, 320, 1);
	poke_ok(e, iova + 601 * PG, p + 6 * PG, 320, 2);
	poke_ok(e, iova + 5000 * PG, p + 8 * PG, 320, 3);
	if (try_unmap(s, iova - PG, 1000 * PG, &done, 0) || done != 8 * PG)
		fail("unmap of a range over three mappings took away 0x%lx, not 0x%lx", done,
		     8 * PG);
	poke_refused(e, iova, p, 320);
	poke_refused(e, iova + 4 * PG, p + 4 * PG, 320);
	poke_refused(e, iova + 601 * PG, p + 6 * PG, 320);
	poke_ok(e, iova + 5000 * PG, p + 8 * PG, 320, 4);
	if (!is_empty(s, iova, 1000 * PG))
		fail("unmap of an empty range did not say so");
	/* with everything gone the scratch page is, too */
	if (try_unmap(s, 0, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL) || done != 2 * PG)
		fail("unmap of all took away 0x%lx, not 0x%lx", done, 2 * PG);
	poke_refused(e, iova + 5000 * PG, p + 8 * PG, 320);
}

/* ---- two HWPTs on one IOAS ---- */

static void t_two_hwpts(void)
{
	uint64_t iova = BASE + 4 * SZ_2M - PG, late = BASE + 70 * SZ_2M;
	uint8_t *p = pages(8 * PG);
	struct space *s = space_new();
	uint32_t hwpt[3];

	need_two_groups();
	/* mapped before the first HWPT, between the two, and after */
	map(s, p, iova, PG, RW);
	for (int i = 0; i < 2; i++) {
		edu_bind(&devs[i], s->fd);
		hwpt[i] = hwpt_new(&devs[i], s);
		attach(&devs[i], hwpt[i]);
		map(s, p + (1 + i) * PG, iova + (1 + i) * PG, PG, RW);
		edu_ready(&devs[i], s);
	}
	for (int k = 0; k < 3; k++) {
		load(&devs[0], 330 + k);
		write_ok(&devs[0], iova + k * PG, p + k * PG, 330 + k, 0, 512);
		load(&devs[1], 340 + k);
		write_ok(&devs[1], iova + k * PG, p + k * PG, 340 + k, 512, 512);
	}

	/* hot in both: one unmap blocks both */
	unmap(s, iova + PG, PG);
	fill(p + PG, PG, 350);
	for (int i = 0; i < 2; i++) {
		attack(&devs[i], DEV_WRITE, iova + PG, p + PG, 350, "a page unmapped in two HWPTs");
		attack(&devs[i], DEV_READ, iova + PG, p + PG, 350, "a page unmapped in two HWPTs");
		load(&devs[i], 351 + i);
		write_ok(&devs[i], iova, p, 351 + i, i * 512, 512);
	}
	/* mapped again: both reach the new page and not the old */
	map(s, p + 5 * PG, iova + PG, PG, RW);
	for (int i = 0; i < 2; i++)
		write_ok(&devs[i], iova + PG, p + 5 * PG, 351 + i, i * 512, 512);
	unchanged(p + PG, PG, 350, "the page mapped there before");

	/* the first device goes over to the second's HWPT, hot, and a third one */
	attach(&devs[0], hwpt[1]);
	write_ok(&devs[0], iova + PG, p + 5 * PG, 351, 1024, 512);
	expect_error(try_destroy(s->fd, hwpt[0]), 0, "destruction of a HWPT that was left");
	expect_error(try_destroy(s->fd, hwpt[1]), EBUSY, "destruction of a HWPT in use");
	hwpt[2] = hwpt_new(&devs[0], s);
	attach(&devs[0], hwpt[2]);
	map(s, p + 6 * PG, late, PG, RW);
	for (int i = 0; i < 2; i++)
		write_ok(&devs[i], late, p + 6 * PG, 351 + i, i * 512, 512);
	unmap(s, late, PG);
	fill(p + 6 * PG, PG, 353);
	for (int i = 0; i < 2; i++)
		attack(&devs[i], DEV_WRITE, late, p + 6 * PG, 353, "a page unmapped in two HWPTs");
	/* one device leaves: the other notices nothing */
	edu_close(&devs[1]);
	expect_error(try_destroy(s->fd, hwpt[1]), 0, "destruction of a HWPT that was left");
	load(&devs[0], 354);
	write_ok(&devs[0], iova + PG, p + 5 * PG, 354, 0, 512);
	unmap(s, iova + PG, PG);
	fill(p + 5 * PG, PG, 355);
	attack(&devs[0], DEV_WRITE, iova + PG, p + 5 * PG, 355, "a page unmapped in the last HWPT");
}

/* ---- S3: replacing under DMA ---- */

#define REPLACE_MIN	2000

/*
 * One device's share: at @iova a page to read and at @iova + PG one to write,
 * each of them another in either IOAS.
 */
struct replaced {
	struct edu *e;
	uint64_t iova;
	uint8_t *from[2], *to[2];
	unsigned long dmas, lost_reads, lost_writes, reads[2], writes[2];
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
	unsigned long replaced = 0, dmas = 0, reads = 0, writes = 0, by_a = 0, by_b = 0;
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
	for (unsigned int n = 1; now_ms() < end; n++)
		for (int i = 0; i < ndevs; i++, replaced++)
			attach(&devs[i], hwpt[n % 2][i]);
	end = now_ms();
	stop_threads = true;
	for (int i = 0; i < ndevs; i++) {
		pthread_join(t[i], NULL);
		dmas += work[i].dmas;
		reads += work[i].lost_reads;
		writes += work[i].lost_writes;
		by_a += work[i].reads[0] + work[i].writes[0];
		by_b += work[i].reads[1] + work[i].writes[1];
	}
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
	if (replaced < REPLACE_MIN || dmas < 20 || !by_a || !by_b)
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

/* ---- detaching ---- */

static void t_detach(void)
{
	struct edu *e = &devs[0];
	uint64_t iova = BASE + 5 * SZ_2M - PG;
	struct space *s = space_new();
	uint8_t *p = pages(4 * PG);
	uint32_t hwpt;

	/* bound and not attached: nothing is reached */
	edu_bind(e, s->fd);
	hwpt = hwpt_new(e, s);
	map(s, p, iova, 2 * PG, RW);
	edu_ready(e, s);
	fill(p, PG, 380);
	write_blocked(e, iova, p, 380, "a page of an IOAS never attached to");

	for (int i = 0; i < 4; i++) {
		attach(e, i % 2 ? s->ioas : hwpt);
		load(e, 381);
		write_ok(e, iova, p, 381, 0, 512);
		fill(p, PG, 382);
		read_ok(e, iova, 382, 512);
		detach(e);
		/* hot, and mapped as before, but not for this device */
		fill(p, PG, 383);
		write_blocked(e, iova, p, 383, "a page of an IOAS that was left");
		dma(e, DEV_READ, iova, 0, 512);
		/* both at once by a transfer over two pages */
		fill(p + PG, PG, 384);
		dma(e, DEV_WRITE, iova + PG - 256, 0, 512);
		unchanged(p, PG, 383, "a page of an IOAS that was left");
		unchanged(p + PG, PG, 384, "a page of an IOAS that was left");
		/* what changes meanwhile counts when it is back */
		if (i == 1) {
			unmap(s, iova, 2 * PG);
			map(s, p + 2 * PG, iova, 2 * PG, RW);
			p += 2 * PG;
		}
		attach(e, i % 2 ? hwpt : s->ioas);
		no_leak(e, 383, 512, "a page of an IOAS that was left");
		load(e, 385);
		write_ok(e, iova, p, 385, 0, 512);
		write_ok(e, iova + PG, p + PG, 385, 512, 512);
		detach(e);
		/* once more changes nothing */
		detach(e);
		fill(p, PG, 386);
		write_blocked(e, iova, p, 386, "a page of an IOAS that was left");
	}
}

/* ---- destroying ---- */

static void t_destroy_orders(void)
{
	/* detach, close the device, destroy HWPT, destroy IOAS, close the iommufd */
	enum { DETACH, DEVICE, HWPT, IOAS, IOMMUFD, STEPS };
	struct edu *e = &devs[0];
	uint8_t *p = pages(4 * PG);
	uint64_t t0 = now_ms();
	long before, after;
	int orders = 0;
	bool exact;

	before = table_pages(&exact);
	for (int code = 0; code < 120 * 2; code += opt_every) {
		bool attached = true, device = true, hwpt = true, context = true;
		bool automatic = code >= 120;	/* iommufd makes and ends the HWPT */
		int order[STEPS] = { 0, 1, 2, 3, 4 };
		struct space *s = space_new();
		uint64_t iova = BASE + 5 * SZ_2M - PG;
		uint32_t pt;

		for (int i = 0, rest = code % 120; i < STEPS; i++) {
			int k = i + rest % (STEPS - i), was = order[k];

			rest /= STEPS - i;
			order[k] = order[i];
			order[i] = was;
		}
		edu_bind(e, s->fd);
		map(s, p, iova, 3 * PG, RW);
		pt = automatic ? s->ioas : hwpt_new(e, s);
		if (code % 16 == 0) {
			attach(e, pt);
			edu_ready(e, s);
			load(e, 390);
			write_ok(e, iova + PG, p + PG, 390, 0, 512);
			munmap((void *)e->bar, e->bar_size);
		} else {
			attach(e, pt);
			map(s, p, iova + 300 * SZ_2M, PG, RW);
		}
		for (int i = 0; i < STEPS; i++) {
			int want = 0, got = 0;

			switch (order[i]) {
			case DETACH:
				if (device)
					detach(e);
				attached = false;
				break;
			case DEVICE:
				if (close(e->fd))
					fail("close of the device: %s", strerror(errno));
				device = attached = false;
				break;
			case HWPT:
				if (!context || automatic)
					break;
				want = attached ? EBUSY : 0;
				got = try_destroy(s->fd, pt);
				hwpt = hwpt && got;
				break;
			case IOAS:
				if (!context)
					break;
				want = (automatic ? attached : hwpt) ? EBUSY : 0;
				got = try_destroy(s->fd, s->ioas);
				break;
			case IOMMUFD:
				if (close(s->fd))
					fail("close of the iommufd: %s", strerror(errno));
				context = false;
				break;
			}
			if (got != want)
				fail("order %d%d%d%d%d, step %d: %s, expected %s", order[0], order[1],
				     order[2], order[3], order[4], i, strerror(got), strerror(want));
		}
		if (s->scratch)
			munmap(s->scratch, PG);
		free(s);
		orders++;
		after = table_pages(&exact);
		if (exact && after != before)
			fail("order %d%d%d%d%d left %ld table pages behind", order[0], order[1],
			     order[2], order[3], order[4], after - before);
	}
	note("destroy-orders: %d orders in %lu ms, table pages %ld before and %ld after (%s)",
	     orders, now_ms() - t0, before, table_pages(&exact),
	     exact ? "ledger" : "SecPageTables");
}

/* The iommufd is closed while the device does DMA: the device keeps all alive. */
static void t_iommufd_closed(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + SZ_2M;
	uint8_t *p = pages(PG);
	bool exact;
	long before;

	load(e, 395);
	map(e->space, p, iova, PG, RW);
	before = table_pages(&exact);
	dma_start(e, DEV_WRITE, iova, 0, 512);
	close(e->space->fd);
	dma_wait(e);
	if (differs_from(p, 512, 395, 0) >= 0)
		fail("DMA did not arrive after the iommufd was closed");
	write_ok(e, iova, p, 395, 512, 512);
	detach(e);
	fill(p, PG, 396);
	write_blocked(e, iova, p, 396, "a page of an iommufd that was closed");
	edu_close(e);
	if (exact && table_pages(&exact) >= before)
		fail("table pages: %ld while attached, %ld after the end", before,
		     table_pages(&exact));
}

/* ---- killed while it replaces ---- */

static void replacing_victim(uint8_t *target, uint64_t iova, int started)
{
	struct edu *e = &devs[0];
	struct space *s = space_new(), *other = space_in(s->fd);
	uint32_t hwpt[2];

	edu_bind(e, s->fd);
	map(s, target, iova, PG, RW);
	map(other, target, iova, PG, RW);
	hwpt[0] = hwpt_new(e, s);
	hwpt[1] = hwpt_new(e, other);
	attach(e, hwpt[0]);
	edu_ready(e, s);
	share_scratch(other, s);
	load(e, 400);
	dma_start(e, DEV_WRITE, iova, 0, EDU_MAX);
	for (unsigned int i = 1; ; i++) {
		attach(e, hwpt[i % 2]);
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
		int fds[2], status;
		pid_t pid;
		char c;

		for (int k = 0; k < 3; k++)
			fill(p + k * PG, PG, 401 + k);
		if (pipe2(fds, O_CLOEXEC) || (pid = fork()) < 0)
			fail("cannot start a victim: %s", strerror(errno));
		if (!pid)
			replacing_victim(p + PG, iova, fds[1]);
		close(fds[1]);
		if (read(fds[0], &c, 1) != 1)
			fail("the victim ended before it replaced");
		usleep(after_ms[i] * 1000);
		kill(pid, SIGKILL);
		if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
			fail("the victim was not killed");
		close(fds[0]);

		if (differs(p + PG, PG, 402) >= 0 && differs(p + PG, EDU_MAX, 400) >= 0)
			fail("the victim's page holds neither the old nor the new data");
		fill(p + PG, PG, 404);
		usleep(2 * EDU_DMA_US);
		unchanged(p + PG, PG, 404, "the page of a process killed while it replaced");
		unchanged(p, PG, 401, "the page before the victim's");
		unchanged(p + 2 * PG, PG, 403, "the page after the victim's");

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

/* ---- what it costs ---- */

static void t_economy_iommufd(void)
{
	static struct ledger a, b;
	bool cm = caches_absent(), rwbf = buffers_writes();
	uint64_t iova = BASE + 6 * SZ_2M;
	uint8_t *p = pages_at_2m(64 * SZ_2M, 0, true);
	struct space *s = space_new();
	struct edu *e = &devs[0];
	uint32_t hwpt[2];
	long waits, cmds, dwaits;

	if (!ledger_read(&a))
		skip("no " LEDGER);
	edu_bind(e, s->fd);
	map(s, p, iova, 64 * SZ_2M, RW);

	/* F2: a domain attached nowhere is filled at no cost */
	ledger_read(&a);
	hwpt[0] = hwpt_new(e, s);
	hwpt[1] = hwpt_new(e, s);
	ledger_read(&b);
	cmds = iotlb_commands(&a, &b) + ledger_diff(&a, &b, ".cmd.context");
	waits = ledger_diff(&a, &b, ".cmd.wait");
	note("economy: two HWPTs of 128 MiB: ops.map %ld, commands %ld, waits %ld",
	     ledger_diff(&a, &b, "ops.map"), cmds, waits);
	if (cmds || waits)
		fail("filling two HWPTs that are attached nowhere cost %ld commands and %ld waits",
		     cmds, waits);
	attach(e, hwpt[0]);
	edu_ready(e, s);
	load(e, 410);
	write_ok(e, iova, p, 410, 0, 512);

	/* a page at a time: the unattached one costs nothing */
	unmap(s, iova, 64 * SZ_2M);
	ledger_read(&a);
	for (int i = 0; i < 100; i++)
		map(s, p + i * PG, iova + i * PG, PG, RW);
	ledger_read(&b);
	if (!cm && !rwbf && iotlb_commands(&a, &b))
		fail("100 maps of a page cost %ld IOTLB commands, expected none",
		     iotlb_commands(&a, &b));
	if (cm && iotlb_commands(&a, &b) > 100)
		fail("100 maps of a page cost %ld IOTLB commands under caching mode",
		     iotlb_commands(&a, &b));
	ledger_read(&a);
	for (int i = 0; i < 100; i++)
		unmap(s, iova + i * PG, PG);
	ledger_read(&b);
	note("economy: 100 unmaps of a page in two HWPTs, one attached: IOTLB commands %ld, waits %ld",
	     iotlb_commands(&a, &b), ledger_diff(&a, &b, ".cmd.wait"));
	if (iotlb_commands(&a, &b) != 100 || ledger_diff(&a, &b, ".cmd.wait") > 100)
		fail("100 unmaps of a page cost %ld IOTLB commands and %ld waits, expected 100",
		     iotlb_commands(&a, &b), ledger_diff(&a, &b, ".cmd.wait"));

	/* a replacement is one batch: context, fence, IOTLB, wait */
	ledger_read(&a);
	for (int i = 1; i <= 100; i++)
		attach(e, hwpt[i % 2]);
	ledger_read(&b);
	dwaits = ledger_diff(&a, &b, ".cmd.wait");
	note("economy: 100 replacements: context commands %ld, IOTLB commands %ld, waits %ld",
	     ledger_diff(&a, &b, ".cmd.context"), iotlb_commands(&a, &b), dwaits);
	if (ledger_diff(&a, &b, ".cmd.context") != 100 || iotlb_commands(&a, &b) != 100 ||
	    dwaits != 200)
		fail("100 replacements cost %ld context commands, %ld IOTLB commands and %ld waits, expected 100, 100 and 200",
		     ledger_diff(&a, &b, ".cmd.context"), iotlb_commands(&a, &b), dwaits);
	/* by one that is there already: nothing */
	ledger_read(&a);
	attach(e, hwpt[0]);
	ledger_read(&b);
	if (ledger_diff(&a, &b, ".cmd.wait"))
		fail("attaching to what is attached already cost %ld waits",
		     ledger_diff(&a, &b, ".cmd.wait"));
}

/* ---- random ---- */

#define MAX_AREAS	96
#define MAX_HWPTS	6

/* One IOAS in the model. @writable: whether the memory was pinned for writing. */
struct ioas_model {
	struct space *s;
	struct { int iova, pool, n; uint32_t flags; bool writable; } area[MAX_AREAS];
	int n;
};

static struct {
	struct ioas_model ioas[2];
	struct { uint32_t id; int ioas; } hwpt[MAX_HWPTS];
	int nhwpts;
	int seen;		/* the IOAS that the device sees, -1 for none */
	int on;			/* the HWPT it is attached to, -1 for none or automatic */
} ifd;

static int area_at(const struct ioas_model *m, int page)
{
	for (int i = 0; i < m->n; i++)
		if (page >= m->area[i].iova && page < m->area[i].iova + m->area[i].n)
			return i;
	return -1;
}

static bool overlaps(const struct ioas_model *m, int iova, int n)
{
	for (int i = 0; i < m->n; i++)
		if (m->area[i].iova < iova + n && iova < m->area[i].iova + m->area[i].n)
			return true;
	return false;
}

static void area_add(struct ioas_model *m, int iova, int pool, int n, uint32_t flags,
		     bool writable)
{
	if (m->n == MAX_AREAS)
		fail("test error: more areas than the model has room for");
	m->area[m->n].iova = iova;
	m->area[m->n].pool = pool;
	m->area[m->n].n = n;
	m->area[m->n].flags = flags;
	m->area[m->n++].writable = writable;
}

/* Where operations go: rather near something that is there. */
static int ifd_place(const struct ioas_model *m)
{
	int at;

	if (!m->n || rnd(3) == 0)
		return rnd_place();
	at = m->area[rnd(m->n)].iova + (int)rnd(12) - 3;
	return at < 0 ? 0 : at >= WIN_PAGES ? WIN_PAGES - 1 : at;
}

static void ifd_map(struct ioas_model *m, uint8_t *pool, uint64_t base)
{
	static const uint32_t kinds[] = { RW, RW, RW, VFIO_DMA_MAP_FLAG_READ };
	int iova = ifd_place(m), from = rnd(POOL_PAGES), n = rnd_count(POOL_PAGES - from);
	uint32_t flags = kinds[rnd(ARRAY_SIZE(kinds))];
	int want, got;

	if (n > WIN_PAGES - iova)
		n = WIN_PAGES - iova;
	if (m->n > MAX_AREAS - 8)
		return;
	want = overlaps(m, iova, n) ? EEXIST : 0;
	got = try_map(m->s, pool + from * PG, base + iova * PG, n * PG, flags);
	if (got != want)
		fail("map of %d pages at page %d: %s, expected %s", n, iova, strerror(got),
		     strerror(want));
	if (!want)
		area_add(m, iova, from, n, flags, flags & VFIO_DMA_MAP_FLAG_WRITE);
}

static void ifd_copy(struct ioas_model *dst, struct ioas_model *src, uint64_t base)
{
	int from, to = ifd_place(dst), n, left, at, k, want = 0, got;
	uint32_t flags = rnd(4) ? RW : VFIO_DMA_MAP_FLAG_READ;

	if (!src->n || dst->n > MAX_AREAS - 8)
		return;
	k = rnd(src->n);
	from = src->area[k].iova + rnd(src->area[k].n);
	n = 1 + rnd(src->area[k].n + (rnd(5) ? 0 : 3));
	if (n > WIN_PAGES - from)
		n = WIN_PAGES - from;
	if (n > WIN_PAGES - to)
		n = WIN_PAGES - to;
	for (at = from; at < from + n && !want; at++)
		if (area_at(src, at) < 0)
			want = ENOENT;
	if (!want && overlaps(dst, to, n))
		want = EEXIST;
	for (at = from; at < from + n && !want; at++)
		if (flags & VFIO_DMA_MAP_FLAG_WRITE && !src->area[area_at(src, at)].writable)
			want = EPERM;
	got = try_copy(dst->s, base + to * PG, src->s, base + from * PG, n * PG, flags);
	if (got != want)
		fail("copy of %d pages from page %d to page %d: %s, expected %s", n, from, to,
		     strerror(got), strerror(want));
	/* it comes in as many pieces as it had */
	for (at = from, left = n; !want && left; ) {
		int part;

		k = area_at(src, at);
		part = src->area[k].iova + src->area[k].n - at;
		if (part > left)
			part = left;
		area_add(dst, to, src->area[k].pool + at - src->area[k].iova, part, flags,
			 src->area[k].writable);
		at += part;
		to += part;
		left -= part;
	}
}

static void ifd_unmap(struct ioas_model *m, uint64_t base)
{
	int iova, n, got, want = 0;
	uint64_t done, sum = 0;

	if (m->n && rnd(3)) {
		int k = rnd(m->n);

		iova = m->area[k].iova;
		n = m->area[k].n;
	} else {
		iova = ifd_place(m);
		n = rnd_count(WIN_PAGES - iova) * (1 + rnd(4));
		if (n > WIN_PAGES - iova)
			n = WIN_PAGES - iova;
	}
	/* areas go one by one from the lowest, up to the first that would be cut */
	for (;;) {
		int low = -1;

		for (int i = 0; i < m->n; i++)
			if (m->area[i].iova < iova + n && iova < m->area[i].iova + m->area[i].n &&
			    (low < 0 || m->area[i].iova < m->area[low].iova))
				low = i;
		if (low < 0)
			break;
		if (m->area[low].iova < iova || m->area[low].iova + m->area[low].n > iova + n) {
			want = ENOENT;
			break;
		}
		sum += m->area[low].n;
		m->area[low] = m->area[--m->n];
	}
	if (!sum)
		want = ENOENT;
	got = try_unmap(m->s, base + iova * PG, n * PG, &done, 0);
	if (got != want)
		fail("unmap of %d pages at page %d: %s, expected %s", n, iova, strerror(got),
		     strerror(want));
	if (!want && done != sum * PG)
		fail("unmap of %d pages at page %d took away 0x%lx, expected 0x%lx", n, iova, done,
		     sum * PG);
}

static void ifd_objects(struct edu *e)
{
	int k = ifd.nhwpts ? (int)rnd(ifd.nhwpts) : -1, got, want;

	switch (rnd(8)) {
	case 0:
		if (ifd.nhwpts == MAX_HWPTS)
			return;
		k = rnd(2);
		ifd.hwpt[ifd.nhwpts].ioas = k;
		ifd.hwpt[ifd.nhwpts++].id = hwpt_new(e, ifd.ioas[k].s);
		return;
	case 1:
		if (k < 0)
			return;
		want = ifd.on == k ? EBUSY : 0;
		got = try_destroy(ifd.ioas[0].s->fd, ifd.hwpt[k].id);
		if (got != want)
			fail("destruction of a HWPT%s: %s", want ? " in use" : "", strerror(got));
		if (!got) {
			ifd.hwpt[k] = ifd.hwpt[--ifd.nhwpts];
			if (ifd.on == ifd.nhwpts)
				ifd.on = k;
		}
		return;
	case 2:
		if (rnd(2))
			return;
		detach(e);
		ifd.seen = ifd.on = -1;
		return;
	case 3:
		k = rnd(2);
		attach(e, ifd.ioas[k].s->ioas);
		ifd.seen = k;
		ifd.on = -1;
		return;
	default:
		if (k < 0)
			return;
		attach(e, ifd.hwpt[k].id);
		ifd.seen = ifd.hwpt[k].ioas;
		ifd.on = k;
	}
}

/* What the device sees, as the common part of the random cases wants it. */
static void ifd_show(void)
{
	const struct ioas_model *m = &ifd.ioas[ifd.seen];

	model_set(0, -1, WIN_PAGES, 0);
	model.n = 0;
	for (int i = 0; i < m->n; i++) {
		model_set(m->area[i].iova, m->area[i].pool, m->area[i].n, m->area[i].flags);
		if (model.n < MAX_MAPS) {
			model.m[model.n].iova = m->area[i].iova;
			model.m[model.n++].n = m->area[i].n;
		}
	}
}

static void t_random_iommufd(void)
{
	unsigned int maps = 0, copies = 0, unmaps = 0, dmas = 0, objects = 0, blocked = 0;
	struct edu *e = edu_alone();
	uint64_t base = BASE + 100 * PG, end = now_ms() + 60000;
	uint8_t *pool = pages(POOL_PAGES * PG);
	long step;

	note("random: --seed %u --steps %ld (%s addresses)", opt_seed, opt_steps,
	     wide ? "64-bit" : "28-bit");
	rnd_state = opt_seed;
	fill(pool, POOL_PAGES * PG, 420);
	fill(model.content, POOL_PAGES * PG, 420);
	fill(model.buf, EDU_MAX, 421);
	model.buf_known = true;
	load(e, 421);
	ifd.ioas[0].s = e->space;
	ifd.ioas[1].s = space_in(e->space->fd);
	share_scratch(ifd.ioas[1].s, e->space);
	ifd.on = -1;
	for (step = 0; step < opt_steps && now_ms() < end; step++) {
		struct ioas_model *m = &ifd.ioas[rnd(2)];
		unsigned int what = rnd(16);

		if (what < 4) {
			ifd_map(m, pool, base);
			maps++;
		} else if (what < 6) {
			ifd_copy(m, &ifd.ioas[rnd(2)], base);
			copies++;
		} else if (what < 10) {
			ifd_unmap(m, base);
			unmaps++;
		} else if (what < 14) {
			ifd_objects(e);
			objects++;
		} else if (ifd.seen >= 0) {
			ifd_show();
			random_dma(e, pool, base);
			dmas++;
		} else {
			dma(e, DEV_WRITE, base + rnd_place() * PG, 0, 512);
			if (memcmp(pool, model.content, POOL_PAGES * PG))
				fail("DMA of a device that is attached nowhere arrived");
			blocked++;
		}
	}
	note("random: %ld steps: %u maps, %u copies, %u unmaps, %u changes of objects, %u DMAs, %u of a detached device; %d and %d mappings, %d HWPTs at the end",
	     step, maps, copies, unmaps, objects, dmas, blocked, ifd.ioas[0].n, ifd.ioas[1].n,
	     ifd.nhwpts);
	if (step < opt_steps)
		note("random: stopped by time after %ld of %ld steps", step, opt_steps);
}

#endif
