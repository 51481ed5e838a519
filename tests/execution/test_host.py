"""What is put up beside a sandbox for its probes is taken down again, whenever the probing is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import Any

import pytest

from osprey_executor.execution.local import _host


async def test_a_cancellation_while_it_is_put_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, put_up = threading.Event(), threading.Event(), _host._put_up
    undone: list[bool] = []

    def slowly(root: Path, undo: contextlib.ExitStack) -> Any:
        begun.set()
        go_on.wait(10)
        undo.callback(undone.append, True)
        return put_up(root, undo)

    async def probe() -> None:
        async with _host.bait(tmp_path):
            pytest.fail("it was cancelled before")

    monkeypatch.setattr(_host, "_put_up", slowly)
    task = asyncio.create_task(probe())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert undone == [True]
    assert list(tmp_path.iterdir()) == []
