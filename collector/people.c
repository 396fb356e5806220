#include "collector/people.h"

#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/ingest_requests.h"
#include "collector/judge/book.h"
#include "collector/judge/calendar.h"
#include "collector/judge/database.h"
#include "collector/judge/people.h"
#include "collector/judge/verdict.h"
#include "collector/listing.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/program.h"
#include "lib/wire.h"

#define ANSWER_WITHIN (10 * NS_PER_S)
#define VERDICT_WITHIN (5 * NS_PER_S)
#define LOOK_EVERY_MS 20

/* ---- the words */

static const struct command {
	const char *name;
	enum wire_request_kind kind;
	const char *options; /* those that it takes besides -c, --author, --json, --help, by their letters */
	const char *usage;
} commands[] = {
	{"ack", REQUEST_ACKNOWLEDGE, "UFr", "INCIDENT [--until TIME | --for DURATION] [--comment TEXT]"},
	{"unack", REQUEST_UNACKNOWLEDGE, "r", "INCIDENT [--comment TEXT]"},
	{"assign", REQUEST_ASSIGN, "", "INCIDENT WHOM"},
	{"comment", REQUEST_COMMENT, "", "INCIDENT TEXT"},
	{"maintain", REQUEST_PLAN, "fUFelr", "SUBJECT ... [--from TIME] --until TIME | --for DURATION [--every DAYS [--last TIME]] --reason TEXT"},
	{"cancel", REQUEST_CANCEL, "", "MAINTENANCE"},
	{"correct", REQUEST_CORRECT, "fUFsyr", "SUBJECT --from TIME --until TIME | --for DURATION --state up|degraded|down|unknown [--family whole|v4|v6|all] --reason TEXT"},
};

static const struct option options[] = {
	{"until", required_argument, NULL, 'U'}, {"for", required_argument, NULL, 'F'}, {"from", required_argument, NULL, 'f'},
	{"comment", required_argument, NULL, 'r'}, {"reason", required_argument, NULL, 'r'},
	{"every", required_argument, NULL, 'e'}, {"last", required_argument, NULL, 'l'},
	{"state", required_argument, NULL, 's'}, {"family", required_argument, NULL, 'y'},
	{"author", required_argument, NULL, 'a'}, {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0}};

static const char *const explanation =
	"\nAsks the collector that runs on this host, and says what came of it. TIME: \"2026-10-05 02:00\" in Asia/Shanghai,\n"
	"\"2026-10-04T18:00:00Z\", \"+2h\", now. DURATION: 90m, 2h, 3d. DAYS: day, week, mon-fri, \"sat,sun\", \"2nd sat\".\n"
	"SUBJECT: system/portal, link/county-1, site/east, agent/city. Also: -c FILE, --author NAME (who asks; SUDO_USER or the\n"
	"login name unless given), --json. Exit status: 0 accepted, 1 refused or runtime error, 2 usage, 3 configuration.\n";

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

/* Times and the like wait until all words are known: the order of options means nothing. */
struct words {
	const char *given[128]; /* of the option of that letter, NULL: not */
};

static const char *who_asks(void)
{
	const char *name = getenv("SUDO_USER");
	struct passwd *user;

	if (name == NULL || name[0] == '\0')
		name = getlogin();
	if (name == NULL) {
		user = getpwuid(getuid());
		name = user != NULL ? user->pw_name : NULL;
	}
	return name;
}

static int refuse_option(const char *word, struct err *e)
{
	char said[61];

	return err_set(e, "\"%s\" is not an option here, or lacks its value; see --help",
		text_clean(word, strlen(word), said, sizeof said));
}

static int read_options(int argc, char **argv, const struct command *c, struct people_wish *w, struct words *words,
	struct err *e)
{
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option == 'h')
			return 1;
		if (option == 'c')
			w->settings = optarg;
		else if (option == 'j')
			w->is_json = true;
		else if (option == '?' || (option != 'a' && strchr(c->options, option) == NULL))
			return refuse_option(argv[optind - 1], e);
		else
			words->given[option] = optarg;
	}
	return 0;
}

static int take_times(const struct words *o, int64_t now, struct wire_request *r, struct err *e)
{
	int64_t length = 0;

	if (o->given['U'] != NULL && o->given['F'] != NULL)
		return err_set(e, "--until and --for are two ways to say one thing");
	r->from = r->kind == REQUEST_PLAN ? now : 0;
	if (o->given['f'] != NULL && calendar_time(o->given['f'], now, &r->from, e) < 0)
		return err_wrap(e, "--from");
	if (o->given['U'] != NULL && calendar_time(o->given['U'], now, &r->until, e) < 0)
		return err_wrap(e, "--until");
	if (o->given['F'] != NULL) {
		if (num_parse_duration(o->given['F'], &length, e) < 0)
			return err_wrap(e, "--for");
		r->until = (r->from != 0 ? r->from : now) + length;
	}
	if (o->given['l'] != NULL && calendar_time(o->given['l'], now, &r->last, e) < 0)
		return err_wrap(e, "--last");
	if (o->given['l'] != NULL && o->given['e'] == NULL)
		return err_set(e, "--last belongs to --every");
	/* Judgement refuses it too; here that is known before anything is sent. */
	if (r->kind == REQUEST_PLAN && r->from < now - PEOPLE_LATE)
		return err_set(e, "--from has passed: work is planned from now on; \"correct\" is for what was");
	if (o->given['e'] == NULL)
		return 0;
	r->is_repeated = true;
	if (calendar_every(o->given['e'], r->from, &r->weekdays, &r->weeks, e) < 0)
		return err_wrap(e, "--every");
	return 0;
}

