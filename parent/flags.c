/* SPDX-License-Identifier: ISC */

/*
 * The daemon's command line.  Runs in the parent before anything else; the
 * input is the administrator's or the runtime's, and trusted as much.
 */

#include <sys/types.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flags.h"
#include "log.h"
#include "logfmt.h"
#include "msg.h"

#ifndef CCP_PROXYDIR
#define CCP_PROXYDIR	"/usr/libexec/clear-containers"
#endif
#ifndef CCP_SOCKETDIR
#define CCP_SOCKETDIR	"/var/run/clear-containers"
#endif
#ifndef CCP_CONFFILE
#define CCP_CONFFILE	"/etc/cc-proxy.conf"
#endif
#ifndef CCP_SOCKETDIR1
#define CCP_SOCKETDIR1	"/var/run/cc-oci-runtime"
#endif

#define SOCKET_PATH	CCP_SOCKETDIR "/proxy.sock"
#define SOCKET_PATH_1	CCP_SOCKETDIR1 "/proxy.sock"
#define SOCKET_PATH_MAX	107
#define QUOTED_MAX	512

enum flag_id {
	FLAG_CHECK,
	FLAG_CONF,
	FLAG_CONTROL_PATH,
	FLAG_GLOG,
	FLAG_GLOG_BOOL,
	FLAG_GUEST,
	FLAG_GUEST_DIR,
	FLAG_KSM,
	FLAG_LIBEXEC,
	FLAG_LOG,
	FLAG_PPROF,
	FLAG_PPROF_HOST,
	FLAG_PPROF_PORT,
	FLAG_PRINT,
	FLAG_SOCKET_PATH,
	FLAG_SOCKET_PATH_1,
	FLAG_TIMEOUT,
	FLAG_URI,
	FLAG_V,
	FLAG_VERSION
};

/* Sorted by name: the order in which the usage shows them. */
static const struct flag {
	const char	*name;
	enum flag_id	 id;
	const char	*type;		/* NULL: a bool */
	const char	*usage;
	const char	*deflt;		/* as shown; NULL: not shown */
} flag_table[] = {
	{ "alsologtostderr", FLAG_GLOG_BOOL, NULL, "accepted and ignored",
	    NULL },
	{ "control-path", FLAG_CONTROL_PATH, "string",
	    "path of the administration socket", NULL },
	{ "f", FLAG_CONF, "file", "configuration file; \"\" for none",
	    "\"" CCP_CONFFILE "\", if it exists" },
	{ "guest", FLAG_GUEST, "value",
	    "agents of VMs [auto, agent, hyperstart]", "auto" },
	{ "guest-dir", FLAG_GUEST_DIR, "directory=mode",
	    "what -guest says, for VMs with their control socket in this "
	    "directory; may be\n    \trepeated", NULL },
	{ "ksm", FLAG_KSM, "value",
	    "KSM settings [off, initial, auto]", "auto" },
	{ "libexec", FLAG_LIBEXEC, "string",
	    "directory of the daemon's other programs",
	    "\"" CCP_PROXYDIR "\"" },
	{ "log", FLAG_LOG, "string",
	    "log messages above specified level: debug, info, warn, error, "
	    "fatal or panic", "\"warn\"" },
	{ "log_backtrace_at", FLAG_GLOG, "value", "accepted and ignored",
	    NULL },
	{ "log_dir", FLAG_GLOG, "string", "accepted and ignored", NULL },
	{ "logtostderr", FLAG_GLOG_BOOL, NULL, "accepted and ignored", NULL },
	{ "n", FLAG_CHECK, NULL, "only check the configuration", NULL },
	{ "nv", FLAG_PRINT, NULL, "check the configuration and print it",
	    NULL },
	{ "pprof", FLAG_PPROF, NULL, "accepted and ignored", NULL },
	{ "pprof-host", FLAG_PPROF_HOST, "string",
	    "accepted and ignored", "\"localhost\"" },
	{ "pprof-port", FLAG_PPROF_PORT, "uint",
	    "accepted and ignored", "6060" },
	{ "socket-path", FLAG_SOCKET_PATH, "string",
	    "specify path to socket file", NULL },
	{ "socket-path-1", FLAG_SOCKET_PATH_1, "string",
	    "path of the socket for clients of protocol 1.x", NULL },
	{ "stderrthreshold", FLAG_GLOG, "value", "accepted and ignored",
	    NULL },
	{ "timeout", FLAG_TIMEOUT, "name=duration",
	    "a deadline: shim, process, stdin, ready, agent, destroy, "
	    "reload,\n    \tksm-kick, ksm-standard or ksm-slow; may be "
	    "repeated",
	    NULL },
	{ "uri", FLAG_URI, "string",
	    "proxy socket URI; the daemon serves one pod", NULL },
	{ "v", FLAG_V, "value",
	    "log level as a number: 0 warn, 1 info, 2 debug, 3 debug with "
	    "consoles", NULL },
	{ "version", FLAG_VERSION, NULL, "show the version", NULL },
	{ "vmodule", FLAG_GLOG, "value", "accepted and ignored", NULL }
};

