/* SPDX-License-Identifier: ISC */

/*
 * Preloaded into a process: its clock of the day differs from the machine's
 * by as many seconds as a file says that is mapped at the start, so that a
 * sandboxed process can be told as well.  The clock that does not jump stands
 * still where the second number of the file, in nanoseconds, puts it; with 0
 * it is left alone.
 */

#include <sys/types.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t	*step;

static void	clock_map(void) __attribute__((__constructor__));

static void
clock_map(void)
{
	const char	*path = getenv("CCP_CLOCK");
	void		*p;
	int		 fd;

	if (path == NULL || (fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	p = mmap(NULL, 2 * sizeof(*step), PROT_READ, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		step = p;
	close(fd);
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int64_t	 now;

	if (syscall(SYS_clock_gettime, id, ts) == -1)
		return (-1);
	if (step != NULL && (id == CLOCK_MONOTONIC ||
	    id == CLOCK_MONOTONIC_COARSE) && (now = step[1]) != 0) {
		ts->tv_sec = (time_t)(now / 1000000000);
		ts->tv_nsec = (long)(now % 1000000000);
	}
	if (step != NULL && (id == CLOCK_REALTIME ||
	    id == CLOCK_REALTIME_COARSE))
		ts->tv_sec += (time_t)*step;
	return (0);
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec	 ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = (suseconds_t)(ts.tv_nsec / 1000);
	return (0);
}

time_t
time(time_t *t)
{
	struct timespec	 ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return (ts.tv_sec);
}
