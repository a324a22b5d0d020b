/* SPDX-License-Identifier: ISC */

/*
 * Requests and replies of protocol 1.x: an 8-byte header and JSON.  Pure:
 * bytes in, struct or error out.  Linked into the frontend, the engines and
 * the tests.
 *
 * Wire layout, big endian (cc-proxy-protocol(7)):
 *	0-3   bytes of JSON that follow, 0..1048576
 *	4-7   reserved, 0
 */

#ifndef CCP_RPC1_H
#define CCP_RPC1_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"
#include "request.h"

#define RPC_HEADER_SIZE	8
#define RPC_BODY_MAX	(1024 * 1024)	/* of a request, bytes */
#define RPC_REPLY_MAX	1024		/* of a reply's body, bytes */
#define RPC_VERSION	1
#define RPC_FD_TAG	'F'		/* the byte a descriptor travels on */

enum rpc_id {
	RPC_NONE,		/* no id, or an empty one */
	RPC_UNKNOWN,		/* an id that is no payload's name */
	RPC_HELLO,
	RPC_ATTACH,
	RPC_BYE,
	RPC_ALLOCATEIO,
	RPC_HYPER
};

struct rpc_request {
	enum rpc_id	 id;
	char		*name;		/* the id as it came, malloc'd */
	struct json_slice data;		/* in the body; p NULL: none */
};

struct rpc_hyper {
	char		*name;		/* hyperName */
	struct json_slice data;		/* points into the body; verbatim */
};

/*
 * The length of the body that the RPC_HEADER_SIZE bytes at p announce; or
 * -1: too long, or the reserved bytes are set.
 * In both cases the connection is to be closed without a reply.
 */
int	 rpc_header_decode(const uint8_t *p, size_t *len);

/* 0, or -1 with a text in err: no request; to be closed without a reply. */
int	 rpc_request_parse(struct rpc_request *, const char *, size_t,
	    char err[JSON_ERRMAX]);
void	 rpc_request_free(struct rpc_request *);

/* The payloads: 0 and to be freed, or -1 with the reply's error in err. */
/* hello; attach and bye: their id only.  To be freed with req_vm_free(). */
int	 rpc_vm_parse(struct req_vm *, enum rpc_id, struct json_slice data,
	    char err[JSON_ERRMAX]);
/* The same by the command of 3.x: FRM_REGISTERVM for hello, and so on. */
int	 rpc_vm_parse_as(struct req_vm *, int opcode, const char *, size_t,
	    char err[JSON_ERRMAX]);
int	 rpc_streams_parse(int64_t *nstreams, struct json_slice data,
	    char err[JSON_ERRMAX]);
int	 rpc_hyper_parse(struct rpc_hyper *, struct json_slice data,
	    char err[JSON_ERRMAX]);
void	 rpc_hyper_free(struct rpc_hyper *);

/*
 * A whole reply, header and body in one piece, malloc'd (the caller frees),
 * NULL [ENOMEM].  error NULL: {"success":true}; else it is escaped, and cut
 * (between characters) so that the body stays within RPC_REPLY_MAX.
 * data: the text of a JSON object, or NULL.
 */
uint8_t	*rpc_reply(const char *error, const char *data, size_t *framelen);

/* The data of a successful hello or attach; malloc'd, NULL [ENOMEM]. */
char	*rpc_version_data(size_t *len);

#endif /* CCP_RPC1_H */
