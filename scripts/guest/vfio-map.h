/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases about what a mapping lets a device reach, and what not. Each attack
 * is judged twice: by the memory, which must be as it was, and by the kernel
 * log, which must name the device, the direction and the address.
 *
 * "Hot" means that the IOTLB holds the translation: the device has just used it.
 */
#ifndef OMNI_GUEST_VFIO_MAP_H
#define OMNI_GUEST_VFIO_MAP_H

static void t_dma_both_ways(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE;
	uint8_t *p = pages(4 * PG);

	/* IOVA pages in the reverse order, so a page boundary is a real one */
	for (int i = 0; i < 4; i++)
		map(e->space, p + i * PG, iova + (3 - i) * PG, PG, RW);
	load(e, 10);
	write_ok(e, iova + 3 * PG, p, 10, 0, EDU_MAX);
	write_ok(e, iova + 3 * PG + EDU_MAX, p + EDU_MAX, 10, 0, EDU_MAX);
	fill(p + PG, PG, 11);
	read_ok(e, iova + 2 * PG, 11, EDU_MAX);

	/* across a boundary: the end of the third page, the start of the second */
	fill(p + 2 * PG, PG, 12);
	fill(p + PG, PG, 13);
	load(e, 14);
	dma(e, DEV_WRITE, iova + 2 * PG - 1024, 0, EDU_MAX);
	if (differs_from(p + 3 * PG - 1024, 1024, 14, 0) >= 0 ||
	    differs_from(p + PG, 1024, 14, 1024) >= 0)
		fail("DMA write across a page boundary went elsewhere");
	unchanged(p + 2 * PG, PG - 1024, 12, "the page before the boundary");
}

static void t_unmap_then_dma(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 5 * PG;
	uint8_t *p = pages(2 * PG);

	map(e->space, p, iova, PG, RW);
	map(e->space, p + PG, iova + PG, PG, RW);
	load(e, 20);
	write_ok(e, iova, p, 20, 0, 512);
	unmap(e->space, iova, PG);
	fill(p, PG, 21);
	attack(e, DEV_WRITE, iova, p, 21, "a page unmapped before");

	map(e->space, p, iova, PG, RW);
	read_ok(e, iova, 21, 512);
	unmap(e->space, iova, PG);
	fill(p, PG, 22);
	attack(e, DEV_READ, iova, p, 22, "a page unmapped before");

	load(e, 23);
	write_ok(e, iova + PG, p + PG, 23, 0, 512);
	unchanged(p, PG, 22, "a page unmapped before");
}

/*
 * QEMU 7.2 refuses by the permission its IOTLB holds without a fault record,
 * so the message is looked for while the translation is cold.
 */
static void t_read_only(void)
{
	static const char what[] = "a page mapped for reading only";
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 7 * PG;
	uint8_t *p = pages(PG);

	load(e, 31);
	map(e->space, p, iova, PG, VFIO_DMA_MAP_FLAG_READ);
	fill(p, PG, 30);
	attack(e, DEV_WRITE, iova, p, 30, what);
	read_ok(e, iova, 30, EDU_MAX);
	load(e, 31);
	dma(e, DEV_WRITE, iova, 0, 512);
	unchanged(p, PG, 30, what);

	/* from writable to read-only with the writable translation hot */
	unmap(e->space, iova, PG);
	map(e->space, p, iova, PG, RW);
	write_ok(e, iova, p, 31, 0, 512);
	unmap(e->space, iova, PG);
	fill(p, PG, 32);
	map(e->space, p, iova, PG, VFIO_DMA_MAP_FLAG_READ);
	attack(e, DEV_WRITE, iova, p, 32, "a page mapped for reading only, writable before");
	read_ok(e, iova, 32, 512);
}

/* Not VFIO's promise: the in-tree VT-d driver of 6.12 makes these readable. */
static bool writes_without_reads(void)
{
#ifdef __aarch64__
	return false;		/* stage 1 has no bits for that */
#else
	return true;
#endif
}

