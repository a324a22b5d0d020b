/* SPDX-License-Identifier: ISC */

/*
 * Client of cc-proxy's protocol 3.x: the requests and their JSON.  Runs in
 * the caller's process.  What the daemon answers is checked for shape, the
 * strings in it are not trusted further.
 */

#include <sys/types.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "client.h"
#include "client_int.h"
#include "frame.h"

static int	 request(struct ccp *, int, const void *, size_t,
		    struct ccp_frame *);
static int	 request_json(struct ccp *, int, json_t *,
		    struct ccp_frame *);
static int	 send_json(struct ccp *, enum frm_type, int, json_t *);
static int	 put_string(json_t *, const char *, const char *);
static int	 get_tokens(struct ccp *, const struct ccp_frame *, char **,
		    size_t);
static char	*hyper_text(const char *, const char *const *, size_t,
		    const char *, size_t *);

static int
request(struct ccp *h, int opcode, const void *payload, size_t len,
    struct ccp_frame *f)
{
	if (ccp_send(h, FRM_COMMAND, opcode, payload, len) == -1)
		return (-1);
	return (ccp_await(h, opcode, f));
}

/* Consumes o, which is NULL when it could not be built. */
static int
send_json(struct ccp *h, enum frm_type type, int opcode, json_t *o)
{
	char	*text = NULL;
	int	 r;

	if (o != NULL)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text == NULL)
		return (ccp_fail(h, "an argument is not UTF-8 text"));
	r = ccp_send(h, type, opcode, text, strlen(text));
	explicit_bzero(text, strlen(text));
	free(text);
	return (r);
}

/* Consumes o as above. */
static int
request_json(struct ccp *h, int opcode, json_t *o, struct ccp_frame *f)
{
	if (send_json(h, FRM_COMMAND, opcode, o) == -1)
		return (-1);
	return (ccp_await(h, opcode, f));
}

/* A NULL string is left out. */
static int
put_string(json_t *o, const char *key, const char *value)
{
	if (value == NULL)
		return (0);
	return (json_object_set_new(o, key, json_string(value)));
}

void
ccp_tokens_free(char **tokens, size_t ntokens)
{
	size_t	 i;

	for (i = 0; i < ntokens; i++) {
		if (tokens[i] != NULL)
			explicit_bzero(tokens[i], strlen(tokens[i]));
		free(tokens[i]);
		tokens[i] = NULL;
	}
}

/* Exactly n tokens from {"io":{"URL":...,"tokens":[...]}}. */
static int
get_tokens(struct ccp *h, const struct ccp_frame *f, char **tokens, size_t n)
{
	json_t		*o, *array;
	const char	*s;
	size_t		 i, got;

	if ((o = json_loadb((const char *)f->data, f->len, 0, NULL)) == NULL)
		return (ccp_fail(h, "the response is not JSON"));
	array = json_object_get(json_object_get(o, "io"), "tokens");
	got = json_array_size(array);
	if (got != n) {
		json_decref(o);
		return (ccp_fail(h, "%zu tokens retrieved out of %zu "
		    "expected", got, n));
	}
	for (i = 0; i < n; i++) {
		s = json_string_value(json_array_get(array, i));
		if (s == NULL || (tokens[i] = strdup(s)) == NULL) {
			ccp_tokens_free(tokens, i);
			json_decref(o);
			return (ccp_fail(h, s == NULL ?
			    "the response has a token that is no string" :
			    "out of memory"));
		}
	}
	json_decref(o);
	return (0);
}

int
ccp_register(struct ccp *h, const char *id, const char *ctl, const char *io,
    const char *console, char **tokens, size_t ntokens)
{
	struct ccp_frame	 f;
	json_t			*o;

	if ((o = json_object()) == NULL ||
	    put_string(o, "containerId", id) == -1 ||
	    put_string(o, "ctlSerial", ctl) == -1 ||
	    put_string(o, "ioSerial", io) == -1 ||
	    put_string(o, "console", console) == -1 ||
	    (ntokens > 0 && json_object_set_new(o, "numIOStreams",
	    json_integer((json_int_t)ntokens)) == -1)) {
		json_decref(o);
		o = NULL;
	}
	if (request_json(h, FRM_REGISTERVM, o, &f) == -1)
		return (-1);
	return (get_tokens(h, &f, tokens, ntokens));
}

int
ccp_unregister(struct ccp *h, const char *id)
{
	struct ccp_frame	 f;

	return (request_json(h, FRM_UNREGISTERVM,
	    json_pack("{s:s}", "containerId", id), &f));
}

int
ccp_attach(struct ccp *h, const char *id, char **tokens, size_t ntokens)
{
	struct ccp_frame	 f;
	json_t			*o;

	if (ntokens > 0)
		o = json_pack("{s:s,s:I}", "containerId", id, "numIOStreams",
		    (json_int_t)ntokens);
	else
		o = json_pack("{s:s}", "containerId", id);
	if (request_json(h, FRM_ATTACHVM, o, &f) == -1)
		return (-1);
	return (get_tokens(h, &f, tokens, ntokens));
}

