/* SPDX-License-Identifier: ISC */

/*
 * What the frontend and the engines both do for a client: whole response
 * frames, log lines that name the client, entries of the log stream.
 */

#ifndef CCP_PEER_H
#define CCP_PEER_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "log.h"

#define PEER_TEXT_MAX	(16 * 1024)	/* bytes of one error text */

/*
 * A response in one piece, so that it can be sent with one write; proto is
 * an enum msg_proto.  Of protocol 1.x payload is NULL or the text of a JSON
 * object.  malloc'd, the caller frees; running out of memory is fatal.
 */
uint8_t	*peer_reply(int proto, int opcode, const void *payload, size_t len,
	    size_t *framelen);
/* An error; text beyond PEER_TEXT_MAX is cut. */
uint8_t	*peer_fail(int proto, int opcode, size_t *framelen, const char *,
	    va_list) __attribute__((__format__(printf, 4, 0)));

/*
 * Did a read or write fail for now only?  The event loop tries again.  Who
 * lacks memory has not lost his peer.
 */
int	 peer_again(int error);

/* A log line with the field client=<number>. */
void	 peer_log(enum log_level, uint32_t client, const char *, ...)
	    __attribute__((__format__(printf, 3, 4)));

/* One frame of the log stream.  0, or -1 and why in err (JSON_ERRMAX). */
int	 peer_log_frame(uint32_t client, const uint8_t *payload, size_t len,
	    char *err);

#endif /* CCP_PEER_H */
