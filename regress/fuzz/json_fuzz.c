/* SPDX-License-Identifier: ISC */

/*
 * Any text into the JSON parser and the edit of sequence numbers: what the
 * edit yields must parse and carry the number, in every process.
 */

#include <stdlib.h>

#include "json.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_slice	 in = { (const char *)data, size }, out, v;
	char			 err[JSON_ERRMAX], *s;
	int64_t			 n;
	json_t			*j;

	json_decref(json_parse(in.p, in.len, err));
	json_find(in, "process", &v);
	if ((s = json_set_stdio(in, 3, size & 1, &out.len, err)) != NULL) {
		out.p = s;
		if ((j = json_parse(out.p, out.len, err)) == NULL ||
		    !json_find(out, "process", &v) ||
		    !json_find(v, "stdio", &v) ||
		    !json_slice_int(v, &n) || n != 3)
			abort();
		json_decref(j);
		free(s);
	}
	s = json_escape(in.p, in.len, &out.len);
	if (s == NULL)
		abort();
	free(s);
	return (0);
}
