/* SPDX-License-Identifier: ISC */

/*
 * JSON payloads of protocol 3.x.  Decoding runs in the frontend and the
 * engines over text that an untrusted client wrote; encoding writes what
 * they and the client library send.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "json.h"
#include "reqfield.h"
#include "request.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

static const char *const req_signals[] = {
	"signal 0", "hangup", "interrupt", "quit", "illegal instruction",
	"trace/breakpoint trap", "aborted", "bus error",
	"floating point exception", "killed", "user defined signal 1",
	"segmentation fault", "user defined signal 2", "broken pipe",
	"alarm clock", "terminated", "stack fault", "child exited",
	"continued", "stopped (signal)", "stopped", "stopped (tty input)",
	"stopped (tty output)", "urgent I/O condition",
	"CPU time limit exceeded", "file size limit exceeded",
	"virtual timer expired", "profiling timer expired", "window changed",
	"I/O possible", "power failure"
};

/* The array of strings in *tokens; on failure the caller frees what is. */
static int
req_tokens(struct reqf *in, const json_t *array, const char *name,
    char ***tokens, size_t *ntokens)
{
	static const char	*const sample[] = {
		[JSON_OBJECT] = "{", [JSON_ARRAY] = "[", [JSON_INTEGER] = "0",
		[JSON_REAL] = "0", [JSON_TRUE] = "t", [JSON_FALSE] = "f"
	};
	struct json_slice	 value;
	const json_t		*v;
	size_t			 i, n;

	if ((n = json_array_size(array)) == 0)
		return (0);
	if ((*tokens = calloc(n, sizeof(**tokens))) == NULL)
		return (reqf_nomem(in));
	for (i = 0; i < n; i++) {
		v = json_array_get(array, i);
		if (json_is_string(v)) {
			if (reqf_copy(in, v, name, &(*tokens)[i]) == -1)
				return (-1);
		} else if (json_is_null(v)) {
			if (((*tokens)[i] = strdup("")) == NULL)
				return (reqf_nomem(in));
		} else {
			value.p = sample[json_typeof(v)];
			value.len = 1;
			return (reqf_type_error(in, value, name, "string"));
		}
		*ntokens = i + 1;
	}
	return (0);
}

static int
req_array(struct reqf *in, const char *name, char ***tokens,
    size_t *ntokens)
{
	struct json_slice	 value;
	json_t			*array;
	int			 rv;

	if (!json_find_set(in->object, name, &value))
		return (0);
	if (*value.p != '[')
		return (reqf_type_error(in, value, name, "[]string"));
	if ((array = json_parse(value.p, value.len, in->err)) == NULL)
		return (-1);
	rv = req_tokens(in, array, name, tokens, ntokens);
	json_decref(array);
	return (rv);
}

int
req_vm_parse(struct req_vm *req, int opcode, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, frm_command_name(opcode), text, len, err) == -1)
		return (-1);
	if (reqf_string(&in, "containerId", &req->id) == -1)
		goto fail;
	if (opcode != FRM_UNREGISTERVM &&
	    reqf_int(&in, "numIOStreams", &req->nstreams) == -1)
		goto fail;
	/* The rest is unknown to other commands, whatever its type. */
	if (opcode != FRM_REGISTERVM)
		in.object.p = NULL;
	if (reqf_string(&in, "ctlSerial", &req->ctl) == -1 ||
	    reqf_string(&in, "ioSerial", &req->io) == -1 ||
	    reqf_string(&in, "console", &req->console) == -1)
		goto fail;
	return (0);
fail:
	req_vm_free(req);
	return (-1);
}

void
req_vm_free(struct req_vm *req)
{
	free(req->id);
	free(req->ctl);
	free(req->io);
	free(req->console);
	memset(req, 0, sizeof(*req));
}

int
req_hyper_parse(struct req_hyper *req, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, "Hyper", text, len, err) == -1)
		return (-1);
	if (reqf_string(&in, "hyperName", &req->name) == -1 ||
	    req_array(&in, "tokens", &req->tokens, &req->ntokens) == -1) {
		req_hyper_free(req);
		return (-1);
	}
	json_find(in.object, "data", &req->data);
	return (0);
}

void
req_hyper_free(struct req_hyper *req)
{
	size_t	 i;

	for (i = 0; i < req->ntokens; i++)
		free(req->tokens[i]);
	free(req->tokens);
	free(req->name);
	memset(req, 0, sizeof(*req));
}

int
req_token_parse(char **token, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	*token = NULL;
	if (reqf_open(&in, "ConnectShim", text, len, err) == -1)
		return (-1);
	return (reqf_string(&in, "token", token));
}

