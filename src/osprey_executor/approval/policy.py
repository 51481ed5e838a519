"""Who must be asked before a program starts: the design's table. Whoever starts unasked is asked before it writes."""

from __future__ import annotations

from dataclasses import dataclass

from osprey_executor.config import Config
from osprey_executor.models import AnalysisReport, ControlSystemReport, IsolationReport, Verdict

POLICY_VERSION = 2
"""Stands in every digest: an approval given under one table is none under another."""


@dataclass(frozen=True)
class Asking:
    """Whether a person must decide, and why."""

    ask: bool
    denied: bool
    reason: str


def must_ask(
    config: Config, report: AnalysisReport, isolation: IsolationReport, control: ControlSystemReport
) -> Asking:
    """Return whether a person must be asked before a program starts.

    Where containment is proven the broker is the only way to a channel, so the first run, which writes nothing, needs
    no asking. Where it is not proven the code may have ways of its own.
    """
    if report.verdict is Verdict.DENY:
        return Asking(ask=False, denied=True, reason=report.reason or "the site's policy denies this code")
    mode = config.approval.mode
    if mode == "disabled":
        return _passes("approval is switched off (approval.mode: disabled)")
    if mode == "all_code":
        return _asks("every program is asked about (approval.mode: all_code)")
    if isolation.proven:
        return _passes("containment is proven: a write is asked about when it is tried")
    if control.real:
        return _asks("containment not proven, and the control system is real")
    if report.verdict is Verdict.ALLOW:
        return _passes(report.reason or "writes no channel")
    return _asks(report.reason or "the analysis advises to ask")


def rehearses(config: Config, control: ControlSystemReport) -> bool:
    """Return whether the first run of a program is a rehearsal: where a person could approve what it writes."""
    return control.writes_enabled and config.approval.mode != "disabled"


def _asks(reason: str) -> Asking:
    return Asking(ask=True, denied=False, reason=reason)


def _passes(reason: str) -> Asking:
    return Asking(ask=False, denied=False, reason=reason)
