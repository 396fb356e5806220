/*
 * probe_load: runs of one probe type against many consecutive addresses, as an agent would make them; prints
 * one JSON object with counts, times and CPU. For tests and benches; icmp needs CAP_NET_RAW.
 *
 *   probe_load TYPE FIRST-ADDRESS TARGETS CONCURRENCY [timeout=DURATION] [every=DURATION] [key=value ...]
 *
 * every: one run begins each so long, in bundles of a millisecond, at most CONCURRENCY at a time; without it, at once.
 * An @ in a value stands for the address of the target, [@] for the same in brackets when it is IPv6.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog.h"
#include "probes/catalog_icmp.h"
#include "probes/registry.h"
#include "probes/resolve.h"
#include "probes/run.h"


struct load {
	struct event_base *base;
	struct runner *runner;
	struct arena *arena;
	const struct probe_type *type;
	const char *first;
	char **options;
	int options_count;
	void **prepared; /* options of each target, read before the clock runs: an agent reads them once */
	int64_t timeout, every, began;
	unsigned targets, concurrency, begun, ended;
	struct event *tick;
	size_t outcomes[4];
	double sums[1000]; /* of each metric's values, by number modulo 1000 */
	double *medians;
	size_t medians_count;
	char reason[256];
};

static int open_icmp(void *ctx, enum family f, struct err *e)
{
	int fd = f == FAMILY_V4 ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP)
				: socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);

	(void)ctx;
	return fd < 0 ? err_errno(e, "raw socket") : fd;
}

static bool may_probe(void *ctx, const struct sockaddr *address)
{
	(void)ctx, (void)address;
	return true;
}

/* ---- targets */

/* The n-th address behind first. */
static void address_text(const char *first, unsigned n, char out[INET6_ADDRSTRLEN])
{
	int family = strchr(first, ':') != NULL ? AF_INET6 : AF_INET;
	size_t last = family == AF_INET6 ? 15 : 3;
	uint8_t bytes[16];

	if (inet_pton(family, first, bytes) != 1) {
		fprintf(stderr, "probe_load: \"%s\" is not an address\n", first);
		exit(2);
	}
	n += bytes[last] + (unsigned)bytes[last - 1] * 256;
	bytes[last] = (uint8_t)n;
	bytes[last - 1] = (uint8_t)(n >> 8);
	inet_ntop(family, bytes, out, INET6_ADDRSTRLEN);
}

/* The value with the address in place of each @; [@] loses its brackets over IPv4. */
static const char *fill_value(struct arena *a, const char *value, const char *address)
{
	bool v6 = strchr(address, ':') != NULL;
	struct buf b = {0};
	const char *text;

	for (const char *p = value; *p != '\0'; p++) {
		if (strncmp(p, "[@]", 3) == 0) {
			buf_add_format(&b, v6 ? "[%s]" : "%s", address);
			p += 2;
		} else if (*p == '@') {
			buf_add_text(&b, address);
		} else {
			buf_add(&b, p, 1);
		}
	}
	text = arena_strdup(a, buf_text(&b));
	buf_fini(&b);
	return text;
}

static void *options_of(struct load *l, unsigned n)
{
	struct config_pairs pairs = {.count = (size_t)l->options_count};
	char address[INET6_ADDRSTRLEN];
	struct err e;
	void *options;

	address_text(l->first, n, address);
	pairs.items = arena_alloc(l->arena, pairs.count * sizeof *pairs.items);
	for (int i = 0; i < l->options_count; i++) {
		char *at = strchr(l->options[i], '=');

		if (at == NULL) {
			fprintf(stderr, "probe_load: \"%s\" is not key=value\n", l->options[i]);
			exit(2);
		}
		pairs.items[i].key = arena_format(l->arena, "%.*s", (int)(at - l->options[i]), l->options[i]);
		pairs.items[i].value = fill_value(l->arena, at + 1, address);
	}
	if (catalog_options(l->type->catalog, &pairs, l->arena, &options, &e) < 0) {
		fprintf(stderr, "probe_load: %s\n", e.text);
		exit(2);
	}
	return options;
}

/* ---- runs */

static void begin_next(struct load *);

static void on_result(void *ctx, const struct result *r)
{
	struct load *l = ctx;

	l->outcomes[r->outcome]++;
	if (r->outcome != OUTCOME_UP)
		snprintf(l->reason, sizeof l->reason, "%s", r->reason);
	for (size_t i = 0; i < r->count; i++) {
		l->sums[r->values[i].metric % 1000] += r->values[i].number;
		if (r->values[i].metric == ICMP_RTT_MEDIAN)
			l->medians[l->medians_count++] = r->values[i].number;
	}
}

