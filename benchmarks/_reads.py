"""What reading through the broker costs, one channel and a thousand at once, against the libraries by themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from _live import Loop, opened
from _measure import Cost, Subject, interleave
from _reads_ioc import NAMES
from _report import Line, against, cost

from osprey_executor.config import config_from
from osprey_executor.control import Broker, Session, open_control

_HERE = Path(__file__).parent
_AT_ONCE = 100
"""Single reads of one try, of which the median counts: on a busy machine a mean tells how often it was interrupted."""
_LIBRARIES = {"pyepics": "epics", "aioca": "aioca", "p4p": "p4p"}


def reads(rounds: int) -> list[Line]:
    """Measure all ways in turns, against an IOC of our own."""
    if find_spec("softioc") is None:
        return [Line("reads", "all", None, "ms", note="softioc is not installed")]
    lines: list[Line] = []
    with ExitStack() as stack:
        ports = stack.enter_context(ioc())
        environment = surroundings(ports)
        bulk: dict[str, Subject] = {}
        single: dict[str, Subject] = {}
        for library, module in _LIBRARIES.items():
            if find_spec(module) is None:
                lines.append(Line("reads", library, None, "ms", note="it is not installed"))
                continue
            pipe = stack.enter_context(_process([library], "_reads_client.py", environment))
            bulk[library], single[library] = pipe.subject("bulk"), pipe.subject(str(_AT_ONCE))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-reads-")))
        for name, kind, port in (("broker, CA", "epics", "ca"), ("broker, PVA", "pva", "pva_udp")):
            loop, broker = stack.enter_context(opened(open_control(config_from(settings(kind, ports[port])))))
            session = _session(broker, folder / kind)
            bulk[name] = loop.subject(_reading(session, NAMES))
            single[name] = _typical(loop, _reading(session, NAMES[:1]))
        many, one = interleave(bulk, max(1, rounds // 5)), interleave(single, rounds)
    fastest = min(
        (library for library in ("pyepics", "aioca") if library in many),
        key=lambda it: median(cost.wall for cost in many[it]),
    )
    return [
        *lines,
        *cost("reads, 1000 channels", many, baseline=fastest),
        against("reads, 1000 channels", "broker, CA", many, fastest, 0.5, goal=1.3),
        *([against("reads, 1000 channels", "broker, PVA", many, "p4p", 0.5)] if "p4p" in many else []),
        *cost("reads, one channel", one, baseline="pyepics" if "pyepics" in one else fastest),
        *([against("reads, one channel", "broker, CA", one, "pyepics", 0.5, goal=2.5)] if "pyepics" in one else []),
        *([against("reads, one channel", "broker, PVA", one, "p4p", 0.5)] if "p4p" in one else []),
    ]


@contextmanager
def ioc(*words: str) -> Iterator[dict[str, int]]:
    """Run an IOC and yield its ports."""
    with _process(words, "_reads_ioc.py") as pipe:
        yield json.loads(pipe.readline())


def surroundings(ports: Mapping[str, int]) -> dict[str, str]:
    """Return the environment in which the libraries find the IOC by themselves."""
    return {
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_ADDR_LIST": f"127.0.0.1:{ports['ca']}",
        "EPICS_PVA_AUTO_ADDR_LIST": "NO",
        "EPICS_PVA_ADDR_LIST": f"127.0.0.1:{ports['pva_udp']}",
    }


def settings(kind: str, port: int) -> dict[str, Any]:
    """Return a configuration whose control system is the IOC that is looked for at `port`."""
    return {"control_system": {"type": kind, kind: {"address_list": [f"127.0.0.1:{port}"]}}}


class _Pipe:
    """A line to a process and a line back."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def readline(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended: run it by hand to see why")
        return line

    def subject(self, word: str) -> Subject:
        def run() -> Cost:
            assert self._process.stdin
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
            return Cost(float(self.readline()), 0.0)

        return run


@contextmanager
def _process(arguments: Sequence[str], program: str, environment: Mapping[str, str] | None = None) -> Iterator[_Pipe]:
    """Run a program of this folder, which ends with its standard input. What it says to people is left out."""
    process = subprocess.Popen(
        [sys.executable, _HERE / program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    with process:  # closes the pipes, and waits
        yield _Pipe(process)


def _session(broker: Broker, folder: Path) -> Session:
    folder.mkdir()
    return broker.session(run_id="bench", permit=None, journal=folder / "journal.jsonl")


def _reading(session: Session, names: Sequence[str]) -> Callable[[], Awaitable[object]]:
    async def read() -> object:
        found = await session.read(names)
        assert found[names[-1]].value == float(names[-1][-4:])
        return found

    return read


def _typical(loop: Loop, read: Callable[[], Awaitable[object]]) -> Subject:
    async def several() -> list[float]:
        times: list[float] = []
        for _ in range(_AT_ONCE):
            start = time.perf_counter()
            await read()
            times.append(time.perf_counter() - start)
        return times

    return lambda: Cost(median(loop.wait(several())), 0.0)
