/* SPDX-License-Identifier: ISC */

/*
 * What is told to a service manager, and when, if it is slow, comes late or
 * goes away.  The module keeps one state per process, so each test runs in a
 * child of its own.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <event.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "namespace.h"
#include "notify.h"
#include "test.h"

static char	 dir[] = "/tmp/notify_test.XXXXXX";
static char	 path[64];
static char	 errors[1024];

static void
sink(enum log_level level, const char *msg, const struct log_field *fields)
{
	(void)level;
	(void)fields;
	strlcpy(errors, msg, sizeof(errors));
}

/* name as in NOTIFY_SOCKET; the listener, or -1. */
static int
manager(const char *name)
{
	struct sockaddr_un	 sun;
	socklen_t		 len;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, name, sizeof(sun.sun_path));
	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    strlen(name));
	if (name[0] == '@')
		sun.sun_path[0] = '\0';
	else
		unlink(name);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	if (bind(fd, (struct sockaddr *)&sun, len) == -1)
		return (-1);
	setenv("NOTIFY_SOCKET", name, 1);
	return (fd);
}

/* The next message as a string; "" if there is none. */
static const char *
told(int fd)
{
	static char	 buf[1024];
	ssize_t		 n;

	if ((n = recv(fd, buf, sizeof(buf) - 1, 0)) == -1)
		n = 0;
	buf[n] = '\0';
	return (buf);
}

static int
is_told(int fd, const char *want)
{
	const char	*got = told(fd);

	if (strcmp(got, want) == 0)
		return (1);
	fprintf(stderr, "got: %s\nwanted: %s\n", got, want);
	return (0);
}

/* Messages of others until there is no room; how many. */
static int
fill(void)
{
	struct sockaddr_un	 sun;
	int			 n, other;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	for (n = 0; sendto(other, "x", 1, 0, (struct sockaddr *)&sun,
	    sizeof(sun)) != -1; n++)
		;
	close(other);
	return (n);
}

static void
drain(int fd, int n)
{
	while (n-- > 0)
		CHECK(is_told(fd, "x"));
}

/* Until nothing is waited for. */
static void
run_events(void)
{
	while (event_loop(EVLOOP_ONCE) == 0)
		;
}

static void
plain(const char *name)
{
	int	 fd;

	CHECK((fd = manager(name)) != -1);
	notify_init();
	CHECK(notify_active());
	CHECK(is_told(fd, ""));
	notify_status("virtual machines: %d", 0);
	notify_ready();
	CHECK(is_told(fd, "STATUS=virtual machines: 0\n"));
	CHECK(is_told(fd, "READY=1\n"));
	notify_stopping();
	CHECK(is_told(fd, "STOPPING=1\nSTATUS=stopping\n"));
	notify_stopping();
	notify_status("more");
	notify_ready();
	notify_reloading();
	CHECK(is_told(fd, ""));
	run_events();
	CHECK(errors[0] == '\0');
}

static void
t_path(void)
{
	plain(path);
}

static void
t_abstract(void)
{
	char	 name[64];

	snprintf(name, sizeof(name), "@notify_test.%ld", (long)getpid());
	plain(name);
}

static void
t_none(void)
{
	unsetenv("NOTIFY_SOCKET");
	setenv("WATCHDOG_USEC", "20000", 1);
	notify_init();
	CHECK(!notify_active());
	notify_ready();
	notify_status("x");
	notify_reloading();
	notify_stopping();
	/* Nothing is waited for: not even the watchdog. */
	CHECK(event_loop(EVLOOP_ONCE) == 1);
}

static void
t_reload(void)
{
	unsigned long long	 at, before, after;
	struct timespec		 ts;
	const char		*text;
	char			 want[128];
	int			 fd;

	fd = manager(path);
	notify_init();
	notify_ready();
	CHECK(is_told(fd, "READY=1\n"));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	before = (unsigned long long)ts.tv_sec * 1000000 +
	    (unsigned long long)ts.tv_nsec / 1000;
	notify_reloading();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	after = (unsigned long long)ts.tv_sec * 1000000 +
	    (unsigned long long)ts.tv_nsec / 1000;
	text = told(fd);
	at = strlen(text) > 28 ? strtoull(text + 27, NULL, 10) : 0;
	snprintf(want, sizeof(want), "RELOADING=1\nMONOTONIC_USEC=%llu\n", at);
	CHECK(strcmp(text, want) == 0);
	CHECK(before <= at && at <= after);
	notify_ready();
	CHECK(is_told(fd, "READY=1\n"));
}

