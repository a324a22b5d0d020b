/* SPDX-License-Identifier: ISC */

/*
 * What the frontend and the engines both do for a client.  The payloads
 * come from clients and are not trusted.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "msg.h"
#include "peer.h"
#include "request.h"
#include "rpc1.h"

static uint8_t	*peer_frame(int, int, const void *, size_t, size_t *);

static uint8_t *
peer_frame(int opcode, int in_error, const void *payload, size_t len,
    size_t *framelen)
{
	uint8_t	*p;

	if ((p = malloc(FRM_HEADER_SIZE + len)) == NULL)
		fatal("%s", __func__);
	frm_encode(p, FRM_RESPONSE, opcode, in_error, (uint32_t)len);
	if (len > 0)
		memcpy(p + FRM_HEADER_SIZE, payload, len);
	*framelen = FRM_HEADER_SIZE + len;
	return (p);
}

uint8_t *
peer_reply(int proto, int opcode, const void *payload, size_t len,
    size_t *framelen)
{
	uint8_t	*frame;

	if (proto != MSG_PROTO_1)
		return (peer_frame(opcode, 0, payload, len, framelen));
	if ((frame = rpc_reply(NULL, payload, framelen)) == NULL)
		fatal("%s", __func__);
	return (frame);
}

uint8_t *
peer_fail(int proto, int opcode, size_t *framelen, const char *fmt,
    va_list ap)
{
	uint8_t	*frame;
	char	*payload, *text;
	size_t	 len;
	int	 n;

	if ((n = vasprintf(&text, fmt, ap)) == -1)
		fatal("%s", __func__);
	if (n > PEER_TEXT_MAX)
		text[PEER_TEXT_MAX] = '\0';
	if (proto == MSG_PROTO_1) {
		if ((frame = rpc_reply(text, NULL, framelen)) == NULL)
			fatal("%s", __func__);
	} else {
		if ((payload = req_error_payload(text, &len)) == NULL)
			fatal("%s", __func__);
		frame = peer_frame(opcode, 1, payload, len, framelen);
		free(payload);
	}
	free(text);
	return (frame);
}

void
peer_log(enum log_level level, uint32_t client, const char *fmt, ...)
{
	struct log_field	 fields[2];
	char			 number[16], *msg;
	va_list			 ap;
	int			 n;

	if (level > log_getlevel())
		return;
	va_start(ap, fmt);
	n = vasprintf(&msg, fmt, ap);
	va_end(ap);
	if (n == -1)
		return;
	snprintf(number, sizeof(number), "%u", client);
	fields[0].key = "client";
	fields[0].value = number;
	fields[1].key = NULL;
	log_entry(level, fields, "%s", msg);
	free(msg);
}

int
peer_again(int error)
{
	return (error == EAGAIN || error == EINTR || error == ENOBUFS ||
	    error == ENOMEM);
}

int
peer_log_frame(uint32_t client, const uint8_t *payload, size_t len, char *err)
{
	struct req_log		 req;
	struct log_field	 fields[4];
	char			 number[16];
	size_t			 n;

	if (req_log_parse(&req, (const char *)payload, len, err) == -1)
		return (-1);
	snprintf(number, sizeof(number), "%u", client);
	n = 0;
	fields[n].key = "client";
	fields[n++].value = number;
	if (req.container[0] != '\0') {
		fields[n].key = "container";
		fields[n++].value = req.container;
	}
	fields[n].key = "source";
	fields[n++].value = req.source;
	fields[n].key = NULL;
	log_entry((enum log_level)log_level_parse(req.level), fields, "%s",
	    req.msg);
	req_log_free(&req);
	return (0);
}
