#!/usr/bin/env bash
# Does what an import costs grow with its input, and no faster? Captures of real nginx traffic, small
# exchanges in packets of 1 500 bytes: ever more exchanges on 50 connections. Then two million exchanges
# on ever more connections that are open at once, by turns; these captures are written, not taken:
# a server and its clients on one machine could not answer so many without repeating themselves.
#
#   benches/scale.sh [MOST_EXCHANGES [MOST_CONNECTIONS]]      10000000 and 50000 unless said otherwise
#
# Needs nginx, wrk, tcpdump, ethtool and iproute2 (Debian's packages), and root for a network
# namespace of its own. The largest capture takes about 11 GB. Prints for each capture the processor
# time for an exchange, beside that of the first of its row, and the largest resident memory.
# CAPTURES=FOLDER keeps the captures there, and uses those that are there.
set -euo pipefail
cd "$(dirname "$0")/.."
most=${1:-10000000} crowd=${2:-50000} port=18390
source benches/setting.sh
captures=${CAPTURES:-$work}
mkdir -p "$captures"

head -c 300 /dev/zero | tr '\0' x > "$work/page"
nginx_with "$port" 'keepalive_requests 100000000; keepalive_timeout 600s;
    location / { rewrite ^ /page break; }'
cat > "$work/requests.lua" <<'LUA'
local count = 0
request = function()
  count = count + 1
  return table.concat({
    "GET /goods/", count % 5000, "?page=", count % 7, " HTTP/1.1\r\nHost: shop.example\r\n",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n",
    "Cookie: session=5f0c", count % 100, "a9e8; theme=dark\r\n\r\n" })
end
LUA

# capture EXCHANGES CONNECTIONS FILE: traffic until there are about as many exchanges.
cat > "$work/capture.sh" <<'SH'
set -euo pipefail
exchanges=$1 connections=$2 file=$3
ip link set lo up mtu 1500
ethtool -K lo tso off gso off gro off > /dev/null
nginx -c "$work/nginx.conf" -p "$work" & server=$!
tcpdump -Z root -i lo -B 1000000 -s 0 -w "$file" "tcp port $port" 2> "$work/tcpdump.txt" & dump=$!
sleep 1
wrk -t1 -c"$connections" -d3600s --timeout 60s -s "$work/requests.lua" \
    "http://127.0.0.1:$port/" > "$work/wrk.txt" & load=$!
# An exchange takes some 960 bytes.
while [ "$(stat -c %s "$file" 2> /dev/null || echo 0)" -lt $((exchanges * 960)) ]; do sleep 0.2; done
kill -INT $load; wait $load || true
sleep 3; kill -INT $dump; wait $dump || true
! grep Non-2xx "$work/wrk.txt" >&2 # Errors are no measure of anything.
kill $server; grep dropped "$work/tcpdump.txt" >&2
SH
export work port

# written EXCHANGES CONNECTIONS FILE: each connection opens, and sends a request when its turn comes.
cat > "$work/written.py" <<'PY'
import struct, sys

exchanges, connections = int(sys.argv[1]), int(sys.argv[2])
request = (b"GET /goods/%05d?page=3 HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux "
           b"x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,"
           b"application/xml;q=0.9,*/*;q=0.8\r\nCookie: session=5f0c%02da9e8; theme=dark\r\n\r\n")
answer = (b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 26 Nov 2026 09:00:00 GMT\r\nContent-Type: "
          b"text/plain\r\nContent-Length: 300\r\nLast-Modified: Thu, 26 Nov 2026 08:00:00 GMT\r\nConnection: "
          b"keep-alive\r\nETag: \"6926b7a0-12c\"\r\nAccept-Ranges: bytes\r\n\r\n" + b"x" * 300)
shop = bytes([10, 200, 0, 1])
moment = 1_795_679_219_000_000_000

def frame(client, is_request, numbers, flags, payload):
    global moment
    moment += 20_000
    address = struct.pack(">I", (10 << 24) + client // 50_000 + 1)
    port = 10_000 + client % 50_000
    ends, ports = ((address, shop), (port, 80)) if is_request else ((shop, address), (80, port))
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0, 64, 6, 0) + ends[0] + ends[1]
    tcp = struct.pack(">HHIIBBHHH", *ports, *numbers, 0x50, flags, 65535, 0, 0)
    size = 54 + len(payload)
    seconds, rest = divmod(moment, 1_000_000_000)
    out.write(struct.pack("<IIII", seconds, rest, size, size))
    out.write(ethernet + ip + tcp + payload)

ethernet = bytes(12) + b"\x08\x00"
with open(sys.argv[3], "wb", buffering=1 << 20) as out:
    out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1))
    sent = [[1, 1] for _ in range(connections)]
    for client in range(connections):
        frame(client, True, (0, 0), 2, b"")
        frame(client, False, (0, 1), 18, b"")
        frame(client, True, (1, 1), 16, b"")
    for number in range(exchanges):
        client = number % connections
        asked, answered = sent[client]
        text = request % (number % 5_000, number % 100)
        frame(client, True, (asked, answered), 24, text)
        asked = (asked + len(text)) & 0xFFFFFFFF
        frame(client, False, (answered, asked), 24, answer)
        sent[client] = [asked, (answered + len(answer)) & 0xFFFFFFFF]
PY

rows=()
for exchanges in 100000 1000000 10000000; do
    [ "$exchanges" -gt "$most" ] || rows+=("exchanges $exchanges 50")
done
for connections in 10 1000 50000; do
    [ "$connections" -gt "$crowd" ] || rows+=("connections 2000000 $connections")
done
printf '%-12s %11s %11s %9s %20s %6s %20s %6s\n' '' exchanges connections MB \
    'read and pair' MiB 'to Parquet' MiB
for row in "${rows[@]}"; do
    read -r what exchanges connections <<< "$row"
    file=$captures/$what-$exchanges-$connections.pcap
    if [ ! -e "$file" ] && [ "$what" = exchanges ]; then
        unshare --net bash "$work/capture.sh" "$exchanges" "$connections" "$file"
    elif [ ! -e "$file" ]; then
        python3 "$work/written.py" "$exchanges" "$connections" "$file"
    fi
    what=$what file=$file peakhour=$peakhour python3 - <<'PY'
import json, os, subprocess

work, what, file, peakhour = (os.environ[name] for name in ("work", "what", "file", "peakhour"))
out = f"{work}/out.parquet"

def run(*command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

read, write = run(peakhour, "import", file, "--dry-run"), run(peakhour, "import", file, "-o", out)
told = json.loads(subprocess.check_output([peakhour, "inspect", out, "--json"]))
exchanges, connections = told["exchanges"], told["connections"]
os.remove(out)
# What the first capture of this row took.
base = f"{work}/base-{what}"
costs = [cpu / exchanges for cpu, _ in (read, write)]
if not os.path.exists(base):
    json.dump(costs, open(base, "w"))
first = json.load(open(base))
shown = [f"{1e6 * cost:6.2f} us, x{cost / one:.2f}" for cost, one in zip(costs, first)]
print(f"{what:12} {exchanges:11} {connections:11} {os.path.getsize(file) / 1e6:9.0f} "
      f"{shown[0]:>20} {read[1]:6.0f} {shown[1]:>20} {write[1]:6.0f}", flush=True)
PY
done
