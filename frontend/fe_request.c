/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: what the first request of a connection asks for: a VM to be
 * opened, an engine to be passed to, or an answer that can be given here.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "rpc1.h"

static const char *fe_payload(const struct fe_conn *);
static int	fe_vm_parse(const struct fe_conn *, struct req_vm *, int,
		    char [JSON_ERRMAX]);
static void	fe_hyper(struct fe_conn *, const char *, size_t);
static void	fe_token_refused(const struct fe_conn *,
		    const struct fe_vm *);
static void	fe_connect_shim(struct fe_conn *, const char *, size_t);
static void	fe_route(struct fe_conn *, struct fe_vm *);

static const char *
fe_payload(const struct fe_conn *c)
{
	return ((const char *)c->in + c->hdr.hdrlen);
}

/*
 * The payload of hello is RegisterVM's without numIOStreams, those of attach
 * and bye are a containerId; members of the others mean nothing there.
 */
static int
fe_vm_parse(const struct fe_conn *c, struct req_vm *req, int opcode,
    char err[JSON_ERRMAX])
{
	if (c->proto == MSG_PROTO_1)
		return (rpc_vm_parse_as(req, opcode, fe_payload(c),
		    c->hdr.len, err));
	return (req_vm_parse(req, opcode, fe_payload(c), c->hdr.len, err));
}

void
fe_request(struct fe_conn *c)
{
	struct audit_who	 who;
	const char	*p = fe_payload(c);
	size_t		 len = c->hdr.len;

	/* Nothing more is read before it is answered or passed on. */
	c->state = FE_PARKED;
	fe_conn_update(c);
	if (!fe_room()) {
		fe_who(&who, c);
		fe_refused(c->user, &who, "memory", 0,
		    "no memory for a request");
		fe_conn_fail(c, c->hdr.opcode, "out of memory");
		return;
	}
	switch (c->hdr.opcode) {
	case FRM_REGISTERVM:
		fe_register(c);
		break;
	case FRM_ATTACHVM:
		fe_attach(c);
		break;
	case FRM_UNREGISTERVM:
		fe_unregister(c);
		break;
	case FRM_HYPER:
		fe_hyper(c, p, len);
		break;
	case FRM_CONNECTSHIM:
		fe_connect_shim(c, p, len);
		break;
	default:
		/* DisconnectShim, Signal */
		fe_conn_fail(c, c->hdr.opcode, "client isn't a shim");
		break;
	}
}

void
fe_register(struct fe_conn *c)
{
	struct req_vm	 req;
	struct fe_vm	*vm;
	const char	*why;
	char		 err[JSON_ERRMAX];

	if (fe_vm_parse(c, &req, FRM_REGISTERVM, err) == -1) {
		fe_conn_fail(c, FRM_REGISTERVM, "%s", err);
		return;
	}
	if (!fe_may(c, POLICY_REGISTER, req.id, NULL)) {
		fe_conn_fail(c, FRM_REGISTERVM, POLICY_DENIED);
		req_vm_free(&req);
		return;
	}
	if (c->proto == MSG_PROTO_1) {
		/* A failed create of 1.x never says bye: its VM is dead. */
		vm = fe_vm_by_id(req.id);
		if (vm != NULL && vm->state == MSG_STATE_TOMB &&
		    req.ctl[0] != '\0' && req.io[0] != '\0' &&
		    fe_allowed(c, POLICY_UNREGISTER, vm)) {
			fe_audit_unregistered(c, vm);
			fe_vm_unregister(vm);
			fe_vm_check(vm);
		}
	}
	if (req.id[0] == '\0' || req.ctl[0] == '\0' || req.io[0] == '\0')
		fe_conn_fail(c, FRM_REGISTERVM,
		    "malformed %s command", c->proto == MSG_PROTO_1 ?
		    "hello" : "RegisterVM");
	else if (strlen(req.id) > MSG_ID_MAX)
		fe_conn_fail(c, FRM_REGISTERVM,
		    "containerId too long %zu (max %d)", strlen(req.id),
		    MSG_ID_MAX);
	else if (req.nstreams > REQ_STREAMS_MAX)
		fe_conn_fail(c, FRM_REGISTERVM,
		    "too many I/O streams %lld (max %d)",
		    (long long)req.nstreams, REQ_STREAMS_MAX);
	else if (fe_vm_by_id(req.id) != NULL)
		fe_conn_fail(c, FRM_REGISTERVM,
		    "%s: container already registered", req.id);
	else if (strlen(req.ctl) > MSG_SUN_MAX)
		fe_conn_fail(c, FRM_REGISTERVM,
		    "dial unix %s: connect: invalid argument", req.ctl);
	else if (strlen(req.io) > MSG_SUN_MAX)
		fe_conn_fail(c, FRM_REGISTERVM,
		    "dial unix %s: connect: invalid argument", req.io);
	else if (fe_share_vms(c, &why) == -1 || fe_share_served(c, &why) == -1)
		fe_conn_fail(c, FRM_REGISTERVM, "%s", why);
	else if (fe_share_tokens(c->user, req.nstreams > 0 ?
	    (size_t)req.nstreams : 0)) {
		fe_tokens_limit(c, NULL, (size_t)req.nstreams);
		fe_conn_fail(c, FRM_REGISTERVM, "no more I/O tokens");
	} else {
		peer_log(LOGL_INFO, c->client, "RegisterVM(containerId=%s,"
		    "ctlSerial=%s,ioSerial=%s,console=%s)", req.id, req.ctl,
		    req.io, req.console);
		c->ntokens = req.nstreams > 0 ? (uint32_t)req.nstreams : 0;
		fe_vm_open(c, &req);
	}
	req_vm_free(&req);
}

