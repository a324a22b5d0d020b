/* SPDX-License-Identifier: ISC */

/*
 * The words of the configuration file: files and those they include, macros,
 * and where errors are.  State of one parse at a time.
 */

#ifndef CCP_CONFLEX_H
#define CCP_CONFLEX_H

#include <stddef.h>

/* Where a token is; files live until conflex_end(). */
struct conflex_loc {
	const char	*file;
	unsigned int	 line, column;
};

enum conflex_kind {
	CONFLEX_END,
	CONFLEX_NEWLINE,
	CONFLEX_WORD,		/* may be a keyword */
	CONFLEX_STRING,		/* was quoted */
	CONFLEX_SIGN,		/* one of { } = , */
	CONFLEX_ERROR		/* was reported */
};

struct conflex_token {
	enum conflex_kind	 kind;
	struct conflex_loc	 loc;
	const char		*text;	/* of words and strings, until
					   conflex_end() */
	int			 sign;
};

void	 conflex_begin(void (*report)(const char *));
/*
 * Go on with the text, which is copied, or with the file, whose name is
 * relative to the directory of the one at hand.  0; or -1 with the reason in
 * err, errno is ENOENT if there is no such file.
 */
int	 conflex_push_text(const char *name, const char *, size_t, char *err,
	    size_t);
int	 conflex_push_file(const char *path, char *err, size_t);
/* At the end of an included file the next is of the one that includes it. */
void	 conflex_next(struct conflex_token *);
/* The value is tokens again.  0, or -1 with the reason in err. */
int	 conflex_macro(const char *name, const char *value, char *err,
	    size_t);
/* A piece of text that lives until conflex_end(). */
const char *conflex_join(const char *, const char *);

void	 conflex_error(const struct conflex_loc *, const char *, ...)
	    __attribute__((__format__(printf, 2, 3)));
/* There were so many that it should end. */
int	 conflex_hopeless(void);
/* Returns the number of errors. */
unsigned int conflex_end(void);

#endif /* CCP_CONFLEX_H */
