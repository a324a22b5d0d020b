/* SPDX-License-Identifier: ISC */

/*
 * Payloads of protocol 3.x: every member of every command, the rules for
 * decoding, the error texts, and what we encode byte for byte.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "request.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define TOKEN	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

static int
error_is(int rv, const char *err, const char *want)
{
	if (rv == -1 && strcmp(err, want) == 0)
		return (1);
	fprintf(stderr, "%s, want %s\n", rv == -1 ? err : "accepted", want);
	return (0);
}

static int
vm_fails(int opcode, const char *text, const char *want)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX] = "";
	int		 rv;

	rv = req_vm_parse(&req, opcode, text, strlen(text), err);
	if (rv == 0)
		req_vm_free(&req);
	return (error_is(rv, err, want));
}

static int
vm_is(int opcode, const char *text, const char *id, const char *ctl,
    const char *io, const char *console, int64_t nstreams)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX] = "";
	int		 rv;

	if (req_vm_parse(&req, opcode, text, strlen(text), err) == -1) {
		fprintf(stderr, "%s: %s\n", text, err);
		return (0);
	}
	rv = strcmp(req.id, id) == 0 && strcmp(req.ctl, ctl) == 0 &&
	    strcmp(req.io, io) == 0 && strcmp(req.console, console) == 0 &&
	    req.nstreams == nstreams;
	req_vm_free(&req);
	return (rv);
}

static int
attach_is(const char *text, const char *id, int64_t nstreams)
{
	return (vm_is(FRM_ATTACHVM, text, id, "", "", "", nstreams));
}

static void
test_vm(void)
{
	test_begin("3.x section 3.1: RegisterVM");
	CHECK(vm_is(FRM_REGISTERVM, "{\"containerId\":\"p\",\"ctlSerial\":"
	    "\"/c\",\"ioSerial\":\"/i\",\"console\":\"/k\","
	    "\"numIOStreams\":2}", "p", "/c", "/i", "/k", 2));
	CHECK(vm_is(FRM_REGISTERVM, "{\"containerId\":\"p\"}", "p", "", "",
	    "", 0));

	test_begin("3.x section 3.2: UnregisterVM knows its id only");
	CHECK(vm_is(FRM_UNREGISTERVM, "{\"containerId\":\"p\","
	    "\"numIOStreams\":\"x\",\"ctlSerial\":1}", "p", "", "", "", 0));

	test_begin("3.x section 3.3: AttachVM");
	CHECK(attach_is("{\"containerId\":\"pod1\",\"numIOStreams\":1}",
	    "pod1", 1));
	CHECK(attach_is("{\"containerId\":\"p\",\"ctlSerial\":7}", "p", 0));
	CHECK(attach_is("{\"containerId\":\"p\",\"numIOStreams\":-3}", "p",
	    -3));

	test_begin("3.x section 2.6: unknown members are ignored");
	CHECK(attach_is("{\"x\":{\"containerId\":\"no\"},\"y\":[1,2.5],"
	    "\"containerId\":\"p\",\"z\\u0000\":18446744073709551616}",
	    "p", 0));

	test_begin("3.x section 2.6: names exactly first, else in any case");
	CHECK(attach_is("{\"CONTAINERID\":\"p\",\"numiostreams\":4}", "p", 4));
	CHECK(attach_is("{\"containerId\":\"p\",\"CONTAINERID\":\"q\"}", "p",
	    0));
	CHECK(attach_is("{\"container\\u0049d\":\"p\"}", "p", 0));

	test_begin("3.x section 2.6: duplicates, the last wins");
	CHECK(attach_is("{\"containerId\":\"p\",\"containerId\":\"q\"}", "q",
	    0));

	test_begin("3.x section 2.6: null leaves what there is");
	CHECK(attach_is("{\"containerId\":null,\"numIOStreams\":null}", "",
	    0));
	CHECK(attach_is("{\"containerId\":\"p\",\"containerId\":null}", "p",
	    0));

	test_begin("3.x section 2.6: null for a payload is {}");
	CHECK(attach_is("null", "", 0));
	CHECK(attach_is(" null\n", "", 0));
	CHECK(attach_is("{}", "", 0));

	test_begin("3.x section 2.6: trailing white space");
	CHECK(attach_is(" \n{\"containerId\":\"p\"} \t\r\n", "p", 0));

	test_begin("3.x section 2.6: integers of 64 bits");
	CHECK(attach_is("{\"numIOStreams\":9223372036854775807}", "",
	    INT64_MAX));
	CHECK(attach_is("{\"numIOStreams\":-9223372036854775808}", "",
	    INT64_MIN));

	test_begin("3.x section 2.6: strings, escapes and invalid UTF-8");
	CHECK(attach_is("{\"containerId\":\"\\u00e9\\n\\\"/\\/\"}",
	    "\xc3\xa9\n\"//", 0));
	CHECK(attach_is("{\"containerId\":\"\xff\\ud800\"}",
	    "\xef\xbf\xbd\xef\xbf\xbd", 0));
}

static void
test_errors(void)
{
	struct req_vm	 req;
	char		 err[JSON_ERRMAX];

	test_begin("3.x section 2.6: empty payload");
	CHECK(vm_fails(FRM_ATTACHVM, "", "unexpected end of JSON input"));
	CHECK(req_vm_parse(&req, FRM_ATTACHVM, NULL, 0, err) == -1);

	test_begin("3.x section 2.6: garbage byte");
	CHECK(vm_fails(FRM_ATTACHVM, "garbage",
	    "invalid character 'g' looking for beginning of value"));

	test_begin("3.x section 2.6: unquoted key");
	CHECK(vm_fails(FRM_ATTACHVM, "{containerId:1}", "invalid character "
	    "'c' looking for beginning of object key string"));

	test_begin("3.x section 2.6: trailing data");
	CHECK(vm_fails(FRM_ATTACHVM, "{}x",
	    "invalid character 'x' after top-level value"));

	test_begin("3.x section 2.6: another value for the object");
	CHECK(vm_fails(FRM_ATTACHVM, "[]", "json: cannot unmarshal array "
	    "into Go value of type api.AttachVM"));
	CHECK(vm_fails(FRM_REGISTERVM, "\"x\"", "json: cannot unmarshal "
	    "string into Go value of type api.RegisterVM"));
	CHECK(vm_fails(FRM_UNREGISTERVM, " 5", "json: cannot unmarshal "
	    "number into Go value of type api.UnregisterVM"));
	CHECK(vm_fails(FRM_ATTACHVM, "true", "json: cannot unmarshal bool "
	    "into Go value of type api.AttachVM"));

	test_begin("3.x section 2.6: wrong type of a string");
	CHECK(vm_fails(FRM_ATTACHVM, "{\"containerId\":5}", "json: cannot "
	    "unmarshal number into Go struct field AttachVM.containerId of "
	    "type string"));
	CHECK(vm_fails(FRM_REGISTERVM, "{\"ctlSerial\":{}}", "json: cannot "
	    "unmarshal object into Go struct field RegisterVM.ctlSerial of "
	    "type string"));
	CHECK(vm_fails(FRM_REGISTERVM, "{\"ioSerial\":[]}", "json: cannot "
	    "unmarshal array into Go struct field RegisterVM.ioSerial of "
	    "type string"));
	CHECK(vm_fails(FRM_REGISTERVM, "{\"console\":false}", "json: cannot "
	    "unmarshal bool into Go struct field RegisterVM.console of "
	    "type string"));

	test_begin("3.x section 2.6: wrong type of an integer");
	CHECK(vm_fails(FRM_ATTACHVM, "{\"numIOStreams\":1.5}", "json: cannot "
	    "unmarshal number 1.5 into Go struct field AttachVM.numIOStreams "
	    "of type int"));
	CHECK(vm_fails(FRM_ATTACHVM, "{\"numIOStreams\":\"5\"}", "json: "
	    "cannot unmarshal string into Go struct field "
	    "AttachVM.numIOStreams of type int"));
	CHECK(vm_fails(FRM_ATTACHVM, "{\"numIOStreams\":1e2}", "json: cannot "
	    "unmarshal number 1e2 into Go struct field AttachVM.numIOStreams "
	    "of type int"));
	CHECK(vm_fails(FRM_ATTACHVM, "{\"numIOStreams\":9223372036854775808}",
	    "json: cannot unmarshal number 9223372036854775808 into Go "
	    "struct field AttachVM.numIOStreams of type int"));

	test_begin("3.x section 2.6: NUL in a string is refused");
	CHECK(vm_fails(FRM_ATTACHVM, "{\"containerId\":\"a\\u0000b\"}",
	    "json: NUL in a string of Go struct field "
	    "AttachVM.containerId"));
	CHECK(vm_fails(FRM_REGISTERVM, "{\"ctlSerial\":\"/a\\u0000\"}",
	    "json: NUL in a string of Go struct field "
	    "RegisterVM.ctlSerial"));
}

static int
hyper_fails(const char *text, const char *want)
{
	struct req_hyper	 req;
	char			 err[JSON_ERRMAX] = "";
	int			 rv;

	rv = req_hyper_parse(&req, text, strlen(text), err);
	if (rv == 0)
		req_hyper_free(&req);
	return (error_is(rv, err, want));
}

/* data NULL: must be absent. */
static int
hyper_data_is(const char *text, const char *data)
{
	struct req_hyper	 req;
	char			 err[JSON_ERRMAX];
	int			 rv;

	if (req_hyper_parse(&req, text, strlen(text), err) == -1)
		return (0);
	if (data == NULL)
		rv = req.data.p == NULL && req.data.len == 0;
	else
		rv = req.data.len == strlen(data) && req.data.p > text &&
		    memcmp(req.data.p, data, req.data.len) == 0;
	req_hyper_free(&req);
	return (rv);
}

