/* SPDX-License-Identifier: ISC */

/*
 * For the fuzz target of the engine: the guest, obliging or hostile.  What
 * the engine writes to it must be whole messages of bounded length.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hyper.h"
#include "play.h"

#define NCMDS	(sizeof(w.cmds) / sizeof(w.cmds[0]))

static void	guest_message(uint32_t, const void *, size_t);
static void	guest_long(uint32_t, size_t);
static void	guest_next(size_t, unsigned int);
static void	guest_answer(uint32_t, const void *, size_t);
static void	guest_event(struct input *);
static void	guest_output(struct input *);
static void	guest_close(unsigned int);
static void	guest_read_ctl(size_t);
static void	guest_read_io(size_t);
static size_t	guest_command(const uint8_t *, size_t);

static void
guest_message(uint32_t code, const void *p, size_t len)
{
	static uint8_t	 buf[HYP_CTL_HEADER_SIZE + 65536];

	hyp_ctl_encode(buf, code, len);
	memcpy(buf + HYP_CTL_HEADER_SIZE, p, len);
	play_put(w.ctl, buf, HYP_CTL_HEADER_SIZE + len);
}

static void
guest_long(uint32_t code, size_t len)
{
	static char	 buf[65536];

	memset(buf, 'g', len);
	guest_message(code, buf, len);
}

/* How many bytes were read, as the one or the other agent says it. */
static void
guest_next(size_t n, unsigned int how)
{
	uint8_t	 p[4] = { 0, 0, 0, 0 };

	if (how & 1 && n > HYP_CTL_HEADER_SIZE) {
		p[3] = HYP_CTL_HEADER_SIZE;
		guest_message(HYP_NEXT, p, 4);
		n -= HYP_CTL_HEADER_SIZE;
	}
	p[1] = (uint8_t)(n >> 16);
	p[2] = (uint8_t)(n >> 8);
	p[3] = (uint8_t)n;
	guest_message(HYP_NEXT, p, 4);
}

/* The oldest command's. */
static void
guest_answer(uint32_t code, const void *p, size_t len)
{
	if (w.ncmds > 0) {
		w.ncmds--;
		memmove(w.cmds, w.cmds + 1, w.ncmds * sizeof(w.cmds[0]));
	}
	guest_message(code, p, len);
}

void
guest_oblige(void)
{
	uint8_t	 version[4] = { 0, 0, 0x10, w.hyperstart ? 0x92 : 0x94 };

	guest_read_ctl(SIZE_MAX);
	while (w.ncmds > 0) {
		guest_next(w.cmds[0].len, (unsigned int)w.hyperstart);
		guest_answer(HYP_ACK, version,
		    w.cmds[0].code == HYP_VERSION ? 4 : 0);
	}
}

static void
guest_event(struct input *in)
{
	static const char *const	 events[] = {
		"{\"container\":\"c@\",\"process\":\"init\","
		    "\"event\":\"finished\",\"status\":$}",
		"{\"container\":\"c@\",\"process\":\"p#\","
		    "\"event\":\"finished\",\"status\":$}",
		"{\"container\":\"c@\",\"process\":\"$\","
		    "\"event\":\"finished\",\"status\":0}",
		"{\"container\":\"c@\",\"process\":\"p#\","
		    "\"event\":\"started\",\"status\":256}"
	};
	char		 text[128];
	unsigned int	 kind;

	kind = in_u8(in);
	play_text(text, sizeof(text), events[kind & 3], in_u8(in));
	guest_message(HYP_PROCESSEVENT, text, strlen(text));
}

/* Numbers are small; long outputs need no bytes of the input. */
static void
guest_output(struct input *in)
{
	static uint8_t	 buf[HYP_TTY_HEADER_SIZE + 65536];
	uint64_t	 seq;
	size_t		 len;

	seq = in_u8(in);
	len = in_u8(in);
	if (len >= 128)
		len = (len - 127) * 400;
	hyp_tty_encode(buf, seq, len);
	memset(buf + HYP_TTY_HEADER_SIZE, 'o', len);
	play_put(w.io, buf, HYP_TTY_HEADER_SIZE + len);
}

static void
guest_close(unsigned int how)
{
	int	*fd;

	fd = (how & 3) == 0 ? &w.ctl : (how & 3) == 1 ? &w.io : &w.console;
	if (*fd == -1)
		return;
	if (how & 4) {
		shutdown(*fd, how & 8 ? SHUT_WR : SHUT_RD);
		return;
	}
	close(*fd);
	*fd = -1;
}

