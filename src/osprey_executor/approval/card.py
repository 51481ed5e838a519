"""The card: everything that a person needs for the decision, and the digest of all that it binds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from osprey_executor.approval.digest import digest_of
from osprey_executor.approval.envelope import proposed_envelope
from osprey_executor.approval.grant import bound_by_plan
from osprey_executor.approval.policy import POLICY_VERSION
from osprey_executor.models import (
    AnalysisReport,
    ApprovalCard,
    ControlSystemReport,
    Effect,
    IsolationReport,
    Limits,
    Plan,
    PythonExecutionRequest,
    RunStatus,
)
from osprey_executor.text import one_line

_MOST_KINDS = 3
_MOST_OUTPUT = 4000
_DIGITS = re.compile(r"\d+")
_STARS = re.compile(r"\*+")
ANY_CHANNEL = ("*",)


def named_channels(report: AnalysisReport | ApprovalCard) -> tuple[str, ...]:
    """Return what the analysis says is written: names and patterns, `*` alone where a target is unknown."""
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
    plan: Plan | None = None,
    rules: tuple[str, ...] = (),
    output: str = "",
    figures: tuple[Path, ...] = (),
    persons: int = 1,
    policy: Mapping[str, object] | None = None,
    remember: float = 0.0,
) -> ApprovalCard:
    """Return the card of a program: before it starts, or with the plan of its rehearsal.

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
        plan: what the rehearsal would have written; None: nothing ran yet.
        rules: of the site, in words; the digest binds them.
        output: what the rehearsal printed; its end is kept.
        figures: of the rehearsal.
        persons: how many must approve.
        policy: what the digest binds of the rules of the site.
        remember: seconds for which an approval may be remembered, where the program writes nothing.

    Raises:
        TypeError: a part has no canonical form.
    """
    binds: dict[str, Any] = {
        "digest_version": 3,
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
        "channels": named_channels(report),
        "plan": bound_by_plan(plan) if plan else None,
        "rules": rules,
        "bound": dict(bound or {}),
        **(policy or {}),
    }
    digest = digest_of(binds)
    standing = _standing(binds) if remember and persons == 1 and _only_starts(report, plan) else None
    return ApprovalCard(
        run_id=run_id,
        digest=digest,
        headline=planned_headline(plan, control) if plan else headline(report, control),
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
        unknowns=(*containment_unknowns(isolation), *(of_plan(plan, control) if plan else unknowns(report))),
        plan=plan,
        envelope=proposed_envelope(plan, digest, limits.timeout) if plan else None,
        rules=rules,
        output=output[-_MOST_OUTPUT:],
        figures=figures,
        inputs=dict(inputs),
        attempt=attempt,
        persons=persons,
        standing=standing,
        remember=remember if standing else 0.0,
        created_at=now,
        expires_at=now + timedelta(seconds=expiry),
    )


def _only_starts(report: AnalysisReport, plan: Plan | None) -> bool:
    """Return whether an approval lets a program start of which nothing is seen that writes."""
    return plan is None and not report.writes and report.effects.isdisjoint((Effect.CONTROL_WRITE, Effect.OPAQUE))


def _standing(binds: Mapping[str, Any]) -> str:
    """Return the digest of what an approval binds, without the run: the same for a later run of the same program."""
    bound = {name: value for name, value in binds["bound"].items() if name != "run_id"}
    return digest_of({**binds, "bound": bound, "standing": True})


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
        said = f"Writes to {_counted(named_channels(report))} on {machine}"
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


def planned_headline(plan: Plan, control: ControlSystemReport) -> str:
    """Return what an approval of the plan would do, in one sentence."""
    names = tuple(dict.fromkeys(write.channel for write in plan.writes))
    times = f" in {len(plan.writes)} writes" if len(plan.writes) > len(names) else ""
    said = f"Writes to {_counted(names)}{times} on {machine_of(control)}"
    return said if control.writes_enabled else f"{said}: writes are switched off, each would be refused"


def containment_unknowns(isolation: IsolationReport) -> tuple[str, ...]:
    """Return what the isolation leaves open."""
    if isolation.network:
        opened = ", ".join(one_line(endpoint, 80) for endpoint in isolation.network)
        return (f"Containment is not proven: the code may reach {opened} past the broker, and change what is there.",)
    if not isolation.proven:
        return ("Containment is not proven: the code may reach the machine and this computer by ways of its own.",)
    return ()


def unknowns(report: AnalysisReport) -> tuple[str, ...]:
    """Return what nobody can tell before a program has run at all, the heaviest first."""
    told: list[str] = []
    writing = {one.line for one in report.findings if one.effect is Effect.CONTROL_WRITE}
    lines = sorted({target.line for target in report.writes if not target.known})
    if surely := [line for line in lines if line in writing]:
        told.append(f"Which channels are written ({_lines(surely)}) is only known when the program runs.")
    if doubtful := [line for line in lines if line not in writing]:
        told.append(f"Whether channels are written ({_lines(doubtful)}) is only known when the program runs.")
    opaque = sorted({one.line for one in report.findings if one.effect is Effect.OPAQUE})
    if opaque:
        told.append(f"The analysis cannot see through {_lines(opaque)}.")
    dynamic = sorted({one.line for one in report.findings if one.rule == "dynamic/unknown-code"})
    if dynamic:
        told.append(f"Code that is only known when the program runs is executed ({_lines(dynamic)}).")
    patterns = [name for name in named_channels(report) if "*" in name and name != "*"]
    if patterns:
        told.append(f"Which of {', '.join(one_line(name, 60) for name in patterns[:3])} is written is computed.")
    if any(target.value for target in report.writes) and any(one.unseen for one in report.findings):
        told.append("The values shown may be others, as parts of the program cannot be seen through.")
    if report.writes and any(not _is_number(target.value) for target in report.writes):
        told.append("Values that are no plain numbers are computed when the program runs.")
    return tuple(told)


def of_plan(plan: Plan, control: ControlSystemReport) -> tuple[str, ...]:
    """Return what a rehearsal leaves open, the heaviest first."""
    told: list[str] = []
    if plan.ended is not RunStatus.SUCCEEDED or plan.error:
        why = f": {one_line(plan.error, 300)}" if plan.error else ""
        told.append(
            f"The rehearsal did not come to its end ({plan.ended.replace('_', ' ')}{why}). "
            "The plan holds what it wrote until then; a run that goes on to write more is stopped."
        )
    if plan.too_many:
        told.append(f"The plan ends after {len(plan.writes)} writes, and the program wants more.")
    if any(write.command for write in plan.writes):
        told.append(
            "What its commands do, and what they answer, cannot be rehearsed; in the rehearsal they answered None."
        )
    if plan.feedback_dependent:
        line = plan.feedback_dependent_from
        place = f"From line {line} on" if line else "At some time after its first write"
        told.append(
            f"{place} the program reads what the rehearsal could not move: what it writes then may be other "
            "than shown. Within the plan, anything else than shown is refused and ends the run's writing."
        )
    elif plan.simulated:
        told.append("A simulator answered in place of the machine, which may answer otherwise.")
    if control.real and control.limits is None:
        bounded = all(start.low is not None and start.high is not None for start in plan.start.values())
        how = "bounded by the control system's own limits alone" if bounded and plan.start else "not bounded"
        told.append(f"Values are {how}: control_system.limits_database is not set.")
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
