/* SPDX-License-Identifier: ISC */

/*
 * The extents of members in JSON source text, and the edit that puts
 * sequence numbers into a command for the agent.  Runs in the frontend and
 * the engines over text that an untrusted client wrote; json_parse() has
 * accepted it, but nothing here reads out of bounds on any other text.
 * Nothing recurses, and every step is linear in the text.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "jsontext.h"

#define JSON_SHOWN	64	/* characters of a number in an error */
#define JSON_FOLDED	0x100	/* with a letter: it was not ASCII */

/* What json_set_stdio() finds out before it edits. */
struct json_edit {
	uint64_t	 preset_stdio;
	uint64_t	 preset_stderr;
	size_t		 nmembers;	/* of data */
	size_t		 nprocess;	/* members named process */
	size_t		 nobjects;	/* of these, objects */
	int		 terminal;
	char		*err;
	char		 text[64];	/* the members to put in */
};

/* Behind the value at p; counts brackets, so it never recurses. */
static const char *
json_skip_value(const char *p, const char *end)
{
	size_t	 depth = 0;

	while (p < end) {
		if (*p == '"')
			p = json_skip_string(p, end);
		else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if ((*p == '}' || *p == ']') && depth > 0) {
			depth--;
			p++;
		} else if (depth > 0) {
			p++;
			continue;
		} else {
			while (p < end && !json_isspace(*p) && *p != ',' &&
			    *p != '}' && *p != ']')
				p++;
		}
		if (depth == 0)
			break;
	}
	return (p);
}

static int
json_enter(struct json_members *m, struct json_slice text, char opener)
{
	memset(m, 0, sizeof(*m));
	if (text.p == NULL)
		return (-1);
	m->end = text.p + text.len;
	m->next = json_skip_space(text.p, m->end);
	if (m->next == m->end || *m->next != opener)
		return (-1);
	m->next++;
	return (0);
}

int
json_members(struct json_members *m, struct json_slice object)
{
	return (json_enter(m, object, '{'));
}

int
json_elements(struct json_members *m, struct json_slice array)
{
	return (json_enter(m, array, '['));
}

/* The value at p, which ends what begins at start. */
static int
json_take(struct json_members *m, const char *start, const char *p)
{
	const char	*q;

	q = json_skip_value(p, m->end);
	m->value.p = p;
	m->value.len = (size_t)(q - p);
	q = json_skip_space(q, m->end);
	m->whole.p = start;
	m->whole.len = (size_t)(q - start);
	m->next = q < m->end && *q == ',' ? q + 1 : q;
	return (1);
}

int
json_member(struct json_members *m)
{
	const char	*p, *q, *start;

	start = m->next;
	p = json_skip_space(start, m->end);
	if (p == m->end || *p != '"')
		return (0);
	q = json_skip_string(p, m->end);
	m->key.p = p + 1;
	m->key.len = q - p < 2 ? 0 : (size_t)(q - p - 2);
	p = json_skip_space(q, m->end);
	if (p == m->end || *p != ':')
		return (0);
	return (json_take(m, start, json_skip_space(p + 1, m->end)));
}

int
json_element(struct json_members *m)
{
	const char	*p;

	p = json_skip_space(m->next, m->end);
	if (p == m->end || *p == ']' || *p == '}' || *p == ',')
		return (0);
	return (json_take(m, m->next, p));
}

/*
 * The next character of a name, its escapes undone; -1 for one that cannot
 * be part of any name we know.  Go's decoder, which agents use, folds two
 * characters outside ASCII onto letters: long s and the Kelvin sign.
 */
static int
json_key_char(const char **p, const char *end)
{
	static const char	 from[] = "\"\\/bfnrt";
	static const char	 to[] = "\"\\/\b\f\n\r\t";
	const char		*e;
	int			 u;

	if (**p == '\\') {
		if ((u = json_unicode_escape(*p, end)) != -1)
			*p += 6;
		else {
			e = end - *p < 2 || (*p)[1] == '\0' ? NULL :
			    strchr(from, (*p)[1]);
			u = e == NULL ? -1 : to[e - from];
			*p += 2;
		}
	} else if (end - *p >= 2 && memcmp(*p, "\xc5\xbf", 2) == 0) {
		u = 0x17f;
		*p += 2;
	} else if (end - *p >= 3 && memcmp(*p, "\xe2\x84\xaa", 3) == 0) {
		u = 0x212a;
		*p += 3;
	} else
		u = (unsigned char)*(*p)++;
	if (u == 0x17f)
		return ('s' | JSON_FOLDED);
	if (u == 0x212a)
		return ('k' | JSON_FOLDED);
	return (u > 0x7f ? -1 : u);
}

