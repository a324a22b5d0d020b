/* SPDX-License-Identifier: ISC */

/*
 * An imsg channel on libevent, and the dispatch table that judges each
 * message before a handler sees it: known type, allowed in this state,
 * length within bounds, descriptor present exactly when required.
 *
 * The one read/write/get prologue of the program lives here.  While more
 * than IMSGEV_QUEUE_MAX buffers wait for a peer that does not read, nothing
 * more is taken from it, so a peer that floods requests and ignores answers
 * stalls only itself.  A child always listens to those it obeys: if both
 * ends did this, they could wait for each other for ever.
 */

#ifndef CCP_IMSGEV_H
#define CCP_IMSGEV_H

#include <event.h>

#include "imsg.h"
#include "msg.h"

#define IMSGEV_QUEUE_MAX	1024
#define IMSGEV_PAUSE		1	/* seconds until it is tried again */

struct imsgev;

/*
 * A handler gets the payload of a message that passed the table (a view,
 * valid during the call) and its descriptor, -1 if it has none; it takes the
 * descriptor by setting *fd to -1, else it is closed.  Returns 0, or -1 if
 * the payload breaks the protocol: the channel is then treated as violated.
 * A handler may free the imsgev with imsgev_clear().
 */
struct imsgev_handler {
	uint32_t	 type;
	uint32_t	 states;	/* bits of iev_state that allow it */
	int		(*handle)(struct imsgev *, struct ibuf *, int *fd);
};

enum imsgev_end {
	IMSGEV_EOF,		/* the peer closed, or the channel broke */
	IMSGEV_VIOLATION	/* the peer broke the protocol: iev_why */
};

struct imsgev {
	struct imsgbuf	 iev_ibuf;
	struct event	 iev_ev;
	const struct imsgev_handler *iev_table;
	/* called once, after the channel was closed; nothing is read then */
	void		(*iev_ended)(struct imsgev *, enum imsgev_end);
	void		*iev_arg;	/* the owner's */
	int		*iev_gone;	/* set to 1 when cleared in a handler */
	uint32_t	 iev_state;	/* a bit, or several */
	uint32_t	 iev_queue_max;	/* IMSGEV_QUEUE_MAX; the owner's */
	int		 iev_fd;	/* -1: closed */
	int		 iev_takes_fds;	/* descriptors come; the owner's */
	int		 iev_paused;	/* there is no room for one */
	struct event	 iev_pause;
	char		 iev_why[128];
};

/*
 * A descriptor that does not fit is lost when it is read.  So a channel with
 * iev_takes_fds is not read while a process has as many as it may have; what
 * the peer sends waits.
 */

/*
 * Starts reading.  fd must be a non-blocking stream socket; it belongs to
 * the imsgev after success, to the caller after failure.  table ends with
 * type 0.  Returns 0; or -1 [errno], and then it is as if it were closed.
 */
int	 imsgev_init(struct imsgev *, int fd, const struct imsgev_handler *,
	    uint32_t state, void (*)(struct imsgev *, enum imsgev_end), void *);

/*
 * Closes the descriptor and drops what is queued, descriptors included.
 * iev_ended is not called.  Safe twice.
 */
void	 imsgev_clear(struct imsgev *);

/*
 * Queue a message: what msg_*_encode() built (consumed; NULL: no payload).
 * fd (-1: none) belongs to the channel from now on.  On a closed channel
 * everything is dropped.  Running out of memory is fatal: these are our own
 * messages, all of them bounded.
 */
void	 imsgev_send(struct imsgev *, uint32_t type, int fd, struct ibuf *);
/* The same without payload and descriptor. */
void	 imsgev_signal(struct imsgev *, uint32_t type);

/* Wait until all that is queued is written or the peer is gone. */
void	 imsgev_flush(struct imsgev *);

#endif /* CCP_IMSGEV_H */
