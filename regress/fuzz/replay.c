/* SPDX-License-Identifier: ISC */

/*
 * Runs a fuzz target over the inputs that are kept for it, with any compiler:
 * replay [file or directory ...], by default the target's own directory.  An
 * input that kills it is named.
 */

#include <sys/types.h>
#include <sys/stat.h>

#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CORPUS	"regress/fuzz/corpus"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static char		 path[1024];
static unsigned int	 count;

static void	died(int);
static void	run_file(void);
static void	run(const char *);

static void
died(int signo)
{
	static const char	 text[] = "killed by the input ";

	if (write(STDERR_FILENO, text, sizeof(text) - 1) == -1 ||
	    write(STDERR_FILENO, path, strlen(path)) == -1 ||
	    write(STDERR_FILENO, "\n", 1) == -1)
		_exit(2);
	signal(signo, SIG_DFL);
	raise(signo);
}

/* In memory of its very size, so that a byte too far is seen. */
static void
run_file(void)
{
	struct stat	 st;
	uint8_t		*p;
	int		 fd;

	if ((fd = open(path, O_RDONLY)) == -1 || fstat(fd, &st) == -1)
		err(1, "%s", path);
	if ((p = malloc((size_t)st.st_size + (st.st_size == 0))) == NULL)
		err(1, NULL);
	if (read(fd, p, (size_t)st.st_size) != (ssize_t)st.st_size)
		err(1, "%s", path);
	close(fd);
	LLVMFuzzerTestOneInput(p, (size_t)st.st_size);
	free(p);
	count++;
}

static void
run(const char *name)
{
	struct dirent	*d;
	struct stat	 st;
	DIR		*dir;

	if (stat(name, &st) == -1)
		err(1, "%s", name);
	if (!S_ISDIR(st.st_mode)) {
		snprintf(path, sizeof(path), "%s", name);
		run_file();
		return;
	}
	if ((dir = opendir(name)) == NULL)
		err(1, "%s", name);
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", name, d->d_name);
		run_file();
	}
	closedir(dir);
}

int
main(int argc, char *argv[])
{
	char	*target, *end, own[256];
	int	 i;

	signal(SIGABRT, died);
	signal(SIGSEGV, died);
	target = strrchr(argv[0], '/');
	target = strdup(target == NULL ? argv[0] : target + 1);
	if (target == NULL)
		err(1, NULL);
	if ((end = strstr(target, "_fuzz")) != NULL)
		*end = '\0';
	for (i = 1; i < argc; i++)
		run(argv[i]);
	if (argc == 1) {
		snprintf(own, sizeof(own), "%s/%s", CORPUS, target);
		run(own);
	}
	printf("%s - fuzz: %s: %u inputs\n", count == 0 ? "not ok" : "ok",
	    target, count);
	free(target);
	return (count == 0);
}
