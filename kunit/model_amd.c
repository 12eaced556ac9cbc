// SPDX-License-Identifier: GPL-2.0-only
/*
 * The AMD-Vi model: device table, walks, accesses and faults (48882 r3.08,
 * 2.1 to 2.3 and 2.5). model_amd_queue.c has what the driver talks to,
 * model_freed_amd.c what it may not free, kit_amd.c the model's life.
 *
 * One raw lock makes each access and each command one step. A wait completes
 * under the same lock, so an access that has begun is over before the driver
 * can learn that its invalidation is done.
 */
#include "model_amd_bits.h"

#include <linux/irq.h>
#include <linux/sizes.h>

/* What an access is refused for. */
#define REFUSED_BLOCKED		1
#define REFUSED_ILLEGAL		2
#define REFUSED_NOT_PRESENT	3
#define REFUSED_PERMISSION	4
#define REFUSED_ATS		5

/* The level that what leads to a guest page table's root is cached at. */
#define GCR3_LEVEL		7
#define GCR3_LG2		57

/* In omni_cached.perm: the unit knows that the leaf says so. */
#define KNOWN_A			BIT(2)
#define KNOWN_D			BIT(3)

/* 2.1.4.1: interrupts. */
#define INTERRUPTS_FIRST	0xfee00000ULL
#define INTERRUPTS_LAST		0xfeefffffULL

static bool amd_model_absent(const struct amd_model *m)
{
	return m->config.cap & AMD_MODEL_CAP_NP;
}

static unsigned int amd_model_levels(const struct amd_model *m)
{
	return 4 + ((m->config.efr >> 10) & 3);
}

/* Device table entries */

/* What is wrong with the part of an entry that is about guest page tables? */
static const char *amd_model_guest_fault(const struct amd_model *m, const u64 *dte)
{
	if (DTE2_GUEST_MODE(dte[2]) > (amd_model_guest(m) ? m->config.efr >> 12 & 3 : 0))
		return "the unit has no guest page tables of so many levels";
	if (!(dte[0] & DTE0_GV))
		return dte[0] & DTE0_GUEST || dte[1] & DTE1_GUEST ?
		       "guest page tables of an entry that uses none" : NULL;
	if (!amd_model_guest(m) || !(m->control & BIT_ULL(16)))
		return "guest translation is off";
	if (DTE0_MODE(dte[0]) || DTE0_ROOT(dte[0]) || DTE0_HAD(dte[0]))
		return "guest page tables above host page tables are none of the driver's";
	if (dte[0] & DTE0_PPR)
		return "page requests are none of the driver's";
	if (!(dte[0] & DTE0_GIOV))
		return "requests without a PASID pass untranslated";
	if (DTE0_GLX(dte[0]) > (m->config.efr >> 14 & 3))
		return "the unit has no GCR3 tables of so many levels";
	if (DTE0_GLX(dte[0]))
		return "there is but one PASID";
	if (!amd_dte_gcr3(dte) || amd_dte_gcr3(dte) >> AMD_MODEL_PA)
		return "there is no GCR3 table";
	return NULL;
}

int amd_model_dte_fault(struct amd_model *m, const u64 *dte, const char **why)
{
	unsigned int mode = DTE0_MODE(dte[0]), had = DTE0_HAD(dte[0]);

	*why = "V is clear, so everything passes";
	if (!(dte[0] & DTE0_V))
		return -1;
	*why = "reserved bits are set";
	if (dte[0] & DTE0_RESERVED || dte[2] & DTE2_RESERVED)
		return -1;
	*why = amd_model_guest_fault(m, dte);
	if (*why)
		return -1;
	*why = "interrupt remapping is none of the driver's";
	if (dte[2] & DTE2_IV)
		return -1;
	*why = "the mode is reserved, or has more levels than the unit";
	if (mode > amd_model_levels(m))
		return -1;
	*why = "the unit sets no access or dirty bits";
	if (had == 2 || (had && !(m->config.efr & AMD_MODEL_EFR_HA)) ||
	    (had == 3 && !(m->config.efr & AMD_MODEL_EFR_HD)))
		return -1;
	*why = "the root is beyond the host's addresses";
	if (DTE0_ROOT(dte[0]) >> AMD_MODEL_PA)
		return -1;
	*why = "the unit knows no device TLBs";
	if (dte[1] & DTE1_I && !(m->config.cap & BIT(24)))
		return -1;
	*why = "blocked";
	if (!(dte[0] & DTE0_TV) || !(dte[0] & (DTE0_IR | DTE0_IW)))
		return 1;
	*why = "there is no table";
	if (mode && !DTE0_ROOT(dte[0]))
		return -1;
	return 0;
}

