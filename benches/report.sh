#!/bin/sh
# How long the report of an hour takes to write, and how large it is: a saved run of half a minute is
# stretched to 3 600 seconds of 10 000 requests, 200 routes and 12 probes.
#
# usage: [PEAKHOUR=PROGRAM] benches/report.sh RUN_FOLDER [ROUNDS]
set -eu
run=${1:?the folder of a run}
rounds=${2:-5}
here=$(cd "$(dirname "$0")" && pwd)
peakhour=${PEAKHOUR:-$here/../target/release/peakhour}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

python3 - "$run/run.json" "$folder/run.json" <<'PYTHON'
import json
import sys

with open(sys.argv[1]) as file:
    run = json.load(file)
seconds, rate = 3600, 10000
series, figures = run["series"], run["figures"]


def stretched(values, second):
    return values[second * len(values) // seconds % len(values)]


busiest = max(row["due"] for row in series)
run["series"] = []
for second in range(seconds):
    row = dict(stretched(series, second), second=second)
    for name in ("due", "sent", "answered"):
        row[name] = row[name] * rate // busiest + second % 13
    run["series"].append(row)
figures["connections"] = [900 + second % 61 for second in range(seconds)]
for group in figures["outcomes"]:
    group["by_second"] = [stretched(group["by_second"], at) * 29 for at in range(seconds)]
heat = figures["heat"]
heat["seconds"] = 15
heat["columns"] = [
    [count * 440 + (column * 7 + row) % 5 for row, count in enumerate(heat["columns"][column % len(heat["columns"])])]
    for column in range(240)
]
route = run["routes"][0]
run["routes"] = [dict(route, route=f"GET /shop/{number}/*") for number in range(200)]
points = [[at * 3_000_000_000, at * 37 % 400] for at in range(1200)]
run["probes"] = [
    {
        "name": f"redis-{number}", "kind": "redis", "facts": {}, "gaps": [], "polls": 3600, "failures": 0,
        "series": [
            {"metric": name, "kind": kind, "unit": "", "limit": None, "points": points}
            for name, kind in (("connected_clients", "gauge"), ("used_memory", "gauge"), ("hits", "counter"))
        ],
    }
    for number in range(12)
]
with open(sys.argv[2], "w") as file:
    json.dump(run, file)
PYTHON

for _ in $(seq "$rounds"); do
    begun=$(date +%s%N)
    "$peakhour" report "$folder" --quiet > /dev/null || true
    ended=$(date +%s%N)
    echo "written in $(((ended - begun) / 1000000)) ms"
done
wc -c "$folder/run.json" "$folder/report.html"
