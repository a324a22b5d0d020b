/* SPDX-License-Identifier: ISC */

/*
 * Client of cc-proxy's protocol 3.x: connection, frames, events.  Runs in
 * the caller's process.  The daemon's frames are checked and bounded before
 * anything is allocated for them.  The requests themselves: requests.c.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "client.h"
#include "client_int.h"
#include "frame.h"

#define RETRY_MS	100
#define READ_SIZE	(64 * 1024)
#define RECV_MAX	(FRM_PAYLOAD_MAX + 4096)	/* payload we accept */

/* A frame that came while a request waited for its response. */
struct ccp_parked {
	TAILQ_ENTRY(ccp_parked)	 entry;
	struct ccp_frame	 frame;
	uint8_t			 data[];
};
TAILQ_HEAD(ccp_parkedq, ccp_parked);

struct ccp {
	struct ccp_parkedq	 parked;
	size_t			 parkedlen;
	struct ccp_parked	*given;	/* what the last event points into */
	uint8_t			*in;	/* received, from inpos to inlen */
	size_t			 incap;
	size_t			 inpos;
	size_t			 inlen;
	uint8_t			*out;	/* unsent, from outpos to outlen */
	size_t			 outcap;
	size_t			 outpos;
	size_t			 outlen;
	size_t			 unanswered;	/* signals and sizes */
	int			 fd;
	int			 eof;
	int			 refused;
	char			 err[1024];
};

static int	 recv_more(struct ccp *, size_t);
static int	 next_frame(struct ccp *, struct ccp_frame *);
static int	 park(struct ccp *, const struct ccp_frame *);
static int	 take(struct ccp *, struct ccp_frame *);
static void	 set_refusal(struct ccp *, const struct ccp_frame *);
static int	 parse_address(struct ccp *, const char *,
		    struct sockaddr_un *);
static int64_t	 now_ms(void);

struct ccp *
ccp_new(void)
{
	struct ccp	*h;

	if ((h = calloc(1, sizeof(*h))) == NULL)
		return (NULL);
	TAILQ_INIT(&h->parked);
	h->fd = -1;
	return (h);
}

void
ccp_free(struct ccp *h)
{
	struct ccp_parked	*p;

	if (h == NULL)
		return;
	while ((p = TAILQ_FIRST(&h->parked)) != NULL) {
		TAILQ_REMOVE(&h->parked, p, entry);
		free(p);
	}
	free(h->given);
	/* tokens are bearer secrets */
	if (h->in != NULL)
		explicit_bzero(h->in, h->incap);
	if (h->out != NULL)
		explicit_bzero(h->out, h->outcap);
	free(h->in);
	free(h->out);
	if (h->fd != -1)
		close(h->fd);
	free(h);
}

const char *
ccp_error(const struct ccp *h)
{
	return (h->err);
}

int
ccp_refused(const struct ccp *h)
{
	return (h->refused);
}

int
ccp_fd(const struct ccp *h)
{
	return (h->fd);
}

size_t
ccp_unsent(const struct ccp *h)
{
	return (h->outlen - h->outpos);
}

int
ccp_fail(struct ccp *h, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	vsnprintf(h->err, sizeof(h->err), fmt, ap);
	va_end(ap);
	h->refused = 0;
	return (-1);
}

static int64_t
now_ms(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

static int
parse_address(struct ccp *h, const char *address, struct sockaddr_un *sun)
{
	const char	*path = address;

	if (strncmp(path, "unix://", 7) == 0)
		path += 7;
	else if (strstr(path, "://") != NULL)
		return (ccp_fail(h, "%s: not a unix:// address", address));
	if (*path == '\0')
		return (ccp_fail(h, "the socket's address has no path"));
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlcpy(sun->sun_path, path, sizeof(sun->sun_path)) >=
	    sizeof(sun->sun_path))
		return (ccp_fail(h, "socket path too long %zu (max %zu)",
		    strlen(path), sizeof(sun->sun_path) - 1));
	return (0);
}

int
ccp_connect(struct ccp *h, const char *address, int timeout_ms)
{
	const struct timespec	 pause = { 0, RETRY_MS * 1000000L };
	struct sockaddr_un	 sun;
	int64_t			 end;
	int			 flags, saved;

	if (h->fd != -1)
		return (ccp_fail(h, "already connected"));
	if (parse_address(h, address, &sun) == -1)
		return (-1);
	end = now_ms() + timeout_ms;
	for (;;) {
		/* with a time limit, a full backlog must not block either */
		if ((h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
		    (timeout_ms > 0 ? SOCK_NONBLOCK : 0), 0)) == -1)
			return (ccp_fail(h, "socket: %s", strerror(errno)));
		if (connect(h->fd, (struct sockaddr *)&sun,
		    sizeof(sun)) == 0)
			break;
		saved = errno;
		close(h->fd);
		h->fd = -1;
		if (saved != ENOENT && saved != ECONNREFUSED &&
		    saved != EAGAIN && saved != EINTR)
			return (ccp_fail(h, "%s: %s", sun.sun_path,
			    strerror(saved)));
		if (saved != EINTR && now_ms() >= end) {
			if (timeout_ms <= 0)
				return (ccp_fail(h, "%s: %s", sun.sun_path,
				    strerror(saved)));
			return (ccp_fail(h, "%s: no connection after %d ms: "
			    "%s", sun.sun_path, timeout_ms, strerror(saved)));
		}
		nanosleep(&pause, NULL);
	}
	if ((flags = fcntl(h->fd, F_GETFL)) == -1 ||
	    fcntl(h->fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		saved = errno;
		close(h->fd);
		h->fd = -1;
		return (ccp_fail(h, "fcntl: %s", strerror(saved)));
	}
	return (0);
}

