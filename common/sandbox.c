/* SPDX-License-Identifier: ISC */

/*
 * The steps that take rights away, in their order.  Every process's code;
 * its input is numbers from the parent's configuration.
 */

#include <sys/types.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "landlock.h"
#include "log.h"
#include "sandbox.h"
#include "scmp.h"
#include "spawn.h"

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP	0x02000000
#endif

/* The mount calls of Linux 5.2; libc's headers have them or not. */
#define FS_OPEN_CLOEXEC		1
#define FS_CONFIG_SET_FLAG	0
#define FS_CONFIG_SET_STRING	1
#define FS_CONFIG_CMD_CREATE	6
#define FS_MOUNT_CLOEXEC	1
#define FS_ATTR_RDONLY		0x01
#define FS_ATTR_NOSUID		0x02
#define FS_ATTR_NODEV		0x04
#define FS_ATTR_NOEXEC		0x08
#define FS_MOVE_EMPTY_PATH	0x04

#define CAP_MAX			63	/* what two words can hold */

#ifdef SBX_DEV
#define SBX_PRODUCTION	0
#else
#define SBX_PRODUCTION	1
#endif

static uint32_t	 sbx_root(const struct sbx_conf *, int);
static uint32_t	 sbx_root_pivot(void);
static void	 sbx_root_chroot(int);
static int	 sbx_drop_bounding(uint64_t);
static void	 sbx_set_ids(uid_t, gid_t);
static void	 sbx_set_caps(uint64_t);
static uint64_t	 sbx_get_caps(void);
static uint32_t	 sbx_tie_to_parent(pid_t);
static void	 sbx_set_rlimits(const struct sbx_conf *);
static void	 sbx_rlimit(int, const char *, rlim_t);

int
sbx_args(struct sbx_args *args, int argc, char *argv[])
{
	const char	*errstr;

	if (argc != 5 || sbx_check_socket(SPAWN_CHANNEL_FD) == -1 ||
	    sbx_check_socket(SPAWN_LOG_FD) == -1)
		return (-1);
	log_init_child(SPAWN_LOG_FD, LOGL_WARN);
	args->uid = (uid_t)strtonum(argv[1], 0, UINT32_MAX - 1, &errstr);
	if (errstr == NULL)
		args->gid = (gid_t)strtonum(argv[2], 0, UINT32_MAX - 1,
		    &errstr);
	if (errstr == NULL)
		args->nofile = (uint64_t)strtonum(argv[3], 1, INT32_MAX,
		    &errstr);
	if (errstr == NULL)
		args->rootfd = (int)strtonum(argv[4], -1, SPAWN_ROOT_FD,
		    &errstr);
	if (errstr != NULL)
		fatalx("argument %s", errstr);
	return (0);
}

void
sbx_start(int rootfd)
{
	struct stat	 st;
	int		 first = SPAWN_ROOT_FD;

	if (sbx_check_socket(SPAWN_CHANNEL_FD) == -1 ||
	    sbx_check_socket(SPAWN_LOG_FD) == -1)
		fatalx("not started by cc-proxy");
	if (rootfd != -1) {
		if (rootfd != SPAWN_ROOT_FD || fstat(rootfd, &st) == -1 ||
		    !S_ISDIR(st.st_mode))
			fatalx("descriptor %d is no root directory", rootfd);
		if (fcntl(rootfd, F_SETFD, FD_CLOEXEC) == -1)
			fatal("root directory");
		first++;
	}
	closefrom(first);
}

