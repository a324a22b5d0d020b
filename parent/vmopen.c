/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: connecting to the socket of a VM.  The path is a
 * client's: it is resolved once, must be a socket in one of the directories
 * for them, if there are any, and is connected through the descriptor, so
 * that nothing can be swapped in between.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

struct vmdir {
	char		*path;
	int		 fd;		/* -1: was not there yet */
	uid_t		 owners[CONF_OWNERS_MAX];
	size_t		 nowners;
};

struct vmdirs {
	struct vmdir	*dirs;
	size_t		 n;
};

static struct vmdirs	*vmdirs;	/* in use; NULL: none */

static void	vmdir_open(struct vmdir *);
static struct vmdir *vmdir_find(const char *, const char **);
static int	vmopen_path(const char *, struct vmdir **, const char **);
static int	vmopen_gone(int);
static int	vmopen_check(int, const struct vmdir *, const char **);

struct vmdirs *
vmopen_load(const struct conf_vmdirs *conf)
{
	const struct conf_vmdir	*c;
	struct vmdirs		*v;
	struct vmdir		*d;

	if ((v = calloc(1, sizeof(*v))) == NULL)
		fatal("%s", __func__);
	TAILQ_FOREACH(c, conf, entry) {
		d = reallocarray(v->dirs, v->n + 1, sizeof(*d));
		if (d == NULL)
			fatal("%s", __func__);
		v->dirs = d;
		d = &v->dirs[v->n++];
		if ((d->path = strdup(c->path)) == NULL)
			fatal("%s", __func__);
		memcpy(d->owners, c->owners, sizeof(d->owners));
		d->nowners = c->nowners;
		vmdir_open(d);
		if (d->fd == -1)
			log_warn("vm directory %s", d->path);
	}
	return (v);
}

void
vmopen_drop(struct vmdirs *v)
{
	struct vmdir	*d;

	if (v == NULL)
		return;
	for (; v->n > 0; v->n--) {
		d = &v->dirs[v->n - 1];
		if (d->fd != -1)
			close(d->fd);
		free(d->path);
	}
	free(v->dirs);
	free(v);
}

void
vmopen_switch(struct vmdirs *v)
{
	vmopen_drop(vmdirs);
	vmdirs = v;
}

/* The administrator's path: its links are followed. */
static void
vmdir_open(struct vmdir *d)
{
	struct open_how	 how;

	memset(&how, 0, sizeof(how));
	how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	how.resolve = RESOLVE_NO_MAGICLINKS;
	d->fd = (int)syscall(SYS_openat2, AT_FDCWD, d->path, &how,
	    sizeof(how));
}

/*
 * The directory with most components that has path in it, the later one of
 * two that are the same, and where in path what is relative to it begins.
 */
static struct vmdir *
vmdir_find(const char *path, const char **rest)
{
	struct guestdir	 gd;
	struct vmdir	*found = NULL;
	const char	*p;
	size_t		 i;
	int		 best = -1, n;

	memset(&gd, 0, sizeof(gd));
	for (i = 0; i < vmdirs->n; i++) {
		gd.gd_path = vmdirs->dirs[i].path;
		gd.gd_len = strlen(vmdirs->dirs[i].path);
		if ((n = guestdir_depth(&gd, path, &p)) == -1 || n < best)
			continue;
		best = n;
		found = &vmdirs->dirs[i];
		*rest = p;
	}
	return (found);
}

/* A descriptor that only names what is there, or -1 [errno]. */
static int
vmopen_path(const char *path, struct vmdir **dir, const char **why)
{
	struct open_how	 how;
	const char	*rest;
	int		 at = AT_FDCWD, fd;

	memset(&how, 0, sizeof(how));
	how.flags = O_PATH | O_CLOEXEC;
	how.resolve = RESOLVE_NO_MAGICLINKS;
	*dir = NULL;
	if (vmdirs != NULL && vmdirs->n > 0) {
		if (!guestdir_path_ok(path, strlen(path)) ||
		    (*dir = vmdir_find(path, &rest)) == NULL) {
			*why = "in no vm directory";
			errno = EACCES;
			return (-1);
		}
		if ((*dir)->fd == -1)
			vmdir_open(*dir);
		if ((*dir)->fd == -1)
			return (-1);
		at = (*dir)->fd;
		path = rest;
		how.resolve |= RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	}
	fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));
	if (fd == -1 && *dir != NULL && (errno == ELOOP || errno == EXDEV)) {
		*why = "a link leads there";
		errno = EACCES;
	}
	return (fd);
}

/*
 * Was the name that a descriptor was opened by removed since?  The kernel
 * says so for good: a later name of the same file is another one.
 */
static int
vmopen_gone(int pathfd)
{
	static const char	 deleted[] = " (deleted)";
	char			 link[64], text[PATH_MAX];
	ssize_t			 n;
	size_t			 len = sizeof(deleted) - 1;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", pathfd);
	n = readlink(link, text, sizeof(text));
	return (n == -1 || (size_t)n == sizeof(text) || ((size_t)n >= len &&
	    memcmp(text + (size_t)n - len, deleted, len) == 0));
}

/*
 * Is it a socket that may be connected to?  A second name would make the
 * directory it is in say nothing about who put it there; and the only one
 * must be that in the directory, which it was if it is there afterwards.
 */
static int
vmopen_check(int pathfd, const struct vmdir *d, const char **why)
{
	struct stat	 st;
	size_t		 i;

	if (fstat(pathfd, &st) == -1)
		return (-1);
	if (!S_ISSOCK(st.st_mode)) {
		errno = ECONNREFUSED;
		return (-1);
	}
	if (d == NULL)
		return (0);
	for (i = 0; i < d->nowners && d->owners[i] != st.st_uid; i++)
		;
	if (d->nowners > 0 && i == d->nowners)
		*why = "the socket has another owner";
	else if (st.st_nlink > 1)
		*why = "the socket has another name";
	else if (vmopen_gone(pathfd))
		*why = "the socket was removed";
	else
		return (0);
	errno = EACCES;
	return (-1);
}

int
vmopen_connect(const char *path, const char **why)
{
	struct sockaddr_un	 sun;
	struct vmdir		*dir;
	int			 fd, pathfd, save;

	fd = -1;
	*why = NULL;
	if (path[0] != '/') {
		errno = EINVAL;
		return (-1);
	}
	if ((pathfd = vmopen_path(path, &dir, why)) == -1)
		return (-1);
	if (vmopen_check(pathfd, dir, why) == -1)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d",
	    pathfd);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		goto fail;
	close(pathfd);
	return (fd);

 fail:
	save = errno;
	if (fd != -1)
		close(fd);
	close(pathfd);
	errno = save;
	return (-1);
}
