"""The container engine: each program in a kernel of its own, of a Jupyter server that somebody or we have started."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from osprey_executor.errors import EngineUnavailableError, ErrorCategory
from osprey_executor.execution._events import EngineEvent
from osprey_executor.execution.container._bundle import digest
from osprey_executor.execution.container._kernel import Kernel, Lost
from osprey_executor.execution.container._pool import KernelPool
from osprey_executor.execution.container._proof import Proof, look_from_kernel
from osprey_executor.execution.container._sandbox import ENFORCED, KernelSandbox, Specify
from osprey_executor.execution.container.inside.hardening import MISCONFIGURED
from osprey_executor.execution.local._run import Run
from osprey_executor.execution.local._staging import Staged, make_folder, stage_program
from osprey_executor.models import (
    ControlSession,
    ErrorReport,
    IsolationReport,
    Limits,
    Outcome,
    Probe,
    Program,
    RunStatus,
    Stage,
)
from osprey_executor.patience import uninterrupted

_PIECE = 1 << 18
_UNPROVEN = (
    "nothing shows what the Jupyter server at {url} contains: programs may reach what it and its network reach. "
    "Next to a real machine it is refused unless execution.container.accept_unproven is true"
)
_NOTHING_KNOWN: dict[str, object] = {"memory": 1 << 60, "processes": 1 << 60, "tmp": 1 << 60}
_FACTS = """
import importlib.metadata, json, os, sys
found = {}
for one in importlib.metadata.distributions():
    found.setdefault(str(one.metadata["Name"]).lower().replace("_", "-"), one.version)
print(json.dumps({"version": ".".join(map(str, sys.version_info[:3])), "implementation": sys.implementation.name,
                  "executable": sys.executable, "packages": dict(sorted(found.items()))}))
