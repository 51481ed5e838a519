"""The table of roles and actions, asked at every door: who may not, is refused, and what one may not see is not there.

A door is a list of `Ask`s, one for each thing that it lets people do; the table is the same for all of them.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import httpx
import pytest

from osprey_executor.interfaces.web.pages import Sessions, page_routes
from osprey_executor.models import Action

from .conftest import LEAVES, WRITE, House

pytestmark = pytest.mark.asyncio(loop_scope="module")

Said = Literal["yes", "no", "hidden"]
"""May do it; may not; may not even know that there is such a run."""
PERSONS = ("anna", "eve", "vera", "ben", "rita", "owner")
"""Who has asked for the runs; another requester; a viewer; an approver; an admin; who holds the state folder."""
TABLE: dict[Action, tuple[Said, ...]] = {
    Action.SUBMIT: ("yes", "yes", "no", "no", "no", "yes"),
    Action.SEE: ("yes", "hidden", "yes", "yes", "yes", "yes"),
    Action.CANCEL: ("yes", "hidden", "no", "yes", "no", "yes"),
    Action.DECIDE: ("no", "hidden", "no", "yes", "no", "yes"),
    Action.RESTORE: ("no", "hidden", "no", "yes", "no", "yes"),
    Action.SETTLE: ("no", "hidden", "no", "yes", "no", "yes"),
    Action.STOP_WRITES: ("no", "no", "no", "yes", "no", "yes"),
    Action.RESUME_WRITES: ("no", "no", "no", "yes", "no", "yes"),
}


@dataclass(frozen=True)
class Runs:
    """Two runs of anna's."""

    ended: str
    waits: str


@dataclass(frozen=True)
class Ask:
    """One thing that a door lets people do, and what it comes to for a person; None: for a stranger."""

    door: str
    what: str
    action: Action
    ask: Callable[[House, Runs, str | None], Awaitable[Said | Literal["stranger"]]]

    def __str__(self) -> str:
        return f"{self.door}: {self.what}"


def rest(action: Action, what: str, body: object = None) -> Ask:
    """A request over REST that changes nothing where it is let through: the table is asked, and not the run."""
    method, path = what.split()

    async def ask(house: House, runs: Runs, name: str | None) -> Said | Literal["stranger"]:
        run_id = runs.waits if "approvals" in path else runs.ended
        url = f"/api/v1{path.replace('{run_id}', run_id).replace('{name}', 'sub/a.txt')}"
        async with house.client(name) as client:
            return said(await client.request(method, url, json=body))

    return Ask("rest", what, action, ask)


def web(action: Action, what: str, **fields: str) -> Ask:
    """A page, or a form of one, of who has signed in at a browser."""
    method, path = what.split()

    async def ask(house: House, runs: Runs, name: str | None) -> Said | Literal["stranger"]:
        sessions: Sessions = house.app.state.sessions
        session = sessions.begin(house.tokens[name]) if name else ""
        run_id = runs.waits if "approvals" in path else runs.ended
        url = path.replace("{run_id}", run_id).replace("{name:path}", "sub/a.txt")
        async with house.client(None, cookies={"osprey-8420": session}) as client:
            form = {**fields, "form_key": sessions.form_key(session)} if method == "POST" else None
            return said(await client.request(method, url, data=form, headers={"Origin": str(client.base_url)}))

    return Ask("web", what, action, ask)


def said(answer: httpx.Response) -> Said | Literal["stranger"]:
    assert answer.status_code < 500, answer.text
    refused: dict[int, Said | Literal["stranger"]] = {401: "stranger", 403: "no", 404: "hidden"}
    return refused.get(answer.status_code, "yes")


