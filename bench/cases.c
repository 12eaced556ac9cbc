// SPDX-License-Identifier: GPL-2.0-only
/*
 * The cases whose instructions are counted: pages, lists, fragments, the life
 * of a domain, the DMA API.
 *
 * "as-4K" maps a physical address that is not aligned to more than 4K, so
 * that no driver can use a larger leaf.
 */
#include "bench.h"

#include <linux/dma-mapping.h>
#include <linux/slab.h>

/* One range */

int bench_step_map(struct bench *b)
{
	return iommu_map(b->domain, b->iova, b->pa, b->size, BENCH_PROT, GFP_KERNEL);
}

static int step_iova_to_phys(struct bench *b)
{
	b->sum += iommu_iova_to_phys(b->domain, b->iova + 0x10);
	return 0;
}

int bench_step_unmap(struct bench *b)
{
	return iommu_unmap(b->domain, b->iova, b->size) == b->size ? 0 : -EIO;
}

/* The first byte, one in the middle, the last one. */
static int step_mapped(struct bench *b)
{
	const size_t at[] = { 0, b->size / 2 + 1, b->size - 1 };
	int i, ret = 0;

	for (i = 0; b->checking && i < ARRAY_SIZE(at) && !ret; i++)
		ret = bench_expect(b, b->iova + at[i], b->pa + at[i]);
	return ret;
}

static int step_unmapped(struct bench *b)
{
	const size_t at[] = { 0, b->size / 2 + 1, b->size - 1 };
	int i, ret = 0;

	for (i = 0; b->checking && i < ARRAY_SIZE(at) && !ret; i++)
		ret = bench_expect(b, b->iova + at[i], 0);
	return ret;
}

static const struct bench_step range_steps[] = {
	{ "map", bench_step_map },
	{ NULL, step_mapped },
	{ "iova_to_phys", step_iova_to_phys },
	{ "unmap", bench_step_unmap },
	{ NULL, step_unmapped },
	{ }
};

/* Scatter-gather: 256 elements of mixed sizes, none beside the next one */

#define BENCH_ELEMENTS	256

static int bench_list(struct bench *b)
{
	static const unsigned int sizes[] = {
		SZ_4K, SZ_8K, SZ_4K, SZ_64K, SZ_16K, SZ_4K, SZ_128K, SZ_32K,
	};
	phys_addr_t pa = bench_phys;
	struct scatterlist *sg;
	unsigned int i;
	int ret;

	ret = sg_alloc_table(&b->sgt, BENCH_ELEMENTS, GFP_KERNEL);
	if (ret)
		return ret;
	for_each_sgtable_sg(&b->sgt, sg, i) {
		/* The page is never looked at, only its number. */
		sg_set_page(sg, pfn_to_page(PHYS_PFN(pa)), sizes[i % ARRAY_SIZE(sizes)], 0);
		pa += 2 * sg->length;
	}
	return 0;
}

static int step_map_list(struct bench *b)
{
	ssize_t ret = iommu_map_sgtable(b->domain, b->iova, &b->sgt, BENCH_PROT);

	return ret == b->size ? 0 : ret < 0 ? ret : -EIO;
}

static int step_mapped_list(struct bench *b)
{
	unsigned long iova = b->iova;
	struct scatterlist *sg;
	int ret = 0, i;

	for_each_sgtable_sg(&b->sgt, sg, i) {
		if (b->checking && !ret)
			ret = bench_expect(b, iova, sg_phys(sg));
		iova += sg->length;
	}
	return ret;
}

static const struct bench_step list_steps[] = {
	{ "map", step_map_list },
	{ NULL, step_mapped_list },
	{ "unmap", bench_step_unmap },
	{ NULL, step_unmapped },
	{ }
};

/* Fragments: every second page goes, as one operation */

static int step_unmap_fragments(struct bench *b)
{
	struct iommu_iotlb_gather gather;
	unsigned long at;

	iommu_iotlb_gather_init(&gather);
	for (at = 0; at < b->size; at += 2 * SZ_4K)
		if (iommu_unmap_fast(b->domain, b->iova + at, SZ_4K, &gather) != SZ_4K)
			return -EIO;
	iommu_iotlb_sync(b->domain, &gather);
	return 0;
}

static int step_unmap_rest(struct bench *b)
{
	unsigned long at;

	for (at = SZ_4K; at < b->size; at += 2 * SZ_4K)
		if (iommu_unmap(b->domain, b->iova + at, SZ_4K) != SZ_4K)
			return -EIO;
	return 0;
}

static const struct bench_step fragment_steps[] = {
	{ NULL, bench_step_map },
	{ NULL, step_mapped },
	{ "unmap", step_unmap_fragments },
	{ NULL, step_unmap_rest },
	{ NULL, step_unmapped },
	{ }
};

/* The life of a domain */

int bench_step_create(struct bench *b)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(&b->pdev->dev);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	b->domain = domain;
	return 0;
}

int bench_step_attach(struct bench *b)
{
	return iommu_attach_device(b->domain, &b->pdev->dev);
}

int bench_step_enforce(struct bench *b)
{
	if (b->domain->ops->enforce_cache_coherency)
		b->domain->ops->enforce_cache_coherency(b->domain);
	return 0;
}

int bench_step_detach(struct bench *b)
{
	iommu_detach_device(b->domain, &b->pdev->dev);
	return 0;
}

