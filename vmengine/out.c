/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: towards the client: what cannot be sent at once is queued,
 * whole frames, and what a shim did not get is kept for the next one.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmengine.h"

static size_t	vme_frame_start(const uint8_t *, size_t, size_t);
static void	vme_conn_broken(struct vme_conn *, int, int);
static ssize_t	vme_conn_pass(struct vme_conn *, struct vme_chunk *);

struct vme_chunk *
vme_chunk_new(const uint8_t *p, size_t len, int stream,
    struct vme_session *s)
{
	struct vme_chunk	*ch;

	ch = vme_malloc(sizeof(*ch) + len);
	ch->stream = stream;
	ch->session = s;
	ch->fd = -1;
	ch->off = 0;
	ch->len = len;
	memcpy(ch->data, p, len);
	if (stream)
		env->outbytes += len;
	else
		env->replybytes += len;
	return (ch);
}

void
vme_chunk_free(struct vme_chunk *ch)
{
	if (ch->stream)
		env->outbytes -= ch->len;
	else
		env->replybytes -= ch->len;
	if (ch->fd != -1)
		close(ch->fd);
	free(ch);
}

/* The start of the frame that byte n belongs to; p starts with a frame. */
static size_t
vme_frame_start(const uint8_t *p, size_t len, size_t n)
{
	struct frm_header	 h;
	size_t			 off;

	off = 0;
	while (off + FRM_HEADER_SIZE <= len &&
	    frm_decode(p + off, &h) == FRM_OK && off + h.hdrlen + h.len <= n)
		off += h.hdrlen + h.len;
	return (off);
}

/* Forget the frames that went out, so that the cut one can be sent again. */
void
vme_chunk_rewind(struct vme_chunk *ch)
{
	size_t	 start;

	start = vme_frame_start(ch->data, ch->len, ch->off);
	ch->len -= start;
	env->outbytes -= start;
	memmove(ch->data, ch->data + start, ch->len);
	ch->off = 0;
}

/*
 * Whole frames.  What does not go out at once is queued, from the start of
 * the frame that was cut, so that it can be sent again to another shim.
 */
void
vme_conn_send(struct vme_conn *c, const uint8_t *p, size_t len,
    struct vme_session *s)
{
	struct vme_chunk	*ch;
	size_t			 start;
	ssize_t			 n;
	int			 error, stream;

