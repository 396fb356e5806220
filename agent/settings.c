#include "agent/settings.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog.h"
#include "probes/run.h"

/* ---- single texts */

static bool is_address(const char *text)
{
	unsigned char room[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, room) == 1 || inet_pton(AF_INET6, text, room) == 1;
}

static int check_address(const char *text, struct err *e)
{
	if (is_address(text))
		return 0;
	return err_set(e, "\"%s\" is not an address: write one as in \"192.0.2.1\" or \"2001:db8::1\"",
		text);
}

static int check_url(const char *text, struct err *e)
{
	if (strncmp(text, "https://", 8) == 0 && text[8] != '\0')
		return 0;
	return err_set(e, "\"%.100s\" must start with https://", text);
}

static bool is_loopback(const char *host)
{
	struct in6_addr six;
	struct in_addr four;

	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* An address and a port, as example says. */
static int parse_address_port(const char *text, const char *example, char host[64], uint16_t *port, struct err *e)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : 0;
	bool bracketed = n > 2 && text[0] == '[' && text[n - 1] == ']';
	int64_t number;
	struct err ignored;

	snprintf(host, 64, "%.*s", (int)(bracketed ? n - 2 : n), text + bracketed);
	if (n == 0 || n > 60 || (strchr(host, ':') != NULL) != bracketed || !is_address(host) ||
		num_parse_int(colon + 1, 1, 65535, &number, &ignored) < 0)
		return err_set(e, "\"%.80s\" is not an address with port: write %s", text, example);
	*port = (uint16_t)number;
	return 0;
}

int agent_settings_parse_endpoint(const char *text, struct sockaddr_storage *out, unsigned *len, struct err *e)
{
	struct sockaddr_in four = {.sin_family = AF_INET};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	char host[64];
	uint16_t port;

	if (parse_address_port(text, "\"0.0.0.0:162\" or \"[::]:162\"", host, &port, e) < 0)
		return -1;
	memset(out, 0, sizeof *out);
	four.sin_port = six.sin6_port = htons(port);
	if (inet_pton(AF_INET, host, &four.sin_addr) == 1) {
		memcpy(out, &four, *len = sizeof four);
	} else {
		inet_pton(AF_INET6, host, &six.sin6_addr);
		memcpy(out, &six, *len = sizeof six);
	}
	return 0;
}

int agent_settings_parse_listen(const char *text, char host[64], uint16_t *port, struct err *e)
{
	if (parse_address_port(text, "\"127.0.0.1:9464\" or \"[::1]:9464\"", host, port, e) < 0)
		return -1;
	if (!is_loopback(host))
		return err_set(e, "\"%s\" is not a loopback address: the figures of the agent are served to "
			"this host alone", text);
	return 0;
}

static int check_listen(const char *text, struct err *e)
{
	char host[64];
	uint16_t port;

	return agent_settings_parse_listen(text, host, &port, e);
}

static int check_endpoint(const char *text, struct err *e)
{
	struct sockaddr_storage address;
	unsigned len;

	return agent_settings_parse_endpoint(text, &address, &len, e);
}

static int check_net(const char *text, struct err *e)
{
	struct targets_net net;

	return targets_parse_net(text, &net, e);
}

/* ---- the schema */

#define AT(type, member) offsetof(struct agent_settings##type, member)

static const struct config_field collector_fields[] = {
	{.name = "url", .kind = CONFIG_TEXT, .offset = AT(_collector, url), .fallback = "", .max = 512,
		.check = check_url, .help = "where results go, as in \"https://collector.example:8443\"; without it they stay in "
			"the journal"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = AT(_collector, tls.ca), .fallback = "",
		.max = PATH_MAX, .help = "PEM file of the authority that the collector's certificate is from"},
	{.name = "certificate", .kind = CONFIG_TEXT, .offset = AT(_collector, tls.certificate),
		.fallback = "", .max = PATH_MAX, .help = "PEM file of our certificate, which names our id"},
	{.name = "key", .kind = CONFIG_TEXT, .offset = AT(_collector, tls.key), .fallback = "",
		.max = PATH_MAX, .help = "PEM file of its key, readable by the user alone"},
	{.name = "address", .kind = CONFIG_TEXT, .offset = AT(_collector, address), .fallback = "",
		.max = INET6_ADDRSTRLEN, .check = check_address,
		.help = "address to connect to instead of resolving the url's name"},
	{.name = NULL},
};
static const struct config_schema collector_schema = {sizeof(struct agent_settings_collector),
	collector_fields, AT(_collector, where)};

