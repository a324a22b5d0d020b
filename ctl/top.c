/* SPDX-License-Identifier: ISC */

/*
 * cc-proxyctl top: the VMs and what they do, again and again.  On a terminal
 * one screen that keys sort; else one table after the other.
 */

#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctl.h"
#include "status.h"

#define ID_MAX		40	/* columns of an id on a screen */
#define SCREEN_WIDE	512	/* columns of a screen that are used */
#define INTERVAL_MAX	86400	/* seconds */

struct row {
	const struct status_vm	*v;
	char			*id;		/* visible */
	double			 in, out, cmds;	/* a second; -1: not known */
	unsigned int		 percent;	/* of the limit it is nearest */
	const char		*limit;
};

struct top {
	const struct ctl_conf *conf;
	struct asker	 asker;
	int		 asking;
	int		 tried;		/* to connect again */
	struct status	*now, *before;
	struct row	*rows;
	size_t		 nrows;
	uint64_t	 interval, next;	/* ms */
	unsigned long	 left;			/* refreshes; 0: no end */
	int		 screen, colour, keys;
};

/* What rows are sorted by: the key, and its name for -o. */
static const struct order {
	char		 key;
	const char	*name;
} orders[] = {
	{ 'b', "bytes" }, { 'c', "commands" }, { 'i', "id" },
	{ 'l', "limit" }, { 'n', "clients" }, { 's', "streams" },
	{ 'u', "queued" }
};
#define NORDERS	(sizeof(orders) / sizeof(orders[0]))

static const struct order *order = &orders[0];
static int	 reverse;
static int	 wakeup[2] = { -1, -1 };

static void	 on_signal(int);
static void	 catch_signals(void);
static double	 rate(uint64_t, uint64_t, double);
static void	 rates(struct row *, const struct status *);
static void	 make_rows(struct top *);
static void	 free_rows(struct top *);
static double	 sort_value(const struct row *);
static int	 by_order(const void *, const void *);
static const char *rate_text(double, int, char [SIZE_TEXT]);
static void	 row_text(const struct row *, size_t, char *, size_t);
static void	 summary(const struct top *, char *, size_t);
static size_t	 id_width(const struct top *, size_t);
static void	 show_plain(struct top *);
static void	 show_screen(struct top *);
static void	 line(FILE *, const char *, unsigned int, const char *);
static void	 show(struct top *);
static void	 again(struct top *);
static int	 on_key(struct top *, char);
static int	 on_answer(struct top *);
static int	 wait_and_act(struct top *);
static void	 options(struct top *, int, char **);

/*
 * Whatever we are at, blocked in a write to a stopped terminal included, it
 * is given back first.
 */
static void
on_signal(int signo)
{
	int	 error = errno;

	if (signo == SIGTSTP) {
		term_restore();
		raise(SIGSTOP);
		term_screen();
	} else if (signo != SIGWINCH) {
		term_restore();
		_exit(128 + signo);
	}
	/* A full pipe wakes as well. */
	if (write(wakeup[1], "", 1) == -1)
		errno = error;
	errno = error;
}

