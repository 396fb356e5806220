#include "probes/pattern.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"

/* A Glushkov automaton: one state for each sign of the pattern, "this sign was just read", and no other. So the states
 * that are possible at once are a small set of bits. The ends of the line are read as two more signs. */

#define WORDS (PATTERN_MAX / 64)
#define BEGIN_OF_LINE 256
#define END_OF_LINE 257
#define SYMBOLS 258
#define REPEAT_MAX 255
#define DEPTH_MAX 32
#define STEPS_MAX 10000 /* of the parser: bounds repetitions of nothing */

struct set {
	uint64_t words[WORDS];
};

struct pattern {
	size_t count; /* signs */
	size_t words; /* of a set that are in use */
	bool nullable;
	struct set first, last;
	struct set follow[PATTERN_MAX]; /* what may be read behind each sign */
	struct set reads[SYMBOLS];      /* the signs that read each symbol */
};

/* A part of the pattern: with which signs it may begin and end, and whether it may be empty. */
struct part {
	bool nullable;
	struct set first, last;
};

struct parser {
	struct pattern *pattern;
	const char *at;
	const char *wrong; /* words; NULL as long as all is well */
	unsigned depth, steps;
};

/* ---- sets */

static void set_add(struct set *s, size_t i)
{
	s->words[i / 64] |= UINT64_C(1) << i % 64;
}

static void set_join(struct set *s, const struct set *other)
{
	for (int i = 0; i < WORDS; i++)
		s->words[i] |= other->words[i];
}

/* ---- parts */

static void link_parts(struct pattern *p, const struct set *last, const struct set *first)
{
	for (size_t w = 0; w < WORDS; w++) {
		for (uint64_t left = last->words[w]; left != 0; left &= left - 1)
			set_join(&p->follow[w * 64 + (size_t)__builtin_ctzll(left)], first);
	}
}

static struct part append(struct pattern *p, struct part a, const struct part *b)
{
	link_parts(p, &a.last, &b->first);
	if (a.nullable)
		set_join(&a.first, &b->first);
	if (!b->nullable)
		memset(&a.last, 0, sizeof a.last);
	set_join(&a.last, &b->last);
	a.nullable = a.nullable && b->nullable;
	return a;
}

static struct part nothing(void)
{
	return (struct part){.nullable = true};
}

static struct part fail(struct parser *r, const char *wrong)
{
	if (r->wrong == NULL)
		r->wrong = wrong;
	return nothing();
}

/* A new sign, which reads nothing yet; *index says which. */
static struct part new_sign(struct parser *r, size_t *index)
{
	struct part part = {.nullable = false};

	if (r->pattern->count == PATTERN_MAX)
		return fail(r, "is too large once its repetitions are written out");
	*index = r->pattern->count++;
	set_add(&part.first, *index);
	set_add(&part.last, *index);
	return part;
}

static struct part one_symbol(struct parser *r, unsigned symbol)
{
	size_t i = 0;
	struct part part = new_sign(r, &i);

	if (r->wrong == NULL)
		set_add(&r->pattern->reads[symbol], i);
	return part;
}

/* ---- [ ] */

static bool in_class(const char *name, size_t len, int c)
{
	static const struct {
		const char *name;
		int (*has)(int);
	} classes[] = {{"alpha", isalpha}, {"digit", isdigit}, {"alnum", isalnum}, {"space", isspace},
		{"upper", isupper}, {"lower", islower}, {"punct", ispunct}, {"xdigit", isxdigit},
		{"blank", isblank}, {"cntrl", iscntrl}, {"print", isprint}, {"graph", isgraph}};

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		if (strncmp(classes[i].name, name, len) == 0 && classes[i].name[len] == '\0')
			return c < 0 || (c < 128 && classes[i].has(c)); /* c < 0: whether there is such a class */
	}
	return false;
}

/* "[:digit:]" at p; where it ends. */
static const char *read_class(struct parser *r, const char *p, bool takes[256])
{
	const char *end = strstr(p, ":]");
	size_t len;

	if (end == NULL || !in_class(p + 2, len = (size_t)(end - p) - 2, -1)) {
		fail(r, "has a [: :] that names no class");
		return p + 1;
	}
	for (int c = 0; c < 128; c++)
		takes[c] |= in_class(p + 2, len, c);
	return end + 2;
}

/* "a" or "a-z" at p; where it ends. */
static const char *read_range(struct parser *r, const char *p, bool takes[256])
{
	unsigned char from = (unsigned char)p[0], to = from;

	if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
		to = (unsigned char)p[2];
		p += 2;
	}
	if (from >= 128 || to >= 128)
		fail(r, "has other than ASCII in [ ]");
	else if (p[0] == '[' && p[1] != '\0' && strchr(".=", p[1]) != NULL)
		fail(r, "has [. .] or [= =], which are not known");
	else if (to < from)
		fail(r, "has a range in [ ] that ends before it begins");
	for (int c = from; c <= to; c++)
		takes[c] = true;
	return p + 1;
}

