/* SPDX-License-Identifier: ISC */

/*
 * READFILE and WRITEFILE: regular files in a container's root, as root.
 * The path is the host's, the links in it are the container's and cannot
 * lead out; anything that could block is refused.
 */

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest.h"
#include "hyper.h"

#define FILE_MAX	(HYP_RECV_MAX - HYP_CTL_HEADER_SIZE)

static int	file_open(struct guest *, struct guest_cont *, const char *,
		    int);

/* A descriptor, or -1 with the error sent. */
static int
file_open(struct guest *g, struct guest_cont *c, const char *file, int flags)
{
	struct stat	st;
	char		path[64];
	int		root, fd, save;

	if (guest_cont_running(c) == 0) {
		guest_error(g, "container is not running");
		return (-1);
	}
	if (c->k_init > 0)
		(void)snprintf(path, sizeof(path), "/proc/%d/root",
		    (int)c->k_init);
	else
		(void)strlcpy(path, "/", sizeof(path));
	if ((root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1) {
		guest_error(g, "root: %s", strerror(errno));
		return (-1);
	}
	fd = guest_openat2(root, file, flags | O_NONBLOCK | O_NOCTTY,
	    (flags & O_CREAT) != 0 ? 0644 : 0);
	save = errno;
	close(root);
	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
		close(fd);
		fd = -1;
		save = EINVAL;
	}
	if (fd == -1)
		guest_error(g, "%.100s: %s", file, strerror(save));
	return (fd);
}

/* Files of /proc have no size: read to the end. */
void
guest_readfile(struct guest *g, struct guest_cont *c, const char *file)
{
	char	*buf;
	size_t	 len = 0;
	ssize_t	 n = 0;
	int	 fd;

	if ((fd = file_open(g, c, file, O_RDONLY)) == -1)
		return;
	buf = guest_alloc(FILE_MAX + 1);
	while (len <= FILE_MAX) {
		n = read(fd, buf + len, FILE_MAX + 1 - len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	if (n == -1)
		guest_error(g, "%.100s: %s", file, strerror(errno));
	else if (len > FILE_MAX)
		guest_error(g, "%.100s: too large", file);
	else
		guest_ack(g, buf, len);
	free(buf);
	close(fd);
}

void
guest_writefile(struct guest *g, struct guest_cont *c, const char *file,
    const char *data, size_t len)
{
	ssize_t	n;
	int	fd;

	if ((fd = file_open(g, c, file, O_WRONLY | O_CREAT | O_TRUNC)) == -1)
		return;
	while (len > 0) {
		n = write(fd, data, len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			break;
		data += n;
		len -= (size_t)n;
	}
	if (len > 0)
		guest_error(g, "%.100s: %s", file, strerror(errno));
	else
		guest_ack(g, NULL, 0);
	close(fd);
}
