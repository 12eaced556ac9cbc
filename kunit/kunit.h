/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites share: the memory as hardware sees it, looks at every step
 * of a driver, and helpers. Models of hardware are in model.h and kit.h.
 */
#ifndef OMNI_KUNIT_H
#define OMNI_KUNIT_H

#include "../core.h"

#include <kunit/test.h>
#include <linux/prandom.h>

/* Memory (memory.c) */

/* How a line reads that was never written back. */
#define OMNI_MEMORY_GARBAGE	0x5a5a5a5a5a5a5a5aULL

/**
 * omni_memory_read() - what a unit reads at an address
 * @pa: physical address, aligned to 8
 * @coherent: the read snoops the CPU's caches
 *
 * Not snooping, the read returns the line as of its last omni_clean_lines().
 * A line that was never written back is counted and reads as garbage.
 *
 * Return: the 64 bits, in the CPU's byte order.
 * Context: any.
 */
u64 omni_memory_read(phys_addr_t pa, bool coherent);

/**
 * omni_memory_read128() - the same for 128 bits read at once
 * @pa: physical address, aligned to 16
 * @coherent: the read snoops the CPU's caches
 *
 * Return: the 128 bits.
 * Context: any.
 */
u128 omni_memory_read128(phys_addr_t pa, bool coherent);

/**
 * omni_memory_unwritten() - reads so far of lines that were never written back
 *
 * Return: their number, which only grows.
 * Context: any.
 */
unsigned long omni_memory_unwritten(void);

/**
 * omni_memory_cleaned() - lines written back so far
 *
 * Return: their number, which only grows.
 * Context: any.
 */
unsigned long omni_memory_cleaned(void);

/**
 * omni_memory_aside() - lines that omni_memory_cleaned() does not count
 * @which: 0 to 15
 * @pa: first byte, of a queue for one
 * @size: bytes, 0 for none any more
 *
 * Context: any.
 */
void omni_memory_aside(unsigned int which, phys_addr_t pa, size_t size);

/**
 * omni_memory_drop() - forget the lines of a page that is freed
 * @pa: an address in the page
 *
 * Context: any.
 */
void omni_memory_drop(phys_addr_t pa);

/**
 * omni_memory_forget() - forget every line: nothing was ever written back
 *
 * For the beginning of a case that uses no model; models do it themselves
 * when the first one is made.
 *
 * Context: any.
 */
void omni_memory_forget(void);

/* Samples (memory.c): a look at something at every step a driver takes */

/**
 * omni_sample_with() - what is called at each write-back and register access
 * @fn: the function, any context; NULL to end
 * @arg: handed to @fn
 *
 * Context: any; nothing that samples may be running when @fn is set.
 */
void omni_sample_with(void (*fn)(void *arg), void *arg);

/**
 * omni_sample() - a driver took a step
 *
 * Context: any.
 */
void omni_sample(void);

/* Helpers (memory.c) */

/**
 * omni_seed() - the seed of a random program, printed so that it can be replayed
 * @test: the test
 * @rnd: receives the generator's state
 *
 * The module's parameter ``seed`` replaces the random choice, ``seeds`` makes
 * all choices of a run the same as in another one.
 *
 * Context: may sleep.
 */
void omni_seed(struct kunit *test, struct rnd_state *rnd);

/**
 * omni_part() - do one of how many rounds
 *
 * Return: the module's parameter ``part``; without it 64 where the kernel
 * checks every access (KASAN, KCSAN), else 1.
 * Context: any.
 */
unsigned int omni_part(void);

/**
 * omni_turn() - the number of the case whose parameters are being told
 * @next: its first one is asked for
 *
 * Where omni_part() is more than 1, it chooses which parameters a case has.
 *
 * Return: a number that grows by one from case to case.
 * Context: any; cases come one after the other.
 */
unsigned int omni_turn(bool next);

/**
 * omni_scaled() - how many rounds to do
 * @test: the test, whose log says so when it is fewer
 * @full: rounds of a whole run
 *
 * Return: @full divided by omni_part().
 * Context: may sleep.
 */
