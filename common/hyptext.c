/* SPDX-License-Identifier: ISC */

/*
 * What is in the payloads of hyperstart: the meaning of values, ids and
 * sequence numbers, and the event that a process has ended.  Runs in the
 * engines, over text of untrusted clients and guests that need not be JSON.
 * Nothing recurses, and every step is linear in the text.
 */

#include <stdlib.h>
#include <string.h>

#include "hyper.h"
#include "hypjson.h"
#include "jsontext.h"

/* Behind the number at p; *zero is cleared if it is not 0. */
static const char *
hyp_skip_number(const char *p, const char *end, int *zero)
{
	int	 exponent = 0;

	for (; p < end && strchr("+-.0123456789eE", *p) != NULL &&
	    *p != '\0'; p++) {
		if (*p == 'e' || *p == 'E')
			exponent = 1;
		else if (*p >= '1' && *p <= '9' && !exponent)
			*zero = 0;
	}
	return (p);
}

/*
 * An array with elements means something whatever they are, so only objects
 * are entered, and there is nothing to remember of them.
 */
int
hyp_meaningless(struct json_slice v)
{
	const char	*end, *p, *q;
	int		 zero = 1;

	end = v.p == NULL ? NULL : v.p + v.len;
	for (p = v.p; p < end && zero; p = q) {
		q = p + 1;
		if (*p == '"') {
			q = json_skip_string(p, end);
			zero = q - p == 2;
			p = json_skip_space(q, end);
			if (p < end && *p == ':')
				zero = 1;
		} else if (*p == '[') {
			q = json_skip_space(q, end);
			zero = q < end && *q == ']';
		} else if (*p == '-' || (*p >= '0' && *p <= '9'))
			q = hyp_skip_number(p, end, &zero);
		else if (*p == 't')
			zero = 0;
	}
	return (zero);
}

int
hyp_isstring(struct json_slice v)
{
	const char	*end, *p;
	int		 u;

	if (v.p == NULL || v.len < 3 || *v.p != '"')
		return (0);
	p = v.p + 1;
	end = v.p + v.len - 1;
	if (json_unicode_escape(p, end) == 0)
		return (0);
	while (p < end) {
		if (*p != '\\') {
			p++;
			continue;
		}
		u = json_unicode_escape(p, end);
		p += u == -1 ? 2 : 6;
		if (u < 0xd800 || u > 0xdfff)
			continue;
		if (u > 0xdbff)
			return (0);
		u = json_unicode_escape(p, end);
		if (u < 0xdc00 || u > 0xdfff)
			return (0);
		p += 6;
	}
	return (1);
}

/*
 * A string, its escapes undone and malloc'd, which the caller frees: 1, or 0
 * if there is none that hyperstart has, or -1 [ENOMEM].  As there, a NUL
 * ends it.
 */
static int
hyp_string(struct json_slice object, const char *name, char **s, size_t *len)
{
	struct json_slice	 v;
	json_t			*j;
	char			 err[JSON_ERRMAX];

	*s = NULL;
	if (!json_find(object, name, &v) || !hyp_isstring(v) ||
	    (j = json_parse(v.p, v.len, err)) == NULL)
		return (0);
	if (!json_is_string(j)) {
		json_decref(j);
		return (0);
	}
	*s = strdup(json_string_value(j));
	*len = json_string_length(j);
	json_decref(j);
	return (*s == NULL ? -1 : 1);
}

int
hyp_names(uint32_t code, struct json_slice data, char **container,
    char **process, int *has_stdio, uint64_t *stdio)
{
	struct json_slice	 proc, v;
	size_t			 len;

	*process = NULL;
	*has_stdio = 0;
	*stdio = 0;
	if (hyp_string(data, code == HYP_NEWCONTAINER ? "id" : "container",
	    container, &len) == -1)
		return (-1);
	if (!json_find(data, "process", &proc))
		return (0);
	if (json_find(proc, "stdio", &v)) {
		*has_stdio = json_slice_uint(v, stdio);
		if (!*has_stdio)
			*stdio = 0;
	}
	if (hyp_string(proc, "id", process, &len) == -1) {
		free(*container);
		*container = NULL;
		return (-1);
	}
	return (0);
}

int
hyp_winsize_seq(struct json_slice data, uint64_t *seq, int *has_names)
{
	struct json_slice	 v;

	*has_names = json_find(data, "container", &v) && hyp_isstring(v) &&
	    json_find(data, "process", &v) && hyp_isstring(v);
	if (json_find(data, "seq", &v) && json_slice_uint(v, seq))
		return (1);
	*seq = 0;
	return (0);
}

/* An id in an event: not longer than allowed, and no NUL in it. */
static char *
hyp_event_name(struct json_slice event, const char *name)
{
	size_t	 len;
	char	*s;

	if (hyp_string(event, name, &s, &len) != 1)
		return (NULL);
	if (len > HYP_NAME_MAX || strlen(s) != len) {
		free(s);
		return (NULL);
	}
	return (s);
}

int
hyp_event(const uint8_t *p, size_t len, char **container, char **process,
    uint8_t *status)
{
	struct json_slice	 data = { (const char *)p, len }, v;
	json_t			*root;
	uint64_t		 n;
	char			*event, err[JSON_ERRMAX];
	int			 finished;

	*container = *process = NULL;
	if (len > HYP_EVENT_MAX ||
	    (root = json_parse(data.p, len, err)) == NULL)
		return (-1);
	json_decref(root);
	if (!json_find(data, "status", &v) || !json_slice_uint(v, &n) ||
	    n > UINT8_MAX || (event = hyp_event_name(data, "event")) == NULL)
		return (-1);
	finished = strcmp(event, "finished") == 0;
	free(event);
	if (!finished)
		return (-1);
	*container = hyp_event_name(data, "container");
	*process = hyp_event_name(data, "process");
	if (*container == NULL || *process == NULL) {
		free(*container);
		free(*process);
		*container = *process = NULL;
		return (-1);
	}
	*status = (uint8_t)n;
	return (0);
}
