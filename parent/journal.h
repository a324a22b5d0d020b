/* SPDX-License-Identifier: ISC */

/*
 * A log entry in the native protocol of systemd's journal.  Pure; runs in
 * the parent on text of children, clients and guests.
 */

#ifndef CCP_JOURNAL_H
#define CCP_JOURNAL_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"
#include "logfmt.h"

#define JOURNAL_SOCKET	"/run/systemd/journal/socket"
#define JOURNAL_PREFIX	"CCP_"

/* Room for the longest record. */
#define JOURNAL_MAX	(LOGFMT_MAX + 2 * LOG_RECORD_MAX)

/*
 * The datagram: MESSAGE is the line, of len bytes and without a newline;
 * CCP_MSG and a CCP_ field for each field are what it says, as it is.
 * fields ends with a NULL key and may be NULL.  Returns the length, or 0 if
 * it does not fit.
 */
size_t	 journal_entry(uint8_t *, size_t size, enum log_level,
	    const char *line, size_t len, const char *msg,
	    const struct log_field *fields);

/*
 * Is the file of this device and inode the one that the environment's
 * JOURNAL_STREAM, which may be NULL, says is the journal's?
 */
int	 journal_is(const char *stream, uint64_t dev, uint64_t ino);

#endif /* CCP_JOURNAL_H */
