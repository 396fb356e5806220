#include "collector/settings.h"

#include <event2/util.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/judge/calendar.h"
#include "collector/judge/incident.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define MIB (INT64_C(1) << 20)
#define TIB (INT64_C(1) << 40)
#define DAY (86400 * NS_PER_S)

/* The settings and the arena that they live in. */
struct loaded {
	struct settings public;
	struct arena *arena;
};

/* ---- addresses to listen on */

static int parse_listen(const char *text, struct sockaddr_storage *out, struct err *e)
{
	int len = sizeof *out;
	bool parsed = evutil_parse_sockaddr_port(text, (struct sockaddr *)out, &len) == 0;
	/* The port stands at the same place for both families. */
	const struct sockaddr_in *in = (const struct sockaddr_in *)out;

	if (!parsed || in->sin_port == 0)
		return err_set(e, "\"%.80s\" is not an address and a port: write \"192.0.2.1:8443\" or "
			"\"[2001:db8::1]:8443\"", text);
	return 0;
}

static bool is_loopback(const struct sockaddr_storage *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static int check_listen(const char *text, struct err *e)
{
	struct sockaddr_storage address;

	return parse_listen(text, &address, e);
}

static int check_loopback(const char *text, struct err *e)
{
	struct sockaddr_storage address;

	if (parse_listen(text, &address, e) < 0)
		return -1;
	if (!is_loopback(&address))
		return err_set(e, "\"%.80s\" is not a loopback address: the pages know no accounts yet, so "
			"everybody who reaches them sees all units; write \"127.0.0.1:8080\" or \"[::1]:8080\" "
			"and let people in through a tunnel", text);
	return 0;
}

/* ---- the tables */

static const struct config_field ingest_fields[] = {
	{.name = "listen", .kind = CONFIG_TEXTS, .offset = offsetof(struct settings_ingest, listen),
		.fallback = "0.0.0.0:8443 [::]:8443", .min = 1, .max = 16, .check = check_listen,
		.help = "addresses and ports where agents push"},
	{.name = "ca", .kind = CONFIG_TEXT, .offset = offsetof(struct settings_ingest, tls.ca),
		.fallback = "pki/ca.pem", .min = 1, .help = "PEM file of the authority that agents are "
		"certified by"},
	{.name = "certificate", .kind = CONFIG_TEXT,
		.offset = offsetof(struct settings_ingest, tls.certificate), .fallback = "pki/collector.pem",
		.min = 1, .help = "PEM file of our certificate"},
	{.name = "key", .kind = CONFIG_TEXT, .offset = offsetof(struct settings_ingest, tls.key),
		.fallback = "pki/collector.key", .min = 1, .help = "PEM file of its key, readable by us alone"},
	{.name = "max_connections", .kind = CONFIG_INT,
		.offset = offsetof(struct settings_ingest, max_connections), .fallback = "4000", .min = 1,
		.max = 100000, .help = "connections of all agents at once"},
	{.name = "max_connections_per_agent", .kind = CONFIG_INT,
		.offset = offsetof(struct settings_ingest, max_connections_per_agent), .fallback = "4",
		.min = 2, .max = 64, .help = "connections of one agent; one pushes, one waits for assignments"},
	{.name = "idle_timeout", .kind = CONFIG_DURATION,
		.offset = offsetof(struct settings_ingest, idle_timeout), .fallback = "2m", .min = 70 * NS_PER_S,
		.max = 3600 * NS_PER_S, .help = "a connection is closed after this time without a byte; longer "
		"than the minute that agents wait for assignments"},
	{.name = "batches_per_minute", .kind = CONFIG_INT,
		.offset = offsetof(struct settings_ingest, batches_per_minute), .fallback = "1200", .min = 6,
		.max = 100000, .help = "batches of one agent; what is above is asked to come later"},
	{.name = NULL},
};
static const struct config_schema ingest_schema = {
	.size = sizeof(struct settings_ingest), .fields = ingest_fields, .where_offset = -1};

static const struct config_field journal_fields[] = {
	{.name = "segment_bytes", .kind = CONFIG_SIZE,
		.offset = offsetof(struct settings_journal, segment_bytes), .fallback = "64MiB",
		.min = 64 * 1024, .max = 1024 * MIB, .help = "a file of the journal is closed at this size"},
	{.name = "max_bytes", .kind = CONFIG_SIZE, .offset = offsetof(struct settings_journal, max_bytes),
		.fallback = "20GiB", .min = MIB, .max = 64 * TIB,
		.help = "all files of the journal; at least four segments"},
	{.name = "max_age", .kind = CONFIG_DURATION, .offset = offsetof(struct settings_journal, max_age),
		.fallback = "30d", .min = 3600 * NS_PER_S, .max = 3660 * DAY,
		.help = "measurements older than this leave the journal even if a view has not read them"},
	{.name = NULL},
};
static const struct config_schema journal_schema = {.size = sizeof(struct settings_journal),
	.fields = journal_fields, .where_offset = offsetof(struct settings_journal, where)};

static const struct config_field archive_fields[] = {
	{.name = "step", .kind = CONFIG_DURATION, .offset = offsetof(struct settings_archive, step),
		.fallback = "", .min = NS_PER_S, .max = 31 * DAY,
		.help = "width of a row in whole seconds; without it, the interval of the check"},
	{.name = "keep", .kind = CONFIG_DURATION, .offset = offsetof(struct settings_archive, keep),
		.min = 60 * NS_PER_S, .max = 3660 * DAY, .help = "how far back its rows reach"},
	{.name = NULL},
};
static const struct config_schema archive_schema = {.size = sizeof(struct settings_archive),
	.fields = archive_fields, .where_offset = offsetof(struct settings_archive, where)};

static const struct config_field series_fields[] = {
	{.name = "flush_within", .kind = CONFIG_DURATION,
		.offset = offsetof(struct settings_series, flush_within), .fallback = "5m", .min = NS_PER_S,
		.max = 300 * NS_PER_S, .help = "a value waits at most this long for its file; pages show it at once"},
	{.name = "max_parts", .kind = CONFIG_INT, .offset = offsetof(struct settings_series, max_parts),
		.fallback = "64", .min = 1, .max = 4096,
		.help = "series that one check may grow per vantage and family, one per address or interface"},
	{.name = "max_bytes", .kind = CONFIG_SIZE, .offset = offsetof(struct settings_series, max_bytes),
		.fallback = "100GiB", .min = MIB, .max = 64 * TIB,
		.help = "all series files; an inventory that needs more is refused by the command plan"},
	{.name = "archives", .kind = CONFIG_LIST, .offset = offsetof(struct settings_series, archives),
		.fallback = "", .max = 16, .sub = &archive_schema,
		.help = "rings of every series file, the finest first; without it, the interval of the check "
			"for 2 days, 5 minutes for 31 days, 1 hour for 396 days"},
	{.name = NULL},
};
static const struct config_schema series_schema = {
	.size = sizeof(struct settings_series), .fields = series_fields, .where_offset = -1};

static int check_duration(const char *text, struct err *e)
{
	int64_t ns;

	if (num_parse_duration(text, &ns, e) < 0)
		return -1;
	return ns >= NS_PER_S && ns <= 31 * DAY ? 0 : err_set(e, "\"%.60s\" is not between 1s and 31d", text);
}

static const struct config_field incidents_fields[] = {
	{.name = "notices_per_minute", .kind = CONFIG_INT, .offset = offsetof(struct settings_incidents, notices_per_minute),
		.fallback = "10", .min = 1, .max = 1000,
		.help = "single notices to one audience; more become one digest that names all"},
	{.name = "escalate", .kind = CONFIG_TEXTS, .offset = offsetof(struct settings_incidents, escalate), .fallback = "",
		.max = INCIDENT_STEPS, .check = check_duration,
		.help = "after how long without acknowledgement an incident is told further up, step by step: 15m, 1h"},
	{.name = "hours", .kind = CONFIG_TEXTS, .offset = offsetof(struct settings_incidents, hours), .fallback = "always",
		.min = 1, .max = HOURS_MAX, .check = hours_check,
		.help = "hours of duty in which that time counts, as hours of service"},
	{.name = NULL},
};
static const struct config_schema incidents_schema = {.size = sizeof(struct settings_incidents), .fields = incidents_fields,
	.where_offset = offsetof(struct settings_incidents, where)};

static const struct config_field web_fields[] = {
	{.name = "listen", .kind = CONFIG_TEXTS, .offset = offsetof(struct settings_web, listen),
		.fallback = "127.0.0.1:8080 [::1]:8080", .min = 1, .max = 16, .check = check_loopback,
		.help = "addresses and ports of the pages: loopback alone, as there are no accounts yet"},
	{.name = NULL},
};
static const struct config_schema web_schema = {
	.size = sizeof(struct settings_web), .fields = web_fields, .where_offset = -1};

static const struct config_field settings_fields[] = {
	{.name = "name", .kind = CONFIG_ID, .offset = offsetof(struct settings, name),
		.fallback = "collector", .help = "id of this collector"},
	{.name = "state", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, state),
		.fallback = "/var/lib/xunjian-collector", .min = 1,
		.help = "folder of the journal and of all that is made from it"},
	{.name = "inventory", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, inventory),
		.fallback = "inventory.d", .min = 1, .help = "folder whose *.conf files say what is monitored"},
	{.name = "calendar", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, calendar), .fallback = "",
		.help = "folder whose *.conf files tell holidays and make-up workdays; hours of service by workdays "
			"need it"},
	{.name = "notice", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, notice), .fallback = "",
		.help = "file of channels and of routes to them: xunjian-notice(5)"},
	{.name = "commands", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, commands), .fallback = "",
		.help = "file of commands that channels may name, root's alone; read at the start: xunjian-notice(5)"},
	{.name = "user", .kind = CONFIG_TEXT, .offset = offsetof(struct settings, user), .fallback = "",
		.max = 32, .help = "user to become when started as root; without it, the one that started us"},
	{.name = "log_level", .kind = CONFIG_CHOICE, .offset = offsetof(struct settings, log_level),
		.fallback = "info", .choices = "error|warn|info|debug", .help = "least weight of a logged line"},
	{.name = "answer_within", .kind = CONFIG_DURATION, .offset = offsetof(struct settings, answer_within),
		.fallback = "2m", .min = 2 * NS_PER_S, .max = 3600 * NS_PER_S,
		.help = "a process of the collector that does nothing for so long hangs: it is ended and started again"},
	{.name = "ingest", .kind = CONFIG_GROUP, .offset = offsetof(struct settings, ingest),
		.fallback = "", .sub = &ingest_schema, .help = "where results come in"},
	{.name = "journal", .kind = CONFIG_GROUP, .offset = offsetof(struct settings, journal),
		.fallback = "", .sub = &journal_schema, .help = "the log that everything is made from"},
	{.name = "series", .kind = CONFIG_GROUP, .offset = offsetof(struct settings, series),
		.fallback = "", .sub = &series_schema, .help = "the files behind the graphs"},
	{.name = "incidents", .kind = CONFIG_GROUP, .offset = offsetof(struct settings, incidents), .fallback = "",
		.sub = &incidents_schema, .help = "how incidents are told"},
	{.name = "web", .kind = CONFIG_GROUP, .offset = offsetof(struct settings, web), .fallback = "",
		.sub = &web_schema, .help = "the pages"},
	{.name = NULL},
};
const struct config_schema settings_schema = {
	.size = sizeof(struct settings), .fields = settings_fields, .where_offset = -1};