uint32_t
sbx_enter(const struct sbx_conf *conf)
{
	uint32_t	 layers = 0, land = 0;
	pid_t		 ppid;
	int		 root;

	ppid = getppid();
	root = geteuid() == 0;
	if (sbx_check_socket(SPAWN_CHANNEL_FD) == -1 ||
	    sbx_check_socket(SPAWN_LOG_FD) == -1)
		fatalx("sandbox: no channel to the parent");
	if (root && (conf->uid == 0 || conf->gid == 0))
		fatalx("sandbox: no uid and gid to run as");

	/*
	 * An empty root directory.  Before Landlock, under which nothing can
	 * be mounted, and while there are capabilities.
	 */
	layers |= sbx_root(conf, root);

	/* The bounding set needs CAP_SETPCAP, which goes with the uid. */
	if (root && sbx_drop_bounding(0) == -1)
		fatal("sandbox: bounding set");
	if (root) {
		sbx_set_ids(conf->uid, conf->gid);
		layers |= SBX_UID;
	}
	/* The uid's change has cleared these, but for the inheritable. */
	sbx_set_caps(0);
	if (root)
		layers |= SBX_CAPS;

	/* A change of uid resets both of these. */
	layers |= sbx_tie_to_parent(ppid);

	sbx_set_rlimits(conf);
	layers |= SBX_RLIMIT;

	/* Landlock and seccomp are for processes that cannot gain rights. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fatal("sandbox: no-new-privs");
	layers |= SBX_NNP;

	/*
	 * A second wall behind seccomp: should a descriptor to a directory
	 * or a call slip through, there is no file, port or peer to reach.
	 */
	if (SBX_PRODUCTION) {
		if (landlock_deny_all(&land) == -1)
			fatal("sandbox: landlock");
		layers |= land;
	}

	/* Last: nothing above is in the list. */
	scmp_load_allow(conf->rules);
	if (SBX_PRODUCTION)
		layers |= SBX_SECCOMP;
	return (layers);
}

void
sbx_enter_parent(int is_root, uint64_t keep, const struct sbx_rule *deny)
{
	int	 nnp;

	sbx_rlimit(RLIMIT_CORE, "core", 0);
	if (SBX_PRODUCTION && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("sandbox: dumpable");

	/*
	 * CAP_SYS_ADMIN lets the filter do without no-new-privs, which
	 * would keep a security module from giving the children their
	 * domains at exec.
	 */
	nnp = (sbx_get_caps() & (UINT64_C(1) << CAP_SYS_ADMIN)) == 0;
	scmp_load_deny(deny, nnp);

	if (is_root && sbx_drop_bounding(keep) == -1)
		fatal("sandbox: bounding set");
	sbx_set_caps(sbx_get_caps() & keep);
}

int
sbx_check_socket(int fd)
{
	int		 type;
	socklen_t	 len = sizeof(type);

	return (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len));
}

void
sbx_describe(uint32_t layers, char *buf, size_t size)
{
	static const struct {
		uint32_t	 bit;
		const char	*name;
	} names[] = {
		{ SBX_ROOT,		"root" },
		{ SBX_NAMESPACES,	"namespaces" },
		{ SBX_UID,		"uid" },
		{ SBX_CAPS,		"caps" },
		{ SBX_NODUMP,		"nodump" },
		{ SBX_RLIMIT,		"rlimit" },
		{ SBX_NNP,		"nnp" },
		{ SBX_LANDLOCK,		"landlock" },
		{ SBX_LANDNET,		"landlock-net" },
		{ SBX_LANDSCOPE,	"landlock-scope" },
		{ SBX_SECCOMP,		"seccomp" }
	};
	size_t	 i;

	if (size == 0)
		return;
	buf[0] = '\0';
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((layers & names[i].bit) == 0)
			continue;
		if (buf[0] != '\0')
			(void)strlcat(buf, " ", size);
		(void)strlcat(buf, names[i].name, size);
	}
}

/*
 * No mount point is needed, and when the last process that has it for its
 * root is gone, so is the mount.
 */
