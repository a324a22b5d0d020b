/* SPDX-License-Identifier: ISC */

/*
 * Security events, as records of the log.  Runs in every process of the
 * daemon; audit_may() in the parent, on names that a child sent.
 */

#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audit.h"

static const struct {
	const char	*name;
	enum log_level	 level;
	unsigned int	 from;
} events[AUDIT_EVENTS] = {
#define PARENT		AUDIT_PARENT
#define FRONTEND	AUDIT_FRONTEND
#define ENGINE		AUDIT_ENGINE
#define ANY		AUDIT_ANY
#define AUDIT(name, text, level, from) \
	[AUDIT_##name] = { text, LOGL_##level, from },
#include "audit.def"
#undef AUDIT
#undef PARENT
#undef FRONTEND
#undef ENGINE
#undef ANY
};

void
audit_begin(struct audit *a, enum audit_event event)
{
	memset(a->fields, 0, sizeof(a->fields));
	a->event = event;
	a->n = 0;
	audit_str(a, LOG_KEY_EVENT, events[event].name);
}

void
audit_str(struct audit *a, const char *key, const char *value)
{
	if (a->n == LOG_FIELDS_MAX)
		return;
	a->fields[a->n].key = key;
	a->fields[a->n++].value = value;
}

void
audit_num(struct audit *a, const char *key, uint32_t v)
{
	char	*text = a->numbers[a->n % LOG_FIELDS_MAX];

	if (a->n == LOG_FIELDS_MAX)
		return;
	snprintf(text, sizeof(a->numbers[0]), "%u", v);
	audit_str(a, key, text);
}

void
audit_who(struct audit *a, const struct audit_who *who)
{
	if (who->client != 0)
		audit_num(a, "client", who->client);
	audit_num(a, "uid", who->uid);
	audit_num(a, "gid", who->gid);
	audit_num(a, "peer", who->pid);
	if (who->proto != 0)
		audit_num(a, "protocol", (uint32_t)who->proto);
}

void
audit_limit(struct audit *a, const char *limit, uint32_t max)
{
	audit_str(a, "limit", limit);
	if (max != 0)
		audit_num(a, "max", max);
}

void
audit_log(const struct audit *a, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_ventry(events[a->event].level, a->fields, fmt, ap);
	va_end(ap);
}

void
audit_log_at(const struct audit *a, enum log_level level, const char *fmt,
    ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	log_ventry(level, a->fields, fmt, ap);
	va_end(ap);
}

int
audit_may(const char *name, unsigned int from)
{
	size_t	 i;

	for (i = 0; i < AUDIT_EVENTS; i++)
		if (strcmp(events[i].name, name) == 0)
			return ((events[i].from & from) != 0);
	return (0);
}
