#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Mutation check: small faults, put into the driver one by one, each of which
some KUnit suite has to notice. A fault that nobody notices is a survivor and
counts as a failure: then a test is missing.

    scripts/mutants.py [--only REGEX] [--list]

A mutant is a piece of source that has to be there exactly once, and what
takes its place. It is built in a copy of the tree under build/mutants and run
in a guest with the suites that are named for its file, one after the other
until one of them notices.
"""

import argparse
import re
import shutil
import time
from pathlib import Path

import harness
import kunit

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutants"

# Suites that should notice a fault in a file, the likeliest first.
SUITES = {
    "flush.c": ["omni_flush", "omni_race", "omni_queue", "omni_entries"],
    "domains.c": ["omni_show"],
    "include/plan.h": ["omni_flush", "omni_race", "omni_units"],
    "include/flush.h": ["omni_flush", "omni_race"],
    "pgtable.c": ["omni_engine", "omni_flush", "omni_memory", "omni_engine_programs"],
    **dict.fromkeys(("include/pgtable_table.h", "include/pgtable_map.h",
                     "include/pgtable_unmap.h", "include/pgtable_read.h"),
                    ["omni_engine", "omni_flush", "omni_race", "omni_smmu", "omni_engine_programs"]),
    "attach.c": ["omni_entries", "omni_queue", "omni_race", "omni_amd"],
    "iommu_core.c": ["omni_units", "omni_queue", "omni_entries", "omni_race", "omni_memory", "omni_nc_edges"],
    "queue.c": ["omni_queue", "omni_shared", "omni_race"],
    "vtd/queue.c": ["omni_queue", "omni_vtd_queue", "omni_race"],
    "vtd/invalidate.c": ["omni_flush", "omni_units", "omni_race"],
    "include/queue.h": ["omni_flush", "omni_units", "omni_race"],
    "units.c": ["omni_queue", "omni_units", "omni_memory"],
    "vtd/tables.c": ["omni_entries", "omni_vtd_entries", "omni_queue", "omni_race"],
    "vtd/domain.c": ["omni_units", "omni_flush"],
    "amd/invalidate.c": ["omni_flush", "omni_race"],
    "amd/tables.c": ["omni_amd", "omni_entries", "omni_dirty", "omni_queue"],
    "smmu/tables.c": ["omni_smmu_entries", "omni_smmu", "omni_entries", "omni_dirty"],
    "amd/pgtable.c": ["omni_amd", "omni_dirty"],
    "amd/queue.c": ["omni_queue", "omni_amd"],
    "smmu/queue.c": ["omni_queue", "omni_smmu"],
    "amd/domain.c": ["omni_amd", "omni_flush", "omni_units"],
    "amd/format.h": ["omni_amd", "omni_engine", "omni_engine_programs"],
    "amd/firmware.c": ["omni_amd_firmware", "omni_firmware"],
    "smmu/invalidate.c": ["omni_smmu", "omni_flush"],
    "smmu/domain.c": ["omni_smmu", "omni_dirty"],
    "smmu/format.h": ["omni_engine", "omni_smmu", "omni_dirty", "omni_engine_programs"],
    "smmu/unit.c": ["omni_smmu"],
    "nc_pages.c": ["omni_nc_edges", "omni_noncoherent", "omni_nc_pages", "omni_nc_changes", "omni_nc_programs"],
    "noncoherent.c": ["omni_nc_edges", "omni_nc_changes", "omni_noncoherent", "omni_nc_programs"],
    "include/pgtable_track.h": ["omni_nc_edges", "omni_nc_changes", "omni_noncoherent", "omni_nc_programs"],
    "include/pgtable_hooks.h": ["omni_noncoherent", "omni_nc_changes", "omni_flush"],
    "omni_pages.c": ["omni_nc_edges", "omni_nc_pages"],
    "pci.c": ["omni_noncoherent", "omni_memory", "omni_race"],
}

# name, file, what is there, what takes its place
MUTANTS = [
    # What an operation must invalidate
    ("state/nothing-attached", "flush.c",
     "attached = rcu_dereference(domain->reach)->nr_units;",
     "attached = rcu_dereference(domain->reach)->nr_units > 1;"),
    ("plan/one-unit-forgotten", "include/queue.h",
     "		submit(reach, &reach->units[0], inv, &ticket);\n"
     "		err = omni_ask_wait(reach, &reach->units[0], inv, &ticket, submit, wait);", ""),
    ("plan/many-units-forgotten", "include/queue.h", "		err = many(reach, inv);", ""),
    ("plan/leaf-only-always", "include/plan.h",
     ".leaf_only = list_empty(&gather->freelist),",
     ".leaf_only = true,"),
    ("plan/forget-tail-page", "include/plan.h",
     ".last = gather->end >> OMNI_PAGE_LG2,",
     ".last = (gather->end - 1 - PAGE_SIZE) >> OMNI_PAGE_LG2,"),
    ("plan/forget-device-tlb", "include/plan.h",
     "		.leaf_only = list_empty(&gather->freelist),\n		.device_tlb = true,",
     "		.leaf_only = list_empty(&gather->freelist),\n		.device_tlb = false,"),
    ("plan/added-is-free", "flush.c",
     "switch (domain->flush_added) {", "switch (OMNI_ADDED_FREE) {"),
    ("plan/replaced-not-flushed", "flush.c",
     "		if (!list_empty(tables)) {\n			inv->device_tlb = true;",
     "		if (!list_empty(tables)) {\n			return false;"),
    ("plan/replaced-of-others", "flush.c",
     "	if (!list_empty(&domain->lazy)) {\n		spin_lock_irqsave(&domain->free_lock, flags);",
     "	if (true) {\n		spin_lock_irqsave(&domain->free_lock, flags);\n"
     "		list_splice_tail_init(&domain->replaced, tables);"),
    ("plan/replaced-forgotten", "flush.c",
     "if (table->base - iova < size)", "if (false)"),
    ("plan/lazy-tables-forgotten", "flush.c",
     "list_splice_tail_init(&domain->lazy, tables);", ""),
    ("gather/second-piece-lost", "include/plan.h",
     "	}\n	iommu_iotlb_gather_add_range(gather, iova, size);",
     "	} else {\n		iommu_iotlb_gather_add_range(gather, iova, size);\n	}"),
    ("gather/queued-freed-by-kernel", "flush.c",
     "list_splice_tail_init(tables, &domain->lazy);",
     "list_splice_tail_init(tables, &gather->freelist);"),
    ("gather/free-before-flush", "flush.c",
     "		list_splice_tail_init(tables, &gather->freelist);\n		return;",
     "		omni_tables_free(tables);\n		return;"),
    ("tables/free-after-failed-flush", "flush.c",
     "		INIT_LIST_HEAD(tables);\n	} else", "		omni_tables_free(tables);\n	} else"),
    ("readers/freed-under-a-reader", "flush.c",
     "			omni_tables_keep(domain, tables);", "			;"),
    ("readers/kept-for-ever", "domains.c",
     "	omni_tables_free(&kept);\n", ""),

    # SMMUv3: granules, levels told, marks, waits that sleep
    ("smmu/one-level-of-several", "smmu/invalidate.c",
     "inv->leaf_only && hweight8(inv->levels) == 1 ?", "inv->leaf_only && inv->levels ?"),
    ("smmu/a-level-for-tables", "smmu/invalidate.c",
     "inv->leaf_only && hweight8(inv->levels) == 1 ?", "hweight8(inv->levels) == 1 ?"),
    ("smmu/level-not-noted", "include/pgtable_unmap.h",
     "container_of(tables, struct PT_FN(gone), tables)->levels |= BIT(level);",
     "container_of(tables, struct PT_FN(gone), tables)->levels |= 1;"),
    ("smmu/ranges-of-4k", "smmu/invalidate.c", "SMMU_TG(unit->granule)", "SMMU_TG(SMMU_4K)"),
    ("smmu/any-granule", "smmu/unit.c", "	if (unit->granule > unit->page_lg2)", "	if (false)"),
    ("smmu/sets-of-16", "smmu/format.h",
     "granule == SMMU_4K ? 4 : granule == SMMU_16K && !level ? 7 : 5", "4"),
    ("smmu/high-level-of-a-narrow-unit", "smmu/domain.c", " - (unit->oas < bits);", ";"),
    ("smmu/clean-pages-fault", "smmu/tables.c",
     "		q0 |= SMMU_CD0_HA | SMMU_CD0_HD;", "		;"),
    ("smmu/dirty-from-the-start", "smmu/format.h",
     "? SMMU_PTE_S1_RDONLY | SMMU_PTE_S1_DBM : 0)", "? SMMU_PTE_S1_DBM : 0)"),
    ("smmu/no-event-asked-for", "smmu/queue.c",
     "			cmd.lo |= cpu_to_le64(FIELD_PREP(SMMU_SYNC_CS, SMMU_CS_SEV));", "			;"),

    # The engine
    ("engine/no-range-check", "include/pgtable_map.h",
     """	if (iova > pt->last || size - 1 > pt->last - iova ||
	    pa > pt->pa_last || size - 1 > pt->pa_last - pa)
		return -ERANGE;""", ""),
    ("engine/same-leaf-again", "include/pgtable_map.h",
     "		*leaf += step;\n", ""),
    ("engine/overwrite", "include/pgtable_map.h",
     "		if (unlikely(busy)) {", "		if (unlikely(busy && level)) {"),
    ("engine/replace-full-table", "include/pgtable_map.h",
     """		if (PT_FN(is_leaf)(old, level) ||
		    !PT_FN(hollow)(PT_FN(below)(old), level - 1))""",
     "		if (PT_FN(is_leaf)(old, level))"),
    ("engine/replace-is-added", "include/pgtable_map.h",
     "			*kind = OMNI_FLUSH_MODIFIED;\n", "			*kind = OMNI_FLUSH_ADDED;\n"),
    ("engine/unmap-from-middle-of-leaf", "include/pgtable_unmap.h",
     "			if (!aligned)\n				break;\n			PT_FN(note_level)(tables, level);",
     "			PT_FN(note_level)(tables, level);"),
    ("engine/unlink-with-holes", "include/pgtable_unmap.h",
     "			if (!aligned || entry_last > last ||\n			    (atomic_read(&desc->leaves) != PT_ENTRIES &&\n			     !PT_FN(full)(below, level - 1))) {",
     "			if (!aligned || entry_last > last) {"),
    ("engine/never-unlink", "include/pgtable_unmap.h",
     "			if (!aligned || entry_last > last ||\n			    (atomic_read(&desc->leaves) != PT_ENTRIES &&\n			     !PT_FN(full)(below, level - 1))) {",
     "			if (true) {"),
    ("engine/leaf-count-stays", "include/pgtable_unmap.h",
     """		atomic_sub(leaves - pending * OMNI_TABLE_PENDING,
			   &PT_FN(desc)(table)->leaves);""", "		leaves = 0;"),
    ("engine/table-count-stays", "include/pgtable_unmap.h",
     "		atomic_sub(unlinked, &PT_FN(desc)(table)->tables);", "		unlinked = 0;"),
    ("engine/children-leak", "include/pgtable_table.h",
     "			PT_FN(unlink)(PT_FN(below)(value), level - 1, list);\n", ""),
    ("engine/race-ignored", "include/pgtable_table.h",
     "	if (cmpxchg64(entry, 0, cpu_to_le64(value))) {\n		omni_table_free(table);\n		return false;\n	}",
     "	PT_FN(write)(entry, value);"),
    ("engine/offset-of-4k-only", "include/pgtable_read.h",
     "| (iova & offset);", "| (iova & 4095);"),
    ("engine/map-not-written-back", "include/pgtable_map.h",
     "			PT_FN(clean)(pt, table, i);\n", ""),
    ("engine/unmap-not-written-back", "include/pgtable_unmap.h",
     "		PT_FN(clean)(pt, &table[first], end - first);", "		end = 0;"),
    ("engine/link-not-written-back", "include/pgtable_table.h",
     "	omni_clean_lines(entry, sizeof(*entry));\n", ""),
    ("engine/set-of-one", "include/pgtable_map.h",
     "			for (j = 0; j < nr; j++)\n", "			for (j = 0; j < 1; j++)\n"),
    ("engine/set-looks-at-first-only", "include/pgtable_map.h",
     "		for (j = 1; j < nr && !busy; j++)\n", "		for (j = 1; j < 1 && !busy; j++)\n"),
    ("engine/set-cleared-in-part", "include/pgtable_unmap.h",
     "				nr = BIT(PT_FN(set)(value, level));\n", "				nr = 1;\n"),
    ("engine/set-cut", "include/pgtable_unmap.h",
     "				aligned = !(iova & (span * nr - 1));\n", ""),
    ("engine/set-replaced-in-part", "include/pgtable_map.h",
     """		PT_FN(write)(&entries[i], PT_FN(part)(leaf, i, level));
		if (!old)
			continue;""",
     """		if (!old)
			continue;
		PT_FN(write)(&entries[i], PT_FN(part)(leaf, i, level));"""),
    ("engine/root-below-nothing", "include/pgtable_map.h",
     "		PT_FN(write)(table, PT_FN(table)(virt_to_phys(old), top + 1));\n", ""),
    ("engine/root-not-counted", "include/pgtable_map.h",
     "		atomic_set(&PT_FN(desc)(table)->tables, 1);\n", ""),
    ("engine/root-race-ignored", "include/pgtable_map.h",
     "		if (new == word) {\n", "		if (true) {\n"),
    ("engine/root-not-written-back", "include/pgtable_map.h",
     "		PT_FN(write)(table, PT_FN(table)(virt_to_phys(old), top + 1));\n		PT_FN(clean)(pt, table, PT_ENTRIES);\n",
     "		PT_FN(write)(table, PT_FN(table)(virt_to_phys(old), top + 1));\n"),
    ("engine/found-beyond-root", "include/pgtable_read.h",
     "	if (iova > (PT_GROWS ? PT_FN(span_last)(level) : pt->last))\n", "	if (iova > pt->last)\n"),
    ("engine/short-way-beyond-root", "include/pgtable_table.h",
     "	return !(word & ~PAGE_MASK) && i < PT_ENTRIES;\n", "	return !(word & ~PAGE_MASK);\n"),
    ("engine/short-way-to-a-set", "amd/format.h",
     "	return !((entry - AMD_PTE_PR) & (AMD_PTE_PR | AMD_PTE_NEXT));",
     "	return entry & AMD_PTE_PR;"),
    ("engine/unmap-beyond-root", "include/pgtable_unmap.h",
     "	if (PT_GROWS && iova > PT_FN(span_last)(level))\n", "	if (false)\n"),
    ("engine/new-table-not-written-back", "include/pgtable_table.h",
     "			return ERR_PTR(-ENOMEM);\n		PT_FN(clean)(pt, table, PT_ENTRIES);",
     "			return ERR_PTR(-ENOMEM);"),

    ("engine/one-leaf-over-another", "include/pgtable_map.h",
     "	if (PT_FN(read)(entry))\n		goto out;\n	PT_FN(write)(entry, PT_FN(leaf)",
     "	PT_FN(write)(entry, PT_FN(leaf)"),
    ("engine/one-leaf-not-counted", "include/pgtable_unmap.h",
     "	PT_FN(write)(entry, 0);\n	atomic_dec(&PT_FN(desc)(entry)->leaves);\n",
     "	PT_FN(write)(entry, 0);\n"),
    ("engine/one-leaf-not-written-back", "include/pgtable_map.h",
     "	atomic_inc(&PT_FN(desc)(entry)->leaves);\n	PT_FN(clean)(pt, entry, 1);\n",
     "	atomic_inc(&PT_FN(desc)(entry)->leaves);\n"),
    ("engine/one-leaf-not-aligned", "include/pgtable_unmap.h",
     "		return !(iova & (size - 1)) && PT_FN(clear_leaf)(pt, iova, 1);",
     "		return PT_FN(clear_leaf)(pt, iova, 1);"),
    ("engine/tables-count-not-as-content", "include/pgtable_map.h",
     "	if (!(atomic_read(&desc->leaves) | atomic_read(&desc->tables)))\n		return true;",
     "	if (!atomic_read(&desc->leaves))\n		return true;"),
    ("engine/full-table-not-written-back", "include/pgtable_map.h",
     "	PT_FN(row)(table, PT_ENTRIES, leaf | pt->leaf_bits, step);\n	PT_FN(clean)(pt, table, PT_ENTRIES);",
     "	PT_FN(row)(table, PT_ENTRIES, leaf | pt->leaf_bits, step);"),
    ("engine/full-table-without-leaf-bits", "include/pgtable_map.h",
     "PT_FN(row)(table, PT_ENTRIES, leaf | pt->leaf_bits, step);",
     "PT_FN(row)(table, PT_ENTRIES, leaf, step);"),
    ("entry/failed-flush-forgotten", "vtd/tables.c",
     "	unit->unflushed = ret;\n",
     ""),
    # The queue
    ("queue/wait-for-nothing", "vtd/queue.c",
     "return (u32)(pos >> VTD_QUEUE_LG2) + 1;", "return (u32)(pos >> VTD_QUEUE_LG2);"),
    ("queue/error-ignored", "vtd/queue.c",
     "return likely(READ_ONCE(unit->core.queue.errors) == ticket->errors) ? 0 : -EAGAIN;",
     "return 0;"),
    ("queue/overrun", "queue.c",
     "while (q->tail - ops->consumed(unit) + nr + 1 > q->slots) {", "while (false) {"),
    ("queue/bad-descriptor-stays", "vtd/queue.c",
     "		*bad = vtd_desc_fence(unit);\n", ""),
    ("queue/timeout-is-success", "vtd/queue.c",
     """		ret = omni_queue_wait(&unit->core, ticket);
		if (ret)
			return ret;""",
     """		ret = omni_queue_wait(&unit->core, ticket);
		if (ret)
			return 0;"""),
    ("queue/never-broken", "units.c",
     "	unit->broken = true;\n", ""),
    ("queue/iotlb-error-stays", "vtd/queue.c",
     "		vtd_write32(unit, VTD_FSTS, VTD_FSTS_ITE);\n", ""),
    # Shared waits
    ("shared/never", "include/queue.h", "	if (unlikely(!llist_empty(&q->line)))", "	if (false)"),
    ("shared/any-wait-will-do", "queue.c", "		ticket->pos = q->tail;\n",
     "		ticket->pos = 1;\n"),
    ("shared/no-wait", "queue.c",
     "	if (q->ended != q->tail && !q->dead)\n		ops->end(unit);\n", ""),
    ("shared/full-of-what-is-not-told", "queue.c",
     "	if (q->ended != q->tail)\n		ops->end(unit);\n	while", "	while"),
    ("shared/one-is-enough", "queue.c",
     "		omni_queue_put(unit, ops, ticket);\n		own += !ticket->done;\n",
     "		if (!own)\n			omni_queue_put(unit, ops, ticket);\n		own++;\n"),
    ("shared/nobody-helps-himself", "queue.c",
     "		if (raw_spin_trylock_irqsave(&q->lock, flags)) {\n			omni_queue_serve",
     "		if (ticket->nr > 99 && raw_spin_trylock_irqsave(&q->lock, flags)) {\n"
     "			omni_queue_serve"),

    # Lowering
    ("lower/mask-off-by-one", "vtd/invalidate.c",
     "unsigned int am = fls64(inv->first ^ inv->last);",
     "unsigned int am = inv->first == inv->last ? 0 : fls64(inv->first ^ inv->last) - 1;"),
    ("lower/mask-of-size", "vtd/invalidate.c",
     "unsigned int am = fls64(inv->first ^ inv->last);",
     "unsigned int am = fls64(inv->last - inv->first);"),
    ("lower/ignore-mamv", "vtd/invalidate.c",
     "|| am >= unit->psi_orders)",
     "|| am > 52)"),
    ("lower/address-not-aligned", "vtd/invalidate.c",
     "inv->first >> am << (am + VTD_PAGE_LG2) |",
     "inv->first << VTD_PAGE_LG2 |"),
    ("lower/device-tlb-size", "vtd/invalidate.c",
     "	unsigned int lg2 = fls64(inv->first ^ inv->last);", "	unsigned int lg2 = 0;"),
    ("lower/first-unit-only", "include/queue.h",
     "min(reach->nr_units - first, OMNI_FANOUT);", "1;"),
    ("lower/no-wait", "include/queue.h",
     "		err = omni_ask_wait(reach, &reach->units[0], inv, &ticket, submit, wait);",
     "		err = 0;"),

    # Entries
    ("entry/device-tlb-on-at-once", "pci.c", "	synchronize_rcu_expedited();\n	ret = pci_enable_ats",
     "	ret = pci_enable_ats"),
    ("entry/device-tlb-moves-at-once", "attach.c",
     "	else if (od->ats)\n		synchronize_rcu_expedited();\n", ""),
    ("entry/old-domain-not-flushed", "vtd/tables.c",
     "	for (i = 0; i < nr_dids; i++)\n", "	for (i = 0; i < 0; i++)\n"),
    ("entry/flush-under-new-id", "vtd/tables.c",
     "descs[n++] = vtd_desc_context(VTD_G_DEVICE, present ? did : 0,",
     "descs[n++] = vtd_desc_context(VTD_G_DEVICE, present ? new_did : 0,"),
    ("entry/two-steps", "vtd/tables.c",
     "	old.whole = omni_entry_swap(&entry->whole, new.whole);",
     "	old = *entry;\n	entry->lo = 0;\n	vtd_clean(unit, entry, sizeof(*entry));\n"
     "	entry->hi = new.hi;\n	entry->lo = new.lo;"),
    ("entry/caching-mode-forgotten", "vtd/tables.c",
     "	bool cached = unit->cap & VTD_CAP_CM;", "	bool cached = false;"),
    ("entry/aliases-forgotten", "attach.c",
     "	for (i = 0; i < od->nr_rids; i++)\n		/* A device", "	for (i = 0; i < 1; i++)\n		/* A device"),
    ("entry/first-batch-not-reverted", "attach.c",
     "	for (i = 0; i < nr; i += batch) {", "	for (i = nr > 8 ? 8 : 0; i < nr; i += batch) {"),
    ("entry/gap-left", "attach.c",
     "		memmove(&changes[changed], &changes[i], batch * sizeof(*changes));\n", ""),
    ("entry/detach-gives-up", "attach.c",
     "i < nr && !(err && revert); i += batch", "i < nr && !err; i += batch"),
    ("entry/shared-alias-taken-away", "attach.c",
     "		if (!od->leaving || !omni_rid_shared(od, od->rids[i]))\n", ""),
    ("entry/device-tlb-stays-on", "attach.c",
     "	if (!ats)\n		omni_ats_off(od);\n", ""),
    ("entry/device-tlb-forgotten", "vtd/tables.c",
     "	if (READ_ONCE(od->ats))\n		descs[n++]", "	if (false)\n		descs[n++]"),
    ("entry/not-written-back", "vtd/tables.c",
     "	vtd_clean(unit, entry, sizeof(*entry));\n	return old;", "	return old;"),
    ("entry/no-fence", "vtd/tables.c",
     "	descs[n++] = vtd_desc_fence(unit);\n	for", "	for"),

    # Reach and domains
    ("reach/attach-unannounced", "iommu_core.c",
     "	*tag = new->units[at].tag;\n	omni_reach_publish(domain, new);",
     "	*tag = new->units[at].tag;\n	new->nr_units = old->nr_units;\n	omni_reach_publish(domain, new);",),
    ("reach/tag-not-given-back", "iommu_core.c",
     "		omni_tag_put(gone.unit, gone.tag);", "		gone.tag = 0;"),
    ("reach/tag-reused-after-failure", "iommu_core.c",
     "	if (gone.unit && !err)", "	if (gone.unit)"),
    ("domain/coherency-ignored", "vtd/domain.c",
     "	if (!domain->pt.incoherent && !(unit->ecap & VTD_ECAP_C))\n		return false;\n", ""),
    ("domain/caching-mode-ignored", "vtd/domain.c",
     """	return vtd_added(unit) == OMNI_ADDED_FREE ||
	       domain->flush_added == vtd_added(unit);""", "	return true;"),
    # AMD-Vi: lowering
    ("amd/pde-bit-never", "amd/invalidate.c",
     "(inv->leaf_only ? 0 : AMD_PAGES_HI_PDE)", "0"),
    ("amd/pde-bit-always", "amd/invalidate.c",
     "(inv->leaf_only ? 0 : AMD_PAGES_HI_PDE)", "AMD_PAGES_HI_PDE"),
    ("amd/size-off-by-one", "amd/invalidate.c",
     "| (BIT_ULL(lg2 - 1) - 1);", "| (BIT_ULL(lg2 - 1) / 2);"),
    ("amd/device-tlb-forgotten", "amd/invalidate.c",
     "!READ_ONCE(od->ats) || omni_device_gone(od))", "READ_ONCE(od->ats) || omni_device_gone(od))"),

    # AMD-Vi: entries and growth
    ("amd/entry-not-forgotten", "amd/tables.c",
     "		cmds[n++] = amd_cmd_devtab(changes[i].rid);", "		;"),
    ("amd/old-domain-not-flushed", "amd/tables.c",
     "		if (j == i && (domain || unit->cap & AMD_CAP_NPCACHE))", "		if (false)"),
    ("amd/no-fence", "amd/tables.c",
     "	cmds[n++] = amd_cmd_fence();\n	for (i = 0; i < nr; i++) {\n		struct amd_dte old",
     "	for (i = 0; i < nr; i++) {\n		struct amd_dte old"),
    ("amd/two-steps", "amd/tables.c",
     "	old.half[0] = omni_entry_swap(&unit->table[rid].half[0], new.half[0]);",
     "	old = unit->table[rid];\n	WRITE_ONCE(unit->table[rid].data[0], cpu_to_le64(AMD_DTE0_V | AMD_DTE0_TV));\n	amd_read64(unit, AMD_STATUS);\n	WRITE_ONCE(unit->table[rid].data[1], new.data[1]);\n	WRITE_ONCE(unit->table[rid].data[0], new.data[0]);"),
    ("amd/blocked-may-read", "amd/tables.c",
     "	return amd_dte_make(0, own);", "	return amd_dte_make(AMD_DTE0_IR, own);"),
    ("amd/growth-not-shown", "amd/pgtable.c",
     "return likely(amd_v1_follows(domain)) ? 0 : amd_follow(domain);",
     "return 0;"),
    ("amd/growth-not-flushed", "amd/tables.c",
     "		amd_link_refresh(link, domain);\n", "		amd_link_refresh(link, domain);\n		link->ticket.done = true;\n		link->ticket.err = 0;\n		continue;\n"),

    # AMD-Vi: domains, queue, formats, firmware
    ("amd/coherency-not-forced", "amd/domain.c",
     ".leaf_bits = unit->fc ? AMD_PTE_FC : 0,", ".leaf_bits = 0,"),
    ("amd/np-cache-forgotten", "amd/domain.c",
     "return unit->cap & AMD_CAP_NPCACHE ? OMNI_ADDED_CACHED : OMNI_ADDED_FREE;",
     "return OMNI_ADDED_FREE;"),
    ("amd/errors-not-heard", "amd/queue.c",
     "	return likely(READ_ONCE(unit->core.queue.errors) == ticket->errors) ? 0 : -EAGAIN;",
     "	return 0;"),
    ("amd/silent-device-tlb", "amd/queue.c",
     "	if (unlikely(ticket->device_tlb)) {", "	if (false) {"),
    ("amd/size-of-a-set", "amd/format.h",
     "(BIT_ULL(lg2 - 1) - 1) & AMD_PTE_ADDR", "(BIT_ULL(lg2 - 2) - 1) & AMD_PTE_ADDR"),
    ("amd/alias-forgotten", "amd/firmware.c",
     "		devids.aliased = true;\n", ""),
    ("amd/lower-type-counts", "amd/firmware.c",
     "	if (other->type > ivhd->type) {", "	if (other->type < ivhd->type) {"),

    # SMMUv3: entries and context descriptors
    ("smmu/entry-not-forgotten", "smmu/tables.c",
     "		cmds[n++] = smmu_cmd(SMMU_OP_CFGI_STE, changes[i].rid, SMMU_CFGI_HI_LEAF);", "		;"),
    ("smmu/old-tag-not-flushed", "smmu/tables.c",
     "		if (tag)\n			cmds[n++] = smmu_cmd_all_of_tag", "		if (false)\n			cmds[n++] = smmu_cmd_all_of_tag"),
    ("smmu/entry-and-tag-at-once", "smmu/tables.c",
     """	ret = omni_submit_wait(&unit->core, cmds, n);
	if (ret)
		return ret;

	/* Only now can nothing come to the TLBs any more by the old entries. */
	for (i = 0, n = 0; i < nr; i++) {""", "	for (i = 0, ret = 0; !ret && i < nr; i++) {"),
    ("smmu/descriptor-of-another-domain", "smmu/tables.c",
     "	if (memcmp(cd, &new, sizeof(new))) {", "	if (!cd->q[0]) {"),
    ("smmu/descriptor-not-written-back", "smmu/tables.c",
     "		smmu_clean(unit, cd, sizeof(*cd));\n", ""),
    ("smmu/descriptor-anew-with-each-attach", "smmu/tables.c",
     "	if (memcmp(cd, &new, sizeof(new))) {", "	memset(cd, 0, sizeof(*cd));\n	smmu_clean(unit, cd, sizeof(*cd));\n	if (true) {"),
    ("smmu/stage-2-under-its-feet", "smmu/tables.c",
     "			smmu_store(unit, &ste->q[0], smmu_config(SMMU_CONFIG_ABORT));\n			err = smmu_sync_entry", "			err = smmu_sync_entry"),

    # The count of pages that non-coherent domains map, and their cleaning
    ("nc/not-cleaned-in", "nc_pages.c",
     "	nc_clean(chunk, run, end, false);\n", ""),
    ("nc/large-not-cleaned-in", "nc_pages.c",
     "	nc_clean(chunk, run, NC_PAGES, false);\n", ""),
    ("nc/not-cleaned-out", "nc_pages.c",
     "	nc_clean(chunk, run, end, true);\n	omni_count_add(OMNI_NC_OWED, owed);",
     "	omni_count_add(OMNI_NC_OWED, owed);"),
    ("nc/forget-tail-page", "nc_pages.c",
     "	nc_clean_memory(base + run, end - run, out);",
     "	nc_clean_memory(base + run, end - run - (end - run > 1), out);"),
    ("nc/forget-shared-count-in", "nc_pages.c",
     "		if (!(chunk->pages[i]++ | chunk->whole))", "		if (!chunk->pages[i]++)"),
    ("nc/forget-shared-count-out", "nc_pages.c",
     "		if (!(--chunk->pages[i] | chunk->whole))", "		if (!--chunk->pages[i])"),
    ("nc/forget-one-of-two-domains", "nc_pages.c",
     "		if (!(chunk->pages[i]++ | chunk->whole))",
     "		if (!(chunk->pages[i] | chunk->whole) && ++chunk->pages[i])"),
    ("nc/large-forgets-small", "nc_pages.c",
     """		shared++;
		nc_left(chunk, run, i, lazy);
		run = i + 1;
	}
	nc_left(chunk, run, NC_PAGES, lazy);""",
     """		shared++;
	}
	nc_left(chunk, run, NC_PAGES, lazy);"""),
    ("nc/reserved-is-memory", "nc_pages.c",
     "	if (PageReserved(pfn_to_page(pfn)))\n		return OMNI_NC_RESERVED;\n", ""),
    ("nc/uncached-is-memory", "nc_pages.c",
     "	return map->cached ? OMNI_NC_MEMORY : OMNI_NC_UNCACHED;", "	return OMNI_NC_MEMORY;"),
    ("nc/unmapped-is-memory", "nc_pages.c",
     "	if (!map->present)\n		return OMNI_NC_UNMAPPED;\n", ""),
    ("nc/skipped-page-takes-the-rest", "nc_pages.c",
     "		nc_skip(kind);\n		nc_clean_memory(base + run, i - run, out);\n",
     "		nc_skip(kind);\n"),
    ("nc/hold-ignored", "nc_pages.c",
     "	return chunk->held || (chunk->holds && chunk->holds[i]);", "	return false;"),
    ("nc/debt-not-paid", "nc_pages.c",
     "	nc_clean(chunk, run, end, true);\n	nc_put(chunk);", "	nc_put(chunk);"),
    ("nc/debt-stays-on-entry", "nc_pages.c",
     "		__clear_bit(i, chunk->owed);\n		if (!(chunk->pages",
     "		if (!(chunk->pages"),
    ("nc/debt-stays-on-large-entry", "nc_pages.c",
     "	bitmap_zero(chunk->owed, NC_PAGES);\n", ""),
    ("nc/chunk-stays", "nc_pages.c",
     "	gone = !--chunk->users && !chunk->total;", "	gone = !--chunk->users && false;"),
    ("nc/counted-after-failure", "nc_pages.c",
     "		omni_nc_out(pa, at - pa, whole);\n", "		at = pa;\n"),
    ("nc/all-caches-not-cleaned", "nc_pages.c",
     "		nc_clean_all();\n	}", "	}"),

    # The state of a domain
    ("state/mapped-before-is-forgotten", "noncoherent.c",
     "		ret = nc->ops->track(domain);", "		ret = 0;"),
    ("state/failed-entry-not-undone", "noncoherent.c",
     """		if (ret) {
			nc->ops->untrack(domain, false);""",
     """		if (ret) {"""),
    ("state/kernel-domains-too", "noncoherent.c",
     " || domain->iommu.type != IOMMU_DOMAIN_UNMANAGED", ""),
    ("state/no-device-may-not-snoop", "noncoherent.c",
     "	return od->snoop == OMNI_SNOOP_MAYBE;",
     "	return od->snoop == OMNI_SNOOP_MAYBE && !dev_is_pci(od->dev);"),
    ("state/first-to-leave-ends-it", "noncoherent.c",
     "	if (--nc->devices || nc->enforced)", "	if (nc->devices-- == 1 || nc->enforced)"),
    ("state/enforced-with-mappings", "noncoherent.c",
     "	if (!nc->ops->mapped(domain) && list_empty(&domain->lazy)) {", "	if (true) {"),
    ("state/freed-with-pending", "noncoherent.c",
     "	domain->nc.ops->untrack(domain, true);", "	domain->nc.ops->untrack(domain, false);"),
    ("state/stale-for-the-first", "noncoherent.c",
     "		domain->iommu.ops->flush_iotlb_all(&domain->iommu);", "		;"),
    ("state/left-behind", "iommu_core.c",
     "		if (od->counted)\n			omni_nc_leave(old);\n", ""),
    ("state/leave-before-enter", "iommu_core.c",
     "	if (state == OMNI_PAGING && old == domain)\n		return 0;\n",
     """	if (state == OMNI_PAGING && old == domain)
		return 0;
	if (od->counted) {
		mutex_lock(&old->attach_lock);
		omni_nc_leave(old);
		mutex_unlock(&old->attach_lock);
		od->counted = false;
	}
"""),
    ("state/failed-attach-stays-counted", "iommu_core.c",
     """		omni_reach_remove(domain, od, ret);
		if (counted)
			omni_nc_leave(domain);""",
     "		omni_reach_remove(domain, od, ret);"),
    ("pci/no-snoop-left-on", "pci.c",
     "	pcie_capability_write_word(pdev, PCI_EXP_DEVCTL, ctl);\n	return true;", "	return true;"),
    ("pci/no-snoop-as-it-is", "pci.c",
     "	pcie_capability_write_word(pdev, PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_NOSNOOP_EN);\n", ""),

    # Maps and unmaps of a tracked domain
    ("track/clean-after-publish", "include/pgtable_track.h",
     """		counted = counts;
		ret = PT_FN(map_as)(""",
     """		if (counts && !counted)
			omni_nc_out(pa, size, whole);
		ret = PT_FN(map_as)(&domain->pt, iova, pa, lg2, size >> lg2, bits, gfp, &done,
				    replaced, true);
		if (counts && !counted)
			omni_nc_in(pa, size, whole, gfp);
		counted = counts;
		if (done < size)
			ret = PT_FN(map_as)("""),
    ("track/counted-after-short-map", "include/pgtable_track.h",
     "	if (counted && done < size)\n		omni_nc_out(pa + done, size - done, whole);\n", ""),
    ("track/forget-unlinked-tables", "include/pgtable_track.h",
     "	PT_FN(out_tables)(&gather->freelist, lazy);\n", ""),
    ("track/others-pending", "include/pgtable_track.h",
     "(!tag || PT_FN(pend_tag)(value) == tag)", "(!tag || PT_FN(pend_tag)(value))"),
    ("track/forget-tail-page", "include/pgtable_track.h",
     "	const u64 last = gather->end;", "	const u64 last = gather->end ? gather->end - SZ_4K : 0;"),
    ("track/full-batch-lost", "include/pgtable_track.h",
     "			if (!omni_nc_batch_add(batch, PT_FN(pa)(value), span, level))\n				break;",
     "			omni_nc_batch_add(batch, PT_FN(pa)(value), span, level);"),
    ("track/place-taken-without-flush", "include/pgtable_track.h",
     "		if (batch.nr && !any) {\n", "		if (false) {\n"),
    ("track/leaves-stay-marked", "include/pgtable_track.h",
     "			PT_FN(mark)(table, i, n, false);\n", ""),
    ("track/clean-before-invalidate", "include/pgtable_hooks.h",
     "	if (omni_plan_sync(domain, gather, &inv) && !PT_SKIP_UNMAP_FLUSH) {\n",
     """	if (gather->pgsize)
		PT_FN(sync_slowly)(domain, gather);
	if (omni_plan_sync(domain, gather, &inv) && !PT_SKIP_UNMAP_FLUSH) {
"""),
    ("track/failed-invalidation-not-cleaned", "include/pgtable_hooks.h",
     "	if (unlikely(PT_SLOWLY(gather)))\n", "	if (unlikely(PT_SLOWLY(gather)) && !err)\n"),
    ("track/flush-of-all-settles-nothing", "include/pgtable_hooks.h",
     "		PT_FN(flush_slowly)(domain, &tables);", "		;"),
    ("track/table-goes-with-pending", "include/pgtable_unmap.h",
     "		atomic_sub(leaves - pending * OMNI_TABLE_PENDING,\n", "		atomic_sub(leaves,\n"),
    ("pages/second-run-stays", "omni_pages.c",
     "			if (done)\n				iommu_unmap(domain, iova, done * PAGE_SIZE);\n", ""),
    ("pages/not-let-go-after-failure", "omni_pages.c",
     "			omni_pages_let_go(obj, i);\n", ""),
    ("state/no-grace-period", "noncoherent.c",
     "		synchronize_rcu_expedited();\n", "		;\n"),
    ("state/enforced-with-queued-tables", "noncoherent.c",
     "	if (!nc->ops->mapped(domain) && list_empty(&domain->lazy)) {",
     "	if (!nc->ops->mapped(domain)) {"),
    ("state/queued-tables-forgotten", "noncoherent.c",
     "	domain->nc.ops->unlinked(&domain->lazy);\n", ""),
    ("state/tags-without-rounds", "noncoherent.c",
     "	nc->round++;\n", ""),
    ("state/round-without-settling", "noncoherent.c",
     "	if (tag > OMNI_NC_TAG)\n		return 0;\n",
     "	if (tag > OMNI_NC_TAG) {\n		atomic_set(&nc->tag, 1);\n		nc->round++;\n		tag = 1;\n	}\n"),
    ("state/attach-looks-too-early", "iommu_core.c",
     "		mutex_lock(&domain->attach_lock);\n		/* Locked: what is enforced meanwhile may be more than the unit can do. */\n		ret = wing->compatible(domain, od->unit) ? 0 : -EINVAL;\n",
     "		ret = wing->compatible(domain, od->unit) ? 0 : -EINVAL;\n		mutex_lock(&domain->attach_lock);\n"),
    ("nc/small-count-overflows", "nc_pages.c",
     "	} else if (!nc_room(chunk->pages, first, end)) {", "	} else if (false) {"),
    ("nc/large-count-overflows", "nc_pages.c",
     "		if (!nc_may_grow(chunk->whole))\n", "		if (false)\n"),
    ("nc/hold-overflows", "nc_pages.c",
     "	} else if (!nc_room(chunk->holds, first, end)) {", "	} else if (false) {"),
    ("nc/large-hold-overflows", "nc_pages.c",
     "		if (!nc_may_grow(chunk->held)) {", "		if (false) {"),
    ("nc/all-caches-from-there-on", "nc_pages.c",
     "bytes >> 20 <= above)", "bytes >> 20 < above)"),
    ("nc/all-caches-never", "nc_pages.c",
     "	if (omni_nc_bulk_owner == current) {", "	if (false) {"),
    ("nc/all-caches-for-nothing", "nc_pages.c",
     "	if (omni_nc_bulk_pages) {", "	if (true) {"),
    ("nc/any-way-out-is-lazy", "nc_pages.c",
     "	nc_out(pa, bytes, whole, false);\n", "	nc_out(pa, bytes, whole, true);\n"),
    ("nc/last-release-pays", "nc_pages.c",
     "		if (__test_and_clear_bit(i, chunk->owed))\n",
     "		if (!nc_held(chunk, i) && __test_and_clear_bit(i, chunk->owed))\n"),
    ("track/tables-are-no-content", "include/pgtable_track.h",
     "	return !(atomic_read(&desc->leaves) | atomic_read(&desc->tables));",
     "	return !atomic_read(&desc->leaves);"),
    ("track/any-sync-is-lazy", "include/pgtable_track.h",
     "	const bool lazy = gather->pgsize & OMNI_NC_LAZY;\n", "	const bool lazy = true;\n"),
    ("track/a-sync-of-another-round", "include/pgtable_track.h",
     "		u32 tag = omni_nc_tag_of(&domain->nc, gather);\n",
     "		u32 tag = gather->pgsize & OMNI_NC_TAG;\n"),
    ("pages/no-unmap-is-lazy", "omni_pages.c",
     "		gather.pgsize = OMNI_NC_LAZY;\n", "		;\n"),
]


# Faults of a subject that has suites of its own, wherever they are put.
FIRST = {"state": "omni_nc_changes", "track": "omni_nc_changes", "shared": "omni_shared",
         "readers": "omni_show"}


def suites(mutant):
    """The suites that should notice a fault, the likeliest first."""
    first = FIRST.get(mutant[0].split("/")[0])
    rest = [s for s in SUITES[mutant[1]] if s != first]
    return [first] + rest if first else rest


def prepare():
    """A fresh copy of the tree to break."""
    if WORK.exists():
        shutil.rmtree(WORK)
    shutil.copytree(ROOT, WORK, ignore=shutil.ignore_patterns(
        ".git", "build", "*.o", "*.ko", "*.cmd", "*.mod", "*.mod.c", "__pycache__",
        "Module.symvers", "modules.order"))


def apply(mutant):
    """Put one fault in; returns what undoes it."""
    name, file, old, new = mutant
    path = WORK / file
    text = path.read_text()
    if text.count(old) != 1:
        raise harness.HarnessError(
            f"mutant {name}: its place in {file} occurs {text.count(old)} times, not once")
    path.write_text(text.replace(old, new))
    return lambda: path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", metavar="REGEX", help="run only the mutants whose name matches")
    parser.add_argument("--list", action="store_true", help="list them, run nothing")
    arguments = parser.parse_args()
    mutants = [m for m in MUTANTS if not arguments.only or re.search(arguments.only, m[0])]

    prepare()
    # Each has to have its place, also when they are only listed.
    for m in mutants:
        apply(m)()
    if arguments.list:
        for m in mutants:
            print(f"{m[0]:36} {m[1]}")
        print(f"{len(mutants)} faults, each with its place in the source")
        return 0
    killed, survivors = 0, []
    for number, m in enumerate(mutants, 1):
        start = time.time()
        undo = apply(m)
        try:
            noticed = next(filter(None, (kunit.first_failure(WORK, s) for s in suites(m))), None)
        except harness.HarnessError as e:
            raise harness.HarnessError(f"mutant {m[0]} proves nothing, it can't be tried: {e}")
        undo()
        verdict = f"noticed by {noticed}" if noticed else "SURVIVED"
        print(f"[{number}/{len(mutants)}] {m[0]:36} {verdict} ({time.time() - start:.0f} s)",
              flush=True)
        if noticed:
            killed += 1
        else:
            survivors.append(m[0])
    for name in survivors:
        print(f"survivor: {name}: no suite notices this fault")
    return harness.closing(["PASS"] * killed + ["FAIL"] * len(survivors))


if __name__ == "__main__":
    harness.start("mutants", main)