int
sbx_empty_root(void)
{
	static const struct {
		const char	*key;
		const char	*value;
	} options[] = {
		{ "size",	"4096" },	/* 0 would be no limit */
		{ "nr_inodes",	"2" },
		{ "mode",	"0555" }
	};
	size_t	 i;
	int	 fs, fd = -1, save;

	if ((fs = (int)syscall(SYS_fsopen, "tmpfs", FS_OPEN_CLOEXEC)) == -1)
		return (-1);
	for (i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (syscall(SYS_fsconfig, fs, FS_CONFIG_SET_STRING,
		    options[i].key, options[i].value, 0) == -1)
			goto done;
	if (syscall(SYS_fsconfig, fs, FS_CONFIG_SET_FLAG, "ro", NULL, 0) == -1)
		goto done;
	if (syscall(SYS_fsconfig, fs, FS_CONFIG_CMD_CREATE, NULL, NULL, 0) ==
	    -1)
		goto done;
	fd = (int)syscall(SYS_fsmount, fs, FS_MOUNT_CLOEXEC, FS_ATTR_RDONLY |
	    FS_ATTR_NOSUID | FS_ATTR_NODEV | FS_ATTR_NOEXEC);
done:
	save = errno;
	(void)close(fs);
	errno = save;
	return (fd);
}

static uint32_t
sbx_root(const struct sbx_conf *conf, int root)
{
	uint32_t	 layers = 0;

	if (root && SBX_PRODUCTION) {
		if (conf->namespaces) {
			layers = sbx_root_pivot();
		} else if (conf->rootfd != -1) {
			sbx_root_chroot(conf->rootfd);
			layers = SBX_ROOT;
		} else
			fatalx("sandbox: no root directory");
	}
	if (conf->rootfd != -1 && close(conf->rootfd) == -1)
		fatal("sandbox: root directory");
	return (layers);
}

/*
 * Processes started while the parent may still mount: not even the mounts
 * of the host are left to be reached.
 */
static uint32_t
sbx_root_pivot(void)
{
	int	 fd;

	/* A unit may forbid the second, which nothing is left to use with. */
	if (unshare(CLONE_NEWNS | CLONE_NEWCGROUP) == -1 &&
	    (errno != EPERM || unshare(CLONE_NEWNS) == -1))
		fatal("sandbox: unshare");
	if ((fd = sbx_empty_root()) == -1)
		fatal("sandbox: empty root");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1) {
		if (errno != EINVAL)
			fatal("sandbox: private mounts");
		/* Started in a chroot there is nothing to pivot. */
		log_warnx("the root directory is no mount point: the "
		    "frontend changes it, but keeps the mounts");
		sbx_root_chroot(fd);
		if (close(fd) == -1)
			fatal("sandbox: root directory");
		return (SBX_ROOT);
	}
	if (syscall(SYS_move_mount, fd, "", AT_FDCWD, "/",
	    FS_MOVE_EMPTY_PATH) == -1)
		fatal("sandbox: mount");
	if (fchdir(fd) == -1 || close(fd) == -1)
		fatal("sandbox: root directory");
	/* The old root ends up on top of the new one; see pivot_root(2). */
	if (syscall(SYS_pivot_root, ".", ".") == -1)
		fatal("sandbox: pivot_root");
	if (umount2(".", MNT_DETACH) == -1)
		fatal("sandbox: old root");
	if (chdir("/") == -1)
		fatal("sandbox: root directory");
	return (SBX_ROOT | SBX_NAMESPACES);
}

/*
 * chroot alone can be left with a descriptor to a directory outside or with
 * CAP_SYS_CHROOT.  The caller closes the one, the later steps take the other.
 */
static void
sbx_root_chroot(int fd)
{
	if (fchdir(fd) == -1 || chroot(".") == -1 || chdir("/") == -1)
		fatal("sandbox: root directory");
}

/* Everything but keep; the ambient set as well.  0, or -1 [errno]. */
static int
sbx_drop_bounding(uint64_t keep)
{
	unsigned long	 cap;

	for (cap = 0; cap <= CAP_MAX; cap++) {
		/* EINVAL: more than the kernel has. */
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == -1)
			break;
		if ((keep & (UINT64_C(1) << cap)) != 0)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1)
			return (-1);
	}
	return (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
}

