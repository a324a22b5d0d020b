/* SPDX-License-Identifier: ISC */

/*
 * Members of a JSON payload, for request.c and rpc1.c.  Pure.  All return 0,
 * or -1 with a text in the err that reqf_open() was given.
 */

#ifndef CCP_REQFIELD_H
#define CCP_REQFIELD_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "jsontext.h"

/* A payload being decoded; type is the name Go has for it. */
struct reqf {
	struct json_slice	 object;	/* p NULL: the text was null */
	const char		*type;
	char			*err;
};

/* The whole text: an object, or null. */
int	 reqf_open(struct reqf *, const char *type, const char *text,
	    size_t len, char err[JSON_ERRMAX]);

/* A string, malloc'd, "" if absent; an integer, 0 if absent. */
int	 reqf_string(struct reqf *, const char *name, char **out);
int	 reqf_int(struct reqf *, const char *name, int64_t *out);

/* A copy of a string value that is no member's, malloc'd. */
int	 reqf_copy(struct reqf *, const json_t *string, const char *name,
	    char **out);

/* These always fail. */
int	 reqf_nomem(struct reqf *);
int	 reqf_type_error(struct reqf *, struct json_slice value,
	    const char *name, const char *type);

#endif /* CCP_REQFIELD_H */
