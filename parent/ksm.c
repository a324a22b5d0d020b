/* SPDX-License-Identifier: ISC */

/*
 * Tuning of the kernel's same-page merging.  Runs in the parent, the only
 * process with descriptors for the kernel's files; reads nothing but these.
 */

#include <sys/types.h>

#include <ctype.h>
#include <errno.h>
#include <event.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksm.h"
#include "log.h"

#define KSM_DIR		"/sys/kernel/mm/ksm/"
#define KSM_MEMINFO	"/proc/meminfo"

enum ksm_file {
	KSM_PAGES,
	KSM_SLEEP,
	KSM_RUN,		/* restored last */
	KSM_NFILES
};

enum ksm_state {
	KSM_INITIAL,
	KSM_AGGRESSIVE,
	KSM_STANDARD,
	KSM_SLOW
};

static const char *const ksm_names[KSM_NFILES] = {
	"pages_to_scan", "sleep_millisecs", "run"
};

static const struct {
	unsigned long	 divisor;	/* of the number of anonymous pages */
	const char	*sleep;
} ksm_settings[] = {
	[KSM_AGGRESSIVE] = { 10, "1" },
	[KSM_STANDARD] = { 100, "10" },
	[KSM_SLOW] = { 500, "100" }
};

static struct {
	int		 handles;	/* mode is off or auto, and set up */
	int		 throttles;	/* mode is auto */
	int		 armed;
	enum ksm_state	 state;
	struct ksm_times times;
	struct event	 timer;
	int		 meminfo;
	int		 fd[KSM_NFILES];
	char		 initial[KSM_NFILES][64];
} ksm = { .meminfo = -1, .fd = { -1, -1, -1 } };

static int	 ksm_open(const char *, const char *, char *, size_t);
static void	 ksm_close(void);
static int	 ksm_write(enum ksm_file, const char *, const char **);
static int	 ksm_pages(unsigned long, char *, size_t, const char **);
static int	 ksm_tune(enum ksm_state, const char **);
static int	 ksm_put_back(const char **);
static void	 ksm_arm(void);
static void	 ksm_timeout(int, short, void *);

int
ksm_init(const char *mode, const struct ksm_times *times, char *err,
    size_t errsize)
{
	return (ksm_init_at(KSM_DIR, KSM_MEMINFO, mode, times, err, errsize));
}

int
ksm_init_at(const char *dir, const char *meminfo, const char *mode,
    const struct ksm_times *times, char *err, size_t errsize)
{
	const char	*why;
	int		 is_auto = strcmp(mode, "auto") == 0;
	int		 is_off = strcmp(mode, "off") == 0;

	if (!is_auto && !is_off && strcmp(mode, "initial") != 0) {
		snprintf(err, errsize, "Unsupported KSM knob %s", mode);
		return (-1);
	}
	if (ksm_open(dir, is_auto ? meminfo : NULL, err, errsize) == -1) {
		ksm_close();
		return (-1);
	}
	if (is_off && ksm_write(KSM_RUN, "0", &why) == -1) {
		snprintf(err, errsize, "%s", why);
		ksm_close();
		return (-1);
	}
	if (!is_auto && !is_off) {
		ksm_close();
		return (0);
	}
	ksm.times = *times;
	ksm.state = KSM_INITIAL;
	ksm.handles = 1;
	ksm.throttles = is_auto;
	return (0);
}

