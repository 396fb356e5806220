#include "probes/scorecard_facts.h"

#include <math.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/buf.h"
#include "probes/score.h"

typedef void value_fn(void *ctx, uint32_t metric, double number);

bool scorecard_is_global(const struct sockaddr *address)
{
	const uint8_t *b = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
	static const uint8_t documentation[] = {0x20, 0x01, 0x0d, 0xb8}, teredo[] = {0x20, 0x01, 0, 0}, six_to_four[] = {0x20, 0x02};

	return address->sa_family == AF_INET6 && (b[0] & 0xe0) == 0x20 && memcmp(b, documentation, sizeof documentation) != 0 &&
		memcmp(b, teredo, sizeof teredo) != 0 && memcmp(b, six_to_four, sizeof six_to_four) != 0;
}

/* ---- indices */

static double percent_if(bool good)
{
	return good ? 100 : 0;
}

bool scorecard_is_unmeasured(const struct scorecard_home *h)
{
	return h->attempts == 0 && h->own[0] != '\0';
}

/* Without an address of the site nothing succeeds; that our resolver did not tell one says nothing of the site. */
static double success(const struct scorecard_home *h)
{
	if (!h->has_address && !scorecard_is_unmeasured(h))
		return 0;
	return score_percent(h->reached, h->attempts);
}

/* Without IPv6 no link is reached over it. */
static double level_index(const struct scorecard_facts *f, int level)
{
	const struct scorecard_level *l = &f->levels[level];

	if (l->tried == 0)
		return l->known > 0 && !f->home[1].connected ? 0 : (double)NAN;
	return score_percent(l->links_v6, l->links);
}

static double same_index(const struct scorecard_facts *f)
{
	if (!f->has_same)
		return f->home[0].reached > 0 && f->home[1].reached == 0 ? 0 : (double)NAN;
	return (percent_if(f->same_status) + percent_if(f->same_title) + 100 * f->same_text + 100 * f->same_resources) / 4;
}

static double speed_index(const struct scorecard_facts *f, double page_v4, double page_v6)
{
	if (f->home[0].reached == 0)
		return (double)NAN;
	if (f->home[1].reached == 0)
		return 0;
	return page_v6 <= page_v4 ? 100 : 100 * page_v4 / page_v6;
}

/* ---- pairs of times */

/* Both and their ratio, v6/v4; three numbers in a row. */
static void tell_pair(uint32_t first, double v4, double v6, value_fn *value, void *ctx)
{
	value(ctx, first, v4);
	value(ctx, first + 1, v6);
	value(ctx, first + 2, v4 > 0 ? v6 / v4 : (double)NAN);
}

static double median_of(struct scorecard_home *h, double *values)
{
	return score_median(values, h->reached);
}

static void tell_made_of(struct scorecard_facts *f, value_fn *value, void *ctx)
{
	if (f->has_aaaa) {
		value(ctx, SCORECARD_AAAA_COUNT, f->aaaa);
		value(ctx, SCORECARD_AAAA_GLOBAL, f->aaaa_global);
	}
	if (f->has_delegation) {
		value(ctx, SCORECARD_NS, (double)f->ns);
		value(ctx, SCORECARD_NS_V6, (double)f->ns_v6);
	}
	for (uint32_t i = 0; i < 2; i++) {
		if (f->home[i].status > 0)
			value(ctx, SCORECARD_STATUS_V4 + i, f->home[i].status);
		value(ctx, SCORECARD_SUCCESS_V4 + i, success(&f->home[i]));
		if (f->levels[i].tried > 0) {
			value(ctx, SCORECARD_LINKS2 + 2 * i, (double)f->levels[i].links);
			value(ctx, SCORECARD_LINKS2_V6 + 2 * i, (double)f->levels[i].links_v6);
		}
	}
	if (f->has_same) {
		value(ctx, SCORECARD_SAME_STATUS, f->same_status);
		value(ctx, SCORECARD_SAME_TITLE, f->same_title);
		value(ctx, SCORECARD_SAME_TEXT, 100 * f->same_text);
		value(ctx, SCORECARD_SAME_RESOURCES, 100 * f->same_resources);
	}
	if (f->has_ports) {
		value(ctx, SCORECARD_PORTS_V4, f->ports_open[0]);
		value(ctx, SCORECARD_PORTS_V6, f->ports_open[1]);
		value(ctx, SCORECARD_PORTS_DIFFER, f->ports_differ);
	}
}

