// SPDX-License-Identifier: GPL-2.0-only
/*
 * The SMMUv3 model: stream table, context descriptors, walks, accesses (IHI
 * 0070, 3.3, 5.1 to 5.4; DDI 0487, D8.3). model_smmu_queue.c has what the
 * driver talks to, kit_smmu.c the model's life.
 *
 * One raw lock makes each access and each command one step. A CMD_SYNC is
 * consumed under the same lock, so an access that has begun is over before
 * the driver can learn that its invalidation is done.
 */
#include "model_freed.h"
#include "model_smmu.h"

#include <linux/sizes.h>

/* What an access is refused for: the event's number (7.3), or none for an abort. */
#define REFUSED_SID		0x02
#define REFUSED_STE		0x04
#define REFUSED_ATS		0x07
#define REFUSED_CD		0x0a
#define REFUSED_TRANSLATION	0x10
#define REFUSED_PERMISSION	0x13
#define REFUSED_ABORT		0x100

/* 5.1 */
#define L1_SPAN(x)		((x) & 31)
#define L1_TABLE(x)		((x) & GENMASK_ULL(51, 6))

/* 5.2: words of a stream table entry */
#define STE0_V			BIT_ULL(0)
#define STE0_CONFIG(x)		(((x) >> 1) & 7)
#define  CONFIG_BYPASS		4
#define  CONFIG_S1		5
#define  CONFIG_S2		6
#define STE0_CD(x)		((x) & GENMASK_ULL(51, 6))
/* S1Fmt, S1CDMax and what is reserved: no substreams. */
#define STE0_OTHERS		(GENMASK_ULL(5, 4) | GENMASK_ULL(63, 52))
#define STE1_STALLD		BIT_ULL(27)
#define STE1_EATS(x)		(((x) >> 28) & 3)
#define STE1_SHCFG(x)		(((x) >> 44) & 3)
/* All but S1CIR, S1COR, S1CSH, S1STALLD, EATS, SHCFG. */
#define STE1_OTHERS		(~(GENMASK_ULL(7, 2) | GENMASK_ULL(29, 27) | GENMASK_ULL(45, 44)))
#define STE2_VMID(x)		((x) & 0xffff)
#define STE2_T0SZ(x)		(((x) >> 32) & 63)
#define STE2_SL0(x)		(((x) >> 38) & 3)
#define STE2_TG(x)		(((x) >> 46) & 3)
#define STE2_PS(x)		(((x) >> 48) & 7)
#define STE2_AA64		BIT_ULL(51)
#define STE2_OTHERS		(GENMASK_ULL(31, 16) | GENMASK_ULL(53, 52) | \
				 GENMASK_ULL(57, 55) | GENMASK_ULL(63, 59))
#define STE3_TTB(x)		((x) & GENMASK_ULL(51, 4))

/* 5.4: words of a context descriptor */
#define CD0_T0SZ(x)		((x) & 63)
#define CD0_TG0(x)		(((x) >> 6) & 3)
#define CD0_EPD1		BIT_ULL(30)
#define CD0_V			BIT_ULL(31)
#define CD0_IPS(x)		(((x) >> 32) & 7)
#define CD0_AA64		BIT_ULL(41)
#define CD0_HD			BIT_ULL(42)
#define CD0_HA			BIT_ULL(43)
#define CD0_S			BIT_ULL(44)
#define CD0_A			BIT_ULL(46)
#define CD0_ASID(x)		((x) >> 48)
/* All but T0SZ, TG0, IR0, OR0, SH0, EPD1, V, IPS, AA64, HD, HA, S, R, A, ASET, ASID. */
#define CD0_OTHERS		(GENMASK_ULL(29, 14) | GENMASK_ULL(40, 35))
#define CD1_TTB(x)		((x) & GENMASK_ULL(51, 4))

