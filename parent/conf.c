/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the configuration's defaults, its bounds, and what the
 * command line says instead.
 */

#include <sys/types.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "conflex.h"

#define KB	1024
#define MB	(1024 * KB)

/* conf_guest() looks in a list of the latter. */
_Static_assert(CONF_VMDIRS_MAX <= GUESTDIR_MAX, "directories");

const struct conf_limit	 conf_limits[CONF_LIMITS] = {
	[CONF_VMS] = { "vms", 4096, 1, 65536, 0 },
	[CONF_VMS_UID] = { "vms per uid", 2048, 1, 65536, 0 },
	[CONF_CLIENTS] = { "clients", 4096, 1, 65536, 0 },
	[CONF_CLIENTS_UID] = { "clients per uid", 2048, 1, 65536, 0 },
	[CONF_CLIENTS_VM] = { "clients per vm", 4096, 1, 65536, 0 },
	[CONF_SERVED] = { "served clients", 65536, 1, 1048576, 0 },
	[CONF_SERVED_UID] = { "served clients per uid", 32768, 1, 1048576, 0 },
	[CONF_TOKENS] = { "tokens", 1048576, 1, 16777216, 0 },
	[CONF_TOKENS_UID] = { "tokens per uid", 524288, 1, 16777216, 0 },
	[CONF_TOKENS_VM] = { "tokens per vm", 16384, 1, 1048576, 0 },
	[CONF_OUT_SHIM] = { "output per shim", 256 * KB, 16 * KB, 16 * MB,
	    1 },
	[CONF_OUT_VM] = { "output per vm", 64 * MB, 256 * KB, 256 * MB, 1 }
};

static int	 is_engine(const struct conf *, uint32_t);
static int	 merge_listeners(struct conf *, const struct flags *, char *,
		    size_t);
static int	 merge_listener(struct conf *, const char *, int, char *,
		    size_t);

void
conf_init(struct conf *c)
{
	int	 i;

	memset(c, 0, sizeof(*c));
	TAILQ_INIT(&c->vmdirs);
	c->level = LOGL_WARN;
	strlcpy(c->ksm, "auto", sizeof(c->ksm));
	c->guest = MSG_GUEST_AUTO;
	flags_timeout_defaults(c->timeouts);
	for (i = 0; i < CONF_LIMITS; i++)
		c->limits[i] = conf_limits[i].deflt;
}

void
conf_free(struct conf *c)
{
	struct conf_vmdir	*d;

	while ((d = TAILQ_FIRST(&c->vmdirs)) != NULL) {
		TAILQ_REMOVE(&c->vmdirs, d, entry);
		free(d->path);
		free(d);
	}
	c->nvmdirs = 0;
	policy_clear(&c->policy);
}

void
conf_move(struct conf *to, struct conf *from)
{
	*to = *from;
	TAILQ_INIT(&to->vmdirs);
	TAILQ_CONCAT(&to->vmdirs, &from->vmdirs, entry);
	conf_init(from);
}

int
conf_load(struct conf *c, const char *path, int may_miss,
    void (*report)(const char *))
{
	char	 err[256], *line;
	int	 missing;

	conflex_begin(report);
	if (conflex_push_file(path, err, sizeof(err)) == 0) {
		conf_grammar(c);
		return (conflex_end() == 0 ? 0 : -1);
	}
	missing = errno == ENOENT || errno == ENOTDIR;
	conflex_end();
	if (missing && may_miss)
		return (0);
	if (asprintf(&line, "%s: %s", path, err) == -1)
		fatal("%s", __func__);
	report(line);
	free(line);
	return (-1);
}

int
conf_parse(struct conf *c, const char *name, const char *text, size_t len,
    void (*report)(const char *))
{
	char	 err[256];

	conflex_begin(report);
	if (conflex_push_text(name, text, len, err, sizeof(err)) == -1) {
		report(err);
		conflex_end();
		return (-1);
	}
	conf_grammar(c);
	return (conflex_end() == 0 ? 0 : -1);
}

