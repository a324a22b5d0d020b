/* SPDX-License-Identifier: ISC */

/*
 * Logging.  A child writes one record per SOCK_SEQPACKET packet to its log
 * channel (descriptor 4) and does not block, but for a moment where a record
 * above debug would be lost; the parent adds the identity it knows, escapes
 * and prints.
 * A record is (big endian):
 *	u8 level | u8 number of fields | u16 length, msg |
 *	per field: u8 length, key | u16 length, value
 *
 * The program that links this chooses the sink once: log_init_child() or
 * log_init_sink(); before that everything goes to stderr as plain text.
 */

#ifndef CCP_LOG_H
#define CCP_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_RECORD_MAX	8192	/* bytes of one record */
#define LOG_FIELDS_MAX	12
#define LOG_KEY_MAX	16
#define LOG_KEY_EVENT	"event"	/* makes the record a security event */

/* The names log levels have in the protocol (-log, log frames). */
enum log_level {
	LOGL_PANIC,
	LOGL_FATAL,
	LOGL_ERROR,
	LOGL_WARN,
	LOGL_INFO,
	LOGL_DEBUG
};

struct log_field {
	const char	*key;	/* NULL ends a list */
	const char	*value;
};

/* A decoded record: strings point into it and are NUL terminated. */
struct log_record {
	enum log_level	 level;
	char		*msg;
	size_t		 nfields;
	struct log_field fields[LOG_FIELDS_MAX];
	char		 buf[LOG_RECORD_MAX + 64];
};

/* -1 if s is no level name; "warn" and "warning" are the same, any case. */
int	 log_level_parse(const char *s);
const char *log_level_name(enum log_level);	/* "warning", ... */

void	 log_init_child(int fd, enum log_level);
void	 log_init_sink(void (*sink)(enum log_level, const char *msg,
	    const struct log_field *), enum log_level);
void	 log_setlevel(enum log_level);
enum log_level log_getlevel(void);
/* Log security events whatever the level. */
void	 log_setevents(int);
/* Is a record with these fields, or NULL, to be logged? */
int	 log_wanted(enum log_level, const struct log_field *);

/*
 * With fields: list ends with a NULL key; fields may be NULL.  Text beyond
 * the record's size is cut.
 */
void	 log_entry(enum log_level, const struct log_field *, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));
void	 log_ventry(enum log_level, const struct log_field *, const char *,
	    va_list) __attribute__((__format__(printf, 3, 0)));

/* As in OpenBSD's daemons: the first appends the error's text. */
void	 log_warn(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 log_warnx(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 log_info(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
void	 log_debug(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
/* Only for our own bugs, a lost parent and start-up. */
__attribute__((__noreturn__, __format__(printf, 1, 2)))
void	 fatal(const char *, ...);
__attribute__((__noreturn__, __format__(printf, 1, 2)))
void	 fatalx(const char *, ...);

/*
 * The record's bytes.  Pure.  encode returns the length (text is cut to
 * fit); decode returns 0, or -1 if any length is off or bytes trail.
 */
size_t	 log_encode(uint8_t *, size_t, enum log_level, const char *msg,
	    const struct log_field *);
int	 log_decode(struct log_record *, const uint8_t *, size_t);

/* strerror() in lower-case first letter, without allocation or locale. */
const char *log_strerror(int errnum);

#endif /* CCP_LOG_H */
