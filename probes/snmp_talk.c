#include "probes/snmp_talk.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/credentials.h"
#include "probes/datagram.h"
#include "probes/snmp_device.h"
#include "probes/snmp_packet.h"
#include "probes/snmp_library.h"
#include "probes/snmp_user.h"

#define RETRIES 30
#define AFTER (10 * NS_PER_MS) /* the library's own clock is asked a little later */

struct snmp_stack {
	struct snmp_library lib;
	bool is_loaded; /* the library, which SNMPv3 alone needs */
	netsnmp_large_fd_set readable;
	struct snmp_users *users;
};

struct snmp_talk {
	struct snmp_stack *stack;
	struct snmp_talk_events events;
	struct datagram *udp;
	struct event *timer;
	bool is_v3;
	/* v2c: the request under way and how often it was sent */
	char *community;
	struct buf sent;
	uint32_t id;
	unsigned tries;
	const struct snmp_request *request;
	void *session; /* v3: of the library */
	int64_t retry;
	const struct snmp_request *waiting; /* until the engine is found */
	const struct snmp_inform *waiting_inform;
	enum { TALK_NEW, TALK_DISCOVERS, TALK_READY } phase;
	struct snmp_user user;
	const struct datagram_packet *packet; /* that comes in, during a read */
	/* what the last call of the library brought */
	bool was_heard, has_reply, has_timed_out, has_failed, is_pending;
	int send_error, report;
	struct snmp_answer answer;
	bool had_reply; /* once */
	int64_t asked, slowest; /* when the request under way was sent first; the longest time that an answer took */
	struct snmp_oid name; /* of the varbind that is handed on */
	struct snmp_talk_counts counts;
	char trouble[128];
};

/* ---- the library's transport: our datagrams */

static int transport_receive(netsnmp_transport *n, void *to, int room, void **opaque, int *opaque_len)
{
	struct snmp_talk *t = n->data;
	int len = t->packet->len < (size_t)room ? (int)t->packet->len : room;

	*opaque = NULL;
	*opaque_len = 0;
	memcpy(to, t->packet->data, (size_t)len);
	return len;
}

static int transport_send(netsnmp_transport *n, const void *data, int len, void **opaque, int *opaque_len)
{
	struct snmp_talk *t = n->data;

	(void)opaque, (void)opaque_len;
	t->send_error = datagram_send(t->udp, data, (size_t)len);
	return t->send_error == 0 ? len : -1;
}

/* The library frees what data points to: it must not know it any more. */
static int transport_close(netsnmp_transport *n)
{
	n->data = NULL;
	n->sock = -1;
	return 0;
}

/* Owned by the session that gets it. */
static netsnmp_transport *new_transport(struct snmp_talk *t)
{
	netsnmp_transport *n = mem_alloc(sizeof *n);

	n->sock = datagram_fd(t->udp);
	n->data = t;
	n->msgMaxSize = DATAGRAM_MAX;
	n->f_recv = transport_receive;
	n->f_send = transport_send;
	n->f_close = transport_close;
	return n;
}

/* ---- what comes in */

static void take_value(const netsnmp_variable_list *v, struct snmp_value *out)
{
	*out = (struct snmp_value){.kind = SNMP_KIND_OTHER};
	switch (v->type) {
	case ASN_INTEGER:
		out->kind = SNMP_KIND_INTEGER;
		out->integer = *v->val.integer;
		break;
	case ASN_COUNTER:
		out->kind = SNMP_KIND_COUNTER32;
		out->number = (uint32_t)*v->val.integer;
		break;
	case ASN_GAUGE:
	case ASN_TIMETICKS:
	case ASN_UINTEGER:
		out->kind = SNMP_KIND_UNSIGNED;
		out->number = (uint32_t)*v->val.integer;
		break;
	case ASN_COUNTER64:
		out->kind = SNMP_KIND_COUNTER64;
		out->number = (uint64_t)(uint32_t)v->val.counter64->high << 32 | (uint32_t)v->val.counter64->low;
		break;
	case ASN_OPAQUE_FLOAT:
		out->kind = SNMP_KIND_REAL;
		out->real = (double)*v->val.floatVal;
		break;
	case ASN_OPAQUE_DOUBLE:
		out->kind = SNMP_KIND_REAL;
		out->real = *v->val.doubleVal;
		break;
	case ASN_OCTET_STR:
		out->kind = SNMP_KIND_TEXT;
		out->text = (const char *)v->val.string;
		out->text_len = v->val_len;
		break;
	case SNMP_NOSUCHOBJECT:
		out->kind = SNMP_KIND_NO_OBJECT;
		break;
	case SNMP_NOSUCHINSTANCE:
		out->kind = SNMP_KIND_NO_INSTANCE;
		break;
	case SNMP_ENDOFMIBVIEW:
		out->kind = SNMP_KIND_END;
		break;
	default:
		break;
	}
}

