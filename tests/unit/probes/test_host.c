/* The probe types of the own host: on fixtures of several kernels, on a root whose files change between two runs of a
 * check, and on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/processes.h"
#include "probes/host/self.h"
#include "probes/host/types.h"
#include "tests/unit/probes/one_run.h"

#define OLD "root=/proc/self/cwd/tests/fixtures/host/2.6.32"
#define MIDDLE "root=/proc/self/cwd/tests/fixtures/host/4.19"
#define NEW "root=/proc/self/cwd/tests/fixtures/host/6.1"

struct fixture {
	struct one_run one;
	char root[64], option[80];
	int pid;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	one_run_open(&f->one);
	f->pid = (int)getpid(); /* in children too */
	snprintf(f->root, sizeof f->root, "/tmp/xunjian-host-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	snprintf(f->option, sizeof f->option, "root=%s", f->root);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	one_run_close(&f->one);
	snprintf(command, sizeof command, "rm -rf %s", f->root);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* A file below the root of the test, with its folders. */
static void put(struct fixture *f, const char *path, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void put(struct fixture *f, const char *path, const char *format, ...)
{
	char name[512];
	va_list ap;
	FILE *out;

	snprintf(name, sizeof name, "%s/%s", f->root, path);
	for (char *slash = name + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
		*slash = '\0';
		assert_true(mkdir(name, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	out = fopen(name, "w");
	assert_non_null(out);
	va_start(ap, format);
	vfprintf(out, format, ap);
	va_end(ap);
	fclose(out);
}

static void make_folder(struct fixture *f, const char *path)
{
	char file[512];

	snprintf(file, sizeof file, "%s/here", path);
	put(f, file, " ");
}

/* The place of a part among the results, or fails. */
static size_t part(const struct one_run *o, const char *label)
{
	for (size_t i = 0; i < o->count; i++) {
		if (strcmp(o->results[i].part, label) == 0)
			return i;
	}
	fail_msg("no part %s", label);
	return 0;
}

static bool has_part(const struct one_run *o, const char *label)
{
	for (size_t i = 0; i < o->count; i++) {
		if (strcmp(o->results[i].part, label) == 0)
			return true;
	}
	return false;
}

static bool is_near(double a, double b)
{
	return fabs(a - b) <= 1e-6 * fabs(b) + 1e-9;
}

/* ---- every type on every kernel */

static void each_type_reads_each_kernel(void **state)
{
	static const struct probe_type *const types[] = {
		&cpu_probe, &memory_probe, &load_probe, &disk_probe, &interface_probe};
	static const char *const roots[] = {OLD, MIDDLE, NEW};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		for (size_t k = 0; k < sizeof roots / sizeof *roots; k++) {
			one_run_of(&f->one, types[i], roots[k]);
			assert_string_equal(f->one.lines[0], "-  up");
			assert_int_equal(f->one.results[0].family, FAMILY_NONE);
		}
	}
}

static void each_type_without_its_files_is_unknown(void **state)
{
	static const struct {
		const struct probe_type *type;
		const char *file;
	} cases[] = {{&cpu_probe, "proc/stat"}, {&memory_probe, "proc/meminfo"}, {&load_probe, "proc/loadavg"},
		{&disk_probe, "proc/self/mountinfo"}, {&interface_probe, "proc/net/dev"},
		{&pressure_probe, "proc/pressure/cpu"}, {&protocol_probe, "proc/net/snmp"},
		{&descriptors_probe, "proc/sys/fs/file-nr"}, {&entropy_probe, "proc/sys/kernel/random/entropy_avail"},
		{&uptime_probe, "proc/uptime"}, {&users_probe, "run/utmp"}, {&self_probe, "proc/self/stat"}};
	struct fixture *f = *state;
	char expected[256];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		one_run_of(&f->one, cases[i].type, f->option);
		snprintf(expected, sizeof expected, "-  unknown: %s/%s: No such file or directory", f->root,
			cases[i].file);
		assert_lines(&f->one, expected);
	}
	one_run_of(&f->one, &process_probe, f->option);
	assert_lines(&f->one, "-  unknown: proc: No such file or directory");
	one_run_of(&f->one, &cpu_probe, "root=/no/such/folder");
	assert_lines(&f->one, "-  unknown: /no/such/folder: No such file or directory");
}

/* ---- two runs of a check */

static void the_first_run_of_a_check_has_no_rates(void **state)
{
	struct fixture *f = *state;

	f->one.check = "c";
	put(f, "proc/stat", "cpu 100 0 0 100 0 0 0 0 0 0\ncpu0 100 0 0 100 0 0 0 0 0 0\nintr 10 1\nctxt 20\nprocesses 5\n");
	one_run_of(&f->one, &cpu_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_int_equal(f->one.results[0].count, 1);
	assert_true(is_near(one_run_value(&f->one, 0, CPU_CORES), 1));
	put(f, "proc/stat", "cpu 130 0 10 160 0 0 0 0 0 0\ncpu0 130 0 10 160 0 0 0 0 0 0\nintr 30 1\nctxt 60\nprocesses 5\n");
	one_run_of(&f->one, &cpu_probe, f->option);
	assert_int_equal(f->one.count, 2);
	assert_true(is_near(one_run_value(&f->one, 0, CPU_USER), 30));
	assert_true(is_near(one_run_value(&f->one, 0, CPU_SYSTEM), 10));
	assert_true(is_near(one_run_value(&f->one, 0, CPU_BUSY), 40));
	assert_true(is_near(one_run_value(&f->one, 1, CPU_IDLE), 60));
	assert_true(is_near(one_run_value(&f->one, 0, CPU_SWITCHES), 2 * one_run_value(&f->one, 0, CPU_INTERRUPTS)));
	assert_true(one_run_value(&f->one, 0, CPU_FORKS) >= 0);
}

/* Rates are of the time between the runs. */
static void a_rate_is_per_second(void **state)
{
	static const char format[] = "a\nb\n eth0: %u 10 0 0 0 0 0 0 %u 10 0 0 0 0 0 0\n";
	struct fixture *f = *state;
	int64_t before, after;
	double rate;

	f->one.check = "c";
	put(f, "proc/net/dev", format, 1000u, 500u);
	before = clock_mono();
	one_run_of(&f->one, &interface_probe, f->option);
	put(f, "proc/net/dev", format, 3000u, 501u);
	one_run_of(&f->one, &interface_probe, f->option);
	after = clock_mono();
	rate = one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_RX_BYTES);
	assert_true(rate >= 2000.0 * NS_PER_S / (double)(after - before));
	assert_true(rate <= 2000.0 * NS_PER_S / 1000); /* 1 us at least lies between */
	assert_true(is_near(rate, 2000 * one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_TX_BYTES)));
}

static void a_run_that_saw_nothing_makes_no_spike_of_the_next(void **state)
{
	static const char format[] = "a\nb\n eth0: %u 10 0 0 0 0 0 0 %u 10 0 0 0 0 0 0\n";
	struct fixture *f = *state;
	char gone[512];
	int64_t before, after;
	double rate;

	f->one.check = "c";
	put(f, "proc/net/dev", format, 1000u, 500u);
	before = clock_mono();
	one_run_of(&f->one, &interface_probe, f->option);
	snprintf(gone, sizeof gone, "%s/proc/net/dev", f->root);
	assert_int_equal(unlink(gone), 0);
	usleep(20000);
	one_run_of(&f->one, &interface_probe, f->option);
	assert_int_equal(f->one.results[0].outcome, OUTCOME_UNKNOWN);
	put(f, "proc/net/dev", format, 3000u, 501u);
	one_run_of(&f->one, &interface_probe, f->option);
	after = clock_mono();
	rate = one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_RX_BYTES);
	assert_true(rate >= 2000.0 * NS_PER_S / (double)(after - before) && rate <= 2000 / 0.02);
}

static void counters_that_were_set_back_have_no_rate_for_one_run(void **state)
{
	static const char format[] = "a\nb\n eth0: %u %u 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n";
	struct fixture *f = *state;
	size_t i;

	f->one.check = "c";
	put(f, "proc/net/dev", format, 4000000000u, 1000u);
	one_run_of(&f->one, &interface_probe, f->option);
	put(f, "proc/net/dev", format, 100u, 1u);
	one_run_of(&f->one, &interface_probe, f->option);
	i = part(&f->one, "eth0");
	assert_true(isnan(one_run_value(&f->one, i, INTERFACE_RX_BYTES)));
	put(f, "proc/net/dev", format, 200u, 2u);
	one_run_of(&f->one, &interface_probe, f->option);
	assert_true(one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_RX_BYTES) > 0);
}

