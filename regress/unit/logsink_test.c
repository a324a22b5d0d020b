/* SPDX-License-Identifier: ISC */

/*
 * Where log lines end.  Each test runs in a child of its own, with a stderr
 * of its own; results come back on the test's standard output only.
 */

#include <sys/types.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "log.h"
#include "logfmt.h"
#include "logsink.h"
#include "test.h"

#define SKIPPED	77

static char	 text[1 << 20];

/* In the child: stderr is the test's, so a failure has only the number. */
#define WANT(cond) do {							\
	if (!(cond)) {							\
		printf("# line %d: %s\n", __LINE__, #cond);		\
		fflush(stdout);						\
		test_bad = 1;						\
	}								\
} while (0)

/* What waits in fd, as a string. */
static size_t
take(int fd)
{
	ssize_t	 n;
	size_t	 len = 0;

	while (len < sizeof(text) - 1 && (n = read(fd, text + len,
	    sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return (len);
}

/* Gives the child a pipe for stderr; returns the end to read from. */
static int
stderr_pipe(void)
{
	int	 p[2];

	if (pipe(p) == -1 || dup2(p[1], STDERR_FILENO) == -1)
		_exit(1);
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	return (p[0]);
}

static int
send_record(struct logsink_source *ls, enum log_level level, const char *msg,
    const struct log_field *fields, const char *vm)
{
	uint8_t	 rec[LOG_RECORD_MAX];
	size_t	 n;

	n = log_encode(rec, sizeof(rec), level, msg, fields);
	ls->ls_vm = vm;
	return (logsink_record(ls, rec, n));
}

static void
full(int rfd)
{
	int	 i, lines;
	char	*p;

	for (i = 0; i < 5000; i++)
		log_info("a line that is long enough to fill it %d", i);
	take(rfd);
	lines = 0;
	for (p = text; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	WANT(lines > 0 && lines < 5000);
	log_info("after");
	take(rfd);
	WANT((p = strstr(text, "msg=\"suppressed ")) != NULL);
	WANT(p != NULL && atoi(p + 16) == 5000 - lines);
	WANT(strstr(text, "level=warning msg=\"suppressed") != NULL);
	WANT(strstr(text, " msg=after ") != NULL);
}

static void
test_pipe(void)
{
	int	 rfd = stderr_pipe();

	WANT(logsink_init(0) == 0);
	WANT((fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK) == 0);
	full(rfd);
}

/* As where the pipe cannot be opened again. */
static void
test_poll(void)
{
	int	 rfd = stderr_pipe();

	if (setuid(65534) == -1 || open("/proc/self/fd/2", O_WRONLY) != -1)
		_exit(SKIPPED);
	WANT(logsink_init(0) == 0);
	full(rfd);
}

static void
test_socket(void)
{
	int	 sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 ||
	    dup2(sv[1], STDERR_FILENO) == -1)
		_exit(1);
	close(sv[1]);
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	WANT(logsink_init(0) == 0);
	full(sv[0]);
}

/* A line that was taken in part is completed before the next. */
static void
test_partial(void)
{
	static char	 big[8000];
	int		 i, rfd = stderr_pipe();
	char		*p, *q;

	memset(big, 'x', sizeof(big) - 1);
	WANT(logsink_init(0) == 0);
	for (i = 0; i < 20; i++)
		log_info("%d%s", i, big);
	take(rfd);
	log_info("after");
	take(rfd);
	WANT((p = strchr(text, '\n')) != NULL);
	if (p == NULL)
		return;
	WANT(strncmp(text, "x", 1) == 0 || strncmp(text, "time=", 5) == 0 ||
	    strncmp(text, " ", 1) == 0);
	for (p++; *p != '\0'; p = q + 1) {
		WANT(strncmp(p, "time=\"", 6) == 0);
		if ((q = strchr(p, '\n')) == NULL)
			break;
	}
	WANT(strstr(text, " msg=after ") != NULL);
}

static void
test_gone(void)
{
	int	 rfd = stderr_pipe();

	signal(SIGPIPE, SIG_IGN);
	WANT(logsink_init(0) == 0);
	close(rfd);
	log_info("nobody");
	log_info("nobody");
}

static void
test_records(void)
{
	struct logsink_source	 ls;
	const struct log_field	 forged[] = {
		{ "vm", "other" }, { "pid", "1" }, { "name", "sshd" },
		{ "source", "qemu" }, { NULL, NULL }
	};
	int			 rfd = stderr_pipe();
	char			 want[128];

	memset(&ls, 0, sizeof(ls));
	WANT(logsink_init(0) == 0);
	WANT(send_record(&ls, LOGL_ERROR, "hi", forged, "mine") == 0);
	take(rfd);
	snprintf(want, sizeof(want), " level=error msg=hi name=cc-proxy "
	    "pid=%ld source=qemu vm=mine\n", (long)getpid());
	WANT(strncmp(text, "time=\"", 6) == 0);
	WANT(strstr(text, want) != NULL);
	WANT(send_record(&ls, LOGL_ERROR, "hi", forged, NULL) == 0);
	take(rfd);
	WANT(strstr(text, " vm=other\n") != NULL);
	WANT(send_record(&ls, LOGL_DEBUG, "no", NULL, NULL) == 0);
	WANT(take(rfd) == 0);
	WANT(logsink_record(&ls, (const uint8_t *)"\4\0\0", 3) == -1);
	WANT(take(rfd) == 0);
	logsink_raw("starting in system mode");
	take(rfd);
	WANT(strcmp(text, "starting in system mode\n") == 0);
}

/* The bucket refills while the test runs, so only its bounds are known. */
static void
test_bucket(void)
{
	struct logsink_source	 ls;
	int			 i, rfd = stderr_pipe();
	size_t			 lines = 0;
	char			*p;

	memset(&ls, 0, sizeof(ls));
	WANT(logsink_init(0) == 0);
	for (i = 0; i < 100000 && ls.ls_records.lb_dropped == 0; i++) {
		send_record(&ls, LOGL_INFO, "flood", NULL, "v");
		take(rfd);
		for (p = text; (p = strchr(p, '\n')) != NULL; p++)
			lines++;
	}
	WANT(ls.ls_records.lb_dropped == 1);
	WANT(lines >= 2000);
	logsink_end(&ls);
	take(rfd);
	WANT(strstr(text, "msg=\"suppressed 1 log records\" ") != NULL);
	WANT(strstr(text, " vm=v\n") != NULL);
	WANT(ls.ls_records.lb_dropped == 0);
	logsink_end(&ls);
	WANT(take(rfd) == 0);
}

/* Nobody's syslog is in reach. */
static void
private_dev(void)
{
	if (unshare(CLONE_NEWNS) == -1 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("tmpfs", "/dev", "tmpfs", 0, NULL) == -1 ||
	    mount("tmpfs", "/var/run", "tmpfs", 0, NULL) == -1)
		_exit(SKIPPED);
}

static int
syslogd(int type)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, "/dev/log", sizeof(sun.sun_path));
	unlink(sun.sun_path);
	if ((fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0)) == -1 ||
	    bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1)
		_exit(1);
	if (type == SOCK_STREAM && listen(fd, 8) == -1)
		_exit(1);
	return (fd);
}

