#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The test proper, in the machine: what the unit ccp-test.service starts.

# shellcheck source=regress/selinux/lib.subr
. /usr/lib/ccp-test/lib.subr
PATH=/usr/bin:/usr/sbin:/bin:/sbin
export PATH

bin=/usr/lib/ccp-test
run=/run/clear-containers
run1=/run/cc-oci-runtime
ksm=/sys/kernel/mm/ksm
session='hello from pid N
exit status 42
THROUGH THE PROXY'

# domain PID, and type FILE
domain() {
	tr -d '\0' <"/proc/$1/attr/current" | cut -d: -f3
}

type_of() {
	stat -c %C "$1" | cut -d: -f3
}

pid_of() {
	pgrep -x "$1" | tr '\n' ' ' | sed 's/ $//'
}

listening() {
	grep -q " 00010000 .* $1\$" /proc/net/unix
}

# An agent's socket gets its name when it listens; who connects to it makes
# the other end, in the network namespace of the daemon.
connected() {
	grep -q " 03 *[0-9]* $1~\$" "/proc/$(pid_of cc-proxy)/net/unix"
}

denials() {
	journalctl -k -b -o cat --no-pager 2>/dev/null |
	    grep 'avc:  denied' | grep -E 'cc_proxy|cc_vm|ccp_test'
}

# all_denied NUMBER OUTPUT: so many lines, and all of them say so.
all_denied() {
	[ "$(echo "$2" | grep -c -i 'permission denied')" -eq "$1" ] &&
	    [ "$(echo "$2" | wc -l)" -eq "$1" ] || echo "$2"
}

# refused NAME DIRECTORY WHAT: registering what is there fails, because the
# parent is denied WHAT.
refused() {
	out=$(timeout 60 "$bin/runtime" client1 $run1/proxy.sock x "$2" 2>&1)
	verdict "$1" "$(all_denied 1 "$out")"
	denials | grep 'comm="cc-proxy"' | grep 'scontext=[^ ]*:cc_proxy_t:' |
	    grep -q "$3" || not_ok "$1: denied as $3"
}

# session NAME SOCKET VM DIRECTORY [CONSOLE]
session() {
	what=$1
	shift
	got=$("$bin/runtime" session "$@" 2>&1 | sed 's/pid [0-9]*/pid N/')
	equal "$what" "$got" "$session"
}

start_vm() {
	"$bin/runtime" mkdir "$1"
	systemctl start "ccp-test-vm@$(systemd-escape -p "$1").service"
	wait_for test -S "$1/tty"
}

echo
equal "the machine enforces" "$(getenforce)" Enforcing

# A daemon that makes its sockets itself.
before=$(cat $ksm/run $ksm/pages_to_scan $ksm/sleep_millisecs)
systemctl start cc-proxy.service || not_ok "the service starts"
equal "domain of the parent" "$(domain "$(pid_of cc-proxy)")" cc_proxy_t
equal "domain of the frontend" "$(domain "$(pid_of ccp-frontend)")" \
    cc_proxy_frontend_t
equal "types of the directories" "$(type_of $run) $(type_of $run1)" \
    'cc_proxy_runtime_t cc_proxy_runtime_t'
equal "types of the sockets" "$(type_of $run/proxy.sock) \
$(type_of $run1/proxy.sock) $(type_of $run/proxy.sock.ctl)" \
    'cc_proxy_sock_t cc_proxy_sock_t cc_proxy_ctl_sock_t'
equal "type of the files that steer KSM" "$(type_of $ksm/run)" cc_proxy_ksm_t

start_vm $run1/vm1
equal "types of a VM's directory and socket" \
    "$(type_of $run1/vm1) $(type_of $run1/vm1/ctl)" \
    'cc_vm_runtime_t cc_vm_runtime_t'
equal "domain of what stands for a VM" "$(domain "$(pid_of vm)")" ccp_test_vm_t
session "a session of protocol 3.x" $run/proxy.sock one $run1/vm1
engine=$(pid_of ccp-vmengine)
equal "domain of the engine" "$(domain "$engine")" cc_proxy_engine_t
equal "KSM is tuned" "$(cat $ksm/run)" 1

start_vm $run1/vm2
equal "a session of protocol 1.x" \
    "$(timeout 60 "$bin/runtime" client1 $run1/proxy.sock two $run1/vm2 2>&1)" \
    'got a line
exit status 7'
"$bin/runtime" unregister $run/proxy.sock one ||
    not_ok "unregistering"

# An administrator.
out=$("$bin/admin" "$(pid_of cc-proxy)" "$(pid_of ccp-frontend)" 2>&1)
verdict "the administrator's domain sees, signals and asks" \
    "$(for word in cc-proxy ccp-frontend; do
	echo "$out" | grep -qx "$word" || echo "$out"
