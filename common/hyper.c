/* SPDX-License-Identifier: ISC */

/*
 * Framing of the hyperstart agent protocol.  Runs in the engines (the bytes
 * decoded there come from an untrusted guest) and in the guest agent (there
 * they come from the host).
 */

#include <string.h>

#include "hyper.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

/*
 * Codes that only an agent sends, or that steer the channel itself, are not
 * for clients: no shipped client names them, and forwarding one would put
 * the replies out of step.
 */
static const struct hyp_name {
	const char	*name;
	int		 client;
} hyp_names[] = {
	[HYP_VERSION] = { "version", 1 },
	[HYP_STARTPOD] = { "startpod", 1 },
	[HYP_DESTROYPOD] = { "destroypod", 1 },
	[HYP_EXECCMD] = { "execcmd", 1 },
	[HYP_READY] = { "ready", 0 },
	[HYP_ACK] = { "ack", 0 },
	[HYP_ERROR] = { "error", 0 },
	[HYP_WINSIZE] = { "winsize", 1 },
	[HYP_PING] = { "ping", 1 },
	[HYP_PODFINISHED] = { "podfinished", 0 },
	[HYP_NEXT] = { "next", 0 },
	[HYP_WRITEFILE] = { "writefile", 1 },
	[HYP_READFILE] = { "readfile", 1 },
	[HYP_NEWCONTAINER] = { "newcontainer", 1 },
	[HYP_KILLCONTAINER] = { "killcontainer", 1 },
	[HYP_ONLINECPUMEM] = { "onlinecpumem", 1 },
	[HYP_SETUPINTERFACE] = { "setupinterface", 1 },
	[HYP_SETUPROUTE] = { "setuproute", 1 },
	[HYP_REMOVECONTAINER] = { "removecontainer", 1 },
	[HYP_PSCONTAINER] = { "pscontainer", 1 },
	[HYP_ASYNCEVENT] = { "processasyncevent", 0 },
	[HYP_DELETEINTERFACE] = { "deleteinterface", 0 }
};

int
hyp_code(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(hyp_names); i++) {
		if (hyp_names[i].client &&
		    strcmp(hyp_names[i].name, name) == 0)
			return ((int)i);
	}
	return (-1);
}

const char *
hyp_name(uint32_t code)
{
	if (code >= nitems(hyp_names) || hyp_names[code].name == NULL)
		return ("unknown");
	return (hyp_names[code].name);
}

static void
hyp_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t
hyp_get32(const uint8_t *p)
{
	return ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | (uint32_t)p[3]);
}

/* The payload of a message that says it is total bytes long. */
static int
hyp_payload(uint32_t total, size_t header, size_t *payload)
{
	*payload = total < header ? 0 : total - header;
	return (total > HYP_RECV_MAX ? -1 : 0);
}

void
hyp_ctl_encode(uint8_t *p, uint32_t code, size_t payload)
{
	hyp_put32(p, code);
	hyp_put32(p + 4, (uint32_t)(payload + HYP_CTL_HEADER_SIZE));
}

void
hyp_tty_encode(uint8_t *p, uint64_t seq, size_t payload)
{
	hyp_put32(p, (uint32_t)(seq >> 32));
	hyp_put32(p + 4, (uint32_t)seq);
	hyp_put32(p + 8, (uint32_t)(payload + HYP_TTY_HEADER_SIZE));
}

int
hyp_ctl_decode(const uint8_t *p, uint32_t *code, size_t *payload)
{
	*code = hyp_get32(p);
	return (hyp_payload(hyp_get32(p + 4), HYP_CTL_HEADER_SIZE, payload));
}

int
hyp_tty_decode(const uint8_t *p, uint64_t *seq, size_t *payload)
{
	*seq = (uint64_t)hyp_get32(p) << 32 | hyp_get32(p + 4);
	return (hyp_payload(hyp_get32(p + 8), HYP_TTY_HEADER_SIZE, payload));
}