/* DDI 0487 D8.3.1: descriptors */
#define LPAE_VALID		BIT_ULL(0)
#define LPAE_TABLE		BIT_ULL(1)
#define LPAE_S1_ATTR(x)		(((x) >> 2) & 7)
#define LPAE_BIT6		BIT_ULL(6)	/* stage 1: unprivileged; 2: readable */
#define LPAE_BIT7		BIT_ULL(7)	/* stage 1: read-only; 2: writable */
#define LPAE_SH(x)		(((x) >> 8) & 3)
#define LPAE_AF			BIT_ULL(10)
#define LPAE_NG			BIT_ULL(11)
#define LPAE_ADDR(x)		((x) & GENMASK_ULL(47, 12))
#define LPAE_DBM			BIT_ULL(51)
#define LPAE_CONT		BIT_ULL(52)
/* Of leaves: nT and GP, DBM, addresses beyond 48 bits, PBHA and what is reserved. */
#define LEAF_RESERVED		(BIT_ULL(5) | GENMASK_ULL(51, 48) | GENMASK_ULL(63, 59))
#define LEAF2_RESERVED		(GENMASK_ULL(51, 48) | BIT_ULL(11) | GENMASK_ULL(63, 59))
/* Of tables: addresses beyond 48 bits, and the attributes that go down the tree. */
#define TABLE_RESERVED		(GENMASK_ULL(51, 48) | GENMASK_ULL(63, 59))
#define LPAE_SOFTWARE		GENMASK_ULL(58, 55)

/* 5.2, 5.4: log2 of a granule, as entries and context descriptors have it */
static unsigned int smmu_tg0_lg2(unsigned int tg0)
{
	static const u8 lg2[] = { 12, 16, 14, 0 };

	return lg2[tg0];
}

/* Bytes below an entry. Levels are the driver's, leaf 0. */
static unsigned int smmu_level_lg2(unsigned int granule, unsigned int level)
{
	return granule + (granule - 3) * level;
}

/* Stream table entries: 5.1, 5.2 */

static const char *smmu_model_s1_fault(struct smmu_model *m, const u64 *ste)
{
	unsigned int stall = (m->config.idr0 >> 24) & 3;

	if (!(m->config.idr0 & SMMU_MODEL_S1P))
		return "the unit has no stage 1";
	if (STE0_CD(ste[0]) >> smmu_model_oas(m))
		return "its context descriptor is beyond the unit's addresses";
	if (!STE0_CD(ste[0]))
		return "it has no context descriptor";
	if (ste[1] & STE1_STALLD && stall)
		return "stalls can't be switched off";
	return NULL;
}

static unsigned int smmu_s2_top(u64 vmid)
{
	/* With 4K, SL0 2 begins with the manual's level 0, which is 3 here; else with 1. */
	return STE2_SL0(vmid) + !STE2_TG(vmid);
}

static const char *smmu_model_s2_fault(struct smmu_model *m, const u64 *ste)
{
	unsigned int bits = 64 - STE2_T0SZ(ste[2]), top = smmu_s2_top(ste[2]);
	unsigned int granule = smmu_tg0_lg2(STE2_TG(ste[2]));

	if (!(m->config.idr0 & SMMU_MODEL_S2P))
		return "the unit has no stage 2";
	if (!(ste[2] & STE2_AA64) || ste[2] & STE2_OTHERS)
		return "its stage 2 is none of the driver's";
	if (!smmu_model_has_granule(m, granule))
		return "the unit has no such granules";
	if (STE2_PS(ste[2]) > (m->config.idr5 & 7))
		return "its output is wider than the unit's";
	if (bits > max(smmu_model_oas(m), 40U))
		return "its input is wider than the unit's";
	/* D8.2: with one table at the level the walk begins. */
	if (STE2_SL0(ste[2]) > 2 || bits > smmu_level_lg2(granule, top + 1) ||
	    bits <= smmu_level_lg2(granule, top))
		return "its first level does not go with its width";
	if (STE2_SL0(ste[2]) == 2 && smmu_model_oas(m) < (granule == 14 ? 42 : 44))
		return "its walk may not begin with so high a level";
	if (STE3_TTB(ste[3]) & (BIT_ULL(granule) - 1) || ste[3] & ~GENMASK_ULL(51, 4))
		return "its root is not aligned";
	if (STE3_TTB(ste[3]) >> smmu_model_oas(m) || !STE3_TTB(ste[3]))
		return "its root is nowhere";
	return NULL;
}

