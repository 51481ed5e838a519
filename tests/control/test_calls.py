"""Commands (RPC) against a real p4p server: a query is answered, anything else is a write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from osprey_executor.config import config_from
from osprey_executor.control import Broker, LimitsFile, Session, effects_of, gateways_for, writes_of
from osprey_executor.errors import ControlSystemError, OutcomeUnknownError, WriteRefused
from osprey_executor.execution import Engine, Program, open_engine
from osprey_executor.models import ControlSystemReport, MachineEffects, RunStatus

pytestmark = pytest.mark.asyncio(loop_scope="session")

Entries = Callable[[], list[dict[str, Any]]]
REAL = ControlSystemReport(type="pva", real=True, writes_enabled=True)
LIMITS = """
allow_unlisted_channels: true
P:COMMAND: {call: query}
P:HIDDEN: {call: query, readable: false}
P:BOUNDED: {min_value: 0, max_value: 1}
P:SHUT: {writable: false}
"""


@pytest.fixture
def broker(pva: Broker, tmp_path: Path) -> Broker:
    """P:COMMAND is listed as a query, P:SERVICE is not."""
    (tmp_path / "limits.yml").write_text(LIMITS)
    return Broker(pva.connector, REAL, limits=LimitsFile(tmp_path / "limits.yml"))


@pytest.fixture
def session(broker: Broker, journal: Path) -> Session:
    return broker.session(run_id="r1", permit=None, journal=journal)


async def runs(broker: Broker) -> int:
    """Return how often the server has run a command."""
    return int((await broker.connector.read(["P:RUNS"]))["P:RUNS"].value)


async def test_a_query_is_answered_and_nobody_has_to_approve_it(
    broker: Broker, session: Session, entries: Entries
) -> None:
    before = await runs(broker)
    assert await session.call("P:COMMAND", {"number": 4.0}) == 8.0
    table = await session.call("P:COMMAND.VAL", {"action": "table"}, 3)
    assert (table["at"].tolist(), table["name"]) == ([1.0], ["a"])
    with pytest.raises(ControlSystemError, match="no such action"):
        await session.call("P:COMMAND", {"action": "fail"})
    with pytest.raises(ControlSystemError, match="not sent: the argument 'x'"):
        await session.call("P:COMMAND", {"x": {}})
    with pytest.raises(ControlSystemError, match="not to be read"):
        await session.call("P:HIDDEN", {"number": 4.0})
    assert await runs(broker) == before + 3
    assert (session.effects, session.refusals, entries()) == (MachineEffects.NONE, (), [])


async def test_another_command_is_refused_and_journalled(broker: Broker, session: Session, entries: Entries) -> None:
    """The canary is the test above: the same server runs what is a query."""
    before = await runs(broker)
    for channel in ("P:SERVICE", "P:SERVICE.VAL", "not a name", 7):
        with pytest.raises(WriteRefused, match="a command counts as a write"):
            await session.call(channel, {"number": 4.0}, 3)  # pyright: ignore[reportArgumentType]
    assert await runs(broker) == before
    assert [entry["event"] for entry in entries()] == ["attempt", "refused"] * 4
    assert (entries()[1]["value"], entries()[1]["line"]) == ('call {"number": 4.0}', 3)
    assert session.effects is MachineEffects.NONE


async def test_without_a_limits_database_no_command_is_a_query(pva: Broker, journal: Path) -> None:
    before = await runs(pva)
    with pytest.raises(WriteRefused, match="has no approval"):
        await pva.session(run_id="r1", permit=None, journal=journal).call("P:COMMAND", {"number": 4.0})
    assert await runs(pva) == before


async def test_a_command_that_may_be_run_is_journalled_like_a_write(
    broker: Broker, journal: Path, permit: Any, entries: Entries
) -> None:
    before = await runs(broker)
    session = broker.session(run_id="r1", permit=permit(), journal=journal)
    assert await session.call("P:SERVICE", {"row": np.array([1.0, 2.0]), "number": 4.0}, 7) == 8.0
    assert [entry["event"] for entry in entries()] == ["attempt", "intended", "sent", "confirmed"]
    assert {entry["value"] for entry in entries()} == {'call {"number": 4.0, "row": [1.0, 2.0]}'}
    assert (entries()[-1]["answer"], entries()[-1]["line"]) == ("8.0", 7)
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN
    with pytest.raises(ControlSystemError, match="no such action"):
        await session.call("P:SERVICE", {"action": "fail"})
    assert entries()[-1]["event"] == "failed"
    assert await runs(broker) == before + 2
    assert [(write.channel, write.confirmed) for write in writes_of(journal)] == [("P:SERVICE", True)]


async def test_a_command_without_an_answer_is_unknown_and_the_last(
    broker: Broker, journal: Path, permit: Any, entries: Entries
) -> None:
    session = broker.session(run_id="r1", permit=permit(), journal=journal)
    with pytest.raises(OutcomeUnknownError, match="P:NOBODY: no confirmation"):
        await session.call("P:NOBODY", {})
    assert [entry["event"] for entry in entries()] == ["attempt", "intended", "sent", "unknown"]
    assert session.effects is effects_of(journal) is MachineEffects.UNKNOWN
    with pytest.raises(WriteRefused, match="no confirmation"):
        await session.call("P:SERVICE", {"number": 4.0})
    assert await session.call("P:COMMAND", {"number": 4.0}) == 8.0


@pytest.mark.parametrize(
    ("channel", "arguments", "reason"),
    [
        ("P:BOUNDED", {}, "its limits bound values"),
        ("P:SHUT", {}, "not to be written"),
        ("P:SERVICE", {"number": float("nan")}, "'number' is neither"),
        ("P:SERVICE", {"number": None}, "'number' is neither"),
        ("P:SERVICE", {"row": ["a"]}, "'row' is neither"),
        ("P:SERVICE", {"a b": 1.0}, "is a word"),
        ("P:SERVICE", {"text": "x" * 3000}, "at most 2000"),
        ("P:SERVICE", {"row": [1.0] * 3000}, "'row' is neither"),
        ("P:SERVICE", [1], "are a mapping"),
    ],
)
async def test_what_a_person_could_not_approve_is_refused_whoever_does(
    broker: Broker, journal: Path, permit: Any, channel: str, arguments: Any, reason: str
) -> None:
    """The canary is `test_a_command_that_may_be_run_is_journalled_like_a_write`."""
    before = await runs(broker)
    with pytest.raises(WriteRefused, match=reason):
        await broker.session(run_id="r1", permit=permit(), journal=journal).call(channel, arguments)
    assert await runs(broker) == before


async def test_no_channel_becomes_a_query_by_default(tmp_path: Path) -> None:
    (tmp_path / "limits.yml").write_text("defaults: {call: query}\n")
    now = LimitsFile(tmp_path / "limits.yml").now()
    assert now.database is None
    assert "defaults.call belongs to the channels that have commands" in str(now.report.problem)


async def test_a_rehearsal_answers_queries_and_keeps_other_commands(
    broker: Broker, journal: Path, entries: Entries
) -> None:
    before = await runs(broker)
    begun: list[int] = []
    async with broker.rehearsal(run_id="r1", journal=journal, on_write=lambda: begun.append(1)) as session:
        assert await session.call("P:COMMAND", {"number": 4.0}) == 8.0
        assert not session.plan(RunStatus.SUCCEEDED).feedback_dependent
        assert await session.call("P:SERVICE", {"number": 4.0}, 5) is None
        await session.write({"P:NUMBER": 2.0}, 6)
        assert await session.call("P:COMMAND", {"number": 1.0}) == 2.0
        with pytest.raises(WriteRefused, match="bound values"):
            await session.call("P:BOUNDED", {}, 7)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert await runs(broker) == before + 2
    assert [(write.index, write.channel, write.value, write.command, write.line) for write in plan.writes] == [
        (1, "P:SERVICE", 'call {"number": 4.0}', True, 5),
        (2, "P:NUMBER", 2.0, False, 6),
    ]
    assert [(one.channel, one.value) for one in plan.attempted] == [
        ("P:SERVICE", 'call {"number": 4.0}'),
        ("P:NUMBER", 2.0),
        ("P:BOUNDED", "call {}"),
    ]
    assert (plan.feedback_dependent, plan.feedback_dependent_from, plan.conclusive) == (True, 5, False)
    assert begun == [1]
    assert [entry["event"] for entry in entries()] == [*["attempt", "rehearsed"] * 2, "attempt", "refused"]
    assert session.effects is MachineEffects.NONE


async def test_a_query_after_a_write_makes_a_rehearsal_depend_on_feedback(broker: Broker, journal: Path) -> None:
    async with broker.rehearsal(run_id="r1", journal=journal) as session:
        await session.write({"P:NUMBER": 2.0}, 2)
        await session.call("P:COMMAND", {"number": 4.0}, 3)
        plan = session.plan(RunStatus.SUCCEEDED)
    assert plan.feedback_dependent_from == 3


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def engine() -> AsyncIterator[Engine]:
    async with open_engine("local", gateways=gateways_for(config_from({}).control_system)) as opened:
        yield opened


PROGRAM = """
from p4p.client.thread import Context
from p4p.nt import NTURI
from osprey_executor.runtime import call_channel

