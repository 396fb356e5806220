#include "collector/notice/roster.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/incident.h"
#include "collector/notice/lookup.h"
#include "collector/notice/rota.h"
#include "collector/notice/template.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

struct loaded {
	struct roster public;
	struct arena *arena;
};

/* In the order of enum incident_intent_kind, "worse" at the place of the probe, which is not for people. */
#define KINDS "problem|close|merged|flapping|escalate|acknowledged|unacknowledged|assigned|commented|digest|worse"
static const char *const optional_kinds[] = {
	"flapping", "escalate", "acknowledged", "unacknowledged", "assigned", "commented"};
static const enum incident_intent_kind optional[] = {INTENT_FLAPPING, INTENT_ESCALATE, INTENT_ACKNOWLEDGED,
	INTENT_UNACKNOWLEDGED, INTENT_ASSIGNED, INTENT_COMMENTED};
#define OPTIONAL (sizeof optional / sizeof *optional)

static int check_kind(const char *text, struct err *e)
{
	for (size_t i = 0; i < OPTIONAL; i++) {
		if (strcmp(text, optional_kinds[i]) == 0)
			return 0;
	}
	return err_set(e, "\"%.40s\" is none of flapping, escalate, acknowledged, unacknowledged, assigned, commented "
		"(problem, worse, close, merged and digest are always told)", text);
}

/* It stands in a header and in a command of SMTP. */
static int check_mail_address(const char *text, struct err *e)
{
	const char *at = strchr(text, '@');
	size_t clean = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~@-");

	if (at == NULL || at == text || at[1] == '\0' || strchr(at + 1, '@') != NULL || text[clean] != '\0')
		return err_set(e, "\"%.60s\" is no address of mail: write name@host", text);
	return 0;
}

/* Arcs that fit the name of structured data (RFC 5424, 6.3.2) behind "xunjian@". */
static int check_enterprise(const char *text, struct err *e)
{
	bool is_good = text[0] != '\0' && strlen(text) <= 24;

	for (const char *p = text; is_good && *p != '\0'; p += p[0] == '.') {
		size_t len = strspn(p, "0123456789");

		is_good = len > 0 && len <= 9 && (p[len] == '\0' || (p[len] == '.' && p[len + 1] != '\0'));
		p += len;
	}
	return is_good ? 0 : err_set(e, "\"%.60s\": write the numbers below 1.3.6.1.4.1, as \"8072.9999.9999.26\", at most 24 letters",
		text);
}

