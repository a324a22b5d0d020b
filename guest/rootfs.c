/* SPDX-License-Identifier: ISC */

/*
 * The init of a container with namespaces of its own: makes the root, takes
 * it as its own, mounts what belongs there, says that it is ready, and then
 * only exists.  It is killed when the container ends.
 *
 * Paths of images and mounts come from the host, what they lead to is the
 * container's: they are resolved so that no link leads out.
 */

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"

#define ROOTFS_DISK	"/run/hyper/disk"

static int	rootfs_open(struct guest *, int, json_t *);
static void	rootfs_enter(int, int);
static void	rootfs_files(int, json_t *);
static void	rootfs_sysctl(int, json_t *);

int
guest_openat2(int dirfd, const char *path, int flags, int mode)
{
	struct open_how	how;

	memset(&how, 0, sizeof(how));
	how.flags = (uint64_t)(flags | O_CLOEXEC);
	how.mode = (uint64_t)mode;
	how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
	return ((int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how)));
}

void
guest_rootfs_init(struct guest *g, int fd, struct guest_cont *c)
{
	struct guest_bind	*binds;
	json_t			*conf = c->k_conf;
	int			 root, i, null;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "ccp-guest-init");
	if ((null = open("/dev/null", O_RDWR)) == -1)
		guest_job_fail(fd, "init: %s", strerror(errno));
	for (i = 0; i < 3; i++)
		(void)dup2(null, i);
	if (fd != 3 && dup2(fd, 3) == -1)
		_exit(125);
	fd = 3;
	closefrom(4);
	if (setsid() == -1 || guest_mount_private() == -1)
		guest_job_fail(fd, "init: %s", strerror(errno));
	if (g->g_hostname != NULL &&
	    sethostname(g->g_hostname, strlen(g->g_hostname)) == -1)
		guest_job_fail(fd, "hostname: %s", strerror(errno));
	root = rootfs_open(g, fd, conf);
	binds = guest_binds_open(g, fd, conf, root != -1);
	if (root != -1) {
		rootfs_enter(fd, root);
		guest_mount_system(fd, conf);
		rootfs_files(fd, conf);
	} else if (mount("proc", "/proc", "proc",
	    MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == -1)
		guest_job_fail(fd, "mount /proc: %s", strerror(errno));
	guest_binds_attach(g, fd, binds, root != -1);
	if (g->g_vm == 1)
		rootfs_sysctl(fd, guest_json_get(conf, "sysctl"));
	if (root != -1 && guest_json_true(conf, "readOnly") == 1 &&
	    guest_mount_readonly("/") == -1)
		guest_job_fail(fd, "read-only root: %s", strerror(errno));
	/* Strays are reaped by the kernel. */
	(void)signal(SIGCHLD, SIG_IGN);
	if (chdir("/") == -1)
		guest_job_fail(fd, "root: %s", strerror(errno));
	guest_job_ready(fd);
	closefrom(3);
	for (;;)
		(void)pause();
}

/*
 * The image below the share, or in a VM on a disk; else the root directory
 * we were given; else -1, our own root.  In a VM an image that was named
 * must be there.
 */
static int
rootfs_open(struct guest *g, int fd, json_t *conf)
{
	const char	*image, *sub;
	int		 dir = -1, share, root;

	image = guest_json_string(conf, "image");
	sub = guest_json_string(conf, "rootfs");
	if (image == NULL)
		image = "";
	if (g->g_vm == 1 && guest_json_string(conf, "fstype") != NULL) {
		if (guest_mount_disk(fd, conf, ROOTFS_DISK,
		    guest_json_true(conf, "readOnly")) == -1)
			guest_job_fail(fd, "image %.100s: %s", image,
			    strerror(errno));
		dir = open(ROOTFS_DISK, O_PATH | O_DIRECTORY | O_CLOEXEC);
	} else if (g->g_sharedir != NULL && *image != '\0') {
		share = open(g->g_sharedir, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (share != -1)
			dir = guest_openat2(share, image,
			    O_PATH | O_DIRECTORY, 0);
		if (dir == -1 && share != -1 && g->g_vm == 1)
			guest_job_fail(fd, "image %.100s: %s", image,
			    strerror(errno));
	}
	if (dir != -1) {
		root = guest_openat2(dir, sub != NULL && *sub != '\0' ? sub :
		    ".", O_PATH | O_DIRECTORY, 0);
		if (root != -1)
			return (root);
		if (g->g_vm == 1)
			guest_job_fail(fd, "rootfs %.100s: %s", sub,
			    strerror(errno));
	}
	if (g->g_rootdir == NULL)
		return (-1);
	root = open(g->g_rootdir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root == -1)
		guest_job_fail(fd, "root %.100s: %s", g->g_rootdir,
		    strerror(errno));
	return (root);
}

/*
 * A root must be a mount of its own.  Where the old root is the kernel's
 * initial one, which cannot be pivoted away, the new one is moved over it.
 */
static void
rootfs_enter(int fd, int root)
{
	char	link[32], path[PATH_MAX];
	ssize_t	n;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	if ((n = readlink(link, path, sizeof(path) - 1)) == -1)
		guest_job_fail(fd, "root: %s", strerror(errno));
	path[n] = '\0';
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == -1 ||
	    chdir(path) == -1)
		guest_job_fail(fd, "root %.100s: %s", path, strerror(errno));
	if (syscall(SYS_pivot_root, ".", ".") == 0) {
		if (umount2(".", MNT_DETACH) == -1)
			guest_job_fail(fd, "old root: %s", strerror(errno));
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) == -1 ||
	    chroot(".") == -1)
		guest_job_fail(fd, "root %.100s: %s", path, strerror(errno));
	if (chdir("/") == -1)
		guest_job_fail(fd, "root: %s", strerror(errno));
	(void)umask(022);
}

/* What "initialize" asks for; a read-only image stays as it is. */
static void
rootfs_files(int fd, json_t *conf)
{
	static const char *const files[] = { "/etc/hosts", "/etc/hostname",
	    "/etc/resolv.conf" };
	const char	*dir;
	size_t		 i;
	int		 f;

	if (guest_json_true(conf, "initialize") == 0 ||
	    guest_json_true(conf, "readOnly") == 1)
		return;
	(void)guest_mkdirs("/etc", 0755);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if ((f = open(files[i], O_WRONLY | O_CREAT | O_CLOEXEC |
		    O_NOFOLLOW, 0644)) != -1)
			close(f);
	dir = guest_json_string(guest_json_get(conf, "process"), "workdir");
	if (dir != NULL && *dir == '/' && guest_mkdirs(dir, 0755) == -1)
		guest_job_fail(fd, "workdir %.100s: %s", dir, strerror(errno));
}

static void
rootfs_sysctl(int fd, json_t *list)
{
	char		 path[PATH_MAX], *p;
	const char	*name, *text;
	json_t		*v;
	int		 f;

	json_object_foreach(list, name, v) {
		(void)snprintf(path, sizeof(path), "/proc/sys/%s", name);
		for (p = path + strlen("/proc/sys/"); *p != '\0'; p++)
			if (*p == '.')
				*p = '/';
		if ((text = json_string_value(v)) == NULL)
			text = "";
		if ((f = open(path, O_WRONLY | O_CLOEXEC)) == -1 ||
		    write(f, text, strlen(text)) == -1)
			guest_job_fail(fd, "sysctl %.100s: %s", name,
			    strerror(errno));
		close(f);
	}
}
