/* SPDX-License-Identifier: ISC */

/*
 * Requests and replies of protocol 1.x.  Decoding runs in the frontend and
 * the engines over text that an untrusted client wrote.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "reqfield.h"
#include "rpc1.h"

static const char	 rpc_ok[] = "{\"success\":true";
static const char	 rpc_failed[] = "{\"success\":false,\"error\":\"";
static const char	 rpc_data[] = ",\"data\":";

static size_t	rpc_cut(const char *, size_t);

int
rpc_header_decode(const uint8_t *p, size_t *len)
{
	static const uint8_t	 reserved[4];

	*len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 |
	    p[3];
	return (*len > RPC_BODY_MAX || memcmp(p + 4, reserved, 4) != 0 ? -1 :
	    0);
}

int
rpc_request_parse(struct rpc_request *req, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	static const struct {
		const char	*name;
		enum rpc_id	 id;
	} names[] = {
		{ "", RPC_NONE }, { "hello", RPC_HELLO },
		{ "attach", RPC_ATTACH }, { "bye", RPC_BYE },
		{ "allocateIO", RPC_ALLOCATEIO }, { "hyper", RPC_HYPER }
	};
	struct reqf	 in;
	size_t		 i;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, "Request", text, len, err) == -1 ||
	    reqf_string(&in, "id", &req->name) == -1)
		return (-1);
	req->id = RPC_UNKNOWN;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i].name, req->name) == 0)
			req->id = names[i].id;
	json_find(in.object, "data", &req->data);
	return (0);
}

void
rpc_request_free(struct rpc_request *req)
{
	free(req->name);
	memset(req, 0, sizeof(*req));
}

int
rpc_vm_parse(struct req_vm *req, enum rpc_id id, struct json_slice data,
    char err[JSON_ERRMAX])
{
	static const char *const types[] = {
		[RPC_HELLO] = "Hello", [RPC_ATTACH] = "Attach",
		[RPC_BYE] = "Bye"
	};
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, types[id], data.p, data.len, err) == -1)
		return (-1);
	if (reqf_string(&in, "containerId", &req->id) == -1)
		goto fail;
	/* The rest is unknown to the others, whatever its type. */
	if (id != RPC_HELLO)
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

int
rpc_vm_parse_as(struct req_vm *req, int opcode, const char *text, size_t len,
    char err[JSON_ERRMAX])
{
	struct json_slice	 data = { text, len };

	return (rpc_vm_parse(req, opcode == FRM_REGISTERVM ? RPC_HELLO :
	    opcode == FRM_ATTACHVM ? RPC_ATTACH : RPC_BYE, data, err));
}

int
rpc_streams_parse(int64_t *nstreams, struct json_slice data,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	*nstreams = 0;
	if (reqf_open(&in, "AllocateIo", data.p, data.len, err) == -1)
		return (-1);
	return (reqf_int(&in, "nStreams", nstreams));
}

int
rpc_hyper_parse(struct rpc_hyper *req, struct json_slice data,
    char err[JSON_ERRMAX])
{
	struct reqf	 in;

	memset(req, 0, sizeof(*req));
	if (reqf_open(&in, "Hyper", data.p, data.len, err) == -1 ||
	    reqf_string(&in, "hyperName", &req->name) == -1)
		return (-1);
	json_find(in.object, "data", &req->data);
	return (0);
}

void
rpc_hyper_free(struct rpc_hyper *req)
{
	free(req->name);
	memset(req, 0, sizeof(*req));
}

/*
 * The longest start of an escaped string, max bytes at most, that ends
 * neither inside an escape nor inside a character.
 */
static size_t
rpc_cut(const char *s, size_t max)
{
	size_t	 n, next;

	for (n = 0; s[n] != '\0'; n = next) {
		next = n + 1;
		if (s[n] == '\\')
			next = n + (s[n + 1] == 'u' ? 6 : 2);
		while (((unsigned char)s[next] & 0xc0) == 0x80)
			next++;
		if (next > max)
			break;
	}
	return (n);
}

uint8_t *
rpc_reply(const char *error, const char *data, size_t *framelen)
{
	uint8_t	*frame;
	char	*escaped, *p;
	size_t	 datalen, elen, len, max;

	escaped = NULL;
	datalen = data == NULL ? 0 : sizeof(rpc_data) - 1 + strlen(data);
	elen = 0;
	if (error != NULL) {
		escaped = json_escape(error, strlen(error), NULL);
		if (escaped == NULL)
			return (NULL);
		max = RPC_REPLY_MAX - (sizeof(rpc_failed) - 1) - datalen - 2;
		elen = rpc_cut(escaped, max);
		len = sizeof(rpc_failed) - 1 + elen + 1;
	} else
		len = sizeof(rpc_ok) - 1;
	len += datalen + 1;
	if ((frame = malloc(RPC_HEADER_SIZE + len + 1)) == NULL) {
		free(escaped);
		return (NULL);
	}
	memset(frame, 0, RPC_HEADER_SIZE);
	frame[2] = (uint8_t)(len >> 8);
	frame[3] = (uint8_t)len;
	p = (char *)frame + RPC_HEADER_SIZE;
	if (error != NULL)
		snprintf(p, len + 1, "%s%.*s\"%s%s}", rpc_failed, (int)elen,
		    escaped, data == NULL ? "" : rpc_data,
		    data == NULL ? "" : data);
	else
		snprintf(p, len + 1, "%s%s%s}", rpc_ok,
		    data == NULL ? "" : rpc_data, data == NULL ? "" : data);
	free(escaped);
	*framelen = RPC_HEADER_SIZE + len;
	return (frame);
}

char *
rpc_version_data(size_t *len)
{
	char	*data;
	int	 n;

	if ((n = asprintf(&data, "{\"version\":%d}", RPC_VERSION)) == -1)
		return (NULL);
	*len = (size_t)n;
	return (data);
}