/* Groups first: without the uid they cannot be changed. */
static void
sbx_set_ids(uid_t uid, gid_t gid)
{
	uid_t	 ruid, euid, suid;
	gid_t	 rgid, egid, sgid;

	if (setgroups(0, NULL) == -1 || setresgid(gid, gid, gid) == -1 ||
	    setresuid(uid, uid, uid) == -1)
		fatal("sandbox: cannot become uid %u gid %u", uid, gid);
	if (getresuid(&ruid, &euid, &suid) == -1 ||
	    getresgid(&rgid, &egid, &sgid) == -1)
		fatal("sandbox: uid");
	if (ruid != uid || euid != uid || suid != uid ||
	    rgid != gid || egid != gid || sgid != gid ||
	    getgroups(0, NULL) != 0 ||
	    setresuid(0, 0, 0) != -1 || setresgid(0, 0, 0) != -1)
		fatalx("sandbox: still privileged");
}

static void
sbx_set_caps(uint64_t caps)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 data[2];

	memset(&hdr, 0, sizeof(hdr));
	memset(data, 0, sizeof(data));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	data[0].effective = data[0].permitted = (uint32_t)caps;
	data[1].effective = data[1].permitted = (uint32_t)(caps >> 32);
	if (syscall(SYS_capset, &hdr, data) == -1)
		fatal("sandbox: capset");
	if (sbx_get_caps() != caps)
		fatalx("sandbox: capabilities left");
}

/* The effective set. */
static uint64_t
sbx_get_caps(void)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 data[2];

	memset(&hdr, 0, sizeof(hdr));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &hdr, data) == -1)
		fatal("sandbox: capget");
	return (data[0].effective | (uint64_t)data[1].effective << 32);
}

/*
 * Other processes of the same uid may not look inside.  The parent may be
 * number 1 of a container, so only a change tells that it is gone; had it
 * gone before ppid was taken, the channel would be at its end.
 */
static uint32_t
sbx_tie_to_parent(pid_t ppid)
{
	if (SBX_PRODUCTION && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		fatal("sandbox: dumpable");
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1)
		fatal("sandbox: parent death signal");
	if (getppid() != ppid)
		fatalx("sandbox: parent is gone");
	return (SBX_PRODUCTION ? SBX_NODUMP : 0);
}

static void
sbx_set_rlimits(const struct sbx_conf *conf)
{
	struct rlimit	 rl;
	rlim_t		 nofile = conf->nofile;

	sbx_rlimit(RLIMIT_CORE, "core", 0);
	sbx_rlimit(RLIMIT_MEMLOCK, "memlock", 0);
	sbx_rlimit(RLIMIT_MSGQUEUE, "msgqueue", 0);
	if (SBX_PRODUCTION) {
		sbx_rlimit(RLIMIT_NPROC, "nproc", 0);
		/* Would kill a process with a regular file to write to. */
		sbx_rlimit(RLIMIT_FSIZE, "fsize", 0);
		if (conf->data != 0)
			sbx_rlimit(RLIMIT_DATA, "data", conf->data);
	}

	/* The parent has raised the hard limit as far as it may. */
	if (getrlimit(RLIMIT_NOFILE, &rl) == -1)
		fatal("sandbox: rlimit nofile");
	if (nofile > rl.rlim_max) {
		log_warnx("sandbox: %llu descriptors instead of %llu",
		    (unsigned long long)rl.rlim_max,
		    (unsigned long long)nofile);
		nofile = rl.rlim_max;
	}
	sbx_rlimit(RLIMIT_NOFILE, "nofile", nofile);
}

static void
sbx_rlimit(int what, const char *name, rlim_t max)
{
	struct rlimit	 rl;

	if (getrlimit((__rlimit_resource_t)what, &rl) == -1)
		fatal("sandbox: rlimit %s", name);
	/* Never more than what it is. */
	rl.rlim_cur = rl.rlim_max = max < rl.rlim_max ? max : rl.rlim_max;
	if (setrlimit((__rlimit_resource_t)what, &rl) == -1)
		fatal("sandbox: rlimit %s", name);
}
