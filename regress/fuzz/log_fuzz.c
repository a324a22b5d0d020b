/* SPDX-License-Identifier: ISC */

/*
 * Any packet into the decoder of log records; what it accepts, encoded again,
 * is the same bytes.  Any text into the encoder: a record that decodes.
 */

#include <stdlib.h>
#include <string.h>

#include "log.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

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
