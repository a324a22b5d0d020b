/* SPDX-License-Identifier: ISC */

/*
 * Where log lines end: stderr, and in pod mode syslog as well.  Nothing here
 * ever waits: a line that nobody takes is dropped and counted, and the count
 * is reported with the next line that goes out.  The caller ignores SIGPIPE.
 */

#ifndef CCP_LOGSINK_H
#define CCP_LOGSINK_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"

/* One per child: how much it may still log.  All zero is a full bucket. */
struct logsink_bucket {
	uint64_t	 lb_last;	/* ns, monotonic; 0: never used */
	uint64_t	 lb_tokens;
	uint64_t	 lb_dropped;
};

/*
 * Before this, lines go to stderr with plain writes.  Returns 0; or -1
 * [errno] if pod_mode is set and there is no syslog: stderr works then.
 */
int	 logsink_init(int pod_mode);

/* A sink for log_init_sink(): an entry of the parent itself. */
void	 logsink_write(enum log_level, const char *msg,
	    const struct log_field *);

/*
 * One packet from a child's log channel.  vm, if not NULL, replaces the
 * record's own vm field; a child's pid and name fields are not believed.
 * Returns -1 if the record is malformed: the child is to be killed.
 */
int	 logsink_record(struct logsink_bucket *, const uint8_t *, size_t,
	    const char *vm);

/* The child is gone: report what its bucket held back. */
void	 logsink_bucket_end(struct logsink_bucket *, const char *vm);

/* The text and a newline on stderr, at every level and in no format. */
void	 logsink_raw(const char *);

#endif /* CCP_LOGSINK_H */
