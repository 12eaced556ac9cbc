/* SPDX-License-Identifier: GPL-2.0 */
/* Random operations on two IOASes and their HWPTs, beside a model of what the device reaches. */
#ifndef OMNI_GUEST_IOMMUFD_RANDOM_H
#define OMNI_GUEST_IOMMUFD_RANDOM_H

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
