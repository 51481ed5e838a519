"""`limits check`: what it finds on a real soft IOC, what it says where nobody answers, its exit codes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.config import Config, config_from
from osprey_executor.control import Broker, Timeouts, check_limits
from osprey_executor.errors import ConfigurationError
from osprey_executor.interfaces.cli.app import main

pytestmark = pytest.mark.asyncio(loop_scope="session")

GOOD = """
T:NUMBER: {min_value: -10, max_value: 10, max_step: 1, verification: {level: readback}}
T:STATE: {states: ['Off', 'Standby', 2]}
T:TEXT: {states: ['hello', 'bye', 'run 7']}
T:ALARM: {writable: false}
T:NOT:THERE: {read_side_effect: true}
"""
BAD = """
T:NUMBER:
  min_value: -11
  max_value: 11
  verification: {level: readback, read_back: T:NUMBER:RB}
  stop_action: {channel: T:NUMBER:STOP, value: 1}
T:OTHER: {min_value: 1000, max_value: 2000}
T:STATE: {states: ['Off', 'Broken']}
T:TEXT: {max_value: 1}
T:ROW: {max_step: 1}
T:NOBODY: {}
"""


def config(path: Path, port: int, text: str) -> Config:
    path.write_text(text)
    control = {"type": "epics", "limits_database": str(path), "epics": {"address_list": [f"127.0.0.1:{port}"]}}
    return config_from({"control_system": control})


async def test_a_machine_that_agrees(records: Broker, ioc: Any, tmp_path: Path) -> None:
    await records.connector.write("T:NUMBER", 1.0)
    found = await check_limits(config(tmp_path / "limits.yml", ioc.port, GOOD), timeouts=Timeouts(read=2.0))
    assert found.findings == ()
    assert (found.looked_at, found.live, found.database.channels) == (4, "", 5)


async def test_where_database_and_machine_disagree(records: Broker, ioc: Any, tmp_path: Path) -> None:
    before = await records.connector.read(["T:NUMBER", "T:OTHER", "T:STATE"])
    found = await check_limits(config(tmp_path / "limits.yml", ioc.port, BAD), timeouts=Timeouts(read=2.0))
    seen = {(one.channel, one.kind): one.detail for one in found.findings}
    assert list(seen) == [
        ("T:NUMBER", "wider"),
        ("T:NUMBER", "no_read_back"),
        ("T:NUMBER", "not_found"),
        ("T:OTHER", "outside"),
        ("T:STATE", "wrong_type"),
        ("T:TEXT", "wrong_type"),
        ("T:ROW", "wrong_type"),
        ("T:NOBODY", "not_found"),
    ]
    assert "min_value -11 is below -10 and max_value 11 is above 10" in seen["T:NUMBER", "wider"]
    assert "T:NUMBER:RB" in seen["T:NUMBER", "no_read_back"]
    assert "has no state Broken; it has Off, Standby, On" in seen["T:STATE", "wrong_type"]
    after = await records.connector.read(["T:NUMBER", "T:OTHER", "T:STATE"])
    assert [after[name].value for name in after] == [before[name].value for name in before]


async def test_where_nobody_answers_the_file_alone_is_checked(tmp_path: Path) -> None:
    found = await check_limits(config(tmp_path / "limits.yml", 9, GOOD), timeouts=Timeouts(read=0.5))
    assert "none of its channels answers" in found.live
    assert (found.looked_at, found.findings) == (0, ())


async def test_what_cannot_be_checked_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="limits_database is not set"):
        await check_limits(config_from({}))
    with pytest.raises(ConfigurationError, match=r"line 1: X\.min is not a key"):
        await check_limits(config(tmp_path / "limits.yml", 9, "X: {min: 1}"))


async def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as left:
        await asyncio.to_thread(main, ["limits", "check", *arguments])
    return int(left.value.code or 0), capsys.readouterr().out


@pytest.mark.parametrize(("text", "code"), [(GOOD, 0), (BAD, 1), ("X: {min: 1}", 2)])
async def test_the_command(ioc: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, code: int) -> None:
    (tmp_path / "limits.yml").write_text(text)
    file = tmp_path / "config.yml"
    file.write_text(
        "control_system:\n  type: epics\n  limits_database: limits.yml\n"
        f"  epics: {{address_list: ['127.0.0.1:{ioc.port}']}}\n"
    )
    left, out = await command(capsys, "--config", str(file))
    assert left == code
    if code == 0:
        assert "The machine agrees: 4 channels looked at." in out
    if code == 1:
        assert "no read back    T:NUMBER: " in out
        assert "8 findings, 5 channels looked at." in out
    left, out = await command(capsys, "--config", str(file), "--json")
    assert left == code
    assert json.loads(out)["error" if code == 2 else "database"]


async def test_the_mock_is_no_machine_to_compare_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "limits.yml").write_text(BAD)
    (tmp_path / "config.yml").write_text("control_system: {limits_database: limits.yml}\n")
    code, out = await command(capsys, "--config", str(tmp_path / "config.yml"))
    assert code == 0
    assert "Only the file was checked: control_system.type is mock" in out