static const struct config_field journal_fields[] = {
	{.name = "segment_bytes", .kind = CONFIG_SIZE, .offset = AT(_journal, segment_bytes),
		.fallback = "4MiB", .min = 64 << 10, .max = INT64_C(1) << 30, .help = "size of one segment file"},
	{.name = "max_bytes", .kind = CONFIG_SIZE, .offset = AT(_journal, max_bytes), .fallback = "512MiB",
		.min = 1 << 20, .max = INT64_C(1) << 44, .help = "size of the journal at most; the oldest "
			"results go first, and what went is told"},
	{.name = "max_age", .kind = CONFIG_DURATION, .offset = AT(_journal, max_age), .fallback = "72h",
		.min = 60 * NS_PER_S, .max = 366 * 86400 * NS_PER_S, .help = "age of what is kept at most"},
	{.name = NULL},
};
static const struct config_schema journal_schema = {sizeof(struct agent_settings_journal),
	journal_fields, AT(_journal, where)};

static const struct config_field metrics_fields[] = {
	{.name = "listen", .kind = CONFIG_TEXTS, .offset = AT(_metrics, listen), .fallback = "", .max = 4,
		.check = check_listen, .help = "loopback addresses with port, as in \"127.0.0.1:9464\", that serve /metrics, /-/healthy "
			"and /-/ready"},
	{.name = NULL},
};
static const struct config_schema metrics_schema = {sizeof(struct agent_settings_metrics),
	metrics_fields, -1};

static const struct config_field traps_fields[] = {
	{.name = "listen", .kind = CONFIG_TEXTS, .offset = AT(_traps, listen), .fallback = "", .max = 4,
		.check = check_endpoint, .help = "addresses with port, as in \"0.0.0.0:162\", that take SNMP notifications: one of "
			"a link, a UPS or a restart makes the checks of its sender begin at once; from the start on"},
	{.name = NULL},
};
static const struct config_schema traps_schema = {sizeof(struct agent_settings_traps), traps_fields, -1};

static const struct config_field heartbeat_fields[] = {
	{.name = "listen_https", .kind = CONFIG_TEXTS, .offset = AT(_heartbeat, listen_https), .fallback = "", .max = 4,
		.check = check_endpoint, .help = "addresses with port, as in \"[::]:8444\", that take reports over HTTPS; from the "
			"start on"},
	{.name = "listen_udp", .kind = CONFIG_TEXTS, .offset = AT(_heartbeat, listen_udp), .fallback = "", .max = 4,
		.check = check_endpoint, .help = "the same of sealed datagrams; from the start on"},
	{.name = "certificate", .kind = CONFIG_TEXT, .offset = AT(_heartbeat, certificate), .fallback = "", .max = PATH_MAX,
		.help = "PEM file of the certificate of listen_https and of those between it and its root"},
	{.name = "key", .kind = CONFIG_TEXT, .offset = AT(_heartbeat, key), .fallback = "", .max = PATH_MAX,
		.help = "PEM file of its key, which the user can read"},
	{.name = "tokens", .kind = CONFIG_TEXT, .offset = AT(_heartbeat, tokens), .fallback = "", .max = PATH_MAX,
		.help = "file of the windows and their tokens, which only its owner can read; to be read again by a reload it must "
			"be the user's"},
	{.name = "skew", .kind = CONFIG_DURATION, .offset = AT(_heartbeat, skew), .fallback = "30s", .min = NS_PER_S,
		.max = 600 * NS_PER_S, .help = "how far the clock of a window may be from ours, for datagrams"},
	{.name = NULL},
};
static const struct config_schema heartbeat_schema = {sizeof(struct agent_settings_heartbeat), heartbeat_fields,
	AT(_heartbeat, where)};

static const struct config_field check_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = AT(_check, id), .help = "its id, once in the list"},
	{.name = "type", .kind = CONFIG_TEXT, .offset = AT(_check, type), .min = 1, .max = 63,
		.help = "probe type"},
	{.name = "interval", .kind = CONFIG_DURATION, .offset = AT(_check, interval), .fallback = "60s",
		.min = NS_PER_S, .max = 31 * 86400 * NS_PER_S, .help = "time from one run to the next"},
	{.name = "timeout", .kind = CONFIG_DURATION, .offset = AT(_check, timeout), .fallback = "5s",
		.min = 10 * NS_PER_MS, .max = 300 * NS_PER_S, .help = "time that one run may take"},
	{.name = "families", .kind = CONFIG_CHOICE, .offset = AT(_check, families), .fallback = "both",
		.choices = "both|ipv4|ipv6", .help = "families that are measured"},
	{.name = "priority", .kind = CONFIG_BOOL, .offset = AT(_check, priority), .fallback = "false",
		.help = "ask again after 5 seconds, not 10, when it is not up"},
	{.name = "...", .kind = CONFIG_REST, .offset = AT(_check, options), .fallback = "",
		.help = "the settings of its probe type, side by side with these"},
	{.name = NULL},
};
static const struct config_schema check_schema = {sizeof(struct agent_settings_check), check_fields,
	AT(_check, where)};

