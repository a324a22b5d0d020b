/* SPDX-License-Identifier: ISC */

/*
 * Applies each process's real sandbox in a process of its own and tries one
 * thing in it, for every line of the tables, and says what came of it; then
 * looks at such a process from outside.  Twice: entered as root, and without.
 * With an argument only that profile.
 */

#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "sandbox.h"
#include "sandbox_frontend.h"
#include "sandbox_parent.h"
#include "sandbox_vmengine.h"
#include "spawn.h"
#include "../unit/test.h"

#ifdef SBX_DEV
#define DEV	1
#else
#define DEV	0
#endif

#define ANSWER_NONE	(-100)	/* the process ended without one */

int	 probe_rootfd = -1;
pid_t	 probe_sibling = -1;

static unsigned int	 ntried;

static uint32_t
enter_frontend(int is_root)
{
	sbx_start(-1);
	sbx_warmup();
	return (fe_sandbox(is_root ? PROBE_ID : 0, is_root ? PROBE_ID : 0,
	    PROBE_NOFILE));
}

static uint32_t
enter_vmengine(int is_root)
{
	int	 rootfd = is_root ? SPAWN_ROOT_FD : -1;

	sbx_start(rootfd);
	sbx_warmup();
	return (vme_sandbox(is_root ? PROBE_ID : 0, is_root ? PROBE_ID : 0,
	    rootfd, PROBE_NOFILE));
}

/* With the namespaces that the parent makes before. */
static uint32_t
enter_parent(int is_root)
{
	if (is_root && unshare(CLONE_NEWNET | CLONE_NEWIPC |
	    CLONE_NEWUTS) == -1)
		_exit(1);
	parent_sandbox(is_root);
	return (SBX_SECCOMP);
}

static const struct probe_profile profiles[] = {
	{ "frontend", enter_frontend, PROBE_CHILD,
	    { probe_base, probe_frontend, NULL } },
	{ "vmengine", enter_vmengine, PROBE_CHILD,
	    { probe_base, probe_vmengine, NULL } },
	{ "layers", probe_enter_layers, PROBE_LAYERS,
	    { probe_layers, NULL } },
	{ "parent", enter_parent, PROBE_PARENT, { probe_parent, NULL } }
};

static void
become_user(void)
{
	if (setgroups(0, NULL) == -1 ||
	    setresgid(PROBE_ID, PROBE_ID, PROBE_ID) == -1 ||
	    setresuid(PROBE_ID, PROBE_ID, PROBE_ID) == -1)
		_exit(1);
}

pid_t
probe_start(const struct probe_profile *pr, int is_root,
    const struct probe_line *line, int *channel)
{
	uint32_t	 layers;
	const gid_t	 groups[] = { 1, 2 };
	int		 sv[2], a, null, root = -1, rv, answer;
	char		 byte;
	pid_t		 pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		return (-1);
	fflush(stdout);
	if ((pid = fork()) != 0) {
		close(sv[1]);
		*channel = sv[0];
		return (pid);
	}

	a = fcntl(sv[1], F_DUPFD, 20);
	if (probe_rootfd != -1)
		root = fcntl(probe_rootfd, F_DUPFD, 20);
	if (dup2(a, SPAWN_CHANNEL_FD) == -1 || dup2(a, SPAWN_LOG_FD) == -1 ||
	    (root != -1 && dup2(root, SPAWN_ROOT_FD) == -1))
		_exit(1);
	closefrom(root == -1 ? SPAWN_ROOT_FD : SPAWN_ROOT_FD + 1);
	/* As spawn() does; what fails while nothing is tried is told. */
	if (line != NULL && ((null = open("/dev/null", O_RDWR)) == -1 ||
	    dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1 || close(null) == -1))
		_exit(1);
	/* There must be something to take away. */
	if (is_root && setgroups(2, groups) == -1)
		_exit(1);
	if (!is_root && geteuid() == 0)
		become_user();

	layers = pr->enter(is_root);
	if (write(SPAWN_CHANNEL_FD, &layers, sizeof(layers)) == -1)
		_exit(1);
	if (line != NULL) {
		errno = 0;
		if (line->fn != NULL)
			rv = line->fn();
		else
			rv = syscall(line->nr, line->arg[0], line->arg[1],
			    line->arg[2], line->arg[3], line->arg[4],
			    line->arg[5]) == -1 ? -1 : 0;
		answer = rv == -1 ? errno : 0;
		if (write(SPAWN_CHANNEL_FD, &answer, sizeof(answer)) == -1)
			_exit(1);
	}
	if (read(SPAWN_CHANNEL_FD, &byte, 1) == -1)
		_exit(1);
	_exit(0);
}

