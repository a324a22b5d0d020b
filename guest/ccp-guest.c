/* SPDX-License-Identifier: ISC */

/*
 * ccp-guest: an agent that speaks the hyperstart protocol.  Runs as a plain
 * process behind two sockets, or as the first process of a virtual machine
 * behind two virtio ports.  The host commands; its input is parsed strictly.
 */

#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define QUIT_WAITS	500	/* for what was killed, */
#define QUIT_STEP	2000	/* microseconds each */

static void	usage(void) __attribute__((__noreturn__));
static void	guest_init(struct guest *);
static void	guest_stdio(void);
static void	guest_fds(struct guest *, const char *);
static int	guest_play(struct guest *, const char *);
static void	guest_flags(struct guest *, int, char **);
static void	guest_vm(struct guest *, int, char **);
static void	sig_child(int, short, void *);
static void	sig_quit(int, short, void *);

static int	guest_verbose;
static int	guest_isvm;

static void
usage(void)
{
	(void)fprintf(stderr, "usage: ccp-guest [-nvx] [-profile name] "
	    "[-r rootdir] [-s sharedir]\n"
	    "           -c ctlsock -t ttysock\n"
	    "       ccp-guest [-nvx] [-profile name] [-r rootdir] "
	    "[-s sharedir]\n"
	    "           -f ctlfd,ttyfd\n");
	exit(1);
}

void
guest_debug(const char *fmt, ...)
{
	char	line[1024];
	va_list	ap;

	if (guest_verbose == 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "ccp-guest: %s\n", line);
}

void
guest_fatal(const char *fmt, ...)
{
	char	line[1024];
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "ccp-guest: %s\n", line);
	if (guest_isvm == 1)
		guest_vm_poweroff();
	exit(1);
}

void *
guest_alloc(size_t size)
{
	void	*p;

	if ((p = malloc(size)) == NULL)
		guest_fatal("out of memory");
	return (p);
}

char *
guest_strdup(const char *s)
{
	char	*p;

	if ((p = strdup(s)) == NULL)
		guest_fatal("out of memory");
	return (p);
}

void
guest_quit(struct guest *g, int status)
{
	struct guest_cont	*c;
	pid_t			 pid;
	int			 i;

	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		guest_cont_kill(c);
	if (g->g_ns == 0)
		guest_kill_descendants();
	/* Whoever sees us gone may take the containers for gone, too. */
	for (i = 0; i < QUIT_WAITS; i++) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid == -1)
			break;
		(void)usleep(QUIT_STEP);
	}
	guest_chan_shut(&g->g_ctl);
	guest_chan_shut(&g->g_tty);
	guest_debug("exiting");
	if (g->g_vm == 1)
		guest_vm_poweroff();
	exit(status);
}

static void
sig_child(int signo, short what, void *arg)
{
	(void)signo;
	(void)what;
	guest_reap(arg);
}

static void
sig_quit(int signo, short what, void *arg)
{
	(void)signo;
	(void)what;
	guest_quit(arg, 0);
}

/* Descriptors 0 to 2 must not become something else's. */
static void
guest_stdio(void)
{
	int	fd;

	do {
		if ((fd = open("/dev/null", O_RDWR)) == -1)
			return;
	} while (fd < 3);
	close(fd);
}

static void
guest_init(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->g_job.j_fd = g->g_psfd = -1;
	(void)guest_play(g, NULL);
	TAILQ_INIT(&g->g_procs);
	TAILQ_INIT(&g->g_conts);
	TAILQ_INIT(&g->g_dying);
	(void)event_init();
	guest_chan_init(&g->g_ctl, g, "ctl", &guest_ctl_ops);
	guest_chan_init(&g->g_tty, g, "tty", &guest_tty_ops);
}

/* -1: there is none of that name. */
static int
guest_play(struct guest *g, const char *name)
{
	const struct guest_profile	*f;

	if ((f = guest_profile_find(name)) == NULL)
		return (-1);
	g->g_profile = f;
	if (f->f_api != API_ANY)
		guest_json_words();
	return (0);
}

