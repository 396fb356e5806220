/* How the kernel keeps the time: what chrony, ntpd or timesyncd have told it (adjtimex(2), asked without changing anything). */
#include <errno.h>
#include <sys/timex.h>

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define PPM 65536.0 /* of frequency: parts per million with 16 bits behind the point */

static double seconds(const struct timex *t, long n)
{
	return (double)n / ((t->status & STA_NANO) != 0 ? 1e9 : 1e6);
}

static int clock_look(struct look *l, struct err *e)
{
	struct timex t = {.modes = 0};
	int state = adjtimex(&t);
	bool is_synchronised = state >= 0 && state != TIME_ERROR && (t.status & STA_UNSYNC) == 0;

	if (state < 0)
		return err_errno(e, "adjtimex");
	look_value(l, CLOCK_SYNCHRONISED, is_synchronised ? 1 : 0);
	look_value(l, CLOCK_OFFSET, seconds(&t, t.offset));
	look_value(l, CLOCK_FREQUENCY, (double)t.freq / PPM);
	/* The kernel lets the error grow until it is told again, up to 16 s. */
	look_value(l, CLOCK_ERROR_MOST, (double)t.maxerror / 1e6);
	look_value(l, CLOCK_ERROR_ESTIMATED, (double)t.esterror / 1e6);
	if (!is_synchronised)
		look_down(l, "nothing keeps the clock of this host synchronised");
	return 0;
}

static const struct look_kind clock_kind = {1, false, clock_look, NULL};
LOOK_PROBE(clock);
