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
arch=amd64
modules='virtio_pci virtio_console 9pnet_virtio 9p'
folders='drivers/virtio drivers/char net/9p fs/9p fs/netfs fs/fscache'
trial_limit=15

cannot() {
	echo "$*"
	exit 77
}

# number FILE OFFSET SIZE: little-endian, as this machine.
number() {
	od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The packed kernel takes the emulator twenty seconds to unpack.  Where it
# lies is said by the header of the boot protocol.
unpack_kernel() {
	setup=$(number "$1" 497 1)
	[ "$setup" -gt 0 ] || setup=4
	at=$(((setup + 1) * 512 + $(number "$1" 584 4)))
	tail -c +$((at + 1)) "$1" | head -c "$(number "$1" 588 4)" >payload
	case $(od -An -tx1 -N 4 payload | tr -d ' ') in
	fd377a58)	xz -dc --single-stream payload >vmlinux ;;
	28b52ffd)	command -v zstd >/dev/null || cannot "no zstd"
			head -c -4 payload | zstd -dcq >vmlinux ;;
	*)		cannot "the kernel's compression is not known" ;;
	esac
}

# The kernel that the meta package depends on.
download_kernel() {
	package=$(apt-cache depends linux-image-$arch 2>/dev/null |
	    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
	[ -n "$package" ] && apt-get -q download "$package" >log 2>&1
}

# Of the kernel's files only what is needed.
fetch_kernel() {
	# What apt knows may be nothing, or older than what there is.
	if ! download_kernel; then
		[ "$(id -u)" -ne 0 ] || apt-get -q update >log 2>&1 || :
		download_kernel ||
		    cannot "apt cannot download ${package:-linux-image-$arch}"
	fi
	set -- '*/boot/vmlinuz-*' '*/lib/modules/*/modules.*'
	for folder in $folders; do
		set -- "$@" "*/lib/modules/*/kernel/$folder/*"
	done
	# tar complains about what this version of the kernel has not got.
	dpkg-deb --fsys-tarfile "$package"_*.deb |
	    tar -xf - --wildcards "$@" 2>log || :
	[ ! -d usr/lib ] || mv usr/lib lib
	unpack_kernel boot/vmlinuz-*
	rm -rf payload boot usr "$package"_*.deb
}

# In the order in which they must be loaded.
pick_modules() {
	version=$(cd lib/modules && echo *)
	depmod -b . "$version"
	mkdir modules
	for module in $modules; do
		modprobe -d . -S "$version" --show-depends "$module" >>loads ||
		    cannot "the kernel has no driver $module"
	done
	sed -n 's/^insmod \([^ ]*\).*/\1/p' loads | awk '!seen[$0]++' >paths
	while read -r path; do
		name=$(basename "$path")
		case $name in
		*.xz)	name=${name%.xz}; xz -dc "$path" >"modules/$name" ;;
		*.zst)	name=${name%.zst}
			zstd -dcq "$path" >"modules/$name" ;;
		*)	cp "$path" "modules/$name" ;;
		esac
		echo "$name" >>modules/order
	done <paths
	rm -rf lib loads paths
}

make_kernel() {
	rm -rf "$vm/kernel.new"
	mkdir -p "$vm/kernel.new"
	(cd "$vm/kernel.new" && fetch_kernel && pick_modules)
	rm -rf "$vm/kernel"
	mv "$vm/kernel.new" "$vm/kernel"
	ln -sf kernel/vmlinux "$vm/vmlinux"
}

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
[ -f "$vm/kernel/modules/order" ] || make_kernel
if [ ! -f "$vm/initramfs" ] || [ ! -d "$vm/rootfs" ] ||
    [ -n "$(find "$build/ccp-guest" "$here/init" "$here/image.sh" \
    "$vm/kernel/modules" -maxdepth 0 -newer "$vm/initramfs")" ]; then
	make_root
fi
[ -s "$vm/accel" ] || make_accel
