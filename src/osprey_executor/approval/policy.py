"""Who must be asked, before a program starts and before it writes: rules of the site, and the design's table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from osprey_executor.approval.digest import digest_of
from osprey_executor.approval.rules import Match, Situation, first_match
from osprey_executor.config import ApprovalConfig, Config
from osprey_executor.models import AnalysisReport, ControlSystemReport, Effect, Verdict

POLICY_VERSION = 2
"""Stands in every digest: an approval given under one table is none under another."""
_WRITES = "it tries to write: this is what its rehearsal would have written, and nothing of it reached the machine"


@dataclass(frozen=True)
class Asking:
    """Whether a person must decide, and why."""

    ask: bool
    denied: bool
    reason: str
    persons: int = 1
    """How many must approve."""
    expiry: float | None = None
    """Seconds until the card can no longer be approved; None: `approval.expiry`."""


def must_ask(config: Config, report: AnalysisReport, situation: Situation) -> Asking:
    """Return whether a person must be asked before a program starts.

    Where containment is proven the broker is the only way to a channel, so the first run, which writes nothing, needs
    no asking: rules about writes are looked at when the program has tried one. Where it is not proven the code may have
    ways of its own.
    """
    if report.verdict is Verdict.DENY:
        return Asking(ask=False, denied=True, reason=report.reason or "the site's policy denies this code")
    seen = situation
    if situation.isolation.proven:
        seen = replace(situation, effects=situation.effects - {Effect.CONTROL_WRITE}, channels=())
    if match := first_match(config.approval.rules, seen):
        return _by_rule(match, "")
    mode = config.approval.mode
    if mode == "disabled":
        return _passes("approval is switched off (approval.mode: disabled)")
    if mode == "all_code":
        return _asks("every program is asked about (approval.mode: all_code)")
    if situation.isolation.proven:
        return _passes("containment is proven: a write is asked about when it is tried")
    if situation.control.real:
        return _asks("containment not proven, and the control system is real")
    if report.verdict is Verdict.ALLOW:
        return _passes(report.reason or "writes no channel")
    return _asks(report.reason or "the analysis advises to ask")


def must_ask_to_write(config: Config, situation: Situation) -> Asking:
    """Return whether a person must be asked about the writes that a program has tried; without a rule one is."""
    seen = replace(situation, effects=situation.effects | {Effect.CONTROL_WRITE})
    match = first_match(config.approval.rules, seen)
    return _by_rule(match, _WRITES) if match else _asks(_WRITES)


def bound_by_policy(config: ApprovalConfig, persons: int) -> Mapping[str, object]:
    """Return what of the policy an approval binds, beside the table; nothing where there are no rules."""
    if not config.rules:
        return {}
    rules = {str(number): rule.model_dump(mode="json") for number, rule in enumerate(config.rules, 1)}
    return {"policy_rules": digest_of(rules), "persons": persons}


def rehearses(config: Config, control: ControlSystemReport) -> bool:
    """Return whether the first run of a program is a rehearsal: where a person could approve what it writes."""
    return control.writes_enabled and config.approval.mode != "disabled"


def _by_rule(match: Match, why: str) -> Asking:
    reason = f"{why}; {match.words}" if why else match.words
    outcome = match.rule.outcome
    return Asking(
        ask=outcome in ("ask", "ask_two"),
        denied=outcome == "deny",
        reason=reason,
        persons=2 if outcome == "ask_two" else 1,
        expiry=match.rule.expiry,
    )


def _asks(reason: str) -> Asking:
    return Asking(ask=True, denied=False, reason=reason)


def _passes(reason: str) -> Asking:
    return Asking(ask=False, denied=False, reason=reason)
