"""A memory in the state folder of the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from osprey_executor.memory import Memory
from osprey_executor.models import ProvenScript

Script = Callable[..., ProvenScript]


@pytest.fixture
async def memory(home: Path) -> AsyncGenerator[Memory]:
    """A memory of which nothing is known yet."""
    opened = Memory(home)
    yield opened
    await opened.close()


@pytest.fixture
def script() -> Script:
    """Makes programs, each a minute younger than the last."""
    made: list[str] = []

    def make(task: str, code: str = "results = {}", *, owner: str = "alice", shared: bool = False) -> ProvenScript:
        made.append(task)
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=len(made))
        return ProvenScript(id=f"run-{len(made)}", task=task, code=code, owner=owner, shared=shared, kept_at=at)

    return make
