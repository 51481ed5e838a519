"""The command `simulator`: it serves, says how it is reached, and ends clean."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.control import EpicsConnector

COMMAND = Path(sys.executable).with_name("osprey-executor")


def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.fixture
def running() -> Iterator[subprocess.Popen[str]]:
    with start("--json") as process:
        yield process
        process.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    document = ""
    while not document.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.stderr and process.stderr.read()
        document += line
    return str(json.loads(document)["address"])


def children_of(process: subprocess.Popen[str]) -> list[str]:
    """Return the IOC, and the client that has asked it who it is."""
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


async def read(where: str) -> dict[str, Any]:
    connector = EpicsConnector([where])
    await connector.connect()
    try:
        samples = await connector.read(["VA:DCCT", "VA:BPM:36:Y"])
        return {name: sample.units for name, sample in samples.items()}
    finally:
        await connector.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(running: subprocess.Popen[str], number: signal.Signals) -> None:
    where = address(running)
    assert asyncio.run(read(where)) == {"VA:DCCT": "mA", "VA:BPM:36:Y": "mm"}
    children = children_of(running)
    assert len(children) == 2
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said.strip()) == (0, "The virtual accelerator has ended.")
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []


def test_an_accelerator_that_dies_is_told(running: subprocess.Popen[str]) -> None:
    address(running)
    os.kill(int(children_of(running)[0]), signal.SIGKILL)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 6
    assert "the virtual accelerator has ended by itself" in said


def test_a_taken_port_and_a_missing_extra_are_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with start("--port", port) as process:
            _, said = process.communicate(timeout=60)
        assert process.returncode == 6
        assert f"port {port} is taken: choose another one with --port" in said
    (tmp_path / "softioc.py").write_text("raise ModuleNotFoundError('no softioc', name='softioc')")
    with start(PYTHONPATH=str(tmp_path)) as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "pip install 'osprey-executor[simulator]'" in said
