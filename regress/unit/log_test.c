/* SPDX-License-Identifier: ISC */

/*
 * The log records' encoding, their rejection when malformed, and the child's
 * channel that never blocks.
 */

#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "log.h"
#include "test.h"

static struct log_record	 rec;
static uint8_t			 buf[LOG_RECORD_MAX + 16];
static char			 sunk[LOG_RECORD_MAX];
static enum log_level		 sunk_level;
static int			 sunk_n;

static void
sink(enum log_level level, const char *msg, const struct log_field *fields)
{
	(void)fields;
	sunk_level = level;
	strlcpy(sunk, msg, sizeof(sunk));
	sunk_n++;
}

static void
test_levels(void)
{
	test_begin("log levels");
	CHECK(log_level_parse("warn") == LOGL_WARN);
	CHECK(log_level_parse("WARNING") == LOGL_WARN);
	CHECK(log_level_parse("Debug") == LOGL_DEBUG);
	CHECK(log_level_parse("panic") == LOGL_PANIC);
	CHECK(log_level_parse("") == -1);
	CHECK(log_level_parse("trace") == -1);
	CHECK(strcmp(log_level_name(LOGL_WARN), "warning") == 0);
	CHECK(strcmp(log_level_name(LOGL_FATAL), "fatal") == 0);
}

static void
test_round_trip(void)
{
	const struct log_field	 fields[] = {
		{ "vm", "v1" }, { "section", "" }, { NULL, NULL }
	};
	size_t			 i, n;

	test_begin("log record round trip");
	n = log_encode(buf, sizeof(buf), LOGL_INFO, "hello", fields);
	CHECK(n == 4 + 5 + (1 + 2 + 2 + 2) + (1 + 7 + 2));
	CHECK(log_decode(&rec, buf, n) == 0);
	CHECK(rec.level == LOGL_INFO && rec.nfields == 2);
	CHECK(strcmp(rec.msg, "hello") == 0);
	CHECK(strcmp(rec.fields[0].key, "vm") == 0);
	CHECK(strcmp(rec.fields[0].value, "v1") == 0);
	CHECK(strcmp(rec.fields[1].value, "") == 0);

	test_begin("log record of any other length is refused");
	for (i = 0; i < n; i++)
		CHECK(log_decode(&rec, buf, i) == -1);
	buf[n] = 0;
	CHECK(log_decode(&rec, buf, n + 1) == -1);
}

static void
test_malformed(void)
{
	size_t	 n;

	test_begin("malformed log records");
	n = log_encode(buf, sizeof(buf), LOGL_INFO, "x", NULL);
	buf[0] = LOGL_DEBUG + 1;
	CHECK(log_decode(&rec, buf, n) == -1);
	n = log_encode(buf, sizeof(buf), LOGL_INFO, "x", NULL);
	buf[4] = '\0';
	CHECK(log_decode(&rec, buf, n) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\1\0\0\0\0\0", 7) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\1\0\0\1k\0\0", 8) == 0);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\1\0\0\1 \0\0", 8) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\1\0\0\1=\0\0", 8) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\15\0\0\1k\0\0", 8) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)
	    "\4\1\0\0\21kkkkkkkkkkkkkkkkk\0\0", 24) == -1);
	CHECK(log_decode(&rec, (const uint8_t *)"\4\0\377\377", 4) == -1);
}

