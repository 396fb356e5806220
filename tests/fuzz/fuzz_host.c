/* Texts of /proc and /run: the first byte says of which kind. Numbers must stay what their readers promise. */
#include <math.h>
#include <stdlib.h>

#include "probes/host/counters.h"
#include "probes/host/cpu.h"
#include "probes/host/descriptors.h"
#include "probes/host/disk.h"
#include "probes/host/interface.h"
#include "probes/host/load.h"
#include "probes/host/memory.h"
#include "probes/host/pressure.h"
#include "probes/host/process_line.h"
#include "probes/host/self.h"
#include "probes/host/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void read_lines(struct scan text)
{
	struct cpu_line cpu;
	struct disk_mount mount;
	struct disk_wish wish;
	struct disk_device device;
	struct interface_line interface;
	struct scan again = text, name;
	char path[4096 + 1];

	while (cpu_next(&again, &cpu))
		if (cpu.kind == CPU_LINE_COUNTER && cpu.counter >= CPU_COUNTERS)
			abort();
	for (again = text; disk_next_mount(&again, &mount);)
		disk_mount_is_read_only(&mount);
	for (again = text; disk_next_wish(&again, &wish);)
		disk_wish_is_must(&wish);
	for (again = text; disk_next_device(&again, &device);)
		;
	for (again = text; interface_next(&again, &interface);)
		;
	for (again = text; interface_next_global_v6(&again, &name);)
		;
	if (scan_left(&text) < 4096)
		disk_unescape(&text, path);
}

static void read_numbers(struct scan text)
{
	static const struct counters_word words[] = {{"Tcp", "OutSegs"}, {"Ip", "InReceives"}, {NULL, "Udp6NoPorts"}};
	double fields[MEMORY_FIELDS];
	uint64_t paging[MEMORY_PAGINGS], counters[3] = {0};
	bool has[MEMORY_PAGINGS > 3 ? MEMORY_PAGINGS : 3] = {false};
	struct load_sample load;
	struct pressure_line some, full;
	struct process_line process;
	struct users_session session;
	uint64_t bytes;

	memory_parse(text, fields);
	memory_parse_paging(text, paging, has);
	load_parse(text, &load);
	load_count_cores(text);
	counters_read(text, words, 3, counters, has);
	pressure_parse(text, &some, &full);
	if (some.last_minute < 0 || isnan(some.last_minute))
		abort();
	descriptors_parse_limit(text, &bytes);
	self_parse_shares(text, &bytes);
	self_parse_private(text, 4096, &bytes);
	if (users_parse_session(text, &session) && (session.name[0] == '\0' || session.name[USERS_NAME - 1] != '\0'))
		abort();
	if (process_parse(text, &process) && process.name[PROCESS_NAME - 1] != '\0' && process.state == '\0')
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct users_sample users;

	if (len == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		read_lines(scan_over(data + 1, len - 1));
		break;
	case 1:
		read_numbers(scan_over(data + 1, len - 1));
		break;
	default:
		users_parse(data + 1, len - 1, &users);
		if (users.remote > users.sessions || users.users > users.sessions || users.users > USERS_DISTINCT)
			abort();
	}
	return 0;
}
