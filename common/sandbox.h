/* SPDX-License-Identifier: ISC */

/*
 * The steps that take a process's rights away, in their order.  Each
 * process's sandbox_<process>.c names the steps and holds the table of the
 * system calls it needs.
 *
 * A step that fails is fatal.  Without root the steps that need root are
 * left out, and the bits of the layers that are active say so.
 *
 * Built with -DSBX_DEV (sanitizers only) the layers that a sanitizer's
 * runtime cannot live with (root directory, dumpable, DATA, FSIZE and NPROC
 * limits, Landlock, seccomp) are left out.
 */

#ifndef CCP_SANDBOX_H
#define CCP_SANDBOX_H

#include <sys/types.h>

#include <stdint.h>

#include <seccomp.h>

/* Layers, as reported by SETUP_READY. */
#define SBX_ROOT	0x0001	/* empty root directory */
#define SBX_NAMESPACES	0x0002	/* mount and cgroup namespaces of its own */
#define SBX_UID		0x0004	/* not root, no supplementary groups */
#define SBX_CAPS	0x0008	/* no capabilities, empty bounding set */
#define SBX_NODUMP	0x0010	/* not dumpable, dies with the parent */
#define SBX_RLIMIT	0x0020
#define SBX_NNP		0x0040	/* no new privileges */
#define SBX_LANDLOCK	0x0080	/* no file system access at all */
#define SBX_LANDNET	0x0100	/* no TCP bind and connect (ABI 4) */
#define SBX_LANDSCOPE	0x0200	/* no abstract sockets, signals (ABI 6) */
#define SBX_SECCOMP	0x0400	/* allow list, default kill */

struct sbx_conf {
	uid_t		 uid;		/* not 0 if started as root */
	gid_t		 gid;
	int		 rootfd;	/* -1, or to chroot to; is closed */
	int		 namespaces;	/* static children: their own */
	uint64_t	 nofile;	/* RLIMIT_NOFILE */
	uint64_t	 data;		/* RLIMIT_DATA in bytes, 0: no limit */
	const struct sbx_rule *rules;	/* ends with name NULL */
};

/*
 * One line of a list.  Up to three argument comparisons, all of which must
 * hold; write each with the function that needs the call in a comment.  A
 * call is in a list either without comparisons or with them, not both.
 */
enum sbx_action {
	SBX_ALLOW,		/* fatal if the call has no number here */
	SBX_ALLOW_OPT,		/* skipped if it has none */
	SBX_SOFT,		/* refused with err: must be harmless */
	SBX_KILL		/* for the parent's deny list */
};

/* Argument n against all 64 bits of a value, or of those in a mask. */
#define SBX_EQ(n, v)		{ (n), SCMP_CMP_EQ, (v), 0 }
#define SBX_NE(n, v)		{ (n), SCMP_CMP_NE, (v), 0 }
#define SBX_MASK(n, mask, v)	{ (n), SCMP_CMP_MASKED_EQ, (mask), (v) }
#define SBX_CMP_NONE		{ 0, SCMP_CMP_EQ, 0, 0 }

struct sbx_rule {
	const char	*name;
	enum sbx_action	 action;
	int		 err;		/* SBX_SOFT */
	unsigned int	 ncmp;
	struct scmp_arg_cmp cmp[3];
};

/* What every child shares; see scmp.c. */
extern const struct sbx_rule sbx_base[];
extern const struct sbx_rule sbx_soft[];

/* What the parent tells a child: numbers in argv, no secrets. */
struct sbx_args {
	uid_t		 uid;		/* 0 unless started as root */
	gid_t		 gid;
	uint64_t	 nofile;
	int		 rootfd;	/* SPAWN_ROOT_FD, or -1 */
};

/*
 * argv of a child, and its log: 0; -1 if it was not started by the parent;
 * what the parent should not have sent is fatal().
 */
int	 sbx_args(struct sbx_args *, int argc, char *argv[]);

/*
 * First thing in a child's main() after that, before libevent opens
 * anything: 3 and 4 must be sockets, rootfd a directory on 5 or -1; closes
 * all above.  A failure is fatal().
 */
void	 sbx_start(int rootfd);

/*
 * All steps in the order of the manual's SECURITY section, seccomp last.
 * Call after the libraries are warm and before the first foreign byte.
 * Returns the layers that are active; a failure is fatal().
 */
uint32_t sbx_enter(const struct sbx_conf *);

/* 0 if fd is an open socket, else -1.  For 3 and 4 at start. */
int	 sbx_check_socket(int fd);

/* jansson's seed, arc4random, time zone, strerror: before sbx_enter(). */
void	 sbx_warmup(void);

/* The layers as text, for logs: "root uid caps ...". */
void	 sbx_describe(uint32_t layers, char *, size_t);

/*
 * The parent: deny list (inherited by what it starts), small capability set;
 * keep is a bit mask 1<<CAP_*.
 */
void	 sbx_enter_parent(int is_root, uint64_t keep,
	    const struct sbx_rule *deny);

/* A detached, empty, read-only tmpfs; -1 [errno].  Needs CAP_SYS_ADMIN. */
int	 sbx_empty_root(void);

#endif /* CCP_SANDBOX_H */
