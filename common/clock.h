/* SPDX-License-Identifier: ISC */

/*
 * Time since some moment before the start, by a clock that nobody sets: what
 * waits and what counts in a time goes by it.  See clock_gettime(2),
 * CLOCK_MONOTONIC.
 */

#ifndef CCP_CLOCK_H
#define CCP_CLOCK_H

#include <stdint.h>

uint64_t clock_ms(void);
uint64_t clock_ns(void);

#endif /* CCP_CLOCK_H */