static void note_answer(struct snmp_talk *t)
{
	t->was_heard = true;
	if (t->packet->mono - t->asked > t->slowest)
		t->slowest = t->packet->mono - t->asked;
}

static void take_reply(struct snmp_talk *t, const netsnmp_pdu *pdu)
{
	size_t i = 0;

	t->has_reply = t->had_reply = true;
	t->answer = (struct snmp_answer){.status = pdu->errstat, .index = pdu->errindex, .repetitions = UINT_MAX};
	if (t->answer.status != SNMP_ERR_NOERROR)
		return;
	for (const netsnmp_variable_list *v = pdu->variables; v != NULL; v = v->next_variable, i++) {
		struct snmp_value value;

		t->name.len = v->name_length < SNMP_OID_MAX ? v->name_length : SNMP_OID_MAX;
		for (size_t k = 0; k < t->name.len; k++)
			t->name.part[k] = (uint32_t)v->name[k];
		take_value(v, &value);
		t->events.on_varbind(t->events.ctx, i, &t->name, &value, t->packet->mono);
	}
}

/* Only notes what was said: the session must not be closed in here. */
static int on_message(int operation, netsnmp_session *s, int id, netsnmp_pdu *pdu, void *ctx)
{
	struct snmp_talk *t = ctx;

	(void)s, (void)id;
	switch (operation) {
	case NETSNMP_CALLBACK_OP_RECEIVED_MESSAGE:
		note_answer(t);
		if (pdu->command == SNMP_MSG_REPORT) {
			t->report = t->stack->lib.snmpv3_get_report_type(pdu);
			break;
		}
		t->is_pending = false;
		if (pdu->command == SNMP_MSG_RESPONSE && t->phase == TALK_READY)
			take_reply(t, pdu);
		else
			t->has_failed = true;
		break;
	case NETSNMP_CALLBACK_OP_RESEND:
		t->counts.again += t->report == 0; /* not when a Report has told the clock */
		t->report = 0;
		break;
	case NETSNMP_CALLBACK_OP_SEC_ERROR:
		t->is_pending = false;
		t->has_failed = true;
		break;
	case NETSNMP_CALLBACK_OP_TIMED_OUT:
		t->is_pending = false;
		t->has_timed_out = true;
		break;
	default: /* the sending failed, see send_error */
		t->is_pending = false;
		t->has_failed = true;
	}
	return 1;
}

/* ---- what goes out */

static const char *level_words(int level)
{
	return level == SNMP_SEC_LEVEL_AUTHPRIV ? "authPriv" : level == SNMP_SEC_LEVEL_AUTHNOPRIV ? "authNoPriv"
												  : "noAuthNoPriv";
}

/* What a Report says of us: nothing was measured, the device is there. */
static void report_words(const struct snmp_talk *t, char *out, size_t room)
{
	switch (t->report) {
	case SNMPERR_UNKNOWN_USER_NAME:
		snprintf(out, room, "the device does not know user \"%s\" (usmStatsUnknownUserNames)", t->user.name);
		break;
	case SNMPERR_AUTHENTICATION_FAILURE:
		snprintf(out, room, "wrong auth password or protocol of user \"%s\" (usmStatsWrongDigests)", t->user.name);
		break;
	case SNMPERR_UNSUPPORTED_SEC_LEVEL:
		snprintf(out, room, "the device does not allow %s to user \"%s\" (usmStatsUnsupportedSecLevels)",
			level_words(t->user.level), t->user.name);
		break;
	case SNMPERR_DECRYPTION_ERR:
		snprintf(out, room, "wrong priv password or protocol of user \"%s\" (usmStatsDecryptionErrors)",
			t->user.name);
		break;
	case SNMPERR_NOT_IN_TIME_WINDOW:
		snprintf(out, room, "the clock of the device does not hold (usmStatsNotInTimeWindows)");
		break;
	case SNMPERR_UNKNOWN_ENG_ID:
		snprintf(out, room, "the device does not know the engine that it named (usmStatsUnknownEngineIDs)");
		break;
	default:
		snprintf(out, room, "the device answered with something that is no answer");
	}
}

