/* SPDX-License-Identifier: GPL-2.0 */
/* Spaces of VFIO type1 v2: containers that groups join. */
#ifndef OMNI_GUEST_VFIO_TYPE1_H
#define OMNI_GUEST_VFIO_TYPE1_H

static int try_map(struct space *s, void *va, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m), .flags = flags, .vaddr = (uintptr_t)va,
		.iova = iova, .size = size,
	};

	return ioctl(s->fd, VFIO_IOMMU_MAP_DMA, &m) ? errno : 0;
}

static int try_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *done,
		     uint32_t flags)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .flags = flags, .iova = iova, .size = size,
	};

	*done = 0;
	if (ioctl(s->fd, VFIO_IOMMU_UNMAP_DMA, &u))
		return errno;
	*done = u.size;
	return 0;
}

static bool is_empty(struct space *s, uint64_t iova, uint64_t size)
{
	uint64_t done;

	return !try_unmap(s, iova, size, &done, 0) && !done;
}

static struct space *space_new(void)
{
	struct space *s = calloc(1, sizeof(*s));

	s->fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (s->fd < 0)
		fail("/dev/vfio/vfio: %s (is vfio_iommu_type1 loaded?)", strerror(errno));
	if (ioctl(s->fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		fail("VFIO API version is not %d", VFIO_API_VERSION);
	if (ioctl(s->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		fail("VFIO offers no type1 v2 IOMMU (is vfio_iommu_type1 loaded?)");
	return s;
}

/* errno or 0; leaves the group open but without a container on failure */
static int group_join(struct edu *e, struct space *s)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	char path[64];
	uint64_t end = now_ms() + 3000;

	snprintf(path, sizeof(path), "/dev/vfio/%d", e->group);
	/* A killed owner's release may still be on its way. */
	while ((e->group_fd = open(path, O_RDWR | O_CLOEXEC)) < 0 && errno == EBUSY &&
	       now_ms() < end)
		usleep(10000);
	if (e->group_fd < 0)
		fail("%s: %s", path, strerror(errno));
	if (ioctl(e->group_fd, VFIO_GROUP_GET_STATUS, &st))
		fail("%s: group status: %s", path, strerror(errno));
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		fail("%s: group of %s is not viable: another device in it has a host driver",
		     path, e->bdf);
	if (ioctl(e->group_fd, VFIO_GROUP_SET_CONTAINER, &s->fd))
		return errno;
	if (!s->typed) {
		if (ioctl(s->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
			fail("%s: VFIO_SET_IOMMU type1 v2: %s%s", e->bdf, strerror(errno),
			     errno == EPERM ? " (vfio_iommu_type1.allow_unsafe_interrupts=1 missing?)" : "");
		s->typed = true;
	}
	return 0;
}

static void edu_open(struct edu *e, struct space *s)
{
	int err = group_join(e, s);

	if (err)
		fail("%s: group %d cannot join the container: %s", e->bdf, e->group,
		     strerror(err));
	e->fd = ioctl(e->group_fd, VFIO_GROUP_GET_DEVICE_FD, e->bdf);
	if (e->fd < 0)
		fail("%s: no device from group %d: %s", e->bdf, e->group, strerror(errno));
	edu_ready(e, s);
}

static void edu_close(struct edu *e)
{
	munmap((void *)e->bar, e->bar_size);
	close(e->fd);
	if (ioctl(e->group_fd, VFIO_GROUP_UNSET_CONTAINER))
		fail("%s: leaving the container: %s", e->bdf, strerror(errno));
	close(e->group_fd);
	e->space = NULL;
}

static int iova_ranges(struct space *s, struct vfio_iova_range *out, int max)
{
	static char buf[4096] __attribute__((aligned(8)));
	struct vfio_iommu_type1_info *info = (void *)buf;
	uint32_t off;

	info->argsz = sizeof(buf);
	if (ioctl(s->fd, VFIO_IOMMU_GET_INFO, info))
		fail("VFIO_IOMMU_GET_INFO: %s", strerror(errno));
	if (!(info->flags & VFIO_IOMMU_INFO_CAPS))
		return 0;
	for (off = info->cap_offset; off; ) {
		struct vfio_info_cap_header *h = (void *)(buf + off);

		if (h->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
			struct vfio_iommu_type1_info_cap_iova_range *r = (void *)h;
			int n = r->nr_iovas < (uint32_t)max ? (int)r->nr_iovas : max;

			memcpy(out, r->iova_ranges, n * sizeof(*out));
			return n;
		}
		off = h->next;
	}
	return 0;
}

#endif
