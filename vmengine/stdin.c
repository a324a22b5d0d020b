/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: input on its way to the agent's I/O channel.  A client's
 * frame becomes a message, or stays one, by rewriting the header where it
 * lies; what the channel does not take is kept, and no more of it read.
 * Everything written here comes from clients.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hypjson.h"
#include "vmengine.h"

struct vme_stdin {
	int			 fd;
	struct event		 wev;
	uint8_t			*out;		/* rest of a cut write */
	size_t			 outoff, outlen;
	struct vme_connq	 waiters;	/* have input */
};

static struct vme_stdin	 in = { .fd = -1 };

static void	vme_stdin_write(int, short, void *);
static void	vme_stdin_send(const uint8_t *, size_t);
static size_t	vme_stdin_pace(struct vme_session *, uint8_t *, size_t,
		    size_t);
static void	vme_stdin_split(uint64_t, const uint8_t *, size_t);
static int	vme_stdin_flush(void);

void
vme_stdin_init(int fd)
{
	in.fd = fd;
	TAILQ_INIT(&in.waiters);
	event_set(&in.wev, fd, EV_WRITE | EV_PERSIST, vme_stdin_write, NULL);
}

void
vme_stdin_close(void)
{
	struct vme_conn	*c;

	event_del(&in.wev);
	in.fd = -1;
	while ((c = TAILQ_FIRST(&in.waiters)) != NULL) {
		vme_stdin_unwait(c);
		vme_conn_wake(c);
	}
	free(in.out);
	in.out = NULL;
	in.outlen = 0;
}

size_t
vme_stdin_kept(void)
{
	return (in.outlen);
}

int
vme_stdin_writable(void)
{
	return (in.fd != -1 && in.outlen == 0);
}

int
vme_stdin_ready(struct vme_conn *c)
{
	uint64_t	 now;

	if (!vme_stdin_writable()) {
		c->wait = VME_WAIT_IO;
		TAILQ_INSERT_TAIL(&in.waiters, c, wait_entry);
		return (0);
	}
	if (c->session->paced > 0 && (now = clock_ms()) < c->session->paced) {
		vme_conn_wait(c, VME_WAIT_PACE,
		    (uint32_t)(c->session->paced - now));
		return (0);
	}
	return (1);
}

void
vme_stdin_unwait(struct vme_conn *c)
{
	if (c->wait != VME_WAIT_IO)
		return;
	TAILQ_REMOVE(&in.waiters, c, wait_entry);
	c->wait = VME_IDLE;
}

static void
vme_stdin_write(int fd, short event, void *arg)
{
	struct vme_conn	*c;

	(void)fd;
	(void)event;
	(void)arg;
	if (vme_stdin_flush() == -1 || in.outlen > 0)
		return;
	event_del(&in.wev);
	/* First come, first served; who is cut goes to the end. */
	while ((c = TAILQ_FIRST(&in.waiters)) != NULL) {
		vme_stdin_unwait(c);
		vme_conn_wake(c);
	}
}

/* Write what is kept; -1: the VM is lost. */
static int
vme_stdin_flush(void)
{
	size_t	 len;
	ssize_t	 n;

	while (in.outlen > 0) {
		len = in.outlen < VME_TTY_WRITE ? in.outlen :
		    VME_TTY_WRITE;
		n = send(in.fd, in.out + in.outoff, len,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (peer_again(errno))
				return (0);
			vme_lost(log_strerror(errno));
			return (-1);
		}
		in.outoff += (size_t)n;
		in.outlen -= (size_t)n;
	}
	free(in.out);
	in.out = NULL;
	in.outoff = 0;
	return (0);
}

/*
 * The agent's header takes the place of the last 12 bytes of the client's,
 * so frames with a header of 12 bytes become messages back to back.
 */
size_t
vme_stdin_frames(struct vme_conn *c, uint8_t *p, size_t len)
{
	struct frm_header	 h;
	uint64_t		 seq = c->session->base;
	size_t			 off, start, total;

	peer_log(LOGL_INFO, c->client, "-> writing to hyper from #%u",
	    c->client);
	start = 0;
	for (off = 0; len - off >= FRM_HEADER_SIZE; off += total) {
		if (frm_decode(p + off, &h) != FRM_OK ||
		    h.type != FRM_STREAM || h.opcode != FRM_STDIN)
			break;
		total = h.hdrlen + h.len;
		if (h.len > FRM_STDIN_MAX || len - off < total)
			break;
		if (off > 0 && (h.hdrlen > FRM_HEADER_SIZE ||
		    h.len > HYP_TTY_PAYLOAD_MAX ||
		    off - start + total > VME_TTY_WRITE))
			break;
		if (env->dialect == VME_HYPERSTART)
			return (vme_stdin_pace(c->session, p, h.hdrlen,
			    h.len));
		env->counts.in += h.len;
		vme_tty_hexdump("-> writing to hyper", p + off + h.hdrlen,
		    h.len);
		if (h.len > HYP_TTY_PAYLOAD_MAX) {
			vme_stdin_split(seq, p + h.hdrlen, h.len);
			return (total);
		}
		if (off == 0)
			start = h.hdrlen - FRM_HEADER_SIZE;
		hyp_tty_encode(p + off + h.hdrlen - HYP_TTY_HEADER_SIZE, seq,
		    h.len);
	}
	if (off > 0)
		vme_stdin_send(p + start, off - start);
	return (off);
}

