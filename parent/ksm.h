/* SPDX-License-Identifier: ISC */

/*
 * Tuning of the kernel's same-page merging (KSM): fast while VMs start, then
 * slower, then as it was found.  All files are opened by ksm_init(), so that
 * the rest works without the right to open anything.
 */

#ifndef CCP_KSM_H
#define CCP_KSM_H

#include <sys/time.h>

#include <stddef.h>

#include "msgstats.h"

/* How long each setting lasts; all zero members mean the next one at once. */
struct ksm_times {
	struct timeval	 kick;		/* aggressive, after the last kick */
	struct timeval	 standard;
	struct timeval	 slow;		/* then the initial values */
};

/*
 * mode: "off", "initial" or "auto".  Returns 0, or -1 with the reason in
 * err; every other function here then does nothing.
 */
int	 ksm_init(const char *mode, const struct ksm_times *, char *err,
	    size_t);

/* The same with other files than the kernel's. */
int	 ksm_init_at(const char *dir, const char *meminfo, const char *mode,
	    const struct ksm_times *, char *err, size_t);

/* Other times, for the settings that begin from now on. */
void	 ksm_set_times(const struct ksm_times *);

/* A VM was registered.  Needs the event loop's base. */
void	 ksm_kick(void);

/* How it is set now. */
enum msg_ksm ksm_status(void);

/* 1 if SIGTERM and SIGINT must end in ksm_restore() and exit status 0. */
int	 ksm_handles_signals(void);

/* Writes the initial values and stops the timer; 0, or -1 if any failed. */
int	 ksm_restore(void);

#endif /* CCP_KSM_H */
