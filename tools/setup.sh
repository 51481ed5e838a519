#!/bin/sh
# Makes .venv: an interpreter, the system's libraries, the pinned packages, this project. `make setup` calls it.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "make setup: $1" >&2
    exit 2
}

new_enough() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "$PYTHON is not Python 3.11 or newer"
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if new_enough "$name"; then
            echo "$name"
            return
        fi
    done
    fail 'found no Python 3.11 or newer: install one, or name it: make setup PYTHON=/where/it/is/python3'
}

# libseccomp is the one part of the sandbox that no wheel brings. Never sudo: only a person may become root.
need_libseccomp() {
    [ "$(uname -s)" = Linux ] || return 0
    "$1" -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("seccomp") is None)' && return 0
    if command -v apt-get >/dev/null 2>&1; then
        line='apt-get install -y libseccomp2'
    elif command -v dnf >/dev/null 2>&1; then
        line='dnf install -y libseccomp'
    elif command -v zypper >/dev/null 2>&1; then
        line='zypper --non-interactive install libseccomp2'
    elif command -v pacman >/dev/null 2>&1; then
        line='pacman -S --noconfirm libseccomp'
    else
        fail 'the sandbox needs the library libseccomp: install it with the package manager of this system'
    fi
    if [ "$(id -u)" != 0 ]; then
        echo 'make setup: the sandbox needs the library libseccomp. Run this line as root, then make again:' >&2
        echo "$line"
        exit 2
    fi
    echo "make setup: $line"
    # A fresh machine has no list of packages yet.
    $line || { command -v apt-get >/dev/null 2>&1 && apt-get update && $line; } ||
        fail "\`$line\` failed; install libseccomp by hand, then make again"
}

# Reads what pip says and tells how far it is, so that two minutes are not silent.
progress() {
    seen=0
    while read -r word _; do
        case $word in
        Collecting)
            seen=$((seen + 1))
            [ $((seen % 25)) != 0 ] || echo "make setup: $seen of $count found"
            ;;
        Installing) echo "make setup: all $seen that were missing are here; unpacking them" ;;
        esac
    done
}

python=$(find_python)
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "$python has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv), then make again"
need_libseccomp "$python"

# An environment whose interpreter is gone or too old is made anew; any other is kept and brought up to date.
if ! new_enough .venv/bin/python; then
    echo "make setup: making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv
fi
count=$(grep -c '^[A-Za-z0-9].*==' requirements/dev.txt)
echo "make setup: installing $count pinned packages, which takes a minute or two the first time"
# pip's own status comes beside its output, because a pipe ends with the status of its last command.
exec 4>&1
status=$({
    {
        .venv/bin/python -u -m pip install --disable-pip-version-check --no-color --progress-bar off \
            --require-hashes -r requirements/dev.txt 3>&- 4>&- && echo 0 >&3 || echo $? >&3
    } | progress >&4
} 3>&1)
[ "$status" = 0 ] || fail "pip could not install the pinned packages; what it said stands above"
.venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
conflicts=$(.venv/bin/python -m pip --disable-pip-version-check check) ||
    fail "pyproject.toml and requirements/dev.txt disagree, run \`make pins\`: $conflicts"
echo "make setup: done, $count packages are in .venv; now: make demo, or . .venv/bin/activate"
