/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: requests of protocol 1.x.  hello, attach and bye ask for
 * what RegisterVM, AttachVM and UnregisterVM do, with members of the same
 * names; the others need a VM, which a connection that is still here does
 * not have.
 */

#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "rpc1.h"

static void	fe_rpc_vm(struct fe_conn *, const struct rpc_request *);
static void	fe_rpc_unattached(struct fe_conn *,
		    const struct rpc_request *);

void
fe_rpc(struct fe_conn *c)
{
	struct audit_who	 who;
	struct rpc_request	 req;
	char			 err[JSON_ERRMAX];

	if (!fe_room()) {
		fe_who(&who, c);
		fe_refused(c->user, &who, "memory", 0,
		    "no memory for a request");
		fe_conn_fail(c, 0, "out of memory");
		return;
	}
	if (rpc_request_parse(&req, (const char *)c->in + RPC_HEADER_SIZE,
	    c->hdr.len, err) == -1) {
		fe_conn_violation(c, err);
		return;
	}
	/* Nothing more is read before it is answered or passed on. */
	c->state = FE_PARKED;
	fe_conn_update(c);
	switch (req.id) {
	case RPC_NONE:
		fe_conn_fail(c, 0, "no 'id' field in request");
		break;
	case RPC_HELLO:
	case RPC_ATTACH:
	case RPC_BYE:
		fe_rpc_vm(c, &req);
		break;
	case RPC_ALLOCATEIO:
	case RPC_HYPER:
		fe_rpc_unattached(c, &req);
		break;
	case RPC_UNKNOWN:
	default:
		fe_conn_fail(c, 0, "no payload named '%s'", req.name);
		break;
	}
	rpc_request_free(&req);
}

static void
fe_rpc_vm(struct fe_conn *c, const struct rpc_request *req)
{
	if (req->data.p == NULL) {
		fe_conn_fail(c, 0, "unexpected end of JSON input");
		return;
	}
	c->hdr.hdrlen = (size_t)(req->data.p - (const char *)c->in);
	c->hdr.len = req->data.len;
	switch (req->id) {
	case RPC_HELLO:
		c->hdr.opcode = FRM_REGISTERVM;
		fe_register(c);
		break;
	case RPC_ATTACH:
		c->hdr.opcode = FRM_ATTACHVM;
		fe_attach(c);
		break;
	default:
		c->hdr.opcode = FRM_UNREGISTERVM;
		fe_unregister(c);
		break;
	}
}

/* The payload is judged first; then it may be that the engine died. */
static void
fe_rpc_unattached(struct fe_conn *c, const struct rpc_request *req)
{
	struct rpc_hyper	 hyper;
	char			 err[JSON_ERRMAX];
	int64_t			 n;
	int			 r;

	if (req->id == RPC_ALLOCATEIO)
		r = rpc_streams_parse(&n, req->data, err);
	else if ((r = rpc_hyper_parse(&hyper, req->data, err)) == 0)
		rpc_hyper_free(&hyper);
	if (r == -1)
		fe_conn_fail(c, 0, "%s", err);
	else if (c->dead == NULL)
		fe_conn_fail(c, 0, "client not attached to a vm");
	else
		fe_conn_fail(c, 0, "write unix @->%s: use of closed network "
		    "connection", c->dead->ctl);
}