unsigned int omni_scaled(struct kunit *test, unsigned int full);

/**
 * omni_quartered() - how many rounds of a long program everybody waits for
 * @test: the test, whose log says so when it is fewer
 * @full: all there are
 *
 * Return: as omni_scaled(), but a quarter of @full where that is all of it and
 * the module's parameter ``part`` does not ask for it.
 * Context: may sleep.
 */
unsigned int omni_quartered(struct kunit *test, unsigned int full);

/* A number from 0 to @ceil - 1. */
static inline u32 omni_below(struct rnd_state *rnd, u32 ceil)
{
	return ((u64)prandom_u32_state(rnd) * ceil) >> 32;
}

/**
 * omni_thread_elsewhere() - a thread that will run on another processor than this one
 * @test: the test, which is skipped where there is one processor
 * @fn: what it does; kthread_stop() may come after its end only if it waits for that
 * @arg: handed to @fn
 *
 * The caller stays on his processor from here on, until he calls
 * migrate_enable().
 *
 * Return: the thread, for wake_up_process(); the test ends when there is none.
 * Context: may sleep.
 */
struct task_struct *omni_thread_elsewhere(struct kunit *test, int (*fn)(void *arg), void *arg);

/**
 * omni_counted() - sum of a ledger counter over all CPUs
 * @what: the counter
 *
 * Return: the sum.
 * Context: may sleep.
 */
u64 omni_counted(enum omni_count what);

/**
 * omni_test_map() - map and end the operation as the kernel does
 * @domain: the domain
 * @iova: first byte
 * @pa: first physical byte
 * @pgsize: one page size of the domain
 * @count: pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 *
 * Return: 0 or the error, nothing being undone.
 * Context: may sleep.
 */
int omni_test_map(struct omni_domain *domain, u64 iova, u64 pa, size_t pgsize,
		  size_t count, int prot);

/**
 * omni_test_unmap() - unmap and end the operation as the kernel does
 * @domain: the domain
 * @iova: first byte
 * @size: bytes
 *
 * Return: bytes unmapped.
 * Context: may sleep.
 */
size_t omni_test_unmap(struct omni_domain *domain, u64 iova, size_t size);

/**
 * omni_test_device() - a device for the core, with a PCI device made of memory
 * @test: the test, at whose end it is freed
 * @unit: its unit
 * @rid: its requester ID; the model's vendor has reserved entries for it
 * @ats_depth: as in struct omni_device; 0 for no device TLB
 * @ats: told when the driver switches the device TLB, or NULL
 * @arg: handed to @ats
 *
 * omni_attach_paging() and the blocked and identity domains' attach_dev work
 * with the device's @dev. Give a blocked or identity device back: the state
 * at the end of the test is not changed for it.
 *
 * Return: the device; the test ends when there is no memory.
 * Context: may sleep.
 */
struct omni_device *omni_test_device(struct kunit *test, struct omni_unit *unit,
				     u16 rid, u8 ats_depth,
				     void (*ats)(void *arg, u16 rid, bool on), void *arg);

/**
 * omni_test_pcie() - make it a PCIe function
 * @od: a device of omni_test_device(), until then a conventional one
 * @no_snoop: software can enable no-snoop requests (PCIe 7.5.3.4)
 *
 * Context: any.
 */
void omni_test_pcie(struct omni_device *od, bool no_snoop);

/**
 * omni_test_devctl() - its Device Control register
 * @od: a device of omni_test_device()
 *
 * Return: what was written to it, as far as it can be.
 * Context: any.
 */
u16 omni_test_devctl(struct omni_device *od);

/**
 * omni_test_attach() - attach through the core, as the kernel would
 * @od: a device of omni_test_device()
 * @domain: a paging domain, &omni_identity, or NULL for the blocked state
 *
 * Return: 0 or -errno.
 * Context: may sleep.
 */
int omni_test_attach(struct omni_device *od, struct omni_domain *domain);

#endif
