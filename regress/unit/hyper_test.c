/* SPDX-License-Identifier: ISC */

/*
 * Framing of the agent's two channels: worked messages byte for byte, the
 * lengths at and around each limit, and the names of commands.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "hyper.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define P(s)		s, sizeof(s) - 1

static const struct ctl {
	const char	*name;
	const char	*header;	/* hex */
	const char	*payload;
	size_t		 len;
	uint32_t	 code;
} ctls[] = {
	{ "H1", "0000000800000008", P(""), HYP_READY },
	{ "H2", "0000000c00000008", P(""), HYP_PING },
	{ "H3", "0000000900000008", P(""), HYP_ACK },
	{ "H4", "0000000a0000000a", P("no"), HYP_ERROR },
	{ "H5", "0000000b00000026",
	    P("{\"seq\":3,\"row\":24,\"column\":80}"), HYP_WINSIZE },
	{ "H6", "000000120000003b",
	    P("{\"container\":\"c1\",\"signal\":10,\"allProcesses\":false}"),
	    HYP_KILLCONTAINER }
};

static const struct tty {
	const char	*name;
	const char	*header;
	size_t		 len;
	uint64_t	 seq;
} ttys[] = {
	{ "H7", "00000000000000030000000f", 3, 3 },
	{ "H8", "00000000000000030000000c", 0, 3 },
	{ "H9", "00000000000000030000000d", 1, 3 },
	{ "H10", "00000000000000040000000f", 3, 4 }
};

static void
unhex(const char *hex, uint8_t *p)
{
	unsigned int	 v;

	for (; *hex != '\0'; hex += 2, p++) {
		if (sscanf(hex, "%2x", &v) != 1)
			abort();
		*p = (uint8_t)v;
	}
}

static void
test_worked(void)
{
	uint8_t		 want[HYP_TTY_HEADER_SIZE], got[HYP_TTY_HEADER_SIZE];
	char		 name[64];
	uint64_t	 seq;
	uint32_t	 code;
	size_t		 i, n;

	for (i = 0; i < nitems(ctls); i++) {
		snprintf(name, sizeof(name), "3.x section 9.4: message %s",
		    ctls[i].name);
		test_begin(name);
		unhex(ctls[i].header, want);
		hyp_ctl_encode(got, ctls[i].code, ctls[i].len);
		CHECK(memcmp(got, want, HYP_CTL_HEADER_SIZE) == 0);
		CHECK(hyp_ctl_decode(want, &code, &n) == 0);
		CHECK(code == ctls[i].code && n == ctls[i].len);
		test_finish();
	}
	for (i = 0; i < nitems(ttys); i++) {
		snprintf(name, sizeof(name), "3.x section 9.4: message %s",
		    ttys[i].name);
		test_begin(name);
		unhex(ttys[i].header, want);
		hyp_tty_encode(got, ttys[i].seq, ttys[i].len);
		CHECK(memcmp(got, want, HYP_TTY_HEADER_SIZE) == 0);
		CHECK(hyp_tty_decode(want, &seq, &n) == 0);
		CHECK(seq == ttys[i].seq && n == ttys[i].len);
		test_finish();
	}
}

