#include "probes/tls.h"

#include <assert.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_tls.h"
#include "probes/certificate.h"
#include "probes/tls_packet.h"
#include "probes/tls_peek.h"
#include "probes/tls_shake.h"
#include "probes/tls_suites.h"

/* Shared by all runs of the process. */
struct shared {
	struct certificate_stores *stores;
};

enum { TLS_SM4_GCM_SM3 = 0x00c6, TLS_SM4_CCM_SM3 = 0x00c7 };
enum { ASK_1_0, ASK_1_1, ASK_1_2, ASK_1_3, ASK_SUITES, ASK_TLCP, ASKS };

struct ask {
	struct tls *owner;
	struct tls_peek *peek; /* under way */
	enum { ASK_PENDING, ASK_AGREED, ASK_REFUSED, ASK_FAILED, ASK_FAILED_OURS } state;
	uint16_t suite;
	uint16_t suites[TLS_SUITES_MAX]; /* that are asked for */
	char words[100];
};

struct tls {
	struct run *run;
	struct shared *shared;
	struct tls_place place;
	char name[CATALOG_HOST_MAX + 1]; /* the certificate must be for it */
	struct tls_line *line;   /* until it is connected */
	struct tls_shake *shake; /* until it is shaken */
	int64_t connected;       /* ns */
	char broken[200];        /* how the handshake failed; "" it did not */
	struct certificate certificate;
	uint16_t version, suite;
	struct tls_ocsp ocsp;
	struct ask *asks[ASKS]; /* NULL: not asked */
	size_t pending;
	char names[200];            /* that the leaf is for, when certificates are told */
	struct certificate tlcp[2]; /* signing, encryption */
	unsigned tlcp_count;
};

static const struct tls_options *options_of(const struct tls *t)
{
	return run_options(t->run);
}

static void tls_free(struct tls *t)
{
	run_set_private(t->run, NULL);
	tls_line_stop(t->line);
	tls_shake_stop(t->shake);
	for (size_t i = 0; i < ASKS; i++) {
		if (t->asks[i] != NULL)
			tls_peek_stop(t->asks[i]->peek);
		free(t->asks[i]);
	}
	free(t);
}

static double seconds(int64_t ns)
{
	return (double)ns / NS_PER_S;
}

/* ---- the verdict */