done)"

systemctl stop cc-proxy.service
equal "KSM is as it was" \
    "$(cat $ksm/run $ksm/pages_to_scan $ksm/sleep_millisecs)" "$before"
equal "the service ended well" "$(systemctl is-failed cc-proxy.service)" \
    inactive
verdict "no process is left" "$(pid_of cc-proxy)$(pid_of ccp-frontend)"

# Sockets that systemd makes.
rm -f $run/proxy.sock
rmdir $run
systemctl start cc-proxy.socket cc-proxy1.socket
equal "types of the sockets of units" "$(type_of $run) \
$(type_of $run/proxy.sock) $(type_of $run1/proxy.sock)" \
    'cc_proxy_runtime_t cc_proxy_sock_t cc_proxy_sock_t'
start_vm $run1/vm3
session "a session through a socket unit" $run/proxy.sock three $run1/vm3
equal "domain of the parent that a socket started" \
    "$(domain "$(pid_of cc-proxy)")" cc_proxy_t
start_vm $run1/vm4
equal "a session of protocol 1.x through a socket unit" \
    "$(timeout 60 "$bin/runtime" client1 $run1/proxy.sock four $run1/vm4 2>&1)" \
    'got a line
exit status 7'
systemctl stop cc-proxy.socket cc-proxy1.socket cc-proxy.service

# A daemon for one pod, which its runtime starts.
pods=/run/virtcontainers
mkdir -Z $pods $pods/pods
start_vm $pods/pods/p1
got=$("$bin/runtime" pod $pods/pods/p1 five 2>&1 | sed 's/pid [0-9]*/pid N/')
equal "a daemon for one pod" "$got" "$session"
equal "its domains" "$(domain "$(pid_of cc-proxy)") \
$(domain "$(pid_of ccp-frontend)") $(domain "$(pid_of ccp-vmengine)")" \
    'cc_proxy_t cc_proxy_frontend_t cc_proxy_engine_t'
"$bin/runtime" unregister $pods/pods/p1/proxy.sock five ||
    not_ok "unregistering from the daemon for one pod"
systemctl stop "ccp-test-vm@$(systemd-escape -p $pods/pods/p1).service"
gone() {
	[ -z "$(pid_of cc-proxy)$(pid_of ccp-vmengine)" ]
}
wait_for gone
verdict "it ends with its VM and takes its socket along" \
    "$(pid_of cc-proxy)$(ls $pods/pods/p1/proxy.sock 2>/dev/null)"

demo=$("$bin/tour" $pods 2>&1)
equal "the demo" "$(echo "$demo" | tail -n 1)" 'demo: all went well' ||
    echo "$demo"
verdict "the demo leaves nothing" "$(find $pods -name 'cc-proxy-demo*')"

# What the configuration may ask for, in a unit with the rights that it takes.
mkdir -p /run/systemd/system/cc-proxy.service.d
cat >/run/systemd/system/cc-proxy.service.d/test.conf <<-EOF
	[Service]
	CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE
EOF
cat >/etc/cc-proxy.conf <<-EOF
	log level debug
	listen on "$run/proxy.sock" mode 0666 owner games group games
	listen on "$run1/proxy.sock" protocol 1 mode 0600
	vm directory "$run1" owner { root games }
	allow any from any
EOF
restorecon /etc/cc-proxy.conf
equal "type of the configuration" "$(type_of /etc/cc-proxy.conf)" \
    cc_proxy_etc_t
systemctl daemon-reload
start_vm $run1/vm5
chmod 711 $run1/vm5
chown -R games $run1/vm5
systemctl start cc-proxy.service
equal "owner of a socket" "$(stat -c %U:%G $run/proxy.sock)" games:games
session "a session at a VM of another user" $run/proxy.sock six $run1/vm5
# Any socket of a VM will do: what it says there is logged.
start_vm $run1/vm6
start_vm $run1/vm7
session "a session at a VM with a console" $run/proxy.sock seven $run1/vm6 \
    $run1/vm7/ctl
wait_for connected $run1/vm7/ctl || not_ok "the console is connected"

# Other settings for the daemon that runs, and none of those at fault.
said() {
	journalctl -b -o cat --no-pager -u cc-proxy.service | grep -qF "$1"
}
echo 'limit vms 7' >>/etc/cc-proxy.conf
systemctl reload cc-proxy.service
wait_for said 'configuration reloaded: limit vms' ||
    not_ok "systemctl reload: a setting"
echo 'limit vms none' >>/etc/cc-proxy.conf
systemctl reload cc-proxy.service
wait_for said 'reload failed: 1 error: the old configuration stays' ||
    not_ok "systemctl reload: a mistake"
