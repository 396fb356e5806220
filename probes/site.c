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

/* NULL: no http or https address. */
static CURLU *read_url(const char *page, const char *href)
{
	bool is_page_itself = *href == '\0' || *href == '#'; /* libcurl drops the query then */
	CURLU *u = curl_url();
	char *scheme = NULL;
	bool fits = u != NULL && curl_url_set(u, CURLUPART_URL, page, CURLU_URLENCODE) == CURLUE_OK &&
		(is_page_itself || curl_url_set(u, CURLUPART_URL, href, CURLU_URLENCODE) == CURLUE_OK) &&
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);

	curl_free(scheme);
	if (fits && !has_part(u, CURLUPART_USER))
		return u;
	curl_url_cleanup(u);
	return NULL;
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

char *site_canonical(const char *page, const char *href)
{
	CURLU *u = read_url(page, href);
	char *out = u != NULL ? text_of(u) : NULL;

	curl_url_cleanup(u);
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

char *site_take(struct site *s, const char *page, const char *href)
{
	CURLU *u = read_url(page, href);
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
