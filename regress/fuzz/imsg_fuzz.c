/* SPDX-License-Identifier: ISC */

/*
 * libFuzzer target: the imsg reader.  The first byte is strict mode, then
 * each chunk has a byte for its length (and in the top two bits what comes
 * along: nothing, a descriptor or a lost one), then the bytes themselves.
 */

#include <sys/types.h>

#include <stdlib.h>
#include <unistd.h>

#include "imsg.h"

int	 LLVMFuzzerTestOneInput(const uint8_t *, size_t);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imsgbuf	 ch;
	struct imsg	 m;
	struct ibuf	 view;
	size_t		 n;
	char		 s[8];
	int		 fd;

	if (size == 0 || imsgbuf_init(&ch, -1) == -1)
		return (0);
	if (*data & 1)
		imsgbuf_set_strict(&ch);
	for (data++, size--; size > 0; data += n, size -= n) {
		n = *data & 0x3f;
		fd = -1;
		if ((*data & 0xc0) == 0x40)
			fd = dup(0);
		else if ((*data & 0xc0) == 0x80)
			fd = IBUF_FD_LOST;
		data++, size--;
		if (n > size)
			n = size;
		msgbuf_feed(ch.w, data, n, fd);
		while (imsgbuf_get(&ch, &m) == 1) {
			if (imsg_get_len(&m) > MAX_IMSGSIZE)
				abort();
			imsg_get_strbuf(&m, s, sizeof(s));
			imsg_get_data(&m, s, 4);
			imsg_forward(&ch, &m);
			if (imsg_get_ibuf(&m, &view) == 0 &&
			    ibuf_size(&view) + IMSG_HEADER_SIZE != m.hdr.len)
				abort();
			imsg_free(&m);
		}
	}
	imsgbuf_clear(&ch);
	if ((fd = dup(0)) > 20)		/* none may be left behind */
		abort();
	close(fd);
	return (0);
}
