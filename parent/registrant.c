/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: who asks for a VM.  The frontend may have been taken
 * over: it is believed nothing, but has to show the client's connection.
 * What it could show instead are sockets that it was given by us, whose
 * credentials are root's: a channel, a listener, a connection of the
 * control socket.  None of them is a connection at a listener's name.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <stddef.h>
#include <string.h>

#include "parent.h"

struct name {
	struct sockaddr_un	 sun;
	socklen_t		 len;
	int			 proto;
};

static struct name	 names[CONF_LISTENERS_MAX];
static size_t		 nnames;

static int	registrant_option(int, int);
static int	registrant_name(int, struct name *);

static int
registrant_option(int fd, int option)
{
	socklen_t	 len = sizeof(int);
	int		 v;

	if (getsockopt(fd, SOL_SOCKET, option, &v, &len) == -1)
		return (-1);
	return (v);
}

/* A socket without a name has the length of the family alone. */
static int
registrant_name(int fd, struct name *n)
{
	memset(n, 0, sizeof(*n));
	n->len = sizeof(n->sun);
	if (getsockname(fd, (struct sockaddr *)&n->sun, &n->len) == -1 ||
	    n->len <= offsetof(struct sockaddr_un, sun_path) ||
	    n->len > sizeof(n->sun))
		return (-1);
	return (0);
}

void
registrant_listener(int fd, int proto)
{
	if (nnames == CONF_LISTENERS_MAX ||
	    registrant_name(fd, &names[nnames]) == -1)
		fatalx("%s: listener %d", __func__, fd);
	names[nnames++].proto = proto;
}

int
registrant_cred(int fd, int proto, struct ucred *cred)
{
	struct name	 n;
	socklen_t	 len = sizeof(*cred);
	size_t		 i;

	if (registrant_option(fd, SO_DOMAIN) != AF_UNIX ||
	    registrant_option(fd, SO_TYPE) != SOCK_STREAM ||
	    registrant_option(fd, SO_ACCEPTCONN) != 0 ||
	    registrant_name(fd, &n) == -1)
		return (-1);
	for (i = 0; i < nnames; i++)
		if (names[i].proto == proto && names[i].len == n.len &&
		    memcmp(&names[i].sun, &n.sun, n.len) == 0)
			break;
	if (i == nnames ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, cred, &len) == -1 ||
	    len != sizeof(*cred) || cred->uid == (uid_t)-1)
		return (-1);
	return (0);
}

int
registrant_log(const struct ucred *cred, enum log_level level)
{
	static const struct log_field	 event[] = {
		{ LOG_KEY_EVENT, "" }, { NULL, NULL }
	};
	static struct logsink_uids	 uids;

	if (!log_wanted(level, event))
		return (0);
	return (logsink_uid_take(&uids, cred->uid, level));
}

void
registrant_audit(struct audit *a, enum audit_event event,
    const struct ucred *cred, const char *id)
{
	const struct audit_who	 who = {
		.uid = cred->uid,
		.gid = cred->gid,
		.pid = (uint32_t)cred->pid
	};

	audit_begin(a, event);
	audit_str(a, "vm", id);
	audit_who(a, &who);
}

void
registrant_denied(const struct ucred *cred, const char *id, const char *path,
    const char *why)
{
	struct audit	 a;

	if (!registrant_log(cred, LOGL_WARN))
		return;
	registrant_audit(&a, path == NULL ? AUDIT_VM_REFUSED :
	    AUDIT_PATH_REFUSED, cred, id);
	if (path != NULL)
		audit_str(&a, "path", path);
	audit_str(&a, "reason", path == NULL ? "policy" : why);
	audit_log(&a, POLICY_DENIED ": register %s, uid %u, gid %u, pid %d"
	    "%s%s%s%s", id, cred->uid, cred->gid, (int)cred->pid,
	    path == NULL ? "" : ", ", path == NULL ? "" : path,
	    path == NULL ? "" : ": ", path == NULL ? "" : why);
}