void
fe_attach(struct fe_conn *c)
{
	struct req_vm	 req;
	struct fe_vm	*vm;
	char		 err[JSON_ERRMAX];

	if (fe_vm_parse(c, &req, FRM_ATTACHVM, err) == -1) {
		fe_conn_fail(c, FRM_ATTACHVM, "%s", err);
		return;
	}
	vm = fe_vm_by_id(req.id);
	if (req.nstreams > REQ_STREAMS_MAX)
		fe_conn_fail(c, FRM_ATTACHVM,
		    "too many I/O streams %lld (max %d)",
		    (long long)req.nstreams, REQ_STREAMS_MAX);
	else if (!fe_may(c, POLICY_ATTACH, req.id, vm))
		fe_conn_fail(c, FRM_ATTACHVM, POLICY_DENIED);
	else if (vm == NULL)
		fe_conn_fail(c, FRM_ATTACHVM, "unknown containerID: %s",
		    req.id);
	else {
		c->ntokens = req.nstreams > 0 ? (uint32_t)req.nstreams : 0;
		fe_route(c, vm);
	}
	req_vm_free(&req);
}

/* To its engine; to nobody if that died; or wait until it is known. */
static void
fe_route(struct fe_conn *c, struct fe_vm *vm)
{
	if (vm->state == MSG_STATE_OPENING || vm->state == MSG_STATE_STARTING) {
		c->state = FE_PARKED;
		c->vm = vm;
		TAILQ_INSERT_TAIL(&vm->waiting, c, wait_entry);
	} else if (!vm->has_engine)
		fe_request_tomb(c, vm);
	else
		fe_handover(c, vm);
}

void
fe_unregister(struct fe_conn *c)
{
	struct req_vm	 req;
	struct fe_vm	*vm;
	char		 err[JSON_ERRMAX];

	if (fe_vm_parse(c, &req, FRM_UNREGISTERVM, err) == -1) {
		fe_conn_fail(c, FRM_UNREGISTERVM, "%s", err);
		return;
	}
	vm = fe_vm_by_id(req.id);
	if (!fe_may(c, POLICY_UNREGISTER, req.id, vm))
		fe_conn_fail(c, FRM_UNREGISTERVM, POLICY_DENIED);
	else if (vm == NULL || vm->state == MSG_STATE_OPENING ||
	    vm->state == MSG_STATE_STARTING)
		fe_conn_fail(c, FRM_UNREGISTERVM, "unknown containerID: %s",
		    req.id);
	else {
		peer_log(LOGL_INFO, c->client, "UnregisterVM()");
		c->dead = NULL;
		fe_unlisten();
		fe_conn_reply(c, FRM_UNREGISTERVM, NULL, 0);
		fe_unregistered(c, vm);
	}
	req_vm_free(&req);
}

