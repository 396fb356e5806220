#include "probes/path_trace.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- hops */

void path_trace_init(struct path_trace *t, unsigned hops_max, unsigned tries)
{
	*t = (struct path_trace){.hops_max = hops_max, .tries = tries, .next_ttl = 1};
}

static unsigned farthest(const struct path_trace *t)
{
	return t->destination != 0 ? t->destination : t->hops_max;
}

unsigned path_trace_next(struct path_trace *t)
{
	if (t->next_ttl > farthest(t)) {
		t->next_ttl = 1;
		t->round++;
	}
	return t->round < t->tries ? t->next_ttl++ : 0;
}

unsigned path_trace_sent(struct path_trace *t, unsigned ttl, unsigned size, int64_t now)
{
	assert(t->count < PATH_PROBES_MAX);
	t->probes[t->count] = (struct path_probe){.ttl = (uint8_t)ttl, .size = (uint16_t)size, .sent = now};
	if (size == 0)
		t->hops[ttl].sent++;
	return t->count++;
}

static void hop_answered(struct path_hop *h, const char *from, int64_t rtt)
{
	if (h->answered == 0) {
		snprintf(h->address, sizeof h->address, "%s", from);
		h->min = h->max = rtt;
	}
	h->min = rtt < h->min ? rtt : h->min;
	h->max = rtt > h->max ? rtt : h->max;
	h->sum += rtt;
	h->answered++;
}

/* What came late, or was lost before, shows that a size was given up too early. */
static void size_passed(struct path_trace *t, unsigned size)
{
	if (size <= t->passed)
		return;
	t->passed = size;
	if (t->passed >= t->failed)
		t->failed = t->wanted + 1;
}

bool path_trace_answer(struct path_trace *t, unsigned index, enum path_answer how, const char *from, int64_t now)
{
	struct path_probe *p = index < t->count ? &t->probes[index] : NULL;

	if (p == NULL || p->is_answered)
		return false;
	p->is_answered = true;
	p->is_reported = how == PATH_ANSWER_HOP;
	if (p->size != 0) {
		if (how == PATH_ANSWER_DESTINATION)
			size_passed(t, p->size);
		if (how == PATH_ANSWER_TOO_BIG)
			t->is_told = true;
		return true;
	}
	hop_answered(&t->hops[p->ttl], from, now - p->sent);
	if (how == PATH_ANSWER_DESTINATION && (t->destination == 0 || p->ttl < t->destination))
		t->destination = p->ttl;
	if (how == PATH_ANSWER_UNREACHABLE && (t->stopped == 0 || p->ttl < t->stopped))
		t->stopped = p->ttl;
	return true;
}

bool path_trace_is_complete(const struct path_trace *t)
{
	if (t->round < t->tries)
		return false;
	for (unsigned i = 1; i <= farthest(t); i++) {
		if (t->hops[i].answered < t->hops[i].sent)
			return false;
	}
	return true;
}

unsigned path_trace_last(const struct path_trace *t)
{
	/* Who goes no further says so to all packets that would. */
	unsigned last = t->destination == 0 && t->stopped != 0 ? t->stopped : farthest(t);

	while (last > 0 && t->hops[last].answered == 0)
		last--;
	return last;
}

unsigned path_trace_silent(const struct path_trace *t)
{
	unsigned n = 0;

	for (unsigned i = 1; i < path_trace_last(t); i++)
		n += t->hops[i].answered == 0;
	return n;
}

/* ---- sizes */

static void wave_begin(struct path_trace *t)
{
	t->wave_step = (t->failed - t->passed + PATH_WAVE - 1) / PATH_WAVE;
	t->wave_at = t->failed - 1;
	t->wave_try = 0;
	t->wave_first = t->count;
	t->waves++;
}

/* The smallest that every path carries counts as passed: the hops have answered small packets. */
void path_sizes_begin(struct path_trace *t, enum family f, unsigned mtu)
{
	t->passed = (f == FAMILY_V4 ? PATH_SIZE_MIN_V4 : PATH_SIZE_MIN_V6) - 1;
	t->wanted = mtu;
	t->failed = mtu + 1;
	wave_begin(t);
}

unsigned path_sizes_next(struct path_trace *t)
{
	unsigned size = t->wave_at;

	/* What passed meanwhile need not be asked below. */
	if (size <= t->passed || t->count == PATH_PROBES_MAX)
		return 0;
	if (++t->wave_try == PATH_SIZE_TRIES) {
		t->wave_try = 0;
		t->wave_at = size > t->wave_step ? size - t->wave_step : 0;
	}
	return size;
}

bool path_sizes_are_answered(const struct path_trace *t)
{
	if (t->wave_at > t->passed)
		return false;
	for (unsigned i = t->wave_first; i < t->count; i++) {
		if (!t->probes[i].is_answered)
			return false;
	}
	return true;
}

