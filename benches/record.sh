#!/usr/bin/env bash
# What does it cost to be recorded? wrk against nginx, directly and through `peakhour record`, by
# turns in one run.
#
#   benches/record.sh [ROUNDS]        3 unless said otherwise
#
# Needs nginx and wrk (Debian's packages). Loopback only. Prints a line a round: requests a second
# and median latency of both, the processor time of the proxy for 1000 requests, and what it missed.
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3} seconds=10 port=18190 front=18191
source benches/setting.sh

head -c 2000 /dev/zero | tr '\0' x > "$work/page"
nginx_with "$port" 'keepalive_requests 1000000;'
nginx -c "$work/nginx.conf" -p "$work" & sleep 1

load() { # PORT -> requests a second, median latency
    wrk -t1 -c20 -d"${seconds}s" --latency "http://127.0.0.1:$1/page" > "$work/wrk.txt"
    ! grep Non-2xx "$work/wrk.txt" >&2 # Errors are no measure of anything.
    awk '/Requests\/sec/ { rate = $2 } /^ *50%/ { median = $2 } END { printf "%s/s %s", rate, median }' \
        "$work/wrk.txt"
}
for round in $(seq "$rounds"); do
    direct=$(load "$port")
    "$peakhour" record --listen "127.0.0.1:$front" --upstream "127.0.0.1:$port" --grace 1s \
        -o "$work/$round.parquet" > "$work/record.txt" 2>&1 & proxy=$!
    sleep 1
    through=$(load "$front")
    ticks=$(awk '{ print $14 + $15 }' "/proc/$proxy/stat")
    kill -TERM "$proxy"
    wait "$proxy" || true
    exchanges=$(awk '/exchanges on/ { print }' "$work/record.txt")
    missing=$(grep -o 'and [0-9 ]* bytes in [0-9 ]* pieces are missing' "$work/record.txt" || echo none)
    echo "$round direct $direct · through $through · ${ticks}0 ms of the proxy · $exchanges · $missing"
done
