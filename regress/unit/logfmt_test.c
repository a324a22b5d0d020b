/* SPDX-License-Identifier: ISC */

/*
 * The text form of log entries: what downstream parsers and people see, and
 * what hostile text must not be able to do to it.
 */

#include <sys/types.h>

#include "logfmt.h"
#include "test.h"

static char	 line[LOGFMT_MAX];

static int
quotes(const char *in, const char *want)
{
	logfmt_quote(line, sizeof(line), in);
	if (strcmp(line, want) == 0)
		return (1);
	fprintf(stderr, "got %s, want %s\n", line, want);
	return (0);
}

static int
timed(time_t sec, long nsec, const char *want)
{
	struct timespec	 ts = { .tv_sec = sec, .tv_nsec = nsec };
	char		 text[LOGFMT_TIME_MAX];

	logfmt_time(text, sizeof(text), &ts);
	if (strcmp(text, want) == 0)
		return (1);
	fprintf(stderr, "got %s, want %s\n", text, want);
	return (0);
}

static int
formats(const char *msg, const struct log_field *fields, const char *want)
{
	size_t	 n;

	n = logfmt_line(line, sizeof(line), "T", 7, LOGL_WARN, msg, fields);
	if (n == strlen(want) && strcmp(line, want) == 0)
		return (1);
	fprintf(stderr, "got %s, want %s", line, want);
	return (0);
}

static void
test_quote(void)
{
	test_begin("quoting as Go's %q");
	CHECK(quotes("", "\"\""));
	CHECK(quotes("a b", "\"a b\""));
	CHECK(quotes("\a\b\f\n\r\t\v", "\"\\a\\b\\f\\n\\r\\t\\v\""));
	CHECK(quotes("\\\"'", "\"\\\\\\\"'\""));
	CHECK(quotes("\001\033\177", "\"\\x01\\x1b\\x7f\""));
	CHECK(quotes("\303\251\342\202\254\360\237\230\200",
	    "\"\303\251\342\202\254\360\237\230\200\""));
	CHECK(quotes("\377\300\200", "\"\\xff\\xc0\\x80\""));
	CHECK(quotes("\342\202", "\"\\xe2\\x82\""));
	CHECK(quotes("\302", "\"\\xc2\""));
	CHECK(quotes("\355\240\200", "\"\\xed\\xa0\\x80\""));
	CHECK(quotes("\340\200\200", "\"\\xe0\\x80\\x80\""));
	CHECK(quotes("\364\220\200\200", "\"\\xf4\\x90\\x80\\x80\""));
	CHECK(quotes("\302\205\302\240\302\255",
	    "\"\\u0085\\u00a0\\u00ad\""));
	CHECK(quotes("\342\200\250\342\200\251\342\200\256\342\201\246",
	    "\"\\u2028\\u2029\\u202e\\u2066\""));
	CHECK(quotes("\357\273\277\357\277\275\357\277\277",
	    "\"\\ufeff\357\277\275\\uffff\""));
	CHECK(quotes("\363\260\200\200\360\237\277\276",
	    "\"\\U000f0000\\U0001fffe\""));
	CHECK(quotes("\342\200\220\342\201\236",
	    "\"\342\200\220\342\201\236\""));
}

static void
test_time(void)
{
	test_begin("time in RFC 3339 with decimals trimmed");
	setenv("TZ", "UTC0", 1);
	tzset();
	CHECK(timed(1511314680, 0, "2017-11-22T01:38:00Z"));
	CHECK(timed(1511314680, 123456000, "2017-11-22T01:38:00.123456Z"));
	CHECK(timed(1511314680, 1, "2017-11-22T01:38:00.000000001Z"));
	CHECK(timed(1511314680, 500000000, "2017-11-22T01:38:00.5Z"));
	setenv("TZ", "UTC-5:30", 1);
	tzset();
	CHECK(timed(1511314680, 0, "2017-11-22T07:08:00+05:30"));
	setenv("TZ", "UTC8", 1);
	tzset();
	CHECK(timed(1511314680, 0, "2017-11-21T17:38:00-08:00"));
}

static void
test_line(void)
{
	const struct log_field	 qemu[] = {
		{ "vm", "a/b" }, { "source", "qemu" }, { "client", "12" },
		{ NULL, NULL }
	};
	const struct log_field	 odd[] = {
		{ "section", "" }, { "zone", "x=y" }, { "level", "error" },
		{ "zone", "z" }, { NULL, NULL }
	};

	test_begin("logfmt lines");
	CHECK(formats("plain", NULL, "time=\"T\" level=warning msg=plain "
	    "name=cc-proxy pid=7 source=proxy\n"));
	CHECK(formats("", NULL, "time=\"T\" level=warning "
	    "name=cc-proxy pid=7 source=proxy\n"));
	CHECK(formats("a-Z0._/@^+", qemu,
	    "time=\"T\" level=warning msg=a-Z0._/@^+ client=12 "
	    "name=cc-proxy pid=7 source=qemu vm=a/b\n"));
	CHECK(formats("two\nlines", odd, "time=\"T\" level=warning "
	    "msg=\"two\\nlines\" fields.level=error name=cc-proxy pid=7 "
	    "section= source=proxy zone=z\n"));
}

static void
test_cut(void)
{
	static char	 big[LOG_RECORD_MAX];
	size_t		 i, n;
	int		 closed, ended, fits;

	test_begin("lines that do not fit");
	memset(big, '\001', sizeof(big) - 1);
	closed = ended = fits = 1;
	for (i = 256; i < 400; i++) {
		memset(line, 'Z', i + 1);
		n = logfmt_line(line, i, "T", 7, LOGL_INFO, big, NULL);
		fits = fits && n < i && line[n] == '\0' && line[i] == 'Z';
		ended = ended && line[n - 1] == '\n';
		closed = closed && line[n - 2] == '"';
	}
	CHECK(fits);
	CHECK(ended);
	CHECK(closed);
	n = logfmt_line(line, sizeof(line), "T", 7, LOGL_INFO, big, NULL);
	CHECK(n > 4 * (sizeof(big) - 1));
	CHECK(strstr(line, " source=proxy\n") != NULL);
}

static void
test_colour(void)
{
	const struct log_field	 f[] = { { "vm", "a b" }, { NULL, NULL } };
	char			 want[512];

	test_begin("lines for a terminal");
	logfmt_colour(line, sizeof(line), 4, 7, LOGL_WARN, "hi\033[2J", f);
	snprintf(want, sizeof(want), "\033[33mWARN\033[0m[0004] %-44s  "
	    "\033[33mname\033[0m=cc-proxy \033[33mpid\033[0m=7 "
	    "\033[33msource\033[0m=proxy \033[33mvm\033[0m=\"a b\"\n",
	    "hi\\x1b[2J");
	CHECK(strcmp(line, want) == 0);
	logfmt_colour(line, sizeof(line), 12345, 7, LOGL_DEBUG, "\303\251",
	    NULL);
	snprintf(want, sizeof(want), "\033[37mDEBU\033[0m[12345] \303\251"
	    "%-43s  \033[37mname", "");
	CHECK(strncmp(line, want, strlen(want)) == 0);
}

int
main(void)
{
	test_quote();
	test_time();
	test_line();
	test_cut();
	test_colour();
	return (test_end());
}
