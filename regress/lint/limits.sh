#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The numbers in the manual are those in the sources: a limit that changes
# must be changed here, and with it in the LIMITS of cc-proxy(8), or in
# cc-proxy.conf(5) if its name begins with CONF_.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr

# The value of a macro that is an arithmetic expression of numbers.
value() {
	text=$(sed -n "s/^#define[[:blank:]]*$2[[:blank:]]\{1,\}//p" "$1" |
	    sed 's,/\*.*,,' | tr -d '[:blank:]')
	[ -n "$text" ] || return 0
	# Without $ it would have to be a number, not an expression.
	# shellcheck disable=SC2004
	echo "$(($text))"
}

wrong=$(while read -r file name want manual; do
	have=$(value "$file" "$name")
	[ "$have" = "$want" ] ||
		echo "$file: $name is ${have:-missing}, not $want"
	case $name in
	CONF_*)	page=cc-proxy.conf.5 ;;
	*)	page=cc-proxy.8 ;;
	esac
	tr '\n' ' ' <"man/$page" | grep -qF -e "$manual" ||
		echo "$page does not say: $manual"
done <<-EOF
	parent/parent.h PARENT_STARTS_MAX 16 .It 16 engines being started
	parent/parent.h PARENT_STARTS_RATE 200 and 200 started in a second
	parent/parent.h PARENT_READY_TIME 10 .It 10 s for a process to start
	parent/parent.h PARENT_DIAL_TIME 1 .It 1 s for the sockets
	parent/parent.h PARENT_STOP_TIME 3 which get three seconds
	common/msg.h MSG_ID_MAX 512 .It 512 bytes for an id
	common/msg.h MSG_SUN_MAX 107 .It 107 bytes for the path
	frontend/frontend.h FE_REQUEST_TIME 60 .It 60 s for such a client
	frontend/frontend.h FE_UNACKED_MAX 8 .It 8 connections passed on
	frontend/frontend.h FE_CONTROL_MAX 16 .It 16 clients of the control
	frontend/frontend.h FE_CONTROL_TIME 5 .It 5 s for such a client to take
	frontend/frontend.h FE_STATS_TIME 1 .It 1 s for engines and the parent
	frontend/frontend.h FE_STATS_PACE 100 and 100 ms between two such
	frontend/frontend.h FE_RPC_TOTAL 67108864 .It 64 MiB of requests of
	frontend/frontend.h FE_RPC_UID 33554432 .It 32 MiB of them of
	frontend/frontend.h FE_RESERVE 16777216 .It 16 MiB of memory that
	common/peer.h PEER_TEXT_MAX 16384 .It 16 KiB for the text
	common/frame.h FRM_UNROUTED_MAX 65536 .It 64 KiB for the payload
	common/frame.h FRM_STDIN_MAX 65536 .It 64 KiB for the payload
	common/frame.h FRM_PAYLOAD_MAX 1048576 .It 1 MiB for the payload
	common/json.c JSON_DEPTH_MAX 1024 .It 1024 levels
	common/json.c JSON_VALUES_MAX 65536 and 65536 values
	common/request.h REQ_STREAMS_MAX 1024 .It 1024 tokens asked for
	common/rpc1.h RPC_BODY_MAX 1048576 .It 1 MiB for a request of
	common/rpc1.h RPC_REPLY_MAX 1024 .It 1024 bytes for a reply
	common/hyper.h HYP_MESSAGE_MAX 10240 .It 10240 bytes for a message
	common/hyper.h HYP_COMMAND_MAX 1048576 .It 1 MiB for another command
	common/hyper.h HYP_STDIN_MAX 512 .It 512 bytes of stdin to hyperstart
	vmengine/vmengine.h VME_PACE_TIME 10 and 10 ms until there are more
	vmengine/vmengine.h VME_GONE_MAX 1024 .It 1024 containers that
	common/hyper.h HYP_RECV_MAX 1048576 .It 1 MiB for a message from
	vmengine/vmengine.h VME_CLOSE_TIME 10 .It 10 s for a client
	vmengine/vmengine.h VME_REPLY_MAX 16384 .It 16 KiB of responses
	vmengine/vmengine.h VME_REPLY_TOTAL 67108864 .It 64 MiB of responses
	vmengine/vmengine.h VME_AWAY_TIME 10000 away for 10 s,
	vmengine/vmengine.h VME_IOS_MAX 4096 .It 4096 I/O descriptors
	vmengine/vmengine.h VME_IN_TOTAL 67108864 .It 64 MiB of requests
	vmengine/vmengine.h VME_IN_SMALL 16384 shorter than 16 KiB
	vmengine/vmengine.h VME_INFLIGHT 64 .It 64 commands that
	vmengine/vmengine.h VME_EARLY_MAX 16 .It 16 replies
	vmengine/vmengine.h VME_LOOKAHEAD 81920 .It 80 KiB read from a shim
	vmengine/vmengine.h VME_DRAIN_MAX 4194304 .It 4 MiB of output
	common/log.c LOG_WAIT 100 room for at most 100 ms
	common/imsgev.h IMSGEV_QUEUE_MAX 1024 .It 1024 messages queued
	parent/guestdir.h GUESTDIR_MAX 64 May be given 64 times
	parent/conf.h CONF_LISTENERS_MAX 16 .It 16 listeners
	parent/conf.h CONF_VMDIRS_MAX 64 .It 64 directories
	parent/conf.h CONF_OWNERS_MAX 32 .It 32 owners
	parent/conf.h CONF_MACROS_MAX 256 .It 256 macros
	parent/conf.h CONF_FILES_MAX 64 .It 64 files,
	parent/conf.h CONF_DEPTH_MAX 8 .It 8 files
	parent/conf.h CONF_FILE_MAX 1048576 .It 1048576 bytes for a file
	parent/conf.h CONF_WORD_MAX 1024 .It 1024 bytes for a word
	parent/conf.h CONF_ERRORS_MAX 64 .It 64 errors
	parent/reload.c RELOAD_ASK_MS 1000 .It 1 s between two reloads
	parent/logsource.c BUCKET_BURST 2000 .It 2000 log messages
	parent/logsource.c BUCKET_RATE 1000 and 1000 a second
	parent/logsource.c EVENT_BURST 400 .It 400 security events of one
	parent/logsource.c EVENT_RATE 100 at once and 100 a second
