/* The texts of /proc and /sys, as kernels from 2.6.32 to 6.1 write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "probes/host/cpu.h"
#include "probes/host/disk.h"
#include "probes/host/interface.h"
#include "probes/host/load.h"
#include "probes/host/look.h"
#include "probes/host/memory.h"
#include "probes/host/scan.h"

#define FIXTURES "tests/fixtures/host/"

static struct scan text_of(const char *text)
{
	return scan_over(text, strlen(text));
}

/* A file of the fixtures, exactly as long, so that a read past its end is seen. */
static struct scan file_of(const char *path)
{
	char name[256];
	FILE *f;
	char room[65536], *copy;
	size_t n;

	snprintf(name, sizeof name, FIXTURES "%s", path);
	f = fopen(name, "r");
	assert_non_null(f);
	n = fread(room, 1, sizeof room, f);
	fclose(f);
	copy = malloc(n + (n == 0));
	assert_non_null(copy);
	memcpy(copy, room, n);
	return scan_over(copy, n);
}

static void file_done(struct scan text)
{
	free((void *)(uintptr_t)text.at);
}

#define assert_text(scan, text)                                                                    \
	do {                                                                                       \
		char copy_[256];                                                                   \
		assert_string_equal(scan_copy(&(scan), copy_, sizeof copy_), text);                \
	} while (0)

static void words_and_numbers_end_where_the_text_does(void **state)
{
	struct scan s = text_of("  12 x34\t18446744073709551616 7.25\nlast"), line, word;
	uint64_t n = 99;
	double d;

	(void)state;
	assert_true(scan_line(&s, &line));
	assert_true(scan_number(&line, &n));
	assert_int_equal(n, 12);
	assert_false(scan_number(&line, &n));
	assert_true(scan_word(&line, &word));
	assert_text(word, "x34");
	assert_false(scan_number(&line, &n)); /* one more than 64 bits hold */
	assert_true(scan_word(&line, &word));
	assert_true(scan_decimal(&line, &d));
	assert_true(fabs(d - 7.25) < 1e-12);
	assert_false(scan_word(&line, &word));
	assert_true(scan_line(&s, &line));
	assert_text(line, "last");
	assert_false(scan_line(&s, &line));
	assert_true(scan_lists(text_of("rw,noatime,ro"), "ro"));
	assert_false(scan_lists(text_of("rw,errors=remount-ro"), "ro"));
	assert_false(scan_lists(text_of(""), ""));
}

static void processors_are_read_from_every_kernel(void **state)
{
	static const struct {
		const char *path;
		uint64_t cores[4];
		size_t count;
		uint64_t user, steal, forks;
	} cases[] = {{"2.6.32/proc/stat", {0, 1}, 2, 185321, 0, 201235},
		{"4.19/proc/stat", {0, 2, 3}, 3, 1853210, 55123, 2012350}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scan text = file_of(cases[i].path), left = text;
		struct cpu_line line;
		size_t cores = 0, all = 0, counters = 0;

		while (cpu_next(&left, &line)) {
			if (line.kind == CPU_LINE_CORE)
				assert_int_equal(line.core, cases[i].cores[cores++]);
			if (line.kind == CPU_LINE_ALL) {
				all++;
				assert_int_equal(line.values[0], cases[i].user);
				assert_int_equal(line.values[7], cases[i].steal);
			}
			if (line.kind == CPU_LINE_COUNTER && line.counter == CPU_COUNTER_FORKS)
				assert_int_equal(line.values[0], cases[i].forks);
			counters += line.kind == CPU_LINE_COUNTER;
		}
		assert_int_equal(all, 1);
		assert_int_equal(cores, cases[i].count);
		assert_int_equal(counters, CPU_COUNTERS);
		file_done(text);
	}
}

static void shares_of_processors_add_up_whatever_the_counters_do(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		uint64_t before[CPU_TIMES], now[CPU_TIMES];
		double shares[CPU_SHARES], sum = 0;

		for (int i = 0; i < CPU_TIMES; i++) {
			before[i] = (uint64_t)rand() % 1000;
			now[i] = before[i] + (uint64_t)rand() % 100 - (rand() % 8 == 0 ? before[i] / 2 : 0);
		}
		if (!cpu_shares(before, now, shares))
			continue;
		for (int i = CPU_SHARE_USER; i < CPU_SHARES; i++) {
			assert_true(shares[i] >= 0 && shares[i] <= 100);
			sum += shares[i];
		}
		assert_true(fabs(sum - 100) < 1e-9);
		assert_true(fabs(shares[CPU_SHARE_BUSY] + shares[CPU_SHARE_IDLE] + shares[CPU_SHARE_IOWAIT] - 100) < 1e-9);
	}
}