equal "the daemon goes on" "$(systemctl is-active cc-proxy.service)" active

systemctl start cc-proxy-metrics.socket
equal "type of the socket of the metrics" "$(type_of $run/metrics.sock)" \
    cc_proxy_metrics_sock_t
equal "metrics" "$(python3 -I -c "
import socket
s = socket.socket(socket.AF_UNIX)
s.connect('$run/metrics.sock')
s.sendall(b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n')
text = b''.join(iter(lambda: s.recv(65536), b''))
print(text.split()[1].decode(), text.splitlines()[-1].decode())")" \
    '200 # EOF'
systemctl stop cc-proxy-metrics.socket
systemctl stop cc-proxy.service
rm -r /etc/cc-proxy.conf /run/systemd/system/cc-proxy.service.d
systemctl daemon-reload

verdict "nothing was denied" "$(denials)"

# What must be denied; the denials are expected from here on.
systemctl restart cc-proxy.service
out=$("$bin/other" $run/proxy.sock $run1/proxy.sock $run/proxy.sock.ctl)
verdict "a domain without the interface cannot connect" \
    "$(all_denied 6 "$out")"

out=$("$bin/admin" memory "$(pid_of cc-proxy)" "$(pid_of ccp-frontend)" 2>&1)
verdict "not even an administrator reads the daemon's memory" \
    "$(all_denied 2 "$out")"

# Programs in the domains of the children, as root and without any other
# sandbox.  They cannot write to a pipe: the exit status tells.
attack() {
	domain=$1
	shift
	runcon -t "cc_proxy_${domain}_t" "$bin/$domain/busybox" "$@" \
	    >/dev/null 2>&1 </dev/null
}

# hold CHILD NAME: none of these succeeds, and that because it is denied.
hold() {
	out=$(while read -r command; do
		before=$(dmesg | grep -c "denied.*:cc_proxy_$1_t:")
		# shellcheck disable=SC2086 # words
		! attack "$1" $command || echo "allowed: $command"
		[ "$(dmesg | grep -c "denied.*:cc_proxy_$1_t:")" -gt \
		    "$before" ] || echo "not denied: $command"
	done <<-EOF
	cat /etc/hostname
	cat /etc/shadow
	cat $bin/run
	cat /proc/1/status
	cat /proc/$(pid_of cc-proxy)/status
	cat /proc/meminfo
	cat $ksm/run
	ls /run/clear-containers
	ls /run/cc-oci-runtime/vm1
	ls /usr/bin
	ls /dev/shm
	touch /run/x
	touch /tmp/x
	mkdir /tmp/x
	rm $run/proxy.sock
	chmod 777 $run/proxy.sock
	ln -s /etc /tmp/x
	mknod /tmp/x p
	mkfifo /tmp/x
	dd if=/dev/zero of=$ksm/run count=1
	dd if=/dev/vda of=/dev/null count=1
	mount -t proc x /mnt
	mount -o bind /etc /mnt
	swapoff -a
	nc -l -p 1234
	nc 127.0.0.1 22
	ping -c 1 127.0.0.1
	ifconfig lo
	sh -c /usr/bin/true
	sh -c $bin/$1/busybox
	kill -0 1
	kill -0 $$
	kill -0 $(pid_of cc-proxy)
	kill -0 $(pid_of ccp-frontend)
	chown 1 /tmp
	insmod /dev/null
	dmesg
	reboot -f
EOF
)
	verdict "$2" "$out"
}

for child in engine frontend; do
	if attack $child true && attack $child test -d /; then
		ok "a program runs in the domain of the $child"
	else
		not_ok "a program runs in the domain of the $child"
	fi
	hold $child "it can do nothing in the domain of the $child"
done

mkdir /run/elsewhere
systemctl start "ccp-test-vm@$(systemd-escape -p /run/elsewhere).service"
wait_for test -S /run/elsewhere/tty
refused "a socket of another type is no VM's" /run/elsewhere '{ search }.*dir'
rm -f $run1/vm1/ctl $run1/vm1/tty
python3 -c "
import socket, sys, time
for n in 'ctl', 'tty':
	s = socket.socket(socket.AF_UNIX)
	s.bind('$run1/vm1/' + n)
	s.listen()
	globals()[n] = s
time.sleep(1000)" &
wait_for listening $run1/vm1/tty
refused "a process that is no hypervisor is no VM" $run1/vm1 '{ connectto }'
kill $!

[ "$failed" -eq 0 ] || journalctl -b -o short-monotonic --no-pager |
    grep -E 'cc_|ccp|cc-proxy' | grep -v 'comm="busybox"' | tail -n 60
echo "done $failed"
