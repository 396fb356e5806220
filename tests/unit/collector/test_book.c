#include "collector/judge/book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "collector/channel.h"
#include "collector/inventory.h"
#include "collector/judge/answer.h"
#include "collector/judge/ledger.h"
#include "collector/judge/outbox.h"
#include "collector/judge/planned.h"
#include "collector/judge/present.h"
#include "collector/judge/refold.h"
#include "collector/judge/verdict.h"
#include "collector/web/json.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/catalog_tcp.h"

#define S NS_PER_S
#define START INT64_C(1790000000)
#define INTERVAL 10
#define LONG 3000 /* seconds of a story */
#define MOST 25000
#define BACKLOG 200 /* rounds in one batch */

static const char inventory_text[] =
	"units = ( { id = \"u\"; } ); systems = ( { id = \"a\"; unit = \"u\"; }, { id = \"b\"; unit = \"u\"; } );\n"
	"sites = ( { id = \"city\"; level = \"city\"; } );\n"
	"agents = ( { id = \"v0\"; site = \"city\"; }, { id = \"v1\"; site = \"city\"; }, { id = \"v2\"; site = \"city\"; } );\n"
	"checks = (\n"
	"{ id = \"a-tcp\"; type = \"tcp\"; subject = \"system/a\"; vantages = ( \"v0\", \"v1\", \"v2\" ); interval = \"10s\";"
	" host = \"a.test\"; port = 1; },\n"
	"{ id = \"b-tcp\"; type = \"tcp\"; subject = \"system/b\"; vantages = ( \"v1\" ); interval = \"10s\"; host = \"b.test\";"
	" port = 1; limits = ( \"connect above 0.5 for 30s\" ); } );\n";

struct fixture {
	char folder[64];
	struct inventory *inventory;
	struct journal *journal;
	struct book *book;
	struct position at;
};

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
}

static struct inventory *load(const char *folder, const char *text)
{
	char path[200];
	struct inventory *inv;
	struct err e;

	snprintf(path, sizeof path, "%s/inventory.conf", folder);
	write_file(path, text);
	inv = inventory_load(folder, &e);
	if (inv == NULL)
		fail_msg("%s", e.text);
	return inv;
}

static void open_book(struct fixture *f)
{
	struct err e;

	f->book = book_open(f->folder, &e);
	if (f->book == NULL || book_plan(f->book, f->inventory, &e) < 0)
		fail_msg("%s", e.text);
	f->at = book_cursor(f->book);
}

static void open_journal(struct fixture *f)
{
	const struct journal_options options = {.segment_bytes = 1 << 20, .max_bytes = 1 << 28, .max_age = INT64_MAX / 2};
	char *path = mem_format("%s/journal", f->folder);
	struct err e;

	f->journal = journal_open(path, &options, &e);
	if (f->journal == NULL)
		fail_msg("%s", e.text);
	free(path);
}

