#include "collector/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "collector/web/json.h"
#include "lib/buf.h"

#define HOLES 9
#define DEPTH 4 /* of reasons in reasons */

struct piece { const char *text; size_t len; };
struct hole { struct piece words; bool is_reason; };

static bool say(struct piece, unsigned depth, struct buf *out);

static bool begins(struct piece p, const char *with, size_t len)
{
	return p.len >= len && memcmp(p.text, with, len) == 0;
}

static struct piece behind(struct piece p, size_t len)
{
	return (struct piece){p.text + len, p.len - len};
}

/* Offset of the first `words` in p from `from` on; p.len when there is none. */
static size_t find(struct piece p, size_t from, const char *words, size_t len)
{
	for (; from + len <= p.len; from++) {
		if (memcmp(p.text + from, words, len) == 0)
			return from;
	}
	return p.len;
}

/* Length of what fills a hole before the literal that follows it; 0: nothing does. */
static size_t fill(struct piece text, char kind, const char *literal, size_t literal_len)
{
	bool is_last = literal[literal_len] == '\0';
	size_t len = 0;

	if (kind == '#') {
		while (len < text.len && (strchr("0123456789.", text.text[len]) != NULL))
			len++;
		return len;
	}
	if (literal_len == 0)
		len = text.len;
	else if (is_last && text.len > literal_len)
		len = text.len - literal_len;
	else if (!is_last)
		len = find(text, 1, literal, literal_len);
	return kind == '}' && find((struct piece){text.text, len}, 0, "; ", 2) < len ? 0 : len;
}

/* Does it have this shape? Each hole takes as little as it can, the last all that is left. */
static bool fits(struct piece text, const char *shape, struct hole holes[HOLES])
{
	size_t count = 0;

	for (;;) {
		size_t literal = strcspn(shape, "{"), len;
		char kind;

		if (!begins(text, shape, literal))
			return false;
		text = behind(text, literal);
		shape += literal;
		if (*shape == '\0')
			return text.len == 0;
		kind = shape[1];
		shape += kind == '}' ? 2 : 3;
		len = fill(text, kind, shape, strcspn(shape, "{"));
		if (len == 0 || len > text.len)
			return false;
		holes[count++] = (struct hole){{text.text, len}, kind == '*'};
		text = behind(text, len);
	}
}

static void put(const char *zh, const struct hole *holes, unsigned depth, struct buf *out)
{
	for (; *zh != '\0'; zh++) {
		const struct hole *h;

		if (*zh != '{') {
			buf_add(out, zh, 1);
			continue;
		}
		h = &holes[zh[1] - '1'];
		if (h->is_reason && depth < DEPTH)
			say(h->words, depth + 1, out);
		else
			buf_add(out, h->words.text, h->words.len);
		zh += 2;
	}
}

/* Both sides of the first divider, each by itself. Are there any, and is one of them known? Else nothing is added. */
static bool say_parts(struct piece text, const char *divider, const char *zh, unsigned depth, struct buf *out)
{
	size_t len = strlen(divider), at = find(text, 1, divider, len), before = out->len;
	bool is_known;

	if (at == text.len)
		return false;
	is_known = say((struct piece){text.text, at}, depth, out);
	buf_add_text(out, zh);
	is_known |= say(behind(text, at + len), depth, out);
	if (!is_known)
		out->len = before;
	return is_known;
}

/* Is any of it known? What is not is added as it stands. */
static bool say(struct piece text, unsigned depth, struct buf *out)
{
	bool is_list = find(text, 1, "; ", 2) < text.len;

	for (const struct reason_shape *s = reason_shapes; s->en != NULL; s++) {
		struct hole holes[HOLES];

		if (fits(text, s->en, holes)) {
			put(s->zh, holes, depth, out);
			return true;
		}
	}
	/* One of both, so that the work does not double with each divider. */
	if (is_list ? say_parts(text, "; ", "；", depth, out) : say_parts(text, ": ", "：", depth, out))
		return true;
	buf_add(out, text.text, text.len);
	return false;
}

void reason_say_zh(const char *reason, struct buf *out)
{
	say((struct piece){reason, strlen(reason)}, 0, out);
}

void reason_put(struct json *j, const char *reason)
{
	struct buf zh = {0};

	json_text(j, "reason", reason);
	if (*reason == '\0')
		return;
	reason_say_zh(reason, &zh);
	json_text(j, "reason_zh", buf_text(&zh));
	buf_fini(&zh);
}
