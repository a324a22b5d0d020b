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

static void	fe_accept(int, short, void *);
static void	fe_accept_resume(int, short, void *);
static int	fe_accept_one(int);
static void	fe_accept_failed(int);

/* One for each listener, in the order of fe_accept_fd(). */
static struct event	 events[3], pause_timer;
static int		 paused;

static int *
fe_accept_fd(size_t i)
{
	int	*fds[] = {
		&fenv->client_fd, &fenv->client1_fd, &fenv->control_fd
	};

	return (fds[i]);
}

void
fe_accept_start(void)
{
	size_t	 i;

	for (i = 0; i < 3; i++) {
		event_set(&events[i], *fe_accept_fd(i), EV_READ | EV_PERSIST,
		    fe_accept, NULL);
		if (*fe_accept_fd(i) != -1)
			event_add(&events[i], NULL);
	}
	evtimer_set(&pause_timer, fe_accept_resume, NULL);
}

void
fe_accept_stop(void)
{
	size_t	 i;

	for (i = 0; i < 3; i++) {
		if (*fe_accept_fd(i) == -1 || fe_accept_fd(i) ==
		    &fenv->control_fd)
			continue;
		event_del(&events[i]);
		close(*fe_accept_fd(i));
		*fe_accept_fd(i) = -1;
	}
}

static void
fe_accept(int fd, short event, void *arg)
{
	int	 i;

	(void)event;
	(void)arg;
	for (i = 0; i < FE_ACCEPT_BURST; i++)
		if (fe_accept_one(fd) == -1)
			break;
}

static int
fe_accept_one(int listener)
{
	struct ucred	 cred;
	socklen_t	 len;
	int		 fd;

	if (listener != fenv->control_fd &&
	    fenv->nunrouted >= fenv->unrouted_max) {
		fe_accept_failed(EMFILE);
		return (-1);
	}
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED)
			fe_accept_failed(errno);
		return (-1);
	}
	len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1) {
		close(fd);
		return (0);
	}
	if (listener == fenv->control_fd)
		fe_control_accept(fd);
	else
		fe_conn_new(fd, listener == fenv->client1_fd ? MSG_PROTO_1 :
		    MSG_PROTO_3, cred.uid, cred.gid, (uint32_t)cred.pid);
	return (0);
}

static void
fe_accept_failed(int error)
{
	struct timeval	 tv = { FE_ACCEPT_PAUSE, 0 };
	size_t		 i;

	log_entry(fenv->conf.pod ? LOGL_INFO : LOGL_ERROR, NULL,
	    "couldn't accept connection: %s", log_strerror(error));
	if (paused)
		return;
	paused = 1;
	for (i = 0; i < 3; i++)
		if (*fe_accept_fd(i) != -1)
			event_del(&events[i]);
	evtimer_add(&pause_timer, &tv);
}

static void
fe_accept_resume(int fd, short event, void *arg)
{
	size_t	 i;

	(void)fd;
	(void)event;
	(void)arg;
	paused = 0;
	for (i = 0; i < 3; i++)
		if (*fe_accept_fd(i) != -1)
			event_add(&events[i], NULL);
}
