"""The command line called in this process, on the fake service, with nobody at a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from osprey_executor.interfaces.cli import work
from osprey_executor.interfaces.cli.app import main

from .fake_service import FakeService


@dataclass(frozen=True)
class Said:
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call `osprey-executor` with arguments."""
    monkeypatch.setattr(work, "PythonExecutorService", FakeService)
    monkeypatch.setattr(FakeService, "log", None)

    def call(*arguments: str) -> Said:
        with pytest.raises(SystemExit) as left:
            main(arguments)
        said = capsys.readouterr()
        assert "Traceback (most recent call last)" not in said.out + said.err
        return Said(int(left.value.code or 0), said.out, said.err)

    return call
