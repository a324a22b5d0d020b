/* SPDX-License-Identifier: ISC */

/*
 * Protocol 1.x: the header and its bounds, requests and their payloads, the
 * rules for decoding, and replies byte for byte and at their bound.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc1.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define FAILED		"{\"success\":false,\"error\":\""

static int
header_is(const char *bytes, int rv, size_t len)
{
	size_t	 n = 12345;

	if (rpc_header_decode((const uint8_t *)bytes, &n) != rv)
		return (0);
	return (rv == -1 || n == len);
}

static int
error_is(int rv, const char *err, const char *want)
{
	if (rv == -1 && strcmp(err, want) == 0)
		return (1);
	fprintf(stderr, "%s, want %s\n", rv == -1 ? err : "accepted", want);
	return (0);
}

static int
slice_is(struct json_slice s, const char *want)
{
	if (want == NULL || s.p == NULL)
		return (want == NULL && s.p == NULL);
	return (s.len == strlen(want) && memcmp(s.p, want, s.len) == 0);
}

static struct json_slice
slice(const char *text)
{
	struct json_slice	 s = { text, 0 };

	if (text != NULL)
		s.len = strlen(text);
	return (s);
}

static int
request_is(const char *text, size_t len, enum rpc_id id, const char *name,
    const char *data)
{
	struct rpc_request	 req;
	char			 err[JSON_ERRMAX] = "";
	int			 rv;

	if (rpc_request_parse(&req, text, len, err) == -1) {
		fprintf(stderr, "%.60s: %s\n", text, err);
		return (0);
	}
	rv = req.id == id && strcmp(req.name, name) == 0 &&
	    slice_is(req.data, data);
	rpc_request_free(&req);
	return (rv);
}

static int
text_is(const char *text, enum rpc_id id, const char *name, const char *data)
{
	return (request_is(text, strlen(text), id, name, data));
}

/* No request, with a text, and nothing to be freed. */
static int
refused(const char *text, size_t len)
{
	struct rpc_request	 req;
	char			 err[JSON_ERRMAX] = "";

	if (rpc_request_parse(&req, text, len, err) == 0) {
		rpc_request_free(&req);
		return (0);
	}
	return (*err != '\0' && req.name == NULL);
}

static int
vm_is(enum rpc_id id, const char *text, const char *cid, const char *ctl,
    const char *io, const char *console)
{
	struct req_vm	 vm;
	char		 err[JSON_ERRMAX] = "";
	int		 rv;

	if (rpc_vm_parse(&vm, id, slice(text), err) == -1) {
		fprintf(stderr, "%s: %s\n", text, err);
		return (0);
	}
	rv = strcmp(vm.id, cid) == 0 && strcmp(vm.ctl, ctl) == 0 &&
	    strcmp(vm.io, io) == 0 && strcmp(vm.console, console) == 0;
	req_vm_free(&vm);
	return (rv && vm.id == NULL && vm.console == NULL);
}

static int
vm_fails(enum rpc_id id, const char *text, const char *want)
{
	struct req_vm	 vm;
	char		 err[JSON_ERRMAX] = "";
	int		 rv;

	if ((rv = rpc_vm_parse(&vm, id, slice(text), err)) == 0)
		req_vm_free(&vm);
	return (error_is(rv, err, want));
}

static int
streams_is(const char *text, int64_t want)
{
	char	 err[JSON_ERRMAX] = "";
	int64_t	 n = 99;

	return (rpc_streams_parse(&n, slice(text), err) == 0 && n == want);
}

static int
streams_fails(const char *text, const char *want)
{
	char	 err[JSON_ERRMAX] = "";
	int64_t	 n;
	int	 rv;

	rv = rpc_streams_parse(&n, slice(text), err);
	return (error_is(rv, err, want));
}

static int
hyper_is(const char *text, const char *name, const char *data)
{
	struct rpc_hyper	 req;
	char			 err[JSON_ERRMAX] = "";
	int			 rv;

	if (rpc_hyper_parse(&req, slice(text), err) == -1) {
		fprintf(stderr, "%s: %s\n", text, err);
		return (0);
	}
	rv = strcmp(req.name, name) == 0 && slice_is(req.data, data);
	rpc_hyper_free(&req);
	return (rv && req.name == NULL);
}

