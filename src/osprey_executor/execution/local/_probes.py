"""Shows that each wall of a sandbox stands: the forbidden thing is tried inside, and what was seen is told."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from osprey_executor.execution.local._environment import code_environment
from osprey_executor.execution.local._host import bait
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._limit_probes import SMALL
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._script import ScriptEnd
from osprey_executor.models import Limits, Probe
from osprey_executor.text import one_line

_MIB = 1 << 20
_SMALL = SMALL.model_copy(update={"timeout": 30.0})
_BY_ITSELF = ("TZ", "LC_CTYPE", "PWD")
_FOUND = TypeAdapter(list[Probe])


@dataclass(frozen=True)
class Expected:
    """What differs between sandboxes. Everything else must be refused by all."""

    top: tuple[str, ...] = ()
    """What the root folder may show."""
    shared: bool = False
    """Paths and process ids are the host's own, so there is more that must be refused."""
    environment: tuple[str, ...] = ()
    """Which variables are set beside those that all have."""
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
                "environment": [
                    *code_environment(self.interpreter.executable),
                    *self.expected.environment,
                    *_BY_ITSELF,
                ],
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

    async def _run(self, name: str, *arguments: str) -> ScriptEnd:
        return await self.run(self.root, name, *arguments, limits=self.small)
