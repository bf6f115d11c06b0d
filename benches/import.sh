#!/usr/bin/env bash
# How fast is a capture read, beside tshark and tcpflow? All in one run, over captures of real nginx
# traffic that it makes first: 8 kB bodies on loopback, and small exchanges in packets of 1 500 bytes.
#
#   benches/import.sh [MEGABYTES [ROUNDS]]      1000 and 3 unless said otherwise
#
# Needs nginx, wrk, tcpdump, tshark, tcpflow, ethtool and iproute2 (Debian's packages), and root for
# a network namespace of its own. Prints medians: megabytes of capture for a second of processor
# time, the largest resident memory, and how often peakhour is as fast as the others.
# CAPTURES=FOLDER keeps the captures there, and uses those that are there.
set -euo pipefail
cd "$(dirname "$0")/.."
megabytes=${1:-1000} rounds=${2:-3} port=18290
source benches/setting.sh
captures=${CAPTURES:-$work}
mkdir -p "$captures"

head -c 8000 /dev/urandom | base64 -w 0 | head -c 8000 > "$work/large"
head -c 300 "$work/large" > "$work/small"
nginx_with "$port" 'keepalive_requests 1000; location /large/ { rewrite ^ /large break; }
    location /small/ { rewrite ^ /small break; }'
# Requests as a browser sends them: other paths, the same cookies for each of a hundred users.
cat > "$work/requests.lua" <<'LUA'
local count = 0
request = function()
  count = count + 1
  local user = count % 100
  return table.concat({
    "GET ", wrk.path, count % 5000, "?page=", count % 7, " HTTP/1.1\r\nHost: shop.example\r\n",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
    "Accept-Language: de,en-US;q=0.7,en;q=0.3\r\nAccept-Encoding: gzip, deflate, br\r\n",
    "Cookie: session=5f0c", user, "a9e8; theme=dark\r\nConnection: keep-alive\r\n\r\n" })
end
LUA

# capture KIND MTU: traffic until the capture has its size.
cat > "$work/capture.sh" <<'SH'
set -euo pipefail
kind=$1 mtu=$2 file=$3
ip link set lo up mtu "$mtu"
[ "$mtu" -gt 1500 ] || ethtool -K lo tso off gso off gro off > /dev/null
nginx -c "$work/nginx.conf" -p "$work" & server=$!
tcpdump -Z root -i lo -B 500000 -s 0 -w "$file" "tcp port $port" 2> "$work/tcpdump.txt" & dump=$!
sleep 1
wrk -t1 -c50 -d600s -s "$work/requests.lua" "http://127.0.0.1:$port/$kind/" > "$work/wrk.txt" & load=$!
while [ "$(stat -c %s "$file" 2> /dev/null || echo 0)" -lt $((megabytes * 1000000)) ]; do sleep 0.2; done
kill -INT $load || true; wait $load || true
sleep 2; kill -INT $dump; wait $dump || true
! grep Non-2xx "$work/wrk.txt" >&2 # Errors are no measure of anything.
kill $server; grep dropped "$work/tcpdump.txt"
SH
export work port megabytes
for row in "large 65536" "small 1500"; do
    read -r kind mtu <<< "$row"
    [ -e "$captures/$kind.pcap" ] ||
        unshare --net bash "$work/capture.sh" "$kind" "$mtu" "$captures/$kind.pcap"
done

peakhour=$peakhour captures=$captures rounds=$rounds python3 - <<'PY'
import os, shutil, statistics, subprocess

work, peakhour, captures = (os.environ[name] for name in ("work", "peakhour", "captures"))
fields = "frame.time_epoch tcp.stream http.request.method http.host http.request.uri".split()

def commands(file):
    flows = f"{work}/flows"
    shutil.rmtree(flows, ignore_errors=True)
    os.mkdir(flows)
    listing = [word for field in fields for word in ("-e", field)]
    return {
        "peakhour, to Parquet": [peakhour, "import", file, "-o", f"{work}/out.parquet"],
        "peakhour, reading and pairing": [peakhour, "import", file, "--dry-run"],
        "tshark": ["tshark", "-n", "-r", file, "-Y", "http.request", "-T", "fields", *listing],
        "tcpflow": ["tcpflow", "-q", "-X", "/dev/null", "-o", flows, "-r", file],
    }

def run(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

for kind in ("large", "small"):
    file = f"{captures}/{kind}.pcap"
    size = os.path.getsize(file) / 1e6
    figures = {}
    for _ in range(int(os.environ["rounds"])):
        for name in commands(file):
            if name.startswith("peakhour, to") and os.path.exists(f"{work}/out.parquet"):
                os.remove(f"{work}/out.parquet")
            figures.setdefault(name, []).append(run(commands(file)[name]))
    print(f"{kind}: {size:.0f} MB")
    ours = statistics.median(cpu for cpu, _ in figures["peakhour, to Parquet"])
    for name, rows in figures.items():
        cpu = statistics.median(cpu for cpu, _ in rows)
        memory = max(memory for _, memory in rows)
        print(f"  {name:30} {size / cpu:7.0f} MB/s  {memory:6.0f} MiB  x{cpu / ours:.2f}")
PY
