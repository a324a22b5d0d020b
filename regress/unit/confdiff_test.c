/* SPDX-License-Identifier: ISC */

/*
 * What another configuration changes: nothing if it is the same, and each
 * setting by its name; and what only a start of the daemon can change.
 */

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "test.h"

#define L3	"listen on /run/a\n"
#define L1	"listen on /run/b protocol 1 mode 0666\n"

static char	 said[4096];

static void
report(const char *line)
{
	strlcat(said, line, sizeof(said));
	strlcat(said, ";", sizeof(said));
}

static void
parse(struct conf *c, const char *text)
{
	conf_init(c);
	said[0] = '\0';
	if (conf_parse(c, "test", text, strlen(text), report) == -1)
		fprintf(stderr, "%s: %s\n", text, said);
	CHECK(said[0] == '\0');
}

static const struct {
	const char	*now, *next;
	const char	*fixed, *changes;
} cases[] = {
	{ L3 L1, L3 L1, "", "" },
	{ L3 L1, L1 L3, "other order of \"listen on\": needs a restart;",
	    "" },
	{ L3 L1, L3, "no more \"listen on /run/b\": needs a restart;", "" },
	{ L3, L3 L1, "new \"listen on /run/b\": needs a restart;", "" },
	{ L3, "listen on /run/a protocol 1\n",
	    "other \"listen on /run/a\": needs a restart;", "" },
	{ L3, "listen on /run/a mode 0666\n",
	    "other \"listen on /run/a\": needs a restart;", "" },
	{ L3, "listen on /run/a owner 1\n",
	    "other \"listen on /run/a\": needs a restart;", "" },
	{ L3, "listen on /run/a group 1\n",
	    "other \"listen on /run/a\": needs a restart;", "" },
	{ L3, L1, "no more \"listen on /run/a\": needs a restart;"
	    "new \"listen on /run/b\": needs a restart;", "" },
	{ "", "no control\n", "other \"control\": needs a restart;", "" },
	{ "", "control /run/c\n", "other \"control\": needs a restart;", "" },
	{ "control /run/c\n", "control /run/d\n",
	    "other \"control\": needs a restart;", "" },
	{ "control /run/c\n", "control /run/c mode 0660\n",
	    "other \"control\": needs a restart;", "" },
	/* What a later line makes of no account. */
	{ "no control\n", "control /run/c\nno control\n", "", "" },
	{ "", "ksm off\n", "other \"ksm\": needs a restart;", "ksm" },
	{ "", "ksm auto\n", "", "" },
	{ "", "log level info\n", "", "log level" },
	{ "", "log level warn\n", "", "" },
	{ "", "guest agent\n", "", "guest" },
	{ "", "timeout reload 1s\ntimeout shim 2s\ntimeout ksm-slow 3s\n", "",
	    "timeout shim, timeout reload, timeout ksm-slow" },
	{ "", "limit vms 5\nlimit output per vm 1M\n", "",
	    "limit vms, limit output per vm" },
	{ "vm directory /a\n", "", "", "vm directories" },
	{ "", "vm directory /a\n", "", "vm directories" },
	{ "vm directory /a\nvm directory /b\n",
	    "vm directory /b\nvm directory /a\n", "", "vm directories" },
	{ "vm directory /a\n", "vm directory /a owner 1\n", "",
	    "vm directories" },
	{ "vm directory /a owner { 1 2 }\n", "vm directory /a owner { 1 3 }\n",
	    "", "vm directories" },
	{ "vm directory /a\n", "vm directory /a guest auto\n", "",
	    "vm directories" },
	{ "vm directory /a owner 1\n", "vm directory \"/a\" owner { 1 }\n",
	    "", "" },
	{ "", "attach owner\n", "", "attach owner" },
	{ "attach owner\n", "attach owner\nno attach owner\n", "",
	    "attach owner" },
	{ "", "allow any from any\n", "", "rules" },
	{ "allow any from any\n", "deny any from any\n", "", "rules" },
	{ "allow any from any\n", "allow attach from any\n", "", "rules" },
	{ "allow any from user 0\n", "allow any from group 0\n", "",
	    "rules" },
	{ "allow any from user 0\n", "allow any from user 1\n", "", "rules" },
	{ "allow any from group 0\n", "allow any from group 1\n", "",
	    "rules" },
	{ "allow any from user { 1 2 }\n",
	    "allow any from user 1\nallow any from user 2\n", "", "" }
};