static void begin(struct fixture *f)
{
	*f = (struct fixture){0};
	/* In memory where that is: it is not the disk that is tested. */
	snprintf(f->folder, sizeof f->folder, "%s/xj-book-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(f->folder));
	f->inventory = load(f->folder, inventory_text);
	open_journal(f);
	open_book(f);
}

static void end(struct fixture *f)
{
	char command[100];

	book_close(f->book);
	journal_close(f->journal);
	inventory_free(f->inventory);
	snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
}

/* ---- what agents say */

static struct result result_of(const char *check, enum family family, int second, enum outcome outcome)
{
	return (struct result){.check = check, .type = "tcp", .interval_s = INTERVAL, .family = family, .outcome = outcome,
		.part = "", .address = "", .reason = outcome == OUTCOME_UP ? "" : "refused", .boot = 7,
		.mono = (int64_t)(second + 1) * S};
}

static int length = LONG; /* of the story */
static int64_t skew;  /* of the agents' clocks */
static int64_t early; /* how long before its last byte the first one of a batch came */

static void tell(struct fixture *f, const char *agent, const struct result *rows, size_t count, int received)
{
	struct wire_batch_head head = {.agent = agent, .epoch = 9, .first = 1, .last = count, .sent_boot = 7};
	struct wire_packer *p = wire_packer_new(WIRE_BODY_MAX);
	struct wire_envelope v = {.agent = agent, .offset = (START - 1) * S, .received_real = (START + received) * S - early,
		.skew = skew};
	struct buf payload = {0}, body = {0};
	struct err e;

	for (size_t i = 0; i < count; i++) {
		buf_clear(&payload);
		wire_result_encode(&rows[i], catalog_decimals, &payload);
		assert_int_equal(wire_packer_add(p, i + 1, ENTRY_RESULT, payload.data, payload.len, &e), 1);
	}
	wire_packer_finish(p, &head, &body);
	wire_packer_free(p);
	v.body = body.data;
	v.body_len = body.len;
	buf_clear(&payload);
	wire_envelope_encode(&v, &payload);
	journal_append(f->journal, ENTRY_BATCH, payload.data, payload.len);
	buf_fini(&payload);
	buf_fini(&body);
}

static void tick(struct fixture *f, int second)
{
	struct buf b = {0};
	struct err e;

	buf_add_u64(&b, (uint64_t)((START + second) * S));
	journal_append(f->journal, ENTRY_TICK, b.data, b.len);
	buf_fini(&b);
	assert_int_equal(journal_sync(f->journal, &e), 0);
}

/* ---- folding as the role does */

static int reloads_each; /* of so many entries one is followed by a reload */
static unsigned reloads;

static char *journal_folder(const struct fixture *f)
{
	return mem_format("%s/journal", f->folder);
}

static void settle(struct fixture *f)
{
	char *folder = journal_folder(f);
	struct book_late late;
	struct err e;

	while (book_find_late(f->book, &late)) {
		struct refold *r = refold_new(folder,
			book_landmark(f->book, late.window.from - refold_reaches_back(f->inventory, late.subject)),
			journal_synced(f->journal), f->inventory, book_usual(f->book), late.subject, late.window, &e);
		int rc = 1;

		assert_non_null(r);
		while (rc == 1)
			rc = refold_step(r, &e);
		if (rc < 0 || book_settle_late(f->book, &late, refold_truth(r), &e) < 0)
			fail_msg("%s", e.text);
		refold_free(r);
	}
	free(folder);
}

/* kills: of a hundred entries so many end the process before it commits. */
static void fold(struct fixture *f, int kills)
{
	char *folder = journal_folder(f);
	struct journal_reader *r = journal_reader_open(folder, f->at, &(struct err){0});
	struct journal_entry entry;
	struct err e;

	assert_non_null(r);
	journal_reader_limit(r, journal_synced(f->journal));
	while (journal_read_next(r, &entry, &e) == 1) {
		if (book_fold(f->book, &entry, &e) < 0)
			fail_msg("%s", e.text);
		f->at = entry.at;
		if (rand() % 100 < kills) {
			book_close(f->book);
			open_book(f);
			journal_reader_close(r);
			r = journal_reader_open(folder, f->at, &e);
			journal_reader_limit(r, journal_synced(f->journal));
		} else if (reloads_each > 0 && rand() % reloads_each == 0) {
			assert_int_equal(book_plan(f->book, f->inventory, &e), 0);
			reloads++;
		} else if (entry.kind == ENTRY_TICK && rand() % 3 == 0) {
			assert_int_equal(book_commit(f->book, &e), 0);
			settle(f);
		} else if (rand() % 10 == 0) {
			assert_int_equal(book_commit(f->book, &e), 0);
		}
	}
	journal_reader_close(r);
	assert_int_equal(book_commit(f->book, &e), 0);
	free(folder);
}

static void fold_without_settling(struct fixture *f)
{
	char *folder = journal_folder(f);
	struct journal_reader *r = journal_reader_open(folder, f->at, &(struct err){0});
	struct journal_entry entry;
	struct err e;

	journal_reader_limit(r, journal_synced(f->journal));
	while (journal_read_next(r, &entry, &e) == 1)
		assert_int_equal(book_fold(f->book, &entry, &e), 0);
	journal_reader_close(r);
	free(folder);
}

struct text {
	char *out;
	size_t at, room;
};

static void on_intent(void *ctx, const struct incident_intent *in)
{
	struct text *t = ctx;

	t->at += (size_t)snprintf(t->out + t->at, t->room - t->at, "%llu %s %s [%s] of %llu at %d\n", (unsigned long long)in->key,
		incident_intent_name(in->kind), in->subject, in->audience, (unsigned long long)in->incident,
		(int)(in->at / S - START));
	assert_true(t->at < t->room);
}

static void plan_anew(struct fixture *f, const char *text)
{
	struct inventory *before = f->inventory;
	struct err e;

	f->inventory = load(f->folder, text);
	if (book_plan(f->book, f->inventory, &e) < 0)
		fail_msg("%s", e.text);
	inventory_free(before);
}

static void outbox_each(struct fixture *f, void (*take)(void *ctx, const struct incident_intent *), void *ctx)
{
	char *path = mem_format("%s/%s", f->folder, BOOK_FILE);
	struct outbox *o;
	struct err e;

	o = outbox_open_file(path, &e);
	if (o == NULL || outbox_intents(o, 0, take, ctx, &e) < 0)
		fail_msg("%s", e.text);
	outbox_close(o);
	free(path);
}

/* What was to be told. */
static void intents(struct fixture *f, char *out, size_t room)
{
	struct text t = {out, 0, room};

	out[0] = '\0';
	outbox_each(f, on_intent, &t);
}

static void lines(struct fixture *f, char *out, size_t room)
{
	static const enum family families[] = {FAMILY_NONE, FAMILY_V4, FAMILY_V6};
	static const char *const subjects[] = {"system/a", "system/b"};
	size_t at = 0, n;
	struct stretch *s;
	struct err e;

	out[0] = '\0';
	for (int i = 0; i < 6; i++) {
		assert_int_equal(ledger_read(book_ledger(f->book), subjects[i / 3], families[i % 3],
			(struct span){(START + 60) * S, (START + length) * S}, false, &s, &n, &e), 0);
		at += (size_t)snprintf(out + at, room - at, "%s/%d:", subjects[i / 3], (int)families[i % 3]);
		for (size_t k = 0; k < n; k++)
			at += (size_t)snprintf(out + at, room - at, " %s %d", verdict_state_name(s[k].state),
				(int)(s[k].from / S - START));
		at += (size_t)snprintf(out + at, room - at, "\n");
		assert_true(at < room);
		free(s);
	}
}

/* ---- a story: what is up when, and who tells late */

struct story {
	bool down[2][2][MOST / INTERVAL]; /* system, family, round */
	bool slow[MOST / INTERVAL];       /* system b: beyond its limit */
	int cut_from, cut_until;          /* seconds in which v1 is not heard; it tells all of it afterwards */
	bool is_cut_off;                  /* nor are the others */
	bool is_slow;                     /* some batches are long on their way */
};

static void invent(struct story *s, bool with_cut)
{
	memset(s, 0, sizeof *s);
	for (int i = 0; i < 4; i++) {
		bool down = false;

		for (int r = 12; r < length / INTERVAL; r++) {
			if (rand() % 25 == 0)
				down = !down;
			s->down[i / 2][i % 2][r] = down;
		}
	}
	for (int r = 12; r < length / INTERVAL; r++)
		s->slow[r] = rand() % 8 == 0 ? !s->slow[r - 1] : s->slow[r - 1];
	/* What fails has no values, and what they say at its edges is another question. */
	for (int r = 0; r < length / INTERVAL; r++)
		for (int k = r < 6 ? 0 : r - 6; k < length / INTERVAL && k <= r + 6; k++)
			s->slow[r] = s->slow[r] && !s->down[1][0][k] && !s->down[1][1][k];
	s->cut_from = 600 + rand() % 300;
	s->cut_until = with_cut ? s->cut_from + 200 + rand() % 600 : s->cut_from;
}

static size_t rounds_of(const struct story *s, int vantage, int first, int last, struct result *rows)
{
	size_t n = 0;

	for (int r = first; r <= last; r++) {
		for (int i = 0; i < 4; i++) {
			if (i / 2 == 1 && vantage != 1)
				continue;
			rows[n++] = result_of(i / 2 == 0 ? "a-tcp" : "b-tcp", i % 2 == 0 ? FAMILY_V4 : FAMILY_V6,
				r * INTERVAL + vantage, s->down[i / 2][i % 2][r] ? OUTCOME_DOWN : OUTCOME_UP);
			if (i / 2 == 1) {
				rows[n - 1].count = 1;
				rows[n - 1].values[0] = (struct value){TCP_CONNECT, s->slow[r] ? 0.9 : 0.1};
			}
		}
	}
	return n;
}

static void tell_round(struct fixture *f, const struct story *s, int vantage, int round)
{
	static struct result rows[4 * MOST / INTERVAL];
	static const char *const names[] = {"v0", "v1", "v2"};
	int at = round * INTERVAL + vantage, cut = vantage == 1 || s->is_cut_off ? s->cut_until : 0;
	int first = (s->cut_from + INTERVAL - 1 - vantage) / INTERVAL;

	if (at >= s->cut_from && at < cut)
		return;
	if (s->is_slow)
		early = (round * 7 + vantage * 5) % 4 == 0 ? (round * 31 + vantage * 17) % 50 * S / 2 : 0;
	for (int last; cut > s->cut_from && at >= cut && at - INTERVAL < cut && first < round; first = last + 1) {
		last = first + BACKLOG < round ? first + BACKLOG : round - 1;
		tell(f, names[vantage], rows, rounds_of(s, vantage, first, last, rows), at + 1);
	}
	tell(f, names[vantage], rows, rounds_of(s, vantage, round, round, rows), at + 1);
	if (s->is_slow)
		early = 0;
}

static void tell_story(struct fixture *f, const struct story *s)
{
	for (int t = 0; t < length + 100; t++) {
		for (int v = 0; v < 3; v++) {
			if (t % INTERVAL == v && t < length)
				tell_round(f, s, v, t / INTERVAL);
		}
		tick(f, t + 1);
	}
}

static void ledger_of(const struct story *s, int kills, char *out, char *told, size_t room)
{
	struct fixture f;

	begin(&f);
	tell_story(&f, s);
	fold(&f, kills);
	settle(&f);
	if (told != NULL)
		intents(&f, told, room);
	lines(&f, out, room);
	end(&f);
}

static char a[200000], b[200000], told_a[200000], told_b[200000];

/* The lines of x and y that differ, from a little before the difference. */
static const char *difference(const char *x, const char *y)
{
	static char out[1000];
	size_t same = 0, line = 0;

	while (x[same] != '\0' && x[same] == y[same])
		same++, line = x[same - 1] == '\n' ? same : line;
	snprintf(out, sizeof out, "%.12s ... %.90s\n%.12s ... %.90s", x + line, x + same - (same - line > 40 ? 40 : same - line),
		y + line, y + same - (same - line > 40 ? 40 : same - line));
	return out;
}

/* ---- what was so, second by second, from the story alone */

struct truth { enum state of[MOST]; };

/* Outcomes of one vantage: a row of three that fail is down from its first one until the first that does not fail. */
static void down_by_outcomes(const bool down[MOST / INTERVAL], int vantage, struct truth *t)
{
	for (int r = 0, next; r < length / INTERVAL; r = next) {
		for (next = r; next < length / INTERVAL && down[next]; next++)
			;
		for (int s = r * INTERVAL + vantage; next - r >= 3 && s < next * INTERVAL + vantage && s < length; s++)
			t->of[s] = STATE_DOWN;
		next += next == r;
	}
}

/* A row of values beyond the limit for 30 s degrades from its first one. */
static void degraded_by_values(const bool slow[MOST / INTERVAL], int vantage, struct truth *t)
{
	for (int r = 0, next; r < length / INTERVAL; r = next) {
		for (next = r; next < length / INTERVAL && slow[next]; next++)
			;
		for (int s = r * INTERVAL + vantage; next - r >= 4 && s < next * INTERVAL + vantage && s < length; s++)
			if (t->of[s] != STATE_DOWN)
				t->of[s] = STATE_DEGRADED;
		next += next == r;
	}
}

static void be_up(struct truth *t)
{
	for (int s = 0; s < length; s++)
		t->of[s] = STATE_UP;
}

static void truth_of_family(const struct story *s, int system, int family, struct truth *out)
{
	struct truth votes[3];

	be_up(out);
	if (system == 1) {
		down_by_outcomes(s->down[1][family], 1, out);
		degraded_by_values(s->slow, 1, out);
		return;
	}
	for (int v = 0; v < 3; v++) {
		be_up(&votes[v]);
		down_by_outcomes(s->down[0][family], v, &votes[v]);
	}
	for (int at = 0; at < length; at++)
		if ((votes[0].of[at] == STATE_DOWN) + (votes[1].of[at] == STATE_DOWN) + (votes[2].of[at] == STATE_DOWN) >= 2)
			out->of[at] = STATE_DOWN;
}

static size_t write_truth(const struct truth *t, const char *subject, int family, char *out, size_t room)
{
	size_t at = (size_t)snprintf(out, room, "%s/%d:", subject, family);

	for (int s = 60; s < length; s++)
		if (s == 60 || t->of[s] != t->of[s - 1])
			at += (size_t)snprintf(out + at, room - at, " %s %d", verdict_state_name(t->of[s]), s);
	at += (size_t)snprintf(out + at, room - at, "\n");
	assert_true(at < room);
	return at;
}

/* As lines() writes the ledger. */
static void truth_of(const struct story *s, char *out, size_t room)
{
	static struct truth families[2], whole;
	size_t at = 0;

	for (int system = 0; system < 2; system++) {
		const char *subject = system == 0 ? "system/a" : "system/b";

		for (int f = 0; f < 2; f++)
			truth_of_family(s, system, f, &families[f]);
		be_up(&whole);
		for (int i = 0; i < length; i++) {
			enum state v4 = families[0].of[i], v6 = families[1].of[i];

			if (v4 != STATE_UP || v6 != STATE_UP)
				whole.of[i] = v4 == STATE_DOWN && v6 == STATE_DOWN ? STATE_DOWN : STATE_DEGRADED;
		}
		at += write_truth(&whole, subject, FAMILY_NONE, out + at, room - at);
		at += write_truth(&families[0], subject, FAMILY_V4, out + at, room - at);
		at += write_truth(&families[1], subject, FAMILY_V6, out + at, room - at);
	}
}

/* Told in time, slowly, or late by a cut; killed or not. */
static void the_ledger_is_what_was_so_to_the_second(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	unsigned rounds = getenv("FULL") != NULL ? 200 : 4;
	struct story s;

	(void)state;
	for (unsigned round = 0; round < rounds; round++) {
		srand(seed + round);
		invent(&s, round % 2 == 1);
		s.is_slow = round % 4 == 2;
		truth_of(&s, a, sizeof a);
		ledger_of(&s, round % 3 == 0 ? 5 : 0, b, NULL, sizeof b);
		if (strcmp(a, b) != 0)
			fail_msg("seed %u:\n%s", seed + round, difference(a, b));
		assert_non_null(strstr(a, "down"));
		assert_non_null(strstr(a, "degraded"));
	}
}

static size_t count_in(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)) != NULL; text++)
		n++;
	return n;
}

