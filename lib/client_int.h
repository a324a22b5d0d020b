/* SPDX-License-Identifier: ISC */

/*
 * What the files of the client module share.  Not for their users.
 */

#ifndef CCP_CLIENT_INT_H
#define CCP_CLIENT_INT_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

struct ccp;

/* A received frame; data points into the handle. */
struct ccp_frame {
	int		 type;
	int		 opcode;
	int		 in_error;
	const uint8_t	*data;
	size_t		 len;
};

/* Sets the error text; returns -1. */
int	 ccp_fail(struct ccp *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

/* Queues one frame and writes what the socket takes.  0 or -1. */
int	 ccp_send(struct ccp *, enum frm_type, int opcode, const void *,
	    size_t);

/* Blocks until the response to the request just sent is in *f.  0 or -1. */
int	 ccp_await(struct ccp *, int opcode, struct ccp_frame *);

/* Notes that a response will come as CCP_ANSWER. */
void	 ccp_expect_answer(struct ccp *);

#endif /* CCP_CLIENT_INT_H */
