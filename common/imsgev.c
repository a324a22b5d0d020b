/* SPDX-License-Identifier: ISC */

/*
 * imsg on libevent, and the dispatcher.  Linked into every process of the
 * daemon.  What arrives may come from a process that was taken over: a
 * message reaches its handler only if the table says so.
 */

#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsgev.h"
#include "log.h"

static void	imsgev_event(int, short, void *);
static void	imsgev_watch(struct imsgev *, short);
static void	imsgev_update(struct imsgev *);
static void	imsgev_end(struct imsgev *, enum imsgev_end);
static int	imsgev_room(struct imsgev *);
static void	imsgev_resume(int, short, void *);
static int	imsgev_messages(struct imsgev *);
static int	imsgev_dispatch(struct imsgev *, struct imsg *);

int
imsgev_init(struct imsgev *iev, int fd, const struct imsgev_handler *table,
    uint32_t state, void (*ended)(struct imsgev *, enum imsgev_end), void *arg)
{
	memset(iev, 0, sizeof(*iev));
	iev->iev_fd = -1;
	if (imsgbuf_init(&iev->iev_ibuf, fd) == -1)
		return (-1);
	imsgbuf_allow_fdpass(&iev->iev_ibuf);
	imsgbuf_set_strict(&iev->iev_ibuf);
	iev->iev_fd = fd;
	iev->iev_table = table;
	iev->iev_state = state;
	iev->iev_queue_max = IMSGEV_QUEUE_MAX;
	iev->iev_ended = ended;
	iev->iev_arg = arg;
	evtimer_set(&iev->iev_pause, imsgev_resume, iev);
	imsgev_watch(iev, EV_READ);
	return (0);
}

void
imsgev_clear(struct imsgev *iev)
{
	if (iev->iev_gone != NULL)
		*iev->iev_gone = 1;
	iev->iev_gone = NULL;
	if (iev->iev_fd == -1)
		return;
	event_del(&iev->iev_ev);
	evtimer_del(&iev->iev_pause);
	imsgbuf_clear(&iev->iev_ibuf);
	close(iev->iev_fd);
	iev->iev_fd = -1;
}

void
imsgev_send(struct imsgev *iev, uint32_t type, int fd, struct ibuf *payload)
{
	const struct msg_info	*mi = msg_info(type);
	struct ibuf		*m;

	/* What could not be encoded is not sent as nothing. */
	if (payload == NULL && mi != NULL && mi->min > 0)
		fatal("%s: %s", __func__, mi->name);
	if (iev->iev_fd == -1) {
		if (fd != -1)
			close(fd);
		ibuf_free(payload);
		return;
	}
	m = imsg_create(&iev->iev_ibuf, type, 0, 0,
	    payload == NULL ? 0 : ibuf_size(payload));
	if (m == NULL || (payload != NULL && ibuf_size(payload) > 0 &&
	    ibuf_add_ibuf(m, payload) == -1))
		fatal("%s: %s", __func__, msg_name(type));
	if (fd != -1)
		ibuf_fd_set(m, fd);
	imsg_close(&iev->iev_ibuf, m);
	ibuf_free(payload);
	/* Usually it goes at once; an error is the event loop's to find. */
	if (imsgbuf_queuelen(&iev->iev_ibuf) == 1)
		(void)imsgbuf_write(&iev->iev_ibuf);
	imsgev_update(iev);
}

void
imsgev_signal(struct imsgev *iev, uint32_t type)
{
	imsgev_send(iev, type, -1, NULL);
}

void
imsgev_flush(struct imsgev *iev)
{
	struct pollfd	 pfd;

	while (iev->iev_fd != -1 && imsgbuf_queuelen(&iev->iev_ibuf) > 0) {
		if (imsgbuf_write(&iev->iev_ibuf) == -1)
			return;
		pfd.fd = iev->iev_fd;
		pfd.events = POLLOUT;
		if (imsgbuf_queuelen(&iev->iev_ibuf) > 0 &&
		    poll(&pfd, 1, 1000) != 1)
			return;
	}
}

/* Without memory to wait for it: look again and again. */
static void
imsgev_watch(struct imsgev *iev, short want)
{
	event_set(&iev->iev_ev, iev->iev_fd, want, imsgev_event, iev);
	if (event_add(&iev->iev_ev, NULL) == -1)
		event_active(&iev->iev_ev, want, 1);
}

/* Read only while the peer takes what it is sent; write while there is any. */
static void
imsgev_update(struct imsgev *iev)
{
	uint32_t	 queued;
	short		 want;

	queued = imsgbuf_queuelen(&iev->iev_ibuf);
	want = 0;
	if (queued <= iev->iev_queue_max && !iev->iev_paused)
		want |= EV_READ;
	if (queued > 0)
		want |= EV_WRITE;
	event_del(&iev->iev_ev);
	if (want == 0)
		return;
	imsgev_watch(iev, want);
}

