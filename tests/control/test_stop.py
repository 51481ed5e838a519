"""The kill switch: once it is on, nothing more arrives at the machine, and a switch that cannot be seen is on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.control import Broker, Confirmation, EpicsConnector, MockConnector, StopSwitch, Timeouts
from osprey_executor.errors import ControlSystemError, StorageError, WriteRefused
from osprey_executor.models import ControlSystemReport, MachineEffects

REAL = ControlSystemReport(type="epics", real=True, writes_enabled=True)
Entries = Callable[[], list[dict[str, Any]]]


class Slow(MockConnector):
    """Takes a moment for each write, as a machine does."""

    def __init__(self, channels: int) -> None:
        super().__init__({f"C{number}": 0.0 for number in range(channels)})
        self.received: list[str] = []

    async def write(self, channel: str, value: Any) -> Confirmation:
        self.received.append(channel)
        await asyncio.sleep(0.01)
        return await super().write(channel, value)


def test_it_is_off_until_somebody_turns_it_on(tmp_path: Path) -> None:
    switch = StopSwitch(tmp_path)
    assert switch.on() is None
    assert switch.stop("ann", "beam is lost")
    assert not StopSwitch(tmp_path).stop("bob", "me too")
    assert "by ann since" in (switch.on() or "")
    assert (switch.on() or "").endswith(": beam is lost")
    assert "by ann" in (switch.release("bob") or "")
    assert switch.on() is switch.release("bob") is None
    log = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [(entry["kind"], entry["by"]) for entry in log] == [("writes stopped", "ann"), ("writes allowed", "bob")]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["audit.head", "audit.jsonl", "audit.key"]


def test_a_folder_that_is_not_there_is_made_and_one_that_went_away_stops(tmp_path: Path) -> None:
    assert StopSwitch(tmp_path / "a" / "b").stop("ann", "")
    assert "its folder is gone" in (StopSwitch(tmp_path / "c").on() or "")
    (tmp_path / "file").touch()
    assert "cannot be looked at" in (StopSwitch(tmp_path / "file").on() or "")
    with pytest.raises(StorageError, match="WRITES ARE NOT STOPPED"):
        StopSwitch(tmp_path / "file" / "home").stop("ann", "")


@pytest.mark.parametrize("kind", ["empty", "no JSON", "a list", "deep", "huge", "link", "folder", "fifo"])
def test_whatever_is_there_stops(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "writes-stopped.json"
    match kind:
        case "link":
            path.symlink_to(tmp_path / "nowhere")
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case _:
            content = {"empty": "", "no JSON": "\0{", "a list": "[1]", "deep": "[" * 9000, "huge": "x" * 10**6}[kind]
            path.write_text(content)
    assert StopSwitch(tmp_path).on() == f"writes are stopped: {path} is there"


def test_a_file_of_the_site_stops_too(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    switch = StopSwitch(tmp_path / "home", tmp_path / "site")
    assert switch.on() is None
    (tmp_path / "site").touch()
    assert switch.on() == f"writes are stopped: {tmp_path / 'site'} is there"
    assert "its folder is gone" in (StopSwitch(None, tmp_path / "absent" / "site").on() or "")


@pytest.mark.parametrize("there", [True, False])
async def test_a_call_under_way_stops_when_another_process_stops_it(
    tmp_path: Path, journal: Path, permit: Any, entries: Entries, there: bool
) -> None:
    """With `there` False, nobody looks at the switch: all writes arrive. That is the canary."""
    machine = Slow(500)
    broker = Broker(machine, REAL, switch=StopSwitch(tmp_path) if there else None)
    session = broker.session(run_id="r1", permit=permit(), journal=journal)
    writing = asyncio.create_task(session.write({f"C{number}": 1.0 for number in range(500)}))
    while len(machine.received) < 3:
        await asyncio.sleep(0.001)
    code = f"from osprey_executor.control import StopSwitch; StopSwitch(__import__('pathlib').Path({str(tmp_path)!r}))"
    stopping = await asyncio.create_subprocess_exec(sys.executable, "-c", f"{code}.stop('ann', 'enough')")
    assert await stopping.wait() == 0
    arrived = len(machine.received)
    if not there:
        await writing
        assert len(machine.received) == 500
        return
    with pytest.raises(WriteRefused, match=r"writes are stopped by ann since .*: enough"):
        await writing
    assert len(machine.received) <= arrived + 1, "one may have been on its way"
    assert session.effects is MachineEffects.WRITTEN
    assert [refusal.reason.endswith(": enough") for refusal in session.refusals] == [True]
    assert entries()[-1]["event"] == "refused"
    with pytest.raises(WriteRefused, match="enough"):
        await session.write({"C0": 2.0})
    StopSwitch(tmp_path).release("bob")
    await session.write({"C0": 2.0})


async def test_nothing_reaches_an_ioc_while_writes_are_stopped(
    ioc: Any, tmp_path: Path, journal: Path, permit: Any
) -> None:
    connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=2.0, write=2.0))
    await connector.connect()
    try:
        switch = StopSwitch(tmp_path)
        session = Broker(connector, REAL, switch=switch).session(run_id="r1", permit=permit(), journal=journal)
        await session.write({"T:OTHER": 5.0})
        switch.stop("ann", "")
        with pytest.raises(WriteRefused, match="writes are stopped"):
            await session.write({"T:OTHER": 6.0})
        assert (await session.read(["T:OTHER"]))["T:OTHER"].value == 5.0
    finally:
        await connector.close()


async def test_a_channel_of_the_machine_stops_writes_and_so_does_its_silence(
    start_ioc: Any, tmp_path: Path, permit: Any
) -> None:
    async with start_ioc() as started:
        connector = EpicsConnector([f"127.0.0.1:{started.port}"], timeouts=Timeouts(read=1.0, write=1.0))
        await connector.connect()
        try:
            operator = Broker(connector, REAL).session(run_id="o", permit=permit(), journal=tmp_path / "operator.jsonl")
            broker = Broker(connector, REAL, stop_channel="T:OTHER")
            session = broker.session(run_id="r1", permit=permit(), journal=tmp_path / "journal.jsonl")
            for value in (1.0, -1.0):
                await operator.write({"T:OTHER": value})
                with pytest.raises(WriteRefused, match=f"stopped at the machine: T:OTHER is {value}"):
                    await session.write({"T:LATE": 1.0})
            await operator.write({"T:OTHER": 0.0})
            await session.write({"T:LATE": 1.0})
            started.stop()
            await asyncio.sleep(0.1)  # a look counts for a twentieth of a second
            with pytest.raises(WriteRefused, match="the stop channel T:OTHER cannot be read, so nothing is written"):
                await session.write({"T:LATE": 2.0})
        finally:
            started.go_on()
            await connector.close()


class Asked(MockConnector):
    """Its answer to whoever asks for the stop channel waits."""

    def __init__(self, stop: Any = 0.0) -> None:
        super().__init__({"STOP": stop, "A": 0.0})
        self.asked, self.answers = asyncio.Event(), asyncio.Event()
        self.received: list[str] = []

    async def read(self, channels: Any) -> Any:
        if "STOP" in channels:
            self.asked.set()
            await self.answers.wait()
        return await super().read(channels)

    async def write(self, channel: str, value: Any) -> Confirmation:
        self.received.append(channel)
        return await super().write(channel, value)


async def test_who_stops_writes_while_the_stop_channel_is_asked_is_heard(
    tmp_path: Path, journal: Path, permit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine, switch = Asked(), StopSwitch(tmp_path)
    monkeypatch.setattr("osprey_executor.control.broker._stop_channel._FRESH", 0.0)
    broker = Broker(machine, REAL, switch=switch, stop_channel="STOP")
    asked = 0
    seen = broker.stopped

    async def stopped() -> str | None:
        nonlocal asked
        asked += 1
        if asked == 3:  # the last look before the send
            machine.asked.clear()
            machine.answers.clear()
        return await seen()

    monkeypatch.setattr(broker, "stopped", stopped)
    session = broker.session(run_id="r1", permit=permit(), journal=journal)
    machine.answers.set()
    writing = asyncio.create_task(session.write({"A": 1.0}))
    while asked < 3:
        await asyncio.sleep(0)
    await machine.asked.wait()
    switch.stop("ann", "enough")
    machine.answers.set()
    with pytest.raises(WriteRefused, match="enough"):
        await writing
    assert machine.received == []


@pytest.mark.parametrize(("value", "stops"), [(0, None), ("", "is ''"), ("0", "is '0'"), ([0.0, 0.0], "is ")])
async def test_what_a_stop_channel_may_hold(tmp_path: Path, value: Any, stops: str | None) -> None:
    machine = Asked(value)
    machine.answers.set()
    told = await Broker(machine, REAL, stop_channel="STOP").stopped()
    assert told is None if stops is None else stops in (told or "")


async def test_a_write_to_a_channel_that_is_away_is_not_sent_when_it_comes_back(ioc: Any) -> None:
    """By then, writes may have been stopped: so it does not wait for it, however patient reads are."""
    connector = EpicsConnector([f"127.0.0.1:{ioc.port}"], timeouts=Timeouts(read=600.0, write=600.0))
    await connector.connect()
    try:
        with pytest.raises(ControlSystemError, match="not sent"):
            await asyncio.wait_for(connector.write("T:AWAY", 1.0), 60)
    finally:
        await connector.close()


def test_the_commands(tmp_path: Path) -> None:
    def osprey(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from osprey_executor.interfaces.cli import main; sys.exit(main())"
        environment = {**os.environ, "OSPREY_EXECUTOR_HOME": str(tmp_path / "home")}
        return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment)

    stopped = osprey("stop-writes", "--reason", "beam \x1b[31mlost")
    assert (stopped.returncode, stopped.stdout) == (0, "Writes are stopped.\n")
    again = osprey("stop-writes", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["since_before"] is True
    assert "\x1b" not in again.stdout
    assert osprey("allow-writes").stdout.startswith("Writes are allowed again; before, writes are stopped by ")
    assert osprey("allow-writes").stdout == "Writes were not stopped.\n"
    (tmp_path / "home").rename(tmp_path / "file")
    (tmp_path / "home").touch()
    failed = osprey("stop-writes")
    assert failed.returncode != 0
    assert "WRITES ARE NOT STOPPED" in failed.stderr
    assert "Traceback" not in failed.stderr
