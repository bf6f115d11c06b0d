#!/usr/bin/env bash
# What does much of something cost in memory? As many recorded connections open at once as one address
# has ports for, an answer of a gigabyte, and many exchanges.
#
#   benches/crowd.sh [CONNECTIONS [EXCHANGES]]      19900 and 2000000 unless said otherwise
#
# Needs nginx, python3, and the right to open that many files (it raises its own limit as root). Loopback
# only. Prints figures; nothing here is a test.
set -euo pipefail
cd "$(dirname "$0")/.."
connections=${1:-19900} exchanges=${2:-2000000} port=18097
source benches/setting.sh
ulimit -n $((connections * 2 + 1000)) 2> /dev/null || ulimit -n "$(ulimit -Hn)"
nginx_with "$port" "keepalive_requests 1000000000; keepalive_timeout 600s;
    location = /gigabyte { root $work; } location / { return 200 'ok'; }"
sed -i "s/worker_connections 1024/worker_connections $((connections + 1000))/" "$work/nginx.conf"
truncate -s 1G "$work/gigabyte"
nginx -c "$work/nginx.conf" -p "$work" &
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do :; done

# exchanges CONNECTIONS REQUESTS RATE: each connection sends that many, by turns.
cat > "$work/exchanges.py" <<'PYTHON'
import sys
connections, requests, rate = map(int, sys.argv[1:4])
target = sys.argv[4] if len(sys.argv) > 4 else "/item"
for index in range(connections * requests):
    print(f'{{"at_ns":{index * 10**9 // rate},"connection":{index % connections},"method":"GET",'
          f'"authority":"production.example","target":"{target}","status":200,'
          f'"first_byte_ns":1000000,"last_byte_ns":1000000}}')
PYTHON

# rehearsed NAME: imports exchanges from standard input, replays them, and tells its largest resident
# memory in kB, the requests that were answered, and the connections that were opened.
rehearsed() {
    "$peakhour" import --quiet - -o "$work/$1.parquet"
    cat > "$work/$1.yaml" <<YAML
name: $1
recording: $work/$1.parquet
tolerance: ci
target: { url: "http://127.0.0.1:$port", allow: [127.0.0.1] }
speed: ${2:-1}
limits: { max_connections: 100_000, max_rate: 1_000_000 }
YAML
    /usr/bin/time -f %M -o "$work/memory" "$peakhour" run --quiet "$work/$1.yaml" \
        --reports "$work/$1" > "$work/said" 2>&1 || head -n 4 "$work/said" >&2
    python3 - "$work"/"$1"/*/run.json "$(tail -n 1 "$work/memory")" <<'PYTHON'
import json, sys
with open(sys.argv[1]) as file:
    run = json.load(file)
totals = run["totals"]
print(sys.argv[2], totals["answered"], totals["connections_opened"], totals["response_bytes"],
      run["lateness"]["p99_ns"])
PYTHON
}

read -r few _ < <(python3 "$work/exchanges.py" 50 $((connections * 2 / 50)) 2000 | rehearsed few)
read -r many answered opened _ < <(python3 "$work/exchanges.py" "$connections" 2 2000 | rehearsed many)
echo "connections: $answered answers on $opened connections, $many kB; on 50 connections $few kB;" \
    "$(((many - few) * 1024 / (connections - 50))) bytes for each more"

read -r one answered _ bytes _ < <(python3 "$work/exchanges.py" 1 1 1 /gigabyte | rehearsed large)
echo "large answer: $answered answer of $bytes bytes, $one kB"

read -r long answered _ _ late < <(python3 "$work/exchanges.py" 100 $((exchanges / 100)) 10000 \
    | rehearsed long 2)
echo "long: $answered answers of a plan at 10000/s, sent twice as fast, $long kB; p99 lateness $late ns"
