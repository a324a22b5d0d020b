/* SPDX-License-Identifier: ISC */

/*
 * The client module against a scripted peer: what it sends, and what it
 * makes of answers that are in pieces, out of place or malformed.
 * Links lib/client.c, lib/requests.c and common/frame.c.
 */

#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "frame.h"
#include "test.h"

static char	 dir[] = "/tmp/ccp-client.XXXXXX";
static char	 path[64];
static int	 listener = -1;
static int	 peer = -1;

static void
listen_there(void)
{
	struct sockaddr_un	 sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	if ((listener = socket(AF_UNIX, SOCK_STREAM, 0)) == -1 ||
	    bind(listener, (struct sockaddr *)&sun, sizeof(sun)) == -1 ||
	    listen(listener, 8) == -1) {
		perror(path);
		exit(1);
	}
}

static struct ccp *
open_pair(void)
{
	struct ccp	*h;

	if ((h = ccp_new()) == NULL || ccp_connect(h, path, 0) == -1 ||
	    (peer = accept(listener, NULL, NULL)) == -1) {
		perror("pair");
		exit(1);
	}
	return (h);
}

static void
close_pair(struct ccp *h)
{
	ccp_free(h);
	if (peer != -1)
		close(peer);
	peer = -1;
}

static void
answer_raw(const void *p, size_t len)
{
	if (write(peer, p, len) != (ssize_t)len)
		perror("peer");
}

/* Lies in the socket before the client asks, which it cannot tell. */
static void
answer(enum frm_type type, int opcode, int in_error, const char *payload)
{
	uint8_t	 buf[8192];
	size_t	 len = strlen(payload);

	frm_encode(buf, type, opcode, in_error, (uint32_t)len);
	memcpy(buf + FRM_HEADER_SIZE, payload, len);
	answer_raw(buf, FRM_HEADER_SIZE + len);
}

/* 1 if exactly this frame, and all of it, is what the client sent. */
static int
sent(enum frm_type type, int opcode, const char *payload)
{
	uint8_t	 want[8192], got[8192];
	size_t	 len = strlen(payload);
	ssize_t	 n;

	frm_encode(want, type, opcode, 0, (uint32_t)len);
	memcpy(want + FRM_HEADER_SIZE, payload, len);
	len += FRM_HEADER_SIZE;
	n = recv(peer, got, sizeof(got), MSG_DONTWAIT);
	if (n == (ssize_t)len && memcmp(got, want, len) == 0)
		return (1);
	if (n > FRM_HEADER_SIZE)
		fprintf(stderr, "sent: %.*s\n", (int)(n - FRM_HEADER_SIZE),
		    (const char *)got + FRM_HEADER_SIZE);
	return (0);
}