enum json_match
json_key_match(struct json_slice key, const char *name)
{
	const char	*p, *end;
	int		 c, exact = 1;

	end = key.p + key.len;
	for (p = key.p; p < end && *name != '\0'; name++) {
		if ((c = json_key_char(&p, end)) == *name)
			continue;
		exact = 0;
		if (c == -1)
			return (JSON_NOMATCH);
		c &= ~JSON_FOLDED;
		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		if (c != (*name >= 'A' && *name <= 'Z' ?
		    *name + ('a' - 'A') : *name))
			return (JSON_NOMATCH);
	}
	if (p < end || *name != '\0')
		return (JSON_NOMATCH);
	return (exact ? JSON_EXACT : JSON_SIMILAR);
}

/* 1 if some agent may take the key for name; in C, \u0000 ends a string. */
static int
json_key_names(struct json_slice key, const char *name)
{
	const char	*p, *end;

	end = key.p + key.len;
	for (p = key.p; p < end; p += *p == '\\' ? 2 : 1) {
		if (json_unicode_escape(p, end) == 0) {
			key.len = (size_t)(p - key.p);
			break;
		}
	}
	return (json_key_match(key, name) != JSON_NOMATCH);
}

static int
json_isnull(struct json_slice value)
{
	return (value.len > 0 && *value.p == 'n');
}

static int
json_lookup(struct json_slice object, const char *name, int nulls,
    struct json_slice *value)
{
	struct json_members	 m;
	enum json_match		 match, best = JSON_NOMATCH;

	if (json_members(&m, object) == -1)
		return (0);
	while (json_member(&m)) {
		if (!nulls && json_isnull(m.value))
			continue;
		match = json_key_match(m.key, name);
		if (match == JSON_NOMATCH || match < best)
			continue;
		best = match;
		*value = m.value;
	}
	return (best != JSON_NOMATCH);
}

int
json_find(struct json_slice object, const char *name,
    struct json_slice *value)
{
	return (json_lookup(object, name, 1, value));
}

int
json_find_set(struct json_slice object, const char *name,
    struct json_slice *value)
{
	return (json_lookup(object, name, 0, value));
}

int
json_slice_uint(struct json_slice s, uint64_t *v)
{
	size_t	 i;

	*v = 0;
	for (i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return (0);
		if (__builtin_mul_overflow(*v, 10, v) ||
		    __builtin_add_overflow(*v, (uint64_t)(s.p[i] - '0'), v))
			return (0);
	}
	return (s.len > 0);
}

int
json_slice_int(struct json_slice s, int64_t *v)
{
	uint64_t	 u;
	int		 negative;

	negative = s.len > 0 && *s.p == '-';
	if (negative) {
		s.p++;
		s.len--;
	}
	if (!json_slice_uint(s, &u) || u > (uint64_t)INT64_MAX + negative)
		return (0);
	*v = negative ? (int64_t)(0 - u) : (int64_t)u;
	return (1);
}

void
json_type_error(struct json_slice value, const char *field, const char *type,
    char err[JSON_ERRMAX])
{
	char		 number[sizeof("number ") + JSON_SHOWN];
	const char	*what;

	switch (*value.p) {
	case '"':
		what = "string";
		break;
	case '{':
		what = "object";
		break;
	case '[':
		what = "array";
		break;
	case 't':
	case 'f':
		what = "bool";
		break;
	case 'n':
		what = "null";
		break;
	default:
		what = "number";
		/* Go shows a number only to those who asked for one. */
		if (strcmp(type, "int") == 0 || strcmp(type, "uint64") == 0) {
			snprintf(number, sizeof(number), "number %.*s",
			    value.len < JSON_SHOWN ? (int)value.len :
			    JSON_SHOWN, value.p);
			what = number;
		}
		break;
	}
	if (field == NULL)
		snprintf(err, JSON_ERRMAX, "json: cannot unmarshal %s into "
		    "Go value of type %s", what, type);
	else
		snprintf(err, JSON_ERRMAX, "json: cannot unmarshal %s into "
		    "Go struct field %s of type %s", what, field, type);
}

/* Keep the first number that is not 0: the client may not choose one. */
static int
json_preset(struct json_edit *e, struct json_slice value, const char *field,
    uint64_t *preset)
{
	uint64_t	 v;

	if (json_isnull(value))
		return (0);
	if (!json_slice_uint(value, &v)) {
		json_type_error(value, field, "uint64", e->err);
		return (-1);
	}
	if (*preset == 0)
		*preset = v;
	return (0);
}

static int
json_survey_process(struct json_edit *e, struct json_slice process)
{
	struct json_members	 m;

	if (json_members(&m, process) == -1)
		return (0);
	while (json_member(&m)) {
		if (json_key_names(m.key, "stdio")) {
			if (json_preset(e, m.value, "Process.stdio",
			    &e->preset_stdio) == -1)
				return (-1);
		} else if (json_key_names(m.key, "stderr")) {
			if (json_preset(e, m.value, "Process.stderr",
			    &e->preset_stderr) == -1)
				return (-1);
		} else if (json_key_names(m.key, "terminal")) {
			if (json_isnull(m.value))
				continue;
			if (*m.value.p != 't' && *m.value.p != 'f') {
				json_type_error(m.value, "Process.terminal",
				    "bool", e->err);
				return (-1);
			}
			e->terminal = *m.value.p == 't';
		}
	}
	return (0);
}

