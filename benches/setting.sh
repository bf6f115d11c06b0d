# What benchmarks of captures share; to be sourced, from the root of the repository. Builds `peakhour`,
# and makes a folder `work` that goes away in the end, with all that runs.
# PEAKHOUR=FILE measures that program instead, such as the one that `cargo build --profile dist` makes.
[ -n "${PEAKHOUR:-}" ] || cargo build --release --locked
peakhour=$(realpath "${PEAKHOUR:-${CARGO_TARGET_DIR:-target}/release/peakhour}")
work=$(mktemp -d)
trap 'kill $(jobs -p) 2> /dev/null || true; rm -rf "$work"' EXIT

# nginx_with PORT LINES: a configuration of nginx in $work, which serves the files there; the lines are
# those of its server.
nginx_with() {
    local user=''
    [ "$(id -u)" != 0 ] || user='user root;' # Its workers must read the folder.
    cat > "$work/nginx.conf" <<CONF
$user daemon off; pid $work/pid; error_log $work/error.log; worker_processes 1;
events { worker_connections 1024; }
http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p;
fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
server { listen 127.0.0.1:$1; root $work; $2 } }
CONF
}
