"""What the doors answer when much waits and much was run: 10,000 cards and 100,000 runs in one state folder."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from _measure import Cost, percentile, spread, tell
from _report import Line

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper

RUNS, WAITING, PEOPLE = 100_000, 10_000, 20
_GOAL = 100.0
"""Milliseconds."""
_PAGES = "http://127.0.0.1"
_CODE = "\n".join(
    (
        "from osprey_executor.runtime import write_channel",
        *(f"write_channel('SR:C{number:02}:HCM:SP', {number / 100})" for number in range(32)),
        "results = {'done': True}",
    )
)
_CONFIG = {
    "execution": {"code_generator": "mock"},
    "control_system": {"type": "mock", "writes_enabled": True},
}
# Copies of the one run that really waits, its card with them; every tenth waits as well.
_COPIES = """
CREATE TEMP TABLE numbers AS
    WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {runs}) SELECT n FROM n;
INSERT INTO runs (run_id, state, effects, task, requester, generator, config, created_at, finished_at)
    SELECT printf('20250101-%06d-%04x', n, n % 65536), iif(n % {every} = 0, 'awaiting_approval', 'succeeded'),
        'none', printf('correct the orbit of sector %d with the horizontal correctors, take %d', n % 24, n),
        printf('person%d', n % {people}), generator, config,
        strftime('%Y-%m-%dT%H:%M:%f+00:00', '2025-01-01', n || ' seconds'), NULL
    FROM runs, numbers;
INSERT INTO cards (run_id, digest, card, expires_at)
    SELECT copies.run_id, digest, json_set(card, '$.run_id', copies.run_id, '$.requester', copies.requester),
        '2999-01-01T00:00:00+00:00'
    FROM runs AS copies, cards WHERE copies.state = 'awaiting_approval' AND copies.run_id != cards.run_id;
"""


def doors(rounds: int) -> list[Line]:
    """Time of an answer of the application, its gate and its JSON with it, without the network."""
    with tempfile.TemporaryDirectory(prefix="bench-doors-") as home:
        return asyncio.run(_doors(Path(home), rounds))


async def _doors(home: Path, rounds: int) -> list[Line]:
    async with PythonExecutorService.from_config(_CONFIG, home=home) as service:
        await service.run(PythonExecutionRequest(user_query="the one that is copied", code=_CODE))
    tell("filling the state folder")
    with closing(sqlite3.connect(home / "index.sqlite")) as db:
        db.executescript(_COPIES.format(runs=RUNS, every=RUNS // WAITING, people=PEOPLE))
    lines: list[Line] = []
    async with PythonExecutorService.from_config(_CONFIG, home=home) as service:
        app = create_app(service, Doorkeeper(service.identity(own_token="token")))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://127.0.0.1/api/v1",
            headers={"Authorization": "Bearer token"},
            cookies={"osprey-http": app.state.sessions.begin("token")},
        ) as client:
            asked = await _asked(client)
            costs: dict[str, list[Cost]] = {name: [] for name in asked}
            early = 0
            for number in range(rounds + 1):
                tell(f"round {number} of {rounds}")
                for name, (path, params) in asked.items():
                    before, cpu = time.perf_counter(), time.process_time()
                    answer = await client.get(path, params=params)
                    cost = Cost(time.perf_counter() - before, time.process_time() - cpu)
                    if answer.status_code != 200:
                        raise RuntimeError(f"{name}: {answer.status_code} {answer.text[:400]}")
                    if number:
                        costs[name].append(cost)
                early = early or _resident()
            late = _resident()
    tell("")
    for name, tries in costs.items():
        value = percentile(tries, "wall", 0.95) * 1e3
        note = f"p95, median {percentile(tries, 'wall', 0.5) * 1e3:.3g} ms"
        lines.append(Line("doors", name, value, "ms", _GOAL, spread=spread(tries, "wall", 1e3), note=note))
    grown = f"memory after {rounds} rounds against after the first"
    return [*lines, Line("doors", grown, late / early, "x", 1.1, note=f"{late / 1e6:.0f} MB")]


async def _asked(client: httpx.AsyncClient) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return what is asked, by its name: a path and its query."""
    deep, after = {"limit": 200}, ""
    for _ in range(WAITING // 200 - 1):
        after = (await client.get("/approvals", params={**deep, "after": after})).json()["next"]
    [card] = (await client.get("/approvals", params={"limit": 1, "after": after})).json()["approvals"]
    return {
        f"inbox of {WAITING:,}, its first 50": ("/approvals", {}),
        f"inbox of {WAITING:,}, its last page": ("/approvals", {"after": after}),
        "one card": (f"/approvals/{card['run_id']}", {}),
        f"the latest 50 of {RUNS:,} runs": ("/runs", {}),
        "search: a word that 50 of the latest hold": ("/runs", {"text": "sector 7"}),
        "search: a text that one of the oldest holds": ("/runs", {"text": "20250101-000017"}),
        "search: a text that none holds": ("/runs", {"text": "no such words"}),
        "search: a person, a state and a time": (
            "/runs",
            {"requester": "person7", "state": "succeeded", "until": "2025-01-01T12:00:00Z"},
        ),
        "search: what none of them did": ("/runs", {"effects": "unknown"}),
        "health": ("/health", {}),
        f"page: inbox of {WAITING:,}": (f"{_PAGES}/approvals", {}),
        "page: one card": (f"{_PAGES}/approvals/{card['run_id']}", {}),
        f"page: the latest of {RUNS:,} runs": (f"{_PAGES}/runs", {}),
        "page: search for a text that none holds": (f"{_PAGES}/runs", {"q": "no such words"}),
    }


def _resident() -> int:
    text = Path("/proc/self/statm").read_text()
    return int(text.split()[1]) * 4096
