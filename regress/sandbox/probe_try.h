/* SPDX-License-Identifier: ISC */

/*
 * Things to try that take more than one call.  Each returns 0, or -1 [errno].
 */

#ifndef CCP_PROBE_TRY_H
#define CCP_PROBE_TRY_H

int	 probe_proc_self_mem(void);
int	 probe_proc_self_status(void);
int	 probe_proc_init_environ(void);
int	 probe_proc_init_mem(void);
int	 probe_proc_sibling_mem(void);
int	 probe_proc_sibling_environ(void);

int	 probe_connect_path(void);
int	 probe_connect_name(void);
int	 probe_send_channel(void);

int	 probe_fork(void);
int	 probe_vfork(void);
int	 probe_clone(void);
int	 probe_ptrace_parent(void);
int	 probe_ptrace_sibling(void);
int	 probe_kill_parent(void);
int	 probe_kill_sibling(void);

int	 probe_chroot_escape(void);
int	 probe_raise_caps(void);
int	 probe_raise_limit(void);
int	 probe_raise_limit64(void);

int	 probe_i386_getpid(void);
int	 probe_i386_open(void);
int	 probe_i386_socketcall(void);
int	 probe_i386_execve(void);

#endif /* CCP_PROBE_TRY_H */
