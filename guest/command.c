/* SPDX-License-Identifier: ISC */

/*
 * The commands of the control channel.  Each handler gets the payload and
 * sees to it that exactly one reply is sent, now or later.  Payloads are
 * judged here; unknown members are nobody's business.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "hyper.h"

#define ARG_NONE	0	/* the payload is ignored */
#define ARG_JSON	1	/* must be JSON */
#define ARG_RAW		2	/* looked at by the handler */

struct command {
	uint32_t	 code;
	int		 arg;
	void		(*json)(struct guest *, json_t *);
	void		(*raw)(struct guest *, const char *, size_t);
};

static void	cmd_version(struct guest *, const char *, size_t);
static void	cmd_ok(struct guest *, const char *, size_t);
static void	cmd_destroypod(struct guest *, const char *, size_t);
static void	cmd_onlinecpumem(struct guest *, const char *, size_t);
static void	cmd_writefile(struct guest *, const char *, size_t);
static void	cmd_readfile(struct guest *, json_t *);
static void	cmd_newcontainer(struct guest *, json_t *);
static void	cmd_execcmd(struct guest *, json_t *);
static void	cmd_winsize(struct guest *, json_t *);
static void	cmd_killcontainer(struct guest *, json_t *);
static void	cmd_removecontainer(struct guest *, json_t *);
static void	cmd_pscontainer(struct guest *, json_t *);
static void	cmd_signalprocess(struct guest *, json_t *);
static void	cmd_setupinterface(struct guest *, json_t *);
static void	cmd_setuproute(struct guest *, json_t *);
static void	cmd_deleteinterface(struct guest *, json_t *);
static void	cmd_exec_done(struct guest *, void *, const char *);
static struct guest_cont *cmd_container(struct guest *, json_t *);
static json_t	*cmd_parse(struct guest *, uint32_t, const char *, size_t);
static int	cmd_number(struct guest *, json_t *, const char *, int64_t *);
static int	cmd_signal(struct guest *, json_t *, int, int *);
static int	cmd_window(struct guest *, json_t *, int64_t *, int64_t *,
		    int64_t *);
static void	cmd_network(struct guest *, json_t *,
		    void (*)(struct guest *, int, void *));
static void	cmd_job_done(struct guest *, void *, const char *);
static void	net_interface_child(struct guest *, int, void *);
static void	net_delete_child(struct guest *, int, void *);
static void	net_routes_child(struct guest *, int, void *);

static const struct command commands[] = {
	{ HYP_VERSION,		ARG_NONE, NULL, cmd_version },
	{ HYP_STARTPOD,		ARG_JSON, guest_startpod, NULL },
	{ GUEST_GETPOD,		ARG_NONE, NULL, cmd_ok },
	{ HYP_DESTROYPOD,	ARG_NONE, NULL, cmd_destroypod },
	{ HYP_EXECCMD,		ARG_JSON, cmd_execcmd, NULL },
	{ HYP_READY,		ARG_NONE, NULL, cmd_ok },
	{ HYP_WINSIZE,		ARG_JSON, cmd_winsize, NULL },
	{ HYP_PING,		ARG_NONE, NULL, cmd_ok },
	{ HYP_WRITEFILE,	ARG_RAW, NULL, cmd_writefile },
	{ HYP_READFILE,		ARG_JSON, cmd_readfile, NULL },
	{ HYP_NEWCONTAINER,	ARG_JSON, cmd_newcontainer, NULL },
	{ HYP_KILLCONTAINER,	ARG_JSON, cmd_killcontainer, NULL },
	{ HYP_ONLINECPUMEM,	ARG_NONE, NULL, cmd_onlinecpumem },
	{ HYP_SETUPINTERFACE,	ARG_JSON, cmd_setupinterface, NULL },
	{ HYP_SETUPROUTE,	ARG_JSON, cmd_setuproute, NULL },
	{ HYP_REMOVECONTAINER,	ARG_JSON, cmd_removecontainer, NULL },
	{ HYP_PSCONTAINER,	ARG_JSON, cmd_pscontainer, NULL },
	{ HYP_ASYNCEVENT,	ARG_JSON, cmd_signalprocess, NULL },
	{ HYP_DELETEINTERFACE,	ARG_JSON, cmd_deleteinterface, NULL }
};
#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