static void
test_connect(void)
{
	struct ccp	*h;
	char		 longer[200], url[80];

	test_begin("client: addresses");
	h = ccp_new();
	CHECK(ccp_connect(h, "", 0) == -1);
	CHECK(ccp_connect(h, "unix://", 0) == -1);
	CHECK(ccp_connect(h, "tcp://host:1", 0) == -1);
	CHECK(strstr(ccp_error(h), "unix://") != NULL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(ccp_connect(h, longer, 0) == -1);
	CHECK(strcmp(ccp_error(h), "socket path too long 199 (max 107)") == 0);
	CHECK(ccp_connect(h, "/nonexistent/socket", 0) == -1);
	CHECK(strstr(ccp_error(h), "No such file") != NULL);
	CHECK(ccp_connect(h, "/nonexistent/socket", 150) == -1);
	CHECK(strstr(ccp_error(h), "after 150 ms") != NULL);
	CHECK(ccp_fd(h) == -1 && ccp_refused(h) == 0);
	CHECK(ccp_unregister(h, "x") == -1);
	snprintf(url, sizeof(url), "unix://%s", path);
	CHECK(ccp_connect(h, url, 0) == 0 && ccp_fd(h) != -1);
	CHECK(ccp_connect(h, url, 0) == -1);
	peer = accept(listener, NULL, NULL);
	close_pair(h);
}

static void
test_retry(void)
{
	struct ccp	*h;
	pid_t		 pid;
	int		 status;

	test_begin("client: connects once somebody listens");
	close(listener);
	unlink(path);
	if ((pid = fork()) == 0) {
		h = ccp_new();
		_exit(ccp_connect(h, path, 60000) == 0 ? 0 : 1);
	}
	/* the first attempt may or may not be over: both must work */
	usleep(50000);
	listen_there();
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	peer = accept(listener, NULL, NULL);
	close(peer);
	peer = -1;
}

static void
test_requests(void)
{
	const char	*tokens[2] = { "t1", "t2" };
	struct ccp	*h;
	char		*got[2], *reply;
	size_t		 len;

	test_begin("client: requests as on the wire");
	h = open_pair();
	answer(FRM_RESPONSE, FRM_REGISTERVM, 0,
	    "{\"io\":{\"URL\":\"unix:///x\",\"tokens\":null}}");
	CHECK(ccp_register(h, "a", "/c", "/i", NULL, NULL, 0) == 0);
	CHECK(sent(FRM_COMMAND, FRM_REGISTERVM, "{\"containerId\":\"a\","
	    "\"ctlSerial\":\"/c\",\"ioSerial\":\"/i\"}"));
	answer(FRM_RESPONSE, FRM_REGISTERVM, 0,
	    "{\"io\":{\"URL\":\"unix:///x\",\"tokens\":[\"A=\",\"B=\"]}}");
	CHECK(ccp_register(h, "a", "/c", "/i", "/o", got, 2) == 0);
	CHECK(strcmp(got[0], "A=") == 0 && strcmp(got[1], "B=") == 0);
	ccp_tokens_free(got, 2);
	CHECK(got[0] == NULL);
	CHECK(sent(FRM_COMMAND, FRM_REGISTERVM, "{\"containerId\":\"a\","
	    "\"ctlSerial\":\"/c\",\"ioSerial\":\"/i\",\"console\":\"/o\","
	    "\"numIOStreams\":2}"));
	answer(FRM_RESPONSE, FRM_ATTACHVM, 0,
	    "{\"io\":{\"URL\":\"unix:///x\",\"tokens\":[\"T=\"]}}");
	CHECK(ccp_attach(h, "pod1", got, 1) == 0);
	ccp_tokens_free(got, 1);
	CHECK(sent(FRM_COMMAND, FRM_ATTACHVM,
	    "{\"containerId\":\"pod1\",\"numIOStreams\":1}"));
	answer(FRM_RESPONSE, FRM_HYPER, 0, "raw\nbytes");
	CHECK(ccp_hyper(h, "ping", NULL, 0, NULL, &reply, &len) == 0);
	CHECK(len == 9 && strcmp(reply, "raw\nbytes") == 0);
	free(reply);
	CHECK(sent(FRM_COMMAND, FRM_HYPER,
	    "{\"hyperName\":\"ping\",\"tokens\":null}"));
	answer(FRM_RESPONSE, FRM_HYPER, 0, "");
	CHECK(ccp_hyper(h, "x\"", tokens, 2, "{ \"a\":18446744073709551615 }",
	    NULL, NULL) == 0);
	CHECK(sent(FRM_COMMAND, FRM_HYPER, "{\"hyperName\":\"x\\\"\","
	    "\"tokens\":[\"t1\",\"t2\"],"
	    "\"data\":{ \"a\":18446744073709551615 }}"));
	answer(FRM_RESPONSE, FRM_CONNECTSHIM, 0, "");
	CHECK(ccp_connect_shim(h, "t") == 0);
	CHECK(sent(FRM_COMMAND, FRM_CONNECTSHIM, "{\"token\":\"t\"}"));
	answer(FRM_RESPONSE, FRM_UNREGISTERVM, 0, "");
	CHECK(ccp_unregister(h, "a") == 0);
	CHECK(sent(FRM_COMMAND, FRM_UNREGISTERVM, "{\"containerId\":\"a\"}"));
	CHECK(ccp_log(h, "shim", NULL, "warn", "x") == 0);
	CHECK(sent(FRM_STREAM, FRM_LOG,
	    "{\"source\":\"shim\",\"level\":\"warn\",\"msg\":\"x\"}"));
	CHECK(ccp_disconnect_shim(h) == 0);
	CHECK(sent(FRM_COMMAND, FRM_DISCONNECTSHIM, ""));
	close_pair(h);
}

static void
test_arguments(void)
{
	const char	*bad[1] = { "\xff" };
	struct ccp	*h;
	char		 big[CCP_STDIN_MAX + 1];

	test_begin("client: arguments that are never sent");
	h = open_pair();
	memset(big, 0, sizeof(big));
	CHECK(ccp_stdin(h, big, sizeof(big)) == -1);
	CHECK(ccp_unregister(h, "\xff") == -1);
	CHECK(ccp_register(h, "a", "\xff", "i", NULL, NULL, 0) == -1);
	CHECK(ccp_hyper(h, "a", bad, 1, NULL, NULL, NULL) == -1);
	CHECK(ccp_hyper(h, "a", NULL, 0, "", NULL, NULL) == -1);
	CHECK(ccp_hyper(h, "a", NULL, 0, "{},\"x\":1", NULL, NULL) == -1);
	CHECK(ccp_log(h, "me", NULL, "warn", "x") == -1);
	CHECK(ccp_log(h, "shim", NULL, "warning", "x") == -1);
	CHECK(ccp_log(h, "shim", NULL, "warn", "") == -1);
	CHECK(recv(peer, big, sizeof(big), MSG_DONTWAIT) == -1 &&
	    errno == EAGAIN);
	close_pair(h);
}

static void
test_refusals(void)
{
	static const struct {
		const char	*payload;
		const char	*text;
	} tab[] = {
		{ "{\"msg\":\"unknown token: nope\"}", "unknown token: nope" },
		{ "{\"msg\":\"\"}", "unknown error" },
		{ "{\"msg\":5}", "unknown error" },
		{ "{}", "unknown error" },
		{ "[]", "unknown error" },
		{ "", "unknown error" },
		{ "garbage", "unknown error" },
		{ "{\"msg\":\"no such container\\u0000\"}",
		    "no such container" }
	};
	struct ccp	*h;
	char		*token;
	size_t		 i;

	test_begin("client: errors the daemon answers");
	h = open_pair();
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		answer(FRM_RESPONSE, FRM_CONNECTSHIM, 1, tab[i].payload);
		CHECK(ccp_connect_shim(h, "nope") == -1);
		CHECK(ccp_refused(h) == 1);
		CHECK(strcmp(ccp_error(h), tab[i].text) == 0);
	}
	answer(FRM_RESPONSE, FRM_ATTACHVM, 0,
	    "{\"io\":{\"URL\":\"u\",\"tokens\":null}}");
	CHECK(ccp_attach(h, "a", &token, 1) == -1);
	CHECK(strcmp(ccp_error(h),
	    "0 tokens retrieved out of 1 expected") == 0);
	answer(FRM_RESPONSE, FRM_ATTACHVM, 0,
	    "{\"io\":{\"URL\":\"u\",\"tokens\":[1]}}");
	CHECK(ccp_attach(h, "a", &token, 1) == -1);
	answer(FRM_RESPONSE, FRM_ATTACHVM, 0, "nonsense");
	CHECK(ccp_attach(h, "a", &token, 1) == -1);
	CHECK(ccp_refused(h) == 0);
	close_pair(h);
}

