/* SPDX-License-Identifier: ISC */

/*
 * Frames of protocol 3.x: the header's fields, the order in which they are
 * judged, the texts, and worked frames byte for byte.
 */

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "frame.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

struct worked {
	const char	*name;
	const char	*header;	/* hex */
	const char	*payload;
	size_t		 len;
	enum frm_type	 type;
	int		 opcode;
	int		 in_error;
};

#define TOKEN	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define URL	"unix:///run/virtcontainers/pods/pod1/proxy.sock"
#define P(s)	s, sizeof(s) - 1

static const struct worked worked[] = {
	{ "E1", "000203000000000400000038", P("{\"token\":\"" TOKEN "\"}"),
	    FRM_COMMAND, FRM_CONNECTSHIM, 0 },
	{ "E2", "000203000000010400000000", P(""),
	    FRM_RESPONSE, FRM_CONNECTSHIM, 0 },
	{ "E3", "00020300000011040000001d",
	    P("{\"msg\":\"unknown token: nope\"}"),
	    FRM_RESPONSE, FRM_CONNECTSHIM, 1 },
	{ "E4", "000203000000000200000027",
	    P("{\"containerId\":\"pod1\",\"numIOStreams\":1}"),
	    FRM_COMMAND, FRM_ATTACHVM, 0 },
	{ "E5", "00020300000001020000007a",
	    P("{\"io\":{\"URL\":\"" URL "\",\"tokens\":[\"" TOKEN "\"]}}"),
	    FRM_RESPONSE, FRM_ATTACHVM, 0 },
	{ "E6", "00020300000001020000004e",
	    P("{\"io\":{\"URL\":\"" URL "\",\"tokens\":null}}"),
	    FRM_RESPONSE, FRM_ATTACHVM, 0 },
	{ "E7", "000203000000000300000022",
	    P("{\"hyperName\":\"ping\",\"tokens\":null}"),
	    FRM_COMMAND, FRM_HYPER, 0 },
	{ "E8", "000203000000010300000000", P(""),
	    FRM_RESPONSE, FRM_HYPER, 0 },
	{ "E9", "000203000000000600000013", P("{\"signalNumber\":10}"),
	    FRM_COMMAND, FRM_SIGNAL, 0 },
	{ "E10", "00020300000000060000002d",
	    P("{\"signalNumber\": 28, \"rows\":24, \"columns\":80}"),
	    FRM_COMMAND, FRM_SIGNAL, 0 },
	{ "E11", "000203000000020000000003", P("ls\n"),
	    FRM_STREAM, FRM_STDIN, 0 },
	{ "E12", "000203000000020000000000", P(""),
	    FRM_STREAM, FRM_STDIN, 0 },
	{ "E13", "000203000000020100000003", P("hi\n"),
	    FRM_STREAM, FRM_STDOUT, 0 },
	{ "E14", "000203000000020200000003", P("no\n"),
	    FRM_STREAM, FRM_STDERR, 0 },
	{ "E15", "000203000000030000000001", P("\x2a"),
	    FRM_NOTIFICATION, FRM_PROCESSEXITED, 0 },
	{ "E16", "000203000000000500000000", P(""),
	    FRM_COMMAND, FRM_DISCONNECTSHIM, 0 },
	{ "E17", "00020300000002030000002a",
	    P("{\"source\":\"shim\",\"level\":\"warn\",\"msg\":\"x\"}"),
	    FRM_STREAM, FRM_LOG, 0 },
	{ "E19", "000203000000110600000022",
	    P("{\"msg\":\"invalid signal number 31\"}"),
	    FRM_RESPONSE, FRM_SIGNAL, 1 }
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
	const struct worked	*w;
	struct frm_header	 h;
	uint8_t			 want[FRM_HEADER_SIZE], got[FRM_HEADER_SIZE];
	char			 name[64];
	size_t			 i;

	for (i = 0; i < nitems(worked); i++) {
		w = &worked[i];
		snprintf(name, sizeof(name), "3.x section 9.4: frame %s",
		    w->name);
		test_begin(name);
		unhex(w->header, want);
		memset(got, 0xee, sizeof(got));
		frm_encode(got, w->type, w->opcode, w->in_error,
		    (uint32_t)w->len);
		CHECK(memcmp(got, want, sizeof(got)) == 0);
		CHECK(frm_decode(want, &h) == FRM_OK);
		CHECK(h.version == 2 && h.hdrlen == 12);
		CHECK(h.type == (int)w->type && h.opcode == w->opcode);
		CHECK(h.in_error == w->in_error && h.len == w->len);
		test_finish();
	}

	test_begin("3.x section 9.4: frame E18, a longer header");
	unhex("000206000000020000000001", want);
	CHECK(frm_decode(want, &h) == FRM_OK);
	CHECK(h.hdrlen == 24 && h.len == 1);
}

