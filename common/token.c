/* SPDX-License-Identifier: ISC */

/*
 * I/O tokens.  Minted by the frontend alone; judged and shortened in every
 * process that meets one.  What is judged was written by an untrusted client.
 */

#include <sys/random.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "token.h"

#define TOKEN_BYTES	32
#define TOKEN_SHOWN	8	/* characters a log may show */

static const char token_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* getrandom(2), whole, so that a signal cannot shorten a secret. */
static int
token_random(unsigned char *p, size_t len)
{
	ssize_t	 n;

	while (len > 0) {
		n = getrandom(p, len, 0);
		if (n == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

int
token_mint(char token[TOKEN_SIZE])
{
	unsigned char	 raw[TOKEN_BYTES + 1];
	unsigned int	 v;
	size_t		 i, o;

	/* One zero byte of padding makes eleven whole groups of three. */
	raw[TOKEN_BYTES] = 0;
	if (token_random(raw, TOKEN_BYTES) == -1)
		return (-1);
	for (i = o = 0; i < sizeof(raw); i += 3) {
		v = (unsigned int)raw[i] << 16 |
		    (unsigned int)raw[i + 1] << 8 | raw[i + 2];
		token[o++] = token_alphabet[v >> 18 & 63];
		token[o++] = token_alphabet[v >> 12 & 63];
		token[o++] = token_alphabet[v >> 6 & 63];
		token[o++] = token_alphabet[v & 63];
	}
	token[TOKEN_LEN - 1] = '=';
	token[TOKEN_LEN] = '\0';
	explicit_bzero(raw, sizeof(raw));
	return (0);
}

int
token_valid(const char *s)
{
	const char	*p;
	size_t		 i;

	for (i = 0; i < TOKEN_LEN - 1; i++) {
		if (s[i] == '\0')
			return (0);
		p = strchr(token_alphabet, s[i]);
		if (p == NULL)
			return (0);
		/* The last character carries four bits; two must be zero. */
		if (i == TOKEN_LEN - 2 && ((p - token_alphabet) & 3) != 0)
			return (0);
	}
	return (s[i] == '=' && s[i + 1] == '\0');
}

void
token_shorten(const char *s, char out[TOKEN_SHORT])
{
	size_t	 i;

	for (i = 0; i < TOKEN_SHOWN && s[i] != '\0'; i++) {
		/* May be any client's bytes: keep a log line one line. */
		out[i] = s[i] > ' ' && s[i] < 0x7f ? s[i] : '?';
	}
	if (s[i] != '\0') {
		memcpy(out + i, "...", 3);
		i += 3;
	}
	out[i] = '\0';
}
