/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the names of deadlines and the durations they are given.
 * Pure; the input is the administrator's or the runtime's.
 */

#include <sys/types.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "flags.h"
#include "logfmt.h"

#define QUOTED_MAX	512

static const struct {
	const char	*name;
	uint32_t	 ms;
} timeout_table[FLT_MAX] = {
	[FLT_SHIM] = { "shim", 30000 },
	[FLT_PROCESS] = { "process", 30000 },
	[FLT_STDIN] = { "stdin", 30000 },
	[FLT_READY] = { "ready", 60000 },
	[FLT_AGENT] = { "agent", 600000 },
	[FLT_DESTROY] = { "destroy", 10000 },
	[FLT_RELOAD] = { "reload", 10000 },
	[FLT_KSM_KICK] = { "ksm-kick", 30000 },
	[FLT_KSM_STANDARD] = { "ksm-standard", 120000 },
	[FLT_KSM_SLOW] = { "ksm-slow", 120000 }
};

static int	 duration_unit(const char *, uint64_t *);
static int	 duration_term(const char **, uint64_t *);

/* The nanoseconds of the unit at s; returns its length, 0 if unknown. */
static int
duration_unit(const char *s, uint64_t *unit)
{
	static const struct {
		const char	*name;
		uint64_t	 ns;
	} units[] = {
		{ "ns", 1 }, { "us", 1000 }, { "\302\265s", 1000 },
		{ "\316\274s", 1000 }, { "ms", 1000000 },
		{ "s", 1000000000 }, { "m", 60000000000 },
		{ "h", 3600000000000 }
	};
	size_t	 i, n;

	for (n = 0; s[n] != '\0' && s[n] != '.' &&
	    !isdigit((unsigned char)s[n]); n++)
		;
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strlen(units[i].name) == n &&
		    strncmp(s, units[i].name, n) == 0) {
			*unit = units[i].ns;
			return ((int)n);
		}
	}
	return (0);
}

/* One number with its unit; moves *sp behind it and adds to *ns. */
static int
duration_term(const char **sp, uint64_t *ns)
{
	const char	*s = *sp;
	uint64_t	 add, frac = 0, scale = 1, unit, whole = 0;
	int		 digits = 0, n;

	for (; isdigit((unsigned char)*s); s++, digits++) {
		if (whole > UINT64_MAX / 100)
			return (-1);
		whole = whole * 10 + (uint64_t)(*s - '0');
	}
	if (*s == '.')
		s++;
	for (; isdigit((unsigned char)*s); s++, digits++) {
		if (scale >= 1000000)
			continue;
		frac = frac * 10 + (uint64_t)(*s - '0');
		scale *= 10;
	}
	if (digits == 0 || (n = duration_unit(s, &unit)) == 0)
		return (-1);
	if (__builtin_mul_overflow(whole, unit, &whole) ||
	    __builtin_add_overflow(whole, frac * unit / scale, &add) ||
	    __builtin_add_overflow(*ns, add, ns))
		return (-1);
	*sp = s + n;
	return (0);
}

int
flags_duration(const char *s, uint32_t *ms)
{
	uint64_t	 ns = 0;

	if (*s == '+')
		s++;
	if (strcmp(s, "0") == 0) {
		*ms = 0;
		return (0);
	}
	if (*s == '\0')
		return (-1);
	while (*s != '\0') {
		if (duration_term(&s, &ns) == -1)
			return (-1);
	}
	if (ns > (uint64_t)UINT32_MAX * 1000000)
		return (-1);
	*ms = (uint32_t)((ns + 999999) / 1000000);
	return (0);
}

const char *
flags_timeout_name(enum flags_timeout i)
{
	return (timeout_table[i].name);
}

void
flags_timeout_defaults(uint32_t timeouts[FLT_MAX])
{
	int	 i;

	for (i = 0; i < FLT_MAX; i++)
		timeouts[i] = timeout_table[i].ms;
}

int
flags_timeout_set(uint32_t timeouts[FLT_MAX], const char *name, size_t len,
    const char *duration, char *why, size_t size)
{
	char		 quoted[QUOTED_MAX];
	uint32_t	 ms;
	int		 i;

	for (i = 0; i < FLT_MAX; i++) {
		if (strlen(timeout_table[i].name) == len &&
		    strncmp(timeout_table[i].name, name, len) == 0)
			break;
	}
	if (i == FLT_MAX) {
		snprintf(why, size, "unknown timeout %.*s", (int)len, name);
		return (-1);
	}
	if (flags_duration(duration, &ms) == -1 ||
	    (i <= FLT_RELOAD && i != FLT_STDIN && ms == 0)) {
		logfmt_quote(quoted, sizeof(quoted), duration);
		snprintf(why, size, "invalid duration %s", quoted);
		return (-1);
	}
	timeouts[i] = ms;
	return (i);
}