int
ccp_flush(struct ccp *h)
{
	ssize_t	 n;

	while (h->outpos < h->outlen) {
		n = send(h->fd, h->out + h->outpos, h->outlen - h->outpos,
		    MSG_NOSIGNAL);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && errno == EAGAIN)
			return (0);
		if (n == -1 && errno == EPIPE)
			return (ccp_fail(h, "connection closed by the "
			    "daemon"));
		if (n == -1)
			return (ccp_fail(h, "send: %s", strerror(errno)));
		h->outpos += (size_t)n;
	}
	h->outpos = h->outlen = 0;
	return (0);
}

/*
 * Header and payload are one buffer, so that a frame goes out whole in one
 * write when the socket has room: some peers read a header with one call.
 */
int
ccp_send(struct ccp *h, enum frm_type type, int opcode, const void *payload,
    size_t len)
{
	uint8_t	*p;
	size_t	 need;

	if (h->fd == -1)
		return (ccp_fail(h, "not connected"));
	if (len > FRM_PAYLOAD_MAX)
		return (ccp_fail(h, "message too long %zu", len));
	if (ccp_unsent(h) > CCP_UNSENT_MAX) {
		ccp_fail(h, "the daemon does not read");
		errno = EAGAIN;
		return (-1);
	}
	if (h->outpos > 0) {
		memmove(h->out, h->out + h->outpos, h->outlen - h->outpos);
		h->outlen -= h->outpos;
		h->outpos = 0;
	}
	need = h->outlen + FRM_HEADER_SIZE + len;
	if (need > h->outcap) {
		if ((p = realloc(h->out, need)) == NULL)
			return (ccp_fail(h, "%s", strerror(errno)));
		h->out = p;
		h->outcap = need;
	}
	frm_encode(h->out + h->outlen, type, opcode, 0, (uint32_t)len);
	if (len > 0)
		memcpy(h->out + h->outlen + FRM_HEADER_SIZE, payload, len);
	h->outlen = need;
	return (ccp_flush(h));
}

/*
 * Read once, with room for at least want unread bytes.  Returns 1 if bytes
 * came, 0 if none are there or the peer closed (h->eof), or -1.
 */
static int
recv_more(struct ccp *h, size_t want)
{
	uint8_t	*p;
	ssize_t	 n;

	if (h->inpos > 0) {
		memmove(h->in, h->in + h->inpos, h->inlen - h->inpos);
		h->inlen -= h->inpos;
		h->inpos = 0;
	}
	if (want < READ_SIZE)
		want = READ_SIZE;
	if (h->incap < want) {
		if ((p = realloc(h->in, want)) == NULL)
			return (ccp_fail(h, "%s", strerror(errno)));
		h->in = p;
		h->incap = want;
	}
	do
		n = recv(h->fd, h->in + h->inlen, h->incap - h->inlen, 0);
	while (n == -1 && errno == EINTR);
	if (n == -1 && errno == EAGAIN)
		return (0);
	if (n == -1 && errno != ECONNRESET)
		return (ccp_fail(h, "recv: %s", strerror(errno)));
	/* a reset means that the daemon closed with bytes of ours unread */
	if (n <= 0) {
		h->eof = 1;
		return (0);
	}
	h->inlen += (size_t)n;
	return (1);
}

/* 1 and a frame that points into h->in, 0 if none is complete, or -1. */
static int
next_frame(struct ccp *h, struct ccp_frame *f)
{
	struct frm_header	 hdr;
	enum frm_error		 error;
	char			 text[128];
	size_t			 have, want = FRM_HEADER_SIZE;
	int			 r;

	for (;;) {
		have = h->inlen - h->inpos;
		if (have >= FRM_HEADER_SIZE) {
			error = frm_decode(h->in + h->inpos, &hdr);
			if (error != FRM_OK) {
				frm_strerror(error, &hdr, text, sizeof(text));
				return (ccp_fail(h, "%s", text));
			}
			if (hdr.len > RECV_MAX)
				return (ccp_fail(h, "frame: %zu bytes are "
				    "too many", hdr.len));
			want = hdr.hdrlen + hdr.len;
			if (have >= want)
				break;
		}
		if (h->eof) {
			if (have == 0)
				return (0);
			return (ccp_fail(h, "connection closed inside a "
			    "frame"));
		}
		if ((r = recv_more(h, want)) == -1)
			return (-1);
		if (r == 0 && h->eof == 0)
			return (0);
	}
	f->type = hdr.type;
	f->opcode = hdr.opcode;
	f->in_error = hdr.in_error;
	f->data = h->in + h->inpos + hdr.hdrlen;
	f->len = hdr.len;
	h->inpos += want;
	return (1);
}

