#!/bin/sh
# SPDX-License-Identifier: ISC
#
# What a container runtime does, in its own domain.
#
# usage: runtime command [argument ...]

set -eu
# shellcheck source=regress/selinux/lib.subr
. /usr/lib/ccp-test/lib.subr

proxy=/usr/libexec/clear-containers/cc-proxy

# session SOCKET VM DIRECTORY [CONSOLE]: as the demo does it.
session() {
	ctl="cc-proxyctl -s $1"
	$ctl register "$2" "$3/ctl" "$3/tty" ${4+"$4"} >/dev/null
	$ctl hyper "$2" startpod '{"hostname":"'"$2"'","shareDir":"hyperShared"}' \
	    >/dev/null
	status=0
	# shellcheck disable=SC2016
	$ctl run "$2" c1 -- /bin/sh -c 'echo "hello from pid $$"; exit 42' ||
	    status=$?
	echo "exit status $status"
	echo 'through the proxy' |
	    $ctl run -i "$2" c1 -- /usr/bin/tr a-z A-Z
}

case $1 in
mkdir)
	mkdir "$2" ;;
session)
	shift
	session "$@" ;;
unregister)
	cc-proxyctl -s "$2" unregister "$3" >/dev/null ;;
client1)
	exec /usr/bin/python3 -I /usr/lib/ccp-test/client1 "$2" "$3" "$4" ;;
pod)
	# A daemon for this pod alone; it ends after its VM.
	$proxy -uri "unix://$2/proxy.sock" >/dev/null 2>&1 &
	wait_for test -S "$2/proxy.sock"
	session "$2/proxy.sock" "$3" "$2" ;;
esac