static void end(struct snmp_talk *t, enum outcome outcome, const char *words)
{
	evtimer_del(t->timer);
	t->events.on_end(t->events.ctx, outcome, words);
}

static void end_failed(struct snmp_talk *t)
{
	char words[SAMPLE_TEXT_MAX];

	if (t->send_error != 0)
		snprintf(words, sizeof words, "%s", datagram_refusal_words(t->send_error));
	else if (t->report != 0 || t->was_heard)
		report_words(t, words, sizeof words);
	else
		snprintf(words, sizeof words, "no request can be made: %s",
			t->stack->lib.snmp_api_errstring(t->stack->lib.snmp_sess_session(t->session)->s_snmp_errno));
	end(t, OUTCOME_UNKNOWN, words);
}

static void set_timer(struct snmp_talk *t)
{
	const int64_t wait = t->retry + AFTER;
	struct timeval tv = {wait / NS_PER_S, wait % NS_PER_S / NS_PER_US};

	evtimer_add(t->timer, &tv);
}

/* ---- v2c: messages of our own, as a walk of a large table is mostly them */

static void send_plain(struct snmp_talk *t)
{
	t->tries++;
	t->send_error = datagram_send(t->udp, t->sent.data, t->sent.len);
	if (t->send_error == 0) {
		set_timer(t);
		return;
	}
	t->is_pending = false;
	t->has_failed = true;
	event_active(t->timer, EV_TIMEOUT, 0);
}

static void send_plain_request(struct snmp_talk *t, const struct snmp_request *q)
{
	t->id = (t->id + 1) & INT32_MAX;
	t->request = q;
	t->answer.repetitions = q->repetitions;
	snmp_packet_encode(&t->sent, t->community, t->id, q->repetitions, q);
	t->has_reply = t->has_timed_out = t->has_failed = false;
	t->is_pending = true;
	t->tries = 0;
	t->counts.requests++;
	t->asked = clock_mono();
	send_plain(t);
}

static void retry_plain(struct snmp_talk *t)
{
	if (t->tries > RETRIES) {
		t->is_pending = false;
		t->has_timed_out = true;
		return;
	}
	t->counts.again++;
	if (t->tries > 1 && t->request->is_bulk && t->answer.repetitions > 1) {
		t->answer.repetitions /= 2;
		snmp_packet_encode(&t->sent, t->community, t->id, t->answer.repetitions, t->request);
	}
	send_plain(t);
}

static void take_plain(struct snmp_talk *t)
{
	struct snmp_packet p;
	struct snmp_value v;
	size_t i = 0;

	if (!t->is_pending || snmp_packet_decode(t->packet->data, t->packet->len, t->id, &p) < 0)
		return;
	note_answer(t);
	t->is_pending = false;
	t->has_reply = t->had_reply = true;
	t->answer.status = p.status;
	t->answer.index = p.index;
	t->answer.len = t->packet->len;
	while (p.status == SNMP_ERR_NOERROR && snmp_packet_next(&p, &t->name, &v) > 0)
		t->events.on_varbind(t->events.ctx, i++, &t->name, &v, t->packet->mono);
}

/* ---- v3 */

/* True: it is under way. What failed is seen by after_call. */
static void send_pdu(struct snmp_talk *t, netsnmp_pdu *pdu)
{
	t->was_heard = t->has_reply = t->has_timed_out = t->has_failed = false;
	t->send_error = t->report = 0;
	t->is_pending = true;
	t->counts.requests++;
	t->asked = clock_mono();
	if (t->stack->lib.snmp_sess_async_send(t->session, pdu, on_message, t) == 0) {
		t->stack->lib.snmp_free_pdu(pdu);
		t->is_pending = false;
		t->has_failed = true;
		/* the end comes from the loop, never from inside a call of the owner */
		event_active(t->timer, EV_TIMEOUT, 0);
		return;
	}
	set_timer(t);
}

