/* SPDX-License-Identifier: ISC */

/*
 * The control channel: collects one command at a time from input cut in any
 * way, tells the host with NEXT how many bytes were taken, and queues the
 * replies.  While a command runs nothing more is taken.
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
static void	ctl_header(struct guest *);
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
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	guest_debug("ctl: error: %s", text);
	ctl_done(g, HYP_ERROR, text, strlen(text));
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
	size_t		 n, used = 0;

	while (used < len && g->g_busy == 0 && g->g_quitting == 0 &&
	    c->c_outlen < GUEST_OUT_HIGH) {
		if (g->g_hdrlen < sizeof(g->g_hdr)) {
			n = sizeof(g->g_hdr) - g->g_hdrlen;
			if (n > len - used)
				n = len - used;
			memcpy(g->g_hdr + g->g_hdrlen, p + used, n);
			g->g_hdrlen += n;
			if (g->g_hdrlen == sizeof(g->g_hdr))
				ctl_header(g);
		} else {
			n = g->g_need - g->g_have;
			if (n > len - used)
				n = len - used;
			if (g->g_msg != NULL)
				memcpy(g->g_msg + g->g_have, p + used, n);
			g->g_have += n;
		}
		used += n;
		ctl_next(g, n);
		if (g->g_hdrlen == sizeof(g->g_hdr) && g->g_have == g->g_need)
			ctl_run(g);
	}
	return (used);
}

static void
ctl_header(struct guest *g)
{
	g->g_have = 0;
	if (hyp_ctl_decode(g->g_hdr, &g->g_code, &g->g_need) == -1)
		g->g_msg = NULL;
	else
		g->g_msg = guest_alloc(g->g_need + 1);
}

static void
ctl_run(struct guest *g)
{
	char	*msg = g->g_msg;

	g->g_msg = NULL;
	g->g_hdrlen = 0;
	g->g_busy = 1;
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

	v[0] = (uint8_t)(n >> 24);
	v[1] = (uint8_t)(n >> 16);
	v[2] = (uint8_t)(n >> 8);
	v[3] = (uint8_t)n;
	ctl_put(g, HYP_NEXT, v, sizeof(v), 0);
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
	g->g_busy = 0;
	guest_chan_kick(&g->g_ctl);
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
