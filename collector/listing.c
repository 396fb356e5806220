#include "collector/listing.h"

#include <stdio.h>

#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/err.h"
#include "lib/program.h"

int listing_run(const char *command, const char *settings, int (*print)(const char *state, const void *wish, struct err *),
	const void *wish)
{
	struct err e;
	struct settings *s = settings_load(settings, &e);
	int status = s == NULL ? EXIT_CONFIG : print(s->state, wish, &e) < 0 ? EXIT_RUNTIME : EXIT_FINE;

	if (status != EXIT_FINE)
		fprintf(stderr, "%s: %s\n", command, e.text);
	settings_free(s);
	return status;
}

void listing_begin_json(struct json *j)
{
	json_open(j, NULL, '[');
}

void listing_end_json(struct json *j, bool is_good)
{
	json_close(j, ']');
	if (is_good)
		printf("%.*s\n", (int)j->out.len, (const char *)j->out.data);
	json_fini(j);
}
