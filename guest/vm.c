/* SPDX-License-Identifier: ISC */

/*
 * The agent as the first process of a virtual machine: mounts what a system
 * needs, finds its two virtio ports by name, the shared directory by tag and
 * disks by name or address, and powers the machine off in the end.  Drivers
 * are expected to be there, or to be on their way.
 */

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "guest.h"

#define VM_WAIT		30000	/* for a port, milliseconds */
#define VM_DISK_WAIT	5000	/* for a disk, ditto */
#define VM_STEP		50

static int	vm_port(const char *);
static int	vm_read(const char *, char *, size_t);
static int	vm_disk_scsi(const char *, char *, size_t);
static void	vm_sleep(void);
static void	vm_resolv(int, json_t *);
static void	vm_write(const char *, const char *);

static const struct {
	const char	*what;
	const char	*path;
	const char	*type;
	unsigned long	 flags;
	const char	*data;
} vm_mounts[] = {
	{ "proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	{ "dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755" },
	{ "devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
	    "newinstance,ptmxmode=0666,mode=0620" },
	{ "shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
	{ "run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755" }
};

/* What a script before us has mounted already stays as it is. */
void
guest_vm_boot(void)
{
	struct stat	st, parent;
	char		up[64];
	size_t		i;

	(void)umask(022);
	for (i = 0; i < sizeof(vm_mounts) / sizeof(vm_mounts[0]); i++) {
		(void)guest_mkdirs(vm_mounts[i].path, 0755);
		(void)snprintf(up, sizeof(up), "%s/..", vm_mounts[i].path);
		if (stat(vm_mounts[i].path, &st) == 0 &&
		    stat(up, &parent) == 0 && st.st_dev != parent.st_dev)
			continue;
		if (mount(vm_mounts[i].what, vm_mounts[i].path,
		    vm_mounts[i].type, vm_mounts[i].flags,
		    vm_mounts[i].data) == -1)
			guest_debug("mount %s: %s", vm_mounts[i].path,
			    strerror(errno));
	}
	(void)setsid();
	(void)ioctl(STDIN_FILENO, TIOCSCTTY, 0);
	(void)setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
	    "/usr/bin:/sbin:/bin", 1);
	if (chdir("/") == -1)
		guest_fatal("/: %s", strerror(errno));
	guest_net_lo();
}

void
guest_vm_ports(struct guest *g)
{
	int	ctl, tty;

	if ((ctl = vm_port("sh.hyper.channel.0")) == -1)
		guest_fatal("no control port");
	guest_chan_attach(&g->g_ctl, ctl, 1);
	if ((tty = vm_port("sh.hyper.channel.1")) == -1)
		guest_fatal("no stream port");
	guest_chan_attach(&g->g_tty, tty, 1);
}

/* The port named, once it is there; -1: it does not come. */
static int
vm_port(const char *name)
{
	char	 buf[128], path[64];
	glob_t	 gl;
	size_t	 i;
	int	 fd, waited;

	for (waited = 0; waited < VM_WAIT; waited += VM_STEP) {
		if (glob("/sys/class/virtio-ports/*/name", 0, NULL,
		    &gl) == 0) {
			fd = -1;
			for (i = 0; i < gl.gl_pathc && fd == -1; i++) {
				if (vm_read(gl.gl_pathv[i], buf,
				    sizeof(buf)) == -1 ||
				    strcmp(buf, name) != 0)
					continue;
				/* .../virtio-ports/vport0p1/name */
				(void)snprintf(path, sizeof(path),
				    "/dev/%.40s", gl.gl_pathv[i] +
				    strlen("/sys/class/virtio-ports/"));
				path[strcspn(path + 5, "/") + 5] = '\0';
				fd = open(path, O_RDWR | O_NONBLOCK |
				    O_CLOEXEC);
			}
			globfree(&gl);
			if (fd != -1)
				return (fd);
		}
		vm_sleep();
	}
	return (-1);
}

static void
vm_sleep(void)
{
	(void)usleep(VM_STEP * 1000);
}

/* One line of a small file. */
static int
vm_read(const char *path, char *buf, size_t size)
{
	ssize_t	n;
	int	fd;

	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = read(fd, buf, size - 1);
	close(fd);
	if (n == -1)
		return (-1);
	buf[n] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return (0);
}

static void
vm_write(const char *path, const char *text)
{
	int	fd;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return;
	if (write(fd, text, strlen(text)) == -1)
		guest_debug("%s: %s", path, strerror(errno));
	close(fd);
}

void
guest_vm_poweroff(void)
{
	sync();
	if (getpid() == 1)
		(void)reboot(RB_POWER_OFF);
	_exit(0);
}

void
guest_vm_startpod(struct guest *g, int fd, json_t *conf)
{
	const char	*tag;
	json_t		*list, *v;
	size_t		 i;

	if (g->g_hostname != NULL &&
	    sethostname(g->g_hostname, strlen(g->g_hostname)) == -1)
		guest_job_fail(fd, "hostname: %s", strerror(errno));
	list = guest_json_get(conf, "interfaces");
	json_array_foreach(list, i, v)
		guest_net_interface(fd, v);
	list = guest_json_get(conf, "routes");
	json_array_foreach(list, i, v)
		guest_net_route(fd, v);
	(void)guest_mkdirs("/run/hyper", 0755);
	if (json_array_size(guest_json_get(conf, "dns")) > 0)
		vm_resolv(fd, conf);
	tag = guest_json_string(conf, "shareDir");
	if (tag == NULL || *tag == '\0')
		return;
	if (guest_mkdirs(GUEST_VM_SHARE, 0755) == -1 ||
	    mount(tag, GUEST_VM_SHARE, "9p", MS_NODEV,
	    "trans=virtio,version=9p2000.L,msize=131072") == -1)
		guest_job_fail(fd, "share %.64s: %s", tag, strerror(errno));
}

static void
vm_resolv(int fd, json_t *conf)
{
	static const struct {
		const char	*key;
		const char	*word;
	} lines[] = {
		{ "dns", "nameserver" }, { "dnsSearch", "search" },
		{ "dnsOptions", "options" }
	};
	json_t	*list, *v;
	size_t	 i, k;
	FILE	*f;

	if ((f = fopen(GUEST_VM_RESOLV, "we")) == NULL)
		guest_job_fail(fd, "resolv.conf: %s", strerror(errno));
	for (k = 0; k < sizeof(lines) / sizeof(lines[0]); k++) {
		list = guest_json_get(conf, lines[k].key);
		json_array_foreach(list, i, v) {
			if (json_is_string(v))
				(void)fprintf(f, "%s %s\n", lines[k].word,
				    json_string_value(v));
		}
	}
	if (fclose(f) == EOF)
		guest_job_fail(fd, "resolv.conf: %s", strerror(errno));
}

void
guest_vm_unmount(void)
{
	sync();
	(void)umount2(GUEST_VM_SHARE, MNT_DETACH);
}

void
guest_vm_online(void)
{
	static const char *const patterns[] = {
		"/sys/devices/system/cpu/cpu[0-9]*/online",
		"/sys/devices/system/memory/memory[0-9]*/online"
	};
	char	buf[16];
	glob_t	gl;
	size_t	i, k;

	for (k = 0; k < 2; k++) {
		if (glob(patterns[k], 0, NULL, &gl) != 0)
			continue;
		for (i = 0; i < gl.gl_pathc; i++)
			if (vm_read(gl.gl_pathv[i], buf, sizeof(buf)) == 0 &&
			    strcmp(buf, "0") == 0)
				vm_write(gl.gl_pathv[i], "1");
		globfree(&gl);
	}
}

/*
 * A disk is named as in /dev (image, or a volume's device) or by its SCSI
 * address id:lun, and may be just being plugged in.
 */
int
guest_vm_disk(json_t *conf, char *path, size_t size)
{
	const char	*addr, *name;
	int		 waited;

	if ((addr = guest_json_string(conf, "scsiAddr")) == NULL ||
	    *addr == '\0')
		addr = guest_json_string(conf, "addr");
	if ((name = guest_json_string(conf, "image")) == NULL)
		name = guest_json_string(conf, "device");
	for (waited = 0; waited < VM_DISK_WAIT; waited += VM_STEP) {
		if (addr != NULL && *addr != '\0') {
			if (waited == 0)
				vm_write("/sys/class/scsi_host/host0/scan",
				    "- - -");
			if (vm_disk_scsi(addr, path, size) == 0)
				return (0);
		} else if (name != NULL && *name != '\0') {
			(void)snprintf(path, size, "/dev/%s", *name == '/' &&
			    strncmp(name, "/dev/", 5) == 0 ? name + 5 : name);
			if (access(path, F_OK) == 0)
				return (0);
		} else
			break;
		vm_sleep();
	}
	errno = ENODEV;
	return (-1);
}

static int
vm_disk_scsi(const char *addr, char *path, size_t size)
{
	char	pattern[128];
	glob_t	gl;
	int	rv = -1;

	if (strspn(addr, "0123456789:") != strlen(addr))
		return (-1);
	(void)snprintf(pattern, sizeof(pattern),
	    "/sys/class/scsi_disk/0:0:%.32s/device/block/*", addr);
	if (glob(pattern, 0, NULL, &gl) != 0)
		return (-1);
	if (gl.gl_pathc == 1) {
		(void)snprintf(path, size, "/dev/%s",
		    strrchr(gl.gl_pathv[0], '/') + 1);
		rv = access(path, F_OK);
	}
	globfree(&gl);
	return (rv);
}