static void parts_come_and_go_between_runs(void **state)
{
	static const char line[] = " %s: %u 10 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n";
	struct fixture *f = *state;
	char both[256], text[128];

	f->one.check = "c";
	snprintf(both, sizeof both, line, "eth0", 10u);
	put(f, "proc/net/dev", "%s", both);
	one_run_of(&f->one, &interface_probe, f->option);
	assert_int_equal(f->one.count, 2);
	snprintf(text, sizeof text, line, "eth1", 1000u);
	strcat(both, text);
	put(f, "proc/net/dev", "%s", both);
	one_run_of(&f->one, &interface_probe, f->option);
	assert_int_equal(f->one.count, 3);
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "eth1"), INTERFACE_RX_BYTES)));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_RX_BYTES), 0));
	put(f, "proc/net/dev", "%s", text);
	one_run_of(&f->one, &interface_probe, f->option);
	assert_int_equal(f->one.count, 2);
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "eth1"), INTERFACE_RX_BYTES), 0));
	put(f, "proc/net/dev", "%s", both); /* back, and its counters are old: no rate over the time away */
	one_run_of(&f->one, &interface_probe, f->option);
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "eth0"), INTERFACE_RX_BYTES)));
}

static void another_root_begins_anew(void **state)
{
	struct fixture *f = *state;

	f->one.check = "c";
	one_run_of(&f->one, &cpu_probe, MIDDLE);
	one_run_of(&f->one, &cpu_probe, OLD);
	assert_int_equal(f->one.results[0].count, 1);
	one_run_of(&f->one, &cpu_probe, OLD);
	assert_true(f->one.results[0].count > 1);
}

/* ---- interfaces */

static void put_link(struct fixture *f, const char *name, const char *carrier)
{
	char path[128];

	snprintf(path, sizeof path, "sys/class/net/%s/carrier", name);
	put(f, path, "%s\n", carrier);
}

static void a_link_that_was_lost_is_down(void **state)
{
	struct fixture *f = *state;

	f->one.check = "c";
	put(f, "proc/net/dev", " eth0: 1 10 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n eth1: 1 10 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n");
	put_link(f, "eth0", "1");
	put_link(f, "eth1", "0");
	put(f, "sys/class/net/eth0/speed", "1000\n");
	put(f, "sys/class/net/eth1/speed", "-1\n");
	put(f, "sys/class/net/eth0/mtu", "9000\n");
	one_run_of(&f->one, &interface_probe, f->option);
	assert_lines(&f->one, "-  up", "-  up", "-  up"); /* a port that never had a link is no fault */
	assert_true(is_near(one_run_value(&f->one, 1, INTERFACE_SPEED), 1e9));
	assert_true(is_near(one_run_value(&f->one, 1, INTERFACE_MTU), 9000));
	assert_true(is_near(one_run_value(&f->one, 1, INTERFACE_LINK), 1));
	assert_true(isnan(one_run_value(&f->one, 2, INTERFACE_SPEED)));
	assert_true(is_near(one_run_value(&f->one, 2, INTERFACE_LINK), 0));
	put_link(f, "eth0", "0");
	one_run_of(&f->one, &interface_probe, f->option);
	assert_lines(&f->one, "-  up", "-  down: lost its link", "-  up");
	put_link(f, "eth0", "1");
	one_run_of(&f->one, &interface_probe, f->option);
	assert_lines(&f->one, "-  up", "-  up", "-  up");
}

static void named_interfaces_must_be_there_with_a_link(void **state)
{
	struct fixture *f = *state;

	put(f, "proc/net/dev", " eth0: 1 10 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n veth1: 1 10 0 0 0 0 0 0 5 5 0 0 0 0 0 0\n");
	put_link(f, "eth0", "0");
	put_link(f, "veth1", "1");
	one_run_of(&f->one, &interface_probe, f->option, "names=eth*", "names=bond0", "names=veth1");
	assert_lines(&f->one, "-  up", "-  down: no link", "-  up", "-  down: there is no such interface");
	assert_string_equal(f->one.results[3].part, "bond0");
}

static void global_addresses_are_counted_per_interface(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &interface_probe, MIDDLE);
	assert_false(has_part(&f->one, "lo"));
	assert_false(has_part(&f->one, "veth12ab34c"));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "enp3s0"), INTERFACE_GLOBAL_V6), 2));
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "enp3s0"), INTERFACE_GLOBAL_V4)));
}

/* ---- disks */

static void mounts_that_are_read_only_or_missing_against_fstab_are_down(void **state)
{
	struct fixture *f = *state;
	size_t i;

	one_run_of(&f->one, &disk_probe, MIDDLE);
	i = part(&f->one, "/boot");
	assert_string_equal(f->one.lines[i], "-  down: read-only, though /etc/fstab does not say so");
	assert_true(is_near(one_run_value(&f->one, i, DISK_READ_ONLY), 1));
	i = part(&f->one, "/backup");
	assert_string_equal(f->one.lines[i], "-  down: not mounted, though /etc/fstab says so");
	i = part(&f->one, "/archive");
	assert_int_not_equal(f->one.results[i].outcome, OUTCOME_DOWN);
	assert_true(is_near(one_run_value(&f->one, i, DISK_READ_ONLY), 1));
	assert_true(has_part(&f->one, "/data of city"));
	assert_false(has_part(&f->one, "/usb") || has_part(&f->one, "/mnt/cdrom") || has_part(&f->one, "/proc") ||
		has_part(&f->one, "/run/user/1000"));
}

static void of_bind_mounts_images_and_networks_nothing_is_told(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &disk_probe, OLD);
	assert_int_equal(one_run_value(&f->one, 0, DISK_FILE_SYSTEMS), 2);
	assert_true(has_part(&f->one, "/") && has_part(&f->one, "/boot"));
	one_run_of(&f->one, &disk_probe, NEW);
	assert_true(has_part(&f->one, "/") && has_part(&f->one, "/boot/efi") && has_part(&f->one, "/mnt/ntfs"));
	assert_false(has_part(&f->one, "/home") || has_part(&f->one, "/snap/core/1") ||
		has_part(&f->one, "/home/user/remote") || has_part(&f->one, "/var/lib/docker/overlay2/0a1b/merged"));
}

