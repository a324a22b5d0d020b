#!/bin/sh
# SPDX-License-Identifier: ISC
#
# A tour of cc-proxy that needs neither root nor a virtual machine: the guest
# agent runs as a plain process on this host.  Called by `make demo`.  With
# VM=qemu it runs in a virtual machine after all.
#
# usage: demo.sh [build-directory]
#
# The daemon and the agent log to the file that LOG names, if it does.

set -eu

build=${1:-${BUILD:-build}}
build=$(cd "$build" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
vm=${VM:-}
dir=$(mktemp -d "${TMPDIR:-/tmp}/cc-proxy-demo.XXXXXX")
log=${LOG:-$dir/log}
guest=
proxy=

# Runs on every way out; what failed decides the exit status.
cleanup() {
	status=$?
	set +e
	trap - EXIT
	trap '' HUP INT TERM
	for pid in $proxy $guest; do
		kill "$pid" 2>/dev/null || :
	done
	for pid in $proxy $guest; do
		wait "$pid" 2>/dev/null || :
	done
	if [ "$status" -ne 0 ] && [ -s "$log" ]; then
		echo "demo: the daemon and the agent logged:" >&2
		tail -n 20 "$log" >&2
	fi
	rm -rf "$dir"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
	echo "demo: $*" >&2
	exit 1
}

say() {
	printf '\n'
	printf '# %s\n' "$@"
}

ctl() {
	"$build/cc-proxyctl" -s "$dir/proxy.sock" "$@"
}

# Like ctl, and shows the command that a user would type.
show() {
	printf '$ cc-proxyctl'
	for arg in "$@"; do
		case $arg in
		*[!A-Za-z0-9_./:=-]*)	printf " '%s'" "$arg" ;;
		*)			printf ' %s' "$arg" ;;
		esac
	done
	printf '\n'
	ctl "$@"
}

# wait_for PID WHAT COMMAND...: until the command succeeds or PID is gone.
wait_for() {
	pid=$1
	what=$2
	shift 2
	tries=600
	until "$@" >/dev/null 2>&1; do
		kill -0 "$pid" 2>/dev/null || fail "$what ended at once"
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "$what does not get ready"
		sleep 0.1
	done
}

both_there() {
	[ -S "$dir/vm.ctl" ] && [ -S "$dir/vm.tty" ]
}

# The file of a socket is there a moment before it takes connections.
vm_there() {
	for socket in ctl tty console; do
		grep -q " 00010000 .* $dir/vm\.$socket\$" /proc/net/unix ||
		    return 1
	done
}

start_agent() {
	say 'The guest agent.  In a virtual machine it answers on two virtio ports;' \
	    'here it is a process of this host with two sockets.'
	"$build/ccp-guest" -c "$dir/vm.ctl" -t "$dir/vm.tty" \
	    </dev/null >>"$log" 2>&1 &
	guest=$!
	wait_for "$guest" ccp-guest both_there
	echo "ccp-guest runs, pid $guest"
}

start_vm() {
	say 'The guest agent is the first process of a virtual machine and' \
	    'answers on two virtio ports.  To the host these are two sockets.'
	sh "$here/../regress/vm/image.sh" "$build" >>"$log" 2>&1 ||
	    fail "there is no virtual machine here"
	mkdir -p "$dir/share/c1"
	cp -R "$build/vm/rootfs" "$dir/share/c1/rootfs"
	sh "$here/../regress/vm/qemu.sh" "$build" "$dir" "$dir/share" \
	    </dev/null >>"$log" 2>&1 &
	guest=$!
	wait_for "$guest" QEMU vm_there
	echo "QEMU runs, pid $guest"
}

for program in cc-proxy cc-proxyctl ccp-guest; do
	[ -x "$build/$program" ] || fail "$build/$program: not built"
done

case $vm in
'')	start_agent ;;
qemu)	start_vm ;;
*)	fail "VM=$vm: only qemu is known" ;;
esac

say 'The daemon: a parent, a frontend that accepts clients, and from now on' \
    'one engine for each virtual machine.'
"$build/cc-proxy" -socket-path "$dir/proxy.sock" -log info -ksm off \
    -libexec "$build" </dev/null >>"$log" 2>&1 &
proxy=$!
wait_for "$proxy" cc-proxy ctl status
echo "cc-proxy runs, pid $proxy"

say 'Announce the virtual machine.  The daemon connects to its agent.'
show register demo "$dir/vm.ctl" "$dir/vm.tty"
show status

say 'Tell the agent to start its pod.'
show hyper demo startpod '{"hostname":"demo","shareDir":"hyperShared"}'

say 'A process in a container.  Its output and its exit status come back' \
    'through the engine, each process with a token of its own.'
status=0
# shellcheck disable=SC2016
show run demo c1 -- /bin/sh -c \
    'echo "hello from $(uname -n), I am pid $$"; exit 42' || status=$?
[ "$status" -eq 42 ] || fail "exit status $status, expected 42"
echo "exit status: $status"

say 'Standard input goes the other way.'
out=$(echo 'through the proxy' | ctl run -i demo c1 -- /usr/bin/tr a-z A-Z)
[ "$out" = 'THROUGH THE PROXY' ] || fail "unexpected output: $out"
echo "\$ echo 'through the proxy' | cc-proxyctl run -i demo c1 --" \
    "/usr/bin/tr a-z A-Z"
echo "$out"

if [ -t 0 ] && [ -t 1 ]; then
	say 'And now you: a shell in a container.  "exit" or ^D ends the demo.' \
	    "In another terminal, try:" \
	    "  $build/cc-proxyctl -s $dir/proxy.sock status" \
	    "  $build/cc-proxyctl -s $dir/proxy.sock run demo c1 -- ps"
	show run -t -i demo c1 -- /bin/sh || :
fi

say 'Forget the virtual machine again.'
show unregister demo
echo
echo 'demo: all went well'
