/* SPDX-License-Identifier: ISC */

/*
 * The control channel: collects one command at a time from input cut in any
 * way, tells the host with NEXT how many bytes were taken, and queues the
 * replies.  While a command runs nothing more is taken.  Where the agent
 * that we play is touchier than that, it is told.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "hyper.h"

static size_t	ctl_input(struct guest_chan *, const uint8_t *, size_t);
static void	ctl_connected(struct guest_chan *);
static void	ctl_lost(struct guest_chan *);
static void	ctl_drained(struct guest_chan *, int);
static size_t	ctl_take(struct guest *, const uint8_t *, size_t);
static void	ctl_header(struct guest *, size_t);
static int	ctl_whole(const struct guest *);
static void	ctl_run(struct guest *);
static void	ctl_next(struct guest *, size_t);
static void	ctl_put(struct guest *, uint32_t, const void *, size_t, int);
static void	ctl_done(struct guest *, uint32_t, const void *, size_t);

const struct guest_chan_ops guest_ctl_ops = {
	ctl_input, ctl_connected, ctl_lost, ctl_drained
};

void
guest_ack(struct guest *g, const void *data, size_t len)
{
	ctl_done(g, HYP_ACK, data, len);
}

void
guest_error(struct guest *g, const char *fmt, ...)
{
	char	text[GUEST_ERRMAX];
	size_t	len;
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	guest_debug("ctl: error: %s", text);
	len = g->g_errtext == 0 ? 0 : strlen(text);
	if (g->g_errtext == 2) {
		len = strcspn(text, ":");
		text[len++] = '\0';
	}
	ctl_done(g, HYP_ERROR, text, len);
}

void
guest_reply(struct guest *g, const char *err)
{
	if (err != NULL)
		guest_error(g, "%s", err);
	else
		guest_ack(g, NULL, 0);
}

static size_t
ctl_input(struct guest_chan *c, const uint8_t *p, size_t len)
{
	struct guest	*g = c->c_guest;
	size_t		 n, piece = 0, used = 0;

	while (used < len && g->g_busy == 0 && g->g_quitting == 0 &&
	    c->c_outlen < GUEST_OUT_HIGH) {
		n = ctl_take(g, p + used, len - used);
		used += n;
		piece += n;
		if (g->g_profile->f_next == NEXT_PIECE && used < len &&
		    ctl_whole(g) == 0)
			continue;
		ctl_next(g, piece);
		piece = 0;
		if (ctl_whole(g) == 1)
			ctl_run(g);
	}
	return (used);
}

/* More of the header, or more of the payload. */
static size_t
ctl_take(struct guest *g, const uint8_t *p, size_t len)
{
	size_t	n;

	if (g->g_hdrlen == sizeof(g->g_hdr)) {
		n = g->g_need - g->g_have;
		if (n > len)
			n = len;
		if (g->g_msg != NULL)
			memcpy(g->g_msg + g->g_have, p, n);
		g->g_have += n;
		return (n);
	}
	n = sizeof(g->g_hdr) - g->g_hdrlen;
	if (n > len) {
		n = len;
		if (g->g_hdrlen == 0 && g->g_profile->f_whole == 1 &&
		    guest_chan_more(&g->g_ctl) == 0)
			guest_protocol("control header in pieces");
	}
	memcpy(g->g_hdr + g->g_hdrlen, p, n);
	g->g_hdrlen += n;
	if (g->g_hdrlen == sizeof(g->g_hdr))
		ctl_header(g, len - n);
	return (n);
}

/* more: bytes that came with it. */
static void
ctl_header(struct guest *g, size_t more)
{
	const uint8_t	*h = g->g_hdr + 4;

	g->g_have = 0;
	if (hyp_ctl_decode(g->g_hdr, &g->g_code, &g->g_need) == -1)
		g->g_msg = NULL;
	else
		g->g_msg = guest_alloc(g->g_need + 1);
	if (g->g_profile->f_lengths == 1 && h[0] == 0 && h[1] == 0 &&
	    h[2] == 0 && h[3] < sizeof(g->g_hdr))
		guest_protocol("control message of %u bytes", h[3]);
	if (g->g_profile->f_together == 1 && g->g_need > 0 && more == 0 &&
	    guest_chan_more(&g->g_ctl) == 0)
		guest_protocol("control header without its payload");
}

