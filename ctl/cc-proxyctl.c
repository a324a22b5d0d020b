/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl: shows what the daemon does and drives the pods behind it by
 * hand.  A client like any other, with its user's rights; see ctl.h for
 * what it trusts.
 */

/* vis.h wants to know which strnvis() is meant */
#define LIBBSD_OPENBSD_VIS

#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vis.h>

#include "client.h"
#include "ctl.h"

#define HYPER_DATA_MAX	(1024 * 1024)	/* bytes of JSON from stdin */

static void	 report(const char *, va_list)
		    __attribute__((__format__(printf, 1, 0)));
static char	*socket_path(const char *);
static char	*read_stdin(void);
static void	 print_reply(const char *, size_t);
static int	 ctl_register(const struct ctl_conf *, int, char **);
static int	 ctl_unregister(const struct ctl_conf *, int, char **);
static int	 ctl_hyper(const struct ctl_conf *, int, char **);

static const struct {
	const char	*name;
	int		(*run)(const struct ctl_conf *, int, char **);
} commands[] = {
	{ "status",	ctl_status },
	{ "reload",	ctl_reload },
	{ "metrics",	ctl_metrics },
	{ "top",	ctl_top },
	{ "register",	ctl_register },
	{ "unregister",	ctl_unregister },
	{ "hyper",	ctl_hyper },
	{ "run",	ctl_run }
};

static const char usage[] =
"usage: cc-proxyctl [-s socket] [--json] status [-v [id]]\n"
"       cc-proxyctl [-s socket] metrics [--http]\n"
"       cc-proxyctl [-s socket] top [-d seconds] [-n count] [-o key]\n"
"       cc-proxyctl [-s socket] reload\n"
"       cc-proxyctl [-s socket] register id ctlsocket iosocket [console]\n"
"       cc-proxyctl [-s socket] unregister id\n"
"       cc-proxyctl [-s socket] hyper vm name [json | -]\n"
"       cc-proxyctl [-s socket] run [-eikt] [-E name=value] "
"[-u user[:group]]\n"
"                   [-w directory] [--root image] vm container -- "
"command ...\n"
"       cc-proxyctl -h | -V\n";

void
ctl_usage(void)
{
	fputs(usage, stderr);
	exit(1);
}

char *
ctl_visible(const char *text, size_t len)
{
	char	*out;

	if ((out = reallocarray(NULL, len + 1, 4)) == NULL)
		return (NULL);
	strvisx(out, text, len, VIS_NL | VIS_TAB | VIS_CSTYLE | VIS_NOSLASH);
	return (out);
}

static void
report(const char *fmt, va_list ap)
{
	char	*text, *shown;

	if (vasprintf(&text, fmt, ap) == -1)
		text = NULL;
	shown = text == NULL ? NULL : ctl_visible(text, strlen(text));
	fprintf(stderr, "cc-proxyctl: %s%s\n",
	    shown == NULL ? "out of memory" : shown,
	    term_is_raw() ? "\r" : "");
	free(shown);
	free(text);
}

void
ctl_warnx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	report(fmt, ap);
	va_end(ap);
}

void
ctl_errx(const char *fmt, ...)
{
	va_list	 ap;

	term_restore();
	va_start(ap, fmt);
	report(fmt, ap);
	va_end(ap);
	exit(1);
}

struct ccp *
ctl_open(const struct ctl_conf *conf)
{
	struct ccp	*h;

	if ((h = ccp_new()) == NULL)
		ctl_errx("%s", strerror(errno));
	if (ccp_connect(h, conf->socket, 0) == -1)
		ctl_errx("%s", ccp_error(h));
	return (h);
}

/*
 * The daemon takes absolute paths only and follows no symbolic links; names
 * that mean something here are resolved here.
 */
static char *
socket_path(const char *name)
{
	char	*path;

	if ((path = realpath(name, NULL)) != NULL)
		return (path);
	if (name[0] != '/')
		ctl_errx("register: %s: %s", name, strerror(errno));
	if ((path = strdup(name)) == NULL)
		ctl_errx("%s", strerror(errno));
	return (path);
}

