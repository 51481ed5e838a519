"""Signals at any moment: exit 130, one JSON document, no traceback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.interfaces.cli.interrupts import whole

SIGNALLED = Path(__file__).with_name("signalled.py")
PATIENT = """
import asyncio, os, signal, sys
sys.path.insert(0, sys.argv.pop(1))
from fake_service import FakeService
from osprey_executor.interfaces import cli
from osprey_executor.interfaces.cli import work

class Stuck(FakeService):
    async def __aenter__(self):
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.1)
        await asyncio.Event().wait()

work.PythonExecutorService = Stuck
cli.main()
"""


def call(*command: str, hears: Callable[[], None] | None = None) -> subprocess.CompletedProcess[bytes]:
    ended = subprocess.run(
        [sys.executable, *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=100,
        check=False,
        env={**os.environ, "OSPREY_EXECUTOR_HOME": str(Path.cwd() / "state")},
        preexec_fn=hears or hear_all,
    )
    assert b"Traceback" not in ended.stderr
    assert b"Exception" not in ended.stderr
    return ended


def hear_all() -> None:
    """The tests themselves may run under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def hear_no_hang_up() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.py").write_text("results = {'a': 1}\n")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    "moment",
    [
        "typer",
        "osprey_executor.interfaces.cli.work",
        "osprey_executor.pipeline",
        "osprey_executor.pipeline.driver",
    ],
)
def test_a_run_is_interrupted_before_it_begins(moment: str, name: str) -> None:
    ended = call(str(SIGNALLED), f"{moment},{name}", "run", "--code", "x.py", "--json")
    assert ended.returncode == 130
    said: Any = json.loads(ended.stdout)
    assert said["status"] in ("interrupted", "cancelled")
    if said["status"] == "interrupted":
        assert said["error"]["type"] == "Interrupted"
        assert b"osprey-executor: interrupted" in ended.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_after_the_answer_changes_nothing(name: str) -> None:
    ended = call(str(SIGNALLED), f"end,{name}", "runs", "--json")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, [])


def test_nohup_is_heeded() -> None:
    ended = call(str(SIGNALLED), "osprey_executor.pipeline,SIGHUP", "runs", "--json", hears=hear_no_hang_up)
    assert (ended.returncode, json.loads(ended.stdout)) == (0, [])


def test_a_third_signal_leaves_whatever_is_stuck() -> None:
    ended = call("-c", PATIENT, str(Path(__file__).parent), "run", "ok", "--json")
    assert ended.returncode == 130
    assert json.loads(ended.stdout)["status"] == "interrupted"


async def test_what_must_be_whole_is_so_before_a_cancellation_comes_through() -> None:
    done: list[str] = []

    async def opening() -> None:
        await asyncio.sleep(0.2)
        done.append("open")

    waiting = asyncio.create_task(whole(opening()))
    for _ in range(2):
        await asyncio.sleep(0.02)
        waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == ["open"]


async def test_what_goes_wrong_in_it_is_told() -> None:
    async def opening() -> None:
        await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await whole(opening())