/* Judge data and all its members named process; nothing is edited yet. */
static int
json_survey(struct json_edit *e, struct json_slice data, int need_process)
{
	struct json_members	 m;
	struct json_slice	 value;
	size_t			 named;

	if (json_members(&m, data) == -1) {
		value.p = m.next;
		value.len = (size_t)(m.end - m.next);
		if (!json_isnull(value)) {
			json_type_error(value, NULL, need_process ?
			    "hyperstart.NewContainer" :
			    "hyperstart.ExecCommand", e->err);
			return (-1);
		}
	}
	while (json_member(&m)) {
		e->nmembers++;
		if (!json_key_names(m.key, "process"))
			continue;
		named = json_key_match(m.key, "process") != JSON_NOMATCH;
		e->nprocess += named;
		if (json_isnull(m.value))
			continue;
		if (*m.value.p != '{') {
			json_type_error(m.value, need_process ?
			    "NewContainer.process" : "ExecCommand.process",
			    "hyperstart.Process", e->err);
			return (-1);
		}
		e->nobjects += named;
		if (json_survey_process(e, m.value) == -1)
			return (-1);
	}
	if (e->preset_stdio != 0)
		snprintf(e->err, JSON_ERRMAX, "expected process.Stdio to be "
		    "0, got %" PRIu64, e->preset_stdio);
	else if (e->preset_stderr != 0)
		snprintf(e->err, JSON_ERRMAX, "expected process.Stderr to be "
		    "0, got %" PRIu64, e->preset_stderr);
	else if (need_process && e->nobjects == 0)
		snprintf(e->err, JSON_ERRMAX, "newcontainer needs a process");
	else
		return (0);
	return (-1);
}

/*
 * One process: ours first, then its members but for those that ours
 * replace.  None may stay: agents differ in which of several they believe.
 */
static void
json_edit_process(struct json_buf *b, const struct json_edit *e,
    struct json_slice process)
{
	struct json_members	 m;

	json_buf_add(b, "{", 1);
	json_buf_add(b, e->text, strlen(e->text));
	if (json_members(&m, process) == -1) {
		json_buf_add(b, "}", 1);
		return;
	}
	while (json_member(&m)) {
		if (json_key_names(m.key, "stdio") ||
		    json_key_names(m.key, "stderr"))
			continue;
		json_buf_add(b, ",", 1);
		json_buf_add(b, m.whole.p, m.whole.len);
	}
	json_buf_add(b, m.next, (size_t)(m.end - m.next));
}

static void
json_edit_data(struct json_buf *b, const struct json_edit *e,
    struct json_slice data)
{
	static const struct json_slice	 none = { NULL, 0 };
	struct json_members		 m;
	const char			*from = data.p;

	if (json_members(&m, data) == -1) {
		json_buf_add(b, "{\"process\":", 11);
		json_edit_process(b, e, none);
		json_buf_add(b, "}", 1);
		return;
	}
	if (e->nprocess == 0) {
		json_buf_add(b, from, (size_t)(m.next - from));
		json_buf_add(b, "\"process\":", 10);
		json_edit_process(b, e, none);
		if (e->nmembers > 0)
			json_buf_add(b, ",", 1);
		from = m.next;
	}
	while (json_member(&m)) {
		if (!json_key_names(m.key, "process"))
			continue;
		json_buf_add(b, from, (size_t)(m.value.p - from));
		json_edit_process(b, e, m.value);
		from = m.value.p + m.value.len;
	}
	json_buf_add(b, from, (size_t)(m.end - from));
}

char *
json_set_stdio(struct json_slice data, uint64_t stdio, int need_process,
    size_t *outlen, char err[JSON_ERRMAX])
{
	struct json_edit	 e;
	struct json_buf		 b = { NULL, 0, 0, 0 };
	json_t			*root;
	char			*out;

	if (data.p == NULL) {
		data.p = "";
		data.len = 0;
	}
	if ((root = json_parse(data.p, data.len, err)) == NULL)
		return (NULL);
	json_decref(root);

	memset(&e, 0, sizeof(e));
	e.err = err;
	if (json_survey(&e, data, need_process) == -1)
		return (NULL);
	if (e.terminal)
		snprintf(e.text, sizeof(e.text), "\"stdio\":%" PRIu64, stdio);
	else
		snprintf(e.text, sizeof(e.text), "\"stdio\":%" PRIu64
		    ",\"stderr\":%" PRIu64, stdio, stdio + 1);
	json_edit_data(&b, &e, data);
	if ((out = json_buf_end(&b, outlen)) == NULL)
		snprintf(err, JSON_ERRMAX, "out of memory");
	return (out);
}
