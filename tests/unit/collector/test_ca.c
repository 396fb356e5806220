#include "collector/ca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/err.h"
#include "lib/tls.h"

#define ARGUMENTS_MAX 16

static char folder[64];

static const char *in_folder(const char *file)
{
	static char paths[8][128];
	static int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof paths[0], "%s/%s", folder, file);
	return path;
}

/* "ca" and the words; nothing of it is printed. */
static int run(const char *first, ...)
{
	char *argv[ARGUMENTS_MAX] = {"ca"};
	int argc = 1;
	va_list ap;

	va_start(ap, first);
	for (const char *word = first; word != NULL; word = va_arg(ap, const char *))
		argv[argc++] = (char *)(uintptr_t)word;
	va_end(ap);
	return ca_main(argc, argv);
}

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/test_ca.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(run("init", in_folder("pki"), NULL), 0);
	return 0;
}

static int drop_folder(void **state)
{
	char command[96];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", folder);
	return system(command);
}

static int issue(const char *name)
{
	return run("issue", "--ca", in_folder("pki"), name, NULL);
}

static char *read_text(const char *file)
{
	static char text[1 << 16];
	FILE *f = fopen(in_folder(file), "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static mode_t mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(stat(in_folder(file), &st), 0);
	return st.st_mode & 07777;
}

static X509 *certificate(const char *file)
{
	struct err e;
	X509 *x = tls_read_certificate(in_folder(file), &e);

	assert_non_null(x);
	return x;
}

static struct tls_files files_of(const char *name)
{
	static char paths[4][2][128];
	static int next;
	char(*p)[128] = paths[next++ % 4];

	snprintf(p[0], sizeof p[0], "%s/pki/%s.pem", folder, name);
	snprintf(p[1], sizeof p[1], "%s/pki/%s.key", folder, name);
	return (struct tls_files){in_folder("pki/ca.pem"), p[0], p[1]};
}

static void an_authority_is_made_with_its_key_for_the_owner_alone(void **state)
{
	X509 *x = certificate("pki/ca.pem");

	(void)state;
	assert_int_equal(mode_of("pki"), 0700);
	assert_int_equal(mode_of("pki/ca.key"), 0600);
	assert_int_equal(X509_check_ca(x), 1);
	assert_int_equal(X509_get_pathlen(x), 0);
	assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
	X509_free(x);
}

static int shake(const char *server_name, const char *client_name, const char *host)
{
	const struct tls_files s = files_of(server_name), c = files_of(client_name);
	struct err e;
	SSL_CTX *server_ctx = tls_server(&s, &e), *client_ctx = tls_client(&c, host, &e);
	int server_done = 0, client_done = 0;
	SSL *server, *client;
	BIO *a, *b;

	assert_non_null(client_ctx);
	if (server_ctx == NULL) {
		SSL_CTX_free(client_ctx);
		return -1;
	}
	server = SSL_new(server_ctx);
	client = SSL_new(client_ctx);
	assert_int_equal(BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16), 1);
	SSL_set_bio(server, a, a);
	SSL_set_bio(client, b, b);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (int i = 0; i < 8; i++) {
		client_done = SSL_do_handshake(client);
		server_done = SSL_do_handshake(server);
	}
	ERR_clear_error();
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(client_ctx);
	return server_done == 1 && client_done == 1 ? 0 : -1;
}

static void what_it_issues_meets_over_tls(void **state)
{
	char who[64];
	struct err e;

	(void)state;
	assert_int_equal(run("issue", "--ca", in_folder("pki"), "--ip", "192.0.2.1", "--ip", "2001:DB8:0::1",
		"collector", NULL), 0);
	assert_int_equal(run("issue", "--ca", in_folder("pki"), "--server", "collector.example", NULL), 0);
	assert_int_equal(issue("agent-1"), 0);
	assert_int_equal(mode_of("pki/agent-1.key"), 0600);
	assert_int_equal(shake("collector", "agent-1", "collector"), 0);
	assert_int_equal(shake("collector", "agent-1", "192.0.2.1"), 0);
	assert_int_equal(shake("collector", "agent-1", "2001:db8::1"), 0);
	assert_int_equal(shake("collector", "agent-1", "192.0.2.2"), -1);
	assert_int_equal(shake("collector", "collector", "collector"), 0);
	assert_int_equal(shake("collector.example", "agent-1", "collector.example"), 0);
	assert_int_equal(shake("agent-1", "collector", "agent-1"), -1);
	assert_int_equal(tls_own_identity(in_folder("pki/agent-1.pem"), who, sizeof who, &e), 0);
	assert_string_equal(who, "agent-1");
}