int smmu_model_ste_fault(struct smmu_model *m, const u64 *ste, const char **why)
{
	*why = "it is not valid";
	if (!(ste[0] & STE0_V))
		return 1;
	*why = "reserved bits are set, or those of others";
	if (ste[0] & STE0_OTHERS || ste[1] & STE1_OTHERS)
		return -1;
	*why = "device TLBs are none of the unit's";
	if (STE1_EATS(ste[1]) > 1 || (STE1_EATS(ste[1]) && !(m->config.idr0 & SMMU_MODEL_ATS)))
		return -1;
	*why = "it changes the attributes of what it lets pass";
	if (STE1_SHCFG(ste[1]) != 1 && m->config.idr1 & BIT(27))
		return -1;
	switch (STE0_CONFIG(ste[0])) {
	case CONFIG_BYPASS:
		return 0;
	case CONFIG_S1:
		*why = smmu_model_s1_fault(m, ste);
		return *why ? -1 : 0;
	case CONFIG_S2:
		*why = smmu_model_s2_fault(m, ste);
		return *why ? -1 : 0;
	}
	*why = "it aborts";
	return STE0_CONFIG(ste[0]) < CONFIG_BYPASS ? 1 : -1;
}

/* Where a stream's entry is, 0 if there is none. 3.3.1 */
u64 smmu_model_ste_at(struct smmu_model *m, u32 sid)
{
	unsigned int lg2 = m->strtab_cfg & 63, split = (m->strtab_cfg >> 6) & 31, span;
	u64 base = m->strtab_base & GENMASK_ULL(51, 6), l1;

	if (sid >> lg2)
		return 0;
	if (!((m->strtab_cfg >> 16) & 3))
		return base + sid * 64;
	l1 = omni_memory_read(base + (sid >> split) * 8, smmu_model_coherent(m));
	if (l1 == OMNI_MEMORY_GARBAGE) {
		omni_violation(&m->base, "the first level for stream %04x was never written back",
			       sid);
		return 0;
	}
	span = L1_SPAN(l1);
	if (l1 & ~(GENMASK_ULL(51, 6) | 31) || span > 11 || span - 1 > split)
		if (span)
			omni_violation(&m->base, "the first level for stream %04x is %016llx", sid,
				       l1);
	if (!span || (sid & (BIT(split) - 1)) >> (span - 1))
		return 0;
	return L1_TABLE(l1) + (sid & (BIT(split) - 1)) * 64;
}

static const char *smmu_model_cd_fault(struct smmu_model *m, const u64 *cd)
{
	unsigned int granule = smmu_tg0_lg2(CD0_TG0(cd[0]));
	bool forced = ((m->config.idr0 >> 24) & 3) == 2;

	if (!(cd[0] & CD0_V))
		return "it is not valid";
	if (!(cd[0] & CD0_AA64) || !(cd[0] & CD0_EPD1))
		return "its tables are none of the driver's";
	if (!smmu_model_has_granule(m, granule))
		return "the unit has no such granules";
	if (cd[0] & CD0_OTHERS)
		return "reserved bits are set, or those of others";
	if (cd[0] & (CD0_HA | CD0_HD) && ((m->config.idr0 >> 6) & 3) < 2)
		return "the unit marks nothing";
	if (!(cd[0] & CD0_HA) != !(cd[0] & CD0_HD))
		return "dirty state without access flags, or the other way round";
	if (cd[0] & CD0_HD && !smmu_model_coherent(m))
		return "what it marks is not seen";
	if (CD0_T0SZ(cd[0]) < 16 || CD0_T0SZ(cd[0]) > 39)
		return "its width is reserved";
	if (CD0_IPS(cd[0]) > (m->config.idr5 & 7))
		return "its output is wider than the unit's";
	if (!!(cd[0] & CD0_S) != forced)
		return "stalls are none of the driver's";
	if (!(cd[0] & CD0_A))
		return "it ends refused accesses well";
	if (CD1_TTB(cd[1]) & (BIT_ULL(granule) - 1) || cd[1] & ~GENMASK_ULL(51, 4) ||
	    CD1_TTB(cd[1]) >> smmu_model_oas(m) || !CD1_TTB(cd[1]))
		return "its root is nowhere";
	if (cd[2])
		return "it has a second table";
	return NULL;
}

