/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: client connections: reading frames one after the other, and
 * the run queue on which waits end.  Every byte read here comes from a client.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmengine.h"

static void	vme_conn_event(int, short, void *);
static void	vme_conn_timer(int, short, void *);
static void	vme_conn_read(struct vme_conn *);
static void	vme_conn_resume(struct vme_conn *);
static void	vme_conn_process(struct vme_conn *);
static int	vme_conn_check(struct vme_conn *, const struct frm_header *);
static size_t	vme_conn_stdin(struct vme_conn *, uint8_t *, size_t);
static void	vme_conn_keep(struct vme_conn *, const uint8_t *, size_t);
static void	vme_conn_ended(struct vme_conn *);
static void	vme_conn_lookahead(struct vme_conn *);
static void	vme_conn_free(struct vme_conn *);
static void	vme_conn_verror(struct vme_conn *, const struct audit *,
		    const char *, va_list)
		    __attribute__((__format__(printf, 3, 0)));

static int
vme_conn_cmp(struct vme_conn *a, struct vme_conn *b)
{
	return (a->connid < b->connid ? -1 : a->connid > b->connid);
}

RB_GENERATE(vme_conns, vme_conn, entry, vme_conn_cmp)

struct vme_conn *
vme_conn_new(uint64_t connid, const struct audit_who *who, int fd)
{
	struct vme_conn	*c;

	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("%s", __func__);
	c->connid = connid;
	c->client = who->client;
	c->who = *who;
	c->fd = fd;
	c->frames = vme_conn_frames;
	LIST_INIT(&c->claims);
	TAILQ_INIT(&c->out);
	evtimer_set(&c->timer, vme_conn_timer, c);
	RB_INSERT(vme_conns, &env->conns, c);
	env->nconns++;
	return (c);
}

struct vme_conn *
vme_conn_find(uint64_t connid)
{
	struct vme_conn	 key;

	key.connid = connid;
	return (RB_FIND(vme_conns, &env->conns, &key));
}

/*
 * Off every list at once; the memory goes from the run queue.  What was
 * queued for it and not sent returns to the sessions.
 */
void
vme_conn_close(struct vme_conn *c)
{
	if (c->dead)
		return;
	c->dead = 1;
	if (!c->is_io)
		peer_log(LOGL_INFO, c->client, "connection closed");
	if (c->ev_flags != 0)
		event_del(&c->ev);
	evtimer_del(&c->timer);
	close(c->fd);
	RB_REMOVE(vme_conns, &env->conns, c);
	env->nconns--;
	vme_ctl_forget(c);
	vme_session_unwait(c);
	vme_stdin_unwait(c);
	vme_session_left(c);
	if (c->closing)
		env->nclosing--;
	if (c->is_io)
		env->nios--;
	else
		imsgev_send(&env->frontend, MSG_CONN_CLOSED, -1,
		    msg_u32_encode((uint32_t)c->connid));
	vme_conn_wake(c);
	vme_check_done();
}

static void
vme_conn_free(struct vme_conn *c)
{
	struct vme_chunk	*ch;

	while ((ch = TAILQ_FIRST(&c->out)) != NULL) {
		TAILQ_REMOVE(&c->out, ch, entry);
		vme_chunk_free(ch);
	}
	env->inbytes -= c->insize;
	free(c->in);
	vme_conn_release(c);
	free(c->tokens);
	free(c);
}

void
vme_conn_drain(struct vme_conn *c)
{
	struct timeval	 tv = { VME_CLOSE_TIME, 0 };

	if (c->dead || c->closing)
		return;
	if (TAILQ_EMPTY(&c->out) || c->broken) {
		vme_conn_close(c);
		return;
	}
	c->closing = 1;
	env->nclosing++;
	vme_watch(&c->timer, &tv);
	vme_conn_update(c);
}

void
vme_audit(struct audit *a, enum audit_event event, const struct vme_conn *c)
{
	audit_begin(a, event);
	audit_who(a, &c->who);
}

