"""The virtual accelerator: it steers, it stays apart from others of its kind, and it never outlives its parent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import config_from
from osprey_executor.control import (
    Broker,
    EpicsConnector,
    PvaConnector,
    SimulatorConnector,
    UnattendedPermit,
    open_control,
)
from osprey_executor.control.connectors._child import Child
from osprey_executor.errors import ControlSystemError, MissingExtraError, WriteRefused

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODULE = "osprey_executor.control.simulator"
ORBIT = [f"VA:BPM:{i:02d}:{axis}" for axis in "XY" for i in range(1, 37)]
CORRECTORS = [f"VA:{plane}CM:{i:02d}:{end}" for plane in "HV" for i in range(1, 17) for end in ("SP", "RB")]


async def test_its_channels(simulator: Broker) -> None:
    samples = await simulator.connector.read([*ORBIT, *CORRECTORS, "VA:DCCT", "VA:ORBIT:X", "VA:ORBIT:Y"])
    assert {samples[name].units for name in ORBIT} == {"mm"}
    assert {samples[name].units for name in CORRECTORS} == {"A"}
    assert samples["VA:DCCT"].units == "mA"
    assert samples["VA:ORBIT:X"].value.shape == samples["VA:ORBIT:Y"].value.shape == (36,)


async def test_the_confirmation_comes_after_the_new_orbit(simulator: Broker, journal: Path) -> None:
    session = simulator.session(run_id="r1", permit=UnattendedPermit(), journal=journal)

    async def at_ten() -> tuple[float, float]:
        seen = await session.read(["VA:BPM:10:X", "VA:HCM:01:RB"])
        return seen["VA:BPM:10:X"].value, seen["VA:HCM:01:RB"].value

    still, _ = await at_ten()
    try:
        for _ in range(20):
            for amperes in (0.5, -0.5):
                await session.write({"VA:HCM:01:SP": amperes})
                x, read_back = await at_ten()
                assert read_back == amperes
                # A kick moves the orbit by far more than the noise of 1 um, to the same side each time.
                assert abs(x - still) > 0.05
    finally:
        await session.write({"VA:HCM:01:SP": 0.0})
    assert abs((await at_ten())[0] - still) < 0.01


async def test_a_beam_kicked_out_is_invalid(simulator: Broker, journal: Path) -> None:
    session = simulator.session(run_id="r1", permit=UnattendedPermit(), journal=journal)
    setpoints = [f"VA:HCM:{i:02d}:SP" for i in range(1, 17)]
    try:
        await session.write({name: 5.0 if number % 2 else -5.0 for number, name in enumerate(setpoints)})
        with contextlib.suppress(ControlSystemError):
            await session.write(dict.fromkeys(setpoints, 5.0))
        with pytest.raises(ControlSystemError, match="VA:BPM:01:X: the value is INVALID"):
            await session.read(["VA:BPM:01:X"])
        assert (await session.read(["VA:DCCT"]))["VA:DCCT"].value == 0.0
    finally:
        await session.write(dict.fromkeys(setpoints, 0.0))
    assert (await session.read(["VA:DCCT", "VA:BPM:01:X"]))["VA:DCCT"].value > 1.0


async def test_writes_need_to_be_enabled(simulator: Broker, journal: Path) -> None:
    config = config_from({"control_system": {"type": "simulator"}})
    broker = Broker(simulator.connector, simulator.report.model_copy(update={"writes_enabled": False}))
    assert config.control_system.writes_enabled is False
    before = (await simulator.connector.read(["VA:HCM:02:SP"]))["VA:HCM:02:SP"].value
    with pytest.raises(WriteRefused, match="writes_enabled"):
        await broker.session(run_id="r1", permit=UnattendedPermit(), journal=journal).write({"VA:HCM:02:SP": 1.0})
    assert (await simulator.connector.read(["VA:HCM:02:SP"]))["VA:HCM:02:SP"].value == before


async def test_two_at_once_even_for_one_port(simulator: Broker) -> None:
    """The second is told to take the port of the first, and still only answers for itself."""
    first = simulator.connector
    assert isinstance(first, SimulatorConnector)
    second = await Child.start(MODULE, f"--port={first.port}", "--id=second", "--seed=2", environment={})
    try:
        assert second.process.stdout is not None
        told = json.loads(await asyncio.wait_for(second.process.stdout.readline(), 60))
        assert told["port"] != first.port
        client = EpicsConnector((), name_servers=(f"127.0.0.1:{told['port']}",))
        await client.connect()
        try:
            await client.write("VA:HCM:03:SP", 1.0)
            seen = await client.read(["VA:ID", "VA:HCM:03:SP"])
            assert (seen["VA:ID"].value, seen["VA:HCM:03:SP"].value) == ("second", 1.0)
        finally:
            await client.close()
        mine = await first.read(["VA:ID", "VA:HCM:03:SP"])
        assert mine["VA:ID"].value != "second"
        assert mine["VA:HCM:03:SP"].value == 0.0
    finally:
        await second.stop()


_PARENT = """
import asyncio
from osprey_executor.control import SimulatorConnector