#define CHANNEL(field) offsetof(struct roster_channel, field)
static const struct config_field channel_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = CHANNEL(id), .help = "name of the channel"},
	{.name = "kind", .kind = CONFIG_CHOICE, .offset = CHANNEL(kind),
		.choices = "smtp|wecom|dingtalk|feishu|alertmanager|sms|syslog|inform|command", .help = "what is spoken there"},
	{.name = "url", .kind = CONFIG_TEXT, .offset = CHANNEL(url), .fallback = "", .max = 1000,
		.help = "smtps://host:465, smtp://host:587 (STARTTLS), https://...; of a bot without its key; tls://host:6514 of a "
			"log server, udp://host:162 of a receiver of SNMP; a command has none"},
	{.name = "from", .kind = CONFIG_TEXT, .offset = CHANNEL(from), .fallback = "", .max = 200, .help = "mail: address of the sender"},
	{.name = "to", .kind = CONFIG_TEXTS, .offset = CHANNEL(to), .fallback = "", .max = 100,
		.help = "mail: addresses of the receivers; sms: their numbers"},
	{.name = "user", .kind = CONFIG_TEXT, .offset = CHANNEL(user), .fallback = "", .max = 200, .help = "mail: name to log in with; "
		"inform: name of the user"},
	{.name = "token_file", .kind = CONFIG_TEXT, .offset = CHANNEL(token_file), .fallback = "",
		.help = "file (0600) with the password of the user, the key or token of the bot, the bearer token; inform: "
			"the password of authentication"},
	{.name = "secret_file", .kind = CONFIG_TEXT, .offset = CHANNEL(secret_file), .fallback = "",
		.help = "dingtalk, feishu: file (0600) with the secret that messages are signed with; inform: with the password of "
			"privacy"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = CHANNEL(ca), .fallback = "",
		.help = "file with the roots to trust; without it, those of the machine"},
	{.name = "certificate", .kind = CONFIG_TEXT, .offset = CHANNEL(certificate), .fallback = "",
		.help = "syslog: PEM file of our certificate, for a receiver that asks for one"},
	{.name = "key", .kind = CONFIG_TEXT, .offset = CHANNEL(key), .fallback = "", .help = "syslog: PEM file (0600) of its key"},
	{.name = "facility", .kind = CONFIG_INT, .offset = CHANNEL(facility), .fallback = "16", .max = 23,
		.help = "syslog: number of the facility; 16 is local0"},
	{.name = "enterprise", .kind = CONFIG_TEXT, .offset = CHANNEL(enterprise), .fallback = "8072.9999.9999.26",
		.check = check_enterprise, .help = "inform, syslog: numbers below 1.3.6.1.4.1 under which our objects stand; those of "
			"XUNJIAN-MIB.txt are of the range that Net-SNMP leaves for everybody to play with"},
	{.name = "auth", .kind = CONFIG_CHOICE, .offset = CHANNEL(auth), .fallback = "sha256", .choices = "sha256|sha384|sha512",
		.help = "inform: authentication"},
	{.name = "priv", .kind = CONFIG_CHOICE, .offset = CHANNEL(priv), .fallback = "aes128", .choices = "aes128|aes192|aes256",
		.help = "inform: privacy"},
	{.name = "command", .kind = CONFIG_TEXT, .offset = CHANNEL(command), .fallback = "", .max = 63,
		.help = "command: its name in the file that the setting commands of collector.conf(5) names"},
	{.name = "body", .kind = CONFIG_TEXT, .offset = CHANNEL(body), .fallback = "", .max = 2000,
		.help = "sms: body of the request, with {to} and {text}"},
	{.name = "form", .kind = CONFIG_CHOICE, .offset = CHANNEL(form), .fallback = "json", .choices = "json|form",
		.help = "sms: how the body is written and its values escaped"},
	{.name = "success", .kind = CONFIG_TEXT, .offset = CHANNEL(success), .fallback = "code=0", .max = 200,
		.help = "sms: member of the JSON answer, and its value when the message was taken"},
	{.name = "fallback", .kind = CONFIG_TEXT, .offset = CHANNEL(fallback), .fallback = "", .max = 63,
		.help = "id of the channel to use when this one fails"},
	{.name = "fallback_after", .kind = CONFIG_INT, .offset = CHANNEL(fallback_after), .fallback = "3", .min = 1, .max = 100,
		.help = "tries of a notice that fail, or failures of the channel in a row, before the fall-back is used; what is refused goes "
			"there at once"},
	{.name = "per_minute", .kind = CONFIG_INT, .offset = CHANNEL(per_minute), .fallback = "20", .min = 1, .max = 1000,
		.help = "messages that the provider takes; when but one is left, what waits becomes digests"},
	{.name = NULL},
};
static const struct config_schema channel_schema = {.size = sizeof(struct roster_channel), .fields = channel_fields,
	.where_offset = CHANNEL(where)};

#define ROUTE(field) offsetof(struct roster_route, field)
static const struct config_field route_fields[] = {
	{.name = "audience", .kind = CONFIG_TEXTS, .offset = ROUTE(audiences), .min = 1, .max = 4096,
		.help = "operations, unit/<id>, escalation/<step>: a unit is told of its own systems alone; to whom a step leads, of what "
			"nobody acknowledged till then or till a later step, and of its end, and of nothing else"},
	{.name = "channels", .kind = CONFIG_TEXTS, .offset = ROUTE(channels), .min = 1, .max = 64, .help = "ids of channels, and of duty "
		"lists: then of who is on duty when a notice comes; its end goes where it went"},
	{.name = "language", .kind = CONFIG_CHOICE, .offset = ROUTE(language), .fallback = "zh", .choices = "zh|en",
		.help = "of the words"},
	{.name = "kinds", .kind = CONFIG_TEXTS, .offset = ROUTE(kinds), .fallback = "flapping escalate", .max = OPTIONAL,
		.check = check_kind, .help = "what is told beyond problem, worse, close, merged and digest: flapping, escalate, "
			"acknowledged, unacknowledged, assigned, commented"},
	{.name = NULL},
};
static const struct config_schema route_schema = {.size = sizeof(struct roster_route), .fields = route_fields,
	.where_offset = ROUTE(where)};

