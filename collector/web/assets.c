#include "collector/web/assets.h"

#include <string.h>

#include "collector/web/server.h"

static void answer_asset(struct server_request *r, const struct asset *a)
{
	struct server_answer answer = {.status = 200, .type = a->type, .etag = a->etag, .data = a->data,
		.len = a->len, .cache = "no-cache"};

	if (strcmp(a->path, "/") != 0)
		answer.cache = "public, max-age=31536000, immutable";
	if (a->gzip != NULL && server_takes_gzip(r)) {
		answer.encoding = "gzip";
		answer.data = a->gzip;
		answer.len = a->gzip_len;
	}
	server_answer(r, &answer);
}

void assets_handle(void *web, struct server_request *r)
{
	(void)web;
	for (const struct asset *a = assets_table; a->path != NULL; a++) {
		if (strcmp(a->path, server_path(r)) == 0) {
			answer_asset(r, a);
			return;
		}
	}
	server_fail_absent(r);
}
