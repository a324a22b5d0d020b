/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy, the parent: what is done once, before there is another process:
 * command line, configuration, log, users, descriptors, sockets.  All of it
 * is what the administrator wrote, or who starts us passes.
 */

#include <sys/types.h>
#include <sys/resource.h>

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

static void	setup_stdio(void);
static void	setup_file(void);
static void	setup_loaded(void);
static void	setup_report(const char *);
static void	setup_check(void);
static void	setup_merge(void);
static void	setup_log(void);
static void	setup_ids(void);
static void	setup_nofile(void);
static int	setup_control(void);

void
setup_conf(int argc, char *argv[])
{
	setup_stdio();
	flags_get(&penv->flags, argc, argv);
	penv->is_root = geteuid() == 0;
	penv->pod = penv->flags.fl_uri[0] != '\0';
	penv->rootfd = -1;
	penv->frontend.iev.iev_fd = -1;
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, SIG_IGN);
	setup_file();
	setup_log();
}

/* The log, written to a closed standard error, must not reach a socket. */
static void
setup_stdio(void)
{
	int	 fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd < STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/*
 * The file, read before anything else is done: the rest depends on it.  What
 * only shows the version needs none.
 */
static void
setup_file(void)
{
	const struct flags	*fl = &penv->flags;

	conf_init(&penv->conf);
	if (fl->fl_version)
		return;
	if (fl->fl_conf[0] != '\0') {
		penv->has_conf = access(fl->fl_conf, F_OK) == 0;
		if (conf_load(&penv->conf, fl->fl_conf,
		    (fl->fl_has & FLAGS_HAS_CONF) == 0, setup_report) == -1)
			exit(1);
	}
	if (fl->fl_check || fl->fl_print)
		setup_check();
}

/* Known before there was a log. */
static void
setup_loaded(void)
{
	struct audit	 a;

	if (!penv->has_conf)
		return;
	audit_begin(&a, AUDIT_CONFIG_LOADED);
	audit_str(&a, "path", penv->flags.fl_conf);
	audit_log(&a, "configuration %s", penv->flags.fl_conf);
}

static void
setup_report(const char *line)
{
	fprintf(stderr, "cc-proxy: %s\n", line);
}

/* The environment wins over the command line, and that over the file. */
int
setup_level(struct conf *c, int *console, const char **name)
{
	struct flags	*fl = &penv->flags;
	int		 level;

	if ((fl->fl_has & FLAGS_HAS_LOG) == 0)
		fl->fl_log = log_level_name((enum log_level)c->level);
	level = flags_log_level(fl, getenv("CC_PROXY_LOG_LEVEL"), name,
	    console);
	if (level != -1)
		c->level = level;
	return (level);
}

/* -n and -nv */
static void
setup_check(void)
{
	const char	*name;
	char		 err[512];

	if (setup_level(&penv->conf, &penv->console, &name) == -1) {
		fprintf(stderr, "cc-proxy: not a valid log level: %s\n",
		    name);
		exit(1);
	}
	if (conf_merge(&penv->conf, &penv->flags, err, sizeof(err)) == -1) {
		setup_report(err);
		exit(1);
	}
	if (conf_engine_shared(&penv->conf, err, sizeof(err)))
		fprintf(stderr, "cc-proxy: warning: engines may run as %s\n",
		    err);
	if (penv->flags.fl_print)
		conf_print(stdout, &penv->conf);
	else
		fprintf(stderr, "configuration OK\n");
	conf_free(&penv->conf);
	exit(fflush(stdout) == EOF);
}

static void
setup_merge(void)
{
	const struct conf	*c = &penv->conf;
	char			 err[512], text[600];
	const char		*path = NULL;
	size_t			 i;

	if (conf_merge(&penv->conf, &penv->flags, err, sizeof(err)) == -1) {
		snprintf(text, sizeof(text),
		    "couldn't get a valid socket path: %s", err);
		setup_failed(text);
	}
	/* What clients are told: without 3.x only that there is none. */
	for (i = 0; i < c->nlisteners && path == NULL; i++)
		if (c->listeners[i].proto == MSG_PROTO_3)
			path = c->listeners[i].sock.path;
	if (path == NULL)
		path = flags_socket_path(&penv->flags, err, sizeof(err));
	strlcpy(penv->path, path, sizeof(penv->path));
}

static void
setup_log(void)
{
	const char	*name;

	penv->level = setup_level(&penv->conf, &penv->console, &name);
	log_init_sink(logsink_write,
	    penv->level == -1 ? LOGL_WARN : (enum log_level)penv->level);
	log_setevents(penv->conf.log_events);
	if (logsink_init(penv->pod) == -1)
		fatal("no syslog");
	if (penv->level == -1)
		fatalx("not a valid log level: %s", name);
}

void
setup_failed(const char *why)
{
	if (penv->pod)
		log_entry(LOGL_ERROR, NULL, "init failed: %s", why);
	else	/* without a newline: it always was */
		fprintf(stderr, "init failed: %s", why);
	exit(1);
}

/* The users must exist if we can change to them. */
static void
setup_ids(void)
{
	static const char *const names[] = {
		CONF_USER_FRONTEND, CONF_USER_ENGINE
	};
	struct ids	*ids[] = { &penv->frontend_ids, &penv->engine_ids };
	struct passwd	*pw;
	char		 why[128];
	size_t		 i;

	if (!penv->is_root) {
		log_info("not started as root: no change of user, "
		    "root directory and namespaces");
		ids_init(NULL, &penv->engine_ids);
		return;
	}
	for (i = 0; i < 2; i++) {
		if ((pw = getpwnam(names[i])) == NULL || pw->pw_uid == 0 ||
		    pw->pw_gid == 0) {
			snprintf(why, sizeof(why),
			    "the system user %s does not exist", names[i]);
			setup_failed(why);
		} else {
			ids[i]->uid = pw->pw_uid;
			ids[i]->gid = pw->pw_gid;
		}
	}
	ids_init(&penv->conf, &penv->engine_ids);
	if (conf_engine_shared(&penv->conf, why, sizeof(why)))
		log_warnx("engines may run as %s", why);
}

/* As many descriptors as there are, for us and those we start. */
static void
setup_nofile(void)
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

int
setup_listen(void)
{
	char	 err[512];
	size_t	 i;

	setup_loaded();
	setup_merge();
	setup_ids();
	setup_nofile();
	if (listen_clients(&penv->conf, penv->listeners, &penv->nlisteners,
	    err, sizeof(err)) == -1)
		setup_failed(err);
	for (i = 0; i < penv->nlisteners; i++)
		if (penv->listeners[i].path != NULL)
			log_info("listening on %s", penv->listeners[i].path);
	return (setup_control());
}

/* Returns the socket, or -1: a daemon without it serves as well. */
static int
setup_control(void)
{
	struct conf_socket	 sock = penv->conf.ctlsock;
	char			 err[512];
	size_t			 i;
	int			 fd = -1;

	if (penv->conf.control == CONF_CONTROL_NONE)
		return (-1);
	if (penv->conf.control == CONF_CONTROL_DEFAULT) {
		/* Beside one that we made, for 3.x if there is one. */
		for (i = 0; i < penv->nlisteners &&
		    penv->listeners[i].proto != MSG_PROTO_3; i++)
			;
		if (i == penv->nlisteners)
			i = 0;
		if (penv->listeners[i].path == NULL)
			return (-1);
		snprintf(sock.path, sizeof(sock.path), "%s.ctl",
		    penv->listeners[i].path);
		sock.mode = 0600;
		sock.uid = sock.gid = CONF_ID_NONE;
	}
	if (strlen(sock.path) > MSG_SUN_MAX)
		snprintf(err, sizeof(err), "path too long (max %d)",
		    MSG_SUN_MAX);
	else
		fd = listen_control(&sock, err, sizeof(err));
	if (fd == -1)
		log_warnx("no control socket %s: %s", sock.path, err);
	else
		strlcpy(penv->ctlpath, sock.path, sizeof(penv->ctlpath));
	return (fd);
}
