#!/bin/sh
# Runs all tests, in several parts at once: most of the time they wait, for jails, soft IOCs and clocks. `make test` calls it.
set -u
cd "$(dirname "$0")/.."
python=$1

folder=$(mktemp -d)
running=
trap 'kill $running 2>/dev/null; rm -rf "$folder"' EXIT
trap 'exit 130' INT TERM

begin() {
    name=$1
    shift
    "$python" -m pytest "$@" >"$folder/$name" 2>&1 &
    running="$running $!"
}

begin execution tests/execution
begin pipeline tests/pipeline
begin control tests/control tests/interfaces tests/generation tests/evaluation
ignored=
for part in execution pipeline control interfaces generation evaluation; do
    ignored="$ignored --ignore=tests/$part"
done
"$python" -m pytest $ignored
worst=$?
for process in $running; do
    wait "$process"
    code=$?
    worst=$((code > worst ? code : worst))
done
running=
for part in "$folder"/*; do
    echo "$(basename "$part"):"
    cat "$part"
done
exit $worst
