/* SPDX-License-Identifier: ISC */

/*
 * The I/O channel: hands the payload of each message to the process that
 * owns the sequence number, as it comes and without a copy of its own.
 * While a process cannot take more, nothing more is taken from the host;
 * what nobody owns is dropped without an answer.
 *
 * That is, unless the agent that we play takes whole messages only, up to a
 * length, drops what a process cannot take, and has an answer.
 */

#include <string.h>

#include "guest.h"
#include "hyper.h"

static size_t	tty_input(struct guest_chan *, const uint8_t *, size_t);
static size_t	tty_payload(struct guest *, const uint8_t *, size_t);
static size_t	tty_collect(struct guest *, const uint8_t *, size_t);
static void	tty_header(struct guest *, size_t);
static int	tty_length(struct guest *, size_t);
static void	tty_goodbye(struct guest *);
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
		if (n > len - used) {
			n = len - used;
			if (g->g_ttyhdrlen == 0 &&
			    g->g_profile->f_whole == 1 &&
			    guest_chan_more(c) == 0)
				guest_protocol("I/O header in pieces");
		}
		memcpy(g->g_ttyhdr + g->g_ttyhdrlen, p + used, n);
		g->g_ttyhdrlen += n;
		used += n;
		if (g->g_ttyhdrlen == sizeof(g->g_ttyhdr))
			tty_header(g, len - used);
	}
	return (used);
}

/* more: bytes that came with it. */
static void
tty_header(struct guest *g, size_t more)
{
	struct guest_proc	*p;

	g->g_ttyhdrlen = g->g_ttyhave = 0;
	g->g_ttyskip = tty_length(g, more) == -1;
	if (g->g_ttyskip == 1) {
		guest_debug("tty: bad length for sequence %llu",
		    (unsigned long long)g->g_ttyseq);
		return;
	}
	if ((p = guest_proc_byseq(g, g->g_ttyseq)) != NULL) {
		if (g->g_ttyleft == 0)
			guest_proc_stdin_eof(p);
	} else if (g->g_profile->f_goodbye == 1 && g->g_tty.c_high == 0)
		tty_goodbye(g);
}

/* -1: the message is to be skipped. */
static int
tty_length(struct guest *g, size_t more)
{
	const uint8_t	*h = g->g_ttyhdr;
	int		 bad;

	bad = hyp_tty_decode(h, &g->g_ttyseq, &g->g_ttyleft);
	if (g->g_ttyleft == 0 && (h[8] != 0 || h[9] != 0 || h[10] != 0 ||
	    h[11] != HYP_TTY_HEADER_SIZE)) {
		if (g->g_profile->f_iomax != 0 || g->g_profile->f_whole == 1)
			guest_protocol("I/O message of %u bytes", h[11]);
		if (g->g_profile->f_lengths == 0 &&
		    g->g_profile->f_goodbye == 1)
			tty_goodbye(g);
		return (-1);
	}
	if (g->g_profile->f_iomax != 0 &&
	    g->g_ttyleft + HYP_TTY_HEADER_SIZE > g->g_profile->f_iomax) {
		guest_protocol("I/O message of %zu bytes",
		    g->g_ttyleft + HYP_TTY_HEADER_SIZE);
		return (-1);
	}
	if (g->g_profile->f_together == 1 && g->g_ttyleft > 0 && more == 0 &&
	    guest_chan_more(&g->g_tty) == 0)
		guest_protocol("I/O header without its data");
	return (bad);
}

/* Nobody there: an end of output that nobody had. */
static void
tty_goodbye(struct guest *g)
{
	struct guest_buf	*b;

	b = guest_buf_new(HYP_TTY_HEADER_SIZE);
	hyp_tty_encode(b->b_data, g->g_ttyseq, 0);
	guest_chan_put(&g->g_tty, b);
}

/* Bytes taken, 0: the owner is full. */
static size_t
tty_payload(struct guest *g, const uint8_t *p, size_t len)
{
	struct guest_proc	*owner;

	if (len > g->g_ttyleft)
		len = g->g_ttyleft;
	if (g->g_ttyskip == 1)
		return (len);
	if (g->g_profile->f_iomax != 0)
		return (tty_collect(g, p, len));
	if ((owner = guest_proc_byseq(g, g->g_ttyseq)) == NULL)
		return (len);
	return (guest_proc_stdin(owner, p, len));
}

static size_t
tty_collect(struct guest *g, const uint8_t *p, size_t len)
{
	struct guest_proc	*owner;

	memcpy(g->g_ttybuf + g->g_ttyhave, p, len);
	g->g_ttyhave += len;
	if (len == g->g_ttyleft &&
	    (owner = guest_proc_byseq(g, g->g_ttyseq)) != NULL)
		(void)guest_proc_stdin(owner, g->g_ttybuf,
		    guest_proc_stdin_room(owner, g->g_ttyhave));
	return (len);
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
