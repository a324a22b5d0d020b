/* SPDX-License-Identifier: ISC */

/*
 * The configuration file: those of regress/conf print what their .ok says,
 * which is read back as the same; each bound holds and one more does not.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "test.h"

#define DIR	"regress/conf"

static char	 top[PATH_MAX], scratch[] = "/tmp/ccp-conf-XXXXXX";
static char	*said;		/* reports, a line each */
static size_t	 nsaid;
static FILE	*said_file;

/* A test's name is printed when the next one begins. */
static void
begin(const char *what, const char *name)
{
	static char	 names[2][256];
	static int	 which;

	which = !which;
	snprintf(names[which], sizeof(names[0]), "%s %s", what, name);
	test_begin(names[which]);
}

static void
report(const char *line)
{
	fprintf(said_file, "%s\n", line);
}

static void
listen_to_reports(void)
{
	free(said);
	said = NULL;
	if ((said_file = open_memstream(&said, &nsaid)) == NULL)
		err(1, NULL);
}

static int
load(struct conf *c, const char *path)
{
	int	 r;

	conf_init(c);
	listen_to_reports();
	r = conf_load(c, path, 0, report);
	fclose(said_file);
	return (r);
}

static int
parse(struct conf *c, const char *text)
{
	int	 r;

	conf_init(c);
	listen_to_reports();
	r = conf_parse(c, "test", text, strlen(text), report);
	fclose(said_file);
	return (r);
}

/* Is text good, or has it exactly this error? */
static int
good(const char *text)
{
	struct conf	 c;
	int		 r;

	r = parse(&c, text);
	conf_free(&c);
	if (r != 0)
		fprintf(stderr, "%s", said);
	return (r == 0);
}

static int
bad(const char *text, const char *want)
{
	struct conf	 c;
	int		 r;

	r = parse(&c, text);
	conf_free(&c);
	if (r == -1 && strncmp(said, want, strlen(want)) == 0 &&
	    strcmp(said + strlen(want), "\n") == 0)
		return (1);
	fprintf(stderr, "got %swant %s\n", said, want);
	return (0);
}

static char *
print(const struct conf *c)
{
	FILE	*f;
	char	*text;
	size_t	 len;

	if ((f = open_memstream(&text, &len)) == NULL)
		err(1, NULL);
	conf_print(f, c);
	fclose(f);
	return (text);
}

static char *
slurp(const char *path)
{
	FILE	*f;
	char	*text;
	size_t	 n;

	if ((f = fopen(path, "r")) == NULL)
		return (strdup(""));
	if ((text = calloc(1, CONF_FILE_MAX)) == NULL)
		err(1, NULL);
	n = fread(text, 1, CONF_FILE_MAX - 1, f);
	text[n] = '\0';
	fclose(f);
	return (text);
}

/* A file of ours that nobody else may write to. */
static void
spit(const char *path, const char *text, size_t len)
{
	int	 fd;

	if ((fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600)) == -1 ||
	    write(fd, text, len) != (ssize_t)len)
		err(1, "%s", path);
	close(fd);
}

static int
same_socket(const struct conf_socket *a, const struct conf_socket *b)
{
	return (strcmp(a->path, b->path) == 0 && a->mode == b->mode &&
	    a->uid == b->uid && a->gid == b->gid);
}

static int
same_rules(const struct policy *a, const struct policy *b)
{
	const struct policy_rule	*r, *s;
	size_t				 i;

	if (a->nrules != b->nrules || a->attach_owner != b->attach_owner)
		return (0);
	for (i = 0; i < a->nrules; i++) {
		r = &a->rules[i];
		s = &b->rules[i];
		if (r->allow != s->allow || r->ops != s->ops ||
		    r->has_uid != s->has_uid || r->has_gid != s->has_gid ||
		    r->uid != s->uid || r->gid != s->gid)
			return (0);
	}
	return (1);
}

static int
same_vmdirs(const struct conf *a, const struct conf *b)
{
	const struct conf_vmdir	*d, *e = TAILQ_FIRST(&b->vmdirs);

	TAILQ_FOREACH(d, &a->vmdirs, entry) {
		if (e == NULL || strcmp(d->path, e->path) != 0 ||
		    d->guest != e->guest || d->nowners != e->nowners ||
		    memcmp(d->owners, e->owners,
		    d->nowners * sizeof(d->owners[0])) != 0)
			return (0);
		e = TAILQ_NEXT(e, entry);
	}
	return (e == NULL && a->nvmdirs == b->nvmdirs);
}

