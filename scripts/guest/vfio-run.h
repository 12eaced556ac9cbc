/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Finding the devices and running the cases: main() of the VFIO test programs.
 * The program defines PREFIX, the first word of its cases' names, and tests[].
 */
#ifndef OMNI_GUEST_VFIO_RUN_H
#define OMNI_GUEST_VFIO_RUN_H

/* ---- devices ---- */

static bool sysfs_hex(const char *bdf, const char *attr, unsigned long *v)
{
	char path[320], text[32];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, attr);
	if (!read_text(path, text, sizeof(text)))
		return false;
	*v = strtoul(text, NULL, 16);
	return true;
}

/*
 * Behind a PCIe-to-PCI bridge a device is seen as function 00.0 of the
 * bridge's secondary bus.
 */
static void find_alias(struct edu *e)
{
	char path[160], real[4096], *slash;
	unsigned char cfg[256];
	int fd, pos, n;

	e->alias[0] = 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", e->bdf);
	if (!realpath(path, real) || !(slash = strrchr(real, '/')))
		return;
	strcpy(slash, "/config");
	fd = open(real, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = pread(fd, cfg, sizeof(cfg), 0);
	close(fd);
	if (n < (int)sizeof(cfg) || !(cfg[6] & 0x10))
		return;
	for (pos = cfg[0x34] & ~3; pos >= 0x40 && pos < 0xfc; pos = cfg[pos + 1] & ~3) {
		if (cfg[pos] != 0x10)
			continue;
		if ((cfg[pos + 2] >> 4) == 7)
			snprintf(e->alias, sizeof(e->alias), "%.5s%02x:00.0", e->bdf, cfg[0x19]);
		return;
	}
}

static bool bind_vfio(struct edu *e)
{
	char path[160], target[256], *name;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", e->bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n > 0) {
		target[n] = 0;
		name = strrchr(target, '/');
		if (name && !strcmp(name + 1, "vfio-pci"))
			goto bound;
		strcat(path, "/unbind");
		write_text(path, e->bdf);
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", e->bdf);
	if (!write_text(path, "vfio-pci") ||
	    !write_text("/sys/bus/pci/drivers_probe", e->bdf)) {
		put_line("@@NOTE %s: cannot be bound to vfio-pci: %s", e->bdf, strerror(errno));
		return false;
	}
bound:
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", e->bdf);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= 0) {
		put_line("@@NOTE %s: no IOMMU group: no IOMMU driver has this device", e->bdf);
		return false;
	}
	target[n] = 0;
	e->group = atoi(strrchr(target, '/') + 1);
	snprintf(path, sizeof(path), "/dev/vfio/%d", e->group);
	if (access(path, F_OK)) {
		put_line("@@NOTE %s: no %s: vfio-pci did not take it", e->bdf, path);
		return false;
	}
	return true;
}

static void add_device(const char *bdf)
{
	struct edu *e = &devs[ndevs];

	if (ndevs == MAX_DEVS)
		return;
	memset(e, 0, sizeof(*e));
	snprintf(e->bdf, sizeof(e->bdf), "%s", bdf);
	find_alias(e);
	if (bind_vfio(e))
		ndevs++;
}

static int bdf_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void find_devices(void)
{
	struct dirent **list;
	int n = scandir("/sys/bus/pci/devices", &list, NULL, bdf_order);

	for (int i = 0; i < n; i++) {
		unsigned long vendor, device;

		if (sysfs_hex(list[i]->d_name, "vendor", &vendor) &&
		    sysfs_hex(list[i]->d_name, "device", &device) &&
		    vendor == 0x1234 && device == 0x11e8)
			add_device(list[i]->d_name);
	}
}

/* Exits with success when the first device reaches past 28 bits. */
static void probe_width(void)
{
	uint64_t low = 0x04000000, high = 0x4000000000UL + low;
	struct edu *e = edu_alone();
	uint8_t *p = pages(2 * PG);

	map(e->space, p, low, PG, RW);
	map(e->space, p + PG, high, PG, RW);
	load(e, 1);
	wide = true;
	dma(e, DEV_WRITE, high, 0, 64);
	_exit(differs(p + PG, 64, 1) >= 0);
}

/* ---- running ---- */

enum verdict { PASS, FAIL, SKIP };

/* In a process group of its own, so that nothing it starts outlives it. */
static enum verdict run_case(void (*run)(void), int limit, char *msg, size_t size)
{
	uint64_t end = now_ms() + limit * 1000ULL;
	int fds[2], status = 0;
	bool ended = false;
	pid_t pid;
	ssize_t n;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) || (pid = fork()) < 0) {
		snprintf(msg, size, "cannot start it: %s", strerror(errno));
		return FAIL;
	}
	if (!pid) {
		setpgid(0, 0);
		result_fd = fds[1];
		run();
		_exit(0);
	}
	setpgid(pid, pid);
	close(fds[1]);
	while (!(ended = waitpid(pid, &status, WNOHANG) == pid) && now_ms() < end)
		usleep(5000);
	kill(-pid, SIGKILL);
	n = read(fds[0], msg, size - 1);
	close(fds[0]);
	if (!ended) {
		bool gone = false;

		for (int i = 0; i < 1000 && !gone; i++) {
			gone = waitpid(pid, &status, WNOHANG) == pid;
			usleep(5000);
		}
		snprintf(msg, size, "hung for %d s%s", limit,
			 gone ? "" : " and cannot be killed");
		return FAIL;
	}
	if (n > 0) {
		msg[n] = 0;
		memmove(msg, msg + 1, n);
		return WIFEXITED(status) && !WEXITSTATUS(status) ? SKIP : FAIL;
	}
	if (WIFSIGNALED(status)) {
		snprintf(msg, size, "ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
		return FAIL;
	}
	snprintf(msg, size, "ended with code %d", WEXITSTATUS(status));
	return WEXITSTATUS(status) ? FAIL : PASS;
}

