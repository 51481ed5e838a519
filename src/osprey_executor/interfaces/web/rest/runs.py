"""Runs over the API: begun, listed, shown, watched, ended; and rehearsals."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from osprey_executor.interfaces.web.answers import Answer
from osprey_executor.interfaces.web.identify import AtDesk, Doorkeeper
from osprey_executor.interfaces.web.rest.shapes import Key, NewProgram, NewRun, RunId, Wanted
from osprey_executor.interfaces.web.rest.streams import told
from osprey_executor.models import Rehearsal, RunPage, RunResult, RunSummary
from osprey_executor.service import result_to_json

router = APIRouter()


@router.post("/runs", status_code=201, operation_id="submit", tags=["runs"])
async def submit(desk: AtDesk, body: NewRun, response: Response, key: Key = None) -> RunSummary:
    """Begin a run in your name. It goes on by itself, to its end or to a card that waits for a person."""
    run = await desk.submit(body.request(), key=key)
    response.headers["Location"] = f"/api/v1/runs/{run.run_id}"
    return run


@router.get("/runs", operation_id="runs", tags=["runs"])
async def runs(desk: AtDesk, wanted: Annotated[Wanted, Query()]) -> RunPage:
    """List and search the runs that you may see, the newest first."""
    return await desk.runs(wanted.filter(), limit=wanted.limit, after=wanted.after)


@router.get("/runs/{run_id}", operation_id="run", tags=["runs"])
async def run(desk: AtDesk, run_id: RunId) -> RunSummary:
    """Show where a run is."""
    return await desk.run(run_id)


@router.get("/runs/{run_id}/result", operation_id="result", tags=["runs"], response_model=RunResult)
async def result(desk: AtDesk, run_id: RunId) -> Answer:
    """Show how a run ended, or that it waits, as `osprey-executor run --json` prints it. 409 while it goes on."""
    return Answer(result_to_json(await desk.result(run_id)))


@router.get(
    "/runs/{run_id}/events",
    operation_id="events",
    tags=["runs"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(
    desk: AtDesk,
    run_id: RunId,
    request: Request,
    last_event_id: Annotated[int, Header(ge=0, le=10**9, description="Of an earlier answer: go on behind it.")] = 0,
) -> StreamingResponse:
    """Watch a run, as server-sent events: from its beginning until it ends, or waits and nobody drives it."""
    seen = await desk.run(run_id)
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    stream = told(
        desk.events(seen.run_id, last_event_id),
        request.app.state.closing,
        lambda: doorkeeper.same(request, desk.person),
    )
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


@router.post("/runs/{run_id}/cancel", operation_id="cancel", tags=["runs"], response_model=RunResult)
async def cancel(desk: AtDesk, run_id: RunId) -> Answer:
    """End a run. One that has ended stays as it is."""
    return Answer(result_to_json(await desk.cancel(run_id)))


@router.post("/rehearsals", operation_id="rehearse", tags=["runs"], response_model=Rehearsal)
async def rehearse(desk: AtDesk, body: NewProgram) -> Answer:
    """Run a program with its writes kept from the machine, and return what it would write. It is no run."""
    rehearsal = await desk.rehearse(body.request())
    # Results of a rehearsal never become a result.
    unsaid: dict[str, Any] = {"outcome": {"results"}} if rehearsal.outcome else {}
    return Answer(rehearsal.model_dump(mode="json", exclude=unsaid))
