/* SPDX-License-Identifier: ISC */

/*
 * Who a process is and what it may use: user, groups, capabilities, limits.
 * Runs in the child, inside the container's root; its passwd and group files
 * are read as plain text, the name service's modules are not.
 */

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "guest.h"

#define CRED_GROUPS_MAX	1024

enum cred_set {
	SET_BOUNDING,
	SET_EFFECTIVE,
	SET_INHERITABLE,
	SET_PERMITTED,
	SET_AMBIENT,
	SET_MAX
};

static int	cred_number(const char *, uint32_t *);
static int	cred_group(const char *, gid_t *);
static size_t	cred_groups(int, json_t *, gid_t *);
static uint64_t	cred_caps(json_t *, const char *);
static int	cred_cap(const char *);
static void	cred_bound(uint64_t);
static void	cred_capset(int, const uint64_t *);
static rlim_t	cred_limit(json_t *, const char *);

static const char *const cap_names[] = {
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID",
	"KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
	"IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
	"MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE"
};
#define CAP_NAMES	(sizeof(cap_names) / sizeof(cap_names[0]))

static const struct {
	const char	*name;
	int		 resource;
} rlimit_names[] = {
	{ "AS",		RLIMIT_AS },
	{ "CORE",	RLIMIT_CORE },
	{ "CPU",	RLIMIT_CPU },
	{ "DATA",	RLIMIT_DATA },
	{ "FSIZE",	RLIMIT_FSIZE },
	{ "LOCKS",	RLIMIT_LOCKS },
	{ "MEMLOCK",	RLIMIT_MEMLOCK },
	{ "MSGQUEUE",	RLIMIT_MSGQUEUE },
	{ "NICE",	RLIMIT_NICE },
	{ "NOFILE",	RLIMIT_NOFILE },
	{ "NPROC",	RLIMIT_NPROC },
	{ "RSS",	RLIMIT_RSS },
	{ "RTPRIO",	RLIMIT_RTPRIO },
	{ "RTTIME",	RLIMIT_RTTIME },
	{ "SIGPENDING",	RLIMIT_SIGPENDING },
	{ "STACK",	RLIMIT_STACK }
};
#define RLIMIT_NAMES	(sizeof(rlimit_names) / sizeof(rlimit_names[0]))

/* 1 if s is a decimal id. */
static int
cred_number(const char *s, uint32_t *id)
{
	const char	*errstr;

	*id = (uint32_t)strtonum(s, 0, (long long)UINT_MAX - 1, &errstr);
	return (errstr == NULL);
}

void
guest_user_find(struct guest *g, json_t *conf, struct guest_user *u)
{
	const char	*name, *group;
	struct passwd	*pw = NULL;
	uint32_t	 id = 0;
	int		 number = 1, named;
	FILE		*f;

	memset(u, 0, sizeof(*u));
	(void)strlcpy(u->u_home, "/", sizeof(u->u_home));
	name = guest_json_string(conf, "user");
	group = guest_json_string(conf, "group");
	named = name != NULL && *name != '\0';
	if (named == 1)
		number = cred_number(name, &id);
	if ((f = fopen("/etc/passwd", "re")) != NULL) {
		while ((pw = fgetpwent(f)) != NULL)
			if ((number == 1 && pw->pw_uid == id) ||
			    (named == 1 && strcmp(pw->pw_name, name) == 0))
				break;
	}
	if (pw == NULL && (number == 0 ||
	    (id != 0 && g->g_profile->f_named == 1)))
		(void)snprintf(u->u_error, sizeof(u->u_error),
		    "no such user: %.100s", name);
	u->u_uid = pw != NULL ? pw->pw_uid : id;
	u->u_gid = pw != NULL ? pw->pw_gid : 0;
	if (pw != NULL && pw->pw_dir != NULL && *pw->pw_dir != '\0')
		(void)strlcpy(u->u_home, pw->pw_dir, sizeof(u->u_home));
	if (pw != NULL && named == 1)
		(void)strlcpy(u->u_name, pw->pw_name, sizeof(u->u_name));
	if (f != NULL)
		(void)fclose(f);
	if (group == NULL || *group == '\0' || u->u_error[0] != '\0')
		return;
	if (cred_group(group, &u->u_gid) == -1)
		(void)snprintf(u->u_error, sizeof(u->u_error),
		    "no such group: %.100s", group);
	else if (named == 0 && g->g_profile->f_named == 1)
		(void)snprintf(u->u_error, sizeof(u->u_error),
		    "group %.100s without a user", group);
}

static int
cred_group(const char *name, gid_t *gid)
{
	struct group	*gr = NULL;
	uint32_t	 id;
	FILE		*f;

	if ((f = fopen("/etc/group", "re")) != NULL) {
		while ((gr = fgetgrent(f)) != NULL)
			if (strcmp(gr->gr_name, name) == 0) {
				*gid = gr->gr_gid;
				break;
			}
		(void)fclose(f);
	}
	if (gr != NULL)
		return (0);
	if (cred_number(name, &id) == 0)
		return (-1);
	*gid = id;
	return (0);
}

static size_t
cred_groups(int fd, json_t *list, gid_t *gids)
{
	const char	*name;
	json_t		*v;
	size_t		 i, n = 0;

	json_array_foreach(list, i, v) {
		name = json_string_value(v);
		if (n == CRED_GROUPS_MAX || name == NULL ||
		    cred_group(name, &gids[n]) == -1)
			guest_job_fail(fd, "no such group: %.100s",
			    name != NULL ? name : "");
		n++;
	}
	return (n);
}

/*
 * An agent without privileges runs everything as itself.  Lists of
 * capabilities that are absent or empty change nothing.
 */