void
guest_command(struct guest *g, uint32_t code, const char *text, size_t len)
{
	const struct command	*cmd;
	json_t			*arg;
	size_t			 i;

	for (i = 0; i < COMMANDS; i++)
		if (commands[i].code == code &&
		    (g->g_profile->f_commands >> code & 1) == 1)
			break;
	if (i == COMMANDS) {
		guest_error(g, "unknown command %u", code);
		return;
	}
	cmd = &commands[i];
	if (cmd->arg != ARG_JSON) {
		cmd->raw(g, text, len);
		return;
	}
	if ((arg = cmd_parse(g, code, text, len)) == NULL)
		return;
	cmd->json(g, arg);
	json_decref(arg);
}

/* The payload's JSON, or NULL with the error sent. */
static json_t *
cmd_parse(struct guest *g, uint32_t code, const char *text, size_t len)
{
	struct guest_accept	 a;
	enum guest_api		 api = g->g_profile->f_api;
	json_t			*arg;
	char			 err[GUEST_ERRMAX];
	size_t			 used = len;

	if (api != API_ANY && len == 0 && code == HYP_STARTPOD)
		guest_protocol("startpod without a payload");
	arg = guest_json_parse(text, len, api != API_ANY ? &used : NULL, err);
	if (arg == NULL) {
		guest_error(g, "%s", err);
		return (NULL);
	}
	while (used < len && strchr(" \t\r\n", text[used]) != NULL)
		used++;
	if (used < len &&
	    guest_accept_tail(api, code, text + used, len - used) == 0) {
		guest_error(g, "bad JSON: text behind it");
		json_decref(arg);
		return (NULL);
	}
	if (guest_accept(api, code, arg, &a) == -1) {
		if (a.a_dies == 1)
			guest_protocol("%s", a.a_text);
		guest_error(g, "%s", a.a_text);
		json_decref(arg);
		return (NULL);
	}
	return (arg);
}

static void
cmd_version(struct guest *g, const char *text, size_t len)
{
	uint32_t	version = g->g_profile->f_version;
	uint8_t		api[4];

	(void)text;
	(void)len;
	api[0] = (uint8_t)(version >> 24);
	api[1] = (uint8_t)(version >> 16);
	api[2] = (uint8_t)(version >> 8);
	api[3] = (uint8_t)version;
	guest_ack(g, api, sizeof(api));
}

static void
cmd_ok(struct guest *g, const char *text, size_t len)
{
	(void)text;
	(void)len;
	guest_ack(g, NULL, 0);
}

static void
cmd_destroypod(struct guest *g, const char *text, size_t len)
{
	(void)text;
	(void)len;
	guest_destroypod(g);
}

/* Bringing a processor up takes its time: nobody waits for it. */
static void
cmd_onlinecpumem(struct guest *g, const char *text, size_t len)
{
	(void)text;
	(void)len;
	if (g->g_vm == 1 && guest_fork(0) == 0) {
		guest_vm_online();
		_exit(0);
	}
	guest_ack(g, NULL, 0);
}

/* The container named, or NULL with the error sent. */
static struct guest_cont *
cmd_container(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;
	const char		*id;

	if ((id = guest_json_string(arg, "container")) == NULL) {
		if (g->g_profile->f_api != API_ANY)
			guest_protocol("%s without a container",
			    hyp_name(g->g_code));
		guest_error(g, "no container given");
		return (NULL);
	}
	if ((c = guest_cont_find(g, id)) == NULL)
		guest_error(g, "no such container: %.100s", id);
	return (c);
}

static void
cmd_newcontainer(struct guest *g, json_t *arg)
{
	if (g->g_pod == 0) {
		guest_error(g, "pod not started");
		return;
	}
	g->g_created = guest_reply;
	guest_cont_create(g, arg);
}

static void
cmd_execcmd(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;
	struct guest_proc	*p;
	char			 err[GUEST_ERRMAX];

	if (g->g_profile->f_execany == 1 && g->g_pod == 1) {
		c = guest_cont_find(g, guest_json_string(arg, "container"));
		if (c != NULL && guest_cont_running(c) == 0)
			c = NULL;
	} else if ((c = cmd_container(g, arg)) == NULL)
		return;
	else if (guest_cont_running(c) == 0) {
		guest_error(g, "container is not running");
		return;
	}
	p = guest_proc_new(g, c, guest_json_get(arg, "process"), 0, err);
	if (p == NULL) {
		guest_error(g, "%s", err);
		return;
	}
	if (guest_proc_start(p, cmd_exec_done) == -1) {
		guest_error(g, "process: %s", strerror(errno));
		guest_proc_free(p);
	}
}