/* A hundred at any moment, also between the attempts of a failure, and kills between them. */
static void reloads_lose_nothing(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	struct story s;

	(void)state;
	srand(seed);
	invent(&s, false);
	truth_of(&s, a, sizeof a);
	ledger_of(&s, 0, b, told_a, sizeof b);
	reloads = 0;
	reloads_each = 40;
	ledger_of(&s, 3, b, told_b, sizeof b);
	reloads_each = 0;
	if (strcmp(a, b) != 0)
		fail_msg("seed %u:\n%s", seed, difference(a, b));
	if (strcmp(told_a, told_b) != 0)
		fail_msg("seed %u:\n%s", seed, difference(told_a, told_b));
	assert_true(reloads >= 50);
}

/* Notices of a problem in a span of the story. */
static size_t problems_between(const char *told, int from, int until)
{
	size_t n = 0;

	for (const char *line = told; *line != '\0'; line = strchr(line, '\n') + 1) {
		const char *at = strchr(line, '\n');
		bool is_problem = strncmp(strchr(line, ' '), " problem ", 9) == 0;

		while (*at != ' ')
			at--;
		n += is_problem && atoi(at) >= from && atoi(at) < until;
	}
	return n;
}

/* Nobody could reach us for six hours; all they measured comes when they can. */
static void six_hours_told_late_tell_nobody_and_are_exact(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	struct story s;

	(void)state;
	srand(seed);
	length = 600 + 6 * 3600 + 900;
	invent(&s, false);
	s.is_cut_off = true;
	s.cut_from = 600;
	s.cut_until = s.cut_from + 6 * 3600;
	/* What fails then fails nowhere else: whatever is told of it is told of the past. */
	for (int i = 0; i < 4; i++)
		for (int r = 0; r < length / INTERVAL; r++)
			if (r * INTERVAL < s.cut_from + 60 || r * INTERVAL > s.cut_until - 60)
				s.down[i / 2][i % 2][r] = s.slow[r] = false;
	truth_of(&s, a, sizeof a);
	ledger_of(&s, 1, b, told_a, sizeof b);
	length = LONG;
	if (strcmp(a, b) != 0)
		fail_msg("seed %u:\n%s", seed, difference(a, b));
	assert_true(count_in(a, "down") > 20);
	/* That they were silent was true, and was told while it was. */
	assert_int_equal(problems_between(told_a, 0, s.cut_until), 3);
	assert_int_equal(problems_between(told_a, s.cut_until, s.cut_until + 900), 0);
	assert_int_equal(count_in(told_a, " system/"), 0);
}

static void kills_change_nothing(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct story s;

	(void)state;
	for (unsigned round = 0; round < 4; round++) {
		srand(seed + round);
		invent(&s, true);
		s.is_slow = round % 2 == 1;
		ledger_of(&s, 0, a, told_a, sizeof a);
		ledger_of(&s, 5, b, told_b, sizeof b);
		if (strcmp(a, b) != 0)
			fail_msg("seed %u:\n%s", seed + round, difference(a, b));
		assert_non_null(strstr(a, "down"));
		/* Each notice once, and the same ones. */
		if (strcmp(told_a, told_b) != 0)
			fail_msg("seed %u:\n%s", seed + round, difference(told_a, told_b));
		assert_non_null(strstr(told_a, "problem"));
		assert_non_null(strstr(told_a, "close"));
	}
}

/* Told late, the past is as if it had been told in time. */
static void a_backlog_makes_the_ledger_as_if_nothing_had_been_cut(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	struct story s;
	int cut_until;

	(void)state;
	for (unsigned round = 0; round < 6; round++) {
		srand(seed + round);
		invent(&s, true);
		ledger_of(&s, 0, a, NULL, sizeof a);
		cut_until = s.cut_until;
		s.cut_until = s.cut_from;
		ledger_of(&s, 0, b, NULL, sizeof b);
		if (strcmp(a, b) != 0)
			fail_msg("seed %u, cut from %d until %d:\n%s", seed + round, s.cut_from, cut_until, difference(a, b));
	}
}

static int64_t count_of(struct fixture *f, const char *query)
{
	char *path = mem_format("%s/%s", f->folder, BOOK_FILE);
	sqlite3_stmt *s;
	sqlite3 *db;
	int64_t n;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	free(path);
	return n;
}