static int
same(const struct conf *a, const struct conf *b)
{
	size_t	 i;

	if (a->level != b->level || strcmp(a->ksm, b->ksm) != 0 ||
	    a->guest != b->guest || a->control != b->control ||
	    a->nlisteners != b->nlisteners ||
	    memcmp(a->timeouts, b->timeouts, sizeof(a->timeouts)) != 0 ||
	    memcmp(a->limits, b->limits, sizeof(a->limits)) != 0 ||
	    a->limit_root != b->limit_root ||
	    a->engine_first != b->engine_first ||
	    a->engine_last != b->engine_last)
		return (0);
	for (i = 0; i < a->nlisteners; i++)
		if (a->listeners[i].proto != b->listeners[i].proto ||
		    !same_socket(&a->listeners[i].sock,
		    &b->listeners[i].sock))
			return (0);
	return ((a->control != CONF_CONTROL_PATH ||
	    same_socket(&a->ctlsock, &b->ctlsock)) && same_vmdirs(a, b) &&
	    same_rules(&a->policy, &b->policy));
}

/* In the scratch directory: what it prints, or its errors. */
static void
check_file(const char *name, const char *want)
{
	struct conf	 a, b;
	char		*printed, *again;

	begin("file", name);
	if (strncmp(name, "fail-", 5) == 0) {
		CHECK(load(&a, name) == -1);
		conf_free(&a);
		CHECK(strcmp(said, want) == 0);
		if (strcmp(said, want) != 0)
			fprintf(stderr, "%s", said);
		return;
	}
	CHECK(load(&a, name) == 0);
	CHECK(said[0] == '\0');
	printed = print(&a);
	CHECK(strcmp(printed, want) == 0);
	if (strcmp(printed, want) != 0)
		fprintf(stderr, "%s%s", said, printed);
	CHECK(parse(&b, printed) == 0);
	again = print(&b);
	CHECK(strcmp(printed, again) == 0);
	CHECK(same(&a, &b));
	conf_free(&a);
	conf_free(&b);
	free(printed);
	free(again);
}

/* Copies: the owner and mode of those in the tree are anybody's guess. */
static void
copy(const char *name)
{
	char	 path[2 * PATH_MAX], *text;

	snprintf(path, sizeof(path), "%s/" DIR "/%s", top, name);
	text = slurp(path);
	spit(name, text, strlen(text));
	free(text);
}

static void
test_files(void)
{
	char		 path[2 * PATH_MAX], *want;
	const char	*name;
	glob_t		 g;
	size_t		 i;

	if (mkdir("inc", 0700) == -1)
		err(1, "inc");
	copy("inc/one.inc");
	copy("inc/two.inc");
	copy("inc/bad.inc");
	snprintf(path, sizeof(path), "%s/" DIR "/*.conf", top);
	if (glob(path, 0, NULL, &g) != 0)
		errx(1, "no " DIR "/*.conf");
	for (i = 0; i < g.gl_pathc; i++) {
		name = strrchr(g.gl_pathv[i], '/') + 1;
		copy(name);
		strlcpy(path, g.gl_pathv[i], sizeof(path));
		strlcpy(strrchr(path, '.'), ".ok", 4);
		want = slurp(path);
		check_file(name, want);
		free(want);
	}
	globfree(&g);
}

