/* SPDX-License-Identifier: ISC */

/*
 * What the probe's parts share.
 */

#ifndef CCP_PROBE_H
#define CCP_PROBE_H

#include <sys/types.h>

#include <stdint.h>

#define PROBE_NOFILE	100
#define PROBE_ID	65534	/* uid and gid in a sandbox entered as root */

/* Expected: 0 or more for an errno (0: success), or one of these. */
#define P_OK		0
#define P_SIGSYS	(-1)	/* dies */
#define P_SIGSEGV	(-2)
#define P_SIGABRT	(-6)
#define P_I386		(-3)	/* dies, of SIGSEGV if there is no such ABI */
#define P_FOREIGN	(-4)	/* EPERM if the probe's own uid is another */
#define P_NONE		(-5)	/* not tried with this process */

/* Only in that variant. */
#define P_ROOT		0x1
#define P_USER		0x2
/* Only where Landlock has that layer. */
#define P_LANDLOCK	0x4
#define P_LANDNET	0x8
#define P_LANDSCOPE	0x10

/* One thing to try in one kind of process. */
struct probe_line {
	const char	*name;
	int		 expect;
	int		(*fn)(void);	/* -1 [errno]; NULL: the call below */
	long		 nr;
	uintptr_t	 arg[6];
	int		 only;
};

/* One thing to try in all of them. */
enum probe_process { PROBE_CHILD, PROBE_PARENT, PROBE_LAYERS };

struct probe_thing {
	char		 name[64];
	int		 child;		/* expected in frontend and engine */
	int		 root;		/* in a parent that root started */
	int		 user;		/* in another parent */
	int		(*fn)(void);
	long		 nr;
	uintptr_t	 arg[6];
};

struct probe_profile {
	const char	*name;
	/* Applies it; in a process of its own.  Returns the layers. */
	uint32_t	(*enter)(int is_root);
	enum probe_process process;
	/* Lists, each of which ends with name NULL. */
	const struct probe_line	*lines[4];
};

/* Big enough, and zero, for what a call may read or write. */
extern unsigned char	 probe_buf[4096];

extern const struct probe_line	 probe_base[];		/* every child */
extern const struct probe_line	 probe_frontend[];
extern const struct probe_line	 probe_vmengine[];
extern const struct probe_line	 probe_layers[];
extern const struct probe_line	 probe_parent[];

/* What no process is meant to do; n is set. */
const struct probe_thing *probe_things(size_t *n);

/* An empty directory for the engine's root; -1 if not root. */
extern int		 probe_rootfd;

/* A process like an engine, started beside the one that is tried. */
extern pid_t		 probe_sibling;

/* An abstract datagram socket for the others to reach; -1 if there is none. */
int	 probe_listen(void);
int	 probe_send_abstract(int fd);		/* -1 [errno] */
int	 probe_connect_abstract(int fd);	/* -1 [errno] */

uint32_t probe_enter_layers(int);

/* 1 if a 32-bit call works here outside of a sandbox. */
int	 probe_i386(void);

/*
 * Starts a process with the descriptors that spawn() gives, in the sandbox.
 * It sends its layers, then, with a line, the errno of that (or 0), then
 * waits for the end of the channel.  Returns its pid, or -1.
 */
pid_t	 probe_start(const struct probe_profile *, int is_root,
	    const struct probe_line *, int *channel);
int	 probe_receive(int fd, void *, size_t);

/* Such a process seen from outside, and start-up that must fail. */
void	 probe_look(const struct probe_profile *, int is_root);
void	 probe_refusals(int dev);

/* test.h belongs to probe.c. */
void	 probe_test(const char *name);
void	 probe_skip(const char *why);
void	 probe_check(int ok, const char *file, int line, const char *what);

#define CHECK_THAT(cond)	probe_check((cond), __FILE__, __LINE__, #cond)

#endif /* CCP_PROBE_H */
