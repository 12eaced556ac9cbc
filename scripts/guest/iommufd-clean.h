/* SPDX-License-Identifier: GPL-2.0 */
/* What is cleaned when devices change HWPTs; see vfio-clean.h. */
#ifndef OMNI_GUEST_IOMMUFD_CLEAN_H
#define OMNI_GUEST_IOMMUFD_CLEAN_H

/* Two HWPTs on one IOAS: what is mapped in both is cleaned once. */
static void t_clean_two_hwpts(void)
{
	uint64_t iova = BASE + 50 * PG;
	struct space *s = space_new();
	uint8_t *p = pages(16 * PG);
	uint32_t hwpt[2];

	need_two_groups();
	clean_begin();
	map(s, p, iova, 8 * PG, RW);
	for (int i = 0; i < 2; i++) {
		edu_bind(&devs[i], s->fd);
		hwpt[i] = hwpt_new(&devs[i], s);
	}
	clean_is(p, 8 * PG, 0, 0, "two HWPTs, attached nowhere");
	attach(&devs[0], hwpt[0]);
	clean_is(p, 8 * PG, 1, 0, "the first is attached");
	attach(&devs[1], hwpt[1]);
	clean_is(p, 8 * PG, 0, 0, "the second is attached");
	map(s, p + 8 * PG, iova + 8 * PG, 8 * PG, RW);
	clean_is(p + 8 * PG, 8 * PG, 1, 0, "mapped in both");
	unmap(s, iova, 8 * PG);
	clean_is(p, 8 * PG, 0, 1, "unmapped in both");
	detach(&devs[0]);
	clean_is(p + 8 * PG, 8 * PG, 0, 0, "the first is detached");
	detach(&devs[1]);
	clean_is(p + 8 * PG, 8 * PG, 0, 1, "the second is detached");
	unmap(s, iova + 8 * PG, 8 * PG);
	clean_is(p + 8 * PG, 8 * PG, 0, 0, "unmapped, attached nowhere");
}

/* Replacing one HWPT by another cleans what only one of the two maps. */
static void t_clean_replace(void)
{
	uint64_t iova = BASE + 50 * PG;
	struct space *s = space_new(), *other = space_in(s->fd);
	uint8_t *p = pages(24 * PG);
	uint32_t hwpt[2], far;
	struct edu *e = &devs[0];

	/* pages 0 to 7 in one, 8 to 15 in both, 16 to 23 in the other */
	map(s, p, iova, 16 * PG, RW);
	map(other, p + 8 * PG, iova + 8 * PG, 16 * PG, RW);
	edu_bind(e, s->fd);
	hwpt[0] = hwpt_new(e, s);
	hwpt[1] = hwpt_new(e, s);
	far = hwpt_new(e, other);
	clean_begin();
	attach(e, hwpt[0]);
	clean_is(p, 16 * PG, 1, 0, "attached");
	attach(e, hwpt[1]);
	clean_is(p, 16 * PG, 0, 0, "replaced by a HWPT of the same IOAS");
	attach(e, far);
	if (!enforces_coherency()) {
		uint64_t *frames = frames_of(p, 24 * PG);
		uint8_t *counts[2] = { calloc(1, 24), calloc(1, 24) };
		struct cleaned c = clean_read(frames, 24, counts);

		if (c.in != 8 || c.out != 8 || (frames && (c.other_in || c.other_out)))
			fail("replaced by another IOAS: %lu pages in, %lu out, expected 8 and 8",
			     c.in, c.out);
	}
	clean_begin();
	detach(e);
	clean_is(p + 8 * PG, 16 * PG, 0, 1, "detached");
}

/* Detached, mapped meanwhile, attached again. */
static void t_clean_detach(void)
{
	uint64_t iova = BASE + 50 * PG;
	struct space *s = space_new();
	uint8_t *p = pages_at_2m(700 * PG, 0, false);
	struct edu *e = &devs[0];
	uint32_t hwpt;

	map(s, p, iova, 300 * PG, RW);
	edu_bind(e, s->fd);
	hwpt = hwpt_new(e, s);
	clean_begin();
	attach(e, hwpt);
	clean_is(p, 300 * PG, 1, 0, "attached");
	detach(e);
	clean_is(p, 300 * PG, 0, 1, "detached");
	map(s, p + 300 * PG, iova + 300 * PG, 400 * PG, RW);
	clean_is(p, 700 * PG, 0, 0, "mapped while detached");
	attach(e, hwpt);
	clean_is(p, 700 * PG, 1, 0, "attached again");
	unmap(s, iova, 300 * PG);
	clean_is(p, 300 * PG, 0, 1, "some unmapped");
	detach(e);
	clean_is(p + 300 * PG, 400 * PG, 0, 1, "detached again");
}

#endif
