/* SPDX-License-Identifier: ISC */

/*
 * The agents that we can be taken for: what differs between them is data
 * here, looked at where it matters.  The values are what was seen of the
 * shipped ones; where one of those would crash, hang or lose something, we
 * say so and go on.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"
#include "hyper.h"

#define BIT(code)	((uint32_t)1 << (code))
#define CMD_POD		(BIT(HYP_STARTPOD) | BIT(HYP_DESTROYPOD) | \
			BIT(HYP_EXECCMD) | BIT(HYP_READY) | \
			BIT(HYP_WINSIZE) | BIT(HYP_PING) | \
			BIT(HYP_NEWCONTAINER) | BIT(HYP_KILLCONTAINER) | \
			BIT(HYP_REMOVECONTAINER))
#define CMD_VM		(BIT(HYP_VERSION) | BIT(HYP_WRITEFILE) | \
			BIT(HYP_READFILE) | BIT(HYP_ONLINECPUMEM) | \
			BIT(HYP_SETUPINTERFACE) | BIT(HYP_SETUPROUTE))
#define EVENT_MAX	(2 * GUEST_ID_MAX + 128)

static struct guest_buf *report_event(const struct guest_proc *);
static int	report_last(const struct guest_proc *);

static const struct guest_profile profiles[] = {
	{
		.f_name = "universal",
		.f_version = 4242,
		.f_commands = CMD_POD | CMD_VM | BIT(HYP_PSCONTAINER) |
		    BIT(HYP_SIGNALPROCESS) | BIT(HYP_DELETEINTERFACE),
		.f_next = NEXT_PIECE,
		.f_errors = ERRORS_TEXT,
		.f_winsize = WINSIZE_ANY,
		.f_again = AGAIN_ERROR,
		.f_output = HYP_TTY_PAYLOAD_MAX,
		.f_stdin = 65536,
		.f_signal = 128,
		.f_ttyerr = 1,
		.f_ttysize = 1,
		.f_setup = -1,
		.f_killall = 1,
		.f_leave = -1
	}, {
		.f_name = "agent",
		.f_commands = CMD_POD | BIT(HYP_PSCONTAINER),
		.f_next = NEXT_NEVER,
		.f_errors = ERRORS_TEXT,
		.f_winsize = WINSIZE_POD,
		.f_again = AGAIN_ERROR,
		.f_output = 1024,
		.f_stdin = 65536,
		.f_signal = 128,
		.f_whole = 1,
		.f_lengths = 1,
		.f_sharedir = 1,
		.f_setup = -1,
		.f_killall = 1,
		.f_leave = 0
	}, {
		.f_name = "hyperstart-4242",
		.f_version = 4242,
		.f_commands = CMD_POD | CMD_VM | BIT(GUEST_GETPOD),
		.f_api = API_4242,
		.f_next = NEXT_NOW,
		.f_errors = ERRORS_EMPTY,
		.f_winsize = WINSIZE_SEQ,
		.f_again = AGAIN_ACK,
		.f_ids = IDS_NOWHERE,
		.f_output = HYP_TTY_PAYLOAD_MAX,
		.f_stdin = HYP_STDIN_MAX,
		.f_iomax = GUEST_IO_MAX,
		.f_goodbye = 1,
		.f_sharedseq = 1,
		.f_sharedid = 1,
		.f_ttyerr = 1,
		.f_ttysize = 1,
		.f_lame = 1,
		.f_setup = 125,
		.f_execany = 1,
		.f_named = 1,
		.f_killed = 1,
		.f_killall = 1,
		.f_podends = 1,
		.f_ask = 1,
		.f_lost = 1,
		.f_leave = 1,
		.f_startexit = 1
	}, {
		.f_name = "hyperstart-4244",
		.f_version = 4244,
		.f_commands = CMD_POD | CMD_VM | BIT(HYP_SIGNALPROCESS) |
		    BIT(HYP_DELETEINTERFACE),
		.f_api = API_4244,
		.f_next = NEXT_LATE,
		.f_errors = ERRORS_KILL,
		.f_winsize = WINSIZE_NAME,
		.f_again = AGAIN_EXIT,
		.f_ids = IDS_POD,
		.f_output = HYP_TTY_PAYLOAD_MAX,
		.f_stdin = HYP_STDIN_MAX,
		.f_iomax = GUEST_IO_MAX,
		.f_goodbye = 1,
		.f_event = 1,
		.f_together = 1,
		.f_lengths = 1,
		.f_sharedseq = 1,
		.f_sharedid = -1,
		.f_ttyerr = 1,
		.f_ttysize = 1,
		.f_setup = -1,
		.f_exec = 1,
		.f_remove = 1,
		.f_ask = 1,
		.f_leave = 1,
		.f_startexit = 1
	}
};

/* NULL: the first one. */
const struct guest_profile *
guest_profile_find(const char *name)
{
	size_t	i;

	for (i = 0; i < sizeof(profiles) / sizeof(profiles[0]); i++)
		if (name == NULL || strcmp(profiles[i].f_name, name) == 0)
			return (&profiles[i]);
	return (NULL);
}

