#!/usr/bin/env python3
"""How exactly the act `cold` finds a warm-up that is planted in the stage.

The stage's cache of pages makes each read wait 80 ms · e^(−t/τ) longer than its 20 ms, so that the
median is within 5 % of the warm one after τ · ln(80 / (0.05 · 20)). Each seed has other arrivals.

    benches/cold.py [PROGRAM [SEEDS]]        (default: target/release/peakhour 20)
"""
import json
import math
import random
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(sys.argv[1] if len(sys.argv) > 1 else "target/release/peakhour").resolve()
SEEDS = int(sys.argv[2]) if len(sys.argv) > 2 else 20
CONSTANT, LENGTH, RATE = 3.0, 20.0, 80.0
TRUTH = CONSTANT * math.log(80 / (0.05 * 20))
UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def recording(seed: int) -> str:
    chance, at, lines = random.Random(seed), 0.0, []
    while True:
        at += chance.expovariate(RATE)
        if at > LENGTH:
            return "\n".join(lines) + "\n"
        key = int(400 * chance.random() ** 3)
        lines.append(json.dumps({
            "at_ns": int(at * 1e9), "method": "GET", "authority": "production.example",
            "target": f"/item/{key}", "route": "/item/*", "status": 200,
        }))


def rehearse(folder: Path, seed: int, warm: bool) -> str:
    (folder / "r.jsonl").write_text(recording(seed))
    cache = "warm: true" if warm else f"warm: false, warms_over: {CONSTANT:.0f}s"
    (folder / "s.yaml").write_text(
        "# A warm-up of a known length.\nname: cold\nrecording: r.jsonl\ntolerance: ci\n"
        "target: { url: stage }\n"
        f"stage: {{ service: 20ms, cache: {{ {cache}, store_latency: 80ms }} }}\n"
        "acts: [ cold: { trickle: 1s, bins: 1s } ]\n"
    )
    subprocess.run([PROGRAM, "run", "s.yaml", "-q", "--reports", f"run{seed}{warm}"], cwd=folder,
                   stdout=subprocess.DEVNULL, check=False)
    run = next((folder / f"run{seed}{warm}").iterdir()) / "run.json"
    findings = json.loads(run.read_text())["findings"]
    start = next(each for each in findings if each["check"] == "cold-start")
    return "\n".join([start["title"], *start["evidence"]])


def main() -> None:
    fits, rules, invalid = [], [], 0
    with tempfile.TemporaryDirectory() as name:
        for seed in range(SEEDS):
            said = rehearse(Path(name), seed, warm=False)
            found = re.search(r"the median: warm-up.*?steady after ([\d.]+) (\w+) by medians within "
                              r"[^,]*, ([\d.]+) (\w+) by an exponential", said)
            if not found:
                invalid += 1
                print(f"seed {seed}: {said.splitlines()[0]}")
                continue
            rules.append(float(found[1]) * UNITS[found[2]])
            fits.append(float(found[3]) * UNITS[found[4]])
            print(f"seed {seed}: fit {fits[-1]:.2f} s ({fits[-1] / TRUTH - 1:+.1%}), "
                  f"rule {rules[-1]:.2f} s ({rules[-1] / TRUTH - 1:+.1%})", flush=True)
        print(rehearse(Path(name), SEEDS, warm=True).splitlines()[0])
    for title, values in [("exponential fit", fits), ("sustained medians", rules)]:
        off = [value / TRUTH - 1 for value in values]
        print(f"{title}: truth {TRUTH:.2f} s, median {statistics.median(values):.2f} s, "
              f"error {min(off):+.1%} to {max(off):+.1%}, n={len(values)}, invalid {invalid}")


if __name__ == "__main__":
    main()
