"""What the tools give back, as structured output."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from osprey_executor.desk import Desk, names_of_files
from osprey_executor.models import Refusal, Rehearsal, RunResult, RunStatus, RunSummary
from osprey_executor.service import result_to_json
from osprey_executor.text import visible

_LONGEST = 20_000
"""Characters of output."""


class RunEntry(BaseModel):
    """A run as a list shows it."""

    run_id: str
    state: str
    """`running`, or how it ended: `succeeded`, `failed`, `awaiting_approval` ..."""
    effects: str
    """Whether the machine was written to: `none`, `written` or `unknown`."""
    task: str
    requester: str
    created_at: str


class RunAnswer(BaseModel):
    """A run, as far as it has come. Everything that the program said in it is a claim of the program."""

    run_id: str
    state: str
    effects: str = "none"
    next: str = ""
    """What there is to do now, in words."""
    results: dict[str, Any] = {}
    stdout: str = ""
    stderr: str = ""
    error: str | None = None
    refusals: list[str] = []
    files: list[str] = []
    """Names for `read_artifact`."""
    code: str | None = None
    notes: list[str] = []


class ProposedWrite(BaseModel):
    """A write that a rehearsal kept from the machine."""

    channel: str
    now: float | str | None
    """None: it has no valid value."""
    proposed: str
    limits: str
    verdict: str
    line: int | None


class RehearsalAnswer(BaseModel):
    """What a program would write; the machine was not touched."""

    writes: list[ProposedWrite]
    refused: list[str]
    """Writes that would be refused, whoever approves, and why."""
    conclusive: bool
    """Whether the program came to its end, and nothing it did depends on what only the machine can answer."""
    feedback_dependent_from: int | None
    """Line from which it depends on that."""
    stdout: str
    error: str | None


class FileAnswer(BaseModel):
    """A file that a run left: as text where it is UTF-8, else as base64."""

    name: str
    size: int
    text: str | None = None
    base64: str | None = None


def entry_of(run: RunSummary) -> RunEntry:
    """Return a run as a list shows it."""
    return RunEntry(
        run_id=run.run_id,
        state=run.state,
        effects=run.effects,
        task=visible(run.task),
        requester=visible(run.requester),
        created_at=run.created_at.isoformat(),
    )


async def answer_of(desk: Desk, run: RunSummary) -> RunAnswer:
    """Return a run as far as it has come."""
    if run.state == "running":
        return RunAnswer(
            run_id=run.run_id, state=run.state, effects=run.effects, next="it goes on: ask get_run for it again"
        )
    result = await desk.result(run.run_id)
    return RunAnswer(
        run_id=result.run_id,
        state=result.status,
        effects=result.effects,
        next=await _next(desk, result),
        results=result_to_json(result)["results"],
        stdout=_end(result.stdout),
        stderr=_end(result.stderr),
        error=visible(str(result.error)) if result.error else None,
        refusals=[_refusal(refusal) for refusal in result.refusals],
        files=list(names_of_files(result)),
        code=result.code,
        notes=[visible(note) for note in result.notes],
    )


def rehearsal_of(rehearsal: Rehearsal) -> RehearsalAnswer:
    """Return what a rehearsal has shown."""
    plan, outcome = rehearsal.plan, rehearsal.outcome
    return RehearsalAnswer(
        writes=[
            ProposedWrite(
                channel=visible(write.channel),
                now=visible(write.now) if isinstance(write.now, str) else write.now,
                proposed=visible(write.shown),
                limits=write.limits,
                verdict=write.verdict,
                line=write.line,
            )
            for write in plan.writes
        ],
        refused=[_refusal(refusal) for refusal in plan.refused],
        conclusive=plan.conclusive,
        feedback_dependent_from=plan.feedback_dependent_from,
        stdout=_end(outcome.stdout) if outcome else "",
        error=visible(str(outcome.error)) if outcome and outcome.error else visible(plan.error) or None,
    )


def _refusal(refusal: Refusal) -> str:
    return visible(f"{refusal.channel}: {refusal.reason}")


async def _next(desk: Desk, result: RunResult) -> str:
    if result.status is not RunStatus.AWAITING_APPROVAL:
        return ""
    card = await desk.card(result.run_id)
    return (
        f"a person must decide: {visible(card.headline)}. Nothing was written. They see the card with "
        f"`osprey-executor show {result.run_id}` or in the web pages, until {card.expires_at.isoformat()}; "
        "ask get_run for it afterwards. No tool can approve."
    )


def _end(text: str) -> str:
    left_out = len(text) - _LONGEST
    return visible(text) if left_out <= 0 else f"[{left_out} characters left out]\n{visible(text[-_LONGEST:])}"
