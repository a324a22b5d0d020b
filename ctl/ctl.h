/* SPDX-License-Identifier: ISC */

/*
 * What the files of cc-proxyctl share.  The tool runs with its user's own
 * rights; texts from the daemon, the agents and their containers are not
 * trusted and are made visible before they reach a terminal, except for the
 * output of a process that the user asked to see.
 */

#ifndef CCP_CTL_H
#define CCP_CTL_H

#include <stddef.h>

#ifndef CCP_VERSION
#define CCP_VERSION	"unknown"
#endif
#ifndef CCP_SOCKETPATH
#define CCP_SOCKETPATH	"/var/run/clear-containers/proxy.sock"
#endif

struct ccp;

struct ctl_conf {
	const char	*socket;	/* path or unix://path */
	int		 json;		/* status: JSON instead of a table */
};

/* cc-proxyctl.c */

/* "cc-proxyctl: ..." on stderr; the second ends the program with 1. */
void	 ctl_warnx(const char *, ...)
	    __attribute__((__format__(printf, 1, 2)));
__attribute__((__noreturn__, __format__(printf, 1, 2)))
void	 ctl_errx(const char *, ...);
__attribute__((__noreturn__))
void	 ctl_usage(void);

/* Text for a terminal, one line; malloc'd, the caller frees. */
char	*ctl_visible(const char *, size_t);

/* A connected handle, the caller's; or the end of the program. */
struct ccp *ctl_open(const struct ctl_conf *);
/* ask.c: the control socket, a descriptor; or -1 and why not. */
int	 ctl_control(const struct ctl_conf *, const char **error);

/*
 * The subcommands.  argv[0] is the subcommand's name; they return the
 * program's exit status.
 */
int	 ctl_status(const struct ctl_conf *, int, char **);	/* show.c */
int	 ctl_reload(const struct ctl_conf *, int, char **);	/* reload.c */
int	 ctl_metrics(const struct ctl_conf *, int, char **);	/* metrics.c */
int	 ctl_top(const struct ctl_conf *, int, char **);	/* top.c */
int	 ctl_run(const struct ctl_conf *, int, char **);	/* run.c */

/* session.c */

struct session {
	struct ccp	*shim;		/* connected as the process's shim */
	int		 terminal;	/* the process has a terminal */
	int		 interactive;	/* our stdin goes to it */
	int		 first;		/* it is its container's first */
	int		 exited;	/* result: it ended by itself */
};

/*
 * Connect this program's stdin, stdout, stderr and signals to a process
 * that has been started, until it ends.  Returns its status, or what else
 * this program is to exit with.  The shim connection has then been ended.
 */
int	 session_run(struct session *);

/* Tell the daemon that the shim goes, and wait until it knows. */
void	 session_end(struct ccp *);

/* term.c */

/*
 * Put the terminal on stdin in raw mode; nothing happens if stdin is none.
 * It is restored at exit(3) at the latest.
 */
void	 term_raw(void);
/*
 * A screen of its own on stdout, and each key from stdin as it is pressed
 * but for those that make signals.  It and term_restore() may be called by
 * signal handlers.
 */
void	 term_screen(void);
void	 term_restore(void);
int	 term_is_raw(void);

/* Size of the terminal on stdin, stdout or stderr: 0, or -1 if unknown. */
int	 term_size(unsigned int *rows, unsigned int *columns);

#endif /* CCP_CTL_H */
