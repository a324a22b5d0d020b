/* SPDX-License-Identifier: ISC */

/*
 * The processes that the benchmark starts: the daemon, agents, and a relay.
 * They end when the process that started them does.  Errors end the program
 * with a text.
 */

#ifndef CCP_BENCH_H
#define CCP_BENCH_H

#include <sys/types.h>

#include <stddef.h>

#define PEER_READ	(64 * 1024)	/* bytes of one read() */
#define PEER_HEADER	12	/* bytes; of a frame, and of an I/O message */

/*
 * What an agent does when it is told [op,size,count] by writefile, after it
 * has acknowledged.  Else it sends back what comes on the I/O channel.
 */
enum peer_op {
	PEER_FLOOD,	/* write count messages with size bytes each */
	PEER_SINK	/* read as many, then write one with one byte */
};

struct ccp;

struct proxy {
	pid_t	 pid;
	char	 path[100];
};

struct peer_vm {
	char	 id[16];
	char	 ctl[108];
	char	 io[108];
	pid_t	 agent;
};

struct peer_relay {
	int	 ctl;		/* of the agent, directly */
	int	 io;		/* of the agent, through the relay */
};

/* The daemon from the directory build, listening in dir, where its log is. */
void		 proxy_start(struct proxy *, const char *build,
		    const char *dir);
void		 proxy_stop(struct proxy *);

/* A connection of the caller's. */
struct ccp	*proxy_client(const struct proxy *);

/* Start the process of that token, whose shim is connected. */
void		 proxy_process(struct ccp *, const char *token, size_t n);

/*
 * The handle's connection as a descriptor that blocks; the handle is gone.
 * What is measured must be the daemon, not the client module.
 */
int		 proxy_detach(struct ccp *);

/* Removes the directory; if told so, shows the log before. */
void		 proxy_clean(const char *dir, int show);

/* The daemon's child of that name. */
pid_t		 proxy_child(const struct proxy *, const char *comm);

/* KiB that are no other process's as well; -1 if we may not know. */
long		 proxy_memory(pid_t);

/* An agent of its own process behind sockets in dir; it is not READY yet. */
void		 peer_vm_start(struct peer_vm *, const char *dir,
		    const char *id);
void		 peer_vm_stop(struct peer_vm *);

/* An agent, READY, and a process for each direction. */
void		 peer_relay_start(struct peer_relay *);

/* All of it; fewer bytes are an error. */
void		 peer_write(int fd, const void *, size_t);
void		 peer_read(int fd, void *, size_t);

#endif /* CCP_BENCH_H */