static const struct config_field fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = AT(, id), .help = "name of this agent, as in the "
		"collector's inventory and in the certificate"},
	{.name = "state", .kind = CONFIG_TEXT, .offset = AT(, state), .fallback = "/var/lib/xunjian-agent",
		.min = 1, .max = PATH_MAX - 64, .help = "folder of the journal and the last assignments"},
	{.name = "user", .kind = CONFIG_TEXT, .offset = AT(, user), .fallback = "", .max = 32,
		.help = "user to become when started by root; not given: stays who it is, without capabilities"},
	{.name = "log_level", .kind = CONFIG_CHOICE, .offset = AT(, log_level), .fallback = "info",
		.choices = "error|warn|info|debug", .help = "what is logged"},
	{.name = "collector", .kind = CONFIG_GROUP, .offset = AT(, collector), .fallback = "",
		.sub = &collector_schema, .help = "the collector"},
	{.name = "journal", .kind = CONFIG_GROUP, .offset = AT(, journal), .fallback = "",
		.sub = &journal_schema, .help = "bounds of the journal"},
	{.name = "metrics", .kind = CONFIG_GROUP, .offset = AT(, metrics), .fallback = "",
		.sub = &metrics_schema, .help = "figures about the agent itself"},
	{.name = "traps", .kind = CONFIG_GROUP, .offset = AT(, traps), .fallback = "",
		.sub = &traps_schema, .help = "notifications of devices"},
	{.name = "heartbeat", .kind = CONFIG_GROUP, .offset = AT(, heartbeat), .fallback = "",
		.sub = &heartbeat_schema, .help = "end points that report in"},
	{.name = "allow_targets", .kind = CONFIG_TEXTS, .offset = AT(, allow_targets), .fallback = "",
		.max = 1000, .check = check_net, .help = "networks that may be probed; none: all but the metadata services of "
			"clouds, which never may"},
	{.name = "readable", .kind = CONFIG_TEXTS, .offset = AT(, readable), .fallback = "", .max = 16,
		.help = "files and folders that checks may read, such as the ca of an http check; read at the start"},
	{.name = "plugins", .kind = CONFIG_TEXT, .offset = AT(, plugins), .fallback = "", .max = PATH_MAX,
		.help = "file of the Nagios plugins that checks of type exec may name, root's own; read at the start; none: no "
			"plugin is started"},
	{.name = "plugin_user", .kind = CONFIG_TEXT, .offset = AT(, plugin_user), .fallback = "", .max = 32,
		.help = "user that plugins run as, neither root nor the user of the agent nor of anything else; must be given beside plugins"},
	{.name = "credentials", .kind = CONFIG_TEXT, .offset = AT(, credentials_path), .fallback = "", .max = PATH_MAX,
		.help = "file of users and communities that devices are asked with, which only its owner can read; to be "
			"read again by a reload it must be the user's"},
	{.name = "resolver", .kind = CONFIG_TEXT, .offset = AT(, resolver), .fallback = "", .max = 512,
		.help = "name servers, as in \"192.0.2.1,[2001:db8::1]:5353\"; none: those of /etc/resolv.conf, as it is now"},
	{.name = "concurrency", .kind = CONFIG_INT, .offset = AT(, concurrency), .fallback = "256",
		.min = 1, .max = 4096, .help = "checks under way at a time"},
	{.name = "checks", .kind = CONFIG_LIST, .offset = AT(, checks), .fallback = "", .max = 20000,
		.sub = &check_schema, .help = "checks of this host's own, beside those the collector assigns"},
	{.name = NULL},
};
const struct config_schema agent_settings_schema = {sizeof(struct agent_settings), fields, -1};

unsigned agent_settings_families(int choice)
{
	static const unsigned families[] = {RUN_BOTH, RUN_V4, RUN_V6};

	return families[choice];
}

int agent_settings_check_times(int64_t interval, int64_t timeout, struct err *e)
{
	char shown[NUM_TEXT];

	if (timeout <= interval)
		return 0;
	num_format_duration(interval, shown);
	return err_set(e, "timeout is longer than the interval of %s", shown);
}

/* ---- paths */

/* A path as written in the file, relative to its folder. */
static const char *absolute(struct agent_settings *s, const char *path)
{
	size_t folder = (size_t)(strrchr(s->path, '/') - s->path);

	if (*path == '/' || *path == '\0')
		return path;
	return arena_format(s->arena, "%.*s/%s", (int)folder, s->path, path);
}