static void
cmd_exec_done(struct guest *g, void *arg, const char *err)
{
	struct guest_proc	*p = arg;

	guest_reply(g, err);
	if (err == NULL)
		guest_proc_go(p);
	else
		guest_proc_free(p);
}

/* As guest_json_int(), but hyperstart takes what is no number for 0. */
static int
cmd_number(struct guest *g, json_t *arg, const char *name, int64_t *v)
{
	if (g->g_profile->f_api != API_ANY &&
	    !json_is_number(guest_json_get(arg, name)))
		return (0);
	return (guest_json_int(arg, name, v));
}

/* 1: it has a number, 0: none, -1 with the error sent. */
static int
cmd_window(struct guest *g, json_t *arg, int64_t *seq, int64_t *rows,
    int64_t *columns)
{
	int	byseq;

	if ((byseq = cmd_number(g, arg, "seq", seq)) == -1 || *seq < 0 ||
	    cmd_number(g, arg, "row", rows) == -1 ||
	    cmd_number(g, arg, "column", columns) == -1 ||
	    !(json_is_object(arg) || json_is_null(arg)) ||
	    (g->g_profile->f_api == API_ANY && (*rows < 0 ||
	    *rows > USHRT_MAX || *columns < 0 || *columns > USHRT_MAX))) {
		guest_error(g, "bad window size");
		return (-1);
	}
	return (byseq);
}

/* A resize may cross the end of its process: that is no error, mostly. */
static void
cmd_winsize(struct guest *g, json_t *arg)
{
	enum guest_winsize	 how = g->g_profile->f_winsize;
	struct guest_proc	*p = NULL;
	struct guest_cont	*c;
	const char		*cid, *pid;
	int64_t			 seq = 0, rows = 0, columns = 0;
	int			 byseq;

	byseq = cmd_window(g, arg, &seq, &rows, &columns);
	if (byseq == -1)
		return;
	if (how == WINSIZE_POD && g->g_pod == 0) {
		guest_error(g, "pod not started");
		return;
	}
	if (how == WINSIZE_SEQ || how == WINSIZE_POD ||
	    (how == WINSIZE_ANY && byseq == 1))
		p = guest_proc_byseq(g, (uint64_t)seq);
	else {
		cid = guest_json_string(arg, "container");
		pid = guest_json_string(arg, "process");
		if (cid == NULL || pid == NULL) {
			guest_error(g, "window size of what?");
			return;
		}
		if ((c = guest_cont_find(g, cid)) != NULL)
			p = guest_proc_byid(c, pid);
	}
	if (p == NULL ? how == WINSIZE_NAME : p->p_terminal == 0) {
		guest_error(g, "process has no terminal");
		return;
	}
	if (p != NULL)
		guest_proc_winsize(p, (int)rows, (int)columns);
	guest_ack(g, NULL, 0);
}

/* 0, or -1 with the error sent; lax: one that is none will do. */
static int
cmd_signal(struct guest *g, json_t *arg, int lax, int *signo)
{
	int64_t	v = 0;

	if (cmd_number(g, arg, "signal", &v) == -1 || v < 0 || v >= NSIG) {
		if (lax == 0) {
			guest_error(g, "invalid signal");
			return (-1);
		}
		v = NSIG;
	}
	*signo = (int)v;
	return (0);
}

static void
cmd_killcontainer(struct guest *g, json_t *arg)
{
	const struct guest_profile	*f = g->g_profile;
	struct guest_cont		*c;
	int				 signo;

	if (f->f_errors == ERRORS_KILL)
		g->g_errtext = 2;
	if (f->f_killed == 1 && g->g_pod == 0 &&
	    guest_json_string(arg, "container") != NULL) {
		guest_ack(g, NULL, 0);
		return;
	}
	if ((c = cmd_container(g, arg)) == NULL ||
	    cmd_signal(g, arg, f->f_killed, &signo) == -1)
		return;
	if (guest_cont_running(c) == 1) {
		if (kill(c->k_first->p_pid, signo) == -1 && errno != ESRCH &&
		    f->f_killed == 0) {
			guest_error(g, errno == EPERM ? "no permission" :
			    "kill failed: %s", strerror(errno));
			return;
		}
		if (f->f_killall == 1 && signo != 0 &&
		    guest_json_true(arg, "allProcesses") == 1)
			guest_cont_signal(c, signo);
	} else if (f->f_remove == 1) {
		guest_error(g, "no such process");
		return;
	}
	guest_ack(g, NULL, 0);
}

