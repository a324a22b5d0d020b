/* SPDX-License-Identifier: ISC */

/*
 * The user's terminal, for cc-proxyctl run -t and top.
 */

#include <sys/ioctl.h>

#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "ctl.h"

/* Another screen, no cursor; and back. */
#define SCREEN_ENTER	"\033[?1049h\033[?25l\033[2J"
#define SCREEN_LEAVE	"\033[0m\033[?25h\033[?1049l"

static struct termios		 term_saved;
static int			 term_registered;
static volatile sig_atomic_t	 term_raw_now;
static volatile sig_atomic_t	 term_screen_now;

static void	 term_put(const char *, size_t);
static int	 term_save(void);

/* Nothing can be done about a terminal that has gone. */
static void
term_put(const char *p, size_t len)
{
	if (write(STDOUT_FILENO, p, len) == -1)
		return;
}

void
term_restore(void)
{
	if (term_screen_now) {
		term_screen_now = 0;
		/* One that was stopped would stop us. */
		tcflow(STDOUT_FILENO, TCOON);
		term_put(SCREEN_LEAVE, sizeof(SCREEN_LEAVE) - 1);
	}
	if (term_raw_now == 0)
		return;
	term_raw_now = 0;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &term_saved);
}

/* 0, or -1 if there is nothing to change. */
static int
term_save(void)
{
	if (term_registered == 0) {
		if (atexit(term_restore) != 0)
			return (-1);
		term_registered = 1;
	}
	return (term_raw_now ? -1 : tcgetattr(STDIN_FILENO, &term_saved));
}

void
term_raw(void)
{
	struct termios	 tio;

	if (term_save() == -1)
		return;
	tio = term_saved;
	cfmakeraw(&tio);
	/* before the change, so that a failure in between is undone as well */
	term_raw_now = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &tio);
}

void
term_screen(void)
{
	struct termios	 tio;

	if (term_save() == 0) {
		tio = term_saved;
		tio.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		tio.c_cc[VMIN] = 1;
		tio.c_cc[VTIME] = 0;
		term_raw_now = 1;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &tio);
	}
	term_screen_now = 1;
	term_put(SCREEN_ENTER, sizeof(SCREEN_ENTER) - 1);
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