/* The folder of the test stands for the file system that it is on. */
static void put_mount(struct fixture *f, const char *options)
{
	struct stat st;

	assert_int_equal(stat(f->root, &st), 0);
	put(f, "proc/self/mountinfo", "1 1 %u:%u / /data rw - ext4 /dev/x %s\n2 1 0:0 / /other rw - ext4 /dev/y rw\n",
		major(st.st_dev), minor(st.st_dev), options);
}

static void a_size_is_what_the_file_system_says(void **state)
{
	struct fixture *f = *state;
	struct statvfs v;
	size_t i;

	make_folder(f, "data");
	make_folder(f, "other");
	put_mount(f, "rw");
	one_run_of(&f->one, &disk_probe, f->option);
	assert_int_equal(statvfs(f->root, &v), 0);
	i = part(&f->one, "/data");
	assert_true(is_near(one_run_value(&f->one, i, DISK_SIZE), (double)v.f_blocks * (double)v.f_frsize));
	assert_true(one_run_value(&f->one, i, DISK_USED_SHARE) > 0 && one_run_value(&f->one, i, DISK_USED_SHARE) < 100);
	assert_true(is_near(one_run_value(&f->one, 0, DISK_WORST_SHARE), one_run_value(&f->one, i, DISK_USED_SHARE)));
	i = part(&f->one, "/other");
	assert_string_equal(f->one.lines[i],
		"-  unknown: its size cannot be read: another mount hides it from the agent");
}

static void a_mount_that_became_read_only_is_down_until_it_is_writable(void **state)
{
	struct fixture *f = *state;

	f->one.check = "c";
	make_folder(f, "data");
	put_mount(f, "ro");
	one_run_of(&f->one, &disk_probe, f->option);
	assert_string_equal(f->one.lines[part(&f->one, "/data")], "-  up"); /* it never was otherwise */
	put_mount(f, "rw");
	one_run_of(&f->one, &disk_probe, f->option);
	assert_string_equal(f->one.lines[part(&f->one, "/data")], "-  up");
	put_mount(f, "ro,errors=remount-ro");
	for (int i = 0; i < 2; i++) {
		one_run_of(&f->one, &disk_probe, f->option);
		assert_string_equal(f->one.lines[part(&f->one, "/data")], "-  down: became read-only");
	}
	put_mount(f, "rw");
	one_run_of(&f->one, &disk_probe, f->option);
	assert_string_equal(f->one.lines[part(&f->one, "/data")], "-  up");
	put(f, "proc/self/mountinfo", "2 1 0:0 / /other rw - ext4 /dev/y rw\n");
	one_run_of(&f->one, &disk_probe, f->option);
	put_mount(f, "ro");
	one_run_of(&f->one, &disk_probe, f->option);
	assert_string_equal(f->one.lines[part(&f->one, "/data")], "-  up"); /* mounted anew, so at will */
}

static void devices_are_whole_disks_by_their_lasting_names(void **state)
{
	static const char format[] = "8 0 sda %d 0 80 5 4 0 32 9 0 10 14\n8 1 sda1 %d 0 80 5 4 0 32 9 0 10 14\n"
				     "253 0 dm-0 %d 0 8 5 4 0 32 9 0 10 14\n7 0 loop0 %d 0 8 5 4 0 3 9 0 10 14\n"
				     "8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n";
	struct fixture *f = *state;

	f->one.check = "c";
	put(f, "sys/block/dm-0/dm/name", "vg-data\n");
	make_folder(f, "sys/block/sda");
	make_folder(f, "sys/block/sdb");
	make_folder(f, "sys/block/loop0");
	put(f, "proc/self/mountinfo", "2 1 0:0 / /other rw - ext4 /dev/y rw\n");
	put(f, "proc/diskstats", format, 10, 10, 10, 10);
	one_run_of(&f->one, &disk_probe, f->option, "ignore=/other");
	assert_lines(&f->one, "-  up");
	put(f, "proc/diskstats", "%s", "8 0 sda 20 0 180 1005 4 0 32 9 0 10 14\n8 1 sda1 20 0 80 5 4 0 32 9 0 10 14\n"
		"253 0 dm-0 10 0 8 5 4 0 32 9 0 10 14\n7 0 loop0 20 0 8 5 4 0 3 9 0 10 14\n8 16 sdb 0 0 0 0 0 0 0 0 0 0 0\n");
	one_run_of(&f->one, &disk_probe, f->option, "ignore=/other");
	assert_int_equal(f->one.count, 3);
	assert_string_equal(f->one.results[1].part, "sda");
	assert_string_equal(f->one.results[2].part, "vg-data");
	assert_true(is_near(one_run_value(&f->one, 1, DISK_READ_AWAIT), 0.1)); /* 1000 ms of 10 reads */
	assert_true(isnan(one_run_value(&f->one, 1, DISK_WRITE_AWAIT)));
	assert_true(is_near(one_run_value(&f->one, 1, DISK_READ_BYTES), one_run_value(&f->one, 1, DISK_READS) * 10 * 512));
	assert_true(isnan(one_run_value(&f->one, 2, DISK_READ_AWAIT)));
}

/* ---- this machine */

static void one_shot_takes_two_looks_within_its_run(void **state)
{
	struct fixture *f = *state;
	int64_t before = clock_mono();

	one_run_of(&f->one, &cpu_probe, "cores=false");
	assert_lines(&f->one, "-  up");
	assert_true(clock_mono() - before >= 200 * NS_PER_MS);
	assert_true(one_run_value(&f->one, 0, CPU_SWITCHES) > 0);
	assert_true(is_near(one_run_value(&f->one, 0, CPU_CORES), (double)sysconf(_SC_NPROCESSORS_ONLN)));
	one_run_of(&f->one, &memory_probe, "root=/");
	assert_true(one_run_value(&f->one, 0, MEMORY_AVAILABLE) < one_run_value(&f->one, 0, MEMORY_TOTAL));
}

static void a_run_that_is_cancelled_between_its_looks_leaves_nothing(void **state)
{
	struct fixture *f = *state;

	f->one.timeout = 50 * NS_PER_MS;
	one_run_of(&f->one, &cpu_probe, "cores=false");
	assert_lines(&f->one, "-  unknown: the time-out is too short for two looks");
	run_group_cancel(one_run_begin(&f->one, &cpu_probe, (const char *const[]){NULL}));
	one_run_begin(&f->one, &disk_probe, (const char *const[]){NULL});
	for (int i = 0; i < 3; i++)
		event_base_loop(f->one.base, EVLOOP_NONBLOCK);
}

/* ---- pressure, protocols */

static void put_pressure(struct fixture *f, unsigned long long some, unsigned long long full)
{
	static const char *const names[] = {"cpu", "memory", "io"};

	for (size_t i = 0; i < 3; i++) {
		char path[64];

		snprintf(path, sizeof path, "proc/pressure/%s", names[i]);
		put(f, path, "some avg10=1.00 avg60=2.50 avg300=0.10 total=%llu\nfull avg10=0.00 avg60=0.25 avg300=0.00 total=%llu\n",
			some, full);
	}
}

