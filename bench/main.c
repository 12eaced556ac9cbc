// SPDX-License-Identifier: GPL-2.0-only
/*
 * The benchmark's frame: the clock, the rounds, the counted round, reports.
 *
 * Reports are lines of the kernel log, which the runner reads:
 *
 *	@@ROW case step cost lines pages mark
 *
 * cost is in hundredths of an instruction a call, lines are the cache lines
 * written back and pages the table pages gained in the counted round, both
 * for all calls of the step; mark names the span of QEMU's trace that holds
 * the round's commands.
 */
#include "bench.h"

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/vmstat.h>

static char *run = "cases";
module_param(run, charp, 0444);
MODULE_PARM_DESC(run, "cases, dma-strict, dma-lazy, state, scale, or idle to count lines only");

bool bench_floor;
module_param_named(floor, bench_floor, bool, 0444);
MODULE_PARM_DESC(floor, "the driver does nothing: do not look whether it did");

unsigned long bench_base;
module_param_named(base, bench_base, ulong, 0444);
MODULE_PARM_DESC(base, "added to every IOVA");

/* Far above any memory of the guest: tables of what is never accessed. */
unsigned long bench_phys = 0x200000000UL;
module_param_named(phys, bench_phys, ulong, 0444);
MODULE_PARM_DESC(phys, "physical address that mappings begin at");

/* QEMU's edu device by default: no driver wants it. */
static char *device = "1234:11e8";
module_param(device, charp, 0444);
MODULE_PARM_DESC(device, "vendor:device of the PCI device to map for, one without a driver");

static char *bench_only = "";
module_param_named(only, bench_only, charp, 0444);
MODULE_PARM_DESC(only, "run just this case of a set, or this mode of scale (default: all)");

unsigned int bench_threads;
module_param_named(threads, bench_threads, uint, 0444);
MODULE_PARM_DESC(threads, "scale: measure with this number of threads alone (default: 1, 2, 4, 8)");

static bool count_lines = true;
module_param(count_lines, bool, 0444);
MODULE_PARM_DESC(count_lines, "count cache lines written back; N: leave the code as it is in the counted round, too");

static unsigned long bench_lines;
module_param_named(lines, bench_lines, ulong, 0444);
MODULE_PARM_DESC(lines, "cache lines written back since the module came");

/* Not the result of insmod, which some tools take for a reason to try again. */
static bool ok;
module_param(ok, bool, 0444);
MODULE_PARM_DESC(ok, "the run has succeeded");

unsigned int bench_marks;
module_param_named(marks, bench_marks, uint, 0444);
MODULE_PARM_DESC(marks, "marks in use already: each is to be used once in a guest's life");

/* Cache lines */

#ifdef CONFIG_X86
static int bench_count_lines(struct kprobe *probe, struct pt_regs *regs)
{
	unsigned long first = regs->di, last = regs->di + regs->si - 1;

	if (regs->si)
		bench_lines += (last >> L1_CACHE_SHIFT) - (first >> L1_CACHE_SHIFT) + 1;
	return 0;
}

static struct kprobe bench_probe = {
	.symbol_name = "clflush_cache_range",
	.pre_handler = bench_count_lines,
};

static int bench_lines_on(void)
{
	return count_lines ? register_kprobe(&bench_probe) : 0;
}

static void bench_lines_off(void)
{
	if (!count_lines)
		return;
	unregister_kprobe(&bench_probe);
	/* A probe that was registered can't be registered again as it is. */
	bench_probe.addr = NULL;
	bench_probe.flags = 0;
}
#else
static int bench_lines_on(void)
{
	return 0;
}

static void bench_lines_off(void)
{
}
#endif

/* Table pages */

long bench_tables(void)
{
	long sum = 0;
	int nid, cpu;

	for_each_online_node(nid) {
		pg_data_t *node = NODE_DATA(nid);

		sum += atomic_long_read(&node->vm_stat[NR_IOMMU_PAGES]);
		for_each_online_cpu(cpu)
			sum += per_cpu_ptr(node->per_cpu_nodestats,
					   cpu)->vm_node_stat_diff[NR_IOMMU_PAGES];
	}
	return sum;
}

/* Rounds */

/* To a register that no device lets anybody change. */
void bench_mark(struct bench *b, unsigned int mark, bool begin)
{
	if (b->pdev)
		pci_write_config_dword(b->pdev, PCI_SUBSYSTEM_VENDOR_ID, mark << 1 | begin);
}

int bench_fail(const char *what, const char *step, int err)
{
	pr_err("@@FAIL %s: %s failed (%d)\n", what, step, err);
	return err;
}

static int bench_nothing(struct bench *b)
{
	return 0;
}

static noinline u64 bench_time(struct bench *b, int (*fn)(struct bench *b), int *err)
{
	u64 t = bench_now();

	*err = fn(b);
	return bench_now() - t;
}

/* What timing itself costs. */
static u64 bench_own(struct bench *b)
{
	u64 least = U64_MAX;
	int i, err;

	for (i = 0; i < 32; i++)
		least = min(least, bench_time(b, bench_nothing, &err));
	return least;
}

