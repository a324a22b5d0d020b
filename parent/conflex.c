/* SPDX-License-Identifier: ISC */

/*
 * cc-proxy parent: the words of the configuration file.  The input is the
 * administrator's: files that belong to root or to who starts the daemon.
 */

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf.h"
#include "conflex.h"
#include "log.h"

/* What is being read: a file, or a macro's value in the middle of one. */
struct input {
	struct input		*below;
	const char		*text;
	char			*owned;		/* text, if it is to be freed */
	size_t			 len, off;
	int			 is_macro;
	struct conflex_loc	 loc;		/* of the macro's use */
};

struct piece {
	SLIST_ENTRY(piece)	 entry;
	char			 text[];
};

struct macro {
	SLIST_ENTRY(macro)	 entry;
	const char		*name, *value;
};

static struct input	*input;
static SLIST_HEAD(, piece) pieces = SLIST_HEAD_INITIALIZER(pieces);
static SLIST_HEAD(, macro) macros = SLIST_HEAD_INITIALIZER(macros);
static unsigned int	 nfiles, depth, nmacros, nerrors;
static int		 line_begun;	/* tokens since the last newline */
static void		(*reporter)(const char *);

static char	*piece(size_t);
static void	 push(const char *, char *, size_t);
static void	 pop(void);
static int	 peek(void);
static void	 advance(void);
static void	 skip_blanks(void);
static void	 skip_line(void);
static const char *macro_value(const char *);
static int	 is_word(int);
static int	 is_name(int);
static void	 take(struct conflex_token *, int (*)(int), size_t);
static int	 take_expansion(struct conflex_token *);
static void	 take_string(struct conflex_token *);
static void	 fail(struct conflex_token *, const char *);
static char	*read_file(const char *, size_t *, char *, size_t);
static int	 is_ours(const struct stat *, char *, size_t);

void
conflex_begin(void (*report)(const char *))
{
	reporter = report;
	nfiles = depth = nmacros = nerrors = 0;
	line_begun = 0;
}

unsigned int
conflex_end(void)
{
	struct piece	*p;
	struct macro	*m;

	while (input != NULL)
		pop();
	while ((m = SLIST_FIRST(&macros)) != NULL) {
		SLIST_REMOVE_HEAD(&macros, entry);
		free(m);
	}
	while ((p = SLIST_FIRST(&pieces)) != NULL) {
		SLIST_REMOVE_HEAD(&pieces, entry);
		free(p);
	}
	return (nerrors);
}

void
conflex_error(const struct conflex_loc *loc, const char *fmt, ...)
{
	va_list	 ap;
	char	*line, *what;

	if (++nerrors > CONF_ERRORS_MAX)
		return;
	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) == -1)
		fatal("%s", __func__);
	va_end(ap);
	if (asprintf(&line, "%s:%u:%u: %s", loc->file, loc->line, loc->column,
	    nerrors == CONF_ERRORS_MAX ? "too many errors" : what) == -1)
		fatal("%s", __func__);
	reporter(line);
	free(line);
	free(what);
}

int
conflex_hopeless(void)
{
	return (nerrors >= CONF_ERRORS_MAX);
}

/* Room for a text of len bytes and a NUL. */
static char *
piece(size_t len)
{
	struct piece	*p;

	if ((p = malloc(sizeof(*p) + len + 1)) == NULL)
		fatal("%s", __func__);
	SLIST_INSERT_HEAD(&pieces, p, entry);
	p->text[len] = '\0';
	return (p->text);
}

const char *
conflex_join(const char *a, const char *b)
{
	size_t	 na = strlen(a), nb = strlen(b);
	char	*s;

	s = piece(na + nb);
	memcpy(s, a, na);
	memcpy(s + na, b, nb);
	return (s);
}

static void
push(const char *name, char *text, size_t len)
{
	struct input	*in;

	if ((in = calloc(1, sizeof(*in))) == NULL)
		fatal("%s", __func__);
	in->below = input;
	in->text = in->owned = text;
	in->len = len;
	in->loc.file = conflex_join(name, "");
	in->loc.line = in->loc.column = 1;
	input = in;
	nfiles++;
	depth++;
}

static void
pop(void)
{
	struct input	*in = input;

	input = in->below;
	if (!in->is_macro)
		depth--;
	free(in->owned);
	free(in);
}

int
conflex_push_text(const char *name, const char *text, size_t len, char *err,
    size_t errsize)
{
	char	*copy;

	if (len > CONF_FILE_MAX) {
		snprintf(err, errsize, "more than %d bytes", CONF_FILE_MAX);
		return (-1);
	}
	if ((copy = malloc(len + 1)) == NULL)
		fatal("%s", __func__);
	memcpy(copy, text, len);
	push(name, copy, len);
	return (0);
}

