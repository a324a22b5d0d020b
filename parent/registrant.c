/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: who asks for a VM.  The frontend may have been taken
 * over: it is believed nothing, but has to show the client's connection.
 * What it could show instead are sockets that it was given by us, whose
 * credentials are root's: a channel, a listener, a connection of the
 * control socket.  None of them is a connection at a listener's name.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "parent.h"

#define REGISTRANT_LOG_MAX	100	/* lines a second about refusals */

struct name {
	struct sockaddr_un	 sun;
	socklen_t		 len;
	int			 proto;
};

static struct name	 names[CONF_LISTENERS_MAX];
static size_t		 nnames;

static int	registrant_option(int, int);
static int	registrant_name(int, struct name *);

static int
registrant_option(int fd, int option)
{
	socklen_t	 len = sizeof(int);
	int		 v;

	if (getsockopt(fd, SOL_SOCKET, option, &v, &len) == -1)
		return (-1);
	return (v);
}

/* A socket without a name has the length of the family alone. */
static int
registrant_name(int fd, struct name *n)
{
	memset(n, 0, sizeof(*n));
	n->len = sizeof(n->sun);
	if (getsockname(fd, (struct sockaddr *)&n->sun, &n->len) == -1 ||
	    n->len <= offsetof(struct sockaddr_un, sun_path) ||
	    n->len > sizeof(n->sun))
		return (-1);
	return (0);
}

void
registrant_listener(int fd, int proto)
{
	if (nnames == CONF_LISTENERS_MAX ||
	    registrant_name(fd, &names[nnames]) == -1)
		fatalx("%s: listener %d", __func__, fd);
	names[nnames++].proto = proto;
}

int
registrant_cred(int fd, int proto, struct ucred *cred)
{
	struct name	 n;
	socklen_t	 len = sizeof(*cred);
	size_t		 i;

	if (registrant_option(fd, SO_DOMAIN) != AF_UNIX ||
	    registrant_option(fd, SO_TYPE) != SOCK_STREAM ||
	    registrant_option(fd, SO_ACCEPTCONN) != 0 ||
	    registrant_name(fd, &n) == -1)
		return (-1);
	for (i = 0; i < nnames; i++)
		if (names[i].proto == proto && names[i].len == n.len &&
		    memcmp(&names[i].sun, &n.sun, n.len) == 0)
			break;
	if (i == nnames ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == -1 ||
	    len != sizeof(*cred) || cred->uid == (uid_t)-1)
		return (-1);
	return (0);
}

void
registrant_log(const char *fmt, ...)
{
	static unsigned int	 nlines, ndropped;
	static time_t		 second;
	struct timespec		 now;
	va_list			 ap;
	char			*text;
	int			 n;

	if (clock_gettime(CLOCK_MONOTONIC, &now) == -1)
		fatal("clock_gettime");
	if (now.tv_sec != second) {
		if (ndropped > 0)
			log_warnx("%u more registrations were refused",
			    ndropped);
		second = now.tv_sec;
		nlines = ndropped = 0;
	}
	if (nlines++ >= REGISTRANT_LOG_MAX) {
		ndropped++;
		return;
	}
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1)
		fatal("%s", __func__);
	log_warnx("%s", text);
	free(text);
}

void
registrant_denied(const struct ucred *cred, const char *id, const char *path,
    const char *why)
{
	registrant_log(POLICY_DENIED ": register %s, uid %u, gid %u, pid %d"
	    "%s%s%s%s", id, cred->uid, cred->gid, (int)cred->pid,
	    path == NULL ? "" : ", ", path == NULL ? "" : path,
	    path == NULL ? "" : ": ", path == NULL ? "" : why);
}
