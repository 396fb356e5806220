/* notify_test: the command that sends a test notice through one channel and prints what is answered. */
#ifndef COLLECTOR_NOTIFY_TEST_H
#define COLLECTOR_NOTIFY_TEST_H

/* Exit status: 0 taken, 1 not, 2 usage, 3 configuration not valid. */
int notify_test_main(int argc, char **argv);

#endif