static void
test_events(void)
{
	struct ccp_event	 ev;
	struct ccp		*h;

	test_begin("client: events, also around a request");
	h = open_pair();
	CHECK(ccp_read(h, &ev) == 0);
	CHECK(ccp_signal(h, 10) == 0 && ccp_winsize(h, 24, 80) == 0);
	answer(FRM_STREAM, FRM_STDOUT, 0, "out");
	answer(FRM_RESPONSE, FRM_SIGNAL, 1, "{\"msg\":\"no\"}");
	answer(FRM_STREAM, FRM_STDERR, 0, "err");
	answer(FRM_RESPONSE, FRM_SIGNAL, 0, "");
	answer(FRM_RESPONSE, FRM_UNREGISTERVM, 0, "");
	answer(FRM_NOTIFICATION, FRM_PROCESSEXITED, 0, "");
	answer(FRM_NOTIFICATION, FRM_PROCESSEXITED, 0, "\xff");
	CHECK(ccp_unregister(h, "a") == 0);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_STDOUT &&
	    ev.len == 3 && memcmp(ev.data, "out", 3) == 0);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_ANSWER &&
	    ev.refused == 1 && strcmp(ccp_error(h), "no") == 0);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_STDERR && ev.len == 3);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_ANSWER &&
	    ev.refused == 0);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_EXITED &&
	    ev.status == 255);
	CHECK(ccp_read(h, &ev) == 0);
	close(peer);
	peer = -1;
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_CLOSED);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_CLOSED);
	CHECK(ccp_unregister(h, "a") == -1 && ccp_refused(h) == 0);
	close_pair(h);
}

