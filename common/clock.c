/* SPDX-License-Identifier: ISC */

/*
 * The clock that all processes wait by.
 */

#include <time.h>

#include "clock.h"

uint64_t
clock_ns(void)
{
	struct timespec	 ts = { 0, 0 };

	/* It fails for clocks that there are not, and this one there is. */
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec);
}

uint64_t
clock_ms(void)
{
	return (clock_ns() / 1000000);
}
