/* SPDX-License-Identifier: ISC */

/*
 * Client frames of protocol 3.x.  Runs in the frontend, the engines and the
 * client library; every byte it reads was written by an untrusted client (or,
 * in the library, by the daemon).
 */

#include <stdio.h>

#include "frame.h"

#define FRM_TYPE_MASK	0x0f
#define FRM_ERROR_FLAG	0x10
#define FRM_WORD	4

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

static const char *const frm_types[] = {
	"command", "response", "stream", "notification"
};

static const char *const frm_commands[] = {
	"RegisterVM", "UnregisterVM", "AttachVM", "Hyper", "ConnectShim",
	"DisconnectShim", "Signal"
};

static const char *const frm_streams[] = {
	"stdin", "stdout", "stderr", "log"
};

static const int frm_opcodes[] = {
	[FRM_COMMAND] = FRM_COMMAND_MAX,
	[FRM_RESPONSE] = FRM_COMMAND_MAX,
	[FRM_STREAM] = FRM_STREAM_MAX,
	[FRM_NOTIFICATION] = FRM_NOTIFICATION_MAX
};

_Static_assert(nitems(frm_types) == FRM_TYPE_MAX, "type names");
_Static_assert(nitems(frm_commands) == FRM_COMMAND_MAX, "command names");
_Static_assert(nitems(frm_streams) == FRM_STREAM_MAX, "stream names");
_Static_assert(nitems(frm_opcodes) == FRM_TYPE_MAX, "opcode limits");

static const char *
frm_name(const char *const *names, size_t n, int i)
{
	if (i < 0 || (size_t)i >= n)
		return ("unknown");
	return (names[i]);
}

enum frm_error
frm_decode(const uint8_t *p, struct frm_header *h)
{
	h->version = p[0] << 8 | p[1];
	h->hdrlen = (size_t)p[2] * FRM_WORD;
	h->type = p[6] & FRM_TYPE_MASK;
	h->in_error = (p[6] & FRM_ERROR_FLAG) != 0;
	h->opcode = p[7];
	h->len = (size_t)p[8] << 24 | (size_t)p[9] << 16 |
	    (size_t)p[10] << 8 | (size_t)p[11];

	if (h->version != FRM_VERSION)
		return (FRM_BAD_VERSION);
	if (h->type >= FRM_TYPE_MAX)
		return (FRM_BAD_TYPE);
	if (h->opcode >= frm_opcodes[h->type])
		return (FRM_BAD_OPCODE);
	if (h->hdrlen < FRM_HEADER_SIZE)
		return (FRM_BAD_HEADER_LENGTH);
	return (FRM_OK);
}

void
frm_encode(uint8_t *p, enum frm_type type, int opcode, int in_error,
    uint32_t len)
{
	p[0] = FRM_VERSION >> 8;
	p[1] = FRM_VERSION & 0xff;
	p[2] = FRM_HEADER_SIZE / FRM_WORD;
	p[3] = p[4] = p[5] = 0;
	p[6] = (uint8_t)((unsigned int)type & FRM_TYPE_MASK);
	if (in_error)
		p[6] |= FRM_ERROR_FLAG;
	p[7] = (uint8_t)opcode;
	p[8] = (uint8_t)(len >> 24);
	p[9] = (uint8_t)(len >> 16);
	p[10] = (uint8_t)(len >> 8);
	p[11] = (uint8_t)len;
}

void
frm_strerror(enum frm_error error, const struct frm_header *h, char *buf,
    size_t size)
{
	switch (error) {
	case FRM_OK:
		snprintf(buf, size, "frame: no error");
		break;
	case FRM_BAD_VERSION:
		snprintf(buf, size, "frame: bad version %d", h->version);
		break;
	case FRM_BAD_TYPE:
		snprintf(buf, size, "frame: bad type %s",
		    frm_type_name(h->type));
		break;
	case FRM_BAD_OPCODE:
		snprintf(buf, size, "frame: bad opcode (%d) for type %s",
		    h->opcode, frm_type_name(h->type));
		break;
	case FRM_BAD_HEADER_LENGTH:
		snprintf(buf, size, "frame: bad header length %d",
		    (int)(h->hdrlen / FRM_WORD));
		break;
	}
}

const char *
frm_type_name(int type)
{
	return (frm_name(frm_types, nitems(frm_types), type));
}

const char *
frm_command_name(int opcode)
{
	return (frm_name(frm_commands, nitems(frm_commands), opcode));
}

const char *
frm_stream_name(int opcode)
{
	return (frm_name(frm_streams, nitems(frm_streams), opcode));
}
