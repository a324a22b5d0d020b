/* SPDX-License-Identifier: ISC */

/*
 * An engine that runs out of memory: the inputs kept for its fuzz target are
 * played once for each allocation that the engine makes, and that one fails.
 * It may end with a fatal error, which costs one VM; it may not crash, nor
 * go on with anything wrong.
 *
 * alloc [input ...]; with FAULTS=all every allocation, with CCP_ALLOC=N the
 * Nth, else some that are drawn with CCP_SEED.
 */

#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

#include "../fuzz/play.h"

#define CORPUS		"regress/fuzz/corpus/engine"
/* Allocations of an input that fail, and which inputs: every so many. */
#ifdef __SANITIZE_ADDRESS__
#define DRAWN		1
#define EVERY		6
#else
#define DRAWN		2
#define EVERY		1
#endif
#define MEMORYLESS	1	/* a fatal end */

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

void	*__real_malloc(size_t);
void	*__real_calloc(size_t, size_t);
void	*__real_realloc(void *, size_t);
void	*__real_reallocarray(void *, size_t, size_t);
char	*__real_strdup(const char *);
char	*__real_strndup(const char *, size_t);
int	 __real_vasprintf(char **, const char *, va_list);
void	*__wrap_malloc(size_t);
void	*__wrap_calloc(size_t, size_t);
void	*__wrap_realloc(void *, size_t);
void	*__wrap_reallocarray(void *, size_t, size_t);
char	*__wrap_strdup(const char *);
char	*__wrap_strndup(const char *, size_t);
int	 __wrap_vasprintf(char **, const char *, va_list)
	    __attribute__((__format__(printf, 2, 0)));
int	 __wrap_asprintf(char **, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));

static unsigned long	 count, victim;
static unsigned long	 nfailed, nfatal, ninputs;
static unsigned long	 only;		/* this one, to look at it */
static int		 all, verdict;

static int	out_of_memory(void);
static void	*json_memory(size_t);
static unsigned long play(const uint8_t *, size_t, const char *,
		    unsigned long);
static void	file(const char *);

static int
out_of_memory(void)
{
	if (!play_armed || ++count != victim)
		return (0);
	errno = ENOMEM;
	return (1);
}

void *
__wrap_malloc(size_t size)
{
	return (out_of_memory() ? NULL : __real_malloc(size));
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return (out_of_memory() ? NULL : __real_calloc(n, size));
}

void *
__wrap_realloc(void *p, size_t size)
{
	return (out_of_memory() ? NULL : __real_realloc(p, size));
}

void *
__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return (out_of_memory() ? NULL : __real_reallocarray(p, n, size));
}

char *
__wrap_strdup(const char *s)
{
	return (out_of_memory() ? NULL : __real_strdup(s));
}

char *
__wrap_strndup(const char *s, size_t n)
{
	return (out_of_memory() ? NULL : __real_strndup(s, n));
}

int
__wrap_vasprintf(char **s, const char *fmt, va_list ap)
{
	return (out_of_memory() ? -1 : __real_vasprintf(s, fmt, ap));
}

int
__wrap_asprintf(char **s, const char *fmt, ...)
{
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(s, fmt, ap);
	va_end(ap);
	return (n);
}

/* As sbx_warmup() has it. */
static void *
json_memory(size_t size)
{
	void	*p;

	if ((p = __wrap_malloc(size)) == NULL)
		fatal("%s", __func__);
	return (p);
}

/* In a process of its own; the number of allocations. */
static unsigned long
play(const uint8_t *data, size_t size, const char *name, unsigned long which)
{
	unsigned long	 n = 0;
	pid_t		 pid;
	int		 p[2], st;

	if (pipe(p) == -1 || (pid = fork()) == -1)
		err(1, NULL);
	if (pid == 0) {
		close(p[0]);
		json_set_alloc_funcs(json_memory, free);
		event_set_mem_functions(__wrap_malloc, __wrap_realloc, free);
		victim = which;
		LLVMFuzzerTestOneInput(data, size);
		if (write(p[1], &count, sizeof(count)) != sizeof(count))
			_exit(2);
		/* As an engine ends: leaks are looked for. */
		exit(0);
	}
	close(p[1]);
	if (read(p[0], &n, sizeof(n)) != sizeof(n))
		n = 0;
	close(p[0]);
	while (waitpid(pid, &st, 0) == -1 && errno == EINTR)
		continue;
	if (which != 0)
		nfailed++;
	if (WIFEXITED(st) && WEXITSTATUS(st) == MEMORYLESS && which != 0 &&
	    n == 0)
		nfatal++;
	else if (!WIFEXITED(st) || WEXITSTATUS(st) != 0) {
		fprintf(stderr, "%s, allocation %lu: %s %d\n", name, which,
		    WIFEXITED(st) ? "exit status" : "signal",
		    WIFEXITED(st) ? WEXITSTATUS(st) : WTERMSIG(st));
		verdict = 1;
	}
	return (n);
}

static void
file(const char *name)
{
	struct stat	 st;
	unsigned long	 i, n;
	uint8_t		*p;
	int		 fd;

	if ((fd = open(name, O_RDONLY)) == -1 || fstat(fd, &st) == -1)
		err(1, "%s", name);
	if ((p = malloc((size_t)st.st_size + 1)) == NULL)
		err(1, NULL);
	if (read(fd, p, (size_t)st.st_size) != (ssize_t)st.st_size)
		err(1, "%s", name);
	close(fd);
	ninputs++;
	n = only != 0 ? 0 : play(p, (size_t)st.st_size, name, 0);
	if (only != 0)
		(void)play(p, (size_t)st.st_size, name, only);
	else if (all)
		for (i = 1; i <= n; i++)
			(void)play(p, (size_t)st.st_size, name, i);
	else
		for (i = 0; n > 0 && i < DRAWN; i++)
			(void)play(p, (size_t)st.st_size, name,
			    1 + (unsigned long)random() % n);
	free(p);
}

int
main(int argc, char *argv[])
{
	struct dirent	*d;
	const char	*s;
	char		 path[1024];
	unsigned int	 seed;
	DIR		*dir;
	int		 i;

	play_memoryless = 1;
	s = getenv("FAULTS");
	all = s != NULL && strcmp(s, "all") == 0;
	s = getenv("CCP_SEED");
	seed = s == NULL ? (unsigned int)time(NULL) :
	    (unsigned int)strtoul(s, NULL, 10);
	srandom(seed);
	s = getenv("CCP_ALLOC");
	only = s == NULL ? 0 : strtoul(s, NULL, 10);
	for (i = 1; i < argc; i++)
		file(argv[i]);
	if (argc == 1) {
		if ((dir = opendir(CORPUS)) == NULL)
			err(1, CORPUS);
		while ((d = readdir(dir)) != NULL) {
			if (d->d_name[0] == '.' || (!all &&
			    random() % EVERY != 0))
				continue;
			snprintf(path, sizeof(path), "%s/%s", CORPUS,
			    d->d_name);
			file(path);
		}
		closedir(dir);
	}
	printf("# %lu inputs, %lu allocations failed, %lu times fatal "
	    "(seed %u)\n", ninputs, nfailed, nfatal, seed);
	printf("%s - alloc: an engine without memory\n", verdict ? "not ok" :
	    "ok");
	return (verdict);
}
