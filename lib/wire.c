/* The small messages, and zstd. Results and batches: wire_rows.c (decoding), wire_packer.c. */
#include "lib/wire.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/wire_pb.h"
#include "wire.pb-c.h"

/* protobuf-c has no const: what is packed is only read. */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* ---- Answer */

void wire_answer_encode(const struct wire_answer *a, struct buf *out)
{
	Xunjian__Wire__Answer p = XUNJIAN__WIRE__ANSWER__INIT;
	char *probes[WIRE_PROBES_MAX];

	p.epoch = a->accepted.epoch;
	p.accepted = a->accepted.seq;
	p.durable = a->durable;
	p.expected_epoch = a->expected.epoch;
	p.expected = a->expected.seq;
	p.reason = unconst(a->reason);
	for (size_t i = 0; i < a->probes_count; i++)
		probes[i] = unconst(a->probes[i]);
	p.n_probe = a->probes_count;
	p.probe = probes;
	wire_pb_pack(&p, out);
}

int wire_answer_decode(const void *data, size_t len, struct wire_answer *a, struct err *e)
{
	Xunjian__Wire__Answer *p =
		wire_pb_unpack(&xunjian__wire__answer__descriptor, data, len, "answer", e);

	if (p == NULL)
		return -1;
	*a = (struct wire_answer){.accepted = {p->epoch, p->accepted},
		.durable = p->durable,
		.expected = {p->expected_epoch, p->expected}};
	text_clean(p->reason, strlen(p->reason), a->reason, sizeof a->reason);
	for (size_t i = 0; i < p->n_probe && a->probes_count < WIRE_PROBES_MAX; i++) {
		if (num_check_id(p->probe[i], e) == 0)
			strcpy(a->probes[a->probes_count++], p->probe[i]);
	}
	wire_pb_free(p);
	return 0;
}

/* ---- Lost */

void wire_lost_encode(const struct wire_lost *l, struct buf *out)
{
	Xunjian__Wire__Lost p = XUNJIAN__WIRE__LOST__INIT;

	p.count = l->count;
	p.boot = l->boot;
	p.from_mono = l->from_mono;
	p.to_mono = l->to_mono;
	wire_pb_pack(&p, out);
}

int wire_lost_decode(const void *data, size_t len, struct wire_lost *l, struct err *e)
{
	Xunjian__Wire__Lost *p = wire_pb_unpack(&xunjian__wire__lost__descriptor, data, len, "lost", e);

	if (p == NULL)
		return -1;
	*l = (struct wire_lost){p->count, p->boot, p->from_mono, p->to_mono};
	wire_pb_free(p);
	if (l->count == 0 || l->from_mono < 0 || l->to_mono < l->from_mono || l->to_mono > WIRE_TIME_MAX)
		return err_set(e, "lost: count or times mean nothing");
	return 0;
}

/* ---- Assignments */

static Xunjian__Wire__Option *option_pb(struct arena *arena, const struct wire_option *from)
{
	Xunjian__Wire__Option *o = arena_alloc(arena, sizeof *o);

	xunjian__wire__option__init(o);
	o->key = unconst(from->key);
	o->value = unconst(from->value);
	return o;
}

static Xunjian__Wire__AssignedCheck *check_pb(struct arena *arena, const struct wire_check *from)
{
	Xunjian__Wire__AssignedCheck *c = arena_alloc(arena, sizeof *c);

	xunjian__wire__assigned_check__init(c);
	c->id = unconst(from->id);
	c->type = unconst(from->type);
	c->interval_s = from->interval_s;
	c->families = from->families;
	c->timeout_ms = from->timeout_ms;
	c->priority = from->priority;
	c->n_options = from->options_count;
	c->options = arena_alloc(arena, from->options_count * sizeof *c->options);
	for (size_t i = 0; i < from->options_count; i++)
		c->options[i] = option_pb(arena, &from->options[i]);
	return c;
}

void wire_assignments_encode(const struct wire_assignments *a, struct buf *out)
{
	Xunjian__Wire__Assignments p = XUNJIAN__WIRE__ASSIGNMENTS__INIT;
	struct arena *arena = arena_new();

	p.version = WIRE_VERSION;
	p.agent = unconst(a->agent);
	p.generation = a->generation;
	p.n_checks = a->count;
	p.checks = arena_alloc(arena, a->count * sizeof *p.checks);
	for (size_t i = 0; i < a->count; i++)
		p.checks[i] = check_pb(arena, &a->checks[i]);
	wire_pb_pack(&p, out);
	arena_free(arena);
}

