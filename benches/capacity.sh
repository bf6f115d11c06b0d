#!/bin/sh
# How exactly the act `capacity` finds a limit that was planted into the embedded stage: as many runs as
# asked for, each with a recording, a seed and a limit of its own.
#
#   cargo build --release && benches/capacity.sh RUNS [ACT [EXPECTATION [FIRST]]]
#
# ACT are options of the act ('' for its defaults), FIRST is the first seed. The recording asks for $RATE (500)
# requests a second at random moments in sessions of three; the limit is two to six times that. $PROGRAM is
# what is measured.
# A line a run: seed, limit, requests a second at the highest multiple that was held, how far that is off,
# how long it took.
set -eu
cd "$(dirname "$0")/.."
peakhour=${PROGRAM:-$PWD/target/release/peakhour}
runs=$1 act=${2:-} expectation=${3:-latency p99 < 250ms} first=${4:-1}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

seed=$first
while [ "$seed" -lt $((first + runs)) ]; do
    limit=$(python3 - "$seed" "${RATE:-500}" <<'PYTHON'
import json, random, sys
seed, rate = int(sys.argv[1]), int(sys.argv[2])
draw = random.Random(seed)
seconds, rows = 16, []
for session in range(rate * seconds // 3):
    start = draw.uniform(0, seconds - 0.6)
    rows += [(int((start + draw.uniform(0, 0.6)) * 1e9), session) for _ in range(3)]
rows.sort()
with open("r.jsonl", "w") as out:
    for at, session in rows:
        row = dict(at_ns=at, connection=session, session=session, method="GET", status=200,
                   authority="production.example", target=f"/item/{session % 50}", route="/item/*")
        out.write(json.dumps(row) + "\n")
print(draw.randint(2 * rate, 6 * rate))
PYTHON
)
    cat > s.yaml <<YAML
# A planted limit.
name: capacity
recording: r.jsonl
target: { url: stage }
tolerance: ci
seed: $seed
acts: [ capacity: { $act } ]
expect: [ $expectation, errors < 0.1% ]
YAML
    began=$(date +%s)
    "$peakhour" -q run s.yaml --stage-fault "capacity=$limit" --reports "run$seed" > out.txt 2>&1 || true
    python3 - "$seed" "$limit" $(($(date +%s) - began)) run$seed/*/run.json <<'PYTHON'
import json, sys
seed, limit, took, run = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), json.load(open(sys.argv[4]))
seen = run["acts"][0]["evidence"]["capacity"]
rates = [t["sent_rate"] for t in seen["trials"] if t["load"] == seen["held"] and t["outcome"] == "held"]
held = sorted(rates)[len(rates) // 2] if rates else 0
count = lambda word: sum(t["outcome"] == word for t in seen["trials"])
print(f"{seed}\t{limit}\t{held:.0f}\t{100 * (held / limit - 1):+.1f} %\t{took} s\t{seen['ended']}\t"
      f"{count('held')} held, {count('failed')} not, {count('spoiled')} no evidence", flush=True)
PYTHON
    seed=$((seed + 1))
done
