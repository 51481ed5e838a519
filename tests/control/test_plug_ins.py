"""Connectors that other packages bring, by entry point; and what the broker refuses whatever a connector says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import config_from
from osprey_executor.control import (
    Broker,
    MockConnector,
    available_archivers,
    available_connectors,
    control_report,
    open_control,
)
from osprey_executor.control.connectors._protocol import Sample
from osprey_executor.errors import (
    ConfigurationError,
    InvalidReadingError,
    NotSupportedError,
    StaleReadingError,
    WriteRefused,
)
from osprey_executor.models import AlarmSeverity, ControlSystemReport

PLUG_IN = """
from osprey_executor.control import MockConnector

class Tango(MockConnector):
    def __init__(self, settings):
        super().__init__({"SETTINGS": str(sorted(settings.items()))})

def broken(settings):
    raise RuntimeError("no host")
"""
ENTRY_POINTS = """[osprey_executor.connectors]
tango = plugged_in:Tango
broken = plugged_in:broken
lacking = builtins:dict
absent = nowhere:Connector
mock = plugged_in:broken
epics_archiver = plugged_in:broken
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with connectors, as pip would install it."""
    (tmp_path / "plugged_in.py").write_text(PLUG_IN)
    told = tmp_path / "plugged_in-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-in\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))


def configured(kind: str, **blocks: Any) -> Any:
    return config_from({"control_system": {"type": kind, "connectors": blocks}})


async def test_a_plug_in_is_a_connector_like_any_other() -> None:
    assert available_connectors() == ("epics", "mock", "pva", "simulator", "absent", "broken", "lacking", "tango")
    assert {"epics_archiver", "mock_archiver", "tango"} <= set(available_archivers())
    config = configured("tango", tango={"host": "a", "password": "secret"})
    async with open_control(config) as broker:
        assert broker.report.real
        value = (await broker.connector.read(["SETTINGS"]))["SETTINGS"].value
    assert value == "[('host', 'a'), ('password', 'secret')]"


async def test_what_an_approval_binds_changes_with_the_settings_and_tells_no_secret() -> None:
    one, other = (
        control_report(configured("tango", tango={"password": secret})).addresses for secret in ("secret", "other")
    )
    assert one != other
    assert "secret" not in str(one)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("broken", r"connectors\.broken: RuntimeError: no host"),
        ("lacking", "the connector lacking lacks methods"),
        ("absent", r"the connector absent cannot be made .* ModuleNotFoundError"),
    ],
)
async def test_a_plug_in_that_cannot_be_used_is_told(kind: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        async with open_control(configured(kind)):
            pass


async def test_no_plug_in_takes_the_name_of_a_built_in_one() -> None:
    async with open_control(configured("mock")) as broker:
        assert isinstance(broker.connector, MockConnector)


async def test_a_plug_in_brings_history_too(tmp_path: Path) -> None:
    epics = {"type": "epics", "epics": {"address_list": ["127.0.0.1:9"]}}
    async with open_control(config_from({"control_system": epics, "archiver": {"type": "tango"}})) as broker:
        session = broker.session(run_id="r", permit=None, journal=tmp_path / "j")
        end = datetime.now(UTC)
        assert len((await session.history(["A"], end - timedelta(hours=1), end))["A"].times) > 3000
    with pytest.raises(ConfigurationError, match=r"archiver\.type 'nobody' is not known"):
        async with open_control(config_from({"archiver": {"type": "nobody"}})):
            pass


class Old(MockConnector):
    """Reads values of yesterday."""

    async def read(self, channels: Any) -> Any:
        yesterday = datetime.now(UTC) - timedelta(days=1)
        return {name: Sample(channel=name, value=1.0, timestamp=yesterday) for name in channels}


async def test_old_values_are_refused_only_where_that_is_configured(tmp_path: Path) -> None:
    report = ControlSystemReport(type="mock", real=False, writes_enabled=False)
    patient, strict = (
        Broker(Old(), report, stale_after=seconds).session(run_id="r", permit=None, journal=tmp_path / "j")
        for seconds in (None, 60.0)
    )
    assert (await patient.read(["A"]))["A"].value == 1.0
    with pytest.raises(StaleReadingError, match=r"A: the value is older than 60 s \(control_system\.stale_after\)"):
        await strict.read(["A"])
    async with open_control(config_from({"control_system": {"stale_after": 60}})) as broker:
        assert (await broker.session(run_id="r", permit=None, journal=tmp_path / "j").read(["A"]))["A"].value > 0


async def test_invalid_is_refused_by_name(tmp_path: Path) -> None:
    class Broken(MockConnector):
        async def read(self, channels: Any) -> Any:
            return {name: Sample(channel=name, value=1.0, severity=AlarmSeverity.INVALID) for name in channels}

    broker = Broker(Broken(), ControlSystemReport(type="mock", real=False, writes_enabled=False))
    with pytest.raises(InvalidReadingError, match="A: the value is INVALID"):
        await broker.session(run_id="r", permit=None, journal=tmp_path / "j").read(["A"])


async def test_commands_are_refused_before_a_connector_is_asked(tmp_path: Path) -> None:
    machine = MockConnector()
    with pytest.raises(NotSupportedError):
        await machine.call("A", {})
    session = Broker(machine, ControlSystemReport(type="mock", real=False, writes_enabled=True)).session(
        run_id="r", permit=None, journal=tmp_path / "j"
    )
    with pytest.raises(WriteRefused, match="a command counts as a write"):
        await session.call("A", {"b": 1}, 7)
    assert [(refusal.value, refusal.line) for refusal in session.refusals] == [('call {"b": 1}', 7)]
