/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: namespaces of network, IPC and UTS with nothing in them.
 * Connecting to sockets that have a path works without a network.  The input
 * is the kernel's.
 */

#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "namespace.h"

#define NAMESPACE_HOST_NET	"/proc/sys/net/core/dev_weight"

static int	 namespace_is_ours(void);

void
namespace_enter(void)
{
	int	 save;

	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) == 0)
		return;
	save = errno;
	if (save == EPERM && namespace_is_ours()) {
		log_debug("namespaces: those of the service manager");
		return;
	}
	errno = save;
	fatal("unshare");
}

/* Two lines of headings, then one for each interface. */
int
namespace_net_empty(const char *text)
{
	const char	*line = text;
	int		 n;

	for (n = 0; line != NULL && line[0] != '\0'; n++) {
		if (n >= 2 && strncmp(line + strspn(line, " "), "lo:", 3) != 0)
			return (0);
		if ((line = strchr(line, '\n')) != NULL)
			line++;
	}
	return (n >= 2);
}

/* Linux's include/linux/proc_ns.h: they have had these numbers always. */
int
namespace_initial(const char *link)
{
	return (strcmp(link, "ipc:[4026531839]") == 0 ||
	    strcmp(link, "uts:[4026531838]") == 0);
}

/*
 * Nothing tells who else is in a namespace; but none may be the host's, and
 * there must be no network to be reached.  That of the host had no number
 * of its own for long, but has settings that no other has.
 */
static int
namespace_is_ours(void)
{
	static const char *const links[] = {
		"/proc/self/ns/ipc", "/proc/self/ns/uts"
	};
	char	 buf[4096];
	size_t	 i;
	ssize_t	 n;
	int	 fd;

	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		if ((n = readlink(links[i], buf, sizeof(buf) - 1)) == -1)
			return (0);
		buf[n] = '\0';
		if (namespace_initial(buf))
			return (0);
	}
	if (access(NAMESPACE_HOST_NET, F_OK) == 0 || errno != ENOENT)
		return (0);
	if ((fd = open("/proc/self/net/dev", O_RDONLY | O_CLOEXEC)) == -1)
		return (0);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	/* A text that does not fit has more than one interface. */
	if (n == -1 || (size_t)n == sizeof(buf) - 1)
		return (0);
	buf[n] = '\0';
	return (namespace_net_empty(buf));
}
