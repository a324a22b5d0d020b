/* SPDX-License-Identifier: ISC */

/*
 * Everybody an engine talks to, played by the bytes of a fuzzer: the parent,
 * the frontend, the clients and the guest.  They judge what the engine says
 * to them: BUG() ends the run.
 */

#ifndef CCP_PLAY_H
#define CCP_PLAY_H

#include <stddef.h>
#include <stdint.h>

#include "msg.h"

#define CLIENTS_MAX	12
#define BUG(...)	play_bug(__FILE__, __LINE__, __VA_ARGS__)

/* What is left of the fuzzer's bytes; at the end there are zeros. */
struct input {
	const uint8_t	*p;
	size_t		 len;
};
uint8_t	 in_u8(struct input *);
/* At most max bytes, as many as the next byte says. */
const uint8_t *in_bytes(struct input *, size_t max, size_t *len);

enum client_state {
	CL_HALF,		/* its hand-over is not complete */
	CL_GIVEN,		/* the engine has not taken it */
	CL_TAKEN,
	CL_CLOSED,		/* by the engine */
	CL_IO			/* a descriptor of a 1.x client */
};

/* What was read of a stream of messages: a header, then its payload. */
struct reader {
	uint8_t		 hdr[12];
	size_t		 have, skip;
};

struct client {
	uint32_t	 connid;
	int		 fd;		/* -1: closed by the client */
	int		 proto;
	enum client_state state;
	uint32_t	 ask;		/* type of its question, or 0 */
	uint32_t	 nask;		/* tokens it asks for */
	struct reader	 rd;
};

/* A command the guest has read and not answered. */
struct command {
	uint32_t	 code;
	size_t		 len;
};

struct world {
	int		 honest;	/* the frontend keeps the rules */
	int		 auto_guest, auto_clients;	/* read at once */
	int		 small_guest, small_clients;	/* little buffers */
	int		 hyperstart;	/* what NEXT looks like */
	size_t		 cut;		/* writes are in pieces */
	int		 up, lost, error, closed;	/* for the frontend */
	int		 parent_fd, frontend_fd;
	unsigned int	 nstats;	/* questions without an answer yet */
	struct imsgbuf	 parent, frontend;
	struct msg_vm_conf conf;
	uint32_t	 generation;
	unsigned int	 nacks;		/* so far */
	int		 loaded;	/* a configuration to be used or not */
	int		 ctl, io, console;
	struct reader	 io_rd;
	uint8_t		 cmd[8];
	size_t		 cmdhave, cmdskip;
	struct command	 cmds[64];
	unsigned int	 ncmds;
	struct client	 clients[CLIENTS_MAX];
	unsigned int	 nclients;
	uint32_t	 connid;
};
/* Memory may be missing, and does while the engine runs. */
extern int		 play_memoryless, play_armed;

extern struct world	 w;

/* Of the engine's side. */
void	 engine_run(void);	/* all that can be done without waiting */
int	 engine_over(void);
void	 engine_time(uint64_t ms);
void	 engine_conf(struct msg_vm_conf *);	/* little limits */
__attribute__((__noreturn__, __format__(printf, 3, 4)))
void	 play_bug(const char *, int, const char *, ...);

/* The parent's set-up; returns the engine's end of its channel. */
int	 play_init(struct input *);
void	 play_step(struct input *);
/* Read what the engine said to the frontend. */
void	 play_hear(void);
/* Everybody answers and reads. */
void	 play_oblige(void);
/* Everybody goes; later the engine's last words are judged. */
void	 play_leave(void);
void	 play_end(void);

/* Of one player each; see play_step(). */
void	 client_step(struct input *, unsigned int op);
void	 client_add(struct input *);
void	 client_read(struct client *, size_t max);
void	 client_leave(struct client *);
void	 guest_step(struct input *, unsigned int op);
void	 guest_read(size_t max);
void	 guest_oblige(void);

/* Write without waiting; what does not fit is lost. */
void	 play_put(int fd, const void *, size_t);
void	 play_send(struct imsgbuf *, uint32_t type, int fd, struct ibuf *);
void	 play_pair(int sv[2], int small);
const char *play_token(unsigned int);	/* was minted, or will be */
int	 play_mint(char (*)[TOKEN_SIZE], uint32_t n);
void	 play_text(char *, size_t, const char *tmpl, unsigned int arg);

#endif /* CCP_PLAY_H */