static void
test_hyper(void)
{
	static const char	 text[] = "{\"hyperName\":\"execcmd\","
	    "\"tokens\":[\"a\",null,\"b\"],\"data\":{}}";
	struct req_hyper	 req;
	char			 err[JSON_ERRMAX];

	test_begin("3.x section 3.4: name and tokens, null is empty");
	CHECK(req_hyper_parse(&req, text, sizeof(text) - 1, err) == 0);
	CHECK(strcmp(req.name, "execcmd") == 0 && req.ntokens == 3);
	CHECK(strcmp(req.tokens[0], "a") == 0);
	CHECK(strcmp(req.tokens[1], "") == 0);
	CHECK(strcmp(req.tokens[2], "b") == 0);
	req_hyper_free(&req);
	CHECK(req.name == NULL && req.tokens == NULL && req.ntokens == 0);

	test_begin("3.x section 3.4: tokens null, absent or empty");
	CHECK(req_hyper_parse(&req, "{\"tokens\":null}", 15, err) == 0);
	CHECK(req.ntokens == 0 && strcmp(req.name, "") == 0);
	req_hyper_free(&req);
	CHECK(req_hyper_parse(&req, "{}", 2, err) == 0 && req.ntokens == 0);
	req_hyper_free(&req);
	CHECK(req_hyper_parse(&req, "null", 4, err) == 0);
	CHECK(req.ntokens == 0 && req.data.p == NULL);
	req_hyper_free(&req);
	CHECK(req_hyper_parse(&req, "{\"tokens\":[]}", 13, err) == 0);
	CHECK(req.ntokens == 0);
	req_hyper_free(&req);

	test_begin("3.x section 3.4: data absent, null, verbatim");
	CHECK(hyper_data_is("{\"hyperName\":\"ping\",\"tokens\":null}", NULL));
	CHECK(hyper_data_is("{\"data\":null}", "null"));
	CHECK(hyper_data_is("{\"data\" : { \"a\" : [ 1.0, 1e2 ,\n"
	    "18446744073709551615 ] } }",
	    "{ \"a\" : [ 1.0, 1e2 ,\n18446744073709551615 ] }"));
	CHECK(hyper_data_is("{\"data\":\"\\u0041\xff\"}",
	    "\"\\u0041\xff\""));
	CHECK(hyper_data_is("{\"Data\":12}", "12"));
	CHECK(hyper_data_is("{\"data\":1,\"data\":2}", "2"));

	test_begin("3.x section 2.6: wrong types in Hyper");
	CHECK(hyper_fails("{\"hyperName\":1}", "json: cannot unmarshal number "
	    "into Go struct field Hyper.hyperName of type string"));
	CHECK(hyper_fails("{\"tokens\":\"t\"}", "json: cannot unmarshal "
	    "string into Go struct field Hyper.tokens of type []string"));
	CHECK(hyper_fails("{\"tokens\":[\"a\",1]}", "json: cannot unmarshal "
	    "number into Go struct field Hyper.tokens of type string"));
	CHECK(hyper_fails("{\"tokens\":[{}]}", "json: cannot unmarshal "
	    "object into Go struct field Hyper.tokens of type string"));
	CHECK(hyper_fails("{\"tokens\":[[]]}", "json: cannot unmarshal "
	    "array into Go struct field Hyper.tokens of type string"));
	CHECK(hyper_fails("{\"tokens\":[true]}", "json: cannot unmarshal "
	    "bool into Go struct field Hyper.tokens of type string"));
	CHECK(hyper_fails("{\"tokens\":[false]}", "json: cannot unmarshal "
	    "bool into Go struct field Hyper.tokens of type string"));
	CHECK(hyper_fails("{\"tokens\":[\"\\u0000\"]}", "json: NUL in a "
	    "string of Go struct field Hyper.tokens"));
	CHECK(hyper_fails("[]", "json: cannot unmarshal array into Go value "
	    "of type api.Hyper"));
}

