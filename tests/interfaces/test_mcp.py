"""The tools of an agent, asked by the real client of the SDK: over a real process's standard streams, and over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from osprey_executor import Approve, PythonExecutorService
from osprey_executor.access import People
from osprey_executor.models import Role

WRITE = "from osprey_executor.runtime import write_channel\nwrite_channel('MAG:1:SP', 1.5)\nresults = {'done': True}\n"
LEAVES = "open('a.txt', 'w').write('inner')\nopen('b.bin', 'wb').write(bytes(range(256)))\nresults = {'answer': 42}\n"
TOOLS = {"run_python", "rehearse", "get_run", "list_runs", "read_artifact", "cancel_run"}
CONFIG = {
    "execution": {"code_generator": "mock", "timeout": 60},
    "control_system": {"type": "mock", "writes_enabled": True},
    "serve": {"hosts": "osprey.lab.gov"},
}
COMMAND = str(Path(sys.executable).with_name("osprey-executor"))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "config.yml"
    file.write_text(json.dumps(CONFIG))
    return file


@asynccontextmanager
async def over_stdio(config: Path, home: Path) -> AsyncGenerator[Client]:
    command = StdioServerParameters(
        command=COMMAND,
        args=["mcp", "--config", str(config)],
        env={"OSPREY_EXECUTOR_HOME": str(home), "HOME": str(home)},
    )
    async with Client(command, read_timeout_seconds=100) as client:
        yield client


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error, answer.structured_content
    return answer.content[0].text  # pyright: ignore[reportAttributeAccessIssue]


async def test_an_agent_runs_looks_rehearses_and_reads_and_approves_nothing(config: Path, home: Path) -> None:
    heard: list[tuple[float, str | None]] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, message))

    async with over_stdio(config, home) as client:
        tools = (await client.list_tools()).tools
        assert {tool.name for tool in tools} == TOOLS
        assert all(tool.output_schema for tool in tools)

        answer = await client.call_tool("run_python", {"task": "leave", "code": LEAVES}, progress_callback=progress)
        run = answer.structured_content
        assert (run["state"], run["effects"], run["results"]) == ("succeeded", "none", {"answer": 42})
        assert {"a.txt", "b.bin"} <= set(run["files"])
        assert heard
        run_id = run["run_id"]
        assert (await ask(client, "read_artifact", run_id=run_id, name="a.txt"))["text"] == "inner"
        assert (await ask(client, "read_artifact", run_id=run_id, name="b.bin"))["base64"].startswith("AAEC")
        assert "has no file" in await refused(client, "read_artifact", run_id=run_id, name="../../people.json")

        rehearsed = await ask(client, "rehearse", code=WRITE)
        assert [(one["channel"], one["proposed"], one["line"]) for one in rehearsed["writes"]] == [
            ("MAG:1:SP", "1.5", 2)
        ]

        asked = await ask(client, "run_python", task="write", code=WRITE)
        assert (asked["state"], asked["effects"]) == ("awaiting_approval", "none")
        assert "a person must decide" in asked["next"]
        listed = (await ask(client, "list_runs", text="WRI"))["result"]
        assert [one["run_id"] for one in listed] == [asked["run_id"]]

        async with PythonExecutorService.from_config(CONFIG, home=home) as service:
            card = await service.card(asked["run_id"])
            await service.decide(asked["run_id"], Approve(card.digest), approver="ben")
        written = await ask(client, "get_run", run_id=asked["run_id"], wait_seconds=60)
        assert (written["state"], written["effects"]) == ("succeeded", "written")

        assert "no run 'nothing'" in await refused(client, "get_run", run_id="nothing")
        assert "never closed" in await refused(client, "rehearse", code="(")
        assert "limit" in await refused(client, "list_runs", limit=0)


async def test_a_long_run_is_left_and_cancelled(config: Path, home: Path) -> None:
    async with over_stdio(config, home) as client:
        left = await ask(client, "run_python", task="sleep", code="import time; time.sleep(50)", wait_seconds=0)
        assert left["state"] == "running"
        assert "get_run" in left["next"]
        assert (await ask(client, "cancel_run", run_id=left["run_id"]))["state"] == "cancelled"


@asynccontextmanager
async def serving(config: Path, home: Path) -> AsyncGenerator[str]:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "serve", "--port", "0", "--config", str(config)),
        env={"OSPREY_EXECUTOR_HOME": str(home), "HOME": str(home), "PATH": "/usr/bin:/bin"},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(60):
            first = (await process.stderr.readline()).decode()
        url = first.split()[-1]
        async with httpx2.AsyncClient() as client:
            for _ in range(200):
                try:
                    if (await client.get(f"{url}/healthz")).status_code == 200:
                        break
                except httpx2.TransportError:
                    await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.communicate()


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncGenerator[Client]:
    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=100) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), read_timeout_seconds=100) as client,
    ):
        yield client


async def test_over_http_everybody_is_who_their_token_says(config: Path, home: Path) -> None:
    people = People(home)
    anna, eve, vera = (
        people.add(name, [role])
        for name, role in (("anna", Role.REQUESTER), ("eve", Role.REQUESTER), ("vera", Role.VIEWER))
    )
    async with serving(config, home) as url:
        async with httpx2.AsyncClient() as stranger:
            for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {anna}"}):
                for method in ("GET", "POST", "DELETE"):
                    assert (await stranger.request(method, f"{url}/mcp", headers=headers)).status_code == 401
        async with over_http(url, anna) as client:
            run = await ask(client, "run_python", task="leave", code=LEAVES)
            assert run["results"] == {"answer": 42}
        async with httpx2.AsyncClient() as elsewhere:
            answer = await elsewhere.post(
                f"{url}/mcp",
                headers={"Host": "osprey.lab.gov", "Authorization": f"Bearer {anna}", "Accept": "application/json"},
                json={},
            )
            assert answer.status_code not in (403, 421), "it is reached under the names of the site"
        async with over_http(url, eve) as client:
            assert (await ask(client, "list_runs"))["result"] == []
            for tool, more in (("get_run", {}), ("cancel_run", {}), ("read_artifact", {"name": "a.txt"})):
                assert "RunNotFoundError" in await refused(client, tool, run_id=run["run_id"], **more)
            waiting = asyncio.create_task(refused(client, "run_python", task="s", code="import time; time.sleep(300)"))
            async with over_http(url, vera) as looking, asyncio.timeout(60):
                while not (running := (await ask(looking, "list_runs", state="running"))["result"]):
                    await asyncio.sleep(0.1)
            async with over_http(url, people.renew("eve")) as later:
                await ask(later, "cancel_run", run_id=running[0]["run_id"])
            assert "NotIdentifiedError" in await waiting, "whose token is void is told nothing more"
        async with over_http(url, vera) as client:
            assert {one["requester"] for one in (await ask(client, "list_runs"))["result"]} == {"anna", "eve"}
            assert "AccessDeniedError" in await refused(client, "run_python", task="x", code=LEAVES)
            assert "AccessDeniedError" in await refused(client, "rehearse", code=LEAVES)
            assert "AccessDeniedError" in await refused(client, "cancel_run", run_id=run["run_id"])
