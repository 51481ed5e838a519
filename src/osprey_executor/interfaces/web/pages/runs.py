"""Runs: the list with its search, and one run with all that it left."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from osprey_executor.desk import names_of_files
from osprey_executor.errors import InvalidDecision, InvalidRequestError
from osprey_executor.interfaces.web.pages.listing import Listing, listing
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.values import shown_values
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn
from osprey_executor.interfaces.web.pages.words import decided_words
from osprey_executor.models import Action, RunFilter, RunResult, RunStatus

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_SIZE = 50
_MOST_WORDS = 200
_MOST_TEXT = 200_000
_TAKEN_UP = timedelta(minutes=1)
"""Within which a decided run goes on; else whoever decided it has died with it, and it waits again."""


@router.get("/runs")
async def show_all(
    request: Request, visitor: SignedIn, q: str = "", state: str = "", person: str = "", after: str = ""
) -> Response:
    """Show runs, the newest first."""
    wanted = RunFilter(text=q[:_MOST_WORDS], state=state[:40] or None, requester=person[:_MOST_WORDS] or None)
    found = await visitor.desk.runs(wanted, limit=_SIZE, after=after)
    asked = {"q": q, "state": state, "person": person}
    states = ["running", *RunStatus]
    return await page(
        request, visitor, "runs.html", found=found, asked=asked, again=urlencode(asked), after=after, states=states
    )


@router.get("/runs/{run_id}")
async def show(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Show a run: live while it goes on, else how it ended."""
    run = await visitor.desk.run(run_id)
    if run.run_id != run_id:
        return RedirectResponse(f"/runs/{run.run_id}", 303)
    try:
        result = await visitor.desk.result(run.run_id)
    except (InvalidRequestError, InvalidDecision):  # it goes on, or has begun to since it was looked up
        result = None
    desk = visitor.desk
    records = await desk.cards(run.run_id)
    decisions = [(record, words) for record in records if (words := decided_words(record))]
    waits = run.state == RunStatus.AWAITING_APPROVAL
    decided = records[-1].at if waits and records else None
    if decided and datetime.now(UTC) - decided < _TAKEN_UP:
        result = None
    open_end = any(one.run_id == run.run_id for one in await desk.open_ends()) if result else False
    return await page(
        request,
        visitor,
        "run.html",
        run=run,
        result=result,
        waits=waits and result is not None,
        values=await asyncio.to_thread(shown_values, result.results) if result else (),
        files=_files(result) if result else [],
        figures=_figures(result) if result else [],
        output=_tail(result.stdout) if result else ("", 0),
        errors=_tail(result.stderr) if result else ("", 0),
        code=await asyncio.to_thread(_listing, result) if result and result.code else None,
        decisions=decisions,
        open_end=open_end,
        may_cancel=not run.finished_at and desk.may(Action.CANCEL, run.requester),
        may_restore=result is not None and bool(result.writes) and desk.may(Action.RESTORE, run.requester),
        may_settle=open_end and desk.may(Action.SETTLE, run.requester),
    )


@router.post("/runs/{run_id}/cancel")
async def cancel(visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """End a run."""
    result = await visitor.desk.cancel(run_id)
    return RedirectResponse(f"/runs/{result.run_id}", 303)


def _listing(result: RunResult) -> Listing:
    return listing(result.code or "", result.analysis.findings if result.analysis else ())


def _files(result: RunResult) -> list[str]:
    figures = {path.name for path in result.figures}
    return [name for name in names_of_files(result) if name not in figures]


def _figures(result: RunResult) -> list[str]:
    names = {path: name for name, path in names_of_files(result).items()}
    return [names[path] for path in result.figures if path in names]


def _tail(text: str) -> tuple[str, int]:
    """Return the end of an output, and how many characters stand before it."""
    return text[-_MOST_TEXT:], max(len(text) - _MOST_TEXT, 0)
