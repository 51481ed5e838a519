"""p4p programs run unchanged in the full sandbox, against a real server: they read, and what they write is policed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.control.gateways import hostile_pva

from osprey_executor.config import config_from
from osprey_executor.control import Broker, Session, gateways_for
from osprey_executor.execution import Engine, Program, open_engine
from osprey_executor.models import ControlSession, MachineEffects, Outcome, RunStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")

Entries = Callable[[], list[dict[str, Any]]]

HOSTILE = Path(hostile_pva.__file__).read_text(encoding="utf-8")

THREADS = """
import threading
from p4p.client.thread import Context

context = Context("pva")
values = context.get(["P:NUMBER", "P:WHOLE", "P:FLAG", "P:TEXT"])
state = context.get("P:STATE")
seen = threading.Event()
with context.monitor("P:NUMBER", lambda value: seen.set()):
    monitored = seen.wait(20)
results = {
    "values": [float(values[0]), int(values[1]), bool(values[2]), "".join(values[3])],
    "state": state.choice,
    "row": context.get("P:ROW").tolist(),
    "units": values[0].raw.display.units,
    "table": context.get("P:TABLE").value.name,
    "severity": context.get("P:INVALID").severity,
    "monitored": monitored,
}
refused = []
for name, value in {"P:NUMBER": 4.5, "P:STATE": "On", "P:ROW": [9.0], "P:TEXT": "x"}.items():
    try:
        context.put(name, value)
    except Exception as error:
        refused.append(f"{type(error).__name__}: {error}")
results["refused"] = refused
context.close()
"""

ASYNCIO = """
import asyncio
from p4p.client.asyncio import Context
from p4p.nt import NTURI

async def main():
    with Context("pva") as context:
        number, text = await asyncio.gather(context.get("P:NUMBER.VAL"), context.get("P:TEXT"))
        seen = asyncio.Queue()
        with context.monitor("P:WHOLE", seen.put):
            whole = await asyncio.wait_for(seen.get(), 20)
        refused = []
        uri = NTURI([("number", "d")])
        for change in (
            lambda: context.put("P:NUMBER", 4.5, request="record[process=true]"),
            lambda: context.rpc("P:COMMAND", uri.wrap("P:COMMAND", kws={"number": 4.0})),
        ):
            try:
                await change()
            except Exception as error:
                refused.append(f"{type(error).__name__}: {error}")
        return {"read": [float(number), "".join(text), int(whole)], "refused": refused}

results = asyncio.run(main())
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine() -> AsyncIterator[Engine]:
    gateways = gateways_for(config_from({}).control_system)
    async with open_engine("local", gateways=gateways) as opened:
        assert opened.isolation.proven
        yield opened


@pytest.fixture
def read_only(pva: Broker, journal: Path) -> Session:
    return pva.session(run_id="r1", permit=None, journal=journal)


async def run(engine: Engine, session: ControlSession, code: str) -> Outcome:
    outcome = await asyncio.wait_for(engine.run(Program(code=code), control=session), 100)
    assert outcome.status is RunStatus.SUCCEEDED, (outcome.error, outcome.notes)
    assert "PVAccess: used through the gateway" in outcome.notes
    return outcome


async def held(pva: Broker) -> dict[str, Any]:
    """Return what the server itself says of all that is attacked."""
    names = [f"P:{name}" for name in ("NUMBER", "WHOLE", "FLAG", "STATE", "TEXT", "ROW", "OPTIONS", "ASKED", "RUNS")]
    samples = await pva.connector.read(names)
    return {
        name: getattr(sample.value, "tolist", lambda value=sample.value: value)() for name, sample in samples.items()
    }


async def test_a_program_of_threads_reads_and_is_refused(
    engine: Engine, pva: Broker, read_only: Session, entries: Entries
) -> None:
    before = await held(pva)
    results = (await run(engine, read_only, THREADS)).results
    refused = results.pop("refused")
    assert results == {
        "values": [before[f"P:{name}"] for name in ("NUMBER", "WHOLE", "FLAG", "TEXT")],
        "state": before["P:STATE"],
        "row": before["P:ROW"],
        "units": "A",
        "table": ["a", "b"],
        "severity": 3,
        "monitored": True,
    }
    assert [told.partition(":")[0] for told in refused] == ["RemoteError"] * 4
    assert all("refused" in told for told in refused)
    assert await held(pva) == before
    assert read_only.effects is MachineEffects.NONE
    assert [(entry["event"], entry["channel"]) for entry in entries()] == [
        (event, f"P:{name}") for name in ("NUMBER", "STATE", "ROW", "TEXT") for event in ("attempt", "refused")
    ]
    assert {reading.channel for reading in read_only.reads} >= {"P:NUMBER", "P:TABLE", "P:INVALID"}


async def test_an_asyncio_program_reads_and_is_refused(
    engine: Engine, pva: Broker, read_only: Session, entries: Entries
) -> None:
    before = await held(pva)
    results = (await run(engine, read_only, ASYNCIO)).results
    assert results["read"] == [before["P:NUMBER"], before["P:TEXT"], before["P:WHOLE"]]
    assert [told.partition(":")[0] for told in results["refused"]] == ["RemoteError"] * 2
    assert await held(pva) == before
    assert [entry["channel"] for entry in entries() if entry["event"] == "refused"] == ["P:NUMBER", "P:COMMAND"]


