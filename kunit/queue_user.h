/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Users of a queue of commands: devices whose cached translations must be
 * gone when a flush is over, alone and several at once.
 */
#ifndef OMNI_KUNIT_QUEUE_USER_H
#define OMNI_KUNIT_QUEUE_USER_H

#include "kit.h"

#include <linux/ktime.h>
#include <linux/sizes.h>

#define RID		0x0020
#define PA		0x10000000000ULL
#define IOVA		0x200000ULL
#define BOTH		(IOMMU_READ | IOMMU_WRITE)
#define SUBMIT_MAX	32	/* more than any kit takes at once */

#define SUBMITTERS	3

/**
 * struct queue_user - one device and domain, whose translations are flushed
 * @m: the unit
 * @od: the device
 * @domain: its domain, with a page at @IOVA
 * @max: commands of one submission
 * @rounds: flushes to do, 0 for until stopped
 * @done: flushes done
 * @stale: translations found after their flush
 * @failed: flushes that failed
 * @error: what the first failure was
 * @rnd: its choices
 */
struct queue_user {
	struct omni_model *m;
	struct omni_device *od;
	struct omni_domain *domain;
	unsigned int max;
	unsigned int rounds;
	unsigned int done;
	unsigned int stale;
	unsigned int failed;
	int error;
	struct rnd_state rnd;
};

/**
 * queue_user_init() - a device that translates, and what it takes to flush it
 * @test: the test
 * @user: the user, whose pages from @IOVA on are mapped
 * @m: the unit
 * @id: its number, for its requester ID and its choices
 * @ats: depth of its device TLB's queue, 0 for none
 *
 * Context: may sleep.
 */
void queue_user_init(struct kunit *test, struct queue_user *user, struct omni_model *m,
		     unsigned int id, u8 ats);

/**
 * queue_tag() - a user's domain, as the unit knows it
 * @user: the user
 *
 * Return: the number.
 * Context: the domain stays attached.
 */
u16 queue_tag(const struct queue_user *user);

/**
 * queue_all_of() - a command for every translation of a domain
 * @tag: the domain
 *
 * Return: the command.
 * Context: any.
 */
struct omni_command queue_all_of(u16 tag);

/**
 * queue_device_tlb() - a command for all that a device TLB holds
 * @od: the device
 *
 * Return: the command.
 * Context: any.
 */
struct omni_command queue_device_tlb(const struct omni_device *od);

/**
 * queue_round() - one translation comes into the caches and goes with a flush
 * @user: who does it, and counts what went wrong
 *
 * Context: may sleep.
 */
void queue_round(struct queue_user *user);

/**
 * queue_expect_good() - fail the test unless all of a user's flushes did what they should
 * @test: the test
 * @user: the user
 *
 * Context: may sleep.
 */
void queue_expect_good(struct kunit *test, const struct queue_user *user);

/**
 * queue_each_error() - one submitter, so that exactly what each error lost is known
 * @test: the test
 * @disturb: makes a round's error; returns whether the round has to notice it
 *
 * Context: may sleep.
 */
void queue_each_error(struct kunit *test,
		      bool (*disturb)(struct omni_model *m, unsigned int round));

/**
 * queue_errors_are_told() - whoever meets an error clears it: the others learn of it all the same
 * @test: the test
 * @disturb: makes a round's error; returns how many commands meet it: 1 for
 *	all of a domain, 2 for that and a device TLB's
 *
 * Context: may sleep.
 */
void queue_errors_are_told(struct kunit *test,
			   unsigned int (*disturb)(struct omni_model *m, unsigned int round));

/**
 * queue_race() - several threads flush, while something disturbs
 * @test: the test
 * @m: the unit
 * @ats: depth of the queues of the devices' TLBs, 0 for none
 * @ms: for how long, milliseconds
 * @disturb: called every 20 milliseconds, or NULL
 *
 * Context: may sleep.
 */
void queue_race(struct kunit *test, struct omni_model *m, u8 ats, unsigned int ms,
		void (*disturb)(struct omni_model *m));

#endif
