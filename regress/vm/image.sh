#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Makes what the test VM boots: Debian's kernel, its drivers, and a root with
# the agent as the first process.  Nothing is installed on this host.
#
# usage: image.sh build-directory
#
# Leaves in build-directory/vm: vmlinux, initramfs, accel, and rootfs/, the
# root of a container.  Exits 77 and says why if that cannot be done here.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
vm=$build/vm
modules='virtio_pci virtio_console 9pnet_virtio 9p'
folders='drivers/virtio drivers/char net/9p fs/9p fs/netfs fs/fscache'
trial_limit=15

# shellcheck source=regress/vm/kernel.subr
. "$here/kernel.subr"

# busybox DIRECTORY: with a name for each of its commands.
busybox_into() {
	mkdir -p "$1/bin" "$1/sbin" "$1/usr/bin" "$1/usr/sbin" "$1/tmp"
	cp /bin/busybox "$1/bin/busybox"
	/bin/busybox --list-full | while read -r path; do
		mkdir -p "$1/$(dirname "$path")"
		[ -e "$1/$path" ] || ln -s /bin/busybox "$1/$path"
	done
}

make_root() {
	root=$vm/root
	rm -rf "$root" "$vm/rootfs"
	busybox_into "$root"
	busybox_into "$vm/rootfs"
	cp -r "$vm/kernel/modules" "$root/modules"
	cp "$here/init" "$root/init"
	cp "$build/ccp-guest" "$root/sbin/ccp-guest"
	strip "$root/sbin/ccp-guest" 2>/dev/null || :
	ldd "$build/ccp-guest" | sed -n 's/.*[[:blank:]]\(\/[^ ]*\) (0x.*/\1/p' |
	    while read -r lib; do
		mkdir -p "$root/$(dirname "$lib")"
		cp -L "$lib" "$root/$lib"
	done
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) \
	    >"$vm/initramfs"
	rm -rf "$root"
}

# Where /dev/kvm opens, a guest need not make progress.
make_accel() {
	accel=tcg
	if [ -w /dev/kvm ] && timeout -k 5 $trial_limit \
	    qemu-system-x86_64 -accel kvm -M pc -m 128 -nodefaults \
	    -display none -no-user-config -no-reboot -kernel "$vm/vmlinux" \
	    -initrd "$vm/initramfs" -append 'quiet panic=-1 -- trial' \
	    </dev/null >"$vm/kvm.log" 2>&1; then
		accel=kvm
	fi
	echo "$accel" >"$vm/accel"
}

[ "$(uname -m)" = x86_64 ] || cannot 'not an x86_64 host'
[ -x "$build/ccp-guest" ] || cannot "$build/ccp-guest is not built"
for tool in qemu-system-x86_64 apt-get dpkg-deb cpio xz depmod busybox; do
	PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null ||
	    cannot "no $tool: make deps-vm"
done
PATH=$PATH:/sbin:/usr/sbin
! ldd /bin/busybox >/dev/null 2>&1 ||
    cannot 'busybox is not static: make deps-vm'

mkdir -p "$vm"
make_kernel "$vm/kernel"
ln -sf kernel/vmlinux "$vm/vmlinux"
if [ ! -f "$vm/initramfs" ] || [ ! -d "$vm/rootfs" ] ||
    [ -n "$(find "$build/ccp-guest" "$here/init" "$here/image.sh" \
    "$vm/kernel/modules" -maxdepth 0 -newer "$vm/initramfs")" ]; then
	make_root
fi
[ -s "$vm/accel" ] || make_accel