async def test_what_is_permitted_is_written_and_read_back(
    engine: Engine, pva: Broker, journal: Path, permit: Any, entries: Entries
) -> None:
    """The canary of the refusals: a program's put goes all the way where it may."""
    session = pva.session(run_id="r1", permit=permit(frozenset({"P:NUMBER"})), journal=journal)
    before = await held(pva)
    code = """
from p4p.client.thread import Context
context = Context("pva")
context.put("P:NUMBER", 2.25)
read = float(context.get("P:NUMBER"))
try:
    context.put("P:WHOLE", 12)
except Exception as error:
    other = str(error)
context.put("P:NUMBER", %r)
results = {"read": read, "other": other}
""" % before["P:NUMBER"]  # noqa: UP031 - the program is full of braces
    results = (await run(engine, session, code)).results
    assert results["read"] == 2.25
    assert "not among what was approved" in results["other"]
    assert await held(pva) == before
    assert session.effects is MachineEffects.WRITTEN
    assert [entry["event"] for entry in entries() if entry["channel"] == "P:NUMBER"] == [
        *("attempt", "intended", "sent", "confirmed"),
    ] * 2


async def test_no_bytes_get_past_the_gateway(engine: Engine, pva: Broker, read_only: Session, entries: Entries) -> None:
    """Its canary is the next test: the same bytes, said to the server itself, do it."""
    before = await held(pva)
    code = HOSTILE + "\nresults = {name: attack() for name, attack in ATTACKS.items()}\n"
    results = (await run(engine, read_only, code)).results
    assert set(results) == set(hostile_pva.ATTACKS)
    assert all(status in (2, 3) for status in results.values()), results
    assert await held(pva) == before
    assert sum(entry["event"] == "refused" for entry in entries()) == len(results)


async def test_the_same_bytes_do_it_where_no_gateway_is(start_pva: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with start_pva() as server:
        monkeypatch.setattr(hostile_pva, "PORT", server.tcp)
        done = {}
        for name in ("put", "put as another user", "put and process", "put a whole number", "rpc"):
            done[name] = await asyncio.to_thread(hostile_pva.ATTACKS[name])
        assert set(done.values()) == {255}


async def test_malformed_bytes_change_nothing_and_end_no_service(
    engine: Engine, pva: Broker, read_only: Session
) -> None:
    before = await held(pva)
    told = (await run(engine, read_only, HOSTILE + "\nresults = fuzz(150, 4)\n")).results
    assert told["closed"] > 20
    assert told["answered"] > 5
    assert await held(pva) == before
    again = (await run(engine, read_only, HOSTILE + "\nresults = {'status': ATTACKS['put']()}\n")).results
    assert again == {"status": 2}


async def test_records_of_channel_access_are_read_by_pvaccess(
    engine: Engine, records: Broker, journal: Path, entries: Entries
) -> None:
    """The protocol of the program need not be that of the machine."""
    session = records.session(run_id="r1", permit=None, journal=journal)
    before = (await records.connector.read(["T:NUMBER"]))["T:NUMBER"].value
    code = """
from p4p.client.thread import Context
context = Context("pva")
names = "NUMBER WHOLE STATE TEXT ROW BYTES TEXTS EMPTY ALARM NEVER NUMBER.EGU NUMBER.DRVH".split()
values = context.get(["T:" + name for name in names])
results = {name: value.tolist() if hasattr(value, "tolist") else value.raw.value for name, value in zip(names, values)}
results["STATE"] = values[2].choice
results["limits"] = list(values[0].raw.control.todict().values())[:2]
results["severities"] = [value.severity for value in values[-4:-2]]
try:
    context.put("T:NUMBER.DRVH", 1e6)
except Exception as error:
    results["refused"] = f"{type(error).__name__}: {error}"
"""
    results = (await run(engine, session, code)).results
    assert results["NUMBER"] == before
    assert results["STATE"] in ("Off", "Standby", "On")
    assert (results["EMPTY"], results["ALARM"], results["NUMBER.EGU"], results["NUMBER.DRVH"]) == ([], 3.0, "A", 10.0)
    assert [type(results[name]) for name in ("WHOLE", "TEXT", "ROW", "BYTES", "TEXTS")] == [int, str, list, list, list]
    assert results["limits"] == [-10.0, 10.0]
    assert results["severities"] == [1, 3]
    assert results["refused"].startswith("RemoteError: T:NUMBER.DRVH = 1000000.0: refused")
    assert [entry["channel"] for entry in entries() if entry["event"] == "refused"] == ["T:NUMBER.DRVH"]


async def test_a_rehearsal_keeps_puts_and_depends_on_no_feedback(engine: Engine, pva: Broker, journal: Path) -> None:
    before = await held(pva)
    code = """
from p4p.client.thread import Context
context = Context("pva")
context.put("P:NUMBER", 2.25)
context.put("P:WHOLE", 12)
context.put("P:STATE", "Off")
results = {"number": float(context.get("P:NUMBER")), "state": context.get("P:STATE").choice}
"""
    async with pva.rehearsal(run_id="r1", journal=journal) as session:
        results = (await run(engine, session, code)).results
        plan = session.plan(RunStatus.SUCCEEDED)
    assert results == {"number": 2.25, "state": "Off"}
    assert [write.channel for write in plan.writes] == ["P:NUMBER", "P:WHOLE", "P:STATE"]
    assert not plan.feedback_dependent
    assert await held(pva) == before


async def test_a_rehearsal_notes_what_is_read_after_its_puts(engine: Engine, pva: Broker, journal: Path) -> None:
    """The canary of the one above."""
    code = """
from p4p.client.thread import Context
context = Context("pva")
context.put("P:NUMBER", 2.25)
context.get("P:TEXT")
"""
    async with pva.rehearsal(run_id="r1", journal=journal) as session:
        await run(engine, session, code)
        assert session.plan(RunStatus.SUCCEEDED).feedback_dependent