#define NFLAGS	(sizeof(flag_table) / sizeof(flag_table[0]))

static const char *socket_path(const char *, char *, size_t);
static int	 parse_bool(const char *, int *);
static int	 parse_uint(const char *, uint64_t *, const char **);
static int	 set_verbosity(struct flags *, const char *, const char **);
static int	 set_guest(struct flags *, const char *, char *, size_t);
static int	 set_ksm(struct flags *, const char *, char *, size_t);
static int	 set_timeout(struct flags *, const char *, char *, size_t);
static int	 set_value(struct flags *, const struct flag *, const char *,
		    char *, size_t);
static int	 set_bool(struct flags *, const struct flag *, const char *,
		    char *, size_t);
static const struct flag *find(const char *, size_t);

static int
parse_bool(const char *s, int *value)
{
	static const char *const words[] = {
		"0", "f", "F", "false", "FALSE", "False",
		"1", "t", "T", "true", "TRUE", "True"
	};
	size_t	 i;

	for (i = 0; i < 12; i++) {
		if (strcmp(s, words[i]) == 0) {
			*value = i >= 6;
			return (0);
		}
	}
	return (-1);
}

static int
parse_uint(const char *s, uint64_t *value, const char **why)
{
	unsigned long long	 v;
	char			*ep;

	*why = "parse error";
	if (!isdigit((unsigned char)s[0]))
		return (-1);
	errno = 0;
	v = strtoull(s, &ep, 0);
	if (*ep != '\0')
		return (-1);
	if (errno != 0) {
		*why = "value out of range";
		return (-1);
	}
	*value = v;
	return (0);
}

static int
set_guest(struct flags *fl, const char *value, char *why, size_t size)
{
	int	 guest;

	if ((guest = guestdir_parse(value)) == -1) {
		snprintf(why, size, "unknown guest %s", value);
		return (-1);
	}
	fl->fl_guest = guest;
	return (0);
}

int
flags_ksm_valid(const char *word)
{
	return (strcmp(word, "off") == 0 || strcmp(word, "initial") == 0 ||
	    strcmp(word, "auto") == 0);
}

/* Only the first word of a list counts. */
static int
set_ksm(struct flags *fl, const char *value, char *why, size_t size)
{
	size_t	 n = strcspn(value, ",");

	if (n < sizeof(fl->fl_ksm)) {
		memcpy(fl->fl_ksm, value, n);
		fl->fl_ksm[n] = '\0';
		if (flags_ksm_valid(fl->fl_ksm))
			return (0);
	}
	snprintf(why, size, "Unsupported KSM knob %.*s", (int)n, value);
	return (-1);
}

static int
set_timeout(struct flags *fl, const char *value, char *why, size_t size)
{
	const char	*eq;
	int		 i;

	if ((eq = strchr(value, '=')) == NULL) {
		snprintf(why, size, "not of the form name=duration");
		return (-1);
	}
	if ((i = flags_timeout_set(fl->fl_timeout, value,
	    (size_t)(eq - value), eq + 1, why, size)) == -1)
		return (-1);
	fl->fl_has_timeout |= 1U << i;
	return (0);
}

/* The numbers of the 1.x daemon, any above 3 as well. */
static int
set_verbosity(struct flags *fl, const char *value, const char **why)
{
	uint64_t	 v;

	if (parse_uint(value, &v, why) == -1)
		return (-1);
	fl->fl_verbosity = v > 3 ? 3 : (int)v;
	return (0);
}

