// SPDX-License-Identifier: GPL-2.0-only
/*
 * The requester IDs that a PCI device may use (pci.c), and that each of them
 * is translated: devices made of memory, below bridges made of memory.
 */
#include "kit.h"

#include <linux/bitfield.h>
#include <linux/pci.h>
#include <linux/sizes.h>

#define ALIAS_BRIDGES	3
#define ALIAS_PCIE_CAP	0x40
/* The device is 03.0, or 03.1, of the lowest bus; buses are numbered from 20h at the root. */
#define ALIAS_BUS	0x20
#define ALIAS_SLOT	3
#define IOVA		0x40000000ULL
#define PA		0x10000000000ULL

/* What stands between a device and the root, as far as requester IDs go. */
enum alias_bridge {
	ALIAS_NOTHING,
	ALIAS_ROOT_PORT,
	ALIAS_UPSTREAM,
	ALIAS_DOWNSTREAM,
	ALIAS_PCIE_TO_PCI,
	ALIAS_PCI_TO_PCIE,
	ALIAS_PCI,		/* conventional, asks under its own ID */
	ALIAS_PCI_LIKE_PCIE,	/* conventional, does as a PCIe-to-PCI bridge does */
	ALIAS_XLATE_ROOT,	/* translation happens below it */
};

/**
 * struct alias_shape - one device and its place
 * @name: of the case
 * @fn: its function number
 * @phantom: top bits of the function number that it may use, by its capability
 * @phantom_on: the kernel let it
 * @quirk: a devfn of its bus that it uses wrongly, or 0
 * @bridge_quirk: one that the lowest bridge does, on its own bus, or 0
 * @bridge: from the root down
 * @ids: the IDs it may use, its own first
 */
struct alias_shape {
	const char *name;
	u8 fn;
	u8 phantom;
	bool phantom_on;
	u8 quirk;
	u8 bridge_quirk;
	enum alias_bridge bridge[ALIAS_BRIDGES];
	u32 ids[8];
};

static const struct alias_shape alias_shapes[] = {
	{ "alone", .ids = { 0x2018 } },
	{ "quirk_same_slot", .quirk = 0x19, .ids = { 0x2018, 0x2019 } },
	{ "quirk_function_0", .fn = 1, .quirk = 0x18, .ids = { 0x2019, 0x2018 } },
	{ "quirk_other_slot", .quirk = 0xe8, .ids = { 0x2018, 0x20e8 } },
	{ "phantom_off", .phantom = 1, .ids = { 0x2018 } },
	{ "phantom_none", .phantom_on = true, .ids = { 0x2018 } },
	{ "phantom_1", .phantom = 1, .phantom_on = true, .ids = { 0x2018, 0x201c } },
	{ "phantom_2", .fn = 1, .phantom = 2, .phantom_on = true,
	  .ids = { 0x2019, 0x201b, 0x201d, 0x201f } },
	{ "phantom_3", .phantom = 3, .phantom_on = true,
	  .ids = { 0x2018, 0x2019, 0x201a, 0x201b, 0x201c, 0x201d, 0x201e, 0x201f } },
	{ "root_port", .bridge = { ALIAS_ROOT_PORT }, .ids = { 0x2118 } },
	{ "switch", .bridge = { ALIAS_ROOT_PORT, ALIAS_UPSTREAM, ALIAS_DOWNSTREAM },
	  .quirk = 0x19, .ids = { 0x2318, 0x2319 } },
	{ "pcie_to_pci", .bridge = { ALIAS_ROOT_PORT, ALIAS_PCIE_TO_PCI },
	  .ids = { 0x2218, 0x2200 } },
	{ "pci_to_pcie", .bridge = { ALIAS_PCI_TO_PCIE }, .ids = { 0x2118, 0x2018 } },
	{ "pci_bridge", .bridge = { ALIAS_PCI }, .ids = { 0x2118, 0x2018 } },
	{ "pci_bridge_like_pcie", .bridge = { ALIAS_PCI_LIKE_PCIE }, .ids = { 0x2118, 0x2100 } },
	{ "pci_bridge_below_another", .bridge = { ALIAS_ROOT_PORT, ALIAS_PCIE_TO_PCI, ALIAS_PCI },
	  .ids = { 0x2318, 0x2218, 0x2200 } },
	{ "bridge_quirk", .bridge = { ALIAS_ROOT_PORT }, .bridge_quirk = 0x08,
	  .ids = { 0x2118, 0x2008 } },
	{ "xlate_root", .bridge = { ALIAS_XLATE_ROOT, ALIAS_PCIE_TO_PCI },
	  .ids = { 0x2218, 0x2200 } },
};

