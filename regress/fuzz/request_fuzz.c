/* SPDX-License-Identifier: ISC */

/* Any payload into every decoder of a 3.x request. */

#include <stdlib.h>

#include "frame.h"
#include "request.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int	 ops[] = {
		FRM_REGISTERVM, FRM_ATTACHVM, FRM_UNREGISTERVM
	};
	const char		*p = (const char *)data;
	char			 err[JSON_ERRMAX], *token;
	struct req_vm		 vm;
	struct req_hyper	 hyper;
	struct req_signal	 sig;
	struct req_log		 entry;
	size_t			 i;

	for (i = 0; i < 3; i++) {
		if (req_vm_parse(&vm, ops[i], p, size, err) == 0)
			req_vm_free(&vm);
	}
	if (req_hyper_parse(&hyper, p, size, err) == 0)
		req_hyper_free(&hyper);
	if (req_token_parse(&token, p, size, err) == 0)
		free(token);
	req_signal_parse(&sig, p, size, err);
	if (req_log_parse(&entry, p, size, err) == 0)
		req_log_free(&entry);
	return (0);
}
