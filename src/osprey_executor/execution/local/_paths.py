"""Which parts of the host exist in the jail: real folders are bound read-only, symbolic links are made again.

So a path means the same inside and outside, whatever links lead to it, and nothing else of the host is there.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from osprey_executor.errors import ConfigurationError

SYSTEM = (
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libx32",
    "/usr/bin",
    "/usr/share",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin/ldconfig",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/fonts",
    "/etc/matplotlibrc",
    "/etc/mime.types",
    "/etc/localtime",
    "/etc/timezone",
)
"""Programs, libraries, fonts and time zones; those that this host has."""
_MOST_LINKS = 40
_OURS = tuple(map(Path, ("/proc", "/sys", "/dev", "/sandbox")))
_TEMPORARY = Path("/tmp")  # noqa: S108 - each jail has its own; a folder in it can be shown


@dataclass
class Mounts:
    """Binds and links, collected path by path."""

    binds: dict[str, str] = field(default_factory=dict[str, str])
    """Target in the jail to source on the host."""
    links: dict[str, str] = field(default_factory=dict[str, str])
    """Location in the jail to what the link says."""

    def show(self, paths: Iterable[str | Path]) -> None:
        """Make each path of the host that exists visible at the same place."""
        for path in paths:
            real = self._follow(os.path.abspath(path))  # noqa: PTH100 - links are followed one by one
            if real is not None:
                self.bind(real, real)

    def bind(self, source: str | Path, target: str) -> None:
        """Make `source`, a real path, visible at `target`.

        Raises:
            ConfigurationError: the source holds all of the host, or somebody's home.
        """
        source = str(source)
        if source == "/" or Path(source) == _home():
            raise ConfigurationError(f"{source} cannot be shown to code: choose a folder that holds only what it needs")
        self.binds[target] = source

    def show_data(self, folders: Iterable[Path]) -> None:
        """Make folders that the configuration names visible at the same place.

        Raises:
            ConfigurationError: one does not exist, is no folder, or holds more than data.
        """
        for folder in folders:
            if not folder.is_absolute() or not folder.is_dir():
                raise ConfigurationError(
                    f"execution.data_folders: {folder} is no folder of this machine: write the absolute path of one"
                )
            real = folder.resolve()
            if real == _TEMPORARY or any(place in (real, *real.parents) for place in _OURS):
                raise ConfigurationError(f"execution.data_folders: {folder} is a place that every jail has for itself")
            self.show((folder,))

    def ordered(self) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Return binds (source, target) and links (location, target), without those that a bind already covers."""
        kept: dict[str, str] = {}
        for target in sorted(self.binds):
            if not _covered(target, kept):
                kept[target] = self.binds[target]
        links = [(place, to) for place, to in sorted(self.links.items()) if not _covered(place, kept)]
        return [(source, target) for target, source in kept.items()], links

    def _follow(self, path: str) -> str | None:
        """Return the real path, noting each symbolic link on the way; None if it leads nowhere."""
        waiting = path.split("/")[::-1]
        real = ""
        links = 0
        found: dict[str, str] = {}
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                real = real.rpartition("/")[0]
                continue
            here = f"{real}/{part}"
            try:
                to = os.readlink(here)  # noqa: PTH115
            except OSError as error:
                if error.errno != errno.EINVAL:  # does not exist, or not ours to see
                    return None
                real = here
                continue
            links += 1
            if links > _MOST_LINKS:
                return None
            found[here] = to
            if to.startswith("/"):
                real = ""
            waiting += to.split("/")[::-1]
        self.links.update(found)
        return real or "/"


def _covered(path: str, binds: Iterable[str]) -> bool:
    return any(path == bound or path.startswith(bound + "/") for bound in binds)


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except (RuntimeError, OSError):
        return None
