/* SPDX-License-Identifier: ISC */

/* Tokens: their form, that no two are alike, and what a log may show. */

#include <string.h>

#include "test.h"
#include "token.h"

#define SAMPLE	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define MINTED	1000

static void
test_mint(void)
{
	static char	 t[MINTED][TOKEN_SIZE];
	unsigned char	 seen[256];
	size_t		 i, j, n;

	test_begin("3.x section 4.1: 44 characters of padded base64url");
	memset(seen, 0, sizeof(seen));
	memset(t, 'X', sizeof(t));
	for (i = 0; i < MINTED; i++) {
		CHECK(token_mint(t[i]) == 0);
		CHECK(t[i][TOKEN_LEN] == '\0');
		CHECK(strlen(t[i]) == TOKEN_LEN);
		CHECK(t[i][TOKEN_LEN - 1] == '=');
		CHECK(token_valid(t[i]));
		for (j = 0; j < TOKEN_LEN - 1; j++)
			seen[(unsigned char)t[i][j]] = 1;
	}

	test_begin("3.x section 4.1: no two tokens are alike");
	for (i = 0; i < MINTED; i++) {
		for (j = 0; j < i; j++)
			CHECK(strcmp(t[i], t[j]) != 0);
	}

	test_begin("3.x section 4.1: the whole alphabet occurs, no more");
	for (i = n = 0; i < sizeof(seen); i++)
		n += seen[i];
	CHECK(n == 64);
	CHECK(seen['-'] && seen['_'] && !seen['+'] && !seen['/']);
}

static void
test_valid(void)
{
	char	 s[TOKEN_SIZE + 1];
	size_t	 i;

	test_begin("3.x section 4.1: form of a token");
	CHECK(token_valid(SAMPLE));
	CHECK(!token_valid(""));
	CHECK(!token_valid("nope"));
	CHECK(!token_valid("="));
	CHECK(!token_valid(SAMPLE "="));
	CHECK(!token_valid(SAMPLE "A"));

	test_begin("3.x section 4.1: a wrong character at each place");
	for (i = 0; i < TOKEN_LEN; i++) {
		memcpy(s, SAMPLE, sizeof(SAMPLE));
		s[i] = '+';
		CHECK(!token_valid(s));
		s[i] = '\xc3';
		CHECK(!token_valid(s));
		s[i] = '\0';
		CHECK(!token_valid(s));
		s[i] = '=';
		CHECK(token_valid(s) == (i == TOKEN_LEN - 1));
	}

	test_begin("3.x section 4.1: bits behind the last byte are zero");
	memcpy(s, SAMPLE, sizeof(SAMPLE));
	s[TOKEN_LEN - 2] = '9';
	CHECK(!token_valid(s));
}

static void
test_shorten(void)
{
	char	 out[TOKEN_SHORT];

	test_begin("3.x section 1.9: a log shows the beginning only");
	token_shorten(SAMPLE, out);
	CHECK(strcmp(out, "AAECAwQF...") == 0);
	token_shorten("", out);
	CHECK(strcmp(out, "") == 0);
	token_shorten("nope", out);
	CHECK(strcmp(out, "nope") == 0);
	token_shorten("12345678", out);
	CHECK(strcmp(out, "12345678") == 0);
	token_shorten("123456789", out);
	CHECK(strcmp(out, "12345678...") == 0);

	test_begin("3.x section 1.9: what was given for a token is tamed");
	token_shorten("a\nb\x1b\xc3 \x7f", out);
	CHECK(strcmp(out, "a?b????") == 0);
}

int
main(void)
{
	test_mint();
	test_valid();
	test_shorten();
	return (test_end());
}