#define TEMPLATE(field) offsetof(struct roster_template, field)
static const struct config_field template_fields[] = {
	{.name = "kind", .kind = CONFIG_CHOICE, .offset = TEMPLATE(kind), .choices = KINDS, .help = "of notice"},
	{.name = "language", .kind = CONFIG_CHOICE, .offset = TEMPLATE(language), .choices = "zh|en", .help = "of the words"},
	{.name = "title", .kind = CONFIG_TEXT, .offset = TEMPLATE(title), .min = 1, .max = 300, .check = template_check,
		.help = "one line; " TEMPLATE_WORDS " stand for what is told"},
	{.name = "body", .kind = CONFIG_TEXT, .offset = TEMPLATE(body), .min = 1, .max = 2000, .check = template_check,
		.help = "the same; {line} begins a new line, and one whose words all stand for nothing is left out"},
	{.name = NULL},
};
static const struct config_schema template_schema = {.size = sizeof(struct roster_template), .fields = template_fields,
	.where_offset = TEMPLATE(where)};

static const struct config_field beat_fields[] = {
	{.name = "channel", .kind = CONFIG_TEXT, .offset = offsetof(struct roster_beat, channel), .fallback = "", .max = 63,
		.help = "id of the channel that leads to somebody who misses it"},
	{.name = NULL},
};
static const struct config_schema beat_schema = {.size = sizeof(struct roster_beat), .fields = beat_fields,
	.where_offset = offsetof(struct roster_beat, where)};

static const struct config_field roster_fields[] = {
	{.name = "beat", .kind = CONFIG_GROUP, .offset = offsetof(struct roster, beat), .fallback = "", .sub = &beat_schema,
		.help = "a message each minute, as long as judgement and delivery work"},
	{.name = "give_up", .kind = CONFIG_DURATION, .offset = offsetof(struct roster, give_up), .fallback = "24h",
		.min = NS_PER_S, .max = 30 * 86400 * NS_PER_S, .help = "a notice that nobody took for so long is tried no more"},
	{.name = "channels", .kind = CONFIG_LIST, .offset = offsetof(struct roster, channels), .fallback = "", .max = 64,
		.sub = &channel_schema, .help = "where notices go"},
	{.name = "duty", .kind = CONFIG_LIST, .offset = offsetof(struct roster, duty), .fallback = "", .max = 64, .sub = &rota_schema,
		.help = "duty lists: channels of those who take turns"},
	{.name = "routes", .kind = CONFIG_LIST, .offset = offsetof(struct roster, routes), .fallback = "", .max = 4096,
		.sub = &route_schema, .help = "who is told there"},
	{.name = "templates", .kind = CONFIG_LIST, .offset = offsetof(struct roster, templates), .fallback = "", .max = 64,
		.sub = &template_schema, .help = "words in place of the built-in ones"},
	{.name = NULL},
};
const struct config_schema roster_schema = {.size = sizeof(struct roster), .fields = roster_fields, .where_offset = -1};

/* ---- what one value cannot show */

const struct roster_channel *roster_channel(const struct roster *r, const char *id)
{
	const struct roster_channel *c = r->channels.items;

	for (size_t i = 0; i < r->channels.count; i++) {
		if (strcmp(c[i].id, id) == 0)
			return &c[i];
	}
	return NULL;
}

static const struct rota *find_rota(const struct roster *r, const char *id)
{
	const struct rota *d = r->duty.items;

	for (size_t i = 0; i < r->duty.count; i++) {
		if (strcmp(d[i].id, id) == 0)
			return &d[i];
	}
	return NULL;
}

