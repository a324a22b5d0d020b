/* SPDX-License-Identifier: ISC */

/*
 * JSON text: what is accepted, the error texts, the extents of members, the
 * escaping, and the edit of sequence numbers with the ways to smuggle one.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "test.h"

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

static struct json_slice
slice(const char *s)
{
	struct json_slice	 v = { s, strlen(s) };

	return (v);
}

static int
same(struct json_slice v, const char *s)
{
	return (v.len == strlen(s) && memcmp(v.p, s, v.len) == 0);
}

/* The text must be refused, with this error. */
static int
refused(const char *text, const char *want)
{
	char	 err[JSON_ERRMAX] = "";
	json_t	*j;

	j = json_parse(text, strlen(text), err);
	if (j == NULL && strcmp(err, want) == 0)
		return (1);
	fprintf(stderr, "%s: %s, want %s\n", text,
	    j == NULL ? err : "accepted", want);
	json_decref(j);
	return (0);
}

static int
accepted(const char *text)
{
	char	 err[JSON_ERRMAX] = "";
	json_t	*j;

	if ((j = json_parse(text, strlen(text), err)) == NULL) {
		fprintf(stderr, "%s: %s\n", text, err);
		return (0);
	}
	json_decref(j);
	return (1);
}

static void
test_errors(void)
{
	static const struct {
		const char	*what;
		const char	*text;
		const char	*error;
	} e[] = {
	{ "empty payload", "", "unexpected end of JSON input" },
	{ "white space only", " \t\r\n", "unexpected end of JSON input" },
	{ "end in an object", "{", "unexpected end of JSON input" },
	{ "end behind a name", "{\"a\"", "unexpected end of JSON input" },
	{ "end behind a colon", "{\"a\":", "unexpected end of JSON input" },
	{ "end behind a member", "{\"a\":1", "unexpected end of JSON input" },
	{ "end behind a comma", "{\"a\":1,", "unexpected end of JSON input" },
	{ "end in an array", "[1,", "unexpected end of JSON input" },
	{ "end in a string", "\"abc", "unexpected end of JSON input" },
	{ "end in an escape", "\"\\", "unexpected end of JSON input" },
	{ "end in \\u", "\"\\u12", "unexpected end of JSON input" },
	{ "end in a literal", "tru", "unexpected end of JSON input" },
	{ "end in a number", "-", "unexpected end of JSON input" },
	{ "end behind a point", "1.", "unexpected end of JSON input" },
	{ "end in an exponent", "1e+", "unexpected end of JSON input" },
	{ "garbage byte", "x",
	    "invalid character 'x' looking for beginning of value" },
	{ "garbage in a member", "{\"a\":]",
	    "invalid character ']' looking for beginning of value" },
	{ "comma before ]", "[1,]",
	    "invalid character ']' looking for beginning of value" },
	{ "unquoted key", "{a:1}", "invalid character 'a' "
	    "looking for beginning of object key string" },
	{ "comma before }", "{\"a\":1,}", "invalid character '}' "
	    "looking for beginning of object key string" },
	{ "no colon", "{\"a\" 1}",
	    "invalid character '1' after object key" },
	{ "no comma in an object", "{\"a\":1 \"b\":2}",
	    "invalid character '\"' after object key:value pair" },
	{ "wrong bracket", "{\"a\":1]",
	    "invalid character ']' after object key:value pair" },
	{ "no comma in an array", "[1 2]",
	    "invalid character '2' after array element" },
	{ "wrong brace", "[1}",
	    "invalid character '}' after array element" },
	{ "trailing data", "{}x",
	    "invalid character 'x' after top-level value" },
	{ "trailing value", "{} {}",
	    "invalid character '{' after top-level value" },
	{ "leading zero", "01",
	    "invalid character '1' after top-level value" },
	{ "newline in a string", "\"a\nb\"",
	    "invalid character '\\n' in string literal" },
	{ "control in a string", "\"\x01\"",
	    "invalid character '\\x01' in string literal" },
	{ "bad escape", "\"\\q\"",
	    "invalid character 'q' in string escape code" },
	{ "bad \\u", "\"\\u00g0\"", "invalid character 'g' in \\u "
	    "hexadecimal character escape" },
	{ "bad true (r)", "tXue",
	    "invalid character 'X' in literal true (expecting 'r')" },
	{ "bad true (u)", "trX",
	    "invalid character 'X' in literal true (expecting 'u')" },
	{ "bad true (e)", "truX",
	    "invalid character 'X' in literal true (expecting 'e')" },
	{ "bad false (a)", "fX",
	    "invalid character 'X' in literal false (expecting 'a')" },
	{ "bad false (l)", "faX",
	    "invalid character 'X' in literal false (expecting 'l')" },
	{ "bad false (s)", "falX",
	    "invalid character 'X' in literal false (expecting 's')" },
	{ "bad false (e)", "falsX",
	    "invalid character 'X' in literal false (expecting 'e')" },
	{ "bad null (u)", "nX",
	    "invalid character 'X' in literal null (expecting 'u')" },
	{ "bad null (l)", "nuX",
	    "invalid character 'X' in literal null (expecting 'l')" },
	{ "bad null (second l)", "nulX",
	    "invalid character 'X' in literal null (expecting 'l')" },
	{ "minus alone", "-x",
	    "invalid character 'x' in numeric literal" },
	{ "no fraction", "1.x", "invalid character 'x' "
	    "after decimal point in numeric literal" },
	{ "no exponent", "1ex", "invalid character 'x' "
	    "in exponent of numeric literal" },
	{ "plus sign", "+1",
	    "invalid character '+' looking for beginning of value" },
	{ "quote quoted", "'",
	    "invalid character '\\'' looking for beginning of value" },
	{ "double quote not quoted", "{}\"",
	    "invalid character '\"' after top-level value" },
	{ "backslash quoted", "\\",
	    "invalid character '\\\\' looking for beginning of value" },
	{ "DEL quoted", "\x7f",
	    "invalid character '\\x7f' looking for beginning of value" },
	{ "byte over ASCII", "\xe9",
	    "invalid character '\xc3\xa9' looking for beginning of value" },
	{ "unprintable over ASCII", "\x85",
	    "invalid character '\\u0085' looking for beginning of value" },
	{ "number out of range", "{\"a\":1e400}",
	    "json: number out of range" }
	};
	char	 name[96];
	size_t	 i;

	for (i = 0; i < nitems(e); i++) {
		snprintf(name, sizeof(name), "3.x section 2.6: %s", e[i].what);
		test_begin(name);
		CHECK(refused(e[i].text, e[i].error));
	}
	test_begin("3.x section 2.6: NUL byte in the text");
	{
		char	 err[JSON_ERRMAX];

		CHECK(json_parse("\0", 1, err) == NULL);
		CHECK(strcmp(err, "invalid character '\\x00' "
		    "looking for beginning of value") == 0);
		CHECK(json_parse("\"a\0b\"", 5, err) == NULL);
		CHECK(strcmp(err,
		    "invalid character '\\x00' in string literal") == 0);
		CHECK(json_parse("{}\0", 3, err) == NULL);
		CHECK(strcmp(err, "invalid character '\\x00' "
		    "after top-level value") == 0);
	}
}