int
conflex_push_file(const char *path, char *err, size_t errsize)
{
	const char	*dir, *slash;
	char		*text;
	size_t		 len;

	if (nfiles == CONF_FILES_MAX) {
		snprintf(err, errsize, "more than %d files", CONF_FILES_MAX);
		errno = E2BIG;
		return (-1);
	}
	if (depth > CONF_DEPTH_MAX) {
		snprintf(err, errsize, "more than %d files within each other",
		    CONF_DEPTH_MAX);
		errno = E2BIG;
		return (-1);
	}
	if (input != NULL && path[0] != '/') {
		dir = input->loc.file;
		if ((slash = strrchr(dir, '/')) != NULL) {
			char	*s = piece((size_t)(slash - dir) + 1);

			memcpy(s, dir, (size_t)(slash - dir) + 1);
			path = conflex_join(s, path);
		}
	}
	if ((text = read_file(path, &len, err, errsize)) == NULL)
		return (-1);
	push(path, text, len);
	return (0);
}

/* malloc'd; NULL with the reason in err and errno. */
static char *
read_file(const char *path, size_t *lenp, char *err, size_t errsize)
{
	struct stat	 st;
	char		*text = NULL;
	size_t		 len = 0;
	ssize_t		 n;
	int		 fd, save;

	/* Not even a FIFO or a terminal may hold us up. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK |
	    O_NOCTTY)) == -1 || fstat(fd, &st) == -1) {
		save = errno;
		snprintf(err, errsize, "%s", log_strerror(save));
		goto fail;
	}
	save = EPERM;
	if (!is_ours(&st, err, errsize))
		goto fail;
	if ((text = malloc(CONF_FILE_MAX + 1)) == NULL)
		fatal("%s", __func__);
	do {
		n = read(fd, text + len, CONF_FILE_MAX + 1 - len);
		if (n == -1 && errno != EINTR) {
			save = errno;
			snprintf(err, errsize, "%s", log_strerror(save));
			goto fail;
		}
		if (n > 0)
			len += (size_t)n;
	} while (n != 0 && len <= CONF_FILE_MAX);
	if (len > CONF_FILE_MAX) {
		save = EFBIG;
		snprintf(err, errsize, "more than %d bytes", CONF_FILE_MAX);
		goto fail;
	}
	close(fd);
	*lenp = len;
	return (text);

 fail:
	if (fd != -1)
		close(fd);
	free(text);
	errno = save;
	return (NULL);
}

/* Who can write to the file can do what the daemon can. */
static int
is_ours(const struct stat *st, char *err, size_t errsize)
{
	if (!S_ISREG(st->st_mode)) {
		snprintf(err, errsize, "not a regular file");
		return (0);
	}
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		snprintf(err, errsize, "belongs to user %u",
		    (unsigned int)st->st_uid);
		return (0);
	}
	if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
		snprintf(err, errsize, "others may write to it (mode %04o)",
		    (unsigned int)st->st_mode & 07777);
		return (0);
	}
	return (1);
}

int
conflex_macro(const char *name, const char *value, char *err, size_t errsize)
{
	struct macro	*m;
	const char	*p;

	for (p = name; isalnum((unsigned char)*p) || *p == '_'; p++)
		;
	if (*p != '\0' || p == name) {
		snprintf(err, errsize, "a macro's name is of letters, digits "
		    "and \"_\"");
		return (-1);
	}
	SLIST_FOREACH(m, &macros, entry) {
		if (strcmp(m->name, name) == 0) {
			m->value = value;
			return (0);
		}
	}
	if (nmacros == CONF_MACROS_MAX) {
		snprintf(err, errsize, "more than %d macros", CONF_MACROS_MAX);
		return (-1);
	}
	if ((m = malloc(sizeof(*m))) == NULL)
		fatal("%s", __func__);
	m->name = name;
	m->value = value;
	SLIST_INSERT_HEAD(&macros, m, entry);
	nmacros++;
	return (0);
}

static const char *
macro_value(const char *name)
{
	struct macro	*m;

	SLIST_FOREACH(m, &macros, entry)
		if (strcmp(m->name, name) == 0)
			return (m->value);
	return (NULL);
}

/* The next byte of this input; -1 at its end. */
static int
peek(void)
{
	return (input->off == input->len ? -1 :
	    (unsigned char)input->text[input->off]);
}