static int
set_value(struct flags *fl, const struct flag *flag, const char *value,
    char *err, size_t size)
{
	char		 quoted[QUOTED_MAX], text[2 * QUOTED_MAX];
	const char	*why = text;
	int		 result = 0;

	switch (flag->id) {
	case FLAG_CONF:
		fl->fl_conf = value;
		fl->fl_has |= FLAGS_HAS_CONF;
		break;
	case FLAG_CONTROL_PATH:
		fl->fl_control_path = value;
		break;
	case FLAG_GUEST:
		result = set_guest(fl, value, text, sizeof(text));
		fl->fl_has |= FLAGS_HAS_GUEST;
		break;
	case FLAG_GUEST_DIR:
		result = guestdir_add(&fl->fl_guest_dirs, value, text,
		    sizeof(text));
		break;
	case FLAG_KSM:
		result = set_ksm(fl, value, text, sizeof(text));
		fl->fl_has |= FLAGS_HAS_KSM;
		break;
	case FLAG_LIBEXEC:
		fl->fl_libexec = value;
		break;
	case FLAG_LOG:
		fl->fl_log = value;
		fl->fl_has |= FLAGS_HAS_LOG;
		break;
	case FLAG_PPROF_HOST:
		fl->fl_pprof_host = value;
		break;
	case FLAG_PPROF_PORT:
		result = parse_uint(value, &fl->fl_pprof_port, &why);
		break;
	case FLAG_SOCKET_PATH:
		fl->fl_socket_path = value;
		break;
	case FLAG_SOCKET_PATH_1:
		fl->fl_socket_path_1 = value;
		break;
	case FLAG_GLOG:
		break;
	case FLAG_V:
		result = set_verbosity(fl, value, &why);
		fl->fl_has |= FLAGS_HAS_LOG;
		break;
	case FLAG_TIMEOUT:
		result = set_timeout(fl, value, text, sizeof(text));
		break;
	case FLAG_URI:
		fl->fl_uri = value;
		break;
	case FLAG_CHECK:
	case FLAG_GLOG_BOOL:
	case FLAG_PPROF:
	case FLAG_PRINT:
	case FLAG_VERSION:
	default:
		fatalx("flag %s takes no value", flag->name);
	}
	if (result == -1) {
		logfmt_quote(quoted, sizeof(quoted), value);
		snprintf(err, size, "invalid value %s for flag -%s: %s",
		    quoted, flag->name, why);
	}
	return (result);
}

/* value is NULL if the flag stands alone. */
static int
set_bool(struct flags *fl, const struct flag *flag, const char *value,
    char *err, size_t size)
{
	char	 quoted[QUOTED_MAX];
	int	 v = 1;

	if (value != NULL && parse_bool(value, &v) == -1) {
		logfmt_quote(quoted, sizeof(quoted), value);
		snprintf(err, size,
		    "invalid boolean value %s for -%s: parse error", quoted,
		    flag->name);
		return (-1);
	}
	if (flag->id == FLAG_CHECK)
		fl->fl_check = v;
	else if (flag->id == FLAG_PRINT)
		fl->fl_print = v;
	else if (flag->id == FLAG_VERSION)
		fl->fl_version = v;
	else if (flag->id == FLAG_PPROF)
		fl->fl_pprof = v;
	return (0);
}

static const struct flag *
find(const char *name, size_t len)
{
	size_t	 i;

	for (i = 0; i < NFLAGS; i++) {
		if (strlen(flag_table[i].name) == len &&
		    strncmp(flag_table[i].name, name, len) == 0)
			return (&flag_table[i]);
	}
	return (NULL);
}