/* Everything is told once there is room, and the last of each kind only. */
static void
t_full(void)
{
	const char	*text;
	int		 fd, n;

	fd = manager(path);
	CHECK((n = fill()) > 0);
	notify_init();
	notify_ready();
	notify_status("one");
	notify_reloading();
	notify_ready();
	notify_status("two");
	CHECK(event_loop(EVLOOP_NONBLOCK) == 0);
	drain(fd, n);
	CHECK(event_loop(EVLOOP_ONCE) == 0);
	text = told(fd);
	CHECK(strncmp(text, "RELOADING=1\nMONOTONIC_USEC=", 27) == 0);
	CHECK(is_told(fd, "READY=1\nSTATUS=two\n"));
	CHECK(is_told(fd, ""));
	run_events();
	CHECK(errors[0] == '\0');
}

/* A reload that is not done yet is not ready, whatever was before it. */
static void
t_full_reloading(void)
{
	int	 fd, n;

	fd = manager(path);
	CHECK((n = fill()) > 0);
	notify_init();
	notify_ready();
	notify_reloading();
	drain(fd, n);
	run_events();
	CHECK(strncmp(told(fd), "RELOADING=1\n", 12) == 0);
	CHECK(is_told(fd, ""));
}

static void
t_full_stopping(void)
{
	int	 fd, n;

	fd = manager(path);
	CHECK((n = fill()) > 0);
	notify_init();
	notify_ready();
	notify_stopping();
	drain(fd, n);
	run_events();
	CHECK(is_told(fd, "STOPPING=1\nSTATUS=stopping\n"));
	CHECK(is_told(fd, ""));
}

/* A manager that was replaced hears what the old one did not. */
static void
t_gone(void)
{
	int	 fd;

	fd = manager(path);
	notify_init();
	close(fd);
	notify_ready();
	CHECK(strncmp(errors, "NOTIFY_SOCKET: ", 15) == 0);
	errors[0] = '\0';
	unlink(path);
	notify_status("one");
	CHECK(errors[0] == '\0');
	fd = manager(path);
	notify_status("two");
	run_events();
	CHECK(is_told(fd, "READY=1\nSTATUS=two\n"));
	CHECK(is_told(fd, ""));
	CHECK(errors[0] == '\0');
}

/* It goes while we wait for room. */
static void
t_full_gone(void)
{
	int	 fd;

	fd = manager(path);
	CHECK(fill() > 0);
	notify_init();
	notify_ready();
	close(fd);
	run_events();
	CHECK(strncmp(errors, "NOTIFY_SOCKET: ", 15) == 0);
	fd = manager(path);
	notify_stopping();
	CHECK(is_told(fd, "STOPPING=1\nSTATUS=stopping\n"));
}

static void
t_late(void)
{
	int	 fd;

	unlink(path);
	setenv("NOTIFY_SOCKET", path, 1);
	notify_init();
	CHECK(notify_active());
	CHECK(errors[0] != '\0');
	fd = manager(path);
	notify_ready();
	CHECK(is_told(fd, "READY=1\n"));
}

/* Many changes within a second are two messages. */
static void
t_status(void)
{
	char	 want[64];
	int	 fd, i;

	fd = manager(path);
	notify_init();
	for (i = 0; i < 100; i++)
		notify_status("number %d\nREADY=1", i);
	CHECK(is_told(fd, "STATUS=number 0\n"));
	CHECK(is_told(fd, ""));
	run_events();
	snprintf(want, sizeof(want), "STATUS=number %d\n", i - 1);
	CHECK(is_told(fd, want));
	notify_status("number %d", i - 1);
	CHECK(is_told(fd, ""));
	CHECK(event_loop(EVLOOP_ONCE) == 1);
}

static void
t_watchdog(void)
{
	char	 pid[24];
	int	 fd, i;

	fd = manager(path);
	setenv("WATCHDOG_USEC", "40000", 1);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	notify_init();
	CHECK(is_told(fd, ""));
	for (i = 0; i < 3; i++) {
		CHECK(event_loop(EVLOOP_ONCE) == 0);
		CHECK(is_told(fd, "WATCHDOG=1\n"));
	}
	notify_stopping();
	run_events();
}

