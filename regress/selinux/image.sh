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
modules='virtio_pci virtio_blk crc32c_generic ext4'
folders='drivers/virtio drivers/block fs/ext4 fs/jbd2 crypto lib'
# fs/mbcache is a file in some versions and built in, in others.
files='fs/mbcache.ko*'
packages=systemd,systemd-sysv,udev,dbus,kmod,procps,python3-minimal
packages=$packages,selinux-policy-default,selinux-utils,policycoreutils

# shellcheck source=regress/vm/kernel.subr
. "$here/../vm/kernel.subr"

# Loads the drivers of the disk and goes there.
make_initramfs() {
	dir=$vm/initramfs.d
	rm -rf "$dir"
	mkdir -p "$dir/bin" "$dir/dev" "$dir/root"
	cp /bin/busybox "$dir/bin/busybox"
	cp -r "$vm/kernel/modules" "$dir/modules"
	cat >"$dir/init" <<-'EOF'
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
	chmod +x "$dir/init"
	(cd "$dir" && find . | cpio -o -H newc -R 0:0 --quiet) >"$vm/initramfs"
	rm -rf "$dir"
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
	install -m 755 "$here/tour.sh" "$dir/tour"
	install -m 755 "$here/client1.py" "$dir/client1"
	mkdir "$dir/demo"
	install -m 755 "$top/demo/demo.sh" "$build/cc-proxy" \
	    "$build/ccp-frontend" "$build/ccp-vmengine" "$build/ccp-guest" \
	    "$build/cc-proxyctl" "$dir/demo"
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
make_kernel "$vm/kernel"
ln -sf kernel/vmlinux "$vm/vmlinux"
make_initramfs
[ -d "$root" ] || make_base
make_modules
install_all
make_disk