static void pressure_is_a_share_of_the_time_between_two_runs(void **state)
{
	struct fixture *f = *state;
	int64_t before, after;
	double share;

	f->one.check = "c";
	put_pressure(f, 1000000, 500000);
	before = clock_mono();
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(isnan(one_run_value(&f->one, 0, PRESSURE_IO)));
	assert_true(is_near(one_run_value(&f->one, 0, PRESSURE_IO_MINUTE), 2.5));
	assert_true(is_near(one_run_value(&f->one, 0, PRESSURE_MEMORY_FULL_MINUTE), 0.25));
	put_pressure(f, 1000020, 500010);
	one_run_of(&f->one, &pressure_probe, f->option);
	after = clock_mono();
	share = one_run_value(&f->one, 0, PRESSURE_IO);
	assert_true(share >= 20e3 / (double)(after - before) * 100);
	assert_true(is_near(share, 2 * one_run_value(&f->one, 0, PRESSURE_IO_FULL)));
	put_pressure(f, 5, 5); /* another boot */
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_true(isnan(one_run_value(&f->one, 0, PRESSURE_IO)));
	put(f, "proc/pressure/io", "nothing\n");
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_lines(&f->one, "-  up: proc/pressure/io is not of the form that is known");
}

static void a_resource_without_pressure_costs_the_others_nothing(void **state)
{
	struct fixture *f = *state;
	char path[160];

	f->one.check = "c";
	put_pressure(f, 1000, 500);
	one_run_of(&f->one, &pressure_probe, f->option);
	snprintf(path, sizeof path, "%s/proc/pressure/memory", f->root);
	assert_int_equal(unlink(path), 0);
	put(f, "proc/pressure/cpu", "some avg10=1.00 avg60=2.50 avg300=0.10 total=3000\n");
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_int_equal(f->one.results[0].outcome, OUTCOME_UP);
	assert_non_null(strstr(f->one.reasons[0], "proc/pressure/memory: No such file"));
	assert_true(one_run_value(&f->one, 0, PRESSURE_CPU) > 0);
	assert_true(isnan(one_run_value(&f->one, 0, PRESSURE_MEMORY_MINUTE)));
	/* Back again: over which time it moved nobody knows. */
	put_pressure(f, 900000, 600000);
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(isnan(one_run_value(&f->one, 0, PRESSURE_MEMORY)));
	assert_true(one_run_value(&f->one, 0, PRESSURE_IO) > 0);
	one_run_of(&f->one, &pressure_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, PRESSURE_MEMORY), 0));
}

static void put_snmp(struct fixture *f, unsigned sent, unsigned again, unsigned established, unsigned received)
{
	put(f, "proc/net/snmp", "Ip: Forwarding InReceives OutRequests\nIp: 2 %u 7\n"
		"Tcp: MaxConn ActiveOpens CurrEstab OutSegs RetransSegs\nTcp: -1 5 %u %u %u\nUdp: InDatagrams\nUdp: 9\n",
		received, established, sent, again);
}

static void protocols_are_told_in_all_and_per_family(void **state)
{
	struct fixture *f = *state;
	double rate;

	f->one.check = "c";
	put_snmp(f, 100, 10, 44, 1000);
	put(f, "proc/net/snmp6", "Ip6InReceives \t 50\nUdp6NoPorts 3\n");
	put(f, "proc/net/netstat", "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 1 2\n");
	put(f, "proc/net/sockstat", "sockets: used 49\nTCP: inuse 3 orphan 0 tw 887 alloc 234 mem 0\nUDP: inuse 2 mem 2\nUDPLITE: inuse 7\n");
	put(f, "proc/net/sockstat6", "TCP6: inuse 5\nUDP6: inuse\nUDPLITE6: inuse 9\n");
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv4"), PROTOCOL_TCP_SOCKETS), 3));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv4"), PROTOCOL_UDP_SOCKETS), 2));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv6"), PROTOCOL_TCP_SOCKETS), 5));
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "IPv6"), PROTOCOL_UDP_SOCKETS)));
	assert_lines(&f->one, "-  up", "-  up", "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_ESTABLISHED), 44));
	assert_int_equal(f->one.results[0].count, 1);
	put_snmp(f, 300, 20, 3, 1400);
	put(f, "proc/net/snmp6", "Ip6InReceives \t 250\nUdp6NoPorts 3\n");
	one_run_of(&f->one, &protocol_probe, f->option);
	rate = one_run_value(&f->one, 0, PROTOCOL_SENT);
	assert_true(rate > 0);
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_ESTABLISHED), 3)); /* a level, not a counter */
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_RETRANSMITTED_SHARE), 5));
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_LISTEN_DROPS), 0));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv4"), PROTOCOL_IN), 2 * rate));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv6"), PROTOCOL_IN), rate));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "IPv6"), PROTOCOL_UDP_NO_PORTS), 0));
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "IPv6"), PROTOCOL_UDP_IN)));
	put_snmp(f, 1, 1, 1, 1);
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_true(isnan(one_run_value(&f->one, 0, PROTOCOL_SENT)));
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "IPv4"), PROTOCOL_IN)));
	put(f, "proc/net/snmp", "Ip: Forwarding\nTcp: ");
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_string_equal(f->one.lines[0], "-  unknown: proc/net/snmp does not tell of TCP and IP");
}

static void counters_that_come_later_make_no_spike(void **state)
{
	struct fixture *f = *state;

	f->one.check = "c";
	put_snmp(f, 100, 10, 44, 1000);
	one_run_of(&f->one, &protocol_probe, f->option);
	put(f, "proc/net/netstat", "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 1 2000000\n");
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_true(isnan(one_run_value(&f->one, 0, PROTOCOL_LISTEN_DROPS)));
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_SENT), 0));
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, PROTOCOL_LISTEN_DROPS), 0));
	put(f, "proc/net/netstat", "\n");
	put_snmp(f, 300, 10, 44, 1000);
	one_run_of(&f->one, &protocol_probe, f->option);
	assert_true(isnan(one_run_value(&f->one, 0, PROTOCOL_LISTEN_DROPS)));
	assert_true(one_run_value(&f->one, 0, PROTOCOL_SENT) > 0); /* what is still there has its rate */
}

/* ---- processes */

static void put_process(struct fixture *f, unsigned pid, const char *name, char state, unsigned ticks, unsigned pages)
{
	char path[64];

	snprintf(path, sizeof path, "proc/%u/stat", pid);
	put(f, path, "%u (%s) %c 1 1 1 0 -1 4194304 1 2 3 4 %u %u 0 0 20 0 3 0 100 1000000 %u 18446744073709551615 1\n", pid, name, state,
		ticks, ticks, pages);
}

