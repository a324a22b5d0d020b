/* SPDX-License-Identifier: ISC */

/*
 * Where log lines end: stderr, or the journal itself if that is what stderr
 * is, and in pod mode syslog as well.  Runs in the parent.  stderr may be a
 * pipe that nobody reads and the others may be stuck; none may stop the
 * daemon.  Records come from children and are not
 * trusted.
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

#include "audit.h"
#include "journal.h"
#include "logfmt.h"
#include "logsink.h"

#define NSEC		1000000000ULL
#define BUCKET_BURST	2000
#define BUCKET_RATE	1000		/* records per second */
#define BUCKET_DEBUG	10		/* times as many at level debug */
#define EVENT_BURST	400		/* of level warning or above */
#define EVENT_RATE	100		/* per second and user */
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

static uint64_t	 now(void);
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
static void	 emit(enum log_level, const char *, const struct log_field *);
static size_t	 report(char *, size_t, uint64_t, int);
static void	 bucket_report(struct logsink_bucket *, const char *);
static void	 event_report(struct logsink_bucket *, const char *,
		    const uint32_t *);
static int	 event_take(struct logsink_events *, enum log_level,
		    const char *, const uint32_t *);
static void	 events_report(struct logsink_events *, const char *,
		    const uint32_t *, uint64_t);
static int	 bucket_take(struct logsink_bucket *, uint64_t, uint64_t);
static struct logsink_events *uid_events(struct logsink_uids *, uint32_t,
		    int *);
static void	 uids_report(struct logsink_uids *, uint64_t);
static int	 source_take(struct logsink_source *, enum log_level,
		    const struct log_field *, int);
static int	 source_fields(const struct logsink_source *,
		    const struct log_record *, struct log_field *);

