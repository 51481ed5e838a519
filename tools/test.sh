#!/bin/sh
# Runs all tests, in two halves at once: most of the time they wait, for jails, soft IOCs and clocks. `make test` calls it.
set -u
cd "$(dirname "$0")/.."
python=$1
half="tests/execution tests/pipeline"

others=$(mktemp)
"$python" -m pytest $half >"$others" 2>&1 &
running=$!
trap 'kill "$running" 2>/dev/null; rm -f "$others"' EXIT
trap 'exit 130' INT TERM

ignored=
for folder in $half; do
    ignored="$ignored --ignore=$folder"
done
"$python" -m pytest $ignored
here=$?
wait "$running"
there=$?
echo "$half:"
cat "$others"
exit $((here > there ? here : there))
