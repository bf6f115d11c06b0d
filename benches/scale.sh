#!/usr/bin/env bash
# Does what an import costs grow with its input, and no faster? Captures of real nginx traffic, small
# exchanges in packets of 1 500 bytes: ever more exchanges on 50 connections, then two million
# exchanges on ever more connections that are open at once.
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
cargo build --release --locked
peakhour=$(realpath "${CARGO_TARGET_DIR:-target}/release/peakhour")
work=$(mktemp -d)
captures=${CAPTURES:-$work}
mkdir -p "$captures"
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

head -c 300 /dev/zero | tr '\0' x > "$work/page"
user=; [ "$(id -u)" != 0 ] || user='user root;' # Its workers must read the folder.
cat > "$work/nginx.conf" <<CONF
$user daemon off; pid $work/pid; error_log $work/error.log; worker_processes 4;
events { worker_connections 19000; }
http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p;
fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
keepalive_requests 100000000; keepalive_timeout 600s;
server { listen 127.0.0.1:$port reuseport backlog=65535; root $work; location / { rewrite ^ /page break; } } }
CONF
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
ulimit -n "$(ulimit -H -n)"
ip link set lo up mtu 1500
ethtool -K lo tso off gso off gro off > /dev/null
echo 1024 65535 > /proc/sys/net/ipv4/ip_local_port_range
echo 65535 > /proc/sys/net/core/somaxconn
nginx -c "$work/nginx.conf" -p "$work" & server=$!
# Acknowledgements alone are left out: busy connections need fewer of them than idle ones, and what
# differs between captures should be the connections only.
payload='(ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2)) != 0'
flags='(tcp[tcpflags] & (tcp-syn | tcp-fin | tcp-rst)) != 0'
tcpdump -Z root -i lo -B 1000000 -s 0 -w "$file" "tcp port $port and ($flags or $payload)" \
    2> "$work/tcpdump.txt" & dump=$!
sleep 1
# One process has no more files than its limit.
crowds=$(((connections + 15999) / 16000)) loads=()
for crowd in $(seq "$crowds"); do
    wrk -t1 -c$((connections / crowds)) -d3600s --timeout 60s -s "$work/requests.lua" \
        "http://127.0.0.1:$port/" > "$work/wrk$crowd.txt" & loads+=($!)
done
# An exchange takes some 960 bytes, and each connection has its share of them.
while [ "$(stat -c %s "$file" 2> /dev/null || echo 0)" -lt $((exchanges * 960)) ]; do sleep 0.2; done
kill -INT "${loads[@]}"; wait "${loads[@]}" || true
sleep 3; kill -INT $dump; wait $dump || true
! grep Non-2xx "$work"/wrk*.txt >&2 # Errors are no measure of anything.
kill $server; grep dropped "$work/tcpdump.txt" >&2
SH
export work port

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
    file=$captures/$exchanges-$connections.pcap
    [ -e "$file" ] ||
        unshare --net bash "$work/capture.sh" "$exchanges" "$connections" "$file"
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
