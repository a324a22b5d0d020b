/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: Signal frames, which become commands for the agent.  The
 * payloads come from clients.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hypjson.h"
#include "vmengine.h"

static int	vme_is_kill(int64_t);
static int	vme_signal_valid(struct vme_conn *, const struct req_signal *);
static void	vme_signal_unstarted(struct vme_conn *);
static char	*vme_signal_text(const struct vme_session *,
		    const struct req_signal *, uint32_t *);
static void	vme_signal_foreign(struct vme_conn *, int64_t);
static vme_ctl_done vme_signal_done;

static int
vme_is_kill(int64_t signo)
{
	return (signo == SIGKILL || signo == SIGTERM);
}

int
vme_command_is_kill(const uint8_t *p, size_t len)
{
	struct req_signal	 req;
	char			 err[JSON_ERRMAX];

	return (req_signal_parse(&req, (const char *)p, len, err) == 0 &&
	    vme_is_kill(req.signo) && req.columns == 0 && req.rows == 0);
}

void
vme_signal(struct vme_conn *c, const char *p, size_t len)
{
	struct req_signal	 req;
	char			 err[JSON_ERRMAX];

	if (!c->is_shim) {
		vme_conn_fail(c, FRM_SIGNAL, "client isn't a shim");
		return;
	}
	if (req_signal_parse(&req, p, len, err) == -1) {
		vme_conn_fail(c, FRM_SIGNAL, "%s", err);
		return;
	}
	if (vme_signal_valid(c, &req) == -1)
		return;
	if (c->session == NULL)
		vme_conn_fail(c, FRM_SIGNAL, "vm: unknown token");
	else if (c->session->started)
		vme_signal_go(c, &req);
	else if (vme_is_kill(req.signo))
		vme_signal_unstarted(c);
	else if (vme_conn_hold(c, FRM_SIGNAL, p, len) == 0) {
		peer_log(LOGL_INFO, c->client, "waiting for process to start");
		vme_session_wait(c->session, c);
		vme_conn_wait(c, VME_WAIT_PROCESS,
		    env->conf.timeouts.process);
	}
}

/* A kill that overtakes a stdin frame which waits for the process. */
void
vme_command_early_signal(struct vme_conn *c, const uint8_t *p, size_t len)
{
	struct req_signal	 req;
	char			 err[JSON_ERRMAX];

	if (req_signal_parse(&req, (const char *)p, len, err) == -1 ||
	    vme_signal_valid(c, &req) == -1 || c->session == NULL)
		return;
	vme_signal_unstarted(c);
}

static int
vme_signal_valid(struct vme_conn *c, const struct req_signal *req)
{
	long long	 columns = req->columns, rows = req->rows;

	if (req->signo < 0 || req->signo > 30) {
		vme_conn_fail(c, FRM_SIGNAL, "invalid signal number %lld",
		    (long long)req->signo);
		return (-1);
	}
	peer_log(LOGL_INFO, c->client, "Signal(%s,%lld,%lld)",
	    req_signal_name((int)req->signo), columns, rows);
	if (req->signo == SIGWINCH && (columns == 0 || rows == 0)) {
		vme_conn_fail(c, FRM_SIGNAL, "received SIGWINCH but terminal "
		    "size is invalid (%lld,%lld)", columns, rows);
		return (-1);
	}
	if (req->signo != SIGWINCH && (columns != 0 || rows != 0)) {
		vme_conn_fail(c, FRM_SIGNAL, "received a terminal size "
		    "(%lld,%lld) for signal %s", columns, rows,
		    req_signal_name((int)req->signo));
		return (-1);
	}
	return (0);
}

