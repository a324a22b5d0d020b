/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl metrics --http: reads one HTTP request from standard input,
 * usually a socket that a service manager accepted, answers it on standard
 * output, and is done.  Who sends is not trusted: a request has a length and
 * a time, and all that is looked at is its first line.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "status.h"

#define HTTP_REQUEST_MAX	8192	/* bytes of a request */
#define HTTP_REQUEST_TIME	5	/* seconds for it */
#define HTTP_TIME		30	/* seconds in all */
#define HTTP_REST_MAX		65536	/* bytes behind it taken and dropped */
#define METRICS_TYPE							\
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

enum http_status {
	HTTP_OK,
	HTTP_BAD,
	HTTP_NOT_FOUND,
	HTTP_METHOD,
	HTTP_SLOW,
	HTTP_LONG,
	HTTP_UNAVAILABLE
};

static const char *const texts[] = {
	"200 OK", "400 Bad Request", "404 Not Found",
	"405 Method Not Allowed", "408 Request Timeout",
	"431 Request Header Fields Too Large", "503 Service Unavailable"
};

static enum http_status read_request(char *, int *);
static enum http_status parse(char *, int *);
static int	 complete(const char *, size_t);
static void	 respond(enum http_status, const char *, size_t, int);
static void	 put(const char *, size_t);
static void	 linger(void);

/* An empty line ends the request. */
static int
complete(const char *p, size_t len)
{
	return (memmem(p, len, "\r\n\r\n", 4) != NULL ||
	    memmem(p, len, "\n\n", 2) != NULL);
}

/* buf has room for HTTP_REQUEST_MAX and a NUL. */
static enum http_status
read_request(char *buf, int *head)
{
	struct timespec	 now, end;
	struct pollfd	 pfd = { STDIN_FILENO, POLLIN, 0 };
	size_t		 len = 0;
	ssize_t		 n;
	int64_t		 ms;

	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += HTTP_REQUEST_TIME;
	while (!complete(buf, len)) {
		if (len == HTTP_REQUEST_MAX)
			return (HTTP_LONG);
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (int64_t)(end.tv_sec - now.tv_sec) * 1000 +
		    (end.tv_nsec - now.tv_nsec) / 1000000;
		if (ms <= 0 || poll(&pfd, 1, (int)ms) == 0)
			return (HTTP_SLOW);
		n = read(STDIN_FILENO, buf + len, HTTP_REQUEST_MAX - len);
		if (n == -1 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return (HTTP_BAD);
		len += (size_t)n;
	}
	buf[len] = '\0';
	return (strlen(buf) != len ? HTTP_BAD : parse(buf, head));
}

/* METHOD SP PATH SP HTTP/1.x */
static enum http_status
parse(char *line, int *head)
{
	char	*method, *path, *end;

	line[strcspn(line, "\r\n")] = '\0';
	method = strsep(&line, " ");
	path = strsep(&line, " ");
	if (path == NULL || line == NULL || method[0] == '\0' ||
	    strncmp(line, "HTTP/1.", 7) != 0 ||
	    (line[7] != '0' && line[7] != '1') || line[8] != '\0')
		return (HTTP_BAD);
	*head = strcmp(method, "HEAD") == 0;
	if (!*head && strcmp(method, "GET") != 0)
		return (HTTP_METHOD);
	if ((end = strchr(path, '?')) != NULL)
		*end = '\0';
	return (strcmp(path, "/metrics") == 0 || strcmp(path, "/") == 0 ?
	    HTTP_OK : HTTP_NOT_FOUND);
}

static void
put(const char *p, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		if ((n = write(STDOUT_FILENO, p, len)) == -1) {
			if (errno == EINTR)
				continue;
			exit(1);
		}
		p += n;
		len -= (size_t)n;
	}
}

static void
respond(enum http_status status, const char *body, size_t len, int head)
{
	char	 header[512], text[64];
	int	 n;

	if (status != HTTP_OK) {
		n = snprintf(text, sizeof(text), "%s\n", texts[status]);
		body = text;
		len = (size_t)n;
	}
	n = snprintf(header, sizeof(header), "HTTP/1.1 %s\r\n"
	    "Content-Type: %s\r\nContent-Length: %zu\r\n%s"
	    "Connection: close\r\n\r\n", texts[status], status == HTTP_OK ?
	    METRICS_TYPE : "text/plain; charset=utf-8", len,
	    status == HTTP_METHOD ? "Allow: GET, HEAD\r\n" : "");
	put(header, (size_t)n);
	if (!head)
		put(body, len);
	linger();
}

/* A socket closed with something unread takes the response along. */
static void
linger(void)
{
	char		 buf[4096];
	struct pollfd	 pfd = { STDIN_FILENO, POLLIN, 0 };
	size_t		 got = 0;
	ssize_t		 n;

	if (shutdown(STDOUT_FILENO, SHUT_WR) == -1)
		return;
	while (got < HTTP_REST_MAX && poll(&pfd, 1, 1000) == 1 &&
	    (n = read(STDIN_FILENO, buf, sizeof(buf))) > 0)
		got += (size_t)n;
}

int
http_serve(const struct ctl_conf *conf)
{
	char			 buf[HTTP_REQUEST_MAX + 1], *body = NULL;
	enum http_status	 status;
	struct status		*st;
	const char		*error;
	size_t			 len = 0;
	FILE			*f;
	int			 head = 0;

	/* It ends us if a reader of the response stops. */
	alarm(HTTP_TIME);
	signal(SIGPIPE, SIG_IGN);
	status = read_request(buf, &head);
	if (status == HTTP_OK) {
		if (ask(conf, &st, &error) == -1) {
			ctl_warnx("metrics: %s", error);
			status = HTTP_UNAVAILABLE;
		} else {
			if ((f = open_memstream(&body, &len)) == NULL ||
			    metrics_print(f, st) == -1 || fclose(f) == EOF)
				ctl_errx("%s", strerror(errno));
			status_free(st);
		}
	}
	respond(status, body, len, head);
	free(body);
	return (0);
}
