"""The mock knows every channel, says the same on every machine, and keeps what is written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from osprey_executor.config import config_from
from osprey_executor.control import ChannelKind, MockConnector, Timeouts, control_report, open_control
from osprey_executor.control.connectors._create import create_connector
from osprey_executor.errors import ConfigurationError, WriteRefused


async def test_any_name_reads_the_same_number_everywhere() -> None:
    names = ["SR:DCCT", "SR:BPM:01:X", "SR:GAUGE:1:PRESSURE", "anything"]
    first, second = await MockConnector().read(names), await MockConnector().read(names)
    assert [first[name].value for name in names] == [second[name].value for name in names]
    assert all(type(sample.value) is float for sample in first.values())
    assert (first["SR:DCCT"].units, first["SR:BPM:01:X"].units) == ("mA", "mm")
    assert 300 < first["SR:DCCT"].value < 500
    # Written down, so that a change of the values is noticed on any machine.
    assert first["SR:DCCT"].value == pytest.approx(489.6106675697)


async def test_what_is_written_is_read() -> None:
    mock = MockConnector({"NAME": "x", "ROW": [1, 2]})
    assert (await mock.read(["NAME"]))["NAME"].kind is ChannelKind.TEXT
    assert (await mock.read(["ROW"]))["ROW"].kind is ChannelKind.ARRAY
    confirmation = await mock.write("HCM1:SP", 2.5)
    assert confirmation.read_back is not None
    assert confirmation.read_back.value == 2.5
    assert (await mock.read(["HCM1:RB"]))["HCM1:RB"].value == 2.5


async def test_the_configuration_opens_it(tmp_path: object) -> None:
    async with open_control(config_from({})) as broker:
        assert (broker.report.type, broker.report.real, broker.report.writes_enabled) == ("mock", False, False)


def test_reports() -> None:
    control = {"type": "epics", "writes_enabled": True, "epics": {"address_list": ["127.0.0.1:5064"]}}
    report = control_report(config_from({"control_system": control}))
    assert (report.real, report.addresses, report.writes_enabled) == (True, ("127.0.0.1:5064",), True)
    assert control_report(config_from({"control_system": {"type": "simulator"}})).real is False


def test_an_unknown_type_lists_the_known_ones() -> None:
    config = config_from({}).control_system.model_copy(update={"type": "tango\x1b[2J"})
    with pytest.raises(ConfigurationError, match="available are epics, mock, pva, simulator") as told:
        create_connector(config, Timeouts())
    assert str(told.value).isprintable()


async def test_limits_that_cannot_be_read_shut_the_broker(tmp_path: object, journal: object, permit: object) -> None:
    control = {"type": "mock", "writes_enabled": True, "limits_database": f"{tmp_path}/limits.json"}
    async with open_control(config_from({"control_system": control})) as broker:
        session = broker.session(run_id="r1", permit=permit(), journal=journal)  # pyright: ignore
        with pytest.raises(WriteRefused, match=r"limits database cannot be used.*limits\.json: no such file"):
            await session.write({"A": 1.0})


def test_importing_the_room_stays_light() -> None:
    heavy = "numpy|p4p|epicscorelibs|softioc|at|matplotlib"
    code = (
        "import sys; from osprey_executor.control import Broker, EpicsConnector, MockConnector, SimulatorConnector; "
        f"print([name for name in '{heavy}'.split('|') if name in sys.modules])"
    )
    seen = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert seen.stdout.strip() == "[]"
