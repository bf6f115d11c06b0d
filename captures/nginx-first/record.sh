#!/usr/bin/env bash
# Records peak.pcap.gz again: nginx on loopback, driven by real clients (wrk, curl, headless
# Chromium), captured with tcpdump. About 35 s. Needs root for tcpdump, and Debian's packages
# nginx-light (or nginx), wrk, curl, chromium, tcpdump. Loopback only, and it stops by itself.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-18080}
work=$(mktemp -d)
nginx_pid='' tcpdump_pid=''
finish() {
    [ -n "$tcpdump_pid" ] && kill "$tcpdump_pid" 2>/dev/null || true
    [ -n "$nginx_pid" ] && kill "$nginx_pid" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

# The site: a shop with pages, products, search, a cart that wants a cookie, and an upload.
mkdir -p "$work/site/static" "$work/site/products" "$work/site/img"
for page in index about help; do
    cat > "$work/site/$page.html" <<HTML
<!doctype html><title>$page</title><link rel=stylesheet href=/static/shop.css>
<script src=/static/shop.js defer></script><h1>$page</h1><img src=/img/1.svg><img src=/img/2.svg>
<img src=/img/3.svg><p>$(head -c 300 /dev/zero | tr '\0' 'p')</p><a href=/products/17.html>17</a>
HTML
done
for product in $(seq 1 120); do
    echo "<!doctype html><title>$product</title><p>$(head -c $((200 + product * 3)) /dev/zero | tr '\0' 'x')" \
        > "$work/site/products/$product.html"
done
for image in 1 2 3 4 5 6; do
    echo "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'><circle r='${image}0'/></svg>" \
        > "$work/site/img/$image.svg"
done
echo "body { font: 16px sans-serif }" > "$work/site/static/shop.css"
echo "fetch('/api/stock/' + Math.ceil(Math.random() * 40)); fetch('/api/cart');" > "$work/site/static/shop.js"
chmod -R a+rX "$work"

cat > "$work/nginx.conf" <<NGINX
daemon off; worker_processes 1; pid $work/nginx.pid; error_log $work/error.log;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path $work/body; proxy_temp_path $work/proxy;
  fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
  types { text/html html; text/css css; application/javascript js; image/svg+xml svg; }
  keepalive_timeout 20s; client_max_body_size 4m;
  server { listen unix:$work/app.sock; default_type application/json;
    location /api/stock/ { return 200 '{"stock": 12, "warehouse": "north"}'; }
    location /api/cart { return 200 '{"items": [], "total": 0}'; }
    location /api/sync { return 201 '{"stored": true}'; }
    location /api/old { return 410 '{"gone": true}'; } }
  server { listen 127.0.0.1:$port; root $work/site; add_header Set-Cookie "visit=1; Path=/";
    location / { try_files \$uri \$uri.html \$uri/index.html =404; }
    location /api/ { proxy_pass http://unix:$work/app.sock; proxy_http_version 1.1; } }
}
NGINX
nginx -c "$work/nginx.conf" -p "$work" & nginx_pid=$!
for _ in $(seq 50); do curl -s -o /dev/null "http://127.0.0.1:$port/" && break; sleep 0.1; done
curl -s -o /dev/null "http://127.0.0.1:$port/" || { cat "$work/error.log" >&2; exit 1; }

tcpdump -i lo -s 0 -B 16384 --time-stamp-precision=nano -w "$work/peak.pcap" "tcp port $port" 2> "$work/tcpdump.log" & tcpdump_pid=$!
sleep 1

# Browsing: each connection thinks between two requests, as people do; wrk keeps it open.
cat > "$work/browse.lua" <<'LUA'
math.randomseed(7)
local seed = 0
function setup(thread) seed = seed + 1; thread:set("seed", seed) end
function init(args) think = tonumber(args[1]); math.randomseed(seed * 97) end
function delay() return math.floor(-think * math.log(1 - math.random() * 0.999)) end
local visit = 0
function request()
  local dice = math.random(100)
  visit = visit + 1
  local cookie = { ["Cookie"] = "sid=s" .. math.random(1, 400) .. "; theme=dark" }
  if dice <= 55 then
    -- Few products are asked for often, most seldom.
    return wrk.format("GET", "/products/" .. math.ceil(120 * math.random() ^ 3) .. ".html", cookie)
  elseif dice <= 70 then return wrk.format("GET", "/api/stock/" .. math.random(1, 60), cookie)
  elseif dice <= 80 then return wrk.format("GET", "/api/cart", cookie)
  elseif dice <= 88 then return wrk.format("GET", "/", cookie)
  elseif dice <= 94 then return wrk.format("GET", "/img/" .. math.random(1, 6) .. ".svg?v=" .. math.random(1, 3), cookie)
  elseif dice <= 97 then return wrk.format("POST", "/api/cart", cookie, '{"add": ' .. math.random(1, 120) .. '}')
  elseif dice <= 99 then return wrk.format("GET", "/api/old?page=" .. visit, cookie)
  else return wrk.format("GET", "/missing/" .. visit, cookie) end
end
LUA
cd "$work"
wrk -t1 -c10 -d30s --latency -s browse.lua "http://127.0.0.1:$port" -- 120 > wrk-base.log &
base=$!

# Customers' machines synchronise: a new connection each, some with large payloads.
(
    for round in $(seq 1 24); do
        size=$((round % 6 == 0 ? 180000 : 2000 + round * 700))
        head -c "$size" /dev/zero | tr '\0' 's' > "$work/payload"
        curl -s -o /dev/null -H 'Expect:' -H "Authorization: Bearer customer-$round" \
            --data-binary "@$work/payload" "http://127.0.0.1:$port/api/sync?customer=$round"
        curl -s -o /dev/null -I "http://127.0.0.1:$port/about"
        sleep 1
    done
) &
sync=$!

# People with a browser: page, style sheet, script, images, and the calls the script makes.
sleep 4
for page in / /help /about; do
    chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$work/chromium" --virtual-time-budget=3000 \
        --screenshot="$work/page.png" "http://127.0.0.1:$port$page" > /dev/null 2>&1 || true
done &
browser=$!

# The peak inside the hour: more users, thinking less.
sleep 6
wrk -t1 -c14 -d9s -s browse.lua "http://127.0.0.1:$port" -- 60 > wrk-peak.log &
peak=$!
wait "$base" "$sync" "$peak" "$browser" || true
sleep 1
kill -INT "$tcpdump_pid"; wait "$tcpdump_pid" || true; tcpdump_pid=''
cat "$work/tcpdump.log" >&2
gzip -9n < "$work/peak.pcap" > "$here/peak.pcap.gz"
ls -l "$here/peak.pcap.gz" >&2