static void
test_accepted(void)
{
	test_begin("3.x section 2.6: values of every kind");
	CHECK(accepted("null") && accepted("true") && accepted("false"));
	CHECK(accepted("0") && accepted("-0") && accepted("-1.5e-3"));
	CHECK(accepted("1E+2") && accepted("[]") && accepted("{}"));
	CHECK(accepted("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\""));
	CHECK(accepted(" { \"a\" : [ 1 , { } ] } \r\n\t"));

	test_begin("3.x section 2.6: integers beyond 64 bits");
	CHECK(accepted("18446744073709551615"));
	CHECK(accepted("{\"hard\":-99999999999999999999999999}"));

	test_begin("3.x section 2.6: trailing white space");
	CHECK(accepted("{}   "));

	test_begin("3.x section 2.6: duplicates, NUL escapes");
	CHECK(accepted("{\"a\":1,\"a\":2}"));
	CHECK(accepted("{\"a\\u0000b\":\"c\\u0000d\"}"));
	CHECK(accepted("{\"\\u0000\" : {\"\\u0000\":1}}"));
}

/* The text is one string; it must decode to want. */
static int
decodes(const char *text, const char *want)
{
	char	 err[JSON_ERRMAX];
	json_t	*j;
	int	 rv;

	if ((j = json_parse(text, strlen(text), err)) == NULL)
		return (0);
	rv = json_is_string(j) && strcmp(json_string_value(j), want) == 0;
	json_decref(j);
	return (rv);
}

#define RC	"\xef\xbf\xbd"	/* U+FFFD */

