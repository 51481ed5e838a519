"""The application on a real service, asked in this process: one service for a module, and a person for each role."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from osprey_executor import PythonExecutorService
from osprey_executor.access import People
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.models import Role

WRITE = "from osprey_executor.runtime import write_channel\nwrite_channel('MAG:1:SP', 1.5)\nresults = {'done': True}\n"
LEAVES = (
    "from pathlib import Path\nPath('sub').mkdir()\nPath('sub/a.txt').write_text('inner')\n"
    "Path('page.html').write_text('<script>alert(1)</script>')\nprint('said')\nresults = {'answer': 42}\n"
)
OWN = "token-of-this-process"
PEOPLE = {
    "anna": (Role.REQUESTER,),
    "ben": (Role.APPROVER,),
    "eve": (Role.REQUESTER,),
    "vera": (Role.VIEWER,),
    "rita": (Role.ADMIN,),
}


def settings(**changes: Any) -> dict[str, Any]:
    """A configuration with writes enabled on the mock control system."""
    return {
        "execution": {"code_generator": "mock", "timeout": 60},
        "control_system": {"type": "mock", "writes_enabled": True},
        **changes,
    }


@dataclass(frozen=True)
class House:
    """A service with its application and the tokens of its people."""

    service: PythonExecutorService
    app: Any
    tokens: dict[str, str]

    def client(self, name: str | None, **more: Any) -> httpx.AsyncClient:
        """A client of a person; None: of a stranger."""
        headers = {"Authorization": f"Bearer {self.tokens[name]}"} if name else {}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://127.0.0.1:8420",
            headers=headers,
            timeout=100,
            **more,
        )

    async def begin(self, name: str, code: str, **more: Any) -> str:
        """A run of a person, at its end or at its card."""
        async with self.client(name) as client:
            answer = await client.post("/api/v1/runs", json={"user_query": "a program", "code": code, **more})
            assert answer.status_code == 201, answer.text
            run_id = answer.json()["run_id"]
        async for _ in self.service.watch(run_id):
            pass
        return run_id


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    """An opened service of this module, with a state folder of its own."""
    home: Path = tmp_path_factory.mktemp("house")
    people = People(home)
    tokens = {name: people.add(name, roles) for name, roles in PEOPLE.items()} | {"owner": OWN}
    async with PythonExecutorService.from_config(settings(), home=home) as service:
        yield House(service, create_app(service, Doorkeeper(service.identity(own_token=OWN))), tokens)