/* Hardware reads an entry in halves. */
void amd_model_dte_read(u64 table, u16 devid, bool coherent, u64 *dte)
{
	u64 at = table + devid * 32;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		u128 half = omni_memory_read128(at + i * 16, coherent);

		dte[2 * i] = half;
		dte[2 * i + 1] = half >> 64;
	}
}

/* Is one root what the other became by growing? */
static bool amd_model_grown(struct amd_model *m, u64 a, u64 b)
{
	unsigned int level = DTE0_MODE(b);
	u64 table = DTE0_ROOT(b);

	if (DTE0_MODE(a) > level)
		return amd_model_grown(m, b, a);
	while (level > DTE0_MODE(a)) {
		u64 entry = omni_memory_read(table, amd_model_coherent(m));

		if (!(entry & PTE_PR) || !PTE_NEXT(entry) || PTE_NEXT(entry) >= level)
			return false;
		level = PTE_NEXT(entry);
		table = PTE_ADDR(entry);
	}
	return level == DTE0_MODE(a) && table == DTE0_ROOT(a);
}

static bool amd_model_same_tables(struct amd_model *m, const u64 *a, const u64 *b)
{
	if ((a[0] | b[0]) & DTE0_GV)
		return a[0] & b[0] & DTE0_GV && amd_dte_gcr3(a) == amd_dte_gcr3(b);
	return amd_model_grown(m, a[0], b[0]);
}

/* Tables of one domain must be the same for all devices: what is cached is tagged with it. */
static void amd_model_check_domain(struct amd_model *m, const struct omni_cached *new)
{
	struct omni_cached *c;

	if (!amd_dte_translates(new->raw))
		return;
	for_each_cached(c, &m->base.entries)
		if (c->tag == new->tag && c->rid != new->rid && c->raw[0] & DTE0_TV &&
		    amd_dte_translates(c->raw) && !amd_model_same_tables(m, c->raw, new->raw))
			omni_violation(&m->base,
				       "domain %u means %llx for %04x and, still cached, %llx for %04x",
				       new->tag, new->raw[0], new->rid, c->raw[0], c->rid);
}

/* The entry of a device, from the cache or from memory. */
static struct omni_cached *amd_model_entry(struct amd_model *m, u16 devid)
{
	struct omni_cached *c, new = { .rid = devid };
	unsigned int nr = ((m->devtab & 0x1ff) + 1) * 128;
	const char *why;
	int fault;

	for_each_cached(c, &m->base.entries)
		if (c->rid == devid)
			return c;
	if (devid >= nr)
		return NULL;
	amd_model_dte_read(m->devtab & GENMASK_ULL(51, 12), devid, amd_model_coherent(m),
			   new.raw);
	new.tag = DTE1_DOMAIN(new.raw[1]);
	if (new.raw[0] == OMNI_MEMORY_GARBAGE) {
		omni_violation(&m->base, "the entry of %04x was never written back", devid);
		return NULL;
	}
	fault = amd_model_dte_fault(m, new.raw, &why);
	if (fault < 0) {
		omni_violation(&m->base, "entry of %04x, %016llx %016llx %016llx: %s", devid,
			       new.raw[2], new.raw[1], new.raw[0], why);
		/* 2.5.2 */
		amd_model_log(m, 1ULL << 60 | devid, 0);
		return NULL;
	}
	if (!fault)
		amd_model_check_domain(m, &new);
	omni_cache_add(&m->base, &m->base.entries, new);
	return amd_model_entry(m, devid);
}

/* Walks: 2.2.3 */

/* A translation on its way through caches and tables. */
struct amd_found {
	u64 pa;
	u8 perm;
	u8 lg2;
	u32 space;
	bool forced;
	bool reserved;
	bool clean;	/* not written to yet, and that is to be noticed */
};

