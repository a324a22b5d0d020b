/* SPDX-License-Identifier: ISC */

/*
 * The child's side of starting a process: join the container, become a
 * session leader, take standard streams or a terminal, limits, identity and
 * environment, and exec.  Whatever fails is reported as text and ends here.
 *
 * The child joins the container's namespaces and then forks once more with
 * CLONE_PARENT: the process lives in the new pid namespace and is still our
 * own child, so its exit status and signals need no go-between.  It waits
 * until the agent knows its pid.
 */

#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

#define SPAWN_PATH	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:" \
			"/usr/bin:/sbin:/bin"

static void	spawn_join(int, pid_t);
static int	spawn_nsopen(int, pid_t, const char *);
static void	spawn_stdio(int, struct guest *, struct guest_proc *,
		    const struct guest_user *);
static int	spawn_terminal(int, struct guest *, json_t *,
		    const struct guest_user *);
static void	spawn_env(int, const char *, const char *);
static void	spawn_environ(int, struct guest *, struct guest_proc *,
		    const struct guest_user *);
static char	**spawn_args(int, json_t *);
static int	spawn_lame(json_t *);

void
guest_spawn(struct guest *g, int fd, struct guest_proc *p)
{
	struct guest_user	 user;
	json_t			*conf = p->p_conf;
	const char		*dir;
	char			**args;

	if (p->p_cont != NULL && p->p_cont->k_init > 0)
		spawn_join(fd, p->p_cont->k_init);
	else
		guest_job_pid(fd, getpid());
	guest_job_wait(fd);
	if (setsid() == -1)
		guest_job_fail(fd, "setsid: %s", strerror(errno));
	(void)umask(022);
	guest_user_find(g, conf, &user);
	spawn_stdio(fd, g, p, &user);
	guest_job_status(g->g_profile->f_setup);
	if (p->p_cont == NULL)
		guest_job_fail(fd, "no such container");
	if (user.u_error[0] != '\0')
		guest_job_fail(fd, "%s", user.u_error);
	if (g->g_profile->f_lame == 1 && spawn_lame(conf) == 1)
		_exit(0);
	guest_rlimits_apply(fd, guest_json_get(conf, "rlimits"));
	guest_cred_apply(fd, g, conf, &user);
	/* After the change of identity, which would undo it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	dir = guest_json_string(conf, "workdir");
	if (dir == NULL || *dir == '\0')
		dir = "/";
	if (chdir(dir) == -1)
		guest_job_fail(fd, "workdir %.100s: %s", dir, strerror(errno));
	if (guest_json_true(conf, "noNewPrivileges") == 1 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		guest_job_fail(fd, "no new privileges: %s", strerror(errno));
	spawn_environ(fd, g, p, &user);
	args = spawn_args(fd, guest_json_get(conf, "args"));
	(void)close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
	execvp(args[0], args);
	guest_job_status(-1);
	if (g->g_profile->f_exec == 1)
		guest_job_status(errno == ENOENT || errno == ENOTDIR ? 127 :
		    errno == EACCES ? 126 : 125);
	guest_job_fail(fd, "exec %.100s: %s", args[0], strerror(errno));
}

static void
spawn_join(int fd, pid_t init)
{
	static const char *const names[] = { "ns/ipc", "ns/uts", "ns/pid",
	    "ns/mnt", "root" };
	int	 fds[5];
	pid_t	 pid;
	size_t	 i;

	for (i = 0; i < 5; i++)
		fds[i] = spawn_nsopen(fd, init, names[i]);
	for (i = 0; i < 4; i++)
		if (setns(fds[i], 0) == -1)
			guest_job_fail(fd, "%s: %s", names[i],
			    strerror(errno));
	if (fchdir(fds[4]) == -1 || chroot(".") == -1)
		guest_job_fail(fd, "root: %s", strerror(errno));
	for (i = 0; i < 5; i++)
		close(fds[i]);
	pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
	if (pid == -1)
		guest_job_fail(fd, "fork: %s", strerror(errno));
	if (pid > 0) {
		guest_job_pid(fd, pid);
		_exit(0);
	}
}

static int
spawn_nsopen(int fd, pid_t init, const char *name)
{
	char	path[64];
	int	nsfd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)init, name);
	if ((nsfd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		guest_job_fail(fd, "%s: %s", name, strerror(errno));
	return (nsfd);
}

static void
spawn_stdio(int fd, struct guest *g, struct guest_proc *p,
    const struct guest_user *user)
{
	int	i, tty = -1, from;

	if (p->p_terminal == 1)
		tty = spawn_terminal(fd, g, p->p_conf, user);
	for (i = 0; i < 3; i++) {
		from = p->p_childfd[i] != -1 ? p->p_childfd[i] : tty;
		if (dup2(from, i) == -1)
			guest_job_fail(fd, "dup2: %s", strerror(errno));
		/* /dev/stdout and the like are opened anew by name. */
		if (g->g_root == 1 && user->u_uid != 0 &&
		    fchown(i, user->u_uid, (gid_t)-1) == -1)
			guest_job_fail(fd, "fchown: %s", strerror(errno));
	}
}