static void
test_access(void)
{
	struct conf	 c;

	test_begin("a file that is missing, or not one, or not ours alone");
	CHECK(load(&c, "nowhere/x.conf") == -1);
	CHECK(strcmp(said, "nowhere/x.conf: no such file or directory\n")
	    == 0);
	conf_init(&c);
	CHECK(conf_load(&c, "nowhere/x.conf", 1, report) == 0);
	CHECK(load(&c, ".") == -1);
	CHECK(strcmp(said, ".: not a regular file\n") == 0);
	CHECK(mkfifo("fifo", 0600) == 0 && load(&c, "fifo") == -1);
	CHECK(strcmp(said, "fifo: not a regular file\n") == 0);
	spit("open.conf", "", 0);
	CHECK(load(&c, "open.conf") == 0);
	CHECK(chmod("open.conf", 0644) == 0 && load(&c, "open.conf") == 0);
	CHECK(chmod("open.conf", 0620) == 0 && load(&c, "open.conf") == -1);
	CHECK(strcmp(said, "open.conf: others may write to it (mode 0620)\n")
	    == 0);
	CHECK(chmod("open.conf", 0602) == 0 && load(&c, "open.conf") == -1);
	CHECK(chmod("open.conf", 0600) == 0);
	if (geteuid() == 0) {
		CHECK(chown("open.conf", 1234, 0) == 0);
		CHECK(load(&c, "open.conf") == -1);
		CHECK(strcmp(said, "open.conf: belongs to user 1234\n") == 0);
		spit("top.conf", "\n include \"open.conf\"\n", 22);
		CHECK(load(&c, "top.conf") == -1);
		CHECK(strcmp(said, "top.conf:2:10: open.conf: belongs to user "
		    "1234\n") == 0);
	}
}

/* The same line n times, a number in it. */
static char *
lines(const char *fmt, int n)
{
	char	*text;
	size_t	 len;
	FILE	*f;
	int	 i;

	if ((f = open_memstream(&text, &len)) == NULL)
		err(1, NULL);
	for (i = 0; i < n; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		fprintf(f, fmt, i, i);
#pragma GCC diagnostic pop
	}
	fclose(f);
	return (text);
}

/* max lines are good, and one more is an error of the last. */
static void
check_bound(const char *fmt, int max, const char *want)
{
	char	*text;

	text = lines(fmt, max);
	CHECK(good(text));
	free(text);
	text = lines(fmt, max + 1);
	CHECK(bad(text, want));
	free(text);
}

static char *
repeat(const char *before, int c, size_t n, const char *after)
{
	size_t	 len = strlen(before);
	char	*text;

	if ((text = malloc(len + n + strlen(after) + 1)) == NULL)
		err(1, NULL);
	memcpy(text, before, len);
	memset(text + len, c, n);
	memcpy(text + len + n, after, strlen(after) + 1);
	return (text);
}

static void
test_counts(void)
{
	struct conf	 c;
	char		*text, *all;

	test_begin("16 listeners and no more");
	check_bound("listen on \"/run/%d\"\n", CONF_LISTENERS_MAX,
	    "test:17:11: more than 16 listeners");
	test_begin("64 directories and no more");
	check_bound("vm directory \"/run/%d\"\n", CONF_VMDIRS_MAX,
	    "test:65:14: more than 64 vm directories");
	test_begin("256 macros and no more");
	check_bound("m%d = \"x\"\n", CONF_MACROS_MAX,
	    "test:257:1: more than 256 macros");
	test_begin("1024 rules and no more");
	check_bound("allow any from user %d\n", POLICY_RULES_MAX,
	    "test:1025:1: more than 1024 rules");

	test_begin("32 owners and no more");
	text = lines("%d\n", CONF_OWNERS_MAX);
	CHECK(asprintf(&all, "vm directory /x owner {\n%s}\n", text) != -1);
	CHECK(good(all));
	free(all);
	CHECK(asprintf(&all, "vm directory /x owner {\n%s0 }\n", text) != -1);
	CHECK(bad(all, "test:34:1: more than 32 owners"));
	free(all);
	free(text);

	test_begin("1024 rules of one line and no more");
	text = lines("%d\n", 32);
	CHECK(asprintf(&all, "deny any from user {\n%s}\tgroup {\n%s}\n",
	    text, text) != -1);
	CHECK(good(all));
	free(all);
	CHECK(asprintf(&all, "deny any from user {\n%s}\tgroup {\n%s32 }\n",
	    text, text) != -1);
	CHECK(bad(all, "test:1:1: more than 1024 rules"));
	free(all);
	free(text);

	test_begin("1024 words of a list and no more");
	text = lines("%d\n", POLICY_RULES_MAX);
	CHECK(asprintf(&all, "deny any from user {\n%s}\n", text) != -1);
	CHECK(good(all));
	free(all);
	CHECK(asprintf(&all, "deny any from user {\n%s1 }\n", text) != -1);
	CHECK(bad(all, "test:1026:1: list too long (max 1024)"));
	free(all);
	free(text);

	test_begin("63 errors, then one that says that there are more");
	text = lines("ksm x%d\n", CONF_ERRORS_MAX - 1);
	CHECK(parse(&c, text) == -1 && strstr(said, "too many") == NULL);
	free(text);
	text = lines("ksm x%d\n", 3 * CONF_ERRORS_MAX);
	CHECK(parse(&c, text) == -1);
	CHECK(strstr(said, "test:63:5: unknown KSM mode \"x62\"\n"
	    "test:64:5: too many errors\n") != NULL);
	CHECK(strstr(said, "test:65") == NULL);
	free(text);
}

