/* SPDX-License-Identifier: ISC */

/*
 * The I/O channel: hands the payload of each message to the process that
 * owns the sequence number, as it comes and without a copy of its own.
 * While a process cannot take more, nothing more is taken from the host;
 * what nobody owns is dropped without an answer.
 */

#include <string.h>

#include "guest.h"
#include "hyper.h"

static size_t	tty_input(struct guest_chan *, const uint8_t *, size_t);
static size_t	tty_payload(struct guest *, const uint8_t *, size_t);
static void	tty_header(struct guest *);
static void	tty_lost(struct guest_chan *);
static void	tty_drained(struct guest_chan *, int);

const struct guest_chan_ops guest_tty_ops = {
	tty_input, NULL, tty_lost, tty_drained
};

static size_t
tty_input(struct guest_chan *c, const uint8_t *p, size_t len)
{
	struct guest	*g = c->c_guest;
	size_t		 n, used = 0;

	while (used < len) {
		if (g->g_ttyleft > 0) {
			n = tty_payload(g, p + used, len - used);
			if (n == 0)
				break;
			g->g_ttyleft -= n;
			used += n;
			continue;
		}
		n = sizeof(g->g_ttyhdr) - g->g_ttyhdrlen;
		if (n > len - used)
			n = len - used;
		memcpy(g->g_ttyhdr + g->g_ttyhdrlen, p + used, n);
		g->g_ttyhdrlen += n;
		used += n;
		if (g->g_ttyhdrlen == sizeof(g->g_ttyhdr))
			tty_header(g);
	}
	return (used);
}

static void
tty_header(struct guest *g)
{
	struct guest_proc	*p;
	const uint8_t		*h = g->g_ttyhdr;
	int			 bad;

	g->g_ttyhdrlen = 0;
	bad = hyp_tty_decode(h, &g->g_ttyseq, &g->g_ttyleft) == -1 ||
	    (g->g_ttyleft == 0 &&
	    (h[8] != 0 || h[9] != 0 || h[10] != 0 ||
	    h[11] != HYP_TTY_HEADER_SIZE));
	if (bad == 1) {
		guest_debug("tty: bad length for sequence %llu",
		    (unsigned long long)g->g_ttyseq);
		g->g_ttyseq = 0;
		return;
	}
	if (g->g_ttyleft == 0 &&
	    (p = guest_proc_byseq(g, g->g_ttyseq)) != NULL)
		guest_proc_stdin_eof(p);
}

/* Bytes taken, 0: the owner is full. */
static size_t
tty_payload(struct guest *g, const uint8_t *p, size_t len)
{
	struct guest_proc	*owner;

	if (len > g->g_ttyleft)
		len = g->g_ttyleft;
	if ((owner = guest_proc_byseq(g, g->g_ttyseq)) == NULL)
		return (len);
	return (guest_proc_stdin(owner, p, len));
}

static void
tty_lost(struct guest_chan *c)
{
	c->c_guest->g_ttyhdrlen = 0;
	c->c_guest->g_ttyleft = 0;
	guest_progress(c->c_guest);
}

static void
tty_drained(struct guest_chan *c, int empty)
{
	guest_pumps_pause(c->c_guest, 0);
	if (empty == 1)
		guest_progress(c->c_guest);
}