/* Level @level is the specification's, 1 to 6. */
static unsigned int amd_level_lg2(unsigned int level)
{
	return 12 + 9 * (level - 1);
}

static u64 amd_level_index(u64 iova, unsigned int level)
{
	return (iova >> amd_level_lg2(level)) & 511;
}

/* The bytes of a leaf; 0 if it can't have such a size at its level. */
static unsigned int amd_leaf_lg2(u64 entry, unsigned int level)
{
	unsigned int lg2 = amd_level_lg2(level);

	if (PTE_NEXT(entry) != 7)
		return lg2;
	entry |= 0xfff;
	if (PTE_ADDR(entry) == GENMASK_ULL(51, 12))
		return 0;
	return ffz(entry) + 1 > lg2 && ffz(entry) + 1 < lg2 + 9 ? ffz(entry) + 1 : 0;
}

static const char *amd_model_entry_fault(u64 entry, unsigned int level)
{
	unsigned int next = PTE_NEXT(entry), lg2;

	if (next && next != 7) {
		if (entry & PDE_RESERVED)
			return "it points to a table and has reserved bits";
		if (next >= level)
			return "it does not lead downwards";
		if (PTE_ADDR(entry) >> AMD_MODEL_PA)
			return "its address is beyond the host's";
		return NULL;
	}
	if (entry & PTE_RESERVED)
		return "reserved bits are set";
	lg2 = amd_leaf_lg2(entry, level);
	if (!lg2)
		return "its size is none of its level's";
	if (!next && PTE_ADDR(entry) & (BIT_ULL(lg2) - 1))
		return "its address is not aligned to its size";
	if (PTE_ADDR(entry) >> AMD_MODEL_PA)
		return "its address is beyond the host's";
	return NULL;
}

/* All entries of a leaf that takes several say the same, or are not there (yet). */
static void amd_model_check_set(struct amd_model *m, u64 table, u64 iova, unsigned int level,
				u64 entry)
{
	unsigned int nr = BIT(amd_leaf_lg2(entry, level) - amd_level_lg2(level)), i;
	u64 other, at = amd_level_index(iova, level) & ~(nr - 1);

	i = omni_model_random(&m->base, nr);
	other = omni_memory_read(table + (at + i) * 8, amd_model_coherent(m));
	if (other & PTE_PR && other != OMNI_MEMORY_GARBAGE &&
	    (other ^ entry) & ~(PTE_A | PTE_D | PTE_SOFTWARE))
		omni_violation(&m->base,
			       "entries of one leaf of %#llx at level %u differ: %016llx, %016llx",
			       iova, level, entry, other);
}

/* 2.2.7: the unit marks what is used. Returns false if the entry changed meanwhile. */
static bool amd_model_touch(struct amd_model *m, u64 pa, u64 *entry, u64 bits)
{
	u64 new = *entry | bits;

	if (new == *entry)
		return true;
	if (cmpxchg64((u64 *)phys_to_virt(pa), *entry, new) != *entry)
		return false;
	*entry = new;
	m->touched++;
	return true;
}

static u64 amd_had_bits(unsigned int had, bool write)
{
	return (had ? PTE_A : 0) | (had == 3 && write ? PTE_D : 0);
}

static u8 amd_entry_perm(u64 entry)
{
	return (entry & PTE_IR ? OMNI_PERM_R : 0) | (entry & PTE_IW ? OMNI_PERM_W : 0);
}

/* The cached entry that is nearest to the leaf. */
static struct omni_cached *amd_model_best(struct amd_model *m, const struct omni_cached *dte,
					  u64 iova, unsigned int top)
{
	struct omni_cached *c, *best = NULL;

	for_each_cached(c, &m->base.tables)
		if (c->tag == dte->tag && c->space == amd_dte_space(dte->raw) && c->level <= top &&
		    omni_cached_meets(c, iova, iova) && (!best || c->level < best->level))
			best = c;
	return best;
}