static unsigned int smmu_s1_top(u64 cd0)
{
	unsigned int granule = smmu_tg0_lg2(CD0_TG0(cd0));

	return (64 - CD0_T0SZ(cd0) - granule - 1) / (granule - 3);
}

/* What a stream means: entry and context descriptor, from the cache or from memory. */
struct smmu_stream {
	u64 ste[4];
	u64 cd[4];
};

static bool smmu_model_read(struct smmu_model *m, u64 at, unsigned int nr, u64 *words)
{
	unsigned int i;

	/* Anew for each 64 bits, and one may be older than the one before. */
	for (i = 0; i < nr; i++) {
		words[i] = omni_memory_read(at + i * 8, smmu_model_coherent(m));
		if (words[i] == OMNI_MEMORY_GARBAGE)
			return false;
	}
	return true;
}

/* Tables of one tag must be the same for all streams: what is cached is tagged with it. */
static void smmu_model_check_tag(struct smmu_model *m, u32 sid, const struct smmu_stream *s)
{
	bool stage2 = STE0_CONFIG(s->ste[0]) == CONFIG_S2;
	struct omni_cached *c;

	for_each_cached(c, &m->base.entries) {
		if (c->rid == sid || STE0_CONFIG(c->raw[0]) != STE0_CONFIG(s->ste[0]))
			continue;
		if (c->tag != (stage2 ? STE2_VMID(s->ste[2]) : CD0_ASID(s->cd[0])))
			continue;
		if (c->pa != (stage2 ? STE3_TTB(s->ste[3]) : CD1_TTB(s->cd[1])))
			omni_violation(&m->base,
				       "tag %u means a table for %04x and, still cached, another for %04x",
				       c->tag, sid, c->rid);
	}
}

/* 0, or what an access is refused for. */
static int smmu_model_stream(struct smmu_model *m, u32 sid, struct omni_cached **entry,
			     struct smmu_stream *s)
{
	struct omni_cached *c, new = { .rid = sid };
	const char *why;
	u64 at, rest[4];
	int fault;

	for_each_cached(c, &m->base.entries) {
		if (c->rid != sid)
			continue;
		memcpy(s->ste, c->raw, sizeof(s->ste));
		memset(s->cd, 0, sizeof(s->cd));
		s->cd[0] = c->iova;
		s->cd[1] = c->pa;
		*entry = c;
		return 0;
	}
	at = smmu_model_ste_at(m, sid);
	if (!at)
		return REFUSED_SID;
	if (!smmu_model_read(m, at, 4, s->ste) || !smmu_model_read(m, at + 32, 4, rest)) {
		omni_violation(&m->base, "the entry of %04x was never written back", sid);
		return REFUSED_STE;
	}
	if (!(s->ste[0] & STE0_V))
		return REFUSED_STE;
	fault = smmu_model_ste_fault(m, s->ste, &why);
	if (rest[0] | rest[1] | rest[2] | rest[3]) {
		why = "its second half is none of the driver's";
		fault = -1;
	}
	if (fault < 0) {
		omni_violation(&m->base, "entry of %04x, %*ph: %s", sid, 32, s->ste, why);
		return REFUSED_STE;
	}
	memset(s->cd, 0, sizeof(s->cd));
	if (STE0_CONFIG(s->ste[0]) == CONFIG_S1) {
		if (!smmu_model_read(m, STE0_CD(s->ste[0]), 4, s->cd)) {
			omni_violation(&m->base,
				       "the context descriptor of %04x was never written back",
				       sid);
			return REFUSED_CD;
		}
		why = smmu_model_cd_fault(m, s->cd);
		if (why) {
			omni_violation(&m->base, "context descriptor of %04x, %*ph: %s", sid, 32,
				       s->cd, why);
			return REFUSED_CD;
		}
		new.tag = CD0_ASID(s->cd[0]);
		new.pa = CD1_TTB(s->cd[1]);
		new.iova = s->cd[0];
		/* MAIR: uncached, cached, device; no other is looked for. */
		if (s->cd[3] != 0x04ff44)
			omni_violation(&m->base, "attributes %016llx", s->cd[3]);
	} else if (STE0_CONFIG(s->ste[0]) == CONFIG_S2) {
		new.tag = STE2_VMID(s->ste[2]);
		new.pa = STE3_TTB(s->ste[3]);
	}
	if (new.pa)
		smmu_model_check_tag(m, sid, s);
	memcpy(new.raw, s->ste, sizeof(new.raw));
	omni_cache_add(&m->base, &m->base.entries, new);
	return smmu_model_stream(m, sid, entry, s);
}

