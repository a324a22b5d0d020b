/* SPDX-License-Identifier: ISC */

/*
 * Where log lines end: stderr, or the journal itself if that is what stderr
 * is, and in pod mode syslog as well.  Nothing here ever waits: a line that
 * nobody takes is dropped and counted, and the count is reported with the
 * next line that goes out.  The caller ignores SIGPIPE.
 */

#ifndef CCP_LOGSINK_H
#define CCP_LOGSINK_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"

#define LOGSINK_UIDS	64	/* users whose events are counted apart */

/* How much may still be logged.  All zero is a full bucket. */
struct logsink_bucket {
	uint64_t	 lb_last;	/* ns, monotonic; 0: never used */
	uint64_t	 lb_tokens;
	uint64_t	 lb_dropped;
};

/* Security events: what went wrong is not lost behind what went well. */
struct logsink_events {
	struct logsink_bucket	 le_bad;	/* of level warning or above */
	struct logsink_bucket	 le_good;
};

/*
 * The same for each user, so that nobody hides another's behind a flood of
 * his own.  All zero is an empty one.
 */
struct logsink_uids {
	struct {
		uint32_t		 uid;
		struct logsink_events	 events;
	}			 lu_uids[LOGSINK_UIDS];
	size_t			 lu_n;
	struct logsink_events	 lu_rest;	/* of those without a place */
};

/* One for each child. */
struct logsink_source {
	unsigned int		 ls_from;	/* AUDIT_* */
	const char		*ls_vm;		/* or NULL */
	struct logsink_bucket	 ls_records;	/* that are no events */
	struct logsink_events	 ls_events;	/* that no user caused */
	struct logsink_uids	*ls_uids;	/* NULL: as if nobody did */
};

/*
 * Before this, lines go to stderr with plain writes.  Returns 0; or -1
 * [errno] if pod_mode is set and there is no syslog: stderr works then.
 */
int	 logsink_init(int pod_mode);

/* A sink for log_init_sink(): an entry of the parent itself. */
void	 logsink_write(enum log_level, const char *msg,
	    const struct log_field *);

/* The same whatever the level is. */
void	 logsink_emit(enum log_level, const char *msg,
	    const struct log_field *);

/* Lines that nobody took since the start. */
uint64_t logsink_lost(void);

/* The text and a newline on stderr, at every level and in no format. */
void	 logsink_raw(const char *);

/* logsource.c: what children log */
/* Records held back since the start: there were too many. */
uint64_t logsource_suppressed(void);
/*
 * One packet from a child's log channel.  ls_vm, if not NULL, replaces the
 * record's own vm field; a child's pid, name and by are not believed, and an
 * event that is not its own becomes the field claimed_event.  Returns -1 if
 * the record is malformed: the child is to be killed.
 */
int	 logsink_record(struct logsink_source *, const uint8_t *, size_t);

/* The child is gone: report what its buckets held back. */
void	 logsink_end(struct logsink_source *);

/* May one more event of this user be logged? */
int	 logsink_uid_take(struct logsink_uids *, uint32_t uid,
	    enum log_level);

#endif /* CCP_LOGSINK_H */
