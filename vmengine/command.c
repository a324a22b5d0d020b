/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: the commands of a client, one at a time per connection.
 * The payloads come from clients.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc1.h"
#include "vmengine.h"

static int	vme_vm_parse(struct vme_conn *, struct req_vm *, int,
		    const char *, size_t, char [JSON_ERRMAX]);
static void	vme_attached(struct vme_conn *, int);
static void	vme_hyper(struct vme_conn *, const char *, size_t);
static void	vme_hyper_go(struct vme_conn *);
static int	vme_hyper_tokens(struct vme_conn *, const struct req_hyper *,
		    struct vme_session **);
static int	vme_hyper_starts(const char *);
static void	vme_hyper_remember(struct vme_session *, struct json_slice);
static vme_ctl_done vme_hyper_done;
static void	vme_connect_shim(struct vme_conn *, const char *, size_t,
		    int);
static void	vme_disconnect_shim(struct vme_conn *);

/* One complete command frame. */
void
vme_command(struct vme_conn *c, int opcode, const uint8_t *payload,
    size_t len)
{
	const char	*p = (const char *)payload;
	int		 fresh;

	fresh = c->fresh;
	c->fresh = 0;
	switch (opcode) {
	case FRM_REGISTERVM:
	case FRM_ATTACHVM:
		vme_attach(c, opcode, p, len, fresh);
		break;
	case FRM_UNREGISTERVM:
		vme_unregister(c, p, len);
		break;
	case FRM_HYPER:
		vme_hyper(c, p, len);
		break;
	case FRM_CONNECTSHIM:
		vme_connect_shim(c, p, len, fresh);
		break;
	case FRM_DISCONNECTSHIM:
		vme_disconnect_shim(c);
		break;
	case FRM_SIGNAL:
		vme_signal(c, p, len);
		break;
	default:
		vme_conn_fail(c, opcode, "no handler for command %s",
		    frm_command_name(opcode));
		break;
	}
}

/*
 * A wait ended: what was waited for is there, or the time is over, or the
 * VM is lost.
 */
void
vme_command_resume(struct vme_conn *c)
{
	struct req_signal	 req;
	char			 err[JSON_ERRMAX], t[TOKEN_SHORT];
	struct vme_session	*s = c->waiting;

	switch (c->wait) {
	case VME_WAIT_SHIM:
		if (s != NULL && s->conn == NULL && !c->expired)
			return;
		vme_hyper_go(c);
		break;
	case VME_WAIT_PROCESS:
		s = c->session;
		if (s == NULL) {
			vme_conn_fail(c, FRM_SIGNAL,
			    "No multicast available for CTL channel");
			vme_conn_done(c);
		} else if (s->started) {
			if (req_signal_parse(&req, c->req, c->reqlen,
			    err) == -1)
				fatalx("%s: %s", __func__, err);
			vme_conn_done(c);
			vme_signal_go(c, &req);
		} else if (c->expired) {
			token_shorten(s->token, t);
			peer_log(LOGL_ERROR, c->client,
			    "timeout waiting for process with token %s", t);
			vme_conn_fail(c, FRM_SIGNAL,
			    "timeout waiting for process with token %s",
			    s->token);
			vme_conn_done(c);
		}
		break;
	case VME_WAIT_STDIN:
		if (c->session == NULL)
			vme_conn_close(c);
		else if (!vme_session_unstarted(c->session))
			vme_conn_done(c);
		else if (c->expired) {
			token_shorten(c->session->token, t);
			vme_conn_error(c,
			    "timeout waiting for process with token %s", t);
		}
		break;
	case VME_WAIT_AGENT:
		if (!c->expired)
			return;
		vme_ctl_forget(c);
		env->counts.failed++;
		vme_conn_fail(c, c->opcode,
		    "timeout waiting for the VM agent");
		vme_conn_done(c);
		break;
	case VME_WAIT_PACE:
		if (c->expired)
			vme_conn_done(c);
		break;
	case VME_WAIT_ASK:
	case VME_WAIT_IO:
	case VME_IDLE:
		break;
	}
}

/*
 * RegisterVM, AttachVM
 */

