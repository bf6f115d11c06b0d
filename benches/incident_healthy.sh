#!/usr/bin/env bash
# Does a healthy release ever get a finding? Rehearses the incident's healthy stack again and again,
# and counts what was found.
#
#   benches/incident_healthy.sh [RUNS]        50 unless said otherwise
#
# PEAKHOUR_SPEED shortens it (2.5 unless said otherwise). Prints a line a run: its number, exit code,
# seconds, and the checks that failed; then the totals. Ends with 0 if every run passed.
set -euo pipefail
cd "$(dirname "$0")/.."
runs=${1:-50}
export PEAKHOUR_SPEED=${PEAKHOUR_SPEED:-2.5}
cargo build --release --locked
export PEAKHOUR=${CARGO_TARGET_DIR:-target}/release/peakhour
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

passed=0 invalid=0 found=0
for number in $(seq "$runs"); do
    began=$SECONDS code=0
    stacks/incident/rehearse --quiet --reports "$work/$number" > "$work/$number.txt" 2>&1 ||
        code=$?
    failed=$(/usr/bin/python3 - "$work/$number"/*/run.json <<'PY' || true
import json, sys
run = json.load(open(sys.argv[1]))
failed = [each["check"] for each in run["findings"] if each["outcome"] == "fail"]
failed += [each["text"] for each in run["expectations"] if each["outcome"] == "fail"]
print(", ".join(failed))
PY
    )
    echo "$number $code $((SECONDS - began))s ${failed:--}"
    case "$code" in
        0) passed=$((passed + 1)) ;;
        98) invalid=$((invalid + 1)) ;;
        *)
            found=$((found + 1))
            cp "$work/$number.txt" "/tmp/incident-healthy-$number.txt"
            ;;
    esac
done
echo "$runs runs: $passed passed, $invalid not valid, $found with a finding"
[ "$found" = 0 ] && [ "$invalid" = 0 ]