/* Words into why; always OUTCOME_DOWN. */
static enum outcome down(char why[300], const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum outcome down(char why[300], const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(why, 300, format, ap);
	va_end(ap);
	return OUTCOME_DOWN;
}

static uint16_t min_version(const struct tls_options *o)
{
	return (uint16_t)(TLS_V_1_0 + o->min_version);
}

static bool is_agreed(const struct tls *t, int ask)
{
	return t->asks[ask] != NULL && t->asks[ask]->state == ASK_AGREED;
}

static enum outcome judge_versions(const struct tls *t, char why[300])
{
	uint16_t wanted = min_version(options_of(t));

	if (t->version < wanted)
		return down(why, "agrees on %s, %s or later is wanted", tls_version_name(t->version),
			tls_version_name(wanted));
	for (uint16_t v = TLS_V_1_0; v < wanted; v++) {
		if (is_agreed(t, v - TLS_V_1_0))
			return down(why, "accepts %s, %s or later is wanted", tls_version_name(v),
				tls_version_name(wanted));
	}
	return OUTCOME_UP;
}

/* What a suite of this strength lacks. */
static const char *lack_words(enum tls_strength s)
{
	switch (s) {
	case TLS_STRENGTH_VOID:
		return "which protects nothing";
	case TLS_STRENGTH_BROKEN:
		return "which is broken";
	case TLS_STRENGTH_STRONG:
		return "which has no forward secrecy";
	case TLS_STRENGTH_FORWARD:
		return "which has no authenticated encryption";
	case TLS_STRENGTH_AEAD:
	case TLS_STRENGTH_NOT_KNOWN:
		break;
	}
	return "";
}

/* The option's words begin with any, strengths with two that "strong" is above. */
static enum tls_strength wanted_strength(const struct tls_options *o)
{
	return o->ciphers == 0 ? TLS_STRENGTH_VOID : (enum tls_strength)((int)TLS_STRENGTH_BROKEN + o->ciphers);
}

static enum outcome judge_suites(const struct tls *t, char why[300])
{
	enum tls_strength strength = tls_suite_strength(t->suite), wanted = wanted_strength(options_of(t));
	char name[64];
	uint16_t suite;

	if (strength < wanted)
		return down(why, "agrees on %s, %s", tls_suite_name(t->suite, name), lack_words(strength));
	if (!is_agreed(t, ASK_SUITES))
		return OUTCOME_UP;
	suite = t->asks[ASK_SUITES]->suite;
	return down(why, "accepts %s, %s", tls_suite_name(suite, name), lack_words(tls_suite_strength(suite)));
}

/* It agrees with a hello by hand on a suite of RFC 8998, which OpenSSL does not have. */
static bool speaks_sm(const struct tls *t)
{
	return is_agreed(t, ASK_1_3) && (t->asks[ASK_1_3]->suite == TLS_SM4_GCM_SM3 || t->asks[ASK_1_3]->suite == TLS_SM4_CCM_SM3);
}

static enum outcome judge_tls(const struct tls *t, char why[300])
{
	const struct tls_options *o = options_of(t);

	if (t->broken[0] != '\0' && speaks_sm(t)) {
		down(why, "TLS 1.3 with suites of SM alone (RFC 8998), which this agent does not speak");
		return OUTCOME_UNKNOWN;
	}
	if (t->broken[0] != '\0')
		return down(why, "TLS handshake failed: %s", t->broken);
	if (o->verify && t->certificate.words[0] != '\0')
		return down(why, "%s", t->certificate.words);
	if ((o->verify && t->ocsp.status == TLS_OCSP_REVOKED) || (o->ocsp_required && t->ocsp.status != TLS_OCSP_GOOD))
		return down(why, "%s", t->ocsp.words);
	return judge_versions(t, why) == OUTCOME_DOWN ? OUTCOME_DOWN : judge_suites(t, why);
}

static enum outcome judge_tlcp(const struct tls *t, char why[300])
{
	static const char *const which[] = {"TLCP signing", "TLCP encryption"};
	const struct ask *a = t->asks[ASK_TLCP];
	char limit[NUM_TEXT];

	if (options_of(t)->tlcp < TLS_TLCP_REQUIRED)
		return OUTCOME_UP;
	if (a->state == ASK_PENDING) {
		num_format_duration(run_deadline(t->run) - run_started(t->run), limit);
		return down(why, "TLCP: no answer within %s", limit);
	}
	if (a->state != ASK_AGREED) {
		down(why, "TLCP: %s", a->words);
		return a->state == ASK_FAILED_OURS ? OUTCOME_UNKNOWN : OUTCOME_DOWN;
	}
	if (t->tlcp_count < 2)
		return down(why, "TLCP: %u certificates, not one to sign and one to encrypt", t->tlcp_count);
	for (size_t i = 0; options_of(t)->verify && i < 2; i++) {
		if (t->tlcp[i].words[0] != '\0')
			return down(why, "%s %s", which[i], t->tlcp[i].words);
	}
	return OUTCOME_UP;
}

/* Of what is up the names are worth a note. */
static enum outcome judge(const struct tls *t, char why[300])
{
	enum outcome outcome = options_of(t)->tlcp == TLS_TLCP_ONLY ? OUTCOME_UP : judge_tls(t, why);

	if (outcome == OUTCOME_UP)
		outcome = judge_tlcp(t, why);
	if (outcome == OUTCOME_UP && t->names[0] != '\0')
		snprintf(why, 300, "certificate for %s", t->names);
	return outcome;
}

/* ---- what is told */

static void tell_ask(const struct tls *t, uint32_t metric, int ask)
{
	const struct ask *a = t->asks[ask];

	if (a != NULL && (a->state == ASK_AGREED || a->state == ASK_REFUSED))
		run_value(t->run, metric, a->state == ASK_AGREED);
}

static void tell_asks(const struct tls *t)
{
	for (int i = ASK_1_0; i <= ASK_1_3; i++)
		tell_ask(t, TLS_1_0 + (uint32_t)i, i);
	tell_ask(t, TLS_TLCP, ASK_TLCP);
	if (is_agreed(t, ASK_TLCP))
		run_value(t->run, TLS_TLCP_CIPHER, t->asks[ASK_TLCP]->suite);
	if (t->tlcp_count > 0 && t->tlcp[0].seen)
		run_value(t->run, TLS_TLCP_SIGN_DAYS, t->tlcp[0].days);
	if (t->tlcp_count > 1 && t->tlcp[1].seen)
		run_value(t->run, TLS_TLCP_ENC_DAYS, t->tlcp[1].days);
}

static void tell_outcome(struct run *r, enum outcome outcome, const char *why)
{
	if (outcome == OUTCOME_UP && *why != '\0')
		run_up_noting(r, "%s", why);
	else if (outcome == OUTCOME_UP)
		run_up(r);
	else if (outcome == OUTCOME_DOWN)
		run_down(r, "%s", why);
	else
		run_unknown(r, "%s", why);
}

/* All that was asked is answered. */
static void conclude(struct tls *t)
{
	struct run *r = t->run;
	char why[300] = "";
	enum outcome outcome = judge(t, why);

	tell_asks(t);
	tls_free(t);
	tell_outcome(r, outcome, why);
}

static void add_certificate(struct run *r, const char *role, X509 *x)
{
	char label[300], names[250];
	struct run_part *p;
	double days;

	certificate_format_names(x, names, sizeof names);
	snprintf(label, sizeof label, "%s%s", role, names);
	p = run_add_part(r, label);
	if (p == NULL)
		return;
	if (certificate_days(X509_get0_notAfter(x), &days) == 0)
		run_part_value(p, TLS_CERT_DAYS, days);
	run_part_value(p, TLS_SM2, certificate_is_sm2(x));
}

static void tell_chain(struct tls *t, const struct tls_facts *f)
{
	STACK_OF(X509) *chain = f->verified != NULL ? f->verified : f->sent;
	double fewest = 0, days;
	bool has_fewest = false;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		if (certificate_days(X509_get0_notAfter(sk_X509_value(chain, i)), &days) < 0)
			continue;
		fewest = !has_fewest || days < fewest ? days : fewest;
		has_fewest = true;
	}
	run_value(t->run, TLS_CHAIN, sk_X509_num(f->sent));
	if (has_fewest)
		run_value(t->run, TLS_CHAIN_DAYS, fewest);
	run_value(t->run, TLS_SM2, certificate_is_sm2(sk_X509_value(f->sent, 0)));
	if (options_of(t)->certificates)
		certificate_list_names(sk_X509_value(f->sent, 0), t->names, sizeof t->names);
	for (int i = 0; options_of(t)->certificates && i < sk_X509_num(f->sent); i++)
		add_certificate(t->run, "", sk_X509_value(f->sent, i));
}

