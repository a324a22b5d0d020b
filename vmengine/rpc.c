/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: connections of protocol 1.x: requests one after the other,
 * each answered before the next is looked at.  Every byte comes from a
 * client.  What a client says last it may say and go: requests that are
 * readable are served whether their replies can be delivered or not.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpc1.h"
#include "vmengine.h"

static void	vme_rpc_request(struct vme_conn *, const char *, size_t);
static void	vme_rpc_vm(struct vme_conn *, const struct rpc_request *,
		    int);
static void	vme_rpc_allocate(struct vme_conn *, struct json_slice);
static void	vme_rpc_allocated(struct vme_conn *, int);
static void	vme_rpc_hyper(struct vme_conn *, struct json_slice);
static int	vme_rpc_code(const char *);
static vme_ctl_done vme_rpc_hyper_done;

/* The bytes used; stops where a request must wait or is incomplete. */
size_t
vme_rpc_frames(struct vme_conn *c, uint8_t *p, size_t len)
{
	size_t	 n, off;

	off = 0;
	while (!c->dead && !c->closing && c->wait == VME_IDLE &&
	    c->replylen <= VME_REPLY_MAX && len - off >= RPC_HEADER_SIZE) {
		if (rpc_header_decode(p + off, &n) == -1) {
			vme_conn_violation(c, "rpc: bad header");
			break;
		}
		if (len - off < RPC_HEADER_SIZE + n)
			break;
		vme_rpc_request(c, (const char *)p + off + RPC_HEADER_SIZE,
		    n);
		off += RPC_HEADER_SIZE + n;
	}
	return (off);
}

static void
vme_rpc_request(struct vme_conn *c, const char *p, size_t len)
{
	struct rpc_request	 req;
	char			 err[JSON_ERRMAX];
	int			 fresh;

	if (rpc_request_parse(&req, p, len, err) == -1) {
		vme_conn_violation(c, "%s", err);
		return;
	}
	fresh = c->fresh;
	c->fresh = 0;
	switch (req.id) {
	case RPC_NONE:
		vme_conn_fail(c, 0, "no 'id' field in request");
		break;
	case RPC_HELLO:
	case RPC_ATTACH:
	case RPC_BYE:
		vme_rpc_vm(c, &req, fresh);
		break;
	case RPC_ALLOCATEIO:
		vme_rpc_allocate(c, req.data);
		break;
	case RPC_HYPER:
		vme_rpc_hyper(c, req.data);
		break;
	case RPC_UNKNOWN:
	default:
		vme_conn_fail(c, 0, "no payload named '%s'", req.name);
		break;
	}
	rpc_request_free(&req);
}

/* What RegisterVM, AttachVM and UnregisterVM do, by members' same names. */
static void
vme_rpc_vm(struct vme_conn *c, const struct rpc_request *req, int fresh)
{
	if (req->id == RPC_BYE)
		vme_unregister(c, req->data.p, req->data.len);
	else
		vme_attach(c, req->id == RPC_HELLO ? FRM_REGISTERVM :
		    FRM_ATTACHVM, req->data.p, req->data.len, fresh);
}

/*
 * allocateIO: a pair of sockets, one end for the client.  The reply goes
 * out whole, then the descriptor on a byte of its own.
 */

static void
vme_rpc_allocate(struct vme_conn *c, struct json_slice data)
{
	char	 err[JSON_ERRMAX];
	int64_t	 n;

	if (rpc_streams_parse(&n, data, err) == -1)
		vme_conn_fail(c, 0, "%s", err);
	else if (!c->attached)
		vme_conn_fail(c, 0, "client not attached to a vm");
	else if (n < 1 || n > 2)
		vme_conn_fail(c, 0,
		    "asking for unexpected number of streams (%lld)",
		    (long long)n);
	else if (env->state != VME_UP)
		vme_conn_fail(c, 0, "VM lost");
	else
		vme_rpc_allocated(c, (int)n);
}

