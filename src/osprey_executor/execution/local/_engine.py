"""The local engine: each program in a jail of its own on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution._events import EngineEvent
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._jail import JailSandbox
from osprey_executor.execution.local._probes import Prober, Sight
from osprey_executor.execution.local._run import Run
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._staging import stage_program
from osprey_executor.models import ControlSession, IsolationReport, Limits, Outcome, Probe, Program


class LocalEngine:
    """Runs programs in jails. Made by `open_engine("local")`; it has seen its walls hold before it takes a program."""

    name = "local"

    def __init__(
        self, sandbox: JailSandbox, interpreter: Interpreter, library: str, limits: Limits, root: Path, digest: str
    ) -> None:
        """Take over what `open_local` prepared.

        Args:
            sandbox: starts jails.
            interpreter: the Python inside.
            library: where the guest library is for the code.
            limits: of programs that bring none.
            root: temporary folder of this engine's life.
            digest: of the seccomp programs.
        """
        self._sandbox, self._interpreter, self._library = sandbox, interpreter, library
        self._limits, self._root, self._digest = limits, root, digest
        self._prober = Prober(sandbox, interpreter, tuple(sandbox.top), root)
        self._numbers = itertools.count(1)
        self._sight: Sight | None = None

    @property
    def isolation(self) -> IsolationReport:
        """What contains the code."""
        return IsolationReport(
            level=self._sandbox.level,
            engine=self.name,
            proven=self._sight is not None,
            mechanisms=self._sandbox.mechanisms,
        )

    async def prove(self) -> None:
        """Look from inside whether the walls stand.

        Raises:
            EngineUnavailableError: they cannot be built here, or one does not hold.
        """
        try:
            sight = await self._prober.look()
        except LaunchError as error:
            raise EngineUnavailableError(str(error)) from error
        open_walls = [f"{probe.name}: {probe.detail}" for probe in sight.probes if probe.outcome == "failed"]
        if open_walls:
            raise EngineUnavailableError("the jail does not hold on this machine: " + "; ".join(open_walls))
        self._sight = sight

    async def run(
        self,
        program: Program,
        *,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> Outcome:
        """Run one program in a new jail; see `Engine.run`."""
        number = next(self._numbers)
        staged = await asyncio.to_thread(
            stage_program, self._root / f"job-{number}", program, private_user=self._sandbox.private_user
        )
        try:
            run = Run(
                program,
                program.limits or self._limits,
                self._sandbox,
                self.isolation,
                self._library,
                control,
                on_event,
            )
            return await run.conduct(staged, program.folder or self._root / f"run-{number}")
        finally:
            await asyncio.to_thread(staged.remove)

    async def probe(self) -> list[Probe]:
        """Try, from inside, everything that must be refused, and tell what was seen."""
        try:
            sight = await self._prober.look()
        except LaunchError as error:
            return [Probe(name="start a jail", outcome="failed", detail=str(error))]
        started = Probe(name="start a jail", outcome="ok", detail=f"Python {sight.python} works inside")
        return [started, *sight.probes, *await self._prober.limits()]

    async def identity(self) -> dict[str, Any]:
        """Return interpreter, packages, isolation, mounts and limits."""
        if self._sight is None:
            await self.prove()
        assert self._sight is not None
        guest = await asyncio.to_thread(_digest_of_folder, self._root / "lib")
        return {
            "engine": self.name,
            "isolation": self._sandbox.level,
            "mechanisms": list(self._sandbox.mechanisms),
            "interpreter": {
                "path": str(self._interpreter.executable),
                "implementation": self._sight.implementation,
                "version": self._sight.python,
                "packages": dict(sorted(self._sight.packages.items())),
            },
            "guest": guest,
            "seccomp": self._digest,
            "mounts": self._sandbox.visible_paths,
            "network": "loopback of the jail only",
            "limits": self._limits.model_dump(mode="json"),
        }


def _digest_of_folder(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()
