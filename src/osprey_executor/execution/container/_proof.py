"""Shows, before the first program, that a container of ours contains: what must be refused is tried inside.

Two things are tried apart, so that neither hides that the other is missing: the container, from a kernel, and the walls
of a program, from a program.
"""

from __future__ import annotations

import asyncio
import importlib.resources
import json
import shutil
from pathlib import Path

from pydantic import TypeAdapter

from osprey_executor.errors import EngineUnavailableError, PythonExecutorException
from osprey_executor.execution.container._kernel import Kernel
from osprey_executor.execution.container._pool import KernelPool
from osprey_executor.execution.container._sandbox import KernelSandbox, walled
from osprey_executor.execution.container.own import FOLDER, OwnContainer, Record
from osprey_executor.execution.local._host import bait
from osprey_executor.execution.local._interpreter import Interpreter
from osprey_executor.execution.local._probes import Expected, Prober
from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._script import ScriptEnd, run_as_program
from osprey_executor.models import Limits, Probe
from osprey_executor.patience import uninterrupted

_FOUND = TypeAdapter(list[Probe])
_WALLS = "start a program with walls of its own"
_NEEDS = "programs need Linux 6.12 or newer with Landlock to be kept apart in one container"


async def look_from_kernel(kernel: Kernel, known: dict[str, object]) -> list[Probe]:
    """Return what the container itself refuses, or does not.

    Raises:
        ContainerConnectivityError: the kernel does not say.
    """
    place = importlib.resources.files("osprey_executor.execution.container").joinpath("inside", "hardening.py")
    source = await asyncio.to_thread(place.read_text, encoding="utf-8")
    told = await kernel.evaluate(source, f"told(json.loads({json.dumps(known)!r}))")
    return _FOUND.validate_json(told)


class Proof:
    """Of one container that `container up` has started."""

    def __init__(self, record: Record, home: Path, pool: KernelPool, limits: Limits, root: Path) -> None:
        """Use kernels of `pool`, which are made ready for `limits`; `root`: temporary folder of the engine."""
        self._record, self._home, self._pool, self._limits, self._root = record, home, pool, limits, root
        # Those of the container's Python, whose names alone matter, and a folder that is everybody's.
        self._prober = Prober(self._run, Interpreter(Path("python"), ()), Expected(shared=True), root, "..", limits)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """What contains programs, in words."""
        return (
            f"a container of {self._record.engine}: no network, no capabilities, no_new_privs, read-only root, a user "
            "without rights, sized temporary files, limits of memory and processes",
            "a kernel of its own for each program",
            "Landlock: nothing but the image and the own folders, no TCP, no signals to others",
            "seccomp allow-list without sockets",
            "rlimits, and memory, process and folder watch by the monitor",
        )

    @property
    def identity(self) -> dict[str, object]:
        """What an approval binds."""
        return {"image": self._record.image, "limits": self._record.limits.model_dump(mode="json")}

    async def look(self) -> list[Probe]:
        """Try everything; a container whose programs cannot be started is told as such.

        Raises:
            ContainerConnectivityError: it does not answer.
        """
        async with bait(self._root) as there:
            known: dict[str, object] = {
                "file": str(there.file),
                "tcp": there.tcp,
                "abstract": there.abstract,
                "folder": FOLDER,
            }
            seen = await self._container({**known, **self._record.limits.model_dump()})
        return [*seen, *await self._walls()]

    async def _container(self, known: dict[str, object]) -> list[Probe]:
        kernel = await self._pool.take()
        try:
            return await look_from_kernel(kernel, known)
        finally:
            self._pool.give_back(kernel)

    async def _walls(self) -> list[Probe]:
        try:
            return await self._prober.look()
        except LaunchError as error:
            return [Probe(name=_WALLS, outcome="failed", detail=f"{error}; {_NEEDS}")]

    async def try_limits(self) -> list[Probe]:
        """Pass the limits of a small container that is made like this one, as nobody should do in this one."""
        own = OwnContainer(self._home, self._record.engine)
        try:
            seen = await asyncio.to_thread(own.probe)
        except PythonExecutorException as error:
            return [Probe(name="container: pass its limits", outcome="unavailable", detail=str(error))]
        return [probe for probe in seen if probe.name.startswith("container, for trial")]

    async def prove(self) -> None:
        """Look whether all holds.

        Raises:
            EngineUnavailableError: something does not, or it does not answer.
        """
        if off := [f"{probe.name}: {probe.detail}" for probe in await self.look() if probe.outcome == "failed"]:
            raise EngineUnavailableError(
                f"the container {self._record.name} does not contain what runs in it: {'; '.join(off)}. End it with "
                "`osprey-executor container down`, and start it anew"
            )

    async def _run(self, root: Path, name: str, *arguments: str, limits: Limits) -> ScriptEnd:
        kernel = await self._pool.take()
        left = self._root / f"left-{kernel.ident}"
        try:
            sandbox = KernelSandbox(kernel, walled, self._limits, left)
            path = str(sandbox.code_path)
            return await run_as_program(sandbox.start_quickly, root, name, *arguments, limits=limits, code_path=path)
        finally:
            self._pool.give_back(kernel)
            await uninterrupted(asyncio.to_thread(shutil.rmtree, left, ignore_errors=True))
