"""The card: what a person looks at before they decide, and the four things that they can say."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from osprey_executor.errors import AccessDeniedError, InvalidDecision, InvalidRequestError, PythonExecutorException
from osprey_executor.interfaces.web.pages.changes import changes
from osprey_executor.interfaces.web.pages.listing import listing, shown_code
from osprey_executor.interfaces.web.pages.rendering import page
from osprey_executor.interfaces.web.pages.routes import PageRoute
from osprey_executor.interfaces.web.pages.shown_card import shown_card
from osprey_executor.interfaces.web.pages.visitor import Posted, SignedIn, Visitor, field
from osprey_executor.interfaces.web.pages.words import decided_words
from osprey_executor.models import Action, ApprovalCard, Approve, Decision, Edit, Reject, RunStatus
from osprey_executor.text import one_line

router = APIRouter(route_class=PageRoute, include_in_schema=False, prefix="/approvals/{run_id}")


@router.get("")
async def show(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Show the card that a run waits with; one that does not wait is shown as a run."""
    run = await visitor.desk.run(run_id)
    if run.state != RunStatus.AWAITING_APPROVAL:
        return RedirectResponse(f"/runs/{run.run_id}", 303)
    card = await visitor.desk.card(run.run_id)
    records = await visitor.desk.cards(run.run_id)
    earlier = records[-2] if len(records) > 1 else None
    return await page(
        request,
        visitor,
        "card.html",
        card=card,
        shown=await asyncio.to_thread(shown_card, card),
        code=await asyncio.to_thread(listing, card.code, card.findings),
        decided=records[-1] if records and records[-1].decision else None,
        earlier=earlier,
        changes=await asyncio.to_thread(changes, earlier.card, card) if earlier else None,
        in_the_way=await visitor.desk.in_the_way(card),
        may_decide=visitor.desk.may(Action.DECIDE, card.requester),
        may_cancel=visitor.desk.may(Action.CANCEL, card.requester),
    )


@router.get("/now")
async def now(request: Request, visitor: SignedIn, run_id: str, digest: str = "") -> Response:
    """Tell how things stand for whoever has the card of that digest before them: the machine, and the card itself."""
    run = await visitor.desk.run(run_id)
    try:
        card = await visitor.desk.card(run.run_id)
    except InvalidDecision:
        return JSONResponse({"over": await _over(visitor, run.run_id)})
    if card.digest != digest:
        return JSONResponse({"over": "This card was replaced by another one: look at that before you decide."})
    told: dict[str, Any] = {"over": None, "in_the_way": list(await visitor.desk.in_the_way(card))}
    try:
        told["present"] = [one.model_dump(mode="json") for one in await visitor.desk.present(card)]
        told["unreadable"] = None
    except PythonExecutorException as error:
        told["present"], told["unreadable"] = [], one_line(str(error), 300)
    return JSONResponse(told)


@router.post("/approve")
async def approve(request: Request, visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """Approve exactly the plan, or the envelope, whose digest the form carries."""
    if field(form, "sure") != "yes":
        raise InvalidRequestError("nothing was approved: tick the box that says what you approve")
    return await _decide(request, visitor, run_id, field(form, "card"), Approve(field(form, "digest")))


@router.post("/reject")
async def reject(request: Request, visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """Reject the run, or let the generator try again with the reason."""
    reason = field(form, "reason").strip()
    if not reason:
        raise InvalidRequestError("nothing was rejected: say why, in a few words")
    decision = Reject(reason, regenerate=field(form, "again") == "yes")
    return await _decide(request, visitor, run_id, field(form, "card"), decision)


@router.get("/edit")
async def editor(request: Request, visitor: SignedIn, run_id: str) -> Response:
    """Show the code in a form."""
    card = await visitor.desk.card(run_id)
    _demand(visitor, card)
    return await page(
        request,
        visitor,
        "edit.html",
        card=card,
        code=shown_code(card.code),
        spelled_out=shown_code(card.code) != card.code.replace("\r\n", "\n"),
        notes=[line for line in listing(card.code, card.findings).lines if line.notes],
    )


@router.post("/edit")
async def edit(request: Request, visitor: SignedIn, form: Posted, run_id: str) -> Response:
    """Replace the code; the run is analysed and rehearsed again, and comes back with another card."""
    card, code = await visitor.desk.card(run_id), field(form, "code")
    _demand(visitor, card)
    if code.rstrip() == shown_code(card.code).rstrip():
        raise InvalidRequestError("the code is as it was: nothing was done")
    return await _decide(request, visitor, run_id, field(form, "card"), Edit(code))


async def _decide(request: Request, visitor: Visitor, run_id: str, digest: str, decision: Decision) -> Response:
    """Decide what the visitor has seen, whose digest is given, and nothing else."""
    try:
        card = await visitor.desk.card(run_id)
        _demand(visitor, card)
        if card.digest != digest:
            raise InvalidDecision("the card is another one than the one that you have seen")
        run = await visitor.desk.decide(run_id, decision)
    except InvalidDecision as error:
        return await _lost(request, visitor, run_id, digest, str(error))
    return RedirectResponse(f"/runs/{run.run_id}", 303)


def _demand(visitor: Visitor, card: ApprovalCard) -> None:
    if not visitor.desk.may(Action.DECIDE, card.requester):
        raise AccessDeniedError("you may look at this card, and not decide it: the role `approver` may")


async def _lost(request: Request, visitor: Visitor, run_id: str, digest: str, why: str) -> Response:
    """Return the page for whoever was too late: who decided how, or what has changed."""
    run = await visitor.desk.run(run_id)
    records = await visitor.desk.cards(run.run_id)
    seen = next((one for one in records if digest in one.card.digests), None)
    last = records[-1] if records else None
    replaced = last is not None and seen is not last
    return await page(
        request,
        visitor,
        "too_late.html",
        status=409,
        run=run,
        why=why,
        seen=seen,
        last=last,
        expired=last is not None and last.card.expires_at <= datetime.now(UTC),
        replaced=replaced,
        changes=await asyncio.to_thread(changes, seen.card, last.card) if replaced and seen and last else None,
        waits=run.state == RunStatus.AWAITING_APPROVAL and last is not None and last.decision is None,
    )


async def _over(visitor: Visitor, run_id: str) -> str:
    records = await visitor.desk.cards(run_id)
    state = (await visitor.desk.run(run_id)).state
    if records and records[-1].decision is not None:
        return f"{decided_words(records[-1])}. The run is now: {state.replace('_', ' ')}."
    return f"This run does not wait any more. It is now: {state.replace('_', ' ')}."
