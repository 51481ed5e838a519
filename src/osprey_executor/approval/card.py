"""The card: everything that a person needs for the decision, and the digest of all that it binds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from osprey_executor.approval.digest import digest_of
from osprey_executor.approval.policy import POLICY_VERSION
from osprey_executor.models import (
    AnalysisReport,
    ApprovalCard,
    ControlSystemReport,
    Effect,
    IsolationReport,
    Limits,
    PythonExecutionRequest,
)
from osprey_executor.text import one_line

_MOST_KINDS = 3
_DIGITS = re.compile(r"\d+")
_STARS = re.compile(r"\*+")
ANY_CHANNEL = ("*",)


def granted_channels(report: AnalysisReport | ApprovalCard) -> tuple[str, ...]:
    """Return what an approval would allow to write: names and patterns, `*` alone where a target is unknown."""
    names: dict[str, None] = {}
    for target in report.writes:
        if not target.known:
            return ANY_CHANNEL
        names[target.channel or ""] = None
    return tuple(names)


def kinds_of(names: Iterable[str]) -> tuple[str, ...]:
    """Return the kinds of channels among `names`: one pattern for those that differ in numbers only."""
    kinds: dict[str, list[str]] = {}
    for name in names:
        kinds.setdefault(_STARS.sub("*", _DIGITS.sub("*", name)), []).append(name)
    return tuple(kind if len(members) > 1 else members[0] for kind, members in kinds.items())


def build_card(
    *,
    run_id: str,
    request: PythonExecutionRequest,
    code: str,
    report: AnalysisReport,
    reason: str,
    isolation: IsolationReport,
    control: ControlSystemReport,
    engine_identity: Mapping[str, Any],
    limits: Limits,
    inputs: Mapping[str, str],
    generator: str,
    now: datetime,
    expiry: float,
    attempt: int = 1,
    bound: Mapping[str, Any] | None = None,
    channel_limits: Mapping[str, str] | None = None,
) -> ApprovalCard:
    """Return the card of a program.

    Args:
        run_id: the run that waits.
        request: what was asked for; its requester is bound by the digest.
        code: the program, as it would be executed.
        report: what the analysis says of it.
        reason: why a person is asked.
        isolation: what would contain it.
        control: which machine it would talk to.
        engine_identity: interpreter, packages and whatever else the engine says it is.
        limits: limits of the run.
        inputs: SHA-256 of each input by name.
        generator: who wrote the code.
        now: when the card is made; with a time zone.
        expiry: seconds until an approval is no longer possible.
        attempt: number of the program within the run.
        bound: further parts that the digest binds, such as the SHA-256 of the context.
        channel_limits: what the limits database says, in words, of the channels that are written.

    Raises:
        TypeError: a part has no canonical form.
    """
    channels = granted_channels(report)
    digest = digest_of(
        {
            "digest_version": 2,
            "policy_version": POLICY_VERSION,
            "code": code,
            "inputs": dict(inputs),
            "requester": request.requester,
            "engine": isolation.engine,
            "engine_identity": dict(engine_identity),
            "isolation": {"level": isolation.level, "proven": isolation.proven, "network": isolation.network},
            "limits": limits.model_dump(),
            "control_system": {
                "type": control.type,
                "real": control.real,
                "addresses": control.addresses,
                "writes_enabled": control.writes_enabled,
                "limits": _bound_limits(control),
            },
            "channels": channels,
            "bound": dict(bound or {}),
        }
    )
    return ApprovalCard(
        run_id=run_id,
        digest=digest,
        headline=headline(report, control),
        requester=request.requester,
        task=request.task_objective or request.user_query,
        generator=generator,
        code=code,
        findings=report.findings,
        effects=report.effects,
        verdict=report.verdict,
        reason=reason,
        writes=report.writes,
        limits=dict(channel_limits or {}),
        isolation=isolation,
        control_system=control,
        unknowns=unknowns(report, isolation, control),
        inputs=dict(inputs),
        attempt=attempt,
        created_at=now,
        expires_at=now + timedelta(seconds=expiry),
    )


def _bound_limits(control: ControlSystemReport) -> dict[str, Any] | None:
    """Return what of the limits database an approval binds: its content, wherever the file lies."""
    return control.limits.model_dump(include={"digest", "allow_unlisted", "skip"}) if control.limits else None


def machine_of(control: ControlSystemReport) -> str:
    """Return the words for the machine: `the simulator`, `a REAL machine (epics)`."""
    if control.real:
        return f"a REAL machine ({one_line(control.type, 40)})"
    return {"mock": "the mock control system", "simulator": "the simulator"}.get(control.type, control.type)


def headline(report: AnalysisReport, control: ControlSystemReport) -> str:
    """Return what would happen, in one sentence."""
    machine = machine_of(control)
    if any(not target.known for target in report.writes):
        said = f"May write to channels that nobody can name before the run, on {machine}"
    elif report.writes:
        said = f"Writes to {_counted(granted_channels(report))} on {machine}"
    elif Effect.OPAQUE in report.effects or Effect.CONTROL_WRITE in report.effects:
        return f"Does something that the analysis cannot see through, next to {machine}"
    elif Effect.CONTROL_READ in report.effects:
        return f"Reads only, from {machine}"
    else:
        return f"Writes no channel of {machine}"
    if not control.writes_enabled:
        return f"{said}: writes are switched off, each would be refused"
    broken = control.limits is not None and control.limits.problem is not None
    return f"{said}: the limits database cannot be used, each would be refused" if broken else said


def _counted(names: tuple[str, ...]) -> str:
    kinds = kinds_of(names)
    shown = ", ".join(one_line(kind, 60) for kind in kinds[:_MOST_KINDS])
    more = ", ..." if len(kinds) > _MOST_KINDS else ""
    patterns = any("*" in name for name in names)
    if len(names) == 1 and not patterns:
        return shown
    if patterns:
        return f"{len(kinds)} kind{'s' if len(kinds) > 1 else ''} of channels ({shown}{more})"
    of = f" of {len(kinds)} kinds" if 1 < len(kinds) < len(names) else ""
    return f"{len(names)} channels{of} ({shown}{more})"


def unknowns(report: AnalysisReport, isolation: IsolationReport, control: ControlSystemReport) -> tuple[str, ...]:
    """Return what nobody can tell before the run, the heaviest first."""
    told: list[str] = []
    lines = sorted({target.line for target in report.writes if not target.known})
    if lines:
        told.append(
            f"Which channels are written ({_lines(lines)}) is only known when the program runs. "
            "An approval allows it to write ANY channel."
        )
    if isolation.network:
        opened = ", ".join(one_line(endpoint, 80) for endpoint in isolation.network)
        told.append(
            f"Containment is not proven: the code may reach {opened} past the broker, and change what is there."
        )
    elif not isolation.proven:
        told.append("Containment is not proven: the code may reach the machine and this computer by ways of its own.")
    opaque = sorted({one.line for one in report.findings if one.effect is Effect.OPAQUE})
    if opaque:
        beyond = "" if lines else " Writes to channels other than those shown are refused."
        told.append(f"The analysis cannot see through {_lines(opaque)}.{beyond}")
    dynamic = sorted({one.line for one in report.findings if one.rule == "dynamic/unknown-code"})
    if dynamic:
        told.append(f"Code that is only known when the program runs is executed ({_lines(dynamic)}).")
    patterns = [name for name in granted_channels(report) if "*" in name and name != "*"]
    if patterns:
        told.append(f"Which of {', '.join(one_line(name, 60) for name in patterns[:3])} is written is computed.")
    if any(target.value for target in report.writes) and any(one.unseen for one in report.findings):
        told.append("The values shown may be others, as parts of the program cannot be seen through.")
    if report.writes and any(not _is_number(target.value) for target in report.writes):
        told.append("Values that are no plain numbers are computed when the program runs.")
    if control.real and report.writes and control.limits is None:
        told.append("Values are not bounded: control_system.limits_database is not set.")
    if control.real and report.writes:
        told.append("Nothing was rehearsed: the first write happens on the real machine.")
    return tuple(told)


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return text is not None and text[:1] in "'\"" and text[-1:] in "'\""
    return True


def _lines(lines: list[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:5])
    return f"line{'s' if len(lines) > 1 else ''} {shown}{', ...' if len(lines) > 5 else ''}"
