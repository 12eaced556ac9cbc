/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the benchmark share. It uses the public IOMMU API and the
 * DMA API only, so the same module measures whichever driver is there.
 *
 * A case is a list of steps, run in order, again and again. Each step is
 * timed apart. Under QEMU's -icount shift=0 a clock tick is an instruction,
 * so the smallest figure of several rounds is the one no interrupt was in.
 * One more round counts what is not time: it is marked for QEMU's trace, and
 * cache lines written back and table pages are counted around each step.
 */
#ifndef OMNI_BENCH_H
#define OMNI_BENCH_H

#define pr_fmt(fmt) "omni_bench: " fmt

#include <linux/iommu.h>
#include <linux/ktime.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#ifdef CONFIG_X86
#include <asm/msr.h>
#endif

#define BENCH_STEPS	10
#define BENCH_BATCH	4096	/* DMA API: mappings that are alive at once */

/**
 * struct bench - what the steps of one run work on
 * @pdev: the device
 * @domain: the domain attached to it, or NULL
 * @iova: of the case that runs
 * @pa: physical address of the case
 * @size: bytes of the case
 * @arg: of the case
 * @checking: this is the counted round: look whether the driver did it
 * @sgt: list for the scatter-gather case
 * @buffer: memory for the DMA API
 * @handles: its mappings, BENCH_BATCH of them
 * @sum: keeps results alive
 */
struct bench {
	struct pci_dev *pdev;
	struct iommu_domain *domain;
	unsigned long iova;
	phys_addr_t pa;
	size_t size;
	unsigned long arg;
	bool checking;
	struct sg_table sgt;
	void *buffer;
	dma_addr_t *handles;
	u64 sum;
};

/**
 * struct bench_step - one call, or several of a kind, to be timed
 * @name: the figure's name; NULL for a step that is not reported
 * @fn: does it; 0 or -errno, which ends the run as a failure
 * @calls: by how much to divide, 0 for 1
 */
struct bench_step {
	const char *name;
	int (*fn)(struct bench *b);
	unsigned int calls;
};

/**
 * struct bench_case - steps, and what they work on
 * @name: the case's name, no blanks
 * @rounds: how often to run it
 * @mean: report the mean of the rounds, where the cost comes in lumps that
 *	the smallest figure would leave out
 * @iova: see struct bench; added to the parameter @base
 * @pa: likewise, added to the parameter @phys
 * @size: likewise
 * @arg: likewise
 * @steps: the steps, ended by one without @fn
 */
struct bench_case {
	const char *name;
	unsigned int rounds;
	bool mean;
	unsigned long iova;
	phys_addr_t pa;
	size_t size;
	unsigned long arg;
	const struct bench_step *steps;
};

/* Instructions so far where QEMU counts them, else nanoseconds. */
static __always_inline u64 bench_now(void)
{
#ifdef CONFIG_X86
	return rdtsc();
#else
	return ktime_get_ns();
#endif
}

/* Parameters of the module, see main.c. */
extern unsigned long bench_base;
extern bool bench_floor;
extern unsigned long bench_phys;
extern unsigned int bench_marks;
extern unsigned int bench_threads;

#define BENCH_PROT	(IOMMU_READ | IOMMU_WRITE | IOMMU_CACHE)

/**
 * bench_run() - run a case and report it
 * @b: the state
 * @c: the case
 *
 * Return: 0 or the first error of a step, reported.
 * Context: may sleep.
 */
int bench_run(struct bench *b, const struct bench_case *c);

/**
 * bench_fail() - report that a measurement is void
 * @what: the case
 * @step: its step
 * @err: -errno
 *
 * Return: @err.
 * Context: any.
 */
int bench_fail(const char *what, const char *step, int err);

/**
 * bench_mark() - begin or end a span of QEMU's trace
 * @b: the state; nothing happens without @pdev
 * @mark: the span's number, of ++bench_marks
 * @begin: it begins
 *
 * By a write that QEMU traces in order with the commands it executes.
 *
 * Context: any.
 */
void bench_mark(struct bench *b, unsigned int mark, bool begin);

/**
 * bench_wanted() - has the user asked for this case, or for no case alone?
 * @name: the case's name
 *
 * Return: whether.
 * Context: any.
 */
bool bench_wanted(const char *name);

/**
 * bench_device() - the next device to map for
 * @from: the one before, whose reference is dropped, or NULL
 *
 * Return: the device, with a reference, or NULL after the last.
 * Context: may sleep.
 */
struct pci_dev *bench_device(struct pci_dev *from);

/**
 * bench_open() - make a domain for a device and attach it, as VFIO does
 * @b: @pdev set; receives @domain
 *
 * Coherency is enforced where the driver can.
 *
 * Return: 0 or -errno.
 * Context: may sleep.
 */
int bench_open(struct bench *b);

/**
 * bench_close() - undo bench_open()
 * @b: the state
 *
 * Context: may sleep.
 */
void bench_close(struct bench *b);

/**
 * bench_expect() - does an address translate as it should?
 * @b: the state
 * @iova: the address
 * @pa: where it should lead, 0 for nowhere
 *
 * True of the driver that does nothing.
 *
 * Return: 0 or -EILSEQ.
 * Context: any.
 */
int bench_expect(struct bench *b, unsigned long iova, phys_addr_t pa);

/**
 * bench_tables() - pages in use for tables of IOMMUs
 *
 * Return: their number, exact while nobody else changes it.
 * Context: any.
 */
long bench_tables(void);

/* Steps that several sets of cases have: 0 or -errno, may sleep. */
int bench_step_create(struct bench *b);
int bench_step_attach(struct bench *b);
int bench_step_enforce(struct bench *b);
int bench_step_map(struct bench *b);
int bench_step_unmap(struct bench *b);
int bench_step_detach(struct bench *b);
int bench_step_destroy(struct bench *b);

/* Sets of cases: 0 or -errno, may sleep. */
int bench_cases(struct bench *b);
int bench_dma(struct bench *b, const char *mode);
int bench_state(struct bench *b);
int bench_scale(struct bench *b);

#endif
