/*
 * incidents: the command `xunjian-collector incidents`: what people work on, as judgement has noted it.
 */
#ifndef COLLECTOR_INCIDENTS_H
#define COLLECTOR_INCIDENTS_H

int incidents_main(int argc, char **argv); /* the exit status: 0, 1 runtime, 2 usage, 3 configuration */

#endif
