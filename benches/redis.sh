#!/usr/bin/env bash
# How much processor time does a pipelined command of Redis cost the generator, beside redis-benchmark
# with pipelines of the same depth, in one run against one server? GETs of small values, 16 deep, on
# 50 connections.
#
#   benches/redis.sh [ROUNDS] [COMMANDS A SECOND]
#
# Needs redis-server, redis-benchmark and python3. Loopback only. The figures are commands for each
# second of processor time (user and system) of the generating process: for peakhour once from start
# to end, with the plan being made, and once for the time of the load alone, as its own report has it.
# Prints a line a round and the medians; nothing here is a test.
set -euo pipefail
cd "$(dirname "$0")/.."
source benches/setting.sh
rounds=${1:-5} rate=${2:-160000} seconds=10 depth=16 connections=50 port=18379

python3 - "$rate" "$seconds" "$depth" "$connections" > "$work/gets.jsonl" <<'PYTHON'
import sys
rate, seconds, depth, connections = map(int, sys.argv[1:])
batches = rate * seconds // depth
for batch in range(batches):
    at, connection = batch * seconds * 10**9 // batches, batch % connections
    for place in range(depth):
        key = f"key:{(batch * 31 + place) % 1000:012d}"
        print(f'{{"at_ns":{at},"connection":{connection},"protocol":"redis","scheme":"redis",'
              f'"method":"GET","authority":"","target":"{key}","route":"key:*","request_head":"",'
              f'"request_body":"*2\\r\\n$3\\r\\nGET\\r\\n$16\\r\\n{key}\\r\\n",'
              f'"status":0,"flags":{128 if place else 0}}}')
PYTHON
"$peakhour" import --quiet "$work/gets.jsonl" -o "$work/gets.parquet"
cat > "$work/redis.yaml" <<YAML
# Pipelined reads.
name: redis
recording: $work/gets.parquet
target: { url: "redis://127.0.0.1:$port", allow: [127.0.0.1] }
limits: { max_rate: 1_000_000, max_in_flight: 1_000_000 }
tolerance: ci
YAML
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir "$work" > /dev/null &
until redis-cli -p "$port" ping > /dev/null 2>&1; do sleep 0.1; done
for key in $(seq 0 999); do printf 'SET key:%012d xxx\n' "$key"; done | redis-cli -p "$port" > /dev/null

# cpu_of FILE COMMAND...: runs it and writes its seconds of processor time to FILE.
cpu_of() {
    local file=$1
    shift
    python3 -c '
import resource, subprocess, sys
subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
open(sys.argv[1], "w").write(str(used.ru_utime + used.ru_stime))' "$file" "$@"
}

total=$((rate * seconds))
for round in $(seq "$rounds"); do
    cpu_of "$work/theirs" redis-benchmark -p "$port" -t get -P "$depth" -c "$connections" \
        -n "$total" -r 1000 -q
    cpu_of "$work/ours" "$peakhour" run --quiet "$work/redis.yaml" --reports "$work/run-$round"
    python3 - "$total" "$work" "$round" <<'PYTHON'
import glob, json, sys
total, work, round_ = int(sys.argv[1]), sys.argv[2], sys.argv[3]
theirs, ours = (float(open(f"{work}/{who}").read()) for who in ("theirs", "ours"))
run = json.load(open(glob.glob(f"{work}/run-{round_}/*/run.json")[0]))
answered, load = run["totals"]["answered"], run["health"]["own_cpu_seconds"]
print(f"{total / theirs:.0f} {answered / ours:.0f} {answered / load:.0f} {answered}", flush=True)
PYTHON
done | tee "$work/rounds"
python3 - "$work/rounds" <<'PYTHON'
import statistics, sys
rows = [list(map(float, line.split())) for line in open(sys.argv[1])]
theirs, whole, load, answered = (statistics.median(column) for column in zip(*rows))
print(f"redis-benchmark {theirs:.0f}, peakhour {load:.0f} under load ({load / theirs:.2f}), "
      f"{whole:.0f} from start to end ({whole / theirs:.2f}) commands for each second of processor "
      f"time; {answered:.0f} answered")
PYTHON