NO_DIGEST = {"decision": "approve", "digest": "0" * 64}
ASKS = [
    rest(Action.SUBMIT, "POST /runs", {"user_query": "no program", "code": "("}),
    rest(Action.SUBMIT, "POST /rehearsals", {"code": "("}),
    rest(Action.SEE, "GET /runs/{run_id}"),
    rest(Action.SEE, "GET /runs/{run_id}/result"),
    rest(Action.SEE, "GET /runs/{run_id}/events"),
    rest(Action.SEE, "GET /runs/{run_id}/artifacts"),
    rest(Action.SEE, "GET /runs/{run_id}/artifacts/{name}"),
    rest(Action.SEE, "GET /approvals/{run_id}"),
    rest(Action.CANCEL, "POST /runs/{run_id}/cancel"),
    rest(Action.DECIDE, "POST /approvals/{run_id}/decision", NO_DIGEST),
    rest(Action.RESTORE, "GET /runs/{run_id}/restore"),
    rest(Action.RESTORE, "POST /runs/{run_id}/restore", {"run_id": "x"}),
    rest(Action.SETTLE, "GET /runs/{run_id}/settlement"),
    rest(Action.SETTLE, "POST /runs/{run_id}/settlement", {"run_id": "x"}),
    rest(Action.STOP_WRITES, "POST /writes/stop", {"reason": "a test"}),
    rest(Action.RESUME_WRITES, "POST /writes/allow"),
    web(Action.SUBMIT, "GET /new"),
    web(Action.SUBMIT, "POST /new", task="no program", code="("),
    *(web(Action.SEE, f"GET /approvals/{{run_id}}{rest}") for rest in ("", "/now")),
    *(web(Action.SEE, f"GET /runs/{{run_id}}{rest}") for rest in ("", "/events")),
    *(
        web(Action.SEE, f"GET /runs/{{run_id}}/{kind}/{{name:path}}")
        for kind in ("files", "look", "pictures", "framed")
    ),
    web(Action.CANCEL, "POST /runs/{run_id}/cancel"),
    web(Action.DECIDE, "GET /approvals/{run_id}/edit"),
    web(Action.DECIDE, "POST /approvals/{run_id}/edit", code="x = 1"),
    web(Action.DECIDE, "POST /approvals/{run_id}/approve", sure="yes", digest="0" * 64),
    web(Action.DECIDE, "POST /approvals/{run_id}/reject", reason="a test"),
    web(Action.RESTORE, "GET /runs/{run_id}/restore"),
    web(Action.RESTORE, "POST /runs/{run_id}/restore"),
    web(Action.SETTLE, "GET /runs/{run_id}/settle"),
    web(Action.SETTLE, "POST /runs/{run_id}/settle", sure="yes"),
    web(Action.STOP_WRITES, "POST /machine/stop"),
    web(Action.RESUME_WRITES, "POST /machine/allow", sure="yes"),
]
PAGES_FOR_EVERYBODY = {"/", "/approvals", "/inbox", "/runs", "/machine", "/machine/now", "/standing", "/handover"}
PAGES_ELSEWHERE = {
    "/static/{name}",
    "/sign-in",
    "/sign-in/{secret}",
    "/sign-out",
    # For those who see all runs; and pictures of which these runs have none. See tests/pages.
    "/health",
    "/approvals/{run_id}/figures/{number}",
    "/runs/{run_id}/live/{number}",
}
FOR_EVERYBODY = {"GET /health", "GET /writes", "GET /runs", "GET /approvals"}
"""Lists show to each what they may see; the switch is everybody's business."""


@pytest.fixture(scope="module")
def runs() -> dict[str, Runs]:
    """Filled by the first test that needs them."""
    return {}


async def of(house: House, runs: dict[str, Runs]) -> Runs:
    if not runs:
        runs["anna"] = Runs(await house.begin("anna", LEAVES), await house.begin("anna", WRITE))
    return runs["anna"]


@pytest.mark.parametrize("ask", ASKS, ids=str)
async def test_each_may_do_what_the_table_says_and_nothing_else(house: House, runs: dict[str, Runs], ask: Ask) -> None:
    target = await of(house, runs)
    assert {name: await ask.ask(house, target, name) for name in PERSONS} == dict(
        zip(PERSONS, TABLE[ask.action], strict=True)
    )
    assert await ask.ask(house, target, None) == "stranger"


async def test_lists_show_to_each_what_they_may_see(house: House, runs: dict[str, Runs]) -> None:
    target = await of(house, runs)
    for name, says in zip(PERSONS, TABLE[Action.SEE], strict=True):
        async with house.client(name) as client:
            listed = (await client.get("/api/v1/runs?limit=200")).text
            searched = (await client.get("/api/v1/runs", params={"requester": "anna", "text": "program"})).text
            inbox = (await client.get("/api/v1/approvals")).json()
            health = (await client.get("/api/v1/health")).json()
        assert (target.ended in listed) == (says == "yes"), name
        assert (target.ended in searched) == (says == "yes"), name
        assert ([row["run_id"] for row in inbox["approvals"]] == [target.waits]) == (says == "yes"), name
        assert inbox["total"] == health["pending"] == (1 if says == "yes" else 0), name


async def test_no_route_is_missing_here(house: House) -> None:
    async with house.client("anna") as anna:
        paths = (await anna.get("/openapi.json")).json()["paths"]
    there = {
        f"{method.upper()} {re.sub('^/api/v1', '', path)}"
        for path, methods in paths.items()
        for method in methods
        if path.startswith("/api/v1")
    }
    assert there == {ask.what for ask in ASKS if ask.door == "rest"} | FOR_EVERYBODY
    pages = {(method, route.path) for route in page_routes() for method in route.methods}
    asked = {tuple(ask.what.split()) for ask in ASKS if ask.door == "web"}
    left = {path for method, path in pages - asked}
    assert asked <= pages
    assert left == PAGES_FOR_EVERYBODY | PAGES_ELSEWHERE