int
conf_add_listener(struct conf *c, const struct conf_listener *l, char *err,
    size_t errsize)
{
	size_t	 i;

	for (i = 0; i < c->nlisteners; i++) {
		if (strcmp(c->listeners[i].sock.path, l->sock.path) == 0) {
			snprintf(err, errsize, "\"%s\" is listened on already",
			    l->sock.path);
			return (-1);
		}
	}
	if (c->nlisteners == CONF_LISTENERS_MAX) {
		snprintf(err, errsize, "more than %d listeners",
		    CONF_LISTENERS_MAX);
		return (-1);
	}
	c->listeners[c->nlisteners++] = *l;
	return (0);
}

int
conf_add_vmdir(struct conf *c, const struct conf_vmdir *dir, char *err,
    size_t errsize)
{
	struct conf_vmdir	*d;

	TAILQ_FOREACH(d, &c->vmdirs, entry) {
		if (strcmp(d->path, dir->path) == 0) {
			snprintf(err, errsize, "directory \"%s\" is there "
			    "already", dir->path);
			return (-1);
		}
	}
	if (c->nvmdirs == CONF_VMDIRS_MAX) {
		snprintf(err, errsize, "more than %d vm directories",
		    CONF_VMDIRS_MAX);
		return (-1);
	}
	if ((d = malloc(sizeof(*d))) == NULL)
		fatal("%s", __func__);
	*d = *dir;
	if ((d->path = strdup(dir->path)) == NULL)
		fatal("%s", __func__);
	TAILQ_INSERT_TAIL(&c->vmdirs, d, entry);
	c->nvmdirs++;
	return (0);
}

int
conf_set_limit(struct conf *c, enum conf_limit_id id, const char *value,
    char *err, size_t errsize)
{
	const struct conf_limit	*l = &conf_limits[id];
	const char		*errstr;
	char			 num[16];
	long long		 unit = 1, v;
	size_t			 n = strlen(value);

	if (l->bytes && n > 0 && (value[n - 1] == 'K' ||
	    value[n - 1] == 'M')) {
		unit = value[n - 1] == 'K' ? KB : MB;
		n--;
	}
	if (n >= sizeof(num))
		n = sizeof(num) - 1;	/* too large in any case */
	memcpy(num, value, n);
	num[n] = '\0';
	v = strtonum(num, 0, INT32_MAX, &errstr) * unit;
	if (errstr != NULL && strcmp(errstr, "invalid") == 0) {
		snprintf(err, errsize, "\"%s\" is no %s", value,
		    l->bytes ? "number of bytes" : "number");
		return (-1);
	}
	if (errstr != NULL || v < l->min || v > l->max) {
		snprintf(err, errsize, "%s must be from %u to %u", l->name,
		    l->min, l->max);
		return (-1);
	}
	c->limits[id] = (uint32_t)v;
	return (0);
}

int
conf_check_engine(const struct conf *c, char *err, size_t errsize)
{
	static const char *const names[] = {
		CONF_USER_FRONTEND, CONF_USER_ENGINE
	};
	struct passwd	*pw;
	size_t		 i;

	if (c->engine_first == 0)
		return (0);
	if (c->engine_last - c->engine_first + 1 < c->limits[CONF_VMS]) {
		snprintf(err, errsize, "%u uids for %u VMs (limit vms)",
		    c->engine_last - c->engine_first + 1,
		    c->limits[CONF_VMS]);
		return (-1);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if ((pw = getpwnam(names[i])) == NULL)
			continue;
		if (!is_engine(c, pw->pw_uid) && !is_engine(c, pw->pw_gid))
			continue;
		snprintf(err, errsize, "user %s is in the range of uids",
		    names[i]);
		return (-1);
	}
	return (0);
}

