/* SPDX-License-Identifier: ISC */

/*
 * Client frames of protocol 3.x (protocol version 2): the 12-byte header and
 * its names.  Pure: bytes in, struct or error out; no I/O, no log, no globals.
 * Linked into the frontend, the engines, the client module and the tests.
 *
 * Wire layout, big endian (cc-proxy-protocol(7)):
 *	0-1   version, always 2
 *	2     header length in 32-bit words, at least 3
 *	3-5   reserved
 *	6     0x10 error flag, 0x0f type
 *	7     opcode
 *	8-11  payload length in bytes
 * The payload starts at offset header length * 4.
 */

#ifndef CCP_FRAME_H
#define CCP_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRM_VERSION		2
#define FRM_HEADER_SIZE		12	/* bytes; what we write, what we need */
#define FRM_HEADER_MAX		1020	/* bytes; 255 words */
#define FRM_PAYLOAD_MAX		(1024 * 1024)	/* commands and logs, bytes */
#define FRM_STDIN_MAX		(64 * 1024)	/* one stdin frame, bytes */
#define FRM_UNROUTED_MAX	(64 * 1024)	/* any frame before routing */

enum frm_type {
	FRM_COMMAND,
	FRM_RESPONSE,
	FRM_STREAM,
	FRM_NOTIFICATION,
	FRM_TYPE_MAX
};

enum frm_command {
	FRM_REGISTERVM,
	FRM_UNREGISTERVM,
	FRM_ATTACHVM,
	FRM_HYPER,
	FRM_CONNECTSHIM,
	FRM_DISCONNECTSHIM,
	FRM_SIGNAL,
	FRM_COMMAND_MAX
};

enum frm_stream {
	FRM_STDIN,
	FRM_STDOUT,
	FRM_STDERR,
	FRM_LOG,
	FRM_STREAM_MAX
};

enum frm_notification {
	FRM_PROCESSEXITED,
	FRM_NOTIFICATION_MAX
};

enum frm_error {
	FRM_OK,
	FRM_BAD_VERSION,
	FRM_BAD_TYPE,
	FRM_BAD_OPCODE,
	FRM_BAD_HEADER_LENGTH
};

struct frm_header {
	size_t		 hdrlen;	/* bytes, multiple of 4, 12..1020 */
	size_t		 len;		/* payload bytes, not yet bounded */
	int		 version;
	int		 type;		/* enum frm_type */
	int		 opcode;	/* by type */
	int		 in_error;	/* 0 or 1 */
};

/*
 * Decode the first FRM_HEADER_SIZE bytes at p.  The fields that were read
 * are set even on error, for frm_strerror().  The payload length is not
 * judged here: its limit depends on who asks.
 */
enum frm_error	 frm_decode(const uint8_t *p, struct frm_header *);

/* Write FRM_HEADER_SIZE bytes at p. */
void		 frm_encode(uint8_t *p, enum frm_type, int opcode,
		    int in_error, uint32_t len);

/* The text the log shows for a frame that was refused ("frame: ..."). */
void		 frm_strerror(enum frm_error, const struct frm_header *,
		    char *, size_t);

/* "command", "response", "stream", "notification" or "unknown". */
const char	*frm_type_name(int type);

/* "RegisterVM", ...; "unknown" out of range. */
const char	*frm_command_name(int opcode);

/* "stdin", "stdout", "stderr", "log"; "unknown" out of range. */
const char	*frm_stream_name(int opcode);

#endif /* CCP_FRAME_H */
