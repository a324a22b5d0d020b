#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The policy module: it builds, links into the policy of the distribution,
# and the linked policy allows what cc-proxy needs and nothing that its manual
# excludes.  Nothing of this needs a kernel with SELinux.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
PATH=$PATH:/sbin:/usr/sbin
for tool in checkmodule semodule_package semodule sesearch m4 bzip2; do
	need "selinux" $tool
done
shipped=/usr/share/selinux/default
for file in /usr/share/selinux/devel/Makefile $shipped/base.pp.bz2; do
	[ -f "$file" ] || {
		skip "selinux" "no $file"
		exit 0
	}
done

work=$(cd "$CCP_BUILD" && pwd)/regress/selinux-lint
pp=$CCP_BUILD/selinux/cc-proxy.pp
cil=selinux/cc-proxy-ksm.cil
policy=$work/root/etc/selinux/default/policy
contexts=$work/root/etc/selinux/default/contexts/files/file_contexts
mkdir -p "$work"

# Two builds of one tree may get here at a time.
exec 9>"$work/lock"
flock 9

# quiet FILE: what is to be seen in the output of a build.
quiet() {
	grep -v -e '^Compiling' -e '^Creating' -e '^rm ' \
	    -e 'not in password file' "$1" || :
}

# link ROOT OPTION...: semodule's, on a policy of our own in which neverallow
# counts.
link() {
	root=$1
	shift
	status=0
	semodule -p "$root" -s default -n "$@" >"$work/log" 2>&1 ||
	    status=$?
	[ "$status" -eq 0 ] || [ -s "$work/log" ] || echo "status $status" \
	    >"$work/log"
}

# module NAME: compile $work/NAME.te beside the interfaces.
module() {
	rm -rf "${work:?}/$1"
	mkdir -p "$work/$1"
	cp selinux/cc-proxy.te selinux/cc-proxy.if "$work/$1"
	if [ -f "regress/selinux/$1.te" ]; then
		cp "regress/selinux/$1".* "$work/$1"
	else
		cat >"$work/$1/$1.te"
	fi
	env -u MAKEFLAGS make -s -C "$work/$1" \
	    -f /usr/share/selinux/devel/Makefile "$1.pp" \
	    >"$work/log" 2>&1 || echo "status $?" >>"$work/log"
}

