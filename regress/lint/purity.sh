#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The parsers are pure: bytes in, struct or error out.  What their objects
# refer to shows it: no I/O, no log, no event loop, no clock, and no data that
# can be written to.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "parsers are pure" nm

# Names that are fine although they look like one of those below.
impure='^(_*(open|openat|creat|close|read|pread|readv|write|pwrite|writev|recv|recvfrom|recvmsg|send|sendto|sendmsg|socket|socketpair|connect|accept|accept4|bind|listen|poll|ppoll|select|ioctl|fcntl|dup|dup2|dup3|pipe|pipe2|fork|vfork|execve|system|popen|kill|raise|signal|sigaction|exit|_exit|getenv|setenv|time|gettimeofday|clock_gettime|localtime|localtime_r|getrandom|arc4random|arc4random_buf|rand|random|syscall|mmap|stat|fstat|lstat|unlink|rename)(64)?(_2|_chk)?|_*(fopen|fdopen|fclose|fread|fwrite|fputs|fputc|putc|putchar|puts|printf|vprintf|fprintf|vfprintf|dprintf|perror|fflush|fgets|getline|scanf|fscanf|syslog|vsyslog|err|errx|warn|warnx)(_chk)?|std(in|out|err)|(log|event|evtimer|bufferevent|imsgev|peer|fatal|fatalx|spawn|sbx)(_[a-z0-9_]*)?)$'

for name in frame hyper hypjson hyptext json jsonedit request reqfield rpc1 msg; do
	[ -f "common/$name.c" ] || continue
	object=$CCP_BUILD/common/$name.o
	if [ ! -f "$object" ]; then
		skip "$name.o" "not built"
		continue
	fi
	verdict "$name.o calls nothing but memory and text functions" \
	    "$(nm -u "$object" | awk '{ print $NF }' | sed 's/@.*//' |
	    grep -E "$impure" || :)"
	# r is constant; d in .data.rel.ro is, too, but nm tells them apart
	# from d only by the section's name.
	verdict "$name.o has no data that can be written to" \
	    "$(nm -f sysv "$object" | awk -F'|' '
	    { gsub(/ /, "", $1); gsub(/ /, "", $3); gsub(/ /, "", $7) }
	    $3 ~ /^[BbDdCSs]$/ && $7 !~ /^\.data\.rel\.ro/ &&
	    $1 !~ /^(__|\.L)/ { print $1, $3, $7 }')"
done
exit "$lint_failed"