static void
test_sizes(void)
{
	struct conf	 c;
	char		*text;

	test_begin("words and strings of 1024 bytes and no more");
	text = repeat("a = ", 'x', CONF_WORD_MAX, "\n");
	CHECK(good(text));
	free(text);
	text = repeat("a = ", 'x', CONF_WORD_MAX + 1, "\n");
	CHECK(bad(text, "test:1:5: word too long"));
	free(text);
	text = repeat("a = \"", ' ', CONF_WORD_MAX, "\"\n");
	CHECK(good(text));
	free(text);
	text = repeat("a = \"", ' ', CONF_WORD_MAX + 1, "\"\n");
	CHECK(bad(text, "test:1:5: string too long"));
	free(text);
	text = repeat("a = x ", 'y', CONF_WORD_MAX - 2, "\n");
	CHECK(good(text));
	free(text);
	text = repeat("a = x ", 'y', CONF_WORD_MAX - 1, "\n");
	CHECK(bad(text, "test:1:7: value too long"));
	free(text);

	test_begin("paths of 107 bytes and no more");
	text = repeat("listen on /", 'x', MSG_SUN_MAX - 1, "\n");
	CHECK(good(text));
	free(text);
	text = repeat("listen on /", 'x', MSG_SUN_MAX, "\n");
	CHECK(bad(text, "test:1:11: path too long (max 107)"));
	free(text);
	text = repeat("control /", 'x', MSG_SUN_MAX - 1, "\n");
	CHECK(good(text));
	free(text);
	text = repeat("control /", 'x', MSG_SUN_MAX, "\n");
	CHECK(bad(text, "test:1:9: path too long (max 107)"));
	free(text);
	text = repeat("vm directory /", 'x', MSG_SUN_MAX - 1, "\n");
	CHECK(good(text));
	free(text);
	text = repeat("vm directory /", 'x', MSG_SUN_MAX, "\n");
	CHECK(bad(text, "test:1:14: path too long (max 107)"));
	free(text);

	test_begin("text of 1 MiB and no more");
	text = repeat("#", 'x', CONF_FILE_MAX - 1, "");
	CHECK(good(text));
	free(text);
	text = repeat("#", 'x', CONF_FILE_MAX, "");
	CHECK(bad(text, "more than 1048576 bytes"));
	spit("large", text, CONF_FILE_MAX);
	CHECK(load(&c, "large") == 0);
	spit("large", text, CONF_FILE_MAX + 1);
	CHECK(load(&c, "large") == -1);
	CHECK(strcmp(said, "large: more than 1048576 bytes\n") == 0);
	free(text);
}

static void
test_includes(void)
{
	struct conf	 c;
	char		 name[32], text[64], *all;
	int		 i;

	/* d0 includes d1 includes d2 ...; d8 is the eighth that is. */
	test_begin("8 files within each other and no more");
	for (i = 0; i <= CONF_DEPTH_MAX; i++) {
		snprintf(name, sizeof(name), "d%d", i);
		snprintf(text, sizeof(text), i == CONF_DEPTH_MAX ?
		    "ksm off\n" : "include \"d%d\"\n", i + 1);
		spit(name, text, strlen(text));
	}
	CHECK(load(&c, "d0") == 0 && strcmp(c.ksm, "off") == 0);
	spit("d8", "include d9\n", 11);
	spit("d9", "", 0);
	CHECK(load(&c, "d0") == -1);
	CHECK(strcmp(said, "d8:1:9: d9: more than 8 files within each "
	    "other\n") == 0);
	spit("self", "include self\ninclude self\n", 26);
	CHECK(load(&c, "self") == -1);

	test_begin("63 files included and no more");
	spit("one", "# nothing", 9);
	all = lines("include one\n", CONF_FILES_MAX - 1);
	spit("many", all, strlen(all));
	CHECK(load(&c, "many") == 0);
	free(all);
	all = lines("include one\n", CONF_FILES_MAX);
	spit("many", all, strlen(all));
	CHECK(load(&c, "many") == -1);
	CHECK(strcmp(said, "many:64:9: one: more than 64 files\n") == 0);
	free(all);
}