static void processes_are_counted_and_named_ones_must_run(void **state)
{
	struct fixture *f = *state;
	double cpu;

	f->one.check = "c";
	put_process(f, 1, "systemd", 'S', 10, 100);
	put_process(f, 20, "nginx", 'S', 50, 10);
	put_process(f, 21, "nginx", 'R', 50, 20);
	put_process(f, 22, "a) R (b", 'D', 1, 1);
	put_process(f, 23, "nginx", 'Z', 9, 0);
	put(f, "proc/12x/stat", "no process\n");
	put(f, "proc/loadavg", "0.20 0.18 0.12 3/80 11206\n");
	one_run_of(&f->one, &process_probe, f->option, "names=nginx", "names=a) R (b", "names=postgres");
	assert_lines(&f->one, "-  up", "-  up", "-  up", "-  down: no such process runs");
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_COUNT), 5));
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_ZOMBIES), 1));
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_RUNNING), 3));
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_BLOCKED), 1));
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_THREADS), 15));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "nginx"), PROCESS_COUNT), 2)); /* a zombie does not run */
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "nginx"), PROCESS_RESIDENT), 30.0 * (double)sysconf(_SC_PAGESIZE)));
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "nginx"), PROCESS_CPU)));
	put_process(f, 20, "nginx", 'S', 60, 10);
	put_process(f, 30, "postgres", 'S', 1, 1);
	one_run_of(&f->one, &process_probe, f->option, "names=nginx", "names=a) R (b", "names=postgres");
	assert_lines(&f->one, "-  up", "-  up", "-  up", "-  up");
	cpu = one_run_value(&f->one, part(&f->one, "nginx"), PROCESS_CPU);
	assert_true(cpu > 0);
	put_process(f, 20, "other", 'S', 60, 10); /* the sum falls: no rate, and none below zero */
	one_run_of(&f->one, &process_probe, f->option, "names=nginx", "names=a) R (b", "names=postgres");
	assert_true(isnan(one_run_value(&f->one, part(&f->one, "nginx"), PROCESS_CPU)));
}

static void named_processes_that_are_hidden_are_unknown(void **state)
{
	struct fixture *f = *state;

	put_process(f, 77, "xunjian-agent", 'R', 10, 100);
	one_run_of(&f->one, &process_probe, f->option, "names=nginx");
	assert_lines(&f->one, "-  unknown: proc: processes of other users are hidden (hidepid)");
	put_process(f, 1, "systemd", 'S', 10, 100);
	put(f, "proc/20/stat/is_a_folder", "\n"); /* one that is there and cannot be read, as with hidepid=1 */
	one_run_of(&f->one, &process_probe, f->option, "names=nginx");
	assert_lines(&f->one, "-  unknown: proc/20/stat: Is a directory");
}

/* Of this run of the tests alone: others may run beside it. */
static const char *name_own(struct fixture *f, const char *what)
{
	return arena_format(f->one.arena, "x%d-%s", f->pid % 1000000, what);
}

static const char *names_own(struct fixture *f, const char *what)
{
	return arena_format(f->one.arena, "names=%s", name_own(f, what));
}

/* Those that come, go and take the number of another. */
static void processes_are_followed_over_many_looks(void **state)
{
	struct fixture *f = *state;
	pid_t pids[20];

	f->one.check = "c";
	for (int round = 0; round < 5; round++) {
		size_t count = 0, named;
		int fds[2];
		char byte;

		assert_int_equal(pipe(fds), 0);
		for (size_t i = 0; i < 20; i++) {
			pids[i] = fork();
			if (pids[i] == 0) {
				prctl(PR_SET_NAME, name_own(f, round % 2 == 0 ? "even" : "odd"));
				close(fds[1]);
				_exit(read(fds[0], &byte, 1) != 0);
			}
		}
		close(fds[0]);
		/* Named before they are counted: each waits for our end of the pipe. */
		do {
			one_run_of(&f->one, &process_probe, names_own(f, round % 2 == 0 ? "even" : "odd"));
			named = (size_t)one_run_value(&f->one, 1, PROCESS_COUNT);
		} while (named != 20 && ++count < 1000);
		assert_int_equal(named, 20);
		one_run_of(&f->one, &process_probe, names_own(f, round % 2 == 0 ? "odd" : "even"));
		assert_string_equal(f->one.lines[1], "-  down: no such process runs");
		close(fds[1]);
		for (size_t i = 0; i < 20; i++)
			assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
		one_run_of(&f->one, &process_probe, names_own(f, "*"));
		assert_string_equal(f->one.lines[1], "-  down: no such process runs");
	}
}

static void put_limits(struct fixture *f, unsigned pid, const char *limit, unsigned open);
static size_t open_descriptors(void);

struct turns {
	struct event *event;
	size_t count;
};

static void on_each_turn(evutil_socket_t fd, short what, void *ctx)
{
	const struct timeval now = {0, 0};
	struct turns *t = ctx;

	(void)fd, (void)what;
	t->count++;
	evtimer_add(t->event, &now);
}

static void put_many(struct fixture *f, unsigned count)
{
	for (unsigned i = 1; i <= count; i++)
		put_process(f, i, i == count ? "last" : "one", 'S', 1, 1);
}

static void many_processes_do_not_hold_up_others(void **state)
{
	const struct timeval now = {0, 0};
	struct fixture *f = *state;
	struct turns turns = {.count = 0};
	size_t before = open_descriptors(), most = 8192 / 24 + 1; /* of one call of the kernel */

	put_many(f, 800);
	turns.event = evtimer_new(f->one.base, on_each_turn, &turns);
	f->one.check = "c";
	for (int round = 0; round < 2; round++) {
		evtimer_add(turns.event, &now);
		turns.count = 0;
		one_run_of(&f->one, &process_probe, f->option, "names=last", "names=one");
		assert_lines(&f->one, "-  up", "-  up", "-  up");
		assert_true(is_near(one_run_value(&f->one, 0, PROCESS_COUNT), 800));
		assert_true(is_near(one_run_value(&f->one, 2, PROCESS_COUNT), 799));
		assert_true(turns.count >= 800 / most);
	}
	assert_true(is_near(one_run_value(&f->one, 2, PROCESS_CPU), 0));
	event_free(turns.event);
	f->one.check = "d";
	put(f, "proc/sys/fs/file-nr", "1500\t500\t4000\n");
	put_limits(f, 800, "100", 10);
	one_run_of(&f->one, &descriptors_probe, f->option, "names=last");
	assert_lines(&f->one, "-  up", "-  up");
	assert_true(is_near(one_run_value(&f->one, 1, DESCRIPTORS_OPEN), 10));
	assert_true(open_descriptors() <= before + 12);
}

static void a_look_that_is_left_off_begins_anew(void **state)
{
	struct fixture *f = *state;
	char command[128];

	put_many(f, 1200); /* several turns */
	f->one.check = "c";
	for (int i = 0; i < 2; i++) {
		struct run_group *g = one_run_begin(&f->one, &process_probe, (const char *const[]){f->option, "names=last", NULL});

		for (int turns = 0; turns < 1 + i; turns++)
			event_base_loop(f->one.base, EVLOOP_ONCE);
		assert_false(f->one.done);
		run_group_cancel(g);
		for (int turns = 0; turns < 3; turns++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
	}
	snprintf(command, sizeof command, "rm -rf %s/proc/[0-9]*", f->root);
	assert_int_equal(system(command), 0);
	put_process(f, 1, "last", 'S', 1, 1);
	one_run_of(&f->one, &process_probe, f->option, "names=last");
	assert_lines(&f->one, "-  up", "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_COUNT), 1));
	put_many(f, 700);
	f->one.check = NULL; /* one-shot: all at once */
	one_run_of(&f->one, &process_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, PROCESS_COUNT), 700));
}

