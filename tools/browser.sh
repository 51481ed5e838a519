#!/bin/sh
# Sees that there is a browser for the tests of the pages: Chromium, of the system. `make test` calls it.
set -eu

for name in chromium chromium-browser google-chrome google-chrome-stable; do
    ! command -v "$name" >/dev/null 2>&1 || exit 0
done
if command -v apt-get >/dev/null 2>&1; then
    line='apt-get install -y --no-install-recommends chromium'
elif command -v dnf >/dev/null 2>&1; then
    line='dnf install -y chromium'
elif command -v zypper >/dev/null 2>&1; then
    line='zypper --non-interactive install chromium'
elif command -v pacman >/dev/null 2>&1; then
    line='pacman -S --noconfirm chromium'
else
    echo 'make test: the tests of the pages need Chromium: install it with the package manager of this system' >&2
    exit 2
fi
if [ "$(id -u)" != 0 ]; then
    echo 'make test: the tests of the pages need Chromium. Run this line as root, then make test again:' >&2
    echo "$line"
    exit 2
fi
echo "make test: $line"
# A fresh machine has no list of packages yet.
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
$line || { command -v apt-get >/dev/null 2>&1 && apt-get update && $line; } || {
    echo "make test: \`$line\` failed; install Chromium by hand, then make test again" >&2
    exit 2
}