EOF
)
verdict "the limits in the manual are those in the sources" "$wrong"
# Those that the file can change, as the daemon prints them.
if [ -x "$CCP_BUILD/cc-proxy" ]; then
	printed=$("$CCP_BUILD/cc-proxy" -nv -f "" | sed -n 's/^limit //p')
	verdict "the limits in cc-proxy.conf(5) are the daemon's" \
	    "$(printf '%s\n' "$printed" | while read -r line; do
		row=".It Cm ${line% *} Ta ${line##* } Ta"
		grep -qF -e "$row" man/cc-proxy.conf.5 || echo "no $row"
	    done)"
	verdict "and so are their defaults in cc-proxy(8)" \
	    "$(while IFS=';' read -r line manual; do
		printf '%s\n' "$printed" | grep -qxF -e "$line" ||
			echo "the daemon does not say: $line"
		tr '\n' ' ' <man/cc-proxy.8 | grep -qF -e "$manual" ||
			echo "cc-proxy(8) does not say: $manual"
	    done <<-EOF
		vms 4096;.It 4096 virtual machines at
		vms per uid 2048;.It 2048 of them registered
		clients 4096;.It 4096 clients that no
		clients per uid 2048;.It 2048 of them with
		clients per vm 4096;.It 4096 clients of a virtual
		served clients 65536;.It 65536 clients that an
		served clients per uid 32768;.It 32768 of them with
		tokens 1048576;.It 1048576 tokens
		tokens per uid 524288;.It 524288 of them for
		tokens per vm 16384;.It 16384 tokens
		output per shim 256K;.It 256 KiB of output
		output per vm 64M;.It 64 MiB of output
	EOF
	)"
else
	skip "the limits in cc-proxy.conf(5) are the daemon's" "not built"
fi
exit "$lint_failed"
