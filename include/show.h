/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What there is to see of units, devices and domains: what the core's
 * debugfs files ask of a wing, and how a page table is read while others
 * change it.
 *
 * Reading a table. Nobody holds a lock that maps and unmaps take. A table
 * that was unlinked is freed after its flush, and a reader may still be in
 * it. So a reader says that he is there, executes a full barrier, and then
 * walks; whoever frees tables executes one between unlinking and looking for
 * a reader. Either the reader does not meet the unlinked table, or the tables
 * are kept, until he is done. Unmaps that free no table don't look.
 */
#ifndef OMNI_SHOW_H
#define OMNI_SHOW_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct dentry;
struct omni_device;
struct omni_domain;
struct omni_pt;
struct omni_unit;
struct seq_file;

/**
 * enum omni_entry_kind - what an entry of a page table is
 * @OMNI_ENTRY_TABLE: it points to a table
 * @OMNI_ENTRY_LEAF: it maps memory
 * @OMNI_ENTRY_PENDING: it was unmapped and is not synced yet; not present
 */
enum omni_entry_kind {
	OMNI_ENTRY_TABLE,
	OMNI_ENTRY_LEAF,
	OMNI_ENTRY_PENDING,
};

/**
 * struct omni_entry - one entry of a page table
 * @kind: what it is
 * @level: of its table; level 0 holds 4K leaves
 * @iova: first byte it translates
 * @lg2: log2 of the bytes it translates: a leaf's with all of its set
 * @pa: of the memory, or of the table
 * @value: all of it; of a set, the first entry's
 * @attr: @value without what tells address and size: equal leaves have equal ones
 */
struct omni_entry {
	enum omni_entry_kind kind;
	unsigned int level;
	u64 iova;
	unsigned int lg2;
	u64 pa;
	u64 value;
	u64 attr;
};

static inline u64 omni_entry_last(const struct omni_entry *e)
{
	return e->iova + (BIT_ULL(e->lg2) - 1);
}

/**
 * struct omni_usage - what a page table is made of
 * @tables: its pages, the root included
 * @bytes: bytes that leaves map
 */
struct omni_usage {
	u64 tables;
	u64 bytes;
};

/**
 * struct omni_show_ops - what a wing has to show, in its own words
 * @unit: capabilities, registers and the state of the queue, a "key: value" a
 *	line, indented by two spaces
 * @attachment: every entry of a device, decoded, in the same way
 * @format: the format of a domain's table, in words without a line's end
 * @attr: what a leaf permits and asks for: r and w, or -, then other words
 * @device_add: offer what the vendor's own tools expect of a device, or NULL
 * @device_remove: take it away
 *
 * @unit and @attachment are called with omni_core.lock held.
 */
struct omni_show_ops {
	void (*unit)(struct seq_file *s, struct omni_unit *unit);
	void (*attachment)(struct seq_file *s, struct omni_device *od);
	void (*format)(struct seq_file *s, struct omni_domain *domain);
	void (*attr)(struct seq_file *s, struct omni_domain *domain, u64 value);
	void (*device_add)(struct omni_device *od);
	void (*device_remove)(struct omni_device *od);
};

/**
 * struct omni_seen - what debugfs keeps in a domain
 * @node: in the list of domains
 * @listed: it is there
 * @leaving: no directory is made any more
 * @id: its number
 * @dir: its directory, NULL until somebody asks for it
 * @viewers: who looks at it through something else's file
 * @lock: one reader of the page table at a time
 * @watched: a reader is inside the page table; changed under
 *	omni_domain.free_lock
 * @kept: tables to free once he is not, under omni_domain.free_lock
 */
struct omni_seen {
	struct list_head node;
	bool listed;
	bool leaving;
	u32 id;
	struct dentry *dir;
	unsigned int viewers;
	struct mutex lock;	/* see @lock above */
	bool watched;
	struct list_head kept;
};

/* domains.c: which domains there are, and who looks at them */

/**
 * omni_seen_init() - set up a new domain: not listed
 * @domain: the domain
 *
 * Context: any.
 */
void omni_seen_init(struct omni_domain *domain);

/**
 * omni_domain_list() - a domain is complete and may be looked at
 * @domain: the domain
 *
 * Context: may sleep.
 */
void omni_domain_list(struct omni_domain *domain);

/**
 * omni_domain_hide() - a domain is about to be freed
 * @domain: the domain, its page table still whole; listed or not
 *
 * Waits for whoever looks at it.
 *
 * Context: may sleep.
 */
void omni_domain_hide(struct omni_domain *domain);

/**
 * omni_domain_view() - look at the domain of a device for a while
 * @od: the device
 *
 * Return: its domain, which stays until omni_domain_unview(), or NULL.
 * Context: may sleep.
 */
struct omni_domain *omni_domain_view(struct omni_device *od);

/**
 * omni_domain_unview() - the end of that
 * @domain: what omni_domain_view() has returned
 *
 * Context: may sleep.
 */
void omni_domain_unview(struct omni_domain *domain);

/**
 * omni_watch() - begin to read a page table that others change
 * @domain: the domain
 *
 * From here on no table is freed that the reader may meet. Not for long.
 *
 * Context: may sleep.
 */
void omni_watch(struct omni_domain *domain);

/**
 * omni_unwatch() - the end of that: free what was kept
 * @domain: the domain
 *
 * Context: may sleep.
 */
void omni_unwatch(struct omni_domain *domain);

/**
 * omni_tables_keep() - keep tables whose flush is over for a reader
 * @domain: the domain
 * @tables: the tables; emptied, if there is still a reader
 *
 * Context: any.
 */
void omni_tables_keep(struct omni_domain *domain, struct list_head *tables);

/* debugfs.c */

/**
 * omni_debugfs_init() - publish what there is to see
 *
 * Context: may sleep.
 */
void omni_debugfs_init(void);

/**
 * omni_debugfs_exit() - take it away
 *
 * Context: may sleep.
 */
void omni_debugfs_exit(void);

/**
 * omni_debugfs_domain() - make a domain's directory
 * @domain: the domain
 *
 * Return: the directory, NULL without debugfs, or an ERR_PTR.
 * Context: may sleep, omni_domains.lock held.
 */
struct dentry *omni_debugfs_domain(struct omni_domain *domain);

#endif