static void nothing_that_stands_there_is_overwritten(void **state)
{
	char before[4096];

	(void)state;
	assert_int_equal(issue("stays"), 0);
	strcpy(before, read_text("pki/stays.pem"));
	assert_int_equal(issue("stays"), 1);
	assert_string_equal(read_text("pki/stays.pem"), before);
	assert_int_equal(unlink(in_folder("pki/stays.pem")), 0);
	assert_int_equal(issue("stays"), 1); /* the key alone is enough */
	strcpy(before, read_text("pki/ca.pem"));
	assert_int_equal(run("init", in_folder("pki"), NULL), 1);
	assert_int_equal(issue("ca"), 1);
	assert_string_equal(read_text("pki/ca.pem"), before);
	assert_int_equal(rename(in_folder("pki/ca.pem"), in_folder("aside")), 0);
	assert_int_equal(run("init", in_folder("pki"), NULL), 1);
	assert_int_equal(rename(in_folder("aside"), in_folder("pki/ca.pem")), 0);
}

static void renewal_keeps_the_key_and_changes_the_certificate(void **state)
{
	char key[4096];
	X509 *before, *after;

	(void)state;
	assert_int_equal(run("issue", "--ca", in_folder("pki"), "--renew", "renewed", NULL), 1);
	assert_int_equal(issue("renewed"), 0);
	strcpy(key, read_text("pki/renewed.key"));
	before = certificate("pki/renewed.pem");
	assert_int_equal(run("issue", "--ca", in_folder("pki"), "--renew", "renewed", NULL), 0);
	after = certificate("pki/renewed.pem");
	assert_string_equal(read_text("pki/renewed.key"), key);
	assert_int_not_equal(
		ASN1_INTEGER_cmp(X509_get0_serialNumber(before), X509_get0_serialNumber(after)), 0);
	assert_int_equal(ASN1_STRING_cmp(X509_get0_pubkey_bitstr(before), X509_get0_pubkey_bitstr(after)), 0);
	X509_free(before);
	X509_free(after);
}

static void files_go_where_they_are_wanted(void **state)
{
	(void)state;
	assert_int_equal(run("issue", "--ca", in_folder("pki"), "--out", in_folder("out"), "away", NULL), 0);
	assert_int_equal(mode_of("out/away.key"), 0600);
	assert_int_equal(access(in_folder("pki/away.pem"), F_OK), -1);
}

