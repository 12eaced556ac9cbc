// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory as hardware sees it when it does not snoop the CPU's caches: each
 * 64-byte line reads as it was when it was last written back. And the small
 * things that every suite needs: looks at every step, devices made of memory,
 * maps and unmaps that end as the kernel's do.
 */
#include "kunit.h"

#include <linux/hash.h>
#include <linux/jhash.h>
#include <linux/kthread.h>
#include <linux/pci.h>
#include <linux/pci-ats.h>
#include <linux/random.h>
#include <linux/slab.h>

/*
 * Lines are kept by page, in a fixed pool, so that nothing here allocates and
 * no injected failure meets the tests' own memory. A page keeps its slot as
 * long as lines of it were written back; freed tables give theirs back.
 */
#define MEMORY_LG2	12
#define MEMORY_PAGES	BIT(MEMORY_LG2)

struct memory_page {
	struct hlist_node node;
	unsigned long pfn;
	u64 written;		/* a bit a line */
	u8 *content;
};

static DEFINE_RAW_SPINLOCK(memory_lock);	/* protects all of the memory */
static struct hlist_head memory_hash[MEMORY_PAGES];
static struct memory_page memory_pages[MEMORY_PAGES];
static u8 memory_content[MEMORY_PAGES][PAGE_SIZE];
static unsigned int memory_used;
static HLIST_HEAD(memory_spare);
static unsigned long memory_nr_unwritten, memory_nr_cleaned;

/* Commands that are written back are no table's lines. */
static struct {
	phys_addr_t pa;
	size_t size;
} memory_aside[16];

static ulong seed;
module_param(seed, ulong, 0644);
MODULE_PARM_DESC(seed, "replay a random program with this seed (0: a new one each time)");

static uint seeds;
module_param(seeds, uint, 0644);
MODULE_PARM_DESC(seeds, "derive the seeds of all random programs from this number (0, the default: new ones each time)");

static uint part;
module_param(part, uint, 0644);
MODULE_PARM_DESC(part, "do one of so many rounds (0, the default: 64 where every access is checked, else 1, or 4 of long programs)");

static struct memory_page *memory_find(unsigned long pfn)
{
	struct memory_page *page;

	hlist_for_each_entry(page, &memory_hash[hash_long(pfn, MEMORY_LG2)], node)
		if (page->pfn == pfn)
			return page;
	return NULL;
}

static struct memory_page *memory_add(unsigned long pfn)
{
	struct memory_page *page = NULL;

	if (!hlist_empty(&memory_spare)) {
		page = hlist_entry(memory_spare.first, struct memory_page, node);
		hlist_del(&page->node);
	} else if (memory_used < MEMORY_PAGES) {
		page = &memory_pages[memory_used];
		page->content = memory_content[memory_used++];
	}
	if (!page)
		return NULL;
	page->pfn = pfn;
	page->written = 0;
	hlist_add_head(&page->node, &memory_hash[hash_long(pfn, MEMORY_LG2)]);
	return page;
}

static void memory_drop(struct memory_page *page)
{
	hlist_del(&page->node);
	hlist_add_head(&page->node, &memory_spare);
}

static bool memory_is_aside(phys_addr_t pa)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(memory_aside); i++)
		if (pa - memory_aside[i].pa < memory_aside[i].size)
			return true;
	return false;
}

void omni_memory_aside(unsigned int which, phys_addr_t pa, size_t size)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&memory_lock, flags);
	memory_aside[which].pa = pa;
	memory_aside[which].size = size;
	raw_spin_unlock_irqrestore(&memory_lock, flags);
}

void omni_clean_lines(void *addr, size_t len)
{
	unsigned long first = (unsigned long)addr & ~63UL;
	unsigned long end = (unsigned long)addr + len;
	unsigned long flags, line;

	/* The lines hold what was stored before. */
	mb();
	raw_spin_lock_irqsave(&memory_lock, flags);
	for (line = first; line < end; line += 64) {
		unsigned long pfn = virt_to_phys((void *)line) >> PAGE_SHIFT;
		struct memory_page *page = memory_find(pfn) ?: memory_add(pfn);
		unsigned int i, at = line & ~PAGE_MASK;

		memory_nr_cleaned += !memory_is_aside(virt_to_phys((void *)line));
		if (WARN_ONCE(!page, "more table pages than the memory has\n"))
			break;
		for (i = 0; i < 64; i += 8)
			*(u64 *)&page->content[at + i] = READ_ONCE(*(u64 *)(line + i));
		page->written |= BIT_ULL(at / 64);
	}
	raw_spin_unlock_irqrestore(&memory_lock, flags);
	omni_sample();
}

/* Lock held. */
static u64 memory_word(phys_addr_t pa)
{
	struct memory_page *page = memory_find(pa >> PAGE_SHIFT);
	unsigned int at = pa & ~PAGE_MASK;

	if (!page || !(page->written & BIT_ULL(at / 64))) {
		memory_nr_unwritten++;
		return OMNI_MEMORY_GARBAGE;
	}
	return *(u64 *)&page->content[at];
}