/* The end of a walk: a leaf of 2^@lg2 bytes at @item.pa is cached, and permits or not. */
static int amd_model_leaf(struct amd_model *m, struct omni_cached item, u64 entry,
			  unsigned int lg2, u64 iova, bool write, struct amd_found *found)
{
	found->perm = item.perm;
	item.perm |= (entry & PTE_A ? KNOWN_A : 0) | (entry & PTE_D ? KNOWN_D : 0);
	/* A large leaf may be cached in smaller pieces. */
	if (lg2 > 12 && omni_model_random(&m->base, 2)) {
		unsigned int smaller = 12 + omni_model_random(&m->base, lg2 - 12);

		item.pa += iova & (BIT_ULL(lg2) - 1) & ~(BIT_ULL(smaller) - 1);
		lg2 = smaller;
	}
	item.lg2 = lg2;
	item.iova = iova >> lg2 << lg2;
	item.raw[0] = found->forced;
	omni_cache_add(&m->base, &m->base.tlb, item);
	found->lg2 = lg2;
	found->pa = item.pa | (iova & (BIT_ULL(lg2) - 1));
	return found->perm & (write ? OMNI_PERM_W : OMNI_PERM_R) ? 0 : REFUSED_PERMISSION;
}

static int amd_model_walk(struct amd_model *m, const struct omni_cached *dte, u64 iova,
			  bool write, struct amd_found *found)
{
	unsigned int level = DTE0_MODE(dte->raw[0]), had = DTE0_HAD(dte->raw[0]), next, lg2;
	u64 table = DTE0_ROOT(dte->raw[0]), entry, pa;
	struct omni_cached *best;
	struct omni_cached item;
	const char *why;

	found->perm = OMNI_PERM_R | OMNI_PERM_W;
	best = amd_model_best(m, dte, iova, level);
	if (best) {
		if (best->absent)
			return REFUSED_NOT_PRESENT;
		level = best->next;
		table = best->pa;
		found->perm = best->perm;
	}

	m->base.walks++;
	for (;;) {
		pa = table + amd_level_index(iova, level) * 8;
again:
		entry = omni_memory_read(pa, amd_model_coherent(m));
		if (entry == OMNI_MEMORY_GARBAGE) {
			omni_violation(&m->base,
				       "the line of %#llx at level %u was never written back",
				       iova, level);
			return REFUSED_NOT_PRESENT;
		}
		next = PTE_NEXT(entry);
		item = (struct omni_cached){
			.tag = dte->tag,
			.level = level,
			.next = next,
			.lg2 = amd_level_lg2(level),
			.pa = PTE_ADDR(entry),
		};
		item.iova = iova >> item.lg2 << item.lg2;
		if (!(entry & PTE_PR)) {
			item.absent = true;
			if (amd_model_absent(m))
				omni_cache_add(&m->base, level > 1 ? &m->base.tables :
					       &m->base.tlb, item);
			return REFUSED_NOT_PRESENT;
		}
		why = amd_model_entry_fault(entry, level);
		if (why) {
			omni_violation(&m->base, "entry %016llx of %#llx at level %u: %s", entry,
				       iova, level, why);
			found->reserved = true;
			return REFUSED_NOT_PRESENT;
		}
		item.perm = found->perm & amd_entry_perm(entry);
		if (!next || next == 7)
			break;
		/* Levels that are skipped translate nothing but zeroes. */
		if ((iova >> amd_level_lg2(next + 1)) & (BIT_ULL(9 * (level - next - 1)) - 1))
			return REFUSED_NOT_PRESENT;
		found->perm = item.perm;
		omni_cache_add(&m->base, &m->base.tables, item);
		table = item.pa;
		level = next;
	}
	if (next == 7)
		amd_model_check_set(m, table, iova, level, entry);
	if (item.perm & (write ? OMNI_PERM_W : OMNI_PERM_R) &&
	    !amd_model_touch(m, pa, &entry, amd_had_bits(had, write)))
		goto again;

	lg2 = amd_leaf_lg2(entry, level);
	item.pa = PTE_ADDR(entry) >> lg2 << lg2;
	found->forced = entry & PTE_FC;
	found->clean = had == 3 && !(entry & PTE_D);
	return amd_model_leaf(m, item, entry, lg2, iova, write, found);
}

/* Guest page tables: 2.2.6 */

