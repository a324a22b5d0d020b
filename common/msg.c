/* SPDX-License-Identifier: ISC */

/*
 * Encode and decode the messages between the daemon's processes.  Linked
 * into all of them; the sender may be a process that was taken over, so
 * every field is bounded here and nothing may trail.
 */

#include <stdlib.h>
#include <string.h>

#include "msg.h"

static const struct msg_info msg_infos[] = {
#define MSG(name, number, min, max, fd)	{ number, #name, min, max, fd },
#include "msg.def"
#undef MSG
};

const struct msg_info *
msg_info(uint32_t type)
{
	size_t	 i;

	for (i = 0; i < sizeof(msg_infos) / sizeof(msg_infos[0]); i++)
		if (msg_infos[i].type == type)
			return (&msg_infos[i]);
	return (NULL);
}

const char *
msg_name(uint32_t type)
{
	const struct msg_info	*mi;

	mi = msg_info(type);
	return (mi == NULL ? "unknown" : mi->name);
}

const char *
msg_vm_state_name(int state)
{
	static const char *const names[] = {
		"opening", "starting", "up", "lost", "unregistered"
	};

	if (state < 0 || state >= MSG_STATE_MAX)
		return ("unknown");
	return (names[state]);
}

/* Growing by need: the largest message sets the limit. */
static struct ibuf *
msg_open(void)
{
	return (ibuf_dynamic(64, MAX_IMSGSIZE - IMSG_HEADER_SIZE));
}

static int
msg_add_str(struct ibuf *b, const char *s)
{
	size_t	 len;

	len = strlen(s);
	if (ibuf_add_n16(b, len) == -1)
		return (-1);
	return (len == 0 ? 0 : ibuf_add(b, s, len));
}

static int
msg_get_str(struct ibuf *b, char *s, size_t size)
{
	uint16_t	 len;

	if (ibuf_get_n16(b, &len) == -1 || len >= size)
		return (-1);
	if (len > 0 && ibuf_get(b, s, len) == -1)
		return (-1);
	s[len] = '\0';
	return (memchr(s, '\0', len) != NULL ? -1 : 0);
}

/* One byte, below limit. */
static int
msg_get_enum(struct ibuf *b, int *v, int limit)
{
	uint8_t	 n;

	if (ibuf_get_n8(b, &n) == -1 || n >= limit)
		return (-1);
	*v = n;
	return (0);
}

/* A limit of 0 would let nobody have anything. */
static int
msg_get_limit(struct ibuf *b, uint32_t *v)
{
	return (ibuf_get_n32(b, v) == -1 || *v == 0 ? -1 : 0);
}

static struct ibuf *
msg_close(struct ibuf *b, int failed)
{
	if (failed) {
		ibuf_free(b);
		return (NULL);
	}
	return (b);
}

/* What every decoder ends with: all fields there, nothing trails. */
static int
msg_end(struct ibuf *b, int failed)
{
	return (failed || ibuf_size(b) != 0 ? -1 : 0);
}

struct ibuf *
msg_conf_encode(const struct msg_conf *m)
{
	const struct msg_limits	*l = &m->limits;
	struct ibuf		*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n8(b, (uint64_t)m->pod) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->level) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->events) == -1 ||
	    ibuf_add_n32(b, l->clients) == -1 ||
	    ibuf_add_n32(b, l->clients_uid) == -1 ||
	    ibuf_add_n32(b, l->clients_vm) == -1 ||
	    ibuf_add_n32(b, l->served) == -1 ||
	    ibuf_add_n32(b, l->served_uid) == -1 ||
	    ibuf_add_n32(b, l->tokens) == -1 ||
	    ibuf_add_n32(b, l->tokens_uid) == -1 ||
	    ibuf_add_n32(b, l->tokens_vm) == -1 ||
	    ibuf_add_n32(b, l->vms) == -1 ||
	    ibuf_add_n32(b, l->vms_uid) == -1 ||
	    ibuf_add_n8(b, l->root != 0) == -1 ||
	    msg_add_str(b, m->path) == -1));
}

int
msg_conf_decode(struct ibuf *b, struct msg_conf *m)
{
	struct msg_limits	*l = &m->limits;

	return (msg_end(b, msg_get_enum(b, &m->pod, 2) == -1 ||
	    msg_get_enum(b, &m->level, 16) == -1 ||
	    msg_get_enum(b, &m->events, 2) == -1 ||
	    msg_get_limit(b, &l->clients) == -1 ||
	    msg_get_limit(b, &l->clients_uid) == -1 ||
	    msg_get_limit(b, &l->clients_vm) == -1 ||
	    msg_get_limit(b, &l->served) == -1 ||
	    msg_get_limit(b, &l->served_uid) == -1 ||
	    msg_get_limit(b, &l->tokens) == -1 ||
	    msg_get_limit(b, &l->tokens_uid) == -1 ||
	    msg_get_limit(b, &l->tokens_vm) == -1 ||
	    msg_get_limit(b, &l->vms) == -1 ||
	    msg_get_limit(b, &l->vms_uid) == -1 ||
	    msg_get_enum(b, &l->root, 2) == -1 ||
	    msg_get_str(b, m->path, sizeof(m->path)) == -1));
}

