/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Spaces of iommufd: IOASes, and devices that are bound by their VFIO cdev.
 * A device is attached to an IOAS, for which iommufd makes or finds a HWPT
 * (the kernel's domain), or to a HWPT made before.
 *
 * What type1 calls by another name is given type1's name, so that one case
 * serves both: EOVERFLOW of an address is EINVAL.
 */
#ifndef OMNI_GUEST_IOMMUFD_SPACE_H
#define OMNI_GUEST_IOMMUFD_SPACE_H

#include "iommufd-abi.h"

static uint32_t ioas_flags(uint32_t flags)
{
	return (flags & VFIO_DMA_MAP_FLAG_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (flags & VFIO_DMA_MAP_FLAG_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

static int type1_name(int err)
{
	return err == EOVERFLOW ? EINVAL : err;
}

static int try_map(struct space *s, void *va, uint64_t iova, uint64_t size, uint32_t flags)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | ioas_flags(flags),
		.ioas_id = s->ioas, .user_va = (uintptr_t)va, .length = size, .iova = iova,
	};

	return ioctl(s->fd, IOMMU_IOAS_MAP, &m) ? type1_name(errno) : 0;
}

/* At an address that the kernel chooses. */
static uint64_t map_anywhere(struct space *s, void *va, uint64_t size, uint32_t flags)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .flags = ioas_flags(flags), .ioas_id = s->ioas,
		.user_va = (uintptr_t)va, .length = size,
	};

	if (ioctl(s->fd, IOMMU_IOAS_MAP, &m))
		fail("map of 0x%lx bytes anywhere: %s", size, strerror(errno));
	return m.iova;
}

static int try_copy(struct space *dst, uint64_t to, struct space *src, uint64_t from,
		    uint64_t size, uint32_t flags)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c), .flags = IOMMU_IOAS_MAP_FIXED_IOVA | ioas_flags(flags),
		.dst_ioas_id = dst->ioas, .src_ioas_id = src->ioas, .length = size,
		.dst_iova = to, .src_iova = from,
	};

	return ioctl(dst->fd, IOMMU_IOAS_COPY, &c) ? errno : 0;
}

static int try_unmap(struct space *s, uint64_t iova, uint64_t size, uint64_t *done,
		     uint32_t flags)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = s->ioas, .iova = iova, .length = size,
	};

	*done = 0;
	if (flags & VFIO_DMA_UNMAP_FLAG_ALL)
		u.length = UINT64_MAX;
	if (ioctl(s->fd, IOMMU_IOAS_UNMAP, &u))
		return type1_name(errno);
	*done = u.length;
	return 0;
}

/* Nothing is mapped there: iommufd says so by an error. */
static bool is_empty(struct space *s, uint64_t iova, uint64_t size)
{
	uint64_t done;

	return try_unmap(s, iova, size, &done, 0) == ENOENT;
}

/* Another IOAS of the same iommufd. */
static struct space *space_in(int fd)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };
	struct space *s = calloc(1, sizeof(*s));

	if (ioctl(fd, IOMMU_IOAS_ALLOC, &a))
		fail("IOMMU_IOAS_ALLOC: %s", strerror(errno));
	s->fd = fd;
	s->ioas = a.out_ioas_id;
	return s;
}

static struct space *space_new(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail("/dev/iommu: %s (has the kernel iommufd?)", strerror(errno));
	return space_in(fd);
}

static int try_destroy(int fd, uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };

	return ioctl(fd, IOMMU_DESTROY, &d) ? errno : 0;
}

static int try_hwpt(struct edu *e, struct space *s, uint32_t flags, uint32_t *id)
{
	struct iommu_hwpt_alloc h = {
		.size = sizeof(h), .flags = flags, .dev_id = e->id, .pt_id = s->ioas,
	};

	if (ioctl(s->fd, IOMMU_HWPT_ALLOC, &h))
		return errno;
	*id = h.out_hwpt_id;
	return 0;
}

static uint32_t hwpt_new(struct edu *e, struct space *s)
{
	uint32_t id = 0;
	int err = try_hwpt(e, s, 0, &id);

	if (err)
		fail("%s: IOMMU_HWPT_ALLOC: %s", e->bdf, strerror(err));
	return id;
}

/* To an IOAS or a HWPT; replaces what the device is attached to. */
static int try_attach(struct edu *e, uint32_t pt)
{
	struct vfio_device_attach_iommufd_pt a = { .argsz = sizeof(a), .pt_id = pt };

	return ioctl(e->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &a) ? errno : 0;
}

static void attach(struct edu *e, uint32_t pt)
{
	int err = try_attach(e, pt);

	if (err)
		fail("%s: attach to object %u: %s", e->bdf, pt, strerror(err));
}

static void detach(struct edu *e)
{
	struct vfio_device_detach_iommufd_pt d = { .argsz = sizeof(d) };

	if (ioctl(e->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &d))
		fail("%s: detach: %s", e->bdf, strerror(errno));
}

/* Open the device and give it to the iommufd; it can do no DMA yet. */
static void edu_bind(struct edu *e, int iommufd)
{
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b), .iommufd = iommufd };
	uint64_t end = now_ms() + 3000;
	char path[300] = "";
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", e->bdf);
	dir = opendir(path);
	path[0] = 0;
	while (dir && (d = readdir(dir)))
		if (d->d_name[0] != '.')
			snprintf(path, sizeof(path), "/dev/vfio/devices/%s", d->d_name);
	if (dir)
		closedir(dir);
	if (!path[0])
		fail("%s: no VFIO cdev (has the kernel CONFIG_VFIO_DEVICE_CDEV?)", e->bdf);
	e->fd = open(path, O_RDWR | O_CLOEXEC);
	if (e->fd < 0)
		fail("%s: %s: %s", e->bdf, path, strerror(errno));
	/* A killed owner's release may still be on its way. */
	while (ioctl(e->fd, VFIO_DEVICE_BIND_IOMMUFD, &b)) {
		if ((errno != EINVAL && errno != EBUSY) || now_ms() > end)
			fail("%s: VFIO_DEVICE_BIND_IOMMUFD: %s%s", e->bdf, strerror(errno),
			     errno == EPERM ? " (iommufd.allow_unsafe_interrupts=1 missing?)" : "");
		usleep(10000);
	}
	e->id = b.out_devid;
}

static void edu_open(struct edu *e, struct space *s)
{
	edu_bind(e, s->fd);
	attach(e, s->ioas);
	edu_ready(e, s);
}

static void edu_close(struct edu *e)
{
	munmap((void *)e->bar, e->bar_size);
	close(e->fd);
	e->space = NULL;
}

static int iova_ranges(struct space *s, struct vfio_iova_range *out, int max)
{
	struct iommu_iova_range found[64];
	struct iommu_ioas_iova_ranges r = {
		.size = sizeof(r), .ioas_id = s->ioas, .num_iovas = ARRAY_SIZE(found),
		.allowed_iovas = (uintptr_t)found,
	};
	int n;

	if (ioctl(s->fd, IOMMU_IOAS_IOVA_RANGES, &r))
		fail("IOMMU_IOAS_IOVA_RANGES: %s", strerror(errno));
	n = (int)r.num_iovas < max ? (int)r.num_iovas : max;
	for (int i = 0; i < n; i++) {
		out[i].start = found[i].start;
		out[i].end = found[i].last;
	}
	return n;
}

#endif