void scorecard_values(struct scorecard_facts *f, const int64_t weights[SCORECARD_INDICES], value_fn *value, void *ctx)
{
	struct scorecard_home *four = &f->home[0], *six = &f->home[1];
	double connect_v4 = median_of(four, four->connect), connect_v6 = median_of(six, six->connect);
	double page_v4 = median_of(four, four->page), page_v6 = median_of(six, six->page);
	const double indices[SCORECARD_INDICES] = {
		f->has_aaaa ? percent_if(f->aaaa_global > 0) : (double)NAN,
		f->has_delegation ? score_percent(f->ns_v6, f->ns) : (double)NAN,
		percent_if(six->reached > 0), success(six), level_index(f, 0), level_index(f, 1), same_index(f),
		speed_index(f, page_v4, page_v6),
		f->has_ports ? score_percent(f->ports_count - f->ports_differ, f->ports_count) : (double)NAN};
	struct score_index weighed[SCORECARD_INDICES];

	for (size_t i = 0; i < SCORECARD_INDICES; i++)
		weighed[i] = (struct score_index){.value = indices[i], .weight = weights[i]};
	value(ctx, SCORECARD_SCORE, score_total(weighed, SCORECARD_INDICES));
	for (uint32_t i = 0; i < SCORECARD_INDICES; i++)
		value(ctx, SCORECARD_AAAA + i, indices[i]);
	tell_made_of(f, value, ctx);
	tell_pair(SCORECARD_RESOLVE_V4, four->resolve, six->resolve, value, ctx);
	tell_pair(SCORECARD_CONNECT_V4, connect_v4, connect_v6, value, ctx);
	tell_pair(SCORECARD_FIRST_V4, median_of(four, four->first_byte), median_of(six, six->first_byte), value, ctx);
	tell_pair(SCORECARD_PAGE_V4, page_v4, page_v6, value, ctx);
	tell_pair(SCORECARD_RATE_V4, median_of(four, four->rate), median_of(six, six->rate), value, ctx);
	if (connect_v4 > 0)
		value(ctx, SCORECARD_DEGRADATION, 100 * (connect_v6 - connect_v4) / connect_v4);
}

/* ---- words */

static void between(struct buf *out)
{
	if (out->len > 0)
		buf_add_text(out, "; ");
}

static void level_words(const struct scorecard_level *l, int level, struct buf *out)
{
	if (l->links_v6 < l->links) {
		between(out);
		buf_add_format(out, "level %d: %zu of %zu links not over IPv6: %s", level, l->links - l->links_v6, l->links, l->reason);
	}
	if (l->own > 0) {
		between(out);
		buf_add_format(out, "level %d: %zu links not measured: %s", level, l->own, l->own_reason);
	}
	if (l->tried > 0 && l->tried < l->known) {
		between(out);
		buf_add_format(out, "level %d: time for %zu of %zu links", level, l->tried, l->known);
	}
}

static void same_words(const struct scorecard_facts *f, struct buf *out)
{
	if (!f->has_same)
		return;
	if (!f->same_title || !f->same_status) {
		between(out);
		buf_add_format(out, "another %s over IPv6", !f->same_status ? "status" : "title");
	}
	if (f->same_text < 1) {
		between(out);
		buf_add_format(out, "the text is alike by %.1f%%", 100 * f->same_text);
	}
	if (f->same_resources < 1) {
		between(out);
		buf_add_format(out, "the resources are alike by %.1f%%", 100 * f->same_resources);
	}
}

static void words_if(bool tell, const char *head, const char *words, struct buf *out)
{
	if (!tell || *words == '\0')
		return;
	between(out);
	buf_add_format(out, "%s%s", head, words);
}

static void own_words(const struct scorecard_home *h, const char *family, struct buf *out)
{
	if (h->own[0] == '\0')
		return;
	between(out);
	buf_add_format(out, "%s %s: %s", family, scorecard_is_unmeasured(h) ? "not measured, nor links beside it" : "measured in part",
		h->own);
}

void scorecard_words(const struct scorecard_facts *f, struct buf *out)
{
	if (f->home[1].reached > 0 && f->home[1].reached < f->home[1].attempts) {
		between(out);
		buf_add_format(out, "%u of %u attempts over IPv6 failed: %s", f->home[1].attempts - f->home[1].reached,
			f->home[1].attempts, f->home[1].reason);
	}
	words_if(f->has_aaaa && f->aaaa > 0 && f->aaaa_global == 0, "", "the AAAA record is no global address", out);
	words_if(true, "delegation: ", f->delegation, out);
	words_if(f->home[0].reached == 0, "home page over IPv4: ", f->home[0].reason, out);
	own_words(&f->home[0], "IPv4", out);
	own_words(&f->home[1], "IPv6", out);
	level_words(&f->levels[0], 2, out);
	level_words(&f->levels[1], 3, out);
	same_words(f, out);
	words_if(true, "", f->ports, out);
}