/* Decode a header that differs from a good one in one byte. */
static enum frm_error
decode_with(size_t at, uint8_t v, struct frm_header *h, char text[128])
{
	uint8_t		 p[FRM_HEADER_SIZE];
	enum frm_error	 error;

	frm_encode(p, FRM_COMMAND, FRM_HYPER, 0, 7);
	p[at] = v;
	error = frm_decode(p, h);
	frm_strerror(error, h, text, 128);
	return (error);
}

static void
test_header(void)
{
	struct frm_header	 h;
	char			 text[128];
	uint8_t			 p[FRM_HEADER_SIZE];
	int			 i;

	test_begin("3.x section 2.1: reserved bytes and flags are ignored");
	for (i = 3; i <= 5; i++)
		CHECK(decode_with((size_t)i, 0xff, &h, text) == FRM_OK);
	CHECK(decode_with(6, 0xe0, &h, text) == FRM_OK);
	CHECK(h.type == FRM_COMMAND && h.in_error == 0);
	CHECK(decode_with(6, 0xf0, &h, text) == FRM_OK);
	CHECK(h.in_error == 1);

	test_begin("3.x section 2.1: header lengths from 3 to 255 words");
	for (i = 3; i <= 255; i++) {
		CHECK(decode_with(2, (uint8_t)i, &h, text) == FRM_OK);
		CHECK(h.hdrlen == (size_t)i * 4);
	}

	test_begin("3.x section 2.1: payload length is 32 bits, big endian");
	frm_encode(p, FRM_STREAM, FRM_STDIN, 0, 0x01020304);
	CHECK(p[8] == 1 && p[9] == 2 && p[10] == 3 && p[11] == 4);
	CHECK(frm_decode(p, &h) == FRM_OK && h.len == 0x01020304);
	frm_encode(p, FRM_STREAM, FRM_STDIN, 0, UINT32_MAX);
	CHECK(frm_decode(p, &h) == FRM_OK && h.len == UINT32_MAX);

	test_begin("3.x section 2.1: order of validation");
	unhex("00030000000000ff00000000", p);
	CHECK(frm_decode(p, &h) == FRM_BAD_VERSION);
	unhex("000200000000ffff00000000", p);
	CHECK(frm_decode(p, &h) == FRM_BAD_TYPE);
	unhex("00020000000000ff00000000", p);
	CHECK(frm_decode(p, &h) == FRM_BAD_OPCODE);
	unhex("000200000000000000000000", p);
	CHECK(frm_decode(p, &h) == FRM_BAD_HEADER_LENGTH);
}

