/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl reload: asks the daemon's control socket to read the
 * configuration again, waits until that is done in all processes, and shows
 * what it says.
 */

#include <sys/types.h>

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "imsg.h"
#include "msg.h"

#define LINES_MAX	100000		/* more is a broken daemon */

struct answer {
	char		**lines;
	size_t		  nlines;
	int		  failed;
	int		  end;
};

static int	 take(struct answer *, struct imsg *);
static void	 ask(int, struct answer *);

/* 0, or -1 if the message has no place in an answer. */
static int
take(struct answer *a, struct imsg *imsg)
{
	const struct msg_info	*info;
	struct ibuf		 view;
	char			 text[MSG_TEXT_MAX + 1], **p;
	size_t			 len = imsg_get_len(imsg);

	if ((info = msg_info(imsg_get_type(imsg))) == NULL ||
	    len < info->min || len > info->max ||
	    imsg_get_ibuf(imsg, &view) == -1)
		return (-1);
	switch (info->type) {
	case MSG_CTL_TEXT:
		if (a->nlines == LINES_MAX ||
		    msg_text_decode(&view, text, sizeof(text)) == -1)
			return (-1);
		if ((p = reallocarray(a->lines, a->nlines + 1,
		    sizeof(*p))) == NULL)
			ctl_errx("%s", strerror(errno));
		a->lines = p;
		if ((p[a->nlines++] = strdup(text)) == NULL)
			ctl_errx("%s", strerror(errno));
		return (0);
	case MSG_CTL_RESULT:
		a->end = 1;
		return (msg_u8_decode(&view, &a->failed, 2));
	default:
		return (-1);
	}
}

static void
ask(int fd, struct answer *a)
{
	struct imsgbuf	 ibuf;
	struct imsg	 imsg;
	int		 n;

	if (imsgbuf_init(&ibuf, fd) == -1 ||
	    imsg_compose(&ibuf, MSG_CTL_RELOAD, 0, 0, -1, NULL, 0) == -1 ||
	    imsgbuf_flush(&ibuf) == -1)
		ctl_errx("reload: %s", strerror(errno));
	while (a->end == 0) {
		if ((n = imsgbuf_read(&ibuf)) == -1)
			ctl_errx("reload: %s", strerror(errno));
		if (n == 0)
			ctl_errx("reload: the daemon closed the connection");
		while (a->end == 0 && (n = imsgbuf_get(&ibuf, &imsg)) == 1) {
			if (take(a, &imsg) == -1)
				ctl_errx("reload: malformed answer");
			imsg_free(&imsg);
		}
		if (n == -1)
			ctl_errx("reload: malformed answer");
	}
	imsgbuf_clear(&ibuf);
}

int
ctl_reload(const struct ctl_conf *conf, int argc, char **argv)
{
	struct answer	 a;
	const char	*error;
	char		*shown;
	size_t		 i;
	int		 fd;

	if (argc != 1)
		ctl_usage();
	memset(&a, 0, sizeof(a));
	if ((fd = ctl_control(conf, &error)) == -1)
		ctl_errx("%s: %s", argv[0], error);
	ask(fd, &a);
	close(fd);
	for (i = 0; i < a.nlines; i++) {
		if (a.failed)
			ctl_warnx("%s", a.lines[i]);
		else if ((shown = ctl_visible(a.lines[i],
		    strlen(a.lines[i]))) == NULL)
			ctl_errx("%s", strerror(errno));
		else {
			printf("%s\n", shown);
			free(shown);
		}
		free(a.lines[i]);
	}
	free(a.lines);
	if (fflush(stdout) == EOF || ferror(stdout))
		ctl_errx("stdout: %s", strerror(errno));
	return (a.failed);
}
