/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl run: start a process in a container of a VM, as a runtime
 * and its shim would together, and stay connected to it.
 */

#include <sys/types.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "client.h"
#include "ctl.h"

#define HOSTNAME_BYTES	64	/* what a guest takes for its host name */
#define SHARE_TAG	"hyperShared"
#define DEFAULT_PATH	"/usr/local/sbin:/usr/local/bin:/usr/sbin:" \
			"/usr/bin:/sbin:/bin"

/* How agents begin their refusal, behind what the daemon puts in front. */
#define POD_NOT_STARTED	"control msg received : pod not started"

struct run {
	const char	*vm;
	const char	*container;
	const char	*image;
	const char	*workdir;
	char		*user;
	char		*group;
	json_t		*envs;
	char		**command;
	int		 terminal;
	int		 interactive;
	int		 exec;		/* in a container that is there */
	int		 keep;
};

static void	 parse(struct run *, int, char **);
static json_t	*must(json_t *);
static void	 add_env(struct run *, const char *, const char *);
static int	 has_env(const struct run *, const char *);
static json_t	*process(const struct run *);
static char	*data_text(json_t *);
static int	 container_exists(struct ccp *, const struct run *);
static int	 start_pod(struct ccp *, const struct run *);
static int	 start(struct ccp *, const struct run *, const char *);
static void	 remove_container(struct ccp *, const struct run *);

static json_t *
must(json_t *o)
{
	if (o == NULL)
		ctl_errx("run: an argument is not UTF-8 text");
	return (o);
}

static int
has_env(const struct run *r, const char *name)
{
	json_t	*env;
	size_t	 i;

	for (i = 0; i < json_array_size(r->envs); i++) {
		env = json_object_get(json_array_get(r->envs, i), "env");
		if (strcmp(json_string_value(env), name) == 0)
			return (1);
	}
	return (0);
}

static void
add_env(struct run *r, const char *name, const char *value)
{
	if (json_array_append_new(r->envs, must(json_pack("{s:s,s:s}",
	    "env", name, "value", value))) == -1)
		ctl_errx("%s", strerror(ENOMEM));
}

static void
parse(struct run *r, int argc, char **argv)
{
	static const struct option options[] = {
		{ "env",		required_argument,	NULL,	'E' },
		{ "exec",		no_argument,		NULL,	'e' },
		{ "interactive",	no_argument,		NULL,	'i' },
		{ "keep",		no_argument,		NULL,	'k' },
		{ "root",		required_argument,	NULL,	'r' },
		{ "tty",		no_argument,		NULL,	't' },
		{ "user",		required_argument,	NULL,	'u' },
		{ "workdir",		required_argument,	NULL,	'w' },
		{ NULL,			0,			NULL,	0 }
	};
	const char	*term;
	char		*p;
	int		 ch;

	memset(r, 0, sizeof(*r));
	r->workdir = "/";
	r->envs = must(json_array());
	optind = 0;
	while ((ch = getopt_long(argc, argv, "+E:eiktu:w:", options,
	    NULL)) != -1) {
		switch (ch) {
		case 'E':
			if ((p = strchr(optarg, '=')) == NULL || p == optarg)
				ctl_errx("run: -E %s: not name=value", optarg);
			*p = '\0';
			add_env(r, optarg, p + 1);
			break;
		case 'e':
			r->exec = 1;
			break;
		case 'i':
			r->interactive = 1;
			break;
		case 'k':
			r->keep = 1;
			break;
		case 'r':
			r->image = optarg;
			break;
		case 't':
			r->terminal = 1;
			break;
		case 'u':
			r->user = optarg;
			if ((r->group = strchr(optarg, ':')) != NULL)
				*r->group++ = '\0';
			break;
		case 'w':
			r->workdir = optarg;
			break;
		default:
			ctl_usage();
		}
	}
	argc -= optind;
	argv += optind;
	if (argc > 2 && strcmp(argv[2], "--") == 0)
		r->command = argv + 3;
	else if (argc > 2)
		r->command = argv + 2;
	if (r->command == NULL || r->command[0] == NULL)
		ctl_usage();
	r->vm = argv[0];
	r->container = argv[1];
	if (r->image == NULL)
		r->image = r->container;
	if (has_env(r, "PATH") == 0)
		add_env(r, "PATH", DEFAULT_PATH);
	if (r->terminal && has_env(r, "TERM") == 0) {
		term = getenv("TERM");
		add_env(r, "TERM", term == NULL ? "xterm" : term);
	}
}

/*
 * Members that some agent does not know are left out: one of the dialects
 * refuses the whole command for each.  The numbers of the process's streams
 * are the daemon's to put in.
 */