static void
guest_flags(struct guest *g, int argc, char **argv)
{
	static const struct option options[] = {
		{ "profile", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 }
	};
	const char	*ctl = NULL, *tty = NULL, *fds = NULL;
	int		 ch;

	while ((ch = getopt_long_only(argc, argv, "c:f:nr:s:t:vx", options,
	    NULL)) != -1) {
		switch (ch) {
		case 'c':
			ctl = optarg;
			break;
		case 'f':
			fds = optarg;
			break;
		case 'n':
			g->g_ns = 0;
			break;
		case 'p':
			if (guest_play(g, optarg) == -1)
				usage();
			break;
		case 'r':
			g->g_rootdir = optarg;
			break;
		case 's':
			g->g_sharedir = optarg;
			break;
		case 't':
			tty = optarg;
			break;
		case 'v':
			guest_verbose = 1;
			break;
		case 'x':
			g->g_leave = 1;
			break;
		default:
			usage();
		}
	}
	if (optind != argc || (fds == NULL) == (ctl == NULL) ||
	    (ctl == NULL) != (tty == NULL))
		usage();
	if (g->g_profile->f_leave != -1)
		g->g_leave = g->g_profile->f_leave;
	if (g->g_ns == 1 && guest_cont_probe() == 0) {
		guest_debug("no namespaces: containers are sessions");
		g->g_ns = 0;
	}
	if (fds != NULL)
		guest_fds(g, fds);
	else if (guest_chan_listen(&g->g_ctl, ctl) == -1)
		guest_fatal("%s: %s", ctl, strerror(errno));
	else if (guest_chan_listen(&g->g_tty, tty) == -1) {
		guest_chan_shut(&g->g_ctl);
		guest_fatal("%s: %s", tty, strerror(errno));
	}
}

/* "3,4": connected before we were started. */
static void
guest_fds(struct guest *g, const char *arg)
{
	const char	*errstr;
	char		 buf[32], *comma;
	int		 ctl, tty = -1;

	(void)strlcpy(buf, arg, sizeof(buf));
	if ((comma = strchr(buf, ',')) == NULL)
		usage();
	*comma++ = '\0';
	ctl = (int)strtonum(buf, 3, INT_MAX, &errstr);
	if (errstr == NULL)
		tty = (int)strtonum(comma, 3, INT_MAX, &errstr);
	if (errstr != NULL || ctl == tty)
		usage();
	guest_chan_attach(&g->g_ctl, ctl, 0);
	guest_chan_attach(&g->g_tty, tty, 0);
}

/* The kernel's command line may leave us any words as arguments. */
static void
guest_vm(struct guest *g, int argc, char **argv)
{
	const char	*name = NULL;
	int		 i;

	guest_isvm = g->g_vm = g->g_leave = 1;
	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "-profile=", 9) == 0)
			name = argv[i] + 9;
		else if (strcmp(argv[i], "-profile") == 0 && i + 1 < argc)
			name = argv[++i];
		if (strcmp(argv[i], "-v") == 0)
			guest_verbose = 1;
		if (strcmp(argv[i], "-k") == 0)
			g->g_leave = 0;
	}
	if (guest_play(g, name) == -1)
		guest_fatal("%s: no such profile", name);
	if (g->g_profile->f_leave == 0)
		g->g_leave = 0;
	guest_vm_boot();
}

int
main(int argc, char **argv)
{
	static struct guest	 g;
	static struct event	 child, term, intr;
	const char		*name;
	int			 vm, i;

	guest_stdio();
	name = argc > 0 ? argv[0] : "";
	if (strrchr(name, '/') != NULL)
		name = strrchr(name, '/') + 1;
	vm = getpid() == 1 || strcmp(name, "init") == 0;
	/* Process 1 of somebody's container says where its sockets are. */
	for (i = 1; i < argc; i++)
		if (strncmp(argv[i], "-c", 2) == 0 ||
		    strncmp(argv[i], "-f", 2) == 0)
			vm = 0;
	guest_init(&g);
	g.g_root = g.g_ns = geteuid() == 0;
	(void)umask(022);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	signal_set(&child, SIGCHLD, sig_child, &g);
	signal_set(&term, SIGTERM, sig_quit, &g);
	signal_set(&intr, SIGINT, sig_quit, &g);
	if (vm == 1)
		guest_vm(&g, argc, argv);
	else
		guest_flags(&g, argc, argv);
	signal_add(&child, NULL);
	signal_add(&term, NULL);
	signal_add(&intr, NULL);
	if (vm == 1)
		guest_vm_ports(&g);
	event_dispatch();
	return (1);
}
