/* SPDX-License-Identifier: ISC */

/*
 * The user's terminal, for cc-proxyctl run -t.
 */

#include <sys/ioctl.h>

#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

static struct termios	 term_saved;
static int		 term_registered;
static int		 term_raw_now;

void
term_restore(void)
{
	if (term_raw_now == 0)
		return;
	term_raw_now = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &term_saved);
}

void
term_raw(void)
{
	struct termios	 tio;

	if (term_raw_now || tcgetattr(STDIN_FILENO, &term_saved) == -1)
		return;
	if (term_registered == 0) {
		if (atexit(term_restore) != 0)
			return;
		term_registered = 1;
	}
	tio = term_saved;
	cfmakeraw(&tio);
	/* before the change, so that a failure in between is undone as well */
	term_raw_now = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &tio);
}

int
term_is_raw(void)
{
	return (term_raw_now);
}

int
term_size(unsigned int *rows, unsigned int *columns)
{
	struct winsize	 ws;
	int		 fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (ioctl(fd, TIOCGWINSZ, &ws) == -1 || ws.ws_row == 0 ||
		    ws.ws_col == 0)
			continue;
		*rows = ws.ws_row;
		*columns = ws.ws_col;
		return (0);
	}
	return (-1);
}