static void
test_shim(void)
{
	static const char	 e10[] =
	    "{\"signalNumber\": 28, \"rows\":24, \"columns\":80}";
	struct req_signal	 sig;
	char			 err[JSON_ERRMAX], *t;
	int			 rv;

	test_begin("3.x section 3.5: ConnectShim");
	CHECK(req_token_parse(&t, "{\"token\":\"nope\"}", 16, err) == 0);
	CHECK(strcmp(t, "nope") == 0);
	free(t);
	CHECK(req_token_parse(&t, "{}", 2, err) == 0 && *t == '\0');
	free(t);
	rv = req_token_parse(&t, "{\"token\":1}", 11, err);
	CHECK(error_is(rv, err, "json: cannot unmarshal number into Go struct "
	    "field ConnectShim.token of type string"));
	CHECK(t == NULL);

	test_begin("3.x section 3.7: Signal");
	CHECK(req_signal_parse(&sig, e10, sizeof(e10) - 1, err) == 0);
	CHECK(sig.signo == 28 && sig.rows == 24 && sig.columns == 80);
	CHECK(req_signal_parse(&sig, "{}", 2, err) == 0);
	CHECK(sig.signo == 0 && sig.rows == 0 && sig.columns == 0);
	CHECK(req_signal_parse(&sig, "{\"signalNumber\":-1}", 19, err) == 0);
	CHECK(sig.signo == -1);
	rv = req_signal_parse(&sig, "{\"rows\":\"5\"}", 12, err);
	CHECK(error_is(rv, err, "json: cannot unmarshal string into Go struct "
	    "field Signal.rows of type int"));
	rv = req_signal_parse(&sig, "{\"columns\":0.5}", 15, err);
	CHECK(error_is(rv, err, "json: cannot unmarshal number 0.5 into Go "
	    "struct field Signal.columns of type int"));
}

