/* SPDX-License-Identifier: ISC */

/*
 * JSON text in and out: a syntax check with the errors of Go's encoding/json,
 * jansson behind it, and the escaping of what we write.  Runs in the
 * frontend, the engines and the tools, over text from untrusted clients and
 * guests: nothing here recurses, and every step is linear in the text.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "jsontext.h"

#define JSON_DEPTH_MAX	1024	/* below jansson's own limit */
#define JSON_VALUES_MAX	65536	/* a tree of them costs some megabytes */

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

struct json_scan {
	const char	*p;
	const char	*end;
	char		*err;
};

enum json_state {
	JSON_VALUE,		/* a value begins here */
	JSON_KEY,		/* a member's name begins here */
	JSON_AFTER		/* a value has just ended */
};

static const struct json_literal {
	const char	*word;
	const char	*expecting[5];
} json_literals[] = {
	{ "true", { NULL, "in literal true (expecting 'r')",
	    "in literal true (expecting 'u')",
	    "in literal true (expecting 'e')", NULL } },
	{ "false", { NULL, "in literal false (expecting 'a')",
	    "in literal false (expecting 'l')",
	    "in literal false (expecting 's')",
	    "in literal false (expecting 'e')" } },
	{ "null", { NULL, "in literal null (expecting 'u')",
	    "in literal null (expecting 'l')",
	    "in literal null (expecting 'l')", NULL } }
};

