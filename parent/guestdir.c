/* SPDX-License-Identifier: ISC */

/*
 * What kind of agent a VM has.  Pure; runs in the parent.  The directories
 * are the administrator's, the path is what a client wrote: it is compared
 * and nothing else.
 */

#include <stdio.h>
#include <string.h>

#include "guestdir.h"
#include "msg.h"

static size_t	 component(const char **, const char *);
static int	 has_dotdot(const char *, size_t);
static int	 add(struct guestdirs *, const char *, size_t, int);

int
guestdir_parse(const char *word)
{
	static const char *const names[MSG_GUEST_MAX] = {
		[MSG_GUEST_AUTO] = "auto",
		[MSG_GUEST_AGENT] = "agent",
		[MSG_GUEST_HYPERSTART] = "hyperstart"
	};
	int	 i;

	for (i = 0; i < MSG_GUEST_MAX; i++)
		if (strcmp(word, names[i]) == 0)
			return (i);
	return (-1);
}

/*
 * Move *sp to the next component before end that is not ".", and return its
 * length; 0 if there is none.
 */
static size_t
component(const char **sp, const char *end)
{
	const char	*s = *sp;
	size_t		 n;

	for (;; s += n) {
		while (s < end && *s == '/')
			s++;
		for (n = 0; s + n < end && s[n] != '/'; n++)
			;
		if (n != 1 || s[0] != '.')
			break;
	}
	*sp = s;
	return (n);
}

static int
has_dotdot(const char *path, size_t len)
{
	const char	*s = path;
	size_t		 n;

	for (; (n = component(&s, path + len)) != 0; s += n)
		if (n == 2 && memcmp(s, "..", 2) == 0)
			return (1);
	return (0);
}

int
guestdir_depth(const struct guestdir *gd, const char *path, const char **rest)
{
	const char	*d = gd->gd_path, *p = path;
	const char	*dend = d + gd->gd_len, *pend = p + strlen(p);
	size_t		 dn, pn;
	int		 n;

	for (n = 0;; n++) {
		dn = component(&d, dend);
		pn = component(&p, pend);
		if (pn == 0)
			return (-1);
		if (dn == 0) {
			*rest = p;
			return (n);
		}
		if (dn != pn || memcmp(d, p, dn) != 0)
			return (-1);
		d += dn;
		p += pn;
	}
}

int
guestdir_path_ok(const char *path, size_t len)
{
	return (len > 0 && path[0] == '/' && !has_dotdot(path, len));
}

static int
add(struct guestdirs *gs, const char *path, size_t len, int guest)
{
	struct guestdir	*gd;

	if (gs->gs_ndirs == GUESTDIR_MAX)
		return (-1);
	gd = &gs->gs_dirs[gs->gs_ndirs++];
	gd->gd_path = path;
	gd->gd_len = len;
	gd->gd_guest = guest;
	return (0);
}

int
guestdir_add_path(struct guestdirs *gs, const char *path, int guest)
{
	return (add(gs, path, strlen(path), guest));
}

int
guestdir_add(struct guestdirs *gs, const char *value, char *why, size_t size)
{
	const char	*eq;
	size_t		 len;
	int		 guest;

	/* A directory may have an equals sign in its name, a mode has none. */
	if ((eq = strrchr(value, '=')) == NULL) {
		snprintf(why, size, "not of the form directory=mode");
		return (-1);
	}
	len = (size_t)(eq - value);
	if (!guestdir_path_ok(value, len)) {
		snprintf(why, size, "the directory must be absolute and "
		    "without \"..\"");
		return (-1);
	}
	if ((guest = guestdir_parse(eq + 1)) == -1) {
		snprintf(why, size, "unknown guest %s", eq + 1);
		return (-1);
	}
	if (add(gs, value, len, guest) == -1) {
		snprintf(why, size, "more than %d directories", GUESTDIR_MAX);
		return (-1);
	}
	return (0);
}

int
guestdir_find(const struct guestdirs *gs, const char *path, int deflt)
{
	const char	*rest;
	size_t		 i;
	int		 best = -1, guest = deflt, n;

	if (path[0] != '/' || has_dotdot(path, strlen(path)))
		return (deflt);
	for (i = 0; i < gs->gs_ndirs; i++) {
		n = guestdir_depth(&gs->gs_dirs[i], path, &rest);
		if (n != -1 && n >= best) {
			best = n;
			guest = gs->gs_dirs[i].gd_guest;
		}
	}
	return (guest);
}
