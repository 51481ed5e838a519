"""Channel Access against a real soft IOC: what is read, what is written, and what is never sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osprey_executor.config import config_from
from osprey_executor.control import Broker, ChannelKind, EpicsConnector, Session, Timeouts, effects_of, open_control
from osprey_executor.errors import (
    ChannelDisconnectedError,
    ConfigurationError,
    ControlSystemError,
    OutcomeUnknownError,
    WriteRefused,
)
from osprey_executor.models import AlarmSeverity, ControlSystemReport, MachineEffects

pytestmark = pytest.mark.asyncio(loop_scope="session")

Entries = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def session(records: Broker, journal: Path, permit: Any) -> Session:
    return records.session(run_id="r1", permit=permit(), journal=journal)


async def value(session: Session, channel: str) -> Any:
    return (await session.read([channel]))[channel].value


async def test_what_is_read(session: Session) -> None:
    readings = await session.read(["T:NUMBER", "T:WHOLE", "T:STATE", "T:TEXT", "T:ROW", "T:TEXT.VAL$", "T:ALARM"])
    number = readings["T:NUMBER"]
    assert (type(number.value), number.units) == (float, "A")
    assert number.timestamp is not None
    assert abs(datetime.now(UTC) - number.timestamp) < timedelta(hours=1)
    assert (readings["T:WHOLE"].value, readings["T:WHOLE"].units) == (7, "turns")
    assert type(readings["T:WHOLE"].value) is int
    assert readings["T:TEXT"].value == "hello"
    assert type(readings["T:ROW"].value) is np.ndarray
    assert readings["T:TEXT.VAL$"].value == "hello"
    assert readings["T:ALARM"].severity is AlarmSeverity.MINOR


async def test_enum_channels_speak_labels(session: Session) -> None:
    await session.write({"T:STATE": "On"})
    assert await value(session, "T:STATE") == "On"
    await session.write({"T:STATE": 0})
    assert await value(session, "T:STATE") == "Off"
    with pytest.raises(WriteRefused, match="'Off', 'Standby', 'On'"):
        await session.write({"T:STATE": "Broken"})


async def test_what_is_written(session: Session, entries: Entries) -> None:
    await session.write({"T:NUMBER.VAL": 2.5, "T:WHOLE": 8.0, "T:TEXT": "run 7", "T:ROW": [4, 5, 6]})
    readings = await session.read(["T:NUMBER", "T:WHOLE", "T:TEXT", "T:ROW"])
    assert [readings[name].value for name in ("T:NUMBER", "T:WHOLE", "T:TEXT")] == [2.5, 8, "run 7"]
    assert readings["T:ROW"].value.tolist() == [4.0, 5.0, 6.0]
    assert [write.confirmed for write in session.writes] == [True] * 4


async def test_the_read_back_shows_a_drive_limit(session: Session, entries: Entries) -> None:
    await session.write({"T:NUMBER": 50.0})
    assert (entries()[-1]["value"], entries()[-1]["read_back"]) == ("50.0", "10.0")
    assert session.notes == ("T:NUMBER was written as 50.0, and reads 10.0",)
    await session.write({"T:NUMBER": 5.0})
    assert session.notes == ()


@pytest.mark.parametrize(
    ("channel", "bad"),
    [
        ("T:NUMBER", float("nan")),
        ("T:NUMBER", True),
        ("T:NUMBER", [4.0]),
        ("T:NUMBER", "4"),
        ("T:NUMBER.DRVH", 99.0),
        ("T:NUMBER.PROC", 1),
        ("T:WHOLE", 1.5),
        ("T:WHOLE", 2**40),
        ("T:TEXT", 4.0),
        ("T:ROW", 4.0),
        ("T:ROW", np.zeros(9)),
        ("T:TEXT.VAL$", "x"),
    ],
)
async def test_refused_never_reaches_the_ioc(session: Session, channel: str, bad: Any) -> None:
    """The canary is `test_what_is_written`: with values that fit, the same channels change."""
    before = await value(session, channel)
    with pytest.raises(WriteRefused):
        await session.write({channel: bad})
    assert np.array_equal(await value(session, channel), before)


async def test_without_permit_the_ioc_keeps_its_value(records: Broker, session: Session, tmp_path: Path) -> None:
    before = await value(session, "T:OTHER")
    reader = records.session(run_id="r2", permit=None, journal=tmp_path / "other.jsonl")
    with pytest.raises(WriteRefused, match="no approval"):
        await reader.write({"T:OTHER": before + 1.0})
    assert await value(session, "T:OTHER") == before
    await session.write({"T:OTHER": before + 1.0})
    assert await value(session, "T:OTHER") == before + 1.0


async def test_what_the_ioc_refuses_is_a_failure_with_certainty(session: Session, journal: Path) -> None:
    with pytest.raises(ControlSystemError, match="T:LOCKED: not written"):
        await session.write({"T:LOCKED": 3.0})
    assert await value(session, "T:LOCKED") == 2.0
    assert session.effects is effects_of(journal) is MachineEffects.NONE


async def test_never_processed_is_invalid_to_read(session: Session) -> None:
    with pytest.raises(ControlSystemError, match="T:NEVER: the value is INVALID"):
        await session.read(["T:NUMBER", "T:NEVER"])


async def test_an_unknown_channel_is_named(session: Session, entries: Entries) -> None:
    with pytest.raises(ControlSystemError, match="T:NOBODY: no answer"):
        await session.read(["T:NUMBER", "T:NOBODY"])
    with pytest.raises(ControlSystemError, match="T:NOBODY"):
        await session.write({"T:NUMBER": 1.0, "T:NOBODY": 1.0})
    assert session.writes == ()
    assert {entry["event"] for entry in entries()} == {"attempt", "not_sent"}


async def test_a_write_without_confirmation_is_unknown_also_when_it_lands_later(
    ioc: Any, session: Session, journal: Path, permit: Any, records: Broker
) -> None:
    await session.write({"T:LATE": 1.0})
    original = records.connector.write

    async def stop_then_write(channel: str, number: Any) -> Any:
        ioc.stop()
        return await original(channel, number)

    records.connector.write = stop_then_write  # pyright: ignore[reportAttributeAccessIssue]
    try:
        with pytest.raises(OutcomeUnknownError, match="T:LATE: no confirmation"):
            await session.write({"T:LATE": 2.0})
        assert session.effects is effects_of(journal) is MachineEffects.UNKNOWN
        with pytest.raises(WriteRefused, match="no confirmation"):
            await session.write({"T:LATE": 3.0})
    finally:
        records.connector.write = original  # pyright: ignore[reportAttributeAccessIssue]
        ioc.go_on()
    later = records.session(run_id="r2", permit=permit(), journal=journal)
    assert await value(later, "T:LATE") == 2.0
    await later.write({"T:LATE": 4.0})
    assert (await value(later, "T:LATE"), session.effects) == (4.0, MachineEffects.UNKNOWN)


async def test_a_cancelled_write_is_unknown(ioc: Any, session: Session, records: Broker, journal: Path) -> None:
    sent = asyncio.Event()
    original = records.connector.write

    async def stop_then_write(channel: str, number: Any) -> Any:
        ioc.stop()
        sent.set()
        return await original(channel, number)

    records.connector.write = stop_then_write  # pyright: ignore[reportAttributeAccessIssue]
    try:
        writing = asyncio.create_task(session.write({"T:LATE": 5.0}))
        await sent.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    finally:
        records.connector.write = original  # pyright: ignore[reportAttributeAccessIssue]
        ioc.go_on()
    assert session.effects is effects_of(journal) is MachineEffects.UNKNOWN


async def test_an_ioc_that_dies_during_a_write_leaves_it_unknown(start_ioc: Any, journal: Path, permit: Any) -> None:
    async with start_ioc() as ioc:
        connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=1.0, write=20.0))
        await connector.connect()
        try:
            broker = Broker(connector, ControlSystemReport(type="epics", real=True, writes_enabled=True))
            session = broker.session(run_id="r1", permit=permit(), journal=journal)
            await session.write({"T:OTHER": 1.0})
            ioc.stop()
            writing = asyncio.create_task(connector.write("T:OTHER", 2.0))
            await asyncio.sleep(0.3)
            ioc.kill()
            with pytest.raises(OutcomeUnknownError, match="T:OTHER"):
                await writing
            with pytest.raises(ControlSystemError, match="T:OTHER: no answer"):
                await session.read(["T:OTHER"])
            with pytest.raises(ControlSystemError, match="not sent"):
                await connector.write("T:OTHER", 3.0)
        finally:
            await connector.close()


async def test_the_death_of_the_channel_access_process_is_told(ioc: Any, journal: Path, permit: Any) -> None:
    connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=2.0, write=5.0))
    await connector.connect()
    try:
        broker = Broker(connector, ControlSystemReport(type="epics", real=True, writes_enabled=True))
        session = broker.session(run_id="r1", permit=permit(), journal=journal)
        await session.write({"T:OTHER": 1.0})
        ioc.stop()
        try:
            writing = asyncio.create_task(connector.write("T:OTHER", 2.0))
            await asyncio.sleep(0.2)
            connector._process._child.process.kill()  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
            with pytest.raises(OutcomeUnknownError, match="has ended"):
                await writing
        finally:
            ioc.go_on()
        with pytest.raises(ControlSystemError, match="has ended"):
            await session.read(["T:OTHER"])
        with pytest.raises(ControlSystemError):
            await session.write({"T:OTHER": 3.0})
        assert session.effects is MachineEffects.WRITTEN
    finally:
        await connector.close()


async def test_two_address_lists_in_one_process(ioc: Any, simulator: Broker) -> None:
    config = config_from({"control_system": {"type": "epics", "epics": {"address_list": [f"127.0.0.1:{ioc.port}"]}}})
    quick = Timeouts(read=1.0)
    async with open_control(config, timeouts=quick) as broker:
        assert broker.report.real
        assert broker.report.addresses == (f"127.0.0.1:{ioc.port}",)
        assert (await broker.connector.read(["T:NUMBER"])).keys() == {"T:NUMBER"}
        with pytest.raises(ControlSystemError, match="VA:DCCT"):
            await broker.connector.read(["VA:DCCT"])
        assert (await simulator.connector.read(["VA:DCCT"]))["VA:DCCT"].value > 1.0


@pytest.mark.parametrize("addresses", [[], [""], ["a b"]])
async def test_addresses_are_never_empty(addresses: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="address"):
        EpicsConnector(addresses)


async def test_alarm_labels_and_limits_come_with_a_sample(records: Broker) -> None:
    samples = await records.connector.read(["T:ALARM", "T:STATE", "T:NUMBER", "T:NEVER"])
    assert (samples["T:ALARM"].severity, samples["T:NUMBER"].status) == (AlarmSeverity.MINOR, "")
    assert samples["T:STATE"].labels == ("Off", "Standby", "On")
    assert (samples["T:NEVER"].severity, samples["T:NEVER"].status) == (AlarmSeverity.INVALID, "UDF")


async def test_nobody_is_searched_for_after_an_answer_was_due(ioc: Any) -> None:
    """Else a program could make the connector search for ever more names."""
    connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=0.3))
    await connector.connect()
    try:
        for _ in range(3):
            with pytest.raises(ChannelDisconnectedError, match=r"T:NOBODY0: no answer .* \(and 45 more\)"):
                await connector.read([f"T:NOBODY{number}" for number in range(50)])
        assert (await connector.read(["T:NUMBER"])).keys() == {"T:NUMBER"}
    finally:
        await connector.close()


async def test_what_does_not_fit_a_channel_is_not_sent(records: Broker) -> None:
    """Past the broker's checks too: what libca would convert by itself is refused or exact."""
    connector = records.connector
    for channel, bad in (("T:WHOLE", 2**40), ("T:WHOLE", 1.5), ("T:TEXT", 4), ("T:TEXT", "x" * 40)):
        with pytest.raises(ControlSystemError, match=f"{channel}: not written: not sent"):
            await connector.write(channel, bad)
    assert (await connector.read(["T:TEXT"]))["T:TEXT"].value != "4"


async def test_empty_arrays_and_arrays_of_texts(records: Broker) -> None:
    names = ["T:EMPTY", "T:BYTES", "T:TEXTS"]
    samples = await records.connector.read(names)
    assert [sample.kind for sample in samples.values()] == [ChannelKind.ARRAY] * 3
    assert samples["T:EMPTY"].value.tolist() == []
    assert (samples["T:BYTES"].value.tolist(), samples["T:BYTES"].dtype) == ([], "u1")
    assert samples["T:TEXTS"].value == []