/* meminfo may be NULL. */
static int
ksm_open(const char *dir, const char *meminfo, char *err, size_t errsize)
{
	char	 path[PATH_MAX];
	ssize_t	 n;
	int	 dirfd, i;

	if ((dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1) {
		snprintf(err, errsize, "%s is not available", dir);
		return (-1);
	}
	for (i = 0; i < KSM_NFILES; i++) {
		snprintf(path, sizeof(path), "%s%s", dir, ksm_names[i]);
		if ((ksm.fd[i] = openat(dirfd, ksm_names[i],
		    O_RDWR | O_NONBLOCK | O_CLOEXEC)) == -1) {
			snprintf(err, errsize, "open %s: %s", path,
			    log_strerror(errno));
			close(dirfd);
			return (-1);
		}
		if ((n = read(ksm.fd[i], ksm.initial[i],
		    sizeof(ksm.initial[i]) - 1)) == -1) {
			snprintf(err, errsize, "read %s: %s", path,
			    log_strerror(errno));
			close(dirfd);
			return (-1);
		}
		ksm.initial[i][n] = '\0';
	}
	close(dirfd);
	if (meminfo != NULL && (ksm.meminfo = open(meminfo,
	    O_RDONLY | O_CLOEXEC)) == -1) {
		snprintf(err, errsize, "open %s: %s", meminfo,
		    log_strerror(errno));
		return (-1);
	}
	return (0);
}

static void
ksm_close(void)
{
	int	 i;

	for (i = 0; i < KSM_NFILES; i++) {
		if (ksm.fd[i] != -1)
			close(ksm.fd[i]);
		ksm.fd[i] = -1;
	}
	if (ksm.meminfo != -1)
		close(ksm.meminfo);
	ksm.meminfo = -1;
}

static int
ksm_write(enum ksm_file file, const char *text, const char **why)
{
	int	 fd = ksm.fd[file];
	size_t	 len = strlen(text);
	ssize_t	 n;

	if (fd == -1) {
		*why = "KSM is unavailable";
		return (-1);
	}
	if (lseek(fd, 0, SEEK_SET) == -1 || ftruncate(fd, 0) == -1 ||
	    (n = write(fd, text, len)) == -1) {
		*why = log_strerror(errno);
		return (-1);
	}
	if ((size_t)n != len) {
		*why = "short write";
		return (-1);
	}
	return (0);
}

/*
 * The number of anonymous pages divided by divisor, as text.  "AnonPages:
 * 1234 kB": the number is the last but one word of its line.
 */
static int
ksm_pages(unsigned long divisor, char *text, size_t size, const char **why)
{
	char			 buf[16384], *ep, *line, *word;
	unsigned long long	 kb;
	long			 pagesize = sysconf(_SC_PAGESIZE);
	ssize_t			 n;

	*why = "Could not compute number of pages";
	if ((n = pread(ksm.meminfo, buf, sizeof(buf) - 1, 0)) == -1)
		return (-1);
	buf[n] = '\0';
	for (line = buf; strncmp(line, "AnonPages:", 10) != 0; line++) {
		if ((line = strchr(line, '\n')) == NULL)
			return (-1);
	}
	line[strcspn(line, "\n")] = '\0';
	if ((word = strrchr(line, ' ')) == NULL || pagesize <= 0)
		return (-1);
	*word = '\0';
	if ((word = strrchr(line, ' ')) == NULL)
		return (-1);
	*why = "Invalid integer";
	errno = 0;
	kb = strtoull(++word, &ep, 10);
	if (!isdigit((unsigned char)*word) || *ep != '\0' || errno != 0 ||
	    kb > ULLONG_MAX / 1024)
		return (-1);
	snprintf(text, size, "%llu",
	    kb * 1024 / (unsigned long long)pagesize / divisor);
	return (0);
}

/* Merging stands still while its parameters change. */
static int
ksm_tune(enum ksm_state state, const char **why)
{
	char	 pages[32];

	if (state != KSM_AGGRESSIVE && state != KSM_STANDARD &&
	    state != KSM_SLOW) {
		*why = "Invalid KSM setting";
		return (-1);
	}
	if (ksm_pages(ksm_settings[state].divisor, pages, sizeof(pages),
	    why) == -1)
		return (-1);
	if (ksm_write(KSM_RUN, "0", why) == -1 ||
	    ksm_write(KSM_PAGES, pages, why) == -1 ||
	    ksm_write(KSM_SLEEP, ksm_settings[state].sleep, why) == -1 ||
	    ksm_write(KSM_RUN, "1", why) == -1)
		return (-1);
	return (0);
}

/* A file that cannot be restored does not keep the others from it. */
static int
ksm_put_back(const char **why)
{
	const char	*text;
	int		 i, result = 0;

	for (i = 0; i < KSM_NFILES; i++) {
		if (ksm_write((enum ksm_file)i, ksm.initial[i], &text) == -1) {
			*why = text;
			result = -1;
		}
	}
	return (result);
}

void
ksm_set_times(const struct ksm_times *times)
{
	ksm.times = *times;
}

/* For as long as the present setting lasts. */
static void
ksm_arm(void)
{
	const struct timeval	*tv;

	switch (ksm.state) {
	case KSM_AGGRESSIVE:
		tv = &ksm.times.kick;
		break;
	case KSM_STANDARD:
		tv = &ksm.times.standard;
		break;
	case KSM_SLOW:
		tv = &ksm.times.slow;
		break;
	case KSM_INITIAL:
	default:
		return;
	}
	if (!evtimer_initialized(&ksm.timer))
		evtimer_set(&ksm.timer, ksm_timeout, NULL);
	if (evtimer_add(&ksm.timer, tv) == -1)
		log_warnx("KSM timer");
	else
		ksm.armed = 1;
}

/*
 * A step that failed is tried again after the same time: the setting stays
 * what it was.
 */
static void
ksm_timeout(int fd, short what, void *arg)
{
	const char	*why;
	enum ksm_state	 next;
	int		 result;

	(void)fd;
	(void)what;
	(void)arg;
	ksm.armed = 0;
	switch (ksm.state) {
	case KSM_AGGRESSIVE:
		next = KSM_STANDARD;
		break;
	case KSM_STANDARD:
		next = KSM_SLOW;
		break;
	case KSM_SLOW:
	case KSM_INITIAL:
	default:
		next = KSM_INITIAL;
		break;
	}
	if (next == KSM_INITIAL)
		result = ksm_put_back(&why);
	else
		result = ksm_tune(next, &why);
	if (result == -1)
		log_entry(LOGL_ERROR, NULL, "could not tune KSM: %s", why);
	else
		ksm.state = next;
	ksm_arm();
}

void
ksm_kick(void)
{
	const char	*why;

	if (!ksm.throttles)
		return;
	if (ksm_tune(KSM_AGGRESSIVE, &why) == -1)
		log_entry(LOGL_ERROR, NULL, "could not tune KSM: %s", why);
	ksm.state = KSM_AGGRESSIVE;
	ksm_arm();
}

enum msg_ksm
ksm_status(void)
{
	if (!ksm.handles)
		return (MSG_KSM_NONE);
	if (!ksm.throttles)
		return (MSG_KSM_OFF);
	switch (ksm.state) {
	case KSM_AGGRESSIVE:
		return (MSG_KSM_AGGRESSIVE);
	case KSM_STANDARD:
		return (MSG_KSM_STANDARD);
	case KSM_SLOW:
		return (MSG_KSM_SLOW);
	case KSM_INITIAL:
		break;
	}
	return (MSG_KSM_INITIAL);
}

int
ksm_handles_signals(void)
{
	return (ksm.handles);
}

int
ksm_restore(void)
{
	const char	*why;

	if (!ksm.handles)
		return (0);
	if (ksm.armed)
		evtimer_del(&ksm.timer);
	ksm.armed = 0;
	ksm.state = KSM_INITIAL;
	if (ksm_put_back(&why) == -1) {
		log_entry(LOGL_ERROR, NULL, "could not restore KSM: %s", why);
		return (-1);
	}
	return (0);
}
