/* SPDX-License-Identifier: ISC */

/*
 * Mounts of a container, made by its init: the kernel's file systems, and
 * directories, files and disks of the host.  Sources are opened as detached
 * trees before the root changes, and attached after it, when every path is
 * the container's own and no link can lead out.
 */

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define MOUNTS_SHM_SIZE	65536	/* KiB, by default */

struct guest_bind {
	struct guest_bind	*b_next;
	char			*b_path;	/* in the container */
	int			 b_tree;
	int			 b_dir;
	int			 b_ro;
};

static void	bind_add(int, struct guest_bind **, int, const char *, int);
static void	bind_fsmap(struct guest *, int, json_t *,
		    struct guest_bind **);
static void	bind_volume(int, json_t *, size_t, struct guest_bind **);
static int	bind_target(const char *, int);
static void	mounts_mount(int, const char *, const char *, const char *,
		    unsigned long, const char *);
static void	mounts_dev(int, json_t *);

int
guest_mount_private(void)
{
	return (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
}

/* Flags the mount has must be said again. */
int
guest_mount_readonly(const char *path)
{
	struct statvfs	vfs;
	unsigned long	flags = MS_REMOUNT | MS_BIND | MS_RDONLY;

	if (statvfs(path, &vfs) == -1)
		return (-1);
	if ((vfs.f_flag & ST_NOSUID) != 0)
		flags |= MS_NOSUID;
	if ((vfs.f_flag & ST_NODEV) != 0)
		flags |= MS_NODEV;
	if ((vfs.f_flag & ST_NOEXEC) != 0)
		flags |= MS_NOEXEC;
	return (mount(NULL, path, NULL, flags, NULL));
}

int
guest_mkdirs(const char *path, mode_t mode)
{
	char	buf[PATH_MAX], *p;

	if (strlcpy(buf, path, sizeof(buf)) >= sizeof(buf)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	for (p = buf + 1; p[-1] != '\0' && (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		if (mkdir(buf, mode) == -1 && errno != EEXIST)
			return (-1);
		*p = '/';
	}
	if (mkdir(buf, mode) == -1 && errno != EEXIST)
		return (-1);
	return (0);
}

int
guest_mount_disk(int fd, json_t *conf, const char *dir, int readonly)
{
	const char	*fstype;
	char		 path[PATH_MAX];

	if (guest_vm_disk(conf, path, sizeof(path)) == -1)
		return (-1);
	if (guest_mkdirs(dir, 0755) == -1)
		return (-1);
	if ((fstype = guest_json_string(conf, "fstype")) == NULL)
		guest_job_fail(fd, "disk %.100s: no fstype", path);
	return (mount(path, dir, fstype, readonly == 1 ? MS_RDONLY : 0,
	    strcmp(fstype, "xfs") == 0 ? "nouuid" : NULL));
}

struct guest_bind *
guest_binds_open(struct guest *g, int fd, json_t *conf, int ownroot)
{
	struct guest_bind	*first = NULL, **tail = &first;
	json_t			*list, *v;
	size_t			 i;

	if (ownroot == 1 && guest_json_true(guest_json_get(conf,
	    "systemMountsInfo"), "bindMountDev") == 1)
		bind_add(fd, tail, open("/dev", O_PATH | O_CLOEXEC), "/dev",
		    0);
	list = guest_json_get(conf, "volumes");
	json_array_foreach(list, i, v) {
		while (*tail != NULL)
			tail = &(*tail)->b_next;
		if (g->g_vm == 1)
			bind_volume(fd, v, i, tail);
	}
	list = guest_json_get(conf, "fsmap");
	json_array_foreach(list, i, v) {
		while (*tail != NULL)
			tail = &(*tail)->b_next;
		bind_fsmap(g, fd, v, tail);
	}
	while (*tail != NULL)
		tail = &(*tail)->b_next;
	if (g->g_dns == 1 && ownroot == 1)
		bind_add(fd, tail, open(GUEST_VM_RESOLV, O_PATH | O_CLOEXEC),
		    "/etc/resolv.conf", 0);
	return (first);
}

/* src (-1: could not be opened) is consumed. */
static void
bind_add(int fd, struct guest_bind **tail, int src, const char *path, int ro)
{
	struct guest_bind	*b;
	struct stat		 st;

	if (src == -1 || fstat(src, &st) == -1 ||
	    (b = calloc(1, sizeof(*b))) == NULL ||
	    (b->b_path = strdup(path)) == NULL)
		guest_job_fail(fd, "mount %.100s: %s", path, strerror(errno));
	b->b_tree = open_tree(src, "", AT_EMPTY_PATH | OPEN_TREE_CLONE |
	    OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (b->b_tree == -1)
		guest_job_fail(fd, "mount %.100s: %s", path, strerror(errno));
	close(src);
	b->b_dir = S_ISDIR(st.st_mode);
	b->b_ro = ro;
	*tail = b;
}

/* A plain process may be asked for shares that are not there. */
static void
bind_fsmap(struct guest *g, int fd, json_t *v, struct guest_bind **tail)
{
	const char	*source, *path;
	char		 data[PATH_MAX];
	int		 share, src = -1;

	source = guest_json_string(v, "source");
	path = guest_json_string(v, "path");
	if (source == NULL || path == NULL || *path != '/')
		guest_job_fail(fd, "fsmap: no source or path");
	(void)snprintf(data, sizeof(data), "%s%s", source,
	    guest_json_true(v, "dockerVolume") == 1 ? "/_data" : "");
	if (guest_json_true(v, "absolutePath") == 1)
		src = open(data, O_PATH | O_CLOEXEC);
	else if (g->g_sharedir != NULL &&
	    (share = open(g->g_sharedir, O_PATH | O_CLOEXEC)) != -1) {
		src = guest_openat2(share, data, O_PATH, 0);
		close(share);
	}
	if (src != -1 || g->g_vm == 1)
		bind_add(fd, tail, src, path,
		    guest_json_true(v, "readOnly"));
}

static void
bind_volume(int fd, json_t *v, size_t n, struct guest_bind **tail)
{
	static const char	 marker[] = ".hyper_file_volume_data_"
				    "do_not_create_on_your_own";
	const char		*path;
	char			 dir[64];
	int			 vol, data, file, ro;

	path = guest_json_string(v, "mount");
	if (path == NULL || *path != '/')
		guest_job_fail(fd, "volume: no mount");
	(void)snprintf(dir, sizeof(dir), "/run/hyper/volume%zu", n);
	ro = guest_json_true(v, "readOnly");
	if (guest_mount_disk(fd, v, dir, ro) == -1 ||
	    (vol = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		guest_job_fail(fd, "volume %.100s: %s", path, strerror(errno));
	if (ro == 0)
		(void)mkdirat(vol, "_data", 0755);
	data = guest_openat2(vol, "_data", O_PATH | O_DIRECTORY, 0);
	if (data != -1 &&
	    (file = guest_openat2(data, marker, O_PATH, 0)) != -1) {
		close(data);
		data = file;
	}
	close(vol);
	bind_add(fd, tail, data, path, ro);
}

/* With a root of its own the container gets the targets it lacks. */
void
guest_binds_attach(struct guest *g, int fd, struct guest_bind *b, int ownroot)
{
	struct stat	st;

	for (; b != NULL; b = b->b_next) {
		if (ownroot == 1)
			(void)bind_target(b->b_path, b->b_dir);
		else if (g->g_vm == 0 && stat(b->b_path, &st) == -1)
			continue;
		if (move_mount(b->b_tree, "", AT_FDCWD, b->b_path,
		    MOVE_MOUNT_F_EMPTY_PATH) == -1 ||
		    (b->b_ro == 1 && guest_mount_readonly(b->b_path) == -1))
			guest_job_fail(fd, "mount %.100s: %s", b->b_path,
			    strerror(errno));
	}
}

static int
bind_target(const char *path, int dir)
{
	char	buf[PATH_MAX], *p;
	int	fd;

	if (dir == 1)
		return (guest_mkdirs(path, 0755));
	if (strlcpy(buf, path, sizeof(buf)) >= sizeof(buf) ||
	    (p = strrchr(buf, '/')) == NULL)
		return (-1);
	*p = '\0';
	if (p != buf && guest_mkdirs(buf, 0755) == -1)
		return (-1);
	if ((fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK,
	    0644)) == -1)
		return (-1);
	close(fd);
	return (0);
}

static void
mounts_mount(int fd, const char *what, const char *path, const char *type,
    unsigned long flags, const char *data)
{
	if (guest_mkdirs(path, 0755) == -1 ||
	    mount(what, path, type, flags, data) == -1)
		guest_job_fail(fd, "mount %.100s: %s", path, strerror(errno));
}

void
guest_mount_system(int fd, json_t *conf)
{
	json_t	*info = guest_json_get(conf, "systemMountsInfo");

	mounts_mount(fd, "proc", "/proc", "proc",
	    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (guest_mkdirs("/sys", 0755) == 0)
		(void)mount("sysfs", "/sys", "sysfs",
		    MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL);
	if (guest_json_true(info, "bindMountDev") == 0)
		mounts_dev(fd, info);
}

static void
mounts_dev(int fd, json_t *info)
{
	static const struct {
		const char	*path;
		unsigned int	 major, minor;
	} nodes[] = {
		{ "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 },
		{ "/dev/full", 1, 7 }, { "/dev/random", 1, 8 },
		{ "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 }
	};
	static const char *const links[][2] = {
		{ "pts/ptmx", "/dev/ptmx" }, { "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" }
	};
	char	data[64];
	int64_t	size = 0;
	size_t	i;

	mounts_mount(fd, "tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755");
	(void)umask(0);
	for (i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (mknod(nodes[i].path, S_IFCHR | 0666,
		    makedev(nodes[i].major, nodes[i].minor)) == -1)
			guest_job_fail(fd, "%s: %s", nodes[i].path,
			    strerror(errno));
	(void)umask(022);
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlink(links[i][0], links[i][1]) == -1)
			guest_job_fail(fd, "%s: %s", links[i][1],
			    strerror(errno));
	mounts_mount(fd, "devpts", "/dev/pts", "devpts",
	    MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
	if (guest_json_int(info, "devShmSize", &size) != 1 || size <= 0)
		size = (int64_t)MOUNTS_SHM_SIZE * 1024;
	(void)snprintf(data, sizeof(data), "mode=1777,size=%lld",
	    (long long)size);
	mounts_mount(fd, "shm", "/dev/shm", "tmpfs",
	    MS_NOSUID | MS_NODEV | MS_NOEXEC, data);
}
