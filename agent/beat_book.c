#include "agent/beat_book.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/beat_packet.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/heartbeat.h"

#define MISSED_MAX 1000000 /* a larger jump is a counter that was set anew */
#define WAYS 4 /* over UDP and HTTPS, by IPv4 and IPv6 */
#define OTHERS (S_IRWXG | S_IRWXO)

static int check_token(const char *token, struct err *e)
{
	for (const char *c = token; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~')
			return err_set(e, "a token has letters, digits and signs of ASCII alone, no space");
	}
	return 0;
}

static const struct config_field window_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = offsetof(struct beat_window, id), .help = "what its check calls it"},
	{.name = "token", .kind = CONFIG_TEXT, .offset = offsetof(struct beat_window, token), .min = BEAT_TOKEN_MIN, .max = 128,
		.check = check_token, .help = "its secret, as from: openssl rand -hex 32"},
	{.name = NULL},
};
static const struct config_schema window_schema = {sizeof(struct beat_window), window_fields, offsetof(struct beat_window, where)};

static const struct config_field fields[] = {
	{.name = "windows", .kind = CONFIG_LIST, .offset = offsetof(struct beat_windows, list), .fallback = "",
		.max = BEAT_WINDOWS_MAX, .sub = &window_schema, .help = "end points that may report"},
	{.name = NULL},
};
const struct config_schema beat_windows_schema = {sizeof(struct beat_windows), fields, -1};

static int check_windows(const struct beat_windows *all, struct err *e)
{
	struct beat_window *items = all->list.items;
	struct map *ids = map_new(), *tokens = map_new();
	int status = 0;

	for (size_t i = 0; i < all->list.count && status == 0; i++) {
		struct beat_window *w = &items[i];

		if (map_set(ids, w->id, w) != NULL)
			status = config_error(&w->where, e, "window \"%s\" stands twice", w->id);
		else if (map_set(tokens, w->token, w) != NULL)
			status = config_error(&w->where, e, "window \"%s\" has the token of another one", w->id);
	}
	map_free(ids, NULL);
	map_free(tokens, NULL);
	return status;
}

int beat_windows_load(const char *path, struct arena *a, struct beat_windows *out, struct err *e)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return err_errno(e, "%s", path);
	if ((st.st_mode & OTHERS) != 0)
		return err_set(e, "%s: others than its owner can read it: chmod 600", path);
	if (config_load(path, &beat_windows_schema, a, out, e) < 0)
		return -1;
	return check_windows(out, e);
}

/* ---- the book */

struct window {
	char *token;
	bool has_mark;              /* of the last datagram taken: */
	int64_t mark_time, mark_counter;
	struct heartbeat_seen seen;
	int64_t hearing[WAYS]; /* as of the book, at its last report */
	size_t way;            /* of that */
};

struct beat_book {
	struct map *windows;
	int64_t skew;
	struct {
		int64_t last;    /* mono, of a report; 0: none, or interrupted since */
		int64_t hearing; /* ns in which anybody was heard */
	} ways[WAYS];
};

static void free_window(void *p)
{
	struct window *w = p;

	OPENSSL_cleanse(w->token, strlen(w->token));
	free(w->token);
	free(w);
}

struct beat_book *beat_book_new(void)
{
	struct beat_book *b = mem_alloc(sizeof *b);

	b->windows = map_new();
	return b;
}

void beat_book_free(struct beat_book *b)
{
	if (b == NULL)
		return;
	map_free(b->windows, free_window);
	free(b);
}

static void note_hearing(const struct beat_book *b, struct window *w)
{
	for (size_t i = 0; i < WAYS; i++)
		w->hearing[i] = b->ways[i].hearing;
}

static struct window *new_window(const struct beat_book *b, const char *token, int64_t mono)
{
	struct window *w = mem_alloc(sizeof *w);

	w->token = mem_strdup(token);
	w->seen.listening = mono;
	note_hearing(b, w);
	return w;
}

void beat_book_set(struct beat_book *b, const struct beat_windows *now, int64_t skew, int64_t mono)
{
	const struct beat_window *items = now->list.items;
	struct map *old = b->windows;

	b->windows = map_new();
	b->skew = skew;
	for (size_t i = 0; i < now->list.count; i++) {
		struct window *w = map_remove(old, items[i].id);

		if (w != NULL && strcmp(w->token, items[i].token) != 0) {
			free_window(w); /* another token is another end point */
			w = NULL;
		}
		map_set(b->windows, items[i].id, w != NULL ? w : new_window(b, items[i].token, mono));
	}
	map_free(old, free_window);
}

