#include "collector/notice/send.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"

#define CONNECT_TIMEOUT_MS 10000L
#define TIMEOUT_MS 30000L

struct send {
	const struct roster_channel *channel;
	struct letter letter;
	CURL *easy;
	struct curl_slist *lines; /* headers, or who gets a mail */
	size_t sent;              /* of the body of a mail */
	struct buf answer;
	char words[CURL_ERROR_SIZE];
};

int send_read_secret(const char *path, char out[SEND_SECRET_MAX], struct err *e)
{
	struct stat st;
	ssize_t n = 0;
	int fd;

	out[0] = '\0';
	if (path[0] == '\0')
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_errno(e, "cannot open %.200s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		close(fd);
		return err_set(e, "%.200s: not a file that its owner alone may read: chmod 600", path);
	}
	n = read(fd, out, SEND_SECRET_MAX - 1);
	close(fd);
	out[n > 0 ? n : 0] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	return out[0] != '\0' ? 0 : err_set(e, "%.200s: no secret in its first line", path);
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct send *s = ctx;
	size_t room = LETTER_ANSWER_MAX - s->answer.len, len = size * count;

	buf_add(&s->answer, data, len < room ? len : room);
	return len;
}

static size_t on_read(char *out, size_t size, size_t count, void *ctx)
{
	struct send *s = ctx;
	size_t left = s->letter.body.len - s->sent, len = size * count < left ? size * count : left;

	memcpy(out, s->letter.body.data + s->sent, len);
	s->sent += len;
	return len;
}

static bool is_this_machine(const char *url)
{
	const char *host = strstr(url, "://") + 3;

	return strncmp(host, "127.", 4) == 0 || strncmp(host, "[::1]", 5) == 0 || strncmp(host, "localhost", 9) == 0;
}

static void set_mail(struct send *s, const char *password)
{
	const struct roster_channel *c = s->channel;

	for (size_t i = 0; i < c->to.count; i++)
		s->lines = curl_slist_append(s->lines, c->to.items[i]);
	curl_easy_setopt(s->easy, CURLOPT_USE_SSL, is_this_machine(c->url) ? (long)CURLUSESSL_TRY : (long)CURLUSESSL_ALL);
	curl_easy_setopt(s->easy, CURLOPT_MAIL_FROM, c->from);
	curl_easy_setopt(s->easy, CURLOPT_MAIL_RCPT, s->lines);
	if (c->user[0] != '\0') {
		curl_easy_setopt(s->easy, CURLOPT_USERNAME, c->user);
		curl_easy_setopt(s->easy, CURLOPT_PASSWORD, password);
	}
	curl_easy_setopt(s->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(s->easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(s->easy, CURLOPT_READDATA, s);
}

static void set_post(struct send *s)
{
	s->lines = curl_slist_append(s->lines, "Expect:");
	for (size_t i = 0; i < s->letter.headers_count; i++)
		s->lines = curl_slist_append(s->lines, s->letter.headers[i]);
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, s->lines);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDSIZE, (long)s->letter.body.len);
	curl_easy_setopt(s->easy, CURLOPT_POSTFIELDS, s->letter.body.data);
}

struct send *send_new(const struct roster_channel *c, const char *password, struct letter *letter)
{
	struct send *s = mem_alloc(sizeof *s);

	s->channel = c;
	s->letter = *letter;
	*letter = (struct letter){0};
	s->easy = curl_easy_init();
	if (s->easy == NULL)
		abort(); /* no memory */
	curl_easy_setopt(s->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(s->easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(s->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(s->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	curl_easy_setopt(s->easy, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
	curl_easy_setopt(s->easy, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(s->easy, CURLOPT_URL, buf_text(&s->letter.url));
	curl_easy_setopt(s->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(s->easy, CURLOPT_WRITEDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_ERRORBUFFER, s->words);
	if (c->ca[0] != '\0') {
		curl_easy_setopt(s->easy, CURLOPT_CAINFO, c->ca);
		curl_easy_setopt(s->easy, CURLOPT_CAPATH, NULL);
	}
	if (c->kind == ROSTER_SMTP)
		set_mail(s, password);
	else
		set_post(s);
	return s;
}

void send_free(struct send *s)
{
	if (s == NULL)
		return;
	curl_easy_cleanup(s->easy);
	curl_slist_free_all(s->lines);
	letter_fini(&s->letter);
	buf_fini(&s->answer);
	free(s);
}

CURL *send_handle(struct send *s)
{
	return s->easy;
}

enum letter_outcome send_outcome(struct send *s, CURLcode rc, struct err *words)
{
	enum letter_outcome outcome;
	long status = 0;

	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc == CURLE_OK)
		return letter_answer(s->channel, status, s->answer.data, s->answer.len, words);
	/* A mail server that refuses says so by its code; all else did not arrive. */
	outcome = s->channel->kind == ROSTER_SMTP && status >= 500 ? LETTER_REFUSED : LETTER_AGAIN;
	err_set(words, "%.200s", s->words[0] != '\0' ? s->words : curl_easy_strerror(rc));
	return outcome;
}
