"""Findings as a person reads them who wants to know why: the place in its line, the way of the value, the rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.text import Text

from osprey_executor.interfaces.cli.findings import STYLE, verdict_line
from osprey_executor.models import Effect
from osprey_executor.text import one_line, source_lines, visible

if TYPE_CHECKING:
    from osprey_executor.models import AnalysisReport, Finding, WriteTarget

_MOST_WIDTH = 100


def explained(name: str, report: AnalysisReport, source: str, rules: Mapping[str, str]) -> Text:
    """Return each finding with all that is known of it, the channels that would be written, and the verdict."""
    text, shown, lines = Text(), one_line(name), source_lines(source)
    for finding in report.findings:
        _finding(text, shown, finding, lines)
        if meaning := rules.get(finding.rule):
            text.append(f"    rule: {meaning}\n", "dim")
    writing = {one.line for one in report.findings if one.effect is Effect.CONTROL_WRITE}
    for target in report.writes:
        text.append(f"{shown}:{target.line}: {_target(target, surely=target.line in writing)}\n")
    text.append(verdict_line(shown, report))
    return text


def _finding(text: Text, shown: str, finding: Finding, lines: list[str]) -> None:
    text.append(f"{shown}:{finding.line}:{finding.column}: ")
    text.append(finding.severity.value, STYLE[finding.severity])
    effect = finding.effect.replace("_", " ") if finding.effect else finding.kind.value
    text.append(f" {effect}, {finding.confidence.value}: {one_line(finding.message)} [{one_line(finding.rule)}]\n")
    if 0 < finding.line <= len(lines):
        _place(text, finding, lines[finding.line - 1])
    if finding.way:
        stations = " -> ".join(f"{one_line(step.what, 60)} at line {step.line}" for step in finding.way)
        text.append(f"    way: {stations}\n")


def _place(text: Text, finding: Finding, line: str) -> None:
    number = str(finding.line)
    start = finding.column - 1
    same_line = finding.end_line in (None, finding.line)
    end = (finding.end_column or finding.column + 1) - 1 if same_line else len(line)
    first = max(0, min(start, len(line)) - _MOST_WIDTH // 2) if len(line) > _MOST_WIDTH else 0
    piece = line[first : first + _MOST_WIDTH]
    # What is hidden is spelled out, so the mark below counts what is shown and not what the file holds.
    before = len(visible(line[first : max(start, first)]))
    marked = max(1, len(visible(line[start : min(end, first + _MOST_WIDTH)])))
    text.append(f"    {number} | {visible(piece)}\n")
    text.append(f"    {' ' * len(number)} | {' ' * before}{'^' * marked}\n", "bold")


def _target(target: WriteTarget, *, surely: bool) -> str:
    if not surely and not target.channel:
        return "may write channels, as far as anybody can see"
    channel = one_line(target.channel, 120) if target.channel else "a channel that is only known when the program runs"
    return f"would write {channel}" + (f" = {one_line(target.value, 120)}" if target.value else "")