/* Walks: DDI 0487, D8.2 and D8.3 */

/* A translation on its way through caches and tables. */
struct smmu_found {
	u64 pa;
	u8 perm;
	u8 lg2;
	bool clean;
};

/* What a walk begins with. */
struct smmu_walk {
	u64 root;
	unsigned int top;
	unsigned int bits;
	unsigned int out;
	unsigned int granule;
	u16 tag;
	u16 vmid;
	bool stage2;
	bool marks;
};

static u64 smmu_level_index(const struct smmu_walk *w, u64 iova, unsigned int level)
{
	return (iova >> smmu_level_lg2(w->granule, level)) & (BIT(w->granule - 3) - 1);
}

/* D8.6.1: entries of a contiguous leaf, as a power of two */
static unsigned int smmu_cont(const struct smmu_walk *w, unsigned int level)
{
	switch (w->granule) {
	case 12:
		return 4;
	case 14:
		return level ? 5 : 7;
	default:
		return 5;
	}
}

static unsigned int smmu_leaf_lg2(const struct smmu_walk *w, u64 entry, unsigned int level)
{
	return smmu_level_lg2(w->granule, level) + (entry & LPAE_CONT ? smmu_cont(w, level) : 0);
}

static const char *smmu_model_entry_fault(const struct smmu_walk *w, u64 entry,
					  unsigned int level)
{
	if (LPAE_ADDR(entry) & (BIT_ULL(w->granule) - 1))
		return "its address is not aligned to the granule";
	if (LPAE_ADDR(entry) >> w->out)
		return "its address is beyond what the unit puts out";
	if (level && entry & LPAE_TABLE)
		return entry & TABLE_RESERVED ? "it points to a table and has reserved bits" : NULL;
	if (!level && !(entry & LPAE_TABLE))
		return "it is reserved at the lowest level";
	if (level > (w->granule == 12 ? 2 : 1))
		return "a leaf at too high a level";
	if (entry & (w->stage2 ? LEAF2_RESERVED : LEAF_RESERVED) & ~(w->marks ? LPAE_DBM : 0))
		return "reserved bits are set";
	if (LPAE_ADDR(entry) & (BIT_ULL(smmu_level_lg2(w->granule, level)) - 1))
		return "its address is not aligned to its size";
	if (!w->stage2 && !(entry & LPAE_NG))
		return "it is global";
	if (!(entry & LPAE_AF))
		return "its access flag is clear";
	if (!w->stage2 && LPAE_S1_ATTR(entry) > 2)
		return "nothing is said of such attributes";
	if (LPAE_SH(entry) == 1)
		return "its shareability is reserved";
	return NULL;
}

/* All entries of a contiguous leaf say the same, each of its part, or are not there (yet). */
static void smmu_model_check_set(struct smmu_model *m, const struct smmu_walk *w, u64 table,
				 u64 iova, unsigned int level, u64 entry)
{
	unsigned int nr = BIT(smmu_cont(w, level)), shift = smmu_level_lg2(w->granule, level);
	unsigned int at = smmu_level_index(w, iova, level);
	unsigned int other = (at & ~(nr - 1)) | omni_model_random(&m->base, nr);
	u64 value = omni_memory_read(table + other * 8, smmu_model_coherent(m));
	u64 want = entry + ((u64)other << shift) - ((u64)at << shift);

	if (value & LPAE_VALID && value != OMNI_MEMORY_GARBAGE &&
	    (value ^ want) & ~(LPAE_SOFTWARE | (entry & LPAE_DBM ? LPAE_BIT7 : 0)))
		omni_violation(&m->base,
			       "entries of one leaf of %#llx at level %u differ: %016llx, %016llx",
			       iova, level, entry, value);
	if (((LPAE_ADDR(entry) >> shift) & (nr - 1)) != (at & (nr - 1)))
		omni_violation(&m->base, "entry %016llx of %#llx is not aligned to its set", entry,
			       iova);
}