u64 omni_memory_read(phys_addr_t pa, bool coherent)
{
	unsigned long flags;
	u64 value;

	if (coherent)
		return READ_ONCE(*(u64 *)phys_to_virt(pa));
	raw_spin_lock_irqsave(&memory_lock, flags);
	value = memory_word(pa);
	raw_spin_unlock_irqrestore(&memory_lock, flags);
	return value;
}

u128 omni_memory_read128(phys_addr_t pa, bool coherent)
{
	unsigned long flags;
	u128 value = 0;

	if (coherent) {
		/* The one instruction that reads 128 bits at once, which is no write for KCSAN. */
		raw_try_cmpxchg128((u128 *)phys_to_virt(pa), &value, value);
		return value;
	}
	raw_spin_lock_irqsave(&memory_lock, flags);
	value = (u128)memory_word(pa + 8) << 64 | memory_word(pa);
	raw_spin_unlock_irqrestore(&memory_lock, flags);
	return value;
}

unsigned long omni_memory_unwritten(void)
{
	return READ_ONCE(memory_nr_unwritten);
}

unsigned long omni_memory_cleaned(void)
{
	return READ_ONCE(memory_nr_cleaned);
}

void omni_memory_forget(void)
{
	struct memory_page *page;
	struct hlist_node *next;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&memory_lock, flags);
	for (i = 0; i < MEMORY_PAGES; i++)
		hlist_for_each_entry_safe(page, next, &memory_hash[i], node)
			memory_drop(page);
	raw_spin_unlock_irqrestore(&memory_lock, flags);
}

void omni_memory_drop(phys_addr_t pa)
{
	struct memory_page *page;
	unsigned long flags;

	raw_spin_lock_irqsave(&memory_lock, flags);
	page = memory_find(pa >> PAGE_SHIFT);
	if (page)
		memory_drop(page);
	raw_spin_unlock_irqrestore(&memory_lock, flags);
}

/* Samples */

static void (*omni_sampler)(void *arg);
static void *omni_sampler_arg;

void omni_sample(void)
{
	void (*fn)(void *arg) = READ_ONCE(omni_sampler);

	if (fn)
		fn(omni_sampler_arg);
}

void omni_sample_with(void (*fn)(void *arg), void *arg)
{
	if (fn)
		omni_sampler_arg = arg;
	WRITE_ONCE(omni_sampler, fn);
}

/* Helpers */

void omni_seed(struct kunit *test, struct rnd_state *rnd)
{
	static unsigned int nth;
	u32 all = READ_ONCE(seeds);
	u64 value = READ_ONCE(seed) ?: all ? jhash_1word(nth++, all) : get_random_u32();

	kunit_info(test, "seed %llu", value);
	prandom_seed_state(rnd, value);
}

unsigned int omni_part(void)
{
	bool slow = IS_ENABLED(CONFIG_KASAN) || IS_ENABLED(CONFIG_KCSAN);

	return READ_ONCE(part) ?: slow ? 64 : 1;
}

unsigned int omni_turn(bool next)
{
	static unsigned int turn;

	turn += next;
	return turn;
}

static unsigned int omni_rounds(struct kunit *test, unsigned int full, unsigned int nth)
{
	if (nth > 1)
		kunit_info(test, "%u rounds of %u", full / nth, full);
	return full / nth;
}

unsigned int omni_scaled(struct kunit *test, unsigned int full)
{
	return omni_rounds(test, full, omni_part());
}

unsigned int omni_quartered(struct kunit *test, unsigned int full)
{
	return omni_rounds(test, full, READ_ONCE(part) ?: max(omni_part(), 4));
}

struct task_struct *omni_thread_elsewhere(struct kunit *test, int (*fn)(void *arg), void *arg)
{
	struct task_struct *task;

	if (num_online_cpus() < 2)
		kunit_skip(test, "it takes two processors");
	task = kthread_create(fn, arg, "omni-elsewhere");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	migrate_disable();
	kthread_bind(task, cpumask_any_but(cpu_online_mask, smp_processor_id()));
	return task;
}

u64 omni_counted(enum omni_count what)
{
	return omni_ledger_read(what);
}

int omni_test_map(struct omni_domain *domain, u64 iova, u64 pa, size_t pgsize,
		  size_t count, int prot)
{
	const struct iommu_domain_ops *ops = domain->iommu.ops;
	size_t mapped = 0;
	int ret;

	ret = ops->map_pages(&domain->iommu, iova, pa, pgsize, count, prot, GFP_KERNEL,
			     &mapped);
	if (ret)
		return ret;
	return ops->iotlb_sync_map(&domain->iommu, iova, pgsize * count);
}