static void tell_facts(struct tls *t, const struct tls_facts *f)
{
	struct run *r = t->run;

	if (f->words[0] == '\0') {
		run_value(r, TLS_HANDSHAKE, seconds(f->elapsed));
		run_value(r, TLS_TOTAL, run_resolve_time(r) + seconds(clock_mono() - run_started(r)));
		run_value(r, TLS_VERSION, 1 + (f->version - TLS_V_1_0) / 10.0);
		run_value(r, TLS_CIPHER, f->suite);
		if (f->group != 0)
			run_value(r, TLS_GROUP, f->group);
		run_value(r, TLS_OCSP, f->ocsp.status);
	}
	if (f->ocsp.has_days)
		run_value(r, TLS_OCSP_DAYS, f->ocsp.days);
	if (t->certificate.seen)
		run_value(r, TLS_CERT_DAYS, t->certificate.days);
	if (sk_X509_num(f->sent) > 0)
		tell_chain(t, f);
}

/* ---- questions */

static X509 *read_certificate(const struct tls_flight *f, size_t i)
{
	size_t len;
	const uint8_t *der = tls_flight_certificate(f, i, &len);

	return d2i_X509(NULL, &der, (long)len);
}

static void read_tlcp_certificate(struct tls *t, size_t i, X509 *x, STACK_OF(X509) *all, X509_STORE *roots)
{
	static const char *const roles[] = {"TLCP signing: ", "TLCP encryption: ", "TLCP: "};

	if (i < 2) {
		t->tlcp[i].host = t->name;
		certificate_judge(roots, x, all, &t->tlcp[i]);
		t->tlcp_count++;
	}
	if (options_of(t)->certificates && t->names[0] == '\0')
		certificate_list_names(x, t->names, sizeof t->names);
	if (options_of(t)->certificates)
		add_certificate(t->run, roles[i < 2 ? i : 2], x);
}

