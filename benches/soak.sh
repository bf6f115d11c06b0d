#!/usr/bin/env bash
# Does a long run stay what it was in its first minute? A load on 50 connections against nginx, for ten
# minutes unless said otherwise.
#
#   benches/soak.sh [SECONDS [RATE]]      600 and 2000 unless said otherwise
#
# Needs nginx. Loopback only. Prints the figures, and fails where the totals do not add up, where not
# every request was sent and answered, or where memory grew by more than a tenth after the first
# minute (or the first third of a shorter soak).
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-600} rate=${2:-2000} port=18096
source benches/setting.sh
nginx_with "$port" "keepalive_requests 1000000000; location / { return 200 'ok'; }"
nginx -c "$work/nginx.conf" -p "$work" &
until curl -s -o /dev/null "http://127.0.0.1:$port/"; do :; done

"$peakhour" run --quiet --reports "$work/runs" --tolerance ci --url "http://127.0.0.1:$port/" \
    --rate "$rate" -d "${seconds}s" -c 50 --max-rate 1000000 > "$work/said" 2>&1 & load=$!
resident() { awk '/VmRSS/ { print $2 }' "/proc/$load/status" 2> /dev/null || true; }
began=$SECONDS
warm=$((seconds / 3 < 60 ? seconds / 3 : 60))
sleep "$warm"
first=$(resident)
most=$first
# What writes the report, after the load, is not the load.
while [ $((SECONDS - began)) -lt $((seconds - 1)) ] && sleep 1 && now=$(resident) && [ -n "$now" ]; do
    most=$((now > most ? now : most))
done
code=0
wait "$load" || code=$?
python3 - "$work"/runs/*/run.json "$first" "$most" "$code" $((rate * seconds)) <<'PYTHON'
import json, sys
path, first, most, code, planned = sys.argv[1], *map(int, sys.argv[2:])
with open(path) as file:
    run = json.load(file)
totals = run["totals"]
sums = sum(run["fates"].values())
late = run["lateness"]
print(f"exit code {code}, shape {run['shape']['verdict']['kind']}, planned {totals['planned']}, sent {totals['sent']}, "
      f"answered {totals['answered']}, fates together {sums}")
print(f"resident {first} kB in the beginning, {most} kB at most ({most / first:.3f} times)")
print(f"lateness p50 {late['p50_ns'] / 1e3:.0f} µs, p99 {late['p99_ns'] / 1e3:.0f} µs, largest {late['max_ns'] / 1e6:.1f} ms; "
      f"stretched by {100 * late['max_ns'] / run['facts']['duration_ns']:.5f} % at most")
problems = []
if not planned == totals["planned"] == sums:
    problems.append("the totals do not add up")
if totals["answered"] != planned:
    problems.append("not every request was answered")
if most > first * 1.1:
    problems.append("memory grew")
if problems:
    sys.exit("soak: " + "; ".join(problems))
PYTHON
