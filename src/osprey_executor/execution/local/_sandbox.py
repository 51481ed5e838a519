"""The port between the engine and what holds the code: a jail, or nothing at all."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from osprey_executor.execution.local._enforcement import Enforced
from osprey_executor.execution.local._staging import Staged
from osprey_executor.models import Limits

if TYPE_CHECKING:
    from osprey_executor.execution.local._gateways import RunGateways


class LaunchError(Exception):
    """The sandbox could not start the code; the message has cause and remedy."""


class NeverBegan(LaunchError):
    """The jail was lost before the program in it began, so it can be begun elsewhere."""


@dataclass(frozen=True)
class Exceeded:
    """A limit of the whole tree that the monitor saw passed."""

    what: Literal["memory", "processes", "cpu_time", "folder", "files", "tmp", "deep", "closed"]
    """The last two: folders that cannot be measured, for how deep they are or who may look into them."""
    amount: int


@dataclass(frozen=True)
class Ending:
    """How the code ended, told by what the code cannot reach."""

    code: int | None
    """Exit code, or minus the number of the signal; None: it was ended from outside."""
    exceeded: Exceeded | None = None
    cpu_seconds: float = 0.0
    max_memory: int = 0


@dataclass(frozen=True)
class Job:
    """One process to start in a sandbox."""

    source: bytes
    """The code."""
    limits: Limits
    staged: Staged | None = None
    """Files of the run on the host; None: there are no inputs, and the code lies nowhere yet."""
    script: tuple[str, ...] | None = None
    """What follows the interpreter's name where the staged file is run by itself; None: the guest's worker runs it."""
    gateways: RunGateways | None = None
    """What stands behind the places where programs look for channels; None: nothing."""

    @property
    def files(self) -> Staged:
        """The files of a job that is staged."""
        assert self.staged is not None
        return self.staged

    def arguments(self, library: str) -> tuple[str, ...]:
        """Return what follows the interpreter's name, with the guest library at `library`."""
        return ("-I", "-B", "-c", _WORKER.format(library=library)) if self.script is None else self.script


_WORKER = "import sys; sys.path.insert(0, {library!r}); from osprey_executor.worker import main; main()"


class Running(Protocol):
    """Code on its way. `stdout` and `stderr` are descriptors to read from, and belong to this object."""

    stdout: int
    stderr: int

    def take_runtime(self) -> socket.socket:
        """Return our end of the link to the guest's worker, once; it is the caller's from then on."""
        ...

    def end(self) -> None:
        """Order the end of every process; may be called often and at any time."""
        ...

    async def ended(self) -> Ending:
        """Wait until no process is left.

        Raises:
            LaunchError: the code never started.
        """
        ...

    @property
    def held(self) -> Mapping[str, str]:
        """Return which limits a control group keeps, and what it is called."""
        ...

    def folder(self) -> int | None:
        """Return a descriptor of the working folder, or None if there never was one. It belongs to this object."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the record should know of the run's network; after `ended`."""
        ...

    def forget(self) -> None:
        """Stop listening; in the event loop's thread, after `ended`."""
        ...

    @property
    def closes_at_once(self) -> bool:
        """Whether `close` takes no time."""
        ...

    def close(self) -> None:
        """Let go of every descriptor. May take a moment: it frees the working folder."""
        ...


class Sandbox(Protocol):
    """Starts code."""

    @property
    def level(self) -> str:
        """Return `full`, `restricted` or `none`."""
        ...

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """Return what contains the code, in words."""
        ...

    @property
    def enforced(self) -> Enforced:
        """Return what keeps each limit where there are no control groups."""
        ...

    @property
    def code_path(self) -> Path | None:
        """Return where the code finds its own file; None: where it was staged."""
        ...

    @property
    def library(self) -> str:
        """Return where the code finds the guest library."""
        ...

    @property
    def private_user(self) -> bool:
        """Return whether the code runs as a user who can read no more than everybody can."""
        ...

    def start_quickly(self, job: Job) -> Running | None:
        """Start the program of `job` in a place that was prepared, or return None if there is none."""
        ...

    def start(self, job: Job) -> Running:
        """Start `job`, which is staged, in a process of its own. Runs in the event loop's thread.

        Raises:
            LaunchError: a process could not be started.
        """
        ...
