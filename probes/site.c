#include "probes/site.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/config.h"
#include "lib/map.h"
#include "lib/mem.h"

void site_init(struct site *s)
{
	*s = (struct site){.seen = map_new()};
}

void site_fini(struct site *s)
{
	map_free(s->seen, NULL);
	curl_url_cleanup(s->page);
}

void site_add_host(struct site *s, const char *host)
{
	if (s->host_count < sizeof s->hosts / sizeof *s->hosts)
		s->hosts[s->host_count++] = host;
}

/* Without "www." and the dot at its end: its length. */
static const char *bare_host(const char *host, size_t *len)
{
	if (strncasecmp(host, "www.", 4) == 0)
		host += 4;
	*len = strlen(host);
	if (*len > 0 && host[*len - 1] == '.')
		--*len;
	return host;
}

static bool is_host(const struct site *s, const char *host)
{
	size_t len, known_len;

	host = bare_host(host, &len);
	for (size_t i = 0; i < s->host_count; i++) {
		const char *known = bare_host(s->hosts[i], &known_len);

		if (len == known_len && strncasecmp(host, known, len) == 0)
			return true;
	}
	return false;
}

static bool has_part(CURLU *u, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(u, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

static bool set_url(CURLU *u, const char *text)
{
	return curl_url_set(u, CURLUPART_URL, text, CURLU_URLENCODE) == CURLUE_OK;
}

/* An http or https address without a user. */
static bool is_followed(CURLU *u)
{
	char *scheme = NULL;
	bool fits = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	return fits && !has_part(u, CURLUPART_USER);
}

/* NULL: it leads nowhere. */
static CURLU *resolve(CURLU *page, const char *href)
{
	bool is_page_itself = *href == '\0' || *href == '#'; /* libcurl drops the query then */
	CURLU *u = curl_url_dup(page);

	if (u != NULL && (is_page_itself || set_url(u, href)) && is_followed(u))
		return u;
	curl_url_cleanup(u);
	return NULL;
}

void site_set_page(struct site *s, const char *url, const char *base)
{
	CURLU *page = curl_url(), *other;

	curl_url_cleanup(s->page);
	s->page = NULL;
	if (page == NULL || !set_url(page, url)) {
		curl_url_cleanup(page);
		return;
	}
	other = base != NULL ? resolve(page, base) : NULL;
	if (other != NULL)
		curl_url_cleanup(page);
	s->page = other != NULL ? other : page;
}

static char *text_of(CURLU *u)
{
	char *text = NULL, *out = NULL;

	curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
	if (curl_url_get(u, CURLUPART_URL, &text, CURLU_NO_DEFAULT_PORT) == CURLUE_OK)
		out = mem_strdup(text);
	curl_free(text);
	return out;
}

static bool is_excluded(const struct site *s, const char *url)
{
	for (size_t i = 0; s->exclude != NULL && i < s->exclude->count; i++) {
		if (strstr(url, s->exclude->items[i]) != NULL)
			return true;
	}
	return false;
}

char *site_take(struct site *s, const char *href)
{
	CURLU *u = s->page != NULL ? resolve(s->page, href) : NULL;
	char *host = NULL, *url = NULL;

	if (u != NULL && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && is_host(s, host))
		url = text_of(u);
	curl_free(host);
	curl_url_cleanup(u);
	if (url == NULL)
		return NULL;
	if (is_excluded(s, url) || map_find(s->seen, url) != NULL) {
		free(url);
		return NULL;
	}
	map_set(s->seen, url, s);
	return url;
}
