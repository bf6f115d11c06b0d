#!/usr/bin/env bash
# How exactly, and how soon, does the act `connections` find limits of real servers? Each server is
# started on a free port in a folder of its own; the limit that it was given stands beside the one
# that was found.
#
#   PEAKHOUR=target/release/peakhour benches/connection_limits.sh [CASE...]
#
# Cases: redis redis-large redis-files mariadb postgres nginx backlog. Needs redis-server, mariadbd,
# PostgreSQL 15, nginx, prlimit, setpriv and python3. Loopback only. Prints a row a case; nothing here
# is a test.
set -euo pipefail
cd "$(dirname "$0")/.."
peakhour=$(realpath "${PEAKHOUR:-target/release/peakhour}")
capture=$(realpath captures/nginx-first/peak.pcap.gz)
work=$(mktemp -d)
chmod 755 "$work"
server=
trap 'stop; rm -rf "$work"' EXIT
ulimit -n "$(ulimit -Hn)"

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    server=
}

# Waits until PORT is listened at.
listening() {
    for _ in $(seq 600); do
        if (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nothing listens at $1" >&2
    return 1
}

# rehearse CASE EXPECTED URL: the act alone, and its row.
rehearse() {
    local name=$1 expected=$2 url=$3 began ended
    cat > "$work/$name.yaml" <<YAML
# Limits.
name: limits
recording: $capture
target: { url: stage, allow: [127.0.0.1] }
acts: [ connections: { target: false, endpoints: { it: "$url" } } ]
YAML
    began=$(date +%s.%N)
    "$peakhour" run --quiet --only connections "$work/$name.yaml" --reports "$work/$name" \
        > "$work/$name.txt" 2>&1 || true
    ended=$(date +%s.%N)
    python3 - "$name" "$expected" "$began" "$ended" "$work/$name" <<'PYTHON'
import glob, json, sys
name, expected, began, ended, reports = sys.argv[1:]
run = json.load(open(glob.glob(reports + "/*/run.json")[0]))
found = next(each for each in run["findings"] if each["check"] == "connections")
print(f"| {name} | {expected} | {found['outcome']}: {found['title']} | "
      f"{float(ended) - float(began):.1f} s | {'; '.join(found['evidence'])} |", flush=True)
PYTHON
}

redis() { # CASE EXPECTED COMMAND...
    local name=$1 expected=$2 port
    shift 2
    port=$(free_port)
    mkdir "$work/$name-data"
    "$@" --port "$port" --bind 127.0.0.1 --save '' --dir "$work/$name-data" > /dev/null & server=$!
    listening "$port"
    rehearse "$name" "$expected" "redis://127.0.0.1:$port"
    stop
}

mariadb() {
    local limit=2000 port data="$work/mariadb"
    port=$(free_port)
    mariadb-install-db --no-defaults --user="$(id -un)" --skip-test-db \
        --auth-root-authentication-method=normal --datadir="$data" > /dev/null 2>&1
    echo "CREATE USER shop@'%';" > "$work/init.sql"
    mariadbd --no-defaults --user="$(id -un)" --bind-address=127.0.0.1 --port="$port" \
        --skip-name-resolve --datadir="$data" --socket="$work/socket" --pid-file="$work/pid" \
        --max-connections=$limit --init-file="$work/init.sql" --log-error="$work/error.log" & server=$!
    listening "$port"
    rehearse mariadb $limit "mysql://shop@127.0.0.1:$port"
    stop
}

postgres() {
    local limit=500 port bin=/usr/lib/postgresql/15/bin data="$work/postgres" as=()
    port=$(free_port)
    mkdir "$data"
    if [ "$(id -u)" = 0 ]; then
        chown postgres "$data"
        as=(setpriv --reuid postgres --regid postgres --clear-groups --)
    fi
    (cd "$data"; "${as[@]}" $bin/initdb -A trust -U postgres -N -E UTF8 -D "$data/data" > /dev/null)
    cd "$data"
    "${as[@]}" $bin/postgres -D "$data/data" -p "$port" -c listen_addresses=127.0.0.1 \
        -c unix_socket_directories= -c fsync=off -c max_connections=$limit > /dev/null 2>&1 & server=$!
    cd "$OLDPWD"
    listening "$port"
    until $bin/psql -h 127.0.0.1 -p "$port" -U postgres -qc 'CREATE ROLE shop LOGIN' 2> /dev/null
    do sleep 0.2; done
    # Three are for superusers.
    rehearse postgres $((limit - 3)) "postgres://shop@127.0.0.1:$port/postgres"
    stop
}

nginx_() {
    local limit=10000 port at="$work/nginx"
    port=$(free_port)
    mkdir "$at"
    cat > "$at/nginx.conf" <<CONF
daemon off; pid $at/pid; error_log $at/error.log; worker_processes 1; worker_rlimit_nofile 12000;
events { worker_connections $limit; }
http {
    client_body_temp_path $at/a; proxy_temp_path $at/b; fastcgi_temp_path $at/c;
    uwsgi_temp_path $at/d; scgi_temp_path $at/e; access_log off;
    server { listen 127.0.0.1:$port; }
}
CONF
    nginx -c "$at/nginx.conf" -p "$at" 2> /dev/null & server=$!
    listening "$port"
    # Its listener and its channel to the master count.
    rehearse nginx $((limit - 2)) "http://127.0.0.1:$port/"
    stop
}

backlog() {
    local limit=4000 port
    port=$(free_port)
    python3 -c "
import socket, time
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('127.0.0.1', $port)); s.listen($limit); time.sleep(600)" & server=$!
    # No trial connect: it would stay in the queue.
    sleep 1
    # The kernel admits one more than asked for.
    rehearse backlog $((limit + 1)) "tcp://127.0.0.1:$port"
    stop
}

echo '| case | asked | found | took | evidence |'
echo '|---|---|---|---|---|'
for name in "${@:-redis redis-large redis-files mariadb postgres nginx backlog}"; do
    for name in $name; do
        case $name in
            redis) redis redis 10000 redis-server --maxclients 10000 ;;
            redis-large) redis redis-large 19000 redis-server --maxclients 19000 ;;
            # It keeps 32 for itself.
            redis-files)
                redis redis-files 4064 prlimit --nofile=4096:4096 \
                    setpriv --bounding-set -sys_resource --inh-caps -sys_resource -- redis-server ;;
            mariadb) mariadb ;;
            postgres) postgres ;;
            nginx) nginx_ ;;
            backlog) backlog ;;
            *) echo "unknown case: $name" >&2; exit 2 ;;
        esac
    done
done
