/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kits: what a suite needs of a vendor to test what is common to all. A case
 * whose subject is common takes its parameters from OMNI_KIT_PARAM() and so
 * runs with every vendor, and with every variant of a unit the vendor has.
 */
#ifndef OMNI_KUNIT_KIT_H
#define OMNI_KUNIT_KIT_H

#include "model.h"

/* What a unit is like, in nobody's words; no bit: an ordinary unit. */
#define OMNI_CACHES_ABSENT	BIT(0)	/* not-present entries are cached */
#define OMNI_WRITE_BUFFER	BIT(1)	/* new entries linger in a write buffer */
#define OMNI_NO_SNOOP_WALKS	BIT(2)	/* table walks don't snoop */
#define OMNI_NO_PAGE_COMMAND	BIT(3)	/* a domain is the least that is invalidated */
#define OMNI_NO_QUEUE		BIT(4)	/* commands go through registers */
#define OMNI_NO_PASS_THROUGH	BIT(5)	/* identity needs tables */
#define OMNI_NO_ENFORCE		BIT(6)	/* coherency can't be enforced */
#define OMNI_NARROW_WALKS	BIT(7)	/* the fewest levels only */
#define OMNI_WIDE_WALKS		BIT(8)	/* more levels only */
#define OMNI_NARROW_ADDRESSES	BIT(9)	/* a bit less than the levels give */
#define OMNI_MIDDLE_LEAVES	BIT(10)	/* leaves of 2M at most */
#define OMNI_SMALL_LEAVES	BIT(11)	/* leaves of 4K only */
#define OMNI_FEW_TAGS		BIT(12)	/* 14 domains */
#define OMNI_DIRTY		BIT(13)	/* the unit marks what it writes */
#define OMNI_SIGNALS		BIT(16)	/* it writes to memory when a wait is over */
/* What a case needs every unit of a vendor to be. */
#define OMNI_ENFORCES		BIT(14)	/* coherency can be enforced */
#define OMNI_TRACKS		BIT(15)	/* where it isn't, pages are tracked */

/**
 * struct omni_variant - one parameter of a case: a unit, and what is done with it
 * @name: for the case's name; NULL for none
 * @traits: what the unit is like
 * @ats: depth of the devices' device TLBs, 0 for none
 * @evict: caches forget entries at random
 * @speculate: each access translates the page behind it too
 * @more: whatever the suite likes
 */
struct omni_variant {
	const char *name;
	unsigned long traits;
	u8 ats;
	bool evict;
	bool speculate;
	unsigned long more;
};

/**
 * struct omni_kit - a vendor
 * @name: for names of cases
 * @wing: the driver's side
 * @able: traits that its units may have
 * @few: a variety of another kit: of a case's variants it takes the first one,
 *	and those with a device TLB
 * @marks: what is written to a domain for dirty tracking is marked whether
 *	tracking is on or not
 * @submit_max: commands of one submission
 * @queue_size: commands its queue holds
 * @deadline_ms: of a wait
 * @stall_look: a look at the unit, counted from a submission, with the clock of
 *	its wait running
 * @cover_max: lg2 of the pages one command covers at most
 * @roots: tables of a domain that maps nothing
 * @cover: the pages that one command has to cover for a range, where that is
 *	not an aligned power of two
 * @entry_parts: times the hardware has to look at an entry to see all of it
 * @create: make a unit, switched on; it ends with the test
 * @other: a domain for a unit with tables of another format than its
 *	omni_model_ops.domain makes, or ERR_PTR(); NULL if there is but one format
 */
struct omni_kit {
	const char *name;
	const struct omni_wing *wing;
	unsigned long able;
	bool few;
	bool marks;
	unsigned int submit_max;
	unsigned int queue_size;
	unsigned int deadline_ms;
	unsigned int stall_look;
	unsigned int cover_max;
	unsigned int roots;
	void (*cover)(u64 *first, u64 *last);
	unsigned int entry_parts;
	struct omni_model *(*create)(struct kunit *test, const struct omni_variant *variant);
	struct omni_domain *(*other)(struct omni_model *m);
};

extern const struct omni_kit vtd_kit;
extern const struct omni_kit amd_kit;
extern const struct omni_kit amd_v2_kit;
extern const struct omni_kit smmu_kit;

#define OMNI_KITS_MAX	4

/* All of them, NULL at the end. */
extern const struct omni_kit * const omni_kits[];

/**
 * struct omni_param - the parameter of a case
 * @kit: the vendor
 * @variant: the unit
 */
struct omni_param {
	const struct omni_kit *kit;
	const struct omni_variant *variant;
};

/**
 * omni_kit_next() - the next parameter of a case
 * @variants: the case's
 * @nr: how many
 * @params: room for @nr parameters for each of OMNI_KITS_MAX vendors
 * @prev: the parameter before
 * @desc: receives its name
 *
 * Return: the parameter or NULL.
 * Context: may sleep.
 */
const void *omni_kit_next(const struct omni_variant *variants, unsigned int nr,
			  struct omni_param *params, const void *prev, char *desc);

/**
 * OMNI_KIT_PARAM() - define what generates the parameters of cases
 * @prefix: @prefix_gen_params() is defined
 * @variants: an array of struct omni_variant
 */
#define OMNI_KIT_PARAM(prefix, variants)						\
static const void *prefix##_gen_params(const void *prev, char *desc)			\
{											\
	static struct omni_param params[ARRAY_SIZE(variants) * OMNI_KITS_MAX];		\
											\
	return omni_kit_next(variants, ARRAY_SIZE(variants), params, prev, desc);	\
}

/* A case with parameters that takes its time. */
#define OMNI_CASE_PARAM_SLOW(test_name, gen_params)					\
	KUNIT_CASE_PARAM_ATTR(test_name, gen_params, { .speed = KUNIT_SPEED_SLOW })

/* An ordinary unit of every vendor. */
extern const struct omni_variant omni_ordinary[1];

static inline const struct omni_kit *omni_kit(struct kunit *test)
{
	return ((const struct omni_param *)test->param_value)->kit;
}

static inline const struct omni_variant *omni_variant(struct kunit *test)
{
	return ((const struct omni_param *)test->param_value)->variant;
}

/**
 * omni_model_create() - the unit that the case's parameter describes
 * @test: the test
 *
 * Return: the model; the test ends when it can't be made.
 * Context: may sleep.
 */
static inline struct omni_model *omni_model_create(struct kunit *test)
{
	return omni_kit(test)->create(test, omni_variant(test));
}

/**
 * omni_model_create_as() - a unit of the parameter's vendor
 * @test: the test
 * @name: for messages
 * @traits: what it is like
 *
 * Return: the model; the test ends when it can't be made.
 * Context: may sleep.
 */
static inline struct omni_model *omni_model_create_as(struct kunit *test, const char *name,
						      unsigned long traits)
{
	const struct omni_variant variant = { .name = name, .traits = traits };

	return omni_kit(test)->create(test, &variant);
}

/**
 * omni_model_other_domain() - a domain of another format than omni_model_domain()'s
 * @test: the test
 * @m: a unit of the parameter's vendor
 *
 * Return: the domain, freed at the end of the test, or of the same format
 * where the vendor has but one.
 * Context: may sleep.
 */
struct omni_domain *omni_model_other_domain(struct kunit *test, struct omni_model *m);

#endif