/*
 * The payload of hello is RegisterVM's without numIOStreams, those of attach
 * and bye are a containerId; members of the others mean nothing there.
 */
static int
vme_vm_parse(struct vme_conn *c, struct req_vm *req, int opcode,
    const char *p, size_t len, char err[JSON_ERRMAX])
{
	if (c->proto == MSG_PROTO_1)
		return (rpc_vm_parse_as(req, opcode, p, len, err));
	return (req_vm_parse(req, opcode, p, len, err));
}

void
vme_attach(struct vme_conn *c, int opcode, const char *p, size_t len,
    int fresh)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX];

	if (vme_vm_parse(c, &req, opcode, p, len, err) == -1) {
		vme_conn_fail(c, opcode, "%s", err);
		return;
	}
	if (fresh) {
		/* The frontend judged it and minted its tokens. */
		if (opcode == FRM_ATTACHVM)
			peer_log(LOGL_INFO, c->client,
			    "AttachVM(containerId=%s)", req.id);
		vme_attached(c, opcode);
	} else if (opcode == FRM_REGISTERVM && (req.id[0] == '\0' ||
	    req.ctl[0] == '\0' || req.io[0] == '\0'))
		vme_conn_fail(c, opcode, "malformed %s command",
		    c->proto == MSG_PROTO_1 ? "hello" : "RegisterVM");
	else if (req.nstreams > REQ_STREAMS_MAX)
		vme_conn_fail(c, opcode, "too many I/O streams %lld (max %d)",
		    (long long)req.nstreams, REQ_STREAMS_MAX);
	else if (opcode == FRM_ATTACHVM && !env->unregistered &&
	    strcmp(req.id, env->conf.id) == 0) {
		peer_log(LOGL_INFO, c->client, "AttachVM(containerId=%s)",
		    req.id);
		/* One that came with a token may not be allowed to. */
		if (req.nstreams <= 0 && c->attached)
			vme_attached(c, opcode);
		else if (vme_conn_hold(c, opcode, p, len) == 0)
			vme_ask_mint(c, req.nstreams <= 0 ? 0 :
			    (uint32_t)req.nstreams);
	} else if (strlen(req.id) > MSG_ID_MAX)
		vme_conn_fail(c, opcode, "unknown containerID: %s", req.id);
	else if (vme_conn_hold(c, opcode, p, len) == 0)
		vme_ask(c, MSG_ASK_ID, req.id);
	req_vm_free(&req);
}

/* Make sessions of the tokens, in their order, and say yes. */
static void
vme_attached(struct vme_conn *c, int opcode)
{
	char	*payload;
	size_t	 i, len;

	for (i = 0; i < c->ntokens; i++, env->next_seq += 2)
		if (vme_session_new(c->tokens[i], env->next_seq, 2) == NULL) {
			vme_frontend_broke("token minted twice");
			return;
		}
	c->attached = 1;
	env->counts.opened += c->ntokens;
	if (c->proto == MSG_PROTO_1)
		payload = rpc_version_data(&len);
	else
		payload = req_io_payload(env->conf.path, c->tokens,
		    c->ntokens, &len);
	if (payload == NULL)
		fatal("%s", __func__);
	free(c->tokens);
	c->tokens = NULL;
	c->ntokens = 0;
	vme_conn_reply(c, opcode, payload, len);
	free(payload);
}

void
vme_unregister(struct vme_conn *c, const char *p, size_t len)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX];

	if (vme_vm_parse(c, &req, FRM_UNREGISTERVM, p, len, err) == -1) {
		vme_conn_fail(c, FRM_UNREGISTERVM, "%s", err);
		return;
	}
	if (strlen(req.id) > MSG_ID_MAX)
		vme_conn_fail(c, FRM_UNREGISTERVM, "unknown containerID: %s",
		    req.id);
	else if (vme_conn_hold(c, FRM_UNREGISTERVM, p, len) == 0)
		vme_ask(c, MSG_ASK_UNREGISTER, req.id);
	req_vm_free(&req);
}