static void read_tlcp(struct tls *t, const struct tls_flight *f)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	struct err e;
	X509_STORE *roots = certificate_store(t->shared->stores, options_of(t)->ca, clock_mono(), &e);
	bool is_whole = true;

	for (size_t i = 0; i < f->certificates_count && is_whole; i++) {
		X509 *x = read_certificate(f, i);

		is_whole = x != NULL && sk_X509_push(all, x) > 0;
	}
	for (int i = 0; i < sk_X509_num(all) && roots != NULL; i++)
		read_tlcp_certificate(t, (size_t)i, sk_X509_value(all, i), all, roots);
	sk_X509_pop_free(all, X509_free);
}

static void on_answer(void *ctx, const struct tls_peek_end *e)
{
	struct ask *a = ctx;
	struct tls *t = a->owner;

	a->peek = NULL;
	if (e->answer == TLS_PEEK_AGREED)
		a->state = ASK_AGREED;
	else if (e->answer == TLS_PEEK_REFUSED)
		a->state = ASK_REFUSED;
	else
		a->state = e->ours ? ASK_FAILED_OURS : ASK_FAILED;
	snprintf(a->words, sizeof a->words, "%s", e->words);
	if (a->state == ASK_AGREED)
		a->suite = e->flight->suite;
	if (a->state == ASK_AGREED && a == t->asks[ASK_TLCP])
		read_tlcp(t, e->flight);
	if (--t->pending == 0)
		conclude(t);
}

static size_t fill_suites(const struct tls *t, int i, uint16_t out[TLS_SUITES_MAX])
{
	static const uint16_t of_1_3[] = {0x1302, 0x1303, 0x1301, 0x1304, 0x1305, TLS_SM4_GCM_SM3, TLS_SM4_CCM_SM3};
	/* ECDHE comes last: its server must ask for a certificate of the client. RSA_SM4_CBC_SHA256 is 0xe01c or 0xe01e. */
	static const uint16_t of_tlcp[] = {0xe053, 0xe013, 0xe059, 0xe05a, 0xe019, 0xe01c, 0xe01e, 0xe057, 0xe017,
		0xe055, 0xe015, 0xe051, 0xe011};

	switch (i) {
	case ASK_1_3:
		memcpy(out, of_1_3, sizeof of_1_3);
		return sizeof of_1_3 / sizeof *of_1_3;
	case ASK_TLCP:
		memcpy(out, of_tlcp, sizeof of_tlcp);
		return sizeof of_tlcp / sizeof *of_tlcp;
	case ASK_SUITES:
		return tls_suites_list(TLS_STRENGTH_VOID, (enum tls_strength)((int)wanted_strength(options_of(t)) - 1), out);
	default:
		return tls_suites_list(TLS_STRENGTH_BROKEN, TLS_STRENGTH_AEAD, out);
	}
}

static void ask(struct tls *t, int i, uint16_t version)
{
	struct ask *a = t->asks[i] = mem_alloc(sizeof *a);
	struct tls_hello hello = {.version = version, .suites = a->suites, .server_name = ""};
	ssize_t n = getrandom(hello.random, sizeof hello.random, 0);

	assert(n == sizeof hello.random);
	if (catalog_literal_family(t->name) == FAMILY_NONE)
		hello.server_name = t->name;
	a->owner = t;
	hello.suites_count = fill_suites(t, i, a->suites);
	a->peek = tls_peek_start(&t->place, &hello, on_answer, a);
	t->pending++;
}

static void ask_all(struct tls *t)
{
	const struct tls_options *o = options_of(t);
	bool is_tls = o->tlcp != TLS_TLCP_ONLY;

	for (int i = ASK_1_0; is_tls && i <= ASK_1_3; i++) {
		if (o->versions || TLS_V_1_0 + i < min_version(o))
			ask(t, i, (uint16_t)(TLS_V_1_0 + i));
	}
	if (o->ciphers != 0)
		ask(t, ASK_SUITES, TLS_V_1_2);
	if (o->tlcp != TLS_TLCP_NONE)
		ask(t, ASK_TLCP, TLS_V_TLCP);
	if (t->pending == 0)
		conclude(t);
}

/* ---- the handshake */

