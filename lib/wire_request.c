/* What people ask for (wire.proto Request). */
#include "lib/wire.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire_pb.h"
#include "wire.pb-c.h"

void wire_request_encode(const struct wire_request *r, struct buf *out)
{
	Xunjian__Wire__Request p = XUNJIAN__WIRE__REQUEST__INIT;

	p.version = WIRE_VERSION;
	p.kind = r->kind;
	p.author = (char *)(uintptr_t)r->author;
	p.uid = r->uid;
	p.real = r->real;
	p.incident = r->incident;
	p.text = (char *)(uintptr_t)r->text;
	p.n_subjects = r->subjects_count;
	p.subjects = (char **)(uintptr_t)r->subjects;
	p.from = r->from;
	p.until = r->until;
	p.last = r->last;
	p.is_repeated = r->is_repeated;
	p.weekdays = r->weekdays;
	p.weeks = r->weeks;
	p.families = r->families;
	p.state = r->state;
	wire_pb_pack(&p, out);
}

static int check_time(int64_t time, const char *what, struct err *e)
{
	if (time < 0 || time > WIRE_TIME_MAX)
		return err_set(e, "%s is out of range", what);
	return 0;
}

static int check_texts(const Xunjian__Wire__Request *p, struct err *e)
{
	if (p->author[0] == '\0' || !text_is_clean(p->author, SAMPLE_TEXT_MAX))
		return err_set(e, "the author is named in 1 to %d bytes of UTF-8, without control characters",
			SAMPLE_TEXT_MAX);
	if (!text_is_clean(p->text, WIRE_REQUEST_TEXT))
		return err_set(e, "the text is up to %d bytes of UTF-8, without control characters", WIRE_REQUEST_TEXT);
	if (p->n_subjects > WIRE_SUBJECTS_MAX)
		return err_set(e, "%zu subjects, at most %d", p->n_subjects, WIRE_SUBJECTS_MAX);
	for (size_t i = 0; i < p->n_subjects; i++) {
		if (p->subjects[i][0] == '\0' || !text_is_clean(p->subjects[i], SAMPLE_TEXT_MAX))
			return err_set(e, "a subject is named like system/portal");
	}
	return 0;
}

static int check_request(const Xunjian__Wire__Request *p, struct err *e)
{
	if (p->version != WIRE_VERSION)
		return err_set(e, "version %u is not known", p->version);
	if (p->kind < REQUEST_ACKNOWLEDGE || p->kind > REQUEST_CORRECT)
		return err_set(e, "kind %u is not known", p->kind);
	if (check_texts(p, e) < 0 || check_time(p->real, "real", e) < 0 || check_time(p->from, "from", e) < 0 ||
		check_time(p->until, "until", e) < 0 || check_time(p->last, "last", e) < 0)
		return -1;
	if (p->weekdays > 0x7f || p->weeks > 0x1f)
		return err_set(e, "a weekday or week that there is not");
	if (p->families > (REQUEST_WHOLE | REQUEST_V4 | REQUEST_V6))
		return err_set(e, "a family that there is not");
	return 0;
}

/* The decoded request and the message it borrows from. */
struct request {
	struct wire_request public;
	Xunjian__Wire__Request *pb;
};

static struct wire_request *take(Xunjian__Wire__Request *p)
{
	struct request *r = mem_alloc(sizeof *r);

	r->pb = p;
	r->public = (struct wire_request){.kind = (enum wire_request_kind)p->kind, .author = p->author, .uid = p->uid,
		.real = p->real, .incident = p->incident, .text = p->text, .subjects = (const char *const *)p->subjects,
		.subjects_count = p->n_subjects, .from = p->from, .until = p->until, .last = p->last,
		.is_repeated = p->is_repeated != 0, .weekdays = (uint8_t)p->weekdays, .weeks = (uint8_t)p->weeks,
		.families = p->families, .state = p->state};
	return &r->public;
}

struct wire_request *wire_request_decode(const void *data, size_t len, struct err *e)
{
	Xunjian__Wire__Request *p;

	if (len > WIRE_REQUEST_MAX) {
		err_set(e, "request: larger than %u bytes", WIRE_REQUEST_MAX);
		return NULL;
	}
	p = wire_pb_unpack(&xunjian__wire__request__descriptor, data, len, "request", e);
	if (p == NULL)
		return NULL;
	if (check_request(p, e) < 0) {
		wire_pb_free(p);
		err_wrap(e, "request");
		return NULL;
	}
	return take(p);
}

void wire_request_free(struct wire_request *public)
{
	struct request *r = (struct request *)public;

	if (r == NULL)
		return;
	wire_pb_free(r->pb);
	free(r);
}
