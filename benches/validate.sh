#!/usr/bin/env bash
# What do load generators make of a recorded peak? Each is asked for the same amount of requests in the
# same time, what the target received is recorded, and `validate` says how far that is from the peak.
# Then: how long does it take to compare two recordings of ten million exchanges?
#
#   benches/validate.sh [PART...]      tools speed
#
# Needs nginx and python3, and takes of hey, wrk, ab, oha, k6 and goreplay what is on the PATH. Loopback
# only. Prints a table; nothing here is a test.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=("$@")
[ "${#parts[@]}" -gt 0 ] || parts=(tools speed)
port=18098 tap=18099
source benches/setting.sh

# peak SEED SECONDS: sessions that come in waves, pages of several requests, a few hot resources.
cat > "$work/peak.py" <<'PYTHON'
import math, random, sys
seed, seconds = int(sys.argv[1]), float(sys.argv[2])
draw, rows, start, session = random.Random(seed), [], -100.0, 0
while start < seconds:
    start += draw.expovariate(40)
    if draw.random() > 0.5 + 0.5 * math.sin(max(start, 0) / 10):
        continue
    session, at = session + 1, start
    while True:
        for place in range(1 + int(draw.expovariate(0.6))):
            moment = at + place * draw.expovariate(250)
            if 0 <= moment < seconds:
                rows.append((moment, session, int(draw.paretovariate(1)) % 500))
        if draw.random() < 0.2:
            break
        at += math.exp(1 + draw.gauss(0, 1))
for moment, session, item in sorted(rows):
    print(f'{{"at_ns":{int(moment * 1e9)},"connection":{session},"method":"GET",'
          f'"authority":"production.example","target":"/item/{item}","status":200,'
          f'"first_byte_ns":1000000,"last_byte_ns":1000000}}')
PYTHON

# many SEED COUNT: for an hour, in no order that matters.
cat > "$work/many.py" <<'PYTHON'
import random, sys
draw, count, at = random.Random(int(sys.argv[1])), int(sys.argv[2]), 0
for index in range(count):
    at += int(draw.expovariate(1) * 3.6e12 / count)
    print(f'{{"at_ns":{at},"connection":{index // 250},"method":"GET",'
          f'"authority":"production.example","target":"/item/{int(draw.paretovariate(1)) % 20000}",'
          f'"status":200,"first_byte_ns":1000000,"last_byte_ns":2000000}}')
PYTHON

# judged NAME COMMAND...: what the command sent, by the peak.
judged() {
    local name=$1 recorder
    shift
    "$peakhour" record --quiet --listen 127.0.0.1:$tap --upstream 127.0.0.1:$port \
        -o "$work/$name.parquet" > "$work/$name.log" 2>&1 &
    recorder=$!
    # A connection without a request is none of the load.
    until (: < "/dev/tcp/127.0.0.1/$tap") 2> /dev/null; do :; done
    "$@" > "$work/$name.out" 2>&1 || true
    kill -INT "$recorder"
    wait "$recorder" || true
    "$peakhour" validate "$work/peak.parquet" "$work/$name.parquet" --tolerance ci --json - \
        > "$work/$name.json" || true
    python3 - "$name" "$work/$name.json" <<'PYTHON'
import json, sys
with open(sys.argv[2]) as file:
    said = json.load(file)
print(f'{sys.argv[1]}: {said["verdict"]["kind"]}'
      f' ({"request by request" if said["paired"] else "as samples"})')
for difference in said["differences"]:
    print(f'    {difference}')
PYTHON
}

tools() {
    nginx_with "$port" "keepalive_requests 1000000000; location / { return 200 'ok'; }"
    nginx -c "$work/nginx.conf" -p "$work" &
    until curl -s -o /dev/null "http://127.0.0.1:$port/"; do :; done
    python3 "$work/peak.py" 1 60 > "$work/peak.jsonl"
    "$peakhour" import --quiet "$work/peak.jsonl" -o "$work/peak.parquet"
    local requests rate url=http://127.0.0.1:$tap/item/1
    requests=$(wc -l < "$work/peak.jsonl")
    rate=$((requests / 60))
    echo "the peak: $requests requests in 60 s"
    cat > "$work/replay.yaml" <<YAML
recording: $work/peak.parquet
target: { url: "http://127.0.0.1:$tap", allow: [127.0.0.1] }
YAML
    judged peakhour "$peakhour" run --quiet "$work/replay.yaml" --reports "$work/reports"
    judged even-pacing "$peakhour" run --quiet --url "$url" --rate "$rate" -d 60s -c 50 \
        --reports "$work/reports"
    # hey takes its rate for each worker.
    [ -z "$(type -P hey)" ] || judged hey hey -z 60s -c 10 -q $((rate / 10)) "$url"
    [ -z "$(type -P wrk)" ] || judged wrk wrk -t1 -c10 -d10s "$url"
    [ -z "$(type -P ab)" ] || judged ab ab -k -q -c 10 -n "$requests" "$url"
    [ -z "$(type -P oha)" ] || judged oha oha --no-tui -z 60s -c 50 -q "$rate" "$url"
    if [ -n "$(type -P k6)" ]; then
        cat > "$work/k6.js" <<JS
import http from 'k6/http';
export const options = { scenarios: { peak: { executor: 'constant-arrival-rate', rate: $rate,
    timeUnit: '1s', duration: '60s', preAllocatedVUs: 50 } } };
export default function () { http.get('$url'); }
JS
        judged k6 k6 run --quiet "$work/k6.js"
    fi
}

speed() {
    local side
    for side in 1 2; do
        python3 "$work/many.py" "$side" 10000000 \
            | "$peakhour" import --quiet - -o "$work/many$side.parquet"
    done
    for round in 1 2 3 4 5; do
        /usr/bin/time -f "two of ten million, on one processor: %e s, %U s of them its own, %M kB" \
            taskset -c 1 "$peakhour" validate --quiet "$work/many1.parquet" "$work/many2.parquet" \
            > "$work/said"
    done
}

for part in "${parts[@]}"; do "$part"; done
