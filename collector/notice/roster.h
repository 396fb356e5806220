/*
 * roster: who is told of what, where and in which language: notice.conf as a struct. Channels (a mail server, a bot, a
 * gateway of short messages), duty lists, routes from an audience to channels, and templates that replace the built-in words.
 *
 *   roster_load (or an error with file:line) -> roster_takes of each route, roster_channel by id -> roster_free
 *
 * Secrets stand in files of their own, 0600, which only the process that sends reads.
 * Thread: any, read only. Limits: 64 channels, 64 duty lists, 4096 routes, 64 templates.
 */
#ifndef COLLECTOR_NOTICE_ROSTER_H
#define COLLECTOR_NOTICE_ROSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/config.h"

struct err;
struct incident_intent;
struct inventory;

#define ROSTER_USER_MAX 32 /* of an inform: usmUserName, RFC 3414 */

enum roster_kind { ROSTER_SMTP, ROSTER_WECOM, ROSTER_DINGTALK, ROSTER_FEISHU, ROSTER_ALERTMANAGER, ROSTER_SMS,
	ROSTER_SYSLOG, ROSTER_INFORM, ROSTER_COMMAND, ROSTER_KINDS };
enum roster_language { ROSTER_ZH, ROSTER_EN, ROSTER_LANGUAGES };

struct roster_channel {
	const char *id;
	int kind;               /* enum roster_kind */
	const char *url;
	const char *from;       /* mail: address of the sender */
	struct config_texts to; /* addresses of mail, numbers of phones */
	const char *user;       /* mail: name to log in with; inform: name of the user */
	const char *token_file; /* password, key or token of a bot, bearer token; inform: password of authentication */
	const char *secret_file; /* bots: secret that messages are signed with; inform: password of privacy */
	const char *ca;         /* roots to trust; "": those of the machine */
	const char *certificate, *key; /* syslog: our own, when the receiver asks for one; "" none */
	int64_t facility;       /* syslog: 0 to 23 */
	const char *enterprise; /* inform, syslog: below 1.3.6.1.4.1, "8072.9999.9999.26" */
	int auth;               /* inform: 0 SHA-256, 1 SHA-384, 2 SHA-512 */
	int priv;               /* inform: 0 AES-128, 1 AES-192, 2 AES-256 */
	const char *command;    /* command: name in the file of commands */
	const char *body;       /* sms: body of the request, with {to} and {text} */
	int form;               /* sms: 0 json, 1 form: how values are escaped in the body */
	const char *success;    /* sms: "code=0": member of the JSON answer, and its value when the message was taken */
	const char *fallback;   /* id of the channel that is used when this one fails; "" none */
	int64_t fallback_after; /* failed tries of a notice, or of the channel in a row */
	int64_t per_minute;     /* messages that the provider takes */
	struct config_where where;
};

struct roster_route {
	struct config_texts audiences; /* "operations", "unit/<id>", "escalation/<step>" */
	struct config_texts channels;  /* ids of channels and of duty lists: roster_on_duty */
	int language;                  /* enum roster_language */
	struct config_texts kinds;     /* to operations and units: beyond problem, worse, close, merged and digest, which nobody can leave out */
	struct config_where where;
};

struct roster_template {
	int kind;     /* enum incident_intent_kind */
	int language; /* enum roster_language */
	const char *title, *body;
	struct config_where where;
};

struct roster_beat {
	const char *channel; /* id; "": nobody watches us */
	struct config_where where;
};

struct roster {
	struct roster_beat beat;
	int64_t give_up;              /* ns */
	struct config_list channels;  /* struct roster_channel */
	struct config_list duty;      /* struct rota */
	struct config_list routes;    /* struct roster_route */
	struct config_list templates; /* struct roster_template */
};

extern const struct config_schema roster_schema; /* for the manual */

/* Reads and checks: units by the inventory, channels by each other, templates by their words in braces. Paths of files
 * are relative to the file. */
struct roster *roster_load(const char *path, const struct inventory *, struct err *);
void roster_free(struct roster *); /* accepts NULL */
const struct roster_channel *roster_channel(const struct roster *, const char *id);
/* The channel behind the id of a channel or of a duty list: of who is on duty at a time (real ns). NULL: there is none. */
const struct roster_channel *roster_on_duty(const struct roster *, const char *id, int64_t real);
/* Does each step that a route names stand in the settings, which have so many? Else -1 with err. */
int roster_check_steps(const struct roster *, size_t steps, struct err *);
/* Is there a route to this audience? As incidents name it: "", "escalation/1", the id of a unit. */
bool roster_leads_to(const struct roster *, const char *audience);
/* Is this for those at the end of the route? */
bool roster_takes(const struct roster_route *, const struct incident_intent *);

#endif
