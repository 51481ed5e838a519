"""The control group of one run: a folder in each hierarchy that limits something."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from osprey_executor.execution.local._cgroup_places import Place
from osprey_executor.models import Limits

_OWN_MEMORY = 32 << 20
"""For launcher and monitor, and for what the kernel keeps for so many processes."""
_OWN_TASKS = 3
"""Launcher, monitor, and one above the limit, so that the watchdog sees it passed and says so."""
_LITTLE = 4 << 20
_TRIES, _PAUSE = 40, 0.025
_PIECE = 1 << 16


@dataclass(frozen=True)
class Most:
    """What a group may hold."""

    memory: int
    """Files in memory count too: so there is room for the working folder and /tmp, which have limits of their own."""
    tasks: int

    @staticmethod
    def of(limits: Limits) -> Most:
        """Return what everything that `limits` allows takes together."""
        return Most(limits.memory + limits.folder + limits.tmp + _OWN_MEMORY, limits.processes + _OWN_TASKS)


class RunGroup:
    """One group. `alarm` becomes readable when memory runs out, where the kernel tells; else it is -1."""

    def __init__(self, folders: Mapping[Path, Place], most: Most) -> None:
        """Make it.

        Raises:
            OSError: there is none to be had.
        """
        self.most = most
        self.alarm = -1
        self.leave: Callable[[], None] = self.remove
        """Called when no process of the run is left, and nobody listens to the alarm any more."""
        self.taken = False
        """Whether a run has it: then the alarm is its to listen to, and stays open."""
        self.held: dict[str, str] = {}
        """Which limits it keeps, and what it is called."""
        self._rung = False
        self._folders = folders
        self._memory: Path | None = None
        self._version = 1
        try:
            for folder, place in folders.items():
                self._make(folder, place)
        except OSError:
            self.remove()
            raise

    def doors(self) -> list[int]:
        """Return descriptors by which a process with one thread enters, if it writes 0 to each."""
        opened: list[int] = []
        try:
            for folder, place in self._folders.items():
                # In version 1 a thread that moves only itself does not wait for all processors.
                name = "tasks" if place.version == 1 else "cgroup.procs"
                opened.append(os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC))
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        return opened

    def ring(self) -> bool:
        """Take the alarm; return whether it was this group's own limit that was passed."""
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.alarm)
            self._rung = self._rung or self._was_full()
        return self._rung

    def out_of_memory(self) -> bool:
        """Return whether the kernel ended a process for passing this group's limit, not that of the machine."""
        if self.alarm >= 0:
            return self.ring()
        if self._memory is None:
            return False
        if self._version == 2:
            return self._was_full()
        return self._was_full() and _counter(self._memory / "memory.oom_control", "oom_kill") > 0

    def is_clean(self) -> bool:
        """Return whether another run can have it: nobody is in it and it holds next to nothing."""
        try:
            usage = self._memory and int(_read(self._memory / ("", _USAGE_1, _USAGE_2)[self._version]))
            return (usage or 0) < _LITTLE and not self._was_full() and not any(map(processes_in, self._folders))
        except (OSError, ValueError):
            return False

    def remove(self) -> None:
        """Remove it; who is left in it is ended."""
        for folder in self._folders:
            remove_group(folder)
        if not self.taken:
            self.close_alarm()

    def close_alarm(self) -> None:
        """Let go of the alarm, to which nobody listens."""
        if self.alarm >= 0:
            os.close(self.alarm)
            self.alarm = -1

    def _make(self, folder: Path, place: Place) -> None:
        folder.mkdir()
        name = f"cgroup v{place.version}"
        if "memory" in place.controllers:
            self._memory, self._version = folder, place.version
            self.held["memory"] = name
            if place.version == 2:
                _write(folder / "memory.max", self.most.memory)
                _write_if_there(folder / "memory.swap.max", 0)
                _write_if_there(folder / "memory.oom.group", 1)
            else:
                _write(folder / "memory.limit_in_bytes", self.most.memory)
                _write_if_there(folder / "memory.memsw.limit_in_bytes", self.most.memory)
                self._hear_alarm(folder)
        if "pids" in place.controllers:
            _write(folder / "pids.max", self.most.tasks)
            self.held["processes"] = name

    def _hear_alarm(self, folder: Path) -> None:
        """In version 1 the kernel ends one process of a group, not all: the service must do the rest."""
        alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        try:
            control = os.open(folder / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                _write(folder / "cgroup.event_control", f"{alarm} {control}")
            finally:
                os.close(control)
        except OSError:  # a kernel without it; the end of the run tells all the same
            os.close(alarm)
        else:
            self.alarm = alarm

    def _was_full(self) -> bool:
        """Return whether this limit was met (version 1), and nothing could be taken back (2)."""
        if self._memory is None:
            return False
        if self._version == 2:
            return _counter(self._memory / "memory.events", "oom") > 0
        # The kernel's own count, failcnt, stays 0 in Linux 6.18.
        files = [file for file in map(self._memory.joinpath, _PEAKS) if file.exists()]
        return max(int(_read(file)) for file in files) > self.most.memory - _LITTLE


_PEAKS = ("memory.max_usage_in_bytes", "memory.memsw.max_usage_in_bytes")
_USAGE_1, _USAGE_2 = "memory.usage_in_bytes", "memory.current"


def remove_group(folder: Path) -> None:
    """Remove a group of ours, and end who is in it."""
    for _ in range(_TRIES):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # somebody is in it, or was until a moment ago
            _end_all(folder)
            time.sleep(_PAUSE)
        else:
            return


def processes_in(folder: Path) -> list[int]:
    """Return who is in a group, but for processes that cannot be seen from here."""
    with contextlib.suppress(OSError):
        return [int(process) for process in _read(folder / "cgroup.procs").split() if process != "0"]
    return []


def _end_all(folder: Path) -> None:
    for process in processes_in(folder):
        with contextlib.suppress(OSError):
            descriptor = os.pidfd_open(process)
            try:
                if process in processes_in(folder):  # else the number may be somebody else's by now
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)


def _counter(file: Path, name: str) -> int:
    for line in _read(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(file: Path) -> str:
    # Without a stream: this is done some five times after each run.
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces: list[bytes] = []
        while piece := os.read(descriptor, _PIECE):
            pieces.append(piece)
        return b"".join(pieces).decode("ascii")
    finally:
        os.close(descriptor)


def _write(file: Path, value: int | str) -> None:
    # One write, no truncation, no new file: the kernel's files take a value as a whole.
    descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _write_if_there(file: Path, value: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        _write(file, value)
