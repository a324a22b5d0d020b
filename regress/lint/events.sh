#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The security events in cc-proxy-audit(7) are those of the sources: names,
# levels, and who may report them.  So are the limits that they name.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
page=man/cc-proxy-audit.7

there() {
	sed -n 's/^AUDIT([A-Z_]*,[[:blank:]]*"\([a-z-]*\)",[[:blank:]]*\([A-Z]*\),[[:blank:]]*\([A-Z |]*\))$/\1 \2 \3/p' \
	    common/audit.def | sed 's/ANY/PARENT | FRONTEND | ENGINE/' |
	    tr 'A-Z|' 'a-z,' | sed 's/ , /, /g' | sort
}
said() {
	sed -n 's/^\.It Cm \([a-z-]*\) Pq \([a-z]*\) : \([a-z, ]*\)$/\1 \2 \3/p' \
	    $page | sort
}
verdict "the manual lists each security event" \
    "$([ "$(there)" = "$(said)" ] || printf '%s\n--- not:\n%s\n' \
    "$(there)" "$(said)")"
verdict "no event of the table is left out by mistake" \
    "$([ "$(grep -c '^AUDIT(' common/audit.def)" -eq \
    "$(there | wc -l)" ] || echo common/audit.def)"

# Field names, too, in whatever list of them.
names() {
	grep -hoE "audit_(str|num)\($1, \"[a-z_]*\"" -r parent frontend \
	    vmengine common --include='*.c' | sed 's/.*"\(.*\)"/\1/'
	echo by
}
verdict "the manual tells of each field" \
    "$(names '(a|&a|&reason)' | sort -u | while read -r name; do
	grep -qE "Cm .*\b$name\b" $page man/cc-proxy.8 || echo "$name"
    done)"
verdict "the manual tells of each limit" \
    "$(grep -hoE 'audit_limit\([^"]*"[^"]*"|_limit\(c, "[^"]*"|_limit\(arg, "[^"]*"|"clients" :|"memory" :|fe_refused\(([^,]*, ){2}"[^"]*"|^[[:blank:]]*"descriptors"' \
    -r parent frontend vmengine --include='*.c' | grep -oE '"[^"]*"' |
    tr -d '"' | sort -u | while read -r limit; do
	tr '\n' ' ' <$page | sed 's/\.Cm //g' | grep -qF -e "$limit" ||
	    echo "$limit"
    done)"
exit "$lint_failed"
