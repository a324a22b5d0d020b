/* SPDX-License-Identifier: ISC */

/*
 * JSON text: extents of values in source text that jansson has accepted,
 * escaping, and the edit that puts sequence numbers into newcontainer and
 * execcmd.  Text is edited, never re-encoded, so unknown members and 64-bit
 * integers survive exactly.  Pure: no I/O, no log, no globals.
 *
 * Sources: cc-proxy-protocol(7); jansson's json_loadb().
 */

#ifndef CCP_JSON_H
#define CCP_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define JSON_ERRMAX	256	/* size of an error text, NUL included */

/* A piece of somebody else's text; never NUL terminated. */
struct json_slice {
	const char	*p;	/* NULL: no such value */
	size_t		 len;
};

/*
 * Parse a whole payload.  Returns a new reference, or NULL with a text in
 * err in the manner of Go's encoding/json ("unexpected end of JSON input",
 * "invalid character 'x' looking for beginning of value", ...).
 * All numbers arrive as reals (so that integers beyond 64 bits are accepted);
 * exact integers are taken from the source text with json_slice_int().
 * Invalid UTF-8 and lone surrogates count as U+FFFD.
 */
json_t	*json_parse(const char *text, size_t len, char err[JSON_ERRMAX]);

/*
 * The extent of member `name` of the object that starts text; text must
 * have been accepted by json_parse().  The name matches exactly first, else
 * ignoring ASCII case; of several the last wins.  Returns 1 if found, else 0.
 */
int	 json_find(struct json_slice object, const char *name,
	    struct json_slice *value);

/* 1 and *v if the slice is an integral literal in int64 range, else 0. */
int	 json_slice_int(struct json_slice, int64_t *v);

/*
 * Append text to a JSON string under construction, escaped as Go's encoder
 * does (< > & as \u003c \u003e \u0026, invalid UTF-8 as \ufffd), without
 * the quotes.  Returns a malloc'd NUL-terminated string the caller frees,
 * or NULL [ENOMEM]; *outlen may be NULL.
 */
char	*json_escape(const char *text, size_t len, size_t *outlen);

/*
 * Put process.stdio = stdio and, unless process.terminal is true,
 * process.stderr = stdio + 1 into data, the source text of a newcontainer
 * or execcmd payload (p NULL: absent).  Every other byte is kept.  Members
 * named process, stdio or stderr in any case are found, all of them; one
 * that pre-sets a sequence number is refused.  A missing process is an
 * error if need_process, else one is made.
 * On success returns a malloc'd text (length in *outlen, NUL terminated)
 * that the caller frees; on failure NULL and a text in err.
 */
char	*json_set_stdio(struct json_slice data, uint64_t stdio,
	    int need_process, size_t *outlen, char err[JSON_ERRMAX]);

#endif /* CCP_JSON_H */