const struct roster_channel *roster_on_duty(const struct roster *r, const char *id, int64_t real)
{
	const struct rota *d = find_rota(r, id);

	return roster_channel(r, d != NULL ? rota_at(d, real) : id);
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static int check_mail(const struct roster_channel *c, struct err *e)
{
	struct err why;

	if (!begins(c->url, "smtp://") && !begins(c->url, "smtps://"))
		return config_error(&c->where, e, "channel %s: url of a mail server: write smtps://host:465 or smtp://host:587", c->id);
	if (check_mail_address(c->from, &why) < 0)
		return config_error(&c->where, e, "channel %s: from: %s", c->id, why.text);
	for (size_t i = 0; i < c->to.count; i++) {
		if (check_mail_address(c->to.items[i], &why) < 0)
			return config_error(&c->where, e, "channel %s: to: %s", c->id, why.text);
	}
	if (c->to.count == 0)
		return config_error(&c->where, e, "channel %s: nobody to write to: write to = ( \"name@host\" )", c->id);
	if ((c->user[0] != '\0') != (c->token_file[0] != '\0'))
		return config_error(&c->where, e, "channel %s: user and token_file (his password) go together", c->id);
	return 0;
}

static int check_web(const struct roster_channel *c, struct err *e)
{
	bool is_bot = c->kind != ROSTER_ALERTMANAGER && c->kind != ROSTER_SMS;

	if (!begins(c->url, "https://") && (is_bot || !begins(c->url, "http://")))
		return config_error(&c->where, e, "channel %s: write url = \"https://...\"", c->id);
	if (c->token_file[0] != '\0' && begins(c->url, "http://") && !lookup_is_this_machine(c->url))
		return config_error(&c->where, e, "channel %s: its token would go in the clear: write https://...", c->id);
	if (is_bot && strchr(c->url, '?') != NULL)
		return config_error(&c->where, e, "channel %s: the key of a bot is a secret: write the url without it, and token_file",
			c->id);
	if (is_bot && c->token_file[0] == '\0')
		return config_error(&c->where, e, "channel %s: token_file is missing", c->id);
	if (c->kind == ROSTER_SMS && (c->to.count == 0 || strstr(c->body, "{text}") == NULL))
		return config_error(&c->where, e, "channel %s: sms needs to, and a body with {text}", c->id);
	if (c->kind == ROSTER_SMS && strchr(c->success, '=') == NULL)
		return config_error(&c->where, e, "channel %s: write success = \"member=value\"", c->id);
	return 0;
}

static int check_syslog(const struct roster_channel *c, struct err *e)
{
	char host[LOOKUP_HOST_MAX + 1];
	uint16_t port;
	struct err why;

	if (lookup_parse_url(c->url, "tls://", host, &port, &why) < 0)
		return config_error(&c->where, e, "channel %s: url: %s", c->id, why.text);
	if ((c->certificate[0] != '\0') != (c->key[0] != '\0'))
		return config_error(&c->where, e, "channel %s: certificate and key go together", c->id);
	return 0;
}

static int check_inform(const struct roster_channel *c, struct err *e)
{
	char host[LOOKUP_HOST_MAX + 1];
	uint16_t port;
	struct err why;

	if (lookup_parse_url(c->url, "udp://", host, &port, &why) < 0)
		return config_error(&c->where, e, "channel %s: url: %s", c->id, why.text);
	if (c->user[0] == '\0' || strlen(c->user) > ROSTER_USER_MAX)
		return config_error(&c->where, e, "channel %s: user is missing, or longer than %d letters", c->id, ROSTER_USER_MAX);
	if (c->token_file[0] == '\0' || c->secret_file[0] == '\0')
		return config_error(&c->where, e, "channel %s: informs are signed and encrypted: write token_file (password of "
			"authentication) and secret_file (password of privacy)", c->id);
	return 0;
}

static int check_command(const struct roster_channel *c, struct err *e)
{
	if (c->command[0] == '\0' || c->url[0] != '\0')
		return config_error(&c->where, e, "channel %s: write command = \"name\", and no url", c->id);
	return 0;
}

static int check_channel(const struct roster_channel *c, struct err *e)
{
	switch ((enum roster_kind)c->kind) {
	case ROSTER_SMTP:
		return check_mail(c, e);
	case ROSTER_WECOM:
	case ROSTER_DINGTALK:
	case ROSTER_FEISHU:
	case ROSTER_ALERTMANAGER:
	case ROSTER_SMS:
		return check_web(c, e);
	case ROSTER_SYSLOG:
		return check_syslog(c, e);
	case ROSTER_INFORM:
		return check_inform(c, e);
	case ROSTER_COMMAND:
		return check_command(c, e);
	case ROSTER_KINDS:
		break;
	}
	return 0;
}

/* A chain of fall-backs that comes back would send for ever. */
static int check_fallback(const struct roster *r, const struct roster_channel *c, struct err *e)
{
	const struct roster_channel *at = c;

	for (size_t steps = 0; at->fallback[0] != '\0'; steps++) {
		const struct roster_channel *next = roster_channel(r, at->fallback);

		if (next == NULL)
			return config_error(&at->where, e, "channel %s: fallback: there is no channel %s", at->id, at->fallback);
		if (steps >= r->channels.count)
			return config_error(&c->where, e, "channel %s: its fall-backs go round in a circle", c->id);
		at = next;
	}
	return 0;
}

static int check_channels(const struct roster *r, struct err *e)
{
	const struct roster_channel *c = r->channels.items;

	for (size_t i = 0; i < r->channels.count; i++) {
		if (roster_channel(r, c[i].id) != &c[i])
			return config_error(&c[i].where, e, "a second channel %s", c[i].id);
		if (check_channel(&c[i], e) < 0 || check_fallback(r, &c[i], e) < 0)
			return -1;
	}
	if (r->beat.channel[0] != '\0' && roster_channel(r, r->beat.channel) == NULL)
		return config_error(&r->beat.where, e, "beat: there is no channel \"%.60s\"", r->beat.channel);
	return 0;
}

static int check_rota(const struct roster *r, struct rota *d, struct err *e)
{
	const struct rota_swap *s = d->swaps.items;

	if (find_rota(r, d->id) != d || roster_channel(r, d->id) != NULL)
		return config_error(&d->where, e, "duty %s: a second list or channel of this name", d->id);
	for (size_t i = 0; i < d->channels.count; i++) {
		if (roster_channel(r, d->channels.items[i]) == NULL)
			return config_error(&d->where, e, "duty %s: there is no channel \"%.80s\"", d->id, d->channels.items[i]);
	}
	for (size_t i = 0; i < d->swaps.count; i++) {
		if (roster_channel(r, s[i].channel) == NULL)
			return config_error(&s[i].where, e, "duty %s: there is no channel \"%.80s\"", d->id, s[i].channel);
	}
	return rota_prepare(d, e);
}

static int check_duty(const struct roster *r, struct err *e)
{
	struct rota *d = r->duty.items;

	for (size_t i = 0; i < r->duty.count; i++) {
		if (check_rota(r, &d[i], e) < 0)
			return -1;
	}
	return 0;
}

/* 0: it is none. */
static unsigned step_of(const char *audience)
{
	const char *n = audience + sizeof INCIDENT_ESCALATION - 1;

	return incident_is_escalation(audience) && n[0] >= '1' && n[0] < '1' + INCIDENT_STEPS && n[1] == '\0' ? (unsigned)(n[0] - '0') : 0;
}

/* They are told nothing that could be left out. */
static int check_kinds_of_step(const struct roster_route *t, const char *audience, struct err *e)
{
	for (size_t i = 0; i < t->kinds.count; i++) {
		if (strcmp(t->kinds.items[i], "escalate") != 0 && strcmp(t->kinds.items[i], "flapping") != 0)
			return config_error(&t->where, e, "audience \"%s\": it is told of escalations and their ends alone, and of nothing as "
				"%s", audience, t->kinds.items[i]);
	}
	return 0;
}

static int check_audience(const struct roster_route *t, const char *a, const struct inventory *inventory, struct err *e)
{
	if (strcmp(a, "operations") == 0)
		return 0;
	if (step_of(a) != 0)
		return check_kinds_of_step(t, a, e);
	if (!begins(a, "unit/"))
		return config_error(&t->where, e, "audience \"%.80s\": write operations, unit/<id> or escalation/<step>, with a step from 1 "
			"to %d", a, INCIDENT_STEPS);
	if (inventory_unit(inventory, a + 5) == NULL)
		return config_error(&t->where, e, "audience \"%.80s\": the inventory has no such unit", a);
	return 0;
}

static int check_route(const struct roster *r, const struct roster_route *t, const struct inventory *inventory, struct err *e)
{
	for (size_t i = 0; i < t->audiences.count; i++) {
		if (check_audience(t, t->audiences.items[i], inventory, e) < 0)
			return -1;
	}
	for (size_t i = 0; i < t->channels.count; i++) {
		if (roster_channel(r, t->channels.items[i]) == NULL && find_rota(r, t->channels.items[i]) == NULL)
			return config_error(&t->where, e, "there is no channel and no duty list \"%.80s\"", t->channels.items[i]);
	}
	return 0;
}

static int check_routes(const struct roster *r, const struct inventory *inventory, struct err *e)
{
	const struct roster_route *t = r->routes.items;

	for (size_t i = 0; i < r->routes.count; i++) {
		if (check_route(r, &t[i], inventory, e) < 0)
			return -1;
	}
	return 0;
}

static int check_templates(const struct roster *r, struct err *e)
{
	const struct roster_template *t = r->templates.items;

	for (size_t i = 0; i < r->templates.count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (t[k].kind == t[i].kind && t[k].language == t[i].language)
				return config_error(&t[i].where, e, "a second template of this kind and language");
		}
	}
	return 0;
}