bool path_sizes_know(const struct path_trace *t)
{
	return t->passed + 1 == t->failed;
}

bool path_sizes_end(struct path_trace *t)
{
	for (unsigned i = t->wave_first; i < t->count; i++) {
		unsigned size = t->probes[i].size;

		if (size > t->passed && size < t->failed)
			t->failed = size;
	}
	return path_sizes_resume(t);
}

bool path_sizes_resume(struct path_trace *t)
{
	if (path_sizes_know(t) || t->waves == PATH_WAVES_MAX)
		return false;
	wave_begin(t);
	return true;
}

/* ---- black holes */

bool path_hole_suspected(const struct path_trace *t)
{
	return path_sizes_know(t) && t->passed < t->wanted && !t->is_told;
}

bool path_hole_is_settled(const struct path_trace *t)
{
	return t->hole_sure == PATH_HOLE_SURE || t->hole_tries == PATH_HOLE_TRIES;
}

bool path_hole_is_sure(const struct path_trace *t)
{
	return t->hole_sure >= PATH_HOLE_SURE || (t->hole_sure == 1 && t->hole_tries == 1);
}

void path_hole_begin(struct path_trace *t)
{
	t->hole_tries++;
	t->hole_first = t->count;
}

/* The large one first: then whoever speaks afterwards could have spoken of it. */
bool path_hole_next(struct path_trace *t, unsigned *ttl, unsigned *size)
{
	unsigned n = t->count - t->hole_first;

	*ttl = n / 2;
	if (*ttl == 0)
		*size = n == 0 ? t->failed : t->passed;
	else
		*size = n % 2 == 0 ? t->failed : 1;
	return *ttl < t->destination;
}

void path_hole_end(struct path_trace *t)
{
	const struct path_probe *p = &t->probes[t->hole_first];
	unsigned at = 0;

	if (t->count < t->hole_first + 2 * t->destination)
		return;
	for (unsigned ttl = 1; ttl < t->destination; ttl++) {
		if (p[2 * ttl].is_reported)
			at = ttl;
	}
	if (!p[1].is_answered || (at + 1 < t->destination && !p[2 * (at + 1) + 1].is_reported))
		return;
	t->hole_sure++;
	t->hole_at = at;
}

/* ---- two paths */

void path_known_take(struct path_known *k, const struct path_trace *t)
{
	k->count = path_trace_last(t);
	for (unsigned i = 0; i < k->count; i++)
		memcpy(k->hops[i], t->hops[i + 1].address, PATH_ADDRESS);
}

static bool hop_differs(const struct path_known *a, const struct path_known *b, unsigned i)
{
	if (i >= a->count || i >= b->count)
		return true;
	return a->hops[i][0] != '\0' && b->hops[i][0] != '\0' && strcmp(a->hops[i], b->hops[i]) != 0;
}

static size_t add_hops(const struct path_known *k, unsigned first, unsigned last, char *out, size_t room)
{
	size_t n = 0;

	for (unsigned i = first; i <= last && n < room; i++) {
		const char *who = i >= k->count ? "-" : k->hops[i][0] == '\0' ? "*" : k->hops[i];

		if (i >= k->count && i > first)
			break;
		n += (size_t)snprintf(out + n, room - n, "%s%s", i > first ? " > " : "", who);
	}
	return n < room ? n : room - 1;
}

bool path_known_differs(const struct path_known *was, const struct path_known *now, char *words, size_t room)
{
	unsigned count = was->count > now->count ? was->count : now->count, first = 0, last;
	char old[PATH_HOPS_MAX * (PATH_ADDRESS + 4)], new[sizeof old];

	while (first < count && !hop_differs(was, now, first))
		first++;
	if (first == count)
		return false;
	for (last = count - 1; last > first && !hop_differs(was, now, last); last--)
		continue;
	add_hops(was, first, last, old, sizeof old);
	add_hops(now, first, last, new, sizeof new);
	snprintf(words, room, "path changed at hop %u: was %s, now %s", first + 1, old, new);
	return true;
}

/* ---- udp */

void path_payload_encode(uint64_t nonce, uint16_t index, uint8_t out[PATH_PAYLOAD])
{
	uint16_t other = (uint16_t)~index;

	memset(out, 0, PATH_PAYLOAD);
	memcpy(out, &nonce, sizeof nonce);
	out[8] = (uint8_t)(index >> 8);
	out[9] = (uint8_t)index;
	out[10] = (uint8_t)(other >> 8);
	out[11] = (uint8_t)other;
	memcpy(out + 12, "xunj", 4);
}

int path_payload_decode(uint64_t nonce, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t whole[PATH_PAYLOAD];
	uint16_t index;

	if (len < 12)
		return -1;
	index = (uint16_t)(p[8] << 8 | p[9]);
	path_payload_encode(nonce, index, whole);
	return memcmp(p, whole, 12) == 0 ? index : -1;
}