static int set_path(struct agent_settings *s, const char *path, struct err *e)
{
	char *real = realpath(path, NULL);

	if (real == NULL)
		return err_errno(e, "%.200s", path);
	s->path = arena_strdup(s->arena, real);
	free(real);
	return 0;
}

/* ---- across settings */

static int check_collector(struct agent_settings *s, struct err *e)
{
	struct agent_settings_collector *c = &s->collector;
	const struct {
		const char *name, **path;
	} files[] = {{"ca", &c->tls.ca}, {"certificate", &c->tls.certificate}, {"key", &c->tls.key}};

	for (size_t i = 0; i < 3; i++) {
		if (*c->url != '\0' && **files[i].path == '\0')
			return config_error(&c->where, e, "collector: %s must be given beside url", files[i].name);
		if (*c->url == '\0' && **files[i].path != '\0')
			return config_error(&c->where, e, "collector: url must be given beside %s", files[i].name);
		*files[i].path = absolute(s, *files[i].path);
	}
	return 0;
}

static int check_heartbeat(struct agent_settings *s, struct err *e)
{
	struct agent_settings_heartbeat *h = &s->heartbeat;
	bool listens = h->listen_https.count + h->listen_udp.count > 0;

	if (listens != (*h->tokens != '\0'))
		return config_error(&h->where, e, "heartbeat: tokens and listen_https or listen_udp must stand together");
	if ((h->listen_https.count > 0) != (*h->certificate != '\0') || (*h->certificate != '\0') != (*h->key != '\0'))
		return config_error(&h->where, e, "heartbeat: listen_https, certificate and key must stand together");
	h->certificate = absolute(s, h->certificate);
	h->key = absolute(s, h->key);
	h->tokens = absolute(s, h->tokens);
	return listens ? beat_windows_load(h->tokens, s->arena, &h->windows, e) : 0;
}

/* What becomes of one check: its type is known, its options are good, its id is its own. */
static int check_check(struct agent_settings *s, struct agent_settings_check *c, struct map *ids,
	struct err *e)
{
	struct agent_settings_check *twin = map_set(ids, c->id, c);
	struct err inner;
	void *options;

	if (twin != NULL)
		return config_error(&c->where, e, "check \"%s\" stands twice, first in line %u", c->id,
			twin->where.line);
	c->of_type = catalog_find(c->type);
	if (c->of_type == NULL)
		return config_error(&c->where, e, "check \"%s\": unknown probe type \"%s\" "
			"(xunjian-agent probe --help lists them)", c->id, c->type);
	if (agent_settings_check_times(c->interval, c->timeout, &inner) < 0)
		return config_error(&c->where, e, "check \"%s\": %s", c->id, inner.text);
	if (catalog_options(c->of_type, &c->options, s->arena, &options, e) < 0)
		return -1;
	c->of_options = options;
	return 0;
}

static int check_checks(struct agent_settings *s, struct err *e)
{
	struct agent_settings_check *checks = s->checks.items;
	struct map *ids = map_new();
	int status = 0;

	for (size_t i = 0; i < s->checks.count && status == 0; i++)
		status = check_check(s, &checks[i], ids, e);
	map_free(ids, NULL);
	return status;
}

static int check_all(struct agent_settings *s, struct err *e)
{
	if (s->journal.max_bytes < 2 * s->journal.segment_bytes)
		return config_error(&s->journal.where, e,
			"journal: max_bytes must be at least twice segment_bytes");
	if (*s->plugins != '\0' && *s->plugin_user == '\0')
		return err_set(e, "%s: plugin_user must be given beside plugins: a user of their own, who owns nothing "
			"(useradd --system --no-create-home xunjian-plugin)", s->path);
	targets_parse(&s->allow_targets, s->arena, &s->targets);
	s->state = absolute(s, s->state);
	s->plugins = absolute(s, s->plugins);
	s->credentials_path = absolute(s, s->credentials_path);
	if (check_collector(s, e) < 0 || check_heartbeat(s, e) < 0)
		return -1;
	if (*s->credentials_path != '\0' && credentials_load(s->credentials_path, s->arena, &s->credentials, e) < 0)
		return -1;
	return check_checks(s, e);
}

struct agent_settings *agent_settings_load(const char *path, struct err *e)
{
	struct arena *arena = arena_new();
	struct agent_settings *s = arena_alloc(arena, sizeof *s);

	if (config_load(path, &agent_settings_schema, arena, s, e) < 0) {
		arena_free(arena);
		return NULL;
	}
	s->arena = arena;
	if (set_path(s, path, e) < 0 || check_all(s, e) < 0) {
		agent_settings_free(s);
		return NULL;
	}
	return s;
}

void agent_settings_free(struct agent_settings *s)
{
	if (s != NULL)
		arena_free(s->arena);
}
