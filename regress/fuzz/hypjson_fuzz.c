/* SPDX-License-Identifier: ISC */

/*
 * Any payload into the adapter: what it yields from JSON is JSON, a second
 * adaptation changes nothing and leaves nothing out, and the names that the
 * engine found are those the guest gets.
 */

#include <stdlib.h>
#include <string.h>

#include "hyper.h"
#include "hypjson.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static void
check_names(uint32_t code, struct json_slice in, struct json_slice out)
{
	uint64_t	 n, n2;
	char		*c, *c2, *p, *p2;
	int		 has, has2;

	if (hyp_names(code, in, &c, &p, &has, &n) == -1 ||
	    hyp_names(code, out, &c2, &p2, &has2, &n2) == -1)
		abort();
	/* An id of the client's is kept; one that is none is not read. */
	if (c == NULL || c2 == NULL || strcmp(c, c2) != 0 || p2 == NULL ||
	    strcmp(p == NULL ? "<p>" : p, p2) != 0 ||
	    (has && n != 0 && (!has2 || n != n2)))
		abort();
	free(c);
	free(c2);
	free(p);
	free(p2);
}

static void
check_adapt(uint32_t code, unsigned int api, struct json_slice in)
{
	struct hyp_target	 t = { api, "\"c\"", "<p>" };
	struct json_slice	 out;
	char			 dropped[HYP_DROPPED_MAX], err[JSON_ERRMAX];
	char			*again, *s;
	size_t			 len;
	json_t			*j;

	if ((s = hyp_adapt(code, in, &t, &out.len, dropped, err)) == NULL)
		return;
	out.p = s;
	if (strlen(dropped) >= HYP_DROPPED_MAX || s[out.len] != '\0')
		abort();
	j = json_parse(in.p, in.len, err);
	if (!json_is_object(j)) {
		if (out.len != in.len || memcmp(s, in.p, in.len) != 0)
			abort();
	} else {
		json_decref(j);
		if ((j = json_parse(s, out.len, err)) == NULL)
			abort();
		again = hyp_adapt(code, out, &t, &len, dropped, err);
		if (again == NULL || len != out.len ||
		    memcmp(again, s, len) != 0 || dropped[0] != '\0')
			abort();
		free(again);
		if (api != HYP_API_F &&
		    (code == HYP_NEWCONTAINER || code == HYP_EXECCMD))
			check_names(code, in, out);
	}
	json_decref(j);
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned int	 apis[] = { 0, HYP_API_F, HYP_API_U };
	static const uint32_t		 codes[] = { HYP_STARTPOD,
	    HYP_EXECCMD, HYP_WINSIZE, HYP_NEWCONTAINER, HYP_KILLCONTAINER,
	    HYP_SETUPINTERFACE, HYP_SETUPROUTE, HYP_PING };
	struct json_slice		 in;
	uint64_t			 seq;
	uint8_t				 status;
	char				*c, *p;
	size_t				 i;
	int				 has;

	in.p = (const char *)data;
	in.len = size;
	for (i = 0; i < 3 * sizeof(codes) / sizeof(codes[0]); i++)
		check_adapt(codes[i / 3], apis[i % 3], in);
	if (hyp_names(HYP_EXECCMD, in, &c, &p, &has, &seq) == -1)
		abort();
	free(c);
	free(p);
	hyp_winsize_seq(in, &seq, &has);
	if (hyp_event(data, size, &c, &p, &status) == 0) {
		if (c[0] == '\0' || p[0] == '\0' ||
		    strlen(c) > HYP_NAME_MAX || strlen(p) > HYP_NAME_MAX)
			abort();
		free(c);
		free(p);
	}
	return (0);
}
