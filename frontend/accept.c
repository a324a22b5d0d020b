/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: accepting clients.  When descriptors or places run out it
 * pauses instead of spinning; those who wait stay in the kernel's queue.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"

#define FE_ACCEPT_BURST	64	/* clients taken before others have a turn */

struct fe_listener {
	int			 fd;
	int			 kind;	/* enum msg_listener */
	struct event		 ev;
};

static void	fe_accept(int, short, void *);
static void	fe_accept_resume(int, short, void *);
static int	fe_accept_one(const struct fe_listener *);
static void	fe_accept_failed(int, unsigned int);

static struct fe_listener listeners[FE_LISTENERS_MAX];
static size_t		 nlisteners;
static struct event	 pause_timer;
static int		 said;

int
fe_accept_add(int fd, int kind)
{
	struct fe_listener	*l;

	if (nlisteners == FE_LISTENERS_MAX)
		return (-1);
	l = &listeners[nlisteners++];
	l->fd = fd;
	l->kind = kind;
	if (kind != MSG_LISTEN_CONTROL)
		fenv->nlisteners++;
	return (0);
}

void
fe_accept_start(void)
{
	size_t	 i;

	for (i = 0; i < nlisteners; i++) {
		event_set(&listeners[i].ev, listeners[i].fd,
		    EV_READ | EV_PERSIST, fe_accept, &listeners[i]);
		if (event_add(&listeners[i].ev, NULL) == -1)
			fatal("%s", __func__);
	}
	evtimer_set(&pause_timer, fe_accept_resume, NULL);
}

void
fe_accept_stop(void)
{
	struct fe_listener	*l;
	size_t			 i;

	for (i = 0; i < nlisteners; i++) {
		l = &listeners[i];
		if (l->fd == -1 || l->kind == MSG_LISTEN_CONTROL)
			continue;
		event_del(&l->ev);
		close(l->fd);
		l->fd = -1;
	}
	fenv->nlisteners = 0;
}

static void
fe_accept(int fd, short event, void *arg)
{
	int	 i;

	(void)fd;
	(void)event;
	for (i = 0; i < FE_ACCEPT_BURST; i++)
		if (fe_accept_one(arg) == -1)
			break;
}

static int
fe_accept_one(const struct fe_listener *l)
{
	struct audit_who who;
	struct ucred	 cred;
	socklen_t	 len;
	int		 fd;

	if (l->kind != MSG_LISTEN_CONTROL &&
	    fenv->nunrouted >= fenv->unrouted_max) {
		fe_accept_failed(EMFILE, fenv->unrouted_max);
		return (-1);
	}
	if (!fe_room()) {
		fe_accept_failed(ENOMEM, 0);
		return (-1);
	}
	fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		/* All who waited have been served. */
		if (errno == EAGAIN)
			said = 0;
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED)
			fe_accept_failed(errno, 0);
		return (-1);
	}
	len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		close(fd);
		return (0);
	}
	if (l->kind == MSG_LISTEN_CONTROL) {
		memset(&who, 0, sizeof(who));
		who.uid = cred.uid;
		who.gid = cred.gid;
		who.pid = (uint32_t)cred.pid;
		fe_control_accept(fd, &who);
	} else
		fe_conn_new(fd, l->kind == MSG_LISTEN_CLIENT1 ? MSG_PROTO_1 :
		    MSG_PROTO_3, cred.uid, cred.gid, (uint32_t)cred.pid);
	return (0);
}

/*
 * max: the limit of ours that was reached, which is not one of those who may
 * lift it; 0: it is the system's.
 */
static void
fe_accept_failed(int error, unsigned int max)
{
	struct timeval	 tv = { FE_ACCEPT_PAUSE, 0 };
	struct audit	 a;
	size_t		 i;

	audit_begin(&a, AUDIT_LIMIT_REACHED);
	audit_limit(&a, max != 0 ? "clients" : error == ENOMEM ? "memory" :
	    "descriptors", max);
	if (max == 0)
		audit_str(&a, "reason", log_strerror(error));
	if (!said)
		audit_log_at(&a, fenv->conf.pod ? LOGL_INFO : LOGL_ERROR,
		    "couldn't accept connection: %s", log_strerror(error));
	said = 1;
	for (i = 0; i < nlisteners; i++)
		if (listeners[i].fd != -1 &&
		    (max == 0 || listeners[i].kind != MSG_LISTEN_CONTROL))
			event_del(&listeners[i].ev);
	evtimer_add(&pause_timer, &tv);
}

static void
fe_accept_resume(int fd, short event, void *arg)
{
	struct timeval	 tv = { FE_ACCEPT_PAUSE, 0 };
	size_t		 i;
	int		 paused = 0;

	(void)fd;
	(void)event;
	(void)arg;
	for (i = 0; i < nlisteners; i++)
		if (listeners[i].fd != -1 &&
		    event_add(&listeners[i].ev, NULL) == -1)
			paused = 1;
	if (!paused)
		return;
	for (i = 0; i < nlisteners; i++)
		if (listeners[i].fd != -1)
			event_del(&listeners[i].ev);
	evtimer_add(&pause_timer, &tv);
}