static const struct test *find_test(const char *name)
{
	size_t n = strlen(PREFIX "/");

	if (!strncmp(name, PREFIX "/", n))
		name += n;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (!strcmp(tests[i].name, name))
			return &tests[i];
	return NULL;
}

static bool run_test(const struct test *t)
{
	enum verdict v;
	char msg[600];
	uint64_t t0 = now_ms();

	if (!ndevs) {
		put_line("@@FAIL " PREFIX "/%s: no edu device is usable through VFIO", t->name);
		return false;
	}
	if (ndevs < t->devices) {
		put_line("@@SKIP " PREFIX "/%s: needs %d edu devices, has %d", t->name, t->devices,
			 ndevs);
		return true;
	}
	v = run_case(t->run, t->limit * opt_scale, msg, sizeof(msg));
	if (v == PASS)
		put_line("@@PASS " PREFIX "/%s", t->name);
	else
		put_line("@@%s " PREFIX "/%s: %s", v == SKIP ? "SKIP" : "FAIL", t->name, msg);
	note(PREFIX "/%s took %lu ms", t->name, now_ms() - t0);
	return v != FAIL;
}

static int usage(const char *why, const char *what)
{
	fprintf(stderr, PREFIX "-edu: %s%s\n"
		"usage: " PREFIX "-edu CASE[,CASE...]|all [--dev BDF]... [--wide|--narrow] [--seed N] [--steps N]\n"
		"       " PREFIX "-edu --list\n", why, what);
	return 125;
}

int main(int argc, char **argv)
{
	bool want_wide = false, want_narrow = false, all = false;
	const struct test *chosen[64];
	const char *bdfs[MAX_DEVS];
	int n = 0, nbdfs = 0, failures = 0;
	char msg[600];

	opt_seed = time(NULL) ^ getpid() << 16;
	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *val = argv[i + 1];

		if (!strcmp(arg, "--list")) {
			for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
				printf(PREFIX "/%s\n", tests[k].name);
			return 0;
		} else if (!strcmp(arg, "--wide")) {
			want_wide = true;
		} else if (!strcmp(arg, "--narrow")) {
			want_narrow = true;
		} else if (!strcmp(arg, "--dev") || !strcmp(arg, "--seed") ||
			   !strcmp(arg, "--steps") || !strcmp(arg, "--replace-ms") ||
			   !strcmp(arg, "--every") || !strcmp(arg, "--scale")) {
			if (!val)
				return usage("no value after ", arg);
			if (arg[2] == 'd' && nbdfs == MAX_DEVS)
				return usage("too many devices at ", val);
			if (arg[2] == 'd')
				bdfs[nbdfs++] = val;
			else if (!strcmp(arg, "--seed"))
				opt_seed = strtoul(val, NULL, 0);
			else if (!strcmp(arg, "--every"))
				opt_every = strtol(val, NULL, 0) > 0 ? strtol(val, NULL, 0) : 1;
			else if (!strcmp(arg, "--scale"))
				opt_scale = strtol(val, NULL, 0) > 0 ? strtol(val, NULL, 0) : 1;
			else if (!strcmp(arg, "--replace-ms"))
				opt_replace_ms = strtol(val, NULL, 0);
			else
				opt_steps = strtol(val, NULL, 0);
			i++;
		} else if (arg[0] == '-') {
			return usage("unknown option ", arg);
		} else {
			for (char *name = strtok(argv[i], ","); name; name = strtok(NULL, ",")) {
				const struct test *t = find_test(name);

				if (!strcmp(name, "all"))
					all = true;
				else if (!t)
					return usage("unknown case ", name);
				else if (n < (int)ARRAY_SIZE(chosen))
					chosen[n++] = t;
			}
		}
	}
	if (!all && !n)
		return usage("no case given", "");
	if (want_wide && want_narrow)
		return usage("--wide and --narrow exclude each other", "");
	signal(SIGPIPE, SIG_IGN);

	for (int i = 0; i < nbdfs; i++)
		add_device(bdfs[i]);
	if (!nbdfs)
		find_devices();
	if (ndevs && !want_narrow) {
		enum verdict v = run_case(probe_width, 30, msg, sizeof(msg));

		wide = v == PASS;
		if (v != PASS && strncmp(msg, "ended with code", 15))
			note("probing the devices' DMA width: %s", msg);
	}
	if (want_wide && !wide) {
		put_line("@@FAIL " PREFIX "/wide: DMA above 28 bits did not arrive");
		failures++;
	}
	for (int i = 0; i < ndevs; i++)
		note("edu %s in group %d, %s addresses%s%s", devs[i].bdf, devs[i].group,
		     wide ? "64-bit" : "28-bit", devs[i].alias[0] ? ", seen as " : "",
		     devs[i].alias);

	if (all)
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++)
			failures += !run_test(&tests[k]);
	for (int i = 0; i < n; i++)
		failures += !run_test(chosen[i]);
	return failures > 124 ? 124 : failures;
}

#endif