static void
cmd_signalprocess(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;
	struct guest_proc	*p;
	const char		*id;
	int			 signo;

	if ((id = guest_json_string(arg, "process")) == NULL) {
		guest_error(g, "unknown command");
		return;
	}
	if ((c = cmd_container(g, arg)) == NULL ||
	    cmd_signal(g, arg, g->g_profile->f_api != API_ANY, &signo) == -1)
		return;
	if ((p = guest_proc_byid(c, id)) == NULL) {
		guest_error(g, "no such process: %.100s", id);
		return;
	}
	if (p->p_reaped == 0)
		(void)kill(-p->p_pid, signo);
	guest_ack(g, NULL, 0);
}

/* With namespaces, once the init and so all of the container is gone. */
static void
cmd_removecontainer(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;

	if ((c = cmd_container(g, arg)) == NULL)
		return;
	if (guest_cont_running(c) == 1) {
		guest_error(g, "container is running");
		return;
	}
	g->g_removing = c;
	guest_progress(g);
}

static void
cmd_pscontainer(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;

	if ((c = cmd_container(g, arg)) == NULL)
		return;
	if (guest_cont_running(c) == 0) {
		guest_error(g, "container is not running");
		return;
	}
	guest_ps(g, c, arg);
}

static void
cmd_readfile(struct guest *g, json_t *arg)
{
	struct guest_cont	*c;
	const char		*file;

	if ((c = cmd_container(g, arg)) == NULL)
		return;
	if ((file = guest_json_string(arg, "file")) == NULL)
		guest_error(g, "no file given");
	else
		guest_readfile(g, c, file);
}

/* An object, and right after it the data. */
static void
cmd_writefile(struct guest *g, const char *text, size_t len)
{
	struct guest_accept	 a;
	struct guest_cont	*c;
	const char		*file, *brace;
	json_t			*arg;
	char			 err[GUEST_ERRMAX];
	size_t			 used, max = len;

	/* To hyperstart the object ends here, whatever it says. */
	if (g->g_profile->f_api != API_ANY &&
	    (brace = memchr(text, '}', len)) != NULL)
		max = (size_t)(brace - text) + 1;
	if ((arg = guest_json_parse(text, max, &used, err)) == NULL) {
		guest_error(g, "%s", err);
		return;
	}
	if (guest_accept(g->g_profile->f_api, HYP_WRITEFILE, arg, &a) == -1)
		guest_error(g, "%s", a.a_text);
	else if ((c = cmd_container(g, arg)) != NULL) {
		if ((file = guest_json_string(arg, "file")) == NULL)
			guest_error(g, "no file given");
		else
			guest_writefile(g, c, file, text + used, len - used);
	}
	json_decref(arg);
}

static void
net_interface_child(struct guest *g, int fd, void *arg)
{
	(void)g;
	guest_net_interface(fd, arg);
}

static void
net_delete_child(struct guest *g, int fd, void *arg)
{
	(void)g;
	guest_net_delete(fd, arg);
}

static void
net_routes_child(struct guest *g, int fd, void *arg)
{
	json_t	*list, *v;
	size_t	 i;

	(void)g;
	list = guest_json_get(arg, "routes");
	json_array_foreach(list, i, v)
		guest_net_route(fd, v);
}

static void
cmd_setupinterface(struct guest *g, json_t *arg)
{
	cmd_network(g, arg, net_interface_child);
}

static void
cmd_deleteinterface(struct guest *g, json_t *arg)
{
	cmd_network(g, arg, net_delete_child);
}

static void
cmd_setuproute(struct guest *g, json_t *arg)
{
	cmd_network(g, arg, net_routes_child);
}

/* Outside a VM the network is not ours. */
static void
cmd_network(struct guest *g, json_t *arg,
    void (*child)(struct guest *, int, void *))
{
	if (g->g_vm == 0)
		guest_ack(g, NULL, 0);
	else if (guest_job_start(g, 0, child, cmd_job_done, arg) == -1)
		guest_error(g, "fork: %s", strerror(errno));
}

static void
cmd_job_done(struct guest *g, void *arg, const char *err)
{
	(void)arg;
	guest_reply(g, err);
}
