# SPDX-License-Identifier: GPL-2.0
# `make help` lists the targets. Kbuild says what the module is made of.

# ARCH=arm64 cross-builds for Debian's arm64 kernel, which scripts/arm64.sh unpacks.
ifeq ($(ARCH),arm64)
KDIR ?= $(shell scripts/arm64.sh --kdir)
endif
KDIR ?= $(shell d=/lib/modules/$$(uname -r)/build; [ -e $$d/Makefile ] && echo $$d)
ifeq ($(KDIR),)
# The running kernel has no headers here: the newest 6.12 that has them will do.
KDIR := $(shell scripts/setup.sh --kdir 2>/dev/null)
FALLBACK := y
endif

.DEFAULT_GOAL := modules
.PHONY: modules demo check check-install kunit mutants bench setup deb dkms-install dkms-remove clean help

modules:
	@[ -n "$(KDIR)" ] || { echo "no kernel headers: run scripts/setup.sh, or say KDIR=<headers>" >&2; exit 1; }
	@[ -z "$(FALLBACK)" ] || echo "no headers for the running kernel $$(uname -r): building for $(KDIR)"
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

setup:
	@scripts/setup.sh

demo: setup
	@python3 scripts/demo.py $(if $(VERBOSE),--verbose) $(if $(ARCH),--arch $(ARCH)) \
		$(if $(ACPI),--acpi) $(if $(VENDOR),--vendor $(VENDOR))

check: setup
	@python3 scripts/check.py $(if $(ARCH),--arch $(ARCH)) $(if $(ONLY),--only '$(value ONLY)') $(if $(LIST),--list) \
		$(if $(LONG),--long) $(if $(REFERENCE),--reference) $(if $(VERBOSE),--verbose) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(VENDOR),--vendor $(VENDOR))

kunit: setup
	@python3 scripts/kunit.py $(if $(SUITE),--suite '$(SUITE)') $(if $(KERNEL),--kernel $(KERNEL)) \
		$(if $(SEED),--seed $(SEED))

mutants: setup
	@python3 scripts/mutants.py $(if $(ONLY),--only '$(ONLY)') $(if $(LIST),--list)

bench: setup
	@scripts/setup.sh --packages "to draw the charts of the benchmark" gnuplot-nox
	@python3 scripts/bench.py $(if $(SCALE),--scale) $(if $(SELFTEST),--selftest) \
		$(foreach v,$(VENDOR),--vendor $(v)) $(foreach d,$(DRIVER),--driver $(d)) \
		$(if $(PARTS),--parts '$(PARTS)') $(if $(RUNS),--runs $(RUNS)) \
		$(if $(KERNEL),--kernel $(KERNEL)) $(if $(JOBS),--jobs $(JOBS))

check-install: setup
	@python3 scripts/install_check.py $(if $(ONLY),--only '$(value ONLY)') $(if $(LIST),--list) \
		$(if $(LONG),--compile) $(if $(VERBOSE),--verbose)

deb:
	@scripts/deb.sh

dkms-install:
	@scripts/install.sh dkms $(KERNELS)

dkms-remove:
	@scripts/install.sh remove

clean:
	@if [ -n "$(KDIR)" ]; then $(MAKE) -C $(KDIR) M=$(CURDIR) clean; fi
	rm -rf build scripts/__pycache__

help:
	@echo 'make                 build omniommu.ko for the running kernel'
	@echo 'make KDIR=<headers>  build it for another kernel'
	@echo 'make ARCH=arm64      cross-build it for Debian'"'"'s arm64 kernel, downloaded when missing'
	@echo 'make setup           install the Debian packages that demo and check need (asks for root once)'
	@echo 'make demo            the story in one QEMU guest, a verdict a line'
	@echo '  VENDOR=amd           on a machine with an AMD-Vi unit'
	@echo 'make check           every test: end to end in QEMU guests, and the KUnit suites'
	@echo '  ONLY=<regex>         only the boots whose name matches'
	@echo '  VENDOR=amd           only the boots with an AMD-Vi unit'
	@echo '  LIST=1               list boots and cases, run nothing'
	@echo '  LONG=1               1000 rounds of insmod and rmmod instead of 200'
	@echo '  JOBS=<n>             guests at once (one more than there are processors)'
	@echo '  REFERENCE=1          run the checks on the kernel'"'"'s own driver instead'
	@echo 'make kunit           the KUnit suites, on a test kernel built and cached when missing'
	@echo '  SUITE=<glob>         one suite or some'
	@echo '  KERNEL=debug|kcsan   on that test kernel instead of the plain one'
	@echo '  SEED=<n>             repeat the random programs of an earlier run'
	@echo 'make mutants         put faults into the driver one by one: a suite has to notice each'
	@echo '  ONLY=<regex>, LIST=1 some of them, or just list them'
	@echo 'make bench           cost beside the in-tree driver and a driver that does nothing; build/bench/'
	@echo '  VENDOR=, DRIVER=     only vtd or amd; only noop, ref or omni (several: in quotes)'
	@echo '  PARTS=<names>        of cases, dma, vfio, state, scale (the first three)'
	@echo '  SCALE=1              state and scale, too'
	@echo '  RUNS=<n>             boots of each kind that have to agree (2)'
	@echo '  KERNEL=stock         on the distribution'"'"'s kernel instead of the plain test kernel'
	@echo '  SELFTEST=1           only show that a case that fails is noticed'
	@echo 'make check-install   installing, booting and removing it in guests with a real Debian'
	@echo '  ONLY, LIST           as above; LONG=1 lets DKMS compile in the guests, too'
	@echo 'make deb             the Debian package omniommu-dkms, in build/deb'
	@echo 'make dkms-install    install for good, as root: DKMS builds it for every supported kernel'
	@echo '  KERNELS=<versions>   for these kernels only'
	@echo 'make dkms-remove     undo that'
	@echo 'make clean           remove what was built'
	@echo 'VERBOSE=1            with demo or check: stream the consoles'
	@echo 'Logs of the guests are in build/logs.'
