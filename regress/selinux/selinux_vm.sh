#!/bin/sh
# SPDX-License-Identifier: ISC
#
# cc-proxy in a machine that enforces SELinux.  Called by
# `make check-selinux`; see image.sh for what is booted and inside.sh for
# what is tested there.

set -eu
cd "$(dirname "$0")/../.."
build=${CCP_BUILD:-build}
vm=$build/regress/selinux
append='console=ttyS0 quiet loglevel=3 systemd.show_status=0 panic=-1'
# None of what is denied is to be left out of the log.
append="$append security=selinux sysctl.kernel.printk_ratelimit=0"
append="$append audit_backlog_limit=8192 log_buf_len=4M"
enforcing=${CCP_ENFORCING:-1}
limit=${CCP_LIMIT:-1800}

mkdir -p "$vm"
status=0
why=$(sh regress/selinux/image.sh "$build" 2>"$vm/log") ||
    status=$?
if [ "$status" -eq 77 ]; then
	echo "skip - selinux: enforcing machine: $why"
	exit 0
elif [ "$status" -ne 0 ]; then
	tail -n 20 "$vm/log"
	echo 'not ok - selinux: the image is made'
	exit 1
fi

# Where /dev/kvm opens, a guest need not make progress.
boot() {
	case $1 in
	kvm)	cpu=host ;;
	*)	cpu=qemu64,+rdrand ;;
	esac
	timeout -k 5 "$2" qemu-system-x86_64 -accel "$1" -cpu "$cpu" -M pc \
	    -m 512 -smp 2 -nodefaults -display none -no-user-config \
	    -no-reboot -kernel "$vm/vmlinux" -initrd "$vm/initramfs" \
	    -append "$append enforcing=$enforcing" \
	    -drive "file=$vm/disk,if=virtio,format=raw,snapshot=on" \
	    -serial "file:$vm/console" -serial "file:$vm/output" \
	    </dev/null >"$vm/qemu.log" 2>&1
}

accel=tcg
if [ -s "$build/vm/accel" ]; then
	accel=$(cat "$build/vm/accel")
fi
boot "$accel" "$limit" || :
tr -d '\r' <"$vm/output" | grep -v '^done'
tr -d '\r' <"$vm/output" | grep -q '^done [01]$' || {
	cat "$vm/qemu.log" "$vm/console"
	echo 'not ok - selinux: the machine runs all tests'
	exit 1
}