int
probe_receive(int fd, void *buf, size_t len)
{
	return (recv(fd, buf, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1);
}

static int
try(const struct probe_profile *pr, int is_root, const struct probe_line *line,
    uint32_t *layers)
{
	int	 fd, status, answer = ANSWER_NONE;
	pid_t	 pid;

	if ((pid = probe_start(pr, is_root, line, &fd)) == -1)
		return (ANSWER_NONE);
	if (probe_receive(fd, layers, sizeof(*layers)) == -1 ||
	    probe_receive(fd, &answer, sizeof(answer)) == -1)
		answer = ANSWER_NONE;
	close(fd);
	if (waitpid(pid, &status, 0) != pid)
		return (ANSWER_NONE);
	if (answer == ANSWER_NONE && WIFSIGNALED(status)) {
		if (WTERMSIG(status) == SIGSYS)
			answer = P_SIGSYS;
		else if (WTERMSIG(status) == SIGSEGV)
			answer = P_SIGSEGV;
		else if (WTERMSIG(status) == SIGABRT)
			answer = P_SIGABRT;
	}
	return (answer);
}

/* Why a line says nothing here; NULL if it does. */
static const char *
missing(const struct probe_line *line, uint32_t layers)
{
	if ((line->only & P_LANDLOCK) && !(layers & SBX_LANDLOCK))
		return ("no Landlock here");
	if ((line->only & P_LANDNET) && !(layers & SBX_LANDNET))
		return ("Landlock knows no TCP here");
	if ((line->only & P_LANDSCOPE) && !(layers & SBX_LANDSCOPE))
		return ("Landlock knows no scopes here");
	return (NULL);
}

static int
expected(int expect, int is_root)
{
	if (expect == P_I386)
		return (probe_i386() ? P_SIGSYS : P_SIGSEGV);
	if (expect == P_FOREIGN)
		return (!is_root && geteuid() == 0 ? EPERM : P_OK);
	return (expect);
}

static void
show(char *buf, size_t size, int answer)
{
	if (answer == P_SIGSYS)
		snprintf(buf, size, "SIGSYS");
	else if (answer == P_SIGSEGV)
		snprintf(buf, size, "SIGSEGV");
	else if (answer == P_SIGABRT)
		snprintf(buf, size, "SIGABRT");
	else if (answer == ANSWER_NONE)
		snprintf(buf, size, "no answer");
	else if (answer == 0)
		snprintf(buf, size, "let through");
	else if (strerrorname_np(answer) == NULL)
		snprintf(buf, size, "errno %d", answer);
	else
		snprintf(buf, size, "%s", strerrorname_np(answer));
}

static void
probe_one(const struct probe_profile *pr, int is_root,
    const struct probe_line *line)
{
	static char	 name[256];
	const char	*why;
	char		 want[32], have[32];
	uint32_t	 layers = 0;
	int		 answer, expect = expected(line->expect, is_root);

	if ((line->only & (P_ROOT | P_USER)) != 0 &&
	    (line->only & (is_root ? P_ROOT : P_USER)) == 0)
		return;
	answer = try(pr, is_root, line, &layers);
	ntried++;
	show(want, sizeof(want), expect);
	show(have, sizeof(have), answer);
	test_finish();
	snprintf(name, sizeof(name), "%s, %s: %s: %s%s%s", pr->name,
	    is_root ? "root" : "user", line->name, have,
	    answer == expect ? "" : ", not ",
	    answer == expect ? "" : want);
	test_begin(name);
	if (answer != expect && (why = missing(line, layers)) != NULL)
		test_skip(why);
	else
		CHECK(answer == expect);
}

static void
probe_profile(const struct probe_profile *pr, int is_root)
{
	static char		 name[64];
	const struct probe_line	*line;
	const struct probe_thing *t;
	struct probe_line	 one;
	size_t			 i, n;

	test_finish();
	snprintf(name, sizeof(name), "%s, %s", pr->name,
	    is_root ? "root" : "user");
	if (DEV || (is_root && geteuid() != 0)) {
		probe_test(name);
		test_skip(DEV ? "a sanitizer's build has no filter" :
		    "needs root");
		return;
	}
	ntried = 0;
	for (i = 0; pr->lines[i] != NULL; i++)
		for (line = pr->lines[i]; line->name != NULL; line++)
			probe_one(pr, is_root, line);
	t = probe_things(&n);
	for (; pr->process != PROBE_LAYERS && n > 0; t++, n--) {
		one.name = t->name;
		one.expect = pr->process == PROBE_CHILD ? t->child :
		    is_root ? t->root : t->user;
		one.fn = t->fn;
		one.nr = t->nr;
		memcpy(one.arg, t->arg, sizeof(one.arg));
		one.only = 0;
		if (one.expect != P_NONE)
			probe_one(pr, is_root, &one);
	}
	test_finish();
	printf("# %s, %s: %u things tried\n", pr->name, is_root ? "root" :
	    "user", ntried);
	if (pr->process == PROBE_LAYERS)
		return;
	snprintf(name, sizeof(name), "%s, %s: seen from outside", pr->name,
	    is_root ? "root" : "user");
	probe_test(name);
	probe_look(pr, is_root);
}

/* As an engine is: its uid is that of others, and it shows itself to none. */
static pid_t
start_sibling(void)
{
	int	 ready[2];
	char	 byte;
	pid_t	 pid;

	if (pipe2(ready, O_CLOEXEC) == -1)
		return (-1);
	if ((pid = fork()) == 0) {
		if (geteuid() == 0)
			become_user();
		if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1 ||
		    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	close(ready[1]);
	if (pid != -1 && read(ready[0], &byte, 1) != 1)
		pid = -1;
	close(ready[0]);
	return (pid);
}

void
probe_test(const char *name)
{
	test_begin(name);
}

void
probe_skip(const char *why)
{
	test_skip(why);
}

void
probe_check(int ok, const char *file, int line, const char *what)
{
	if (!ok)
		test_fail(file, line, what);
}

int
main(int argc, char *argv[])
{
	size_t	 i;
	int	 abstract, found = 0;

	closefrom(3);
	abstract = probe_listen();
	probe_sibling = start_sibling();
	if (geteuid() == 0 && (probe_rootfd = sbx_empty_root()) == -1)
		perror("empty root");
	for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++) {
		if (argc > 1 && strcmp(argv[1], profiles[i].name) != 0)
			continue;
		found = 1;
		probe_profile(&profiles[i], 1);
		probe_profile(&profiles[i], 0);
	}
	if (argc == 1)
		probe_refusals(DEV);
	if (probe_sibling != -1) {
		kill(probe_sibling, SIGKILL);
		waitpid(probe_sibling, NULL, 0);
	}
	if (abstract != -1)
		close(abstract);
	if (!found) {
		fprintf(stderr, "usage: probe [profile]\n");
		return (1);
	}
	return (test_end());
}
