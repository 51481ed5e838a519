"""What an unchanged pyepics program pays in the sandbox, through gateway and broker, against the same one outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from contextlib import ExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from _live import opened
from _measure import Cost
from _reads import process
from _reads_ioc import NAMES
from _report import Line, against, cost

from osprey_executor.config import Config, config_from
from osprey_executor.control import Broker, gateways_for, open_control
from osprey_executor.execution import Engine, open_engine
from osprey_executor.models import Program

_PROGRAM = """
import json, time
from statistics import median
import epics
def timed(read):
    begun = time.perf_counter()
    assert read() is not None
    return time.perf_counter() - begun
one = epics.PV(NAMES[0], auto_monitor=False)
first = timed(lambda: one.get(use_monitor=False, timeout=20))
found = timed(lambda: all(value is not None for value in epics.caget_many(NAMES, timeout=20)) or None)
many = timed(lambda: all(value is not None for value in epics.caget_many(NAMES, timeout=20)) or None)
single = median(timed(lambda: one.get(use_monitor=False)) for _ in range(100))
results = {"first read": first, "1000 new channels": found, "1000 known channels": many, "one channel": single}
print(json.dumps(results))
"""
_INSIDE, _OUTSIDE = "through the gateway", "directly"


def gateways(rounds: int) -> list[Line]:
    """Run the program in turns, inside and outside, against an IOC of our own."""
    missing = [name for name in ("softioc", "epics", "caproto") if find_spec(name) is None]
    if missing:
        return [Line("gateways", "all", None, "ms", note=f"{missing[0]} is not installed")]
    source = f"NAMES = {NAMES!r}\n{_PROGRAM}"
    seen: dict[str, dict[str, list[Cost]]] = {}
    with ExitStack() as stack:
        port = json.loads(stack.enter_context(process([], "_reads_ioc.py")).readline())["ca"]
        config = config_from({"control_system": {"type": "epics", "epics": {"address_list": [f"127.0.0.1:{port}"]}}})
        loop, (broker, engine) = stack.enter_context(opened(_both(config)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-gateways-")))
        for number in range(rounds):
            session = broker.session(run_id="bench", permit=None, journal=folder / f"{number}.jsonl")
            outcome = loop.wait(engine.run(Program(code=source), control=session))
            assert outcome.results, outcome.error
            _keep(seen, _INSIDE, outcome.results)
            _keep(seen, _OUTSIDE, _directly(source, port))
    lines: list[Line] = []
    for what, costs in seen.items():
        topic = f"gateways, {what}"
        lines += cost(topic, costs, baseline=_OUTSIDE)
        lines.append(against(topic, _INSIDE, costs, _OUTSIDE, 0.5))
    return lines


@asynccontextmanager
async def _both(config: Config) -> AsyncGenerator[tuple[Broker, Engine]]:
    gateways = gateways_for(config.control_system)
    async with open_control(config) as broker, open_engine("local", config, gateways=gateways) as engine:
        yield broker, engine


def _directly(source: str, port: int) -> dict[str, float]:
    address = {"EPICS_CA_AUTO_ADDR_LIST": "NO", "EPICS_CA_ADDR_LIST": f"127.0.0.1:{port}"}
    done = subprocess.run(
        [sys.executable, "-c", source], env={**os.environ, **address}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _keep(seen: dict[str, dict[str, list[Cost]]], where: str, found: dict[str, float]) -> None:
    for what, seconds in found.items():
        seen.setdefault(what, {}).setdefault(where, []).append(Cost(seconds, 0.0))
