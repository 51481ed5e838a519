"""The control groups of one engine: made, handed out, given back, removed; and those of engines that were killed."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from osprey_executor.execution.local._cgroup import Most, RunGroup, remove_group
from osprey_executor.execution.local._cgroup_places import Place
from osprey_executor.models import Limits

_PREFIX = "osprey-executor-"
_MOST_FREE = 40
_MOST_WAITING = 4
"""Groups that are looked at together, in one turn of the thread."""


class ControlGroups:
    """Gives each run a group; None where there is none to be had, and the watchdog stands alone."""

    def __init__(self, rooms: Sequence[tuple[Path, Place]]) -> None:
        """Take over the engine's folder in each place; none: no run gets a group."""
        self._rooms = rooms
        self._numbers = itertools.count(1)
        self._made: set[RunGroup] = set()
        self._free: deque[RunGroup] = deque()
        self._waiting: list[RunGroup] = []
        """Of runs that ended, not looked at yet."""
        self._left: list[RunGroup] = []
        """Of runs that ended; of the thread only, which may wait for who is in them to end."""
        self._thread = ThreadPoolExecutor(1, "cgroups")
        self.held: dict[str, str] = {}
        """Which limits groups keep here, and what they are called."""

    def take(self, limits: Limits) -> RunGroup | None:
        """Return a group for a run with `limits`. A new one takes up to a millisecond."""
        most = Most.of(limits)
        for group in tuple(self._free):
            if group.most == most:
                self._free.remove(group)
                group.taken = True
                return group
        if not self._rooms:
            return None
        number = str(next(self._numbers))
        try:
            group = RunGroup({room / number: place for room, place in self._rooms}, most)
        except OSError:
            return None
        group.leave = lambda: self._leave(group)
        self._made.add(group)
        group.taken = True
        return group

    def close(self) -> None:
        """Remove all, whoever is in them."""
        self._thread.shutdown()
        for group in list(self._made):
            self._remove(group)
        for room, _ in self._rooms:
            remove_group(room)

    def _leave(self, group: RunGroup) -> None:
        group.taken = False
        self._waiting.append(group)
        if self._free and len(self._waiting) < _MOST_WAITING:
            return
        waiting, self._waiting = self._waiting, []
        try:
            self._thread.submit(self._give_back, waiting)
        except RuntimeError:  # closed: they are removed already
            for one in waiting:
                one.close_alarm()

    def _give_back(self, groups: list[RunGroup]) -> None:
        """Keep them for other runs once they are clean: to make one costs more than all else about it."""
        left, self._left = self._left, []
        for one in (*left, *groups):
            if one.is_clean():
                self._free.append(one)
            elif one in groups:  # the kernel takes a moment to let go of what it held
                self._left.append(one)
            else:
                self._remove(one)
        while len(self._free) > _MOST_FREE:
            self._remove(self._free.popleft())

    def _remove(self, group: RunGroup) -> None:
        group.remove()
        self._made.discard(group)


@contextmanager
def control_groups(name: str, places: Sequence[Place]) -> Generator[ControlGroups]:
    """Make the groups of the engine that goes by `name`, and remove those of engines that were killed."""
    with contextlib.ExitStack() as locks:
        for place in places:
            sweep_groups(place.folder)
        rooms = [(place.folder / f"{_PREFIX}{name}", place) for place in places]
        groups = ControlGroups([(room, place) for room, place in rooms if _make(room, place, locks)])
        try:
            trial = groups.take(Limits())
            if trial is not None:
                groups.held = trial.held
                trial.leave()
            yield groups
        finally:
            groups.close()


def sweep_groups(folder: Path) -> None:
    """Remove the groups of dead engines below `folder`, and end who is in them. A lock tells who lives."""
    for room in folder.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), contextlib.ExitStack() as lock:
            hold(room, lock)
            for group in room.iterdir():
                if group.is_dir():
                    remove_group(group)
            remove_group(room)


def _make(room: Path, place: Place, locks: contextlib.ExitStack) -> bool:
    try:
        room.mkdir()
        hold(room, locks)
        if place.version == 2:
            wanted = " ".join(f"+{controller}" for controller in place.controllers)
            (room / "cgroup.subtree_control").write_text(wanted, encoding="ascii")
    except OSError:
        with contextlib.suppress(OSError):
            room.rmdir()
        return False
    return True


def hold(room: Path, locks: contextlib.ExitStack) -> None:
    """Lock a group, for as long as this process lives at most.

    Raises:
        OSError: somebody else holds it.
    """
    descriptor = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    locks.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