static void t_write_only(void)
{
	static const char what[] = "a page mapped for writing only";
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 9 * PG;
	uint8_t *p = pages(PG);

	load(e, 35);
	map(e->space, p, iova, PG, VFIO_DMA_MAP_FLAG_WRITE);
	fill(p, PG, 36);
	if (omniommu_loaded() && writes_without_reads()) {
		attack(e, DEV_READ, iova, p, 36, what);
	} else {
		dma(e, DEV_READ, iova, 0, 512);
		if (differs(save(e, 512), 512, 36) < 0)
			skip("write-only mappings are readable here");
	}
	load(e, 35);
	write_ok(e, iova, p, 35, 0, 512);
	fill(p, PG, 36);
	dma(e, DEV_READ, iova, 0, 512);
	no_leak(e, 36, 512, what);
}

static void t_never_mapped(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + SZ_2M;
	uint8_t *p = pages(3 * PG);

	/* a hole between two pages, in a table that exists */
	for (int i = 0; i < 3; i++)
		fill(p + i * PG, PG, 40 + i);
	map(e->space, p, iova, PG, RW);
	map(e->space, p + 2 * PG, iova + 2 * PG, PG, RW);
	load(e, 44);
	attack(e, DEV_WRITE, iova + PG, p + PG, 41, "a page never mapped");
	attack(e, DEV_READ, iova + PG, p + PG, 41, "a page never mapped");

	/* where no table is */
	load(e, 45);
	attack(e, DEV_WRITE, iova + 40 * SZ_2M, p + PG, 41, "a page never mapped");
	attack(e, DEV_READ, iova + 41 * SZ_2M, p + PG, 41, "a page never mapped");
	unchanged(p, PG, 40, "the page before a hole");
	unchanged(p + 2 * PG, PG, 42, "the page after a hole");
	load(e, 46);
	write_ok(e, iova, p, 46, 0, 512);
}

/* A few bytes of the loaded pattern to the page at iova, each page its own. */
static void poke_ok(struct edu *e, uint64_t iova, const void *va, uint32_t seed, int slot)
{
	write_ok(e, iova, va, seed, slot * 64 % EDU_MAX, 64);
}

static void poke_refused(struct edu *e, uint64_t iova, uint8_t *va, uint32_t seed)
{
	fill(va, 64, seed + 1000);
	dma(e, DEV_WRITE, iova, 0, 64);
	unchanged(va, 64, seed + 1000, "a page that is not mapped there");
}

static void t_unaligned_iova(void)
{
	static const struct {
		long iova, va;		/* pages from a 2M boundary */
		unsigned long size;	/* pages */
	} shape[] = {
		{ -1, 0, 2 }, { -3, -1, 5 }, { 1, 1, 512 }, { -1, -1, 514 },
		{ 511, 3, 1025 }, { 0, 0, 513 }, { 255, 255, 259 },
	};
	struct edu *e = edu_alone();
	uint64_t edge = BASE + 8 * SZ_2M;

	load(e, 50);
	for (size_t i = 0; i < ARRAY_SIZE(shape); i++) {
		size_t size = shape[i].size * PG;
		uint64_t iova = edge + shape[i].iova * PG, next;
		uint8_t *p = pages_at_2m(size + PG, ((shape[i].va + 512) % 512) * PG, i % 2);
		uint64_t at[4];
		int n = 0;

		map(e->space, p, iova, size, RW);
		next = (iova + SZ_2M - 1) & ~(SZ_2M - 1);
		at[n++] = 0;
		if (next > iova && next < iova + size) {
			at[n++] = next - iova - PG;
			at[n++] = next - iova;
		}
		at[n++] = size - PG;
		for (int k = 0; k < n; k++)
			poke_ok(e, iova + at[k], p + at[k], 50, k + i);
		poke_refused(e, iova + size, p + size, 50);
		unmap(e->space, iova, size);
		poke_refused(e, iova + at[n - 1], p + at[n - 1], 50);
		if (n > 2)
			poke_refused(e, iova + at[1], p + at[1], 50);
		munmap(p, size + PG);
	}
}

