#!/bin/sh
# SPDX-License-Identifier: ISC
#
# Makes the disk that the SELinux test boots: a Debian like this one with
# cc-proxy and its policy module installed, and every file labelled.
#
# usage: image.sh build-directory
#
# The directory is named as make was told, from where the Makefile is.  Leaves
# in build-directory/regress/selinux: vmlinux, initramfs and disk.  What was
# downloaded is kept: root, and kernel.  Exits 77 and says why if that cannot
# be done here.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
given=$1
build=$(cd "$1" && pwd)
vm=$build/regress/selinux
root=$vm/root
arch=amd64
modules='virtio_pci virtio_blk crc32c_generic ext4'
folders='drivers/virtio drivers/block fs/ext4 fs/jbd2 crypto lib'
# fs/mbcache is a file in some versions and built in, in others.
files='fs/mbcache.ko*'
packages=systemd,systemd-sysv,udev,dbus,kmod,procps,python3-minimal
packages=$packages,selinux-policy-default,selinux-utils,policycoreutils

cannot() {
	echo "$*"
	exit 77
}

# number FILE OFFSET SIZE: little-endian, as this machine.
number() {
	od -An -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '
}

# The emulator starts it sooner than the packed one; see regress/vm/image.sh.
unpack_kernel() {
	setup=$(number "$1" 497 1)
	[ "$setup" -gt 0 ] || setup=4
	at=$(((setup + 1) * 512 + $(number "$1" 584 4)))
	tail -c +$((at + 1)) "$1" | head -c "$(number "$1" 588 4)" >payload
	case $(od -An -tx1 -N 4 payload | tr -d ' ') in
	fd377a58)	xz -dc --single-stream payload >vmlinux ;;
	28b52ffd)	head -c -4 payload | zstd -dcq >vmlinux ;;
	*)		cannot "the kernel's compression is not known" ;;
	esac
}

kernel_package() {
	apt-cache depends linux-image-$arch 2>/dev/null |
	    sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1
}

make_kernel() {
	rm -rf "$vm/kernel.new"
	mkdir -p "$vm/kernel.new"
	cd "$vm/kernel.new"
	package=$(kernel_package)
	if [ -z "$package" ]; then
		apt-get -q update >log 2>&1 || :
		package=$(kernel_package)
	fi
	[ -n "$package" ] || cannot "apt knows no linux-image-$arch"
	apt-get -q download "$package" >log 2>&1 ||
	    cannot "apt cannot download $package"
	set -- '*/boot/vmlinuz-*' '*/lib/modules/*/modules.*'
	for folder in $folders; do
		set -- "$@" "*/lib/modules/*/kernel/$folder/*"
	done
	for file in $files; do
		set -- "$@" "*/lib/modules/*/kernel/$file"
	done
	# tar complains about what this version of the kernel has not got.
	dpkg-deb --fsys-tarfile "$package"_*.deb |
	    tar -xf - --wildcards "$@" 2>log || :
	[ ! -d usr/lib ] || mv usr/lib lib
	unpack_kernel boot/vmlinuz-*
	pick_modules
	make_initramfs
	rm -rf payload boot usr lib "$package"_*.deb
	cd "$vm"
	rm -rf kernel
	mv kernel.new kernel
	mv kernel/vmlinux kernel/initramfs .
}

# In the order in which they must be loaded.
pick_modules() {
	version=$(cd lib/modules && echo *)
	depmod -b . "$version"
	mkdir -p initramfs.d/modules
	for module in $modules; do
		modprobe -d . -S "$version" --show-depends "$module" >>loads ||
		    cannot "the kernel has no driver $module"
	done
	sed -n 's/^insmod \([^ ]*\).*/\1/p' loads | awk '!seen[$0]++' >paths
	while read -r path; do
		name=$(basename "$path")
		case $name in
		*.xz)	name=${name%.xz}
			xz -dc "$path" >"initramfs.d/modules/$name" ;;
		*.zst)	name=${name%.zst}
			zstd -dcq "$path" >"initramfs.d/modules/$name" ;;
		*)	cp "$path" "initramfs.d/modules/$name" ;;
		esac
		echo "$name" >>initramfs.d/modules/order
	done <paths
}

# Loads the drivers of the disk and goes there.
make_initramfs() {
	mkdir -p initramfs.d/bin initramfs.d/dev initramfs.d/root
	cp /bin/busybox initramfs.d/bin/busybox
	cat >initramfs.d/init <<-'EOF'
	#!/bin/busybox sh
	b=/bin/busybox
	while read -r module; do
		$b insmod "/modules/$module" || echo "no driver $module"
	done </modules/order
	$b mount -t devtmpfs dev /dev
	until $b mount -t ext4 /dev/vda /root; do $b sleep 1; done
	$b umount /dev
	exec $b switch_root /root /sbin/init
	EOF
	chmod +x initramfs.d/init
	(cd initramfs.d && find . | cpio -o -H newc -R 0:0 --quiet) >initramfs
}