static const char *amd_model_guest_entry_fault(const struct amd_model *m, u64 entry,
					       unsigned int level)
{
	bool leaf = level == 1 || entry & GPTE_PS;

	if (level > 3 && entry & GPTE_PS)
		return "reserved bits are set";
	/* Of a large leaf, bit 12 is PAT. */
	if (level > 1 && leaf && PTE_ADDR(entry) & GENMASK_ULL(amd_level_lg2(level) - 1, 13))
		return "its address is not aligned to its size";
	if (PTE_ADDR(entry) >> AMD_MODEL_PA)
		return "its address is beyond the host's";
	if (entry & GPTE_NX && !(m->config.efr & BIT_ULL(3)))
		return "the unit knows no NX";
	return NULL;
}

/* One entry of a guest page table, or of a GCR3 table; false if there is none to go by. */
static bool amd_model_guest_read(struct amd_model *m, u64 pa, struct omni_cached *item, u64 iova,
				 u64 *entry)
{
	*entry = omni_memory_read(pa, amd_model_coherent(m));
	item->iova = iova >> item->lg2 << item->lg2;
	if (*entry == OMNI_MEMORY_GARBAGE) {
		omni_violation(&m->base, "the line of %#llx at level %u was never written back",
			       iova, item->level);
		return false;
	}
	item->pa = PTE_ADDR(*entry);
	if (*entry & GPTE_P)
		return true;
	item->absent = true;
	if (amd_model_absent(m))
		omni_cache_add(&m->base, item->level > 1 ? &m->base.tables : &m->base.tlb, *item);
	return false;
}

static int amd_model_walk_guest(struct amd_model *m, const struct omni_cached *dte, u64 iova,
				bool write, struct amd_found *found)
{
	struct omni_cached item = { .tag = dte->tag, .space = amd_dte_space(dte->raw) }, *best;
	unsigned int level = amd_dte_levels(dte->raw);
	const char *why;
	u64 entry, pa;

	best = amd_model_best(m, dte, iova, GCR3_LEVEL);
	if (best && best->absent)
		return REFUSED_NOT_PRESENT;
	m->base.walks++;
	found->perm = OMNI_PERM_R | OMNI_PERM_W;
	if (best) {
		item = *best;
		found->perm = best->perm;
	} else {
		/* PASID 0 has the first entry. */
		item.level = GCR3_LEVEL;
		item.next = level;
		item.lg2 = GCR3_LG2;
		item.perm = found->perm;
		if (!amd_model_guest_read(m, amd_dte_gcr3(dte->raw), &item, iova, &entry))
			return REFUSED_NOT_PRESENT;
		if (entry & GCR3_RESERVED || item.pa >> AMD_MODEL_PA) {
			omni_violation(&m->base, "GCR3 entry %016llx of domain %u", entry,
				       dte->tag);
			found->reserved = true;
			return REFUSED_NOT_PRESENT;
		}
		omni_cache_add(&m->base, &m->base.tables, item);
	}
	for (;;) {
		level = item.next;
		pa = item.pa + amd_level_index(iova, level) * 8;
		item.level = level;
		item.next = level - 1;
		item.lg2 = amd_level_lg2(level);
again:
		if (!amd_model_guest_read(m, pa, &item, iova, &entry))
			return REFUSED_NOT_PRESENT;
		why = amd_model_guest_entry_fault(m, entry, level);
		if (why) {
			omni_violation(&m->base, "entry %016llx of %#llx at level %u: %s", entry,
				       iova, level, why);
			found->reserved = true;
			return REFUSED_NOT_PRESENT;
		}
		/* Requests without a PASID are a user's. */
		item.perm = found->perm & (!(entry & GPTE_US) ? 0 : entry & GPTE_RW ?
					   OMNI_PERM_R | OMNI_PERM_W : OMNI_PERM_R);
		if (level == 1 || entry & GPTE_PS)
			break;
		if (!amd_model_touch(m, pa, &entry, GPTE_A))
			goto again;
		found->perm = item.perm;
		omni_cache_add(&m->base, &m->base.tables, item);
	}
	if (item.perm & (write ? OMNI_PERM_W : OMNI_PERM_R) &&
	    !amd_model_touch(m, pa, &entry, GPTE_A | (write ? GPTE_D : 0)))
		goto again;
	item.pa = item.pa >> item.lg2 << item.lg2;
	/* No bit of it forces anything; D is no business of a device TLB here. */
	return amd_model_leaf(m, item, entry, item.lg2, iova, write, found);
}