static void
test_utf8(void)
{
	test_begin("3.x section 2.6: invalid UTF-8 becomes U+FFFD");
	CHECK(decodes("\"a\xff" "b\"", "a" RC "b"));
	CHECK(decodes("\"\xc3\"", RC));
	CHECK(decodes("\"\xe2\x82\"", RC RC));
	CHECK(decodes("\"\xc0\x80\"", RC RC));
	CHECK(decodes("\"\xc1\xbf\"", RC RC));
	CHECK(decodes("\"\xe0\x80\x80\"", RC RC RC));
	CHECK(decodes("\"\xed\xa0\x80\"", RC RC RC));
	CHECK(decodes("\"\xf0\x80\x80\x80\"", RC RC RC RC));
	CHECK(decodes("\"\xf4\x90\x80\x80\"", RC RC RC RC));
	CHECK(decodes("\"\xf5\x80\x80\x80\"", RC RC RC RC));
	CHECK(accepted("{\"\xff\":1,\"\xfe\":2}"));

	test_begin("3.x section 2.6: valid UTF-8 stays");
	CHECK(decodes("\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
	    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
	CHECK(decodes("\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf\"",
	    "\xef\xbf\xbf\xf4\x8f\xbf\xbf\xed\x9f\xbf"));

	test_begin("3.x section 2.6: surrogates, in pairs and alone");
	CHECK(decodes("\"\\ud83d\\uDE00\"", "\xf0\x9f\x98\x80"));
	CHECK(decodes("\"\\ud800\"", RC));
	CHECK(decodes("\"\\udc00\"", RC));
	CHECK(decodes("\"\\ud800x\"", RC "x"));
	CHECK(decodes("\"\\ud800\\u0041\"", RC "A"));
	CHECK(decodes("\"\\ud800\\ud83d\\ude00\"", RC "\xf0\x9f\x98\x80"));
	CHECK(decodes("\"\\ude00\\ud83d\"", RC RC));
	CHECK(decodes("\"\\ud800\\n\"", RC "\n"));
	CHECK(decodes("\"\\\\ud800\"", "\\ud800"));
	CHECK(accepted("{\"\\ud800\":1}"));
}

/* n times open, then n times shut. */
static char *
nested(size_t n, char open, char shut)
{
	char	*s;

	if ((s = malloc(2 * n + 1)) == NULL)
		abort();
	memset(s, open, n);
	memset(s + n, shut, n);
	s[2 * n] = '\0';
	return (s);
}

static void
test_bounds(void)
{
	struct json_slice	 v;
	char			*s, err[JSON_ERRMAX];
	json_t			*j;
	size_t			 i, n;

	test_begin("3.x section 2.6: depth 1024 is taken, 1025 is not");
	s = nested(1024, '[', ']');
	CHECK(accepted(s));
	free(s);
	s = nested(1025, '[', ']');
	CHECK(refused(s, "exceeded max depth"));
	free(s);
	s = nested(500000, '[', ']');
	CHECK(refused(s, "exceeded max depth"));
	CHECK(json_find(slice(s), "a", &v) == 0);
	free(s);

	test_begin("3.x section 2.6: 65536 values are taken, one more is not");
	n = 65535;
	s = malloc(2 * n + 4);
	CHECK(s != NULL);
	if (s == NULL)
		return;
	s[0] = '[';
	for (i = 0; i < n; i++)
		memcpy(s + 1 + 2 * i, "1,", 2);
	memcpy(s + 2 * n, "]", 2);
	CHECK(accepted(s));
	memcpy(s + 2 * n, ",1]", 4);
	CHECK(refused(s, "too many values"));
	free(s);

	test_begin("3.x section 2.6: a string of a megabyte, all invalid");
	n = 1024 * 1024;
	s = malloc(n);
	CHECK(s != NULL);
	if (s == NULL)
		return;
	memset(s, 0xff, n);
	s[0] = s[n - 1] = '"';
	j = json_parse(s, n, err);
	CHECK(j != NULL && json_string_length(j) == 3 * (n - 2));
	json_decref(j);
	free(s);
}

/* The member a of text, or NULL. */
static int
finds(const char *text, const char *name, const char *want)
{
	struct json_slice	 v = { NULL, 0 };

	if (json_find(slice(text), name, &v) == 0)
		return (want == NULL);
	return (want != NULL && same(v, want));
}

static void
test_find(void)
{
	int64_t	 n;

	test_begin("3.x section 2.6: extents are verbatim");
	CHECK(finds(" { \"data\" :  { \"x\" : [ 1, 2 ] } , \"b\":1}", "data",
	    "{ \"x\" : [ 1, 2 ] }"));
	CHECK(finds("{\"a\":\"}]\\\"{\",\"b\":[\"]\",{}]}", "b",
	    "[\"]\",{}]"));
	CHECK(finds("{\"a\":\"}]\\\"{\"}", "a", "\"}]\\\"{\""));
	CHECK(finds("{\"a\":-1.5e3}", "a", "-1.5e3"));
	CHECK(finds("{\"a\":true ,\"b\":null}", "a", "true"));
	CHECK(finds("{\"a\":true ,\"b\":null}", "b", "null"));
	CHECK(finds("{\"a\":18446744073709551615}", "a",
	    "18446744073709551615"));
	CHECK(finds("{\"a\":\"\\ud800\xff\"}", "a", "\"\\ud800\xff\""));

	test_begin("3.x section 2.6: no such member");
	CHECK(finds("{}", "a", NULL));
	CHECK(finds("{\"b\":{\"a\":1}}", "a", NULL));
	CHECK(finds("{\"b\":\"a\"}", "a", NULL));
	CHECK(finds("{\"ab\":1,\"\":2}", "a", NULL));
	CHECK(finds("[\"a\"]", "a", NULL));
	CHECK(finds("null", "a", NULL));
	CHECK(finds("", "a", NULL));

	test_begin("3.x section 2.6: exact name first, else any case");
	CHECK(finds("{\"containerId\":1,\"CONTAINERID\":2}", "containerId",
	    "1"));
	CHECK(finds("{\"CONTAINERID\":2,\"containerId\":1}", "containerId",
	    "1"));
	CHECK(finds("{\"CONTAINERID\":2}", "containerId", "2"));
	CHECK(finds("{\"url\":3}", "URL", "3"));
	CHECK(finds("{\"c\\u006FntainerId\":4}", "containerId", "4"));
	CHECK(finds("{\"toKen\":1,\"to\xe2\x84\xaa" "en\":5}", "token", "5"));

	test_begin("3.x section 2.6: duplicates, the last wins");
	CHECK(finds("{\"a\":1,\"a\":2}", "a", "2"));
	CHECK(finds("{\"A\":1,\"A\":2}", "a", "2"));

	test_begin("3.x section 2.6: extents of text that is no JSON");
	CHECK(finds("{\"a", "a", NULL));
	CHECK(finds("{\"a\"", "a", NULL));
	CHECK(finds("{\"a\":", "a", ""));
	CHECK(finds("{\"a\\", "a", NULL));
	CHECK(finds("{\"a\":[[[", "a", "[[["));
	CHECK(finds("{\"a\":\"x", "a", "\"x"));

	test_begin("3.x section 2.6: integral literals of 64 bits");
	CHECK(json_slice_int(slice("0"), &n) && n == 0);
	CHECK(json_slice_int(slice("-0"), &n) && n == 0);
	CHECK(json_slice_int(slice("-17"), &n) && n == -17);
	CHECK(json_slice_int(slice("9223372036854775807"), &n) &&
	    n == INT64_MAX);
	CHECK(json_slice_int(slice("-9223372036854775808"), &n) &&
	    n == INT64_MIN);
	CHECK(!json_slice_int(slice("9223372036854775808"), &n));
	CHECK(!json_slice_int(slice("-9223372036854775809"), &n));
	CHECK(!json_slice_int(slice("18446744073709551616"), &n));
	CHECK(!json_slice_int(slice("1.5"), &n));
	CHECK(!json_slice_int(slice("1.0"), &n));
	CHECK(!json_slice_int(slice("1e2"), &n));
	CHECK(!json_slice_int(slice("\"5\""), &n));
	CHECK(!json_slice_int(slice("null"), &n));
	CHECK(!json_slice_int(slice("-"), &n));
	CHECK(!json_slice_int(slice(""), &n));
}

static int
escapes(const char *text, size_t len, const char *want)
{
	size_t	 n;
	char	*s;
	int	 rv;

	s = json_escape(text, len, &n);
	rv = s != NULL && n == strlen(want) && strcmp(s, want) == 0;
	if (!rv)
		fprintf(stderr, "%s, want %s\n", s == NULL ? "-" : s, want);
	free(s);
	return (rv);
}

#define ESC(t, w)	escapes(t, sizeof(t) - 1, w)

static void
test_escape(void)
{
	char	*s;

	test_begin("3.x section 2.5: string escaping");
	CHECK(ESC("", ""));
	CHECK(ESC("plain /text'", "plain /text'"));
	CHECK(ESC("\"\\", "\\\"\\\\"));
	CHECK(ESC("a\nb\rc\td", "a\\nb\\rc\\td"));
	CHECK(ESC("\0\1\b\f\x1b\x1f", "\\u0000\\u0001\\u0008\\u000c"
	    "\\u001b\\u001f"));
	CHECK(ESC("<a>&", "\\u003ca\\u003e\\u0026"));
	CHECK(ESC("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa",
	    "\\u2028\\u2029\xe2\x80\xaa"));
	CHECK(ESC("\x7f\xc3\xa9\xf0\x9f\x98\x80",
	    "\x7f\xc3\xa9\xf0\x9f\x98\x80"));
	CHECK(ESC("a\xff" "b\xc3", "a\\ufffdb\\ufffd"));
	CHECK(ESC("\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"));
	s = json_escape("x", 1, NULL);
	CHECK(s != NULL && strcmp(s, "x") == 0);
	free(s);
}

/* Edit data for number 3; the result must parse and be want. */
static int
edits(const char *data, int need_process, const char *want)
{
	char	 err[JSON_ERRMAX] = "";
	char	*s;
	size_t	 n;
	int	 rv;

	s = json_set_stdio(slice(data), 3, need_process, &n, err);
	rv = s != NULL && n == strlen(s) && strcmp(s, want) == 0 &&
	    accepted(s);
	if (!rv)
		fprintf(stderr, "%s: %s, want %s\n", data,
		    s == NULL ? err : s, want);
	free(s);
	return (rv);
}

static int
edit_fails(const char *data, int need_process, const char *want)
{
	char	 err[JSON_ERRMAX] = "";
	char	*s;
	size_t	 n;
	int	 rv;

	s = json_set_stdio(slice(data), 3, need_process, &n, err);
	rv = s == NULL && strcmp(err, want) == 0;
	if (!rv)
		fprintf(stderr, "%s: %s, want %s\n", data,
		    s == NULL ? err : s, want);
	free(s);
	return (rv);
}

#define NUM	"\"stdio\":3,\"stderr\":4"

static void
test_edit(void)
{
	struct json_slice	 none = { NULL, 0 };
	char			 err[JSON_ERRMAX], *s;
	size_t			 n;

	test_begin("3.x section 4.4: stdio and stderr are put in");
	CHECK(edits("{\"id\":\"c1\",\"process\":{\"args\":[\"sh\"]}}", 1,
	    "{\"id\":\"c1\",\"process\":{" NUM ",\"args\":[\"sh\"]}}"));
	CHECK(edits("{\"process\":{}}", 1, "{\"process\":{" NUM "}}"));
	CHECK(edits("{\"process\":{ }}", 1, "{\"process\":{" NUM " }}"));

	test_begin("3.x section 4.4: every other byte is kept");
	CHECK(edits(" { \"x\" : 18446744073709551615 ,\n \"process\" : {\t"
	    "\"u\" : \"\\ud800\xff\" , \"v\":1e2 } , \"y\":[ ] } ", 1,
	    " { \"x\" : 18446744073709551615 ,\n \"process\" : {" NUM ",\t"
	    "\"u\" : \"\\ud800\xff\" , \"v\":1e2 } , \"y\":[ ] } "));
	CHECK(edits("{\"process\":{\"p\":{\"stdio\":9,\"stderr\":9}},"
	    "\"stdio\":8,\"q\":{\"process\":{\"stdio\":7}}}", 1,
	    "{\"process\":{" NUM ",\"p\":{\"stdio\":9,\"stderr\":9}},"
	    "\"stdio\":8,\"q\":{\"process\":{\"stdio\":7}}}"));

	test_begin("3.x section 4.4: a terminal has no stderr");
	CHECK(edits("{\"process\":{\"terminal\":true}}", 1,
	    "{\"process\":{\"stdio\":3,\"terminal\":true}}"));
	CHECK(edits("{\"process\":{\"TERMINAL\":true,\"stderr\":0}}", 1,
	    "{\"process\":{\"stdio\":3,\"TERMINAL\":true}}"));
	CHECK(edits("{\"process\":{\"t\\u0065rminal\":true}}", 1,
	    "{\"process\":{\"stdio\":3,\"t\\u0065rminal\":true}}"));
	CHECK(edits("{\"process\":{\"terminal\":false}}", 1,
	    "{\"process\":{" NUM ",\"terminal\":false}}"));
	CHECK(edits("{\"process\":{\"terminal\":null}}", 1,
	    "{\"process\":{" NUM ",\"terminal\":null}}"));

	test_begin("3.x section 4.4: of several terminals the last wins");
	CHECK(edits("{\"process\":{\"terminal\":true,\"Terminal\":false}}",
	    1, "{\"process\":{" NUM ",\"terminal\":true,"
	    "\"Terminal\":false}}"));
	CHECK(edits("{\"process\":{\"Terminal\":false,\"terminal\":true,"
	    "\"terminal\":null}}", 1, "{\"process\":{\"stdio\":3,"
	    "\"Terminal\":false,\"terminal\":true,\"terminal\":null}}"));

	test_begin("3.x section 4.4: pre-set zeroes and nulls are replaced");
	CHECK(edits("{\"process\":{\"stdio\":0,\"stderr\":0}}", 1,
	    "{\"process\":{" NUM "}}"));
	CHECK(edits("{\"process\":{\"a\":1,\"stdio\":null,\"b\":2,"
	    "\"stderr\":null}}", 1,
	    "{\"process\":{" NUM ",\"a\":1,\"b\":2}}"));
	CHECK(edits("{\"process\":{\"stdio\":0 , \"a\":1 }}", 1,
	    "{\"process\":{" NUM ", \"a\":1 }}"));

	test_begin("3.x section 4.4: pre-set numbers, stdio first");
	CHECK(edit_fails("{\"process\":{\"stdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"stderr\":8}}", 1,
	    "expected process.Stderr to be 0, got 8"));
	CHECK(edit_fails("{\"process\":{\"stderr\":8,\"stdio\":7}}", 0,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"stdio\":18446744073709551615}}", 0,
	    "expected process.Stdio to be 0, got 18446744073709551615"));

	test_begin("3.x section 4.4: pre-set values of a wrong type");
	CHECK(edit_fails("{\"process\":{\"stdio\":\"3\"}}", 1,
	    "json: cannot unmarshal string into Go struct field "
	    "Process.stdio of type uint64"));
	CHECK(edit_fails("{\"process\":{\"stderr\":1.5}}", 1,
	    "json: cannot unmarshal number 1.5 into Go struct field "
	    "Process.stderr of type uint64"));
	CHECK(edit_fails("{\"process\":{\"stdio\":-1}}", 1,
	    "json: cannot unmarshal number -1 into Go struct field "
	    "Process.stdio of type uint64"));
	CHECK(edit_fails("{\"process\":{\"stdio\":18446744073709551616}}", 1,
	    "json: cannot unmarshal number 18446744073709551616 into Go "
	    "struct field Process.stdio of type uint64"));
	CHECK(edit_fails("{\"process\":{\"terminal\":1}}", 1,
	    "json: cannot unmarshal number into Go struct field "
	    "Process.terminal of type bool"));
	CHECK(edit_fails("{\"process\":[]}", 1,
	    "json: cannot unmarshal array into Go struct field "
	    "NewContainer.process of type hyperstart.Process"));
	CHECK(edit_fails("{\"process\":\"x\"}", 0,
	    "json: cannot unmarshal string into Go struct field "
	    "ExecCommand.process of type hyperstart.Process"));

	test_begin("3.x section 4.4: data that is no object");
	CHECK(edit_fails("[]", 1, "json: cannot unmarshal array into "
	    "Go value of type hyperstart.NewContainer"));
	CHECK(edit_fails("5", 0, "json: cannot unmarshal number into "
	    "Go value of type hyperstart.ExecCommand"));
	CHECK(edit_fails("{\"process\":{}", 1,
	    "unexpected end of JSON input"));

	test_begin("3.x section 4.4: absent data");
	s = json_set_stdio(none, 3, 1, &n, err);
	CHECK(s == NULL && strcmp(err, "unexpected end of JSON input") == 0);
	s = json_set_stdio(none, 3, 0, &n, err);
	CHECK(s == NULL && strcmp(err, "unexpected end of JSON input") == 0);

	test_begin("3.x section 4.4: newcontainer needs a process");
	CHECK(edit_fails("{}", 1, "newcontainer needs a process"));
	CHECK(edit_fails("null", 1, "newcontainer needs a process"));
	CHECK(edit_fails("{\"process\":null}", 1,
	    "newcontainer needs a process"));
	CHECK(edit_fails("{\"process\":null,\"Process\":null}", 1,
	    "newcontainer needs a process"));

	test_begin("3.x section 4.4: execcmd gets a process");
	CHECK(edits("{}", 0, "{\"process\":{" NUM "}}"));
	CHECK(edits(" { } ", 0, " {\"process\":{" NUM "} } "));
	CHECK(edits("null", 0, "{\"process\":{" NUM "}}"));
	CHECK(edits("{\"container\":\"c\"}", 0,
	    "{\"process\":{" NUM "},\"container\":\"c\"}"));
	CHECK(edits("{\"process\": null }", 0,
	    "{\"process\": {" NUM "} }"));
}

static void
test_smuggling(void)
{
	test_begin("3.x section 4.4: numbers under other spellings");
	CHECK(edit_fails("{\"process\":{\"STDIO\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"std\\u0069o\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"\\u0053TDERR\":7}}", 1,
	    "expected process.Stderr to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"\xc5\xbftdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"\\u017Ftdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"PROCESS\":{\"stdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"proce\xc5\xbf\\u0073\":{\"stdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"proce\\u017f\\u017f\":{\"stdio\":7}}", 0,
	    "expected process.Stdio to be 0, got 7"));

	test_begin("3.x section 4.4: numbers among duplicates");
	CHECK(edit_fails("{\"process\":{\"stdio\":7,\"stdio\":0}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"stdio\":0,\"stdio\":7}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{\"stdio\":7},\"process\":{}}", 1,
	    "expected process.Stdio to be 0, got 7"));
	CHECK(edit_fails("{\"process\":{},\"Process\":{\"stderr\":7}}", 1,
	    "expected process.Stderr to be 0, got 7"));

	test_begin("3.x section 4.4: no duplicate survives");
	CHECK(edits("{\"process\":{\"stdio\":0,\"STDIO\":null,"
	    "\"std\\u0069o\":0,\"a\":1,\"Stderr\":0,\"\xc5\xbftderr\":0}}", 1,
	    "{\"process\":{" NUM ",\"a\":1}}"));

	test_begin("3.x section 4.4: every process is edited, alike");
	CHECK(edits("{\"process\":{\"a\":1},\"x\":0,\"PROCESS\":{}}", 1,
	    "{\"process\":{" NUM ",\"a\":1},\"x\":0,"
	    "\"PROCESS\":{" NUM "}}"));
	CHECK(edits("{\"process\":{\"terminal\":true},\"process\":{}}", 1,
	    "{\"process\":{\"stdio\":3,\"terminal\":true},"
	    "\"process\":{\"stdio\":3}}"));
	CHECK(edits("{\"process\":{},\"Process\":null}", 1,
	    "{\"process\":{" NUM "},\"Process\":{" NUM "}}"));

	test_begin("3.x section 4.4: names that only look alike");
	CHECK(edits("{\"process\":{\"stdio \":7,\"stdi\":7,"
	    "\"std\\\\u0069o\":7,\"std\xc4\xb1o\":7}}", 1,
	    "{\"process\":{" NUM ",\"stdio \":7,\"stdi\":7,"
	    "\"std\\\\u0069o\":7,\"std\xc4\xb1o\":7}}"));

	test_begin("3.x section 4.4: names that a NUL cuts short");
	CHECK(edit_fails("{\"process\":{\"stderr\\u0000x\":7}}", 1,
	    "expected process.Stderr to be 0, got 7"));
	CHECK(edits("{\"process\":{\"Stdio\\u0000\":0}}", 1,
	    "{\"process\":{" NUM "}}"));
	CHECK(edit_fails("{\"process\\u0000\":{}}", 1,
	    "newcontainer needs a process"));
	CHECK(edits("{\"process\\u0000\":{\"a\":1}}", 0,
	    "{\"process\":{" NUM "},"
	    "\"process\\u0000\":{" NUM ",\"a\":1}}"));
	CHECK(finds("{\"id\\u0000\":1}", "id", NULL));
}

int
main(void)
{
	test_errors();
	test_accepted();
	test_utf8();
	test_bounds();
	test_find();
	test_escape();
	test_edit();
	test_smuggling();
	return (test_end());
}
