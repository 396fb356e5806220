/* What the listener for reports refuses to begin with. */
#include "agent/beats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/pem.h>

#include "agent/settings.h"
#include "lib/err.h"
#include "tests/support/pki.h"

static char folder[] = "/tmp/test-beats-XXXXXX";
static char certificate[64], key[64];

static void a_key_that_others_may_use_or_a_password_locks_is_refused(void **state)
{
	static const char *const https[] = {"127.0.0.1:1"};
	struct agent_settings_heartbeat s = {.listen_https = {.count = 1, .items = (const char **)(uintptr_t)https},
		.certificate = certificate, .key = key, .where = {.file = "agent.conf", .line = 7}};
	struct pki leaf = pki_make(&(struct pki_spec){.usage = "serverAuth"}, NULL), other = pki_make(&(struct pki_spec){0}, NULL);
	struct err e;
	FILE *f;

	(void)state;
	pki_write_certificate(certificate, &leaf.x, 1);
	pki_write_key(key, leaf.key);
	assert_int_equal(beats_check(&s, &e), 0);
	assert_int_equal(chmod(key, 0640), 0);
	assert_int_equal(beats_check(&s, &e), -1);
	assert_non_null(strstr(e.text, "agent.conf:7: heartbeat: "));
	assert_non_null(strstr(e.text, "chmod 600"));
	assert_int_equal(unlink(key), 0);
	pki_write_key(key, other.key);
	assert_int_equal(beats_check(&s, &e), -1);
	f = fopen(key, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, leaf.key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)(uintptr_t)"password"), 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(beats_check(&s, &e), -1); /* asks nobody */
	assert_non_null(strstr(e.text, "without a password"));
	pki_free(&leaf);
	pki_free(&other);
}

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(certificate, sizeof certificate, "%s/c.pem", folder);
	snprintf(key, sizeof key, "%s/c.key", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(certificate);
	unlink(key);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_that_others_may_use_or_a_password_locks_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