/* Does a cached translation do, or has the unit to mark the leaf first? */
static bool amd_cached_knows(const struct omni_cached *c, unsigned int had, bool write)
{
	if (c->absent || !(c->perm & (write ? OMNI_PERM_W : OMNI_PERM_R)))
		return true;
	return (!had || c->perm & KNOWN_A) && (had != 3 || !write || c->perm & KNOWN_D);
}

static int amd_model_lookup(struct amd_model *m, const struct omni_cached *dte, u64 iova,
			    bool write, struct amd_found *found)
{
	unsigned int levels = amd_dte_levels(dte->raw), had = DTE0_HAD(dte->raw[0]);
	u32 space = amd_dte_space(dte->raw);
	struct omni_cached *c;

	/* Of requests without a PASID, no address is extended. */
	if (levels < 6 && iova >> amd_level_lg2(levels + 1))
		return REFUSED_NOT_PRESENT;
	for_each_cached(c, &m->base.tlb) {
		if (c->tag != dte->tag || c->space != space || !omni_cached_meets(c, iova, iova))
			continue;
		if (!amd_cached_knows(c, had, write)) {
			omni_cache_drop(&m->base.tlb, c);
			continue;
		}
		m->base.hits++;
		if (c->absent)
			return REFUSED_NOT_PRESENT;
		*found = (struct amd_found){
			.pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1)),
			.perm = c->perm & (OMNI_PERM_R | OMNI_PERM_W),
			.lg2 = c->lg2,
			.forced = c->raw[0],
			.clean = had == 3 && !(c->perm & KNOWN_D),
		};
		return c->perm & (write ? OMNI_PERM_W : OMNI_PERM_R) ? 0 : REFUSED_PERMISSION;
	}
	return space ? amd_model_walk_guest(m, dte, iova, write, found) :
		       amd_model_walk(m, dte, iova, write, found);
}

/* 3.4.5: addresses that pass untranslated for some devices, or for all. */
static bool amd_model_excluded(const struct amd_model *m, const struct omni_cached *dte, u64 iova)
{
	return m->excl_base & 1 && (m->excl_base & 2 || dte->raw[1] & DTE1_EX) &&
	       iova >= (m->excl_base & GENMASK_ULL(51, 12)) && iova <= (m->excl_limit | 0xfff);
}

/* One request, untranslated or a translation request. */
static int amd_model_translate(struct amd_model *m, u16 devid, u64 iova, bool write,
			       struct amd_found *found)
{
	struct omni_cached *dte;
	const char *why;
	u8 perm;
	int ret;

	*found = (struct amd_found){ .pa = iova, .lg2 = 12, .perm = OMNI_PERM_R | OMNI_PERM_W };
	if (m->base.evict && !omni_model_random(&m->base, 8)) {
		omni_cache_evict(&m->base, &m->base.entries);
		omni_cache_evict(&m->base, &m->base.tlb);
		omni_cache_evict(&m->base, &m->base.tables);
	}
	if (m->due) {
		omni_violation(&m->base, "%04x is served with caches of earlier times", devid);
		m->due = false;
	}
	dte = amd_model_entry(m, devid);
	if (!dte)
		return REFUSED_ILLEGAL;
	if (amd_model_dte_fault(m, dte->raw, &why))
		return REFUSED_BLOCKED;
	if (amd_model_excluded(m, dte, iova))
		return 0;

	perm = (dte->raw[0] & DTE0_IR ? OMNI_PERM_R : 0) |
	       (dte->raw[0] & DTE0_IW ? OMNI_PERM_W : 0);
	ret = amd_dte_translates(dte->raw) ? amd_model_lookup(m, dte, iova, write, found) : 0;
	found->perm &= perm;
	found->space = amd_dte_space(dte->raw);
	m->forced = found->forced;
	if (!ret && !(perm & (write ? OMNI_PERM_W : OMNI_PERM_R)))
		ret = REFUSED_PERMISSION;
	return ret;
}

