"""From what the monitor saw and what the program claims to status and error. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import Enum

from osprey_executor.errors import ErrorCategory
from osprey_executor.execution._exhausted import name_exhausted, name_limit
from osprey_executor.execution.guest_link import GuestError, GuestReport
from osprey_executor.execution.local._limits import cpu_limit
from osprey_executor.execution.local._sandbox import Ending
from osprey_executor.models import (
    ControlSession,
    ErrorReport,
    Limits,
    MachineEffects,
    RunStatus,
    Stage,
    show_size,
)

_REFUSALS = ("WriteRefused", "ChannelLimitsViolationError")


class Cut(Enum):
    """Why the engine ended a run."""

    TIMEOUT = "timeout"
    STDOUT = "standard output"
    STDERR = "standard error"
    VIOLATION = "violation"


@dataclass(frozen=True)
class Judgement:
    """How the run ended."""

    status: RunStatus
    error: ErrorReport | None = None
    partial: bool = False


@dataclass(frozen=True)
class Case:
    """All that there is to judge."""

    code: str | bytes
    limits: Limits
    ending: Ending
    cut: Cut | None
    report: GuestReport
    control: ControlSession | None


def judge(case: Case) -> Judgement:
    """Return status and error of a run. The monitor's word stands above the program's."""
    found = _judge(case)
    if (
        found.status is RunStatus.SUCCEEDED
        or case.control is None
        or case.control.effects is not MachineEffects.UNKNOWN
    ):
        return found
    return Judgement(RunStatus.OUTCOME_UNKNOWN, found.error, found.partial)


def _judge(case: Case) -> Judgement:
    ending, report = case.ending, case.report
    if case.cut is Cut.TIMEOUT:
        message = f"the run passed its time limit of {case.limits.timeout:g} s and was ended (execution.timeout)"
        error = _report(case, "ExecutionTimeoutError", message, ErrorCategory.WORKFLOW)
        return Judgement(RunStatus.TIMED_OUT, error, partial=True)
    if case.cut in (Cut.STDOUT, Cut.STDERR):
        what = f"output limit {show_size(case.limits.output)} exceeded on {case.cut.value} (limits.output)"
        return _failed(case, "LimitExceeded", f"{what}; the program was ended", partial=True)
    if ending.exceeded is not None:
        return _failed(case, "LimitExceeded", _exceeded(case), partial=True)
    if report.violation is not None:
        message = f"the program interfered with the channel to the service: {report.violation}"
        return _failed(case, "ProtocolViolation", message, partial=True)
    code = ending.code
    if code is None or code < 0:
        return _failed(case, "ProcessKilled", _signalled(case, -(code or 0)), partial=True)
    if report.error is not None:
        return _of_program(case, report.error)
    if code != 0:
        return _failed(case, "SystemExit", f"the program ended with exit code {code}", partial=not report.finished)
    if not report.finished:
        message = "the program ended with os._exit before its results were handed over: end with sys.exit or return"
        return _failed(case, "SystemExit", message, partial=True)
    return Judgement(RunStatus.SUCCEEDED)


def _of_program(case: Case, error: GuestError) -> Judgement:
    limit = name_exhausted(error.exhausted, case.limits)
    message = "; ".join(part for part in (error.message, limit) if part)
    refused = error.type in _REFUSALS and case.control is not None and len(case.control.refusals) > 0
    category = ErrorCategory.WORKFLOW if refused else ErrorCategory.CODE_RELATED
    source = _line(case.code, error.line)
    report = _report(case, error.type, message, category, error.line if source is not None else None, source)
    report = report.model_copy(update={"traceback": error.traceback})
    return Judgement(RunStatus.REFUSED if refused else RunStatus.FAILED, report, partial=limit is not None)


def _exceeded(case: Case) -> str:
    exceeded, limits = case.ending.exceeded, case.limits
    assert exceeded is not None
    match exceeded.what:
        case "memory":
            held = show_size(exceeded.amount)
            return f"{name_limit('memory', limits)}: the program and its children held {held} and were ended"
        case "cpu_time":
            return f"{_cpu_time(case)}: the program and its children took {exceeded.amount} s and were ended"
        case "processes":
            passed = name_limit("processes", limits)
            return f"{passed}: there were {exceeded.amount} processes and threads, and all were ended"
        case "folder":
            return (
                f"folder limit {show_size(limits.folder)} exceeded (limits.folder): the working folder held "
                f"{show_size(exceeded.amount)}, and the program was ended"
            )
        case "files":
            return (
                f"file limit {limits.files} exceeded (limits.files): there were {exceeded.amount} files and folders in "
                "the working folder, and the program was ended"
            )
        case "tmp":
            return (
                f"limit {show_size(limits.tmp)} for temporary files exceeded (limits.tmp): there were "
                f"{show_size(exceeded.amount)}, or too many files, and the program was ended"
            )
        case "deep":
            return "folders were nested more than 64 deep, which cannot be watched; the program was ended"
        case "closed":
            return (
                "a folder was closed to its own user, so what is in it cannot be watched; the program was ended: make "
                "folders that their owner can list"
            )


def _cpu_time(case: Case) -> str:
    return f"CPU time limit {cpu_limit(case.limits):g} s exceeded (limits.cpu_time)"


def _signalled(case: Case, number: int) -> str:
    if number == 0:
        return "the program was ended from outside"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number == signal.SIGXCPU:
        return f"{_cpu_time(case)}; the program was ended by {name}"
    return f"the program was ended by {name} ({signal.strsignal(number) or 'unknown signal'})"


def _failed(case: Case, kind: str, message: str, *, partial: bool) -> Judgement:
    return Judgement(RunStatus.FAILED, _report(case, kind, message, ErrorCategory.CODE_RELATED), partial)


def _report(
    case: Case, kind: str, message: str, category: ErrorCategory, line: int | None = None, source: str | None = None
) -> ErrorReport:
    code = case.code if isinstance(case.code, str) else case.code.decode("utf-8", "replace")
    return ErrorReport(
        stage=Stage.EXECUTION,
        type=kind,
        message=message,
        category=category,
        line=line,
        source_line=source,
        code=code,
    )


def _line(code: str | bytes, number: int | None) -> str | None:
    text = code if isinstance(code, str) else code.decode("utf-8", "replace")
    lines = text.split("\n")
    return lines[number - 1].rstrip("\r") if number is not None and 0 < number <= len(lines) else None
