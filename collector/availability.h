/*
 * availability: the command `xunjian-collector availability`: figures of a period from the ledger, as a table, JSON or CSV.
 */
#ifndef COLLECTOR_AVAILABILITY_H
#define COLLECTOR_AVAILABILITY_H

int availability_main(int argc, char **argv); /* the exit status: 0, 1 runtime, 2 usage, 3 configuration */

#endif
