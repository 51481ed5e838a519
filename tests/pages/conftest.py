"""One service for all tests of pages, people of every role, and a browser without a browser: httpx over ASGI."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from osprey_executor import PythonExecutionRequest, PythonExecutorService
from osprey_executor.desk import Desk
from osprey_executor.interfaces.web.app import create_app
from osprey_executor.interfaces.web.identify import Doorkeeper
from osprey_executor.models import Person, Role, RunResult, RunStatus, RunSummary
from osprey_executor.service import People

HOST = "http://127.0.0.1:8420"
CONFIG: dict[str, Any] = {
    "execution": {"code_generator": "mock", "timeout": 60},
    "control_system": {"type": "mock", "writes_enabled": True},
}
ROLES = {
    "anna": (Role.REQUESTER,),
    "vera": (Role.VIEWER,),
    "ben": (Role.APPROVER,),
    "cleo": (Role.APPROVER, Role.REQUESTER),
    "eve": (Role.REQUESTER,),
}


class Forms(HTMLParser):
    """The forms of a page: their address, and the fields that they would send."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self._area: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((told.get("action", ""), {}))
        elif tag == "input" and self.found and told.get("name") and told.get("type") != "checkbox":
            self.found[-1][1][told["name"]] = told.get("value", "")
        elif tag == "textarea" and self.found:
            self._area = told["name"]
            self.found[-1][1][self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._area:
            self.found[-1][1][self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area:
            fields = self.found[-1][1]
            fields[self._area] = fields[self._area].removeprefix("\n")
            self._area = None


@dataclass
class Browser:
    """What a browser does: it keeps cookies, follows to where it is sent, and says of each form who sent it."""

    client: httpx.AsyncClient

    async def get(self, address: str, **headers: str) -> httpx.Response:
        return await self.client.get(address, headers=headers)

    async def send(self, address: str, fields: dict[str, str], *, origin: str = HOST, **files: Any) -> httpx.Response:
        return await self.client.post(address, data=fields, headers={"Origin": origin}, **files)

    async def fill(self, page: httpx.Response, action: str, nth: int = 0, **fields: str) -> httpx.Response:
        """Send the form of a page that has this address, with fields filled in."""
        forms = [held for where, held in Forms(page.text).found if where == action]
        assert forms, f"no form to {action} in {page.text}"
        return await self.send(action, forms[nth] | fields)

    async def sign_in(self, token: str) -> httpx.Response:
        return await self.fill(await self.get("/sign-in"), "/sign-in", token=token)


@dataclass
class Site:
    """A service with its people."""

    service: PythonExecutorService
    people: People
    tokens: dict[str, str]
    app: Any
    own_token: str

    def stranger(self) -> Browser:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return Browser(httpx.AsyncClient(transport=transport, base_url=HOST, follow_redirects=True))

    async def browser(self, name: str) -> Browser:
        browser = self.stranger()
        assert (await browser.sign_in(self.tokens[name])).status_code == 200
        return browser

    def desk(self, name: str) -> Desk:
        return Desk(self.service, Person(name=name, roles=frozenset(ROLES[name]), proof="token"))

    async def ended(self, run_id: str) -> RunResult:
        async for event in self.service.watch(run_id):
            if event.kind == "finished":
                return event.result
        raise AssertionError("the run never ended")

    async def run(self, code: str, task: str = "a program", by: str = "anna", **more: Any) -> RunResult:
        run = await self.desk(by).submit(PythonExecutionRequest(user_query=task, code=code, **more))
        return await self.ended(run.run_id)

    async def asked(self, code: str, task: str = "a program", by: str = "anna") -> RunSummary:
        result = await self.run(code, task, by)
        assert result.status is RunStatus.AWAITING_APPROVAL, result
        return await self.service.summary(result.run_id)


def site_of(home: Path, config: dict[str, Any]) -> Site:
    """Return a site whose service is not opened yet."""
    service = PythonExecutorService.from_config(config, home=home)
    people = People(home)
    tokens = {name: people.add(name, roles) for name, roles in ROLES.items()}
    own = "the-own-token-of-this-process"
    return Site(service, people, tokens, create_app(service, Doorkeeper(service.identity(own_token=own))), own)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Site]:
    made = site_of(tmp_path_factory.mktemp("site"), CONFIG)
    async with made.service:
        yield made


def text_of(page: httpx.Response) -> str:
    """Return the words of a page, without its marks."""
    from html import unescape

    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())