static void a_leaf_never_outlives_its_authority(void **state)
{
	X509 *x;
	int days, seconds;

	(void)state;
	assert_int_equal(run("init", "--days", "30", in_folder("short"), NULL), 0);
	assert_int_equal(run("issue", "--ca", in_folder("short"), "--days", "31", "late", NULL), 1);
	assert_int_equal(access(in_folder("short/late.key"), F_OK), -1);
	assert_int_equal(run("issue", "--ca", in_folder("short"), "--days", "29", "early", NULL), 0);
	x = certificate("short/early.pem");
	assert_int_equal(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
	assert_true(days == 28 || (days == 29 && seconds == 0));
	X509_free(x);
}

static void wrong_words_are_told_and_make_nothing(void **state)
{
	static const char *const names[] = {"", "Agent", "agent_1", "-agent", "../agent", "a/b", "agent.1", "*",
		"agent\n1", "a,IP:1.2.3.4"};
	const char *pki = in_folder("pki");

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(run("issue", "--ca", pki, "--", names[i], NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--server", "*.example", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--server", "a..b", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--ip", "1.2.3", "c", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--ip", "1.2.3.4,DNS:x", "c", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--days", "0", "c", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--days", "7301", "c", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--days", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "--force", "c", NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, NULL), 2);
	assert_int_equal(run("issue", "--ca", pki, "c", "d", NULL), 2);
	assert_int_equal(run("init", NULL), 2);
	assert_int_equal(run("revoke", NULL), 2);
	assert_int_equal(run(NULL), 2);
	assert_int_equal(run("--help", NULL), 0);
	assert_int_equal(run("issue", "--ca", in_folder("nowhere"), "c", NULL), 1);
	assert_int_equal(access(in_folder("pki/c.pem"), F_OK), -1);
	assert_int_equal(access(in_folder("pki/c.key"), F_OK), -1);
}

static void a_key_of_the_authority_that_others_may_read_is_not_used(void **state)
{
	(void)state;
	assert_int_equal(chmod(in_folder("pki/ca.key"), 0640), 0);
	assert_int_equal(issue("leaky"), 1);
	assert_int_equal(chmod(in_folder("pki/ca.key"), 0600), 0);
	assert_int_equal(issue("leaky"), 0);
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;

	for (const char *p = text; (p = strstr(p, word)) != NULL; p += strlen(word))
		n++;
	return n;
}

static void all_that_was_issued_stands_on_the_list(void **state)
{
	const char *list;
	FILE *f;

	(void)state;
	assert_int_equal(run("init", in_folder("listed"), NULL), 0);
	assert_int_equal(run("issue", "--ca", in_folder("listed"), "--ip", "::1", "server", NULL), 0);
	f = fopen(in_folder("listed/issued.txt"), "a");
	fputs("2026-11-26T00:00:00Z name=cut-sho", f); /* a crash within a line */
	fclose(f);
	assert_int_equal(run("issue", "--ca", in_folder("listed"), "agent-2", NULL), 0);
	list = read_text("listed/issued.txt");
	assert_int_equal(mode_of("listed/issued.txt"), 0600);
	assert_int_equal(count(list, "\n"), 3);
	assert_int_equal(count(list, " name=server serial="), 1);
	assert_int_equal(count(list, " usage=client,server ip=::1 sha256="), 1);
	assert_int_equal(count(list, " name=agent-2 serial="), 1);
	assert_non_null(strstr(list, "name=cut-sho\n20"));
}

static void of_many_who_want_one_name_at_once_one_gets_it(void **state)
{
	pid_t children[8];
	int refused = 0, status;

	(void)state;
	assert_int_equal(run("init", in_folder("many"), NULL), 0);
	for (int i = 0; i < 8; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			status = 0;
			for (const char *name = "vwxyz"; *name != '\0'; name++)
				status += run("issue", "--ca", in_folder("many"), name, NULL);
			_exit(status);
		}
	}
	for (int i = 0; i < 8; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		refused += WEXITSTATUS(status);
	}
	assert_int_equal(refused, 7 * 5); /* "vwxyz", "wxyz" ... "z": five names */
	assert_int_equal(count(read_text("many/issued.txt"), "\n"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_authority_is_made_with_its_key_for_the_owner_alone),
		cmocka_unit_test(what_it_issues_meets_over_tls),
		cmocka_unit_test(nothing_that_stands_there_is_overwritten),
		cmocka_unit_test(renewal_keeps_the_key_and_changes_the_certificate),
		cmocka_unit_test(files_go_where_they_are_wanted),
		cmocka_unit_test(a_leaf_never_outlives_its_authority),
		cmocka_unit_test(wrong_words_are_told_and_make_nothing),
		cmocka_unit_test(a_key_of_the_authority_that_others_may_read_is_not_used),
		cmocka_unit_test(all_that_was_issued_stands_on_the_list),
		cmocka_unit_test(of_many_who_want_one_name_at_once_one_gets_it),
	};

	return cmocka_run_group_tests_name("ca", tests, make_folder, drop_folder);
}