static u8 smmu_entry_perm(const struct smmu_walk *w, u64 entry)
{
	if (w->stage2)
		return (entry & LPAE_BIT6 ? OMNI_PERM_R : 0) |
		       (entry & LPAE_BIT7 ? OMNI_PERM_W : 0);
	if (!(entry & LPAE_BIT6))
		return 0;
	return OMNI_PERM_R | (entry & LPAE_BIT7 && !(entry & LPAE_DBM) ? 0 : OMNI_PERM_W);
}

/* D8.5.3: read-only, but a write makes it writable. */
static bool smmu_entry_clean(u64 entry)
{
	return entry & LPAE_DBM && entry & LPAE_BIT7;
}

static bool smmu_cached_is(const struct omni_cached *c, const struct smmu_walk *w)
{
	return c->tag == w->tag && c->raw[RAW_STAGE2] == w->stage2 && c->raw[RAW_VMID] == w->vmid &&
	       c->raw[RAW_GRANULE] == w->granule;
}

static int smmu_model_walk(struct smmu_model *m, const struct smmu_walk *w, u64 iova, bool write,
			   struct smmu_found *found)
{
	struct omni_cached *c, *best = NULL;
	unsigned int level = w->top, lg2;
	struct omni_cached item;
	u64 table = w->root, entry, at;
	const char *why;

	for_each_cached(c, &m->base.tables)
		if (smmu_cached_is(c, w) && omni_cached_meets(c, iova, iova) &&
		    (!best || c->level < best->level))
			best = c;
	if (best) {
		level = best->level - 1;
		table = best->pa;
	}

	m->base.walks++;
	for (;; level--) {
		at = table + smmu_level_index(w, iova, level) * 8;
again:
		entry = omni_memory_read(at, smmu_model_coherent(m));
		if (entry == OMNI_MEMORY_GARBAGE) {
			omni_violation(&m->base,
				       "the line of %#llx at level %u was never written back",
				       iova, level);
			return REFUSED_TRANSLATION;
		}
		if (!(entry & LPAE_VALID))
			return REFUSED_TRANSLATION;
		why = smmu_model_entry_fault(w, entry, level);
		if (why) {
			omni_violation(&m->base, "entry %016llx of %#llx at level %u: %s", entry,
				       iova, level, why);
			return REFUSED_TRANSLATION;
		}
		item = (struct omni_cached){
			.tag = w->tag,
			.level = level,
			.lg2 = smmu_level_lg2(w->granule, level),
			.pa = LPAE_ADDR(entry),
			.raw = { [RAW_STAGE2] = w->stage2, [RAW_VMID] = w->vmid,
				 [RAW_GRANULE] = w->granule },
		};
		item.iova = iova >> item.lg2 << item.lg2;
		if (!level || !(entry & LPAE_TABLE))
			break;
		omni_cache_add(&m->base, &m->base.tables, item);
		table = item.pa;
	}

	if (entry & LPAE_CONT)
		smmu_model_check_set(m, w, table, iova, level, entry);
	lg2 = smmu_leaf_lg2(w, entry, level);
	item.pa = LPAE_ADDR(entry) >> lg2 << lg2;
	item.perm = smmu_entry_perm(w, entry);
	/* Whoever changes the entry meanwhile is not overwritten. */
	if (write && smmu_entry_clean(entry)) {
		if (cmpxchg64((u64 *)phys_to_virt(at), entry, entry & ~LPAE_BIT7) != entry)
			goto again;
		entry &= ~LPAE_BIT7;
	}
	found->clean = smmu_entry_clean(entry);
	item.raw[RAW_CLEAN] = found->clean;
	found->perm = item.perm;
	/* A large leaf may be cached in smaller pieces. */
	if (lg2 > w->granule && omni_model_random(&m->base, 2)) {
		unsigned int smaller = w->granule + omni_model_random(&m->base, lg2 - w->granule);

		item.pa += iova & (BIT_ULL(lg2) - 1) & ~(BIT_ULL(smaller) - 1);
		lg2 = smaller;
	}
	item.lg2 = lg2;
	item.iova = iova >> lg2 << lg2;
	omni_cache_add(&m->base, &m->base.tlb, item);
	found->lg2 = lg2;
	found->pa = item.pa | (iova & (BIT_ULL(lg2) - 1));
	return found->perm & (write ? OMNI_PERM_W : OMNI_PERM_R) ? 0 : REFUSED_PERMISSION;
}

