/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: a connection that no engine has yet.  Reads are exact: the
 * header, the rest of the header, the announced payload, and not one byte
 * more, because an engine will read on from there.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"
#include "rpc1.h"

static void	fe_conn_event(int, short, void *);
static void	fe_conn_timeout(int, short, void *);
static int	fe_conn_read(struct fe_conn *);
static void	fe_conn_ended(struct fe_conn *);
static int	fe_conn_header(struct fe_conn *);
static int	fe_conn_size(struct fe_conn *);
static int	fe_conn_check(struct fe_conn *);
static void	fe_conn_frame(struct fe_conn *);
static int	fe_conn_flush(struct fe_conn *);
static void	fe_conn_write(struct fe_conn *, uint8_t *, size_t);
static int	fe_conn_header1(struct fe_conn *);

static int
fe_conn_cmp(struct fe_conn *a, struct fe_conn *b)
{
	return (a->connid < b->connid ? -1 : a->connid > b->connid);
}

RB_GENERATE(fe_conns, fe_conn, entry, fe_conn_cmp)

void
fe_conn_new(int fd, int proto, uint32_t uid, uint32_t gid, uint32_t pid)
{
	struct fe_user	*user;
	struct fe_conn	*c;
	struct audit_who who;

	fenv->naccepted++;
	if ((user = fe_user_get(uid)) == NULL)
		fatal("%s", __func__);
	if (fe_share_unrouted(user)) {
		who.client = fenv->naccepted;
		who.uid = uid;
		who.gid = gid;
		who.pid = pid;
		who.proto = proto == MSG_PROTO_1 ? 1 : 3;
		fe_refused(user, &who, "clients per uid",
		    fenv->conf.limits.clients_uid, "too many connections");
		fe_user_put(user);
		close(fd);
		return;
	}
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->in = malloc(FRM_HEADER_SIZE)) == NULL)
		fatal("%s", __func__);
	do {
		c->connid = ++fenv->last_connid;
	} while (c->connid == 0 ||
	    RB_INSERT(fe_conns, &fenv->conns, c) != NULL);
	c->client = fenv->naccepted;
	c->fd = fd;
	c->proto = proto;
	c->user = user;
	c->uid = uid;
	c->gid = gid;
	c->pid = pid;
	c->insize = FRM_HEADER_SIZE;
	c->want = proto == MSG_PROTO_1 ? RPC_HEADER_SIZE : FRM_HEADER_SIZE;
	evtimer_set(&c->timer, fe_conn_timeout, c);
	fenv->nunrouted++;
	user->nunrouted++;
	peer_log(LOGL_INFO, c->client, "client connected");
	fe_conn_update(c);
}

/* Also ends the record of a routed connection; its socket is gone then. */
void
fe_conn_close(struct fe_conn *c)
{
	if (c->state == FE_ROUTED) {
		LIST_REMOVE(c, vm_entry);
		c->vm->nconns--;
		fenv->nrouted--;
		c->user->nrouted--;
	} else {
		peer_log(LOGL_INFO, c->client, "connection closed");
		if (c->ev_flags != 0)
			event_del(&c->ev);
		evtimer_del(&c->timer);
		close(c->fd);
		fenv->nunrouted--;
		c->user->nunrouted--;
		fe_share_count(c, 0, c->insize - FRM_HEADER_SIZE);
	}
	fe_user_put(c->user);
	RB_REMOVE(fe_conns, &fenv->conns, c);
	free(c->in);
	free(c->out);
	free(c);
}

void
fe_conn_update(struct fe_conn *c)
{
	short	 want;

	want = 0;
	if (c->outlen > 0)
		want = EV_WRITE;
	else if (c->state == FE_HEADER || c->state == FE_REST)
		want = EV_READ;
	if (want == c->ev_flags)
		return;
	if (c->ev_flags != 0)
		event_del(&c->ev);
	c->ev_flags = want;
	if (want == 0)
		return;
	event_set(&c->ev, c->fd, want | EV_PERSIST, fe_conn_event, c);
	if (event_add(&c->ev, NULL) == -1) {
		/* It would wait for ever; who called us still has it. */
		c->ev_flags = 0;
		event_active(&c->timer, want, 1);
	}
}

/* Half a request: an idle connection may stay, an unfinished one not. */
static void
fe_conn_timeout(int fd, short event, void *arg)
{
	(void)fd;
	if (event & EV_TIMEOUT)
		fe_conn_limit(arg, "request time", FE_REQUEST_TIME,
		    "timeout reading a request");
	else
		fe_conn_error(arg, "no memory to wait for it");
}

