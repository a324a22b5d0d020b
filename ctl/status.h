/* SPDX-License-Identifier: ISC */

/*
 * What the daemon's control socket says, for cc-proxyctl's status, metrics
 * and top.  Texts in it, the ids above all, are chosen by others: they are
 * made visible before they are printed.
 */

#ifndef CCP_STATUS_H
#define CCP_STATUS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "imsg.h"
#include "msg.h"

#define STATUS_UIDS_MAX	1024
#define NEAR_PERCENT	80

struct ctl_conf;

struct status_vm {
	struct msg_ctl_vm	 vm;
	struct msg_ctl_stats	 numbers;
};

struct status {
	struct msg_ctl_daemon	 daemon;
	struct msg_ctl_limits	 limits;
	struct msg_ctl_parent	 parent;
	struct status_vm	*vms;
	size_t			 nvms, room;
	struct msg_ctl_uid	 uids[STATUS_UIDS_MAX];
	size_t			 nuids;
	int			 part;		/* what came last */
};

/* A connection to the control socket. */
struct asker {
	struct imsgbuf		 ibuf;
	int			 fd;
	struct status		*status;	/* of the answer under way */
	const char		*error;		/* after -1 */
};

/* Connects, or ends the program. */
void	 ask_open(struct asker *, const struct ctl_conf *);
/* 0, or -1 with error set.  Closes and frees all. */
int	 ask_try(struct asker *, const struct ctl_conf *);
void	 ask_close(struct asker *);
/* Begin a question; 0, or -1 with error set. */
int	 ask_send(struct asker *);
/*
 * Read some of the answer, waiting for it if there is none.  1: complete, the
 * caller takes it with ask_take(); 0: there is more; -1: error is set.
 */
int	 ask_read(struct asker *);
/* The complete answer, VMs by id; the caller frees it with status_free(). */
struct status *ask_take(struct asker *);
void	 status_free(struct status *);
/* The same VM in another answer, or NULL. */
const struct status_vm *status_find(const struct status *,
	    const struct status_vm *);
/* All of it: the caller frees the answer, or -1 and error. */
int	 ask(const struct ctl_conf *, struct status **, const char **error);

/* limits.c */

/* One limit and who uses how much of it. */
struct use {
	const char	*limit;		/* as in cc-proxy.conf(5) */
	uint64_t	 value, max;
	const struct status_vm *vm;	/* NULL: of no VM */
	const struct msg_ctl_uid *uid;	/* NULL: of no user */
};

struct uses {
	struct use	*list;
	size_t		 n, room;
};

/* Every use of each, highest first; the list is the caller's to free. */
void	 uses_get(struct uses *, const struct status *);
/* The same of one VM. */
void	 uses_vm(struct uses *, const struct status *,
	    const struct status_vm *);
unsigned int use_percent(const struct use *);

/* show.c */

#define SIZE_TEXT	24
/* 1234 as "1.2K"; v as a number if it is small. */
char	*size_text(uint64_t v, char [SIZE_TEXT]);
/* How old the numbers are: "now", "12 s", "none" or "-". */
const char *answer_text(const struct status_vm *, char [SIZE_TEXT]);

/* metrics.c: OpenMetrics text; 0, or -1 if it could not be written. */
int	 metrics_print(FILE *, const struct status *);

/* http.c: one request on stdin is answered on stdout. */
int	 http_serve(const struct ctl_conf *);

#endif /* CCP_STATUS_H */