static void
vme_rpc_allocated(struct vme_conn *c, int nseq)
{
	struct audit	 a;
	char		*data;
	int		 sv[2], n;

	if (env->nios >= env->ios_max) {
		vme_audit(&a, AUDIT_LIMIT_REACHED, c);
		audit_limit(&a, "I/O descriptors", env->ios_max);
		audit_log(&a, "too many I/O descriptors: uid %u", c->who.uid);
		vme_conn_fail(c, 0, "too many I/O descriptors (max %u)",
		    env->ios_max);
		return;
	}
	/* Blocking: that is how the client reads its end. */
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1) {
		vme_conn_fail(c, 0, "%s", log_strerror(errno));
		return;
	}
	peer_log(LOGL_INFO, c->client, "allocateIo(nStreams=%d)", nseq);
	n = asprintf(&data, "{\"ioBase\":%llu}",
	    (unsigned long long)env->next_seq);
	if (n == -1)
		fatal("%s", __func__);
	vme_audit(&a, AUDIT_IO_ALLOCATED, c);
	audit_log(&a, "I/O descriptor for uid %u", c->who.uid);
	vme_rpc_io_new(&c->who, sv[0], nseq);
	vme_conn_reply(c, 0, data, (size_t)n);
	vme_conn_send_fd(c, RPC_FD_TAG, sv[1]);
	free(data);
}

/*
 * hyper
 */

/* The commands of the time: what came later is not known here. */
static int
vme_rpc_code(const char *name)
{
	int	 code;

	code = hyp_code(name);
	return (code == HYP_REMOVECONTAINER || code == HYP_PSCONTAINER ? -1 :
	    code);
}

static void
vme_rpc_hyper(struct vme_conn *c, struct json_slice data)
{
	struct rpc_hyper	 req;
	char			 err[JSON_ERRMAX];
	size_t			 len;
	int			 code;

	if (rpc_hyper_parse(&req, data, err) == -1) {
		vme_conn_fail(c, 0, "%s", err);
		return;
	}
	len = req.data.p == NULL ? 0 : req.data.len;
	if (!c->attached) {
		vme_conn_fail(c, 0, "client not attached to a vm");
		goto done;
	}
	peer_log(LOGL_INFO, c->client, "hyper(cmd=\"%s\", data=\"<%zu "
	    "bytes>\")", req.name, len);
	if ((code = vme_rpc_code(req.name)) == -1)
		vme_conn_fail(c, 0, "unknown command '%s'", req.name);
	else if (HYP_CTL_HEADER_SIZE + len > vme_dialect_max(c->proto))
		vme_conn_fail(c, 0, "message too long %zu",
		    HYP_CTL_HEADER_SIZE + len);
	else if (env->state != VME_UP)
		vme_conn_fail(c, 0, "write unix @->%s: use of closed network "
		    "connection", env->conf.ctl);
	else {
		c->opcode = 0;
		vme_conn_wait(c, VME_WAIT_AGENT, vme_ctl_patience(code));
		vme_ctl_command(c, (uint32_t)code, req.data.p, len, 0,
		    vme_rpc_hyper_done);
	}

 done:
	rpc_hyper_free(&req);
}

/*
 * What an ACK carries is dropped.  That the VM ends after a command was
 * written is success: deleting a pod powers it off.
 */
static void
vme_rpc_hyper_done(struct vme_conn *c, uint32_t code, const uint8_t *p,
    size_t len)
{
	if (code == HYP_ACK || code == VME_UNANSWERED)
		vme_conn_reply(c, 0, NULL, 0);
	else if (code == VME_REFUSED)
		vme_conn_fail(c, 0, "%.*s", (int)len, (const char *)p);
	else if (code == VME_NOREPLY)
		vme_conn_fail(c, 0, "write unix @->%s: broken pipe",
		    env->conf.ctl);
	else if (code == HYP_ERROR)
		vme_conn_fail(c, 0, "ERROR received from Hyperstart");
	else
		vme_conn_fail(c, 0, "CMD ID received %u not matching expected "
		    "%d", code, HYP_ACK);
	vme_conn_done(c);
}