void
guest_cred_apply(int fd, struct guest *g, json_t *conf,
    const struct guest_user *u)
{
	static const char *const names[SET_MAX] = { "bounding", "effective",
	    "inheritable", "permitted", "ambient" };
	gid_t		 gids[CRED_GROUPS_MAX];
	uint64_t	 sets[SET_MAX];
	json_t		*caps;
	size_t		 i, n;

	if (g->g_root == 0)
		return;
	n = cred_groups(fd, guest_json_get(conf, "additionalGroups"), gids);
	caps = guest_json_get(conf, "capabilities");
	for (i = 0; i < SET_MAX; i++)
		sets[i] = cred_caps(caps, names[i]);
	if (sets[SET_BOUNDING] != 0)
		cred_bound(sets[SET_BOUNDING]);
	if (sets[SET_PERMITTED] != 0 &&
	    prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
		guest_job_fail(fd, "keep capabilities: %s", strerror(errno));
	if (setgroups(n, gids) == -1 && (n > 0 || u->u_uid != 0))
		guest_job_fail(fd, "groups: %s", strerror(errno));
	if (setresgid(u->u_gid, u->u_gid, u->u_gid) == -1)
		guest_job_fail(fd, "group %u: %s", u->u_gid, strerror(errno));
	if (setresuid(u->u_uid, u->u_uid, u->u_uid) == -1)
		guest_job_fail(fd, "user %u: %s", u->u_uid, strerror(errno));
	if (sets[SET_PERMITTED] != 0)
		cred_capset(fd, sets);
}

static uint64_t
cred_caps(json_t *caps, const char *set)
{
	json_t		*list, *v;
	uint64_t	 mask = 0;
	size_t		 i;
	int		 cap;

	list = guest_json_get(caps, set);
	json_array_foreach(list, i, v) {
		if ((cap = cred_cap(json_string_value(v))) != -1)
			mask |= (uint64_t)1 << cap;
	}
	return (mask);
}

static int
cred_cap(const char *name)
{
	size_t	i;

	if (name == NULL)
		return (-1);
	if (strncasecmp(name, "CAP_", 4) == 0)
		name += 4;
	for (i = 0; i < CAP_NAMES; i++)
		if (strcasecmp(name, cap_names[i]) == 0)
			return ((int)i);
	return (-1);
}

static void
cred_bound(uint64_t keep)
{
	unsigned long	cap;

	for (cap = 0; cap < 64; cap++)
		if ((keep >> cap & 1) == 0 &&
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno == EINVAL)
			break;
}

static void
cred_capset(int fd, const uint64_t *sets)
{
	struct __user_cap_header_struct	 hdr;
	struct __user_cap_data_struct	 d[2];
	uint64_t			 perm, inh, eff;
	unsigned long			 cap;
	int				 i;

	memset(&hdr, 0, sizeof(hdr));
	memset(d, 0, sizeof(d));
	hdr.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &hdr, d) == -1)
		guest_job_fail(fd, "capabilities: %s", strerror(errno));
	perm = sets[SET_PERMITTED] &
	    ((uint64_t)d[1].permitted << 32 | d[0].permitted);
	eff = sets[SET_EFFECTIVE] & perm;
	inh = sets[SET_INHERITABLE] & perm;
	for (i = 0; i < 2; i++) {
		d[i].permitted = (uint32_t)(perm >> (32 * i));
		d[i].effective = (uint32_t)(eff >> (32 * i));
		d[i].inheritable = (uint32_t)(inh >> (32 * i));
	}
	if (syscall(SYS_capset, &hdr, d) == -1)
		guest_job_fail(fd, "capabilities: %s", strerror(errno));
	for (cap = 0; cap < 64; cap++)
		if (((sets[SET_AMBIENT] & inh) >> cap & 1) == 1)
			(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap,
			    0, 0);
}

/* Beyond what fits means no limit; so does a number below zero. */
static rlim_t
cred_limit(json_t *o, const char *name)
{
	json_t	*v = guest_json_get(o, name);
	double	 d = json_number_value(v);

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		return ((rlim_t)json_integer_value(v));
	if (d < 0 || d >= 18446744073709551615.0)
		return (RLIM_INFINITY);
	return ((rlim_t)d);
}

void
guest_rlimits_apply(int fd, json_t *list)
{
	struct rlimit	 rl, old;
	const char	*name;
	json_t		*v;
	size_t		 i, k;

	json_array_foreach(list, i, v) {
		if ((name = guest_json_string(v, "type")) == NULL)
			name = "";
		if (strncasecmp(name, "RLIMIT_", 7) == 0)
			name += 7;
		for (k = 0; k < RLIMIT_NAMES; k++)
			if (strcasecmp(name, rlimit_names[k].name) == 0)
				break;
		if (k == RLIMIT_NAMES)
			guest_job_fail(fd, "no such limit: %.32s", name);
		rl.rlim_cur = cred_limit(v, "soft");
		rl.rlim_max = cred_limit(v, "hard");
		if (setrlimit(rlimit_names[k].resource, &rl) == 0)
			continue;
		/* More than we may give: as much as we may. */
		if (errno != EPERM ||
		    getrlimit(rlimit_names[k].resource, &old) == -1)
			guest_job_fail(fd, "limit %.32s: %s", name,
			    strerror(errno));
		if (rl.rlim_max > old.rlim_max)
			rl.rlim_max = old.rlim_max;
		if (rl.rlim_cur > rl.rlim_max)
			rl.rlim_cur = rl.rlim_max;
		if (setrlimit(rlimit_names[k].resource, &rl) == -1)
			guest_job_fail(fd, "limit %.32s: %s", name,
			    strerror(errno));
	}
}
