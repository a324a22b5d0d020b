/* SPDX-License-Identifier: ISC */

/*
 * Logging for every process.  A child's entries leave as one packet each and
 * never make it wait; what does not fit into the socket is counted and the
 * count reported.  Nothing here uses stdio's streams, so that it works with
 * any descriptor closed and under a tight system call filter.  log_decode()
 * runs in the parent on bytes of a child that may be hostile.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "log.h"

#define LOG_WAIT	100	/* ms a record waits, once, for room */

static void	 log_format(enum log_level, int, const struct log_field *,
		    const char *, va_list)
		    __attribute__((__format__(printf, 4, 0)));
static void	 log_emit(enum log_level, const char *,
		    const struct log_field *);
static void	 log_plain(const char *, const struct log_field *);
static void	 log_child(enum log_level, const char *,
		    const struct log_field *);
static int	 log_send(enum log_level, const char *,
		    const struct log_field *);
static size_t	 log_cut(const char *, size_t);
static char	*log_get_string(char **, const uint8_t **, const uint8_t *,
		    size_t);
static int	 log_key_ok(const char *);

static const char *const log_names[] = {
	"panic", "fatal", "error", "warning", "info", "debug"
};

static enum log_level	 log_max = LOGL_WARN;
static int		 log_events;	/* of every level */
static int		 log_fd = -1;
static uint64_t		 log_dropped;
static int		 log_stuck;	/* a record waited in vain */
static void		(*log_sink)(enum log_level, const char *,
			    const struct log_field *);

int
log_level_parse(const char *s)
{
	int	 i;

	if (strcasecmp(s, "warn") == 0)
		return (LOGL_WARN);
	for (i = LOGL_PANIC; i <= LOGL_DEBUG; i++) {
		if (strcasecmp(s, log_names[i]) == 0)
			return (i);
	}
	return (-1);
}

const char *
log_level_name(enum log_level level)
{
	if (level > LOGL_DEBUG)
		return ("unknown");
	return (log_names[level]);
}

void
log_init_child(int fd, enum log_level level)
{
	log_fd = fd;
	log_sink = NULL;
	log_dropped = 0;
	log_max = level;
}

void
log_init_sink(void (*sink)(enum log_level, const char *,
    const struct log_field *), enum log_level level)
{
	log_sink = sink;
	log_fd = -1;
	log_max = level;
}

void
log_setlevel(enum log_level level)
{
	log_max = level;
}

enum log_level
log_getlevel(void)
{
	return (log_max);
}

void
log_setevents(int events)
{
	log_events = events;
}

int
log_wanted(enum log_level level, const struct log_field *fields)
{
	if (level <= log_max)
		return (1);
	if (!log_events)
		return (0);
	for (; fields != NULL && fields->key != NULL; fields++)
		if (strcmp(fields->key, LOG_KEY_EVENT) == 0)
			return (1);
	return (0);
}

void
log_entry(enum log_level level, const struct log_field *fields,
    const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_format(level, 0, fields, fmt, ap);
	va_end(ap);
}

void
log_ventry(enum log_level level, const struct log_field *fields,
    const char *fmt, va_list ap)
{
	log_format(level, 0, fields, fmt, ap);
}

void
log_warn(const char *fmt, ...)
{
	int	 saved = errno;
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_WARN, saved, NULL, fmt, ap);
	va_end(ap);
	errno = saved;
}

void
log_warnx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_WARN, 0, NULL, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_INFO, 0, NULL, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_DEBUG, 0, NULL, fmt, ap);
	va_end(ap);
}

/* _exit: nothing of ours waits in a stdio buffer, and no handler may run. */
void
fatal(const char *fmt, ...)
{
	int	 saved = errno;
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_FATAL, saved, NULL, fmt, ap);
	va_end(ap);
	_exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_format(LOGL_FATAL, 0, NULL, fmt, ap);
	va_end(ap);
	_exit(1);
}