/* A child that waits until it is killed, under a name, with a pid where that can be had; the kernel gives the next one that is free. */
static pid_t wait_as(const char *name, pid_t wanted)
{
	int fds[2], last;
	char byte, text[16];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	if (wanted > 0) {
		last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
		snprintf(text, sizeof text, "%d", wanted - 1);
		if (last < 0 || write(last, text, strlen(text)) < 0)
			wanted = -1;
		if (last >= 0)
			close(last);
	}
	pid = wanted >= 0 ? fork() : -1;
	if (pid == 0) {
		prctl(PR_SET_NAME, name);
		assert_int_equal(write(fds[1], "", 1), 1);
		pause();
	}
	if (pid > 0)
		assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void end_child(pid_t pid)
{
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Its file stays open from the look before, and is that of nobody then. */
static void a_process_with_the_number_of_one_that_ended_is_another_one(void **state)
{
	struct fixture *f = *state;
	pid_t first, second = 0;

	f->one.check = "c";
	for (int i = 0; i < 50; i++) {
		first = wait_as(name_own(f, "first"), 0);
		one_run_of(&f->one, &process_probe, names_own(f, "first"), names_own(f, "second"));
		assert_lines(&f->one, "-  up", "-  up", "-  down: no such process runs");
		end_child(first);
		second = wait_as(name_own(f, "second"), first);
		if (second == first)
			break; /* else somebody else was faster */
		if (second > 0)
			end_child(second);
		if (second < 0)
			skip(); /* without rights */
	}
	if (second != first)
		skip();
	one_run_of(&f->one, &process_probe, names_own(f, "first"), names_own(f, "second"));
	end_child(second);
	assert_lines(&f->one, "-  up", "-  down: no such process runs", "-  up");
}

/* Whether one that slept and is a zombie now is seen at once or after some looks. */
static bool is_end_of_sleeper_seen(struct fixture *f)
{
	pid_t pid = wait_as(name_own(f, "asleep"), 0);
	double zombies, count;
	int looks = 0;

	for (int i = 0; i < 8; i++) {
		one_run_of(&f->one, &process_probe, "names=");
		count = one_run_value(&f->one, 0, PROCESS_COUNT);
		assert_true(count > 2);
		assert_true(one_run_value(&f->one, 0, PROCESS_THREADS) >= count);
	}
	zombies = one_run_value(&f->one, 0, PROCESS_ZOMBIES);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	do {
		one_run_of(&f->one, &process_probe, "names=");
	} while (++looks <= PROCESSES_TRUSTED && one_run_value(&f->one, 0, PROCESS_ZOMBIES) <= zombies);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return looks <= PROCESSES_TRUSTED;
}

/* Those that slept are not read in each look, but they are counted, with their threads; one that sleeps no more is found. Zombies of
 * others may go while ours comes: then it is tried again. */
static void what_sleeps_is_counted_in_each_look(void **state)
{
	struct fixture *f = *state;
	bool seen = false;

	f->one.check = "c";
	for (int i = 0; i < 20 && !seen; i++)
		seen = is_end_of_sleeper_seen(f);
	assert_true(seen);
}

/* As a shell does that starts a service. */
static void a_process_that_becomes_another_program_is_found_by_its_new_name(void **state)
{
	struct fixture *f = *state;
	int to[2], from[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	pid = fork();
	if (pid == 0) {
		assert_int_equal(read(to[0], &byte, 1), 1);
		prctl(PR_SET_NAME, name_own(f, "service"));
		assert_int_equal(write(from[1], "", 1), 1);
		pause();
	}
	f->one.check = "c";
	for (int i = 0; i < 4; i++) {
		one_run_of(&f->one, &process_probe, names_own(f, "service"));
		assert_lines(&f->one, "-  up", "-  down: no such process runs");
	}
	assert_int_equal(write(to[1], "", 1), 1);
	assert_int_equal(read(from[0], &byte, 1), 1);
	one_run_of(&f->one, &process_probe, names_own(f, "service"));
	assert_lines(&f->one, "-  up", "-  up");
	end_child(pid);
	for (int i = 0; i < 2; i++) {
		close(to[i]);
		close(from[i]);
	}
}

/* They are not read in each look, unless somebody asks for them; they count all the same. */
static void threads_of_the_kernel_are_counted_in_each_look(void **state)
{
	struct fixture *f = *state;
	double first;

	if (access("/proc/2/stat", R_OK) != 0)
		skip(); /* a process namespace of its own */
	f->one.check = "c";
	one_run_of(&f->one, &process_probe, "names=kthreadd");
	first = one_run_value(&f->one, 0, PROCESS_COUNT);
	for (int i = 0; i < 3; i++) {
		one_run_of(&f->one, &process_probe, "names=kthreadd");
		assert_lines(&f->one, "-  up", "-  up");
		assert_true(is_near(one_run_value(&f->one, 1, PROCESS_COUNT), 1));
		assert_true(fabs(one_run_value(&f->one, 0, PROCESS_COUNT) - first) < 60);
		assert_true(one_run_value(&f->one, 0, PROCESS_THREADS) >= one_run_value(&f->one, 0, PROCESS_COUNT));
	}
}

static size_t open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t count = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

static void few_descriptors_are_enough_for_all_processes(void **state)
{
	struct fixture *f = *state;
	struct rlimit was, few;
	size_t before;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){64, was.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	f->one.check = "c";
	before = open_descriptors();
	for (int i = 0; i < 3; i++) {
		one_run_of(&f->one, &process_probe, "names=no-such-process");
		assert_int_equal(f->one.results[0].outcome, OUTCOME_UP);
		assert_true(one_run_value(&f->one, 0, PROCESS_COUNT) > 1);
		assert_true(open_descriptors() <= before + 64 / 4 + 3); /* the folders of the root and of proc, loadavg */
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
}

static uint64_t journal_bytes;

static void own_journal(void *ctx, uint64_t *bytes, uint64_t *most)
{
	(void)ctx;
	*bytes = journal_bytes;
	*most = 4000;
}

static void the_journal_and_all_processes_of_the_agent_are_told(void **state)
{
	struct fixture *f = *state;
	double alone;
	struct rlimit limit;
	int fds[2];
	char byte;
	pid_t pid;

	one_run_of(&f->one, &self_probe, "root=/");
	alone = one_run_value(&f->one, 0, SELF_SHARES);
	assert_true(alone > 1e5 && alone <= one_run_value(&f->one, 0, SELF_RESIDENT));
	assert_true(is_near(one_run_value(&f->one, 0, SELF_PROCESSES), 1));
	assert_true(isnan(one_run_value(&f->one, 0, SELF_JOURNAL)));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(is_near(one_run_value(&f->one, 0, SELF_DESCRIPTORS_MOST), (double)limit.rlim_cur));
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		static char touched[8 << 20];

		memset(touched, 1, sizeof touched);
		assert_int_equal(write(fds[1], touched, 1), 1);
		pause();
	}
	assert_int_equal(read(fds[0], &byte, 1), 1);
	f->one.env.own_journal = own_journal;
	journal_bytes = 1000;
	one_run_of(&f->one, &self_probe, "root=/");
	assert_true(is_near(one_run_value(&f->one, 0, SELF_PROCESSES), 2));
	assert_true(one_run_value(&f->one, 0, SELF_SHARES) > alone + 7e6);
	assert_true(is_near(one_run_value(&f->one, 0, SELF_JOURNAL), 1000));
	assert_true(is_near(one_run_value(&f->one, 0, SELF_JOURNAL_SHARE), 25));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fds[0]);
	close(fds[1]);
}

static void texts_of_memory_are_read(void **state)
{
	static const char rollup[] = "55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  9000 kB\nPss:      1234 kB\nPss_Dirty: 5 kB\n",
		statm[] = "5000 1200 1000 10 0 300 0\n", wrong[] = "5000 10 1000 10\n";
	uint64_t bytes;

	(void)state;
	assert_true(self_parse_shares(scan_over(rollup, sizeof rollup - 1), &bytes));
	assert_int_equal(bytes, 1234 * 1024);
	assert_false(self_parse_shares(scan_over("Rss: 5 kB\n", 10), &bytes));
	assert_true(self_parse_private(scan_over(statm, sizeof statm - 1), 4096, &bytes));
	assert_int_equal(bytes, 200 * 4096);
	assert_false(self_parse_private(scan_over(wrong, sizeof wrong - 1), 4096, &bytes));
}

static void what_the_agent_costs_is_told(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &self_probe, "root=/");
	assert_lines(&f->one, "-  up");
	assert_true(one_run_value(&f->one, 0, SELF_RESIDENT) > 1e5);
	assert_true(is_near(one_run_value(&f->one, 0, SELF_THREADS), 1));
	assert_in_range((uint64_t)one_run_value(&f->one, 0, SELF_DESCRIPTORS), 3, 100);
	assert_true(one_run_value(&f->one, 0, SELF_CPU) >= 0);
}

/* ---- tables, entropy, uptime, users */

static void tables_are_told_with_what_they_hold_at_most(void **state)
{
	struct fixture *f = *state;

	put(f, "proc/sys/fs/file-nr", "1500\t500\t4000\n");
	one_run_of(&f->one, &descriptors_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, DESCRIPTORS_OPEN), 1000));
	assert_true(is_near(one_run_value(&f->one, 0, DESCRIPTORS_SHARE), 25));
	assert_true(isnan(one_run_value(&f->one, 0, DESCRIPTORS_TRACKED)));
	put(f, "proc/sys/net/netfilter/nf_conntrack_count", "10\n");
	put(f, "proc/sys/net/netfilter/nf_conntrack_max", "40\n");
	one_run_of(&f->one, &descriptors_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, DESCRIPTORS_TRACKED_SHARE), 25));
	put(f, "proc/sys/fs/file-nr", "10 20 30\n");
	one_run_of(&f->one, &descriptors_probe, f->option);
	assert_lines(&f->one, "-  unknown: proc/sys/fs/file-nr is not of the form that is known");
}