static int
spawn_terminal(int fd, struct guest *g, json_t *conf,
    const struct guest_user *user)
{
	struct winsize	ws;
	int64_t		rows = 0, columns = 0;
	int		master, slave, unlock = 0;

	if ((master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)) == -1)
		master = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master == -1 || ioctl(master, TIOCSPTLCK, &unlock) == -1 ||
	    (slave = ioctl(master, TIOCGPTPEER,
	    O_RDWR | O_NOCTTY | O_CLOEXEC)) == -1 ||
	    ioctl(slave, TIOCSCTTY, 0) == -1)
		guest_job_fail(fd, "terminal: %s", strerror(errno));
	(void)guest_json_int(conf, "rows", &rows);
	(void)guest_json_int(conf, "columns", &columns);
	if (g->g_profile->f_ttysize == 1 && rows > 0 && rows <= USHRT_MAX &&
	    columns > 0 && columns <= USHRT_MAX) {
		memset(&ws, 0, sizeof(ws));
		ws.ws_row = (unsigned short)rows;
		ws.ws_col = (unsigned short)columns;
		(void)ioctl(slave, TIOCSWINSZ, &ws);
	}
	if (g->g_root == 1 && fchown(slave, user->u_uid, (gid_t)-1) == -1)
		guest_job_fail(fd, "terminal: %s", strerror(errno));
	(void)fchmod(slave, 0620);
	guest_job_tty(fd, master);
	close(master);
	return (slave);
}

static void
spawn_env(int fd, const char *name, const char *value)
{
	if (setenv(name, value, 1) == -1)
		guest_job_fail(fd, "env %.100s: %s", name, strerror(errno));
}

static void
spawn_environ(int fd, struct guest *g, struct guest_proc *p,
    const struct guest_user *user)
{
	static char	 path[] = SPAWN_PATH;
	json_t		*envs, *v;
	const char	*value;
	size_t		 i;

	if (clearenv() != 0 || putenv(path) != 0)
		guest_job_fail(fd, "env: %s", strerror(errno));
	spawn_env(fd, "HOME", user->u_home);
	if (user->u_name[0] != '\0')
		spawn_env(fd, "USER", user->u_name);
	if (g->g_hostname != NULL)
		spawn_env(fd, "HOSTNAME", g->g_hostname);
	if (p->p_terminal == 1)
		spawn_env(fd, "TERM", "xterm");
	envs = guest_json_get(p->p_conf, "envs");
	json_array_foreach(envs, i, v) {
		value = guest_json_string(v, "value");
		spawn_env(fd, guest_json_string(v, "env"),
		    value != NULL ? value : "");
	}
}

/* Nothing to run, or a variable without a value. */
static int
spawn_lame(json_t *conf)
{
	json_t	*list, *v;
	size_t	 i;

	if (json_array_size(guest_json_get(conf, "args")) == 0)
		return (1);
	list = guest_json_get(conf, "envs");
	json_array_foreach(list, i, v) {
		if (guest_json_string(v, "env") == NULL ||
		    guest_json_string(v, "value") == NULL)
			return (1);
	}
	return (0);
}

static char **
spawn_args(int fd, json_t *args)
{
	json_t	*v;
	char	**argv;
	size_t	 i;

	argv = calloc(json_array_size(args) + 1, sizeof(*argv));
	if (argv == NULL)
		guest_job_fail(fd, "out of memory");
	json_array_foreach(args, i, v) {
		if ((argv[i] = strdup(json_string_value(v))) == NULL)
			guest_job_fail(fd, "out of memory");
	}
	return (argv);
}
