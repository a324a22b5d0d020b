/* SPDX-License-Identifier: ISC */

/*
 * The messages between the processes: each encoding decodes to what it was
 * made of, at the bounds of every field, and nothing else decodes.
 */

#include "msg.h"
#include "test.h"

#define TOK	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define nitems(a)	(sizeof(a) / sizeof((a)[0]))
#define VARIABLE	1	/* some prefixes are messages as well */

/* One message: make it, or read it and make it again; NULL: refused. */
struct codec {
	uint32_t	 type;
	int		 flags;
	struct ibuf	*(*make)(int full);
	struct ibuf	*(*redo)(struct ibuf *);
};

static char	 filled[MSG_PATH_MAX + 2];

/* A string of len bytes, none of them NUL. */
static void
fill(char *s, size_t len)
{
	size_t	 i;

	for (i = 0; i < len; i++)
		s[i] = (char)(1 + i % 255);
	s[len] = '\0';
}

static struct ibuf *
conf_make(int full)
{
	static struct msg_conf	 m;

	m.pod = full;
	m.level = full ? 15 : 0;
	m.events = full;
	m.limits.clients = full ? 2 : 1;
	m.limits.clients_uid = full ? 3 : 1;
	m.limits.clients_vm = full ? 4 : 1;
	m.limits.served = full ? 5 : 1;
	m.limits.served_uid = full ? 6 : 1;
	m.limits.tokens = full ? 7 : 1;
	m.limits.tokens_uid = full ? 8 : 1;
	m.limits.tokens_vm = full ? UINT32_MAX : 1;
	m.limits.vms = full ? 9 : 1;
	m.limits.vms_uid = full ? 10 : 1;
	m.limits.root = full;
	fill(m.path, full ? MSG_PATH_MAX : 0);
	return (msg_conf_encode(&m));
}

static struct ibuf *
conf_redo(struct ibuf *b)
{
	struct msg_conf	 m;

	return (msg_conf_decode(b, &m) == -1 ? NULL : msg_conf_encode(&m));
}

static struct ibuf *
rule_make(int full)
{
	struct policy_rule	 r;

	memset(&r, 0, sizeof(r));
	r.ops = POLICY_REGISTER;
	if (full) {
		r.allow = r.has_uid = r.has_gid = 1;
		r.ops = POLICY_ALL;
		r.uid = UINT32_MAX;
		r.gid = 0x01020304;
	}
	return (msg_rule_encode(&r));
}

static struct ibuf *
rule_redo(struct ibuf *b)
{
	struct policy_rule	 r;

	return (msg_rule_decode(b, &r) == -1 ? NULL : msg_rule_encode(&r));
}

static struct ibuf *
vm_open_make(int full)
{
	static struct msg_vm_open	 m;

	m.vmid = full ? UINT32_MAX : 0;
	m.proto = full ? MSG_PROTO_MAX - 1 : 0;
	fill(m.id, full ? MSG_ID_MAX : 0);
	fill(m.ctl, full ? MSG_SUN_MAX : 0);
	fill(m.io, full ? MSG_SUN_MAX : 0);
	fill(m.console, full ? MSG_SUN_MAX : 0);
	return (msg_vm_open_encode(&m));
}

static struct ibuf *
vm_open_redo(struct ibuf *b)
{
	struct msg_vm_open	 m;

	return (msg_vm_open_decode(b, &m) == -1 ? NULL :
	    msg_vm_open_encode(&m));
}

static struct ibuf *
vm_failed_make(int full)
{
	struct msg_vm_failed	 m = { 0, 0, 0 };

	if (full) {
		m.vmid = m.errnum = UINT32_MAX;
		m.step = MSG_STEP_MAX - 1;
	}
	return (msg_vm_failed_encode(&m));
}

static struct ibuf *
vm_failed_redo(struct ibuf *b)
{
	struct msg_vm_failed	 m;

	return (msg_vm_failed_decode(b, &m) == -1 ? NULL :
	    msg_vm_failed_encode(&m));
}

