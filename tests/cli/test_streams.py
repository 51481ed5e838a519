"""Standard streams that are closed, full, or not in UTF-8: real processes, on the fake service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

_MAIN = Path(__file__).with_name("fake_main.py")


def call(*arguments: str, env: dict[str, str] | None = None, **more: Any) -> subprocess.CompletedProcess[bytes]:
    settings: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    } | more
    command = [sys.executable, str(_MAIN), *arguments]
    return subprocess.run(command, env={**os.environ, **(env or {})}, timeout=60, check=False, **settings)


@pytest.mark.parametrize("arguments", [["run", "ok"], ["run", "ok", "--json"], ["runs"], ["--help"]])
def test_a_reader_that_goes_away_is_no_error(arguments: Sequence[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = call(*arguments, stdout=writing)
    finally:
        os.close(writing)
    assert b"Traceback" not in ended.stderr
    assert b"Broken" not in ended.stderr
    assert ended.returncode == (1 if arguments == ["--help"] else 0)


def test_nobody_needs_to_listen_to_the_progress() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ended = call("run", "ok", "--json", stderr=writing)
    finally:
        os.close(writing)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["status"] == "succeeded"


@pytest.mark.parametrize("arguments", [["run", "ok"], ["run", "ok", "--json"]])
def test_a_full_disk_is_told(arguments: Sequence[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = call(*arguments, stdout=full)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1] == (
        b"osprey-executor: cannot write to standard output: No space left on device"
    )


def test_closed_streams() -> None:
    script = '"$0" "$@" <&- >&- 2>&-'
    ended = subprocess.run(
        ["/bin/sh", "-c", script, sys.executable, str(_MAIN), "run", "ok"],
        timeout=60,
        check=False,
        env=dict(os.environ),
    )
    assert ended.returncode == 0


@pytest.mark.parametrize("arguments", [["run", "ok"], ["runs"], ["doctor"], ["--help"], ["run", "ok", "--json"]])
def test_a_locale_that_knows_ascii_only(arguments: Sequence[str]) -> None:
    ended = call(*arguments, env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "COLUMNS": "40", "NO_COLOR": "1"})
    assert ended.returncode == 0
    assert ended.stdout.isascii()
    assert ended.stderr.isascii()
    assert b"\x1b" not in ended.stdout + ended.stderr


def test_a_task_that_is_not_text() -> None:
    ended = call(os.fsdecode(b"run"), os.fsdecode(b"caf\xe9"), "--json")
    assert ended.returncode in (0, 2)
    assert b"Traceback" not in ended.stderr
    json.loads(ended.stdout)


def test_code_from_standard_input() -> None:
    for name in ("-", "/dev/stdin"):
        reading, writing = os.pipe()
        os.write(writing, b"x = 1\n")
        os.close(writing)
        try:
            assert call("run", "--code", name, stdin=reading).returncode == 0
        finally:
            os.close(reading)
    assert call("run", "--code", "-").returncode == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_the_cancelled_run(number: signal.Signals) -> None:
    command = [sys.executable, str(_MAIN), "run", "hang", "--json"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if b"a warning" in line:
                child.send_signal(number)
                break
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert json.loads(out)["status"] == "cancelled"
    assert b"Traceback" not in err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from osprey_executor.interfaces.cli.app import app\n"
        "from typer.main import get_command; get_command(app)\n"
        "heavy = {'asyncio', 'pydantic', 'langgraph', 'numpy', 'rich.console', 'osprey_executor.service', 'yaml'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=True)
    assert ended.stdout.strip() == b"[]"