void
vme_refused(const struct vme_conn *c, const char *op, const char *why)
{
	struct audit	 a;

	vme_audit(&a, AUDIT_CLIENT_REFUSED, c);
	audit_str(&a, "op", op);
	audit_str(&a, "reason", why);
	audit_log(&a, "%s refused to uid %u, pid %u: %s", op, c->who.uid,
	    c->who.pid, why);
}

/* a: the event that it is; or NULL. */
static void
vme_conn_verror(struct vme_conn *c, const struct audit *a, const char *fmt,
    va_list ap)
{
	struct audit	 reason;
	char		*msg;

	if (vasprintf(&msg, fmt, ap) != -1) {
		if (a == NULL)
			peer_log(LOGL_ERROR, c->client,
			    "error serving client: %s", msg);
		else {
			reason = *a;
			audit_str(&reason, "reason", msg);
			audit_log_at(&reason, LOGL_ERROR,
			    "error serving client: %s", msg);
		}
		free(msg);
	}
	vme_conn_close(c);
}

void
vme_conn_error(struct vme_conn *c, const char *fmt, ...)
{
	va_list	 ap;

	if (c->dead)
		return;
	va_start(ap, fmt);
	vme_conn_verror(c, NULL, fmt, ap);
	va_end(ap);
}

void
vme_conn_violation(struct vme_conn *c, const char *fmt, ...)
{
	struct audit	 a;
	va_list		 ap;

	if (c->dead)
		return;
	vme_audit(&a, AUDIT_PROTOCOL_VIOLATION, c);
	va_start(ap, fmt);
	vme_conn_verror(c, &a, fmt, ap);
	va_end(ap);
}

void
vme_conn_limit(struct vme_conn *c, const char *limit, uint32_t max,
    const char *fmt, ...)
{
	struct audit	 a;
	va_list		 ap;

	if (c->dead)
		return;
	vme_audit(&a, AUDIT_LIMIT_REACHED, c);
	audit_limit(&a, limit, max);
	va_start(ap, fmt);
	vme_conn_verror(c, &a, fmt, ap);
	va_end(ap);
}

void
vme_conn_wake(struct vme_conn *c)
{
	struct timeval	 now = { 0, 0 };

	if (c->queued)
		return;
	c->queued = 1;
	TAILQ_INSERT_TAIL(&env->runq, c, run_entry);
	if (!evtimer_pending(&env->run_ev, NULL))
		vme_watch(&env->run_ev, &now);
}

void
vme_conn_run(int fd, short event, void *arg)
{
	struct vme_connq	 q;
	struct vme_conn		*c;

	(void)fd;
	(void)event;
	(void)arg;
	TAILQ_INIT(&q);
	TAILQ_CONCAT(&q, &env->runq, run_entry);
	while ((c = TAILQ_FIRST(&q)) != NULL) {
		TAILQ_REMOVE(&q, c, run_entry);
		c->queued = 0;
		if (c->dead)
			vme_conn_free(c);
		else
			vme_conn_resume(c);
	}
}

void
vme_conn_wait(struct vme_conn *c, enum vme_wait wait, uint32_t ms)
{
	struct timeval	 tv;

	c->wait = wait;
	c->expired = 0;
	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
		vme_watch(&c->timer, &tv);
	}
	vme_conn_update(c);
}

void
vme_conn_done(struct vme_conn *c)
{
	c->wait = VME_IDLE;
	if (!c->closing)
		evtimer_del(&c->timer);
	vme_session_unwait(c);
	vme_conn_release(c);
	free(c->tokens);
	c->tokens = NULL;
	c->ntokens = 0;
	vme_conn_wake(c);
}

static void
vme_conn_timer(int fd, short event, void *arg)
{
	struct vme_conn	*c = arg;

	(void)fd;
	(void)event;
	if (c->closing) {
		vme_conn_close(c);
		return;
	}
	c->expired = 1;
	vme_conn_wake(c);
}

