"""Figures are shown while the program goes on, and the result is the same as if nobody had looked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from osprey_executor import PythonExecutionRequest, PythonExecutorService, RunStatus
from osprey_executor.errors import StorageError
from osprey_executor.execution import FigureDrawn
from osprey_executor.generation import MockCodeGenerator
from osprey_executor.models.events import Figure
from osprey_executor.pipeline.figures import live_figures
from osprey_executor.results import RunFolder

from .conftest import OpenService, own
from .test_crashes import killed_after

PNG = b"\x89PNG\r\n\x1a\n"
SLOW = """
import matplotlib.pyplot as plt, time
plt.figure()
plt.plot([1, 2])
plt.close()
print("plotted", flush=True)
time.sleep(100)
"""


async def test_a_figure_is_there_when_it_is_closed(service: PythonExecutorService) -> None:
    async for event in service.stream(own(SLOW)):
        if isinstance(event, Figure):
            assert event.path.read_bytes().startswith(PNG)
            assert event.path.is_relative_to(service.home / "runs" / event.run_id)
            break
    else:
        pytest.fail("the stream ended, and no figure was seen")
    result = await service.cancel(event.run_id)
    # It was handed over before the end, so it is kept.
    assert (result.status, len(result.figures)) == (RunStatus.CANCELLED, 1)
    assert result.figures[0].read_bytes().startswith(PNG)


async def test_a_watcher_sees_them_and_the_result_counts_anew(service: PythonExecutorService) -> None:
    code = """
import matplotlib.pyplot as plt
empty, first, second = plt.figure(), plt.figure(), plt.figure()
second.gca().plot([1, 2])
plt.close(second)
first.gca().plot([3, 4])
results = {}
"""
    result = await service.run(own(code))
    events = [event async for event in service.watch(result.run_id)]
    assert [event.number for event in events if isinstance(event, Figure)] == [3, 2]
    assert [path.name for path in result.figures] == ["figure-001.png", "figure-002.png"]
    assert sorted(path.name for path in (result.folder / "figures").iterdir()) == ["figure-001.png", "figure-002.png"]
    assert all(path.read_bytes().startswith(PNG) for path in result.figures)


async def test_a_failed_attempt_leaves_no_figure_to_the_next_one(open_service: OpenService) -> None:
    generator = MockCodeGenerator()
    plot = "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.close()\n"
    generator.set_code_sequence([plot + "1 / 0", "results = {}"])
    async with open_service(generator) as service:
        result = await service.run(PythonExecutionRequest(user_query="plot"))
    assert (result.status, result.figures) == (RunStatus.SUCCEEDED, ())
    assert not (result.folder / "figures").exists()


async def test_what_a_killed_service_had_shown_is_kept(home: Path, open_service: OpenService) -> None:
    code = SLOW.replace('print("plotted", flush=True)', "time.sleep(2)\nprint('plotted', flush=True)")
    await asyncio.to_thread(killed_after, "plotted", home, code, approve=True, stage="rehearsal")
    async with open_service() as service:
        [row] = await service.runs()
        result = await service.result(row.run_id)
    assert (row.state, len(result.figures)) == ("failed", 1)
    assert result.figures[0].read_bytes().startswith(PNG)


class Watched:
    """Rooms as far as figures need them, with a disk that may be full."""

    run_id = "r"

    def __init__(self, home: Path) -> None:
        self.folder = RunFolder.create(home, "r")
        self.told: list[int] = []

    def emit(self, event: Any) -> None:
        self.told.append(event.number)


async def test_a_flood_of_one_figure_keeps_its_last_version(tmp_path: Path) -> None:
    rooms: Any = Watched(tmp_path)
    async with live_figures(rooms, lambda: False) as figures:
        for version in range(1000):
            figures.take(FigureDrawn(7, bytearray(PNG + str(version).encode())))
    [shown] = rooms.folder.shown_figures()
    assert shown.read_bytes() == PNG + b"999"
    assert len(rooms.told) <= 2


async def test_a_full_disk_costs_the_look_ahead_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Path:
        raise StorageError("the disk is full")

    rooms: Any = Watched(tmp_path)
    monkeypatch.setattr(rooms.folder, "save_figure", full)
    async with live_figures(rooms, lambda: False) as figures:
        figures.take(FigureDrawn(1, bytearray(PNG)))
    assert rooms.told == []
    assert "the disk is full" in caplog.text


async def test_figures_reach_the_event_log_as_documented(service: PythonExecutorService) -> None:
    result = await service.run(own("import matplotlib.pyplot as plt\nplt.plot([1])"))
    lines = (result.folder / "events.jsonl").read_text().splitlines()
    [told] = [json.loads(line) for line in lines if '"figure"' in line]
    assert (told["kind"], told["number"], Path(told["path"]).name) == ("figure", 1, "figure-001.png")
