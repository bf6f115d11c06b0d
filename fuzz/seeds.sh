#!/usr/bin/env bash
# Fills corpus/ from the repository's captures and the shared corpus: the seeds that the short
# pass of the tests begins with, in the form that each target takes.
set -euo pipefail
cd "$(dirname "$0")"
PEAKHOUR_SEEDS="$PWD/corpus" cargo test --quiet --locked --manifest-path ../Cargo.toml --test it -- \
    --exact hostile::seeds_are_written_where_they_are_asked_for
for folder in corpus/*/; do
    echo "$(basename "$folder"): $(find "$folder" -name 'seed-*' | wc -l) seeds"
done
