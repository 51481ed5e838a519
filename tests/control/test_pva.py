"""PVAccess against a real p4p server: what is read, what is written, and what is never sent."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osprey_executor.config import ConditionConfig, config_from
from osprey_executor.control import (
    Broker,
    LimitsFile,
    PvaConnector,
    Session,
    control_report,
    effects_of,
    open_control,
)
from osprey_executor.control.broker._calls import answer_of
from osprey_executor.control.broker._conditions import conditions_of, unmet
from osprey_executor.errors import ConfigurationError, ControlSystemError, OutcomeUnknownError, WriteRefused
from osprey_executor.models import AlarmSeverity, ControlSystemReport, MachineEffects

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture
def session(pva: Broker, journal: Path, permit: Any) -> Session:
    return pva.session(run_id="r1", permit=permit(), journal=journal)


async def value(session: Session, channel: str) -> Any:
    return (await session.read([channel]))[channel].value


async def test_a_table_is_a_dict_of_columns(session: Session) -> None:
    table = await value(session, "P:TABLE")
    assert table["at"].tolist() == [1.0, 2.0]
    assert table["name"] == ["a", "b"]
    assert sum(reading.channel == "P:TABLE" for reading in session.reads) == 1


async def test_an_image_is_refused_by_name(session: Session) -> None:
    with pytest.raises(ControlSystemError, match=r"P:IMAGE: an image \(NTNDArray\) is not read"):
        await session.read(["P:NUMBER", "P:IMAGE"])


async def test_the_alarm_has_words(pva: Broker, session: Session) -> None:
    sample = (await pva.connector.read(["P:INVALID"]))["P:INVALID"]
    assert (sample.severity, sample.status) == (AlarmSeverity.INVALID, "no link")
    with pytest.raises(ControlSystemError, match="P:INVALID: the value is INVALID"):
        await session.read(["P:INVALID"])


async def test_writes_are_confirmed_and_read_back(
    session: Session, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    await session.write({"P:NUMBER": 4.5, "P:STATE": "On", "P:WHOLE": 2**40, "P:FLAG": 0, "P:ROW": [4, 5]})
    assert [await value(session, f"P:{name}") for name in ("NUMBER", "STATE", "WHOLE", "FLAG")] == [
        *(4.5, "On", 2**40, False)
    ]
    assert [entry["read_back"] for entry in entries() if entry["event"] == "confirmed"][:2] == ["4.5", "'On'"]


@pytest.mark.parametrize(
    ("channel", "bad"),
    [
        *(("P:NUMBER", math.nan), ("P:NUMBER", True), ("P:NUMBER", "4"), ("P:NUMBER", [4.0]), ("P:WHOLE", 2**63)),
        *(("P:WHOLE", 1.5), ("P:STATE", "Broken"), ("P:FLAG", True), ("P:TABLE", 1.0), ("P:TEXT", 4.0)),
        ("P:NUMBER{record[process=true]}", 4.0),
    ],
)
async def test_refused_never_reaches_the_server(session: Session, channel: str, bad: Any) -> None:
    """The canary is `test_writes_are_confirmed_and_read_back`: with values that fit, the same channels change."""
    name = channel.partition("{")[0]
    before = await value(session, name)
    with pytest.raises(WriteRefused):
        await session.write({channel: bad})
    now = await value(session, name)
    assert now["name"] == before["name"] if name == "P:TABLE" else np.array_equal(now, before)


async def test_options_of_requests_are_our_own(pva: Broker) -> None:
    """A name is a name: whatever a caller appends to one names another channel, which is not there."""
    await pva.connector.write("P:OPTIONS", 1.0)
    (asked,) = (await pva.connector.read(["P:ASKED"])).values()
    assert "process" not in asked.value
    assert "'block': 'true'" in asked.value
    with pytest.raises(ControlSystemError, match="not sent"):
        await pva.connector.write("P:OPTIONS?record[process=true]", 2.0)
    assert (await pva.connector.read(["P:OPTIONS"]))["P:OPTIONS"].value == 1.0


async def test_what_the_server_refuses_is_a_failure_with_certainty(session: Session, journal: Path) -> None:
    with pytest.raises(ControlSystemError, match="P:LOCKED: not written: locked by the operator"):
        await session.write({"P:LOCKED": 3.0})
    assert session.effects is effects_of(journal) is MachineEffects.NONE


async def test_a_write_without_confirmation_is_unknown(session: Session, journal: Path) -> None:
    with pytest.raises(OutcomeUnknownError, match="P:SLOW: no confirmation"):
        await session.write({"P:SLOW": 3.0})
    assert session.effects is effects_of(journal) is MachineEffects.UNKNOWN


async def test_commands_answer_values_and_tables(pva: Broker) -> None:
    connector = pva.connector
    assert await connector.call("P:COMMAND", {"number": 4.0}) == 8.0
    table = await connector.call("P:COMMAND", {"action": "table"})
    assert (table["at"].tolist(), table["name"]) == ([1.0], ["a"])
    with pytest.raises(ControlSystemError, match="P:COMMAND: not done: no such action"):
        await connector.call("P:COMMAND", {"action": "fail"})
    with pytest.raises(ControlSystemError, match="not sent: the argument 'x' is a dict"):
        await connector.call("P:COMMAND", {"x": {}})
    with pytest.raises(ControlSystemError, match="not sent: a value of type object"):
        await connector.call("P:COMMAND", {"x": object()})
    with pytest.raises(OutcomeUnknownError, match="P:NOBODY: no confirmation"):
        await connector.call("P:NOBODY", {})


async def test_an_answer_that_is_not_taken_is_an_error_and_its_command_done(
    pva: Broker, journal: Path, permit: Any, entries: Callable[[], list[dict[str, Any]]]
) -> None:
    session = pva.session(run_id="r1", permit=permit(frozenset({"P:COMMAND"})), journal=journal)
    with pytest.raises(ControlSystemError, match="done and confirmed, only its answer is lost: its answer is an image"):
        await session.call("P:COMMAND", {"action": "image"})
    assert [entry["event"] for entry in entries()][-1] == "confirmed"
    assert session.effects is effects_of(journal) is MachineEffects.WRITTEN
    with pytest.raises(ControlSystemError, match="only its answer is lost: its answer is an image"):
        await answer_of(pva.connector, "P:COMMAND", {"action": "image"})  # as a query's


async def test_the_configuration_names_the_server(pva: Broker) -> None:
    config = config_from({"control_system": {"type": "pva", "pva": {"address_list": list(pva.connector.addresses)}}})
    assert control_report(config).real
    assert control_report(config).addresses == pva.connector.addresses
    async with open_control(config) as broker:
        assert (await broker.connector.read(["P:TEXT"])).keys() == {"P:TEXT"}
    with pytest.raises(ConfigurationError, match=r"control_system\.pva\.address_list is empty"):
        PvaConnector([])


async def test_the_environment_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, pva: Broker) -> None:
    (address,) = pva.connector.addresses
    monkeypatch.setenv("EPICS_PVA_ADDR_LIST", address)
    monkeypatch.setenv("EPICS_PVA_NAME_SERVERS", address)
    connector = PvaConnector(["127.0.0.1:9"])
    connector._process._timeouts = type(connector._process._timeouts)(read=0.5)
    await connector.connect()
    try:
        with pytest.raises(ControlSystemError, match="P:NUMBER: no answer"):
            await connector.read(["P:NUMBER"])
    finally:
        await connector.close()


async def test_a_boolean_is_a_state_for_limits_conditions_and_switches(
    pva: Broker, permit: Any, journal: Path, tmp_path: Path
) -> None:
    (tmp_path / "limits.yml").write_text("P:FLAG: {max_step: 1, verification: {level: readback}}\n")
    limits = LimitsFile(tmp_path / "limits.yml")
    report = ControlSystemReport(type="pva", real=True, writes_enabled=True)
    wanted = conditions_of([ConditionConfig(channel="P:FLAG", condition="== 1")])
    for state in (0, 1):
        session = Broker(pva.connector, report, limits=limits).session(run_id="r", permit=permit(), journal=journal)
        await session.write({"P:FLAG": state})
        assert session.notes == ()
        assert (await unmet(wanted, pva.connector) is None) is (state == 1)
        assert (await Broker(pva.connector, report, stop_channel="P:FLAG").stopped() is None) is (state == 0)
    async with pva.rehearsal(run_id="r", journal=journal) as session:
        await session.write({"P:FLAG": 0})
        assert await value(session, "P:FLAG") is False
