/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases about what iommufd has and type1 has not: mappings copied between
 * IOASes, several HWPTs on one IOAS, detaching, and objects destroyed in every
 * order. Replacing and random operations have files of their own.
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

#endif
