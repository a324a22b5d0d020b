/* SPDX-License-Identifier: ISC */

/*
 * Where log lines end: stderr, or the journal itself if that is what stderr
 * is, and in pod mode syslog as well.  Runs in the parent.  stderr may be a
 * pipe that nobody reads and the others may be stuck; none may stop the
 * daemon.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "journal.h"
#include "logfmt.h"
#include "logsink.h"

#define NSEC		1000000000ULL
#define SYSLOG_TAG	"cc-proxy"
#define JOURNAL_DIR	"/run/systemd/journal/"

/* How to write to stderr without waiting. */
enum out_kind {
	OUT_PLAIN,	/* a file: a write does not wait for anybody */
	OUT_OWN,	/* reopened, so that O_NONBLOCK is ours alone */
	OUT_SOCKET,
	OUT_POLL
};

static struct {
	enum out_kind	 kind;
	int		 fd;
	int		 tty;
	time_t		 start;
	uint64_t	 dropped;
	size_t		 restlen;	/* of a line half of which is out */
	char		 rest[LOGFMT_MAX];
} out = { .kind = OUT_PLAIN, .fd = STDERR_FILENO };

static struct {
	int		 wanted;
	int		 fd;
	uint64_t	 tried;		/* ns, monotonic */
	uint64_t	 dropped;
	int		 is_journal;	/* the journal listens there */
} sys = { .fd = -1 };

static struct {
	int		 wanted;
	int		 fd;
	uint64_t	 tried;		/* ns, monotonic */
} journal = { .fd = -1 };

static uint64_t	 lost;		/* lines, since the start */

static ssize_t	 out_some(const char *, size_t);
static int	 out_whole(const char *, size_t);
static void	 out_write(const char *, size_t);
static void	 sys_close(void);
static int	 sys_open(void);
static int	 sys_send(enum log_level, const struct tm *, const char *,
		    size_t);
static void	 sys_write(enum log_level, const struct timespec *,
		    const char *, size_t);
static void	 journal_open(void);
static int	 journal_write(enum log_level, const char *, size_t,
		    const char *, const struct log_field *);
static size_t	 report(char *, size_t, uint64_t, int);

/*
 * O_NONBLOCK on descriptor 2 itself would change it for everybody who shares
 * it, so a pipe or a terminal is opened once more.
 */