int
req_signal_parse(struct req_signal *req, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, "Signal", text, len, err) == -1)
		return (-1);
	if (reqf_int(&in, "signalNumber", &req->signo) == -1 ||
	    reqf_int(&in, "columns", &req->columns) == -1 ||
	    reqf_int(&in, "rows", &req->rows) == -1)
		return (-1);
	return (0);
}

/* A log entry's own rules, in the order in which they are judged. */
static int
req_log_check(const struct req_log *req, char err[JSON_ERRMAX])
{
	static const char	*const levels[] = {
		"debug", "info", "warn", "error"
	};
	size_t			 i;

	if (strcmp(req->source, "shim") != 0 &&
	    strcmp(req->source, "runtime") != 0) {
		snprintf(err, JSON_ERRMAX, "invalid source: %s", req->source);
		return (-1);
	}
	for (i = 0; i < nitems(levels); i++) {
		if (strcmp(req->level, levels[i]) == 0)
			break;
	}
	if (i == nitems(levels)) {
		snprintf(err, JSON_ERRMAX, "invalid level: %s", req->level);
		return (-1);
	}
	if (*req->msg == '\0') {
		snprintf(err, JSON_ERRMAX, "no message specified");
		return (-1);
	}
	return (0);
}

int
req_log_parse(struct req_log *req, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, "LogEntry", text, len, err) == -1)
		return (-1);
	if (reqf_string(&in, "source", &req->source) == -1 ||
	    reqf_string(&in, "containerId", &req->container) == -1 ||
	    reqf_string(&in, "level", &req->level) == -1 ||
	    reqf_string(&in, "msg", &req->msg) == -1 ||
	    req_log_check(req, err) == -1) {
		req_log_free(req);
		return (-1);
	}
	return (0);
}

void
req_log_free(struct req_log *req)
{
	free(req->source);
	free(req->container);
	free(req->level);
	free(req->msg);
	memset(req, 0, sizeof(*req));
}

const char *
req_signal_name(int signo)
{
	if (signo < 0 || (size_t)signo >= nitems(req_signals))
		return ("unknown signal");
	return (req_signals[signo]);
}

/* A JSON string with its quotes. */
static void
req_quote(struct json_buf *b, const char *s, size_t len)
{
	char	*e;
	size_t	 n;

	if ((e = json_escape(s, len, &n)) == NULL) {
		b->failed = 1;
		return;
	}
	json_buf_add(b, "\"", 1);
	json_buf_add(b, e, n);
	json_buf_add(b, "\"", 1);
	free(e);
}

char *
req_error_payload(const char *text, size_t *len)
{
	struct json_buf	 b = { NULL, 0, 0, 0 };

	json_buf_add(&b, "{\"msg\":", 7);
	req_quote(&b, text, strlen(text));
	json_buf_add(&b, "}", 1);
	return (json_buf_end(&b, len));
}

/* The path, escaped as Go's net/url escapes the path of a URL. */
static char *
req_url(const char *path, size_t *len)
{
	static const char	 plain[] = "-_.~$&+,/:;=@";
	struct json_buf		 b = { NULL, 0, 0, 0 };
	const unsigned char	*p;
	char			 hex[4];

	json_buf_add(&b, "unix://", 7);
	for (p = (const unsigned char *)path; *p != '\0'; p++) {
		if ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
		    (*p >= '0' && *p <= '9') || strchr(plain, *p) != NULL) {
			json_buf_add(&b, (const char *)p, 1);
			continue;
		}
		snprintf(hex, sizeof(hex), "%%%02X", *p);
		json_buf_add(&b, hex, 3);
	}
	return (json_buf_end(&b, len));
}

char *
req_io_payload(const char *path, char (*tokens)[TOKEN_SIZE], size_t n,
    size_t *len)
{
	struct json_buf	 b = { NULL, 0, 0, 0 };
	char		*url;
	size_t		 i, urllen;

	if ((url = req_url(path, &urllen)) == NULL)
		return (NULL);
	json_buf_add(&b, "{\"io\":{\"URL\":", 13);
	req_quote(&b, url, urllen);
	free(url);
	json_buf_add(&b, ",\"tokens\":", 10);
	if (n == 0)
		json_buf_add(&b, "null", 4);
	for (i = 0; i < n; i++) {
		json_buf_add(&b, i == 0 ? "[" : ",", 1);
		req_quote(&b, tokens[i], strlen(tokens[i]));
	}
	json_buf_add(&b, n == 0 ? "}}" : "]}}", n == 0 ? 2 : 3);
	return (json_buf_end(&b, len));
}
