/* SPDX-License-Identifier: ISC */

/*
 * ccp-vmengine: the VM's console, copied line by line to the log at level
 * debug.  The text comes from the guest; it is escaped where it is printed.
 * Nothing is ever written to the console, and it is drained whatever
 * happens to the log.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "vmengine.h"

#define VME_CONSOLE_LINE	1024	/* longer lines are split */

static void	vme_console_read(int, short, void *);
static void	vme_console_line(size_t);

static struct event	 console_ev;
static int		 console_fd = -1;
static char		 console_buf[VME_CONSOLE_LINE + 1];
static size_t		 console_len;

void
vme_console_init(int fd)
{
	console_fd = fd;
	event_set(&console_ev, fd, EV_READ | EV_PERSIST, vme_console_read,
	    NULL);
	vme_watch(&console_ev, NULL);
}

void
vme_console_close(void)
{
	if (console_fd == -1)
		return;
	event_del(&console_ev);
	close(console_fd);
	console_fd = -1;
}

static void
vme_console_read(int fd, short event, void *arg)
{
	char	*nl;
	ssize_t	 n;

	(void)event;
	(void)arg;
	n = recv(fd, console_buf + console_len,
	    VME_CONSOLE_LINE - console_len, MSG_DONTWAIT);
	if (n == -1 && peer_again(errno))
		return;
	if (n <= 0) {
		if (console_len > 0)
			vme_console_line(console_len);
		vme_console_close();
		return;
	}
	console_len += (size_t)n;
	while ((nl = memchr(console_buf, '\n', console_len)) != NULL)
		vme_console_line((size_t)(nl - console_buf) + 1);
	if (console_len == VME_CONSOLE_LINE)
		vme_console_line(console_len);
}

/* The first len bytes, less the line's end. */
static void
vme_console_line(size_t len)
{
	struct log_field	 fields[2];
	size_t			 i, n;

	for (n = len; n > 0 && (console_buf[n - 1] == '\n' ||
	    console_buf[n - 1] == '\r'); n--)
		;
	for (i = 0; i < n; i++)
		if (console_buf[i] == '\0')
			console_buf[i] = ' ';
	memset(fields, 0, sizeof(fields));
	fields[0].key = "source";
	fields[0].value = "qemu";
	log_entry(LOGL_DEBUG, fields, "%.*s", (int)n, console_buf);
	console_len -= len;
	memmove(console_buf, console_buf + len, console_len);
}