/* Eight days, a result in ten minutes: what is usual by night and by day; then a day's value by night. */
static void a_round_trip_is_compared_with_its_hour_of_last_week(void **state)
{
	enum { EVERY = 600, SLOW = 8 * 86400 - 6 * 3600 };
	struct fixture f;

	(void)state;
	begin(&f);
	plan_anew(&f, "units = ( { id = \"u\"; } ); systems = ( { id = \"b\"; unit = \"u\"; } );\n"
				     "sites = ( { id = \"city\"; level = \"city\"; } ); agents = ( { id = \"v1\"; site = \"city\"; } );\n"
				     "checks = ( { id = \"b-tcp\"; type = \"tcp\"; subject = \"system/b\"; vantages = ( \"v1\" );"
				     " interval = \"600s\"; host = \"b.test\"; port = 1; families = \"ipv4\"; limits = ( \"connect ratio above 3\" ); } );\n");
	for (int t = EVERY; t < SLOW + 2 * EVERY; t += EVERY) {
		struct result row = result_of("b-tcp", FAMILY_V4, t, OUTCOME_UP);

		row.interval_s = EVERY;
		row.count = 1;
		row.values[0] = (struct value){TCP_CONNECT, t >= SLOW || t % 86400 < 43200 ? 0.5 : 0.1};
		tell(&f, "v1", &row, 1, t + 1);
		tick(&f, t + 1);
	}
	fold(&f, 2);
	assert_int_equal(ledger_current(book_ledger(f.book), "system/b", FAMILY_V4), STATE_DEGRADED);
	assert_int_equal(verdict_subject(book_verdict(f.book), "system/b")->families_since[VERDICT_V4],
		(START + SLOW) * S);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM stretch WHERE family = 4 AND state = 3"), 1);
	end(&f);
}

static void an_incident_tells_which_families_fail(void **state)
{
	struct outbox_incident i = {.view = {.id = 1, .subject = "system/a", .reason = "refused", .state = STATE_DEGRADED,
		.faults = FAULT_V6 | FAULT_VALUE}, .affected = "system/a"};
	struct json json = {0};

	(void)state;
	answer_incident(&json, &i);
	assert_non_null(strstr(buf_text(&json.out), "\"families\":[6]"));
	json_fini(&json);
	i.view.faults = FAULT_V4 | FAULT_V6;
	answer_incident(&json, &i);
	assert_non_null(strstr(buf_text(&json.out), "\"families\":[4,6]"));
	json_fini(&json);
}

static void reason_of(void *ctx, const struct incident_intent *in)
{
	if (in->kind == INTENT_PROBLEM)
		snprintf(ctx, 200, "%s", in->reason);
}

/* Three vantages look at a in turn, the first by a second check as well where there is one; from 100 s on those that fail do not
 * reach it. The reason of the problem that is told then. */
static void reason_told(struct fixture *f, const bool fails[3], int seconds, const char *reason)
{
	static const char *const names[] = {"v0", "v1", "v2"};
	char told[200] = "";

	for (int t = 1; t < seconds; t++) {
		int v = t % INTERVAL;
		bool failed = v < 3 && fails[v] && t > 100;
		enum outcome outcome = failed ? OUTCOME_DOWN : OUTCOME_UP;
		struct result rows[] = {result_of("a-tcp", FAMILY_V4, t - 1, outcome), result_of("b-tcp", FAMILY_V4, t - 1, outcome)};

		if (v < 3)
			tell(f, names[v], rows, v == 0 && inventory_check(f->inventory, "b-tcp") != NULL ? 2 : 1, t);
		tick(f, t);
	}
	fold(f, 0);
	outbox_each(f, reason_of, told);
	assert_string_equal(told, reason);
}

/* From the city it is gone, at its lower end it answers: it is the link, and not what stands there. A vantage that says so by two
 * checks is one vantage. */
static void a_broken_link_says_from_which_side(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	plan_anew(&f, "units = ( { id = \"u\"; } ); sites = ( { id = \"city\"; level = \"city\"; },"
				     " { id = \"n\"; level = \"county\"; parent = \"city\"; } ); links = ( { id = \"n\"; site = \"n\"; } );\n"
				     "agents = ( { id = \"v0\"; site = \"city\"; }, { id = \"v1\"; site = \"n\"; }, { id = \"v2\"; site = \"city\"; } );\n"
				     "checks = ( { id = \"a-tcp\"; type = \"tcp\"; subject = \"link/n\"; vantages = ( \"v0\", \"v1\", \"v2\" );"
				     " interval = \"10s\"; host = \"a.test\"; port = 1; },\n"
				     " { id = \"b-tcp\"; type = \"tcp\"; subject = \"link/n\"; vantages = ( \"v0\" ); interval = \"10s\";"
				     " host = \"b.test\"; port = 1; } );\n");
	reason_told(&f, (const bool[]){true, false, true}, 200,
		"refused; not reached by 2 of 2 vantages above it; reached by 1 of 1 vantages below it");
	end(&f);
}

/* A host has many processes, disks, interfaces: the incident says which. An address says nothing new. */
static void the_reason_names_the_part_that_failed(void **state)
{
	static const struct { const char *part, *address, *reason; } cases[] = {
		{"sshd", "", "sshd: refused"}, {"192.0.2.1", "192.0.2.1", "refused"}, {"", "192.0.2.1", "refused"}};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char told[200] = "";
		struct fixture f;

		begin(&f);
		for (int t = 1; t < 200; t++) {
			struct result row = result_of("a-tcp", FAMILY_V4, t - 1, t > 100 ? OUTCOME_DOWN : OUTCOME_UP);

			row.part = cases[i].part;
			row.address = cases[i].address;
			if (t % INTERVAL == 0)
				tell(&f, "v0", &row, 1, t);
			tick(&f, t);
		}
		fold(&f, 0);
		outbox_each(&f, reason_of, told);
		assert_string_equal(told, cases[i].reason);
		end(&f);
	}
}

/* Nothing measures the link: only that the vantage behind it alone does not reach what stands in the city tells of it. */
static void a_break_on_the_way_is_named(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	plan_anew(&f, "units = ( { id = \"u\"; } ); systems = ( { id = \"a\"; unit = \"u\"; } );"
				     " sites = ( { id = \"city\"; level = \"city\"; }, { id = \"n\"; level = \"county\"; parent = \"city\"; },"
				     " { id = \"t\"; level = \"town\"; parent = \"n\"; } ); links = ( { id = \"n\"; site = \"n\"; }, { id = \"t\"; site = \"t\"; } );\n"
				     "agents = ( { id = \"v0\"; site = \"city\"; }, { id = \"v1\"; site = \"n\"; }, { id = \"v2\"; site = \"t\"; } );\n"
				     "checks = ( { id = \"a-tcp\"; type = \"tcp\"; subject = \"system/a\"; vantages = ( \"v0\", \"v1\", \"v2\" );"
				     " interval = \"10s\"; host = \"a.test\"; port = 1; } );\n");
	reason_told(&f, (const bool[]){false, false, true}, 900,
		"not reached from every vantage; the way breaks at link/t");
	end(&f);
}

static void what_is_not_judged_any_more_has_no_state(void **state)
{
	struct fixture f;
	struct story s = {.cut_from = 9999};
	struct err e;

	(void)state;
	begin(&f);
	for (int t = 0; t < 60; t++) {
		if (t % INTERVAL == 1)
			tell_round(&f, &s, 1, t / INTERVAL);
		tick(&f, t + 1);
	}
	fold(&f, 0);
	assert_int_equal(ledger_current(book_ledger(f.book), "system/b", FAMILY_V4), STATE_UP);
	plan_anew(&f, "units = ( { id = \"u\"; } ); systems = ( { id = \"a\"; unit = \"u\"; } );\n"
				     "sites = ( { id = \"city\"; level = \"city\"; } );\n");
	assert_int_equal(ledger_current(book_ledger(f.book), "system/b", FAMILY_V4), STATE_NONE);
	assert_int_equal(ledger_current(book_ledger(f.book), "system/b", FAMILY_NONE), STATE_NONE);
	assert_int_equal(book_commit(f.book, &e), 0);
	end(&f);
}

/* ---- what people ask */

static void put_request(struct fixture *f, const struct wire_request *r)
{
	struct buf payload = {0};

	wire_request_encode(r, &payload);
	journal_append(f->journal, ENTRY_REQUEST, payload.data, payload.len);
	buf_fini(&payload);
}

