/* SPDX-License-Identifier: ISC */

/*
 * Any text as a configuration file; what is good prints a file that is read
 * back and prints the same.
 */

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The host's users are none of its business. */
struct passwd *
getpwnam(const char *name)
{
	static struct passwd	 pw;

	pw.pw_uid = (unsigned char)name[0];
	return (name[0] == 'x' ? NULL : &pw);
}

struct group *
getgrnam(const char *name)
{
	static struct group	 gr;

	gr.gr_gid = (unsigned char)name[0];
	return (name[0] == 'x' ? NULL : &gr);
}

static void
report(const char *line)
{
	(void)line;
}

static char *
print(const struct conf *c, size_t *len)
{
	FILE	*f;
	char	*text;

	if ((f = open_memstream(&text, len)) == NULL)
		abort();
	conf_print(f, c);
	fclose(f);
	return (text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf	 a, b;
	char		*first, *second;
	size_t		 len, len2;

	if (size > 65536)
		return (0);
	conf_init(&a);
	if (conf_parse(&a, "fuzz", (const char *)data, size, report) == 0) {
		first = print(&a, &len);
		conf_init(&b);
		if (conf_parse(&b, "again", first, len, report) == -1)
			abort();
		second = print(&b, &len2);
		if (len != len2 || memcmp(first, second, len) != 0)
			abort();
		free(first);
		free(second);
		conf_free(&b);
	}
	conf_free(&a);
	return (0);
}
