#!/usr/bin/env bash
# Fuzzes each target for a while, one after the other, and prints a table.
#   run.sh [SECONDS] [TARGET...]    600 seconds each of all targets, if nothing else is said
# Ends with 1 if there is a finding. A finding is a panic, an input that takes more than ten
# seconds, or more than 512 MB of memory; its input is in artifacts/TARGET/.
set -euo pipefail
cd "$(dirname "$0")"
if ! cargo +nightly fuzz --version > /dev/null 2>&1; then
    echo "run.sh: needs a nightly toolchain and cargo-fuzz (cargo install cargo-fuzz --locked)" >&2
    exit 2
fi
seconds=600
if [[ "${1:-}" =~ ^[0-9]+$ ]]; then
    seconds=$1
    shift
fi
targets=("$@")
if [ "${#targets[@]}" = 0 ]; then
    for file in fuzz_targets/*.rs; do
        targets+=("$(basename "$file" .rs)")
    done
fi

# The readers forbid unsafe code, so that an address sanitizer has nothing to find and would only
# halve the speed. Sums and assertions are checked.
build=(cargo +nightly fuzz build --dev --sanitizer none --strip-dead-code=true)
if [ "${#targets[@]}" = 1 ]; then build+=("${targets[0]}"); fi
# Reports are read by the whole program, which takes minutes more to build.
for target in "${targets[@]}"; do
    if [ "$target" = run ]; then build+=(--features whole); fi
done
"${build[@]}"
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')

number() { # The last number that this pattern of sed finds in a log.
    sed -nE "s/.*$1.*/\1/p" "$2" | tail -n 1
}

printf '%-14s %8s %12s %9s %10s %8s  %s\n' \
    target seconds executions 'per s' coverage 'peak MB' findings
found=0
for target in "${targets[@]}"; do
    folder="artifacts/$target"
    mkdir -p "corpus/$target" "$folder"
    before=$(find "$folder" -type f | wc -l)
    log="$folder.log"
    began=$SECONDS
    status=0
    "target/$triple/debug/$target" "corpus/$target" -artifact_prefix="$folder/" \
        -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=512 \
        -print_final_stats=1 > "$log" 2>&1 || status=$?
    took=$((SECONDS - began))
    new=$(($(find "$folder" -type f | wc -l) - before))
    executions=$(number 'number_of_executed_units: +([0-9]+)' "$log")
    coverage=$(number 'cov: ([0-9]+)' "$log")
    peak=$(number 'peak_rss_mb: +([0-9]+)' "$log")
    told=none
    if [ "$status" != 0 ] || [ "$new" != 0 ]; then
        found=1
        told="$new, see fuzz/$log"
    fi
    printf '%-14s %8s %12s %9s %10s %8s  %s\n' "$target" "$took" "${executions:-?}" \
        "$((${executions:-0} / (took > 0 ? took : 1)))" "${coverage:-?}" "${peak:-?}" "$told"
done
exit "$found"