	if (c->dead || (c->broken && (c->proto == MSG_PROTO_1 || c->is_io)))
		return;
	stream = s != NULL;
	n = 0;
	error = c->broken ? EPIPE : 0;
	if (TAILQ_EMPTY(&c->out) && !c->broken) {
		do {
			n = send(c->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (n == -1 && errno == EINTR);
		if (n == -1) {
			error = errno;
			n = 0;
		}
		if ((size_t)n == len)
			return;
	}
	if (!stream && env->replybytes + len > VME_REPLY_TOTAL) {
		vme_conn_limit(c, "replies per vm", VME_REPLY_TOTAL,
		    "no room for the replies it does not read");
		return;
	}
	start = stream && !s->raw ? vme_frame_start(p, len, (size_t)n) : 0;
	ch = vme_chunk_new(p + start, len - start, stream, s);
	ch->off = (size_t)n - start;
	TAILQ_INSERT_TAIL(&c->out, ch, entry);
	if (stream)
		c->outlen += ch->len - ch->off;
	else
		c->replylen += ch->len - ch->off;
	if (error != 0 && !peer_again(error))
		vme_conn_broken(c, stream, error);
	else
		vme_conn_update(c);
}

/*
 * The client takes nothing more.  Output is no reason to end before all it
 * sent was read: a shim that is killed sends that as its last word.
 */
static void
vme_conn_broken(struct vme_conn *c, int stream, int error)
{
	struct vme_chunk	*ch;

	if (error != EPIPE && error != ECONNRESET && !c->is_io) {
		/* It is there still, and would wait. */
		peer_log(LOGL_ERROR, c->client, "error writing to client: %s",
		    log_strerror(error));
		vme_conn_close(c);
		return;
	}
	if ((c->proto == MSG_PROTO_1 || c->is_io) && !c->closing) {
		/*
		 * A client's requests are served to the end all the same.
		 * A kept end closes, but not here: its session goes with it,
		 * and whoever writes may have that in hand.
		 */
		while ((ch = TAILQ_FIRST(&c->out)) != NULL) {
			TAILQ_REMOVE(&c->out, ch, entry);
			vme_chunk_free(ch);
		}
		c->replylen = c->outlen = 0;
		c->broken = 1;
		vme_conn_update(c);
		if (c->is_io)
			vme_conn_wake(c);
		return;
	}
	if (!stream || c->closing || c->replylen > VME_REPLY_MAX) {
		vme_conn_close(c);
		return;
	}
	if (!c->broken)
		peer_log(LOGL_ERROR, c->client,
		    "error writing I/O data to client: %s",
		    log_strerror(error));
	c->broken = 1;
	vme_conn_update(c);
}

void
vme_conn_flush(struct vme_conn *c)
{
	struct timeval		 tv = { VME_CLOSE_TIME, 0 };
	struct vme_chunk	*ch;
	ssize_t			 n;

	while ((ch = TAILQ_FIRST(&c->out)) != NULL) {
		n = ch->fd != -1 ? vme_conn_pass(c, ch) :
		    send(c->fd, ch->data + ch->off, ch->len - ch->off,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			if (!peer_again(errno))
				vme_conn_broken(c, ch->stream, errno);
			break;
		}
		if (c->closing)
			vme_watch(&c->timer, &tv);
		ch->off += (size_t)n;
		if (ch->stream)
			c->outlen -= (size_t)n;
		else
			c->replylen -= (size_t)n;
		if (ch->off < ch->len)
			break;
		TAILQ_REMOVE(&c->out, ch, entry);
		vme_chunk_free(ch);
	}
	if (c->dead || c->broken)
		return;
	if (c->closing && TAILQ_EMPTY(&c->out)) {
		vme_conn_close(c);
		return;
	}
	if (c->outlen <= env->conf.out_shim / 2)
		vme_tty_resume();
	if (c->wait == VME_IDLE && (c->in != NULL || c->eof) &&
	    c->replylen <= VME_REPLY_MAX)
		vme_conn_wake(c);
}

/* A byte of its own for the descriptor: the reply is read without it. */
static ssize_t
vme_conn_pass(struct vme_conn *c, struct vme_chunk *ch)
{
	union {
		struct cmsghdr	 hdr;
		uint8_t		 buf[CMSG_SPACE(sizeof(int))];
	} cmsg;
	struct msghdr	 msg;
	struct iovec	 iov;

	memset(&msg, 0, sizeof(msg));
	memset(&cmsg, 0, sizeof(cmsg));
	iov.iov_base = ch->data;
	iov.iov_len = 1;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = cmsg.buf;
	msg.msg_controllen = sizeof(cmsg.buf);
	cmsg.hdr.cmsg_level = SOL_SOCKET;
	cmsg.hdr.cmsg_type = SCM_RIGHTS;
	cmsg.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&cmsg.hdr), &ch->fd, sizeof(int));
	return (sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL));
}

void
vme_conn_send_fd(struct vme_conn *c, uint8_t tag, int fd)
{
	struct vme_chunk	*ch;

	if (c->dead || c->broken) {
		close(fd);
		return;
	}
	ch = vme_chunk_new(&tag, 1, 0, NULL);
	ch->fd = fd;
	TAILQ_INSERT_TAIL(&c->out, ch, entry);
	c->replylen++;
	vme_conn_flush(c);
	vme_conn_update(c);
}

void
vme_conn_reply(struct vme_conn *c, int opcode, const void *payload,
    size_t len)
{
	uint8_t	*frame;
	size_t	 framelen;

	frame = peer_reply(c->proto, opcode, payload, len, &framelen);
	vme_conn_send(c, frame, framelen, NULL);
	free(frame);
}

void
vme_conn_fail(struct vme_conn *c, int opcode, const char *fmt, ...)
{
	uint8_t	*frame;
	size_t	 framelen;
	va_list	 ap;

	va_start(ap, fmt);
	frame = peer_fail(c->proto, opcode, &framelen, fmt, ap);
	va_end(ap);
	vme_conn_send(c, frame, framelen, NULL);
	free(frame);
}