static void shares_are_what_was_spent(void **state)
{
	const uint64_t before[CPU_TIMES] = {100, 10, 50, 1000, 20, 1, 2, 3, 40, 4};
	/* user 30 of which guest 10, nice 0, system 20, idle 40, iowait back by 5, irq 1, softirq 4, steal 5 */
	const uint64_t now[CPU_TIMES] = {130, 10, 70, 1040, 15, 2, 6, 8, 50, 4};
	double shares[CPU_SHARES];

	(void)state;
	assert_true(cpu_shares(before, now, shares));
	assert_true(fabs(shares[CPU_SHARE_USER] - 20) < 1e-9);
	assert_true(fabs(shares[CPU_SHARE_GUEST] - 10) < 1e-9);
	assert_true(fabs(shares[CPU_SHARE_SYSTEM] - 20) < 1e-9);
	assert_true(fabs(shares[CPU_SHARE_STEAL] - 5) < 1e-9);
	assert_true(fabs(shares[CPU_SHARE_IOWAIT]) < 1e-9);
	assert_true(fabs(shares[CPU_SHARE_BUSY] - 60) < 1e-9);
	assert_false(cpu_shares(now, now, shares));
}

static void memory_is_read_and_estimated_where_a_kernel_does_not_tell(void **state)
{
	struct scan old = file_of("2.6.32/proc/meminfo"), new = file_of("4.19/proc/meminfo");
	double f[MEMORY_FIELDS];

	(void)state;
	memory_parse(old, f);
	assert_true(fabs(f[MEMORY_FIELD_TOTAL] - 3921112.0 * 1024) < 1);
	assert_true(fabs(f[MEMORY_FIELD_AVAILABLE] - (214404.0 + 162604 + 2011224 + 561224 - 1224) * 1024) < 1);
	assert_true(fabs(f[MEMORY_FIELD_HUGE_TOTAL] * f[MEMORY_FIELD_HUGE_SIZE] - 4 * 2048.0 * 1024) < 1);
	memory_parse(new, f);
	assert_true(fabs(f[MEMORY_FIELD_AVAILABLE] - 21345024.0 * 1024) < 1);
	assert_true(fabs(f[MEMORY_FIELD_CACHED] - 19123456.0 * 1024) < 1);
	memory_parse(text_of("MemTotal: x kB\n:\nMemFree 3\n"), f);
	assert_true(isnan(f[MEMORY_FIELD_TOTAL]) && isnan(f[MEMORY_FIELD_FREE]));
	file_done(old);
	file_done(new);
}

static void paging_tells_what_a_kernel_counts(void **state)
{
	struct scan old = file_of("2.6.32/proc/vmstat"), new = file_of("4.19/proc/vmstat");
	uint64_t n[MEMORY_PAGINGS];
	bool has[MEMORY_PAGINGS];

	(void)state;
	memory_parse_paging(old, n, has);
	assert_true(has[MEMORY_SWAPPED_IN] && has[MEMORY_MAJOR] && !has[MEMORY_OOM]);
	assert_int_equal(n[MEMORY_SWAPPED_OUT], 3000);
	memory_parse_paging(new, n, has);
	assert_true(has[MEMORY_OOM]);
	assert_int_equal(n[MEMORY_OOM], 2);
	file_done(old);
	file_done(new);
}

