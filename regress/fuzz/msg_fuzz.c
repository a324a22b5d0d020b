/* SPDX-License-Identifier: ISC */

/*
 * Any payload into the decoder of each message: what one accepts, encoded
 * again, is the same bytes.
 */

#include <stdlib.h>
#include <string.h>

#include "msg.h"

#define FIXED(name)							\
	static struct ibuf *						\
	name##_trip(struct ibuf *b)					\
	{								\
		static struct msg_##name	 m;			\
									\
		memset(&m, 0xa5, sizeof(m));				\
		return (msg_##name##_decode(b, &m) == -1 ? NULL :	\
		    msg_##name##_encode(&m));				\
	}

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

FIXED(conf)
FIXED(vm_open)
FIXED(vm_failed)
FIXED(vm_conf)
FIXED(handover)
FIXED(ctl_daemon)
FIXED(ctl_vm)
FIXED(vm_stats)
FIXED(daemon_stats)
FIXED(ctl_stats)
FIXED(ctl_parent)
FIXED(ctl_limits)
FIXED(ctl_uid)

static struct ibuf *
rule_trip(struct ibuf *b)
{
	struct policy_rule	 r;

	return (msg_rule_decode(b, &r) == -1 ? NULL : msg_rule_encode(&r));
}

static struct ibuf *
u32_trip(struct ibuf *b)
{
	uint32_t	 v;

	return (msg_u32_decode(b, &v) == -1 ? NULL : msg_u32_encode(v));
}

static struct ibuf *
u32u32_trip(struct ibuf *b)
{
	uint32_t	 v, u;

	return (msg_u32u32_decode(b, &v, &u) == -1 ? NULL :
	    msg_u32u32_encode(v, u));
}

static struct ibuf *
u32u8_trip(struct ibuf *b)
{
	uint32_t	 v;
	int		 u;

	if (msg_u32u8_decode(b, &v, &u, MSG_ANSWER_MAX) == -1)
		return (NULL);
	if (u < 0 || u >= MSG_ANSWER_MAX)
		abort();
	return (msg_u32u8_encode(v, u));
}

static struct ibuf *
u32str_trip(struct ibuf *b)
{
	char		 s[MSG_ID_MAX + 1];
	uint32_t	 v;

	return (msg_u32str_decode(b, &v, s, sizeof(s)) == -1 ? NULL :
	    msg_u32str_encode(v, s));
}

static struct ibuf *
text_trip(struct ibuf *b)
{
	char	 s[MSG_TEXT_MAX + 1];

	return (msg_text_decode(b, s, sizeof(s)) == -1 ? NULL :
	    msg_text_encode(s));
}

static struct ibuf *
u8_trip(struct ibuf *b)
{
	int	 v;

	if (msg_u8_decode(b, &v, MSG_LISTEN_MAX) == -1)
		return (NULL);
	if (v < 0 || v >= MSG_LISTEN_MAX)
		abort();
	return (msg_u8_encode(v));
}

static struct ibuf *
tokens_trip(struct ibuf *b)
{
	char		 t[MSG_TOKENS_MAX][TOKEN_SIZE];
	uint32_t	 v;
	int		 i, n;

	if ((n = msg_tokens_decode(b, &v, t, MSG_TOKENS_MAX)) == -1)
		return (NULL);
	for (i = 0; i < n; i++)
		if (!token_valid(t[i]))
			abort();
	return (msg_tokens_encode(v, t, (size_t)n));
}

static struct ibuf *
token_trip(struct ibuf *b)
{
	char	 token[TOKEN_SIZE];

	return (msg_token_decode(b, token) == -1 ? NULL :
	    msg_token_encode(token));
}

static struct ibuf *
chunk_trip(struct ibuf *b)
{
	struct ibuf	 view;
	uint32_t	 v;

	return (msg_chunk_decode(b, &v, &view) == -1 ? NULL :
	    msg_chunk_encode(v, ibuf_data(&view), ibuf_size(&view)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ibuf *(*const	 trips[])(struct ibuf *) = {
		conf_trip, vm_open_trip, vm_failed_trip, vm_conf_trip,
		handover_trip, ctl_daemon_trip, ctl_vm_trip, rule_trip,
		u32_trip, u32u32_trip, u32u8_trip, u32str_trip, text_trip,
		u8_trip, tokens_trip, token_trip, chunk_trip, vm_stats_trip,
		daemon_stats_trip, ctl_stats_trip, ctl_parent_trip,
		ctl_limits_trip, ctl_uid_trip
	};
	struct ibuf			*out, view;
	uint8_t				*copy;
	uint32_t			 type;
	size_t				 i;

	for (type = 0; type < 0x600; type += 0x101)
		if (msg_info(type) == NULL && msg_name(type) == NULL)
			abort();
	if ((copy = malloc(size + (size == 0))) == NULL)
		return (0);
	for (i = 0; i < sizeof(trips) / sizeof(trips[0]); i++) {
		if (size > 0)
			memcpy(copy, data, size);
		ibuf_from_buffer(&view, copy, size);
		if ((out = trips[i](&view)) == NULL)
			continue;
		if (ibuf_size(out) != size ||
		    (size > 0 && memcmp(ibuf_data(out), data, size) != 0))
			abort();
		ibuf_free(out);
	}
	free(copy);
	return (0);
}