static struct part parse_bracket(struct parser *r)
{
	bool takes[256] = {false}, negated = r->at[0] == '^';
	const char *p = r->at + negated, *first = p;
	struct part part;
	size_t i = 0;

	while (r->wrong == NULL && *p != '\0' && (*p != ']' || p == first))
		p = p[0] == '[' && p[1] == ':' ? read_class(r, p, takes) : read_range(r, p, takes);
	if (*p != ']')
		return fail(r, "has a [ without its ]");
	r->at = p + 1;
	part = new_sign(r, &i);
	for (size_t c = 0; c < 256 && r->wrong == NULL; c++) {
		if (takes[c] != negated)
			set_add(&r->pattern->reads[c], i);
	}
	return part;
}

/* ---- the rest of the grammar */

static struct part parse_alternatives(struct parser *);

static struct part parse_group(struct parser *r)
{
	struct part part;

	if (++r->depth > DEPTH_MAX)
		return fail(r, "has too many ( in each other");
	part = parse_alternatives(r);
	r->depth--;
	if (*r->at != ')')
		return fail(r, "has a ( without its )");
	r->at++;
	return part;
}

static struct part parse_dot(struct parser *r)
{
	size_t i = 0;
	struct part part = new_sign(r, &i);

	for (size_t c = 0; c < 256 && r->wrong == NULL; c++)
		set_add(&r->pattern->reads[c], i);
	return part;
}

static struct part parse_escape(struct parser *r)
{
	unsigned char c = (unsigned char)*r->at;

	if (c == '\0')
		return fail(r, "ends in \\");
	if (c >= '1' && c <= '9')
		return fail(r, "refers back (\\1), which is not known");
	if (isalnum(c))
		return fail(r, "has a \\ before a letter, which means nothing");
	r->at++;
	return one_symbol(r, c);
}

/* A byte, or all of a UTF-8 character. */
static struct part parse_sign(struct parser *r)
{
	struct part part = one_symbol(r, (unsigned char)r->at[-1]);

	if ((unsigned char)r->at[-1] < 0xc0)
		return part;
	while (r->wrong == NULL && ((unsigned char)*r->at & 0xc0) == 0x80) {
		struct part more = one_symbol(r, (unsigned char)*r->at++);

		part = append(r->pattern, part, &more);
	}
	return part;
}

static struct part parse_atom(struct parser *r)
{
	if (++r->steps > STEPS_MAX)
		return fail(r, "is too large once its repetitions are written out");
	switch (*r->at++) {
	case '(':
		return parse_group(r);
	case '[':
		return parse_bracket(r);
	case '.':
		return parse_dot(r);
	case '\\':
		return parse_escape(r);
	case '^':
		return one_symbol(r, BEGIN_OF_LINE);
	case '$':
		return one_symbol(r, END_OF_LINE);
	case '*':
	case '+':
	case '?':
	case '{':
		return fail(r, "has a * + ? or { with nothing to repeat");
	default:
		return parse_sign(r);
	}
}

static unsigned read_count(struct parser *r)
{
	unsigned n = 0;

	if (!isdigit((unsigned char)*r->at))
		fail(r, "has a { that is none of {2} {2,} {2,5}: write \\{ for the sign");
	for (; isdigit((unsigned char)*r->at) && r->wrong == NULL; r->at++) {
		n = n * 10 + (unsigned)(*r->at - '0');
		if (n > REPEAT_MAX)
			fail(r, "repeats something more than 255 times");
	}
	return n;
}

/* How often: at * + ? or {. most: REPEAT_MAX + 1 is without end. */
static void read_repeat(struct parser *r, unsigned *least, unsigned *most)
{
	char sign = *r->at++;

	*least = sign == '+';
	*most = sign == '?' ? 1 : REPEAT_MAX + 1;
	if (sign != '{')
		return;
	*least = *most = read_count(r);
	if (*r->at == ',') {
		r->at++;
		*most = *r->at == '}' ? REPEAT_MAX + 1 : read_count(r);
	}
	if (*r->at != '}' || *most < *least)
		fail(r, "has a { that is none of {2} {2,} {2,5}: write \\{ for the sign");
	else
		r->at++;
}

/* The atom at `from` as often as said: written out, the part that may be missing optional, the last one looped when
 * there is no end. */
static struct part repeat(struct parser *r, const char *from, unsigned least, unsigned most)
{
	bool endless = most > REPEAT_MAX;
	unsigned copies = endless ? (least > 0 ? least : 1) : most;
	const char *behind = r->at;
	struct part all = nothing();

	for (unsigned i = 0; i < copies && r->wrong == NULL; i++) {
		struct part one;

		r->at = from;
		one = parse_atom(r);
		if (endless && i + 1 == copies)
			link_parts(r->pattern, &one.last, &one.first);
		one.nullable = one.nullable || i >= least;
		all = append(r->pattern, all, &one);
	}
	r->at = behind;
	return all;
}

static bool is_repeat(char c)
{
	return c != '\0' && strchr("*+?{", c) != NULL;
}