static void
imsgev_end(struct imsgev *iev, enum imsgev_end why)
{
	imsgev_clear(iev);
	iev->iev_ended(iev, why);
}

/*
 * Is there room for the descriptor of the next message?  If not, nothing is
 * read for a while, and the log says so once.
 */
static int
imsgev_room(struct imsgev *iev)
{
	static int	 said;
	struct timeval	 tv = { IMSGEV_PAUSE, 0 };
	int		 fd;

	if (!iev->iev_takes_fds)
		return (1);
	fd = fcntl(iev->iev_fd, F_DUPFD_CLOEXEC, 0);
	if (fd != -1) {
		close(fd);
		said = 0;
		return (1);
	}
	if (!said)
		log_warn("no room for a descriptor: waiting for one to be "
		    "closed");
	said = 1;
	iev->iev_paused = 1;
	evtimer_add(&iev->iev_pause, &tv);
	return (0);
}

static void
imsgev_resume(int fd, short event, void *arg)
{
	struct imsgev	*iev = arg;

	(void)fd;
	(void)event;
	iev->iev_paused = 0;
	imsgev_update(iev);
}

static void
imsgev_event(int fd, short event, void *arg)
{
	struct imsgev	*iev = arg;
	int		 failed, n;

	(void)fd;
	failed = 0;
	if (event & EV_WRITE)
		failed = imsgbuf_write(&iev->iev_ibuf) == -1;
	n = 1;
	/* What the peer said before it went may be waiting. */
	if ((failed || (event & EV_READ)) && imsgev_room(iev))
		n = imsgbuf_read(&iev->iev_ibuf);
	if (n == -1 && errno != ECONNRESET && errno != EPIPE)
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "read: %s", log_strerror(errno));
	if (imsgev_messages(iev) == -1)
		return;
	if (n == -1 && iev->iev_why[0] != '\0')
		imsgev_end(iev, IMSGEV_VIOLATION);
	else if (n != 1 || failed)
		imsgev_end(iev, IMSGEV_EOF);
	else
		imsgev_update(iev);
}

/*
 * The messages that were read, as long as the peer takes the answers.
 * Returns -1 if the channel ended or was cleared: iev may be gone.
 */
static int
imsgev_messages(struct imsgev *iev)
{
	struct imsg	 imsg;
	int		 gone, r;

	gone = 0;
	r = 0;
	iev->iev_gone = &gone;
	while (imsgbuf_queuelen(&iev->iev_ibuf) <= iev->iev_queue_max &&
	    (r = imsgbuf_get(&iev->iev_ibuf, &imsg)) == 1) {
		r = imsgev_dispatch(iev, &imsg);
		imsg_free(&imsg);
		if (gone)
			return (-1);
		if (r == -1)
			break;
	}
	iev->iev_gone = NULL;
	if (r == -1) {
		imsgev_end(iev, IMSGEV_VIOLATION);
		return (-1);
	}
	return (0);
}

/* Every column of the table before the handler; 0, or -1 and iev_why. */
static int
imsgev_dispatch(struct imsgev *iev, struct imsg *imsg)
{
	const struct imsgev_handler	*h;
	const struct msg_info		*mi;
	struct ibuf			 payload;
	uint32_t			 type;
	size_t				 len;
	const int			*gone = iev->iev_gone;
	int				 fd, r;

	type = imsg_get_type(imsg);
	len = imsg_get_len(imsg);
	for (h = iev->iev_table; h->type != 0; h++)
		if (h->type == type)
			break;
	if (h->type == 0 || (mi = msg_info(type)) == NULL) {
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "unexpected message %s (%u)", msg_name(type), type);
		return (-1);
	}
	if ((h->states & iev->iev_state) == 0) {
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "%s in state 0x%x", mi->name, iev->iev_state);
		return (-1);
	}
	if (len < mi->min || len > mi->max) {
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "%s of %zu bytes", mi->name, len);
		return (-1);
	}
	fd = imsg_get_fd(imsg);
	if ((fd != -1) != (mi->fd == MSG_FD)) {
		if (fd != -1)
			close(fd);
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "%s %s descriptor", mi->name,
		    fd != -1 ? "with a" : "without its");
		return (-1);
	}
	if (len > 0) {
		if (imsg_get_ibuf(imsg, &payload) == -1)
			fatal("%s", __func__);
	} else
		ibuf_from_buffer(&payload, NULL, 0);
	r = h->handle(iev, &payload, &fd);
	if (fd != -1)
		close(fd);
	if (r == -1 && !*gone)
		snprintf(iev->iev_why, sizeof(iev->iev_why),
		    "malformed %s", mi->name);
	return (r);
}
