/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: connecting to the socket of a VM.  The path is a
 * client's: it is resolved once, must be a socket, and is connected through
 * the descriptor, so that nothing can be swapped in between.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <linux/openat2.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

int
vmopen_connect(const char *path)
{
	struct sockaddr_un	 sun;
	struct open_how		 how;
	struct stat		 st;
	int			 fd, pathfd, save;

	fd = -1;
	if (path[0] != '/') {
		errno = EINVAL;
		return (-1);
	}
	memset(&how, 0, sizeof(how));
	how.flags = O_PATH | O_CLOEXEC;
	how.resolve = RESOLVE_NO_MAGICLINKS;
	pathfd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	if (pathfd == -1)
		return (-1);
	if (fstat(pathfd, &st) == -1)
		goto fail;
	if (!S_ISSOCK(st.st_mode)) {
		errno = ECONNREFUSED;
		goto fail;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		goto fail;
	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/proc/self/fd/%d",
	    pathfd);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1)
		goto fail;
	close(pathfd);
	return (fd);

 fail:
	save = errno;
	if (fd != -1)
		close(fd);
	close(pathfd);
	errno = save;
	return (-1);
}
