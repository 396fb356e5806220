/*
 * serve_page: the web process over made-up peers (tests/support/fake_peers.h), for the tests of the page.
 *
 *   serve_page INVENTORY PORT
 *
 * Prints "ready" once it serves. Commands on standard input, a line each: "set CHECK 4|6 up|down|unknown REASON",
 * "judge SUBJECT STATE STATE STATE" (numbers: whole, IPv4, IPv6),
 * "mute series", "unmute series", "gone series", "back series", "reload", "still" and "go" (no more beats, beats again), "quit". Ends
 * with its input.
 */
#include <event2/bufferevent.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/inventory.h"
#include "collector/settings.h"
#include "collector/web/front.h"
#include "lib/err.h"
#include "lib/log.h"
#include "tests/support/fake_peers.h"

struct tool {
	struct event_base *base;
	struct front *front;
	struct fake_peers *peers;
	struct settings settings;
	struct inventory *inventory;
	bool is_still;
};

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	struct tool *t = ctx;

	(void)fd, (void)what;
	if (!t->is_still)
		fake_peers_beat(t->peers);
}

static void set_outcome(struct tool *t, const char *line)
{
	char check[64], outcome[16];
	int family, at = 0;

	if (sscanf(line, "set %63s %d %15s %n", check, &family, outcome, &at) < 3)
		return;
	fake_peers_set(t->peers, check, (enum family)family,
		strcmp(outcome, "up") == 0 ? OUTCOME_UP : strcmp(outcome, "down") == 0 ? OUTCOME_DOWN : OUTCOME_UNKNOWN,
		line + at);
}

static void set_verdict(struct tool *t, const char *line)
{
	unsigned char state, v4, v6;
	char subject[80];

	if (sscanf(line, "judge %79s %hhu %hhu %hhu", subject, &state, &v4, &v6) == 4)
		fake_peers_judge(t->peers, subject, state, v4, v6);
}

static void obey(struct tool *t, const char *line)
{
	if (strncmp(line, "set ", 4) == 0)
		set_outcome(t, line);
	else if (strncmp(line, "judge ", 6) == 0)
		set_verdict(t, line);
	else if (strcmp(line, "mute series") == 0)
		fake_peers_mute(t->peers, PROCESS_SERIES, true);
	else if (strcmp(line, "unmute series") == 0)
		fake_peers_mute(t->peers, PROCESS_SERIES, false);
	else if (strcmp(line, "gone series") == 0)
		fake_peers_disconnect(t->peers, PROCESS_SERIES);
	else if (strcmp(line, "back series") == 0)
		fake_peers_connect(t->peers, t->front, PROCESS_SERIES);
	else if (strcmp(line, "reload") == 0)
		front_reload(t->front, &t->settings, t->inventory);
	else if (strcmp(line, "still") == 0)
		t->is_still = true;
	else if (strcmp(line, "go") == 0)
		t->is_still = false;
	else if (strcmp(line, "quit") == 0)
		event_base_loopbreak(t->base);
}

static void on_line(struct bufferevent *b, void *ctx)
{
	char *line;

	while ((line = evbuffer_readln(bufferevent_get_input(b), NULL, EVBUFFER_EOL_LF)) != NULL) {
		obey(ctx, line);
		free(line);
	}
}

static void on_end(struct bufferevent *b, short what, void *ctx)
{
	struct tool *t = ctx;

	(void)b, (void)what;
	event_base_loopbreak(t->base);
}

static struct bufferevent *read_commands(struct tool *t)
{
	struct bufferevent *input = bufferevent_socket_new(t->base, STDIN_FILENO, 0);

	evutil_make_socket_nonblocking(STDIN_FILENO);
	bufferevent_setcb(input, on_line, NULL, on_end, t);
	bufferevent_enable(input, EV_READ);
	return input;
}

int main(int argc, char **argv)
{
	char address[64];
	const char *listen = address;
	const struct timeval second = {1, 0};
	struct tool t = {.base = event_base_new(), .settings = {.name = "example-city"}};
	struct bufferevent *input;
	struct event *beat;
	struct err e;

	if (argc != 3) {
		fputs("usage: serve_page INVENTORY PORT\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open("serve_page", LOG_LEVEL_WARN);
	snprintf(address, sizeof address, "127.0.0.1:%s", argv[2]);
	t.settings.web.listen.items = (void *)&listen;
	t.settings.web.listen.count = 1;
	t.inventory = inventory_load(argv[1], &e);
	t.front = t.inventory != NULL ? front_new(t.base, &t.settings, t.inventory, &e) : NULL;
	if (t.front == NULL) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	t.peers = fake_peers_new(t.base, t.inventory);
	fake_peers_connect(t.peers, t.front, PROCESS_INGEST);
	fake_peers_connect(t.peers, t.front, PROCESS_SERIES);
	fake_peers_connect(t.peers, t.front, PROCESS_RENDER);
	fake_peers_connect(t.peers, t.front, PROCESS_JUDGE);
	beat = event_new(t.base, -1, EV_PERSIST, on_beat, &t);
	event_add(beat, &second);
	input = read_commands(&t);
	puts("ready");
	fflush(stdout);
	event_base_dispatch(t.base);
	bufferevent_free(input);
	event_free(beat);
	front_free(t.front);
	fake_peers_free(t.peers);
	inventory_free(t.inventory);
	event_base_free(t.base);
	return 0;
}