/**
 * struct alias_tree - a device and its bridges, all of memory
 * @shape: what it is
 * @bus: from the root down
 * @bridge: each on the bus of its index, above the next
 * @dev: the device, on the lowest bus
 * @quirk: the device's dma_alias_mask
 * @bridge_quirk: the lowest bridge's
 */
struct alias_tree {
	const struct alias_shape *shape;
	struct pci_bus bus[ALIAS_BRIDGES + 1];
	struct pci_dev bridge[ALIAS_BRIDGES];
	struct pci_dev dev;
	DECLARE_BITMAP(quirk, 256);
	DECLARE_BITMAP(bridge_quirk, 256);
};

static int alias_read(struct pci_bus *bus, unsigned int devfn, int where, int size, u32 *value)
{
	const struct alias_tree *tree = bus->sysdata;

	*value = 0;
	if (where == ALIAS_PCIE_CAP + PCI_EXP_DEVCAP)
		*value = FIELD_PREP(PCI_EXP_DEVCAP_PHANTOM, tree->shape->phantom);
	if (where == ALIAS_PCIE_CAP + PCI_EXP_DEVCTL && tree->shape->phantom_on)
		*value = PCI_EXP_DEVCTL_PHANTOM;
	return PCIBIOS_SUCCESSFUL;
}

static struct pci_ops alias_ops = { .read = alias_read };

static void alias_bridge_init(struct pci_dev *bridge, enum alias_bridge kind)
{
	static const u8 types[] = {
		[ALIAS_ROOT_PORT] = PCI_EXP_TYPE_ROOT_PORT,
		[ALIAS_UPSTREAM] = PCI_EXP_TYPE_UPSTREAM,
		[ALIAS_DOWNSTREAM] = PCI_EXP_TYPE_DOWNSTREAM,
		[ALIAS_PCIE_TO_PCI] = PCI_EXP_TYPE_PCI_BRIDGE,
		[ALIAS_PCI_TO_PCIE] = PCI_EXP_TYPE_PCIE_BRIDGE,
		[ALIAS_XLATE_ROOT] = PCI_EXP_TYPE_ROOT_PORT,
	};

	if (kind == ALIAS_PCI_LIKE_PCIE)
		bridge->dev_flags = PCI_DEV_FLAG_PCIE_BRIDGE_ALIAS;
	if (kind == ALIAS_XLATE_ROOT)
		bridge->dev_flags = PCI_DEV_FLAGS_BRIDGE_XLATE_ROOT;
	if (kind == ALIAS_PCI || kind == ALIAS_PCI_LIKE_PCIE)
		return;
	bridge->pcie_cap = ALIAS_PCIE_CAP;
	bridge->pcie_flags_reg = FIELD_PREP(PCI_EXP_FLAGS_TYPE, types[kind]);
}

static struct alias_tree *alias_plant(struct kunit *test, const struct alias_shape *shape)
{
	struct alias_tree *tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, tree);
	tree->shape = shape;
	for (n = 0; n < ARRAY_SIZE(tree->bus); n++) {
		tree->bus[n].number = ALIAS_BUS + n;
		tree->bus[n].ops = &alias_ops;
		tree->bus[n].sysdata = tree;
	}
	for (n = 0; n < ALIAS_BRIDGES && shape->bridge[n]; n++) {
		struct pci_dev *bridge = &tree->bridge[n];

		bridge->bus = &tree->bus[n];
		bridge->devfn = PCI_DEVFN(ALIAS_SLOT, 0);
		bridge->subordinate = &tree->bus[n + 1];
		tree->bus[n + 1].parent = &tree->bus[n];
		tree->bus[n + 1].self = bridge;
		alias_bridge_init(bridge, shape->bridge[n]);
	}
	if (shape->bridge_quirk) {
		set_bit(shape->bridge_quirk, tree->bridge_quirk);
		tree->bridge[n - 1].dma_alias_mask = tree->bridge_quirk;
	}
	tree->dev.bus = &tree->bus[n];
	tree->dev.devfn = PCI_DEVFN(ALIAS_SLOT, shape->fn);
	tree->dev.pcie_cap = ALIAS_PCIE_CAP;
	if (shape->quirk) {
		set_bit(shape->quirk, tree->quirk);
		tree->dev.dma_alias_mask = tree->quirk;
	}
	return tree;
}

