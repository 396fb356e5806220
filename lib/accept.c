#include "lib/accept.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <string.h>

#include "lib/log.h"

static void on_again(evutil_socket_t fd, short what, void *listener)
{
	(void)fd, (void)what;
	evconnlistener_enable(listener);
}

static void on_failed(struct evconnlistener *listener, void *ctx)
{
	int error = errno;
	const struct timeval rest = {0, 200000};

	(void)ctx;
	log_warn("cannot accept a connection error=\"%s\"", strerror(error));
	evconnlistener_disable(listener);
	event_base_once(evconnlistener_get_base(listener), -1, EV_TIMEOUT, on_again, listener, &rest);
}

void accept_rest(struct evconnlistener *listener)
{
	evconnlistener_set_error_cb(listener, on_failed);
}