static int take_state(const struct words *o, struct wire_request *r, struct err *e)
{
	static const char *const families[] = {"whole", "v4", "v6", "all"};
	static const unsigned bits[] = {REQUEST_WHOLE, REQUEST_V4, REQUEST_V6, REQUEST_WHOLE | REQUEST_V4 | REQUEST_V6};
	const char *family = o->given['y'] != NULL ? o->given['y'] : "all";

	for (uint32_t s = STATE_UP; s <= STATE_DOWN && o->given['s'] != NULL; s++) {
		if (strcmp(verdict_state_name((enum state)s), o->given['s']) == 0)
			r->state = s;
	}
	if (r->state == 0)
		return err_set(e, "--state is up, degraded, down or unknown");
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		if (strcmp(families[i], family) == 0)
			r->families = bits[i];
	}
	return r->families != 0 ? 0 : err_set(e, "--family is whole, v4, v6 or all");
}

/* The words behind the options. */
static int take_rest(int count, char **rest, struct wire_request *r, struct err *e)
{
	bool is_of_incident = r->kind <= REQUEST_COMMENT;
	int wanted = r->kind == REQUEST_ASSIGN || r->kind == REQUEST_COMMENT ? 2 : 1;
	int64_t id;

	if (r->kind == REQUEST_PLAN ? count < 1 : count != wanted)
		return err_set(e, "%d words, wanted %s%d; see --help", count, r->kind == REQUEST_PLAN ? "at least " : "", wanted);
	if (is_of_incident) {
		if (num_parse_int(rest[0], 1, INT64_MAX, &id, e) < 0)
			return err_wrap(e, "the number of an incident");
		r->incident = (uint64_t)id;
	}
	if (r->kind == REQUEST_CANCEL)
		r->text = rest[0];
	else if (wanted == 2)
		r->text = rest[1];
	if (r->kind == REQUEST_PLAN || r->kind == REQUEST_CORRECT) {
		r->subjects = (const char *const *)rest;
		r->subjects_count = (size_t)count;
	}
	return 0;
}

static int check_whole(const struct wire_request *r, struct err *e)
{
	if (r->kind != REQUEST_PLAN && r->kind != REQUEST_CORRECT)
		return 0;
	if (r->until == 0 || r->from == 0)
		return err_set(e, "%s", r->from == 0 ? "--from is missing" : "--until or --for is missing");
	return r->text[0] != '\0' ? 0 : err_set(e, "--reason is missing");
}

/* The same bounds as on the other side, so that words are known before anything is sent. */
static int check_as_sent(const struct wire_request *r, struct err *e)
{
	struct wire_request *back;
	struct buf b = {0};

	wire_request_encode(r, &b);
	back = wire_request_decode(b.data, b.len, e);
	buf_fini(&b);
	wire_request_free(back);
	return back != NULL ? 0 : -1;
}

int people_wish_read(int argc, char **argv, int64_t now, struct people_wish *w, struct err *e)
{
	const struct command *c = find_command(argv[0]);
	struct wire_request *r = mem_alloc(sizeof *r);
	struct words o = {{NULL}};
	int rc;

	*w = (struct people_wish){.settings = SETTINGS_DEFAULT, .request = r};
	*r = (struct wire_request){.kind = c->kind, .text = ""};
	rc = read_options(argc, argv, c, w, &o, e);
	if (rc != 0)
		return rc;
	r->author = o.given['a'] != NULL ? o.given['a'] : who_asks();
	if (r->author == NULL)
		return err_set(e, "nobody knows your name: write --author NAME");
	if (o.given['r'] != NULL)
		r->text = o.given['r'];
	if (take_times(&o, now, r, e) < 0 || take_rest(argc - optind, argv + optind, r, e) < 0 ||
		(r->kind == REQUEST_CORRECT && take_state(&o, r, e) < 0) || check_whole(r, e) < 0)
		return -1;
	return check_as_sent(r, e);
}

void people_wish_fini(struct people_wish *w)
{
	free(w->request);
}

/* ---- the way there and back */

/* 1 there is a verdict; 0 not yet, or nobody can read it now. */
static int wait_for_verdict(const char *state, struct position at, struct people_verdict *v)
{
	char *path = mem_format("%s/%s", state, BOOK_FILE);
	int64_t until = clock_mono() + VERDICT_WITHIN;
	sqlite3 *db = NULL;
	struct err e;
	int rc = 0;

	while (rc == 0 && clock_mono() < until) {
		if (db == NULL)
			db = database_open_read(path, &e);
		if (db != NULL)
			rc = people_find(db, at, v, &e);
		if (rc < 0) /* not made yet, or not whole */
			rc = 0;
		if (rc == 0)
			poll(NULL, 0, LOOK_EVERY_MS);
	}
	sqlite3_close(db);
	free(path);
	return rc;
}