# The store with the modules of the distribution is kept between runs.
fresh=
stamp=$(cksum $shipped/base.pp.bz2)
if [ "$(cat "$work/stamp" 2>/dev/null)" != "$stamp" ]; then
	rm -rf "$work/root"
	mkdir -p "$work/root/etc/selinux/default/contexts/files" \
	    "$work/root/var/lib/selinux"
	printf 'module-store = direct\nexpand-check = 1\n' \
	    >"$work/root/etc/selinux/semanage.conf"
	printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' \
	    >"$work/root/etc/selinux/config"
	fresh=$(for file in "$shipped"/*.pp.bz2; do
		echo "-i $file"
	done)
fi

env -u MAKEFLAGS make -s selinux BUILD="$CCP_BUILD" >"$work/log" 2>&1 ||
    echo "status $?" >>"$work/log"
verdict "the policy module builds without a word" "$(quiet "$work/log")"
module ccp_test
verdict "a module that uses its interfaces builds" "$(quiet "$work/log")"

# shellcheck disable=SC2086 # words
link "$work/root" $fresh -i "$pp" -i "$cil" -i "$work/ccp_test/ccp_test.pp"
verdict "it links, and nothing is allowed that never is to be" \
    "$(quiet "$work/log")"
[ "$lint_failed" -eq 0 ] || exit 1
echo "$stamp" >"$work/stamp"
set -- "$policy"/policy.*
verdict "the policy allows what it should, and no more" \
    "$(/usr/bin/python3 -B regress/selinux/access.py "$1" \
    <regress/selinux/access.txt 2>&1)"

label() {
	selabel_lookup -b file -f "$contexts" -k "$2" -t "$3" 2>&1 |
	    sed -n 's/^Default context: *//p' | cut -d: -f3 |
	    grep -qx "$1" || echo "$2 is not $1"
}
verdict "files get their types" "$(while read -r type path kind; do
	label "$type" "$path" "$kind"
	case $path in
	/run/*)	[ -s "$contexts.subs_dist" ] ||
		    label "$type" "/var$path" "$kind" ;;
	esac
done <<-EOF
	cc_proxy_exec_t /usr/libexec/clear-containers/cc-proxy file
	cc_proxy_frontend_exec_t /usr/libexec/clear-containers/ccp-frontend file
	cc_proxy_engine_exec_t /usr/libexec/clear-containers/ccp-vmengine file
	cc_proxy_unit_t /usr/lib/systemd/system/cc-proxy.service file
	cc_proxy_unit_t /usr/lib/systemd/system/cc-proxy.socket file
	cc_proxy_etc_t /etc/cc-proxy.conf file
	cc_proxy_runtime_t /run/clear-containers dir
	cc_proxy_runtime_t /run/cc-oci-runtime dir
	cc_proxy_sock_t /run/clear-containers/proxy.sock socket
	cc_proxy_sock_t /run/cc-oci-runtime/proxy.sock socket
	cc_proxy_ctl_sock_t /run/clear-containers/proxy.sock.ctl socket
	cc_proxy_metrics_sock_t /run/clear-containers/metrics.sock socket
	cc_proxy_unit_t /usr/lib/systemd/system/cc-proxy-metrics.socket file
	cc_vm_runtime_t /run/cc-oci-runtime/vm1 dir
	cc_vm_runtime_t /run/cc-oci-runtime/vm1/console.sock socket
	cc_vm_runtime_t /run/virtcontainers/pods/p1 dir
	cc_proxy_sock_t /run/virtcontainers/pods/p1/proxy.sock socket
	cc_proxy_ksm_t /sys/kernel/mm/ksm/run file
EOF
)"

# Each of these breaks a rule of its own, whose mention must be in the log.
module ccp_bad <<-'EOF'
	policy_module(ccp_bad, 1)
	gen_require(`
		type cc_proxy_t, cc_proxy_engine_t, cc_proxy_frontend_t;
		type bin_t, etc_t, var_run_t, init_t, initrc_t;
	')
	allow cc_proxy_engine_t bin_t:file execute_no_trans;
	allow cc_proxy_engine_t bin_t:file entrypoint;
	allow cc_proxy_engine_t init_t:process signal;
	allow cc_proxy_engine_t self:process ptrace;
	allow cc_proxy_engine_t initrc_t:process transition;
	allow cc_proxy_engine_t etc_t:file write;
	allow cc_proxy_engine_t var_run_t:sock_file write;
	allow cc_proxy_engine_t var_run_t:dir add_name;
	allow cc_proxy_engine_t self:tcp_socket create;
	allow cc_proxy_engine_t self:unix_stream_socket connectto;
	allow cc_proxy_engine_t init_t:unix_stream_socket read;
	allow cc_proxy_engine_t init_t:fd use;
	allow cc_proxy_engine_t self:capability sys_admin;
	allow cc_proxy_frontend_t self:capability dac_override;
	allow cc_proxy_frontend_t cc_proxy_engine_t:fd use;
	allow cc_proxy_t bin_t:file execute_no_trans;
	allow cc_proxy_t initrc_t:process transition;
	allow cc_proxy_t etc_t:file write;
	allow cc_proxy_t self:udp_socket create;
	allow cc_proxy_t self:capability setuid;
EOF
verdict "a module with forbidden rights builds" "$(quiet "$work/log")"
rm -rf "$work/try"
cp -R "$work/root" "$work/try"
link "$work/try" -i "$work/ccp_bad/ccp_bad.pp"
word='\([a-z_]*\)'
sed -n "s/^ *(allow $word $word ($word ($word)))\$/\1 \2 \3 \4/p" \
    "$work/log" | sort -u >"$work/refused"
verdict "each of its rights is refused" "$(sed -n \
    "s/^allow $word $word:$word $word;\$/\1 \2 \3 \4/p" \
    "$work/ccp_bad/ccp_bad.te" | sort -u |
    while read -r line; do
	grep -qx "$line" "$work/refused" || echo "not refused: $line"
done)"

# Not every host has them all.  unconfined cannot be left out of this policy.
rm -rf "$work/try"
cp -R "$work/root" "$work/try"
link "$work/try" -d setrans -d nscd -d qemu -d virt -d ksmtuned
verdict "it links without the modules that it can do without" \
    "$(quiet "$work/log")"
rm -rf "$work/try"

# What the manual lists is what there is.
page=man/cc-proxy_selinux.8
sed -n 's/^\.It Vt \([a-z_]*\).*/\1/p' $page | sort -u >"$work/said"
sed -n -e 's/^type \(cc_[a-z_]*\).*/\1/p' \
    -e 's/^attribute \(cc_[a-z_]*\).*/\1/p' \
    -e 's/^gen_tunable(\(cc_[a-z_]*\).*/\1/p' selinux/cc-proxy.te |
    grep -v cc_proxy_common_type | sort -u >"$work/there"
verdict "the manual lists each type and boolean" \
    "$(diff "$work/there" "$work/said" || :)"
sed -n 's/^\.It Fn \([a-z_]*\).*/\1/p' $page | sort -u >"$work/said"
sed -n 's/^interface(`\([a-z_]*\).*/\1/p' selinux/cc-proxy.if |
    sort -u >"$work/there"
verdict "the manual lists each interface" \
    "$(diff "$work/there" "$work/said" || :)"
exit "$lint_failed"