static int
ctl_whole(const struct guest *g)
{
	return (g->g_hdrlen == sizeof(g->g_hdr) && g->g_have == g->g_need);
}

static void
ctl_run(struct guest *g)
{
	char	*msg = g->g_msg;

	g->g_msg = NULL;
	g->g_hdrlen = 0;
	guest_pod_sweep(g);
	g->g_busy = 1;
	g->g_ctl.c_hold = g->g_profile->f_next == NEXT_LATE;
	g->g_errtext = g->g_profile->f_errors == ERRORS_TEXT;
	g->g_replygen = g->g_ctl.c_gen;
	guest_debug("ctl: %s (%u), %zu bytes", hyp_name(g->g_code), g->g_code,
	    g->g_need);
	if (msg == NULL) {
		guest_error(g, "message too long");
		return;
	}
	msg[g->g_need] = '\0';
	guest_command(g, g->g_code, msg, g->g_need);
	free(msg);
}

static void
ctl_next(struct guest *g, size_t n)
{
	uint8_t	v[4];

	if (g->g_profile->f_next == NEXT_NEVER)
		return;
	v[0] = (uint8_t)(n >> 24);
	v[1] = (uint8_t)(n >> 16);
	v[2] = (uint8_t)(n >> 8);
	v[3] = (uint8_t)n;
	ctl_put(g, HYP_NEXT, v, sizeof(v), 0);
	if (g->g_profile->f_next == NEXT_NOW)
		guest_chan_flush(&g->g_ctl);
}

static void
ctl_put(struct guest *g, uint32_t code, const void *data, size_t len, int keep)
{
	struct guest_buf	*b;

	b = guest_buf_new(HYP_CTL_HEADER_SIZE + len);
	b->b_keep = keep;
	hyp_ctl_encode(b->b_data, code, len);
	if (len > 0)
		memcpy(b->b_data + HYP_CTL_HEADER_SIZE, data, len);
	guest_chan_put(&g->g_ctl, b);
}

/* The host that asked may have gone: another one must not get its reply. */
static void
ctl_done(struct guest *g, uint32_t code, const void *data, size_t len)
{
	if (g->g_replygen == g->g_ctl.c_gen)
		ctl_put(g, code, data, len, 0);
	guest_defer(g);
}

void
guest_defer(struct guest *g)
{
	g->g_busy = 0;
	g->g_ctl.c_hold = 0;
	guest_chan_kick(&g->g_ctl);
}

void
guest_send(struct guest *g, uint32_t code, const void *data, size_t len)
{
	ctl_put(g, code, data, len, code != HYP_ACK);
}

/* The first host is told that the agent is there; later ones ask. */
static void
ctl_connected(struct guest_chan *c)
{
	if (c->c_gen == 1)
		ctl_put(c->c_guest, HYP_READY, NULL, 0, 1);
}

static void
ctl_lost(struct guest_chan *c)
{
	struct guest		*g = c->c_guest;
	struct guest_buf	*b, *next;

	free(g->g_msg);
	g->g_msg = NULL;
	g->g_hdrlen = 0;
	TAILQ_FOREACH_SAFE(b, &c->c_out, b_entry, next) {
		if (b->b_keep == 1 ||
		    (b == TAILQ_FIRST(&c->c_out) && c->c_headoff > 0))
			continue;
		TAILQ_REMOVE(&c->c_out, b, b_entry);
		c->c_outlen -= b->b_len;
		free(b);
	}
	guest_progress(g);
}

static void
ctl_drained(struct guest_chan *c, int empty)
{
	guest_chan_kick(c);
	if (empty == 1)
		guest_progress(c->c_guest);
}