void
guest_protocol(const char *fmt, ...)
{
	char	line[1024];
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "ccp-guest: protocol: %s\n", line);
}

/* Ids are not escaped: no shipped agent does. */
static struct guest_buf *
report_event(const struct guest_proc *p)
{
	struct guest_buf	*b;
	char			 text[EVENT_MAX];

	b = guest_buf_new(HYP_CTL_HEADER_SIZE + sizeof(text));
	(void)snprintf(text, sizeof(text), "{\"container\":\"%s\","
	    "\"process\":\"%s\",\"event\":\"finished\",\"status\":%u}",
	    p->p_cid, p->p_id, p->p_status);
	b->b_len = HYP_CTL_HEADER_SIZE + strlen(text);
	b->b_keep = 1;
	hyp_ctl_encode(b->b_data, HYP_PROCESSEVENT, strlen(text));
	memcpy(b->b_data + HYP_CTL_HEADER_SIZE, text, strlen(text));
	return (b);
}

/* The first process of the last container, while the pod is destroyed. */
static int
report_last(const struct guest_proc *p)
{
	const struct guest_cont	*c;

	if (p->p_guest->g_asked == 0 || p->p_first == 0 || p->p_cont == NULL)
		return (0);
	TAILQ_FOREACH(c, &p->p_guest->g_conts, k_entry)
		if (c != p->p_cont && c->k_done == 0)
			return (0);
	return (1);
}

/*
 * The end of the output, and the status right behind it or as an event on
 * the other channel.  Which of these a host sees first is left to chance by
 * those who send events; we take turns.
 */
void
guest_report(struct guest_proc *p)
{
	struct guest		*g = p->p_guest;
	struct guest_buf	*b, *event = NULL;
	size_t			 len = HYP_TTY_HEADER_SIZE;
	int			 lost;

	lost = g->g_profile->f_lost == 1 && report_last(p) == 1;
	if (p->p_first == 1 && p->p_cont != NULL) {
		p->p_cont->k_done = 1;
		p->p_cont->k_status = p->p_status;
	}
	if (g->g_profile->f_event == 1)
		event = report_event(p);
	else
		len += HYP_TTY_HEADER_SIZE + 1;
	b = guest_buf_new(len);
	hyp_tty_encode(b->b_data, p->p_out.u_seq, 0);
	if (event == NULL) {
		hyp_tty_encode(b->b_data + HYP_TTY_HEADER_SIZE,
		    p->p_out.u_seq, 1);
		b->b_data[len - 1] = p->p_status;
	}
	guest_proc_free(p);
	if (lost == 1) {
		free(b);
		return;
	}
	guest_chan_put(&g->g_tty, b);
	if (event == NULL)
		return;
	guest_chan_put(&g->g_ctl, event);
	guest_chan_flush(g->g_reports++ % 2 == 1 ? &g->g_ctl : &g->g_tty);
}

/* Nobody asked: the exit codes of all containers, in order. */
void
guest_podfinished(struct guest *g)
{
	const struct guest_cont	*c;
	uint8_t			*codes;
	size_t			 n = 0;

	TAILQ_FOREACH(c, &g->g_conts, k_entry)
		n++;
	codes = guest_alloc(4 * n);
	memset(codes, 0, 4 * n);
	n = 0;
	TAILQ_FOREACH(c, &g->g_conts, k_entry) {
		n += 4;
		codes[n - 1] = c->k_status;
	}
	guest_send(g, HYP_PODFINISHED, codes, n);
	free(codes);
}
