#include "collector/notice/rota.h"

#include <stddef.h>

#include "collector/judge/calendar.h"
#include "lib/clock.h"
#include "lib/err.h"

#define EACH_MAX (366 * 86400 * NS_PER_S)

#define SWAP(field) offsetof(struct rota_swap, field)
static const struct config_field swap_fields[] = {
	{.name = "from", .kind = CONFIG_TEXT, .offset = SWAP(from), .max = 40, .help = "when it begins, \"2026-10-05 08:30\""},
	{.name = "until", .kind = CONFIG_TEXT, .offset = SWAP(until), .max = 40, .help = "when it ends"},
	{.name = "channel", .kind = CONFIG_TEXT, .offset = SWAP(channel), .max = 63, .help = "id of the channel of who stands in"},
	{.name = NULL},
};
static const struct config_schema swap_schema = {.size = sizeof(struct rota_swap), .fields = swap_fields, .where_offset = SWAP(where)};

#define ROTA(field) offsetof(struct rota, field)
static const struct config_field rota_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = ROTA(id), .help = "name of the list, which no channel has"},
	{.name = "from", .kind = CONFIG_TEXT, .offset = ROTA(from), .max = 40,
		.help = "when a turn of the first one begins, \"2026-10-05 08:30\" in Asia/Shanghai"},
	{.name = "each", .kind = CONFIG_DURATION, .offset = ROTA(each), .fallback = "7d", .min = 3600 * NS_PER_S, .max = EACH_MAX,
		.help = "how long a turn lasts"},
	{.name = "channels", .kind = CONFIG_TEXTS, .offset = ROTA(channels), .min = 1, .max = 64,
		.help = "ids of the channels of those who take turns, in their order"},
	{.name = "swaps", .kind = CONFIG_LIST, .offset = ROTA(swaps), .fallback = "", .max = 1024, .sub = &swap_schema,
		.help = "who stands in, whoever's turn it is"},
	{.name = NULL},
};
const struct config_schema rota_schema = {.size = sizeof(struct rota), .fields = rota_fields, .where_offset = ROTA(where)};

static int read_time(const char *text, const char *name, const struct config_where *where, int64_t *out, struct err *e)
{
	struct err why;

	/* "now" and "+2h" would begin anew at each start. */
	if (text[0] < '0' || text[0] > '9')
		return config_error(where, e, "%s: write a day and a time, \"2026-10-05 08:30\"", name);
	if (calendar_time(text, 0, out, &why) < 0)
		return config_error(where, e, "%s: %s", name, why.text);
	return 0;
}

static int read_swap(struct rota *r, struct rota_swap *s, struct err *e)
{
	const struct rota_swap *before = r->swaps.items;

	if (read_time(s->from, "from", &s->where, &s->begins, e) < 0 || read_time(s->until, "until", &s->where, &s->ends, e) < 0)
		return -1;
	if (s->ends <= s->begins)
		return config_error(&s->where, e, "until must be later than from");
	for (; before < s; before++) {
		if (s->begins < before->ends && before->begins < s->ends)
			return config_error(&s->where, e, "another exchange of this time stands in line %u", before->where.line);
	}
	return 0;
}

int rota_prepare(struct rota *r, struct err *e)
{
	struct rota_swap *s = r->swaps.items;

	if (read_time(r->from, "from", &r->where, &r->begins, e) < 0)
		return -1;
	for (size_t i = 0; i < r->swaps.count; i++) {
		if (read_swap(r, &s[i], e) < 0)
			return -1;
	}
	return 0;
}

const char *rota_at(const struct rota *r, int64_t real)
{
	const struct rota_swap *s = r->swaps.items;
	int64_t count = (int64_t)r->channels.count, since = real - r->begins, turn = since / r->each;

	for (size_t i = 0; i < r->swaps.count; i++) {
		if (real >= s[i].begins && real < s[i].ends)
			return s[i].channel;
	}
	if (since < 0 && since % r->each != 0)
		turn--;
	return r->channels.items[(turn % count + count) % count];
}
