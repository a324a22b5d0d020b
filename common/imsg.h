/* SPDX-License-Identifier: ISC */

/*
 * Message buffers and message channels between processes, with the names
 * and the behaviour of imsg_init(3) and ibuf_add(3).  Used by every process
 * of the daemon and by cc-proxyctl.  The bytes that are read are not trusted.
 * No logging, no globals; a channel belongs to one thread, and must be
 * initialised after fork(2) because it remembers the pid.
 *
 * Unless said otherwise functions return 0, or -1 with errno set, and a
 * failure changes nothing: buffers and descriptors stay where they were.
 */

#ifndef CCP_IMSG_H
#define CCP_IMSG_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <stddef.h>
#include <stdint.h>

#define IBUF_READ_SIZE		65535	/* most that one read takes */
#define IMSG_HEADER_SIZE	sizeof(struct imsg_hdr)
#define MAX_IMSGSIZE		16384	/* default limit, header included */

/* A descriptor was sent here, but this process had no free slot for it. */
#define IBUF_FD_LOST		(-3)

/*
 * Memory with a write position and a read position, and at most one
 * descriptor.  Bytes between the positions are the unread part.  A view has
 * no memory of its own: it is valid while what it looks at is not freed, not
 * written to and (a channel's message) not fetched again; it cannot grow,
 * and must not be freed, queued or given a descriptor: that aborts.
 */
struct ibuf {
	TAILQ_ENTRY(ibuf)	 entry;
	unsigned char		*buf;
	size_t			 size;	/* bytes allocated */
	size_t			 max;	/* limit of wpos; 0 for views */
	size_t			 wpos;
	size_t			 rpos;
	int			 fd;	/* owned; see ibuf_fd_get() */
};

/* For the library only; use the ibufq_ functions. */
struct ibufqueue {
	TAILQ_HEAD(, ibuf)	 bufs;
	uint32_t		 queued;
};

struct msgbuf;		/* not the one of <sys/msg.h>: include one of them */

/* All in host order: both ends are on one machine. */
struct imsg_hdr {
	uint32_t	 type;
	uint32_t	 len;		/* header included */
	uint32_t	 peerid;
	uint32_t	 pid;
};

struct imsg {
	struct imsg_hdr	 hdr;
	void		*data;		/* payload; NULL if there is none */
	struct ibuf	*buf;
};

/* Must not be moved or copied while it is in use. */
struct imsgbuf {
	struct msgbuf	*w;
	pid_t		 pid;
	uint32_t	 maxsize;	/* header included */
	int		 fd;		/* borrowed */
	int		 flags;
};

/*
 * Buffers.
 */

/*
 * ibuf_open: exactly this many bytes (0 is legal).  ibuf_dynamic: grows from
 * len to max [EINVAL: max is 0 or less than len].  Both NULL on failure
 * [ENOMEM].  ibuf_free: NULL is legal; closes the descriptor, wipes the
 * memory, keeps errno.
 */
struct ibuf	*ibuf_open(size_t);
struct ibuf	*ibuf_dynamic(size_t len, size_t max);
void		 ibuf_free(struct ibuf *);

/*
 * Append [ERANGE: over max; EINVAL: a view, or a value that does not fit;
 * ENOMEM].  n: big endian, h: host order.  A length of 0 is legal.  The
 * source must not lie in the same buffer.
 */
int	 ibuf_add(struct ibuf *, const void *, size_t);
int	 ibuf_add_ibuf(struct ibuf *, const struct ibuf *);
int	 ibuf_add_zero(struct ibuf *, size_t);
int	 ibuf_add_n8(struct ibuf *, uint64_t);
int	 ibuf_add_n16(struct ibuf *, uint64_t);
int	 ibuf_add_n32(struct ibuf *, uint64_t);
int	 ibuf_add_n64(struct ibuf *, uint64_t);
int	 ibuf_add_h16(struct ibuf *, uint64_t);
int	 ibuf_add_h32(struct ibuf *, uint64_t);
int	 ibuf_add_h64(struct ibuf *, uint64_t);