static int smmu_model_lookup(struct smmu_model *m, const struct smmu_walk *w, u64 iova,
			     bool write, struct smmu_found *found)
{
	struct omni_cached *c;

	if (w->bits < 64 && iova >> w->bits)
		return REFUSED_TRANSLATION;
	for_each_cached(c, &m->base.tlb) {
		if (!smmu_cached_is(c, w) || !omni_cached_meets(c, iova, iova))
			continue;
		if (write && c->raw[RAW_CLEAN]) {
			omni_cache_drop(&m->base.tlb, c);
			continue;
		}
		m->base.hits++;
		*found = (struct smmu_found){
			.pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1)),
			.perm = c->perm,
			.lg2 = c->lg2,
			.clean = c->raw[RAW_CLEAN],
		};
		return c->perm & (write ? OMNI_PERM_W : OMNI_PERM_R) ? 0 : REFUSED_PERMISSION;
	}
	return smmu_model_walk(m, w, iova, write, found);
}

/* One request, untranslated or a translation request. */
static int smmu_model_translate(struct smmu_model *m, u32 sid, u64 iova, bool write,
				struct smmu_found *found, struct omni_cached **entry)
{
	struct smmu_walk w = { };
	struct smmu_stream s;
	int ret;

	*found = (struct smmu_found){ .pa = iova, .lg2 = 12, .perm = OMNI_PERM_R | OMNI_PERM_W };
	*entry = NULL;
	if (m->base.evict && !omni_model_random(&m->base, 8)) {
		omni_cache_evict(&m->base, &m->base.entries);
		omni_cache_evict(&m->base, &m->base.tlb);
		omni_cache_evict(&m->base, &m->base.tables);
	}
	ret = smmu_model_stream(m, sid, entry, &s);
	if (ret)
		return ret;
	switch (STE0_CONFIG(s.ste[0])) {
	case CONFIG_BYPASS:
		return 0;
	case CONFIG_S1:
		w.root = s.cd[1];
		w.bits = 64 - CD0_T0SZ(s.cd[0]);
		w.granule = smmu_tg0_lg2(CD0_TG0(s.cd[0]));
		w.top = smmu_s1_top(s.cd[0]);
		w.marks = s.cd[0] & CD0_HD;
		w.out = min(smmu_model_oas(m), 48U);
		w.tag = CD0_ASID(s.cd[0]);
		/* 3.8: a unit that has stage 2 too tags with the VMID of the entry. */
		w.vmid = STE2_VMID(s.ste[2]);
		break;
	case CONFIG_S2:
		w.root = STE3_TTB(s.ste[3]);
		w.bits = 64 - STE2_T0SZ(s.ste[2]);
		w.granule = smmu_tg0_lg2(STE2_TG(s.ste[2]));
		w.top = smmu_s2_top(s.ste[2]);
		w.out = smmu_model_oas(m);
		w.vmid = STE2_VMID(s.ste[2]);
		w.tag = w.vmid;
		w.stage2 = true;
		break;
	default:
		return REFUSED_ABORT;
	}
	w.root = w.root >> 12 << 12;
	return smmu_model_lookup(m, &w, iova, write, found);
}

