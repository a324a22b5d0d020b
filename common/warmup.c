/* SPDX-License-Identifier: ISC */

/*
 * What libraries open or allocate at their first use happens here, while it
 * still can.  Every child's code; no input.  A file of its own, so that the
 * parent does not link the JSON library.
 */

#include <sys/types.h>

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "log.h"
#include "sandbox.h"

static void	*warm_malloc(size_t);

/* The JSON library may crash where it gets none. */
static void *
warm_malloc(size_t size)
{
	void	*p;

	if ((p = malloc(size)) == NULL)
		fatal("%s", __func__);
	return (p);
}

void
sbx_warmup(void)
{
	struct tm	 tm;
	time_t		 now;
	uint8_t		 byte;

	/* Reads /dev/urandom, by default at the first object. */
	json_object_seed(0);
	json_set_alloc_funcs(warm_malloc, free);
	arc4random_buf(&byte, sizeof(byte));
	/* Reads /etc/localtime. */
	tzset();
	now = time(NULL);
	(void)localtime_r(&now, &tm);
	/* An unknown number makes it allocate. */
	(void)strerror(4095);
}
