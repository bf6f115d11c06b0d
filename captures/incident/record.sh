#!/usr/bin/env bash
# Records peak.pcap.gz again: the healthy stack of the incident on loopback, driven by clients.py,
# captured with tcpdump in front of nginx. About 40 s. Needs root for tcpdump, and Debian's packages
# that ./check installs, and tcpdump. It stops by itself.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
stack=$here/../../stacks/incident/stack
# Fixed, since a recording's server is never a target: no stack must happen to get its port.
export NGINX_PORT=18443
work=$(mktemp -d)
tcpdump_pid=''
finish() {
    if [ -n "$tcpdump_pid" ]; then kill "$tcpdump_pid" 2> /dev/null || true; fi
    "$stack" stop "$work/stack" || true
    rm -rf "$work"
}
trap finish EXIT
"$stack" start "$work/stack"

exec 3< <(/usr/bin/python3 "$here/clients.py" "$NGINX_PORT" 30)
read -r _ <&3 # The cache is warm.
tcpdump -i lo -s 0 -B 16384 --time-stamp-precision=nano -w "$work/peak.pcap" \
    "tcp port $NGINX_PORT" 2> "$work/tcpdump.log" &
tcpdump_pid=$!
cat <&3
sleep 1
kill -INT "$tcpdump_pid"
wait "$tcpdump_pid" || true
tcpdump_pid=''
cat "$work/tcpdump.log" >&2
gzip -9n < "$work/peak.pcap" > "$here/peak.pcap.gz"
ls -l "$here/peak.pcap.gz" >&2