struct ibuf *
msg_rule_encode(const struct policy_rule *r)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n8(b, r->allow != 0) == -1 ||
	    ibuf_add_n8(b, r->ops) == -1 ||
	    ibuf_add_n8(b, (uint64_t)(r->has_uid != 0) |
	    (uint64_t)(r->has_gid != 0) << 1) == -1 ||
	    ibuf_add_n32(b, r->has_uid ? r->uid : 0) == -1 ||
	    ibuf_add_n32(b, r->has_gid ? r->gid : 0) == -1));
}

int
msg_rule_decode(struct ibuf *b, struct policy_rule *r)
{
	int	 has, ops;

	if (msg_end(b, msg_get_enum(b, &r->allow, 2) == -1 ||
	    msg_get_enum(b, &ops, POLICY_ALL + 1) == -1 ||
	    msg_get_enum(b, &has, 4) == -1 ||
	    ibuf_get_n32(b, &r->uid) == -1 ||
	    ibuf_get_n32(b, &r->gid) == -1) == -1 || ops == 0)
		return (-1);
	r->ops = (unsigned int)ops;
	r->has_uid = has & 1;
	r->has_gid = has >> 1;
	return ((!r->has_uid && r->uid != 0) || (!r->has_gid && r->gid != 0) ?
	    -1 : 0);
}

struct ibuf *
msg_vm_open_encode(const struct msg_vm_open *m)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, m->vmid) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->proto) == -1 ||
	    msg_add_str(b, m->id) == -1 || msg_add_str(b, m->ctl) == -1 ||
	    msg_add_str(b, m->io) == -1 ||
	    msg_add_str(b, m->console) == -1));
}

int
msg_vm_open_decode(struct ibuf *b, struct msg_vm_open *m)
{
	return (msg_end(b, ibuf_get_n32(b, &m->vmid) == -1 ||
	    msg_get_enum(b, &m->proto, MSG_PROTO_MAX) == -1 ||
	    msg_get_str(b, m->id, sizeof(m->id)) == -1 ||
	    msg_get_str(b, m->ctl, sizeof(m->ctl)) == -1 ||
	    msg_get_str(b, m->io, sizeof(m->io)) == -1 ||
	    msg_get_str(b, m->console, sizeof(m->console)) == -1));
}

struct ibuf *
msg_vm_failed_encode(const struct msg_vm_failed *m)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, m->vmid) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->step) == -1 ||
	    ibuf_add_n32(b, m->errnum) == -1));
}

int
msg_vm_failed_decode(struct ibuf *b, struct msg_vm_failed *m)
{
	return (msg_end(b, ibuf_get_n32(b, &m->vmid) == -1 ||
	    msg_get_enum(b, &m->step, MSG_STEP_MAX) == -1 ||
	    ibuf_get_n32(b, &m->errnum) == -1));
}

struct ibuf *
msg_vm_conf_encode(const struct msg_vm_conf *m)
{
	const struct msg_timeouts	*t = &m->timeouts;
	struct ibuf			*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, m->vmid) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->level) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->events) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->proto) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->guest) == -1 ||
	    ibuf_add_n32(b, t->shim) == -1 ||
	    ibuf_add_n32(b, t->process) == -1 ||
	    ibuf_add_n32(b, t->stdin_) == -1 ||
	    ibuf_add_n32(b, t->ready) == -1 ||
	    ibuf_add_n32(b, t->agent) == -1 ||
	    ibuf_add_n32(b, t->destroy) == -1 ||
	    ibuf_add_n32(b, m->out_shim) == -1 ||
	    ibuf_add_n32(b, m->out_vm) == -1 ||
	    msg_add_str(b, m->id) == -1 || msg_add_str(b, m->ctl) == -1 ||
	    msg_add_str(b, m->path) == -1));
}