/* Formats; errnum 0 appends no error text. */
static void
log_format(enum log_level level, int errnum, const struct log_field *fields,
    const char *fmt, va_list ap)
{
	char	 msg[LOG_RECORD_MAX];
	int	 n, saved = errno;

	if (!log_wanted(level, fields))
		return;
	if ((n = vsnprintf(msg, sizeof(msg), fmt, ap)) < 0) {
		msg[0] = '\0';
		n = 0;
	}
	if (errnum != 0 && (size_t)n < sizeof(msg))
		snprintf(msg + n, sizeof(msg) - (size_t)n, "%s%s",
		    n == 0 ? "" : ": ", log_strerror(errnum));
	log_emit(level, msg, fields);
	errno = saved;
}

static void
log_emit(enum log_level level, const char *msg, const struct log_field *fields)
{
	if (log_sink != NULL)
		log_sink(level, msg, fields);
	else if (log_fd != -1)
		log_child(level, msg, fields);
	else
		log_plain(msg, fields);
}

static void
log_plain(const char *msg, const struct log_field *fields)
{
	char	 line[LOG_RECORD_MAX + 2];
	size_t	 n;

	n = strlcpy(line, msg, sizeof(line) - 1);
	for (; fields != NULL && fields->key != NULL; fields++) {
		if (n >= sizeof(line) - 1)
			break;
		n += (size_t)snprintf(line + n, sizeof(line) - 1 - n,
		    " %s=%s", fields->key, fields->value);
	}
	if (n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) == -1)
		return;
}

/* The report goes first, so that it stands where the gap is. */
static void
log_child(enum log_level level, const char *msg,
    const struct log_field *fields)
{
	char	 report[64];

	if (log_dropped != 0) {
		snprintf(report, sizeof(report),
		    "suppressed %llu log records",
		    (unsigned long long)log_dropped);
		if (log_send(LOGL_WARN, report, NULL) == -1) {
			log_dropped++;
			return;
		}
		log_dropped = 0;
	}
	if (log_send(level, msg, fields) == -1)
		log_dropped++;
}

static int
log_send(enum log_level level, const char *msg, const struct log_field *fields)
{
	struct pollfd	 pfd;
	uint8_t		 rec[LOG_RECORD_MAX];
	ssize_t		 n;
	size_t		 len;

	len = log_encode(rec, sizeof(rec), level, msg, fields);
	for (;;) {
		n = send(log_fd, rec, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n != -1) {
			log_stuck = 0;
			return (0);
		}
		if (errno == EINTR)
			continue;
		/* What matters is not lost behind a flood of what does not. */
		if (errno != EAGAIN || level > LOGL_INFO || log_stuck)
			return (-1);
		log_stuck = 1;
		pfd.fd = log_fd;
		pfd.events = POLLOUT;
		(void)poll(&pfd, 1, LOG_WAIT);
	}
}

/* The longest part of s within max bytes that splits no UTF-8 sequence. */
static size_t
log_cut(const char *s, size_t max)
{
	size_t	 len, n;

	if ((len = strnlen(s, max + 1)) <= max)
		return (len);
	for (n = max; n > 0 && max - n < 3; n--) {
		if (((unsigned char)s[n] & 0xc0) != 0x80)
			return (n);
	}
	return (((unsigned char)s[n] & 0xc0) != 0x80 ? n : max);
}

/*
 * A message that is too long leaves the fields the room they need, up to
 * half of the record.
 */