/* Only a connection attached to a VM whose engine died gets further. */
static void
fe_hyper(struct fe_conn *c, const char *p, size_t len)
{
	struct req_hyper	 req;
	char			 err[JSON_ERRMAX];

	if (req_hyper_parse(&req, p, len, err) == -1) {
		fe_conn_fail(c, FRM_HYPER, "%s", err);
		return;
	}
	if (c->dead == NULL)
		fe_conn_fail(c, FRM_HYPER, "client not attached to a vm");
	else
		fe_conn_fail(c, FRM_HYPER,
		    "No multicast available for CTL channel");
	req_hyper_free(&req);
}

/* vm: whose it was, or NULL.  The token itself is a secret. */
static void
fe_token_refused(const struct fe_conn *c, const struct fe_vm *vm)
{
	struct audit	 a;

	fe_audit(&a, AUDIT_CLIENT_REFUSED, c);
	audit_str(&a, "op", "connect");
	if (vm != NULL)
		audit_str(&a, "vm", vm->id);
	audit_str(&a, "reason", vm == NULL ? "unknown token" :
	    "the VM's engine is gone");
	audit_log(&a, "no shim for uid %u, pid %u: %s", c->uid, c->pid,
	    vm == NULL ? "unknown token" : "the VM's engine is gone");
}

static void
fe_connect_shim(struct fe_conn *c, const char *p, size_t len)
{
	struct fe_vm	*vm;
	char		*token, err[JSON_ERRMAX];

	if (req_token_parse(&token, p, len, err) == -1) {
		fe_conn_fail(c, FRM_CONNECTSHIM, "%s", err);
		return;
	}
	if ((vm = fe_token_vm(token)) == NULL) {
		fe_token_refused(c, NULL);
		fe_conn_fail(c, FRM_CONNECTSHIM, "unknown token: %s", token);
	} else if (!vm->has_engine) {
		fe_token_refused(c, vm);
		fe_conn_fail(c, FRM_CONNECTSHIM, "vm: unknown token %s",
		    token);
	} else {
		c->ntokens = 0;
		fe_route(c, vm);
	}
	free(token);
}

/* What it was parked for will not come. */
void
fe_request_failed(struct fe_conn *c, const char *why)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX];

	if (why != NULL) {
		fe_conn_fail(c, c->hdr.opcode, "%s", why);
		return;
	}
	if (fe_vm_parse(c, &req, c->hdr.opcode, err) == -1) {
		fe_conn_fail(c, c->hdr.opcode, "%s", err);
		return;
	}
	fe_conn_fail(c, c->hdr.opcode, "unknown containerID: %s", req.id);
	req_vm_free(&req);
}

/*
 * The VM's engine died, and nobody unregistered it yet: attaching works as
 * with any lost VM, and even yields tokens.
 */
void
fe_request_tomb(struct fe_conn *c, struct fe_vm *vm)
{
	char	(*tokens)[TOKEN_SIZE];
	char	*payload;
	size_t	 len;

	if (c->hdr.opcode == FRM_CONNECTSHIM) {
		/* Its token cannot be routed any more. */
		fe_connect_shim(c, fe_payload(c), c->hdr.len);
		return;
	}
	if ((tokens = fe_token_mint(vm, c->ntokens)) == NULL) {
		fe_tokens_limit(c, vm, c->ntokens);
		fe_conn_fail(c, c->hdr.opcode, "no more I/O tokens");
		return;
	}
	peer_log(LOGL_INFO, c->client, "AttachVM(containerId=%s)", vm->id);
	fe_attached(c, vm);
	if (c->proto == MSG_PROTO_1)
		payload = rpc_version_data(&len);
	else
		payload = req_io_payload(fenv->conf.path, tokens, c->ntokens,
		    &len);
	if (payload == NULL) {
		while (c->ntokens > 0)
			fe_token_free(vm, tokens[--c->ntokens]);
		free(tokens);
		fe_conn_fail(c, c->hdr.opcode, "out of memory");
		return;
	}
	c->dead = vm;
	fe_conn_reply(c, c->hdr.opcode, payload, len);
	free(payload);
	free(tokens);
}
