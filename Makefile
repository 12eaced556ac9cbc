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
.PHONY: modules demo demo-vm check check-clients check-install lint kunit mutants models bench \
	setup deb dkms-install dkms-remove clean help

modules:
	@[ -n "$(KDIR)" ] || { echo "no kernel headers: run scripts/setup.sh, or say KDIR=<headers>" >&2; exit 1; }
	@[ -z "$(FALLBACK)" ] || echo "no headers for the running kernel $$(uname -r): building for $(KDIR)"
	$(MAKE) -C $(KDIR) M=$(CURDIR) modules

setup:
	@scripts/setup.sh --all

demo:
	@scripts/setup.sh
	@python3 scripts/demo.py $(if $(VERBOSE),--verbose) $(if $(ARCH),--arch $(ARCH)) \
		$(if $(ACPI),--acpi) $(if $(VENDOR),--vendor $(VENDOR))

demo-vm: setup
	@python3 scripts/demo_vm.py $(if $(VERBOSE),--verbose) $(if $(VENDOR),--vendor $(VENDOR))

check: setup
	@python3 scripts/check.py $(if $(ARCH),--arch $(ARCH)) $(if $(ONLY),--only '$(value ONLY)') $(if $(LIST),--list) \
		$(if $(LONG),--long) $(if $(REFERENCE),--reference) $(if $(VERBOSE),--verbose) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(VENDOR),--vendor $(VENDOR))

check-clients: setup
	@python3 scripts/check.py --clients $(if $(ONLY),--only '$(value ONLY)') $(if $(LIST),--list) \
		$(if $(VERBOSE),--verbose) $(if $(JOBS),--jobs $(JOBS)) $(if $(VENDOR),--vendor $(VENDOR))

kunit: setup
	@python3 scripts/kunit.py $(if $(ARCH),--arch $(ARCH)) $(if $(SUITE),--suite '$(SUITE)') $(if $(KERNEL),--kernel $(KERNEL)) \
		$(if $(SEED),--seed $(SEED)) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(PART),--part $(PART)) $(if $(WHOLE),--whole)

lint: setup
	@python3 scripts/lint.py $(if $(ONLY),--only '$(value ONLY)')

mutants: setup
	@python3 scripts/mutants.py $(if $(ONLY),--only '$(ONLY)') $(if $(LIST),--list)

models:
	@scripts/models.sh

bench: setup
	@scripts/setup.sh --packages "to draw the charts of the benchmark" gnuplot-nox
	@python3 scripts/bench.py $(if $(SCALE),--scale) $(if $(SELFTEST),--selftest) \
		$(foreach v,$(VENDOR),--vendor $(v)) $(foreach d,$(DRIVER),--driver $(d)) \
		$(if $(PARTS),--parts '$(PARTS)') $(if $(RUNS),--runs $(RUNS)) \
		$(if $(KERNEL),--kernel $(KERNEL)) $(if $(JOBS),--jobs $(JOBS)) \
		$(if $(BASELINE),--baseline) $(if $(PROFILE),--profile $(PROFILE))

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
	@echo 'make setup           install the Debian packages that the tests need (asks for root once)'
	@echo 'make demo            the story in one QEMU guest, a verdict a line'
	@echo '  VENDOR=amd           on a machine with an AMD-Vi unit'
	@echo 'make demo-vm         a virtual machine in the guest gets the disk by vfio-pci, and gives it back'
	@echo '  VENDOR=amd           as above'
	@echo 'make check           every test: end to end in QEMU guests, and the KUnit suites'
	@echo '  ONLY=<regex>         only the boots whose name matches'
	@echo '  VENDOR=amd           only the boots with an AMD-Vi unit'
	@echo '  LIST=1               list boots and cases, run nothing'
	@echo '  LONG=1               1000 rounds of insmod and rmmod instead of 200'
	@echo '  JOBS=<n>             guests at once (as many as keep the processors busy)'
	@echo '  REFERENCE=1          run the checks on the kernel'"'"'s own driver instead'
	@echo 'make check-clients   other people'"'"'s programs: fio, DPDK'"'"'s testpmd, a virtual machine in the guest'
	@echo '  ONLY, VENDOR, LIST, JOBS  as above'
	@echo 'make kunit           the KUnit suites, on a test kernel built and cached when missing'
	@echo '  SUITE=<glob>         one suite or some'
	@echo '  KERNEL=debug|kcsan   on that test kernel instead of the plain one'
	@echo '  SEED=<n>             repeat the random program of a case, by the seed that was printed'
	@echo '  SEEDS=<n>            repeat all random programs of a whole run, by the number that make check printed'
	@echo '  WHOLE=1              all rounds of long programs (hours on kernels that check every access)'
	@echo '  PART=<n>             one of n rounds'
	@echo '  ARCH=arm64           on an arm64 test kernel'
	@echo 'make lint            compilers, sparse, checkpatch, kernel-doc, pyflakes, shellcheck'
	@echo '  ONLY=<regex>         some of them'
	@echo 'make mutants         put faults into the driver one by one: a suite has to notice each'
	@echo '  ONLY=<regex>, LIST=1 some of them, or just list them'
	@echo 'make models          models of the orders of memory accesses: each holds, and fails when broken'
	@echo 'make bench           cost beside the in-tree driver and a driver that does nothing; build/bench/'
	@echo '  BASELINE=1           make the costs measured what make check expects from now on'
	@echo '  VENDOR=, DRIVER=     only vtd, amd or smmu; only noop, ref or omni (several: in quotes)'
	@echo '  PARTS=<names>        of cases, dma, vfio, mixed, state, scale, locks (the first four)'
	@echo '  SCALE=1              state, scale and locks, too'
	@echo '  PROFILE=<case>       only list the instructions of one case, e.g. 4K, with how often each ran'
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
