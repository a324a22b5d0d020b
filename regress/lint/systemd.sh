#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The files for systemd, as they are installed: systemd finds no fault with
# the units, the service is not more exposed than it is meant to be, and the
# users and directories are made.  All in a root directory of its own.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr

exposure=19	# tenths; the manual tells what keeps it from being less
metrics=12	# the same of the metrics, whose socket is passed
units=/lib/systemd/system
users='_ccengine _ccproxy'
dirs='run/cc-oci-runtime run/clear-containers'

need "systemd's files" systemd-analyze
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# BUILD: a lint leaves no trace in the directory that is being tested.
env -u MAKEFLAGS -u MAKELEVEL make -s BUILD="$root/build" DESTDIR="$root" \
    LIBEXECDIR="$root/libexec" BINDIR="$root/bin" UNITDIR=$units \
    SYSUSERSDIR=/usr/lib/sysusers.d TMPFILESDIR=/usr/lib/tmpfiles.d \
    install-systemd

# What is verified must be there to be executed.
mkdir -p "$root/libexec/clear-containers" "$root/bin"
cp /bin/true "$root/libexec/clear-containers/cc-proxy"
cp /bin/true "$root/bin/cc-proxyctl"
verify() {
	systemd-analyze verify --man=no --generators=no "$@" 2>&1 |
	    grep -F "$root" || :
}

# It must find a fault that there is before its word is taken.
mkdir "$root/faulty"
sed 's/^KillMode=/Kill&/' "$root$units/cc-proxy.service" \
    >"$root/faulty/cc-proxy.service"
if [ -z "$(verify "$root/faulty/cc-proxy.service")" ]; then
	skip "systemd: units" "systemd-analyze cannot verify here"
else
	verdict "systemd: units" "$(verify "$root$units"/cc-proxy*.s*)"
fi

threshold=$(systemd-analyze security --help 2>&1 | grep -c -e --threshold ||
    :)
if [ "$threshold" -eq 0 ]; then
	skip "systemd: exposure" "this systemd-analyze does not look at files"
else
	found=$(systemd-analyze security --no-pager --offline=true \
	    --threshold=$exposure "$root$units/cc-proxy.service" 2>&1) &&
	    found=
	verdict "systemd: exposure of at most $exposure tenths" "$found"
	# It wants a name of an instance.
	cp "$root$units/cc-proxy-metrics@.service" \
	    "$root/cc-proxy-metrics@1.service"
	found=$(systemd-analyze security --no-pager --offline=true \
	    --threshold=$metrics "$root/cc-proxy-metrics@1.service" 2>&1) &&
	    found=
	verdict "systemd: metrics: exposure of at most $metrics tenths" \
	    "$found"
fi

if ! command -v systemd-sysusers >/dev/null; then
	skip "systemd: users" "systemd-sysusers is not installed"
elif [ "$(id -u)" -ne 0 ]; then
	skip "systemd: users" "needs root"
else
	mkdir -p "$root/etc"
	systemd-sysusers --root="$root" cc-proxy.conf >/dev/null 2>&1 || :
	made=$(cut -d: -f1 "$root/etc/passwd" | sort | tr '\n' ' ')
	verdict "systemd: users" "$([ "$made" = "$users " ] || echo "$made"
	grep -v ':/usr/sbin/nologin$' "$root/etc/passwd" || :)"
	verdict "systemd: users are those of the daemon" "$(
	    sed -n 's/^#define PARENT_USER_[A-Z]*[[:blank:]]*"\(.*\)"/\1/p' \
	    parent/parent.h | sort | while read -r user; do
		case " $users " in
		*" $user "*)	;;
		*)		echo "$user" ;;
		esac
	done)"
fi

if ! command -v systemd-tmpfiles >/dev/null; then
	skip "systemd: directories" "systemd-tmpfiles is not installed"
elif [ "$(id -u)" -ne 0 ]; then
	skip "systemd: directories" "needs root"
else
	systemd-tmpfiles --root="$root" --create cc-proxy.conf
	# What runtimes keep there stays.
	touch "$root/run/cc-oci-runtime/vm"
	systemd-tmpfiles --root="$root" --create --remove --clean cc-proxy.conf
	verdict "systemd: directories" "$(for dir in $dirs; do
		[ "$(stat -c '%a %u %g' "$root/$dir" 2>&1)" = '750 0 0' ] ||
		    echo "$dir"
	done
	[ -e "$root/run/cc-oci-runtime/vm" ] || echo 'a file was removed')"
fi
exit "$lint_failed"