static struct part parse_repeated(struct parser *r)
{
	size_t count = r->pattern->count;
	const char *from = r->at;
	struct part part = parse_atom(r);
	unsigned least, most;

	if (r->wrong != NULL || !is_repeat(*r->at))
		return part;
	/* The first reading only found the end. Its signs are taken back. */
	for (size_t i = count; i < r->pattern->count; i++)
		memset(&r->pattern->follow[i], 0, sizeof r->pattern->follow[i]);
	for (size_t c = 0; c < SYMBOLS; c++) {
		for (size_t i = count; i < r->pattern->count; i++)
			r->pattern->reads[c].words[i / 64] &= ~(UINT64_C(1) << i % 64);
	}
	r->pattern->count = count;
	read_repeat(r, &least, &most);
	if (r->wrong == NULL && is_repeat(*r->at))
		return fail(r, "repeats a repetition: put ( ) around it");
	if (*from == '^' || *from == '$')
		return fail(r, "repeats an end of the line");
	return repeat(r, from, least, most);
}

static struct part parse_sequence(struct parser *r)
{
	struct part all = nothing();

	while (r->wrong == NULL && *r->at != '\0' && *r->at != '|' && *r->at != ')') {
		struct part one = parse_repeated(r);

		all = append(r->pattern, all, &one);
	}
	return all;
}

static struct part parse_alternatives(struct parser *r)
{
	struct part all = parse_sequence(r);

	while (r->wrong == NULL && *r->at == '|') {
		struct part one;

		r->at++;
		one = parse_sequence(r);
		set_join(&all.first, &one.first);
		set_join(&all.last, &one.last);
		all.nullable = all.nullable || one.nullable;
	}
	return all;
}

struct pattern *pattern_new(const char *text, struct err *e)
{
	struct parser r = {.pattern = mem_alloc(sizeof *r.pattern), .at = text};
	struct part all = parse_alternatives(&r);

	if (r.wrong == NULL && *r.at != '\0')
		fail(&r, "has a ) without its (: write \\) for the sign");
	if (r.wrong != NULL) {
		err_set(e, "\"%.100s\" %s", text, r.wrong);
		free(r.pattern);
		return NULL;
	}
	r.pattern->words = (r.pattern->count + 63) / 64;
	r.pattern->nullable = all.nullable;
	r.pattern->first = all.first;
	r.pattern->last = all.last;
	return r.pattern;
}

void pattern_free(struct pattern *p)
{
	free(p);
}

/* ---- the search */

/* Joins follow of each member of the word. */
static void join_follows(uint64_t *next, const struct pattern *p, size_t word, uint64_t members)
{
	for (; members != 0; members &= members - 1) {
		const struct set *follow = &p->follow[word * 64 + (size_t)__builtin_ctzll(members)];

		for (size_t i = 0; i < p->words; i++)
			next[i] |= follow->words[i];
	}
}

/* Reads one symbol, with which it may begin, or not. True: the pattern may have ended with it. */
static bool step(const struct pattern *p, uint64_t *now, unsigned symbol, bool begins)
{
	const uint64_t *reads = p->reads[symbol].words;
	uint64_t next[WORDS], ends = 0;

	for (size_t i = 0; i < p->words; i++)
		next[i] = begins ? p->first.words[i] : 0;
	for (size_t i = 0; i < p->words; i++)
		join_follows(next, p, i, now[i]);
	for (size_t i = 0; i < p->words; i++) {
		now[i] = next[i] & reads[i];
		ends |= now[i] & p->last.words[i];
	}
	return ends != 0;
}

bool pattern_find(const struct pattern *p, const char *line, size_t len)
{
	uint64_t now[WORDS] = {0};

	if (p->nullable || step(p, now, BEGIN_OF_LINE, true))
		return true;
	for (size_t i = 0; i < len; i++) {
		if (step(p, now, (unsigned char)line[i], true))
			return true;
	}
	return step(p, now, END_OF_LINE, true);
}

static bool is_dead(const uint64_t *now)
{
	uint64_t any = 0;

	for (size_t i = 0; i < WORDS; i++)
		any |= now[i];
	return any == 0;
}

void pattern_ends(const struct pattern *p, const char *line, size_t len, size_t from, bool anywhere, size_t *budget,
	bool (*on_end)(void *ctx, size_t end), void *ctx)
{
	uint64_t now[WORDS] = {0};
	bool ends = from == 0 && step(p, now, BEGIN_OF_LINE, true);

	if ((ends || p->nullable) && !on_end(ctx, from))
		return;
	for (size_t i = from; i <= len && *budget > 0; i++) {
		--*budget; /* on_end may use it up as well */
		ends = step(p, now, i < len ? (unsigned char)line[i] : END_OF_LINE, anywhere || i == from);
		if ((ends || (p->nullable && anywhere)) && !on_end(ctx, i < len ? i + 1 : len))
			return;
		if (!anywhere && is_dead(now))
			return;
	}
}