static void
test_opcodes(void)
{
	static const int	 limits[] = { 7, 7, 4, 1 };
	struct frm_header	 h;
	uint8_t			 p[FRM_HEADER_SIZE];
	int			 type, op;

	test_begin("3.x section 2.2: every type and opcode");
	for (type = 0; type < 16; type++) {
		for (op = 0; op < 256; op++) {
			frm_encode(p, FRM_COMMAND, op, 0, 0);
			p[6] = (uint8_t)type;
			if (type >= FRM_TYPE_MAX)
				CHECK(frm_decode(p, &h) == FRM_BAD_TYPE);
			else if (op >= limits[type])
				CHECK(frm_decode(p, &h) == FRM_BAD_OPCODE);
			else
				CHECK(frm_decode(p, &h) == FRM_OK);
			CHECK(h.type == type && h.opcode == op);
		}
	}

	test_begin("3.x section 2.2: names");
	CHECK(strcmp(frm_type_name(0), "command") == 0);
	CHECK(strcmp(frm_type_name(1), "response") == 0);
	CHECK(strcmp(frm_type_name(2), "stream") == 0);
	CHECK(strcmp(frm_type_name(3), "notification") == 0);
	CHECK(strcmp(frm_type_name(4), "unknown") == 0);
	CHECK(strcmp(frm_type_name(-1), "unknown") == 0);
	CHECK(strcmp(frm_command_name(0), "RegisterVM") == 0);
	CHECK(strcmp(frm_command_name(1), "UnregisterVM") == 0);
	CHECK(strcmp(frm_command_name(2), "AttachVM") == 0);
	CHECK(strcmp(frm_command_name(3), "Hyper") == 0);
	CHECK(strcmp(frm_command_name(4), "ConnectShim") == 0);
	CHECK(strcmp(frm_command_name(5), "DisconnectShim") == 0);
	CHECK(strcmp(frm_command_name(6), "Signal") == 0);
	CHECK(strcmp(frm_command_name(7), "unknown") == 0);
	CHECK(strcmp(frm_command_name(-1), "unknown") == 0);
	CHECK(strcmp(frm_stream_name(0), "stdin") == 0);
	CHECK(strcmp(frm_stream_name(1), "stdout") == 0);
	CHECK(strcmp(frm_stream_name(2), "stderr") == 0);
	CHECK(strcmp(frm_stream_name(3), "log") == 0);
	CHECK(strcmp(frm_stream_name(4), "unknown") == 0);
	CHECK(strcmp(frm_stream_name(-1), "unknown") == 0);
}

static void
test_texts(void)
{
	struct frm_header	 h;
	char			 text[128];
	uint8_t			 p[FRM_HEADER_SIZE];

	test_begin("3.x section 2.4: bad version");
	CHECK(decode_with(1, 1, &h, text) == FRM_BAD_VERSION);
	CHECK(strcmp(text, "frame: bad version 1") == 0);
	CHECK(decode_with(0, 0x7b, &h, text) == FRM_BAD_VERSION);
	CHECK(strcmp(text, "frame: bad version 31490") == 0);

	test_begin("3.x section 2.4: bad type");
	CHECK(decode_with(6, 4, &h, text) == FRM_BAD_TYPE);
	CHECK(strcmp(text, "frame: bad type unknown") == 0);
	CHECK(decode_with(6, 15, &h, text) == FRM_BAD_TYPE);
	CHECK(strcmp(text, "frame: bad type unknown") == 0);

	test_begin("3.x section 2.4: bad opcode");
	CHECK(decode_with(7, 7, &h, text) == FRM_BAD_OPCODE);
	CHECK(strcmp(text, "frame: bad opcode (7) for type command") == 0);
	frm_encode(p, FRM_NOTIFICATION, 1, 0, 0);
	frm_strerror(frm_decode(p, &h), &h, text, sizeof(text));
	CHECK(strcmp(text,
	    "frame: bad opcode (1) for type notification") == 0);
	frm_encode(p, FRM_STREAM, 255, 0, 0);
	frm_strerror(frm_decode(p, &h), &h, text, sizeof(text));
	CHECK(strcmp(text, "frame: bad opcode (255) for type stream") == 0);

	test_begin("3.x section 2.4: bad header length");
	CHECK(decode_with(2, 0, &h, text) == FRM_BAD_HEADER_LENGTH);
	CHECK(strcmp(text, "frame: bad header length 0") == 0);
	CHECK(decode_with(2, 2, &h, text) == FRM_BAD_HEADER_LENGTH);
	CHECK(strcmp(text, "frame: bad header length 2") == 0);

	test_begin("3.x section 2.4: a text is cut to its buffer");
	frm_strerror(FRM_BAD_VERSION, &h, text, 7);
	CHECK(strcmp(text, "frame:") == 0);
}

int
main(void)
{
	test_worked();
	test_header();
	test_opcodes();
	test_texts();
	return (test_end());
}
