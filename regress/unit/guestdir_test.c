/* SPDX-License-Identifier: ISC */

/* Which kind of agent a VM has, by the path of its control socket. */

#include "guestdir.h"
#include "msg.h"
#include "test.h"

static struct guestdirs	 gs;
static char		 why[256];

static void
reset(void)
{
	memset(&gs, 0, sizeof(gs));
	why[0] = '\0';
}

static int
add(const char *value)
{
	return (guestdir_add(&gs, value, why, sizeof(why)));
}

static int
refuses(const char *value, const char *want)
{
	if (add(value) == -1 && strcmp(why, want) == 0)
		return (1);
	fprintf(stderr, "%s: got %s, want %s\n", value, why, want);
	return (0);
}

/* Is the only directory, with mode agent, one that holds path? */
static int
holds(const char *dir, const char *path)
{
	char	 value[128];

	reset();
	snprintf(value, sizeof(value), "%s=agent", dir);
	return (add(value) == 0 &&
	    guestdir_find(&gs, path, MSG_GUEST_AUTO) == MSG_GUEST_AGENT);
}

static void
test_parse(void)
{
	test_begin("names of guests");
	CHECK(guestdir_parse("auto") == MSG_GUEST_AUTO);
	CHECK(guestdir_parse("agent") == MSG_GUEST_AGENT);
	CHECK(guestdir_parse("hyperstart") == MSG_GUEST_HYPERSTART);
	CHECK(guestdir_parse("") == -1 && guestdir_parse("Agent") == -1);
	CHECK(guestdir_parse("agents") == -1);
}

static void
test_holds(void)
{
	test_begin("a directory holds paths by whole components");
	CHECK(holds("/a/b", "/a/b/ctl.sock"));
	CHECK(holds("/a/b", "/a/b/c/ctl.sock"));
	CHECK(!holds("/a/b", "/a/bc/x"));
	CHECK(!holds("/a/bc", "/a/b/x"));
	CHECK(!holds("/a/b", "/a/x"));
	CHECK(!holds("/a/b", "/x/a/b/y"));
	CHECK(!holds("/a/b", "/a/b"));
	CHECK(!holds("/a/b", "/a/b/"));
	CHECK(!holds("/a/b", "/a"));
	CHECK(holds("/", "/a"));
	CHECK(!holds("/", "/"));
	CHECK(!holds("/a/b", "a/b/x"));
	CHECK(!holds("/", "x"));
	CHECK(!holds("/", ""));

	test_begin("slashes more than one, trailing ones, and \".\"");
	CHECK(holds("/a/b/", "/a/b/x"));
	CHECK(holds("/a/b///", "/a/b/x"));
	CHECK(!holds("/a/b/", "/a/bc/x"));
	CHECK(holds("//a//b", "/a/b/x"));
	CHECK(holds("/a/b", "//a///b/x"));
	CHECK(holds("/a/./b/.", "/a/b/x"));
	CHECK(holds("/a/b", "/./a/./b/x"));
	CHECK(!holds("/a/b", "/a/b/."));
	CHECK(!holds("/a/.b", "/a/b/x"));

	test_begin("a path with \"..\" is in no directory");
	CHECK(!holds("/a/b", "/a/b/../x"));
	CHECK(!holds("/a", "/a/b/../x"));
	CHECK(!holds("/", "/a/b/.."));
	CHECK(!holds("/b", "/a/../b/x"));
	CHECK(holds("/a", "/a/..b/x"));
	CHECK(holds("/a", "/a/.../x"));
}

static void
test_longest(void)
{
	test_begin("the longest directory wins, then the later one");
	reset();
	CHECK(add("/a/b=hyperstart") == 0);
	CHECK(add("/a=agent") == 0);
	CHECK(add("/a/b/c/d=auto") == 0);
	CHECK(guestdir_find(&gs, "/a/x", MSG_GUEST_AUTO) ==
	    MSG_GUEST_AGENT);
	CHECK(guestdir_find(&gs, "/a/b/x", MSG_GUEST_AUTO) ==
	    MSG_GUEST_HYPERSTART);
	CHECK(guestdir_find(&gs, "/a/b/c/x", MSG_GUEST_AUTO) ==
	    MSG_GUEST_HYPERSTART);
	CHECK(guestdir_find(&gs, "/a/b/c/d/x", MSG_GUEST_AGENT) ==
	    MSG_GUEST_AUTO);
	CHECK(guestdir_find(&gs, "/x/y", MSG_GUEST_HYPERSTART) ==
	    MSG_GUEST_HYPERSTART);
	CHECK(add("///////a/////=hyperstart") == 0);
	CHECK(guestdir_find(&gs, "/a/x", MSG_GUEST_AUTO) ==
	    MSG_GUEST_HYPERSTART);
	CHECK(guestdir_find(&gs, "/a/b/c/d/x", MSG_GUEST_AGENT) ==
	    MSG_GUEST_AUTO);
	reset();
	CHECK(guestdir_find(&gs, "/a/x", MSG_GUEST_AGENT) ==
	    MSG_GUEST_AGENT);
}

static void
test_add(void)
{
	int	 i;

	test_begin("directories that are refused");
	reset();
	CHECK(refuses("/a", "not of the form directory=mode"));
	CHECK(refuses("", "not of the form directory=mode"));
	CHECK(refuses("a=agent",
	    "the directory must be absolute and without \"..\""));
	CHECK(refuses("=agent",
	    "the directory must be absolute and without \"..\""));
	CHECK(refuses("/a/../b=agent",
	    "the directory must be absolute and without \"..\""));
	CHECK(refuses("/a=", "unknown guest "));
	CHECK(refuses("/a=agent ", "unknown guest agent "));
	CHECK(gs.gs_ndirs == 0);

	test_begin("a directory's name may have an equals sign");
	CHECK(holds("/a=b", "/a=b/x"));
	CHECK(holds("/a=agent", "/a=agent/x"));

	test_begin("64 directories and no more");
	reset();
	for (i = 0; i < GUESTDIR_MAX; i++)
		CHECK(add("/a=agent") == 0);
	CHECK(refuses("/a=agent", "more than 64 directories"));
	CHECK(gs.gs_ndirs == GUESTDIR_MAX);
}

int
main(void)
{
	test_parse();
	test_holds();
	test_longest();
	test_add();
	return (test_end());
}