/* Those that were ignored when we started stay ignored. */
static void
catch_signals(void)
{
	static const int	 signals[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH
	};
	struct sigaction	 sa, old;
	size_t			 i;

	if (pipe2(wakeup, O_CLOEXEC | O_NONBLOCK) == -1)
		ctl_errx("pipe: %s", strerror(errno));
	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = on_signal;
	sa.sa_flags = SA_RESTART;
	sigfillset(&sa.sa_mask);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 &&
		    old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

/* An engine may lie: a counter that fell tells nothing. */
static double
rate(uint64_t now, uint64_t before, double seconds)
{
	return (now < before ? -1 : (double)(now - before) / seconds);
}

/* By the engine's own clock. */
static void
rates(struct row *r, const struct status *before)
{
	const struct msg_vm_stats	*s = &r->v->numbers.stats, *b;
	const struct status_vm		*old;
	double				 seconds;

	r->in = r->out = r->cmds = -1;
	if (before == NULL || r->v->numbers.answered != MSG_ANSWERED ||
	    (old = status_find(before, r->v)) == NULL ||
	    old->numbers.answered == MSG_ANSWERED_NEVER)
		return;
	b = &old->numbers.stats;
	if (s->uptime <= b->uptime)
		return;
	seconds = (double)(s->uptime - b->uptime) / 1000;
	r->in = rate(s->in, b->in, seconds);
	r->out = rate(s->out, b->out, seconds);
	r->cmds = rate(s->commands, b->commands, seconds);
}

static void
free_rows(struct top *t)
{
	size_t	 i;

	for (i = 0; i < t->nrows; i++)
		free(t->rows[i].id);
	free(t->rows);
	t->rows = NULL;
	t->nrows = 0;
}

static void
make_rows(struct top *t)
{
	const struct status	*st = t->now;
	struct uses		 uses;
	struct row		*r;
	size_t			 i, j;

	free_rows(t);
	if ((t->rows = calloc(st->nvms + 1, sizeof(*t->rows))) == NULL)
		ctl_errx("%s", strerror(errno));
	for (i = 0; i < st->nvms; i++) {
		r = &t->rows[t->nrows++];
		r->v = &st->vms[i];
		r->id = ctl_visible(r->v->vm.id, strlen(r->v->vm.id));
		if (r->id == NULL)
			ctl_errx("%s", strerror(errno));
		rates(r, t->before);
		memset(&uses, 0, sizeof(uses));
		uses_vm(&uses, st, r->v);
		for (j = 0; j < uses.n; j++)
			if (use_percent(&uses.list[j]) > r->percent) {
				r->percent = use_percent(&uses.list[j]);
				r->limit = uses.list[j].limit;
			}
		free(uses.list);
	}
}

static double
sort_value(const struct row *r)
{
	const struct msg_vm_stats	*s = &r->v->numbers.stats;

	switch (order->key) {
	case 'b':
		return ((r->in < 0 ? 0 : r->in) + (r->out < 0 ? 0 : r->out));
	case 'c':
		return (r->cmds);
	case 'l':
		return (r->percent);
	case 'n':
		return (r->v->vm.clients);
	case 's':
		return ((double)s->streams);
	case 'u':
		return ((double)s->queued);
	default:
		return (0);
	}
}

/* Most first; equals, and all for 'i', by id. */
static int
by_order(const void *a, const void *b)
{
	const struct row	*x = a, *y = b;
	double			 p = sort_value(x), q = sort_value(y);
	int			 r;

	if (p != q)
		r = p > q ? -1 : 1;
	else
		r = x->v < y->v ? -1 : x->v > y->v;
	return (reverse ? -r : r);
}

static const char *
rate_text(double value, int bytes, char buf[SIZE_TEXT])
{
	if (value < 0)
		return ("-");
	/* An engine may lie, of its time as well. */
	if (bytes)
		return (size_text(value > 1e18 ? (uint64_t)1e18 :
		    (uint64_t)value, buf));
	if (value < 1e6)
		snprintf(buf, SIZE_TEXT, "%.1f", value);
	else
		snprintf(buf, SIZE_TEXT, "%.1e", value);
	return (buf);
}

static size_t
id_width(const struct top *t, size_t max)
{
	size_t	 i, width = 2;

	for (i = 0; i < t->nrows; i++)
		if (strlen(t->rows[i].id) > width)
			width = strlen(t->rows[i].id);
	return (width > max ? max : width);
}

#define COLUMNS	"%-*.*s  %-12s  %7s  %7s  %7s  %7s  %7s  %7s  %s"

static void
row_text(const struct row *r, size_t width, char *buf, size_t size)
{
	const struct msg_vm_stats	*s = &r->v->numbers.stats;
	char				 b[5][SIZE_TEXT], c[32], use[64];
	char				 streams[SIZE_TEXT];
	int				 known;

	known = r->v->numbers.answered != MSG_ANSWERED_NEVER;
	snprintf(c, sizeof(c), "%u", r->v->vm.clients);
	snprintf(streams, sizeof(streams), "%llu",
	    (unsigned long long)s->streams);
	snprintf(use, sizeof(use), "%3u%%%s%s%s%s%s", r->percent,
	    r->percent >= NEAR_PERCENT ? "!" : "",
	    r->limit == NULL ? "" : " ", r->limit == NULL ? "" : r->limit,
	    r->v->numbers.answered == MSG_ANSWERED ? "" : "  asked: ",
	    r->v->numbers.answered == MSG_ANSWERED ? "" :
	    answer_text(r->v, b[4]));
	snprintf(buf, size, COLUMNS, (int)width, (int)width, r->id,
	    msg_vm_state_name(r->v->vm.state), c, known ? streams : "-",
	    rate_text(r->in, 1, b[0]), rate_text(r->out, 1, b[1]),
	    rate_text(r->cmds, 0, b[2]),
	    known ? size_text(s->queued, b[3]) : "-", use);
}

static void
summary(const struct top *t, char *buf, size_t size)
{
	const struct msg_ctl_daemon	*d = &t->now->daemon;
	const struct row		*r;
	char				 b[3][SIZE_TEXT];
	double				 in = 0, out = 0, cmds = 0;
	size_t				 i;

	for (i = 0; i < t->nrows; i++) {
		r = &t->rows[i];
		in += r->in < 0 ? 0 : r->in;
		out += r->out < 0 ? 0 : r->out;
		cmds += r->cmds < 0 ? 0 : r->cmds;
	}
	snprintf(buf, size, "VMs %u  clients %u (%u without a VM)  tokens %u"
	    "  in/s %s  out/s %s  commands/s %s", d->nvms,
	    d->routed + d->unrouted, d->unrouted, d->ntokens,
	    rate_text(in, 1, b[0]), rate_text(out, 1, b[1]),
	    rate_text(cmds, 0, b[2]));
}

static void
header(size_t width, char *buf, size_t size)
{
	snprintf(buf, size, COLUMNS, (int)width, (int)width, "VM", "STATE",
	    "CLIENTS", "STREAMS", "IN/S", "OUT/S", "CMDS/S", "QUEUED",
	    "LIMIT");
}

static void
show_plain(struct top *t)
{
	char	 buf[4 * MSG_ID_MAX + SCREEN_WIDE];
	size_t	 i, width = id_width(t, sizeof(buf) - SCREEN_WIDE);

	summary(t, buf, sizeof(buf));
	puts(buf);
	header(width, buf, sizeof(buf));
	puts(buf);
	for (i = 0; i < t->nrows; i++) {
		row_text(&t->rows[i], width, buf, sizeof(buf));
		puts(buf);
	}
	if (t->left != 1)
		putchar('\n');
	if (fflush(stdout) == EOF)
		ctl_errx("stdout: %s", strerror(errno));
}

/* One line of the screen, no longer than that is wide. */
static void
line(FILE *f, const char *text, unsigned int columns, const char *style)
{
	fprintf(f, "%s%.*s%s\033[K", style, (int)columns, text,
	    style[0] == '\0' ? "" : "\033[0m");
}

static void
show_screen(struct top *t)
{
	unsigned int	 rows = 24, columns = 80, y = 3;
	char		 buf[SCREEN_WIDE], *text = NULL;
	size_t		 i, len, width;
	ssize_t		 n;
	FILE		*f;

	(void)term_size(&rows, &columns);
	width = id_width(t, ID_MAX);
	if ((f = open_memstream(&text, &len)) == NULL)
		ctl_errx("%s", strerror(errno));
	fputs("\033[H", f);
	summary(t, buf, sizeof(buf));
	line(f, buf, columns, "");
	snprintf(buf, sizeof(buf), "by %s%s; sort: b bytes, c commands, "
	    "i id, l limit, n clients, s streams, u queued; r reverse, "
	    "q quit", order->name, reverse ? ", reversed" : "");
	if (rows > 1) {
		fputs("\r\n", f);
		line(f, buf, columns, "");
	}
	header(width, buf, sizeof(buf));
	if (rows > 2) {
		fputs("\r\n", f);
		line(f, buf, columns, t->colour ? "\033[7m" : "");
	}
	for (i = 0; i < t->nrows && y < rows; i++, y++) {
		row_text(&t->rows[i], width, buf, sizeof(buf));
		if (y + 1 == rows && i + 1 < t->nrows)
			snprintf(buf, sizeof(buf), "and %zu more",
			    t->nrows - i);
		fputs("\r\n", f);
		line(f, buf, columns, t->colour &&
		    t->rows[i].percent >= NEAR_PERCENT ? "\033[31m" : "");
	}
	fputs("\033[J", f);
	if (fclose(f) == EOF)
		ctl_errx("%s", strerror(errno));
	for (i = 0; i < len; i += (size_t)n)
		if ((n = write(STDOUT_FILENO, text + i, len - i)) == -1)
			ctl_errx("stdout: %s", strerror(errno));
	free(text);
}

static void
show(struct top *t)
{
	if (t->nrows > 0)
		qsort(t->rows, t->nrows, sizeof(*t->rows), by_order);
	if (t->screen)
		show_screen(t);
	else
		show_plain(t);
}

/*
 * The daemon closes who has been stopped for too long: begin again.  The next
 * answer is compared with the last there was.
 */
static void
again(struct top *t)
{
	struct asker	 a;

	if (t->tried || ask_try(&a, t->conf) == -1)
		ctl_errx("top: %s", t->asker.error);
	ask_close(&t->asker);
	t->asker = a;
	t->tried = 1;
	t->asking = 0;
	t->next = clock_ms() + t->interval;
}

/* 1: quit. */
static int
on_key(struct top *t, char key)
{
	size_t	 i;

	if (key == 'q' || key == 'Q')
		return (1);
	if (key == ' ')
		t->next = 0;
	else if (key == 'r')
		reverse = !reverse;
	for (i = 0; i < NORDERS; i++)
		if (orders[i].key == key)
			order = &orders[i];
	if (t->now != NULL)
		show(t);
	return (0);
}

/* 1: that was the last. */
static int
on_answer(struct top *t)
{
	t->asking = t->tried = 0;
	free_rows(t);
	status_free(t->before);
	t->before = t->now;
	t->now = ask_take(&t->asker);
	make_rows(t);
	show(t);
	return (t->left > 0 && --t->left == 0);
}

/* 1: the end. */
static int
wait_and_act(struct top *t)
{
	struct pollfd	 pfd[3];
	uint64_t	 now = clock_ms();
	char		 c[64];
	ssize_t		 i, n;
	int		 r;

	if (!t->asking && now >= t->next) {
		if (ask_send(&t->asker) == -1) {
			again(t);
			return (0);
		}
		t->asking = 1;
		t->next = now + t->interval;
	}
	pfd[0].fd = t->asking ? t->asker.fd : -1;
	pfd[1].fd = wakeup[0];
	pfd[2].fd = t->keys ? STDIN_FILENO : -1;
	pfd[0].events = pfd[1].events = pfd[2].events = POLLIN;
	if (poll(pfd, 3, t->asking ? -1 : (int)(t->next - now)) == -1) {
		if (errno == EINTR)
			return (0);
		ctl_errx("poll: %s", strerror(errno));
	}
	if (pfd[1].revents != 0) {
		while (read(wakeup[0], c, sizeof(c)) > 0)
			;
		if (t->screen && t->now != NULL)
			show(t);
	}
	if (pfd[2].fd != -1 && pfd[2].revents != 0) {
		if ((n = read(STDIN_FILENO, c, sizeof(c))) <= 0)
			t->keys = 0;
		for (i = 0; i < n; i++)
			if (on_key(t, c[i]))
				return (1);
	}
	if (pfd[0].fd != -1 && pfd[0].revents != 0) {
		if ((r = ask_read(&t->asker)) == -1)
			again(t);
		if (r == 1)
			return (on_answer(t));
	}
	return (0);
}

static void
options(struct top *t, int argc, char **argv)
{
	const char	*why, *term, *no_color;
	double		 seconds;
	char		*end;
	size_t		 i;
	int		 ch;

	t->interval = 1000;
	optind = 0;
	while ((ch = getopt(argc, argv, "+d:n:o:")) != -1) {
		switch (ch) {
		case 'd':
			seconds = strtod(optarg, &end);
			if (end == optarg || *end != '\0' ||
			    !(seconds >= 0.1 && seconds <= INTERVAL_MAX))
				ctl_errx("top: -d %s: not 0.1 to %d seconds",
				    optarg, INTERVAL_MAX);
			t->interval = (uint64_t)(seconds * 1000);
			break;
		case 'n':
			t->left = (unsigned long)strtonum(optarg, 1, INT32_MAX,
			    &why);
			if (why != NULL)
				ctl_errx("top: -n %s: %s", optarg, why);
			break;
		case 'o':
			for (i = 0; i < NORDERS && strcmp(orders[i].name,
			    optarg) != 0; i++)
				;
			if (i == NORDERS)
				ctl_errx("top: -o %s: no such order", optarg);
			order = &orders[i];
			break;
		default:
			ctl_usage();
		}
	}
	if (argc != optind)
		ctl_usage();
	term = getenv("TERM");
	t->screen = isatty(STDOUT_FILENO) && term != NULL &&
	    term[0] != '\0' && strcmp(term, "dumb") != 0;
	no_color = getenv("NO_COLOR");
	t->colour = no_color == NULL || no_color[0] == '\0';
	t->keys = t->screen && isatty(STDIN_FILENO);
}

int
ctl_top(const struct ctl_conf *conf, int argc, char **argv)
{
	struct top	 t;

	memset(&t, 0, sizeof(t));
	t.conf = conf;
	options(&t, argc, argv);
	ask_open(&t.asker, conf);
	if (t.screen) {
		catch_signals();
		term_screen();
	}
	while (wait_and_act(&t) == 0)
		;
	term_restore();
	free_rows(&t);
	status_free(t.before);
	status_free(t.now);
	ask_close(&t.asker);
	return (0);
}