static void expect_error(int got, int want, const char *what)
{
	if (got != want)
		fail("%s: %s instead of %s", what, got ? strerror(got) : "accepted",
		     strerror(want));
}

/* An unmap that cuts a mapping in two, or is no range at all, takes nothing. */
static void cut_refused(struct space *s, uint64_t iova, uint64_t size, const char *what)
{
	uint64_t done;

	expect_error(try_unmap(s, iova, size, &done, 0), EINVAL, what);
}

static void t_partial_unmap(void)
{
	struct edu *e = edu_alone();
	struct space *s = e->space;
	uint64_t iova = BASE + 3 * SZ_2M - 2 * PG, done, want;
	uint8_t *p = pages(16 * PG);

	load(e, 60);
	map(s, p, iova, 4 * PG, RW);
	for (int i = 0; i < 4; i++)
		poke_ok(e, iova + i * PG, p + i * PG, 60, i);
	cut_refused(s, iova, PG, "unmap of the first page of four");
	cut_refused(s, iova + 3 * PG, PG, "unmap of the last page of four");
	cut_refused(s, iova + PG, 2 * PG, "unmap of the middle of a mapping");
	cut_refused(s, iova - PG, 2 * PG, "unmap from before a mapping into it");
	cut_refused(s, iova + 3 * PG, 2 * PG, "unmap from a mapping's end on");
	cut_refused(s, iova, 0, "unmap of no bytes");
	cut_refused(s, iova + 1, 4 * PG, "unmap of a misaligned IOVA");
	cut_refused(s, iova, 4 * PG - 1, "unmap of a misaligned size");
	cut_refused(s, iova, -PG, "unmap that wraps");
	for (int i = 0; i < 4; i++)
		poke_ok(e, iova + i * PG, p + i * PG, 60, i + 5);

	/* several mappings, with holes, by one range */
	map(s, p + 4 * PG, iova + 4 * PG, PG, RW);
	map(s, p + 5 * PG, iova + 600 * PG, 3 * PG, RW);
	map(s, p + 8 * PG, iova + 5000 * PG, PG, RW);
	poke_ok(e, iova + 4 * PG, p + 4 * PG, 60, 1);
	poke_ok(e, iova + 601 * PG, p + 6 * PG, 60, 2);
	poke_ok(e, iova + 5000 * PG, p + 8 * PG, 60, 3);
	if (try_unmap(s, iova - PG, 1000 * PG, &done, 0) || done != 8 * PG)
		fail("unmap of a range over three mappings took away 0x%lx, not 0x%lx",
		     done, 8 * PG);
	poke_refused(e, iova, p, 60);
	poke_refused(e, iova + 4 * PG, p + 4 * PG, 60);
	poke_refused(e, iova + 601 * PG, p + 6 * PG, 60);
	poke_ok(e, iova + 5000 * PG, p + 8 * PG, 60, 4);

	if (!is_empty(s, iova, 1000 * PG))
		fail("unmap of an empty range did not say so");
	/* with everything gone the scratch page is, too */
	want = 2 * PG;
	if (try_unmap(s, 0, 0, &done, VFIO_DMA_UNMAP_FLAG_ALL) || done != want)
		fail("unmap of all took away 0x%lx, not 0x%lx", done, want);
	poke_refused(e, iova + 5000 * PG, p + 8 * PG, 60);
}