/* Without a user and keys: the Report to it names the engine (RFC 3414 section 4). */
static void discover(struct snmp_talk *t)
{
	netsnmp_pdu *pdu = t->stack->lib.snmp_pdu_create(SNMP_MSG_GET);

	pdu->version = SNMP_VERSION_3;
	pdu->securityName = strdup("");
	pdu->securityNameLen = 0;
	pdu->securityLevel = SNMP_SEC_LEVEL_NOAUTH;
	pdu->securityModel = SNMP_SEC_MODEL_USM;
	t->phase = TALK_DISCOVERS;
	send_pdu(t, pdu);
}

static void send_request(struct snmp_talk *t, const struct snmp_request *q)
{
	netsnmp_pdu *pdu;

	if (!t->is_v3) {
		send_plain_request(t, q);
		return;
	}
	pdu = t->stack->lib.snmp_pdu_create(q->is_bulk ? SNMP_MSG_GETBULK : SNMP_MSG_GET);

	if (q->is_bulk) {
		pdu->non_repeaters = 1;
		pdu->max_repetitions = q->repetitions;
	}
	for (size_t i = 0; i < q->count; i++) {
		oid name[SNMP_OID_MAX];

		for (size_t k = 0; k < q->oids[i].len; k++)
			name[k] = q->oids[i].part[k];
		t->stack->lib.snmp_add_null_var(pdu, name, q->oids[i].len);
	}
	send_pdu(t, pdu);
}

static size_t put_oid(oid *out, const struct snmp_oid *in)
{
	for (size_t k = 0; k < in->len; k++)
		out[k] = in->part[k];
	return in->len;
}

static void add_binding(struct snmp_talk *t, netsnmp_pdu *pdu, const struct snmp_binding *b)
{
	long integer = b->integer;
	oid name[SNMP_OID_MAX];
	size_t len = put_oid(name, &b->name);

	if (b->kind == SNMP_BINDING_INTEGER)
		t->stack->lib.snmp_pdu_add_variable(pdu, name, len, ASN_INTEGER, &integer, sizeof integer);
	else
		t->stack->lib.snmp_pdu_add_variable(pdu, name, len, ASN_OCTET_STR, b->octets, b->len);
}

static void send_inform(struct snmp_talk *t, const struct snmp_inform *q)
{
	static const oid uptime[] = {1, 3, 6, 1, 2, 1, 1, 3, 0}, trap[] = {1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0};
	netsnmp_pdu *pdu = t->stack->lib.snmp_pdu_create(SNMP_MSG_INFORM);
	long hundredths = q->uptime;
	oid name[SNMP_OID_MAX];
	size_t len = put_oid(name, &q->name);

	t->stack->lib.snmp_pdu_add_variable(pdu, uptime, OID_LENGTH(uptime), ASN_TIMETICKS, &hundredths, sizeof hundredths);
	t->stack->lib.snmp_pdu_add_variable(pdu, trap, OID_LENGTH(trap), ASN_OBJECT_ID, name, len * sizeof *name);
	for (size_t i = 0; i < q->count; i++)
		add_binding(t, pdu, &q->bindings[i]);
	send_pdu(t, pdu);
}

static void on_discovered(struct snmp_talk *t, netsnmp_session *s)
{
	const struct snmp_inform *inform = t->waiting_inform;
	const struct snmp_request *q = t->waiting;

	t->phase = TALK_READY;
	if (!snmp_user_become(t->stack->users, &t->user, s)) {
		end(t, OUTCOME_UNKNOWN, "the keys of the user cannot be made");
		return;
	}
	t->waiting = NULL;
	t->waiting_inform = NULL;
	if (q != NULL)
		send_request(t, q);
	else if (inform != NULL)
		send_inform(t, inform);
}

