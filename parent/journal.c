/* SPDX-License-Identifier: ISC */

/*
 * A log entry in the native protocol of systemd's journal: NAME=value and a
 * newline, or, for values that a newline could end or that may be no text,
 * NAME, a newline, the length in 64 bits little endian, the value and a
 * newline.  Pure; runs in the parent on text of children, clients and
 * guests: what they chose can be part of a value and of nothing else.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "journal.h"

struct entry {
	uint8_t	*buf;
	size_t	 len, size;
	int	 full;
};

static void	 entry_bytes(struct entry *, const void *, size_t);
static void	 entry_str(struct entry *, const char *);
static void	 entry_field(struct entry *, const char *, size_t);
static void	 entry_key(struct entry *, const char *);
static int	 is_text(const char *, size_t);
static int	 number(const char **, uint64_t *);

static void
entry_bytes(struct entry *e, const void *p, size_t len)
{
	if (e->full || len > e->size - e->len) {
		e->full = 1;
		return;
	}
	memcpy(e->buf + e->len, p, len);
	e->len += len;
}

static void
entry_str(struct entry *e, const char *s)
{
	entry_bytes(e, s, strlen(s));
}

/* Whatever is not plain goes where its length is told. */
static int
is_text(const char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++)
		if (s[i] < ' ' || s[i] > '~')
			return (0);
	return (1);
}

/* The value of a field whose name is there. */
static void
entry_field(struct entry *e, const char *value, size_t len)
{
	uint8_t	 size[8];
	size_t	 i;

	if (is_text(value, len))
		entry_str(e, "=");
	else {
		for (i = 0; i < sizeof(size); i++)
			size[i] = (uint8_t)((uint64_t)len >> (8 * i));
		entry_str(e, "\n");
		entry_bytes(e, size, sizeof(size));
	}
	entry_bytes(e, value, len);
	entry_str(e, "\n");
}

/* Keys are ours, or were checked by log_decode(). */
static void
entry_key(struct entry *e, const char *key)
{
	char	 name[LOG_KEY_MAX + 1];
	size_t	 i;

	for (i = 0; i < LOG_KEY_MAX && key[i] != '\0'; i++)
		name[i] = isalnum((unsigned char)key[i]) ?
		    (char)toupper((unsigned char)key[i]) : '_';
	name[i] = '\0';
	entry_str(e, JOURNAL_PREFIX);
	entry_str(e, name);
}

size_t
journal_entry(uint8_t *buf, size_t size, enum log_level level,
    const char *line, size_t len, const char *msg,
    const struct log_field *fields)
{
	static const int	 priority[] = {
		LOG_CRIT, LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG
	};
	struct entry		 e = { buf, 0, size, 0 };
	char			 text[80];
	int			 has_source = 0;

	snprintf(text, sizeof(text), "PRIORITY=%d\nSYSLOG_FACILITY=%d\n"
	    "SYSLOG_IDENTIFIER=cc-proxy\n", priority[level], LOG_DAEMON >> 3);
	entry_str(&e, text);
	entry_str(&e, "MESSAGE");
	entry_field(&e, line, len);
	entry_str(&e, JOURNAL_PREFIX "MSG");
	entry_field(&e, msg, strlen(msg));
	for (; fields != NULL && fields->key != NULL; fields++) {
		/* That is the message's name. */
		if (strcmp(fields->key, "msg") == 0)
			continue;
		if (strcmp(fields->key, "source") == 0)
			has_source = 1;
		entry_key(&e, fields->key);
		entry_field(&e, fields->value, strlen(fields->value));
	}
	if (!has_source)
		entry_str(&e, JOURNAL_PREFIX "SOURCE=proxy\n");
	return (e.full ? 0 : e.len);
}

static int
number(const char **p, uint64_t *v)
{
	char	*end;

	if (!isdigit((unsigned char)**p))
		return (-1);
	*v = strtoull(*p, &end, 10);
	*p = end;
	return (0);
}

int
journal_is(const char *stream, uint64_t dev, uint64_t ino)
{
	uint64_t	 d, i;

	if (stream == NULL || number(&stream, &d) == -1 || *stream++ != ':' ||
	    number(&stream, &i) == -1 || *stream != '\0')
		return (0);
	return (d == dev && i == ino);
}
