/* SPDX-License-Identifier: ISC */

/*
 * Payloads of commands in the words of hyperstart, which dies, hangs or
 * refuses the whole command over members it does not know, that are empty,
 * or that are missing; and the names and numbers in those payloads.  Text is
 * rearranged, never re-encoded: a value that stays is copied as it stands.
 * Pure: no I/O, no log, no globals.
 *
 * Sources: cc-proxy-protocol(7); the behaviour of hyperstart with API 4242
 * and 4244.
 */

#ifndef CCP_HYPJSON_H
#define CCP_HYPJSON_H

#include <stddef.h>
#include <stdint.h>

#include "json.h"

#define HYP_API_F	4242	/* knows processes by sequence number */
#define HYP_API_U	4244	/* knows them by id */

#define HYP_DROPPED_MAX	256	/* names left out, NUL included */
#define HYP_EVENT_MAX	65536	/* bytes of an event */
#define HYP_NAME_MAX	4096	/* bytes of an id in an event */

/*
 * Whom a command is for, as far as its payload does not say.  WINSIZE: whose
 * terminal it is.  NEWCONTAINER and EXECCMD: the id of a process to which the
 * client gave none; those of STARTPOD are "init".
 */
struct hyp_target {
	unsigned int	 api;		/* 0: not known yet */
	const char	*container;	/* or NULL */
	const char	*process;	/* or NULL */
};

/*
 * The payload of a command as hyperstart takes it.  Names of members match
 * as in json_find() and leave in their canonical spelling.  Commands without
 * rules, and text that json_parse() refuses or that is no object, are copied
 * unchanged: the guest says what it thinks.
 * Returns a malloc'd, NUL-terminated text that the caller frees and its
 * length in *outlen, or NULL and a text in err: memory ran out, or the
 * guest would die or hang.  dropped gets the names of members that asked for
 * something and were left out, "process.capabilities, constraints", cut if
 * there are too many; "" if there are none.  They are printable ASCII.
 */
char	*hyp_adapt(uint32_t code, struct json_slice data,
	    const struct hyp_target *, size_t *outlen,
	    char dropped[HYP_DROPPED_MAX], char err[JSON_ERRMAX]);

/*
 * 1 if a value asks for nothing: none, null, false, 0, "", [], {}, or an
 * object of such values.  Text that json_parse() has accepted.
 */
int	 hyp_meaningless(struct json_slice);

/*
 * 1 if hyperstart has a string of it: one that is not empty, nor begins
 * with a NUL, nor has half a surrogate pair in it, which makes it none.
 */
int	 hyp_isstring(struct json_slice);

/*
 * The ids in the payload of a NEWCONTAINER or EXECCMD, their escapes undone:
 * malloc'd strings that the caller frees, or NULL if there is none that
 * hyperstart takes (absent, empty, not a string).  *has_stdio is 1 and
 * *stdio the number if process.stdio is one, else both are 0.  Any text will
 * do.  Returns 0, or -1 [ENOMEM], and then nothing is to be freed.
 */
int	 hyp_names(uint32_t code, struct json_slice data, char **container,
	    char **process, int *has_stdio, uint64_t *stdio);

/*
 * The sequence number in the payload of a WINSIZE: 1, or 0 and *seq = 0 if
 * there is none.  *has_names tells whether the payload names a container and
 * a process already.  Any text will do.
 */
int	 hyp_winsize_seq(struct json_slice data, uint64_t *seq,
	    int *has_names);

/*
 * The event of hyperstart 4244 that a process has ended, out of the bytes of
 * an untrusted guest.  Returns 0 and malloc'd strings that the caller frees,
 * or -1 if it is none, is too long or memory ran out; then both are NULL.
 */
int	 hyp_event(const uint8_t *, size_t, char **container, char **process,
	    uint8_t *status);

#endif /* CCP_HYPJSON_H */