static void
test_limits(void)
{
	const struct conf_limit	*l;
	struct conf		 c;
	char			 text[128], want[128];
	int			 i;

	for (i = 0; i < CONF_LIMITS; i++) {
		l = &conf_limits[i];
		begin("limit of", l->name);
		snprintf(text, sizeof(text), "limit %s %u", l->name, l->min);
		CHECK(parse(&c, text) == 0 && c.limits[i] == l->min);
		snprintf(text, sizeof(text), "limit %s %u", l->name, l->max);
		CHECK(parse(&c, text) == 0 && c.limits[i] == l->max);
		snprintf(want, sizeof(want), "test:1:%zu: %s must be from %u "
		    "to %u", strlen(l->name) + 8, l->name, l->min, l->max);
		snprintf(text, sizeof(text), "limit %s %u", l->name,
		    l->min - 1);
		CHECK(bad(text, want));
		snprintf(text, sizeof(text), "limit %s %u", l->name,
		    l->max + 1);
		CHECK(bad(text, want));
		conf_init(&c);
		CHECK(c.limits[i] == l->deflt && l->deflt >= l->min &&
		    l->deflt <= l->max);
	}
}

static void
test_engine(void)
{
	struct conf	 c;

	begin("uids of engines", "");
	conf_init(&c);
	CHECK(c.engine_first == 0 && !c.limit_root);
	CHECK(parse(&c, "limit root") == 0 && c.limit_root);
	CHECK(parse(&c, "limit root\nno limit root") == 0 && !c.limit_root);
	CHECK(parse(&c, "engine uid 600000 - 600001\nlimit vms 2") == 0 &&
	    c.engine_first == 600000 && c.engine_last == 600001);
	CHECK(bad("limit vms 3\nengine uid 600000 - 600001",
	    "test:2:12: 2 uids for 3 VMs (limit vms)"));
	CHECK(parse(&c, "limit vms 1\nengine uid 4294967294 - 4294967294") ==
	    0 && c.engine_first == 4294967294);
	CHECK(parse(&c, "engine uid 2000000 - 3048575") == 0 &&
	    c.engine_last == 3048575);
	CHECK(bad("engine uid 2000000 - 3048576",
	    "test:1:22: more than 1048576 uids"));
}

/* Text, with the words of args as the command line. */
static int
merge(struct conf *c, struct flags *fl, const char *text, const char *args)
{
	static char	 words[1024];
	char		*argv[32], *p, *word, why[512];
	int		 argc = 0;

	strlcpy(words, args, sizeof(words));
	for (p = words; (word = strsep(&p, " ")) != NULL && argc < 31;)
		argv[argc++] = word;
	argv[argc] = NULL;
	if (flags_parse(fl, argc, argv, why, sizeof(why)) != 0)
		errx(1, "%s: %s", args, why);
	conf_free(c);
	return (parse(c, text) == -1 ? -1 :
	    conf_merge(c, fl, why, sizeof(why)));
}

static int
listens(const struct conf *c, size_t i, const char *path, int proto)
{
	return (i < c->nlisteners && c->listeners[i].proto == proto &&
	    strcmp(c->listeners[i].sock.path, path) == 0);
}

