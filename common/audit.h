/* SPDX-License-Identifier: ISC */

/*
 * Security events: log records with a field event, whose names and fields
 * administrators rely on; see cc-proxy-audit(7).  Linked into all processes
 * of the daemon.  Values come from clients and guests; no token and nothing
 * of a command's payload may be one.
 *
 *	struct audit	 a;
 *
 *	audit_begin(&a, AUDIT_VM_LOST);
 *	audit_str(&a, "reason", why);
 *	audit_log(&a, "VM lost: %s", why);
 */

#ifndef CCP_AUDIT_H
#define CCP_AUDIT_H

#include <stdarg.h>
#include <stdint.h>

#include "log.h"

#define AUDIT_PARENT	0x01
#define AUDIT_FRONTEND	0x02
#define AUDIT_ENGINE	0x04
#define AUDIT_ANY	(AUDIT_PARENT | AUDIT_FRONTEND | AUDIT_ENGINE)

enum audit_event {
#define AUDIT(name, text, level, from)	AUDIT_##name,
#include "audit.def"
#undef AUDIT
	AUDIT_EVENTS
};

/* One that is being made; strings stay the caller's until it is logged. */
struct audit {
	enum audit_event	 event;
	struct log_field	 fields[LOG_FIELDS_MAX + 1];
	size_t			 n;
	char			 numbers[LOG_FIELDS_MAX][12];
};

/* A client, as the kernel described it. */
struct audit_who {
	uint32_t		 client;	/* number in the log; 0: none */
	uint32_t		 uid, gid, pid;
	int			 proto;		/* 1 or 3; 0: neither */
};

void	 audit_begin(struct audit *, enum audit_event);
/* Fields beyond LOG_FIELDS_MAX are left out. */
void	 audit_str(struct audit *, const char *key, const char *value);
void	 audit_num(struct audit *, const char *key, uint32_t);
void	 audit_who(struct audit *, const struct audit_who *);
/* The name of the limit that was reached, and its value; 0: none. */
void	 audit_limit(struct audit *, const char *, uint32_t max);

/* Log it at the event's level, or another one. */
void	 audit_log(const struct audit *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
void	 audit_log_at(const struct audit *, enum log_level, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));

/* May a process of this kind, one of AUDIT_*, report an event so called? */
int	 audit_may(const char *name, unsigned int from);

#endif /* CCP_AUDIT_H */