/* The decoded assignments and the message whose texts they borrow. */
struct assignments {
	struct wire_assignments public;
	Xunjian__Wire__Assignments *pb;
	struct arena *arena;
};

/* An option may hold lines (the body of a request): each must be clean. */
static bool option_value_is_clean(const char *value)
{
	char line[WIRE_OPTION_TEXT_MAX + 1];
	size_t len = strnlen(value, sizeof line);

	if (len > WIRE_OPTION_TEXT_MAX)
		return false;
	memcpy(line, value, len + 1);
	for (char *p = line; (p = strpbrk(p, "\t\r\n")) != NULL;)
		*p = ' ';
	return text_is_clean(line, WIRE_OPTION_TEXT_MAX);
}

static int check_options(const Xunjian__Wire__AssignedCheck *c, struct err *e)
{
	if (c->n_options > WIRE_OPTIONS_MAX)
		return err_set(e, "%zu options, at most %d", c->n_options, WIRE_OPTIONS_MAX);
	for (size_t i = 0; i < c->n_options; i++) {
		const char *key = c->options[i]->key;

		if (key[0] == '\0' || !text_is_clean(key, SAMPLE_ID_MAX))
			return err_set(e, "the key of option %zu is empty, unclean or too long", i);
		if (!option_value_is_clean(c->options[i]->value))
			return err_set(e, "option %s is not clean UTF-8 of at most %d bytes", key,
				WIRE_OPTION_TEXT_MAX);
	}
	return 0;
}

static int check_assigned(const Xunjian__Wire__AssignedCheck *c, struct err *e)
{
	if (num_check_id(c->id, e) < 0)
		return -1;
	if (num_check_id(c->type, e) < 0)
		return err_wrap(e, "check %s: type", c->id);
	if (c->interval_s == 0 || c->interval_s > WIRE_INTERVAL_MAX)
		return err_set(e, "check %s: interval %u s, must be 1 to %d", c->id, c->interval_s,
			WIRE_INTERVAL_MAX);
	if (c->families < 1 || c->families > 3)
		return err_set(e, "check %s: families %u, must be 1, 2 or 3", c->id, c->families);
	if (c->timeout_ms == 0 || c->timeout_ms / 1000 > WIRE_INTERVAL_MAX)
		return err_set(e, "check %s: timeout %u ms is out of range", c->id, c->timeout_ms);
	if (check_options(c, e) < 0)
		return err_wrap(e, "check %s", c->id);
	return 0;
}

static int check_assignments(const Xunjian__Wire__Assignments *p, struct err *e)
{
	struct map *ids = map_new();
	int rc = 0;

	if (p->version != WIRE_VERSION)
		rc = err_set(e, "version %u, this side speaks %d", p->version, WIRE_VERSION);
	else if (num_check_id(p->agent, e) < 0)
		rc = err_wrap(e, "agent");
	else if (p->n_checks > WIRE_CHECKS_MAX)
		rc = err_set(e, "%zu checks, at most %d", p->n_checks, WIRE_CHECKS_MAX);
	for (size_t i = 0; rc == 0 && i < p->n_checks; i++) {
		rc = check_assigned(p->checks[i], e);
		if (rc == 0 && map_set(ids, p->checks[i]->id, p->checks[i]) != NULL)
			rc = err_set(e, "check %s stands there twice", p->checks[i]->id);
	}
	map_free(ids, NULL);
	return rc;
}

static void fill_check(struct arena *arena, const Xunjian__Wire__AssignedCheck *from,
	struct wire_check *c)
{
	struct wire_option *options = arena_alloc(arena, from->n_options * sizeof *options);

	for (size_t i = 0; i < from->n_options; i++)
		options[i] = (struct wire_option){from->options[i]->key, from->options[i]->value};
	*c = (struct wire_check){.id = from->id,
		.type = from->type,
		.interval_s = from->interval_s,
		.families = from->families,
		.timeout_ms = from->timeout_ms,
		.priority = from->priority != 0,
		.options_count = from->n_options,
		.options = options};
}