static struct ibuf *
vm_conf_make(int full)
{
	static struct msg_vm_conf	 m;

	memset(&m, 0, sizeof(m));
	m.out_shim = m.out_vm = 1;
	if (full) {
		m.vmid = UINT32_MAX;
		m.level = 15;
		m.events = 1;
		m.out_shim = 7;
		m.out_vm = UINT32_MAX;
		m.proto = MSG_PROTO_MAX - 1;
		m.guest = MSG_GUEST_MAX - 1;
		m.timeouts.shim = 1;
		m.timeouts.process = 2;
		m.timeouts.stdin_ = 3;
		m.timeouts.ready = 4;
		m.timeouts.agent = 5;
		m.timeouts.destroy = UINT32_MAX;
		fill(m.id, MSG_ID_MAX);
		fill(m.ctl, MSG_SUN_MAX);
		fill(m.path, MSG_PATH_MAX);
	}
	return (msg_vm_conf_encode(&m));
}

static struct ibuf *
vm_conf_redo(struct ibuf *b)
{
	struct msg_vm_conf	 m;

	return (msg_vm_conf_decode(b, &m) == -1 ? NULL :
	    msg_vm_conf_encode(&m));
}

static struct ibuf *
handover_make(int full)
{
	struct msg_handover	 m;

	memset(&m, 0, sizeof(m));
	if (full) {
		m.connid = UINT32_MAX;
		m.client = 1;
		m.uid = 2;
		m.gid = 3;
		m.pid = 4;
		m.reqlen = 5;
		m.ntokens = UINT32_MAX;
	}
	return (msg_handover_encode(&m));
}

static struct ibuf *
handover_redo(struct ibuf *b)
{
	struct msg_handover	 m;

	return (msg_handover_decode(b, &m) == -1 ? NULL :
	    msg_handover_encode(&m));
}

static struct ibuf *
ctl_daemon_make(int full)
{
	static struct msg_ctl_daemon	 m;

	memset(&m, 0, sizeof(m));
	if (full) {
		m.started = UINT64_MAX;
		m.pid = 1;
		m.accepted = 2;
		m.unrouted = 3;
		m.routed = 4;
		m.nvms = 5;
		m.ntokens = UINT32_MAX;
		m.pod = UINT16_MAX;
		fill(m.version, MSG_TEXT_MAX);
		fill(m.path, MSG_PATH_MAX);
	}
	return (msg_ctl_daemon_encode(&m));
}

static struct ibuf *
ctl_daemon_redo(struct ibuf *b)
{
	struct msg_ctl_daemon	 m;

	return (msg_ctl_daemon_decode(b, &m) == -1 ? NULL :
	    msg_ctl_daemon_encode(&m));
}

static struct ibuf *
ctl_vm_make(int full)
{
	static struct msg_ctl_vm	 m;

	memset(&m, 0, sizeof(m));
	if (full) {
		m.vmid = UINT32_MAX;
		m.state = MSG_STATE_MAX - 1;
		m.engine = 1;
		m.uid = 2;
		m.clients = 3;
		m.tokens = 4;
		fill(m.id, MSG_ID_MAX);
	}
	return (msg_ctl_vm_encode(&m));
}

static struct ibuf *
ctl_vm_redo(struct ibuf *b)
{
	struct msg_ctl_vm	 m;

	return (msg_ctl_vm_decode(b, &m) == -1 ? NULL :
	    msg_ctl_vm_encode(&m));
}

#define FULL(name)	m.name = full ? INT64_MAX : 0;

static void
vm_stats_fill(struct msg_vm_stats *s, int full)
{
	struct msg_vm_stats	 m;

	memset(&m, 0, sizeof(m));
	if (full) {
		m.dialect = MSG_DIALECT_MAX - 1;
		m.protos = (1 << MSG_PROTO_MAX) - 1;
	}
	MSG_VM_NUMBERS(FULL)
	*s = m;
}