static void print_json(const struct wire_answer *a, const struct people_verdict *v, bool is_judged)
{
	struct json j = {0};
	char epoch[20];

	snprintf(epoch, sizeof epoch, "%016" PRIx64, a->accepted.epoch);
	json_open(&j, NULL, '{');
	json_bool(&j, "recorded", true);
	json_text(&j, "epoch", epoch);
	json_int(&j, "seq", (int64_t)a->accepted.seq);
	json_bool(&j, "judged", is_judged);
	json_bool(&j, "accepted", is_judged && v->is_accepted);
	json_text(&j, "words", v->words);
	json_text(&j, "maintenance", v->made);
	json_close(&j, '}');
	printf("%.*s\n", (int)j.out.len, (const char *)j.out.data);
	json_fini(&j);
}

static int ask(const char *name, const char *state, const struct people_wish *w, struct err *e)
{
	struct people_verdict v = {.words = "recorded; judgement does not answer now and will judge it later"};
	char words[PEOPLE_WORDS - 100];
	struct wire_answer answer;
	bool sent, is_judged;

	if (requests_ask(state, w->request, ANSWER_WITHIN, &answer, &sent, e) < 0) {
		if (sent)
			err_wrap(e, "whether this was recorded is not known");
		return -1;
	}
	if (answer.accepted.seq == 0)
		return err_set(e, "%s", answer.reason);
	is_judged = wait_for_verdict(state, answer.accepted, &v) == 1;
	if (w->is_json)
		print_json(&answer, &v, is_judged);
	if (is_judged && !v.is_accepted)
		return err_set(e, "refused: %s", text_clean(v.words, strlen(v.words), words, sizeof words));
	if (!w->is_json)
		printf("%s: %s\n", name, v.words);
	return 0;
}

int people_main(int argc, char **argv)
{
	const char *name = argv[0];
	struct settings *settings = NULL;
	struct people_wish w;
	struct err e;
	int status = EXIT_USAGE, rc = people_wish_read(argc, argv, clock_real(), &w, &e);

	if (rc == 1) {
		printf("usage: xunjian-collector %s %s\n%s", name, find_command(name)->usage, explanation);
		status = EXIT_FINE;
	} else if (rc == 0) {
		settings = settings_load(w.settings, &e);
		status = settings == NULL ? EXIT_CONFIG : ask(name, settings->state, &w, &e) < 0 ? EXIT_RUNTIME : EXIT_FINE;
	}
	if (status != EXIT_FINE)
		fprintf(stderr, "%s: %s\n", name, e.text);
	people_wish_fini(&w);
	settings_free(settings);
	return status;
}

/* ---- what was asked */

static void print_asked(void *ctx, const struct people_asked *a)
{
	char at[CALENDAR_TIME];

	(void)ctx;
	printf("%-6" PRId64 " %-20s %-16s %-13s %-8s %s\n", a->number, calendar_format(a->at, at), a->author, a->what,
		a->is_accepted ? "accepted" : "refused", a->words);
}

static void add_asked(void *ctx, const struct people_asked *a)
{
	struct json *j = ctx;

	json_open(j, NULL, '{');
	json_int(j, "number", a->number);
	json_time(j, "at", a->at);
	json_text(j, "author", a->author);
	json_text(j, "what", a->what);
	json_bool(j, "accepted", a->is_accepted);
	json_text(j, "words", a->words);
	json_close(j, '}');
}

static int print_all(const char *state, const void *ctx, struct err *e)
{
	const bool *is_json = ctx;
	char *path = mem_format("%s/%s", state, BOOK_FILE);
	sqlite3 *db = database_open_read(path, e);
	struct json j = {0};
	int rc = -1;

	free(path);
	if (db == NULL)
		return -1;
	if (*is_json) {
		listing_begin_json(&j);
		rc = people_list(db, add_asked, &j, e);
		listing_end_json(&j, rc == 0);
	} else {
		printf("%-6s %-20s %-16s %-13s %-8s %s\n", "number", "at", "author", "what", "verdict", "words");
		rc = people_list(db, print_asked, NULL, e);
	}
	sqlite3_close(db);
	return rc;
}

int requests_main(int argc, char **argv)
{
	static const struct option known[] = {{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
	const char *path = SETTINGS_DEFAULT;
	bool is_json = false;
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "c:", known, NULL)) != -1) {
		if (option == 'h') {
			puts("usage: xunjian-collector requests [-c FILE] [--json]\n\nWhat people asked, and the verdicts, newest first.");
			return EXIT_FINE;
		}
		if (option == 'c')
			path = optarg;
		else if (option == 'j')
			is_json = true;
		else
			return EXIT_USAGE; /* getopt has said why */
	}
	if (optind < argc) {
		fprintf(stderr, "requests: \"%s\" is one word too many; see --help\n", argv[optind]);
		return EXIT_USAGE;
	}
	return listing_run("requests", path, print_all, &is_json);
}
