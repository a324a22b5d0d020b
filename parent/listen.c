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

static int	listen_activated(char *, size_t);
static int	listen_mkdir(const char *, char *, size_t);
static int	listen_path(const char *, mode_t, char *, size_t);

int
listen_client(const char *path, int *created, char *err, size_t errsize)
{
	int	 fd;

	*created = 0;
	if ((fd = listen_activated(err, errsize)) != -2)
		return (fd);
	if (listen_mkdir(path, err, errsize) == -1)
		return (-1);
	if ((fd = listen_path(path, 0660, err, errsize)) != -1)
		*created = 1;
	return (fd);
}

int
listen_control(const char *path, char *err, size_t errsize)
{
	return (listen_path(path, 0600, err, errsize));
}

/*
 * sd_listen_fds(3)'s protocol.  -2: not activated; -1: an error in err.
 * The descriptor is moved out of the way of those a child is given.
 */
static int
listen_activated(char *err, size_t errsize)
{
	const char	*errstr, *pid, *fds;
	int		 fd, n;

	if ((pid = getenv("LISTEN_PID")) == NULL ||
	    (fds = getenv("LISTEN_FDS")) == NULL)
		return (-2);
	if ((pid_t)strtonum(pid, 1, INT32_MAX, &errstr) != getpid() ||
	    errstr != NULL)
		return (-2);
	n = (int)strtonum(fds, 1, INT32_MAX - LISTEN_FDS_START, &errstr);
	if (errstr != NULL)
		return (-2);
	if (n > 1) {
		snprintf(err, errsize, "too many activated sockets (%d)", n);
		return (-1);
	}
	fd = fcntl(LISTEN_FDS_START, F_DUPFD_CLOEXEC, 10);
	if (fd == -1 || fcntl(fd, F_SETFL, O_NONBLOCK) == -1) {
		snprintf(err, errsize, "couldn't listen on socket: %s",
		    log_strerror(errno));
		if (fd != -1)
			close(fd);
		return (-1);
	}
	close(LISTEN_FDS_START);
	return (fd);
}

/* The directory of the socket and what is missing above it. */
static int
listen_mkdir(const char *path, char *err, size_t errsize)
{
	char		 dir[MSG_PATH_MAX + 1], *p;
	struct stat	 st;

	strlcpy(dir, path, sizeof(dir));
	p = dirname(dir);
	if (p != dir)
		strlcpy(dir, p, sizeof(dir));
	for (p = dir + 1; ; p++) {
		if (*p != '/' && *p != '\0')
			continue;
		if (*p == '/') {
			*p = '\0';
			if (mkdir(dir, 0750) == -1 && errno != EEXIST)
				goto fail;
			*p = '/';
		} else {
			if (mkdir(dir, 0750) == -1 && errno != EEXIST)
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
listen_path(const char *path, mode_t mode, char *err, size_t errsize)
{
	struct sockaddr_un	 sun;
	const char		*what;
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
	old = umask(0777 & ~mode);
	r = bind(fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(old);
	if (r == -1)
		goto fail;
	what = "couldn't set mode on socket";
	if (chmod(path, mode) == -1)
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
