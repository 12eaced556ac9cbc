// SPDX-License-Identifier: GPL-2.0-only
/*
 * A user of include/omni_pages.h, small enough to read and to copy from: a
 * character device through which a program has its memory pinned and mapped
 * into domains of one PCI device, whose driver this is as far as DMA goes.
 * For tests: whoever may open the device owns the machine.
 *
 *	insmod omniommu_pages_test.ko device=0000:00:04.0
 *
 * A write is one command; numbers are decimal or 0x hexadecimal, sizes and
 * indices in pages:
 *
 *	pin ADDRESS PAGES			pin memory of the caller
 *	attach DOMAIN				domain 0 to 3, made at its first use
 *	detach
 *	map DOMAIN IOVA FIRST PAGES
 *	unmap DOMAIN IOVA PAGES
 *	unpin					unmapped everywhere
 */
#define pr_fmt(fmt) "omniommu_pages_test: " fmt

#include <linux/iommu.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "../include/omni_pages.h"

#define PT_DOMAINS	4
#define PT_MAX_PAGES	BIT(20)

static char *device = "";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "PCI address of the device, which no driver may use");

static DEFINE_MUTEX(pt_lock);	/* protects all below */
static struct pci_dev *pt_pdev;
static struct iommu_domain *pt_domains[PT_DOMAINS];
static struct iommu_domain *pt_attached;
static struct page **pt_pages;
static unsigned long pt_nr;
static struct omni_pages *pt_obj;

static int pt_pin(unsigned long address, unsigned long nr)
{
	struct omni_pages *obj;
	long got;

	if (pt_obj)
		return -EBUSY;
	if (!nr || nr > PT_MAX_PAGES)
		return -EINVAL;
	pt_pages = kvcalloc(nr, sizeof(*pt_pages), GFP_KERNEL);
	if (!pt_pages)
		return -ENOMEM;
	got = pin_user_pages_fast(address, nr, FOLL_WRITE | FOLL_LONGTERM, pt_pages);
	if (got == nr) {
		obj = omni_pages_create(pt_pages, nr);
		if (!IS_ERR(obj)) {
			pt_obj = obj;
			pt_nr = nr;
			return 0;
		}
		unpin_user_pages(pt_pages, nr);
		got = PTR_ERR(obj);
	} else if (got > 0) {
		unpin_user_pages(pt_pages, got);
		got = -EFAULT;
	}
	kvfree(pt_pages);
	return got ?: -EFAULT;
}

static int pt_unpin(void)
{
	if (!pt_obj)
		return -ENOENT;
	/* In this order: what devices wrote has to be there when others look. */
	omni_pages_release(pt_obj);
	unpin_user_pages_dirty_lock(pt_pages, pt_nr, true);
	kvfree(pt_pages);
	pt_obj = NULL;
	return 0;
}

static struct iommu_domain *pt_domain(unsigned int index)
{
	struct iommu_domain *domain;

	if (index >= PT_DOMAINS)
		return ERR_PTR(-EINVAL);
	if (!pt_domains[index]) {
		domain = iommu_paging_domain_alloc(&pt_pdev->dev);
		if (IS_ERR(domain))
			return domain;
		/* As VFIO does: then nothing has to be cleaned. */
		if (device_iommu_capable(&pt_pdev->dev, IOMMU_CAP_ENFORCE_CACHE_COHERENCY))
			domain->ops->enforce_cache_coherency(domain);
		pt_domains[index] = domain;
	}
	return pt_domains[index];
}

static void pt_detach(void)
{
	if (pt_attached)
		iommu_detach_device(pt_attached, &pt_pdev->dev);
	pt_attached = NULL;
}

static int pt_attach(unsigned int index)
{
	struct iommu_domain *domain = pt_domain(index);
	int ret;

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	pt_detach();
	ret = iommu_attach_device(domain, &pt_pdev->dev);
	if (!ret)
		pt_attached = domain;
	return ret;
}