static int
hyper_fails(const char *text, const char *want)
{
	struct rpc_hyper	 req;
	char			 err[JSON_ERRMAX] = "";
	int			 rv;

	if ((rv = rpc_hyper_parse(&req, slice(text), err)) == 0)
		rpc_hyper_free(&req);
	return (error_is(rv, err, want));
}

/* The body of a reply, checked against its header; the caller frees. */
static char *
reply_body(const char *error, const char *data)
{
	uint8_t	*frame;
	size_t	 framelen, len;
	char	*body;

	if ((frame = rpc_reply(error, data, &framelen)) == NULL)
		return (NULL);
	body = NULL;
	if (framelen >= RPC_HEADER_SIZE &&
	    rpc_header_decode(frame, &len) == 0 &&
	    framelen == RPC_HEADER_SIZE + len && (body = malloc(len + 1)) !=
	    NULL) {
		memcpy(body, frame + RPC_HEADER_SIZE, len);
		body[len] = '\0';
		if (strlen(body) != len) {
			free(body);
			body = NULL;
		}
	}
	free(frame);
	return (body);
}

static int
reply_is(const char *error, const char *data, const char *want)
{
	char	*body;
	int	 rv;

	if ((body = reply_body(error, data)) == NULL)
		return (0);
	if ((rv = strcmp(body, want) == 0) == 0)
		fprintf(stderr, "%s, want %s\n", body, want);
	free(body);
	return (rv);
}

static void
test_header(void)
{
	test_begin("1.x section 2: header");
	CHECK(header_is("\0\0\0\x6b\0\0\0\0", 0, 107));
	CHECK(header_is("\0\0\0\0\0\0\0\0", 0, 0));
	CHECK(header_is("\0\x01\x02\x03\0\0\0\0", 0, 0x10203));

	test_begin("1.x section 2: 1 MiB is the largest body");
	CHECK(header_is("\0\x0f\xff\xff\0\0\0\0", 0, RPC_BODY_MAX - 1));
	CHECK(header_is("\0\x10\0\0\0\0\0\0", 0, RPC_BODY_MAX));
	CHECK(header_is("\0\x10\0\x01\0\0\0\0", -1, 0));
	CHECK(header_is("\x01\0\0\0\0\0\0\0", -1, 0));
	CHECK(header_is("\x80\0\0\0\0\0\0\0", -1, 0));
	CHECK(header_is("\xff\xff\xff\xff\0\0\0\0", -1, 0));

	test_begin("1.x section 2: each reserved byte must be 0");
	CHECK(header_is("\0\0\0\x02\x01\0\0\0", -1, 0));
	CHECK(header_is("\0\0\0\x02\0\x01\0\0", -1, 0));
	CHECK(header_is("\0\0\0\x02\0\0\x80\0", -1, 0));
	CHECK(header_is("\0\0\0\x02\0\0\0\xff", -1, 0));

	test_begin("1.x section 13: a 3.x frame's start is a longer body's");
	CHECK(header_is("\0\x02\x03\0\0\0\0\0", 0, 131840));
}

