/* path_watch ADDRESS [key=value ...]: a path check with state between its looks; one look per line on standard
 * input, its own result as a line "outcome: reason" on standard output. As root: opens its raw sockets itself. */
#include <event2/event.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/path.h"
#include "probes/resolve.h"
#include "probes/run.h"

static int open_icmp(void *ctx, enum family f, struct err *e)
{
	int fd = f == FAMILY_V4 ? socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP)
		: socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMPV6);

	(void)ctx;
	return fd >= 0 ? fd : err_set(e, "no raw socket");
}

static bool may_probe(void *ctx, const struct sockaddr *a)
{
	(void)ctx, (void)a;
	return true;
}

static void on_result(void *ctx, const struct result *r)
{
	(void)ctx;
	if (*r->part == '\0')
		printf("%s: %s\n", outcome_name(r->outcome), r->reason);
	fflush(stdout);
}

static void on_done(void *ctx)
{
	event_base_loopbreak(ctx);
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct event_base *base = event_base_new();
	struct probe_env env = {.base = base, .priv_open_icmp = open_icmp, .may_probe = may_probe};
	struct config_pair items[20] = {{.key = "host", .value = argc > 1 ? argv[1] : ""}};
	struct config_pairs pairs = {.items = items, .count = 1};
	struct run_spec spec = {.check = "watched", .type = &path_probe, .families = RUN_BOTH, .timeout = 5 * NS_PER_S};
	struct runner *runner;
	struct err e;
	void *options;
	char line[80];

	for (int i = 2; i < argc && i < 20; i++) {
		char *equals = strchr(argv[i], '=');

		if (equals == NULL)
			return 2;
		*equals = '\0';
		items[pairs.count++] = (struct config_pair){.key = argv[i], .value = equals + 1};
	}
	env.resolver = resolver_new(base, NULL, &e);
	if (env.resolver == NULL || catalog_options(&catalog_path, &pairs, a, &options, &e) < 0) {
		fprintf(stderr, "path_watch: %s\n", e.text);
		return 2;
	}
	spec.options = options;
	runner = runner_new(&env);
	while (fgets(line, sizeof line, stdin) != NULL) {
		run_group_begin(runner, &spec, on_result, on_done, base);
		event_base_dispatch(base);
	}
	runner_free(runner);
	resolver_free(env.resolver);
	event_base_free(base);
	arena_free(a);
	return 0;
}