static void t_remap(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 11 * PG;
	uint8_t *p = pages(4 * PG);

	load(e, 70);
	for (int i = 0; i < 4; i++) {
		fill(p, 4 * PG, 71);
		map(e->space, p + i * PG, iova, PG, RW);
		write_ok(e, iova, p + i * PG, 70, i * 64, 64);
		for (int k = 0; k < 4; k++)
			if (k != i && differs_from(p + k * PG, PG, 71, k * PG) >= 0)
				fail("after a remap DMA reached the page mapped before");
		unmap(e->space, iova, PG);
	}

	/* reads too: what comes must be the new page's */
	for (int i = 0; i < 3; i++) {
		fill(p + i * PG, PG, 72 + i);
		map(e->space, p + i * PG, iova, PG, RW);
		read_ok(e, iova, 72 + i, 256);
		unmap(e->space, iova, PG);
	}
}

/* 2M leaves and tables of 4K leaves take each other's place, hot. */
static void t_remap_leaf_size(void)
{
	struct edu *e = edu_alone();
	uint64_t iova = BASE + 16 * SZ_2M;
	uint8_t *h = huge_pages(SZ_2M, 2), *p = pages_at_2m(SZ_2M, 0, false);

	if (!h)
		skip("no 2M hugetlb pages to be had");
	load(e, 80);
	for (int i = 0; i < 2; i++) {
		uint8_t *huge = h + i * SZ_2M;

		map(e->space, huge, iova, SZ_2M, RW);
		poke_ok(e, iova, huge, 80, i);
		poke_ok(e, iova + 300 * PG, huge + 300 * PG, 80, i + 2);
		unmap(e->space, iova, SZ_2M);
		fill(huge, SZ_2M, 81);

		/* a single page in a place that was a leaf: the rest must be gone */
		map(e->space, p, iova + 300 * PG, PG, RW);
		poke_ok(e, iova + 300 * PG, p, 80, i + 4);
		dma(e, DEV_WRITE, iova, 0, 64);
		unchanged(huge, SZ_2M, 81, "a 2M page unmapped before");
		unmap(e->space, iova + 300 * PG, PG);

		/* a leaf where an empty table may have been left */
		map(e->space, huge, iova, SZ_2M, RW);
		poke_ok(e, iova + 300 * PG, huge + 300 * PG, 80, i + 5);
		unmap(e->space, iova, SZ_2M);
		fill(huge, SZ_2M, 81);

		map(e->space, p, iova, SZ_2M, RW);
		poke_ok(e, iova + 300 * PG, p + 300 * PG, 80, i + 6);
		poke_ok(e, iova + 511 * PG, p + 511 * PG, 80, i + 8);
		unmap(e->space, iova, SZ_2M);
		unchanged(huge, SZ_2M, 81, "a 2M page unmapped before");
	}
}

/* Table pages in use: exact with the ledger, else the kernel's batched count */
static long table_pages(bool *exact)
{
	struct ledger l;

	*exact = ledger_read(&l);
	return *exact ? ledger_get(&l, "table_pages") : (long)meminfo_kb("SecPageTables") / 4;
}