static int
log_fails(const char *text, const char *want)
{
	struct req_log	 req;
	char		 err[JSON_ERRMAX] = "";
	int		 rv;

	rv = req_log_parse(&req, text, strlen(text), err);
	if (rv == 0)
		req_log_free(&req);
	return (error_is(rv, err, want));
}

static void
test_log(void)
{
	static const char	*const levels[] = {
		"debug", "info", "warn", "error"
	};
	static const char	*const sources[] = { "shim", "runtime" };
	struct req_log		 req;
	char			 text[128], err[JSON_ERRMAX];
	size_t			 i, j;

	test_begin("3.x section 3.8: log entries, each source and level");
	for (i = 0; i < nitems(sources); i++) {
		for (j = 0; j < nitems(levels); j++) {
			snprintf(text, sizeof(text), "{\"source\":\"%s\","
			    "\"level\":\"%s\",\"msg\":\"x\","
			    "\"containerId\":\"c\"}", sources[i], levels[j]);
			CHECK(req_log_parse(&req, text, strlen(text),
			    err) == 0);
			CHECK(strcmp(req.source, sources[i]) == 0);
			CHECK(strcmp(req.level, levels[j]) == 0);
			CHECK(strcmp(req.msg, "x") == 0);
			CHECK(strcmp(req.container, "c") == 0);
			req_log_free(&req);
		}
	}

	test_begin("3.x section 3.8: no container");
	strlcpy(text, "{\"source\":\"shim\",\"level\":\"warn\",\"msg\":\"x\"}",
	    sizeof(text));
	CHECK(req_log_parse(&req, text, strlen(text), err) == 0);
	CHECK(strcmp(req.container, "") == 0);
	req_log_free(&req);

	test_begin("3.x section 2.4: invalid source");
	CHECK(log_fails("{\"source\":\"X\",\"level\":\"Y\"}",
	    "invalid source: X"));
	CHECK(log_fails("{}", "invalid source: "));

	test_begin("3.x section 2.4: invalid level");
	CHECK(log_fails("{\"source\":\"shim\",\"level\":\"warning\"}",
	    "invalid level: warning"));
	CHECK(log_fails("{\"source\":\"runtime\"}", "invalid level: "));

	test_begin("3.x section 2.4: no message specified");
	CHECK(log_fails("{\"source\":\"shim\",\"level\":\"info\"}",
	    "no message specified"));
	CHECK(log_fails("{\"source\":\"shim\",\"level\":\"info\","
	    "\"msg\":\"\"}", "no message specified"));

	test_begin("3.x section 2.4: log entry that is no JSON");
	CHECK(log_fails("", "unexpected end of JSON input"));
	CHECK(log_fails("x",
	    "invalid character 'x' looking for beginning of value"));
	CHECK(log_fails("{\"msg\":1}", "json: cannot unmarshal number into "
	    "Go struct field LogEntry.msg of type string"));
}

