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

#include "audit.h"
#include "journal.h"
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

/* How often what is in text. */
static size_t
count(const char *what)
{
	const char	*p;
	size_t		 n = 0;

	for (p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
		n++;
	return (n);
}

static void
test_claims(void)
{
	struct logsink_source	 ls;
	const struct log_field	 died[] = {
		{ "event", "process-died" }, { "uid", "0" }, { NULL, NULL }
	};
	const struct log_field	 attached[] = {
		{ "event", "client-attached" }, { "by", "parent" },
		{ "vm", "other" }, { NULL, NULL }
	};
	const struct log_field	 twice[] = {
		{ "event", "vm-lost" }, { "event", "process-died" },
		{ NULL, NULL }
	};
	const struct log_field	 upper[] = {
		{ "Event", "process-died" }, { NULL, NULL }
	};
	int			 rfd = stderr_pipe();

	memset(&ls, 0, sizeof(ls));
	WANT(logsink_init(0) == 0);
	log_setevents(1);
	ls.ls_from = AUDIT_ENGINE;
	WANT(send_record(&ls, LOGL_WARN, "m", died, "mine") == 0);
	WANT(send_record(&ls, LOGL_WARN, "m", attached, "mine") == 0);
	take(rfd);
	WANT(count(" event=") == 0 && count(" by=") == 0);
	WANT(count(" claimed_event=process-died ") == 1);
	WANT(count(" claimed_event=client-attached ") == 1);
	WANT(count(" vm=mine\n") == 2);
	/* It is no event, so it depends on the level. */
	WANT(send_record(&ls, LOGL_DEBUG, "m", died, "mine") == 0);
	WANT(take(rfd) == 0);
	WANT(send_record(&ls, LOGL_DEBUG, "m", twice, "mine") == 0);
	take(rfd);
	WANT(count(" by=engine claimed_event=process-died event=vm-lost ") ==
	    1);
	WANT(send_record(&ls, LOGL_WARN, "m", upper, "mine") == -1);
	ls.ls_from = AUDIT_FRONTEND;
	WANT(send_record(&ls, LOGL_DEBUG, "m", attached, NULL) == 0);
	take(rfd);
	WANT(count(" by=frontend event=client-attached ") == 1);
	WANT(count(" vm=other\n") == 1);
	log_setevents(0);
	WANT(send_record(&ls, LOGL_DEBUG, "m", attached, NULL) == 0);
	WANT(take(rfd) == 0);
}

/* A flood of every user but one, and of what is no event. */
static void
test_uids(void)
{
	static struct logsink_uids	 uids;
	struct logsink_source		 ls;
	char				 num[16];
	struct log_field		 fields[] = {
		{ "event", "client-refused" }, { "uid", num }, { NULL, NULL }
	};
	int				 i, u, rfd = stderr_pipe();

	memset(&ls, 0, sizeof(ls));
	ls.ls_from = AUDIT_FRONTEND;
	ls.ls_uids = &uids;
	WANT(logsink_init(0) == 0);
	/* It refills while the test runs. */
	for (i = 0; i < 100000 && ls.ls_records.lb_dropped == 0; i++) {
		send_record(&ls, LOGL_WARN, "m", NULL, NULL);
		take(rfd);
	}
	WANT(ls.ls_records.lb_dropped != 0);
	for (u = 1; u < LOGSINK_UIDS; u++) {
		snprintf(num, sizeof(num), "%d", u);
		for (i = 0; i < 100000; i++) {
			send_record(&ls, LOGL_WARN, "m", fields, NULL);
			take(rfd);
			if (uids.lu_uids[u - 1].events.le_bad.lb_dropped != 0)
				break;
		}
		WANT(i >= 400 && i < 100000);
	}
	snprintf(num, sizeof(num), "4711");
	WANT(send_record(&ls, LOGL_WARN, "m", fields, NULL) == 0);
	take(rfd);
	WANT(count(" uid=4711\n") == 1);
	/* What went well has a bucket of its own. */
	snprintf(num, sizeof(num), "1");
	fields[0].value = "client-attached";
	send_record(&ls, LOGL_INFO, "m", fields, NULL);
	take(rfd);
	WANT(count("event=client-attached ") == 1);
	/* There is no place for one more: what is left they share. */
	fields[0].value = "client-refused";
	snprintf(num, sizeof(num), "4712");
	send_record(&ls, LOGL_WARN, "m", fields, NULL);
	take(rfd);
	WANT(count(" uid=4712\n") == 1);
	WANT(uids.lu_n == LOGSINK_UIDS);
	logsink_end(&ls);
	take(rfd);
	WANT(count("msg=\"suppressed ") >= 1);
	WANT(count("event=events-suppressed ") >= 1);
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
bound(const char *path, int type)
{
	struct sockaddr_un	 sun;
	int			 fd;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	unlink(sun.sun_path);
	if ((fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0)) == -1 ||
	    bind(fd, (const struct sockaddr *)&sun, sizeof(sun)) == -1)
		_exit(1);
	if (type == SOCK_STREAM && listen(fd, 8) == -1)
		_exit(1);
	return (fd);
}

static int
syslogd(int type)
{
	return (bound("/dev/log", type));
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

/* stderr is the journal's; returns its end. */
static int
journal(int *stream)
{
	struct stat	 st;
	char		 env[64];
	int		 fd, sv[2];

	private_dev();
	if (mount("tmpfs", "/run", "tmpfs", 0, NULL) == -1)
		_exit(SKIPPED);
	(void)mkdir("/run/systemd", 0755);
	(void)mkdir("/run/systemd/journal", 0755);
	fd = bound(JOURNAL_SOCKET, SOCK_DGRAM);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) == -1 ||
	    dup2(sv[1], STDERR_FILENO) == -1 ||
	    fstat(STDERR_FILENO, &st) == -1)
		_exit(1);
	close(sv[1]);
	fcntl(sv[0], F_SETFL, O_NONBLOCK);
	snprintf(env, sizeof(env), "%llu:%llu",
	    (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", env, 1);
	*stream = sv[0];
	return (fd);
}

static size_t
received(int fd)
{
	ssize_t	 n;

	n = recv(fd, text, sizeof(text) - 1, 0);
	text[n == -1 ? 0 : n] = '\0';
	return (n == -1 ? 0 : (size_t)n);
}

static void
test_journal(void)
{
	int	 fd, i, n, stream;

	fd = journal(&stream);
	WANT(logsink_init(0) == 0);
	log_info("one");
	WANT(received(fd) > 0);
	WANT(strncmp(text, "PRIORITY=6\n", 11) == 0);
	WANT(count("\nMESSAGE=time=\"") == 1 && count("\nCCP_MSG=one\n") == 1);
	WANT(take(stream) == 0);
	/* Stuck: nothing is lost as long as stderr takes it. */
	for (i = 0; i < 100; i++)
		log_info("flood");
	take(stream);
	n = (int)count(" msg=flood ");
	WANT(n > 0 && n < 100);
	while (received(fd) > 0)
		n++;
	WANT(n == 100);
	/* Gone, and back. */
	close(fd);
	unlink(JOURNAL_SOCKET);
	log_info("lost");
	take(stream);
	WANT(strncmp(text, "time=\"", 6) == 0 && count(" msg=lost ") == 1);
	fd = bound(JOURNAL_SOCKET, SOCK_DGRAM);
	for (i = 0; i < 3000; i++) {
		log_info("back");
		if (received(fd) > 0)
			break;
		usleep(20000);
	}
	WANT(count("CCP_MSG=back") == 1);
}

/* It is not stderr that the environment tells of. */
static void
test_journal_other(void)
{
	int	 fd, stream, rfd;

	fd = journal(&stream);
	rfd = stderr_pipe();
	WANT(logsink_init(0) == 0);
	log_info("one");
	WANT(take(rfd) > 0 && count(" msg=one ") == 1);
	WANT(received(fd) == 0);
}

/* syslog that ends in the journal gets nothing that the journal has. */
static void
test_journal_syslog(void)
{
	int	 fd, log, stream;

	fd = journal(&stream);
	log = syslogd(SOCK_DGRAM);
	WANT(logsink_init(1) == 0);
	log_info("both");
	WANT(received(fd) > 0 && count("CCP_MSG=both") == 1);
	WANT(received(log) > 0 && count(" msg=both ") == 1);
	close(log);
	unlink("/dev/log");
	log = bound("/run/systemd/journal/dev-log", SOCK_DGRAM);
	WANT(symlink("/run/systemd/journal/dev-log", "/dev/log") == 0);
	WANT(logsink_init(1) == 0);
	log_info("once");
	WANT(received(fd) > 0 && count("CCP_MSG=once") == 1);
	WANT(received(log) == 0);
	WANT(take(stream) == 0);
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
	run("events that a child may not report", test_claims, 0);
	run("a user's flood leaves another's events", test_uids, 0);
	run("the journal: stuck, gone and back", test_journal, 1);
	run("the journal is not where stderr leads", test_journal_other, 1);
	run("the journal is where syslog leads", test_journal_syslog, 1);
	run("syslog: datagrams, stuck, gone and back", test_syslog, 1);
	run("syslog: stream", test_syslog_stream, 1);
	return (test_end());
}