static void
daemon_stats_fill(struct msg_daemon_stats *s, int full)
{
	struct msg_daemon_stats	 m;

	memset(&m, 0, sizeof(m));
	if (full)
		m.ksm = MSG_KSM_MAX - 1;
	MSG_DAEMON_NUMBERS(FULL)
	*s = m;
}

static struct ibuf *
vm_stats_make(int full)
{
	struct msg_vm_stats	 m;

	vm_stats_fill(&m, full);
	return (msg_vm_stats_encode(&m));
}

static struct ibuf *
vm_stats_redo(struct ibuf *b)
{
	struct msg_vm_stats	 m;

	return (msg_vm_stats_decode(b, &m) == -1 ? NULL :
	    msg_vm_stats_encode(&m));
}

static struct ibuf *
daemon_stats_make(int full)
{
	struct msg_daemon_stats	 m;

	daemon_stats_fill(&m, full);
	return (msg_daemon_stats_encode(&m));
}

static struct ibuf *
daemon_stats_redo(struct ibuf *b)
{
	struct msg_daemon_stats	 m;

	return (msg_daemon_stats_decode(b, &m) == -1 ? NULL :
	    msg_daemon_stats_encode(&m));
}

static struct ibuf *
ctl_stats_make(int full)
{
	struct msg_ctl_stats	 m;

	m.vmid = m.age = full ? UINT32_MAX : 0;
	m.answered = full ? MSG_ANSWERED_MAX - 1 : 0;
	vm_stats_fill(&m.stats, full);
	return (msg_ctl_stats_encode(&m));
}

static struct ibuf *
ctl_stats_redo(struct ibuf *b)
{
	struct msg_ctl_stats	 m;

	return (msg_ctl_stats_decode(b, &m) == -1 ? NULL :
	    msg_ctl_stats_encode(&m));
}

static struct ibuf *
ctl_parent_make(int full)
{
	struct msg_ctl_parent	 m;

	m.age = full ? UINT32_MAX : 0;
	m.answered = full ? MSG_ANSWERED_MAX - 1 : 0;
	daemon_stats_fill(&m.stats, full);
	return (msg_ctl_parent_encode(&m));
}

static struct ibuf *
ctl_parent_redo(struct ibuf *b)
{
	struct msg_ctl_parent	 m;

	return (msg_ctl_parent_decode(b, &m) == -1 ? NULL :
	    msg_ctl_parent_encode(&m));
}

static struct ibuf *
ctl_limits_make(int full)
{
	struct msg_ctl_limits	 m;

#define FULL32(name)	m.name = full ? UINT32_MAX : 0;
	MSG_LIMIT_NUMBERS(FULL32)
	return (msg_ctl_limits_encode(&m));
}

static struct ibuf *
ctl_uid_make(int full)
{
	struct msg_ctl_uid	 m;

	MSG_UID_NUMBERS(FULL32)
	return (msg_ctl_uid_encode(&m));
}

static struct ibuf *
ctl_uid_redo(struct ibuf *b)
{
	struct msg_ctl_uid	 m;

	return (msg_ctl_uid_decode(b, &m) == -1 ? NULL :
	    msg_ctl_uid_encode(&m));
}

static struct ibuf *
ctl_limits_redo(struct ibuf *b)
{
	struct msg_ctl_limits	 m;

	return (msg_ctl_limits_decode(b, &m) == -1 ? NULL :
	    msg_ctl_limits_encode(&m));
}

static struct ibuf *
u32_make(int full)
{
	return (msg_u32_encode(full ? UINT32_MAX : 0));
}

static struct ibuf *
u32_redo(struct ibuf *b)
{
	uint32_t	 v;

	return (msg_u32_decode(b, &v) == -1 ? NULL : msg_u32_encode(v));
}

static struct ibuf *
u32u32_make(int full)
{
	return (msg_u32u32_encode(full ? UINT32_MAX : 0, full ? 7 : 0));
}

