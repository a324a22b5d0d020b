#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The parent parses nothing that a client or a guest wrote: the code that
# does is not even in its binary.

set -eu
cd "$(dirname "$0")/../.."
. regress/lint/lint.subr
need "the parent has no parsers" nm
need "the parent has no parsers" readelf

binary=$CCP_BUILD/cc-proxy
if [ ! -f "$binary" ]; then
	skip "the parent has no parsers" "$binary is not built"
	exit 0
fi
verdict "the parent has no parser of client or guest bytes" \
    "$(nm "$binary" | awk '{ print $NF }' |
    grep -E '^(json_|frm_|req_|rpc_|hyp_|peer_)' || :)"
verdict "the parent does not link the JSON library" \
    "$(readelf -d "$binary" | grep -i jansson || :)"
# The check sees symbols at all, and would see these.
verdict "the engine has both, as a cross-check" \
    "$(if nm "$CCP_BUILD/ccp-vmengine" | grep -q ' frm_decode$' &&
    readelf -d "$CCP_BUILD/ccp-vmengine" | grep -qi jansson; then :; else
	echo "no frm_decode or no libjansson in ccp-vmengine"; fi)"
exit "$lint_failed"
