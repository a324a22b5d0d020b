/* SPDX-License-Identifier: ISC */

/*
 * Entries in the journal's own protocol: what they are made of, read back as
 * the journal reads them, and values that would be something else.
 */

#include <stdlib.h>
#include <string.h>

#include "journal.h"
#include "test.h"

static uint8_t	 buf[JOURNAL_MAX];

static const char *
entry(const char *msg, const struct log_field *fields, size_t *n)
{
	*n = journal_entry(buf, sizeof(buf) - 1, LOGL_WARN, "a=b c", 5, msg,
	    fields);
	buf[*n] = '\0';
	return ((const char *)buf);
}

/*
 * The value of the n-th field so called, as the journal would take the entry
 * apart; NULL if there is none, or the entry is malformed.
 */
static const char *
find(size_t len, const char *name, int nth, size_t *vlen)
{
	const uint8_t	*p = buf, *end = buf + len, *nl, *eq, *value;
	size_t		 nlen = strlen(name), klen;
	int		 i;

	while (p < end) {
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL)
			return (NULL);
		if ((eq = memchr(p, '=', (size_t)(nl - p))) != NULL) {
			klen = (size_t)(eq - p);
			value = eq + 1;
			*vlen = (size_t)(nl - value);
		} else {
			klen = (size_t)(nl - p);
			if (end - nl < 9)
				return (NULL);
			for (i = 8, *vlen = 0; i > 0; i--)
				*vlen = *vlen << 8 | nl[i];
			value = nl + 9;
			if ((size_t)(end - value) <= *vlen ||
			    value[*vlen] != '\n')
				return (NULL);
			nl = value + *vlen;
		}
		if (klen == nlen && memcmp(p, name, nlen) == 0 && nth-- == 0)
			return ((const char *)value);
		p = nl + 1;
	}
	return (NULL);
}

static int
is(size_t len, const char *name, const char *want, size_t wantlen)
{
	const char	*v;
	size_t		 n;

	v = find(len, name, 0, &n);
	return (v != NULL && n == wantlen && memcmp(v, want, n) == 0 &&
	    find(len, name, 1, &n) == NULL);
}

static int
is_str(size_t len, const char *name, const char *want)
{
	return (is(len, name, want, strlen(want)));
}

static void
test_plain(void)
{
	const struct log_field	 fields[] = {
		{ "vm", "web1" }, { "process_pid", "7" }, { NULL, NULL }
	};
	const struct log_field	 source[] = {
		{ "source", "qemu" }, { NULL, NULL }
	};
	size_t			 n;

	test_begin("an entry");
	CHECK(strcmp(entry("hello", fields, &n), "PRIORITY=4\n"
	    "SYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=cc-proxy\nMESSAGE=a=b c\n"
	    "CCP_MSG=hello\nCCP_VM=web1\nCCP_PROCESS_PID=7\n"
	    "CCP_SOURCE=proxy\n") == 0);
	CHECK(is_str(n, "CCP_VM", "web1") && is_str(n, "MESSAGE", "a=b c"));
	entry("", NULL, &n);
	CHECK(is_str(n, "CCP_MSG", "") && is_str(n, "CCP_SOURCE", "proxy"));
	entry("", source, &n);
	CHECK(is_str(n, "CCP_SOURCE", "qemu"));
}

static void
test_priority(void)
{
	static const char	*const want[] = {
		"2", "2", "3", "4", "6", "7"
	};
	size_t			 n;
	int			 i;

	test_begin("priorities");
	for (i = LOGL_PANIC; i <= LOGL_DEBUG; i++) {
		n = journal_entry(buf, sizeof(buf), (enum log_level)i, "", 0,
		    "", NULL);
		CHECK(is_str(n, "PRIORITY", want[i]));
	}
}

static void
test_hostile(void)
{
	static const char	*const values[] = {
		"a\nCCP_UID=0", "\n", "x\n\n", "\nMESSAGE=forged\n",
		"\033[31mred", "caf\303\251", "\377\376", "\001", "a=b",
		"=", "", " "
	};
	struct log_field	 fields[] = {
		{ "vm", NULL }, { "uid", "1000" }, { NULL, NULL }
	};
	size_t			 i, n;

	test_begin("values that are not plain stay values");
	for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		fields[0].value = values[i];
		entry(values[i], fields, &n);
		CHECK(is_str(n, "CCP_VM", values[i]));
		CHECK(is_str(n, "CCP_MSG", values[i]));
		CHECK(is_str(n, "CCP_UID", "1000"));
		CHECK(is_str(n, "MESSAGE", "a=b c"));
	}
	test_begin("keys that are not plain become names");
	fields[0].key = "a b=c\n";
	entry("m", fields, &n);
	CHECK(is_str(n, "CCP_A_B_C_", values[i - 1]));
	fields[0].key = "msg";
	fields[0].value = "forged";
	entry("m", fields, &n);
	CHECK(is_str(n, "CCP_MSG", "m"));
}

static void
test_size(void)
{
	static char		 big[LOG_RECORD_MAX];
	static char		 line[LOGFMT_MAX];
	struct log_field	 fields[LOG_FIELDS_MAX + 3];
	size_t			 i, n;

	test_begin("the longest record fits, and nothing is cut");
	memset(fields, 0, sizeof(fields));
	for (i = 0; i < LOG_FIELDS_MAX + 2; i++) {
		fields[i].key = "abcdefghijklmnop";
		fields[i].value = "\n";
	}
	memset(big, '\n', sizeof(big) - 1);
	memset(line, '\n', sizeof(line));
	fields[0].value = big;
	n = journal_entry(buf, sizeof(buf), LOGL_INFO, line, sizeof(line),
	    "\n", fields);
	CHECK(n > sizeof(line) + sizeof(big));
	CHECK(is(n, "MESSAGE", line, sizeof(line)));
	for (i = 0; i < n; i++)
		if (journal_entry(buf, i, LOGL_INFO, line, sizeof(line), "\n",
		    fields) != 0)
			break;
	CHECK(i == n);
}

static void
test_stream(void)
{
	test_begin("JOURNAL_STREAM");
	CHECK(journal_is("8:123", 8, 123));
	CHECK(journal_is("18446744073709551615:0", UINT64_MAX, 0));
	CHECK(!journal_is(NULL, 0, 0));
	CHECK(!journal_is("", 0, 0));
	CHECK(!journal_is("8", 8, 0));
	CHECK(!journal_is("8:", 8, 0));
	CHECK(!journal_is(":123", 0, 123));
	CHECK(!journal_is("8:123 ", 8, 123));
	CHECK(!journal_is("8:-1", 8, UINT64_MAX));
	CHECK(!journal_is(" 8:123", 8, 123));
	CHECK(!journal_is("8:124", 8, 123));
	CHECK(!journal_is("9:123", 8, 123));
}

int
main(void)
{
	test_plain();
	test_priority();
	test_hostile();
	test_size();
	test_stream();
	return (test_end());
}
