/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: users and groups of the engines.  With a range of them no
 * two engines run as the same, and one that was given back is used again as
 * late as possible.  Its input is the configuration.
 */

#include <sys/types.h>

#include <stdlib.h>

#include "log.h"
#include "parent.h"

static struct ids	 shared;	/* without a range */
static uint32_t		 first, n, next;	/* n: 0 without one */
static uint8_t		*used;		/* a bit for each */

void
ids_init(const struct conf *c, const struct ids *ids)
{
	shared = *ids;
	if (c == NULL || c->engine_first == 0)
		return;
	first = c->engine_first;
	n = c->engine_last - first + 1;
	next = 0;
	if ((used = calloc(1, n / 8 + 1)) == NULL)
		fatal("%s", __func__);
}

int
ids_take(struct ids *ids)
{
	uint32_t	 i, k;

	*ids = shared;
	if (n == 0)
		return (0);
	for (i = 0; i < n; i++) {
		k = next;
		next = next + 1 == n ? 0 : next + 1;
		if (used[k / 8] & (1U << k % 8))
			continue;
		used[k / 8] |= (uint8_t)(1U << k % 8);
		ids->uid = first + k;
		ids->gid = first + k;
		return (0);
	}
	return (-1);
}

void
ids_give(const struct ids *ids)
{
	uint32_t	 k = ids->uid - first;

	if (n > 0)
		used[k / 8] &= (uint8_t)~(1U << k % 8);
}
