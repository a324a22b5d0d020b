/* SPDX-License-Identifier: ISC */

/*
 * What each version of hyperstart makes of the JSON of a command, as the
 * agent plays them: taken, refused, or the agent's end; and what is left of
 * an object that is not read to its end.
 */

#include <stdint.h>
#include <string.h>

#include "guest.h"
#include "hyper.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define TAKEN		'.'
#define REFUSED		'-'
#define DIES		'!'

#define P42	"{\"stdio\":3,\"stderr\":4,\"args\":[\"a\"]}"
#define P44	"{\"id\":\"i\",\"stdio\":3,\"stderr\":4,\"args\":[\"a\"]}"
#define C(more)	"{\"id\":\"c\",\"rootfs\":\"\",\"image\":\"\"" more "}"

static const struct {
	const char	*text;
	uint32_t	 code;
	const char	*want;	/* of 4242, of 4244 */
} verdicts[] = {
	{ C(",\"process\":" P42), HYP_NEWCONTAINER, ".!" },
	{ C(",\"process\":" P44), HYP_NEWCONTAINER, ".." },
	/* id ends the reading of the one, and something follows. */
	{ C(",\"process\":" P44 ",\"addr\":\"\""), HYP_NEWCONTAINER, "-." },
	{ C(",\"addr\":\"\",\"process\":" P44), HYP_NEWCONTAINER, ".." },
	{ C(""), HYP_NEWCONTAINER, "!!" },
	{ "{\"rootfs\":\"\",\"image\":\"\",\"process\":" P42 "}",
	    HYP_NEWCONTAINER, "-!" },
	{ "{\"id\":\"c\",\"image\":\"\",\"process\":" P44 "}",
	    HYP_NEWCONTAINER, "--" },
	{ "[]", HYP_NEWCONTAINER, "--" },
	{ "null", HYP_NEWCONTAINER, "-!" },
	{ C(",\"process\":[]"), HYP_NEWCONTAINER, "--" },
	{ C(",\"readOnly\":false,\"process\":" P44), HYP_NEWCONTAINER, "-." },
	{ C(",\"ports\":[],\"process\":" P44), HYP_NEWCONTAINER, "--" },
	{ C(",\"process\":" P44 ",\"ports\":[]"), HYP_NEWCONTAINER, "-." },
	{ C(",\"volumes\":[{\"mount\":\"/\"}],\"process\":" P44),
	    HYP_NEWCONTAINER, "!!" },
	{ "{\"container\":\"c\",\"process\":" P42 "}", HYP_EXECCMD, ".!" },
	{ "{\"container\":\"c\",\"process\":" P44 ",\"x\":1}", HYP_EXECCMD,
	    ".." },
	{ "{\"process\":" P44 "}", HYP_EXECCMD, "!!" },
	{ "{\"container\":\"c\",\"process\":{\"args\":[],\"id\":\"i\"}}",
	    HYP_EXECCMD, ".!" },
	{ "{\"container\":\"c\",\"process\":{\"id\":\"i\",\"envs\":"
	    "[{\"env\":\"A\"}]}}", HYP_EXECCMD, ".!" },
	{ "{\"hostname\":\"h\"}", HYP_STARTPOD, ".." },
	{ "{\"hostname\":1}", HYP_STARTPOD, "!!" },
	{ "null", HYP_STARTPOD, "!!" },
	{ "{\"hostname\":\"h\",\"iptableRules\":\"\"}", HYP_STARTPOD, ".-" },
	{ "{\"hostname\":\"h\",\"dnsSearch\":[]}", HYP_STARTPOD, "-." },
	/* One container that ends early does no harm to the next. */
	{ "{\"hostname\":\"h\",\"containers\":[" C(",\"process\":" P44) ","
	    "{\"process\":" P42 ",\"id\":\"d\",\"rootfs\":\"\","
	    "\"image\":\"\"}]}", HYP_STARTPOD, ".!" },
	{ "{\"routes\":[]}", HYP_SETUPROUTE, ".." },
	{ "{}", HYP_SETUPROUTE, "!." },
	{ "null", HYP_SETUPROUTE, "!." },
	{ "{\"device\":\"e\"}", HYP_SETUPINTERFACE, "-." },
	{ "{\"device\":\"e\",\"ipAddress\":\"1.1.1.1\"}", HYP_SETUPINTERFACE,
	    "!!" },
	{ "{\"container\":\"c\",\"file\":\"f\"}", HYP_READFILE, ".." },
	{ "{\"container\":\"c\"}", HYP_READFILE, "--" },
	{ "{\"what\":\"ever\"}", HYP_KILLCONTAINER, ".." }
};

static char
verdict(enum guest_api api, uint32_t code, json_t *v)
{
	struct guest_accept	a;

	if (guest_accept(api, code, v, &a) == 0)
		return (TAKEN);
	if (a.a_text == NULL || *a.a_text == '\0')
		return ('?');
	return (a.a_dies == 1 ? DIES : REFUSED);
}

static void
test_verdicts(void)
{
	json_t	*v;
	size_t	 i;
	int	 k;

	test_begin("taken, refused, or the end, by version");
	for (i = 0; i < nitems(verdicts); i++)
		for (k = 0; k < 2; k++) {
			v = json_loads(verdicts[i].text, JSON_DECODE_ANY,
			    NULL);
			CHECK(v != NULL);
			if (verdict(k == 0 ? API_4242 : API_4244,
			    verdicts[i].code, v) != verdicts[i].want[k]) {
				fprintf(stderr, "%s (%d)\n",
				    verdicts[i].text, k);
				CHECK(0);
			}
			CHECK(verdict(API_ANY, verdicts[i].code, v) == TAKEN);
			json_decref(v);
		}
}

static void
test_cut(void)
{
	static const char	text[] = "{\"container\":\"c\",\"process\":"
	    "{\"stdio\":3,\"noNewPrivileges\":{\"a\":[]},\"args\":[\"a\"],"
	    "\"id\":\"e\",\"stderr\":4},\"last\":1}";
	struct guest_accept	 a;
	json_t			*v, *p;

	test_begin("a process is read up to the first unknown member");
	v = json_loads(text, 0, NULL);
	CHECK(guest_accept(API_4242, HYP_EXECCMD, v, &a) == 0);
	p = json_object_get(v, "process");
	CHECK(json_object_size(p) == 1);
	CHECK(json_object_get(p, "stdio") != NULL);
	CHECK(json_object_size(v) == 3);
	json_decref(v);
}

static void
test_tail(void)
{
	test_begin("text behind the object");
	CHECK(guest_accept_tail(API_4242, HYP_EXECCMD, "junk", 4) == 1);
	CHECK(guest_accept_tail(API_4242, HYP_EXECCMD, "a}", 2) == 0);
	CHECK(guest_accept_tail(API_4242, HYP_EXECCMD, "a]", 2) == 0);
	CHECK(guest_accept_tail(API_4244, HYP_EXECCMD, "}]", 2) == 1);
	CHECK(guest_accept_tail(API_4244, HYP_KILLCONTAINER, "a", 1) == 0);
}

int
main(void)
{
	test_verdicts();
	test_cut();
	test_tail();
	return (test_end());
}
