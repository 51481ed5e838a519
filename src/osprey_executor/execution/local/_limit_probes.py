"""Shows that each limit of a run is kept, and by what: a small program tries to pass it, and what was seen is told."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from osprey_executor.execution.local._sandbox import LaunchError
from osprey_executor.execution.local._script import ScriptEnd
from osprey_executor.models import Limits, Probe, show_size
from osprey_executor.text import one_line

_MIB = 1 << 20
_PATIENCE = 30.0
SMALL = Limits(memory=64 * _MIB, processes=32, open_files=128, output=64 * 1024, folder=8 * _MIB, tmp=8 * _MIB)
"""Limits that are cheap to pass."""
_FILES = 100
_ALONE = ", by the control group alone"

RunScript = Callable[..., Awaitable[ScriptEnd]]
"""Runs a script of `inside` by name, with arguments and `limits=`."""
_Seen = tuple[Literal["ok", "failed"], str]


@dataclass(frozen=True)
class LimitProber:
    """Tries the limits of one sandbox."""

    run: RunScript
    root: Path
    enforced: Mapping[str, tuple[str, ...]]
    """What keeps each limit, as far as is known without trying."""
    alone: RunScript
    """The same as `run` without watchdog and rlimits."""

    async def look(self) -> list[Probe]:
        """Try to pass each limit of the whole tree, and to lie about the end."""
        seen = [
            await self._try("take more memory in all than the limit", "memory", self._memory(self.run)),
            await self._try("start more processes than the limit", "processes", self._processes(self.run)),
            await self._try("use more processor time than the limit", "cpu_time", self._cpu_time()),
            await self._try("make more files than the limit", "files", self._fill("out", 2 * _FILES, 0)),
            await self._try("fill the working folder past its limit", "folder", self._fill("out", 24, _MIB)),
            await self._try("fill /tmp past its limit", "tmp", self._fill("tmp", 24, _MIB)),
            await self._try("print more than the limit", "output", self._output()),
            await self._try("outlive the time limit", "timeout", self._time()),
            await self._try("forge the status", None, self._forge()),
        ]
        # What is seen above may be the watchdog's work, which comes first where it is fast enough.
        for limit, name, trial in (
            ("memory", "take more memory in all than the limit", self._memory),
            ("processes", "start more processes than the limit", self._processes),
        ):
            if self.enforced[limit][0].startswith("cgroup"):
                seen.append(await self._try(name + _ALONE, None, trial(self.alone)))
        return seen

    async def _try(self, name: str, limit: str | None, trial: Awaitable[_Seen]) -> Probe:
        try:
            outcome, detail = await trial
        except LaunchError as error:
            outcome, detail = "failed", str(error)
        by = ", ".join(self.enforced.get(limit, ())) if limit is not None else ""
        return Probe(name=name, outcome=outcome, detail=one_line(f"{by}: {detail}" if by else detail, 500))

    async def _memory(self, run: RunScript) -> _Seen:
        end = await self._run("take_memory", str(4 * SMALL.memory), by=run)
        exceeded = end.ending.exceeded
        if exceeded is not None and exceeded.what == "memory":
            return "ok", f"ended at {show_size(exceeded.amount)} of {show_size(SMALL.memory)}"
        return "failed", f"the program was left to itself: {end.stdout or end.stderr}"

    async def _processes(self, run: RunScript) -> _Seen:
        end = await self._run("fork_many", str(2 * SMALL.processes), by=run)
        if end.ending.exceeded is not None:
            return "ok", f"ended at {end.ending.exceeded.amount} processes"
        return ("ok" if end.stdout.startswith("refused") else "failed"), (end.stdout or end.stderr).strip()

    async def _cpu_time(self) -> _Seen:
        end = await self._run("spin", "3", cpu_time=1.0)
        exceeded = end.ending.exceeded
        if exceeded is not None and exceeded.what == "cpu_time":
            return "ok", "ended after 1 s of all its processes together"
        if end.ending.code == -signal.SIGXCPU:
            return "ok", "ended after 1 s of one process"
        return "failed", f"the program was left to itself: {end.stdout or end.stderr}"

    async def _fill(self, place: str, files: int, size: int) -> _Seen:
        end = await self._run("fill", place, str(files), str(size), files=_FILES)
        if end.ending.exceeded is not None:
            return "ok", f"ended at {end.ending.exceeded.what} {end.ending.exceeded.amount}"
        return ("ok" if end.stdout.startswith("refused") else "failed"), (end.stdout or end.stderr).strip()

    async def _output(self) -> _Seen:
        end = await self._run("chatter", "4096")
        kept = f"{show_size(len(end.stdout))} kept"
        return ("ok" if end.overflowed and len(end.stdout) <= SMALL.output else "failed"), kept

    async def _time(self) -> _Seen:
        end = await self._run("linger", timeout=1.0)
        if end.timed_out and end.drained and end.ending.code is None:
            return "ok", "ended, and its detached child with it"
        return "failed", f"it ended with {end.ending.code}, or somebody still holds its output"

    async def _forge(self) -> _Seen:
        end = await self._run("forge_status")
        return ("ok" if end.ending.code == 7 else "failed"), f"the monitor told exit code {end.ending.code}"

    async def _run(self, name: str, *arguments: str, by: RunScript | None = None, **given: float) -> ScriptEnd:
        limits = SMALL.model_copy(update={"timeout": _PATIENCE, **given})
        return await (by or self.run)(self.root, name, *arguments, limits=limits)
