/* SPDX-License-Identifier: ISC */

/*
 * What a service manager is told of the daemon, in the protocol of
 * sd_notify(3).  Without NOTIFY_SOCKET nothing is done and nothing is open.
 */

#ifndef CCP_NOTIFY_H
#define CCP_NOTIFY_H

/*
 * Take the service manager's socket and watchdog from the environment.  Call
 * it after event_init(), and before a change of namespace: an abstract
 * socket belongs to that of the network.  What is wrong there is logged and
 * ignored.
 */
void	 notify_init(void);

/* Whether there is anybody to tell. */
int	 notify_active(void);

/* Serving, for the first time or again after notify_reloading(). */
void	 notify_ready(void);
void	 notify_reloading(void);

/* The end has begun; nothing but this is told from now on. */
void	 notify_stopping(void);

/* One line for the administrator, told once a second at most. */
void	 notify_status(const char *fmt, ...)
	    __attribute__((__format__(printf, 1, 2)));

#endif /* CCP_NOTIFY_H */
