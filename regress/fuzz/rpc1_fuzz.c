/* SPDX-License-Identifier: ISC */

/* Any body into the 1.x decoders, and as an error's text into a reply. */

#include <stdlib.h>
#include <string.h>

#include "rpc1.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rpc_request	 req;
	struct req_vm		 vm;
	struct rpc_hyper	 hyper;
	char			 err[JSON_ERRMAX], *p, *text;
	int64_t			 n;
	size_t			 i;

	if (size >= RPC_HEADER_SIZE && rpc_header_decode(data, &i) == 0 &&
	    i > RPC_BODY_MAX)
		abort();
	if (rpc_request_parse(&req, (const char *)data, size, err) == 0) {
		for (i = RPC_HELLO; i <= RPC_BYE; i++)
			if (rpc_vm_parse(&vm, i, req.data, err) == 0)
				req_vm_free(&vm);
		rpc_streams_parse(&n, req.data, err);
		if (rpc_hyper_parse(&hyper, req.data, err) == 0)
			rpc_hyper_free(&hyper);
		rpc_request_free(&req);
	}
	text = strndup((const char *)data, size);
	p = (char *)rpc_reply(text, "{}", &i);
	if (i > 8 + RPC_REPLY_MAX ||
	    rpc_request_parse(&req, p + 8, i - 8, err) == -1)
		abort();
	rpc_request_free(&req);
	free(p);
	free(text);
	return (0);
}
