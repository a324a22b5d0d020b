/* SPDX-License-Identifier: ISC */

/*
 * Framing of the hyperstart agent protocol, both channels.  Pure: bytes in,
 * struct or error out.  Linked into the engines, the guest agent and tests.
 *
 * Control message, big endian:  u32 code | u32 length | payload
 * I/O message, big endian:      u64 sequence | u32 length | payload
 * In both, length counts the header as well.
 */

#ifndef CCP_HYPER_H
#define CCP_HYPER_H

#include <stddef.h>
#include <stdint.h>

#define HYP_CTL_HEADER_SIZE	8
#define HYP_TTY_HEADER_SIZE	12
#define HYP_MESSAGE_MAX		10240	/* to any agent, header included */
#define HYP_COMMAND_MAX		(1024 * 1024)	/* to one that is known */
#define HYP_RECV_MAX		(1024 * 1024)	/* from the agent, ditto */
#define HYP_STDIN_MAX		512	/* bytes hyperstart keeps of an input */
#define HYP_TTY_PAYLOAD_MAX	(HYP_MESSAGE_MAX - HYP_TTY_HEADER_SIZE)

enum hyp_code {
	HYP_VERSION = 0,
	HYP_STARTPOD = 1,
	HYP_DESTROYPOD = 4,
	HYP_EXECCMD = 6,
	HYP_READY = 8,
	HYP_ACK = 9,
	HYP_ERROR = 10,
	HYP_WINSIZE = 11,
	HYP_PING = 12,
	HYP_PODFINISHED = 13,
	HYP_NEXT = 14,
	HYP_WRITEFILE = 15,
	HYP_READFILE = 16,
	HYP_NEWCONTAINER = 17,
	HYP_KILLCONTAINER = 18,
	HYP_ONLINECPUMEM = 19,
	HYP_SETUPINTERFACE = 20,
	HYP_SETUPROUTE = 21,
	HYP_REMOVECONTAINER = 22,
	HYP_PSCONTAINER = 23,
	HYP_ASYNCEVENT = 24,
	HYP_DELETEINTERFACE = 25
};

/* The same numbers in the words of hyperstart 4243 and later. */
#define HYP_PROCESSEVENT	HYP_PSCONTAINER	/* from the agent */
#define HYP_SIGNALPROCESS	HYP_ASYNCEVENT	/* to the agent */

/* The code of a command a client may name, or -1. Case matters. */
int	 hyp_code(const char *name);

/* The name of a code for log and error texts; "unknown" if it has none. */
const char *hyp_name(uint32_t code);

void	 hyp_ctl_encode(uint8_t *, uint32_t code, size_t payload);
void	 hyp_tty_encode(uint8_t *, uint64_t seq, size_t payload);

/*
 * Decode a header.  *payload is the number of bytes that follow.
 * A length below the header's size means "no payload" (that is how the
 * shipped hosts read it).  Returns 0, or -1 if the message, header
 * included, would exceed HYP_RECV_MAX.
 */
int	 hyp_ctl_decode(const uint8_t *, uint32_t *code, size_t *payload);
int	 hyp_tty_decode(const uint8_t *, uint64_t *seq, size_t *payload);

#endif /* CCP_HYPER_H */