static void
test_request(void)
{
	static const char *const bad[] = {
		"", " ", "{", "}", "garbage", "[]", "\"hello\"", "1", "true",
		"{\"id\":1}", "{\"id\":true}", "{\"id\":[]}", "{\"id\":{}}",
		"{\"id\":\"bye\"}x", "{\"id\":\"bye\"}{}", "{\"id\":\"bye\",}",
		"{id:\"bye\"}", "{\"id\":\"bye\"", "{\"id\":'bye'}",
		"{\"id\":\"bye\" \"data\":{}}", "{\"id\":\"bye\",\"data\":}",
		"{\"id\":\"bye\",\"data\":01}", "nul", "{\"id\":\"b\nye\"}",
		"\xef\xbb\xbf{\"id\":\"bye\"}"
	};
	size_t	 i;

	test_begin("1.x section 2.1: the names of the payloads");
	CHECK(text_is("{\"id\":\"hello\",\"data\":{\"a\":1}}", RPC_HELLO,
	    "hello", "{\"a\":1}"));
	CHECK(text_is("{\"id\":\"attach\"}", RPC_ATTACH, "attach", NULL));
	CHECK(text_is("{\"id\":\"bye\"}", RPC_BYE, "bye", NULL));
	CHECK(text_is("{\"id\":\"allocateIO\"}", RPC_ALLOCATEIO,
	    "allocateIO", NULL));
	CHECK(text_is("{\"id\":\"hyper\"}", RPC_HYPER, "hyper", NULL));

	test_begin("1.x section 2.1: values of id are case-sensitive");
	CHECK(text_is("{\"id\":\"Hello\"}", RPC_UNKNOWN, "Hello", NULL));
	CHECK(text_is("{\"id\":\"allocateio\"}", RPC_UNKNOWN, "allocateio",
	    NULL));
	CHECK(text_is("{\"id\":\"bye \"}", RPC_UNKNOWN, "bye ", NULL));

	test_begin("1.x section 2.4: id missing, empty, null or unknown");
	CHECK(text_is("{}", RPC_NONE, "", NULL));
	CHECK(text_is("null", RPC_NONE, "", NULL));
	CHECK(text_is(" null\n", RPC_NONE, "", NULL));
	CHECK(text_is("{\"id\":\"\"}", RPC_NONE, "", NULL));
	CHECK(text_is("{\"id\":null,\"data\":{}}", RPC_NONE, "", "{}"));
	CHECK(text_is("{\"id\":\"nope\"}", RPC_UNKNOWN, "nope", NULL));

	test_begin("1.x section 2: white space around the request");
	CHECK(text_is(" \t\r\n{ \"id\" : \"bye\" , \"data\" : 1 } \n",
	    RPC_BYE, "bye", "1"));

	test_begin("1.x section 2: what is no request closes");
	for (i = 0; i < nitems(bad); i++) {
		CHECK(refused(bad[i], strlen(bad[i])));
	}
	CHECK(refused(NULL, 0));

	test_begin("1.x section 2: a NUL behind the request closes");
	CHECK(refused("{\"id\":\"bye\"}\0", 13));
	CHECK(refused("null\0", 5));

	test_begin("1.x section 2.3: names of members in any case");
	CHECK(text_is("{\"ID\":\"bye\",\"DATA\":{\"CONTAINERID\":\"X\"}}",
	    RPC_BYE, "bye", "{\"CONTAINERID\":\"X\"}"));
	CHECK(text_is("{\"i\\u0064\":\"bye\",\"Data\":2}", RPC_BYE, "bye",
	    "2"));

	test_begin("1.x section 2.3: unknown members; the last duplicate");
	CHECK(text_is("{\"x\":{\"id\":\"hyper\"},\"id\":\"bye\",\"y\":[1.5]}",
	    RPC_BYE, "bye", NULL));
	CHECK(text_is("{\"id\":\"hyper\",\"data\":1,\"data\":2,"
	    "\"id\":\"bye\"}", RPC_BYE, "bye", "2"));
	CHECK(text_is("{\"id\":\"bye\",\"id\":null}", RPC_BYE, "bye", NULL));

	test_begin("1.x section 2.1: data as its source text");
	CHECK(text_is("{\"id\":\"x\",\"data\": [ 1 , \"\\u0041\\/\",1e2 ] }",
	    RPC_UNKNOWN, "x", "[ 1 , \"\\u0041\\/\",1e2 ]"));
	CHECK(text_is("{\"id\":\"x\",\"data\":null}", RPC_UNKNOWN, "x",
	    "null"));
	CHECK(text_is("{\"id\":\"x\",\"data\":18446744073709551616}",
	    RPC_UNKNOWN, "x", "18446744073709551616"));
}

static void
test_large(void)
{
	static const char	 head[] = "{\"id\":\"bye\",\"data\":\"";
	char			*text;
	size_t			 n;

	test_begin("1.x section 2: a request of 1 MiB");
	if ((text = malloc(RPC_BODY_MAX)) == NULL) {
		CHECK(text != NULL);
		return;
	}
	n = sizeof(head) - 1;
	memcpy(text, head, n);
	memset(text + n, 'a', RPC_BODY_MAX - n - 2);
	memcpy(text + RPC_BODY_MAX - 2, "\"}", 2);
	CHECK(refused(text, RPC_BODY_MAX - 1));
	/* White space behind it counts as well. */
	CHECK(!refused(text, RPC_BODY_MAX));
	memset(text, ' ', RPC_BODY_MAX);
	memcpy(text, "{}", 2);
	CHECK(request_is(text, RPC_BODY_MAX, RPC_NONE, "", NULL));
	free(text);
}