int bench_step_destroy(struct bench *b)
{
	iommu_domain_free(b->domain);
	b->domain = NULL;
	return 0;
}

static const struct bench_step life_steps[] = {
	{ "create", bench_step_create },
	{ "attach", bench_step_attach },
	{ NULL, bench_step_enforce },
	{ "first-map", bench_step_map },
	{ "last-unmap", bench_step_unmap },
	{ "detach", bench_step_detach },
	{ "destroy", bench_step_destroy },
	{ }
};

static const struct bench_case life_case = {
	"domain", 12, .iova = 0x40001000, .pa = 0x1000, .size = SZ_4K, .steps = life_steps,
};

#define RANGE(_name, _rounds, _size, _iova, _pa)				\
	{ .name = _name, .rounds = _rounds, .size = _size, .iova = _iova,	\
	  .pa = _pa, .steps = range_steps }

static const struct bench_case map_cases[] = {
	RANGE("4K",		32, SZ_4K,	0x40001000, 0x1000),
	RANGE("64K-as-4K",	32, SZ_64K,	0x40010000, 0x11000),
	RANGE("64K",		32, SZ_64K,	0x40020000, 0x20000),
	RANGE("2M-as-4K",	16, SZ_2M,	0xc0000000, 0x1000),
	RANGE("2M",		32, SZ_2M,	0x80000000, 0),
	RANGE("256M-as-4K",	6,  SZ_256M,	0x200000000, 0x1000),
	RANGE("1G-of-2M",	8,  SZ_1G,	0x300000000, SZ_2M),
	RANGE("1G",		16, SZ_1G,	0x100000000, 0),
	/* Leaves of all sizes: 4K, 2M, 1G, 2M, 4K. */
	RANGE("mixed-leaves",	16, SZ_1G + 2 * SZ_2M + 2 * SZ_4K,
	      0x400000000 - SZ_2M - SZ_4K, SZ_1G - SZ_2M - SZ_4K),
	{ "list-256", 16, .size = 32 * (SZ_4K * 3 + SZ_8K + SZ_64K + SZ_16K + SZ_128K + SZ_32K),
	  .iova = 0x500000000, .steps = list_steps },
	{ "fragments-256", 16, .size = SZ_2M, .iova = 0x580000000, .pa = 0x1000,
	  .steps = fragment_steps },
};

int bench_cases(struct bench *b)
{
	unsigned int i;
	int ret;

	ret = bench_run(b, &life_case);
	if (ret)
		return ret;
	ret = bench_open(b);
	if (ret)
		return ret;
	ret = bench_list(b);
	for (i = 0; i < ARRAY_SIZE(map_cases) && !ret; i++)
		ret = bench_run(b, &map_cases[i]);
	sg_free_table(&b->sgt);
	bench_close(b);
	return ret;
}

/* DMA API */

static int step_dma_map(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_BATCH; i++) {
		b->handles[i] = dma_map_single(&b->pdev->dev, b->buffer, b->size,
					       DMA_BIDIRECTIONAL);
		if (dma_mapping_error(&b->pdev->dev, b->handles[i]))
			return -ENOMEM;
	}
	return 0;
}

static int step_dma_mapped(struct bench *b)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&b->pdev->dev);

	if (!b->checking || bench_floor)
		return 0;
	if (iommu_iova_to_phys(domain, b->handles[0]) == virt_to_phys(b->buffer))
		return 0;
	return -EILSEQ;
}

static int step_dma_unmap(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_BATCH; i++)
		dma_unmap_single(&b->pdev->dev, b->handles[i], b->size, DMA_BIDIRECTIONAL);
	return 0;
}

static const struct bench_step dma_steps[] = {
	{ "map", step_dma_map, BENCH_BATCH },
	{ NULL, step_dma_mapped },
	{ "unmap", step_dma_unmap, BENCH_BATCH },
	{ }
};

int bench_dma(struct bench *b, const char *mode)
{
	static const struct {
		const char *name;
		size_t size;
	} sizes[] = { { "64", 64 }, { "4K", SZ_4K }, { "64K", SZ_64K } };
	struct iommu_domain *domain = iommu_get_domain_for_dev(&b->pdev->dev);
	const unsigned int type = strcmp(mode, "lazy") ? IOMMU_DOMAIN_DMA : IOMMU_DOMAIN_DMA_FQ;
	unsigned int i;
	int ret = 0;

	if (!domain || domain->type != type)
		return bench_fail("dma", "finding the domain type asked for", -EINVAL);
	b->buffer = kmalloc(SZ_64K, GFP_KERNEL);
	b->handles = kvcalloc(BENCH_BATCH, sizeof(*b->handles), GFP_KERNEL);
	if (!b->buffer || !b->handles)
		ret = bench_fail("dma", "allocating", -ENOMEM);
	for (i = 0; i < ARRAY_SIZE(sizes) && !ret; i++) {
		char name[32];
		const struct bench_case c = {
			.name = name, .rounds = 8, .mean = true, .size = sizes[i].size,
			.steps = dma_steps,
		};

		snprintf(name, sizeof(name), "dma-%s-%s", mode, sizes[i].name);
		ret = bench_run(b, &c);
	}
	kvfree(b->handles);
	kfree(b->buffer);
	return ret;
}