static uint64_t
now(void)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * NSEC + (uint64_t)ts.tv_nsec);
}

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
			return;
		}
		out.dropped = 0;
	}
	if (out_whole(line, len) == -1)
		out.dropped++;
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

	sys.tried = now();
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
		if (sys.fd == -1 && (now() - sys.tried < NSEC ||
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
}

static void
journal_open(void)
{
	const struct sockaddr_un	 sun = {
		.sun_family = AF_UNIX,
		.sun_path = JOURNAL_SOCKET
	};

	journal.tried = now();
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
		if (journal.fd == -1 && now() - journal.tried >= NSEC)
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

static void
emit(enum log_level level, const char *msg, const struct log_field *fields)
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
	emit(level, msg, fields);
}

/* Takes one token; 0 if there is none. */
static int
bucket_take(struct logsink_bucket *lb, uint64_t burst, uint64_t rate)
{
	uint64_t	 add, t;

	if (log_getlevel() == LOGL_DEBUG) {
		burst *= BUCKET_DEBUG;
		rate *= BUCKET_DEBUG;
	}
	t = now();
	if (lb->lb_last == 0 || t - lb->lb_last >= burst / rate * NSEC) {
		lb->lb_last = t;
		lb->lb_tokens = burst;
	} else {
		add = (t - lb->lb_last) * rate / NSEC;
		lb->lb_last += add * NSEC / rate;
		lb->lb_tokens += add;
		if (lb->lb_tokens > burst)
			lb->lb_tokens = burst;
	}
	if (lb->lb_tokens == 0)
		return (0);
	lb->lb_tokens--;
	return (1);
}

static void
bucket_report(struct logsink_bucket *lb, const char *vm)
{
	struct log_field	 fields[2] = { { "vm", vm }, { NULL, NULL } };
	char			 msg[64];

	if (lb->lb_dropped == 0)
		return;
	snprintf(msg, sizeof(msg), "suppressed %llu log records",
	    (unsigned long long)lb->lb_dropped);
	lb->lb_dropped = 0;
	emit(LOGL_WARN, msg, vm == NULL ? NULL : fields);
}

/* uid: whose events they were, or NULL. */
static void
event_report(struct logsink_bucket *lb, const char *vm, const uint32_t *uid)
{
	struct audit	 a;
	uint64_t	 n = lb->lb_dropped;

	if (n == 0)
		return;
	lb->lb_dropped = 0;
	audit_begin(&a, AUDIT_EVENTS_SUPPRESSED);
	if (uid != NULL)
		audit_num(&a, "uid", *uid);
	if (vm != NULL)
		audit_str(&a, "vm", vm);
	audit_num(&a, "count", n > UINT32_MAX ? UINT32_MAX : (uint32_t)n);
	audit_log(&a, "suppressed %llu security events",
	    (unsigned long long)n);
}

static int
event_take(struct logsink_events *le, enum log_level level, const char *vm,
    const uint32_t *uid)
{
	struct logsink_bucket	*lb;
	int			 bad = level <= LOGL_WARN;

	lb = bad ? &le->le_bad : &le->le_good;
	if (!bucket_take(lb, bad ? EVENT_BURST : BUCKET_BURST,
	    bad ? EVENT_RATE : BUCKET_RATE)) {
		lb->lb_dropped++;
		return (0);
	}
	event_report(lb, vm, uid);
	return (1);
}

/* What was held back, of those that are quiet since that long. */
static void
events_report(struct logsink_events *le, const char *vm, const uint32_t *uid,
    uint64_t quiet)
{
	uint64_t	 t = now();

	if (t - le->le_bad.lb_last >= quiet)
		event_report(&le->le_bad, vm, uid);
	if (t - le->le_good.lb_last >= quiet)
		event_report(&le->le_good, vm, uid);
}

static void
uids_report(struct logsink_uids *lu, uint64_t quiet)
{
	size_t	 i;

	for (i = 0; i < lu->lu_n; i++)
		events_report(&lu->lu_uids[i].events, NULL,
		    &lu->lu_uids[i].uid, quiet);
	events_report(&lu->lu_rest, NULL, NULL, quiet);
}

/*
 * A place is given to another user only when its buckets are full again: who
 * comes with many users gets no more than those they have.
 */
static struct logsink_events *
uid_events(struct logsink_uids *lu, uint32_t uid, int *own)
{
	struct logsink_events	*le;
	uint64_t		 full = EVENT_BURST / EVENT_RATE * NSEC;
	uint64_t		 t = now();
	size_t			 i;

	*own = 1;
	for (i = 0; i < lu->lu_n; i++)
		if (lu->lu_uids[i].uid == uid)
			return (&lu->lu_uids[i].events);
	if (lu->lu_n < LOGSINK_UIDS)
		i = lu->lu_n++;
	else {
		for (i = 0; i < LOGSINK_UIDS; i++) {
			le = &lu->lu_uids[i].events;
			if (t - le->le_bad.lb_last >= full &&
			    t - le->le_good.lb_last >= full)
				break;
		}
		if (i == LOGSINK_UIDS) {
			*own = 0;
			return (&lu->lu_rest);
		}
		events_report(&lu->lu_uids[i].events, NULL,
		    &lu->lu_uids[i].uid, 0);
	}
	memset(&lu->lu_uids[i], 0, sizeof(lu->lu_uids[i]));
	lu->lu_uids[i].uid = uid;
	return (&lu->lu_uids[i].events);
}

int
logsink_uid_take(struct logsink_uids *lu, uint32_t uid, enum log_level level)
{
	struct logsink_events	*le;
	int			 own;

	uids_report(lu, NSEC);
	le = uid_events(lu, uid, &own);
	return (event_take(le, level, NULL, own ? &uid : NULL));
}

/* May this record be logged? */
static int
source_take(struct logsink_source *ls, enum log_level level,
    const struct log_field *fields, int event)
{
	const struct log_field	*f;
	const char		*errstr;
	uint32_t		 uid;

	if (!event) {
		if (!bucket_take(&ls->ls_records, BUCKET_BURST, BUCKET_RATE)) {
			ls->ls_records.lb_dropped++;
			return (0);
		}
		bucket_report(&ls->ls_records, ls->ls_vm);
		return (1);
	}
	for (f = fields; f->key != NULL && ls->ls_uids != NULL; f++) {
		if (strcmp(f->key, "uid") != 0)
			continue;
		uid = (uint32_t)strtonum(f->value, 0, UINT32_MAX, &errstr);
		if (errstr == NULL)
			return (logsink_uid_take(ls->ls_uids, uid, level));
	}
	return (event_take(&ls->ls_events, level, ls->ls_vm, NULL));
}

void
logsink_end(struct logsink_source *ls)
{
	bucket_report(&ls->ls_records, ls->ls_vm);
	events_report(&ls->ls_events, ls->ls_vm, NULL, 0);
	if (ls->ls_uids != NULL)
		uids_report(ls->ls_uids, 0);
}

/*
 * The record's fields as far as the child is believed, and what we know;
 * there is room for two more.  Returns whether it is a security event.
 */
static int
source_fields(const struct logsink_source *ls, const struct log_record *rec,
    struct log_field *to)
{
	const char	*key;
	size_t		 i, n;
	int		 event = 0;

	for (i = n = 0; i < rec->nfields; i++) {
		key = rec->fields[i].key;
		if (strcmp(key, "pid") == 0 || strcmp(key, "name") == 0 ||
		    strcmp(key, "by") == 0 ||
		    (ls->ls_vm != NULL && strcmp(key, "vm") == 0))
			continue;
		to[n] = rec->fields[i];
		if (strcmp(key, LOG_KEY_EVENT) == 0) {
			if (!event && audit_may(to[n].value, ls->ls_from))
				event = 1;
			else
				to[n].key = "claimed_event";
		}
		n++;
	}
	if (ls->ls_vm != NULL) {
		to[n].key = "vm";
		to[n++].value = ls->ls_vm;
	}
	if (event) {
		to[n].key = "by";
		to[n++].value = ls->ls_from == AUDIT_ENGINE ? "engine" :
		    "frontend";
	}
	to[n].key = NULL;
	to[n].value = NULL;
	return (event);
}

int
logsink_record(struct logsink_source *ls, const uint8_t *p, size_t len)
{
	struct log_record	 rec;
	struct log_field	 fields[LOG_FIELDS_MAX + 3];
	int			 event;

	if (log_decode(&rec, p, len) == -1)
		return (-1);
	event = source_fields(ls, &rec, fields);
	if (log_wanted(rec.level, fields) && source_take(ls, rec.level, fields,
	    event))
		emit(rec.level, rec.msg, fields);
	return (0);
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