static void
test_lengths(void)
{
	uint8_t		 p[HYP_TTY_HEADER_SIZE];
	uint64_t	 seq;
	uint32_t	 code;
	size_t		 n;

	test_begin("3.x section 6.2: a length below the header: no payload");
	unhex("0000000900000000", p);
	CHECK(hyp_ctl_decode(p, &code, &n) == 0 && n == 0);
	unhex("0000000900000007", p);
	CHECK(hyp_ctl_decode(p, &code, &n) == 0 && n == 0 && code == 9);
	unhex("000000000000000300000000", p);
	CHECK(hyp_tty_decode(p, &seq, &n) == 0 && n == 0);
	unhex("00000000000000030000000b", p);
	CHECK(hyp_tty_decode(p, &seq, &n) == 0 && n == 0 && seq == 3);

	test_begin("3.x section 6.2: 1 MiB from the agent, not a byte more");
	hyp_ctl_encode(p, HYP_ACK, HYP_RECV_MAX - HYP_CTL_HEADER_SIZE);
	CHECK(hyp_ctl_decode(p, &code, &n) == 0);
	CHECK(n == HYP_RECV_MAX - HYP_CTL_HEADER_SIZE);
	hyp_ctl_encode(p, HYP_ACK, HYP_RECV_MAX - HYP_CTL_HEADER_SIZE + 1);
	CHECK(hyp_ctl_decode(p, &code, &n) == -1);
	hyp_tty_encode(p, 3, HYP_RECV_MAX - HYP_TTY_HEADER_SIZE);
	CHECK(hyp_tty_decode(p, &seq, &n) == 0);
	CHECK(n == HYP_RECV_MAX - HYP_TTY_HEADER_SIZE);
	hyp_tty_encode(p, 3, HYP_RECV_MAX - HYP_TTY_HEADER_SIZE + 1);
	CHECK(hyp_tty_decode(p, &seq, &n) == -1);
	unhex("00000009ffffffff", p);
	CHECK(hyp_ctl_decode(p, &code, &n) == -1);
	unhex("0000000000000003ffffffff", p);
	CHECK(hyp_tty_decode(p, &seq, &n) == -1);

	test_begin("3.x section 6.2: sequences of 64 bits");
	hyp_tty_encode(p, 0x0102030405060708, 0);
	CHECK(p[0] == 1 && p[3] == 4 && p[4] == 5 && p[7] == 8);
	CHECK(hyp_tty_decode(p, &seq, &n) == 0);
	CHECK(seq == 0x0102030405060708);
	CHECK(HYP_TTY_PAYLOAD_MAX == 10228);
}

static void
test_names(void)
{
	static const struct {
		const char	*name;
		int		 code;
	} names[] = {
		{ "version", 0 }, { "startpod", 1 }, { "destroypod", 4 },
		{ "execcmd", 6 }, { "winsize", 11 }, { "ping", 12 },
		{ "writefile", 15 }, { "readfile", 16 },
		{ "newcontainer", 17 }, { "killcontainer", 18 },
		{ "onlinecpumem", 19 }, { "setupinterface", 20 },
		{ "setuproute", 21 }, { "removecontainer", 22 },
		{ "pscontainer", 23 }
	};
	static const char	*const unknown[] = {
		"", "finishpod", "Ping", "PING", "ping ", "pin", "pings",
		"unknown", "podfinished", "processasyncevent",
		"deleteinterface"
	};
	static const char	*const agents[] = {
		"ready", "ack", "error", "next"
	};
	size_t			 i;

	test_begin("3.x section 3.4: names and codes of commands");
	for (i = 0; i < nitems(names); i++) {
		CHECK(hyp_code(names[i].name) == names[i].code);
		CHECK(strcmp(hyp_name((uint32_t)names[i].code),
		    names[i].name) == 0);
	}

	test_begin("3.x section 3.4: unknown commands, case matters");
	for (i = 0; i < nitems(unknown); i++)
		CHECK(hyp_code(unknown[i]) == -1);

	test_begin("3.x section 3.4: the agent's own messages are refused");
	for (i = 0; i < nitems(agents); i++)
		CHECK(hyp_code(agents[i]) == -1);
	CHECK(strcmp(hyp_name(HYP_READY), "ready") == 0);
	CHECK(strcmp(hyp_name(HYP_ACK), "ack") == 0);
	CHECK(strcmp(hyp_name(HYP_ERROR), "error") == 0);
	CHECK(strcmp(hyp_name(HYP_NEXT), "next") == 0);

	test_begin("3.x section 6.2: codes without a name");
	CHECK(strcmp(hyp_name(2), "unknown") == 0);
	CHECK(strcmp(hyp_name(3), "unknown") == 0);
	CHECK(strcmp(hyp_name(26), "unknown") == 0);
	CHECK(strcmp(hyp_name(UINT32_MAX), "unknown") == 0);
}

int
main(void)
{
	test_worked();
	test_lengths();
	test_names();
	return (test_end());
}
