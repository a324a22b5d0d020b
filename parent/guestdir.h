/* SPDX-License-Identifier: ISC */

/*
 * What kind of agent a VM has, by the directory that its control socket is
 * in.  Only paths as they are written: no file is looked at.
 */

#ifndef CCP_GUESTDIR_H
#define CCP_GUESTDIR_H

#include <stddef.h>

#define GUESTDIR_MAX	64	/* directories */

struct guestdir {
	const char	*gd_path;	/* belongs to who added it */
	size_t		 gd_len;
	int		 gd_guest;	/* enum msg_guest */
};

struct guestdirs {
	struct guestdir	 gs_dirs[GUESTDIR_MAX];
	size_t		 gs_ndirs;
};

/* "auto", ... as enum msg_guest; -1 if it is none. */
int	 guestdir_parse(const char *);

/*
 * Add what "DIR=MODE" says; value is kept.  0, or -1 with the reason in why.
 */
int	 guestdir_add(struct guestdirs *, const char *value, char *why,
	    size_t);

/* For a path that is good: 0, or -1 if there are too many. */
int	 guestdir_add_path(struct guestdirs *, const char *path, int guest);
/* 1 if it is absolute and without "..". */
int	 guestdir_path_ok(const char *path, size_t len);

/*
 * The number of the directory's components, and where in path what is behind
 * them begins; -1 if path is not in it.  Both must be such paths.
 */
int	 guestdir_depth(const struct guestdir *, const char *path,
	    const char **rest);

/*
 * The mode of the directory with most components that holds path, the later
 * one of two that are the same; deflt if none does, or if path is not
 * absolute or has a component "..".
 */
int	 guestdir_find(const struct guestdirs *, const char *path, int deflt);

#endif /* CCP_GUESTDIR_H */
