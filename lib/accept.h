/*
 * accept: what a listener of libevent does when no connection can be taken, mostly for want of descriptors: it has a rest. By itself
 * it would try again at once, for ever, with all of a processor.
 *
 * Thread: the listener's, which lives as long as its base.
 */
#ifndef LIB_ACCEPT_H
#define LIB_ACCEPT_H

struct evconnlistener;

void accept_rest(struct evconnlistener *);

#endif