static void
test_cases(void)
{
	struct conf	 now, next;
	char		 changes[1024];
	size_t		 i;
	int		 n;

	test_begin("what differs, and what of it needs a restart");
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		parse(&now, cases[i].now);
		parse(&next, cases[i].next);
		n = conf_fixed(&now, &next, 0, report);
		conf_changes(&now, &next, changes, sizeof(changes));
		if (strcmp(said, cases[i].fixed) != 0 ||
		    strcmp(changes, cases[i].changes) != 0)
			fprintf(stderr, "%s -> %s: %s %s\n", cases[i].now,
			    cases[i].next, said, changes);
		CHECK(strcmp(said, cases[i].fixed) == 0);
		CHECK(strcmp(changes, cases[i].changes) == 0);
		CHECK((n == 0) == (said[0] == '\0'));
		conf_free(&now);
		conf_free(&next);
	}
}

/* A daemon for one pod leaves KSM alone. */
static void
test_pod(void)
{
	struct conf	 now, next;

	test_begin("in pod mode \"ksm\" means nothing");
	parse(&now, "");
	parse(&next, "ksm off\n");
	CHECK(conf_fixed(&now, &next, 1, report) == 0);
	CHECK(said[0] == '\0');
	conf_free(&now);
	conf_free(&next);
}

static void
test_same(void)
{
	struct conf	 now, next;
	char		 changes[1024];
	glob_t		 g;
	size_t		 i;

	test_begin("a file that is read again is the same");
	CHECK(glob("regress/conf/[!f]*.conf", 0, NULL, &g) == 0);
	CHECK(glob("regress/conf/full.conf", GLOB_APPEND, NULL, &g) == 0);
	CHECK(g.gl_pathc > 2);
	for (i = 0; i < g.gl_pathc; i++) {
		conf_init(&now);
		conf_init(&next);
		CHECK(conf_load(&now, g.gl_pathv[i], 0, report) == 0);
		CHECK(conf_load(&next, g.gl_pathv[i], 0, report) == 0);
		CHECK(conf_fixed(&now, &next, 0, report) == 0);
		conf_changes(&now, &next, changes, sizeof(changes));
		CHECK(changes[0] == '\0');
		conf_free(&now);
		conf_free(&next);
	}
	globfree(&g);
}

static void
test_move(void)
{
	struct conf		 to, from;
	struct conf_vmdir	*d;

	test_begin("a configuration moves with all it holds");
	parse(&from, "vm directory /a\nvm directory /b\n"
	    "deny any from any\nlimit vms 5\n");
	conf_move(&to, &from);
	CHECK(TAILQ_EMPTY(&from.vmdirs) && from.policy.nrules == 0);
	d = TAILQ_FIRST(&to.vmdirs);
	CHECK(d != NULL && strcmp(d->path, "/a") == 0);
	TAILQ_REMOVE(&to.vmdirs, d, entry);
	TAILQ_INSERT_TAIL(&to.vmdirs, d, entry);
	CHECK(strcmp(TAILQ_FIRST(&to.vmdirs)->path, "/b") == 0);
	CHECK(to.policy.nrules == 1 && to.limits[CONF_VMS] == 5);
	conf_free(&from);
	conf_free(&to);
	parse(&from, "");
	conf_move(&to, &from);
	CHECK(TAILQ_EMPTY(&to.vmdirs));
	conf_free(&to);
}

int
main(void)
{
	test_cases();
	test_pod();
	test_same();
	test_move();
	return (test_end());
}