int
json_isspace(char c)
{
	return (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

static int
json_isdigit(char c)
{
	return (c >= '0' && c <= '9');
}

const char *
json_skip_space(const char *p, const char *end)
{
	while (p < end && json_isspace(*p))
		p++;
	return (p);
}

static int
json_hexdigit(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

int
json_unicode_escape(const char *p, const char *end)
{
	int	 d, i, v;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return (-1);
	for (i = 2, v = 0; i < 6; i++) {
		if ((d = json_hexdigit(p[i])) == -1)
			return (-1);
		v = v << 4 | d;
	}
	return (v);
}

static int
json_bad_end(struct json_scan *s)
{
	snprintf(s->err, JSON_ERRMAX, "unexpected end of JSON input");
	return (-1);
}

/* Quotes the offending byte as Go does: as if it were a Latin-1 character. */
static int
json_bad_char(struct json_scan *s, const char *where)
{
	static const char	 from[] = "\a\b\f\n\r\t\v\\'";
	static const char	 to[] = "abfnrtv\\'";
	const char		*e;
	unsigned char		 c;
	char			 q[8];

	c = (unsigned char)*s->p;
	if (c != '\0' && (e = strchr(from, c)) != NULL)
		snprintf(q, sizeof(q), "\\%c", to[e - from]);
	else if (c < 0x20 || c == 0x7f)
		snprintf(q, sizeof(q), "\\x%02x", c);
	else if (c < 0x7f)
		snprintf(q, sizeof(q), "%c", c);
	else if (c <= 0xa0 || c == 0xad)
		snprintf(q, sizeof(q), "\\u%04x", c);
	else
		snprintf(q, sizeof(q), "%c%c", 0xc0 | c >> 6, 0x80 | (c & 63));
	snprintf(s->err, JSON_ERRMAX, "invalid character '%s' %s", q, where);
	return (-1);
}

/* A string, from its opening quote to behind its closing one. */
static int
json_check_string(struct json_scan *s)
{
	int	 i;

	for (s->p++; s->p < s->end; s->p++) {
		if (*s->p == '"') {
			s->p++;
			return (0);
		}
		if ((unsigned char)*s->p < 0x20)
			return (json_bad_char(s, "in string literal"));
		if (*s->p != '\\')
			continue;
		if (++s->p == s->end)
			break;
		if (*s->p == 'u') {
			for (i = 0; i < 4; i++) {
				if (++s->p == s->end)
					return (json_bad_end(s));
				if (json_hexdigit(*s->p) == -1)
					return (json_bad_char(s, "in \\u "
					    "hexadecimal character escape"));
			}
		} else if (memchr("bfnrt\\/\"", *s->p, 8) == NULL)
			return (json_bad_char(s, "in string escape code"));
	}
	return (json_bad_end(s));
}

static int
json_check_digits(struct json_scan *s, const char *where)
{
	if (s->p == s->end)
		return (json_bad_end(s));
	if (!json_isdigit(*s->p))
		return (json_bad_char(s, where));
	while (s->p < s->end && json_isdigit(*s->p))
		s->p++;
	return (0);
}

static int
json_check_number(struct json_scan *s)
{
	if (*s->p == '-')
		s->p++;
	if (s->p < s->end && *s->p == '0')
		s->p++;
	else if (json_check_digits(s, "in numeric literal") == -1)
		return (-1);
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		if (json_check_digits(s,
		    "after decimal point in numeric literal") == -1)
			return (-1);
	}
	if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
		s->p++;
		if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
			s->p++;
		if (json_check_digits(s,
		    "in exponent of numeric literal") == -1)
			return (-1);
	}
	return (0);
}

static int
json_check_scalar(struct json_scan *s)
{
	const struct json_literal	*l;
	size_t				 i, j;

	if (*s->p == '"')
		return (json_check_string(s));
	if (*s->p == '-' || json_isdigit(*s->p))
		return (json_check_number(s));
	for (i = 0; i < nitems(json_literals); i++) {
		l = &json_literals[i];
		if (*s->p != l->word[0])
			continue;
		for (j = 1, s->p++; l->word[j] != '\0'; j++, s->p++) {
			if (s->p == s->end)
				return (json_bad_end(s));
			if (*s->p != l->word[j])
				return (json_bad_char(s, l->expecting[j]));
		}
		return (0);
	}
	return (json_bad_char(s, "looking for beginning of value"));
}

static int
json_check_key(struct json_scan *s)
{
	if (*s->p != '"')
		return (json_bad_char(s,
		    "looking for beginning of object key string"));
	if (json_check_string(s) == -1)
		return (-1);
	s->p = json_skip_space(s->p, s->end);
	if (s->p == s->end)
		return (json_bad_end(s));
	if (*s->p != ':')
		return (json_bad_char(s, "after object key"));
	s->p++;
	return (0);
}

/* 0 if text is one JSON value and white space, else -1 and a text in err. */
static int
json_check(const char *text, size_t len, char err[JSON_ERRMAX])
{
	struct json_scan	 s = { text, text, err };
	enum json_state		 state = JSON_VALUE;
	char			 closer[JSON_DEPTH_MAX];
	size_t			 depth = 0, nvalues = 0;

	if (len == 0)
		return (json_bad_end(&s));
	s.end += len;
	for (;;) {
		s.p = json_skip_space(s.p, s.end);
		if (s.p == s.end) {
			if (state == JSON_AFTER && depth == 0)
				return (0);
			return (json_bad_end(&s));
		}
		if (state == JSON_KEY) {
			if (json_check_key(&s) == -1)
				return (-1);
			state = JSON_VALUE;
		} else if (state == JSON_VALUE &&
		    ++nvalues > JSON_VALUES_MAX) {
			snprintf(err, JSON_ERRMAX, "too many values");
			return (-1);
		} else if (state == JSON_VALUE &&
		    (*s.p == '{' || *s.p == '[')) {
			if (depth == JSON_DEPTH_MAX) {
				snprintf(err, JSON_ERRMAX,
				    "exceeded max depth");
				return (-1);
			}
			closer[depth++] = *s.p == '{' ? '}' : ']';
			state = *s.p++ == '{' ? JSON_KEY : JSON_VALUE;
			s.p = json_skip_space(s.p, s.end);
			if (s.p < s.end && *s.p == closer[depth - 1])
				state = JSON_AFTER;
		} else if (state == JSON_VALUE) {
			if (json_check_scalar(&s) == -1)
				return (-1);
			state = JSON_AFTER;
		} else if (depth == 0) {
			return (json_bad_char(&s, "after top-level value"));
		} else if (*s.p == closer[depth - 1]) {
			s.p++;
			depth--;
		} else if (*s.p == ',') {
			s.p++;
			state = closer[depth - 1] == '}' ? JSON_KEY :
			    JSON_VALUE;
		} else {
			return (json_bad_char(&s, closer[depth - 1] == '}' ?
			    "after object key:value pair" :
			    "after array element"));
		}
	}
}

void
json_buf_add(struct json_buf *b, const char *p, size_t len)
{
	size_t	 cap;
	char	*n;

	if (b->failed || len == 0)
		return;
	if (len >= b->cap - b->len) {
		cap = b->cap == 0 ? 256 : b->cap;
		while (len >= cap - b->len && cap <= SIZE_MAX / 2)
			cap *= 2;
		if (len >= cap - b->len || (n = realloc(b->p, cap)) == NULL) {
			b->failed = 1;
			return;
		}
		b->p = n;
		b->cap = cap;
	}
	memcpy(b->p + b->len, p, len);
	b->len += len;
}

char *
json_buf_end(struct json_buf *b, size_t *len)
{
	json_buf_add(b, "", 1);
	if (b->failed) {
		free(b->p);
		return (NULL);
	}
	if (len != NULL)
		*len = b->len - 1;
	return (b->p);
}

/* The length of the UTF-8 sequence at text, 0 if it is not a valid one. */
static size_t
json_utf8(const char *text, const char *end)
{
	const unsigned char	*p = (const unsigned char *)text;
	size_t			 i, n;

	if (p[0] < 0x80)
		return (1);
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return (0);
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - text) < n)
		return (0);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return (0);
	}
	/* Overlong forms, surrogates, and what is above U+10FFFF. */
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return (0);
	return (n);
}