static void put_limits(struct fixture *f, unsigned pid, const char *limit, unsigned open)
{
	char path[64];

	snprintf(path, sizeof path, "proc/%u/limits", pid);
	put(f, path, "Limit                     Soft Limit           Hard Limit           Units     \n"
		"Max cpu time              unlimited            unlimited            seconds   \n"
		"Max open files            %-20s 524288               files     \n", limit);
	for (unsigned i = 0; i < open; i++) {
		snprintf(path, sizeof path, "proc/%u/fd/%u", pid, i);
		put(f, path, " ");
	}
}

static void named_processes_are_told_by_the_one_nearest_to_its_limit(void **state)
{
	struct fixture *f = *state;

	put(f, "proc/sys/fs/file-nr", "1500\t500\t4000\n");
	put_process(f, 1, "systemd", 'S', 10, 100);
	put_process(f, 20, "nginx", 'S', 50, 10);
	put_process(f, 21, "nginx", 'S', 50, 10);
	put_process(f, 22, "nginx", 'S', 50, 10);
	put_process(f, 30, "free", 'S', 50, 10);
	put_limits(f, 20, "100", 10);
	put_limits(f, 21, "20", 15);
	put_limits(f, 22, "1000", 30);
	put_limits(f, 30, "unlimited", 3);
	one_run_of(&f->one, &descriptors_probe, f->option, "names=nginx", "names=free", "names=gone");
	assert_lines(&f->one, "-  up", "-  up", "-  unknown: it has no limit", "-  unknown: no such process runs");
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "nginx"), DESCRIPTORS_OPEN), 15));
	assert_true(is_near(one_run_value(&f->one, part(&f->one, "nginx"), DESCRIPTORS_SHARE), 75));
	put(f, "proc/23/stat/hidden", " ");
	one_run_of(&f->one, &descriptors_probe, f->option, "names=nginx");
	assert_lines(&f->one, "-  unknown: proc/23/stat: Is a directory");
}

static void own_descriptors_are_counted_as_the_kernel_does(void **state)
{
	struct fixture *f = *state;
	struct rlimit limit;
	double before;
	int fds[100];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	prctl(PR_SET_NAME, name_own(f, "many"));
	one_run_of(&f->one, &descriptors_probe, names_own(f, "many"));
	before = one_run_value(&f->one, 1, DESCRIPTORS_OPEN);
	assert_true(is_near(one_run_value(&f->one, 1, DESCRIPTORS_MOST), (double)limit.rlim_cur));
	for (int i = 0; i < 100; i++)
		fds[i] = dup(0);
	one_run_of(&f->one, &descriptors_probe, names_own(f, "many"));
	assert_true(is_near(one_run_value(&f->one, 1, DESCRIPTORS_OPEN), before + 100));
	for (int i = 0; i < 100; i++)
		close(fds[i]);
}

static bool is_rebooted;

static bool was_rebooted(void *ctx)
{
	(void)ctx;
	return is_rebooted;
}

static void a_reboot_is_told_once(void **state)
{
	static const char one[] = "11111111-0000-4000-8000-000000000000\n", two[] = "22222222-0000-4000-8000-000000000000\n";
	struct fixture *f = *state;

	put(f, "proc/uptime", "62.50 99.00\n");
	put(f, "proc/sys/kernel/random/boot_id", one);
	one_run_of(&f->one, &uptime_probe, f->option); /* of before nothing is known */
	assert_true(isnan(one_run_value(&f->one, 0, UPTIME_REBOOTED)));
	f->one.env.was_rebooted = was_rebooted;
	is_rebooted = true;
	f->one.check = "c";
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  up: this host was started anew 1m2s ago");
	assert_true(is_near(one_run_value(&f->one, 0, UPTIME_REBOOTED), 1));
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, UPTIME_REBOOTED), 0));
	put(f, "proc/sys/kernel/random/boot_id", two); /* seen through another root */
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  up: this host was started anew 1m2s ago");
	is_rebooted = false;
	f->one.check = "d";
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  up");
}

static void the_start_of_this_host_is_as_the_kernel_writes_it(void **state)
{
	struct fixture *f = *state;
	unsigned long long boot = 0;
	char line[512];
	FILE *in = fopen("/proc/stat", "r");

	assert_non_null(in);
	while (fgets(line, sizeof line, in) != NULL && sscanf(line, "btime %llu", &boot) != 1)
		;
	fclose(in);
	one_run_of(&f->one, &uptime_probe, "root=/");
	assert_true(fabs(one_run_value(&f->one, 0, UPTIME_BOOT) - (double)boot) <= 1);
}