static void make_paths(struct roster *r, const char *file, struct arena *a)
{
	struct roster_channel *c = r->channels.items;
	const char *slash = strrchr(file, '/');
	int len = slash != NULL ? (int)(slash - file) + 1 : 0;

	for (size_t i = 0; i < r->channels.count; i++) {
		const char **const paths[] = {&c[i].token_file, &c[i].secret_file, &c[i].ca, &c[i].certificate, &c[i].key};

		for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
			if (**paths[k] != '\0' && **paths[k] != '/')
				*paths[k] = arena_format(a, "%.*s%s", len, file, *paths[k]);
		}
	}
}

static void name_kinds(struct roster *r)
{
	struct roster_template *t = r->templates.items;

	for (size_t i = 0; i < r->templates.count; i++) {
		if (t[i].kind == INTENT_PROBE)
			t[i].kind = INTENT_WORSE;
	}
}

struct roster *roster_load(const char *path, const struct inventory *inventory, struct err *e)
{
	struct arena *arena = arena_new();
	struct loaded *l = arena_alloc(arena, sizeof *l);

	l->arena = arena;
	if (config_load(path, &roster_schema, arena, &l->public, e) < 0 || check_channels(&l->public, e) < 0 ||
		check_duty(&l->public, e) < 0 || check_routes(&l->public, inventory, e) < 0 || check_templates(&l->public, e) < 0) {
		arena_free(arena);
		return NULL;
	}
	make_paths(&l->public, path, arena);
	name_kinds(&l->public);
	return &l->public;
}

