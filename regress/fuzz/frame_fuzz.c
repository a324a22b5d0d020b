/* SPDX-License-Identifier: ISC */

/* Any header into the 3.x frame decoder; a good one must survive a trip. */

#include <stdlib.h>
#include <string.h>

#include "frame.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frm_header	 a, b;
	uint8_t			 p[FRM_HEADER_SIZE];
	char			 text[128];
	enum frm_error		 error;

	if (size < FRM_HEADER_SIZE)
		return (0);
	error = frm_decode(data, &a);
	frm_strerror(error, &a, text, sizeof(text));
	if (error != FRM_OK)
		return (0);
	if (a.hdrlen < FRM_HEADER_SIZE || a.hdrlen > FRM_HEADER_MAX)
		abort();
	frm_encode(p, (enum frm_type)a.type, a.opcode, a.in_error,
	    (uint32_t)a.len);
	if (frm_decode(p, &b) != FRM_OK || b.type != a.type ||
	    b.opcode != a.opcode || b.in_error != a.in_error ||
	    b.len != a.len || b.hdrlen != FRM_HEADER_SIZE)
		abort();
	return (0);
}