static void
test_vm(void)
{
	test_begin("1.x section 3.1: hello");
	CHECK(vm_is(RPC_HELLO, "{\"containerId\":\"c1\",\"ctlSerial\":\"/c\","
	    "\"ioSerial\":\"/i\",\"console\":\"/k\"}", "c1", "/c", "/i",
	    "/k"));
	CHECK(vm_is(RPC_HELLO, "{\"containerId\":\"c1\"}", "c1", "", "", ""));
	CHECK(vm_is(RPC_HELLO, "{\"CONTAINERID\":\"\\u00e9\",\"ioserial\":"
	    "\"\xc3\xa9\",\"x\":1}", "\xc3\xa9", "", "\xc3\xa9", ""));

	test_begin("1.x section 3.2, 3.3: attach and bye know an id only");
	CHECK(vm_is(RPC_ATTACH, "{\"containerId\":\"c1\",\"ctlSerial\":1}",
	    "c1", "", "", ""));
	CHECK(vm_is(RPC_BYE, "{\"containerId\":\"a\",\"containerId\":\"b\","
	    "\"console\":\"/k\"}", "b", "", "", ""));

	test_begin("1.x section 2.3: data null is all-zero, data absent not");
	CHECK(vm_is(RPC_HELLO, "null", "", "", "", ""));
	CHECK(vm_is(RPC_BYE, "{\"containerId\":null}", "", "", "", ""));
	CHECK(vm_fails(RPC_HELLO, NULL, "unexpected end of JSON input"));
	CHECK(vm_fails(RPC_ATTACH, NULL, "unexpected end of JSON input"));
	CHECK(vm_fails(RPC_BYE, NULL, "unexpected end of JSON input"));

	test_begin("1.x section 2.3: wrong types in hello, attach and bye");
	CHECK(vm_fails(RPC_HELLO, "{\"containerId\":5}", "json: cannot "
	    "unmarshal number into Go struct field Hello.containerId of type "
	    "string"));
	CHECK(vm_fails(RPC_HELLO, "{\"console\":{}}", "json: cannot "
	    "unmarshal object into Go struct field Hello.console of type "
	    "string"));
	CHECK(vm_fails(RPC_ATTACH, "{\"containerId\":[]}", "json: cannot "
	    "unmarshal array into Go struct field Attach.containerId of type "
	    "string"));
	CHECK(vm_fails(RPC_BYE, "{\"containerId\":true}", "json: cannot "
	    "unmarshal bool into Go struct field Bye.containerId of type "
	    "string"));
	CHECK(vm_fails(RPC_BYE, "\"c1\"", "json: cannot unmarshal string "
	    "into Go value of type api.Bye"));

	test_begin("1.x section 3: NUL in a string is refused");
	CHECK(vm_fails(RPC_HELLO, "{\"ctlSerial\":\"/a\\u0000\"}", "json: "
	    "NUL in a string of Go struct field Hello.ctlSerial"));
}

static void
test_streams(void)
{
	test_begin("1.x section 3.4: nStreams");
	CHECK(streams_is("{\"nStreams\":1}", 1));
	CHECK(streams_is("{\"nStreams\":2}", 2));
	CHECK(streams_is("{\"NSTREAMS\":-1}", -1));
	CHECK(streams_is("{\"nStreams\":9223372036854775807}", INT64_MAX));
	CHECK(streams_is("{}", 0));
	CHECK(streams_is("null", 0));
	CHECK(streams_is("{\"nStreams\":null}", 0));

	test_begin("1.x section 2.3: wrong types in allocateIO");
	CHECK(streams_fails("{\"nStreams\":\"2\"}", "json: cannot unmarshal "
	    "string into Go struct field AllocateIo.nStreams of type int"));
	CHECK(streams_fails("{\"nStreams\":1.5}", "json: cannot unmarshal "
	    "number 1.5 into Go struct field AllocateIo.nStreams of type "
	    "int"));
	CHECK(streams_fails("{\"nStreams\":1.0}", "json: cannot unmarshal "
	    "number 1.0 into Go struct field AllocateIo.nStreams of type "
	    "int"));
	CHECK(streams_fails("{\"nStreams\":1e0}", "json: cannot unmarshal "
	    "number 1e0 into Go struct field AllocateIo.nStreams of type "
	    "int"));
	CHECK(streams_fails("{\"nStreams\":9223372036854775808}", "json: "
	    "cannot unmarshal number 9223372036854775808 into Go struct "
	    "field AllocateIo.nStreams of type int"));
	CHECK(streams_fails(NULL, "unexpected end of JSON input"));
	CHECK(streams_fails("2", "json: cannot unmarshal number into Go "
	    "value of type api.AllocateIo"));
}

