#!/usr/bin/env bash
# Does the load arrive when it should? 2 000 requests a second for 15 s on 18 connections, judged
# from the receiving end by an outside observer, beside the reference pacer, in one run.
#
#   PEAKHOUR_BENCH=../shared/bench benches/pacing.sh [ROUNDS]
#
# PEAKHOUR_BENCH holds arrivals.c (a server that stamps every request it reads) and
# reference_pacer.c (absolute clock_nanosleep, the physical limit of this machine). Needs cc and
# python3. Loopback only. Prints a line a round and the medians; nothing here is a test.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=${PEAKHOUR_BENCH:-../shared/bench}
rounds=${1:-3}
rate=2000 seconds=15 connections=18 port=18090
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

cc -O2 -o "$work/arrivals" "$bench/arrivals.c"
cc -O2 -o "$work/pacer" "$bench/reference_pacer.c"
cargo build --release --locked
peakhour=${CARGO_TARGET_DIR:-target}/release/peakhour

python3 benches/pacing.py make "$rate" "$seconds" "$connections" > "$work/even.jsonl"
"$peakhour" import --quiet "$work/even.jsonl" -o "$work/even.parquet"
for target in stage "http://127.0.0.1:$port"; do
    cat > "$work/${target%%:*}.yaml" <<YAML
# Even arrivals, to be judged from outside.
name: pacing
recording: $work/even.parquet
target: { url: "$target", allow: [127.0.0.1] }
YAML
done

for round in $(seq "$rounds"); do
    # The reference runs at the same time as ours, so that both meet the same machine.
    "$work/arrivals" "$port" "$work/ours.bin" 2> /dev/null & observer=$!
    sleep 0.5
    "$work/pacer" nanosleep-slack "$rate" "$seconds" "$work/reference.bin" & reference=$!
    "$peakhour" run --quiet "$work/http.yaml" --reports "$work/http-$round" > "$work/http-$round.txt" || true
    wait "$reference"
    kill -TERM "$observer"; wait "$observer" || true
    "$peakhour" run --quiet "$work/stage.yaml" --reports "$work/stage-$round" > "$work/stage-$round.txt" || true
    python3 benches/pacing.py judge "$rate" "$work/reference.bin" "$work/ours.bin" \
        "$(ls "$work/http-$round"/*/run.json)" "$(ls "$work/stage-$round"/*/run.json)"
done | tee "$work/rounds.txt"
python3 benches/pacing.py median < "$work/rounds.txt"
