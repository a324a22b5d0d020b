/* SPDX-License-Identifier: ISC */

/*
 * The JSON payloads of protocol 3.x commands and log entries, decoded, and
 * the payloads of responses, encoded.  Pure: no I/O, no log, no globals.
 * Source: cc-proxy-protocol(7).
 *
 * Each req_*_parse() takes the payload and returns 0 with the struct filled
 * (req_*_free() or the single free named below releases it), or -1 with a
 * text in err and nothing to free.  Absent strings are "", absent integers 0.
 * Strings with an embedded NUL are refused.
 */

#ifndef CCP_REQUEST_H
#define CCP_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "token.h"

#define REQ_STREAMS_MAX	1024	/* tokens one request may ask for */

/* Payload of RegisterVM, AttachVM, UnregisterVM: members as present. */
struct req_vm {
	char		*id;		/* containerId */
	char		*ctl;		/* ctlSerial; RegisterVM only */
	char		*io;		/* ioSerial; RegisterVM only */
	char		*console;	/* console; RegisterVM only */
	int64_t		 nstreams;	/* numIOStreams; <= 0 means none */
};

struct req_hyper {
	char		*name;		/* hyperName */
	char		**tokens;
	size_t		 ntokens;
	struct json_slice data;		/* points into the payload */
};

struct req_signal {
	int64_t		 signo;
	int64_t		 columns;
	int64_t		 rows;
};

struct req_log {
	char		*source;	/* shim or runtime */
	char		*container;
	char		*level;		/* debug, info, warn or error */
	char		*msg;		/* not empty */
};

/* opcode: FRM_REGISTERVM, FRM_ATTACHVM or FRM_UNREGISTERVM */
int	 req_vm_parse(struct req_vm *, int opcode, const char *, size_t,
	    char err[JSON_ERRMAX]);
void	 req_vm_free(struct req_vm *);

int	 req_hyper_parse(struct req_hyper *, const char *, size_t,
	    char err[JSON_ERRMAX]);
void	 req_hyper_free(struct req_hyper *);

/* ConnectShim.  *token is malloc'd, any length; the caller frees it. */
int	 req_token_parse(char **token, const char *, size_t,
	    char err[JSON_ERRMAX]);

/* Signal: only JSON and types are judged here. */
int	 req_signal_parse(struct req_signal *, const char *, size_t,
	    char err[JSON_ERRMAX]);

/* Log stream entry: source, level and msg are validated, in that order. */
int	 req_log_parse(struct req_log *, const char *, size_t,
	    char err[JSON_ERRMAX]);
void	 req_log_free(struct req_log *);

/* "hangup", "window changed", ...: the protocol's names for 0..30. */
const char *req_signal_name(int signo);

/* {"msg":"<text>"}; malloc'd, the caller frees; NULL [ENOMEM]. */
char	*req_error_payload(const char *text, size_t *len);

/*
 * {"io":{"URL":"<url>","tokens":[...]}}, tokens null if n is 0; malloc'd,
 * the caller frees; NULL [ENOMEM].  path is the socket's path: the URL is
 * "unix://" and the path, percent-encoded as Go's net/url does.
 */
char	*req_io_payload(const char *path, char (*tokens)[TOKEN_SIZE],
	    size_t n, size_t *len);

#endif /* CCP_REQUEST_H */