static void load_and_the_list_of_processors_are_read(void **state)
{
	struct load_sample s;

	(void)state;
	assert_true(load_parse(text_of("12.50 8.25 4.00 5/1234 987654\n"), &s));
	assert_true(fabs(s.averages[0] - 12.5) < 1e-12 && fabs(s.averages[2] - 4) < 1e-12);
	assert_int_equal(s.runnable, 5);
	assert_int_equal(s.threads, 1234);
	assert_false(load_parse(text_of("12.50 8.25"), &s));
	assert_false(load_parse(text_of("1 2 3 4"), &s));
	assert_int_equal(load_count_cores(text_of("0-3,5,8-11\n")), 9);
	assert_int_equal(load_count_cores(text_of("0\n")), 1);
	assert_int_equal(load_count_cores(text_of("3-1")), 0);
	assert_int_equal(load_count_cores(text_of("0-99999999999")), 0);
	assert_int_equal(load_count_cores(text_of("x")), 0);
}

static void mounts_are_read_with_their_kinds(void **state)
{
	struct scan text = file_of("4.19/proc/1/mountinfo"), left = text;
	struct disk_mount m;
	char path[256];

	(void)state;
	assert_true(disk_next_mount(&left, &m));
	assert_int_equal(m.major, 252);
	assert_int_equal(m.minor, 2);
	assert_text(m.type, "xfs");
	assert_text(m.source, "/dev/vda2");
	assert_false(disk_mount_is_read_only(&m));
	assert_true(disk_next_mount(&left, &m));
	assert_int_equal(disk_kind_of(&m.type), DISK_MADE_UP);
	assert_true(disk_next_mount(&left, &m));
	assert_true(disk_mount_is_read_only(&m)); /* by the options of the file system, as after an error */
	assert_true(disk_next_mount(&left, &m));
	assert_string_equal(disk_unescape(&m.point, path), "/data of city");
	file_done(text);
	text = left = file_of("6.1/proc/1/mountinfo");
	while (disk_next_mount(&left, &m)) {
		if (scan_is(&m.type, "fuse.sshfs"))
			assert_int_equal(disk_kind_of(&m.type), DISK_REMOTE);
		else if (scan_is(&m.type, "fuseblk") || scan_is(&m.type, "btrfs") || scan_is(&m.type, "vfat"))
			assert_int_equal(disk_kind_of(&m.type), DISK_LOCAL);
	}
	file_done(text);
	left = text_of("1 2 3:4 / /x rw shared:1\n1 2 3 / /x rw - ext4 a b\n\n");
	assert_false(disk_next_mount(&left, &m));
}

static void fstab_says_what_must_be_mounted(void **state)
{
	struct scan text = file_of("4.19/etc/fstab"), left = text;
	static const struct {
		const char *point;
		bool is_must;
	} wishes[] = {{"/", true}, {"/boot", true}, {"/data\\040of\\040city", true}, {"/archive", true},
		{"/backup", true}, {"/usb", false}, {"/mnt/cdrom", false}, {"none", false}};
	struct disk_wish w;
	size_t n = 0;

	(void)state;
	for (; disk_next_wish(&left, &w); n++) {
		assert_text(w.point, wishes[n].point);
		assert_int_equal(disk_wish_is_must(&w), wishes[n].is_must);
	}
	assert_int_equal(n, sizeof wishes / sizeof *wishes);
	file_done(text);
}

static void devices_are_read_from_every_kernel(void **state)
{
	struct scan old = file_of("2.6.32/proc/diskstats"), new = file_of("4.19/proc/diskstats"), left = old;
	struct disk_device d;

	(void)state;
	assert_true(disk_next_device(&left, &d) && disk_next_device(&left, &d));
	assert_text(d.name, "sda");
	assert_int_equal(d.counts[DISK_COUNT_READS], 51233);
	assert_int_equal(d.counts[DISK_COUNT_WAIT_MS], 4294961234);
	left = new;
	assert_true(disk_next_device(&left, &d));
	assert_text(d.name, "vda");
	assert_int_equal(d.counts[DISK_COUNT_UNDER_WAY], 3);
	assert_int_equal(d.counts[DISK_COUNT_WAIT_MS], 9546912);
	left = text_of("   8       1 sda1 512 213 4096 1123\n"); /* a partition before 2.6.25 */
	assert_false(disk_next_device(&left, &d));
	file_done(old);
	file_done(new);
}