async def main():
    connector = SimulatorConnector()
    await connector.connect()
    print(connector.pid, connector._client._process._child.process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_killed_parent_leaves_nothing_behind() -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", _PARENT, stdout=asyncio.subprocess.PIPE)
    try:
        assert parent.stdout is not None
        children = [int(pid) for pid in (await asyncio.wait_for(parent.stdout.readline(), 60)).split()]
        assert len(children) == 2
        assert all(alive(pid) for pid in children)
    finally:
        parent.send_signal(signal.SIGKILL)
        await parent.communicate()
    await gone(children)


async def test_closed_connector_leaves_nothing_behind() -> None:
    async with open_control(config_from({"control_system": {"type": "simulator"}})) as broker:
        assert isinstance(broker.connector, SimulatorConnector)
        pid = broker.connector.pid
        assert pid is not None
        assert alive(pid)
    assert not alive(pid)


@pytest.mark.parametrize(
    ("package", "make", "extra"),
    [
        ("softioc", SimulatorConnector, "simulator"),
        ("at", SimulatorConnector, "simulator"),
        ("epicscorelibs", lambda: EpicsConnector(["127.0.0.1:9"]), "epics"),
        ("p4p", lambda: PvaConnector(["127.0.0.1:9"]), "pva"),
    ],
)
async def test_a_missing_extra_is_named(
    package: str, make: Callable[[], Any], extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise ModuleNotFoundError('no {package}', name='{package}')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    connector = make()
    try:
        with pytest.raises(MissingExtraError, match=rf"osprey-executor\[{extra}\]"):
            await connector.connect()
    finally:
        await connector.close()


async def test_a_broken_installation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "softioc.py").write_text("raise RuntimeError('wrong libstdc++')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(ControlSystemError, match="wrong libstdc"):
        await SimulatorConnector().connect()


async def test_children_see_no_secrets(simulator: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "255.255.255.255")
    connector = EpicsConnector(["127.0.0.1:9"])
    await connector.connect()
    try:
        pid = connector._process._child.process.pid  # pyright: ignore[reportPrivateUsage, reportOptionalMemberAccess]
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"SOME_API_KEY" not in environment
        assert b"255.255.255.255" not in environment
        assert b"EPICS_CA_ADDR_LIST=127.0.0.1:9\0" in environment
    finally:
        await connector.close()


def alive(pid: int) -> bool:
    """Return whether the process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def gone(pids: list[int]) -> None:
    """Wait until none of them runs."""
    try:
        async with asyncio.timeout(30):
            while any(alive(pid) for pid in pids):
                await asyncio.sleep(0.05)
    finally:
        for pid in filter(alive, pids):
            os.kill(pid, signal.SIGKILL)