"""


class ContainerEngine:
    """Runs programs in kernels. Made by `open_engine("container")`."""

    name = "container"

    def __init__(
        self, url: str, pool: KernelPool, limits: Limits, root: Path, specify: Specify, proof: Proof | None
    ) -> None:
        """Take over what `open_container` prepared.

        Args:
            url: of the server.
            pool: of kernels.
            limits: of programs that bring none, and those for which kernels are made ready.
            root: temporary folder of this engine's life.
            specify: what a program's process is told.
            proof: of a container of ours, which was given; None: nothing shows what contains the kernels.
        """
        self._url, self.pool, self._limits, self._root = url, pool, limits, root
        self._specify, self._proof = specify, proof
        self._turn = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._facts: dict[str, Any] | None = None

    @property
    def isolation(self) -> IsolationReport:
        """What contains the code: of a server that is not ours nobody can say."""
        if self._proof is not None:
            return IsolationReport(
                level="managed",
                engine=self.name,
                proven=True,
                mechanisms=self._proof.mechanisms,
                enforced=ENFORCED,
            )
        return IsolationReport(
            level="none",
            engine=self.name,
            proven=False,
            mechanisms=("a kernel of its own for each program", f"unknown: whatever contains {self._url}"),
            enforced=ENFORCED,
        )

    async def run(
        self,
        program: Program,
        *,
        control: ControlSession | None = None,
        on_event: Callable[[EngineEvent], None] | None = None,
    ) -> Outcome:
        """Run one program in a new kernel; see `Engine.run`."""
        number = next(self._numbers)
        job, left = self._root / f"job-{number}", self._root / f"left-{number}"
        folder = program.folder or self._root / f"run-{number}"
        if program.folder is not None:
            make_folder(folder)
        limits = program.limits or self._limits
        kernel: Kernel | None = None
        try:
            # Before a kernel is taken: an input may be missing.
            staged = await self._staged(job, program) if program.inputs else None
            kernel = await self.pool.take()

            async def stage() -> Staged:
                assert staged is not None  # else it is not asked for: a kernel starts every program quickly
                await _upload(kernel, staged.inputs)
                return staged

            sandbox = KernelSandbox(kernel, self._specify, self._limits, left)
            outcome = await Run(program, limits, sandbox, self.isolation, control, on_event, self._turn).conduct(
                stage, folder
            )
        finally:
            if kernel is not None:
                self.pool.give_back(kernel)
            if job.exists() or left.exists():
                await uninterrupted(asyncio.to_thread(_clear, job, left))
        process = sandbox.process
        return _named(outcome, process.lost if process is not None else None, self._url)

    async def _staged(self, job: Path, program: Program) -> Staged:
        return await uninterrupted(asyncio.to_thread(stage_program, job, program, private_user=False))

    async def probe(self) -> list[Probe]:
        """Start a program in a kernel, and tell what contains it; where that is not proven, it is told as such."""
        outcome = await self.run(Program(code="results = {'a': 1}", limits=self._limits))
        seen = "ok" if outcome.status is RunStatus.SUCCEEDED else "failed"
        detail = f"a program ran in a kernel of its own at {self._url}" if seen == "ok" else str(outcome.error)
        ran = Probe(name="run in a kernel of the Jupyter server", outcome=seen, detail=detail)
        if self._proof is not None:
            return [ran, *await self._proof.look(), *await self._proof.try_limits()]
        return [ran, Probe(name="containment", outcome="failed", detail=await self._unproven())]

    async def _unproven(self) -> str:
        """Tell that nothing is proven, and which of the well-known mistakes shows from inside."""
        kernel = await self.pool.take()
        try:
            seen = await look_from_kernel(kernel, _NOTHING_KNOWN)
        finally:
            self.pool.give_back(kernel)
        told = [
            probe.detail for probe in seen if probe.outcome == "failed" and probe.name.endswith(tuple(MISCONFIGURED))
        ]
        return "; ".join([_UNPROVEN.format(url=self._url), *told])

    async def identity(self) -> dict[str, Any]:
        """Return server, interpreter, packages, isolation and limits."""
        if self._facts is None:
            outcome = await self.run(Program(code=_FACTS, limits=Limits(timeout=60.0)))
            try:
                self._facts = dict(json.loads(outcome.stdout))
            except ValueError as error:
                raise EngineUnavailableError(
                    f"the Python of the Jupyter server at {self._url} does not say what it is: {outcome.error}"
                ) from error
        return {
            "engine": self.name,
            **({"container": self._proof.identity} if self._proof is not None else {"server": self._url}),
            "isolation": self.isolation.level,
            "mechanisms": list(self.isolation.mechanisms),
            "interpreter": self._facts,
            "limits": self._limits.model_dump(mode="json"),
            "guest": digest(),
        }


async def _upload(kernel: Kernel, inputs: Mapping[str, Path]) -> None:
    for name, path in inputs.items():
        with await asyncio.to_thread(path.open, "rb") as stream:
            first = True
            while (piece := await asyncio.to_thread(stream.read, _PIECE)) or first:
                first = False
                kernel.line.put({"put": name, "b": base64.b64encode(piece).decode("ascii")})
                await kernel.room()


def _named(outcome: Outcome, lost: Lost | None, url: str) -> Outcome:
    """Tell apart what a signal alone does not: code that failed, a kernel that died, and what nobody can know."""
    error = outcome.error
    if error is None or outcome.status in (RunStatus.TIMED_OUT, RunStatus.REFUSED):
        return outcome
    if lost is None:
        if error.type != "ProcessKilled" or "SIGKILL" not in error.message:
            return outcome
        message = f"{error.message}: killed, probably out of memory"
        return outcome.model_copy(update={"error": error.model_copy(update={"message": message})})
    if error.type != "ProcessKilled":
        return outcome
    if lost.died:
        message = (
            f"the kernel died while the program ran: killed, probably out of memory. The Jupyter server at {url} ends "
            "what passes the memory of its kernels: use less, or give it more"
        )
        died = error.model_copy(update={"type": "KernelDied", "message": message})
        return outcome.model_copy(update={"error": died})
    unknown = ErrorReport(
        stage=Stage.EXECUTION,
        type="OutcomeUnknownError",
        message=(
            f"the Jupyter server at {url} was lost while the program ran: {lost.why}. Nobody can say how the program "
            "ended; it has had no way to a channel since. Look at the server, then run it again"
        ),
        category=ErrorCategory.WORKFLOW,
        code=error.code,
    )
    return outcome.model_copy(update={"status": RunStatus.OUTCOME_UNKNOWN, "error": unknown, "partial": True})


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