/* The frontend's answer to what this connection asked. */
void
vme_command_answer(struct vme_conn *c, enum msg_answer answer)
{
	struct req_vm	 req;
	char		*token, err[JSON_ERRMAX];

	if (c->opcode == FRM_CONNECTSHIM) {
		if (req_token_parse(&token, c->req, c->reqlen, err) == -1)
			fatalx("%s: %s", __func__, err);
		vme_refused(c, "connect", answer == MSG_ANSWER_FOREIGN ?
		    "another VM's token" : "unknown token");
		if (answer == MSG_ANSWER_OK)
			vme_conn_fail(c, c->opcode, "vm: unknown token %s",
			    token);
		else if (answer == MSG_ANSWER_FOREIGN)
			vme_conn_fail(c, c->opcode, "token %s belongs to "
			    "another VM: use a new connection", token);
		else
			vme_conn_fail(c, c->opcode, "unknown token: %s",
			    token);
		free(token);
		vme_conn_done(c);
		return;
	}
	if (vme_vm_parse(c, &req, c->opcode, c->req, c->reqlen, err) == -1)
		fatalx("%s: %s", __func__, err);
	switch (c->opcode) {
	case FRM_UNREGISTERVM:
		if (answer == MSG_ANSWER_OK) {
			peer_log(LOGL_INFO, c->client, "UnregisterVM()");
			c->attached = 0;
			vme_conn_reply(c, c->opcode, NULL, 0);
		} else if (answer == MSG_ANSWER_DENIED)
			vme_conn_fail(c, c->opcode, POLICY_DENIED);
		else
			vme_conn_fail(c, c->opcode, "unknown containerID: %s",
			    req.id);
		break;
	case FRM_REGISTERVM:
		if (answer == MSG_ANSWER_UNKNOWN)
			vme_conn_fail(c, c->opcode, "%s: this connection "
			    "belongs to another VM: use a new one", req.id);
		else
			vme_conn_fail(c, c->opcode,
			    "%s: container already registered", req.id);
		break;
	case FRM_ATTACHVM:
		if (c->tokens != NULL && answer == MSG_ANSWER_OK)
			vme_attached(c, c->opcode);
		else if (answer == MSG_ANSWER_REFUSED)
			vme_conn_fail(c, c->opcode, "no more I/O tokens");
		else if (answer == MSG_ANSWER_DENIED)
			vme_conn_fail(c, c->opcode, POLICY_DENIED);
		else if (answer == MSG_ANSWER_FOREIGN) {
			vme_refused(c, "attach", "another VM's connection");
			vme_conn_fail(c, c->opcode, "%s: this connection "
			    "belongs to another VM: use a new one", req.id);
		} else
			vme_conn_fail(c, c->opcode, "unknown containerID: %s",
			    req.id);
		break;
	}
	req_vm_free(&req);
	vme_conn_done(c);
}

/*
 * Hyper
 */

/* newcontainer and execcmd start a process and take its streams' numbers. */
static int
vme_hyper_starts(const char *name)
{
	return (strcmp(name, "newcontainer") == 0 ||
	    strcmp(name, "execcmd") == 0);
}

static void
vme_hyper(struct vme_conn *c, const char *p, size_t len)
{
	struct req_hyper	 req;
	struct vme_session	*s;
	char			 err[JSON_ERRMAX];

	if (req_hyper_parse(&req, p, len, err) == -1) {
		vme_conn_fail(c, FRM_HYPER, "%s", err);
		return;
	}
	if (!c->attached) {
		vme_conn_fail(c, FRM_HYPER, "client not attached to a vm");
		req_hyper_free(&req);
		return;
	}
	/* The data may hold the environment of a process: never logged. */
	if (req.data.p == NULL)
		peer_log(LOGL_INFO, c->client, "hyper(cmd=\"%s\", data=\"\")",
		    req.name);
	else
		peer_log(LOGL_INFO, c->client,
		    "hyper(cmd=\"%s\", data=\"<%zu bytes>\")", req.name,
		    req.data.len);
	if (vme_hyper_tokens(c, &req, &s) == 0 &&
	    vme_conn_hold(c, FRM_HYPER, p, len) == 0) {
		if (s != NULL && s->conn == NULL && env->state == VME_UP) {
			peer_log(LOGL_INFO, c->client,
			    "waiting for shim to register itself with token");
			vme_session_wait(s, c);
			vme_conn_wait(c, VME_WAIT_SHIM,
			    env->conf.timeouts.shim);
		} else
			vme_hyper_go(c);
	}
	req_hyper_free(&req);
}

