#!/bin/sh
# SPDX-License-Identifier: ISC
#
# The demo, in a domain of its own, with programs of the types that those
# installed have.
#
# usage: tour directory

LOG=/dev/null TMPDIR=$1 exec /usr/lib/ccp-test/demo/demo.sh \
    /usr/lib/ccp-test/demo </dev/null