/* Of those that can be listed; a directory service may know more. */
int
conf_engine_shared(const struct conf *c, char *what, size_t size)
{
	struct passwd	*pw;
	struct group	*gr = NULL;

	if (c->engine_first == 0)
		return (0);
	setpwent();
	while ((pw = getpwent()) != NULL && !is_engine(c, pw->pw_uid))
		;
	if (pw != NULL)
		snprintf(what, size, "user %s, uid %u", pw->pw_name,
		    pw->pw_uid);
	endpwent();
	if (pw == NULL) {
		setgrent();
		while ((gr = getgrent()) != NULL &&
		    !is_engine(c, gr->gr_gid))
			;
		if (gr != NULL)
			snprintf(what, size, "group %s, gid %u", gr->gr_name,
			    gr->gr_gid);
		endgrent();
	}
	return (pw != NULL || gr != NULL);
}

static int
is_engine(const struct conf *c, uint32_t id)
{
	return (id >= c->engine_first && id <= c->engine_last);
}

int
conf_merge(struct conf *c, const struct flags *fl, char *err, size_t errsize)
{
	int	 i;

	if (fl->fl_has & FLAGS_HAS_KSM)
		strlcpy(c->ksm, fl->fl_ksm, sizeof(c->ksm));
	if (fl->fl_has & FLAGS_HAS_GUEST)
		c->guest = fl->fl_guest;
	for (i = 0; i < FLT_MAX; i++)
		if (fl->fl_has_timeout & (1U << i))
			c->timeouts[i] = fl->fl_timeout[i];
	if (merge_listeners(c, fl, err, errsize) == -1)
		return (-1);
	if (fl->fl_control_path[0] != '\0') {
		c->control = CONF_CONTROL_PATH;
		strlcpy(c->ctlsock.path, fl->fl_control_path,
		    sizeof(c->ctlsock.path));
		c->ctlsock.mode = 0600;
		c->ctlsock.uid = c->ctlsock.gid = CONF_ID_NONE;
	} else if (fl->fl_uri[0] != '\0')
		c->control = CONF_CONTROL_NONE;
	return (0);
}

/*
 * A daemon that is told its path is not the one that the file is about, whose
 * sockets it must leave alone.
 */
static int
merge_listeners(struct conf *c, const struct flags *fl, char *err,
    size_t errsize)
{
	const char	*path, *path1;
	size_t		 i, n;

	if ((path = flags_socket_path(fl, err, errsize)) == NULL ||
	    (path1 = flags_socket_path_1(fl, err, errsize)) == NULL)
		return (-1);
	if (fl->fl_uri[0] != '\0' || fl->fl_socket_path[0] != '\0') {
		c->nlisteners = 0;
		c->control = CONF_CONTROL_DEFAULT;
	}
	if (c->nlisteners == 0) {
		if (merge_listener(c, path, MSG_PROTO_3, err, errsize) == -1)
			return (-1);
		return (path1[0] == '\0' ? 0 :
		    merge_listener(c, path1, MSG_PROTO_1, err, errsize));
	}
	if (fl->fl_socket_path_1[0] == '\0')
		return (0);
	for (i = n = 0; i < c->nlisteners; i++)
		if (c->listeners[i].proto != MSG_PROTO_1)
			c->listeners[n++] = c->listeners[i];
	c->nlisteners = n;
	return (merge_listener(c, path1, MSG_PROTO_1, err, errsize));
}

static int
merge_listener(struct conf *c, const char *path, int proto, char *err,
    size_t errsize)
{
	struct conf_listener	 l;

	memset(&l, 0, sizeof(l));
	l.proto = proto;
	strlcpy(l.sock.path, path, sizeof(l.sock.path));
	l.sock.mode = 0660;
	l.sock.uid = l.sock.gid = CONF_ID_NONE;
	return (conf_add_listener(c, &l, err, errsize));
}

/* Directories of the command line first, then those of the file. */
int
conf_guest(const struct conf *c, const struct flags *fl, const char *ctl)
{
	struct guestdirs	 dirs;
	struct conf_vmdir	*d;
	int			 guest;

	if ((guest = guestdir_find(&fl->fl_guest_dirs, ctl, -1)) != -1)
		return (guest);
	dirs.gs_ndirs = 0;
	TAILQ_FOREACH(d, &c->vmdirs, entry)
		if (d->guest != -1)
			guestdir_add_path(&dirs, d->path, d->guest);
	return (guestdir_find(&dirs, ctl, c->guest));
}