static int bench_counted(struct bench *b, const struct bench_case *c, const u64 *cost)
{
	unsigned long lines;
	unsigned int mark, i;
	long pages;
	int err;

	err = bench_lines_on();
	if (err)
		return bench_fail(c->name, "counting lines", err);
	b->checking = true;
	for (i = 0; c->steps[i].fn && !err; i++) {
		const struct bench_step *s = &c->steps[i];

		mark = ++bench_marks;
		lines = bench_lines;
		pages = bench_tables();
		if (s->name)
			bench_mark(b, mark, true);
		err = s->fn(b);
		if (s->name)
			bench_mark(b, mark, false);
		if (s->name && !err)
			pr_info("@@ROW %s %s %llu %lu %ld %u\n", c->name, s->name, cost[i],
				bench_lines - lines, bench_tables() - pages, mark);
	}
	b->checking = false;
	bench_lines_off();
	return err ? bench_fail(c->name, c->steps[i - 1].name ?: "a step", err) : 0;
}

int bench_run(struct bench *b, const struct bench_case *c)
{
	u64 cost[BENCH_STEPS], t, own = bench_own(b);
	unsigned int round, i;
	int err;

	if (!bench_wanted(c->name))
		return 0;
	b->iova = bench_base + c->iova;
	b->pa = bench_phys + c->pa;
	b->size = c->size;
	b->arg = c->arg;
	for (i = 0; i < BENCH_STEPS; i++)
		cost[i] = c->mean ? 0 : U64_MAX;

	/* The first round warms up what is allocated once. */
	for (round = 0; round <= c->rounds; round++) {
		for (i = 0; c->steps[i].fn; i++) {
			t = bench_time(b, c->steps[i].fn, &err) - own;
			if (err)
				return bench_fail(c->name, c->steps[i].name ?: "a step", err);
			if (round)
				cost[i] = c->mean ? cost[i] + t : min(cost[i], t);
		}
		cond_resched();
	}
	for (i = 0; c->steps[i].fn; i++)
		cost[i] = div_u64(cost[i] * 100, (c->steps[i].calls ?: 1) *
				  (c->mean ? c->rounds : 1));
	return bench_counted(b, c, cost);
}

bool bench_wanted(const char *name)
{
	return !*bench_only || !strcmp(bench_only, name);
}

/* Devices */

struct pci_dev *bench_device(struct pci_dev *from)
{
	unsigned int vendor, id;

	if (sscanf(device, "%x:%x", &vendor, &id) == 2)
		return pci_get_device(vendor, id, from);
	pci_dev_put(from);
	return NULL;
}

/* Domains */

int bench_expect(struct bench *b, unsigned long iova, phys_addr_t pa)
{
	phys_addr_t found;

	if (bench_floor)
		return 0;
	found = iommu_iova_to_phys(b->domain, iova);
	if (found == pa)
		return 0;
	pr_err("%#lx translates to %pa, not to %pa\n", iova, &found, &pa);
	return -EILSEQ;
}

int bench_open(struct bench *b)
{
	struct iommu_domain *domain = iommu_paging_domain_alloc(&b->pdev->dev);
	int ret;

	if (IS_ERR(domain))
		return bench_fail("open", "allocating a domain", PTR_ERR(domain));
	ret = iommu_attach_device(domain, &b->pdev->dev);
	if (ret) {
		iommu_domain_free(domain);
		return bench_fail("open", "attaching", ret);
	}
	if (domain->ops->enforce_cache_coherency &&
	    !domain->ops->enforce_cache_coherency(domain))
		pr_info("@@NOTE the domain is not coherent\n");
	b->domain = domain;
	return 0;
}

void bench_close(struct bench *b)
{
	if (!b->domain)
		return;
	iommu_detach_device(b->domain, &b->pdev->dev);
	iommu_domain_free(b->domain);
	b->domain = NULL;
}

/*
 * Start. A run that failed is not undone: its figures are void and its guest
 * has nothing else to do.
 */

static int __init bench_init(void)
{
	struct bench b = { .pdev = bench_device(NULL) };
	int ret = -ENODEV;

	if (!b.pdev)
		return bench_fail("start", "finding the device", -ENODEV);
	if (!strcmp(run, "idle")) {
		pci_dev_put(b.pdev);
		return bench_lines_on();
	}
	if (!device_iommu_mapped(&b.pdev->dev))
		bench_fail("start", "finding an IOMMU driver", ret);
	else if (!strcmp(run, "cases"))
		ret = bench_cases(&b);
	else if (!strcmp(run, "dma-strict"))
		ret = bench_dma(&b, "strict");
	else if (!strcmp(run, "dma-lazy"))
		ret = bench_dma(&b, "lazy");
	else if (!strcmp(run, "state"))
		ret = bench_state(&b);
	else if (!strcmp(run, "scale"))
		ret = bench_scale(&b);
	else
		ret = bench_fail("start", "understanding the run parameter", -EINVAL);
	pci_dev_put(b.pdev);
	ok = !ret;
	return 0;
}
module_init(bench_init);

static void __exit bench_exit(void)
{
	if (!strcmp(run, "idle"))
		bench_lines_off();
}
module_exit(bench_exit);

MODULE_DESCRIPTION("Benchmark of IOMMU drivers through the kernel's public interfaces");
MODULE_AUTHOR("The omniommu authors");
MODULE_LICENSE("GPL");