/* After a call of the library: what it brought. May free the talk. */
static void after_call(struct snmp_talk *t)
{
	netsnmp_session *s = t->is_v3 ? t->stack->lib.snmp_sess_session(t->session) : NULL;
	char words[SAMPLE_TEXT_MAX];

	if (t->phase == TALK_DISCOVERS && s->securityEngineIDLen > 0 && !t->is_pending) {
		on_discovered(t, s);
	} else if (t->has_reply) {
		t->has_reply = false;
		evtimer_del(t->timer);
		t->events.on_reply(t->events.ctx, &t->answer);
	} else if (t->has_failed) {
		end_failed(t);
	} else if (t->has_timed_out) {
		enum outcome outcome = snmp_talk_silence(t, "the time of all retries", words, sizeof words);

		end(t, outcome, words);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct snmp_talk *t = ctx;

	(void)fd, (void)what;
	if (t->is_pending && !t->is_v3) {
		retry_plain(t);
	} else if (t->is_pending) {
		set_timer(t);
		t->stack->lib.snmp_sess_timeout(t->session);
	}
	after_call(t);
}

static void take_sealed(struct snmp_talk *t)
{
	t->stack->lib.netsnmp_large_fd_setfd(datagram_fd(t->udp), &t->stack->readable);
	t->stack->lib.snmp_sess_read2(t->session, &t->stack->readable);
}

static void on_packet(void *ctx, const struct datagram_packet *p)
{
	struct snmp_talk *t = ctx;

	t->packet = p;
	t->was_heard = false;
	if (t->is_v3)
		take_sealed(t);
	else
		take_plain(t);
	t->packet = NULL;
	if (!t->was_heard) {
		if (t->user.key != NULL &&
			t->stack->lib.snmp_sess_session(t->session)->s_snmp_errno == SNMPERR_USM_NOTINTIMEWINDOW)
			snmp_users_forget_clock(t->stack->users, t->stack->lib.snmp_sess_session(t->session)); /* the next try asks for it */
		t->counts.foreign++;
		snprintf(t->trouble, sizeof t->trouble, p->len == DATAGRAM_MAX ? "an answer was too long"
			: "what came did not answer the request");
	}
	after_call(t);
}

/* The host itself says that nobody listens; what routers say may pass. */
static void on_error(void *ctx, int error)
{
	struct snmp_talk *t = ctx;

	if (error == ECONNREFUSED)
		end(t, OUTCOME_DOWN, datagram_error_words(error));
	else
		snprintf(t->trouble, sizeof t->trouble, "%s", datagram_error_words(error));
}

/* ---- open and close */

static void fill_session(struct snmp_talk *t, const struct credential *c, netsnmp_session *s)
{
	t->stack->lib.snmp_sess_init(s);
	s->timeout = (long)(t->retry / NS_PER_US);
	s->retries = RETRIES;
	snmp_user_take(t->stack->users, &t->user, c);
	s->version = SNMP_VERSION_3;
	s->securityModel = SNMP_SEC_MODEL_USM;
	snmp_user_fill(&t->user, s);
}

static int load(struct snmp_stack *stack, struct err *e)
{
	if (stack->is_loaded)
		return 0;
	if (snmp_library_load(&stack->lib, e) < 0)
		return -1;
	stack->lib.netsnmp_large_fd_set_init(&stack->readable, FD_SETSIZE);
	stack->users = snmp_users_new(&stack->lib);
	stack->is_loaded = true;
	return 0;
}

static int open_session(struct snmp_talk *t, const struct credential *c, struct err *e)
{
	netsnmp_session s;

	if (load(t->stack, e) < 0)
		return -1;
	fill_session(t, c, &s);
	t->session = t->stack->lib.snmp_sess_add(&s, new_transport(t), NULL, NULL);
	if (t->session == NULL)
		return err_set(e, "no session can be made: %s", t->stack->lib.snmp_api_errstring(s.s_snmp_errno));
	/* else the first request would look for the engine itself, and wait for it */
	t->stack->lib.snmp_sess_session(t->session)->flags |= SNMP_FLAGS_DONT_PROBE;
	return 0;
}

struct snmp_talk *snmp_talk_open(struct snmp_stack *stack, const struct snmp_talk_options *o,
	const struct snmp_talk_events *events, struct err *e)
{
	const struct datagram_events udp = {.on_packet = on_packet, .on_error = on_error,
		.ctx = mem_alloc(sizeof(struct snmp_talk))};
	struct snmp_talk *t = udp.ctx;
	int error;

	t->stack = stack;
	t->events = *events;
	t->retry = o->retry;
	t->is_v3 = *o->credential->user != '\0';
	t->phase = t->is_v3 ? TALK_NEW : TALK_READY;
	t->community = mem_strdup(o->credential->community);
	if (getrandom(&t->id, sizeof t->id, 0) != sizeof t->id)
		assert(!"getrandom of so few bytes never fails");
	t->timer = evtimer_new(o->base, on_timer, t);
	assert(t->timer != NULL);
	t->udp = datagram_open(o->base, o->address, o->address_len, o->port, &udp, &error);
	if (t->udp == NULL) {
		err_set(e, "%s", datagram_refusal_words(error));
	} else if (!t->is_v3 || open_session(t, o->credential, e) == 0) {
		return t;
	}
	snmp_talk_close(t);
	return NULL;
}

void snmp_talk_close(struct snmp_talk *t)
{
	if (t == NULL)
		return;
	if (t->session != NULL)
		snmp_user_leave(t->stack->users, &t->user, t->stack->lib.snmp_sess_session(t->session));
	buf_fini(&t->sent);
	free(t->community);
	if (t->session != NULL)
		t->stack->lib.snmp_sess_close(t->session);
	datagram_close(t->udp);
	event_free(t->timer);
	free(t);
}

void snmp_talk_ask(struct snmp_talk *t, const struct snmp_request *q)
{
	if (t->phase == TALK_READY) {
		send_request(t, q);
		return;
	}
	t->waiting = q;
	if (t->phase == TALK_NEW)
		discover(t);
}

void snmp_talk_inform(struct snmp_talk *t, const struct snmp_inform *q)
{
	assert(t->is_v3);
	if (t->phase == TALK_READY) {
		send_inform(t, q);
		return;
	}
	t->waiting_inform = q;
	if (t->phase == TALK_NEW)
		discover(t);
}

bool snmp_talk_was_refused(const struct snmp_talk *t)
{
	return t->report == SNMPERR_UNKNOWN_USER_NAME || t->report == SNMPERR_AUTHENTICATION_FAILURE ||
		t->report == SNMPERR_UNSUPPORTED_SEC_LEVEL || t->report == SNMPERR_DECRYPTION_ERR;
}

struct snmp_talk_counts snmp_talk_counts(const struct snmp_talk *t)
{
	return t->counts;
}

/* It answered, and the answer that lacks is not late by what it took before: a packet that was lost is asked for again. */
static bool still_answers(const struct snmp_talk *t)
{
	bool has_answered = t->had_reply || (t->is_v3 && t->phase == TALK_READY);

	return has_answered && (!t->is_pending || clock_mono() - t->asked <= t->retry + 2 * t->slowest);
}

enum outcome snmp_talk_silence(const struct snmp_talk *t, const char *limit, char *out, size_t room)
{
	const char *between = *t->trouble != '\0' ? ": " : "";

	if (t->is_v3 && t->phase == TALK_READY && !t->had_reply && t->user.level == SNMP_SEC_LEVEL_AUTHPRIV) {
		snprintf(out, room, "the device names its engine, but does not answer user \"%s\" within %s: a wrong priv "
			"password or protocol looks like this%s%s", t->user.name, limit, between, t->trouble);
		return OUTCOME_UNKNOWN;
	}
	if (still_answers(t)) {
		snprintf(out, room, "not all was read within %s: the device still answers%s%s", limit, between, t->trouble);
		return OUTCOME_UNKNOWN;
	}
	if (t->is_v3 || t->had_reply)
		snprintf(out, room, "%s within %s%s%s", t->had_reply ? "the device fell silent: not all was read"
			: "no answer", limit, between, t->trouble);
	else
		snprintf(out, room, "no answer within %s: the device is silent, or refuses the community%s%s", limit, between,
			t->trouble);
	return OUTCOME_DOWN;
}

struct snmp_stack *snmp_stack_open(void)
{
	struct snmp_stack *stack = mem_alloc(sizeof *stack);

	return stack;
}

void snmp_stack_close(struct snmp_stack *stack)
{
	if (stack == NULL)
		return;
	if (stack->is_loaded)
		stack->lib.netsnmp_large_fd_set_cleanup(&stack->readable);
	snmp_users_free(stack->users);
	free(stack);
}