/* 3.9: a device with a device TLB, which asks before it accesses. */
static int smmu_model_ats_dma(struct smmu_model *m, u16 sid, u64 iova, bool write, u64 *pa)
{
	u8 perm = write ? OMNI_PERM_W : OMNI_PERM_R;
	struct omni_cached *c = omni_device_tlb_find(&m->base, sid, iova, perm), *entry;
	struct smmu_found found;
	struct smmu_stream s;
	int reason;

	if (c) {
		*pa = c->pa | (iova & (BIT_ULL(c->lg2) - 1));
	} else {
		reason = smmu_model_translate(m, sid, iova, write, &found, &entry);
		/* An answer without permission is no fault, nor is any other. */
		if (reason)
			return reason;
		omni_cache_add(&m->base, &m->base.device_tlb, (struct omni_cached){
			.rid = sid,
			.lg2 = found.lg2,
			/* 3.13.7: a write has to be asked for while the leaf is clean. */
			.perm = found.perm & ~(found.clean ? OMNI_PERM_W : 0),
			.iova = iova >> found.lg2 << found.lg2,
			.pa = found.pa >> found.lg2 << found.lg2,
		});
		*pa = found.pa;
	}
	/* The translated request, which the entry has to allow (CR0.ATSCHK). */
	if (!(m->cr0ack & BIT(4)))
		omni_violation(&m->base, "translated requests of %04x are not checked", sid);
	reason = smmu_model_stream(m, sid, &entry, &s);
	if (!reason && STE1_EATS(s.ste[1]) == 1 && STE0_CONFIG(s.ste[0]) > CONFIG_BYPASS)
		return 0;
	omni_violation(&m->base, "%04x uses its device TLB on an entry that refuses it", sid);
	return REFUSED_ATS;
}

int smmu_model_dma(struct omni_model *base, u16 rid, u64 iova, bool write, u64 *pa)
{
	struct smmu_model *m = to_smmu_model(base);
	struct smmu_found found = { .pa = iova }, next;
	struct omni_cached *entry;
	int reason;

	/* 13.6: nothing in an entry or a leaf makes up for what the request asks: never snooped. */
	if (test_bit(rid, base->ats_on))
		return smmu_model_ats_dma(m, rid, iova, write, pa);
	reason = smmu_model_translate(m, rid, iova, write, &found, &entry);
	*pa = found.pa;
	if (reason) {
		base->faults++;
		if (!base->mute && reason != REFUSED_ABORT)
			smmu_model_record(m, reason, rid, iova, write);
	}
	if (base->speculate)
		smmu_model_translate(m, rid, iova + SZ_4K, false, &next, &entry);
	return reason;
}

/* Freed tables */

static u64 smmu_freed_below(u64 entry, unsigned int *level)
{
	--*level;
	return entry & LPAE_VALID && entry & LPAE_TABLE ? LPAE_ADDR(entry) : 0;
}

static u64 smmu_freed_root(const struct omni_cached *c)
{
	return STE0_CONFIG(c->raw[0]) > CONFIG_BYPASS ? c->pa : 0;
}

void smmu_model_freed(struct omni_model *base, struct omni_freed *f)
{
	struct smmu_model *m = to_smmu_model(base);
	unsigned int sid, top;
	u64 ste[4], cd[4], at, root;
	const char *why;

	f->coherent = smmu_model_coherent(m);
	omni_freed_cached(f, smmu_freed_root);
	for_each_set_bit(sid, m->known, 65536) {
		at = smmu_model_ste_at(m, sid);
		if (!at || !smmu_model_read(m, at, 4, ste) || smmu_model_ste_fault(m, ste, &why))
			continue;
		if (STE0_CONFIG(ste[0]) == CONFIG_S1) {
			if (!smmu_model_read(m, STE0_CD(ste[0]), 4, cd))
				continue;
			root = CD1_TTB(cd[1]);
			f->entries = BIT(smmu_tg0_lg2(CD0_TG0(cd[0])) - 3);
			top = smmu_s1_top(cd[0]);
		} else if (STE0_CONFIG(ste[0]) == CONFIG_S2) {
			root = STE3_TTB(ste[3]);
			f->entries = BIT(smmu_tg0_lg2(STE2_TG(ste[2])) - 3);
			top = smmu_s2_top(ste[2]);
		} else {
			continue;
		}
		if (omni_freed_new(f, root) && omni_freed_reaches(f, root, top, smmu_freed_below))
			omni_freed_report(f, sid);
	}
}