static void
test_syslog(void)
{
	int	 fd, i, rfd = stderr_pipe();
	char	 tag[64];

	private_dev();
	WANT(logsink_init(1) == -1 && errno == ENOENT);
	fd = syslogd(SOCK_DGRAM);
	WANT(logsink_init(1) == 0);
	log_info("both");
	WANT(take(rfd) > 0 && strstr(text, " msg=both ") != NULL);
	WANT(strncmp(text, "time=", 5) == 0);
	WANT(read(fd, text, sizeof(text)) > 0);
	WANT(strncmp(text, "<30>", 4) == 0 && text[7] == ' ');
	snprintf(tag, sizeof(tag), " cc-proxy[%ld]: time=\"", (long)getpid());
	WANT(strncmp(text + 19, tag, strlen(tag)) == 0);
	WANT(strstr(text, " level=info msg=both name=cc-proxy ") != NULL);

	/* Stuck, then gone, then back. */
	for (i = 0; i < 5000; i++) {
		log_info("flood");
		take(rfd);
		WANT(strstr(text, " msg=flood ") != NULL);
	}
	while (read(fd, text, sizeof(text)) > 0)
		;
	log_info("after");
	memset(text, 0, sizeof(text));
	WANT(read(fd, text, sizeof(text)) > 0);
	WANT(strncmp(text, "<28>", 4) == 0);
	WANT(strstr(text, " msg=\"suppressed ") != NULL);
	WANT(read(fd, text, sizeof(text)) > 0);
	WANT(strstr(text, " msg=after ") != NULL);
	close(fd);
	log_info("lost");
	fd = syslogd(SOCK_DGRAM);
	for (i = 0; i < 3000; i++) {
		log_entry(LOGL_ERROR, NULL, "back");
		if (read(fd, text, sizeof(text)) > 0)
			break;
		usleep(20000);
	}
	WANT(i < 3000);
	WANT(read(fd, text, sizeof(text)) > 0);
	WANT(strncmp(text, "<27>", 4) == 0);
}

static void
test_syslog_stream(void)
{
	int	 cfd, fd, rfd = stderr_pipe();

	private_dev();
	fd = syslogd(SOCK_STREAM);
	WANT(logsink_init(1) == 0);
	log_entry(LOGL_FATAL, NULL, "one");
	WANT(take(rfd) > 0);
	WANT((cfd = accept(fd, NULL, NULL)) != -1);
	memset(text, 0, sizeof(text));
	WANT(read(cfd, text, sizeof(text)) > 0);
	WANT(strncmp(text, "<26>", 4) == 0);
	WANT(strcmp(text + strlen(text) - 14, " source=proxy\n") == 0);
}

static void
run(const char *name, void (*test)(void), int root)
{
	pid_t	 pid;
	int	 status = -1;

	test_begin(name);
	if (root && getuid() != 0) {
		test_skip("not root");
		return;
	}
	fflush(NULL);
	if ((pid = fork()) == 0) {
		log_init_sink(logsink_write, LOGL_INFO);
		test();
		_exit(test_bad);
	}
	CHECK(pid != -1 && waitpid(pid, &status, 0) == pid &&
	    WIFEXITED(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		test_skip("not possible here");
	else
		CHECK(WEXITSTATUS(status) == 0);
}

int
main(void)
{
	run("stderr is a full pipe", test_pipe, 0);
	run("stderr is a full pipe of somebody else's", test_poll, 1);
	run("stderr is a full socket", test_socket, 0);
	run("a line in two parts stays one line", test_partial, 0);
	run("stderr has lost its reader", test_gone, 0);
	run("records of children", test_records, 0);
	run("records of children beyond their rate", test_bucket, 0);
	run("syslog: datagrams, stuck, gone and back", test_syslog, 1);
	run("syslog: stream", test_syslog_stream, 1);
	return (test_end());
}