/* Of the same length for every token. */
static bool is_token(const struct window *w, const char *token)
{
	unsigned char ours[SHA256_DIGEST_LENGTH], theirs[SHA256_DIGEST_LENGTH];

	SHA256((const unsigned char *)w->token, strlen(w->token), ours);
	SHA256((const unsigned char *)token, strlen(token), theirs);
	return CRYPTO_memcmp(ours, theirs, sizeof ours) == 0;
}

static bool is_sealed(const struct window *w, const struct beat_packet *p, const void *data)
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (HMAC(EVP_sha256(), w->token, (int)strlen(w->token), data, p->sealed, mac, &len) == NULL)
		return false;
	assert(len == BEAT_MAC_LEN);
	return CRYPTO_memcmp(mac, p->mac, BEAT_MAC_LEN) == 0;
}

static void hear(struct beat_book *b, const struct beat_arrival *at, size_t i)
{
	int64_t gap = at->mono - b->ways[i].last;

	if (b->ways[i].last != 0 && gap <= BEAT_GAP)
		b->ways[i].hearing += gap;
	b->ways[i].last = at->mono;
}

/* Of one that was never heard nobody knows the way. */
static int64_t missing(const struct beat_book *b, const struct window *w)
{
	int64_t most = 0;

	for (size_t i = 0; i < WAYS; i++) {
		int64_t since = b->ways[i].hearing - w->hearing[i];

		if (since > most && (w->seen.heard == 0 || i == w->way))
			most = since;
	}
	return most;
}

static void note(struct beat_book *b, struct window *w, const struct beat_report *r, const struct beat_arrival *at, bool is_packet)
{
	struct heartbeat_seen *s = &w->seen;

	w->way = (at->family == FAMILY_V6 ? 1u : 0) + (is_packet ? 2u : 0);
	hear(b, at, w->way);
	note_hearing(b, w);
	s->heard = at->mono;
	s->is_up = r->is_up;
	memcpy(s->text, r->text, sizeof s->text);
	s->family = at->family;
	s->has_clock = false;
	s->reports++;
}

/* Whether it comes after all that were taken. When we began is reckoned back from the clock as it is now: that of then may have been
 * wrong, as it is on a host that was just started. */
static bool is_new(const struct beat_book *b, const struct window *w, const struct beat_packet *p, const struct beat_arrival *at)
{
	if (!w->has_mark)
		return p->time * NS_PER_S > at->real - (at->mono - w->seen.listening) + b->skew;
	return p->time != w->mark_time ? p->time > w->mark_time : p->counter > w->mark_counter;
}

enum beat_end beat_book_hear_packet(struct beat_book *b, const struct beat_packet *p, const void *data,
	const struct beat_arrival *at)
{
	struct window *w = map_find(b->windows, p->window);
	int64_t ahead;

	if (w == NULL || !is_sealed(w, p, data) || p->time > INT64_MAX / NS_PER_S)
		return BEAT_FOREIGN;
	ahead = p->time * NS_PER_S - at->real;
	if (ahead > b->skew || ahead < -b->skew)
		return BEAT_FOREIGN;
	if (!is_new(b, w, p, at))
		return BEAT_REPLAYED;
	if (w->has_mark && p->counter > w->mark_counter && p->counter - w->mark_counter <= MISSED_MAX)
		w->seen.missed += (uint64_t)(p->counter - w->mark_counter - 1);
	w->has_mark = true;
	w->mark_time = p->time;
	w->mark_counter = p->counter;
	note(b, w, &p->report, at, true);
	w->seen.has_clock = true;
	w->seen.clock = (double)ahead / NS_PER_S;
	return BEAT_TAKEN;
}

void beat_book_interrupt(struct beat_book *b)
{
	for (size_t i = 0; i < 2; i++)
		b->ways[i].last = 0;
}

bool beat_book_knows(const struct beat_book *b, const char *window, const char *token)
{
	const struct window *w = map_find(b->windows, window);

	return w != NULL && is_token(w, token);
}

enum beat_end beat_book_hear_report(struct beat_book *b, const char *window, const char *token, const struct beat_report *r,
	const struct beat_arrival *at)
{
	if (!beat_book_knows(b, window, token))
		return BEAT_FOREIGN;
	note(b, map_find(b->windows, window), r, at, false);
	return BEAT_TAKEN;
}

bool beat_book_ask(struct beat_book *b, const char *window, struct heartbeat_seen *out)
{
	struct window *w = map_find(b->windows, window);

	if (w == NULL)
		return false;
	*out = w->seen;
	out->missing = missing(b, w);
	w->seen.reports = w->seen.missed = 0;
	return true;
}