int
logsink_init(int pod_mode)
{
	struct timespec	 ts;
	struct stat	 st;
	int		 fd;

	memset(&st, 0, sizeof(st));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	out.start = ts.tv_sec;
	out.tty = isatty(STDERR_FILENO);
	if (fstat(STDERR_FILENO, &st) == -1)
		out.kind = OUT_PLAIN;
	else if (S_ISSOCK(st.st_mode))
		out.kind = OUT_SOCKET;
	else if (S_ISFIFO(st.st_mode) || out.tty) {
		fd = open("/proc/self/fd/2",
		    O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		if (fd == -1)
			out.kind = OUT_POLL;
		else {
			out.kind = OUT_OWN;
			out.fd = fd;
		}
	}
	if (journal_is(getenv("JOURNAL_STREAM"), st.st_dev, st.st_ino)) {
		journal.wanted = 1;
		journal_open();
	}

	if (!pod_mode)
		return (0);
	sys.wanted = 1;
	return (sys_open());
}

/* As write(2), but never waits: -1 [EAGAIN] instead. */
static ssize_t
out_some(const char *s, size_t len)
{
	struct pollfd	 pfd;
	ssize_t		 n;

	switch (out.kind) {
	case OUT_SOCKET:
		return (send(out.fd, s, len, MSG_DONTWAIT | MSG_NOSIGNAL));
	case OUT_POLL:
		pfd.fd = out.fd;
		pfd.events = POLLOUT;
		if (poll(&pfd, 1, 0) != 1 || (pfd.revents & POLLOUT) == 0) {
			errno = EAGAIN;
			return (-1);
		}
		/* A writable pipe takes this much without waiting. */
		if (len > PIPE_BUF)
			len = PIPE_BUF;
		/* FALLTHROUGH */
	case OUT_PLAIN:
	case OUT_OWN:
	default:
		do {
			n = write(out.fd, s, len);
		} while (n == -1 && errno == EINTR);
		return (n);
	}
}

/*
 * -1 if nothing of the line was taken.  Once a part is out the rest is kept,
 * and nothing else is written before it.
 */
static int
out_whole(const char *line, size_t len)
{
	size_t	 done;
	ssize_t	 n;

	while (out.restlen != 0) {
		if ((n = out_some(out.rest, out.restlen)) <= 0)
			return (-1);
		out.restlen -= (size_t)n;
		memmove(out.rest, out.rest + n, out.restlen);
	}
	for (done = 0; done < len; done += (size_t)n) {
		if ((n = out_some(line + done, len - done)) <= 0)
			break;
	}
	if (done == 0)
		return (-1);
	if (done < len && len - done <= sizeof(out.rest)) {
		out.restlen = len - done;
		memcpy(out.rest, line + done, out.restlen);
	}
	return (0);
}

/* The line that tells of n lost ones. */
static size_t
report(char *buf, size_t size, uint64_t n, int tty)
{
	struct timespec	 ts;
	char		 msg[64], when[LOGFMT_TIME_MAX];

	snprintf(msg, sizeof(msg), "suppressed %llu log records",
	    (unsigned long long)n);
	if (tty) {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		return (logfmt_colour(buf, size,
		    (unsigned int)(ts.tv_sec - out.start), getpid(), LOGL_WARN,
		    msg, NULL));
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	logfmt_time(when, sizeof(when), &ts);
	return (logfmt_line(buf, size, when, getpid(), LOGL_WARN, msg, NULL));
}

static void
out_write(const char *line, size_t len)
{
	char	 buf[512];
	size_t	 n;

	if (out.dropped != 0) {
		n = report(buf, sizeof(buf), out.dropped, out.tty);
		if (out_whole(buf, n) == -1) {
			out.dropped++;
			lost++;
			return;
		}
		out.dropped = 0;
	}
	if (out_whole(line, len) == -1) {
		out.dropped++;
		lost++;
	}
}

static void
sys_close(void)
{
	if (sys.fd != -1)
		close(sys.fd);
	sys.fd = -1;
}

static int
sys_open(void)
{
	static const char *const paths[] = {
		"/dev/log", "/var/run/syslog", "/var/run/log"
	};
	static const int	 types[] = { SOCK_DGRAM, SOCK_STREAM };
	struct sockaddr_un	 sun;
	char			 to[64];
	size_t			 i, j;
	ssize_t			 n;
	int			 error = ENOENT, fd;

	sys.tried = clock_ns();
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		for (j = 0; j < sizeof(paths) / sizeof(paths[0]); j++) {
			memset(&sun, 0, sizeof(sun));
			sun.sun_family = AF_UNIX;
			strlcpy(sun.sun_path, paths[j], sizeof(sun.sun_path));
			if ((fd = socket(AF_UNIX, types[i] | SOCK_NONBLOCK |
			    SOCK_CLOEXEC, 0)) == -1)
				return (-1);
			if (connect(fd, (const struct sockaddr *)&sun,
			    sizeof(sun)) == 0) {
				sys.fd = fd;
				n = readlink(paths[j], to, sizeof(to) - 1);
				to[n == -1 ? 0 : n] = '\0';
				sys.is_journal = strncmp(to, JOURNAL_DIR,
				    sizeof(JOURNAL_DIR) - 1) == 0;
				return (0);
			}
			if (errno != ENOENT)
				error = errno;
			close(fd);
		}
	}
	errno = error;
	return (-1);
}

/* 0, or -1 [errno]: EAGAIN says that the other side is only slow. */
static int
sys_send(enum log_level level, const struct tm *tm, const char *line,
    size_t len)
{
	static const char	 months[] =
	    "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const int	 severity[] = {
		LOG_CRIT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG
	};
	char			 buf[LOGFMT_MAX + 64];
	ssize_t			 n;
	size_t			 hlen;

	hlen = (size_t)snprintf(buf, 64,
	    "<%d>%.3s %2d %02d:%02d:%02d %s[%ld]: ",
	    LOG_DAEMON | severity[level],
	    months + 3 * (tm->tm_mon % 12), tm->tm_mday, tm->tm_hour,
	    tm->tm_min, tm->tm_sec, SYSLOG_TAG, (long)getpid());
	memcpy(buf + hlen, line, len);
	len += hlen;
	if (sys.fd == -1) {
		errno = ENOTCONN;
		return (-1);
	}
	do {
		n = send(sys.fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == (ssize_t)len)
		return (0);
	/* Half a line on a stream: only a new connection can follow it. */
	if (n != -1)
		errno = EPIPE;
	return (-1);
}

static void
sys_write(enum log_level level, const struct timespec *ts, const char *line,
    size_t len)
{
	struct tm	 tm;
	char		 buf[512];
	size_t		 n;
	int		 tries;

	if (localtime_r(&ts->tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	for (tries = 0; tries < 2; tries++) {
		if (sys.fd == -1 && (clock_ns() - sys.tried < NSEC ||
		    sys_open() == -1))
			break;
		if (sys.dropped != 0) {
			n = report(buf, sizeof(buf), sys.dropped, 0);
			if (sys_send(LOGL_WARN, &tm, buf, n) == 0)
				sys.dropped = 0;
		}
		if (sys.dropped == 0 && sys_send(level, &tm, line, len) == 0)
			return;
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			break;
		sys_close();
	}
	sys.dropped++;
	lost++;
}

static void
journal_open(void)
{
	const struct sockaddr_un	 sun = {
		.sun_family = AF_UNIX,
		.sun_path = JOURNAL_SOCKET
	};

	journal.tried = clock_ns();
	if ((journal.fd = socket(AF_UNIX,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1)
		return;
	if (connect(journal.fd, (const struct sockaddr *)&sun,
	    sizeof(sun)) == -1) {
		close(journal.fd);
		journal.fd = -1;
	}
}

/* -1 if it was not taken: then stderr, which it reads as well, is left. */
static int
journal_write(enum log_level level, const char *line, size_t len,
    const char *msg, const struct log_field *fields)
{
	static uint8_t	 buf[JOURNAL_MAX];
	ssize_t		 n;
	size_t		 size;
	int		 tries;

	size = journal_entry(buf, sizeof(buf), level, line, len, msg, fields);
	if (size == 0)
		return (-1);
	for (tries = 0; tries < 2; tries++) {
		if (journal.fd == -1 && clock_ns() - journal.tried >= NSEC)
			journal_open();
		if (journal.fd == -1)
			return (-1);
		do {
			n = send(journal.fd, buf, size,
			    MSG_DONTWAIT | MSG_NOSIGNAL);
		} while (n == -1 && errno == EINTR);
		if (n != -1)
			return (0);
		if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
			return (-1);
		close(journal.fd);
		journal.fd = -1;
	}
	return (-1);
}

void
logsink_emit(enum log_level level, const char *msg,
    const struct log_field *fields)
{
	static char	 line[LOGFMT_MAX];
	struct timespec	 mono, ts;
	char		 when[LOGFMT_TIME_MAX];
	size_t		 len;
	int		 taken = 0;

	if (out.tty) {
		clock_gettime(CLOCK_MONOTONIC, &mono);
		len = logfmt_colour(line, sizeof(line),
		    (unsigned int)(mono.tv_sec - out.start), getpid(), level,
		    msg, fields);
		out_write(line, len);
		if (!sys.wanted)
			return;
	}
	clock_gettime(CLOCK_REALTIME, &ts);
	logfmt_time(when, sizeof(when), &ts);
	len = logfmt_line(line, sizeof(line), when, getpid(), level, msg,
	    fields);
	if (journal.wanted)
		taken = journal_write(level, line, len - 1, msg, fields) == 0;
	if (!taken && !out.tty)
		out_write(line, len);
	if (sys.wanted && !(taken && sys.is_journal))
		sys_write(level, &ts, line, len);
}

void
logsink_write(enum log_level level, const char *msg,
    const struct log_field *fields)
{
	if (!log_wanted(level, fields))
		return;
	logsink_emit(level, msg, fields);
}

uint64_t
logsink_lost(void)
{
	return (lost);
}

void
logsink_raw(const char *text)
{
	char	 line[1024];
	size_t	 n;

	n = strlcpy(line, text, sizeof(line) - 1);
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	out_write(line, n);
}
