/* SPDX-License-Identifier: ISC */

/*
 * What json.c, jsonedit.c, hypjson.c and request.c share; no other file
 * needs it.
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

enum json_match {
	JSON_NOMATCH,
	JSON_SIMILAR,		/* but for the case of letters */
	JSON_EXACT
};

/* The key of a member, its escapes undone, and a name in ASCII. */
enum json_match json_key_match(struct json_slice key, const char *name);

/*
 * The members of an object one by one, or the elements of an array, in text
 * that json_parse() has accepted; in any other they end early, within it.
 */
struct json_members {
	struct json_slice	 key;	/* between the quotes */
	struct json_slice	 value;
	struct json_slice	 whole;	/* from the comma to the next one */
	const char		*next;	/* behind the last: the bracket */
	const char		*end;
};

/* Begin with the first; -1 if the text is not an object, or not an array. */
int	 json_members(struct json_members *, struct json_slice object);
int	 json_elements(struct json_members *, struct json_slice array);

/* Fill the slices from the next one: 1, or 0 if there is none. */
int	 json_member(struct json_members *);
int	 json_element(struct json_members *);

/* 1 and *v if the slice is digits alone and in range, else 0. */
int	 json_slice_uint(struct json_slice, uint64_t *v);

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