static void
fe_conn_event(int fd, short event, void *arg)
{
	struct fe_conn	*c = arg;

	(void)fd;
	if (event & EV_WRITE) {
		if (fe_conn_flush(c) == -1)
			return;
	} else if (fe_conn_read(c) == -1)
		return;
	fe_conn_update(c);
}

void
fe_who(struct audit_who *who, const struct fe_conn *c)
{
	who->client = c->client;
	who->uid = c->uid;
	who->gid = c->gid;
	who->pid = c->pid;
	who->proto = c->proto == MSG_PROTO_1 ? 1 : 3;
}

void
fe_audit(struct audit *a, enum audit_event event, const struct fe_conn *c)
{
	struct audit_who	 who;

	fe_who(&who, c);
	audit_begin(a, event);
	audit_who(a, &who);
}

void
fe_conn_error(struct fe_conn *c, const char *why)
{
	peer_log(LOGL_ERROR, c->client, "error serving client: %s", why);
	fe_conn_close(c);
}

void
fe_conn_violation(struct fe_conn *c, const char *why)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_PROTOCOL_VIOLATION, c);
	audit_str(&a, "reason", why);
	audit_log_at(&a, LOGL_ERROR, "error serving client: %s", why);
	fe_conn_close(c);
}

void
fe_conn_limit(struct fe_conn *c, const char *limit, uint32_t max,
    const char *why)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_LIMIT_REACHED, c);
	audit_limit(&a, limit, max);
	audit_log_at(&a, LOGL_ERROR, "error serving client: %s", why);
	fe_conn_close(c);
}

/* -1: the connection is no longer ours to touch. */
static int
fe_conn_read(struct fe_conn *c)
{
	struct timeval	 tv = { FE_REQUEST_TIME, 0 };
	ssize_t		 n;

	n = recv(c->fd, c->in + c->inlen, c->want - c->inlen, MSG_DONTWAIT);
	if (n == -1) {
		if (peer_again(errno))
			return (0);
		fe_conn_error(c, log_strerror(errno));
		return (-1);
	}
	if (n == 0) {
		fe_conn_ended(c);
		return (-1);
	}
	c->inlen += (size_t)n;
	if (c->inlen < c->want) {
		if (!evtimer_pending(&c->timer, NULL))
			evtimer_add(&c->timer, &tv);
		return (0);
	}
	if (c->state == FE_HEADER && (c->proto == MSG_PROTO_1 ?
	    fe_conn_header1(c) : fe_conn_header(c)) == -1)
		return (-1);
	if (c->inlen < c->want) {
		if (!evtimer_pending(&c->timer, NULL))
			evtimer_add(&c->timer, &tv);
		return (0);
	}
	evtimer_del(&c->timer);
	fe_conn_frame(c);
	return (-1);
}

static void
fe_conn_ended(struct fe_conn *c)
{
	if (c->state == FE_HEADER && c->inlen > 0)
		fe_conn_violation(c, "frame: couldn't read the full header");
	else
		fe_conn_close(c);
}

/* Violations of 1.x are answered with the end of the connection. */
static int
fe_conn_header1(struct fe_conn *c)
{
	size_t	 len;

	if (rpc_header_decode(c->in, &len) == -1) {
		fe_conn_violation(c, "rpc: bad header");
		return (-1);
	}
	if (len > FRM_UNROUTED_MAX && fe_share_bytes(c->user, len)) {
		fe_conn_limit(c, "requests", fenv->inbytes + len >
		    FE_RPC_TOTAL ? FE_RPC_TOTAL : FE_RPC_UID,
		    "no room for the request");
		return (-1);
	}
	c->hdr.hdrlen = RPC_HEADER_SIZE;
	c->hdr.len = len;
	return (fe_conn_size(c));
}

static int
fe_conn_header(struct fe_conn *c)
{
	if (fe_conn_check(c) == -1)
		return (-1);
	return (fe_conn_size(c));
}

/* Make room for the frame whose header was read; -1: closed, there is none. */
static int
fe_conn_size(struct fe_conn *c)
{
	uint8_t	*in;

	c->want = c->hdr.hdrlen + c->hdr.len;
	if (c->want > c->insize) {
		/* As many small ones as there can be leave half of it. */
		if ((c->want > FE_RESERVE / 2 / fenv->unrouted_max &&
		    !fe_room()) || (in = realloc(c->in, c->want)) == NULL) {
			fe_conn_error(c, "no memory for the request");
			return (-1);
		}
		fe_share_count(c, c->want - c->insize, 0);
		c->in = in;
		c->insize = c->want;
	}
	c->state = FE_REST;
	return (0);
}

