/* SPDX-License-Identifier: ISC */

/*
 * The smallest test helper that serves: one line of output per named test,
 * in the form the suite's runner counts.
 */

#ifndef CCP_TEST_H
#define CCP_TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char	*test_name;
static const char	*test_skipped;
static int		 test_bad;
static int		 test_failures;

static inline void
test_finish(void)
{
	if (test_name == NULL)
		return;
	if (test_bad)
		printf("not ok - %s\n", test_name);
	else if (test_skipped != NULL)
		printf("skip - %s: %s\n", test_name, test_skipped);
	else
		printf("ok - %s\n", test_name);
	fflush(stdout);
	test_failures += test_bad;
	test_name = test_skipped = NULL;
	test_bad = 0;
}

static inline void
test_begin(const char *name)
{
	test_finish();
	test_name = name;
}

static inline int
test_end(void)
{
	test_finish();
	return (test_failures != 0);
}

static inline void
test_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s: failed: %s\n", file, line,
	    test_name == NULL ? "?" : test_name, what);
	test_bad = 1;
}

static inline void
test_skip(const char *why)
{
	test_skipped = why;
}

#define CHECK(cond) do {						\
	if (!(cond))							\
		test_fail(__FILE__, __LINE__, #cond);			\
} while (0)

#endif /* CCP_TEST_H */