/* What the kernel does not take is kept, and no stdin read until it is gone. */
static void
vme_stdin_send(const uint8_t *p, size_t len)
{
	ssize_t	 n;

	do {
		n = send(in.fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1 && !peer_again(errno)) {
		vme_lost(log_strerror(errno));
		return;
	}
	if (n == -1)
		n = 0;
	if ((size_t)n == len)
		return;
	in.outoff = 0;
	in.outlen = len - (size_t)n;
	in.out = vme_malloc(in.outlen);
	memcpy(in.out, p + n, in.outlen);
	vme_watch(&in.wev, NULL);
}

/*
 * hyperstart keeps 512 bytes of an input and drops what does not fit, so it
 * gets as much, and time to pass it on.  It takes a number whose process has
 * ended for a mistake.  The rest of a frame becomes one of its own where it
 * lies, its header over what was sent.  Returns the bytes used.
 */
static size_t
vme_stdin_pace(struct vme_session *s, uint8_t *p, size_t hdrlen, size_t len)
{
	uint8_t		*start;
	uint64_t	 base = s->base;
	size_t		 n;
	int		 raw = s->raw;

	if (s->terminated || s->exited || s->has_status)
		return (hdrlen + len);
	n = len < HYP_STDIN_MAX ? len : HYP_STDIN_MAX;
	env->counts.in += n;
	vme_tty_hexdump("-> writing to hyper", p + hdrlen, n);
	start = p + hdrlen - HYP_TTY_HEADER_SIZE;
	hyp_tty_encode(start, base, n);
	s->paced = clock_ms() + VME_PACE_TIME;
	/* The session is gone if the VM is lost by this. */
	vme_stdin_send(start, HYP_TTY_HEADER_SIZE + n);
	if (n == len)
		return (hdrlen + len);
	start += n;
	if (raw)
		hyp_tty_encode(start, base, len - n);
	else
		frm_encode(start, FRM_STREAM, FRM_STDIN, 0,
		    (uint32_t)(len - n));
	return (hdrlen - HYP_TTY_HEADER_SIZE + n);
}

/* A frame too long for one message, as several. */
static void
vme_stdin_split(uint64_t seq, const uint8_t *data, size_t len)
{
	uint8_t	*p;
	size_t	 n;

	in.outoff = 0;
	p = in.out = vme_malloc(len + (len / HYP_TTY_PAYLOAD_MAX + 1) *
	    HYP_TTY_HEADER_SIZE);
	for (; len > 0; data += n, len -= n) {
		n = len < HYP_TTY_PAYLOAD_MAX ? len : HYP_TTY_PAYLOAD_MAX;
		hyp_tty_encode(p, seq, n);
		memcpy(p + HYP_TTY_HEADER_SIZE, data, n);
		p += HYP_TTY_HEADER_SIZE + n;
	}
	in.outlen = (size_t)(p - in.out);
	if (vme_stdin_flush() == 0 && in.outlen > 0)
		vme_watch(&in.wev, NULL);
}

/* The headers are the agent's already; their lengths are made true. */
size_t
vme_stdin_relay(struct vme_conn *c, uint8_t *p, size_t len)
{
	uint64_t	 seq;
	size_t		 n, off, total;

	for (off = 0; len - off >= HYP_TTY_HEADER_SIZE; off += total) {
		if (hyp_tty_decode(p + off, &seq, &n) == -1 ||
		    seq != c->session->base || n > FRM_STDIN_MAX)
			break;
		total = HYP_TTY_HEADER_SIZE + n;
		if (len - off < total ||
		    (off > 0 && (n > HYP_TTY_PAYLOAD_MAX ||
		    off + total > VME_TTY_WRITE)))
			break;
		if (env->dialect == VME_HYPERSTART)
			return (vme_stdin_pace(c->session, p,
			    HYP_TTY_HEADER_SIZE, n));
		env->counts.in += n;
		if (n > HYP_TTY_PAYLOAD_MAX) {
			vme_stdin_split(seq, p + HYP_TTY_HEADER_SIZE, n);
			return (total);
		}
		hyp_tty_encode(p + off, seq, n);
		vme_tty_hexdump("-> writing to hyper",
		    p + off + HYP_TTY_HEADER_SIZE, n);
	}
	if (off > 0)
		vme_stdin_send(p, off);
	return (off);
}