/* Their times are of 32 bits, about seven weeks of work. */
static void times_of_devices_wrap_and_a_new_device_makes_no_spike(void **state)
{
	uint64_t before[DISK_COUNTS] = {1000, 0, 8000, 4294967000, 500, 0, 4000, 100, 0, 4294967290, 4294967295};
	uint64_t now[DISK_COUNTS] = {1010, 0, 8080, 204, 500, 0, 4000, 100, 0, 94, 299};
	struct disk_moved m;

	(void)state;
	assert_true(disk_moved(before, now, &m));
	assert_true(fabs(m.reads - 10) < 1e-9 && fabs(m.read_bytes - 80 * 512) < 1e-9);
	assert_true(fabs(m.read_s - 0.5) < 1e-9 && fabs(m.busy_s - 0.1) < 1e-9 && fabs(m.wait_s - 0.3) < 1e-9);
	now[DISK_COUNT_READS] = 5;
	assert_false(disk_moved(before, now, &m));
}

static void interfaces_are_read_from_every_kernel(void **state)
{
	struct scan old = file_of("2.6.32/proc/net/dev"), new = file_of("4.19/proc/net/dev"), left = old;
	struct interface_line i;

	(void)state;
	assert_true(interface_next(&left, &i));
	assert_text(i.name, "lo");
	assert_true(interface_next(&left, &i));
	assert_text(i.name, "eth0");
	assert_int_equal(i.counts[INTERFACE_COUNT_RX_BYTES], 4294960000);
	assert_int_equal(i.counts[INTERFACE_COUNT_MULTICAST], 88123);
	assert_int_equal(i.counts[INTERFACE_COUNT_TX_DROPS], 2);
	assert_int_equal(i.counts[INTERFACE_COUNT_COLLISIONS], 5);
	assert_false(interface_next(&left, &i));
	left = new;
	for (int n = 0; n < 3; n++)
		assert_true(interface_next(&left, &i));
	assert_text(i.name, "veth12ab34c");
	file_done(old);
	file_done(new);
}

static void global_addresses_are_those_of_scope_zero(void **state)
{
	struct scan text = file_of("4.19/proc/net/if_inet6"), left = text, name;
	int n = 0;

	(void)state;
	for (; interface_next_global_v6(&left, &name); n++)
		assert_text(name, "enp3s0");
	assert_int_equal(n, 2);
	file_done(text);
}

static void counters_move_wrap_or_were_set_back(void **state)
{
	uint64_t moved[2];

	(void)state;
	assert_true(look_moved((uint64_t[]){5, 7}, (uint64_t[]){9, 7}, 2, moved));
	assert_int_equal(moved[0], 4);
	assert_int_equal(moved[1], 0);
	/* from near 2^32 to near 0 while the other goes on */
	assert_true(look_moved((uint64_t[]){4294967290, 7}, (uint64_t[]){10, 9}, 2, moved));
	assert_int_equal(moved[0], 16);
	/* all fell: set back */
	assert_false(look_moved((uint64_t[]){4294967290, 700}, (uint64_t[]){10, 9}, 2, moved));
	assert_false(look_moved((uint64_t[]){4294967290, 0}, (uint64_t[]){10, 0}, 2, moved));
	/* not near 2^32 */
	assert_false(look_moved((uint64_t[]){1000, 7}, (uint64_t[]){10, 9}, 2, moved));
	assert_false(look_moved((uint64_t[]){UINT64_C(1) << 40, 7}, (uint64_t[]){10, 9}, 2, moved));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_and_numbers_end_where_the_text_does),
		cmocka_unit_test(processors_are_read_from_every_kernel),
		cmocka_unit_test(shares_of_processors_add_up_whatever_the_counters_do),
		cmocka_unit_test(shares_are_what_was_spent),
		cmocka_unit_test(memory_is_read_and_estimated_where_a_kernel_does_not_tell),
		cmocka_unit_test(paging_tells_what_a_kernel_counts),
		cmocka_unit_test(load_and_the_list_of_processors_are_read),
		cmocka_unit_test(mounts_are_read_with_their_kinds),
		cmocka_unit_test(fstab_says_what_must_be_mounted),
		cmocka_unit_test(devices_are_read_from_every_kernel),
		cmocka_unit_test(times_of_devices_wrap_and_a_new_device_makes_no_spike),
		cmocka_unit_test(interfaces_are_read_from_every_kernel),
		cmocka_unit_test(global_addresses_are_those_of_scope_zero),
		cmocka_unit_test(counters_move_wrap_or_were_set_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
