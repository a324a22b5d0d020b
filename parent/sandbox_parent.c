/* SPDX-License-Identifier: ISC */

/*
 * What the parent may not do.  It starts programs, which inherit its filter
 * and need more calls than it does, so this is a list of what neither it
 * nor a child at its start has any use for.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/capability.h>

#include "sandbox.h"
#include "sandbox_parent.h"

#define KILL(name)	{ name, SBX_KILL, 0, 0, { SBX_CMP_NONE } }
#define CAP(c)		(UINT64_C(1) << (c))

/*
 * To start children as other users in other roots, stop them, and connect
 * to a hypervisor's socket whoever owns it.
 */
#define PARENT_CAPS	(CAP(CAP_SETUID) | CAP(CAP_SETGID) |		\
	CAP(CAP_SETPCAP) | CAP(CAP_SYS_CHROOT) | CAP(CAP_KILL) |	\
	CAP(CAP_DAC_OVERRIDE))

static const struct sbx_rule parent_deny[] = {
	/* other processes' memory and descriptors */
	KILL("ptrace"),
	KILL("process_vm_readv"),
	KILL("process_vm_writev"),
	KILL("process_madvise"),
	KILL("pidfd_getfd"),
	KILL("kcmp"),

	/* large parts of the kernel that exploits begin with */
	KILL("bpf"),
	KILL("io_uring_setup"),
	KILL("io_uring_enter"),
	KILL("io_uring_register"),
	KILL("userfaultfd"),
	KILL("perf_event_open"),
	KILL("add_key"),
	KILL("request_key"),
	KILL("keyctl"),
	KILL("fanotify_init"),
	KILL("vmsplice"),
	KILL("modify_ldt"),

	/* the kernel itself */
	KILL("kexec_load"),
	KILL("kexec_file_load"),
	KILL("init_module"),
	KILL("finit_module"),
	KILL("delete_module"),
	KILL("iopl"),
	KILL("ioperm"),
	KILL("syslog"),

	/* files by number, around every directory check */
	KILL("open_by_handle_at"),

	/* mounts and namespaces: all is set up when this is loaded */
	KILL("mount"),
	KILL("umount2"),
	KILL("pivot_root"),
	KILL("move_mount"),
	KILL("open_tree"),
	KILL("fsopen"),
	KILL("fspick"),
	KILL("fsconfig"),
	KILL("fsmount"),
	KILL("mount_setattr"),
	KILL("unshare"),
	KILL("setns"),

	/* the machine */
	KILL("swapon"),
	KILL("swapoff"),
	KILL("reboot"),
	KILL("acct"),
	KILL("quotactl"),
	KILL("quotactl_fd"),
	KILL("sethostname"),
	KILL("setdomainname"),
	KILL("settimeofday"),
	KILL("clock_settime"),
	KILL("clock_adjtime"),
	KILL("adjtimex"),
	KILL("vhangup"),

	/* programs that are no file in a directory */
	KILL("execveat"),

	/* name services may ask; they can do without an answer */
	{ "socket", SBX_SOFT, EAFNOSUPPORT, 1, { SBX_NE(0, AF_UNIX) } },
	{ NULL, SBX_KILL, 0, 0, { SBX_CMP_NONE } }
};

void
parent_sandbox(int is_root)
{
	sbx_enter_parent(is_root, PARENT_CAPS, parent_deny);
}