struct wire_assignments *wire_assignments_decode(const void *data, size_t len, struct err *e)
{
	Xunjian__Wire__Assignments *p =
		wire_pb_unpack(&xunjian__wire__assignments__descriptor, data, len, "assignments", e);
	struct assignments *a;
	struct wire_check *checks;

	if (p == NULL)
		return NULL;
	if (check_assignments(p, e) < 0) {
		wire_pb_free(p);
		err_wrap(e, "assignments");
		return NULL;
	}
	a = mem_alloc(sizeof *a);
	a->pb = p;
	a->arena = arena_new();
	checks = arena_alloc(a->arena, p->n_checks * sizeof *checks);
	for (size_t i = 0; i < p->n_checks; i++)
		fill_check(a->arena, p->checks[i], &checks[i]);
	a->public = (struct wire_assignments){p->agent, p->generation, p->n_checks, checks};
	return &a->public;
}

void wire_assignments_free(struct wire_assignments *public)
{
	struct assignments *a = (struct assignments *)public;

	if (a == NULL)
		return;
	arena_free(a->arena);
	wire_pb_free(a->pb);
	free(a);
}

/* ---- Envelope */

void wire_envelope_encode(const struct wire_envelope *v, struct buf *out)
{
	Xunjian__Wire__Envelope p = XUNJIAN__WIRE__ENVELOPE__INIT;

	p.agent = unconst(v->agent);
	p.received_real = v->received_real;
	p.offset = v->offset;
	p.skew = v->skew;
	p.time_unknown = v->time_unknown;
	p.n_refused = v->refused_count;
	p.refused = (uint32_t *)(uintptr_t)v->refused;
	p.body.len = v->body_len;
	p.body.data = (uint8_t *)(uintptr_t)v->body;
	wire_pb_pack(&p, out);
}

/* The decoded envelope and the message it borrows from. */
struct envelope {
	struct wire_envelope public;
	Xunjian__Wire__Envelope *pb;
};

static int check_envelope(const Xunjian__Wire__Envelope *p, struct err *e)
{
	if (num_check_id(p->agent, e) < 0)
		return err_wrap(e, "agent");
	if (p->received_real < 0 || p->received_real > WIRE_TIME_MAX)
		return err_set(e, "received_real is out of range");
	if (p->offset < -WIRE_TIME_MAX || p->offset > WIRE_TIME_MAX)
		return err_set(e, "offset is out of range");
	if (p->skew < -WIRE_TIME_MAX || p->skew > WIRE_TIME_MAX)
		return err_set(e, "skew is out of range");
	if (p->n_refused > WIRE_ROWS_MAX)
		return err_set(e, "%zu rows refused, at most %d", p->n_refused, WIRE_ROWS_MAX);
	for (size_t i = 1; i < p->n_refused; i++) {
		if (p->refused[i] <= p->refused[i - 1])
			return err_set(e, "refused rows do not ascend");
	}
	return 0;
}

struct wire_envelope *wire_envelope_decode(const void *data, size_t len, struct err *e)
{
	Xunjian__Wire__Envelope *p =
		wire_pb_unpack(&xunjian__wire__envelope__descriptor, data, len, "envelope", e);
	struct envelope *v;

	if (p == NULL)
		return NULL;
	if (check_envelope(p, e) < 0) {
		wire_pb_free(p);
		err_wrap(e, "envelope");
		return NULL;
	}
	v = mem_alloc(sizeof *v);
	v->pb = p;
	v->public = (struct wire_envelope){.agent = p->agent,
		.received_real = p->received_real,
		.offset = p->offset,
		.skew = p->skew,
		.time_unknown = p->time_unknown != 0,
		.refused = p->refused,
		.refused_count = p->n_refused,
		.body = p->body.data,
		.body_len = p->body.len};
	return &v->public;
}

void wire_envelope_free(struct wire_envelope *public)
{
	struct envelope *v = (struct envelope *)public;

	if (v == NULL)
		return;
	wire_pb_free(v->pb);
	free(v);
}

