// SPDX-License-Identifier: GPL-2.0-only
/*
 * The floor: an IOMMU driver whose hooks do nothing.
 *
 * What a call costs with this driver is what the kernel's IOMMU layers cost
 * whoever drives the hardware. It claims PCI devices that nobody else
 * translates; their DMA goes on untranslated, so it is for measuring only, in
 * guests where nothing is at stake.
 */
#define pr_fmt(fmt) "omni_noop: " fmt

#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sizes.h>
#include <linux/slab.h>

static unsigned long page_sizes = SZ_4K | SZ_2M | SZ_1G;
module_param(page_sizes, ulong, 0444);
MODULE_PARM_DESC(page_sizes, "page sizes to offer, as a mask (default: 4K, 2M, 1G)");

static struct iommu_device noop_unit;
static const struct iommu_domain_ops noop_domain_ops;

static int noop_attach(struct iommu_domain *domain, struct device *dev)
{
	return 0;
}

static int noop_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t paddr, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	*mapped = pgsize * pgcount;
	return 0;
}

static size_t noop_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	return pgsize * pgcount;
}

static void noop_flush_iotlb_all(struct iommu_domain *domain)
{
}

static int noop_iotlb_sync_map(struct iommu_domain *domain, unsigned long iova,
			       size_t size)
{
	return 0;
}

static void noop_iotlb_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
}

/* Not 0: the DMA API complains of what is not mapped. */
static phys_addr_t noop_iova_to_phys(struct iommu_domain *domain, dma_addr_t iova)
{
	return iova;
}

static bool noop_enforce_cache_coherency(struct iommu_domain *domain)
{
	return true;
}

static void noop_free(struct iommu_domain *domain)
{
	kfree(domain);
}

static const struct iommu_domain_ops noop_domain_ops = {
	.attach_dev = noop_attach,
	.map_pages = noop_map_pages,
	.unmap_pages = noop_unmap_pages,
	.flush_iotlb_all = noop_flush_iotlb_all,
	.iotlb_sync_map = noop_iotlb_sync_map,
	.iotlb_sync = noop_iotlb_sync,
	.iova_to_phys = noop_iova_to_phys,
	.enforce_cache_coherency = noop_enforce_cache_coherency,
	.free = noop_free,
};

static const struct iommu_domain_ops noop_static_ops = {
	.attach_dev = noop_attach,
};

static struct iommu_domain noop_identity = {
	.type = IOMMU_DOMAIN_IDENTITY,
	.ops = &noop_static_ops,
};

static struct iommu_domain noop_blocked = {
	.type = IOMMU_DOMAIN_BLOCKED,
	.ops = &noop_static_ops,
};

static struct iommu_domain *noop_domain_alloc_paging(struct device *dev)
{
	struct iommu_domain *domain = kzalloc(sizeof(*domain), GFP_KERNEL_ACCOUNT);

	if (!domain)
		return ERR_PTR(-ENOMEM);
	domain->ops = &noop_domain_ops;
	domain->pgsize_bitmap = page_sizes;
	domain->geometry.aperture_end = DMA_BIT_MASK(57);
	domain->geometry.force_aperture = true;
	return domain;
}

static bool noop_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY || cap == IOMMU_CAP_DEFERRED_FLUSH ||
	       cap == IOMMU_CAP_ENFORCE_CACHE_COHERENCY;
}

static struct iommu_device *noop_probe(struct device *dev)
{
	return dev_is_pci(dev) ? &noop_unit : ERR_PTR(-ENODEV);
}

/* Who does DMA already goes on with the addresses it has. */
static int noop_def_domain_type(struct device *dev)
{
	return READ_ONCE(dev->driver) ? IOMMU_DOMAIN_IDENTITY : 0;
}

static const struct iommu_ops noop_ops = {
	.capable = noop_capable,
	.domain_alloc_paging = noop_domain_alloc_paging,
	.probe_device = noop_probe,
	.device_group = pci_device_group,
	.def_domain_type = noop_def_domain_type,
	.identity_domain = &noop_identity,
	.blocked_domain = &noop_blocked,
	.pgsize_bitmap = SZ_4K,
	.owner = THIS_MODULE,
};

static int __init noop_init(void)
{
	struct pci_dev *pdev = NULL;
	int ret;

	for_each_pci_dev(pdev) {
		if (!device_iommu_mapped(&pdev->dev))
			continue;
		pr_err("%s has an IOMMU driver already\n", pci_name(pdev));
		pci_dev_put(pdev);
		return -EBUSY;
	}
	ret = iommu_device_sysfs_add(&noop_unit, NULL, NULL, "noop");
	if (ret)
		return ret;
	ret = iommu_device_register(&noop_unit, &noop_ops, NULL);
	if (ret)
		iommu_device_sysfs_remove(&noop_unit);
	return ret;
}
module_init(noop_init);

MODULE_DESCRIPTION("IOMMU driver that does nothing: the floor of a measurement");
MODULE_AUTHOR("The omniommu authors");
MODULE_LICENSE("GPL");