static void
advance(void)
{
	int	 c = peek();

	input->off++;
	if (input->is_macro)
		return;
	if (c == '\n') {
		input->loc.line++;
		input->loc.column = 1;
	} else
		input->loc.column++;
}

/* And comments, line ends behind a backslash, and ends of macros. */
static void
skip_blanks(void)
{
	int	 c;

	for (;;) {
		c = peek();
		if (c == -1 && input->is_macro)
			pop();
		else if (c == ' ' || c == '\t' || c == '\r')
			advance();
		else if (c == '\\' && input->off + 1 < input->len &&
		    input->text[input->off + 1] == '\n') {
			advance();
			advance();
		} else if (c == '#') {
			while (c != -1 && c != '\n') {
				advance();
				c = peek();
			}
		} else
			return;
	}
}

static void
skip_line(void)
{
	int	 c;

	while (input->is_macro)
		pop();
	for (c = peek(); c != -1 && c != '\n'; c = peek())
		advance();
}

static void
fail(struct conflex_token *t, const char *why)
{
	conflex_error(&t->loc, "%s", why);
	skip_line();
	t->kind = CONFLEX_ERROR;
}

static int
is_word(int c)
{
	return (c > 0x20 && c < 0x7f && strchr("{}=,#\"$\\", c) == NULL);
}

static int
is_name(int c)
{
	return (c != -1 && (isalnum(c) || c == '_'));
}

/* Bytes as long as they are of this kind; the token's kind is set. */
static void
take(struct conflex_token *t, int (*is)(int), size_t max)
{
	char	*s;
	size_t	 from = input->off, n;

	while (is(peek()))
		advance();
	if ((n = input->off - from) > max) {
		fail(t, "word too long");
		return;
	}
	s = piece(n);
	memcpy(s, input->text + from, n);
	t->text = s;
}

/* $name: go on with its value. 0, or -1 if it was an error. */
static int
take_expansion(struct conflex_token *t)
{
	struct input	*in;
	const char	*value;

	if (input->is_macro) {
		fail(t, "a macro within a macro's value");
		return (-1);
	}
	advance();
	take(t, is_name, CONF_WORD_MAX);
	if (t->kind == CONFLEX_ERROR)
		return (-1);
	if ((value = macro_value(t->text)) == NULL) {
		conflex_error(&t->loc, "macro \"%s\" is not defined", t->text);
		skip_line();
		t->kind = CONFLEX_ERROR;
		return (-1);
	}
	if ((in = calloc(1, sizeof(*in))) == NULL)
		fatal("%s", __func__);
	in->below = input;
	in->text = value;
	in->len = strlen(value);
	in->is_macro = 1;
	in->loc = t->loc;
	input = in;
	return (0);
}

static void
take_string(struct conflex_token *t)
{
	char	 buf[CONF_WORD_MAX + 1], *s;
	size_t	 n = 0;
	int	 c;

	advance();
	for (;;) {
		if ((c = peek()) == -1 || c == '\n') {
			fail(t, "string without an end");
			return;
		}
		if (c < 0x20 || c == 0x7f) {
			fail(t, "control character in a string");
			return;
		}
		advance();
		if (c == '"')
			break;
		if (c == '\\' && (peek() == '"' || peek() == '\\')) {
			c = peek();
			advance();
		}
		if (n == CONF_WORD_MAX) {
			fail(t, "string too long");
			return;
		}
		buf[n++] = (char)c;
	}
	s = piece(n);
	memcpy(s, buf, n);
	t->kind = CONFLEX_STRING;
	t->text = s;
}

void
conflex_next(struct conflex_token *t)
{
	int	 c;

	memset(t, 0, sizeof(*t));
	for (;;) {
		skip_blanks();
		t->loc = input->loc;
		c = peek();
		if (c == '$') {
			if (take_expansion(t) == -1)
				return;
			continue;
		}
		if (c != -1)
			break;
		/* A last line ends, whether it says so or not. */
		if (line_begun) {
			line_begun = 0;
			t->kind = CONFLEX_NEWLINE;
			return;
		}
		if (input->below == NULL) {
			t->kind = CONFLEX_END;
			return;
		}
		pop();
	}
	line_begun = c != '\n';
	if (c == '\n') {
		t->kind = CONFLEX_NEWLINE;
		advance();
	} else if (c == '"')
		take_string(t);
	else if (strchr("{}=,", c) != NULL && c != '\0') {
		t->kind = CONFLEX_SIGN;
		t->sign = c;
		advance();
	} else if (is_word(c)) {
		t->kind = CONFLEX_WORD;
		take(t, is_word, CONF_WORD_MAX);
	} else
		fail(t, "character that has to be in quotes");
}