/* KILL and TERM before the start: the shim is told that it ended. */
static void
vme_signal_unstarted(struct vme_conn *c)
{
	uint8_t	 frame[FRM_HEADER_SIZE + 1];

	frm_encode(frame, FRM_NOTIFICATION, FRM_PROCESSEXITED, 0, 1);
	frame[FRM_HEADER_SIZE] = 0;
	vme_conn_send(c, frame, sizeof(frame), c->session);
	vme_conn_reply(c, FRM_SIGNAL, NULL, 0);
}

/* The process runs: tell the agent. */
void
vme_signal_go(struct vme_conn *c, const struct req_signal *req)
{
	uint32_t	 code;
	char		*text;
	size_t		 len;

	if (env->state != VME_UP) {
		vme_conn_fail(c, FRM_SIGNAL,
		    "No multicast available for CTL channel");
		return;
	}
	if ((text = vme_signal_text(c->session, req, &code)) == NULL) {
		vme_signal_foreign(c, req->signo);
		return;
	}
	len = strlen(text);
	if (HYP_CTL_HEADER_SIZE + len > vme_dialect_max(c->proto))
		vme_conn_fail(c, FRM_SIGNAL, "message too long %zu",
		    HYP_CTL_HEADER_SIZE + len);
	else {
		c->opcode = FRM_SIGNAL;
		c->signo = code == HYP_SIGNALPROCESS ? (int)req->signo : 0;
		vme_conn_wait(c, VME_WAIT_AGENT, env->conf.timeouts.agent);
		vme_ctl_command(c, code, text, len, c->session->base,
		    vme_signal_done);
	}
	free(text);
}

/*
 * The command, malloc'd.  NULL: the agent can signal the first process of a
 * container only, and this is another one.
 */
static char *
vme_signal_text(const struct vme_session *s, const struct req_signal *req,
    uint32_t *code)
{
	const char	*name;
	char		*id, *process, *text;
	int		 n;

	if (req->signo == SIGWINCH) {
		*code = HYP_WINSIZE;
		n = asprintf(&text, "{\"seq\":%llu,\"row\":%u,\"column\":%u}",
		    (unsigned long long)s->base,
		    (unsigned int)(req->rows & 0xffff),
		    (unsigned int)(req->columns & 0xffff));
		if (n == -1)
			fatal("%s", __func__);
		return (text);
	}
	*code = s->container != NULL ? HYP_KILLCONTAINER : HYP_SIGNALPROCESS;
	name = s->container;
	if (name == NULL && s->proc != NULL && env->api != HYP_API_F)
		name = s->proc->container;
	if (name == NULL)
		return (NULL);
	if ((id = json_escape(name, strlen(name), NULL)) == NULL)
		fatal("%s", __func__);
	if (*code == HYP_KILLCONTAINER)
		n = asprintf(&text, "{\"container\":\"%s\",\"signal\":%lld,"
		    "\"allProcesses\":false}", id, (long long)req->signo);
	else {
		process = json_escape(s->proc->process,
		    strlen(s->proc->process), NULL);
		if (process == NULL)
			fatal("%s", __func__);
		n = asprintf(&text, "{\"container\":\"%s\",\"process\":\"%s\","
		    "\"signal\":%lld}", id, process, (long long)req->signo);
		free(process);
	}
	if (n == -1)
		fatal("%s", __func__);
	free(id);
	return (text);
}

static void
vme_signal_foreign(struct vme_conn *c, int64_t signo)
{
	vme_conn_fail(c, FRM_SIGNAL, "Could not send the signal %s: "
	    "Sending a signal to a process different from the initial "
	    "container process is not supported",
	    req_signal_name((int)signo));
}

/* A hyperstart whose version is not known may not have the command. */
static void
vme_signal_done(struct vme_conn *c, uint32_t code, const uint8_t *p,
    size_t len)
{
	if (code == HYP_ERROR && c->signo != 0 &&
	    env->dialect == VME_HYPERSTART && env->api == 0)
		vme_signal_foreign(c, c->signo);
	else
		vme_agent_reply(c, FRM_SIGNAL, code, p, len);
	vme_conn_done(c);
}
