/* SPDX-License-Identifier: ISC */

/*
 * One log entry as one line of text.  Runs in the parent; the text comes
 * from children, clients and guests, so whatever could end a line, leave a
 * quoted value or drive a terminal is escaped here.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "logfmt.h"

#define LOGFMT_FIELDS	20
#define LOGFMT_PAD	44	/* columns of a message on a terminal */

/* Keeps one byte for the NUL and what the caller reserves. */
struct out {
	char	*buf;
	size_t	 len;
	size_t	 room;		/* len never exceeds it */
};

struct range {
	uint32_t	 first;
	uint32_t	 last;
};

static void	 out_init(struct out *, char *, size_t, size_t);
static int	 out_add(struct out *, const char *, size_t);
static int	 out_str(struct out *, const char *);
static size_t	 utf8_rune(const unsigned char *, uint32_t *);
static int	 rune_print(uint32_t);
static size_t	 rune_escape(char *, size_t, const unsigned char *, size_t *,
		    int);
static void	 out_escaped(struct out *, const char *, int, size_t *);
static void	 out_quoted(struct out *, const char *);
static void	 out_value(struct out *, const char *);
static size_t	 merge(struct log_field *, size_t, const char *,
		    const struct log_field *);
static const char *key_prefix(const char *);
static int	 colour(enum log_level);

/*
 * What unicode.IsPrint denies: spaces other than U+0020, separators, format
 * and bidirectional controls, surrogates, private use, and what is not
 * assigned in whole blocks.  Sorted.
 */
static const struct range unprintable[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x00a0 }, { 0x00ad, 0x00ad },
	{ 0x0600, 0x0605 }, { 0x061c, 0x061c }, { 0x06dd, 0x06dd },
	{ 0x070f, 0x070f }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
	{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
	{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfdd0, 0xfdef },
	{ 0xfeff, 0xfeff }, { 0xfff0, 0xfffb }, { 0x110bd, 0x110bd },
	{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0x40000, 0xe00ff }, { 0xe01f0, 0x10ffff }
};

static void
out_init(struct out *o, char *buf, size_t size, size_t reserve)
{
	o->buf = buf;
	o->len = 0;
	o->room = size - 1 - reserve;
}

/* All of it or nothing; 0 if it did not fit. */
static int
out_add(struct out *o, const char *s, size_t len)
{
	if (len > o->room - o->len)
		return (0);
	memcpy(o->buf + o->len, s, len);
	o->len += len;
	return (1);
}

static int
out_str(struct out *o, const char *s)
{
	return (out_add(o, s, strlen(s)));
}

/* The length of the sequence at s and its rune; 0 if it is not UTF-8. */
static size_t
utf8_rune(const unsigned char *s, uint32_t *rune)
{
	uint32_t	 min, r;
	size_t		 i, n;

	if (s[0] < 0x80) {
		*rune = s[0];
		return (1);
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf) {
		n = 2;
		r = s[0] & 0x1f;
		min = 0x80;
	} else if ((s[0] & 0xf0) == 0xe0) {
		n = 3;
		r = s[0] & 0x0f;
		min = 0x800;
	} else if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		n = 4;
		r = s[0] & 0x07;
		min = 0x10000;
	} else
		return (0);
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return (0);
		r = r << 6 | (s[i] & 0x3f);
	}
	if (r < min || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
		return (0);
	*rune = r;
	return (n);
}

static int
rune_print(uint32_t r)
{
	size_t	 i;

	if (r >= 0x20 && r < 0x7f)
		return (1);
	if ((r & 0xfffe) == 0xfffe)
		return (0);
	for (i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++) {
		if (r < unprintable[i].first)
			return (1);
		if (r <= unprintable[i].last)
			return (0);
	}
	return (1);
}

/* The text for the rune at s, *used bytes long; returns its length. */
static size_t
rune_escape(char *to, size_t size, const unsigned char *s, size_t *used,
    int quoted)
{
	static const char	 from[] = "\a\b\f\n\r\t\v\\\"";
	static const char	 word[] = "abfnrtv\\\"";
	const char		*p;
	uint32_t		 rune;

	if ((*used = utf8_rune(s, &rune)) == 0) {
		*used = 1;
		return ((size_t)snprintf(to, size, "\\x%02x", s[0]));
	}
	if (rune < 0x80 && (p = strchr(from, (int)rune)) != NULL &&
	    (quoted || rune < 0x20))
		return ((size_t)snprintf(to, size, "\\%c", word[p - from]));
	if (rune_print(rune)) {
		memcpy(to, s, *used);
		return (*used);
	}
	if (rune < 0x80)
		return ((size_t)snprintf(to, size, "\\x%02x", rune));
	if (rune < 0x10000)
		return ((size_t)snprintf(to, size, "\\u%04x", rune));
	return ((size_t)snprintf(to, size, "\\U%08x", rune));
}

static void
out_escaped(struct out *o, const char *str, int quoted, size_t *runes)
{
	const unsigned char	*s = (const unsigned char *)str;
	char			 text[16];
	size_t			 len, used;

	for (*runes = 0; *s != '\0'; s += used) {
		len = rune_escape(text, sizeof(text), s, &used, quoted);
		if (!out_add(o, text, len))
			break;
		*runes += len == used ? 1 : len;
	}
}

/* However little room there is, an opened quote gets closed. */
static void
out_quoted(struct out *o, const char *s)
{
	size_t	 runes;

	if (o->room - o->len < 2)
		return;
	out_add(o, "\"", 1);
	o->room--;
	out_escaped(o, s, 1, &runes);
	o->room++;
	out_add(o, "\"", 1);
}