static json_t *
process(const struct run *r)
{
	json_t	*args, *o;
	size_t	 i;

	args = must(json_array());
	for (i = 0; r->command[i] != NULL; i++)
		if (json_array_append_new(args,
		    must(json_string(r->command[i]))) == -1)
			ctl_errx("%s", strerror(ENOMEM));
	o = must(json_pack("{s:b,s:o,s:O,s:s}", "terminal", r->terminal,
	    "args", args, "envs", r->envs, "workdir", r->workdir));
	if (r->user != NULL && *r->user != '\0' && json_object_set_new(o,
	    "user", must(json_string(r->user))) == -1)
		ctl_errx("%s", strerror(ENOMEM));
	if (r->group != NULL && *r->group != '\0' && json_object_set_new(o,
	    "group", must(json_string(r->group))) == -1)
		ctl_errx("%s", strerror(ENOMEM));
	return (o);
}

/* Consumes o; the caller frees the text. */
static char *
data_text(json_t *o)
{
	char	*text;

	if ((text = json_dumps(must(o), JSON_COMPACT)) == NULL)
		ctl_errx("%s", strerror(ENOMEM));
	json_decref(o);
	return (text);
}

/*
 * An agent that lists the container's processes has it; one that refuses
 * has not, or will refuse the next command with a better reason.
 */
static int
container_exists(struct ccp *h, const struct run *r)
{
	char	*data;
	int	 ret;

	data = data_text(json_pack("{s:s,s:s}", "container", r->container,
	    "format", "json"));
	ret = ccp_hyper(h, "pscontainer", NULL, 0, data, NULL, NULL);
	free(data);
	if (ret == -1 && ccp_refused(h) == 0)
		ctl_errx("run: %s", ccp_error(h));
	return (ret == 0);
}

static int
start_pod(struct ccp *h, const struct run *r)
{
	char	 hostname[HOSTNAME_BYTES + 1], *data;
	int	 ret;

	strlcpy(hostname, r->vm, sizeof(hostname));
	data = data_text(json_pack("{s:s,s:s}", "hostname", hostname,
	    "shareDir", SHARE_TAG));
	ret = ccp_hyper(h, "startpod", NULL, 0, data, NULL, NULL);
	free(data);
	return (ret);
}

static int
start(struct ccp *h, const struct run *r, const char *token)
{
	const char	*name = r->exec ? "execcmd" : "newcontainer";
	char		*data;
	int		 ret;

	if (r->exec)
		data = data_text(json_pack("{s:s,s:o}", "container",
		    r->container, "process", process(r)));
	else
		data = data_text(json_pack("{s:s,s:s,s:s,s:o}", "id",
		    r->container, "rootfs", "rootfs", "image", r->image,
		    "process", process(r)));
	ret = ccp_hyper(h, name, &token, 1, data, NULL, NULL);
	if (ret == -1 && r->exec == 0 && ccp_refused(h) &&
	    strcasestr(ccp_error(h), POD_NOT_STARTED) != NULL &&
	    (ret = start_pod(h, r)) == 0)
		ret = ccp_hyper(h, name, &token, 1, data, NULL, NULL);
	free(data);
	return (ret);
}

/* Some agents have removed it by now and refuse; all is well then, too. */
static void
remove_container(struct ccp *h, const struct run *r)
{
	char	*data;

	data = data_text(json_pack("{s:s}", "container", r->container));
	ccp_hyper(h, "removecontainer", NULL, 0, data, NULL, NULL);
	free(data);
}

int
ctl_run(const struct ctl_conf *conf, int argc, char **argv)
{
	struct session	 s;
	struct run	 r;
	struct ccp	*h;
	char		*token;
	int		 status;

	parse(&r, argc, argv);
	h = ctl_open(conf);
	if (ccp_attach(h, r.vm, &token, 1) == -1)
		ctl_errx("run: %s", ccp_error(h));
	if (r.exec == 0)
		r.exec = container_exists(h, &r);

	memset(&s, 0, sizeof(s));
	s.terminal = r.terminal;
	s.interactive = r.interactive;
	s.first = r.exec == 0;
	s.shim = ctl_open(conf);
	if (ccp_connect_shim(s.shim, token) == -1)
		ctl_errx("run: %s", ccp_error(s.shim));
	if (start(h, &r, token) == -1) {
		ctl_warnx("run: %s", ccp_error(h));
		session_end(s.shim);
		exit(1);
	}
	ccp_tokens_free(&token, 1);

	status = session_run(&s);
	ccp_free(s.shim);
	if (s.first && s.exited && r.keep == 0)
		remove_container(h, &r);
	ccp_free(h);
	json_decref(r.envs);
	return (status);
}