static int
park(struct ccp *h, const struct ccp_frame *f)
{
	struct ccp_parked	*p;

	if (h->parkedlen + f->len + sizeof(*p) > CCP_PARKED_MAX)
		return (ccp_fail(h, "too much output before the response"));
	if ((p = malloc(sizeof(*p) + f->len)) == NULL)
		return (ccp_fail(h, "%s", strerror(errno)));
	p->frame = *f;
	if (f->len > 0)
		memcpy(p->data, f->data, f->len);
	p->frame.data = p->data;
	h->parkedlen += f->len + sizeof(*p);
	TAILQ_INSERT_TAIL(&h->parked, p, entry);
	return (0);
}

/* Like next_frame(), with what is parked first. */
static int
take(struct ccp *h, struct ccp_frame *f)
{
	free(h->given);
	if ((h->given = TAILQ_FIRST(&h->parked)) == NULL)
		return (next_frame(h, f));
	TAILQ_REMOVE(&h->parked, h->given, entry);
	h->parkedlen -= h->given->frame.len + sizeof(*h->given);
	*f = h->given->frame;
	return (1);
}

/* The text of an error response is the member msg of its payload. */
static void
set_refusal(struct ccp *h, const struct ccp_frame *f)
{
	json_t		*o, *msg;
	const char	*text = NULL;

	o = json_loadb((const char *)f->data, f->len,
	    JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	if ((msg = json_object_get(o, "msg")) != NULL)
		text = json_string_value(msg);
	if (text == NULL || *text == '\0')
		text = "unknown error";
	ccp_fail(h, "%s", text);
	h->refused = 1;
	json_decref(o);
}

/*
 * Wait for the response to a request just sent.  Responses come in the
 * order of the commands, so those of unanswered signals come first.
 */
int
ccp_await(struct ccp *h, int opcode, struct ccp_frame *f)
{
	struct pollfd	 pfd;
	size_t		 early = h->unanswered;
	int		 r;

	for (;;) {
		if ((r = next_frame(h, f)) == -1)
			return (-1);
		if (r == 1 && f->type == FRM_RESPONSE && early == 0)
			break;
		if (r == 1) {
			if (f->type == FRM_RESPONSE)
				early--;
			if (park(h, f) == -1)
				return (-1);
			continue;
		}
		if (h->eof)
			return (ccp_fail(h, "connection closed by the "
			    "daemon"));
		pfd.fd = h->fd;
		pfd.events = POLLIN;
		if (ccp_unsent(h) > 0)
			pfd.events |= POLLOUT;
		if (poll(&pfd, 1, -1) == -1 && errno != EINTR)
			return (ccp_fail(h, "poll: %s", strerror(errno)));
		if (ccp_unsent(h) > 0 && ccp_flush(h) == -1)
			return (-1);
	}
	if (f->opcode != opcode)
		return (ccp_fail(h, "response to %s where one to %s was "
		    "expected", frm_command_name(f->opcode),
		    frm_command_name(opcode)));
	if (f->in_error) {
		set_refusal(h, f);
		return (-1);
	}
	return (0);
}

void
ccp_expect_answer(struct ccp *h)
{
	h->unanswered++;
}

int
ccp_read(struct ccp *h, struct ccp_event *ev)
{
	struct ccp_frame	 f;
	int			 r;

	memset(ev, 0, sizeof(*ev));
	memset(&f, 0, sizeof(f));
	if (h->fd == -1)
		return (ccp_fail(h, "not connected"));
	for (;;) {
		if ((r = take(h, &f)) == -1)
			return (-1);
		if (r == 0 && h->eof == 0)
			return (0);
		if (r == 0) {
			ev->type = CCP_CLOSED;
			return (1);
		}
		ev->data = f.data;
		ev->len = f.len;
		if (f.type == FRM_STREAM && f.opcode == FRM_STDOUT)
			ev->type = CCP_STDOUT;
		else if (f.type == FRM_STREAM && f.opcode == FRM_STDERR)
			ev->type = CCP_STDERR;
		else if (f.type == FRM_NOTIFICATION) {
			/* without a status it says nothing */
			if (f.len == 0)
				continue;
			ev->type = CCP_EXITED;
			ev->status = f.data[0];
		} else if (f.type == FRM_RESPONSE && h->unanswered > 0) {
			h->unanswered--;
			ev->type = CCP_ANSWER;
			if ((ev->refused = f.in_error))
				set_refusal(h, &f);
		} else if (f.type == FRM_RESPONSE && f.in_error) {
			/* a refused DisconnectShim leaves us connected */
			set_refusal(h, &f);
			return (-1);
		} else
			return (ccp_fail(h, "unexpected frame: %s %d",
			    frm_type_name(f.type), f.opcode));
		return (1);
	}
}
