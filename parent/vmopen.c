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

/* Where a socket is. */
struct place {
	struct vmdir	*dir;		/* NULL: there are none */
	const char	*name;		/* in in */
	int		 in;		/* the directory; -1 without dir */
	int		 fd;		/* names the socket */
};

static struct vmdirs	*vmdirs;	/* in use; NULL: none */

static void	vmdir_open(struct vmdir *);
static struct vmdir *vmdir_find(const char *, const char **);
static int	vmopen_at(int, const char *, uint64_t, uint64_t);
static int	vmopen_beneath(struct place *, const char *, const char **);
static void	vmopen_close(struct place *);
static int	vmopen_where(int, char *, size_t);
static int	vmopen_sole(const struct place *, const struct stat *);
static int	vmopen_check(const struct place *, const char **);

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
	d->fd = vmopen_at(AT_FDCWD, d->path, O_DIRECTORY, 0);
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
vmopen_at(int at, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how	 how;

	memset(&how, 0, sizeof(how));
	how.flags = O_PATH | O_CLOEXEC | flags;
	how.resolve = RESOLVE_NO_MAGICLINKS | resolve;
	return ((int)syscall(SYS_openat2, at, path, &how, sizeof(how)));
}

/* The directory that the socket is in, and then the socket.  0, or -1. */
static int
vmopen_beneath(struct place *pl, const char *path, const char **why)
{
	const uint64_t	 resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
	const char	*rest, *slash;
	char		 dir[MSG_SUN_MAX + 1] = ".";

	if (!guestdir_path_ok(path, strlen(path)) ||
	    (pl->dir = vmdir_find(path, &rest)) == NULL) {
		*why = "in no vm directory";
		errno = EACCES;
		return (-1);
	}
	if (pl->dir->fd == -1)
		vmdir_open(pl->dir);
	if (pl->dir->fd == -1)
		return (-1);
	pl->name = rest;
	if ((slash = strrchr(rest, '/')) != NULL) {
		strlcpy(dir, rest, sizeof(dir));
		dir[slash - rest] = '\0';
		pl->name = slash[1] == '\0' ? "." : slash + 1;
	}
	pl->in = vmopen_at(pl->dir->fd, dir, O_DIRECTORY, resolve);
	if (pl->in != -1)
		pl->fd = vmopen_at(pl->in, pl->name, 0, resolve);
	if (pl->fd != -1)
		return (0);
	if (errno == ELOOP || errno == EXDEV) {
		*why = "a link leads there";
		errno = EACCES;
	}
	return (-1);
}

static void
vmopen_close(struct place *pl)
{
	int	 save = errno;

	if (pl->fd != -1)
		close(pl->fd);
	if (pl->in != -1)
		close(pl->in);
	errno = save;
}

/* Where it is now, as the kernel tells.  0, or -1. */
static int
vmopen_where(int fd, char *text, size_t size)
{
	char	 link[64];
	ssize_t	 n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, text, size);
	if (n == -1 || (size_t)n >= size)
		return (-1);
	text[n] = '\0';
	return (0);
}

/*
 * Is the name that was looked up the only one?  It was the one that was
 * counted if it is there still, in the same directory: a name that was
 * removed never comes back, another of the same file is a new one.  A removal
 * counts the file down before the name goes, but holds the directory; so does
 * to look for what nobody has looked for yet.
 */
static int
vmopen_sole(const struct place *pl, const struct stat *st)
{
	char	 where[PATH_MAX], is[PATH_MAX], name[64];
	int	 fd;

	if (st->st_nlink != 1)
		return (0);
	snprintf(name, sizeof(name), ".cc-proxy-%08x%08x%08x", arc4random(),
	    arc4random(), arc4random());
	if ((fd = vmopen_at(pl->in, name, 0, RESOLVE_NO_SYMLINKS)) != -1) {
		close(fd);
		return (0);
	}
	return (errno == ENOENT &&
	    vmopen_where(pl->in, where, sizeof(where)) == 0 &&
	    strlcat(where, "/", sizeof(where)) < sizeof(where) &&
	    strlcat(where, pl->name, sizeof(where)) < sizeof(where) &&
	    vmopen_where(pl->fd, is, sizeof(is)) == 0 &&
	    strcmp(is, where) == 0);
}

/*
 * Is it a socket that may be connected to?  A second name would make the
 * directory it is in say nothing about who put it there.
 */
static int
vmopen_check(const struct place *pl, const char **why)
{
	const struct vmdir	*d = pl->dir;
	struct stat		 st;
	size_t			 i;

	if (fstat(pl->fd, &st) == -1)
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
	else if (!vmopen_sole(pl, &st))
		*why = "the socket has another name";
	else
		return (0);
	errno = EACCES;
	return (-1);
}

int
vmopen_connect(const char *path, const char **why)
{
	struct place		 pl = { NULL, NULL, -1, -1 };
	struct sockaddr_un	 sun;
	int			 fd = -1, save;

	*why = NULL;
	if (path[0] != '/') {
		errno = EINVAL;
		return (-1);
	}
	if (vmdirs == NULL || vmdirs->n == 0)
		pl.fd = vmopen_at(AT_FDCWD, path, 0, 0);
	else if (vmopen_beneath(&pl, path, why) == -1)
		goto fail;
	if (pl.fd == -1 || vmopen_check(&pl, why) == -1)
		goto fail;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d",
	    pl.fd);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		goto fail;
	vmopen_close(&pl);
	return (fd);

 fail:
	save = errno;
	if (fd != -1)
		close(fd);
	errno = save;
	vmopen_close(&pl);
	return (-1);
}