#define ASKED 60
static struct wire_request asked[ASKED];

static void invent_requests(void)
{
	static const char *const subjects[] = {"system/a", "system/b", "site/city", "system/none"};
	static char texts[ASKED][16];

	for (int i = 0; i < ASKED; i++) {
		int64_t at = START + 100 + rand() % (LONG - 200);

		snprintf(texts[i], sizeof texts[i], rand() % 8 == 0 ? "" : "m%d", 1 + rand() % (2 * ASKED));
		asked[i] = (struct wire_request){.kind = (enum wire_request_kind)(1 + rand() % 7), .author = "wang", .real = at * S,
			.incident = (uint64_t)(1 + rand() % 12), .text = texts[i], .subjects = &subjects[rand() % 3],
			.subjects_count = (size_t)(1 + rand() % 2), .from = (at - 60 + rand() % 120) * S,
			.until = (at - 60 + rand() % 400) * S, .families = (unsigned)(rand() % 8), .state = (uint32_t)(rand() % 6)};
	}
}

static void tell_story_and_requests(struct fixture *f, const struct story *s)
{
	for (int t = 0; t < LONG + 100; t++) {
		for (int v = 0; v < 3; v++) {
			if (t % INTERVAL == v && t < LONG)
				tell_round(f, s, v, t / INTERVAL);
		}
		for (int i = 0; i < ASKED; i++) {
			if (asked[i].real == (START + t) * S)
				put_request(f, &asked[i]);
		}
		tick(f, t + 1);
	}
}

/* Verdicts, what is planned and what was corrected, as text. */
static void people_of(struct fixture *f, char *out, size_t room)
{
	static const char *const queries[] = {
		"SELECT number || ' kind ' || kind || ' accepted ' || accepted || ' ' || words || ' ' || made FROM request ORDER BY number",
		"SELECT key || ' ' || hex(data) FROM record WHERE key LIKE 'i/maintenance/%' ORDER BY key",
		"SELECT start || ' ' || finish || ' ' || state || ' ' || family FROM correction ORDER BY id",
		"SELECT subject || ' ' || start || ' ' || finish FROM planned ORDER BY subject, start",
		"SELECT id || ' ' || ifnull(acknowledged_by, '-') || ' ' || acknowledged_until || ' ' || assignee FROM incident ORDER BY id"};
	char *path = mem_format("%s/%s", f->folder, BOOK_FILE);
	sqlite3 *db;
	size_t at = 0;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
		sqlite3_stmt *s;

		assert_int_equal(sqlite3_prepare_v2(db, queries[i], -1, &s, NULL), SQLITE_OK);
		while (sqlite3_step(s) == SQLITE_ROW) {
			at += (size_t)snprintf(out + at, room - at, "%s\n", (const char *)sqlite3_column_text(s, 0));
			assert_true(at < room);
		}
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	free(path);
}

static void judge_requests(const struct story *s, int kills, char *out, char *told, size_t room)
{
	struct fixture f;

	begin(&f);
	tell_story_and_requests(&f, s);
	fold(&f, kills);
	intents(&f, told, room);
	people_of(&f, out, room);
	end(&f);
}

static void requests_are_judged_the_same_way_over_kills(void **state)
{
	unsigned seed = getenv("SEED") != NULL ? (unsigned)atoi(getenv("SEED")) : (unsigned)time(NULL);
	int accepted = 0;
	struct story s;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		srand(seed + round);
		invent(&s, false);
		invent_requests();
		judge_requests(&s, 0, a, told_a, sizeof a);
		judge_requests(&s, 5, b, told_b, sizeof b);
		if (strcmp(a, b) != 0 || strcmp(told_a, told_b) != 0)
			fail_msg("seed %u:\n%s\n%s", seed + round, difference(a, b), difference(told_a, told_b));
		assert_non_null(strstr(a, "accepted 0"));
		for (const char *p = a; (p = strstr(p, "accepted 1")) != NULL; p++)
			accepted++;
	}
	if (accepted < 3)
		fail_msg("seed %u: only %d requests made sense", seed, accepted);
}

static void a_request_that_was_judged_is_not_judged_again(void **state)
{
	static const char *const subjects[] = {"system/a", "system/none"};
	struct wire_request r = {.kind = REQUEST_PLAN, .author = "wang", .text = "why", .subjects = subjects, .subjects_count = 1,
		.real = (START + 2) * S, .from = (START + 5) * S, .until = (START + 500) * S};
	struct fixture f;

	(void)state;
	begin(&f);
	tick(&f, 1);
	put_request(&f, &r);
	r.subjects_count = 2; /* half of it cannot be: nothing of it is */
	put_request(&f, &r);
	tick(&f, 3);
	fold(&f, 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM record WHERE key LIKE 'i/maintenance/%'"), 1);
	f.at = (struct position){0, 0};
	fold(&f, 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM request"), 2);
	assert_int_equal(count_of(&f, "SELECT sum(accepted) FROM request"), 1);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM record WHERE key LIKE 'i/maintenance/%'"), 1);
	end(&f);
}

/* A minute on the way is no past. */
static void work_is_not_planned_for_what_was(void **state)
{
	static const char *const subjects[] = {"system/a"};
	struct wire_request r = {.kind = REQUEST_PLAN, .author = "wang", .text = "why", .subjects = subjects, .subjects_count = 1,
		.real = (START + 200) * S, .from = (START + 130) * S, .until = (START + 500) * S};
	struct fixture f;

	(void)state;
	begin(&f);
	tick(&f, 199);
	put_request(&f, &r);
	r.from = (START + 150) * S;
	put_request(&f, &r);
	tick(&f, 201);
	fold(&f, 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM request WHERE accepted = 0 AND words LIKE 'maintenance begins now or later%'"), 1);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM request WHERE accepted = 1"), 1);
	end(&f);
}

static void assert_planned(struct fixture *f, const char *subject, int from, int until)
{
	char *path = mem_format("%s/%s", f->folder, BOOK_FILE);
	struct planned *p;
	struct spans found;
	struct err e;

	p = planned_open_file(path, &e);
	assert_non_null(p);
	assert_int_equal(planned_read(p, subject, (struct span){START * S, (START + LONG) * S}, &found, &e), 0);
	if (from == until) {
		assert_int_equal(found.count, 0);
	} else {
		assert_int_equal(found.count, 1);
		assert_int_equal(found.items[0].from / S - START, from);
		assert_int_equal(found.items[0].until / S - START, until);
	}
	spans_fini(&found);
	planned_close(p);
	free(path);
}

/* It begins and ends while nobody judges: at its time all the same, and not for others. */
static void planned_work_is_noted_as_it_was(void **state)
{
	static const char *const subjects[] = {"system/a"};
	struct wire_request r = {.kind = REQUEST_PLAN, .author = "wang", .text = "why", .subjects = subjects, .subjects_count = 1,
		.real = (START + 5) * S, .from = (START + 100) * S, .until = (START + 200) * S};
	struct fixture f;

	(void)state;
	for (int away = 0; away < 3; away++) {
		begin(&f);
		put_request(&f, &r);
		for (int t = 6; t < (away == 0 ? 400 : away == 1 ? 90 : 150); t++)
			tick(&f, t);
		fold(&f, 2);
		if (away == 2)
			assert_planned(&f, "system/a", 100, LONG);
		book_close(f.book);
		open_book(&f);
		tick(&f, 400);
		fold(&f, 0);
		assert_planned(&f, "system/a", 100, 200);
		assert_planned(&f, "system/b", 0, 0);
		end(&f);
	}
}

static void keep_state(void *ctx, const struct channel_state *s)
{
	struct channel_state *out = ctx;

	if (strcmp(s->subject, "system/b") == 0)
		*out = *s;
}

/* Not since the state that was measured. */
static void maintenance_is_shown_since_it_began(void **state)
{
	static const char *const subjects[] = {"system/b"};
	struct wire_request r = {.kind = REQUEST_PLAN, .author = "wang", .text = "why", .subjects = subjects, .subjects_count = 1,
		.real = (START + 15) * S, .from = (START + 100) * S, .until = (START + 200) * S};
	struct story s = {.cut_from = 9999};
	struct json json = {0};
	struct fixture f;
	struct err e;

	(void)state;
	begin(&f);
	for (int t = 0; t < 250; t++) {
		struct channel_state shown = {.state = 0};
		struct present p = {0};
		struct buf out = {0};
		uint64_t version;
		int64_t reached;

		if (t % INTERVAL == 1)
			tell_round(&f, &s, 1, t / INTERVAL);
		if (t == 15)
			put_request(&f, &r);
		tick(&f, t + 1);
		fold(&f, 1);
		present_answer(&p, f.book, 0, &out);
		assert_int_equal(channel_states_decode(out.data, out.len, &version, &reached, keep_state, &shown), 0);
		if (t == 50 || t == 220)
			assert_true(shown.state == STATE_UP && shown.since < (START + 10) * S);
		if (t > 100 && t < 199)
			assert_true(shown.state == STATE_MAINTENANCE && shown.since == (START + 100) * S);
		buf_fini(&out);
		present_fini(&p);
	}
	assert_int_equal(answer_ledger(f.book, "system/b", START * S, (START + 150) * S, &json, &e), 0);
	assert_non_null(strstr(buf_text(&json.out), "\"planned\":[[1790000100,1790000150]]"));
	json_fini(&json);
	assert_int_equal(answer_ledger(f.book, "system/a", START * S, (START + LONG) * S, &json, &e), 0);
	assert_non_null(strstr(buf_text(&json.out), "\"planned\":[]"));
	json_fini(&json);
	end(&f);
}

static void planned_work_that_is_cancelled_ends_then(void **state)
{
	static const char *const subjects[] = {"system/a"};
	struct wire_request r = {.kind = REQUEST_PLAN, .author = "wang", .text = "why", .subjects = subjects, .subjects_count = 1,
		.real = (START + 5) * S, .from = (START + 4) * S, .until = (START + 200) * S};
	struct fixture f;

	(void)state;
	begin(&f);
	put_request(&f, &r);
	tick(&f, 50);
	r = (struct wire_request){.kind = REQUEST_CANCEL, .author = "wang", .text = "m1", .real = (START + 60) * S};
	put_request(&f, &r);
	tick(&f, 400);
	fold(&f, 0);
	assert_planned(&f, "system/a", 5, 60);
	end(&f);
}

/* ---- the monitoring itself */

static void put_note(struct fixture *f, const char *subject, bool is_bad, const char *text)
{
	struct buf payload = {0};

	wire_note_encode(&(struct wire_note){.agent = "", .word = "", .text = text, .real = START * S, .subject = subject,
		.is_bad = is_bad}, &payload);
	journal_append(f->journal, ENTRY_NOTE, payload.data, payload.len);
	buf_fini(&payload);
}

static void ticks(struct fixture *f, int from, int until)
{
	for (int t = from; t < until; t++)
		tick(f, t);
}

static void change(struct fixture *f, const char *sql)
{
	char *path = mem_format("%s/%s", f->folder, BOOK_FILE);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_changes(db), 1);
	sqlite3_close(db);
	free(path);
}

