/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy, the parent: start order, messages of the frontend, end.
 */

#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "namespace.h"
#include "notify.h"
#include "parent.h"
#include "sandbox.h"
#include "sandbox_parent.h"

static void	parent_send(int);
static void	parent_frontend(void);
static void	parent_ksm(void);
static void	parent_hold(int);
static void	parent_signals(void);
static void	parent_signal(int, short, void *);
static void	parent_hangup(int, short, void *);
static void	parent_frontend_exited(struct child *, int, int);
static void	parent_stop_timeout(int, short, void *);
static int	parent_ready(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_open(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_unregistered(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_kill(struct imsgev *, struct ibuf *, int *);
static int	parent_stats(struct imsgev *, struct ibuf *, int *);
static int	parent_unlisten(struct imsgev *, struct ibuf *, int *);

/* Who sends: the frontend. */
static const struct imsgev_handler parent_table[] = {
	{ MSG_SETUP_READY,	PARENT_STARTING,	parent_ready },
	{ MSG_VM_OPEN,		PARENT_RUNNING,		parent_vm_open },
	{ MSG_VM_UNREGISTERED,	PARENT_RUNNING,	parent_vm_unregistered },
	{ MSG_VM_KILL,		PARENT_RUNNING,		parent_vm_kill },
	{ MSG_DAEMON_STATS_ASK,	PARENT_RUNNING,		parent_stats },
	{ MSG_SETUP_UNLISTEN,	PARENT_RUNNING,		parent_unlisten },
	{ MSG_SETUP_ACK,	PARENT_OWED,		reload_ack },
	{ MSG_SETUP_ASK,	PARENT_RUNNING,		reload_ask },
	{ 0, 0, NULL }
};

static struct parent_env	 parent_env;
struct parent_env		*penv = &parent_env;

static struct event	 term_ev, int_ev, hup_ev, stop_timer;

int
main(int argc, char *argv[])
{
	struct audit	 a;
	int		 control_fd;

	parent_hold(SIG_BLOCK);
	setup_conf(argc, argv);
	if (penv->flags.fl_version) {
		printf("Version: %s\n", CCP_VERSION);
		return (0);
	}
	if (penv->pod) {
		struct log_field fields[] = {
			{ "mode", "pod" }, { NULL, NULL }
		};

		log_entry(LOGL_INFO, fields, "starting");
	} else
		logsink_raw("starting in system mode");
	if (penv->flags.fl_pprof)
		log_warnx("-pprof is accepted and ignored");

	control_fd = setup_listen();
	parent_ksm();
	vmopen_switch(vmopen_load(&penv->conf.vmdirs));

	event_init();
	starts_init();
	reload_init();
	/* A runtime's own service manager does not wait for us. */
	if (!penv->pod)
		notify_init();
	if (penv->is_root)
		namespace_enter();
	parent_frontend();
	if (penv->is_root && (penv->rootfd = sbx_empty_root()) == -1)
		fatal("no empty root directory for the engines");
	parent_signals();
	parent_sandbox(penv->is_root);

	parent_send(control_fd);
	log_info("proxy started");
	audit_begin(&a, AUDIT_DAEMON_STARTED);
	audit_str(&a, "version", CCP_VERSION);
	audit_log(&a, "version %s listens", CCP_VERSION);
	parent_status();
	notify_ready();
	event_dispatch();
	if (penv->ctlpath[0] != '\0')
		unlink(penv->ctlpath);
	if (ksm_handles_signals())
		ksm_restore();
	return (penv->status);
}

void
parent_send_conf(const struct conf *c)
{
	struct msg_conf	 conf;

	memset(&conf, 0, sizeof(conf));
	conf.pod = penv->pod;
	conf.level = c->level;
	conf.events = c->log_events;
	conf.limits.clients = c->limits[CONF_CLIENTS];
	conf.limits.clients_uid = c->limits[CONF_CLIENTS_UID];
	conf.limits.clients_vm = c->limits[CONF_CLIENTS_VM];
	conf.limits.served = c->limits[CONF_SERVED];
	conf.limits.served_uid = c->limits[CONF_SERVED_UID];
	conf.limits.tokens = c->limits[CONF_TOKENS];
	conf.limits.tokens_uid = c->limits[CONF_TOKENS_UID];
	conf.limits.tokens_vm = c->limits[CONF_TOKENS_VM];
	conf.limits.vms = c->limits[CONF_VMS];
	conf.limits.vms_uid = c->limits[CONF_VMS_UID];
	conf.limits.root = c->limit_root;
	strlcpy(conf.path, penv->path, sizeof(conf.path));
	imsgev_send(&penv->frontend.iev, MSG_SETUP_CONF, -1,
	    msg_conf_encode(&conf));
}

void
parent_send_policy(const struct policy *p)
{
	struct imsgev	*iev = &penv->frontend.iev;
	size_t		 i;

	for (i = 0; i < p->nrules; i++)
		imsgev_send(iev, MSG_SETUP_RULE, -1,
		    msg_rule_encode(&p->rules[i]));
	imsgev_send(iev, MSG_SETUP_POLICY, -1,
	    msg_u32u8_encode((uint32_t)p->nrules, p->attach_owner));
}

/* What the frontend, sandboxed, works with. */
static void
parent_send(int control_fd)
{
	struct imsgev	*iev = &penv->frontend.iev;
	struct listener	*l;
	size_t		 i;

	parent_send_policy(&penv->conf.policy);
	for (i = 0; i < penv->nlisteners; i++) {
		l = &penv->listeners[i];
		registrant_listener(l->fd, l->proto);
		imsgev_send(iev, MSG_SETUP_LISTEN, l->fd,
		    msg_u8_encode(l->proto == MSG_PROTO_1 ?
		    MSG_LISTEN_CLIENT1 : MSG_LISTEN_CLIENT));
		l->fd = -1;
	}
	if (control_fd != -1)
		imsgev_send(iev, MSG_SETUP_LISTEN, control_fd,
		    msg_u8_encode(MSG_LISTEN_CONTROL));
	imsgev_signal(iev, MSG_SETUP_START);
}

/* Started while we still have all rights; waited for. */
static void
parent_frontend(void)
{
	struct timeval	 tv = { PARENT_READY_TIME, 0 };
	struct child	*ch = &penv->frontend;
	char		 why[256];

	if (child_start(ch, "ccp-frontend", &penv->frontend_ids, penv->nofile,
	    -1, NULL, parent_frontend_exited) == -1) {
		snprintf(why, sizeof(why), "couldn't start %s/ccp-frontend: "
		    "%s", penv->flags.fl_libexec, log_strerror(errno));
		setup_failed(why);
	}
	if (child_channel(ch, parent_table, PARENT_STARTING) == -1)
		fatal("frontend");
	ch->iev.iev_takes_fds = 1;
	parent_send_conf(&penv->conf);
	evtimer_set(&stop_timer, parent_stop_timeout, NULL);
	evtimer_add(&stop_timer, &tv);
	while (ch->running && ch->iev.iev_state == PARENT_STARTING &&
	    !penv->stopping)
		event_loop(EVLOOP_ONCE);
	evtimer_del(&stop_timer);
	if (ch->iev.iev_state == PARENT_STARTING || !ch->running) {
		child_kill(ch);
		setup_failed("the frontend did not start");
	}
}

static int
parent_ready(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 layers;
	char		 text[256];

	(void)fd;
	if (msg_u32_decode(b, &layers) == -1)
		return (-1);
	sbx_describe(layers, text, sizeof(text));
	log_debug("frontend sandbox: %s", text);
	iev->iev_state = PARENT_RUNNING;
	return (0);
}

void
parent_ksm_times(const struct conf *c, struct ksm_times *times)
{
	const uint32_t	*t = c->timeouts;

	memset(times, 0, sizeof(*times));
	times->kick.tv_sec = t[FLT_KSM_KICK] / 1000;
	times->kick.tv_usec = (t[FLT_KSM_KICK] % 1000) * 1000;
	times->standard.tv_sec = t[FLT_KSM_STANDARD] / 1000;
	times->standard.tv_usec = (t[FLT_KSM_STANDARD] % 1000) * 1000;
	times->slow.tv_sec = t[FLT_KSM_SLOW] / 1000;
	times->slow.tv_usec = (t[FLT_KSM_SLOW] % 1000) * 1000;
}

static void
parent_ksm(void)
{
	struct ksm_times times;
	char		 err[256], line[300];

	if (penv->pod)
		return;
	parent_ksm_times(&penv->conf, &times);
	if (ksm_init(penv->conf.ksm, &times, err, sizeof(err)) == -1) {
		snprintf(line, sizeof(line), "KSM setup failed: %s", err);
		logsink_raw(line);
	}
}

/* What asks for a reload waits until there can be one. */
static void
parent_hold(int how)
{
	sigset_t	 set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(how, &set, NULL) == -1)
		fatal("sigprocmask");
}

/*
 * Where KSM has nothing to restore and nobody is to be told, the signals
 * kill, as they always did.
 */
static void
parent_signals(void)
{
	/* A pod's daemon that was given no file has none to read again. */
	if (!penv->pod || ((penv->flags.fl_has & FLAGS_HAS_CONF) != 0 &&
	    penv->flags.fl_conf[0] != '\0')) {
		signal_set(&hup_ev, SIGHUP, parent_hangup, NULL);
		signal_add(&hup_ev, NULL);
	}
	parent_hold(SIG_UNBLOCK);
	if (!ksm_handles_signals() && !notify_active())
		return;
	signal_set(&term_ev, SIGTERM, parent_signal, NULL);
	signal_set(&int_ev, SIGINT, parent_signal, NULL);
	signal_add(&term_ev, NULL);
	signal_add(&int_ev, NULL);
}

static void
parent_signal(int sig, short event, void *arg)
{
	(void)event;
	(void)arg;
	parent_stop(0, sig == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void
parent_hangup(int sig, short event, void *arg)
{
	(void)sig;
	(void)event;
	(void)arg;
	reload_again();
}

static int
parent_vm_open(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct msg_vm_open	 open;

	(void)iev;
	if (msg_vm_open_decode(b, &open) == -1)
		return (-1);
	return (starts_open(&open, *fd));
}

static int
parent_vm_unregistered(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 vmid;

	(void)iev;
	(void)fd;
	if (msg_u32_decode(b, &vmid) == -1)
		return (-1);
	penv->unregistered = 1;
	parent_check_done();
	return (0);
}

/* The frontend found that the engine breaks the protocol. */
static int
parent_vm_kill(struct imsgev *iev, struct ibuf *b, int *fd)
{
	uint32_t	 vmid;

	(void)iev;
	(void)fd;
	if (msg_u32_decode(b, &vmid) == -1)
		return (-1);
	engines_kill_one(vmid);
	return (0);
}

static int
parent_stats(struct imsgev *iev, struct ibuf *b, int *fd)
{
	const uint32_t		*limits = penv->conf.limits;
	struct msg_daemon_stats	 m;

	(void)b;
	(void)fd;
	memset(&m, 0, sizeof(m));
	engines_stats(&m);
	m.suppressed = logsource_suppressed();
	m.dropped = logsink_lost();
	m.ksm = (int)ksm_status();
	m.max_vms = limits[CONF_VMS];
	m.max_out_shim = limits[CONF_OUT_SHIM];
	m.max_out_vm = limits[CONF_OUT_VM];
	imsgev_send(iev, MSG_DAEMON_STATS, -1, msg_daemon_stats_encode(&m));
	return (0);
}

static int
parent_unlisten(struct imsgev *iev, struct ibuf *b, int *fd)
{
	size_t	 i;

	(void)iev;
	(void)b;
	(void)fd;
	for (i = 0; i < penv->nlisteners; i++) {
		if (penv->listeners[i].path != NULL)
			unlink(penv->listeners[i].path);
		penv->listeners[i].path = NULL;
	}
	return (0);
}

void
parent_status(void)
{
	if (!notify_active())
		return;
	if (reload_failure() != NULL)
		notify_status("virtual machines: %d; reload failed: %s",
		    engines_alive(), reload_failure());
	else
		notify_status("virtual machines: %d", engines_alive());
}

/* Pod mode ends when its VM was unregistered and every VM is lost. */
void
parent_check_done(void)
{
	parent_status();
	if (penv->stopping && !penv->frontend.running &&
	    engines_running() == 0) {
		if (event_loopexit(NULL) == -1)
			event_loopbreak();
	} else if (penv->pod && penv->unregistered && engines_alive() == 0)
		parent_stop(penv->status, "no VM is left");
}

static void
parent_frontend_exited(struct child *ch, int how, int status)
{
	struct audit	 a;
	const char	*what = how == CLD_EXITED ? "exited with status" :
	    "died: signal";

	child_audit_end(&a, ch, how, status, penv->stopping);
	audit_log(&a, "frontend, pid %d, %s %d%s", (int)ch->proc.pid, what,
	    status, penv->stopping ? "" : ": stopping");
	parent_stop(1, "the frontend ended");
	parent_check_done();
}

/* Closed channels end the children, which first write what they have. */
void
parent_stop(int status, const char *why)
{
	struct timeval	 tv = { PARENT_STOP_TIME, 0 };
	struct audit	 a;

	if (penv->stopping)
		return;
	penv->stopping = 1;
	penv->status = status;
	audit_begin(&a, AUDIT_DAEMON_STOPPING);
	audit_str(&a, "reason", why);
	audit_log(&a, "stopping: %s", why);
	notify_stopping();
	reload_stop();
	engines_stop();
	if (penv->frontend.running)
		child_stop(&penv->frontend);
	evtimer_set(&stop_timer, parent_stop_timeout, NULL);
	evtimer_add(&stop_timer, &tv);
	parent_check_done();
}

static void
parent_stop_timeout(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	engines_kill();
	child_kill(&penv->frontend);
}
