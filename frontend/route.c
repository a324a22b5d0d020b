/* SPDX-License-Identifier: ISC */

/*
 * ccp-frontend: the two routing tables: container id to VM, token to VM.
 * Tokens are minted here and nowhere else, so that a token is known before
 * any client can have it.
 */

#include <stdlib.h>
#include <string.h>

#include "frontend.h"

static int
fe_id_cmp(struct fe_vm *a, struct fe_vm *b)
{
	return (strcmp(a->id, b->id));
}

static int
fe_vmid_cmp(struct fe_vm *a, struct fe_vm *b)
{
	return (a->vmid < b->vmid ? -1 : a->vmid > b->vmid);
}

static int
fe_token_cmp(struct fe_token *a, struct fe_token *b)
{
	return (memcmp(a->token, b->token, TOKEN_LEN));
}

RB_GENERATE(fe_ids, fe_vm, id_entry, fe_id_cmp)
RB_GENERATE(fe_vmids, fe_vm, vmid_entry, fe_vmid_cmp)
RB_GENERATE(fe_tokens, fe_token, entry, fe_token_cmp)

/* The id must be free. */
struct fe_vm *
fe_vm_new(const char *id, uint32_t uid)
{
	struct fe_vm	*vm;

	if ((vm = calloc(1, sizeof(*vm))) == NULL)
		return (NULL);
	if ((vm->user = fe_user_get(uid)) == NULL) {
		free(vm);
		return (NULL);
	}
	vm->uid = uid;
	strlcpy(vm->id, id, sizeof(vm->id));
	do {
		vm->vmid = ++fenv->last_vmid;
	} while (vm->vmid == 0 ||
	    RB_INSERT(fe_vmids, &fenv->vmids, vm) != NULL);
	if (RB_INSERT(fe_ids, &fenv->ids, vm) != NULL)
		fatalx("%s: %s", __func__, id);
	vm->engine.iev_fd = -1;
	TAILQ_INIT(&vm->waiting);
	LIST_INIT(&vm->conns);
	LIST_INIT(&vm->tokens);
	fenv->nvms++;
	return (vm);
}

struct fe_vm *
fe_vm_by_id(const char *id)
{
	struct fe_vm	 key;

	if (strlen(id) > MSG_ID_MAX)
		return (NULL);
	strlcpy(key.id, id, sizeof(key.id));
	return (RB_FIND(fe_ids, &fenv->ids, &key));
}

struct fe_vm *
fe_vm_by_vmid(uint32_t vmid)
{
	struct fe_vm	 key;

	key.vmid = vmid;
	return (RB_FIND(fe_vmids, &fenv->vmids, &key));
}

void
fe_vm_unregister(struct fe_vm *vm)
{
	RB_REMOVE(fe_ids, &fenv->ids, vm);
	if (vm->has_engine)
		imsgev_signal(&vm->engine, MSG_VM_CLOSE);
	vm->state = MSG_STATE_GHOST;
}

void
fe_vm_dead(struct fe_vm *vm)
{
	vm->gone = 1;
	vm->user->ndead++;
	fenv->ndead++;
}

/* Freed when the id is free and nothing of the engine is left. */
void
fe_vm_check(struct fe_vm *vm)
{
	struct fe_token	*t;
	struct fe_conn	*c;

	if (vm->state != MSG_STATE_GHOST || vm->has_engine || !vm->gone)
		return;
	/* Connections that attached to it after its engine died. */
	RB_FOREACH(c, fe_conns, &fenv->conns)
		if (c->dead == vm)
			c->dead = NULL;
	while ((t = LIST_FIRST(&vm->tokens)) != NULL)
		fe_token_free(vm, t->token);
	RB_REMOVE(fe_vmids, &fenv->vmids, vm);
	vm->user->ndead--;
	fenv->ndead--;
	fe_user_put(vm->user);
	fenv->nvms--;
	free(vm);
}

struct fe_vm *
fe_token_vm(const char *token)
{
	struct fe_token	 key, *t;

	if (!token_valid(token))
		return (NULL);
	memcpy(key.token, token, TOKEN_SIZE);
	t = RB_FIND(fe_tokens, &fenv->tokens, &key);
	return (t == NULL ? NULL : t->vm);
}

char (*
fe_token_mint(struct fe_vm *vm, size_t n))[TOKEN_SIZE]
{
	struct fe_token	*t;
	char		(*tokens)[TOKEN_SIZE];
	size_t		 i;

	if (n > REQ_STREAMS_MAX ||
	    (n > 0 && vm->ntokens + n > fenv->conf.limits.tokens_vm) ||
	    fe_share_tokens(vm->user, n))
		return (NULL);
	if (!fe_room() || (tokens = calloc(n + 1, TOKEN_SIZE)) == NULL)
		return (NULL);
	for (i = 0; i < n; i++) {
		if ((t = calloc(1, sizeof(*t))) == NULL ||
		    token_mint(t->token) == -1 ||
		    RB_INSERT(fe_tokens, &fenv->tokens, t) != NULL) {
			free(t);
			while (i > 0)
				fe_token_free(vm, tokens[--i]);
			free(tokens);
			return (NULL);
		}
		t->vm = vm;
		LIST_INSERT_HEAD(&vm->tokens, t, vm_entry);
		vm->ntokens++;
		vm->user->ntokens++;
		fenv->ntokens++;
		memcpy(tokens[i], t->token, TOKEN_SIZE);
	}
	return (tokens);
}

/* An engine can only free its own. */
void
fe_token_free(struct fe_vm *vm, const char *token)
{
	struct fe_token	 key, *t;

	memcpy(key.token, token, TOKEN_SIZE);
	t = RB_FIND(fe_tokens, &fenv->tokens, &key);
	if (t == NULL || t->vm != vm)
		return;
	RB_REMOVE(fe_tokens, &fenv->tokens, t);
	LIST_REMOVE(t, vm_entry);
	vm->ntokens--;
	vm->user->ntokens--;
	fenv->ntokens--;
	free(t);
}

void
fe_tokens_send(struct fe_vm *vm, uint32_t connid, char (*tokens)[TOKEN_SIZE],
    size_t n)
{
	size_t	 chunk;

	for (; n > 0; tokens += chunk, n -= chunk) {
		chunk = n < MSG_TOKENS_MAX ? n : MSG_TOKENS_MAX;
		imsgev_send(&vm->engine, MSG_CONN_TOKENS, -1,
		    msg_tokens_encode(connid, tokens, chunk));
	}
}
