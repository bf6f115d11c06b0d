"""The arithmetic of pacing.sh and peers.sh: make an even recording, judge stamps from outside, take
medians.

Standard library only. Stamps are u64 nanoseconds of one monotonic clock, little-endian.
"""
import array
import json
import re
import statistics
import sys


def make(rate, seconds, connections):
    """Even arrivals, dealt to the connections in turn, as JSON Lines that `import` reads."""
    for index in range(rate * seconds):
        print(json.dumps({
            "at_ns": index * 1_000_000_000 // rate,
            "connection": index % connections,
            "method": "GET",
            "authority": "production.example",
            "target": f"/item/{index % 100}",
        }))


def stamps(path):
    values = array.array("Q")
    with open(path, "rb") as file:
        values.frombytes(file.read())
    return sorted(values)


def lateness(path, rate):
    """Stretch in percent, and microseconds behind an ideal grid whose anchor is the one request
    that was least late: what is measured is how unevenly the schedule was kept."""
    seen = stamps(path)
    behind = [at - seen[0] - index * 1_000_000_000 / rate for index, at in enumerate(seen)]
    least = min(behind)
    late = sorted((value - least) / 1000 for value in behind)
    planned = (len(seen) - 1) / rate
    stretch = 100 * ((seen[-1] - seen[0]) / 1e9 / planned - 1)
    return len(seen), stretch, late[len(late) // 2], late[int(len(late) * 0.99)], late[-1]


def judge(rate, reference, ours, http_run, stage_run):
    figures = {}
    for name, path in (("reference", reference), ("observed", ours)):
        count, stretch, p50, p99, most = lateness(path, rate)
        figures |= {f"{name}_n": count, f"{name}_stretch_%": stretch, f"{name}_p50_us": p50,
                    f"{name}_p99_us": p99, f"{name}_max_us": most}
    for name, path in (("http", http_run), ("stage", stage_run)):
        with open(path) as file:
            run = json.load(file)
        own = run["lateness"]
        figures |= {f"{name}_own_p50_us": own["p50_ns"] / 1000, f"{name}_own_p99_us": own["p99_ns"] / 1000,
                    f"{name}_own_max_us": own["max_ns"] / 1000,
                    # No request is later than the latest: the run is not stretched by more.
                    f"{name}_stretch_at_most_%": 100 * own["max_ns"] / run["facts"]["duration_ns"],
                    f"{name}_connections": run["totals"]["connections_opened"],
                    f"{name}_answered": run["totals"]["answered"]}
    print(" ".join(f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
                   for key, value in figures.items()))


def place(rate, path):
    """How far each request is from the grid of the rate that was reached, which lies so that as
    many are early as are late; the first second and the last half are left out."""
    seen = stamps(path)
    if len(seen) < 100:
        print(f"n={len(seen)}")
        return
    inner = [at for at in seen if seen[0] + 1e9 <= at <= seen[-1] - 5e8]
    reached = (len(inner) - 1) * 1e9 / (inner[-1] - inner[0])
    off = [at - inner[0] - index * 1e9 / reached for index, at in enumerate(inner)]
    middle = statistics.median(off)
    away = sorted(abs(value - middle) / 1000 for value in off)
    print(f"n={len(seen)} rate_error_%={100 * (reached / rate - 1):.5f} "
          f"p50_us={away[len(away) // 2]:.1f} p99_us={away[int(len(away) * 0.99)]:.1f} "
          f"max_us={away[-1]:.0f}")


def omission(path):
    with open(path) as file:
        run = json.load(file)
    latency = run["latency"]
    print(f"omission peakhour sent={run['totals']['sent']} " + " ".join(
        f"{name}_s={latency[name + '_ns'] / 1e9:.3f}" for name in ("p90", "p95", "p99")))


def medians(lines):
    """The median of each figure of each tool, in the order in which they came."""
    table = {}
    for line in lines:
        part, tool, rest = (line.split(" ", 2) + ["", ""])[:3]
        for key, value in re.findall(r"(\S+)=(\S+)", rest):
            table.setdefault((part, tool), {}).setdefault(key, []).append(float(value))
    for (part, tool), figures in table.items():
        told = " ".join(f"{key}={statistics.median(values):.6g}" for key, values in figures.items())
        print(f"{part:16} {tool:10} {told}")


def median(lines):
    columns = {}
    for line in lines:
        for key, value in re.findall(r"(\S+)=(\S+)", line):
            columns.setdefault(key, []).append(float(value))
    for key, values in columns.items():
        print(f"{key:32} median {statistics.median(values):12.4f}   of {values}")


if __name__ == "__main__":
    command, arguments = sys.argv[1], sys.argv[2:]
    if command == "make":
        make(*map(int, arguments))
    elif command == "judge":
        judge(int(arguments[0]), *arguments[1:])
    elif command == "place":
        place(int(arguments[0]), arguments[1])
    elif command == "omission":
        omission(arguments[0])
    elif command == "medians":
        medians(sys.stdin)
    else:
        median(sys.stdin)