static struct ibuf *
u32u32_redo(struct ibuf *b)
{
	uint32_t	 v, w;

	return (msg_u32u32_decode(b, &v, &w) == -1 ? NULL :
	    msg_u32u32_encode(v, w));
}

static struct ibuf *
u32u8_make(int full)
{
	return (msg_u32u8_encode(full ? UINT32_MAX : 0,
	    full ? MSG_ANSWER_MAX - 1 : 0));
}

static struct ibuf *
u32u8_redo(struct ibuf *b)
{
	uint32_t	 v;
	int		 w;

	return (msg_u32u8_decode(b, &v, &w, MSG_ANSWER_MAX) == -1 ? NULL :
	    msg_u32u8_encode(v, w));
}

static struct ibuf *
u32str_make(int full)
{
	fill(filled, full ? MSG_ID_MAX : 0);
	return (msg_u32str_encode(full ? UINT32_MAX : 0, filled));
}

static struct ibuf *
u32str_redo(struct ibuf *b)
{
	char		 s[MSG_ID_MAX + 1];
	uint32_t	 v;

	return (msg_u32str_decode(b, &v, s, sizeof(s)) == -1 ? NULL :
	    msg_u32str_encode(v, s));
}

static struct ibuf *
u32text_make(int full)
{
	fill(filled, full ? MSG_TEXT_MAX : 0);
	return (msg_u32str_encode(full ? UINT32_MAX : 0, filled));
}

static struct ibuf *
u32text_redo(struct ibuf *b)
{
	char		 s[MSG_TEXT_MAX + 1];
	uint32_t	 v;

	return (msg_u32str_decode(b, &v, s, sizeof(s)) == -1 ? NULL :
	    msg_u32str_encode(v, s));
}

static struct ibuf *
text_make(int full)
{
	fill(filled, full ? MSG_TEXT_MAX : 0);
	return (msg_text_encode(filled));
}

static struct ibuf *
text_redo(struct ibuf *b)
{
	char	 s[MSG_TEXT_MAX + 1];

	return (msg_text_decode(b, s, sizeof(s)) == -1 ? NULL :
	    msg_text_encode(s));
}

static struct ibuf *
u8_make(int full)
{
	return (msg_u8_encode(full ? MSG_LISTEN_CONTROL : 0));
}

static struct ibuf *
u8_redo(struct ibuf *b)
{
	int	 v;

	return (msg_u8_decode(b, &v, MSG_LISTEN_CONTROL + 1) == -1 ? NULL :
	    msg_u8_encode(v));
}

static struct ibuf *
tokens_make(int full)
{
	static char	 t[MSG_TOKENS_MAX][TOKEN_SIZE];
	size_t		 i;

	for (i = 0; i < MSG_TOKENS_MAX; i++)
		memcpy(t[i], TOK, TOKEN_SIZE);
	return (msg_tokens_encode(full ? UINT32_MAX : 0, t,
	    full ? MSG_TOKENS_MAX : 1));
}

static struct ibuf *
tokens_redo(struct ibuf *b)
{
	static char	 t[MSG_TOKENS_MAX][TOKEN_SIZE];
	uint32_t	 v;
	int		 n;

	n = msg_tokens_decode(b, &v, t, MSG_TOKENS_MAX);
	return (n == -1 ? NULL : msg_tokens_encode(v, t, (size_t)n));
}

static struct ibuf *
token_make(int full)
{
	(void)full;
	return (msg_token_encode(TOK));
}

static struct ibuf *
token_redo(struct ibuf *b)
{
	char	 t[TOKEN_SIZE];

	return (msg_token_decode(b, t) == -1 ? NULL : msg_token_encode(t));
}

static struct ibuf *
chunk_make(int full)
{
	static char	 data[MSG_CHUNK_MAX];

	memset(data, 'c', sizeof(data));
	return (msg_chunk_encode(full ? UINT32_MAX : 0, data,
	    full ? sizeof(data) : 1));
}