static void on_shaken(void *ctx, const struct tls_facts *f)
{
	struct tls *t = ctx;

	t->shake = NULL;
	t->version = f->version;
	t->suite = f->suite;
	t->ocsp = f->ocsp;
	snprintf(t->broken, sizeof t->broken, "%s", f->words);
	tell_facts(t, f);
	ask_all(t);
}

static void end_unshaken(struct tls *t, enum outcome outcome, const char *words)
{
	struct run *r = t->run;
	struct err why;

	snprintf(why.text, sizeof why.text, "%s", words);
	tls_free(t);
	tell_outcome(r, outcome, why.text);
}

static void on_line(void *ctx, const struct tls_line_end *e)
{
	struct tls *t = ctx;
	X509_STORE *roots;
	struct err words;

	t->line = NULL;
	t->connected = e->connected;
	if (e->connected >= 0)
		run_value(t->run, TLS_CONNECT, seconds(e->connected));
	if (e->fd < 0) {
		end_unshaken(t, e->ours ? OUTCOME_UNKNOWN : OUTCOME_DOWN, e->words);
		return;
	}
	if (t->place.starttls != STARTTLS_NONE)
		run_value(t->run, TLS_STARTTLS, seconds(e->dialogue));
	roots = certificate_store(t->shared->stores, options_of(t)->ca, clock_mono(), &words);
	if (roots == NULL) {
		close(e->fd);
		end_unshaken(t, OUTCOME_UNKNOWN, words.text);
		return;
	}
	t->shake = tls_shake_start(t->place.base, e->fd, roots, &t->certificate, on_shaken, t);
}

/* ---- the type */

static void at_deadline(void *state, struct run *r)
{
	struct tls *t = run_private(r);
	char limit[NUM_TEXT], connected_ms[NUM_TEXT], why[300] = "";
	enum outcome outcome;

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	if (t->line != NULL)
		t->connected = tls_line_connected(t->line);
	num_format_double((double)t->connected / NS_PER_MS, 3, connected_ms);
	if (t->line != NULL && t->connected < 0) {
		run_down(r, "no answer to the connection attempt within %s", limit);
	} else if (t->line != NULL) {
		run_down(r, "connected in %s ms, %s dialogue before TLS not complete within %s", connected_ms,
			starttls_name(t->place.starttls), limit);
	} else if (t->shake != NULL) {
		run_down(r, "connected in %s ms, TLS handshake not complete within %s", connected_ms, limit);
	} else {
		outcome = judge(t, why);
		tell_asks(t);
		tell_outcome(r, outcome, why);
	}
}

static void set_name(struct tls *t)
{
	const struct tls_options *o = options_of(t);
	size_t n;

	snprintf(t->name, sizeof t->name, "%s", *o->server_name != '\0' ? o->server_name : run_host(t->run));
	n = strlen(t->name);
	if (n > 1 && t->name[n - 1] == '.')
		t->name[n - 1] = '\0';
}

static void tls_probe_start(void *state, struct run *r)
{
	const struct tls_options *o = run_options(r);
	struct tls *t = mem_alloc(sizeof *t);
	struct err e;

	t->run = r;
	t->shared = state;
	t->place = (struct tls_place){.base = run_env(r)->base, .starttls = (enum starttls_kind)o->starttls};
	t->place.port = (uint16_t)(o->port > 0 ? o->port : starttls_port(t->place.starttls));
	t->place.address = run_address(r, &t->place.len);
	set_name(t);
	t->certificate.host = t->name;
	run_set_private(r, t);
	run_on_deadline(r, at_deadline);
	if (certificate_store(t->shared->stores, o->ca, clock_mono(), &e) == NULL)
		end_unshaken(t, OUTCOME_UNKNOWN, e.text);
	else if (o->tlcp == TLS_TLCP_ONLY)
		ask_all(t);
	else
		t->line = tls_line_start(&t->place, on_line, t);
}

static void tls_probe_cancel(void *state, struct run *r)
{
	(void)state;
	tls_free(run_private(r));
}

static int tls_probe_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *s = mem_alloc(sizeof *s);

	(void)env;
	(void)e;
	s->stores = certificate_stores_new();
	*state = s;
	return 0;
}

static void tls_probe_close(void *state)
{
	struct shared *s = state;

	certificate_stores_free(s->stores);
	free(s);
}

const struct probe_type tls_probe = {.catalog = &catalog_tls, .open = tls_probe_open, .start = tls_probe_start,
	.cancel = tls_probe_cancel, .close = tls_probe_close};
