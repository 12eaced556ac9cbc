// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cost against state: what a page costs beside many other domains, spread
 * over a large address space, and with many devices in the domain.
 */
#include "bench.h"

#include <linux/slab.h>

#define BENCH_PAGES	512	/* mappings of a spread */

static int step_open(struct bench *b)
{
	return bench_open(b);
}

static int step_close(struct bench *b)
{
	bench_close(b);
	return 0;
}

/* Live domains */

static const struct bench_step domains_steps[] = {
	{ "create", bench_step_create },
	{ "attach", bench_step_attach },
	{ NULL, bench_step_enforce },
	{ NULL, bench_step_map },
	{ NULL, bench_step_unmap },
	{ "map", bench_step_map },
	{ "unmap", bench_step_unmap },
	{ "detach", bench_step_detach },
	{ "destroy", bench_step_destroy },
	{ }
};

/* Grow the crowd of other domains, each with one page mapped. */
static int bench_crowd(struct bench *b, struct iommu_domain **crowd, unsigned int from,
		       unsigned int to)
{
	unsigned int i;
	int ret = 0;

	for (i = from; i < to && !ret; i++) {
		struct iommu_domain *domain = iommu_paging_domain_alloc(&b->pdev->dev);

		if (IS_ERR(domain))
			return PTR_ERR(domain);
		crowd[i] = domain;
		ret = iommu_map(domain, bench_base + SZ_1G, bench_phys, SZ_4K, BENCH_PROT,
				GFP_KERNEL);
		cond_resched();
	}
	return ret;
}

static int bench_domains(struct bench *b)
{
	static const unsigned int numbers[] = { 1, 16, 256, 4096 };
	unsigned int i, nr = numbers[ARRAY_SIZE(numbers) - 1];
	struct iommu_domain **crowd = kvcalloc(nr, sizeof(*crowd), GFP_KERNEL);
	int ret = 0;

	if (!crowd)
		return bench_fail("domains", "allocating", -ENOMEM);
	for (i = 0; i < ARRAY_SIZE(numbers) && !ret; i++) {
		char name[32];
		const struct bench_case c = {
			.name = name, .rounds = 8, .iova = SZ_2G, .size = SZ_4K,
			.steps = domains_steps,
		};

		/* The one that is measured is the last of them. */
		ret = bench_crowd(b, crowd, i ? numbers[i - 1] - 1 : 0, numbers[i] - 1);
		if (ret) {
			bench_fail("domains", "making the crowd", ret);
			break;
		}
		snprintf(name, sizeof(name), "domains-%u", numbers[i]);
		ret = bench_run(b, &c);
	}
	for (i = 0; i < nr; i++)
		if (crowd[i])
			iommu_domain_free(crowd[i]);
	kvfree(crowd);
	return ret;
}

/* Spread: the case's arg is the distance between two pages */

static int step_map_spread(struct bench *b)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < BENCH_PAGES && !ret; i++)
		ret = iommu_map(b->domain, b->iova + i * b->arg, b->pa, SZ_4K, BENCH_PROT,
				GFP_KERNEL);
	return ret;
}

static int step_mapped_spread(struct bench *b)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; b->checking && i < BENCH_PAGES && !ret; i++)
		ret = bench_expect(b, b->iova + i * b->arg + 1, b->pa + 1);
	return ret;
}

static int step_read_spread(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_PAGES; i++)
		b->sum += iommu_iova_to_phys(b->domain, b->iova + i * b->arg);
	return 0;
}

static int step_unmap_spread(struct bench *b)
{
	unsigned int i;

	for (i = 0; i < BENCH_PAGES; i++)
		if (iommu_unmap(b->domain, b->iova + i * b->arg, SZ_4K) != SZ_4K)
			return -EIO;
	return 0;
}

static const struct bench_step spread_steps[] = {
	{ NULL, step_open },
	{ "first-map", step_map_spread, BENCH_PAGES },
	{ NULL, step_mapped_spread },
	{ "iova_to_phys", step_read_spread, BENCH_PAGES },
	{ "unmap", step_unmap_spread, BENCH_PAGES },
	{ NULL, step_close },
	{ }
};

static int bench_spreads(struct bench *b)
{
	static const struct {
		const char *name;
		u64 size;
	} spreads[] = {
		{ "spread-1G", SZ_1G }, { "spread-64G", 64ULL * SZ_1G },
		{ "spread-1T", SZ_1T }, { "spread-64T", 64 * SZ_1T },
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(spreads) && !ret; i++) {
		const struct bench_case c = {
			.name = spreads[i].name, .rounds = 4, .iova = SZ_4K,
			.arg = spreads[i].size / BENCH_PAGES, .steps = spread_steps,
		};

		ret = bench_run(b, &c);
	}
	return ret;
}

/* Devices in one domain: attached by group, as devices of a slot share one */

static const struct bench_step page_steps[] = {
	{ "map", bench_step_map },
	{ "unmap", bench_step_unmap },
	{ }
};

static unsigned int bench_group_size(struct iommu_group *group)
{
	struct pci_dev *pdev = NULL;
	unsigned int nr = 0;

	for_each_pci_dev(pdev) {
		struct iommu_group *other = iommu_group_get(&pdev->dev);

		nr += other == group;
		iommu_group_put(other);
	}
	return nr;
}

static int bench_devices(struct bench *b)
{
	struct iommu_group *groups[64] = { };
	unsigned int nr_groups = 1, devices = 1, report = 1, i;
	struct pci_dev *pdev = NULL;
	int ret;

	ret = bench_open(b);
	if (ret)
		return ret;
	groups[0] = iommu_group_get(&b->pdev->dev);
	while (!ret) {
		char name[32];
		const struct bench_case c = {
			.name = name, .rounds = 16, .iova = SZ_2G, .size = SZ_4K,
			.steps = page_steps,
		};
		struct iommu_group *group;

		if (devices >= report) {
			/* Of a group they all come at once, so that it may be one more. */
			snprintf(name, sizeof(name), "devices-%u", report);
			ret = bench_run(b, &c);
			report *= 8;
			if (ret || report > 64)
				break;
		}
		pdev = bench_device(pdev);
		if (!pdev) {
			ret = bench_fail("devices", "finding 64 devices", -ENODEV);
			break;
		}
		group = iommu_group_get(&pdev->dev);
		if (!group || group == groups[0] || group == groups[nr_groups - 1]) {
			iommu_group_put(group);
			continue;
		}
		ret = iommu_attach_group(b->domain, group);
		if (ret) {
			iommu_group_put(group);
			bench_fail("devices", "attaching a group", ret);
			break;
		}
		groups[nr_groups++] = group;
		devices += bench_group_size(group);
	}
	pci_dev_put(pdev);
	for (i = 1; i < nr_groups; i++) {
		iommu_detach_group(b->domain, groups[i]);
		iommu_group_put(groups[i]);
	}
	iommu_group_put(groups[0]);
	bench_close(b);
	return ret;
}

int bench_state(struct bench *b)
{
	int ret = bench_domains(b);

	ret = ret ?: bench_spreads(b);
	return ret ?: bench_devices(b);
}
