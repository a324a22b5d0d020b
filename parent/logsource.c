/* SPDX-License-Identifier: ISC */

/*
 * What children log, and how much of it.  Runs in the parent; records come
 * from children and are not trusted, and what they are about comes from
 * clients: none of either may keep another's out of the log.
 */

#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "clock.h"
#include "logsink.h"

#define NSEC		1000000000ULL
#define BUCKET_BURST	2000
#define BUCKET_RATE	1000		/* records per second */
#define BUCKET_DEBUG	10		/* times as many at level debug */
#define EVENT_BURST	400		/* of level warning or above */
#define EVENT_RATE	100		/* per second and user */

static uint64_t	 suppressed;

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

uint64_t
logsource_suppressed(void)
{
	return (suppressed);
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
	t = clock_ns();
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
	logsink_emit(LOGL_WARN, msg, vm == NULL ? NULL : fields);
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
		suppressed++;
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
	uint64_t	 t = clock_ns();

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
	uint64_t		 t = clock_ns();
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
			suppressed++;
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
		logsink_emit(rec.level, rec.msg, fields);
	return (0);
}
