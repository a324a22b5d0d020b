/* SPDX-License-Identifier: ISC */

/* The daemon's command line. */

#include <sys/types.h>

#include "flags.h"
#include "log.h"
#include "msg.h"
#include "test.h"

static struct flags	 fl;
static char		 err[1024];

/* The words of args, parted by blanks. */
static int
parse(const char *args)
{
	static char	 words[1024];
	char		*argv[32], *p, *word;
	int		 argc = 1;

	strlcpy(words, args, sizeof(words));
	argv[0] = words + sizeof(words) - 1;
	for (p = words; (word = strsep(&p, " ")) != NULL;) {
		if (argc < 31)
			argv[argc++] = word;
	}
	argv[argc] = NULL;
	err[0] = '\0';
	return (flags_parse(&fl, args[0] == '\0' ? 1 : argc, argv, err,
	    sizeof(err)));
}

static int
fails(const char *args, const char *want)
{
	if (parse(args) == -1 && strcmp(err, want) == 0)
		return (1);
	fprintf(stderr, "%s: got %s, want %s\n", args, err, want);
	return (0);
}

static int
lasts(const char *text, long want)
{
	uint32_t	 ms;

	if (flags_duration(text, &ms) == -1)
		return (want == -1);
	return (want == (long)ms);
}

static void
test_accepted(void)
{
	test_begin("defaults of the flags");
	CHECK(parse("") == 0);
	CHECK(strcmp(fl.fl_log, "warn") == 0);
	CHECK(strcmp(fl.fl_ksm, "auto") == 0);
	CHECK(fl.fl_uri[0] == '\0' && fl.fl_socket_path[0] == '\0');
	CHECK(!fl.fl_version && !fl.fl_pprof && fl.fl_pprof_port == 6060);
	CHECK(fl.fl_timeout[FLT_SHIM] == 30000);
	CHECK(fl.fl_timeout[FLT_AGENT] == 600000);
	CHECK(fl.fl_timeout[FLT_DESTROY] == 10000);
	CHECK(fl.fl_guest == MSG_GUEST_AUTO && fl.fl_guest_dirs.gs_ndirs == 0);
	CHECK(fl.fl_timeout[FLT_KSM_SLOW] == 120000);

	test_begin("forms of the flags");
	CHECK(parse("-log debug --uri=unix:///x -socket-path /y --ksm off "
	    "-pprof -version=false") == 0);
	CHECK(strcmp(fl.fl_log, "debug") == 0);
	CHECK(strcmp(fl.fl_uri, "unix:///x") == 0);
	CHECK(strcmp(fl.fl_socket_path, "/y") == 0);
	CHECK(strcmp(fl.fl_ksm, "off") == 0);
	CHECK(fl.fl_pprof && !fl.fl_version);
	CHECK(parse("-version=T -pprof-port=0x10 -pprof-host h") == 0);
	CHECK(fl.fl_version && fl.fl_pprof_port == 16);
	CHECK(parse("-log= -control-path /c -libexec /l") == 0);
	CHECK(fl.fl_log[0] == '\0');
	CHECK(strcmp(fl.fl_control_path, "/c") == 0);
	CHECK(strcmp(fl.fl_libexec, "/l") == 0);
	CHECK(parse("-ksm initial,off") == 0);
	CHECK(strcmp(fl.fl_ksm, "initial") == 0);
	CHECK(parse("-log -version") == 0);
	CHECK(strcmp(fl.fl_log, "-version") == 0 && !fl.fl_version);

	test_begin("words after the flags are ignored");
	CHECK(parse("-version x -nonsense") == 0 && fl.fl_version);
	CHECK(parse("-pprof false -version") == 0);
	CHECK(fl.fl_pprof && !fl.fl_version);
	CHECK(parse("- -nonsense") == 0);
	CHECK(parse("-- -nonsense") == 0);

	test_begin("help");
	CHECK(parse("-h") == FLAGS_HELP);
	CHECK(parse("--help") == FLAGS_HELP);
	CHECK(parse("-log debug -help=x -nonsense") == FLAGS_HELP);
}

static void
test_refused(void)
{
	test_begin("bad flags");
	CHECK(fails("-foo", "flag provided but not defined: -foo"));
	CHECK(fails("--foo=1", "flag provided but not defined: -foo"));
	CHECK(fails("-log", "flag needs an argument: -log"));
	CHECK(fails("---log", "bad flag syntax: ---log"));
	CHECK(fails("-=x", "bad flag syntax: -=x"));
	CHECK(fails("-pprof-port x",
	    "invalid value \"x\" for flag -pprof-port: parse error"));
	CHECK(fails("-pprof-port -1",
	    "invalid value \"-1\" for flag -pprof-port: parse error"));
	CHECK(fails("-pprof-port 99999999999999999999",
	    "invalid value \"99999999999999999999\" for flag -pprof-port: "
	    "value out of range"));
	CHECK(fails("-version=yes",
	    "invalid boolean value \"yes\" for -version: parse error"));
	CHECK(fails("-ksm fast,auto", "invalid value \"fast,auto\" for flag "
	    "-ksm: Unsupported KSM knob fast"));
	CHECK(fails("-timeout shim",
	    "invalid value \"shim\" for flag -timeout: not of the form "
	    "name=duration"));
	CHECK(fails("-timeout x=1s",
	    "invalid value \"x=1s\" for flag -timeout: unknown timeout x"));
	CHECK(fails("-timeout shim=1",
	    "invalid value \"shim=1\" for flag -timeout: invalid duration "
	    "\"1\""));
	CHECK(fails("-timeout destroy=0",
	    "invalid value \"destroy=0\" for flag -timeout: invalid duration "
	    "\"0\""));
	CHECK(fails("-guest vm",
	    "invalid value \"vm\" for flag -guest: unknown guest vm"));
	CHECK(fails("-guest-dir /a",
	    "invalid value \"/a\" for flag -guest-dir: not of the form "
	    "directory=mode"));
	CHECK(fails("-guest-dir a/b=agent",
	    "invalid value \"a/b=agent\" for flag -guest-dir: the directory "
	    "must be absolute and without \"..\""));
	CHECK(fails("-guest-dir /a=vm",
	    "invalid value \"/a=vm\" for flag -guest-dir: unknown guest vm"));
}

