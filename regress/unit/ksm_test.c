/* SPDX-License-Identifier: ISC */

/*
 * KSM tuning on a directory of plain files.  The module keeps one state per
 * process, so each test runs in a child of its own.
 */

#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <event.h>
#include <fcntl.h>
#include <unistd.h>

#include "ksm.h"
#include "log.h"
#include "test.h"

/* 1,000,000 pages of 4 kB. */
#define MEMINFO	"MemTotal:       8000000 kB\nMemFree:              1 kB\n" \
		"AnonPages:      4000000 kB\nMapped:               5 kB\n"

static char	 dir[] = "/tmp/ksm_test.XXXXXX";
static char	 ksmdir[64];
static char	 meminfo[64];
static char	 errors[1024];

static void
sink(enum log_level level, const char *msg, const struct log_field *fields)
{
	(void)level;
	(void)fields;
	strlcpy(errors, msg, sizeof(errors));
}

static void
put(const char *path, const char *text)
{
	FILE	*f;

	if ((f = fopen(path, "w")) == NULL)
		return;
	fputs(text, f);
	fclose(f);
}

static void
put_ksm(const char *name, const char *text)
{
	char	 path[128];

	snprintf(path, sizeof(path), "%s%s", ksmdir, name);
	put(path, text);
}

static int
is(const char *name, const char *want)
{
	char	 path[128], text[64];
	ssize_t	 n;
	int	 fd;

	snprintf(path, sizeof(path), "%s%s", ksmdir, name);
	if ((fd = open(path, O_RDONLY)) == -1)
		return (0);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n == -1)
		return (0);
	text[n] = '\0';
	return (strcmp(text, want) == 0);
}

static int
are(const char *run, const char *pages, const char *sleepms)
{
	return (is("run", run) && is("pages_to_scan", pages) &&
	    is("sleep_millisecs", sleepms));
}

static void
reset(void)
{
	put_ksm("run", "0\n");
	put_ksm("pages_to_scan", "101\n");
	put_ksm("sleep_millisecs", "21\n");
	put(meminfo, MEMINFO);
}

static const char *
pages(unsigned long divisor)
{
	static char	 text[32];

	snprintf(text, sizeof(text), "%lu",
	    4000000UL * 1024 / (unsigned long)sysconf(_SC_PAGESIZE) / divisor);
	return (text);
}

/* Runs the loop until the files hold this; each turn waits for an event. */
static int
becomes(const char *run, const char *pg, const char *sleepms)
{
	int	 i;

	for (i = 0; i < 100 && !are(run, pg, sleepms); i++) {
		if (event_loop(EVLOOP_ONCE) != 0)
			break;
	}
	return (are(run, pg, sleepms));
}

static void
init(const char *mode, long ms)
{
	struct ksm_times	 times;
	char			 err[256];

	times.kick.tv_sec = ms / 1000;
	times.kick.tv_usec = ms % 1000 * 1000;
	times.standard = times.slow = times.kick;
	event_init();
	CHECK(ksm_init_at(ksmdir, meminfo, mode, &times, err,
	    sizeof(err)) == 0);
}

static void
test_auto(void)
{
	init("auto", 10);
	CHECK(ksm_handles_signals());
	CHECK(are("0\n", "101\n", "21\n"));
	/* Without a kick there is no timer, so the loop has nothing to do. */
	CHECK(event_loop(0) == 1);
	CHECK(are("0\n", "101\n", "21\n"));

	ksm_kick();
	CHECK(are("1", pages(10), "1"));
	CHECK(becomes("1", pages(100), "10"));
	CHECK(becomes("1", pages(500), "100"));
	CHECK(becomes("0\n", "101\n", "21\n"));
	CHECK(event_loop(0) == 1);
	ksm_kick();
	CHECK(are("1", pages(10), "1"));
}

static void
test_kick(void)
{
	init("auto", 3600000);
	ksm_kick();
	put(meminfo, "AnonPages:      40000 kB\n");
	ksm_kick();
	CHECK(are("1", "1000", "1"));
	CHECK(ksm_restore() == 0);
	CHECK(are("0\n", "101\n", "21\n"));
	CHECK(event_loop(0) == 1);
}

