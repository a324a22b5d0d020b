/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy, the parent: start order, messages of the frontend, end.
 */

#include <sys/types.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <errno.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksm.h"
#include "parent.h"
#include "sandbox.h"
#include "sandbox_parent.h"

enum parent_state {
	PARENT_STARTING = 0x01,
	PARENT_RUNNING = 0x02
};

static void	parent_log(void);
static void	parent_init_failed(const char *);
static void	parent_ids(void);
static void	parent_nofile(void);
static void	parent_listen(int [MSG_PROTO_MAX], int *);
static void	parent_frontend(void);
static void	parent_ksm(void);
static void	parent_signals(void);
static void	parent_signal(int, short, void *);
static void	parent_frontend_exited(struct child *, int, int);
static void	parent_stop_timeout(int, short, void *);
static int	parent_ready(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_open(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_unregistered(struct imsgev *, struct ibuf *, int *);
static int	parent_vm_kill(struct imsgev *, struct ibuf *, int *);
static int	parent_unlisten(struct imsgev *, struct ibuf *, int *);

/* Who sends: the frontend. */
static const struct imsgev_handler parent_table[] = {
	{ MSG_SETUP_READY,	PARENT_STARTING,	parent_ready },
	{ MSG_VM_OPEN,		PARENT_RUNNING,		parent_vm_open },
	{ MSG_VM_UNREGISTERED,	PARENT_RUNNING,	parent_vm_unregistered },
	{ MSG_VM_KILL,		PARENT_RUNNING,		parent_vm_kill },
	{ MSG_SETUP_UNLISTEN,	PARENT_RUNNING,		parent_unlisten },
	{ 0, 0, NULL }
};

static struct parent_env	 parent_env;
struct parent_env		*penv = &parent_env;

static struct event	 term_ev, int_ev, stop_timer;

int
main(int argc, char *argv[])
{
	char	 err[512];
	int	 client_fds[MSG_PROTO_MAX], control_fd;

	flags_get(&penv->flags, argc, argv);
	penv->is_root = geteuid() == 0;
	penv->pod = penv->flags.fl_uri[0] != '\0';
	penv->rootfd = -1;
	penv->frontend.iev.iev_fd = -1;
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	parent_log();
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

	penv->paths[MSG_PROTO_3] = flags_socket_path(&penv->flags, err,
	    sizeof(err));
	if (penv->paths[MSG_PROTO_3] != NULL)
		penv->paths[MSG_PROTO_1] = flags_socket_path_1(&penv->flags,
		    err, sizeof(err));
	if (penv->paths[MSG_PROTO_3] == NULL ||
	    penv->paths[MSG_PROTO_1] == NULL) {
		char	 text[600];

		snprintf(text, sizeof(text),
		    "couldn't get a valid socket path: %s", err);
		parent_init_failed(text);
	}
	strlcpy(penv->path, penv->paths[MSG_PROTO_3], sizeof(penv->path));
	parent_ids();
	parent_nofile();
	parent_listen(client_fds, &control_fd);
	parent_ksm();

	event_init();
	engines_init();
	/* Connecting to sockets with names works without a network. */
	if (penv->is_root && unshare(CLONE_NEWNET | CLONE_NEWIPC |
	    CLONE_NEWUTS) == -1)
		fatal("unshare");
	parent_frontend();
	if (penv->is_root && (penv->rootfd = sbx_empty_root()) == -1)
		fatal("no empty root directory for the engines");
	parent_signals();
	parent_sandbox(penv->is_root);

	if (client_fds[MSG_PROTO_3] != -1)
		imsgev_send(&penv->frontend.iev, MSG_SETUP_LISTEN,
		    client_fds[MSG_PROTO_3], msg_u8_encode(MSG_LISTEN_CLIENT));
	if (client_fds[MSG_PROTO_1] != -1)
		imsgev_send(&penv->frontend.iev, MSG_SETUP_LISTEN,
		    client_fds[MSG_PROTO_1],
		    msg_u8_encode(MSG_LISTEN_CLIENT1));
	if (control_fd != -1)
		imsgev_send(&penv->frontend.iev, MSG_SETUP_LISTEN, control_fd,
		    msg_u8_encode(MSG_LISTEN_CONTROL));
	imsgev_signal(&penv->frontend.iev, MSG_SETUP_START);
	log_info("proxy started");
	event_dispatch();
	if (penv->ctlpath[0] != '\0')
		unlink(penv->ctlpath);
	if (ksm_handles_signals())
		ksm_restore();
	return (penv->status);
}

static void
parent_log(void)
{
	const char	*name;

	penv->level = flags_log_level(&penv->flags,
	    getenv("CC_PROXY_LOG_LEVEL"), &name, &penv->console);
	log_init_sink(logsink_write,
	    penv->level == -1 ? LOGL_WARN : (enum log_level)penv->level);
	if (logsink_init(penv->pod) == -1)
		fatal("no syslog");
	if (penv->level == -1)
		fatalx("not a valid log level: %s", name);
}

static void
parent_init_failed(const char *why)
{
	if (penv->pod)
		log_entry(LOGL_ERROR, NULL, "init failed: %s", why);
	else	/* without a newline: it always was */
		fprintf(stderr, "init failed: %s", why);
	exit(1);
}

/* The users must exist if we can change to them. */
static void
parent_ids(void)
{
	static const char *const names[] = {
		PARENT_USER_FRONTEND, PARENT_USER_ENGINE
	};
	struct ids	*ids[] = { &penv->frontend_ids, &penv->engine_ids };
	struct passwd	*pw;
	char		 why[128];
	size_t		 i;

	if (!penv->is_root) {
		log_info("not started as root: no change of user, "
		    "root directory and namespaces");
		return;
	}
	for (i = 0; i < 2; i++) {
		if ((pw = getpwnam(names[i])) == NULL || pw->pw_uid == 0 ||
		    pw->pw_gid == 0) {
			snprintf(why, sizeof(why),
			    "the system user %s does not exist", names[i]);
			parent_init_failed(why);
		} else {
			ids[i]->uid = pw->pw_uid;
			ids[i]->gid = pw->pw_gid;
		}
	}
}

/* As many descriptors as there are, for us and those we start. */
static void
parent_nofile(void)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("getrlimit");
	if (penv->is_root && rl.rlim_max < 65536)
		rl.rlim_max = 65536;
	rl.rlim_cur = rl.rlim_max > 65536 ? 65536 : rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1) {
		/* without the right to raise it */
		if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
			fatal("getrlimit");
		rl.rlim_cur = rl.rlim_max > 65536 ? 65536 : rl.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &rl) == -1)
			fatal("setrlimit");
	}
	penv->nofile = rl.rlim_cur;
}