# The packages of the libraries that the programs here are linked with.
library_packages() {
	ldd "$build/cc-proxy" "$build/ccp-frontend" "$build/ccp-vmengine" \
	    "$build/ccp-guest" "$build/cc-proxyctl" |
	    sed -n 's/.*[[:blank:]]\(\/[^ ]*\) (0x.*/\1/p' | sort -u |
	    while read -r lib; do
		dpkg -S "$(readlink -f "$lib")" 2>/dev/null ||
		    dpkg -S "/usr$(readlink -f "$lib")" 2>/dev/null || :
	done | sed 's/:.*//' | sort -u | tr '\n' ','
}

make_base() {
	suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
	rm -rf "$root.new"
	debootstrap --variant=minbase \
	    --include="$packages,$(library_packages)" \
	    "$suite" "$root.new" >"$vm/debootstrap.log" 2>&1 ||
	    cannot "debootstrap $suite: $(tail -n 1 "$vm/debootstrap.log")"
	for user in _ccproxy _ccengine; do
		chroot "$root.new" useradd --system --user-group \
		    --no-create-home --home-dir /nonexistent \
		    --shell /usr/sbin/nologin $user
	done
	rm -rf "$root.new/var/cache/apt" "$root.new/var/lib/apt/lists" \
	    "$root.new/usr/share/doc" "$root.new/usr/share/locale"
	echo 'SELINUX=enforcing' >"$root.new/etc/selinux/config"
	echo 'SELINUXTYPE=default' >>"$root.new/etc/selinux/config"
	# Nothing but the test is to be started, and nothing to be waited for.
	for unit in systemd-networkd systemd-timesyncd apt-daily.timer \
	    apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
	    fstrim.timer getty@tty1 serial-getty@ttyS0; do
		chroot "$root.new" systemctl -q mask "$unit" || :
	done 2>/dev/null
	mv "$root.new" "$root"
}

# The modules of the test, beside the interfaces of ours.
make_modules() {
	rm -rf "$vm/module"
	mkdir -p "$vm/module"
	cp "$top"/selinux/cc-proxy.te "$top"/selinux/cc-proxy.if \
	    "$here"/*.te "$here"/*.fc "$vm/module"
	env -u MAKEFLAGS make -s -C "$vm/module" \
	    -f /usr/share/selinux/devel/Makefile ccp_test.pp ccp_probe.pp \
	    >&2
}

install_all() {
	env -u MAKEFLAGS make -s -C "$top" BUILD="$given" DESTDIR="$root" \
	    UNITDIR=/lib/systemd/system SYSUSERSDIR=/usr/lib/sysusers.d \
	    TMPFILESDIR=/usr/lib/tmpfiles.d install install-selinux >&2
	dir=$root/usr/lib/ccp-test
	rm -rf "$dir"
	mkdir -p "$dir"
	install -m 755 "$here/inside.sh" "$dir/run"
	cp "$here/lib.subr" "$dir/lib.subr"
	install -m 755 "$build/ccp-guest" "$dir/vm"
	install -m 755 "$here/runtime.sh" "$dir/runtime"
	install -m 755 "$here/admin.sh" "$dir/admin"
	install -m 755 "$here/other.sh" "$dir/other"
	install -m 755 "$here/client1.py" "$dir/client1"
	# An attacker's tools, in the domains of the children.
	for child in engine frontend; do
		mkdir "$dir/$child"
		cp /bin/busybox "$dir/$child"
	done
	cp "$here"/units/* "$root/lib/systemd/system"
	chroot "$root" systemctl -q enable ccp-test.service
	cp "$vm/module/ccp_test.pp" "$vm/module/ccp_probe.pp" "$root/tmp"
	chroot "$root" semodule -n -i \
	    /usr/share/selinux/packages/cc-proxy.pp.bz2 -i \
	    /usr/share/selinux/packages/cc-proxy-ksm.cil -i /tmp/ccp_test.pp \
	    -i /tmp/ccp_probe.pp >&2
	rm "$root/tmp/ccp_test.pp" "$root/tmp/ccp_probe.pp"
}

# Labels are attributes of files, which need no SELinux to be set.
make_disk() {
	setfiles -F -r "$root" \
	    "$root/etc/selinux/default/contexts/files/file_contexts" "$root" \
	    >&2
	rm -f "$vm/disk"
	truncate -s 1G "$vm/disk"
	mke2fs -q -t ext4 -d "$root" "$vm/disk" >&2
}

[ "$(uname -m)" = x86_64 ] || cannot 'not an x86_64 host'
[ "$(id -u)" -eq 0 ] || cannot 'needs root to make a root file system'
PATH=$PATH:/sbin:/usr/sbin
grep -q '^ID=debian' /etc/os-release || cannot 'not a Debian'
for tool in qemu-system-x86_64 debootstrap apt-get dpkg-deb cpio xz depmod \
    busybox mke2fs setfiles; do
	command -v "$tool" >/dev/null || cannot "no $tool: make deps-selinux"
done
! ldd /bin/busybox >/dev/null 2>&1 ||
    cannot 'busybox is not static: make deps-selinux'

mkdir -p "$vm"
[ -f "$vm/initramfs" ] || (make_kernel)
[ -d "$root" ] || make_base
make_modules
install_all
make_disk
