"""The local engine: each program in a sandbox of its own on this machine."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osprey_executor.errors import EngineUnavailableError
from osprey_executor.execution._events import EngineEvent
from osprey_executor.execution.local._cgroups import ControlGroups
from osprey_executor.execution.local._enforcement import enforced
from osprey_executor.execution.local._facts import ask
from osprey_executor.execution.local._gateways import GatewayPool
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._limit_probes import LimitProber
from osprey_executor.execution.local._modules import modules_of
from osprey_executor.execution.local._pool import Pool
from osprey_executor.execution.local._probes import Prober
from osprey_executor.execution.local._run import Run
from osprey_executor.execution.local._sandbox import LaunchError, Sandbox
from osprey_executor.execution.local._staging import Staged, make_folder, stage_program
from osprey_executor.models import ControlSession, IsolationReport, Limits, Outcome, Probe, Program
from osprey_executor.patience import uninterrupted

_OPENED = "keep programs from every network"
_NOTHING_CONTAINS = Probe(
    name="containment",
    outcome="failed",
    detail="execution.isolation is none: code can read, write and reach all that this user can; set it to full",
)

_UNASKED: frozenset[str] = frozenset(("",))
"""Stands for what nobody has looked at yet."""


class LocalEngine:
    """Runs programs on this machine. Made by `open_engine("local")`, which proves it first where there is a jail."""

    name = "local"

    def __init__(
        self,
        sandbox: Sandbox,
        interpreter: Interpreter,
        limits: Limits,
        root: Path,
        prober: Prober | None,
        details: dict[str, Any],
        on_figures: Callable[[], None],
        *,
        network: tuple[str, ...] = (),
    ) -> None:
        """Take over what `open_local` prepared.

        Args:
            sandbox: holds the code.
            interpreter: the Python inside.
            limits: of programs that bring none.
            root: temporary folder of this engine's life.
            prober: tries the walls; None: there are none.
            details: of the sandbox, for `identity`.
            on_figures: called after a program has plotted.
            network: endpoints that are opened to programs; with any, the walls stand but contain nothing for certain.
        """
        self._sandbox, self._interpreter, self._limits, self._root = sandbox, interpreter, limits, root
        self._prober, self._details, self._on_figures = prober, details, on_figures
        self._numbers = itertools.count(1)
        self._network = network
        self._proven = False
        self._turn = asyncio.Lock()
        self.groups: ControlGroups | None = None
        """Control groups, where runs get one each."""
        self.pool: Pool | None = None
        """Jails of a fork server, for runs after the first."""
        self.gateways: GatewayPool | None = None
        """What stands behind the places where programs look for channels."""
        self.limit_prober: LimitProber | None = None
        self._inside: dict[str, Any] | None = None
        """What the interpreter is, once it was asked."""
        self._modules: frozenset[str] | None = _UNASKED

    @property
    def isolation(self) -> IsolationReport:
        """What contains the code."""
        return IsolationReport(
            level=self._sandbox.level,
            engine=self.name,
            proven=self._proven and not self._network,
            mechanisms=self._sandbox.mechanisms,
            enforced=enforced(self._sandbox.enforced, self.groups.held if self.groups is not None else {}),
            network=self._network,
        )

    async def prove(self) -> None:
        """Look from inside whether the walls stand.

        Raises:
            EngineUnavailableError: they cannot be built here, or one does not hold.
        """
        assert self._prober is not None
        try:
            await self._prober.prove()
        except LaunchError as error:
            raise EngineUnavailableError(str(error)) from error
        self._proven = True

    async def run(
        self,
        program: Program,
        *,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> Outcome:
        """Run one program in a new sandbox; see `Engine.run`."""
        number = next(self._numbers)
        job = self._root / f"job-{number}"
        folder = program.folder or self._root / f"run-{number}"
        if program.folder is not None:  # else it is made when there is something to keep
            make_folder(folder)
        staged = False

        async def stage() -> Staged:
            nonlocal staged
            staged = True
            return await uninterrupted(
                asyncio.to_thread(stage_program, job, program, private_user=self._sandbox.private_user)
            )

        try:
            limits = program.limits or self._limits
            run = Run(program, limits, self._sandbox, self.isolation, control, on_event, self._turn, self.gateways)
            outcome = await run.conduct(stage, folder)
        finally:
            if staged:
                await uninterrupted(asyncio.to_thread(shutil.rmtree, job, ignore_errors=True))
            if self.pool is not None:
                self.pool.tend()
        if outcome.figures:
            self._on_figures()
        return outcome

    async def probe(self) -> list[Probe]:
        """Try, from inside, everything that must be refused, and tell what was seen."""
        if self._prober is None:
            return [_NOTHING_CONTAINS]
        try:
            seen = await self._prober.look()
        except LaunchError as error:
            return [Probe(name="start a jail", outcome="failed", detail=str(error))]
        limits = await self.limit_prober.look() if self.limit_prober is not None else []
        started = Probe(name="start a jail", outcome="ok", detail=f"{self._interpreter.executable} works inside")
        return [started, *seen, *self._opened(), *limits, *await self._forking()]

    def _opened(self) -> list[Probe]:
        if not self._network:
            return []
        why = f"execution.network opens {', '.join(self._network)}: programs may reach what is there past the broker"
        return [Probe(name=_OPENED, outcome="failed", detail=why)]

    async def _forking(self) -> list[Probe]:
        """Tell whether runs can be forked; each new server has been looked at from inside before it serves."""
        if self.pool is None:
            return []
        name = "fork programs from a prepared Python"
        if await self.pool.ready():
            return [Probe(name=name, outcome="ok", detail="the same was refused inside a jail of the fork server")]
        why = f"each run starts an interpreter of its own: {self.pool.problem}"
        return [Probe(name=name, outcome="unavailable", detail=why)]

    def modules(self) -> frozenset[str] | None:
        """Return the modules that programs find besides the standard library; None where they cannot be told."""
        if self._modules is _UNASKED:
            self._modules = modules_of(self._interpreter)
        return self._modules

    async def identity(self) -> dict[str, Any]:
        """Return interpreter, packages, isolation, what is visible, and limits."""
        if self._inside is None:
            try:
                facts = await ask(self._sandbox, self._interpreter, self._root)
            except LaunchError as error:
                raise EngineUnavailableError(str(error)) from error
            self._inside = {**await asyncio.to_thread(self._interpreter.identity), **facts.model_dump()}
        return {
            "engine": self.name,
            "isolation": self._sandbox.level,
            "mechanisms": list(self._sandbox.mechanisms),
            "interpreter": dict(self._inside),
            "limits": self._limits.model_dump(mode="json"),
            **self._details,
        }