/*
 * A field of len bytes, padded with zeros [EOVERFLOW: no room for the NUL;
 * the buffer is then good for ibuf_free() only].
 */
int	 ibuf_add_strbuf(struct ibuf *, const char *, size_t len);

/*
 * len zeroed bytes at the end, valid until the buffer grows; NULL on
 * failure, and for a length of 0 when there is no memory yet.
 */
void	*ibuf_reserve(struct ibuf *, size_t len);

/*
 * Overwrite inside the unread part; pos counts from the read position
 * [ERANGE; EINVAL as above].  ibuf_seek: where those len bytes are, or NULL.
 */
void	*ibuf_seek(struct ibuf *, size_t pos, size_t len);
int	 ibuf_set(struct ibuf *, size_t pos, const void *, size_t);
int	 ibuf_set_n8(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_n16(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_n32(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_n64(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_h16(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_h32(struct ibuf *, size_t pos, uint64_t);
int	 ibuf_set_h64(struct ibuf *, size_t pos, uint64_t);

/* Lower the limit [ERANGE: above the old one or below wpos; EINVAL: view]. */
int	 ibuf_set_maxsize(struct ibuf *, size_t);

/*
 * Consume from the unread part [EBADMSG: it is shorter; nothing is consumed
 * and the caller's value is untouched].
 */
int	 ibuf_get(struct ibuf *, void *, size_t);
int	 ibuf_get_n8(struct ibuf *, uint8_t *);
int	 ibuf_get_n16(struct ibuf *, uint16_t *);
int	 ibuf_get_n32(struct ibuf *, uint32_t *);
int	 ibuf_get_n64(struct ibuf *, uint64_t *);
int	 ibuf_get_h16(struct ibuf *, uint16_t *);
int	 ibuf_get_h32(struct ibuf *, uint32_t *);
int	 ibuf_get_h64(struct ibuf *, uint64_t *);
int	 ibuf_skip(struct ibuf *, size_t);

/* The next len bytes as a view.  0 is legal. */
int	 ibuf_get_ibuf(struct ibuf *, size_t len, struct ibuf *view);

/*
 * ibuf_get_string: the next len bytes up to the first NUL as a new string,
 * which the caller frees; NULL on failure [EBADMSG, ENOMEM].
 * ibuf_get_strbuf: a field of len bytes that holds a NUL; what follows the
 * NUL is zeroed [EOVERFLOW: no NUL; consumed, cut and terminated all the
 * same.  EINVAL: len is 0].
 */
char	*ibuf_get_string(struct ibuf *, size_t len);
int	 ibuf_get_strbuf(struct ibuf *, char *, size_t len);

/* Cut the unread part to len, or zero-extend it [ERANGE; a view: cut only]. */
int	 ibuf_truncate(struct ibuf *, size_t len);

/*
 * ibuf_data: the unread part, may be NULL if it is empty.  ibuf_left: what
 * may still be added, 0 for views.  ibuf_rewind: unread from the start again
 * (of a received message: from its header).
 */
void	*ibuf_data(const struct ibuf *);
size_t	 ibuf_size(const struct ibuf *);
size_t	 ibuf_left(const struct ibuf *);
void	 ibuf_rewind(struct ibuf *);

/* Make views of memory, or of a buffer's unread part. */
void	 ibuf_from_buffer(struct ibuf *view, void *, size_t);
void	 ibuf_from_ibuf(struct ibuf *view, const struct ibuf *);

/*
 * ibuf_fd_get: the descriptor, once, and then the caller's; -1 without
 * touching errno if there is none, -1 [EMFILE] if it was lost on receipt.
 * ibuf_fd_set: the buffer takes it and closes one it had; -1 takes none;
 * IBUF_FD_LOST is kept for ibuf_fd_get().
 */
int	 ibuf_fd_avail(const struct ibuf *);
int	 ibuf_fd_get(struct ibuf *);
void	 ibuf_fd_set(struct ibuf *, int);

/* Queue for sending; the queue owns it.  An empty one sends nothing. */
void	 ibuf_close(struct msgbuf *, struct ibuf *);

/*
 * Queues of buffers.  A queue owns its buffers; ibufq_pop() gives the
 * oldest to the caller, or returns NULL.  ibufq_concat() empties from.
 */
struct ibufqueue *ibufq_new(void);
void		 ibufq_free(struct ibufqueue *);
struct ibuf	*ibufq_pop(struct ibufqueue *);
void		 ibufq_push(struct ibufqueue *, struct ibuf *);
uint32_t	 ibufq_queuelen(const struct ibufqueue *);
void		 ibufq_concat(struct ibufqueue *to, struct ibufqueue *from);
void		 ibufq_flush(struct ibufqueue *);

/*
 * An out-queue, and for readers an in-queue as well.  NULL on failure
 * [ENOMEM; EINVAL: hdrsz is 0 or above 32767].
 *
 * cb gets a view of the header and the oldest received descriptor: a number,
 * -1 for none, or IBUF_FD_LOST.  It returns a buffer with room for the whole
 * message, which belongs to the reader and into which the header is copied
 * again, or NULL with errno set.  It takes the descriptor, lost or not, by
 * setting it to -1, usually after ibuf_fd_set().
 */
struct msgbuf	*msgbuf_new(void);
struct msgbuf	*msgbuf_new_reader(size_t hdrsz,
		    struct ibuf *(*cb)(struct ibuf *, void *, int *), void *);
void		 msgbuf_free(struct msgbuf *);
/* Drop everything, descriptors and error included: as new. */
void		 msgbuf_clear(struct msgbuf *);
/* A descriptor that no header claims is an error [EBADMSG]. */
void		 msgbuf_set_strict(struct msgbuf *);
uint32_t	 msgbuf_queuelen(const struct msgbuf *);
void		 msgbuf_concat(struct msgbuf *, struct ibufqueue *);
/* The oldest complete message, now the caller's; or NULL. */
struct ibuf	*msgbuf_get(struct msgbuf *);

/*
 * One system call.  Reads return 1 (got something or would block), 0 (end of
 * file) or -1; writes return 0 (also if it would block) or -1.  The msgbuf_
 * ones pass descriptors and need a Unix domain stream socket.  A failed read
 * is final: later reads and writes fail with the same errno, messages that
 * were complete can still be fetched.  Reading without a reader: EINVAL.
 */
int	 ibuf_read(int fd, struct msgbuf *);
int	 ibuf_write(int fd, struct msgbuf *);
int	 msgbuf_read(int fd, struct msgbuf *);
int	 msgbuf_write(int fd, struct msgbuf *);

/*
 * As if these bytes had just been received together with passed (a
 * descriptor, -1 or IBUF_FD_LOST), which is taken even on failure and comes
 * with the first of them.  Returns as the reads do: 0 for a length of 0.
 */
int	 msgbuf_feed(struct msgbuf *, const void *, size_t, int passed);

/*
 * Channels.
 */

/*
 * fd stays the caller's, before and after imsgbuf_clear(), which drops all
 * messages with their descriptors and may be called twice.
 */
int	 imsgbuf_init(struct imsgbuf *, int fd);
void	 imsgbuf_clear(struct imsgbuf *);

/* Send and receive descriptors; needed at both ends. */
void	 imsgbuf_allow_fdpass(struct imsgbuf *);

/*
 * A received descriptor without a mark in its message, or a mark without a
 * descriptor, ends the channel [EBADMSG].
 */
void	 imsgbuf_set_strict(struct imsgbuf *);

/* The largest payload, both ways [ERANGE: overflow; EINVAL: over 31 bits]. */
int	 imsgbuf_set_maxsize(struct imsgbuf *, uint32_t payload);

/*
 * Returns and errors as for msgbuf_read() and msgbuf_write(); also [ERANGE:
 * an announced length is impossible; EBADMSG: descriptors break the rules].
 * Read once, then get until it returns 0.  imsgbuf_flush() writes until the
 * queue is empty, and spins on a non-blocking descriptor.
 */
int	 imsgbuf_read(struct imsgbuf *);
int	 imsgbuf_write(struct imsgbuf *);
int	 imsgbuf_flush(struct imsgbuf *);
uint32_t imsgbuf_queuelen(const struct imsgbuf *);

/*
 * 1: *imsg is a message, to be ended with imsg_free(); 0: none yet; -1.
 * imsg_get() returns its length with the header instead of 1.
 */
int	 imsgbuf_get(struct imsgbuf *, struct imsg *);
ssize_t	 imsg_get(struct imsgbuf *, struct imsg *);

/*
 * Queue one message: 1, or -1 [ERANGE: too long; ENOMEM].  A pid of 0 means
 * our own.  fd (-1: none) belongs to the queue after success and to the
 * caller after failure.
 */
int	 imsg_compose(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    int fd, const void *, size_t);
int	 imsg_composev(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    int fd, const struct iovec *, int n);

/*
 * The buffer's unread part is the payload.  It is consumed in any case and
 * must not have a descriptor [EINVAL].  Counts as two in the queue.
 */
int	 imsg_compose_ibuf(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    struct ibuf *);

/*
 * The whole payload under its old type, id and pid, without the descriptor.
 * The message stays the caller's, unread from the payload's start.
 */
int	 imsg_forward(struct imsgbuf *, struct imsg *);

/*
 * A message in steps: imsg_create() (NULL on failure), imsg_add() or
 * ibuf_add*(), ibuf_fd_set(), and imsg_close(), which queues it.
 * imsg_add() returns len, or -1 and has then freed the message; ibuf_add*()
 * do not free it.
 */
struct ibuf *imsg_create(struct imsgbuf *, uint32_t type, uint32_t id, pid_t,
	    size_t payload);
int	 imsg_add(struct ibuf *, const void *, size_t);
void	 imsg_close(struct imsgbuf *, struct ibuf *);
int	 imsg_set_maxsize(struct ibuf *, size_t payload);

uint32_t imsg_get_type(const struct imsg *);
uint32_t imsg_get_id(const struct imsg *);
pid_t	 imsg_get_pid(const struct imsg *);
/* Payload bytes not consumed yet. */
size_t	 imsg_get_len(const struct imsg *);

/*
 * Consume.  imsg_get_data: all that is left must be n bytes [EBADMSG;
 * EINVAL: n is 0].  imsg_get_buf, imsg_get_strbuf: as ibuf_get() and
 * ibuf_get_strbuf().  imsg_get_ibuf: a view of all that is left, valid until
 * imsg_free() [EBADMSG: nothing is left].
 */
int	 imsg_get_data(struct imsg *, void *, size_t n);
int	 imsg_get_buf(struct imsg *, void *, size_t n);
int	 imsg_get_strbuf(struct imsg *, char *, size_t n);
int	 imsg_get_ibuf(struct imsg *, struct ibuf *view);

/* As ibuf_fd_get(). */
int	 imsg_get_fd(struct imsg *);

/* Closes a descriptor that was not taken, wipes the memory. */
void	 imsg_free(struct imsg *);

/*
 * Park messages.  Push takes the message, rewound and with its descriptor,
 * and zeroes *imsg.  Pop returns as imsgbuf_get(); -1 [EBADMSG] if the oldest
 * buffer is no message, which is then dropped.
 */
int	 imsg_ibufq_pop(struct ibufqueue *, struct imsg *);
void	 imsg_ibufq_push(struct ibufqueue *, struct imsg *);

#endif /* CCP_IMSG_H */