static void
test_merge(void)
{
	static const char	*file = "ksm off\nguest agent\n"
	    "timeout shim 1s\ntimeout ready 2s\nlisten on /a\nlisten on /b\n"
	    "listen on /c protocol 1\ncontrol /ctl mode 0666\n"
	    "vm directory /vms guest hyperstart\nvm directory /other\n";
	struct conf		 c;
	struct flags		 fl;

	conf_init(&c);
	test_begin("without a file and flags: as it always was");
	CHECK(merge(&c, &fl, "", "x") == 0);
	CHECK(c.nlisteners == 2 && c.listeners[0].proto == MSG_PROTO_3 &&
	    c.listeners[1].proto == MSG_PROTO_1);
	CHECK(c.listeners[0].sock.mode == 0660 &&
	    c.listeners[0].sock.uid == CONF_ID_NONE);
	CHECK(c.control == CONF_CONTROL_DEFAULT && c.level == LOGL_WARN);
	CHECK(conf_guest(&c, &fl, "/vms/ctl") == MSG_GUEST_AUTO);
	CHECK(TAILQ_EMPTY(&c.vmdirs) && c.policy.nrules == 0);

	test_begin("a file without flags");
	CHECK(merge(&c, &fl, file, "x") == 0);
	CHECK(strcmp(c.ksm, "off") == 0 && c.guest == MSG_GUEST_AGENT);
	CHECK(c.timeouts[FLT_SHIM] == 1000 && c.timeouts[FLT_READY] == 2000 &&
	    c.timeouts[FLT_DESTROY] == 10000);
	CHECK(c.nlisteners == 3 && listens(&c, 1, "/b", MSG_PROTO_3));
	CHECK(c.control == CONF_CONTROL_PATH && c.ctlsock.mode == 0666);
	CHECK(conf_guest(&c, &fl, "/vms/1/ctl") == MSG_GUEST_HYPERSTART);
	CHECK(conf_guest(&c, &fl, "/other/1/ctl") == MSG_GUEST_AGENT);

	test_begin("flags win over the file");
	CHECK(merge(&c, &fl, file, "x -ksm initial -guest auto -timeout "
	    "shim=3s -control-path /d -guest-dir /vms=agent") == 0);
	CHECK(strcmp(c.ksm, "initial") == 0 && c.guest == MSG_GUEST_AUTO);
	CHECK(c.timeouts[FLT_SHIM] == 3000 && c.timeouts[FLT_READY] == 2000);
	CHECK(c.control == CONF_CONTROL_PATH && c.ctlsock.mode == 0600 &&
	    strcmp(c.ctlsock.path, "/d") == 0);
	CHECK(conf_guest(&c, &fl, "/vms/1/ctl") == MSG_GUEST_AGENT);
	CHECK(conf_guest(&c, &fl, "/other/1/ctl") == MSG_GUEST_AUTO);

	test_begin("flags of sockets");
	CHECK(merge(&c, &fl, file, "x -socket-path-1 /e") == 0);
	CHECK(c.nlisteners == 3 && listens(&c, 0, "/a", MSG_PROTO_3) &&
	    listens(&c, 1, "/b", MSG_PROTO_3) &&
	    listens(&c, 2, "/e", MSG_PROTO_1));
	CHECK(c.control == CONF_CONTROL_PATH);
	CHECK(merge(&c, &fl, file, "x -socket-path /f") == 0);
	CHECK(c.nlisteners == 1 && listens(&c, 0, "/f", MSG_PROTO_3));
	CHECK(c.control == CONF_CONTROL_DEFAULT);
	CHECK(merge(&c, &fl, file, "x -socket-path /f -socket-path-1 /g")
	    == 0);
	CHECK(c.nlisteners == 2 && listens(&c, 1, "/g", MSG_PROTO_1));
	CHECK(merge(&c, &fl, file, "x -uri unix:///h") == 0);
	CHECK(c.nlisteners == 1 && listens(&c, 0, "/h", MSG_PROTO_3));
	CHECK(c.control == CONF_CONTROL_NONE);
	CHECK(merge(&c, &fl, file, "x -uri unix:///h -control-path /i") == 0);
	CHECK(c.control == CONF_CONTROL_PATH);

	test_begin("what only the file can say is kept in pod mode");
	CHECK(c.nvmdirs == 2 && conf_guest(&c, &fl, "/vms/1/ctl") ==
	    MSG_GUEST_HYPERSTART);
	conf_free(&c);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return (remove(path));
}

int
main(void)
{
	if (getcwd(top, sizeof(top)) == NULL || mkdtemp(scratch) == NULL ||
	    chdir(scratch) == -1)
		err(1, NULL);
	test_files();
	test_access();
	test_counts();
	test_sizes();
	test_includes();
	test_limits();
	test_engine();
	test_merge();
	free(said);
	if (chdir("/") == -1 || nftw(scratch, remove_one, 8,
	    FTW_DEPTH | FTW_PHYS) == -1)
		warn("%s", scratch);
	return (test_end());
}
