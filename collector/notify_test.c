#include "collector/notify_test.h"

#include <event2/event.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/incident.h"
#include "collector/notice/commands.h"
#include "collector/notice/phrase.h"
#include "collector/notice/roster.h"
#include "collector/notice/runner.h"
#include "collector/notice/send.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/program.h"

#define TIMEOUT (30 * NS_PER_S)

static const char *const help =
	"usage: xunjian-collector notify-test [-c FILE] CHANNEL\n\n"
	"Sends a test notice through a channel of the notice file, or to who is on duty by a duty list of it, and prints what\n"
	"was answered. Exit status: 0 taken, 1 not taken, 2 usage, 3 configuration not valid.\n";

/* 0, or what to end with plus 1. */
static int read_wish(int argc, char **argv, const char **settings)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	int option;

	*settings = SETTINGS_DEFAULT;
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h') {
			fputs(help, stdout);
			return EXIT_FINE + 1;
		}
		if (option != 'c')
			return EXIT_USAGE + 1; /* getopt has said why */
		*settings = optarg;
	}
	if (optind == argc - 1)
		return 0;
	fputs("notify-test: expected one channel; see --help\n", stderr);
	return EXIT_USAGE + 1;
}

struct test {
	struct event_base *base;
	enum letter_outcome outcome;
};

static void on_end(void *ctx, enum letter_outcome outcome, const char *words)
{
	static const char *const names[] = {[LETTER_TAKEN] = "taken", [LETTER_AGAIN] = "not taken", [LETTER_SLOWER] = "too many",
		[LETTER_REFUSED] = "refused"};
	struct test *t = ctx;

	t->outcome = outcome;
	printf("%s: %s", names[outcome], words);
	event_base_loopbreak(t->base);
}

/* Through the same code, on a loop, as notices go. */
static int perform(const struct send_order *o, int runner)
{
	struct test t = {.base = event_base_new(), .outcome = LETTER_AGAIN};
	struct sender *sender = sender_new(t.base);
	int64_t began = clock_mono();

	sender_give_runner(sender, runner);
	printf("%s: ", o->channel->id);
	send_start(sender, o, on_end, &t);
	event_base_dispatch(t.base);
	printf(", %lld ms\n", (long long)((clock_mono() - began) / NS_PER_MS));
	sender_free(sender);
	event_base_free(t.base);
	return t.outcome == LETTER_TAKEN ? EXIT_FINE : EXIT_RUNTIME;
}

static int send_test(const struct settings *s, const struct roster_channel *c)
{
	char token[SEND_SECRET_MAX], secret[SEND_SECRET_MAX];
	struct letter_facts f = {.matter = LETTER_TEST, .collector = s->name, .now = clock_real(), .token = token, .secret = secret};
	/* The time in its place makes the key one of its own. */
	struct incident_intent intent = {.key = (uint64_t)(f.now / NS_PER_MS), .kind = INTENT_DIGEST, .audience = "", .subject = "",
		.author = "", .text = "", .reason = "", .since = f.now, .at = f.now};
	struct phrase p;
	struct err e;
	int status, runner = -1;

	if (send_read_secret(c->token_file, token, &e) < 0 || send_read_secret(c->secret_file, secret, &e) < 0 ||
		(c->kind == ROSTER_COMMAND && (runner = runner_start(s->commands, s->user, &e)) < 0)) {
		fprintf(stderr, "notify-test: %s\n", e.text);
		return EXIT_CONFIG;
	}
	p = (struct phrase){.title = mem_strdup("【测试】巡检通知 [TEST] xunjian notice"),
		.body = mem_format("采集中心 %s 的通道 %s 测试，无需处理。\nTest of channel %s of collector %s: nothing to do.", s->name, c->id, c->id,
			s->name)};
	status = perform(&(struct send_order){.channel = c, .intent = &intent, .phrase = &p, .facts = &f, .timeout = TIMEOUT}, runner);
	phrase_fini(&p);
	return status;
}

int notify_test_main(int argc, char **argv)
{
	const struct roster_channel *channel = NULL;
	struct inventory *inventory = NULL;
	struct roster *roster = NULL;
	struct settings *settings;
	const char *path;
	struct err e;
	int status = read_wish(argc, argv, &path);

	if (status != 0)
		return status - 1;
	settings = settings_load(path, &e);
	if (settings != NULL && settings->notice[0] == '\0')
		err_set(&e, "%.200s: names no file of channels: write notice = \"notice.conf\"", path);
	else if (settings != NULL)
		inventory = inventory_load(settings->inventory, &e);
	if (inventory != NULL)
		roster = roster_load(settings->notice, inventory, &e);
	if (roster != NULL && commands_check(roster, settings->commands, &e) == 0 &&
		(channel = roster_on_duty(roster, argv[optind], clock_real())) == NULL)
		err_set(&e, "%.200s: there is no channel and no duty list \"%.60s\"", settings->notice, argv[optind]);
	if (channel == NULL)
		fprintf(stderr, "notify-test: %s\n", e.text);
	status = channel != NULL ? send_test(settings, channel) : EXIT_CONFIG;
	roster_free(roster);
	inventory_free(inventory);
	settings_free(settings);
	return status;
}
