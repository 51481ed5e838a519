"""What programs that speak EPICS themselves pay for the gateways: the same programs in the jail and by themselves."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from statistics import median

from _live import opened, run
from _measure import Cost, tell
from _plainly import TYPICAL, results_of
from _reads import ioc, settings, surroundings
from _reads_ioc import NAMES
from _report import Line, against, cost

from osprey_executor.config import config_from
from osprey_executor.control import Broker, gateways_for, open_control
from osprey_executor.execution import Engine, open_engine

_READ = f"""{TYPICAL}
NAMES = {NAMES!r}
def bulk():
    assert float(many()[-1]) == {len(NAMES) - 1}
results = {{"first read": typical(one, 1), "1000 new channels": typical(bulk, 1)}}
results |= {{"1000 known channels": typical(bulk, 3), "one channel": typical(one, 100)}}
"""
READS = {
    "pyepics": f"""
import epics
first = epics.PV({NAMES[0]!r}, auto_monitor=False)
def one():
    assert first.get(use_monitor=False, timeout=20) == 0
def many():
    return epics.caget_many(NAMES, timeout=20, connection_timeout=20)
{_READ}""",
    "p4p": f"""
from p4p.client.thread import Context
context = Context("pva")
def one():
    assert context.get({NAMES[0]!r}, timeout=20) == 0
def many():
    return context.get(NAMES, timeout=20)
{_READ}""",
}
MONITORS = f"""
import epics, time
seen = 0
def count(**told):
    global seen
    seen += 1
channels = [epics.ca.create_channel(name) for name in {NAMES!r}]
# All of them first: what the early ones tell would hold up the late ones.
assert all(epics.ca.connect_channel(channel, timeout=20) for channel in channels)
kept = [epics.ca.create_subscription(channel, callback=count) for channel in channels]
time.sleep(1)
begun, before = time.perf_counter(), seen
time.sleep(2)
results = {{"rate": (seen - before) / (time.perf_counter() - begun)}}
"""
_KINDS = {"pyepics": ("epics", "ca", "CA gateway"), "p4p": ("pva", "pva_udp", "PVA gateway")}
_Way = Callable[[], dict[str, float]]


def gateways(rounds: int) -> list[Line]:
    """Measure reads of each library, then monitors of pyepics; in each the program is by itself and in the jail."""
    missing = [
        name for name in ("softioc", "caproto", *_KINDS) if find_spec({"pyepics": "epics"}.get(name, name)) is None
    ]
    if missing:
        return [Line("gateways", "all", None, "ms", note=f"not installed: {', '.join(missing)}")]
    lines: list[Line] = []
    for library, (_, _, through) in _KINDS.items():
        direct, inside = f"{library}, direct", f"{library}, {through}"
        found = _in_turns(library, READS[library], rounds)
        for what in found[direct][0]:
            topic = f"gateways, {what}"
            costs = {name: [Cost(told[what], 0.0) for told in tries] for name, tries in found.items()}
            lines += [*cost(topic, costs, baseline=direct), against(topic, inside, costs, direct, 0.5)]
    found = _in_turns("pyepics", MONITORS, rounds, "ticking")
    rates = {name: [told["rate"] for told in tries] for name, tries in found.items()}
    base = median(rates["pyepics, direct"])
    for name, seen in rates.items():
        what, kept = f"{name}, {len(NAMES)} monitors", (min(seen), max(seen))
        note = f"of {10 * len(NAMES)} changes a second"  # who sees all of them may be faster than that
        lines.append(Line("gateways, monitors", what, median(seen), "/s", None, True, median(seen) / base, kept, note))
    return lines


def _in_turns(library: str, code: str, rounds: int, *words: str) -> dict[str, list[dict[str, float]]]:
    """Return what each of `rounds` runs left, by themselves and in the jail. Nothing is warmed up."""
    kind, port, through = _KINDS[library]
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="bench-gateways-") as folder, ioc(*words) as ports:
        environment = surroundings(ports)
        with opened(_control(kind, ports[port])) as (loop, (engine, broker)):
            ways: dict[str, _Way] = {
                f"{library}, direct": lambda: results_of(code, environment),
                f"{library}, {through}": lambda: loop.wait(_inside(engine, broker, code, Path(folder))),
            }
            for number in range(rounds):
                tell(f"{library}, round {number + 1} of {rounds}")
                for name, way in ways.items():
                    found[name].append(way())
    tell("")
    return found


@asynccontextmanager
async def _control(kind: str, port: int) -> AsyncGenerator[tuple[Engine, Broker]]:
    config = config_from(settings(kind, port))
    async with (
        open_control(config) as broker,
        open_engine("local", config, gateways=gateways_for(config.control_system)) as engine,
    ):
        yield engine, broker


async def _inside(engine: Engine, broker: Broker, code: str, folder: Path) -> dict[str, float]:
    session = broker.session(run_id="bench", permit=None, journal=folder / "journal.jsonl")
    return (await run(engine, code, session)).results