static void
test_hyper(void)
{
	test_begin("1.x section 3.5: hyper");
	CHECK(hyper_is("{\"hyperName\":\"ping\"}", "ping", NULL));
	CHECK(hyper_is("{\"hyperName\":\"ping\",\"data\":null}", "ping",
	    "null"));
	CHECK(hyper_is("{\"hyperName\":\"destroypod\",\"data\":\"\"}",
	    "destroypod", "\"\""));
	CHECK(hyper_is("null", "", NULL));
	CHECK(hyper_is("{\"data\":7,\"tokens\":5}", "", "7"));

	test_begin("1.x section 3.5: data is kept verbatim");
	CHECK(hyper_is("{\"hyperName\":\"killcontainer\",\"data\":"
	    "{\"container\":\"c1\", \"signal\":15} }", "killcontainer",
	    "{\"container\":\"c1\", \"signal\":15}"));
	CHECK(hyper_is("{\"DATA\" :\t{ \"a\" :\n[ 1.50,18446744073709551615"
	    " ],\"a\":\"\\u0041\xff\" }\t,\"hyperName\":\"x\"}", "x",
	    "{ \"a\" :\n[ 1.50,18446744073709551615 ],"
	    "\"a\":\"\\u0041\xff\" }"));

	test_begin("1.x section 2.3: wrong types in hyper");
	CHECK(hyper_fails("{\"hyperName\":1}", "json: cannot unmarshal "
	    "number into Go struct field Hyper.hyperName of type string"));
	CHECK(hyper_fails(NULL, "unexpected end of JSON input"));
	CHECK(hyper_fails("[]", "json: cannot unmarshal array into Go value "
	    "of type api.Hyper"));
}

static void
test_reply(void)
{
	test_begin("1.x section 2.2: success, error and data in this order");
	CHECK(reply_is(NULL, NULL, "{\"success\":true}"));
	CHECK(reply_is(NULL, "{\"version\":1}",
	    "{\"success\":true,\"data\":{\"version\":1}}"));
	CHECK(reply_is("x", NULL, FAILED "x\"}"));
	CHECK(reply_is("x", "{\"version\":1}",
	    FAILED "x\",\"data\":{\"version\":1}}"));

	test_begin("1.x section 2.2: escapes of error texts");
	CHECK(reply_is("a<b>c&d\"\\\n\r\t\x01", NULL, FAILED "a\\u003cb"
	    "\\u003ec\\u0026d\\\"\\\\\\n\\r\\t\\u0001\"}"));
	CHECK(reply_is("\xe2\x80\xa8\xe2\x80\xa9\xc3\xa9\xff", NULL,
	    FAILED "\\u2028\\u2029\xc3\xa9\\ufffd\"}"));
	CHECK(reply_is("%s%n%d", NULL, FAILED "%s%n%d\"}"));
}

/*
 * An error of pieces, each escaped as `escaped`, behind n letters: the reply
 * must hold as many whole ones as fit and nothing else.
 */
