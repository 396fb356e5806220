#include "lib/offspring.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Each a session of its own that ignores what it can, the last of `depth`; all hold the end of the pipe. */
static void be_stubborn(int depth, int ready)
{
	do {
		setsid();
		signal(SIGTERM, SIG_IGN);
		signal(SIGHUP, SIG_IGN);
	} while (depth-- > 0 && fork() == 0);
	if (write(ready, "r", 1) != 1)
		_exit(1);
	if (depth % 2 == 0)
		_exit(0); /* what it has started becomes an orphan */
	for (;;)
		pause();
}

static void all_that_was_started_ends(void **state)
{
	int fds[2];
	char byte;
	pid_t spared;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	spared = fork();
	if (spared == 0) {
		close(fds[0]);
		close(fds[1]);
		for (;;)
			pause();
	}
	if (fork() == 0)
		be_stubborn(5, fds[1]);
	close(fds[1]);
	for (int i = 0; i < 6; i++)
		assert_int_equal(read(fds[0], &byte, 1), 1);
	do {
		offspring_end(&spared, 1);
	} while (waitpid(-1, NULL, WNOHANG) > 0 || read(fds[0], &byte, 1) != 0);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	assert_int_equal(kill(spared, 0), 0);
	assert_int_equal(waitpid(spared, NULL, WNOHANG), 0);
	offspring_end(NULL, 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(errno, ECHILD);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_was_started_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