static int
ctl_register(const struct ctl_conf *conf, int argc, char **argv)
{
	struct ccp	*h;
	char		*ctl, *io, *console = NULL;

	if (argc != 4 && argc != 5)
		ctl_usage();
	ctl = socket_path(argv[2]);
	io = socket_path(argv[3]);
	if (argc == 5)
		console = socket_path(argv[4]);
	h = ctl_open(conf);
	if (ccp_register(h, argv[1], ctl, io, console, NULL, 0) == -1)
		ctl_errx("register: %s", ccp_error(h));
	ccp_free(h);
	free(console);
	free(io);
	free(ctl);
	return (0);
}

static int
ctl_unregister(const struct ctl_conf *conf, int argc, char **argv)
{
	struct ccp	*h;

	if (argc != 2)
		ctl_usage();
	h = ctl_open(conf);
	if (ccp_unregister(h, argv[1]) == -1)
		ctl_errx("unregister: %s", ccp_error(h));
	ccp_free(h);
	return (0);
}

static char *
read_stdin(void)
{
	char	*text;
	size_t	 len = 0;
	ssize_t	 n;

	if ((text = malloc(HYPER_DATA_MAX + 1)) == NULL)
		ctl_errx("%s", strerror(errno));
	while ((n = read(STDIN_FILENO, text + len,
	    HYPER_DATA_MAX + 1 - len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			ctl_errx("hyper: stdin: %s", strerror(errno));
		len += (size_t)n;
		if (len > HYPER_DATA_MAX)
			ctl_errx("hyper: more than %d bytes on stdin",
			    HYPER_DATA_MAX);
	}
	text[len] = '\0';
	if (strlen(text) != len)
		ctl_errx("hyper: data is not JSON: a NUL byte");
	return (text);
}

/* As it is for files and programs, readable and harmless for a terminal. */
static void
print_reply(const char *reply, size_t len)
{
	char	*shown;

	if (len == 0)
		return;
	if (isatty(STDOUT_FILENO) == 0) {
		fwrite(reply, 1, len, stdout);
	} else {
		if ((shown = reallocarray(NULL, len + 1, 4)) == NULL)
			ctl_errx("%s", strerror(errno));
		strvisx(shown, reply, len, VIS_NOSLASH);
		printf("%s%s", shown, reply[len - 1] == '\n' ? "" : "\n");
		free(shown);
	}
	if (fflush(stdout) == EOF || ferror(stdout))
		ctl_errx("stdout: %s", strerror(errno));
}

static int
ctl_hyper(const struct ctl_conf *conf, int argc, char **argv)
{
	struct ccp	*h;
	const char	*data = NULL;
	char		*input = NULL, *reply;
	size_t		 len;

	if (argc != 3 && argc != 4)
		ctl_usage();
	if (argc == 4)
		data = argv[3];
	if (data != NULL && strcmp(data, "-") == 0)
		data = input = read_stdin();
	h = ctl_open(conf);
	if (ccp_attach(h, argv[1], NULL, 0) == -1 ||
	    ccp_hyper(h, argv[2], NULL, 0, data, &reply, &len) == -1)
		ctl_errx("hyper: %s", ccp_error(h));
	print_reply(reply, len);
	free(reply);
	free(input);
	ccp_free(h);
	return (0);
}

int
main(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "socket",	required_argument,	NULL,	's' },
		{ "json",	no_argument,		NULL,	'j' },
		{ "help",	no_argument,		NULL,	'h' },
		{ "version",	no_argument,		NULL,	'V' },
		{ NULL,		0,			NULL,	0 }
	};
	struct ctl_conf	 conf = { CCP_SOCKETPATH, 0 };
	size_t		 i;
	int		 ch;

	while ((ch = getopt_long(argc, argv, "+s:hV", options,
	    NULL)) != -1) {
		switch (ch) {
		case 's':
			conf.socket = optarg;
			break;
		case 'j':
			conf.json = 1;
			break;
		case 'h':
			fputs(usage, stdout);
			return (0);
		case 'V':
			printf("cc-proxyctl %s\n", CCP_VERSION);
			return (0);
		default:
			ctl_usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (argc == 0)
		ctl_usage();
	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[0], commands[i].name) == 0)
			return (commands[i].run(&conf, argc, argv));
	ctl_warnx("%s: no such command", argv[0]);
	ctl_usage();
}
