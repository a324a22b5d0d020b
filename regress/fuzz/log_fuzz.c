/* SPDX-License-Identifier: ISC */

/*
 * Any packet into the decoder of log records; what it accepts, encoded again,
 * is the same bytes, and is an entry for the journal whose values are those
 * of the record.  Any text into the encoder: a record that decodes.
 */

#include <stdlib.h>
#include <string.h>

#include "journal.h"
#include "log.h"

static void	 in_journal(const struct log_record *,
		    const struct log_field *);
static const uint8_t *in_journal_field(const uint8_t *, const uint8_t *,
		    const char *);

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* What follows the field at p, which has this value, in whichever form. */
static const uint8_t *
in_journal_field(const uint8_t *p, const uint8_t *end, const char *value)
{
	const uint8_t	*name = p;
	size_t		 i, len, n = strlen(value);

	while (p < end && *p != '=' && *p != '\n')
		p++;
	if (p == end || p == name)
		abort();
	if (*p++ == '\n') {
		if (end - p < 8)
			abort();
		for (i = 8, len = 0; i > 0; i--)
			len = len << 8 | p[i - 1];
		p += 8;
		if (len != n)
			abort();
	}
	if ((size_t)(end - p) <= n || memcmp(p, value, n) != 0 ||
	    p[n] != '\n')
		abort();
	return (p + n + 1);
}

static void
in_journal(const struct log_record *rec, const struct log_field *fields)
{
	static uint8_t	 buf[JOURNAL_MAX];
	const uint8_t	*end, *p = buf;
	size_t		 i, n;
	int		 lines;

	n = journal_entry(buf, sizeof(buf), rec->level, rec->msg,
	    strlen(rec->msg), rec->msg, fields);
	if (n == 0)
		abort();
	end = buf + n;
	for (lines = 0; lines < 3; lines++)
		p = (const uint8_t *)memchr(p, '\n', (size_t)(end - p)) + 1;
	p = in_journal_field(p, end, rec->msg);
	p = in_journal_field(p, end, rec->msg);
	for (i = 0; i < rec->nfields; i++)
		if (strcmp(fields[i].key, "msg") != 0)
			p = in_journal_field(p, end, fields[i].value);
	if (p != end)
		p = in_journal_field(p, end, "proxy");
	if (p != end)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct log_record	 rec;
	struct log_field		 fields[LOG_FIELDS_MAX + 1];
	uint8_t				 buf[LOG_RECORD_MAX];
	char				*text;
	size_t				 i, n;

	if (log_decode(&rec, data, size) == 0) {
		if (rec.level > LOGL_DEBUG || rec.nfields > LOG_FIELDS_MAX)
			abort();
		memset(fields, 0, sizeof(fields));
		for (i = 0; i < rec.nfields; i++)
			fields[i] = rec.fields[i];
		in_journal(&rec, fields);
		n = log_encode(buf, sizeof(buf), rec.level, rec.msg, fields);
		/* A long message may be cut for its fields. */
		if (n < size ? log_decode(&rec, buf, n) == -1 :
		    n != size || memcmp(buf, data, n) != 0)
			abort();
	}
	if ((text = strndup((const char *)data, size)) == NULL)
		return (0);
	memset(fields, 0, sizeof(fields));
	fields[0].key = "key";
	fields[0].value = text;
	n = log_encode(buf, sizeof(buf), LOGL_INFO, text, fields);
	if (log_decode(&rec, buf, n) == -1)
		abort();
	free(text);
	return (0);
}
