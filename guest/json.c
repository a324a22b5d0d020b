/* SPDX-License-Identifier: ISC */

/*
 * Reading the JSON of commands.  Unknown members are ignored; members match
 * exactly, else ignoring case, as the shipped agents between them do.  One
 * of them reads words, and leaves it at that: "false" is false.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

static int	json_words;

void
guest_json_words(void)
{
	json_words = 1;
}

/*
 * jansson refuses integers beyond 64 bits signed, which do occur as limits.
 * Only then are all of them taken as reals.  With used, text may follow the
 * value and *used is where.
 */
json_t *
guest_json_parse(const char *text, size_t len, size_t *used,
    char err[GUEST_ERRMAX])
{
	json_error_t	 je;
	json_t		*v;
	size_t		 flags = JSON_DECODE_ANY;

	if (used != NULL)
		flags |= JSON_DISABLE_EOF_CHECK;
	if ((v = json_loadb(text, len, flags, &je)) == NULL)
		v = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL,
		    &je);
	if (v == NULL) {
		(void)snprintf(err, GUEST_ERRMAX, "bad JSON: %s", je.text);
		return (NULL);
	}
	if (used != NULL)
		*used = (size_t)je.position;
	return (v);
}

json_t *
guest_json_get(json_t *o, const char *name)
{
	const char	*key;
	json_t		*v;

	if ((v = json_object_get(o, name)) != NULL)
		return (v);
	if (json_words == 1)
		return (NULL);
	json_object_foreach(o, key, v) {
		if (strcasecmp(key, name) == 0)
			return (v);
	}
	return (NULL);
}

const char *
guest_json_string(json_t *o, const char *name)
{
	return (json_string_value(guest_json_get(o, name)));
}

int
guest_json_int(json_t *o, const char *name, int64_t *out)
{
	json_t	*v = guest_json_get(o, name);
	double	 d;

	if (v == NULL || json_is_null(v))
		return (0);
	if (json_is_integer(v)) {
		*out = (int64_t)json_integer_value(v);
		return (1);
	}
	if (json_words == 1 && json_is_string(v)) {
		*out = strtoll(json_string_value(v), NULL, 10);
		return (1);
	}
	if (!json_is_real(v))
		return (-1);
	d = json_real_value(v);
	if (!(d >= -9223372036854775808.0 && d < 9223372036854775808.0) ||
	    d != (double)(int64_t)d)
		return (-1);
	*out = (int64_t)d;
	return (1);
}

int
guest_json_true(json_t *o, const char *name)
{
	json_t	*v = guest_json_get(o, name);

	if (json_words == 0 || v == NULL)
		return (json_is_true(v));
	return (!json_is_false(v) && (!json_is_string(v) ||
	    strcmp(json_string_value(v), "false") != 0));
}
