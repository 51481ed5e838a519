"""Where on this machine the service may make control groups of its own, see cgroups(7).

Always below its own group, so that whatever limits the service limits its runs too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CONTROLLERS = ("memory", "pids")
_LEAF = "osprey-service"
"""A group of version 2 with processes in it can hand no controller to groups below: the service moves here."""


@dataclass(frozen=True)
class Place:
    """A folder of a cgroup file system below which groups are made."""

    folder: Path
    version: Literal[1, 2]
    controllers: tuple[str, ...]


@dataclass(frozen=True)
class _Mount:
    root: str
    """Which group stands at the mount point."""
    point: str
    version: Literal[1, 2]
    options: frozenset[str]


def find_places(proc: Path = Path("/proc/self"), controllers: tuple[str, ...] = _CONTROLLERS) -> tuple[Place, ...]:
    """Return where memory and processes can be limited: one place of version 2 for both, or one of version 1 for each.

    A controller that cannot be had is in none of them.
    """
    try:
        mounts = list(_mounts((proc / "mountinfo").read_text(encoding="utf-8", errors="surrogateescape")))
        groups = dict(_memberships((proc / "cgroup").read_text(encoding="utf-8", errors="surrogateescape")))
    except OSError:
        return ()
    for mount in mounts:
        if mount.version == 2 and (own := _folder(mount, groups.get("", ""))) is not None:
            room = _make_room(own, controllers)
            if room is not None:
                return (Place(room, 2, controllers),)
    return tuple(_places_of_version_1(mounts, groups, controllers))


def _places_of_version_1(mounts: list[_Mount], groups: dict[str, str], controllers: tuple[str, ...]) -> Iterator[Place]:
    for controller in controllers:
        for mount in mounts:
            if mount.version == 1 and controller in mount.options:
                own = _folder(mount, groups.get(controller, ""))
                if own is not None and os.access(own, os.W_OK):
                    yield Place(own, 1, (controller,))
                    break


def _mounts(told: str) -> Iterator[_Mount]:
    for line in told.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, *_, options) = before.split(" "), after.split(" ")
        if kind in ("cgroup", "cgroup2"):
            root, point = (field.replace("\\040", " ") for field in fields[3:5])
            yield _Mount(root, point, 2 if kind == "cgroup2" else 1, frozenset(options.split(",")))


def _memberships(told: str) -> Iterator[tuple[str, str]]:
    """Yield controller, empty for version 2, and path."""
    for line in told.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            yield name, path


def _folder(mount: _Mount, path: str) -> Path | None:
    """Return where the group at `path` is; None: outside of what is mounted, as it may be in a container."""
    if not path.startswith("/"):
        return None
    relative = os.path.relpath(path, mount.root)
    folder = Path(mount.point, relative)
    return folder if relative.split("/")[0] != ".." and folder.is_dir() else None


def _make_room(own: Path, controllers: tuple[str, ...]) -> Path | None:
    """Have a delegated group of version 2 give its controllers to groups below; None: it is not ours, or has none."""
    if own.name == _LEAF:  # an engine of this process came first
        own = own.parent
    switch, members = own / "cgroup.subtree_control", own / "cgroup.procs"
    wanted = " ".join(f"+{controller}" for controller in controllers)
    try:
        offered = (own / "cgroup.controllers").read_text(encoding="ascii").split()
        if not set(controllers).issubset(offered) or not os.access(own, os.W_OK):
            return None
        if set(controllers).issubset(switch.read_text(encoding="ascii").split()):
            return own
        if members.read_text(encoding="ascii").split() == [str(os.getpid())]:
            _move_into(own / _LEAF)
        switch.write_text(wanted, encoding="ascii")
    except OSError:  # other processes are in it, and they are not ours to move
        return None
    return own


def _move_into(leaf: Path) -> None:
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