/* Ask libevent for exactly what can be handled now. */
void
vme_conn_update(struct vme_conn *c)
{
	short	 want;

	if (c->dead)
		return;
	want = 0;
	if (!c->eof && !c->closing && c->replylen <= VME_REPLY_MAX &&
	    (c->wait == VME_IDLE || (c->wait == VME_WAIT_STDIN &&
	    c->inlen - c->inoff < VME_LOOKAHEAD)))
		want |= EV_READ;
	if (!TAILQ_EMPTY(&c->out) && !c->broken)
		want |= EV_WRITE;
	if (want == c->ev_flags)
		return;
	if (c->ev_flags != 0)
		event_del(&c->ev);
	c->ev_flags = want;
	if (want == 0)
		return;
	event_set(&c->ev, c->fd, want | EV_PERSIST, vme_conn_event, c);
	vme_watch(&c->ev, NULL);
}

static void
vme_conn_event(int fd, short event, void *arg)
{
	struct vme_conn	*c = arg;

	(void)fd;
	if (event & EV_WRITE)
		vme_conn_flush(c);
	if (!c->dead && (event & EV_READ) && (c->ev_flags & EV_READ))
		vme_conn_read(c);
	vme_conn_update(c);
}

/*
 * One read.  Without a rest of earlier bytes it goes to the scratch buffer
 * that all connections share; only what cannot be handled yet is kept.
 */
