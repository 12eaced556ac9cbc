/* SPDX-License-Identifier: GPL-2.0-only */
/* Could a model still reach a table that the driver frees? */
#ifndef OMNI_KUNIT_MODEL_FREED_H
#define OMNI_KUNIT_MODEL_FREED_H

#include "model.h"

/**
 * struct omni_freed - a look for ways to a table that is freed
 * @m: the model
 * @pa: the table
 * @coherent: the model reads through the CPU's caches
 * @entries: of a table of the format that is walked
 * @budget: entries it may still look at
 * @nr: how many in @seen
 * @seen: roots that were looked below already
 */
struct omni_freed {
	struct omni_model *m;
	u64 pa;
	bool coherent;
	unsigned int entries;
	unsigned int budget;
	unsigned int nr;
	u64 seen[16];
};

/*
 * The table that an entry of a table at @level points to, 0 for none; @level
 * becomes the level of that. Level 0 has no tables below it.
 */
typedef u64 (*omni_freed_below_fn)(u64 entry, unsigned int *level);

/**
 * omni_freed_cached() - report what the model has cached of it
 * @f: the table
 * @root: the root that a cached entry of a device leads to, 0 for none
 *
 * Context: the model's lock held.
 */
void omni_freed_cached(const struct omni_freed *f, u64 (*root)(const struct omni_cached *c));

/**
 * omni_freed_reaches() - does a walk lead to it?
 * @f: the table
 * @table: where the walk begins
 * @level: of @table
 * @below: of the format
 *
 * Return: true if it does.
 * Context: the model's lock held.
 */
bool omni_freed_reaches(struct omni_freed *f, u64 table, unsigned int level,
			omni_freed_below_fn below);

/**
 * omni_freed_new() - is a root one that was not looked below yet?
 * @f: the table
 * @root: the root
 *
 * Return: false if it was.
 * Context: the model's lock held.
 */
bool omni_freed_new(struct omni_freed *f, u64 root);

/**
 * omni_freed_report() - an entry in memory leads to it
 * @f: the table
 * @rid: whose entry
 *
 * Context: the model's lock held.
 */
void omni_freed_report(const struct omni_freed *f, u32 rid);

#endif