/* ---- what one value cannot show */

static int check_journal(const struct settings_journal *j, struct err *e)
{
	if (j->max_bytes < 4 * j->segment_bytes)
		return config_error(&j->where, e, "max_bytes must hold at least four segments: write "
			"max_bytes = \"%lldMiB\" or smaller segment_bytes",
			(long long)((4 * j->segment_bytes + MIB - 1) / MIB));
	return 0;
}

static int check_archive(const struct settings_archive *a, const struct settings_archive *before,
	struct err *e)
{
	if (a->step % NS_PER_S != 0)
		return config_error(&a->where, e, "step must be of whole seconds");
	if (a->step > a->keep)
		return config_error(&a->where, e, "keep is less than one step: write a longer keep");
	if (before != NULL && (a->step <= before->step || a->keep <= before->keep))
		return config_error(&a->where, e, "each archive must have a longer step and a longer keep than "
			"the one before it: write the finest first");
	return 0;
}

static int check_archives(const struct config_list *archives, struct err *e)
{
	const struct settings_archive *a = archives->items;

	for (size_t i = 0; i < archives->count; i++) {
		if (check_archive(&a[i], i > 0 ? &a[i - 1] : NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int check_incidents(const struct settings *s, struct err *e)
{
	const struct settings_incidents *i = &s->incidents;
	struct hours hours;
	int64_t before = 0, after = 0;

	for (size_t k = 0; k < i->escalate.count; k++, before = after) {
		if (num_parse_duration(i->escalate.items[k], &after, e) < 0)
			return -1;
		if (after <= before)
			return config_error(&i->where, e, "escalate: each step must be later than the one before it");
	}
	if (hours_parse(&i->hours, &hours, e) < 0)
		return -1;
	if (hours_ask_calendar(&hours) && s->calendar[0] == '\0')
		return config_error(&i->where, e, "hours by workdays need the calendar folder: write calendar = \"calendar\"");
	return 0;
}

/* ---- what the operator left to us */

static void default_archives(struct config_list *archives, struct arena *a)
{
	static const struct settings_archive usual[] = {
		{.step = 0, .keep = 2 * DAY},
		{.step = 300 * NS_PER_S, .keep = 31 * DAY},
		{.step = 3600 * NS_PER_S, .keep = 396 * DAY},
	};

	if (archives->count > 0)
		return;
	archives->items = memcpy(arena_alloc(a, sizeof usual), usual, sizeof usual);
	archives->count = sizeof usual / sizeof *usual;
}

/* The folder of a file as an absolute path. */
static int folder_of(const char *path, struct arena *a, const char **out, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *folder = arena_strdup(a, path), *here;

	folder[slash != NULL ? slash - path : 0] = '\0';
	if (path[0] == '/') {
		*out = folder;
		return 0;
	}
	here = getcwd(NULL, 0);
	if (here == NULL)
		return err_errno(e, "cannot tell the present folder");
	*out = arena_format(a, "%s%s%s", here, *folder != '\0' ? "/" : "", folder);
	free(here);
	return 0;
}

static void make_absolute(const char **path, const char *folder, struct arena *a)
{
	if (**path != '/')
		*path = arena_format(a, "%s/%s", folder, *path);
}

static int make_paths(struct settings *s, const char *file, struct arena *a, struct err *e)
{
	const char **const paths[] = {&s->state, &s->inventory, &s->ingest.tls.ca,
		&s->ingest.tls.certificate, &s->ingest.tls.key};
	const char *folder = NULL;

	if (folder_of(file, a, &folder, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		make_absolute(paths[i], folder, a);
	if (s->calendar[0] != '\0')
		make_absolute(&s->calendar, folder, a);
	if (s->notice[0] != '\0')
		make_absolute(&s->notice, folder, a);
	if (s->commands[0] != '\0')
		make_absolute(&s->commands, folder, a);
	return 0;
}

struct settings *settings_parse(const char *path, const char *text, struct err *e)
{
	struct arena *arena = arena_new();
	struct loaded *l = arena_alloc(arena, sizeof *l);
	struct settings *s = &l->public;

	l->arena = arena;
	if (config_parse(path, text, &settings_schema, arena, s, e) < 0 || check_journal(&s->journal, e) < 0 ||
		check_archives(&s->series.archives, e) < 0 || check_incidents(s, e) < 0 || make_paths(s, path, arena, e) < 0) {
		arena_free(arena);
		return NULL;
	}
	default_archives(&s->series.archives, arena);
	s->text = arena_strdup(arena, text);
	return s;
}

struct settings *settings_load(const char *path, struct err *e)
{
	struct buf text = {0};
	struct settings *s = NULL;

	if (config_read_text(path, &text, e) == 0) {
		if (text.len <= SETTINGS_TEXT_MAX)
			s = settings_parse(path, buf_text(&text), e);
		else
			err_set(e, "%.200s: larger than %u MiB", path, SETTINGS_TEXT_MAX >> 20);
	}
	buf_fini(&text);
	return s;
}

void settings_free(struct settings *s)
{
	if (s != NULL)
		arena_free(((struct loaded *)s)->arena);
}