static int pt_map(unsigned int index, unsigned long iova, unsigned long first,
		  unsigned long nr)
{
	struct iommu_domain *domain = pt_domain(index);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (!pt_obj)
		return -ENOENT;
	return omni_pages_map(pt_obj, domain, iova, first, nr, IOMMU_READ | IOMMU_WRITE,
			      GFP_KERNEL);
}

static int pt_unmap(unsigned int index, unsigned long iova, unsigned long nr)
{
	struct iommu_domain *domain = pt_domain(index);

	if (IS_ERR(domain))
		return PTR_ERR(domain);
	if (!pt_obj)
		return -ENOENT;
	return omni_pages_unmap(pt_obj, domain, iova, nr) == nr ? 0 : -ENOENT;
}

static int pt_command(char *line)
{
	unsigned long a, b, c, d;

	if (sscanf(line, "pin %li %li", &a, &b) == 2)
		return pt_pin(a, b);
	if (!strcmp(line, "unpin"))
		return pt_unpin();
	if (sscanf(line, "attach %li", &a) == 1)
		return pt_attach(a);
	if (!strcmp(line, "detach")) {
		pt_detach();
		return 0;
	}
	if (sscanf(line, "map %li %li %li %li", &a, &b, &c, &d) == 4)
		return pt_map(a, b, c, d);
	if (sscanf(line, "unmap %li %li %li", &a, &b, &c) == 3)
		return pt_unmap(a, b, c);
	return -EINVAL;
}

static ssize_t pt_write(struct file *file, const char __user *buf, size_t size, loff_t *pos)
{
	char *line;
	int ret;

	if (size > 200)
		return -EINVAL;
	line = memdup_user_nul(buf, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	mutex_lock(&pt_lock);
	ret = pt_command(strim(line));
	mutex_unlock(&pt_lock);
	kfree(line);
	return ret ?: size;
}

/* Whoever opened it may have died: leave nothing mapped, then nothing pinned. */
static int pt_release(struct inode *inode, struct file *file)
{
	unsigned int i;

	mutex_lock(&pt_lock);
	pt_detach();
	for (i = 0; i < PT_DOMAINS; i++) {
		if (pt_domains[i])
			iommu_domain_free(pt_domains[i]);
		pt_domains[i] = NULL;
	}
	pt_unpin();
	mutex_unlock(&pt_lock);
	return 0;
}

static const struct file_operations pt_fops = {
	.owner = THIS_MODULE,
	.write = pt_write,
	.release = pt_release,
};

static struct miscdevice pt_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "omniommu-pages-test",
	.mode = 0600,
	.fops = &pt_fops,
};

static int __init pt_init(void)
{
	unsigned int segment, bus, slot, fn;
	int ret;

	if (sscanf(device, "%x:%x:%x.%x", &segment, &bus, &slot, &fn) != 4)
		return -EINVAL;
	pt_pdev = pci_get_domain_bus_and_slot(segment, bus, PCI_DEVFN(slot, fn));
	if (!pt_pdev)
		return -ENODEV;
	ret = iommu_device_claim_dma_owner(&pt_pdev->dev, &pt_misc);
	if (ret)
		goto err_put;
	ret = pci_enable_device(pt_pdev);
	if (ret)
		goto err_owner;
	pci_set_master(pt_pdev);
	ret = misc_register(&pt_misc);
	if (ret)
		goto err_disable;
	return 0;

err_disable:
	pci_disable_device(pt_pdev);
err_owner:
	iommu_device_release_dma_owner(&pt_pdev->dev);
err_put:
	pci_dev_put(pt_pdev);
	return ret;
}
module_init(pt_init);

static void __exit pt_exit(void)
{
	misc_deregister(&pt_misc);
	pci_disable_device(pt_pdev);
	iommu_device_release_dma_owner(&pt_pdev->dev);
	pci_dev_put(pt_pdev);
}
module_exit(pt_exit);

MODULE_DESCRIPTION("A user of omniommu's pages API, for tests");
MODULE_AUTHOR("The omniommu authors");
MODULE_LICENSE("GPL");