const char *
json_skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++) {
		if (*p == '\\' && ++p == end)
			break;
	}
	return (p < end ? p + 1 : end);
}

/*
 * One string for jansson, which takes neither invalid UTF-8 nor lone
 * surrogates, nor a NUL in the name of a member.
 */
static void
json_clean_string(struct json_buf *b, const char *p, const char *end,
    int iskey)
{
	size_t	 n;
	int	 u;

	while (p < end) {
		if (*p != '\\') {
			n = json_utf8(p, end);
			json_buf_add(b, n == 0 ? "\xef\xbf\xbd" : p,
			    n == 0 ? 3 : n);
			p += n == 0 ? 1 : n;
			continue;
		}
		u = json_unicode_escape(p, end);
		n = u == -1 ? 2 : 6;
		if (u >= 0xd800 && u <= 0xdbff) {
			u = json_unicode_escape(p + 6, end);
			if (u >= 0xdc00 && u <= 0xdfff)
				n = 12;
			else
				u = 0xdc00;
		}
		if (n == 6 && ((u >= 0xdc00 && u <= 0xdfff) ||
		    (u == 0 && iskey)))
			json_buf_add(b, "\\ufffd", 6);
		else
			json_buf_add(b, p, n);
		p += n;
	}
}

/* A copy of text that json_check() took, fit for jansson. */
static char *
json_clean(const char *text, size_t len, size_t *outlen)
{
	struct json_buf	 b = { NULL, 0, 0, 0 };
	const char	*p, *q, *next, *end;

	end = text + len;
	for (p = text; p < end; p = next) {
		if ((q = memchr(p, '"', (size_t)(end - p))) == NULL)
			q = end;
		json_buf_add(&b, p, (size_t)(q - p));
		if (q == end)
			break;
		next = json_skip_string(q, end);
		p = json_skip_space(next, end);
		json_clean_string(&b, q, next, p < end && *p == ':');
	}
	return (json_buf_end(&b, outlen));
}

json_t *
json_parse(const char *text, size_t len, char err[JSON_ERRMAX])
{
	json_error_t	 error;
	json_t		*root;
	size_t		 n;
	char		*copy;

	if (json_check(text, len, err) == -1)
		return (NULL);
	if ((copy = json_clean(text, len, &n)) == NULL) {
		snprintf(err, JSON_ERRMAX, "out of memory");
		return (NULL);
	}
	root = json_loadb(copy, n, JSON_DECODE_INT_AS_REAL |
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	free(copy);
	if (root == NULL) {
		if (json_error_code(&error) == json_error_numeric_overflow)
			snprintf(err, JSON_ERRMAX, "json: number out of range");
		else
			snprintf(err, JSON_ERRMAX, "json: %.160s", error.text);
	}
	return (root);
}

/* The escape for a sequence of n bytes at p, or NULL if it stays as it is. */
static const char *
json_escaped(const char *p, size_t n, char buf[8])
{
	static const char	 from[] = "\"\\\n\r\t";
	static const char	 to[] = "\"\\nrt";
	const char		*e;

	if (n == 0)
		return ("\\ufffd");
	if (n == 3 && memcmp(p, "\xe2\x80\xa8", 3) == 0)
		return ("\\u2028");
	if (n == 3 && memcmp(p, "\xe2\x80\xa9", 3) == 0)
		return ("\\u2029");
	if (n != 1)
		return (NULL);
	if (*p != '\0' && (e = strchr(from, *p)) != NULL)
		snprintf(buf, 8, "\\%c", to[e - from]);
	else if ((unsigned char)*p < 0x20 || *p == '<' || *p == '>' ||
	    *p == '&')
		snprintf(buf, 8, "\\u%04x", (unsigned int)*p);
	else
		return (NULL);
	return (buf);
}

char *
json_escape(const char *text, size_t len, size_t *outlen)
{
	struct json_buf	 b = { NULL, 0, 0, 0 };
	const char	*e, *end, *from, *p;
	char		 buf[8];
	size_t		 n;

	if (len == 0)
		text = "";
	end = text + len;
	for (from = p = text; p < end; p += n == 0 ? 1 : n) {
		n = json_utf8(p, end);
		if ((e = json_escaped(p, n, buf)) == NULL)
			continue;
		json_buf_add(&b, from, (size_t)(p - from));
		json_buf_add(&b, e, strlen(e));
		from = p + (n == 0 ? 1 : n);
	}
	json_buf_add(&b, from, (size_t)(end - from));
	return (json_buf_end(&b, outlen));
}