int
flags_parse(struct flags *fl, int argc, char **argv, char *err, size_t size)
{
	const struct flag	*flag;
	const char		*name, *value;
	size_t			 len;
	int			 i;

	memset(fl, 0, sizeof(*fl));
	fl->fl_log = "warn";
	fl->fl_socket_path = fl->fl_uri = fl->fl_control_path = "";
	fl->fl_socket_path_1 = "";
	fl->fl_verbosity = -1;
	fl->fl_guest = MSG_GUEST_AUTO;
	strlcpy(fl->fl_ksm, "auto", sizeof(fl->fl_ksm));
	fl->fl_pprof_host = "localhost";
	fl->fl_pprof_port = 6060;
	fl->fl_libexec = CCP_PROXYDIR;
	fl->fl_conf = CCP_CONFFILE;
	flags_timeout_defaults(fl->fl_timeout);

	for (i = 1; i < argc; i++) {
		name = argv[i];
		if (name[0] != '-' || name[1] == '\0' ||
		    strcmp(name, "--") == 0)
			break;
		name += name[1] == '-' ? 2 : 1;
		if (name[0] == '-' || name[0] == '=') {
			snprintf(err, size, "bad flag syntax: %s", argv[i]);
			return (-1);
		}
		len = strcspn(name, "=");
		value = name[len] == '=' ? name + len + 1 : NULL;
		if ((flag = find(name, len)) == NULL) {
			if ((len == 1 && name[0] == 'h') ||
			    (len == 4 && strncmp(name, "help", 4) == 0))
				return (FLAGS_HELP);
			snprintf(err, size,
			    "flag provided but not defined: -%.*s", (int)len,
			    name);
			return (-1);
		}
		if (flag->type == NULL) {
			if (set_bool(fl, flag, value, err, size) == -1)
				return (-1);
			continue;
		}
		if (value == NULL && ++i < argc)
			value = argv[i];
		if (value == NULL) {
			snprintf(err, size, "flag needs an argument: -%s",
			    flag->name);
			return (-1);
		}
		if (set_value(fl, flag, value, err, size) == -1)
			return (-1);
	}
	return (0);
}

void
flags_usage(const char *argv0)
{
	size_t	 i;

	fprintf(stderr, "Usage of %s:\n", argv0);
	for (i = 0; i < NFLAGS; i++) {
		fprintf(stderr, "  -%s%s%s\n    \t%s", flag_table[i].name,
		    flag_table[i].type == NULL ? "" : " ",
		    flag_table[i].type == NULL ? "" : flag_table[i].type,
		    flag_table[i].usage);
		if (flag_table[i].deflt != NULL)
			fprintf(stderr, " (default %s)", flag_table[i].deflt);
		fprintf(stderr, "\n");
	}
}

void
flags_get(struct flags *fl, int argc, char **argv)
{
	const char	*argv0 = argc > 0 ? argv[0] : "cc-proxy";
	char		 err[4 * QUOTED_MAX];

	switch (flags_parse(fl, argc, argv, err, sizeof(err))) {
	case 0:
		return;
	case FLAGS_HELP:
		flags_usage(argv0);
		exit(0);
	default:
		fprintf(stderr, "%s\n", err);
		flags_usage(argv0);
		exit(2);
	}
}

int
flags_log_level(const struct flags *fl, const char *env, const char **name,
    int *console)
{
	static const enum log_level levels[] = {
		LOGL_WARN, LOGL_INFO, LOGL_DEBUG, LOGL_DEBUG
	};
	const char	*errstr;
	int		 v = fl->fl_verbosity;

	*console = 1;
	*name = fl->fl_log;
	if (env != NULL && isdigit((unsigned char)env[0])) {
		/* A number, as for the 1.x daemon: the flag wins. */
		if (v == -1)
			v = (int)strtonum(env, 0, INT32_MAX, &errstr);
	} else if (env != NULL && env[0] != '\0') {
		*name = env;
		v = -1;
	}
	if (v == -1)
		return (log_level_parse(*name));
	*console = v >= 3;
	return (levels[v > 3 ? 3 : v]);
}

/* Only this prefix is special: everything else is a path as it stands. */
const char *
flags_socket_path(const struct flags *fl, char *err, size_t size)
{
	const char	*path = SOCKET_PATH;

	if (fl->fl_uri[0] != '\0') {
		path = fl->fl_uri;
		if (strncmp(path, "unix://", 7) == 0)
			path += 7;
	}
	if (fl->fl_socket_path[0] != '\0')
		path = fl->fl_socket_path;
	return (socket_path(path, err, size));
}

/* On by default only beside the default path, never where a pod asked. */
const char *
flags_socket_path_1(const struct flags *fl, char *err, size_t size)
{
	if (fl->fl_socket_path_1[0] != '\0')
		return (socket_path(fl->fl_socket_path_1, err, size));
	return (fl->fl_uri[0] == '\0' && fl->fl_socket_path[0] == '\0' ?
	    SOCKET_PATH_1 : "");
}

static const char *
socket_path(const char *path, char *err, size_t size)
{
	if (strlen(path) > SOCKET_PATH_MAX) {
		snprintf(err, size, "socket path too long %zu (max %d)",
		    strlen(path), SOCKET_PATH_MAX);
		return (NULL);
	}
	return (path);
}