int
msg_vm_conf_decode(struct ibuf *b, struct msg_vm_conf *m)
{
	struct msg_timeouts	*t = &m->timeouts;

	return (msg_end(b, ibuf_get_n32(b, &m->vmid) == -1 ||
	    msg_get_enum(b, &m->level, 16) == -1 ||
	    msg_get_enum(b, &m->events, 2) == -1 ||
	    msg_get_enum(b, &m->proto, MSG_PROTO_MAX) == -1 ||
	    msg_get_enum(b, &m->guest, MSG_GUEST_MAX) == -1 ||
	    ibuf_get_n32(b, &t->shim) == -1 ||
	    ibuf_get_n32(b, &t->process) == -1 ||
	    ibuf_get_n32(b, &t->stdin_) == -1 ||
	    ibuf_get_n32(b, &t->ready) == -1 ||
	    ibuf_get_n32(b, &t->agent) == -1 ||
	    ibuf_get_n32(b, &t->destroy) == -1 ||
	    msg_get_limit(b, &m->out_shim) == -1 ||
	    msg_get_limit(b, &m->out_vm) == -1 ||
	    msg_get_str(b, m->id, sizeof(m->id)) == -1 ||
	    msg_get_str(b, m->ctl, sizeof(m->ctl)) == -1 ||
	    msg_get_str(b, m->path, sizeof(m->path)) == -1));
}

struct ibuf *
msg_handover_encode(const struct msg_handover *m)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, m->connid) == -1 ||
	    ibuf_add_n32(b, m->client) == -1 ||
	    ibuf_add_n32(b, m->uid) == -1 || ibuf_add_n32(b, m->gid) == -1 ||
	    ibuf_add_n32(b, m->pid) == -1 ||
	    ibuf_add_n32(b, m->reqlen) == -1 ||
	    ibuf_add_n32(b, m->ntokens) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->proto) == -1));
}

int
msg_handover_decode(struct ibuf *b, struct msg_handover *m)
{
	return (msg_end(b, ibuf_get_n32(b, &m->connid) == -1 ||
	    ibuf_get_n32(b, &m->client) == -1 ||
	    ibuf_get_n32(b, &m->uid) == -1 ||
	    ibuf_get_n32(b, &m->gid) == -1 ||
	    ibuf_get_n32(b, &m->pid) == -1 ||
	    ibuf_get_n32(b, &m->reqlen) == -1 ||
	    ibuf_get_n32(b, &m->ntokens) == -1 ||
	    msg_get_enum(b, &m->proto, MSG_PROTO_MAX) == -1));
}

struct ibuf *
msg_ctl_daemon_encode(const struct msg_ctl_daemon *m)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n64(b, m->started) == -1 ||
	    ibuf_add_n32(b, m->pid) == -1 ||
	    ibuf_add_n32(b, m->accepted) == -1 ||
	    ibuf_add_n32(b, m->unrouted) == -1 ||
	    ibuf_add_n32(b, m->routed) == -1 ||
	    ibuf_add_n32(b, m->nvms) == -1 ||
	    ibuf_add_n32(b, m->ntokens) == -1 ||
	    ibuf_add_n16(b, m->pod) == -1 ||
	    msg_add_str(b, m->version) == -1 ||
	    msg_add_str(b, m->path) == -1));
}

int
msg_ctl_daemon_decode(struct ibuf *b, struct msg_ctl_daemon *m)
{
	return (msg_end(b, ibuf_get_n64(b, &m->started) == -1 ||
	    ibuf_get_n32(b, &m->pid) == -1 ||
	    ibuf_get_n32(b, &m->accepted) == -1 ||
	    ibuf_get_n32(b, &m->unrouted) == -1 ||
	    ibuf_get_n32(b, &m->routed) == -1 ||
	    ibuf_get_n32(b, &m->nvms) == -1 ||
	    ibuf_get_n32(b, &m->ntokens) == -1 ||
	    ibuf_get_n16(b, &m->pod) == -1 ||
	    msg_get_str(b, m->version, sizeof(m->version)) == -1 ||
	    msg_get_str(b, m->path, sizeof(m->path)) == -1));
}

struct ibuf *
msg_ctl_vm_encode(const struct msg_ctl_vm *m)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, m->vmid) == -1 ||
	    ibuf_add_n8(b, (uint64_t)m->state) == -1 ||
	    ibuf_add_n32(b, m->engine) == -1 ||
	    ibuf_add_n32(b, m->uid) == -1 ||
	    ibuf_add_n32(b, m->clients) == -1 ||
	    ibuf_add_n32(b, m->tokens) == -1 ||
	    msg_add_str(b, m->id) == -1));
}

int
msg_ctl_vm_decode(struct ibuf *b, struct msg_ctl_vm *m)
{
	return (msg_end(b, ibuf_get_n32(b, &m->vmid) == -1 ||
	    msg_get_enum(b, &m->state, MSG_STATE_MAX) == -1 ||
	    ibuf_get_n32(b, &m->engine) == -1 ||
	    ibuf_get_n32(b, &m->uid) == -1 ||
	    ibuf_get_n32(b, &m->clients) == -1 ||
	    ibuf_get_n32(b, &m->tokens) == -1 ||
	    msg_get_str(b, m->id, sizeof(m->id)) == -1));
}

