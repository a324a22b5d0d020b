/* SPDX-License-Identifier: ISC */

/*
 * Members of a JSON payload, decoded one by one with the errors Go's
 * encoding/json would give.  The text is a client's.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jsontext.h"
#include "reqfield.h"

#define REQF_NAME_MAX	64	/* "AttachVM.numIOStreams" and NUL */

int
reqf_nomem(struct reqf *in)
{
	snprintf(in->err, JSON_ERRMAX, "out of memory");
	return (-1);
}

int
reqf_type_error(struct reqf *in, struct json_slice value, const char *name,
    const char *type)
{
	char	 field[REQF_NAME_MAX];

	snprintf(field, sizeof(field), "%s.%s", in->type, name);
	json_type_error(value, field, type, in->err);
	return (-1);
}

int
reqf_open(struct reqf *in, const char *type, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	char		 gotype[REQF_NAME_MAX];
	json_t		*root;
	int		 isobject, isnull;

	in->type = type;
	in->err = err;
	in->object.p = NULL;
	in->object.len = 0;
	if ((root = json_parse(text, len, err)) == NULL)
		return (-1);
	isobject = json_is_object(root);
	isnull = json_is_null(root);
	json_decref(root);
	if (isnull)
		return (0);
	in->object.p = json_skip_space(text, text + len);
	in->object.len = len - (size_t)(in->object.p - text);
	if (isobject)
		return (0);
	snprintf(gotype, sizeof(gotype), "api.%s", type);
	json_type_error(in->object, NULL, gotype, err);
	return (-1);
}

/* A copy of the string, malloc'd, in *out. */
int
reqf_copy(struct reqf *in, const json_t *string, const char *name,
    char **out)
{
	const char	*s;

	s = json_string_value(string);
	if (strlen(s) != json_string_length(string)) {
		snprintf(in->err, JSON_ERRMAX, "json: NUL in a string of Go "
		    "struct field %s.%s", in->type, name);
		return (-1);
	}
	if ((*out = strdup(s)) == NULL)
		return (reqf_nomem(in));
	return (0);
}

int
reqf_string(struct reqf *in, const char *name, char **out)
{
	struct json_slice	 value;
	json_t			*string;
	int			 rv;

	if (!json_find_set(in->object, name, &value)) {
		if ((*out = strdup("")) == NULL)
			return (reqf_nomem(in));
		return (0);
	}
	if (*value.p != '"')
		return (reqf_type_error(in, value, name, "string"));
	if ((string = json_parse(value.p, value.len, in->err)) == NULL)
		return (-1);
	rv = reqf_copy(in, string, name, out);
	json_decref(string);
	return (rv);
}

int
reqf_int(struct reqf *in, const char *name, int64_t *out)
{
	struct json_slice	 value;

	*out = 0;
	if (!json_find_set(in->object, name, &value))
		return (0);
	if (!json_slice_int(value, out))
		return (reqf_type_error(in, value, name, "int"));
	return (0);
}
