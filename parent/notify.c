/* SPDX-License-Identifier: ISC */

/*
 * sd_notify(3) without its library.  Runs in the parent.  The environment is
 * the administrator's, but may be left over from another program; whoever
 * reads the socket may be slow or gone, which must not be felt here.
 *
 * What is to be told is kept until it is sent: the last of each kind counts.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <errno.h>
#include <event.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "notify.h"

#define NOTIFY_RELOADING	0x01	/* is sent before NOTIFY_READY */
#define NOTIFY_READY		0x02
#define NOTIFY_STATUS		0x04
#define NOTIFY_WATCHDOG		0x08
#define NOTIFY_STOPPING		0x10

#define WATCHDOG_USEC_MIN	10000
#define WATCHDOG_USEC_MAX	(INT64_C(366) * 24 * 3600 * 1000000)

static struct {
	int			 fd;
	struct sockaddr_un	 sun;
	socklen_t		 sunlen;
	unsigned int		 pending;
	int			 stopping;
	int			 complained;
	unsigned long long	 reloading;	/* us, monotonic */
	char			 status[200];
	struct event		 writable;
	struct event		 status_timer;
	struct event		 watchdog_timer;
	struct timeval		 watchdog;
} notify = { .fd = -1 };

static int	 notify_address(const char *);
static int	 notify_connect(void);
static int	 notify_send(const char *);
static int	 notify_some(unsigned int);
static void	 notify_flush(void);
static void	 notify_writable(int, short, void *);
static void	 notify_status_timeout(int, short, void *);
static void	 notify_watchdog_init(void);
static void	 notify_watchdog(int, short, void *);

void
notify_init(void)
{
	const char	*name;

	if ((name = getenv("NOTIFY_SOCKET")) == NULL || name[0] == '\0')
		return;
	if (notify_address(name) == -1) {
		log_warnx("NOTIFY_SOCKET is ignored: neither a path nor an "
		    "abstract name");
		return;
	}
	if ((notify.fd = socket(AF_UNIX,
	    SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) == -1) {
		log_warn("no socket for NOTIFY_SOCKET");
		return;
	}
	event_set(&notify.writable, notify.fd, EV_WRITE, notify_writable,
	    NULL);
	evtimer_set(&notify.status_timer, notify_status_timeout, NULL);
	evtimer_set(&notify.watchdog_timer, notify_watchdog, NULL);
	/* It may come later: tried again with everything that is told. */
	if (notify_connect() == -1) {
		log_warn("NOTIFY_SOCKET");
		notify.complained = 1;
	}
	notify_watchdog_init();
}

int
notify_active(void)
{
	return (notify.fd != -1);
}

/* An abstract name has a NUL where it is written with an at sign. */
static int
notify_address(const char *name)
{
	size_t	 len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2 ||
	    len >= sizeof(notify.sun.sun_path))
		return (-1);
	memset(&notify.sun, 0, sizeof(notify.sun));
	notify.sun.sun_family = AF_UNIX;
	memcpy(notify.sun.sun_path, name, len);
	notify.sunlen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
	    len);
	if (name[0] == '@')
		notify.sun.sun_path[0] = '\0';
	else
		notify.sunlen++;
	return (0);
}

/* Connected, it can be waited for until the other side has room. */
static int
notify_connect(void)
{
	return (connect(notify.fd, (const struct sockaddr *)&notify.sun,
	    notify.sunlen));
}

/* 0, or -1 [errno]: EAGAIN says that the other side is only slow. */
static int
notify_send(const char *text)
{
	size_t	 len = strlen(text);
	int	 tries;

	for (tries = 0; tries < 2; tries++) {
		if (send(notify.fd, text, len, MSG_NOSIGNAL) != -1)
			return (0);
		if (errno == EAGAIN || errno == EINTR) {
			errno = EAGAIN;
			return (-1);
		}
		/* Another one may have taken its place. */
		if (tries == 0 && notify_connect() == -1)
			return (-1);
	}
	return (-1);
}

/* Send those of the kinds that are pending, as one message. */
static int
notify_some(unsigned int kinds)
{
	char	 text[sizeof(notify.status) + 128], line[64];

	kinds &= notify.pending;
	text[0] = '\0';
	if ((kinds & NOTIFY_RELOADING) != 0) {
		snprintf(line, sizeof(line),
		    "RELOADING=1\nMONOTONIC_USEC=%llu\n", notify.reloading);
		strlcat(text, line, sizeof(text));
	}
	if ((kinds & NOTIFY_READY) != 0)
		strlcat(text, "READY=1\n", sizeof(text));
	if ((kinds & NOTIFY_STOPPING) != 0)
		strlcat(text, "STOPPING=1\n", sizeof(text));
	if ((kinds & NOTIFY_STATUS) != 0) {
		strlcat(text, "STATUS=", sizeof(text));
		strlcat(text, notify.status, sizeof(text));
		strlcat(text, "\n", sizeof(text));
	}
	if ((kinds & NOTIFY_WATCHDOG) != 0)
		strlcat(text, "WATCHDOG=1\n", sizeof(text));
	if (text[0] != '\0' && notify_send(text) == -1)
		return (-1);
	notify.pending &= ~kinds;
	return (0);
}

