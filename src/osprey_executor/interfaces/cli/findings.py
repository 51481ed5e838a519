"""Findings of the analysis as lines that editors can jump to: `file:line:column`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from osprey_executor.models import Severity, Verdict
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.models import AnalysisReport

STYLE: Final = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
_VERDICT: Final = {
    Verdict.ALLOW: ("runs without asking", "green"),
    Verdict.ASK: ("asks a person first", "yellow"),
    Verdict.DENY: ("is refused", "bold red"),
}


def does_not_parse(report: AnalysisReport) -> bool:
    """Return whether the source is no Python at all."""
    return any(finding.rule == "syntax/error" and finding.severity is Severity.ERROR for finding in report.findings)


def report_text(name: str, report: AnalysisReport) -> Text:
    """Return one line a finding and a last one with the verdict."""
    text = Text()
    shown = one_line(name)
    for finding in report.findings:
        text.append(f"{shown}:{finding.line}:{finding.column}: ")
        text.append(finding.severity.value, STYLE[finding.severity])
        text.append(f" {one_line(finding.message)} [{one_line(finding.rule)}]\n")
    text.append(verdict_line(shown, report))
    return text


def verdict_line(shown: str, report: AnalysisReport) -> Text:
    """Return the verdict with its reason."""
    text = Text()
    # The verdict of what does not parse is that it goes back to its author, not that it runs.
    broken = does_not_parse(report)
    words, style = ("cannot run: does not parse", "bold red") if broken else _VERDICT[report.verdict]
    effects = ", ".join(sorted(effect.replace("_", " ") for effect in report.effects)) or "no effects found"
    text.append(f"{shown}: ")
    text.append(words, style)
    if not broken:
        text.append(f" ({effects}){': ' + one_line(report.reason) if report.reason else ''}")
    return text