/*
 * {"hyperName":...,"tokens":[...]|null,"data":...} around the caller's own
 * text of data, which must arrive unchanged.
 */
static char *
hyper_text(const char *name, const char *const *tokens, size_t ntokens,
    const char *data, size_t *len)
{
	json_t	*o, *array;
	char	*head, *text = NULL;
	size_t	 i, hlen, dlen;

	array = ntokens > 0 ? json_array() : json_null();
	for (i = 0; i < ntokens; i++) {
		/* one less would be another request */
		if (json_array_append_new(array,
		    json_string(tokens[i])) == -1) {
			json_decref(array);
			return (NULL);
		}
	}
	if ((o = json_pack("{s:s,s:o}", "hyperName", name, "tokens",
	    array)) == NULL)
		return (NULL);
	head = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (head == NULL)
		return (NULL);
	hlen = strlen(head);
	dlen = data == NULL ? 0 : strlen(data);
	if ((text = malloc(hlen + dlen + sizeof(",\"data\":"))) != NULL) {
		memcpy(text, head, hlen + 1);
		*len = hlen;
		if (data != NULL) {
			/* in place of the closing brace */
			memcpy(text + hlen - 1, ",\"data\":", 8);
			memcpy(text + hlen + 7, data, dlen);
			memcpy(text + hlen + 7 + dlen, "}", 2);
			*len = hlen + dlen + 8;
		}
	}
	explicit_bzero(head, hlen);
	free(head);
	return (text);
}

int
ccp_hyper(struct ccp *h, const char *name, const char *const *tokens,
    size_t ntokens, const char *data, char **reply, size_t *replylen)
{
	struct ccp_frame	 f;
	json_error_t		 error;
	json_t			*o;
	char			*text;
	size_t			 len;
	int			 r;

	if (data != NULL) {
		/* nothing but one value, lest it add members of its own */
		o = json_loads(data, JSON_DECODE_ANY |
		    JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
		if (o == NULL)
			return (ccp_fail(h, "data is not JSON: %s (line %d, "
			    "column %d)", error.text, error.line,
			    error.column));
		json_decref(o);
	}
	if ((text = hyper_text(name, tokens, ntokens, data, &len)) == NULL)
		return (ccp_fail(h, "an argument is not UTF-8 text"));
	r = request(h, FRM_HYPER, text, len, &f);
	explicit_bzero(text, len);
	free(text);
	if (r == -1 || reply == NULL)
		return (r);
	if ((*reply = malloc(f.len + 1)) == NULL)
		return (ccp_fail(h, "%s", strerror(errno)));
	if (f.len > 0)
		memcpy(*reply, f.data, f.len);
	(*reply)[f.len] = '\0';
	*replylen = f.len;
	return (0);
}

int
ccp_connect_shim(struct ccp *h, const char *token)
{
	struct ccp_frame	 f;

	return (request_json(h, FRM_CONNECTSHIM,
	    json_pack("{s:s}", "token", token), &f));
}

int
ccp_disconnect_shim(struct ccp *h)
{
	return (ccp_send(h, FRM_COMMAND, FRM_DISCONNECTSHIM, NULL, 0));
}

int
ccp_signal(struct ccp *h, int signo)
{
	if (send_json(h, FRM_COMMAND, FRM_SIGNAL, json_pack("{s:i}",
	    "signalNumber", signo)) == -1)
		return (-1);
	ccp_expect_answer(h);
	return (0);
}

int
ccp_winsize(struct ccp *h, unsigned int rows, unsigned int columns)
{
	if (send_json(h, FRM_COMMAND, FRM_SIGNAL, json_pack("{s:i,s:I,s:I}",
	    "signalNumber", SIGWINCH, "rows", (json_int_t)rows, "columns",
	    (json_int_t)columns)) == -1)
		return (-1);
	ccp_expect_answer(h);
	return (0);
}

int
ccp_stdin(struct ccp *h, const void *data, size_t len)
{
	if (len > CCP_STDIN_MAX)
		return (ccp_fail(h, "stdin: %zu bytes are too many", len));
	return (ccp_send(h, FRM_STREAM, FRM_STDIN, data, len));
}

int
ccp_log(struct ccp *h, const char *source, const char *container,
    const char *level, const char *msg)
{
	static const char *const levels[] = { "debug", "info", "warn",
	    "error" };
	json_t	*o;
	size_t	 i;

	/* the daemon closes the connection on an entry it cannot take */
	if (strcmp(source, "shim") != 0 && strcmp(source, "runtime") != 0)
		return (ccp_fail(h, "invalid source: %s", source));
	for (i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(level, levels[i]) == 0)
			break;
	if (i == sizeof(levels) / sizeof(levels[0]))
		return (ccp_fail(h, "invalid level: %s", level));
	if (*msg == '\0')
		return (ccp_fail(h, "no message specified"));
	if ((o = json_object()) == NULL ||
	    put_string(o, "source", source) == -1 ||
	    put_string(o, "containerId", container) == -1 ||
	    put_string(o, "level", level) == -1 ||
	    put_string(o, "msg", msg) == -1) {
		json_decref(o);
		o = NULL;
	}
	return (send_json(h, FRM_STREAM, FRM_LOG, o));
}