static void
parent_listen(int client_fds[MSG_PROTO_MAX], int *control_fd)
{
	char	 err[512];
	int	 i, n;

	if (listen_clients(penv->paths, client_fds, penv->created, err,
	    sizeof(err)) == -1)
		parent_init_failed(err);
	for (i = 0; i < MSG_PROTO_MAX; i++)
		if (penv->created[i])
			log_info("listening on %s", penv->paths[i]);

	*control_fd = -1;
	if (penv->flags.fl_control_path[0] != '\0')
		n = snprintf(penv->ctlpath, sizeof(penv->ctlpath), "%s",
		    penv->flags.fl_control_path);
	else if (!penv->pod && penv->created[MSG_PROTO_3])
		n = snprintf(penv->ctlpath, sizeof(penv->ctlpath), "%s.ctl",
		    penv->path);
	else
		return;
	if (n > MSG_SUN_MAX)
		snprintf(err, sizeof(err), "path too long (max %d)",
		    MSG_SUN_MAX);
	else
		*control_fd = listen_control(penv->ctlpath, err, sizeof(err));
	if (*control_fd == -1) {
		log_warnx("no control socket %s: %s", penv->ctlpath, err);
		penv->ctlpath[0] = '\0';
	}
}

/* Started while we still have all rights; waited for. */
static void
parent_frontend(void)
{
	struct msg_conf	 conf;
	struct timeval	 tv = { PARENT_READY_TIME, 0 };
	struct child	*ch = &penv->frontend;
	char		 why[256];

	if (child_start(ch, "ccp-frontend", &penv->frontend_ids, penv->nofile,
	    -1, NULL, parent_frontend_exited) == -1) {
		snprintf(why, sizeof(why), "couldn't start %s/ccp-frontend: "
		    "%s", penv->flags.fl_libexec, log_strerror(errno));
		parent_init_failed(why);
	}
	if (child_channel(ch, parent_table, PARENT_STARTING) == -1)
		fatal("frontend");
	memset(&conf, 0, sizeof(conf));
	conf.pod = penv->pod;
	conf.level = penv->level;
	strlcpy(conf.path, penv->path, sizeof(conf.path));
	imsgev_send(&ch->iev, MSG_SETUP_CONF, -1, msg_conf_encode(&conf));
	evtimer_set(&stop_timer, parent_stop_timeout, NULL);
	evtimer_add(&stop_timer, &tv);
	while (ch->running && ch->iev.iev_state == PARENT_STARTING &&
	    !penv->stopping)
		event_loop(EVLOOP_ONCE);
	evtimer_del(&stop_timer);
	if (ch->iev.iev_state == PARENT_STARTING || !ch->running) {
		child_kill(ch);
		parent_init_failed("the frontend did not start");
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

static void
parent_ksm(void)
{
	const uint32_t	*t = penv->flags.fl_timeout;
	struct ksm_times times;
	char		 err[256], line[300];

	if (penv->pod)
		return;
	memset(&times, 0, sizeof(times));
	times.kick.tv_sec = t[FLT_KSM_KICK] / 1000;
	times.kick.tv_usec = (t[FLT_KSM_KICK] % 1000) * 1000;
	times.standard.tv_sec = t[FLT_KSM_STANDARD] / 1000;
	times.standard.tv_usec = (t[FLT_KSM_STANDARD] % 1000) * 1000;
	times.slow.tv_sec = t[FLT_KSM_SLOW] / 1000;
	times.slow.tv_usec = (t[FLT_KSM_SLOW] % 1000) * 1000;
	if (ksm_init(penv->flags.fl_ksm, &times, err, sizeof(err)) == -1) {
		snprintf(line, sizeof(line), "KSM setup failed: %s", err);
		logsink_raw(line);
	}
}

/* Where KSM has nothing to restore the signals kill, as they always did. */
static void
parent_signals(void)
{
	if (!ksm_handles_signals())
		return;
	signal_set(&term_ev, SIGTERM, parent_signal, NULL);
	signal_set(&int_ev, SIGINT, parent_signal, NULL);
	signal_add(&term_ev, NULL);
	signal_add(&int_ev, NULL);
}

static void
parent_signal(int sig, short event, void *arg)
{
	(void)sig;
	(void)event;
	(void)arg;
	parent_stop(0);
}

static int
parent_vm_open(struct imsgev *iev, struct ibuf *b, int *fd)
{
	struct msg_vm_open	 open;

	(void)iev;
	(void)fd;
	if (msg_vm_open_decode(b, &open) == -1)
		return (-1);
	engines_open(&open);
	return (0);
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
parent_unlisten(struct imsgev *iev, struct ibuf *b, int *fd)
{
	int	 i;

	(void)iev;
	(void)b;
	(void)fd;
	for (i = 0; i < MSG_PROTO_MAX; i++) {
		if (penv->created[i])
			unlink(penv->paths[i]);
		penv->created[i] = 0;
	}
	return (0);
}

/* Pod mode ends when its VM was unregistered and every VM is lost. */
void
parent_check_done(void)
{
	if (penv->stopping && !penv->frontend.running &&
	    engines_running() == 0)
		event_loopexit(NULL);
	else if (penv->pod && penv->unregistered && engines_alive() == 0)
		parent_stop(penv->status);
}

static void
parent_frontend_exited(struct child *ch, int how, int status)
{
	if (!penv->stopping) {
		log_warnx("frontend, pid %d, %s %d: stopping",
		    (int)ch->proc.pid, how == CLD_EXITED ?
		    "exited with status" : "died: signal", status);
		penv->status = 1;
		parent_stop(1);
	}
	parent_check_done();
}

/* Closed channels end the children, which first write what they have. */
void
parent_stop(int status)
{
	struct timeval	 tv = { PARENT_STOP_TIME, 0 };

	if (penv->stopping)
		return;
	penv->stopping = 1;
	penv->status = status;
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
