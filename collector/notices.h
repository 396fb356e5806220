/*
 * notices: the command that prints the ledger of deliveries: what was told to whom, and what came of it.
 */
#ifndef COLLECTOR_NOTICES_H
#define COLLECTOR_NOTICES_H

int notices_main(int argc, char **argv);

#endif
