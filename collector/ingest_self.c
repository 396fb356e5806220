#include "collector/ingest_self.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/tls.h"

#define MIB (UINT64_C(1) << 20)
#define DAY_S 86400.0

struct life {
	int64_t from, until; /* s UTC */
};

struct self {
	void (*note)(void *ctx, enum self_matter, bool is_bad, const char *words);
	void *ctx;
	struct {
		bool is_known, is_bad;
	} matters[SELF_MATTERS];
	struct map *lives; /* agent -> struct life of its certificate */
	uint64_t passed;   /* by series, at the last look */
	int64_t passed_at; /* mono: when that moved last; 0: no look yet */
};

const char *self_subject(enum self_matter m)
{
	static const char *const names[SELF_MATTERS] = {
		[SELF_DISK] = "monitoring/disk", [SELF_CERTIFICATE] = "monitoring/certificate", [SELF_SERIES] = "monitoring/series",
		[SELF_NOTICE] = "monitoring/notice", [SELF_BEAT] = "monitoring/beat",
		[SELF_COMMANDS] = "monitoring/commands"};

	return names[m];
}

struct self *self_new(void (*note)(void *ctx, enum self_matter, bool is_bad, const char *words), void *ctx)
{
	struct self *s = mem_alloc(sizeof *s);

	s->note = note;
	s->ctx = ctx;
	s->lives = map_new();
	return s;
}

void self_free(struct self *s)
{
	if (s != NULL)
		map_free(s->lives, free);
	free(s);
}

static void tell(struct self *s, enum self_matter m, bool is_bad, const char *words)
{
	if (s->matters[m].is_known && s->matters[m].is_bad == is_bad)
		return;
	s->matters[m].is_known = true;
	s->matters[m].is_bad = is_bad;
	s->note(s->ctx, m, is_bad, is_bad ? words : "");
}

bool self_disk_is_bad(uint64_t size, uint64_t free_bytes, bool was_bad)
{
	uint64_t percent = was_bad ? 7 : 5, least = was_bad ? 1024 * MIB : 512 * MIB;

	/* A disk that is small by design is judged by its share alone. */
	if (size < 8 * 1024 * MIB)
		least = 0;
	return free_bytes < size / 100 * percent || free_bytes < least;
}

bool self_certificate_is_bad(double days_left, double days_of_life)
{
	return days_left < 14 && days_left < days_of_life / 3;
}

static void look_at_disk(struct self *s, const char *folder)
{
	char words[96];
	struct statvfs f;
	uint64_t size, room;

	if (statvfs(folder, &f) < 0 || f.f_blocks == 0)
		return;
	size = (uint64_t)f.f_blocks * f.f_frsize;
	room = (uint64_t)f.f_bavail * f.f_frsize;
	snprintf(words, sizeof words, "%llu MiB of %llu MiB are left for the journal", (unsigned long long)(room / MIB),
		(unsigned long long)(size / MIB));
	tell(s, SELF_DISK, self_disk_is_bad(size, room, s->matters[SELF_DISK].is_bad), words);
}

static double days_between(const ASN1_TIME *from, const ASN1_TIME *to)
{
	int days = 0, seconds = 0;

	ASN1_TIME_diff(&days, &seconds, from, to);
	return days + seconds / 86400.0;
}

void self_see(struct self *s, const char *agent, int64_t from, int64_t until)
{
	struct life *l = map_find(s->lives, agent);

	if (l == NULL) {
		l = mem_alloc(sizeof *l);
		map_set(s->lives, agent, l);
	}
	*l = (struct life){from, until};
}

/* What ended more than a day ago belongs to an agent that is missed as such, or to none any more. */
static bool look_at_agents(const struct self *s, char *words, size_t room)
{
	int64_t now = clock_real() / NS_PER_S;
	const char *first = NULL, *agent;
	double least = 0;
	size_t count = 0;

	for (size_t i = 0; i < map_count(s->lives); i++) {
		const struct life *l = map_at(s->lives, i, &agent);
		double left = (double)(l->until - now) / DAY_S;

		if (left < -1 || !self_certificate_is_bad(left, (double)(l->until - l->from) / DAY_S))
			continue;
		count++;
		if (first == NULL || left < least) {
			first = agent;
			least = left;
		}
	}
	if (count > 0)
		snprintf(words, room, "%zu certificate%s of agents end%s soon: that of %s in %.1f days", count, count > 1 ? "s" : "",
			count > 1 ? "" : "s", first, least);
	return count > 0;
}

static void look_at_certificate(struct self *s, const char *path)
{
	struct err e;
	X509 *x = tls_read_certificate(path, &e);
	char words[160];
	double left;
	bool is_bad;

	if (x == NULL) {
		tell(s, SELF_CERTIFICATE, true, e.text);
		return;
	}
	left = days_between(NULL, X509_get0_notAfter(x));
	snprintf(words, sizeof words, "our certificate ends in %.1f days", left);
	is_bad = self_certificate_is_bad(left, days_between(X509_get0_notBefore(x), X509_get0_notAfter(x)));
	tell(s, SELF_CERTIFICATE, is_bad || look_at_agents(s, words, sizeof words), words);
	X509_free(x);
}

static void look_at_series(struct self *s, uint64_t passed, uint64_t synced, int64_t mono)
{
	char words[96];

	if (s->passed_at == 0 || passed != s->passed) {
		s->passed = passed;
		s->passed_at = mono;
	}
	snprintf(words, sizeof words, "series is %llu entries behind and does not go on", (unsigned long long)(synced - passed));
	tell(s, SELF_SERIES, mono - s->passed_at > SELF_BEHIND && synced > passed, words);
}

void self_look(struct self *s, const char *folder, const char *certificate, uint64_t passed, uint64_t synced, int64_t mono)
{
	look_at_disk(s, folder);
	look_at_certificate(s, certificate);
	look_at_series(s, passed, synced, mono);
}

void self_hear(struct self *s, enum self_matter m, bool is_bad, const char *words)
{
	tell(s, m, is_bad, words);
}
