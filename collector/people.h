/*
 * people: the commands by which people act: ack, unack, assign, comment, maintain, cancel, correct. Each is one request
 * (wire.proto Request) to the collector that runs on this host; the verdict is read where judgement keeps it.
 */
#ifndef COLLECTOR_PEOPLE_H
#define COLLECTOR_PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct wire_request;

/* argv[0]: the command. The exit status: 0, 1 refused or runtime, 2 usage, 3 configuration. */
int people_main(int argc, char **argv);

/* What people asked, and the verdicts: the command `requests`. */
int requests_main(int argc, char **argv);

/* What the words ask for. Texts are borrowed from them. 0; 1 help is asked for; -1 with words. */
struct people_wish {
	const char *settings;
	bool is_json;
	struct wire_request *request; /* people_wish_fini */
};
int people_wish_read(int argc, char **argv, int64_t now, struct people_wish *, struct err *);
void people_wish_fini(struct people_wish *);

#endif