/* *s is the token's session, NULL for none.  -1 if the client was told. */
static int
vme_hyper_tokens(struct vme_conn *c, const struct req_hyper *req,
    struct vme_session **s)
{
	char	 err[JSON_ERRMAX], *text;
	size_t	 len;

	*s = NULL;
	if (!vme_hyper_starts(req->name)) {
		if (req->ntokens == 0)
			return (0);
		vme_conn_fail(c, FRM_HYPER,
		    "%s doesn't need tokens but %zu token(s) were given",
		    req->name, req->ntokens);
		return (-1);
	}
	if (req->ntokens > 1) {
		vme_conn_fail(c, FRM_HYPER, "expected 0 or 1 token, got %zu",
		    req->ntokens);
		return (-1);
	}
	if (req->ntokens == 1 &&
	    (*s = vme_session_find(req->tokens[0])) == NULL) {
		vme_conn_fail(c, FRM_HYPER, "unknown token %s",
		    req->tokens[0]);
		return (-1);
	}
	/* Refuse bad data before any waiting. */
	text = json_set_stdio(req->data, *s == NULL ? 1 : (*s)->base,
	    strcmp(req->name, "newcontainer") == 0, &len, err);
	if (text == NULL) {
		vme_conn_fail(c, FRM_HYPER, "%s", err);
		return (-1);
	}
	free(text);
	if (*s != NULL && strcmp(req->name, "newcontainer") == 0)
		vme_hyper_remember(*s, req->data);
	return (0);
}

/* newcontainer names the container that signals of this session go to. */
static void
vme_hyper_remember(struct vme_session *s, struct json_slice data)
{
	struct json_slice	 id;
	char			 err[JSON_ERRMAX];
	json_t			*value;

	/* One that is longer fits no command. */
	if (json_find(data, "id", &id) == 0 || id.len > HYP_MESSAGE_MAX ||
	    (value = json_parse(id.p, id.len, err)) == NULL)
		return;
	if (json_is_string(value)) {
		free(s->container);
		if ((s->container = strdup(json_string_value(value))) == NULL)
			fatal("%s", __func__);
	}
	json_decref(value);
}

/* After the wait for the shim, if there was one.  c->req has the payload. */
static void
vme_hyper_go(struct vme_conn *c)
{
	struct req_hyper	 req;
	struct vme_session	*s;
	struct json_slice	 data;
	char			 err[JSON_ERRMAX], *text;
	int			 code;

	text = NULL;
	s = NULL;
	if (req_hyper_parse(&req, c->req, c->reqlen, err) == -1)
		fatalx("%s: %s", __func__, err);
	data = req.data;
	vme_session_unwait(c);
	if (env->state != VME_UP) {
		vme_conn_fail(c, FRM_HYPER,
		    "No multicast available for CTL channel");
		goto done;
	}
	if (vme_hyper_starts(req.name)) {
		if (req.ntokens == 0)
			s = vme_session_null();
		else if ((s = vme_session_find(req.tokens[0])) == NULL) {
			vme_conn_fail(c, FRM_HYPER, "unknown token %s",
			    req.tokens[0]);
			goto done;
		} else if (s->conn == NULL) {
			char t[TOKEN_SHORT];

			token_shorten(s->token, t);
			peer_log(LOGL_ERROR, c->client,
			    "timeout waiting for shim with token %s", t);
			vme_conn_fail(c, FRM_HYPER,
			    "timeout waiting for shim with token %s",
			    s->token);
			goto done;
		}
		text = json_set_stdio(req.data, s->base,
		    strcmp(req.name, "newcontainer") == 0, &data.len, err);
		if (text == NULL)
			fatalx("%s: %s", __func__, err);
		data.p = text;
	}
	/* Only the agent says these; a client that does means no good. */
	code = hyp_code(req.name);
	if (code == HYP_READY || code == HYP_ACK || code == HYP_ERROR ||
	    code == HYP_NEXT)
		code = -1;
	if (code == -1) {
		vme_conn_fail(c, FRM_HYPER, "unknown command '%s'", req.name);
		goto done;
	}
	if (data.p == NULL)
		data.len = 0;
	if (HYP_CTL_HEADER_SIZE + data.len > vme_dialect_max(c->proto)) {
		vme_conn_fail(c, FRM_HYPER, "message too long %zu",
		    HYP_CTL_HEADER_SIZE + data.len);
		goto done;
	}
	evtimer_del(&c->timer);
	vme_conn_wait(c, VME_WAIT_AGENT, vme_ctl_patience(code));
	vme_ctl_command(c, (uint32_t)code, data.p, data.len,
	    s == NULL ? 0 : s->base, vme_hyper_done);
	free(text);
	req_hyper_free(&req);
	return;

 done:
	free(text);
	req_hyper_free(&req);
	vme_conn_done(c);
}

