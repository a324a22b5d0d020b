/* SPDX-License-Identifier: ISC */

/*
 * What the parent may not do.  It starts programs, which inherit its filter
 * and need more calls than it does, so this is a list of what neither it
 * nor a child at its start has any use for.
 */

#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/capability.h>

#include "sandbox.h"
#include "sandbox_parent.h"

#define KILL(name)	{ name, SBX_KILL, 0, 0, { SBX_CMP_NONE } }
#define KILL1(name, c)	{ name, SBX_KILL, 0, 1, { c } }
#define KILL2(name, c, d)	{ name, SBX_KILL, 0, 2, { c, d } }
#define ALL_OF(n, bits)	SBX_MASK(n, (uint64_t)(bits), (uint64_t)(bits))
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
	KILL("process_mrelease"),
	KILL("pidfd_getfd"),
	KILL("kcmp"),
	KILL1("prlimit64", SBX_NE(0, 0)),
	KILL("rt_sigqueueinfo"),
	KILL("rt_tgsigqueueinfo"),

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
	KILL("fanotify_mark"),
	KILL("inotify_init"),
	KILL("inotify_init1"),
	KILL("inotify_add_watch"),
	KILL("vmsplice"),
	KILL("modify_ldt"),
	KILL("io_setup"),
	KILL("remap_file_pages"),
	KILL("move_pages"),
	KILL("migrate_pages"),
	KILL("mbind"),
	KILL("set_mempolicy"),
	KILL("personality"),
	KILL("uselib"),

	/* shared memory, queues: nobody here speaks through these */
	KILL("shmget"),
	KILL("shmat"),
	KILL("shmctl"),
	KILL("semget"),
	KILL("semop"),
	KILL("semctl"),
	KILL("semtimedop"),
	KILL("msgget"),
	KILL("msgsnd"),
	KILL("msgrcv"),
	KILL("msgctl"),
	KILL("mq_open"),
	KILL("mq_unlink"),

	/* code that comes from no file; the loader maps files */
	KILL2("mmap", ALL_OF(2, PROT_EXEC), ALL_OF(3, MAP_ANONYMOUS)),
	KILL1("mmap", ALL_OF(2, PROT_EXEC | PROT_WRITE)),
	KILL1("mprotect", ALL_OF(2, PROT_EXEC)),
	KILL1("pkey_mprotect", ALL_OF(2, PROT_EXEC)),
	KILL("memfd_create"),
	KILL("memfd_secret"),

	/* what the children's start would undo */
	KILL2("prctl", SBX_EQ(0, PR_SET_DUMPABLE), SBX_NE(1, 0)),
	KILL1("prctl", SBX_EQ(0, PR_SET_KEEPCAPS)),
	KILL1("prctl", SBX_EQ(0, PR_SET_SECUREBITS)),
	KILL1("prctl", SBX_EQ(0, PR_SET_PTRACER)),
	KILL1("prctl", SBX_EQ(0, PR_SET_MM)),
	KILL2("prctl", SBX_EQ(0, PR_CAP_AMBIENT),
	    SBX_EQ(1, PR_CAP_AMBIENT_RAISE)),
	KILL("setfsuid"),
	KILL("setfsgid"),

	/* typing into somebody's terminal */
	KILL1("ioctl", SBX_EQ(1, TIOCSTI)),
	KILL1("ioctl", SBX_EQ(1, TIOCLINUX)),

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
	KILL("name_to_handle_at"),

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
	KILL1("clone", ALL_OF(0, CLONE_NEWNS)),
	KILL1("clone", ALL_OF(0, CLONE_NEWCGROUP)),
	KILL1("clone", ALL_OF(0, CLONE_NEWUTS)),
	KILL1("clone", ALL_OF(0, CLONE_NEWIPC)),
	KILL1("clone", ALL_OF(0, CLONE_NEWUSER)),
	KILL1("clone", ALL_OF(0, CLONE_NEWPID)),
	KILL1("clone", ALL_OF(0, CLONE_NEWNET)),
	/* its flags are in memory; without it libc uses clone() */
	{ "clone3", SBX_SOFT, ENOSYS, 0, { SBX_CMP_NONE } },

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
