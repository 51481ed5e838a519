"""The scripted provider for tests of generators."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from osprey_executor.testing.scripted_provider import ScriptedProvider


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr("osprey_executor.generation.basic._FIRST_PAUSE", 0.01)


@pytest.fixture
def server() -> Iterator[ScriptedProvider]:
    """A provider on loopback that answers as it is told."""
    with ScriptedProvider() as running:
        yield running