static int
cut_is(const char *piece, const char *escaped, size_t shift, const char *data)
{
	static char	 error[16384], want[RPC_REPLY_MAX + 64];
	char		 tail[64];
	size_t		 i, room, tailsize;

	if (data != NULL)
		snprintf(tail, sizeof(tail), "\",\"data\":%s}", data);
	else
		snprintf(tail, sizeof(tail), "\"}");
	tailsize = strlen(tail);
	memset(error, 'a', shift);
	error[shift] = '\0';
	for (i = 0; i < 2000; i++)
		strlcat(error, piece, sizeof(error));
	strlcpy(want, FAILED, sizeof(want));
	i = strlen(want);
	memset(want + i, 'a', shift);
	want[i += shift] = '\0';
	room = RPC_REPLY_MAX - tailsize;
	for (; i + strlen(escaped) <= room; i += strlen(escaped))
		strlcat(want, escaped, sizeof(want));
	strlcat(want, tail, sizeof(want));
	return (strlen(want) <= RPC_REPLY_MAX &&
	    strlen(want) + strlen(escaped) > RPC_REPLY_MAX &&
	    reply_is(error, data, want));
}

static void
test_bound(void)
{
	static const char *const pieces[][2] = {
		{ "x", "x" }, { "\"", "\\\"" }, { "\\", "\\\\" },
		{ "\n", "\\n" }, { "<", "\\u003c" }, { "\x02", "\\u0002" },
		{ "\xff", "\\ufffd" }, { "\xc3\xa9", "\xc3\xa9" },
		{ "\xe2\x82\xac", "\xe2\x82\xac" },
		{ "\xe2\x80\xa8", "\\u2028" },
		{ "\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3" }
	};
	char	 error[1100];
	char	*body;
	size_t	 i, n, len;

	test_begin("1.x section 2.2: no reply beyond 1024 bytes");
	for (n = 0; n < sizeof(error); n++) {
		memset(error, 'e', n);
		error[n] = '\0';
		if ((body = reply_body(error, NULL)) == NULL) {
			CHECK(body != NULL);
			break;
		}
		len = sizeof(FAILED) - 1 + n + 2;
		CHECK(strlen(body) == (len > RPC_REPLY_MAX ? RPC_REPLY_MAX :
		    len));
		free(body);
	}

	test_begin("1.x section 2.2: the cut splits no escape, no character");
	for (i = 0; i < nitems(pieces); i++) {
		for (n = 0; n < 8; n++) {
			CHECK(cut_is(pieces[i][0], pieces[i][1], n, NULL));
			CHECK(cut_is(pieces[i][0], pieces[i][1], n,
			    "{\"version\":1}"));
		}
	}

	test_begin("1.x section 2.2: an escaped backslash is not an escape");
	for (n = 0; n < 8; n++) {
		memset(error, 'e', n);
		error[n] = '\0';
		for (i = 0; i < 170; i++)
			strlcat(error, "\\u003c", sizeof(error));
		if ((body = reply_body(error, NULL)) == NULL) {
			CHECK(body != NULL);
			break;
		}
		len = strlen(body);
		CHECK(len == RPC_REPLY_MAX || len == RPC_REPLY_MAX - 1);
		free(body);
	}
}

/* The worked frames, requests and replies. */
static int
frame_is(const char *head, const char *body, enum rpc_id id, const char *data)
{
	size_t	 len;

	return (rpc_header_decode((const uint8_t *)head, &len) == 0 &&
	    len == strlen(body) && text_is(body, id, id == RPC_HELLO ?
	    "hello" : id == RPC_ATTACH ? "attach" : id == RPC_BYE ? "bye" :
	    id == RPC_HYPER ? "hyper" : "allocateIO", data));
}

static int
reply_frame_is(const char *error, const char *data, const char *want,
    size_t wantlen)
{
	uint8_t	*frame;
	size_t	 len;
	int	 rv;

	if ((frame = rpc_reply(error, data, &len)) == NULL)
		return (0);
	rv = len == wantlen && memcmp(frame, want, len) == 0;
	free(frame);
	return (rv);
}