static void entropy_and_uptime_are_numbers(void **state)
{
	struct fixture *f = *state;

	put(f, "proc/sys/kernel/random/entropy_avail", "256\n");
	one_run_of(&f->one, &entropy_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, ENTROPY_AVAILABLE), 256));
	put(f, "proc/uptime", "1234.56 99.00\n");
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  up"); /* without /proc/stat as well */
	put(f, "proc/stat", "cpu 1 2 3\nbtime 1700000000\n");
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, UPTIME_SECONDS), 1234.56));
	assert_true(is_near(one_run_value(&f->one, 0, UPTIME_BOOT), 1700000000));
	put(f, "proc/uptime", "up\n");
	one_run_of(&f->one, &uptime_probe, f->option);
	assert_lines(&f->one, "-  unknown: proc/uptime is not of the form that is known");
}

static void those_who_are_logged_in_are_counted(void **state)
{
	const struct utmp records[] = {
		{.ut_type = BOOT_TIME, .ut_user = "reboot"}, {.ut_type = USER_PROCESS, .ut_user = "root", .ut_host = "192.0.2.7"},
		{.ut_type = USER_PROCESS, .ut_user = "root", .ut_host = ":0"}, {.ut_type = USER_PROCESS, .ut_user = "li", .ut_host = ""},
		{.ut_type = DEAD_PROCESS, .ut_user = "wang"}};
	struct fixture *f = *state;
	char path[128];
	FILE *out;

	put(f, "run/utmp", "%s", "");
	one_run_of(&f->one, &users_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, USERS_SESSIONS), 0));
	snprintf(path, sizeof path, "%s/run/utmp", f->root);
	out = fopen(path, "w");
	assert_int_equal(fwrite(records, sizeof *records, 5, out), 5);
	assert_int_equal(fwrite(records, 1, 100, out), 100); /* cut */
	fclose(out);
	one_run_of(&f->one, &users_probe, f->option);
	assert_true(is_near(one_run_value(&f->one, 0, USERS_SESSIONS), 3));
	assert_true(is_near(one_run_value(&f->one, 0, USERS_REMOTE), 1));
	assert_true(is_near(one_run_value(&f->one, 0, USERS_NAMES), 2));
}

static void without_utmp_sessions_of_logind_are_counted(void **state)
{
	struct fixture *f = *state;
	char path[160];

	make_folder(f, "run/systemd/sessions"); /* with a file that is none */
	one_run_of(&f->one, &users_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, USERS_SESSIONS), 0));
	put(f, "run/systemd/sessions/4", "# private data\nUID=1000\nUSER=li\nACTIVE=1\nSTATE=active\nREMOTE=1\nTYPE=tty\nCLASS=user\n");
	put(f, "run/systemd/sessions/c1", "UID=0\nUSER=root\nSTATE=online\nREMOTE=0\nCLASS=user-early\n");
	put(f, "run/systemd/sessions/5", "USER=li\nSTATE=closing\nREMOTE=1\nCLASS=user\n");
	put(f, "run/systemd/sessions/6", "USER=gdm\nSTATE=active\nREMOTE=0\nCLASS=greeter\n");
	put(f, "run/systemd/sessions/7", "USER=li\nSTATE=online\nREMOTE=0\nCLASS=user\n");
	snprintf(path, sizeof path, "%s/run/systemd/sessions/4.ref", f->root);
	assert_int_equal(mkfifo(path, 0600), 0); /* read, it would wait for ever */
	snprintf(path, sizeof path, "%s/run/systemd/sessions/8", f->root);
	assert_int_equal(mkfifo(path, 0600), 0);
	one_run_of(&f->one, &users_probe, f->option);
	assert_lines(&f->one, "-  up");
	assert_true(is_near(one_run_value(&f->one, 0, USERS_SESSIONS), 3));
	assert_true(is_near(one_run_value(&f->one, 0, USERS_REMOTE), 1));
	assert_true(is_near(one_run_value(&f->one, 0, USERS_NAMES), 2));
}

static void the_clock_is_as_the_kernel_says(void **state)
{
	struct fixture *f = *state;
	struct timex t = {.modes = 0};
	bool is_kept = adjtimex(&t) != TIME_ERROR && (t.status & STA_UNSYNC) == 0;

	one_run_of(&f->one, &clock_probe, f->option);
	assert_lines(&f->one, is_kept ? "-  up" : "-  down: nothing keeps the clock of this host synchronised");
	assert_true(is_near(one_run_value(&f->one, 0, CLOCK_SYNCHRONISED), is_kept ? 1 : 0));
	assert_true(one_run_value(&f->one, 0, CLOCK_ERROR_MOST) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(each_type_reads_each_kernel),
		CASE(each_type_without_its_files_is_unknown),
		CASE(the_first_run_of_a_check_has_no_rates),
		CASE(a_rate_is_per_second),
		CASE(a_run_that_saw_nothing_makes_no_spike_of_the_next),
		CASE(counters_that_were_set_back_have_no_rate_for_one_run),
		CASE(parts_come_and_go_between_runs),
		CASE(another_root_begins_anew),
		CASE(a_link_that_was_lost_is_down),
		CASE(named_interfaces_must_be_there_with_a_link),
		CASE(global_addresses_are_counted_per_interface),
		CASE(mounts_that_are_read_only_or_missing_against_fstab_are_down),
		CASE(of_bind_mounts_images_and_networks_nothing_is_told),
		CASE(a_size_is_what_the_file_system_says),
		CASE(a_mount_that_became_read_only_is_down_until_it_is_writable),
		CASE(devices_are_whole_disks_by_their_lasting_names),
		CASE(pressure_is_a_share_of_the_time_between_two_runs),
		CASE(a_resource_without_pressure_costs_the_others_nothing),
		CASE(protocols_are_told_in_all_and_per_family),
		CASE(counters_that_come_later_make_no_spike),
		CASE(processes_are_counted_and_named_ones_must_run),
		CASE(named_processes_that_are_hidden_are_unknown),
		CASE(processes_are_followed_over_many_looks),
		CASE(many_processes_do_not_hold_up_others),
		CASE(a_look_that_is_left_off_begins_anew),
		CASE(a_process_with_the_number_of_one_that_ended_is_another_one),
		CASE(what_sleeps_is_counted_in_each_look),
		CASE(a_process_that_becomes_another_program_is_found_by_its_new_name),
		CASE(threads_of_the_kernel_are_counted_in_each_look),
		CASE(few_descriptors_are_enough_for_all_processes),
		CASE(what_the_agent_costs_is_told),
		CASE(the_journal_and_all_processes_of_the_agent_are_told),
		CASE(texts_of_memory_are_read),
		CASE(tables_are_told_with_what_they_hold_at_most),
		CASE(named_processes_are_told_by_the_one_nearest_to_its_limit),
		CASE(own_descriptors_are_counted_as_the_kernel_does),
		CASE(entropy_and_uptime_are_numbers),
		CASE(a_reboot_is_told_once),
		CASE(the_start_of_this_host_is_as_the_kernel_writes_it),
		CASE(those_who_are_logged_in_are_counted),
		CASE(without_utmp_sessions_of_logind_are_counted),
		CASE(the_clock_is_as_the_kernel_says),
		CASE(one_shot_takes_two_looks_within_its_run),
		CASE(a_run_that_is_cancelled_between_its_looks_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