static struct ibuf *
chunk_redo(struct ibuf *b)
{
	struct ibuf	 view;
	uint32_t	 v;

	return (msg_chunk_decode(b, &v, &view) == -1 ? NULL :
	    msg_chunk_encode(v, ibuf_data(&view), ibuf_size(&view)));
}

static const struct codec	 codecs[] = {
	{ MSG_SETUP_CONF, 0, conf_make, conf_redo },
	{ MSG_SETUP_LISTEN, 0, u8_make, u8_redo },
	{ MSG_SETUP_READY, 0, u32_make, u32_redo },
	{ MSG_SETUP_RULE, 0, rule_make, rule_redo },
	{ MSG_SETUP_POLICY, 0, u32u8_make, u32u8_redo },
	{ MSG_SETUP_BEGIN, 0, u32_make, u32_redo },
	{ MSG_SETUP_COMMIT, 0, u32_make, u32_redo },
	{ MSG_SETUP_ACK, 0, u32u8_make, u32u8_redo },
	{ MSG_SETUP_SWITCH, 0, u32_make, u32_redo },
	{ MSG_SETUP_ABORT, 0, u32_make, u32_redo },
	{ MSG_SETUP_ASK, 0, u32_make, u32_redo },
	{ MSG_SETUP_TELL, 0, u32text_make, u32text_redo },
	{ MSG_SETUP_DONE, 0, u32u8_make, u32u8_redo },
	{ MSG_VM_OPEN, 0, vm_open_make, vm_open_redo },
	{ MSG_VM_OPENED, 0, u32u32_make, u32u32_redo },
	{ MSG_VM_FAILED, 0, vm_failed_make, vm_failed_redo },
	{ MSG_VM_CONF, 0, vm_conf_make, vm_conf_redo },
	{ MSG_VM_ERROR, 0, text_make, text_redo },
	{ MSG_CONN_HANDOVER, 0, handover_make, handover_redo },
	{ MSG_CONN_REQUEST, VARIABLE, chunk_make, chunk_redo },
	{ MSG_CONN_TOKENS, VARIABLE, tokens_make, tokens_redo },
	{ MSG_ASK_ID, 0, u32str_make, u32str_redo },
	{ MSG_ASK_ANSWER, 0, u32u8_make, u32u8_redo },
	{ MSG_TOKEN_FREED, 0, token_make, token_redo },
	{ MSG_CTL_DAEMON, 0, ctl_daemon_make, ctl_daemon_redo },
	{ MSG_CTL_VM, 0, ctl_vm_make, ctl_vm_redo },
	{ MSG_CTL_TEXT, 0, text_make, text_redo },
	{ MSG_CTL_RESULT, 0, u8_make, u8_redo },
	{ MSG_VM_STATS, 0, vm_stats_make, vm_stats_redo },
	{ MSG_DAEMON_STATS, 0, daemon_stats_make, daemon_stats_redo },
	{ MSG_CTL_LIMITS, 0, ctl_limits_make, ctl_limits_redo },
	{ MSG_CTL_PARENT, 0, ctl_parent_make, ctl_parent_redo },
	{ MSG_CTL_VM_STATS, 0, ctl_stats_make, ctl_stats_redo },
	{ MSG_CTL_UID, 0, ctl_uid_make, ctl_uid_redo }
};

