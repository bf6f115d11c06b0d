#!/usr/bin/env bash
# A picture of some sections of a report, as they stand in docs/incident.md:
#
#   docs/incident/picture.sh REPORT.html PICTURE.png HEIGHT SECTION...     such as: findings acts
#
# Needs Debian's chromium. The page is copied, so that the other sections can be left out.
set -euo pipefail
report=$1 picture=$2 height=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
kept=$(printf '#%s,' "$@")
style="<style>nav, section:not(${kept%,}) { display: none } .table { overflow: visible }</style>"
awk -v style="$style" '{ print } /<body/ { print style }' "$report" > "$work/page.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/browser" \
    --window-size="900,$height" --virtual-time-budget=4000 --screenshot="$picture" \
    "file://$work/page.html" > /dev/null 2>&1