static void
test_worked(void)
{
	static const char	 e1[] = "{\"id\":\"hello\",\"data\":"
	    "{\"containerId\":\"c1\",\"ctlSerial\":\"/run/x/ga-ctl.sock\","
	    "\"ioSerial\":\"/run/x/ga-tty.sock\"}}";
	static const char	 e3[] = "\0\0\0\x25\0\0\0\0{\"success\":true,"
	    "\"data\":{\"version\":1}}";
	static const char	 e5[] = "\0\0\0\x33\0\0\0\0{\"success\":false,"
	    "\"error\":\"unknown containerID: c1\"}";
	static const char	 e7[] = "\0\0\0\x24\0\0\0\0{\"success\":true,"
	    "\"data\":{\"ioBase\":1}}";
	static const char	 e8[] = "\0\0\0\x10\0\0\0\0{\"success\":true}";

	test_begin("1.x section 10: E1 hello");
	CHECK(frame_is("\0\0\0\x6b\0\0\0\0", e1, RPC_HELLO,
	    "{\"containerId\":\"c1\",\"ctlSerial\":\"/run/x/ga-ctl.sock\","
	    "\"ioSerial\":\"/run/x/ga-tty.sock\"}"));
	CHECK(vm_is(RPC_HELLO, "{\"containerId\":\"c1\",\"ctlSerial\":"
	    "\"/run/x/ga-ctl.sock\",\"ioSerial\":\"/run/x/ga-tty.sock\"}",
	    "c1", "/run/x/ga-ctl.sock", "/run/x/ga-tty.sock", ""));

	test_begin("1.x section 10: E3 success of hello and attach");
	CHECK(reply_frame_is(NULL, "{\"version\":1}", e3, sizeof(e3) - 1));

	test_begin("1.x section 10: E4 attach, E5 its failure");
	CHECK(frame_is("\0\0\0\x2b\0\0\0\0", "{\"id\":\"attach\",\"data\":"
	    "{\"containerId\":\"c1\"}}", RPC_ATTACH,
	    "{\"containerId\":\"c1\"}"));
	CHECK(reply_frame_is("unknown containerID: c1", NULL, e5,
	    sizeof(e5) - 1));

	test_begin("1.x section 10: E6 allocateIO, E7 its success");
	CHECK(frame_is("\0\0\0\x29\0\0\0\0", "{\"id\":\"allocateIO\","
	    "\"data\":{\"nStreams\":2}}", RPC_ALLOCATEIO,
	    "{\"nStreams\":2}"));
	CHECK(streams_is("{\"nStreams\":2}", 2));
	CHECK(reply_frame_is(NULL, "{\"ioBase\":1}", e7, sizeof(e7) - 1));
	CHECK(RPC_FD_TAG == 0x46);

	test_begin("1.x section 10: E8 hyper ping and its success");
	CHECK(frame_is("\0\0\0\x2a\0\0\0\0", "{\"id\":\"hyper\",\"data\":"
	    "{\"hyperName\":\"ping\"}}", RPC_HYPER,
	    "{\"hyperName\":\"ping\"}"));
	CHECK(reply_frame_is(NULL, NULL, e8, sizeof(e8) - 1));

	test_begin("1.x section 10: E9 the shim's killcontainer");
	CHECK(frame_is("\0\0\0\x5a\0\0\0\0", "{\"id\":\"hyper\",\"data\":"
	    "{\"hyperName\":\"killcontainer\",\"data\":"
	    "{\"container\":\"c1\", \"signal\":15}}}", RPC_HYPER,
	    "{\"hyperName\":\"killcontainer\",\"data\":"
	    "{\"container\":\"c1\", \"signal\":15}}"));
	CHECK(hyper_is("{\"hyperName\":\"killcontainer\",\"data\":"
	    "{\"container\":\"c1\", \"signal\":15}}", "killcontainer",
	    "{\"container\":\"c1\", \"signal\":15}"));

	test_begin("1.x section 10: E10 the shim's last words");
	CHECK(frame_is("\0\0\0\x3a\0\0\0\0", "{\"id\":\"hyper\",\"data\":"
	    "{\"hyperName\":\"destroypod\",\"data\":\"\"}}", RPC_HYPER,
	    "{\"hyperName\":\"destroypod\",\"data\":\"\"}"));

	test_begin("1.x section 10: E12 bye");
	CHECK(frame_is("\0\0\0\x28\0\0\0\0", "{\"id\":\"bye\",\"data\":"
	    "{\"containerId\":\"c1\"}}", RPC_BYE,
	    "{\"containerId\":\"c1\"}"));
}

int
main(void)
{
	test_header();
	test_request();
	test_large();
	test_vm();
	test_streams();
	test_hyper();
	test_reply();
	test_bound();
	test_worked();
	return (test_end());
}
