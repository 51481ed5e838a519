"""A run while it goes on: its events, as the browser's `EventSource` takes them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from osprey_executor.errors import PythonExecutorException
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.visitor import SignedIn, Visitor, visitor_of
from osprey_executor.models.events import AttemptFailed, Event, Figure, Output, Progress, Queued, StageStarted
from osprey_executor.text import one_line, visible

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_BEAT_SECONDS: Final = 5.0


@router.get("/runs/{run_id}/events")
async def events(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Yield the events of a run, from its beginning or from where the browser was cut off; the last one ends it."""
    run = await visitor.desk.run(run_id)
    last = request.headers.get("last-event-id", "")
    after = int(last) if last.isdecimal() and len(last) < 12 else 0
    return StreamingResponse(_stream(request, visitor, run.run_id, after), media_type="text/event-stream")


async def _stream(request: Request, visitor: Visitor, run_id: str, after: int) -> AsyncGenerator[str]:
    closing: asyncio.Event = request.app.state.closing
    end = asyncio.ensure_future(closing.wait())
    async with aclosing(visitor.desk.events(run_id, after)) as events:
        following = asyncio.ensure_future(anext(events, None))
        try:
            while not end.done():
                await asyncio.wait((following, end), timeout=_BEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not _still(request, visitor):
                    return
                if not following.done():
                    yield ": it goes on\n\n"
                    continue
                if (numbered := following.result()) is None:
                    return
                number, event = numbered
                yield f"id: {number}\ndata: {json.dumps(_told(event))}\n\n"
                following = asyncio.ensure_future(anext(events, None))
        finally:
            end.cancel()
            following.cancel()
            await asyncio.wait((following,))


def _still(request: Request, visitor: Visitor) -> bool:
    """Tell whether the visitor is who they were, with the roles that they had."""
    try:
        return visitor_of(request).desk.person == visitor.desk.person
    except PythonExecutorException:
        return False


def _told(event: Event) -> dict[str, Any]:
    """Return what a page shows of an event; its text is hostile, and made visible here."""
    match event:
        case Output():
            return {"kind": "output", "stream": event.stream, "text": visible(event.text)}
        case Progress():
            return {"kind": "progress", "fraction": event.fraction, "message": one_line(event.message, 200)}
        case StageStarted():
            return {"kind": "stage", "stage": event.stage, "attempt": event.attempt}
        case Queued():
            return {"kind": "stage", "stage": "waiting for its turn", "attempt": event.attempt}
        case Figure():
            return {"kind": "figure", "number": event.number, "url": f"/runs/{event.run_id}/live/{event.number}"}
        case AttemptFailed():
            return {"kind": "failed", "text": one_line(str(event.error), 300), "attempt": event.attempt}
        case _:
            return {"kind": event.kind}