static void
test_signals(void)
{
	static const char	*const names[] = {
		"signal 0", "hangup", "interrupt", "quit",
		"illegal instruction", "trace/breakpoint trap", "aborted",
		"bus error", "floating point exception", "killed",
		"user defined signal 1", "segmentation fault",
		"user defined signal 2", "broken pipe", "alarm clock",
		"terminated", "stack fault", "child exited", "continued",
		"stopped (signal)", "stopped", "stopped (tty input)",
		"stopped (tty output)", "urgent I/O condition",
		"CPU time limit exceeded", "file size limit exceeded",
		"virtual timer expired", "profiling timer expired",
		"window changed", "I/O possible", "power failure"
	};
	size_t			 i;

	test_begin("3.x section 3.7: names of signals");
	CHECK(nitems(names) == 31);
	for (i = 0; i < nitems(names); i++)
		CHECK(strcmp(req_signal_name((int)i), names[i]) == 0);
	CHECK(strcmp(req_signal_name(31), "unknown signal") == 0);
	CHECK(strcmp(req_signal_name(-1), "unknown signal") == 0);
}

static int
io_is(const char *path, size_t ntokens, const char *want)
{
	char	 tokens[2][TOKEN_SIZE] = { TOKEN, "x" };
	char	*s;
	size_t	 len;
	int	 rv;

	s = req_io_payload(path, tokens, ntokens, &len);
	rv = s != NULL && len == strlen(want) && strcmp(s, want) == 0;
	if (!rv)
		fprintf(stderr, "%s, want %s\n", s == NULL ? "-" : s, want);
	free(s);
	return (rv);
}