static void
test_pieces(void)
{
	static const uint8_t	 longer[] = { 0, 2, 6, 0, 0, 0, 2, 1, 0, 0, 0,
				    1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
				    'A' };
	struct ccp_event	 ev;
	struct ccp		*h;
	size_t			 i;

	test_begin("client: a frame byte by byte, with a longer header");
	h = open_pair();
	for (i = 0; i < sizeof(longer) - 1; i++) {
		answer_raw(longer + i, 1);
		CHECK(ccp_read(h, &ev) == 0);
	}
	answer_raw(longer + i, 1);
	CHECK(ccp_read(h, &ev) == 1 && ev.type == CCP_STDOUT &&
	    ev.len == 1 && memcmp(ev.data, "A", 1) == 0);
	answer_raw(longer, 5);
	close(peer);
	peer = -1;
	CHECK(ccp_read(h, &ev) == -1);
	CHECK(strstr(ccp_error(h), "inside a frame") != NULL);
	close_pair(h);
}

static void
test_malformed(void)
{
	static const uint8_t	 tab[][FRM_HEADER_SIZE] = {
		{ 0, 1, 3, 0, 0, 0, 2, 1, 0, 0, 0, 0 },	/* version */
		{ 0, 2, 2, 0, 0, 0, 2, 1, 0, 0, 0, 0 },	/* header length */
		{ 0, 2, 3, 0, 0, 0, 5, 1, 0, 0, 0, 0 },	/* type */
		{ 0, 2, 3, 0, 0, 0, 2, 9, 0, 0, 0, 0 },	/* opcode */
		{ 0, 2, 3, 0, 0, 0, 2, 1, 0x7f, 0, 0, 0 },	/* length */
		{ 0, 2, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0 },	/* stdin */
		{ 0, 2, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0 },	/* a command */
		{ 0, 2, 3, 0, 0, 0, 1, 3, 0, 0, 0, 0 }	/* not asked for */
	};
	struct ccp_event	 ev;
	struct ccp		*h;
	size_t			 i;

	test_begin("client: frames no daemon sends");
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		h = open_pair();
		answer_raw(tab[i], sizeof(tab[i]));
		CHECK(ccp_read(h, &ev) == -1);
		CHECK(*ccp_error(h) != '\0' && ccp_refused(h) == 0);
		close_pair(h);
	}
	h = open_pair();
	answer(FRM_RESPONSE, FRM_HYPER, 0, "");
	CHECK(ccp_unregister(h, "a") == -1);
	CHECK(strcmp(ccp_error(h), "response to Hyper where one to "
	    "UnregisterVM was expected") == 0);
	close_pair(h);
}

static void
test_bounds(void)
{
	static uint8_t		 out[FRM_HEADER_SIZE + 65536];
	struct ccp_event	 ev;
	struct ccp		*h;
	char			 chunk[CCP_STDIN_MAX], sink[65536];
	size_t			 queued = 0, kept = 0, got = 0;
	ssize_t			 n;
	pid_t			 pid;
	int			 r, status;

	test_begin("client: a daemon that does not read");
	h = open_pair();
	memset(chunk, 'x', sizeof(chunk));
	while ((r = ccp_stdin(h, chunk, sizeof(chunk))) == 0)
		queued += FRM_HEADER_SIZE + sizeof(chunk);
	CHECK(errno == EAGAIN);
	CHECK(ccp_unsent(h) > CCP_UNSENT_MAX &&
	    ccp_unsent(h) <= CCP_UNSENT_MAX + 2 * sizeof(chunk));
	while (got < queued) {
		if ((n = recv(peer, sink, sizeof(sink), 0)) <= 0)
			break;
		got += (size_t)n;
		CHECK(ccp_flush(h) == 0);
	}
	CHECK(got == queued && ccp_unsent(h) == 0);
	close_pair(h);

	test_begin("client: output without end before a response");
	h = open_pair();
	if ((pid = fork()) == 0) {
		close(ccp_fd(h));
		frm_encode(out, FRM_STREAM, FRM_STDOUT, 0, 65536);
		while (send(peer, out, sizeof(out), MSG_NOSIGNAL) > 0)
			;
		_exit(0);
	}
	CHECK(ccp_connect_shim(h, "t") == -1);
	CHECK(strstr(ccp_error(h), "too much output") != NULL);
	while ((r = ccp_read(h, &ev)) == 1 && ev.type == CCP_STDOUT &&
	    kept <= CCP_PARKED_MAX)
		kept += ev.len;
	CHECK(kept > CCP_PARKED_MAX - 2 * sizeof(out));
	close_pair(h);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		return (1);
	}
	snprintf(path, sizeof(path), "%s/socket", dir);
	listen_there();
	test_connect();
	test_retry();
	test_requests();
	test_arguments();
	test_refusals();
	test_events();
	test_pieces();
	test_malformed();
	test_bounds();
	unlink(path);
	rmdir(dir);
	return (test_end());
}