/* Each of the sums is of two that are bounded by WIRE_TIME_MAX. */
bool wire_envelope_time(const struct wire_envelope *v, int64_t mono, int64_t *real)
{
	*real = mono + v->offset;
	return !v->time_unknown && *real > v->received_real - WIRE_AGE_MAX && *real < v->received_real + WIRE_AHEAD_MAX;
}

/* ---- Note */

void wire_note_encode(const struct wire_note *n, struct buf *out)
{
	Xunjian__Wire__Note p = XUNJIAN__WIRE__NOTE__INIT;

	p.agent = unconst(n->agent);
	p.word = unconst(n->word);
	p.text = unconst(n->text);
	p.real = n->real;
	p.subject = unconst(n->subject);
	p.is_bad = n->is_bad;
	wire_pb_pack(&p, out);
}

/* The decoded note and the message it borrows from. */
struct note {
	struct wire_note public;
	Xunjian__Wire__Note *pb;
};

struct wire_note *wire_note_decode(const void *data, size_t len, struct err *e)
{
	Xunjian__Wire__Note *p = wire_pb_unpack(&xunjian__wire__note__descriptor, data, len, "note", e);
	struct note *n;

	if (p == NULL)
		return NULL;
	if (!text_is_clean(p->agent, SAMPLE_ID_MAX) || !text_is_clean(p->word, SAMPLE_TEXT_MAX) ||
		!text_is_clean(p->text, SAMPLE_TEXT_MAX) || !text_is_clean(p->subject, SAMPLE_TEXT_MAX) || p->real < 0 ||
		p->real > WIRE_TIME_MAX) {
		wire_pb_free(p);
		err_set(e, "note: its texts or its time mean nothing");
		return NULL;
	}
	n = mem_alloc(sizeof *n);
	n->pb = p;
	n->public = (struct wire_note){p->agent, p->word, p->text, p->real, p->subject, p->is_bad != 0};
	return &n->public;
}

void wire_note_free(struct wire_note *public)
{
	struct note *n = (struct note *)public;

	if (n == NULL)
		return;
	wire_pb_free(n->pb);
	free(n);
}

/* ---- zstd */

#define SKIPPABLE_MAGIC 0x184D2A50u /* RFC 8878, 3.1.2: magic u32, size u32, bytes that are ignored */
#define SKIPPABLE_HEAD 8

/* Behind data denser than WIRE_RATIO_MAX the receiver wants weight: a frame that decoders skip. */
static void add_weight(size_t len, size_t packed, struct buf *out)
{
	size_t wanted = len / WIRE_RATIO_MAX + 1, filler;

	if (packed >= wanted)
		return;
	filler = wanted - packed > SKIPPABLE_HEAD ? wanted - packed - SKIPPABLE_HEAD : 0;
	buf_add_u32(out, SKIPPABLE_MAGIC);
	buf_add_u32(out, (uint32_t)filler);
	memset(buf_reserve(out, filler), 0, filler);
	out->len += filler;
}

void wire_compress(const void *data, size_t len, struct buf *out)
{
	size_t bound = ZSTD_compressBound(len);
	size_t n = ZSTD_compress(buf_reserve(out, bound), bound, data, len, 1);

	/* Room is given, so only memory can lack. */
	if (ZSTD_isError(n))
		abort();
	out->len += n;
	add_weight(len, n, out);
}

int wire_decompress(const void *data, size_t len, struct buf *out, struct err *e)
{
	unsigned long long size = ZSTD_getFrameContentSize(data, len);
	size_t n;

	if (size == ZSTD_CONTENTSIZE_ERROR)
		return err_set(e, "body is not zstd");
	if (size == ZSTD_CONTENTSIZE_UNKNOWN)
		return err_set(e, "body is a zstd frame that does not state its size");
	if (size > WIRE_BODY_MAX)
		return err_set(e, "body is %llu bytes, at most %u", size, WIRE_BODY_MAX);
	if (size > (unsigned long long)len * WIRE_RATIO_MAX)
		return err_set(e, "body is denser than %d : 1", WIRE_RATIO_MAX);
	n = ZSTD_decompress(buf_reserve(out, (size_t)size + 1), (size_t)size, data, len);
	if (ZSTD_isError(n) || n != size)
		return err_set(e, "body: %s", ZSTD_isError(n) ? ZSTD_getErrorName(n) : "cut short");
	out->len += n;
	return 0;
}