static void
vme_conn_read(struct vme_conn *c)
{
	uint8_t	*buf;
	size_t	 left, size, used;
	ssize_t	 n;

	/* Little, if stdin in it would have to wait. */
	size = c->is_shim && (!vme_stdin_writable() || (c->session != NULL &&
	    vme_session_unstarted(c->session))) ? VME_READ_BLOCKED :
	    VME_READ_SIZE;
	if (c->wait == VME_WAIT_STDIN) {
		if (c->inlen - c->inoff >= VME_LOOKAHEAD)
			return;
		left = VME_LOOKAHEAD - (c->inlen - c->inoff);
		size = left < VME_READ_BLOCKED ? left : VME_READ_BLOCKED;
	}
	buf = env->scratch;
	do {
		n = recv(c->fd, buf, size, MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		if (peer_again(errno))
			return;
		if (c->proto != MSG_PROTO_1 && !c->is_io) {
			vme_conn_error(c, "read: %s", log_strerror(errno));
			return;
		}
		/* It hung up on replies; all it sent was read before. */
		n = 0;
	}
	if (n == 0)
		c->eof = 1;
	used = 0;
	if (c->in == NULL && c->wait == VME_IDLE)
		used = c->frames(c, buf, (size_t)n);
	if (c->dead)
		return;
	vme_conn_keep(c, buf + used, (size_t)n - used);
	if (c->dead)
		return;
	if (c->wait == VME_WAIT_STDIN)
		vme_conn_lookahead(c);
	else
		vme_conn_process(c);
}

/* Append to what waits in c->in, which grows by what really came. */
static void
vme_conn_keep(struct vme_conn *c, const uint8_t *p, size_t len)
{
	uint8_t	*in;
	size_t	 need, size;

	if (len == 0)
		return;
	if (c->inoff > 0) {
		c->inlen -= c->inoff;
		memmove(c->in, c->in + c->inoff, c->inlen);
		c->inoff = 0;
	}
	need = c->inlen + len;
	if (need > c->insize) {
		size = c->insize > 0 && need < c->insize * 2 ?
		    c->insize * 2 : need;
		if (size > VME_IN_SMALL &&
		    env->inbytes + size - c->insize > VME_IN_TOTAL) {
			vme_conn_limit(c, "requests per vm", VME_IN_TOTAL,
			    "no room for %zu bytes", size);
			return;
		}
		env->inbytes += size - c->insize;
		if ((in = realloc(c->in, size)) == NULL)
			fatal("%s", __func__);
		c->in = in;
		c->insize = size;
	}
	memcpy(c->in + c->inlen, p, len);
	c->inlen += len;
}

void
vme_conn_feed(struct vme_conn *c, const uint8_t *p, size_t len)
{
	vme_conn_keep(c, p, len);
	vme_conn_wake(c);
}

/* From the run queue: a wait is over, or kept bytes can be looked at. */
static void
vme_conn_resume(struct vme_conn *c)
{
	if (c->closing)
		return;
	if (c->is_io && c->broken) {
		vme_conn_close(c);
		return;
	}
	if (c->wait != VME_IDLE)
		vme_command_resume(c);
	if (!c->dead && c->wait == VME_IDLE)
		vme_conn_process(c);
	if (!c->dead && c->wait == VME_IDLE && c->is_shim &&
	    env->state == VME_LOST)
		vme_conn_drain(c);
	vme_conn_update(c);
}

/* Handle what is kept, as far as it goes. */
static void
vme_conn_process(struct vme_conn *c)
{
	if (c->in != NULL) {
		c->inoff += c->frames(c, c->in + c->inoff,
		    c->inlen - c->inoff);
		if (c->dead)
			return;
		if (c->inoff == c->inlen) {
			env->inbytes -= c->insize;
			free(c->in);
			c->in = NULL;
			c->inoff = c->inlen = c->insize = 0;
		}
	}
	if (c->wait == VME_WAIT_STDIN)
		vme_conn_lookahead(c);
	else if (c->eof && c->wait == VME_IDLE &&
	    c->replylen <= VME_REPLY_MAX)
		vme_conn_ended(c);
}

/* All that could be handled was, and the client hung up. */
static void
vme_conn_ended(struct vme_conn *c)
{
	size_t	 rest;

	if (c->is_io) {
		vme_rpc_io_ended(c);
		return;
	}
	rest = c->inlen - c->inoff;
	if (c->proto == MSG_PROTO_3 && rest > 0 && rest < FRM_HEADER_SIZE)
		vme_conn_violation(c, "frame: couldn't read the full header");
	else if (c->is_shim)
		vme_conn_close(c);
	else
		vme_conn_drain(c);
}

/*
 * Frame after frame, until one must wait or is incomplete.  p is ours to
 * change.  Returns the bytes that are done with.
 */
size_t
vme_conn_frames(struct vme_conn *c, uint8_t *p, size_t len)
{
	struct frm_header	 h;
	enum frm_error		 e;
	char			 text[JSON_ERRMAX];
	size_t			 n, off;

	off = 0;
	while (!c->dead && !c->closing && c->wait == VME_IDLE &&
	    c->replylen <= VME_REPLY_MAX && len - off >= FRM_HEADER_SIZE) {
		if ((e = frm_decode(p + off, &h)) != FRM_OK) {
			frm_strerror(e, &h, text, sizeof(text));
			vme_conn_violation(c, "%s", text);
			break;
		}
		if (vme_conn_check(c, &h) == -1)
			break;
		if (h.type == FRM_STREAM && h.opcode == FRM_STDIN) {
			if ((n = vme_conn_stdin(c, p + off, len - off)) == 0)
				break;
			off += n;
			continue;
		}
		if (len - off < h.hdrlen + h.len)
			break;
		if (h.type == FRM_COMMAND)
			vme_command(c, h.opcode, p + off + h.hdrlen, h.len);
		else if (peer_log_frame(c->client, p + off + h.hdrlen, h.len,
		    text) == -1)
			vme_conn_violation(c, "%s", text);
		off += h.hdrlen + h.len;
	}
	return (off);
}

/* What the header alone tells; -1 if the connection was closed for it. */
static int
vme_conn_check(struct vme_conn *c, const struct frm_header *h)
{
	int	 is_stdin;

	if (h->type == FRM_RESPONSE || h->type == FRM_NOTIFICATION) {
		vme_conn_violation(c, "protocol: unexpected frame type (%s)",
		    frm_type_name(h->type));
		return (-1);
	}
	is_stdin = h->type == FRM_STREAM && h->opcode == FRM_STDIN;
	if (h->type == FRM_STREAM && !is_stdin && h->opcode != FRM_LOG) {
		vme_conn_violation(c, "no handler for stream %s",
		    frm_stream_name(h->opcode));
		return (-1);
	}
	if (h->len > (is_stdin ? FRM_STDIN_MAX : FRM_PAYLOAD_MAX)) {
		vme_conn_violation(c, "frame: payload too long %zu", h->len);
		return (-1);
	}
	if (is_stdin && c->session == NULL) {
		vme_conn_violation(c,
		    "stdin: client not associated with any I/O session");
		return (-1);
	}
	return (0);
}

/* Returns the bytes used; 0 if the frame must wait or is incomplete. */
static size_t
vme_conn_stdin(struct vme_conn *c, uint8_t *p, size_t len)
{
	if (vme_session_unstarted(c->session)) {
		vme_session_wait(c->session, c);
		vme_conn_wait(c, VME_WAIT_STDIN, env->conf.timeouts.stdin_);
		return (0);
	}
	if (!vme_stdin_ready(c))
		return (0);
	return (vme_stdin_frames(c, p, len));
}

/*
 * A stdin frame waits for its process.  A Signal frame with KILL or TERM
 * right behind it takes effect at once; nothing else is looked past, and
 * nothing but stdin frames stands between.
 */
static void
vme_conn_lookahead(struct vme_conn *c)
{
	struct frm_header	 h;
	uint8_t			*p;
	size_t			 off, total;

	if (c->is_io) {
		if (c->eof)
			vme_rpc_io_ended(c);
		return;
	}
	/* Once the process was started, all take their turn. */
	if (c->session == NULL || c->session->started)
		return;
	for (off = c->inoff; c->inlen - off >= FRM_HEADER_SIZE &&
	    c->replylen <= VME_REPLY_MAX; off += total) {
		p = c->in + off;
		if (frm_decode(p, &h) != FRM_OK)
			break;
		total = h.hdrlen + h.len;
		if (h.len > FRM_STDIN_MAX || c->inlen - off < total)
			break;
		if (h.type == FRM_STREAM && h.opcode == FRM_STDIN)
			continue;
		if (h.type != FRM_COMMAND || h.opcode != FRM_SIGNAL ||
		    !vme_command_is_kill(p + h.hdrlen, h.len))
			break;
		vme_command_early_signal(c, p + h.hdrlen, h.len);
		if (c->dead)
			return;
		c->inlen -= total;
		memmove(p, p + total, c->inlen - off);
		total = 0;
	}
	/* What has no end would outlive the client; see vme_conn_wait(). */
	if (c->eof && !c->expired && !evtimer_pending(&c->timer, NULL))
		vme_conn_close(c);
}

int
vme_conn_hold(struct vme_conn *c, int opcode, const char *p, size_t len)
{
	struct audit	 a;

	vme_conn_release(c);
	if (len > VME_IN_SMALL && env->inbytes + len > VME_IN_TOTAL) {
		vme_audit(&a, AUDIT_LIMIT_REACHED, c);
		audit_limit(&a, "requests per vm", VME_IN_TOTAL);
		audit_log(&a, "no room for %zu bytes of uid %u", len,
		    c->who.uid);
		vme_conn_fail(c, opcode, "no room for %zu bytes", len);
		return (-1);
	}
	env->inbytes += len;
	c->req = vme_malloc(len + 1);
	memcpy(c->req, p, len);
	c->req[len] = '\0';
	c->reqlen = len;
	c->opcode = opcode;
	return (0);
}

void
vme_conn_release(struct vme_conn *c)
{
	env->inbytes -= c->reqlen;
	free(c->req);
	c->req = NULL;
	c->reqlen = 0;
}