context = Context("pva")
number, word = NTURI([("number", "d")]), NTURI([("action", "s")])
table = context.rpc("P:COMMAND", word.wrap("P:COMMAND", kws={"action": "table"}), timeout=20)
results = {
    "by p4p": float(context.rpc("P:COMMAND", number.wrap("P:COMMAND", kws={"number": 4.0}), timeout=20)),
    "its type": context.rpc("P:COMMAND", number.wrap("P:COMMAND", kws={"number": 4.0}), timeout=20).raw.getID(),
    "columns": table.labels,
    "by the runtime": call_channel("P:COMMAND", {"number": 3.0}),
    "table": call_channel("P:COMMAND", {"action": "table"}),
    "refused": [],
}
for change in (
    lambda: context.rpc("P:COMMAND", word.wrap("P:COMMAND", kws={"action": "fail"}), timeout=20),
    lambda: context.rpc("P:SERVICE", number.wrap("P:SERVICE", kws={"number": 4.0}), timeout=20),
    lambda: call_channel("P:SERVICE", {"number": 3.0}),
):
    try:
        change()
    except Exception as error:
        results["refused"].append(f"{type(error).__name__}: {error}")
context.close()
"""


async def test_a_program_asks_by_the_runtime_and_by_p4p(
    engine: Engine, broker: Broker, session: Session, entries: Entries
) -> None:
    before = await runs(broker)
    outcome = await asyncio.wait_for(engine.run(Program(code=PROGRAM), control=session), 100)
    assert outcome.status is RunStatus.SUCCEEDED, (outcome.error, outcome.notes)
    results = outcome.results
    assert (results["by p4p"], results["by the runtime"]) == (8.0, 6.0)
    assert results["its type"].startswith("epics:nt/NTScalar:")
    assert results["columns"] == ["at", "name"]
    assert (results["table"]["at"].tolist(), results["table"]["name"]) == ([1.0], ["a"])
    failed, by_p4p, by_runtime = results["refused"]
    assert failed.startswith("RemoteError: P:COMMAND: not done: no such action")
    assert by_p4p.startswith('RemoteError: P:SERVICE = call {"number": 4.0}: refused: a command counts as a write')
    assert by_runtime.startswith('WriteRefused: P:SERVICE = call {"number": 3.0}: refused')
    assert await runs(broker) == before + 6
    assert [(entry["event"], entry["channel"]) for entry in entries()] == [
        *[("attempt", "P:SERVICE"), ("refused", "P:SERVICE")] * 2
    ]
