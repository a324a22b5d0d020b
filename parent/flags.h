/* SPDX-License-Identifier: ISC */

/*
 * The daemon's command line, in the syntax of Go's flag package: -x, --x,
 * -x v and -x=v; a word that is no flag ends it and the rest is ignored.
 */

#ifndef CCP_FLAGS_H
#define CCP_FLAGS_H

#include <stddef.h>
#include <stdint.h>

#include "guestdir.h"

/* Deadlines, in the order of their names in flags.c. */
enum flags_timeout {
	FLT_SHIM,		/* a Hyper command waits for its shim */
	FLT_PROCESS,		/* a Signal waits for its process */
	FLT_STDIN,		/* a stdin frame likewise; 0: no end */
	FLT_READY,		/* the agent's first message */
	FLT_AGENT,		/* a reply of the agent */
	FLT_DESTROY,		/* its reply to the end of the pod */
	FLT_RELOAD,		/* a child's answer to a configuration */
	FLT_KSM_KICK,
	FLT_KSM_STANDARD,
	FLT_KSM_SLOW,
	FLT_MAX
};

/* What was given, as far as a configuration file may say it as well. */
#define FLAGS_HAS_LOG	0x01	/* -log or -v */
#define FLAGS_HAS_KSM	0x02
#define FLAGS_HAS_GUEST	0x04
#define FLAGS_HAS_CONF	0x08

/* Strings belong to argv or are constants. */
struct flags {
	unsigned int	 fl_has;	/* FLAGS_HAS_* */
	const char	*fl_conf;	/* path; "": none */
	int		 fl_check;	/* -n */
	int		 fl_print;	/* -nv */
	const char	*fl_log;
	const char	*fl_socket_path;
	const char	*fl_socket_path_1;	/* protocol 1.x */
	int		 fl_verbosity;	/* -v; -1: not given */
	const char	*fl_uri;		/* not empty: pod mode */
	char		 fl_ksm[16];
	int		 fl_version;
	int		 fl_pprof;
	const char	*fl_pprof_host;
	uint64_t	 fl_pprof_port;
	const char	*fl_control_path;	/* empty: not given */
	const char	*fl_libexec;
	uint32_t	 fl_timeout[FLT_MAX];	/* ms */
	uint32_t	 fl_has_timeout;	/* a bit for each given */
	int		 fl_guest;	/* enum msg_guest */
	struct guestdirs fl_guest_dirs;
};

#define FLAGS_HELP	1

/*
 * Returns 0; FLAGS_HELP if the usage was asked for; or -1 with the message
 * for stderr in err.  Prints nothing.
 */
int	 flags_parse(struct flags *, int, char **, char *err, size_t);

/* On stderr. */
void	 flags_usage(const char *argv0);

/* flags_parse(), or the message and the usage, and exit(2) or exit(0). */
void	 flags_get(struct flags *, int, char **);

/*
 * The level that the environment's value (may be NULL) or else -log names;
 * -1 if it is none, and then *name is the word.  A number, there or with -v,
 * counts as for the 1.x daemon.  *console: consoles are wanted at debug.
 */
int	 flags_log_level(const struct flags *, const char *env,
	    const char **name, int *console);

/*
 * The path of the listener's socket; NULL with the reason in err if it is
 * too long.
 */
const char *flags_socket_path(const struct flags *, char *err, size_t);
/* The same for clients of protocol 1.x; "" if there is to be none. */
const char *flags_socket_path_1(const struct flags *, char *err, size_t);

/* "off", "initial" or "auto". */
int	 flags_ksm_valid(const char *);

/* "shim", ...; and all of them as they are if nobody says otherwise. */
const char *flags_timeout_name(enum flags_timeout);
void	 flags_timeout_defaults(uint32_t [FLT_MAX]);
/* Returns which it set; or -1 with the reason in why. */
int	 flags_timeout_set(uint32_t [FLT_MAX], const char *name, size_t len,
	    const char *duration, char *why, size_t);

/* Go's duration syntax ("1m30s", "20ms", "0"), rounded up; 0 or -1. */
int	 flags_duration(const char *, uint32_t *ms);

#endif /* CCP_FLAGS_H */