size_t
log_encode(uint8_t *buf, size_t size, enum log_level level, const char *msg,
    const struct log_field *fields)
{
	const struct log_field	*f;
	size_t			 klen, len, n, need, room;
	uint8_t			 count;

	if (size < 4)
		return (0);
	if (size > LOG_RECORD_MAX)
		size = LOG_RECORD_MAX;
	need = 0;
	for (f = fields, n = 0; f != NULL && f->key != NULL &&
	    n < LOG_FIELDS_MAX; f++, n++)
		need += 3 + strnlen(f->key, LOG_KEY_MAX) +
		    strnlen(f->value, size);
	room = size - 4;
	len = log_cut(msg, need > room / 2 ? room - room / 2 : room - need);
	buf[0] = (uint8_t)level;
	buf[2] = (uint8_t)(len >> 8);
	buf[3] = (uint8_t)len;
	memcpy(buf + 4, msg, len);
	n = 4 + len;

	count = 0;
	for (f = fields; f != NULL && f->key != NULL &&
	    count < LOG_FIELDS_MAX; f++) {
		klen = strnlen(f->key, LOG_KEY_MAX);
		if (klen == 0)
			continue;
		if (size - n < 3 + klen)
			break;
		buf[n++] = (uint8_t)klen;
		memcpy(buf + n, f->key, klen);
		n += klen;
		len = log_cut(f->value, size - n - 2);
		buf[n++] = (uint8_t)(len >> 8);
		buf[n++] = (uint8_t)len;
		memcpy(buf + n, f->value, len);
		n += len;
		count++;
	}
	buf[1] = count;
	return (n);
}

/* Copies len bytes to *out with a NUL; NULL if they are not there. */
static char *
log_get_string(char **out, const uint8_t **in, const uint8_t *end, size_t len)
{
	char	*s = *out;

	if ((size_t)(end - *in) < len || memchr(*in, '\0', len) != NULL)
		return (NULL);
	memcpy(s, *in, len);
	s[len] = '\0';
	*out += len + 1;
	*in += len;
	return (s);
}

/*
 * A key is printed as it stands, so it must not look like anything else; nor
 * like another key, where case makes no difference.
 */
static int
log_key_ok(const char *key)
{
	for (; *key != '\0'; key++) {
		if (!(*key >= 'a' && *key <= 'z') &&
		    !(*key >= '0' && *key <= '9') && *key != '_')
			return (0);
	}
	return (1);
}

int
log_decode(struct log_record *rec, const uint8_t *p, size_t len)
{
	const uint8_t	*end = p + len;
	char		*key, *out = rec->buf, *value;
	size_t		 i, n;

	if (len < 4 || len > LOG_RECORD_MAX)
		return (-1);
	if (p[0] > LOGL_DEBUG || p[1] > LOG_FIELDS_MAX)
		return (-1);
	rec->level = (enum log_level)p[0];
	rec->nfields = p[1];
	n = (size_t)p[2] << 8 | p[3];
	p += 4;
	if ((rec->msg = log_get_string(&out, &p, end, n)) == NULL)
		return (-1);
	for (i = 0; i < rec->nfields; i++) {
		if (end - p < 1)
			return (-1);
		n = *p++;
		if (n == 0 || n > LOG_KEY_MAX)
			return (-1);
		if ((key = log_get_string(&out, &p, end, n)) == NULL ||
		    !log_key_ok(key))
			return (-1);
		if (end - p < 2)
			return (-1);
		n = (size_t)p[0] << 8 | p[1];
		p += 2;
		if ((value = log_get_string(&out, &p, end, n)) == NULL)
			return (-1);
		rec->fields[i].key = key;
		rec->fields[i].value = value;
	}
	return (p == end ? 0 : -1);
}

/*
 * strerror(3) may allocate and translate.  The last few results stay valid,
 * so that one message can hold two of them.
 */
const char *
log_strerror(int errnum)
{
	static char	 bufs[4][80];
	static unsigned	 next;
	const char	*desc;
	char		*buf = bufs[next++ % 4];

	if ((desc = strerrordesc_np(errnum)) == NULL)
		snprintf(buf, sizeof(bufs[0]), "errno %d", errnum);
	else {
		strlcpy(buf, desc, sizeof(bufs[0]));
		if (isupper((unsigned char)buf[0]) &&
		    !isupper((unsigned char)buf[1]))
			buf[0] = (char)tolower((unsigned char)buf[0]);
	}
	return (buf);
}