static void
test_cut(void)
{
	static char		 big[2 * LOG_RECORD_MAX];
	const struct log_field	 one[] = { { "vm", "v1" }, { NULL, NULL } };
	const struct log_field	 two[] = {
		{ "a", big }, { "b", big }, { "c", "end" }, { NULL, NULL }
	};
	const struct log_field	 many[] = {
		{ "a", "1" }, { "b", "2" }, { "c", "3" }, { "d", "4" },
		{ "e", "5" }, { "f", "6" }, { "g", "7" }, { "h", "8" },
		{ "i", "9" }, { "j", "1" }, { "k", "2" }, { "l", "3" },
		{ "m", "4" }, { NULL, NULL }
	};
	size_t			 i, n;

	test_begin("long log text is cut");
	memset(big, 'x', sizeof(big) - 1);
	n = log_encode(buf, LOG_RECORD_MAX, LOGL_INFO, big, one);
	CHECK(n == LOG_RECORD_MAX);
	CHECK(log_decode(&rec, buf, n) == 0 && rec.nfields == 1);
	n = log_encode(buf, LOG_RECORD_MAX, LOGL_INFO, big, two);
	CHECK(n <= LOG_RECORD_MAX && log_decode(&rec, buf, n) == 0);
	CHECK(strlen(rec.msg) == (LOG_RECORD_MAX - 4) / 2);
	n = log_encode(buf, sizeof(buf), LOGL_INFO, "m", many);
	CHECK(log_decode(&rec, buf, n) == 0 && rec.nfields == LOG_FIELDS_MAX);

	test_begin("no cut inside a UTF-8 sequence, at every size");
	for (i = 0; i + 3 < sizeof(big); i += 3)
		memcpy(big + i, "\342\202\254", 3);
	for (i = 4; i < 200; i++) {
		n = log_encode(buf, i, LOGL_INFO, big, two);
		CHECK(n <= i && log_decode(&rec, buf, n) == 0);
		CHECK(strlen(rec.msg) % 3 == 0);
	}
}

static void
test_strerror(void)
{
	test_begin("log_strerror");
	CHECK(strcmp(log_strerror(ENOENT), "no such file or directory") == 0);
	CHECK(strcmp(log_strerror(EPIPE), "broken pipe") == 0);
	CHECK(strcmp(log_strerror(99999), "errno 99999") == 0);
}

static void
test_sink(void)
{
	test_begin("log sink, levels and error text");
	log_init_sink(sink, LOGL_INFO);
	CHECK(log_getlevel() == LOGL_INFO);
	log_debug("no");
	CHECK(sunk_n == 0);
	errno = EACCES;
	log_warn("open %s", "x");
	CHECK(errno == EACCES && sunk_n == 1 && sunk_level == LOGL_WARN);
	CHECK(strcmp(sunk, "open x: permission denied") == 0);
	log_setlevel(LOGL_ERROR);
	log_warnx("no");
	CHECK(sunk_n == 1);
	log_entry(LOGL_ERROR, NULL, "n %d", 7);
	CHECK(sunk_n == 2 && strcmp(sunk, "n 7") == 0);
}

static void
test_child(void)
{
	int	 i, n, size = 8192, sv[2];
	ssize_t	 len;

	test_begin("child log drops, counts, and never blocks");
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	log_init_child(sv[0], LOGL_INFO);
	for (i = 0; i < 1000; i++)
		log_info("entry %d", i);
	for (n = 0; recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT) > 0; n++)
		;
	CHECK(n > 0 && n < 1000);
	log_info("after");
	len = recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT);
	CHECK(len > 0 && log_decode(&rec, buf, (size_t)len) == 0);
	CHECK(rec.level == LOGL_WARN);
	snprintf(sunk, sizeof(sunk), "suppressed %d log records", 1000 - n);
	CHECK(strcmp(rec.msg, sunk) == 0);
	len = recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT);
	CHECK(len > 0 && log_decode(&rec, buf, (size_t)len) == 0);
	CHECK(strcmp(rec.msg, "after") == 0);
	CHECK(recv(sv[1], buf, sizeof(buf), MSG_DONTWAIT) == -1);

	test_begin("child log with its reader gone");
	close(sv[1]);
	log_info("nobody reads this");
	CHECK(1);
	close(sv[0]);
}

static void
test_fatal(void)
{
	int	 status, sv[2];
	pid_t	 pid;
	ssize_t	 len;

	test_begin("fatal in a child");
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sv) == 0);
	fflush(NULL);
	if ((pid = fork()) == 0) {
		close(sv[1]);
		log_init_child(sv[0], LOGL_WARN);
		errno = ENOMEM;
		fatal("start");
	}
	close(sv[0]);
	len = recv(sv[1], buf, sizeof(buf), 0);
	CHECK(len > 0 && log_decode(&rec, buf, (size_t)len) == 0);
	CHECK(rec.level == LOGL_FATAL);
	CHECK(strcmp(rec.msg, "start: cannot allocate memory") == 0);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	close(sv[1]);
}

int
main(void)
{
	test_levels();
	test_round_trip();
	test_malformed();
	test_cut();
	test_strerror();
	test_sink();
	test_child();
	test_fatal();
	return (test_end());
}