/* Values that are none, and the watchdog of another process. */
static void
t_hostile_watchdog(void)
{
	static const char *const values[][2] = {
		{ "", NULL }, { "0", NULL }, { "-1", NULL }, { "1", NULL },
		{ "9999", NULL }, { "x", NULL }, { "20000x", NULL },
		{ "1e6", NULL }, { "0x10000", NULL },
		{ "99999999999999999999", NULL },
		{ "9223372036854775807", NULL },
		{ "20000", "" }, { "20000", "0" }, { "20000", "-1" },
		{ "20000", "x" }, { "20000", "99999999999" },
		{ "20000", "1" }
	};
	size_t	 i;

	(void)manager(path);
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		setenv("WATCHDOG_USEC", values[i][0], 1);
		if (values[i][1] == NULL)
			unsetenv("WATCHDOG_PID");
		else
			setenv("WATCHDOG_PID", values[i][1], 1);
		errors[0] = '\0';
		notify_init();
		/* Another's is no mistake. */
		CHECK((errors[0] == '\0') == (values[i][1] != NULL &&
		    strcmp(values[i][1], "1") == 0));
		if (event_loop(EVLOOP_ONCE) != 1) {
			fprintf(stderr, "%s %s\n", values[i][0],
			    values[i][1] == NULL ? "" : values[i][1]);
			CHECK(0);
		}
	}
}

static void
t_hostile_socket(void)
{
	static const char *const names[] = {
		"relative", "@", "/", "vsock:2:1", "unix:/x", " /x", "~", "\n",
	};
	char	 text[200];
	size_t	 i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		errors[0] = '\0';
		notify_init();
		CHECK(!notify_active());
		CHECK(errors[0] != '\0');
	}
	memset(text, 'x', sizeof(text));
	text[0] = '/';
	text[108] = '\0';
	setenv("NOTIFY_SOCKET", text, 1);
	notify_init();
	CHECK(!notify_active());
	text[0] = '@';
	setenv("NOTIFY_SOCKET", text, 1);
	notify_init();
	CHECK(!notify_active());
	setenv("NOTIFY_SOCKET", "", 1);
	errors[0] = '\0';
	notify_init();
	CHECK(!notify_active());
	CHECK(errors[0] == '\0');
	/* Names of what is no such socket. */
	setenv("NOTIFY_SOCKET", "/dev/null", 1);
	notify_init();
	CHECK(errors[0] != '\0');
	notify_ready();
	notify_stopping();
	CHECK(event_loop(EVLOOP_ONCE) == 1);
}

static void
t_namespace(void)
{
	static const char	 head[] = "Inter-|   Receive\n face |bytes\n";
	char			 text[512];

	CHECK(!namespace_net_empty(""));
	CHECK(!namespace_net_empty("one line\n"));
	CHECK(namespace_net_empty(head));
	snprintf(text, sizeof(text), "%s    lo:       0       0\n", head);
	CHECK(namespace_net_empty(text));
	snprintf(text, sizeof(text), "%s    lo: 0\n  eth0: 0\n", head);
	CHECK(!namespace_net_empty(text));
	snprintf(text, sizeof(text), "%s   lo1: 0\n", head);
	CHECK(!namespace_net_empty(text));
	snprintf(text, sizeof(text), "%seth0: 0\n    lo: 0", head);
	CHECK(!namespace_net_empty(text));
	CHECK(namespace_initial("ipc:[4026531839]"));
	CHECK(namespace_initial("uts:[4026531838]"));
	CHECK(!namespace_initial("ipc:[4026532177]"));
	CHECK(!namespace_initial("uts:[4026532176]"));
}

static void
in_child(const char *name, void (*func)(void))
{
	pid_t	 pid;
	int	 status;

	test_begin(name);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		log_init_sink(sink, LOGL_WARN);
		event_init();
		errors[0] = '\0';
		unsetenv("WATCHDOG_USEC");
		unsetenv("WATCHDOG_PID");
		func();
		_exit(test_bad);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(status == 0);
	unlink(path);
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		return (1);
	snprintf(path, sizeof(path), "%s/notify", dir);
	in_child("a manager with a path", t_path);
	in_child("a manager with an abstract name", t_abstract);
	in_child("no manager", t_none);
	in_child("a reload", t_reload);
	in_child("no room: all is told later, in order", t_full);
	in_child("no room: reloading is not ready", t_full_reloading);
	in_child("no room: stopping is all that counts", t_full_stopping);
	in_child("no room and then no manager", t_full_gone);
	in_child("a manager that is replaced", t_gone);
	in_child("a manager that comes late", t_late);
	in_child("one status a second", t_status);
	in_child("the watchdog", t_watchdog);
	in_child("a watchdog that is none", t_hostile_watchdog);
	in_child("a socket that is none", t_hostile_socket);
	in_child("namespaces of a service manager", t_namespace);
	rmdir(dir);
	return (test_end());
}