void
vme_agent_reply(struct vme_conn *c, int opcode, uint32_t code,
    const uint8_t *p, size_t len)
{
	if (code == HYP_ACK)
		vme_conn_reply(c, opcode, p, len);
	else if (code == VME_NOREPLY || code == VME_UNANSWERED ||
	    code == VME_REFUSED)
		vme_conn_fail(c, opcode, "%.*s", (int)len, (const char *)p);
	else if (code == HYP_ERROR)
		vme_conn_fail(c, opcode, "ERROR received from VM agent, "
		    "control msg received : %.*s", (int)len,
		    (const char *)p);
	else
		vme_conn_fail(c, opcode, "CMD ID received %u not matching "
		    "expected %d, control msg received : %.*s", code, HYP_ACK,
		    (int)len, (const char *)p);
}

static void
vme_hyper_done(struct vme_conn *c, uint32_t code, const uint8_t *p,
    size_t len)
{
	vme_agent_reply(c, FRM_HYPER, code, p, len);
	vme_conn_done(c);
}

/*
 * ConnectShim, DisconnectShim
 */

static void
vme_connect_shim(struct vme_conn *c, const char *p, size_t len, int fresh)
{
	struct vme_session	*s;
	struct audit		 a;
	char			*token, err[JSON_ERRMAX], t[TOKEN_SHORT];

	if (req_token_parse(&token, p, len, err) == -1) {
		vme_conn_fail(c, FRM_CONNECTSHIM, "%s", err);
		return;
	}
	token_shorten(token, t);
	peer_log(LOGL_INFO, c->client, "ConnectShim(token=%s)", t);
	if ((s = vme_session_find(token)) != NULL &&
	    env->state != VME_LOST) {
		if (vme_session_claim(s, c) == -1) {
			vme_refused(c, "connect", "token already claimed");
			vme_conn_fail(c, FRM_CONNECTSHIM,
			    "token already claimed: %s", token);
		} else {
			vme_audit(&a, AUDIT_SHIM_CONNECTED, c);
			audit_log(&a, "shim of uid %u connected", c->who.uid);
			vme_conn_reply(c, FRM_CONNECTSHIM, NULL, 0);
			if (!c->dead)
				vme_session_deliver(s);
		}
	} else if (!token_valid(token)) {
		vme_refused(c, "connect", "unknown token");
		vme_conn_fail(c, FRM_CONNECTSHIM, "unknown token: %s", token);
	} else if (fresh) {
		vme_refused(c, "connect", "unknown token");
		vme_conn_fail(c, FRM_CONNECTSHIM, "vm: unknown token %s",
		    token);
	} else if (vme_conn_hold(c, FRM_CONNECTSHIM, p, len) == 0)
		vme_ask(c, MSG_ASK_TOKEN, token);
	free(token);
}

/* No response: the shim does not wait for one. */
static void
vme_disconnect_shim(struct vme_conn *c)
{
	peer_log(LOGL_INFO, c->client, "DisconnectShim()");
	if (!c->is_shim)
		vme_conn_fail(c, FRM_DISCONNECTSHIM, "client isn't a shim");
	else if (c->session == NULL)
		vme_conn_fail(c, FRM_DISCONNECTSHIM, "vm: unknown token");
	else {
		vme_session_free(c->session);
		vme_conn_close(c);
	}
}
