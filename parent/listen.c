/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the listening sockets: made here, or passed by systemd.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

#define LISTEN_FDS_START	3

#define LISTEN_NAME_1		"proxy1"	/* FileDescriptorName= */
#define LISTEN_NAME_3		"proxy"
#define LISTEN_PATH_1		"cc-oci-runtime"

static int	listen_activated(const struct conf *, struct listener *,
		    size_t *, char *, size_t);
static int	listen_number(void);
static int	listen_proto(const struct conf *, int, const char *);
static int	listen_mkdir(const struct conf_socket *, char *, size_t);
static int	listen_mkdir_one(const char *, uint32_t);
static int	listen_path(const struct conf_socket *, char *, size_t);

int
listen_clients(const struct conf *c,
    struct listener listeners[CONF_LISTENERS_MAX], size_t *n, char *err,
    size_t errsize)
{
	const struct conf_listener	*l;
	size_t				 i;
	int				 fd;

	*n = 0;
	if (listen_number() > 0)
		return (listen_activated(c, listeners, n, err, errsize));
	for (i = 0; i < c->nlisteners; i++) {
		l = &c->listeners[i];
		if (listen_mkdir(&l->sock, err, errsize) == -1 ||
		    (fd = listen_path(&l->sock, err, errsize)) == -1)
			return (-1);
		listeners[*n].fd = fd;
		listeners[*n].proto = l->proto;
		listeners[*n].path = l->sock.path;
		(*n)++;
	}
	return (0);
}

int
listen_control(const struct conf_socket *sock, char *err, size_t errsize)
{
	return (listen_path(sock, err, errsize));
}

/* sd_listen_fds(3)'s protocol; 0: not activated. */
static int
listen_number(void)
{
	const char	*errstr, *pid, *fds;
	int		 n;

	if ((pid = getenv("LISTEN_PID")) == NULL ||
	    (fds = getenv("LISTEN_FDS")) == NULL)
		return (0);
	if ((pid_t)strtonum(pid, 1, INT32_MAX, &errstr) != getpid() ||
	    errstr != NULL)
		return (0);
	n = (int)strtonum(fds, 1, INT32_MAX - LISTEN_FDS_START, &errstr);
	return (errstr != NULL ? 0 : n);
}

/*
 * What the clients of an activated socket speak: by its name among those
 * of LISTEN_FDNAMES if that is one of ours, else by its path.
 */
static int
listen_proto(const struct conf *c, int fd, const char *name)
{
	struct sockaddr_un	 sun;
	socklen_t		 len;
	size_t			 i, n;

	n = name == NULL ? 0 : strcspn(name, ":");
	if (n == strlen(LISTEN_NAME_1) &&
	    strncmp(name, LISTEN_NAME_1, n) == 0)
		return (MSG_PROTO_1);
	if (n == strlen(LISTEN_NAME_3) &&
	    strncmp(name, LISTEN_NAME_3, n) == 0)
		return (MSG_PROTO_3);
	memset(&sun, 0, sizeof(sun));
	len = sizeof(sun) - 1;
	if (getsockname(fd, (struct sockaddr *)&sun, &len) == -1)
		return (MSG_PROTO_3);
	for (i = 0; i < c->nlisteners; i++)
		if (strcmp(c->listeners[i].sock.path, sun.sun_path) == 0)
			return (c->listeners[i].proto);
	return (strstr(sun.sun_path, LISTEN_PATH_1) != NULL ? MSG_PROTO_1 :
	    MSG_PROTO_3);
}

/* The descriptors are moved out of the way of those a child is given. */
static int
listen_activated(const struct conf *c, struct listener *listeners, size_t *n,
    char *err, size_t errsize)
{
	struct listener	*l;
	const char	*name;
	int		 has[MSG_PROTO_MAX] = { 0 };
	int		 i, number;

	name = getenv("LISTEN_FDNAMES");
	if ((number = listen_number()) > MSG_PROTO_MAX)
		goto many;
	for (i = 0; i < number; i++) {
		l = &listeners[*n];
		l->path = NULL;
		l->fd = fcntl(LISTEN_FDS_START + i, F_DUPFD_CLOEXEC, 10);
		if (l->fd == -1 || fcntl(l->fd, F_SETFL, O_NONBLOCK) == -1) {
			snprintf(err, errsize, "couldn't listen on socket: %s",
			    log_strerror(errno));
			return (-1);
		}
		(*n)++;
		l->proto = listen_proto(c, l->fd, name);
		if (has[l->proto]++)
			goto many;
		close(LISTEN_FDS_START + i);
		if (name != NULL && (name = strchr(name, ':')) != NULL)
			name++;
	}
	return (0);

 many:
	snprintf(err, errsize, "too many activated sockets (%d)", number);
	return (-1);
}

/* A directory that we make is for the group that the socket is for. */
static int
listen_mkdir_one(const char *dir, uint32_t gid)
{
	if (mkdir(dir, 0750) == -1)
		return (errno == EEXIST ? 0 : -1);
	return (gid == CONF_ID_NONE ? 0 :
	    lchown(dir, (uid_t)-1, (gid_t)gid));
}

/* The directory of the socket and what is missing above it. */
static int
listen_mkdir(const struct conf_socket *sock, char *err, size_t errsize)
{
	char		 dir[MSG_PATH_MAX + 1], *p;
	struct stat	 st;

	strlcpy(dir, sock->path, sizeof(dir));
	p = dirname(dir);
	if (p != dir)
		strlcpy(dir, p, sizeof(dir));
	for (p = dir + 1; ; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		if (*p == '/') {
			*p = '\0';
			if (listen_mkdir_one(dir, sock->gid) == -1)
				goto fail;
			*p = '/';
		} else {
			if (listen_mkdir_one(dir, sock->gid) == -1)
				goto fail;
			break;
		}
	}
	if (stat(dir, &st) == -1)
		goto fail;
	if (S_ISDIR(st.st_mode))
		return (0);
	errno = ENOTDIR;

 fail:
	snprintf(err, errsize, "couldn't create socket directory: mkdir %s: "
	    "%s", dir, log_strerror(errno));
	return (-1);
}

static int
listen_path(const struct conf_socket *sock, char *err, size_t errsize)
{
	struct sockaddr_un	 sun;
	const char		*path = sock->path, *what;
	mode_t			 old;
	int			 fd, r;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	strlcpy(sun.sun_path, path, sizeof(sun.sun_path));
	what = "couldn't remove exiting socket";
	fd = -1;
	if (remove(path) == -1 && errno != ENOENT)
		goto fail;
	what = "couldn't create AF_UNIX socket";
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	/* No window in which others might connect. */
	old = umask(0777 & ~sock->mode);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (r == -1)
		goto fail;
	what = "couldn't set owner of socket";
	if ((sock->uid != CONF_ID_NONE || sock->gid != CONF_ID_NONE) &&
	    lchown(path, sock->uid == CONF_ID_NONE ? (uid_t)-1 : sock->uid,
	    sock->gid == CONF_ID_NONE ? (gid_t)-1 : sock->gid) == -1)
		goto fail;
	what = "couldn't set mode on socket";
	if (chmod(path, sock->mode) == -1)
		goto fail;
	what = "couldn't create AF_UNIX socket";
	if (listen(fd, SOMAXCONN) == -1)
		goto fail;
	return (fd);

 fail:
	snprintf(err, errsize, "%s: %s: %s", what, path, log_strerror(errno));
	if (fd != -1)
		close(fd);
	return (-1);
}
