"""Shows that each wall of a sandbox stands: the forbidden thing is tried inside, and what was seen is told."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._host import bait
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._script import ScriptEnd
from osprey_executor.models import Limits, Probe, show_size
from osprey_executor.text import one_line

_MIB = 1 << 20
_PATIENCE = 30.0
_SMALL = Limits(memory=64 * _MIB, processes=32, open_files=128, output=64 * 1024, folder=8 * _MIB, tmp=8 * _MIB)


_FOUND = TypeAdapter(list[Probe])


@dataclass(frozen=True)
class Expected:
    """What differs between sandboxes. Everything else must be refused by all."""

    top: tuple[str, ...] = ()
    """What the root folder may show."""
    shared: bool = False
    """Paths and process ids are the host's own, so there is more that must be refused."""
    other_user: bool = False
    """The code's user is root without power: it must not become anybody else."""


@dataclass(frozen=True)
class Prober:
    """Probes one sandbox."""

    run: Callable[..., Awaitable[ScriptEnd]]
    """Runs a script of `inside` by name, with arguments and `limits=`."""
    interpreter: Interpreter
    expected: Expected
    root: Path
    library: str
    """Where the guest library is for the code."""
    small: Limits = _SMALL
    """Limits of what is run."""

    async def look(self) -> list[Probe]:
        """Try everything that one process can try in a moment.

        Raises:
            LaunchError: the sandbox does not start, or its interpreter does not work.
        """
        async with bait(self.root) as there:
            known: dict[str, Any] = {
                "file": str(there.file),
                "top": list(self.expected.top),
                "shared": self.expected.shared,
                "bounded": not self.expected.shared or os.geteuid() == 0,
                "user": 1 if self.expected.other_user else 0,
                "closed": [str(self.root), self.library],
                "datagrams": str(there.datagrams),
                "tcp": there.tcp,
                "udp": there.udp,
                "abstract": there.abstract,
                "processes": there.processes,
                "environment": [*code_environment(self.interpreter.executable), "TZ", "LC_CTYPE", "PWD"],
                "too_much": self.small.memory + 2048 * _MIB,
                "open_files": self.small.open_files,
            }
            names = ("attempts", "attempts_outside") if self.expected.shared else ("attempts",)
            ends = [await self._run(name, json.dumps(known)) for name in names]
        return [probe for end in ends for probe in self._found(end)]

    def _found(self, end: ScriptEnd) -> list[Probe]:
        try:
            return _FOUND.validate_json(end.stdout)
        except ValueError:
            told = one_line(end.stderr.strip()[-1000:] or end.stdout[-1000:], 1000)
            where = f"the interpreter {self.interpreter.executable} does not work inside"
            raise LaunchError(f"{where} (it ended with {end.ending.code}): {told}") from None

    async def prove(self) -> None:
        """Look from inside whether the walls stand.

        Raises:
            LaunchError: they cannot be built here, or one does not hold.
        """
        open_walls = [f"{probe.name}: {probe.detail}" for probe in await self.look() if probe.outcome == "failed"]
        if open_walls:
            raise LaunchError("the jail does not hold on this machine: " + "; ".join(open_walls))

    async def limits(self) -> list[Probe]:
        """Try to pass each limit of the whole tree, and to lie about the end."""
        return [
            await self._try("take more memory in all than the limit", self._memory),
            await self._try("start more processes than the limit", self._processes),
            await self._try("print more than the limit", self._output),
            await self._try("outlive the time limit", self._time),
            await self._try("forge the status", self._forge),
        ]

    async def _try(self, name: str, probe: Callable[[], Any]) -> Probe:
        try:
            outcome, detail = await probe()
        except LaunchError as error:
            outcome, detail = "failed", str(error)
        return Probe(name=name, outcome=outcome, detail=one_line(detail, 500))

    async def _memory(self) -> tuple[Literal["ok", "failed"], str]:
        end = await self._run("take_memory", str(4 * _SMALL.memory))
        exceeded = end.ending.exceeded
        if exceeded is not None and exceeded.what == "memory":
            return "ok", f"ended at {show_size(exceeded.amount)} of {show_size(_SMALL.memory)}"
        return "failed", f"the program was left to itself: {end.stdout or end.stderr}"

    async def _processes(self) -> tuple[Literal["ok", "failed"], str]:
        end = await self._run("fork_many", str(2 * _SMALL.processes))
        if end.ending.exceeded is not None:
            return "ok", f"ended at {end.ending.exceeded.amount} processes"
        return ("ok" if end.stdout.startswith("refused") else "failed"), (end.stdout or end.stderr).strip()

    async def _output(self) -> tuple[Literal["ok", "failed"], str]:
        end = await self._run("chatter", str(4096))
        kept = f"{show_size(len(end.stdout))} kept"
        return ("ok" if end.overflowed and len(end.stdout) <= _SMALL.output else "failed"), kept

    async def _time(self) -> tuple[Literal["ok", "failed"], str]:
        end = await self._run("linger", seconds=1.0)
        if end.timed_out and end.drained and end.ending.code is None:
            return "ok", "ended, and its detached child with it"
        return "failed", f"it ended with {end.ending.code}, or somebody still holds its output"

    async def _forge(self) -> tuple[Literal["ok", "failed"], str]:
        end = await self._run("forge_status")
        return ("ok" if end.ending.code == 7 else "failed"), f"the monitor told exit code {end.ending.code}"

    async def _run(self, name: str, *arguments: str, seconds: float = _PATIENCE) -> ScriptEnd:
        # A jail of the fork server has the limits that it has; a script that hangs there hangs until it is given up.
        limits = self.small if self.small is not _SMALL else _SMALL.model_copy(update={"timeout": seconds})
        return await self.run(self.root, name, *arguments, limits=limits)
