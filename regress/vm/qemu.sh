#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Becomes a QEMU that runs the test VM.
#
# usage: qemu.sh build-directory directory share [agent-argument ...]
#
# In directory are then the sockets vm.ctl, vm.tty and vm.console; share is
# the directory that the guest mounts.

set -eu

vm=$1/vm
dir=$2
share=$3
shift 3
cmdline="console=ttyS0 quiet panic=-1 -- $*"
accel=$(cat "$vm/accel")

# Without random numbers of the processor the first that are asked for take
# the guest a second.
case $accel in
kvm)	cpu=host ;;
*)	cpu=qemu64,+rdrand ;;
esac

exec qemu-system-x86_64 -accel "$accel" -cpu "$cpu" -M pc -m 128 -smp 1 \
    -name ccp-test -nodefaults -display none -no-user-config -no-reboot \
    -kernel "$vm/vmlinux" -initrd "$vm/initramfs" -append "$cmdline" \
    -chardev "socket,id=console,path=$dir/vm.console,server=on,wait=off" \
    -serial chardev:console \
    -chardev "socket,id=ctl,path=$dir/vm.ctl,server=on,wait=off" \
    -chardev "socket,id=tty,path=$dir/vm.tty,server=on,wait=off" \
    -device virtio-serial-pci,id=ports \
    -device virtserialport,bus=ports.0,nr=1,chardev=ctl,name=sh.hyper.channel.0 \
    -device virtserialport,bus=ports.0,nr=2,chardev=tty,name=sh.hyper.channel.1 \
    -fsdev "local,id=share,path=$share,security_model=none" \
    -device virtio-9p-pci,fsdev=share,mount_tag=hyperShared