static void
test_retry(void)
{
	init("auto", 10);
	put(meminfo, "AnonPages:      x kB\n");
	ksm_kick();
	CHECK(strcmp(errors, "could not tune KSM: Invalid integer") == 0);
	put(meminfo, "MemTotal: 1 kB\n");
	CHECK(event_loop(EVLOOP_ONCE) == 0);
	CHECK(strcmp(errors, "could not tune KSM: "
	    "Could not compute number of pages") == 0);
	CHECK(are("0\n", "101\n", "21\n"));
	put(meminfo, MEMINFO);
	CHECK(event_loop(EVLOOP_ONCE) == 0);
	CHECK(are("1", pages(100), "10"));
}

static void
test_off(void)
{
	put_ksm("run", "1\n");
	init("off", 10);
	CHECK(ksm_handles_signals());
	CHECK(are("0", "101\n", "21\n"));
	ksm_kick();
	CHECK(event_loop(0) == 1);
	CHECK(are("0", "101\n", "21\n"));
	CHECK(ksm_restore() == 0);
	CHECK(are("1\n", "101\n", "21\n"));
}

static void
test_initial(void)
{
	init("initial", 10);
	CHECK(!ksm_handles_signals());
	ksm_kick();
	put_ksm("run", "7");
	CHECK(ksm_restore() == 0);
	CHECK(are("7", "101\n", "21\n"));
}

static void
test_missing(void)
{
	struct ksm_times	 times;
	char			 err[256], want[256], path[128];

	memset(&times, 0, sizeof(times));
	CHECK(ksm_init_at("/nonexistent/ksm/", meminfo, "auto", &times, err,
	    sizeof(err)) == -1);
	CHECK(strcmp(err, "/nonexistent/ksm/ is not available") == 0);
	CHECK(ksm_init_at(ksmdir, meminfo, "fast", &times, err,
	    sizeof(err)) == -1);
	CHECK(strcmp(err, "Unsupported KSM knob fast") == 0);
	snprintf(path, sizeof(path), "%ssleep_millisecs", ksmdir);
	CHECK(unlink(path) == 0);
	CHECK(ksm_init_at(ksmdir, meminfo, "auto", &times, err,
	    sizeof(err)) == -1);
	snprintf(want, sizeof(want), "open %s: no such file or directory",
	    path);
	CHECK(strcmp(err, want) == 0);
	CHECK(!ksm_handles_signals());
	ksm_kick();
	CHECK(ksm_restore() == 0);
	CHECK(is("run", "0\n"));
}

/* The parent opens its files first and then loses the right to. */
static void
test_opened(void)
{
	char	 moved[128];

	init("auto", 3600000);
	snprintf(moved, sizeof(moved), "%s.moved", meminfo);
	CHECK(rename(meminfo, moved) == 0);
	ksm_kick();
	CHECK(are("1", pages(10), "1"));
	unlink(moved);
}

static void
run(const char *name, void (*test)(void))
{
	pid_t	 pid;
	int	 status = -1;

	test_begin(name);
	reset();
	fflush(NULL);
	if ((pid = fork()) == 0) {
		log_init_sink(sink, LOGL_INFO);
		test();
		_exit(test_bad);
	}
	CHECK(pid != -1 && waitpid(pid, &status, 0) == pid &&
	    WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int
main(void)
{
	static const char *const names[] = {
		"run", "pages_to_scan", "sleep_millisecs"
	};
	char	 path[128];
	size_t	 i;

	if (mkdtemp(dir) == NULL)
		return (1);
	snprintf(ksmdir, sizeof(ksmdir), "%s/ksm/", dir);
	snprintf(meminfo, sizeof(meminfo), "%s/meminfo", dir);
	if (mkdir(ksmdir, 0700) == -1)
		return (1);

	run("KSM auto: initial, aggressive, standard, slow, initial",
	    test_auto);
	run("KSM kick tunes again, restore stops the timer", test_kick);
	run("KSM tries again after a failure", test_retry);
	run("KSM off", test_off);
	run("KSM initial never writes", test_initial);
	run("KSM unavailable", test_missing);
	run("KSM opens nothing after init", test_opened);

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", ksmdir, names[i]);
		unlink(path);
	}
	rmdir(ksmdir);
	unlink(meminfo);
	rmdir(dir);
	return (test_end());
}
