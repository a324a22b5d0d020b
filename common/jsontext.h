/* SPDX-License-Identifier: ISC */

/*
 * What json.c, jsonedit.c and request.c share; no other file needs it.
 * Pure: no I/O, no log, no globals.
 */

#ifndef CCP_JSONTEXT_H
#define CCP_JSONTEXT_H

#include <stddef.h>

#include "json.h"

/* Text under construction; all zeroes is an empty one. */
struct json_buf {
	char		*p;
	size_t		 len;
	size_t		 cap;
	int		 failed;	/* ENOMEM; later calls do nothing */
};

void	 json_buf_add(struct json_buf *, const char *, size_t);

/*
 * The text, NUL terminated, which the caller frees; NULL [ENOMEM] if any
 * json_buf_add() failed.  Either way the buffer is spent.
 */
char	*json_buf_end(struct json_buf *, size_t *len);

int	 json_isspace(char);
const char *json_skip_space(const char *p, const char *end);

/* Behind the closing quote of the string whose opening quote is at p. */
const char *json_skip_string(const char *p, const char *end);

/* The value of the escape \uXXXX at p, or -1 if there is none. */
int	 json_unicode_escape(const char *p, const char *end);

/* As json_find(), but members that are null do not count. */
int	 json_find_set(struct json_slice object, const char *name,
	    struct json_slice *value);

/*
 * Go's text for a value of the wrong type, into err: "json: cannot unmarshal
 * bool into Go struct field <field> of type <type>"; field NULL: "... into
 * Go value of type <type>".  The value must not be empty.
 */
void	 json_type_error(struct json_slice value, const char *field,
	    const char *type, char err[JSON_ERRMAX]);

#endif /* CCP_JSONTEXT_H */