void
guest_step(struct input *in, unsigned int op)
{
	const uint8_t	*p;
	size_t		 len;
	unsigned int	 b;

	switch (op) {
	case 2:
		guest_message(HYP_READY, "", 0);
		break;
	case 3:
		b = in_u8(in);
		if (b & 0x80)
			guest_long(b & 0x3f, in_u8(in) * 160U);
		else {
			p = in_bytes(in, 255, &len);
			guest_message(b, p, len);
		}
		break;
	case 4:
		b = in_u8(in);
		len = w.ncmds > 0 ? w.cmds[0].len : 0;
		guest_next(b & 2 ? b >> 2 : len, b);
		break;
	case 5:
	case 6:
		p = in_bytes(in, 255, &len);
		guest_answer(op == 5 ? HYP_ACK : HYP_ERROR, p, len);
		break;
	case 7:
		guest_oblige();
		break;
	case 8:
		guest_event(in);
		break;
	case 9:
		guest_output(in);
		break;
	case 10:
	case 11:
	case 12:
		p = in_bytes(in, 255, &len);
		play_put(op == 10 ? w.ctl : op == 11 ? w.io : w.console, p,
		    len);
		break;
	case 13:
		b = in_u8(in);
		guest_read((size_t)(b + 1) * 64);
		break;
	case 14:
		guest_close(in_u8(in));
		break;
	}
}

/*
 * Reading
 */

/* A piece of the control channel's stream; the bytes of it that are done. */
static size_t
guest_command(const uint8_t *p, size_t n)
{
	struct command	*cmd;
	uint32_t	 code;
	size_t		 len;

	if (w.cmdskip > 0) {
		n = n < w.cmdskip ? n : w.cmdskip;
		w.cmdskip -= n;
		return (n);
	}
	w.cmd[w.cmdhave++] = *p;
	if (w.cmdhave < HYP_CTL_HEADER_SIZE)
		return (1);
	w.cmdhave = 0;
	if (hyp_ctl_decode(w.cmd, &code, &len) == -1 ||
	    HYP_CTL_HEADER_SIZE + len > HYP_COMMAND_MAX ||
	    code > HYP_DELETEINTERFACE)
		BUG("to the guest: command %u of %zu bytes", code, len);
	w.cmdskip = len;
	if (w.ncmds < NCMDS) {
		cmd = &w.cmds[w.ncmds++];
		cmd->code = code;
		cmd->len = HYP_CTL_HEADER_SIZE + len;
	}
	return (1);
}

static void
guest_read_ctl(size_t max)
{
	uint8_t	 buf[4096];
	ssize_t	 n;
	size_t	 off;

	while (w.ctl != -1 && max > 0) {
		n = recv(w.ctl, buf, max < sizeof(buf) ? max : sizeof(buf),
		    MSG_DONTWAIT);
		if (n <= 0)
			return;
		for (off = 0; off < (size_t)n;)
			off += guest_command(buf + off, (size_t)n - off);
		max -= (size_t)n;
	}
}

static void
guest_read_io(size_t max)
{
	struct reader	*rd = &w.io_rd;
	uint8_t		 buf[4096];
	uint64_t	 seq;
	ssize_t		 n;
	size_t		 i, len;

	while (w.io != -1 && max > 0) {
		n = recv(w.io, buf, max < sizeof(buf) ? max : sizeof(buf),
		    MSG_DONTWAIT);
		if (n <= 0)
			return;
		max -= (size_t)n;
		for (i = 0; i < (size_t)n; i++) {
			if (rd->skip > 0) {
				len = (size_t)n - i < rd->skip ?
				    (size_t)n - i : rd->skip;
				rd->skip -= len;
				i += len - 1;
				continue;
			}
			rd->hdr[rd->have++] = buf[i];
			if (rd->have < HYP_TTY_HEADER_SIZE)
				continue;
			rd->have = 0;
			if (hyp_tty_decode(rd->hdr, &seq, &rd->skip) == -1 ||
			    rd->skip > HYP_TTY_PAYLOAD_MAX)
				BUG("to the guest: input of %zu bytes",
				    rd->skip);
			if (seq == 0 || seq > 65536)
				BUG("to the guest: input for %llu",
				    (unsigned long long)seq);
		}
	}
}

void
guest_read(size_t max)
{
	guest_read_ctl(max);
	guest_read_io(max);
}
