/* SPDX-License-Identifier: ISC */

/*
 * The configuration: that of cc-proxy.conf(5), what the command line says
 * instead, and defaults for the rest.
 */

#ifndef CCP_CONF_H
#define CCP_CONF_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "flags.h"
#include "log.h"
#include "msg.h"
#include "policy.h"

#define CONF_LISTENERS_MAX	16
#define CONF_VMDIRS_MAX		64
#define CONF_OWNERS_MAX		32	/* of the sockets in a directory */
#define CONF_FILES_MAX		64	/* one file and those it includes */
#define CONF_DEPTH_MAX		8	/* files included by another */
#define CONF_FILE_MAX		(1024 * 1024)	/* bytes of a file */
#define CONF_WORD_MAX		1024	/* bytes of a word */
#define CONF_MACROS_MAX		256
#define CONF_ERRORS_MAX		64	/* then the rest is not looked at */

#define CONF_ENGINES_MAX	1048576	/* uids for engines */
#define CONF_USER_FRONTEND	"_ccproxy"
#define CONF_USER_ENGINE	"_ccengine"

#define CONF_ID_NONE		UINT32_MAX	/* that of the daemon */

/* A socket to be made. */
struct conf_socket {
	char			 path[MSG_PATH_MAX + 1];	/* "": none */
	mode_t			 mode;
	uint32_t		 uid, gid;	/* CONF_ID_NONE: as it is */
};

struct conf_listener {
	struct conf_socket	 sock;
	int			 proto;		/* enum msg_proto */
};

struct conf_vmdir {
	TAILQ_ENTRY(conf_vmdir)	 entry;
	char			*path;		/* absolute, without ".." */
	uid_t			 owners[CONF_OWNERS_MAX];
	size_t			 nowners;	/* 0: whoever's */
	int			 guest;		/* enum msg_guest; -1: none */
};
TAILQ_HEAD(conf_vmdirs, conf_vmdir);

enum conf_control {
	CONF_CONTROL_DEFAULT,	/* beside the first listener */
	CONF_CONTROL_NONE,
	CONF_CONTROL_PATH
};

/* In the order of the names in conf.c. */
enum conf_limit_id {
	CONF_VMS,
	CONF_VMS_UID,		/* registered by one uid */
	CONF_CLIENTS,		/* not yet with an engine */
	CONF_CLIENTS_UID,	/* of them, of one uid */
	CONF_CLIENTS_VM,
	CONF_SERVED,		/* with an engine */
	CONF_SERVED_UID,	/* of them, of one uid */
	CONF_TOKENS,
	CONF_TOKENS_UID,	/* of VMs registered by one uid */
	CONF_TOKENS_VM,
	CONF_OUT_SHIM,		/* bytes */
	CONF_OUT_VM,		/* bytes */
	CONF_LIMITS
};

struct conf_limit {
	const char		*name;	/* as the file has it */
	uint32_t		 deflt, min, max;
	int			 bytes;	/* K and M may follow */
};

struct conf {
	int			 level;		/* enum log_level */
	int			 log_events;	/* whatever the level */
	char			 ksm[16];
	int			 guest;		/* enum msg_guest */
	uint32_t		 timeouts[FLT_MAX];	/* ms */
	struct conf_listener	 listeners[CONF_LISTENERS_MAX];
	size_t			 nlisteners;
	enum conf_control	 control;
	struct conf_socket	 ctlsock;	/* CONF_CONTROL_PATH */
	struct conf_vmdirs	 vmdirs;	/* empty: anywhere */
	size_t			 nvmdirs;
	struct policy		 policy;
	uint32_t		 engine_first;	/* their uids and gids; */
	uint32_t		 engine_last;	/* 0: one for all */
	uint32_t		 limits[CONF_LIMITS];
	int			 limit_root;	/* those of one uid: 0, too */
};

/* All defaults, and no listener. */
void	 conf_init(struct conf *);
/* Frees what it holds; conf_init() makes it usable again. */
void	 conf_free(struct conf *);

/* What the second holds goes to the first, which conf_free() has seen. */
void	 conf_move(struct conf *, struct conf *);

/*
 * Read the file into a conf that conf_init() made.  Each error is reported
 * as "file:line:column: what".  0; or -1 and the conf is good for conf_free()
 * only.  A file that is not there is no error if it may be missing.
 */
int	 conf_load(struct conf *, const char *path, int may_miss,
	    void (*report)(const char *));
/* The same of len bytes of text; it cannot include files. */
int	 conf_parse(struct conf *, const char *name, const char *text,
	    size_t len, void (*report)(const char *));

/*
 * What the command line says counts; then there are listeners.  0, or -1 if
 * a path is too long, with the reason in err.
 */
int	 conf_merge(struct conf *, const struct flags *, char *err, size_t);

/* Adders for the parser: 0, or -1 with the reason in err. */
int	 conf_add_listener(struct conf *, const struct conf_listener *,
	    char *err, size_t);
/* The directory is copied. */
int	 conf_add_vmdir(struct conf *, const struct conf_vmdir *, char *err,
	    size_t);
int	 conf_set_limit(struct conf *, enum conf_limit_id, const char *value,
	    char *err, size_t);

/*
 * Is there a uid for each VM, and none that is the daemon's already?  0, or
 * -1 with the reason in err.
 */
int	 conf_check_engine(const struct conf *, char *err, size_t);
/*
 * Somebody else's uid or gid that engines would run as, as text in what; 0 if
 * there is none.
 */
int	 conf_engine_shared(const struct conf *, char *what, size_t);

/* Indexed by enum conf_limit_id. */
extern const struct conf_limit	 conf_limits[CONF_LIMITS];

/* What kind of agent the VM with this control socket is to have. */
int	 conf_guest(const struct conf *, const struct flags *,
	    const char *ctl);

/*
 * confdiff.c: report what differs and only a start of the daemon can change,
 * a line for each; returns how many.  In pod mode KSM is left alone.
 */
int	 conf_fixed(const struct conf *now, const struct conf *next, int pod,
	    void (*report)(const char *));
/* What else differs, as a list of names; "" if nothing does. */
void	 conf_changes(const struct conf *now, const struct conf *next,
	    char *, size_t);

/* printconf.c: as a file that parses to the same again */
void	 conf_print(FILE *, const struct conf *);

/* parse.y; conflex.c must have a file open */
void	 conf_grammar(struct conf *);

#endif /* CCP_CONF_H */
