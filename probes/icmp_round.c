#include "probes/icmp_round.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/mem.h"

enum echo_state { ECHO_UNSENT, ECHO_SENT, ECHO_FAILED, ECHO_ANSWERED };

void icmp_round_init(struct icmp_round *r, unsigned count, int64_t wait)
{
	assert(count > 0 && count <= ICMP_ROUND_MAX);
	*r = (struct icmp_round){.count = count, .wait = wait, .ttl = -1};
	r->state = mem_alloc(count);
	r->rtt = mem_array(count, sizeof *r->rtt);
}

void icmp_round_fini(struct icmp_round *r)
{
	free(r->state);
	free(r->rtt);
}

unsigned icmp_round_sent(struct icmp_round *r)
{
	assert(r->sent < r->count);
	r->state[r->sent] = ECHO_SENT;
	return r->sent++;
}

enum icmp_round_reply icmp_round_reply(struct icmp_round *r, unsigned index, int64_t rtt, int ttl)
{
	if (index >= r->sent)
		return ICMP_ROUND_NOT_SENT;
	if (r->state[index] == ECHO_ANSWERED) {
		r->duplicates++;
		return ICMP_ROUND_DUPLICATE;
	}
	if (r->state[index] == ECHO_FAILED)
		r->failed--;
	r->state[index] = ECHO_ANSWERED;
	r->rtt[index] = rtt < 0 ? 0 : rtt;
	r->ttl = ttl;
	if (rtt <= r->wait) {
		r->answered++;
		return ICMP_ROUND_IN_TIME;
	}
	r->late++;
	return ICMP_ROUND_LATE;
}

bool icmp_round_error(struct icmp_round *r, unsigned index)
{
	if (index >= r->sent || r->state[index] != ECHO_SENT)
		return false;
	r->state[index] = ECHO_FAILED;
	r->failed++;
	return true;
}

bool icmp_round_is_complete(const struct icmp_round *r)
{
	return r->sent == r->count && r->answered + r->late + r->failed == r->count;
}

static int compare_rtt(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double seconds(double ns)
{
	return ns / (double)NS_PER_S;
}

/* Of sorted values, linear between the nearest two ranks. */
static double percentile(const int64_t *sorted, size_t n, double p)
{
	double at = p * (double)(n - 1);
	size_t low = (size_t)at, high = low + 1 < n ? low + 1 : low;

	return seconds((double)sorted[low] + (at - (double)low) * (double)(sorted[high] - sorted[low]));
}

void icmp_round_figures(const struct icmp_round *r, struct icmp_figures *f)
{
	int64_t rtt[ICMP_ROUND_MAX];
	double moved = 0;
	size_t n = 0;

	*f = (struct icmp_figures){.sent = r->sent, .duplicates = r->duplicates, .late = r->late};
	for (unsigned i = 0; i < r->sent; i++) {
		if (r->state[i] != ECHO_ANSWERED)
			continue;
		rtt[n] = r->rtt[i];
		if (n > 0)
			moved += (double)llabs(rtt[n] - rtt[n - 1]);
		n++;
	}
	f->lost = r->sent - (unsigned)n;
	f->loss = r->sent > 0 ? 100.0 * f->lost / r->sent : 0;
	f->has_rtt = n > 0;
	f->has_jitter = n > 1;
	if (n == 0)
		return;
	f->jitter = n > 1 ? seconds(moved / (double)(n - 1)) : 0;
	qsort(rtt, n, sizeof *rtt, compare_rtt);
	f->min = seconds((double)rtt[0]);
	f->p25 = percentile(rtt, n, 0.25);
	f->median = percentile(rtt, n, 0.5);
	f->p75 = percentile(rtt, n, 0.75);
	f->max = seconds((double)rtt[n - 1]);
}