static unsigned int alias_count(const struct alias_shape *shape)
{
	unsigned int n = 0;

	while (n < ARRAY_SIZE(shape->ids) && shape->ids[n])
		n++;
	return n;
}

static bool alias_expected(const struct alias_shape *shape, u32 rid)
{
	unsigned int i;

	for (i = 0; i < alias_count(shape); i++)
		if (shape->ids[i] == rid)
			return true;
	return false;
}

/* The IDs are those expected, each once, the device's own first. */
static void requester_ids_of_a_device(struct kunit *test)
{
	const struct alias_shape *shape = test->param_value;
	struct alias_tree *tree = alias_plant(test, shape);
	u32 *rids = NULL;
	int nr, i, k;

	nr = omni_pci_rids(&tree->dev, &rids);
	KUNIT_EXPECT_EQ(test, nr, alias_count(shape));
	KUNIT_EXPECT_TRUE(test, nr > 0 && rids[0] == shape->ids[0]);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE_MSG(test, alias_expected(shape, rids[i]), "%04x", rids[i]);
		for (k = 0; k < i; k++)
			KUNIT_EXPECT_NE(test, rids[k], rids[i]);
	}
	kfree(rids);
}

/* Attached, the device is translated as whichever of them it comes; detached, as none. */
static void alias_translated(struct kunit *test, const struct omni_kit *kit)
{
	const struct alias_shape *shape = test->param_value;
	struct alias_tree *tree = alias_plant(test, shape);
	struct omni_domain *domain;
	struct omni_device *od;
	struct omni_model *m;
	u32 *rids = NULL;
	unsigned int i;
	u64 pa;
	int nr;

	m = kit->create(test, omni_ordinary);
	m->mute = true;
	domain = omni_model_domain(m);
	KUNIT_ASSERT_EQ(test, omni_test_map(domain, IOVA, PA, SZ_4K, 1, IOMMU_READ | IOMMU_WRITE),
			0);
	od = omni_model_device(m, shape->ids[0], 0);
	nr = omni_pci_rids(&tree->dev, &rids);
	KUNIT_ASSERT_EQ(test, nr, alias_count(shape));
	memcpy(od->rids, rids, nr * sizeof(*rids));
	od->nr_rids = nr;
	kfree(rids);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, m->ops->reserve(m, od->rids[i]), 0);

	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NE(test, omni_access(m, shape->ids[i], IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, domain), 0);
	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, omni_access(m, shape->ids[i], IOVA, true, &pa), 0);
		KUNIT_EXPECT_EQ(test, pa, PA);
	}
	/* A neighbour is none of them. */
	KUNIT_EXPECT_NE(test, omni_access(m, shape->ids[0] ^ 0x40, IOVA, true, &pa), 0);
	KUNIT_EXPECT_EQ(test, omni_test_attach(od, NULL), 0);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_NE(test, omni_access(m, shape->ids[i], IOVA, true, &pa), 0);
}

static void every_requester_id_is_translated(struct kunit *test)
{
	unsigned int i;

	for (i = 0; omni_kits[i]; i++)
		alias_translated(test, omni_kits[i]);
}

static void alias_describe(const struct alias_shape *shape, char *text)
{
	strscpy(text, shape->name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(alias, alias_shapes, alias_describe);

static struct kunit_case pci_cases[] = {
	KUNIT_CASE_PARAM(requester_ids_of_a_device, alias_gen_params),
	KUNIT_CASE_PARAM(every_requester_id_is_translated, alias_gen_params),
	{ }
};

static struct kunit_suite pci_suite = {
	.name = "omni_pci",
	.test_cases = pci_cases,
};

kunit_test_suites(&pci_suite);