static int64_t open_of(struct fixture *f, const char *subject)
{
	char *query = mem_format("SELECT count(*) FROM incident WHERE phase < 2 AND subject = '%s'", subject);
	int64_t n = count_of(f, query);

	free(query);
	return n;
}

static void what_our_processes_note_of_themselves_is_an_incident(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	ticks(&f, 1, 10);
	put_note(&f, "monitoring/disk", false, "");
	put_note(&f, "monitoring/certificate", true, "our certificate ends in 3.0 days");
	put_note(&f, "system/a", true, "not for a note to say");
	ticks(&f, 10, 30);
	fold(&f, 5);
	assert_int_equal(open_of(&f, "monitoring/disk"), 0);
	assert_int_equal(open_of(&f, "monitoring/certificate"), 1);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM intent WHERE kind = 0 AND subject = 'monitoring/certificate' AND"
				      " audience = '' AND reason = 'our certificate ends in 3.0 days'"), 1);
	put_note(&f, "monitoring/certificate", false, "");
	ticks(&f, 30, 400);
	fold(&f, 1);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM incident WHERE phase < 2"), 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM incident"), 1);
	end(&f);
}

/* One batch of v1 a round, sent by a clock that is off so much; then what is open. */
static void tell_skew(struct fixture *f, int round, int64_t off, int64_t open)
{
	struct story s = {.cut_from = 9999};

	skew = off;
	tell_round(f, &s, 1, round);
	skew = 0;
	ticks(f, round * INTERVAL + 2, round * INTERVAL + 12);
	fold(f, 2);
	if (open_of(f, "monitoring/clock-v1") != open)
		fail_msg("round %d: not %d", round, (int)open);
}

/* Numbers that begin again would be those of other notices: the outbox has them already. */
static void numbers_go_on_when_their_record_is_lost(void **state)
{
	static const char *const damage[] = {
		"DELETE FROM record WHERE key = 'i/incidents'",
		"UPDATE record SET data = x'63' || substr(data, 2) WHERE key = 'i/incidents'", /* of another version */
		"UPDATE record SET data = substr(data, 1, 9) WHERE key = 'i/incidents'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
		struct fixture f;

		begin(&f);
		ticks(&f, 1, 10);
		put_note(&f, "monitoring/certificate", true, "ends");
		ticks(&f, 10, 30);
		fold(&f, 0);
		book_close(f.book);
		assert_int_equal(count_of(&f, "SELECT count(*) FROM intent"), 1);
		change(&f, damage[i]);
		open_book(&f);
		put_note(&f, "monitoring/disk", true, "full");
		ticks(&f, 30, 50);
		fold(&f, 0);
		assert_int_equal(count_of(&f, "SELECT count(*) FROM intent WHERE subject = 'monitoring/disk' AND key > 1"), 1);
		assert_int_equal(count_of(&f, "SELECT count(*) FROM incident WHERE subject = 'monitoring/disk' AND id > 1"), 1);
		assert_int_equal(count_of(&f, "SELECT count(*) FROM incident WHERE subject = 'monitoring/certificate' AND id = 1"), 1);
		end(&f);
	}
}