/* What the header alone tells; -1 if the connection was closed for it. */
static int
fe_conn_check(struct fe_conn *c)
{
	struct frm_header	*h = &c->hdr;
	enum frm_error		 e;
	char			 why[128];

	if ((e = frm_decode(c->in, h)) != FRM_OK)
		frm_strerror(e, h, why, sizeof(why));
	else if (h->type == FRM_RESPONSE || h->type == FRM_NOTIFICATION)
		snprintf(why, sizeof(why),
		    "protocol: unexpected frame type (%s)",
		    frm_type_name(h->type));
	else if (h->type == FRM_STREAM && h->opcode == FRM_STDIN)
		snprintf(why, sizeof(why), "stdin: client not associated "
		    "with any I/O session");
	else if (h->type == FRM_STREAM && h->opcode != FRM_LOG)
		snprintf(why, sizeof(why), "no handler for stream %s",
		    frm_stream_name(h->opcode));
	else if (h->len > FRM_UNROUTED_MAX)
		snprintf(why, sizeof(why), "frame: payload too long %zu",
		    h->len);
	else
		return (0);
	fe_conn_violation(c, why);
	return (-1);
}

/* A complete frame. */
static void
fe_conn_frame(struct fe_conn *c)
{
	char	 err[JSON_ERRMAX];

	if (c->proto == MSG_PROTO_1) {
		fe_rpc(c);
		return;
	}
	if (c->hdr.type == FRM_COMMAND) {
		fe_request(c);
		return;
	}
	if (peer_log_frame(c->client, c->in + c->hdr.hdrlen, c->hdr.len,
	    err) == -1) {
		fe_conn_violation(c, err);
		return;
	}
	fe_conn_next(c);
}

void
fe_conn_next(struct fe_conn *c)
{
	uint8_t	*in;

	c->state = FE_HEADER;
	c->inlen = 0;
	c->want = c->proto == MSG_PROTO_1 ? RPC_HEADER_SIZE :
	    FRM_HEADER_SIZE;
	if (c->insize > FRM_HEADER_SIZE &&
	    (in = realloc(c->in, FRM_HEADER_SIZE)) != NULL) {
		fe_share_count(c, 0, c->insize - FRM_HEADER_SIZE);
		c->in = in;
		c->insize = FRM_HEADER_SIZE;
	}
	fe_conn_update(c);
}

/*
 * Responses.  Only one can be under way: nothing is read before it is out.
 */

static int
fe_conn_flush(struct fe_conn *c)
{
	ssize_t	 n;

	n = send(c->fd, c->out + c->outoff, c->outlen,
	    MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1) {
		if (peer_again(errno))
			return (0);
		fe_conn_close(c);
		return (-1);
	}
	c->outoff += (size_t)n;
	c->outlen -= (size_t)n;
	if (c->outlen == 0) {
		free(c->out);
		c->out = NULL;
		c->outoff = 0;
	}
	return (0);
}

/* Takes the frame.  An error shows when the connection is next read. */
static void
fe_conn_write(struct fe_conn *c, uint8_t *frame, size_t len)
{
	ssize_t	 n;

	n = send(c->fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n == -1 && !peer_again(errno))
		n = (ssize_t)len;
	if (n == -1)
		n = 0;
	if ((size_t)n == len) {
		free(frame);
		return;
	}
	c->out = frame;
	c->outoff = (size_t)n;
	c->outlen = len - (size_t)n;
}

void
fe_conn_reply(struct fe_conn *c, int opcode, const void *payload, size_t len)
{
	uint8_t	*frame;
	size_t	 framelen;

	frame = peer_reply(c->proto, opcode, payload, len, &framelen);
	fe_conn_write(c, frame, framelen);
	fe_conn_next(c);
}

void
fe_conn_fail(struct fe_conn *c, int opcode, const char *fmt, ...)
{
	uint8_t	*frame;
	size_t	 framelen;
	va_list	 ap;

	va_start(ap, fmt);
	frame = peer_fail(c->proto, opcode, &framelen, fmt, ap);
	va_end(ap);
	fe_conn_write(c, frame, framelen);
	fe_conn_next(c);
}
