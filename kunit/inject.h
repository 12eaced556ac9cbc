/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations that fail, one after the other, in the task that asks for it:
 * the kernel's fault injection with a count a task. The guest's init lets
 * every kind of allocation take part (failslab and fail_page_alloc in debugfs:
 * ignore-gfp-wait and min-order).
 */
#ifndef OMNI_KUNIT_INJECT_H
#define OMNI_KUNIT_INJECT_H

#include "kunit.h"

#include <linux/slab.h>

/* More allocations than any one operation makes. */
#define INJECT_MAX	400

#ifdef CONFIG_FAULT_INJECTION

/* The @nth allocation of this task fails, counted from now; 0 for none. */
static inline void inject(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Did the allocation fail that was to fail? Ends the injection. */
static inline bool inject_end(void)
{
	return !xchg(&current->fail_nth, 0);
}

#else

static inline void inject(unsigned int nth)
{
}

static inline bool inject_end(void)
{
	return false;
}

#endif

/* Skip the test where allocations can't be made to fail. */
static inline void inject_need(struct kunit *test)
{
	unsigned long page;
	bool slab, pages;
	void *object;

	inject(1);
	object = kzalloc(64, GFP_KERNEL);
	slab = inject_end() && !object;
	kfree(object);
	inject(1);
	page = __get_free_page(GFP_KERNEL);
	pages = inject_end() && !page;
	free_page(page);
	if (!slab || !pages)
		kunit_skip(test, "no fault injection for %s", slab ? "pages" : "objects");
}

/**
 * struct inject - letting each allocation of an operation fail in turn
 * @nth: the allocation that fails in this round, from 1
 * @failed: the last round had such an allocation
 * @refused: rounds in which the operation was refused for it
 */
struct inject {
	unsigned int nth;
	bool failed;
	unsigned int refused;
};

/* Is the result of the round's operation right? */
static inline void inject_judge(struct kunit *test, struct inject *i, long ret)
{
	i->failed = inject_end();
	/* The allocator may have found another way to the memory. */
	if (!i->failed || ret)
		KUNIT_EXPECT_EQ_MSG(test, ret, i->failed ? -ENOMEM : 0, "allocation %u", i->nth);
	i->refused += i->failed && ret;
}

static inline bool inject_next(struct kunit *test, struct inject *i)
{
	if (i->failed && ++i->nth < INJECT_MAX)
		return true;
	KUNIT_EXPECT_FALSE_MSG(test, i->failed, "there is no end to it");
	KUNIT_EXPECT_GT_MSG(test, i->refused, 0, "no allocation was missed");
	return false;
}

/**
 * inject_each() - let each allocation of an operation fail in turn
 * @test: the test
 * @i: struct inject, the loop's variable
 *
 * The body calls inject(i.nth), the operation, and inject_judge() with its
 * result. The loop ends with the round that has no allocation left to fail.
 */
#define inject_each(test, i)	\
	for ((i) = (struct inject){ .failed = true }; inject_next(test, &(i)); )

#endif