static void
out_value(struct out *o, const char *s)
{
	static const char	 plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/@^+";

	if (s[strspn(s, plain)] != '\0')
		out_quoted(o, s);
	else
		out_add(o, s, strnlen(s, o->room - o->len));
}

/* The entry's fields and those every line has, sorted; returns how many. */
static size_t
merge(struct log_field *to, size_t max, const char *pid,
    const struct log_field *fields)
{
	const struct log_field	 base[] = {
		{ "name", "cc-proxy" }, { "pid", pid }, { "source", "proxy" }
	};
	size_t			 i, n = sizeof(base) / sizeof(base[0]);
	int			 cmp;

	memcpy(to, base, sizeof(base));
	for (; fields != NULL && fields->key != NULL; fields++) {
		cmp = -1;
		for (i = 0; i < n; i++) {
			if ((cmp = strcmp(to[i].key, fields->key)) >= 0)
				break;
		}
		if (i < n && cmp == 0) {
			to[i] = *fields;
			continue;
		}
		if (n == max)
			break;
		memmove(&to[i + 1], &to[i], (n - i) * sizeof(*to));
		to[i] = *fields;
		n++;
	}
	return (n);
}

/* A field must not pass for one of the line's own keys. */
static const char *
key_prefix(const char *key)
{
	if (strcmp(key, "time") == 0 || strcmp(key, "level") == 0 ||
	    strcmp(key, "msg") == 0)
		return ("fields.");
	return ("");
}

void
logfmt_time(char *buf, size_t size, const struct timespec *ts)
{
	struct tm	 tm;
	char		 frac[16], off[16];
	long		 min;
	size_t		 n;

	if (localtime_r(&ts->tv_sec, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	frac[0] = '\0';
	if (ts->tv_nsec > 0 && ts->tv_nsec < 1000000000) {
		n = (size_t)snprintf(frac, sizeof(frac), ".%09ld",
		    ts->tv_nsec);
		while (frac[n - 1] == '0')
			frac[--n] = '\0';
	}
	min = tm.tm_gmtoff / 60;
	if (min == 0)
		snprintf(off, sizeof(off), "Z");
	else
		snprintf(off, sizeof(off), "%c%02ld:%02ld",
		    min < 0 ? '-' : '+', (min < 0 ? -min : min) / 60 % 100,
		    (min < 0 ? -min : min) % 60);
	snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d%s%s",
	    tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec, frac, off);
}

size_t
logfmt_line(char *buf, size_t size, const char *when, pid_t pid,
    enum log_level level, const char *msg, const struct log_field *fields)
{
	struct log_field	 all[LOGFMT_FIELDS];
	struct out		 o;
	char			 pidtext[16];
	size_t			 i, n;

	snprintf(pidtext, sizeof(pidtext), "%ld", (long)pid);
	n = merge(all, LOGFMT_FIELDS, pidtext, fields);

	out_init(&o, buf, size, 1);
	out_str(&o, "time=");
	out_quoted(&o, when);
	out_str(&o, " level=");
	out_str(&o, log_level_name(level));
	if (msg[0] != '\0' && out_str(&o, " msg="))
		out_value(&o, msg);
	for (i = 0; i < n; i++) {
		if (strlen(all[i].key) + 12 > o.room - o.len)
			break;
		out_str(&o, " ");
		out_str(&o, key_prefix(all[i].key));
		out_str(&o, all[i].key);
		out_str(&o, "=");
		out_value(&o, all[i].value);
	}
	buf[o.len++] = '\n';
	buf[o.len] = '\0';
	return (o.len);
}

static int
colour(enum log_level level)
{
	switch (level) {
	case LOGL_DEBUG:
		return (37);
	case LOGL_WARN:
		return (33);
	case LOGL_PANIC:
	case LOGL_FATAL:
	case LOGL_ERROR:
		return (31);
	case LOGL_INFO:
	default:
		return (36);
	}
}

size_t
logfmt_colour(char *buf, size_t size, unsigned int seconds, pid_t pid,
    enum log_level level, const char *msg, const struct log_field *fields)
{
	struct log_field	 all[LOGFMT_FIELDS];
	struct out		 o;
	char			 pidtext[16], text[64], word[5];
	size_t			 i, n, runes;

	snprintf(pidtext, sizeof(pidtext), "%ld", (long)pid);
	n = merge(all, LOGFMT_FIELDS, pidtext, fields);

	for (i = 0; i < 4; i++)
		word[i] = (char)(log_level_name(level)[i] & ~0x20);
	word[4] = '\0';
	snprintf(text, sizeof(text), "\033[%dm%s\033[0m[%04u] ",
	    colour(level), word, seconds);
	out_init(&o, buf, size, 1);
	out_str(&o, text);
	out_escaped(&o, msg, 0, &runes);
	for (; runes < LOGFMT_PAD; runes++)
		out_add(&o, " ", 1);
	out_add(&o, " ", 1);
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text), " \033[%dm%.32s\033[0m=",
		    colour(level), all[i].key);
		if (!out_str(&o, text))
			break;
		out_value(&o, all[i].value);
	}
	buf[o.len++] = '\n';
	buf[o.len] = '\0';
	return (o.len);
}

size_t
logfmt_quote(char *buf, size_t size, const char *s)
{
	struct out	 o;

	out_init(&o, buf, size, 0);
	out_quoted(&o, s);
	buf[o.len] = '\0';
	return (o.len);
}
