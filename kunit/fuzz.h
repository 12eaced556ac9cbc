/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Firmware tables that are wrong (L4): what the formats have in common. A
 * format generates tables, damages them, and has a second opinion, written
 * down once more, of what a parser has to say to them.
 */
#ifndef OMNI_KUNIT_FUZZ_H
#define OMNI_KUNIT_FUZZ_H

#include "inject.h"

#include <linux/unaligned.h>

#define FUZZ_ROOM	2048
#define FUZZ_RECORDS	16

struct fuzz;

/**
 * struct fuzz_format - one kind of table
 * @name: for names of cases
 * @header: bytes before the first structure
 * @length: where in a structure its length is, 16 bits
 * @slack: how far a length is off that is a little wrong
 * @count: where in the header the number of structures is, 0 for nowhere
 * @ends: structures of one_of_everything() that it may end after, besides the
 *	whole
 * @least: structures at least that a parse of it allocates
 * @listed: a file of tables to parse, NULL where there is no such parameter
 * @good: the second opinion: may a table be accepted?
 * @parse: the parser
 * @difference: is what was parsed last what a good table says? NULL or where not
 * @empty: is nothing left of it?
 * @free: forget it
 * @generate: make a table that is in order, or nearly so
 * @damage: spoil something that other formats don't have, in the structure at
 *	@rec of @length bytes, as it says
 * @one_of_everything: make a good table of at most 340 bytes
 */
struct fuzz_format {
	const char *name;
	unsigned int header;
	unsigned int length;
	unsigned int slack;
	unsigned int count;
	unsigned int ends;
	unsigned int least;
	char **listed;
	bool (*good)(const u8 *table, unsigned int len);
	int (*parse)(const u8 *table, unsigned int len);
	const char *(*difference)(const u8 *table);
	bool (*empty)(void);
	void (*free)(void);
	void (*generate)(struct fuzz *f);
	void (*damage)(struct fuzz *f, unsigned int rec, unsigned int length);
	void (*one_of_everything)(struct fuzz *f);
};

extern const struct fuzz_format fuzz_vtd;
extern const struct fuzz_format fuzz_amd;
extern const struct fuzz_format fuzz_smmu;

/**
 * struct fuzz - one table, and what became of it
 * @test: the test
 * @fmt: what kind of table
 * @rnd: randomness
 * @area: memory with a hole behind it
 * @end: the hole
 * @raw: the table
 * @len: its bytes
 * @nr_records: structures generated
 * @record: where they begin
 * @nr: tables so far
 * @accepted: of them
 */
struct fuzz {
	struct kunit *test;
	const struct fuzz_format *fmt;
	struct rnd_state rnd;
	u8 *area;
	u8 *end;
	u8 raw[FUZZ_ROOM];
	unsigned int len;
	unsigned int nr_records;
	unsigned int record[FUZZ_RECORDS];
	unsigned long nr;
	unsigned long accepted;
};

/**
 * fuzz_heard_of() - the parser says what is wrong with a table
 * @name: of the structure
 * @offset: of the structure in the table
 *
 * Return: true if a case is listening.
 * Context: any.
 */
bool fuzz_heard_of(const char *name, u32 offset);

/* Append @nr bytes of a number. */
static inline void fuzz_bytes(struct fuzz *f, u64 value, unsigned int nr)
{
	for (; nr; nr--, value >>= 8)
		f->raw[f->len++] = value;
}

/* The table knows its length, and adds up to zero. */
static inline void fuzz_checksum(struct fuzz *f)
{
	unsigned int i, length = min(get_unaligned_le32(f->raw + 4), f->len);
	u8 sum = 0;

	f->raw[9] = 0;
	for (i = 0; i < length; i++)
		sum += f->raw[i];
	f->raw[9] = -sum;
}

/* A structure begins, and ends: it has its length then. */
static inline void fuzz_begin_record(struct fuzz *f)
{
	f->record[f->nr_records++] = f->len;
}

static inline void fuzz_end_record(struct fuzz *f)
{
	unsigned int start = f->record[f->nr_records - 1];

	put_unaligned_le16(f->len - start, f->raw + start + f->fmt->length);
}

/* A header of ACPI, without a length. */
static inline void fuzz_acpi(struct fuzz *f, const char *name, unsigned int revision)
{
	memset(f->raw, 0, f->fmt->header);
	memcpy(f->raw, name, 4);
	f->raw[8] = revision;
	memcpy(f->raw + 10, "OMNI  KUNIT   ", 14);
	f->len = f->fmt->header;
	f->nr_records = 0;
}

static inline void fuzz_end(struct fuzz *f)
{
	put_unaligned_le32(f->len, f->raw + 4);
	fuzz_checksum(f);
}

#endif
