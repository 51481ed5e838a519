"""Findings of the analysis as lines that editors can jump to: `file:line:column`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from osprey_executor.models import Severity, Verdict
from osprey_executor.text import one_line

if TYPE_CHECKING:
    from osprey_executor.models import AnalysisReport

_STYLE: Final = {Severity.INFO: "dim", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}
_VERDICT: Final = {
    Verdict.ALLOW: ("runs without asking", "green"),
    Verdict.ASK: ("asks a person first", "yellow"),
    Verdict.DENY: ("is refused", "bold red"),
}


def report_text(name: str, report: AnalysisReport) -> Text:
    """Return one line a finding and a last one with the verdict."""
    text = Text()
    shown = one_line(name)
    for finding in report.findings:
        text.append(f"{shown}:{finding.line}:{finding.column}: ")
        text.append(finding.severity.value, _STYLE[finding.severity])
        text.append(f" {one_line(finding.message)} [{one_line(finding.rule)}]\n")
    words, style = _VERDICT[report.verdict]
    effects = ", ".join(sorted(effect.replace("_", " ") for effect in report.effects)) or "no effects found"
    text.append(f"{shown}: ")
    text.append(words, style)
    text.append(f" ({effects}){': ' + one_line(report.reason) if report.reason else ''}")
    return text