static void leaves(size_t page, int count, unsigned long boundary)
{
	struct edu *e = edu_alone();
	uint64_t iova = wide || page < SZ_1G ? BASE + boundary : 0;
	uint8_t *h = huge_pages(page, count);
	size_t size = page * count;
	long before, during;
	bool exact;

	if (!h)
		skip("no %lu MiB hugetlb pages to be had%s", page >> 20,
		     page == SZ_1G ? " (boot with hugepagesz=1G hugepages=1)" : "");
	if (!wide && size > SCRATCH_IOVA) {
		/* what a 28-bit device reaches of it is enough */
		uint64_t done;

		if (try_unmap(e->space, SCRATCH_IOVA, PG, &done, 0))
			fail("unmap of the scratch page failed");
		map(e->space, h, 0, size, RW);
		fill(h + SCRATCH_IOVA, EDU_MAX, 90);
		dma(e, DEV_READ, SCRATCH_IOVA, 0, EDU_MAX);
		write_ok(e, 0x07654000, h + 0x07654000, 90, 0, 512);
		return;
	}
	load(e, 90);
	before = table_pages(&exact);
	map(e->space, h, iova, size, RW);
	during = table_pages(&exact);
	note("%d leaves of %lu MiB at IOVA 0x%lx: %ld more table pages (%s)", count, page >> 20,
	     iova, during - before, exact ? "ledger" : "SecPageTables, batched");
	if (exact && during - before > 3)
		fail("%d naturally aligned pages of %lu MiB took %ld table pages: no leaves",
		     count, page >> 20, during - before);
	poke_ok(e, iova, h, 90, 0);
	poke_ok(e, iova + page / 2 + 5 * PG, h + page / 2 + 5 * PG, 90, 1);
	poke_ok(e, iova + size - PG, h + size - PG, 90, 2);
	poke_refused(e, iova + size, h, 90);
	unmap(e->space, iova, size);
	poke_refused(e, iova, h, 90);
	poke_refused(e, iova + page / 2 + 5 * PG, h + page / 2 + 5 * PG, 90);
	poke_refused(e, iova + size - PG, h + size - PG, 90);

	/* a page off: nothing of it can be a leaf of that size */
	iova += PG;
	if (page == SZ_1G)
		iova += SZ_2M - PG;
	map(e->space, h, iova, size, RW);
	poke_ok(e, iova, h, 90, 3);
	poke_ok(e, iova + size - PG, h + size - PG, 90, 4);
	unmap(e->space, iova, size);
	poke_refused(e, iova, h, 90);
	poke_refused(e, iova + size - PG, h + size - PG, 90);
}

static void t_leaves_2m(void)
{
	leaves(SZ_2M, 3, 20 * SZ_2M);
}

static void t_leaves_1g(void)
{
	leaves(SZ_1G, 1, 4 * SZ_1G);
}

static void t_aperture_ends(void)
{
	struct vfio_iova_range r[16];
	struct edu *e = edu_alone();
	int n = iova_ranges(e->space, r, ARRAY_SIZE(r)), tried = 0;
	uint8_t *p = pages(PG);

	if (!n)
		fail("VFIO reports no IOVA ranges");
	if (r[0].start)
		fail("the IOVA aperture starts at 0x%llx, not at 0", r[0].start);
	for (int i = 0; i < n; i++) {
		note("IOVA range 0x%llx-0x%llx", r[i].start, r[i].end);
		if (r[i].start <= MSI_START + MSI_SIZE - 1 && r[i].end >= MSI_START)
			fail("IOVA range 0x%llx-0x%llx takes in the MSI window", r[i].start,
			     r[i].end);
	}
	if (!wide && r[0].end < NARROW_MASK)
		fail("the first IOVA range ends at 0x%llx", r[0].end);
	load(e, 100);
	for (int i = 0; i < n; i++) {
		uint64_t ends[2] = { r[i].start, (r[i].end & ~(PG - 1)) };

		for (int k = 0; k < 2; k++) {
			if (!wide && ends[k] > NARROW_MASK)
				continue;
			map(e->space, p, ends[k], PG, RW);
			poke_ok(e, ends[k], p, 100, tried++);
			unmap(e->space, ends[k], PG);
			poke_refused(e, ends[k], p, 100);
		}
	}
	if (r[n - 1].end != UINT64_MAX) {
		expect_error(try_map(e->space, p, r[n - 1].end + 1, PG, RW), EINVAL,
			     "map after the aperture's end");
		expect_error(try_map(e->space, p, 1UL << 63, PG, RW), EINVAL,
			     "map at 2^63");
	}
}