static void
test_durations(void)
{
	test_begin("durations");
	CHECK(lasts("0", 0) && lasts("0s", 0) && lasts("20ms", 20));
	CHECK(lasts("30s", 30000) && lasts("2m", 120000));
	CHECK(lasts("1h2m3s", 3723000) && lasts("1.5s", 1500));
	CHECK(lasts(".5s", 500) && lasts("1.s", 1000) && lasts("+1s", 1000));
	CHECK(lasts("1ns", 1) && lasts("1001us", 2) && lasts("\302\265s", -1));
	CHECK(lasts("5\302\265s", 1) && lasts("1.0000001s", 1000));
	CHECK(lasts("", -1) && lasts("1", -1) && lasts("s", -1));
	CHECK(lasts(".s", -1) && lasts("-1s", -1) && lasts("1x", -1));
	CHECK(lasts("1s ", -1) && lasts("2000h", -1) && lasts("1..5s", -1));
	CHECK(lasts("99999999999999999999999s", -1) && lasts("+", -1));
	CHECK(lasts("1000h999h", -1));

	test_begin("timeouts");
	CHECK(parse("-timeout shim=20ms -timeout stdin=0 "
	    "-timeout=ksm-kick=500ms -timeout destroy=3s") == 0);
	CHECK(fl.fl_timeout[FLT_SHIM] == 20);
	CHECK(fl.fl_timeout[FLT_STDIN] == 0);
	CHECK(fl.fl_timeout[FLT_KSM_KICK] == 500);
	CHECK(fl.fl_timeout[FLT_DESTROY] == 3000);
	CHECK(fl.fl_timeout[FLT_PROCESS] == 30000);
}

static void
test_level(void)
{
	const char	*name;
	int		 console;

	test_begin("log level of flag and environment");
	CHECK(parse("-log Info") == 0);
	CHECK(flags_log_level(&fl, NULL, &name, &console) == LOGL_INFO);
	CHECK(flags_log_level(&fl, "", &name, &console) == LOGL_INFO);
	CHECK(flags_log_level(&fl, "debug", &name, &console) == LOGL_DEBUG);
	CHECK(flags_log_level(&fl, "bad", &name, &console) == -1);
	CHECK(strcmp(name, "bad") == 0);
}

static int
guest_of(const char *path)
{
	return (guestdir_find(&fl.fl_guest_dirs, path, fl.fl_guest));
}

static void
test_guest(void)
{
	test_begin("kinds of agents");
	CHECK(parse("-guest hyperstart") == 0);
	CHECK(guest_of("/a/x") == MSG_GUEST_HYPERSTART);
	CHECK(parse("-guest agent --guest=auto") == 0);
	CHECK(guest_of("/a/x") == MSG_GUEST_AUTO);
	CHECK(parse("-guest-dir /a=hyperstart -guest agent "
	    "-guest-dir=/a/b=auto") == 0);
	CHECK(guest_of("/x") == MSG_GUEST_AGENT);
	CHECK(guest_of("/a/x") == MSG_GUEST_HYPERSTART);
	CHECK(guest_of("/a/b/x") == MSG_GUEST_AUTO);
}

static int
path_is(const char *args, const char *want)
{
	const char	*path;

	if (parse(args) != 0)
		return (0);
	path = flags_socket_path(&fl, err, sizeof(err));
	return (path != NULL && strcmp(path, want) == 0);
}

static void
test_path(void)
{
	char	 args[256];

	test_begin("socket path");
	CHECK(path_is("", "/var/run/clear-containers/proxy.sock"));
	CHECK(path_is("-uri unix:///run/x", "/run/x"));
	CHECK(path_is("-uri /run/x", "/run/x"));
	CHECK(path_is("-uri unix://x", "x"));
	CHECK(path_is("-uri tcp://a:1", "tcp://a:1"));
	CHECK(path_is("-uri unix:///run/x -socket-path /y", "/y"));
	CHECK(path_is("-socket-path unix:///y", "unix:///y"));
	snprintf(args, sizeof(args), "-socket-path %0107d", 0);
	CHECK(parse(args) == 0);
	CHECK(flags_socket_path(&fl, err, sizeof(err)) != NULL);
	snprintf(args, sizeof(args), "-uri unix://%0108d", 0);
	CHECK(parse(args) == 0);
	CHECK(flags_socket_path(&fl, err, sizeof(err)) == NULL);
	CHECK(strcmp(err, "socket path too long 108 (max 107)") == 0);
}

int
main(void)
{
	test_accepted();
	test_refused();
	test_durations();
	test_level();
	test_guest();
	test_path();
	return (test_end());
}