size_t omni_test_unmap(struct omni_domain *domain, u64 iova, size_t size)
{
	const struct iommu_domain_ops *ops = domain->iommu.ops;
	struct iommu_iotlb_gather gather;
	size_t done;

	iommu_iotlb_gather_init(&gather);
	done = ops->unmap_pages(&domain->iommu, iova, SZ_4K, size / SZ_4K, &gather);
	ops->iotlb_sync(&domain->iommu, &gather);
	return done;
}

/*
 * A PCI device of memory. Of its configuration space there is the control
 * register of ATS and, for a PCIe function, the one that enables no-snoop.
 */

#define FAKE_PCIE_CAP	0x40
#define FAKE_ATS_CAP	0x100

struct fake_device {
	union {
		struct omni_device od;
		u8 wing[1024];	/* what a wing has behind it */
	};
	struct pci_dev pdev;
	struct pci_bus bus;
	struct dev_iommu iommu;
	char name[16];
	u32 rids[16];
	u16 devctl;
	u16 devctl_bits;	/* of it, those that can be written */
	void (*ats)(void *arg, u16 rid, bool on);
	void *arg;
};

static int fake_read(struct pci_bus *bus, unsigned int devfn, int where, int size,
		     u32 *value)
{
	struct fake_device *fake = container_of(bus, struct fake_device, bus);

	*value = where == FAKE_PCIE_CAP + PCI_EXP_DEVCTL ? fake->devctl : 0;
	return PCIBIOS_SUCCESSFUL;
}

static int fake_write(struct pci_bus *bus, unsigned int devfn, int where, int size,
		      u32 value)
{
	struct fake_device *fake = container_of(bus, struct fake_device, bus);

	if (where == FAKE_ATS_CAP + PCI_ATS_CTRL && fake->ats)
		fake->ats(fake->arg, fake->od.rid, value & PCI_ATS_CTRL_ENABLE);
	if (where == FAKE_PCIE_CAP + PCI_EXP_DEVCTL)
		fake->devctl = value & fake->devctl_bits;
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops fake_ops = {
	.read = fake_read,
	.write = fake_write,
};

static void fake_release(void *arg)
{
	struct fake_device *fake = arg;

	mutex_lock(&omni_core.lock);
	list_del(&fake->od.node);
	mutex_unlock(&omni_core.lock);
	/* Snapshots may still name the device. */
	synchronize_rcu();
	kfree(fake);
}

struct omni_device *omni_test_device(struct kunit *test, struct omni_unit *unit,
				     u16 rid, u8 ats_depth,
				     void (*ats)(void *arg, u16 rid, bool on), void *arg)
{
	struct fake_device *fake = kzalloc(sizeof(*fake), GFP_KERNEL);
	struct omni_device *od;

	KUNIT_ASSERT_NOT_NULL(test, fake);
	od = &fake->od;
	snprintf(fake->name, sizeof(fake->name), "fake-%02x:%02x.%x", PCI_BUS_NUM(rid),
		 PCI_SLOT(rid), PCI_FUNC(rid));
	fake->ats = ats;
	fake->arg = arg;
	fake->bus.ops = &fake_ops;
	fake->bus.number = PCI_BUS_NUM(rid);
	fake->pdev.bus = &fake->bus;
	fake->pdev.devfn = rid & 0xff;
	fake->pdev.ats_cap = ats_depth ? FAKE_ATS_CAP : 0;
	fake->pdev.dev.init_name = fake->name;
	fake->pdev.dev.iommu = &fake->iommu;
	omni_set_coherent(&fake->pdev.dev, true);
	fake->iommu.priv = od;
	fake->rids[0] = rid;
	spin_lock_init(&od->lock);
	od->dev = &fake->pdev.dev;
	od->unit = unit;
	od->ats_depth = ats_depth;
	od->rid = rid;
	od->nr_rids = 1;
	od->rids = fake->rids;
	mutex_lock(&omni_core.lock);
	list_add_tail(&od->node, &omni_core.devices);
	mutex_unlock(&omni_core.lock);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, fake_release, fake), 0);
	return od;
}

void omni_test_pcie(struct omni_device *od, bool no_snoop)
{
	struct fake_device *fake = container_of(od, struct fake_device, od);

	fake->devctl_bits = 0xffff & ~(no_snoop ? 0 : PCI_EXP_DEVCTL_NOSNOOP_EN);
	fake->pdev.pcie_flags_reg = PCI_EXP_FLAGS_VERS & 2;
	fake->pdev.pcie_cap = FAKE_PCIE_CAP;
	fake->pdev.dev.bus = &pci_bus_type;
}

u16 omni_test_devctl(struct omni_device *od)
{
	return container_of(od, struct fake_device, od)->devctl;
}

int omni_test_attach(struct omni_device *od, struct omni_domain *domain)
{
	struct iommu_domain *iommu = domain ? &domain->iommu : &omni_blocked;

	return iommu->ops->attach_dev(iommu, od->dev);
}