struct ibuf *
msg_u32_encode(uint32_t v)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, v) == -1));
}

int
msg_u32_decode(struct ibuf *b, uint32_t *v)
{
	return (msg_end(b, ibuf_get_n32(b, v) == -1));
}

struct ibuf *
msg_u32u32_encode(uint32_t v, uint32_t w)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, v) == -1 ||
	    ibuf_add_n32(b, w) == -1));
}

int
msg_u32u32_decode(struct ibuf *b, uint32_t *v, uint32_t *w)
{
	return (msg_end(b, ibuf_get_n32(b, v) == -1 ||
	    ibuf_get_n32(b, w) == -1));
}

struct ibuf *
msg_u32u8_encode(uint32_t v, int w)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, v) == -1 ||
	    ibuf_add_n8(b, (uint64_t)w) == -1));
}

int
msg_u32u8_decode(struct ibuf *b, uint32_t *v, int *w, int limit)
{
	return (msg_end(b, ibuf_get_n32(b, v) == -1 ||
	    msg_get_enum(b, w, limit) == -1));
}

struct ibuf *
msg_u32str_encode(uint32_t v, const char *s)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n32(b, v) == -1 ||
	    msg_add_str(b, s) == -1));
}

int
msg_u32str_decode(struct ibuf *b, uint32_t *v, char *s, size_t size)
{
	return (msg_end(b, ibuf_get_n32(b, v) == -1 ||
	    msg_get_str(b, s, size) == -1));
}

struct ibuf *
msg_text_encode(const char *s)
{
	struct ibuf	*b;
	size_t		 len;

	if ((b = msg_open()) == NULL)
		return (NULL);
	len = strnlen(s, MSG_TEXT_MAX);
	return (msg_close(b, ibuf_add_n16(b, len) == -1 ||
	    (len > 0 && ibuf_add(b, s, len) == -1)));
}

int
msg_text_decode(struct ibuf *b, char *s, size_t size)
{
	return (msg_end(b, msg_get_str(b, s, size) == -1));
}

struct ibuf *
msg_u8_encode(int v)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add_n8(b, (uint64_t)v) == -1));
}

int
msg_u8_decode(struct ibuf *b, int *v, int limit)
{
	return (msg_end(b, msg_get_enum(b, v, limit) == -1));
}

struct ibuf *
msg_tokens_encode(uint32_t v, char (*tokens)[TOKEN_SIZE], size_t n)
{
	struct ibuf	*b;
	size_t		 i;
	int		 failed;

	if ((b = msg_open()) == NULL)
		return (NULL);
	failed = n > MSG_TOKENS_MAX || ibuf_add_n32(b, v) == -1;
	for (i = 0; i < n && !failed; i++)
		failed = ibuf_add(b, tokens[i], TOKEN_LEN) == -1;
	return (msg_close(b, failed));
}

int
msg_tokens_decode(struct ibuf *b, uint32_t *v, char (*tokens)[TOKEN_SIZE],
    size_t max)
{
	size_t	 i, n;

	if (ibuf_get_n32(b, v) == -1)
		return (-1);
	n = ibuf_size(b) / TOKEN_LEN;
	if (n > max || n > MSG_TOKENS_MAX || ibuf_size(b) % TOKEN_LEN != 0)
		return (-1);
	for (i = 0; i < n; i++) {
		if (ibuf_get(b, tokens[i], TOKEN_LEN) == -1)
			return (-1);
		tokens[i][TOKEN_LEN] = '\0';
		if (!token_valid(tokens[i]))
			return (-1);
	}
	return ((int)n);
}

struct ibuf *
msg_token_encode(const char *token)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, ibuf_add(b, token, TOKEN_LEN) == -1));
}

int
msg_token_decode(struct ibuf *b, char token[TOKEN_SIZE])
{
	if (ibuf_get(b, token, TOKEN_LEN) == -1)
		return (-1);
	token[TOKEN_LEN] = '\0';
	return (msg_end(b, !token_valid(token)));
}

struct ibuf *
msg_chunk_encode(uint32_t v, const void *p, size_t len)
{
	struct ibuf	*b;

	if ((b = msg_open()) == NULL)
		return (NULL);
	return (msg_close(b, len == 0 || len > MSG_CHUNK_MAX ||
	    ibuf_add_n32(b, v) == -1 || ibuf_add(b, p, len) == -1));
}

int
msg_chunk_decode(struct ibuf *b, uint32_t *v, struct ibuf *view)
{
	if (ibuf_get_n32(b, v) == -1 || ibuf_size(b) == 0 ||
	    ibuf_size(b) > MSG_CHUNK_MAX)
		return (-1);
	return (ibuf_get_ibuf(b, ibuf_size(b), view));
}