void roster_free(struct roster *r)
{
	if (r != NULL)
		arena_free(((struct loaded *)r)->arena);
}

/* ---- routes */

int roster_check_steps(const struct roster *r, size_t steps, struct err *e)
{
	const struct roster_route *t = r->routes.items;

	for (size_t i = 0; i < r->routes.count; i++) {
		for (size_t k = 0; k < t[i].audiences.count; k++) {
			if (step_of(t[i].audiences.items[k]) > steps)
				return config_error(&t[i].where, e, "audience \"%s\": the setting incidents.escalate has %zu steps: nobody would be "
					"told", t[i].audiences.items[k], steps);
		}
	}
	return 0;
}

static bool is_audience(const char *written, const char *audience)
{
	if (audience[0] == '\0')
		return strcmp(written, "operations") == 0;
	if (incident_is_escalation(audience))
		return strcmp(written, audience) == 0;
	return begins(written, "unit/") && strcmp(written + 5, audience) == 0;
}

bool roster_leads_to(const struct roster *r, const char *audience)
{
	const struct roster_route *t = r->routes.items;

	for (size_t i = 0; i < r->routes.count; i++) {
		for (size_t k = 0; k < t[i].audiences.count; k++) {
			if (is_audience(t[i].audiences.items[k], audience))
				return true;
		}
	}
	return false;
}

static bool is_wanted(const struct roster_route *t, enum incident_intent_kind kind, const char *audience)
{
	if (incident_is_escalation(audience))
		return true;
	for (size_t i = 0; i < OPTIONAL; i++) {
		if (optional[i] != kind)
			continue;
		for (size_t k = 0; k < t->kinds.count; k++) {
			if (strcmp(t->kinds.items[k], optional_kinds[i]) == 0)
				return true;
		}
		return false;
	}
	return kind != INTENT_PROBE;
}

bool roster_takes(const struct roster_route *t, const struct incident_intent *intent)
{
	if (!is_wanted(t, intent->kind, intent->audience))
		return false;
	for (size_t i = 0; i < t->audiences.count; i++) {
		if (is_audience(t->audiences.items[i], intent->audience))
			return true;
	}
	return false;
}