static void t_map_refused(void)
{
	struct edu *e = edu_alone();
	struct space *s = e->space;
	uint64_t iova = BASE + 6 * SZ_2M - PG;
	uint8_t *p = pages(16 * PG), *q = pages(8 * PG);

	load(e, 110);
	map(s, p, iova, 4 * PG, RW);
	poke_ok(e, iova, p, 110, 0);
	fill(q, 8 * PG, 111);
	expect_error(try_map(s, q, iova, 4 * PG, RW), EEXIST, "map over the same range");
	expect_error(try_map(s, q, iova + PG, PG, RW), EEXIST, "map inside a mapping");
	expect_error(try_map(s, q, iova - PG, 2 * PG, RW), EEXIST, "map over a mapping's start");
	expect_error(try_map(s, q, iova + 3 * PG, 2 * PG, RW), EEXIST, "map over a mapping's end");
	expect_error(try_map(s, q, iova - PG, 6 * PG, RW), EEXIST, "map around a mapping");
	expect_error(try_map(s, q, MSI_START, PG, RW), EINVAL, "map in the MSI window");
	expect_error(try_map(s, q, MSI_START + MSI_SIZE - PG, PG, RW), EINVAL,
		     "map at the MSI window's end");
	expect_error(try_map(s, q, MSI_START - PG, 2 * PG, RW), EINVAL,
		     "map into the MSI window");
	expect_error(try_map(s, q, iova + 8 * PG, PG, 0), EINVAL, "map without permission");
	expect_error(try_map(s, q, iova + 8 * PG + 1, PG, RW), EINVAL, "map at a misaligned IOVA");
	expect_error(try_map(s, q + 8, iova + 8 * PG, PG, RW), EINVAL, "map of misaligned memory");
	expect_error(try_map(s, q, iova + 8 * PG, PG + 1, RW), EINVAL, "map of a misaligned size");
	expect_error(try_map(s, q, iova + 8 * PG, 0, RW), EINVAL, "map of no bytes");
	expect_error(try_map(s, q, -PG, 2 * PG, RW), EINVAL, "map that wraps");
	/* memory that ends half-way: what was mapped of it must be taken back */
	if (munmap(q + 4 * PG, 4 * PG))
		fail("munmap: %s", strerror(errno));
	expect_error(try_map(s, q, iova + 8 * PG, 8 * PG, RW), EFAULT, "map of a hole in memory");
	if (!is_empty(s, iova + 8 * PG, 8 * PG))
		fail("a map that failed left something mapped");
	poke_refused(e, iova + 8 * PG, q, 110);

	for (int i = 0; i < 4; i++)
		poke_ok(e, iova + i * PG, p + i * PG, 110, i + 1);
	if (differs_from(q + PG, 3 * PG, 111, PG) >= 0)
		fail("a refused map let DMA through");
	/* both sides of the MSI window are as good as any */
	if (!wide)
		return;
	map(s, p + 8 * PG, MSI_START - PG, PG, RW);
	map(s, p + 9 * PG, MSI_START + MSI_SIZE, PG, RW);
	poke_ok(e, MSI_START - PG, p + 8 * PG, 110, 6);
	poke_ok(e, MSI_START + MSI_SIZE, p + 9 * PG, 110, 7);
}

/* One device's registers, mapped for the other: MMIO is reached as memory is. */
static void t_peer_bar(void)
{
	struct space *s = space_new();
	uint64_t iova = BASE + 32 * SZ_2M;
	struct edu *a = &devs[0], *b = &devs[1];
	uint32_t *first, seen;

	if (a->group == b->group)
		skip("%s and %s share group %d", a->bdf, b->bdf, a->group);
	edu_open(a, s);
	edu_open(b, s);
	load(a, 120);
	first = (uint32_t *)s->scratch;
	map(s, (void *)b->bar, iova, b->bar_size, RW);
	dma(a, DEV_WRITE, iova + EDU_LIVENESS, 0, 4);
	seen = *(volatile uint32_t *)(b->bar + EDU_LIVENESS);
	if (seen != ~first[0])
		fail("DMA from %s to a register of %s did not arrive: 0x%x", a->bdf, b->bdf, seen);
	unmap(s, iova, b->bar_size);
	dma(a, DEV_WRITE, iova + EDU_LIVENESS, 4, 4);
	if (*(volatile uint32_t *)(b->bar + EDU_LIVENESS) != seen)
		fail("DMA from %s reached a register of %s after unmap", a->bdf, b->bdf);
}

#endif