static int
error_payload_is(const char *text, const char *want)
{
	char	*s;
	size_t	 len;
	int	 rv;

	s = req_error_payload(text, &len);
	rv = s != NULL && len == strlen(want) && strcmp(s, want) == 0;
	free(s);
	return (rv);
}

static void
test_payloads(void)
{
	test_begin("3.x section 9.4: payload of E5");
	CHECK(io_is("/run/virtcontainers/pods/pod1/proxy.sock", 1,
	    "{\"io\":{\"URL\":\"unix:///run/virtcontainers/pods/pod1/"
	    "proxy.sock\",\"tokens\":[\"" TOKEN "\"]}}"));

	test_begin("3.x section 9.4: payload of E6");
	CHECK(io_is("/run/virtcontainers/pods/pod1/proxy.sock", 0,
	    "{\"io\":{\"URL\":\"unix:///run/virtcontainers/pods/pod1/"
	    "proxy.sock\",\"tokens\":null}}"));

	test_begin("3.x section 3.1: several tokens");
	CHECK(io_is("/s", 2, "{\"io\":{\"URL\":\"unix:///s\","
	    "\"tokens\":[\"" TOKEN "\",\"x\"]}}"));

	test_begin("3.x section 3.1: escaping of the URL");
	CHECK(io_is("rel/x.sock", 0,
	    "{\"io\":{\"URL\":\"unix://rel/x.sock\",\"tokens\":null}}"));
	CHECK(io_is("/a b%c/\xc3\xa9.sock", 0, "{\"io\":{\"URL\":"
	    "\"unix:///a%20b%25c/%C3%A9.sock\",\"tokens\":null}}"));
	CHECK(io_is("/-_.~$+,:;=@", 0, "{\"io\":{\"URL\":"
	    "\"unix:///-_.~$+,:;=@\",\"tokens\":null}}"));
	CHECK(io_is("/a&b", 0, "{\"io\":{\"URL\":"
	    "\"unix:///a\\u0026b\",\"tokens\":null}}"));
	CHECK(io_is("/?#[]!'()*<>\"\\\n\xff", 0, "{\"io\":{\"URL\":"
	    "\"unix:///%3F%23%5B%5D%21%27%28%29%2A%3C%3E%22%5C%0A%FF\","
	    "\"tokens\":null}}"));

	test_begin("3.x section 9.4: payloads of E3 and E19");
	CHECK(error_payload_is("unknown token: nope",
	    "{\"msg\":\"unknown token: nope\"}"));
	CHECK(error_payload_is("invalid signal number 31",
	    "{\"msg\":\"invalid signal number 31\"}"));

	test_begin("3.x section 2.5: error texts are escaped");
	CHECK(error_payload_is("", "{\"msg\":\"\"}"));
	CHECK(error_payload_is("unknown command '<a>&\"\\\n\x01\xff'",
	    "{\"msg\":\"unknown command '\\u003ca\\u003e\\u0026\\\"\\\\\\n"
	    "\\u0001\\ufffd'\"}"));
}

int
main(void)
{
	test_vm();
	test_errors();
	test_hyper();
	test_shim();
	test_log();
	test_signals();
	test_payloads();
	return (test_end());
}