/* Faults: 2.5.3 */

void amd_model_irq(struct irq_work *work)
{
	struct amd_model *m = container_of(work, struct amd_model, irq_work);
	int irq = READ_ONCE(m->unit->log.irq);

	if (irq > 0)
		generic_handle_irq(irq);
}

void amd_model_fault(struct amd_model *m, u16 devid, u16 domain, u64 iova, u64 flags)
{
	m->base.faults++;
	if (!m->base.mute)
		amd_model_log(m, 2ULL << 60 | (u64)domain << 32 | devid | flags, iova);
}

static void amd_model_refuse(struct amd_model *m, u16 devid, u64 iova, bool write, int reason,
			     bool reserved)
{
	u64 flags = (write ? BIT_ULL(53) : 0) | (reserved ? BIT_ULL(55) : 0);
	struct omni_cached *dte = NULL, *c;

	for_each_cached(c, &m->base.entries)
		if (c->rid == devid)
			dte = c;
	if (reason == REFUSED_PERMISSION)
		flags |= BIT_ULL(52) | BIT_ULL(54);
	if (reason == REFUSED_ILLEGAL) {
		m->base.faults++;
		return;
	}
	/* SA: nothing is logged; SE: no more than one until the entry is read again. */
	if (dte && (dte->raw[1] & DTE1_SA || (dte->raw[1] & DTE1_SE && dte->absent))) {
		m->base.faults++;
		return;
	}
	if (dte)
		dte->absent = true;
	amd_model_fault(m, devid, dte ? dte->tag : 0, iova, flags);
}

/* Accesses */

/* 2.1.3: a device with a device TLB, which asks before it accesses. */
static int amd_model_ats_dma(struct amd_model *m, u16 devid, u64 iova, bool write, u64 *pa)
{
	u8 perm = write ? OMNI_PERM_W : OMNI_PERM_R;
	struct omni_cached *c = omni_device_tlb_find(&m->base, devid, iova, perm), *dte;
	struct amd_found found;
	int reason;

	if (c) {
		*pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1));
		m->base.snooped = c->snoop;
	} else {
		reason = amd_model_translate(m, devid, iova, write, &found);
		/* An answer without permission is no fault. */
		if (reason == REFUSED_NOT_PRESENT || reason == REFUSED_PERMISSION)
			return reason;
		if (reason) {
			amd_model_refuse(m, devid, iova, write, reason, false);
			return reason;
		}
		omni_cache_add(&m->base, &m->base.device_tlb, (struct omni_cached){
			.rid = devid,
			.space = found.space,
			.snoop = found.forced,
			.lg2 = found.lg2,
			/* What was asked for reading may not be written unseen. */
			.perm = found.perm & ~(found.clean ? OMNI_PERM_W : 0),
			.iova = iova >> found.lg2 << found.lg2,
			.pa = found.pa >> found.lg2 << found.lg2,
		});
		*pa = found.pa;
		m->base.snooped = found.forced;
	}
	/* The translated request. */
	dte = amd_model_entry(m, devid);
	if (dte && dte->raw[1] & DTE1_I)
		return 0;
	omni_violation(&m->base, "%04x uses its device TLB on an entry that refuses it", devid);
	return REFUSED_ATS;
}

int amd_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa)
{
	struct amd_model *m = to_amd_model(base);
	struct amd_found found = { .pa = iova }, next;
	int reason;

	if (iova >= INTERRUPTS_FIRST && iova <= INTERRUPTS_LAST) {
		reason = write ? 0 : REFUSED_PERMISSION;
		if (reason)
			amd_model_refuse(m, rid, iova, write, reason, false);
		return reason;
	}
	if (test_bit(rid, base->ats_on))
		return amd_model_ats_dma(m, rid, iova, write, pa);
	reason = amd_model_translate(m, rid, iova, write, &found);
	*pa = found.pa;
	base->snooped = found.forced;
	if (reason)
		amd_model_refuse(m, rid, iova, write, reason, found.reserved);
	if (base->speculate)
		amd_model_translate(m, rid, iova + SZ_4K, false, &next);
	return reason;
}
