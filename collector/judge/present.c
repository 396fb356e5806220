#include "collector/judge/present.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include "collector/channel.h"
#include "collector/judge/book.h"
#include "collector/judge/incident.h"
#include "collector/judge/verdict.h"

static_assert(STATE_MAINTENANCE + 1 == CHANNEL_STATE_END, "states on the channel");

/* What a host says of itself stands for both families. */
static uint8_t family_state(const struct verdict_subject *s, int family)
{
	return (uint8_t)(s->families[family] != STATE_NONE ? s->families[family] : s->families[VERDICT_OWN]);
}

/* Since when it counts as what it is shown as. */
static int64_t shown_since(const struct book *b, const struct verdict_subject *s, enum state state)
{
	return state == STATE_MAINTENANCE ? book_planned_since(b, s->id) : s->since;
}

static void add_states(const struct book *b, struct buf *out)
{
	const struct verdict_subject *s;

	for (size_t i = 0; (s = verdict_subject_at(book_verdict(b), i)) != NULL; i++) {
		enum state state = incidents_state(book_incidents(b), s->id);

		channel_states_add(&(struct channel_state){.subject = s->id, .state = (uint8_t)state,
			.v4 = family_state(s, VERDICT_V4), .v6 = family_state(s, VERDICT_V6),
			.since = shown_since(b, s, state)}, out);
	}
}

static void begin_versions(struct present *p)
{
	while (p->version == 0 && getrandom(&p->version, sizeof p->version, 0) != sizeof p->version)
		;
}

void present_answer(struct present *p, const struct book *b, uint64_t known, struct buf *out)
{
	struct buf now = {0};

	begin_versions(p);
	add_states(b, &now);
	if (now.len != p->rows.len || (now.len > 0 && memcmp(now.data, p->rows.data, now.len) != 0)) {
		p->version++;
		buf_fini(&p->rows);
		p->rows = now;
	} else {
		buf_fini(&now);
	}
	channel_states_begin(p->version, book_now(b), out);
	if (known != p->version)
		buf_add(out, p->rows.data, p->rows.len);
}

void present_fini(struct present *p)
{
	buf_fini(&p->rows);
}