/* What cannot be sent now goes with the next that can. */
static void
notify_flush(void)
{
	if (notify.fd == -1)
		return;
	if (notify_some(NOTIFY_RELOADING) == 0 &&
	    notify_some(~0U) == 0) {
		notify.complained = 0;
		event_del(&notify.writable);
		return;
	}
	if (errno == EAGAIN)
		event_add(&notify.writable, NULL);
	else if (!notify.complained) {
		notify.complained = 1;
		log_warn("NOTIFY_SOCKET");
	}
}

static void
notify_writable(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	notify_flush();
}

void
notify_ready(void)
{
	if (notify.stopping)
		return;
	notify.pending |= NOTIFY_READY;
	notify_flush();
}

/* The manager compares the time with that of its own request. */
void
notify_reloading(void)
{
	struct timespec	 ts;

	if (notify.stopping)
		return;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	notify.reloading = (unsigned long long)ts.tv_sec * 1000000 +
	    (unsigned long long)ts.tv_nsec / 1000;
	notify.pending &= ~(unsigned int)NOTIFY_READY;
	notify.pending |= NOTIFY_RELOADING;
	notify_flush();
}

void
notify_stopping(void)
{
	if (notify.fd == -1 || notify.stopping)
		return;
	notify.stopping = 1;
	evtimer_del(&notify.status_timer);
	evtimer_del(&notify.watchdog_timer);
	strlcpy(notify.status, "stopping", sizeof(notify.status));
	notify.pending = NOTIFY_STOPPING | NOTIFY_STATUS;
	notify_flush();
}

void
notify_status(const char *fmt, ...)
{
	struct timeval	 second = { 1, 0 };
	char		 text[sizeof(notify.status)];
	va_list		 ap;

	if (notify.fd == -1 || notify.stopping)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	text[strcspn(text, "\n")] = '\0';
	if (strcmp(text, notify.status) == 0)
		return;
	strlcpy(notify.status, text, sizeof(notify.status));
	notify.pending |= NOTIFY_STATUS;
	if (evtimer_pending(&notify.status_timer, NULL))
		return;
	notify_flush();
	evtimer_add(&notify.status_timer, &second);
}

static void
notify_status_timeout(int fd, short event, void *arg)
{
	struct timeval	 second = { 1, 0 };

	(void)fd;
	(void)event;
	(void)arg;
	if ((notify.pending & NOTIFY_STATUS) == 0)
		return;
	notify_flush();
	if ((notify.pending & NOTIFY_STATUS) == 0)
		evtimer_add(&notify.status_timer, &second);
}

/* Told at half the time, as sd_watchdog_enabled(3) recommends. */
static void
notify_watchdog_init(void)
{
	const char	*errstr, *pid, *usec;
	long long	 half;

	if ((usec = getenv("WATCHDOG_USEC")) == NULL)
		return;
	if ((pid = getenv("WATCHDOG_PID")) != NULL) {
		half = strtonum(pid, 1, INT32_MAX, &errstr);
		if (errstr != NULL) {
			log_warnx("WATCHDOG_PID is %s: no watchdog", errstr);
			return;
		}
		/* The watchdog of the program that started us. */
		if ((pid_t)half != getpid())
			return;
	}
	half = strtonum(usec, WATCHDOG_USEC_MIN, WATCHDOG_USEC_MAX,
	    &errstr) / 2;
	if (errstr != NULL) {
		log_warnx("WATCHDOG_USEC is %s: no watchdog", errstr);
		return;
	}
	notify.watchdog.tv_sec = (time_t)(half / 1000000);
	notify.watchdog.tv_usec = (suseconds_t)(half % 1000000);
	evtimer_add(&notify.watchdog_timer, &notify.watchdog);
}

static void
notify_watchdog(int fd, short event, void *arg)
{
	(void)fd;
	(void)event;
	(void)arg;
	evtimer_add(&notify.watchdog_timer, &notify.watchdog);
	notify.pending |= NOTIFY_WATCHDOG;
	notify_flush();
}