static void on_done(void *ctx)
{
	struct load *l = ctx;

	l->ended++;
	if (l->ended == l->targets)
		event_base_loopbreak(l->base);
	else if (l->begun < l->targets && l->every == 0)
		begin_next(l);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct load *l = ctx;

	(void)fd, (void)what;
	while (l->begun < l->targets && l->begun - l->ended < l->concurrency &&
		l->began + l->begun * l->every <= clock_mono())
		begin_next(l);
	if (l->begun == l->targets)
		event_del(l->tick);
}

static void begin(struct load *l)
{
	struct timeval tick = {0, 1000};

	l->began = clock_mono();
	l->tick = event_new(l->base, -1, EV_PERSIST, on_tick, l);
	if (l->every > 0)
		event_add(l->tick, &tick);
	else
		while (l->begun < l->concurrency && l->begun < l->targets)
			begin_next(l);
}

/* Takes "NAME=DURATION" off the front of the options. */
static void take_duration(struct load *l, const char *name, int64_t *to)
{
	size_t len = strlen(name);
	struct err e;

	if (l->options_count == 0 || strncmp(l->options[0], name, len) != 0)
		return;
	if (num_parse_duration(l->options[0] + len, to, &e) < 0) {
		fprintf(stderr, "probe_load: %s\n", e.text);
		exit(2);
	}
	l->options++, l->options_count--;
}

static void begin_next(struct load *l)
{
	struct run_spec spec = {.check = "load", .type = l->type, .families = RUN_BOTH, .interval_s = 60,
		.timeout = l->timeout};

	spec.options = l->prepared[l->begun++];
	run_group_begin(l->runner, &spec, on_result, on_done, l);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_figures(struct load *l, double wall, double cpu)
{
	size_t n = l->medians_count;

	qsort(l->medians, n, sizeof *l->medians, compare);
	printf("{\"up\": %zu, \"down\": %zu, \"unknown\": %zu, \"wall_s\": %.3f, \"cpu_s\": %.3f", l->outcomes[1],
		l->outcomes[2], l->outcomes[3], wall, cpu);
	for (const struct metric *m = l->type->catalog->metrics; m->number != 0; m++)
		printf(", \"%s\": %.9g", m->name, l->sums[m->number % 1000]);
	if (n > 0)
		printf(", \"rtt_min_us\": %.1f, \"rtt_p50_us\": %.1f, \"rtt_p99_us\": %.1f", l->medians[0] * 1e6,
			l->medians[n / 2] * 1e6, l->medians[n * 99 / 100] * 1e6);
	printf(", \"reason\": \"%s\"}\n", l->reason);
}

int main(int argc, char **argv)
{
	struct load l = {.base = event_base_new(), .arena = arena_new()};
	struct probe_env env = {.base = l.base, .priv_open_icmp = open_icmp, .may_probe = may_probe};
	struct err e;
	double cpu;

	signal(SIGPIPE, SIG_IGN);
	l.type = argc < 5 ? NULL : registry_find(argv[1]);
	if (l.type == NULL) {
		fputs("usage: probe_load TYPE FIRST-ADDRESS TARGETS CONCURRENCY [key=value ...]\n", stderr);
		return 2;
	}
	l.first = argv[2];
	l.targets = (unsigned)atoi(argv[3]);
	l.concurrency = (unsigned)atoi(argv[4]);
	l.options = argv + 5;
	l.options_count = argc - 5;
	l.timeout = 10 * NS_PER_S;
	take_duration(&l, "timeout=", &l.timeout);
	take_duration(&l, "every=", &l.every);
	l.medians = mem_array(l.targets, sizeof *l.medians);
	l.prepared = mem_array(l.targets, sizeof *l.prepared);
	for (unsigned i = 0; i < l.targets; i++)
		l.prepared[i] = options_of(&l, i);
	env.resolver = resolver_new(l.base, NULL, &e);
	env.http = http_client_new(l.base);
	l.runner = runner_new(&env);
	cpu = cpu_seconds();
	begin(&l);
	event_base_dispatch(l.base);
	print_figures(&l, (double)(clock_mono() - l.began) / 1e9, cpu_seconds() - cpu);
	event_free(l.tick);
	runner_free(l.runner);
	http_client_free(env.http);
	resolver_free(env.resolver);
	arena_free(l.arena);
	free(l.medians);
	free(l.prepared);
	event_base_free(l.base);
	return 0;
}
