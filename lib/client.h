/* SPDX-License-Identifier: ISC */

/*
 * A client of cc-proxy's protocol 3.x (cc-proxy-protocol(7)): one handle is
 * one connection.  Used by cc-proxyctl(8) and the tests; it runs in its
 * caller's process and keeps no global state.  Frames from the daemon are
 * bounded and checked; strings and output in them come from the guest and
 * are not to be trusted by whoever prints them.
 *
 * Requests block until the response is there.  Signals, sizes and stdin do
 * not: their bytes are kept in the handle until the socket takes them, and
 * their responses arrive as events.  Frames that arrive while a request
 * waits are kept (CCP_PARKED_MAX) and handed out by ccp_read().
 *
 * Functions that return int give 0, or -1 with a text in ccp_error(),
 * unless said otherwise.  Strings passed in stay the caller's.
 */

#ifndef CCP_CLIENT_H
#define CCP_CLIENT_H

#include <stddef.h>

#define CCP_UNSENT_MAX	(256 * 1024)	/* bytes; then ccp_stdin() refuses */
#define CCP_PARKED_MAX	(4 * 1024 * 1024)	/* bytes kept for ccp_read() */
#define CCP_STDIN_MAX	8192		/* bytes that ccp_stdin() takes */

struct ccp;

enum ccp_event_type {
	CCP_STDOUT,		/* data, len */
	CCP_STDERR,		/* data, len */
	CCP_EXITED,		/* status */
	CCP_ANSWER,		/* to the oldest unanswered signal or size */
	CCP_CLOSED		/* the daemon closed between two frames */
};

struct ccp_event {
	enum ccp_event_type	 type;
	const void		*data;	/* valid until the next call */
	size_t			 len;
	int			 status;	/* 0..255 */
	int			 refused; /* CCP_ANSWER: text in ccp_error() */
};

/* A handle without a connection; NULL [ENOMEM].  ccp_free(NULL) is fine. */
struct ccp	*ccp_new(void);
void		 ccp_free(struct ccp *);

/* Text of the last failure; points into the handle. */
const char	*ccp_error(const struct ccp *);

/*
 * 1 if the last failure was the daemon's answer to a request and the
 * connection goes on, 0 if the connection or the arguments were at fault.
 */
int		 ccp_refused(const struct ccp *);

/*
 * address is a path or unix://path.  While nobody listens there, tries
 * again every 100 ms for timeout_ms (0: one attempt).
 */
int		 ccp_connect(struct ccp *, const char *address,
		    int timeout_ms);

/*
 * For poll(2): POLLIN always, POLLOUT while ccp_unsent() is not 0.  Belongs
 * to the handle; -1 when not connected.
 */
int		 ccp_fd(const struct ccp *);
size_t		 ccp_unsent(const struct ccp *);

/* Writes as much of what is unsent as the socket takes now. */
int		 ccp_flush(struct ccp *);

/*
 * The next event, without blocking: 1 and *ev filled, 0 if there is none
 * yet, -1 on failure.  Call until it returns 0 before polling.
 */
int		 ccp_read(struct ccp *, struct ccp_event *ev);

/*
 * Requests.  console may be NULL.  ntokens tokens are asked for and stored
 * in tokens[]; any other number in the response is a failure.  The caller
 * frees them with ccp_tokens_free(); after a failure there are none.
 */
int		 ccp_register(struct ccp *, const char *id, const char *ctl,
		    const char *io, const char *console, char **tokens,
		    size_t ntokens);
int		 ccp_unregister(struct ccp *, const char *id);
int		 ccp_attach(struct ccp *, const char *id, char **tokens,
		    size_t ntokens);
void		 ccp_tokens_free(char **tokens, size_t ntokens);

/*
 * An agent command.  data is JSON text that reaches the agent unchanged, or
 * NULL.  *reply (NUL terminated behind *replylen bytes; the caller frees)
 * holds the agent's raw answer; reply may be NULL.
 */
int		 ccp_hyper(struct ccp *, const char *name,
		    const char *const *tokens, size_t ntokens,
		    const char *data, char **reply, size_t *replylen);

/* Become the shim of the process that token stands for. */
int		 ccp_connect_shim(struct ccp *, const char *token);

/* Ends being the shim: the daemon answers with CCP_CLOSED only. */
int		 ccp_disconnect_shim(struct ccp *);

/* Shim only; each is answered by one CCP_ANSWER. */
int		 ccp_signal(struct ccp *, int signo);
int		 ccp_winsize(struct ccp *, unsigned int rows,
		    unsigned int columns);

/*
 * Shim only.  len is at most CCP_STDIN_MAX; 0 is end of file.  Fails with
 * EAGAIN in errno while more than CCP_UNSENT_MAX bytes are unsent.
 */
int		 ccp_stdin(struct ccp *, const void *, size_t len);

/*
 * An entry for the daemon's log: source "shim" or "runtime", container or
 * NULL, level "debug", "info", "warn" or "error".
 */
int		 ccp_log(struct ccp *, const char *source,
		    const char *container, const char *level,
		    const char *msg);

#endif /* CCP_CLIENT_H */
