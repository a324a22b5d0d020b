/* SPDX-License-Identifier: ISC */

/* Any header into the agent decoders; a good one must survive a trip. */

#include <stdlib.h>

#include "hyper.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t		 p[HYP_TTY_HEADER_SIZE];
	uint64_t	 seq, seq2;
	uint32_t	 code, code2;
	size_t		 n, n2;

	if (size < HYP_TTY_HEADER_SIZE)
		return (0);
	if (hyp_ctl_decode(data, &code, &n) == 0) {
		hyp_ctl_encode(p, code, n);
		if (hyp_ctl_decode(p, &code2, &n2) == -1 || code2 != code ||
		    n2 != n || hyp_name(code) == NULL)
			abort();
	}
	if (hyp_tty_decode(data, &seq, &n) == 0) {
		hyp_tty_encode(p, seq, n);
		if (hyp_tty_decode(p, &seq2, &n2) == -1 || seq2 != seq ||
		    n2 != n)
			abort();
	}
	return (0);
}