/* What is made of the bytes: 1 the same, 0 refused, -1 something else. */
static int
redo(const struct codec *c, const uint8_t *p, size_t len)
{
	struct ibuf	 view, *b;
	uint8_t		*copy;
	int		 same;

	/* In memory of just that size, for the sanitizers. */
	copy = malloc(len > 0 ? len : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	ibuf_from_buffer(&view, copy, len);
	same = 0;
	if ((b = c->redo(&view)) != NULL) {
		same = ibuf_size(b) == len && memcmp(ibuf_data(b), p,
		    len) == 0 ? 1 : -1;
		ibuf_free(b);
	}
	free(copy);
	return (same);
}

static void
test_codec(const struct codec *c, int full)
{
	const struct msg_info	*mi = msg_info(c->type);
	struct ibuf		*b;
	uint8_t			 bytes[MAX_IMSGSIZE + 1];
	size_t			 i, len;

	b = c->make(full);
	CHECK(b != NULL && mi != NULL);
	if (b == NULL || mi == NULL)
		return;
	len = ibuf_size(b);
	memcpy(bytes, ibuf_data(b), len);
	bytes[len] = 0;
	ibuf_free(b);
	CHECK(len >= mi->min && len <= mi->max);
	CHECK(len <= MAX_IMSGSIZE - IMSG_HEADER_SIZE);
	if (!full)
		CHECK(len == mi->min);
	CHECK(redo(c, bytes, len) == 1);
	CHECK(redo(c, bytes, len + 1) != -1);
	if (c->flags & VARIABLE) {
		CHECK(redo(c, bytes, 3) == 0);
		return;
	}
	CHECK(redo(c, bytes, len + 1) == 0);
	for (i = 0; i < len; i++)
		CHECK(redo(c, bytes, i) == 0);
}

static void
test_pairs(void)
{
	static char	 names[nitems(codecs)][80];
	size_t		 i;

	for (i = 0; i < nitems(codecs); i++) {
		snprintf(names[i], sizeof(names[i]), "%s: round trip, no "
		    "prefix, nothing trailing", msg_name(codecs[i].type));
		test_begin(names[i]);
		test_codec(&codecs[i], 0);
		test_codec(&codecs[i], 1);
	}
}

/* Any byte of an encoding may be wrong: it is refused, or means that. */
static void
test_flipped(void)
{
	struct ibuf	*b;
	uint8_t		 bytes[MAX_IMSGSIZE];
	size_t		 i, j, len;
	unsigned int	 bit;

	test_begin("a wrong bit is refused or read as what it says");
	for (i = 0; i < nitems(codecs); i++) {
		b = codecs[i].make(1);
		len = ibuf_size(b);
		memcpy(bytes, ibuf_data(b), len);
		ibuf_free(b);
		for (j = 0; j < len && j < 400; j++)
			for (bit = 0; bit < 8; bit++) {
				bytes[j] ^= (uint8_t)(1U << bit);
				CHECK(redo(&codecs[i], bytes, len) != -1);
				bytes[j] ^= (uint8_t)(1U << bit);
			}
	}
}

static void
test_strings(void)
{
	static char	 longer[MSG_TEXT_MAX + 100];
	struct ibuf	*b, view;
	uint8_t		*p;
	char		 s[MSG_TEXT_MAX + 1];
	uint32_t	 v;

	test_begin("strings: NUL, too long, longer than what is there");
	b = msg_u32str_encode(1, "abc");
	CHECK(ibuf_size(b) == 9);
	p = ibuf_data(b);
	ibuf_from_buffer(&view, p, 9);
	CHECK(msg_u32str_decode(&view, &v, s, 4) == 0);
	CHECK(v == 1 && strcmp(s, "abc") == 0);
	ibuf_from_buffer(&view, p, 9);
	CHECK(msg_u32str_decode(&view, &v, s, 3) == -1);
	p[7] = '\0';
	ibuf_from_buffer(&view, p, 9);
	CHECK(msg_u32str_decode(&view, &v, s, sizeof(s)) == -1);
	p[7] = 'b';
	p[5] = 4;
	ibuf_from_buffer(&view, p, 9);
	CHECK(msg_u32str_decode(&view, &v, s, sizeof(s)) == -1);
	p[5] = 2;
	ibuf_from_buffer(&view, p, 9);
	CHECK(msg_u32str_decode(&view, &v, s, sizeof(s)) == -1);
	ibuf_free(b);

	memset(longer, 'x', sizeof(longer) - 1);
	b = msg_text_encode(longer);
	CHECK(msg_text_decode(b, s, sizeof(s)) == 0);
	CHECK(strlen(s) == MSG_TEXT_MAX);
	ibuf_free(b);
}

static void
test_limits(void)
{
	static char	 t[MSG_TOKENS_MAX + 1][TOKEN_SIZE];
	static char	 data[MSG_CHUNK_MAX + 1];
	struct ibuf	*b;
	uint32_t	 v;
	size_t		 i;
	int		 n;

	test_begin("limits of bytes, tokens and chunks");
	b = msg_u8_encode(2);
	CHECK(msg_u8_decode(b, &n, 2) == -1);
	ibuf_free(b);
	b = msg_u32u8_encode(1, MSG_ANSWER_MAX);
	CHECK(msg_u32u8_decode(b, &v, &n, MSG_ANSWER_MAX) == -1);
	ibuf_free(b);
	for (i = 0; i <= MSG_TOKENS_MAX; i++)
		memcpy(t[i], TOK, TOKEN_SIZE);
	CHECK(msg_tokens_encode(1, t, MSG_TOKENS_MAX + 1) == NULL);
	b = msg_tokens_encode(1, t, 3);
	CHECK(msg_tokens_decode(b, &v, t, 2) == -1);
	ibuf_free(b);
	t[1][0] = '+';
	b = msg_tokens_encode(1, t, 3);
	CHECK(msg_tokens_decode(b, &v, t, 3) == -1);
	ibuf_free(b);
	CHECK(msg_chunk_encode(1, data, 0) == NULL);
	CHECK(msg_chunk_encode(1, data, MSG_CHUNK_MAX + 1) == NULL);
}

/* An engine that lies says nothing that cannot be shown. */
static void
test_numbers(void)
{
	struct msg_vm_stats	 s;
	struct ibuf		*b;

	test_begin("numbers of 2^63 and more, agents and protocols unknown");
	vm_stats_fill(&s, 1);
	s.dropped++;
	b = msg_vm_stats_encode(&s);
	CHECK(msg_vm_stats_decode(b, &s) == -1);
	ibuf_free(b);
	vm_stats_fill(&s, 0);
	s.dialect = MSG_DIALECT_MAX;
	b = msg_vm_stats_encode(&s);
	CHECK(msg_vm_stats_decode(b, &s) == -1);
	ibuf_free(b);
	vm_stats_fill(&s, 0);
	s.protos = 1 << MSG_PROTO_MAX;
	b = msg_vm_stats_encode(&s);
	CHECK(msg_vm_stats_decode(b, &s) == -1);
	ibuf_free(b);
	CHECK(strcmp(msg_dialect_name(MSG_DIALECT_HYPERSTART),
	    "hyperstart") == 0);
	CHECK(strcmp(msg_dialect_name(-1), "unknown") == 0);
	CHECK(strcmp(msg_dialect_name(MSG_DIALECT_MAX), "unknown") == 0);
	CHECK(strcmp(msg_ksm_name(MSG_KSM_SLOW), "slow") == 0);
	CHECK(strcmp(msg_ksm_name(MSG_KSM_MAX), "untouched") == 0);
}

static void
test_names(void)
{
	test_begin("every message has limits, and a name");
	CHECK(msg_info(0) == NULL && msg_info(UINT32_MAX) == NULL);
	CHECK(strcmp(msg_name(0), "unknown") == 0);
	CHECK(strcmp(msg_name(MSG_VM_UP), "VM_UP") == 0);
#define MSG(name, number, min, max, fd)					\
	CHECK(msg_info(number) != NULL && msg_info(number)->type == number); \
	CHECK((min) <= (max) && (max) <= MAX_IMSGSIZE - IMSG_HEADER_SIZE);
#include "msg.def"
#undef MSG
	CHECK(strcmp(msg_vm_state_name(MSG_STATE_UP), "up") == 0);
	CHECK(strcmp(msg_vm_state_name(-1), "unknown") == 0);
	CHECK(strcmp(msg_vm_state_name(MSG_STATE_MAX), "unknown") == 0);
}

int
main(void)
{
	test_pairs();
	test_flipped();
	test_strings();
	test_limits();
	test_numbers();
	test_names();
	return (test_end());
}
