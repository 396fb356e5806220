/*
 * rules: the command `xunjian-collector test-rules`: files that say what is measured when, and which incidents and notices must
 * come of it, and which must not; played over an inventory in virtual time (judge/rehearse.h).
 */
#ifndef COLLECTOR_RULES_H
#define COLLECTOR_RULES_H

struct config_schema;

extern const struct config_schema rules_schema; /* of one file, for the manual */

int rules_main(int argc, char **argv); /* the exit status: 0, 1 something came otherwise, 2 usage, 3 a file is not valid */

#endif
