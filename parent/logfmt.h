/* SPDX-License-Identifier: ISC */

/*
 * One log entry as one line of text: key=value pairs, with quoted values
 * escaped as Go's strconv.Quote does, and a coloured form for terminals.
 * Pure; runs in the parent on text of children, clients and guests.
 */

#ifndef CCP_LOGFMT_H
#define CCP_LOGFMT_H

#include <sys/types.h>

#include <time.h>

#include "log.h"

/* Room for the longest record with every byte of it escaped. */
#define LOGFMT_MAX	(4 * LOG_RECORD_MAX + 1024)
#define LOGFMT_TIME_MAX	40

/* Local time as RFC 3339 with as many decimals as are not zero. */
void	 logfmt_time(char *, size_t, const struct timespec *);

/*
 * The line with its newline and a NUL; returns the length without the NUL.
 * Text that does not fit is cut.  fields ends with a NULL key and may be
 * NULL; it is merged with source=proxy name=cc-proxy pid=<pid>, a field
 * that comes later replaces one of the same key.  size is at least 256.
 */
size_t	 logfmt_line(char *, size_t size, const char *when, pid_t,
	    enum log_level, const char *msg, const struct log_field *fields);

/* The same for a terminal; seconds: since the daemon's start. */
size_t	 logfmt_colour(char *, size_t size, unsigned int seconds, pid_t,
	    enum log_level, const char *msg, const struct log_field *fields);

/* Go's %q of s, NUL terminated; returns the length.  size is at least 3. */
size_t	 logfmt_quote(char *, size_t size, const char *s);

#endif /* CCP_LOGFMT_H */
