"""A card as inboxes for agents show it, and what such an inbox answers, as a decision.

Source: the schemas HumanInterrupt and HumanResponse of LangChain's Agent Inbox.
"""

from __future__ import annotations

from typing import Any, cast

from osprey_executor.errors import InvalidDecision
from osprey_executor.models import ApprovalCard, Approve, Decision, Edit, Reject, parse_decision
from osprey_executor.text import fenced, one_line

_MOST_WRITES = 100


def inbox_question(card: ApprovalCard) -> dict[str, Any]:
    """Return the fields of the JSON of a card, and those by which an inbox shows it and asks.

    It cannot be ignored: a run that nobody decides expires by itself.
    """
    return {
        **card.model_dump(mode="json"),
        "action_request": {"action": "run_python", "args": {"code": card.code, "digest": card.digest}},
        "config": {"allow_accept": True, "allow_edit": True, "allow_respond": True, "allow_ignore": False},
        "description": _description(card),
    }


def inbox_decision(answer: object, card: dict[str, Any]) -> Decision:
    """Return the decision that an answer to a card is: of an inbox, or as `parse_decision` takes it.

    `accept` approves the card that was shown, `edit` asks about the code that it brings, `response` rejects with its
    words, and lets the generator try again.

    Raises:
        InvalidDecision: it is none.
    """
    if isinstance(answer, list) and len(cast(list[Any], answer)) == 1:
        answer = cast(list[Any], answer)[0]
    if not isinstance(answer, dict) or "type" not in answer:
        return parse_decision(cast(object, answer), digest=card["digest"])
    fields = cast(dict[str, Any], answer)
    args = fields.get("args")
    code = _code(args)
    match fields["type"]:
        case "accept" if args is None or (code, _args(args).get("digest")) == (card["code"], card["digest"]):
            return Approve(card["digest"])
        case "accept":
            raise InvalidDecision("what was accepted is not what the card shows: send an edit, and it is asked about")
        case "edit" if code is not None:
            return Edit(code)
        case "response" if isinstance(args, str) and args.strip():
            return Reject(args, regenerate=card["generator"] != "user")
        case _:
            raise InvalidDecision(
                f"{one_line(repr(fields), 200)} is not an answer of an inbox: type is accept, edit (with the code) or "
                "response (with words)"
            )


def _args(args: object) -> dict[str, Any]:
    inner = cast(dict[str, Any], args) if isinstance(args, dict) else {}
    nested = inner.get("args", inner)
    return cast(dict[str, Any], nested) if isinstance(nested, dict) else {}


def _code(args: object) -> str | None:
    code = _args(args).get("code")
    return code if isinstance(code, str) else None


def _description(card: ApprovalCard) -> str:
    """Return what would happen, as Markdown in which nothing of a program is read as Markdown."""
    writes = card.plan.writes if card.plan else ()
    told = [f"{one.channel}: {one.now} -> {one.shown}  ({one.verdict})" for one in writes[:_MOST_WRITES]]
    if len(writes) > len(told):
        told.append(f"and {len(writes) - len(told)} more")
    parts = [fenced(f"{card.headline}\nTask: {card.task}\nAsked because: {card.reason}")]
    if told:
        parts.append("What it would write, in order:\n" + fenced("\n".join(map(one_line, told))))
    if card.unknowns:
        parts.append("What nobody can tell before the run:\n" + fenced("\n".join(map(one_line, card.unknowns))))
    parts.append(fenced(card.code, "python"))
    return "\n\n".join(parts)
