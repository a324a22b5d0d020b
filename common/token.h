/* SPDX-License-Identifier: ISC */

/*
 * I/O tokens: 32 bytes from the kernel, base64url with padding, always 44
 * characters.  A token is a bearer secret: whoever shows it is the shim.
 */

#ifndef CCP_TOKEN_H
#define CCP_TOKEN_H

#define TOKEN_LEN	44
#define TOKEN_SIZE	(TOKEN_LEN + 1)		/* with NUL */
#define TOKEN_SHORT	12			/* "abcdefgh..." and NUL */

/* Mint one.  Returns 0, or -1 [errno] if the kernel gave no randomness. */
int	 token_mint(char token[TOKEN_SIZE]);

/* 1 if s has the form of a token, else 0. */
int	 token_valid(const char *s);

/* What a log may show of a token (or of what was given for one). */
void	 token_shorten(const char *s, char out[TOKEN_SHORT]);

#endif /* CCP_TOKEN_H */
