// SPDX-License-Identifier: GPL-2.0-only
/*
 * Throughput against processors: threads that map and unmap pages at the same
 * time, in ranges of one domain or each in a domain of its own.
 *
 *	@@SCALE mode threads pairs-a-second pairs mark
 *
 * pairs are those of all tries; mark names the span of QEMU's trace that they
 * are in.
 */
#include "bench.h"

#include <linux/kthread.h>
#include <linux/slab.h>

#define BENCH_THREADS	8
#define BENCH_TRIES	5
#define BENCH_NS	(200 * NSEC_PER_MSEC)	/* of a try */

struct bench_thread {
	struct task_struct *task;
	struct iommu_domain *domain;
	unsigned long iova;
	atomic_t *gate;
	struct completion done;
	u64 pairs;
	u64 all;		/* pairs, the warming up's included */
	ktime_t begin;
	ktime_t end;
	int err;
};

/* Map and unmap for a time; what is under way at its end is finished. */
static int bench_loop(struct bench_thread *t, u64 ns)
{
	int ret;

	t->begin = ktime_get();
	for (t->pairs = 0; ; t->pairs++, t->all++) {
		unsigned long iova = t->iova + (t->pairs % PTRS_PER_PTE) * SZ_4K;

		if (!(t->pairs % 8)) {
			t->end = ktime_get();
			if (ktime_to_ns(ktime_sub(t->end, t->begin)) >= ns)
				return 0;
			cond_resched();
		}

		ret = iommu_map(t->domain, iova, bench_phys, SZ_4K, BENCH_PROT, GFP_KERNEL);
		if (ret)
			return ret;
		if (iommu_unmap(t->domain, iova, SZ_4K) != SZ_4K)
			return -EIO;
	}
}

static int bench_thread(void *arg)
{
	struct bench_thread *t = arg;

	t->err = bench_loop(t, BENCH_NS / 20);
	atomic_dec(t->gate);
	while (atomic_read(t->gate) > 0)
		cond_resched();
	if (!t->err)
		t->err = bench_loop(t, BENCH_NS);
	complete(&t->done);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

/* One try: pairs of all threads a second of each one's own time. */
static int bench_try(struct bench_thread *threads, unsigned int nr, u64 *rate)
{
	unsigned int i, made;
	atomic_t gate;
	int ret = 0;

	*rate = 0;

	atomic_set(&gate, nr);
	for (made = 0; made < nr; made++) {
		struct bench_thread *t = &threads[made];

		t->gate = &gate;
		init_completion(&t->done);
		t->task = kthread_create(bench_thread, t, "omni_bench/%u", made);
		if (IS_ERR(t->task)) {
			ret = PTR_ERR(t->task);
			/* Those that wait must get through the gate. */
			atomic_sub(nr - made, &gate);
			break;
		}
		kthread_bind(t->task, made);
		wake_up_process(t->task);
	}
	for (i = 0; i < made; i++) {
		wait_for_completion(&threads[i].done);
		ret = ret ?: threads[i].err;
		if (!ret)
			*rate += div64_u64(threads[i].pairs * NSEC_PER_SEC,
					   ktime_to_ns(ktime_sub(threads[i].end,
								 threads[i].begin)));
		kthread_stop(threads[i].task);
	}
	return ret;
}

static int bench_mode(struct bench *b, struct bench_thread *threads, const char *mode)
{
	unsigned int nr, try, i;
	int ret = 0;

	if (!bench_wanted(mode))
		return 0;
	for (nr = 1; nr <= min(num_online_cpus(), BENCH_THREADS) && !ret; nr *= 2) {
		u64 best = 0, all = 0, rate;

		if (bench_threads && bench_threads != nr)
			continue;
		for (i = 0; i < nr; i++)
			threads[i].all = 0;
		bench_mark(b, ++bench_marks, true);
		for (try = 0; try < BENCH_TRIES && !ret; try++) {
			ret = bench_try(threads, nr, &rate);
			if (!ret)
				best = max(best, rate);
		}
		bench_mark(b, bench_marks, false);
		if (ret)
			return bench_fail(mode, "mapping and unmapping", ret);
		for (i = 0; i < nr; i++)
			all += threads[i].all;
		pr_info("@@SCALE %s %u %llu %llu %u\n", mode, nr, best, all, bench_marks);
	}
	return 0;
}

int bench_scale(struct bench *b)
{
	struct bench_thread *threads = kcalloc(BENCH_THREADS, sizeof(*threads), GFP_KERNEL);
	struct bench others[BENCH_THREADS] = { };
	struct pci_dev *pdev = NULL;
	unsigned int i;
	int ret;

	if (!threads)
		return bench_fail("scale", "allocating", -ENOMEM);
	ret = bench_open(b);
	if (ret)
		goto out;
	for (i = 0; i < BENCH_THREADS; i++) {
		threads[i].domain = b->domain;
		threads[i].iova = bench_base + (i + 1UL) * SZ_1G;
	}
	ret = bench_mode(b, threads, "one-domain");
	bench_close(b);

	for (i = 0; i < BENCH_THREADS && !ret; i++) {
		pdev = bench_device(pdev);
		if (!pdev) {
			ret = bench_fail("scale", "finding 8 devices", -ENODEV);
			break;
		}
		others[i].pdev = pci_dev_get(pdev);
		ret = bench_open(&others[i]);
		threads[i].domain = others[i].domain;
	}
	pci_dev_put(pdev);
	if (!ret)
		ret = bench_mode(b, threads, "own-domains");
	for (i = 0; i < BENCH_THREADS; i++) {
		bench_close(&others[i]);
		pci_dev_put(others[i].pdev);
	}
out:
	kfree(threads);
	return ret;
}
