#!/usr/bin/env bash
# peakhour beside the load generators that people use, all in one run, on one machine: how many
# requests a processor second of the generator buys, how near to its moment each request arrives, and
# what a server that stands still does to the latencies.
#
#   benches/peers.sh [ROUNDS] [PART...]      3 rounds of: efficiency http2 precision ceiling omission; drift where it is asked for
#
# Needs nginx, cc and python3, and takes of wrk, ab, hey, h2load, oha and k6 what is on the PATH
# (Debian: wrk apache2-utils hey nghttp2-client; cargo install oha). The server has one processor, the
# generator another one. PEAKHOUR_BENCH holds arrivals.c, a server that stamps every request it reads,
# and reference_pacer.c, the limit of this machine. Loopback only; a table of medians, nothing here is
# a test.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=${PEAKHOUR_BENCH:-../shared/bench}
rounds=${1:-3}
shift || true
parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(efficiency http2 precision ceiling omission)
port=18095
# shellcheck source=benches/setting.sh
source benches/setting.sh
cc -O2 -o "$work/arrivals" "$bench/arrivals.c"
cc -O2 -o "$work/pacer" "$bench/reference_pacer.c"
nginx_with "$port" "keepalive_requests 1000000000; location / { return 200 'ok'; }
    location /status { stub_status; }"
url=http://127.0.0.1:$port/

server=(taskset -c 0)
generator=(taskset -c 1)
has() { command -v "$1" > /dev/null; }
handled() { curl -s "${speak[@]}" "${url}status" | awk 'NR == 3 { print $3 }'; }
own() { # peakhour, with the folder for its reports first
    "${generator[@]}" "$peakhour" run --quiet --reports "$work/$1" --tolerance ci "${@:2}" \
        > "$work/said" 2>&1 || true
}

# generate TOOL SECONDS: keep-alive GETs on 64 connections as fast as they go.
generate() {
    case $1 in
        peakhour) exec "$peakhour" run --quiet --reports "$work/e" --url "$url" --pace closed -c 64 -d "$2s" ;;
        wrk) exec wrk -t1 -c64 -d"$2s" "$url" ;;
        ab) exec ab -q -k -c 64 -t "$2" -n 100000000 "$url" ;;
        hey) exec hey -c 64 -z "$2s" "$url" ;;
        h2load) exec h2load --h1 -t1 -c64 -D "$2" "$url" ;;
        oha) exec oha --no-tui -c 64 -z "$2s" "$url" ;;
        http2-peakhour) exec "$peakhour" run --quiet --reports "$work/e" --url "$url" --http2 \
            --pace closed -c 64 -d "$2s" ;;
        http2-h2load) exec h2load -t1 -c64 -m1 -D "$2" "$url" ;;
    esac
}
export -f generate
export peakhour work url

# bought PART CONFIGURATION PREFIX TOOL...: what each tool gets answered for its processor time; the
# options of curl that speak with this server are in $speak.
bought() {
    local part=$1 configuration=$2 prefix=$3 tool
    shift 3
    "${server[@]}" nginx -c "$configuration" -p "$work" & local nginx=$!
    until curl -s "${speak[@]}" -o /dev/null "$url"; do :; done
    for round in $(seq "$rounds"); do
        for tool in "$@"; do
            has "$tool" || [ "$tool" = peakhour ] || continue
            local before=$(handled)
            "${generator[@]}" /usr/bin/time -f '%U %S %M' -o "$work/time" \
                bash -c "generate $prefix$tool 5" > "$work/said" 2>&1 || true
            local after=$(handled)
            awk -v part="$part" -v tool="$tool" -v count=$((after - before - 1)) 'END {
                printf "%s %s requests=%d cpu=%.2f per_cpu_second=%.0f rss_mb=%.0f\n",
                    part, tool, count, $1 + $2, count / ($1 + $2), $3 / 1024 }' "$work/time"
        done
    done
    kill "$nginx"; wait "$nginx" || true
}

efficiency() {
    speak=()
    bought efficiency "$work/nginx.conf" '' peakhour wrk ab h2load oha hey
}

# observed TOOL RATE SECONDS: 50 connections against the server that stamps.
observed() {
    "${server[@]}" "$work/arrivals" "$port" "$work/stamps.bin" 2> /dev/null & local observer=$!
    sleep 0.3
    case $1 in
        peakhour) own seen --url "$url" --rate "$2" -d "$3s" -c 50 --max-rate 1000000 ;;
        oha) "${generator[@]}" oha --no-tui -c 50 -q "$2" -z "$3s" "$url" > "$work/said" 2>&1 || true ;;
        k6) "${generator[@]}" k6 run -q - > "$work/said" 2>&1 <<JS || true
import http from 'k6/http';
export const options = { scenarios: { a: { executor: 'constant-arrival-rate', rate: $2,
  duration: '$3s', preAllocatedVUs: 50, maxVUs: 50 } } };
export default () => http.get('$url');
JS
            ;;
        reference) "$work/pacer" nanosleep-slack "$2" "$3" "$work/stamps2.bin" > /dev/null ;;
    esac
    kill -TERM "$observer"; wait "$observer" || true
    [ "$1" != reference ] || mv "$work/stamps2.bin" "$work/stamps.bin"
    python3 benches/pacing.py place "$2" "$work/stamps.bin"
}

precision() {
    for round in $(seq "$rounds"); do
        for rate in 1000 5000; do
            for tool in reference peakhour oha k6; do
                has "$tool" || [ "$tool" = peakhour ] || [ "$tool" = reference ] || continue
                echo "precision-$rate $tool $(observed "$tool" "$rate" 10)"
            done
        done
    done
}

ceiling() {
    for rate in 5000 10000 20000 30000 40000 50000 60000 80000; do
        for tool in peakhour oha k6; do
            has "$tool" || [ "$tool" = peakhour ] || continue
            echo "ceiling-$rate $tool $(observed "$tool" "$rate" 3)"
        done
    done
}

# Ten minutes at 1 000/s: the rate that was reached is that of all of them.
drift() {
    echo "drift peakhour $(observed peakhour 1000 600)"
}

# By prior knowledge, one stream a connection.
http2() {
    sed "s/listen 127.0.0.1:$port;/listen 127.0.0.1:$port http2;/" "$work/nginx.conf" > "$work/http2.conf"
    speak=(--http2-prior-knowledge)
    bought http2 "$work/http2.conf" http2- peakhour h2load
}

# 200 requests a second for 10 s; the server stands still for two of them. True latencies: 1.0 s at
# p90, 1.9 s at p99.
omission() {
    for round in $(seq "$rounds"); do
        "${server[@]}" nginx -c "$work/nginx.conf" -p "$work" & local nginx=$!
        until curl -s -o /dev/null "$url"; do :; done
        own "omission$round" --url "$url" --rate 200 -d 10s -c 500 & local load=$!
        sleep 4.2
        local worker=$(pgrep -P "$nginx" | head -n 1)
        kill -STOP "$worker"; sleep 2; kill -CONT "$worker"
        wait "$load"
        kill "$nginx"; wait "$nginx" || true
        python3 benches/pacing.py omission "$work/omission$round"/*/run.json
    done
}

for part in "${parts[@]}"; do "$part"; done | tee "$work/rounds.txt"
echo
python3 benches/pacing.py medians < "$work/rounds.txt"