static void a_clock_that_is_ahead_is_an_incident_at_once(void **state)
{
	static const int64_t skews[] = {0, 6 * S, 6 * S, 4 * S, 4 * S};
	struct fixture f;

	(void)state;
	begin(&f);
	for (int round = 0; round < 5; round++)
		tell_skew(&f, round, skews[round], round > 0);
	tell_skew(&f, 5, 0, 0);
	ticks(&f, 5 * INTERVAL + 12, 400);
	fold(&f, 1);
	assert_int_equal(open_of(&f, "monitoring/clock-v1"), 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM incident WHERE subject LIKE 'monitoring/%'"), 1);
	end(&f);
}

/* A batch that was long on its way looks the same. */
static void a_clock_is_behind_when_batches_say_so_for_a_minute(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (int round = 0; round < 6; round++)
		tell_skew(&f, round, round < 5 ? -20 * S : 0, 0);
	tell_skew(&f, 6, -6 * S, 0);
	tell_skew(&f, 12, -6 * S, 0); /* a minute, and two of them */
	tell_skew(&f, 13, -6 * S, 1);
	tell_skew(&f, 14, -4 * S, 1);
	tell_skew(&f, 15, 0, 0);
	ticks(&f, 15 * INTERVAL + 12, 400);
	fold(&f, 1);
	assert_int_equal(open_of(&f, "monitoring/clock-v1"), 0);
	end(&f);
}

/* ---- time */

static const char slow_inventory[] =
	"units = ( { id = \"u\"; } ); systems = ( { id = \"a\"; unit = \"u\"; } ); sites = ( { id = \"city\"; level = \"city\"; } );\n"
	"agents = ( { id = \"v0\"; site = \"city\"; }, { id = \"v1\"; site = \"city\"; } );\n"
	"checks = ( { id = \"a-tcp\"; type = \"tcp\"; subject = \"system/a\"; vantages = ( \"v0\", \"v1\" ); interval = \"60s\";"
	" host = \"a.test\"; port = 1; } );\n";

/* Each agent says something each minute, and after two hours without a collector within two minutes. One never does again. */
static void a_stop_of_two_hours_loses_no_agent(void **state)
{
	enum { STOP = 300, BACK = STOP + 7200 };
	int agents = getenv("FULL") != NULL ? 1000 : 60;
	struct buf text = {0};
	struct fixture f;

	(void)state;
	begin(&f);
	buf_add_text(&text, "units = ( { id = \"u\"; } ); sites = ( { id = \"city\"; level = \"city\"; } );\nsystems = (");
	for (int i = 0; i < agents; i++)
		buf_add_format(&text, "%s{ id = \"s%d\"; unit = \"u\"; }", i == 0 ? "" : ", ", i);
	buf_add_text(&text, ");\nagents = (");
	for (int i = 0; i < agents; i++)
		buf_add_format(&text, "%s{ id = \"v%d\"; site = \"city\"; }", i == 0 ? "" : ", ", i);
	buf_add_text(&text, ");\nchecks = (");
	for (int i = 0; i < agents; i++)
		buf_add_format(&text, "%s{ id = \"c%d\"; type = \"tcp\"; subject = \"system/s%d\"; vantages = ( \"v%d\" );"
			" interval = \"60s\"; host = \"a.test\"; port = 1; families = \"ipv4\"; }", i == 0 ? "" : ",\n", i, i, i);
	buf_add_text(&text, ");\n");
	plan_anew(&f, buf_text(&text));
	buf_fini(&text);
	for (int t = 1; t < BACK + 900; t++) {
		if (t == BACK)
			journal_append(f.journal, ENTRY_OPEN, "", 0);
		for (int i = t % 60; i < agents && (t < STOP || t >= BACK + i % 120); i += 60) {
			char agent[16], check[16];
			struct result row;

			snprintf(agent, sizeof agent, "v%d", i);
			snprintf(check, sizeof check, "c%d", i);
			row = result_of(check, FAMILY_V4, t - 1, OUTCOME_UP);
			row.interval_s = 60;
			if (t < STOP || i != 7)
				tell(&f, agent, &row, 1, t);
		}
		if (t < STOP || t >= BACK)
			tick(&f, t);
	}
	fold(&f, 0);
	intents(&f, told_a, sizeof told_a);
	assert_int_equal(count_in(told_a, "problem agent/"), 1);
	assert_int_equal(count_in(told_a, "problem agent/v7 "), 1);
	assert_int_equal(count_in(told_a, "problem system/"), 0);
	end(&f);
}

/* Its batches are long on their way; what the other one does not say is noticed all the same. */
static void slow_uploads_of_one_agent_hide_no_silence_of_another(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	plan_anew(&f, slow_inventory);
	for (int t = 1; t < 1500; t++) {
		struct result row = result_of("a-tcp", FAMILY_V4, t - 41, OUTCOME_UP);

		if (t % 20 == 0 && t < 500)
			tell(&f, "v0", &(struct result){.check = row.check, .type = row.type, .interval_s = 60, .family = FAMILY_V4,
				.outcome = OUTCOME_UP, .part = "", .address = "", .reason = "", .boot = 7, .mono = (int64_t)t * S}, 1, t);
		if (t % 20 == 10 && t > 41) {
			early = 40 * S;
			tell(&f, "v1", &row, 1, t);
			early = 0;
		}
		tick(&f, t);
	}
	fold(&f, 2);
	assert_int_equal(open_of(&f, "agent/v0"), 1);
	assert_int_equal(open_of(&f, "agent/v1"), 0);
	end(&f);
}

/* Its first byte came before the last one of a batch that is folded already. */
static void a_change_in_a_batch_that_overlaps_another_counts(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	for (int t = 1; t < 400; t++) {
		struct result rows[2] = {result_of("b-tcp", FAMILY_V4, t, t < 180 || t > 200 ? OUTCOME_UP : OUTCOME_DOWN),
			result_of("b-tcp", FAMILY_V6, t, OUTCOME_UP)};

		if (t % INTERVAL == 0 && t <= 200)
			tell(&f, "v1", rows, 2, t + 1);
		if (t == 201) {
			rows[0].mono = (int64_t)t * S + S / 10;
			early = S / 2;
			tell(&f, "v1", rows, 1, t);
			early = 0;
		}
		tick(&f, t + 1);
		fold(&f, 1);
		if (t == 200)
			assert_int_equal(incidents_state(book_incidents(f.book), "system/b"), STATE_DEGRADED);
		if (t == 201)
			assert_int_equal(incidents_state(book_incidents(f.book), "system/b"), STATE_UP);
	}
	assert_int_equal(open_of(&f, "system/b"), 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM incident WHERE subject = 'system/b'"), 1);
	end(&f);
}

#define WRONG (12 * 365 * 86400)

/* The clock is twelve years ahead for a while, in which the system fails. */
static void tell_a_wrong_clock(struct fixture *f)
{
	for (int t = 1; t < 600; t++) {
		int shown = t > 150 && t <= 250 ? t + WRONG : t;

		if (t % INTERVAL == 0) {
			struct result rows[2];

			for (int i = 0; i < 2; i++)
				rows[i] = result_of("b-tcp", i == 0 ? FAMILY_V4 : FAMILY_V6, shown - 1, t < 200 || t > 400 ? OUTCOME_UP :
					OUTCOME_DOWN);
			tell(f, "v1", rows, 2, shown);
		}
		tick(f, shown);
	}
}

static void states_of(struct fixture *f, char *out, size_t room)
{
	struct stretch *s;
	size_t at = 0, n;
	struct err e;

	assert_int_equal(ledger_read(book_ledger(f->book), "system/b", FAMILY_NONE,
		(struct span){(START + 60) * S, (START + 2 * WRONG) * S}, false, &s, &n, &e), 0);
	for (size_t k = 0; k < n; k++)
		at += (size_t)snprintf(out + at, room - at, "%s %lld-%lld, ", verdict_state_name(s[k].state),
			(long long)(s[k].from / S - START), (long long)(s[k].until / S - START));
	free(s);
}

static void a_clock_that_went_back_leaves_nothing_in_the_future(void **state)
{
	static char told[2][5000];

	(void)state;
	for (int kills = 0; kills < 2; kills++) {
		struct book_counts counts;
		char is[500] = "";
		struct fixture f;

		begin(&f);
		tell_a_wrong_clock(&f);
		fold(&f, 5 * kills);
		book_counts(f.book, &counts);
		if (kills == 0)
			assert_true(counts.late < 10);
		states_of(&f, is, sizeof is);
		/* The years that never were stand nowhere; what was so when the clock went back was so from then on. */
		assert_string_equal(is, "up 60-251, down 251-409, up 409-599, ");
		assert_int_equal(count_of(&f, "SELECT count(*) FROM late"), 0);
		assert_int_equal(open_of(&f, "system/b"), 0);
		intents(&f, told[kills], sizeof told[kills]);
		assert_non_null(strstr(told[kills], "problem system/b"));
		end(&f);
	}
	assert_string_equal(told[0], told[1]);
}

/* What two entries leave between them is kept: the time, and that ingest was opened. */
static void a_restart_between_two_entries_forgets_nothing(void **state)
{
	struct story s = {.cut_from = 9999};
	struct fixture f;
	struct err e;

	(void)state;
	begin(&f);
	for (int t = 0; t < 201; t++) {
		if (t % INTERVAL == 1)
			tell_round(&f, &s, 1, t / INTERVAL);
		tick(&f, t);
	}
	early = -S / 4;
	tell_round(&f, &s, 1, 20);
	early = 0;
	journal_close(f.journal); /* syncs */
	open_journal(&f);
	assert_int_equal(journal_sync(f.journal, &e), 0);
	fold(&f, 0);
	assert_int_equal(book_now(f.book), (START + 202) * S + S / 4);
	book_close(f.book);
	open_book(&f);
	assert_int_equal(book_now(f.book), (START + 202) * S + S / 4);
	ticks(&f, 203, 300);
	fold(&f, 0);
	/* Agents have had no time yet to come back. */
	assert_int_equal(open_of(&f, "agent/v1"), 0);
	ticks(&f, 300, 500);
	fold(&f, 0);
	assert_int_equal(open_of(&f, "agent/v1"), 1);
	end(&f);
}

/* ---- another plan */

#define TWO_CHECKS(more) \
	"units = ( { id = \"u\"; } ); systems = ( { id = \"a\"; unit = \"u\"; } ); sites = ( { id = \"city\"; level = \"city\"; } );\n" \
	"agents = ( { id = \"v0\"; site = \"city\"; }, { id = \"v1\"; site = \"city\"; } );\n" \
	"checks = ( { id = \"a-tcp\"; type = \"tcp\"; subject = \"system/a\"; vantages = ( \"v0\" ); interval = \"10s\";" \
	" host = \"a.test\"; port = 1; }" more ");\n"

static const char two_checks[] = TWO_CHECKS(
	", { id = \"a-bad\"; type = \"tcp\"; subject = \"system/a\"; vantages = ( \"v0\", \"v1\" ); interval = \"10s\"; host = \"a.test\"; port = 2; }");
static const char one_check[] = TWO_CHECKS();

static void tell_checks(struct fixture *f, const char *agent, int at)
{
	struct result rows[4];

	for (int i = 0; i < 4; i++)
		rows[i] = result_of(i < 2 ? "a-tcp" : "a-bad", i % 2 == 0 ? FAMILY_V4 : FAMILY_V6, at, i < 2 ? OUTCOME_UP :
			OUTCOME_DOWN);
	tell(f, agent, agent[1] == '0' ? rows : rows + 2, agent[1] == '0' ? 4 : 2, at + 1);
}

static void what_failed_and_is_not_asked_for_any_more_is_over(void **state)
{
	struct fixture f;
	struct err e;

	(void)state;
	begin(&f);
	plan_anew(&f, two_checks);
	assert_int_equal(incidents_state(book_incidents(f.book), "system/a"), STATE_UNKNOWN);
	for (int t = 1; t < 400; t++) {
		if (t % INTERVAL == 0)
			tell_checks(&f, "v0", t);
		if (t % INTERVAL == 0 && t < 200)
			tell_checks(&f, "v1", t);
		tick(&f, t + 1);
	}
	fold(&f, 2);
	assert_int_equal(open_of(&f, "system/a"), 1);
	assert_int_equal(open_of(&f, "agent/v1"), 1);
	plan_anew(&f, one_check);
	assert_int_equal(ledger_current(book_ledger(f.book), "system/a", FAMILY_NONE), STATE_UP);
	assert_int_equal(incidents_state(book_incidents(f.book), "system/a"), STATE_UP);
	assert_int_equal(book_commit(f.book, &e), 0);
	for (int t = 400; t < 700; t++) {
		if (t % INTERVAL == 0)
			tell_checks(&f, "v0", t);
		tick(&f, t + 1);
	}
	fold(&f, 2);
	assert_int_equal(open_of(&f, "system/a"), 0);
	assert_int_equal(open_of(&f, "agent/v1"), 0);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM intent WHERE kind = 0 AND audience = '' AND subject = 'system/a'"), 1);
	assert_int_equal(count_of(&f, "SELECT count(*) FROM intent WHERE kind = 1 AND audience = '' AND subject = 'system/a'"), 1);
	end(&f);
}

static void what_was_never_measured_is_unknown(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f);
	assert_int_equal(incidents_state(book_incidents(f.book), "system/a"), STATE_UNKNOWN);
	ticks(&f, 1, 10);
	fold(&f, 20);
	assert_int_equal(incidents_state(book_incidents(f.book), "system/b"), STATE_UNKNOWN);
	assert_int_equal(incidents_state(book_incidents(f.book), "site/city"), STATE_NONE);
	end(&f);
}

/* More than a refold takes, or a journal that cannot be read: the note goes, or it would be tried for ever. */
static void a_window_that_nobody_can_tell_stays_as_it_was(void **state)
{
	struct fixture f;
	struct story s = {.cut_from = 100, .cut_until = 300};
	struct book_late late;
	struct err e;
	int notes = 0;

	(void)state;
	begin(&f);
	for (int t = 0; t < 500; t++) {
		if (t % INTERVAL == 1)
			tell_round(&f, &s, 1, t / INTERVAL);
		tick(&f, t + 1);
	}
	srand(1);
	fold_without_settling(&f);
	lines(&f, a, sizeof a);
	while (book_find_late(f.book, &late)) {
		if (book_settle_late(f.book, &late, NULL, &e) < 0)
			fail_msg("%s", e.text);
		notes++;
	}
	assert_true(notes > 0 && notes < 5);
	lines(&f, b, sizeof b);
	assert_string_equal(a, b);
	assert_int_equal(book_commit(f.book, &e), 0);
	end(&f);
}

static void judgement_beats_once_a_minute(void **state)
{
	struct outbox *o;
	struct fixture f;
	uint64_t number;
	struct err e;
	int64_t at;
	char *path;

	(void)state;
	begin(&f);
	ticks(&f, 1, 200);
	fold(&f, 5);
	path = mem_format("%s/%s", f.folder, BOOK_FILE);
	o = outbox_open_file(path, &e);
	assert_non_null(o);
	assert_int_equal(outbox_last_beat(o, &number, &at, &e), 0);
	assert_int_equal(number, 4);
	assert_int_equal(at / S - START, 181);
	outbox_close(o);
	free(path);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ledger_is_what_was_so_to_the_second),
		cmocka_unit_test(reloads_lose_nothing),
		cmocka_unit_test(six_hours_told_late_tell_nobody_and_are_exact),
		cmocka_unit_test(a_stop_of_two_hours_loses_no_agent),
		cmocka_unit_test(kills_change_nothing),
		cmocka_unit_test(a_backlog_makes_the_ledger_as_if_nothing_had_been_cut),
		cmocka_unit_test(a_round_trip_is_compared_with_its_hour_of_last_week),
		cmocka_unit_test(an_incident_tells_which_families_fail),
		cmocka_unit_test(a_broken_link_says_from_which_side),
		cmocka_unit_test(the_reason_names_the_part_that_failed),
		cmocka_unit_test(a_break_on_the_way_is_named),
		cmocka_unit_test(what_is_not_judged_any_more_has_no_state),
		cmocka_unit_test(requests_are_judged_the_same_way_over_kills),
		cmocka_unit_test(a_request_that_was_judged_is_not_judged_again),
		cmocka_unit_test(planned_work_is_noted_as_it_was),
		cmocka_unit_test(work_is_not_planned_for_what_was),
		cmocka_unit_test(maintenance_is_shown_since_it_began),
		cmocka_unit_test(planned_work_that_is_cancelled_ends_then),
		cmocka_unit_test(what_our_processes_note_of_themselves_is_an_incident),
		cmocka_unit_test(numbers_go_on_when_their_record_is_lost),
		cmocka_unit_test(a_clock_that_is_ahead_is_an_incident_at_once),
		cmocka_unit_test(a_clock_is_behind_when_batches_say_so_for_a_minute),
		cmocka_unit_test(slow_uploads_of_one_agent_hide_no_silence_of_another),
		cmocka_unit_test(a_change_in_a_batch_that_overlaps_another_counts),
		cmocka_unit_test(a_clock_that_went_back_leaves_nothing_in_the_future),
		cmocka_unit_test(a_restart_between_two_entries_forgets_nothing),
		cmocka_unit_test(what_failed_and_is_not_asked_for_any_more_is_over),
		cmocka_unit_test(what_was_never_measured_is_unknown),
		cmocka_unit_test(a_window_that_nobody_can_tell_stays_as_it_was),
		cmocka_unit_test(judgement_beats_once_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
