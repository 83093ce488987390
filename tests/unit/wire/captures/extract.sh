#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Extracts the ASAP and ENRP messages of captures of the reference implementation:
#
#     extract.sh FOLDER > messages.txt
#     extract.sh FOLDER csp > csp.txt      the status reports instead
#
# One line a message: capture, frame, protocol (asap or enrp), transport (sctp or udp), octets in
# hex. A message that has occurred before, in whichever capture, is left out. Needs tshark.
set -eu

[ $# -eq 1 ] || [ "$#$2" = 2csp ] || { echo "usage: extract.sh FOLDER [csp]" >&2; exit 2; }

if [ $# -eq 2 ]; then
    for capture in "$1"/*.pcapng; do
        tshark -r "$capture" -Y 'udp.dstport == 2960' -T fields -e frame.number -e udp.payload \
            2>/dev/null | sed "s/^\([0-9]*\)[[:space:]]*/$(basename "$capture" .pcapng) \1 csp udp /"
    done
    exit
fi

for capture in "$1"/*.pcapng; do
    # The payload's own dissectors are off, so that all of it shows up as data.
    tshark -r "$capture" \
        --disable-protocol asap --disable-protocol enrp \
        --disable-protocol pingpongprotocol --disable-protocol fractalgeneratorprotocol \
        --disable-protocol calcappprotocol --disable-protocol componentstatusprotocol \
        -Y 'sctp.data_payload_proto_id in {11, 12} or udp.dstport in {3863, 9901}' \
        -T fields -E 'separator=|' \
        -e frame.number -e sctp.data_payload_proto_id -e udp.dstport -e data.data 2>/dev/null |
        awk -F '|' -v capture="$(basename "$capture" .pcapng)" '
            $3 == 3863 { print capture, $1, "asap udp", $4; next }
            $3 == 9901 { print capture, $1, "enrp udp", $4; next }
            {
                chunks = split($2, ppid, ",")
                if (split($4, octets, ",") != chunks) {
                    print "extract.sh: " capture " frame " $1 ": chunks without data" > "/dev/stderr"
                    exit 1
                }
                for (i = 1; i <= chunks; i++) {
                    if (ppid[i] == 11 || ppid[i] == 12) {
                        print capture, $1, (ppid[i] == 11 ? "asap sctp" : "enrp sctp"), octets[i]
                    }
                }
            }'
done | awk '!seen[$3 $4 $5]++'
