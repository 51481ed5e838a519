#!/bin/sh
# Sees that the programs of the system are there which tests need and the service does not. `make test` calls it.
set -eu

there() {
    for name in "$@"; do
        ! command -v "$name" >/dev/null 2>&1 || return 0
    done
    return 1
}

packages=
# Of the tests of pages.
there chromium chromium-browser google-chrome google-chrome-stable || packages=chromium
# Of the tests of own containers. runc beside podman: crun limits nothing where control groups are of version 1.
there podman dockerd || packages="$packages podman runc"
[ -n "$packages" ] || exit 0

if command -v apt-get >/dev/null 2>&1; then
    line="apt-get install -y --no-install-recommends $packages"
elif command -v dnf >/dev/null 2>&1; then
    line="dnf install -y $packages"
elif command -v zypper >/dev/null 2>&1; then
    line="zypper --non-interactive install $packages"
elif command -v pacman >/dev/null 2>&1; then
    line="pacman -S --noconfirm $packages"
else
    echo "make test: the tests need $packages: install them with the package manager of this system" >&2
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo 'make test: the tests need some programs of the system. Run this line as root, then make test again:' >&2
    echo "$line"
    exit 2
fi
echo "make test: $line"
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# A fresh machine has no list of packages yet.
{ $line || { command -v apt-get >/dev/null 2>&1 && apt-get update && $line; }; } >/dev/null || {
    echo "make test: \`$line\` failed; install $packages by hand, then make test again" >&2
    exit 2
}
